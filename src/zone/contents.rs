//! A zone's checked data by name: what a load gives, and what versions are built from and compared with.
//!
//! Names are in canonical order and so are the records within an RRset (RFC 4034 6), so two contents are equal when
//! their data is, however the files were laid out. Record programs keep their order, because it is the order they
//! run in.
//!
//! Never here: reading, complaining (`check` does), lookup.

use std::fmt::Write as _;
use std::sync::Arc;

use super::check;
use super::finding::{Findings, Position};
use super::rdata;
use super::reader::{Raw, RawData};
use crate::wire::{KeyBuf, Name, NameRef, RecordType, Serial, Ttl};

/// An RRset's data, without its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrsetData {
    /// The type; never LUA.
    pub rtype: RecordType,
    /// The TTL that all records share.
    pub ttl: Ttl,
    /// Uncompressed RDATA in canonical order, no two the same.
    pub rdatas: Vec<Box<[u8]>>,
}

/// A record program as it was written.
#[derive(Clone, Debug)]
pub struct LuaRecord {
    /// The record's owner.
    pub owner: Name,
    /// The type of the records that it makes; LUA for a snippet that others include.
    pub rtype: RecordType,
    /// The TTL of the records that it makes.
    pub ttl: Ttl,
    /// The strings, one or more.
    pub segments: Vec<Segment>,
    /// Where the record starts.
    pub at: Position,
}

impl PartialEq for LuaRecord {
    /// By what it does, not where it stands.
    fn eq(&self, other: &Self) -> bool {
        let data = |record: &Self| (record.rtype, record.ttl);
        data(self) == data(other) && self.segments == other.segments && self.owner == other.owner
    }
}

impl Eq for LuaRecord {}

/// One string of a record program: raw, its escapes not decoded (`spec/powerdns-lua-records.md` 1.2).
#[derive(Clone, Debug)]
pub struct Segment {
    /// The code.
    pub text: Box<str>,
    /// Its first octet, after the quote.
    pub at: Position,
}

impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Segment {}

/// A program's RDATA: target type, then the strings cut at 255 octets.
pub(super) fn lua_rdata(rtype: RecordType, segments: &[Segment]) -> Vec<u8> {
    let mut out = rtype.0.to_be_bytes().to_vec();
    for segment in segments {
        rdata::put_strings(segment.text.as_bytes(), &mut out);
    }
    out
}

/// The data of one name.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) name: Name,
    /// [`NameRef::canonical_key`].
    pub(super) key: Box<[u8]>,
    /// By type number, without LUA.
    pub(super) sets: Vec<RrsetData>,
    pub(super) programs: Vec<Arc<LuaRecord>>,
}

impl PartialEq for Owned {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.sets == other.sets && self.programs == other.programs
    }
}

/// A zone's data, checked: it has one SOA and an NS at its apex, all names are within it.
#[derive(Clone, Debug)]
pub struct Contents {
    apex: Name,
    serial: Serial,
    names: Vec<Owned>,
}

impl PartialEq for Contents {
    /// By data: not by position, case of owners, or order in the files.
    fn eq(&self, other: &Self) -> bool {
        self.apex == other.apex && self.names == other.names
    }
}

impl Contents {
    /// Sorts the records, checks them against each other and merges them. What it returns is a zone only when there
    /// is no error among the findings.
    pub(super) fn checked(apex: NameRef<'_>, raw: Raw, start: Position, findings: &mut Findings) -> Self {
        let Raw { owners, records, lost } = raw;
        let mut keybuf = KeyBuf::new();
        let keys: Vec<Box<[u8]>> = owners.iter().map(|name| name.as_ref().canonical_key(&mut keybuf).into()).collect();
        let mut records = records;
        records.sort_by(|a, b| (&keys[a.owner as usize], a.rtype).cmp(&(&keys[b.owner as usize], b.rtype)));
        let gathered = check::gather(&owners, &keys, records);
        check::check(apex, &gathered, &lost, &start, findings);
        let names: Vec<Owned> = gathered.into_iter().map(|name| merge_name(name, findings)).collect();
        let serial = names.first().and_then(|first| soa_serial(&first.sets)).unwrap_or(Serial(0));
        Self { apex: apex.to_name(), serial, names }
    }

    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> NameRef<'_> {
        self.apex.as_ref()
    }

    /// The SOA's serial.
    #[must_use]
    pub const fn serial(&self) -> Serial {
        self.serial
    }

    /// How long resolvers keep a negative answer: the lower of the SOA's TTL and its MINIMUM (RFC 2308 5).
    #[must_use]
    pub fn negative_ttl(&self) -> Ttl {
        let sets = self.names.first().map_or(&[][..], |first| &first.sets);
        let soa = sets.iter().find(|set| set.rtype == RecordType::SOA);
        let minimum = soa.and_then(|soa| soa_numbers(soa.rdatas.first()?)).and_then(|[.., minimum]| Ttl::new(minimum));
        soa.map_or(Ttl::MAX, |soa| soa.ttl).min(minimum.unwrap_or(Ttl::MAX))
    }

    /// The record programs by name in canonical order, and in their written order within a name.
    pub fn lua_records(&self) -> impl Iterator<Item = &LuaRecord> {
        self.names.iter().flat_map(|name| name.programs.iter().map(AsRef::as_ref))
    }

    /// The names with their RRsets (LUA left out) in canonical order.
    pub fn rrsets(&self) -> impl Iterator<Item = (NameRef<'_>, &RrsetData)> {
        self.names.iter().flat_map(|owned| owned.sets.iter().map(|set| (owned.name.as_ref(), set)))
    }

    pub(super) fn names(&self) -> &[Owned] {
        &self.names
    }

    /// A master file without includes, the SOA first, that reads as equal contents; for last-good copies.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = String::new();
        for owned in &self.names {
            let (soa, rest): (Vec<_>, Vec<_>) = owned.sets.iter().partition(|set| set.rtype == RecordType::SOA);
            for set in soa.into_iter().chain(rest) {
                for rdata in &set.rdatas {
                    let data = rdata::rdata_to_text(set.rtype, rdata);
                    put_line(&mut out, &owned.name, set.ttl, &set.rtype.to_string(), &data);
                }
            }
            for program in &owned.programs {
                put_line(&mut out, &owned.name, program.ttl, "LUA", &program_text(program));
            }
        }
        out.into_bytes()
    }
}

