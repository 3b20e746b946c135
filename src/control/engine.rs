//! The one writer.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::answers::{
    AnswerSet, Generation, Notices, Options, QueryCounters, RateLimiter, Resolved, Snapshot, ZoneEntry, ZoneState, ZoneTable,
};
use crate::geo::Places;
use crate::health::{
    self, Bulletin, Change, CheckView, Checks, Due, Finished, Incarnation, Moment, Overrides, PeerView, PoolMemory, Receipt,
    Remembered, RunId, SightChange, TroubleChange, WireChange, WireId,
};
use crate::target::{self, Basis, CheckId, CheckKey, CheckRequest, CheckSpec, ChunkTable, Status, Value};
use crate::wire::{Name, Serial};
use crate::zone::{ProgramId, Zone};

use super::ad_hoc::{AdHoc, Granted};
use super::backlog::{Backlog, Slice, Users};
use super::beliefs::{Beliefs, Turn, Turns};
use super::command::{Command, CommandId, Record, Reply};
use super::journal::{Entry, Happening, HostNews, Journal};
use super::load::{Load, LoadId, LoadKind, Outcome, Programs, Trial, WordFault, ZoneLoad};
use super::pools::{PoolId, PoolView, Pools};
use super::troubles::{Trouble, Troubles};
use orders::Orders;
use words::Words;

mod orders;
mod words;

/// Programs whose memory is fetched together: what belongs to them fits into the nearest caches.
const WARMED: usize = 32;

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
    /// An idle connection to a target has ended.
    Tripped(WireId),
    /// A program of the zone with this apex consulted a check that there is not.
    Wanted(Box<(CheckRequest, Name)>),
    /// An operator orders something; [`Effect::Reply`] says how it ended.
    Ordered(CommandId, Box<Command>),
    /// [`Effect::Record`] is done for that order, or could not be, and why.
    Recorded {
        /// Which.
        command: CommandId,
        /// How it went.
        result: Result<(), String>,
    },
    /// The shell meets a trouble of our own, or `ongoing` is no longer so. To be told again as often as one likes.
    Troubled {
        /// Which.
        trouble: Trouble,
        /// Whether there is any.
        ongoing: bool,
    },
    /// A peer tells what it sees; [`Effect::Receipt`] says what it is to be answered.
    Heard {
        /// Which of its messages.
        letter: LetterId,
        /// Which peer: that it really speaks is known.
        peer: Arc<str>,
        /// What it says.
        bulletin: Box<Bulletin>,
    },
    /// A peer has begun a session that it had not before: one of the two has begun anew.
    Met(Arc<str>),
    /// [`Effect::Tell`] has come to its end: what the peer has now; `None`: it was not reached.
    Told(Arc<str>, Option<Receipt>),
    /// This process did not run for so long.
    Paused(Duration),
    /// The wall clock was set. Nothing here goes by it.
    ClockStepped {
        /// By how much.
        by: Duration,
        /// Or back.
        forward: bool,
    },
    /// Files were read that have so many errors; what has errors keeps its old state.
    Rejected(usize),
    /// Something of the name of a pool's member. What it leads to comes with a load.
    Host {
        /// The name.
        host: Box<str>,
        /// What.
        news: HostNews,
    },
    /// The DNS ports are bound, at these addresses: [`Effect::Open`] is done.
    Opened(Vec<SocketAddr>),
}

