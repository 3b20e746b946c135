//! What counts of each check: what was measured, under what operators say.
//!
//! One table, which snapshots share, and one way into it: [`Beliefs::refresh`]. While the node is frozen what was measured
//! when that was said stands for what is measured; a check of which nothing was known then is still believed its first
//! result, for nobody wants an answer from nothing frozen. A zone that is frozen has a table of its own ([`Held`]), by the same
//! rule.

use std::collections::BTreeMap;

use super::held::{Held, counting, learn};
use super::pools::{PoolId, Pools, Stands};
use crate::health::{Checks, Moment, Overrides, Subject};
use crate::target::{CheckId, Status, StatusTable};
use crate::wire::Name;
use crate::zone::ProgramId;

#[derive(Debug, Default)]
pub(super) struct Beliefs {
    statuses: StatusTable,
    overrides: Overrides,
    frozen: Option<StatusTable>,
    zones: BTreeMap<Name, Held>,
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

/// A check that counts as something else, here or in a zone that is frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    /// In zones that are not frozen.
    pub(super) here: Option<Turn>,
    /// Whether an answer of one that is may be another for it.
    pub(super) held: bool,
}

impl Turns {
    /// Whether an answer may be another for it.
    pub(super) fn concerns_answers(&self) -> bool {
        self.held || self.here.is_some_and(|turn| turn.concerns_answers())
    }
}

/// What would be under other words.
#[derive(Debug)]
pub(super) struct Foreseen {
    /// Checks and standings that would count as something else.
    pub(super) turns: Vec<(CheckId, Turn)>,
    pub(super) table: StatusTable,
    /// The zones that would still be frozen.
    pub(super) zones: BTreeMap<Name, Held>,
    /// Those that no longer would.
    pub(super) thawed: Vec<Name>,
}

impl Foreseen {
    /// What the answers of a program would be made from.
    pub(super) fn table_of(&self, program: ProgramId) -> &StatusTable {
        let held = self.zones.values().find(|held| held.programs.contains(&program));
        held.map_or(&self.table, |held| &held.counts)
    }
}

/// The zones that are frozen under these words.
fn frozen_zones(words: &Overrides) -> impl Iterator<Item = Name> {
    words.iter().filter_map(|word| zone_of(word.subject))
}

/// The zone that something is said about.
pub(super) fn zone_of(subject: Subject) -> Option<Name> {
    match subject {
        Subject::Zone(apex) => apex.as_str().parse().ok(),
        Subject::Check(_) | Subject::Target(..) | Subject::Member(..) | Subject::Site(_) | Subject::Pool(_) | Subject::Node => {
            None
        }
    }
}

impl Beliefs {
    /// With these words in force; nothing is measured yet.
    pub(super) fn under(overrides: Overrides) -> Self {
        let frozen = overrides.is_frozen().then(StatusTable::new);
        let zones = frozen_zones(&overrides).map(|zone| (zone, Held::default())).collect();
        Self { statuses: StatusTable::new(), overrides, frozen, zones }
    }

    /// What counts of every check.
    pub(super) fn table(&self) -> &StatusTable {
        &self.statuses
    }

    /// What the answers of a program are made from.
    pub(super) fn table_of(&self, program: ProgramId) -> &StatusTable {
        let held = self.zones.values().find(|held| held.programs.contains(&program));
        held.map_or(&self.statuses, |held| &held.counts)
    }

    /// The zones that are frozen, with what counts there.
    pub(super) fn zones(&self) -> impl Iterator<Item = (&Name, &Held)> {
        self.zones.iter()
    }

    /// A zone that is frozen.
    pub(super) fn zone(&mut self, apex: &Name) -> Option<&mut Held> {
        self.zones.get_mut(apex)
    }

    pub(super) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// Enters what counts of a check now.
    pub(super) fn refresh(&mut self, checks: &Checks, id: CheckId) -> Turns {
        if let Some(frozen) = &mut self.frozen {
            learn(frozen, id, checks.status(id));
        }
        let mut held = false;
        for zone in self.zones.values_mut() {
            held |= zone.refresh(&self.overrides, checks, id);
        }
        let turn = Turn { from: self.statuses.get(id), to: counting(self.frozen.as_ref(), &self.overrides, checks, id) };
        if turn.from != turn.to {
            self.statuses.set(id, turn.to);
        }
        Turns { here: (turn.from != turn.to).then_some(turn), held }
    }

    /// What was kept of `old` is kept of `new`, which takes over from it.
    pub(super) fn succeed(&mut self, old: CheckId, new: CheckId) {
        for kept in self.zones.values_mut().map(|zone| &mut zone.kept).chain(&mut self.frozen) {
            kept.set(new, kept.get(old));
        }
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

    /// Enters what the standings of a pool count as in zones that are frozen, and gives those for which an answer may be
    /// another.
    pub(super) fn follow_held(&mut self, pools: &Pools, id: PoolId, now: Moment) -> Vec<CheckId> {
        self.zones.values_mut().flat_map(|zone| zone.follow(pools, id, &self.overrides, now)).collect()
    }

    /// What would change under the words `next`, which are others about `subjects`; of pools nothing yet.
    pub(super) fn foresee(&self, checks: &Checks, next: &Overrides, subjects: &[Subject]) -> Foreseen {
        let mut table = self.statuses.clone();
        let mut turns = Vec::new();
        let kept = self.frozen.as_ref().filter(|_| next.is_frozen());
        let stay: Vec<Name> = frozen_zones(next).collect();
        let (mut zones, thawed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.zones.clone().into_iter().partition(|(apex, _)| stay.contains(apex));
        for id in subjects.iter().flat_map(|&subject| checks.covered_by(subject)) {
            let turn = Turn { from: table.get(id), to: counting(kept, next, checks, id) };
            let mut held = false;
            for zone in zones.values_mut() {
                held |= zone.refresh(next, checks, id);
            }
            if turn.from != turn.to || held {
                table.set(id, turn.to);
                turns.push((id, turn));
            }
        }
        Foreseen { turns, table, zones, thawed: thawed.into_keys().collect() }
    }

    /// Puts the words `next` in force, and gives those that were.
    pub(super) fn say(&mut self, checks: &Checks, pools: &Pools, next: Overrides) -> Overrides {
        let before = std::mem::replace(&mut self.overrides, next);
        self.freeze_or_thaw(checks);
        self.freeze_or_thaw_zones(checks, pools);
        before
    }

    /// Keeps what is measured now where the node has just been frozen, and forgets what was kept where it no longer is.
    fn freeze_or_thaw(&mut self, checks: &Checks) {
        match (&self.frozen, self.overrides.is_frozen()) {
            (None, true) => self.frozen = Some(believed(None, checks)),
            (Some(_), false) => self.frozen = None,
            _ => {}
        }
    }

    /// The same of zones.
    fn freeze_or_thaw_zones(&mut self, checks: &Checks, pools: &Pools) {
        let frozen: Vec<Name> = frozen_zones(&self.overrides).collect();
        self.zones.retain(|apex, _| frozen.contains(apex));
        for apex in frozen {
            let begin = || Held::begin(believed(self.frozen.as_ref(), checks), self.statuses.clone(), pools);
            self.zones.entry(apex).or_insert_with(begin);
        }
    }
}

/// What is believed of every check, where `kept` stands for what is measured.
fn believed(kept: Option<&StatusTable>, checks: &Checks) -> StatusTable {
    let mut table = StatusTable::new();
    let none = Overrides::default();
    checks.covered_by(Subject::Node).for_each(|id| table.set(id, counting(kept, &none, checks, id)));
    table
}
