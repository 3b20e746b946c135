//! `[health]`: the defaults of every check and the time limits of belief.

use std::time::Duration;

/// The checked form of `[health]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// From the start of one probe to the start of the next, where a check does not say.
    pub interval: Duration,
    /// The time limit of a probe, where a check does not say.
    pub timeout: Duration,
    /// How long a start or a reload waits for the first results of new checks.
    pub startup_wait: Duration,
    /// How long a verdict outlives its evidence.
    pub hold: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            startup_wait: Duration::from_secs(5),
            hold: Duration::from_secs(24 * 3600),
        }
    }
}
