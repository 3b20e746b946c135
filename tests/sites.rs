//! Sites and maps in a running server: what `leeward geo` says of an address, and that a file of networks is watched.

mod harness;
#[path = "../src/geo/testing.rs"]
#[allow(dead_code, reason = "these tests need less of it than those that it belongs to")]
mod mmdb;

use std::path::{Path, PathBuf};

use harness::{Leeward, Site, leeward, wait_for};
use leeward::wire::RecordType;
use serde_json::Value;

const ZONE: &str = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n";

const SITES: &str = r#"
[site.eu-1]
region = "eu"
coordinates = [52.5, 13.4]
[site.us-1]
coordinates = [39.04, -77.49]
capacity = 100
[site.us-west]
coordinates = [47.6, -122.3]
[site.nowhere]
"#;

const MAPS: &str = r#"
[geo.map.clients]
default = ["eu-1", "us-1"]
continent.NA = ["us-1", "eu-1"]
country.SE = ["eu-1"]
subdivision."US-WA" = ["us-west", "us-1"]
as.7018 = []
networks."192.0.2.0/24" = ["us-1"]
nets_file = "clients.nets"
[geo.map.other]
default = []
"#;

/// `leeward geo`, with the socket of the server at `site`: whether it went well, and what it printed.
fn geo(site: &Site, args: &[&str]) -> (bool, String) {
    let socket = site.path("control.sock");
    let output = leeward(&[&["geo", "--socket", socket.to_str().expect("text")], args].concat());
    let text = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).into_owned();
    (output.status.success(), text)
}

