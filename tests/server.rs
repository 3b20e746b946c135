//! The server as a process: gate, reload, bad files, bad disks, bad packets, the published hash tables.

#![allow(clippy::disallowed_methods, reason = "tests measure")]

mod harness;
#[path = "../src/geo/testing.rs"]
#[allow(dead_code, reason = "these tests need less of it than those that it belongs to")]
mod mmdb;

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Answer, Leeward, Nginx, Site, ask, free_port, has, is_root, leeward, own_address, query, wait_for};
use leeward::wire::RecordType;
use rustix::process::Signal;

const HEAD: &str = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n";

fn zone(records: &str) -> String {
    format!("{HEAD}{records}\n")
}

// -------- right from the first answer

#[test]
fn nothing_is_answered_before_the_gate_opens() {
    // A target that accepts and then says nothing keeps its check without a result until the time limit.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let target = silent.local_addr().expect("bound").port();
    let address = own_address();
    let port = free_port(&[address]);
    let site = Site::new();
    site.write(
        "gate.test.zone",
        &zone(&format!("www LUA A \"ifurlup('http://x:{target}/', {{'127.0.0.1'}}, {{timeout=2, backupSelector='empty'}})\"")),
    );
    let listen = format!("[server]\nlisten = [\"{address}:{port}\"]\nudp_threads = 1\n");
    let mut server = Leeward::launch(&site.config(&["gate.test"], &listen), &[]);
    let dns = SocketAddr::from((address, port));
    let mut refused = 0;
    let probe = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    probe.set_read_timeout(Some(Duration::from_millis(20))).expect("option");
    probe.connect(dns).expect("connected");
    let measured = || {
        let checks = server.get_json("/api/v1/checks");
        checks["checks"].as_array().expect("a list").iter().all(|check| !check["last"].is_null())
    };
    loop {
        let ready = server.get("/readyz").0 == 200;
        drop(probe.send(&query("www.gate.test", RecordType::A, None)));
        let answered = match probe.recv(&mut [0; 512]) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                refused += 1;
                false
            }
            Err(_) => false,
            Ok(_) => true,
        };
        if ready || answered {
            assert!(measured(), "ready: {ready}, answered: {answered}, and the target has not been probed");
            break;
        }
    }
    assert!(refused > 0, "the port was not bound");
    server.wait_until_open();
    wait_for("readiness", || (server.get("/readyz").0 == 200).then_some(()));
    assert_eq!(server.ask("www.gate.test", RecordType::A).rcode, "NOERROR");
}

#[test]
fn a_reload_never_passes_through_a_backup_answer() {
    if !has("nginx") {
        return;
    }
    let addresses = [own_address(), own_address()];
    let port = free_port(&addresses);
    let _backends = addresses.map(|address| Nginx::new((address, port).into()));
    let site = Site::new();
    let record = |path: &str, list: &str| {
        format!(
            "www LUA A \"ifurlup('http://x:{port}{path}', {{{list}}}, {{selector='all', backupSelector='empty', timeout=1, interval=1}})\""
        )
    };
    let [a, b] = addresses.map(|address| format!("'{address}'"));
    site.write("r.test.zone", &zone(&record("/", &a)));
    let server = Leeward::start(&site.config(&["r.test"], ""));
    let dns = server.dns;
    let ending = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watcher = {
        let ending = std::sync::Arc::clone(&ending);
        std::thread::spawn(move || {
            let mut empty = 0;
            while !ending.load(std::sync::atomic::Ordering::Relaxed) {
                empty += usize::from(ask(dns, "www.r.test", RecordType::A, None).data.is_empty());
            }
            empty
        })
    };
    site.write("r.test.zone", &zone(&record("/", &format!("{a}, {b}")))); // a target is added
    assert_eq!(server.post("/api/v1/reload").0, 200);
    assert_eq!(server.ask("www.r.test", RecordType::A).data.len(), 2, "acknowledged means served");
    site.write("r.test.zone", &zone(&record("/health", &format!("{a}, {b}")))); // the URL is edited
    assert_eq!(server.post("/api/v1/reload").0, 200);
    assert_eq!(server.ask("www.r.test", RecordType::A).data.len(), 2);

    // An edit that fails everywhere is refused, with the list, and can be insisted on.
    site.write("r.test.zone", &zone(&record("/bad", &format!("{a}, {b}"))));
    let (status, problem) = server.post("/api/v1/reload?dry_run=true");
    assert_eq!(status, 409, "{problem}");
    let (status, problem) = server.post("/api/v1/reload");
    assert_eq!(status, 409, "{problem}");
    assert_eq!(problem["regressions"].as_array().map(Vec::len), Some(2), "{problem}");
    assert!(problem["type"].as_str().is_some_and(|kind| kind.contains("check_regression")), "{problem}");
    assert_eq!(server.ask("www.r.test", RecordType::A).data.len(), 2);
    ending.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(watcher.join().expect("no panic"), 0, "no answer was empty");
    assert_eq!(server.post("/api/v1/reload?accept=check_regression").0, 200);
    assert_eq!(server.ask("www.r.test", RecordType::A).data.len(), 0, "as was insisted on");
}

