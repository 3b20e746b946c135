//! Whole configurations, good and bad.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::program::{Defaults, Limits};

mod checks;
mod notify;
mod peers;
mod pools;
mod sites;

/// A directory with these files; `load`s report paths as seen from it.
struct Place(tempfile::TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| place.write(name, text.as_bytes()));
        place
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn load(&self) -> Loaded {
        let host = Host { name: "host-1".into(), cores: 3, cpus: vec![0, 1, 3], descriptors: 1024, pings: false };
        load_on(&self.0.path().join("leeward.toml"), &host)
    }

    /// The findings, one a line.
    fn findings(&self) -> String {
        let dir = format!("{}/", self.0.path().display());
        self.load().findings.iter().map(|finding| format!("{finding}\n").replace(&dir, "")).collect()
    }

    fn config(&self) -> Config {
        let Loaded { config, findings, .. } = self.load();
        config.unwrap_or_else(|| panic!("{findings:#?}"))
    }
}

/// What is found in one file of this text, to which a zone is added so that none is missed.
#[track_caller]
fn finds(text: &str, expected: &str) {
    let text = format!("{text}\n[zone.\"example.com\"]\nfile = \"example.zone\"\n");
    let found = Place::with(&[("leeward.toml", &text)]).findings();
    let expected: String =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(found, expected, "\n--- found\n{found}--- expected\n{expected}");
}

#[test]
fn defaults() {
    let place = Place::with(&[("leeward.toml", "")]);
    assert_eq!(
        place.findings(),
        "leeward.toml: warning: there is no zone: every query will be refused; add [zone.\"gslb.example.com\"] with a file\n"
    );
    let config = place.config();
    assert_eq!(config.node, Node { name: "host-1".into(), region: "".into(), state_dir: "/var/lib/leeward".into() });
    let listen = ["127.0.0.1:5300", "[::1]:5300"].map(|address| address.parse().unwrap()).to_vec();
    let tcp_idle = Duration::from_secs(10);
    let server = crate::server::Config {
        listen,
        listen_is_default: true,
        freebind: false,
        threads: 3,
        pin: Vec::new(),
        rcvbuf: 4 << 20,
        sndbuf: None,
        tcp_max: 512,
        tcp_per_client: 64,
        tcp_idle,
        tls: None,
    };
    assert_eq!(config.server, server);
    assert_eq!(config.answering, answers::Options::default());
    assert_eq!(config.health, health::Config::default());
    assert_eq!(config.publish_interval, Duration::from_millis(10));
    assert!(!config.insert_whitespace);
    assert_eq!(config.resolver, None);
    assert_eq!(config.prober, prober::Config { max_in_flight: 256, max_proc: 16, max_per_target: 32, threads: 1 });
    assert_eq!(config.fence.allow, None);
    assert_eq!(config.fence.deny, ["169.254.0.0/16", "fe80::/10"].map(|net| net.parse().unwrap()));
    assert_eq!(config.admin.socket, Some("/run/leeward/control.sock".into()));
    assert_eq!(config.admin.listen, Some("127.0.0.1:8053".parse().unwrap()));
    assert!(config.admin.tokens.is_empty());
    assert!(config.zones.is_empty());
    assert_eq!(config.files, [place.0.path().join("leeward.toml")]);
}

