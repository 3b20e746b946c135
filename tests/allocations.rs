//! Rule 1 of the data plane: no allocation per query, for static and planned answers.
#![allow(unsafe_code, unreachable_pub, dead_code, reason = "a counting allocator is an allocator")]

#[path = "../src/geo/testing.rs"]
mod mmdb;
#[path = "../fuzz/property.rs"]
mod property;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leeward::answers::{Options, Published, Response, Snapshot, Transport, Worker, respond};
use leeward::geo::{Database, Places};
use leeward::program::Tier;
use leeward::server::{Config, Context, Server, Sockets};
use leeward::wire::{Class, ClientSubnet, Name, QueryBuilder, RecordType};
use mmdb::{Mmdb, Value};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Over all threads.
static TOTAL: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local cell that needs none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        TOTAL.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_query_allocates() {
    let snapshots = [property::snapshot(), property::strict_snapshot()];
    let mut worker = Worker::new(0, fastrand::Rng::with_seed(1));
    let mut reply = vec![0; 65_535];
    let seeds = property::seeds();
    let (mut answered, mut asked) = (0, 0);
    let before = COUNT.with(Cell::get);
    for (snapshot, transport) in snapshots.iter().flat_map(|snapshot| Transport::ALL.map(|transport| (snapshot, transport))) {
        let ctx = property::ctx(transport);
        for seed in &seeds {
            asked += 1;
            answered += usize::from(respond(snapshot, &mut worker, &ctx, seed, &mut reply) != Response::Drop);
        }
    }
    let after = COUNT.with(Cell::get);
    assert_eq!(asked, 2 * Transport::ALL.len() * seeds.len());
    assert!((asked - seeds.len()..asked).contains(&answered), "over UDP the strict one drops some: {answered} of {asked}");
    assert_eq!(after - before, 0, "allocations for {answered} queries");
}

/// A program of every kind that is planned. Each name says which.
const PLANNED: &str = "$TTL 30
@ SOA ns1 hostmaster 1 3600 600 86400 300
@ NS ns1
ns1 A 192.0.2.53
constant LUA A \"'192.0.2.1'\"
all LUA A \"all({'192.0.2.1', '192.0.2.2'})\"
random LUA A \"pickrandom({'192.0.2.1', '192.0.2.2'})\"
sample LUA A \"pickrandomsample(2, {'192.0.2.1', '192.0.2.2', '192.0.2.3'})\"
hashed LUA A \"pickhashed({'192.0.2.1', '192.0.2.2'})\"
wrandom LUA A \"pickwrandom({{10, '192.0.2.1'}, {20, '192.0.2.2'}})\"
whashed LUA A \"pickwhashed({{10, '192.0.2.1'}, {20, '192.0.2.2'}})\"
namehashed LUA A \"picknamehashed({{10, '192.0.2.1'}, {20, '192.0.2.2'}})\"
chashed LUA A \"pickchashed({{10, '192.0.2.1'}, {20, '192.0.2.2'}})\"
closest LUA A \"pickclosest({'192.0.2.1', '198.51.100.1', '203.0.113.1'})\"
two-closest LUA A \"pickclosest({'192.0.2.1', '198.51.100.1', '203.0.113.1'}, {count=2})\"
view LUA A \"view({{{'192.0.2.0/25'}, {'192.0.2.1'}}, {{'0.0.0.0/0', '::/0'}, {'192.0.2.2'}}})\"
up-random LUA A \"ifportup(80, {'192.0.2.1', '192.0.2.2'})\"
up-all LUA A \"ifportup(80, {'192.0.2.1', '192.0.2.2'}, {selector='all'})\"
up-first LUA A \"ifportup(80, {'192.0.2.1', '192.0.2.2'}, {selector='first'})\"
up-hashed LUA A \"ifportup(80, {'192.0.2.1', '192.0.2.2'}, {selector='hashed'})\"
up-closest LUA A \"ifportup(80, {'192.0.2.1', '198.51.100.1'}, {selector='pickclosest'})\"
up-wrandom LUA A \"ifportup(80, {{10, '192.0.2.1'}, {20, '192.0.2.2'}}, {selector='wrandom'})\"
up-whashed LUA A \"ifportup(80, {{10, '192.0.2.1'}, {20, '192.0.2.2'}}, {selector='whashed'})\"
up-chashed LUA A \"ifportup(80, {{10, '192.0.2.1'}, {20, '192.0.2.2'}}, {selector='chashed'})\"
up-namehashed LUA A \"ifportup(80, {{10, '192.0.2.1'}, {20, '192.0.2.2'}}, {selector='namehashed'})\"
url LUA A \"ifurlup('http://www.example.com/', {{'192.0.2.1'}, {'192.0.2.2'}})\"
self-weighted LUA A \"pickselfweighted('http://www.example.com/', {'192.0.2.1', '192.0.2.2'})\"
of-up LUA A \"pickrandom(ifportup(80, {'192.0.2.1', '192.0.2.2'}, {selector='all'}))\"
if-netmask LUA A \";if netmask({'192.0.2.0/24'}) then return '192.0.2.1' else return '192.0.2.2' end\"
if-country LUA A \";if country('NL') then return ifportup(80, {'192.0.2.1'}) elseif country({'US', 'JP'}) then return \" \
    \"pickrandom({'192.0.2.2', '192.0.2.3'}) end return all({'192.0.2.4', '192.0.2.5'})\"
