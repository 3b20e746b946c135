//! Pieces + statuses → choices, and the reasons.
//!
//! [`Program::settle`] and [`Program::explain`] are one walk; explaining is settling with somebody taking notes, so the
//! two cannot disagree.
//!
//! The rule of `ifportup` and `ifurlup` (PowerDNS 5.1; spec 4.3):
//!
//! | situation | decided by |
//! | --- | --- |
//! | a group has an available target | `selector`, over the available targets of the first such group |
//! | no group has one | `backupSelector`, over all of the first group that is not empty |
//! | no group has any target | nothing: [`FailReason::NoTargets`] |
//!
//! A target is available when it is up and not drained; unknown is not up. A fallback leaves out what is drained or
//! forced down (DESIGN 6.8); if that is everybody, the answer is empty.

use std::net::IpAddr;
use std::sync::Arc;

use super::choice::{Choice, Closest, Contender, Draw, FailReason, Metric};
use super::order::walk_order;
use super::plan::{Candidate, Checked, Function, List, Picker, Plan, Program, Selector, Target};
use crate::geo::{NetMap, Places};
use crate::target::{Pool, Status, Value, part_of, share_out};

mod pool;

/// One reason of an answer. Steps come in the order of evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The program names these members outright.
    Constant {
        /// All of them.
        members: Box<[u16]>,
    },
    /// A group of targets was looked at.
    Group {
        /// `ifportup` or `ifurlup`.
        function: Function,
        /// Which group, from 0.
        group: usize,
        /// How many of the targets are available.
        up: usize,
        /// What was seen of each target, in order; its length is the total.
        targets: Box<[Consulted]>,
    },
    /// That group has available targets: `selector` decides among them, later groups are not looked at.
    Selected {
        /// `ifportup` or `ifurlup`.
        function: Function,
        /// Which group, from 0.
        group: usize,
        /// What decides.
        selector: Selector,
        /// The candidates, in order.
        members: Box<[u16]>,
    },
    /// No group has an available target: `backup` decides.
    FellBack {
        /// `ifportup` or `ifurlup`.
        function: Function,
        /// The first group that is not empty, from 0.
        group: usize,
        /// What decides.
        backup: Selector,
        /// The candidates, in order.
        members: Box<[u16]>,
        /// How many targets of the group are not candidates, being drained or forced down.
        excluded: usize,
    },
    /// A function over a list ran.
    Picked {
        /// Which.
        function: Function,
        /// How it draws; `None` for `all`, and where distance decides.
        draw: Option<Draw>,
        /// What from, in order.
        members: Box<[u16]>,
    },
    /// A weighted picker ran.
    Weighed {
        /// Which.
        function: Function,
        /// How it draws.
        draw: Draw,
        /// Running sums and members, in the order of the walk.
        members: Box<[(u32, u16)]>,
    },
    /// `view` looked at the client's network.
    Viewed {
        /// Which pair, from 0, by network.
        networks: Arc<NetMap<u16>>,
        /// What each pair holds, in order.
        pairs: Box<[Box<[u16]>]>,
    },
    /// A pool was looked at.
    Pooled {
        /// Which.
        pool: Arc<Pool>,
        /// What its members count as, in its order.
        members: Box<[Stood]>,
        /// Those among whom the pool's `select` decides; none: its `when_none_up` does.
        serving: Box<[u16]>,
    },
    /// A function found nothing to work on.
    Failed {
        /// Which; `None`: a call that loading refused.
        function: Option<Function>,
        /// Why.
        reason: FailReason,
    },
}

/// What was seen of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consulted {
    /// What an answer would contain: an index into [`Program::members`].
    pub member: u16,
    /// The address that is checked.
    pub address: IpAddr,
    /// The check: an index into [`Program::checks`].
    pub check: usize,
    /// What we believed about it.
    pub status: Status,
}

/// What was seen of a pool's member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stood {
    /// What each of its addresses counts as.
    pub statuses: Box<[Status]>,
    /// Whether it may be chosen for the type of the record.
    pub available: bool,
}

/// What pieces are settled under.
#[derive(Clone, Copy)]
pub struct Under<'a> {
    /// The status of each check, by index into [`Program::checks`].
    pub status: &'a dyn Fn(usize) -> Status,
    /// What each address of a pool's member counts as, by index into [`Program::standings`].
    pub standing: &'a dyn Fn(usize) -> Status,
    /// Where candidates are.
    pub places: &'a Places,
}

