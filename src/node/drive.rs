//! The engine's thread: feeds it events, runs its effects. Nothing here waits for anything but the next event.
//!
//! The one writer runs here: on an ordinary thread of its own, `engine`, which belongs to no core and is none of the threads
//! that answer. With as many of those as there are cores it takes its time from one of them, and that is little: some tens
//! of microseconds for a flip. What takes longer, a flip of a target that very many programs consult, comes in slices, and
//! whatever arrives meanwhile goes before the next one. Answering threads share with it the pointer that it swaps and the
//! memory that it reads, and no lock; what it replaces is freed by the `reaper`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::answers::{Published, Snapshot};
use crate::api::{Ask, Clock, EventForm, History, Lateness, Meters};
use crate::control::{
    CommandId, Effect, Engine, Entry, Event, Happening, HostNews, LetterId, Load, LoadId, Outcome, Reply, WordFault,
};
use crate::health::{Bulletin, Due, Moment, PeerChange, Receipt, WireChange, WireId};
use crate::peers::Courier;
use crate::prober::Pulse;
use crate::store::Keeper;
use crate::target;

use super::clock::{self, Break, Continuity};
use super::peers::Desk;
use super::probes::Probes;
use super::scribe::{Awaited, Bell, Note};

/// How often the engine shows that it is alive when nothing happens.
const BEAT: Duration = Duration::from_secs(1);

/// Messages that are taken in before the engine goes on with what it does in slices. Handling one takes microseconds.
const BURST: usize = 256;

/// What the engine's thread receives. The channel has no bound of its own: at most one `Probed` per check, one load and
/// the API's concurrent calls can be waiting in it.
pub(super) enum Message {
    Event(Event),
    /// One after the other.
    Events(Vec<Event>),
    Ask(Ask),
    Letter(Letter),
}

/// What a peer tells, and who waits for what it is to be answered.
pub(super) struct Letter {
    pub(super) peer: Arc<str>,
    pub(super) bulletin: Box<Bulletin>,
    pub(super) receipt: oneshot::Sender<Receipt>,
}

/// How a load was decided, what speaks against the words that came with it, and what is left of one that was not adopted.
pub(super) type Decided = (LoadId, Outcome, Vec<WordFault>, Option<Box<Load>>);

/// Where the engine's effects go.
pub(super) struct Outlets {
    pub(super) published: Published,
    pub(super) retired: Sender<Arc<Snapshot>>,
    pub(super) probes: Probes,
    pub(super) inbox: Sender<Message>,
    pub(super) keeper: Keeper,
    pub(super) decided: Sender<Decided>,
    pub(super) open: tokio::sync::mpsc::UnboundedSender<()>,
    pub(super) meters: Arc<Meters>,
    pub(super) beats: Arc<Beats>,
    pub(super) ledger: Sender<Note>,
    pub(super) history: Arc<History>,
    pub(super) bell: Bell,
    pub(super) orders: Waiting<Reply>,
    pub(super) letters: Waiting<Receipt>,
    pub(super) courier: Option<Courier<Desk>>,
    /// The idle connections that are held.
    pub(super) wires: RefCell<HashMap<WireId, AbortHandle>>,
}

/// Who waits for what the engine comes to: of an order, or of a message of a peer.
pub(super) struct Waiting<T> {
    callers: RefCell<HashMap<u64, oneshot::Sender<T>>>,
    taken: Cell<u64>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { callers: RefCell::default(), taken: Cell::new(0) }
    }
}

impl<T> Waiting<T> {
    /// The number under which it will be told.
    fn take(&self, caller: oneshot::Sender<T>) -> u64 {
        let number = self.taken.get();
        self.taken.set(number + 1);
        self.callers.borrow_mut().insert(number, caller);
        number
    }

    fn tell(&self, number: u64, what: T) {
        if let Some(caller) = self.callers.borrow_mut().remove(&number) {
            drop(caller.send(what)); // one who has gone does not want it
        }
    }
}

