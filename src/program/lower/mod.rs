//! Expression tree → plan: meaning, checked as a whole.
//!
//! Every part of a call is lowered before the first failure is acted on, so that one pass reports everything: all bad
//! members, options and weights. A method that returns `None` has reported why.
//!
//! `list` reads tables, `options` and `probing` the options of checked functions, `checked` lowers `ifportup` and `ifurlup`,
//! `pick` the pickers, `view` views; `names` knows what functions exist elsewhere.

mod checked;
mod list;
mod names;
mod options;
mod order;
mod pick;
mod probing;
mod view;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::MEMBERS_MAX;
use super::compile::Defaults;
use super::finding::Finding;
use super::number;
use super::parser::{Expr, Kind};
use super::plan::{Function, List, Picker, Plan, Program};
use crate::target::{CheckRequest, CheckSpec, Judgement};

/// The program that `expression` means; what is wrong with it goes to `findings`.
pub(super) fn lower(expression: &Expr, defaults: &Defaults, findings: &mut Vec<Finding>) -> Option<Program> {
    let mut lowering = Lowering { defaults, findings, members: Interner::default(), checks: Interner::default() };
    let plan = lowering.program(expression)?;
    Some(Program { members: lowering.members.items.into(), checks: lowering.checks.into_requests(), plan })
}

struct Lowering<'a> {
    defaults: &'a Defaults,
    findings: &'a mut Vec<Finding>,
    members: Interner<Box<str>>,
    checks: Interner<Asked>,
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

impl Lowering<'_> {
    /// What a program may be: text, a table of texts, a call.
    fn program(&mut self, expression: &Expr) -> Option<Plan> {
        match &expression.kind {
            Kind::Text(_) | Kind::Number(_) => Some(Plan::Constant([self.member(expression, "the answer")?].into())),
            Kind::Table(fields) => {
                let entries = self.entries(fields, "the answer")?;
                Some(Plan::Constant(self.literal(&entries, expression.offset, "an element of the answer")?))
            }
            Kind::Call { function, arguments } => self.call(expression.offset, function, arguments),
            Kind::Nil | Kind::Boolean(_) => {
                let message = format!("{} is not an answer", describe(expression));
                self.error(expression.offset, message, "return a string, a number or a table of strings")
            }
            Kind::Variable(name) => self.variable(expression.offset, name),
            Kind::Outside => None,
        }
    }

    fn call(&mut self, offset: usize, name: &str, arguments: &[Expr]) -> Option<Plan> {
        let Some(function) = Function::ALL.into_iter().find(|function| function.as_str() == name) else {
            self.findings.push(names::unknown_function(offset, name));
            return None;
        };
        let call = Call { function, offset, arguments };
        match function {
            Function::IfPortUp => self.if_port_up(call),
            Function::IfUrlUp => self.if_url_up(call),
            Function::All => self.pick(call, Picker::All),
            Function::PickRandom => self.pick(call, Picker::Random),
            Function::PickHashed => self.pick(call, Picker::Hashed),
            Function::PickWRandom | Function::PickWHashed | Function::PickNameHashed => self.pick_weighted(call),
            Function::View => self.view(call),
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
        match u16::try_from(self.members.number(text.into())) {
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
        match &expression.kind {
            Kind::Outside => None,
            Kind::Variable(name) => self.variable(expression.offset, name),
            Kind::Call { function, .. } if Function::ALL.iter().all(|known| known.as_str() != function) => {
                self.findings.push(names::unknown_function(expression.offset, function));
                None
            }
            Kind::Call { function, .. } => {
                let construct = format!("a call of `{function}` as {role}");
                self.findings.push(Finding::outside(expression.offset, &construct));
                None
            }
            _ => {
                let message = format!("{role} must be {wanted}, not {}", describe(expression));
                self.error(expression.offset, message, format!("write {wanted}"))
            }
        }
    }

    fn variable<T>(&mut self, offset: usize, name: &str) -> Option<T> {
        self.findings.push(names::variable(offset, name));
        None
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
        Kind::Call { function, .. } => format!("a call of `{function}`"),
        Kind::Outside => "this".to_owned(),
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
        self.items.push(item.clone());
        self.numbers.insert(item, self.items.len() - 1);
        self.items.len() - 1
    }
}

impl Interner<Asked> {
    fn into_requests(self) -> Box<[CheckRequest]> {
        self.items.into_iter().map(|(spec, judgement, interval)| CheckRequest { spec, judgement, interval }).collect()
    }
}

#[cfg(test)]
mod tests;
