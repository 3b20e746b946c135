//! Runs the probes that fall due, and reports what they find to the engine.
//!
//! Each thread has a runtime of its own, which shares nothing with any other: between threads that take work from each other, as
//! the control runtime's do, a probe would wander at each of its steps. What a probe costs beside its own system calls is threads that are woken: one to begin it, one for what it finds. So what
//! falls due at one moment ([`health`](crate::health) sees to it that much does) runs as one task, and nobody is woken for a
//! pass alone: it waits for the others of its task, [`PATIENCE`] at most. What is not a pass waits for nothing.
//!
//! Never here: when a probe is due, what its result means.

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
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

/// How long a pass may wait for others: far below the shortest interval, and of no use to anybody sooner. A target that is
/// back has been down for longer than that.
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
    async fn probe(&self, due: &Due, asked: Moment) -> Reporter<'_> {
        let _in_flight = InFlight::new(&self.meters);
        let mut reporter = Reporter { inbox: &self.inbox, run: due.run, result: None };
        let report = self.prober.probe(&due.spec).await;
        let started = Moment::at(report.started);
        self.meters.probe_late(started.since(asked));
        self.meters.probe_finished(&due.spec.kind, report.elapsed, &report.outcome);
        reporter.result = Some(Finished { outcome: report.outcome, started, elapsed: report.elapsed });
        reporter
    }
}

/// Runs probes to their ends, and lets go of what they found as soon as somebody should know.
async fn report<'a, P: Future<Output = Reporter<'a>>>(mut running: FuturesUnordered<P>) {
    let mut passes = Vec::new();
    let mut enough = pin!(sleep(PATIENCE));
    loop {
        tokio::select! {
            found = running.next() => match found {
                Some(found) if found.is_pass() => {
                    if passes.is_empty() {
                        enough.as_mut().reset(Instant::now() + PATIENCE);
                    }
                    passes.push(found);
                }
                Some(_news) => passes.clear(),
                None => return,
            },
            () = &mut enough, if !passes.is_empty() => passes.clear(),
        }
    }
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
    result: Option<Finished>,
}

impl Reporter<'_> {
    fn is_pass(&self) -> bool {
        self.result.as_ref().is_some_and(|found| matches!(found.outcome, Outcome::Pass { .. }))
    }
}

impl Drop for Reporter<'_> {
    fn drop(&mut self) {
        let failed = || Finished {
            outcome: Outcome::Inconclusive(Inconclusive::Internal),
            started: clock::now(),
            elapsed: Duration::ZERO,
        };
        let result = self.result.take().unwrap_or_else(failed);
        drop(self.inbox.send(Message::Event(Event::Probed { run: self.run, result })));
    }
}
