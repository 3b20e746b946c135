//! Plan + statuses → choice, and the reasons.
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

use super::choice::{Choice, Draw, FailReason, Settled};
use super::plan::{Checked, Function, List, Picker, Plan, Program, Selector, Target};
use crate::geo::NetMap;
use crate::target::{Status, Value};

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
        /// How it draws; `None` for `all`.
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
    /// A function found nothing to work on.
    Failed {
        /// Which.
        function: Function,
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

impl Program {
    /// The program under the statuses that `status` gives for indices into [`Program::checks`].
    #[must_use]
    pub fn settle(&self, status: &dyn Fn(usize) -> Status) -> Settled {
        self.walk(status, None)
    }

    /// Why [`Program::settle`] gives what it gives under the same statuses.
    #[must_use]
    pub fn explain(&self, status: &dyn Fn(usize) -> Status) -> Vec<Step> {
        let mut steps = Vec::new();
        self.walk(status, Some(&mut steps));
        steps
    }

    fn walk(&self, status: &dyn Fn(usize) -> Status, steps: Option<&mut Vec<Step>>) -> Settled {
        let mut walk = Walk { status, steps, unknown: false, fallback: false };
        let choice = walk.plan(&self.plan);
        Settled { choice, unknown: walk.unknown, fallback: walk.fallback }
    }
}

struct Walk<'a> {
    status: &'a dyn Fn(usize) -> Status,
    steps: Option<&'a mut Vec<Step>>,
    unknown: bool,
    fallback: bool,
}

impl Walk<'_> {
    fn plan(&mut self, plan: &Plan) -> Choice {
        match plan {
            Plan::Constant(members) => {
                self.note(|| Step::Constant { members: members.clone() });
                Choice::Every(members.clone())
            }
            Plan::Checked(checked) => self.checked(checked),
            Plan::Pick { picker, list: List::Members(members) } => self.pick(*picker, members),
            Plan::Pick { picker, list: List::Plan(inner) } => match self.plan(inner) {
                Choice::Every(members) => self.pick(*picker, &members),
                // a list of one, or no list
                inner @ (Choice::One { .. } | Choice::Weighted { .. } | Choice::ByNetwork { .. } | Choice::Fail(_)) => inner,
            },
            Plan::View { networks, pairs, otherwise } => {
                self.note(|| Step::Viewed { networks: Arc::clone(networks), pairs: pairs.clone() });
                let pair = |members: &[u16]| match members {
                    [] => Choice::Fail(FailReason::EmptyList),
                    _ => Choice::One { draw: Draw::Chance, members: members.into() },
                };
                Choice::ByNetwork {
                    networks: Arc::clone(networks),
                    choices: pairs.iter().map(|members| pair(members)).collect(),
                    otherwise: Box::new(match otherwise {
                        Some(member) => Choice::Every([*member].into()),
                        None => Choice::Fail(FailReason::NoNetwork),
                    }),
                }
            }
            Plan::Weighted { function, members, .. } if members.is_empty() => self.fail(*function, FailReason::EmptyList),
            Plan::Weighted { function, draw, members } => {
                self.note(|| Step::Weighed { function: *function, draw: *draw, members: members.clone() });
                Choice::Weighted { draw: *draw, members: members.clone() }
            }
        }
    }

    fn pick(&mut self, picker: Picker, members: &[u16]) -> Choice {
        if members.is_empty() {
            return self.fail(picker.function(), FailReason::EmptyList);
        }
        self.note(|| Step::Picked { function: picker.function(), draw: picker.draw(), members: members.into() });
        let members = members.into();
        match picker.draw() {
            None => Choice::Every(members),
            Some(draw) => Choice::One { draw, members },
        }
    }

    fn checked(&mut self, checked: &Checked) -> Choice {
        for (group, targets) in checked.groups.iter().enumerate() {
            let up = self.group(checked.function, group, targets);
            if !up.is_empty() {
                let (function, selector) = (checked.function, checked.selector);
                self.note(|| Step::Selected { function, group, selector, members: up.clone() });
                return select(selector, up);
            }
        }
        match checked.groups.iter().enumerate().find(|(_, targets)| !targets.is_empty()) {
            Some((group, targets)) => self.fall_back(checked, group, targets),
            None => self.fail(checked.function, FailReason::NoTargets),
        }
    }

    /// The available members of a group.
    fn group(&mut self, function: Function, group: usize, targets: &[Target]) -> Box<[u16]> {
        let seen: Box<[Consulted]> = targets.iter().map(|target| self.consult(target)).collect();
        let up: Box<[u16]> = seen.iter().filter(|seen| seen.status.is_available()).map(|seen| seen.member).collect();
        self.unknown |= seen.iter().any(|seen| seen.status.value == Value::Unknown);
        self.note(|| Step::Group { function, group, up: up.len(), targets: seen });
        up
    }

    fn consult(&self, target: &Target) -> Consulted {
        let &Target { address, member, check } = target;
        Consulted { member, address, check, status: (self.status)(check) }
    }

    fn fall_back(&mut self, checked: &Checked, group: usize, targets: &[Target]) -> Choice {
        self.fallback = true;
        let allowed = |target: &&Target| !(self.status)(target.check).is_excluded();
        let members: Box<[u16]> = targets.iter().filter(allowed).map(|target| target.member).collect();
        let (function, backup, excluded) = (checked.function, checked.backup, targets.len() - members.len());
        self.note(|| Step::FellBack { function, group, backup, members: members.clone(), excluded });
        select(backup, members)
    }

    fn fail(&mut self, function: Function, reason: FailReason) -> Choice {
        self.note(|| Step::Failed { function, reason });
        Choice::Fail(reason)
    }

    fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.steps {
            steps.push(step());
        }
    }
}

/// What a selector makes of candidates. No candidates: an empty answer.
fn select(selector: Selector, members: Box<[u16]>) -> Choice {
    match selector {
        _ if members.is_empty() => Choice::Every(members),
        Selector::Random => Choice::One { draw: Draw::Chance, members },
        Selector::Hashed => Choice::One { draw: Draw::Client, members },
        Selector::All => Choice::Every(members),
        Selector::Empty => Choice::Every([].into()),
    }
}

#[cfg(test)]
mod tests;
