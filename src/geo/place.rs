//! What a database says of where an address is, and how far two places are apart.
//!
//! All text is kept in lower case, as record programs see and compare it, so nothing is converted for a query. A value that
//! a database leaves empty or writes as `--` is not known. Neither is a place on the map that comes without a radius of
//! accuracy, or that no globe has.
//!
//! Never here: which address is where.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What is known of where an address is. Text is in lower case and never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// ISO 3166-1 code: `de`.
    pub country: Option<Arc<str>>,
    /// `af`, `an`, `as`, `eu`, `na`, `oc` or `sa`.
    pub continent: Option<Arc<str>>,
    /// ISO 3166-2 code of the largest subdivision, without its country: `by`.
    pub region: Option<Arc<str>>,
    /// English name.
    pub city: Option<Arc<str>>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Who runs the autonomous system.
    pub organization: Option<Arc<str>>,
    /// Where on the globe.
    pub location: Option<Location>,
}

/// What can be asked of a place, with the numbers of `GeoIPQueryAttribute` in PowerDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// Number of the autonomous system, in decimal.
    Asn = 0,
    /// The city.
    City = 1,
    /// The continent's code.
    Continent = 2,
    /// The country's code.
    Country = 3,
    /// The same.
    Country2 = 4,
    /// Who runs the autonomous system.
    Name = 5,
    /// The code of the largest subdivision.
    Region = 6,
    /// Latitude and longitude, six decimals each.
    Location = 7,
}

impl Attribute {
    /// All of them, by number.
    const ALL: [Self; 8] =
        [Self::Asn, Self::City, Self::Continent, Self::Country, Self::Country2, Self::Name, Self::Region, Self::Location];

    /// The attribute with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

impl Place {
    /// Nothing is known.
    pub const UNKNOWN: Self =
        Self { country: None, continent: None, region: None, city: None, asn: None, organization: None, location: None };

    /// One attribute as text; `None` where it is not known.
    #[must_use]
    pub fn attribute(&self, attribute: Attribute) -> Option<Cow<'_, str>> {
        match attribute {
            Attribute::Asn => self.asn.map(|asn| asn.to_string().into()),
            Attribute::Location => self.location.map(|location| location.to_string().into()),
            _ => self.text(attribute).map(Cow::Borrowed),
        }
    }

    /// One attribute that is a text.
    fn text(&self, attribute: Attribute) -> Option<&str> {
        let text = match attribute {
            Attribute::Asn | Attribute::Location => return None,
            Attribute::City => &self.city,
            Attribute::Continent => &self.continent,
            Attribute::Country | Attribute::Country2 => &self.country,
            Attribute::Name => &self.organization,
            Attribute::Region => &self.region,
        };
        text.as_deref()
    }

    /// Whether an attribute is this text.
    #[must_use]
    pub fn is(&self, attribute: Attribute, text: &str) -> bool {
        match attribute {
            Attribute::Asn => {
                let canonical = text.starts_with(|first: char| matches!(first, '1'..='9')) || text == "0";
                canonical && self.asn.is_some() && text.parse().ok() == self.asn
            }
            _ => self.attribute(attribute).as_deref() == Some(text),
        }
    }

    /// Whether an attribute is known.
    #[must_use]
    pub fn knows(&self, attribute: Attribute) -> bool {
        match attribute {
            Attribute::Asn => self.asn.is_some(),
            Attribute::Location => self.location.is_some(),
            _ => self.text(attribute).is_some(),
        }
    }

    /// Whether `other` says the same of one attribute.
    #[must_use]
    pub fn agrees(&self, other: &Self, attribute: Attribute) -> bool {
        match attribute {
            Attribute::Asn => self.asn == other.asn,
            Attribute::Location => self.location == other.location,
            _ => self.text(attribute) == other.text(attribute),
        }
    }

