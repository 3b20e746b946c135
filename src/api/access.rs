//! Who may do what: the listeners' configuration, and the one judgement that every request passes.
//!
//! A token is told by its secret alone, so secrets are compared in constant time, and all of them on every request: how
//! long a refusal takes says nothing about how much of a guess was right. A [`Secret`] is never printed.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::problem::Problem;
use super::report::is_report;

/// `[admin]`, checked.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The control socket; whoever can open it is admin.
    pub socket: Option<PathBuf>,
    /// Where HTTP is answered over TCP. Without tokens this must be a loopback address.
    pub listen: Option<SocketAddr>,
    /// Who may call over TCP. None: everyone who reaches `listen` is admin.
    pub tokens: Vec<Token>,
}

/// One `[admin.token.<name>]`.
#[derive(Clone, Debug)]
pub struct Token {
    /// The name in the configuration, for logs.
    pub name: String,
    /// What the caller must show.
    pub secret: Secret,
    /// What the caller may do.
    pub role: Role,
}

/// What a caller may do; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// See everything.
    Read,
    /// Reload, and change what is answered.
    Operate,
    /// Everything.
    Admin,
}

impl Role {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A bearer token's text. Neither `Debug` nor anything else shows it.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// A secret of this text; surrounding whitespace, as a file's last line break, is not part of it. `None`: nothing
    /// is left, and an empty secret would admit everyone.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.as_bytes().into()))
    }

    /// Whether `shown` is the secret, in a time that depends on the length of `shown` only.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        let differing = shown.iter().enumerate().fold(0, |differing, (at, octet)| {
            let own = self.0[at % self.0.len()];
            std::hint::black_box(differing | (octet ^ own))
        });
        (differing == 0) & (shown.len() == self.0.len())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How the callers of one listener are judged.
#[derive(Clone, Debug)]
pub enum Access {
    /// The control socket: the file system has let the caller in, as admin.
    Socket,
    /// TCP on a loopback address without tokens: whoever runs a program on this host is admin, but a web page that a
    /// browser on this host shows is not.
    Loopback,
    /// TCP with tokens.
    Tokens(Arc<[Token]>),
}

impl Access {
    /// How callers over TCP are judged.
    #[must_use]
    pub fn over_tcp(config: &Config) -> Self {
        if config.tokens.is_empty() { Self::Loopback } else { Self::Tokens(config.tokens.as_slice().into()) }
    }

    /// Whether a request may go on.
    pub(super) fn judge(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(needed) = needed(method, path) else { return Ok(()) };
        match self {
            Self::Socket => Ok(()),
            Self::Loopback => not_a_web_page(headers),
            Self::Tokens(tokens) => {
                let role = role(tokens, headers).ok_or_else(unauthorized)?;
                if role >= needed { Ok(()) } else { Err(forbidden(role, needed)) }
            }
        }
    }
}

/// The role that a request takes; `None`: anyone may.
fn needed(method: &Method, path: &str) -> Option<Role> {
    match path {
        "/livez" | "/healthz" | "/readyz" => None,
        // Which asks for the token of its check.
        _ if method == Method::POST && is_report(path) => None,
        _ if method == Method::GET || method == Method::HEAD => Some(Role::Read),
        _ => Some(Role::Operate),
    }
}

/// The role of the token that the request shows. Looks at every token, found or not.
fn role(tokens: &[Token], headers: &HeaderMap) -> Option<Role> {
    let shown = headers.get(header::AUTHORIZATION).and_then(bearer)?;
    tokens.iter().fold(None, |found, token| if token.secret.is(shown) { found.max(Some(token.role)) } else { found })
}

/// The credentials of `Bearer` (RFC 6750 2.1); the scheme's case does not matter (RFC 9110 11.1).
pub(super) fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, rest) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
}

