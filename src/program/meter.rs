//! What a run may still spend.
//!
//! One count of steps for everything a run does: the VM charges one at each safepoint, natives charge for work that has
//! no safepoint inside. Once it is used up every further charge fails, so a program that catches the error cannot go on.
//! How much work a native does for one step is set so that a step costs at most a few microseconds, whatever it is.
//! Plans have no loops, so loading counts their nodes; what a node makes of long texts and tables is charged here too.
//!
//! Never here: a clock. Who watches the time ends the run with [`Meter::end`].

use std::cell::Cell;

use super::failure::{self, Failure};

/// What a step is divided into: one is one step of a pattern.
const TICKS_PER_STEP: u64 = 256;
/// Octets that are copied, folded or hashed for one tick.
const OCTETS_PER_TICK: usize = 4;
/// Ticks for one table element that is read or compared.
const TICKS_PER_ELEMENT: u64 = 16;

/// Most ticks between two safepoints, whatever `step_limit`: only there can the time be checked. A few milliseconds.
const TICKS_BETWEEN: u64 = 1000 * TICKS_PER_STEP;
/// Longest string that a program may build. Comparing strings and reading numbers out of them has no safepoint inside and
/// costs by the octet, so what one such operation costs is bounded here; no answer is longer either.
pub(super) const STRING_MAX: usize = 64 * 1024;

/// Which limit a run has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Limit {
    /// `step_limit`.
    #[error("the program takes too many steps")]
    Steps,
    /// `time_limit`.
    #[error("the program takes too long")]
    Time,
    /// A string longer than any may be.
    #[error("not enough memory: a string is longer than 65536 octets")]
    String,
}

impl From<Limit> for Failure {
    fn from(limit: Limit) -> Self {
        Self::Limit(match limit {
            Limit::Steps => failure::Limit::Steps,
            Limit::Time => failure::Limit::Time,
            Limit::String => failure::Limit::Memory,
        })
    }
}

/// What is left to the run in progress.
#[derive(Debug)]
pub(super) struct Meter {
    ticks: Cell<u64>,
    /// Of them, what may be spent before the next safepoint.
    until_safepoint: Cell<u64>,
    ended: Cell<Option<Limit>>,
    runs: Cell<u64>,
}

impl Meter {
    /// A meter that allows nothing until [`Meter::begin`].
    #[must_use]
    pub(super) fn new() -> Self {
        Self { ticks: Cell::new(0), until_safepoint: Cell::new(0), ended: Cell::new(None), runs: Cell::new(0) }
    }

    /// Begins a run of at most `steps`.
    pub(super) fn begin(&self, steps: u64) {
        self.ticks.set(steps.saturating_mul(TICKS_PER_STEP));
        self.until_safepoint.set(TICKS_BETWEEN);
        self.ended.set(None);
        self.runs.set(self.runs.get().wrapping_add(1));
    }

    /// Ends the run: every further charge fails.
    pub(super) fn end(&self, limit: Limit) {
        self.ended.set(self.ended.get().or(Some(limit)));
    }

    /// Why the run has ended, if a limit ended it.
    #[must_use]
    pub(super) fn ended(&self) -> Option<Limit> {
        self.ended.get()
    }

    /// Spends `steps` at a safepoint.
    pub(super) fn charge(&self, steps: u64) -> Result<(), Limit> {
        let spent = self.take(&self.ticks, steps.saturating_mul(TICKS_PER_STEP), Limit::Steps);
        self.until_safepoint.set(TICKS_BETWEEN);
        spent
    }

    /// Tells one run from the next.
    pub(super) fn run(&self) -> u64 {
        self.runs.get()
    }

    /// Spends what a pass over `octets` costs.
    pub(super) fn charge_octets(&self, octets: usize) -> Result<(), Limit> {
        self.spend((octets / OCTETS_PER_TICK) as u64)
    }

    /// Spends what handling `elements` of tables costs.
    pub(super) fn charge_elements(&self, elements: u64) -> Result<(), Limit> {
        self.spend(elements.saturating_mul(TICKS_PER_ELEMENT))
    }

    /// For how many elements it would do.
    pub(super) fn elements(&self) -> u64 {
        self.ticks.get().min(self.until_safepoint.get()) / TICKS_PER_ELEMENT
    }

    /// Whether a string of `octets` may be. Where it may not, the run goes on, as after an error of Lua's own.
    pub(super) fn check_string(&self, octets: usize) -> Result<(), Limit> {
        if octets > STRING_MAX { Err(Limit::String) } else { Ok(()) }
    }

    /// Runs `matching` with the pattern steps that are left, and spends those it uses.
    pub(super) fn matching<R>(&self, matching: impl FnOnce(&mut u64) -> R) -> Result<R, Limit> {
        self.spend(0)?;
        let given = self.ticks.get().min(self.until_safepoint.get());
        let mut left = given;
        let result = matching(&mut left);
        self.spend(given - left)?;
        Ok(result)
    }

    /// Ends a run in which `matching` had not enough.
    pub(super) fn exhausted(&self) -> Limit {
        let limit = if self.ticks.get() < self.until_safepoint.get() { Limit::Steps } else { Limit::Time };
        self.end(limit);
        self.ended().unwrap_or(limit)
    }

    fn spend(&self, ticks: u64) -> Result<(), Limit> {
        self.take(&self.ticks, ticks, Limit::Steps)?;
        self.take(&self.until_safepoint, ticks, Limit::Time)
    }

    fn take(&self, left: &Cell<u64>, ticks: u64, limit: Limit) -> Result<(), Limit> {
        if let Some(limit) = self.ended.get() {
            return Err(limit);
        }
        let Some(rest) = left.get().checked_sub(ticks) else {
            self.end(limit);
            return Err(limit);
        };
        left.set(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_spends_until_it_is_over() {
        let meter = Meter::new();
        assert_eq!(meter.charge(1), Err(Limit::Steps));
        meter.begin(10);
        assert_eq!((meter.charge(8), meter.charge_octets(1024), meter.charge_elements(15)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((meter.check_string(STRING_MAX), meter.check_string(STRING_MAX + 1)), (Ok(()), Err(Limit::String)));
        assert_eq!(meter.matching(|ticks| std::mem::replace(ticks, 0)), Ok(16));
        assert_eq!((meter.charge(0), meter.ended()), (Ok(()), None));
        assert_eq!((meter.charge_octets(4), meter.ended()), (Err(Limit::Steps), Some(Limit::Steps)));
        meter.end(Limit::Time);
        assert_eq!(meter.matching(|_| ()), Err(Limit::Steps), "the first limit stays");
        meter.begin(1);
        meter.end(Limit::Time);
        assert_eq!((meter.charge(0), meter.run()), (Err(Limit::Time), 2));
    }

    #[test]
    fn natives_spend_little_between_safepoints() {
        let meter = Meter::new();
        meter.begin(u64::MAX);
        assert_eq!(meter.matching(|ticks| std::mem::replace(ticks, 1)), Ok(TICKS_BETWEEN));
        assert_eq!((meter.charge(1), meter.matching(|ticks| *ticks)), (Ok(()), Ok(TICKS_BETWEEN)));
        assert_eq!(meter.charge_elements(TICKS_BETWEEN), Err(Limit::Time));
    }
}
