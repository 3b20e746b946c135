//! From a name to records: RFC 1034 4.3.2, wildcards (RFC 4592), redirection (RFC 6672), over one snapshot.
//!
//! zone by longest apex → node (exact, wildcard, cut, redirected, none) → records (stored, or drawn from answer sets). A
//! CNAME, stored, drawn or made by a DNAME, starts again at its target, inside the zones that are served, at most
//! [`CHAIN_MAX`] times.
//!
//! A stage that cannot go on says so as a value ([`Stop`]).
//!
//! Never here: what concerns the message as a whole (see `respond`).

use crate::program::{Facts, Failure, Reach};
use crate::wire::{Class, ExtendedError, Field, Full, NameBuf, NameRef, Owner, Query, Rcode, RecordType, Section, Ttl, layout};
use crate::zone::{self, Node, ProgramRef, RRset, Zone};

use super::explain::{Found, Trace};
use super::options::Any;
use super::prepared::{Drawn, Records, With};
use super::rate::Subject;
use super::respond::Answering;
use super::snapshot::{ZoneEntry, ZoneState};

/// CNAMEs followed for one answer. The chain so far is the answer then, as for a chain that leaves the served zones.
pub(super) const CHAIN_MAX: usize = 16;

/// Why there is no whole answer.
pub(super) enum Stop {
    /// It does not fit.
    Full,
    /// A record program failed.
    ProgramFailed(Failure),
    /// A record program gives an rcode and no records.
    Said(Rcode),
}

