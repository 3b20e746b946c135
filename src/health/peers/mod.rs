//! What other nodes say, and what this one tells them.
//!
//! - `bulletin`: what one node tells another.
//! - `fleet`: who the others are.
//! - `words`: what this node says, and what is new in it for whom.
//! - `vote`: what the votes make of what several nodes see.
//!
//! [`Peers`] is the rest: whom to tell what and when, what was heard of whom, and how old that is. Each peer is told by itself:
//! one bulletin at a time, the next when it is known what became of that. A change is told at once, everything that changed
//! meanwhile with the next; where nothing changes, that is told every `interval`.
//!
//! Never here: how a bulletin gets there, and whether it really is the peer that speaks (the `peers` module's).

mod bulletin;
mod fleet;
mod vote;
mod words;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::target::CheckKey;

use super::moment::Moment;

pub use bulletin::{Bulletin, Entry, Incarnation, Receipt, Word};
pub use fleet::{Fleet, Peer};
pub(super) use vote::{Ballot, Seen, verdict};
use words::{Digest, Words};

/// Between two bulletins to one peer at least, so that many changes make few of them. The first waits for nothing.
const GAP: Duration = Duration::from_millis(10);
/// How often a node that begins tries to reach a peer before it goes on without it, and how soon after a failure it tries again.
const ATTEMPTS: u32 = 3;
const AGAIN: Duration = Duration::from_millis(250);
/// What is kept of one peer at most. One that says more is not believed at all.
const SAID_MAX: usize = 1 << 20;

/// What other nodes say, and what this one tells them.
#[derive(Debug)]
pub(super) struct Peers {
    fleet: Fleet,
    /// By number; this node's own is the first.
    regions: Vec<Box<str>>,
    links: Vec<Link>,
    /// By [`CheckSpec::question`](crate::target::CheckSpec::question), and by the place of the peer in `links`.
    said: HashMap<CheckKey, Box<[Option<Said>]>>,
    words: Words,
    /// Since when too few are heard to decide anything.
    lonely_since: Option<Moment>,
    /// Whether that is so for `solo_after`.
    solo: bool,
    /// When a word of a peer last ceased to count.
    word_lost: Moment,
    changes: VecDeque<PeerChange>,
}

/// What became of the company of other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerChange {
    /// This peer can be heard, and its words count.
    Heard(Arc<str>),
    /// It was not heard for `[peers] stale_after`: its words count no longer.
    Silent(Arc<str>),
    /// It says that it is cut off: its words count no longer.
    Isolated(Arc<str>),
    /// It says that it no longer is.
    Sees(Arc<str>),
    /// Too few are heard to decide anything with them.
    NoQuorum {
        /// Nodes that are heard and not cut off themselves, this one included.
        heard: usize,
        /// Nodes that there are, this one included.
        of: usize,
    },
    /// That has been so for `[peers] solo_after`: this node goes by its own eyes.
    Solo,
    /// Enough are heard again.
    Quorum {
        /// How long it took.
        after: Duration,
    },
}

impl fmt::Display for PeerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard(peer) => write!(f, "peer {peer} is heard"),
            Self::Silent(peer) => write!(f, "peer {peer} is silent: its words count no longer"),
            Self::Isolated(peer) => write!(f, "peer {peer} says that it is cut off: its words count no longer"),
            Self::Sees(peer) => write!(f, "peer {peer} is no longer cut off"),
            Self::NoQuorum { heard, of } => {
                write!(f, "no quorum: {heard} of {of} nodes are heard; verdicts are held where others are needed for them")
            }
            Self::Solo => f.write_str("no quorum for `[peers] solo_after`: this node decides alone"),
            Self::Quorum { after } => write!(f, "enough nodes are heard again, after {:.1} s", after.as_secs_f64()),
        }
    }
}

/// What one peer says of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// What.
    pub word: Word,
    /// Since when, as far as its messages tell.
    pub since: Moment,
}

/// One peer.
#[derive(Debug)]
struct Link {
    name: Arc<str>,
    region: u16,
    heard: Option<Heard>,
    fresh: bool,
    /// How many of `said` are its.
    says: usize,
    digest: Digest,
    /// The version that it has of our words; 0: none.
    has: u64,
    /// That at which it was told everything last.
    begun: u64,
    sending: Sending,
    /// How many attempts to reach it have failed, as long as none has succeeded.
    failures: u32,
    /// When it was last reached.
    reached: Option<Moment>,
}

