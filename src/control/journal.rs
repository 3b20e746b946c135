//! What happens, numbered in order. Kept elsewhere: an entry goes out as an effect.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::answers::Generation;
use crate::health::{Blindness, Moment, Origin, Override, PeerChange, Subject};
use crate::target::{Basis, CheckKey, CheckSpec, Outcome, Status};
use crate::wire::{Name, Serial};

use super::load::Regression;
use super::troubles::Trouble;

/// One happening.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Higher by one than that of the one before.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// The generation at the time.
    pub generation: Generation,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A check's status became another.
    Transition {
        /// The probe's identity.
        key: CheckKey,
        /// What is probed.
        spec: Arc<CheckSpec>,
        /// Believed before.
        from: Status,
        /// Believed now.
        to: Status,
        /// The result that did it; `None`: its evidence grew too old, or is no longer believed.
        cause: Option<Outcome>,
    },
    /// An operator's word came in force.
    Overridden {
        /// The word.
        word: Box<Override>,
    },
    /// It was taken back, or its time was over.
    Released {
        /// The word.
        word: Box<Override>,
        /// That of the overrides file over which it was said, and which is in force again.
        beneath: Option<Box<Override>>,
    },
    /// Whoever waited in a pool to come back has been told to.
    FailedBack {
        /// The pool.
        subject: Subject,
    },
    /// It is we who are cut off: silence is no evidence, and verdicts are held.
    SightLost {
        /// How that is known.
        blindness: Blindness,
        /// How many checks went down on the same evidence, and are up again.
        put_back: usize,
    },
    /// What fell silent was heard again: verdicts follow the results as ever.
    SightBack {
        /// How long it took.
        after: Duration,
    },
    /// Something of our own is not as it should be; answers stay as they are.
    Trouble {
        /// What.
        trouble: Trouble,
    },
    /// It is as it should be again.
    TroubleOver {
        /// What.
        trouble: Trouble,
        /// How long it took.
        after: Duration,
    },
    /// Something of the company of other nodes.
    Peers(PeerChange),
    /// Something of the name of a pool's member.
    Host {
        /// The name.
        host: Box<str>,
        /// What.
        news: HostNews,
    },
    /// This process did not run.
    Paused {
        /// For how long.
        lasted: Duration,
    },
    /// The wall clock was set; nothing but texts goes by it.
    ClockStepped {
        /// By how much.
        by: Duration,
        /// Or back.
        forward: bool,
    },
    /// The start gate opened.
    Serving {
        /// Checks that had no result by then.
        unknown: usize,
        /// Checks whose target was down.
        down: usize,
    },
    /// A zone is served in a new version.
    ZoneAdopted {
        /// Its apex.
        zone: Name,
        /// Its serial.
        serial: Serial,
        /// Whether it is the last-good copy.
        stale: bool,
    },
    /// A zone could not be loaded and has no last-good copy: it answers SERVFAIL.
    ZoneFailed {
        /// Its apex.
        zone: Name,
    },
    /// A zone is no longer served.
    ZoneRemoved {
        /// Its apex.
        zone: Name,
    },
    /// A program made up a check, and there are too many; said once a minute.
    CheckRefused {
        /// How many are kept.
        kept: usize,
    },
    /// Files have errors; what has errors keeps its old state.
    Rejected {
        /// How many.
        errors: usize,
    },
    /// A load was refused because targets that are up would be down.
    Refused {
        /// Which.
        regressions: Arc<[Regression]>,
    },
}

/// What can happen to a name by which the addresses of a pool's member are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostNews {
    /// It leads elsewhere.
    Changed {
        /// Addresses that it did not have.
        came: Vec<IpAddr>,
        /// Addresses that it no longer has.
        went: Vec<IpAddr>,
    },
    /// Something is wrong with what look-ups give; what was known stands.
    Troubled {
        /// What, as a sentence.
        what: Arc<str>,
        /// How many addresses it has all the same.
        kept: usize,
    },
    /// Nothing is any more.
    Mended,
}

