//! unbound and named as resolvers of leeward's zones, as strict as they can be set: they resolve everything, and their
//! logs hold no word against the server.
//!
//! Their traffic cannot leave loopback: they send from 127.0.0.1. A referral has no port, so following one needs port 53,
//! on addresses that only the test uses; where that may not be bound, that test says so and is skipped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::harness::{Leeward, Program, Site, command, free_port, has, own_address, said, wait_for};
use super::site::{NEAR, Served, head, named};

// -------- what is asked

/// What dig prints of a resolver's answer.
fn resolved(resolver: SocketAddr, args: &[&str]) -> String {
    let (at, port) = (format!("@{}", resolver.ip()), resolver.port().to_string());
    said("dig", &[&["-r", &at, "-p", &port, "+time=30", "+tries=1"], args].concat())
}

/// Every kind of name and answer; negative ones twice, the second from the resolver's memory.
fn resolves_everything(resolver: SocketAddr) {
    for (args, expected) in [
        (&["a.ent.deep.gslb.example"][..], &["status: NOERROR", "192.0.2.5"][..]), // below names without records
        (&["ent.deep.gslb.example"], &["status: NOERROR", "ANSWER: 0"]),
        (&["www.gslb.example"], &["status: NOERROR", "192.0.2.1"]),
        (&["one.gslb.example"], &["status: NOERROR", "192.0.2.7"]),
        (&["lua.gslb.example"], &["CNAME\tone.gslb.example.", "192.0.2.7"]),
        (&["alias.gslb.example", "AAAA"], &["CNAME\tstep.gslb.example.", "CNAME\twww.gslb.example.", "2001:db8::1"]),
        (&["a.old.gslb.example"], &["DNAME\tnew.gslb.example.", "CNAME\ta.new.gslb.example.", "192.0.2.6"]),
        (&["x.wild.gslb.example", "TXT"], &["\"any\""]),
        (&["a.b.wild.gslb.example", "TXT"], &["\"any\""]),
        (&["x.wild.gslb.example", "A"], &["status: NOERROR", "ANSWER: 0"]),
        (&["+tcp", "big.gslb.example", "TXT"], &["status: NOERROR", "0000000000011\""]),
        (&["svc.gslb.example", "HTTPS"], &["1 . alpn=\"h2\" ipv4hint=192.0.2.1"]),
        (&["svc.gslb.example", "SVCB"], &["1 www.gslb.example. port=8443"]),
        (&["no.gslb.example"], &["status: NXDOMAIN", "gslb.example.\t\t60\tIN\tSOA"]),
        (&["no.gslb.example"], &["status: NXDOMAIN", "hostmaster.gslb.example."]),
        (&["www.gslb.example", "MX"], &["status: NOERROR", "ANSWER: 0, AUTHORITY: 1"]),
        (&["www.gslb.example", "MX"], &["status: NOERROR", "ANSWER: 0, AUTHORITY: 1"]),
    ] {
        let text = resolved(resolver, args);
        // Names are as a resolver that plays with the case of its questions makes them.
        let folded = text.to_ascii_lowercase();
        for words in expected {
            assert!(folded.contains(&words.to_ascii_lowercase()), "no `{words}` for {args:?}:\n{text}");
        }
    }
}

// -------- unbound

