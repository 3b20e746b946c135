//! Where every address is: all databases in one table, and the scope of whatever is made of a place.
//!
//! Equal places are one, and neighbouring ranges of one place are one, so a table is much smaller than the files it came
//! from. Both families are one sequence of ranges, IPv4 at ::ffff:0:0/96, as in [`NetMap`](super::NetMap): an IPv6 prefix
//! that contains this block is seen to contain what IPv4 clients get.
//!
//! Never here: decoding; a choice between places.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::database::{Database, Source};
use super::place::Place;
use super::ranges::Ranges;

/// The block of IPv4 addresses among IPv6 ones (RFC 4291 2.5.5.2), and the first address behind it.
const MAPPED: u128 = 0xFFFF_0000_0000;
const BEHIND_MAPPED: u128 = 1 << 48;
/// Bits in front of an IPv4 address in this block.
const MAPPED_BITS: u8 = 96;

/// How many ranges each way [`Places::scope`] looks at. Behind that many the world counts as different.
const REACH: usize = 64;
/// How many places [`Places::scope`] knows again, so that it need not ask what is made of them.
const KNOWN: usize = 8;

/// Where every address is.
#[derive(Debug)]
pub struct Places {
    /// Each once; nothing is known of the first.
    places: Vec<Place>,
    v4: Ranges<u32>,
    /// Nothing starts within [`MAPPED`], and something right behind it.
    v6: Ranges<u128>,
    /// How many ranges of `v6` come before [`MAPPED`].
    below: usize,
    sources: Vec<Source>,
}

impl Places {
    /// Nothing is known of any address.
    #[must_use]
    pub fn empty() -> Self {
        Self::new([])
    }

    /// What the databases say together: of each attribute what the first one says that knows it.
    #[must_use]
    pub fn new(databases: impl IntoIterator<Item = Database>) -> Self {
        let (mut places, mut v4, mut v6) = (vec![Place::UNKNOWN], Ranges::all(0), Ranges::all(0));
        let mut sources = Vec::new();
        for database in databases {
            let mut joined = Joined::new(&places, &database.places);
            v4 = v4.overlay(&database.v4, |ours, theirs| joined.number(ours, theirs));
            v6 = v6.overlay(&database.v6, |ours, theirs| joined.number(ours, theirs));
            places = joined.places.finish();
            sources.push(database.source);
        }
        v4.seal();
        let v6 = around_mapped(&v6);
        let below = v6.before(MAPPED);
        Self { places, v4, v6, below, sources }
    }

    /// Where an address is. An IPv4-mapped address is an IPv4 address.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> &Place {
        let number = match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.number(self.v4.index(v4.to_bits())),
            IpAddr::V6(v6) => self.v6.number(self.v6.index(v6.to_bits())),
        };
        &self.places[number as usize]
    }

    /// Length of a prefix around the address in which `of` gives the same for every address: 0..=32 for an IPv4 address,
    /// 0..=128 for an IPv6 one. It is the shortest such prefix, unless that holds more ranges on a side than 64, or `most`:
    /// then it is longer than it must be, which costs caches some hits and is never wrong.
    pub fn scope<T: PartialEq>(&self, address: IpAddr, most: usize, of: impl Fn(&Place) -> T) -> u8 {
        let at = position(address);
        let here = self.index(address);
        let value = of(&self.places[self.number(here) as usize]);
        let (mut known, mut oldest) = ([self.number(here); KNOWN], 0);
        let mut same = |&index: &usize| {
            let number = self.number(index);
            let same = known.contains(&number) || of(&self.places[number as usize]) == value;
            if same {
                known[oldest] = number;
                oldest = (oldest + 1) % KNOWN;
            }
            same
        };
        let most = most.min(REACH);
        let first = (here.saturating_sub(most)..here).rev().take_while(&mut same).last().unwrap_or(here);
        let end = (here + 1..self.len().min(here + 1 + most)).take_while(&mut same).last().unwrap_or(here) + 1;
        let below = self.start(first).checked_sub(1);
        let above = (end < self.len()).then(|| self.start(end));
        let scope = [below, above].into_iter().flatten().map(|outside| common_bits(at, outside) + 1).max().unwrap_or(0);
        if address.is_ipv4() { scope.saturating_sub(MAPPED_BITS) } else { scope }
    }

    /// The databases that it was made of.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How many ranges of addresses there are.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.len()
    }

    /// How many different places there are.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.places.len()
    }

    /// Memory taken, in bytes; texts, which places share, not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes() + self.places.capacity() * size_of::<Place>()
    }

    // -------- both families as one sequence

    fn len(&self) -> usize {
        self.v6.len() + self.v4.len()
    }

    /// The range that holds an address.
    fn index(&self, address: IpAddr) -> usize {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.below + self.v4.index(v4.to_bits()),
            IpAddr::V6(v6) => match self.v6.index(v6.to_bits()) {
                index if index < self.below => index,
                index => index + self.v4.len(),
            },
        }
    }

    fn start(&self, index: usize) -> u128 {
        match self.sequence(index) {
            Family::V4(index) => MAPPED | u128::from(self.v4.start(index)),
            Family::V6(index) => self.v6.start(index),
        }
    }

    fn number(&self, index: usize) -> u32 {
        match self.sequence(index) {
            Family::V4(index) => self.v4.number(index),
            Family::V6(index) => self.v6.number(index),
        }
    }

    fn sequence(&self, index: usize) -> Family {
        match index.checked_sub(self.below) {
            None => Family::V6(index),
            Some(index) if index < self.v4.len() => Family::V4(index),
            Some(_) => Family::V6(index - self.v4.len()),
        }
    }
}

