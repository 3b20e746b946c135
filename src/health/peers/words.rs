//! What this node says, and what is new in it for whom.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::target::CheckKey;

use super::super::moment::Moment;
use super::bulletin::{Bulletin, Entry, Incarnation, Word};

/// Entries of one bulletin at most: some 300 kB, and what is left follows with the next.
const TOGETHER: usize = 16_384;
/// How many probes that are gone are remembered, to be told to those who have not heard. Whoever has not heard of an older one
/// is told everything anew.
const GONE_MAX: usize = 4_096;

/// The map from probe to [`Word`] that this node tells others.
#[derive(Debug)]
pub(in crate::health) struct Words {
    incarnation: Incarnation,
    version: u64,
    said: HashMap<CheckKey, Said>,
    /// By the version of their last change; those that are gone have no word.
    changes: BTreeMap<u64, CheckKey>,
    /// Probes that were given up, by the version of that.
    gone: BTreeMap<u64, CheckKey>,
    /// Whoever has an older version than this has to be told everything.
    horizon: u64,
    /// Whether this is all: not before it is known what is probed.
    whole: bool,
    digest: Digest,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    word: Word,
    since: Moment,
    changed: u64,
}

impl Words {
    /// Nothing has been said yet.
    pub(in crate::health) fn new(incarnation: Incarnation) -> Self {
        let (said, changes, gone) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { incarnation, version: 0, said, changes, gone, horizon: 0, whole: false, digest: Digest::default() }
    }

    pub(in crate::health) const fn version(&self) -> u64 {
        self.version
    }

    pub(in crate::health) fn word(&self, key: CheckKey) -> Option<Word> {
        self.said.get(&key).map(|said| said.word)
    }

    /// What is said of that, and since when.
    pub(in crate::health) fn said(&self, key: CheckKey) -> Option<(Word, Moment)> {
        self.said.get(&key).map(|said| (said.word, said.since))
    }

    /// From now on this is all that there is to say.
    pub(in crate::health) const fn complete(&mut self) {
        self.whole = true;
    }

    /// Nothing is said any more.
    pub(in crate::health) fn clear(&mut self, now: Moment) {
        let keys: Vec<CheckKey> = self.said.keys().copied().collect();
        keys.into_iter().for_each(|key| self.say(key, None, now));
    }

    /// Says that; `None`: the target is probed no longer.
    pub(in crate::health) fn say(&mut self, key: CheckKey, word: Option<Word>, now: Moment) {
        if self.word(key) == word {
            return;
        }
        self.version += 1;
        if let Some(before) = self.said.remove(&key) {
            self.changes.remove(&before.changed);
            self.digest.toggle(key, before.word);
        }
        if let Some(word) = word {
            self.said.insert(key, Said { word, since: now, changed: self.version });
            self.digest.toggle(key, word);
        } else {
            self.gone.insert(self.version, key);
            if self.gone.len() > GONE_MAX
                && let Some((version, key)) = self.gone.pop_first()
            {
                self.horizon = version;
                if self.changes.get(&version) == Some(&key) {
                    self.changes.remove(&version);
                }
            }
        }
        self.changes.insert(self.version, key);
    }

    /// What is new to whoever has version `has`, and began to be told everything at version `begun`: of what had gone by then it
    /// has never heard.
    pub(in crate::health) fn since(&self, has: u64, begun: u64, blind: bool, now: Moment) -> Bulletin {
        let base = if has.max(begun) < self.horizon || has > self.version { 0 } else { has };
        let entry = |(&version, &key): (&u64, &CheckKey)| match self.said.get(&key) {
            Some(said) => (said.changed == version).then(|| Entry { key, word: Some(said.word), age: now.since(said.since) }),
            None => (base > 0).then_some(Entry { key, word: None, age: Duration::ZERO }),
        };
        let mut version = self.version;
        let mut entries = Vec::new();
        for change in self.changes.range(base + 1..) {
            if entries.len() == TOGETHER {
                version = change.0 - 1;
                break;
            }
            entries.extend(entry(change));
        }
        let digest = (self.whole && version == self.version).then(|| self.digest.value());
        Bulletin { incarnation: self.incarnation, base, version, entries, digest, blind }
    }
}

/// Of a map, whatever its order: two nodes that think that they have the same version see by it whether they do. Between nodes
/// that trust each other: it shows mistakes, not malice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::health) struct Digest(u64);

