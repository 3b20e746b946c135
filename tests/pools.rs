//! Pools of a real server: real targets that die and come back, operators who drain and freeze, reloads.

mod harness;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use harness::{Leeward, PATIENCE, Program, Site, command, free_port, has, leeward, own_address, wait_for};
use leeward::health::{FaceMemory, Moment};
use leeward::store::Ledger;
use leeward::target::Value::Down;
use leeward::wire::RecordType;
use serde_json::Value;

const ZONE: &str = "\
$TTL 30
@    SOA ns hostmaster 1 3600 600 86400 30
@    NS ns
ns   A 192.0.2.53
www  LUA A \"pool('web')\"
www  LUA HTTPS \"pool('web')\"
all  LUA A \"pool('all')\"
";

/// Two targets that take connections, at ports of their own.
struct Targets([Option<Target>; 2], [SocketAddr; 2]);

/// A thread that accepts until it is told to end.
struct Target {
    at: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Target {
    fn on(listener: TcpListener) -> Self {
        let (at, ended) = (listener.local_addr().expect("bound"), Arc::new(AtomicBool::new(false)));
        let end = Arc::clone(&ended);
        let thread = std::thread::spawn(move || while listener.accept().is_ok() && !end.load(Ordering::Acquire) {});
        Self { at, ended, thread: Some(thread) }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        drop(TcpStream::connect(self.at)); // one more, which it does not wait for another behind
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Targets {
    fn new() -> Self {
        let listeners = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| TcpListener::bind(address).expect("a port"));
        let targets = listeners.map(Target::on);
        let addresses = [0, 1].map(|at: usize| targets[at].at);
        Self(targets.map(Some), addresses)
    }

    fn kill(&mut self, at: usize) {
        self.0[at] = None;
    }

    fn revive(&mut self, at: usize) {
        self.0[at] = Some(Target::on(wait_for("the port", || TcpListener::bind(self.1[at]).ok())));
    }

    fn toml(&self, more: &str) -> String {
        let [one, other] = self.1.map(|address| address.port());
        let member = |name: &str, site: &str, address: &str, port: u16| {
            format!("name = \"{name}\"\nsite = \"{site}\"\naddresses = [\"{address}\"]\nport = {port}\n")
        };
        let (eu, us) = (member("a", "eu", "127.0.0.1", one), member("b", "us", "127.0.0.2", other));
        format!(
            "[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\nretry_interval = \"100ms\"\nfall = 1\nrise = 1\n\
             [prober]\ndeny = [\"169.254.0.0/16\"]\n\
             [site.eu]\n[site.us]\n\
             [pool.web]\nselect = \"first\"\nalpn = [\"h2\"]\nmax_withdraw = \"100%\"\n{more}\
             [[pool.web.member]]\n{eu}[[pool.web.member]]\n{us}\
             [pool.all]\nmax_withdraw = \"100%\"\n[[pool.all.member]]\n{eu}[[pool.all.member]]\n{us}"
        )
    }
}

fn addresses(server: &Leeward, name: &str) -> Vec<String> {
    server.ask(name, RecordType::A).data
}

fn becomes(server: &Leeward, name: &str, expected: &[&str]) {
    wait_for(&format!("{name} to be {expected:?}"), || (addresses(server, name) == expected).then_some(()));
}

/// Runs a client command against the server.
fn client(server: &Leeward, args: &[&str]) -> std::process::Output {
    let url = format!("http://{}", server.admin);
    leeward(&[args, &["--url", &url]].concat())
}

fn json(server: &Leeward, args: &[&str]) -> Value {
    let said = client(server, &[args, &["--json"]].concat());
    serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{args:?}: {said:?}"))
}

#[test]
fn a_pool_from_death_to_failback() {
    let (site, mut targets) = (Site::new(), Targets::new());
    site.write("gslb.example.zone", ZONE);
    let config = site.config(&["gslb.example"], &targets.toml("failback_after = \"manual\"\n"));
    let server = Leeward::start(&config);
    becomes(&server, "www.gslb.example.", &["127.0.0.1"]);
    becomes(&server, "all.gslb.example.", &["127.0.0.1", "127.0.0.2"]);
    let service = server.ask("www.gslb.example.", RecordType::HTTPS).data;
    let port = targets.1[0].port();
    assert!(service.len() == 1 && service[0].contains(&format!("port={port}")), "{service:?}");
    assert!(service[0].contains("ipv4hint=127.0.0.1") && service[0].contains("h2"), "{service:?}");

    let counted = |state: &str| server.metric(&format!("leeward_pool_addresses{{pool=\"web\",state=\"{state}\"}}"));
    assert_eq!((counted("up"), counted("reserve")), (Some(2.0), Some(0.0)));
    targets.kill(0);
    becomes(&server, "www.gslb.example.", &["127.0.0.2"]);
    assert_eq!((counted("up"), counted("down")), (Some(1.0), Some(1.0)));
    targets.revive(0);
    becomes(&server, "all.gslb.example.", &["127.0.0.1", "127.0.0.2"]);
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.2"], "it waits to be told");
    assert_eq!((counted("up"), counted("reserve")), (Some(1.0), Some(1.0)));
    let web = json(&server, &["pools"])["pools"][1].clone();
    assert_eq!((web["name"].as_str(), web["failback"].as_str()), (Some("web"), Some("manual")));
    assert_eq!(web["members"][0]["addresses"][0]["waiting"], Value::Bool(true), "{web}");
    let said = client(&server, &["explain", "www.gslb.example.", "A"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("pool web: 2 of 2 members available; b serves") && text.contains("in reserve"), "{text}");
    let rehearsed = json(&server, &["failback", "web", "--dry-run"]);
    assert_eq!(
        (rehearsed["outcome"].as_str(), addresses(&server, "www.gslb.example.")),
        (Some("rehearsed"), vec!["127.0.0.2".into()])
    );
    let report = json(&server, &["failback", "web"]);
    assert_eq!(report["outcome"].as_str(), Some("applied"), "{report}");
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.1"], "acknowledged is served");
    let again = client(&server, &["failback", "web"]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("nobody waits"), "{again:?}");
}

/// Has a server come to know something and kills it; again, and a little later, until `is_written` of what the next one will
/// know of the pool `web`: killed at once, it may not have come to that yet.
fn killed_when_written(site: &Site, config: &Path, mut knows: impl FnMut(&Leeward), is_written: impl Fn(&[FaceMemory]) -> bool) {
    let mut patience = Duration::from_millis(300);
    loop {
        let mut server = Leeward::start(config);
        knows(&server);
        std::thread::sleep(patience);
        server.child.kill().expect("killed");
        server.child.wait().expect("gone");
        let kept = Ledger::under(&site.path("state")).read(Moment::at(Duration::ZERO), 0).expect("it opens");
        let faces: Vec<FaceMemory> = kept.pools.get("web").into_iter().flat_map(|web| &web.faces).map(|face| face.2).collect();
        if is_written(&faces) {
            return;
        }
        patience *= 2;
        assert!(patience < PATIENCE, "it is not written down: {faces:?}");
    }
}

/// Of a site that has come back nobody but the operator takes traffic there, however often the server starts.
#[test]
fn a_restart_is_no_failback() {
    let (site, mut targets) = (Site::new(), Targets::new());
    site.write("gslb.example.zone", ZONE);
    let configured = |targets: &Targets, health: &str| {
        let toml = targets.toml("failback_after = \"manual\"\n").replacen("[health]\n", &format!("[health]\n{health}"), 1);
        site.config(&["gslb.example"], &toml)
    };
    let config = configured(&targets, "");
    let waits = |server: &Leeward| {
        assert_eq!(addresses(server, "www.gslb.example."), ["127.0.0.2"], "the first answer");
        becomes(server, "all.gslb.example.", &["127.0.0.1", "127.0.0.2"]);
        let waiting = |shown: &Value| shown["addresses"][0]["waiting"].as_bool();
        wait_for("it to wait", || waiting(&member(server, "web")).filter(|waits| *waits));
        assert_eq!(addresses(server, "www.gslb.example."), ["127.0.0.2"]);
    };
    // It comes up while nobody looks.
    let is_down = |faces: &[FaceMemory]| faces.iter().any(|face| face.value == Some(Down));
    let falls = |server: &Leeward| {
        targets.kill(0);
        becomes(server, "www.gslb.example.", &["127.0.0.2"]);
    };
    killed_when_written(&site, &config, falls, is_down);
    targets.revive(0);
    killed_when_written(&site, &config, waits, |faces| faces.iter().any(|face| face.waits));
    let server = Leeward::start(&config);
    waits(&server);
    assert!(server.stop(), "in good order");
    // What is too old to be believed is not too old for that.
    let server = Leeward::start(&configured(&targets, "restore_max_age = \"0s\"\n"));
    waits(&server);
    let report = json(&server, &["failback", "web"]);
    assert_eq!(report["outcome"].as_str(), Some("applied"), "{report}");
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.1"]);
    assert!(server.stop());
    let server = Leeward::start(&config);
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.1"], "it has come back, and stays");
}

#[test]
fn the_last_that_served_are_known_to_the_next_process() {
    let (site, mut targets) = (Site::new(), Targets::new());
    site.write("gslb.example.zone", ZONE);
    let rules = "failback_after = \"0s\"\nwhen_none_up = \"last\"\n";
    let config = site.config(&["gslb.example"], &targets.toml(rules));
    let dies = |server: &Leeward| {
        (0..2).filter(|&at| targets.0[at].is_none()).collect::<Vec<_>>().into_iter().for_each(|at| targets.revive(at));
        becomes(server, "www.gslb.example.", &["127.0.0.1"]);
        targets.kill(0);
        becomes(server, "www.gslb.example.", &["127.0.0.2"]);
        targets.kill(1);
        becomes(server, "all.gslb.example.", &["127.0.0.1", "127.0.0.2"]); // all, there being none
        assert_eq!(addresses(server, "www.gslb.example."), ["127.0.0.2"]);
    };
    let both_down =
        |faces: &[FaceMemory]| faces.iter().map(|face| (face.value, face.last)).eq([(Some(Down), false), (Some(Down), true)]);
    killed_when_written(&site, &config, dies, both_down);
    for health in ["", "restore_max_age = \"0s\"\n"] {
        let toml = targets.toml(rules).replacen("[health]\n", &format!("[health]\n{health}"), 1);
        let server = Leeward::start(&site.config(&["gslb.example"], &toml));
        for _ in 0..20 {
            assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.2"]);
        }
        assert!(server.stop());
    }
    targets.revive(0);
    becomes(&Leeward::start(&config), "www.gslb.example.", &["127.0.0.1"]);
}

#[test]
fn operators_words_about_sites_outlive_the_process() {
    let (site, targets) = (Site::new(), Targets::new());
    site.write("gslb.example.zone", ZONE);
    let config = site.config(&["gslb.example"], &targets.toml(""));
    let server = Leeward::start(&config);
    becomes(&server, "www.gslb.example.", &["127.0.0.1"]);
    let rehearsed = json(&server, &["drain", "site/eu", "--dry-run"]);
    let names: Vec<_> = rehearsed["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(names, ["all.gslb.example. A", "www.gslb.example. A", "www.gslb.example. HTTPS"], "{rehearsed}");
    json(&server, &["drain", "site/eu"]);
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.2"]);
    let refused = client(&server, &["drain", "member/web/b"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("would_empty"), "{refused:?}");
    drop(server); // killed
    let server = Leeward::start(&config);
    becomes(&server, "www.gslb.example.", &["127.0.0.2"]);
    json(&server, &["release", "site/eu"]);
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.1"]);
    json(&server, &["force", "member/web/a", "down"]);
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.2"]);
    assert_eq!(addresses(&server, "all.gslb.example."), ["127.0.0.1", "127.0.0.2"], "it is of the one pool");
    json(&server, &["release", "member/web/a"]);
}

#[test]
fn a_frozen_pool_changes_by_order_only() {
    let (site, mut targets) = (Site::new(), Targets::new());
    site.write("gslb.example.zone", ZONE);
    let server = Leeward::start(&site.config(&["gslb.example"], &targets.toml("")));
    becomes(&server, "www.gslb.example.", &["127.0.0.1"]);
    json(&server, &["freeze", "pool/web"]);
    targets.kill(0);
    becomes(&server, "all.gslb.example.", &["127.0.0.2"]);
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.1"]);
    json(&server, &["release", "pool/web"]);
    assert_eq!(addresses(&server, "www.gslb.example."), ["127.0.0.2"]);
}

/// A zone that cannot be read keeps its programs, and those the pools that they were made for.
#[test]
fn a_reload_changes_pools_and_a_bad_zone_keeps_its_own() {
    let (site, mut targets) = (Site::new(), Targets::new());
    site.write("gslb.example.zone", ZONE);
    site.write("other.example.zone", &ZONE.replace("www ", "www2"));
    let zones = ["gslb.example", "other.example"];
    let server = Leeward::start(&site.config(&zones, &targets.toml("failback_after = \"0s\"\n")));
    becomes(&server, "www.gslb.example.", &["127.0.0.1"]);
    site.write("other.example.zone", "nonsense");
    let changed = targets.toml("failback_after = \"0s\"\nanswers = \"all\"\n");
    // The ports stay as they are: the server was started with them.
    site.config(&zones, &changed);
    let reloaded = client(&server, &["reload"]);
    assert!(!reloaded.status.success(), "one zone is bad: {reloaded:?}");
    becomes(&server, "www.gslb.example.", &["127.0.0.1", "127.0.0.2"]);
    assert_eq!(addresses(&server, "www2.other.example."), ["127.0.0.1"], "as before");
    targets.kill(0);
    becomes(&server, "www.gslb.example.", &["127.0.0.2"]);
    becomes(&server, "www2.other.example.", &["127.0.0.2"]);
    site.write("other.example.zone", &ZONE.replace("www ", "www2"));
    assert!(client(&server, &["reload"]).status.success());
    targets.revive(0);
    becomes(&server, "www2.other.example.", &["127.0.0.1", "127.0.0.2"]);
}

/// Why a client is sent where it is: by which rule of which map, or whose region.
#[test]
fn a_map_is_explained() {
    let (site, targets) = (Site::new(), Targets::new());
    site.write("gslb.example.zone", &ZONE.replace("all  LUA A \"pool('all')\"", "map  LUA A \"pool('map')\""));
    let [one, other] = targets.1.map(|address| address.port());
    let more = format!(
        "[geo.map.clients]\ndefault = [\"eu\"]\nnetworks.\"198.51.100.0/24\" = [\"us\", \"eu\"]\n\
         [pool.map]\nselect = \"map\"\nmap = \"clients\"\n\
         [[pool.map.member]]\nname = \"a\"\nsite = \"eu\"\naddresses = [\"127.0.0.1\"]\nport = {one}\n\
         [[pool.map.member]]\nname = \"b\"\nsite = \"us\"\naddresses = [\"127.0.0.2\"]\nport = {other}\n"
    );
    let server = Leeward::start(&site.config(&["gslb.example"], &format!("{}{more}", targets.toml(""))));
    becomes(&server, "map.gslb.example.", &["127.0.0.1"]);
    for (client, expected) in [("198.51.100.7", "us, eu (by its network)"), ("203.0.113.1", "eu (by its default)")] {
        let said = explained_to(&server, client);
        assert!(said.contains(&format!("the map clients has for {client}: {expected}")), "{said}");
    }
}

fn explained_to(server: &Leeward, address: &str) -> String {
    let said = client(server, &["explain", "map.gslb.example.", "A", "--client", address]);
    String::from_utf8_lossy(&said.stdout).into_owned()
}

// -------- shares

/// What is drawn, by programs of each form and type; `front` has nobody, and falls back on the pool that is counted.
const SHARES: &str = "\
$TTL 30
@      SOA ns hostmaster 1 3600 600 86400 30
@      NS ns
ns     A 192.0.2.53
www    LUA A     \"pool('web')\"
front  LUA A     \"pool('front')\"
all    LUA A     \"pool('all')\"
one    LUA A     \"pickrandom(pool('all'))\"
www    LUA HTTPS \"pool('web')\"
www    LUA SRV   \"pool('web')\"
alias  LUA CNAME \"pool('web')\"
body   LUA A     \"ttl(10, pool('web'))\"
script LUA A     \";for _, one in ipairs(pool('web')) do pool('all') return one end\"
";

/// The pools `web` and `front`, and `all`, of the targets; `more` is of `web`.
fn shares_toml(targets: &Targets, more: &str) -> String {
    let [one, other] = targets.1.map(|address| address.port());
    let member = |pool: &str, name: &str, address: &str, port: u16, weight: u32| {
        format!(
            "[[pool.{pool}.member]]\nname = \"{name}\"\naddresses = [\"{address}\"]\nport = {port}\nweight = {weight}\n\
             host = \"{name}.example.net\"\n"
        )
    };
    let both = |pool: &str| member(pool, "a", "127.0.0.1", one, 1) + &member(pool, "b", "127.0.0.2", other, 3);
    let nobody = member("front", "z", "127.0.0.3", free_port(&[[127, 0, 0, 3].into()]), 1);
    format!(
        "[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\nfall = 1\nrise = 1\n\
         [pool.web]\nselect = \"weighted\"\nslow_start = \"0s\"\nmax_withdraw = \"100%\"\n{more}{}\
         [pool.all]\nselect = \"all\"\n{}[pool.front]\nwhen_none_up = \"pool:web\"\nmax_withdraw = \"100%\"\n{nobody}",
        both("web"),
        both("all"),
    )
}

fn given(server: &Leeward, pool: &str) -> [f64; 2] {
    let count = |target| server.metric(&format!("leeward_pool_answers_total{{pool=\"{pool}\",target=\"{target}\"}}"));
    ["a", "b"].map(|target| count(target).expect("it is counted"))
}

fn wanted(server: &Leeward, pool: &str, target: &str) -> Option<f64> {
    server.metric(&format!("leeward_pool_wanted_share{{pool=\"{pool}\",target=\"{target}\"}}"))
}

/// Asks so many times; how many answers spoke of each member, and how many more have been counted meanwhile.
fn asked(server: &Leeward, name: &str, rtype: RecordType, pool: &str, times: usize) -> ([f64; 2], [f64; 2]) {
    let (before, mut spoken) = (given(server, pool), [0.0; 2]);
    for _ in 0..times {
        let data = server.ask(name, rtype).data;
        for (count, member) in spoken.iter_mut().zip([["127.0.0.1", "a.example.net."], ["127.0.0.2", "b.example.net."]]) {
            let is_named = |record: &String| member.iter().any(|word| record.contains(word));
            *count += f64::from(u8::from(data.iter().any(is_named)));
        }
    }
    let after = given(server, pool);
    (spoken, [after[0] - before[0], after[1] - before[1]])
}

/// Of a weighted pool everyone gets what the weights say; metrics tell both, and what they have counted outlives reloads.
#[test]
fn answers_are_counted_beside_the_share_that_is_wanted() {
    let (site, mut targets) = (Site::new(), Targets::new());
    site.write("gslb.example.zone", SHARES);
    let server = Leeward::start(&site.config(&["gslb.example"], &shares_toml(&targets, "")));
    assert_eq!((wanted(&server, "web", "a"), wanted(&server, "web", "b")), (Some(0.25), Some(0.75)));
    assert_eq!((wanted(&server, "all", "a"), wanted(&server, "front", "z")), (Some(0.5), None));

    let times = 3000;
    let (spoken, counted) = asked(&server, "www.gslb.example.", RecordType::A, "web", times);
    assert_eq!(spoken, counted);
    let share = counted[0] / (counted[0] + counted[1]);
    assert!((share - 0.25).abs() < 0.05, "{share} of the answers name the member that should have a quarter");
    for (name, rtype, pool) in [
        ("www", RecordType::HTTPS, "web"),
        ("www", RecordType::SRV, "web"),
        ("alias", RecordType::CNAME, "web"),
        ("alias", RecordType::A, "web"),
        ("front", RecordType::A, "web"),
        ("body", RecordType::A, "web"),
        ("script", RecordType::A, "web"),
        ("one", RecordType::A, "all"),
        ("all", RecordType::A, "all"),
    ] {
        let (spoken, counted) = asked(&server, &format!("{name}.gslb.example."), rtype, pool, 20);
        assert_eq!(spoken, counted, "{name} {rtype}");
        assert_eq!(spoken[0] + spoken[1], if name == "all" { 40.0 } else { 20.0 }, "{name} {rtype}");
    }
    let before = (given(&server, "web"), given(&server, "all"));
    drop(client(&server, &["explain", "www.gslb.example.", "A"]));
    site.config(&["gslb.example"], &shares_toml(&targets, "ttl = 20\n"));
    let reloaded = client(&server, &["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    assert_eq!((given(&server, "web"), given(&server, "all")), before, "neither an explanation nor a reload counts");
    targets.kill(0);
    becomes(&server, "all.gslb.example.", &["127.0.0.2"]);
    wait_for("the share to follow", || (wanted(&server, "web", "a") == Some(0.0)).then_some(()));
    assert_eq!(wanted(&server, "web", "b"), Some(1.0));
    let (_, counted) = asked(&server, "www.gslb.example.", RecordType::A, "web", 20);
    assert_eq!((counted, given(&server, "web")[0]), ([0.0, 20.0], before.0[0]), "it goes on where it was");
}

// -------- members that are names

/// A server of `up.example`, whose records live for a second.
fn upstream(site: &Site, records: &str) {
    site.write(
        "up.example.zone",
        &format!("$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 192.0.2.53\n{records}"),
    );
}

/// The member of a pool, as the API shows it.
fn member(server: &Leeward, pool: &str) -> Value {
    let pools = server.get_json("/api/v1/pools");
    let found = pools["pools"].as_array().into_iter().flatten().find(|shown| shown["name"].as_str() == Some(pool));
    found.unwrap_or_else(|| panic!("no pool {pool}: {pools}"))["members"][0].clone()
}

fn trouble_is(server: &Leeward, pool: &str, words: &str) {
    wait_for(&format!("{pool} to be in trouble: {words}"), || {
        member(server, pool)["lookup"]["trouble"].as_str().filter(|trouble| trouble.contains(words)).map(drop)
    });
}

fn host_events(server: &Leeward, kind: &str, words: &str) -> usize {
    let events = server.get_json("/api/v1/events");
    let told =
        |event: &&Value| event["kind"].as_str() == Some(kind) && event["text"].as_str().is_some_and(|text| text.contains(words));
    events["events"].as_array().into_iter().flatten().filter(told).count()
}

/// From its first address to its last, over everything that may become of a name and of whom it is asked of.
#[test]
fn a_member_that_is_a_name_is_followed() {
    let (one, two, dead) = (own_address(), own_address(), own_address());
    let port = free_port(&[one, two, dead]);
    let _targets = [one, two].map(|address| Target::on(TcpListener::bind((address, port)).expect("a port")));
    let (above, site) = (Site::new(), Site::new());
    let others = format!("denied A 169.254.7.7\ndenied A {one}\nfails LUA A \"error('on purpose')\"\n");
    upstream(&above, &format!("lb A {one}\n{others}"));
    let upper = Leeward::start(&above.config(&["up.example"], ""));
    let pool = |name: &str, host: &str| {
        format!(
            "[pool.{name}]\nport = {port}\nmax_withdraw = \"100%\"\n[[pool.{name}.member]]\nname = \"a\"\nhost = \"{host}.up.example\"\n"
        )
    };
    let pools = [("web", "lb"), ("denied", "denied"), ("fails", "fails"), ("never", "never")];
    let pools: String = pools.into_iter().map(|(name, host)| pool(name, host)).collect();
    let records: String = ["web", "denied", "fails", "never"].map(|name| format!("{name} LUA A \"pool('{name}')\"\n")).concat();
    let zone = format!(
        "$TTL 30\n@ SOA ns h 1 3600 600 86400 30\n@ NS ns\nns A 192.0.2.53\n{records}web LUA AAAA \"pool('web')\"\nname LUA CNAME \"pool('web')\"\n"
    );
    site.write("gslb.example.zone", &zone);
    let health = "[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\nretry_interval = \"100ms\"\nfall = 1\nrise = 1\n";
    let resolver = upper.dns;
    let config = site.config(&["gslb.example"], &format!("{health}[lua]\nresolver = \"{}\"\n{pools}", upper.dns));
    let server = Leeward::start(&config);
    let [one, two, dead] = [one, two, dead].map(|address| address.to_string());

    assert_eq!(addresses(&server, "web.gslb.example."), [one.as_str()], "the start waited for it");
    assert_eq!(server.ask("name.gslb.example.", RecordType::CNAME).data, ["lb.up.example."]);
    assert_eq!(addresses(&server, "denied.gslb.example."), [one.as_str()]);
    trouble_is(&server, "denied", "169.254.7.7 may not be probed");
    trouble_is(&server, "fails", "the resolver answers SERVFAIL");
    trouble_is(&server, "never", "there is no such name");
    for name in ["fails.gslb.example.", "never.gslb.example."] {
        assert_eq!(server.ask(name, RecordType::A).rcode, "SERVFAIL", "{name}: nothing is known, and nothing is to be cached");
    }

    // Over aliases, and to a second address and a second family.
    upstream(&above, &format!("lb CNAME c1\nc1 CNAME c2\nc2 A {one}\nc2 A {two}\nc2 AAAA ::1\n{others}"));
    assert!(client(&upper, &["reload"]).status.success());
    let mut both = [one.clone(), two.clone()];
    both.sort();
    becomes(&server, "web.gslb.example.", &both.each_ref().map(String::as_str));
    assert_eq!(server.ask("web.gslb.example.", RecordType::AAAA).data, ["::1"]);
    // One that is gone leaves, and so does its family; also while somebody is writing the zone.
    site.write("gslb.example.zone", "half writ");
    upstream(&above, &format!("lb A {two}\n{others}"));
    assert!(client(&upper, &["reload"]).status.success());
    becomes(&server, "web.gslb.example.", &[&two]);
    assert_eq!(server.ask("web.gslb.example.", RecordType::AAAA).data, [""; 0]);
    // One that does not serve is not answered.
    upstream(&above, &format!("lb A {two}\nlb A {dead}\n{others}"));
    assert!(client(&upper, &["reload"]).status.success());
    wait_for("the dead address to be known", || {
        assert_eq!(addresses(&server, "web.gslb.example."), [two.as_str()]);
        let shown = member(&server, "web");
        let shown = shown["addresses"].as_array()?.iter().find(|shown| shown["address"].as_str() == Some(&dead))?;
        (shown["status"].as_str() == Some("down")).then_some(())
    });
    // A name that is gone is a mistake rather than an order; so is a resolver that dies.
    upstream(&above, &others);
    assert!(client(&upper, &["reload"]).status.success());
    trouble_is(&server, "web", "there is no such name");
    assert_eq!(host_events(&server, "host_trouble", "lb.up.example.: there is no such name; addresses that count: 2"), 1);
    drop(upper);
    trouble_is(&server, "web", "the resolver is silent");
    assert_eq!(addresses(&server, "web.gslb.example."), [two.as_str()]);
    let shown = String::from_utf8_lossy(&client(&server, &["pools"]).stdout).into_owned();
    assert!(shown.contains("a: lb.up.example.: ") && shown.contains(" s old; the resolver is silent"), "{shown}");
    assert_eq!(host_events(&server, "host_changed", &format!("lb.up.example. has {one}")), 1);
    // One load as it was looked up first, and one for each change; none for looking again.
    assert!(server.log_count("reload applied") <= 4, "{} loads", server.log_count("reload applied"));
    site.write("gslb.example.zone", &zone);
    assert!(server.stop());

    // What was known outlives the process, and nobody waits long for a resolver that is dead.
    let server = Leeward::start(&config);
    becomes(&server, "web.gslb.example.", &[&two]);
    let shown = member(&server, "web");
    assert!(shown["lookup"]["at"].is_null() && shown["addresses"].as_array().is_some_and(|known| known.len() == 2), "{shown}");
    if has("named") {
        trouble_is(&server, "web", "the resolver is silent");
        upstream(&above, &format!("lb A {one}\n"));
        let _named = named_on(&above, resolver);
        becomes(&server, "web.gslb.example.", &[&one]);
        wait_for("the trouble to be over", || member(&server, "web")["lookup"]["trouble"].is_null().then_some(()));
        assert_eq!(host_events(&server, "host_trouble_over", "lb.up.example. can be looked up again"), 1);
    }
    // A reload takes a name along.
    let fewer = pool_of_reload(&config, port, &one);
    std::fs::write(&config, fewer).expect("written");
    let reloaded = client(&server, &["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    assert_eq!(addresses(&server, "web.gslb.example."), [one.as_str()]);
    assert!(member(&server, "web")["lookup"].is_null());
}

/// BIND with `up.example`, at an address that was another's.
fn named_on(site: &Site, at: SocketAddr) -> Program {
    let config = format!(
        "options {{ directory \"{dir}\"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory \"{dir}\";
        listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no; }};
        controls {{ }}; zone \"up.example\" {{ type primary; file \"up.example.zone\"; }};",
        dir = site.dir.path().display(),
        port = at.port(),
        ip = at.ip()
    );
    let config = site.write("named.conf", &config);
    Program::start(command("named").args(["-g", "-n", "1", "-c"]).arg(config))
}

/// The same configuration, in which the pool `web` has an address.
fn pool_of_reload(config: &std::path::Path, port: u16, address: &str) -> String {
    let text = std::fs::read_to_string(config).expect("read");
    let host = "host = \"lb.up.example\"";
    text.replace(host, &format!("{host}\naddresses = [\"{address}\", \"::1\"]\nport = {port}"))
}
