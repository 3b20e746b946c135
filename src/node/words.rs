//! The overrides file on its way to the engine, and what became of it.
//!
//! The file is judged by itself: by the configuration, line by line, and by the engine, which knows what there is and what an
//! answer has left. What is refused holds up nothing else, and what was said before holds. One that is not there any more is
//! refused too: a mount that fails, or a checkout that is half done, must not put a site back into service; an empty file says
//! that nothing is said.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::answers::Snapshot;
use crate::api::{self, Finding, WordReport};
use crate::config::{OverridesFile, Said};
use crate::control::{FileWords, WordFault};
use crate::health::FileWord;

use super::clock;

/// Names that are told of those that would be left without a target.
const NAMES: usize = 3;

/// The words that are in force, and the file that they are from.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    path: PathBuf,
    words: Arc<[FileWord]>,
}

/// What a file says, for the engine to judge.
#[derive(Clone, Debug)]
pub(super) struct Next(Standing);

impl Standing {
    /// What the file says now; `None`: what it said before, or nothing that could be judged.
    pub(super) fn next(&self, file: Option<&OverridesFile>, findings: &mut Vec<Finding>) -> Option<Next> {
        let path = file.map(|file| file.path.clone()).unwrap_or_default();
        let words = match file.map(|file| &file.said) {
            Some(Said::Bad) => return None,
            Some(Said::Missing) if path == self.path && !self.words.is_empty() => {
                findings.push(gone(&path));
                return None;
            }
            Some(Said::Words(words)) => Arc::clone(words),
            Some(Said::Missing) | None => Arc::default(),
        };
        let wall = millis(clock::now_and_wall().1);
        findings.extend(words.iter().filter(|word| word.expires.is_some_and(|expires| expires <= wall)).map(over));
        (words != self.words).then_some(Next(Self { path, words }))
    }

    /// From now on that is in force.
    pub(super) fn adopt(&mut self, next: Next) {
        *self = next.0;
    }

    /// How `next` differs.
    pub(super) fn changes(&self, next: &Next) -> Vec<WordReport> {
        let state = |words: &[FileWord], one: &FileWord| words.iter().find(|word| word.about == one.about).map(|word| word.state);
        let all = self.words.iter().chain(next.0.words.iter().filter(|word| state(&self.words, word).is_none()));
        let report = |word: &FileWord| {
            let (before, after) = (state(&self.words, word), state(&next.0.words, word));
            WordReport { about: word.about.clone(), before, after }
        };
        all.map(report).filter(|report| report.before != report.after).collect()
    }

    /// For the status.
    pub(super) fn shown(&self, file: Option<&OverridesFile>, errors: Vec<Finding>) -> Option<api::OverridesFile> {
        file.map(|file| api::OverridesFile { path: file.path.clone(), words: self.words.len(), errors })
    }
}

impl Next {
    /// For the engine.
    pub(super) fn load(&self) -> FileWords {
        FileWords { words: Arc::clone(&self.0.words), wall: millis(clock::now_and_wall().1) }
    }
}

fn millis(wall: SystemTime) -> u64 {
    u64::try_from(wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn over(word: &FileWord) -> Finding {
    Finding {
        error: false,
        place: word.place.to_string(),
        message: format!("the time of {} {} is over: this says nothing any more", word.about, word.state),
        remedy: "remove it, or give it another time".into(),
    }
}

/// Those of `findings` that are errors of the overrides file.
pub(super) fn errors_of(file: Option<&OverridesFile>, findings: &[Finding]) -> Vec<Finding> {
    let Some(path) = file.map(|file| file.path.display().to_string()) else { return Vec::new() };
    let of_file = |finding: &&Finding| finding.error && finding.place.strip_prefix(&path).is_some_and(is_place);
    findings.iter().filter(of_file).cloned().collect()
}

fn is_place(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(':')
}

fn gone(path: &std::path::Path) -> Finding {
    Finding {
        error: true,
        place: path.display().to_string(),
        message: "the overrides file is not there any more; what it said holds".into(),
        remedy: "put it back; an empty one takes back what it said".into(),
    }
}

/// What speaks against a word, as people are told.
pub(super) fn finding(fault: &WordFault, snapshot: &Snapshot) -> Finding {
    let FileWord { about, state, place, .. } = &fault.word;
    let (message, remedy) = if fault.bare.is_empty() {
        let message = format!("no check of any zone and no pool is about {about}");
        (message, "mend it, or add accept = \"no_such_target\" where it is to come")
    } else {
        let names = api::names_of(snapshot, &fault.bare.iter().copied().collect::<BTreeSet<_>>());
        let more = if names.len() > NAMES { ", ..." } else { "" };
        let named: Vec<&str> = names.iter().map(String::as_str).take(NAMES).collect();
        let count = fault.bare.len();
        let message = format!("{about} {state} leaves {count} record programs without a target: {}{more}", named.join(", "));
        (message, "add accept = \"would_empty\" to do it all the same")
    };
    Finding { error: true, place: place.to_string(), message, remedy: remedy.into() }
}
