//! Client subnet (RFC 7871) from query to reply: scopes that are true, and none that is not.
//!
//! `geo` proves its map against a walk over the list; here the whole way is tried out: the option is read, a record program
//! looks at networks, the reply is written. The oracle knows nothing of ranges: it asks again for every more specific
//! client there is in a small world, and for all within the scope the answer must be the same.
#![allow(unreachable_pub, reason = "the snapshot is made as for the fuzz targets")]

#[path = "../fuzz/property.rs"]
#[allow(dead_code, reason = "this test needs only a snapshot")]
mod property;

use std::net::IpAddr;
use std::sync::Arc;

use leeward::answers::{Ctx, Options, Response, Snapshot, Transport, Worker, respond};
use leeward::wire::{Class, ClientSubnet, Name, QueryBuilder, RecordType};

/// `near` is a small database: nested networks with exceptions, both families, a hole, and two networks that say the same.
const ZONE: &str = "$TTL 30
@ SOA ns1 hostmaster 1 3600 600 86400 300
@ NS ns1
ns1 A 192.0.2.53
near LUA A \"view({{{'10.1.2.0/25'}, {'192.0.2.1'}}, {{'10.1.2.0/24', '10.1.3.0/24'}, {'192.0.2.2'}}, {{'10.1.0.0/16'}, {'192.0.2.3'}}, \
            {{'10.0.0.0/8'}, {'192.0.2.4'}}, {{'2001:db8:8000::/33'}, {'192.0.2.5'}}, {{'2001:db8::/32'}, {'192.0.2.6'}}, \
            {{'0.0.0.0/0', '::/0'}, {'192.0.2.7'}}})\"
gap LUA TXT \"view({{{'10.1.2.0/24'}, {'in'}}})\"
via LUA CNAME \"view({{{'10.1.0.0/16'}, {'near.prop.example'}}, {{'0.0.0.0/0'}, {'plain.prop.example'}}})\"
plain A 192.0.2.9
hashed LUA A \"pickhashed({'192.0.2.1', '192.0.2.2', '192.0.2.3'})\"
mixed LUA CNAME \"view({{{'10.1.0.0/16'}, {'hashed.prop.example'}}, {{'0.0.0.0/0'}, {'plain.prop.example'}}})\"
chance LUA A \"pickrandom({'192.0.2.1', '192.0.2.2'})\"
sub NS ns.sub
ns.sub A 192.0.2.54
";

/// What a reply says, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    rcode: u8,
    records: Vec<u8>,
    subnet: Option<(ClientSubnet, u8)>,
}

struct Asker {
    snapshot: Arc<Snapshot>,
    worker: Worker,
}

impl Asker {
    fn new() -> Self {
        let snapshot = property::snapshot_of(ZONE, Options::default());
        Self { snapshot, worker: Worker::new(0, fastrand::Rng::with_seed(1)) }
    }

    fn ask(&mut self, name: &str, rtype: RecordType, subnet: Option<ClientSubnet>) -> Said {
        let name: Name = format!("{name}.prop.example").parse().expect("a name");
        let request = QueryBuilder::new(&name, rtype, Class::IN).client_subnet(subnet).build();
        self.send(&request)
    }

    fn send(&mut self, request: &[u8]) -> Said {
        let ctx = Ctx { client: ([198, 51, 100, 1], 49152).into(), ..property::ctx(Transport::Udp) };
        let mut reply = [0; 1232];
        let Response::Reply(len) = respond(&self.snapshot, &mut self.worker, &ctx, request, &mut reply) else {
            panic!("no reply to {request:02x?}")
        };
        let reply = &reply[..len];
        let opt = reply.windows(5).rposition(|window| window == [0, 0, 41, 4, 208]).expect("an OPT record");
        Said { rcode: reply[3] & 15, records: reply[12..opt].to_vec(), subnet: option(&reply[opt + 11..]) }
    }
}

/// The client subnet option among options.
fn option(mut options: &[u8]) -> Option<(ClientSubnet, u8)> {
    while let [c0, c1, l0, l1, rest @ ..] = options {
        let (data, after) = rest.split_at(usize::from(u16::from_be_bytes([*l0, *l1])));
        if [*c0, *c1] == [0, 8] {
            let mut octets = [0; 16];
            octets[..data.len() - 4].copy_from_slice(&data[4..]);
            let network: IpAddr = match data[1] {
                1 => [octets[0], octets[1], octets[2], octets[3]].into(),
                _ => octets.into(),
            };
            return Some((ClientSubnet { network, source: data[2] }, data[3]));
        }
        options = after;
    }
    None
}

fn subnet(text: &str) -> ClientSubnet {
    text.parse().expect("a network")
}

