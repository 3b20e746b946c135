//! The one writer.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::answers::{
    AnswerSet, Generation, Notices, Options, QueryCounters, RateLimiter, Resolved, Snapshot, ZoneEntry, ZoneState, ZoneTable,
};
use crate::geo::Places;
use crate::health::{self, Change, CheckView, Checks, Finished, Moment, RunId};
use crate::target::{self, CheckId, CheckRequest, CheckSpec, ChunkTable, StatusTable, Value};
use crate::wire::{Name, Serial};
use crate::zone::{ProgramId, Zone};

use super::ad_hoc::{AdHoc, Granted};
use super::journal::{Entry, Happening, Journal};
use super::load::{Bound, Load, LoadId, LoadKind, Outcome, Trial, ZoneLoad};

/// What the engine is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[health]`; later loads bring their own.
    pub health: health::Config,
    /// What the configuration says about answering; later loads bring their own.
    pub options: Arc<Options>,
    /// The least time from one publish to the next, likewise. The first change after a pause is published at once.
    pub publish_interval: Duration,
    /// Threads that count queries.
    pub workers: usize,
}

/// Everything that can happen to the engine.
#[derive(Debug)]
pub enum Event {
    /// Zones were read and compiled.
    Loaded(Box<Load>),
    /// A probe finished.
    Probed {
        /// Which run.
        run: RunId,
        /// What it found.
        result: Finished,
    },
    /// A program consulted a check that there is not.
    Wanted(Box<CheckRequest>),
    /// Files were read that have so many errors; what has errors keeps its old state.
    Rejected(usize),
    /// The DNS ports are bound, at these addresses: [`Effect::Open`] is done.
    Opened(Vec<SocketAddr>),
}

/// Everything that the engine wants done.
#[derive(Debug)]
pub enum Effect {
    /// Run a probe; report it as [`Event::Probed`].
    Probe {
        /// Which run.
        run: RunId,
        /// What to do.
        spec: Arc<CheckSpec>,
    },
    /// Make this the snapshot that queries read.
    Publish {
        /// The snapshot.
        snapshot: Arc<Snapshot>,
        /// For each target that it takes out: the start of the first probe that saw it down.
        first_signs: Vec<Moment>,
    },
    /// Bind the DNS ports and answer; then [`Event::Opened`].
    Open,
    /// Keep this version as its zone's last-good copy.
    Keep(Zone),
    /// A load was decided.
    Decided {
        /// Which.
        load: LoadId,
        /// How.
        outcome: Outcome,
        /// What was not adopted, for someone else than the engine to free.
        leftover: Option<Box<Load>>,
    },
    /// Something happened that an operator may want to know.
    Log(Arc<Entry>),
}

/// The state of the node, for `status`.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The generation that is published.
    pub generation: Generation,
    /// How many snapshots have been published.
    pub publishes: u64,
    /// Whether the start gate is open and queries are answered.
    pub serving: bool,
    /// Where.
    pub addresses: Vec<SocketAddr>,
    /// Whether a load is on trial.
    pub loading: bool,
    /// The zones.
    pub zones: Vec<ZoneView>,
}

/// The state of one zone.
#[derive(Clone, Debug)]
pub struct ZoneView {
    /// Its apex.
    pub apex: Name,
    /// Its serial; `None`: it could not be loaded.
    pub serial: Option<Serial>,
    /// Whether its last-good copy is served.
    pub stale: bool,
    /// How many different record programs it has.
    pub programs: usize,
    /// How many of them could not be compiled and answer SERVFAIL.
    pub broken: usize,
}

/// The one writer: every check, zone and answer set of the node.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    random: fastrand::Rng,
    checks: Checks,
    statuses: StatusTable,
    places: Arc<Places>,
    sets: ChunkTable<Option<Arc<AnswerSet>>>,
    zones: BTreeMap<Name, ZoneEntry>,
    table: Arc<ZoneTable>,
    /// The programs in service.
    programs: HashMap<ProgramId, Bound>,
    /// Which of them consult a check.
    users: HashMap<CheckId, BTreeSet<ProgramId>>,
    ad_hoc: AdHoc,
    trial: Option<Trial>,
    gate: Gate,
    notices: Notices,
    resolved: Resolved,
    unserved: Arc<QueryCounters>,
    limiter: Option<Arc<RateLimiter>>,
    publication: Publication,
    journal: Journal,
    effects: VecDeque<Effect>,
}

