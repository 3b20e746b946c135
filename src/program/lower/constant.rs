//! What is constant: literals, tables of them, and locals and operators over them.

use std::collections::{HashMap, hash_map};
use std::sync::Arc;

use super::super::body;
use super::super::plan::{Function, Gives};
use super::super::syntax::{Binary, Expr, Field, Kind, Unary};
use super::super::value::Value;
use super::super::variables;
use super::called;

/// What names mean where an expression stands.
pub(super) trait Names {
    /// The constant that a variable stands for.
    fn constant(&self, name: &str) -> Option<&Expr>;

    /// Whether the name means what it means everywhere: neither a local nor set by the program.
    fn is_free(&self, name: &str) -> bool;
}

/// The literal that `expression` comes to, whatever the query.
pub(super) fn constant(names: &dyn Names, expression: &Expr) -> Option<Expr> {
    let offset = expression.offset;
    let kind = match &expression.kind {
        Kind::Nil | Kind::Boolean(_) | Kind::Number(_) | Kind::Text(_) => return Some(expression.clone()),
        Kind::Parentheses(inner) => return constant(names, inner),
        Kind::Variable(name) => names.constant(name)?.kind.clone(),
        Kind::Table(fields) => Kind::Table(fields.iter().map(|field| constant_field(names, field)).collect::<Option<_>>()?),
        Kind::Index { object, key } => return index(names, offset, object, key),
        Kind::Chain(first, links) => {
            let mut left = scalar(&constant(names, first)?)?;
            for link in links.iter() {
                left = fold(link.operator, &left, &scalar(&constant(names, &link.right)?)?)?;
            }
            return Some(at(offset, left));
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

/// A call that gives a list whose members settle, for a picker around it.
fn inner(names: &dyn Names, expression: &Expr) -> Option<Expr> {
    let (function, arguments) = structure(names, expression)?;
    let settles = matches!(function, Function::IfPortUp | Function::IfUrlUp | Function::IfUrlExtUp | Function::All);
    let callee = Expr { offset: expression.offset, kind: Kind::Variable(function.as_str().to_owned()) };
    let kind = Kind::Call { callee: Box::new(callee), arguments };
    (settles && function.gives() == Gives::List).then_some(Expr { offset: expression.offset, kind })
}

fn constant_field(names: &dyn Names, field: &Field) -> Option<Field> {
    let key = match &field.key {
        None => None,
        Some(key) => Some(constant(names, key)?),
    };
    Some(Field { key, value: constant(names, &field.value)? })
}

/// A number out of `pdns` and its like, or an element of a constant table.
fn index(names: &dyn Names, offset: usize, object: &Expr, key: &Expr) -> Option<Expr> {
    let named = path(object).filter(|path| path.first().is_some_and(|root| names.is_free(root)));
    if let (Some(mut path), Kind::Text(name)) = (named, &key.kind) {
        path.push(str::from_utf8(name).ok()?);
        return Some(Expr { offset, kind: Kind::Number(variables::constant(&path)?) });
    }
    let (table, key) = (literal(&constant(names, object)?)?, literal(&constant(names, key)?)?);
    let Value::Table(entries) = table else { return None };
    let found = entries.iter().find(|(known, _)| *known == key);
    Some(Expr { offset, ..expression(found.map_or(&Value::Nil, |(_, value)| value)) })
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
    if operator == Binary::Concat {
        return Some(Value::text([left.as_text()?, right.as_text()?].concat()));
    }
    let numbers = matches!((left, right), (Value::Number(_), Value::Number(_)));
    if numbers && !matches!(operator, Binary::And | Binary::Or) { body::binary(operator, left, right).ok() } else { None }
}

fn scalar(expression: &Expr) -> Option<Value> {
    literal(expression).filter(|value| !matches!(value, Value::Table(_)))
}

/// The value of a literal: of a table, positions before written keys, as Lua's.
pub(super) fn literal(expression: &Expr) -> Option<Value> {
    Some(match &expression.kind {
        Kind::Nil => Value::Nil,
        Kind::Boolean(value) => Value::Boolean(*value),
        Kind::Number(number) => Value::Number(*number),
        Kind::Text(text) => Value::text(text),
        Kind::Table(fields) => {
            let positional = fields.iter().filter(|field| field.key.is_none());
            let positional = (1u32..).zip(positional).map(|(at, field)| Some((Value::Number(at.into()), literal(&field.value)?)));
            let mut entries = positional.collect::<Option<Vec<_>>>()?;
            let positions = entries.len();
            let mut places: HashMap<Key, usize> = (0..positions).map(|at| (Key::position(at), at)).collect();
            for field in fields {
                let Some(key) = &field.key else { continue };
                let entry = (literal(key)?, literal(&field.value)?);
                match places.entry(Key::of(&entry.0)?) {
                    hash_map::Entry::Occupied(at) if *at.get() < positions => {}
                    hash_map::Entry::Occupied(at) => entries[*at.get()] = entry,
                    hash_map::Entry::Vacant(free) => {
                        free.insert(entries.len());
                        entries.push(entry);
                    }
                }
            }
            entries.retain(|(_, value)| *value != Value::Nil);
            Value::Table(entries.into())
        }
        _ => return None,
    })
}

/// A key of a table.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Boolean(bool),
    Number(u64),
    Text(Arc<[u8]>),
}

impl Key {
    /// The key of the position `at`, from 0.
    fn position(at: usize) -> Self {
        Self::Number((at as f64 + 1.0).to_bits())
    }

    /// `None` where Lua allows no such key, or none that is constant.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(value) => Some(Self::Boolean(*value)),
            Value::Number(number) if number.is_nan() => None,
            Value::Number(number) => Some(Self::Number((number + 0.0).to_bits())), // -0 is 0
            Value::Text(text) => Some(Self::Text(Arc::clone(text))),
            Value::Nil | Value::Table(_) | Value::Object(_) => None,
        }
    }
}

/// A value as a literal.
pub(super) fn expression(value: &Value) -> Expr {
    at(0, value.clone())
}

fn at(offset: usize, value: Value) -> Expr {
    let kind = match value {
        Value::Nil => Kind::Nil,
        Value::Boolean(value) => Kind::Boolean(value),
        Value::Number(number) => Kind::Number(number),
        Value::Text(text) => Kind::Text(text.to_vec()),
        Value::Table(entries) => Kind::Table(entries.iter().map(field).collect()),
        Value::Object(_) => Kind::Variadic, // nothing that a constant can be: whoever reads it says so
    };
    Expr { offset, kind }
}

fn field((key, value): &(Value, Value)) -> Field {
    Field { key: Some(expression(key)), value: expression(value) }
}
