//! The program: calls of constant structure (**pieces**), and what combines them.
//!
//! Built once by `lower`, immutable. Everything that could go wrong with a piece has gone wrong by then: addresses are
//! parsed, weights summed, options checked. Pieces are settled whenever a status changes (`settle`); what combines them runs
//! per query: nothing, where the program is one piece; a [`Body`], evaluated natively; or a Luau chunk. All three ask the
//! same pieces, so the tiers cannot differ in what a function means.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::body::Body;
use super::choice::{Draw, FailReason, Metric};
use super::script::Script;
use crate::geo::{Attribute, Location, NetMap, SiteId, SiteMap};
use crate::target::{self, CheckRequest, Membership, Pool, Select, Standing, WhenNoneUp};

/// A compiled record program.
#[derive(Debug)]
pub struct Program {
    pub(super) members: Box<[Box<str>]>,
    /// One for each of `members`; none where no pool gives any.
    pub(super) givers: Box<[Option<Membership>]>,
    pub(super) checks: Box<[CheckRequest]>,
    pub(super) standings: Box<[Standing]>,
    pub(super) pieces: Box<[Piece]>,
    pub(super) tests: Box<[Test]>,
    pub(super) form: Form,
    pub(super) depends: Depends,
    pub(super) functions: BTreeSet<&'static str>,
}

/// A call of constant structure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) plan: Plan,
    /// Whether Lua sees a table, and not a string.
    pub(super) list: bool,
    /// Whether what it gives may be the answer itself.
    pub(super) answers: bool,
}

/// What combines the pieces.
#[derive(Debug)]
pub(super) enum Form {
    /// There is one, and it is the answer.
    Piece,
    /// Statements and expressions, evaluated natively.
    Body(Body),
    /// A Luau chunk.
    Script(Arc<Script>),
}

/// What runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Native code over the plan.
    Plan,
    /// Luau.
    Script,
}

impl Tier {
    /// `plan` or `script`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Script => "script",
        }
    }
}

/// What a program's answer depends on beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depends {
    /// The statuses of checks.
    pub health: bool,
    /// The client's address.
    pub client: bool,
    /// Where the client is.
    pub geo: bool,
    /// The name being answered.
    pub name: bool,
    /// Chance.
    pub chance: bool,
    /// The time of day.
    pub time: bool,
    /// Other data: of this server's zones, or of other servers.
    pub data: bool,
}

impl Depends {
    /// What it depends on, by name.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.health, "health"),
            (self.client, "client"),
            (self.geo, "geo"),
            (self.name, "name"),
            (self.chance, "chance"),
            (self.time, "time"),
            (self.data, "data"),
        ];
        all.into_iter().filter_map(|(depends, name)| depends.then_some(name))
    }

    /// On what either depends.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            health: self.health || other.health,
            client: self.client || other.client,
            geo: self.geo || other.geo,
            name: self.name || other.name,
            chance: self.chance || other.chance,
            time: self.time || other.time,
            data: self.data || other.data,
        }
    }

    const fn draw(draw: Draw) -> Self {
        let none = Self { health: false, client: false, geo: false, name: false, chance: false, time: false, data: false };
        match draw {
            Draw::Chance => Self { chance: true, ..none },
            Draw::Client => Self { client: true, ..none },
            Draw::Name => Self { name: true, ..none },
        }
    }
}

impl Program {
    /// Every string that its pieces give, in presentation form: each once, but that what a pool gives is apart from all else.
    /// Picks are indices into it.
    #[must_use]
    pub fn members(&self) -> &[Box<str>] {
        &self.members
    }

    /// Whose each of [`Program::members`] is, of the members of pools; empty where the program draws from no pool.
    #[must_use]
    pub fn givers(&self) -> &[Option<Membership>] {
        &self.givers
    }

    /// Whether it is a pool's.
    pub(super) fn is_given(&self, member: u16) -> bool {
        self.givers.get(usize::from(member)).is_some_and(Option::is_some)
    }

    /// Which members may be answers as they stand.
    #[must_use]
    pub fn answers(&self) -> BTreeSet<u16> {
        let mut members = BTreeSet::new();
        self.pieces.iter().filter(|piece| piece.answers).for_each(|piece| piece.plan.collect_members(&mut members));
        members
    }

