//! `[prober] max_checks`: how many different probes programs and pools may ask for together.
//!
//! A program that asks for one too many is an error of its zone, at its line, as one that may not be probed is: a reload keeps
//! the zone as it was, and a start serves the rest. What was refused there is tried again with each reload, of which it is no
//! error. What is dropped with a version does not count beside what it brings. What
//! scripts make up is bounded by the same number in the engine, which knows how many there are.

use std::collections::{BTreeSet, HashMap};

use crate::config::Config;
use crate::program::Program;
use crate::target::CheckKey;
use crate::zone::ProgramId;

/// What programs hold of the probes that there may be.
#[derive(Debug, Default)]
pub struct Budget {
    /// `None`: as many as are asked for, and nothing is counted.
    max: Option<usize>,
    /// Of the pools.
    pools: BTreeSet<CheckKey>,
    of: HashMap<ProgramId, BTreeSet<CheckKey>>,
    /// Those that found no room.
    refused: BTreeSet<ProgramId>,
}

/// There are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// How many there may be.
    pub max: usize,
}

impl Budget {
    /// What the configuration allows.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut budget = Self { max: config.health.max_checks, ..Self::default() };
        budget.follow(config);
        budget
    }

    /// From now on the pools are those of this configuration.
    pub fn follow(&mut self, config: &Config) {
        let pools = config.answering.checks.pools.iter().filter(|_| self.max.is_some());
        self.pools = pools.flat_map(|pool| pool.faces().map(|(_, face)| face.check.spec.key()).collect::<Vec<_>>()).collect();
    }

    /// What is held without `dropped`, upon which more may be [taken](Room::take).
    #[must_use]
    pub fn room(&self, dropped: &BTreeSet<ProgramId>) -> Room {
        let held = self.of.iter().filter(|(id, _)| !dropped.contains(id)).flat_map(|(_, keys)| keys);
        Room { max: self.max, held: held.chain(&self.pools).copied().collect() }
    }

    /// That program holds these.
    pub(super) fn hold(&mut self, id: ProgramId, program: Option<&Program>) {
        if self.max.is_some() {
            self.of.insert(id, keys(program));
        }
    }

    /// That program found no room.
    pub(super) fn refuse(&mut self, id: ProgramId) {
        self.refused.insert(id);
    }

    /// Whether that program found no room.
    pub(super) fn is_refused(&self, id: ProgramId) -> bool {
        self.refused.contains(&id)
    }

    /// It holds nothing any more.
    pub(super) fn let_go(&mut self, id: ProgramId) {
        self.of.remove(&id);
        self.refused.remove(&id);
    }
}

/// The probes that there are, and room for more.
#[derive(Debug)]
pub struct Room {
    max: Option<usize>,
    held: BTreeSet<CheckKey>,
}

impl Room {
    /// Whether a program's probes find room; if not, none of them takes any.
    ///
    /// # Errors
    /// [`Excess`] if there would be too many.
    pub fn take(&mut self, program: Option<&Program>) -> Result<(), Excess> {
        let Some(max) = self.max else { return Ok(()) };
        let fresh: BTreeSet<CheckKey> = keys(program).difference(&self.held).copied().collect();
        if !fresh.is_empty() && self.held.len() + fresh.len() > max {
            return Err(Excess { max });
        }
        self.held.extend(fresh);
        Ok(())
    }

    /// A program's probes are there already, whether or not there is room.
    pub(super) fn take_anyway(&mut self, program: Option<&Program>) {
        if self.max.is_some() {
            self.held.extend(keys(program));
        }
    }
}

fn keys(program: Option<&Program>) -> BTreeSet<CheckKey> {
    program.into_iter().flat_map(|program| program.checks()).map(|request| request.spec.key()).collect()
}
