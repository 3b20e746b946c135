//! Clients → sites in order of preference.
//!
//! The most exact rule that a client meets decides alone: the longest network that holds its address, then its autonomous
//! system, subdivision, country and continent, then the default. What the databases do not know of a client meets no rule.
//! Orders are never joined: what a rule leaves out it leaves out on purpose, and an order of no sites is a rule like any
//! other.
//!
//! Why a network counts before everything that a database says: who writes one corrects the database.
//!
//! Networks are judged as [`NetMap`] and [`Net`] judge them: an IPv4-mapped address (::ffff:0:0/96) is an IPv4 address.
//! The other ways of carrying IPv4 within IPv6 (6to4, Teredo, NAT64) are IPv6 networks like any other.
//!
//! A map is made once, with every order kept once; to look a client up allocates nothing.
//!
//! Never here: names, files, whether a site is up.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Net, NetMap, Place, SiteId};

/// Sites, the best first; none: no site is for these clients.
pub type Order = Box<[SiteId]>;

/// What a map is made of. Text is in lower case, as in [`Place`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Where no other rule is met.
    pub default: Order,
    /// By continent: `eu`.
    pub continents: BTreeMap<Box<str>, Order>,
    /// By country: `de`.
    pub countries: BTreeMap<Box<str>, Order>,
    /// By country and in it by subdivision: `us`, `ca`.
    pub subdivisions: BTreeMap<Box<str>, BTreeMap<Box<str>, Order>>,
    /// By number of the autonomous system.
    pub systems: BTreeMap<u32, Order>,
    /// By network, from the configuration. Of two rules for one network the first counts.
    pub networks: Vec<(Net, Order)>,
    /// By network, from a file; these come before the others for the same network, and only there.
    pub listed: Vec<(Net, Order)>,
}

/// There are more different orders than a map can number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are more than {} different orders of sites", SiteMap::ORDERS_MAX)]
pub struct TooManyOrders;

/// Clients → sites in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteMap {
    /// Each once; the first is the default.
    orders: Box<[Order]>,
    continents: BTreeMap<Box<str>, u16>,
    countries: BTreeMap<Box<str>, u16>,
    subdivisions: BTreeMap<Box<str>, BTreeMap<Box<str>, u16>>,
    systems: BTreeMap<u32, u16>,
    networks: NetMap<u16>,
    /// The networks as they were written, the longest first, and whether a file said so: for who asks why.
    written: Box<[(Net, bool)]>,
}

/// Which rule of a map decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The network of the address; [`SiteMap::network_of`] says which.
    Network,
    /// The autonomous system.
    System,
    /// The subdivision of the country.
    Subdivision,
    /// The country.
    Country,
    /// The continent.
    Continent,
    /// No other.
    Default,
}

/// What a map says of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index into [`SiteMap::orders`].
    pub order: u16,
    /// What decided.
    pub rule: Rule,
    /// Length of the shortest prefix around the address in which the network rules say the same, be it that none of them
    /// is met: 0..=32 for an IPv4 address, 0..=128 for an IPv6 one. Where the place decided, its own scope
    /// ([`Places::scope`](super::Places::scope) of [`SiteMap::order_of_place`]) holds as well: the longer of both.
    pub scope: u8,
}

impl SiteMap {
    /// The most different orders.
    pub const ORDERS_MAX: usize = 1 << 16;

    /// A map of these rules.
    ///
    /// # Errors
    /// [`TooManyOrders`].
    pub fn new(rules: Rules) -> Result<Self, TooManyOrders> {
        let Rules { default, continents, countries, subdivisions, systems, networks, listed } = rules;
        let mut orders = Orders::default();
        orders.number(default)?;
        let continents = orders.numbers(continents)?;
        let countries = orders.numbers(countries)?;
        let within = |(country, within)| Ok((country, orders.numbers(within)?));
        let subdivisions = subdivisions.into_iter().map(within).collect::<Result<_, _>>()?;
        let systems = orders.numbers(systems)?;
        let of_file = |from_file| move |(net, order)| (net, order, from_file);
        let mut all: Vec<_> = listed.into_iter().map(of_file(true)).chain(networks.into_iter().map(of_file(false))).collect();
        all.sort_by_key(|(net, ..)| std::cmp::Reverse(net.length())); // stable: of one network, the file's rule is first
        let written = all.iter().map(|&(net, _, from_file)| (net, from_file)).collect();
        let numbered = all.into_iter().map(|(net, order, _)| Ok((net, orders.number(order)?)));
        let networks = NetMap::first_match(numbered.collect::<Result<Vec<_>, _>>()?);
        Ok(Self { orders: orders.list.into(), continents, countries, subdivisions, systems, networks, written })
    }

    /// The orders that there are, each once: [`Self::find`] gives an index into it.
    #[must_use]
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// Which order holds for a client at `address`, who is at `place`, and by which rule.
    #[must_use]
    pub fn find(&self, address: IpAddr, place: &Place) -> Found {
        let network = self.networks.find(address);
        let by_place = || self.by_place(place);
        let (order, rule) = network.value.map_or_else(by_place, |order| (order, Rule::Network));
        Found { order, rule, scope: network.scope }
    }

