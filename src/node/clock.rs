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