if-continent LUA A \";if continent('EU') and not netmask({'10.0.0.0/8'}) then return ifportup(80, {'192.0.2.1'}) end \" \
    \"return '192.0.2.2'\"
and-or LUA A \"country('NL') and '192.0.2.1' or '192.0.2.2'\"
alias LUA CNAME \"pickhashed({'all.prop.example', 'if-country.prop.example'})\"
*.wild LUA A \"ifportup(80, {'192.0.2.1', '192.0.2.2'})\"
";

/// Where the sites of [`PLANNED`] are, and its clients.
/// Every way in which a pool chooses, each pool by its name.
const SELECTS: [(&str, &str); 10] = [
    ("all", ""),
    ("first", ""),
    ("random", ""),
    ("random", "answers = 2\n"),
    ("weighted", "answers = \"all\"\n"),
    ("hashed", ""),
    ("chashed", "answers = 2\n"),
    ("closest", "answers = 2\n"),
    ("region-then-rest", ""),
    ("map", "map = \"clients\"\n"),
];

/// A program for each of them.
fn pooled() -> String {
    (0..SELECTS.len()).map(|at| format!("pool-{at} LUA A \"pool('p{at}')\"\n")).collect()
}

/// What [`pooled`] needs: members of one address, and of two or none.
fn pools() -> Options {
    let mut text = "[site.eu]\nregion = \"eu\"\ncoordinates = [52, 5]\n[site.us]\nregion = \"us\"\ncoordinates = [40, -74]\n\
        [geo.map.clients]\ndefault = [\"eu\", \"us\"]\nnetworks.\"192.0.2.0/24\" = [\"us\"]\n"
        .to_owned();
    for (at, (select, more)) in SELECTS.iter().enumerate() {
        text += &format!("[pool.p{at}]\nport = 80\nselect = \"{select}\"\n{more}");
        for (name, site, addresses) in [
            ("a", "eu", "\"192.0.2.1\""),
            ("b", "us", "\"192.0.2.2\", \"192.0.2.3\""),
            ("c", "us", "\"192.0.2.4\", \"2001:db8::4\""),
        ] {
            text += &format!("[[pool.p{at}.member]]\nname = \"{name}\"\nsite = \"{site}\"\naddresses = [{addresses}]\n");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("leeward.toml");
    std::fs::write(&path, text).expect("written");
    let loaded = leeward::config::load(&path);
    Options { checks: loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.findings)).answering.checks, ..Options::default() }
}

fn places() -> Arc<Places> {
    let mut mmdb = Mmdb::v4();
    for (network, continent, country, latitude, longitude) in [
        ("192.0.2.0/24", "EU", "NL", 52.4, 4.9),
        ("198.51.100.0/24", "NA", "US", 40.7, -74.0),
        ("203.0.113.0/24", "AS", "JP", 35.7, 139.7),
    ] {
        let code = |key, code| Value::Map(vec![(key, Value::Text(code))]);
        let point = Value::Map(vec![("latitude", Value::Double(latitude)), ("longitude", Value::Double(longitude))]);
        let place = vec![("continent", code("code", continent)), ("country", code("iso_code", country)), ("location", point)];
        mmdb.insert(network, &Value::Map(place));
    }
    Arc::new(Places::new([Database::read("places.mmdb", &mmdb.write(24)).expect("a database")]))
}

