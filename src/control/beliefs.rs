//! What counts of each check: what was measured, under what operators say.
//!
//! One table, which snapshots share, and one way into it: [`Beliefs::refresh`]. While the node is frozen what was measured
//! when that was said stands for what is measured; a check of which nothing was known then is still believed its first
//! result, for nobody wants an answer from nothing frozen.

use super::pools::Stands;
use crate::health::{Checks, Overrides, Subject};
use crate::target::{CheckId, Status, StatusTable, Value};

#[derive(Debug, Default)]
pub(super) struct Beliefs {
    statuses: StatusTable,
    overrides: Overrides,
    frozen: Option<StatusTable>,
}

/// A check that counts as something else than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) from: Status,
    pub(super) to: Status,
}

impl Turn {
    /// Whether an answer may be another for it.
    pub(super) fn concerns_answers(&self) -> bool {
        let seen = |status: Status| (status.value, status.drain, status.is_excluded(), status.weight, status.reported);
        seen(self.from) != seen(self.to)
    }

    /// The same of a standing: answers of pools may also be another for how soon they are likely to change.
    pub(super) fn concerns_answers_of_pools(&self) -> bool {
        self.concerns_answers() || self.from.likely_change() != self.to.likely_change()
    }
}

impl Beliefs {
    /// With these words in force; nothing is measured yet.
    pub(super) fn under(overrides: Overrides) -> Self {
        let frozen = overrides.is_frozen().then(StatusTable::new);
        Self { statuses: StatusTable::new(), overrides, frozen }
    }

    /// What counts of every check.
    pub(super) fn table(&self) -> &StatusTable {
        &self.statuses
    }

    pub(super) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// Enters what counts of a check now; `None`: what counted before.
    pub(super) fn refresh(&mut self, checks: &Checks, id: CheckId) -> Option<Turn> {
        let measured = checks.status(id);
        if let Some(frozen) = &mut self.frozen
            && frozen.get(id).value == Value::Unknown
            && measured.value != Value::Unknown
        {
            frozen.set(id, measured);
        }
        let (from, to) = (self.statuses.get(id), self.counting(&self.overrides, checks, id));
        if from == to {
            return None;
        }
        self.statuses.set(id, to);
        Some(Turn { from, to })
    }

    /// Enters what a standing counts as; `None`: what it counted as before.
    pub(super) fn enter(&mut self, stands: Stands) -> Option<Turn> {
        let turn = Turn { from: self.statuses.get(stands.standing), to: stands.status };
        if turn.from == turn.to {
            return None;
        }
        self.statuses.set(stands.standing, stands.status);
        Some(turn)
    }

    /// What would count of a check under other words.
    fn counting(&self, overrides: &Overrides, checks: &Checks, id: CheckId) -> Status {
        let frozen = self.frozen.as_ref().filter(|_| overrides.is_frozen());
        let stands = frozen.map(|frozen| frozen.get(id)).filter(|status| status.value != Value::Unknown);
        let measured = stands.unwrap_or_else(|| checks.status(id));
        if overrides.is_empty() {
            return measured;
        }
        match checks.probe_of(id) {
            Some((key, spec)) => overrides.overlay(key, spec, measured),
            None => measured,
        }
    }

    /// What would change under the words `next`, which are others about `subjects`: the checks, and the table as it would be.
    pub(super) fn foresee(&self, checks: &Checks, next: &Overrides, subjects: &[Subject]) -> (Vec<(CheckId, Turn)>, StatusTable) {
        let mut table = self.statuses.clone();
        let mut turns = Vec::new();
        for id in subjects.iter().flat_map(|&subject| checks.covered_by(subject)) {
            let (from, to) = (table.get(id), self.counting(next, checks, id));
            if from != to {
                table.set(id, to);
                turns.push((id, Turn { from, to }));
            }
        }
        (turns, table)
    }

    /// Puts the words `next` in force, and gives those that were.
    pub(super) fn say(&mut self, checks: &Checks, next: Overrides) -> Overrides {
        let before = std::mem::replace(&mut self.overrides, next);
        self.freeze_or_thaw(checks);
        before
    }

    /// Keeps what is measured now where the node has just been frozen, and forgets what was kept where it no longer is.
    fn freeze_or_thaw(&mut self, checks: &Checks) {
        match (&self.frozen, self.overrides.is_frozen()) {
            (None, true) => {
                let mut frozen = StatusTable::new();
                checks.covered_by(Subject::Node).for_each(|id| frozen.set(id, checks.status(id)));
                self.frozen = Some(frozen);
            }
            (Some(_), false) => self.frozen = None,
            _ => {}
        }
    }
}
