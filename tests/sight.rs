//! Losing sight is not death, with a real server whose own troubles are made: no descriptors, no ports, no buffers, no route, a
//! firewall of its own, a full table of connections, a stop, a resolver that is gone, a clock that is set, a full disk. Each time
//! every answer is the same before, during and after, no check changes its status, and the events say what the trouble was.
//!
//! Server and targets have network namespaces of their own, between which there is one wire.

#![allow(clippy::disallowed_methods, reason = "tests measure")]

mod harness;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use harness::{Answer, Disk, Leeward, Namespace, PATIENCE, Site, has, is_root, query, said, wait_for};
use leeward::wire::RecordType;

/// In three networks.
const TARGETS: [Ipv4Addr; 6] = [
    Ipv4Addr::new(10, 98, 1, 1),
    Ipv4Addr::new(10, 98, 1, 2),
    Ipv4Addr::new(10, 98, 2, 1),
    Ipv4Addr::new(10, 98, 2, 2),
    Ipv4Addr::new(10, 98, 3, 1),
    Ipv4Addr::new(10, 98, 3, 2),
];
/// All of them.
const THERE: &str = "10.98.0.0/16";
/// By `ifportup`, by DNS, by a name of another server's, and what another server says.
const NAMES: [&str; 4] = ["all.gslb.test", "names.gslb.test", "ext.gslb.test", "res.gslb.test"];

/// Two network namespaces: the server's, in which the test is from now on, and the targets'.
struct Net {
    _near: Namespace,
    _far: Arc<Namespace>,
}

impl Net {
    fn new() -> Self {
        let (near, far) = (Namespace::new("near"), Arc::new(Namespace::new("far")));
        ip(&format!("-n {} link add wire type veth peer name wire netns {}", near.name, far.name));
        for (side, address) in [(&near, "10.99.0.1/30"), (&*far, "10.99.0.2/30")] {
            ip(&format!("-n {} address add {address} dev wire", side.name));
            ip(&format!("-n {} link set wire up", side.name));
        }
        TARGETS.iter().for_each(|target| ip(&format!("-n {} address add {target}/32 dev lo", far.name)));
        ip(&format!("-n {} route add {THERE} via 10.99.0.2", near.name));
        let there = Arc::clone(&far);
        std::thread::spawn(move || serve_targets(&there)).join().expect("targets");
        near.enter();
        Self { _near: near, _far: far }
    }
}

fn ip(args: &str) {
    said("ip", &args.split(' ').collect::<Vec<_>>());
}

/// Each target has a web server and a name server, for the life of the test.
fn serve_targets(there: &Namespace) {
    there.enter();
    for target in TARGETS {
        let web = TcpListener::bind((target, 80)).expect("bound");
        std::thread::spawn(move || web.incoming().for_each(|stream| well(stream.expect("a connection"))));
        let names = UdpSocket::bind((target, 53)).expect("bound");
        std::thread::spawn(move || {
            let mut message = [0; 512];
            while let Ok((len, from)) = names.recv_from(&mut message) {
                message[2] |= 0x80; // a response
                let _it_may_be_gone = names.send_to(&message[..len], from);
            }
        });
    }
}

