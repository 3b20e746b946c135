//! Three regions, each with a node and two targets, and the ways between them broken one by one: every process is real, and
//! every region has network namespaces of its own.
//!
//! Node and targets of each region hang on a router, in whose namespace the test is; what it forwards is what an nftables chain
//! lets through. Each node is asked from within its own namespace, so that whoever is cut off can be asked nevertheless. Delay
//! is made by relays between the nodes, for want of a queueing discipline that has it in every kernel.
//!
//! Every node is asked every 100 ms from the beginning to the end of a scenario, and what is asserted is what became of its
//! answers: which sets, in which order. How long anything took is printed, and never judged.
//!
//! A node that is cut off goes on naming the targets of its own region, which nobody else can see: it cannot know that, and for
//! whoever can still ask it they are there. That no answer names what the majority sees dead holds for nodes that hear it.

#![allow(clippy::disallowed_methods, reason = "tests measure")]

mod harness;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::{Answer, Leeward, Namespace, Site, has, http, is_root, query, said, wait_for};
use leeward::wire::RecordType;
use serde_json::Value;

const ZONE: &str = "g.test";
const NODES: [usize; 3] = [0, 1, 2];
/// Where each node hears the others.
const PEERS_PORT: u16 = 8054;
/// From one question to the next, to each node.
const ASKED_EVERY: Duration = Duration::from_millis(100);
/// Answers of each node that are looked at after a fault has shown: three seconds, in which each target is probed six times.
const WHILE: usize = 30;

/// Of addresses.
type Names = BTreeSet<String>;

fn node_address(region: usize) -> Ipv4Addr {
    host(10 + region, 1)
}

fn targets_of(region: usize) -> [Ipv4Addr; 2] {
    [host(20 + region, 1), host(20 + region, 2)]
}

fn host(network: usize, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 97, u8::try_from(network).expect("small"), host)
}

/// The network of a region's targets.
fn site(region: usize) -> String {
    format!("{}/24", host(20 + region, 0))
}

/// All that is in a region.
fn whole(region: usize) -> String {
    format!("{{ {}, {} }}", node_address(region), site(region))
}

fn all_targets() -> Names {
    NODES.into_iter().flat_map(targets_of).map(|target| target.to_string()).collect()
}

fn all_but(gone: &[Ipv4Addr]) -> Names {
    let mut names = all_targets();
    gone.iter().for_each(|gone| assert!(names.remove(&gone.to_string())));
    names
}

// -------- the network

/// The router's namespace, in which the test is from now on, and those of the nodes and of the targets.
struct Net {
    nodes: Vec<Namespace>,
    sites: Vec<Namespace>,
    _router: Namespace,
}

impl Net {
    fn new(scenario: &str) -> Self {
        let space = |name: &str, region: usize| Namespace::new(&format!("{scenario}-{name}{region}"));
        let router = Namespace::new(&format!("{scenario}-router"));
        let nodes: Vec<_> = NODES.map(|region| space("node", region)).into();
        let sites: Vec<_> = NODES.map(|region| space("site", region)).into();
        for region in NODES {
            wire(&router, &nodes[region], 10 + region, &[node_address(region)]);
            wire(&router, &sites[region], 20 + region, &targets_of(region));
        }
        router.enter();
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a router");
        nft("add table ip ways; add chain ip ways between { type filter hook forward priority 0; }");
        Self { nodes, sites, _router: router }
    }

    /// What becomes of packets on their way in one direction.
    fn treat(&self, from: &str, to: &str, how: &str) {
        nft(&format!("add rule ip ways between ip saddr {from} ip daddr {to} {how}"));
    }

    fn treat_both_ways(&self, one: &str, other: &str, how: &str) {
        self.treat(one, other, how);
        self.treat(other, one, how);
    }

    /// Nothing gets in there, and nothing out.
    fn cut_off(&self, there: &str) {
        self.treat(there, &format!("!= {there}"), "drop");
        self.treat(&format!("!= {there}"), there, "drop");
    }

