//! One database in the format of MaxMind, read whole: what it says of each address.
//!
//! The search tree is walked once, from left to right, so the ranges come sorted. A record that many networks share is
//! decoded once. Of a record only what a [`Place`] holds is looked at; what else is there may be broken.
//!
//! IPv4 stands at ::/96 of the tree. Prefixes that many databases make lead there as well (6to4, Teredo, IPv4-mapped) are
//! no places of their own and count as unknown: read out they would take the room of IPv4 once more each.
//!
//! A file may be broken or made to harm: walking ends after as many networks as its tree can honestly have, and everything
//! kept is bounded by the size of the file.
//!
//! Never here: more than one database; files.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions, path};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::place::{Location, Place};
use super::places::Interner;
use super::ranges::Ranges;

/// How often the whole tree may be walked for the prefixes that lead to the same branch: three that lead to IPv4 are usual.
const REPEATS: usize = 8;

/// What a database says of each address.
#[derive(Debug)]
pub struct Database {
    pub(super) places: Vec<Place>,
    pub(super) v4: Ranges<u32>,
    pub(super) v6: Ranges<u128>,
    pub(super) source: Source,
}

/// Which database it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it was called where it was read.
    pub name: Arc<str>,
    /// How many networks it has data for.
    pub networks: usize,
    /// When it was made, in seconds since 1970.
    pub built: u64,
}

/// Why bytes are no database of places.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It is in another format, or what it says makes no sense.
    #[error("it is no sound MaxMind database: {0}")]
    Broken(#[from] MaxMindDbError),
    /// Its tree has more leaves than nodes can hold.
    #[error("it is no sound MaxMind database: its search tree runs in circles")]
    Endless,
}

impl Database {
    /// Reads the database `name`.
    ///
    /// # Errors
    /// When the bytes are no MaxMind database, or a broken one.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, DatabaseError> {
        let reader = Reader::from_source(bytes)?;
        let leaves = reader.metadata().node_count as usize + 1;
        let source = Source { name: name.into(), networks: 0, built: reader.metadata().build_epoch };
        let mut records = Records::default();
        let mut database = Self { places: Vec::new(), v4: Ranges::all(0), v6: Ranges::all(0), source };
        // Also what has no data: it ends the range before it, and no part of the walk goes uncounted.
        let all = WithinOptions::default().include_aliased_networks().include_networks_without_data();
        for (count, found) in reader.networks(all)?.enumerate() {
            if count >= leaves.saturating_mul(REPEATS) {
                return Err(DatabaseError::Endless);
            }
            let found = found?;
            let network = found.network()?;
            if leads_to_v4(network.ip()) {
                database.enter(network.ip(), network.prefix(), 0);
            } else {
                database.source.networks += usize::from(found.has_data());
                database.enter(network.ip(), network.prefix(), records.number(&found)?);
            }
        }
        database.places = records.places.finish();
        Ok(database)
    }

    fn enter(&mut self, first: IpAddr, length: u8, number: u32) {
        match first {
            IpAddr::V4(first) => self.v4.push(first.to_bits(), number),
            IpAddr::V6(first) => {
                self.v6.push(first.to_bits(), number);
                if first.is_unspecified() && length <= 96 {
                    self.v4.push(0, number); // a leaf where the branch of IPv4 would be, or above
                }
            }
        }
    }
}

/// Whether it lies in 2002::/16, 2001::/32 or ::ffff:0:0/96.
fn leads_to_v4(address: IpAddr) -> bool {
    let IpAddr::V6(address) = address else { return false };
    matches!(address.segments(), [0x2002, ..] | [0x2001, 0, ..] | [0, 0, 0, 0, 0, 0xFFFF, ..])
}

/// The records seen so far, as places.
#[derive(Default)]
struct Records {
    places: Interner,
    by_offset: HashMap<usize, u32>,
    texts: HashSet<Arc<str>>,
}

impl Records {
    /// The number of the place that was found.
    fn number(&mut self, found: &LookupResult<'_, &[u8]>) -> Result<u32, MaxMindDbError> {
        let Some(offset) = found.offset() else { return Ok(0) };
        if let Some(&number) = self.by_offset.get(&offset) {
            return Ok(number);
        }
        let record: Record<'_> = found.decode()?.unwrap_or_default();
        let first_city = found.decode_path::<&str>(&path!["cities", 0]).unwrap_or(None); // of another type: not for us
        let place = self.place(&record, first_city);
        let number = self.places.number(place);
        self.by_offset.insert(offset, number);
        Ok(number)
    }

    fn place(&mut self, record: &Record<'_>, first_city: Option<&str>) -> Place {
        Place {
            country: self.text(record.country.as_ref().and_then(|country| country.iso_code)),
            continent: self.text(record.continent.as_ref().and_then(|continent| continent.code)),
            region: self.text(record.subdivisions.iter().flatten().next().and_then(|region| region.iso_code)),
            city: self.text(first_city.or_else(|| record.city.as_ref()?.names.as_ref()?.en)),
            asn: record.autonomous_system_number,
            organization: self.text(record.autonomous_system_organization),
            location: record.location.as_ref().and_then(Point::location),
        }
    }

    /// Text as it is kept, once however often it occurs.
    fn text(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        let text = text.filter(|text| !text.is_empty() && *text != "--")?.to_ascii_lowercase();
        if let Some(known) = self.texts.get(text.as_str()) {
            return Some(Arc::clone(known));
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        Some(text)
    }
}

/// What is looked at of a record.
#[derive(Default, Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Coded<'a>>,
    continent: Option<Continent<'a>>,
    subdivisions: Option<Vec<Coded<'a>>>,
    city: Option<City<'a>>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    location: Option<Point>,
}

