//! A real failover with real servers: three nginx, leeward, a thousand queries a second.
//!
//! Asserted: every query is answered, no answer is empty or SERVFAIL, and after each change the right set is given.
//! Printed, not asserted: how long each change took to arrive in the answers (machines are shared and noisy).

#![allow(clippy::disallowed_methods, reason = "tests measure")]

mod harness;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::{Answer, Leeward, Namespace, Nginx, Site, free_port, has, is_root, own_address, query, said, wait_for};
use leeward::wire::RecordType;

/// Queries a second.
const RATE: u64 = 1000;
/// Answers in a row that show a set to be settled.
const SETTLED: usize = 100;

#[test]
fn failover_under_load() {
    if !has("nginx") {
        return;
    }
    let addresses = [own_address(), own_address(), own_address()];
    let port = free_port(&addresses);
    let mut backends: Vec<Nginx> = addresses.iter().map(|&address| Nginx::new((address, port).into())).collect();
    let site = Site::new();
    let list = addresses.map(|address| format!("'{address}'")).join(", ");
    let check = format!("'http://www.example.com:{port}/', {{{list}}}");
    site.write(
        "gslb.test.zone",
        &format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             one LUA A \"ifurlup({check}, {{interval=1, timeout=1}})\"\n\
             all LUA A \"ifurlup({check}, {{interval=1, timeout=1, selector='all', backupSelector='random'}})\"\n"
        ),
    );
    let server = Leeward::start(&site.config(&["gslb.test"], ""));
    let load = Load::start(server.dns);
    let set = |numbers: &[usize]| numbers.iter().map(|&number| addresses[number]).collect::<BTreeSet<_>>();

    load.settles_on("all three up", |data| *data == set(&[0, 1, 2]));

    let stopped = backends[0].stop();
    load.settles_on("the second and third", |data| *data == set(&[1, 2]));
    load.print("stop one -> last answer that names it", load.last_with(addresses[0]).duration_since(stopped));

    let started = backends[0].start();
    load.settles_on("all three again", |data| *data == set(&[0, 1, 2]));
    load.print("start -> first answer that names it", load.first_with(addresses[0], started).duration_since(started));

    let stopped = backends.iter_mut().map(Nginx::stop).max().expect("three");
    all_are(&server, "down"); // one address would also be the answer while one is still up
    load.settles_on("one of all, by backupSelector", |data| data.len() == 1);
    load.print("stop all -> last whole set", load.last_of_many().duration_since(stopped));

    let started = backends.iter_mut().map(Nginx::start).max().expect("three");
    all_are(&server, "up");
    load.settles_on("all three at last", |data| *data == set(&[0, 1, 2]));
    load.print("start all -> first whole set", load.first_whole(3, started).duration_since(started));

    let (asked, answered, bad) = load.stop();
    println!("asked {asked}, answered {answered}, empty or not NOERROR: {bad:?}");
    assert_eq!(asked, answered, "every query is answered");
    assert!(bad.is_empty(), "no empty and no failed answer: {bad:?}");
    metrics_tell_the_story(&server, asked);
    assert!(server.stop(), "it stops in good order");
}

