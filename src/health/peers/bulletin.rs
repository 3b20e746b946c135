//! What one node tells another of its checks.
//!
//! Each node has a map from what it asks ([`CheckSpec::question`](crate::target::CheckSpec::question)) to [`Word`]: what it has seen of the target with its own eyes, never what it was told. The map
//! has a **version** that grows with each change, and each entry bears the version of its last change; so "what is new since
//! version 17" is all there is to a message, whether that is one entry, none (a heartbeat) or, since version 0, the whole map.
//! Whoever hears it answers with the version that it has then. Told twice, or again after a loss, it is the same; told out of
//! order, it is refused, for its base is not what the hearer has. A digest of the whole map shows both that they have the same.
//!
//! "Last probed" is not told: a heartbeat says that every word still stands. Where it does not (the probe is late, inconclusive,
//! or it is we who are cut off) the word is [`Word::NoWord`].

use std::time::Duration;

use crate::target::CheckKey;

/// Which life of a node: 128 random bits for each process. Known as another one, never as an earlier or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u128);

/// What one node says of one check's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// It fails its probes.
    Down,
    /// Nothing that is fresh: it is probed, but what was seen last is not known to be so still.
    NoWord,
    /// It passes them.
    Up,
}

impl Word {
    /// `up`, `down` or `no_word`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::NoWord => "no_word",
            Self::Up => "up",
        }
    }
}

/// One entry of a node's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is asked.
    pub key: CheckKey,
    /// What the node says; `None`: it probes this no longer.
    pub word: Option<Word>,
    /// For how long it has said so. No two nodes' clocks need to agree.
    pub age: Duration,
}

/// What is new in a node's map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulletin {
    /// Of the node that tells.
    pub incarnation: Incarnation,
    /// The version that the hearer has to have; 0: none, and whatever it has is forgotten.
    pub base: u64,
    /// The version that it has afterwards.
    pub version: u64,
    /// What has changed in between, oldest change first.
    pub entries: Vec<Entry>,
    /// The digest of the whole map; `None`: this is not all, and more follows.
    pub digest: Option<u64>,
    /// Whether the node knows that it is cut off: then none of its words counts, however fresh.
    pub blind: bool,
}

/// What the hearer of a [`Bulletin`] has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The version, which is not that of the bulletin if it could not be used; 0: nothing, and all of it is wanted.
    pub have: u64,
}