    fn heal(&self) -> Instant {
        nft("flush chain ip ways between");
        Instant::now()
    }
}

fn wire(router: &Namespace, space: &Namespace, network: usize, hosts: &[Ipv4Addr]) {
    let (router, space, gateway) = (&router.name, &space.name, host(network, 254));
    ip(&format!("-n {router} link add wire{network} type veth peer name wire netns {space}"));
    ip(&format!("-n {router} address add {gateway}/24 dev wire{network}"));
    ip(&format!("-n {router} link set wire{network} up"));
    hosts.iter().for_each(|host| ip(&format!("-n {space} address add {host}/24 dev wire")));
    ip(&format!("-n {space} link set wire up"));
    ip(&format!("-n {space} route add default via {gateway}"));
}

fn ip(args: &str) {
    said("ip", &args.split(' ').collect::<Vec<_>>());
}

fn nft(rules: &str) {
    said("nft", &[rules]);
}

/// Does something there; what it opens and starts stays there.
fn inside<T: Send>(space: &Namespace, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            space.enter();
            act()
        });
        there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

// -------- targets

/// A web server, for the life of the test.
struct Target {
    address: Ipv4Addr,
    dead: Arc<AtomicBool>,
}

impl Target {
    fn start(there: &Namespace, address: Ipv4Addr) -> Self {
        let listener = inside(there, || TcpListener::bind((address, 80)).expect("bound"));
        let dead = Arc::new(AtomicBool::new(false));
        let gone = Arc::clone(&dead);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if !gone.load(Ordering::SeqCst) {
                    well(stream);
                }
            }
        });
        Self { address, dead }
    }

    fn die(&self) -> Instant {
        self.dead.store(true, Ordering::SeqCst);
        Instant::now()
    }
}

fn well(mut stream: TcpStream) {
    let _it_may_be_silent = stream.set_read_timeout(Some(Duration::from_secs(1)));
    if stream.read(&mut [0; 2048]).is_ok_and(|len| len > 0) {
        let _it_may_be_gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}

// -------- nodes

/// A node: its files, and the process while it runs.
struct Node {
    at: usize,
    files: Site,
    config: PathBuf,
    process: Option<Leeward>,
    killed: bool,
}

/// How the nodes of a scenario are set up.
struct Setting {
    /// `[peers] interval`.
    interval: Duration,
    /// Whether they reach each other by relays.
    relayed: bool,
    /// More of the configuration.
    more: &'static str,
}

impl Default for Setting {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), relayed: false, more: "" }
    }
}

/// Where ways are long. A message in a new connection takes four times the way, and has an interval for that; who begins says
/// hello and something else, and is then told in the same manner.
const FAR: Setting = Setting { interval: Duration::from_secs(3), relayed: true, more: "[health]\nstartup_wait = \"20s\"\n" };

impl Node {
    fn new(at: usize, setting: &Setting) -> Self {
        let files = Site::new();
        let key = files.write("fleet.key", "a secret that all nodes of this test share\n");
        std::fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("own file");
        let list: Vec<String> = all_targets().iter().map(|target| format!("'{target}'")).collect();
        files.write(
            &format!("{ZONE}.zone"),
            &format!(
                "$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n\
                 www LUA A \"ifportup(80, {{ {} }}, {{ check='web', selector='all' }})\"\n",
                list.join(", ")
            ),
        );
        let (own, interval, more) = (node_address(at), setting.interval.as_millis(), setting.more);
        let peers: String = NODES.into_iter().map(|peer| peer_of(at, peer, setting.relayed)).collect();
        let config = files.config(
            &[ZONE],
            &format!(
                "[node]\nname = \"n{at}\"\nstate_dir = \"state\"\n[server]\nlisten = [\"127.0.0.1:53\"]\nudp_threads = 1\n\
                 [peers]\nlisten = \"{own}:{PEERS_PORT}\"\nsecret_files = [\"fleet.key\"]\ninterval = \"{interval}ms\"\n{peers}\
                 [check.web]\nkind = \"http\"\ninterval = \"500ms\"\ntimeout = \"500ms\"\nretry_interval = \"500ms\"\n\
                 fall = 3\nrise = 1\n{more}"
            ),
        );
        Self { at, files, config, process: None, killed: false }
    }