/// Nobody can tell our own lost way out from six dead targets in two networks; so nothing is withdrawn until one is heard.
#[test]
fn being_cut_off_withdraws_nothing() {
    let ours = [own_address(), own_address(), own_address()];
    let addresses = ours.iter().flat_map(|&near| {
        let [a, b, c, d] = near.octets();
        [near, Ipv4Addr::new(a, b + 64, c, d)]
    });
    let addresses: Vec<Ipv4Addr> = addresses.collect();
    let port = free_port(&addresses);
    let listen = |address: Ipv4Addr| {
        let listener = TcpListener::bind((address, port)).expect("free");
        listener.set_nonblocking(true).expect("a socket");
        listener
    };
    let mut listeners: Vec<TcpListener> = addresses.iter().copied().map(listen).collect();
    let site = Site::new();
    let list: Vec<String> = addresses.iter().map(|address| format!("'{address}'")).collect();
    site.write(
        "gslb.test.zone",
        &format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             all LUA A \"ifportup({port}, {{{}}}, {{interval=0.5, timeout=0.4, selector='all'}})\"\n",
            list.join(", ")
        ),
    );
    let server = Leeward::start(&site.config(&["gslb.test"], ""));
    let isolated = || server.get_json("/api/v1/status")["isolated_since"].is_string();
    let given = || server.ask("all.gslb.test", RecordType::A).data;
    all_are(&server, "up");
    assert!(!isolated());

    listeners.clear();
    wait_for("isolation", || isolated().then_some(()));
    wait_for("what went down before it was clear", || (given().len() == 6).then_some(()));
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        assert_eq!(given().len(), 6, "all are held");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.metric("leeward_isolated"), Some(1.0));

    listeners.push(listen(addresses[4]));
    wait_for("the end of isolation", || (!isolated()).then_some(()));
    wait_for("the only one", || (given() == [addresses[4].to_string()]).then_some(()));
    let events = server.get_json("/api/v1/events");
    let kinds: Vec<&str> =
        events["events"].as_array().expect("a list").iter().filter_map(|event| event["kind"].as_str()).collect();
    let told: Vec<_> = kinds.iter().filter(|kind| kind.starts_with("isolat")).collect();
    assert_eq!(told, [&"isolated", &"isolation_over"]);
}

/// A process that takes connections, until it is killed.
struct Backend(Child);

impl Backend {
    fn start(address: Ipv4Addr, port: u16) -> Self {
        const LISTEN: &str = "import socket, sys\ns = socket.create_server((sys.argv[1], int(sys.argv[2])))\nheld = []\nwhile True: held.append(s.accept()[0])";
        let child = Command::new("python3").args(["-c", LISTEN, &address.to_string(), &port.to_string()]).spawn();
        Self(child.expect("python3 starts"))
    }

    fn listens(&self, address: Ipv4Addr, port: u16) {
        wait_for("a backend", || TcpStream::connect((address, port)).ok());
    }

    fn crash(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _it_may_be_gone = self.0.kill();
        let _likewise = self.0.wait();
    }
}

/// From kill -9 of a target's process to the first answer without it, printed. `LEEWARD_FAILOVERS=200 cargo nextest run --test
/// failover -E 'test(crash)' --no-capture` does it as often as that.
#[test]
fn a_crash_is_noticed_by_the_next_probe() {
    crashes("interval=1, timeout=1");
}

/// The same with a tripwire: by probes alone, an hour apart, it would take longer than a test may.
#[test]
fn a_crash_trips_a_wire() {
    crashes("interval=3600, timeout=1, tripwire='true'");
}

/// What a target sees of us: connections so far, and those that are open.
#[derive(Clone, Default)]
struct Visits {
    all: Arc<AtomicU64>,
    open: Arc<AtomicU64>,
}

