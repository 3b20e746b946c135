//! `[check.NAME]`, good and bad.

use crate::target::{
    CheckKind, Codes, DnsCheck, ExecCheck, FileCheck, GrpcCheck, HttpCheck, Judgement, NamedCheck, Rcode, Scheme, TlsCheck,
    Version, Vote,
};

use super::*;

/// The definition `x` of a file with this text.
#[track_caller]
pub(super) fn definition(text: &str) -> NamedCheck {
    let place = Place::with(&[("leeward.toml", &format!("[check.x]\n{text}\n[zone.z]\nfile = \"z\"\n"))]);
    assert_eq!(place.findings(), "", "{text}");
    place.config().answering.checks.named.get("x").expect("defined").clone()
}

fn http(text: &str) -> HttpCheck {
    match definition(text).kind {
        CheckKind::Http(http) => HttpCheck::clone(&http),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_every_kind_has() {
    let check = definition("kind = \"tcp\"");
    let (timeout, interval) = (Duration::from_secs(2), Duration::from_secs(5));
    let judgement = health::Config::default().judgement();
    assert_eq!(check, NamedCheck { kind: CheckKind::Tcp, port: None, sources: Vec::new(), timeout, interval, judgement });
    let check = definition(
        "kind = \"tcp\"\ninterval = \"500ms\"\ntimeout = \"250ms\"\nfall = 1\nrise = 2\nport = 81\nsource = [\"192.0.2.1\", \"::1\"]",
    );
    let (timeout, interval) = (Duration::from_millis(250), Duration::from_millis(500));
    let sources = ["192.0.2.1", "::1"].map(|address| address.parse().unwrap()).to_vec();
    let judgement = Judgement { fall: 1, rise: 2, ..judgement };
    assert_eq!(check, NamedCheck { kind: CheckKind::Tcp, port: Some(81), sources, timeout, interval, judgement });
    let damped = definition("kind = \"tcp\"\ndamped = true\nforget = 4\nretry_interval = \"200ms\"").judgement;
    let retry = Some(Duration::from_millis(200));
    assert_eq!(damped, Judgement { forget: 4, retry, ..health::Config::default().damped() });
    assert_eq!(
        definition("kind = \"tcp\"\njitter = \"0%\"").judgement,
        Judgement { jitter: Some(0), ..health::Config::default().judgement() }
    );
    assert_eq!(definition("kind = \"tcp\"\nsource = \"::1\"").sources, ["::1".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn http_and_https() {
    let leeward = || "leeward".into();
    let plain = HttpCheck { user_agent: leeward(), ..HttpCheck::get(Scheme::Http, "", "/") };
    assert_eq!(http("kind = \"http\""), plain);
    let check = http(
        "kind = \"https\"\nmethod = \"POST\"\npath = \"/h?a=1\"\nhost = \"WWW.example.com\"\nsni = \"sni.test\"\nverify = false\n\
         headers = { X-Token = \"hush\", Accept = \"text/plain\" }\nbody = \"a=b\"\nexpect = [\"200-299\", 304]\ncontains = \"ok\"\n\
         matches = \"^o\"\nredirects = false\nhttp = \"2\"",
    );
    assert_eq!((check.method.as_str(), &*check.path, &*check.host), ("POST", "/h?a=1", "www.example.com"));
    assert_eq!((check.sni.as_deref(), check.verify, check.redirects), (Some("sni.test"), false, false));
    assert_eq!((check.status, check.version), (Codes::of([200..=299, 304..=304]), Version::Two));
    assert_eq!((check.body.as_deref(), check.pattern.as_ref().map(|p| p.as_str())), (Some("ok"), Some("^o")));
    let names: Vec<_> = check.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((&*check.content.0, names), ("a=b", vec!["accept", "x-token"]));
    assert!(http("kind = \"https\"\nhost = \"x.test\"").verify, "certificates are verified unless that is switched off");
    assert_eq!(http("kind = \"http\"\nexpect = 204").status, Codes::only(204));
}

#[test]
fn mistakes_of_every_kind() {
    finds(
        r#"[check."a b"]
kind = "tcp"
[check.none]
interval = "1s"
[check.other]
kind = "htpp"
[check.bad]
kind = "tcp"
interval = "1s"
timeout = "2s"
fall = 0
port = 70000
source = ["::1", "::2", "x", 5, "224.0.0.1"]
method = "GET"
jitter = "60%"
"#,
        r#"
        leeward.toml:1:8: error: `a b` is no name for a check; write letters, digits, `-`, `_` and `.`, at most 63 of them
        leeward.toml:3:8: error: `[check.none] kind` is missing; write one of KINDS
        leeward.toml:6:8: error: `[check.other] kind` is "htpp": no kind of check; write one of KINDS
        leeward.toml:10:11: warning: `[check.bad] timeout` (2s) is longer than `[check.bad] interval` (1s); a probe should end before the next is due: shorten the timeout
        leeward.toml:11:8: error: `[check.bad] fall` is 0, which is out of range; write a number from 1 to 1000
        leeward.toml:12:8: error: `[check.bad] port` is 70000, which is out of range; write a number from 1 to 65535
        leeward.toml:13:18: error: `[check.bad] source` has two addresses of one family; write an address of this host, such as "192.0.2.1", or one of each family
        leeward.toml:13:25: error: `[check.bad] source` is "x", which is no address; write an address of this host, such as "192.0.2.1", or one of each family
        leeward.toml:13:30: error: `[check.bad] source` is an integer, not a string; write an address of this host, such as "192.0.2.1", or one of each family
        leeward.toml:13:33: error: `[check.bad] source` is 224.0.0.1, from which nothing can be sent; write an address of this host, such as "192.0.2.1", or one of each family
        leeward.toml:14:1: error: unknown key `[check.bad] method`; the keys here are kind, interval, timeout, damped, fall, rise, forget, retry_interval, slow, tripwire, jitter, vote, port, source
        leeward.toml:15:10: error: `[check.bad] jitter` is "60%": no such share; write a share of the interval such as "10%", from 0% to 50%
        "#
        .replace("KINDS", &super::super::checks::kinds())
        .as_str(),
    );
}

#[test]
fn mistakes_of_http() {
    finds(
        r#"[check.x]
kind = "https"
method = "get"
path = "health"
host = "a b"
headers = { Connection = "x", "a b" = "hush", Y = 5, Z = "hush\n" }
body = "hush"
expect = ["200-99", 20, "x", true]
matches = "("
http = "3"
redirects = 1
"#,
        r#"
        leeward.toml:1:8: warning: the certificate must be valid for the target's bare address, since no name is given; write the name that clients use, or verify = false
        leeward.toml:1:8: error: `[check.x] body` with the method GET; add method = "POST"
        leeward.toml:3:10: error: `[check.x] method` is "get": no such method; write one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS
        leeward.toml:4:8: error: `[check.x] path` is "health": no path: it does not begin with a slash; write a path such as "/health?deep=1"
        leeward.toml:5:8: error: `[check.x] host` is "a b": invalid international domain name; write the name of a host, such as "www.example.com"
        leeward.toml:6:26: error: `Connection` in `[check.x] headers` is what the probe itself says; write headers = { X-Name = "value" }
        leeward.toml:6:39: error: `a b` in `[check.x] headers` cannot be the name of a header; write headers = { X-Name = "value" }
        leeward.toml:6:51: error: `Y` in `[check.x] headers` is an integer, not a string; write headers = { X-Name = "value" }
        leeward.toml:6:58: error: `Z` in `[check.x] headers` holds control characters; write headers = { X-Name = "value" }
        leeward.toml:8:11: error: `[check.x] expect` holds "200-99", which is no status; write statuses from 100 to 999 and ranges of them, such as ["200-299", 304]
        leeward.toml:8:21: error: `[check.x] expect` holds 20, which is no status; write statuses from 100 to 999 and ranges of them, such as ["200-299", 304]
        leeward.toml:8:25: error: `[check.x] expect` holds "x", which is no status; write statuses from 100 to 999 and ranges of them, such as ["200-299", 304]
        leeward.toml:8:30: error: `[check.x] expect` holds a boolean, which is no status; write statuses from 100 to 999 and ranges of them, such as ["200-299", 304]
        leeward.toml:9:11: error: `[check.x] matches` is "(": unclosed group; write a regular expression as https://docs.rs/regex describes them
        leeward.toml:10:8: error: `[check.x] http` is "3": no version that this release speaks; write "1.1" or "2"
        leeward.toml:11:13: error: `[check.x] redirects` is an integer, not a boolean; write true or false
        "#,
    );
}

fn kind(text: &str) -> CheckKind {
    definition(text).kind
}

#[test]
fn the_kinds_of_this_release() {
    let tls = |sni: Option<&str>, verify, min_days_left| TlsCheck { sni: sni.map(Into::into), verify, min_days_left };
    assert_eq!(kind("kind = \"tls\"\nverify = false"), CheckKind::Tls(tls(None, false, None).into()));
    assert_eq!(
        kind("kind = \"tls\"\nsni = \"x.test\"\nmin_days_left = 14"),
        CheckKind::Tls(tls(Some("x.test"), true, Some(14)).into())
    );
    let dns = DnsCheck {
        name: "www.x.test.".into(),
        rtype: 1,
        mnemonic: "A".into(),
        tcp: false,
        recursion: true,
        rcode: Rcode::NOERROR,
        answer: None,
    };
    assert_eq!(kind("kind = \"dns\"\nname = \"www.x.test\""), CheckKind::Dns(dns.clone().into()));
    let other = DnsCheck { rtype: 28, mnemonic: "AAAA".into(), tcp: true, recursion: false, answer: Some("::1".into()), ..dns };
    assert_eq!(
        kind("kind = \"dns\"\nname = \"www.x.test.\"\ntype = \"aaaa\"\ntransport = \"tcp\"\nrecursion = false\nanswer = \"::1\""),
        CheckKind::Dns(other.into())
    );
    let exec = ExecCheck { program: "/bin/sh".into(), arguments: ["-c", "exit 0"].map(Into::into).into() };
    assert_eq!(kind("kind = \"exec\"\nargv = [\"/bin/sh\", \"-c\", \"exit 0\"]"), CheckKind::Exec(exec.into()));
    let grpc = GrpcCheck { service: "a.B".into(), host: Some("x.test".into()), tls: Some(tls(None, true, None)) };
    assert_eq!(kind("kind = \"grpc\"\nservice = \"a.B\"\nhost = \"x.test\"\ntls = true"), CheckKind::Grpc(grpc.into()));
    assert_eq!(kind("kind = \"file\"\nfile = \"/etc/up\""), CheckKind::File(FileCheck { path: "/etc/up".into() }.into()));
}

#[test]
fn kubernetes_inside_and_outside() {
    use crate::target::{KubernetesCheck, Workload};
    let text = |more: &str| format!("[check.k]\nkind = \"kubernetes\"\nnamespace = \"shop\"\n{more}\n[zone.z]\nfile = \"z\"\n");
    let read = |more: &str| {
        let place = Place::with(&[("leeward.toml", &text(more)), ("token", "t"), ("ca.pem", "")]);
        (place.config().answering.checks.named.get("k").expect("a check").kind.clone(), place.findings(), place)
    };
    let (inside, warned, _place) = read("service = \"web\"");
    let own = |name: &str| Some(format!("/var/run/secrets/kubernetes.io/serviceaccount/{name}").into());
    let expected = KubernetesCheck {
        url: "https://kubernetes.default.svc".into(),
        namespace: "shop".into(),
        workload: Workload::Service("web".into()),
        at_least: 1,
        token_file: own("token"),
        ca_file: own("ca.crt"),
    };
    assert_eq!(inside, CheckKind::Kubernetes(expected.clone().into()));
    assert!(warned.contains("until it can be read, nothing is known of the targets"), "{warned}");
    let outside = "url = \"https://k.test:6443/prefix/\"\nselector = \"app=web\"\nat_least = 3\ntoken_file = \"token\"\nca_file = \"ca.pem\"";
    let (outside, warned, place) = read(outside);
    let at = |name: &str| Some(place.0.path().join(name));
    let expected = KubernetesCheck {
        url: "https://k.test:6443/prefix".into(),
        workload: Workload::Pods("app=web".into()),
        at_least: 3,
        token_file: at("token"),
        ca_file: at("ca.pem"),
        ..expected
    };
    assert_eq!((outside, &*warned), (CheckKind::Kubernetes(expected.into()), ""));
    finds(
        r#"[check.none]
kind = "kubernetes"
url = "ftp://x"
[check.both]
kind = "kubernetes"
url = "https://a:b@x/?q"
namespace = "Shop"
service = "web"
selector = "app=web"
at_least = 0
[check.plain]
kind = "kubernetes"
url = "http://192.0.2.1"
namespace = "shop"
service = "-web"
token_file = "nowhere"
ca_file = ""
source = "::1"
"#,
        r#"
        leeward.toml:1:8: error: `[check.none] namespace` is missing; write the namespace, such as "default"
        leeward.toml:1:8: error: neither a service nor a selector says what is counted; write service = "web", or selector = "app=web"
        leeward.toml:3:7: error: `[check.none] url` is no URL of an API: neither http nor https; write where the API is, such as "https://192.0.2.1:6443"
        leeward.toml:6:7: error: `[check.both] url` is no URL of an API: it has more than a host, a port and a path; write where the API is, such as "https://192.0.2.1:6443"
        leeward.toml:7:13: error: `[check.both] namespace` is "Shop": no name: lower-case letters, digits and `-`, at most 63; write the namespace, such as "default"
        leeward.toml:8:11: error: a service and a selector: one of them is counted; remove one
        leeward.toml:10:12: error: `[check.both] at_least` is 0, which is out of range; write a number from 1 to 100000
        leeward.toml:11:8: warning: `[check.plain] source` means nothing: kubernetes makes no connection; remove it
        leeward.toml:13:7: warning: whoever is on the way can read the token; write an https URL
        leeward.toml:15:11: error: `[check.plain] service` is "-web": no name: lower-case letters, digits and `-`, at most 63; write service = "web", or selector = "app=web"
        leeward.toml:16:14: warning: cannot read nowhere: No such file or directory (os error 2); until it can be read, nothing is known of the targets
        leeward.toml:17:11: error: `[check.plain] ca_file` is empty; write a path, or remove the key
        "#,
    );
}

#[test]
fn mistakes_of_the_other_kinds() {
    finds(
        r#"[check.tls]
kind = "tls"
min_days_left = -1
[check.dns]
kind = "dns"
type = "AXFR"
transport = "tls"
rcode = "NODATA"
[check.both]
kind = "dns"
name = "x..y"
rcode = "NXDOMAIN"
answer = "192.0.2.1"
[check.exec]
kind = "exec"
argv = ["true", 5]
[check.gone]
kind = "exec"
argv = ["./gone", "hush"]
[check.none]
kind = "exec"
[check.icmp]
kind = "icmp"
port = 7
[check.grpc]
kind = "grpc"
sni = "x.test"
[check.file]
kind = "file"
file = ""
[check.push]
kind = "push"
expiry = "1ms"
source = "::1"
"#,
        r#"
        leeward.toml:1:8: warning: the certificate must be valid for the target's bare address, since no name is given; write the name that clients use, or verify = false
        leeward.toml:3:17: error: `[check.tls] min_days_left` is -1, which is out of range; write a number from 0 to 3650
        leeward.toml:4:8: error: `[check.dns] name` is missing; write the name to ask for, such as "www.example.com"
        leeward.toml:6:8: error: `[check.dns] type` is "AXFR": no type of data; write a type of record, such as "A"
        leeward.toml:7:13: error: `[check.dns] transport` is "tls": neither; write "udp" or "tcp"
        leeward.toml:8:9: error: `[check.dns] rcode` is "NODATA": no response code; write one of NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED
        leeward.toml:11:8: error: `[check.both] name` is "x..y": an empty label; write the name to ask for, such as "www.example.com"
        leeward.toml:13:10: warning: an answer of NXDOMAIN has no data; remove `answer` or `rcode`
        leeward.toml:16:9: error: `[check.exec] argv` begins with "true", which is no path; write the whole path: commands are not searched for
        leeward.toml:16:17: error: `[check.exec] argv` holds an integer, not a string; write a path and arguments, such as ["/usr/lib/checks/disk", "-H", "{address}"]
        leeward.toml:19:9: warning: ./gone in `[check.gone] argv` cannot be run: No such file or directory (os error 2); until it can, nothing is known of the targets
        leeward.toml:20:8: error: `[check.none] argv` is missing; write a path and arguments, such as ["/usr/lib/checks/disk", "-H", "{address}"]
        leeward.toml:22:8: warning: `[check.icmp] port` means nothing: icmp has no ports; remove it
        leeward.toml:22:8: warning: this system grants no ICMP socket to this user, without which nothing is known of the targets; put a group of the user that leeward runs as into the range of the sysctl net.ipv4.ping_group_range
        leeward.toml:27:1: error: unknown key `[check.grpc] sni`; the keys here are kind, interval, timeout, damped, fall, rise, forget, retry_interval, slow, tripwire, jitter, vote, port, source, service, host, tls
        leeward.toml:30:8: error: `[check.file] file` is empty; write the path of a file with lines such as `192.0.2.1 => UP`
        leeward.toml:31:8: error: `[check.push] token_file` is missing; write the path of a file that holds what the target must show
        leeward.toml:31:8: warning: `[check.push] source` means nothing: push makes no connection; remove it
        leeward.toml:33:10: error: `[check.push] expiry` is "1ms": out of range; write a time such as "5s" or "1m30s", from 1s to 1day
        "#,
    );
}

#[test]
fn by_which_rule_the_words_of_several_nodes_count() {
    let rule = |text: &str| definition(&format!("kind = \"tcp\"\n{text}")).judgement.vote;
    assert_eq!(rule(""), None, "as `[health]` has it");
    assert_eq!(rule("vote = \"any-up\""), Some(Vote::AnyUp));
    assert_eq!(rule("vote = \"region-then-majority\""), Some(Vote::RegionThenMajority));
    assert_eq!(rule("vote = { quorum = 2 }"), Some(Vote::Quorum(2)));
    let place = Place::with(&[("leeward.toml", "[health]\nvote = \"local\"\n[zone.z]\nfile = \"z\"\n")]);
    assert_eq!(place.config().health.vote, Vote::Local);
    for (wrong, why) in [
        ("\"most\"", "is \"most\", which is no rule"),
        ("{ quorum = 0 }", "has a quorum of 0, which is not from 1 to 1000"),
        ("{ quorum = \"2\" }", "is a table of something else than `quorum`, a number of nodes"),
        ("{ quorum = 2, of = 3 }", "is a table of something else than `quorum`, a number of nodes"),
        ("2", "is an integer, which is no rule"),
    ] {
        let text = format!("[check.x]\nkind = \"tcp\"\nvote = {wrong}\n[zone.z]\nfile = \"z\"\n");
        let findings = Place::with(&[("leeward.toml", &text)]).findings();
        let expected = format!("`[check.x] vote` {why}");
        assert!(findings.contains(&expected), "{findings}\nand not {expected}");
    }
}
