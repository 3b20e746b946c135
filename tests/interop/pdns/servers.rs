//! PowerDNS and leeward as processes on the same zones, and the targets that their checks probe.
//!
//! PowerDNS joins strings with spaces up to 4.9, so leeward is told to. It keeps no packets, so that every answer is one
//! that a program gave; it probes every second, and only what it has been asked for, which is why whoever asks must
//! wait until it knows.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use leeward::wire::RecordType;

use super::exchange::{ask_all, try_ask};
use super::programs::Zone;
use crate::harness::{Leeward, Nginx, Site, free_port, own_address, query, wait_for};
use crate::message::Message;
use crate::servers::{Reference, launch};

/// The packages' files: the server, and its backends.
pub const NEEDED: [&str; 2] = ["pdns_server", "nginx"];
const BACKENDS: [&str; 2] = ["libbindbackend.so", "libgeoipbackend.so"];

/// Both servers.
pub struct Servers {
    leeward: Leeward,
    /// What leeward would not load.
    pub refused: Vec<Refused>,
    powerdns: Reference,
    _targets: Targets,
    _site: Site,
}

/// A line that leeward calls an error, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    pub zone: String,
    pub line: usize,
    pub why: String,
}

/// Whether PowerDNS's backends are installed; says so visibly where they are not.
pub fn has_backends() -> bool {
    BACKENDS.iter().all(|backend| {
        let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
        let found = folders.chain([PathBuf::from("/usr/lib")]).any(|folder| folder.join("pdns").join(backend).is_file());
        if !found {
            eprintln!("SKIPPED: {backend} of PowerDNS is not installed");
        }
        found
    })
}

/// The databases of places that the tests are given; says so visibly where there are none.
pub fn databases() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("LEEWARD_TEST_DATA") else {
        eprintln!("SKIPPED: LEEWARD_TEST_DATA is not set, so nothing is asked about places");
        return Vec::new();
    };
    ["GeoLite2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb"].map(|name| Path::new(&folder).join("geo").join(name)).to_vec()
}

impl Servers {
    /// Starts both and waits until they serve.
    pub fn start(zones: &[Zone], databases: &[PathBuf]) -> Self {
        let (site, targets) = (Site::new(), Targets::new());
        let texts: Vec<(&Zone, String)> = zones.iter().map(|zone| (zone, zone.with(&targets.words()))).collect();
        let powerdns = start_powerdns(&site, &texts, databases);
        let (leeward, refused) = start_leeward(&site, &texts, databases);
        for zone in zones {
            let packet = query(&zone.name, RecordType::SOA, None);
            wait_for("PowerDNS to serve", || {
                let reply = Message::read(&try_ask(powerdns.address, &packet)?)?;
                (reply.answer.len() == 1).then_some(())
            });
            let reply = Message::read(&ask_all(leeward.dns, std::slice::from_ref(&packet))[0]).expect("a reply");
            assert_eq!(reply.answer.len(), 1, "leeward does not serve {}", zone.name);
        }
        Self { leeward, refused, powerdns, _targets: targets, _site: site }
    }

    /// leeward's address, and PowerDNS's.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [self.leeward.dns, self.powerdns.address]
    }
}

fn start_powerdns(site: &Site, zones: &[(&Zone, String)], databases: &[PathBuf]) -> Reference {
    let address = own_address();
    let port = free_port(&[address]);
    let dir = site.dir.path().display();
    let mut list = String::new();
    for (zone, text) in zones {
        let file = site.write(&format!("{}.powerdns", zone.name), text);
        list += &format!("zone \"{}\" {{ type master; file \"{}\"; }};\n", zone.name, file.display());
    }
    let list = site.write("zones.powerdns", &list);
    let files: Vec<String> = databases.iter().map(|file| file.display().to_string()).collect();
    let backends = if files.is_empty() { "bind" } else { "bind,geoip" };
    let places = if files.is_empty() { String::new() } else { format!("geoip-database-files={}\n", files.join(" ")) };
    site.write(
        "pdns.conf",
        &format!(
            "launch={backends}\nbind-config={}\n{places}local-address={address}\nlocal-port={port}\nsocket-dir={dir}\n\
             enable-lua-records=yes\nedns-subnet-processing=yes\nlua-health-checks-interval=1\nany-to-tcp=no\n\
             cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nsecurity-poll-suffix=\nsetuid=\nsetgid=\n\
             daemon=no\nguardian=no\nwebserver=no\napi=no\nloglevel=3\n",
            list.display()
        ),
    );
    launch(Command::new("pdns_server").arg(format!("--config-dir={dir}")), site.dir.path(), (address, port).into())
}

