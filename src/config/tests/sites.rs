//! `[site.NAME]` and `[geo.map.NAME]`, good and bad.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::geo::{Place as Whereabouts, Rule, Site};

const SITES: &str = "[site.eu-1]\nregion = \"eu\"\ncoordinates = [52.5, 13]\ncapacity = 100\n[site.us-1]\n[site.us-west]\n";

/// The sites that the map `clients` gives a client, and the rule.
fn found(config: &Config, address: &str, place: &Whereabouts) -> (Vec<String>, Rule) {
    let crate::program::Atlas { sites, maps } = config.answering.checks.atlas();
    let map = maps.get("clients").expect("a map");
    let found = map.find(address.parse::<IpAddr>().unwrap(), place);
    let name = |id: &crate::geo::SiteId| sites.get(*id).expect("a site").name.to_string();
    (map.orders()[usize::from(found.order)].iter().map(name).collect(), found.rule)
}

fn place(continent: &str, country: &str, region: &str) -> Whereabouts {
    let [continent, country, region] = [continent, country, region].map(|text| Some(text.into()));
    Whereabouts { continent, country, region, ..Whereabouts::UNKNOWN }
}

#[test]
fn sites_and_maps() {
    let map = r#"
        [geo]
        databases = ["City.mmdb"]
        [geo.map.clients]
        default = ["eu-1", "us-1"]
        continent.NA = ["us-1", "eu-1"]
        country.DE = ["eu-1"]
        country.aq = []
        subdivision."US-CA" = ["us-west", "us-1"]
        as.64500 = ["us-1"]
        networks."192.0.2.0/24" = ["us-1"]
        networks."2001:db8::/32" = ["us-west"]
        nets_file = "clients.nets"
        [zone.z]
        file = "z"
    "#;
    let nets = "# by hand\n\n192.0.2.0/24 eu-1, us-1\n 192.0.2.128/25\tus-west # west\r\n10.0.0.0/8 -\n198.51.100.7 us-1";
    let toml = format!("include = [\"conf.d/*.toml\"]\n{SITES}");
    let place_of = Place::with(&[("leeward.toml", &toml), ("conf.d/geo.toml", map), ("conf.d/clients.nets", nets)]);
    assert_eq!(place_of.findings(), "");
    let config = place_of.config();
    let site = config.answering.checks.atlas().sites.get(config.answering.checks.atlas().sites.find("eu-1").unwrap()).unwrap();
    let location = crate::geo::Location::new(52.5, 13.0);
    assert_eq!(*site, Site { name: "eu-1".into(), region: Some("eu".into()), location, capacity: Some(100) });
    let us_ca = place("na", "us", "ca");
    for (address, place, sites, rule) in [
        ("203.0.113.1", &Whereabouts::UNKNOWN, &["eu-1", "us-1"][..], Rule::Default),
        ("203.0.113.1", &us_ca, &["us-west", "us-1"], Rule::Subdivision),
        ("203.0.113.1", &place("na", "us", "ny"), &["us-1", "eu-1"], Rule::Continent),
        ("203.0.113.1", &place("an", "aq", ""), &[], Rule::Country),
        ("203.0.113.1", &Whereabouts { asn: Some(64500), ..us_ca.clone() }, &["us-1"], Rule::System),
        ("192.0.2.1", &us_ca, &["eu-1", "us-1"], Rule::Network),
        ("192.0.2.200", &us_ca, &["us-west"], Rule::Network),
        ("10.1.2.3", &us_ca, &[], Rule::Network),
        ("198.51.100.7", &us_ca, &["us-1"], Rule::Network),
        ("2001:db8::1", &us_ca, &["us-west"], Rule::Network),
    ] {
        assert_eq!(found(&config, address, place), (sites.iter().map(ToString::to_string).collect(), rule), "{address}");
    }
}

