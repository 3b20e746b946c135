//! Versions of a zone: built flat, changed by a delta, compacted again.
//!
//! A version is two shared pointers. What a change makes shares the base and all of the delta that it does not touch;
//! when a delta would hold more than one name in [`DELTA_SHARE`], the zone is built flat again, because lookups pay
//! for a delta and a flat zone is the smaller one.
//!
//! Never here: giving out program ids. The caller's `bind` does, and is asked once for each record that is new; one
//! that a change does not touch keeps its id, and with it whatever was compiled and is known about it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::base::{Base, Builder, Flat, Room, Storage};
use super::contents::{Contents, LuaRecord, RrsetData, write_nodes};
use super::delta::{Delta, DeltaNode};
use super::diff::Diff;
use super::lookup::{Node, RRset};
use crate::wire::{Name, NameRef, RecordType, Serial, Ttl};

/// A delta may hold one in so many names before the zone is built flat again.
const DELTA_SHARE: usize = 8;

/// The slot of a compiled record program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(pub u32);

/// A record program at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramRef {
    /// Which program.
    pub id: ProgramId,
    /// The type of the records that it makes.
    pub rtype: RecordType,
    /// The TTL of the records that it makes.
    pub ttl: Ttl,
}

/// Gives a record program its slot.
pub type Bind<'a> = dyn FnMut(&LuaRecord) -> ProgramId + 'a;

/// One immutable version of a zone; cloning it counts references.
#[derive(Clone, Debug)]
pub struct Zone {
    pub(super) base: Arc<Base>,
    pub(super) delta: Arc<Delta>,
}

impl Zone {
    /// A flat zone, with an id from `bind` for each record program.
    #[must_use]
    pub fn build(contents: Contents, bind: &mut Bind<'_>) -> Self {
        let Contents { mut flat } = contents;
        flat.bind(bind);
        Self::upon(flat)
    }

    /// The same data, flat, with the same ids.
    #[must_use]
    pub fn compacted(&self) -> Self {
        let mut builder = Builder::new(self.apex(), Room::default());
        for node in self.nodes().filter(|node| !node.is_empty()) {
            let storage = builder.begin(node.name());
            node.rrsets().for_each(|set| storage.copy_set(set));
            storage.programs.extend_from_slice(node.programs());
            storage.records.extend_from_slice(node.lua_records());
        }
        Self::upon(builder.finish())
    }

    fn upon(flat: Flat) -> Self {
        Self { base: Arc::new(Base::new(flat)), delta: Arc::default() }
    }

    /// The version after `diff`, which must be from this one; `bind` is asked only for record programs that are new.
    #[must_use]
    pub fn apply(&self, diff: &Diff, bind: &mut Bind<'_>) -> Self {
        let mut next = self.clone();
        for (name, change) in changes(diff) {
            let old = next.node(name.as_ref());
            let storage = changed(old, &change, bind);
            next.replace(name, storage);
        }
        next
    }

    /// The version with these contents, and what changed. Record programs that did not change keep their ids.
    #[must_use]
    pub fn updated(&self, contents: Contents, bind: &mut Bind<'_>) -> (Self, Diff) {
        let diff = self.diff(&contents);
        let is_small = |names: usize| names * DELTA_SHARE <= self.base.flat().len();
        if is_small(diff.len()) {
            let next = self.apply(&diff, bind);
            return (if is_small(next.delta.len()) { next } else { next.compacted() }, diff);
        }
        (self.rebuilt(contents, &|_| true, bind), diff)
    }

    /// The version with these contents, in which record programs that did not change keep their ids where they `may`.
    #[must_use]
    pub fn rebuilt(&self, contents: Contents, may: &dyn Fn(ProgramId) -> bool, bind: &mut Bind<'_>) -> Self {
        Self::build(contents, &mut |record| {
            let known = self.node(record.owner.as_ref()).and_then(|node| known_id(node, record));
            known.filter(|&id| may(id)).unwrap_or_else(|| bind(record))
        })
    }

    /// Puts a node's data in place of what it has, and makes or removes it as it has data or names below.
    fn replace(&mut self, name: Name, storage: Storage) {
        let old_children = self.node(name.as_ref()).map(|node| node.children);
        let children = old_children.unwrap_or(0);
        if children > 0 || !storage.sets().is_empty() || name.as_ref() == self.apex() {
            let parent = name.as_ref().parent().map(NameRef::to_name);
            Arc::make_mut(&mut self.delta).put(DeltaNode { name, storage, children });
            if let (None, Some(parent)) = (old_children, parent) {
                self.child_added(&parent);
            }
        } else if old_children.is_some() {
            self.remove(name);
        }
    }

