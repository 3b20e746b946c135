//! What the API asks of the engine, and what it is told: plain values through one channel, so that a call never
//! touches the engine's state and the engine never waits for a call.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;

use crate::answers::{Generation, Published};
use crate::control::{Command, Overview, PoolView, Regression, Reply};
use crate::health::{About, CheckView, Moment, Overrides, State};
use crate::target::{Hosts, Reports, Status};
use crate::wire::{Name, Serial};

use super::history::History;
use super::metrics::Meters;
use super::stream::Streams;

/// A question or command, and where the reply goes.
#[derive(Debug)]
pub enum Ask {
    /// The state of the node.
    Overview(oneshot::Sender<Overview>),
    /// Every check.
    Checks(oneshot::Sender<Vec<CheckView>>),
    /// Every pool, and what each address of its members counts as.
    Pools(oneshot::Sender<Vec<(PoolView, Vec<Status>)>>),
    /// What operators and the overrides file say.
    Overrides(oneshot::Sender<Overrides>),
    /// Do what an operator orders. The reply comes when it is on disk and served, or refused.
    Order(Box<Command>, oneshot::Sender<Reply>),
    /// Read the configuration and the zone files again. The reply comes when the change is served, or refused.
    Reload(ReloadRequest, oneshot::Sender<ReloadReport>),
}

/// How to reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadRequest {
    /// Judge, but change nothing.
    pub dry_run: bool,
    /// This zone only; the configuration is not read again then.
    pub zone: Option<Name>,
    /// Adopt even if targets that are up would be down.
    pub accept_regression: bool,
    /// Only this; neither the configuration nor the zones nor the databases are read again then.
    pub outside: Option<Outside>,
}

impl ReloadRequest {
    /// Whether the overrides file is judged again: neither when one zone is asked for, nor for what has nothing to do with it.
    #[must_use]
    pub fn reads_overrides(&self) -> bool {
        self.zone.is_none() && self.outside != Some(Outside::Hosts)
    }
}

/// What others say and configurations refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// The files that are watched: each `nets_file` and the overrides file.
    Files,
    /// Where the names of pools' members lead.
    Hosts,
}

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReport {
    /// In one word.
    pub outcome: ReloadOutcome,
    /// The generation that was seen or made.
    pub generation: Generation,
    /// Zones that changed, or would.
    pub zones: Vec<ZoneReport>,
    /// What the overrides file says otherwise than before.
    pub words: Vec<WordReport>,
    /// Every error and warning of the configuration and the zone files.
    pub findings: Vec<Finding>,
}

/// How a reload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The change is served. Zones with errors keep their old state only where nothing else was asked for: see
    /// [`ReloadOutcome::Invalid`].
    Applied,
    /// The change would be applied; nothing was changed.
    Rehearsed,
    /// Some files have errors: those zones keep what they had; zones without errors have been taken in.
    Invalid,
    /// Refused: these targets are up, and would be down.
    Regression(Arc<[Regression]>),
    /// Refused: these settings take effect only at a start.
    NeedsRestart(Vec<String>),
    /// There is no zone of that name.
    NoSuchZone,
    /// Refused: too many reloads are waiting already.
    Busy,
}

/// A zone that a reload changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneReport {
    /// Its apex.
    pub zone: Name,
    /// The serial before; `None`: it was not served.
    pub before: Option<Serial>,
    /// The serial after; `None`: it is no longer served.
    pub after: Option<Serial>,
    /// RRsets that went or changed.
    pub removed: usize,
    /// RRsets that came or changed.
    pub added: usize,
}

/// What the overrides file says otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordReport {
    /// What it is about.
    pub about: About,
    /// What it said; `None`: nothing.
    pub before: Option<State>,
    /// What it says; `None`: nothing.
    pub after: Option<State>,
}

/// What became of the overrides file.
#[derive(Clone, Debug, Default)]
pub struct OverridesFile {
    /// Where it is.
    pub path: PathBuf,
    /// How many words of it hold.
    pub words: usize,
    /// Why what it says now is refused; empty: it is not.
    pub errors: Vec<Finding>,
}

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is an error; else a warning.
    pub error: bool,
    /// `file:line:column`.
    pub place: String,
    /// What is wrong, naming the thing.
    pub message: String,
    /// What would be right.
    pub remedy: String,
}

/// What the API needs of the node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's name.
    pub name: Arc<str>,
    /// Where questions go.
    pub ask: tokio::sync::mpsc::Sender<Ask>,
    /// The snapshot that queries are answered from.
    pub published: Published,
    /// Reads the clock: the moment, and what wall clocks call it.
    pub clock: fn() -> (Moment, SystemTime),
    /// How late the engine and the prober are, the larger of the two: how long ago each was last seen working.
    pub lateness: Arc<dyn Lateness>,
    /// What the shell has counted and timed.
    pub meters: Arc<Meters>,
    /// Where targets report themselves.
    pub reports: Arc<Reports>,
    /// What the names of pools' members lead to.
    pub hosts: Arc<Hosts>,
    /// What happened.
    pub history: Arc<History>,
    /// Who may follow that at the same time.
    pub streams: Arc<Streams>,
}

/// How long ago the engine and the prober were last seen working.
pub trait Lateness: std::fmt::Debug + Send + Sync {
    /// The longer of the two, at `now`.
    fn at(&self, now: Moment) -> std::time::Duration;
}