// -------- bad files

/// Ten mistakes, each on a line of its own, and what is said of each.
const MISTAKES: &str = "$TTL 5
@ SOA ns hostmaster 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.1
a A 192.0.2.256
b AAAA 192.0.2.1
c MX mail
d TXT \"no end
e.example.org. A 192.0.2.1
f CNAME a
f A 192.0.2.1
g 30 IN NOSUCH data
h LUA A \"ifportup(80, {'192.0.2.1'}\"
i LUA A \"ifprotup(80, {'192.0.2.1'})\"
j LUA A \"pickwhashed({{0, '192.0.2.1'}})\"
$INCLUDE nowhere.zone
";

#[test]
fn ten_mistakes_are_ten_findings_and_the_old_zone_serves() {
    let site = Site::new();
    let good = zone("www A 192.0.2.1");
    site.write("m.test.zone", &good);
    site.write("other.test.zone", &zone("www A 192.0.2.2"));
    let config = site.config(&["m.test", "other.test"], "");
    let server = Leeward::start(&config);
    assert_eq!(server.ask("www.m.test", RecordType::A).data, ["192.0.2.1"]);
    wait_for("the last-good copy", || site.path("state/zones/m.test.zone").exists().then_some(()));

    site.write("m.test.zone", MISTAKES);
    let output = leeward(&["checkconf", "--config", config.to_str().expect("text"), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let places: Vec<(u64, u64)> = found["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["severity"] == "error")
        .map(|finding| (finding["line"].as_u64().expect("a line"), finding["column"].as_u64().expect("a column")))
        .collect();
    for line in [5, 6, 7, 8, 9, 12, 13, 14, 15, 16] {
        assert!(places.iter().any(|&(at, _)| at == line), "nothing is said of line {line}: {found:#}");
    }
    assert!(places.contains(&(5, 5)) && places.contains(&(14, 10)), "columns: {places:?}");
    assert!(places.iter().any(|&(at, _)| at == 10 || at == 11), "CNAME beside other data: {places:?}");
    for finding in found["findings"].as_array().expect("a list") {
        assert!(finding["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{finding}");
    }

    // A reload with it: 422 with the list, counted; the old zone and the other one serve.
    site.write("other.test.zone", &zone("www A 192.0.2.3"));
    let (status, problem) = server.post("/api/v1/reload");
    assert_eq!(status, 422, "{problem}");
    assert!(problem["findings"].as_array().is_some_and(|list| list.len() >= 10), "{problem}");
    assert_eq!(server.ask("www.m.test", RecordType::A).data, ["192.0.2.1"]);
    assert_eq!(server.ask("www.other.test", RecordType::A).data, ["192.0.2.3"], "the zone without errors is taken in");
    assert_eq!(server.metric("leeward_config_last_reload_successful"), Some(0.0));
    assert_eq!(server.metric("leeward_reloads_total{result=\"refused\"}"), Some(1.0));
    assert!(server.stop());

    // A start with it: the last-good copy, and the other zones as ever.
    let server = Leeward::start(&config);
    let stale = server.ask("www.m.test", RecordType::A);
    assert_eq!((stale.data, stale.ede), (vec!["192.0.2.1".to_owned()], Some(3)), "RFC 8914 4.4: a stale answer says so");
    assert_eq!(server.ask("www.other.test", RecordType::A).data, ["192.0.2.3"]);
    assert_eq!(server.metric("leeward_zone_stale{zone=\"m.test.\"}"), Some(1.0));
    assert_eq!(server.metric("leeward_zone_stale{zone=\"other.test.\"}"), Some(0.0));
    // Mended, it is taken in.
    site.write("m.test.zone", &good.replace("192.0.2.1", "192.0.2.9"));
    assert_eq!(server.post("/api/v1/reload").0, 200);
    assert_eq!(server.ask("www.m.test", RecordType::A).data, ["192.0.2.9"]);
    assert_eq!(server.metric("leeward_zone_stale{zone=\"m.test.\"}"), Some(0.0));
}

#[test]
fn a_bad_zone_without_a_copy_fails_alone_and_strict_refuses() {
    let site = Site::new();
    site.write("bad.test.zone", MISTAKES);
    site.write("good.test.zone", &zone("www A 192.0.2.2\nodd LUA A \"country('US')\"\nok LUA A \"'192.0.2.3'\""));
    let config = site.config(&["bad.test", "good.test"], "");
    let server = Leeward::start(&config);
    let failed = server.ask("www.bad.test", RecordType::A);
    assert_eq!((failed.rcode.as_str(), failed.ede), ("SERVFAIL", Some(14)));
    assert_eq!(server.ask("www.good.test", RecordType::A).data, ["192.0.2.2"]);
    // A program outside the set fails alone, and the reason is logged once, not per query.
    for _ in 0..3 {
        assert_eq!(server.ask("odd.good.test", RecordType::A).rcode, "SERVFAIL");
    }
    assert_eq!(server.ask("ok.good.test", RecordType::A).data, ["192.0.2.3"]);
    assert_eq!(server.log_count("country"), 1);
    assert!(!site.path("state/zones/good.test.zone").exists(), "what has errors is no last-good copy");
    // It is no reason to refuse a change elsewhere, and not forgotten.
    site.write("good.test.zone", &zone("www A 192.0.2.4\nodd LUA A \"country('US')\"\nok LUA A \"'192.0.2.3'\""));
    let (status, report) = server.post("/api/v1/reload?zone=good.test");
    assert_eq!(status, 200, "{report}");
    assert!(report["findings"].to_string().contains("country"), "{report}");
    assert_eq!(server.ask("www.good.test", RecordType::A).data, ["192.0.2.4"]);
    assert_eq!(server.metric("leeward_zone_broken_programs{zone=\"good.test.\"}"), Some(1.0));
    assert_eq!(server.metric("leeward_zone_failed{zone=\"bad.test.\"}"), Some(1.0));
    assert!(server.get("/api/v1/events").1.contains("files_rejected"));
    assert!(server.stop());
    assert!(!site.path("state/zones/good.test.zone").exists(), "nor is what still has errors");
    let mut strict = Leeward::launch(&config, &["--strict"]);
    assert_eq!(strict.child.wait().expect("it ends").code(), Some(1));
    assert!(strict.log_line("DNS on ").is_none());
}

#[test]
fn settings_that_need_a_restart_are_named() {
    let site = Site::new();
    site.write("s.test.zone", &zone("www A 192.0.2.1"));
    let config = site.config(&["s.test"], "");
    let server = Leeward::start(&config);
    let text = fs::read_to_string(&config).expect("read");
    fs::write(&config, text.replace("udp_threads = 1", "udp_threads = 2")).expect("written");
    let (status, problem) = server.post("/api/v1/reload");
    assert_eq!(status, 409, "{problem}");
    assert!(problem.to_string().contains("udp_threads"), "{problem}");
    // A zone may come and go without one.
    site.write("t.test.zone", &zone("www A 192.0.2.7"));
    site.config(&["s.test", "t.test"], "");
    assert_eq!(server.post("/api/v1/reload").0, 200);
    assert_eq!(server.ask("www.t.test", RecordType::A).data, ["192.0.2.7"]);
    site.config(&["t.test"], "");
    server.signal(Signal::HUP);
    wait_for("the zone to be gone", || (server.ask("www.s.test", RecordType::A).rcode == "REFUSED").then_some(()));
    assert_eq!(server.ask("www.t.test", RecordType::A).data, ["192.0.2.7"]);
}

// -------- databases of places

/// A database that was made at `built`.
fn places(built: u64) -> Vec<u8> {
    let country = mmdb::Value::Map(vec![("iso_code", mmdb::Value::Text("AT"))]);
    let mut database = mmdb::Mmdb::v6().built(built);
    database.insert("192.0.2.0/24", &mmdb::Value::Map(vec![("country", country)]));
    database.write(24)
}

#[test]
fn databases_of_places_are_replaced_by_a_reload_and_a_bad_one_is_refused() {
    const METRIC: &str = "leeward_geo_database_build_timestamp_seconds{database=\"Country.mmdb\"}";
    let site = Site::new();
    // As it should be done: a new file by the old name.
    let replace = |bytes: &[u8]| {
        fs::write(site.path("new"), bytes).expect("written");
        fs::rename(site.path("new"), site.path("Country.mmdb")).expect("renamed");
    };
    replace(&places(1_700_000_000));
    site.write("p.test.zone", &zone("www A 192.0.2.1"));
    let config = site.config(&["p.test"], "[geo]\ndatabases = [\"Country.mmdb\"]\n");
    let server = Leeward::start(&config);
    assert_eq!(server.metric(METRIC), Some(1_700_000_000.0));
    let generation = || server.get_json("/api/v1/status")["generation"].as_u64().expect("a number");
    let first = generation();

    assert_eq!(server.post("/api/v1/reload").0, 200);
    assert_eq!((generation(), server.log_count("Country.mmdb read")), (first, 1), "nothing has changed");

    replace(&places(1_800_000_000));
    assert_eq!(server.post("/api/v1/reload?dry_run=true").0, 200);
    assert_eq!(server.metric(METRIC), Some(1_700_000_000.0));
    assert_eq!(server.post("/api/v1/reload").0, 200);
    assert_eq!(server.metric(METRIC), Some(1_800_000_000.0));
    assert_eq!(generation(), first + 1);

    site.write("p.test.zone", &zone("www A 192.0.2.2"));
    replace(&places(1_900_000_000)[..100]);
    let (status, problem) = server.post("/api/v1/reload");
    assert_eq!(status, 422, "{problem}");
    let finding = problem.to_string();
    assert!(finding.contains("Country.mmdb") && finding.contains("no sound MaxMind database"), "{problem}");
    assert_eq!((generation(), server.metric(METRIC)), (first + 1, Some(1_800_000_000.0)));
    assert_eq!(server.ask("www.p.test", RecordType::A).data, ["192.0.2.1"], "nothing of such a reload is served");

    let checked = leeward(&["checkconf", "--config", config.to_str().expect("UTF-8")]);
    let text = String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success() && text.contains("Country.mmdb: error: it is no sound MaxMind database"), "{text}");

    fs::remove_file(site.path("Country.mmdb")).expect("removed");
    let refused = leeward(&["serve", "--config", config.to_str().expect("UTF-8")]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && text.contains("Country.mmdb: cannot read the database"), "{text}");
}

// -------- bad disks

struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).status());
    }
}

fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_disk_that_hangs_delays_nothing() {
    if !is_root() || !has("nginx") || !has("mkfs.ext4") || !has("fsfreeze") {
        return;
    }
    let site = Site::new();
    let (image, disk) = (site.path("disk.img"), site.path("disk"));
    fs::File::create(&image).and_then(|file| file.set_len(16 << 20)).expect("an image");
    fs::create_dir(&disk).expect("a folder");
    let (image, disk_text) = (image.to_str().expect("text"), disk.to_str().expect("text"));
    if !run("mkfs.ext4", &["-q", image]) || !run("mount", &["-o", "loop", image, disk_text]) {
        eprintln!("SKIPPED: this machine cannot mount an image");
        return;
    }
    let _mount = Mount(&disk);
    let (server, mut backend, www) = start_with_backend(&site, "state_dir = \"disk\"");
    wait_for("the first copy", || disk.join("zones/d.test.zone").exists().then_some(()));
    let copy = fs::read(disk.join("zones/d.test.zone")).expect("read");

    assert!(run("fsfreeze", &["-f", disk_text]), "frozen");
    let thaw = Thaw(&disk);
    site.write("d.test.zone", &zone(&format!("{www}\nnew A 192.0.2.8")));
    assert_eq!(server.post("/api/v1/reload").0, 200, "a reload is served while the disk hangs");
    assert_eq!(server.ask("new.d.test", RecordType::A).data, ["192.0.2.8"]);
    fails_over(&server, &mut backend);
    let order = |host: u8, more: &str| format!("/api/v1/overrides/target/192.0.2.{host}?state=drain&accept=no_such_target{more}");
    let mut durable = TcpStream::connect(server.admin).expect("connected");
    durable.set_read_timeout(Some(harness::PATIENCE)).expect("option");
    write!(durable, "PUT {} HTTP/1.1\r\nHost: localhost\r\n\r\n", order(1, "")).expect("sent");
    let put = |path: &str| {
        let (status, body) = harness::http(server.admin, "PUT", path);
        (status, serde_json::from_str::<serde_json::Value>(&body).expect("JSON")["durable"].clone())
    };
    assert_eq!(put(&order(2, "&dry_run=true")), (200, false.into()), "a dry run waits for no disk");
    assert_eq!(put(&order(3, "&durable=false")), (200, false.into()), "nor does what need not be durable, for long");
    let told = |host: u8| server.get("/api/v1/events").1.contains(&format!("target/192.0.2.{host}: drain"));
    assert_eq!([1, 2, 3].map(told), [false, false, true]);
    drop(thaw);
    let mut line = [0; 12];
    durable.read_exact(&mut line).expect("a reply");
    assert_eq!((&line, told(1)), (b"HTTP/1.1 200", true), "as soon as it is on disk");
    wait_for("the copy to be kept after all", || (fs::read(disk.join("zones/d.test.zone")).ok()? != copy).then_some(()));
    assert!(server.stop());
}

