//! Pools: which members serve, and what a client gets of them.
//!
//! | situation | decided by |
//! | --- | --- |
//! | a level has `min_up` members that are available, reserves left aside | `select`, over those of the first such level |
//! | only with its reserves | the same |
//! | no level has | `when_none_up` |
//!
//! A member is available while one of its addresses that the record's type shows is up and not drained; a member that has
//! none of that type, while any of its addresses is: it takes part in the choice, and gives nothing. So who is sent to a
//! place that has no IPv6 asks for IPv6 in vain, instead of being sent elsewhere by it.
//!
//! A reserve has the weight 0: the configuration's, or that of a member that waits to come back (`health`'s pools).
//!
//! What is fewer than `min_up` of every level counts as none. A map may have an order of sites none of which serves while
//! others do: then for its clients none is up.

use std::sync::Arc;

use super::super::choice::{Choice, Closest, Contender, Draw, FailReason, Metric};
use super::super::plan::{Given, PoolMember, PoolPlan, Steer};
use super::{Step, Stood, Walk, share_out};
use crate::geo::SiteId;
use crate::target::{Select, Status, Value, WhenNoneUp};

/// A member that may be chosen.
struct Candidate<'p> {
    /// Its place in the pool.
    at: usize,
    member: &'p PoolMember,
    /// What it gives.
    texts: Box<[u16]>,
    weight: u32,
}

