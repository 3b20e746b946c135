//! Which checks programs have made up while they ran, and how long each is kept.
//!
//! | event | what becomes of the check |
//! | --- | --- |
//! | a program wants one that nobody has | it is acquired and probed at once; shared where another check has its probe |
//! | there are [`KEPT_MAX`] already, or with all others as many as `[prober] max_checks` allows, or [`ZONE_MAX`] of its zone | it takes the place of a spare one, of its own zone if there is one; without one it is refused |
//! | nobody consulted it between two sweeps | spare: it stays, and is the first to give way |
//! | nobody consulted it for [`EXPIRE`] | let go |
//!
//! What a query makes up may be what its client chose: whoever asks a wildcard for a thousand names can have a thousand
//! targets probed. What such names bring is asked for once and is spare a minute later, and what real names bring is asked
//! for again and again; so a flood fills the table, and does not keep it. How many give way in a minute is bounded
//! ([`SPARE_MAX`]), for the number of a check is never given to another.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::answers::{AdHocCheck, AdHocChecks};
use crate::health::{Checks, Moment};
use crate::target::{CheckId, CheckRequest};
use crate::wire::Name;

/// Most of them at a time.
const KEPT_MAX: usize = 10_000;
/// Most of them of one zone: no zone takes all places.
const ZONE_MAX: usize = KEPT_MAX / 2;
/// Most that are spare at a time, of one zone.
const SPARE_MAX: usize = 100;
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
    zones: BTreeMap<Name, Share>,
    next_sweep: Moment,
    /// Whether somebody was refused since the last sweep.
    refused: bool,
}

#[derive(Debug)]
struct Held {
    check: Arc<AdHocCheck>,
    /// The zone whose program first asked for it.
    zone: Name,
    last_consulted: Moment,
}

/// What one zone has of them.
#[derive(Debug, Default)]
struct Share {
    held: usize,
    /// Those that nobody consulted between the last two sweeps.
    spare: Vec<CheckId>,
}

