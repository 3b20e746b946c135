//! Admin calls over HTTP: see `ask`.

mod access;
mod ask;

pub use access::{Config, Role, Secret, Token};
pub use ask::{Ask, Finding, Lateness, Node, ReloadOutcome, ReloadReport, ReloadRequest, ZoneReport};
