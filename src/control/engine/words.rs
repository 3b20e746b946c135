//! The words of the overrides file: judged as a whole, in force as long as they stand there.
//!
//! | the file changes | then |
//! | --- | --- |
//! | while we serve | all its words are taken in, or none: a word about nothing, and one that would leave an answer without a target, refuse the whole, unless that word accepts it by name |
//! | with a start | its words are in force from the first answer, whatever follows from them: there is nothing before with which to compare. What it freezes is so before anything is measured |
//!
//! What is gone from the file is never refused: what is measured then counts is the truth. Operators' words lie over those of
//! the file ([`Overrides`]). A word that names a check by its name in the configuration is looked up again with each load, for
//! the zones decide which checks those are;
//! and where a script wants one that is named.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::load::{FileWords, LoadKind, WordFault};
use super::Engine;
use crate::health::{About, FileWord, Moment, Origin, Override, Overrides, Subject};
use crate::target::{CheckRequest, CheckSpec, Judgement};
use crate::zone::ProgramId;

/// The words of the file that is in force.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<Standing>);

/// A word that stands in the file.
#[derive(Clone, Debug)]
struct Standing {
    word: FileWord,
    /// When it ends.
    until: Option<Moment>,
    /// When it came in force, in milliseconds since 1970.
    since: u64,
}

impl Engine {
    /// Takes in what the file says now, and gives what speaks against it; what it said before is only looked up again.
    pub(super) fn take_words(&mut self, file: Option<&FileWords>, kind: LoadKind, now: Moment) -> Vec<WordFault> {
        let faults = self.judge_words(file, now);
        match file {
            Some(file) if faults.is_empty() || kind == LoadKind::Start => {
                let standing = self.standing(file, now);
                let words = self.subjects_of(&standing);
                self.words = Words(standing);
                self.enact_words(words, now);
            }
            Some(_) | None if self.named().next().is_some() => self.look_up_again(now),
            Some(_) | None => {}
        }
        faults
    }

    /// Freezes the node and zones where the file of a start does, before anything is measured.
    pub(super) fn freeze_with(&mut self, file: Option<&FileWords>, now: Moment) {
        let Some(file) = file else { return };
        let mut words = self.subjects_of(&self.standing(file, now));
        words.retain(|subject, _| matches!(subject, Subject::Node | Subject::Zone(_)));
        self.enact_words(words, now);
    }

    /// Looks up again what the words in force are about.
    pub(super) fn look_up_again(&mut self, now: Moment) {
        self.enact_words(self.subjects_of(&self.words.0), now);
    }

    /// Whether a word names that check by its name in the configuration.
    pub(super) fn is_named(&self, request: &CheckRequest) -> bool {
        self.named().any(|(check, target)| self.is_meant(check, target, &request.spec, request.judgement))
    }

