//! `[health]`: the defaults of every check and the time limits of belief.

use std::net::SocketAddr;
use std::time::Duration;

use super::peers::Fleet;
use crate::target::{CheckKind, CheckRequest, CheckSpec, Damping, Judgement, Vote};

/// The checked form of `[health]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// From the start of one probe to the start of the next, where a check does not say.
    pub interval: Duration,
    /// The time limit of a probe, where a check does not say.
    pub timeout: Duration,
    /// How long a start or a reload waits for the first results of new checks.
    pub startup_wait: Duration,
    /// How old what an earlier process believed may be to be believed at a start.
    pub restore_max_age: Duration,
    /// How long a verdict outlives its evidence.
    pub hold: Duration,
    /// Of named checks that do not say: [`Judgement::fall`].
    pub fall: u16,
    /// Likewise: [`Judgement::rise`].
    pub rise: u16,
    /// Likewise: [`Judgement::forget`].
    pub forget: u16,
    /// Likewise: [`Judgement::retry`].
    pub retry_interval: Duration,
    /// Likewise: [`Judgement::slow`].
    pub slow: Option<Duration>,
    /// Whether named checks that do not say are damped.
    pub damped: bool,
    /// How: the preset `damped`.
    pub damping: Damping,
    /// [`Judgement::rise`] of the preset: what keeps failing has more to prove. Of thousands of hours of one failure in three,
    /// none has more than two changes with 20, one in 75 with 10 (a target may go down before its penalty is high).
    pub damped_rise: u16,
    /// Whether our own isolation holds the verdicts: the table of `sight`.
    pub isolation: bool,
    /// Where a TCP connection is accepted for as long as we are not cut off, whatever becomes of the targets.
    pub control: Vec<SocketAddr>,
    /// By how much of itself a wait from probe to probe may be shortened, in percent. Of every probe.
    pub jitter: u8,
    /// `[prober] max_checks`: how many different probes there may be. `None`: as many as are asked for.
    pub max_checks: Option<usize>,
    /// `[peers]`: who else looks at the same targets.
    pub fleet: Fleet,
    /// What their words make of ours, for a check that does not say.
    pub vote: Vote,
}

impl Config {
    /// How a named check that says nothing else is judged. Those that programs name inline are [`Judgement::AT_ONCE`].
    #[must_use]
    pub const fn judgement(&self) -> Judgement {
        if self.damped {
            return self.damped();
        }
        Judgement { rise: self.rise, damping: None, ..self.damped() }
    }

    /// The checks of `control`.
    pub(super) fn controls(&self) -> impl Iterator<Item = CheckRequest> {
        self.control.iter().map(|to| {
            let (address, port, kind) = (Some(to.ip()), to.port(), CheckKind::Tcp);
            let spec = CheckSpec { address, port, source: None, kind, timeout: self.timeout };
            CheckRequest { spec: spec.into(), judgement: self.judgement(), interval: self.interval }
        })
    }

    /// The preset `damped`: how a check is judged that says so and nothing else.
    #[must_use]
    pub const fn damped(&self) -> Judgement {
        Judgement {
            fall: self.fall,
            rise: self.damped_rise,
            forget: self.forget,
            retry: Some(self.retry_interval),
            slow: self.slow,
            tripwire: false,
            jitter: None,
            damping: Some(self.damping),
            vote: None,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            startup_wait: Duration::from_secs(5),
            restore_max_age: Duration::from_secs(600),
            hold: Duration::from_secs(24 * 3600),
            fall: 3,
            rise: 3,
            forget: 1,
            retry_interval: Duration::from_secs(1),
            slow: None,
            damped: false,
            damping: Damping::default(),
            damped_rise: 20,
            isolation: true,
            control: Vec::new(),
            jitter: 10,
            max_checks: None,
            fleet: Fleet::default(),
            vote: Vote::default(),
        }
    }
}
