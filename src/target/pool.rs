//! Pools: members that stand for each other, and the rules by which some of them are handed out.
//!
//! A **member** is a place where a service runs, not an address: it has a name, a site, and addresses of one or both
//! families. Who is chosen is decided among members; the record's type says only what of the chosen one is shown. So A, AAAA
//! and HTTPS of one name lead to the same place, as far as the choice does not draw.
//!
//! These are definitions, as the configuration has them, checked. What they mean for one set of beliefs is `health`'s (the
//! rules that need a memory) and `program`'s (which member a client gets).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::check::CheckRequest;
use super::hosts::Hosts;
use super::named::NamedCheck;

/// A `[pool.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: Box<str>,
    /// In the order of their levels, and within one as they were written.
    pub members: Vec<PoolMember>,
    /// Who is handed out, of those that may be.
    pub select: Select,
    /// How many members at most; `None`: all.
    pub answers: Option<u16>,
    /// How many of a level must be available, or it is not used.
    pub min_up: Share,
    /// What is answered where no level can be used.
    pub when_none_up: WhenNoneUp,
    /// How many members of one family measurements may take out of the answer within [`Pool::WITHDRAWAL_WINDOW`].
    pub max_withdraw: Share,
    /// How long it takes a member that has come back to get all of its weight; zero: none.
    pub slow_start: Duration,
    /// How long a member that has come back waits while less preferred ones serve.
    pub failback: Failback,
    /// The longest TTL of an answer, seconds; `None`: the record's own.
    pub ttl: Option<u32>,
    /// Down to where the TTL falls when the answer is likely to change, seconds.
    pub ttl_min: u32,
    /// Protocols for SVCB and HTTPS records (RFC 9460 7.1).
    pub alpn: Vec<Box<str>>,
}

/// One place where the service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolMember {
    /// Its name within the pool.
    pub name: Box<str>,
    /// The site that it shares with others.
    pub site: Option<Box<str>>,
    /// Its addresses, each with the check that says whether it serves.
    pub faces: Vec<Face>,
    /// What it is called, for CNAME, SRV, SVCB and HTTPS records: an absolute name.
    pub host: Option<Box<str>>,
    /// Its addresses are where `host` leads, and each is asked so.
    pub hosted: Option<Hosted>,
    /// The port that it serves, for SRV, SVCB and HTTPS records.
    pub port: Option<u16>,
    /// Its share.
    pub weight: u32,
    /// How far back it stands: those with a higher level serve only where no lower level can.
    pub level: u16,
}

/// How the addresses are asked that a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// The check of each.
    pub check: NamedCheck,
    /// The port that is served, for a check that has none of its own.
    pub port: Option<u16>,
}

impl PoolMember {
    /// Whether it has a name that has never led anywhere yet.
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        self.hosted.is_some() && self.faces.is_empty()
    }

    /// The same where its name leads to `addresses`, of which `most` count.
    fn leading_to(&self, addresses: &[IpAddr], most: usize) -> Self {
        let Some(Hosted { check, port }) = &self.hosted else { return self.clone() };
        let face = |&address: &IpAddr| Some(Face { address, check: check.request(address, *port)? });
        Self { faces: addresses.iter().take(most).filter_map(face).collect(), ..self.clone() }
    }
}

/// One address of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    /// The address.
    pub address: IpAddr,
    /// What says whether it serves.
    pub check: CheckRequest,
}

/// Who is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// All.
    All,
    /// The first in the order in which they were written.
    First,
    /// At random, each as likely.
    Random,
    /// At random, by weight.
    Weighted,
    /// By the hash of the client's network, by weight.
    Hashed,
    /// The same, consistently: nobody else's clients move when one goes.
    CHashed,
    /// The nearest to the client.
    Closest,
    /// Those in the region of the site that is nearest to the client; where none is available, the rest.
    RegionThenRest,
    /// Those in the first site with an available one, of the sites that this map has for the client.
    Map(Box<str>),
}

impl Select {
    /// As it is written, without a number.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::First => "first",
            Self::Random => "random",
            Self::Weighted => "weighted",
            Self::Hashed => "hashed",
            Self::CHashed => "chashed",
            Self::Closest => "closest",
            Self::RegionThenRest => "region-then-rest",
            Self::Map(_) => "map",
        }
    }

    /// Whether weights play a part.
    #[must_use]
    pub const fn is_weighted(&self) -> bool {
        matches!(self, Self::Weighted | Self::Hashed | Self::CHashed)
    }

    /// Whether shares grow slowly where nothing else is said: where clients are spread anew with each answer.
    #[must_use]
    pub const fn spreads(&self) -> bool {
        matches!(self, Self::Random | Self::Weighted)
    }
}

/// A part of a number of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Count(u16),
    /// So many of a hundred, 1 to 100.
    Percent(u8),
}

