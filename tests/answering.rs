//! What the operator chooses about answers, and what concerns a message as a whole: options, cookies, rate limits, classes.
//!
//! One snapshot, the answer routine, another library's reader. What a name is answered with is the business of the
//! scenarios and of the tests beside other servers.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "the snapshot is made as for the fuzz targets; a test may stop")]

#[path = "../fuzz/property.rs"]
#[allow(dead_code, reason = "this test needs only a snapshot")]
mod property;

use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use leeward::answers::{Any, Cookies, Ctx, Now, Options, RateLimits, Response, Secret, Snapshot, Transport, Worker, respond};
use leeward::wire::{Class, Name, QueryBuilder, RecordType};

const ZONE: &str = "$TTL 30
@ SOA ns1 hostmaster 1 3600 600 86400 300
@ NS ns1
ns1 A 192.0.2.53
many A 192.0.2.1
many AAAA 2001:db8::1
many TXT \"x\"
many LUA A \"pickrandom({'192.0.2.2'})\"
many LUA MX \"pickrandom({'10 mail.example.'})\"
*.wild A 192.0.2.3
sub NS ns.sub
ns.sub A 192.0.2.54
";

const TYPE_OPT: RecordType = RecordType::OPT;
const NSID: u16 = 3;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const EXTENDED_ERROR: u16 = 15;

struct Server {
    snapshot: Arc<Snapshot>,
    worker: Worker,
}

/// A reply, read by another library.
struct Reply {
    len: usize,
    rcode: u16,
    aa: bool,
    tc: bool,
    questions: usize,
    answers: Vec<String>,
    options: Vec<(u16, Vec<u8>)>,
    raw: Vec<u8>,
}

impl Reply {
    fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|(known, _)| *known == code).map(|(_, data)| &data[..])
    }

    fn extended_error(&self) -> Option<u16> {
        self.option(EXTENDED_ERROR).map(|data| u16::from_be_bytes([data[0], data[1]]))
    }
}

impl Server {
    fn new(options: Options) -> Self {
        Self { snapshot: property::snapshot_of(ZONE, options), worker: Worker::new(0, fastrand::Rng::with_seed(1)) }
    }

    fn ask_as(&mut self, ctx: &Ctx, request: &[u8]) -> Option<Reply> {
        let mut reply = vec![0; 65_535];
        let Response::Reply(len) = respond(&self.snapshot, &mut self.worker, ctx, request, &mut reply) else { return None };
        reply.truncate(len);
        let message = Message::from_vec(&reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
        let edns = message.edns.as_ref();
        let option = |(code, option): &(_, hickory_proto::rr::rdata::opt::EdnsOption)| {
            (u16::from(*code), Vec::<u8>::try_from(option).unwrap())
        };
        Some(Reply {
            len,
            rcode: u16::from(message.metadata.response_code),
            aa: message.metadata.authoritative,
            tc: message.metadata.truncation,
            questions: message.queries.len(),
            answers: message.answers.iter().map(ToString::to_string).collect(),
            options: edns.map(|edns| edns.options().as_ref().iter().map(option).collect()).unwrap_or_default(),
            raw: reply,
        })
    }

    fn ask_over(&mut self, transport: Transport, request: &[u8]) -> Reply {
        self.ask_as(&ctx(transport), request).expect("a reply")
    }

    fn ask(&mut self, request: &[u8]) -> Reply {
        self.ask_over(Transport::Udp, request)
    }
}

fn ctx(transport: Transport) -> Ctx {
    let now = Now { monotonic: 60_000, unix: 1_800_000_000 };
    Ctx { client: ([198, 51, 100, 7], 49152).into(), now, ..property::ctx(transport) }
}

fn question(name: &str, rtype: RecordType, class: Class) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    QueryBuilder::new(&name, rtype, class).build()
}

fn plain(name: &str, rtype: RecordType) -> Vec<u8> {
    question(&format!("{name}.prop.example"), rtype, Class::IN)
}