    /// Whether no answer can be other than some of [`Program::answers`].
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.form, Form::Piece)
    }

    /// The checks that the program asks for, each once. Statuses are asked for by index into it.
    #[must_use]
    pub fn checks(&self) -> &[CheckRequest] {
        &self.checks
    }

    /// The addresses of pools' members that the program asks for, each once. What they count as is asked for by index into it.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// The functions that it calls, as far as loading can tell.
    #[must_use]
    pub const fn functions(&self) -> &BTreeSet<&'static str> {
        &self.functions
    }

    /// What a test asks, in words.
    #[must_use]
    pub fn test_text(&self, test: u16) -> String {
        self.tests.get(usize::from(test)).map(ToString::to_string).unwrap_or_default()
    }

    /// What of Lua it uses that plans have not, where Luau runs it.
    #[must_use]
    pub fn why_script(&self) -> Option<&str> {
        match &self.form {
            Form::Piece | Form::Body(_) => None,
            Form::Script(script) => Some(script.why()),
        }
    }

    /// What runs it.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        match self.form {
            Form::Piece | Form::Body(_) => Tier::Plan,
            Form::Script(_) => Tier::Script,
        }
    }

    /// Whether a selector makes the answer empty under some statuses. That a list is empty from the start, or that an
    /// operator has drained all of it, is not asked here.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        self.pieces.iter().any(|piece| piece.answers && piece.plan.may_be_empty())
    }

    /// What the answer may depend on, under any statuses.
    #[must_use]
    pub const fn depends(&self) -> Depends {
        self.depends
    }
}

/// What a piece does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// These strings.
    Constant(Box<[u16]>),
    /// A call that loading knows to fail.
    Failing(FailReason),
    /// `ifportup`, `ifurlup` and `ifurlextup`.
    Checked(Checked),
    /// `pickselfweighted`.
    SelfWeighted(Box<[Target]>),
    /// `all`, `pickrandom`, `pickhashed` and `pickrandomsample`.
    Pick { picker: Picker, list: List },
    /// `view`: one at random of the first pair whose networks hold the client; the empty string where none does, which is
    /// `None` where each address is in some.
    View { networks: Arc<NetMap<u16>>, pairs: Box<[Box<[u16]>]>, otherwise: Option<u16> },
    /// `pickwrandom`, `pickwhashed` and `picknamehashed`: running sums in the order of the walk.
    Weighted { function: Function, draw: Draw, members: Box<[(u32, u16)]> },
    /// `pickchashed`: points in order.
    Ring(Arc<[(u32, u16)]>),
    /// `pickclosest`.
    Closest { candidates: Box<[Candidate]>, count: usize, metric: Metric },
    /// `pool`.
    Pool(Box<PoolPlan>),
}

impl Plan {
    fn may_be_empty(&self) -> bool {
        match self {
            Self::Checked(checked) => [checked.selector, checked.backup].contains(&Selector::Empty),
            Self::Pick { picker: Picker::Sample(0), .. } => true,
            Self::Pick { list: List::Plan(inner), .. } => inner.may_be_empty(),
            Self::Pool(pool) => pool.may_be_empty(),
            _ => false,
        }
    }

    fn collect_members(&self, into: &mut BTreeSet<u16>) {
        match self {
            Self::Constant(members) | Self::Pick { list: List::Members(members), .. } => into.extend(members),
            Self::Failing(_) => {}
            Self::Checked(checked) => into.extend(checked.groups.iter().flatten().map(|target| target.member)),
            Self::SelfWeighted(targets) => into.extend(targets.iter().map(|target| target.member)),
            Self::Pick { list: List::Plan(inner), .. } => inner.collect_members(into),
            Self::View { pairs, otherwise, .. } => into.extend(pairs.iter().flatten().chain(otherwise)),
            Self::Weighted { members, .. } => into.extend(members.iter().map(|&(_, member)| member)),
            Self::Ring(points) => into.extend(points.iter().map(|&(_, member)| member)),
            Self::Closest { candidates, .. } => into.extend(candidates.iter().map(|candidate| candidate.member)),
            Self::Pool(pool) => pool.collect_members(into),
        }
    }

