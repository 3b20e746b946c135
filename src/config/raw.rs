//! The raw form: files and what they include, merged into one tree in which everything knows its place.
//!
//! Why a tree of our own and not derived deserialisers: those stop at their first error, and have forgotten the place
//! of a value by the time it turns out to be wrong.
//!
//! Never here: which keys there are, what a value means. Only `include` is known.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Findings, Place};
use super::stamp::Stamp;

/// How deep includes may nest.
const DEPTH_MAX: usize = 8;
/// What the TOML reader says of a key that comes a second time.
const REPEATED: &str = "duplicate key";

/// A table by key.
pub(super) type Table = BTreeMap<String, Setting>;

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) key: Place,
    pub(super) item: Item,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    /// Saturated.
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<Item>),
    Table(Table),
    /// As it is written.
    Date(String),
}

impl Value {
    /// What it is, with its article.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Date(_) => "a date",
        }
    }
}

/// Reads `path` and all it includes: the merged tree, and every file in the order it was read.
pub(super) fn read(path: &Path, findings: &mut Findings) -> (Table, Vec<PathBuf>) {
    let mut reading = Reading { findings, tree: Table::new(), files: Vec::new(), seen: BTreeMap::new() };
    reading.file(path, None, 0);
    (reading.tree, reading.files)
}

/// Reads one file that includes nothing: the stamp of what was read, and its tree.
pub(super) fn read_one(path: &Path, findings: &mut Findings) -> io::Result<(Stamp, Table)> {
    let mut file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let source = Source::new(path, bytes, findings);
    Ok((stamp, source.tree(findings)))
}

/// `[section] key` or, at the top of a file, `key`, quoted for a message.
pub(super) fn spell(section: &str, key: &str) -> String {
    let key = quoted(key);
    if section.is_empty() { format!("`{key}`") } else { format!("`[{section}] {key}`") }
}

/// The name of table `key` within `section`.
pub(super) fn nested(section: &str, key: &str) -> String {
    let key = quoted(key);
    if section.is_empty() { key } else { format!("{section}.{key}") }
}

/// A key as TOML wants it written.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.into() } else { format!("{key:?}") }
}

struct Reading<'f> {
    findings: &'f mut Findings,
    tree: Table,
    files: Vec<PathBuf>,
    /// Canonical paths of the files that were read, and where each was asked for.
    seen: BTreeMap<PathBuf, Place>,
}

impl Reading<'_> {
    /// Takes in one file, which `named` asked for.
    fn file(&mut self, path: &Path, named: Option<&Place>, depth: usize) {
        let at = named.cloned().unwrap_or_else(|| Place::whole(path));
        if named.is_none() {
            self.findings.opened(&at.file);
        }
        let bytes = match path.canonicalize().and_then(|canonical| Ok((std::fs::read(&canonical)?, canonical))) {
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                return self.findings.error(&at, message, "the file must exist and be readable by this user");
            }
            Ok((_, canonical)) if self.seen.contains_key(&canonical) => {
                let first = &self.seen[&canonical];
                let message = format!("{} is included a second time", path.display());
                return self.findings.error(&at, message, format!("remove this, or what asked for it first: {first}"));
            }
            Ok((bytes, canonical)) => {
                self.seen.insert(canonical, at);
                bytes
            }
        };
        self.files.push(path.into());
        let source = Source::new(path, bytes, self.findings);
        if named.is_some() {
            self.findings.opened(&source.file);
        }
        let mut table = source.tree(self.findings);
        let includes = table.remove("include");
        merge(&mut self.tree, table, "", self.findings);
        if let Some(setting) = includes {
            self.includes(setting, depth + 1);
        }
    }

    /// Takes in what `include` names.
    fn includes(&mut self, setting: Setting, depth: usize) {
        const REMEDY: &str = "write include = [\"conf.d/*.toml\"]";
        let Value::Array(items) = setting.item.value else {
            let message = format!("`include` is {}, not an array of strings", setting.item.value.kind());
            return self.findings.error(&setting.item.at, message, REMEDY);
        };
        if depth > DEPTH_MAX {
            let message = format!("includes nest deeper than {DEPTH_MAX} files");
            return self.findings.error(&setting.key, message, "include this from a file further up");
        }
        for item in items {
            match item.value {
                Value::Text(pattern) => self.pattern(&pattern, &item.at, depth),
                other => self.findings.error(&item.at, format!("`include` holds {}, not a string", other.kind()), REMEDY),
            }
        }
    }

    /// Takes in the files that one pattern names, in the order of their names.
    fn pattern(&mut self, pattern: &str, at: &Place, depth: usize) {
        let path = at.resolve(pattern);
        let Some(last) = path.file_name().and_then(|name| name.to_str()).filter(|_| !pattern.ends_with('/')) else {
            return self.findings.error(
                at,
                format!("`{pattern}` names no file"),
                "name a file, or a pattern such as conf.d/*.toml",
            );
        };
        if !last.contains(['*', '?', '[']) {
            return self.file(&path, Some(at), depth);
        }
        match matches(path.parent().unwrap_or(Path::new("")), last) {
            Ok(paths) => paths.iter().for_each(|path| self.file(path, Some(at), depth)),
            Err(message) => {
                let remedy = "a pattern may stand in the last part of the path, in a directory that can be read";
                self.findings.error(at, format!("cannot include `{pattern}`: {message}"), remedy);
            }
        }
    }
}

