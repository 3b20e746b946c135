//! The thread that writes the ledger: what operators say, at once; what is measured and what happened, soon.
//!
//! An order waits for its record, so each is a write of its own. Verdicts, and what pools make of them, are for the next process,
//! which forgives the loss of the last moment: they are gathered for [`GATHER`], and where nothing changes the ledger is told every [`STILL`] that what
//! it holds still holds. Events are taken from the [`History`] in batches: while the disk is full or slow they wait there, the
//! oldest drop out of it, and that is counted. A disk that hangs stops this thread and nobody else.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::clock;
use super::drive::Message;
use crate::api::{EVENTS_KEPT, EventForm, History, Meters};
use crate::control::{CommandId, Event, Record, Trouble};
use crate::health::{Moment, PoolMemory, Remembered, Subject};
use crate::store::{Beliefs, Clocks, Kept, Ledger, LedgerError};
use crate::target::CheckKey;

/// How long verdicts are gathered before they are written.
const GATHER: Duration = Duration::from_millis(200);
/// How often is written that nothing has changed; after a failure, how often it is tried again.
const STILL: Duration = Duration::from_secs(10);

/// Something to write down.
pub(super) enum Note {
    /// What an operator said, and who waits for it.
    Word(Option<Awaited>, Box<Record>),
    /// What is measured of a probe's target.
    Verdict(CheckKey, Option<Remembered>),
    /// What the rules of the pool of this name know.
    Pool(Box<str>, Option<Box<PoolMemory>>),
    /// Where a name leads; `None`: nobody asks for it any more.
    Host(Box<str>, Option<Arc<[IpAddr]>>),
    /// There are new events in the history.
    Events,
    /// The process ends in good order: write what there is, say so, and write no more.
    Stop(oneshot::Sender<()>),
}

/// Tells the thread of new events: once, until it looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Bell(Arc<AtomicBool>);

impl Bell {
    pub(super) fn ring(&self, notes: &Sender<Note>) {
        if !self.0.swap(true, Ordering::AcqRel) {
            drop(notes.send(Note::Events));
        }
    }

