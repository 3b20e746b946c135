//! dig, delv and kdig: every option of theirs that asks for something gets it, without a word of warning.

use std::net::{SocketAddr, TcpListener};

use super::harness::{Leeward, Site, has, said};
use super::site::{Served, head};

/// What dig prints, which must hold no complaint. It does not ask for recursion, which nobody here offers.
pub fn dig(to: SocketAddr, args: &[&str]) -> String {
    let (at, port) = (format!("@{}", to.ip()), to.port().to_string());
    let patient = ["-r", &at, "-p", &port, "+norecurse", "+time=30", "+tries=1"];
    let text = said("dig", &[&patient, args].concat());
    complains_of_nothing(&text, "dig", args);
    text
}

fn kdig(to: SocketAddr, args: &[&str]) -> String {
    let (at, port) = (format!("@{}", to.ip()), to.port().to_string());
    let patient = [&at, "-p", &port, "+norecurse", "+timeout=30", "+retry=0"];
    let text = said("kdig", &[&patient, args].concat());
    complains_of_nothing(&text, "kdig", args);
    text
}

fn complains_of_nothing(text: &str, program: &str, args: &[&str]) {
    let complaints = ["warning", "error:", "bad packet", "malformed", "mismatch", "no servers", "refused", "mbz", "retrying"];
    // A retry that a test is about is named in its arguments.
    let meant = |complaint: &&&str| **complaint == "retrying" && args.iter().any(|arg| RETRIED.contains(arg));
    let found = complaints.iter().filter(|complaint| text.to_ascii_lowercase().contains(**complaint));
    let found: Vec<_> = found.filter(|complaint| !meant(complaint)).collect();
    assert!(found.is_empty(), "{program} {args:?} complains ({found:?}):\n{text}");
}

/// Options after which dig asks twice: over TCP, in another version, with the right cookie.
const RETRIED: [&str; 3] = ["+bufsize=512", "+edns=1", "+badcookie"];

fn shows(text: &str, expected: &[&str]) {
    for words in expected {
        assert!(text.contains(words), "no `{words}` in:\n{text}");
    }
}

#[test]
fn dig_gets_what_it_asks_for() {
    if !has("dig") {
        return;
    }
    let served = Served::start("");
    let long = "0000000000011\"";
    for (args, expected) in [
        (&["www.gslb.example"][..], &["status: NOERROR", "flags: qr aa;", "192.0.2.1", "udp: 1232"][..]),
        (&["www.gslb.example", "+noedns"], &["status: NOERROR", "ADDITIONAL: 0", "192.0.2.1"]),
        (&["no.gslb.example"], &["status: NXDOMAIN", "AUTHORITY: 1", "hostmaster.gslb.example."]),
        (&["www.gslb.example", "MX"], &["status: NOERROR", "ANSWER: 0, AUTHORITY: 1"]),
        (&["wWw.GsLb.eXaMpLe"], &[";wWw.GsLb.eXaMpLe.\t", "\nwWw.GsLb.eXaMpLe.\t"]),
        (&["-x", "192.0.2.1"], &["1.2.0.192.in-addr.arpa.", "PTR\twww.gslb.example."]),
        (&["www.gslb.example", "+nsid"], &["; NSID: 65 75 2d 31 (\"eu-1\")"]),
        (&["www.gslb.example", "+subnet=198.51.100.7/32"], &["; CLIENT-SUBNET: 198.51.100.7/32/0\n", "192.0.2.1"]),
        (&["near.gslb.example", "+subnet=198.51.100.7/32"], &["; CLIENT-SUBNET: 198.51.100.7/32/24\n", "192.0.2.10"]),
        (&["near.gslb.example", "+subnet=203.0.113.0/24"], &["; CLIENT-SUBNET: 203.0.113.0/24/", "192.0.2.20"]),
        (&["near.gslb.example", "+subnet=0"], &["; CLIENT-SUBNET: 0.0.0.0/0/0\n", "192.0.2.20"]),
        (&["near.gslb.example", "+subnet=2001:db8::/48"], &["; CLIENT-SUBNET: 2001:db8::/48/", "192.0.2.20"]),
        (&["www.gslb.example", "+dnssec"], &["flags: do;", "192.0.2.1"]),
        (&["www.gslb.example", "+ednsflags=0x7fff"], &["EDNS: version: 0, flags:;", "192.0.2.1"]),
        (&["www.gslb.example", "+ednsopt=65001:abcd"], &["status: NOERROR", "192.0.2.1"]),
        (&["www.gslb.example", "+edns=1", "+noednsnegotiation"], &["status: BADVERS", "EDNS: version: 0"]),
        (&["www.gslb.example", "+edns=1"], &["BADVERS, retrying with EDNS version 0.", "status: NOERROR", "192.0.2.1"]),
        (&["big.gslb.example", "TXT", "+bufsize=512", "+ignore"], &["flags: qr aa tc;", "ANSWER: 0"]),
        (&["big.gslb.example", "TXT", "+bufsize=512"], &["Truncated, retrying in TCP mode.", "(TCP)", long]),
        (&["big.gslb.example", "TXT", "+tcp"], &["(TCP)", long]),
        (&["www.gslb.example", "+tcp", "+keepalive"], &["; TCP KEEPALIVE: 10.0 secs", "192.0.2.1"]),
        (&["CH", "TXT", "version.bind"], &["\"leeward "]),
        (&["CH", "TXT", "id.server"], &["\"eu-1\""]),
        (&["gslb.example", "AXFR"], &["; Transfer failed."]),
    ] {
        shows(&dig(served.dns(), args), expected);
    }
    let zoned = said("dig", &["-r", "@127.0.0.1", "-p", &served.dns().port().to_string(), "+norecurse", "www.elsewhere.example"]);
    shows(&zoned, &["status: REFUSED", "; EDE: 20 (Not Authoritative)"]);
}

