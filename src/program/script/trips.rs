//! Who made a program meet its limits how often: a program that keeps doing so is left alone for a while.
//!
//! Counted by program and network of the sender, so that a client whose names are dear to a program takes it away from its
//! own network and from nobody else. As senders over UDP can be made up, all networks together are counted too, to a higher
//! number: it bounds what the program may cost, and is what the rest of the clients pay for an attack from everywhere.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

/// So often within [`WINDOW`] may a program meet its limits for one network.
pub(super) const FOR_ONE: u32 = 10;
/// And for all together: at 5 ms each, a quarter of the thread.
pub(super) const FOR_ALL: u32 = 50;
/// Milliseconds for which they are counted, and for which the program is then left alone.
pub(super) const WINDOW: u64 = 1000;
/// Pairs of program and network that are remembered. Two that share a place take it from each other.
const PLACES: usize = 512;

/// How often limits were met of late.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    trips: u32,
    since: u64,
    until: u64,
}

impl Count {
    fn trip(&mut self, most: u32, now: u64) {
        if now.saturating_sub(self.since) >= WINDOW {
            (self.trips, self.since) = (0, now);
        }
        self.trips += 1;
        if self.trips >= most {
            (self.trips, self.until) = (0, now + WINDOW);
        }
    }
}

/// Of one program, over all networks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ForAll(Count);

/// Of many programs, by network.
pub(super) struct Trips {
    /// With the program and network that the place is of.
    places: Box<[((u64, u64), Count)]>,
    hasher: RandomState,
}

impl Trips {
    pub(super) fn new() -> Self {
        Self { places: vec![((0, 0), Count::default()); PLACES].into(), hasher: RandomState::new() }
    }

    /// Whether `program` is left alone at `now`, for everyone or for `sender`'s network.
    pub(super) fn is_resting(&self, program: u64, all: Option<&ForAll>, sender: IpAddr, now: u64) -> bool {
        let key = (program, network(sender));
        let (known, one) = &self.places[self.place(key)];
        all.is_some_and(|all| now < all.0.until) || (*known == key && now < one.until)
    }

    /// Counts a limit that was met.
    pub(super) fn trip(&mut self, program: u64, all: &mut ForAll, sender: IpAddr, now: u64) {
        let key = (program, network(sender));
        let place = self.place(key);
        let (known, one) = &mut self.places[place];
        if *known != key {
            (*known, *one) = (key, Count::default());
        }
        one.trip(FOR_ONE, now);
        all.0.trip(FOR_ALL, now);
    }

    fn place(&self, key: (u64, u64)) -> usize {
        self.hasher.hash_one(key) as usize % PLACES
    }
}

/// What is likely one client: an IPv4 /24, an IPv6 /56.
fn network(sender: IpAddr) -> u64 {
    match sender {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => (v6.to_bits() >> 72) as u64 | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_rests_alone() {
        let (mut trips, mut all) = (Trips::new(), ForAll::default());
        let [bad, near, good]: [IpAddr; 3] = ["192.0.2.1", "192.0.2.200", "198.51.100.1"].map(|text| text.parse().unwrap());
        for now in 0..u64::from(FOR_ONE) {
            assert!(!trips.is_resting(7, Some(&all), bad, now));
            trips.trip(7, &mut all, bad, now);
        }
        let at = u64::from(FOR_ONE);
        assert!(trips.is_resting(7, Some(&all), bad, at) && trips.is_resting(7, Some(&all), near, at));
        assert!(!trips.is_resting(7, Some(&all), good, at), "another network");
        assert!(!trips.is_resting(8, None, bad, at), "another program");
        assert!(!trips.is_resting(7, Some(&all), bad, at + WINDOW), "not for long");
    }

    #[test]
    fn all_networks_together_have_a_limit_too() {
        let (mut trips, mut all) = (Trips::new(), ForAll::default());
        let sender = |at: u32| IpAddr::V4((at << 8).into());
        for at in 1..FOR_ALL {
            trips.trip(7, &mut all, sender(at), 0);
        }
        let good = sender(1 << 20);
        assert!(!trips.is_resting(7, Some(&all), good, 0));
        trips.trip(7, &mut all, sender(FOR_ALL), 0);
        assert!(trips.is_resting(7, Some(&all), good, 0));
        assert!(!trips.is_resting(7, Some(&all), good, WINDOW));
    }

    #[test]
    fn few_trips_a_second_are_forgotten() {
        let (mut trips, mut all) = (Trips::new(), ForAll::default());
        let sender = "2001:db8::1".parse().unwrap();
        for now in (0..100 * WINDOW).step_by(WINDOW as usize / 8) {
            trips.trip(7, &mut all, sender, now);
            assert!(!trips.is_resting(7, Some(&all), sender, now));
        }
    }
}