/// What was heard of a peer.
#[derive(Clone, Copy, Debug)]
struct Heard {
    incarnation: Incarnation,
    have: u64,
    /// Whether that is all it says.
    complete: bool,
    blind: bool,
    at: Moment,
}

/// | a peer that is | due | told, and has what it was told | told, and has something else | not reached | met |
/// | --- | --- | --- | --- | --- | --- |
/// | idle | being told | — | — | — | idle, and due now |
/// | being told | — | idle until the next change or heartbeat | the first time: idle, and due now; the second: idle until the heartbeat | idle until the heartbeat | due as soon as this has ended |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Idle {
        /// When the next heartbeat is due.
        beat: Moment,
        /// From when on a change may be told.
        change: Moment,
        /// Whether the last did not help, and this is to mend it.
        again: bool,
    },
    Telling {
        /// What it will have then.
        version: u64,
        since: Moment,
        again: bool,
        /// Whether it was met meanwhile.
        met: bool,
        /// Whether it is to be told again at once.
        soon: bool,
    },
}

/// What a bulletin has changed.
#[derive(Debug, Default)]
pub(super) struct News {
    /// What is said of these is new.
    pub(super) questions: Vec<CheckKey>,
    /// What is said of any may be.
    pub(super) all: bool,
}

/// All there is to say of one peer.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub region: Box<str>,
    /// Whether it was heard lately.
    pub fresh: bool,
    /// Whether it says that it is cut off.
    pub blind: bool,
    /// When it was last heard.
    pub heard: Option<Moment>,
    /// Which life of it that was.
    pub incarnation: Option<Incarnation>,
    /// Of how many targets it says something.
    pub says: usize,
    /// When it was last reached.
    pub reached: Option<Moment>,
    /// Changes of ours that it has not heard yet, as far as is known.
    pub behind: u64,
}

impl Peers {
    /// No other nodes.
    pub(super) fn none(incarnation: Incarnation) -> Self {
        Self {
            fleet: Fleet::default(),
            regions: vec!["".into()],
            links: Vec::new(),
            said: HashMap::new(),
            words: Words::new(incarnation),
            lonely_since: None,
            solo: false,
            word_lost: Moment::at(Duration::ZERO),
            changes: VecDeque::new(),
        }
    }

    /// What became of the company of others, oldest first.
    pub(super) fn take_change(&mut self) -> Option<PeerChange> {
        self.changes.pop_front()
    }

    /// From one heartbeat to the next.
    pub(super) const fn interval(&self) -> Duration {
        self.fleet.interval
    }

    /// Whether there is nobody else.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Takes over who the others are. What was heard of those that stay is kept; whether what is believed may be otherwise now.
    pub(super) fn configure(&mut self, fleet: &Fleet, now: Moment) -> bool {
        if self.fleet == *fleet {
            return false;
        }
        self.regions = vec![fleet.region.clone()];
        let mut before: Vec<(usize, Link)> = std::mem::take(&mut self.links).into_iter().enumerate().collect();
        let mut places = Vec::new();
        for peer in &fleet.peers {
            let region = self.region(&peer.region);
            let known = before.iter().position(|(_, link)| link.name == peer.name).map(|at| before.swap_remove(at));
            places.push(known.as_ref().map(|&(place, _)| place));
            let link = known.map(|(_, link)| Link { region, ..link });
            self.links.push(link.unwrap_or_else(|| Link::new(Arc::clone(&peer.name), region, now)));
        }
        for said in self.said.values_mut() {
            *said = places.iter().map(|place| place.and_then(|place| *said.get(place)?)).collect();
        }
        self.said.retain(|_, said| said.iter().any(Option::is_some));
        self.fleet = fleet.clone();
        self.follow_company(now);
        if self.links.is_empty() {
            self.words.clear(now);
        }
        true
    }

