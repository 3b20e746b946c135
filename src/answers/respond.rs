//! The answer routine: a message in, a reply out, in fixed stages.
//!
//! parse → EDNS (version, cookie, client subnet) → TSIG → class and type → the name (`resolve`) → rate limit → write,
//! truncate, OPT.
//!
//! | what is wrong | reply | source |
//! | --- | --- | --- |
//! | shorter than a header, or a response | none | RFC 1035 4.1.1 |
//! | opcode other than QUERY | NOTIMP | RFC 1035 4.1.1 |
//! | not one question, or one that cannot be read | FORMERR, no question | RFC 9619 4 |
//! | no question, but a cookie | NOERROR and a cookie | RFC 7873 5.4 |
//! | EDNS version above 0 | BADVERS | RFC 6891 6.1.3 |
//! | what follows the question, or an option, is malformed | FORMERR with the question | RFC 6891 6.1.1, 7, RFC 7871 7.1.2, RFC 7873 5.2.2 |
//! | TSIG | NOTAUTH, BADKEY | RFC 8945 5.2.1 |
//! | a cookie is required and not good | BADCOOKIE and a good one | RFC 7873 5.2.3 |
//! | a class that is not served | REFUSED | RFC 1035 4.1.1 |
//! | type OPT, TKEY, TSIG, NXNAME | FORMERR | RFC 6895 3.1, RFC 9824 5.1 |
//! | type AXFR, IXFR | REFUSED; for what is no zone of ours, NOTAUTH | RFC 5936 2.2.1 |
//! | a name that is not served | REFUSED | RFC 1035 4.1.1 |
//!
//! Nothing here panics on what a client sends, allocates, or looks at a clock.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::program::{Facts, FailReason, Failure, Runner};

use crate::wire::{
    Class, ClientSubnet, Edns, ExtendedError, Mark, NameRef, NameTable, OptReply, Owner, Query, RESPONDER_PAYLOAD, Rcode,
    RecordType, Rejected, Tsig, Writer,
};

use super::chaos;
use super::cookies::{Judged, ServerCookie};
use super::counters::{QueryCounters, Transport};
use super::explain::Trace;
use super::notices::{Notice, front};
use super::options::Options;
use super::prepared::Made;
use super::rate::{Subject, Verdict};
use super::resolve::{CHAIN_MAX, Chain};
use super::snapshot::{Snapshot, ZoneEntry};
use super::tally::Teller;

/// The least that any client takes over UDP (RFC 1035 4.2.1).
const PLAIN_UDP_PAYLOAD: usize = 512;

/// What is per thread.
#[derive(Debug)]
pub struct Worker {
    slot: usize,
    runner: Runner,
    made: Made,
    chain: Chain,
    names: NameTable,
}

impl Worker {
    /// The worker that counts in `slot` and draws from `random`.
    #[must_use]
    pub fn new(slot: usize, random: fastrand::Rng) -> Self {
        Self { slot, runner: Runner::new(random), made: Made::roomy(), chain: Chain::new(), names: NameTable::default() }
    }
}