/// The start gate.
#[derive(Debug)]
enum Gate {
    /// Nothing has been adopted.
    Closed,
    /// The ports are being bound; so many checks have no result, and so many targets are down.
    Opening { unknown: usize, down: usize },
    /// Queries are answered at these addresses.
    Open(Vec<SocketAddr>),
}

/// What the next snapshot will bring, and when it may be published.
#[derive(Debug)]
struct Publication {
    generation: Generation,
    publishes: u64,
    not_before: Moment,
    /// Programs whose answer sets must be settled again.
    dirty: BTreeSet<ProgramId>,
    /// Whether ad hoc checks, or what is believed of them, have changed: programs look at them when they are asked.
    ad_hoc: bool,
    first_signs: Vec<Moment>,
}

impl Publication {
    /// Whether there is anything to publish.
    fn is_wanted(&self) -> bool {
        self.ad_hoc || !self.dirty.is_empty()
    }
}

impl Engine {
    /// An engine that serves nothing yet.
    #[must_use]
    pub fn new(config: Config, random: fastrand::Rng, now: Moment) -> Self {
        let publication = Publication {
            generation: Generation(0),
            publishes: 0,
            not_before: now,
            dirty: BTreeSet::new(),
            ad_hoc: false,
            first_signs: Vec::new(),
        };
        Self {
            random,
            checks: Checks::new(config.health.hold),
            statuses: StatusTable::new(),
            places: Arc::new(Places::empty()),
            sets: ChunkTable::new(None),
            zones: BTreeMap::new(),
            table: Arc::new(ZoneTable::new([])),
            programs: HashMap::new(),
            users: HashMap::new(),
            ad_hoc: AdHoc::new(now),
            trial: None,
            gate: Gate::Closed,
            notices: Notices::default(),
            resolved: Resolved::default(),
            unserved: Arc::new(QueryCounters::new(config.workers)),
            limiter: config.options.limiter(None),
            publication,
            journal: Journal::default(),
            effects: VecDeque::new(),
            config,
        }
    }

    /// The same engine; what it publishes sends its notices to `notices` and looks in `resolved`.
    #[must_use]
    pub fn with(self, notices: Notices, resolved: Resolved) -> Self {
        Self { notices, resolved, ..self }
    }

    /// Takes in an event. Loads come one at a time: the next only after [`Effect::Decided`].
    pub fn handle(&mut self, event: Event, now: Moment) {
        match event {
            Event::Loaded(load) => self.begin_trial(*load, now),
            Event::Probed { run, result } => {
                let outcome = result.outcome.clone();
                let changes = self.checks.result(run, result, &mut self.random, now);
                self.take_in(&changes, Some(&outcome), now);
            }
            Event::Wanted(request) => self.want(*request, now),
            Event::Rejected(errors) => self.log(Happening::Rejected { errors }, now),
            Event::Opened(addresses) => self.opened(addresses, now),
        }
        self.handle_timeout(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        let forgotten = self.checks.expire(now);
        self.take_in(&forgotten, None, now);
        self.publication.ad_hoc |= self.ad_hoc.sweep(&mut self.checks, now);
        if self.trial.as_mut().is_some_and(|trial| trial.is_over(&self.checks, now))
            && let Some(trial) = self.trial.take()
        {
            self.decide(trial, now);
        }
        self.publish_changes(now);
        for due in self.checks.start_due(now) {
            self.effects.push_back(Effect::Probe { run: due.run, spec: due.spec });
        }
    }

    /// When [`Engine::handle_timeout`] next has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Moment> {
        let trial = self.trial.as_ref().map(|trial| trial.deadline);
        let publish = self.publication.is_wanted().then_some(self.publication.not_before);
        [self.checks.next_timeout(), self.ad_hoc.next_timeout(), trial, publish].into_iter().flatten().min()
    }