/// unbound with queries for `zone` sent to `server`, for whose replies it waits as long as a busy host takes.
fn unbound(site: &Site, zone: &str, server: SocketAddr) -> (Program, SocketAddr) {
    let address = own_address();
    let own = SocketAddr::from((address, free_port(&[address])));
    let config = format!(
        "server:\n verbosity: 3\n use-syslog: no\n logfile: \"\"\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n \
         directory: \"{folder}\"\n pidfile: \"\"\n num-threads: 1\n outgoing-range: 128\n interface: {ip}@{port}\n \
         port: {port}\n do-ip6: no\n outgoing-interface: 127.0.0.1\n access-control: 127.0.0.0/8 allow\n \
         do-not-query-localhost: no\n local-zone: \"example.\" nodefault\n module-config: \"subnetcache iterator\"\n \
         send-client-subnet: 127.0.0.0/8\n qname-minimisation: yes\n qname-minimisation-strict: yes\n \
         use-caps-for-id: yes\n harden-glue: yes\n harden-short-bufsize: yes\n harden-large-queries: yes\n \
         harden-below-nxdomain: yes\n harden-referral-path: yes\n unknown-server-time-limit: 20000\n \
         infra-cache-min-rtt: 20000\n\
         remote-control:\n control-enable: no\n\
         stub-zone:\n name: \"{zone}\"\n stub-addr: {to_ip}@{to_port}\n stub-prime: no\n",
        folder = site.dir.path().display(),
        ip = own.ip(),
        port = own.port(),
        to_ip = server.ip(),
        to_port = server.port(),
    );
    let config = site.write("unbound.conf", &config);
    let unbound = Program::start(command("unbound").arg("-d").arg("-c").arg(config));
    wait_for("unbound", || unbound.has_logged("start of service").then_some(()));
    (unbound, own)
}

/// unbound's log has only what it says of a server that answers as it should.
fn is_quiet(log: &[String]) {
    /// What it calls a reply; not lame, a fallback, or thrown away.
    const GOOD: [&str; 5] = ["ANSWER", "nodata ANSWER", "CNAME", "REFERRAL", "NXDOMAIN ANSWER"];
    const BAD: [&str; 7] = ["lame", "throttle", "fallback", "parse error", "scrub", "malformed", "timeout"];
    for line in log {
        let told = [" info: ", " debug: ", " notice: "].iter().any(|level| line.contains(level));
        let reply = line.split("query response was ").nth(1).is_none_or(|reply| GOOD.contains(&reply));
        // It takes a chain's first link and asks for the rest itself, whoever the server is.
        let kept = !line.contains("sanitize: ") || line.contains("sanitize: removing extraneous answer RRset");
        let bad = BAD.iter().any(|word| line.to_ascii_lowercase().contains(word));
        assert!(told && reply && kept && !bad, "unbound complains: {line}");
    }
    assert!(log.iter().any(|line| line.contains("query response was NXDOMAIN ANSWER")), "the log has been read");
}

#[test]
fn unbound_resolves_a_stub_zone() {
    if !has("unbound") || !has("dig") {
        return;
    }
    let served = Served::start("");
    let (unbound, resolver) = unbound(&served.site, "gslb.example", served.dns());
    resolves_everything(resolver);
    // What it remembers it does not ask again.
    let asked = |rcode: &str| {
        let counter = format!("leeward_queries_total{{zone=\"gslb.example.\",transport=\"udp\",rcode=\"{rcode}\"}}");
        served.server.metric(&counter)
    };
    let before = (asked("NOERROR"), asked("NXDOMAIN"));
    assert!(resolved(resolver, &["no.gslb.example"]).contains("status: NXDOMAIN"));
    assert!(resolved(resolver, &["www.gslb.example", "MX"]).contains("ANSWER: 0"));
    assert_eq!((asked("NOERROR"), asked("NXDOMAIN")), before);
    // It says where its clients are.
    assert!(resolved(resolver, &["-b", NEAR, "near.gslb.example"]).contains("192.0.2.10"));
    assert!(resolved(resolver, &["-b", "127.0.0.1", "near.gslb.example"]).contains("192.0.2.20"));
    let told = resolved(resolver, &["+subnet=198.51.100.9/32", "near.gslb.example"]);
    assert!(told.contains("CLIENT-SUBNET: 198.51.100.9/32/24") && told.contains("192.0.2.10"), "{told}");
    is_quiet(&unbound.stop());
}

