//! What a check is: a probe definition on a target, and how its results are judged.
//!
//! Identity holds only what changes the probe's result (DESIGN "Data shapes"): kind, address, port, the way there (a
//! source address picks the route, where one is given), request, expectation and time limit. Not the interval or
//! thresholds: two records that ask the same question of the same target share one probe, at the shorter of their
//! intervals, and each judges the results by its own thresholds.
//!
//! What a request carries in headers and body may be secret: identity holds digests of it, and nothing shows it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use sha2::{Digest, Sha256};

use super::http::HttpCheck;
use super::judgement::Judgement;
use super::kinds::{DnsCheck, ExecCheck, FileCheck, GrpcCheck, KubernetesCheck, PushCheck, TlsCheck};

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
    /// The address that is probed, and that is up or down; `None` where the URL's host is looked up at each probe
    /// (checks of URLs only).
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The address of this host that probes come from; `None`: as the system routes.
    pub source: Option<IpAddr>,
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
    /// An HTTP or HTTPS request is answered as expected. Shared by all targets that are asked the same.
    Http(Arc<HttpCheck>),
    /// A TLS handshake succeeds, and the certificate is as expected.
    Tls(Arc<TlsCheck>),
    /// A question of DNS is answered as expected.
    Dns(Arc<DnsCheck>),
    /// A command of this host says that the target is up.
    Exec(Arc<ExecCheck>),
    /// An ICMP echo request is answered.
    Icmp,
    /// The gRPC health service says that it is serving.
    Grpc(Arc<GrpcCheck>),
    /// A file of this host says that the target is up.
    File(Arc<FileCheck>),
    /// The target says itself that it is up.
    Push(Arc<PushCheck>),
    /// The API of Kubernetes says that enough is ready there.
    Kubernetes(Arc<KubernetesCheck>),
}

impl CheckKind {
    /// Whether its probes connect over TCP, so that a connection to the same place says whether somebody is there.
    #[must_use]
    pub const fn has_connection(&self) -> bool {
        matches!(self, Self::Tcp | Self::Http(_) | Self::Tls(_) | Self::Grpc(_))
    }

    /// Every name that [`CheckKind::as_str`] gives.
    pub const NAMES: [&'static str; 11] =
        ["tcp", "http", "https", "tls", "dns", "exec", "icmp", "grpc", "file", "push", "kubernetes"];

    /// A short, stable name for configurations, metrics and JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http(http) => http.scheme.as_str(),
            Self::Tls(_) => "tls",
            Self::Dns(_) => "dns",
            Self::Exec(_) => "exec",
            Self::Icmp => "icmp",
            Self::Grpc(_) => "grpc",
            Self::File(_) => "file",
            Self::Push(_) => "push",
            Self::Kubernetes(_) => "kubernetes",
        }
    }

    /// Whether we send anything to the target ourselves.
    #[must_use]
    pub const fn connects(&self) -> bool {
        !matches!(self, Self::Exec(_) | Self::File(_) | Self::Push(_) | Self::Kubernetes(_))
    }

    /// Whether a target of it has a port.
    #[must_use]
    pub const fn has_port(&self) -> bool {
        !matches!(self, Self::Icmp)
    }
}

/// The first 128 bits of SHA-256 in hexadecimal.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> CheckKey {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|part| hash.update(part));
    let hash = hash.finalize();
    let (head, _) = hash.split_first_chunk::<16>().expect("SHA-256 gives 32 octets");
    CheckKey(u128::from_be_bytes(*head))
}

/// How [`CheckSpec::target`] is written.
struct Target<'s>(&'s CheckSpec);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CheckSpec { address, kind, port, .. } = self.0;
        match (address, kind) {
            (Some(address), kind) if !kind.has_port() => address.fmt(f),
            (Some(address), _) => SocketAddr::new(*address, *port).fmt(f),
            (None, CheckKind::Http(http)) => write!(f, "{}:{port}", http.host),
            (None, _) => write!(f, "port {port}"),
        }
    }
}

