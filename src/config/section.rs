//! One table on its way to checked values: every key is asked for once, and what is left over at the end is unknown.
//!
//! A value that is wrong gives a finding and the default, so that the rest can be judged all the same.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::finding::{Findings, Place};
use super::raw::{Item, Setting, Table, Value, nested, spell};

/// How alike two keys must be for one to be offered in the place of the other (Jaro-Winkler).
const ALIKE: f64 = 0.8;

/// A table that is being read.
pub(super) struct Section<'f> {
    /// As in its header; empty for the top of a file.
    name: String,
    table: Table,
    asked: Vec<&'static str>,
    pub(super) findings: &'f mut Findings,
}

/// A value by a name that its user gave it.
pub(super) struct NamedItem {
    pub(super) name: String,
    /// Its name with its section's, quoted for a message.
    pub(super) spelled: String,
    /// Where the name stands.
    pub(super) at: Place,
    pub(super) item: Item,
}

impl<'f> Section<'f> {
    /// The top of the files.
    pub(super) fn root(table: Table, findings: &'f mut Findings) -> Self {
        Self { name: String::new(), table, asked: vec!["include"], findings }
    }

    /// The table `key`; an empty one where it is absent.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'_> {
        let (name, table) = (nested(&self.name, key), self.take_table(key));
        Section { name, table, asked: Vec::new(), findings: self.findings }
    }

    /// The tables below the table `key`, by the names that their user gave them.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(String, Place, Table)> {
        let section = nested(&self.name, key);
        let mut tables = Vec::new();
        for (name, Setting { key: at, item }) in self.take_table(key) {
            match item.value {
                Value::Table(table) => tables.push((name, at, table)),
                other => {
                    let message = format!("{} is {}, not a table", spell(&section, &name), other.kind());
                    self.findings.error(&item.at, message, format!("write [{}]", nested(&section, &name)));
                }
            }
        }
        tables
    }

    /// The table that [`Self::named`] gave for `name` below `key`.
    pub(super) fn below(&mut self, key: &str, name: &str, table: Table) -> Section<'_> {
        let name = nested(&nested(&self.name, key), name);
        Section { name, table, asked: Vec::new(), findings: self.findings }
    }

    /// The tables of an array of tables, each with its place.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(Place, Table)> {
        let header = format!("write [[{}]]", nested(&self.name, key));
        let mut tables = Vec::new();
        for Item { at, value } in self.one_or_more(key) {
            match value {
                Value::Table(table) => tables.push((at, table)),
                other => {
                    let message = format!("{} holds {}, not a table", self.spell(key), other.kind());
                    self.findings.error(&at, message, &header);
                }
            }
        }
        tables
    }

    /// One of the tables that [`Self::tables`] gave.
    pub(super) fn within(&mut self, key: &str, table: Table) -> Section<'_> {
        let name = nested(&self.name, key);
        Section { name, table, asked: Vec::new(), findings: self.findings }
    }

    fn take_table(&mut self, key: &'static str) -> Table {
        let header = format!("write [{}]", nested(&self.name, key));
        let pick = |value| if let Value::Table(table) = value { Ok(table) } else { Err(value) };
        self.typed(key, "a table", &header, pick).map(|(_, table)| table).unwrap_or_default()
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let pick = |value| if let Value::Boolean(flag) = value { Ok(flag) } else { Err(value) };
        self.typed(key, "a boolean", "write true or false", pick).map_or(default, |(_, flag)| flag)
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        self.given_number(key, range).unwrap_or(default)
    }

    /// A whole number that has no default.
    pub(super) fn given_number(&mut self, key: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
        let remedy = format!("write a number from {} to {}", range.start(), range.end());
        let pick = |value| if let Value::Integer(number) = value { Ok(number) } else { Err(value) };
        let (at, number) = self.typed(key, "an integer", &remedy, pick)?;
        match usize::try_from(number) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let message = format!("{} is {number}, which is out of range", self.spell(key));
                self.findings.error(&at, message, remedy);
                None
            }
        }
    }

    /// A string.
    pub(super) fn text(&mut self, key: &'static str, remedy: &str) -> Option<(Place, String)> {
        let pick = |value| if let Value::Text(text) = value { Ok(text) } else { Err(value) };
        self.typed(key, "a string", remedy, pick)
    }

    /// A string that `parse` understands.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        key: &'static str,
        remedy: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<(Place, T)> {
        let (at, text) = self.text(key, remedy)?;
        match parse(&text) {
            Ok(value) => Some((at, value)),
            Err(error) => {
                self.findings.error(&at, format!("{} is \"{text}\": {error}", self.spell(key)), remedy);
                None
            }
        }
    }

    /// A length of time, and its place where it was given.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> (Option<Place>, Duration) {
        let [low, high] = [*range.start(), *range.end()].map(humantime::format_duration);
        let remedy = format!("write a time such as \"5s\" or \"1m30s\", from {low} to {high}");
        let parse = |text: &str| match humantime::parse_duration(text) {
            Err(error) => Err(error.to_string()),
            Ok(duration) if !range.contains(&duration) => Err("out of range".to_owned()),
            Ok(duration) => Ok(duration),
        };
        self.parsed(key, &remedy, parse).map_or((None, default), |(at, duration)| (Some(at), duration))
    }

    /// A size in octets.
    pub(super) fn size(&mut self, key: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
        let remedy = format!("write a size such as \"64KiB\" or \"4MiB\", from {} to {} octets", range.start(), range.end());
        let parse = |text: &str| match size(text) {
            None => Err("no size"),
            Some(size) if !range.contains(&size) => Err("out of range"),
            Some(size) => Ok(size),
        };
        self.parsed(key, &remedy, parse).map(|(_, size)| size)
    }

    /// A path, from the directory of the file that names it. Empty is `Some(None)`.
    pub(super) fn path(&mut self, key: &'static str, remedy: &str) -> Option<(Place, Option<PathBuf>)> {
        let (at, text) = self.text(key, remedy)?;
        let path = (!text.is_empty()).then(|| at.resolve(&text));
        Some((at, path))
    }

    /// An array of whole numbers, each of which is `usable`; one that is not is "`what`".
    pub(super) fn numbers(&mut self, key: &'static str, remedy: &str, usable: impl Fn(usize) -> bool, what: &str) -> Vec<usize> {
        let pick = |value| if let Value::Array(items) = value { Ok(items) } else { Err(value) };
        let Some((_, items)) = self.typed(key, "an array of integers", remedy, pick) else { return Vec::new() };
        let spelled = self.spell(key);
        let mut numbers = Vec::with_capacity(items.len());
        for Item { at, value } in items {
            let Value::Integer(number) = value else {
                self.findings.error(&at, format!("{spelled} holds {}, not an integer", value.kind()), remedy);
                continue;
            };
            match usize::try_from(number).ok().filter(|&number| usable(number)) {
                Some(number) => numbers.push(number),
                None => self.findings.error(&at, format!("{spelled} holds {number}, which is {what}"), remedy),
            }
        }
        numbers
    }

    /// An array of strings, each of which `parse` understands; those that it does not are left out.
    pub(super) fn list<T: PartialEq, E: Display>(
        &mut self,
        key: &'static str,
        remedy: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<(Place, Vec<T>)> {
        let pick = |value| if let Value::Array(items) = value { Ok(items) } else { Err(value) };
        let (at, items) = self.typed(key, "an array of strings", remedy, pick)?;
        let spelled = self.spell(key);
        let mut list = Vec::with_capacity(items.len());
        for Item { at, value } in items {
            let Value::Text(text) = value else {
                self.findings.error(&at, format!("{spelled} holds {}, not a string", value.kind()), remedy);
                continue;
            };
            match parse(&text) {
                Ok(value) if list.contains(&value) => {
                    self.findings.error(&at, format!("{spelled} holds \"{text}\" twice"), "remove one");
                }
                Ok(value) => list.push(value),
                Err(error) => self.findings.error(&at, format!("{spelled} holds \"{text}\": {error}"), remedy),
            }
        }
        Some((at, list))
    }

    /// A value of whatever kind.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item> {
        self.asked.push(key);
        self.table.remove(key).map(|setting| setting.item)
    }

    /// A table of values of whatever kind, by the names that their user gave them.
    pub(super) fn items_by_name(&mut self, key: &'static str) -> Vec<NamedItem> {
        let (section, table) = (nested(&self.name, key), self.take_table(key));
        let named =
            |(name, Setting { key: at, item }): (String, _)| NamedItem { spelled: spell(&section, &name), name, at, item };
        table.into_iter().map(named).collect()
    }

    /// The values of an array; a value that stands alone counts as an array of one.
    pub(super) fn one_or_more(&mut self, key: &'static str) -> Vec<Item> {
        self.asked.push(key);
        match self.table.remove(key).map(|setting| setting.item) {
            Some(Item { value: Value::Array(items), .. }) => items,
            item => item.into_iter().collect(),
        }
    }

    /// A table of strings, by the names that their user gave them.
    pub(super) fn texts_by_name(&mut self, key: &'static str, remedy: &str) -> Vec<(String, Place, String)> {
        let pick = |value| if let Value::Table(table) = value { Ok(table) } else { Err(value) };
        let spelled = self.spell(key);
        let mut texts = Vec::new();
        for (name, Setting { item: Item { at, value }, .. }) in
            self.typed(key, "a table", remedy, pick).into_iter().flat_map(|(_, table)| table)
        {
            match value {
                Value::Text(text) => texts.push((name, at, text)),
                other => {
                    let message = format!("`{}` in {spelled} is {}, not a string", name.escape_debug(), other.kind());
                    self.findings.error(&at, message, remedy);
                }
            }
        }
        texts
    }

    /// An array of paths, each from the directory of the file that names it.
    pub(super) fn paths(&mut self, key: &'static str, remedy: &str) -> Vec<(Place, PathBuf)> {
        let parse = |text: &str| if text.is_empty() { Err("no path") } else { Ok(text.to_owned()) };
        let listed = self.list(key, remedy, parse);
        listed.into_iter().flat_map(|(at, paths)| paths.into_iter().map(move |path| (at.clone(), at.resolve(&path)))).collect()
    }

    /// Where `key` stands, if it is given and has not been asked for.
    pub(super) fn place(&self, key: &str) -> Option<Place> {
        self.table.get(key).map(|setting| setting.item.at.clone())
    }

    /// Complains where `key` is absent from this table, which starts at `at`.
    pub(super) fn require(&mut self, key: &str, at: &Place, remedy: &str) {
        if !self.table.contains_key(key) {
            self.findings.missing(at, format!("{} is missing", self.spell(key)), remedy);
        }
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        kind: &str,
        remedy: &str,
        pick: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Option<(Place, T)> {
        self.asked.push(key);
        let Item { at, value } = self.table.remove(key)?.item;
        match pick(value) {
            Ok(value) => Some((at, value)),
            Err(value) => {
                self.findings.error(&at, format!("{} is {}, not {kind}", self.spell(key), value.kind()), remedy);
                None
            }
        }
    }

    /// `key` with the section's name, quoted for a message.
    pub(super) fn spell(&self, key: &str) -> String {
        spell(&self.name, key)
    }

    /// Ends the reading: what was not asked for is unknown, or belongs to `later` releases.
    pub(super) fn finish(self, later: &[&str]) {
        for (key, setting) in &self.table {
            let spelled = self.spell(key);
            if later.contains(&key.as_str()) {
                let message = format!("{spelled} is not in this release");
                self.findings.error(&setting.key, message, "remove it, or use a release that has it");
            } else {
                self.findings.error(&setting.key, format!("unknown key {spelled}"), self.suggestion(key));
            }
        }
    }

    fn suggestion(&self, key: &str) -> String {
        match alike(key, self.asked.iter().copied()) {
            Some(candidate) => format!("did you mean `{candidate}`?"),
            None => format!("the keys here are {}", self.asked.join(", ")),
        }
    }
}

/// The one of `candidates` that is most like `word`, if it is like it at all.
pub(super) fn alike<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let alike = candidates.map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness > ALIKE).map(|(_, candidate)| candidate)
}

/// An address and port; the error says what is lacking.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(_) => "the port is missing",
        Err(_) => "no address and port",
    })
}

/// Octets, from a number and one of the units B (or none), KiB, MiB, GiB.
fn size(text: &str) -> Option<usize> {
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim_start() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512B", Some(512)),
            ("64KiB", Some(65536)),
            ("4 MiB", Some(4 << 20)),
            ("1GiB", Some(1 << 30)),
            ("", None),
            ("MiB", None),
            ("4MB", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("18446744073709551615KiB", None),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