struct Thaw<'a>(&'a Path);

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        drop(Command::new("fsfreeze").arg("-u").arg(self.0).status());
    }
}

#[test]
fn a_full_disk_delays_nothing_and_is_counted() {
    if !is_root() || !has("nginx") {
        return;
    }
    let site = Site::new();
    let disk = site.path("disk");
    fs::create_dir(&disk).expect("a folder");
    if !run("mount", &["-t", "tmpfs", "-o", "size=64k", "none", disk.to_str().expect("text")]) {
        eprintln!("SKIPPED: this machine cannot mount a tmpfs");
        return;
    }
    let _mount = Mount(&disk);
    let (server, mut backend, www) = start_with_backend(&site, "state_dir = \"disk\"");
    wait_for("the first copy", || disk.join("zones/d.test.zone").exists().then_some(()));
    let copy = fs::read(disk.join("zones/d.test.zone")).expect("read");
    let mut filler = fs::File::create(disk.join("filler")).expect("a file");
    while filler.write_all(&[0; 4096]).is_ok() {}

    site.write("d.test.zone", &zone(&format!("{www}\nnew A 192.0.2.8")));
    assert_eq!(server.post("/api/v1/reload").0, 200);
    assert_eq!(server.ask("new.d.test", RecordType::A).data, ["192.0.2.8"]);
    wait_for("the error to be counted", || (server.metric("leeward_store_errors_total")? >= 1.0).then_some(()));
    assert_eq!(fs::read(disk.join("zones/d.test.zone")).expect("read"), copy, "the old copy is whole");
    fails_over(&server, &mut backend);
    assert!(server.stop());
}

