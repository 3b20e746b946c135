//! What is left to do per query once a call is settled: take all members, or draw among them.

use std::net::IpAddr;
use std::sync::Arc;

use super::facts::{Facts, Reach};
use super::hash::{hash_client, hash_name};
use super::plan::Steer;
use crate::geo::{Location, NetMap, Place, Rule};
use crate::program::LIST_MAX;

/// How one of several members is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Draw {
    /// At random, anew for each query.
    Chance,
    /// By the hash of the client's address.
    Client,
    /// By the hash of the name being answered.
    Name,
}

/// Why a call has no answer, not even an empty one: SERVFAIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FailReason {
    /// `ifportup` and the like without a single address.
    #[error("no addresses to check")]
    NoTargets,
    /// `failOnIncompleteCheck`: no check has a result yet.
    #[error("no check has a result yet")]
    Pending,
    /// `view` without a pair for the client's network, where all networks were thought of.
    #[error("no network holds the client")]
    NoNetwork,
    /// A picker, or `all`, with nothing to pick from.
    #[error("an empty list")]
    EmptyList,
    /// `when_none_up = "nxdomain"`: the answer is that the name does not exist.
    #[error("no member of the pool is up, and then the name does not exist")]
    NoSuchName,
    /// A pool none of whose members can be named, and the name of one has not been looked up yet.
    #[error("the name of a member of the pool has not been looked up yet")]
    Unresolved,
    /// What loading found wrong with the call.
    #[error("a call that cannot work")]
    BadCall,
}

/// A call of constant structure under one set of statuses. Members are indices into
/// [`Program::members`](super::Program::members).
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// No answer.
    Fail(FailReason),
    /// All of these; none of them is NODATA.
    Every(Box<[u16]>),
    /// One of these, each place as likely as the others.
    One {
        /// How it is drawn.
        draw: Draw,
        /// The list, in its order, duplicates kept.
        members: Box<[u16]>,
    },
    /// So many of these at random, in random order.
    Sample {
        /// How many at most.
        count: usize,
        /// The list.
        members: Box<[u16]>,
    },
    /// One of these by weight.
    Weighted {
        /// How it is drawn.
        draw: Draw,
        /// Running sums of the weights, in the order in which PowerDNS walks the list, each with its member: the first
        /// whose sum exceeds the number drawn is picked.
        members: Box<[(u32, u16)]>,
    },
    /// The owner of the first point of a ring at or after the hash of the client's address (spec 6.4).
    Ring(Arc<[(u32, u16)]>),
    /// So many by weight, in the order in which they come out: by client, so that a member's clients scatter when it goes and
    /// nobody else's move; or at random.
    Rendezvous {
        /// What decides.
        draw: Draw,
        /// How many at most.
        count: usize,
        /// Who takes part.
        contenders: Box<[Contender]>,
    },
    /// Those nearest to the client.
    Closest(Closest),
    /// Of what another choice gives: one, or all.
    Of {
        /// How one is drawn; `None`: all.
        draw: Option<Draw>,
        /// What from.
        inner: Box<Self>,
    },
    /// What the first network that holds the client says.
    ByNetwork {
        /// Indices into `choices`.
        networks: Arc<NetMap<u16>>,
        /// What each network says.
        choices: Box<[Self]>,
        /// What all others get.
        otherwise: Box<Self>,
    },
    /// What the client's place says.
    Steered {
        /// How it decides.
        by: Arc<Steer>,
        /// What each order of sites, or each region, gets.
        choices: Box<[Self]>,
        /// What those get for whom nothing is decided.
        otherwise: Box<Self>,
    },
    /// What the picks of another choice stand for.
    Bundles {
        /// Gives places in `bundles`.
        inner: Box<Self>,
        /// The members that each place stands for; perhaps none.
        bundles: Box<[Box<[u16]>]>,
    },
}

/// Who takes part in a [`Choice::Rendezvous`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contender {
    /// Who.
    pub member: u16,
    /// The hash of its text.
    pub key: u64,
    /// Its share, above 0.
    pub weight: f64,
}

