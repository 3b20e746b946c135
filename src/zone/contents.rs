//! A zone's checked data: what a load gives, and what versions are built from and compared with.
//!
//! It is the flat form already, without ids for its record programs and without an index: what a version needs
//! besides is added to it, and nothing is copied.
//!
//! Names are in canonical order and so are the records within an RRset (RFC 4034 6), so two contents are equal when
//! their data is, however the files were laid out. Record programs keep their order, because it is the order they
//! run in.
//!
//! Never here: reading, complaining (`check` and `merge` do), lookup.

use std::io::{self, Write};

use super::base::{Builder, Flat};
use super::finding::{Findings, Position};
use super::gather::Names;
use super::lookup::Node;
use super::raw::Raw;
use super::{check, merge, rdata};
use crate::wire::{Name, NameRef, RecordType, Serial, Ttl};

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

/// A zone's data, checked: it has one SOA and an NS at its apex, all names are within it.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The ids of its programs mean nothing.
    pub(super) flat: Flat,
}

impl PartialEq for Contents {
    /// By data: not by position, case of owners, or order in the files.
    fn eq(&self, other: &Self) -> bool {
        fn sets<'z>(node: Node<'z>) -> impl Iterator<Item = (RecordType, &'z [u8])> {
            node.rrsets().map(|set| (set.rtype, set.prepared()))
        }
        let is_same =
            |(a, b): (Node<'_>, Node<'_>)| a.name() == b.name() && sets(a).eq(sets(b)) && a.lua_records() == b.lua_records();
        self.flat.len() == other.flat.len() && self.flat.nodes().zip(other.flat.nodes()).all(is_same)
    }
}

impl Contents {
    /// Sorts the records, checks them against each other and merges them; `None` where there is an error among the
    /// findings.
    pub(super) fn checked(apex: NameRef<'_>, raw: &Raw, start: &Position, findings: &mut Findings) -> Option<Self> {
        // What stays is allocated before what goes: what goes leaves no holes then.
        let builder = Builder::new(apex, raw.room());
        let names = Names::gather(apex, raw);
        check::check(apex, &names, start, findings);
        merge::merge(&names, builder, findings).map(|flat| Self { flat })
    }

    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> NameRef<'_> {
        self.flat.apex()
    }

    /// The SOA's serial.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.flat.node(0).serial()
    }

    /// How long resolvers keep a negative answer: the lower of the SOA's TTL and its MINIMUM (RFC 2308 5).
    #[must_use]
    pub fn negative_ttl(&self) -> Ttl {
        self.flat.node(0).negative_ttl()
    }

    /// The record programs by name in canonical order, and in their written order within a name.
    pub fn lua_records(&self) -> impl Iterator<Item = &LuaRecord> {
        self.flat.records().iter().map(AsRef::as_ref)
    }

    /// A master file without includes, the SOA first, that reads as equal contents.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_nodes(self.flat.nodes(), &mut out).expect("writing to a Vec does not fail");
        out
    }
}

/// Writes nodes as lines of a master file, the SOA first.
pub(super) fn write_nodes<'z>(nodes: impl Iterator<Item = Node<'z>>, out: &mut dyn Write) -> io::Result<()> {
    let mut owner = String::new();
    for node in nodes.filter(|node| !node.is_empty()) {
        owner.clear();
        std::fmt::Write::write_fmt(&mut owner, format_args!("{}", node.name())).expect("writing to a String does not fail");
        let stored =
            |soa: bool| node.rrsets().filter(move |set| (set.rtype == RecordType::SOA) == soa && set.rtype != RecordType::LUA);
        for set in stored(true).chain(stored(false)) {
            for rdata in set.rdata() {
                writeln!(out, "{owner}\t{}\tIN\t{}\t{}", set.ttl, set.rtype, rdata::rdata_to_text(set.rtype, rdata))?;
            }
        }
        for program in node.lua_records() {
            writeln!(out, "{owner}\t{}\tIN\tLUA\t{}", program.ttl, program_text(program))?;
        }
    }
    Ok(())
}

/// A program's data. Strings that cannot stand between quotes came as RFC 3597 hex and go the same way.
fn program_text(program: &LuaRecord) -> String {
    let strings: Vec<&[u8]> = program.segments.iter().map(|segment| segment.text.as_bytes()).collect();
    let text = rdata::lua_to_text(program.rtype, &strings);
    text.unwrap_or_else(|| rdata::generic_to_text(&lua_rdata(program.rtype, &program.segments)))
}