#[test]
fn every_key() {
    let text = r#"
        include = []
        [node]
        name = "eu-1"
        region = "eu"
        state_dir = "state"
        [server]
        listen = ["0.0.0.0:53", "[::]:53"]
        udp_threads = 2
        ecs = false
        pin = [3, 1]
        rcvbuf = "64KiB"
        sndbuf = "128KiB"
        tcp_max = 10
        tcp_idle = "500ms"
        tcp_per_client = 5
        freebind = true
        proxy_protocol_from = ["192.0.2.0/24", "2001:db8::1"]
        [lua]
        insert_whitespace = true
        state = "shared"
        step_limit = 5000
        time_limit = "2ms"
        memory_limit = "2MiB"
        resolver = "192.0.2.53:5353"
        [geo]
        databases = ["City.mmdb", "/srv/ASN.mmdb"]
        [health]
        interval = "1m30s"
        timeout = "1s"
        startup_wait = "0s"
        hold = "1h"
        fall = 2
        rise = 4
        forget = 5
        retry_interval = "500ms"
        jitter = "25%"
        slow = "300ms"
        damped = true
        control = ["192.0.2.53:53", "[2001:db8::53]:443"]
        [health.damping]
        penalty = 500
        suppress = 2000
        reuse = 100
        half_life = "1m"
        longest = "5m"
        rise = 7
        [prober]
        max_in_flight = 7
        max_proc = 3
        max_per_target = 4
        threads = 2
        max_checks = 9
        deny = ["169.0.0.0/8", "2001:db8::1"]
        allow = ["192.0.2.0/24", "2001:db8::/32"]
        [publish]
        max_per_second = 4
        [admin]
        socket = ""
        listen = "[::]:8053"
        [admin.token.oncall]
        file = "tokens/oncall"
        role = "operate"
        [admin.token."other one"]
        file = "tokens/other"
        role = "read"
        [zone."GSLB.example.com."]
        file = "zones/gslb.zone"
        [zone."2.0.192.in-addr.arpa"]
        file = "/srv/reverse.zone"
    "#;
    let oncall = "0123456789abcdef";
    let files = [("leeward.toml", text), ("tokens/oncall", "0123456789abcdef\n"), ("tokens/other", "fedcba9876543210")];
    let place = Place::with(&files);
    assert_eq!(place.findings(), "");
    let config = place.config();
    let dir = place.0.path();
    assert_eq!(config.node, Node { name: "eu-1".into(), region: "eu".into(), state_dir: dir.join("state") });
    let listen = ["0.0.0.0:53", "[::]:53"].map(|address| address.parse().unwrap()).to_vec();
    let tcp_idle = Duration::from_millis(500);
    let server = crate::server::Config {
        listen,
        listen_is_default: false,
        freebind: true,
        threads: 2,
        pin: vec![3, 1],
        rcvbuf: 65536,
        sndbuf: Some(131_072),
        tcp_max: 10,
        tcp_per_client: 5,
        tcp_idle,
        tls: None,
    };
    assert_eq!(config.server, server);
    assert_eq!(config.proxies, ["192.0.2.0/24", "2001:db8::1"].map(|net| net.parse().unwrap()));
    let programs = Limits { steps: 5000, time: Duration::from_millis(2), memory: 2 << 20, shared: true };
    let [half_life, longest] = [1, 5].map(|minutes| Duration::from_secs(60 * minutes));
    let damping = health::Damping { penalty: 500, suppress: 2000, reuse: 100, half_life, longest };
    let health = health::Config {
        interval: Duration::from_secs(90),
        timeout: Duration::from_secs(1),
        startup_wait: Duration::ZERO,
        restore_max_age: Duration::from_secs(600),
        hold: Duration::from_secs(3600),
        fall: 2,
        rise: 4,
        forget: 5,
        retry_interval: Duration::from_millis(500),
        slow: Some(Duration::from_millis(300)),
        jitter: 25,
        isolation: true,
        control: ["192.0.2.53:53", "[2001:db8::53]:443"].map(|to| to.parse().unwrap()).to_vec(),
        damped: true,
        damping,
        damped_rise: 7,
        max_checks: Some(9),
        fleet: health::Fleet { region: "eu".into(), ..health::Fleet::default() },
        vote: crate::target::Vote::default(),
    };
    let damped = health.judgement();
    assert_eq!((damped, damped.rise, damped.damping), (health.damped(), 7, Some(damping)));
    assert_eq!(health::Config { damped: false, ..health.clone() }.judgement().rise, 4);
    let checks = Defaults { interval: health.interval, timeout: health.timeout, damped, ..Defaults::default() };
    let answering = answers::Options { ecs: false, tcp_idle, programs, checks, ..answers::Options::default() };
    assert_eq!(config.answering, answering);
    assert!(config.insert_whitespace);
    assert_eq!(config.resolver, Some("192.0.2.53:5353".parse().unwrap()));
    assert_eq!(config.databases, [dir.join("City.mmdb"), "/srv/ASN.mmdb".into()]);
    assert_eq!(config.health, health);
    assert_eq!(config.prober, prober::Config { max_in_flight: 7, max_proc: 3, max_per_target: 4, threads: 2 });
    assert_eq!(config.fence.allow, Some(["192.0.2.0/24", "2001:db8::/32"].map(|net| net.parse().unwrap()).into()));
    assert_eq!(config.fence.deny, ["169.0.0.0/8", "2001:db8::1/128"].map(|net| net.parse().unwrap()));
    assert_eq!(config.publish_interval, Duration::from_millis(250));
    assert_eq!(config.admin.socket, None);
    assert_eq!(config.admin.listen, Some("[::]:8053".parse().unwrap()));
    let [first, second] = config.admin.tokens.as_slice() else { panic!("{:?}", config.admin) };
    assert_eq!((first.name.as_str(), first.role), ("oncall", api::Role::Operate));
    assert!(first.secret.is(oncall.as_bytes()));
    assert_eq!((second.name.as_str(), second.role), ("other one", api::Role::Read));
    let zones = [("gslb.example.com", dir.join("zones/gslb.zone")), ("2.0.192.in-addr.arpa", "/srv/reverse.zone".into())];
    assert_eq!(config.zones, zones.map(|(name, file)| (name.parse().unwrap(), file)).into());
}

