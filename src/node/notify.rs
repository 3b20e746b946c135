//! Tells the service manager what goes on (sd_notify): ready, reloading, stopping, alive. Without one, nothing.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::api::Lateness;
use crate::health::Moment;

/// A node that is later than this does not tell the watchdog that it is alive.
const LATE: Duration = Duration::from_secs(10);

/// The service manager, if there is one.
#[derive(Clone, Debug)]
pub(super) struct Supervisor {
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// By NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    pub(super) fn from_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// Queries are answered; or a reload has ended.
    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// A reload has begun.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "cannot tell the service manager of the reload"),
        }
    }

    /// The node is ending.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Tells the watchdog twice per period that the node is alive, as long as engine and prober are.
    pub(super) async fn watchdog(self, lateness: Arc<dyn Lateness>, now: fn() -> Moment) {
        let Some(period) = self.watchdog else { return };
        loop {
            tokio::time::sleep(period / 2).await;
            if lateness.at(now()) < LATE {
                tell(&[NotifyState::Watchdog]);
            }
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
