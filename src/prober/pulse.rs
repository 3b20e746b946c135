//! Whether our own process was paused: a heartbeat, and the gaps in it.
//!
//! A process that was stopped (SIGSTOP, a frozen VM, a starved runtime) finds on waking that the time limits of its
//! probes have passed and that targets have hung up on it. None of that is the targets' doing (DESIGN 6.3). So a task
//! beats every [`BEAT`], and a probe that overlaps a gap of more than [`GAP`] between beats has nothing to say
//! against its target. The clock counts suspended time: a laptop's or VM's sleep is a gap as well.
//!
//! Never here: a judgement on any probe; that is [`Prober::probe`](super::Prober::probe).

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::MissedTickBehavior;

/// From one beat to the next.
const BEAT: Duration = Duration::from_millis(100);

/// More than this between two beats is a pause: far above the scheduling delays of a busy host, below every time
/// limit that a probe is likely to have.
const GAP: Duration = Duration::from_secs(1);

/// The time since the system's start, counting suspension (CLOCK_BOOTTIME).
pub(super) fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Seconds since 1970 by the system's clock: what certificates and files count by.
pub(super) fn wall_seconds() -> i64 {
    clock_gettime(ClockId::Realtime).tv_sec
}

/// The heartbeat of this process. All times are since the system's start, counting suspension.
///
/// Only the latest gap is kept: no gap ends later, so it alone decides whether any gap reaches into a probe.
#[derive(Debug)]
pub struct Pulse {
    /// Nanoseconds. Written after `gap_end`, read before it.
    last_beat: AtomicU64,
    /// The end of the latest gap in nanoseconds; 0 where there was none.
    gap_end: AtomicU64,
}

impl Pulse {
    /// A pulse whose first beat is now. From here on [`run`](Self::run) must keep it beating, or all counts as a
    /// pause.
    #[must_use]
    pub fn new() -> Self {
        Self::beating_from(now())
    }

    /// Beats until it is dropped.
    pub async fn run(&self) -> Infallible {
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.beat(now());
        }
    }

    /// Whether this process was paused at some time since `started`, be it that no beat has noticed yet.
    #[must_use]
    pub fn paused_since(&self, started: Duration) -> bool {
        self.paused_between(started, now())
    }

    /// When the heart last beat: what is long past says that the runtime is stuck.
    #[must_use]
    pub fn last_beat(&self) -> Duration {
        Duration::from_nanos(self.last_beat.load(Ordering::Acquire))
    }

    fn beating_from(first: Duration) -> Self {
        Self { last_beat: AtomicU64::new(nanos(first)), gap_end: AtomicU64::new(0) }
    }

    fn beat(&self, now: Duration) {
        if now.saturating_sub(self.last_beat()) > GAP {
            self.gap_end.store(nanos(now), Ordering::Release);
        }
        self.last_beat.store(nanos(now), Ordering::Release);
    }

    fn paused_between(&self, started: Duration, now: Duration) -> bool {
        let unnoticed = now.saturating_sub(self.last_beat()) > GAP;
        unnoticed || self.gap_end.load(Ordering::Acquire) > nanos(started)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
impl Pulse {
    /// Never in a pause, so that a busy test host changes no outcome.
    pub(super) fn steady() -> Self {
        Self { last_beat: AtomicU64::new(u64::MAX), gap_end: AtomicU64::new(0) }
    }

    /// In a pause that no beat has noticed, whatever the time.
    pub(super) fn stopped() -> Self {
        Self { last_beat: AtomicU64::new(0), gap_end: AtomicU64::new(u64::MAX) }
    }
}

/// 584 years of nanoseconds fit.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn steady_beats_are_no_pause() {
        let pulse = Pulse::beating_from(ms(5000));
        for time in (5100..9000).step_by(100) {
            pulse.beat(ms(time));
        }
        assert!(!pulse.paused_between(ms(4000), ms(9000)));
        assert_eq!(pulse.last_beat(), ms(8900));
    }

    #[test]
    fn a_gap_of_exactly_the_limit_is_no_pause() {
        let pulse = Pulse::beating_from(ms(5000));
        assert!(!pulse.paused_between(ms(5000), ms(6000)));
        assert!(pulse.paused_between(ms(5000), ms(6001)));
        pulse.beat(ms(6000));
        assert!(!pulse.paused_between(ms(5000), ms(6100)));
    }

    #[test]
    fn a_gap_counts_for_what_began_before_its_end() {
        let pulse = Pulse::beating_from(ms(5000));
        pulse.beat(ms(8000));
        pulse.beat(ms(8100));
        for (started, paused) in [(4900, true), (6000, true), (7999, true), (8000, false), (8050, false)] {
            assert_eq!(pulse.paused_between(ms(started), ms(8150)), paused, "{started}");
        }
    }

    #[test]
    fn a_later_gap_replaces_an_earlier_one() {
        let pulse = Pulse::beating_from(ms(1000));
        pulse.beat(ms(3000));
        pulse.beat(ms(5000));
        assert!(pulse.paused_between(ms(2000), ms(5100)));
        assert!(pulse.paused_between(ms(4000), ms(5100)));
    }

    #[tokio::test(start_paused = true)]
    async fn running_beats_at_once() {
        let pulse = Pulse::beating_from(Duration::ZERO);
        tokio::select! {
            biased;
            never = pulse.run() => match never {},
            () = tokio::time::sleep(ms(1)) => {}
        }
        assert!(pulse.last_beat() > Duration::ZERO);
    }
}
