//! Records by name in canonical order, and by type within a name: what the checks look at and a zone is built from.
//!
//! Nothing is moved or copied. Owners are sorted by canonical key (RFC 4034 6.1), eight octets at a time, as numbers; the
//! records then find their places by counting. A view of a name or of an RRset is a pointer and a number.
//!
//! Never here: complaints (`check`), RDATA.

use super::finding::Position;
use super::raw::{Raw, RawRecord};
use crate::wire::{KeyBuf, NameRef, RecordType};

/// Octets of a key that are compared at once.
const CHUNK: usize = 8;

/// All names that have records.
pub(super) struct Names<'r> {
    raw: &'r Raw,
    keys: Keys,
    /// By name, and one more at the end.
    names: Vec<NameSlot>,
    /// Name by name, and one more at the end.
    sets: Vec<SetSlot>,
    /// The records, RRset by RRset, within one in written order.
    order: Vec<Sorted>,
    /// A bit for each type that occurs.
    types: Vec<u64>,
}

/// A record's number, and its type so that sorting need not look it up.
#[derive(Clone, Copy, Default)]
struct Sorted {
    number: u32,
    rtype: RecordType,
}

struct NameSlot {
    owner: u32,
    /// Its first RRset.
    set: u32,
}

struct SetSlot {
    rtype: RecordType,
    /// Its first record in `order`.
    record: u32,
}

impl<'r> Names<'r> {
    /// Sorts the records of `raw`, whose owners are all within `apex`.
    pub(super) fn gather(apex: NameRef<'_>, raw: &'r Raw) -> Self {
        let keys = Keys::of(apex, raw);
        // All room is taken before any is given back: what is large goes back to the system whole then.
        let owners = raw.owner_count();
        let mut sorted: Vec<(u64, u32)> = (0..owners).map(|owner| (0, owner)).collect();
        let mut ranks = Ranks { of_owner: vec![0; owners as usize], first: Vec::with_capacity(owners as usize) };
        let mut order = vec![Sorted::default(); raw.records.len()];
        let mut names = Self {
            raw,
            keys,
            names: Vec::with_capacity(owners as usize + 1),
            sets: Vec::with_capacity(raw.records.len() + 1),
            order: Vec::new(),
            types: vec![0; 1 << 10],
        };
        sort(&mut sorted, &names.keys, 0, &mut ranks);
        let starts = by_rank(raw, &ranks, &mut order);
        names.order = order;
        for (range, &owner) in starts.windows(2).zip(&ranks.first) {
            names.put_name(owner, range[0] as usize..range[1] as usize);
        }
        let (set, record) = (names.sets.len() as u32, names.order.len() as u32);
        names.names.push(NameSlot { owner: 0, set });
        names.sets.push(SetSlot { rtype: RecordType(0), record });
        names
    }

    /// Takes the records of one name; none where its owner was stated and nothing of it could be read.
    fn put_name(&mut self, owner: u32, range: std::ops::Range<usize>) {
        let records = &mut self.order[range.clone()];
        if records.is_empty() {
            return;
        }
        if !records.is_sorted_by_key(|record| record.rtype) {
            records.sort_by_key(|record| record.rtype); // stable: written order stays
        }
        self.names.push(NameSlot { owner, set: self.sets.len() as u32 });
        let mut last = None;
        for at in range {
            let rtype = self.order[at].rtype;
            if last.replace(rtype) != Some(rtype) {
                self.sets.push(SetSlot { rtype, record: at as u32 });
                self.types[usize::from(rtype.0 >> 6)] |= 1 << (rtype.0 & 63);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len() - 1
    }

    pub(super) fn get(&self, index: usize) -> Gathered<'_> {
        Gathered { all: self, index }
    }

    /// In canonical order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Gathered<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Whether any name has an RRset of the type.
    pub(super) fn has(&self, rtype: RecordType) -> bool {
        self.types[usize::from(rtype.0 >> 6)] & 1 << (rtype.0 & 63) != 0
    }

    pub(super) const fn raw(&self) -> &'r Raw {
        self.raw
    }

