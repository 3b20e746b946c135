//! Several nodes on a virtual network and clock, and everything that can go wrong between them.
//!
//! A seed decides all: how many nodes there are, what fails when, how long each message takes. Real engines, real programs, real
//! answers; made up are the network, the targets and the clocks, each node's a little faster or slower than the others'. After
//! **every** event the named invariants are looked at (`Invariant`). In the end everything is mended, and within `SETTLED` all
//! nodes must give the same answer to the same client, and the right one.
//!
//! ```text
//! cargo nextest run --test simulation                          10,000 seeds
//! LEEWARD_SEEDS=1000000 cargo nextest run --test simulation    as many as one likes
//! LEEWARD_SEED=4711 cargo nextest run --test simulation --no-capture    one, told step by step
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leeward::answers::{Ctx, Generation, Now, Options, Published, Response, Snapshot, Transport, Worker, respond};
use leeward::control::{Action, Command, CommandId, Config, Effect, Engine, Event, Happening, LetterId, Load, LoadId, LoadKind};
use leeward::geo::Places;
use leeward::health::{
    self, Bulletin, CheckView, Due, Finished, Fleet, Incarnation, Moment, Peer, Receipt, Remembered, Subject, Word,
};
use leeward::node::compile::{self, Settings, Slots};
use leeward::program;
use leeward::target::{Basis, CheckKey, Failure, Inconclusive, Outcome, Value};
use leeward::wire::{Class, Name, QueryBuilder, RecordType};
use leeward::zone;

/// Seeds in one run, where nothing else is asked for.
const SEEDS: u64 = 10_000;
/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(40);
/// How long it may take all nodes to agree when nothing goes wrong any more: a probe, a heartbeat, the hold-down of a failed
/// message, and a clock that is slow by a tenth.
const SETTLED: Duration = Duration::from_secs(6);
/// From probe to probe, and from heartbeat to heartbeat.
const INTERVAL: Duration = Duration::from_secs(1);
const STALE_AFTER: Duration = Duration::from_secs(3);
/// The time limit of a probe, and of a message.
const TIMEOUT: Duration = Duration::from_millis(300);
/// How far back evidence may lie: a peer's word counts for [`STALE_AFTER`] on a clock that may be slow by a tenth, and was on
/// its way before; a run of what was seen then takes some time as well.
const MEMORY: Duration = Duration::from_millis(5_500);

const APEX: &str = "gslb.example.com";
const TARGETS: [&str; 6] = ["192.0.2.1", "192.0.2.2", "198.51.100.1", "198.51.100.2", "203.0.113.1", "203.0.113.2"];
const CONTROL: &str = "100.64.0.1:53";

/// What must hold at all times. The tables are those of `health::peers::vote`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Invariant {
    /// No generation follows one that is as high or higher.
    GenerationsMoveForward,
    /// A target goes down only if more than half of the nodes have lately seen it down: no loss of sight does it.
    LosingSightChangesNoAnswer,
    /// Nor does one go down at a node that hears from too few, unless it may decide alone.
    AnIsolatedMinorityWithdrawsNothing,
    /// Nor does one that more than half of the nodes have seen up all the time.
    WhatTheMajoritySeesUpStays,
    /// Nor one that has always been up and in sight of more than half of the nodes.
    TheLivingStay,
    /// What an operator says stands, whatever probes and peers say.
    ForcedStaysForced,
    /// There is always an answer.
    NeverEmpty,
    /// When all is mended, all nodes give the same answers to the same clients, and the right ones.
    AllAgreeInTheEnd,
}

#[test]
fn invariants_hold() {
    if let Some(seed) = number("LEEWARD_SEED") {
        return World::new(seed, true).run().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
    let seeds = number("LEEWARD_SEEDS").unwrap_or(SEEDS);
    let first = number("LEEWARD_FIRST_SEED").unwrap_or(0);
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let work = || {
        let mut broken = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || broken.len() >= 5 {
                return broken;
            }
            if let Err(what) = World::new(seed, false).run() {
                broken.push(format!("seed {seed}: {what}"));
            }
        }
    };
    let broken: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(broken.is_empty(), "{}\nLEEWARD_SEED=... tells one step by step", broken.join("\n"));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

type Broken = String;

/// Everything: nodes, targets, and what is between them.
struct World {
    random: fastrand::Rng,
    now: Duration,
    told: bool,
    nodes: Vec<Node>,
    targets: Vec<Target>,
    /// Whether messages from one to the other are lost.
    cut: Vec<Vec<bool>>,
    /// Whether a node cannot see a target, or the control (the last).
    unseen: Vec<Vec<bool>>,
    loss: f64,
    delay: Duration,
    ahead: BinaryHeap<Reverse<(Duration, u64, Ahead)>>,
    numbers: u64,
    messages: HashMap<u64, Message>,
    /// Whether nodes have a control, and after how long one decides alone.
    control: bool,
    solo_after: Duration,
}

/// What lies ahead, by number where it is more than a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ahead {
    /// Something goes wrong, or well.
    Fate,
    /// A probe ends.
    Probe(u64),
    /// A bulletin arrives.
    Bulletin(u64),
    /// What it is answered with arrives.
    Receipt(u64),
    /// Nobody waits for that any longer.
    GiveUp(u64),
    /// A node begins again.
    Restart(usize),
}