#[test]
fn unknown_keys() {
    finds(
        "lisen = 1\n[server]\nlistn = []\nzzz = 1\n[helth]\ninterval = \"5s\"\n[admin]\nsockets = \"x\"",
        r#"
        leeward.toml:1:1: error: unknown key `lisen`; the keys here are include, node, server, lua, prober, health, check, publish, site, geo, pool, admin, notify, peers, peer, zone
        leeward.toml:3:1: error: unknown key `[server] listn`; did you mean `listen`?
        leeward.toml:4:1: error: unknown key `[server] zzz`; the keys here are listen, udp_threads, pin, rcvbuf, sndbuf, tcp_max, tcp_per_client, tcp_idle, freebind, tls, proxy_protocol_from, ecs, any, nsid, chaos, cookies, rrl
        leeward.toml:5:2: error: unknown key `helth`; did you mean `health`?
        leeward.toml:8:1: error: unknown key `[admin] sockets`; did you mean `socket`?
        "#,
    );
}

#[test]
fn keys_of_later_releases() {
    finds(
        "[server]\n  pin = [0, 7]\n\n[service.x]\n[health]\n",
        "
        leeward.toml:2:13: error: `[server] pin` holds 7, which is no processor that leeward may use; write numbers of processors, such as [0, 1]; leeward may use 0, 1, 3
        leeward.toml:4:2: error: `service` is not in this release; remove it, or use a release that has it
        ",
    );
}

#[test]
fn what_is_said_about_answering() {
    let text = r#"
        [server]
        any = "full"
        nsid = "eu-1"
        chaos = false
        [server.cookies]
        required = true
        secret_files = ["new", "old"]
        [server.rrl]
        per_second = 5
        slip = 3
        ipv4_prefix = 20
        ipv6_prefix = 48
        exempt = ["10.0.0.0/8"]
        table_size = 4096
        [zone.x]
        file = "x"
    "#;
    let (new, old) = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100");
    let place = Place::with(&[("leeward.toml", text), ("new", new), ("old", old)]);
    assert_eq!(place.findings(), "");
    let secret =
        |text: &str| answers::Secret::new(std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()));
    let exempt = vec!["10.0.0.0/8".parse().unwrap()];
    let limits = answers::RateLimits { per_second: 5, slip: 3, ipv4_prefix: 20, ipv6_prefix: 48, exempt, table_size: 4096 };
    let expected = answers::Options {
        ecs: true,
        any: answers::Any::Full,
        nsid: Some(b"eu-1".as_slice().into()),
        chaos: false,
        tcp_idle: Duration::from_secs(10),
        cookies: Some(answers::Cookies { secrets: [new, old].map(secret).to_vec(), required: true }),
        rate: Some(limits),
        ..answers::Options::default()
    };
    assert_eq!(place.config().answering, expected);
}

#[test]
fn mistakes_about_answering_are_found() {
    let place = Place::with(&[
        (
            "leeward.toml",
            "[server]\nany = \"most\"\nnsid = \"\"\n[server.cookies]\nsecret_files = [\"short\", \"none\"]\n[server.rrl]\nslip = 101\nexempt = [\"10.0.0.1/8\"]\n[zone.x]\nfile = \"x\"\n",
        ),
        ("short", "0011"),
    ]);
    let found = place.findings();
    for expected in [
        "leeward.toml:2:7: error: `[server] any` is \"most\": neither; write \"minimal\" or \"full\"",
        "leeward.toml:3:8: error: `[server] nsid` is \"\": no such text; write 1 to 64 printable ASCII characters",
        "error: short does not hold 32 hexadecimal digits; make one with: openssl rand -hex 16",
        "error: cannot read cookie secret file none",
        "leeward.toml:7:8: error: `[server.rrl] slip` is 101, which is out of range",
        "leeward.toml:8:11: error: `[server.rrl] exempt` holds \"10.0.0.1/8\"",
    ] {
        assert!(found.contains(expected), "{expected}\n in\n{found}");
    }
}

#[test]
fn wrong_types() {
    finds(
        "include = \"x\"\nnode = 5\n[server]\nlisten = \"127.0.0.1:53\"\nudp_threads = \"2\"\necs = 1\ntcp_idle = 10\n[prober]\ndeny = [\"fe80::/10\", 5]\n[admin]\ntoken.x = 1.5\n[zone]\nx = 1979-05-27\n",
        r#"
        leeward.toml:1:11: error: `include` is a string, not an array of strings; write include = ["conf.d/*.toml"]
        leeward.toml:2:8: error: `node` is an integer, not a table; write [node]
        leeward.toml:4:10: error: `[server] listen` is a string, not an array of strings; write addresses with ports, such as ["192.0.2.1:53", "[2001:db8::1]:53"]
        leeward.toml:5:15: error: `[server] udp_threads` is a string, not an integer; write a number from 0 to 1024
        leeward.toml:6:7: error: `[server] ecs` is an integer, not a boolean; write true or false
        leeward.toml:7:12: error: `[server] tcp_idle` is an integer, not a string; write a time such as "5s" or "1m30s", from 100ms to 1h
        leeward.toml:9:8: warning: `[prober] deny` leaves out 169.254.0.0/16, where clouds keep the credentials of this host; the list replaces the default: name 169.254.0.0/16 and fe80::/10 too
        leeward.toml:9:22: error: `[prober] deny` holds an integer, not a string; write prefixes such as ["169.254.0.0/16", "fe80::/10"]
        leeward.toml:11:11: error: `[admin.token] x` is a float, not a table; write [admin.token.x]
        leeward.toml:13:5: error: `[zone] x` is a date, not a table; write [zone.x]
        "#,
    );
}

