//! `all` and the pickers.

use super::super::number;
use super::super::parser::{Expr, Kind};
use super::super::plan::{Function, List, Picker, Plan};
use super::list::Entries;
use super::order::walk_order;
use super::{Call, Lowering};
use crate::program::choice::Draw;

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

    /// A table of strings, or a call that returns one.
    fn list(&mut self, expression: &Expr, picker: Picker) -> Option<List> {
        let role = format!("the list of `{}`", picker.function());
        match &expression.kind {
            Kind::Call { function, .. } if returns_string(function) => {
                let message = format!("`{function}` returns one string, and {role} must be a list");
                self.error(expression.offset, message, "use its result directly")
            }
            Kind::Call { function, arguments } => {
                self.call(expression.offset, function, arguments).map(|plan| List::Plan(Box::new(plan)))
            }
            Kind::Table(fields) => {
                // only a hash depends on the order
                let entries = match picker {
                    Picker::Hashed => self.ordered(expression, &role),
                    Picker::All | Picker::Random => self.entries(fields, &role),
                }?;
                self.literal(&entries, expression.offset, &format!("an element of {role}")).map(List::Members)
            }
            _ => self.misplaced(expression, &role, "a table"),
        }
    }

    /// `pickwrandom`, `pickwhashed`, `picknamehashed` of `{{weight, value}, ...}`.
    pub(super) fn pick_weighted(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 1..=1)?;
        let (list, function) = (&arguments[0], call.function);
        let entries = self.weighted_entries(list, &format!("the list of `{function}`"))?;
        let fits = self.check_length(entries.items.len(), list.offset);
        let items: Vec<Option<(u32, u16)>> = entries.values().map(|item| self.weighted_item(item)).collect();
        let items = items.into_iter().collect::<Option<Vec<_>>>()?;
        if items.is_empty() {
            self.warn_empty(list, function);
        }
        let Some(members) = running_sums(&items) else {
            return self.error(list.offset, format!("the weights add up to more than {}", u32::MAX), "use smaller weights");
        };
        fits.then_some(Plan::Weighted { function, draw: draw(function), members })
    }

    /// The items by key, which must be 1 to n: with other keys the order of the walk is another one.
    fn weighted_entries<'e>(&mut self, list: &'e Expr, role: &str) -> Option<Entries<'e>> {
        let entries = self.ordered(list, role)?;
        if !entries.is_sequence() {
            let message = format!("{role} with gaps is not in this release");
            return self.error(list.offset, message, "remove the nil elements");
        }
        Some(entries)
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
    fn weight(&mut self, expression: &Expr) -> Option<u32> {
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

fn returns_string(function: &str) -> bool {
    let strings = [
        Function::PickRandom,
        Function::PickHashed,
        Function::PickWRandom,
        Function::PickWHashed,
        Function::PickNameHashed,
        Function::View,
    ];
    strings.iter().any(|known| known.as_str() == function)
}

const fn draw(function: Function) -> Draw {
    match function {
        Function::PickWHashed => Draw::Client,
        Function::PickNameHashed => Draw::Name,
        _ => Draw::Chance,
    }
}

/// The weights summed up in the order of PowerDNS's walk; `None` when the total does not fit.
fn running_sums(items: &[(u32, u16)]) -> Option<Box<[(u32, u16)]>> {
    let mut sum = 0u32;
    let add = |place: usize| {
        let (weight, member) = items[place];
        sum = sum.checked_add(weight)?;
        Some((sum, member))
    };
    walk_order(items.len()).into_iter().map(add).collect()
}