/// Keeps web pages out where no token does: a page may send requests here under its own origin, or under a name of its
/// own that it lets resolve to this address (DNS rebinding).
fn not_a_web_page(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    if !is_this_host(host) {
        let detail = format!("this port is for programs on this host, and {host:?} is a name that anyone could point here");
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "Misdirected request", detail));
    }
    match headers.get(header::ORIGIN) {
        Some(origin) if origin.as_bytes() != format!("http://{host}").as_bytes() => {
            let detail = "a web page of another origin may not call this API; configure a token and use it";
            Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail))
        }
        _ => Ok(()),
    }
}

/// Whether a Host header names this host by an address or as `localhost`, which no one else can point elsewhere.
fn is_this_host(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|octet| octet.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<std::net::IpAddr>().is_ok()
}

fn unauthorized() -> Problem {
    let detail = "send the header 'Authorization: Bearer <token>' with one of the tokens of [admin.token]; \
                  the control socket needs none";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"leeward\""))
}

fn forbidden(role: Role, needed: Role) -> Problem {
    let detail = format!("the token's role is {role}, and this takes {needed}");
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Access {
        let token = |name: &str, role| Token { name: name.into(), secret: Secret::new(&format!("{name}\n")).unwrap(), role };
        let tokens = vec![token("reader", Role::Read), token("oncall", Role::Operate), token("root", Role::Admin)];
        Access::over_tcp(&Config { tokens, ..Config::default() })
    }

    fn judged(access: &Access, method: Method, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let pair = |&(name, value): &(&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        let headers: HeaderMap = headers.iter().map(pair).collect();
        access.judge(&method, path, &headers).map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn roles_by_request() {
        let (get, post) = (Method::GET, Method::POST);
        let cases = [
            (&get, "/livez", None, 200),
            (&get, "/readyz", None, 200),
            (&get, "/metrics", None, 401),
            (&get, "/metrics", Some("Bearer reader"), 200),
            (&get, "/api/v1/status", Some("bearer reader"), 200),
            (&get, "/api/v1/status", Some("Basic reader"), 401),
            (&get, "/api/v1/status", Some("Bearer reade"), 401),
            (&get, "/api/v1/status", Some("Bearer readerreader"), 401),
            (&get, "/api/v1/status", Some("Bearer "), 401),
            (&post, "/api/v1/reload", Some("Bearer reader"), 403),
            (&post, "/api/v1/reload", Some("Bearer oncall"), 200),
            (&post, "/api/v1/reload", Some("Bearer root"), 200),
        ];
        for (method, path, authorization, expected) in cases {
            let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
            assert_eq!(judged(&tokens(), method.clone(), path, &headers), expected, "{method} {path} {authorization:?}");
        }
    }

    #[test]
    fn web_pages_are_kept_out_where_no_token_does() {
        let cases: [(&[(&str, &str)], u16); 7] = [
            (&[("host", "127.0.0.1:8053")], 200),
            (&[("host", "localhost:8053")], 200),
            (&[("host", "[::1]:8053")], 200),
            (&[("host", "[::1]")], 200),
            (&[("host", "rebound.example")], 421),
            (&[("host", "127.0.0.1:8053"), ("origin", "https://evil.example")], 403),
            (&[("host", "127.0.0.1:8053"), ("origin", "http://127.0.0.1:8053")], 200),
        ];
        for (headers, expected) in cases {
            assert_eq!(judged(&Access::Loopback, Method::POST, "/api/v1/reload", headers), expected, "{headers:?}");
            assert_eq!(judged(&Access::Socket, Method::POST, "/api/v1/reload", headers), 200, "{headers:?}");
        }
    }

    #[test]
    fn secrets_are_compared_whole_and_never_shown() {
        let secret = Secret::new("  swordfish\n").unwrap();
        assert!(secret.is(b"swordfish"));
        for wrong in ["", "s", "swordfisH", "swordfish ", "swordfishswordfish"] {
            assert!(!secret.is(wrong.as_bytes()), "{wrong:?}");
        }
        assert!(Secret::new(" \n").is_none());
        assert!(!format!("{secret:?}").contains("sword"));
    }
}