    fn launch(&mut self, there: &Namespace) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeward"));
        command.args(["serve", "--config"]).arg(&self.config).current_dir(self.files.dir.path());
        self.process = Some(inside(there, || Leeward::launch_by(command)));
    }

    fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.child.kill().expect("killed");
        process.child.wait().expect("ended");
        self.killed = true;
    }

    fn process(&self) -> &Leeward {
        self.process.as_ref().expect("it runs")
    }

    fn get(&self, net: &Net, path: &str) -> Value {
        let (_, body) = inside(&net.nodes[self.at], || http(self.process().admin, "GET", path));
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }
}

/// What one node is told about another, which may be itself.
fn peer_of(node: usize, peer: usize, relayed: bool) -> String {
    let (address, port) = if relayed && node != peer { relay(node, peer) } else { (node_address(peer), PEERS_PORT) };
    format!("[peer.n{peer}]\nurl = \"http://{address}:{port}\"\nregion = \"r{peer}\"\n")
}

// -------- relays

/// Where the relay is by which one node tells another.
fn relay(from: usize, to: usize) -> (Ipv4Addr, u16) {
    (host(10 + from, 254), 9000 + u16::try_from(to).expect("small"))
}

/// How long ways take that relays make.
#[derive(Default)]
struct Delay {
    milliseconds: AtomicU64,
    /// What has come through that had to wait.
    delayed: AtomicUsize,
}

impl Delay {
    fn set(&self, milliseconds: u64) {
        self.milliseconds.store(milliseconds, Ordering::SeqCst);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.milliseconds.load(Ordering::SeqCst))
    }
}

/// A way for TCP that takes so long, in each direction.
fn start_relay(from: usize, to: usize, delay: &Arc<Delay>) {
    let listener = TcpListener::bind(relay(from, to)).expect("bound");
    let delay = Arc::clone(delay);
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let delay = Arc::clone(&delay);
            std::thread::spawn(move || {
                // The handshake of the one who calls goes there and back.
                std::thread::sleep(2 * delay.get());
                let Ok(far) = TcpStream::connect((node_address(to), PEERS_PORT)) else { return };
                let (near_too, far_too) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
                carry(near, far, Arc::clone(&delay));
                carry(far_too, near_too, delay);
            });
        }
    });
}

/// What comes in from one goes out to the other, in order, later.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Arc<Delay>) {
    let (way, end) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut octets = vec![0; 1 << 16];
        while let Ok(len) = from.read(&mut octets) {
            let late = delay.get();
            if way.send((Instant::now() + late, octets[..len].to_vec())).is_err() || len == 0 {
                break;
            }
            delay.delayed.fetch_add(usize::from(!late.is_zero()), Ordering::SeqCst);
        }
    });
    std::thread::spawn(move || {
        for (there, octets) in end {
            std::thread::sleep(there.saturating_duration_since(Instant::now()));
            if octets.is_empty() || to.write_all(&octets).is_err() {
                break;
            }
        }
        let _it_may_be_gone = to.shutdown(Shutdown::Write);
    });
}

// -------- what is answered

/// Asks every node, every 100 ms.
struct Watch {
    seen: Vec<Arc<Mutex<Vec<Seen>>>>,
    ending: Arc<AtomicBool>,
    askers: Vec<JoinHandle<()>>,
}

/// When somebody was asked, and what a node named, if it was there.
struct Seen {
    at: Instant,
    named: Option<Names>,
}