/// Everything that the engine wants done.
#[derive(Debug)]
pub enum Effect {
    /// Run a probe; report it as [`Event::Probed`].
    Probe(Due),
    /// Hold an idle connection to a target, whose end is reported as [`Event::Tripped`]; or no longer.
    Wire(WireChange),
    /// Tell a peer; then [`Event::Told`], whatever becomes of it.
    Tell {
        /// Which.
        peer: Arc<str>,
        /// What.
        bulletin: Box<Bulletin>,
    },
    /// What a peer's message is to be answered with.
    Receipt {
        /// Which message.
        letter: LetterId,
        /// The answer.
        receipt: Receipt,
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
    /// Write down an operator's word, or that it is taken back; for an order, report it as [`Event::Recorded`].
    Record {
        /// Which order; `None`: a word's time is over.
        command: Option<CommandId>,
        /// What to write.
        record: Box<Record>,
    },
    /// Remember, for the next process, what is measured of a probe's target; `None`: it is not known any more.
    Remember {
        /// Which probe.
        key: CheckKey,
        /// What.
        verdict: Option<Remembered>,
    },
    /// Remember, for the next process, what the rules of a pool know; `None`: there is none of that name any more.
    RememberPool {
        /// Its name.
        pool: Box<str>,
        /// What.
        memory: Option<Box<PoolMemory>>,
    },
    /// An order has come to its end.
    Reply {
        /// Which.
        command: CommandId,
        /// How.
        reply: Box<Reply>,
    },
    /// A load was decided.
    Decided {
        /// Which.
        load: LoadId,
        /// How.
        outcome: Outcome,
        /// Why the words of the overrides file that came with it were refused: that holds up nothing else of it. Of a start:
        /// what is odd about them.
        faults: Vec<WordFault>,
        /// What was not adopted, for someone else than the engine to free.
        leftover: Option<Box<Load>>,
    },
    /// Something happened that an operator may want to know: to be kept, and told to whoever asks.
    Log(Arc<Entry>),
}

/// One message of a peer. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LetterId(pub u64);

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
    /// Since when verdicts are held because it is we who are cut off.
    pub isolated_since: Option<Moment>,
    /// Since when too few of the other nodes are heard to decide anything with them.
    pub no_quorum_since: Option<Moment>,
    /// Whether that has been so for long enough that this node decides alone.
    pub solo: bool,
    /// The other nodes.
    pub peers: Vec<PeerView>,
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
    /// Whether nothing that is measured changes an answer of it.
    pub frozen: bool,
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
    beliefs: Beliefs,
    orders: Orders,
    words: Words,
    places: Arc<Places>,
    sets: ChunkTable<Option<Arc<AnswerSet>>>,
    zones: BTreeMap<Name, ZoneEntry>,
    table: Arc<ZoneTable>,
    /// The programs in service.
    programs: Programs,
    /// Which of them consult a check, or a standing.
    users: Users,
    pools: Pools,
    backlog: Backlog,
    ad_hoc: AdHoc,
    trial: Option<Trial>,
    gate: Gate,
    notices: Notices,
    resolved: Resolved,
    unserved: Arc<QueryCounters>,
    limiter: Option<Arc<RateLimiter>>,
    publication: Publication,
    troubles: Troubles,
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
///
/// | the next snapshot brings | it is published |
/// | --- | --- |
/// | a load | at once |
/// | programs that are due, or ad hoc checks | at once, but an interval after another such one |
/// | a part of a sweep, and nothing else | an interval after any other |
///
/// So what a sweep publishes in between never makes a flip wait, and there are at most two snapshots in an interval, one of
/// them for the sweep.
#[derive(Debug)]
struct Publication {
    generation: Generation,
    publishes: u64,
    not_before: Moment,
    sweeps_not_before: Moment,
    /// Whether answer sets have been settled that are in no snapshot yet.
    ahead: Ahead,
    /// Whether ad hoc checks, or what is believed of them, have changed: programs look at them when they are asked.
    ad_hoc: bool,
    /// Of the flips that are whole with what has been settled.
    first_signs: Vec<Moment>,
}

/// Whether the answer sets are ahead of the snapshot that is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ahead {
    /// No.
    Nothing,
    /// By what a sweep has come to.
    Swept,
    /// By what was due.
    Due,
}

