//! Real nodes that tell each other what they see: processes on loopback, and targets that some can see and others cannot.
//!
//! Each node probes from an address of its own, by which a target knows whom to be silent to: a way that is cut.

mod harness;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use harness::{Leeward, Site, free_port, http, leeward, own_address, wait_for};
use leeward::wire::RecordType;
use serde_json::Value;

const ZONE: &str = "g.test";

/// A target, and to whom it does not answer.
struct Target {
    address: SocketAddr,
    silent_to: Arc<Mutex<HashSet<IpAddr>>>,
    dead: Arc<Mutex<bool>>,
}

impl Target {
    fn start(address: Ipv4Addr, port: u16) -> Self {
        let listener = TcpListener::bind((address, port)).expect("bound");
        let address = listener.local_addr().expect("an address");
        let (silent_to, dead) = (Arc::new(Mutex::new(HashSet::new())), Arc::new(Mutex::new(false)));
        let (silent, gone) = (Arc::clone(&silent_to), Arc::clone(&dead));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let from = stream.peer_addr().map(|from| from.ip());
                let unheard = from.is_ok_and(|from| silent.lock().expect("sound").contains(&from));
                if !unheard && !*gone.lock().expect("sound") {
                    answer(stream);
                }
            }
        });
        Self { address, silent_to, dead }
    }

    fn cut(&self, from: &Node) {
        self.silent_to.lock().expect("sound").insert(from.address.into());
    }

    fn mend(&self) {
        self.silent_to.lock().expect("sound").clear();
    }

    fn die(&self) {
        *self.dead.lock().expect("sound") = true;
    }
}