    /// Counts one more node below `name`, which is made where it does not exist, and so on upwards.
    fn child_added(&mut self, name: &Name) {
        let mut next = Some(name.clone());
        while let Some(name) = next.take() {
            let old = self.node(name.as_ref()).map(DeltaNode::copy_of);
            if old.is_none() {
                next = name.as_ref().parent().map(NameRef::to_name);
            }
            let mut node = old.unwrap_or(DeltaNode { name, storage: Storage::default(), children: 0 });
            node.children += 1;
            Arc::make_mut(&mut self.delta).put(node);
        }
    }

    /// Removes a node without names below, and each above it that is left without data and without names below.
    fn remove(&mut self, name: Name) {
        let mut next = Some(name);
        while let Some(name) = next.take() {
            let in_base = self.base.find(name.as_ref()).is_some();
            Arc::make_mut(&mut self.delta).remove(&name, in_base);
            let Some(parent) = name.as_ref().parent().and_then(|parent| self.node(parent)) else { return };
            let mut parent = DeltaNode::copy_of(parent);
            parent.children -= 1;
            if parent.children == 0 && parent.storage.sets().is_empty() && parent.name.as_ref() != self.apex() {
                next = Some(parent.name);
            } else {
                Arc::make_mut(&mut self.delta).put(parent);
            }
        }
    }

    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> NameRef<'_> {
        self.base.flat().apex()
    }

    /// The SOA RRset.
    #[must_use]
    pub fn soa(&self) -> RRset<'_> {
        self.apex_node().soa()
    }

    /// The SOA's serial.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.apex_node().serial()
    }

    /// How long resolvers keep a negative answer: the lower of the SOA's TTL and its MINIMUM (RFC 2308 5).
    #[must_use]
    pub fn negative_ttl(&self) -> Ttl {
        self.apex_node().negative_ttl()
    }

    /// The ids of all record programs, in canonical order of the owners; two records may share one.
    pub fn programs(&self) -> impl Iterator<Item = ProgramId> {
        let (flat, all) = match self.delta.is_empty() {
            true => (self.base.flat().programs(), None),
            false => (&[][..], Some(self.nodes())),
        };
        flat.iter().chain(all.into_iter().flatten().flat_map(|node| node.programs())).map(|program| program.id)
    }

    /// Writes a master file without includes, the SOA first, that reads as the same data; for last-good copies.
    ///
    /// # Errors
    /// As `out` has them.
    pub fn write_text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        write_nodes(self.nodes(), out)
    }
}

/// What a diff does to one name.
#[derive(Default)]
struct Change<'d> {
    removed: Vec<RecordType>,
    added: Vec<&'d RrsetData>,
    /// The new sequence of programs; `None` where it stays.
    programs: Option<Vec<&'d Arc<LuaRecord>>>,
}

/// A diff by name, in canonical order.
fn changes(diff: &Diff) -> BTreeMap<Name, Change<'_>> {
    let mut changes: BTreeMap<Name, Change<'_>> = BTreeMap::new();
    for (name, set) in &diff.removed.sets {
        changes.entry(name.clone()).or_default().removed.push(set.rtype);
    }
    for (name, set) in &diff.added.sets {
        changes.entry(name.clone()).or_default().added.push(set);
    }
    for record in &diff.removed.programs {
        changes.entry(record.owner.clone()).or_default().programs.get_or_insert_default();
    }
    for record in &diff.added.programs {
        changes.entry(record.owner.clone()).or_default().programs.get_or_insert_default().push(record);
    }
    changes
}

/// A node's data after a change, RRsets by type number.
fn changed(old: Option<Node<'_>>, change: &Change<'_>, bind: &mut Bind<'_>) -> Storage {
    let mut storage = Storage::default();
    let mut added = change.added.iter().copied().peekable();
    let is_replaced = |rtype| change.removed.contains(&rtype) || change.added.iter().any(|set| set.rtype == rtype);
    for set in old.iter().flat_map(Node::rrsets).filter(|set| set.rtype != RecordType::LUA && !is_replaced(set.rtype)) {
        while let Some(new) = added.next_if(|new| new.rtype < set.rtype) {
            storage.put_set(new);
        }
        storage.copy_set(set);
    }
    added.for_each(|set| storage.put_set(set));
    put_programs(&mut storage, old, change, bind);
    storage
}

fn put_programs(storage: &mut Storage, old: Option<Node<'_>>, change: &Change<'_>, bind: &mut Bind<'_>) {
    let programs: Vec<_> = match &change.programs {
        None => old.iter().flat_map(|node| node.programs().iter().map(|program| program.id).zip(node.lua_records())).collect(),
        Some(new) => {
            let id = |record: &LuaRecord, bind: &mut Bind<'_>| {
                old.and_then(|node| known_id(node, record)).unwrap_or_else(|| bind(record))
            };
            new.iter().map(|record| (id(record, bind), *record)).collect()
        }
    };
    storage.put_programs(programs.into_iter());
}