#[test]
fn networks_are_read_again_alone() {
    let toml = format!(
        "{SITES}[geo.map.clients]\ndefault = []\nnets_file = \"c.nets\"\n[geo.map.other]\ndefault = []\n[zone.z]\nfile = \"z\"\n"
    );
    let place = Place::with(&[("leeward.toml", &toml), ("c.nets", "192.0.2.0/24 eu-1\n")]);
    let first = place.config();
    let stamps = |config: &Config| config.nets_files().map(|(path, stamp)| (path.to_owned(), stamp)).collect::<Vec<_>>();
    assert_eq!(stamps(&first), [(place.0.path().join("c.nets"), Stamp::at(&place.0.path().join("c.nets")))]);
    place.write("leeward.toml", b"half a tab");
    place.write("c.nets", b"192.0.2.0/24 us-1,eu-1\n");
    let second = first.with_nets_read_again().config.expect("sound");
    assert_ne!(stamps(&second), stamps(&first));
    let of = |config| found(config, "192.0.2.1", &Whereabouts::UNKNOWN).0;
    assert_eq!((of(&first), of(&second)), (vec!["eu-1".to_owned()], vec!["us-1".to_owned(), "eu-1".to_owned()]));
    assert!(Arc::ptr_eq(
        first.answering.checks.atlas().maps.get("other").unwrap(),
        second.answering.checks.atlas().maps.get("other").unwrap()
    ));
    place.write("c.nets", b"192.0.2.0/24 us-1,\n");
    let third = second.with_nets_read_again();
    assert!(third.config.is_none() && third.findings[0].to_string().contains("c.nets:1:1: error: there is no site \"\""));
    std::fs::remove_file(place.0.path().join("c.nets")).unwrap();
    let gone = second.with_nets_read_again();
    assert!(gone.config.is_none() && gone.findings[0].message.contains("cannot read the networks"), "{:?}", gone.findings);
}

#[test]
fn wrong_sites() {
    finds(
        r#"
[site.eu-1]
region = ""
coordinates = [91, 0.5]
capacity = 0
colour = "red"
[site."a b"]
coordinates = [1.5]
[site.-x]
coordinates = "Berlin"
[site.y]
coordinates = [nan, 0.0]
[site]
z = 1
"#,
        r#"
leeward.toml:3:10: error: `[site.eu-1] region` is "": no name; write a name of your own, such as "eu"
leeward.toml:4:15: error: `[site.eu-1] coordinates` is [91, 0.5], which is beyond 90 degrees of latitude or 180 of longitude; write latitude and longitude in degrees, such as [52.5, 13.4]
leeward.toml:5:12: error: `[site.eu-1] capacity` is 0, which is out of range; write a number from 1 to 1000000
leeward.toml:6:1: error: unknown key `[site.eu-1] colour`; the keys here are region, coordinates, capacity
leeward.toml:7:7: error: `a b` is no name for a site; write letters, digits, `-`, `_` and `.`, at most 63 of them, the first a letter or digit
leeward.toml:8:15: error: `[site."a b"] coordinates` is no pair of numbers; write latitude and longitude in degrees, such as [52.5, 13.4]
leeward.toml:9:7: error: `-x` is no name for a site; write letters, digits, `-`, `_` and `.`, at most 63 of them, the first a letter or digit
leeward.toml:10:15: error: `[site.-x] coordinates` is no pair of numbers; write latitude and longitude in degrees, such as [52.5, 13.4]
leeward.toml:12:15: error: `[site.y] coordinates` is [NaN, 0], which is beyond 90 degrees of latitude or 180 of longitude; write latitude and longitude in degrees, such as [52.5, 13.4]
leeward.toml:14:5: error: `[site] z` is an integer, not a table; write [site.z]
"#,
    );
}

