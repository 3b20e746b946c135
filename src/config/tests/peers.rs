//! `[peers]` and `[peer.NAME]`, good and bad.

use super::*;
use crate::health::{Fleet, Peer};
use crate::peers::{Remote, Secrets};

const FILE: &str = r#"
    [peers]
    listen = ["0.0.0.0:8054", "[::]:8054"]
    secret_files = ["new.key", "old.key"]
    interval = "2s"
    stale_after = "7s"
    solo_after = "2m"
    [peer.eu-1]
    url = "http://192.0.2.1:8054"
    region = "eu"
    [peer.us-1]
    url = "http://us-1.example.net:8054/"
    region = "us"
    [peer.ap-1]
    url = "https://[2001:db8::1]:8054"
    key_file = "ap.key"
    [zone.z]
    file = "z"
"#;
const NEW: &str = "the new secret 01";
const OLD: &str = "the old secret 01";
const OWN: &str = "of the two of us 1";

fn place(text: &str) -> Place {
    Place::with(&[
        ("leeward.toml", text),
        ("new.key", NEW),
        ("old.key", OLD),
        ("ap.key", OWN),
        ("short.key", "0123456789abcde\n"),
    ])
}

fn named(name: &str) -> String {
    format!("[node]\nname = \"{name}\"\n{FILE}")
}

#[test]
fn one_file_does_for_all_nodes() {
    let here = place(&named("eu-1"));
    assert_eq!(here.findings(), "");
    let config = here.config();
    let seconds = Duration::from_secs;
    let peer = |name: &str, region: &str| Peer { name: name.into(), region: region.into() };
    let fleet = Fleet {
        region: "eu".into(),
        peers: vec![peer("ap-1", ""), peer("us-1", "us")],
        interval: seconds(2),
        stale_after: seconds(7),
        solo_after: seconds(120),
    };
    assert_eq!((&config.health.fleet, &*config.node.region), (&fleet, "eu"));
    let secrets = |texts: &[&str]| Secrets::new(texts).expect("long enough");
    let remote = |name: &str, url: &str, secrets| Remote { name: name.into(), url: url.parse().unwrap(), secrets };
    let peers = vec![
        remote("ap-1", "https://[2001:db8::1]:8054", secrets(&[OWN])),
        remote("us-1", "http://us-1.example.net:8054", secrets(&[NEW, OLD])),
    ];
    let listen = ["0.0.0.0:8054", "[::]:8054"].map(|address| address.parse().unwrap()).to_vec();
    let expected = crate::peers::Config { node: "eu-1".into(), listen, interval: seconds(2), tls: None, peers };
    assert_eq!(config.peers, Some(expected));
    let there = place(&named("us-1")).config();
    let names = |config: &Config| config.health.fleet.peers.iter().map(|peer| peer.name.to_string()).collect::<Vec<_>>();
    assert_eq!((names(&there), &*there.node.region), (vec!["ap-1".to_owned(), "eu-1".to_owned()], "us"));
    let apart = place(&named("cn-1")).config();
    assert_eq!((names(&apart).len(), &*apart.node.region), (3, ""));
}

#[test]
fn without_the_section_a_node_is_alone() {
    let config = Place::with(&[("leeward.toml", "[node]\nregion = \"eu\"\n[zone.z]\nfile = \"z\"\n")]).config();
    assert_eq!(config.health.fleet, Fleet { region: "eu".into(), ..Fleet::default() });
    assert_eq!(config.peers, None);
}

#[test]
fn the_time_until_a_peer_is_stale_follows_the_interval() {
    let text =
        "[peers]\nlisten = \"127.0.0.1:0\"\nsecret_files = [\"new.key\"]\ninterval = \"100ms\"\n[peer.x]\nurl = \"http://x\"";
    let config = place(&format!("{text}\n[zone.z]\nfile = \"z\"\n")).config();
    assert_eq!(config.health.fleet.stale_after, Duration::from_millis(300));
}