struct Target {
    address: IpAddr,
    up: bool,
    /// Since when it has been.
    since: Duration,
}

/// What is on its way.
enum Message {
    Probe { node: usize, life: u64, target: Option<usize>, began: Duration, run: health::RunId, result: Finished },
    Told { from: usize, to: usize, life: u64, sequence: u64, bulletin: Bulletin, receipt: Option<Receipt> },
}

struct Node {
    name: Arc<str>,
    /// None: it is not running.
    engine: Option<Engine>,
    /// When that next has something to do by itself.
    timer: Option<Moment>,
    published: Published,
    worker: Worker,
    generation: Generation,
    /// How many lives it has had.
    life: u64,
    began: Duration,
    /// How fast its clock is, in thousandths.
    rate: u64,
    paused_until: Duration,
    open: bool,
    /// What its ledger has.
    remembered: BTreeMap<CheckKey, Remembered>,
    sequence: u64,
    /// The last message of each other node's life.
    heard: HashMap<usize, (u64, u64)>,
    letters: HashMap<LetterId, u64>,
    forced: Option<(usize, Value)>,
    /// When the first and the last run began that the control answered, with none in between that it did not.
    control_answered: Option<(Duration, Duration)>,
    /// Of each target: what was seen and believed of it.
    seen: Vec<Seen>,
}

/// What one node has seen of a target with its own probes, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    word: Option<Word>,
    since: Duration,
    last_down: Option<Duration>,
    /// Since when it has been in sight.
    in_sight: Duration,
    /// When the last run began, if it failed.
    failed: Option<Duration>,
}

impl World {
    fn new(seed: u64, told: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(3..=7);
        let control = random.bool();
        let solo_after = if random.u8(..4) == 0 { Duration::from_secs(8) } else { Duration::from_secs(3600) };
        let target = |address: &&str| Target { address: address.parse().expect("an address"), up: true, since: Duration::ZERO };
        let mut world = Self {
            now: Duration::from_secs(1000),
            told,
            nodes: Vec::new(),
            targets: TARGETS.iter().map(target).collect(),
            cut: vec![vec![false; count]; count],
            unseen: vec![vec![false; TARGETS.len() + 1]; count],
            loss: 0.0,
            delay: Duration::from_millis(20),
            ahead: BinaryHeap::new(),
            numbers: 0,
            messages: HashMap::new(),
            control,
            solo_after,
            random,
        };
        for place in 0..count {
            let rate = world.random.u64(900..=1100);
            world.nodes.push(Node::new(place, rate, world.random.u64(..)));
        }
        world
    }

    fn run(mut self) -> Result<(), Broken> {
        let first = self.now;
        for place in 0..self.nodes.len() {
            self.start(place)?;
        }
        // A calm beginning: all see all.
        self.pass(first + Duration::from_secs(5))?;
        self.schedule_fate();
        self.pass(first + TROUBLE)?;
        self.mend();
        self.pass(self.now + SETTLED)?;
        self.all_agree()
    }

    /// Lets time pass until then.
    fn pass(&mut self, until: Duration) -> Result<(), Broken> {
        loop {
            let ahead = self.ahead.peek().map(|Reverse((at, ..))| *at);
            let timers = (0..self.nodes.len()).filter_map(|place| Some((self.timer(place)?, place))).min();
            let next = ahead.into_iter().chain(timers.map(|(at, _)| at)).min().filter(|&at| at <= until);
            let Some(next) = next else {
                self.now = until;
                return Ok(());
            };
            self.now = self.now.max(next);
            if let (Some((at, place)), true) = (timers, ahead.is_none_or(|ahead| timers.is_some_and(|(at, _)| at < ahead))) {
                debug_assert!(at <= self.now);
                self.acts(place, |engine, now| engine.handle_timeout(now));
                self.look(place);
                self.effects(place)?;
            } else if let Some(Reverse((_, _, what))) = self.ahead.pop() {
                self.meet(what)?;
            }
        }
    }

