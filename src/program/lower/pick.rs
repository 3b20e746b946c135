//! `all` and the pickers.

use std::collections::BTreeMap;

use super::super::hash::hash;
use super::super::number;
use super::super::order::walk_order;
use super::super::plan::{Function, Gives, List, Picker, Plan};
use super::super::syntax::{Expr, Kind};
use super::{Call, Lowering, called};
use crate::program::choice::Draw;

/// Most points of a ring: `pickchashed` puts one there for each unit of weight.
pub(super) const POINTS_MAX: u64 = 1 << 20;
/// Most points of one that a run makes.
pub(super) const RUN_POINTS_MAX: u64 = 1 << 14;

impl Lowering<'_> {
    /// `all(list)`, `pickrandom(list)`, `pickhashed(list)`.
    pub(super) fn pick(&mut self, call: Call<'_>, picker: Picker) -> Option<Plan> {
        let arguments = self.arguments(call, 1..=1)?;
        let list = self.list(&arguments[0], picker)?;
        if list.is_empty_literal() {
            self.warn_empty(&arguments[0], call.function);
        }
        Some(Plan::Pick { picker, list })
    }

    pub(super) fn warn_empty(&mut self, list: &Expr, function: Function) {
        self.warn(list.offset, format!("`{function}` of an empty list always fails"), "add a member");
    }

    /// `pickrandomsample(count, list)`; a count below 0 is all, as in PowerDNS.
    pub(super) fn pick_sample(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 2..=2)?;
        let count = self.count(&arguments[0]);
        let list = self.list(&arguments[1], Picker::Sample(0));
        let (count, list) = (count?, list?);
        if count == 0 {
            self.warn(arguments[0].offset, "a sample of 0 is always empty", "write how many are wanted");
        }
        Some(Plan::Pick { picker: Picker::Sample(count), list })
    }

    fn count(&mut self, expression: &Expr) -> Option<usize> {
        let number = match &expression.kind {
            Kind::Number(number) => Some(*number),
            Kind::Text(text) => str::from_utf8(text).ok().and_then(number::from_text),
            _ => return self.misplaced(expression, "the size of a sample", "a number"),
        };
        match number.map(f64::trunc) {
            Some(number) if number < 0.0 => Some(usize::MAX),
            Some(number) if number.is_finite() => Some(number as usize),
            _ => self.error(expression.offset, "the size of a sample is no number", "write how many are wanted"),
        }
    }

    /// A table of strings, or a call that returns one.
    fn list(&mut self, expression: &Expr, picker: Picker) -> Option<List> {
        let role = format!("the list of `{}`", picker.function());
        if let Some((function, arguments)) = called(expression)
            && let Some(function) = Function::find(function)
        {
            if function.gives() == Gives::Text {
                let message = format!("`{function}` returns one string, and {role} must be a list");
                return self.error(expression.offset, message, format!("give `{}` the list itself", picker.function()));
            }
            let call = Call { function, offset: expression.offset, arguments };
            return self.plan(call).map(|plan| List::Plan(Box::new(plan)));
        }
        match &expression.kind {
            Kind::Table(fields) => {
                // only a hash depends on the order
                let entries = match picker {
                    Picker::Hashed => self.ordered(expression, &role),
                    Picker::All | Picker::Random | Picker::Sample(_) => self.entries(fields, &role),
                }?;
                self.literal(&entries, expression.offset, &format!("an element of {role}")).map(List::Members)
            }
            _ => self.misplaced(expression, &role, "a table"),
        }
    }

    /// `pickchashed` of `{{weight, value}, ...}`: a point for each unit of weight (spec 6.4).
    pub(super) fn pick_ring(&mut self, call: Call<'_>) -> Option<Plan> {
        let items = self.weighted_items(call)?;
        let total: u64 = items.iter().map(|&(weight, _)| u64::from(weight)).sum();
        if total > self.points_max {
            let message = format!("the weights add up to {total}, and the ring has {} points at most", self.points_max);
            return self.error(call.offset, message, "use smaller weights");
        }
        // of several items with one value the weight that is read last counts
        let weights: BTreeMap<u16, u32> = items.iter().map(|&(weight, member)| (member, weight)).collect();
        let mut points = Vec::with_capacity(total as usize);
        for (member, weight) in weights {
            let text = self.members.items.get(usize::from(member)).cloned().unwrap_or_default();
            points.extend((0..weight).map(|at| (hash(format!("{text}-{at}").as_bytes()), member)));
        }
        points.sort_unstable_by_key(|&(point, _)| point);
        Some(Plan::Ring(points.into()))
    }

    /// `pickwrandom`, `pickwhashed`, `picknamehashed` of `{{weight, value}, ...}`.
    pub(super) fn pick_weighted(&mut self, call: Call<'_>) -> Option<Plan> {
        let (items, function) = (self.weighted_items(call)?, call.function);
        let Some(members) = running_sums(&items) else {
            return self.error(call.offset, format!("the weights add up to more than {}", u32::MAX), "use smaller weights");
        };
        Some(Plan::Weighted { function, draw: draw(function), members })
    }

    /// Weights and members, in the order of PowerDNS's walk.
    fn weighted_items(&mut self, call: Call<'_>) -> Option<Vec<(u32, u16)>> {
        let arguments = self.arguments(call, 1..=1)?;
        let (list, function) = (&arguments[0], call.function);
        let entries = self.ordered(list, &format!("the list of `{function}`"))?;
        let fits = self.check_length(entries.items.len(), list.offset);
        let items: Vec<Option<(u32, u16)>> = entries.values().map(|item| self.weighted_item(item)).collect();
        let items = items.into_iter().collect::<Option<Vec<_>>>()?;
        if items.is_empty() {
            self.warn_empty(list, function);
        }
        let keys: Vec<i64> = entries.items.iter().map(|&(key, _)| key).collect();
        fits.then(|| walk_order(&keys).into_iter().map(|at| items[at]).collect())
    }

    fn weighted_item(&mut self, item: &Expr) -> Option<(u32, u16)> {
        let role = "a weighted item";
        let entries = self.ordered(item, role)?;
        let [(1, weight), (2, value), surplus @ ..] = entries.items.as_slice() else {
            let message = format!("{role} must hold a weight and a value");
            return self.error(item.offset, message, "write `{10, '192.0.2.1'}`");
        };
        if let Some((_, surplus)) = surplus.first() {
            self.warn(surplus.offset, format!("{role} holds more than a weight and a value"), "remove the rest, it is ignored");
        }
        let (weight, value) = (self.weight(weight), self.member(value, "the value of a weighted item"));
        Some((weight?, value?))
    }

    /// A positive weight, from the digits at the front of its text.
    pub(super) fn weight(&mut self, expression: &Expr) -> Option<u32> {
        let text = self.text(expression, "a weight")?;
        let Some(prefix) = number::integer_prefix(&text) else {
            return self.error(
                expression.offset,
                format!("the weight `{text}` is not a number"),
                "write a positive whole number",
            );
        };
        if prefix.value <= 0 {
            return self.error(
                expression.offset,
                format!("the weight `{text}` is not positive"),
                "write a positive whole number",
            );
        }
        if !prefix.whole {
            let message = format!("the weight `{text}` counts as {}", prefix.value);
            self.warn(expression.offset, message, "write a whole number");
        }
        match u32::try_from(prefix.value) {
            Ok(weight) => Some(weight),
            Err(_) => self.error(expression.offset, format!("the weight `{text}` is above {}", u32::MAX), "use smaller weights"),
        }
    }
}

const fn draw(function: Function) -> Draw {
    match function {
        Function::PickWHashed => Draw::Client,
        Function::PickNameHashed => Draw::Name,
        _ => Draw::Chance,
    }
}

/// The weights summed up; `None` when the total does not fit.
fn running_sums(items: &[(u32, u16)]) -> Option<Box<[(u32, u16)]>> {
    let mut sum = 0u32;
    let add = |&(weight, member): &(u32, u16)| {
        sum = sum.checked_add(weight)?;
        Some((sum, member))
    };
    items.iter().map(add).collect()
}
