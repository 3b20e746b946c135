//! Pools: which members serve, and what a client gets of them.
//!
//! | situation | decided by |
//! | --- | --- |
//! | a level has `min_up` members that are available, reserves left aside ([`Pool::serving`](crate::target::Pool::serving)) | `select`, over those of the first such level |
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

use super::super::choice::{Choice, Contender, Draw, FailReason, Metric};
use super::super::plan::{self, Given, PoolMember, PoolPlan, Steer};
use super::{Step, Stood, Under, Walk, running};
use crate::geo::SiteId;
use crate::target::{Select, Serving, Status, Value, WhenNoneUp};

/// A member that may be chosen.
struct Candidate<'p> {
    /// Its place in the pool.
    at: usize,
    member: &'p PoolMember,
    /// What it gives.
    texts: Box<[u16]>,
    weight: u32,
}

impl Under<'_> {
    fn stood(&self, member: &PoolMember) -> Stood {
        let statuses = member.standings.iter().map(|&(at, _)| (self.standing)(at)).collect();
        Stood { statuses, available: self.weight(member).is_some() }
    }

    /// The share of a member that is available, in 1/256.
    fn weight(&self, member: &PoolMember) -> Option<u16> {
        let shown = member.gives.iter().flat_map(|given| given.standings.iter().copied());
        let all = member.standings.iter().map(|&(at, _)| at);
        let available = |at: usize| Some((self.standing)(at)).filter(|status| status.is_available()).map(|status| status.weight);
        if member.gives.is_empty() { all.filter_map(available).max() } else { shown.filter_map(available).max() }
    }
}