    /// When a node has something to do by itself.
    fn timer(&self, place: usize) -> Option<Duration> {
        let node = &self.nodes[place];
        Some(node.outer(node.timer?).max(node.paused_until).max(self.now))
    }

    fn later(&mut self, after: Duration, what: Ahead) {
        self.numbers += 1;
        self.ahead.push(Reverse((self.now + after, self.numbers, what)));
    }

    fn meet(&mut self, what: Ahead) -> Result<(), Broken> {
        // Whoever does not run now meets it when it runs again.
        if let Some(paused) = self.meets(what).map(|place| self.nodes[place].paused_until).filter(|&until| until > self.now) {
            self.later(paused - self.now, what);
            return Ok(());
        }
        match what {
            Ahead::Fate => {
                self.fate()?;
                self.schedule_fate();
                Ok(())
            }
            Ahead::Restart(place) => self.start(place),
            Ahead::Probe(number) => {
                let Some(Message::Probe { node, life, target, began, run, result }) = self.messages.remove(&number) else {
                    return Ok(());
                };
                if self.nodes[node].life != life {
                    return Ok(());
                }
                self.nodes[node].finds(target, began, &result.outcome);
                self.acts(node, |engine, now| engine.handle(Event::Probed { run, result }, now));
                self.look(node);
                self.effects(node)
            }
            Ahead::Bulletin(number) => self.arrives(number),
            Ahead::Receipt(number) => self.ends(number, true),
            Ahead::GiveUp(number) => self.ends(number, false),
        }
    }

    /// Who has to run for that.
    fn meets(&self, what: Ahead) -> Option<usize> {
        match what {
            Ahead::Fate | Ahead::Restart(_) => None,
            Ahead::Probe(number) | Ahead::Receipt(number) | Ahead::GiveUp(number) => match self.messages.get(&number)? {
                Message::Probe { node, .. } => Some(*node),
                Message::Told { from, .. } => Some(*from),
            },
            Ahead::Bulletin(number) => match self.messages.get(&number)? {
                Message::Told { to, .. } => Some(*to),
                Message::Probe { .. } => None,
            },
        }
    }

    // -------- nodes

    fn start(&mut self, place: usize) -> Result<(), Broken> {
        let names: Vec<Arc<str>> = self.nodes.iter().map(|node| Arc::clone(&node.name)).collect();
        let peers = names.iter().enumerate().filter(|(other, _)| *other != place);
        let peers = peers.map(|(other, name)| Peer { name: Arc::clone(name), region: region(other) }).collect();
        let fleet =
            Fleet { region: region(place), peers, interval: INTERVAL, stale_after: STALE_AFTER, solo_after: self.solo_after };
        let control = if self.control { vec![CONTROL.parse().expect("an address")] } else { Vec::new() };
        let health = health::Config {
            interval: INTERVAL,
            timeout: TIMEOUT,
            retry_interval: INTERVAL / 4,
            startup_wait: Duration::from_secs(2),
            fleet,
            control,
            ..health::Config::default()
        };
        let seed = self.random.u64(..);
        let incarnation = Incarnation(self.random.u128(..));
        let began = self.now;
        self.say(|| format!("node {place} begins"));
        let node = &mut self.nodes[place];
        node.begin(health, incarnation, seed, began);
        self.effects(place)
    }

    /// Has a node do something, and then all that follows from it.
    fn at(&mut self, place: usize, act: impl FnOnce(&mut Engine, Moment)) -> Result<(), Broken> {
        self.acts(place, act);
        self.effects(place)
    }

    fn acts(&mut self, place: usize, act: impl FnOnce(&mut Engine, Moment)) {
        let node = &mut self.nodes[place];
        let moment = node.inner(self.now);
        if let Some(engine) = &mut node.engine {
            act(engine, moment);
        }
    }

    fn effects(&mut self, place: usize) -> Result<(), Broken> {
        while let Some(effect) = self.nodes[place].engine.as_mut().and_then(Engine::poll_effect) {
            self.effect(place, effect)?;
        }
        self.nodes[place].timer = self.nodes[place].engine.as_ref().and_then(Engine::next_timeout);
        Ok(())
    }

