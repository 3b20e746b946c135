//! Runs the probes that fall due, and reports what they find to the engine.
//!
//! Each thread has a runtime of its own, which shares nothing with any other: between threads that take work from each other, as
//! the control runtime's do, a probe would wander at each of its steps. What a probe costs beside its own system calls is threads that are woken: one to begin it, one for what it finds. So what
//! falls due at one moment ([`health`](crate::health) sees to it that much does) runs as one task, and nobody is woken for what
//! was found the last time too: it waits for the others of its task, [`PATIENCE`] at most. News waits for nothing.
//!
//! Never here: when a probe is due, what its result means.

use std::cell::Cell;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::clock;
use super::drive::Message;
use crate::api::Meters;
use crate::control::Event;
use crate::health::{Due, Finished, Moment, RunId, WireId};
use crate::prober::{Prober, Pulse};
use crate::target::{CheckSpec, Inconclusive, Outcome};

/// Probes that run as one task at most: what one of them computes (a handshake takes a millisecond) holds up the others.
const TOGETHER: usize = 32;

/// How long what is no news may wait for others: far below the shortest interval, and of no use to anybody sooner. The second
/// of several failures that it takes is late by no more than that.
const PATIENCE: Duration = Duration::from_millis(10);

/// How long a thread may take to end; a look-up that hangs cannot be called back.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(200);

