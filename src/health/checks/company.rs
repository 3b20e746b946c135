//! What other nodes say of our checks, and what they are told.
//!
//! A check is **believed** to be what the votes make of it: what its own probe comes to is one word among those of the peers
//! (the tables of `peers::vote`). Whatever may change that, a result, a bulletin, a peer that falls silent, ends in
//! [`Checks::believe`], and there is no other way. Without peers what is believed is what was measured.
//!
//! What is told is only what this node has seen with its own probes, and only while that is fresh: a verdict that is held,
//! restored or inherited is no word, nor is that of a probe that is late. Of several checks that judge one probe the most
//! patient speaks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::target::{Basis, CheckId, CheckKey, CheckSpec, Judgement, Status, Value, Vote};

use super::super::config::Config;
use super::super::moment::Moment;
use super::super::peers::{Bulletin, Incarnation, PeerChange, PeerView, Peers, Receipt, Seen, Word, verdict};
use super::{Change, Checks};

/// How soon after its last run a probe may be run again because another node has news of its target.
const HEARSAY: Duration = Duration::from_secs(1);

/// What of the company of other nodes is nobody else's.
#[derive(Debug, Default)]
pub(super) struct Company {
    vote: Vote,
    /// What is believed of any check may be otherwise now.
    pub(super) recount: bool,
    /// When the first and the last run of a control began that were answered, with no sign in between that we are cut off.
    in_sight: Option<(Moment, Moment)>,
    /// Checks that are believed to be something else than this node sees: controls and time may change that.
    overruled: BTreeSet<CheckId>,
    /// Those are to be looked at again.
    reconsider: bool,
    /// When the probes that run are next looked at.
    look: Option<Moment>,
    /// What is no longer asked, which is still to be told.
    gone: BTreeSet<CheckKey>,
    /// The probes that ask from addresses of their own, by what they ask.
    sourced: HashMap<CheckKey, BTreeSet<CheckKey>>,
}

impl Checks {
    /// Has this node speak as that incarnation; before anything is said.
    pub fn speak_as(&mut self, incarnation: Incarnation) {
        self.peers = Peers::none(incarnation);
    }

    pub(super) fn keep_company(&mut self, config: &Config, now: Moment) {
        let fleet = self.peers.configure(&config.fleet, now);
        let vote = std::mem::replace(&mut self.company.vote, config.vote) != config.vote;
        self.company.recount |= fleet || vote;
        self.company.look = (!self.peers.is_empty()).then_some(now + config.fleet.interval);
        if fleet {
            self.speak_of_all(now);
        }
    }

    /// By which rule the words of other nodes count.
    pub(super) fn vote_of(&self, judgement: Judgement) -> Vote {
        judgement.vote.unwrap_or(self.company.vote)
    }

    /// What the check's own probe comes to.
    fn own(&self, id: CheckId) -> Status {
        let own = |check: &super::Check| check.verdict.status(check.judgement, self.interval_of(id));
        self.checks.get(&id).map_or(Status::NEVER, own)
    }

    /// What this node says of that. While it is blind none of it counts, here or elsewhere.
    fn word(&self, own: Status) -> Word {
        if self.blind_since.is_some() { Word::NoWord } else { sees(own) }
    }

    /// Tells what this node has seen of a probe's target.
    pub(super) fn speak(&mut self, key: CheckKey, now: Moment) {
        if self.peers.is_empty() {
            return;
        }
        let Some(question) = self.probes.get(&key).map(|probe| probe.question) else { return };
        // That this node is blind is told beside its words.
        let word = self.probes_of(question).filter_map(|key| self.seen_by(key)).max();
        self.peers.say(question, Some(word.unwrap_or(Word::NoWord)), now);
    }

    /// What a probe sees, as the most patient judges it.
    fn seen_by(&self, key: CheckKey) -> Option<Word> {
        let patience = |judgement: Judgement| (judgement.fall, judgement.rise, judgement.forget);
        let judges = self.probes.get(&key)?.judged_by.iter();
        let (_, most_patient) = judges.filter_map(|id| Some((patience(self.checks.get(id)?.judgement), *id))).max()?;
        match sees(self.own(most_patient)) {
            Word::NoWord => None,
            word => Some(word),
        }
    }

    /// The probes that ask this, from whatever address.
    fn probes_of(&self, question: CheckKey) -> impl Iterator<Item = CheckKey> {
        let sourced = self.company.sourced.get(&question).into_iter().flatten().copied();
        self.probes.contains_key(&question).then_some(question).into_iter().chain(sourced)
    }

    /// A probe has begun, or there was one already.
    fn ask(&mut self, key: CheckKey) {
        let Some(question) = self.probes.get(&key).map(|probe| probe.question) else { return };
        if question != key {
            self.company.sourced.entry(question).or_default().insert(key);
        }
        self.company.gone.remove(&question);
    }

    /// A probe has ended.
    pub(super) fn forget_question(&mut self, key: CheckKey, question: CheckKey) {
        if let Some(probes) = self.company.sourced.get_mut(&question) {
            probes.remove(&key);
            if probes.is_empty() {
                self.company.sourced.remove(&question);
            }
        }
        if !self.peers.is_empty() {
            self.company.gone.insert(question);
        }
    }