impl Watch {
    fn start(net: &Net) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let seen: Vec<Arc<Mutex<Vec<Seen>>>> = NODES.map(|_| Arc::default()).into();
        let asker = |node: usize| {
            let (seen, ending, asked) = (Arc::clone(&seen[node]), Arc::clone(&ending), Asked::new(&net.nodes[node]));
            std::thread::spawn(move || {
                while !ending.load(Ordering::SeqCst) {
                    let at = Instant::now();
                    let named = asked.ask();
                    seen.lock().expect("sound").push(Seen { at, named });
                    std::thread::sleep(ASKED_EVERY.saturating_sub(at.elapsed())); // the pace of the questions
                }
            })
        };
        let askers = NODES.map(asker).into();
        Self { seen, ending, askers }
    }

    /// What a node named last, and when it was asked.
    fn last(&self, node: usize) -> Option<(Instant, Names)> {
        let seen = self.seen[node].lock().expect("sound");
        let last = seen.last()?;
        Some((last.at, last.named.clone()?))
    }

    /// Waits for so many more answers of each node.
    fn more(&self, count: usize) {
        let len = |node: usize| self.seen[node].lock().expect("sound").len();
        let from = NODES.map(len);
        wait_for("more answers", || NODES.iter().all(|&node| len(node) >= from[node] + count).then_some(()));
    }

    /// The sets that a node named since, one after the other.
    fn story(&self, node: usize, since: Instant) -> Vec<Names> {
        let seen = self.seen[node].lock().expect("sound");
        assert!(!self.askers[node].is_finished(), "who asks n{node} has failed");
        let mut story: Vec<Names> = seen.iter().filter(|seen| seen.at >= since).filter_map(|seen| seen.named.clone()).collect();
        story.dedup();
        story
    }

    /// Questions that a node left unanswered.
    fn unanswered(&self, node: usize) -> usize {
        self.seen[node].lock().expect("sound").iter().filter(|seen| seen.named.is_none()).count()
    }

    /// Waits until these nodes have named these since, and nothing else after; when the last of them did.
    fn wait_until(&self, nodes: &[usize], since: Instant, names: &Names) -> Instant {
        let name = |&node: &usize| self.last(node).filter(|(at, named)| *at >= since && named == names).map(|(at, _)| at);
        wait_for(&format!("{nodes:?} name {names:?}"), || nodes.iter().map(name).collect::<Option<Vec<_>>>()?.into_iter().max())
    }

    /// These nodes have named nothing else since.
    fn unchanged(&self, nodes: &[usize], since: Instant, names: &Names) {
        for &node in nodes {
            assert_eq!(self.story(node, since), std::slice::from_ref(names), "n{node}");
        }
    }

    /// What these nodes have withdrawn since, until they named only these, they have not named again.
    fn only_withdrawn(&self, nodes: &[usize], since: Instant, names: &Names) {
        for &node in nodes {
            let story = self.story(node, since);
            assert!(
                story.windows(2).all(|pair| pair[1].is_subset(&pair[0])) && story.last() == Some(names),
                "n{node}: {story:?}"
            );
        }
    }

    /// These nodes have named all of these in every answer since.
    fn always_named(&self, nodes: &[usize], since: Instant, names: &Names) {
        for &node in nodes {
            let story = self.story(node, since);
            assert!(story.iter().all(|named| named.is_superset(names)), "n{node}: {story:?}");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        for asker in self.askers.drain(..) {
            let _it_said_what_it_saw = asker.join();
        }
    }
}

/// Whom to ask.
struct Asked(UdpSocket);

impl Asked {
    /// From the node's own namespace.
    fn new(there: &Namespace) -> Self {
        let socket = inside(there, || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.connect("127.0.0.1:53").expect("connected");
            socket
        });
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
        Self(socket)
    }

    /// What is named; `None`: nobody is there.
    fn ask(&self) -> Option<Names> {
        self.0.send(&query(&format!("www.{ZONE}"), RecordType::A, None)).ok()?;
        let mut reply = [0; 4096];
        let len = self.0.recv(&mut reply).ok()?;
        let answer = Answer::of(&reply[..len]);
        assert_eq!(answer.rcode, "NOERROR");
        Some(answer.data.into_iter().collect())
    }
}

// -------- a scenario

