//! The flat form of a zone: all names, nodes and records in a handful of buffers; a name and its records side by side.
//!
//! Nodes are sorted in canonical order, so the vector of nodes is the NSEC index. A hash table of node numbers finds
//! a name in one probe; its hasher is keyed anew for each base, so nobody can choose names that collide. Offsets are
//! 32 bits wide: `check` refuses zones above 4 GiB.
//!
//! [`Flat`] is what a load gives; a [`Base`] is one with its index, and is what a version stands on.
//!
//! Never here: changes. A base is built once, and what changes later lies in a delta.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;

use super::contents::{LuaRecord, RrsetData, lua_rdata};
use super::lookup::{Node, RRset};
use super::version::{ProgramId, ProgramRef};
use crate::wire::{Class, NameRef, RecordType, Ttl};

/// Octets of a prepared record before its RDATA: pointer to the question's name, type, class, TTL, length.
pub(super) const RECORD_HEAD: usize = 12;

/// Octets of an encoded RRset before its records: type, how many records, how many octets they have.
const SET_HEAD: usize = 8;

/// The RRsets of a node, encoded one after the other; in the flat form those of many, each node's behind its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Storage {
    bytes: Vec<u8>,
    pub(super) programs: Vec<ProgramRef>,
    /// What each of `programs` was compiled from.
    pub(super) records: Vec<Arc<LuaRecord>>,
}

/// The RRsets that are encoded one after the other.
#[derive(Clone, Copy)]
pub(super) struct Sets<'z>(&'z [u8]);

impl<'z> Sets<'z> {
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'z> Iterator for Sets<'z> {
    type Item = RRset<'z>;

    fn next(&mut self) -> Option<RRset<'z>> {
        let (&[t0, t1, c0, c1, l0, l1, l2, l3], rest) = self.0.split_first_chunk::<SET_HEAD>()?;
        let (records, rest) = rest.split_at_checked(u32::from_be_bytes([l0, l1, l2, l3]) as usize)?;
        self.0 = rest;
        Some(RRset::new(RecordType(u16::from_be_bytes([t0, t1])), u16::from_be_bytes([c0, c1]), records))
    }
}

impl Storage {
    /// The RRsets of the one node that this is the storage of.
    pub(super) fn sets(&self) -> Sets<'_> {
        Sets(&self.bytes)
    }

    /// Appends an RRset.
    pub(super) fn put_set(&mut self, set: &RrsetData) {
        let records = set.rdatas.iter().map(|rdata| (set.ttl, &**rdata));
        self.put_records(set.rtype, records);
    }

    /// Appends an RRset from a storage that holds it.
    pub(super) fn copy_set(&mut self, set: RRset<'_>) {
        let start = self.open_set(set.rtype);
        self.bytes.extend_from_slice(set.prepared());
        self.close_set(start, set.count);
    }

    /// Appends programs, with the RRset of type LUA that holds their text.
    pub(super) fn put_programs<'r>(&mut self, programs: impl Iterator<Item = (ProgramId, &'r Arc<LuaRecord>)>) {
        let mut rdatas: Vec<(Ttl, Vec<u8>)> = Vec::new();
        for (id, record) in programs {
            rdatas.push((record.ttl, lua_rdata(record.rtype, &record.segments)));
            self.programs.push(ProgramRef { id, rtype: record.rtype, ttl: record.ttl });
            self.records.push(Arc::clone(record));
        }
        if !rdatas.is_empty() {
            self.put_records(RecordType::LUA, rdatas.iter().map(|(ttl, rdata)| (*ttl, &**rdata)));
        }
    }

    /// Appends an RRset with the TTL and RDATA of each record.
    pub(super) fn put_records<'r>(&mut self, rtype: RecordType, records: impl Iterator<Item = (Ttl, &'r [u8])>) {
        let start = self.open_set(rtype);
        let mut count = 0;
        for (ttl, rdata) in records {
            let rdlength = u16::try_from(rdata.len()).expect("RDATA above 65,535 octets is refused when it is read");
            let mut head = [0; RECORD_HEAD];
            head[..2].copy_from_slice(&[0xC0, 0x0C]); // the name of the question (RFC 1035 4.1.4)
            head[2..4].copy_from_slice(&rtype.0.to_be_bytes());
            head[4..6].copy_from_slice(&Class::IN.0.to_be_bytes());
            head[6..10].copy_from_slice(&ttl.seconds().to_be_bytes());
            head[10..].copy_from_slice(&rdlength.to_be_bytes());
            self.bytes.extend_from_slice(&head);
            self.bytes.extend_from_slice(rdata);
            count += 1;
        }
        self.close_set(start, count);
    }

    fn shrink_to_fit(&mut self) {
        let Self { bytes, programs, records } = self;
        bytes.shrink_to_fit();
        programs.shrink_to_fit();
        records.shrink_to_fit();
    }

    /// Begins an RRset; where it starts.
    fn open_set(&mut self, rtype: RecordType) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&rtype.0.to_be_bytes());
        self.bytes.extend_from_slice(&[0; SET_HEAD - 2]);
        start
    }

    /// Ends the RRset that starts there, which has so many records.
    fn close_set(&mut self, start: usize, count: u16) {
        let len = offset(self.bytes.len() - start - SET_HEAD);
        self.bytes[start + 2..start + 4].copy_from_slice(&count.to_be_bytes());
        self.bytes[start + 4..start + SET_HEAD].copy_from_slice(&len.to_be_bytes());
    }
}

