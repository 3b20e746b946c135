//! Event + now → state change + effects: the only place where health and zones meet.
//!
//! [`Engine`] is the one writer. It owns every check, zone and answer set, takes one closed [`Event`] at a time, and
//! says what is to be done as closed [`Effect`]s, which `node` carries out: run a probe, publish a snapshot, open the
//! DNS ports, keep a zone's last-good copy, write an operator's word down, write a log line. It never waits: whatever takes time comes back as an
//! event.
//!
//! - `engine`: events, timers, and the path from a probe's result to a published snapshot.
//! - `backlog`: which programs are to be settled again, and which of them first.
//! - `beliefs`: what counts of each check: what was measured, under what operators say.
//! - `command`: what operators order, and how it ends.
//! - `load`: what a start or a reload goes through: **on trial** until the new checks have their first results, then
//!   adopted whole, or refused whole because it would take down targets that are up.
//! - `ad_hoc`: the checks that programs make up while they run: found, bounded, let go.
//! - `pools`: what the members of pools count as, by their checks and the rules of the pool.
//! - `troubles`: when our own troubles are told.
//! - `journal`: what happens, numbered.
//!
//! The start gate is the same trial: the first load has nothing to serve meanwhile, so its ports stay closed until it is
//! adopted (DESIGN 6.4 and 6.7 are one mechanism).
//!
//! Never here: I/O, a clock, a thread. `now` and the random source are arguments.

mod ad_hoc;
mod backlog;
mod beliefs;
mod command;
mod engine;
mod held;
mod journal;
mod load;
mod pools;
mod troubles;

pub use command::{Action, Command, CommandId, Record, Refusal, Reply, Report};
pub use engine::{Config, Effect, Engine, Event, LetterId, Overview, ZoneView};
pub use journal::{Entry, Happening, HostNews};
pub use load::{FileWords, Load, LoadId, LoadKind, NewProgram, Outcome, Regression, WordFault, ZoneLoad};
pub use pools::PoolView;
pub use troubles::Trouble;
