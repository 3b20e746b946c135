//! The pools in service: whose checks they hold, and what their members count as.
//!
//! Each address of each member has two numbers: that of the check that is probed for it, and its **standing**, which has no
//! probe. What counts of the check goes through the rules of the pool ([`PoolState`]), under what operators say of the
//! member and its site, and what comes out is entered as the standing's status, in the same table. Programs consult
//! standings, so that a pool is judged once, whoever uses it, and settled like everything else.
//!
//! A pool is held in one **edition** for each definition. A load that changes it brings another, which inherits what the rules
//! remember, and in how many answers each member was given; the old one goes on as long as a program of a zone that could not
//! be compiled anew refers to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::answers::MemberAnswers;
use crate::health::{Checks, Moment, Overrides, PoolMemory, PoolState, Subject};
use crate::target::{self, CheckId, Membership, Pool, Standing, Status, StatusTable};

/// An edition of a pool; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PoolId(u32);

/// A pool, and what is held for it.
#[derive(Debug)]
struct Edition {
    pool: Arc<Pool>,
    /// The check of each face.
    checks: Box<[CheckId]>,
    /// The standing of each face.
    standings: Box<[CheckId]>,
    state: PoolState,
    /// The answers in which each member was given.
    answers: Box<[Arc<MemberAnswers>]>,
    /// Its entry among those that are due.
    due: Option<Moment>,
}

/// The pools in service.
#[derive(Debug, Default)]
pub(super) struct Pools {
    editions: BTreeMap<PoolId, Edition>,
    /// The edition that new programs mean, by name.
    current: BTreeMap<Box<str>, PoolId>,
    /// The editions that look at a check.
    users: HashMap<CheckId, BTreeSet<PoolId>>,
    due: BTreeSet<(Moment, PoolId)>,
    next: u32,
    /// What an earlier process knew of pools that there are none of yet; whether that is too old to be believed.
    remembered: BTreeMap<Box<str>, PoolMemory>,
    is_old: bool,
}

/// The pools of a load that is on trial.
#[derive(Debug, Default)]
pub(super) struct TrialPools {
    current: BTreeMap<Box<str>, PoolId>,
    /// The editions that it brings, their checks held.
    added: BTreeMap<PoolId, Edition>,
    /// The next number, were they adopted.
    next: u32,
}

/// A check of a load that takes over from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Succession {
    pub(super) old: Option<CheckId>,
    pub(super) new: CheckId,
}

/// A standing that counts as something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stands {
    pub(super) standing: CheckId,
    pub(super) status: Status,
}

impl TrialPools {
    /// Takes hold of the checks of `pools`, as far as `serving` does not mean the same by their names; `workers` count answers.
    pub(super) fn begin(
        pools: &target::Pools,
        (serving, workers): (&Pools, usize),
        checks: &mut Checks,
        now: Moment,
    ) -> (Self, Vec<Succession>) {
        let mut trial = Self { next: serving.next, ..Self::default() };
        let mut successions = Vec::new();
        for pool in pools.iter() {
            let before = serving.current.get(&pool.name).and_then(|id| Some((*id, serving.editions.get(id)?)));
            if let Some((id, _)) = before.filter(|(_, edition)| edition.pool == *pool) {
                trial.current.insert(pool.name.clone(), id);
                continue;
            }
            let mut held = Vec::new();
            for (member, face) in pool.faces() {
                let name = &pool.members[member].name;
                let old = before.and_then(|(_, edition)| edition.check_of(name, face));
                let new = checks.acquire(&face.check, old, now);
                successions.push(Succession { old: old.filter(|&old| old != new), new });
                held.push(new);
            }
            let standings = held.iter().map(|_| checks.reserve()).collect();
            let counted = |member: &target::PoolMember| before.and_then(|(_, edition)| edition.answers_of(&member.name)).cloned();
            let answers = pool.members.iter().map(|member| counted(member).unwrap_or_else(|| MemberAnswers::new(workers).into()));
            let edition = Edition {
                pool: Arc::clone(pool),
                checks: held.into(),
                standings,
                state: PoolState::default(),
                answers: answers.collect(),
                due: None,
            };
            let id = PoolId(trial.next);
            trial.next += 1;
            trial.current.insert(pool.name.clone(), id);
            trial.added.insert(id, edition);
        }
        (trial, successions)
    }

