//! What must hold for every datagram, driven with random and mutated packets (and by `fuzz/` with coverage).
//!
//! Runs for `LEEWARD_PROPERTY_SECONDS` (2 where it is not set, 60 in `tests/run`), and for 100,000 packets at least.
#![allow(clippy::disallowed_methods, unreachable_pub, reason = "the budget of the test is time; the property is shared")]

#[path = "../fuzz/property.rs"]
mod property;

use std::time::{Duration, Instant};

use leeward::answers::Worker;

#[test]
fn every_datagram_gets_a_well_formed_reply_or_none() {
    let seconds = std::env::var("LEEWARD_PROPERTY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let seed =
        std::env::var("LEEWARD_PROPERTY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("LEEWARD_PROPERTY_SEED={seed}");
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let (snapshots, seeds) = ([property::snapshot(), property::strict_snapshot()], property::seeds());
    let mut worker = Worker::new(0, fastrand::Rng::with_seed(seed));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut reply = vec![0; 65_535];
    for (snapshot, seed) in snapshots.iter().flat_map(|snapshot| seeds.iter().map(move |seed| (snapshot, seed))) {
        property::holds(snapshot, &mut worker, seed, &mut reply);
    }
    let mut packets = 0u64;
    while packets < 100_000 || Instant::now() < deadline {
        for _ in 0..1000 {
            let snapshot = &snapshots[random.usize(..snapshots.len())];
            property::holds(snapshot, &mut worker, &mutation(&seeds, &mut random), &mut reply);
        }
        packets += 1000;
    }
    println!("{packets} packets");
}

/// A random packet, or a good one with octets changed, moved, cut or appended.
fn mutation(seeds: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    if random.u8(..) < 48 {
        return (0..random.usize(0..600)).map(|_| random.u8(..)).collect();
    }
    let mut packet = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(0..5) {
        if packet.is_empty() {
            break;
        }
        let at = random.usize(..packet.len());
        match random.u8(..6) {
            0 => packet[at] = random.u8(..),
            1 => packet[at] ^= 1 << random.u8(..8),
            2 => packet.truncate(at),
            3 => packet.extend((0..random.usize(..40)).map(|_| random.u8(..))),
            4 => packet.splice(at..at, seeds[random.usize(..seeds.len())][12..].iter().copied()).for_each(drop),
            _ => packet[at] = [0x00, 0x3F, 0x40, 0xC0, 0xFF][random.usize(..5)],
        }
    }
    packet
}
