//! What counts in a zone that is frozen.
//!
//! A frozen zone has a table of its own: of each check what was believed when the zone was frozen, under what operators say
//! since, and of each pool what its rules had come to. Its programs are settled from it, and its scripts look there. Everything
//! else goes on: the checks are probed, other zones that consult them follow, and when the freeze ends the zone's programs are
//! settled from what is believed then. Of a check of which nothing was known, or that came with a reload, the first result
//! counts; one that takes over from another takes over what was kept of it too.
//!
//! After a restart nobody knows what was believed when the freeze was said. What counts instead is what the last process had
//! measured last, where that is not too old, else the first result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::beliefs::Turn;
use super::pools::{PoolId, Pools};
use crate::health::{Checks, Moment, Overrides, PoolState};
use crate::target::{CheckId, Pool, Status, StatusTable, Value};
use crate::zone::ProgramId;

/// A frozen zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// Its programs.
    pub(super) programs: BTreeSet<ProgramId>,
    /// What was believed of each check.
    pub(super) kept: StatusTable,
    /// What that counts as, and the standings of pools.
    pub(super) counts: StatusTable,
    pools: BTreeMap<PoolId, (Arc<Pool>, PoolState)>,
}

impl Held {
    /// From now on: what is believed of checks, and what counts.
    pub(super) fn begin(kept: StatusTable, counts: StatusTable, pools: &Pools) -> Self {
        let pools = pools.states().map(|(id, pool, state)| (id, (Arc::clone(pool), state.clone()))).collect();
        Self { programs: BTreeSet::new(), kept, counts, pools }
    }

    /// Enters what counts of a check under `words`; whether an answer may be another for it.
    pub(super) fn refresh(&mut self, words: &Overrides, checks: &Checks, id: CheckId) -> bool {
        learn(&mut self.kept, id, checks.status(id));
        let turn = Turn { from: self.counts.get(id), to: counting(Some(&self.kept), words, checks, id) };
        self.counts.set(id, turn.to);
        turn.concerns_answers()
    }

    /// Enters what the standings of a pool count as under `words`, and gives those for which an answer may be another.
    pub(super) fn follow(&mut self, pools: &Pools, id: PoolId, words: &Overrides, now: Moment) -> Vec<CheckId> {
        let Some(pool) = pools.pool(id) else { return Vec::new() };
        if !self.pools.contains_key(&id) {
            let inherited = self.inherited(pool);
            self.pools.retain(|id, _| pools.pool(*id).is_some());
            self.pools.insert(id, (Arc::clone(pool), inherited));
        }
        let Some((_, state)) = self.pools.get_mut(&id) else { return Vec::new() };
        let mut turned = Vec::new();
        for stands in pools.judge_held(id, state, (&self.counts, words), now) {
            let turn = Turn { from: self.counts.get(stands.standing), to: stands.status };
            self.counts.set(stands.standing, stands.status);
            turned.extend(turn.concerns_answers_of_pools().then_some(stands.standing));
        }
        turned
    }

    /// What is kept of a pool that came with a reload: that of the one of the same name before.
    fn inherited(&self, pool: &Pool) -> PoolState {
        let before = self.pools.values().rfind(|(before, _)| before.name == pool.name);
        before.map(|(before, state)| PoolState::inherited(pool, before, state)).unwrap_or_default()
    }
}

/// Keeps the first that is known of a check.
pub(super) fn learn(kept: &mut StatusTable, id: CheckId, measured: Status) {
    if kept.get(id).value == Value::Unknown && measured.value != Value::Unknown {
        kept.set(id, measured);
    }
}

/// What counts of a check under `words`, where `kept` stands for what is measured.
pub(super) fn counting(kept: Option<&StatusTable>, words: &Overrides, checks: &Checks, id: CheckId) -> Status {
    let stands = kept.map(|kept| kept.get(id)).filter(|status| status.value != Value::Unknown);
    let measured = stands.unwrap_or_else(|| checks.status(id));
    if words.is_empty() {
        return measured;
    }
    match checks.probe_of(id) {
        Some((key, spec)) => words.overlay(key, spec, measured),
        None => measured,
    }
}
