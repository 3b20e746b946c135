//! What a change of a target's health costs, from its event to the published snapshot.
//!
//! A zone of 100,000 programs of 3 targets each, every target in about 30 of them. Beside criterion's wall time, this
//! prints what nothing but a clock of the thread's own CPU time can tell, and what clients see of it:
//!
//! - `cpu`: CPU time of 1,000 flips of an ordinary target, on the engine's thread.
//! - `event`: the same from the event's sending to the snapshot's publishing, with the engine on a thread of its own that
//!   takes its events from a channel, as the server does.
//! - `shared`: one flip of a target that is in all programs, and flips of other targets meanwhile.
//! - `latency`: of queries, while nothing flips and while 100 targets do each second.
//!
//! `cargo bench --bench publish -- cpu` runs one of them. Nothing here asserts a time.
#![allow(clippy::disallowed_methods, reason = "benchmarks measure")]

mod common;

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{APEX, HEAD, Node, PUBLISH_INTERVAL, ctx, is_asked_for, is_measured, probed, quantile, summary};
use criterion::Criterion;
use leeward::answers::{Published, Snapshot, Worker, respond};
use leeward::control::Event;
use leeward::geo::Places;
use leeward::health::{Moment, RunId};
use leeward::node::reaper::reap;
use leeward::target::{Failure, Outcome};
use leeward::wire::{Class, Name, QueryBuilder, RecordType};
use rustix::time::{ClockId, clock_gettime};

/// Flips that are measured, each of another target.
const FLIPS: usize = 1000;
/// Flips a second while queries are answered.
const RATE: u32 = 100;
/// From one flip to the next where each is to be published at once.
const PACE: Duration = Duration::from_millis(11);
/// Queries between two looks for a newer snapshot: a batch of the server's.
const BATCH: usize = 32;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let programs = if is_measured() { 100_000 } else { 300 };
    let mut node = Flipping::start(&zone(programs, false));
    criterion.bench_function("publish/flip", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| node.flip().1).sum());
    });
    if is_asked_for("cpu") {
        print_cpu(&mut node);
    }
    if is_asked_for("latency") {
        print_latency(&mut node, programs);
    }
    if is_asked_for("event") {
        println!("event: from sending to publishing: {}", summary(by_channel(&mut node, times(FLIPS), false)));
    }
    if is_asked_for("shared") {
        print_shared(programs);
    }
    criterion.final_summary();
}

/// How many of these, in a run that only looks whether everything works.
fn times(count: usize) -> usize {
    if is_measured() { count } else { count / 100 }
}

/// So many programs of three targets, each in about thirty; `shared`: the third is the same for all.
fn zone(programs: u32, shared: bool) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = HEAD.to_owned();
    let targets = (programs / 10).max(3);
    for program in 0..programs {
        let mut chosen = [0; 3];
        for at in 0..chosen.len() {
            chosen[at] = std::iter::repeat_with(|| random.u32(1..=targets)).find(|new| !chosen.contains(new)).expect("endless");
        }
        if shared {
            chosen[2] = 0;
        }
        let [a, b, c] = chosen.map(address);
        let selector = ["all", "random", "hashed"][program as usize % 3];
        let code = format!("ifportup(80, {{'{a}', '{b}', '{c}'}}, {{selector='{selector}'}})");
        writeln!(text, "p{program} LUA A \"{code}\"").expect("memory");
    }
    text
}

fn address(target: u32) -> IpAddr {
    IpAddr::V4((0x0A00_0000 + target).into())
}

/// A node every one of whose targets has a probe under way, so that each can be flipped when that is wanted.
struct Flipping {
    node: Node,
    now: Moment,
    begun: (Moment, Instant),
    /// Probes under way, in random order, and the one of the target that all share.
    waiting: Vec<(RunId, IpAddr)>,
    shared: Option<RunId>,
    down: HashMap<IpAddr, bool>,
    random: fastrand::Rng,
    retired: Sender<Arc<Snapshot>>,
}

