//! Counters of queries: each worker counts datagrams in its own slot, whoever asks sums them.
//!
//! A slot has one writer, so a count is a relaxed load and store, without a locked instruction; slots are 128 octets
//! apart, so no two workers share a cache line. What comes over connections is counted in one place for all workers: it
//! costs so much more than a locked instruction that slots for it would only be memory, for each zone and worker.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::Rcode;

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams (RFC 1035 4.2.1).
    Udp,
    /// A stream (RFC 7766).
    Tcp,
    /// A stream in TLS (DoT, RFC 7858).
    Tls,
    /// HTTP over TLS (DoH, RFC 8484).
    Https,
    /// QUIC (DoQ, RFC 9250).
    Quic,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Https, Self::Quic];

    /// Whether nobody on the way can read the exchange: padding (RFC 8467) makes sense there only.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }

    /// The label in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }
}

/// The rcodes that are counted apart; any other is counted as SERVFAIL.
pub const RCODES: [Rcode; 10] = [
    Rcode::NOERROR,
    Rcode::FORMERR,
    Rcode::SERVFAIL,
    Rcode::NXDOMAIN,
    Rcode::NOTIMP,
    Rcode::REFUSED,
    Rcode::YXDOMAIN,
    Rcode::NOTAUTH,
    Rcode::BADVERS,
    Rcode::BADCOOKIE,
];

/// Where SERVFAIL stands in [`RCODES`].
const SERVFAIL_AT: usize = 2;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    /// Over UDP.
    replies: [AtomicU64; RCODES.len()],
    dropped: AtomicU64,
    limited: AtomicU64,
    fell_back: AtomicU64,
}

/// Queries by transport and rcode, for one zone or for what belongs to none.
#[derive(Debug)]
pub struct QueryCounters {
    slots: Box<[Slot]>,
    /// Over connections, in the order of [`Transport::ALL`] without UDP.
    connected: [[AtomicU64; RCODES.len()]; Transport::ALL.len() - 1],
    connected_fell_back: AtomicU64,
}

/// The sums of one [`QueryCounters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Replies, by transport and rcode in the order of [`Transport::ALL`] and [`RCODES`].
    pub replies: [[u64; RCODES.len()]; Transport::ALL.len()],
    /// Datagrams and messages that were not answered because they are no queries.
    pub dropped: u64,
    /// Replies that rate limiting held back, or sent empty with TC.
    pub limited: u64,
    /// Replies with what a program gives when none of a group's targets is up.
    pub fell_back: u64,
}

impl QueryCounters {
    /// Counters for `workers` writers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            slots: (0..workers.max(1)).map(|_| Slot::default()).collect(),
            connected: Default::default(),
            connected_fell_back: AtomicU64::new(0),
        }
    }

    pub(super) fn replied(&self, worker: usize, transport: Transport, rcode: Rcode) {
        let at = RCODES.iter().position(|&known| known == rcode).unwrap_or(SERVFAIL_AT);
        match self.slots.get(worker) {
            None => {} // an explanation, which is no query
            Some(slot) if transport == Transport::Udp => bump(&slot.replies[at]),
            Some(_) => _ = self.connected[transport as usize - 1][at].fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(super) fn dropped(&self, worker: usize) {
        if let Some(slot) = self.slots.get(worker) {
            bump(&slot.dropped);
        }
    }

    /// A reply that rate limiting holds back or sends empty; the latter counts as a reply too.
    pub(super) fn limited(&self, worker: usize) {
        if let Some(slot) = self.slots.get(worker) {
            bump(&slot.limited);
        }
    }

    /// A reply from a program of which a group had no target up.
    pub(super) fn fell_back(&self, worker: usize, transport: Transport) {
        match self.slots.get(worker) {
            None => {} // an explanation
            Some(slot) if transport == Transport::Udp => bump(&slot.fell_back),
            Some(_) => _ = self.connected_fell_back.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The sums over all workers.
    #[must_use]
    pub fn sum(&self) -> Counted {
        let mut sum = Counted::default();
        for (totals, counts) in sum.replies[1..].iter_mut().zip(&self.connected) {
            for (total, count) in totals.iter_mut().zip(counts) {
                *total += count.load(Ordering::Relaxed);
            }
        }
        for slot in &self.slots {
            for (total, count) in sum.replies[Transport::Udp as usize].iter_mut().zip(&slot.replies) {
                *total += count.load(Ordering::Relaxed);
            }
            sum.dropped += slot.dropped.load(Ordering::Relaxed);
            sum.limited += slot.limited.load(Ordering::Relaxed);
            sum.fell_back += slot.fell_back.load(Ordering::Relaxed);
        }
        sum.fell_back += self.connected_fell_back.load(Ordering::Relaxed);
        sum
    }
}

/// Only the slot's owner calls this, so nothing is lost between load and store.
pub(super) fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