/// Whether something is written like that. There are many checks to compare, so none is written out.
fn reads_as(written: impl fmt::Display, text: &str) -> bool {
    struct Left<'t>(&'t str);
    impl fmt::Write for Left<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut left = Left(text);
    fmt::Write::write_fmt(&mut left, format_args!("{written}")).is_ok() && left.0.is_empty()
}

impl CheckSpec {
    /// Where the probe connects to; `None` where that is looked up.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.address.map(|address| SocketAddr::new(address, self.port))
    }

    /// Where the probe connects to, for people: `address:port`, or `host:port` where the host is looked up; the address
    /// alone where there is no port.
    #[must_use]
    pub fn target(&self) -> String {
        Target(self).to_string()
    }

    /// The address that the definition names: the check's, or the URL's host where that is an address itself. `None`
    /// where only a look-up tells.
    #[must_use]
    pub fn named_address(&self) -> Option<IpAddr> {
        self.address.or_else(|| match &self.kind {
            CheckKind::Http(http) => http.host.trim_matches(['[', ']']).parse().ok(),
            _ => None,
        })
    }

    /// Whether it is of that target, as people call it: an address, or [`CheckSpec::target`].
    #[must_use]
    pub fn is_at(&self, target: &str) -> bool {
        reads_as(Target(self), target) || self.named_address().is_some_and(|address| reads_as(address, target))
    }

    /// Whether both are probes of the same target: of one address, or of one name.
    #[must_use]
    pub fn same_target(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (CheckKind::Http(one), CheckKind::Http(two)) if self.address.is_none() => {
                other.address.is_none() && one.host == two.host
            }
            _ => self.address == other.address,
        }
    }

    /// The identity of this probe.
    #[must_use]
    pub fn key(&self) -> CheckKey {
        digest([self.canonical().as_bytes()])
    }

    /// The identity of what is asked, wherever it is asked from: what nodes call it among each other, each of which has addresses
    /// of its own. That of the probe, where this has no source.
    #[must_use]
    pub fn question(&self) -> CheckKey {
        match self.source {
            None => self.key(),
            Some(_) => Self { source: None, ..self.clone() }.key(),
        }
    }

    /// The canonical text that the key is the hash of: the same on every node and in every release. Every field is
    /// delimited so that no two probes share a text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let to = self.socket_address().map_or_else(|| "by-name".to_owned(), |to| to.to_string());
        let timeout = self.timeout.as_millis();
        let from = self.source.map(|source| format!(" from={source}")).unwrap_or_default();
        let asked = match &self.kind {
            CheckKind::Tcp | CheckKind::Icmp => String::new(),
            CheckKind::Http(http) => {
                let (url, status, agent) = (http.url(self.port), &http.status, &http.user_agent);
                let extras = http.canonical_extras();
                return format!("http {to} timeout={timeout}ms url={url:?} status={status} agent={agent:?}{extras}{from}");
            }
            CheckKind::Tls(tls) => tls.canonical(),
            CheckKind::Dns(dns) => dns.canonical(),
            CheckKind::Exec(exec) => exec.canonical(),
            CheckKind::Grpc(grpc) => grpc.canonical(),
            CheckKind::File(file) => format!("file={:?}", file.path),
            CheckKind::Push(push) => push.canonical(),
            CheckKind::Kubernetes(kubernetes) => kubernetes.canonical(),
        };
        let (kind, blank) = (self.kind.as_str(), if asked.is_empty() { "" } else { " " });
        format!("{kind} {to} timeout={timeout}ms{blank}{asked}{from}")
    }

    /// The definition without the address: what an operator changes when a URL is edited. Two checks with the same
    /// definition differ only in whom they ask.
    #[must_use]
    pub fn definition(&self) -> String {
        match &self.kind {
            CheckKind::Tcp => format!("tcp port {}", self.port),
            CheckKind::Http(http) if self.address.is_some_and(|address| *http.host == *host_of(address)) => {
                HttpCheck { host: "*".into(), ..HttpCheck::clone(http) }.url(self.port)
            }
            CheckKind::Http(http) => http.url(self.port),
            // All but the address, the time limit and the source.
            _ => Self { address: None, source: None, timeout: Duration::ZERO, ..self.clone() }.canonical(),
        }
    }
}