impl Walk<'_> {
    pub(super) fn pool(&mut self, plan: &PoolPlan) -> Choice {
        let serving = self.serving(plan);
        self.watch(plan, serving.as_ref().and_then(|serving| serving.first()).map(|first| first.member.level));
        let under = self.under;
        self.note(|| Step::Pooled {
            pool: Arc::clone(&plan.pool),
            members: plan.members.iter().map(|member| under.stood(member)).collect(),
            serving: serving.iter().flatten().map(|candidate| candidate.at as u16).collect(),
        });
        match serving {
            Some(candidates) => self.choose(plan, &candidates),
            None => {
                self.fallback = true;
                self.none_up(plan)
            }
        }
    }

    /// Notes what is not known, and how soon the answer is likely to change: of the level that serves and those before it.
    fn watch(&mut self, plan: &PoolPlan, serving: Option<u16>) {
        self.ttl = self.ttl.min(plan.pool.ttl.unwrap_or(u32::MAX));
        let counts = |member: &&PoolMember| serving.is_none_or(|level| member.level <= level);
        let shown = plan.members.iter().filter(counts).flat_map(|member| &member.gives).flat_map(|given| &given.standings);
        for &at in shown {
            let status = (self.under.standing)(at);
            self.unknown |= status.value == Value::Unknown;
            if let Some(soon) = status.likely_change().filter(|_| !status.is_excluded()) {
                self.ttl = self.ttl.min(soon.max(plan.pool.ttl_min));
            }
        }
    }

    /// The members of the first level that can serve.
    fn serving<'p>(&self, plan: &'p PoolPlan) -> Option<Vec<Candidate<'p>>> {
        let share = |at: usize| self.under.weight(plan.members.get(at)?);
        let candidate = |Serving { member: at, weight }: Serving| {
            let member = plan.members.get(at)?;
            Some(Candidate { at, member, texts: self.texts(member, |status| status.is_available()), weight })
        };
        Some(plan.pool.serving(share)?.into_iter().filter_map(candidate).collect())
    }

    /// What a member gives, by those of its addresses that may be named.
    fn texts(&self, member: &PoolMember, may: impl Fn(Status) -> bool) -> Box<[u16]> {
        let named = |given: &&Given| given.standings.iter().any(|&at| may((self.under.standing)(at)));
        let text = |given: &Given| match given.texts[..] {
            [text] => text,
            _ => {
                let hint = |v6: bool| {
                    let mut family = member.standings.iter().filter(|&&(_, is_v6)| is_v6 == v6).peekable();
                    family.peek().is_some() && family.all(|&(at, _)| may((self.under.standing)(at)))
                };
                let variant = usize::from(hint(false)) + 2 * usize::from(hint(true));
                given.texts.get(variant).copied().unwrap_or_default()
            }
        };
        member.gives.iter().filter(named).map(text).collect()
    }

    /// What the pool gives where no level can serve.
    fn none_up(&mut self, plan: &PoolPlan) -> Choice {
        match &plan.pool.when_none_up {
            WhenNoneUp::Pool(_) => match &plan.otherwise {
                Some(other) => self.plan(other),
                None => Choice::Fail(FailReason::BadCall),
            },
            WhenNoneUp::Fixed(_) if !plan.fixed.is_empty() => Choice::Every(plan.fixed.clone()),
            _ => {
                self.bare += 1;
                self.barely(plan, |_| true)
            }
        }
    }

    /// What is given of these members when none of them can serve and nobody else does for them.
    fn barely(&self, plan: &PoolPlan, of: impl Fn(&PoolMember) -> bool) -> Choice {
        let given = self.given_barely(plan, of);
        match &given {
            // Caches would keep for long that there is nothing, which is not known.
            Choice::Every(texts) if texts.is_empty() && plan.is_unresolved() => Choice::Fail(FailReason::Unresolved),
            _ => given,
        }
    }

    fn given_barely(&self, plan: &PoolPlan, of: impl Fn(&PoolMember) -> bool) -> Choice {
        match &plan.pool.when_none_up {
            WhenNoneUp::All => Choice::Every(self.allowed_of(plan, of, |status| !status.is_excluded())),
            WhenNoneUp::Last => {
                let held = self.allowed_of(plan, &of, Status::is_available);
                let all = || self.allowed_of(plan, &of, |status| !status.is_excluded());
                Choice::Every(if held.is_empty() { all() } else { held })
            }
            WhenNoneUp::Nxdomain => Choice::Fail(FailReason::NoSuchName),
            WhenNoneUp::Empty | WhenNoneUp::Fixed(_) | WhenNoneUp::Pool(_) => Choice::Every([].into()),
        }
    }

    /// All that may be named of the first level that has any, of these members.
    fn allowed_of(&self, plan: &PoolPlan, of: impl Fn(&PoolMember) -> bool, may: impl Fn(Status) -> bool) -> Box<[u16]> {
        for level in plan.members.chunk_by(|one, other| one.level == other.level) {
            let members = level.iter().filter(|member| of(member));
            let texts = members.flat_map(|member| self.texts(member, &may));
            let allowed: Box<[u16]> = texts.take(plan.most_texts()).collect();
            if !allowed.is_empty() {
                return allowed;
            }
        }
        [].into()
    }

    /// What a client gets of these.
    fn choose(&mut self, plan: &PoolPlan, candidates: &[Candidate<'_>]) -> Choice {
        let most = plan.most();
        let all: Vec<usize> = (0..candidates.len()).collect();
        match &plan.pool.select {
            Select::All | Select::First => first(candidates, &all, most),
            Select::Random | Select::Weighted => self.ranked(plan, candidates, Draw::Chance, most),
            Select::CHashed => self.ranked(plan, candidates, Draw::Client, most),
            Select::Hashed => {
                let members = running(candidates.iter().zip(0..).map(|(candidate, at)| (candidate.weight, at)));
                bundled(candidates, Choice::Weighted { draw: Draw::Client, members })
            }
            Select::Closest => {
                let place =
                    |(candidate, member): (&Candidate<'_>, u16)| Some(plan::Candidate { member, ..candidate.member.candidate? });
                let metric = Metric { sphere: true, unknown_is_far: true };
                bundled(candidates, self.closest(candidates.iter().zip(0..).filter_map(place), most, metric))
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
        match plan.steer.as_ref().map(|by| (by, &**by)) {
            None => first(candidates, &all(), most),
            Some((by, Steer::Region { regions, of, .. })) => {
                let choice = |region: u16| {
                    let is_there = |&at: &usize| of.get(candidates[at].at).copied().flatten() == Some(region);
                    let there: Vec<usize> = all().into_iter().filter(is_there).collect();
                    first(candidates, if there.is_empty() { all() } else { there }.as_slice(), most)
                };
                let choices = (0..regions.len() as u16).map(choice).collect();
                Choice::Steered { by: Arc::clone(by), choices, otherwise: Box::new(first(candidates, &all(), most)) }
            }
            Some((by, Steer::Map(map))) => {
                let choices = map.orders().iter().map(|order| self.in_order(plan, candidates, order, most)).collect();
                Choice::Steered { by: Arc::clone(by), choices, otherwise: Box::new(Choice::Every([].into())) }
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
        if order.is_empty() {
            return Choice::Every([].into()); // on purpose
        }
        match &plan.pool.when_none_up {
            WhenNoneUp::Pool(_) | WhenNoneUp::Fixed(_) => self.none_up(plan),
            _ => {
                self.bare += 1;
                self.barely(plan, |member| member.site.is_some_and(|site| order.contains(&site)))
            }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, SocketAddr};

    use super::super::{Settled, Under};
    use crate::geo::Places;
    use crate::program::{Defaults, Facts, Program, Settings, compile_for};
    use crate::target::pool::testing::pool;
    use crate::target::{Basis, Pool, Pools, Select, Share, Status, Value, WhenNoneUp};
    use crate::wire::{NameRef, RecordType};

    const UP: Status = Status { value: Value::Up, basis: Basis::Measured, ..Status::NEVER };
    const DOWN: Status = Status { value: Value::Down, basis: Basis::Measured, ..Status::NEVER };

    fn program(pool: Pool, rtype: RecordType) -> Program {
        let pools: Pools = [pool].into_iter().collect();
        let settings = Settings { defaults: Defaults { pools, ..Defaults::default() }, step_limit: 1000, shared: false };
        let compiled = compile_for(rtype, "pool('p')", &settings);
        compiled.program.unwrap_or_else(|| panic!("{:?}", compiled.findings))
    }

    fn settled(program: &Program, standing: &dyn Fn(usize) -> Status) -> Settled {
        let under = Under { status: &|_| Status::NEVER, standing, places: &Places::empty() };
        program.settle(&under)[0].clone()
    }

    fn answer(program: &Program, settled: &Settled, client: u32, seed: u64) -> Vec<String> {
        let (client, places) = (IpAddr::from(client.to_be_bytes()), Places::empty());
        let resolver = SocketAddr::new(client, 53);
        let (qname, mut picks) = (NameRef::ROOT, Vec::new());
        let facts = Facts {
            client,
            subnet: None,
            resolver,
            local: resolver,
            qname,
            zone: qname,
            owner: qname,
            tcp: false,
            dnssec_ok: false,
            payload: 1232,
            header: [0; 12],
            places: &places,
            unix: 0,
            monotonic: 0,
        };
        settled.choice.pick(&facts, &mut fastrand::Rng::with_seed(seed), &mut picks).0.expect("an answer");
        picks.iter().map(|&pick| program.members()[usize::from(pick)].to_string()).collect()
    }

    fn addresses(count: usize) -> Vec<String> {
        (0..count).map(|host| format!("192.0.2.{}", host + 1)).collect()
    }

    fn of(select: Select, count: usize) -> Pool {
        let addresses = addresses(count);
        let each: Vec<[&str; 1]> = addresses.iter().map(|address| [&**address]).collect();
        let members: Vec<(u16, &[&str])> = each.iter().map(|one| (0, &one[..])).collect();
        pool(select, &members)
    }

    /// gdnsd's up_thresh: with fewer than that share up, all are given, and the layer above is told.
    #[test]
    fn a_share_must_be_up() {
        let mut told = 0;
        for percent in (10..=100).step_by(10) {
            for count in 1..=16 {
                let min_up = Share::Percent(percent);
                let program = program(Pool { min_up, answers: None, ..of(Select::All, count) }, RecordType::A);
                for up in 0..=count {
                    let settled = settled(&program, &|face| if face < up { UP } else { DOWN });
                    let enough = up > 0 && up * 100 >= usize::from(percent) * count;
                    let expected = addresses(if enough { up } else { count });
                    let seen = answer(&program, &settled, 1, 1);
                    assert_eq!((seen, settled.fallback), (expected, !enough), "{percent} % of {count}, {up} up");
                    told += 1;
                }
            }
        }
        assert_eq!(told, 10 * (1..=16).map(|count| count + 1).sum::<usize>());
    }

    #[test]
    fn a_fallback_names_nobody_whom_an_operator_excludes() {
        let excluded = [Status { drain: true, ..UP }, Status { basis: Basis::Forced, ..DOWN }, DOWN];
        let program = program(Pool { answers: None, ..of(Select::All, 3) }, RecordType::A);
        let settled = settled(&program, &|face| excluded[face]);
        assert_eq!((answer(&program, &settled, 1, 1), settled.fallback), (vec!["192.0.2.3".to_owned()], true));
    }

    #[test]
    fn no_answer_for_a_family_that_is_not_there() {
        let of = |select, when_none_up| {
            let members: [(u16, &[&str]); 2] = [(0, &["192.0.2.1"]), (1, &["192.0.2.2", "2001:db8::2"])];
            Pool { when_none_up, ..pool(select, &members) }
        };
        let program = program(of(Select::First, WhenNoneUp::Empty), RecordType::AAAA);
        assert_eq!(program.standings().len(), 3);
        let seen = |statuses: [Status; 3]| answer(&program, &settled(&program, &|face| statuses[face]), 1, 1);
        assert_eq!(seen([UP, UP, UP]), [""; 0], "who is sent to the first place asks for IPv6 in vain");
        assert_eq!(seen([DOWN, UP, UP]), ["2001:db8::2"]);
        assert_eq!(seen([DOWN, UP, DOWN]), [""; 0]);
    }

    #[test]
    fn a_name_that_was_never_looked_up_is_no_reason_for_an_empty_answer() {
        use crate::program::FailReason;
        use crate::target::{Hosted, Hosts, NamedCheck};
        let told = |when_none_up: WhenNoneUp, known: &[&str], up: bool| {
            let mut pool = Pool { when_none_up, answers: None, ..of(Select::All, 1) };
            let request = pool.members[0].faces.remove(0).check;
            let check = NamedCheck {
                kind: request.spec.kind.clone(),
                port: Some(80),
                sources: Vec::new(),
                timeout: request.spec.timeout,
                interval: request.interval,
                judgement: request.judgement,
            };
            (pool.members[0].host, pool.members[0].hosted) = (Some("x.".into()), Some(Hosted { check, port: None }));
            let hosts = Hosts::default();
            hosts.remember("x.", &known.iter().map(|address| address.parse().expect(address)).collect::<Vec<_>>(), |_| true);
            let pools: Pools = [pool].into_iter().collect();
            let program = program(Pool::clone(pools.leading_where(&hosts).get("p").expect("it is there")), RecordType::A);
            let settled = settled(&program, &|_| if up { UP } else { DOWN });
            match settled.choice {
                super::super::Choice::Fail(reason) => Err(reason),
                _ => Ok(answer(&program, &settled, 1, 1)),
            }
        };
        assert_eq!(told(WhenNoneUp::All, &[], true), Err(FailReason::Unresolved));
        assert_eq!(told(WhenNoneUp::Last, &[], true), Err(FailReason::Unresolved));
        assert_eq!(told(WhenNoneUp::Empty, &[], true), Ok(vec![]), "as it was ordered");
        assert_eq!(told(WhenNoneUp::Nxdomain, &[], true), Err(FailReason::NoSuchName));
        assert_eq!(told(WhenNoneUp::All, &["192.0.2.7"], false), Ok(vec!["192.0.2.7".to_owned()]));
        assert_eq!(told(WhenNoneUp::All, &["2001:db8::7"], true), Ok(vec![]), "it has no address of that family");
    }

    /// k8gb's weights 80, 20 and 0, by 10,000 draws.
    #[test]
    fn weights_are_shares() {
        let mut pool = of(Select::Weighted, 3);
        for (member, weight) in pool.members.iter_mut().zip([80, 20, 0]) {
            member.weight = weight;
        }
        let program = program(pool, RecordType::A);
        let count = |statuses: [Status; 3]| {
            let settled = settled(&program, &|face| statuses[face]);
            let mut counts = BTreeMap::new();
            (0..10_000).for_each(|seed| *counts.entry(answer(&program, &settled, 1, seed).remove(0)).or_insert(0u32) += 1);
            addresses(3).iter().map(|address| counts.get(address).copied().unwrap_or(0)).collect::<Vec<_>>()
        };
        let all = count([UP; 3]);
        assert!(all[0].abs_diff(8000) < 200 && all[2] == 0, "{all:?}");
        let half = count([Status { weight: 64, ..UP }, UP, UP]);
        assert!(half[0].abs_diff(5000) < 250 && half[2] == 0, "a quarter of 80 beside 20: {half:?}");
        assert_eq!(count([DOWN, DOWN, UP]), [0, 0, 10_000], "the reserve");
        assert_eq!(count([Status { weight: 0, ..UP }, DOWN, DOWN]), [10_000, 0, 0], "another");
    }

    #[test]
    fn nobody_elses_clients_move() {
        let pool = Pool { answers: Some(2), ..of(Select::CHashed, 6) };
        let program = program(pool, RecordType::A);
        let with = settled(&program, &|_| UP);
        let without = settled(&program, &|face| if face == 2 { DOWN } else { UP });
        for client in 0..2000 {
            let (before, after) = (answer(&program, &with, client, 1), answer(&program, &without, client, 2));
            assert_eq!((before.len(), after.len()), (2, 2));
            let kept: Vec<_> = before.iter().filter(|address| **address != "192.0.2.3").collect();
            assert!(kept.iter().all(|address| after.contains(address)), "{before:?} {after:?}");
        }
    }
}