/// Starts leeward on what it loads of the zones; the rest is told.
fn start_leeward(site: &Site, zones: &[(&Zone, String)], databases: &[PathBuf]) -> (Leeward, Vec<Refused>) {
    let names: Vec<&str> = zones.iter().map(|(zone, _)| zone.name.as_str()).collect();
    let files: Vec<String> = databases.iter().map(|file| format!("{:?}", file.display().to_string())).collect();
    let places = if files.is_empty() { String::new() } else { format!("[geo]\ndatabases = [{}]\n", files.join(", ")) };
    let config = site.config(
        &names,
        &format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nudp_threads = 1\nany = \"full\"\n[lua]\ninsert_whitespace = true\n\
             [health]\ninterval = \"1s\"\n{places}"
        ),
    );
    for (zone, text) in zones {
        site.write(&format!("{}.zone", zone.name), text);
    }
    let refused = refused(&config);
    for (zone, text) in zones {
        let bad = |line: usize| {
            let of_zone = refused.iter().filter(|it| it.zone == zone.name);
            let programs = of_zone.filter_map(|it| zone.programs.iter().find(|program| program.lines.contains(&it.line)));
            programs.into_iter().any(|program| program.lines.contains(&line))
        };
        let kept: Vec<&str> = text.lines().zip(1..).map(|(text, line)| if bad(line) { "" } else { text }).collect();
        site.write(&format!("{}.zone", zone.name), &(kept.join("\n") + "\n"));
    }
    (Leeward::start(&config), refused)
}

/// What leeward calls errors.
fn refused(config: &Path) -> Vec<Refused> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_leeward")).args(["checkconf", "--format", "json", "--config"]).arg(config).output();
    let output = output.expect("it runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("findings").iter().filter(|it| it["severity"] == "error");
    let refused = |it: &serde_json::Value| Refused {
        zone: Path::new(it["file"].as_str().expect("a file")).file_stem().expect("a name").to_string_lossy().into_owned(),
        line: it["line"].as_u64().expect("a line") as usize,
        why: it["message"].as_str().expect("a message").to_owned(),
    };
    findings.map(refused).collect()
}

/// Web servers on two addresses, nothing on two others, and a listener of IPv6.
struct Targets {
    up: [Ipv4Addr; 2],
    down: [Ipv4Addr; 2],
    web: u16,
    six: u16,
    _server: Nginx,
}

impl Targets {
    fn new() -> Self {
        let [first, second, third, fourth] = std::array::from_fn(|_| own_address());
        let web = free_port(&[first, second, third, fourth]);
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("IPv6 on loopback");
        let six = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let server = Nginx::serving((first, web).into(), &web_server([first, second], web));
        Self { up: [first, second], down: [third, fourth], web, six, _server: server }
    }

    /// What stands for them in the zones.
    fn words(&self) -> [(&'static str, String); 6] {
        [
            ("$UP1", self.up[0].to_string()),
            ("$UP2", self.up[1].to_string()),
            ("$DOWN1", self.down[0].to_string()),
            ("$DOWN2", self.down[1].to_string()),
            ("$WEB", self.web.to_string()),
            ("$SIX", self.six.to_string()),
        ]
    }
}

/// Says `ok` nearly everywhere, and what the client called the host and itself.
fn web_server([first, second]: [Ipv4Addr; 2], port: u16) -> String {
    format!(
        "default_type text/plain; server {{ listen {first}:{port}; listen {second}:{port}; location / {{ return 200 ok; }}
        location /bad {{ return 503; }} location /moved {{ return 302 /; }} location /host {{ return 200 $host; }}
        location /agent {{ return 200 $http_user_agent; }} }}"
    )
}