/// How a query came.
#[derive(Clone, Copy, Debug)]
pub struct Ctx {
    /// From where.
    pub client: SocketAddr,
    /// To where.
    pub local: SocketAddr,
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
pub fn respond(snapshot: &Arc<Snapshot>, worker: &mut Worker, ctx: &Ctx, request: &[u8], reply: &mut [u8]) -> Response {
    respond_traced(snapshot, worker, ctx, request, reply, None)
}

/// As [`respond`], telling `trace` what it does.
pub(super) fn respond_traced<'s>(
    snapshot: &'s Arc<Snapshot>,
    worker: &mut Worker,
    ctx: &Ctx,
    request: &[u8],
    reply: &mut [u8],
    trace: Option<&mut Vec<Trace<'s>>>,
) -> Response {
    let outcome = match Query::parse(request) {
        Ok(query) => {
            let teller = Teller { worker: worker.slot, transport: ctx.transport };
            let Worker { runner, made, chain, names, .. } = worker;
            let Some(writer) = Writer::reply(reply, limit(&query, ctx.transport), &query, names) else {
                return drop_it(snapshot, worker);
            };
            made.clear();
            if trace.is_some() {
                runner.listen();
            }
            let head = request.first_chunk().copied().unwrap_or_default();
            Answering::new(snapshot, (runner, made, teller), ctx, (&query, head), writer, trace).run(chain)
        }
        Err(Rejected::Ignored) => return drop_it(snapshot, worker),
        Err(Rejected::Refused(header, rcode)) => {
            let verdict = rate(snapshot, ctx, &Subject::Error(rcode), &mut worker.runner.random);
            match Writer::bare(reply, PLAIN_UDP_PAYLOAD, header, &mut worker.names) {
                None => return drop_it(snapshot, worker),
                Some(mut writer) if verdict == Verdict::Send => Outcome::unserved(writer.finish(rcode, None, None), rcode),
                Some(_) => Outcome { len: None, rcode, limited: true, fell_back: false, counters: None },
            }
        }
        Err(Rejected::NoQuestion(header, edns)) => {
            let (rcode, opt, proven) = without_question(&snapshot.options, ctx, &edns);
            let limited = !proven && rate(snapshot, ctx, &Subject::Error(rcode), &mut worker.runner.random) != Verdict::Send;
            match Writer::bare(reply, PLAIN_UDP_PAYLOAD, header, &mut worker.names) {
                None => return drop_it(snapshot, worker),
                Some(_) if limited => Outcome { len: None, rcode, limited, fell_back: false, counters: None },
                Some(mut writer) => Outcome::unserved(writer.finish(rcode, Some(&opt), None), rcode),
            }
        }
    };
    let Outcome { len, rcode, limited, fell_back, counters } = outcome;
    let counters = counters.unwrap_or(&*snapshot.unserved);
    if limited {
        counters.limited(worker.slot);
    }
    let Some(len) = len else { return Response::Drop };
    counters.replied(worker.slot, ctx.transport, rcode);
    if fell_back {
        counters.fell_back(worker.slot, ctx.transport);
    }
    Response::Reply(len)
}

fn drop_it(snapshot: &Snapshot, worker: &Worker) -> Response {
    snapshot.unserved.dropped(worker.slot);
    Response::Drop
}

/// The most octets that the client takes and we send.
fn limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, query.edns) {
        (Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => PLAIN_UDP_PAYLOAD,
        (Transport::Udp, Some(edns)) => usize::from(edns.payload.min(RESPONDER_PAYLOAD)).max(PLAIN_UDP_PAYLOAD),
    }
}

/// What becomes of a reply to a client that has not proven its address.
fn rate(snapshot: &Snapshot, ctx: &Ctx, subject: &Subject<'_>, random: &mut fastrand::Rng) -> Verdict {
    match &snapshot.limiter {
        Some(limiter) if ctx.transport == Transport::Udp => {
            limiter.judge(unmapped(ctx.client.ip()), subject, ctx.now.monotonic, random)
        }
        _ => Verdict::Send,
    }
}

/// A query without a question can only be one for a cookie (RFC 7873 5.4). Also says whether the client's address is proven.
fn without_question<'o>(options: &'o Options, ctx: &Ctx, edns: &Edns<'_>) -> (Rcode, OptReply<'o>, bool) {
    let cookie = judged(options, ctx, edns);
    let opt = OptReply { cookie: cookie.map(|(client, judged)| (client, judged.server)), ..opt(options, ctx, edns) };
    match cookie {
        _ if edns.version > 0 => (Rcode::BADVERS, OptReply { cookie: None, ..opt }, false),
        Some((_, judged)) if !edns.malformed => (Rcode::NOERROR, opt, judged.proven),
        _ => (Rcode::FORMERR, opt, false),
    }
}

/// The client's cookie and what it is worth; `None` without one that can be read, or where cookies are off.
fn judged(options: &Options, ctx: &Ctx, edns: &Edns<'_>) -> Option<([u8; 8], Judged)> {
    let cookie = edns.cookie?.ok()?;
    let judged = options.cookies.as_ref()?.judge(&cookie, unmapped(ctx.client.ip()), ctx.now.unix)?;
    Some((cookie.client, judged))
}