/// Says that all is well to whoever asks; a TCP check does not.
fn well(mut stream: std::net::TcpStream) {
    if stream.read(&mut [0; 1024]).is_ok_and(|len| len > 0) {
        let _it_may_be_gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}

/// A server that has seen every target, and is watched.
struct Scene {
    /// Ends before the server does.
    watch: Watch,
    server: Leeward,
    /// Whom `resolve()` and the system ask.
    other: Leeward,
    disk: Disk,
    _sites: [Site; 2],
    _net: Net,
}

impl Scene {
    /// `None`: the machine cannot have one.
    fn start(environment: &[(&str, String)]) -> Option<Self> {
        (is_root() && ["ip", "nft", "prlimit", "mount", "unshare"].into_iter().all(has)).then(|| Self::set(environment))
    }

    fn set(environment: &[(&str, String)]) -> Self {
        let net = Net::new();
        let others_site = Site::new();
        let addresses: String =
            TARGETS.iter().enumerate().map(|(n, target)| format!("t{n} A {target}\nwww A {target}\n")).collect();
        others_site.write(
            "far.test.zone",
            &format!("$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n{addresses}"),
        );
        let other = Leeward::start(&others_site.config(&["far.test"], "[server]\nlisten = [\"127.0.0.1:53\"]\n"));
        let site = Site::new();
        let config = configure(&site, other.dns);
        let disk = Disk::mount(&site.path("state"));
        let resolv_conf = site.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-ec", "mount --bind \"$1\" /etc/resolv.conf; shift; exec \"$@\"", "sh"]).arg(resolv_conf);
        command.args([env!("CARGO_BIN_EXE_leeward"), "serve", "--config"]).arg(config);
        let mut server = Leeward::launch_by({
            command.envs(environment.iter().map(|(name, value)| (name, value)));
            command
        });
        server.wait_until_open();
        wait_for("every target", || all_pass(&server).then_some(()));
        let all_named = || NAMES.iter().all(|name| server.ask(name, RecordType::A).data.len() == TARGETS.len());
        wait_for("whole answers", || all_named().then_some(()));
        let watch = Watch::start(server.dns);
        Self { watch, server, other, disk, _sites: [site, others_site], _net: net }
    }

    /// From `make` to `lift` there is trouble, of which the log has these words. No answer is another for it.
    fn endures(&self, words: &[&str], make: impl FnOnce(), lift: impl FnOnce()) {
        self.watch.more(100);
        make();
        for words in words {
            wait_for(words, || self.watch.same().then(|| self.server.log_line(words)).flatten());
        }
        // Long enough for each check to go down if it were to.
        let probed = std::time::Instant::now() + Duration::from_secs(4);
        wait_for("some more probes", || (self.watch.same() && std::time::Instant::now() > probed).then_some(()));
        self.watch.more(100);
        lift();
        wait_for("every target again", || (self.watch.same() && all_pass(&self.server)).then_some(()));
        self.watch.more(100);
    }

    /// Each of these, as `kind reason`, is among the events, and no target went up or down.
    fn told(&self, wanted: &[&str]) {
        let told = wait_for("the events", || {
            let told = events(&self.server);
            wanted.iter().all(|&wanted| told.contains(wanted)).then_some(told)
        });
        println!("told: {told:?}");
    }

    fn pid(&self) -> String {
        self.server.child.id().to_string()
    }
}

/// Zone and configuration; three failures take a target down, so that it is seen that all fail before one is believed to be dead.
fn configure(site: &Site, resolver: SocketAddr) -> std::path::PathBuf {
    let list = TARGETS.map(|target| format!("'{target}'")).join(", ");
    let urls: Vec<String> =
        TARGETS.iter().enumerate().map(|(n, target)| format!("['{target}']='http://t{n}.far.test/'")).collect();
    site.write(
        "gslb.test.zone",
        &format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             all LUA A \"ifportup(80, {{{list}}}, {{check='port', selector='all'}})\"\n\
             names LUA A \"ifportup(53, {{{list}}}, {{check='names', selector='all'}})\"\n\
             ext LUA A \"ifurlextup({{{{{}}}}}, {{selector='all', interval=1, timeout=0.5, minimumFailures=5}})\"\n\
             res LUA A \";local t = {{}} for _, record in ipairs(resolve('www.far.test', pdns.A)) do t[#t + 1] = record:content() end \
             return t\"\n",
            urls.join(", ")
        ),
    );
    let common = "interval = \"1s\"\ntimeout = \"500ms\"\nretry_interval = \"1s\"\nfall = 3\nrise = 1";
    let more = format!(
        "[lua]\nresolver = \"{resolver}\"\n[check.port]\nkind = \"tcp\"\nport = 80\n{common}\n\
         [check.names]\nkind = \"dns\"\nport = 53\nname = \"far.test\"\ntype = \"SOA\"\n{common}\n"
    );
    site.config(&["gslb.test"], &more)
}