/// Three nodes that hear each other and see every target, and are watched.
struct Scene {
    watch: Watch,
    nodes: Vec<Node>,
    targets: Vec<Target>,
    delay: Arc<Delay>,
    interval: Duration,
    begun: Instant,
    net: Net,
}

impl Scene {
    /// `None`: the machine cannot have one.
    fn start(scenario: &str, setting: &Setting) -> Option<Self> {
        (is_root() && ["ip", "nft"].into_iter().all(has)).then(|| Self::set(scenario, setting))
    }

    fn set(scenario: &str, setting: &Setting) -> Self {
        let net = Net::new(scenario);
        let start_target = |region: usize| targets_of(region).map(|target| Target::start(&net.sites[region], target));
        let targets = NODES.into_iter().flat_map(start_target).collect();
        let delay = Arc::default();
        for (from, to) in NODES.into_iter().flat_map(|from| NODES.map(|to| (from, to))).filter(|(from, to)| from != to) {
            start_relay(from, to, &delay);
        }
        let mut nodes: Vec<Node> = NODES.map(|at| Node::new(at, setting)).into();
        nodes.iter_mut().for_each(|node| node.launch(&net.nodes[node.at]));
        nodes.iter_mut().filter_map(|node| node.process.as_mut()).for_each(Leeward::wait_until_open);
        let watch = Watch::start(&net);
        let mut scene = Self { watch, nodes, targets, delay, interval: setting.interval, begun: Instant::now(), net };
        scene.agree(scene.begun, &all_targets());
        scene.begun = Instant::now();
        scene.watch.more(1);
        scene
    }

    fn target(&self, address: Ipv4Addr) -> &Target {
        self.targets.iter().find(|target| target.address == address).expect("there")
    }

    /// Waits until that node's own probes call these targets so.
    fn sees(&self, node: usize, targets: &[Ipv4Addr], own: &str) {
        wait_for(&format!("n{node} sees {targets:?} {own}"), || {
            let form = self.nodes[node].get(&self.net, "/api/v1/checks");
            let checks = form["checks"].as_array().expect("a list");
            let is_so = |target: &Ipv4Addr| {
                let target = format!("{target}:80");
                checks.iter().any(|check| check["target"] == *target && check["own"] == own)
            };
            targets.iter().all(is_so).then_some(())
        });
    }

    /// Waits until each of these pairs is so: a node, a peer, and in a word how that peer is to it.
    fn hears(&self, pairs: &[(usize, usize)], state: &str) {
        let is_so = |&(node, peer): &(usize, usize)| self.state(node, peer) == state;
        wait_for(&format!("{pairs:?} {state}"), || pairs.iter().all(is_so).then_some(()));
    }

    fn state(&self, node: usize, peer: usize) -> String {
        let form = self.nodes[node].get(&self.net, "/api/v1/peers");
        let peers = form["peers"].as_array().expect("a list").iter();
        let found = peers.clone().find(|form| form["peer"] == *format!("n{peer}"));
        found.and_then(|form| form["state"].as_str()).expect("known").to_owned()
    }

    /// Whether a node hears all others, and each says of every target what it sees itself.
    fn is_at_one(&self, node: usize) -> bool {
        let form = self.nodes[node].get(&self.net, "/api/v1/peers");
        let peers = form["peers"].as_array().expect("a list");
        let agreed = form["disagreements"].as_array().is_none_or(Vec::is_empty);
        agreed && peers.len() == NODES.len() - 1 && peers.iter().all(|peer| peer["state"] == "heard")
    }

    /// Waits until all nodes name these, hear each other, and see the same; says how long that took.
    fn agree(&self, since: Instant, names: &Names) {
        let named = self.watch.wait_until(&NODES, since, names) - since;
        wait_for("nodes that are at one", || NODES.iter().all(|&node| self.is_at_one(node)).then_some(()));
        let intervals = |time: Duration| time.as_secs_f64() / self.interval.as_secs_f64();
        let at_one = since.elapsed();
        println!("same answers after {:.2} intervals, at one after {:.2}", intervals(named), intervals(at_one));
        self.watch.more(1);
        self.watch.wait_until(&NODES, since + at_one, names);
        for node in self.nodes.iter().filter(|node| !node.killed) {
            assert_eq!(self.watch.unanswered(node.at), 0, "n{} is there all the time", node.at);
        }
    }

