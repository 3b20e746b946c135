//! The plan: what a program does, as a closed enum over numbered members and checks.
//!
//! Built once by `lower`, immutable, evaluated by `settle`. Everything that could go wrong has gone wrong by then:
//! addresses are parsed, weights summed, options checked.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::choice::Draw;
use crate::geo::NetMap;
use crate::target::CheckRequest;

/// A compiled record program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub(super) members: Box<[Box<str>]>,
    pub(super) checks: Box<[CheckRequest]>,
    pub(super) plan: Plan,
}

/// What a program's answer depends on beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depends {
    /// The statuses of checks.
    pub health: bool,
    /// The client's address.
    pub client: bool,
    /// The name being answered.
    pub name: bool,
    /// Chance.
    pub chance: bool,
}

impl Program {
    /// Every distinct string that an answer may contain, in presentation form. Answers are indices into it.
    #[must_use]
    pub fn members(&self) -> &[Box<str>] {
        &self.members
    }

    /// The checks that the program asks for, each once. Statuses are asked for by index into it.
    #[must_use]
    pub fn checks(&self) -> &[CheckRequest] {
        &self.checks
    }

    /// Whether a selector makes the answer empty under some statuses. That a list is empty from the start, or that an
    /// operator has drained all of it, is not asked here.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        self.plan.may_be_empty()
    }

    /// What the answer may depend on, under any statuses.
    #[must_use]
    pub fn depends(&self) -> Depends {
        let mut depends = Depends { health: !self.checks.is_empty(), ..Depends::default() };
        depends.add(&self.plan);
        depends
    }
}

impl Depends {
    fn add(&mut self, plan: &Plan) {
        match plan {
            Plan::Constant(_) => {}
            Plan::Checked(checked) => checked.draws().for_each(|draw| self.add_draw(draw)),
            Plan::Pick { picker, list } => {
                if let Some(draw) = picker.draw() {
                    self.add_draw(draw);
                }
                if let List::Plan(inner) = list {
                    self.add(inner);
                }
            }
            Plan::Weighted { draw, .. } => self.add_draw(*draw),
            Plan::View { pairs, .. } => {
                self.client = true;
                self.chance |= pairs.iter().any(|pair| pair.len() > 1);
            }
        }
    }

    fn add_draw(&mut self, draw: Draw) {
        match draw {
            Draw::Chance => self.chance = true,
            Draw::Client => self.client = true,
            Draw::Name => self.name = true,
        }
    }
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// These strings.
    Constant(Box<[u16]>),
    /// `ifportup` and `ifurlup`.
    Checked(Checked),
    /// `all`, `pickrandom` and `pickhashed`.
    Pick { picker: Picker, list: List },
    /// `view`: one at random of the first pair whose networks hold the client; the empty string where none does, which is
    /// `None` where each address is in some.
    View { networks: Arc<NetMap<u16>>, pairs: Box<[Box<[u16]>]>, otherwise: Option<u16> },
    /// `pickwrandom`, `pickwhashed` and `picknamehashed`: running sums in the order of the walk.
    Weighted { function: Function, draw: Draw, members: Box<[(u32, u16)]> },
}

impl Plan {
    fn may_be_empty(&self) -> bool {
        match self {
            Self::Checked(checked) => [checked.selector, checked.backup].contains(&Selector::Empty),
            Self::Pick { list: List::Plan(inner), .. } => inner.may_be_empty(),
            Self::Constant(_) | Self::Pick { list: List::Members(_), .. } | Self::View { .. } | Self::Weighted { .. } => false,
        }
    }
}

/// What is picked from.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

impl Picker {
    pub(super) const fn draw(self) -> Option<Draw> {
        match self {
            Self::All => None,
            Self::Random => Some(Draw::Chance),
            Self::Hashed => Some(Draw::Client),
        }
    }

    pub(super) const fn function(self) -> Function {
        match self {
            Self::All => Function::All,
            Self::Random => Function::PickRandom,
            Self::Hashed => Function::PickHashed,
        }
    }
}

/// A health-gated choice among groups in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) function: Function,
    pub(super) groups: Box<[Box<[Target]>]>,
    pub(super) selector: Selector,
    pub(super) backup: Selector,
}

/// An address that is offered while its check passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) member: u16,
    pub(super) check: usize,
}

impl Checked {
    fn draws(&self) -> impl Iterator<Item = Draw> {
        [self.selector, self.backup].into_iter().filter_map(Selector::draw)
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
    /// None: NODATA.
    Empty,
}

impl Selector {
    pub(super) const ALL: [Self; 4] = [Self::Random, Self::All, Self::Hashed, Self::Empty];

    /// The option's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::All => "all",
            Self::Hashed => "hashed",
            Self::Empty => "empty",
        }
    }

    const fn draw(self) -> Option<Draw> {
        match self {
            Self::Random => Some(Draw::Chance),
            Self::Hashed => Some(Draw::Client),
            Self::All | Self::Empty => None,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The functions that programs are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Addresses whose TCP port accepts connections.
    IfPortUp,
    /// Addresses that answer a URL as expected.
    IfUrlUp,
    /// The whole list.
    All,
    /// One at random.
    PickRandom,
    /// One by the hash of the client's address.
    PickHashed,
    /// One at random, by weight.
    PickWRandom,
    /// One by the hash of the client's address, by weight.
    PickWHashed,
    /// One by the hash of the name being answered, by weight.
    PickNameHashed,
    /// One of the list whose networks hold the client.
    View,
}

impl Function {
    pub(super) const ALL: [Self; 9] = [
        Self::IfPortUp,
        Self::IfUrlUp,
        Self::All,
        Self::PickRandom,
        Self::PickHashed,
        Self::PickWRandom,
        Self::PickWHashed,
        Self::PickNameHashed,
        Self::View,
    ];

    /// The name in a program.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IfPortUp => "ifportup",
            Self::IfUrlUp => "ifurlup",
            Self::All => "all",
            Self::PickRandom => "pickrandom",
            Self::PickHashed => "pickhashed",
            Self::PickWRandom => "pickwrandom",
            Self::PickWHashed => "pickwhashed",
            Self::PickNameHashed => "picknamehashed",
            Self::View => "view",
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