/// Candidates at places.
#[derive(Clone, Debug, PartialEq)]
pub struct Closest {
    /// Members and where they are.
    pub candidates: Box<[(u16, Option<Location>)]>,
    /// How many are picked.
    pub count: usize,
    /// How far is measured.
    pub metric: Metric,
}

/// How far one place is from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metric {
    /// Along the great circle, not in plain degrees as PowerDNS does.
    pub sphere: bool,
    /// Whether an unknown place is farther than all others; PowerDNS puts it at 0°, 0°.
    pub unknown_is_far: bool,
}

impl Choice {
    /// Whether no client gets a member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Fail(_) => true,
            Self::Every(members) | Self::One { members, .. } | Self::Sample { members, .. } => members.is_empty(),
            Self::Weighted { members, .. } => members.is_empty(),
            Self::Ring(points) => points.is_empty(),
            Self::Rendezvous { contenders, .. } => contenders.is_empty(),
            Self::Closest(closest) => closest.candidates.is_empty(),
            Self::Of { inner, .. } => inner.is_empty(),
            Self::ByNetwork { choices, otherwise, .. } | Self::Steered { choices, otherwise, .. } => {
                choices.iter().all(Self::is_empty) && otherwise.is_empty()
            }
            Self::Bundles { inner, bundles } => inner.is_empty() || bundles.iter().all(|bundle| bundle.is_empty()),
        }
    }

    /// Appends the members of one answer to `picks`, none is NODATA; says which clients it holds for. Allocates nothing
    /// once `picks` is long enough.
    ///
    /// # Errors
    /// A [`FailReason`] where there is no answer; `EmptyList` for a draw from nothing.
    pub fn pick(&self, facts: &Facts<'_>, random: &mut fastrand::Rng, picks: &mut Vec<u16>) -> (Result<(), FailReason>, Reach) {
        let one = |member: Option<&u16>, picks: &mut Vec<u16>| match member {
            Some(&member) => {
                picks.push(member);
                Ok(())
            }
            None => Err(FailReason::EmptyList),
        };
        match self {
            Self::Fail(reason) => (Err(*reason), Reach::EVERYONE),
            Self::Every(members) => {
                picks.extend_from_slice(members);
                (Ok(()), Reach::EVERYONE)
            }
            Self::One { draw, members } => {
                let below = u32::try_from(members.len()).unwrap_or(u32::MAX);
                let member = draw.below(below, facts, random).and_then(|place| members.get(place as usize));
                (one(member, picks), draw.reach(members.len()))
            }
            Self::Sample { count, members } => {
                let start = picks.len();
                picks.extend_from_slice(members);
                shuffle(&mut picks[start..], *count, random);
                picks.truncate(start + (*count).min(members.len()));
                (Ok(()), Reach::EVERYONE)
            }
            Self::Weighted { draw, members } => {
                let total = members.last().map_or(0, |&(sum, _)| sum);
                let member = draw.below(total, facts, random).and_then(|number| {
                    let place = members.partition_point(|&(sum, _)| sum <= number);
                    members.get(place).map(|(_, member)| member)
                });
                (one(member, picks), draw.reach(members.len()))
            }
            Self::Ring(points) => {
                let at = hash_client(facts.client);
                let next = points.partition_point(|&(point, _)| point < at);
                let member = points.get(next).or(points.first()).map(|(_, member)| member);
                (one(member, picks), Reach::CLIENT)
            }
            Self::Rendezvous { draw, count, contenders } => {
                let key = draw.key(facts, random);
                let empty = contenders.is_empty().then_some(FailReason::EmptyList);
                rank(contenders, key, *count, picks);
                (empty.map_or(Ok(()), Err), draw.reach(contenders.len()))
            }
            Self::Closest(closest) => {
                closest.pick(facts, random, picks);
                let empty = closest.candidates.is_empty().then_some(FailReason::EmptyList);
                (empty.map_or(Ok(()), Err), closest.reach(facts))
            }
            Self::Of { draw, inner } => {
                let start = picks.len();
                let (picked, reach) = inner.pick(facts, random, picks);
                let given = picks.len() - start;
                let Some(draw) = draw.filter(|_| picked.is_ok() && given > 0) else {
                    let empty = (given == 0).then_some(FailReason::EmptyList);
                    return (picked.and(empty.map_or(Ok(()), Err)), reach);
                };
                let place = draw.below(u32::try_from(given).unwrap_or(u32::MAX), facts, random).unwrap_or(0) as usize;
                picks.swap(start, start + place);
                picks.truncate(start + 1);
                (Ok(()), reach.join(draw.reach(given)))
            }
            Self::ByNetwork { networks, choices, otherwise } => {
                let found = networks.find(facts.client);
                let choice = found.value.and_then(|at| choices.get(usize::from(at))).unwrap_or(otherwise);
                let (picked, reach) = choice.pick(facts, random, picks);
                (picked, reach.join(Reach::network(found.scope)))
            }
            Self::Steered { by, choices, otherwise } => {
                let (at, decided) = by.decide(facts);
                let choice = at.and_then(|at| choices.get(usize::from(at))).unwrap_or(otherwise);
                let (picked, reach) = choice.pick(facts, random, picks);
                (picked, reach.join(decided))
            }
            Self::Bundles { inner, bundles } => {
                let start = picks.len();
                let (picked, reach) = inner.pick(facts, random, picks);
                let end = picks.len();
                for at in start..end {
                    let bundle = bundles.get(usize::from(picks[at]));
                    picks.extend(bundle.into_iter().flatten());
                }
                picks.drain(start..end);
                (picked, reach)
            }
        }
    }
}

