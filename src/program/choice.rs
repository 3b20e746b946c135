//! What is left to do per query once a program is settled: take all members, or draw one.

use std::net::IpAddr;
use std::sync::Arc;

use super::hash::{hash_client, hash_name};
use crate::geo::NetMap;
use crate::wire::NameRef;

/// What a draw may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client (PowerDNS `bestwho`): the masked network address of EDNS Client Subnet, or the resolver's address.
    pub client: IpAddr,
    /// The name being answered.
    pub qname: NameRef<'a>,
}

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

/// Which clients an answer holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// All in the network of so many bits around this client; 0: for all.
    pub network: u8,
    /// Nobody else, as far as is known: the answer was made from the whole address.
    pub client: bool,
}

impl Reach {
    /// Everyone.
    pub const EVERYONE: Self = Self { network: 0, client: false };

    /// For whom two decisions hold together.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { network: self.network.max(other.network), client: self.client || other.client }
    }
}

/// Why a program has no answer, not even an empty one: SERVFAIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FailReason {
    /// `ifportup` or `ifurlup` without a single address.
    #[error("no addresses to check")]
    NoTargets,
    /// `view` without a pair for the client's network, where all networks were thought of.
    #[error("no network holds the client")]
    NoNetwork,
    /// A picker, or `all`, with nothing to pick from.
    #[error("an empty list")]
    EmptyList,
}

/// A program under one set of statuses. Members are indices into [`Program::members`](super::Program::members).
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// One of these by weight.
    Weighted {
        /// How it is drawn.
        draw: Draw,
        /// Running sums of the weights, in the order in which PowerDNS walks the list, each with its member: the first
        /// whose sum exceeds the number drawn is picked.
        members: Box<[(u32, u16)]>,
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
}

/// What [`Program::settle`](super::Program::settle) gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What remains to be done per query.
    pub choice: Choice,
    /// Whether a status that was consulted is not known: the answer is provisional.
    pub unknown: bool,
    /// Whether a `backupSelector` decided, because no target was up.
    pub fallback: bool,
}

impl Choice {
    /// The members of one answer, none is NODATA; and which clients it holds for. Allocates nothing.
    ///
    /// The answer is a [`FailReason`] where there is none; `EmptyList` for a draw from nothing, which
    /// [`Program::settle`](super::Program::settle) never leaves.
    pub fn pick(&self, facts: &Facts<'_>, random: &mut fastrand::Rng) -> (Result<&[u16], FailReason>, Reach) {
        match self {
            Self::Fail(reason) => (Err(*reason), Reach::EVERYONE),
            Self::Every(members) => (Ok(members), Reach::EVERYONE),
            Self::One { draw, members } => {
                let below = u32::try_from(members.len()).unwrap_or(u32::MAX);
                let member = draw.below(below, facts, random).and_then(|place| members.get(place as usize));
                (one(member), draw.reach(members.len()))
            }
            Self::Weighted { draw, members } => {
                let total = members.last().map_or(0, |&(sum, _)| sum);
                let member = draw.below(total, facts, random).and_then(|number| {
                    let place = members.partition_point(|&(sum, _)| sum <= number);
                    members.get(place).map(|(_, member)| member)
                });
                (one(member), draw.reach(members.len()))
            }
            Self::ByNetwork { networks, choices, otherwise } => {
                let found = networks.find(facts.client);
                let choice = found.value.and_then(|at| choices.get(usize::from(at))).unwrap_or(otherwise);
                let (members, reach) = choice.pick(facts, random);
                (members, reach.join(Reach { network: found.scope, client: false }))
            }
        }
    }
}

fn one(member: Option<&u16>) -> Result<&[u16], FailReason> {
    member.map(std::slice::from_ref).ok_or(FailReason::EmptyList)
}

impl Draw {
    /// Whom a draw from so many holds for.
    const fn reach(self, members: usize) -> Reach {
        Reach { network: 0, client: matches!(self, Self::Client) && members > 1 }
    }

    /// A number below `limit`; `None` if there is none.
    fn below(self, limit: u32, facts: &Facts<'_>, random: &mut fastrand::Rng) -> Option<u32> {
        if limit == 0 {
            return None;
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

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const FACTS: Facts<'static> = Facts { client: ADDRESS, qname: NameRef::ROOT };

    #[test]
    fn every_form_picks() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut pick = |choice: Choice| choice.pick(&FACTS, &mut random).0.map(<[u16]>::to_vec);
        assert_eq!(pick(Choice::Fail(FailReason::NoTargets)), Err(FailReason::NoTargets));
        assert_eq!(pick(Choice::Every([4, 5].into())), Ok(vec![4, 5]));
        assert_eq!(pick(Choice::Every([].into())), Ok(vec![]));
        for draw in [Draw::Chance, Draw::Client, Draw::Name] {
            assert_eq!(pick(Choice::One { draw, members: [7].into() }), Ok(vec![7]));
            assert_eq!(pick(Choice::One { draw, members: [].into() }), Err(FailReason::EmptyList));
            assert_eq!(pick(Choice::Weighted { draw, members: [(1, 7)].into() }), Ok(vec![7]));
            assert_eq!(pick(Choice::Weighted { draw, members: [(0, 7)].into() }), Err(FailReason::EmptyList));
            assert_eq!(pick(Choice::Weighted { draw, members: [].into() }), Err(FailReason::EmptyList));
        }
    }

    #[test]
    fn chance_follows_the_weights() {
        let choice = Choice::Weighted { draw: Draw::Chance, members: [(10, 0), (11, 1), (40, 2)].into() };
        let mut random = fastrand::Rng::with_seed(7);
        let mut counts = [0u32; 3];
        for _ in 0..40_000 {
            counts[usize::from(choice.pick(&FACTS, &mut random).0.unwrap()[0])] += 1;
        }
        for (count, wanted) in counts.into_iter().zip([10_000, 1_000, 29_000u32]) {
            assert!(count.abs_diff(wanted) < 500, "{counts:?}");
        }
    }
}