/// What the map `clients` says: the rule, what it met, the sites, and for whom that holds.
fn decided(form: &Value) -> (&str, &str, String, &str) {
    let map = &form["maps"][0];
    assert_eq!(map["map"], "clients", "{form:#}");
    let text = |name: &str| map[name].as_str().unwrap_or_default();
    let sites: Vec<_> = map["sites"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    (text("rule"), text("met"), sites.join(" "), text("network"))
}

#[test]
fn without_databases_networks_decide() {
    let site = Site::new();
    site.write("s.test.zone", ZONE);
    site.write("clients.nets", "192.0.2.128/25 eu-1\n10.0.0.0/8 -\n");
    let server = Leeward::start(&site.config(&["s.test"], &format!("{SITES}{MAPS}")));
    for (address, expected) in [
        ("192.0.2.1", ("network", "192.0.2.0/24", "us-1", "192.0.2.0/25")),
        ("::ffff:192.0.2.200", ("network", "192.0.2.128/25", "eu-1", "192.0.2.128/25")),
        ("10.1.2.3", ("network", "10.0.0.0/8", "", "10.0.0.0/8")),
        ("203.0.113.1", ("default", "", "eu-1 us-1", "200.0.0.0/5")),
        ("2001:db8::1", ("default", "", "eu-1 us-1", "2000::/3")),
    ] {
        let form = server.get_json(&format!("/api/v1/geo?address={address}"));
        assert_eq!(decided(&form), (expected.0, expected.1, expected.2.to_owned(), expected.3), "{address}: {form:#}");
        assert_eq!(
            (&form["databases"], &form["place"], &form["nearest"]),
            (&0.into(), &serde_json::json!({}), &serde_json::json!([]))
        );
        assert_eq!((&form["maps"][1]["map"], &form["maps"][1]["rule"]), (&"other".into(), &"default".into()));
    }
    assert_eq!(
        geo(&site, &["192.0.2.200", "--map", "clients"]),
        (
            true,
            "192.0.2.200\n\
             \u{20}\u{20}place         not known: [geo] databases is empty\n\
             map clients\n\
             \u{20}\u{20}rule          network 192.0.2.128/25 (nets_file)\n\
             \u{20}\u{20}sites         eu-1\n\
             \u{20}\u{20}holds for     192.0.2.128/25\n"
                .to_owned()
        )
    );
    let (well, text) = geo(&site, &["192.0.2.200", "--map", "client"]);
    assert!(!well && text.contains("there is no map \"client\" in the configuration; there are clients, other"), "{text}");
    let json: Value = serde_json::from_str(&geo(&site, &["10.1.2.3", "--json"]).1).expect("JSON");
    assert_eq!(decided(&json).0, "network");
    assert!(!geo(&site, &["10.0.0.0/8"]).0);
}

/// A database of two networks: a place in Washington State, and a country of which nothing else is known.
fn database() -> Vec<u8> {
    use mmdb::Value::{Map, Text};
    let code = |code: &'static str| Map(vec![("code", Text(code))]);
    let iso = |code: &'static str| Map(vec![("iso_code", Text(code))]);
    let location = Map(vec![
        ("latitude", mmdb::Value::Double(47.25)),
        ("longitude", mmdb::Value::Double(-122.31)),
        ("accuracy_radius", mmdb::Value::Number(20)),
    ]);
    let subdivisions = mmdb::Value::List(vec![iso("WA")]);
    let milton =
        Map(vec![("continent", code("NA")), ("country", iso("US")), ("location", location), ("subdivisions", subdivisions)]);
    let mut database = mmdb::Mmdb::v6();
    database.insert("198.51.100.0/24", &milton);
    database.insert("203.0.113.0/24", &Map(vec![("continent", code("NA")), ("country", iso("CA"))]));
    database.write(24)
}

#[test]
fn places_decide_and_distances_are_told() {
    let site = Site::new();
    site.write("s.test.zone", ZONE);
    site.write("clients.nets", "198.51.100.128/25 eu-1\n");
    std::fs::write(site.path("City.mmdb"), database()).expect("written");
    let more = format!("{SITES}[geo]\ndatabases = [\"City.mmdb\"]\n{MAPS}");
    let server = Leeward::start(&site.config(&["s.test"], &more));
    for (address, rule, met, sites, network) in [
        ("198.51.100.1", "subdivision", "US-WA", "us-west us-1", "198.51.100.0/25"),
        ("198.51.100.200", "network", "198.51.100.128/25", "eu-1", "198.51.100.128/25"),
        ("203.0.113.1", "continent", "NA", "us-1 eu-1", "203.0.113.0/24"),
    ] {
        let form = server.get_json(&format!("/api/v1/geo?address={address}&map=clients"));
        assert_eq!(decided(&form), (rule, met, sites.to_owned(), network), "{address}: {form:#}");
    }
    let (well, text) = geo(&site, &["198.51.100.1", "--map", "clients"]);
    assert!(well);
    assert_eq!(
        text,
        "198.51.100.1\n\
         \u{20}\u{20}continent     NA\n\
         \u{20}\u{20}country       US\n\
         \u{20}\u{20}subdivision   US-WA\n\
         \u{20}\u{20}coordinates   47.25, -122.31\n\
         \u{20}\u{20}holds for     198.51.100.0/24\n\
         map clients\n\
         \u{20}\u{20}rule          subdivision US-WA\n\
         \u{20}\u{20}sites         us-west, us-1\n\
         \u{20}\u{20}holds for     198.51.100.0/25\n\
         by distance\n\
         \u{20}\u{20}us-west      39 km\n\
         \u{20}\u{20}us-1       3695 km\n\
         \u{20}\u{20}eu-1       8154 km\n"
    );
}

#[test]
fn a_changed_file_of_networks_is_read_and_a_bad_one_is_not() {
    const WELL: &str = "leeward_config_last_reload_successful";
    let site = Site::new();
    site.write("s.test.zone", ZONE);
    site.write("clients.nets", "192.0.2.1 eu-1\n");
    let config = site.config(&["s.test"], &format!("{SITES}{MAPS}"));
    let server = Leeward::start(&config);
    let sites = || decided(&server.get_json("/api/v1/geo?address=192.0.2.1&map=clients")).2;
    assert_eq!(sites(), "eu-1");

    // What an operator is in the middle of is not taken in with it.
    site.write("s.test.zone", &ZONE.replace("192.0.2.1", "192.0.2.2"));
    let sound = std::fs::read_to_string(&config).expect("readable");
    site.write("leeward.toml", "half a tab");
    let replace = |text: &str| {
        site.write("new", text);
        std::fs::rename(site.path("new"), site.path("clients.nets")).expect("renamed");
    };
    replace("192.0.2.1 us-west,us-1\n");
    wait_for("the new networks", || (sites() == "us-west us-1").then_some(()));
    assert_eq!(server.ask("www.s.test", RecordType::A).data, ["192.0.2.1"]);
    assert_eq!(server.metric(WELL), Some(1.0));

    // A bad one is refused once, said so, and changes nothing.
    replace("192.0.2.1 eu-1\n192.0.2.3/24 eu-1\n");
    wait_for("the refusal", || (server.metric(WELL) == Some(0.0)).then_some(()));
    wait_for("the reason", || server.log_line("clients.nets:2:1: error: \"192.0.2.3/24\" is no network"));
    assert_eq!(sites(), "us-west us-1");
    std::fs::remove_file(site.path("clients.nets")).expect("removed");
    wait_for("the refusal", || server.log_line("cannot read the networks in"));
    assert_eq!(sites(), "us-west us-1");
    assert_eq!(server.log_count("clients.nets:2:1"), 1);

    replace("192.0.2.1 us-1\n");
    wait_for("the file that was mended", || (sites() == "us-1").then_some(()));
    wait_for("the counter", || (server.metric(WELL) == Some(1.0)).then_some(()));

    // Other files of networks, and other sites, come with a reload.
    site.write("leeward.toml", &sound.replace("clients.nets", "more.nets").replace("[site.nowhere]", "[site.asia]"));
    site.write("more.nets", "192.0.2.1 asia\n");
    assert_eq!(server.post("/api/v1/reload").0, 200);
    assert_eq!((sites(), server.ask("www.s.test", RecordType::A).data), ("asia".to_owned(), vec!["192.0.2.2".to_owned()]));
    replace("192.0.2.1 nobody reads this\n");
    site.write("more.nets", "192.0.2.1 asia,eu-1\n");
    wait_for("the file that is watched now", || (sites() == "asia eu-1").then_some(()));
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("LEEWARD_TEST_DATA").map(|folder| Path::new(&folder).join("geo"));
    if folder.is_none() {
        eprintln!("SKIPPED: LEEWARD_TEST_DATA is not set");
    }
    folder
}

#[test]
fn the_test_databases_of_maxmind() {
    let Some(folder) = folder() else { return };
    let site = Site::new();
    site.write("s.test.zone", ZONE);
    site.write("clients.nets", "");
    let databases = ["City", "ASN"].map(|kind| folder.join(format!("GeoLite2-{kind}-Test.mmdb")).display().to_string());
    let more = format!("{SITES}[geo]\ndatabases = {databases:?}\n{MAPS}");
    let server = Leeward::start(&site.config(&["s.test"], &more));
    for (address, rule, met, sites) in [
        ("89.160.20.112", "country", "SE", "eu-1"),
        ("216.160.83.56", "subdivision", "US-WA", "us-west us-1"),
        ("12.81.92.1", "as", "7018", ""),
        ("81.2.69.142", "default", "", "eu-1 us-1"),
    ] {
        let form = server.get_json(&format!("/api/v1/geo?address={address}"));
        let (found_rule, found_met, found_sites, network) = decided(&form);
        assert_eq!((found_rule, found_met, &*found_sites), (rule, met, sites), "{address}: {form:#}");
        let network: leeward::geo::Net = network.parse().expect("a network");
        assert!(network.contains(address.parse().expect("an address")), "{form:#}");
    }
    let (well, text) = geo(&site, &["216.160.83.56"]);
    assert!(well && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(
        text.contains("\n  city          milton\n  as            209\n") && text.contains("by distance\n  us-west"),
        "{text}"
    );
}
