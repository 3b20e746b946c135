//! The answer routine: RFC 1034 4.3.2 over a snapshot, in fixed stages.
//!
//! parse → zone by longest apex → node (exact, wildcard, cut, none) → records (stored, or drawn from answer sets) →
//! write, truncate, EDNS. A CNAME starts again at its target, inside the zones that are served, at most
//! [`CHAIN_MAX`] times.
//!
//! A stage that cannot go on says so as a value ([`Stop`]); nothing here panics on what a client sends, allocates, or
//! looks at a clock.

use std::net::{IpAddr, Ipv4Addr};

use crate::wire::{
    ClientSubnet, ExtendedError, Field, Full, Header, NameRef, OptReply, Owner, Query, RESPONDER_PAYLOAD, Rcode, RecordType,
    Rejected, Section, Writer, layout,
};
use crate::zone::{self, Node, RRset, Zone};

use super::counters::{QueryCounters, Transport};
use super::explain::{Found, Trace};
use super::prepared::{AnswerSet, Drawn, each_rdata, first_rdata};
use super::snapshot::{Snapshot, ZoneEntry, ZoneState};

/// CNAMEs followed for one answer. The chain so far is the answer then, as for a chain that leaves the served zones.
const CHAIN_MAX: usize = 16;
/// The least that any client takes over UDP (RFC 1035 4.2.1).
const PLAIN_UDP_PAYLOAD: usize = 512;

/// What is per thread.
#[derive(Debug)]
pub struct Worker {
    slot: usize,
    random: fastrand::Rng,
}

impl Worker {
    /// The worker that counts in `slot` and draws from `random`.
    #[must_use]
    pub const fn new(slot: usize, random: fastrand::Rng) -> Self {
        Self { slot, random }
    }
}

/// How a query came.
#[derive(Clone, Copy, Debug)]
pub struct Ctx {
    /// From where.
    pub client: IpAddr,
    /// Over what.
    pub transport: Transport,
    /// When.
    pub now: Now,
}

/// When a query is answered, read once for a batch of them. The default is the origin of both clocks, for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never goes back: for rates.
    pub monotonic: u64,
    /// Seconds since 1970, which may jump: for what other servers compare with theirs (cookies, RFC 9018 4.3).
    pub unix: u32,
}

/// What to do with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Send this many octets of the reply buffer.
    Reply(usize),
    /// Send nothing.
    Drop,
}

/// Answers `request` from `snapshot` into `reply`, which should be 65,535 octets for TCP and at least 1,232 for UDP.
pub fn respond(snapshot: &Snapshot, worker: &mut Worker, ctx: &Ctx, request: &[u8], reply: &mut [u8]) -> Response {
    respond_traced(snapshot, worker, ctx, request, reply, None)
}

/// As [`respond`], telling `trace` what it does.
pub(super) fn respond_traced<'s>(
    snapshot: &'s Snapshot,
    worker: &mut Worker,
    ctx: &Ctx,
    request: &[u8],
    reply: &mut [u8],
    trace: Option<&mut Vec<Trace<'s>>>,
) -> Response {
    let unserved = &*snapshot.unserved;
    let query = match Query::parse(request) {
        Ok(query) => query,
        Err(Rejected::Ignored) => {
            unserved.dropped(worker.slot);
            return Response::Drop;
        }
        Err(Rejected::Refused(header, rcode)) => return refuse(unserved, worker, ctx, header, rcode, reply),
    };
    let Some(writer) = Writer::reply(reply, limit(&query, ctx.transport), &query) else {
        unserved.dropped(worker.slot);
        return Response::Drop;
    };
    let Worker { slot, random } = worker;
    let answering = Answering::new(snapshot, random, ctx, &query, writer, trace);
    let (len, rcode, counters) = answering.run();
    counters.unwrap_or(unserved).replied(*slot, ctx.transport, rcode);
    Response::Reply(len)
}

fn refuse(counters: &QueryCounters, worker: &Worker, ctx: &Ctx, header: Header, rcode: Rcode, reply: &mut [u8]) -> Response {
    match Writer::refusal(reply, header, rcode) {
        Some(len) => {
            counters.replied(worker.slot, ctx.transport, rcode);
            Response::Reply(len)
        }
        None => {
            counters.dropped(worker.slot);
            Response::Drop
        }
    }
}

/// The most octets that the client takes and we send.
fn limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, query.edns) {
        (Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => PLAIN_UDP_PAYLOAD,
        (Transport::Udp, Some(edns)) => usize::from(edns.payload.min(RESPONDER_PAYLOAD)).max(PLAIN_UDP_PAYLOAD),
    }
}

