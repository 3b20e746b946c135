//! The penalty of a target that keeps going down.

use std::time::Duration;

use crate::target::Damping;

use super::moment::Moment;

/// What flaps have added up to. It is known as of the last flap and decays from there, so that nothing needs a timer and
/// nothing is rounded on the way.
///
/// | event | penalty | held back |
/// | --- | --- | --- |
/// | a flap | as far as it has decayed, + [`Damping::penalty`], at most the ceiling | from now on, if that is [`Damping::suppress`] or more; still, if it was |
/// | time | half of itself in each [`Damping::half_life`] | no longer, once it is below [`Damping::reuse`] |
///
/// The ceiling is what decays to [`Damping::reuse`] in [`Damping::longest`]: what has stopped flapping is never held back for
/// longer than that, and what has not is held back for as long as it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Penalty {
    /// At `flapped`.
    level: u32,
    flapped: Moment,
    /// Whether `suppress` was reached, and `reuse` not left since when it was last looked at.
    suppressing: bool,
}

impl Penalty {
    pub(super) const fn none(now: Moment) -> Self {
        Self { level: 0, flapped: now, suppressing: false }
    }

    /// The target went down, if only for a moment.
    pub(super) fn flap(&mut self, damping: &Damping, now: Moment) {
        let held_back = self.held_back_until(damping).is_some_and(|until| now < until);
        self.level = self.level(damping, now).saturating_add(damping.penalty).min(damping.ceiling());
        self.flapped = now;
        self.suppressing = held_back || self.level >= damping.suppress;
    }

    /// What is left of it.
    pub(super) fn level(&self, damping: &Damping, now: Moment) -> u32 {
        let half_lives = now.since(self.flapped).as_secs_f64() / damping.half_life.as_secs_f64();
        (f64::from(self.level) * (-half_lives).exp2()) as u32
    }

    /// Until when the target may not come up, if it does not flap again. May lie in the past.
    pub(super) fn held_back_until(&self, damping: &Damping) -> Option<Moment> {
        if !self.suppressing {
            return None;
        }
        let half_lives = (f64::from(self.level) / f64::from(damping.reuse)).log2().max(0.0);
        let wait = Duration::try_from_secs_f64(damping.half_life.as_secs_f64() * half_lives);
        Some(self.flapped + wait.unwrap_or(damping.longest).min(damping.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn after(flaps: &[u64]) -> Penalty {
        let mut penalty = Penalty::none(at(0));
        flaps.iter().for_each(|&second| penalty.flap(&Damping::default(), at(second)));
        penalty
    }

    #[test]
    fn the_table_holds() {
        let damping = Damping::default();
        assert_eq!(damping.ceiling(), 24_000);
        for (flaps, second, level, until) in [
            (&[][..], 100, 0, None),
            (&[0], 0, 1000, None),
            (&[0], 120, 500, None),
            (&[0], 1200, 0, None),
            (&[0, 0], 0, 2000, None),
            (&[0, 120, 240], 240, 1750, None),
            (&[0, 0, 0], 0, 3000, Some(240)),
            (&[0, 0, 0], 240, 750, Some(240)),
            (&[0, 0, 0, 120], 120, 2500, Some(120 + 208)),
            (&[0, 0, 0, 300], 300, 1530, None),
            (&[0; 50], 0, 24_000, Some(600)),
        ] {
            let penalty = after(flaps);
            let seen = penalty.held_back_until(&damping).map(|until| until.since_origin().as_secs());
            assert_eq!((penalty.level(&damping, at(second)), seen), (level, until), "{flaps:?} at {second}");
        }
    }
}