fn all_pass(server: &Leeward) -> bool {
    let checks = server.get_json("/api/v1/checks");
    let checks = checks["checks"].as_array().expect("a list");
    checks.len() == 3 * TARGETS.len()
        && checks.iter().all(|check| check["last"]["outcome"] == "pass" && check["last"]["age_seconds"].as_f64() < Some(2.0))
}

/// What is told since the ports are open, as `kind reason`.
fn events(server: &Leeward) -> BTreeSet<String> {
    let events = server.get_json("/api/v1/events");
    let events = events["events"].as_array().expect("a list").iter();
    let later = events.skip_while(|event| event["kind"] != "serving").skip(1);
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or("").to_owned();
    later
        .map(|event| {
            assert_ne!(event["kind"], "transition", "{event}");
            format!("{} {}", text(event, "kind"), text(event, "reason")).trim_end().to_owned()
        })
        .collect()
}

/// Asks for every name without a pause, and looks whether any answer is another than the first.
struct Watch {
    seen: Arc<Seen>,
    asker: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    asked: AtomicUsize,
    other: Mutex<Option<(usize, Answer)>>,
    ending: AtomicBool,
}

impl Watch {
    fn start(server: SocketAddr) -> Self {
        let seen = Arc::new(Seen::default());
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(server).expect("connected");
        socket.set_read_timeout(Some(PATIENCE)).expect("option");
        let asker = {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || seen.ask(&socket))
        };
        Self { seen, asker: Some(asker) }
    }

    /// Whether all answers were the same; fails where one was not.
    fn same(&self) -> bool {
        let other = self.seen.other.lock().expect("not poisoned").clone();
        assert!(other.is_none(), "{other:?}");
        assert!(!self.asker.as_ref().is_some_and(JoinHandle::is_finished), "a query had no answer");
        true
    }

    /// Waits for so many more.
    fn more(&self, count: usize) {
        let from = self.seen.asked.load(Ordering::SeqCst);
        wait_for("more answers", || (self.same() && self.seen.asked.load(Ordering::SeqCst) >= from + count).then_some(()));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.seen.ending.store(true, Ordering::SeqCst);
        let _it_said_what_it_saw = self.asker.take().map(JoinHandle::join);
    }
}

impl Seen {
    fn ask(&self, socket: &UdpSocket) {
        let mut all: Vec<String> = TARGETS.iter().map(ToString::to_string).collect();
        all.sort();
        let questions = NAMES.map(|name| query(name, RecordType::A, None));
        let mut reply = [0; 4096];
        while !self.ending.load(Ordering::SeqCst) {
            for (number, question) in questions.iter().enumerate() {
                socket.send(question).expect("sent");
                let len = socket.recv(&mut reply).expect("a reply");
                let answer = Answer::of(&reply[..len]);
                if answer.rcode != "NOERROR" || answer.data != all {
                    *self.other.lock().expect("not poisoned") = Some((number, answer));
                }
                self.asked.fetch_add(1, Ordering::SeqCst);
            }
            std::thread::sleep(Duration::from_millis(2)); // two thousand queries a second are enough
        }
    }
}

const NO_RESOURCES: &str = "probes tell nothing: this host ran out of descriptors";

#[test]
fn no_descriptors() {
    let Some(scene) = Scene::start(&[]) else { return };
    let limit = |limit: &str| said("prlimit", &["--pid", &scene.pid(), limit]);
    scene.endures(&[NO_RESOURCES], || drop(limit("--nofile=8:4096")), || drop(limit("--nofile=4096:4096")));
    scene.told(&["trouble resources", "trouble_over resources"]);
}

