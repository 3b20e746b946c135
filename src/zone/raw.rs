//! The records of a zone's files as they were read, in a handful of buffers: two million records are not two million
//! allocations, and when the zone has been built from them they go back to the system whole.
//!
//! An owner is kept once for each line that states one; names that are stated again elsewhere meet when they are sorted.
//! Offsets are 32 bits wide, which is what the flat zone has too.
//!
//! Never here: what is wrong with the records.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::base::{RECORD_HEAD, Room};
use super::contents::LuaRecord;
use super::finding::Position;
use super::lexer::Place;
use crate::wire::{Name, NameRef, RecordType, Ttl};

/// Most labels of a name (RFC 1035 3.1).
const LABELS_MAX: usize = 127;

/// The records of all files, not yet checked against each other.
#[derive(Default)]
pub(super) struct Raw {
    /// The owners' wire forms.
    names: Vec<u8>,
    /// Where each owner starts in `names`.
    owners: Vec<u32>,
    /// In the order of the files.
    pub(super) records: Vec<RawRecord>,
    /// The RDATA of all but record programs.
    rdata: Vec<u8>,
    /// Octets of the longest of them.
    longest: u16,
    programs: Vec<Arc<LuaRecord>>,
    /// Each inclusion of a file.
    files: Vec<Arc<Path>>,
    pub(super) lost: Lost,
}

/// One record as it was read.
#[derive(Clone, Copy)]
pub(super) struct RawRecord {
    /// The number of its owner.
    pub(super) owner: u32,
    pub(super) ttl: Ttl,
    /// Where its RDATA starts; of record programs, which one it is.
    data: u32,
    place: Place,
    pub(super) rtype: RecordType,
    len: u16,
    file: u16,
}

/// There is no room for more: offsets have 32 bits.
pub(super) struct TooLarge;

impl Raw {
    /// Makes room for what so many lines may hold.
    pub(super) fn reserve(&mut self, lines: usize) {
        self.owners.reserve(lines);
        self.records.reserve(lines);
    }

    /// Notes that a file is read; the number by which records refer to it.
    pub(super) fn put_file(&mut self, file: &Arc<Path>) -> u16 {
        self.files.push(Arc::clone(file));
        u16::try_from(self.files.len() - 1).expect("the number of files is bounded")
    }

    pub(super) fn put_owner(&mut self, name: NameRef<'_>) -> Result<u32, TooLarge> {
        let number = u32::try_from(self.owners.len()).map_err(|_| TooLarge)?;
        self.owners.push(u32::try_from(self.names.len()).map_err(|_| TooLarge)?);
        self.names.extend_from_slice(name.as_wire());
        Ok(number)
    }

    pub(super) fn put_rdata(
        &mut self,
        (owner, rtype, ttl): (u32, RecordType, Ttl),
        rdata: &[u8],
        (file, place): (u16, Place),
    ) -> Result<(), TooLarge> {
        let data = u32::try_from(self.rdata.len()).map_err(|_| TooLarge)?;
        let len = u16::try_from(rdata.len()).map_err(|_| TooLarge)?;
        self.rdata.extend_from_slice(rdata);
        self.longest = self.longest.max(len);
        self.put_record(RawRecord { owner, ttl, data, place, rtype, len, file })
    }

    pub(super) fn put_program(
        &mut self,
        owner: u32,
        program: Arc<LuaRecord>,
        (file, place): (u16, Place),
    ) -> Result<(), TooLarge> {
        let data = u32::try_from(self.programs.len()).map_err(|_| TooLarge)?;
        let (rtype, ttl) = (RecordType::LUA, program.ttl);
        self.programs.push(program);
        self.put_record(RawRecord { owner, ttl, data, place, rtype, len: 0, file })
    }

    fn put_record(&mut self, record: RawRecord) -> Result<(), TooLarge> {
        u32::try_from(self.records.len()).map_err(|_| TooLarge)?;
        self.records.push(record);
        Ok(())
    }

    /// How many owners were stated.
    pub(super) fn owner_count(&self) -> u32 {
        self.owners.len() as u32 // never more: `put_owner`
    }

    pub(super) fn owner(&self, number: u32) -> NameRef<'_> {
        let number = number as usize;
        let end = self.owners.get(number + 1).map_or(self.names.len(), |&end| end as usize);
        NameRef::parse(&self.names[self.owners[number] as usize..end]).expect("owners are written from names")
    }

    /// The RDATA; `None` for a record program.
    pub(super) fn rdata(&self, record: &RawRecord) -> Option<&[u8]> {
        let start = record.data as usize;
        (record.rtype != RecordType::LUA).then(|| &self.rdata[start..start + usize::from(record.len)])
    }

    /// The record program, where it is one.
    pub(super) fn program(&self, record: &RawRecord) -> Option<&Arc<LuaRecord>> {
        (record.rtype == RecordType::LUA).then(|| &self.programs[record.data as usize])
    }

    /// All record programs, in the order of the files.
    pub(super) fn programs(&self) -> &[Arc<LuaRecord>] {
        &self.programs
    }

    pub(super) fn at(&self, record: &RawRecord) -> Position {
        let Place { line, column } = record.place;
        Position { file: Arc::clone(&self.files[usize::from(record.file)]), line, column }
    }

    /// Octets that the record has when it is prepared.
    pub(super) fn prepared_len(&self, record: &RawRecord) -> usize {
        RECORD_HEAD + self.program(record).map_or(usize::from(record.len), |program| program_len(program))
    }

    /// The most octets that so many records other than programs have when they are prepared.
    pub(super) fn prepared_max(&self, records: usize) -> usize {
        records * (RECORD_HEAD + usize::from(self.longest))
    }

    /// The most octets that a zone of these records takes: each label of an owner may be a node, with a name no longer
    /// than the owner's.
    pub(super) fn octets_max(&self) -> u64 {
        let Room { octets, prepared, .. } = self.room();
        let programs: usize = self.programs.iter().map(|program| program_len(program)).sum();
        (octets * LABELS_MAX + prepared + programs) as u64
    }

    /// Octets of all owners.
    pub(super) fn owner_octets(&self) -> usize {
        self.names.len()
    }

    /// What a zone of these records holds at most, but for empty non-terminals and programs' text.
    pub(super) fn room(&self) -> Room {
        let prepared = self.rdata.len() + self.records.len() * RECORD_HEAD;
        Room { octets: self.names.len(), nodes: self.owners.len(), sets: self.records.len(), prepared }
    }
}

/// Octets of a program's RDATA.
fn program_len(program: &LuaRecord) -> usize {
    let strings = |text: &str| text.len() + text.len() / 255 + 1;
    2 + program.segments.iter().map(|segment| strings(&segment.text)).sum::<usize>()
}

/// What could not be read, so that nothing is called missing for it.
#[derive(Default)]
pub(super) struct Lost {
    /// Anything may be lost.
    pub(super) everything: bool,
    /// Anything below the apex may be lost: an owner could not be read.
    pub(super) below_apex: bool,
    /// At this name, records of this type; of any type where it is not known.
    pub(super) some: HashSet<(Name, Option<RecordType>)>,
}

impl Lost {
    /// Whether a record of this type at this name may have been lost.
    pub(super) fn may_hold(&self, apex: NameRef<'_>, name: NameRef<'_>, rtype: RecordType) -> bool {
        let at = |rtype| !self.some.is_empty() && self.some.contains(&(name.to_name(), rtype));
        self.everything || (self.below_apex && name != apex) || at(None) || at(Some(rtype))
    }
}