/// The threads that run probes. They end when this goes, and with them every probe and its command.
pub(super) struct Threads {
    ends: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Threads {
    /// Starts one thread for each of the probers, which run `pulses` in the same order.
    pub(super) fn start(
        probers: Vec<(Prober, Arc<Pulse>)>,
        inbox: &Sender<Message>,
        meters: &Arc<Meters>,
    ) -> io::Result<(Self, Probes)> {
        let (mut threads, mut ends) = (Vec::new(), Vec::new());
        for (prober, pulse) in probers {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (inbox, meters) = (inbox.clone(), Arc::clone(meters));
            threads.push(Arc::new(Thread { runtime: runtime.handle().clone(), prober, inbox, meters }));
            let (stop, stopped) = oneshot::channel();
            let body = move || {
                runtime.block_on(async {
                    tokio::select! {
                        never = pulse.run() => match never {},
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_timeout(SHUTDOWN_WAIT);
            };
            ends.push((stop, std::thread::Builder::new().name("prober".into()).spawn(body)?));
        }
        Ok((Self { ends }, Probes { threads, turn: Cell::new(0) }))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let threads: Vec<_> = self.ends.drain(..).map(|(_stop, thread)| thread).collect();
        for thread in threads {
            drop(thread.join()); // one that has panicked has ended
        }
    }
}

/// Hands probes to the threads in turn.
pub(super) struct Probes {
    threads: Vec<Arc<Thread>>,
    turn: Cell<usize>,
}

struct Thread {
    runtime: tokio::runtime::Handle,
    prober: Prober,
    inbox: Sender<Message>,
    meters: Arc<Meters>,
}

impl Probes {
    /// Begins all that are due.
    pub(super) fn run(&self, due: Vec<Due>) {
        let asked = clock::now();
        let mut due = due.into_iter();
        while due.len() > 0 {
            let (thread, together) = (self.next(), due.by_ref().take(TOGETHER).collect::<Vec<_>>());
            thread.runtime.clone().spawn(async move {
                report(together.iter().map(|due| thread.probe(due, asked)).collect()).await;
            });
        }
    }

    /// Holds an idle connection, and reports its end.
    pub(super) fn watch(&self, id: WireId, spec: Arc<CheckSpec>) -> AbortHandle {
        let thread = self.next();
        let wire = thread.runtime.clone().spawn(async move {
            thread.prober.watch(&spec).await;
            drop(thread.inbox.send(Message::Event(Event::Tripped(id))));
        });
        wire.abort_handle()
    }

    fn next(&self) -> Arc<Thread> {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.threads.len());
        Arc::clone(&self.threads[turn])
    }
}

impl Thread {
    /// From here on the run is reported, even if the future is never polled.
    fn probe<'a>(&'a self, due: &'a Due, asked: Moment) -> impl Future<Output = Reporter<'a>> {
        let in_flight = InFlight::new(&self.meters);
        let reporter = Reporter { inbox: &self.inbox, run: due.run, passed: due.passed, result: None, told: false };
        let probing = async move {
            let report = self.prober.probe(&due.spec).await;
            let started = Moment::at(report.started);
            self.meters.probe_late(started.since(asked));
            self.meters.probe_finished(&due.spec.kind, report.elapsed, &report.outcome);
            drop(in_flight);
            Finished { outcome: report.outcome, started, elapsed: report.elapsed }
        };
        reported(reporter, probing)
    }
}

/// Runs a probe; one that panics has come to nothing, and takes none of those that run beside it along.
async fn reported(mut reporter: Reporter<'_>, probing: impl Future<Output = Finished>) -> Reporter<'_> {
    // What a probe leaves behind when it unwinds is its own, or a lock that recovers.
    reporter.result = AssertUnwindSafe(probing).catch_unwind().await.ok();
    reporter
}

/// Runs probes to their ends, and lets go of what they found as soon as somebody should know.
async fn report<'a, P: Future<Output = Reporter<'a>>>(mut running: FuturesUnordered<P>) {
    let mut held = Vec::new();
    let mut enough = pin!(sleep(PATIENCE));
    loop {
        tokio::select! {
            found = running.next() => match found {
                Some(found) => {
                    if held.is_empty() {
                        enough.as_mut().reset(Instant::now() + PATIENCE);
                    }
                    let is_news = found.is_news();
                    held.push(found);
                    if is_news {
                        tell(&mut held);
                    }
                }
                None => return tell(&mut held),
            },
            () = &mut enough, if !held.is_empty() => tell(&mut held),
        }
    }
}

/// Reports runs together, so that the engine is woken for them once.
fn tell(held: &mut Vec<Reporter<'_>>) {
    let Some(inbox) = held.first().map(|found| found.inbox) else { return };
    let events = held.drain(..).map(Reporter::into_event).collect();
    drop(inbox.send(Message::Events(events))); // an engine that has ended does not want it
}

/// A probe that was asked for and has not ended.
struct InFlight<'a>(&'a Meters);

impl<'a> InFlight<'a> {
    fn new(meters: &'a Meters) -> Self {
        meters.probe_asked();
        Self(meters)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.probe_ended();
    }
}

/// Reports a run when it goes, however it ends: a probe that nobody reports would never run again.
struct Reporter<'a> {
    inbox: &'a Sender<Message>,
    run: RunId,
    /// What was found the last time.
    passed: Option<bool>,
    result: Option<Finished>,
    told: bool,
}

impl Reporter<'_> {
    fn into_event(mut self) -> Event {
        self.told = true;
        self.event()
    }

    fn event(&mut self) -> Event {
        let failed = || Finished {
            outcome: Outcome::Inconclusive(Inconclusive::Internal),
            started: clock::now(),
            elapsed: Duration::ZERO,
        };
        Event::Probed { run: self.run, result: self.result.take().unwrap_or_else(failed) }
    }

    fn is_news(&self) -> bool {
        self.result.as_ref().is_none_or(|found| found.outcome.passed() != self.passed)
    }
}

impl Drop for Reporter<'_> {
    fn drop(&mut self) {
        if !self.told {
            drop(self.inbox.send(Message::Events(vec![self.event()])));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::health::Checks;
    use crate::target::{CheckKind, CheckRequest, Failure, Judgement};

    /// So many runs that are due.
    fn due(count: u8) -> Vec<RunId> {
        let mut checks = Checks::new(Duration::from_secs(60));
        let now = Moment::at(Duration::ZERO);
        for host in 0..count {
            let address = Some(Ipv4Addr::new(192, 0, 2, host).into());
            let spec = CheckSpec { address, port: 80, source: None, kind: CheckKind::Tcp, timeout: Duration::from_secs(1) };
            let interval = Duration::from_secs(5);
            checks.acquire(&CheckRequest { spec: spec.into(), judgement: Judgement::AT_ONCE, interval }, None, now);
        }
        checks.start_due(now).into_iter().map(|due| due.run).collect()
    }

    async fn probed(inbox: &Sender<Message>, run: RunId, passed: Option<bool>, after: u64, outcome: Outcome) -> Reporter<'_> {
        let mut reporter = Reporter { inbox, run, passed, result: None, told: false };
        sleep(Duration::from_millis(after)).await;
        let started = Moment::at(Duration::ZERO);
        reporter.result = Some(Finished { outcome, started, elapsed: Duration::from_millis(after) });
        reporter
    }

    /// What has been reported, in order.
    fn heard(told: &Receiver<Message>) -> Vec<(RunId, Outcome)> {
        let results = |message| match message {
            Message::Events(events) => events,
            Message::Event(_) | Message::Ask(_) | Message::Letter(_) => Vec::new(),
        };
        let result = |event| match event {
            Event::Probed { run, result } => Some((run, result.outcome)),
            _ => None,
        };
        told.try_iter().flat_map(results).filter_map(result).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_known_waits_a_little_and_news_waits_for_nothing() {
        let (inbox, told) = channel();
        let runs = due(5);
        let dead = || Outcome::Fail(Failure::Refused);
        let (up, down) = (Some(true), Some(false));
        let found = [
            (up, 1, Outcome::PASS),
            (down, 2, dead()),
            (up, 4, dead()),
            (None, 20, Outcome::Inconclusive(Inconclusive::Paused)),
            (down, 100, Outcome::PASS),
        ];
        let probes =
            runs.iter().zip(&found).map(|(&run, (before, after, now))| probed(&inbox, run, *before, *after, now.clone()));
        let (begin, mut reporting) = (Instant::now(), pin!(report(probes.collect())));
        let mut seen = Vec::new();
        for until in [3, 5, 29, 31, 99, 101] {
            let ended = tokio::time::timeout_at(begin + Duration::from_millis(until), &mut reporting).await;
            assert_eq!(ended.is_ok(), until == 101);
            seen.push(heard(&told).len());
        }
        assert_eq!(seen, [0, 3, 0, 1, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_to_nothing_is_reported() {
        let (inbox, told) = channel();
        let runs = due(3);
        let reporter = |at: usize| Reporter { inbox: &inbox, run: runs[at], passed: None, result: None, told: false };
        drop(reported(reporter(0), std::future::pending())); // never polled
        let probing = |fails: bool| async move {
            assert!(!fails, "as a test does");
            Finished { outcome: Outcome::PASS, started: Moment::at(Duration::ZERO), elapsed: Duration::ZERO }
        };
        report([true, false].into_iter().zip(1..).map(|(fails, at)| reported(reporter(at), probing(fails))).collect()).await;
        let mut told = heard(&told);
        told.sort_by_key(|(run, _)| *run);
        let internal = Outcome::Inconclusive(Inconclusive::Internal);
        assert_eq!(told, [(runs[0], internal.clone()), (runs[1], internal), (runs[2], Outcome::PASS)]);
    }
}