#[test]
fn no_ports() {
    let Some(scene) = Scene::start(&[]) else { return };
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    let before = std::fs::read_to_string(range).expect("a range");
    let taken: Vec<_> = [40_000, 40_001]
        .map(|port| (TcpListener::bind(("0.0.0.0", port)).expect("free"), UdpSocket::bind(("0.0.0.0", port)).expect("free")))
        .into();
    let set = |text: &str| std::fs::write(range, text).expect("set");
    scene.endures(&[NO_RESOURCES], || set("40000 40001"), || set(&before));
    scene.told(&["trouble resources", "trouble_over resources"]);
    drop(taken);
}

/// Nothing but a kernel without memory says so by itself: the calls are made to fail from outside.
#[test]
fn no_buffers() {
    if !has("strace") {
        return;
    }
    let Some(scene) = Scene::start(&[]) else { return };
    let tracer = std::cell::Cell::new(None);
    let make = || {
        let inject = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=connect", "-e", "inject=connect:error=ENOBUFS", "-p"];
        tracer.set(Some(Command::new("strace").args(inject).arg(scene.pid()).spawn().expect("it runs")));
    };
    let lift = || {
        // Asked to end, it lets go of the server; killed, it need not.
        let mut tracer = tracer.take().expect("it runs");
        rustix::process::kill_process(rustix::process::Pid::from_child(&tracer), Signal::INT).expect("told");
        tracer.wait().expect("gone");
    };
    scene.endures(&[NO_RESOURCES], make, lift);
    scene.told(&["trouble resources", "trouble_over resources"]);
}

#[test]
fn no_route() {
    let Some(scene) = Scene::start(&[]) else { return };
    let route = |verb: &str| ip(&format!("route {verb} {THERE} via 10.99.0.2"));
    scene.endures(&["probes tell nothing: this host has no route"], || route("del"), || route("add"));
    scene.told(&["trouble no_route", "trouble_over no_route"]);
}

/// What it drops of ours is silence to TCP, and EPERM to UDP.
#[test]
fn a_firewall_of_our_own_that_drops() {
    firewall("drop", &["probes tell nothing: this host's own rules forbid", "cut off: "]);
}

#[test]
fn a_firewall_of_our_own_that_rejects() {
    firewall("reject with icmp type admin-prohibited", &["cut off: "]);
}

fn firewall(verdict: &str, words: &[&str]) {
    let Some(scene) = Scene::start(&[]) else { return };
    let nft = |rules: String| drop(said("nft", &[rules]));
    let make = || {
        nft("add table inet t; add chain inet t out { type filter hook output priority 0; }".to_owned());
        nft(format!("add rule inet t out ip daddr {THERE} {verdict}"));
    };
    scene.endures(words, make, || nft("delete table inet t".to_owned()));
    scene.told(&["isolated", "isolation_over"]);
}

/// The table is that of the server's namespace, and as large as the host's; what it has no room for is dropped as if by a rule.
#[test]
fn a_full_table_of_connections() {
    let (table, most) = ("/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max");
    let number = |path: &str| std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let Some(most) = number(most).filter(|most| has("conntrack") && (1..=1 << 19).contains(most)) else {
        eprintln!("SKIPPED: no conntrack, or a table that is too large to be filled");
        return;
    };
    let Some(scene) = Scene::start(&[]) else { return };
    let folder = Site::new();
    // Such as have been answered: others would make room.
    let flow = |at: u32| {
        let (there, port) = (Ipv4Addr::from_bits(0xC612_0000 + (at >> 15)), 1024 + (at & 0x7FFF)); // 198.18.0.0/15
        format!("-A -p udp -s 198.18.0.1 -d {there} --sport 9 --dport {port} --timeout 600 -u ASSURED,SEEN_REPLY\n")
    };
    let flows = folder.write("flows", &(0..most).map(flow).collect::<String>());
    said("conntrack", &["-R", &flows.display().to_string()]);
    let nft = |rules: &str| drop(said("nft", &[rules]));
    let make = || {
        // Only what is for the wire: the server's own clients and its resolver are on the loopback.
        nft("add table inet t; add chain inet t raw { type filter hook output priority raw; }");
        nft("add chain inet t in { type filter hook prerouting priority raw; }");
        nft("add rule inet t raw oif lo notrack; add rule inet t in iif lo notrack");
        nft("add chain inet t out { type filter hook output priority 0; }; add rule inet t out ct state new accept");
    };
    let lift = || {
        assert_eq!(number(table), Some(most), "it was full all the time");
        assert!(dropped() > 0, "and that was noticed");
        let emptied = harness::command("conntrack").arg("-F").output().expect("it runs"); // it says so where errors are said
        assert!(emptied.status.success(), "{emptied:?}");
        nft("delete table inet t");
    };
    scene.endures(&["probes tell nothing: this host's own rules forbid", "cut off: "], make, lift);
    scene.told(&["trouble forbidden", "trouble_over forbidden", "isolated", "isolation_over"]);
}

