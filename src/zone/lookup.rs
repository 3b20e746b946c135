//! Looking names up: exact, wildcard, delegation, redirection, or nothing (RFC 1034 4.3.2, RFC 4592, RFC 6672).
//!
//! The walk goes down from the apex, one probe for each label, and stops at the first delegation or redirection, or at
//! the first name that does not exist: since empty non-terminals are nodes, nothing can exist below that. No sibling is ever looked
//! at, and a query with a hundred labels costs what the zone's own depth costs.
//!
//! | on the way down | result |
//! | --- | --- |
//! | a node below the apex, at or above the name, has NS | `Cut` |
//! | a node above the name has DNAME | `Dname` |
//! | the name itself exists, empty or not | `Exact` |
//! | the last that exists (the closest encloser) has a child `*` | `Wildcard` |
//! | it has none | `None` |
//!
//! Never here: what the answer says of it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::base::{RECORD_HEAD, Sets};
use super::contents::LuaRecord;
use super::delta::Entry;
use super::version::{ProgramRef, Zone};
use crate::wire::{KeyBuf, NameRef, RecordType, Serial, Ttl};

/// An RRset of a zone.
#[derive(Clone, Copy, Debug)]
pub struct RRset<'z> {
    /// The type.
    pub rtype: RecordType,
    /// The TTL; of record programs, which keep their own, the lowest.
    pub ttl: Ttl,
    /// How many records, 1 or more.
    pub count: u16,
    prepared: &'z [u8],
}

impl<'z> RRset<'z> {
    /// Of records that have one TTL, but for record programs.
    pub(super) fn new(rtype: RecordType, count: u16, prepared: &'z [u8]) -> Self {
        let set = Self { rtype, ttl: first_ttl(prepared), count, prepared };
        match rtype {
            RecordType::LUA => Self { ttl: set.rows().map(first_ttl).min().unwrap_or(Ttl::MAX), ..set },
            _ => set,
        }
    }

    /// The records one after the other, ready for a message whose question is the owner: each a pointer to offset 12,
    /// type, class IN, TTL, RDATA length, uncompressed RDATA.
    #[must_use]
    pub const fn prepared(&self) -> &'z [u8] {
        self.prepared
    }

    /// Each record's RDATA, uncompressed.
    pub fn rdata(&self) -> impl Iterator<Item = &'z [u8]> + use<'z> {
        self.rows().map(|row| &row[RECORD_HEAD..])
    }

    /// Each prepared record.
    fn rows(&self) -> impl Iterator<Item = &'z [u8]> + use<'z> {
        let mut rest = self.prepared;
        std::iter::from_fn(move || {
            let rdlength = u16::from_be_bytes(*rest.get(..RECORD_HEAD)?.last_chunk()?);
            let (row, after) = rest.split_at_checked(RECORD_HEAD + usize::from(rdlength))?;
            rest = after;
            Some(row)
        })
    }
}

/// The TTL of the first of prepared records.
fn first_ttl(prepared: &[u8]) -> Ttl {
    let octets = prepared.get(6..).and_then(<[u8]>::first_chunk);
    octets.and_then(|octets| Ttl::new(u32::from_be_bytes(*octets))).unwrap_or(Ttl::MAX)
}

/// A name of the zone with its data.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    pub(super) name: NameRef<'z>,
    pub(super) sets: Sets<'z>,
    pub(super) programs: &'z [ProgramRef],
    pub(super) records: &'z [Arc<LuaRecord>],
    pub(super) children: u32,
}