/// What the OPT record of a reply says, whatever the answer is.
fn opt<'o>(options: &'o Options, ctx: &Ctx, edns: &Edns<'_>) -> OptReply<'o> {
    let stream = matches!(ctx.transport, Transport::Tcp | Transport::Tls);
    let tenths = || u16::try_from(options.tcp_idle.as_millis() / 100).unwrap_or(u16::MAX);
    OptReply {
        dnssec_ok: edns.dnssec_ok,
        nsid: options.nsid.as_deref().filter(|_| edns.nsid),
        // RFC 7828 3.2.1, 3.3.2: only where there is a connection to keep.
        keepalive: (stream && edns.keepalive).then(tenths),
        padded: edns.padded && ctx.transport.is_encrypted(),
        ..OptReply::default()
    }
}

/// One query on its way to an answer.
pub(super) struct Answering<'s, 'q, 'b, 't> {
    pub(super) snapshot: &'s Arc<Snapshot>,
    pub(super) runner: &'q mut Runner,
    pub(super) made: &'q mut Made,
    pub(super) teller: Teller,
    ctx: &'q Ctx,
    pub(super) query: &'q Query<'q>,
    /// The query's header as it came.
    head: [u8; 12],
    pub(super) writer: Writer<'b>,
    /// The address that the answer is made for: the client subnet's network, else the sender.
    pub(super) client: IpAddr,
    pub(super) subnet: Option<ClientSubnet>,
    /// How many bits around `client` the answer holds for, as far as it was made from it.
    pub(super) scope: u8,
    /// Whether the answer rests on a status that nobody knows yet.
    pub(super) unknown: bool,
    /// Whether a group of a program that answered had no target up.
    pub(super) fell_back: bool,
    /// The owners of the DNAMEs that the answer has: each is said once, however often it is used.
    pub(super) dnames: [Option<NameRef<'s>>; CHAIN_MAX + 1],
    /// What the name comes to, as far as is known: a truncated reply says so.
    pub(super) rcode: Rcode,
    /// Up to where the reply holds whole RRsets.
    pub(super) whole: Mark,
    /// What the answer is about, for rate limiting.
    pub(super) subject: Subject<'s>,
    /// The client's cookie, and the server's for it.
    cookie: Option<([u8; 8], ServerCookie)>,
    /// Whether the client gets what is sent to its address, as far as we know.
    proven: bool,
    trace: Option<&'t mut Vec<Trace<'s>>>,
}

/// How a query ends.
struct Outcome<'s> {
    /// The reply's length; `None`: it is not sent.
    len: Option<usize>,
    rcode: Rcode,
    /// Whether rate limiting holds the reply back or makes it an empty one.
    limited: bool,
    /// Whether a group of a program that answered had no target up.
    fell_back: bool,
    /// Whose counters it belongs to; `None`: no zone's.
    counters: Option<&'s QueryCounters>,
}

impl Outcome<'_> {
    const fn unserved(len: usize, rcode: Rcode) -> Self {
        Self { len: Some(len), rcode, limited: false, fell_back: false, counters: None }
    }
}

/// A reply without data.
struct Refusal<'q> {
    rcode: Rcode,
    error: Option<ExtendedError>,
    tsig: Option<Tsig<'q>>,
}

impl Refusal<'_> {
    const fn new(rcode: Rcode) -> Self {
        Self { rcode, error: None, tsig: None }
    }

    const fn because(rcode: Rcode, error: ExtendedError) -> Self {
        Self { rcode, error: Some(error), tsig: None }
    }
}