    /// What its outcome depends on.
    pub(super) fn depends(&self) -> Depends {
        match self {
            Self::Constant(_) | Self::Failing(_) => Depends::default(),
            Self::Checked(checked) => [checked.selector, checked.backup]
                .into_iter()
                .fold(Depends { health: true, ..Depends::default() }, |depends, selector| depends.or(selector.depends())),
            Self::SelfWeighted(_) => Depends { health: true, client: true, ..Depends::default() },
            Self::Pick { picker, list } => {
                let draw = picker.draw().map(Depends::draw).unwrap_or_default();
                if let List::Plan(inner) = list { draw.or(inner.depends()) } else { draw }
            }
            Self::View { pairs, .. } => {
                Depends { client: true, chance: pairs.iter().any(|pair| pair.len() > 1), ..Depends::default() }
            }
            Self::Weighted { draw, .. } => Depends::draw(*draw),
            Self::Ring(_) => Depends::draw(Draw::Client),
            Self::Closest { .. } => Depends { geo: true, ..Depends::default() },
            Self::Pool(pool) => pool.depends(),
        }
    }
}

/// A choice among the members of a pool, for records of one type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PoolPlan {
    pub(super) pool: Arc<Pool>,
    /// In the pool's order.
    pub(super) members: Box<[PoolMember]>,
    /// What another pool gives, where this one says so.
    pub(super) otherwise: Option<Box<Plan>>,
    /// What is given instead, likewise.
    pub(super) fixed: Box<[u16]>,
    /// How the client's place decides, where it does.
    pub(super) steer: Option<Arc<Steer>>,
    /// Whether an answer is of one record at most: a name has one CNAME (RFC 1034 3.6.2).
    pub(super) single: bool,
}

/// A pool's member.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PoolMember {
    /// What of it the type shows; nothing where it has nothing of the type.
    pub(super) gives: Box<[Given]>,
    /// All its addresses: indices into [`Program::standings`], and whether each is of IPv6.
    pub(super) standings: Box<[(usize, bool)]>,
    pub(super) level: u16,
    pub(super) site: Option<SiteId>,
    pub(super) candidate: Option<Candidate>,
}

/// What a member gives while one of these addresses may be handed out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    /// Indices into [`Program::standings`].
    pub(super) standings: Box<[usize]>,
    /// The text; or four: without hints, with those of IPv4, of IPv6, of both.
    pub(super) texts: Box<[u16]>,
}

/// How a client's place decides among the members of a pool.
#[derive(Clone, Debug, PartialEq)]
pub enum Steer {
    /// By a map: the order of sites.
    Map(Arc<SiteMap>),
    /// By the nearest site: its region.
    Region {
        /// Where sites are, and the number of the region of each.
        located: Box<[(Location, u16)]>,
        /// The regions, by number.
        regions: Box<[Box<str>]>,
        /// The region of each member.
        of: Box<[Option<u16>]>,
    },
}

impl PoolPlan {
    /// The most members of an answer.
    pub(super) fn most(&self) -> usize {
        if self.single { 1 } else { self.pool.answers.map_or(usize::MAX, usize::from) }
    }

    /// The most texts of a fallback.
    pub(super) const fn most_texts(&self) -> usize {
        if self.single { 1 } else { usize::MAX }
    }

    /// Whether an answer with nothing in it would only say that a name has not been looked up yet.
    pub(super) fn is_unresolved(&self) -> bool {
        let names_its_own = matches!(self.pool.when_none_up, WhenNoneUp::All | WhenNoneUp::Last);
        names_its_own && self.pool.members.iter().any(target::PoolMember::is_unresolved)
    }

    fn may_be_empty(&self) -> bool {
        let fallback = match self.pool.when_none_up {
            WhenNoneUp::Empty | WhenNoneUp::Nxdomain => true,
            WhenNoneUp::Fixed(_) => self.fixed.is_empty(),
            _ => self.otherwise.as_ref().is_some_and(|other| other.may_be_empty()),
        };
        let shows_nothing = |member: &PoolMember| member.gives.is_empty();
        let steered = matches!(self.steer.as_deref(), Some(Steer::Map(map)) if map.orders().iter().any(|order| order.is_empty()));
        fallback || steered || self.members.iter().any(shows_nothing)
    }

    fn collect_members(&self, into: &mut BTreeSet<u16>) {
        into.extend(self.members.iter().flat_map(|member| &member.gives).flat_map(|given| &given.texts));
        into.extend(&self.fixed);
        if let Some(other) = &self.otherwise {
            other.collect_members(into);
        }
    }