    /// A target dies, and these nodes withdraw it, and nothing else.
    fn withdraw_the_dead(&self, nodes: &[usize], dead: Ipv4Addr) {
        let died = self.target(dead).die();
        let names = all_but(&[dead]);
        for &node in nodes {
            println!("n{node} withdraws the dead after {:.1?}", self.watch.wait_until(&[node], died, &names) - died);
        }
        self.watch.only_withdrawn(nodes, died, &names);
    }
}

#[test]
fn a_way_between_two_sites() {
    let Some(scene) = Scene::start("way", &Setting::default()) else { return };
    scene.net.treat_both_ways(&node_address(0).to_string(), &site(1), "drop");
    scene.sees(0, &targets_of(1), "down");
    scene.watch.more(WHILE);
    scene.watch.unchanged(&NODES, scene.begun, &all_targets());
    let healed = scene.net.heal();
    scene.agree(healed, &all_targets());
    scene.watch.unchanged(&NODES, scene.begun, &all_targets());
}

#[test]
fn a_whole_site() {
    let Some(scene) = Scene::start("site", &Setting::default()) else { return };
    let rest = all_but(&targets_of(2));
    let cut = Instant::now();
    scene.net.cut_off(&whole(2));
    for node in [0, 1] {
        println!("n{node} withdraws the site after {:.1?}", scene.watch.wait_until(&[node], cut, &rest) - cut);
    }
    scene.hears(&[(2, 0), (2, 1), (0, 2), (1, 2)], "silent");
    scene.sees(2, &[targets_of(0), targets_of(1)].concat(), "down");
    scene.watch.more(WHILE);
    scene.watch.only_withdrawn(&[0, 1], cut, &rest);
    scene.watch.unchanged(&[2], scene.begun, &all_targets());
    let healed = scene.net.heal();
    scene.agree(healed, &all_targets());
    println!("n2 names one after the other: {:?}", scene.watch.story(2, healed));
    // What the one that was cut off said of the others' targets took none of them along.
    scene.watch.always_named(&NODES, scene.begun, &rest);
}

#[test]
fn a_node_that_knows_that_it_is_cut_off() {
    let Some(scene) = Scene::start("node", &Setting::default()) else { return };
    isolate(&scene, |scene| drop(wait_for("it says so", || scene.nodes[0].process().log_line("cut off: "))));
}

#[test]
fn a_node_that_does_not_know_that_it_is_cut_off() {
    let setting = Setting { more: "[health]\nisolation = false\n", ..Setting::default() };
    let Some(scene) = Scene::start("alone", &setting) else { return };
    isolate(&scene, |scene| scene.sees(0, &NODES.map(targets_of).concat(), "down"));
}

/// A node is cut off from everything, which shows; while it is, a target dies.
fn isolate(scene: &Scene, shows: impl FnOnce(&Scene)) {
    let dead = targets_of(1)[0];
    scene.net.cut_off(&node_address(0).to_string());
    shows(scene);
    scene.hears(&[(0, 1), (0, 2), (1, 0), (2, 0)], "silent");
    scene.watch.more(WHILE);
    scene.watch.unchanged(&NODES, scene.begun, &all_targets());
    scene.withdraw_the_dead(&[1, 2], dead);
    scene.watch.more(WHILE);
    scene.watch.unchanged(&[0], scene.begun, &all_targets());
    let healed = scene.net.heal();
    scene.agree(healed, &all_but(&[dead]));
    scene.watch.only_withdrawn(&NODES, scene.begun, &all_but(&[dead]));
}