impl Steer {
    /// What is decided for a client, and for whom else.
    fn decide(&self, facts: &Facts<'_>) -> (Option<u16>, Reach) {
        let here = facts.places.find(facts.client);
        match self {
            Self::Map(map) => {
                let found = map.find(facts.client, here);
                let reach = Reach::network(found.scope);
                let reach = match found.rule {
                    Rule::Network => reach,
                    _ => reach.join(facts.reach(|place| map.order_of_place(place))),
                };
                (Some(found.order), reach)
            }
            Self::Region { located, .. } => {
                let most = DISTANCES / (located.len() * SPHERE_COSTS).max(1);
                (nearest_region(located, here), facts.reach_within(most, |place| nearest_region(located, place)))
            }
        }
    }
}

/// The region of the nearest site; `None`: nobody knows where the client is, or where a site is.
fn nearest_region(located: &[(Location, u16)], place: &Place) -> Option<u16> {
    let here = place.location?;
    let distances = located.iter().map(|&(there, region)| (here.sphere_distance(there), region));
    distances.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, region)| region)
}

/// Puts `count` of the items, drawn at random, in front.
fn shuffle(items: &mut [u16], count: usize, random: &mut fastrand::Rng) {
    for place in 0..count.min(items.len().saturating_sub(1)) {
        let other = random.usize(place..items.len());
        items.swap(place, other);
    }
}

/// Appends so many members. Weighted rendezvous hashing: everyone draws a number from `key` and its own, scaled by its
/// weight; the lowest wins, and the next ones follow. Who goes leaves the order of the others as it was. With a key drawn at
/// random it is sampling by weight without replacement (Efraimidis and Spirakis 2006).
fn rank(contenders: &[Contender], key: u64, count: usize, picks: &mut Vec<u16>) {
    let score = |contender: &Contender| {
        let uniform = (scatter(key ^ contender.key) >> 11) as f64 + 0.5; // 53 bits, never 0
        -(uniform / (1u64 << 53) as f64).ln() / contender.weight
    };
    let scored = contenders.iter().map(|contender| (score(contender), contender.member));
    if count == 1 {
        picks.extend(scored.min_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, member)| member));
        return;
    }
    // On the stack: queries allocate nothing.
    let mut order = [(f64::INFINITY, 0u16); CONTENDERS_MAX];
    let known = order.iter_mut().zip(scored).map(|(place, one)| *place = one).count();
    order[..known].sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    picks.extend(order[..known.min(count)].iter().map(|&(_, member)| member));
}