impl Flipping {
    fn start(text: &str) -> Self {
        let now = Moment::at(Duration::from_secs(1000));
        let node = Node::start(text, Arc::new(Places::empty()), now);
        let (retired, to_free) = channel();
        let reaper = thread::Builder::new().name("reaper".into());
        reaper.spawn(move || reap(&to_free)).expect("a thread");
        let (begun, random) = ((now, Instant::now()), fastrand::Rng::with_seed(3));
        let mut flipping = Self { node, now, begun, waiting: Vec::new(), shared: None, down: HashMap::new(), random, retired };
        flipping.pass(Duration::from_secs(6));
        flipping
    }

    /// Time passes; the probes that are due begin.
    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.node.engine.handle_timeout(self.now);
        self.run_effects();
        for (run, spec) in std::mem::take(&mut self.node.running) {
            let address = spec.address.expect("a target");
            if address == self::address(0) {
                self.shared = Some(run);
                continue;
            }
            let place = self.random.usize(..=self.waiting.len());
            self.waiting.push((run, address));
            let last = self.waiting.len() - 1;
            self.waiting.swap(place, last);
        }
    }

    fn run_effects(&mut self) {
        let retired = &self.retired;
        self.node.run_effects(|snapshot| drop(retired.send(snapshot)));
    }

    /// The result that flips the next target, or the one that all share.
    fn next_result(&mut self, shared: bool) -> (RunId, Outcome) {
        let (run, address) = match (shared, self.shared.take()) {
            (true, run) => (run.expect("its probe is under way"), address(0)),
            (false, run) => {
                self.shared = run;
                self.waiting.pop().expect("more targets than are flipped in an interval")
            }
        };
        let down = self.down.entry(address).or_insert(false);
        *down = !*down;
        (run, if *down { Outcome::Fail(Failure::Refused) } else { Outcome::PASS })
    }

    /// Flips the next target, once what was published before allows it: CPU time and wall time.
    fn flip(&mut self) -> (Duration, Duration) {
        self.pass(PUBLISH_INTERVAL);
        let (run, outcome) = self.next_result(false);
        let event = probed(run, outcome, self.now);
        let before = (cpu_time(), Instant::now());
        self.node.engine.handle(event, self.now);
        self.run_effects();
        (cpu_time() - before.0, before.1.elapsed())
    }

    /// What the server's engine thread does, until nobody sends any more: from sending to publishing, each that brings a
    /// snapshot of its own; `sweeping`: only those that come in the middle of a sweep.
    fn drive(&mut self, events: &Receiver<(Event, Instant)>, sweeping: bool) -> Vec<Duration> {
        let mut times = Vec::new();
        loop {
            self.node.engine.handle_timeout(self.real_now());
            self.run_effects();
            let next = self.node.engine.next_timeout();
            let in_sweep = next.is_some_and(|next| next <= self.real_now());
            let wait = next.map_or(PUBLISH_INTERVAL, |next| next.since(self.real_now()));
            match events.recv_timeout(wait) {
                Ok((event, sent)) => {
                    let before = self.node.published.load().generation;
                    self.node.engine.handle(event, self.real_now());
                    self.run_effects();
                    if self.node.published.load().generation > before && (in_sweep || !sweeping) {
                        times.push(sent.elapsed());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.now = self.real_now();
        times
    }

    /// The time now, where it is real.
    fn real_now(&self) -> Moment {
        self.begun.0 + self.begun.1.elapsed()
    }
}

/// What this thread has used.
fn cpu_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

fn print_cpu(node: &mut Flipping) {
    let flip = |_| {
        thread::sleep(Duration::from_millis(2)); // the reaper frees what the last one has replaced
        node.flip().0
    };
    let times = (0..times(FLIPS)).map(flip).collect();
    println!("cpu: of a flip, on the engine's thread: {}", summary(times));
}

fn print_shared(programs: u32) {
    let mut node = Flipping::start(&zone(programs, true));
    node.pass(PUBLISH_INTERVAL);
    node.begun = (node.now, Instant::now());
    let (run, outcome) = node.next_result(true);
    let (event, before, generation) = (probed(run, outcome, node.now), cpu_time(), node.node.published.load().generation);
    node.node.engine.handle(event, node.now);
    node.run_effects();
    let mut slices = vec![cpu_time() - before];
    while node.node.engine.next_timeout().is_some_and(|next| next <= node.now) {
        let began = cpu_time();
        node.now = node.real_now();
        node.node.engine.handle_timeout(node.now);
        node.run_effects();
        slices.push(cpu_time() - began);
    }
    let (cpu, wall) = (cpu_time() - before, node.begun.1.elapsed());
    let published = node.node.published.load().generation.0 - generation.0;
    println!("shared: CPU {cpu:?}, wall {wall:?}, {published} published; of a slice: {}", summary(slices));
    let mut others = Vec::new();
    for _ in 0..times(FLIPS) / 50 {
        node.pass(Duration::from_secs(6));
        others.append(&mut by_channel(&mut node, 20, true));
    }
    println!("shared: {} flips of others meanwhile, from sending to publishing: {}", others.len(), summary(others));
}

/// Flips so many targets, with the engine on a thread of its own: from sending to publishing, each. With `shared`, the
/// target that all share is flipped first, and only the flips that fall into the sweep count.
fn by_channel(node: &mut Flipping, count: usize, shared: bool) -> Vec<Duration> {
    let (inbox, events) = channel::<(Event, Instant)>();
    node.pass(PUBLISH_INTERVAL);
    node.begun = (node.now, Instant::now());
    let (now, begun) = node.begun;
    let big = shared.then(|| node.next_result(true));
    let own: Vec<_> = (0..count).map(|_| node.next_result(false)).collect();
    let sender = thread::spawn(move || {
        let results = own.into_iter().enumerate().map(|(at, result)| (PACE * at as u32, result));
        for (at, (run, outcome)) in big.into_iter().map(|result| (Duration::ZERO, result)).chain(results) {
            thread::sleep((begun + at).saturating_duration_since(Instant::now())); // the pace of the flips
            inbox.send((probed(run, outcome, now + begun.elapsed()), Instant::now())).expect("the engine runs");
        }
    });
    let times = node.drive(&events, shared);
    sender.join().expect("no panic");
    times
}

/// Answers in a loop while nothing flips, and while targets do.
fn print_latency(node: &mut Flipping, programs: u32) {
    let span = if is_measured() { Duration::from_secs(10) } else { Duration::from_millis(100) };
    for (what, rate) in [("without flips", 0), ("with flips", RATE), ("without flips", 0), ("with flips", RATE)] {
        let ending = Arc::new(AtomicBool::new(false));
        let asker = {
            let (published, ending) = (node.node.published.clone(), Arc::clone(&ending));
            thread::spawn(move || ask(&published, programs, &ending))
        };
        let begun = Instant::now();
        let mut flips = 0;
        while begun.elapsed() < span {
            if rate == 0 {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            let due = begun + Duration::from_secs(1) / rate * flips;
            thread::sleep(due.saturating_duration_since(Instant::now())); // the pace of the flips
            node.flip();
            flips += 1;
        }
        ending.store(true, Ordering::Relaxed);
        let mut seen = asker.join().expect("no panic");
        seen.sort_unstable();
        let [half, most, nearly] = [0.5, 0.99, 0.999].map(|share| quantile(&seen, share));
        println!("latency: {what}: {} queries, {flips} flips: p50 {half:?}, p99 {most:?}, p99.9 {nearly:?}", seen.len());
    }
}

/// Asks for one program after another, at random, until it is over: how long each answer took.
fn ask(published: &Published, programs: u32, ending: &AtomicBool) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(5);
    let queries: Vec<Vec<u8>> = (0..programs.min(10_000)).map(|_| query(random.u32(..programs))).collect();
    let mut worker = Worker::new(0, fastrand::Rng::with_seed(6));
    let (mut reader, mut reply, ctx) = (published.reader(), vec![0; 1232], ctx([198, 51, 100, 7]));
    let mut seen = Vec::with_capacity(1 << 25);
    while !ending.load(Ordering::Relaxed) {
        let mut last = Instant::now();
        let snapshot = reader.load();
        for _ in 0..BATCH {
            let query = &queries[random.usize(..queries.len())];
            respond(snapshot, &mut worker, &ctx, query, &mut reply);
            let now = Instant::now();
            seen.push(now - last);
            last = now;
        }
    }
    seen
}

fn query(program: u32) -> Vec<u8> {
    let name: Name = format!("p{program}.{APEX}").parse().expect("a name");
    QueryBuilder::new(&name, RecordType::A, Class::IN).client_subnet(None).build()
}