    /// The name, where it has records.
    pub(super) fn find(&self, name: NameRef<'_>) -> Option<Gathered<'_>> {
        let mut buf = KeyBuf::new();
        let key = self.keys.relative(name, &mut buf)?;
        let at = self.partition_point(|other| other.key() < key);
        (at < self.len()).then(|| self.get(at)).filter(|found| found.key() == key)
    }

    /// Whether the name exists, if only because names below it do.
    pub(super) fn exists(&self, name: NameRef<'_>) -> bool {
        let mut buf = KeyBuf::new();
        let Some(key) = self.keys.relative(name, &mut buf) else { return false };
        let at = self.partition_point(|other| other.key() < key);
        at < self.len() && self.get(at).key().starts_with(key)
    }

    /// How many names, which are the first, `is_before` holds for.
    fn partition_point(&self, is_before: impl Fn(Gathered<'_>) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.get(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The records of one name.
#[derive(Clone, Copy)]
pub(super) struct Gathered<'g> {
    all: &'g Names<'g>,
    index: usize,
}

impl<'g> Gathered<'g> {
    /// Its place among all.
    pub(super) const fn index(self) -> usize {
        self.index
    }

    /// As it was written first.
    pub(super) fn name(self) -> NameRef<'g> {
        self.all.raw.owner(self.all.names[self.index].owner)
    }

    /// Its canonical key below the apex: that of a name below it starts with it.
    pub(super) fn key(self) -> &'g [u8] {
        self.all.keys.get(self.all.names[self.index].owner)
    }

    /// By type number.
    pub(super) fn sets(self) -> impl Iterator<Item = GatheredSet<'g>> {
        let range = self.all.names[self.index].set as usize..self.all.names[self.index + 1].set as usize;
        range.map(move |index| GatheredSet { all: self.all, index })
    }

    pub(super) fn set(self, rtype: RecordType) -> Option<GatheredSet<'g>> {
        self.sets().find(|set| set.rtype() == rtype)
    }

    /// Whether queries for addresses can be answered here.
    pub(super) fn has_address(self) -> bool {
        let is_address = |rtype| matches!(rtype, RecordType::A | RecordType::AAAA);
        self.sets().any(|set| is_address(set.rtype()) || set.programs().any(is_address))
    }

    /// Whether there are addresses that a referral can carry: record programs are not run for it (spec 2.4).
    pub(super) fn has_stored_address(self) -> bool {
        [RecordType::A, RecordType::AAAA].into_iter().any(|rtype| self.set(rtype).is_some())
    }
}

/// The records of one name and type.
#[derive(Clone, Copy)]
pub(super) struct GatheredSet<'g> {
    all: &'g Names<'g>,
    index: usize,
}

impl<'g> GatheredSet<'g> {
    pub(super) fn rtype(self) -> RecordType {
        self.all.sets[self.index].rtype
    }

    fn sorted(self) -> &'g [Sorted] {
        &self.all.order[self.all.sets[self.index].record as usize..self.all.sets[self.index + 1].record as usize]
    }

    /// How many records, 1 or more.
    pub(super) fn len(self) -> usize {
        self.sorted().len()
    }

    /// In written order.
    pub(super) fn records(self) -> impl Iterator<Item = &'g RawRecord> {
        self.sorted().iter().map(move |record| &self.all.raw.records[record.number as usize])
    }

    /// The record that was written first.
    pub(super) fn first(self) -> &'g RawRecord {
        &self.all.raw.records[self.sorted()[0].number as usize] // a set is made with its first record
    }

    /// Where that is.
    pub(super) fn at(self) -> Position {
        self.all.raw.at(self.first())
    }

    /// The target types of the record programs.
    pub(super) fn programs(self) -> impl Iterator<Item = RecordType> {
        let raw = self.all.raw;
        let records = (self.rtype() == RecordType::LUA).then(|| self.records());
        records.into_iter().flatten().filter_map(move |record| Some(raw.program(record)?.rtype))
    }
}

