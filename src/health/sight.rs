//! Whether the targets are lost, or our own sight of them.
//!
//! A node that is cut off sees every target die at once, and would withdraw all of them. So what all probes say together is
//! looked at before what each says:
//!
//! | we are **blind** as soon as | until |
//! | --- | --- |
//! | nearly all targets fell silent within one window | one of those that fell silent answers |
//! | the last probe of every check in `[health] control` met silence | one of them answers |
//!
//! - **Nearly all** is [`LOST_MIN`] % or more of at least [`TARGETS_MIN`] that answered, in at least [`NETWORKS_MIN`] networks.
//! - A **target** is an address. It answers while any of its probes does. Controls are none.
//! - An **answer** is a pass, and also a failure that only the target can have caused: a wrong status or body, a bad
//!   certificate. **Silence** is what a cut on the way looks like as well: no answer in time, unreachable, refused, closed
//!   ([`Failure::may_be_the_way`](crate::target::Failure::may_be_the_way)), and so is that we could not even ask: no route, no
//!   descriptor, a rule of our own ([`Inconclusive::is_no_way_out`](crate::target::Inconclusive::is_no_way_out)). One rule may
//!   be silence to TCP and an error to UDP; what one check cannot ask must not speak for a target that another finds silent.
//!   Our other troubles are neither.
//! - A **network** is a /24 or a /48: without sites, what is most likely to fail together.
//! - The **window** is one interval and two time limits, the time in which each target has been asked once since the cut and
//!   has had its time to answer. Where checks have different intervals, it is that of the target in [`LOST_MIN`] of 100 with
//!   the longest. A target whose silence began before the window is dead, and neither lost nor counted.
//!
//! While we are blind, silence is no evidence: verdicts are held. What went down within the window is put back, for it went
//! down on the same evidence. Answers count as ever, so that targets come up, and go down by bad answers. When sight is back,
//! nothing counts against any target from before: those that are really dead go down by their own results, after `fall`.
//!
//! | of the targets that answered | in networks | silent within a window | so |
//! | --- | --- | --- | --- |
//! | fewer than 5 | any | all | dead |
//! | any | 1 | all | dead: a rack, a site, a test |
//! | 10 | 2 or more | 7 | dead |
//! | 10 | 2 or more | 8 | held |
//! | 10 | 2 or more | 8, over two windows | dead |
//!
//! Targets beyond a dead data centre are no proof: what one prober sees cannot tell it from a cut. Then the last verdicts
//! stand for `[health] hold` at most.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::target::CheckKey;

use super::moment::Moment;

/// Fewest targets that must have answered.
const TARGETS_MIN: usize = 5;
/// How many of 100 of them must have fallen silent.
const LOST_MIN: usize = 80;
/// In how many networks.
const NETWORKS_MIN: usize = 2;

/// What the probes say together.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// Whether anything is made of it.
    enabled: bool,
    /// Those that answer, and those that fell silent lately.
    targets: HashMap<IpAddr, Target>,
    answering: usize,
    /// By the start of the first probe that met silence.
    lost: BTreeSet<(Moment, IpAddr)>,
    /// How many of the lost are in each network.
    networks: HashMap<IpAddr, usize>,
    /// How many of `targets` have which window.
    windows: BTreeMap<Duration, usize>,
    /// What the last probe of each met, if one has finished.
    controls: HashMap<CheckKey, Option<bool>>,
    /// Whether the targets show that we are blind.
    blind: bool,
}

#[derive(Debug)]
struct Target {
    /// How many of its probes had an answer last.
    answering: usize,
    /// Since when none has.
    lost: Option<Moment>,
    window: Duration,
}

/// What one probe met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    pub(super) key: CheckKey,
    pub(super) address: Option<IpAddr>,
    /// Whether the probe before met an answer.
    pub(super) before: bool,
    /// Whether this one did.
    pub(super) answer: bool,
    pub(super) started: Moment,
    pub(super) window: Duration,
}

/// Why we are blind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blindness {
    /// So many of so many targets fell silent within one window.
    Targets {
        /// That fell silent.
        lost: usize,
        /// That answered before.
        of: usize,
    },
    /// Every control fell silent.
    Controls {
        /// How many there are.
        of: usize,
    },
}

impl Sight {
    /// Takes in what a probe met.
    pub(super) fn meet(&mut self, met: Met, now: Moment) {
        if let Some(control) = self.controls.get_mut(&met.key) {
            *control = Some(met.answer);
            return;
        }
        let Some(address) = met.address else { return };
        match (met.before, met.answer) {
            (false, true) => self.answers(address, met.window),
            (true, false) => self.falls_silent(address, met.started),
            (true, true) | (false, false) => {}
        }
        self.set_window(address, met.window);
        if met.before && !met.answer && self.enabled && !self.blind && self.looks_blind() {
            self.forget_the_dead(now);
            self.blind = self.looks_blind();
        }
    }