impl Share {
    /// The least number that is no smaller part of `total`; a part of none is none.
    #[must_use]
    pub fn at_least(self, total: usize) -> usize {
        match self {
            Self::Count(count) => usize::from(count),
            Self::Percent(percent) => (usize::from(percent) * total).div_ceil(100),
        }
    }

    /// The greatest number that is no larger part of `total`.
    #[must_use]
    pub fn at_most(self, total: usize) -> usize {
        match self {
            Self::Count(count) => usize::from(count),
            Self::Percent(percent) => usize::from(percent) * total / 100,
        }
    }
}

/// What is answered where no level has enough members that are available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhenNoneUp {
    /// Whoever may be named, of the first level that has one: perhaps we are wrong.
    All,
    /// Those that were available last.
    Last,
    /// Nothing: NODATA.
    Empty,
    /// The name does not exist.
    Nxdomain,
    /// What another pool answers.
    Pool(Box<str>),
    /// These addresses or names, as far as they are data of the record's type.
    Fixed(Vec<Box<str>>),
}

/// How a preferred member comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// So long after it came up.
    After(Duration),
    /// When an operator says so, or when nobody less preferred is left.
    Manual,
}

impl Pool {
    /// Most members.
    pub const MEMBERS_MAX: usize = 256;
    /// Most addresses of all members.
    pub const ADDRESSES_MAX: usize = 1024;

    /// The time that [`Pool::max_withdraw`] is about.
    pub const WITHDRAWAL_WINDOW: Duration = Duration::from_secs(60);

    /// Every address of every member, in order: the order of all that is kept per address of a pool.
    pub fn faces(&self) -> impl Iterator<Item = (usize, &Face)> {
        self.members.iter().enumerate().flat_map(|(at, member)| member.faces.iter().map(move |face| (at, face)))
    }

    /// Whether `one` is handed out rather than `other`, both being available; both are positions of members.
    #[must_use]
    pub fn prefers(&self, one: usize, other: usize) -> bool {
        let level = |at: usize| self.members.get(at).map(|member| member.level);
        match self.select {
            Select::First => one < other,
            _ => level(one) < level(other),
        }
    }

    /// Whether some members are preferred to others.
    #[must_use]
    pub fn has_preference(&self) -> bool {
        let levels = self.members.first().map(|member| member.level) != self.members.last().map(|member| member.level);
        levels || (self.select == Select::First && self.members.len() > 1)
    }
}

/// One address of a pool's member, as a program refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Standing {
    /// The pool's name.
    pub pool: Arc<str>,
    /// Which of its addresses, in the order of [`Pool::faces`].
    pub face: u16,
}

/// One member of a pool, as a program refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The pool's name.
    pub pool: Arc<str>,
    /// The position of the member.
    pub member: u16,
}

/// The pools of the configuration. Shared by all who look at them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools(Option<Arc<BTreeMap<Box<str>, Arc<Pool>>>>);

impl Pools {
    /// No pool.
    pub const NONE: Self = Self(None);

    /// Whether they are the same, and not only equal.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.as_ref().map(Arc::as_ptr) == other.0.as_ref().map(Arc::as_ptr)
    }

    /// The pool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Pool>> {
        self.0.as_ref()?.get(name)
    }

    /// The names that members' addresses are looked up by.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        let members = self.iter().flat_map(|pool| &pool.members);
        members.filter(|member| member.hosted.is_some()).filter_map(|member| member.host.as_deref())
    }

    /// The same, with the addresses that `known` has for those names now. What exceeds the room of a pool is left out.
    #[must_use]
    pub fn leading_where(&self, known: &Hosts) -> Self {
        if self.hosts().next().is_none() {
            return self.clone();
        }
        let pool = |pool: &Arc<Pool>| {
            let written = pool.members.iter().filter(|member| member.hosted.is_none()).map(|member| member.faces.len());
            let mut room = Pool::ADDRESSES_MAX.saturating_sub(written.sum());
            let mut member = |member: &PoolMember| {
                let Some(host) = member.host.as_ref().filter(|_| member.hosted.is_some()) else { return member.clone() };
                let member = member.leading_to(&known.get(host).addresses, room);
                room -= member.faces.len();
                member
            };
            Pool { members: pool.members.iter().map(&mut member).collect(), ..Pool::clone(pool) }
        };
        self.iter().map(pool).collect()
    }

    /// Every pool, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.0.iter().flat_map(|pools| pools.values())
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|pool| &*pool.name)
    }

    /// A pool whose fallback leads back to it, over others or at once: none may.
    #[must_use]
    pub fn circle(&self) -> Option<&Arc<Pool>> {
        let next = |pool: &Arc<Pool>| match &pool.when_none_up {
            WhenNoneUp::Pool(name) => self.get(name),
            _ => None,
        };
        // Each pool leads to one other at most, so whoever is on a circle is back after as many steps as there are pools.
        let steps = self.iter().count();
        self.iter().find(|start| {
            let mut at = next(start);
            for _ in 0..steps {
                match at {
                    Some(pool) if pool.name == start.name => return true,
                    Some(pool) => at = next(pool),
                    None => return false,
                }
            }
            false
        })
    }
}