    /// The number of a standing, as the load means it.
    pub(super) fn standing(&self, serving: &Pools, of: &Standing) -> Option<CheckId> {
        self.edition(serving, &of.pool)?.standings.get(usize::from(of.face)).copied()
    }

    /// Where the answers are counted in which a member is given, likewise.
    pub(super) fn answers(&self, serving: &Pools, of: &Membership) -> Option<Arc<MemberAnswers>> {
        self.edition(serving, &of.pool)?.answers.get(usize::from(of.member)).cloned()
    }

    fn edition<'e>(&'e self, serving: &'e Pools, name: &str) -> Option<&'e Edition> {
        let id = self.current.get(name)?;
        self.added.get(id).or_else(|| serving.editions.get(id))
    }

    /// The checks that it holds.
    pub(super) fn checks(&self) -> impl Iterator<Item = CheckId> {
        self.added.values().flat_map(|edition| edition.checks.iter().copied())
    }

    /// Lets go of them.
    pub(super) fn abandon(&self, checks: &mut Checks) {
        self.added.values().for_each(|edition| edition.release(checks));
    }
}

impl Edition {
    /// The check of the member's address here, or of another of the member's.
    fn check_of(&self, member: &str, face: &target::Face) -> Option<CheckId> {
        let same = |(at, known): (usize, &target::Face)| {
            *self.pool.members[at].name == *member && known.check.spec.same_target(&face.check.spec)
        };
        self.pool.faces().position(same).and_then(|at| self.checks.get(at).copied())
    }

    /// Where the answers are counted in which the member of that name is given: the same for as long as the pool has it.
    fn answers_of(&self, member: &str) -> Option<&Arc<MemberAnswers>> {
        let mut members = self.pool.members.iter().zip(&self.answers);
        members.find(|(known, _)| *known.name == *member).map(|(_, answers)| answers)
    }

    fn release(&self, checks: &mut Checks) {
        for ((_, face), &id) in self.pool.faces().zip(&self.checks) {
            checks.release(id, &face.check);
        }
    }

    /// What is believed of each face: what counts of its check, under what is said of its member and site.
    fn believed(&self, table: &StatusTable, words: &Overrides) -> Vec<Status> {
        let believed = self.pool.faces().zip(&self.checks).map(|((at, _), &id)| (at, table.get(id)));
        if words.is_empty() {
            return believed.map(|(_, status)| status).collect();
        }
        let subjects: Vec<_> = self.pool.members.iter().map(|member| subjects(&self.pool, member)).collect();
        believed.map(|(at, status)| words.over(&subjects[at], status)).collect()
    }

    /// What each standing counts as under `words`.
    fn judge(&self, state: &mut PoolState, table: &StatusTable, words: &Overrides, now: Moment) -> Vec<Stands> {
        let frozen = Subject::pool(&self.pool.name).is_some_and(|subject| words.get(subject).is_some());
        self.judge_as(state, (table, words), frozen, now)
    }

    fn judge_as(
        &self,
        state: &mut PoolState,
        (table, words): (&StatusTable, &Overrides),
        frozen: bool,
        now: Moment,
    ) -> Vec<Stands> {
        let believed = self.believed(table, words);
        let judged = state.judge(&self.pool, &believed, frozen, now);
        self.standings.iter().zip(judged).map(|(&standing, status)| Stands { standing, status }).collect()
    }
}

/// What operators may speak of to mean a member of the pool: the member, and its site.
fn subjects(pool: &Pool, member: &target::PoolMember) -> [Option<Subject>; 2] {
    [Subject::member(&pool.name, &member.name), member.site.as_deref().and_then(Subject::site)]
}