fn client_key(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(v4) => key(&v4.octets()),
        IpAddr::V6(v6) => key(&v6.octets()),
    }
}

fn key(octets: &[u8]) -> u64 {
    octets.iter().fold(octets.len() as u64, |key, &octet| scatter(key ^ u64::from(octet)).wrapping_add(0x9E37_79B9_7F4A_7C15))
}

impl Contender {
    /// `member`, whose text is `text`.
    #[must_use]
    pub fn new(member: u16, text: &str, weight: u32) -> Self {
        Self { member, key: key(text.as_bytes()), weight: f64::from(weight.max(1)) }
    }
}

/// Makes all bits depend on all bits (the finalizer of SplitMix64).
const fn scatter(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Most contenders of whom several are picked: as many as a pool has members.
const CONTENDERS_MAX: usize = crate::target::Pool::MEMBERS_MAX;
/// How many distances are measured each way to find out for whom a pick holds; along the great circle one costs as much as
/// some others.
const DISTANCES: usize = 512;
const SPHERE_COSTS: usize = 8;
/// Up to so many candidates need little of the stack.
const FEW: usize = 64;

impl Closest {
    /// The nearest first; among equally near ones chance decides.
    fn pick(&self, facts: &Facts<'_>, random: &mut fastrand::Rng, picks: &mut Vec<u16>) {
        self.measured(facts.places.find(facts.client), |distances| {
            let (end, mut limit) = (picks.len() + self.count.min(distances.len()), f64::NEG_INFINITY);
            while picks.len() < end
                && let Some((nearest, _)) = nearest(distances, limit)
            {
                let first = picks.len();
                let tied = self.candidates.iter().zip(distances).filter(|&(_, &distance)| distance == nearest);
                picks.extend(tied.map(|(&(member, _), _)| member));
                shuffle(&mut picks[first..], end - first, random);
                picks.truncate(end);
                limit = nearest;
            }
        });
    }

    /// Looks at how far each candidate is, in memory that need not be allocated.
    fn measured<R>(&self, here: &Place, look: impl FnOnce(&[f64]) -> R) -> R {
        let (mut few, mut many);
        let distances: &mut [f64] = if self.candidates.len() <= FEW {
            few = [f64::INFINITY; FEW];
            &mut few
        } else {
            many = [f64::INFINITY; LIST_MAX];
            &mut many
        };
        let measured = distances.iter_mut().zip(&self.candidates);
        let count = measured.map(|(distance, &(_, there))| *distance = self.metric.distance(here.location, there)).count();
        look(&distances[..count])
    }

    /// Where the same candidates may be picked.
    fn reach(&self, facts: &Facts<'_>) -> Reach {
        if self.candidates.len() < 2 {
            return Reach::EVERYONE;
        }
        let cost = self.candidates.len() * if self.metric.sphere { SPHERE_COSTS } else { 1 };
        facts.reach_within(DISTANCES / cost, |place| {
            self.measured(place, |distances| {
                let (mut limit, mut within) = (f64::NEG_INFINITY, 0);
                while within < self.count
                    && let Some((nearest, ties)) = nearest(distances, limit)
                {
                    (limit, within) = (nearest, within + ties);
                }
                let picked = distances.iter().map(|&distance| (distance < limit, distance == limit));
                picked.fold(0u64, |key, (inside, edge)| scatter(key ^ (u64::from(inside) | u64::from(edge) << 1)))
            })
        })
    }
}

/// The least distance above `limit`, and how many have it; `None`: there is none.
fn nearest(distances: &[f64], limit: f64) -> Option<(f64, usize)> {
    let beyond = distances.iter().copied().filter(|&distance| distance > limit);
    beyond.fold(None, |least, distance| match least {
        Some((least, ties)) if distance == least => Some((least, ties + 1)),
        Some((least, ties)) if distance > least => Some((least, ties)),
        _ => Some((distance, 1)),
    })
}

impl Metric {
    fn distance(self, here: Option<Location>, there: Option<Location>) -> f64 {
        let (here, there) = match (here, there) {
            (Some(here), Some(there)) => (here, there),
            _ if self.unknown_is_far => return f64::INFINITY,
            (here, there) => (here.unwrap_or_default(), there.unwrap_or_default()), // 0°, 0°
        };
        if self.sphere { here.sphere_distance(there) } else { here.flat_distance(there) }
    }
}

impl Draw {
    /// Whom a draw from so many holds for.
    const fn reach(self, members: usize) -> Reach {
        Reach { network: 0, client: matches!(self, Self::Client) && members > 1 }
    }

    /// What stands for the client, the query or the name in [`rank`].
    fn key(self, facts: &Facts<'_>, random: &mut fastrand::Rng) -> u64 {
        match self {
            Self::Chance => random.u64(..),
            Self::Client => client_key(facts.client),
            Self::Name => u64::from(hash_name(facts.qname)),
        }
    }

    /// A number below `limit`; `None` if there is none. One that can only be 0 is not drawn.
    fn below(self, limit: u32, facts: &Facts<'_>, random: &mut fastrand::Rng) -> Option<u32> {
        match limit {
            0 => return None,
            1 => return Some(0),
            _ => {}
        }
        Some(match self {
            Self::Chance => random.u32(..limit),
            Self::Client => hash_client(facts.client) % limit,
            Self::Name => hash_name(facts.qname) % limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn winner(contenders: &[Contender], client: IpAddr) -> Option<u16> {
        let mut picks = Vec::new();
        rank(contenders, client_key(client), 1, &mut picks);
        picks.pop()
    }

    fn contenders(up: &[u16]) -> Vec<Contender> {
        up.iter().map(|&member| Contender::new(member, &format!("192.0.2.{member}"), 1)).collect()
    }

    fn clients() -> impl Iterator<Item = IpAddr> {
        (0..20_000u32).map(|at| IpAddr::from((0xC633_6400 ^ at.wrapping_mul(0x9E37_79B1)).to_be_bytes()))
    }

    /// Nobody else's clients move when a member goes, its own scatter, and all is as before when it returns.
    #[test]
    fn rendezvous_moves_only_whom_it_must() {
        for members in 2..=10u16 {
            let all: Vec<u16> = (0..members).collect();
            for gone in 0..members {
                let rest: Vec<u16> = all.iter().copied().filter(|&member| member != gone).collect();
                let (before, without) = (contenders(&all), contenders(&rest));
                let mut moved = 0u32;
                for client in clients() {
                    let (old, new) = (winner(&before, client), winner(&without, client));
                    assert!(old == new || old == Some(gone), "{client} moves from {old:?} to {new:?}, though {gone} went");
                    moved += u32::from(old != new);
                }
                let share = f64::from(moved) / 20_000.0;
                assert!(share <= 1.0 / f64::from(members) + 0.02, "{share} of the clients move when one of {members} goes");
            }
        }
    }

    #[test]
    fn rendezvous_follows_the_weights() {
        let weighted = [Contender::new(0, "a", 1), Contender::new(1, "b", 3), Contender::new(2, "c", 4)];
        let mut counts = [0u32; 3];
        for client in clients() {
            counts[usize::from(winner(&weighted, client).expect("one"))] += 1;
        }
        for (count, wanted) in counts.into_iter().zip([2_500, 7_500, 10_000u32]) {
            assert!(count.abs_diff(wanted) < 300, "{counts:?}");
        }
        assert_eq!(winner(&[], IpAddr::from([192, 0, 2, 1])), None);
    }

    #[test]
    fn a_sample_is_of_different_members() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3, 4];
            shuffle(&mut items, 2, &mut random);
            assert_ne!(items[0], items[1]);
            seen.insert((items[0], items[1]));
            let mut sorted = items;
            sorted.sort_unstable();
            assert_eq!(sorted, [1, 2, 3, 4]);
        }
        assert_eq!(seen.len(), 12);
    }
}
