//! From errors of the system, hyper and rustls to what they say about the target: one table.
//!
//! The same error number can be our own trouble or the target's. What the connect call itself returns comes from
//! this host's routing table and rules; what arrives later was sent by somebody: by the target or by a router on the
//! way (ICMP). So the table has a column for each, and the caller says which one holds.
//!
//! Never here: a decision from an error's text.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

use crate::target::{Failure, Inconclusive, Outcome};

/// The error codes of HTTP/2 (RFC 9113 7), by number.
const HTTP2_CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Why an exchange did not come to a pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    Fail(Failure),
    Inconclusive(Inconclusive),
}

impl From<Failure> for Unmet {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

impl From<Inconclusive> for Unmet {
    fn from(reason: Inconclusive) -> Self {
        Self::Inconclusive(reason)
    }
}

impl From<Unmet> for Outcome {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::Fail(failure) => Self::Fail(failure),
            Unmet::Inconclusive(reason) => Self::Inconclusive(reason),
        }
    }
}

/// Who raised an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// This host: the calls that create a socket and begin to connect it.
    Host,
    /// The network or the target: everything that is reported later.
    Network,
}

/// What `error` says about the target. The chain of causes is walked from the outside in; the first row that matches
/// holds.
///
/// | error | from this host | from the network |
/// | --- | --- | --- |
/// | ECONNREFUSED | `Refused` | `Refused` |
/// | ECONNRESET, ECONNABORTED, EPIPE, ENOTCONN | `Closed` | `Closed` |
/// | ETIMEDOUT | `Timeout` | `Timeout` |
/// | EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EADDRNOTAVAIL, EAGAIN | `Resources` | `Resources` |
/// | EPERM | `Forbidden` | `Forbidden` |
/// | EACCES (a local rule; ICMPv6 "administratively prohibited") | `Forbidden` | `Unreachable` |
/// | ENETUNREACH, EHOSTUNREACH, and any other number (EAFNOSUPPORT, EINVAL, ENETDOWN) | `NoRoute` | `Unreachable` |
/// | a rustls error | | `Tls` |
/// | hyper cannot parse the head; what HTTP/2 forbids | | `Protocol` |
/// | unexpected end, bad chunk, anything else without a number | `Resources` | `Closed` |
pub(super) fn classify(source: Source, error: &(dyn Error + 'static)) -> Unmet {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(unmet) = one(source, cause) {
            return unmet;
        }
        next = inner(cause);
    }
    match source {
        Source::Host => Inconclusive::Resources.into(),
        Source::Network => Failure::Closed.into(),
    }
}

fn one(source: Source, cause: &(dyn Error + 'static)) -> Option<Unmet> {
    if let Some(code) = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
        return Some(by_number(source, Errno::from_raw_os_error(code)));
    }
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(Failure::Tls(tls.to_string().into()).into());
    }
    if let Some(http2) = cause.downcast_ref::<h2::Error>() {
        return Some(match http2.get_io() {
            Some(error) => classify(source, error),
            None => Failure::Protocol(of_http2(http2).into()).into(),
        });
    }
    let hyper = cause.downcast_ref::<hyper::Error>()?;
    hyper.is_parse().then(|| Failure::Protocol(hyper.to_string().into()).into())
}

/// How the peer stopped, or what it did that HTTP/2 forbids.
fn of_http2(error: &h2::Error) -> String {
    let code = error.reason().map(u32::from);
    let name = code.map(|code| HTTP2_CODES.get(code as usize).map_or_else(|| format!("code {code}"), ToString::to_string));
    match name {
        Some(name) if error.is_remote() && error.is_go_away() => format!("HTTP/2 GOAWAY with {name}"),
        Some(name) if error.is_remote() && error.is_reset() => format!("HTTP/2 RST_STREAM with {name}"),
        Some(name) => format!("HTTP/2 {name}: {error}"),
        None => error.to_string(),
    }
}

fn by_number(source: Source, number: Errno) -> Unmet {
    match (number, source) {
        (Errno::CONNREFUSED, _) => Failure::Refused.into(),
        (Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE | Errno::NOTCONN, _) => Failure::Closed.into(),
        (Errno::TIMEDOUT, _) => Failure::Timeout.into(),
        (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC, _) => Inconclusive::Resources.into(),
        (Errno::ADDRNOTAVAIL | Errno::AGAIN, _) => Inconclusive::Resources.into(),
        (Errno::PERM, _) | (Errno::ACCESS, Source::Host) => Inconclusive::Forbidden.into(),
        (_, Source::Host) => Inconclusive::NoRoute.into(),
        (_, Source::Network) => Failure::Unreachable.into(),
    }
}

/// What an error wraps. `io::Error::source` skips the error that it wraps and gives that one's source.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Whether an error is the stream's end where more was due.
pub(super) fn is_early_end(error: &io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof && error.raw_os_error().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(source: Source, number: Errno) -> Unmet {
        classify(source, &io::Error::from_raw_os_error(number.raw_os_error()))
    }

    #[test]
    fn every_number_of_the_table() {
        use Source::{Host, Network};
        let both = |unmet: fn() -> Unmet, numbers: &[Errno]| {
            for &number in numbers {
                assert_eq!((os(Host, number), os(Network, number)), (unmet(), unmet()), "{number:?}");
            }
        };
        both(|| Failure::Refused.into(), &[Errno::CONNREFUSED]);
        both(|| Failure::Closed.into(), &[Errno::CONNRESET, Errno::CONNABORTED, Errno::PIPE, Errno::NOTCONN]);
        both(|| Failure::Timeout.into(), &[Errno::TIMEDOUT]);
        both(|| Inconclusive::Resources.into(), &[Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::NOSPC]);
        both(|| Inconclusive::Resources.into(), &[Errno::ADDRNOTAVAIL, Errno::AGAIN]);
        both(|| Inconclusive::Forbidden.into(), &[Errno::PERM]);
        assert_eq!(os(Host, Errno::ACCESS), Inconclusive::Forbidden.into());
        assert_eq!(os(Network, Errno::ACCESS), Failure::Unreachable.into());
        for number in [Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::AFNOSUPPORT, Errno::INVAL, Errno::NETDOWN] {
            assert_eq!(os(Host, number), Inconclusive::NoRoute.into(), "{number:?}");
            assert_eq!(os(Network, number), Failure::Unreachable.into(), "{number:?}");
        }
    }

    #[test]
    fn causes_are_found_under_wrappers() {
        let tls = || rustls::Error::HandshakeNotComplete;
        let wrapped = io::Error::new(ErrorKind::InvalidData, tls());
        assert_eq!(classify(Source::Network, &wrapped), Failure::Tls(tls().to_string().into()).into());
        let twice = io::Error::other(io::Error::other(io::Error::from_raw_os_error(Errno::CONNREFUSED.raw_os_error())));
        assert_eq!(classify(Source::Network, &twice), Failure::Refused.into());
        let end = io::Error::new(ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(classify(Source::Network, &end), Failure::Closed.into());
        let shutdown = io::Error::other("the runtime is being shut down");
        assert_eq!(classify(Source::Host, &shutdown), Inconclusive::Resources.into());
    }
}
