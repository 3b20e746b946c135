//! Which checks programs have made up while they ran, and how long each is kept.
//!
//! | event | what becomes of the check |
//! | --- | --- |
//! | a program wants one that nobody has | it is acquired and probed at once; shared where another check has its probe |
//! | there are [`KEPT_MAX`] already | refused: what a query makes up may be what its client chose |
//! | nobody consulted it for [`EXPIRE`] | let go |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::answers::{AdHocCheck, AdHocChecks};
use crate::health::{Checks, Moment};
use crate::target::{CheckId, CheckRequest};

/// Most of them at a time.
const KEPT_MAX: usize = 10_000;
/// How long one is kept that nobody consults: PowerDNS's `lua-health-checks-expire-delay`.
const EXPIRE: Duration = Duration::from_secs(3600);
/// How often is looked which were consulted.
const SWEEP: Duration = Duration::from_secs(60);

/// The ad hoc checks of the engine.
#[derive(Debug)]
pub(super) struct AdHoc {
    /// What snapshots hold.
    published: AdHocChecks,
    held: HashMap<CheckId, Held>,
    next_sweep: Moment,
    /// Whether somebody was refused since the last sweep.
    refused: bool,
}

#[derive(Debug)]
struct Held {
    check: Arc<AdHocCheck>,
    last_consulted: Moment,
}

/// What becomes of a wish for a check.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Granted {
    /// It is there already.
    Known,
    /// It is there now.
    New(CheckId),
    /// There are too many; `first` of a minute, and worth a line.
    Refused { first: bool },
}

impl AdHoc {
    pub(super) fn new(now: Moment) -> Self {
        Self { published: AdHocChecks::default(), held: HashMap::new(), next_sweep: now, refused: false }
    }

    pub(super) fn published(&self) -> &AdHocChecks {
        &self.published
    }

    pub(super) fn holds(&self, check: CheckId) -> bool {
        self.held.contains_key(&check)
    }

    /// Takes in a program's wish.
    pub(super) fn want(&mut self, request: CheckRequest, checks: &mut Checks, now: Moment) -> Granted {
        if self.published.consult(&request).is_some() {
            return Granted::Known;
        }
        if self.published.len() >= KEPT_MAX {
            return Granted::Refused { first: !std::mem::replace(&mut self.refused, true) };
        }
        if self.held.is_empty() {
            self.next_sweep = now + SWEEP;
        }
        let id = checks.acquire(&request, None, now);
        let check = self.published.insert(id, request);
        self.held.insert(id, Held { check, last_consulted: now });
        Granted::New(id)
    }

    /// When [`AdHoc::sweep`] next has something to do.
    pub(super) fn next_timeout(&self) -> Option<Moment> {
        (!self.held.is_empty()).then_some(self.next_sweep)
    }

    /// Lets go of what nobody has consulted for long; whether there was any.
    pub(super) fn sweep(&mut self, checks: &mut Checks, now: Moment) -> bool {
        if self.held.is_empty() || now < self.next_sweep {
            return false;
        }
        self.next_sweep = now + SWEEP;
        self.refused = false;
        let before = self.held.len();
        self.held.retain(|&id, Held { check, last_consulted }| {
            if check.take_consulted() {
                *last_consulted = now;
            }
            let keep = now.since(*last_consulted) < EXPIRE;
            if !keep {
                self.published.remove(&check.request);
                checks.release(id, &check.request);
            }
            keep
        });
        self.held.len() < before
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::target::{CheckKind, CheckSpec, Judgement};

    fn request(host: u32) -> CheckRequest {
        let address = Some(Ipv4Addr::from_bits(0x0A00_0000 + host).into());
        let spec = CheckSpec { address, port: 80, source: None, kind: CheckKind::Tcp, timeout: Duration::from_secs(2) };
        CheckRequest { spec, judgement: Judgement::AT_ONCE, interval: Duration::from_secs(5) }
    }

    #[test]
    fn their_number_is_bounded() {
        let now = Moment::at(Duration::from_secs(1));
        let (mut ad_hoc, mut checks) = (AdHoc::new(now), Checks::new(Duration::from_secs(1)));
        for host in 0..KEPT_MAX as u32 {
            assert!(matches!(ad_hoc.want(request(host), &mut checks, now), Granted::New(_)));
        }
        assert_eq!(ad_hoc.want(request(KEPT_MAX as u32), &mut checks, now), Granted::Refused { first: true });
        assert_eq!(ad_hoc.want(request(KEPT_MAX as u32), &mut checks, now), Granted::Refused { first: false });
        assert!(!ad_hoc.sweep(&mut checks, now + SWEEP), "all were consulted when they were made");
        assert!(!ad_hoc.sweep(&mut checks, now + EXPIRE));
        assert_eq!(ad_hoc.want(request(7), &mut checks, now + EXPIRE), Granted::Known);
        assert!(ad_hoc.sweep(&mut checks, now + EXPIRE + SWEEP), "all but one");
        assert_eq!((ad_hoc.published().len(), checks.views().count()), (1, 1));
        assert!(ad_hoc.published().consult(&request(7)).is_some());
    }
}
