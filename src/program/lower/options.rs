//! The options table of `ifportup` and `ifurlup`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::number;
use super::super::parser::{Expr, Kind};
use super::super::plan::{Function, Selector};
use super::names::closest;
use super::{Lowering, describe};

/// Longest `timeout`, seconds.
const TIMEOUT_MAX: u64 = 3600;
/// Longest `interval`, seconds.
const INTERVAL_MAX: u64 = 86_400;

/// Longest `stringmatch` and `useragent`, octets. Each check holds its own copy.
const TEXT_MAX: usize = 1024;

/// What the options say, defaults filled in.
pub(super) struct Options {
    pub(super) selector: Selector,
    pub(super) backup: Selector,
    pub(super) timeout: Duration,
    pub(super) interval: Duration,
    /// Failures in a row until down, at least 1.
    pub(super) fall: u16,
    pub(super) body: Option<Box<str>>,
    pub(super) status: u16,
    pub(super) user_agent: Box<str>,
}

#[derive(Clone, Copy, PartialEq)]
enum Name {
    Selector,
    BackupSelector,
    Timeout,
    Interval,
    MinimumFailures,
    StringMatch,
    HttpCode,
    UserAgent,
    /// PowerDNS has it, this release does not.
    Later,
}

const NAMES: [(&str, Name); 12] = [
    ("selector", Name::Selector),
    ("backupSelector", Name::BackupSelector),
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
    /// Whether only `ifurlup` has it.
    const fn of_urls(self) -> bool {
        matches!(self, Self::StringMatch | Self::HttpCode | Self::UserAgent)
    }
}

impl Lowering<'_> {
    /// The options in `table`, if it is given and not nil.
    pub(super) fn options(&mut self, function: Function, table: Option<&Expr>) -> Option<Options> {
        let mut options = Options {
            selector: Selector::Random,
            backup: Selector::Random,
            timeout: self.defaults.timeout,
            interval: self.defaults.interval,
            fall: 1,
            body: None,
            status: 200,
            user_agent: "PowerDNS Authoritative Server".into(),
        };
        let Some(table) = table.filter(|table| table.kind != Kind::Nil) else { return Some(options) };
        let Kind::Table(fields) = &table.kind else {
            return self.misplaced(table, &format!("the third argument of `{function}`"), "a table of options");
        };
        let (mut seen, mut sound, mut position) = (BTreeSet::new(), true, 0u32);
        for field in fields.iter().filter(|field| field.value.kind != Kind::Nil) {
            let (offset, name) = match &field.key {
                Some(key) => (key.offset, self.text(key, "the name of an option")),
                None => {
                    position += 1;
                    (field.value.offset, Some(position.to_string()))
                }
            };
            let Some(name) = name else {
                sound = false;
                continue;
            };
            sound &= self.option(function, offset, &name, &field.value, &mut options).is_some();
            if seen.contains(&name) {
                self.warn(
                    offset,
                    format!("the option `{}` is given twice", name.escape_debug()),
                    "remove one, the last one counts",
                );
            }
            seen.insert(name);
        }
        sound.then_some(options)
    }

    fn option(&mut self, function: Function, offset: usize, name: &str, value: &Expr, options: &mut Options) -> Option<()> {
        let known = NAMES.iter().find(|(known, _)| *known == name).map(|&(_, known)| known);
        if known == Some(Name::Later) {
            return self.error(offset, format!("the option `{name}` is not in this release"), "remove it");
        }
        let text = self.option_text(name, value)?;
        match known {
            None => self.unknown_option(offset, name),
            Some(known) if known.of_urls() && function != Function::IfUrlUp => {
                self.warn(offset, format!("`{function}` ignores the option `{name}`"), "remove it");
            }
            Some(known) => self.set(known, name, value.offset, text, options)?,
        }
        Some(())
    }

    /// A value, which must be a string or a number whatever the option: anything else makes PowerDNS reject the table.
    fn option_text(&mut self, name: &str, value: &Expr) -> Option<String> {
        if let Kind::Boolean(boolean) = value.kind {
            let message = format!("the option `{name}` has {} as value, which rejects the whole table", describe(value));
            return self.error(value.offset, message, format!("write a string or a number, such as `'{boolean}'`"));
        }
        self.text(value, &format!("the option `{name}`"))
    }

    fn unknown_option(&mut self, offset: usize, name: &str) {
        let remedy = match closest(name, NAMES.map(|(known, _)| known)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "remove it".to_owned(),
        };
        self.warn(offset, format!("the unknown option `{}` is ignored", name.escape_debug()), remedy);
    }

    fn set(&mut self, known: Name, name: &str, offset: usize, text: String, options: &mut Options) -> Option<()> {
        match known {
            Name::Selector => options.selector = self.selector(name, offset, &text)?,
            Name::BackupSelector => options.backup = self.selector(name, offset, &text)?,
            Name::Timeout => options.timeout = self.seconds(name, offset, &text, TIMEOUT_MAX)?,
            Name::Interval => options.interval = self.seconds(name, offset, &text, INTERVAL_MAX)?,
            Name::MinimumFailures => {
                let failures = self.whole(name, offset, &text, 0..=u64::from(u16::MAX))?;
                options.fall = u16::try_from(failures).unwrap_or(u16::MAX).max(1);
            }
            Name::StringMatch => options.body = Some(self.short(name, offset, text)?).filter(|text| !text.is_empty()),
            Name::HttpCode => options.status = u16::try_from(self.whole(name, offset, &text, 100..=999)?).unwrap_or(u16::MAX),
            Name::UserAgent => options.user_agent = self.user_agent(name, offset, text)?,
            Name::Later => {}
        }
        Some(())
    }

    fn selector(&mut self, name: &str, offset: usize, text: &str) -> Option<Selector> {
        if text == "pickclosest" {
            return self.error(
                offset,
                format!("the {name} `pickclosest` is not in this release"),
                "use `random`, `all` or `hashed`",
            );
        }
        let known = Selector::ALL.into_iter().find(|selector| selector.as_str() == text);
        if known.is_none() {
            let remedy = match closest(text, Selector::ALL.map(Selector::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "use `random`, `all`, `hashed` or `empty`".to_owned(),
            };
            self.warn(offset, format!("the unknown {name} `{}` counts as `random`", text.escape_debug()), remedy);
        }
        Some(known.unwrap_or(Selector::Random))
    }

    fn seconds(&mut self, name: &str, offset: usize, text: &str, most: u64) -> Option<Duration> {
        let seconds = self.whole(name, offset, text, 0..=most)?;
        if seconds == 0 {
            self.warn(offset, format!("the {name} of 0 seconds counts as 1"), "write a whole number of seconds");
        }
        Some(Duration::from_secs(seconds.max(1)))
    }

    /// The integer at the front of `text`, which must be in `range`.
    fn whole(&mut self, name: &str, offset: usize, text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
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
