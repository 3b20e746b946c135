//! One attack on one server: who runs when, what is looked at, and the judgement.
//!
//! The server is a process of its own with one UDP thread and one for TCP. Attack, client and observer are threads of the
//! test. Memory is looked at before, at its peak, and after the attack has ended and its connections have gone.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::CertificateDer;

use crate::client::{Outcome, ask_in_good_faith, connect_in_good_faith};
use crate::harness::{Leeward, Site, wait_for};
use crate::process;

pub const ZONE: &str = "attack.test";

/// How long an attack lasts.
const ATTACK: Duration = Duration::from_secs(12);
/// How long after its end memory is looked at: time to free what it took, and for the allocator to give it back.
const CALM: Duration = Duration::from_secs(3);
/// The share of queries that must be answered, in per cent.
const TARGET: f64 = 99.0;
/// What a server may take beyond its size at the start and what its configuration allows: the allocator's slack.
const SLACK: f64 = 16.0;

const TLS: &str = "[server.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\ndot = [\"127.0.0.1:0\"]\ndoq = [\"127.0.0.1:0\"]\n";

/// Something that runs until the tally is over.
pub type Attack = Box<dyn FnMut(&Target, &Arc<Tally>) + Send>;

/// Where the server is.
#[derive(Clone)]
pub struct Target {
    pub dns: SocketAddr,
    pub tls: Option<Tls>,
}

impl Target {
    pub fn tls(&self) -> &Tls {
        self.tls.as_ref().expect("a server with TLS")
    }
}

#[derive(Clone)]
pub struct Tls {
    pub dot: SocketAddr,
    pub doq: SocketAddr,
    pub root: CertificateDer<'static>,
}

/// What an attack has done so far.
#[derive(Default)]
pub struct Tally {
    over: AtomicBool,
    sent: AtomicU64,
    octets: AtomicU64,
    got: AtomicU64,
}

impl Tally {
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// So many packets or connections more, and octets.
    pub fn sent(&self, count: usize, octets: usize) {
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
        self.octets.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// A reply of so many octets.
    pub fn got(&self, octets: usize) {
        self.got.fetch_add(octets as u64, Ordering::Relaxed);
    }
}

/// What the configuration lets the server take, in MiB, beyond its size at the start.
#[derive(Clone, Copy)]
pub struct Bound(f64);

impl Bound {
    /// So many connections that hold so many octets each.
    pub fn connections(count: usize, octets: usize) -> Self {
        Self((count * octets) as f64 / f64::from(1 << 20))
    }
}

/// A server, and how it is to be judged.
pub struct Trial {
    name: &'static str,
    server: String,
    more: String,
    bound: Bound,
    on_tcp: bool,
    with_tls: bool,
    threads: usize,
    start_with: Option<u64>,
    lower_to: Option<u64>,
}

impl Trial {
    pub fn new(name: &'static str) -> Self {
        let (server, more) = (String::new(), String::new());
        Self {
            name,
            server,
            more,
            bound: Bound(0.0),
            on_tcp: false,
            with_tls: false,
            threads: 1,
            start_with: None,
            lower_to: None,
        }
    }

    /// With these settings in `[server]`.
    pub fn server(mut self, settings: &str) -> Self {
        self.server += settings;
        self
    }

    /// With these sections.
    pub fn more(mut self, sections: &str) -> Self {
        self.more += sections;
        self
    }

    pub fn bound(mut self, bound: Bound) -> Self {
        self.bound = bound;
        self
    }

    /// New connections are judged too.
    pub fn on_tcp(mut self) -> Self {
        self.on_tcp = true;
        self
    }

    /// With so many UDP threads (and sockets) rather than one.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    pub fn with_tls(mut self) -> Self {
        self.with_tls = true;
        self
    }

    /// The server starts with a limit of so many descriptors.
    pub fn start_with_descriptors(mut self, limit: u64) -> Self {
        self.start_with = Some(limit);
        self
    }

    /// The limit is lowered when the attack is at its height.
    pub fn lower_descriptors_to(mut self, limit: u64) -> Self {
        self.lower_to = Some(limit);
        self
    }

