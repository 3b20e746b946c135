//! Our own troubles, as they are told: when one begins and when it is over, and one that comes and goes at most once a minute.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::health::Moment;
use crate::target::Inconclusive;

/// From one time that a trouble is told to the next.
const QUIET: Duration = Duration::from_secs(60);

/// What of our own is not as it should be. None of it changes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Probes end without a word about their targets, for this reason.
    Probes(Inconclusive),
    /// What is measured cannot be kept for the next start.
    State,
    /// The servers of `resolve()` do not answer: what they said last stands.
    Resolver,
}

impl Trouble {
    /// A short, stable name.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Probes(reason) => reason.reason(),
            Self::State => "state",
            Self::Resolver => "resolver",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probes(reason) => write!(f, "probes tell nothing: {reason}"),
            Self::State => f.write_str("what is measured cannot be kept for the next start"),
            Self::Resolver => f.write_str("the servers of resolve() are silent, and what they said last stands"),
        }
    }
}

/// Since when there has been which.
#[derive(Debug, Default)]
pub(super) struct Troubles(HashMap<Trouble, Episode>);

#[derive(Debug)]
struct Episode {
    since: Moment,
    told: Option<Moment>,
    /// Whether this one was.
    is_told: bool,
    ongoing: bool,
}

impl Troubles {
    /// It begins; whether that is to be told.
    pub(super) fn begin(&mut self, trouble: Trouble, now: Moment) -> bool {
        let fresh = Episode { since: now, told: None, is_told: false, ongoing: false };
        let episode = self.0.entry(trouble).or_insert(fresh);
        if episode.ongoing {
            return false;
        }
        let tell = episode.told.is_none_or(|told| now.since(told) >= QUIET);
        *episode = Episode { since: now, told: if tell { Some(now) } else { episode.told }, is_told: tell, ongoing: true };
        tell
    }

    /// It is over; how long it took, if its beginning was told.
    pub(super) fn end(&mut self, trouble: Trouble, now: Moment) -> Option<Duration> {
        let episode = self.0.get_mut(&trouble)?;
        let ended = std::mem::replace(&mut episode.ongoing, false);
        (ended && episode.is_told).then(|| now.since(episode.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_is_told_once_a_minute() {
        let at = |seconds| Moment::at(Duration::from_secs(seconds));
        let (mut troubles, trouble) = (Troubles::default(), Trouble::Resolver);
        assert_eq!(troubles.end(trouble, at(0)), None, "it never began");
        assert!(troubles.begin(trouble, at(1)));
        assert!(!troubles.begin(trouble, at(2)), "it is told already");
        assert!(troubles.begin(Trouble::State, at(2)), "another");
        assert_eq!(troubles.end(trouble, at(4)), Some(Duration::from_secs(3)));
        assert_eq!(troubles.end(trouble, at(5)), None);
        assert!(!troubles.begin(trouble, at(60)));
        assert_eq!(troubles.end(trouble, at(61)), None, "nobody was told that it began");
        assert!(troubles.begin(trouble, at(61)));
    }
}
