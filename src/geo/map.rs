//! Address → value, as ranges: sorted, disjoint, neighbours with equal values merged.
//!
//! Both families are one space of 128 bits, IPv4 at ::ffff:0:0/96, so an IPv6 prefix that contains this block is seen to
//! contain an exception: its IPv4 clients are judged as IPv4. No prefix of one family ever matches an address of the
//! other.
//!
//! The scope follows from the two ends of the range: a prefix around the address leaves the range exactly when it contains
//! the last address before it or the first one behind it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Net;

/// The block of IPv4 addresses among IPv6 ones (RFC 4291 2.5.5.2).
const MAPPED: (u128, u128) = (0xFFFF_0000_0000, 0xFFFF_FFFF_FFFF);
/// Bits in front of an IPv4 address in this block.
const MAPPED_BITS: u8 = 96;

/// A value for each address that some network holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetMap<T> {
    /// Where each range starts, and its value; the first starts at 0, none equals the one before it.
    ranges: Box<[(u128, Option<T>)]>,
}

/// A value and how far it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scoped<T> {
    /// The value; `None` where no network holds the address.
    pub value: Option<T>,
    /// Length of the shortest prefix around the address in which every address has this value: 0..=32 for an IPv4
    /// address, 0..=128 for an IPv6 one.
    pub scope: u8,
}

impl<T: Copy + Eq> NetMap<T> {
    /// Values by network; of several networks that hold an address, the one that comes first counts.
    pub fn first_match(networks: impl IntoIterator<Item = (Net, T)>) -> Self {
        let networks: Vec<_> = networks.into_iter().collect();
        let (v4, v6): (Vec<_>, Vec<_>) = networks.into_iter().rev().partition(|(net, _)| net.is_ipv4());
        let mut ranges = Painting(BTreeMap::from([(0, None)]));
        for (net, value) in v6 {
            ranges.paint(bounds(net), Some(value));
        }
        ranges.paint(MAPPED, None);
        for (net, value) in v4 {
            ranges.paint(bounds(net), Some(value));
        }
        ranges.finish()
    }

    /// Whether each address has a value.
    #[must_use]
    pub fn is_total(&self) -> bool {
        self.ranges.iter().all(|(_, value)| value.is_some())
    }

    /// The value of an address. An IPv4-mapped address is an IPv4 address; its scope still counts 128 bits.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Scoped<T> {
        let at = position(address);
        let next = self.ranges.partition_point(|&(start, _)| start <= at);
        let (start, value) = self.ranges[next - 1]; // the first starts at 0
        let below = start.checked_sub(1);
        let above = self.ranges.get(next).map(|&(start, _)| start);
        let scope = [below, above].into_iter().flatten().map(|outside| common_bits(at, outside) + 1).max().unwrap_or(0);
        Scoped { value, scope: if address.is_ipv4() { scope.saturating_sub(MAPPED_BITS) } else { scope } }
    }
}

/// Ranges in the making: each starts at its key and ends before the next.
struct Painting<T>(BTreeMap<u128, Option<T>>);

impl<T: Copy + Eq> Painting<T> {
    fn paint(&mut self, (first, last): (u128, u128), value: Option<T>) {
        if let Some(after) = last.checked_add(1)
            && let Some((_, &covered)) = self.0.range(..=after).next_back()
        {
            self.0.insert(after, covered);
        }
        let inner: Vec<u128> = self.0.range(first..=last).map(|(&start, _)| start).collect();
        for start in inner {
            self.0.remove(&start);
        }
        self.0.insert(first, value);
    }

    fn finish(self) -> NetMap<T> {
        let mut ranges: Vec<_> = self.0.into_iter().collect();
        ranges.dedup_by(|later, earlier| later.1 == earlier.1);
        NetMap { ranges: ranges.into() }
    }
}