    /// Runs, reports, judges.
    pub fn run(self, attacks: Vec<Attack>) {
        let (_site, mut server, target) = self.start();
        let before = Look::at(&server);
        let tally = Arc::new(Tally::default());
        let begun = Instant::now();
        let attackers: Vec<_> = attacks
            .into_iter()
            .map(|mut attack| {
                let (target, tally) = (target.clone(), Arc::clone(&tally));
                std::thread::spawn(move || attack(&target, &tally))
            })
            .collect();
        let dns = target.dns;
        let asking = std::thread::spawn(move || ask_in_good_faith(dns, ATTACK));
        let stop = Arc::new(AtomicBool::new(false));
        let connecting = self.on_tcp.then(|| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || connect_in_good_faith(dns, &stop))
        });
        let height = self.watch(&server, begun);
        let udp = asking.join().expect("no panic");
        let during = Look::at(&server);
        let lasted = begun.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let tcp = connecting.map(|thread| thread.join().expect("no panic"));
        tally.over.store(true, Ordering::Relaxed);
        attackers.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert!(server.is_alive(), "the server has died");
        if self.lower_to.is_some() || self.start_with.is_some() {
            limit_descriptors(&server, 4096); // so that it can be asked what it has counted
        }
        std::thread::sleep(CALM);
        let peak = process::memory(server.child.id(), "VmHWM").max(height.memory);
        let after = Look::at(&server);
        let results = Results { before, during, after, height, peak, udp, tcp, lasted, tally, counted: counted(&server) };
        self.judge(&results);
    }

    fn start(&self) -> (Site, Leeward, Target) {
        let site = Site::new();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        site.write("cert.pem", &made.cert.pem());
        site.write("key.pem", &made.signing_key.serialize_pem());
        site.write(&format!("{ZONE}.zone"), &zone());
        let tls = if self.with_tls { TLS } else { "" };
        let listen = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nudp_threads = {}\n", self.threads);
        let config = site.config(&[ZONE], &format!("{listen}{}{}{tls}", self.server, self.more));
        let full = getrlimit(Resource::Nofile);
        let limit = self.start_with.or(full.maximum);
        setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: full.maximum }).expect("at most what is allowed");
        let server = Leeward::start(&config);
        setrlimit(Resource::Nofile, Rlimit { current: full.maximum, maximum: full.maximum }).expect("what is allowed");
        let address = |words: &str| wait_for(words, || server.log_line(words)?.rsplit(' ').next()?.parse::<SocketAddr>().ok());
        let root = made.cert.der().clone();
        let tls = self.with_tls.then(|| Tls { dot: address("DoT on "), doq: address("DoQ on "), root });
        let target = Target { dns: server.dns, tls };
        (site, server, target)
    }

    /// Looks on until the attack is nearly over, and lowers the limit on descriptors where that is asked for.
    fn watch(&self, server: &Leeward, begun: Instant) -> Height {
        let mut height = Height::default();
        let mut lowered = false;
        while begun.elapsed() < ATTACK {
            if let Some(limit) = self.lower_to.filter(|_| !lowered && process::descriptors(server.child.id()) > 1000) {
                limit_descriptors(server, limit);
                lowered = true;
            }
            height.rise(server.child.id(), server.dns.port());
            std::thread::sleep(Duration::from_millis(500));
        }
        height
    }

    fn judge(&self, results: &Results) {
        let Results { before, peak, udp, tcp, .. } = results;
        let bound = before.memory + SLACK + self.bound.0;
        let answered = udp.percent() >= TARGET;
        let connected = tcp.is_none_or(|(asked, answered)| 100.0 * answered as f64 >= TARGET * asked as f64);
        let within = *peak <= bound;
        let word = |good: bool, word: &'static str| if good { None } else { Some(word) };
        let misses: Vec<_> =
            [word(answered, "answers"), word(connected, "connections"), word(within, "memory")].into_iter().flatten().collect();
        let verdict = if misses.is_empty() { "PASS".to_owned() } else { format!("FAIL: {}", misses.join(", ")) };
        report(&results.row(self.name, bound, &verdict));
        assert!(misses.is_empty(), "{}: {verdict}", self.name);
    }
}