impl Engine {
    /// An engine that serves nothing yet.
    #[must_use]
    pub fn new(config: Config, random: fastrand::Rng, now: Moment) -> Self {
        let publication = Publication {
            generation: Generation(0),
            publishes: 0,
            not_before: now,
            sweeps_not_before: now,
            ahead: Ahead::Nothing,
            ad_hoc: false,
            first_signs: Vec::new(),
        };
        let mut checks = Checks::new(config.health.hold);
        checks.configure(&config.health, now);
        Self {
            random,
            checks,
            beliefs: Beliefs::default(),
            orders: Orders::default(),
            words: Words::default(),
            places: Arc::new(Places::empty()),
            sets: ChunkTable::new(None),
            zones: BTreeMap::new(),
            table: Arc::new(ZoneTable::new([])),
            programs: Programs::default(),
            users: Users::new(),
            pools: Pools::default(),
            backlog: Backlog::default(),
            ad_hoc: AdHoc::new(now),
            trial: None,
            gate: Gate::Closed,
            notices: Notices::default(),
            resolved: Resolved::default(),
            unserved: Arc::new(QueryCounters::new(config.workers)),
            limiter: config.options.limiter(None),
            publication,
            troubles: Troubles::default(),
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

    /// The same engine, which believes what an earlier process did, as of `at`, until it has measured itself.
    #[must_use]
    pub fn remembering(mut self, remembered: HashMap<CheckKey, Remembered>, at: Moment) -> Self {
        self.checks.remember(remembered, at);
        self
    }

    /// The same engine, whose pools begin with what an earlier process knew of them; `old`: too long ago to be believed.
    #[must_use]
    pub fn recalling(mut self, pools: BTreeMap<Box<str>, PoolMemory>, old: bool) -> Self {
        self.pools.remember(pools, old);
        self
    }

    /// The same engine, which tells its peers that it is that incarnation.
    #[must_use]
    pub fn speaking_as(mut self, incarnation: Incarnation, now: Moment) -> Self {
        self.checks.speak_as(incarnation);
        self.checks.configure(&self.config.health, now);
        self
    }

    /// The same engine, with words in force that were said before; `version` is the highest that was ever given.
    #[must_use]
    pub fn under(self, overrides: Overrides, version: u64) -> Self {
        Self { beliefs: Beliefs::under(overrides), orders: Orders::after(version), ..self }
    }

    /// The same engine, which numbers what happens from `number` + 1 on.
    #[must_use]
    pub fn counting_after(self, number: u64) -> Self {
        Self { journal: Journal::after(number), ..self }
    }

    /// Takes in an event. Loads come one at a time: the next only after [`Effect::Decided`].
    pub fn handle(&mut self, event: Event, now: Moment) {
        match event {
            Event::Loaded(load) => self.begin_trial(*load, now),
            Event::Probed { run, result } => {
                let outcome = result.outcome.clone();
                let changes = self.checks.result(run, result, &mut self.random, now);
                self.follow_sight(now);
                self.take_in(&changes, Some(&outcome), now);
            }
            Event::Tripped(wire) => self.checks.trip(wire, now),
            Event::Heard { letter, peer, bulletin } => {
                let (receipt, changes) = self.checks.hear(&peer, &bulletin, now);
                self.take_in(&changes, None, now);
                self.effects.push_back(Effect::Receipt { letter, receipt });
            }
            Event::Met(peer) => self.checks.meet(&peer, now),
            Event::Told(peer, receipt) => self.checks.told(&peer, receipt, &mut self.random, now),
            Event::Wanted(wish) => {
                let (request, zone) = *wish;
                self.want(request, zone, now);
            }
            Event::Ordered(id, command) => self.order(id, *command, now),
            Event::Recorded { command, result } => self.recorded(command, result, now),
            Event::Troubled { trouble, ongoing } => self.follow_trouble(trouble, ongoing, now),
            Event::Paused(lasted) => {
                self.checks.wake(now);
                self.log(Happening::Paused { lasted }, now);
            }
            Event::ClockStepped { by, forward } => self.log(Happening::ClockStepped { by, forward }, now),
            Event::Host { host, news } => self.log(Happening::Host { host, news }, now),
            Event::Rejected(errors) => self.log(Happening::Rejected { errors }, now),
            Event::Opened(addresses) => self.opened(addresses, now),
        }
        self.attend(now);
    }

    /// Does what is due, and the next slice of a sweep where there is one: as long as [`Engine::next_timeout`] is not after
    /// `now`, there is more to do, and events should be handled first.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.attend(now);
        self.sweep(now);
        self.acknowledge();
    }

    fn attend(&mut self, now: Moment) {
        self.follow_sight(now);
        self.follow_troubles(now);
        let forgotten = self.checks.expire(now);
        self.follow_peers(now);
        self.take_in(&forgotten, None, now);
        self.end_words(now);
        while let Some(pool) = self.pools.take_due(now) {
            self.follow_pool(pool, None, now);
        }
        self.hurry_orders(now);
        self.publication.ad_hoc |= self.ad_hoc.sweep(&mut self.checks, now);
        if self.trial.as_mut().is_some_and(|trial| trial.is_over(&self.checks, now))
            && let Some(trial) = self.trial.take()
        {
            self.decide(trial, now);
        }
        self.publish_changes(now);
        while let Some(change) = self.checks.take_wire_change() {
            self.effects.push_back(Effect::Wire(change));
        }
        self.effects.extend(self.checks.start_due(now).into_iter().map(Effect::Probe));
        let tell = |(peer, bulletin)| Effect::Tell { peer, bulletin: Box::new(bulletin) };
        self.effects.extend(self.checks.tell(now).into_iter().map(tell));
        self.acknowledge();
    }

    /// When [`Engine::handle_timeout`] next has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Moment> {
        let trial = self.trial.as_ref().map(|trial| trial.deadline);
        let Publication { not_before, sweeps_not_before, ahead, .. } = self.publication;
        let publish = self.is_change_due().then_some(not_before);
        let swept = (ahead == Ahead::Swept).then_some(sweeps_not_before);
        let sweep = self.backlog.is_sweeping().then_some(Moment::at(Duration::ZERO));
        let (checks, ad_hoc, words) =
            (self.checks.next_timeout(), self.ad_hoc.next_timeout(), self.beliefs.overrides().next_timeout());
        let (orders, pools) = (self.orders.next_timeout(), self.pools.next_timeout());
        [checks, ad_hoc, words, orders, pools, trial, publish, swept, sweep].into_iter().flatten().min()
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
        let (loading, isolated_since) = (self.trial.is_some(), self.checks.blind_since());
        let (no_quorum_since, solo, peers) = (self.checks.lonely_since(), self.checks.is_solo(), self.checks.peers());
        Overview { generation, publishes, serving, addresses, loading, isolated_since, no_quorum_since, solo, peers, zones }
    }

    /// Every check.
    pub fn checks(&self) -> impl Iterator<Item = CheckView> {
        let known = |id| self.is_in_service(id) || !self.ad_hoc.holds(id);
        let counts = |id| self.beliefs.table().get(id);
        self.checks.views().map(move |view| CheckView { ad_hoc: !known(view.id), counts: counts(view.id), ..view })
    }

    /// What operators and the overrides file say.
    #[must_use]
    pub fn overrides(&self) -> &Overrides {
        self.beliefs.overrides()
    }

    // -------- probe results → statuses → answer sets

    fn take_in(&mut self, changes: &[Change], cause: Option<&target::Outcome>, now: Moment) {
        for change in changes {
            let taken_out = change.is_transition() && change.to.value == Value::Down;
            self.follow(change.check, taken_out.then_some(change.first_sign), now);
            // A check that is only on trial is nobody's news yet; and what queries make up is as much as their clients like, and
            // would wash everything else out of the journal.
            let confirmed = change.from.basis == Basis::Restored;
            if !(change.is_transition() || confirmed) || !self.is_in_service(change.check) {
                continue;
            }
            let Some(view) = self.checks.view(change.check) else { continue };
            self.effects.push_back(Effect::Remember { key: view.key, verdict: remembered(change.to) });
            if change.is_transition() {
                let cause = cause.filter(|_| change.to.basis != Basis::Voted).cloned();
                let (key, spec) = (view.key, view.spec);
                self.log(Happening::Transition { key, spec, from: change.from, to: change.to, cause }, now);
            }
        }
    }

    /// Tells of our sight being lost or back, and takes in what was put back on that account.
    fn follow_sight(&mut self, now: Moment) {
        while let Some(change) = self.checks.take_sight_change() {
            match change {
                SightChange::Lost { blindness, put_back } => {
                    self.log(Happening::SightLost { blindness, put_back: put_back.len() }, now);
                    self.take_in(&put_back, None, now);
                }
                SightChange::Back(after) => self.log(Happening::SightBack { after }, now),
            }
        }
    }