#[test]
fn dig_over_tls_is_padded_to_whole_blocks() {
    if !has("dig") {
        return;
    }
    let served = Served::start("");
    let ca = format!("+tls-ca={}", served.site.path("cert.pem").display());
    for (name, rtype) in [("www.gslb.example", "A"), ("no.gslb.example", "A"), ("big.gslb.example", "TXT")] {
        let text = dig(served.dot, &["+tls", &ca, "+tls-hostname=localhost", "+padding=128", "+qr", name, rtype]);
        shows(&text, &["; PAD", "(TLS)"]);
        let size = text.lines().find_map(|line| line.strip_prefix(";; MSG SIZE  rcvd: ")?.parse::<u32>().ok());
        assert!(size.is_some_and(|size| size.is_multiple_of(468)), "{text}");
    }
}

#[test]
fn dig_says_that_a_target_is_not_known_yet() {
    if !has("dig") {
        return;
    }
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = silent.local_addr().expect("bound").port();
    let site = Site::new();
    let www = format!("www LUA A \"ifurlup('http://x:{port}/', {{'127.0.0.1'}}, {{timeout=60}})\"\n");
    site.write("gslb.example.zone", &(head([127, 0, 0, 1].into()) + &www));
    let server = Leeward::start(&site.config(&["gslb.example"], "[health]\nstartup_wait = \"100ms\"\n"));
    shows(&dig(server.dns, &["www.gslb.example"]), &["status: NOERROR", "; EDE: 14 (Not Ready)", "127.0.0.1"]);
    assert!(!dig(server.dns, &["ns.gslb.example"]).contains("EDE"));
}

#[test]
fn delv_fetches_without_a_complaint() {
    if !has("delv") {
        return;
    }
    let served = Served::start("");
    let port = served.dns().port().to_string();
    // -i: without validation, for which it would ask the root.
    let delv = |args: &[&str]| said("delv", &[&["-i", "@127.0.0.1", "-p", &port], args].concat());
    for (args, expected) in [
        (&["www.gslb.example"][..], &["; authoritative\n", "IN\tA\t192.0.2.1"][..]),
        (&["alias.gslb.example", "AAAA"], &["CNAME\tstep", "CNAME\twww", "2001:db8::1"]),
        (&["a.old.gslb.example"], &["DNAME\tnew", "a.new.gslb.example.\t300\tIN\tA\t192.0.2.6"]),
        (&["near.gslb.example"], &["192.0.2.20"]),
        (&["big.gslb.example", "TXT"], &["0000000000011\""]),
        (&["svc.gslb.example", "HTTPS"], &["1 . alpn=\"h2\" ipv4hint=192.0.2.1"]),
        (&["+tcp", "x.wild.gslb.example", "TXT"], &["\"any\""]),
    ] {
        let text = delv(args);
        assert!(!text.contains(";; "), "delv {args:?} says more than the answer:\n{text}");
        shows(&text, expected);
    }
}

#[test]
fn kdig_gets_what_it_asks_for() {
    if !has("kdig") {
        return;
    }
    let served = Served::start("");
    for (args, expected) in [
        (&["www.gslb.example"][..], &["status: NOERROR", "Flags: qr aa;", "192.0.2.1"][..]),
        (&["www.gslb.example", "+noedns"], &["ADDITIONAL: 0", "192.0.2.1"]),
        (&["no.gslb.example"], &["status: NXDOMAIN", "AUTHORITY: 1"]),
        (&["www.gslb.example", "+edns", "+nsid"], &[";; NSID: 65752D31 \"eu-1\""]),
        (&["www.gslb.example", "+subnet=198.51.100.0/24"], &[";; CLIENT-SUBNET: 198.51.100.0/24/0\n"]),
        (&["near.gslb.example", "+subnet=198.51.100.0/24"], &[";; CLIENT-SUBNET: 198.51.100.0/24/24\n", "192.0.2.10"]),
        (&["near.gslb.example", "+subnet=203.0.113.7/32"], &[";; CLIENT-SUBNET: 203.0.113.7/32/", "192.0.2.20"]),
        (&["www.gslb.example", "+cookie=0102030405060708"], &[";; COOKIE: 010203040506070801000000"]),
        (&["www.gslb.example", "+dnssec", "+ednsopt=65001:abcd"], &["flags: do;", "192.0.2.1"]),
        (&["+tcp", "+keepopen", "one.gslb.example", "big.gslb.example", "TXT"], &["192.0.2.7", "0000000000011\""]),
        (&["-x", "192.0.2.1"], &["PTR\twww.gslb.example."]),
    ] {
        shows(&kdig(served.dns(), args), expected);
    }
}
