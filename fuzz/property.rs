//! What must hold for every datagram, whoever makes it up: the fuzz target and `tests/properties.rs` state it once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leeward::answers::{Cookies, Ctx, Now, Options, RateLimits, Response, Secret, Snapshot, Transport, Worker, respond};
use leeward::control::{Config, Effect, Engine, Event, Load, LoadId, LoadKind};
use leeward::geo::Places;
use leeward::health::{self, Due, Finished, Moment};
use leeward::node::compile::{self, Origin, Settings, Slots};
use leeward::program::{self, Limits};
use leeward::target::Outcome;
use leeward::wire::Name;
use leeward::zone;

/// A zone with something of everything that an answer can be made of.
const ZONE: &str = "$TTL 30
@ SOA ns1 hostmaster 1 3600 600 86400 300
@ NS ns1
@ NS ns.sub
@ MX 10 mail
ns1 A 192.0.2.53
ns1 AAAA 2001:db8::53
mail A 192.0.2.25
alias CNAME www
loop CNAME loop
out CNAME www.elsewhere.example.
*.wild TXT \"wild\" \"card\"
*.walias CNAME www
a.empty.non.terminal A 192.0.2.1
sub NS ns.sub
ns.sub A 192.0.2.54
big TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"1123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"2123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"3123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"4123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"5123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
www LUA A \"ifportup(80, {'192.0.2.1', '192.0.2.2', '192.0.2.3'}, {selector='all'})\"
www LUA AAAA \"ifportup(80, {'2001:db8::1'})\"
shop LUA A \"pickwhashed({{80, '192.0.2.1'}, {20, '192.0.2.2'}})\"
any LUA TXT \"pickrandom({'a', 'b', 'c'})\"
lalias LUA CNAME \"pickhashed({'www.prop.example', 'shop.prop.example'})\"
*.lwild LUA A \"picknamehashed({{1, '192.0.2.1'}, {2, '192.0.2.2'}})\"
near LUA A \"view({{{'192.0.2.0/25'}, {'192.0.2.1'}}, {{'192.0.0.0/8', '2001:db8::/32'}, {'192.0.2.2', '192.0.2.3'}}})\"
svc HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1
dial NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:info@prop.example!\" .
moved DNAME there
x.there A 192.0.2.77
grows DNAME a.grows
ping DNAME pong
pong DNAME x.ping
long DNAME abcdefghijklmnopqrstuvwxyz0123456789.abcdefghijklmnopqrstuvwxyz0123456789.abcdefghijklmnopqrstuvwxyz0123456789.abcdefghijklmnopqrstuvwxyz0123456789
";

const SECRET: &[u8; 16] = b"0123456789abcdef";

/// A published snapshot of [`ZONE`], every target up, with everything that an answer can have.
pub fn snapshot() -> Arc<Snapshot> {
    let cookies = Cookies { secrets: vec![Secret::new(*SECRET)], required: false };
    snapshot_of(ZONE, Options { nsid: Some(b"prop-1".as_slice().into()), cookies: Some(cookies), ..Options::default() })
}

/// The same, whose clients must show cookies and are soon limited.
pub fn strict_snapshot() -> Arc<Snapshot> {
    let cookies = Cookies { secrets: vec![Secret::new(*SECRET)], required: true };
    let limits = RateLimits { per_second: 1, slip: 2, ipv4_prefix: 24, ipv6_prefix: 56, exempt: Vec::new(), table_size: 1 << 10 };
    snapshot_of(ZONE, Options { cookies: Some(cookies), rate: Some(limits), ..Options::default() })
}

/// How programs are compiled under these options.
fn settings(options: &Options) -> Settings {
    let Limits { steps: step_limit, shared, .. } = Limits::default();
    let programs = program::Settings { defaults: options.checks.clone(), step_limit, shared };
    Settings { programs, insert_whitespace: false, fence: Default::default() }
}

/// A published snapshot of the zone `prop.example` with this text, every target up.
pub fn snapshot_of(text: &'static str, options: Options) -> Arc<Snapshot> {
    snapshot_at(text, options, Arc::new(Places::empty()))
}