    fn effect(&mut self, place: usize, effect: Effect) -> Result<(), Broken> {
        match effect {
            Effect::Probe(due) => self.probe(place, due),
            Effect::Publish { snapshot, .. } => {
                let (before, after) = (self.nodes[place].generation, snapshot.generation);
                self.nodes[place].generation = after;
                drop(self.nodes[place].published.publish(snapshot));
                self.holds(Invariant::GenerationsMoveForward, after > before, || format!("{before:?} {after:?}"))?;
                self.never_empty(place)?;
            }
            Effect::Open => {
                self.nodes[place].open = true;
                self.at(place, |engine, now| engine.handle(Event::Opened(Vec::new()), now))?;
            }
            Effect::Record { command: Some(command), .. } => {
                self.at(place, |engine, now| engine.handle(Event::Recorded { command, result: Ok(()) }, now))?;
            }
            Effect::Remember { key, verdict: Some(verdict) } => drop(self.nodes[place].remembered.insert(key, verdict)),
            Effect::Remember { key, verdict: None } => drop(self.nodes[place].remembered.remove(&key)),
            Effect::Tell { peer, bulletin } => self.tell(place, &peer, *bulletin),
            Effect::Receipt { letter, receipt } => self.answer(place, letter, receipt),
            Effect::Log(entry) => {
                self.say(|| format!("node {place}: {}", entry.what));
                if let Happening::Transition { spec, from, to, .. } = &entry.what {
                    let target = self.targets.iter().position(|target| Some(target.address) == spec.address);
                    if let (Some(target), Value::Up, Value::Down) = (target, from.value, to.value) {
                        self.goes_down(place, target)?;
                    }
                }
            }
            Effect::Record { command: None, .. }
            | Effect::Reply { .. }
            | Effect::Decided { .. }
            | Effect::Keep(_)
            | Effect::RememberPool { .. }
            | Effect::Wire(_) => {}
        }
        Ok(())
    }

    fn probe(&mut self, place: usize, due: Due) {
        let Some(address) = due.spec.address else { return };
        let target = self.targets.iter().position(|target| target.address == address);
        let unseen = self.unseen[place][target.unwrap_or(TARGETS.len())];
        let up = target.is_none_or(|target| self.targets[target].up);
        // A cut is silence, or that there is no way: that is ours, and says nothing.
        let (outcome, took) = match (unseen, up) {
            (true, _) if self.random.u8(..4) == 0 => (Outcome::Inconclusive(Inconclusive::NoRoute), Duration::from_millis(1)),
            (true, _) => (Outcome::Fail(Failure::Timeout), TIMEOUT),
            (false, true) => (Outcome::PASS, Duration::from_millis(5)),
            (false, false) => (Outcome::Fail(Failure::Refused), Duration::from_millis(5)),
        };
        let began = self.now;
        let node = &self.nodes[place];
        let result = Finished { outcome, started: node.inner(self.now), elapsed: took };
        let message = Message::Probe { node: place, life: node.life, target, began, run: due.run, result };
        let number = self.number(message);
        self.later(took, Ahead::Probe(number));
    }

    fn number(&mut self, message: Message) -> u64 {
        self.numbers += 1;
        self.messages.insert(self.numbers, message);
        self.numbers
    }

    // -------- messages: each is heard in order and once by each life of a node, or not at all

    fn tell(&mut self, from: usize, peer: &str, bulletin: Bulletin) {
        let Some(to) = self.nodes.iter().position(|node| *node.name == *peer) else { return };
        let node = &mut self.nodes[from];
        node.sequence += 1;
        let (life, sequence) = (node.life, node.sequence);
        let number = self.number(Message::Told { from, to, life, sequence, bulletin, receipt: None });
        if !self.is_lost(from, to) {
            let after = self.way();
            self.later(after, Ahead::Bulletin(number));
            if self.random.u8(..20) == 0 {
                let again = self.way();
                self.later(again, Ahead::Bulletin(number));
            }
        }
        self.later(INTERVAL, Ahead::GiveUp(number));
    }

    fn is_lost(&mut self, from: usize, to: usize) -> bool {
        self.cut[from][to] || self.random.f64() < self.loss
    }

    fn way(&mut self) -> Duration {
        self.delay.mul_f64(self.random.f64() * 2.0) + Duration::from_millis(1)
    }

    fn arrives(&mut self, number: u64) -> Result<(), Broken> {
        let Some(Message::Told { from, to, life, sequence, bulletin, .. }) = self.messages.get(&number) else { return Ok(()) };
        let (from, to, life, sequence, bulletin) = (*from, *to, *life, *sequence, bulletin.clone());
        let peer = Arc::clone(&self.nodes[from].name);
        let node = &mut self.nodes[to];
        if node.engine.is_none() || node.heard.get(&from).is_some_and(|&last| (life, sequence) <= last) {
            return Ok(());
        }
        let is_new = node.heard.insert(from, (life, sequence)).is_none_or(|(known, _)| known != life);
        if is_new {
            let peer = Arc::clone(&peer);
            self.at(to, |engine, now| engine.handle(Event::Met(peer), now))?;
        }
        let letter = LetterId(number * 2 + u64::from(is_new));
        self.nodes[to].letters.insert(letter, number);
        self.at(to, |engine, now| engine.handle(Event::Heard { letter, peer, bulletin: Box::new(bulletin) }, now))
    }