#[test]
fn databases() {
    finds(
        "[geo]\ndatabases = [\"a.mmdb\", 5, \"\", \"a.mmdb\"]\ndatabase = \"b.mmdb\"\n",
        r#"
        leeward.toml:2:24: error: `[geo] databases` holds an integer, not a string; write paths such as ["GeoLite2-City.mmdb", "GeoLite2-ASN.mmdb"]
        leeward.toml:2:27: error: `[geo] databases` holds "": no path; write paths such as ["GeoLite2-City.mmdb", "GeoLite2-ASN.mmdb"]
        leeward.toml:2:31: error: `[geo] databases` holds "a.mmdb" twice; remove one
        leeward.toml:3:1: error: unknown key `[geo] database`; did you mean `databases`?
        "#,
    );
}

#[test]
fn bad_values() {
    finds(
        r#"node.name = "a b"
node.state_dir = ""
[server]
listen = ["127.0.0.1", "[::1]:53", "[::1]:53", "localhost:53"]
udp_threads = -1
rcvbuf = "4MB"
tcp_max = 0
tcp_idle = "1ms"
[health]
interval = "5 parsecs"
hold = "0s"
[prober]
deny = ["10.0.0.1/8", "x"]
[publish]
max_per_second = 99999999999999999999"#,
        r#"
        leeward.toml:1:13: error: `[node] name` is "a b": no name for a node; write letters, digits, `-`, `_` and `.`, at most 253 of them
        leeward.toml:2:18: error: `[node] state_dir` is empty; write a path, or remove the key
        leeward.toml:4:11: error: `[server] listen` holds "127.0.0.1": the port is missing; write addresses with ports, such as ["192.0.2.1:53", "[2001:db8::1]:53"]
        leeward.toml:4:36: error: `[server] listen` holds "[::1]:53" twice; remove one
        leeward.toml:4:48: error: `[server] listen` holds "localhost:53": no address and port; write addresses with ports, such as ["192.0.2.1:53", "[2001:db8::1]:53"]
        leeward.toml:5:15: error: `[server] udp_threads` is -1, which is out of range; write a number from 0 to 1024
        leeward.toml:6:10: error: `[server] rcvbuf` is "4MB": no size; write a size such as "64KiB" or "4MiB", from 4096 to 1073741824 octets
        leeward.toml:7:11: error: `[server] tcp_max` is 0, which is out of range; write a number from 1 to 1000000
        leeward.toml:8:12: error: `[server] tcp_idle` is "1ms": out of range; write a time such as "5s" or "1m30s", from 100ms to 1h
        leeward.toml:10:12: error: `[health] interval` is "5 parsecs": unknown time unit "parsecs", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations); write a time such as "5s" or "1m30s", from 100ms to 1day
        leeward.toml:11:8: error: `[health] hold` is "0s": out of range; write a time such as "5s" or "1m30s", from 1s to 1year
        leeward.toml:13:8: warning: `[prober] deny` leaves out 169.254.0.0/16, where clouds keep the credentials of this host; the list replaces the default: name 169.254.0.0/16 and fe80::/10 too
        leeward.toml:13:9: error: `[prober] deny` holds "10.0.0.1/8": it has bits set beyond its length; the prefix is 10.0.0.0/8; write prefixes such as ["169.254.0.0/16", "fe80::/10"]
        leeward.toml:13:23: error: `[prober] deny` holds "x": it is no address prefix such as 192.0.2.0/24; write prefixes such as ["169.254.0.0/16", "fe80::/10"]
        leeward.toml:15:18: error: `[publish] max_per_second` is 9223372036854775807, which is out of range; write a number from 1 to 10000
        "#,
    );
    finds(
        "[server]\nlisten = []",
        r#"leeward.toml:2:10: error: `[server] listen` has no address; write addresses with ports, such as ["192.0.2.1:53", "[2001:db8::1]:53"]"#,
    );
}

