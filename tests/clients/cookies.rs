//! DNS cookies (RFC 7873) as dig and kdig use them; and one secret at many servers (RFC 9018), BIND's among them.

use std::net::SocketAddr;

use super::asking::dig;
use super::harness::{Site, command, has};
use super::site::{Served, head, named};

const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const OTHER: &str = "445536bcd2513298075a5d379663c962";

/// A server that answers only who has a good cookie, and makes them with `secret`.
fn requiring(secret: &str) -> Served {
    // Without secrets at first: the folder is made by the start.
    let served = Served::start("");
    served.site.write("one.secret", secret);
    served.reload(&secrets(&["one.secret"]));
    served
}

fn secrets(files: &[&str]) -> String {
    format!("[server.cookies]\nrequired = true\nsecret_files = {files:?}\n")
}

/// The cookie that dig shows: 16 digits of the client's, 32 of the server's.
fn shown(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("; COOKIE: ")).unwrap_or_else(|| panic!("no cookie in:\n{text}"));
    let (cookie, good) = line.split_once(' ').expect("a verdict");
    assert_eq!((cookie.len(), good), (48, "(good)"), "{line}");
    cookie.to_owned()
}

/// A new cookie of a server's.
fn cookie_from(server: SocketAddr) -> String {
    shown(&dig(server, &["-b", "127.0.0.1", "+nobadcookie", "www.gslb.example"]))
}

/// Whether a server that requires cookies takes this one, and the one that it sends.
fn accepts(server: SocketAddr, cookie: &str) -> (bool, String) {
    let text = dig(server, &["-b", "127.0.0.1", "+nobadcookie", &format!("+cookie={cookie}"), "www.gslb.example"]);
    let accepted = text.contains("status: NOERROR") && text.contains("192.0.2.1");
    assert!(accepted || text.contains("status: BADCOOKIE"), "{text}");
    (accepted, shown(&text))
}

/// The same with its last digit changed.
fn altered(cookie: &str) -> String {
    let (kept, last) = cookie.split_at(cookie.len() - 1);
    format!("{kept}{}", if last == "0" { "1" } else { "0" })
}

#[test]
fn a_good_cookie_is_kept_and_a_bad_one_replaced() {
    if !has("dig") {
        return;
    }
    let served = Served::start("");
    let cookie = cookie_from(served.dns());
    assert_eq!(accepts(served.dns(), &cookie), (true, cookie.clone()), "where none is required, all are answered");
    let (answered, sent) = accepts(served.dns(), &altered(&cookie));
    assert!(answered && sent != altered(&cookie) && sent[..16] == cookie[..16], "{sent}");
}

#[test]
fn clients_ask_again_where_a_cookie_is_required() {
    if !has("dig") {
        return;
    }
    let served = requiring(ONE);
    let text = dig(served.dns(), &["+badcookie", "www.gslb.example"]);
    assert!(text.contains(";; BADCOOKIE, retrying.") && text.contains("192.0.2.1"), "{text}");
    assert!(!accepts(served.dns(), &altered(&cookie_from(served.dns()))).0);
    for proven in ["+tcp", "+nocookie"] {
        let text = dig(served.dns(), &[proven, "www.gslb.example"]);
        assert!(text.contains("status: NOERROR") && text.contains("192.0.2.1"), "{proven}: {text}");
    }
    if has("kdig") {
        let port = served.dns().port().to_string();
        let args = ["@127.0.0.1", "-p", &port, "+norecurse", "+cookie", "+badcookie", "www.gslb.example"];
        let output = command("kdig").args(args).output().expect("it runs");
        let (text, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("status: NOERROR") && text.contains("192.0.2.1"), "{text}{told}");
        // What is required of it, it calls a warning.
        let told: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
        assert!(matches!(told[..], [line] if line.contains("bad cookie") && line.contains("retrying")), "{told:?}");
    }
}

#[test]
fn a_cookie_holds_at_every_node_with_the_secret() {
    if !has("dig") {
        return;
    }
    let [first, second, stranger] = [ONE, ONE, OTHER].map(requiring);
    let cookie = cookie_from(first.dns());
    assert_eq!(accepts(second.dns(), &cookie), (true, cookie.clone()));
    assert!(!accepts(stranger.dns(), &cookie).0);
}

#[test]
fn a_secret_is_rolled_by_reloads() {
    if !has("dig") {
        return;
    }
    let served = requiring(ONE);
    let old = cookie_from(served.dns());
    served.site.write("other.secret", OTHER);
    // On its way in it is accepted only, then it makes the cookies, then it is alone.
    served.reload(&secrets(&["one.secret", "other.secret"]));
    assert_eq!(accepts(served.dns(), &old), (true, old.clone()));
    served.reload(&secrets(&["other.secret", "one.secret"]));
    let (accepted, new) = accepts(served.dns(), &old);
    assert!(accepted && new != old, "{new}");
    served.reload(&secrets(&["other.secret"]));
    assert!(!accepts(served.dns(), &old).0);
    assert_eq!(accepts(served.dns(), &new), (true, new.clone()));
}

#[test]
fn bind_and_leeward_take_each_others_cookies() {
    if !has("dig") || !has("named") {
        return;
    }
    let site = Site::new();
    let zone = site.write("static.zone", &format!("{}www A 192.0.2.1\n", head([127, 0, 0, 1].into())));
    let options = format!(
        "recursion no; answer-cookie yes; require-server-cookie yes; cookie-algorithm siphash24; cookie-secret \"{ONE}\";"
    );
    let zones = format!("zone \"gslb.example\" {{ type primary; file \"{}\"; }};", zone.display());
    let (named, bind) = named(&site, &options, &zones);
    let leeward = requiring(ONE);
    let (ours, theirs) = (cookie_from(leeward.dns()), cookie_from(bind));
    assert_eq!(accepts(leeward.dns(), &theirs), (true, theirs.clone()), "BIND's at leeward");
    let (accepted, renewed) = accepts(bind, &ours); // BIND makes a new one for every reply
    assert!(accepted, "leeward's at BIND");
    assert!(accepts(leeward.dns(), &renewed).0, "BIND's next");
    for server in [leeward.dns(), bind] {
        assert!(!accepts(server, &altered(&ours)).0 && !accepts(server, &altered(&theirs)).0, "{server}");
    }
    leeward.site.write("other.secret", OTHER);
    leeward.reload(&secrets(&["other.secret"]));
    assert!(!accepts(leeward.dns(), &theirs).0 && !accepts(bind, &cookie_from(leeward.dns())).0, "other secrets");
    drop(named.stop());
}