fn zone() -> String {
    let strings = |count: usize| (0..count).map(|n| format!(" \"{n:0>250}\"")).collect::<String>();
    let names: String = (0..32)
        .map(|n| match n % 2 {
            0 => format!("w{n} A 192.0.2.{n}\n"),
            _ => format!("p{n} LUA A \"pickwhashed({{{{3, '192.0.2.1'}}, {{2, '192.0.2.2'}}, {{1, '192.0.2.3'}}}})\"\n"),
        })
        .collect();
    format!(
        "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n{names}\
         *.dyn LUA A \"pickwhashed({{{{3, '192.0.2.1'}}, {{2, '192.0.2.2'}}}})\"\nbig TXT{}\nhuge TXT{}\n",
        strings(4),
        strings(150)
    )
}

fn limit_descriptors(server: &Leeward, limit: u64) {
    let pid = server.child.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={limit}:")]).status();
    assert!(done.is_ok_and(|status| status.success()), "prlimit (util-linux) is needed");
}

/// The server at a moment.
struct Look {
    memory: f64,
    processor: f64,
    lost: u64,
}

impl Look {
    fn at(server: &Leeward) -> Self {
        let pid = server.child.id();
        let lost = process::datagrams_lost(server.dns.port());
        Self { memory: process::memory(pid, "VmRSS"), processor: process::processor_seconds(pid), lost }
    }
}

/// The most that was seen during the attack.
#[derive(Default)]
struct Height {
    memory: f64,
    descriptors: usize,
    kernel: f64,
    queued: f64,
}

impl Height {
    fn rise(&mut self, pid: u32, port: u16) {
        self.memory = self.memory.max(process::memory(pid, "VmRSS"));
        self.descriptors = self.descriptors.max(process::descriptors(pid));
        self.kernel = self.kernel.max(process::tcp_buffers());
        self.queued = self.queued.max(process::tcp_queued(port));
    }
}

/// All that is known of a trial.
struct Results {
    before: Look,
    during: Look,
    after: Look,
    height: Height,
    peak: f64,
    udp: Outcome,
    tcp: Option<(u64, u64)>,
    lasted: f64,
    tally: Arc<Tally>,
    counted: String,
}

impl Results {
    fn row(&self, name: &str, bound: f64, verdict: &str) -> String {
        let Self { before, during, after, height, peak, udp, .. } = self;
        let tcp = self.tcp.map_or("-".to_owned(), |(asked, answered)| format!("{answered}/{asked}"));
        let processor = 100.0 * (during.processor - before.processor) / self.lasted;
        format!(
            "| {name} | {} | {:.2} | {:.2} / {:.1} / {:.0} | {tcp} | {} | {} | {:.0} / {peak:.0} / {:.0} | {bound:.0} | {:.0} / {:.0} | {} | {processor:.0} | {} | {verdict} |",
            udp.asked,
            udp.percent(),
            udp.quantile(500),
            udp.quantile(990),
            udp.quantile(1000),
            self.attack(),
            during.lost.saturating_sub(before.lost),
            before.memory,
            after.memory,
            height.queued,
            height.kernel,
            height.descriptors,
            self.counted,
        )
    }

    /// What the attack achieved: per second, and octets back per octet sent.
    fn attack(&self) -> String {
        let [sent, octets, got] =
            [&self.tally.sent, &self.tally.octets, &self.tally.got].map(|counter| counter.load(Ordering::Relaxed) as f64);
        let back = if got > 0.0 { format!(", x{:.2} back", got / octets) } else { String::new() };
        format!("{:.0}/s, {:.1} MB/s{back}", sent / self.lasted, octets / self.lasted / 1e6)
    }
}

/// What the server says that has happened: the counters that are not zero.
fn counted(server: &Leeward) -> String {
    const OF_INTEREST: &[&str] =
        &["connections_accepted", "connections_evicted", "connections_refused", "handshakes_failed", "queries", "rate_limited"];
    let (_, text) = server.get("/metrics");
    let of_interest = |line: &&str| {
        let rest = line.strip_prefix("leeward_").unwrap_or("#");
        OF_INTEREST.iter().any(|start| rest.starts_with(start)) && !line.ends_with(" 0")
    };
    let short = |line: &str| line.trim_start_matches("leeward_").replace("_total", "").replace(&format!("zone=\"{ZONE}.\","), "");
    text.lines().filter(of_interest).map(short).collect::<Vec<_>>().join("; ")
}

/// Shows a row, and keeps it where the command wants it.
fn report(row: &str) {
    println!("{row}");
    if let Some(path) = std::env::var_os("LEEWARD_ATTACK_REPORT") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| writeln!(file, "{row}")).expect("the report can be written");
    }
}