/// An address as the host of a URL.
pub(super) fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

impl fmt::Display for CheckSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CheckKind::Tcp => write!(f, "tcp {}", self.target())?,
            CheckKind::Http(http) => {
                if http.method != Method::GET {
                    write!(f, "{} ", http.method)?;
                }
                f.write_str(&http.url(self.port))?;
                self.address.map_or(Ok(()), |address| write!(f, " at {address}"))?;
                http.expectation(f)?;
            }
            CheckKind::Tls(tls) => write!(f, "tls {}{tls}", self.target())?,
            CheckKind::Dns(dns) => write!(f, "dns {} {dns}", self.target())?,
            CheckKind::Exec(exec) => write!(f, "{exec} for {}", self.target())?,
            CheckKind::Icmp => write!(f, "icmp {}", self.target())?,
            CheckKind::Grpc(grpc) => write!(f, "grpc {}{grpc}", self.target())?,
            CheckKind::File(file) => write!(f, "{} on {}", file.path.display(), self.target())?,
            CheckKind::Push(_) => write!(f, "push by {}", self.target())?,
            CheckKind::Kubernetes(kubernetes) => write!(f, "{kubernetes} for {}", self.target())?,
        }
        self.source.map_or(Ok(()), |source| write!(f, ", from {source}"))
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