    fn depends(&self) -> Depends {
        let health = Depends { health: true, ..Depends::default() };
        let select = match self.pool.select {
            Select::All | Select::First => Depends::default(),
            Select::Random | Select::Weighted => Depends::draw(Draw::Chance),
            Select::Hashed | Select::CHashed => Depends::draw(Draw::Client),
            Select::Closest | Select::RegionThenRest => Depends { geo: true, ..Depends::default() },
            Select::Map(_) => Depends { geo: true, client: true, ..Depends::default() },
        };
        let other = self.otherwise.as_ref().map(|other| other.depends()).unwrap_or_default();
        health.or(select).or(other)
    }
}

/// What is picked from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum List {
    Members(Box<[u16]>),
    Plan(Box<Plan>),
}

/// The functions over unweighted lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Picker {
    All,
    Random,
    Hashed,
    /// So many at most.
    Sample(usize),
}

impl Picker {
    pub(super) const fn draw(self) -> Option<Draw> {
        match self {
            Self::All => None,
            Self::Random | Self::Sample(_) => Some(Draw::Chance),
            Self::Hashed => Some(Draw::Client),
        }
    }

    pub(super) const fn function(self) -> Function {
        match self {
            Self::All => Function::All,
            Self::Random => Function::PickRandom,
            Self::Hashed => Function::PickHashed,
            Self::Sample(_) => Function::PickRandomSample,
        }
    }
}

/// A health-gated choice among groups in order of preference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) function: Function,
    pub(super) groups: Box<[Box<[Target]>]>,
    pub(super) selector: Selector,
    pub(super) backup: Selector,
    /// How far is measured, for [`Selector::Closest`].
    pub(super) metric: Metric,
    /// `failOnIncompleteCheck`: no answer while no check has a result.
    pub(super) fail_incomplete: bool,
}

/// An address that is offered while its check passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) member: u16,
    pub(super) check: usize,
    /// For the weighted selectors; 1 where none is given.
    pub(super) weight: u32,
    /// Where it is said to be.
    pub(super) location: Option<Location>,
}

impl Target {
    pub(super) const fn candidate(&self) -> Candidate {
        Candidate { address: self.address, member: self.member, location: self.location }
    }
}

/// An address that may be near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) address: IpAddr,
    pub(super) member: u16,
    /// Where it is said to be; `None`: where the databases have it.
    pub(super) location: Option<Location>,
}

/// A question about the client that constants decide: true or false.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// `netmask`.
    Netmask(NetMap<bool>),
    /// `asnum`, `country`, `continent` and `region`: the attribute is one of these, in lower case.
    Place { attribute: Attribute, values: Box<[Box<str>]> },
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Netmask(_) => f.write_str("the client is in one of the networks"),
            Self::Place { attribute, values } => write!(f, "the client's {attribute:?} is one of {}", values.join(", ")),
        }
    }
}

impl Test {
    pub(super) const fn depends(&self) -> Depends {
        let none = Depends { health: false, client: false, geo: false, name: false, chance: false, time: false, data: false };
        match self {
            Self::Netmask(_) => Depends { client: true, ..none },
            Self::Place { .. } => Depends { geo: true, ..none },
        }
    }
}

/// `selector` and `backupSelector`: what becomes of the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// One at random.
    Random,
    /// All.
    All,
    /// One by the hash of the client's address.
    Hashed,
    /// The nearest ones to the client, so many.
    Closest(u16),
    /// None: NODATA.
    Empty,
    /// The first in the list.
    First,
    /// One at random, by weight.
    WRandom,
    /// One by the hash of the client's address, by weight.
    WHashed,
    /// One by weight and the hash of the client's address, consistently: nobody else's clients move when one goes.
    CHashed,
    /// One by the hash of the name being answered, by weight.
    NameHashed,
}

impl Selector {
    pub(super) const ALL: [Self; 10] = [
        Self::Random,
        Self::All,
        Self::Hashed,
        Self::Closest(1),
        Self::Empty,
        Self::First,
        Self::WRandom,
        Self::WHashed,
        Self::CHashed,
        Self::NameHashed,
    ];