#[test]
fn bad_thresholds() {
    let damping = |keys: &str, finding: &str| {
        finds(&format!("[health.damping]\n{keys}"), finding);
    };
    finds(
        r#"[health]
fall = 0
rise = "3"
forget = 1001
retry_interval = "10s"
jitter = "60%"
damped = 1
slow = "2s""#,
        r#"
        leeward.toml:2:8: error: `[health] fall` is 0, which is out of range; write a number from 1 to 1000
        leeward.toml:3:8: error: `[health] rise` is a string, not an integer; write a number from 1 to 1000
        leeward.toml:4:10: error: `[health] forget` is 1001, which is out of range; write a number from 1 to 1000
        leeward.toml:5:18: warning: `[health] retry_interval` (10s) is longer than `[health] interval` (5s); nothing is asked again later than at the interval: shorten it
        leeward.toml:6:10: error: `[health] jitter` is "60%": no such share; write a share of the interval such as "10%", from 0% to 50%
        leeward.toml:7:10: error: `[health] damped` is an integer, not a boolean; write true or false
        leeward.toml:8:8: warning: `[health] slow` is not below `[health] timeout` (2s), so nothing is slow; use a shorter time, or a longer timeout
        "#,
    );
    damping(
        "reuse = 3000",
        "leeward.toml:2:9: error: `[health.damping] reuse` (3000) is not below `suppress` (3000); a target is held back from \
         `suppress` on, until it is below `reuse`",
    );
    finds(
        "[prober]\ndeny = [\"169.254.0.0/16\", \"192.0.2.0/24\"]\n[health]\ncontrol = [\"192.0.2.1:53\", \"x\"]",
        r#"
        leeward.toml:4:11: error: `[health] control` has 192.0.2.1:53, which may not be probed: it lies in `[prober] deny`; name another, or allow it
        leeward.toml:4:11: warning: `[health] control` has one address, whose failure alone holds all verdicts; name two or more that fail apart from each other
        leeward.toml:4:28: error: `[health] control` holds "x": no address and port; write addresses with ports that take TCP connections, such as ["192.0.2.1:53", "[2001:db8::1]:443"]
        "#,
    );
    damping(
        "longest = \"2min\"",
        "leeward.toml:2:11: error: `[health.damping] suppress` (3000) is above 1500, from where `longest` (2m) leads; allow a \
         longer time, or more half-lives in it",
    );
}

#[test]
fn a_timeout_beyond_the_interval_is_a_warning() {
    let text = "[health]\ninterval = \"1s\"\n[zone.x]\nfile = \"x\"";
    let place = Place::with(&[("leeward.toml", text)]);
    let expected = "leeward.toml:2:12: warning: `[health] timeout` (2s) is longer than `[health] interval` (1s); \
                    a probe should end before the next is due: shorten the timeout\n";
    assert_eq!(place.findings(), expected);
    assert_eq!(place.config().health.interval, Duration::from_secs(1));
}