impl Visits {
    fn count(listener: TcpListener) -> Self {
        let visits = Self::default();
        let counted = visits.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.open.fetch_add(1, Ordering::SeqCst);
                counted.all.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&counted.open);
                std::thread::spawn(move || {
                    let _its_end = std::io::copy(&mut &stream, &mut std::io::sink());
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        visits
    }

    fn come_to(&self, all: u64, open: u64) {
        let seen = || (self.all.load(Ordering::SeqCst), self.open.load(Ordering::SeqCst));
        wait_for(&format!("{open} open of {all} connections"), || (seen() == (all, open)).then_some(()));
    }
}

#[test]
fn a_tripwire_follows_a_reload() {
    let address = own_address();
    let listener = TcpListener::bind((address, 0)).expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let visits = Visits::count(listener);
    let site = Site::new();
    let zone = |tripwire: bool| {
        let records = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n";
        let options = format!("interval=3600, tripwire='{tripwire}'");
        site.write("gslb.test.zone", &format!("{records}www LUA A \"ifportup({port}, {{'{address}'}}, {{{options}}})\"\n"));
    };
    zone(true);
    let server = Leeward::start(&site.config(&["gslb.test"], ""));
    visits.come_to(2, 1); // the probe, which has gone, and the wire
    zone(false);
    assert_eq!(server.post("/api/v1/reload").0, 200);
    visits.come_to(2, 0);
    zone(true);
    assert_eq!(server.post("/api/v1/reload").0, 200);
    visits.come_to(3, 1); // at once, for it is known to pass
    assert!(server.stop());
}

fn crashes(options: &str) {
    let times = std::env::var("LEEWARD_FAILOVERS").ok().and_then(|times| times.parse().ok()).unwrap_or(10);
    let addresses = [own_address(), own_address()];
    let port = free_port(&addresses);
    let mut crashing = Backend::start(addresses[0], port);
    let staying = Backend::start(addresses[1], port);
    staying.listens(addresses[1], port); // with a long interval nobody would look a second time
    let site = Site::new();
    let list = addresses.map(|address| format!("'{address}'")).join(", ");
    site.write(
        "gslb.test.zone",
        &format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             all LUA A \"ifportup({port}, {{{list}}}, {{selector='all', {options}}})\"\n"
        ),
    );
    let config = site.config(&["gslb.test"], "[health]\nrestore_max_age = \"0s\"\n");
    let mut server = Leeward::start(&config);
    let mut random = fastrand::Rng::with_seed(7);
    let mut took = Vec::new();
    for _ in 0..times {
        let names = |server: &Leeward, count: usize| {
            wait_for("the answers to follow", || (server.ask("all.gslb.test", RecordType::A).data.len() == count).then_some(()));
        };
        if options.contains("tripwire") {
            // Nobody would look for long whether it is back: a server that starts looks.
            assert!(server.stop());
            crashing.listens(addresses[0], port);
            server = Leeward::start(&config);
        }
        names(&server, 2);
        std::thread::sleep(Duration::from_millis(random.u64(100..1000))); // anywhere between two probes
        let killed = Instant::now();
        crashing.crash();
        names(&server, 1);
        took.push(killed.elapsed());
        crashing = Backend::start(addresses[0], port);
    }
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)].as_millis();
    println!("{times} crashes, {options}: noticed within median {} ms, p99 {} ms, worst {} ms", at(50), at(99), at(100));
}

/// From the moment at which a target's packets begin to vanish to the first answer without it, printed. It cannot be sooner than
/// the time limit of a probe, and should not be later than interval, time limit and 200 ms.
#[test]
fn a_black_hole_is_noticed_by_the_next_probe() {
    black_holes(2);
}

/// `cargo nextest run --test failover --run-ignored only --no-capture`
#[test]
#[ignore = "takes more than a minute"]
fn twenty_black_holes() {
    black_holes(20);
}

fn black_holes(rounds: usize) {
    if !is_root() || !["ip", "nft"].into_iter().all(has) {
        return;
    }
    let space = Namespace::new("hole");
    space.enter();
    let addresses = [Ipv4Addr::new(127, 1, 1, 1), Ipv4Addr::new(127, 1, 2, 1)];
    for address in addresses {
        let listener = TcpListener::bind((address, 80)).expect("free");
        std::thread::spawn(move || listener.incoming().for_each(drop));
    }
    let nft = |rules: &str| drop(said("nft", &[rules]));
    nft("add table inet hole; add set inet hole gone { type ipv4_addr; }");
    nft("add chain inet hole in { type filter hook input priority 0; }; add rule inet hole in ip daddr @gone drop");
    let site = Site::new();
    let list = addresses.map(|address| format!("'{address}'")).join(", ");
    site.write(
        "gslb.test.zone",
        &format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             all LUA A \"ifportup(80, {{{list}}}, {{selector='all', interval=1, timeout=1}})\"\n"
        ),
    );
    let server = Leeward::start(&site.config(&["gslb.test"], ""));
    let [vanishing, staying] = addresses.map(|address| address.to_string());
    let becomes = |wanted: &[&String]| {
        wait_for("the answers to follow", || {
            let data = server.ask("all.gslb.test", RecordType::A).data;
            assert!(data.contains(&staying), "{data:?}");
            data.iter().eq(wanted.iter().copied()).then_some(())
        });
    };
    let mut random = fastrand::Rng::with_seed(7);
    let mut took = Vec::new();
    for _ in 0..rounds {
        becomes(&[&vanishing, &staying]);
        std::thread::sleep(Duration::from_millis(random.u64(100..1100))); // anywhere between two probes
        let vanished = Instant::now();
        nft(&format!("add element inet hole gone {{ {vanishing} }}"));
        becomes(&[&staying]);
        took.push(vanished.elapsed());
        nft(&format!("delete element inet hole gone {{ {vanishing} }}"));
    }
    took.sort_unstable();
    let limit = Duration::from_millis(1000 + 1000 + 200);
    let late = took.iter().filter(|&&took| took > limit).count();
    let (median, worst) = (took[rounds / 2].as_millis(), took[rounds - 1].as_millis());
    println!(
        "{rounds} black holes, interval and timeout 1 s: noticed within median {median} ms, worst {worst} ms; {late} later than {} ms",
        limit.as_millis()
    );
}