/// One query on its way to an answer.
struct Answering<'s, 'q, 'b, 't> {
    snapshot: &'s Snapshot,
    random: &'q mut fastrand::Rng,
    query: &'q Query<'q>,
    writer: Writer<'b>,
    /// The address that the answer is made for: the client subnet's network, else the sender.
    client: IpAddr,
    subnet: Option<ClientSubnet>,
    /// Whether another client may get another answer.
    tailored: bool,
    /// Whether the answer rests on a status that nobody knows yet.
    unknown: bool,
    trace: Option<&'t mut Vec<Trace<'s>>>,
}

/// Why there is no whole answer.
enum Stop {
    /// It does not fit.
    Full,
    /// A record program failed.
    ProgramFailed,
}

impl From<Full> for Stop {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// What a name led to.
enum Step<'s> {
    Done(Rcode),
    Follow(NameRef<'s>),
}

impl<'s, 'q, 'b, 't> Answering<'s, 'q, 'b, 't> {
    fn new(
        snapshot: &'s Snapshot,
        random: &'q mut fastrand::Rng,
        ctx: &Ctx,
        query: &'q Query<'q>,
        writer: Writer<'b>,
        trace: Option<&'t mut Vec<Trace<'s>>>,
    ) -> Self {
        let subnet = query.edns.and_then(|edns| edns.client_subnet?.ok()).filter(|_| snapshot.options.ecs);
        let client = subnet.map_or_else(|| unmapped(ctx.client), |subnet| subnet.network);
        Self { snapshot, random, query, writer, client, subnet, tailored: false, unknown: false, trace }
    }

    /// The reply's length and rcode, and whose counters it belongs to.
    fn run(mut self) -> (usize, Rcode, Option<&'s QueryCounters>) {
        if let Some(edns) = self.query.edns {
            self.writer.reserve(&self.opt(None));
            if edns.version > 0 {
                self.subnet = None; // an option of a version that we do not speak
                return (self.finish(Rcode::BADVERS, None), Rcode::BADVERS, None);
            }
            // RFC 7871 7.1.2; a server that does not use the option does not know it either.
            if edns.malformed || (self.snapshot.options.ecs && matches!(edns.client_subnet, Some(Err(_)))) {
                return (self.finish(Rcode::FORMERR, None), Rcode::FORMERR, None);
            }
        }
        let Some(entry) = self.served() else {
            return (self.finish(Rcode::REFUSED, None), Rcode::REFUSED, None);
        };
        let (rcode, error) = self.answer_from(entry);
        (self.finish(rcode, error), rcode, Some(&entry.counters))
    }

    /// The zone that answers, for a question that a zone can answer.
    fn served(&mut self) -> Option<&'s ZoneEntry> {
        let askable =
            self.query.qclass == crate::wire::Class::IN && (!self.query.qtype.is_meta() || self.query.qtype == RecordType::ANY);
        let entry = self.zone_of_question().filter(|_| askable);
        self.tell(|| Trace::Zone(entry));
        entry
    }

