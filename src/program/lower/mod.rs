//! Syntax tree → program: meaning, checked as a whole.
//!
//! Three forms are tried in turn (`form`): the program is one call of constant structure; statements and expressions that
//! are evaluated natively (`body`); a Luau chunk (`script`). Whatever the form, each call of constant structure becomes a
//! piece, checked here. Every part of a call is lowered before the first failure is acted on, so that one pass reports
//! everything: all bad members, options and weights. A method that returns `None` has reported why.
//!
//! `pool` lowers pools; `constant` says what is constant; `list` reads tables, `options` the options of checked functions and `probing` those of
//! the probe, `checked` lowers the health-gated functions, `pick` the pickers, `place` tests and distances, `view` views;
//! `names` knows what functions exist elsewhere.

mod body;
mod checked;
mod constant;
mod form;
mod list;
mod names;
mod options;
mod pick;
mod place;
mod pool;
mod probing;
mod script;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::MEMBERS_MAX;
use super::compile::Defaults;
use super::finding::Finding;
use super::meter::{self, Meter};
use super::number;
use super::plan::{Function, Gives, List, Picker, Piece, Plan, Test};
use super::syntax::{Expr, Kind};
use super::value::{DEPTH_MAX, Room, Value};
use crate::geo::Attribute;
use crate::target::{CheckRequest, CheckSpec, Judgement, Membership, Standing};
use crate::wire::RecordType;

pub use form::Settings;
#[cfg(test)]
pub(super) use form::lower_as_script;
pub(super) use form::{lower, lower_snippet};

/// A call of constant structure, lowered by itself.
#[derive(Debug)]
pub(super) enum Lowered {
    /// Something to settle and pick from: the texts and the checks that it is numbered by.
    Piece { piece: Piece, members: Box<[Box<str>]>, checks: Box<[CheckRequest]> },
    /// Something that is true or false of a client.
    Test(Test),
}

impl Lowered {
    /// Whether it takes no more memory than its arguments.
    pub(super) const fn is_small(&self) -> bool {
        !matches!(self, Self::Piece { piece: Piece { plan: Plan::Ring(_), .. }, .. })
    }
}

/// Lowers a call whose arguments are known only now, and charges what that costs.
///
/// # Errors
/// [`meter::Limit`]. `None` where a finding says why.
pub(super) fn lower_call(
    function: Function,
    arguments: &[Value],
    (defaults, meter): (&Defaults, &Meter),
    findings: &mut Vec<Finding>,
) -> Result<Option<Lowered>, meter::Limit> {
    let mut lowering = Lowering::new(defaults, findings);
    lowering.points_max = pick::RUN_POINTS_MAX.min(meter.elements());
    let mut literals = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let mut room = Room::new();
        let Some(literal) = constant::expression(argument, DEPTH_MAX, &mut room) else {
            lowering.error::<()>(0, "tables that are nested too deeply, or hold too much", "use smaller ones");
            return Ok(None);
        };
        room.charge(meter)?;
        literals.push(literal);
    }
    let call = Call { function, offset: 0, arguments: &literals };
    if function.gives() == Gives::Boolean {
        return Ok(lowering.test(call).map(Lowered::Test));
    }
    let Some(piece) = lowering.piece(call) else { return Ok(None) };
    if let Plan::Ring(points) = &piece.plan {
        meter.charge_elements(points.len() as u64)?;
    }
    let (members, checks) = (lowering.members.items.into(), lowering.checks.into_requests());
    Ok(Some(Lowered::Piece { piece, members, checks }))
}

struct Lowering<'a> {
    defaults: &'a Defaults,
    findings: &'a mut Vec<Finding>,
    members: Interner<Box<str>>,
    given: Given,
    checks: Interner<Asked>,
    standings: Interner<Standing>,
    /// The type of the record; `None`: it is not known, or the program is none of a record.
    rtype: Option<RecordType>,
    functions: BTreeSet<&'static str>,
    /// Most points of a ring.
    points_max: u64,
}

/// A [`CheckRequest`] that can be hashed.
type Asked = (CheckSpec, Judgement, Duration);

/// A call of a known function.
#[derive(Clone, Copy)]
struct Call<'e> {
    function: Function,
    offset: usize,
    arguments: &'e [Expr],
}

/// The function and the arguments of a call of something by its name.
fn called(expression: &Expr) -> Option<(&str, &[Expr])> {
    let Kind::Call { callee, arguments } = &expression.kind else { return None };
    match &callee.kind {
        Kind::Variable(name) => Some((name, arguments)),
        _ => None,
    }
}