fn position(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The first and the last address of a network.
fn bounds(net: Net) -> (u128, u128) {
    let first = position(net.address());
    let length = net.length() + if net.is_ipv4() { MAPPED_BITS } else { 0 };
    (first, first | u128::MAX.checked_shr(length.into()).unwrap_or(0))
}

/// How many leading bits two positions share; they differ.
fn common_bits(one: u128, other: u128) -> u8 {
    (one ^ other).leading_zeros() as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(networks: &[(&str, u16)]) -> NetMap<u16> {
        NetMap::first_match(networks.iter().map(|&(net, value)| (net.parse().expect("a network"), value)))
    }

    #[test]
    fn rfc7871_scopes() {
        let nested =
            [("192.0.2.128/25", 3), ("192.0.2.0/24", 2), ("192.0.0.0/16", 1), ("2001:db8:1::/48", 5), ("2001:db8::/32", 4)];
        let all_v4 = [("192.0.2.0/24", 1), ("0.0.0.0/0", 2)];
        let halves = [("10.0.0.0/9", 1), ("10.128.0.0/9", 1), ("11.0.0.0/8", 1)];
        let v6_default = [("::/0", 1)];
        type Case<'c> = (&'c [(&'c str, u16)], &'c str, Option<u16>, u8);
        let cases: [Case<'_>; 17] = [
            (&nested, "192.0.2.200", Some(3), 25),
            (&nested, "192.0.2.5", Some(2), 25),
            (&nested, "192.0.3.1", Some(1), 24), // 192.0.2.0/24 is the exception next door
            (&nested, "192.0.200.1", Some(1), 17),
            (&nested, "193.0.0.1", None, 8),
            (&nested, "10.0.0.1", None, 1),
            (&nested, "2001:db8:1::1", Some(5), 48),
            (&nested, "2001:db8:2::1", Some(4), 47),
            (&nested, "2001:db8:8000::1", Some(4), 33),
            (&nested, "::ffff:192.0.2.200", Some(3), 96 + 25),
            (&all_v4, "192.0.3.1", Some(2), 24),
            (&all_v4, "0.0.0.0", Some(2), 1),
            (&halves, "10.1.2.3", Some(1), 7),        // three networks with one value are one
            (&v6_default, "2001:db8::1", Some(1), 3), // ::/2 holds the IPv4 clients, which ::/0 does not match
            (&v6_default, "192.0.2.1", None, 0),
            (&[], "192.0.2.1", None, 0),
            (&[], "2001:db8::1", None, 0),
        ];
        for (networks, address, value, scope) in cases {
            let found = map(networks).find(address.parse().expect("an address"));
            assert_eq!((found.value, found.scope), (value, scope), "{address} in {networks:?}");
        }
    }

    #[test]
    fn the_first_network_counts() {
        let order = [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.0.0.0/8", 3)];
        assert_eq!(map(&order).find([10, 1, 2, 3].into()), Scoped { value: Some(1), scope: 8 });
    }

    /// Networks of a world small enough to be tried out: what varies are bits 24 to 31 of IPv4, or 120 to 127 of IPv6.
    fn networks() -> impl Strategy<Value = Vec<(Net, u16)>> {
        let net = (any::<bool>(), any::<u8>(), 0u8..=8).prop_map(|(v4, octet, bits)| {
            let address: IpAddr =
                if v4 { [192, 0, 2, octet].into() } else { [0x2001, 0xDB8, 0, 0, 0, 0, 0, octet.into()].into() };
            let before = if v4 { 24 } else { 120 };
            Net::new(address, if bits == 0 { 0 } else { before + bits }).expect("short enough")
        });
        prop::collection::vec((net, 0u16..3), 0..12)
    }

    proptest! {
        /// Against a walk over the list: the value is that of the first network; all more specific addresses within the scope
        /// have it; and one bit less would hold one that has another.
        #[test]
        fn scopes_are_exact(networks in networks(), v4: bool, octet: u8) {
            let value = |address: IpAddr| networks.iter().find(|(net, _)| net.contains(address)).map(|&(_, value)| value);
            let host = |octet: u8| -> IpAddr {
                if v4 { [192, 0, 2, octet].into() } else { [0x2001, 0xDB8, 0, 0, 0, 0, 0, octet.into()].into() }
            };
            let before = if v4 { 24 } else { 120 };
            let found = NetMap::first_match(networks.iter().copied()).find(host(octet));
            prop_assert_eq!(found.value, value(host(octet)));
            let uniform = |scope: u8| {
                let around = Net::new(host(octet), scope).expect("short enough");
                (0..=255).map(host).filter(|&other| around.contains(other)).all(|other| value(other) == found.value)
            };
            if found.scope > before {
                prop_assert!(uniform(found.scope) && !uniform(found.scope - 1), "{:?}", found);
            } else {
                prop_assert!(uniform(before));
            }
        }
    }
}