    /// Which order the client's place alone gives: what varies with `place` when the network rules do not apply. A pure
    /// function of the place, so the scope of an answer can be found with it.
    #[must_use]
    pub fn order_of_place(&self, place: &Place) -> u16 {
        self.by_place(place).0
    }

    /// The network rules.
    #[must_use]
    pub const fn networks(&self) -> &NetMap<u16> {
        &self.networks
    }

    /// The network whose rule holds for an address, and whether a file named it. It looks at one network after the other:
    /// for people, not for queries.
    #[must_use]
    pub fn network_of(&self, address: IpAddr) -> Option<(Net, bool)> {
        self.written.iter().copied().find(|(net, _)| net.contains(address))
    }

    fn by_place(&self, place: &Place) -> (u16, Rule) {
        let Place { country, continent, region, asn, .. } = place;
        let system = || self.systems.get(asn.as_ref()?);
        let subdivision = || self.subdivisions.get(country.as_deref()?)?.get(region.as_deref()?);
        let country = || self.countries.get(country.as_deref()?);
        let continent = || self.continents.get(continent.as_deref()?);
        let by = |rule| move |order: &u16| (*order, rule);
        system()
            .map(by(Rule::System))
            .or_else(|| subdivision().map(by(Rule::Subdivision)))
            .or_else(|| country().map(by(Rule::Country)))
            .or_else(|| continent().map(by(Rule::Continent)))
            .unwrap_or((0, Rule::Default))
    }
}

impl Rule {
    /// How it is called in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::System => "as",
            Self::Subdivision => "subdivision",
            Self::Country => "country",
            Self::Continent => "continent",
            Self::Default => "default",
        }
    }
}

/// Orders, each once.
#[derive(Default)]
struct Orders {
    list: Vec<Order>,
    numbers: HashMap<Order, u16>,
}

impl Orders {
    fn number(&mut self, order: Order) -> Result<u16, TooManyOrders> {
        if let Some(&number) = self.numbers.get(&order) {
            return Ok(number);
        }
        let number = u16::try_from(self.list.len()).map_err(|_| TooManyOrders)?;
        self.list.push(order.clone());
        self.numbers.insert(order, number);
        Ok(number)
    }

    fn numbers<K: Ord>(&mut self, orders: BTreeMap<K, Order>) -> Result<BTreeMap<K, u16>, TooManyOrders> {
        orders.into_iter().map(|(key, order)| Ok((key, self.number(order)?))).collect()
    }
}

/// The maps of a configuration, by name. A copy is a counted reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteMaps(Arc<BTreeMap<Box<str>, Arc<SiteMap>>>);