/// leeward on `d.test` whose `www` follows one nginx; the record.
fn start_with_backend(site: &Site, node: &str) -> (Leeward, Nginx, String) {
    let address = own_address();
    let port = free_port(&[address]);
    let backend = Nginx::new((address, port).into());
    let www = format!("www LUA A \"ifportup({port}, {{'{address}'}}, {{interval=1, timeout=1, backupSelector='empty'}})\"");
    site.write("d.test.zone", &zone(&www));
    let server = Leeward::start(&site.config(&["d.test"], &format!("[node]\n{node}\n")));
    assert_eq!(server.ask("www.d.test", RecordType::A).data.len(), 1);
    (server, backend, www)
}

fn fails_over(server: &Leeward, backend: &mut Nginx) {
    let told = backend.stop();
    wait_for("the answer to change", || server.ask("www.d.test", RecordType::A).data.is_empty().then_some(()));
    println!("stop -> out of the answer: {} ms", told.elapsed().as_millis());
}

// -------- bad packets

#[test]
fn a_hundred_thousand_bad_packets_leave_it_well() {
    let site = Site::new();
    site.write(
        "p.test.zone",
        &zone("www LUA A \"pickrandom({'192.0.2.1', '192.0.2.2'})\"\n*.w TXT \"x\"\nsub NS ns.sub\nns.sub A 192.0.2.5"),
    );
    let mut server = Leeward::start(&site.config(&["p.test"], ""));
    let seeds: Vec<Vec<u8>> = ["www.p.test", "a.w.p.test", "x.sub.p.test", "no.p.test", "elsewhere.example"]
        .iter()
        .flat_map(|name| [RecordType::A, RecordType::TXT, RecordType::ANY, RecordType::LUA].map(|rtype| query(name, rtype, None)))
        .collect();
    let mut random = fastrand::Rng::with_seed(20);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server.dns).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
    flood(&socket, &seeds, &mut random, 10_000);
    let before = server.rss_kb();
    flood(&socket, &seeds, &mut random, 100_000);
    let after = server.rss_kb();
    println!("RSS before {before} kB, after {after} kB");
    assert!(server.is_alive());
    assert!(after <= before + 1024, "memory grew from {before} kB to {after} kB");
    assert_eq!(server.ask("www.p.test", RecordType::A).rcode, "NOERROR");
}