/// The query with an OPT record that holds these options.
fn with(query: &[u8], options: &[(u16, &[u8])]) -> Vec<u8> {
    let data: Vec<u8> = options
        .iter()
        .flat_map(|(code, data)| [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat())
        .collect();
    let opt = [&[0, 0, TYPE_OPT.0 as u8, 4, 208, 0, 0, 0, 0][..], &(data.len() as u16).to_be_bytes(), &data].concat();
    let mut message = [query, &opt].concat();
    message[11] += 1;
    message
}

fn cookies(required: bool) -> Option<Cookies> {
    Some(Cookies { secrets: vec![Secret::new(*b"0123456789abcdef")], required })
}

#[test]
fn rfc8482_any_gets_one_rrset_or_all() {
    let query = with(&plain("many", RecordType::ANY), &[]);
    assert_eq!(Server::new(Options::default()).ask(&query).answers.len(), 2, "A, stored and drawn");
    let mut all = Server::new(Options { any: Any::Full, ..Options::default() }).ask(&query).answers;
    all.sort();
    let expected = ["A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", "MX 10 mail.example.", "TXT \"x\""];
    let expected = expected.map(|data| format!("many.prop.example. 30 IN {data}"));
    assert_eq!(all.len(), expected.len(), "{all:?}");
    for record in &expected {
        assert!(all.iter().any(|got| got.replace("TXT x", "TXT \"x\"") == *record), "{record} in {all:?}");
    }
}

#[test]
fn rfc5001_nsid_is_given_to_whoever_asks() {
    let mut named = Server::new(Options { nsid: Some(b"eu-1".as_slice().into()), ..Options::default() });
    for name in ["many", "none", "x.sub"] {
        let query = plain(name, RecordType::A);
        assert_eq!(named.ask(&with(&query, &[(NSID, b"")])).option(NSID), Some(&b"eu-1"[..]), "{name}");
        assert_eq!(named.ask(&with(&query, &[])).option(NSID), None, "{name}: not asked for");
    }
    let query = with(&plain("many", RecordType::A), &[(NSID, b"")]);
    assert_eq!(Server::new(Options::default()).ask(&query).option(NSID), None);
}

#[test]
fn rfc4892_class_chaos_says_what_may_be_said() {
    let ch = |name| question(name, RecordType::TXT, Class::CH);
    let mut open = Server::new(Options { nsid: Some(b"eu-1".as_slice().into()), ..Options::default() });
    let version = open.ask(&ch("version.bind"));
    assert!(version.answers[0].contains(&format!("leeward {}", env!("CARGO_PKG_VERSION"))), "{:?}", version.answers);
    assert!(version.answers[0].starts_with("version.bind. 0 CH TXT"), "{:?}", version.answers);
    assert!(open.ask(&ch("ID.server")).answers[0].ends_with("eu-1\"") || open.ask(&ch("id.server")).answers[0].ends_with("eu-1"));
    for (mut server, name) in [
        (Server::new(Options { chaos: false, ..Options::default() }), "version.bind"),
        (Server::new(Options::default()), "id.server"), // no identifier
        (Server::new(Options::default()), "authors.bind"),
    ] {
        let refused = server.ask(&ch(name));
        assert_eq!((refused.rcode, refused.answers.len()), (5, 0), "{name}");
    }
}

#[test]
fn rfc7828_and_rfc7830_options_belong_to_their_transports() {
    let query = with(&plain("many", RecordType::A), &[(KEEPALIVE, b""), (PADDING, b"\0\0\0")]);
    let mut server = Server::new(Options { tcp_idle: std::time::Duration::from_millis(12_300), ..Options::default() });
    for transport in Transport::ALL {
        let reply = server.ask_over(transport, &query);
        let stream = matches!(transport, Transport::Tcp | Transport::Tls);
        assert_eq!(reply.option(KEEPALIVE), stream.then_some(&[0, 123][..]), "{transport:?}");
        assert_eq!(reply.option(PADDING).is_some(), transport.is_encrypted(), "{transport:?}");
        assert_eq!(reply.len.is_multiple_of(468), transport.is_encrypted(), "{transport:?}: {}", reply.len);
    }
    let bare = server.ask_over(Transport::Tls, &with(&plain("many", RecordType::A), &[]));
    assert_eq!(bare.option(PADDING), None, "padding is for those who pad");
}

#[test]
fn rfc7873_cookies() {
    let client = b"client01";
    let query = plain("many", RecordType::A);
    let mut server = Server::new(Options { cookies: cookies(false), ..Options::default() });
    let first = server.ask(&with(&query, &[(COOKIE, client)]));
    let cookie = first.option(COOKIE).unwrap().to_vec();
    assert_eq!((cookie.len(), &cookie[..8], first.rcode), (24, &client[..], 0));
    assert_eq!(server.ask(&with(&query, &[(COOKIE, &cookie)])).option(COOKIE), Some(&cookie[..]), "a good one comes back");
    let mut forged = cookie.clone();
    forged[23] ^= 1;
    assert_eq!(server.ask(&with(&query, &[(COOKIE, &forged)])).option(COOKIE), Some(&cookie[..]), "a bad one is replaced");
    for len in [0, 7, 9, 15, 41] {
        assert_eq!(server.ask(&with(&query, &[(COOKIE, &[1; 41][..len])])).rcode, 1, "{len} octets");
    }
    let mut alone = vec![0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let reply = server.ask(&with(&alone, &[(COOKIE, client)]));
    assert_eq!((reply.rcode, reply.questions, reply.option(COOKIE).map(<[u8]>::len)), (0, 0, Some(24)), "RFC 7873 5.4");
    alone = with(&alone, &[]);
    assert_eq!(server.ask(&alone).rcode, 1, "no question, no cookie");

    let mut strict = Server::new(Options { cookies: cookies(true), ..Options::default() });
    let refused = strict.ask(&with(&query, &[(COOKIE, client)]));
    assert_eq!((refused.rcode, refused.answers.len(), refused.option(COOKIE)), (23, 0, Some(&cookie[..])));
    assert_eq!(strict.ask(&with(&query, &[(COOKIE, &cookie)])).answers.len(), 2);
    assert_eq!(strict.ask_over(Transport::Tcp, &with(&query, &[(COOKIE, client)])).answers.len(), 2, "TCP proves the address");
    assert_eq!(strict.ask(&query).answers.len(), 2, "who does not speak cookies is answered");

    let mut off = Server::new(Options { cookies: None, ..Options::default() });
    let reply = off.ask(&with(&query, &[(COOKIE, b"odd")]));
    assert_eq!((reply.rcode, reply.option(COOKIE)), (0, None), "an option that is not known is skipped");
}

#[test]
fn floods_are_limited_by_network_and_answer() {
    let limits = |slip| RateLimits {
        per_second: 10,
        slip,
        ipv4_prefix: 24,
        ipv6_prefix: 56,
        exempt: vec!["203.0.113.0/24".parse().unwrap()],
        table_size: 4096,
    };
    let options = |slip| Options { rate: Some(limits(slip)), cookies: cookies(false), ..Options::default() };
    let mut server = Server::new(options(0));
    let mut answered = |ctx: &Ctx, queries: &mut dyn FnMut(usize) -> Vec<u8>| {
        (0..100).filter(|&n| server.ask_as(ctx, &queries(n)).is_some()).count()
    };
    let udp = ctx(Transport::Udp);
    let neighbour = Ctx { client: ([198, 51, 100, 99], 1).into(), ..udp };
    let name = |name: String| plain(&name, RecordType::A);
    assert_eq!(answered(&udp, &mut |_| name("many".into())), 10);
    assert_eq!(answered(&neighbour, &mut |_| name("many".into())), 0, "the same /24 is the same client");
    assert_eq!(answered(&udp, &mut |n| name(format!("r{n}"))), 10, "all names that do not exist are one answer");
    assert_eq!(answered(&udp, &mut |n| name(format!("r{n}.wild"))), 10, "and all of a wildcard");
    assert_eq!(answered(&udp, &mut |n| name(format!("r{n}.sub"))), 10, "and all below a cut");
    let mut odd = |n: usize| question(&format!("r{n}.elsewhere"), RecordType::A, Class::IN);
    assert_eq!(answered(&udp, &mut odd), 10, "and all that is refused");
    let other = Ctx { client: ([198, 51, 101, 1], 1).into(), ..udp };
    assert_eq!(answered(&other, &mut |_| name("many".into())), 10, "another network");
    let exempt = Ctx { client: ([203, 0, 113, 1], 1).into(), ..udp };
    assert_eq!(answered(&exempt, &mut |_| name("many".into())), 100);
    assert_eq!(answered(&ctx(Transport::Tcp), &mut |_| name("many".into())), 100, "TCP proves the address");

    let cookie = server.ask_as(&other, &with(&name("ns1".into()), &[(COOKIE, b"client01")])).unwrap();
    let cookie = cookie.option(COOKIE).unwrap().to_vec();
    let good = with(&name("many".into()), &[(COOKIE, &cookie)]);
    assert_eq!((0..100).filter(|_| server.ask_as(&other, &good).is_some()).count(), 100, "a good cookie proves it too");
    assert_eq!((0..100).filter(|_| server.ask_as(&udp, &good).is_some()).count(), 0, "but only its owner's");
    assert_eq!(server.snapshot.unserved.sum().limited, 90, "what was refused and limited is counted where it belongs");

    let mut slipping = Server::new(options(1));
    let replies: Vec<Reply> = (0..100).map(|_| slipping.ask(&name("many".into()))).collect();
    assert_eq!(replies.iter().filter(|reply| reply.tc && reply.answers.is_empty()).count(), 90);
}

#[test]
fn what_no_zone_can_answer() {
    let mut server = Server::new(Options::default());
    let apex = |rtype, class| with(&question("prop.example", rtype, class), &[]);
    for (case, query, rcode, error) in [
        ("RFC 5936 2.2.1", apex(RecordType::AXFR, Class::IN), 5, Some(21)),
        ("RFC 5936 2.2.1", with(&plain("many", RecordType::AXFR), &[]), 9, None),
        ("RFC 6895 3.1", apex(RecordType::OPT, Class::IN), 1, None),
        ("RFC 9824 5.1", apex(RecordType::NXNAME, Class::IN), 1, Some(30)),
        ("no such class", apex(RecordType::A, Class(4)), 5, None),
        ("no such zone", with(&question("elsewhere", RecordType::A, Class::IN), &[]), 5, Some(20)),
    ] {
        let reply = server.ask(&query);
        assert_eq!((reply.rcode, reply.extended_error(), reply.aa, reply.questions), (rcode, error, false, 1), "{case}");
    }
    let any_class = server.ask(&apex(RecordType::SOA, Class::ANY));
    assert_eq!((any_class.rcode, any_class.answers.len(), any_class.aa), (0, 1, false), "RFC 1035 3.2.5");
}

#[test]
fn rfc8945_5_2_1_a_key_that_is_not_known() {
    let tsig = b"\x03key\0\0\xFA\0\xFF\0\0\0\0\0\x20\x0bhmac-sha256\0\0\0\x6B\x49\xD2\x00\x01\x2C\0\0\x12\x34\0\0\0\0";
    let mut query = plain("many", RecordType::A);
    query[11] = 1;
    query.extend_from_slice(tsig);
    let length_at = query.len() - tsig.len() + 13;
    query[length_at + 1] = (tsig.len() - 15) as u8;
    let mut server = Server::new(Options::default());
    let reply = server.ask(&query);
    assert_eq!((reply.rcode, reply.answers.len()), (u16::from(ResponseCode::NotAuth), 0));
    assert!(reply.raw.ends_with(&[0, 0, 0, 0, 0, 17, 0, 0]), "no MAC, our id, BADKEY, nothing more: {:02x?}", reply.raw);
}
