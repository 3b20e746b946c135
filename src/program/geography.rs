//! What record programs write about places, and the addresses that names spell for it.
//!
//! A place is a latitude and a longitude in degrees, north and east positive.
//!
//! Never here: where an address is.

use std::net::IpAddr;

use super::{address, number};
use crate::wire::NameRef;

/// Where an address is: latitude and longitude in degrees.
pub type Place = (f64, f64);

/// `latlon()`: both in degrees; an unknown place lies at 0°, 0°.
#[must_use]
pub fn latlon(place: Option<Place>) -> String {
    let (latitude, longitude) = place.unwrap_or_default();
    format!("{latitude:.6} {longitude:.6}")
}

/// `latlonloc()`: the content of a LOC record (RFC 1876 3); an unknown place lies at 0°, 0°.
#[must_use]
pub fn latlonloc(place: Option<Place>) -> String {
    let (latitude, longitude) = place.unwrap_or_default();
    format!("{} {} 0.00m 1.00m 10000.00m 10.00m", sexagesimal(latitude, ["N", "S"]), sexagesimal(longitude, ["E", "W"]))
}

/// `latlonMagic()`: [`latlon`] of the IPv4 address that the first four labels spell backwards, as in names for reverse
/// look-up. `locate` says where an address is.
pub fn latlon_magic(name: NameRef<'_>, locate: impl FnOnce(IpAddr) -> Option<Place>) -> String {
    let mut labels: Vec<&[u8]> = name.labels().take(4).collect();
    if labels.len() < 4 {
        return "unknown".to_owned();
    }
    labels.reverse();
    latlon(read(&labels.join(&b'.')).and_then(locate))
}

/// `closestMagic()`: the addresses that the first labels spell with dashes for dots, up to the first label that spells
/// none.
#[must_use]
pub fn closest_magic(name: NameRef<'_>) -> Vec<IpAddr> {
    name.labels().map_while(|label| read(&label.split(|&octet| octet == b'-').collect::<Vec<_>>().join(&b'.'))).collect()
}

fn read(text: &[u8]) -> Option<IpAddr> {
    Some(address::parse(str::from_utf8(text).ok()?)?.address)
}

/// Degrees, minutes, seconds and the hemisphere, as PowerDNS prints them: of what is not positive, zero included, the
/// negative counts to the other hemisphere.
fn sexagesimal(value: f64, [positive, other]: [&str; 2]) -> String {
    let (value, hemisphere) = if value > 0.0 { (value, positive) } else { (-value, other) };
    let degrees = value as i32;
    let minutes = (value - f64::from(degrees)) * 60.0;
    let seconds = (minutes - f64::from(minutes as i32)) * 60.0;
    format!("{degrees} {} {} {hemisphere}", minutes as i32, number::general(seconds, 6))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Name;

    proptest! {
        #[test]
        fn any_label_may_spell_an_address(address: u32, tail in prop::collection::vec(any::<u8>(), 0..10)) {
            let spelt = std::net::Ipv4Addr::from_bits(address).to_string().replace('.', "-");
            let label = [spelt.as_bytes(), &tail].concat();
            let first = Name::child(&label, NameRef::ROOT).unwrap();
            let name = Name::child(spelt.as_bytes(), first.as_ref()).unwrap();
            let found = closest_magic(name.as_ref());
            prop_assert_eq!(found[0], IpAddr::from(address.to_be_bytes()));
            prop_assert_eq!(found.len() == 2, !closest_magic(first.as_ref()).is_empty());
        }
    }

    /// What PowerDNS 4.7.3 gives, with MaxMind's test database.
    #[test]
    fn places_are_written_as_in_powerdns() {
        for (latitude, longitude, degrees, loc) in [
            (51.75, -1.25, "51.750000 -1.250000", "51 45 0 N 1 15 0 W"),
            (51.5142, -0.0931, "51.514200 -0.093100", "51 30 51.12 N 0 5 35.16 W"),
            (58.4167, 15.6167, "58.416700 15.616700", "58 25 0.12 N 15 37 0.12 E"),
            (43.88, 125.3228, "43.880000 125.322800", "43 52 48 N 125 19 22.08 E"),
            (36.13333, -5.35, "36.133330 -5.350000", "36 7 59.988 N 5 20 60 W"),
            (47.913, -122.3042, "47.913000 -122.304200", "47 54 46.8 N 122 18 15.12 W"),
            (-33.5, 1.5, "-33.500000 1.500000", "33 30 0 S 1 30 0 E"),
        ] {
            assert_eq!(latlon(Some((latitude, longitude))), degrees);
            assert_eq!(latlonloc(Some((latitude, longitude))), format!("{loc} 0.00m 1.00m 10000.00m 10.00m"));
        }
        assert_eq!(latlon(None), "0.000000 0.000000");
        assert_eq!(latlonloc(None), "0 0 -0 S 0 0 -0 W 0.00m 1.00m 10000.00m 10.00m");
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn names_spell_addresses() {
        let name = |text: &str| Name::from_text(text.as_bytes(), None).unwrap();
        for (text, wanted) in [
            ("1.2.3.4.lab.", &["0.0.0.1", "0.0.0.2", "0.0.0.3", "0.0.0.4"][..]),
            ("1-2-3-4.lab.", &["1.2.3.4"]),
            ("1-2-3-4.5-6-7-8.lab.", &["1.2.3.4", "5.6.7.8"]),
            ("1-2-3-4.x.5-6-7-8.lab.", &["1.2.3.4"]),
            ("1-2-3.lab.", &["1.2.0.3"]),
            ("010-0-0-1.lab.", &["8.0.0.1"]),
            ("2001-db8--1.lab.", &[]),
            ("1-2-3-4-5.lab.", &[]),
            ("x.1-2-3-4.lab.", &[]),
            (".", &[]),
        ] {
            let spelt: Vec<String> = closest_magic(name(text).as_ref()).iter().map(IpAddr::to_string).collect();
            assert_eq!(spelt, wanted, "{text}");
        }
        for (text, wanted) in [
            ("142.69.2.81.m.lab.", "51.514200 -0.093100"),
            ("1.69.2.81.m.lab.", "0.000000 0.000000"),
            ("x.69.2.81.", "0.000000 0.000000"),
            ("1.2.3.", "unknown"),
            (".", "unknown"),
        ] {
            let london = |address: IpAddr| (address.to_string() == "81.2.69.142").then_some((51.5142, -0.0931));
            assert_eq!(latlon_magic(name(text).as_ref(), london), wanted, "{text}");
        }
    }
}
