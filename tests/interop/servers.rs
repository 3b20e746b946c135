//! The four servers as processes: leeward, and NSD, Knot and BIND from the distribution, each on a loopback address of
//! its own, on the same zone files.
//!
//! Their configurations ask for the same service: authoritative only, answers as small as they can make them,
//! 1232 octets over UDP, no rate limit, no transfers. NSD and Knot have no `$GENERATE`; where a zone uses it, they get
//! the records that BIND makes of it, so that leeward's reading of it is held against BIND's.
//!
//! What runs is ended by its process id when the value goes.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::ask::ask_all;
use super::corpus::Zone;
use super::harness::{Leeward, Site, free_port, own_address, wait_for};
use super::message::Message;
use super::question::{Question, of_line};

/// Commands that are needed beside leeward.
pub const PROGRAMS: [&str; 4] = ["nsd", "knotd", "named", "named-compilezone"];
/// The references, in the order in which they are named.
pub const REFERENCES: [&str; 3] = ["NSD", "Knot", "BIND"];
/// What every server says where it is asked who it is, and what: leeward's version cannot be chosen.
const IDENTITY: &str = "interop";
const VERSION: &str = concat!("leeward ", env!("CARGO_PKG_VERSION"));

/// All that runs.
pub struct Servers {
    pub leeward: Leeward,
    references: Vec<Reference>,
    _site: Site,
}

/// A server beside leeward, ended when the value goes.
pub struct Reference {
    child: Child,
    pub address: SocketAddr,
}

impl Drop for Reference {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        drop(self.child.wait());
    }
}

impl Servers {
    /// Starts all four on `zones` and waits until they serve what they can.
    pub fn start(zones: &[Zone], include: &[(String, String)]) -> Self {
        let site = Site::new();
        for zone in zones {
            site.write(&format!("{}.zone", zone.name), &zone.text);
        }
        for (name, text) in include {
            site.write(name, text);
        }
        // BIND listens only where an interface has the address, so it gets a port of its own there.
        let [nsd, knot, own] =
            [own_address(), own_address(), own_address()].map(|address| (address, free_port(&[address])).into());
        let named = (Ipv4Addr::LOCALHOST, free_port(&[Ipv4Addr::LOCALHOST])).into();
        let references = vec![start_nsd(&site, zones, nsd), start_knot(&site, zones, knot), start_named(&site, zones, named)];
        let leeward = start_leeward(&site, zones, own);
        let servers = Self { leeward, references, _site: site };
        for (name, address) in ["leeward", "NSD", "Knot", "BIND"].into_iter().zip(servers.addresses()) {
            wait_until_serving(name, address);
        }
        servers
    }

    /// leeward's address, then the references' in their order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        [self.leeward.dns].into_iter().chain(self.references.iter().map(|reference| reference.address)).collect()
    }

    /// The zones that each server has not loaded, in the order of [`Self::addresses`].
    pub fn not_loaded(&self, zones: &[Zone]) -> Vec<BTreeSet<String>> {
        let questions: Vec<Question> = zones.iter().flat_map(|zone| of_line("load", &format!("{}. SOA", zone.name))).collect();
        let missing = |address: SocketAddr| {
            let replies = ask_all(address, &questions);
            let lacks = zones.iter().zip(replies).filter(|(_, reply)| !is_served(reply.as_deref()));
            lacks.map(|(zone, _)| zone.name.clone()).collect()
        };
        self.addresses().into_iter().map(missing).collect()
    }
}

fn is_served(reply: Option<&[u8]>) -> bool {
    reply.and_then(Message::read).is_some_and(|reply| reply.rcode == 0 && !reply.answer.is_empty())
}

fn wait_until_serving(name: &str, address: SocketAddr) {
    let questions = [of_line("ready", "ent.test. SOA"), of_line("ready", "xn--bcher-kva.test. SOA")].concat();
    wait_for(&format!("{name} to serve the zones"), || {
        let served = ask_all(address, &questions).iter().all(|reply| is_served(reply.as_deref()));
        served.then_some(())
    });
}

fn start_leeward(site: &Site, zones: &[Zone], address: SocketAddr) -> Leeward {
    let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    let server = format!("[server]\nlisten = [\"{address}\"]\nudp_threads = 1\nnsid = \"{IDENTITY}\"\n");
    Leeward::start(&site.config(&names, &server))
}

