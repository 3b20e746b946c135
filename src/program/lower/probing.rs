//! The options that say how targets are probed: what a check is, and how its results are judged.

use std::time::Duration;

use super::super::compile::Defaults;
use super::super::number;
use super::super::plan::Function;
use super::super::syntax::Expr;
use super::Lowering;
use crate::target::{CheckKind, CheckSpec, HttpCheck, Judgement, Scheme};

/// Longest `timeout`, seconds.
const TIMEOUT_MAX: u64 = 3600;
/// Longest `interval`, seconds.
const INTERVAL_MAX: u64 = 86_400;

/// Longest `stringmatch` and `useragent`, octets. Each check holds its own copy.
const TEXT_MAX: usize = 1024;

/// What the options say of the probe, defaults filled in.
pub(super) struct Probing {
    timeout: Duration,
    /// From the start of one probe to the start of the next.
    pub(super) interval: Duration,
    /// How results are judged.
    pub(super) judgement: Judgement,
    body: Option<Box<str>>,
    status: u16,
    user_agent: Box<str>,
}

/// An option of the probe.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Name {
    Timeout,
    Interval,
    MinimumFailures,
    StringMatch,
    HttpCode,
    UserAgent,
    /// PowerDNS has it, this release does not.
    Later,
}

/// How the options are spelled.
pub(super) const NAMES: [(&str, Name); 10] = [
    ("timeout", Name::Timeout),
    ("interval", Name::Interval),
    ("minimumFailures", Name::MinimumFailures),
    ("stringmatch", Name::StringMatch),
    ("httpcode", Name::HttpCode),
    ("useragent", Name::UserAgent),
    ("source", Name::Later),
    ("failOnIncompleteCheck", Name::Later),
    ("byteslimit", Name::Later),
    ("headers", Name::Later),
];

impl Name {
    /// The option that is spelled so.
    pub(super) fn find(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, known)| known)
    }

    /// Whether only checks of URLs have it.
    const fn of_urls(self) -> bool {
        matches!(self, Self::StringMatch | Self::HttpCode | Self::UserAgent)
    }
}

/// A URL as a check needs it.
pub(super) struct Location {
    pub(super) scheme: Scheme,
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) path: Box<str>,
}

impl Probing {
    pub(super) fn new(defaults: &Defaults) -> Self {
        Self {
            timeout: defaults.timeout,
            interval: defaults.interval,
            judgement: Judgement { fall: 1, rise: 1 },
            body: None,
            status: 200,
            user_agent: "PowerDNS Authoritative Server".into(),
        }
    }

    /// The kind of check that asks for a URL.
    pub(super) fn http(&self, location: Location) -> CheckKind {
        let Location { scheme, host, path, .. } = location;
        let (user_agent, status, body) = (self.user_agent.clone(), self.status, self.body.clone());
        CheckKind::Http(HttpCheck { scheme, host, path, user_agent, status, body })
    }

    /// The check of one target.
    pub(super) fn spec(&self, address: std::net::IpAddr, port: u16, kind: CheckKind) -> CheckSpec {
        CheckSpec { address, port, kind, timeout: self.timeout }
    }
}

impl Lowering<'_> {
    /// Takes in the option `known`, which is spelled `name` at `offset`.
    pub(super) fn set_probing(
        &mut self,
        known: Name,
        function: Function,
        (offset, name): (usize, &str),
        value: &Expr,
        probing: &mut Probing,
    ) -> Option<()> {
        if known == Name::Later {
            return self.error(offset, format!("the option `{name}` is not in this release"), "remove it");
        }
        let text = self.option_text(name, value)?;
        if known.of_urls() && function == Function::IfPortUp {
            self.warn(offset, format!("`{function}` ignores the option `{name}`"), "remove it");
            return Some(());
        }
        let offset = value.offset;
        match known {
            Name::Timeout => probing.timeout = self.seconds(name, offset, &text, TIMEOUT_MAX)?,
            Name::Interval => probing.interval = self.seconds(name, offset, &text, INTERVAL_MAX)?,
            Name::MinimumFailures => {
                let failures = self.whole(name, offset, &text, 0..=u64::from(u16::MAX))?;
                probing.judgement.fall = u16::try_from(failures).unwrap_or(u16::MAX).max(1);
            }
            Name::StringMatch => probing.body = Some(self.short(name, offset, text)?).filter(|text| !text.is_empty()),
            Name::HttpCode => probing.status = u16::try_from(self.whole(name, offset, &text, 100..=999)?).unwrap_or(u16::MAX),
            Name::UserAgent => probing.user_agent = self.user_agent(name, offset, text)?,
            Name::Later => {}
        }
        Some(())
    }

    fn seconds(&mut self, name: &str, offset: usize, text: &str, most: u64) -> Option<Duration> {
        let seconds = self.whole(name, offset, text, 0..=most)?;
        if seconds == 0 {
            self.warn(offset, format!("the {name} of 0 seconds counts as 1"), "write a whole number of seconds");
        }
        Some(Duration::from_secs(seconds.max(1)))
    }

    /// The integer at the front of `text`, which must be in `range`.
    pub(super) fn whole(&mut self, name: &str, offset: usize, text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let Some(prefix) = number::integer_prefix(text) else {
            let message = format!("the option `{name}` is `{}`, not a number", text.escape_debug());
            return self.error(offset, message, "write a whole number");
        };
        match u64::try_from(prefix.value) {
            Ok(value) if range.contains(&value) => {
                if !prefix.whole {
                    let message = format!("the option `{name}` is `{}`, of which {value} counts", text.escape_debug());
                    self.warn(offset, message, "write a whole number");
                }
                Some(value)
            }
            _ => {
                let message = format!("the option `{name}` is {}", prefix.value);
                self.error(offset, message, format!("write a number from {} to {}", range.start(), range.end()))
            }
        }
    }

    fn user_agent(&mut self, name: &str, offset: usize, text: String) -> Option<Box<str>> {
        if text.chars().any(char::is_control) {
            return self.error(offset, format!("the option `{name}` holds control characters"), "remove them");
        }
        self.short(name, offset, text)
    }

    fn short(&mut self, name: &str, offset: usize, text: String) -> Option<Box<str>> {
        if text.len() > TEXT_MAX {
            return self.error(offset, format!("the option `{name}` is longer than {TEXT_MAX} octets"), "use a shorter text");
        }
        Some(text.into())
    }
}