/// The id of an equal record program at this node.
fn known_id(node: Node<'_>, record: &LuaRecord) -> Option<ProgramId> {
    let index = node.lua_records().iter().position(|old| **old == *record)?;
    Some(node.programs()[index].id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::testing::{build, contents, name, outcome};
    use super::*;

    const HEAD: &str = "@ 60 SOA a.x. b.x. SERIAL 2 3 4 5\n NS ns.x.\n";

    fn zone_text(serial: u32, body: &str) -> String {
        HEAD.replace("SERIAL", &serial.to_string()) + body
    }

    /// A bind that gives equal records equal ids, so that versions with different histories can be compared.
    fn by_text() -> impl FnMut(&LuaRecord) -> ProgramId {
        let mut known: HashMap<String, u32> = HashMap::new();
        move |record| {
            let text = format!("{} {} {} {:?}", record.owner, record.rtype, record.ttl, texts(record));
            let next = known.len() as u32;
            ProgramId(*known.entry(text.to_ascii_lowercase()).or_insert(next))
        }
    }

    fn texts(record: &LuaRecord) -> Vec<&str> {
        record.segments.iter().map(|segment| &*segment.text).collect()
    }

    fn dump(zone: &Zone) -> Vec<String> {
        let node = |node: Node<'_>| {
            let sets: Vec<_> = node.rrsets().map(|set| (set.rtype, set.ttl, set.count, set.prepared().to_vec())).collect();
            let name = node.name().to_string().to_ascii_lowercase();
            format!("{name} {} {sets:?} {:?} {:?}", node.children, node.programs(), node.lua_records().len())
        };
        zone.nodes().map(node).collect()
    }

    #[test]
    fn only_new_programs_are_bound() {
        let old = zone_text(1, "a LUA A \"one\"\na LUA TXT \"two\"\nb LUA A \"three\"\n");
        let new = zone_text(2, "a LUA TXT \"two\"\na LUA A \"four\"\nb LUA A \"three\"\n");
        let zone = build("z.", &old);
        for share in [true, false] {
            let new = contents("z.", &new);
            let mut bound = Vec::new();
            let mut bind = |record: &LuaRecord| {
                bound.push(texts(record).concat());
                ProgramId(9)
            };
            let diff = zone.diff(&new);
            let next = if share { zone.apply(&diff, &mut bind) } else { zone.updated(new.clone(), &mut bind).0 };
            assert_eq!(next.programs().map(|id| id.0).collect::<Vec<_>>(), [1, 9, 2], "in the new order, old ids kept");
            assert_eq!(bound, ["four"]);
            assert_eq!((zone.serial(), next.serial(), diff.serial), (Serial(1), Serial(2), Serial(2)));
        }
        assert_eq!(zone.programs().map(|id| id.0).collect::<Vec<_>>(), [0, 1, 2], "the old version is as it was");
    }

    #[test]
    fn programs_keep_their_own_ttl() {
        let zone = build("z.", &zone_text(1, "a 5 LUA A \"one\"\na 9 LUA TXT \"two\"\n"));
        let node = zone.node(name("a.z.").as_ref()).expect("it exists");
        let programs: Vec<_> = node.programs().iter().map(|p| (p.id.0, p.rtype, p.ttl.seconds())).collect();
        assert_eq!(programs, [(0, RecordType::A, 5), (1, RecordType::TXT, 9)]);
        let set = node.rrset(RecordType::LUA).expect("programs are records too");
        assert_eq!(set.rdata().collect::<Vec<_>>(), [b"\0\x01\x03one".as_slice(), b"\0\x10\x03two"]);
        assert_eq!((set.ttl.seconds(), set.prepared()[9], set.prepared()[18 + 9]), (5, 5, 9));
    }

    #[test]
    fn empty_nonterminals_come_and_go() {
        let empty = zone_text(1, "");
        let full = zone_text(2, "x.y A 192.0.2.1\n");
        let mut bind = by_text();
        let zone = build("z.", &empty);
        let zone = zone.apply(&zone.diff(&contents("z.", &full)), &mut bind);
        assert_eq!(outcome(zone.find(name("y.z.").as_ref())), "exact y.z. (empty)");
        assert_eq!(outcome(zone.find(name("q.y.z.").as_ref())), "none below y.z.");
        let flat = zone.compacted();
        for zone in [&zone, &flat] {
            let gone = zone.apply(&zone.diff(&contents("z.", &empty)), &mut bind);
            assert_eq!(outcome(gone.find(name("x.y.z.").as_ref())), "none below z.");
            assert!(gone.node(name("y.z.").as_ref()).is_none(), "the last name below took it along");
            assert_eq!(gone.nodes().count(), 1);
        }
    }

    #[test]
    fn small_changes_share_the_base_and_large_ones_do_not() {
        let body: String = (0..100).map(|n| format!("n{n} A 192.0.2.1\n")).collect();
        let zone = build("z.", &zone_text(1, &body));
        let small = contents("z.", &zone_text(2, &(body.clone() + "new A 192.0.2.1\n")));
        let (next, diff) = zone.updated(small, &mut by_text());
        assert!(Arc::ptr_eq(&zone.base, &next.base) && !next.delta.is_empty());
        assert_eq!((diff.added.rrsets().count(), diff.removed.rrsets().count()), (2, 1), "the SOA and the new name");
        let large = contents("z.", &zone_text(3, &body.replace("192", "193")));
        let (next, _) = next.updated(large.clone(), &mut by_text());
        assert!(next.delta.is_empty());
        assert_eq!(dump(&next), dump(&Zone::build(large.clone(), &mut by_text())));
        assert!(next.diff(&large).is_empty());
    }

    #[test]
    fn many_small_changes_are_compacted_and_keep_their_ids() {
        let mut body: String = (0..100).map(|n| format!("n{n} A 192.0.2.1\n")).collect();
        body += "lua LUA A \"one()\"\n";
        let mut zone = build("z.", &zone_text(1, &body));
        let ids: Vec<_> = zone.programs().collect();
        let mut compactions = 0;
        for serial in 2..40 {
            body += &format!("new{serial} A 192.0.2.1\n");
            let next = contents("z.", &zone_text(serial, &body));
            zone = zone.updated(next.clone(), &mut |_| panic!("no program is new")).0;
            compactions += usize::from(zone.delta.is_empty());
            assert!(zone.diff(&next).is_empty());
        }
        assert!((1..10).contains(&compactions), "{compactions}");
        assert_eq!(zone.programs().collect::<Vec<_>>(), ids);
    }

    /// Random lines at names made of few labels, so that they collide, nest and become wildcards and cuts.
    fn body() -> impl Strategy<Value = String> {
        let label = prop_oneof![Just("a"), Just("b"), Just("*"), Just("C")];
        let data = prop_oneof![
            Just("A 192.0.2.1"),
            Just("A 192.0.2.2"),
            Just("7 TXT \"x\""),
            Just("NS out.side."),
            Just("LUA A \"one()\""),
            Just("LUA TXT \"two()\" \"more\""),
            Just("9 LUA A \"one()\""),
            Just("TYPE999 \\# 1 ff"),
        ];
        let line = (vec(label, 1..4), data).prop_map(|(labels, data)| format!("{} {data}\n", labels.join(".")));
        vec(line, 0..10).prop_map(|lines| lines.concat())
    }

    fn qnames() -> Vec<Name> {
        let labels = ["a", "b", "*", "c", "q"];
        let mut names: Vec<String> = vec!["z.".into()];
        for from in [0, 1, 6] {
            let parents: Vec<String> = names[from..].to_vec();
            names.extend(parents.iter().flat_map(|parent| labels.iter().map(move |label| format!("{label}.{parent}"))));
        }
        names.iter().map(|text| name(text)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_delta_answers_as_a_flat_zone(bodies in vec(body(), 2..5)) {
            let mut bind = by_text();
            let versions: Vec<Contents> =
                bodies.iter().zip(1..).map(|(body, serial)| contents("z.", &zone_text(serial, body))).collect();
            let mut zone = Zone::build(versions[0].clone(), &mut bind);
            let qnames = qnames();
            for new in &versions[1..] {
                let diff = zone.diff(new);
                let (updated, _) = zone.updated(new.clone(), &mut bind);
                zone = zone.apply(&diff, &mut bind);
                let fresh = Zone::build(new.clone(), &mut bind);
                let expected = dump(&fresh);
                prop_assert_eq!(dump(&zone), expected.clone());
                prop_assert_eq!(dump(&zone.compacted()), expected.clone());
                prop_assert_eq!(dump(&updated), expected);
                prop_assert!(zone.diff(new).is_empty());
                for qname in &qnames {
                    let expected = outcome(fresh.find(qname.as_ref())).to_ascii_lowercase();
                    prop_assert_eq!(outcome(zone.find(qname.as_ref())).to_ascii_lowercase(), expected, "{}", qname);
                }
            }
        }

        #[test]
        fn text_reads_back_as_equal_contents(body in body()) {
            let contents_of = contents("z.", &zone_text(1, &body));
            let text = String::from_utf8(contents_of.to_text()).expect("it is ASCII here");
            prop_assert_eq!(contents("z.", &text), contents_of);
        }
    }
}
