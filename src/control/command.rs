//! What operators order, and how it ends.
//!
//! An order is judged, made durable, put in force and published, in that order, and only then is it answered: what was
//! acknowledged is on disk and served. Orders come one after the other; while one is on its way to the disk the engine goes
//! on with everything else, dry runs and, after a moment, orders that need not be durable among it.
//!
//! | an order is refused as | because |
//! | --- | --- |
//! | [`Refusal::Unfit`] | that cannot be said about that subject |
//! | [`Refusal::NoSuchTarget`] | no check of any zone probes it, and it was not said twice |
//! | [`Refusal::NotSet`] | there is no word to take back |
//! | [`Refusal::OfFile`] | the word stands in the overrides file, and goes from there |
//! | [`Refusal::Version`] | the word in force is not the one that the caller has seen |
//! | [`Refusal::WouldEmpty`] | an answer would lose its last target that may be given, and it was not said twice |
//! | [`Refusal::NotDurable`] | it cannot be written down, and was not said to be good for this process only |
//! | [`Refusal::Busy`] | too many wait already |

use std::time::Duration;

use crate::answers::Generation;
use crate::health::{Override, State, Subject};
use crate::zone::ProgramId;

/// Which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// An operator's order.
#[derive(Clone, Debug)]
pub struct Command {
    /// About what.
    pub subject: Subject,
    /// What is to be.
    pub action: Action,
    /// The version of the word that is expected to be in force; 0: none.
    pub if_version: Option<u64>,
    /// Say what would change, and change nothing.
    pub dry_run: bool,
    /// Do it although an answer would be left without a target.
    pub accept_empty: bool,
    /// Do it although no check is about it.
    pub accept_unknown: bool,
    /// Do it although it cannot be written down.
    pub volatile: bool,
}

/// What is to be.
#[derive(Clone, Debug)]
pub enum Action {
    /// A word comes in force, in place of another.
    Say {
        /// What it says.
        state: State,
        /// How long it holds; `None`: until it is taken back.
        lasting: Option<Duration>,
        /// When it is said, in milliseconds since 1970.
        since: u64,
        /// Who says it.
        by: Box<str>,
        /// Why.
        reason: Box<str>,
    },
    /// The word is taken back.
    Release,
    /// Whoever waits in a pool to come back does so now. Nothing stays of it, so nothing is written down.
    FailBack,
}

/// How an order ended well.
#[derive(Clone, Debug)]
pub struct Report {
    /// The generation that serves it; of a dry run: the one that it was judged by.
    pub generation: Generation,
    /// The word before.
    pub before: Option<Override>,
    /// The word after.
    pub after: Option<Override>,
    /// Checks and addresses of pools that count as something else for it.
    pub checks: usize,
    /// Programs whose answers may be others for it.
    pub programs: Vec<ProgramId>,
    /// Those of them that are left without a target that may be given.
    pub bare: Vec<ProgramId>,
    /// Whether it is on disk. False for a dry run.
    pub durable: bool,
}

/// Why an order was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// That cannot be said about that subject.
    Unfit,
    /// No check covers it.
    NoSuchTarget,
    /// There is no word about it.
    NotSet,
    /// The word about it stands in the overrides file: where.
    OfFile(Box<str>),
    /// Another word is in force: its version, 0 for none.
    Version(u64),
    /// These programs would be left without a target that may be given.
    WouldEmpty(Vec<ProgramId>),
    /// Why it cannot be written down.
    NotDurable(String),
    /// Too many orders wait.
    Busy,
}

/// What an order comes to.
pub type Reply = Result<Report, Refusal>;

/// What is to be written down: the word about a subject, or that there is none.
#[derive(Clone, Debug)]
pub struct Record {
    /// About what.
    pub subject: Subject,
    /// The word.
    pub word: Option<Override>,
    /// The highest version that was ever given.
    pub version: u64,
}