#[derive(Deserialize)]
struct Coded<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Continent<'a> {
    code: Option<&'a str>,
}

#[derive(Deserialize)]
struct City<'a> {
    #[serde(borrow)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Deserialize)]
struct Point {
    accuracy_radius: Option<IgnoredAny>,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Point {
    fn location(&self) -> Option<Location> {
        self.accuracy_radius?;
        Location::new(self.latitude?, self.longitude?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Mmdb, Value};
    use super::*;

    fn country(code: &'static str) -> Value {
        Value::Map(vec![("country", Value::Map(vec![("iso_code", Value::Text(code))]))])
    }

    fn place(database: &Database, address: &str) -> Place {
        let number = match address.parse().expect("an address") {
            IpAddr::V4(v4) => database.v4.number(database.v4.index(v4.to_bits())),
            IpAddr::V6(v6) => database.v6.number(database.v6.index(v6.to_bits())),
        };
        database.places[number as usize].clone()
    }

    #[test]
    fn every_attribute() {
        let names = Value::Map(vec![("de", Value::Text("Wien")), ("en", Value::Text("Vienna"))]);
        let point = |radius: bool| {
            let mut point = vec![("latitude", Value::Double(48.2)), ("longitude", Value::Double(16.37))];
            point.extend(radius.then_some(("accuracy_radius", Value::Number(5))));
            Value::Map(point)
        };
        let record = |radius: bool| {
            Value::Map(vec![
                ("city", Value::Map(vec![("names", names.clone())])),
                ("country", Value::Map(vec![("iso_code", Value::Text("AT"))])),
                ("continent", Value::Map(vec![("code", Value::Text("EU"))])),
                ("subdivisions", Value::List(vec![Value::Map(vec![("iso_code", Value::Text("9"))]), Value::Map(vec![])])),
                ("location", point(radius)),
                ("autonomous_system_number", Value::Number(1901)),
                ("autonomous_system_organization", Value::Text("Example GmbH")),
            ])
        };
        let mut written = Mmdb::v6().built(1_700_000_000);
        written.insert("192.0.2.0/24", &record(true));
        written.insert("192.0.3.0/24", &record(false));
        written.insert("2001:db8::/32", &Value::Map(vec![("cities", Value::List(vec![Value::Text("Graz")]))]));
        for record_size in [24, 28, 32] {
            let database = Database::read("test", &written.write(record_size)).expect("sound");
            let expected = Place {
                country: Some("at".into()),
                continent: Some("eu".into()),
                region: Some("9".into()),
                city: Some("vienna".into()),
                asn: Some(1901),
                organization: Some("example gmbh".into()),
                location: Location::new(48.2, 16.37),
            };
            assert_eq!(place(&database, "192.0.2.7"), expected);
            assert_eq!(place(&database, "192.0.3.7"), Place { location: None, ..expected });
            assert_eq!(place(&database, "2001:db8::1"), Place { city: Some("graz".into()), ..Place::UNKNOWN });
            assert_eq!(place(&database, "192.0.4.1"), Place::UNKNOWN);
            assert_eq!(database.source, Source { name: "test".into(), networks: 3, built: 1_700_000_000 });
        }
    }

    #[test]
    fn not_known() {
        let mut written = Mmdb::v4();
        written.insert("10.0.0.0/8", &country("--"));
        written.insert("11.0.0.0/8", &country(""));
        let database = Database::read("test", &written.write(24)).expect("sound");
        assert_eq!((database.v4.len(), database.places.len()), (1, 1));
        assert_eq!(place(&database, "10.0.0.1"), Place::UNKNOWN);
    }

    /// Prefixes that lead to IPv4 are not read out once more each; what only shares a record with others is.
    #[test]
    fn aliases() {
        let mut written = Mmdb::v6();
        written.insert("192.0.2.0/24", &country("AT"));
        for alias in ["::ffff:0:0/96", "2001::/32", "2002::/16"] {
            written.alias(alias);
        }
        let database = Database::read("test", &written.write(28)).expect("sound");
        assert_eq!((database.v4.len(), database.v6.len(), database.source.networks), (3, 1, 1));

        let mut written = Mmdb::v6();
        written.insert("::/64", &country("AT"));
        written.insert("2001:db8::/32", &country("AT"));
        let database = Database::read("test", &written.write(28)).expect("sound");
        for address in ["192.0.2.1", "::1", "2001:db8::1"] {
            assert_eq!(place(&database, address).country.as_deref(), Some("at"), "{address}");
        }
    }

    /// Each node leads twice to the next: 2^128 ways. With leaves of every kind at the end, or none.
    #[test]
    fn endless_trees_end() {
        let mut written = Mmdb::v6();
        written.insert("::/128", &country("AT"));
        let sound = written.write(24);
        for last in [0, 96, 128, 130] {
            let mut bytes = sound.clone();
            for node in 0..128usize {
                let next = if node == 127 { last } else { node + 1 };
                let record = &(next as u32).to_be_bytes()[1..];
                bytes[node * 6..node * 6 + 3].copy_from_slice(record);
                bytes[node * 6 + 3..node * 6 + 6].copy_from_slice(record);
            }
            assert!(Database::read("test", &bytes).is_err(), "{last}");
        }
    }

    proptest! {
        /// Whatever the bytes: a database or an error.
        #[test]
        fn damage_is_an_error_at_most(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut: prop::sample::Index) {
            let mut written = Mmdb::v6();
            written.insert("192.0.2.0/24", &country("AT"));
            written.insert("2001:db8::/32", &country("DE"));
            written.alias("2002::/16");
            let mut bytes = written.write(28);
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = Database::read("test", &bytes);
            let _ = Database::read("test", &bytes[..cut.index(bytes.len())]);
        }
    }
}