    /// The checks that words in force name, and their targets.
    fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.words.0.iter().filter_map(|standing| match &standing.word.about {
            About::Named { check, target } => Some((&**check, &**target)),
            About::Subject(_) => None,
        })
    }

    fn is_meant(&self, check: &str, target: &str, spec: &CheckSpec, judgement: Judgement) -> bool {
        spec.is_at(target) && self.config.options.checks.named.names_of(spec, judgement).any(|known| known == check)
    }

    /// What speaks against the words of a file.
    pub(super) fn judge_words(&self, file: Option<&FileWords>, now: Moment) -> Vec<WordFault> {
        let Some(file) = file else { return Vec::new() };
        let standing = self.standing(file, now);
        let mut faults: Vec<WordFault> =
            self.about_nothing(&standing, now).cloned().map(|word| WordFault { word, bare: Vec::new() }).collect();
        faults.extend(self.emptying(&standing, now));
        faults
    }

    /// The words as they stand in a file. One that stood there before goes on.
    fn standing(&self, file: &FileWords, now: Moment) -> Vec<Standing> {
        let place = |word: &FileWord| {
            let since = self.before(word, now).map_or(file.wall, |old| old.since);
            let left = |expires: u64| now + Duration::from_millis(expires.saturating_sub(file.wall));
            Standing { word: word.clone(), until: word.expires.map(left), since }
        };
        file.words.iter().filter(|word| word.expires.is_none_or(|expires| expires > file.wall)).map(place).collect()
    }

    /// The words that came with this file and are about nothing that there is.
    fn about_nothing<'s>(&self, standing: &'s [Standing], now: Moment) -> impl Iterator<Item = &'s FileWord> {
        let is_fresh = move |word: &&FileWord| !word.accept_unknown && self.before(word, now).is_none();
        let fresh = standing.iter().map(|standing| &standing.word).filter(is_fresh);
        fresh.filter(|word| !self.subjects(&word.about).iter().any(|&subject| self.is_something(subject)))
    }

    fn is_something(&self, subject: Subject) -> bool {
        subject == Subject::Node || self.is_about_something(subject)
    }

    /// The same word of the file in force, unless its time is over: then it says something again, and is asked again.
    fn before(&self, word: &FileWord, now: Moment) -> Option<&Standing> {
        let is_same = |old: &&Standing| old.word.about == word.about && old.word.state == word.state;
        self.words.0.iter().filter(|old| old.until.is_none_or(|until| until > now)).find(is_same)
    }

    /// The words that leave an answer without a target, and do not accept that.
    fn emptying(&self, standing: &[Standing], now: Moment) -> Vec<WordFault> {
        let all = self.subjects_of(standing);
        let bare = self.left_bare(&all, now);
        if bare.is_empty() {
            return Vec::new();
        }
        let objects = |standing: &&Standing| !standing.word.accept_empty && self.before(&standing.word, now).is_none();
        let (objecting, accepted): (Vec<_>, Vec<_>) = standing.iter().partition(objects);
        // Whatever an objecting word is about, its being as it is now is what it is measured by.
        let filed = self.beliefs.overrides().filed().map(|word| (word.subject, word.clone()));
        let about: BTreeSet<Subject> = objecting.iter().flat_map(|one| self.subjects(&one.word.about)).collect();
        let mut tolerable: BTreeMap<Subject, Override> = filed.filter(|(subject, _)| about.contains(subject)).collect();
        tolerable.extend(self.subjects_of(accepted));
        let tolerated = self.left_bare(&tolerable, now);
        let refused: Vec<ProgramId> = bare.difference(&tolerated).copied().collect();
        if refused.is_empty() {
            return Vec::new();
        }
        let alone = |one: &&Standing| {
            let words = tolerable.clone().into_iter().chain(self.subjects_of([*one])).collect();
            let bare: Vec<ProgramId> = self.left_bare(&words, now).difference(&tolerated).copied().collect();
            (!bare.is_empty()).then(|| WordFault { word: one.word.clone(), bare })
        };
        let faults: Vec<WordFault> = objecting.iter().filter_map(alone).collect();
        if !faults.is_empty() {
            return faults;
        }
        // None does so alone.
        objecting.into_iter().map(|one| WordFault { word: one.word.clone(), bare: refused.clone() }).collect()
    }

    /// The programs that would be left without a target if the file said this, and are not so now.
    fn left_bare(&self, words: &BTreeMap<Subject, Override>, now: Moment) -> BTreeSet<ProgramId> {
        let (next, subjects) = self.next_words(words.clone());
        self.affected(&self.foresee(&next, &subjects, false, now)).1.into_iter().collect()
    }

    /// What each subject is said of by the words of a file.
    fn subjects_of<'s>(&self, standing: impl IntoIterator<Item = &'s Standing>) -> BTreeMap<Subject, Override> {
        let words = standing.into_iter().flat_map(|Standing { word, until, since }| {
            self.subjects(&word.about).into_iter().map(move |subject| (subject, word.about(subject, *until, *since)))
        });
        words.collect()
    }

    /// What a word is about.
    fn subjects(&self, about: &About) -> Vec<Subject> {
        match about {
            About::Subject(subject) => vec![*subject],
            About::Named { check, target } => {
                let meant = self.checks.judged().filter(|(_, spec, judgement)| self.is_meant(check, target, spec, *judgement));
                let keys: BTreeSet<_> = meant.map(|(key, ..)| key).collect();
                keys.into_iter().map(Subject::Check).collect()
            }
        }
    }

    /// All words, with those of the file in the place of what it said before, and what they say something else of.
    fn next_words(&self, mut words: BTreeMap<Subject, Override>) -> (Overrides, Vec<Subject>) {
        let mut next = self.beliefs.overrides().clone();
        let mut subjects = Vec::new();
        let before: Vec<Override> = next.filed().cloned().collect();
        for old in before {
            match words.remove(&old.subject) {
                Some(word) => {
                    subjects.extend((!word.says_as(&old)).then_some(word.subject));
                    next.set(word);
                }
                None => {
                    next.remove(old.subject, Origin::File);
                    subjects.push(old.subject);
                }
            }
        }
        for (subject, word) in words {
            next.set(word);
            subjects.push(subject);
        }
        (next, subjects)
    }

    fn enact_words(&mut self, words: BTreeMap<Subject, Override>, now: Moment) {
        let words = words.into_iter().filter(|(_, word)| word.until.is_none_or(|until| until > now)).collect();
        let (next, subjects) = self.next_words(words);
        self.put_in_force(next, &subjects, now);
    }
}