    fn region(&mut self, name: &str) -> u16 {
        let at = self.regions.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.regions.push(name.into());
            self.regions.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// Says what this node has seen of a target; `None`: it is probed no longer.
    pub(super) fn say(&mut self, key: CheckKey, word: Option<Word>, now: Moment) {
        if !self.links.is_empty() {
            self.words.say(key, word, now);
        }
    }

    /// From now on what was said is all that there is to say: what is probed is known.
    pub(super) const fn know_all(&mut self) {
        self.words.complete();
    }

    /// Takes in what a peer tells: what it has to know about that, and what is new.
    pub(super) fn hear(&mut self, name: &str, bulletin: &Bulletin, now: Moment) -> (Receipt, News) {
        let Some(place) = self.links.iter().position(|link| *link.name == *name) else {
            return (Receipt { have: 0 }, News::default());
        };
        let mut news = News::default();
        let known = self.links[place].heard.filter(|heard| heard.incarnation == bulletin.incarnation);
        let have = known.map_or(0, |heard| heard.have);
        if bulletin.base == 0 {
            self.forget(place, &mut news, now);
        } else if have != bulletin.base {
            return (Receipt { have }, news);
        }
        if self.links[place].says + bulletin.entries.len() > SAID_MAX {
            return (Receipt { have }, news);
        }
        for entry in &bulletin.entries {
            if self.enter(place, entry, now) {
                news.questions.push(entry.key);
            }
        }
        let link = &mut self.links[place];
        let differs = bulletin.digest.is_some_and(|digest| digest != link.digest.value());
        let have = if differs { 0 } else { bulletin.version };
        let complete = bulletin.digest.is_some() && !differs;
        let blind = bulletin.blind;
        let (was_complete, was_blind) = link.heard.map_or((false, false), |heard| (heard.complete, heard.blind));
        link.heard = Some(Heard { incarnation: bulletin.incarnation, have, complete, blind, at: now });
        if blind && !was_blind {
            self.word_lost = now;
        }
        if was_blind != blind {
            let name = Arc::clone(&link.name);
            self.changes.push_back(if blind { PeerChange::Isolated(name) } else { PeerChange::Sees(name) });
        }
        news.all |= (was_complete, was_blind) != (complete, blind);
        news.all |= self.follow_company(now);
        (Receipt { have }, news)
    }

    /// Enters what a peer says of one target; whether that is something else than before.
    fn enter(&mut self, place: usize, entry: &Entry, now: Moment) -> bool {
        let link = &mut self.links[place];
        let none = || vec![None; self.fleet.peers.len()].into_boxed_slice();
        let said = &mut self.said.entry(entry.key).or_insert_with(none)[place];
        let next = entry.word.map(|word| Said { word, since: now - entry.age });
        let before = std::mem::replace(said, next).map(|said| said.word);
        if before.is_some_and(|before| before != Word::NoWord) && entry.word.is_none_or(|word| word == Word::NoWord) {
            self.word_lost = now;
        }
        if let Some(word) = before {
            link.digest.toggle(entry.key, word);
            link.says -= 1;
        }
        if let Some(word) = entry.word {
            link.digest.toggle(entry.key, word);
            link.says += 1;
        } else if self.said.get(&entry.key).is_some_and(|said| said.iter().all(Option::is_none)) {
            self.said.remove(&entry.key);
        }
        before != entry.word
    }

    /// Forgets what a peer said.
    fn forget(&mut self, place: usize, news: &mut News, now: Moment) {
        let link = &mut self.links[place];
        if link.says > 0 {
            self.word_lost = now;
            self.said.values_mut().for_each(|said| said[place] = None);
            self.said.retain(|_, said| said.iter().any(Option::is_some));
            news.all = true;
        }
        (link.says, link.digest, link.heard) = (0, Digest::default(), None);
    }

    /// A peer has begun a session: it knows nothing of this node, or this node knows nothing of it.
    pub(super) fn meet(&mut self, name: &str, now: Moment) {
        let Some(link) = self.links.iter_mut().find(|link| *link.name == *name) else { return };
        link.has = 0;
        match &mut link.sending {
            Sending::Idle { beat, .. } => *beat = now,
            Sending::Telling { met, .. } => *met = true,
        }
    }

    /// A bulletin has ended: what the peer has now; `None`: it was not reached.
    pub(super) fn told(&mut self, name: &str, receipt: Option<Receipt>, random: &mut fastrand::Rng, now: Moment) {
        let Some(link) = self.links.iter_mut().find(|link| *link.name == *name) else { return };
        if receipt.is_none() {
            link.failures = link.failures.saturating_add(1);
        }
        let Sending::Telling { version, since, again, met, soon } = link.sending else { return };
        let next = since + self.fleet.interval.mul_f64(1.0 - 0.1 * random.f64());
        if let Some(receipt) = receipt {
            (link.has, link.reached) = (receipt.have, Some(now));
        }
        let (beat, change, again) = match receipt {
            _ if met => (now, now, false),
            Some(_) if soon => (now, now, false),
            None if link.reached.is_none() && link.failures < ATTEMPTS => (now + AGAIN, now + AGAIN, false),
            Some(receipt) if receipt.have == version => (next, since + GAP, false),
            Some(_) if !again => (now, now, true),
            Some(_) | None => (next, next, false),
        };
        if met {
            link.has = 0;
        }
        link.sending = Sending::Idle { beat, change, again };
    }

    /// What is to be told to whom now.
    pub(super) fn take_due(&mut self, blind: bool, now: Moment) -> Vec<(Arc<str>, Bulletin)> {
        let mut due = Vec::new();
        for link in &mut self.links {
            if link.next(self.words.version()).is_none_or(|next| next > now) {
                continue;
            }
            let bulletin = self.words.since(link.has, link.begun, blind, now);
            if bulletin.base == 0 {
                link.begun = self.words.version();
            }
            let again = matches!(link.sending, Sending::Idle { again: true, .. });
            link.sending = Sending::Telling { version: bulletin.version, since: now, again, met: false, soon: false };
            due.push((Arc::clone(&link.name), bulletin));
        }
        due
    }

    /// Has everybody told at once, though no word is new.
    pub(super) fn hurry(&mut self, now: Moment) {
        for link in &mut self.links {
            match &mut link.sending {
                Sending::Idle { beat, .. } => *beat = now,
                Sending::Telling { soon, .. } => *soon = true,
            }
        }
    }

    /// When [`Peers::take_due`] or [`Peers::expire`] next has something to do.
    pub(super) fn next_timeout(&self) -> Option<Moment> {
        let sends = self.links.iter().filter_map(|link| link.next(self.words.version()));
        let stale = self.links.iter().filter(|link| link.fresh).filter_map(|link| link.heard);
        let stale = stale.map(|heard| heard.at + self.fleet.stale_after);
        let solo = self.lonely_since.filter(|_| !self.solo).map(|since| since + self.fleet.solo_after);
        sends.chain(stale).chain(solo).min()
    }

    /// Whether, by the passing of time, what is believed of any target may be otherwise now.
    pub(super) fn expire(&mut self, now: Moment) -> bool {
        self.follow_company(now)
    }

    /// Who can be heard; whether that is otherwise than it was.
    fn follow_company(&mut self, now: Moment) -> bool {
        let mut changed = false;
        for link in &mut self.links {
            let fresh = link.heard.is_some_and(|heard| now < heard.at + self.fleet.stale_after);
            if fresh != std::mem::replace(&mut link.fresh, fresh) {
                let name = Arc::clone(&link.name);
                if !fresh {
                    self.word_lost = now;
                }
                self.changes.push_back(if fresh { PeerChange::Heard(name) } else { PeerChange::Silent(name) });
                changed = true;
            }
        }
        changed | self.follow_quorum(now)
    }

    /// Whether so many can be heard that something can be decided; whether this node decides alone now, and did not, or did.
    fn follow_quorum(&mut self, now: Moment) -> bool {
        let of = 1 + self.links.len();
        let heard = 1 + self.links.iter().filter(|link| link.counts()).count();
        let since = (of > 1 && 2 * heard <= of).then(|| self.lonely_since.unwrap_or(now));
        match (self.lonely_since, since) {
            (None, Some(_)) => self.changes.push_back(PeerChange::NoQuorum { heard, of }),
            (Some(since), None) => self.changes.push_back(PeerChange::Quorum { after: now.since(since) }),
            (None, None) | (Some(_), Some(_)) => {}
        }
        let solo = since.is_some_and(|since| now >= since + self.fleet.solo_after);
        if solo && !self.solo {
            self.changes.push_back(PeerChange::Solo);
        }
        self.lonely_since = since;
        solo != std::mem::replace(&mut self.solo, solo)
    }

    /// Whether this node has heard from too few for so long that it goes by its own eyes.
    pub(super) const fn is_solo(&self) -> bool {
        self.solo
    }

    /// When a word of a peer last ceased to count.
    pub(super) const fn word_lost(&self) -> Moment {
        self.word_lost
    }

    /// Since when this node hears from too few to decide anything.
    pub(super) const fn lonely_since(&self) -> Option<Moment> {
        self.lonely_since
    }

    /// Whether everybody has said all, or cannot be reached.
    pub(super) fn has_joined(&self) -> bool {
        let is_away = |link: &Link| link.reached.is_none() && link.failures >= ATTEMPTS;
        let done = |link: &Link| link.heard.is_some_and(|heard| heard.complete) || is_away(link);
        self.links.iter().all(done)
    }

    /// Whether somebody has had no word for so long that it takes no part in this vote: it cannot see the target, by IPv6 for
    /// instance, and never will.
    fn abstains(&self, word: Word, since: Moment, now: Moment) -> bool {
        word == Word::NoWord && now.since(since) >= self.fleet.solo_after
    }

    /// The same of this node.
    pub(super) fn abstain(&self, key: CheckKey, now: Moment) -> bool {
        self.words.said(key).is_some_and(|(word, since)| self.abstains(word, since, now))
    }

    /// What those say that probe the target, or may for all that is known.
    pub(super) fn ballots(&self, key: CheckKey, now: Moment) -> Vec<Ballot> {
        let said = self.said.get(&key);
        let ballot = |(place, link): (usize, &Link)| {
            let said = said.and_then(|said| said[place]);
            let complete = link.heard.is_some_and(|heard| heard.complete);
            let word = match said {
                Some(said) if link.counts() && self.abstains(said.word, said.since, now) => return None,
                Some(said) if link.counts() => said.word,
                None if complete => return None,
                Some(_) | None => Word::NoWord,
            };
            Some(Ballot { region: link.region, word })
        };
        self.links.iter().enumerate().filter_map(ballot).collect()
    }

    /// The region of this node, in ballots.
    pub(super) const fn own_region() -> u16 {
        0
    }

    /// What each peer says of a target, whether it counts or not.
    pub(super) fn said(&self, key: CheckKey) -> Vec<(Arc<str>, Said)> {
        let said = self.said.get(&key).into_iter().flat_map(|said| said.iter());
        self.links.iter().zip(said).filter_map(|(link, said)| Some((Arc::clone(&link.name), (*said)?))).collect()
    }

    /// All there is to say of each peer.
    pub(super) fn views(&self) -> Vec<PeerView> {
        let view = |link: &Link| PeerView {
            name: Arc::clone(&link.name),
            region: self.regions[usize::from(link.region)].clone(),
            fresh: link.fresh,
            blind: link.heard.is_some_and(|heard| heard.blind),
            heard: link.heard.map(|heard| heard.at),
            incarnation: link.heard.map(|heard| heard.incarnation),
            says: link.says,
            reached: link.reached,
            behind: self.words.version() - link.has.min(self.words.version()),
        };
        self.links.iter().map(view).collect()
    }
}

impl Link {
    /// To be told at once.
    fn new(name: Arc<str>, region: u16, now: Moment) -> Self {
        let sending = Sending::Idle { beat: now, change: now, again: false };
        Self {
            name,
            region,
            heard: None,
            fresh: false,
            says: 0,
            digest: Digest::default(),
            has: 0,
            begun: 0,
            sending,
            failures: 0,
            reached: None,
        }
    }

    /// Whether its words count.
    fn counts(&self) -> bool {
        self.fresh && self.heard.is_some_and(|heard| !heard.blind)
    }

    /// When it is to be told again; `None`: it is being told.
    fn next(&self, version: u64) -> Option<Moment> {
        match self.sending {
            Sending::Idle { beat, change, .. } => Some(if self.has < version { beat.min(change) } else { beat }),
            Sending::Telling { .. } => None,
        }
    }
}
