//! The HTTP(S) check: a request, and what is expected of its answer.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method};
use regex::bytes::{Regex, RegexBuilder};

use super::check::digest;

/// An HTTP(S) request and what is expected of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpCheck {
    /// Plain or over TLS.
    pub scheme: Scheme,
    /// The URL's host: Host header and SNI. Where the check has an address, the connection goes there whatever it says.
    pub host: Box<str>,
    /// Path and query, beginning with `/`.
    pub path: Box<str>,
    /// What is asked for.
    pub method: Method,
    /// The User-Agent header.
    pub user_agent: Box<str>,
    /// More headers, which replace what would be sent otherwise. Their values are marked as sensitive.
    pub headers: Box<[(HeaderName, HeaderValue)]>,
    /// What is sent after the headers; empty: nothing.
    pub content: Content,
    /// Whether a certificate must be valid for the host, by the system's trust store; else any certificate will do.
    pub verify: bool,
    /// The name that is asked for in the handshake (SNI), and that the certificate must be valid for; `None`: the host.
    pub sni: Option<Box<str>>,
    /// Whether redirects are followed; else one is an answer like any other.
    pub redirects: bool,
    /// The version of HTTP that is spoken.
    pub version: Version,
    /// The status of the final answer, after redirects.
    pub status: Codes,
    /// A substring that the body must contain, case-sensitive.
    pub body: Option<Box<str>>,
    /// A pattern that must match somewhere in the body.
    pub pattern: Option<Pattern>,
    /// Octets of the body that are read; the rest is neither waited for nor looked at.
    pub limit: Option<u32>,
    /// Whether the number at the front of the body is the target's weight.
    pub weighs: bool,
}

/// The body of a request. It is not shown: it may hold a secret.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Content(pub Box<str>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

/// A regular expression. Two are equal where their texts are.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Most octets of a compiled [`Pattern`]: what one takes to run is bounded by this times the text's length.
const PATTERN_MAX: usize = 64 << 10;

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// What is wrong with it, for people; also where it is sound and too large.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(text).size_limit(PATTERN_MAX).dfa_size_limit(PATTERN_MAX).build().map(Self)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches somewhere in `text`. Linear in its length.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// The versions of HTTP that a check speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2: over TLS by ALPN, else with prior knowledge (RFC 9113 3.3).
    Two,
}

/// A set of numbers, such as of HTTP statuses, written as `200-299,304`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Codes(Arc<[(u16, u16)]>);

impl Codes {
    /// One number.
    #[must_use]
    pub fn only(code: u16) -> Self {
        Self([(code, code)].into())
    }

    /// The numbers of all the ranges. Two sets of the same numbers are equal, however they were given.
    #[must_use]
    pub fn of(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let mut ranges: Vec<(u16, u16)> = ranges.into_iter().map(RangeInclusive::into_inner).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
                _ => merged.push((low, high)),
            }
        }
        Self(merged.into())
    }

    /// Whether `code` is one of them.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.overlaps(code..=code)
    }

    /// Whether any number of `range` is one of them.
    #[must_use]
    pub fn overlaps(&self, range: RangeInclusive<u16>) -> bool {
        self.0.iter().any(|(low, high)| low <= range.end() && range.start() <= high)
    }

    /// The number, where there is but one.
    #[must_use]
    pub fn single(&self) -> Option<u16> {
        match *self.0 {
            [(low, high)] if low == high => Some(low),
            _ => None,
        }
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (low, high)) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { "," } else { "" })?;
            match low == high {
                true => write!(f, "{low}")?,
                false => write!(f, "{low}-{high}")?,
            }
        }
        Ok(())
    }
}

/// The URL schemes of an [`HttpCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, by default on port 80.
    Http,
    /// `https`, by default on port 443.
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
    /// What may be asked for. TRACE and CONNECT make no sense of a target.
    pub const METHODS: [Method; 7] =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

    /// The headers that the probe itself says.
    pub const OWN_HEADERS: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

    /// A GET that is answered with status 200: what a check is where nothing else is said.
    #[must_use]
    pub fn get(scheme: Scheme, host: &str, path: &str) -> Self {
        Self {
            scheme,
            host: host.into(),
            path: path.into(),
            method: Method::GET,
            user_agent: "PowerDNS Authoritative Server".into(),
            headers: [].into(),
            content: Content::default(),
            verify: false,
            sni: None,
            redirects: true,
            version: Version::One,
            status: Codes::only(200),
            body: None,
            pattern: None,
            limit: None,
            weighs: false,
        }
    }

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

    /// What the canonical text says of everything that is not as in [`HttpCheck::get`].
    pub(super) fn canonical_extras(&self) -> String {
        let mut text = String::new();
        let mut add = |extra: String| text += &extra;
        if let Some(body) = &self.body {
            add(format!(" body={body:?}"));
        }
        if let Some(pattern) = &self.pattern {
            add(format!(" pattern={:?}", pattern.as_str()));
        }
        if self.method != Method::GET {
            add(format!(" method={}", self.method));
        }
        if !self.headers.is_empty() {
            let lines = self.headers.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"]);
            add(format!(" headers={}", digest(lines)));
        }
        if !self.content.0.is_empty() {
            add(format!(" content={}", digest([self.content.0.as_bytes()])));
        }
        if let Some(limit) = self.limit {
            add(format!(" limit={limit}"));
        }
        if self.verify {
            add(" verify".to_owned());
        }
        if self.weighs {
            add(" weighs".to_owned());
        }
        if let Some(sni) = &self.sni {
            add(format!(" sni={sni:?}"));
        }
        if !self.redirects {
            add(" stays".to_owned());
        }
        if self.version == Version::Two {
            add(" h2".to_owned());
        }
        text
    }
}

impl HttpCheck {
    pub(super) fn expectation(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.version == Version::Two {
            f.write_str(", HTTP/2")?;
        }
        if let Some(sni) = &self.sni {
            write!(f, ", SNI {sni}")?;
        }
        if self.status.single() != Some(200) {
            write!(f, ", status {}", self.status)?;
        }
        if let Some(text) = &self.body {
            write!(f, ", body with {text:?}")?;
        }
        if let Some(pattern) = &self.pattern {
            write!(f, ", body matching {:?}", pattern.as_str())?;
        }
        f.write_str(if self.verify { ", certificate verified" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sets() {
        let codes = Codes::of([304..=304, 200..=250, 240..=299, 300..=300]);
        assert_eq!((codes.to_string().as_str(), codes.single()), ("200-300,304", None));
        assert_eq!(codes, Codes::of([200..=300, 304..=304]));
        assert_eq!(Codes::of([7..=7]), Codes::only(7));
        assert_eq!([199, 200, 300, 301, 304, 305].map(|code| codes.contains(code)), [false, true, true, false, true, false]);
        assert!(codes.overlaps(301..=399) && !codes.overlaps(301..=303));
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(Pattern::new("^ok: [0-9]+$").unwrap().matches(b"ok: 12"));
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new(r"\w{1000}").is_err(), "too large");
    }
}
