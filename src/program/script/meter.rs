//! What a run may still spend.
//!
//! One count of steps for everything a run does: the VM charges one at each safepoint, natives charge for work that has
//! no safepoint inside. Once it is used up every further charge fails, so a program that catches the error cannot go on.
//! How much work a native does for one step is set so that a step costs at most a few microseconds, whatever it is.
//!
//! Never here: a clock. Who watches the time ends the run with [`Meter::end`].

use std::cell::Cell;

/// What a step is divided into: one is one step of a pattern.
const TICKS_PER_STEP: u64 = 256;
/// Octets that are copied, folded or hashed for one tick.
const OCTETS_PER_TICK: usize = 4;
/// Ticks for one table element that is read or compared.
const TICKS_PER_ELEMENT: u64 = 16;

/// Which limit a run has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Limit {
    /// `step_limit`.
    #[error("the program takes too many steps")]
    Steps,
    /// `time_limit`.
    #[error("the program takes too long")]
    Time,
    /// `memory_limit`, by one string alone.
    #[error("not enough memory")]
    Memory,
}

/// What is left to the run in progress.
#[derive(Debug)]
pub(super) struct Meter {
    ticks: Cell<u64>,
    ended: Cell<Option<Limit>>,
    runs: Cell<u64>,
    string_max: usize,
}

impl Meter {
    /// A meter that allows nothing until [`Meter::begin`]. `string_max` is the memory limit, in octets: no native
    /// builds a longer string.
    #[must_use]
    pub(super) fn new(string_max: usize) -> Self {
        Self { ticks: Cell::new(0), ended: Cell::new(None), runs: Cell::new(0), string_max }
    }

    /// Begins a run of at most `steps`.
    pub(super) fn begin(&self, steps: u64) {
        self.ticks.set(steps.saturating_mul(TICKS_PER_STEP));
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

    /// Spends `steps`.
    pub(super) fn charge(&self, steps: u64) -> Result<(), Limit> {
        self.spend(steps.saturating_mul(TICKS_PER_STEP))
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

    /// Whether a string of `octets` may be built. Where it may not, the run goes on, as after Lua's own error.
    pub(super) fn check_string(&self, octets: usize) -> Result<(), Limit> {
        if octets > self.string_max { Err(Limit::Memory) } else { Ok(()) }
    }

    /// Runs `matching` with the pattern steps that are left, and spends those it uses.
    pub(super) fn matching<R>(&self, matching: impl FnOnce(&mut u64) -> R) -> Result<R, Limit> {
        self.spend(0)?;
        let mut ticks = self.ticks.get();
        let result = matching(&mut ticks);
        self.ticks.set(ticks);
        Ok(result)
    }

    fn spend(&self, ticks: u64) -> Result<(), Limit> {
        if let Some(limit) = self.ended.get() {
            return Err(limit);
        }
        let Some(left) = self.ticks.get().checked_sub(ticks) else {
            self.end(Limit::Steps);
            return Err(Limit::Steps);
        };
        self.ticks.set(left);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_spends_until_it_is_over() {
        let meter = Meter::new(10_000);
        assert_eq!(meter.charge(1), Err(Limit::Steps));
        meter.begin(10);
        assert_eq!((meter.charge(8), meter.charge_octets(1024), meter.charge_elements(15)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((meter.check_string(10_000), meter.check_string(10_001)), (Ok(()), Err(Limit::Memory)));
        assert_eq!(meter.matching(|ticks| std::mem::replace(ticks, 0)), Ok(16));
        assert_eq!((meter.charge(0), meter.ended()), (Ok(()), None));
        assert_eq!((meter.charge_octets(4), meter.ended()), (Err(Limit::Steps), Some(Limit::Steps)));
        meter.end(Limit::Time);
        assert_eq!(meter.matching(|_| ()), Err(Limit::Steps), "the first limit stays");
        meter.begin(1);
        meter.end(Limit::Time);
        assert_eq!((meter.charge(0), meter.run()), (Err(Limit::Time), 2));
    }
}