impl fmt::Display for HostNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { came, went } => {
                for (addresses, verb) in [(came, "has"), (went, "no longer has")] {
                    let blank = if verb == "has" || came.is_empty() { "" } else { ", " };
                    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                    if !texts.is_empty() {
                        write!(f, "{blank}{verb} {}", texts.join(" and "))?;
                    }
                }
                Ok(())
            }
            Self::Troubled { what, kept: 0 } => write!(f, "{what}; no address of it is known"),
            Self::Troubled { what, kept } => write!(f, "{what}; addresses that count: {kept}"),
            Self::Mended => f.write_str("can be looked up again"),
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transition { spec, from, to, cause, .. } => {
                write!(f, "{spec}: {} -> {}", from.value, to.value)?;
                match cause {
                    Some(outcome) => write!(f, " ({outcome})"),
                    None if to.basis == Basis::Held => f.write_str(" (it went down when we were cut off)"),
                    None if to.basis == Basis::Voted => f.write_str(" (as other nodes see it)"),
                    None if to.basis == Basis::Measured => f.write_str(" (as other nodes see it too)"),
                    None => f.write_str(" (no evidence for too long)"),
                }
            }
            Self::Overridden { word } => {
                let Override { origin, subject, state, expires, by, reason, .. } = &**word;
                write!(f, "{subject}: {state}, by {by}, ")?;
                match (expires, origin) {
                    (Some(expires), _) => write!(f, "until {}", humantime::format_rfc3339_seconds(wall(*expires)))?,
                    (None, Origin::Operator) => f.write_str("for ever")?,
                    (None, Origin::File) => f.write_str("as long as it stands there")?,
                }
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::FailedBack { subject } => write!(f, "{subject}: whoever waited is back"),
            Self::Released { word, beneath: None } => {
                write!(f, "{}: no longer {}; what is measured counts", word.subject, word.state)
            }
            Self::Released { word, beneath: Some(beneath) } => {
                write!(f, "{}: no longer {}; {} counts again, by {}", word.subject, word.state, beneath.state, beneath.by)
            }
            Self::SightLost { blindness: Blindness::Targets { lost, of }, put_back } => {
                write!(f, "cut off: {lost} of {of} targets fell silent at once; verdicts are held, {put_back} put back")
            }
            Self::SightLost { blindness: Blindness::Controls { of }, put_back } => {
                write!(f, "cut off: none of {of} controls answers; verdicts are held, {put_back} put back")
            }
            Self::SightBack { after } => write!(f, "no longer cut off, after {:.1} s", after.as_secs_f64()),
            Self::Trouble { trouble } => trouble.fmt(f),
            Self::TroubleOver { trouble, after } => write!(f, "over, after {:.1} s: {trouble}", after.as_secs_f64()),
            Self::Peers(change) => change.fmt(f),
            Self::Host { host, news: news @ HostNews::Troubled { .. } } => write!(f, "{host}: {news}"),
            Self::Host { host, news } => write!(f, "{host} {news}"),
            Self::Paused { lasted } => write!(f, "this process did not run for {:.1} s", lasted.as_secs_f64()),
            Self::ClockStepped { by, forward } => {
                let way = if *forward { "forward" } else { "back" };
                write!(f, "the clock was set {way} by {:.1} s", by.as_secs_f64())
            }
            Self::Serving { unknown: 0, down: 0 } => f.write_str("serving; every target is up"),
            Self::Serving { unknown, down } => write!(f, "serving; targets down: {down}, not known yet: {unknown}"),
            Self::ZoneAdopted { zone, serial, stale: false } => write!(f, "zone {zone} serial {serial} is served"),
            Self::ZoneAdopted { zone, serial, stale: true } => {
                write!(f, "zone {zone}: its file is bad; the last-good copy, serial {serial}, is served")
            }
            Self::ZoneFailed { zone } => {
                write!(f, "zone {zone}: its file is bad and there is no last-good copy; it answers SERVFAIL")
            }
            Self::ZoneRemoved { zone } => write!(f, "zone {zone} is no longer served"),
            Self::CheckRefused { kept } => {
                write!(f, "programs make up too many checks: {kept} are kept, and others answer as unknown")
            }
            Self::Rejected { errors } => write!(f, "the files have {errors} errors; what has errors keeps its old state"),
            Self::Refused { regressions } => {
                write!(f, "reload refused: {} targets that are up would be down", regressions.len())
            }
        }
    }
}

/// The time so many milliseconds after the beginning of 1970; one that no clock shows is the beginning.
fn wall(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Gives happenings their numbers.
#[derive(Debug, Default)]
pub(super) struct Journal {
    written: u64,
}

impl Journal {
    /// Goes on after this number.
    pub(super) const fn after(written: u64) -> Self {
        Self { written }
    }

    pub(super) fn write(&mut self, at: Moment, generation: Generation, what: Happening) -> Arc<Entry> {
        self.written += 1;
        Arc::new(Entry { number: self.written, at, generation, what })
    }
}
