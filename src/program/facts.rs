//! What an answer may be made from beside the program and the statuses: one query.

use std::net::{IpAddr, SocketAddr};

use crate::geo::Places;
use crate::wire::NameRef;

/// One query, as a program sees it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client (`bestwho`): the masked network address of EDNS Client Subnet, or the resolver's address.
    pub client: IpAddr,
    /// How many bits of the client's address the query gives, if it has a client subnet that is used (`ecswho`). Where it has
    /// none, nobody wants a scope.
    pub subnet: Option<u8>,
    /// Who sent the query (`who`).
    pub resolver: SocketAddr,
    /// Where it arrived (`localwho`).
    pub local: SocketAddr,
    /// The name being answered (`qname`), which below an alias is not the one asked for.
    pub qname: NameRef<'a>,
    /// The zone's apex (`zone`).
    pub zone: NameRef<'a>,
    /// The record's own name: at a wildcard not [`Facts::qname`].
    pub owner: NameRef<'a>,
    /// Whether the query came over a connection (`tcp`).
    pub tcp: bool,
    /// The DO bit (`dnssecOK`).
    pub dnssec_ok: bool,
    /// The advertised payload size, 0 without EDNS (`ednsPKTSize`).
    pub payload: u16,
    /// The query's header as it came (`dh`).
    pub header: [u8; 12],
    /// Where clients are.
    pub places: &'a Places,
    /// Seconds since 1970.
    pub unix: u32,
    /// Milliseconds on a clock that never goes back.
    pub monotonic: u64,
}

/// Which clients an answer holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// All in the network of so many bits around this client; 0: for all.
    pub network: u8,
    /// Nobody else, as far as is known: the answer was made from the whole address.
    pub client: bool,
}

impl Reach {
    /// Everyone.
    pub const EVERYONE: Self = Self { network: 0, client: false };
    /// This client.
    pub const CLIENT: Self = Self { network: 0, client: true };

    /// All in the network of so many bits.
    #[must_use]
    pub const fn network(network: u8) -> Self {
        Self { network, client: false }
    }

    /// For whom two decisions hold together.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { network: self.network.max(other.network), client: self.client || other.client }
    }
}

impl Facts<'_> {
    /// For whom holds what was made from `of` of the client's place. Costs nothing where nobody asks.
    #[must_use]
    pub fn reach<T: PartialEq>(&self, of: impl Fn(&crate::geo::Place) -> T) -> Reach {
        self.reach_within(usize::MAX, of)
    }

    /// The same of something that costs much, so that it is looked at so many times each way at most.
    #[must_use]
    pub fn reach_within<T: PartialEq>(&self, most: usize, of: impl Fn(&crate::geo::Place) -> T) -> Reach {
        match self.subnet {
            None => Reach::EVERYONE,
            Some(_) => Reach::network(self.places.scope(self.client, most, of)),
        }
    }
}
