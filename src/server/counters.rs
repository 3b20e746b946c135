//! What happens to connections, counted. Shared by all threads: it is touched when a connection opens or ends, not by
//! queries, but for a UDP datagram with a broken PROXY header, which is dropped anyway.
//!
//! An error of the peer's is what it said and should not have said. A connection that we end ourselves, to make room or
//! because we stop, is none, nor one that the peer leaves. A time-out is one of a handshake, over TLS and QUIC alike: who
//! has begun one and hears nothing more is what a path that drops big packets looks like, and nobody else would tell. It
//! is none of a PROXY header: a proxy may open connections before it has anything to send.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::answers::Transport;

/// The transports that have connections.
const CONNECTED: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Https, Transport::Quic];

/// Why a connection was closed before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// There were `tcp_max`.
    Full,
    /// Its client had `tcp_per_client`.
    Client,
    /// The system had no descriptor left.
    Descriptors,
}

impl Eviction {
    const ALL: [Self; 3] = [Self::Full, Self::Client, Self::Descriptors];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Client => "client",
            Self::Descriptors => "descriptors",
        }
    }
}

/// The counters of a server, from its start.
#[derive(Debug, Default)]
pub struct Counters {
    /// By transport, in the order of [`Transport::ALL`].
    opened: [AtomicU64; Transport::ALL.len()],
    closed: [AtomicU64; Transport::ALL.len()],
    evicted: [AtomicU64; Eviction::ALL.len()],
    refused: AtomicU64,
    handshakes_failed: AtomicU64,
    proxy_errors: [AtomicU64; 2],
}

/// The counters as they were when somebody asked; the words are labels for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Connections that are open now, by transport.
    pub open: Vec<(&'static str, u64)>,
    /// Connections that were taken in, by transport.
    pub accepted: Vec<(&'static str, u64)>,
    /// Connections that were closed to make room, by what was lacking.
    pub evicted: Vec<(&'static str, u64)>,
    /// Connections that were closed at once: their client had its share, and none of its own was idle.
    pub refused: u64,
    /// TLS and QUIC handshakes that failed, or were not finished in time.
    pub handshakes_failed: u64,
    /// Datagrams and connections that were dropped for a PROXY header that was missing or malformed.
    pub proxy_errors: [(&'static str, u64); 2],
}

impl Counters {
    /// What has been counted so far.
    #[must_use]
    pub fn read(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Closed is read first, so that nothing seems open that never was.
        let closed = CONNECTED.map(|transport| of(&self.closed[transport as usize]));
        let opened = CONNECTED.map(|transport| of(&self.opened[transport as usize]));
        let label = CONNECTED.map(Transport::as_str);
        let open = opened.iter().zip(closed).map(|(opened, closed)| opened.saturating_sub(closed));
        let [datagrams, streams] = &self.proxy_errors;
        Counted {
            open: label.into_iter().zip(open).collect(),
            accepted: label.into_iter().zip(opened).collect(),
            evicted: Eviction::ALL.iter().map(|why| (why.as_str(), of(&self.evicted[*why as usize]))).collect(),
            refused: of(&self.refused),
            handshakes_failed: of(&self.handshakes_failed),
            proxy_errors: [("datagram", of(datagrams)), ("stream", of(streams))],
        }
    }

    pub(super) fn opened(&self, transport: Transport) {
        bump(&self.opened[transport as usize]);
    }

    pub(super) fn closed(&self, transport: Transport) {
        bump(&self.closed[transport as usize]);
    }

    pub(super) fn evicted(&self, why: Eviction) {
        bump(&self.evicted[why as usize]);
    }

    pub(super) fn refused(&self) {
        bump(&self.refused);
    }

    pub(super) fn handshake_failed(&self) {
        bump(&self.handshakes_failed);
    }

    pub(super) fn bad_proxy_datagram(&self) {
        bump(&self.proxy_errors[0]);
    }

    pub(super) fn bad_proxy_stream(&self) {
        bump(&self.proxy_errors[1]);
    }
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