/// Runs the engine for the life of the process.
pub(super) fn drive(mut engine: Engine, inbox: &Receiver<Message>, outlets: &Outlets) {
    let mut time = Continuity::new();
    let mut wait = Duration::ZERO;
    loop {
        for found in time.look(wait) {
            engine.handle(told(found), clock::now());
        }
        let now = clock::now();
        outlets.beats.engine_at(now);
        engine.handle_timeout(now);
        outlets.run_all(&mut engine);
        wait = engine.next_timeout().map_or(BEAT, |next| next.since(clock::now()).min(BEAT));
        match inbox.recv_timeout(wait) {
            Ok(first) => {
                for message in std::iter::once(first).chain(inbox.try_iter()).take(BURST) {
                    outlets.take_in(&mut engine, message);
                    outlets.run_all(&mut engine);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn told(found: Break) -> Event {
    match found {
        Break::Paused(lasted) => Event::Paused(lasted),
        Break::Forward(by) => Event::ClockStepped { by, forward: true },
        Break::Back(by) => Event::ClockStepped { by, forward: false },
    }
}

impl Outlets {
    fn take_in(&self, engine: &mut Engine, message: Message) {
        if let Message::Event(Event::Tripped(wire)) = &message {
            self.wires.borrow_mut().remove(wire);
        }
        // A caller that has gone does not want its reply.
        match message {
            Message::Event(event) => engine.handle(event, clock::now()),
            Message::Events(events) => {
                let now = clock::now();
                events.into_iter().for_each(|event| engine.handle(event, now));
            }
            Message::Letter(Letter { peer, bulletin, receipt }) => {
                let letter = LetterId(self.letters.take(receipt));
                engine.handle(Event::Heard { letter, peer, bulletin }, clock::now());
            }
            Message::Ask(Ask::Overview(reply)) => drop(reply.send(engine.overview())),
            Message::Ask(Ask::Checks(reply)) => drop(reply.send(engine.checks().collect())),
            Message::Ask(Ask::Pools(reply)) => drop(reply.send(engine.pools().collect())),
            Message::Ask(Ask::Overrides(reply)) => drop(reply.send(engine.overrides().clone())),
            Message::Ask(Ask::Order(command, caller)) => {
                engine.handle(Event::Ordered(CommandId(self.orders.take(caller)), command), clock::now());
            }
            Message::Ask(Ask::Reload(..)) => {} // the loader's; see `node`
        }
    }

    fn run_all(&self, engine: &mut Engine) {
        let mut due = Vec::new();
        while let Some(effect) = engine.poll_effect() {
            self.run(effect, &mut due);
        }
        self.probes.run(due);
    }

    /// Carries out one effect; a probe joins those that are `due`.
    fn run(&self, effect: Effect, due: &mut Vec<Due>) {
        match effect {
            Effect::Probe(probe) => due.push(probe),
            Effect::Wire(change) => self.wire(change),
            Effect::Tell { peer, bulletin } => match &self.courier {
                Some(courier) => courier.tell(&peer, Arc::from(bulletin)),
                None => drop(self.inbox.send(Message::Event(Event::Told(peer, None)))),
            },
            Effect::Receipt { letter, receipt } => self.letters.tell(letter.0, receipt),
            Effect::Publish { snapshot, first_signs } => {
                let retired = self.published.publish(snapshot);
                drop(self.retired.send(retired));
                let now = clock::now();
                first_signs.iter().for_each(|&sign| self.meters.failover(now.since(sign)));
            }
            Effect::Record { command, record } => {
                let awaited = command.map(|command| Awaited::new(self.inbox.clone(), command));
                drop(self.ledger.send(Note::Word(awaited, record))); // a note that is not taken tells so itself
            }
            Effect::Remember { key, verdict } => drop(self.ledger.send(Note::Verdict(key, verdict))),
            Effect::RememberPool { pool, memory } => drop(self.ledger.send(Note::Pool(pool, memory))),
            Effect::Reply { command, reply } => self.orders.tell(command.0, *reply),
            Effect::Open => drop(self.open.send(())),
            Effect::Keep(zone) => self.keeper.keep(zone.apex().to_name(), Box::new(move |out| zone.write_text(out))),
            // What was not adopted goes along, and is freed on the loader's thread.
            Effect::Decided { load, outcome, faults, leftover } => drop(self.decided.send((load, outcome, faults, leftover))),
            Effect::Log(entry) => self.tell(&entry),
        }
    }

    /// To the log, and to all who read the history.
    fn tell(&self, entry: &Entry) {
        log(entry);
        if let Happening::Transition { to, cause, .. } = &entry.what {
            self.meters.transition(*to, cause.as_ref());
        }
        let (now, wall) = clock::now_and_wall();
        self.history.push(EventForm::new(entry, &Clock { now, wall }));
        self.bell.ring(&self.ledger);
    }

    fn wire(&self, change: WireChange) {
        let mut wires = self.wires.borrow_mut();
        match change {
            WireChange::Cut(id) => wires.remove(&id).into_iter().for_each(|wire| wire.abort()),
            WireChange::Set(id, spec) => {
                wires.insert(id, self.probes.watch(id, spec));
            }
        }
    }
}

fn log(entry: &Entry) {
    let bad = match &entry.what {
        Happening::Transition { to, .. } => to.value != target::Value::Up,
        Happening::ZoneAdopted { stale, .. } => *stale,
        Happening::ZoneFailed { .. }
        | Happening::CheckRefused { .. }
        | Happening::SightLost { .. }
        | Happening::Trouble { .. }
        | Happening::Paused { .. }
        | Happening::ClockStepped { .. }
        | Happening::Refused { .. }
        | Happening::Rejected { .. } => true,
        Happening::Peers(change) => !matches!(change, PeerChange::Heard(_) | PeerChange::Sees(_) | PeerChange::Quorum { .. }),
        Happening::Host { news, .. } => matches!(news, HostNews::Troubled { .. }),
        Happening::Overridden { .. } | Happening::Released { .. } | Happening::FailedBack { .. } => false,
        Happening::Serving { unknown, down } => *unknown + *down > 0,
        Happening::ZoneRemoved { .. } | Happening::SightBack { .. } | Happening::TroubleOver { .. } => false,
    };
    let generation = entry.generation.0;
    if bad {
        tracing::warn!(generation, "{}", entry.what);
    } else {
        tracing::info!(generation, "{}", entry.what);
    }
}

/// When the engine and the prober were last seen working.
#[derive(Debug)]
pub(super) struct Beats {
    engine: AtomicU64,
    /// Of the threads that run probes.
    pulses: Vec<Arc<Pulse>>,
}

impl Beats {
    pub(super) fn new(pulses: Vec<Arc<Pulse>>) -> Self {
        let beats = Self { engine: AtomicU64::new(0), pulses };
        beats.engine_at(clock::now());
        beats
    }

    fn engine_at(&self, now: Moment) {
        let millis = u64::try_from(now.since_origin().as_millis()).unwrap_or(u64::MAX);
        self.engine.store(millis, Ordering::Relaxed);
    }
}

impl Lateness for Beats {
    fn at(&self, now: Moment) -> Duration {
        let engine = Moment::at(Duration::from_millis(self.engine.load(Ordering::Relaxed)));
        let pulses = self.pulses.iter().map(|pulse| Moment::at(pulse.last_beat()));
        now.since(pulses.fold(engine, Moment::min))
    }
}