impl From<Full> for Stop {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// What a name led to.
enum Step {
    Done(Rcode),
    /// On to the name that was put into the place for the next one.
    Follow,
}

impl<'s> Answering<'s, '_, '_, '_> {
    /// The zone with the longest apex; for DS the parent's side of a cut, where that is served too (RFC 4035 3.1.4.1).
    pub(super) fn zone_of_question(&self) -> Option<&'s ZoneEntry> {
        let Query { qname, qtype, .. } = *self.query;
        let zones = &self.snapshot.zones;
        let entry = zones.find(qname)?;
        let above = qname.parent().filter(|_| qtype == RecordType::DS && entry.apex() == qname);
        Some(above.and_then(|parent| zones.find(parent)).unwrap_or(entry))
    }

    /// Answers the question from the zone that it belongs to.
    pub(super) fn answer_from(&mut self, entry: &'s ZoneEntry, chain: &mut Chain) -> (Rcode, Option<ExtendedError>) {
        let stale = match &entry.state {
            ZoneState::Failed(_) => {
                return (Rcode::SERVFAIL, Some(ExtendedError::not_ready("the zone could not be loaded")));
            }
            ZoneState::Serving { stale, .. } => *stale,
        };
        let start = self.writer.mark();
        self.whole = start;
        match self.chase(entry, chain) {
            Ok(rcode) if self.unknown => (rcode, Some(ExtendedError::not_ready("a target's health is not known yet"))),
            Ok(rcode) => (rcode, stale.then(|| ExtendedError::stale("the zone file is bad; this is the last good copy"))),
            Err(Stop::Full) => {
                self.writer.truncate(self.whole);
                (self.rcode, None)
            }
            Err(Stop::ProgramFailed(failure)) => {
                self.writer.rewind(start);
                self.writer.set_authoritative(false);
                (Rcode::SERVFAIL, Some(self.explained(&failure)))
            }
            Err(Stop::Said(rcode)) => {
                self.writer.rewind(start);
                self.writer.set_authoritative(false);
                (rcode, None)
            }
        }
    }

    /// Answers at the name asked for, then at each CNAME target inside the served zones.
    fn chase(&mut self, mut entry: &'s ZoneEntry, chain: &mut Chain) -> Result<Rcode, Stop> {
        for hop in 0..=CHAIN_MAX {
            let ZoneState::Serving { zone, .. } = &entry.state else { break };
            let (before, rest) = chain.names.split_at_mut(hop);
            let Some(next) = rest.first_mut() else { break };
            let (name, owner) = match before.last() {
                None => (self.query.qname, Owner::Question),
                Some(name) => (name.as_ref(), Owner::Name(name.as_ref())),
            };
            match self.step(zone, owner, name, next)? {
                Step::Done(rcode) => return Ok(rcode),
                Step::Follow => {
                    let target = next.as_ref();
                    self.tell(|| Trace::Follow(target.to_name()));
                    // A loop says nothing new from its second turn on.
                    let known = target == self.query.qname || before.iter().any(|name| name.as_ref() == target);
                    let Some(found) = self.snapshot.zones.find(target).filter(|_| !known) else { break };
                    entry = found;
                }
            }
        }
        Ok(Rcode::NOERROR)
    }

    fn step(&mut self, zone: &'s Zone, owner: Owner<'_>, name: NameRef<'_>, next: &mut NameBuf) -> Result<Step, Stop> {
        if matches!(owner, Owner::Question) {
            // An answer for any class is nobody's own data (RFC 1035 3.2.5, RFC 1034 4.3.2).
            self.writer.set_authoritative(self.query.qclass != Class::ANY);
        }
        match zone.find(name) {
            zone::Found::Cut(node) => self.referral(zone, owner, node, name, next),
            zone::Found::Dname(node) => {
                self.tell(|| Trace::Found(Found::Dname, node.name()));
                self.redirect(owner, name, node, next)
            }
            zone::Found::Exact(node) => {
                self.tell(|| Trace::Found(Found::Exact, node.name()));
                self.node(zone, owner, name, node, next)
            }
            zone::Found::Wildcard { node, .. } => {
                self.tell(|| Trace::Found(Found::Wildcard, node.name()));
                self.node(zone, owner, name, node, next)
            }
            zone::Found::None { encloser } => {
                self.tell(|| Trace::Found(Found::None, encloser.name()));
                self.subject = Subject::Nonexistent(zone.apex());
                self.rcode = Rcode::NXDOMAIN;
                self.negative(zone)?;
                Ok(Step::Done(Rcode::NXDOMAIN))
            }
        }
    }

    /// Answers from the node that `name` led to.
    fn node(
        &mut self,
        zone: &'s Zone,
        owner: Owner<'_>,
        name: NameRef<'_>,
        node: Node<'s>,
        next: &mut NameBuf,
    ) -> Result<Step, Stop> {
        let qtype = self.query.qtype;
        if matches!(owner, Owner::Question) {
            self.subject = Subject::Node(node.name(), qtype);
        }
        let before = self.writer.count(Section::Answer);
        let mark = self.writer.mark();
        match self.data(zone, owner, name, node, next) {
            Ok(true) => return Ok(Step::Follow),
            Ok(false) => {}
            Err(Stop::Said(Rcode::NXDOMAIN)) => {
                self.writer.rewind(mark);
                self.rcode = Rcode::NXDOMAIN;
                if matches!(owner, Owner::Question) {
                    self.subject = Subject::Nonexistent(zone.apex());
                }
                self.negative(zone)?;
                return Ok(Step::Done(Rcode::NXDOMAIN));
            }
            Err(Stop::Said(Rcode::NOERROR)) => self.writer.rewind(mark),
            Err(stop) => return Err(stop),
        }
        if self.writer.count(Section::Answer) == before {
            if matches!(owner, Owner::Question) {
                self.subject = Subject::Nodata(node.name());
            }
            self.negative(zone)?;
        } else if qtype == RecordType::NS {
            self.server_addresses(zone, node);
        }
        Ok(Step::Done(Rcode::NOERROR))
    }

    /// Writes what the node has of the type asked for, or its alias; whether that leads on.
    fn data(
        &mut self,
        zone: &'s Zone,
        owner: Owner<'_>,
        name: NameRef<'_>,
        node: Node<'s>,
        next: &mut NameBuf,
    ) -> Result<bool, Stop> {
        let qtype = self.query.qtype;
        match qtype {
            RecordType::ANY => self.any(zone, owner, name, node)?,
            RecordType::CNAME => self.records(zone, owner, name, node, qtype)?,
            _ => {
                if self.alias(zone, owner, name, node, next)? {
                    return Ok(true);
                }
                self.records(zone, owner, name, node, qtype)?;
            }
        }
        Ok(false)
    }

    /// Writes the node's CNAME, if it has one or a program gives one, and notes where it leads. Of several, the first
    /// counts.
    fn alias(
        &mut self,
        zone: &'s Zone,
        owner: Owner<'_>,
        name: NameRef<'_>,
        node: Node<'s>,
        next: &mut NameBuf,
    ) -> Result<bool, Stop> {
        if let Some(rrset) = node.rrset(RecordType::CNAME)
            && let Some(rdata) = rrset.rdata().next()
        {
            return Ok(self.cname(owner, rrset.ttl, rdata, next)?);
        }
        for program in node.programs().iter().filter(|program| program.rtype == RecordType::CNAME) {
            let (records, ttl) = self.draw(program, zone, name, node)?;
            let target = records.rdata(self.made).next().and_then(|rdata| NameRef::parse(rdata).ok());
            if let Some(target) = target {
                next.set(target);
                self.writer.record(owner, RecordType::CNAME, ttl, next.as_ref().as_wire())?;
                self.whole = self.writer.mark();
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn cname(&mut self, owner: Owner<'_>, ttl: Ttl, rdata: &[u8], next: &mut NameBuf) -> Result<bool, Full> {
        self.writer.record(owner, RecordType::CNAME, ttl, rdata)?;
        let target = NameRef::parse(rdata).ok();
        if let Some(target) = target {
            next.set(target);
            self.whole = self.writer.mark();
        }
        Ok(target.is_some())
    }

    /// The DNAME above `name`, and the CNAME that it makes for it (RFC 6672 3.1). A name that would be too long is YXDOMAIN,
    /// with the DNAME as its reason (RFC 6672 2.2, 3.1).
    fn redirect(&mut self, owner: Owner<'_>, name: NameRef<'_>, node: Node<'s>, next: &mut NameBuf) -> Result<Step, Stop> {
        if matches!(owner, Owner::Question) {
            self.subject = Subject::Node(node.name(), RecordType::DNAME);
        }
        let Some((rrset, target)) = node.rrset(RecordType::DNAME).and_then(|rrset| {
            let target = NameRef::parse(rrset.rdata().next()?).ok()?;
            Some((rrset, target))
        }) else {
            return Ok(Step::Done(Rcode::SERVFAIL));
        };
        if !self.dnames.contains(&Some(node.name())) {
            self.stored(Owner::Name(node.name()), &rrset)?;
            if let Some(free) = self.dnames.iter_mut().find(|dname| dname.is_none()) {
                *free = Some(node.name());
            }
        }
        if next.redirect(name, node.name(), target).is_err() {
            return Ok(Step::Done(Rcode::YXDOMAIN));
        }
        self.writer.record(owner, RecordType::CNAME, rrset.ttl, next.as_ref().as_wire())?;
        self.whole = self.writer.mark();
        // Whoever asks for a CNAME, or for anything, has it now. A DNAME that leads below itself feeds on what it makes: the
        // next name would be longer and say nothing new.
        let answered = matches!(self.query.qtype, RecordType::CNAME | RecordType::ANY) || target.is_within(node.name());
        Ok(if answered { Step::Done(Rcode::NOERROR) } else { Step::Follow })
    }

    /// Writes the node's records of one type, stored and drawn.
    fn records(
        &mut self,
        zone: &'s Zone,
        owner: Owner<'_>,
        name: NameRef<'_>,
        node: Node<'s>,
        rtype: RecordType,
    ) -> Result<(), Stop> {
        if rtype == RecordType::LUA {
            return Ok(());
        }
        let stored = node.rrset(rtype);
        let mut programs = node.programs().iter().filter(|program| program.rtype == rtype);
        match (stored, programs.next(), programs.next()) {
            (None, None, _) => Ok(()),
            (Some(rrset), None, _) => Ok(self.stored(owner, &rrset)?),
            (None, Some(program), None) => {
                let (records, ttl) = self.draw(program, zone, name, node)?;
                Ok(self.write(owner, rtype, (ttl, ttl == program.ttl), &records)?)
            }
            _ => self.merged(zone, owner, name, node, rtype),
        }
    }

    /// An RRset that has several sources: each record once (spec 1.4, RFC 2181 5), all with the lowest TTL of those that
    /// gave any (RFC 2181 5.2).
    fn merged(
        &mut self,
        zone: &'s Zone,
        owner: Owner<'_>,
        name: NameRef<'_>,
        node: Node<'s>,
        rtype: RecordType,
    ) -> Result<(), Stop> {
        let mut sources: [Option<Records<'s>>; 1 + zone::PROGRAMS_MAX] = [const { None }; 1 + zone::PROGRAMS_MAX];
        let mut lowest = Ttl::MAX;
        let stored = node.rrset(rtype);
        if let Some(rrset) = stored {
            sources[0] = Some(Records::Row(rrset.prepared(), rrset.count));
            lowest = rrset.ttl;
        }
        let programs = node.programs().iter().filter(|program| program.rtype == rtype);
        for (source, program) in sources[1..].iter_mut().zip(programs) {
            let (records, ttl) = self.draw(program, zone, name, node)?;
            if records.rdata(self.made).next().is_some() {
                *source = Some(records);
                lowest = lowest.min(ttl);
            }
        }
        for (at, source) in sources.iter().enumerate() {
            for rdata in source.iter().flat_map(|records| records.rdata(self.made)) {
                let before = sources[..at].iter().flatten();
                if !before.flat_map(|records| records.rdata(self.made)).any(|earlier| earlier == rdata) {
                    self.writer.record(owner, rtype, lowest, rdata)?;
                }
            }
        }
        Ok(())
    }

    /// All RRsets of the node, or the first that has records (RFC 8482 4.1).
    fn any(&mut self, zone: &'s Zone, owner: Owner<'_>, name: NameRef<'_>, node: Node<'s>) -> Result<(), Stop> {
        let stored = node.rrsets().map(|rrset| rrset.rtype);
        let drawn = node.programs().iter().map(|program| program.rtype).enumerate();
        // A type that is both stored and drawn, or drawn twice, is written once, whole.
        let drawn = drawn.filter(|&(at, rtype)| {
            node.rrset(rtype).is_none() && node.programs().iter().take(at).all(|program| program.rtype != rtype)
        });
        let before = self.writer.count(Section::Answer);
        for rtype in stored.chain(drawn.map(|(_, rtype)| rtype)).filter(|&rtype| rtype != RecordType::LUA) {
            self.records(zone, owner, name, node, rtype)?;
            if self.snapshot.options.any == Any::Minimal && self.writer.count(Section::Answer) > before {
                break;
            }
        }
        Ok(())
    }

    /// What a program of `node` gives for `name`, and its TTL.
    fn draw(
        &mut self,
        program: &ProgramRef,
        zone: &'s Zone,
        name: NameRef<'_>,
        node: Node<'s>,
    ) -> Result<(Records<'s>, Ttl), Stop> {
        let snapshot = self.snapshot;
        let missing = || Stop::ProgramFailed(Failure::raised("no such program"));
        let set = snapshot.set(program.id).ok_or_else(missing)?;
        let facts = Facts { qname: name, zone: zone.apex(), owner: node.name(), ..self.facts() };
        let limits = &snapshot.options.programs;
        let reach = Reach::EVERYONE;
        let mut with = With { runner: self.runner, made: self.made, world: snapshot, limits, by: self.teller, reach };
        let drawn = set.draw(&facts, &mut with);
        let Reach { network, client } = with.reach;
        let source = self.subnet.filter(|_| client).map_or(0, |subnet| subnet.source);
        self.scope = self.scope.max(network).max(source);
        let trail = self.runner.trail();
        self.tell(|| Trace::Program { set, trail, failure: drawn.as_ref().err().cloned() });
        let drawn = drawn.map_err(|failure| {
            self.program_failed((node.name(), program.rtype, zone.apex()), &failure);
            Stop::ProgramFailed(failure)
        })?;
        let Drawn { records, ttl, rcode, unknown } = drawn;
        self.unknown |= unknown;
        self.fell_back |= set.falls_back();
        match rcode {
            Some(rcode) => Err(Stop::Said(rcode)),
            None => Ok((records, ttl.unwrap_or(program.ttl))),
        }
    }

    fn stored(&mut self, owner: Owner<'_>, rrset: &RRset<'s>) -> Result<(), Full> {
        self.write(owner, rrset.rtype, (rrset.ttl, true), &Records::Row(rrset.prepared(), rrset.count))
    }

    /// Writes records of one source: as they are, where they are the question's, hold no names to compress and have the TTL
    /// that they were prepared with.
    fn write(
        &mut self,
        owner: Owner<'_>,
        rtype: RecordType,
        (ttl, as_prepared): (Ttl, bool),
        records: &Records<'s>,
    ) -> Result<(), Full> {
        let Self { writer, made, .. } = self;
        match owner {
            Owner::Question if as_prepared && has_no_names(rtype) => {
                records.rows(made).try_for_each(|(row, count)| writer.prepared(row, count))
            }
            Owner::Question | Owner::Name(_) => records.rdata(made).try_for_each(|rdata| writer.record(owner, rtype, ttl, rdata)),
        }
    }

    /// The SOA of a negative answer, with the negative TTL (RFC 2308 3).
    fn negative(&mut self, zone: &'s Zone) -> Result<(), Full> {
        self.writer.section(Section::Authority);
        let soa = zone.soa().rdata().next().unwrap_or_default();
        self.writer.record(Owner::Name(zone.apex()), RecordType::SOA, zone.negative_ttl(), soa)
    }

    /// The delegation at `cut`: its NS records and the glue that the zone has. DS is answered from this side
    /// (RFC 4035 3.1.4.1).
    fn referral(
        &mut self,
        zone: &'s Zone,
        owner: Owner<'_>,
        cut: Node<'s>,
        name: NameRef<'_>,
        next: &mut NameBuf,
    ) -> Result<Step, Stop> {
        self.tell(|| Trace::Found(Found::Cut, cut.name()));
        if self.query.qtype == RecordType::DS && cut.name() == name {
            return self.node(zone, owner, name, cut, next);
        }
        if matches!(owner, Owner::Question) {
            self.writer.set_authoritative(false);
            self.subject = Subject::Cut(cut.name());
        }
        self.writer.section(Section::Authority);
        let Some(servers) = cut.rrset(RecordType::NS) else { return Ok(Step::Done(Rcode::SERVFAIL)) };
        for rdata in servers.rdata() {
            self.writer.record(Owner::Name(cut.name()), RecordType::NS, servers.ttl, rdata)?;
        }
        self.writer.section(Section::Additional);
        for server in servers.rdata().filter_map(|rdata| NameRef::parse(rdata).ok()) {
            // Without the addresses below the cut nobody gets on: TC says that some do not fit (RFC 9471 3.1).
            if self.addresses(zone, server).is_err() && server.is_within(cut.name()) {
                self.writer.set_truncated();
            }
        }
        Ok(Step::Done(Rcode::NOERROR))
    }

    /// The addresses of the servers in an answer, as far as they fit (RFC 1035 3.3.11). The only ones that an answer gets:
    /// whoever asks for the servers of a zone is about to ask them.
    fn server_addresses(&mut self, zone: &'s Zone, node: Node<'s>) {
        self.writer.section(Section::Additional);
        let servers = node.rrset(RecordType::NS).into_iter().flat_map(|rrset| rrset.rdata());
        for server in servers.filter_map(|rdata| NameRef::parse(rdata).ok()) {
            let _as_far_as_they_fit = self.addresses(zone, server);
        }
    }

    /// The stored addresses of a name of the zone, glue or not, RRset by RRset.
    fn addresses(&mut self, zone: &'s Zone, server: NameRef<'s>) -> Result<(), Full> {
        let Some(node) = Some(server).filter(|name| name.is_within(zone.apex())).and_then(|name| zone.node(name)) else {
            return Ok(());
        };
        let mut all = Ok(());
        for rrset in [RecordType::A, RecordType::AAAA].into_iter().filter_map(|rtype| node.rrset(rtype)) {
            let mark = self.writer.mark();
            if let Err(Full) = self.stored(Owner::Name(server), &rrset) {
                self.writer.rewind(mark);
                all = Err(Full);
            }
        }
        all
    }
}

/// The names that one answer follows, kept per thread so that they need not be cleared for each query.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    names: Box<[NameBuf]>,
}

impl Chain {
    pub(super) fn new() -> Self {
        Self { names: vec![NameBuf::new(); CHAIN_MAX + 1].into() }
    }
}

/// Whether prepared records of the type can be copied as they are: no name in them to compress.
fn has_no_names(rtype: RecordType) -> bool {
    !layout(rtype).contains(&Field::Name)
}