impl<'a> Lowering<'a> {
    fn new(defaults: &'a Defaults, findings: &'a mut Vec<Finding>) -> Self {
        Self {
            defaults,
            findings,
            members: Interner::default(),
            given: Given::default(),
            checks: Interner::default(),
            standings: Interner::default(),
            rtype: None,
            functions: BTreeSet::new(),
            points_max: pick::POINTS_MAX,
        }
    }

    /// A constant answer: text, or a table of texts.
    fn constant_piece(&mut self, expression: &Expr) -> Option<Piece> {
        let (plan, list) = match &expression.kind {
            Kind::Table(fields) => {
                let entries = self.entries(fields, "the answer")?;
                (Plan::Constant(self.literal(&entries, expression.offset, "an element of the answer")?), true)
            }
            _ => (Plan::Constant([self.member(expression, "the answer")?].into()), false),
        };
        Some(Piece { plan, list, answers: true })
    }

    /// A call that gives text or a list.
    fn piece(&mut self, call: Call<'_>) -> Option<Piece> {
        let plan = self.plan(call)?;
        let list = match &plan {
            Plan::Closest { count, .. } => *count != 1,
            _ => call.function.gives() == Gives::List,
        };
        Some(Piece { plan, list, answers: false })
    }

    fn plan(&mut self, call: Call<'_>) -> Option<Plan> {
        self.functions.insert(call.function.as_str());
        match call.function {
            Function::IfPortUp => self.if_port_up(call),
            Function::IfUrlUp => self.if_url_up(call),
            Function::IfUrlExtUp => self.if_url_ext_up(call),
            Function::PickSelfWeighted => self.pick_self_weighted(call),
            Function::All => self.pick(call, Picker::All),
            Function::PickRandom => self.pick(call, Picker::Random),
            Function::PickRandomSample => self.pick_sample(call),
            Function::PickHashed => self.pick(call, Picker::Hashed),
            Function::PickWRandom | Function::PickWHashed | Function::PickNameHashed => self.pick_weighted(call),
            Function::PickCHashed => self.pick_ring(call),
            Function::PickClosest => self.pick_closest(call),
            Function::View => self.view(call),
            Function::Pool => self.pool(call),
            Function::Netmask | Function::AsNum | Function::Country | Function::Continent | Function::Region => {
                let message = format!("{} gives true or false, which is no answer", call.function);
                self.error(call.offset, message, "use it in a condition: `;if country('US') then return ... end`")
            }
        }
    }

    /// A call that is true or false of a client.
    fn test(&mut self, call: Call<'_>) -> Option<Test> {
        self.functions.insert(call.function.as_str());
        match call.function {
            Function::Netmask => self.netmask(call),
            Function::AsNum => self.in_place(call, Attribute::Asn),
            Function::Country => self.in_place(call, Attribute::Country),
            Function::Continent => self.in_place(call, Attribute::Continent),
            Function::Region => self.in_place(call, Attribute::Region),
            _ => None,
        }
    }

