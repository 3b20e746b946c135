//! The difference between two versions of a zone, RRset by RRset.
//!
//! An RRset that changed is in both sides whole, the old one removed and the new one added, which is what a transfer
//! journal says too (RFC 1995 4). The record programs of a name count as one RRset, because their order matters; one
//! that is in both sides unchanged keeps its [`ProgramId`](super::ProgramId).
//!
//! Never here: making a version (`version` does).

use std::cmp::Ordering;
use std::sync::Arc;

use super::contents::{Contents, LuaRecord, RrsetData};
use super::lookup::{Node, RRset};
use super::version::Zone;
use crate::wire::{Name, NameRef, RecordType, Serial};

/// What lies between an old and a new version.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// What the old version has and the new one does not.
    pub removed: DiffSide,
    /// What the new version has and the old one does not.
    pub added: DiffSide,
    /// The new version's serial.
    pub serial: Serial,
}

/// One side of a difference, in canonical order of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiffSide {
    pub(super) sets: Vec<(Name, RrsetData)>,
    pub(super) programs: Vec<Arc<LuaRecord>>,
}

impl DiffSide {
    /// The RRsets with their owners, LUA left out.
    pub fn rrsets(&self) -> impl Iterator<Item = (NameRef<'_>, &RrsetData)> {
        self.sets.iter().map(|(name, set)| (name.as_ref(), set))
    }

    /// The record programs.
    pub fn lua_records(&self) -> impl Iterator<Item = &LuaRecord> {
        self.programs.iter().map(AsRef::as_ref)
    }

    fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.programs.is_empty()
    }

    fn put_node(&mut self, node: Node<'_>) {
        let sets = node.rrsets().filter(|set| set.rtype != RecordType::LUA);
        self.sets.extend(sets.map(|set| (node.name().to_name(), data_of(set))));
        self.programs.extend_from_slice(node.lua_records());
    }
}

fn data_of(set: RRset<'_>) -> RrsetData {
    RrsetData { rtype: set.rtype, ttl: set.ttl, rdatas: set.rdata().map(Into::into).collect() }
}

impl Diff {
    /// Whether the versions hold the same data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// At most how many names it touches.
    pub(super) fn len(&self) -> usize {
        let side = |side: &DiffSide| side.sets.len() + side.programs.len();
        side(&self.removed).max(side(&self.added))
    }

    /// A name that both versions have.
    fn compare(&mut self, old: Node<'_>, new: Node<'_>) {
        let only_in = |node: Node<'_>, other: Node<'_>, side: &mut DiffSide| {
            let is_there = |set: RRset<'_>| other.rrset(set.rtype).is_some_and(|other| other.prepared() == set.prepared());
            let sets = node.rrsets().filter(|set| set.rtype != RecordType::LUA && !is_there(*set));
            side.sets.extend(sets.map(|set| (new.name().to_name(), data_of(set))));
        };
        only_in(old, new, &mut self.removed);
        only_in(new, old, &mut self.added);
        if old.lua_records() != new.lua_records() {
            self.removed.programs.extend_from_slice(old.lua_records());
            self.added.programs.extend_from_slice(new.lua_records());
        }
    }
}

impl Zone {
    /// What changes from this version to `contents`, which must be of the same zone.
    #[must_use]
    pub fn diff(&self, contents: &Contents) -> Diff {
        let mut diff = Diff { removed: DiffSide::default(), added: DiffSide::default(), serial: contents.serial() };
        let mut old = self.nodes().filter(|node| !node.is_empty()).peekable();
        let mut new = contents.flat.nodes().filter(|node| !node.is_empty()).peekable();
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return diff,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) if old.name() == new.name() => Ordering::Equal,
                (Some(old), Some(new)) => old.name().cmp(&new.name()),
            };
            let old = if order.is_le() { old.next() } else { None };
            let new = if order.is_ge() { new.next() } else { None };
            match (old, new) {
                (Some(old), Some(new)) => diff.compare(old, new),
                (Some(old), None) => diff.removed.put_node(old),
                (None, Some(new)) => diff.added.put_node(new),
                (None, None) => {}
            }
        }
    }
}
