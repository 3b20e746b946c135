//! Who the other nodes are.

use std::sync::Arc;
use std::time::Duration;

/// `[peers]` and each `[peer.NAME]`, as far as it is the rules of health that they concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Where this node stands: `[node] region`.
    pub region: Box<str>,
    /// The other nodes. None: this one decides alone.
    pub peers: Vec<Peer>,
    /// From one heartbeat to the next.
    pub interval: Duration,
    /// How old the last that was heard of a peer may be for its words to count.
    pub stale_after: Duration,
    /// How long this node holds what it believes when it hears from too few, before it goes by its own eyes.
    pub solo_after: Duration,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its `[node] name`.
    pub name: Arc<str>,
    /// Where it stands.
    pub region: Box<str>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            region: "".into(),
            peers: Vec::new(),
            interval: Duration::from_secs(5),
            stale_after: Duration::from_secs(15),
            solo_after: Duration::from_secs(60),
        }
    }
}
