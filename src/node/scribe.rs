//! The thread that writes the ledger: what operators say, at once; what is measured, soon.
//!
//! An order waits for its record, so each is a write of its own. Verdicts are for the next process, which forgives the loss of
//! the last moment: they are gathered for [`GATHER`], and where nothing changes the ledger is told every [`STILL`] that what
//! it holds still holds. A disk that hangs stops this thread and nobody else.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime};

use super::clock;
use super::drive::Message;
use crate::control::{CommandId, Event, Record};
use crate::health::{Moment, Remembered};
use crate::store::{Kept, Ledger, LedgerError};
use crate::target::CheckKey;

/// How long verdicts are gathered before they are written.
const GATHER: Duration = Duration::from_millis(200);
/// How often is written that nothing has changed; after a failure, how often it is tried again.
const STILL: Duration = Duration::from_secs(10);

/// Something to write down.
pub(super) enum Note {
    /// What an operator said, and who waits for it.
    Word(Option<Awaited>, Record),
    /// What is measured of a probe's target.
    Verdict(CheckKey, Option<Remembered>),
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
    let mut result = ledger.read(clock::now(), wall());
    for _ in 1..TRIES {
        if !result.as_ref().is_err_and(LedgerError::is_locked) {
            break;
        }
        pause();
        result = ledger.read(clock::now(), wall());
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

/// Strikes out what is too old to be believed, lest it be taken for fresh when something else is written.
pub(super) fn strike_out(ledger: &mut Ledger, keys: impl Iterator<Item = CheckKey>) {
    let gone: BTreeMap<CheckKey, Option<Remembered>> = keys.map(|key| (key, None)).collect();
    if !gone.is_empty()
        && let Err(error) = ledger.write_verdicts(&gone, wall())
    {
        tracing::warn!("what was measured long ago cannot be struck out: {error}");
    }
}

/// Milliseconds since 1970.
fn wall() -> u64 {
    let (_, wall) = clock::now_and_wall();
    u64::try_from(wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Writes for the life of the process, and tells the engine of each order how that went.
pub(super) fn run(ledger: Ledger, notes: &Receiver<Note>) {
    let mut scribe = Scribe { ledger, verdicts: BTreeMap::new(), due: None, failing: false };
    loop {
        let wait = scribe.due.map_or(STILL, |due| due.since(clock::now()));
        match notes.recv_timeout(wait) {
            Ok(Note::Word(awaited, record)) => scribe.word(awaited, &record),
            Ok(Note::Verdict(key, verdict)) => {
                scribe.verdicts.insert(key, verdict);
                let soon = clock::now() + GATHER;
                scribe.due = Some(scribe.due.map_or(soon, |due| due.min(soon)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if scribe.due.is_some_and(|due| due <= clock::now()) {
            scribe.write_verdicts();
        }
    }
}

struct Scribe {
    ledger: Ledger,
    /// Those that are not written yet.
    verdicts: BTreeMap<CheckKey, Option<Remembered>>,
    /// When they are to be written. `None`: this process has measured nothing yet, and cannot say that anything still holds.
    due: Option<Moment>,
    /// Whether the last write of verdicts failed: each failure is told once.
    failing: bool,
}

impl Scribe {
    fn word(&mut self, awaited: Option<Awaited>, record: &Record) {
        let Record { subject, word, version } = record;
        let result = self.ledger.write(*subject, word.as_ref(), *version).map_err(|error| error.to_string());
        match (awaited, result) {
            (Some(awaited), result) => awaited.tell(result),
            (None, Ok(())) => {}
            // Whoever reads it finds that its time is over.
            (None, Err(error)) => tracing::warn!("the end of the override of {subject} cannot be written down: {error}"),
        }
    }

    fn write_verdicts(&mut self) {
        let result = self.ledger.write_verdicts(&self.verdicts, wall());
        self.due = Some(clock::now() + STILL);
        if result.is_ok() {
            self.verdicts.clear();
        }
        if let (Err(error), false) = (&result, self.failing) {
            tracing::warn!("what is measured cannot be kept for the next start: {error}; it is tried again");
        }
        self.failing = result.is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn word(engine: &Sender<Message>, id: u64) -> Note {
        let record = Record { subject: "target/192.0.2.1".parse().expect("a subject"), word: None, version: 1 };
        Note::Word(Some(Awaited::new(engine.clone(), CommandId(id))), record)
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
        ledger.read(clock::now(), wall()).expect("it opens");
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
        other.read(clock::now(), wall()).expect("it opens");
        let mut pauses = 0;
        assert_eq!(read(&mut Ledger::under(folder.path()), || pauses += 1).version, 0);
        assert_eq!(pauses, TRIES - 1);
        drop(other);
    }
}