    /// The zone with the longest apex; for DS the parent's side of a cut, where that is served too (RFC 4035 3.1.4.1).
    fn zone_of_question(&self) -> Option<&'s ZoneEntry> {
        let Query { qname, qtype, .. } = *self.query;
        let zones = &self.snapshot.zones;
        let entry = zones.find(qname)?;
        let above = qname.parent().filter(|_| qtype == RecordType::DS && entry.apex() == qname);
        Some(above.and_then(|parent| zones.find(parent)).unwrap_or(entry))
    }

    fn answer_from(&mut self, entry: &'s ZoneEntry) -> (Rcode, Option<ExtendedError>) {
        if matches!(entry.state, ZoneState::Failed(_)) {
            return (Rcode::SERVFAIL, Some(ExtendedError::not_ready("the zone could not be loaded")));
        }
        let start = self.writer.mark();
        match self.chase(entry) {
            Ok(rcode) if self.unknown => (rcode, Some(ExtendedError::not_ready("a target's health is not known yet"))),
            Ok(rcode) => (rcode, None),
            Err(Stop::Full) => {
                self.writer.truncate(start);
                (Rcode::NOERROR, None)
            }
            Err(Stop::ProgramFailed) => {
                self.writer.rewind(start);
                self.writer.set_authoritative(false);
                (Rcode::SERVFAIL, Some(ExtendedError::other("the record program failed")))
            }
        }
    }

    /// Answers at the name asked for, then at each CNAME target inside the served zones.
    fn chase(&mut self, mut entry: &'s ZoneEntry) -> Result<Rcode, Stop> {
        let mut name = self.query.qname;
        let mut owner = Owner::Question;
        let mut followed = [NameRef::ROOT; CHAIN_MAX];
        for hop in 0..=CHAIN_MAX {
            let ZoneState::Serving { zone, .. } = &entry.state else { break };
            match self.step(zone, owner, name)? {
                Step::Done(rcode) => return Ok(rcode),
                Step::Follow(target) => {
                    // A loop says nothing new from its second turn on.
                    let known = target == self.query.qname || followed.iter().take(hop).any(|&name| name == target);
                    let Some(next) = self.snapshot.zones.find(target).filter(|_| !known && hop < CHAIN_MAX) else { break };
                    followed[hop] = target;
                    (entry, name, owner) = (next, target, Owner::Name(target));
                }
            }
        }
        Ok(Rcode::NOERROR)
    }

    fn step(&mut self, zone: &'s Zone, owner: Owner<'_>, name: NameRef<'_>) -> Result<Step<'s>, Stop> {
        if matches!(owner, Owner::Question) {
            self.writer.set_authoritative(true);
        }
        match zone.find(name) {
            zone::Found::Cut(node) => self.referral(zone, owner, node, name),
            zone::Found::Exact(node) => {
                self.tell(|| Trace::Found(Found::Exact, node.name()));
                self.node(zone, owner, name, node)
            }
            zone::Found::Wildcard { node, .. } => {
                self.tell(|| Trace::Found(Found::Wildcard, node.name()));
                self.node(zone, owner, name, node)
            }
            zone::Found::None { encloser } => {
                self.tell(|| Trace::Found(Found::None, encloser.name()));
                self.negative(zone)?;
                Ok(Step::Done(Rcode::NXDOMAIN))
            }
        }
    }

    /// Answers from the node that `name` led to.
    fn node(&mut self, zone: &'s Zone, owner: Owner<'_>, name: NameRef<'_>, node: Node<'s>) -> Result<Step<'s>, Stop> {
        let qtype = self.query.qtype;
        if qtype != RecordType::CNAME
            && qtype != RecordType::ANY
            && let Some(target) = self.alias(owner, name, node)?
        {
            self.tell(|| Trace::Follow(target));
            return Ok(Step::Follow(target));
        }
        let before = self.writer.count(Section::Answer);
        if qtype == RecordType::ANY {
            self.any(owner, name, node)?;
        } else {
            self.records(owner, name, node, qtype)?;
        }
        if self.writer.count(Section::Answer) == before {
            self.negative(zone)?;
        }
        Ok(Step::Done(Rcode::NOERROR))
    }

    /// Writes the node's CNAME, if it has one or a program gives one, and says where it leads. Of several, the first
    /// counts.
    fn alias(&mut self, owner: Owner<'_>, name: NameRef<'_>, node: Node<'s>) -> Result<Option<NameRef<'s>>, Stop> {
        if let Some(rrset) = node.rrset(RecordType::CNAME)
            && let Some(rdata) = rrset.rdata().next()
        {
            self.writer.record(owner, RecordType::CNAME, rrset.ttl, rdata)?;
            return Ok(NameRef::parse(rdata).ok());
        }
        for program in node.programs().iter().filter(|program| program.rtype == RecordType::CNAME) {
            let (records, _) = self.draw(self.snapshot.set(program.id), name)?;
            if let Some(rdata) = first_rdata(records) {
                self.writer.record(owner, RecordType::CNAME, program.ttl, rdata)?;
                return Ok(NameRef::parse(rdata).ok());
            }
        }
        Ok(None)
    }

    /// Writes the node's records of one type, stored and drawn.
    fn records(&mut self, owner: Owner<'_>, name: NameRef<'_>, node: Node<'s>, rtype: RecordType) -> Result<(), Stop> {
        if let Some(rrset) = node.rrset(rtype).filter(|_| rtype != RecordType::LUA) {
            self.stored(owner, &rrset)?;
        }
        for program in node.programs().iter().filter(|program| program.rtype == rtype && rtype != RecordType::LUA) {
            let (records, count) = self.draw(self.snapshot.set(program.id), name)?;
            match owner {
                Owner::Question if has_no_names(rtype) => self.writer.prepared(records, count)?,
                Owner::Question | Owner::Name(_) => {
                    for rdata in each_rdata(records) {
                        self.writer.record(owner, rtype, program.ttl, rdata)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// RFC 8482 4.1: of all the RRsets of the name, one.
    fn any(&mut self, owner: Owner<'_>, name: NameRef<'_>, node: Node<'s>) -> Result<(), Stop> {
        let stored = node.rrsets().map(|rrset| rrset.rtype);
        let drawn = node.programs().iter().map(|program| program.rtype);
        let before = self.writer.count(Section::Answer);
        for rtype in stored.chain(drawn).filter(|&rtype| rtype != RecordType::LUA) {
            self.records(owner, name, node, rtype)?;
            if self.writer.count(Section::Answer) > before {
                break;
            }
        }
        Ok(())
    }

    fn draw(&mut self, set: Option<&'s std::sync::Arc<AnswerSet>>, name: NameRef<'_>) -> Result<(&'s [u8], u16), Stop> {
        let set = set.ok_or(Stop::ProgramFailed)?;
        self.tailored |= set.depends_on_client();
        self.unknown |= set.rests_on_unknown();
        let drawn = set.draw(self.client, name, self.random);
        self.tell(|| Trace::Program(set));
        match drawn {
            Drawn::Fail => Err(Stop::ProgramFailed),
            Drawn::Records(records, count) => Ok((records, count)),
        }
    }

    fn stored(&mut self, owner: Owner<'_>, rrset: &RRset<'s>) -> Result<(), Full> {
        match owner {
            Owner::Question if has_no_names(rrset.rtype) => self.writer.prepared(rrset.prepared(), rrset.count),
            Owner::Question | Owner::Name(_) => {
                rrset.rdata().try_for_each(|rdata| self.writer.record(owner, rrset.rtype, rrset.ttl, rdata))
            }
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
    fn referral(&mut self, zone: &'s Zone, owner: Owner<'_>, cut: Node<'s>, name: NameRef<'_>) -> Result<Step<'s>, Stop> {
        self.tell(|| Trace::Found(Found::Cut, cut.name()));
        if self.query.qtype == RecordType::DS && cut.name() == name {
            return self.node(zone, owner, name, cut);
        }
        if matches!(owner, Owner::Question) {
            self.writer.set_authoritative(false);
        }
        self.writer.section(Section::Authority);
        let Some(servers) = cut.rrset(RecordType::NS) else { return Ok(Step::Done(Rcode::SERVFAIL)) };
        for rdata in servers.rdata() {
            self.writer.record(Owner::Name(cut.name()), RecordType::NS, servers.ttl, rdata)?;
        }
        self.writer.section(Section::Additional);
        for server in servers.rdata().filter_map(|rdata| NameRef::parse(rdata).ok()) {
            self.glue(zone, cut, server);
        }
        Ok(Step::Done(Rcode::NOERROR))
    }

    /// Addresses of a name server, as far as they fit; TC says that some below the cut do not (RFC 9471 3.1).
    fn glue(&mut self, zone: &'s Zone, cut: Node<'s>, server: NameRef<'s>) {
        let Some(node) = Some(server).filter(|name| name.is_within(zone.apex())).and_then(|name| zone.node(name)) else {
            return;
        };
        for rrset in [RecordType::A, RecordType::AAAA].into_iter().filter_map(|rtype| node.rrset(rtype)) {
            let mark = self.writer.mark();
            if self.stored(Owner::Name(server), &rrset).is_err() {
                self.writer.rewind(mark);
                if server.is_within(cut.name()) {
                    self.writer.set_truncated();
                }
            }
        }
    }

    fn finish(self, rcode: Rcode, error: Option<ExtendedError>) -> usize {
        let opt = self.query.edns.map(|_| self.opt(error));
        self.writer.finish(rcode, opt.as_ref())
    }

    fn opt(&self, error: Option<ExtendedError>) -> OptReply {
        OptReply {
            dnssec_ok: self.query.edns.is_some_and(|edns| edns.dnssec_ok),
            client_subnet: self.subnet.map(|subnet| (subnet, if self.tailored { subnet.source } else { 0 })),
            error,
        }
    }

    fn tell(&mut self, event: impl FnOnce() -> Trace<'s>) {
        if let Some(trace) = &mut self.trace {
            trace.push(event());
        }
    }
}

/// Whether prepared records of the type can be copied as they are: no name in them to compress.
fn has_no_names(rtype: RecordType) -> bool {
    !layout(rtype).contains(&Field::Name)
}

/// A v4 client on a v6 socket is a v4 client.
fn unmapped(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(client, |v4: Ipv4Addr| IpAddr::V4(v4)),
        IpAddr::V4(_) => client,
    }
}