impl SiteMaps {
    /// The map with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<SiteMap>> {
        self.0.get(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<SiteMap>)> {
        self.0.iter().map(|(name, map)| (&**name, map))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same maps, and this one in the place of the one with its name.
    #[must_use]
    pub fn with(&self, name: &str, map: SiteMap) -> Self {
        let mut maps = (*self.0).clone();
        maps.insert(name.into(), Arc::new(map));
        Self(Arc::new(maps))
    }
}

impl FromIterator<(Box<str>, SiteMap)> for SiteMaps {
    fn from_iter<I: IntoIterator<Item = (Box<str>, SiteMap)>>(maps: I) -> Self {
        Self(Arc::new(maps.into_iter().map(|(name, map)| (name, Arc::new(map))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(sites: &[u16]) -> Order {
        sites.iter().copied().map(SiteId).collect()
    }

    fn net(text: &str) -> Net {
        text.parse().expect("a network")
    }

    fn place(continent: &str, country: &str, region: &str, asn: u32) -> Place {
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        Place {
            continent: text(continent),
            country: text(country),
            region: text(region),
            asn: (asn != 0).then_some(asn),
            ..Place::UNKNOWN
        }
    }

    fn world() -> SiteMap {
        let by = |name: &str, sites: &[u16]| BTreeMap::from([(Box::from(name), order(sites))]);
        SiteMap::new(Rules {
            default: order(&[0]),
            continents: by("na", &[1, 0]),
            countries: by("us", &[2, 1]),
            subdivisions: BTreeMap::from([("us".into(), by("ca", &[3]))]),
            systems: BTreeMap::from([(64500, order(&[4]))]),
            networks: vec![
                (net("192.0.2.0/24"), order(&[5])),
                (net("192.0.2.0/25"), order(&[6])),
                (net("10.0.0.0/8"), order(&[])),
            ],
            listed: vec![(net("192.0.2.0/24"), order(&[0]))],
        })
        .expect("few orders")
    }

    #[test]
    fn the_most_exact_rule_decides() {
        let map = world();
        let us_ca = place("na", "us", "ca", 64500);
        for (address, place, sites, rule) in [
            ("198.51.100.1", &Place::UNKNOWN, &[0][..], Rule::Default),
            ("198.51.100.1", &place("eu", "de", "by", 64501), &[0], Rule::Default),
            ("198.51.100.1", &place("na", "ca", "", 0), &[1, 0], Rule::Continent),
            ("198.51.100.1", &place("na", "", "ca", 0), &[1, 0], Rule::Continent),
            ("198.51.100.1", &place("na", "us", "", 0), &[2, 1], Rule::Country),
            ("198.51.100.1", &place("", "us", "wa", 0), &[2, 1], Rule::Country),
            ("198.51.100.1", &place("na", "us", "ca", 0), &[3], Rule::Subdivision),
            ("198.51.100.1", &us_ca, &[4], Rule::System),
            ("192.0.2.200", &us_ca, &[0], Rule::Network), // the file's word for the same network
            ("192.0.2.1", &us_ca, &[6], Rule::Network),   // longer than what the file has
            ("::ffff:192.0.2.1", &us_ca, &[6], Rule::Network),
            ("10.1.2.3", &us_ca, &[], Rule::Network), // none of them, on purpose
        ] {
            let found = map.find(address.parse().expect("an address"), place);
            assert_eq!((&*map.orders()[usize::from(found.order)], found.rule), (&*order(sites), rule), "{address} {place:?}");
        }
    }

    #[test]
    fn orders_are_kept_once_and_the_network_is_named() {
        let map = world();
        assert_eq!(map.orders().len(), 8); // [0] is the default's and the file's; [5] is overridden and still there
        assert_eq!(map.network_of([192, 0, 2, 200].into()), Some((net("192.0.2.0/24"), true)));
        assert_eq!(map.network_of([192, 0, 2, 1].into()), Some((net("192.0.2.0/25"), false)));
        assert_eq!(map.network_of([192, 0, 3, 1].into()), None);
        assert_eq!(map.find([192, 0, 3, 1].into(), &Place::UNKNOWN).scope, 24);
    }

    #[test]
    fn more_orders_than_numbers() {
        let systems = |count: u32| (0..count).map(|asn| (asn, order(&[(asn >> 16) as u16, asn as u16]))).collect();
        let map = |count| SiteMap::new(Rules { systems: systems(count), ..Rules::default() });
        assert_eq!(map(65_535).map(|map| map.orders().len()), Ok(SiteMap::ORDERS_MAX));
        assert_eq!(map(65_536), Err(TooManyOrders));
    }

    #[test]
    fn maps_by_name() {
        let maps: SiteMaps = [("b".into(), world()), ("a".into(), world())].into_iter().collect();
        assert!(maps.names().eq(["a", "b"]));
        assert!(maps.get("a").is_some() && maps.get("c").is_none() && SiteMaps::default().is_empty());
        let other = maps.with("a", SiteMap::new(Rules::default()).expect("few orders"));
        assert!(other.get("a") != maps.get("a") && Arc::ptr_eq(other.get("b").unwrap(), maps.get("b").unwrap()));
        assert_eq!(maps, maps.iter().map(|(name, map)| (name.into(), (**map).clone())).collect());
    }

    proptest! {
        /// Against a walk over the list: the longest network decides, the file's among equals; and within the scope every
        /// address has the same order from the networks.
        #[test]
        fn the_longest_network_decides(
            nets in prop::collection::vec((any::<u8>(), 24u8..=32, 0u16..3, any::<bool>()), 0..12), octet: u8, other: u8,
        ) {
            let host = |octet: u8| IpAddr::from([192, 0, 2, octet]);
            let rule = |&(octet, length, site, _): &(u8, u8, u16, bool)| {
                (Net::new(host(octet), length).expect("short enough"), order(&[site]))
            };
            let (listed, networks): (Vec<_>, Vec<_>) = nets.iter().partition(|(.., listed)| *listed);
            let [listed, networks] = [listed, networks].map(|nets| nets.iter().map(rule).collect::<Vec<_>>());
            let expected = |octet: u8| {
                let all = listed.iter().chain(&networks).filter(|(net, _)| net.contains(host(octet)));
                all.reduce(|best, rule| if rule.0.length() > best.0.length() { rule } else { best }).map(|(_, order)| order.clone())
            };
            let map = SiteMap::new(Rules { networks: networks.clone(), listed: listed.clone(), ..Rules::default() }).expect("few");
            let order = |octet| map.orders()[usize::from(map.find(host(octet), &Place::UNKNOWN).order)].clone();
            prop_assert_eq!(order(octet), expected(octet).unwrap_or_default());
            prop_assert_eq!(map.network_of(host(octet)).is_some(), expected(octet).is_some());
            let scope = map.find(host(octet), &Place::UNKNOWN).scope;
            if Net::new(host(octet), scope).expect("short enough").contains(host(other)) {
                prop_assert_eq!(order(other), order(octet));
            }
        }
    }
}
