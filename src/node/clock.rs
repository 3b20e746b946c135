//! The only clock of the program.
#![expect(clippy::disallowed_methods, reason = "this is the clock that everything else is told to use")]

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::health::Moment;

/// Now, on CLOCK_BOOTTIME: it never goes back and counts suspended time.
#[must_use]
pub fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Moment::at(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// Now, and what wall clocks call it.
#[must_use]
pub fn now_and_wall() -> (Moment, SystemTime) {
    (now(), SystemTime::now())
}

/// More than this between two looks, beyond what was expected, is a pause of this process.
const PAUSE: Duration = Duration::from_secs(2);
/// The wall clock is set, rather than slewed, where it differs by more than this from one look to the next.
const STEP: Duration = Duration::from_secs(1);

/// Looks now and then whether time goes on as it should. That it does not changes nothing: [`now`] goes on, and what ends at a
/// time of the wall clock ends after as long as was left of it. But whoever reads the log should know.
#[derive(Debug)]
pub(super) struct Continuity {
    last: (Moment, SystemTime),
}

/// What became of time between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// This process did not run for so long.
    Paused(Duration),
    /// The wall clock was set forward by so much.
    Forward(Duration),
    /// Or back.
    Back(Duration),
}

impl Continuity {
    pub(super) fn new() -> Self {
        Self { last: now_and_wall() }
    }

    /// Another look, which was to be `expected` after the last.
    pub(super) fn look(&mut self, expected: Duration) -> impl Iterator<Item = Break> + use<> {
        let (moment, wall) = now_and_wall();
        // Paused between the two readings, they are not of one moment: the next look will tell.
        let wall = if now().since(moment) < STEP / 4 { wall } else { self.last.1 + moment.since(self.last.0) };
        let before = std::mem::replace(&mut self.last, (moment, wall));
        breaks(before, self.last, expected).into_iter().flatten()
    }
}

fn breaks(before: (Moment, SystemTime), after: (Moment, SystemTime), expected: Duration) -> [Option<Break>; 2] {
    let passed = after.0.since(before.0);
    let pause = passed.saturating_sub(expected);
    let should_be = before.1 + passed;
    let step = match after.1.duration_since(should_be) {
        Ok(forward) if forward > STEP => Some(Break::Forward(forward)),
        Err(back) if back.duration() > STEP => Some(Break::Back(back.duration())),
        Ok(_) | Err(_) => None,
    };
    [(pause > PAUSE).then_some(Break::Paused(pause)), step]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_and_steps_are_told_apart() {
        let at = |moment: u64, wall: u64| {
            (Moment::at(Duration::from_millis(moment)), SystemTime::UNIX_EPOCH + Duration::from_millis(wall))
        };
        let ms = Duration::from_millis;
        let (start, hour) = (at(5000, 100_000_000), 3_600_000);
        for (after, found) in [
            (at(6000, 100_001_000), [None, None]),
            (at(8000, 100_003_900), [None, None]),
            (at(8001, 100_003_001), [Some(Break::Paused(ms(2001))), None]),
            (at(6000, 100_001_000 + hour), [None, Some(Break::Forward(ms(hour)))]),
            (at(6000, 100_001_000 - hour), [None, Some(Break::Back(ms(hour)))]),
            (at(36_000, 100_001_000 + hour), [Some(Break::Paused(ms(30_000))), Some(Break::Forward(ms(hour - 30_000)))]),
        ] {
            assert_eq!(breaks(start, after, ms(1000)), found, "{after:?}");
        }
    }
}