impl FromIterator<Pool> for Pools {
    fn from_iter<I: IntoIterator<Item = Pool>>(pools: I) -> Self {
        let pools: BTreeMap<_, _> = pools.into_iter().map(|pool| (pool.name.clone(), Arc::new(pool))).collect();
        Self((!pools.is_empty()).then(|| Arc::new(pools)))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Pools for tests of those who use them.

    use super::super::{CheckKind, CheckSpec, Judgement};
    use super::*;

    /// A pool of members with these levels and addresses, named `a`, `b`, ..., checked by TCP.
    pub(crate) fn pool(select: Select, members: &[(u16, &[&str])]) -> Pool {
        let face = |text: &&str| {
            let address: IpAddr = text.parse().expect(text);
            let (kind, timeout) = (CheckKind::Tcp, Duration::from_secs(2));
            let spec = CheckSpec { address: Some(address), port: 80, source: None, kind, timeout };
            Face {
                address,
                check: CheckRequest { spec: spec.into(), judgement: Judgement::AT_ONCE, interval: Duration::from_secs(5) },
            }
        };
        let member = |(at, (level, addresses)): (usize, &(u16, &[&str]))| PoolMember {
            name: char::from(b'a' + at as u8).to_string().into(),
            site: None,
            faces: addresses.iter().map(face).collect(),
            host: None,
            hosted: None,
            port: None,
            weight: 1,
            level: *level,
        };
        Pool {
            name: "p".into(),
            members: members.iter().enumerate().map(member).collect(),
            select,
            answers: Some(1),
            min_up: Share::Count(1),
            when_none_up: WhenNoneUp::All,
            max_withdraw: Share::Percent(100),
            slow_start: Duration::ZERO,
            failback: Failback::After(Duration::ZERO),
            ttl: None,
            ttl_min: 10,
            alpn: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `total`, at least, at most.
    #[test]
    fn shares() {
        for (share, total, at_least, at_most) in [
            (Share::Count(2), 1, 2, 2),
            (Share::Percent(50), 3, 2, 1),
            (Share::Percent(50), 4, 2, 2),
            (Share::Percent(1), 1, 1, 0),
            (Share::Percent(100), 7, 7, 7),
            (Share::Percent(30), 0, 0, 0),
        ] {
            assert_eq!((share.at_least(total), share.at_most(total)), (at_least, at_most), "{share:?} of {total}");
        }
    }

    #[test]
    fn names_lead_to_addresses() {
        let mut one = testing::pool(Select::All, &[(0, &["192.0.2.1"]), (0, &[])]);
        let spec = &one.members[0].faces[0].check;
        let check = NamedCheck {
            kind: spec.spec.kind.clone(),
            port: None,
            sources: Vec::new(),
            timeout: spec.spec.timeout,
            interval: spec.interval,
            judgement: spec.judgement,
        };
        (one.members[1].host, one.members[1].hosted) = (Some("x.".into()), Some(Hosted { check, port: Some(81) }));
        let (pools, known): (Pools, _) = ([one].into_iter().collect(), Hosts::default());
        assert_eq!(pools.hosts().collect::<Vec<_>>(), ["x."]);
        assert!(pools.leading_where(&known) == pools && pools.get("p").is_some_and(|pool| pool.members[1].is_unresolved()));
        known.remember("x.", &["192.0.2.2", "2001:db8::2"].map(|address| address.parse().expect(address)), |_| true);
        let pools = pools.leading_where(&known);
        let pool = pools.get("p").expect("it is there");
        let faces: Vec<_> = pool.faces().map(|(at, face)| (at, face.check.spec.target())).collect();
        let expected = [(0, "192.0.2.1:80"), (1, "192.0.2.2:81"), (1, "[2001:db8::2]:81")];
        assert_eq!(faces, expected.map(|(at, target)| (at, target.to_owned())));
        known.remember("x.", &[], |_| true);
        assert!(pools.leading_where(&known).get("p").is_some_and(|pool| pool.members[1].is_unresolved()));
    }

    #[test]
    fn circles_are_found_wherever_they_begin() {
        let pools = |leads: &[(&str, &str)]| -> Pools {
            let one = |&(name, to): &(&str, &str)| Pool {
                name: name.into(),
                when_none_up: WhenNoneUp::Pool(to.into()),
                ..testing::pool(Select::All, &[(0, &["192.0.2.1"])])
            };
            leads.iter().map(one).collect()
        };
        for (leads, circle) in [
            (&[("a", "b"), ("b", "c")][..], None),
            (&[("a", "a")], Some("a")),
            (&[("a", "b"), ("b", "c"), ("c", "b")], Some("b")),
            (&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")], Some("a")),
        ] {
            assert_eq!(pools(leads).circle().map(|pool| &*pool.name), circle, "{leads:?}");
        }
    }
}
