//! What is counted: per peer what went to and fro, and for all what was refused, by reason.
//!
//! Refusals have no peer's name: whoever forges a message chooses the name on it. Octets are those of bodies.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Refusal;
use crate::health::Moment;

/// Of one peer.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Octets of bodies.
    received: AtomicU64,
    sent: AtomicU64,
    /// Milliseconds on the clock, and one; 0: never.
    heard: AtomicU64,
    told: AtomicU64,
    /// Whether the last bulletin for it arrived.
    reached: AtomicBool,
}

impl Tally {
    pub(super) fn received(&self, octets: usize) {
        self.received.fetch_add(octets as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, octets: usize) {
        self.sent.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// A bulletin of it was accepted.
    pub(super) fn heard(&self, now: Moment) {
        self.heard.store(stamp(now), Ordering::Relaxed);
    }

    /// A bulletin for it has arrived, or has not.
    pub(super) fn told(&self, arrived: bool, now: Moment) {
        self.reached.store(arrived, Ordering::Relaxed);
        if arrived {
            self.told.store(stamp(now), Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            heard: moment(self.heard.load(Ordering::Relaxed)),
            told: moment(self.told.load(Ordering::Relaxed)),
            reached: self.reached.load(Ordering::Relaxed),
        }
    }
}

fn stamp(now: Moment) -> u64 {
    u64::try_from(now.since_origin().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

fn moment(stamp: u64) -> Option<Moment> {
    stamp.checked_sub(1).map(|since_origin| Moment::at(Duration::from_millis(since_origin)))
}

/// What was counted of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Octets of the bodies that came from it, in its requests and in its replies.
    pub received: u64,
    /// Octets of the bodies that went to it.
    pub sent: u64,
    /// When the last bulletin of it was accepted.
    pub heard: Option<Moment>,
    /// When the last bulletin for it arrived there.
    pub told: Option<Moment>,
    /// Whether the last attempt to tell it something succeeded.
    pub reached: bool,
}

/// Messages that were refused, by reason.
#[derive(Debug, Default)]
pub(super) struct Refused([AtomicU64; Refusal::COUNT]);

impl Refused {
    pub(super) fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> [(Refusal, u64); Refusal::COUNT] {
        Refusal::ALL.map(|refusal| (refusal, self.0[refusal as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        let refused = Refused::default();
        for (times, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(Refusal::named(refusal.as_str()), Some(refusal));
            (0..times).for_each(|_| refused.count(refusal));
        }
        let expected: Vec<_> = Refusal::ALL.into_iter().zip(0..).collect();
        assert_eq!(refused.counts().to_vec(), expected);
    }

    #[test]
    fn the_first_moment_is_not_never() {
        let tally = Tally::default();
        assert_eq!(tally.counts(), Counts::default());
        let origin = Moment::at(Duration::ZERO);
        tally.heard(origin);
        tally.told(false, origin);
        assert_eq!(tally.counts(), Counts { heard: Some(origin), ..Counts::default() });
        tally.told(true, origin);
        assert_eq!(tally.counts(), Counts { heard: Some(origin), told: Some(origin), reached: true, ..Counts::default() });
    }
}
