//! Where an address is, and which sites it would get, for people and for programs.
//!
//! A pure function of the snapshot. Nothing is decided here: maps and places are asked as queries ask them.

use std::net::IpAddr;

use crate::answers::Snapshot;
use crate::geo::{Found, Net, Order, Place, Rule, SiteId, SiteMap, Sites};

use super::forms::{DistanceForm, GeoForm, MapForm, PlaceForm};

/// What is known of `address`, and what every map says of it, or the one named `map`; `None`: there is none of that name.
pub(super) fn geo_form(snapshot: &Snapshot, address: IpAddr, map: Option<&str>) -> Option<GeoForm> {
    let address = address.to_canonical();
    let (places, options) = (&snapshot.places, &snapshot.options);
    let place = places.find(address);
    let maps = options.checks.atlas().maps.iter().filter(|(name, _)| map.is_none_or(|wanted| *name == wanted));
    let maps: Vec<_> = maps.map(|(name, map)| map_form(snapshot, (name, map), address, place)).collect();
    if map.is_some() && maps.is_empty() {
        return None;
    }
    Some(GeoForm {
        generation: snapshot.generation.0,
        address: address.to_string(),
        databases: places.sources().len(),
        place: place_form(place),
        network: around(address, places.scope(address, usize::MAX, Place::clone)),
        maps,
        nearest: nearest(&options.checks.atlas().sites, place),
    })
}

fn place_form(place: &Place) -> PlaceForm {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    let code = |code: &Option<std::sync::Arc<str>>| code.as_deref().map(str::to_ascii_uppercase);
    PlaceForm {
        continent: code(&place.continent),
        country: code(&place.country),
        subdivision: subdivision(place),
        city: text(&place.city),
        asn: place.asn,
        organization: text(&place.organization),
        coordinates: place.location.map(|location| [location.latitude(), location.longitude()]),
    }
}

/// As ISO 3166-2 and the configuration have it: `US-CA`.
fn subdivision(place: &Place) -> Option<String> {
    let code = format!("{}-{}", place.country.as_deref()?, place.region.as_deref()?);
    Some(code.to_ascii_uppercase())
}

fn map_form(snapshot: &Snapshot, (name, map): (&str, &SiteMap), address: IpAddr, place: &Place) -> MapForm {
    let Found { order, rule, scope } = map.find(address, place);
    let of_place = || snapshot.places.scope(address, usize::MAX, |place| map.order_of_place(place));
    let scope = if rule == Rule::Network { scope } else { scope.max(of_place()) };
    let network = map.network_of(address).filter(|_| rule == Rule::Network);
    MapForm {
        map: name.to_owned(),
        rule: rule.as_str().to_owned(),
        met: met(rule, place, network.map(|(net, _)| net)),
        nets_file: network.is_some_and(|(_, from_file)| from_file),
        sites: names(&snapshot.options.checks.atlas().sites, &map.orders()[usize::from(order)]),
        network: around(address, scope),
    }
}

/// What of the client a rule met, as the configuration writes it.
fn met(rule: Rule, place: &Place, network: Option<Net>) -> Option<String> {
    match rule {
        Rule::Network => network.map(|network| network.to_string()),
        Rule::System => place.asn.map(|asn| asn.to_string()),
        Rule::Subdivision => subdivision(place),
        Rule::Country => place.country.as_deref().map(str::to_ascii_uppercase),
        Rule::Continent => place.continent.as_deref().map(str::to_ascii_uppercase),
        Rule::Default => None,
    }
}

fn names(sites: &Sites, order: &Order) -> Vec<String> {
    order.iter().map(|&site| name(sites, site)).collect()
}

fn name(sites: &Sites, id: SiteId) -> String {
    sites.get(id).map(|site| site.name.to_string()).unwrap_or_default()
}

fn nearest(sites: &Sites, place: &Place) -> Vec<DistanceForm> {
    let near = place.location.map(|location| sites.nearest(location)).unwrap_or_default();
    near.into_iter().map(|(site, kilometres)| DistanceForm { site: name(sites, site), kilometres: kilometres.round() }).collect()
}

/// The network of so many bits around an address.
fn around(address: IpAddr, bits: u8) -> String {
    Net::new(address, bits).map_or_else(|| address.to_string(), |net| net.to_string())
}