    fn heard(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// An order that waits until it is written down. However that ends, the engine is told: also if the thread that writes has
/// ended, and takes what it was given along.
pub(super) struct Awaited {
    engine: Sender<Message>,
    command: CommandId,
    result: Option<Result<(), String>>,
}

impl Awaited {
    pub(super) const fn new(engine: Sender<Message>, command: CommandId) -> Self {
        Self { engine, command, result: None }
    }

    fn tell(mut self, result: Result<(), String>) {
        self.result = Some(result);
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let ended = || Err("the thread that writes the ledger has ended; see the log, and restart the server".to_owned());
        let (command, result) = (self.command, self.result.take().unwrap_or_else(ended));
        drop(self.engine.send(Message::Event(Event::Recorded { command, result })));
    }
}

/// How often a ledger is tried that another process has open, and the pause in between: one that ends may take a moment.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// What the processes before this one wrote. A ledger that cannot be read is no reason not to answer.
pub(super) fn kept(ledger: &mut Ledger) -> Kept {
    read(ledger, || std::thread::sleep(PAUSE))
}

fn read(ledger: &mut Ledger, mut pause: impl FnMut()) -> Kept {
    let mut read = || {
        let Clocks { now, wall } = clocks();
        ledger.read(now, wall)
    };
    let mut result = read();
    for _ in 1..TRIES {
        if !result.as_ref().is_err_and(LedgerError::is_locked) {
            break;
        }
        pause();
        result = read();
    }
    let kept = result.unwrap_or_else(|error| {
        tracing::error!("what operators have said and what was measured cannot be read, and counts as never said: {error}");
        Kept::default()
    });
    for key in &kept.unreadable {
        tracing::error!("the override of {key} cannot be read, and is not in force; say it again, or release it");
    }
    kept
}

/// What the processes before this one told of; what cannot be read is left out.
pub(super) fn events(rows: &[Vec<u8>]) -> impl Iterator<Item = EventForm> {
    rows.iter().filter_map(|row| serde_json::from_slice(row).ok())
}

/// Strikes out what is too old to be believed, lest it be taken for fresh when something else is written.
pub(super) fn strike_out(ledger: &mut Ledger, keys: impl Iterator<Item = CheckKey>) {
    let gone = Beliefs { verdicts: keys.map(|key| (key, None)).collect(), ..Beliefs::default() };
    if !gone.verdicts.is_empty()
        && let Err(error) = ledger.write_beliefs(&gone, clocks())
    {
        tracing::warn!("what was measured long ago cannot be struck out: {error}");
    }
}

/// Now, and milliseconds since 1970.
fn clocks() -> Clocks {
    let (now, wall) = clock::now_and_wall();
    let wall = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    Clocks { now, wall: u64::try_from(wall).unwrap_or(u64::MAX) }
}

/// Writes for the life of the process, and tells the engine of each order how that went.
pub(super) fn run(ledger: Ledger, notes: &Receiver<Note>, chronicle: Chronicle, engine: &Sender<Message>) {
    let mut scribe = Scribe {
        ledger,
        beliefs: Beliefs::default(),
        due: None,
        failing: false,
        owed: BTreeMap::new(),
        hosts: BTreeMap::new(),
        chronicle,
    };
    loop {
        let due = scribe.due.into_iter().chain(scribe.chronicle.due).min();
        let wait = due.map_or(STILL, |due| due.since(clock::now())).min(STILL);
        match notes.recv_timeout(wait) {
            Ok(Note::Word(awaited, record)) => scribe.word(awaited, record),
            Ok(Note::Verdict(key, verdict)) => {
                scribe.beliefs.verdicts.insert(key, verdict);
                scribe.beliefs.hold = true;
                scribe.gather();
            }
            Ok(Note::Pool(name, memory)) => {
                scribe.beliefs.pools.insert(name, memory);
                scribe.gather();
            }
            Ok(Note::Host(name, addresses)) => {
                scribe.hosts.insert(name, addresses);
                scribe.write_hosts();
            }
            Ok(Note::Events) => {
                scribe.chronicle.bell.heard();
                let soon = clock::now() + GATHER;
                scribe.chronicle.due = Some(scribe.chronicle.due.unwrap_or(soon));
            }
            Ok(Note::Stop(stopped)) => {
                scribe.finish();
                let _nobody_may_wait = stopped.send(());
                return;
            }
            Err(RecvTimeoutError::Timeout) => scribe.write_owed(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = clock::now();
        if scribe.due.is_some_and(|due| due <= now) {
            let kept = scribe.write_beliefs();
            drop(engine.send(Message::Event(Event::Troubled { trouble: Trouble::State, ongoing: !kept })));
        }
        if scribe.chronicle.due.is_some_and(|due| due <= now) {
            scribe.chronicle.write(&mut scribe.ledger, RESERVED);
        }
    }
}

/// Events that are written at a time.
const BATCH: usize = 1000;
/// Events that may happen until the next are written: more do only where very many targets turn at once.
const RESERVED: u64 = 1000;

/// What is written down of the events, and what is still to be.
pub(super) struct Chronicle {
    pub(super) history: Arc<History>,
    pub(super) bell: Bell,
    pub(super) meters: Arc<Meters>,
    /// The number of the last one that was written.
    written: u64,
    /// When the next are to be written.
    due: Option<Moment>,
    /// Whether the last write failed: each failure is told once.
    failing: bool,
}

impl Chronicle {
    /// Nothing is to be written but that numbers may be given.
    pub(super) fn new(history: Arc<History>, bell: Bell, meters: Arc<Meters>, written: u64) -> Self {
        Self { history, bell, meters, written, due: Some(clock::now()), failing: false }
    }

    /// Writes the next events; whether there may be more.
    fn write(&mut self, ledger: &mut Ledger, reserved: u64) -> bool {
        let page = self.history.after(self.written, BATCH);
        let row = |event: &Arc<EventForm>| (event.number, serde_json::to_vec(&**event).unwrap_or_default());
        let rows: Vec<(u64, Vec<u8>)> = page.events.iter().map(row).collect();
        let end = page.end(self.written);
        let result = ledger.write_events(&rows, EVENTS_KEPT, end.saturating_add(reserved));
        let more = result.is_ok() && rows.len() == BATCH;
        self.due = match &result {
            Ok(()) => more.then(clock::now),
            Err(_) => Some(clock::now() + STILL),
        };
        if result.is_ok() {
            self.meters.events_dropped(page.missed);
            self.written = end;
        }
        if let (Err(error), false) = (&result, self.failing) {
            tracing::warn!("what happens cannot be written down: {error}; it is tried again, and the log has it");
        }
        self.failing = result.is_err();
        more
    }
}

struct Scribe {
    ledger: Ledger,
    /// What is measured, as far as it is not written yet. Before this process has measured something it cannot say that anything
    /// still holds.
    beliefs: Beliefs,
    /// When that is to be written.
    due: Option<Moment>,
    /// Whether the last write of verdicts failed: each failure is told once.
    failing: bool,
    /// What nobody waits for and could not be written: that a word has ended, or is not the one that was written. It would be
    /// in force again after a restart.
    owed: BTreeMap<Subject, Box<Record>>,
    /// Where names lead, as far as it is not written yet.
    hosts: BTreeMap<Box<str>, Option<Arc<[IpAddr]>>>,
    chronicle: Chronicle,
}

impl Scribe {
    /// Writes what there is. No number is given any more: none is reserved.
    fn finish(&mut self) {
        if self.due.is_some() {
            self.write_beliefs();
        }
        self.write_owed();
        while self.chronicle.write(&mut self.ledger, 0) {}
    }

    fn word(&mut self, awaited: Option<Awaited>, record: Box<Record>) {
        self.owed.remove(&record.subject); // what is said now counts
        let result = self.write(&record);
        match (awaited, result) {
            (Some(awaited), result) => awaited.tell(result),
            (None, Ok(())) => {}
            (None, Err(error)) => {
                let subject = record.subject;
                tracing::warn!("what is said of {subject} now cannot be written down: {error}; it is tried again");
                self.owed.insert(subject, record);
            }
        }
    }

    fn write(&mut self, record: &Record) -> Result<(), String> {
        let Record { subject, word, version } = record;
        self.ledger.write(*subject, word.as_ref(), *version).map_err(|error| error.to_string())
    }

    fn write_hosts(&mut self) {
        if self.hosts.is_empty() {
            return;
        }
        match self.ledger.write_hosts(&self.hosts) {
            Ok(()) => self.hosts.clear(),
            Err(error) => tracing::warn!("where names lead cannot be kept for the next start: {error}; it is tried again"),
        }
    }

    /// Tries again, as far as it goes.
    fn write_owed(&mut self) {
        self.write_hosts();
        while let Some((subject, record)) = self.owed.pop_first() {
            if self.write(&record).is_err() {
                self.owed.insert(subject, record);
                return;
            }
        }
    }

    /// Has what is measured written soon.
    fn gather(&mut self) {
        let soon = clock::now() + GATHER;
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
    }

    /// Whether it is written.
    fn write_beliefs(&mut self) -> bool {
        let result = self.ledger.write_beliefs(&self.beliefs, clocks());
        self.due = Some(clock::now() + STILL);
        if result.is_ok() {
            self.beliefs = Beliefs { hold: self.beliefs.hold, ..Beliefs::default() };
        }
        if let (Err(error), false) = (&result, self.failing) {
            tracing::warn!("what is measured cannot be kept for the next start: {error}; it is tried again");
        }
        self.failing = result.is_err();
        !self.failing
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn word(engine: &Sender<Message>, id: u64) -> Note {
        let record = Record { subject: "target/192.0.2.1".parse().expect("a subject"), word: None, version: 1 };
        Note::Word(Some(Awaited::new(engine.clone(), CommandId(id))), Box::new(record))
    }

    fn recorded(message: Message) -> (CommandId, Result<(), String>) {
        match message {
            Message::Event(Event::Recorded { command, result }) => (command, result),
            _ => panic!("something else was told"),
        }
    }

    #[test]
    fn an_order_is_told_of_a_thread_that_has_ended() {
        let (engine, told) = channel();
        let (notes, waiting) = channel();
        drop(notes.send(word(&engine, 1)));
        let dies = std::thread::spawn(move || {
            let _first = waiting.recv();
            panic!("on purpose");
        });
        drop(notes.send(word(&engine, 2)));
        dies.join().expect_err("it ends badly");
        drop(notes.send(word(&engine, 3)));
        drop(engine);
        let mut told: Vec<_> = told.iter().map(recorded).collect();
        told.sort_by_key(|&(command, _)| command);
        let refused = |(_, result): &(_, Result<(), String>)| result.as_ref().is_err_and(|why| why.contains("has ended"));
        assert!(told.iter().all(refused), "{told:?}");
        assert_eq!(told.iter().map(|&(command, _)| command.0).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_ledger_that_another_process_has_open_is_waited_for() {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut other = Some(Ledger::under(folder.path()));
        let ledger = other.as_mut().expect("there");
        ledger.read(clock::now(), clocks().wall).expect("it opens");
        ledger.write("target/192.0.2.1".parse().expect("a subject"), None, 7).expect("written");
        let mut pauses = 0;
        let kept = read(&mut Ledger::under(folder.path()), || {
            pauses += 1;
            if pauses == 3 {
                other = None;
            }
        });
        assert_eq!((pauses, kept.version), (3, 7));
    }

    #[test]
    fn but_not_for_ever() {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut other = Ledger::under(folder.path());
        other.read(clock::now(), clocks().wall).expect("it opens");
        let mut pauses = 0;
        assert_eq!(read(&mut Ledger::under(folder.path()), || pauses += 1).version, 0);
        assert_eq!(pauses, TRIES - 1);
        drop(other);
    }
}