#[test]
fn what_needs_a_restart() {
    let before = place(&named("eu-1")).config();
    let changed = |from: &str, to: &str| {
        let text = named("eu-1");
        assert!(text.contains(from), "{from}");
        before.needs_restart(&place(&text.replace(from, to)).config())
    };
    assert_eq!(changed("\"[::]:8054\"", "\"[::]:8055\""), ["[peers] listen"]);
    let alone = Place::with(&[("leeward.toml", "[node]\nname = \"eu-1\"\n[zone.z]\nfile = \"z\"\n")]).config();
    assert_eq!(before.needs_restart(&alone), ["[peers] listen"]);
    for (from, to) in [
        ("\"new.key\", \"old.key\"", "\"new.key\""),
        ("interval = \"2s\"", "interval = \"3s\""),
        ("us-1.example.net", "us-2.example.net"),
    ] {
        assert_eq!(changed(from, to), Vec::<String>::new(), "{from}");
    }
}

#[test]
fn mistakes_are_found() {
    let peers = "[peers]\nlisten = \"127.0.0.1:1\"\nsecret_files = [\"new.key\"]\n";
    let us = "[peer.us]\nurl = \"http://192.0.2.1:1\"\n";
    for (text, expected) in [
        (us.to_owned(), "leeward.toml:1:7: error: there is `[peer.us]`, and no `[peers]`; add [peers]"),
        ("[peers]\nsecret_files = [\"new.key\"]\n".to_owned() + us, "leeward.toml:1:1: error: `[peers] listen` is missing"),
        (peers.to_owned(), "leeward.toml:1:1: warning: `[peers]` has nobody to talk to; add [peer.NAME]"),
        (
            format!("[peers]\nlisten = \"127.0.0.1:1\"\n{us}"),
            "leeward.toml:1:1: error: nothing shows that a message of `us` is its own; add secret_files = [\"peers.key\"], or [peers.tls]",
        ),
        (format!("{peers}color = 1\n{us}"), "leeward.toml:4:1: error: unknown key `[peers] color`"),
        (format!("{peers}{us}color = 1\n"), "leeward.toml:6:1: error: unknown key `[peer.us] color`"),
        (format!("{peers}[peer.us]\n"), "leeward.toml:4:7: error: `[peer.us] url` is missing; write scheme, host and port"),
        (format!("{peers}{us}[peer.\"a b\"]\nurl = \"http://x\"\n"), "error: `a b` is no name for a node; write its [node] name"),
        (format!("{peers}{us}[peer.eu]\nurl = \"http://192.0.2.1:1/\"\n"), "url` is that of `[peer."),
        (
            format!("{peers}interval = \"5s\"\nstale_after = \"5s\"\n{us}"),
            "leeward.toml:5:15: error: `[peers] stale_after` (5s) is not longer than `interval` (5s); every peer would be stale",
        ),
        (
            format!("{peers}interval = \"50ms\"\n{us}"),
            "error: `[peers] interval` is \"50ms\": out of range; write a time such as",
        ),
        (
            format!("{peers}{us}key_file = \"short.key\"\n"),
            "leeward.toml:6:12: error: the peer secret in short.key is shorter than 16 octets; make one with: openssl rand -hex 32",
        ),
        (format!("{peers}{us}key_file = \"none.key\"\n"), "error: cannot read peer secret file none.key"),
        (
            format!("[node]\nname = \"us\"\nregion = \"eu\"\n{peers}{us}region = \"us\"\n"),
            "leeward.toml:9:10: error: `[peer.us]` is this node, and its region \"us\" is not \"eu\", as `[node] region` says; \
             remove one of them; the other is at leeward.toml:3:10",
        ),
        (
            peers.replace("\"127.0.0.1:1\"", "[\"127.0.0.1:1\", \"127.0.0.1:1\"]") + us,
            "error: `[peers] listen` holds \"127.0.0.1:1\" twice",
        ),
        (peers.replace("127.0.0.1:1", "127.0.0.1") + us, "error: `[peers] listen` holds \"127.0.0.1\": the port is missing"),
        (peers.replace("\"127.0.0.1:1\"", "1") + us, "error: `[peers] listen` holds an integer, not a string"),
        (format!("[node]\nregion = \"\"\n{peers}{us}"), "error: `[node] region` is \"\": no name for a region"),
    ] {
        let found = place(&format!("{text}[zone.z]\nfile = \"z\"\n")).findings();
        assert!(found.contains(expected), "{text}\n--- found\n{found}--- expected\n{expected}");
        assert!(!found.contains("0123456789abcde") && !found.contains(NEW), "{found}");
    }
    for url in ["192.0.2.1:1", "ftp://192.0.2.1", "http://a:b@192.0.2.1", "http://192.0.2.1/path", "http://192.0.2.1/?q"] {
        let found = place(&format!("{peers}[peer.us]\nurl = \"{url}\"\n[zone.z]\nfile = \"z\"\n")).findings();
        assert!(found.contains("leeward.toml:5:7: error: `[peer.us] url` is"), "{url}: {found}");
    }
}

