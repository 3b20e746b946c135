//! Admin calls over HTTP: see `ask`.

mod ask;

pub use ask::{Ask, Finding, Lateness, Node, ReloadOutcome, ReloadReport, ReloadRequest, ZoneReport};