/// Sends bad packets, each batch followed by a good query, so that nothing is lost unseen. Replies must be well-formed,
/// match a query that asked for one, and never answer a response.
fn flood(socket: &UdpSocket, seeds: &[Vec<u8>], random: &mut fastrand::Rng, count: usize) {
    let mut buf = [0; 4096];
    for _ in 0..count / 20 {
        for _ in 0..20 {
            let mut packet = harness_mutation(seeds, random);
            if packet.len() >= 2 {
                packet[0] = if packet.get(2).is_some_and(|flags| flags & 0x80 != 0) { 0xBB } else { 0xAA };
            }
            socket.send(&packet).expect("sent");
        }
        let mut good = seeds[0].clone();
        good[0] = 0xCC;
        socket.send(&good).expect("sent");
        loop {
            let len = socket.recv(&mut buf).expect("the good query is answered");
            assert!(len >= 12 && buf[2] & 0x80 != 0, "a reply has a header and QR");
            assert_ne!(buf[0], 0xBB, "a response was answered");
            hickory_proto::op::Message::from_vec(&buf[..len]).expect("well-formed");
            if buf[0] == 0xCC {
                break;
            }
        }
    }
}

/// A random packet, or a good one with octets changed, cut or appended.
fn harness_mutation(seeds: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    if random.u8(..) < 64 {
        return (0..random.usize(0..600)).map(|_| random.u8(..)).collect();
    }
    let mut packet = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..packet.len());
        match random.u8(..4) {
            0 => packet[at] = random.u8(..),
            1 => packet[at] ^= 1 << random.u8(..8),
            2 => packet.truncate(at.max(1)),
            _ => packet.extend((0..random.usize(..40)).map(|_| random.u8(..))),
        }
    }
    packet
}