#[test]
fn certificates() {
    let made = rcgen::generate_simple_self_signed(["eu-1".to_owned()]).unwrap();
    let (pem, key, other) =
        (made.cert.pem(), made.signing_key.serialize_pem(), rcgen::KeyPair::generate().unwrap().serialize_pem());
    let found = |peers: &str, files: [&str; 3]| {
        let text = format!("[node]\nname = \"eu-1\"\n[peers]\nlisten = \"127.0.0.1:1\"\n{peers}\n[zone.z]\nfile = \"z\"\n");
        let [cert, key, ca] = files;
        let place = Place::with(&[("leeward.toml", &text), ("cert", cert), ("key", key), ("ca", ca), ("new.key", NEW)]);
        (place.findings(), place.load().config)
    };
    let tls = "[peers.tls]\ncert = \"cert\"\nkey = \"key\"\nca = \"ca\"\n";
    let https = "[peer.us]\nurl = \"https://192.0.2.1:1\"\n";
    let good = [pem.as_str(), &key, &pem];
    let (findings, config) = found(&format!("{tls}{https}"), good);
    assert_eq!(findings, "");
    let peers = config.and_then(|config| config.peers).unwrap();
    assert!(peers.tls.is_some() && peers.peers[0].secrets.is_empty());
    for (peers, files, expected) in [
        (
            format!("{tls}{https}"),
            [pem.as_str(), &other, &pem],
            "leeward.toml:7:7: error: key cannot be used: it is not the key of the certificate",
        ),
        (format!("{tls}{https}"), ["", &key, &pem], "leeward.toml:6:8: error: cert cannot be used: it holds no certificate"),
        (format!("{tls}{https}"), [&pem, "", &pem], "leeward.toml:7:7: error: key cannot be used: it holds no private key"),
        (format!("{tls}{https}"), [&pem, &key, &key], "leeward.toml:8:6: error: ca cannot be used: it holds no authority"),
        (format!("[peers.tls]\n{https}"), good, "leeward.toml:5:1: error: `[peers.tls] ca` is missing"),
        (
            format!("{tls}[peer.us]\nurl = \"http://192.0.2.1:1\"\n"),
            good,
            "error: `[peer.us] url` is http, which has no certificates, and there is no secret; write https, or add secret_files",
        ),
        (
            format!("secret_files = [\"new.key\"]\n{tls}[peer.us]\nurl = \"http://192.0.2.1:1\"\n"),
            good,
            "warning: `[peer.us] url` is http, and there is `[peers.tls]`; write https",
        ),
        (
            format!("{tls}[peer.\"-us\"]\nurl = \"https://192.0.2.1:1\"\n"),
            good,
            "error: `-us` can stand in no certificate, and there is no secret; give it a name that is a DNS name",
        ),
    ] {
        let (findings, _) = found(&peers, files);
        assert!(findings.contains(expected), "{peers}\n--- found\n{findings}--- expected\n{expected}");
    }
}
