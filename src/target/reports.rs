//! What targets say of themselves: the desk where they leave their word, and where the prober looks for it.
//!
//! A check of kind `push` is known here from its first probe on: a report to any other key is refused, so what is kept is
//! bounded by the checks there are. Nothing outlives the process: after a start nothing is known of a target until it has
//! spoken, or until it has been silent for as long as it may.
//!
//! Times are the caller's, since whatever they count from.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::check::CheckKey;
use super::kinds::PushCheck;

/// Checks that nobody has looked for in this long are gone.
const FORGOTTEN: Duration = Duration::from_secs(48 * 3600);

/// The desk.
#[derive(Debug, Default)]
pub struct Reports(Mutex<HashMap<CheckKey, Expected>>);

#[derive(Debug)]
struct Expected {
    token: Token,
    since: Duration,
    looked: Duration,
    last: Option<(bool, Duration)>,
}

/// What a target must show to speak for itself, as a digest; not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token([u8; 32]);

impl Token {
    /// That of a secret.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What is known of a target at its desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is up.
    Up,
    /// It is down.
    Down,
    /// It has not spoken yet, and may still do so in time.
    NotYet,
    /// It has been silent for too long.
    Silent,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It will be seen by the next probe.
    Taken,
    /// The token is not the check's, or none reports to that key.
    Refused,
}

impl Reports {
    /// What the target of `key` has said, looked for at `now`.
    pub fn look(&self, key: CheckKey, check: &PushCheck, now: Duration) -> Heard {
        let mut desk = self.desk();
        if !desk.contains_key(&key) {
            desk.retain(|_, expected| now.saturating_sub(expected.looked) < FORGOTTEN);
        }
        let new = || Expected { token: check.token.clone(), since: now, looked: now, last: None };
        let expected = desk.entry(key).or_insert_with(new);
        expected.looked = now;
        let (heard, at) = match expected.last {
            Some((true, at)) => (Heard::Up, at),
            Some((false, at)) => (Heard::Down, at),
            None => (Heard::NotYet, expected.since),
        };
        if now.saturating_sub(at) > check.expiry { Heard::Silent } else { heard }
    }

    /// Takes the word of the target of `key`, who has `shown` a secret. Who may not report learns nothing of which keys
    /// there are.
    pub fn take(&self, key: CheckKey, shown: &[u8], up: bool, now: Duration) -> Taken {
        // Digests are compared, of which who guesses learns nothing by the time it takes.
        let shown = Token::of(shown);
        match self.desk().get_mut(&key).filter(|expected| expected.token == shown) {
            Some(expected) => {
                expected.last = Some((up, now));
                Taken::Taken
            }
            None => Taken::Refused,
        }
    }

    fn desk(&self) -> MutexGuard<'_, HashMap<CheckKey, Expected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_speaks_for_itself_and_for_so_long() {
        let seconds = Duration::from_secs;
        let check = PushCheck { token: Token::of(b"hush"), expiry: seconds(10) };
        let (reports, key, other) = (Reports::default(), CheckKey(1), CheckKey(2));
        assert_eq!(reports.take(key, b"hush", true, seconds(99)), Taken::Refused, "nobody looks for it");
        assert_eq!(reports.look(key, &check, seconds(100)), Heard::NotYet);
        assert_eq!(reports.look(key, &check, seconds(110)), Heard::NotYet);
        assert_eq!(reports.look(key, &check, seconds(111)), Heard::Silent);
        assert_eq!(reports.take(key, b"hus", true, seconds(112)), Taken::Refused);
        assert_eq!(reports.take(other, b"hush", true, seconds(112)), Taken::Refused);
        assert_eq!(reports.take(key, b"hush", true, seconds(112)), Taken::Taken);
        assert_eq!(reports.look(key, &check, seconds(122)), Heard::Up);
        assert_eq!(reports.take(key, b"hush", false, seconds(122)), Taken::Taken);
        assert_eq!(reports.look(key, &check, seconds(132)), Heard::Down);
        assert_eq!(reports.look(key, &check, seconds(133)), Heard::Silent);
        assert!(!format!("{check:?} {reports:?}").contains("hush"));
        let later = seconds(133) + FORGOTTEN;
        assert_eq!(reports.look(other, &check, later), Heard::NotYet);
        assert_eq!(reports.look(key, &check, later), Heard::NotYet, "forgotten");
    }
}