// -------- TCP

#[test]
fn tcp_is_pipelined_idle_connections_end_and_their_number_is_bounded() {
    let site = Site::new();
    site.write("t.test.zone", &zone("www A 192.0.2.1"));
    let tight = "[server]\nlisten = [\"127.0.0.1:0\"]\nudp_threads = 1\ntcp_max = 2\ntcp_idle = \"1s\"\n";
    let server = Leeward::start(&site.config(&["t.test"], tight));
    let framed = |id: u8| {
        let mut message = query("www.t.test", RecordType::A, None);
        message[1] = id;
        [&(message.len() as u16).to_be_bytes()[..], &message].concat()
    };
    let mut stream = TcpStream::connect(server.dns).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
    let pipelined: Vec<u8> = (0..100).flat_map(framed).collect();
    for piece in pipelined.chunks(7) {
        stream.write_all(piece).expect("sent");
    }
    for id in 0..100 {
        let reply = read_framed(&mut stream);
        assert_eq!(reply[1], id);
        assert_eq!(Answer::of(&reply).data, ["192.0.2.1"]);
    }
    // What is no query ends the connection, after the replies to what came before it.
    let mut odd = TcpStream::connect(server.dns).expect("connected");
    odd.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
    odd.write_all(&[framed(5), vec![0, 0]].concat()).expect("sent");
    assert_eq!(read_framed(&mut odd)[1], 5);
    assert_eq!(odd.read(&mut [0; 1]).expect("closed in order"), 0);
    // Two connections are all there may be; a third is served when one has been idle for long enough.
    let _second = TcpStream::connect(server.dns).expect("connected");
    let mut third = TcpStream::connect(server.dns).expect("the kernel connects");
    third.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
    third.write_all(&framed(7)).expect("sent");
    assert_eq!(read_framed(&mut third)[1], 7);
    assert_eq!(stream.read(&mut [0; 1]).expect("closed in order"), 0);
    third.shutdown(Shutdown::Write).expect("shut");
    assert_eq!(third.read(&mut [0; 1]).expect("closed in order"), 0);
}

fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).expect("a length");
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).expect("a message");
    message
}

// -------- hashes

