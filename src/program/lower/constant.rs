//! What is constant: literals, tables of them, and locals and operators over them.
//!
//! A name stands for a copy of its value, so a short text may mean much (`local a = {a, a}`, again and again). What all the
//! constants of a program come to is bounded by its [`Allowance`]; what is beyond is no constant, and is evaluated by runs.

use std::borrow::Cow;
use std::cell::Cell;

use super::super::body;
use super::super::meter::STRING_MAX;
use super::super::plan::{Function, Gives};
use super::super::syntax::{Binary, Expr, Field, Kind, Link, Unary};
use super::super::value::{Room, Value};
use super::super::variables;
use super::called;
use crate::program::CODE_MAX;

/// What names mean where an expression stands.
pub(super) trait Names {
    /// The constant that a variable stands for.
    fn constant(&self, name: &str) -> Option<&Expr>;

    /// Whether the name means what it means everywhere: neither a local nor set by the program.
    fn is_free(&self, name: &str) -> bool;

    /// What constants may still come to.
    fn allowance(&self) -> &Allowance;
}

/// No names but those that mean what they mean everywhere.
#[derive(Default)]
pub(super) struct Everywhere(Allowance);

impl Names for Everywhere {
    fn constant(&self, _: &str) -> Option<&Expr> {
        None
    }

    fn is_free(&self, _: &str) -> bool {
        true
    }

    fn allowance(&self) -> &Allowance {
        &self.0
    }
}

/// What is left of what the constants of a program may come to: literals, and octets of text.
pub(super) struct Allowance(Cell<usize>);

impl Default for Allowance {
    fn default() -> Self {
        Self(Cell::new(16 * CODE_MAX))
    }
}

impl Allowance {
    /// A copy of what a name stands for.
    fn copy(&self, constant: &Expr) -> Option<Expr> {
        self.spend(size(constant))?;
        Some(constant.clone())
    }

    fn spend(&self, size: usize) -> Option<()> {
        self.0.set(self.0.get().checked_sub(size)?);
        Some(())
    }
}

/// How many literals a constant holds, and octets of text.
fn size(constant: &Expr) -> usize {
    match &constant.kind {
        Kind::Text(text) => 1 + text.len(),
        Kind::Table(fields) => {
            fields.iter().map(|field| field.key.as_ref().map_or(0, size) + size(&field.value)).sum::<usize>() + 1
        }
        _ => 1,
    }
}

/// How deep the tables of a constant are nested.
pub(super) fn depth(constant: &Expr) -> usize {
    match &constant.kind {
        Kind::Table(fields) => fields.iter().map(|field| depth(&field.value)).max().unwrap_or(0) + 1,
        _ => 0,
    }
}

/// The literal that `expression` comes to, whatever the query.
pub(super) fn constant(names: &dyn Names, expression: &Expr) -> Option<Expr> {
    let offset = expression.offset;
    let kind = match &expression.kind {
        Kind::Nil | Kind::Boolean(_) | Kind::Number(_) | Kind::Text(_) => return Some(expression.clone()),
        Kind::Parentheses(inner) => return constant(names, inner),
        Kind::Variable(name) => names.allowance().copy(names.constant(name)?)?.kind,
        Kind::Table(fields) => Kind::Table(fields.iter().map(|field| constant_field(names, field)).collect::<Option<_>>()?),
        Kind::Index { object, key } => return index(names, offset, object, key),
        Kind::Chain(first, links) if links.iter().all(|link| link.operator == Binary::Concat) => {
            Kind::Text(concatenation(names, first, links)?)
        }
        Kind::Chain(first, links) => {
            let mut left = scalar(&constant(names, first)?)?;
            for link in links.iter() {
                left = fold(link.operator, &left, &scalar(&constant(names, &link.right)?)?)?;
            }
            return Some(at(offset, &left));
        }
        Kind::Unary(Unary::Negate, operand) => match constant(names, operand)?.kind {
            Kind::Number(number) => Kind::Number(-number),
            _ => return None,
        },
        _ => return None,
    };
    Some(Expr { offset, kind })
}

/// A call of a known function whose arguments are constant, or for the pickers a call of constant structure that gives a
/// list.
pub(super) fn structure(names: &dyn Names, expression: &Expr) -> Option<(Function, Vec<Expr>)> {
    let (name, arguments) = called(expression)?;
    let function = Function::find(name).filter(|_| names.is_free(name))?;
    let picks = matches!(function, Function::All | Function::PickRandom | Function::PickHashed);
    let argument = |argument: &Expr| constant(names, argument).or_else(|| if picks { inner(names, argument) } else { None });
    Some((function, arguments.iter().map(argument).collect::<Option<_>>()?))
}

/// A call that gives a list whose members settle, for a picker around it; or one string, which is no list and is for the
/// picker to report.
fn inner(names: &dyn Names, expression: &Expr) -> Option<Expr> {
    let (function, arguments) = structure(names, expression)?;
    let settles = match function.gives() {
        Gives::List => function != Function::PickRandomSample,
        Gives::Text => function != Function::PickClosest, // by an option it gives a list
        Gives::Boolean => false,
    };
    let callee = Expr { offset: expression.offset, kind: Kind::Variable(function.as_str().to_owned()) };
    let kind = Kind::Call { callee: Box::new(callee), arguments };
    settles.then_some(Expr { offset: expression.offset, kind })
}

fn constant_field(names: &dyn Names, field: &Field) -> Option<Field> {
    let key = match &field.key {
        None => None,
        Some(key) => Some(constant(names, key)?),
    };
    let is_none = |key: &Expr| match key.kind {
        Kind::Number(number) => number.is_nan(),
        _ => key.kind == Kind::Nil,
    };
    if key.as_ref().is_some_and(is_none) {
        return None; // Lua has no such key
    }
    Some(Field { key, value: constant(names, &field.value)? })
}