    /// A probe is gone that met an answer last, or silence.
    pub(super) fn end(&mut self, key: CheckKey, address: Option<IpAddr>, answered: bool) {
        let Some(address) = address.filter(|_| !self.is_control(key)) else { return };
        let Some(target) = self.targets.get_mut(&address) else { return };
        if answered {
            target.answering -= 1;
            if target.answering == 0 {
                self.answering -= 1;
                self.remove(address);
            }
        } else if target.lost.is_some() {
            self.remove(address);
            self.blind &= !self.lost.is_empty();
        }
    }

    /// Turns it on or off.
    pub(super) fn enable(&mut self, enabled: bool) {
        self.enabled = enabled;
        self.blind &= enabled;
    }

    pub(super) fn is_control(&self, key: CheckKey) -> bool {
        self.controls.contains_key(&key)
    }

    /// These are the controls from now on. What a probe met counts for what it was then: those that become controls, or no
    /// longer are any, must have been ended before.
    pub(super) fn set_controls(&mut self, keys: impl Iterator<Item = CheckKey>) {
        let before = std::mem::take(&mut self.controls);
        self.controls = keys.map(|key| (key, before.get(&key).copied().flatten())).collect();
    }

    /// Whether we are blind, and why.
    pub(super) fn blindness(&self) -> Option<Blindness> {
        let of = self.controls.len();
        if self.enabled && of > 0 && self.controls.values().all(|&met| met == Some(false)) {
            return Some(Blindness::Controls { of });
        }
        let lost = self.lost.len();
        self.blind.then_some(Blindness::Targets { lost, of: self.answering + lost })
    }

    /// Forgets those that fell silent before the window, which is returned. Not while we are blind: they are what must
    /// answer.
    pub(super) fn forget_the_dead(&mut self, now: Moment) -> Duration {
        let window = self.window();
        while let Some(&(since, address)) = self.lost.first()
            && !self.blind
            && now.since(since) > window
        {
            self.remove(address);
        }
        window
    }

    /// Whether the target has fallen silent lately.
    pub(super) fn is_lost(&self, address: IpAddr) -> bool {
        self.targets.get(&address).is_some_and(|target| target.lost.is_some())
    }

    fn looks_blind(&self) -> bool {
        let (lost, of) = (self.lost.len(), self.answering + self.lost.len());
        of >= TARGETS_MIN && lost * 100 >= of * LOST_MIN && self.networks.len() >= NETWORKS_MIN
    }

    fn window(&self) -> Duration {
        let rank = (self.targets.len() * LOST_MIN).div_ceil(100);
        let mut counted = 0;
        let within = self.windows.iter().find(|&(_, targets)| {
            counted += targets;
            counted >= rank
        });
        within.map_or(Duration::ZERO, |(&window, _)| window)
    }

    fn answers(&mut self, address: IpAddr, window: Duration) {
        if self.is_lost(address) {
            self.remove(address);
            if self.blind {
                self.blind = false;
                while let Some(&(_, address)) = self.lost.first() {
                    self.remove(address);
                }
            }
        }
        let target = self.targets.entry(address).or_insert_with(|| {
            *self.windows.entry(window).or_insert(0) += 1;
            Target { answering: 0, lost: None, window }
        });
        target.answering += 1;
        if target.answering == 1 {
            self.answering += 1;
        }
    }

    fn falls_silent(&mut self, address: IpAddr, started: Moment) {
        let Some(target) = self.targets.get_mut(&address) else { return };
        target.answering -= 1;
        if target.answering == 0 {
            target.lost = Some(started);
            self.answering -= 1;
            self.lost.insert((started, address));
            *self.networks.entry(network(address)).or_insert(0) += 1;
        }
    }

    fn set_window(&mut self, address: IpAddr, window: Duration) {
        let Some(target) = self.targets.get_mut(&address) else { return };
        let before = std::mem::replace(&mut target.window, window);
        if before != window {
            take_one(&mut self.windows, before);
            *self.windows.entry(window).or_insert(0) += 1;
        }
    }

    /// The target counts no longer.
    fn remove(&mut self, address: IpAddr) {
        let Some(target) = self.targets.remove(&address) else { return };
        take_one(&mut self.windows, target.window);
        if let Some(since) = target.lost {
            self.lost.remove(&(since, address));
            let network = network(address);
            if let Some(targets) = self.networks.get_mut(&network) {
                *targets -= 1;
                if *targets == 0 {
                    self.networks.remove(&network);
                }
            }
        }
    }
}

fn take_one(counts: &mut BTreeMap<Duration, usize>, key: Duration) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The first address of the target's /24 or /48.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).into(),
    }
}
