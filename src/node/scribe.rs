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
use crate::control::{CommandId, Event, Record, Trouble};
use crate::health::{Moment, Remembered};
use crate::store::{Kept, Ledger};
use crate::target::CheckKey;

/// How long verdicts are gathered before they are written.
const GATHER: Duration = Duration::from_millis(200);
/// How often is written that nothing has changed; after a failure, how often it is tried again.
const STILL: Duration = Duration::from_secs(10);

/// Something to write down.
pub(super) enum Note {
    /// What an operator said, and which order waits for it.
    Word(Option<CommandId>, Record),
    /// What is measured of a probe's target.
    Verdict(CheckKey, Option<Remembered>),
}

/// What the processes before this one wrote. A ledger that cannot be read is no reason not to answer.
pub(super) fn kept(ledger: &mut Ledger) -> Kept {
    let now = clock::now();
    let kept = ledger.read(now, wall()).unwrap_or_else(|error| {
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
pub(super) fn run(ledger: Ledger, notes: &Receiver<Note>, engine: &Sender<Message>) {
    let mut scribe = Scribe { ledger, verdicts: BTreeMap::new(), due: None, failing: false };
    loop {
        let wait = scribe.due.map_or(STILL, |due| due.since(clock::now()));
        match notes.recv_timeout(wait) {
            Ok(Note::Word(command, record)) => scribe.word(command, &record, engine),
            Ok(Note::Verdict(key, verdict)) => {
                scribe.verdicts.insert(key, verdict);
                let soon = clock::now() + GATHER;
                scribe.due = Some(scribe.due.map_or(soon, |due| due.min(soon)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if scribe.due.is_some_and(|due| due <= clock::now()) {
            let kept = scribe.write_verdicts();
            drop(engine.send(Message::Event(Event::Troubled { trouble: Trouble::State, ongoing: !kept })));
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
    fn word(&mut self, command: Option<CommandId>, record: &Record, engine: &Sender<Message>) {
        let Record { subject, word, version } = record;
        let result = self.ledger.write(*subject, word.as_ref(), *version).map_err(|error| error.to_string());
        match (command, result) {
            (Some(command), result) => drop(engine.send(Message::Event(Event::Recorded { command, result }))),
            (None, Ok(())) => {}
            // Whoever reads it finds that its time is over.
            (None, Err(error)) => tracing::warn!("the end of the override of {subject} cannot be written down: {error}"),
        }
    }

    /// Whether they are written.
    fn write_verdicts(&mut self) -> bool {
        let result = self.ledger.write_verdicts(&self.verdicts, wall());
        self.due = Some(clock::now() + STILL);
        if result.is_ok() {
            self.verdicts.clear();
        }
        if let (Err(error), false) = (&result, self.failing) {
            tracing::warn!("what is measured cannot be kept for the next start: {error}; it is tried again");
        }
        self.failing = result.is_err();
        !self.failing
    }
}