#[test]
fn a_node_that_is_killed_and_comes_back() {
    let Some(scene) = Scene::start("kill", &Setting { interval: Duration::from_secs(2), ..Setting::default() }) else { return };
    come_back(scene, 0);
}

#[test]
fn a_node_that_comes_back_where_ways_are_long() {
    let Some(scene) = Scene::start("far", &FAR) else { return };
    come_back(scene, 300);
}

/// A node that would be wrong by itself is killed, and another target dies before it is back.
fn come_back(mut scene: Scene, delay: u64) {
    // What it sees itself is wrong, and what it has kept as well: the others alone can tell.
    for there in [1, 2] {
        scene.net.treat_both_ways(&node_address(0).to_string(), &site(there), "drop");
        scene.sees(0, &targets_of(there), "down");
    }
    scene.watch.unchanged(&NODES, scene.begun, &all_targets());
    scene.delay.set(delay);
    scene.nodes[0].kill();
    let (killed, dead) = (Instant::now(), targets_of(2)[0]);
    scene.hears(&[(1, 0), (2, 0)], "silent");
    scene.watch.unchanged(&[1, 2], scene.begun, &all_targets());
    scene.withdraw_the_dead(&[1, 2], dead);
    let (asked, started) = (Asked::new(&scene.net.nodes[0]), Instant::now());
    scene.nodes[0].launch(&scene.net.nodes[0]);
    let first = wait_for("its first answer", || asked.ask());
    println!("first answer {:.1?} after the start", started.elapsed());
    assert_eq!(first, all_but(&[dead]));
    scene.watch.more(WHILE);
    scene.watch.unchanged(&[0], killed, &all_but(&[dead]));
    scene.delay.set(0);
    let healed = scene.net.heal();
    scene.agree(healed, &all_but(&[dead]));
    scene.watch.unchanged(&[0], killed, &all_but(&[dead]));
    scene.watch.only_withdrawn(&[1, 2], scene.begun, &all_but(&[dead]));
}

#[test]
fn one_way_loss() {
    let Some(scene) = Scene::start("oneway", &Setting::default()) else { return };
    scene.net.treat(&node_address(0).to_string(), &node_address(1).to_string(), "drop");
    // Each direction of the exchange needs both of the way.
    scene.hears(&[(0, 1), (1, 0)], "silent");
    scene.hears(&[(0, 2), (1, 2), (2, 0), (2, 1)], "heard");
    endure(&scene);
}

#[test]
fn much_loss() {
    let Some(scene) = Scene::start("loss", &Setting::default()) else { return };
    let nodes = format!("{{ {} }}", NODES.map(|node| node_address(node).to_string()).join(", "));
    scene.net.treat(&nodes, &nodes, "numgen random mod 100 < 30 counter drop");
    let dropped = || !said("nft", &["list chain ip ways between"]).contains("packets 0 ");
    wait_for("some loss", || dropped().then_some(()));
    scene.watch.more(WHILE);
    endure(&scene);
    fallen_silent(&scene);
}

#[test]
fn much_delay() {
    let Some(scene) = Scene::start("delay", &FAR) else { return };
    scene.delay.set(300);
    wait_for("messages that are late", || (scene.delay.delayed.load(Ordering::SeqCst) >= 20).then_some(()));
    endure(&scene);
    fallen_silent(&scene);
}

fn fallen_silent(scene: &Scene) {
    let times: usize = scene.nodes.iter().map(|node| node.process().log_count("is silent: ")).sum();
    println!("a peer fell silent {times} times");
}

/// While there is trouble between nodes, no answer changes but for the death of a target.
fn endure(scene: &Scene) {
    let dead = targets_of(1)[0];
    scene.watch.more(WHILE);
    scene.watch.unchanged(&NODES, scene.begun, &all_targets());
    scene.withdraw_the_dead(&NODES, dead);
    scene.delay.set(0);
    let healed = scene.net.heal();
    scene.agree(healed, &all_but(&[dead]));
    scene.watch.only_withdrawn(&NODES, scene.begun, &all_but(&[dead]));
}
