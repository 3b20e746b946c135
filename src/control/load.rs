//! A start or a reload: zones and programs compiled elsewhere, on trial until their checks have first results.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::answers::{AnswerSet, Generation, Options, Prepared, Tally};
use crate::geo::Places;
use crate::health::{self, Checks, FileWord, Moment};
use crate::target::{CheckId, CheckRequest, CheckSpec, StatusTable, Value};
use crate::wire::Name;
use crate::zone::{ProgramId, Zone};

use super::pools::{Pools, TrialPools};

/// The number of a load, given by whoever compiled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoadId(pub u64);

/// Zones that are to be served, compiled and checked.
#[derive(Debug)]
pub struct Load {
    /// Its number, which comes back with the [`Outcome`].
    pub id: LoadId,
    /// What it is for.
    pub kind: LoadKind,
    /// The zones that change. Others stay as they are.
    pub zones: Vec<ZoneLoad>,
    /// The zones that go.
    pub removed: Vec<Name>,
    /// `[health]`, which takes effect with the load.
    pub health: health::Config,
    /// Where addresses are, likewise.
    pub places: Arc<Places>,
    /// What the configuration says about answering, likewise.
    pub options: Arc<Options>,
    /// The least time from one publish to the next, likewise.
    pub publish_interval: Duration,
    /// What the overrides file says now; `None`: what it said before.
    pub words: Option<FileWords>,
}

/// What the overrides file says.
#[derive(Clone, Debug)]
pub struct FileWords {
    /// Its words.
    pub words: Arc<[FileWord]>,
    /// The time on the wall clock, in milliseconds since 1970: their ends are told by that.
    pub wall: u64,
}

/// Why the words of the overrides file are refused, all of them, while what it said before stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordFault {
    /// The word that it is about.
    pub word: FileWord,
    /// Programs that would be left without a target; none: nothing is there that the word is about.
    pub bare: Vec<ProgramId>,
}

/// What a load is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadKind {
    /// The first one: whatever it brings is served.
    Start,
    /// A change while serving; refused where it would take down what is up, unless that is accepted.
    Reload {
        /// `check_regression` was accepted by name.
        accept_regression: bool,
    },
    /// A rehearsal: judged like a reload, never adopted.
    DryRun,
}

/// One zone of a [`Load`].
#[derive(Debug)]
pub enum ZoneLoad {
    /// A new version.
    Data {
        /// The data.
        zone: Zone,
        /// Whether it is the last-good copy.
        stale: bool,
        /// Programs that the zone did not have before.
        added: Vec<NewProgram>,
        /// Programs that it no longer has.
        dropped: Vec<ProgramId>,
        /// Whether it is to be kept as the zone's last-good copy once it is served.
        keep: bool,
    },
    /// Nothing usable, and nothing kept: the apex.
    Failed(Name),
}

/// A program that a zone did not have before.
#[derive(Debug)]
pub struct NewProgram {
    /// Its slot.
    pub id: ProgramId,
    /// The program.
    pub prepared: Arc<Prepared>,
    /// The programs that stood at the same name and type before: their checks on the same addresses hand on their
    /// verdicts.
    pub replaces: Vec<ProgramId>,
}

/// What became of a load.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is served, as of this generation.
    Adopted(Generation),
    /// It would be adopted.
    Rehearsed(Generation),
    /// It is refused whole: these targets are up, and would be down.
    Refused(Generation, Arc<[Regression]>),
}

/// A target that is up and that a changed check would take down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regression {
    /// The check that is up.
    pub before: String,
    /// The check that would replace it.
    pub after: String,
    /// How that one fails.
    pub failure: String,
}

/// A program in service, or on trial: its checks are held.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) prepared: Arc<Prepared>,
    /// The program's checks, and then its standings.
    pub(super) checks: Arc<[CheckId]>,
    /// Where its answers are counted by whom of a pool they give.
    pub(super) tally: Tally,
}

impl Bound {
    /// What it answers under `statuses`.
    pub(super) fn settle(&self, statuses: &StatusTable, places: &Places) -> AnswerSet {
        AnswerSet::settle(&self.prepared, (&self.checks, &self.tally), statuses, places)
    }

    fn requests(&self) -> &[CheckRequest] {
        self.prepared.program().map_or(&[], |program| program.checks())
    }

    /// What it probes.
    pub(super) fn specs(&self) -> impl Iterator<Item = &CheckSpec> {
        self.requests().iter().map(|request| &*request.spec)
    }

    pub(super) fn release(&self, checks: &mut Checks) {
        for (&id, request) in self.checks.iter().zip(self.requests()) {
            checks.release(id, request);
        }
    }
}

/// The programs in service, by their numbers, which are dense.
#[derive(Debug, Default)]
pub(super) struct Programs(Vec<Option<Bound>>);