impl Share {
    /// A check that was spare at the last sweep, and is still.
    fn take_spare(&mut self, is_spare: impl Fn(&CheckId) -> bool) -> Option<CheckId> {
        std::iter::from_fn(|| self.spare.pop()).find(is_spare)
    }
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
        Self { published: AdHocChecks::default(), held: HashMap::new(), zones: BTreeMap::new(), next_sweep: now, refused: false }
    }

    pub(super) fn published(&self) -> &AdHocChecks {
        &self.published
    }

    pub(super) fn holds(&self, check: CheckId) -> bool {
        self.held.contains_key(&check)
    }

    /// Takes in the wish of a program of `zone`.
    pub(super) fn want(&mut self, request: CheckRequest, zone: Name, checks: &mut Checks, now: Moment) -> Granted {
        if self.published.consult(&request).is_some() {
            return Granted::Known;
        }
        let full = self.held.len() >= KEPT_MAX || checks.has_no_room_for(&request.spec);
        let zone_full = self.zones.get(&zone).is_some_and(|share| share.held >= ZONE_MAX);
        if (full || zone_full) && !self.make_room(&zone, zone_full, checks) {
            return Granted::Refused { first: !std::mem::replace(&mut self.refused, true) };
        }
        if self.held.is_empty() {
            self.next_sweep = now + SWEEP;
        }
        let id = checks.acquire(&request, None, now);
        let check = self.published.insert(id, request);
        self.zones.entry(zone.clone()).or_default().held += 1;
        self.held.insert(id, Held { check, zone, last_consulted: now });
        Granted::New(id)
    }

    /// Has a spare check give way: one of `zone`, else, unless it must be of that zone, one of any; whether there was one.
    fn make_room(&mut self, zone: &Name, must_be_own: bool, checks: &mut Checks) -> bool {
        let is_spare = |id: &CheckId| self.held.get(id).is_some_and(|held| !held.check.is_consulted());
        let mut spare = self.zones.get_mut(zone).and_then(|share| share.take_spare(is_spare));
        if spare.is_none() && !must_be_own {
            spare = self.zones.values_mut().find_map(|share| share.take_spare(is_spare));
        }
        spare.inspect(|&id| self.let_go(id, checks)).is_some()
    }

    fn let_go(&mut self, id: CheckId, checks: &mut Checks) {
        let Some(Held { check, zone, .. }) = self.held.remove(&id) else { return };
        self.published.remove(&check.request);
        checks.release(id, &check.request);
        if let Some(share) = self.zones.get_mut(&zone) {
            share.held -= 1;
            if share.held == 0 {
                self.zones.remove(&zone);
            }
        }
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
        self.zones.values_mut().for_each(|share| share.spare.clear());
        let mut expired = Vec::new();
        for (&id, held) in &mut self.held {
            if held.check.take_consulted() {
                held.last_consulted = now;
            } else if now.since(held.last_consulted) >= EXPIRE {
                expired.push(id);
            } else if let Some(share) = self.zones.get_mut(&held.zone)
                && share.spare.len() < SPARE_MAX
            {
                share.spare.push(id);
            }
        }
        expired.iter().for_each(|&id| self.let_go(id, checks));
        !expired.is_empty()
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
        CheckRequest { spec: spec.into(), judgement: Judgement::AT_ONCE, interval: Duration::from_secs(5) }
    }

    fn zone(name: &str) -> Name {
        name.parse().expect("a name")
    }

    #[test]
    fn their_number_is_bounded() {
        let now = Moment::at(Duration::from_secs(1));
        let (mut ad_hoc, mut checks) = (AdHoc::new(now), Checks::new(Duration::from_secs(1)));
        let (one, two, three) = (zone("one.example."), zone("two.example."), zone("three.example."));
        let half = ZONE_MAX as u32;
        for host in 0..half {
            assert!(matches!(ad_hoc.want(request(host), one.clone(), &mut checks, now), Granted::New(_)));
        }
        let full = |first| Granted::Refused { first };
        assert_eq!(ad_hoc.want(request(half), one.clone(), &mut checks, now), full(true), "the zone has its share");
        for host in half..2 * half {
            assert!(matches!(ad_hoc.want(request(host), two.clone(), &mut checks, now), Granted::New(_)));
        }
        assert_eq!(ad_hoc.want(request(2 * half), three.clone(), &mut checks, now), full(false), "there are no more");
        assert!(!ad_hoc.sweep(&mut checks, now + SWEEP), "all were consulted when they were made");
        assert!(!ad_hoc.sweep(&mut checks, now + EXPIRE));
        assert_eq!(ad_hoc.want(request(7), one, &mut checks, now + EXPIRE), Granted::Known);
        assert!(ad_hoc.sweep(&mut checks, now + EXPIRE + SWEEP), "all but one");
        assert_eq!((ad_hoc.published().len(), checks.views().count(), ad_hoc.zones.len()), (1, 1, 1));
        assert!(ad_hoc.published().consult(&request(7)).is_some());
    }

    #[test]
    fn there_may_be_fewer_probes_in_all() {
        let now = Moment::at(Duration::from_secs(1));
        let (mut ad_hoc, mut checks) = (AdHoc::new(now), Checks::new(Duration::from_secs(1)));
        checks.configure(&crate::health::Config { max_checks: Some(2), ..crate::health::Config::default() }, now);
        let named = checks.acquire(&request(1), None, now);
        assert_ne!(ad_hoc.want(request(1), zone("z."), &mut checks, now), Granted::New(CheckId(7)), "there is its probe");
        assert!(matches!(ad_hoc.want(request(2), zone("z."), &mut checks, now), Granted::New(_)));
        assert_eq!(ad_hoc.want(request(3), zone("z."), &mut checks, now), Granted::Refused { first: true });
        assert!(checks.view(named).is_some());
    }

    #[test]
    fn what_is_asked_for_again_stays_and_what_is_not_gives_way() {
        let start = Moment::at(Duration::from_secs(1));
        let (mut ad_hoc, mut checks) = (AdHoc::new(start), Checks::new(Duration::from_secs(1)));
        let (real, flooded) = (zone("real.example."), zone("flooded.example."));
        assert!(matches!(ad_hoc.want(request(0), flooded.clone(), &mut checks, start), Granted::New(_)));
        let (mut made, mut refused) = (0, 0);
        for minute in 0..30u32 {
            let now = start + SWEEP * minute;
            ad_hoc.sweep(&mut checks, now);
            for host in 0..1000 {
                match ad_hoc.want(request(1 + minute * 1000 + host), flooded.clone(), &mut checks, now) {
                    Granted::New(_) => made += 1,
                    Granted::Refused { .. } => refused += 1,
                    Granted::Known => unreachable!("each is another"),
                }
                assert!(ad_hoc.published().consult(&request(0)).is_some(), "it is asked for all the time");
            }
            let wish = ad_hoc.want(request(1_000_000 + minute), real.clone(), &mut checks, now);
            assert!(matches!(wish, Granted::New(_)), "another zone's share is not touched");
        }
        assert!(made <= ZONE_MAX + 30 * SPARE_MAX && made + refused == 30_000, "{made} and {refused}");
        assert!(made > ZONE_MAX + 20 * SPARE_MAX, "newcomers get their turn: {made}");
        assert_eq!(ad_hoc.published().len(), ZONE_MAX + 30);
        assert_eq!(ad_hoc.held.len(), ad_hoc.zones.values().map(|share| share.held).sum::<usize>());
    }
}
