//! The few functions of Lua's own library that plans know: those that need neither loops nor patterns.
//!
//! What they do is what `script/library` does; the property of `tiers` compares them.

use super::failure::Failure;
use super::native::Function;
use super::number;
use super::plan::Depends;
use super::value::{Argument, Value, arguments};

const NONE: Depends = Depends { health: false, client: false, geo: false, name: false, chance: false, time: false, data: false };

/// Global functions.
const GLOBALS: &[Function] = &[
    Function { name: "tonumber", depends: NONE, call: |_, values| to_number(values) },
    Function { name: "tostring", depends: NONE, call: |_, values| to_string(values) },
    Function { name: "type", depends: NONE, call: |_, values| type_of(values) },
];

/// Functions of `string`, which strings have as methods.
const METHODS: &[Function] = &[
    Function { name: "len", depends: NONE, call: |_, values| length(values) },
    Function { name: "lower", depends: NONE, call: |_, values| each(values, "lower", u8::to_ascii_lowercase) },
    Function { name: "upper", depends: NONE, call: |_, values| each(values, "upper", u8::to_ascii_uppercase) },
    Function { name: "sub", depends: NONE, call: |_, values| sub(values) },
];

/// The global function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    GLOBALS.iter().find(|function| function.name == name)
}

/// The function of `string` of that name.
pub(super) fn method(name: &str) -> Option<&'static Function> {
    METHODS.iter().find(|function| function.name == name)
}

/// Surplus arguments are nothing to Lua's own functions.
fn first<'a>(function: &'static str, values: &'a [Value], needed: usize) -> Result<[Argument<'a>; 3], Failure> {
    Ok(arguments(function, needed, &values[..values.len().min(3)])?)
}

fn to_number(values: &[Value]) -> Result<Value, Failure> {
    let [value, base, _] = first("tonumber", values, 1)?;
    if base.given().is_some() {
        return Err(Failure::raised("tonumber with a base is not for plans"));
    }
    Ok(value.value().as_number().map_or(Value::Nil, Value::Number))
}

fn to_string(values: &[Value]) -> Result<Value, Failure> {
    let [argument, ..] = first("tostring", values, 1)?;
    Ok(match argument.value() {
        Value::Nil => Value::text("nil"),
        Value::Boolean(value) => Value::text(value.to_string()),
        Value::Number(number) => Value::text(number::to_text(*number)),
        text @ Value::Text(_) => text.clone(),
        Value::Object(object) => Value::text(object.to_text().unwrap_or_else(|| object.kind().into())),
        Value::Table(_) => return Err(Failure::raised("tostring of a table")),
    })
}

fn type_of(values: &[Value]) -> Result<Value, Failure> {
    let [value, ..] = first("type", values, 1)?;
    Ok(Value::text(match value.value() {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Number(_) => "number",
        Value::Text(_) => "string",
        Value::Table(_) => "table",
        Value::Object(_) => "userdata",
    }))
}

fn length(values: &[Value]) -> Result<Value, Failure> {
    let [text, ..] = first("len", values, 1)?;
    Ok(Value::Number(text.text()?.len() as f64))
}

fn each(values: &[Value], function: &'static str, change: fn(&u8) -> u8) -> Result<Value, Failure> {
    let [text, ..] = first(function, values, 1)?;
    Ok(Value::text(text.text()?.iter().map(change).collect::<Vec<u8>>()))
}

/// `string.sub(text, from[, to])`: places from 1; from the end where they are below 0.
fn sub(values: &[Value]) -> Result<Value, Failure> {
    let [text, from, to] = first("sub", values, 2)?;
    let text = text.text()?;
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { length.saturating_add(at).saturating_add(1).max(0) } else { at };
    let from = place(from.place()?).max(1);
    let to = place(to.given().map_or(Ok(-1), Argument::place)?).min(length);
    let range = usize::try_from(from - 1).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
    Ok(Value::text(text.get(range).unwrap_or_default()))
}