    /// Tells what became of the company of other nodes.
    fn follow_peers(&mut self, now: Moment) {
        while let Some(change) = self.checks.take_peer_change() {
            self.log(Happening::Peers(change), now);
        }
    }

    /// Tells what troubles of our own the probes meet, and meet no longer.
    fn follow_troubles(&mut self, now: Moment) {
        while let Some(change) = self.checks.take_trouble_change() {
            match change {
                TroubleChange::Met(reason) => self.follow_trouble(Trouble::Probes(reason), true, now),
                TroubleChange::Over(reason) => self.follow_trouble(Trouble::Probes(reason), false, now),
            }
        }
    }

    fn follow_trouble(&mut self, trouble: Trouble, ongoing: bool, now: Moment) {
        if !ongoing {
            if let Some(after) = self.troubles.end(trouble, now) {
                self.log(Happening::TroubleOver { trouble, after }, now);
            }
        } else if self.troubles.begin(trouble, now) {
            self.log(Happening::Trouble { trouble }, now);
        }
    }

    /// Has the answers follow what counts of a check now; `first_sign`: it has gone down, and that was first seen then.
    fn follow(&mut self, check: CheckId, first_sign: Option<Moment>, now: Moment) {
        let turns = self.beliefs.refresh(&self.checks, check);
        if turns == Turns::default() {
            return;
        }
        for pool in self.pools.using(check) {
            self.follow_pool(pool, first_sign, now);
        }
        if !turns.concerns_answers() {
            return;
        }
        let first_sign = first_sign.filter(|_| turns.here.is_some_and(|turn| turn.to.value == Value::Down));
        let ad_hoc = self.ad_hoc.holds(check);
        match self.users.get(&check) {
            Some(users) => self.backlog.add(check, users, first_sign),
            None if ad_hoc => self.publication.first_signs.extend(first_sign),
            None => {}
        }
        self.publication.ad_hoc |= ad_hoc;
    }

    /// Has the answers follow what the members of a pool count as now.
    fn follow_pool(&mut self, pool: PoolId, first_sign: Option<Moment>, now: Moment) {
        for stands in self.pools.judge(pool, self.beliefs.table(), self.beliefs.overrides(), now) {
            let turn = self.beliefs.enter(stands).filter(Turn::concerns_answers_of_pools);
            if let (Some(turn), Some(users)) = (turn, self.users.get(&stands.standing)) {
                let fell = turn.from.value == Value::Up && turn.to.value == Value::Down;
                self.backlog.add(stands.standing, users, first_sign.filter(|_| fell));
            }
        }
        for standing in self.beliefs.follow_held(&self.pools, pool, now) {
            if let Some(users) = self.users.get(&standing) {
                self.backlog.add(standing, users, None);
            }
        }
        if let Some((pool, memory)) = self.pools.take_memory(pool) {
            self.effects.push_back(Effect::RememberPool { pool, memory: Some(Box::new(memory)) });
        }
    }

    /// Whether a program or a pool looks at a check.
    fn is_in_service(&self, check: CheckId) -> bool {
        self.users.contains_key(&check) || self.pools.holds(check)
    }

    /// The pools that the configuration has, and what the members of each count as.
    pub fn pools(&self) -> impl Iterator<Item = (PoolView, Vec<Status>)> {
        self.pools.views().map(|view| {
            let statuses = view.standings.iter().map(|&standing| self.beliefs.table().get(standing)).collect();
            (view, statuses)
        })
    }

    fn want(&mut self, request: CheckRequest, zone: Name, now: Moment) {
        let is_named = self.is_named(&request);
        match self.ad_hoc.want(request, zone, &mut self.checks, now) {
            Granted::New(id) => {
                self.beliefs.refresh(&self.checks, id);
                if is_named {
                    self.look_up_again(now);
                }
                self.publication.ad_hoc = true;
            }
            Granted::Refused { first: true } => self.log(Happening::CheckRefused { kept: self.ad_hoc.published().len() }, now),
            Granted::Known | Granted::Refused { first: false } => {}
        }
    }

    /// Whether something is to be published that is no part of a sweep.
    fn is_change_due(&self) -> bool {
        self.publication.ad_hoc || self.publication.ahead == Ahead::Due || self.backlog.is_due()
    }

    /// Publishes what has changed, at once after a pause and at most once per interval otherwise. Programs become due until
    /// then, so that one with many targets that fail together is settled once; but not without bound, so that this does not
    /// take long when its time comes.
    fn publish_changes(&mut self, now: Moment) {
        let may = now >= self.publication.not_before;
        if (may && self.backlog.is_due()) || self.backlog.is_full() {
            let due = self.backlog.take_due();
            self.settle(due);
            self.publication.ahead = Ahead::Due;
        }
        if may && self.is_change_due() {
            self.publish(now);
            self.publication.not_before = now + self.config.publish_interval;
        }
    }

    /// Settles the next slice of a sweep, and publishes what has been swept now and then.
    fn sweep(&mut self, now: Moment) {
        if self.backlog.is_sweeping() {
            let slice = self.backlog.take_slice(&self.users);
            self.settle(slice);
            self.publication.ahead = self.publication.ahead.max(Ahead::Swept);
        }
        if self.publication.ahead == Ahead::Swept && now >= self.publication.sweeps_not_before {
            self.publish(now);
        }
    }