/// Places, each once; nothing is known of the first.
pub(super) struct Interner {
    places: Vec<Place>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Default for Interner {
    fn default() -> Self {
        let mut interner = Self { places: Vec::new(), numbers: HashTable::new(), hasher: RandomState::new() };
        interner.number(Place::UNKNOWN);
        interner
    }
}

impl Interner {
    /// The number of a place.
    pub(super) fn number(&mut self, place: Place) -> u32 {
        let Self { places, numbers, hasher } = self;
        let hash = |place: &Place| hasher.hash_one(place);
        let known = numbers.entry(hash(&place), |&at| places[at as usize] == place, |&at| hash(&places[at as usize]));
        match known {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(room) => {
                let number = places.len() as u32;
                room.insert(number);
                places.push(place);
                number
            }
        }
    }

    pub(super) fn finish(mut self) -> Vec<Place> {
        self.places.shrink_to_fit();
        self.places
    }
}

/// Places of which one says what the other does not know.
struct Joined<'p> {
    ours: &'p [Place],
    theirs: &'p [Place],
    seen: HashMap<(u32, u32), u32>,
    places: Interner,
}

impl<'p> Joined<'p> {
    fn new(ours: &'p [Place], theirs: &'p [Place]) -> Self {
        Self { ours, theirs, seen: HashMap::new(), places: Interner::default() }
    }

    fn number(&mut self, ours: u32, theirs: u32) -> u32 {
        let Self { places, .. } = self;
        let join = || places.number(self.ours[ours as usize].or(&self.theirs[theirs as usize]));
        *self.seen.entry((ours, theirs)).or_insert_with(join)
    }
}

/// A range, by its index in one family.
enum Family {
    V4(usize),
    V6(usize),
}

/// `v6` with room for IPv4: nothing starts in the block, and something right behind it.
fn around_mapped(v6: &Ranges<u128>) -> Ranges<u128> {
    let mut around = Ranges::all(v6.number(0));
    for (start, number) in v6.iter().filter(|&(start, _)| start < MAPPED) {
        around.push(start, number);
    }
    around.push_apart(BEHIND_MAPPED, v6.number(v6.index(BEHIND_MAPPED)));
    for (start, number) in v6.iter().filter(|&(start, _)| start > BEHIND_MAPPED) {
        around.push(start, number);
    }
    around.seal();
    around
}