/// A piece under one set of statuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// What remains to be done per query.
    pub choice: Choice,
    /// Whether a status that was consulted is not known: the answer is provisional.
    pub unknown: bool,
    /// Whether a `backupSelector` decided, because no target was up.
    pub fallback: bool,
    /// For how many kinds of clients there is nobody to give, or nobody but whom a fallback names for want of others: what an
    /// operator's order should not add to.
    pub bare: u32,
    /// The longest TTL that the answer may have, seconds: shorter where it is likely to change.
    pub ttl: u32,
}

impl Program {
    /// The pieces, in their order.
    #[must_use]
    pub fn settle(&self, under: &Under<'_>) -> Arc<[Settled]> {
        self.pieces.iter().map(|piece| settle(&piece.plan, &self.members, under, None)).collect()
    }

    /// Why a piece settles as it does under the same statuses.
    #[must_use]
    pub fn explain(&self, piece: u16, under: &Under<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(piece) = self.pieces.get(usize::from(piece)) {
            settle(&piece.plan, &self.members, under, Some(&mut steps));
        }
        steps
    }
}

/// One piece; `members` are the texts that it is numbered by.
pub(super) fn settle(plan: &Plan, members: &[Box<str>], under: &Under<'_>, steps: Option<&mut Vec<Step>>) -> Settled {
    let mut walk = Walk { under: *under, members, steps, unknown: false, fallback: false, bare: 0, ttl: u32::MAX };
    let choice = walk.plan(plan);
    let Walk { unknown, fallback, mut bare, ttl, .. } = walk;
    if choice.is_empty() {
        bare = bare.max(1);
    }
    Settled { choice, unknown, fallback, bare, ttl }
}

struct Walk<'a> {
    under: Under<'a>,
    members: &'a [Box<str>],
    steps: Option<&'a mut Vec<Step>>,
    unknown: bool,
    fallback: bool,
    bare: u32,
    ttl: u32,
}