    fn settle(&mut self, slice: Slice) {
        for programs in slice.programs.chunks(WARMED) {
            self.warm(programs);
            for &id in programs {
                let set = self.programs.get(id).map(|bound| bound.settle(self.beliefs.table_of(id), &self.places));
                self.sets.set(id.0, set.map(Arc::new));
            }
        }
        self.publication.first_signs.extend(slice.first_signs);
    }

    /// Has what settling these programs takes fetched from memory at once, and not one thing after the other.
    fn warm(&self, programs: &[ProgramId]) {
        let counts = |&id: &ProgramId| {
            let bound = self.programs.get(id)?;
            let program = bound.prepared.program().map_or(0, |program| program.checks().len());
            Some(program + Arc::strong_count(&bound.prepared) + Arc::strong_count(&bound.checks))
        };
        black_box(programs.iter().filter_map(counts).sum::<usize>());
        let holders = |set: &Option<Arc<AnswerSet>>| set.as_ref().map_or(0, Arc::strong_count);
        self.sets.warm(programs.iter().map(|id| id.0), holders);
    }

    fn publish(&mut self, now: Moment) {
        let publication = &mut self.publication;
        publication.generation = publication.generation.next();
        publication.publishes += 1;
        publication.sweeps_not_before = now + self.config.publish_interval;
        publication.ahead = Ahead::Nothing;
        publication.ad_hoc = false;
        let snapshot = Snapshot {
            generation: publication.generation,
            zones: Arc::clone(&self.table),
            sets: self.sets.clone(),
            statuses: self.beliefs.table().clone(),
            held: self.beliefs.zones().map(|(apex, held)| (apex.clone(), held.counts.clone())).collect(),
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
            let id = load.id;
            let leftover = Some(Box::new(load));
            self.effects.push_back(Effect::Decided { load: id, outcome, faults: Vec::new(), leftover });
        }
        let trial = Trial::begin(load, (&self.programs, &self.pools, self.config.workers), &mut self.checks, now);
        self.checks.know_all();
        if trial.load.kind == LoadKind::Start {
            self.hold_restored(&trial, now);
        }
        self.trial = Some(trial);
    }

    /// Has what is frozen from the start on keep what an earlier process measured last: the trial's first result is not firmer
    /// than any other, and would put it out.
    fn hold_restored(&mut self, trial: &Trial, now: Moment) {
        for check in trial.checks().filter(|&check| self.checks.status(check).basis == Basis::Restored) {
            self.beliefs.refresh(&self.checks, check);
        }
        self.freeze_with(trial.load.words.as_ref(), now);
    }

    fn decide(&mut self, trial: Trial, now: Moment) {
        let generation = self.publication.generation;
        let (id, kind) = (trial.load.id, trial.load.kind);
        let regressions: Arc<[_]> = match kind {
            LoadKind::Start | LoadKind::Reload { accept_regression: true } => Arc::new([]),
            LoadKind::Reload { accept_regression: false } | LoadKind::DryRun => trial.regressions(&self.checks).into(),
        };
        let (mut leftover, mut faults) = (None, Vec::new());
        let outcome = if !regressions.is_empty() {
            leftover = Some(Box::new(trial.abandon(&mut self.checks)));
            if kind != LoadKind::DryRun {
                self.log(Happening::Refused { regressions: Arc::clone(&regressions) }, now);
            }
            Outcome::Refused(generation, regressions)
        } else if kind == LoadKind::DryRun {
            faults = self.judge_words(trial.load.words.as_ref(), now);
            leftover = Some(Box::new(trial.abandon(&mut self.checks)));
            Outcome::Rehearsed(generation)
        } else {
            faults = self.adopt(trial, now);
            Outcome::Adopted(self.publication.generation)
        };
        self.effects.push_back(Effect::Decided { load: id, outcome, faults, leftover });
    }

    fn adopt(&mut self, trial: Trial, now: Moment) -> Vec<WordFault> {
        for heir in &trial.heirs {
            if !self.is_in_service(heir.new) {
                self.beliefs.succeed(heir.old, heir.new);
            }
        }
        let mut checks: Vec<CheckId> = trial.checks().collect();
        checks.sort_unstable();
        checks.dedup(); // many programs ask the same
        for &check in &checks {
            self.beliefs.refresh(&self.checks, check);
        }
        let unknown = trial.unknown(&self.checks);
        self.remember(&checks);
        let Trial { load, bound, pools, .. } = trial;
        for pool in self.pools.adopt(pools) {
            self.effects.push_back(Effect::RememberPool { pool, memory: None });
        }
        for pool in self.pools.ids().collect::<Vec<_>>() {
            self.follow_pool(pool, None, now);
        }
        self.config.health = load.health;
        self.limiter = load.options.limiter(self.limiter.as_ref());
        self.config.options = load.options;
        self.config.publish_interval = load.publish_interval;
        self.checks.configure(&self.config.health, now);
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
        for pool in self.pools.retire(&mut self.checks, |standing| self.users.contains_key(&standing)) {
            self.forget_ended(pool.faces().map(|(_, face)| &*face.check.spec));
        }
        let faults = self.take_words(load.words.as_ref(), load.kind, now);
        if Arc::ptr_eq(&self.places, &load.places) {
            let due = self.backlog.take_due();
            self.settle(due);
            self.settle(Slice { programs: added, first_signs: Vec::new() });
        } else {
            self.places = load.places;
            let (programs, first_signs) = (self.programs.ids().collect(), self.backlog.clear());
            self.settle(Slice { programs, first_signs });
        }
        self.publish(now);
        self.publication.not_before = now + self.config.publish_interval;
        if matches!(self.gate, Gate::Closed) {
            let down = self.checks.views().filter(|view| view.status.value == Value::Down).count();
            self.gate = Gate::Opening { unknown, down };
            self.effects.push_back(Effect::Open);
        }
        happened.into_iter().for_each(|what| self.log(what, now));
        faults
    }

