//! The kinds of check that only a configuration can name: what each asks, and what of it is identity.
//!
//! Each has a `canonical` text, which goes into the identity and delimits every field, and a `Display`, for people.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::check::digest;
use super::reports::Token;

/// A TLS handshake, and what is expected of the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsCheck {
    /// The name that is asked for (SNI), and that the certificate must be valid for; `None`: the address.
    pub sni: Option<Box<str>>,
    /// Whether the certificate must be valid, by the system's trust store.
    pub verify: bool,
    /// Whole days for which the certificate must still be valid.
    pub min_days_left: Option<u16>,
}

impl TlsCheck {
    pub(super) fn canonical(&self) -> String {
        let Self { sni, verify, min_days_left } = self;
        let days = min_days_left.map_or_else(|| "any".to_owned(), |days| days.to_string());
        format!("sni={:?} verify={verify} days={days}", sni.as_deref().unwrap_or_default())
    }
}

impl fmt::Display for TlsCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sni) = &self.sni {
            write!(f, ", SNI {sni}")?;
        }
        if self.verify {
            f.write_str(", certificate verified")?;
        }
        self.min_days_left.map_or(Ok(()), |days| write!(f, ", certificate valid for {days} days"))
    }
}

/// A question of DNS, and what is expected of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsCheck {
    /// The name in presentation form.
    pub name: Box<str>,
    /// The type's number.
    pub rtype: u16,
    /// The type's mnemonic.
    pub mnemonic: Box<str>,
    /// Over TCP; else over UDP, and over TCP where the answer is truncated.
    pub tcp: bool,
    /// Whether the server is asked to recurse.
    pub recursion: bool,
    /// The response code that is expected.
    pub rcode: Rcode,
    /// Data in presentation form that one record of the answer must have.
    pub answer: Option<Box<str>>,
}

impl DnsCheck {
    pub(super) fn canonical(&self) -> String {
        let Self { name, rtype, mnemonic: _, tcp, recursion, rcode, answer } = self;
        let answer = answer.as_ref().map(|answer| format!(" answer={answer:?}")).unwrap_or_default();
        format!("name={name:?} type={rtype} tcp={tcp} rd={recursion} rcode={rcode}{answer}")
    }
}

impl fmt::Display for DnsCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.mnemonic)?;
        if self.tcp {
            f.write_str(" over TCP")?;
        }
        if self.rcode != Rcode::NOERROR {
            write!(f, ", {}", self.rcode)?;
        }
        self.answer.as_ref().map_or(Ok(()), |answer| write!(f, ", answer {answer}"))
    }
}

/// A response code of DNS (RFC 1035 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);

    /// Those that have a name here, in the order of their numbers.
    pub const NAMES: [&'static str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

    /// The one of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        u16::try_from(at).ok().map(Self)
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "RCODE{}", self.0),
        }
    }
}

/// A command of this host, which says by its exit code whether the target is up.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ExecCheck {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments, in which `{address}` and `{port}` stand for the target's. They may hold secrets.
    pub arguments: Box<[Box<str>]>,
}

impl ExecCheck {
    /// The arguments are there as a digest.
    pub(super) fn canonical(&self) -> String {
        let lengths: Vec<String> = self.arguments.iter().map(|argument| argument.len().to_string()).collect();
        let (lengths, texts) = (lengths.join(","), self.arguments.iter().map(|argument| argument.as_bytes()));
        format!("program={:?} arguments={}", self.program, digest([lengths.as_bytes()].into_iter().chain(texts)))
    }
}

impl fmt::Display for ExecCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())
    }
}

impl fmt::Debug for ExecCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} arguments", self.program.display(), self.arguments.len())
    }
}

/// A call of the gRPC health service (`grpc.health.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrpcCheck {
    /// The service that is asked about; empty: the server as a whole.
    pub service: Box<str>,
    /// The host that is named in the call (`:authority`) and, where `sni` says nothing else, in the handshake; `None`: the
    /// address.
    pub host: Option<Box<str>>,
    /// The handshake, where the call goes over TLS.
    pub tls: Option<TlsCheck>,
}

impl GrpcCheck {
    pub(super) fn canonical(&self) -> String {
        let Self { service, host, tls } = self;
        let tls = tls.as_ref().map(|tls| format!(" tls {}", tls.canonical())).unwrap_or_default();
        format!("service={service:?} host={:?}{tls}", host.as_deref().unwrap_or_default())
    }
}

impl fmt::Display for GrpcCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.service.is_empty() {
            write!(f, ", service {}", self.service)?;
        }
        if let Some(host) = &self.host {
            write!(f, ", host {host}")?;
        }
        match &self.tls {
            Some(tls) => write!(f, ", over TLS{tls}"),
            None => Ok(()),
        }
    }
}

/// A file in which somebody else says who is up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileCheck {
    /// The file.
    pub path: PathBuf,
}

/// What Kubernetes says of what it runs at the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KubernetesCheck {
    /// Where the API is, without a slash at the end.
    pub url: Box<str>,
    /// The namespace.
    pub namespace: Box<str>,
    /// What is counted.
    pub workload: Workload,
    /// How many must be ready.
    pub at_least: u32,
    /// The file with the token that is shown.
    pub token_file: Option<PathBuf>,
    /// The file with the authorities that the API's certificate may be of; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
}

/// What is counted of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Workload {
    /// The endpoints of this service.
    Service(Box<str>),
    /// The pods with these labels, as the API's selectors are written.
    Pods(Box<str>),
}

impl KubernetesCheck {
    pub(super) fn canonical(&self) -> String {
        let Self { url, namespace, workload, at_least, token_file, ca_file } = self;
        let workload = match workload {
            Workload::Service(name) => format!("service={name:?}"),
            Workload::Pods(selector) => format!("selector={selector:?}"),
        };
        let file = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        let (token, ca) = (file(token_file), file(ca_file));
        format!("url={url:?} namespace={namespace:?} {workload} at_least={at_least} token={token:?} ca={ca:?}")
    }
}

impl fmt::Display for KubernetesCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, namespace, workload, at_least, .. } = self;
        match workload {
            Workload::Service(name) => write!(f, "kubernetes service {namespace}/{name}")?,
            Workload::Pods(selector) => write!(f, "kubernetes pods {namespace}/{selector}")?,
        }
        write!(f, " by {url}, at least {at_least}")
    }
}

/// A target that says itself how it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PushCheck {
    /// What it must show.
    pub token: Token,
    /// How long its word holds, and its silence is borne.
    pub expiry: Duration,
}

impl PushCheck {
    /// The token is there as a digest.
    pub(super) fn canonical(&self) -> String {
        format!("expiry={}ms token={}", self.expiry.as_millis(), digest([self.token.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart_and_not_shown() {
        let exec = |arguments: &[&str]| ExecCheck {
            program: "/bin/true".into(),
            arguments: arguments.iter().map(|&argument| argument.into()).collect(),
        };
        let texts: std::collections::BTreeSet<_> =
            [exec(&[]), exec(&["ab"]), exec(&["a", "b"]), exec(&["", "ab"])].iter().map(ExecCheck::canonical).collect();
        assert_eq!(texts.len(), 4);
        let secret = exec(&["hush"]);
        for shown in [secret.canonical(), secret.to_string(), format!("{secret:?}")] {
            assert!(!shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn rcodes_have_names() {
        assert_eq!((Rcode::of("nxdomain"), Rcode::of("x")), (Some(Rcode(3)), None));
        assert_eq!((Rcode(5).to_string().as_str(), Rcode(16).to_string().as_str()), ("REFUSED", "RCODE16"));
    }
}