impl<'z> Node<'z> {
    /// The name, in the case it was written in.
    #[must_use]
    pub const fn name(&self) -> NameRef<'z> {
        self.name
    }

    /// The RRset of a type.
    #[must_use]
    pub fn rrset(&self, rtype: RecordType) -> Option<RRset<'z>> {
        self.rrsets().find(|set| set.rtype == rtype)
    }

    /// All RRsets, record programs (type LUA) included.
    pub fn rrsets(&self) -> impl Iterator<Item = RRset<'z>> + use<'z> {
        self.sets
    }

    /// The record programs in their written order.
    #[must_use]
    pub const fn programs(&self) -> &'z [ProgramRef] {
        self.programs
    }

    /// What [`Node::programs`] were compiled from, in the same order. Positions are those of the file from which the
    /// program was first taken.
    #[must_use]
    pub const fn lua_records(&self) -> &'z [Arc<LuaRecord>] {
        self.records
    }

    /// Whether this is an empty non-terminal: no data of its own, and names below it (RFC 8499 7).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The SOA RRset of an apex.
    pub(super) fn soa(&self) -> RRset<'z> {
        self.rrset(RecordType::SOA).expect("checked contents have an SOA at the apex")
    }

    /// The five numbers at the end of an apex's SOA: serial, refresh, retry, expire, minimum.
    fn soa_numbers(&self) -> [u32; 5] {
        let tail = self.soa().rdata().next().and_then(|rdata| rdata.last_chunk::<20>());
        let tail = tail.expect("SOA RDATA is checked when it is read");
        std::array::from_fn(|at| u32::from_be_bytes([tail[4 * at], tail[4 * at + 1], tail[4 * at + 2], tail[4 * at + 3]]))
    }

    pub(super) fn serial(&self) -> Serial {
        Serial(self.soa_numbers()[0])
    }

    pub(super) fn negative_ttl(&self) -> Ttl {
        let [.., minimum] = self.soa_numbers();
        self.soa().ttl.min(Ttl::new(minimum).unwrap_or(Ttl::MAX))
    }

    fn has(&self, rtype: RecordType) -> bool {
        self.rrsets().any(|set| set.rtype == rtype)
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sets: Vec<RRset<'_>> = self.rrsets().collect();
        f.debug_struct("Node").field("name", &self.name()).field("rrsets", &sets).field("programs", &self.programs).finish()
    }
}

