//! Everything that a query needs, immutable, at one generation; and the one pointer to it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashTable;

use crate::geo::Places;
use crate::target::{ChunkTable, StatusTable};
use crate::wire::NameRef;
use crate::zone::{ProgramId, Zone};

use super::ad_hoc::AdHocChecks;
use super::counters::QueryCounters;
use super::notices::Notices;
use super::options::Options;
use super::prepared::AnswerSet;
use super::rate::RateLimiter;
use super::resolved::Resolved;

/// The number of a published snapshot. Only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that a query needs.
#[derive(Debug)]
pub struct Snapshot {
    /// Its number.
    pub generation: Generation,
    /// The zones by apex.
    pub zones: Arc<ZoneTable>,
    /// The answer set of each program, by [`ProgramId`].
    pub sets: ChunkTable<Option<Arc<AnswerSet>>>,
    /// What is believed about each check.
    pub statuses: StatusTable,
    /// What counts instead in zones that are frozen, by apex.
    pub held: Vec<(crate::wire::Name, StatusTable)>,
    /// The checks that programs made up while they ran.
    pub ad_hoc: AdHocChecks,
    /// What other servers say, the same in every snapshot.
    pub resolved: Resolved,
    /// Where addresses are.
    pub places: Arc<Places>,
    /// From the configuration.
    pub options: Arc<Options>,
    /// Who got what when; there where the options have limits, and the same in every snapshot while they stay the same.
    pub limiter: Option<Arc<RateLimiter>>,
    /// Counts what belongs to no zone.
    pub unserved: Arc<QueryCounters>,
    /// Where queries leave what they have to tell, likewise.
    pub notices: Notices,
}

impl Snapshot {
    /// A snapshot that serves nothing, for `workers` counting workers.
    #[must_use]
    pub fn empty(options: Arc<Options>, workers: usize) -> Self {
        Self {
            generation: Generation(0),
            zones: Arc::new(ZoneTable::new([])),
            sets: ChunkTable::new(None),
            statuses: StatusTable::new(),
            held: Vec::new(),
            ad_hoc: AdHocChecks::default(),
            resolved: Resolved::default(),
            places: Arc::new(Places::empty()),
            limiter: options.limiter(None),
            options,
            unserved: Arc::new(QueryCounters::new(workers)),
            notices: Notices::default(),
        }
    }

    /// What counts of each check in the zone of that apex.
    #[must_use]
    pub fn statuses_of(&self, apex: NameRef<'_>) -> &StatusTable {
        let held = self.held.iter().find(|(zone, _)| zone.as_ref() == apex);
        held.map_or(&self.statuses, |(_, statuses)| statuses)
    }

    /// The answer set of a program.
    #[must_use]
    pub fn set(&self, program: ProgramId) -> Option<&Arc<AnswerSet>> {
        self.sets.get(program.0).as_ref()
    }
}

/// One zone of a snapshot.
#[derive(Clone, Debug)]
pub struct ZoneEntry {
    /// What is served.
    pub state: ZoneState,
    /// Counts the zone's queries, over all snapshots.
    pub counters: Arc<QueryCounters>,
}

/// What is served for a configured zone.
#[derive(Clone, Debug)]
pub enum ZoneState {
    /// The zone's data; `stale` if it is the last-good copy because the file is bad.
    Serving {
        /// The data.
        zone: Zone,
        /// Whether it is the last-good copy.
        stale: bool,
    },
    /// No usable data: SERVFAIL. The apex.
    Failed(crate::wire::Name),
}

impl ZoneEntry {
    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> NameRef<'_> {
        match &self.state {
            ZoneState::Serving { zone, .. } => zone.apex(),
            ZoneState::Failed(apex) => apex.as_ref(),
        }
    }
}

/// Zones by apex, found by longest match.
#[derive(Debug)]
pub struct ZoneTable {
    entries: Vec<ZoneEntry>,
    index: HashTable<u32>,
    hasher: RandomState,
    /// The most labels that an apex has: names are not looked up above that.
    labels_max: usize,
}

impl ZoneTable {
    /// A table of `entries`, each apex once.
    pub fn new(entries: impl IntoIterator<Item = ZoneEntry>) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        let hasher = RandomState::new();
        let mut index = HashTable::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            index.insert_unique(hasher.hash_one(entry.apex()), at as u32, |&at| hasher.hash_one(entries[at as usize].apex()));
        }
        let labels_max = entries.iter().map(|entry| entry.apex().label_count()).max().unwrap_or(0);
        Self { entries, index, hasher, labels_max }
    }

    /// The zone with the longest apex at or above `name`.
    #[must_use]
    pub fn find(&self, name: NameRef<'_>) -> Option<&ZoneEntry> {
        let skip = name.label_count().saturating_sub(self.labels_max);
        name.ancestors().skip(skip).find_map(|ancestor| self.get(ancestor))
    }

    /// The zone with exactly this apex.
    #[must_use]
    pub fn get(&self, apex: NameRef<'_>) -> Option<&ZoneEntry> {
        let found = self.index.find(self.hasher.hash_one(apex), |&at| self.entries[at as usize].apex() == apex);
        found.map(|&at| &self.entries[at as usize])
    }

    /// The number of the zone with exactly this apex.
    #[must_use]
    pub(super) fn number(&self, apex: NameRef<'_>) -> Option<u32> {
        self.index.find(self.hasher.hash_one(apex), |&at| self.entries[at as usize].apex() == apex).copied()
    }

    /// Every zone.
    pub fn iter(&self) -> impl Iterator<Item = &ZoneEntry> {
        self.entries.iter()
    }
}

/// The one pointer: the engine stores, everyone else reads. A clone points to the same place.
#[derive(Clone, Debug)]
pub struct Published(Arc<ArcSwap<Snapshot>>);

/// A thread's own view of [`Published`]: checking for a newer snapshot costs less than a nanosecond. It keeps the
/// snapshot it last saw alive, so an idle thread should look now and then.
pub type Reader = arc_swap::Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>;

impl Published {
    /// Holds `first`.
    #[must_use]
    pub fn new(first: Arc<Snapshot>) -> Self {
        Self(Arc::new(ArcSwap::new(first)))
    }

    /// Replaces the snapshot; gives back the old one, for the caller to keep until no reader holds it, so that no query
    /// thread ever frees one.
    #[must_use]
    pub fn publish(&self, next: Arc<Snapshot>) -> Arc<Snapshot> {
        self.0.swap(next)
    }

    /// The snapshot now.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// A reader for one thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.0))
    }
}