impl Pools {
    /// Has the pools of the first load begin with what an earlier process knew; `is_old`: too long ago to be believed.
    pub(super) fn remember(&mut self, remembered: BTreeMap<Box<str>, PoolMemory>, is_old: bool) {
        (self.remembered, self.is_old) = (remembered, is_old);
    }

    /// Puts what was on trial in service. Nothing is judged yet. Gives the names of which there is no pool any more.
    pub(super) fn adopt(&mut self, trial: TrialPools) -> Vec<Box<str>> {
        let TrialPools { current, added, next } = trial;
        let remembered = std::mem::take(&mut self.remembered);
        for (id, mut edition) in added {
            let before = self.current.get(&edition.pool.name).and_then(|id| self.editions.get(id));
            if let Some(before) = before {
                edition.state = PoolState::inherited(&edition.pool, &before.pool, &before.state);
            } else if let Some(memory) = remembered.get(&edition.pool.name) {
                edition.state = PoolState::restored(&edition.pool, memory, self.is_old);
            }
            for &check in &edition.checks {
                self.users.entry(check).or_default().insert(id);
            }
            self.editions.insert(id, edition);
        }
        let before = self.current.keys().chain(remembered.keys());
        let gone = before.filter(|&name| !current.contains_key(name)).cloned().collect();
        (self.current, self.next) = (current, next);
        gone
    }

    /// What the next process is to remember of a pool that new programs mean, and its name, if it is another than before.
    pub(super) fn take_memory(&mut self, id: PoolId) -> Option<(Box<str>, PoolMemory)> {
        let edition = self.editions.get_mut(&id)?;
        let name = edition.pool.name.clone();
        if self.current.get(&name) != Some(&id) {
            return None;
        }
        Some((name, edition.state.take_memory(&edition.pool)?))
    }

    /// Lets go of the editions that no new program means and, as `is_used` says of their standings, no old one either. Gives
    /// what they probed.
    pub(super) fn retire(&mut self, checks: &mut Checks, is_used: impl Fn(CheckId) -> bool) -> Vec<Arc<Pool>> {
        let current: BTreeSet<PoolId> = self.current.values().copied().collect();
        let is_old = |(id, edition): &(&PoolId, &Edition)| {
            !current.contains(id) && !edition.standings.iter().any(|&standing| is_used(standing))
        };
        let old: Vec<PoolId> = self.editions.iter().filter(is_old).map(|(&id, _)| id).collect();
        let mut gone = Vec::new();
        for edition in old.iter().filter_map(|id| Some((*id, self.editions.remove(id)?))) {
            let (id, edition) = edition;
            self.due.retain(|&(_, due)| due != id);
            for check in &edition.checks {
                if let Some(users) = self.users.get_mut(check) {
                    users.remove(&id);
                    if users.is_empty() {
                        self.users.remove(check);
                    }
                }
            }
            edition.release(checks);
            gone.push(edition.pool);
        }
        gone
    }

    /// Every edition.
    pub(super) fn ids(&self) -> impl Iterator<Item = PoolId> {
        self.editions.keys().copied()
    }

    /// Those that look at a check.
    pub(super) fn using(&self, check: CheckId) -> Vec<PoolId> {
        self.users.get(&check).into_iter().flatten().copied().collect()
    }

    /// Whether a pool looks at it.
    pub(super) fn holds(&self, check: CheckId) -> bool {
        self.users.contains_key(&check)
    }

    /// Those that `subject` is about, or a member of which it is about; not what is said of checks.
    pub(super) fn covered_by(&self, subject: Subject) -> Vec<PoolId> {
        let is_about = |edition: &Edition| {
            let pool = &edition.pool;
            let about = |member: &target::PoolMember| {
                [Subject::member(&pool.name, &member.name), member.site.as_deref().and_then(Subject::site)]
                    .contains(&Some(subject))
            };
            Subject::pool(&pool.name) == Some(subject) || pool.members.iter().any(about)
        };
        self.editions.iter().filter(|(_, edition)| is_about(edition)).map(|(&id, _)| id).collect()
    }