    /// The option's value, without a number.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::All => "all",
            Self::Hashed => "hashed",
            Self::Closest(_) => "pickclosest",
            Self::Empty => "empty",
            Self::First => "first",
            Self::WRandom => "wrandom",
            Self::WHashed => "whashed",
            Self::CHashed => "chashed",
            Self::NameHashed => "namehashed",
        }
    }

    /// Whether weights play a part.
    pub(super) const fn is_weighted(self) -> bool {
        matches!(self, Self::WRandom | Self::WHashed | Self::CHashed | Self::NameHashed)
    }

    /// Whether the weights are added up.
    pub(super) const fn sums(self) -> bool {
        matches!(self, Self::WRandom | Self::WHashed | Self::NameHashed)
    }

    fn depends(self) -> Depends {
        match self {
            Self::Random | Self::WRandom => Depends::draw(Draw::Chance),
            Self::Hashed | Self::WHashed | Self::CHashed => Depends::draw(Draw::Client),
            Self::NameHashed => Depends::draw(Draw::Name),
            Self::Closest(_) => Depends { geo: true, ..Depends::default() },
            Self::All | Self::Empty | Self::First => Depends::default(),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Closest(count) if *count != 1 => write!(f, ":{count}"),
            _ => Ok(()),
        }
    }
}

/// The functions whose calls become pieces and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Addresses whose TCP port accepts connections.
    IfPortUp,
    /// Addresses that answer a URL as expected.
    IfUrlUp,
    /// Addresses whose own URLs answer as expected.
    IfUrlExtUp,
    /// One by the hash of the client's address, by the weight that it reports.
    PickSelfWeighted,
    /// The whole list.
    All,
    /// One at random.
    PickRandom,
    /// Some at random.
    PickRandomSample,
    /// One by the hash of the client's address.
    PickHashed,
    /// One at random, by weight.
    PickWRandom,
    /// One by the hash of the client's address, by weight.
    PickWHashed,
    /// One by the hash of the name being answered, by weight.
    PickNameHashed,
    /// One by the hash of the client's address, by weight, on a ring.
    PickCHashed,
    /// The nearest to the client.
    PickClosest,
    /// One of the list whose networks hold the client.
    View,
    /// What a pool of the configuration hands out.
    Pool,
    /// Whether the client is in one of some networks.
    Netmask,
    /// Whether the client's AS is one of some.
    AsNum,
    /// Whether the client's country is one of some.
    Country,
    /// Whether the client's continent is one of some.
    Continent,
    /// Whether the client's region is one of some.
    Region,
}

impl Function {
    pub(super) const ALL: [Self; 20] = [
        Self::IfPortUp,
        Self::IfUrlUp,
        Self::IfUrlExtUp,
        Self::PickSelfWeighted,
        Self::All,
        Self::PickRandom,
        Self::PickRandomSample,
        Self::PickHashed,
        Self::PickWRandom,
        Self::PickWHashed,
        Self::PickNameHashed,
        Self::PickCHashed,
        Self::PickClosest,
        Self::View,
        Self::Pool,
        Self::Netmask,
        Self::AsNum,
        Self::Country,
        Self::Continent,
        Self::Region,
    ];

    /// The name in a program.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IfPortUp => "ifportup",
            Self::IfUrlUp => "ifurlup",
            Self::IfUrlExtUp => "ifurlextup",
            Self::PickSelfWeighted => "pickselfweighted",
            Self::All => "all",
            Self::PickRandom => "pickrandom",
            Self::PickRandomSample => "pickrandomsample",
            Self::PickHashed => "pickhashed",
            Self::PickWRandom => "pickwrandom",
            Self::PickWHashed => "pickwhashed",
            Self::PickNameHashed => "picknamehashed",
            Self::PickCHashed => "pickchashed",
            Self::PickClosest => "pickclosest",
            Self::View => "view",
            Self::Pool => "pool",
            Self::Netmask => "netmask",
            Self::AsNum => "asnum",
            Self::Country => "country",
            Self::Continent => "continent",
            Self::Region => "region",
        }
    }

    /// The function of that name.
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.as_str() == name)
    }

    /// What it gives to Lua.
    pub(super) const fn gives(self) -> Gives {
        match self {
            Self::IfPortUp | Self::IfUrlUp | Self::IfUrlExtUp | Self::All | Self::PickRandomSample | Self::Pool => Gives::List,
            Self::Netmask | Self::AsNum | Self::Country | Self::Continent | Self::Region => Gives::Boolean,
            Self::PickSelfWeighted
            | Self::PickRandom
            | Self::PickHashed
            | Self::PickWRandom
            | Self::PickWHashed
            | Self::PickNameHashed
            | Self::PickCHashed
            | Self::PickClosest
            | Self::View => Gives::Text,
        }
    }
}

/// The type of a function's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Text,
    List,
    Boolean,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