fn position(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// How many leading bits two positions share; they differ.
fn common_bits(one: u128, other: u128) -> u8 {
    (one ^ other).leading_zeros() as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Net;
    use super::super::testing::{Mmdb, Value};
    use super::*;

    const CODES: [&str; 4] = ["--", "AT", "DE", ""];
    const NAMES: [&str; 3] = ["", "One", "Two"];

    /// A record as its country and its organization.
    type Record = (usize, usize);

    fn value((country, organization): Record) -> Value {
        Value::Map(vec![
            ("country", Value::Map(vec![("iso_code", Value::Text(CODES[country]))])),
            ("autonomous_system_organization", Value::Text(NAMES[organization])),
        ])
    }

    fn database(networks: &[(Net, Record)]) -> Database {
        let mut written = Mmdb::v6();
        for (net, record) in networks {
            written.insert(&net.to_string(), &value(*record));
        }
        Database::read("test", &written.write(24)).expect("sound")
    }

    fn countries(networks: &[(&str, usize)]) -> Places {
        let networks: Vec<_> = networks.iter().map(|&(net, code)| (net.parse().expect("a network"), (code, 0))).collect();
        Places::new([database(&networks)])
    }

    #[test]
    fn scopes() {
        let halves = [("10.0.0.0/9", 1), ("10.128.0.0/9", 1), ("11.0.0.0/8", 1), ("2001:db8::/33", 2), ("2001:db8:8000::/33", 2)];
        let everywhere = [("0.0.0.0/0", 1), ("8000::/1", 1)];
        for (networks, address, country, scope) in [
            (&halves[..], "10.1.2.3", Some("at"), 7),
            (&halves, "::ffff:10.1.2.3", Some("at"), 96 + 7),
            (&halves, "12.0.0.1", None, 6),
            (&halves, "2001:db8::1", Some("de"), 32),
            (&halves, "2001:db9::1", None, 32),
            (&halves, "::1", None, 81), // ::/80 holds the IPv4 clients
            (&everywhere, "192.0.2.1", Some("at"), 0),
            (&everywhere, "2001:db8::1", None, 3),
            (&everywhere, "9000::1", Some("at"), 1),
            (&[], "192.0.2.1", None, 0),
            (&[], "2001:db8::1", None, 0),
        ] {
            let places = countries(networks);
            let address = address.parse().expect("an address");
            assert_eq!(places.find(address).country.as_deref(), country, "{address}");
            assert_eq!(places.scope(address, usize::MAX, |place| place.country.clone()), scope, "{address}");
        }
        assert_eq!(Places::empty().find([192, 0, 2, 1].into()), &Place::UNKNOWN);
        assert_eq!(Places::empty().scope([192, 0, 2, 1].into(), usize::MAX, Place::clone), 0);
    }

    /// Neighbours alike in what is asked, and unlike else.
    #[test]
    fn far_scopes_stay_right() {
        let networks = |count: u32| -> Vec<(Net, Record)> {
            (0..count).map(|at| (Net::new((at << 16).to_be_bytes().into(), 16).expect("short"), (1, at as usize % 3))).collect()
        };
        for (count, scope) in [(64, 10), (256, 9), (1024, 9)] {
            let places = Places::new([database(&networks(count))]);
            // Of 1024 networks, 0.0.0.0/6, all of 0.0.0.0/9 is within reach of 0.63.0.1, and 0.0.0.0/8 is not.
            assert_eq!(places.scope([0, 63, 0, 1].into(), usize::MAX, |place| place.country.clone()), scope, "{count}");
        }
    }

    /// Networks of a world small enough to be tried out: what varies are bits 24 to 31 of IPv4, or 120 to 127 of IPv6.
    fn networks() -> impl Strategy<Value = Vec<(Net, Record)>> {
        let net = (any::<bool>(), any::<u8>(), 0u8..=8).prop_map(|(v4, octet, bits)| {
            let before = if v4 { 24 } else { 120 };
            Net::new(host(v4, octet), before + bits).expect("short enough")
        });
        prop::collection::vec((net, (0..CODES.len(), 0..NAMES.len())), 0..12)
    }

    fn host(v4: bool, octet: u8) -> IpAddr {
        if v4 { [192, 0, 2, octet].into() } else { [0x2001, 0xDB8, 0, 0, 0, 0, 0, octet.into()].into() }
    }

    proptest! {
        /// Against a walk over the lists: of each attribute the first database that knows it counts, and in it the network
        /// that was written last; the scope holds no address with another country, and one bit less would.
        #[test]
        fn places_and_scopes_are_exact(first in networks(), second in networks(), v4: bool, octet: u8) {
            let places = Places::new([database(&first), database(&second)]);
            let known = |text: &'static str| (!text.is_empty() && text != "--").then(|| text.to_ascii_lowercase());
            let said = |address: IpAddr, text: fn(Record) -> &'static str| {
                [&first, &second].into_iter().find_map(|networks| {
                    known(text(networks.iter().rev().find(|(net, _)| net.contains(address))?.1))
                })
            };
            let country = |address| said(address, |record| CODES[record.0]);
            for octet in 0..=255 {
                let address = host(v4, octet);
                let place = places.find(address);
                prop_assert_eq!(place.country.as_deref().map(str::to_owned), country(address));
                let organization = said(address, |record| NAMES[record.1]);
                prop_assert_eq!(place.organization.as_deref().map(str::to_owned), organization);
            }
            let scope = places.scope(host(v4, octet), usize::MAX, |place| place.country.clone());
            let uniform = |scope: u8| {
                let around = Net::new(host(v4, octet), scope).expect("short enough");
                let mut within = (0..=255).map(|octet| host(v4, octet)).filter(|&other| around.contains(other));
                within.all(|other| country(other) == country(host(v4, octet)))
            };
            let before = if v4 { 24 } else { 120 };
            if scope > before {
                prop_assert!(uniform(scope) && !uniform(scope - 1), "{}", scope);
            } else {
                prop_assert!(uniform(before));
            }
        }
    }
}
