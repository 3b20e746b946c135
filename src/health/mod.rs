//! Probe outcomes → one status per check; when to probe next.
//!
//! - [`verdict`](Verdict): the hysteresis of one check, a state machine with its table in the doc comment.
//! - [`Checks`]: which checks exist, who probes for them and when. Checks are counted references, so programs may
//!   come and go at run time; two checks that ask the same question of the same target share one probe.
//! - [`Overrides`]: an operator's word over what was measured.
//!
//! - `sight`: whether it is the targets that are lost or our own sight of them, in which case verdicts are held.
//! - `troubles`: which of our own troubles the probes meet.
//! - `damping`: the penalty of targets that keep going down.
//! - `pool`: the rules of pools that need a memory: who may be withdrawn, who comes back when.
//!
//! Time is a [`Moment`] that the caller passes in. Nothing here asks a clock, draws a random number of its own,
//! or does I/O, so every rule is tested with made-up time.
//!
//! The rules that matter most (DESIGN 6): from unknown, one result decides; thresholds count from a known state;
//! an inconclusive probe changes no value; a check that replaces another on the same target inherits its verdict
//! until its own first result.

mod checks;
mod config;
mod damping;
mod moment;
mod overrides;
mod peers;
mod pool;
mod sight;
mod troubles;
mod verdict;

/// As `[health.damping]` says it.
pub use crate::target::Damping;
pub use checks::{Change, CheckView, Checks, Due, Finished, LastResult, RunId, SightChange, WireChange, WireId};
pub use config::Config;
pub use moment::Moment;
pub use overrides::{About, Apex, FileWord, Label, Origin, Override, Overrides, SUBJECTS, State, Subject};
pub use peers::{Bulletin, Entry, Fleet, Incarnation, Peer, PeerChange, PeerView, Receipt, Said, Word};
pub use pool::{FaceMemory, PoolMemory, PoolState, Since, Stood};
pub use sight::Blindness;
pub use troubles::TroubleChange;
pub use verdict::{Remembered, Verdict};

#[cfg(test)]
mod tests;