/// A target dies: the resolver's next answer, when the TTL of its last is over, is the other; until then it is the last.
#[test]
fn unbound_follows_health_by_the_ttl() {
    if !has("unbound") || !has("dig") {
        return;
    }
    let addresses = [own_address(), own_address()];
    let port = free_port(&addresses);
    let [first, second] = addresses.map(|address| TcpListener::bind((address, port)).expect("a listener"));
    let [a, b] = addresses.map(|address| address.to_string());
    let program = format!("\"ifportup({port}, {{{{'{a}'}}, {{'{b}'}}}}, {{interval=1, timeout=1}})\"");
    let site = Site::new();
    let records = format!("short 1 LUA A {program}\nlong 300 LUA A {program}\n");
    site.write("gslb.example.zone", &(head(Ipv4Addr::LOCALHOST.into()) + &records));
    let server = Leeward::start(&site.config(&["gslb.example"], ""));
    let (unbound, resolver) = unbound(&site, "gslb.example", server.dns);
    let answers = |name: &str| resolved(resolver, &["+short", name]).trim().to_owned();
    assert_eq!([answers("short.gslb.example"), answers("long.gslb.example")], [a.clone(), a.clone()]);
    drop(first);
    let fails_over = || server.ask("short.gslb.example", leeward::wire::RecordType::A).data == [b.clone()];
    wait_for("the target's death", || fails_over().then_some(()));
    wait_for("the short answer to be over", || (answers("short.gslb.example") == b).then_some(()));
    assert_eq!(answers("long.gslb.example"), a, "remembered as long as it was told to");
    assert_eq!(resolved(resolver, &["no.gslb.example", "+noall", "+comments"]).matches("NXDOMAIN").count(), 1);
    drop(second);
    is_quiet(&unbound.stop());
}

// -------- a parent zone that refers to leeward

/// `example` at one address, which delegates `gslb.example` to another, each on port 53.
struct Delegated {
    site: Site,
    parent: Leeward,
    child: Served,
}

impl Delegated {
    /// `None`, said visibly, where the port may not be had.
    fn start() -> Option<Self> {
        let [parent, child] = [own_address(), own_address()].map(|address| SocketAddr::from((address, 53)));
        if let Err(error) = UdpSocket::bind(parent) {
            eprintln!("SKIPPED: port 53 of a loopback address cannot be had: {error}");
            return None;
        }
        let site = Site::new();
        let delegation = format!("gslb NS ns.gslb\nns.gslb A {}\n", child.ip());
        site.write("example.zone", &(head(parent.ip()) + &delegation));
        let listen = format!("[server]\nlisten = [\"{parent}\"]\nudp_threads = 1\n");
        let parent = Leeward::start(&site.config(&["example"], &listen));
        Some(Self { site, parent, child: Served::start_on(child, "") })
    }

    fn parent(&self) -> IpAddr {
        self.parent.dns.ip()
    }

    /// Both have been asked.
    fn were_asked(&self) -> bool {
        let count = |server: &Leeward, zone: &str| {
            server.metric(&format!("leeward_queries_total{{zone=\"{zone}\",transport=\"udp\",rcode=\"NOERROR\"}}"))
        };
        count(&self.parent, "example.") > Some(0.0) && count(&self.child.server, "gslb.example.") > Some(0.0)
    }
}

#[test]
fn unbound_follows_a_referral() {
    if !has("unbound") || !has("dig") {
        return;
    }
    let Some(delegated) = Delegated::start() else { return };
    let (unbound, resolver) = unbound(&delegated.site, "example", delegated.parent.dns);
    resolves_everything(resolver);
    assert!(delegated.were_asked());
    let log = unbound.stop();
    assert!(log.iter().any(|line| line.contains("query response was REFERRAL")));
    is_quiet(&log);
}

#[test]
fn named_follows_a_referral() {
    if !has("named") || !has("dig") {
        return;
    }
    let Some(delegated) = Delegated::start() else { return };
    let zones = format!("zone \"example\" {{ type static-stub; server-addresses {{ {}; }}; }};", delegated.parent());
    let (named, resolver) = named(&delegated.site, "recursion yes; qname-minimization strict;", &zones);
    resolves_everything(resolver);
    assert!(delegated.were_asked());
    let log = named.stop();
    let end = log.iter().position(|line| line.ends_with(" running")).expect("it ran");
    let said: Vec<&String> = log[end + 1..].iter().take_while(|line| !line.contains("no longer listening")).collect();
    assert!(said.is_empty(), "named complains: {said:#?}");
}
