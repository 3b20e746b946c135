//! `[node] overrides_file`: what operators say, kept in a file, as `leeward drain`, `force` and `freeze` would say it.
//!
//! ```toml
//! [[override]]
//! subject = "site/eu-1"
//! state = "drain"
//! reason = "CHG-1234: new power supply"
//! until = 2026-10-01T06:00:00Z     # absent: as long as it stands here
//! accept = "would_empty"           # or "no_such_target", or both
//! ```
//!
//! A file with one bad line counts for nothing, and is no part of the configuration: what it said before goes on, and
//! everything else is read all the same. It is not there at a start where it is still to come.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::finding::{Findings, Place};
use super::raw::{self, Item, Table, Value};
use super::section::Section;
use super::stamp::Stamp;
use crate::health::FileWord;

/// Most characters of a reason, as of one that is given to a call.
const REASON_MAX: usize = 500;

const SUBJECT: &str = "write what `leeward drain`, `force` and `freeze` take, such as \"site/eu-1\", \"member/web/eu-1\", \
    \"check/web@192.0.2.1\", \"target/192.0.2.1:443\", \"pool/web\", \"zone/gslb.example.com\" or \"node/this\"";
const STATE: &str = "write \"down\", \"up\", \"drain\" or \"frozen\"";
const UNTIL: &str = "write a time with its zone, such as 2026-10-01T06:00:00Z or 2026-10-01T08:00:00+02:00";
const ACCEPT: &str = "write \"would_empty\" or \"no_such_target\", or both in an array";

/// The overrides file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverridesFile {
    /// Where it is.
    pub path: PathBuf,
    /// What told it from other versions; `None`: it could not be read.
    pub stamp: Option<Stamp>,
    /// What it says.
    pub said: Said,
}

/// What an overrides file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// These words.
    Words(Arc<[FileWord]>),
    /// It is not there.
    Missing,
    /// It has errors, and counts for nothing.
    Bad,
}

impl OverridesFile {
    /// Reads the file.
    pub(super) fn read(path: PathBuf, findings: &mut Findings) -> Self {
        let file: Arc<Path> = path.as_path().into();
        findings.opened(&file);
        let (stamp, table) = match raw::read_one(&path, findings) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::NotFound => return Self { path, stamp: None, said: Said::Missing },
            Err(error) => {
                let message = format!("cannot read the overrides in {}: {error}", path.display());
                let remedy = "the path is relative to the file that names it; leeward's user must be able to read it";
                findings.error(&Place::whole(&file), message, remedy);
                return Self { path, stamp: None, said: Said::Bad };
            }
        };
        let words = words(table, findings);
        let said = if findings.has_errors() { Said::Bad } else { Said::Words(words.into()) };
        Self { path, stamp: Some(stamp), said }
    }
}

fn words(table: Table, findings: &mut Findings) -> Vec<FileWord> {
    let mut root = Section::root(table, findings);
    let mut words = Vec::new();
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    for (at, table) in root.tables("override") {
        let Some(word) = word(root.within("override", table), &at) else { continue };
        match seen.get(&word.about.to_string()) {
            Some(first) => {
                let message = format!("{} stands here a second time, first at {first}", word.about);
                root.findings.error(&at, message, "remove one");
            }
            None => _ = seen.insert(word.about.to_string(), at),
        }
        words.push(word);
    }
    root.finish(&[]);
    words
}

fn word(mut section: Section<'_>, at: &Place) -> Option<FileWord> {
    section.require("subject", at, SUBJECT);
    section.require("state", at, STATE);
    let about = section.parsed("subject", SUBJECT, |text| text.parse().map_err(|()| "nothing that can be spoken of"));
    let state = section.parsed("state", STATE, |text| text.parse().map_err(|()| "no state"));
    let reason = section.parsed("reason", "write at most 500 characters", |text| match text.chars().count() {
        0..=REASON_MAX => Ok(text.to_owned()),
        _ => Err("too long"),
    });
    let until = until(&mut section);
    let [accept_empty, accept_unknown] = accepted(&mut section);
    let word = about.zip(state).map(|((_, about), (_, state))| FileWord {
        about,
        state,
        expires: until,
        reason: reason.map_or_else(String::new, |(_, reason)| reason).into(),
        place: at.to_string().into(),
        accept_empty,
        accept_unknown,
    });
    if let Some(FileWord { about, state, .. }) = word.as_ref().filter(|word| !word.about.takes(word.state)) {
        let message = format!("{about} cannot be {state}");
        section.findings.error(
            at,
            message,
            "the node, a zone and a pool can be frozen; everything else can be down, up or drain",
        );
    }
    section.finish(&[]);
    word
}

/// When the word ends, in milliseconds since 1970.
fn until(section: &mut Section<'_>) -> Option<u64> {
    let Item { at, value } = section.item("until")?;
    let (Value::Text(text) | Value::Date(text)) = &value else {
        section.findings.error(&at, format!("{} is {}, not a time", section.spell("until"), value.kind()), UNTIL);
        return None;
    };
    let time = match wall(text) {
        Ok(time) => time,
        Err(problem) => {
            let message = format!("{} is \"{}\": {problem}", section.spell("until"), text.escape_debug());
            section.findings.error(&at, message, UNTIL);
            return None;
        }
    };
    time.duration_since(SystemTime::UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok()).or(Some(0))
}

/// A time of RFC 3339.
fn wall(text: &str) -> Result<SystemTime, &'static str> {
    const WRONG: &str = "no time of RFC 3339";
    let time: toml::value::Datetime = text.trim().parse().map_err(|_| WRONG)?;
    let (Some(date), Some(clock)) = (time.date, time.time) else { return Err("a date and a time are needed") };
    let offset = time.offset.ok_or("the zone is missing")?;
    let utc = humantime::parse_rfc3339(&format!("{date}T{clock}Z")).map_err(|_| WRONG)?;
    let minutes = match offset {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => minutes,
    };
    let shift = Duration::from_secs(60 * u64::from(minutes.unsigned_abs()));
    if minutes < 0 { utc.checked_add(shift) } else { utc.checked_sub(shift) }.ok_or(WRONG)
}

/// Whether an answer may be left without a target, and whether there need be nothing that it is about.
fn accepted(section: &mut Section<'_>) -> [bool; 2] {
    let spelled = section.spell("accept");
    let mut accepted = [false; 2];
    for Item { at, value } in section.one_or_more("accept") {
        match &value {
            Value::Text(text) if text == "would_empty" => accepted[0] = true,
            Value::Text(text) if text == "no_such_target" => accepted[1] = true,
            Value::Text(text) => {
                let message = format!("{spelled} holds \"{}\"", text.escape_debug());
                section.findings.error(&at, message, ACCEPT);
            }
            other => section.findings.error(&at, format!("{spelled} holds {}, not a string", other.kind()), ACCEPT),
        }
    }
    accepted
}