/// What a zone has for a name.
#[derive(Clone, Copy, Debug)]
pub enum Found<'z> {
    /// The name exists; it may be an empty non-terminal.
    Exact(Node<'z>),
    /// The name does not exist and a wildcard stands for it.
    Wildcard {
        /// The wildcard, whose data is used.
        node: Node<'z>,
        /// Its parent, the closest encloser (RFC 4592 3.3.1).
        encloser: Node<'z>,
    },
    /// The name is at or below this delegation point.
    Cut(Node<'z>),
    /// The name is below this node, whose DNAME redirects all that is (RFC 6672 2.3).
    Dname(Node<'z>),
    /// The name does not exist.
    None {
        /// The longest name above it that does; the apex where the name is outside the zone.
        encloser: Node<'z>,
    },
}

impl Zone {
    /// Looks `qname` up. Case does not matter; a name outside the zone is not found.
    #[must_use]
    pub fn find(&self, qname: NameRef<'_>) -> Found<'_> {
        let mut encloser = self.apex_node();
        let apex = encloser.name();
        if !qname.is_within(apex) {
            return Found::None { encloser };
        }
        let depth = qname.label_count() - apex.label_count();
        for above in (0..depth).rev() {
            if encloser.has(RecordType::DNAME) {
                return Found::Dname(encloser);
            }
            let Some(node) = qname.ancestors().nth(above).and_then(|name| self.node(name)) else {
                return self.find_wildcard(encloser);
            };
            if node.has(RecordType::NS) {
                return Found::Cut(node);
            }
            encloser = node;
        }
        Found::Exact(encloser)
    }

    fn find_wildcard<'z>(&'z self, encloser: Node<'z>) -> Found<'z> {
        let mut wire = [0; 2 + 255];
        wire[..2].copy_from_slice(b"\x01*");
        wire[2..2 + encloser.name.len()].copy_from_slice(encloser.name.as_wire());
        match NameRef::parse(&wire).ok().and_then(|name| self.node(name)) {
            Some(node) => Found::Wildcard { node, encloser },
            None => Found::None { encloser },
        }
    }

    /// The node of exactly this name, also below a delegation.
    #[must_use]
    pub fn node(&self, name: NameRef<'_>) -> Option<Node<'_>> {
        if !self.delta.is_empty() {
            match self.delta.get(name.canonical_key(&mut KeyBuf::new())) {
                Some(Entry::Node(node)) => return Some(node.as_node()),
                Some(Entry::Tombstone) => return None,
                None => {}
            }
        }
        self.base.find(name)
    }

    pub(super) fn apex_node(&self) -> Node<'_> {
        let in_delta = || self.node(self.apex()).expect("a zone has its apex");
        if self.delta.is_empty() { self.base.flat().node(0) } else { in_delta() }
    }

    /// All nodes in canonical order (RFC 4034 6.1), the apex first, empty non-terminals included.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        let mut base = self.base.flat().nodes().peekable();
        let mut delta = self.delta.entries().peekable();
        std::iter::from_fn(move || {
            loop {
                let order = match (base.peek(), delta.peek()) {
                    (None, None) => return None,
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (Some(node), Some((key, _))) => node.name().canonical_key(&mut KeyBuf::new()).cmp(*key),
                };
                if order == Ordering::Less {
                    return base.next();
                }
                if order == Ordering::Equal {
                    base.next();
                }
                if let Some((_, Entry::Node(node))) = delta.next() {
                    return Some(node.as_node());
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{build, name, outcome};
    use super::*;

    #[test]
    fn rfc4592_2_2_1_wildcards() {
        let zone = build(
            "example.",
            "@ 3600 SOA ns.example.com. h 1 2 3 4 5\n NS ns.example.com.\n NS ns.example.net.\n\
             *.example. TXT \"this is a wildcard\"\n*.example. MX 10 host1.example.\nsub.*.example. TXT \"not a wildcard\"\n\
             host1.example. A 192.0.2.1\n_ssh._tcp.host1.example. SRV 0 0 22 host1\n_ssh._tcp.host2.example. SRV 0 0 22 host2\n\
             subdel.example. NS ns.example.com.\nsubdel.example. NS ns.example.net.\n",
        );
        let cases = [
            ("host3.example.", "wildcard *.example. of example."),
            ("foo.bar.example.", "wildcard *.example. of example."),
            ("host1.example.", "exact host1.example."),
            ("sub.*.example.", "exact sub.*.example."),
            ("_telnet._tcp.host1.example.", "none below _tcp.host1.example."),
            ("host.subdel.example.", "cut subdel.example."),
            ("subdel.example.", "cut subdel.example."),
            ("ghost.*.example.", "none below *.example."),
            ("*.example.", "exact *.example."),
            ("host2.example.", "exact host2.example. (empty)"),
            ("_tcp.host2.example.", "exact _tcp.host2.example. (empty)"),
            ("x.host2.example.", "none below host2.example."),
            ("HOST3.Example.", "wildcard *.example. of example."),
            ("example.", "exact example."),
            ("example.com.", "none below example."),
            ("com.", "none below example."),
        ];
        for (qname, expected) in cases {
            assert_eq!(outcome(zone.find(name(qname).as_ref())), expected, "{qname}");
        }
        let node = zone.node(name("host1.example.").as_ref()).expect("it exists");
        assert!(node.rrset(RecordType::TXT).is_none(), "a wildcard adds nothing to a name that exists");
    }

    #[test]
    fn cuts_hide_and_glue_stays() {
        let zone = build(
            "example.",
            "@ SOA a b 1 2 3 4 5\n NS a.sub\nsub NS a.sub\n NS ns.deep.sub\na.sub A 192.0.2.1\nns.deep.sub AAAA ::1\n\
             deep.sub NS x.\n*.wild A 192.0.2.2\ncut.wild NS x.\n",
        );
        let cases = [
            ("a.sub.example.", "cut sub.example."),
            ("x.deep.sub.example.", "cut sub.example."),
            ("sub.example.", "cut sub.example."),
            ("y.wild.example.", "wildcard *.wild.example. of wild.example."),
            ("y.cut.wild.example.", "cut cut.wild.example."),
            ("wild.example.", "exact wild.example. (empty)"),
        ];
        for (qname, expected) in cases {
            assert_eq!(outcome(zone.find(name(qname).as_ref())), expected, "{qname}");
        }
        let glue = zone.node(name("a.sub.example.").as_ref()).and_then(|node| node.rrset(RecordType::A));
        assert_eq!(glue.map(|set| set.rdata().collect::<Vec<_>>()), Some(vec![[192, 0, 2, 1].as_slice()]));
    }

    #[test]
    fn prepared_records_are_ready_for_a_reply() {
        let zone = build("example.", "@ 60 SOA a.x. b.x. 7 2 3 4 30\n NS x.\nwww 5 A 192.0.2.2\nwww 5 A 192.0.2.1\n");
        let node = zone.node(name("WWW.example.").as_ref()).expect("it exists");
        let set = node.rrset(RecordType::A).expect("it has addresses");
        let expected = b"\xC0\x0C\0\x01\0\x01\0\0\0\x05\0\x04\xC0\0\x02\x01\xC0\x0C\0\x01\0\x01\0\0\0\x05\0\x04\xC0\0\x02\x02";
        assert_eq!((set.count, set.prepared()), (2, expected.as_slice()), "in canonical order");
        assert_eq!((zone.serial().0, zone.negative_ttl().seconds(), zone.soa().count), (7, 30, 1));
        assert_eq!(node.name().to_string(), "www.example.");
    }
}
