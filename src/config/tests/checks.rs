//! `[check.NAME]`, good and bad.

use crate::target::{CheckKind, Codes, HttpCheck, Judgement, NamedCheck, Scheme, Version};

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
retry_interval = "1s"
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
        leeward.toml:14:1: error: unknown key `[check.bad] method`; the keys here are kind, interval, timeout, fall, rise, port, source
        leeward.toml:15:1: error: `[check.bad] retry_interval` is not in this release; remove it, or use a release that has it
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