/// Waits until the server has seen every target up, or down.
fn all_are(server: &Leeward, status: &str) {
    wait_for(status, || {
        let checks = server.get_json("/api/v1/checks");
        checks["checks"].as_array().expect("a list").iter().all(|check| check["status"] == status).then_some(())
    });
}

/// Point by point what happened above, from /metrics alone.
fn metrics_tell_the_story(server: &Leeward, asked: u64) {
    let answered = server.metric("leeward_queries_total{zone=\"gslb.test.\",transport=\"udp\",rcode=\"NOERROR\"}");
    assert_eq!(answered, Some(asked as f64), "every query is counted, once");
    let (_, text) = server.get("/metrics");
    let of = |start: &str| text.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    let value = |line: &&str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a value");
    let up = of("leeward_check_status{").into_iter().filter(|line| line.contains("status=\"up\"")).map(|line| value(&line));
    assert_eq!(up.collect::<Vec<_>>(), [1.0; 3], "all three are up");
    let transitions: f64 = of("leeward_check_transitions_total{").iter().map(value).sum();
    assert_eq!(transitions, 3.0 + 2.0 * 4.0, "three first results, then one down and up, then three down and up");
    assert_eq!(of("leeward_failover_seconds_count").first().map(value), Some(4.0), "four targets were taken out");
    assert!(of("leeward_generation ").first().map(value) >= Some(3.0), "{text}");
    if has("promtool") {
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = promtool.spawn().expect("promtool starts");
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), text.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}");
    }
}

/// One answer for `all`, and when it came.
#[derive(Clone)]
struct Seen {
    at: Instant,
    data: BTreeSet<Ipv4Addr>,
}

/// A steady load: half the queries for `one`, half for `all`.
struct Load {
    asked: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<Seen>>>,
    bad: Arc<Mutex<Vec<Answer>>>,
    answered: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
    /// Whether all has been asked.
    ended: Arc<AtomicBool>,
    asker: std::thread::JoinHandle<()>,
    listener: std::thread::JoinHandle<()>,
}

impl Load {
    fn start(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(server).expect("connected");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("option");
        let [asked, answered] = [0; 2].map(|_| Arc::new(AtomicU64::new(0)));
        let (seen, bad) = (Arc::default(), Arc::default());
        let [ending, ended] = [false; 2].map(|flag| Arc::new(AtomicBool::new(flag)));
        let asker = {
            let (socket, asked, ending) = (socket.try_clone().expect("cloned"), Arc::clone(&asked), Arc::clone(&ending));
            std::thread::spawn(move || ask_steadily(&socket, &asked, &ending))
        };
        let listener = {
            let (asked, answered) = (Arc::clone(&asked), Arc::clone(&answered));
            let (seen, bad, ended) = (Arc::clone(&seen), Arc::clone(&bad), Arc::clone(&ended));
            std::thread::spawn(move || listen(&socket, &asked, &answered, &seen, &bad, &ended))
        };
        Self { asked, seen, bad, answered, ending, ended, asker, listener }
    }