impl<'s, 'q, 'b, 't> Answering<'s, 'q, 'b, 't> {
    fn new(
        snapshot: &'s Arc<Snapshot>,
        (runner, made, teller): (&'q mut Runner, &'q mut Made, Teller),
        ctx: &'q Ctx,
        (query, head): (&'q Query<'q>, [u8; 12]),
        writer: Writer<'b>,
        trace: Option<&'t mut Vec<Trace<'s>>>,
    ) -> Self {
        let edns = query.edns.filter(|edns| edns.version == 0); // options of a version that we do not speak mean nothing
        let subnet = edns.and_then(|edns| edns.client_subnet?.ok()).filter(|_| snapshot.options.ecs);
        let judged = edns.and_then(|edns| judged(&snapshot.options, ctx, &edns));
        let whole = writer.mark();
        Self {
            snapshot,
            runner,
            made,
            teller,
            ctx,
            query,
            head,
            writer,
            client: subnet.map_or_else(|| unmapped(ctx.client.ip()), |subnet| subnet.network),
            subnet,
            scope: 0,
            unknown: false,
            fell_back: false,
            dnames: [None; CHAIN_MAX + 1],
            rcode: Rcode::NOERROR,
            whole,
            subject: Subject::Node(NameRef::ROOT, query.qtype),
            cookie: judged.map(|(client, judged)| (client, judged.server)),
            proven: ctx.transport != Transport::Udp || judged.is_some_and(|(_, judged)| judged.proven),
            trace,
        }
    }

    /// The query, as programs see it, but for the names.
    pub(super) fn facts<'f>(&self) -> Facts<'f>
    where
        's: 'f,
    {
        let edns = self.query.edns;
        Facts {
            client: self.client,
            subnet: self.subnet.map(|subnet| subnet.source),
            resolver: SocketAddr::new(unmapped(self.ctx.client.ip()), self.ctx.client.port()),
            local: SocketAddr::new(unmapped(self.ctx.local.ip()), self.ctx.local.port()),
            qname: NameRef::ROOT,
            zone: NameRef::ROOT,
            owner: NameRef::ROOT,
            tcp: self.ctx.transport != Transport::Udp,
            dnssec_ok: edns.is_some_and(|edns| edns.dnssec_ok),
            payload: edns.map_or(0, |edns| edns.payload),
            header: self.head,
            places: &self.snapshot.places,
            unix: self.ctx.now.unix,
            monotonic: self.ctx.now.monotonic,
        }
    }

    /// Why a program failed, for the client (RFC 8914) .
    pub(super) fn explained(&self, failure: &Failure) -> ExtendedError {
        match failure {
            Failure::NotReady | Failure::Call(FailReason::Pending) => {
                ExtendedError::not_ready("the record program waits for data")
            }
            _ => ExtendedError::other("the record program failed"),
        }
    }

