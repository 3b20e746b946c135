//! What programs may ask of the server beyond the query: other data, and checks that only a run knows of.

use std::sync::Arc;

use super::compile::Defaults;
use super::plan::Program;
use super::settle::Settled;
use crate::geo::Places;
use crate::target::{CheckRequest, Status};
use crate::wire::{Name, NameRef, RecordType};

/// TTLs and RDATA in presentation form.
pub type Resolved = Arc<[(u32, Box<str>)]>;

/// A program and its settled pieces.
pub type Snippet = (Arc<Program>, Arc<[Settled]>);

/// A [`World`] that a query has at hand, and that a script may hold on to. Holding on writes to a count that all threads
/// share, so it is only done for those that need it.
pub trait Sight {
    /// The world, for as long as the query.
    fn world(&self) -> &dyn World;

    /// The world, for longer.
    fn hold(&self) -> Arc<dyn World>;
}

impl<W: World + 'static> Sight for Arc<W> {
    fn world(&self) -> &dyn World {
        &**self
    }

    fn hold(&self) -> Arc<dyn World> {
        Self::clone(self)
    }
}

/// The server, as far as programs see it. Implemented by what queries are answered from; nothing here may wait.
pub trait World: Send + Sync {
    /// What holds for checks where a program does not say.
    fn defaults(&self) -> &Defaults;

    /// Where addresses are.
    fn places(&self) -> &Places;

    /// What is believed about a check that a run in `zone` made up. One that nobody knows is unknown, and will be measured.
    fn status(&self, check: &CheckRequest, zone: NameRef<'_>) -> Status;

    /// The stored records of a type at a name of the zones that are served, in presentation form (spec 4.9). Nothing is
    /// followed, nothing expanded, no program run.
    fn lookup(&self, name: NameRef<'_>, rtype: RecordType) -> Vec<String>;

    /// The LUA records at a name of the zone `apex`, for `include` (spec 4.8).
    fn snippets(&self, apex: NameRef<'_>, name: NameRef<'_>) -> Vec<Snippet>;

    /// What other servers say of a name: TTLs and RDATA in presentation form. `None`: not known yet, and being asked for.
    fn resolve(&self, name: &Name, rtype: RecordType) -> Option<Resolved>;

    /// The number of the zone `apex`: the same for as long as the server runs with the same zones.
    fn zone_number(&self, apex: NameRef<'_>) -> u32;

    /// Hands on what a program logs, at a syslog level.
    fn log(&self, level: u8, message: &str);
}