/// The files in `directory` whose names match `pattern`, sorted; hidden ones only when the pattern says so. None is
/// no error: such a directory is filled later.
fn matches(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let pattern = glob::Pattern::new(pattern).map_err(|error| error.msg.to_owned())?;
    let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(listed).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        if pattern.matches_path_with(Path::new(&name), options) && !listed.join(&name).is_dir() {
            paths.push(directory.join(&name));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Adds `from` to `into`; a key that both have is an error, unless it is a table in both.
fn merge(into: &mut Table, from: Table, section: &str, findings: &mut Findings) {
    for (name, setting) in from {
        match into.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(setting);
            }
            Entry::Occupied(mut entry) => {
                let (spelled, below) = (spell(section, entry.key()), nested(section, entry.key()));
                let first = entry.get_mut();
                match (&mut first.item.value, setting.item.value) {
                    (Value::Table(into), Value::Table(from)) => merge(into, from, &below, findings),
                    _ => {
                        let remedy = format!("remove it here or at {}", first.key);
                        findings.error(&setting.key, format!("{spelled} is set in two files, first at {}", first.key), remedy);
                    }
                }
            }
        }
    }
}

/// The text of one file.
struct Source {
    file: Arc<Path>,
    text: String,
    /// Where each line starts.
    lines: Vec<usize>,
}

impl Source {
    /// What of `bytes` is text, up to the first octet that is not.
    fn new(path: &Path, bytes: Vec<u8>, findings: &mut Findings) -> Self {
        let (text, bad) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                (String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned(), Some(valid))
            }
        };
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let source = Self { file: path.into(), lines: std::iter::once(0).chain(starts).collect(), text };
        if let Some(at) = bad {
            findings.syntax(source.place(at), "this is not UTF-8".into(), "save the file as UTF-8".into());
        }
        source
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset);
        let column = offset - self.lines[line - 1] + 1;
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place { file: Arc::clone(&self.file), line: number(line), column: number(column) }
    }

    /// The file's tree, without what is not TOML. The reader gives up at some errors, so it is asked again without the
    /// broken lines, until it finds no more of them.
    fn tree(&self, findings: &mut Findings) -> Table {
        let mut text = self.text.clone();
        loop {
            let (table, errors) = DeTable::parse_recoverable(&text);
            let place = |error: &toml::de::Error| self.place(error.span().unwrap_or_default().start);
            let (repeated, mut broken): (Vec<_>, Vec<_>) = errors.iter().partition(|error| error.message() == REPEATED);
            broken.sort_by_key(|error| error.span().unwrap_or_default().start);
            let mut rest = text.clone();
            for error in broken {
                let (message, remedy) = explain(error.message());
                findings.syntax(place(error), message, remedy);
                self.blank(&mut rest, place(error).line as usize - 1);
            }
            if rest == text {
                for error in repeated {
                    let key = self.text.get(error.span().unwrap_or_default()).unwrap_or_default();
                    findings.error(&place(error), format!("`{key}` is set twice in this file"), "remove one");
                }
                return self.table(table.into_inner());
            }
            text = rest;
        }
    }

    /// Puts spaces in the place of a line. A table's header takes the table with it, lest its keys fall to another.
    fn blank(&self, text: &mut String, line: usize) {
        let bounds = |line: usize| self.lines[line]..self.lines.get(line + 1).copied().unwrap_or(self.text.len());
        let header = |line: usize| self.text[bounds(line)].trim_start().starts_with('[');
        let after = (line + 1..self.lines.len()).find(|after| !header(line) || header(*after)).unwrap_or(self.lines.len());
        let range = self.lines[line]..self.lines.get(after).copied().unwrap_or(self.text.len());
        let spaces: String = text[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        text.replace_range(range, &spaces);
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let setting = |(key, value): (Spanned<std::borrow::Cow<'_, str>>, _)| {
            let at = self.place(key.span().start);
            (key.into_inner().into_owned(), Setting { key: at, item: self.item(value) })
        };
        table.into_iter().map(setting).collect()
    }

    fn item(&self, value: Spanned<DeValue<'_>>) -> Item {
        let at = self.place(value.span().start);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => Value::Integer(saturated(number.as_str(), number.radix())),
            DeValue::Boolean(flag) => Value::Boolean(flag),
            DeValue::Array(items) => Value::Array(items.into_iter().map(|item| self.item(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
        };
        Item { at, value }
    }
}

/// A message of the TOML reader, which says "what, expected what", as message and remedy.
fn explain(message: &str) -> (String, String) {
    let (what, remedy) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, format!("expected {expected}")),
        None => (message, "see https://toml.io".into()),
    };
    (format!("this is not TOML: {what}"), remedy)
}

fn saturated(digits: &str, radix: u32) -> i64 {
    let limit = if digits.starts_with('-') { i64::MIN } else { i64::MAX };
    i64::from_str_radix(digits, radix).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a file holds, reading it ends, and each place found lies in it.
        #[test]
        fn any_file_can_be_read(bytes in prop::collection::vec(prop::sample::select(&b"a1 .\"'[]{}=,\n\r#\\\xC3\xA9\xFF"[..]), 0..200)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("leeward.toml");
            std::fs::write(&path, &bytes).unwrap();
            let mut findings = Findings::default();
            read(&path, &mut findings);
            let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
            for finding in findings.into_sorted() {
                let line = lines.get(finding.line as usize - 1).map_or(0, |line| line.len());
                prop_assert!((1..=line + 1).contains(&(finding.column as usize)), "{finding}");
            }
        }
    }
}