/// A number out of `pdns` and its like, or an element of a constant table.
fn index(names: &dyn Names, offset: usize, object: &Expr, key: &Expr) -> Option<Expr> {
    let named = path(object).filter(|path| path.first().is_some_and(|root| names.is_free(root)));
    if let (Some(mut path), Kind::Text(name)) = (named, &key.kind) {
        path.push(str::from_utf8(name).ok()?);
        return Some(Expr { offset, kind: Kind::Number(variables::constant(&path)?) });
    }
    let found = match element(names, object, key)? {
        Cow::Borrowed(found) => names.allowance().copy(found)?,
        Cow::Owned(found) => found,
    };
    Some(Expr { offset, ..found })
}

/// An element of a constant table, where it stands: a table is not copied for each of its elements.
fn element<'e>(names: &'e dyn Names, object: &'e Expr, key: &'e Expr) -> Option<Cow<'e, Expr>> {
    let key = constant(names, key)?;
    let table = match &object.inner().kind {
        Kind::Variable(name) => Cow::Borrowed(names.constant(name)?),
        Kind::Index { object, key } => element(names, object, key)?,
        _ => Cow::Owned(constant(names, object)?),
    };
    Some(match table {
        Cow::Borrowed(table) => Cow::Borrowed(field_of(table, &key)?),
        Cow::Owned(table) => Cow::Owned(field_of(&table, &key)?.clone()),
    })
}

/// What a table has for a key; `None`: it is no table.
fn field_of<'e>(table: &'e Expr, key: &Expr) -> Option<&'e Expr> {
    const NIL: &Expr = &Expr { offset: 0, kind: Kind::Nil };
    let Kind::Table(fields) = &table.kind else { return None };
    let mut positions = (1u32..).map(|at| Kind::Number(at.into()));
    let is_key = |known: &Kind| *known == key.kind && !matches!(key.kind, Kind::Table(_));
    let mut found = NIL;
    for Field { key, value } in fields {
        let matches = match key {
            None => positions.next().is_some_and(|position| is_key(&position)),
            Some(key) => is_key(&key.kind),
        };
        found = if matches { value } else { found }; // the last counts
    }
    Some(found)
}

/// All operands at once.
fn concatenation(names: &dyn Names, first: &Expr, links: &[Link]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for operand in [first].into_iter().chain(links.iter().map(|link| &link.right)) {
        all.extend_from_slice(&scalar(&constant(names, operand)?)?.as_text()?);
        if all.len() > STRING_MAX {
            return None;
        }
    }
    names.allowance().spend(all.len())?;
    Some(all)
}

fn path(expression: &Expr) -> Option<Vec<&str>> {
    match &expression.kind {
        Kind::Variable(name) => Some(vec![name]),
        Kind::Index { object, key } => {
            let mut path = path(object)?;
            let Kind::Text(name) = &key.kind else { return None };
            path.push(str::from_utf8(name).ok()?);
            Some(path)
        }
        _ => None,
    }
}

/// What operators make of constants; `and` and `or` are left to whoever evaluates.
fn fold(operator: Binary, left: &Value, right: &Value) -> Option<Value> {
    let numbers = matches!((left, right), (Value::Number(_), Value::Number(_)));
    if numbers && !matches!(operator, Binary::And | Binary::Or) { body::binary(operator, left, right).ok() } else { None }
}

fn scalar(expression: &Expr) -> Option<Value> {
    literal(expression).filter(|value| !matches!(value, Value::Table(_)))
}

/// The value of a literal.
pub(super) fn literal(expression: &Expr) -> Option<Value> {
    Some(match &expression.kind {
        Kind::Nil => Value::Nil,
        Kind::Boolean(value) => Value::Boolean(*value),
        Kind::Number(number) => Value::Number(*number),
        Kind::Text(text) => Value::text(text),
        Kind::Table(fields) => {
            let fields = fields.iter().map(|field| {
                let key = match &field.key {
                    None => None,
                    Some(key) => Some(literal(key)?),
                };
                Some((key, literal(&field.value)?))
            });
            Value::table(fields.collect::<Option<_>>()?)?
        }
        _ => return None,
    })
}

/// A value as a literal, where its tables are no deeper than `depth` and there is room for it.
pub(super) fn expression(value: &Value, depth: usize, room: &mut Room) -> Option<Expr> {
    let kind = match value {
        Value::Table(entries) => {
            let depth = depth.checked_sub(1)?;
            room.entries(entries.len())?;
            let mut field = |(key, value): &(Value, Value)| {
                Some(Field { key: Some(expression(key, depth, room)?), value: expression(value, depth, room)? })
            };
            Kind::Table(entries.iter().map(&mut field).collect::<Option<_>>()?)
        }
        Value::Text(text) => {
            room.text(text)?;
            Kind::Text(text.to_vec())
        }
        other => return Some(at(0, other)),
    };
    Some(Expr { offset: 0, kind })
}

fn at(offset: usize, value: &Value) -> Expr {
    let kind = match value {
        Value::Nil => Kind::Nil,
        Value::Boolean(value) => Kind::Boolean(*value),
        Value::Number(number) => Kind::Number(*number),
        Value::Text(text) => Kind::Text(text.to_vec()),
        Value::Table(_) | Value::Object(_) => Kind::Variadic, // nothing that a constant can be: whoever reads it says so
    };
    Expr { offset, kind }
}