/// A check that a program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRequest {
    /// What is probed; one with all who probe it.
    pub spec: Arc<CheckSpec>,
    /// How the results are judged.
    pub judgement: Judgement,
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::super::http::{Codes, Content, Pattern, Scheme, Version};
    use super::super::kinds::Rcode;
    use super::*;

    fn http(host: &str, path: &str) -> CheckSpec {
        changed(host, path, |_| {})
    }

    fn changed(host: &str, path: &str, change: impl FnOnce(&mut HttpCheck)) -> CheckSpec {
        let mut check = HttpCheck::get(Scheme::Http, host, path);
        change(&mut check);
        let (address, timeout) = (Some([192, 0, 2, 1].into()), Duration::from_secs(2));
        CheckSpec { address, port: 80, source: None, kind: CheckKind::Http(Arc::new(check)), timeout }
    }

    fn header(name: &'static str, value: &'static str) -> Box<[(HeaderName, HeaderValue)]> {
        let mut value = HeaderValue::from_static(value);
        value.set_sensitive(true);
        [(HeaderName::from_static(name), value)].into()
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
        let with = |change: fn(&mut HttpCheck)| changed("www.example.com", "/", change);
        let variants = [
            CheckSpec { address: Some([192, 0, 2, 2].into()), ..base.clone() },
            CheckSpec { address: None, ..base.clone() },
            CheckSpec { port: 81, ..base.clone() },
            CheckSpec { source: Some([192, 0, 2, 9].into()), ..base.clone() },
            CheckSpec { kind: CheckKind::Tcp, ..base.clone() },
            CheckSpec { timeout: Duration::from_secs(3), ..base.clone() },
            http("www.example.org", "/"),
            http("www.example.com", "/x"),
            http("www.example.com", "/\" status=200"),
            with(|check| check.method = Method::HEAD),
            with(|check| check.headers = header("x-a", "b")),
            with(|check| check.headers = header("x-a", "c")),
            with(|check| check.content = Content("x".into())),
            with(|check| check.verify = true),
            with(|check| check.status = Codes::only(204)),
            with(|check| check.status = Codes::of([200..=299])),
            with(|check| check.sni = Some("x".into())),
            with(|check| check.redirects = false),
            with(|check| check.version = Version::Two),
            with(|check| check.body = Some("x".into())),
            with(|check| check.pattern = Pattern::new("x").ok()),
            with(|check| check.limit = Some(1)),
            with(|check| check.weighs = true),
        ];
        let keys: std::collections::BTreeSet<_> = variants.iter().chain([&base]).map(CheckSpec::key).collect();
        assert_eq!(keys.len(), variants.len() + 1);
    }

    #[test]
    fn what_only_a_configuration_names_has_keys_of_its_own() {
        let dns = DnsCheck {
            name: "x.test.".into(),
            rtype: 1,
            mnemonic: "A".into(),
            tcp: false,
            recursion: true,
            rcode: Rcode::NOERROR,
            answer: None,
        };
        let tls = TlsCheck { sni: Some("x.test".into()), verify: true, min_days_left: Some(7) };
        let grpc = GrpcCheck { service: "s".into(), host: None, tls: None };
        let file = FileCheck { path: "/etc/up".into() };
        let kinds = [
            (
                CheckKind::Tls(tls.clone().into()),
                "tls 192.0.2.1:53, SNI x.test, certificate verified, certificate valid for 7 days",
            ),
            (
                CheckKind::Tls(TlsCheck { min_days_left: None, ..tls.clone() }.into()),
                "tls 192.0.2.1:53, SNI x.test, certificate verified",
            ),
            (CheckKind::Tls(TlsCheck { verify: false, sni: None, min_days_left: None }.into()), "tls 192.0.2.1:53"),
            (
                CheckKind::Tls(TlsCheck { verify: false, sni: None, min_days_left: Some(0) }.into()),
                "tls 192.0.2.1:53, certificate valid for 0 days",
            ),
            (CheckKind::Dns(dns.clone().into()), "dns 192.0.2.1:53 x.test. A"),
            (CheckKind::Dns(DnsCheck { tcp: true, ..dns.clone() }.into()), "dns 192.0.2.1:53 x.test. A over TCP"),
            (CheckKind::Dns(DnsCheck { rcode: Rcode(3), ..dns.clone() }.into()), "dns 192.0.2.1:53 x.test. A, NXDOMAIN"),
            (
                CheckKind::Dns(DnsCheck { recursion: false, answer: Some("a".into()), ..dns }.into()),
                "dns 192.0.2.1:53 x.test. A, answer a",
            ),
            (CheckKind::Icmp, "icmp 192.0.2.1"),
            (CheckKind::Grpc(grpc.clone().into()), "grpc 192.0.2.1:53, service s"),
            (
                CheckKind::Grpc(GrpcCheck { tls: Some(tls), ..grpc }.into()),
                "grpc 192.0.2.1:53, service s, over TLS, SNI x.test, certificate verified, certificate valid for 7 days",
            ),
            (CheckKind::File(file.into()), "/etc/up on 192.0.2.1:53"),
            (CheckKind::Tcp, "tcp 192.0.2.1:53"),
        ];
        let spec = |kind| CheckSpec { port: 53, kind, ..http("x", "/") };
        let keys: std::collections::BTreeSet<_> = kinds.iter().map(|(kind, _)| spec(kind.clone()).key()).collect();
        assert_eq!(keys.len(), kinds.len());
        for (kind, text) in kinds {
            assert_eq!(spec(kind).to_string(), text);
        }
        assert_eq!(spec(CheckKind::Icmp).canonical(), "icmp 192.0.2.1:53 timeout=2000ms");
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let spec = changed("www.example.com", "/", |check| {
            check.headers = header("authorization", "Bearer hush");
            check.content = Content("hush".into());
        });
        for shown in [spec.canonical(), spec.to_string(), spec.definition(), format!("{spec:?}")] {
            assert!(!shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn a_target_is_an_address_or_a_name() {
        let pinned = http("www.example.com", "/");
        let named = |host: &str| CheckSpec { address: None, ..http(host, "/") };
        assert_eq!((pinned.target().as_str(), named("x.test").target().as_str()), ("192.0.2.1:80", "x.test:80"));
        assert!(pinned.same_target(&CheckSpec { kind: CheckKind::Tcp, port: 1, ..pinned.clone() }));
        assert!(!pinned.same_target(&named("www.example.com")) && !named("www.example.com").same_target(&pinned));
        assert!(named("x.test").same_target(&named("x.test")) && !named("x.test").same_target(&named("y.test")));
        let addresses = [named("x.test"), named("192.0.2.7"), named("[2001:db8::7]"), pinned].map(|spec| spec.named_address());
        let wanted = ["192.0.2.7", "2001:db8::7", "192.0.2.1"].map(|address| address.parse().ok());
        assert_eq!(addresses, [None, wanted[0], wanted[1], wanted[2]]);
    }
}