/// Each program of a snapshot is planned; how many there are.
fn all_planned(snapshot: &Snapshot) -> usize {
    let sets = (0..).map_while(|id| snapshot.set(leeward::zone::ProgramId(id)));
    let planned = |set: &Arc<leeward::answers::AnswerSet>| {
        let program = set.prepared().program().expect("it compiles");
        assert_eq!(program.tier(), Tier::Plan, "{}: {:?}", set.prepared().code(), program.why_script());
    };
    sets.inspect(|set| planned(set)).count()
}

#[test]
fn no_planned_program_allocates() {
    let zone: &'static str = format!("{PLANNED}{}", pooled()).leak();
    let snapshot = property::snapshot_at(zone, pools(), places());
    let names = zone.lines().filter(|line| line.contains(" LUA ")).filter_map(|line| line.split(' ').next());
    let names: Vec<String> = names.map(|name| format!("{}.prop.example", name.replace('*', "x"))).collect();
    assert_eq!(all_planned(&snapshot), names.len() - 1, "but that `up-random` and `*.wild` are the same");
    let mut worker = Worker::new(0, fastrand::Rng::with_seed(1));
    let mut reply = vec![0; 65_535];
    let mut allocating = Vec::new();
    for name in &names {
        let query = |network: Option<[u8; 4]>| {
            let name: Name = name.parse().expect("a name");
            let subnet = network.map(|network| ClientSubnet { network: network.into(), source: 24 });
            QueryBuilder::new(&name, RecordType::A, Class::IN).client_subnet(subnet).build()
        };
        let queries =
            [None, Some([192, 0, 2, 0]), Some([198, 51, 100, 0]), Some([203, 0, 113, 0]), Some([10, 0, 0, 0])].map(query);
        for transport in Transport::ALL {
            let ctx = property::ctx(transport);
            let before = COUNT.with(Cell::get);
            let mut answered = 0;
            for query in &queries {
                let response = respond(&snapshot, &mut worker, &ctx, query, &mut reply);
                let records = u16::from_be_bytes([reply[6], reply[7]]);
                answered += usize::from(matches!(response, Response::Reply(_)) && reply[3] & 15 == 0 && records > 0);
            }
            let allocations = COUNT.with(Cell::get) - before;
            assert_eq!(answered, queries.len(), "{name} is answered");
            if allocations > 0 {
                allocating.push(format!("{name} over {transport:?}: {allocations}"));
            }
        }
    }
    assert!(allocating.is_empty(), "{allocating:#?}");
}

/// The whole way: a real server, a connection, many queries in one write. Only what the first rounds warm up is allocated, on
/// each of the threads between which a connection moves when the machine is busy: so not each of the stretches may be free of it,
/// but what a query allocated would be in all.
#[test]
fn no_query_over_tcp_allocates() {
    let config = Config {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        listen_is_default: false,
        freebind: false,
        threads: 1,
        pin: Vec::new(),
        rcvbuf: 65_536,
        sndbuf: None,
        tcp_max: 8,
        tcp_per_client: 8,
        tcp_idle: Duration::from_secs(60),
        tls: None,
    };
    let published = Published::new(property::snapshot_at(PLANNED, Options::default(), places()));
    let context = Context { published, proxies: Arc::new([]), certificates: None, counters: Arc::default() };
    let sockets = Sockets::bind(&config).expect("a port");
    let server = Server::start(&config, sockets, context, &mut fastrand::Rng::with_seed(1)).expect("it starts");
    let (_, address) = server.addresses()[0];
    let mut asked = Vec::new();
    let names = ["ns1", "all", "up-random", "if-country", "closest", "x.wild", "nothing"];
    for name in names {
        let name: Name = format!("{name}.prop.example").parse().expect("a name");
        let query = QueryBuilder::new(&name, RecordType::A, Class::IN).build();
        asked.extend_from_slice(&(query.len() as u16).to_be_bytes());
        asked.extend_from_slice(&query);
    }
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("an option");
    let mut reply = vec![0; 65_535];
    let mut round = || {
        stream.write_all(&asked).expect("sent");
        for _ in names {
            let mut len = [0; 2];
            stream.read_exact(&mut len).expect("a reply");
            stream.read_exact(&mut reply[..usize::from(u16::from_be_bytes(len))]).expect("a whole reply");
        }
    };
    (0..20).for_each(|_| round());
    let stretches: Vec<u64> = (0..10)
        .map(|_| {
            let before = TOTAL.load(Ordering::Relaxed);
            (0..20).for_each(|_| round());
            TOTAL.load(Ordering::Relaxed) - before
        })
        .collect();
    assert_eq!(stretches.iter().min(), Some(&0), "allocations for {} queries each: {stretches:?}", 20 * names.len());
    server.stop();
}