impl Digest {
    /// Takes an entry in, or out again.
    pub(in crate::health) fn toggle(&mut self, key: CheckKey, word: Word) {
        let mut hasher = SipHasher13::new();
        hasher.write(&key.0.to_be_bytes());
        hasher.write(word.as_str().as_bytes());
        self.0 ^= hasher.finish();
    }

    pub(in crate::health) const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    /// One who hears, and takes in what fits.
    #[derive(Default)]
    struct Hearer {
        has: u64,
        begun: u64,
        map: HashMap<CheckKey, Word>,
    }

    impl Hearer {
        /// Hears what is new, which was told at version `begun`.
        fn hear(&mut self, bulletin: &Bulletin, begun: u64) {
            if bulletin.base == 0 {
                *self = Self { begun, ..Self::default() };
            }
            assert_eq!(bulletin.base, self.has);
            for entry in &bulletin.entries {
                match entry.word {
                    Some(word) => drop(self.map.insert(entry.key, word)),
                    None => drop(self.map.remove(&entry.key)),
                }
            }
            self.has = bulletin.version;
            if let Some(digest) = bulletin.digest {
                let mut own = Digest::default();
                self.map.iter().for_each(|(&key, &word)| own.toggle(key, word));
                assert_eq!(own.value(), digest);
            }
        }
    }

    #[test]
    fn whoever_hears_now_and_then_has_all_in_the_end() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut words = Words::new(Incarnation(1));
        words.complete();
        let (mut often, mut seldom) = (Hearer::default(), Hearer::default());
        for step in 0..30_000u64 {
            let key = CheckKey(random.u128(..6_000));
            let word = *random.choice(&[None, Some(Word::Up), Some(Word::Down), Some(Word::NoWord)]).expect("four");
            words.say(key, word, at(step));
            if random.u8(..10) == 0 {
                often.hear(&words.since(often.has, often.begun, false, at(step)), words.version());
            }
            if random.u16(..9_000) == 0 {
                seldom.hear(&words.since(seldom.has, seldom.begun, false, at(step)), words.version());
            }
        }
        for hearer in [&mut often, &mut seldom, &mut Hearer::default()] {
            hearer.hear(&words.since(hearer.has, hearer.begun, false, at(30_000)), words.version());
            assert_eq!(hearer.has, words.version());
            let said: HashMap<_, _> = words.said.iter().map(|(&key, said)| (key, said.word)).collect();
            assert_eq!(hearer.map, said);
        }
        assert!(words.gone.len() <= GONE_MAX && words.changes.len() <= words.said.len() + words.gone.len(), "bounded");
    }

    #[test]
    fn what_is_much_comes_in_parts() {
        let mut words = Words::new(Incarnation(1));
        words.complete();
        (0..40_000).for_each(|key| words.say(CheckKey(key), Some(Word::Up), at(0)));
        // More have gone than are remembered, and after all that is there was said.
        (50_000..60_000).for_each(|key| words.say(CheckKey(key), Some(Word::Up), at(0)));
        (50_000..60_000).for_each(|key| words.say(CheckKey(key), None, at(0)));
        let mut hearer = Hearer::default();
        let mut parts = Vec::new();
        while hearer.has < words.version() {
            assert!(parts.len() < 9, "it does not end: {parts:?}");
            let bulletin = words.since(hearer.has, hearer.begun, false, at(7));
            parts.push((bulletin.entries.len(), bulletin.digest.is_some()));
            hearer.hear(&bulletin, words.version());
        }
        assert_eq!(hearer.map.len(), 40_000);
        assert_eq!(parts[..2], [(TOGETHER, false), (TOGETHER, false)]);
        assert!(parts.last().is_some_and(|(_, whole)| *whole), "{parts:?}");
    }

    #[test]
    fn a_heartbeat_is_empty_and_a_stranger_s_version_is_none() {
        let mut words = Words::new(Incarnation(7));
        assert_eq!(words.since(0, 0, false, at(0)).digest, None, "what is probed is not known yet");
        words.complete();
        words.say(CheckKey(1), Some(Word::Up), at(1));
        words.say(CheckKey(1), Some(Word::Up), at(2));
        let beat = words.since(1, 0, true, at(9));
        assert_eq!((beat.base, beat.version, beat.entries.len(), beat.blind), (1, 1, 0, true));
        let all = words.since(5, 0, false, at(9));
        assert_eq!((all.base, all.version), (0, 1), "it cannot have heard that from this incarnation");
        assert_eq!(all.entries, [Entry { key: CheckKey(1), word: Some(Word::Up), age: Duration::from_secs(8) }]);
    }
}
