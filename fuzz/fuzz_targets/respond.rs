//! Any bytes as a datagram: no panic, and a reply only to what is no reply itself; then it has the query's id, the QR bit,
//! and no more octets than its buffer.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::{cell::RefCell, io};

use leeward::answers::{Ctx, Options, QueryCounters, Response, Snapshot, Transport, Worker, ZoneEntry, ZoneState, ZoneTable, respond};
use leeward::wire::Name;
use leeward::zone::{ProgramId, Source, Zone, load};
use libfuzzer_sys::fuzz_target;

const ZONE: &str = r#"$TTL 60
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.3
alias CNAME www
loop1 CNAME loop2
loop2 CNAME loop1
*.wild TXT "any"
big TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
sub NS ns.sub
ns.sub A 192.0.2.4
tree DNAME www
"#;

struct Text;

impl Source for Text {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(ZONE.into())
    }
}

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let apex: Name = "example.com".parse().unwrap();
    let loaded = load(&Text, Path::new("zone"), apex.as_ref());
    let contents = loaded.contents.unwrap_or_else(|| panic!("{:?}", loaded.findings));
    let zone = Zone::build(&contents, &mut |_| ProgramId(0));
    let entry = ZoneEntry { state: ZoneState::Serving { zone, stale: false }, counters: Arc::new(QueryCounters::new(1)) };
    Snapshot { zones: Arc::new(ZoneTable::new([entry])), ..Snapshot::empty(Options { ecs: true }, 1) }
});

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new(Worker::new(0, fastrand::Rng::with_seed(1)));
}

fuzz_target!(|request: &[u8]| {
    for (transport, size) in [(Transport::Udp, 1232), (Transport::Tcp, 65535)] {
        let mut reply = vec![0; size];
        let ctx = Ctx { client: IpAddr::V4(Ipv4Addr::LOCALHOST), transport };
        let response = WORKER.with_borrow_mut(|worker| respond(&SNAPSHOT, worker, &ctx, request, &mut reply));
        let Response::Reply(length) = response else { continue };
        assert!((12..=size).contains(&length));
        assert!(request[2] & 0x80 == 0, "a reply to a reply");
        assert_eq!(reply[..2], request[..2], "the id");
        assert!(reply[2] & 0x80 != 0, "QR");
        assert_eq!(reply[2] & 0x78, request[2] & 0x78, "the opcode");
    }
});