impl Programs {
    pub(super) fn get(&self, id: ProgramId) -> Option<&Bound> {
        self.0.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn insert(&mut self, id: ProgramId, bound: Bound) {
        let at = id.0 as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(bound);
    }

    pub(super) fn remove(&mut self, id: ProgramId) -> Option<Bound> {
        self.0.get_mut(id.0 as usize)?.take()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ProgramId> {
        (0..).zip(&self.0).filter(|(_, bound)| bound.is_some()).map(|(id, _)| ProgramId(id))
    }
}

/// A load whose new checks are being measured while the old state serves.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) load: Load,
    /// The load's pools.
    pub(super) pools: TrialPools,
    /// The load's new programs, their checks held.
    pub(super) bound: BTreeMap<ProgramId, Bound>,
    /// Checks of the load that took over from another on the same target, each once however many programs use it.
    pub(super) heirs: BTreeSet<Heir>,
    /// Checks without a finished probe.
    waiting: BTreeSet<CheckId>,
    pub(super) deadline: Moment,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Heir {
    pub(super) old: CheckId,
    pub(super) new: CheckId,
}

impl Trial {
    /// Takes hold of the load's checks; `serving` are the programs in service, and the pools; `workers` count answers.
    pub(super) fn begin(
        load: Load,
        (serving, pools, workers): (&Programs, &Pools, usize),
        checks: &mut Checks,
        now: Moment,
    ) -> Self {
        let deadline = now + load.health.startup_wait;
        let (added_pools, successions) = TrialPools::begin(&load.options.checks.pools, (pools, workers), checks, now);
        let heirs = successions.iter().filter_map(|of| Some(Heir { old: of.old?, new: of.new })).collect();
        let waiting = successions.iter().map(|of| of.new).filter(|&new| !checks.is_settled(new)).collect();
        let mut trial = Self { load, pools: added_pools, bound: BTreeMap::new(), heirs, waiting, deadline };
        let added = trial.load.zones.iter().flat_map(|zone| match zone {
            ZoneLoad::Data { added, .. } => &added[..],
            ZoneLoad::Failed(_) => &[],
        });
        for program in added {
            let before: Vec<&Bound> = program.replaces.iter().filter_map(|&id| serving.get(id)).collect();
            let requests = program.prepared.program().map_or(&[][..], |program| program.checks());
            let ids = requests.iter().map(|request| {
                let old = predecessor(&before, request);
                let new = checks.acquire(request, old, now);
                trial.heirs.extend(old.filter(|&old| old != new).map(|old| Heir { old, new }));
                if !checks.is_settled(new) {
                    trial.waiting.insert(new);
                }
                new
            });
            let mut ids: Vec<CheckId> = ids.collect();
            let standings = program.prepared.program().map_or(&[][..], |program| program.standings());
            // Each is known: the program was compiled for the pools that come with it.
            ids.extend(standings.iter().filter_map(|of| trial.pools.standing(pools, of)));
            let givers = program.prepared.program().map_or(&[][..], |program| program.givers());
            let tally = Tally::new(givers.iter().map(|of| trial.pools.answers(pools, of.as_ref()?)));
            let bound = Bound { prepared: Arc::clone(&program.prepared), checks: ids.into(), tally };
            trial.bound.insert(program.id, bound);
        }
        trial
    }

    /// Whether the first results are in (at a start also what peers see), or have been waited for long enough. Looks at no check twice that has its
    /// result, so that asking after every probe costs nothing however many there are.
    pub(super) fn is_over(&mut self, checks: &Checks, now: Moment) -> bool {
        while self.waiting.first().is_some_and(|&id| checks.is_settled(id)) {
            self.waiting.pop_first();
        }
        let joined = self.load.kind != LoadKind::Start || checks.has_joined();
        (self.waiting.is_empty() && joined) || now >= self.deadline
    }

    /// How many checks still have no result.
    pub(super) fn unknown(&self, checks: &Checks) -> usize {
        self.waiting.iter().filter(|&&id| !checks.is_settled(id)).count()
    }

    /// The targets that would go down, where a changed definition fails for more than half of those that were up
    /// (DESIGN 6.7). Targets whose old check has gone down in the meantime do not count: they are dead anyway.
    pub(super) fn regressions(&self, checks: &Checks) -> Vec<Regression> {
        let mut by_definition: BTreeMap<String, (usize, Vec<Regression>)> = BTreeMap::new();
        for heir in &self.heirs {
            let (Some(old), Some(new)) = (checks.view(heir.old), checks.view(heir.new)) else { continue };
            if old.status.value != Value::Up {
                continue;
            }
            let (up, failing) = by_definition.entry(new.spec.definition()).or_default();
            *up += 1;
            if new.status.value == Value::Down {
                let failure = new.last.map_or_else(|| "down".to_owned(), |last| last.outcome.to_string());
                failing.push(Regression { before: old.spec.to_string(), after: new.spec.to_string(), failure });
            }
        }
        by_definition.into_values().filter(|(up, failing)| 2 * failing.len() > *up).flat_map(|(_, failing)| failing).collect()
    }

    /// Lets go of the load's checks.
    pub(super) fn abandon(self, checks: &mut Checks) -> Load {
        for bound in self.bound.values() {
            bound.release(checks);
        }
        self.pools.abandon(checks);
        self.load
    }

    /// The load's checks.
    pub(super) fn checks(&self) -> impl Iterator<Item = CheckId> {
        let asked = |bound: &'_ Bound| bound.requests().len();
        self.bound.values().flat_map(move |bound| bound.checks.iter().copied().take(asked(bound))).chain(self.pools.checks())
    }
}

/// The check of a replaced program whose verdict `request` takes over: of the same target, rather on the same port. None
/// where the same probe was there before: it is its own successor.
fn predecessor(before: &[&Bound], request: &CheckRequest) -> Option<CheckId> {
    if before.iter().flat_map(|bound| bound.requests()).any(|old| old.spec == request.spec) {
        return None;
    }
    let all = || before.iter().flat_map(|bound| bound.checks.iter().zip(bound.requests()));
    let same_target = |(_, old): &(&CheckId, &CheckRequest)| old.spec.same_target(&request.spec);
    let same_port = |(_, old): &(&CheckId, &CheckRequest)| old.spec.port == request.spec.port;
    all().filter(same_target).find(same_port).or_else(|| all().find(same_target)).map(|(&id, _)| id)
}