    fn speak_of_all(&mut self, now: Moment) {
        let keys: Vec<CheckKey> = self.probes.keys().copied().collect();
        keys.into_iter().for_each(|key| self.speak(key, now));
    }

    /// What is known of this node's own sight has changed.
    pub(super) fn follow_own_sight(&mut self, now: Moment) {
        self.company.recount = true;
        self.company.in_sight = None;
        self.speak_of_all(now);
        self.peers.hurry(now);
    }

    /// A control has answered a run that began then. Where there is no quorum, more may be believed of our own eyes for it.
    pub(super) fn control_answers(&mut self, started: Moment) {
        let first = self.company.in_sight.map_or(started, |(first, _)| first);
        self.company.in_sight = Some((first, started));
        self.company.reconsider = true;
    }

    /// What is to be believed of a check.
    fn verdict(&self, id: CheckId, now: Moment) -> Status {
        let own = self.own(id);
        let Some(check) = self.checks.get(&id).filter(|_| !self.peers.is_empty()) else { return own };
        let Some(probe) = self.probes.get(&check.key) else { return own };
        // What we saw last is ours to judge if controls have answered before and after, and after the others fell silent too: any
        // other answer may be older than a cut, or what was seen older than its end.
        let is_ours = |((first, last), at)| first <= at && at <= last && self.peers.word_lost() <= last;
        let alone = self.company.in_sight.zip(probe.began).is_some_and(is_ours) || self.peers.is_solo();
        let word = Some(self.word(own)).filter(|&word| word != Word::NoWord || !self.peers.abstain(probe.question, now));
        let seen = Seen { own, word, before: check.believed, alone };
        verdict(self.vote_of(check.judgement), seen, &self.peers.ballots(probe.question, now), Peers::own_region())
    }

    /// Has what is believed of a check follow what is known of it.
    pub(super) fn believe(&mut self, id: CheckId, now: Moment) -> Option<Change> {
        let to = self.verdict(id, now);
        let own = self.own(id);
        let check = self.checks.get_mut(&id)?;
        if own.value == to.value && own.basis == to.basis {
            self.company.overruled.remove(&id);
        } else {
            self.company.overruled.insert(id);
        }
        let from = std::mem::replace(&mut check.believed, to);
        if from.value != to.value {
            check.since = now;
        }
        let turned = u64::from(from.value != to.value);
        check.transitions += turned;
        let first_sign = if to.basis == Basis::Measured { check.verdict.first_sign() } else { now };
        if let Some(probe) = self.probes.get_mut(&check.key) {
            probe.transitions += turned;
        }
        (from != to).then_some(Change { check: id, from, to, first_sign })
    }