/// Packets that the table had no room for.
fn dropped() -> u32 {
    let counted = said("conntrack", &["-S"]);
    counted.split_whitespace().filter_map(|word| word.strip_prefix("drop=")?.parse::<u32>().ok()).sum()
}

#[test]
fn a_stop() {
    stopped_for(Duration::from_secs(4));
}

/// `cargo nextest run --test sight --run-ignored only`
#[test]
#[ignore = "takes more than half a minute"]
fn a_stop_of_half_a_minute() {
    stopped_for(Duration::from_secs(30));
}

fn stopped_for(time: Duration) {
    let Some(scene) = Scene::start(&[]) else { return };
    let make = || {
        scene.server.signal(Signal::STOP);
        std::thread::sleep(time); // this is the trouble
        scene.server.signal(Signal::CONT);
    };
    scene.endures(&["this process did not run for "], make, || ());
    scene.told(&["paused"]);
}

#[test]
fn no_resolver() {
    let Some(scene) = Scene::start(&[]) else { return };
    let signal = |signal| scene.other.signal(signal);
    let words = ["the servers of resolve() are silent", "probes tell nothing: a host name did not resolve"];
    scene.endures(&words, || signal(Signal::STOP), || signal(Signal::CONT));
    scene.told(&["trouble resolver", "trouble_over resolver", "trouble unresolved", "trouble_over unresolved"]);
}

/// The wall clock is the process's own, by libfaketime; what it is set by stands in a file.
#[test]
fn a_clock_that_is_set() {
    let library =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"].map(|path| format!("{path}/faketime/libfaketimeMT.so.1"));
    let Some(library) = library.into_iter().find(|path| std::path::Path::new(path).is_file()) else {
        eprintln!("SKIPPED: libfaketime is not installed");
        return;
    };
    let folder = Site::new();
    let offset = folder.write("offset", "+0\n");
    let set = |text: &str| std::fs::write(&offset, text).expect("written");
    let environment = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let Some(scene) = Scene::start(&environment) else { return };
    let order = |query: &str| harness::http(scene.server.admin, "PUT", &format!("/api/v1/overrides/{query}"));
    // Words with less than the hour left: neither ends early, nor lasts longer for it.
    assert_eq!(order("target/192.0.2.1?state=drain&accept=no_such_target&for=30m").0, 200);
    assert_eq!(order("check/names@10.98.1.1?state=up&for=30m").0, 200);
    let words = || scene.server.get_json("/api/v1/overrides")["overrides"].as_array().map(Vec::len);
    scene.endures(&["the clock was set forward by 3600"], || set("+3600\n"), || assert_eq!(words(), Some(2)));
    scene.endures(&["the clock was set back by 7200"], || set("-3600\n"), || assert_eq!(words(), Some(2)));
    scene.told(&["clock_stepped"]);
}

#[test]
fn a_full_disk() {
    let Some(scene) = Scene::start(&[]) else { return };
    let words = ["what is measured cannot be kept for the next start"];
    scene.endures(&words, || scene.disk.fill(), || scene.disk.free());
    scene.told(&["trouble state", "trouble_over state"]);
}