    /// Waits until the last answers for `all` are all as wanted.
    fn settles_on(&self, what: &str, wanted: impl Fn(&BTreeSet<Ipv4Addr>) -> bool) {
        let from = self.seen.lock().expect("not poisoned").len();
        wait_for(what, || {
            let seen = self.seen.lock().expect("not poisoned");
            let last = &seen[from.max(seen.len().saturating_sub(SETTLED))..];
            (last.len() == SETTLED && last.iter().all(|seen| wanted(&seen.data))).then_some(())
        });
    }

    fn find_last(&self, wanted: impl Fn(&Seen) -> bool) -> Instant {
        self.seen.lock().expect("not poisoned").iter().rev().find(|seen| wanted(seen)).expect("there was one").at
    }

    fn find_first(&self, after: Instant, wanted: impl Fn(&Seen) -> bool) -> Instant {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().find(|seen| seen.at >= after && wanted(seen)).expect("there was one").at
    }

    fn last_with(&self, address: Ipv4Addr) -> Instant {
        self.find_last(|seen| seen.data.contains(&address))
    }

    fn last_of_many(&self) -> Instant {
        self.find_last(|seen| seen.data.len() > 1)
    }

    fn first_with(&self, address: Ipv4Addr, after: Instant) -> Instant {
        self.find_first(after, |seen| seen.data.contains(&address))
    }

    fn first_whole(&self, size: usize, after: Instant) -> Instant {
        self.find_first(after, |seen| seen.data.len() == size)
    }

    fn print(&self, what: &str, took: Duration) {
        println!("{what}: {} ms", took.as_millis());
    }

    /// Stops asking and waits for the answers that are still to come: asked, answered, bad.
    fn stop(self) -> (u64, u64, Vec<Answer>) {
        self.ending.store(true, Ordering::Relaxed);
        self.asker.join().expect("no panic");
        self.ended.store(true, Ordering::Relaxed);
        self.listener.join().expect("no panic");
        let bad = self.bad.lock().expect("not poisoned").clone();
        (self.asked.load(Ordering::Relaxed), self.answered.load(Ordering::Relaxed), bad)
    }
}

fn ask_steadily(socket: &UdpSocket, asked: &AtomicU64, ending: &AtomicBool) {
    let questions = ["one.gslb.test", "all.gslb.test"].map(|name| query(name, RecordType::A, None));
    let start = Instant::now();
    for number in 0.. {
        if ending.load(Ordering::Relaxed) {
            return;
        }
        let due = start + Duration::from_nanos(number * 1_000_000_000 / RATE);
        std::thread::sleep(due.saturating_duration_since(Instant::now())); // the pace of the load
        let which = (number % 2) as usize;
        let mut question = questions[which].clone();
        question[1] = which as u8; // the id says which it was
        socket.send(&question).expect("sent");
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

fn listen(
    socket: &UdpSocket,
    asked: &AtomicU64,
    answered: &AtomicU64,
    seen: &Mutex<Vec<Seen>>,
    bad: &Mutex<Vec<Answer>>,
    ended: &AtomicBool,
) {
    let mut buf = [0; 4096];
    let mut idle = 0;
    while !(ended.load(Ordering::Relaxed) && (answered.load(Ordering::Relaxed) == asked.load(Ordering::Relaxed) || idle > 50)) {
        let Ok(len) = socket.recv(&mut buf) else {
            idle += 1;
            continue;
        };
        idle = 0;
        answered.fetch_add(1, Ordering::Relaxed);
        let answer = Answer::of(&buf[..len]);
        if answer.data.is_empty() || answer.rcode != "NOERROR" {
            bad.lock().expect("not poisoned").push(answer);
        } else if buf[1] == 1 {
            let data = answer.data.iter().map(|data| data.parse().expect("an address")).collect();
            seen.lock().expect("not poisoned").push(Seen { at: Instant::now(), data });
        }
    }
}