impl Walk<'_> {
    pub(super) fn pool(&mut self, plan: &PoolPlan) -> Choice {
        self.watch(plan);
        let serving = [false, true].into_iter().find_map(|reserves| self.serving(plan, reserves));
        let stood = |walk: &Self| plan.members.iter().map(|member| walk.stood(member)).collect();
        match serving {
            Some(candidates) => {
                let chosen = candidates.iter().map(|candidate| candidate.at as u16).collect();
                let members = stood(self);
                self.note(|| Step::Pooled { pool: Arc::clone(&plan.pool), members, serving: chosen });
                self.choose(plan, &candidates)
            }
            None => {
                let members = stood(self);
                self.note(|| Step::Pooled { pool: Arc::clone(&plan.pool), members, serving: [].into() });
                self.none_up(plan)
            }
        }
    }

    /// Notes what is not known, and how soon the answer is likely to change.
    fn watch(&mut self, plan: &PoolPlan) {
        self.ttl = self.ttl.min(plan.pool.ttl.unwrap_or(u32::MAX));
        let shown = plan.members.iter().flat_map(|member| &member.gives).flat_map(|given| &given.standings);
        for &at in shown {
            let status = self.standing(at);
            self.unknown |= status.value == Value::Unknown;
            if let Some(soon) = status.likely_change().filter(|_| !status.is_excluded()) {
                self.ttl = self.ttl.min(soon.max(plan.pool.ttl_min));
            }
        }
    }

    fn standing(&self, at: usize) -> Status {
        (self.under.standing)(at)
    }

    fn stood(&self, member: &PoolMember) -> Stood {
        let statuses = member.standings.iter().map(|&(at, _)| self.standing(at)).collect();
        Stood { statuses, available: self.weight(member).is_some(), weight: self.weight(member).unwrap_or(0) }
    }

    /// The share of a member that is available, in 1/256.
    fn weight(&self, member: &PoolMember) -> Option<u16> {
        let shown = member.gives.iter().flat_map(|given| given.standings.iter().copied());
        let all = member.standings.iter().map(|&(at, _)| at);
        let available = |at: usize| Some(self.standing(at)).filter(|status| status.is_available()).map(|status| status.weight);
        if member.gives.is_empty() { all.filter_map(available).max() } else { shown.filter_map(available).max() }
    }

    /// The members of the first level that can serve.
    fn serving<'p>(&self, plan: &'p PoolPlan, reserves: bool) -> Option<Vec<Candidate<'p>>> {
        let mut from = 0;
        for level in plan.members.chunk_by(|one, other| one.level == other.level) {
            let numbered = level.iter().zip(from..);
            from += level.len();
            let share = |member: &PoolMember| self.weight(member).filter(|&share| reserves || (share > 0 && member.weight > 0));
            let available: Vec<_> = numbered.filter_map(|(member, at)| Some((at, member, share(member)?))).collect();
            if available.len() >= plan.pool.min_up.at_least(level.len()).max(1) {
                let shares: Vec<u16> = available.iter().map(|&(_, _, share)| share.max(1)).collect();
                let mut weights: Vec<u32> = available.iter().map(|(_, member, _)| member.weight.max(1)).collect();
                share_out(&mut weights, &shares);
                let weighted = available.into_iter().zip(weights);
                let is_up = |status: Status| status.is_available();
                return Some(
                    weighted
                        .map(|((at, member, _), weight)| Candidate { at, member, texts: self.texts(member, is_up), weight })
                        .collect(),
                );
            }
        }
        None
    }

    /// What a member gives, by those of its addresses that may be named.
    fn texts(&self, member: &PoolMember, may: impl Fn(Status) -> bool) -> Box<[u16]> {
        let named = |given: &&Given| given.standings.iter().any(|&at| may(self.standing(at)));
        let text = |given: &Given| match given.texts[..] {
            [text] => text,
            _ => {
                let hint = |v6: bool| {
                    let mut family = member.standings.iter().filter(|&&(_, is_v6)| is_v6 == v6).peekable();
                    family.peek().is_some() && family.all(|&(at, _)| may(self.standing(at)))
                };
                let variant = usize::from(hint(false)) + 2 * usize::from(hint(true));
                given.texts.get(variant).copied().unwrap_or_default()
            }
        };
        member.gives.iter().filter(named).map(text).collect()
    }

    /// What the pool gives where no level can serve.
    fn none_up(&mut self, plan: &PoolPlan) -> Choice {
        self.fallback = true;
        match &plan.pool.when_none_up {
            WhenNoneUp::All | WhenNoneUp::Last => Choice::Every(self.allowed_of(plan, |_| true)),
            WhenNoneUp::Empty => Choice::Every([].into()),
            WhenNoneUp::Nxdomain => Choice::Fail(FailReason::NoSuchName),
            WhenNoneUp::Fixed(_) => Choice::Every(plan.fixed.clone()),
            WhenNoneUp::Pool(_) => match &plan.otherwise {
                Some(other) => self.plan(other),
                None => Choice::Fail(FailReason::BadCall),
            },
        }
    }

    /// All that a fallback may name of the first level that has any, of these members.
    fn allowed_of(&self, plan: &PoolPlan, of: impl Fn(&PoolMember) -> bool) -> Box<[u16]> {
        for level in plan.members.chunk_by(|one, other| one.level == other.level) {
            let members = level.iter().filter(|member| of(member));
            let allowed: Box<[u16]> = members.flat_map(|member| self.texts(member, |status| !status.is_excluded())).collect();
            if !allowed.is_empty() {
                return allowed;
            }
        }
        [].into()
    }

    /// What a client gets of these.
    fn choose(&mut self, plan: &PoolPlan, candidates: &[Candidate<'_>]) -> Choice {
        let most = plan.pool.answers.map_or(usize::MAX, usize::from);
        let all: Vec<usize> = (0..candidates.len()).collect();
        match &plan.pool.select {
            Select::All | Select::First => first(candidates, &all, most),
            Select::Random | Select::Weighted => self.ranked(plan, candidates, Draw::Chance, most),
            Select::CHashed => self.ranked(plan, candidates, Draw::Client, most),
            Select::Hashed => {
                let mut sum = 0u32;
                let add = |(at, candidate): (usize, &Candidate<'_>)| {
                    sum = sum.saturating_add(candidate.weight);
                    (sum, at as u16)
                };
                let members = candidates.iter().enumerate().map(add).collect();
                bundled(candidates, Choice::Weighted { draw: Draw::Client, members })
            }
            Select::Closest => {
                let place = |(at, candidate): (usize, &Candidate<'_>)| {
                    let found = candidate
                        .member
                        .candidate
                        .map(|known| known.location.or_else(|| self.under.places.find(known.address).location));
                    (at as u16, found.flatten())
                };
                let metric = Metric { sphere: true, unknown_is_far: true };
                let closest = Closest { candidates: candidates.iter().enumerate().map(place).collect(), count: most, metric };
                bundled(candidates, Choice::Closest(closest))
            }
            Select::RegionThenRest | Select::Map(_) => self.steered(plan, candidates, most),
        }
    }

    fn ranked(&self, plan: &PoolPlan, candidates: &[Candidate<'_>], draw: Draw, count: usize) -> Choice {
        let contender = |(at, candidate): (usize, &Candidate<'_>)| {
            let name = plan.pool.members.get(candidate.at).map_or("", |member| &member.name);
            Contender::new(at as u16, name, candidate.weight)
        };
        let contenders = candidates.iter().enumerate().map(contender).collect();
        bundled(candidates, Choice::Rendezvous { draw, count, contenders })
    }

    fn steered(&mut self, plan: &PoolPlan, candidates: &[Candidate<'_>], most: usize) -> Choice {
        let all = || (0..candidates.len()).collect::<Vec<_>>();
        match &plan.steer {
            None => first(candidates, &all(), most),
            Some(by @ Steer::Region { regions, of, .. }) => {
                let choice = |region: u16| {
                    let is_there = |&at: &usize| of.get(candidates[at].at).copied().flatten() == Some(region);
                    let there: Vec<usize> = all().into_iter().filter(is_there).collect();
                    first(candidates, if there.is_empty() { all() } else { there }.as_slice(), most)
                };
                let choices = (0..regions.len() as u16).map(choice).collect();
                Choice::Steered { by: by.clone(), choices, otherwise: Box::new(first(candidates, &all(), most)) }
            }
            Some(by @ Steer::Map(map)) => {
                let choices = map.orders().iter().map(|order| self.in_order(plan, candidates, order, most)).collect();
                Choice::Steered { by: by.clone(), choices, otherwise: Box::new(Choice::Every([].into())) }
            }
        }
    }

    /// What the clients get for whom the sites stand in this order: none is what an empty order means.
    fn in_order(&mut self, plan: &PoolPlan, candidates: &[Candidate<'_>], order: &[SiteId], most: usize) -> Choice {
        for &site in order {
            let there: Vec<usize> = (0..candidates.len()).filter(|&at| candidates[at].member.site == Some(site)).collect();
            if !there.is_empty() {
                return first(candidates, &there, most);
            }
        }
        let of_order = |member: &PoolMember| member.site.is_some_and(|site| order.contains(&site));
        match &plan.pool.when_none_up {
            WhenNoneUp::All | WhenNoneUp::Last => Choice::Every(self.allowed_of(plan, of_order)),
            _ if order.is_empty() => Choice::Every([].into()),
            _ => self.none_up(plan),
        }
    }
}

/// The first of these candidates, in their order.
fn first(candidates: &[Candidate<'_>], of: &[usize], most: usize) -> Choice {
    Choice::Every(of.iter().take(most).flat_map(|&at| candidates[at].texts.iter().copied()).collect())
}

/// A choice among places in `candidates` as one among what they give.
fn bundled(candidates: &[Candidate<'_>], inner: Choice) -> Choice {
    let bundles = candidates.iter().map(|candidate| candidate.texts.clone()).collect();
    Choice::Bundles { inner: Box::new(inner), bundles }
}
