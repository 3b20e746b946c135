//! The test databases of MaxMind: every network as their sources say and as the reader of the format finds it, and the
//! broken ones refused.
//!
//! The data is not part of the project: without `LEEWARD_TEST_DATA` the tests skip themselves and say so.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not understand")]

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use leeward::geo::{Attribute, Database, Net, Place, Places};
use maxminddb::{Reader, WithinOptions, geoip2};
use serde_json::Value;

const CITY: &str = "GeoLite2-City-Test.mmdb";
const ASN: &str = "GeoLite2-ASN-Test.mmdb";
const COUNTRY: &str = "GeoLite2-Country-Test.mmdb";

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("LEEWARD_TEST_DATA").map(|folder| Path::new(&folder).join("geo"));
    if folder.is_none() {
        eprintln!("SKIPPED: LEEWARD_TEST_DATA is not set");
    }
    folder
}

fn bytes(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(file)).unwrap()
}

fn places(folder: &Path, files: &[&str]) -> Places {
    Places::new(files.iter().map(|file| Database::read(file, &bytes(folder, file)).unwrap()))
}

fn attributes(place: &Place) -> Vec<Option<String>> {
    let text = |number| place.attribute(Attribute::from_number(number).unwrap()).map(Into::into);
    (0..8).map(text).collect()
}

fn point(latitude: Option<f64>, longitude: Option<f64>, radius: bool) -> Option<String> {
    radius.then(|| format!("{:.6} {:.6}", latitude.unwrap(), longitude.unwrap()))
}

/// What the JSON that a database was made of says of each network.
#[test]
fn as_the_sources_say() {
    let Some(folder) = folder() else { return };
    let places = places(&folder, &[CITY, ASN]);
    let text = |value: &Value| value.as_str().map(str::to_ascii_lowercase);
    let mut compared = 0;
    for source in ["GeoLite2-City-Test.json", "GeoLite2-ASN-Test.json"] {
        let city = source.contains("City");
        let entries: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&bytes(&folder, source)).unwrap();
        for (net, said) in entries.iter().flatten() {
            let net: Net = net.parse().unwrap();
            let place = attributes(places.find(net.address()));
            let location = &said["location"];
            let (latitude, longitude) = (location["latitude"].as_f64(), location["longitude"].as_f64());
            let expected = [
                said["autonomous_system_number"].as_u64().map(|number| number.to_string()),
                text(&said["city"]["names"]["en"]),
                text(&said["continent"]["code"]),
                text(&said["country"]["iso_code"]),
                text(&said["country"]["iso_code"]),
                text(&said["autonomous_system_organization"]),
                text(&said["subdivisions"][0]["iso_code"]),
                point(latitude, longitude, !location["accuracy_radius"].is_null()),
            ];
            let of_system = |number: usize| matches!(number, 0 | 5);
            for number in (0..8).filter(|&number| of_system(number) != city) {
                assert_eq!(place[number], expected[number], "{net} {number}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 242 + 720);
}

/// Both ends of every network, and what is next to them.
#[test]
fn as_the_reader_finds() {
    let Some(folder) = folder() else { return };
    for (file, other) in [(CITY, ASN), (COUNTRY, ASN), (ASN, CITY), ("GeoIP2-City-Test.mmdb", ASN)] {
        let places = places(&folder, &[file, other]);
        let [reader, other] = [file, other].map(|file| Reader::from_source(bytes(&folder, file)).unwrap());
        let mut compared = 0;
        for found in reader.networks(WithinOptions::default()).unwrap() {
            let network = found.unwrap().network().unwrap();
            for address in around(network.network(), network.broadcast()) {
                let place = attributes(places.find(address));
                let (first, second) = (expected(&reader, address), expected(&other, address));
                let joined: Vec<_> = first.into_iter().zip(second).map(|(first, second)| first.or(second)).collect();
                assert_eq!(place, joined, "{file} {address}");
                compared += 1;
            }
        }
        assert!(compared > 100, "{file}: {compared}");
    }
}

/// The ends, and the neighbours that are addresses of the same kind and lead nowhere else.
fn around(first: IpAddr, last: IpAddr) -> Vec<IpAddr> {
    let neighbours = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let bits = [first.to_bits().saturating_sub(1), last.to_bits().saturating_add(1)];
            bits.map(|bits| bits.to_be_bytes().into())
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let bits = [first.to_bits().saturating_sub(1), last.to_bits().saturating_add(1)];
            bits.map(|bits| bits.to_be_bytes().into())
        }
        _ => panic!("a network of two families"),
    };
    let leads_to_v4 = |address: &IpAddr| match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => matches!(v6.segments(), [0x2002, ..] | [0x2001, 0, ..] | [0, 0, 0, 0, 0, 0xFFFF | 0, ..]),
    };
    [first, last].into_iter().chain(neighbours).filter(|address| !leads_to_v4(address)).collect()
}

/// What the reader says of an address, by attribute.
fn expected(reader: &Reader<Vec<u8>>, address: IpAddr) -> Vec<Option<String>> {
    let lower = |text: Option<&str>| text.map(str::to_ascii_lowercase);
    let found = reader.lookup(address).unwrap();
    let place = found.decode::<geoip2::City<'_>>().unwrap().unwrap_or_default();
    let system = found.decode::<geoip2::Asn<'_>>().unwrap();
    let location = place.location;
    vec![
        system.as_ref().and_then(|system| system.autonomous_system_number).map(|number| number.to_string()),
        lower(place.city.names.english),
        lower(place.continent.code),
        lower(place.country.iso_code),
        lower(place.country.iso_code),
        lower(system.and_then(|system| system.autonomous_system_organization)),
        lower(place.subdivisions.first().and_then(|region| region.iso_code)),
        point(location.latitude, location.longitude, location.accuracy_radius.is_some()),
    ]
}

#[test]
fn broken_ones_are_refused() {
    let Some(folder) = folder() else { return };
    for file in [
        "GeoIP2-City-Test-Broken-Double-Format.mmdb",
        "GeoIP2-City-Test-Invalid-Node-Count.mmdb",
        "MaxMind-DB-test-broken-pointers-24.mmdb",
        "MaxMind-DB-test-broken-search-tree-24.mmdb",
        "MaxMind-DB-no-ipv4-search-tree.mmdb", // its only record is text
        "GeoLite2-ASN-Test.json",
    ] {
        let error = Database::read(file, &bytes(&folder, file)).expect_err(file).to_string();
        assert!(error.starts_with("it is no sound MaxMind database: "), "{file}: {error}");
        eprintln!("{file}: {error}");
    }
}

/// Sound, and of no use: nothing that a place has.
#[test]
fn others_say_nothing() {
    let Some(folder) = folder() else { return };
    for file in ["MaxMind-DB-test-ipv4-28.mmdb", "MaxMind-DB-test-mixed-32.mmdb"] {
        let places = places(&folder, &[file]);
        for address in ["1.1.1.1", "::1:ffff:ffff", "2001:db8::1"] {
            assert_eq!(places.find(address.parse().unwrap()), &Place::UNKNOWN, "{file} {address}");
        }
    }
}