    fn answer(&mut self, place: usize, letter: LetterId, receipt: Receipt) {
        let Some(number) = self.nodes[place].letters.remove(&letter) else { return };
        let Some(Message::Told { from, receipt: waiting, .. }) = self.messages.get_mut(&number) else { return };
        *waiting = Some(receipt);
        let from = *from;
        if !self.is_lost(place, from) {
            let after = self.way();
            self.later(after, Ahead::Receipt(number));
        }
    }

    /// The sender learns what became of it, or gives up: once.
    fn ends(&mut self, number: u64, heard: bool) -> Result<(), Broken> {
        let Some(Message::Told { from, to, life, receipt, .. }) = self.messages.remove(&number) else { return Ok(()) };
        if self.nodes[from].life != life {
            return Ok(());
        }
        let peer = Arc::clone(&self.nodes[to].name);
        self.at(from, |engine, now| engine.handle(Event::Told(peer, receipt.filter(|_| heard)), now))
    }

    // -------- fate

    fn schedule_fate(&mut self) {
        let after = Duration::from_millis(self.random.u64(50..2500));
        self.later(after, Ahead::Fate);
    }

    fn fate(&mut self) -> Result<(), Broken> {
        let (node, other) = (self.random.usize(..self.nodes.len()), self.random.usize(..self.nodes.len()));
        let target = self.random.usize(..TARGETS.len());
        match self.random.u8(..16) {
            0..=3 => self.turn(target),
            4 | 5 => {
                let unseen = !self.unseen[node][target];
                self.say(|| format!("node {node} sees target {target}: {}", !unseen));
                self.blind(node, target, unseen);
            }
            6 if node != other => {
                self.cut[node][other] = !self.cut[node][other];
                self.say(|| format!("the way from node {node} to node {other} changes"));
            }
            7 | 8 => self.isolate(node, true),
            9 => self.isolate(node, false),
            10 => {
                let half: Vec<bool> = self.nodes.iter().map(|_| self.random.bool()).collect();
                self.say(|| format!("partition: {half:?}"));
                for (from, row) in self.cut.iter_mut().enumerate() {
                    row.iter_mut().enumerate().for_each(|(to, cut)| *cut = half[from] != half[to]);
                }
            }
            11 => {
                self.loss = self.random.f64() * 0.5;
                self.delay = Duration::from_millis(self.random.u64(1..300));
                self.say(|| "the network is better or worse now".to_owned());
            }
            12 => {
                let until = self.now + Duration::from_millis(self.random.u64(100..6000));
                self.say(|| format!("node {node} does not run for a while"));
                self.nodes[node].paused_until = until;
            }
            13 if self.nodes[node].engine.is_some() => {
                let wiped = self.random.bool();
                self.say(|| format!("node {node} ends{}", if wiped { ", and all it knew" } else { "" }));
                let node_ = &mut self.nodes[node];
                (node_.engine, node_.timer, node_.open) = (None, None, false);
                (node_.forced, node_.control_answered, node_.paused_until) = (None, None, Duration::ZERO);
                node_.letters.clear();
                if wiped {
                    node_.remembered.clear();
                }
                // What it said last may count for a while yet.
                node_.seen.iter_mut().for_each(|seen| (seen.word, seen.since, seen.failed) = (None, self.now, None));
                let after = Duration::from_millis(self.random.u64(50..8000));
                self.later(after, Ahead::Restart(node));
            }
            14 => self.force(node, target)?,
            _ => self.mend_paths(),
        }
        Ok(())
    }

    fn turn(&mut self, target: usize) {
        let now = self.now;
        let target_ = &mut self.targets[target];
        (target_.up, target_.since) = (!target_.up, now);
        let up = target_.up;
        self.say(|| format!("target {target} is {}", if up { "up" } else { "down" }));
    }

    fn blind(&mut self, node: usize, target: usize, unseen: bool) {
        self.unseen[node][target] = unseen;
        if target < TARGETS.len() {
            self.nodes[node].seen[target].in_sight = if unseen { Duration::MAX } else { self.now };
        }
    }

