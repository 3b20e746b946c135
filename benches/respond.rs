//! What an answer costs: [`respond`], octets in, octets out, without a socket.
//!
//! All but the last are asked of a small zone, so that everything is in the processor's caches: what is measured is the
//! work. `respond/among_100_000` asks for one of 100,000 programs at random, which is what the caches' misses cost.
#![allow(clippy::disallowed_methods, reason = "benchmarks measure")]

mod common;
#[path = "../src/geo/testing.rs"]
#[allow(dead_code, unreachable_pub, reason = "for the tests of the databases")]
mod mmdb;

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use common::{APEX, HEAD, Node, ctx, is_measured};
use criterion::{Criterion, Throughput};
use leeward::answers::{Options, Response, Snapshot, Worker, respond};
use leeward::geo::{Database, Places};
use leeward::health::Moment;
use leeward::wire::{Class, ClientSubnet, Name, QueryBuilder, RecordType};
use mmdb::{Mmdb, Value};

/// Something of everything that is asked for below.
const ZONE: &str = "
www A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.3
*.wild A 192.0.2.4
sub NS ns.sub
ns.sub A 192.0.2.54
all LUA A \"ifportup(80, {'192.0.2.1', '192.0.2.2', '192.0.2.3'}, {selector='all'})\"
random LUA A \"ifportup(80, {'192.0.2.1', '192.0.2.2', '192.0.2.3'})\"
whashed LUA A \"pickwhashed({{10, '192.0.2.1'}, {20, '192.0.2.2'}, {30, '192.0.2.3'}})\"
closest LUA A \"pickclosest({'192.0.2.1', '198.51.100.1', '203.0.113.1'})\"
pool LUA A \"pool('weighted')\"
pool-all LUA A \"pool('all')\"
";

/// Two pools of the same four members.
fn options() -> Options {
    let pool = |select: &str| {
        let member =
            |at: usize| format!("[[pool.{select}.member]]\nname = \"m{at}\"\naddresses = [\"192.0.2.{at}\"]\nweight = {at}\n");
        format!("[pool.{select}]\nport = 80\nselect = \"{select}\"\n") + &(1..=4).map(member).collect::<String>()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("leeward.toml");
    std::fs::write(&path, pool("weighted") + &pool("all")).expect("written");
    let loaded = leeward::config::load(&path);
    Options { checks: loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.findings)).answering.checks, ..Options::default() }
}

/// Each question: what it is called, the name, with what EDNS options.
const QUESTIONS: [(&str, &str, Edns); 11] = [
    ("static", "www", Edns::Plain),
    ("all", "all", Edns::Plain),
    ("random", "random", Edns::Plain),
    ("whashed", "whashed", Edns::Plain),
    ("closest", "closest", Edns::Plain),
    ("pool", "pool", Edns::Plain),
    ("pool_all", "pool-all", Edns::Plain),
    ("wildcard", "x.wild", Edns::Plain),
    ("nxdomain", "none", Edns::Plain),
    ("referral", "host.sub", Edns::Plain),
    ("do_ecs_cookie", "closest", Edns::Full),
];

#[derive(Clone, Copy, PartialEq)]
enum Edns {
    /// A size.
    Plain,
    /// DO, a client subnet and a cookie.
    Full,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let now = Moment::at(Duration::from_secs(1000));
    let small = Node::start_with(options(), &(HEAD.to_owned() + ZONE), Arc::new(places()), now).published.load();
    let mut group = criterion.benchmark_group("respond");
    group.throughput(Throughput::Elements(1));
    let mut worker = Worker::new(0, fastrand::Rng::with_seed(1));
    let mut reply = vec![0; 1232];
    for (what, name, edns) in QUESTIONS {
        let query = query(name, edns);
        assert!(answer(&small, &mut worker, &query, &mut reply) > query.len(), "{what} is answered");
        group.bench_function(what, |bencher| bencher.iter(|| answer(&small, &mut worker, black_box(&query), &mut reply)));
    }
    let large = Node::start(&many(), Arc::new(Places::empty()), now).published.load();
    let queries: Vec<Vec<u8>> = (0..PROGRAMS).map(|program| query(&format!("p{program}"), Edns::Plain)).collect();
    let mut random = fastrand::Rng::with_seed(2);
    group.bench_function("among_100_000", |bencher| {
        bencher.iter(|| answer(&large, &mut worker, &queries[random.usize(..queries.len())], &mut reply));
    });
    group.finish();
    criterion.final_summary();
}

/// Programs of the large zone.
const PROGRAMS: usize = 100_000;

fn many() -> String {
    let mut text = HEAD.to_owned();
    for program in 0..if is_measured() { PROGRAMS } else { PROGRAMS / 100 } {
        let (a, b) = (program % 251, program / 251);
        let targets = format!("'10.0.0.{a}', '10.1.{}.{}'", b / 256, b % 256);
        writeln!(text, "p{program} LUA A \"ifportup(80, {{{targets}}})\"").expect("memory");
    }
    text
}

fn answer(snapshot: &Arc<Snapshot>, worker: &mut Worker, query: &[u8], reply: &mut [u8]) -> usize {
    match respond(snapshot, worker, &ctx([198, 51, 100, 7]), query, reply) {
        Response::Reply(len) => len,
        Response::Drop => 0,
    }
}

fn query(name: &str, edns: Edns) -> Vec<u8> {
    let name: Name = format!("{name}.{APEX}").parse().expect("a name");
    let query = QueryBuilder::new(&name, RecordType::A, Class::IN);
    let bare = query.clone().build().len();
    if edns == Edns::Plain {
        return query.client_subnet(None).build();
    }
    let mut query = query.client_subnet(Some(ClientSubnet { network: [203, 0, 113, 0].into(), source: 24 })).build();
    let options = u16::from_be_bytes([query[bare + 9], query[bare + 10]]) + 12;
    query[bare + 7] |= 0x80;
    query[bare + 9..bare + 11].copy_from_slice(&options.to_be_bytes());
    query.extend_from_slice(b"\0\x0A\0\x08client01");
    query
}

/// Three sites, and where clients are.
fn places() -> Places {
    let mut mmdb = Mmdb::v4();
    for (network, latitude, longitude) in
        [("192.0.2.0/24", 52.4, 4.9), ("198.51.100.0/24", 40.7, -74.0), ("203.0.113.0/24", 35.7, 139.7)]
    {
        let point = Value::Map(vec![("latitude", Value::Double(latitude)), ("longitude", Value::Double(longitude))]);
        mmdb.insert(network, &Value::Map(vec![("location", point)]));
    }
    Places::new([Database::read("bench.mmdb", &mmdb.write(24)).expect("a database")])
}