    /// The next thing to be done.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The state of the node.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let zones = self.zones.iter().map(|(apex, entry)| self.zone_view(apex, entry)).collect();
        let Publication { generation, publishes, .. } = self.publication;
        let (serving, addresses) = match &self.gate {
            Gate::Closed | Gate::Opening { .. } => (false, Vec::new()),
            Gate::Open(addresses) => (true, addresses.clone()),
        };
        Overview { generation, publishes, serving, addresses, loading: self.trial.is_some(), zones }
    }

    /// Every check.
    pub fn checks(&self) -> impl Iterator<Item = CheckView> {
        self.checks.views()
    }

    /// The last happenings, oldest first.
    pub fn happenings(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.journal.entries()
    }

    // -------- probe results → statuses → answer sets

    fn take_in(&mut self, changes: &[Change], cause: Option<&target::Outcome>, now: Moment) {
        for change in changes {
            self.statuses.set(change.check, change.to);
            let (users, ad_hoc) = (self.users.get(&change.check), self.ad_hoc.holds(change.check));
            // A check that is only on trial is nobody's news yet.
            if !change.concerns_answers() || (users.is_none() && !ad_hoc) {
                continue;
            }
            self.publication.dirty.extend(users.into_iter().flatten());
            self.publication.ad_hoc |= ad_hoc;
            if !change.is_transition() {
                continue;
            }
            if change.to.value == Value::Down {
                self.publication.first_signs.push(change.first_sign);
            }
            if let Some(view) = self.checks.view(change.check) {
                let (key, spec, cause) = (view.key, view.spec, cause.cloned());
                self.log(Happening::Transition { key, spec, from: change.from, to: change.to, cause }, now);
            }
        }
    }

    fn want(&mut self, request: CheckRequest, now: Moment) {
        match self.ad_hoc.want(request, &mut self.checks, now) {
            Granted::New(id) => {
                self.statuses.set(id, self.checks.status(id));
                self.publication.ad_hoc = true;
            }
            Granted::Refused { first: true } => self.log(Happening::CheckRefused { kept: self.ad_hoc.published().len() }, now),
            Granted::Known | Granted::Refused { first: false } => {}
        }
    }

    /// Publishes what has changed, at once after a pause and at most once per interval otherwise.
    fn publish_changes(&mut self, now: Moment) {
        if !self.publication.is_wanted() || now < self.publication.not_before {
            return;
        }
        self.settle_dirty();
        self.publish(now);
    }

    fn settle_dirty(&mut self) {
        for id in std::mem::take(&mut self.publication.dirty) {
            let set = self
                .programs
                .get(&id)
                .map(|bound| AnswerSet::settle(&bound.prepared, &bound.checks, &self.statuses, &self.places));
            self.sets.set(id.0, set.map(Arc::new));
        }
    }

    fn publish(&mut self, now: Moment) {
        let publication = &mut self.publication;
        publication.generation = publication.generation.next();
        publication.publishes += 1;
        publication.not_before = now + self.config.publish_interval;
        publication.ad_hoc = false;
        let snapshot = Snapshot {
            generation: publication.generation,
            zones: Arc::clone(&self.table),
            sets: self.sets.clone(),
            statuses: self.statuses.clone(),
            ad_hoc: self.ad_hoc.published().clone(),
            resolved: self.resolved.clone(),
            places: Arc::clone(&self.places),
            options: Arc::clone(&self.config.options),
            limiter: self.limiter.clone(),
            unserved: Arc::clone(&self.unserved),
            notices: self.notices.clone(),
        };
        let first_signs = std::mem::take(&mut publication.first_signs);
        self.effects.push_back(Effect::Publish { snapshot: Arc::new(snapshot), first_signs });
    }

    // -------- loads

    fn begin_trial(&mut self, load: Load, now: Moment) {
        if let Some(abandoned) = self.trial.take() {
            // The shell hands in one load at a time; should it not, the newer one is what the operator wants.
            let load = abandoned.abandon(&mut self.checks);
            let outcome = Outcome::Refused(self.publication.generation, Arc::new([]));
            self.effects.push_back(Effect::Decided { load: load.id, outcome, leftover: Some(Box::new(load)) });
        }
        self.trial = Some(Trial::begin(load, &self.programs, &mut self.checks, now));
    }

    fn decide(&mut self, trial: Trial, now: Moment) {
        let generation = self.publication.generation;
        let (id, kind) = (trial.load.id, trial.load.kind);
        let regressions: Arc<[_]> = match kind {
            LoadKind::Start | LoadKind::Reload { accept_regression: true } => Arc::new([]),
            LoadKind::Reload { accept_regression: false } | LoadKind::DryRun => trial.regressions(&self.checks).into(),
        };
        let mut leftover = None;
        let outcome = if !regressions.is_empty() {
            leftover = Some(Box::new(trial.abandon(&mut self.checks)));
            if kind != LoadKind::DryRun {
                self.log(Happening::Refused { regressions: Arc::clone(&regressions) }, now);
            }
            Outcome::Refused(generation, regressions)
        } else if kind == LoadKind::DryRun {
            leftover = Some(Box::new(trial.abandon(&mut self.checks)));
            Outcome::Rehearsed(generation)
        } else {
            self.adopt(trial, now);
            Outcome::Adopted(self.publication.generation)
        };
        self.effects.push_back(Effect::Decided { load: id, outcome, leftover });
    }

    fn adopt(&mut self, trial: Trial, now: Moment) {
        trial.enter_statuses(&self.checks, &mut self.statuses);
        let unknown = trial.unknown(&self.checks);
        let Trial { load, bound, .. } = trial;
        self.config.health = load.health;
        self.limiter = load.options.limiter(self.limiter.as_ref());
        self.config.options = load.options;
        self.config.publish_interval = load.publish_interval;
        self.checks.set_hold(self.config.health.hold);
        let added: Vec<ProgramId> = bound.keys().copied().collect();
        for (id, bound) in bound {
            for &check in bound.checks.iter() {
                self.users.entry(check).or_default().insert(id);
            }
            self.programs.insert(id, bound);
        }
        let changed = load.zones.into_iter().map(|zone| self.adopt_zone(zone));
        let mut happened: Vec<Happening> = changed.collect();
        happened.extend(load.removed.into_iter().filter_map(|apex| self.remove_zone(apex)));
        self.table = Arc::new(ZoneTable::new(self.zones.values().cloned()));
        self.publication.dirty.extend(added);
        if !Arc::ptr_eq(&self.places, &load.places) {
            self.places = load.places;
            self.publication.dirty.extend(self.programs.keys());
        }
        self.settle_dirty();
        self.publish(now);
        if matches!(self.gate, Gate::Closed) {
            let down = self.checks.views().filter(|view| view.status.value == Value::Down).count();
            self.gate = Gate::Opening { unknown, down };
            self.effects.push_back(Effect::Open);
        }
        happened.into_iter().for_each(|what| self.log(what, now));
    }

    fn opened(&mut self, addresses: Vec<SocketAddr>, now: Moment) {
        if let Gate::Opening { unknown, down } = self.gate {
            self.log(Happening::Serving { unknown, down }, now);
        }
        self.gate = Gate::Open(addresses);
    }

    fn adopt_zone(&mut self, load: ZoneLoad) -> Happening {
        match load {
            ZoneLoad::Data { zone, stale, dropped, keep, .. } => {
                let (apex, serial) = (zone.apex().to_name(), zone.serial());
                for id in dropped {
                    self.drop_program(id);
                }
                if keep {
                    self.effects.push_back(Effect::Keep(zone.clone()));
                }
                self.enter_zone(&apex, ZoneState::Serving { zone, stale });
                Happening::ZoneAdopted { zone: apex, serial, stale }
            }
            ZoneLoad::Failed(apex) => {
                self.enter_zone(&apex, ZoneState::Failed(apex.clone()));
                Happening::ZoneFailed { zone: apex }
            }
        }
    }

    /// Puts a zone's state in place; its counters go on counting.
    fn enter_zone(&mut self, apex: &Name, state: ZoneState) {
        let counters = match self.zones.get(apex) {
            Some(entry) => Arc::clone(&entry.counters),
            None => Arc::new(QueryCounters::new(self.config.workers)),
        };
        self.zones.insert(apex.clone(), ZoneEntry { state, counters });
    }

    fn remove_zone(&mut self, apex: Name) -> Option<Happening> {
        let entry = self.zones.remove(&apex)?;
        if let ZoneState::Serving { zone, .. } = entry.state {
            let programs: BTreeSet<ProgramId> = zone.programs().collect();
            for id in programs {
                self.drop_program(id);
            }
        }
        Some(Happening::ZoneRemoved { zone: apex })
    }

    fn drop_program(&mut self, id: ProgramId) {
        let Some(bound) = self.programs.remove(&id) else { return };
        for check in bound.checks.iter() {
            if let Some(users) = self.users.get_mut(check) {
                users.remove(&id);
                if users.is_empty() {
                    self.users.remove(check);
                }
            }
        }
        bound.release(&mut self.checks);
        self.publication.dirty.remove(&id);
        self.sets.set(id.0, None);
    }

    fn zone_view(&self, apex: &Name, entry: &ZoneEntry) -> ZoneView {
        let ZoneState::Serving { zone, stale } = &entry.state else {
            return ZoneView { apex: apex.clone(), serial: None, stale: false, programs: 0, broken: 0 };
        };
        let programs: BTreeSet<ProgramId> = zone.programs().collect();
        let is_broken = |id: &&ProgramId| self.programs.get(id).is_some_and(|bound| bound.prepared.program().is_none());
        let broken = programs.iter().filter(is_broken).count();
        ZoneView { apex: apex.clone(), serial: Some(zone.serial()), stale: *stale, programs: programs.len(), broken }
    }

    fn log(&mut self, what: Happening, now: Moment) {
        let entry = self.journal.write(now, self.publication.generation, what);
        self.effects.push_back(Effect::Log(entry));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::answers::Prepared;
    use crate::control::NewProgram;
    use crate::program::{Defaults, Settings, compile};
    use crate::target::Outcome as Found;
    use crate::zone::{self, Zone};

    const CODE: &str = "ifportup(80, {'192.0.2.1'})";

    struct Text;

    impl zone::Source for Text {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(format!("@ 30 SOA n.x. h.x. 1 2 3 4 30\n NS n.x.\nw LUA A \"{CODE}\"\n").into_bytes())
        }
    }

    fn load(options: &Arc<Options>) -> Load {
        let apex: Name = "z".parse().unwrap();
        let contents = zone::load(&Text, Path::new("zone"), apex.as_ref()).contents.unwrap();
        let mut added = Vec::new();
        let zone = Zone::build(contents, &mut |record| {
            let settings = Settings { defaults: Defaults::default(), step_limit: 1000, shared: false };
            let program = compile(CODE, &settings).program;
            let prepared = Arc::new(Prepared::new(record.rtype, record.ttl, CODE.into(), program));
            added.push(NewProgram { id: ProgramId(0), prepared, replaces: Vec::new() });
            ProgramId(0)
        });
        Load {
            id: LoadId(1),
            kind: LoadKind::Start,
            zones: vec![ZoneLoad::Data { zone, stale: false, added, dropped: Vec::new(), keep: false }],
            removed: Vec::new(),
            health: health::Config::default(),
            places: Arc::new(crate::geo::Places::empty()),
            options: Arc::clone(options),
            publish_interval: Duration::ZERO,
        }
    }

    /// Runs what is due, each probe finding `outcome`: what was published and how many transitions were logged.
    fn settle(engine: &mut Engine, outcome: &Found, now: Moment) -> (usize, usize) {
        let (mut published, mut transitions) = (0, 0);
        engine.handle_timeout(now);
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Probe { run, .. } => {
                    let result = Finished { outcome: outcome.clone(), started: now, elapsed: Duration::ZERO };
                    engine.handle(Event::Probed { run, result }, now);
                }
                Effect::Publish { .. } => published += 1,
                Effect::Log(entry) if matches!(entry.what, Happening::Transition { .. }) => transitions += 1,
                Effect::Open | Effect::Keep(_) | Effect::Decided { .. } | Effect::Log(_) => {}
            }
        }
        (published, transitions)
    }

    #[test]
    fn another_weight_is_published_and_not_logged() {
        let at = |seconds| Moment::at(Duration::from_secs(seconds));
        let (health, options) = (health::Config::default(), Arc::new(Options::default()));
        let config = Config { health, options: Arc::clone(&options), publish_interval: Duration::ZERO, workers: 1 };
        let mut engine = Engine::new(config, fastrand::Rng::with_seed(1), at(0));
        engine.handle(Event::Loaded(Box::new(load(&options))), at(0));
        let weighs = |weight| Found::Pass { weight };
        settle(&mut engine, &weighs(3), at(0));
        assert_eq!(settle(&mut engine, &weighs(3), at(10)), (0, 0), "the same");
        assert_eq!(settle(&mut engine, &weighs(4), at(20)), (1, 0), "another");
        let refused = Found::Fail(target::Failure::Refused);
        assert_eq!(settle(&mut engine, &refused, at(30)), (1, 1), "down");
    }
}