#[test]
fn wrong_maps() {
    finds(
        r#"
[site.eu-1]
[site.us-1]
[geo.map.a]
default = ["eu1", "eu-1", "eu-1", 5]
continent.XX = ["eu-1"]
country = { DE = "eu-1", DEU = [], de = [], UK = [] }
subdivision = { CA = [], US-CALI = [], "" = [] }
as = { 0 = [], AS5 = [], 4294967296 = [], 5 = [] }
networks = { "192.0.2.1/24" = [], "192.0.2.1" = [], "192.0.2.1/32" = ["here"], x = [] }
nets_file = ""
defualt = []
[geo.map."b c"]
continent = 5
"#,
        r#"
leeward.toml:4:10: warning: the map `a` has rules by place, and there are no databases that say where clients are; name some in `[geo] databases`, or remove the rules
leeward.toml:5:12: error: `[geo.map.a] default`: there is no site "eu1"; did you mean `eu-1`?
leeward.toml:5:27: error: `[geo.map.a] default` holds "eu-1" twice; remove one
leeward.toml:5:35: error: `[geo.map.a] default` holds an integer, not a string; write names of sites, the best first, such as ["eu-1", "us-1"]; [] is none of them
leeward.toml:6:11: error: `[geo.map.a.continent] XX`: no continent has this code; write AF, AN, AS, EU, NA, OC or SA
leeward.toml:7:18: error: `[geo.map.a.country] DE` is a string, not an array of strings; write names of sites, the best first, such as ["eu-1", "us-1"]; [] is none of them
leeward.toml:7:26: error: `[geo.map.a.country] DEU`: the code of a country is two letters; write a code of ISO 3166-1, such as DE
leeward.toml:7:36: error: `[geo.map.a.country] de` is set twice, first at leeward.toml:7:13; remove one
leeward.toml:7:45: warning: no country is known to have the code UK, so the rule may never be met; write GB for the United Kingdom
leeward.toml:8:17: error: `[geo.map.a.subdivision] CA`: the code of a subdivision is that of its country, `-`, and up to three letters or digits; write a code of ISO 3166-2, such as "US-CA"
leeward.toml:8:26: error: `[geo.map.a.subdivision] US-CALI`: the code of a subdivision is that of its country, `-`, and up to three letters or digits; write a code of ISO 3166-2, such as "US-CA"
leeward.toml:8:40: error: `[geo.map.a.subdivision] ""`: the code of a subdivision is that of its country, `-`, and up to three letters or digits; write a code of ISO 3166-2, such as "US-CA"
leeward.toml:9:8: error: `[geo.map.a.as] 0`: no autonomous system has this number; write its number, such as 64500
leeward.toml:9:16: error: `[geo.map.a.as] AS5`: no autonomous system has this number; write its number, such as 64500
leeward.toml:9:26: error: `[geo.map.a.as] 4294967296`: no autonomous system has this number; write its number, such as 64500
leeward.toml:10:14: error: `[geo.map.a.networks] "192.0.2.1/24"`: it has bits set beyond its length; the prefix is 192.0.2.0/24; write a network such as "192.0.2.0/24"
leeward.toml:10:53: error: `[geo.map.a.networks] "192.0.2.1/32"` is set twice, first at leeward.toml:10:35; remove one
leeward.toml:10:71: error: `[geo.map.a.networks] "192.0.2.1/32"`: there is no site "here"; the sites are eu-1, us-1
leeward.toml:10:80: error: `[geo.map.a.networks] x`: it is no address prefix such as 192.0.2.0/24; write a network such as "192.0.2.0/24"
leeward.toml:11:13: error: `[geo.map.a] nets_file` is empty; write a path, or remove the key
leeward.toml:12:1: error: unknown key `[geo.map.a] defualt`; did you mean `default`?
leeward.toml:13:10: error: `b c` is no name for a map; write letters, digits, `-`, `_` and `.`, at most 63 of them, the first a letter or digit
leeward.toml:13:10: error: `[geo.map."b c"] default` is missing; write names of sites, the best first, such as ["eu-1", "us-1"]; [] is none of them
leeward.toml:14:13: error: `[geo.map."b c"] continent` is an integer, not a table; write [geo.map."b c".continent]
"#,
    );
}

#[test]
fn wrong_files_of_networks() {
    let toml = "[geo.map.m]\ndefault = []\nnets_file = \"m.nets\"\n[zone.z]\nfile = \"z\"\n";
    let text =
        "192.0.2.0/24 eu-1\n  192.0.2.1/24 eu-1\n10.0.0.0/8\nnet eu-2, eu-1,eu-1\n192.0.2.0/24 -\n::ffff:192.0.2.0/120 -\n";
    let place = Place::with(&[("leeward.toml", &format!("[site.eu-1]\n{toml}")), ("m.nets", text)]);
    let expected = r#"
m.nets:2:3: error: "192.0.2.1/24" is no network: it has bits set beyond its length; the prefix is 192.0.2.0/24; write a network and its sites, such as: 192.0.2.0/24 eu-1,us-1
m.nets:3:1: error: the sites are missing; write them, or `-` for none of them
m.nets:4:1: error: there is no site "eu-2"; did you mean `eu-1`?
m.nets:4:1: error: the site eu-1 stands here twice; remove one
m.nets:4:1: error: "net" is no network: it is no address prefix such as 192.0.2.0/24; write a network and its sites, such as: 192.0.2.0/24 eu-1,us-1
m.nets:5:1: error: 192.0.2.0/24 stands here a second time, first in line 1; remove one
m.nets:6:1: error: 192.0.2.0/24 stands here a second time, first in line 1; remove one
"#;
    assert_eq!(place.findings(), expected.trim_start());
    place.write("leeward.toml", toml.as_bytes());
    place.write("m.nets", "x -\n".repeat(25).as_bytes());
    let findings = place.findings();
    assert_eq!(findings.lines().count(), 21);
    assert!(findings.starts_with("m.nets: error: 5 more errors in this file"), "{findings}");
    place.write("m.nets", b"192.0.2.0/24 \xFF\n");
    assert_eq!(
        place.findings(),
        "leeward.toml:3:13: error: cannot read the networks in m.nets: stream did not contain valid UTF-8; \
         the path is relative to the file that names it; leeward's user must be able to read it\n"
    );
}
