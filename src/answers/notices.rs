//! What answering tells the rest of the node: which programs fail, what they log, and what they lack.
//!
//! A query may neither wait nor write a log, so it leaves a [`Notice`] in a channel and goes on. Sending is a
//! compare-and-swap for a place in the channel; where there is none the notice is not even made, and is counted. Waking
//! the receiver, where it sleeps, is the one thing on a query's way that touches a lock, for as long as it takes to
//! notify; only programs that fail, log or lack something come that far.
//!
//! Never here: who listens. A channel without a listener swallows everything; failures are counted all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::program::Failure;
use crate::target::CheckRequest;
use crate::wire::{Name, RecordType};

/// Notices that may wait. A few times what a listener that is awake finds; one that sleeps is not helped by more.
const WAITING_MAX: usize = 256;

/// Octets of a text that a program made.
const TEXT_MAX: usize = 1024;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A program gave no answer.
    Failed {
        /// The record's name; a wildcard's own.
        name: Name,
        /// Its target type.
        rtype: RecordType,
        /// The apex of its zone.
        zone: Name,
        /// Why.
        why: Box<str>,
    },
    /// A program logs.
    Logged {
        /// A level of syslog's, 0 to 7.
        level: u8,
        /// What.
        message: Box<str>,
    },
    /// A program of the zone with this apex consulted a check that nobody has.
    WantsCheck(Box<(CheckRequest, Name)>),
    /// A program asked what others say of a name, and nobody knows.
    WantsAnswer(Name, RecordType),
}

/// The front of a text that a program made, which may be as long as its memory allows.
pub(super) fn front(text: &str) -> Box<str> {
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text[..end.unwrap_or(0)].into()
}

/// Where notices go. A clone goes to the same place and counts in the same counters.
#[derive(Clone, Debug)]
pub struct Notices {
    outlet: mpsc::Sender<Notice>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// In the order of [`Failure::REASONS`].
    failures: [AtomicU64; Failure::REASONS.len()],
    dropped: AtomicU64,
}

impl Notices {
    /// A way for notices, and its end.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Notice>) {
        let (outlet, end) = mpsc::channel(WAITING_MAX);
        (Self { outlet, counts: Arc::default() }, end)
    }

    /// Failures of programs since the start, by their reason.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.failures.iter().map(|count| count.load(Ordering::Relaxed));
        Failure::REASONS.into_iter().zip(counts)
    }

    /// Notices for which there was no room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self, failure: &Failure, notice: impl FnOnce() -> Notice) {
        let reason = failure.reason();
        if let Some(at) = Failure::REASONS.iter().position(|&known| known == reason) {
            self.counts.failures[at].fetch_add(1, Ordering::Relaxed);
        }
        self.send(notice);
    }

    pub(super) fn send(&self, notice: impl FnOnce() -> Notice) {
        match self.outlet.try_reserve() {
            Ok(place) => place.send(notice()),
            Err(TrySendError::Full(())) => _ = self.counts.dropped.fetch_add(1, Ordering::Relaxed),
            Err(TrySendError::Closed(())) => {}
        }
    }
}

impl Default for Notices {
    /// Nobody listens.
    fn default() -> Self {
        Self::channel().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_counts_and_waits_for_nobody() {
        let (notices, mut end) = Notices::channel();
        let failure = Failure::NotReady;
        let logged = || Notice::Logged { level: 4, message: "again".into() };
        for _ in 0..=WAITING_MAX {
            notices.failed(&failure, logged);
        }
        assert_eq!(notices.failures().find(|&(_, count)| count > 0), Some(("not_ready", WAITING_MAX as u64 + 1)));
        assert_eq!(notices.dropped(), 1);
        assert_eq!(end.try_recv(), Ok(logged()));
        notices.send(logged);
        assert_eq!(notices.dropped(), 1, "there is room again");
        assert_eq!(front(&"ä".repeat(1000)).len(), TEXT_MAX);
        assert_eq!(&*front("short"), "short");
        drop(end);
        notices.send(|| panic!("nobody listens"));
    }
}