/// The same, where clients and targets are at these places.
pub fn snapshot_at(text: &'static str, options: Options, places: Arc<Places>) -> Arc<Snapshot> {
    struct Text(&'static str);
    impl zone::Source for Text {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(self.0.into())
        }
    }
    let apex: Name = "prop.example".parse().expect("a name");
    let options = Arc::new(options);
    let loaded = zone::load(&Text(text), Path::new("zone"), apex.as_ref());
    let contents = loaded.contents.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let settings = settings(&options);
    let empty = Snapshot::empty(Arc::clone(&options), 1);
    let version = compile::version(&empty, contents, &settings, &mut Slots::default(), Origin::default());
    let health = health::Config::default();
    let now = Moment::at(Duration::from_secs(1));
    let config = Config { health: health.clone(), options: Arc::clone(&options), publish_interval: Duration::ZERO, workers: 1 };
    let mut engine = Engine::new(config, fastrand::Rng::with_seed(1), now);
    let load = Load {
        id: LoadId(1),
        kind: LoadKind::Start,
        zones: vec![version.load],
        removed: Vec::new(),
        words: None,
        health,
        places,
        options,
        publish_interval: Duration::ZERO,
    };
    engine.handle(Event::Loaded(Box::new(load)), now);
    loop {
        match engine.poll_effect().expect("it is published in the end") {
            Effect::Probe(Due { run, .. }) => {
                let result = Finished { outcome: Outcome::PASS, started: now, elapsed: Duration::from_millis(1) };
                engine.handle(Event::Probed { run, result }, now);
            }
            Effect::Publish { snapshot, .. } => return snapshot,
            _ => {}
        }
    }
}

/// Questions to start from.
pub fn seeds() -> Vec<Vec<u8>> {
    use leeward::wire::{Class, ClientSubnet, QueryBuilder, RecordType};
    let names = [
        "prop.example",
        "www.prop.example",
        "alias.prop.example",
        "loop.prop.example",
        "out.prop.example",
        "x.wild.prop.example",
        "x.walias.prop.example",
        "empty.non.terminal.prop.example",
        "deep.sub.prop.example",
        "sub.prop.example",
        "big.prop.example",
        "shop.prop.example",
        "any.prop.example",
        "lalias.prop.example",
        "x.lwild.prop.example",
        "none.prop.example",
        "near.prop.example",
        "svc.prop.example",
        "dial.prop.example",
        "x.moved.prop.example",
        "x.grows.prop.example",
        "x.ping.prop.example",
        "abcdefghijklmnopqrstuvwxyz0123456789.abcdefghijklmnopqrstuvwxyz0123456789.abcdefghijklmnopqrstuvwxyz0123456789.long.prop.example",
        "example",
        "WWW.PROP.EXAMPLE",
    ];
    let types =
        [RecordType::A, RecordType::AAAA, RecordType::TXT, RecordType::CNAME, RecordType::DS, RecordType::ANY, RecordType::LUA];
    let subnet = ClientSubnet { network: [192, 0, 2, 0].into(), source: 24 };
    let good = good_cookie();
    let mut seeds = Vec::new();
    for name in names {
        let name: Name = name.parse().expect("a name");
        for rtype in types {
            let query = QueryBuilder::new(&name, rtype, Class::IN);
            seeds.push(query.clone().build());
            seeds.push(query.clone().client_subnet(None).build());
            seeds.push(with_option(&query.clone().client_subnet(None).build(), &good));
            seeds.push(query.client_subnet(Some(subnet)).build());
        }
    }
    let apex: Name = "prop.example".parse().expect("a name");
    for rtype in [RecordType::NS, RecordType::SOA, RecordType::AXFR, RecordType::OPT, RecordType::NXNAME, RecordType::HTTPS] {
        let query = QueryBuilder::new(&apex, rtype, Class::IN).client_subnet(None).build();
        seeds.extend(OPTIONS.iter().map(|option| with_option(&query, option)));
        seeds.push(QueryBuilder::new(&apex, rtype, Class::ANY).build());
    }
    for text in ["version.bind", "id.server", "hostname.bind"] {
        let name: Name = text.parse().expect("a name");
        seeds.push(QueryBuilder::new(&name, RecordType::TXT, Class::CH).build());
    }
    seeds
}

