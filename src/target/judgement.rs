//! How the results of a probe are judged.
//!
//! Part of what a check is, so that two that judge alike are one; not of what its probe is.

use std::time::Duration;

use super::vote::Vote;

/// How results become a verdict, and how soon a surprise is looked into. The counts are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Judgement {
    /// Failures that take an up target down.
    pub fall: u16,
    /// Passes in a row that bring a down target up.
    pub rise: u16,
    /// Passes in a row after which the earlier failures of an up target no longer count. With 1, failures count in a row;
    /// with more, a target that fails now and then, and never passes so often in a row, goes down too.
    pub forget: u16,
    /// From the end of a probe that contradicts the verdict to the start of the next, where that is sooner than the
    /// interval would have it. `None`: surprises keep to the interval.
    pub retry: Option<Duration>,
    /// A pass that took longer than this is a slow one: the target stays up, with half of its weight. `None`: none is.
    pub slow: Option<Duration>,
    /// Whether an idle connection is held to a target that is up, whose end has it probed at once.
    pub tripwire: bool,
    /// By how much of itself a wait from probe to probe may be shortened, in percent, at most 50. `None`: as for all others.
    pub jitter: Option<u8>,
    /// How long a target that keeps going down has to wait before it may come up. `None`: no longer than `rise` takes.
    pub damping: Option<Damping>,
    /// What the words of other nodes make of this one's. `None`: as for all others.
    pub vote: Option<Vote>,
}

impl Judgement {
    /// Every result counts at once and in full, at the interval: PowerDNS's rule, and a program's where it says nothing.
    pub const AT_ONCE: Self =
        Self { fall: 1, rise: 1, forget: 1, retry: None, slow: None, tripwire: false, jitter: None, damping: None, vote: None };
}

/// Flap damping: what each flap adds to a penalty that decays, and what is held back by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Damping {
    /// What a flap adds. At least 1.
    pub penalty: u32,
    /// From here on the target may not come up.
    pub suppress: u32,
    /// Below this it may again. At least 1, and below `suppress`.
    pub reuse: u32,
    /// The time in which the penalty falls to half of itself.
    pub half_life: Duration,
    /// The longest that one flap can hold a target back, however many were before it.
    pub longest: Duration,
}

impl Default for Damping {
    fn default() -> Self {
        Self::USUAL
    }
}

impl Damping {
    /// The habit of route damping (RFC 2439), on the scale of targets.
    pub const USUAL: Self = Self {
        penalty: 1000,
        suppress: 3000,
        reuse: 750,
        half_life: Duration::from_secs(120),
        longest: Duration::from_secs(600),
    };

    /// The highest penalty, from which it takes `longest` to decay to `reuse`.
    #[must_use]
    pub fn ceiling(&self) -> u32 {
        let half_lives = self.longest.as_secs_f64() / self.half_life.as_secs_f64();
        (f64::from(self.reuse) * half_lives.exp2()).min(f64::from(u32::MAX)) as u32
    }
}