    fn run(&mut self, chain: &mut Chain) -> Outcome<'s> {
        if self.query.edns.is_some() {
            let opt = self.opt(None);
            self.writer.reserve(&opt);
        }
        let start = self.writer.mark();
        let (refusal, counters) = match self.screen() {
            Err(refusal) => {
                self.tell(|| Trace::Zone(None));
                (refusal, None)
            }
            Ok(Asked::Chaos(text)) => (self.chaos(text), None),
            Ok(Asked::Zone(entry)) => {
                self.tell(|| Trace::Zone(Some(entry)));
                let (rcode, error) = self.answer_from(entry, chain);
                (Refusal { rcode, error, tsig: None }, Some(&*entry.counters))
            }
        };
        let Refusal { mut rcode, mut error, mut tsig } = refusal;
        if !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN) {
            self.subject = Subject::Error(rcode);
        }
        let verdict =
            if self.proven { Verdict::Send } else { rate(self.snapshot, self.ctx, &self.subject, &mut self.runner.random) };
        match verdict {
            Verdict::Send => {}
            Verdict::Drop => return Outcome { len: None, rcode, limited: true, fell_back: false, counters },
            Verdict::Truncate => {
                self.writer.truncate(start);
                (rcode, error, tsig) = (Rcode::NOERROR, None, None);
            }
        }
        let opt = self.query.edns.map(|_| self.opt(error));
        let len = self.writer.finish(rcode, opt.as_ref(), tsig.as_ref());
        Outcome { len: Some(len), rcode, limited: verdict == Verdict::Truncate, fell_back: self.fell_back, counters }
    }

    /// What is asked for, if it may be; the order is that of the table at the top.
    fn screen(&mut self) -> Result<Asked<'s>, Refusal<'q>> {
        let options = &self.snapshot.options;
        let Query { qname, qtype, qclass, edns, tsig, malformed, .. } = *self.query;
        if let Some(edns) = edns {
            if edns.version > 0 {
                return Err(Refusal::new(Rcode::BADVERS));
            }
            // An option that is not used is not known either.
            let subnet = options.ecs && matches!(edns.client_subnet, Some(Err(_)));
            let cookie = options.cookies.is_some() && matches!(edns.cookie, Some(Err(_)));
            if edns.malformed || subnet || cookie {
                return Err(Refusal::new(Rcode::FORMERR));
            }
        }
        if malformed {
            return Err(Refusal::new(Rcode::FORMERR));
        }
        if tsig.is_some() {
            return Err(Refusal { rcode: Rcode::NOTAUTH, error: None, tsig });
        }
        if !self.proven && self.cookie.is_some() && options.cookies.as_ref().is_some_and(|cookies| cookies.required) {
            return Err(Refusal::new(Rcode::BADCOOKIE));
        }
        match qclass {
            Class::IN | Class::ANY => self.zone(qname, qtype).map(Asked::Zone),
            Class::CH => chaos::text(options, qname, qtype).map(Asked::Chaos).ok_or(Refusal::new(Rcode::REFUSED)),
            _ => Err(Refusal::new(Rcode::REFUSED)),
        }
    }

    /// The zone that answers the question, if one can.
    fn zone(&self, qname: NameRef<'_>, qtype: RecordType) -> Result<&'s ZoneEntry, Refusal<'q>> {
        match qtype {
            RecordType::OPT | RecordType::TKEY | RecordType::TSIG => Err(Refusal::new(Rcode::FORMERR)),
            RecordType::NXNAME => Err(Refusal::because(Rcode::FORMERR, ExtendedError::invalid_query_type())),
            RecordType::AXFR | RecordType::IXFR if self.snapshot.zones.get(qname).is_none() => Err(Refusal::new(Rcode::NOTAUTH)),
            RecordType::AXFR | RecordType::IXFR => {
                Err(Refusal::because(Rcode::REFUSED, ExtendedError::not_supported("no zone transfers")))
            }
            _ => self.zone_of_question().ok_or(Refusal::because(Rcode::REFUSED, ExtendedError::not_authoritative())),
        }
    }

    /// One TXT record of class CH.
    fn chaos(&mut self, text: &[u8]) -> Refusal<'q> {
        let mut rdata = [0; 256];
        let len = text.len().min(255);
        rdata[0] = len as u8;
        rdata[1..=len].copy_from_slice(&text[..len]);
        self.writer.set_authoritative(true);
        self.writer.set_class(Class::CH);
        if self.writer.record(Owner::Question, RecordType::TXT, chaos::TTL, &rdata[..=len]).is_err() {
            self.writer.set_truncated();
        }
        Refusal::new(Rcode::NOERROR)
    }

    fn opt(&self, error: Option<ExtendedError>) -> OptReply<'s> {
        let fixed = match &self.query.edns {
            Some(edns) => opt(&self.snapshot.options, self.ctx, edns),
            None => OptReply::default(),
        };
        // A client that gave no bits has no wish to be told apart (RFC 7871 7.1.2).
        let scope = |subnet: ClientSubnet| if subnet.source == 0 { 0 } else { self.scope };
        OptReply { client_subnet: self.subnet.map(|subnet| (subnet, scope(subnet))), cookie: self.cookie, error, ..fixed }
    }

    /// Has a program's failure counted and logged, unless it is only being explained.
    pub(super) fn program_failed(&self, (name, rtype, zone): (NameRef<'_>, RecordType, NameRef<'_>), failure: &Failure) {
        if self.trace.is_none() {
            let why = || front(&failure.to_string());
            let failed = || Notice::Failed { name: name.to_name(), rtype, zone: zone.to_name(), why: why() };
            self.snapshot.notices.failed(failure, failed);
        }
    }

    pub(super) fn tell(&mut self, event: impl FnOnce() -> Trace<'s>) {
        if let Some(trace) = &mut self.trace {
            trace.push(event());
        }
    }
}

/// What answers a question.
enum Asked<'s> {
    /// A zone.
    Zone(&'s ZoneEntry),
    /// A text about the server.
    Chaos(&'s [u8]),
}

/// A v4 client on a v6 socket is a v4 client.
fn unmapped(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(client, |v4: Ipv4Addr| IpAddr::V4(v4)),
        IpAddr::V4(_) => client,
    }
}