    fn isolate(&mut self, node: usize, isolated: bool) {
        self.say(|| format!("node {node} is cut off: {isolated}"));
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            (self.cut[node][other], self.cut[other][node]) = (isolated, isolated);
        }
        (0..=TARGETS.len()).for_each(|target| self.blind(node, target, isolated));
    }

    /// An operator says of one target that it is up or down, here, or takes that back.
    fn force(&mut self, place: usize, target: usize) -> Result<(), Broken> {
        let node = &mut self.nodes[place];
        if node.engine.is_none() || node.paused_until > self.now || !node.open {
            return Ok(());
        }
        let (target, value) = match node.forced.take() {
            Some((target, _)) => (target, None),
            None => (target, Some(if self.random.bool() { Value::Up } else { Value::Down })),
        };
        self.nodes[place].forced = value.map(|value| (target, value));
        let subject = Subject::Target(self.targets[target].address, None);
        let action = match value {
            None => Action::Release,
            Some(value) => Action::Say {
                state: if value == Value::Up { "up" } else { "down" }.parse().expect("a state"),
                lasting: None,
                since: 0,
                by: "me".into(),
                reason: "a simulation".into(),
            },
        };
        let (if_version, dry_run, volatile) = (None, false, false);
        let command = Command { subject, action, if_version, dry_run, accept_empty: true, accept_unknown: true, volatile };
        self.say(|| format!("node {place}: an operator says {value:?} of target {target}"));
        self.at(place, |engine, now| engine.handle(Event::Ordered(CommandId(1), Box::new(command)), now))
    }

    fn mend_paths(&mut self) {
        self.say(|| "all ways are open".to_owned());
        self.cut.iter_mut().flatten().for_each(|cut| *cut = false);
        for node in 0..self.nodes.len() {
            (0..=TARGETS.len()).for_each(|target| self.blind(node, target, false));
        }
        self.loss = 0.0;
    }

    /// From now on nothing goes wrong.
    fn mend(&mut self) {
        self.mend_paths();
        self.delay = Duration::from_millis(20);
        self.ahead.retain(|Reverse((_, _, what))| !matches!(what, Ahead::Fate | Ahead::Restart(_)));
        for place in 0..self.nodes.len() {
            self.nodes[place].paused_until = Duration::ZERO;
            if self.nodes[place].engine.is_none() {
                self.later(Duration::ZERO, Ahead::Restart(place));
            } else if self.nodes[place].forced.is_some() {
                drop(self.force(place, 0));
            }
        }
    }

    // -------- invariants

    fn holds(&self, invariant: Invariant, holds: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
        if holds { Ok(()) } else { Err(format!("{invariant:?} is broken at {:.3} s: {}", self.now.as_secs_f64(), what())) }
    }

    /// Takes down what a node sees now.
    fn look(&mut self, place: usize) {
        let now = self.now;
        let node = &mut self.nodes[place];
        let Some(engine) = &node.engine else { return };
        let blind = engine.overview().isolated_since.is_some();
        for view in engine.checks() {
            let Some(target) = self.targets.iter().position(|target| Some(target.address) == view.spec.address) else { continue };
            let seen = &mut node.seen[target];
            let word = if blind { Word::NoWord } else { word(&view) };
            if seen.word != Some(word) {
                (seen.word, seen.since) = (Some(word), now);
            }
            if word == Word::Down {
                seen.last_down = Some(now);
            }
        }
    }

    /// A node no longer believes that a target is up.
    fn goes_down(&self, place: usize, target: usize) -> Result<(), Broken> {
        let node = &self.nodes[place];
        let long = |since: Duration| since.checked_add(MEMORY).is_some_and(|until| until < self.now);
        let (of, recent) = (self.nodes.len(), self.now - MEMORY);
        let alone = self.may_be_alone(place, target);
        let count = |test: &dyn Fn(&Seen) -> bool| self.nodes.iter().filter(|node| test(&node.seen[target])).count();
        let sees_down = count(&|seen| seen.last_down.is_some_and(|at| at >= recent));
        let sees_up = count(&|seen| seen.word == Some(Word::Up) && long(seen.since));
        let told = || {
            let Node { control_answered, seen, .. } = node;
            let failed = seen[target].failed;
            format!(
                "node {place} withdraws target {target}; {sees_down} of {of} see it down, {sees_up} up; it failed at {failed:?}, \
                 and the control answered at {control_answered:?}"
            )
        };
        self.holds(Invariant::WhatTheMajoritySeesUpStays, alone || 2 * sees_up <= of, told)?;
        let living = self.targets[target].up && long(self.targets[target].since);
        let watching = self.nodes.iter().filter(|node| node.engine.is_some() && long(node.seen[target].in_sight)).count();
        let paused = self.nodes.iter().any(|node| node.paused_until + MEMORY > self.now);
        let safe = living && 2 * watching > of && !paused;
        self.holds(Invariant::TheLivingStay, alone || !safe, told)?;
        if !alone {
            self.holds(Invariant::LosingSightChangesNoAnswer, 2 * sees_down > of, told)?;
            let lonely = node.engine.as_ref().is_some_and(|engine| 2 * (1 + heard(engine)) <= of);
            self.holds(Invariant::AnIsolatedMinorityWithdrawsNothing, !lonely, told)?;
        }
        Ok(())
    }

    /// Whether it may be that a node decides about a target without the others: half of them or fewer have a word, and the control
    /// has answered before and after it saw the target down. (What is cut for less than that takes, it cannot know.)
    fn may_be_alone(&self, place: usize, target: usize) -> bool {
        let Some(engine) = &self.nodes[place].engine else { return false };
        let counts: Vec<_> =
            engine.overview().peers.into_iter().filter(|peer| peer.fresh && !peer.blind).map(|peer| peer.name).collect();
        let address = Some(self.targets[target].address);
        let Some(view) = engine.checks().find(|view| view.spec.address == address) else { return false };
        let words = view.said.iter().filter(|(peer, said)| counts.contains(peer) && said.word != Word::NoWord).count();
        let node = &self.nodes[place];
        let answers = node.control_answered.zip(node.seen[target].failed);
        let in_sight = answers.is_some_and(|((first, last), failed)| first <= failed && failed <= last);
        // After a while nodes go by their own eyes, and without those that see nothing.
        self.solo_after < TROUBLE || (2 * (1 + words) <= self.nodes.len() && in_sight)
    }

    /// There are answers, and forced targets are in them or not.
    fn never_empty(&mut self, place: usize) -> Result<(), Broken> {
        if !self.nodes[place].open {
            return Ok(());
        }
        let answer = self.ask(place, "all", 1);
        self.holds(Invariant::NeverEmpty, !answer.is_empty(), || format!("node {place} has none"))?;
        let Some((target, value)) = self.nodes[place].forced else { return Ok(()) };
        let Some(engine) = &self.nodes[place].engine else { return Ok(()) };
        let address = Some(self.targets[target].address);
        let counts = engine.checks().find(|view| view.spec.address == address).map(|view| view.counts);
        let stands = counts.is_none_or(|counts| counts.value == value && counts.basis == Basis::Forced);
        self.holds(Invariant::ForcedStaysForced, stands, || format!("node {place}, target {target}: {counts:?}"))
    }

    fn all_agree(&mut self) -> Result<(), Broken> {
        let up: Vec<IpAddr> = self.targets.iter().filter(|target| target.up).map(|target| target.address).collect();
        for (name, clients) in [("all", 1), ("hash", 20)] {
            for client in 0..clients {
                let answers: Vec<Vec<IpAddr>> = (0..self.nodes.len()).map(|place| self.ask(place, name, client)).collect();
                let same = answers.iter().all(|answer| *answer == answers[0]);
                let right = up.is_empty() || answers[0].iter().all(|address| up.contains(address));
                let all = name != "all" || up.is_empty() || answers[0] == up;
                let told = || format!("{name} for client {client}: {answers:?}; up are {up:?}");
                self.holds(Invariant::AllAgreeInTheEnd, same && right && all, told)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, place: usize, name: &str, client: u8) -> Vec<IpAddr> {
        let node = &mut self.nodes[place];
        let ctx = Ctx {
            client: SocketAddr::from(([10, 1, client, 1], 4711)),
            local: SocketAddr::from(([192, 0, 2, 53], 53)),
            transport: Transport::Udp,
            now: Now { monotonic: 0, unix: 1_700_000_000 },
        };
        let name: Name = format!("{name}.{APEX}").parse().expect("a name");
        let query = QueryBuilder::new(&name, RecordType::A, Class::IN).build();
        let mut reply = [0; 1232];
        let Response::Reply(length) = respond(&node.published.load(), &mut node.worker, &ctx, &query, &mut reply) else {
            return Vec::new();
        };
        let message = hickory_proto::op::Message::from_vec(&reply[..length]).expect("a message");
        let mut answers: Vec<IpAddr> = message.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
        answers.sort_unstable();
        answers
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.told {
            println!("{:>9.3} {}", self.now.as_secs_f64(), what());
        }
    }
}

/// How many peers can be heard.
fn heard(engine: &Engine) -> usize {
    engine.overview().peers.iter().filter(|peer| peer.fresh && !peer.blind).count()
}

/// What a node says of what it sees.
fn word(view: &CheckView) -> Word {
    match view.own.value {
        Value::Up if view.own.basis == Basis::Measured => Word::Up,
        Value::Down if view.own.basis == Basis::Measured => Word::Down,
        Value::Up | Value::Down | Value::Unknown => Word::NoWord,
    }
}

fn region(place: usize) -> Box<str> {
    ["eu", "us", "ap"][place % 3].into()
}

impl Node {
    fn new(place: usize, rate: u64, seed: u64) -> Self {
        let options = Arc::new(Options::default());
        Self {
            name: format!("node-{place}").into(),
            engine: None,
            timer: None,
            published: Published::new(Arc::new(Snapshot::empty(options, 1))),
            worker: Worker::new(0, fastrand::Rng::with_seed(seed)),
            generation: Generation(0),
            life: 0,
            began: Duration::ZERO,
            rate,
            paused_until: Duration::ZERO,
            open: false,
            remembered: BTreeMap::new(),
            sequence: 0,
            heard: HashMap::new(),
            letters: HashMap::new(),
            forced: None,
            control_answered: None,
            seen: vec![Seen::default(); TARGETS.len()],
        }
    }

    fn begin(&mut self, health: health::Config, incarnation: Incarnation, seed: u64, began: Duration) {
        (self.life, self.began, self.generation, self.sequence) = (self.life + 1, began, Generation(0), 0);
        self.heard.clear();
        let options = Arc::new(Options::default());
        self.published = Published::new(Arc::new(Snapshot::empty(Arc::clone(&options), 1)));
        let publish_interval = Duration::from_millis(10);
        let config = Config { health: health.clone(), options: Arc::clone(&options), publish_interval, workers: 1 };
        let now = self.inner(began);
        let remembered = self.remembered.clone().into_iter().collect();
        let mut engine =
            Engine::new(config, fastrand::Rng::with_seed(seed), now).remembering(remembered, now).speaking_as(incarnation, now);
        let load = Load {
            id: LoadId(1),
            kind: LoadKind::Start,
            zones: vec![zone_load(&self.published.load())],
            removed: Vec::new(),
            words: None,
            health,
            places: Arc::new(Places::empty()),
            options,
            publish_interval,
        };
        engine.handle(Event::Loaded(Box::new(load)), now);
        self.engine = Some(engine);
    }

    /// What a probe finds.
    fn finds(&mut self, target: Option<usize>, began: Duration, outcome: &Outcome) {
        match (target, outcome) {
            (None, Outcome::Pass { .. }) => {
                let first = self.control_answered.map_or(began, |(first, _)| first);
                self.control_answered = Some((first, began));
            }
            (None, Outcome::Fail(_) | Outcome::Inconclusive(_)) => self.control_answered = None,
            (Some(target), Outcome::Pass { .. }) => self.seen[target].failed = None,
            (Some(target), Outcome::Fail(_)) => self.seen[target].failed = Some(began),
            (Some(_), Outcome::Inconclusive(_)) => {}
        }
    }

    /// What its clock shows.
    fn inner(&self, now: Duration) -> Moment {
        let span = now.saturating_sub(self.began).as_nanos() * u128::from(self.rate) / 1000;
        Moment::at(Duration::from_secs(5000) + Duration::from_nanos(u64::try_from(span).expect("a short time")))
    }

    /// When its clock shows that.
    fn outer(&self, moment: Moment) -> Duration {
        let span = moment.since(Moment::at(Duration::from_secs(5000))).as_nanos();
        let span = (span * 1000).div_ceil(u128::from(self.rate));
        self.began + Duration::from_nanos(u64::try_from(span).unwrap_or(u64::MAX / 4))
    }
}

/// A zone file that is a string.
struct Text(String);

impl zone::Source for Text {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}

fn zone_load(snapshot: &Snapshot) -> leeward::control::ZoneLoad {
    let targets = TARGETS.map(|target| format!("'{target}'")).join(", ");
    let options = "interval=1, timeout=0.3";
    let text = format!(
        "@ 30 IN SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\nns1 A 192.0.2.53\n\
         all LUA A \"ifportup(80, {{ {targets} }}, {{ selector='all', backupSelector='all', {options} }})\"\n\
         hash LUA A \"ifportup(80, {{ {targets} }}, {{ selector='hashed', backupSelector='hashed', {options} }})\"\n"
    );
    let apex: Name = APEX.parse().expect("a name");
    let loaded = zone::load(&Text(text), Path::new("zone"), apex.as_ref());
    let contents = loaded.contents.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let options = Options::default();
    let programs = program::Settings { defaults: options.checks.clone(), step_limit: options.programs.steps, shared: false };
    let settings = Settings { programs, insert_whitespace: false, fence: Default::default() };
    let version = compile::version(snapshot, contents, &settings, &mut Slots::default(), compile::Origin::default());
    assert!(version.findings.is_empty(), "{:#?}", version.findings);
    version.load
}