    /// Writes down what is measured of a load's checks, whose results so far were nobody's news; and strikes out what an
    /// earlier process knew of probes that there are none of, or for which a later load would be too late.
    fn remember(&mut self, checks: &[CheckId]) {
        for key in self.checks.forget_remembered() {
            if !self.checks.is_probed(key) {
                self.effects.push_back(Effect::Remember { key, verdict: None });
            }
        }
        for &id in checks {
            let Some((key, _)) = self.checks.probe_of(id) else { continue };
            let status = self.checks.status(id);
            // What was only restored is written already, and is no fresher for it.
            if status.basis != Basis::Restored {
                self.effects.push_back(Effect::Remember { key, verdict: remembered(status) });
            }
        }
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
        self.hold_programs(apex);
    }

    /// Tells a zone that is frozen which programs it has.
    fn hold_programs(&mut self, apex: &Name) {
        let programs = self.programs_of(apex);
        if let Some(held) = self.beliefs.zone(apex) {
            held.programs = programs;
        }
    }

    fn programs_of(&self, apex: &Name) -> BTreeSet<ProgramId> {
        match self.zones.get(apex).map(|entry| &entry.state) {
            Some(ZoneState::Serving { zone, .. }) => zone.programs().collect(),
            Some(ZoneState::Failed(_)) | None => BTreeSet::new(),
        }
    }

    fn remove_zone(&mut self, apex: Name) -> Option<Happening> {
        let entry = self.zones.remove(&apex)?;
        if let ZoneState::Serving { zone, .. } = entry.state {
            let programs: BTreeSet<ProgramId> = zone.programs().collect();
            for id in programs {
                self.drop_program(id);
            }
        }
        self.hold_programs(&apex);
        Some(Happening::ZoneRemoved { zone: apex })
    }

    fn drop_program(&mut self, id: ProgramId) {
        let Some(bound) = self.programs.remove(id) else { return };
        for check in bound.checks.iter() {
            if let Some(users) = self.users.get_mut(check) {
                users.remove(&id);
                if users.is_empty() {
                    self.users.remove(check);
                }
            }
        }
        bound.release(&mut self.checks);
        self.forget_ended(bound.specs());
        self.backlog.forget(id);
        self.sets.set(id.0, None);
    }

    /// Strikes out what is remembered of those whose probe has ended.
    fn forget_ended<'s>(&mut self, specs: impl Iterator<Item = &'s CheckSpec>) {
        for key in specs.map(CheckSpec::key) {
            if !self.checks.is_probed(key) {
                self.effects.push_back(Effect::Remember { key, verdict: None });
            }
        }
    }

    fn zone_view(&self, apex: &Name, entry: &ZoneEntry) -> ZoneView {
        let ZoneState::Serving { zone, stale } = &entry.state else {
            return ZoneView { apex: apex.clone(), serial: None, stale: false, frozen: false, programs: 0, broken: 0 };
        };
        let programs: BTreeSet<ProgramId> = zone.programs().collect();
        let is_broken = |id: &&ProgramId| self.programs.get(**id).is_some_and(|bound| bound.prepared.program().is_none());
        let broken = programs.iter().filter(is_broken).count();
        let frozen = self.beliefs.zones().any(|(held, _)| held == apex);
        ZoneView { apex: apex.clone(), serial: Some(zone.serial()), stale: *stale, frozen, programs: programs.len(), broken }
    }

    fn log(&mut self, what: Happening, now: Moment) {
        let entry = self.journal.write(now, self.publication.generation, what);
        self.effects.push_back(Effect::Log(entry));
    }
}