    pub(super) fn believe_all(&mut self, now: Moment) -> Vec<Change> {
        let ids: Vec<CheckId> = self.checks.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.believe(id, now)).collect()
    }

    /// Of a check that is new; `before` is what was believed of the one whose place it takes, or that shares its probe.
    pub(super) fn begin_to_believe(&mut self, id: CheckId, before: Option<Status>, now: Moment) {
        let own = self.own(id);
        let inherited = |before: Status| Status { basis: before.basis.min(Basis::Inherited), ..before };
        let known = before.filter(|before| before.value != Value::Unknown && before.value != own.value);
        let Some(check) = self.checks.get_mut(&id) else { return };
        check.believed = known.map_or(own, inherited);
        let key = check.key;
        let believed = self.verdict(id, now);
        if let Some(check) = self.checks.get_mut(&id) {
            check.believed = believed;
        }
        self.ask(key);
        self.speak(key, now);
    }

    /// Takes in what a peer says: what it is to be answered, and what is believed otherwise now.
    pub fn hear(&mut self, peer: &str, bulletin: &Bulletin, now: Moment) -> (Receipt, Vec<Change>) {
        let (receipt, news) = self.peers.hear(peer, bulletin, now);
        self.company.recount |= news.all;
        let mut changes = Vec::new();
        for question in news.questions {
            for key in self.probes_of(question).collect::<Vec<_>>() {
                let ids = self.probes.get(&key).map(|probe| probe.judged_by.clone()).unwrap_or_default();
                for id in ids {
                    changes.extend(self.believe(id, now));
                }
                self.look_into(key, peer, now);
            }
        }
        changes.extend(self.follow_company(now));
        (receipt, changes)
    }

    /// Has a probe run soon of which another node says something else than this one.
    fn look_into(&mut self, key: CheckKey, peer: &str, now: Moment) {
        let Some(probe) = self.probes.get(&key) else { return };
        let says = self.peers.said(probe.question).into_iter().find(|(name, _)| **name == *peer).map(|(_, said)| said.word);
        let sees = probe.judged_by.iter().map(|&id| self.word(self.own(id)));
        let contradicts = |word: Word| matches!((says, word), (Some(Word::Up), Word::Down) | (Some(Word::Down), Word::Up));
        if sees.into_iter().any(contradicts) {
            let soonest = probe.last.as_ref().map_or(now, |last| last.at + HEARSAY);
            self.bring_due(key, soonest.max(now));
        }
    }

    /// A peer has begun a session that it had not before.
    pub fn meet(&mut self, peer: &str, now: Moment) {
        self.peers.meet(peer, now);
    }

    /// A peer has been told what [`Checks::tell`] gave, and has that now; `None`: it was not reached.
    pub fn told(&mut self, peer: &str, receipt: Option<Receipt>, random: &mut fastrand::Rng, now: Moment) {
        self.peers.told(peer, receipt, random, now);
    }

    /// What is to be told to whom now. To be answered with [`Checks::told`] each, whatever becomes of it.
    pub fn tell(&mut self, now: Moment) -> Vec<(Arc<str>, Bulletin)> {
        self.peers.take_due(self.blind_since.is_some(), now)
    }

    /// When [`Checks::tell`] or [`Checks::follow_company`] next has something to do.
    pub(super) fn company_timeout(&self) -> Option<Moment> {
        let Company { recount, reconsider, gone, .. } = &self.company;
        let recount = (*recount || *reconsider || !gone.is_empty()).then_some(Moment::at(Duration::ZERO));
        [recount, self.company.look, self.peers.next_timeout()].into_iter().flatten().min()
    }

    /// Follows who can be heard, and what may be believed otherwise for that.
    pub(super) fn follow_company(&mut self, now: Moment) -> Vec<Change> {
        for question in std::mem::take(&mut self.company.gone) {
            let asked_by = self.probes_of(question).next();
            match asked_by {
                Some(key) => self.speak(key, now),
                None => self.peers.say(question, None, now),
            }
        }
        let mut changes = self.look_for_late(now);
        let reconsider = std::mem::take(&mut self.company.reconsider);
        if self.peers.expire(now) | std::mem::take(&mut self.company.recount) {
            changes.extend(self.believe_all(now));
        } else if reconsider {
            self.company.overruled.retain(|id| self.checks.contains_key(id));
            let overruled: Vec<CheckId> = self.company.overruled.iter().copied().collect();
            changes.extend(overruled.into_iter().filter_map(|id| self.believe(id, now)));
        }
        changes
    }

    /// This process has not run for a while: what it says is looked at before it says it again.
    pub fn wake(&mut self, now: Moment) {
        self.company.look = self.company.look.map(|_| now);
    }

    /// From now on this node's words are all that it has to say: the checks of its first load are known.
    pub fn know_all(&mut self) {
        self.peers.know_all();
    }

    /// What is late is no word: each interval, for nobody is told anything sooner.
    fn look_for_late(&mut self, now: Moment) -> Vec<Change> {
        if self.company.look.is_none_or(|look| look > now) {
            return Vec::new();
        }
        self.company.look = Some(now + self.peers.interval());
        self.company.reconsider = true;
        let is_late = |key: CheckKey, since: Moment| {
            let probe = self.probes.get(&key);
            probe.is_some_and(|probe| now.since(since) > probe.shortest_interval() + 2 * probe.spec.timeout)
        };
        let running = self.running.values().filter(|&&(key, since)| is_late(key, since)).map(|&(key, _)| key);
        let waiting = self.due.iter().take_while(|(due, _)| *due < now).filter(|&&(due, key)| is_late(key, due));
        let late: Vec<CheckKey> = running.chain(waiting.map(|&(_, key)| key)).collect();
        let mut changes = Vec::new();
        for key in late {
            let ids = self.probes.get(&key).map(|probe| probe.judged_by.clone()).unwrap_or_default();
            changes.extend(ids.into_iter().filter_map(|id| self.judge(id, None, now)));
            self.speak(key, now);
        }
        changes
    }

    /// Whether every peer has said all that it sees, or cannot be reached.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.peers.has_joined()
    }

    /// What became of the company of other nodes, oldest first.
    pub fn take_peer_change(&mut self) -> Option<PeerChange> {
        self.peers.take_change()
    }

    /// Since when this node hears from too few to decide anything with them.
    #[must_use]
    pub const fn lonely_since(&self) -> Option<Moment> {
        self.peers.lonely_since()
    }

    /// Whether that has been so for `[peers] solo_after`.
    #[must_use]
    pub const fn is_solo(&self) -> bool {
        self.peers.is_solo()
    }

    /// All there is to say of each peer.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerView> {
        self.peers.views()
    }

    /// The spec of a probe, by its identity.
    #[must_use]
    pub fn spec(&self, key: CheckKey) -> Option<&CheckSpec> {
        self.probes.get(&key).map(|probe| &*probe.spec)
    }
}

/// What a node sees whose probe comes to that.
fn sees(own: Status) -> Word {
    match own.value {
        Value::Up if own.basis == Basis::Measured => Word::Up,
        Value::Down if own.basis == Basis::Measured => Word::Down,
        Value::Up | Value::Down | Value::Unknown => Word::NoWord,
    }
}