    /// The arguments, if there are enough; surplus ones are reported.
    fn arguments<'e>(&mut self, call: Call<'e>, allowed: RangeInclusive<usize>) -> Option<&'e [Expr]> {
        let (given, least, most) = (call.arguments.len(), *allowed.start(), *allowed.end());
        if !allowed.contains(&given) {
            let wanted = if least == most { format!("{least}") } else { format!("{least} or {most}") };
            let message =
                format!("`{}` takes {wanted} arguments, {given} given", call.function).replace("1 arguments", "1 argument");
            let place = call.arguments.get(most).map_or(call.offset, |surplus| surplus.offset);
            let remedy = if given > most { "remove the surplus" } else { "add what is missing" };
            self.error::<()>(place, message, remedy);
        }
        (given >= least).then_some(&call.arguments[..given.min(most)])
    }

    /// The number of a member, from a string or a number.
    fn member(&mut self, expression: &Expr, role: &str) -> Option<u16> {
        let text = self.text(expression, role)?;
        self.intern_member(expression.offset, text)
    }

    fn intern_member(&mut self, offset: usize, text: String) -> Option<u16> {
        let number = self.members.number(text.into());
        self.within_bounds(offset, number)
    }

    /// The number of what a pool's member gives. No other pool, and nothing that is written out, shares it, even where the text
    /// is the same: so an answer says whom it is of. Of two members of one pool that give the same the first has it.
    fn intern_given(&mut self, offset: usize, text: String, of: &Membership) -> Option<u16> {
        let key = (Arc::clone(&of.pool), Box::from(text));
        if let Some(&known) = self.given.numbers.get(&key) {
            return Some(known);
        }
        let number = self.members.push(key.1.clone());
        let member = self.within_bounds(offset, number)?;
        self.given.numbers.insert(key, member);
        self.given.of.insert(member, of.clone());
        Some(member)
    }

    fn within_bounds(&mut self, offset: usize, number: usize) -> Option<u16> {
        match u16::try_from(number) {
            Ok(member) if usize::from(member) < MEMBERS_MAX => Some(member),
            _ => self.error(offset, format!("more than {MEMBERS_MAX} different members"), "split the record"),
        }
    }

    /// The text of a string or a number; `role` is what it is for, in findings.
    fn text(&mut self, expression: &Expr, role: &str) -> Option<String> {
        match &expression.kind {
            Kind::Text(octets) => match String::from_utf8(octets.clone()) {
                Ok(text) => Some(text),
                Err(_) => {
                    let message = format!("{role} holds octets that are not UTF-8");
                    self.error(expression.offset, message, r"write them as DNS escapes: `\\255` for octet 255")
                }
            },
            Kind::Number(number) => Some(number::to_text(*number)),
            _ => self.misplaced(expression, role, "a string"),
        }
    }

    /// Something that cannot be converted to what must stand there.
    fn misplaced<T>(&mut self, expression: &Expr, role: &str, wanted: &str) -> Option<T> {
        let message = format!("{role} must be {wanted}, not {}", describe(expression));
        self.error(expression.offset, message, format!("write {wanted}"))
    }

    fn error<T>(&mut self, offset: usize, message: impl Into<String>, remedy: impl Into<String>) -> Option<T> {
        self.findings.push(Finding::error(offset, message, remedy));
        None
    }

    fn warn(&mut self, offset: usize, message: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding::warning(offset, message, remedy));
    }
}

impl List {
    fn is_empty_literal(&self) -> bool {
        matches!(self, Self::Members(members) if members.is_empty())
    }
}

fn describe(expression: &Expr) -> String {
    match &expression.kind {
        Kind::Nil => "nil".to_owned(),
        Kind::Boolean(_) => "a boolean".to_owned(),
        Kind::Number(_) => "a number".to_owned(),
        Kind::Text(_) => "a string".to_owned(),
        Kind::Variable(name) => format!("the variable `{name}`"),
        Kind::Table(_) => "a table".to_owned(),
        Kind::Call { .. } => match called(expression) {
            Some((name, _)) => format!("a call of `{name}`"),
            None => "a call".to_owned(),
        },
        Kind::Function(_) => "a function".to_owned(),
        Kind::Method { name, .. } => format!("a call of the method `{name}`"),
        _ => "this expression".to_owned(),
    }
}

/// What the members of pools give: its number, by pool, and whose it is.
#[derive(Default)]
struct Given {
    numbers: HashMap<(Arc<str>, Box<str>), u16>,
    of: BTreeMap<u16, Membership>,
}

impl Given {
    /// Whose each of so many members is; empty where none is a pool's.
    fn into_givers(mut self, members: usize) -> Box<[Option<Membership>]> {
        let all = if self.of.is_empty() { 0 } else { members };
        (0..all).map(|at| self.of.remove(&u16::try_from(at).ok()?)).collect()
    }
}

/// Distinct items, numbered in the order of their first appearance.
struct Interner<T> {
    items: Vec<T>,
    numbers: HashMap<T, usize>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { items: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interner<T> {
    fn number(&mut self, item: T) -> usize {
        if let Some(&number) = self.numbers.get(&item) {
            return number;
        }
        let number = self.push(item.clone());
        self.numbers.insert(item, number);
        number
    }

    /// The number of an item that nothing else shares.
    fn push(&mut self, item: T) -> usize {
        self.items.push(item);
        self.items.len() - 1
    }
}

impl Interner<Asked> {
    fn into_requests(self) -> Box<[CheckRequest]> {
        self.items
            .into_iter()
            .map(|(spec, judgement, interval)| CheckRequest { spec: spec.into(), judgement, interval })
            .collect()
    }
}

#[cfg(test)]
mod tests;
