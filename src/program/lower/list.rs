//! Tables as lists, by PowerDNS's rules of conversion (spec 1.4, 3.4): keys must convert to integers; values that are
//! nil are not there; one bad element spoils the list, and all bad ones are reported.

use std::collections::BTreeMap;

use super::super::LIST_MAX;
use super::super::number;
use super::super::syntax::{Expr, Field, Kind};
use super::Lowering;

/// A table's entries by ascending key.
pub(super) struct Entries<'e> {
    pub(super) items: Vec<(i64, &'e Expr)>,
    /// Whether a key was written out. Lua's order over such tables is not the order of the keys.
    keyed: bool,
}

impl<'e> Entries<'e> {
    /// Whether the keys are 1 to n.
    pub(super) fn is_sequence(&self) -> bool {
        self.items.iter().zip(1..).all(|(&(key, _), place)| key == place)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &'e Expr> {
        self.items.iter().map(|&(_, value)| value)
    }
}

impl Lowering<'_> {
    /// The table that `expression` must be, as a list whose order matters.
    pub(super) fn ordered<'e>(&mut self, expression: &'e Expr, role: &str) -> Option<Entries<'e>> {
        let Kind::Table(fields) = &expression.kind else { return self.misplaced(expression, role, "a table") };
        let entries = self.entries(fields, role)?;
        if entries.keyed && !entries.is_sequence() {
            let message = format!("{role} has other keys than 1 to {}: it is walked by rising key", entries.items.len());
            self.warn(expression.offset, message, "write a plain list, without keys: Lua's own order is not defined");
        }
        Some(entries)
    }

    /// A table's entries; of those with one key the last counts, as LuaJIT has it.
    pub(super) fn entries<'e>(&mut self, fields: &'e [Field], role: &str) -> Option<Entries<'e>> {
        let (mut items, mut keyed, mut sound) = (BTreeMap::new(), false, true);
        let mut position = 0;
        for field in fields {
            let key = match &field.key {
                None => {
                    position += 1;
                    Some(position)
                }
                Some(key) => {
                    keyed = true;
                    self.integer_key(key, role)
                }
            };
            match key {
                Some(key) => _ = items.insert(key, &field.value),
                None => sound = false,
            }
        }
        let items = items.into_iter().filter(|(_, value)| value.kind != Kind::Nil).collect();
        sound.then_some(Entries { items, keyed })
    }

    fn integer_key(&mut self, key: &Expr, role: &str) -> Option<i64> {
        let number = match &key.kind {
            Kind::Number(number) => Some(*number),
            Kind::Text(text) => std::str::from_utf8(text).ok().and_then(number::from_text),
            _ => return self.misplaced(key, &format!("a key of {role}"), "an integer"),
        };
        match number {
            Some(number) if number.abs() < 9e15 => Some(number as i64), // a fraction is cut off
            _ => {
                let message = format!("{role} has a key that is not an integer");
                self.error(key.offset, message, "write a plain list, without keys")
            }
        }
    }

    /// The members that a table of strings holds.
    pub(super) fn literal(&mut self, entries: &Entries<'_>, offset: usize, role: &str) -> Option<Box<[u16]>> {
        let fits = self.check_length(entries.items.len(), offset);
        let members: Vec<Option<u16>> = entries.values().map(|value| self.member(value, role)).collect();
        let members = members.into_iter().collect::<Option<_>>()?;
        fits.then_some(members)
    }

    /// Reports a list of more than [`LIST_MAX`] elements.
    pub(super) fn check_length(&mut self, length: usize, offset: usize) -> bool {
        if length > LIST_MAX {
            self.error::<()>(offset, format!("a list of {length} elements, and {LIST_MAX} are the most"), "split the record");
        }
        length <= LIST_MAX
    }
}