#[test]
fn rfc7871_7_2_1_the_scope_is_the_largest_network_with_this_answer() {
    // name, subnet of the query, the one address of the answer where there is one, scope
    let cases = [
        ("near", "10.1.2.1/32", "192.0.2.1", 25),
        ("near", "10.1.2.1/24", "192.0.2.1", 25), // the source is too short to decide: ask more precisely
        ("near", "10.1.2.129/32", "192.0.2.2", 25),
        ("near", "10.1.3.7/32", "192.0.2.2", 24),
        ("near", "10.1.4.1/24", "192.0.2.3", 22),
        ("near", "10.1.4.1/17", "192.0.2.3", 23), // 10.1.0.0, a neighbour of 10.1.2.0/24
        ("near", "10.1.200.1/24", "192.0.2.3", 17),
        ("near", "10.2.0.1/24", "192.0.2.4", 15),
        ("near", "10.200.0.1/24", "192.0.2.4", 9),
        ("near", "11.0.0.1/24", "192.0.2.7", 8),
        ("near", "198.51.100.0/24", "192.0.2.7", 1),
        ("near", "0.0.0.0/0", "192.0.2.7", 0), // no bits: no scope
        ("near", "::/0", "192.0.2.7", 0),
        ("near", "2001:db8:9000::/48", "192.0.2.5", 33),
        ("near", "2001:db8::/56", "192.0.2.6", 33),
        ("near", "2001:db8::/20", "192.0.2.7", 21), // 2001::, which 2001:db8::/32 does not hold
        ("near", "2001:db9::/48", "192.0.2.7", 32),
        ("near", "::ffff:10.1.2.1/128", "192.0.2.1", 96 + 25),
        ("near", "::ffff:10.1.2.1/120", "192.0.2.1", 96 + 25),
        ("gap", "10.1.2.0/24", "", 24),
        ("gap", "10.1.3.0/24", "", 24),
        ("gap", "2001:db8::/32", "", 3), // all IPv6 clients get the same, and ::/2 also holds the IPv4 ones
        ("via", "10.2.0.0/16", "192.0.2.9", 15),
        ("via", "10.1.2.0/24", "192.0.2.1", 25), // two lookups: the longer scope
        ("hashed", "10.1.2.0/24", "", 24),
        ("hashed", "10.1.2.0/9", "", 9),
        ("hashed", "0.0.0.0/0", "", 0),
        ("hashed", "2001:db8::/56", "", 56),
        ("mixed", "10.1.2.0/24", "", 24),
        ("mixed", "10.2.2.0/24", "192.0.2.9", 15),
        ("chance", "10.1.2.0/24", "", 0),
        ("plain", "10.1.2.0/24", "192.0.2.9", 0),
        ("none", "10.1.2.0/24", "", 0),
        ("x.sub", "10.1.2.0/24", "", 0),
    ];
    let mut asker = Asker::new();
    for (name, from, address, scope) in cases {
        let from = subnet(from);
        let rtype = if name == "gap" { RecordType::TXT } else { RecordType::A };
        let said = asker.ask(name, rtype, Some(from));
        assert_eq!(said.subnet, Some((from, scope)), "{name} from {from:?}");
        if !address.is_empty() {
            let address: std::net::Ipv4Addr = address.parse().expect("an address");
            assert!(said.records.ends_with(&address.octets()), "{name} from {from:?}");
        }
    }
    assert_eq!(asker.ask("near", RecordType::A, None).subnet, None, "who sends no subnet gets none");
}

#[test]
fn rfc7871_7_1_2_a_malformed_option_is_a_format_error() {
    let mut asker = Asker::new();
    let good = QueryBuilder::new(&"near.prop.example".parse().expect("a name"), RecordType::A, Class::IN);
    let good = good.client_subnet(Some(subnet("10.1.2.0/24"))).build();
    assert_eq!(asker.send(&good).rcode, 0);
    let at = good.len() - 7; // family, source, scope, three octets
    for (case, place, value) in [
        ("an unknown family", at + 1, 3),
        ("a scope in a query", at + 3, 24),
        ("too few octets", at + 2, 25),
        ("too many octets", at + 2, 16),
        ("longer than an address", at + 2, 33),
        ("bits beyond the source", at + 2, 22),
    ] {
        let mut bad = good.clone();
        bad[place] = value;
        if case == "bits beyond the source" {
            bad[at + 6] = 3;
        }
        let said = asker.send(&bad);
        assert_eq!((said.rcode, said.subnet), (1, None), "{case}");
    }
}

/// Every /32 and every shorter source in the parts of the world where something changes, against every client within the
/// scope that came back.
#[test]
fn no_scope_covers_an_exception_and_none_is_too_long() {
    let mut asker = Asker::new();
    // 10.1.0.0/21 by its /28s, its neighbours by /16 and the rest by /8: finer than any network of the database.
    let mut world: Vec<u32> = (0..2048 / 16).map(|n| 0x0A01_0000 + n * 16).collect();
    world.extend((0..256).map(|n| 0x0A00_0000 + (n << 16)));
    world.extend((0..256).map(|n| n << 24));
    world.sort_unstable();
    world.dedup();
    let mask = |bits: u8| u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
    for name in ["near", "via"] {
        let answers: Vec<Vec<u8>> = world
            .iter()
            .map(|&client| {
                asker.ask(name, RecordType::A, Some(ClientSubnet { network: IpAddr::V4(client.into()), source: 32 })).records
            })
            .collect();
        let within = |client: u32, bits: u8| {
            world.iter().zip(&answers).filter(move |&(&other, _)| (other ^ client) & mask(bits) == 0).map(|(_, answer)| answer)
        };
        for (&client, _) in world.iter().zip(&answers) {
            for source in [8, 12, 16, 17, 20, 22, 23, 24, 25, 28, 32] {
                let network = client & mask(source);
                let from = ClientSubnet { network: IpAddr::V4(network.into()), source };
                let said = asker.ask(name, RecordType::A, Some(from));
                let (_, scope) = said.subnet.expect("a scope");
                assert!(scope <= 25, "no network of the database is longer than /25, so no lookup needed more");
                assert!(
                    within(network, scope).all(|answer| *answer == said.records),
                    "{name} {from:?}: /{scope} has an exception"
                );
                assert!(
                    scope == 0 || within(network, scope - 1).any(|answer| *answer != said.records),
                    "{name} {from:?}: /{scope} could be shorter"
                );
            }
        }
    }
}