/// The canonical keys of owners below the apex: without its labels, which all of them share.
struct Keys {
    /// [`NameRef::canonical_key`].
    apex: Box<[u8]>,
    octets: Vec<u8>,
    /// Where each owner's key starts, and one more at the end.
    starts: Vec<usize>,
}

impl Keys {
    fn of(apex: NameRef<'_>, raw: &Raw) -> Self {
        let mut buf = KeyBuf::new();
        let mut keys = Self { apex: apex.canonical_key(&mut buf).into(), octets: Vec::new(), starts: Vec::new() };
        keys.octets.reserve(raw.owner_octets());
        keys.starts.reserve_exact(raw.owner_count() as usize + 1);
        for number in 0..raw.owner_count() {
            keys.starts.push(keys.octets.len());
            let key = keys.relative(raw.owner(number), &mut buf).unwrap_or_default();
            keys.octets.extend_from_slice(key);
        }
        keys.starts.push(keys.octets.len());
        keys
    }

    /// The key of a name below the apex; `None` of one that is not within it.
    fn relative<'b>(&self, name: NameRef<'_>, buf: &'b mut KeyBuf) -> Option<&'b [u8]> {
        name.canonical_key(buf).strip_prefix(&*self.apex)
    }

    fn get(&self, owner: u32) -> &[u8] {
        let owner = owner as usize;
        &self.octets[self.starts[owner]..self.starts[owner + 1]]
    }

    /// Eight octets of a key as a number, with zeros after its end. No key goes on with a zero after a label's end, so
    /// that keys are in the order of their chunks.
    fn chunk(&self, owner: u32, from: usize) -> u64 {
        let rest = self.get(owner).get(from..).unwrap_or_default();
        let mut chunk = [0; CHUNK];
        match rest.first_chunk() {
            Some(full) => chunk = *full,
            None => chunk[..rest.len()].copy_from_slice(rest),
        }
        u64::from_be_bytes(chunk)
    }
}

/// The names' places in canonical order.
struct Ranks {
    /// Of each owner's name, the same for owners of the same name.
    of_owner: Vec<u32>,
    /// For each place, the owner that was stated first.
    first: Vec<u32>,
}

impl Ranks {
    /// Gives the next place to owners of the same name.
    fn give(&mut self, same: &[(u64, u32)]) {
        for &(_, owner) in same {
            self.of_owner[owner as usize] = self.first.len() as u32;
        }
        self.first.extend(same.first().map(|&(_, owner)| owner));
    }
}

/// Sorts owners whose keys are the same up to `from`, and gives them their places.
fn sort(order: &mut [(u64, u32)], keys: &Keys, from: usize, ranks: &mut Ranks) {
    for (chunk, owner) in order.iter_mut() {
        *chunk = keys.chunk(*owner, from);
    }
    order.sort_unstable(); // by number where the chunks are the same: the first stays the first
    let from = from + CHUNK;
    for same in order.chunk_by_mut(|a, b| a.0 == b.0) {
        if same.len() > 1 && same.iter().any(|&(_, owner)| keys.get(owner).len() > from) {
            sort(same, keys, from, ranks);
        } else {
            ranks.give(same);
        }
    }
}

/// Puts records in order of the places of their owners' names, in written order within one; where each name's start.
fn by_rank(raw: &Raw, ranks: &Ranks, order: &mut [Sorted]) -> Vec<u32> {
    let rank = |record: &RawRecord| ranks.of_owner[record.owner as usize] as usize;
    let mut starts = vec![0u32; ranks.first.len() + 2]; // shifted by one, so that filling in leaves them right
    for record in &raw.records {
        starts[rank(record) + 2] += 1;
    }
    for at in 2..starts.len() {
        starts[at] += starts[at - 1];
    }
    for (number, record) in (0..).zip(&raw.records) {
        let next = &mut starts[rank(record) + 1];
        order[*next as usize] = Sorted { number, rtype: record.rtype };
        *next += 1;
    }
    starts.pop();
    starts
}