#[test]
fn zones() {
    finds(
        r#"[zone."EXAMPLE.com."]
file = "a"
[zone."a..b"]
file = "b"
[zone.nofile]
notify = 1
[zone.empty]
file = """#,
        r#"
        leeward.toml:3:7: error: "a..b" is no zone name: an empty label; write a domain name
        leeward.toml:5:7: error: `[zone.nofile] file` is missing; write the path of its master file: file = "example.zone"
        leeward.toml:6:1: error: unknown key `[zone.nofile] notify`; the keys here are file
        leeward.toml:8:8: error: `[zone.empty] file` is empty; write a path, or remove the key
        leeward.toml:9:7: error: zone example.com. is set twice, first at leeward.toml:1:7; remove it here or at leeward.toml:1:7
        "#,
    );
}

#[test]
fn tokens() {
    let text = r#"[admin]
listen = "192.0.2.1:8053"
[admin.token.a]
file = "good"
role = "root"
[admin.token.b]
file = "none"
[admin.token.c]
file = "empty"
role = "read"
[admin.token.d]
file = "short"
role = "read"
[admin.token.e]
file = "lines"
role = "read"
[admin.token.f]
role = "read"
[admin.token.g]
file = "good"
role = "read"
[admin.token.h]
file = "good"
role = "admin"
[zone.x]
file = "x""#;
    let place = Place::with(&[
        ("leeward.toml", text),
        ("good", "0123456789abcdef"),
        ("empty", " \n"),
        ("short", "0123456789abcde\n"),
        ("lines", "0123456789abcdef\n0123456789abcdef\n"),
    ]);
    std::fs::set_permissions(place.0.path().join("short"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let expected = r#"leeward.toml:5:8: error: `[admin.token.a] role` is "root": no role; write "read", "operate" or "admin"
leeward.toml:6:14: error: `[admin.token.b] role` is missing; write "read", "operate" or "admin"
leeward.toml:7:8: error: cannot read token file none: No such file or directory (os error 2); make one with: openssl rand -hex 32
leeward.toml:9:8: error: token file empty is empty; make one with: openssl rand -hex 32
leeward.toml:12:8: warning: everyone on this host can read token file short; chmod o-r short
leeward.toml:12:8: error: the token in short is shorter than 16 characters; make one with: openssl rand -hex 32
leeward.toml:15:8: error: the token in lines holds characters that no HTTP header can carry; one line of printable ASCII without spaces; make one with: openssl rand -hex 32
leeward.toml:17:14: error: `[admin.token.f] file` is missing; write the path of a file that holds the token
leeward.toml:23:8: error: token `h` is the same as token `g`; a caller is known by the token alone: give each its own
"#;
    let found = place.findings();
    assert_eq!(found, expected, "\n--- found\n{found}--- expected\n{expected}");
}

#[test]
fn a_listener_that_others_reach_needs_a_token() {
    for (listen, allowed) in [
        ("127.0.0.1:8053", true),
        ("[::1]:8053", true),
        ("[::ffff:127.0.0.1]:8053", true),
        ("", true),
        ("0.0.0.0:8053", false),
        ("[::]:8053", false),
        ("192.0.2.1:8053", false),
    ] {
        let place = Place::with(&[("leeward.toml", &format!("[admin]\nlisten = \"{listen}\"\n[zone.x]\nfile = \"x\""))]);
        assert_eq!(place.load().config.is_some(), allowed, "{listen}");
        assert_eq!(place.findings().contains("2:10: error: `[admin] listen` is"), !allowed, "{listen}");
    }
    let long = format!("[admin]\nsocket = \"/{}\"\n", "x".repeat(107));
    finds(
        &long,
        "leeward.toml:2:10: error: `[admin] socket` is longer than 107 octets; the system allows no longer path for a socket: use a shorter one",
    );
}

#[test]
fn broken_lines_give_one_finding_each() {
    finds(
        "[server\nlisten = 5\n[node]\nname = \nstate 5\n[lua]\ninsert_whitespace = 1\n[zone.x]\nfile 5\n[lua]\n",
        "
        leeward.toml:1:8: error: this is not TOML: unclosed table; expected `]`
        leeward.toml:4:8: error: this is not TOML: string values must be quoted; expected literal string
        leeward.toml:5:7: error: this is not TOML: key with no value; expected `=`
        leeward.toml:7:21: error: `[lua] insert_whitespace` is an integer, not a boolean; write true or false
        leeward.toml:9:6: error: this is not TOML: key with no value; expected `=`
        leeward.toml:10:2: error: `lua` is set twice in this file; remove one
        ",
    );
    let place = Place::with(&[]);
    place.write("leeward.toml", b"[node]\nname = \"\xFF\"\n");
    assert_eq!(place.findings(), "leeward.toml:2:9: error: this is not UTF-8; save the file as UTF-8\n");
}

#[test]
fn files_that_cannot_be_read() {
    let place = Place::with(&[]);
    let expected = "leeward.toml: error: cannot read leeward.toml: No such file or directory (os error 2); \
                    the file must exist and be readable by this user\n";
    assert_eq!(place.findings(), expected);
    assert!(place.load().config.is_none());
    finds(
        "include = [\"a.toml\", \"none/*.toml\", \"*/x.toml\", \"dir/\", 5]",
        r#"
        leeward.toml:1:12: error: cannot read a.toml: No such file or directory (os error 2); the file must exist and be readable by this user
        leeward.toml:1:22: error: cannot include `none/*.toml`: No such file or directory (os error 2); a pattern may stand in the last part of the path, in a directory that can be read
        leeward.toml:1:37: error: cannot read */x.toml: No such file or directory (os error 2); the file must exist and be readable by this user
        leeward.toml:1:49: error: `dir/` names no file; name a file, or a pattern such as conf.d/*.toml
        leeward.toml:1:57: error: `include` holds an integer, not a string; write include = ["conf.d/*.toml"]
        "#,
    );
}

#[test]
fn includes() {
    let place = Place::with(&[
        ("leeward.toml", "include = [\"conf.d/*.toml\", \"more.toml\"]\n[server]\necs = false\n"),
        ("conf.d/b.toml", "[zone.b]\nfile = \"b.zone\"\n"),
        ("conf.d/a.toml", "[zone.a]\nfile = \"../a.zone\"\n[server]\ntcp_max = 5\n"),
        ("conf.d/.hidden.toml", "nonsense"),
        ("conf.d/other.txt", "nonsense"),
        ("more.toml", "include = [\"deep/x.toml\", \"empty*\"]\n"),
        ("deep/x.toml", "[node]\nstate_dir = \"state\"\n"),
    ]);
    assert_eq!(place.findings(), "");
    let config = place.config();
    let dir = place.0.path();
    let zones = [("a", dir.join("conf.d/../a.zone")), ("b", dir.join("conf.d/b.zone"))];
    assert_eq!(config.zones, zones.map(|(name, file)| (name.parse().unwrap(), file)).into());
    assert_eq!((config.server.tcp_max, config.answering.ecs), (5, false));
    assert_eq!(config.node.state_dir, dir.join("deep/state"));
    let files = ["leeward.toml", "conf.d/a.toml", "conf.d/b.toml", "more.toml", "deep/x.toml"];
    assert_eq!(config.files, files.map(|file| dir.join(file)));
}

#[test]
fn findings_of_all_files_come_at_once() {
    let place = Place::with(&[
        ("leeward.toml", "include = [\"z.toml\", \"a.toml\"]\n[server]\necs = 5\ntcp_max = 1\n[zone.x]\nfile = \"x\"\n"),
        ("z.toml", "server.tcp_max = 2\nnonsense = 1\nzone.x.file = \"y\"\n"),
        ("a.toml", "node =\n[health]\nhold = \"x\"\n"),
    ]);
    let expected = r#"leeward.toml:3:7: error: `[server] ecs` is an integer, not a boolean; write true or false
z.toml:1:8: error: `[server] tcp_max` is set in two files, first at leeward.toml:4:1; remove it here or at leeward.toml:4:1
z.toml:2:1: error: unknown key `nonsense`; the keys here are include, node, server, lua, prober, health, check, publish, site, geo, pool, admin, notify, peers, peer, zone
z.toml:3:8: error: `[zone.x] file` is set in two files, first at leeward.toml:6:1; remove it here or at leeward.toml:6:1
a.toml:1:7: error: this is not TOML: string values must be quoted; expected literal string
a.toml:3:8: error: `[health] hold` is "x": expected number at 0; write a time such as "5s" or "1m30s", from 1s to 1year
"#;
    let found = place.findings();
    assert_eq!(found, expected, "\n--- found\n{found}--- expected\n{expected}");
}

#[test]
fn includes_end() {
    let place = Place::with(&[
        ("leeward.toml", "include = [\"a.toml\"]\n[zone.x]\nfile = \"x\""),
        ("a.toml", "include = [\"./leeward.toml\"]"),
    ]);
    let expected =
        "a.toml:1:12: error: ./leeward.toml is included a second time; remove this, or what asked for it first: leeward.toml\n";
    assert_eq!(place.findings(), expected);
    let chain = |last: usize| {
        let place = Place::with(&[("leeward.toml", "include = [\"1.toml\"]\n[zone.x]\nfile = \"x\"")]);
        for number in 1..last {
            place.write(&format!("{number}.toml"), format!("include = [\"{}.toml\"]", number + 1).as_bytes());
        }
        place.write(&format!("{last}.toml"), b"");
        place.findings()
    };
    assert_eq!(chain(8), "");
    assert_eq!(chain(9), "8.toml:1:1: error: includes nest deeper than 8 files; include this from a file further up\n");
}

#[test]
fn what_needs_a_restart() {
    let place = Place::with(&[("t", "0123456789abcdef"), ("u", "fedcba9876543210")]);
    let config = |text: &str| {
        place.write("leeward.toml", text.as_bytes());
        place.config()
    };
    const TOKEN: &str = "[admin.token.a]\nfile = \"t\"\nrole = \"read\"\n";
    let before = config(TOKEN);
    for (text, expected) in [
        ("", ""),
        ("server.ecs = false", ""),
        ("health = { interval = \"9s\", timeout = \"1s\", startup_wait = \"1s\", hold = \"1h\" }", ""),
        ("lua.insert_whitespace = true", ""),
        ("lua.resolver = \"192.0.2.53:53\"", ""),
        ("publish.max_per_second = 1", ""),
        ("geo.databases = [\"x.mmdb\"]", ""),
        ("[zone.x]\nfile = \"x\"", ""),
        ("server.listen = [\"[::1]:5300\"]", "[server] listen"),
        ("server = { udp_threads = 9, rcvbuf = \"1MiB\" }", "[server] udp_threads, [server] rcvbuf"),
        ("server = { tcp_max = 9, tcp_idle = \"1s\" }", "[server] tcp_max, [server] tcp_idle"),
        ("server = { tcp_per_client = 9, freebind = true }", "[server] freebind, [server] tcp_per_client"),
        ("server.proxy_protocol_from = [\"192.0.2.0/24\"]", "[server] proxy_protocol_from"),
        ("node = { name = \"x\", state_dir = \"/x\" }", "[node] name, [node] state_dir"),
        (
            "prober = { max_in_flight = 1, max_checks = 5, deny = [] }",
            "[prober] max_in_flight, [prober] max_checks, [prober] deny",
        ),
        ("prober = { max_per_target = 1, threads = 4 }", "[prober] max_per_target, [prober] threads"),
        ("[admin]\nsocket = \"\"\nlisten = \"\"", "[admin] socket, [admin] listen"),
        ("[notify.x]\nurl = \"http://192.0.2.1/\"", ""),
    ] {
        let after = config(&format!("{text}\n{TOKEN}"));
        assert_eq!(before.needs_restart(&after).join(", "), expected, "{text}");
    }
    for text in ["", &TOKEN.replace("read", "admin"), &TOKEN.replace("\"t\"", "\"u\""), &TOKEN.replace("token.a", "token.b")] {
        assert_eq!(before.needs_restart(&config(text)), ["[admin.token]"], "{text}");
    }
}

/// A certificate and its key, as PEM.
fn pair() -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(["ns.example".to_owned()]).unwrap();
    [made.cert.pem(), made.signing_key.serialize_pem()]
}

const PAIR: &str = "[server.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";

#[test]
fn encrypted_transports() {
    let [cert, key] = pair();
    let text = format!("{PAIR}dot = [\"[::1]:853\"]\ndoh = [\"[::1]:443\"]\ndoq = [\"[::1]:853\"]\ndoh_path = \"/q\"\n");
    let place = Place::with(&[("leeward.toml", &text), ("cert.pem", &cert), ("key.pem", &key)]);
    let config = place.config();
    let tls = config.server.tls.clone().unwrap();
    let [dns, https] = ["[::1]:853", "[::1]:443"].map(|address| vec![address.parse::<SocketAddr>().unwrap()]);
    assert_eq!((&tls.dot, &tls.doh, &tls.doq, tls.doh_path.as_str()), (&dns, &https, &dns, "/q"));
    assert!(!format!("{config:?}").contains("PRIVATE"));
    assert_eq!(config.server.workers(), (2 + 1) * 3 + 1, "DoQ has one of its own");
    // A new pair needs no restart, new addresses do.
    let [cert, key] = pair();
    place.write("cert.pem", cert.as_bytes());
    place.write("key.pem", key.as_bytes());
    let renewed = place.config();
    assert_ne!(renewed.server.tls, config.server.tls);
    assert_eq!(config.needs_restart(&renewed), Vec::<String>::new());
    place.write("leeward.toml", format!("{PAIR}dot = [\"[::1]:1853\"]\ndoh = [\"[::1]:443\"]").as_bytes());
    let moved = ["[server.tls] dot", "[server.tls] doq", "[server.tls] doh_path"];
    assert_eq!(config.needs_restart(&place.config()), moved);
    place.write("leeward.toml", b"");
    let off = ["[server.tls] dot", "[server.tls] doh", "[server.tls] doq"];
    assert_eq!(config.needs_restart(&place.config()), off);
}

#[test]
fn encrypted_transports_that_cannot_be() {
    const CERT: &str = "write the path of a PEM file: the server's certificate, then those of its issuers";
    const KEY: &str = "write the path of a PEM file with the certificate's private key";
    let ([cert, key], [_, other]) = (pair(), pair());
    let zone = "[zone.x]\nfile = \"x\"\n";
    let found = |text: &str, cert: Option<&str>, key: &str| {
        let place = Place::with(&[("leeward.toml", &format!("{text}\n{zone}")), ("key.pem", key)]);
        cert.iter().for_each(|cert| place.write("cert.pem", cert.as_bytes()));
        place.findings()
    };
    let dot = format!("{PAIR}dot = [\"127.0.0.1:853\"]");
    assert_eq!(found(&dot, Some(&cert), &key), "");
    assert_eq!(
        found(&dot, Some(&cert), &other),
        "leeward.toml:3:7: error: key.pem cannot be used: it is not the key of the certificate; \
         give the key that the certificate was made for; were both files replaced?\n"
    );
    assert!(found(&dot, None, &key).starts_with("leeward.toml:2:8: error: cannot read the certificate cert.pem: No such file"));
    assert!(
        found(&dot, Some("x"), &key).starts_with("leeward.toml:2:8: error: cert.pem cannot be used: it holds no certificate")
    );
    assert!(
        found(&dot, Some(&cert), "x").starts_with("leeward.toml:3:7: error: key.pem cannot be used: it holds no private key")
    );
    assert_eq!(
        found("server.tls.doq = [\"127.0.0.1:853\"]", None, ""),
        format!(
            "leeward.toml:1:18: error: `[server.tls] cert` is missing; {CERT}\n\
             leeward.toml:1:18: error: `[server.tls] key` is missing; {KEY}\n"
        )
    );
    assert!(
        found(PAIR, Some(&cert), &key).starts_with("leeward.toml:2:8: warning: `[server.tls]` has a certificate and nothing")
    );
    let twice = format!("server.listen = [\"127.0.0.1:53\"]\n{PAIR}doh = [\"127.0.0.1:53\"]\ndoh_path = \"q\"");
    assert_eq!(
        found(&twice, Some(&cert), &key),
        "leeward.toml:5:7: error: `[server.tls] doh` is 127.0.0.1:53, where another transport listens; give each transport a port of its own\n\
         leeward.toml:6:12: error: `[server.tls] doh_path` is \"q\": no path; write a path such as \"/dns-query\"\n"
    );
}

#[test]
fn zones_without_a_file() {
    let zones = BTreeMap::from([("example.com".parse().unwrap(), "example.zone".into())]);
    let config = Config::without_file(zones.clone());
    assert_eq!(config.zones, zones);
    assert!(config.answering.ecs);
    assert!(config.files.is_empty());
}

#[test]
fn nothing_shows_a_token() {
    let text = "[admin.token.a]\nfile = \"t\"\nrole = \"read\"\n";
    let config = Place::with(&[("leeward.toml", text), ("t", "0123456789abcdef")]).config();
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}