    /// This place, and of what is not known of it what is known of `other`.
    #[must_use]
    pub(super) fn or(&self, other: &Self) -> Self {
        let text = |ours: &Option<Arc<str>>, theirs: &Option<Arc<str>>| ours.as_ref().or(theirs.as_ref()).cloned();
        Self {
            country: text(&self.country, &other.country),
            continent: text(&self.continent, &other.continent),
            region: text(&self.region, &other.region),
            city: text(&self.city, &other.city),
            asn: self.asn.or(other.asn),
            organization: text(&self.organization, &other.organization),
            location: self.location.or(other.location),
        }
    }
}

/// A point on the globe, in degrees. By default it is (0, 0), which is where record programs look for what is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Location {
    latitude: f64,
    longitude: f64,
}

// Neither is ever NaN or a negative zero, so equality is total and what is equal has equal bits.
impl Eq for Location {}

impl Hash for Location {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.latitude.to_bits(), self.longitude.to_bits()).hash(state);
    }
}

impl Location {
    /// Degrees north and east; `None` beyond 90 and 180.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let on_globe = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        on_globe.then_some(Self { latitude: latitude + 0.0, longitude: longitude + 0.0 }) // -0 + 0 = 0
    }

    /// Degrees north.
    #[must_use]
    pub const fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east.
    #[must_use]
    pub const fn longitude(self) -> f64 {
        self.longitude
    }

    /// How far `other` is on a map with square degrees, in square degrees: what PowerDNS compares.
    #[must_use]
    pub fn flat_distance(self, other: Self) -> f64 {
        let north = self.latitude - other.latitude;
        let east = (self.longitude - other.longitude).abs();
        let east = if east > 180.0 { 360.0 - east } else { east };
        north * north + east * east
    }

    /// How far `other` is along a great circle, in radians: times 6371 it is kilometres.
    #[must_use]
    pub fn sphere_distance(self, other: Self) -> f64 {
        let half_sine = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let parallels = self.latitude.to_radians().cos() * other.latitude.to_radians().cos();
        let haversine = half_sine(self.latitude - other.latitude) + parallels * half_sine(self.longitude - other.longitude);
        2.0 * haversine.sqrt().min(1.0).asin()
    }
}

impl std::fmt::Display for Location {
    /// As C prints `%f %f`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.6} {:.6}", self.latitude, self.longitude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> Location {
        Location::new(latitude, longitude).expect("on the globe")
    }

    #[test]
    fn attributes_by_number() {
        let place = Place {
            country: Some("us".into()),
            continent: Some("na".into()),
            region: Some("wa".into()),
            city: Some("milton".into()),
            asn: Some(209),
            organization: Some("qwest".into()),
            location: Location::new(47.2513, -122.3149),
        };
        let expected = ["209", "milton", "na", "us", "us", "qwest", "wa", "47.251300 -122.314900"];
        for (number, expected) in (0..).zip(expected) {
            let attribute = Attribute::from_number(number).expect("a number");
            assert_eq!(attribute as u64, number);
            assert_eq!(place.attribute(attribute).as_deref(), Some(expected));
            assert_eq!(Place::UNKNOWN.attribute(attribute), None);
        }
        assert_eq!(Attribute::from_number(8), None);
    }

    #[test]
    fn locations() {
        assert_eq!(at(-0.0, -0.0).to_string(), "0.000000 0.000000");
        assert_eq!(Location::default(), at(0.0, -0.0));
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Location::new(latitude, longitude), None);
        }
    }

    #[test]
    fn distances() {
        let (fiji, samoa, oslo) = (at(-17.0, 178.0), at(-14.0, -172.0), at(60.0, 10.0));
        assert_eq!(fiji.flat_distance(samoa), 9.0 + 100.0);
        assert_eq!(samoa.flat_distance(fiji), 9.0 + 100.0);
        assert_eq!(oslo.flat_distance(at(60.0, -170.0)), 180.0 * 180.0);
        let quarter = at(0.0, 0.0).sphere_distance(at(0.0, 90.0));
        assert!((quarter - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
        // Over the pole: 60 degrees, not the 180 that the flat map sees.
        assert!((oslo.sphere_distance(at(60.0, -170.0)).to_degrees() - 60.0).abs() < 1e-9);
        assert!(fiji.sphere_distance(samoa) < fiji.sphere_distance(oslo));
    }
}