fn answer(mut stream: TcpStream) {
    let mut request = [0; 2048];
    if stream.read(&mut request).is_ok() {
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}

/// A node: where it stands, and the process while it runs.
struct Node {
    name: String,
    address: Ipv4Addr,
    port: u16,
    site: Site,
    config: PathBuf,
    process: Option<Leeward>,
}

/// So many nodes that know of each other, `more` in the configuration of each.
fn fleet(count: usize, targets: &[&Target], more: &str) -> Vec<Node> {
    let places: Vec<(Ipv4Addr, u16)> = (0..count).map(|_| own_address()).map(|own| (own, free_port(&[own]))).collect();
    let peers: String = places
        .iter()
        .enumerate()
        .map(|(at, (address, port))| format!("[peer.n{at}]\nurl = \"http://{address}:{port}\"\nregion = \"r{at}\"\n"))
        .collect();
    places.iter().enumerate().map(|(at, &place)| node(at, place, &peers, targets, more)).collect()
}

fn node(at: usize, (address, port): (Ipv4Addr, u16), peers: &str, targets: &[&Target], more: &str) -> Node {
    let site = Site::new();
    site.write("fleet.key", "a secret that all nodes of this test share\n");
    std::fs::set_permissions(site.path("fleet.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("own file");
    let target = |target: &&Target| format!("'{}'", target.address.ip());
    let (list, to): (Vec<_>, _) = (targets.iter().map(target).collect(), targets[0].address.port());
    let records = format!("www LUA A \"ifportup({to}, {{ {} }}, {{ check='web', selector='all' }})\"\n", list.join(", "));
    let head = "$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n";
    site.write(&format!("{ZONE}.zone"), &format!("{head}{records}"));
    let config = site.config(
        &[ZONE],
        &format!(
            "[node]\nname = \"n{at}\"\nstate_dir = \"state\"\n[peers]\nlisten = \"{address}:{port}\"\n\
             secret_files = [\"fleet.key\"]\ninterval = \"200ms\"\nstale_after = \"1s\"\n{peers}\
             [check.web]\nkind = \"http\"\nsource = \"{address}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"\nfall = 1\nrise = 1\n\
             [prober]\ndeny = []\n{more}"
        ),
    );
    Node { name: format!("n{at}"), address, port, site, config, process: None }
}

impl Node {
    fn start(&mut self) {
        self.process = Some(Leeward::start(&self.config));
    }

    fn process(&self) -> &Leeward {
        self.process.as_ref().expect("it runs")
    }

    /// The addresses that it answers with.
    fn answers(&self) -> Vec<String> {
        let mut answers = self.process().ask(&format!("www.{ZONE}"), RecordType::A).data;
        answers.sort();
        answers
    }

    /// What it says of the check of a target.
    fn check(&self, target: &Target) -> Value {
        let all = self.process().get_json("/api/v1/checks");
        let address = target.address.to_string();
        let checks = all["checks"].as_array().expect("a list").iter();
        checks.clone().find(|check| check["target"] == *address).cloned().unwrap_or_default()
    }

    fn peers(&self) -> Value {
        self.process().get_json("/api/v1/peers")
    }

    /// In a word, how that peer is to it.
    fn sees(&self, peer: &Self) -> String {
        let form = self.peers();
        let peers = form["peers"].as_array().expect("a list").iter();
        peers
            .clone()
            .find(|form| form["peer"] == *peer.name)
            .map(|form| form["state"].as_str().expect("a word").to_owned())
            .expect("known")
    }
}

fn all_hear_all(nodes: &[Node]) {
    for (at, node) in nodes.iter().enumerate() {
        for (_, peer) in nodes.iter().enumerate().filter(|(other, _)| *other != at) {
            wait_for("peers that are heard", || (node.sees(peer) == "heard").then_some(()));
        }
    }
}

fn addresses(targets: &[&Target]) -> Vec<String> {
    let mut addresses: Vec<String> = targets.iter().map(|target| target.address.ip().to_string()).collect();
    addresses.sort();
    addresses
}

/// Two targets at one port.
fn targets() -> (Target, Target) {
    let (first, second) = (own_address(), own_address());
    let port = free_port(&[first, second]);
    (Target::start(first, port), Target::start(second, port))
}

#[test]
fn a_way_that_is_cut_is_outvoted_and_a_dead_target_is_not() {
    let (one, other) = targets();
    let mut nodes = fleet(3, &[&one, &other], "");
    nodes.iter_mut().for_each(Node::start);
    all_hear_all(&nodes);
    one.cut(&nodes[0]);
    wait_for("it sees that target no longer", || (nodes[0].check(&one)["own"] == "down").then_some(()));
    wait_for("the others have the last word", || {
        let check = nodes[0].check(&one);
        (check["measured"] == "up" && check["basis"] == "voted").then_some(())
    });
    for node in &nodes {
        assert_eq!(node.answers(), addresses(&[&one, &other]), "{}", node.name);
    }
    // All can be seen of it, at each of them.
    for node in &nodes {
        let form = wait_for("what they do not agree upon", || {
            let form = node.peers();
            form["disagreements"].as_array().is_some_and(|found| found.len() == 1).then_some(form)
        });
        let found = &form["disagreements"][0];
        assert_eq!((&found["target"], &found["verdict"]), (&one.address.to_string().into(), &"up".into()), "{form:#}");
        assert_eq!(found["own"], if node.name == "n0" { "down" } else { "up" });
        assert_eq!(node.process().metric("leeward_disagreements"), Some(1.0));
    }
    let socket = nodes[0].site.path("control.sock");
    let shown = leeward(&["status", "--peers", "--socket", socket.to_str().expect("text")]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("n0 down, n1 up, n2 up") && shown.contains("up (voted)"), "{shown}");
    // It is really dead: then all say so.
    one.mend();
    wait_for("it sees it again", || (nodes[0].check(&one)["own"] == "up").then_some(()));
    one.die();
    for node in &nodes {
        wait_for("nobody names the dead", || (node.answers() == addresses(&[&other])).then_some(()));
    }
}

#[test]
fn an_isolated_node_holds_what_it_believed_and_one_that_is_killed_is_missed() {
    let (one, other) = targets();
    let mut nodes = fleet(3, &[&one, &other], "[health]\nisolation = false\n");
    nodes.iter_mut().for_each(Node::start);
    all_hear_all(&nodes);
    // The first loses both others, who are killed, and sight of one target.
    let generation = nodes[0].process().get_json("/api/v1/status")["generation"].clone();
    for peer in &mut nodes[1..] {
        let mut process = peer.process.take().expect("it runs");
        process.child.kill().expect("killed");
        process.child.wait().expect("ended");
    }
    wait_for("no quorum", || nodes[0].peers()["no_quorum_since"].is_string().then_some(()));
    one.cut(&nodes[0]);
    wait_for("it sees that target no longer", || (nodes[0].check(&one)["own"] == "down").then_some(()));
    let check = nodes[0].check(&one);
    assert_eq!((&check["measured"], &check["basis"]), (&"up".into(), &"held".into()), "{check:#}");
    assert_eq!(nodes[0].answers(), addresses(&[&one, &other]));
    assert_eq!(nodes[0].process().get_json("/api/v1/status")["generation"], generation, "nothing was published for that");
    // One comes back, sees the target dead as well, and both believe it.
    one.die();
    nodes[1].start();
    for node in &nodes[..2] {
        wait_for("two of three see it dead", || (node.answers() == addresses(&[&other])).then_some(()));
    }
    assert_eq!(nodes[0].sees(&nodes[2]), "silent");
    assert_eq!(nodes[0].process().metric("leeward_peer_up{peer=\"n2\"}"), Some(0.0));
    assert_eq!(nodes[0].process().metric("leeward_quorum"), Some(1.0));
}

#[test]
fn whoever_begins_serves_what_the_others_know() {
    let (one, other) = targets();
    let mut nodes = fleet(3, &[&one, &other], "");
    nodes[0].start();
    nodes[1].start();
    wait_for("two that hear each other", || (nodes[0].sees(&nodes[1]) == "heard").then_some(()));
    // The third never sees one of the targets; its first answer has it all the same.
    one.cut(&nodes[2]);
    nodes[2].start();
    assert_eq!(nodes[2].answers(), addresses(&[&one, &other]));
    let check = nodes[2].check(&one);
    assert_eq!((&check["measured"], &check["basis"]), (&"up".into(), &"voted".into()), "{check:#}");
    let served: Vec<Value> = nodes[2].peers()["peers"].as_array().expect("a list").clone();
    assert!(served.iter().all(|peer| peer["release"] == env!("CARGO_PKG_VERSION") && peer.get("zones_that_differ").is_none()));
    // Another file of the zone there shows here.
    let file = format!("{ZONE}.zone");
    let text = std::fs::read_to_string(nodes[1].site.path(&file)).expect("there");
    nodes[1].site.write(&file, &text.replace("hostmaster 1 ", "hostmaster 2 "));
    assert_eq!(nodes[1].process().post("/api/v1/reload").0, 200);
    wait_for("the others see who serves another zone", || {
        let form = nodes[0].peers();
        let peer = form["peers"].as_array()?.iter().find(|peer| peer["peer"] == "n1")?.clone();
        let found = &peer["zones_that_differ"][0];
        (found["serial"] == 2 && found["own_serial"] == 1).then_some(())
    });
}

#[test]
fn strangers_change_nothing_and_are_counted() {
    let (one, other) = targets();
    let mut nodes = fleet(2, &[&one, &other], "");
    nodes[1].site.write("fleet.key", "a secret that nobody shares with this node\n");
    nodes.iter_mut().for_each(Node::start);
    let forged = "leeward_peer_messages_rejected_total{reason=\"forged\"}";
    wait_for("a wrong secret is counted", || nodes[0].process().metric(forged).filter(|&count| count > 2.0));
    assert_eq!(nodes[0].sees(&nodes[1]), "never");
    let listener = SocketAddr::from((nodes[0].address, nodes[0].port));
    for (method, path) in [("GET", "/peer/v1/hello"), ("POST", "/peer/v1/bulletin"), ("GET", "/metrics"), ("POST", "/x")] {
        let (status, body) = http(listener, method, path);
        assert!((400..500).contains(&status), "{method} {path}: {status} {body}");
    }
    assert_eq!(nodes[0].answers(), addresses(&[&one, &other]));
}
