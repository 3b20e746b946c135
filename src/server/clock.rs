//! The clocks that answering needs, read once for a batch.

use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};

use crate::answers::Now;

/// CLOCK_BOOTTIME and the wall clock.
pub(super) fn now() -> Now {
    let time = clock_gettime(ClockId::Boottime);
    let monotonic = u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    let unix = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() as u32); // wraps in 2106, as RFC 9018 has it
    Now { monotonic, unix }
}