/// What the next process may know of a check.
fn remembered(status: Status) -> Option<Remembered> {
    let Status { value, reported, .. } = status;
    (value != Value::Unknown).then_some(Remembered { value, reported })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use super::*;
    use crate::answers::Prepared;
    use crate::control::NewProgram;
    use crate::program::{Defaults, Settings, compile};
    use crate::target::Outcome as Found;
    use crate::zone::{self, Zone};

    const CODE: &str = "ifportup(80, {'192.0.2.1'})";

    struct Text(String);

    impl zone::Source for Text {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(self.0.clone().into_bytes())
        }
    }

    /// A zone of these programs, numbered in this order.
    pub(super) fn load(codes: &[String], options: &Arc<Options>, publish_interval: Duration) -> Load {
        let apex: Name = "z".parse().unwrap();
        let mut text = "@ 30 SOA n.x. h.x. 1 2 3 4 30\n NS n.x.\n".to_owned();
        codes.iter().enumerate().for_each(|(at, code)| text += &format!("p{at:05} LUA A \"{code}\"\n"));
        let contents = zone::load(&Text(text), Path::new("zone"), apex.as_ref()).contents.unwrap();
        let mut added = Vec::new();
        let zone = Zone::build(contents, &mut |record| {
            let settings = Settings { defaults: Defaults::default(), step_limit: 1000, shared: false };
            let code = &record.segments[0].text;
            let prepared = Prepared::new(record.rtype, record.ttl, code.clone(), compile(code, &settings).program);
            let id = ProgramId(added.len() as u32);
            added.push(NewProgram { id, prepared: Arc::new(prepared), replaces: Vec::new() });
            id
        });
        Load {
            id: LoadId(1),
            kind: LoadKind::Start,
            zones: vec![ZoneLoad::Data { zone, stale: false, added, dropped: Vec::new(), keep: false }],
            removed: Vec::new(),
            health: health::Config::default(),
            places: Arc::new(crate::geo::Places::empty()),
            options: Arc::clone(options),
            publish_interval,
            words: None,
        }
    }

    /// Runs what is due, each probe finding `outcome`: what was published and how many transitions were logged.
    fn settle(engine: &mut Engine, outcome: &Found, now: Moment) -> (usize, usize) {
        settle_and_tell(engine, outcome, now, &mut Vec::new())
    }

    /// The same; `told` gets what was logged about our sight.
    fn settle_and_tell(engine: &mut Engine, outcome: &Found, now: Moment, told: &mut Vec<String>) -> (usize, usize) {
        let (mut published, mut transitions) = (0, 0);
        engine.handle_timeout(now);
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Probe(Due { run, .. }) => {
                    let result = Finished { outcome: outcome.clone(), started: now, elapsed: Duration::ZERO };
                    engine.handle(Event::Probed { run, result }, now);
                }
                Effect::Publish { .. } => published += 1,
                Effect::Log(entry) => match entry.what {
                    Happening::Transition { .. } => transitions += 1,
                    Happening::SightLost { .. } | Happening::SightBack { .. } => told.push(entry.what.to_string()),
                    _ => {}
                },
                Effect::Open
                | Effect::Keep(_)
                | Effect::Record { .. }
                | Effect::Remember { .. }
                | Effect::RememberPool { .. }
                | Effect::Wire(_)
                | Effect::Tell { .. }
                | Effect::Receipt { .. }
                | Effect::Reply { .. }
                | Effect::Decided { .. } => {}
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
        engine.handle(Event::Loaded(Box::new(load(&[CODE.into()], &options, Duration::ZERO))), at(0));
        let weighs = |weight| Found::Pass { weight };
        settle(&mut engine, &weighs(3), at(0));
        assert_eq!(settle(&mut engine, &weighs(3), at(10)), (0, 0), "the same");
        assert_eq!(settle(&mut engine, &weighs(4), at(20)), (1, 0), "another");
        let refused = Found::Fail(target::Failure::Refused);
        assert_eq!(settle(&mut engine, &refused, at(30)), (1, 1), "down");
    }

    #[test]
    fn being_cut_off_is_told_and_undone() {
        let at = |seconds| Moment::at(Duration::from_secs(seconds));
        let (health, options) = (health::Config::default(), Arc::new(Options::default()));
        let config = Config { health, options: Arc::clone(&options), publish_interval: Duration::ZERO, workers: 1 };
        let mut engine = Engine::new(config, fastrand::Rng::with_seed(1), at(0));
        let targets: Vec<String> = (0..6).map(|host| format!("'192.0.{}.{host}'", host % 2)).collect();
        let code = format!("ifportup(80, {{{}}})", targets.join(","));
        engine.handle(Event::Loaded(Box::new(load(&[code], &options, Duration::ZERO))), at(0));
        let mut told = Vec::new();
        settle_and_tell(&mut engine, &Found::PASS, at(0), &mut told);
        let up = |engine: &Engine| {
            let known = |view: &CheckView| engine.beliefs.table().get(view.id) == view.status;
            engine.checks().filter(|view| view.status.value == Value::Up && known(view)).count()
        };
        assert_eq!((up(&engine), told.len()), (6, 0));
        let transitions = settle_and_tell(&mut engine, &Found::Fail(target::Failure::Timeout), at(20), &mut told).1;
        assert_eq!((transitions, up(&engine)), (8, 6), "four went down before it was clear, and came back");
        assert_eq!(told, ["cut off: 5 of 6 targets fell silent at once; verdicts are held, 4 put back"]);
        assert_eq!(engine.overview().isolated_since, Some(at(20)));
        settle_and_tell(&mut engine, &Found::PASS, at(50), &mut told);
        assert_eq!(told[1..], ["no longer cut off, after 30.0 s"]);
        assert_eq!((up(&engine), engine.overview().isolated_since), (6, None));
    }

    const INTERVAL: Duration = Duration::from_millis(10);
    /// In every program of a [`Node`], and in every second.
    const ALL: &str = "192.0.2.1:80";
    const HALF: &str = "192.0.2.2:80";
    const PROGRAMS: u32 = 2500;

    /// An engine of many programs, every target up and under probe.
    struct Node {
        engine: Engine,
        now: Moment,
        running: HashMap<String, RunId>,
        published: Vec<Arc<Snapshot>>,
    }

    impl Node {
        fn start() -> Self {
            let code = |program: u32| {
                let half = if program.is_multiple_of(2) { ", '192.0.2.2'" } else { "" };
                format!("ifportup(80, {{'192.0.2.1'{half}, '10.0.0.{}'}}, {{selector='all'}})", program / 10)
            };
            let now = Moment::at(Duration::from_secs(1000));
            let options = Arc::new(Options::default());
            let health = health::Config::default();
            let config = Config { health, options: Arc::clone(&options), publish_interval: INTERVAL, workers: 1 };
            let engine = Engine::new(config, fastrand::Rng::with_seed(1), now);
            let mut node = Self { engine, now, running: HashMap::new(), published: Vec::new() };
            let codes: Vec<String> = (0..PROGRAMS).map(code).collect();
            node.engine.handle(Event::Loaded(Box::new(load(&codes, &options, INTERVAL))), now);
            node.run_effects();
            for target in node.running.keys().cloned().collect::<Vec<_>>() {
                node.flip(&target, true);
            }
            node.pass(Duration::from_secs(6));
            node.engine.handle_timeout(node.now);
            node.run_effects();
            node.published.clear();
            node
        }

        fn pass(&mut self, span: Duration) {
            self.now = self.now + span;
        }

        fn flip(&mut self, target: &str, up: bool) {
            let run = self.running.remove(target).expect("under probe");
            let outcome = if up { Found::PASS } else { Found::Fail(target::Failure::Refused) };
            let result = Finished { outcome, started: self.now, elapsed: Duration::ZERO };
            self.engine.handle(Event::Probed { run, result }, self.now);
            self.run_effects();
        }

        fn run_effects(&mut self) {
            while let Some(effect) = self.engine.poll_effect() {
                match effect {
                    Effect::Probe(Due { run, spec, .. }) => drop(self.running.insert(spec.target().to_string(), run)),
                    Effect::Publish { snapshot, .. } => self.published.push(snapshot),
                    Effect::Open
                    | Effect::Keep(_)
                    | Effect::Record { .. }
                    | Effect::Remember { .. }
                    | Effect::RememberPool { .. }
                    | Effect::Wire(_)
                    | Effect::Tell { .. }
                    | Effect::Receipt { .. }
                    | Effect::Reply { .. }
                    | Effect::Decided { .. }
                    | Effect::Log(_) => {}
                }
            }
        }

        fn is_due(&self) -> bool {
            self.engine.next_timeout().is_some_and(|next| next <= self.now)
        }

        /// Does all that is due, and as much as it takes until everything is published.
        fn settle(&mut self) {
            for _ in 0..2 {
                while self.is_due() {
                    self.engine.handle_timeout(self.now);
                    self.run_effects();
                }
                self.pass(INTERVAL);
            }
        }

        /// The programs whose answer sets in the last snapshot are not what settling all of them now would make.
        fn behind(&self) -> Vec<u32> {
            let snapshot = self.published.last().expect("published");
            let Engine { programs, beliefs, places, .. } = &self.engine;
            let fresh = |id: u32| {
                let bound = programs.get(ProgramId(id)).expect("in service");
                bound.settle(beliefs.table(), places)
            };
            let is_behind = |&id: &u32| {
                let set = snapshot.set(ProgramId(id)).expect("settled");
                format!("{set:?}") != format!("{:?}", fresh(id))
            };
            (0..PROGRAMS).filter(is_behind).collect()
        }
    }

    #[test]
    fn a_small_flip_goes_before_the_rest_of_a_large_one() {
        let mut node = Node::start();
        node.flip(ALL, false);
        assert!(node.published.is_empty() && node.is_due(), "the event itself settles nothing");
        node.engine.handle_timeout(node.now);
        node.run_effects();
        assert_eq!(node.behind(), (1000..PROGRAMS).collect::<Vec<_>>(), "the first slice is published at once");
        assert!(node.is_due(), "and the next is due");
        node.flip("10.0.0.240:80", false);
        let whole: Vec<u32> = (1000..2400).chain(2410..PROGRAMS).collect();
        assert_eq!((node.published.len(), node.behind()), (2, whole), "no waiting, not even for the interval");
        node.engine.handle_timeout(node.now);
        node.run_effects();
        assert_eq!(node.published.len(), 2, "the second slice waits for the interval");
        node.flip("10.0.0.241:80", false);
        assert_eq!(node.published.len(), 2, "as does a flip behind another");
        node.settle();
        assert_eq!((node.behind(), node.published.len()), (vec![], 3));
    }

    #[test]
    fn a_load_is_whole_whatever_is_being_swept() {
        let mut node = Node::start();
        node.flip(ALL, false);
        let mut load = load(&[], &Arc::new(Options::default()), INTERVAL);
        load.kind = LoadKind::Reload { accept_regression: false };
        load.zones.clear();
        node.engine.handle(Event::Loaded(Box::new(load)), node.now);
        node.run_effects();
        assert_eq!((node.behind(), node.published.len()), (vec![], 1), "other places: all programs are settled");
        assert!(!node.is_due(), "and nothing is left to sweep");
    }

    #[test]
    fn nothing_is_lost() {
        for seed in 0..8 {
            let mut node = Node::start();
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..60 {
                let mut targets: Vec<_> = node.running.keys().cloned().collect();
                targets.sort();
                let target = match random.u8(..4) {
                    0 => random.choice([ALL, HALF]).map(str::to_owned),
                    1 | 2 => random.choice(targets),
                    _ => None,
                };
                if let Some(target) = target.filter(|target| node.running.contains_key(target)) {
                    node.flip(&target, random.bool());
                }
                if random.bool() {
                    node.engine.handle_timeout(node.now);
                    node.run_effects();
                }
                node.pass(Duration::from_millis(*random.choice(&[0, 1, 10, 6000]).unwrap()));
            }
            node.settle();
            assert_eq!(node.behind(), [0; 0], "seed {seed}");
            assert!(!node.is_due());
        }
    }
}