fn start_nsd(site: &Site, zones: &[Zone], address: SocketAddr) -> Reference {
    let dir = folder(site, "nsd");
    let mut text = format!(
        "server:\n  ip-address: {}@{}\n  username: \"\"\n  zonesdir: \"{site}\"\n  zonelistfile: \"{dir}/zone.list\"\n  \
         xfrdfile: \"{dir}/xfrd.state\"\n  xfrdir: \"{dir}\"\n  pidfile: \"{dir}/nsd.pid\"\n  database: \"\"\n  \
         server-count: 1\n  minimal-responses: yes\n  ipv4-edns-size: 1232\n  rrl-ratelimit: 0\n  \
         identity: \"{IDENTITY}\"\n  version: \"{VERSION}\"\n  nsid: \"ascii_{IDENTITY}\"\n  answer-cookie: yes\n\
         remote-control:\n  control-enable: no\n",
        address.ip(),
        address.port(),
        site = site.dir.path().display(),
        dir = dir.display(),
    );
    for zone in zones {
        text += &format!("zone:\n  name: \"{}\"\n  zonefile: \"{}\"\n", zone.name, expanded(site, zone).display());
    }
    let config = site.write("nsd.conf", &text);
    launch(Command::new("nsd").arg("-d").arg("-c").arg(config), &dir, address)
}

fn start_knot(site: &Site, zones: &[Zone], address: SocketAddr) -> Reference {
    let dir = folder(site, "knot");
    let mut text = format!(
        "server:\n  rundir: \"{dir}\"\n  listen: \"{}@{}\"\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n  \
         udp-max-payload: 1232\n  identity: \"{IDENTITY}\"\n  version: \"{VERSION}\"\n  nsid: \"{IDENTITY}\"\n\
         database:\n  storage: \"{dir}\"\nlog:\n  - target: stderr\n    any: warning\n\
         template:\n  - id: default\n    journal-content: none\n    zonefile-load: whole\n    zonefile-sync: -1\n    \
         global-module: mod-cookies\nzone:\n",
        address.ip(),
        address.port(),
        dir = dir.display(),
    );
    for zone in zones {
        text += &format!("  - domain: \"{}\"\n    file: \"{}\"\n", zone.name, expanded(site, zone).display());
    }
    let config = site.write("knot.conf", &text);
    launch(Command::new("knotd").arg("-c").arg(config), &dir, address)
}

fn start_named(site: &Site, zones: &[Zone], address: SocketAddr) -> Reference {
    let dir = folder(site, "named");
    let mut text = format!(
        "options {{ directory \"{site}\"; pid-file none; session-keyfile none; lock-file none;\n\
         managed-keys-directory \"{dir}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }};\n\
         recursion no; allow-query {{ any; }}; allow-transfer {{ none; }}; minimal-responses yes; minimal-any no;\n\
         dnssec-validation no; notify no; empty-zones-enable no; max-udp-size 1232; edns-udp-size 1232;\n\
         version \"{VERSION}\"; hostname \"{IDENTITY}\"; server-id \"{IDENTITY}\";\n\
         check-names primary ignore; check-integrity no; check-mx ignore; check-mx-cname ignore; check-srv-cname ignore;\n\
         check-sibling no; check-spf ignore; check-wildcard no; check-dup-records ignore; zero-no-soa-ttl no; }};\n\
         controls {{ }};\n",
        site = site.dir.path().display(),
        dir = dir.display(),
        port = address.port(),
        ip = address.ip(),
    );
    for zone in zones {
        text += &format!("zone \"{0}\" {{ type primary; file \"{0}.zone\"; }};\n", zone.name);
    }
    let config = site.write("named.conf", &text);
    launch(Command::new("named").arg("-g").args(["-n", "1"]).arg("-c").arg(config), &dir, address)
}

fn folder(site: &Site, name: &str) -> PathBuf {
    let dir = site.path(name);
    fs::create_dir_all(&dir).expect("a folder");
    dir
}

/// Runs a server that is to listen on `address`; what it says is in the file `log` in `dir`.
pub fn launch(command: &mut Command, dir: &Path, address: SocketAddr) -> Reference {
    let log = fs::File::create(dir.join("log")).expect("a log");
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let command = command.current_dir(dir).env("PATH", path).stdin(Stdio::null());
    let command = command.stdout(log.try_clone().expect("a log")).stderr(log);
    Reference { child: command.spawn().expect("the server starts"), address }
}

/// The zone's file for a server without `$GENERATE`: its own, else what BIND makes of it.
fn expanded(site: &Site, zone: &Zone) -> PathBuf {
    let file = site.path(&format!("{}.zone", zone.name));
    if !zone.text.contains("$GENERATE") {
        return file;
    }
    let expanded = site.path(&format!("{}.expanded", zone.name));
    if !expanded.exists() {
        let mut command = Command::new("named-compilezone");
        command.args(["-q", "-i", "none", "-k", "ignore", "-n", "ignore", "-r", "ignore", "-W", "ignore", "-s", "full", "-o"]);
        let output = command.arg(&expanded).arg(&zone.name).arg(&file).current_dir(site.dir.path()).output().expect("it runs");
        assert!(output.status.success(), "{}: {}", zone.name, String::from_utf8_lossy(&output.stdout));
    }
    expanded
}
