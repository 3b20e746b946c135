//! What a check is: a probe definition on a target, and how its results are judged.
//!
//! Identity holds only what changes the probe's result (DESIGN "Data shapes"): kind, address, port, request,
//! expectation and time limit. Not the interval, thresholds or source address: two records that ask the same
//! question of the same target share one probe, at the shorter of their intervals, and each judges the results by
//! its own thresholds.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// The number of a check within this process: an index into the [`StatusTable`](super::StatusTable). Dense, and
/// never given to another check. One per (probe, [`Judgement`]) pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckId(pub u32);

impl CheckId {
    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The closed definition of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CheckSpec {
    /// The address that is probed, and that is up or down.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// What is done there.
    pub kind: CheckKind,
    /// The time limit of the whole exchange.
    pub timeout: Duration,
}

/// The kinds of probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CheckKind {
    /// A TCP connection is accepted; nothing is sent.
    Tcp,
    /// An HTTP or HTTPS GET is answered as expected.
    Http(HttpCheck),
}

/// An HTTP(S) request and what is expected of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpCheck {
    /// Plain or over TLS.
    pub scheme: Scheme,
    /// The URL's host: Host header and SNI. The connection goes to the check's address whatever it says.
    pub host: Box<str>,
    /// Path and query, beginning with `/`.
    pub path: Box<str>,
    /// The User-Agent header.
    pub user_agent: Box<str>,
    /// The status of the final answer, after redirects.
    pub status: u16,
    /// A substring that the body must contain, case-sensitive.
    pub body: Option<Box<str>>,
}

/// The URL schemes of an [`HttpCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, by default on port 80.
    Http,
    /// `https`, by default on port 443. Certificates are not verified, as PowerDNS does not.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where a URL does not give one.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl HttpCheck {
    /// The URL that is asked for, `port` being the check's.
    #[must_use]
    pub fn url(&self, port: u16) -> String {
        let scheme = self.scheme.as_str();
        if port == self.scheme.default_port() {
            format!("{scheme}://{}{}", self.host, self.path)
        } else {
            format!("{scheme}://{}:{port}{}", self.host, self.path)
        }
    }
}

impl CheckSpec {
    /// Where the probe connects to.
    #[must_use]
    pub const fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// The identity of this probe.
    #[must_use]
    pub fn key(&self) -> CheckKey {
        let digest = Sha256::digest(self.canonical().as_bytes());
        let (head, _) = digest.split_first_chunk::<16>().expect("SHA-256 gives 32 octets");
        CheckKey(u128::from_be_bytes(*head))
    }

    /// The canonical text that the key is the hash of: the same on every node and in every release. Every field is
    /// delimited so that no two probes share a text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let to = self.socket_address();
        let timeout = self.timeout.as_millis();
        match &self.kind {
            CheckKind::Tcp => format!("tcp {to} timeout={timeout}ms"),
            CheckKind::Http(http) => {
                let body = http.body.as_deref().map(|text| format!(" body={text:?}")).unwrap_or_default();
                let (url, status, agent) = (http.url(self.port), http.status, &http.user_agent);
                format!("http {to} timeout={timeout}ms url={url:?} status={status} agent={agent:?}{body}")
            }
        }
    }

    /// The definition without the address: what an operator changes when a URL is edited. Two checks with the same
    /// definition differ only in whom they ask.
    #[must_use]
    pub fn definition(&self) -> String {
        match &self.kind {
            CheckKind::Tcp => format!("tcp port {}", self.port),
            CheckKind::Http(http) => http.url(self.port),
        }
    }
}

impl fmt::Display for CheckSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CheckKind::Tcp => write!(f, "tcp {}", self.socket_address()),
            CheckKind::Http(http) => {
                write!(f, "{} at {}", http.url(self.port), self.address)?;
                if http.status != 200 {
                    write!(f, ", status {}", http.status)?;
                }
                http.body.as_ref().map_or(Ok(()), |text| write!(f, ", body with {text:?}"))
            }
        }
    }
}

/// The identity of a probe: the first 128 bits of SHA-256 over [`CheckSpec::canonical`]. Written as 32 hexadecimal
/// digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckKey(pub u128);

impl fmt::Display for CheckKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CheckKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How results become a verdict: results in a row that it takes to change a known one. At least 1 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Judgement {
    /// Failures in a row, up → down.
    pub fall: u16,
    /// Passes in a row, down → up.
    pub rise: u16,
}

/// A check that a program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRequest {
    /// What is probed.
    pub spec: CheckSpec,
    /// How the results are judged.
    pub judgement: Judgement,
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(host: &str, path: &str) -> CheckSpec {
        let kind = CheckKind::Http(HttpCheck {
            scheme: Scheme::Http,
            host: host.into(),
            path: path.into(),
            user_agent: "PowerDNS Authoritative Server".into(),
            status: 200,
            body: None,
        });
        CheckSpec { address: [192, 0, 2, 1].into(), port: 80, kind, timeout: Duration::from_secs(2) }
    }

    #[test]
    fn the_key_is_pinned() {
        // Stored and exchanged between nodes: a change here needs a migration.
        let spec = http("www.example.com", "/");
        let text =
            r#"http 192.0.2.1:80 timeout=2000ms url="http://www.example.com/" status=200 agent="PowerDNS Authoritative Server""#;
        assert_eq!(spec.canonical(), text);
        assert_eq!(spec.key().to_string(), "5fa6dc3eda9e5f135fffbcf068fe3f03");
    }

    #[test]
    fn whatever_changes_the_result_changes_the_key() {
        let base = http("www.example.com", "/");
        let variants = [
            CheckSpec { address: [192, 0, 2, 2].into(), ..base.clone() },
            CheckSpec { port: 81, ..base.clone() },
            CheckSpec { kind: CheckKind::Tcp, ..base.clone() },
            CheckSpec { timeout: Duration::from_secs(3), ..base.clone() },
            http("www.example.org", "/"),
            http("www.example.com", "/x"),
            http("www.example.com", "/\" status=200"),
        ];
        for variant in &variants {
            assert_ne!(variant.key(), base.key(), "{}", variant.canonical());
        }
    }
}