/// Sections 6.2 and 6.3 of the specification of record programs, row by row, over the wire.
#[test]
fn the_published_hash_tables_hold() {
    let many = |n: usize| (1..=n).map(|k| format!("{{1,'i{k}'}}")).collect::<Vec<_>>().join(",");
    let site = Site::new();
    site.write(
        "hash.test.zone",
        &zone(&format!(
            "two LUA TXT \"pickhashed({{'a','b'}})\"\nthree LUA TXT \"pickhashed({{'a','b','c'}})\"\n\
             weighed LUA TXT \"pickwhashed({{{{15,'bob'}},{{42,'alice'}}}})\"\n\
             sixteen LUA TXT \"pickwhashed({{{}}})\"\nthirtyone LUA TXT \"pickwhashed({{{}}})\"\n",
            many(16),
            many(31)
        )),
    );
    site.write(
        "namehashed.example.org.zone",
        &zone("test LUA A \"picknamehashed({{15,'1.2.3.4'},{42,'4.3.2.1'}})\"\ntest2 LUA A \"picknamehashed({{15,'1.2.3.4'},{42,'4.3.2.1'}})\""),
    );
    let server = Leeward::start(&site.config(&["hash.test", "namehashed.example.org"], ""));
    let rows = [
        ("192.0.2.1", 32, ["a", "a", "bob", "i6", "i30"]),
        ("10.0.0.1", 32, ["b", "b", "alice", "i3", "i25"]),
        ("1.2.3.0", 24, ["b", "c", "bob", "i3", "i22"]),
        ("::1", 128, ["b", "a", "alice", "i1", "i2"]),
        ("2001:db8::1", 128, ["a", "c", "alice", "i12", "i13"]),
    ];
    for (network, source, expected) in rows {
        let network: IpAddr = network.parse().expect("an address");
        for (name, expected) in ["two", "three", "weighed", "sixteen", "thirtyone"].iter().zip(expected) {
            let answer = server.ask_from(&format!("{name}.hash.test"), RecordType::TXT, network, source);
            let data: Vec<String> = answer.data.iter().map(|data| data.trim_matches('"').to_owned()).collect();
            assert_eq!(data, [expected], "{name} for {network}/{source}");
            assert_eq!(answer.scope, Some(source), "hashed answers hold for the source prefix");
        }
    }
    for (name, expected) in [("test", "1.2.3.4"), ("test2", "4.3.2.1")] {
        let network = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0));
        let answer = server.ask_from(&format!("{name}.namehashed.example.org"), RecordType::A, network, 24);
        assert_eq!((answer.data, answer.scope), (vec![expected.to_owned()], Some(0)));
    }
}

// -------- addresses

#[test]
fn both_families_are_served_and_each_answers_from_the_address_that_was_asked() {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    }
    let site = Site::new();
    site.write("a.test.zone", &zone("www A 192.0.2.1\nwho LUA TXT \"pickhashed({'x'})\""));
    let port = free_port(&[Ipv4Addr::LOCALHOST]);
    let listen = format!("[server]\nlisten = [\"0.0.0.0:{port}\", \"[::]:{port}\"]\nudp_threads = 2\n");
    let server = Leeward::start(&site.config(&["a.test"], &listen));
    let other = own_address(); // any loopback address reaches the wildcard; the client takes replies from there only
    for to in [IpAddr::from([127, 0, 0, 1]), IpAddr::V4(other), "::1".parse().expect("an address")] {
        assert_eq!(ask((to, port).into(), "www.a.test", RecordType::A, None).data, ["192.0.2.1"], "{to}");
        let mut stream = TcpStream::connect((to, port)).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
        let message = query("www.a.test", RecordType::A, None);
        stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], &message].concat()).expect("sent");
        assert_eq!(Answer::of(&read_framed(&mut stream)).data, ["192.0.2.1"], "{to}");
    }
    assert!(server.stop());
}

#[test]
fn a_port_that_is_taken_is_reported_before_anything_else_is_done() {
    let site = Site::new();
    site.write("b.test.zone", &zone("www A 192.0.2.1"));
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("bound");
    let config = site.config(&["b.test"], &format!("[server]\nlisten = [\"{address}\"]\nudp_threads = 1\n"));
    let output = leeward(&["serve", "--config", config.to_str().expect("text")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&address.to_string()) && said.contains("[server] listen"), "{said}");
    assert!(!site.path("state/zones").exists());
}

// -------- signals

#[test]
fn it_stops_in_good_order_and_frees_its_ports() {
    let site = Site::new();
    site.write("s.test.zone", &zone("www A 192.0.2.1"));
    let config = site.config(&["s.test"], "");
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Leeward::start(&config);
        let (dns, begun) = (server.dns, Instant::now());
        server.signal(signal);
        assert!(server.child.wait().expect("it ends").success());
        println!("{signal:?}: stopped after {} ms", begun.elapsed().as_millis());
        drop(UdpSocket::bind(dns).expect("the port is free"));
    }
}