fn put_line(out: &mut String, owner: &Name, ttl: Ttl, rtype: &str, data: &str) {
    writeln!(out, "{owner}\t{ttl}\tIN\t{rtype}\t{data}").expect("writing to a String does not fail");
}

/// A program's data. Strings that cannot stand between quotes came as RFC 3597 hex and go the same way.
fn program_text(program: &LuaRecord) -> String {
    let strings: Vec<&[u8]> = program.segments.iter().map(|segment| segment.text.as_bytes()).collect();
    let text = rdata::lua_to_text(program.rtype, &strings);
    text.unwrap_or_else(|| rdata::generic_to_text(&lua_rdata(program.rtype, &program.segments)))
}

fn soa_serial(sets: &[RrsetData]) -> Option<Serial> {
    let soa = sets.iter().find(|set| set.rtype == RecordType::SOA)?.rdatas.first()?;
    soa_numbers(soa).map(|[serial, ..]| Serial(serial))
}

/// The five numbers at the end of SOA RDATA: serial, refresh, retry, expire, minimum.
pub(super) fn soa_numbers(rdata: &[u8]) -> Option<[u32; 5]> {
    let tail = rdata.last_chunk::<20>()?;
    let mut numbers = [0; 5];
    for (number, octets) in numbers.iter_mut().zip(tail.chunks_exact(4)) {
        *number = u32::from_be_bytes(octets.try_into().ok()?);
    }
    Some(numbers)
}

fn merge_name(name: check::Gathered, findings: &mut Findings) -> Owned {
    let mut owned = Owned { name: name.name, key: name.key, sets: Vec::new(), programs: Vec::new() };
    for set in name.sets {
        if set.rtype == RecordType::LUA {
            merge_programs(set, &mut owned.programs, findings);
        } else {
            owned.sets.push(merge_set(&owned.name, set, findings));
        }
    }
    owned
}

fn merge_programs(set: check::GatheredSet, programs: &mut Vec<Arc<LuaRecord>>, findings: &mut Findings) {
    for record in set.records.into_iter().take(check::PROGRAMS_MAX) {
        if let RawData::Program(program) = record.data {
            if programs.contains(&program) {
                findings.warn(record.at, format!("the same LUA record twice at {}", program.owner), "remove one of the two");
            } else {
                programs.push(program);
            }
        }
    }
}

/// Leaves out duplicates and takes the lowest TTL (RFC 2181 5.2), with a warning for each.
fn merge_set(owner: &Name, set: check::GatheredSet, findings: &mut Findings) -> RrsetData {
    let rtype = set.rtype;
    let first = set.records.first().map(|record| record.ttl);
    if let Some(other) = set.records.iter().find(|record| Some(record.ttl) != first) {
        let message = format!("the {rtype} records of {owner} have different TTLs, the lowest is used");
        findings.warn(other.at.clone(), message, "give all records of an RRset one TTL (RFC 2181 5.2)");
    }
    let ttl = set.records.iter().map(|record| record.ttl).min().unwrap_or(Ttl::MAX);
    let mut keyed: Vec<(Vec<u8>, Box<[u8]>, Position)> = Vec::with_capacity(set.records.len());
    for record in set.records {
        if let RawData::Rdata(rdata) = record.data {
            keyed.push((rdata::canonical(rtype, &rdata), rdata, record.at));
        }
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0)); // stable: the first that was written stays
    keyed.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            findings.warn(later.2.clone(), format!("the same {rtype} record twice at {owner}"), "remove one of the two");
        }
        same
    });
    RrsetData { rtype, ttl, rdatas: keyed.into_iter().map(|(_, rdata, _)| rdata).collect() }
}