    /// What the standings of a pool count as now.
    pub(super) fn judge(&mut self, id: PoolId, table: &StatusTable, words: &Overrides, now: Moment) -> Vec<Stands> {
        let Some(edition) = self.editions.get_mut(&id) else { return Vec::new() };
        let mut state = std::mem::take(&mut edition.state);
        let judged = edition.judge(&mut state, table, words, now);
        let due = state.next_timeout();
        if let Some(before) = edition.due {
            self.due.remove(&(before, id));
        }
        self.due.extend(due.map(|due| (due, id)));
        (edition.state, edition.due) = (state, due);
        judged
    }

    /// What they count as in a zone that is frozen, by what is remembered there.
    pub(super) fn judge_held(
        &self,
        id: PoolId,
        state: &mut PoolState,
        believed: (&StatusTable, &Overrides),
        now: Moment,
    ) -> Vec<Stands> {
        self.editions.get(&id).map(|edition| edition.judge_as(state, believed, true, now)).unwrap_or_default()
    }

    /// Every edition, and what is remembered of it.
    pub(super) fn states(&self) -> impl Iterator<Item = (PoolId, &Arc<Pool>, &PoolState)> {
        self.editions.iter().map(|(&id, edition)| (id, &edition.pool, &edition.state))
    }

    /// The pool of an edition.
    pub(super) fn pool(&self, id: PoolId) -> Option<&Arc<Pool>> {
        self.editions.get(&id).map(|edition| &edition.pool)
    }

    /// What they would count as; `back`: if nobody waited any longer.
    pub(super) fn foresee(&self, id: PoolId, (table, words): (&StatusTable, &Overrides), back: bool, now: Moment) -> Vec<Stands> {
        let Some(edition) = self.editions.get(&id) else { return Vec::new() };
        let mut state = edition.state.clone();
        if back {
            state.fail_back();
        }
        edition.judge(&mut state, table, words, now)
    }

    /// A pool whose standings count as something else because time has passed.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<PoolId> {
        let &(at, id) = self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, id));
        if let Some(edition) = self.editions.get_mut(&id) {
            edition.due = None;
        }
        Some(id)
    }

    /// When the next one is due.
    pub(super) fn next_timeout(&self) -> Option<Moment> {
        self.due.first().map(|&(at, _)| at)
    }

    /// The pool that `subject` is, if somebody waits in it to come back.
    pub(super) fn waiting(&self, subject: Subject) -> Option<PoolId> {
        let Subject::Pool(name) = subject else { return None };
        let id = *self.current.get(name.as_str())?;
        let edition = self.editions.get(&id)?;
        (0..edition.standings.len()).any(|face| edition.state.is_waiting(face)).then_some(id)
    }

    /// Has those come back who wait in it.
    pub(super) fn fail_back(&mut self, subject: Subject) -> Option<PoolId> {
        let id = self.waiting(subject)?;
        self.editions.get_mut(&id)?.state.fail_back();
        Some(id)
    }

    /// Every pool that new programs mean, with what is known of it.
    pub(super) fn views(&self) -> impl Iterator<Item = PoolView> {
        let editions = self.current.values().filter_map(|id| self.editions.get(id));
        editions.map(|edition| {
            let waiting = (0..edition.standings.len()).map(|at| edition.state.is_waiting(at)).collect();
            let answers = edition.answers.iter().map(|answers| answers.sum()).collect();
            PoolView { pool: Arc::clone(&edition.pool), standings: edition.standings.clone(), waiting, answers }
        })
    }
}

/// What is known of a pool.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// What it is.
    pub pool: Arc<Pool>,
    /// The number of the standing of each face, in the status table.
    pub standings: Box<[CheckId]>,
    /// Whether each face waits to come back.
    pub waiting: Box<[bool]>,
    /// In how many answers each member was given.
    pub answers: Box<[u64]>,
}