/// Options of a query, with their heads: NSID, cookies, keepalive, padding.
const OPTIONS: [&[u8]; 5] = [
    &[0, 3, 0, 0],
    b"\0\x0A\0\x08client01",
    b"\0\x0A\0\x18client01\x01\0\0\0\0\0\0\0hashhash",
    &[0, 11, 0, 0],
    &[0, 12, 0, 2, 0, 0],
];

/// A query of one client over `transport`, at the origin of both clocks.
pub fn ctx(transport: Transport) -> Ctx {
    let [client, local] = [([192, 0, 2, 1], 49152), ([192, 0, 2, 53], 53)].map(std::net::SocketAddr::from);
    Ctx { client, local, transport, now: Now::default() }
}

/// A cookie option that the servers here take for good: what they made for it when they were asked.
fn good_cookie() -> Vec<u8> {
    use leeward::wire::{Class, QueryBuilder, RecordType};
    let name: Name = "prop.example".parse().expect("a name");
    let query = with_option(&QueryBuilder::new(&name, RecordType::A, Class::IN).client_subnet(None).build(), OPTIONS[1]);
    let ctx = ctx(Transport::Udp);
    let mut worker = Worker::new(0, fastrand::Rng::with_seed(1));
    let mut reply = [0; 1232];
    let Response::Reply(len) = respond(&snapshot(), &mut worker, &ctx, &query, &mut reply) else { return Vec::new() };
    let head = &[0, 10, 0, 24][..];
    let at = reply[..len].windows(4).position(|window| window == head).expect("a cookie in the reply");
    reply[at..at + 28].to_vec()
}

/// A query that ends in an OPT record without options, with this one in it.
fn with_option(query: &[u8], option: &[u8]) -> Vec<u8> {
    let mut with = [query, option].concat();
    with[query.len() - 1] = option.len() as u8;
    with
}

/// Answers `request` over every transport and holds the reply to everything that is true of all replies.
///
/// # Panics
/// Where something does not hold.
pub fn holds(snapshot: &Arc<Snapshot>, worker: &mut Worker, request: &[u8], reply: &mut [u8]) {
    let limited = snapshot.limiter.is_some();
    for transport in Transport::ALL {
        let ctx = ctx(transport);
        let len = match respond(snapshot, worker, &ctx, request, reply) {
            Response::Drop => {
                let may = limited && transport == Transport::Udp;
                assert!(may || request.len() < 12 || request[2] & 0x80 != 0, "only a response or a fragment is dropped");
                continue;
            }
            Response::Reply(len) => len,
        };
        assert!(request.len() >= 12 && request[2] & 0x80 == 0, "a response is never answered");
        let sent = &reply[..len];
        assert_eq!(sent[..2], request[..2], "the id comes back");
        assert!(sent[2] & 0x80 != 0, "a reply says that it is one");
        assert_eq!(sent[2] & 0x79, request[2] & 0x79, "opcode and RD come back");
        if transport == Transport::Udp {
            assert!(len <= 1232, "{len} octets over UDP");
            let has_opt = u16::from_be_bytes([sent[10], sent[11]]) > 0;
            assert!(has_opt || len <= 512, "{len} octets without EDNS");
        }
        if sent[5] == 1 {
            let question = sent[12..].len().min(request[12..].len());
            let end = 12 + 4 + request[12..12 + question].iter().position(|&octet| octet == 0).unwrap_or(0) + 1;
            assert_eq!(sent[12..end.min(len)], request[12..end.min(len)], "the question comes back, case and all");
        }
        let parsed = hickory_proto::op::Message::from_vec(sent);
        assert!(parsed.is_ok(), "{parsed:?}: {sent:02x?} to {request:02x?}");
    }
}
