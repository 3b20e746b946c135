//! The overrides file on its way to the engine, and what became of it.
//!
//! The file is judged by itself: by the configuration, line by line, and by the engine, which knows what there is and what an
//! answer has left. What is refused holds up nothing else, and what was said before holds. One that is not there is
//! refused too where something was said before, by it or by another: a mount that fails, or a checkout that is half done, must
//! not put a site back into service; an empty file says that nothing is said, and so does a configuration that names none.

use std::collections::BTreeSet;
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

/// The words that are in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    words: Arc<[FileWord]>,
}

/// What a file says, for the engine to judge.
#[derive(Clone, Debug)]
pub(super) struct Next(Standing);

impl Standing {
    /// What the file says now; `None`: what it said before, or nothing that could be judged.
    pub(super) fn next(&self, file: Option<&OverridesFile>, findings: &mut Vec<Finding>) -> Option<Next> {
        let words = match file.map(|file| &file.said) {
            Some(Said::Bad) => return None,
            Some(Said::Missing) if !self.words.is_empty() => {
                findings.extend(file.map(|file| gone(&file.path)));
                return None;
            }
            Some(Said::Words(words)) => Arc::clone(words),
            Some(Said::Missing) | None => Arc::default(),
        };
        let wall = millis(clock::now_and_wall().1);
        findings.extend(words.iter().filter(|word| word.expires.is_some_and(|expires| expires <= wall)).map(over));
        (words != self.words).then_some(Next(Self { words }))
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
        message: "the overrides file is not there any more, or not yet; what was said before holds".into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{About, State};

    #[test]
    fn another_file_that_is_not_there_takes_nothing_back() {
        let about = About::Subject("site/eu".parse().expect("a subject"));
        let (reason, place) = ("".into(), "old.toml:1:1".into());
        let word =
            FileWord { about, state: State::Down, expires: None, reason, place, accept_empty: false, accept_unknown: false };
        let standing = Standing { words: [word].into() };
        let file = |said| OverridesFile { path: "new.toml".into(), stamp: None, said };
        let mut findings = Vec::new();
        assert!(standing.next(Some(&file(Said::Missing)), &mut findings).is_none());
        assert_eq!(errors_of(Some(&file(Said::Missing)), &findings).len(), 1);
        assert!(standing.next(Some(&file(Said::Words([].into()))), &mut findings).is_some(), "an empty one does");
        assert!(standing.next(None, &mut findings).is_some(), "and none at all");
        assert!(Standing::default().next(Some(&file(Said::Missing)), &mut findings).is_none());
        assert_eq!(findings.len(), 1);
    }
}