fn offset(len: usize) -> u32 {
    u32::try_from(len).expect("zones above 4 GiB are refused when they are checked")
}

/// Where a node's parts start; they end where the next node's start.
#[derive(Clone, Copy, Debug)]
struct NodeSlot {
    /// Its name, and right behind it its RRsets: a lookup reads one place in memory for both.
    start: u32,
    program: u32,
    /// How many nodes are one label below.
    children: u32,
}

/// The flat form of a zone, not yet looked names up in.
#[derive(Clone, Debug)]
pub(super) struct Flat {
    /// In canonical order, the apex first, and one more at the end to bound the last.
    nodes: Vec<NodeSlot>,
    storage: Storage,
}

impl Flat {
    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    pub(super) fn apex(&self) -> NameRef<'_> {
        self.name(0)
    }

    pub(super) fn node(&self, index: usize) -> Node<'_> {
        let (slot, next) = (&self.nodes[index], &self.nodes[index + 1]);
        let programs = slot.program as usize..next.program as usize;
        let bytes = &self.storage.bytes[slot.start as usize..next.start as usize];
        let name = first_name(bytes);
        Node {
            name,
            sets: Sets(&bytes[name.len()..]),
            programs: &self.storage.programs[programs.clone()],
            records: &self.storage.records[programs],
            children: slot.children,
        }
    }

    /// In canonical order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        (0..self.len()).map(|index| self.node(index))
    }

    /// The record programs of all nodes in order.
    pub(super) fn programs(&self) -> &[ProgramRef] {
        &self.storage.programs
    }

    /// What [`Flat::programs`] are compiled from.
    pub(super) fn records(&self) -> &[Arc<LuaRecord>] {
        &self.storage.records
    }

    /// Gives each record program an id.
    pub(super) fn bind(&mut self, bind: &mut dyn FnMut(&LuaRecord) -> ProgramId) {
        for (program, record) in self.storage.programs.iter_mut().zip(&self.storage.records) {
            program.id = bind(record);
        }
    }

    fn name(&self, index: usize) -> NameRef<'_> {
        first_name(&self.storage.bytes[self.nodes[index].start as usize..])
    }

    /// Whether a node's name is this one. No name is the front of another, so it need not be known where the node's ends.
    fn is_named(&self, index: usize, wire: &[u8]) -> bool {
        let start = self.nodes[index].start as usize;
        self.storage.bytes.get(start..start + wire.len()).is_some_and(|name| name.eq_ignore_ascii_case(wire))
    }
}