impl Walk<'_> {
    fn plan(&mut self, plan: &Plan) -> Choice {
        match plan {
            Plan::Constant(members) => {
                self.note(|| Step::Constant { members: members.clone() });
                Choice::Every(members.clone())
            }
            Plan::Failing(reason) => {
                let reason = *reason;
                self.note(|| Step::Failed { function: None, reason });
                Choice::Fail(reason)
            }
            Plan::Checked(checked) => self.checked(checked),
            Plan::Pool(pool) => self.pool(pool),
            Plan::SelfWeighted(targets) => self.self_weighted(targets),
            Plan::Pick { picker, list: List::Members(members) } => self.pick(*picker, members),
            Plan::Pick { picker, list: List::Plan(inner) } => match self.plan(inner) {
                Choice::Every(members) => self.pick(*picker, &members),
                Choice::Closest(closest) if closest.count != 1 => {
                    Choice::Of { draw: picker.draw(), inner: Box::new(Choice::Closest(closest)) }
                }
                Choice::Fail(reason) => Choice::Fail(reason),
                // of a pool: what a client gets of it is known with the client
                other if matches!(**inner, Plan::Pool(_)) => Choice::Of { draw: picker.draw(), inner: Box::new(other) },
                // a list of one, or no list
                other => other,
            },
            Plan::View { networks, pairs, otherwise } => self.view(networks, pairs, *otherwise),
            Plan::Weighted { function, members, .. } if members.is_empty() => self.fail(*function, FailReason::EmptyList),
            Plan::Weighted { function, draw, members } => {
                self.note(|| Step::Weighed { function: *function, draw: *draw, members: members.clone() });
                Choice::Weighted { draw: *draw, members: members.clone() }
            }
            Plan::Ring(points) if points.is_empty() => self.fail(Function::PickCHashed, FailReason::EmptyList),
            Plan::Ring(points) => {
                let members = points.iter().map(|&(_, member)| member).collect::<std::collections::BTreeSet<_>>();
                let members = members.into_iter().collect();
                self.note(|| Step::Picked { function: Function::PickCHashed, draw: Some(Draw::Client), members });
                Choice::Ring(Arc::clone(points))
            }
            Plan::Closest { candidates, .. } if candidates.is_empty() => self.fail(Function::PickClosest, FailReason::EmptyList),
            Plan::Closest { candidates, count, metric } => {
                let members = candidates.iter().map(|candidate| candidate.member).collect();
                self.note(|| Step::Picked { function: Function::PickClosest, draw: None, members });
                self.closest(candidates.iter().copied(), *count, *metric)
            }
        }
    }

    fn view(&mut self, networks: &Arc<NetMap<u16>>, pairs: &[Box<[u16]>], otherwise: Option<u16>) -> Choice {
        self.note(|| Step::Viewed { networks: Arc::clone(networks), pairs: pairs.into() });
        let pair = |members: &[u16]| match members {
            [] => Choice::Fail(FailReason::EmptyList),
            _ => Choice::One { draw: Draw::Chance, members: members.into() },
        };
        Choice::ByNetwork {
            networks: Arc::clone(networks),
            choices: pairs.iter().map(|members| pair(members)).collect(),
            otherwise: Box::new(match otherwise {
                Some(member) => Choice::Every([member].into()),
                None => Choice::Fail(FailReason::NoNetwork),
            }),
        }
    }

    fn closest(&self, candidates: impl Iterator<Item = Candidate>, count: usize, metric: Metric) -> Choice {
        let place = |candidate: Candidate| {
            let location = candidate.location.or_else(|| self.under.places.find(candidate.address).location);
            (candidate.member, location)
        };
        Choice::Closest(Closest { candidates: candidates.map(place).collect(), count, metric })
    }

    fn pick(&mut self, picker: Picker, members: &[u16]) -> Choice {
        if members.is_empty() {
            return self.fail(picker.function(), FailReason::EmptyList);
        }
        self.note(|| Step::Picked { function: picker.function(), draw: picker.draw(), members: members.into() });
        let members = members.into();
        match (picker, picker.draw()) {
            (Picker::Sample(count), _) => Choice::Sample { count, members },
            (_, None) => Choice::Every(members),
            (_, Some(draw)) => Choice::One { draw, members },
        }
    }

    fn checked(&mut self, checked: &Checked) -> Choice {
        let mut pending = true;
        for (group, targets) in checked.groups.iter().enumerate() {
            pending &= targets.iter().all(|target| self.status(target).value == Value::Unknown);
            let up = self.group(checked.function, group, targets);
            if !up.is_empty() {
                let (function, selector) = (checked.function, checked.selector);
                self.note(|| Step::Selected { function, group, selector, members: members(&up) });
                return self.select(selector, &up, checked.metric);
            }
        }
        match checked.groups.iter().enumerate().find(|(_, targets)| !targets.is_empty()) {
            None => self.fail(checked.function, FailReason::NoTargets),
            Some(_) if checked.fail_incomplete && pending => self.fail(checked.function, FailReason::Pending),
            Some((group, targets)) => self.fall_back(checked, group, targets),
        }
    }

    /// Those of a group that are available.
    fn group(&mut self, function: Function, group: usize, targets: &[Target]) -> Vec<Target> {
        let mut up = Vec::with_capacity(targets.len());
        let mut shares = Vec::new();
        for target in targets {
            let status = self.status(target);
            self.unknown |= status.value == Value::Unknown;
            if status.is_available() {
                up.push(*target);
                shares.push(status.weight);
            }
        }
        if shares.iter().any(|&share| share != Status::SOUND.weight) {
            share(&mut up, &shares);
        }
        let (status, count) = (self.under.status, up.len());
        let consult =
            |&Target { address, member, check, .. }: &Target| Consulted { member, address, check, status: status(check) };
        self.note(|| Step::Group { function, group, up: count, targets: targets.iter().map(consult).collect() });
        up
    }

    fn status(&self, target: &Target) -> Status {
        (self.under.status)(target.check)
    }

    fn fall_back(&mut self, checked: &Checked, group: usize, targets: &[Target]) -> Choice {
        (self.fallback, self.bare) = (true, 1);
        let allowed = self.allowed(targets);
        let (function, backup, excluded) = (checked.function, checked.backup, targets.len() - allowed.len());
        self.note(|| Step::FellBack { function, group, backup, members: members(&allowed), excluded });
        self.select(backup, &allowed, checked.metric)
    }

    /// Those whom a fallback may name.
    fn allowed(&self, targets: &[Target]) -> Vec<Target> {
        targets.iter().filter(|target| !self.status(target).is_excluded()).copied().collect()
    }

    /// By the weights that the targets report; where none is up, at random among all (which PowerDNS means to do, and
    /// fails).
    fn self_weighted(&mut self, targets: &[Target]) -> Choice {
        let function = Function::PickSelfWeighted;
        if targets.is_empty() {
            return self.fail(function, FailReason::NoTargets);
        }
        let up = self.group(function, 0, targets);
        let sums = running(up.iter().map(|target| {
            let Status { reported, weight, .. } = self.status(target);
            (part_of(reported, weight), target.member)
        }));
        if !sums.is_empty() {
            self.note(|| Step::Weighed { function, draw: Draw::Client, members: sums.clone() });
            return Choice::Weighted { draw: Draw::Client, members: sums };
        }
        (self.fallback, self.bare) = (true, 1);
        let allowed = self.allowed(targets);
        let excluded = targets.len() - allowed.len();
        self.note(|| Step::FellBack { function, group: 0, backup: Selector::Random, members: members(&allowed), excluded });
        self.select(Selector::Random, &allowed, Metric::default())
    }

    /// What a selector makes of candidates. No candidates: an empty answer.
    fn select(&self, selector: Selector, targets: &[Target], metric: Metric) -> Choice {
        let drawn = |draw| Choice::One { draw, members: members(targets) };
        match selector {
            _ if targets.is_empty() => Choice::Every([].into()),
            Selector::Random => drawn(Draw::Chance),
            Selector::Hashed => drawn(Draw::Client),
            Selector::All => Choice::Every(members(targets)),
            Selector::Empty => Choice::Every([].into()),
            Selector::First => Choice::Every(members(&targets[..1])),
            Selector::Closest(count) => self.closest(targets.iter().map(Target::candidate), count.into(), metric),
            Selector::WRandom => Choice::Weighted { draw: Draw::Chance, members: sums(targets) },
            Selector::WHashed => Choice::Weighted { draw: Draw::Client, members: sums(targets) },
            Selector::NameHashed => Choice::Weighted { draw: Draw::Name, members: sums(targets) },
            Selector::CHashed => {
                let contender = |target: &Target| Contender::new(target.member, self.text(target.member), target.weight);
                Choice::Rendezvous { draw: Draw::Client, count: 1, contenders: targets.iter().map(contender).collect() }
            }
        }
    }

    fn text(&self, member: u16) -> &str {
        self.members.get(usize::from(member)).map_or("", |text| text)
    }

    fn fail(&mut self, function: Function, reason: FailReason) -> Choice {
        self.note(|| Step::Failed { function: Some(function), reason });
        Choice::Fail(reason)
    }

    fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.steps {
            steps.push(step());
        }
    }
}

/// Gives each target its share, in 1/256, of its weight, keeping the proportions exact where the numbers allow.
fn share(targets: &mut [Target], shares: &[u16]) {
    let mut weights: Vec<u32> = targets.iter().map(|target| target.weight).collect();
    share_out(&mut weights, shares);
    targets.iter_mut().zip(weights).for_each(|(target, weight)| target.weight = weight);
}

fn members(targets: &[Target]) -> Box<[u16]> {
    targets.iter().map(|target| target.member).collect()
}

/// Running sums of the weights, in the order in which the weighted pickers walk a list. Loading saw to it that they fit.
fn sums(targets: &[Target]) -> Box<[(u32, u16)]> {
    let keys: Vec<i64> = (1..).take(targets.len()).collect();
    running(walk_order(&keys).into_iter().map(|at| (targets[at].weight, targets[at].member)))
}

/// Weights added up, each with whom it belongs to.
fn running(weights: impl Iterator<Item = (u32, u16)>) -> Box<[(u32, u16)]> {
    let add = |sum: &mut u32, (weight, member): (u32, u16)| {
        *sum = sum.saturating_add(weight);
        Some((*sum, member))
    };
    weights.scan(0, add).collect()
}

#[cfg(test)]
mod tests;