fn first_name(bytes: &[u8]) -> NameRef<'_> {
    NameRef::parse(bytes).expect("names are written from names")
}

/// The flat form of a zone, and where each name is in it.
#[derive(Debug)]
pub(super) struct Base {
    flat: Flat,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl Base {
    pub(super) fn new(flat: Flat) -> Self {
        let count = flat.len();
        let hasher = RandomState::new();
        let hash = |&node: &u32| hasher.hash_one(flat.name(node as usize));
        let mut index = HashTable::with_capacity(count);
        for node in (0..).take(count) {
            index.insert_unique(hash(&node), node, hash);
        }
        Self { flat, index, hasher }
    }

    pub(super) const fn flat(&self) -> &Flat {
        &self.flat
    }

    pub(super) fn find(&self, name: NameRef<'_>) -> Option<Node<'_>> {
        let hash = self.hasher.hash_one(name);
        let wire = name.as_wire();
        let index = self.index.find(hash, |&index| self.flat.is_named(index as usize, wire))?;
        Some(self.flat.node(*index as usize))
    }
}

/// How much a zone is going to hold: what is more costs time, what is less costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    /// Octets of names.
    pub(super) octets: usize,
    pub(super) nodes: usize,
    pub(super) sets: usize,
    /// Octets of prepared records.
    pub(super) prepared: usize,
}

/// Builds the flat form from names in canonical order; makes the empty non-terminals between them.
pub(super) struct Builder {
    nodes: Vec<NodeSlot>,
    storage: Storage,
    /// The nodes from the apex to the one that was added last.
    path: Vec<usize>,
}

impl Builder {
    /// With the apex, still empty; [`Builder::begin`] it as the first name.
    pub(super) fn new(apex: NameRef<'_>, room: Room) -> Self {
        let octets = apex.len() + room.octets + room.sets * SET_HEAD + room.prepared;
        let storage = Storage { bytes: Vec::with_capacity(octets), programs: Vec::new(), records: Vec::new() };
        let mut builder = Self { nodes: Vec::with_capacity(room.nodes + 2), storage, path: Vec::new() };
        builder.push_node(apex);
        builder
    }

    /// Goes to the node `name`, at or below the apex and not before the last in canonical order; what is put into the
    /// returned storage is its data.
    pub(super) fn begin(&mut self, name: NameRef<'_>) -> &mut Storage {
        while self.path.last().is_some_and(|&above| !name.is_within(self.name(above))) {
            self.path.pop();
        }
        let above = self.path.last().map_or(name.len(), |&above| self.name(above).len());
        let missing = name.ancestors().take_while(|ancestor| ancestor.len() > above).count();
        for skipped in (0..missing).rev() {
            name.ancestors().nth(skipped).into_iter().for_each(|name| self.push_node(name));
        }
        &mut self.storage
    }

    fn name(&self, node: usize) -> NameRef<'_> {
        first_name(&self.storage.bytes[self.nodes[node].start as usize..])
    }

    fn push_node(&mut self, name: NameRef<'_>) {
        if let Some(&parent) = self.path.last() {
            self.nodes[parent].children += 1;
        }
        self.path.push(self.nodes.len());
        let slot = self.slot_here();
        self.nodes.push(slot);
        self.storage.bytes.extend_from_slice(name.as_wire());
    }

    fn slot_here(&self) -> NodeSlot {
        let Storage { bytes, programs, .. } = &self.storage;
        NodeSlot { start: offset(bytes.len()), program: offset(programs.len()), children: 0 }
    }

    /// What was built, in as little memory as it takes.
    pub(super) fn finish(mut self) -> Flat {
        let end = self.slot_here();
        self.nodes.push(end);
        let Self { mut nodes, mut storage, .. } = self;
        nodes.shrink_to_fit();
        storage.shrink_to_fit();
        Flat { nodes, storage }
    }
}
