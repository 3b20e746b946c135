//! The few functions of Lua's own library that plans know: those that need neither loops nor patterns.
//!
//! What they do is what `script/library` does; the property of `tiers` compares them.

use std::borrow::Cow;

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
const STRING: &[Function] = &[
    Function { name: "char", depends: NONE, call: |_, values| char(values) },
    Function { name: "len", depends: NONE, call: |_, values| length(values) },
    Function { name: "lower", depends: NONE, call: |_, values| each(values, "lower", u8::to_ascii_lowercase) },
    Function {
        name: "rep",
        depends: NONE,
        call: |native, values| {
            let [text, times, separator] = first("rep", values, 2)?;
            let (text, times) = (text.text()?, usize::try_from(times.place()?).unwrap_or(0));
            let separator = separator.given().map_or(Ok(Cow::default()), Argument::text)?;
            let size = (text.len() + separator.len()).saturating_mul(times).saturating_sub(separator.len());
            native.meter.check_string(size)?;
            let mut all = [&*text, &*separator].concat().repeat(times);
            all.truncate(size);
            Ok(Value::text(all))
        },
    },
    Function { name: "reverse", depends: NONE, call: |_, values| reverse(values) },
    Function { name: "sub", depends: NONE, call: |_, values| sub(values) },
    Function { name: "upper", depends: NONE, call: |_, values| each(values, "upper", u8::to_ascii_uppercase) },
];

/// Functions of `math`.
const MATH: &[Function] = &[
    Function { name: "abs", depends: NONE, call: |_, values| of_number(values, "abs", f64::abs) },
    Function { name: "ceil", depends: NONE, call: |_, values| of_number(values, "ceil", f64::ceil) },
    Function { name: "floor", depends: NONE, call: |_, values| of_number(values, "floor", f64::floor) },
    Function { name: "max", depends: NONE, call: |_, values| most(values, "max", |known, number| number > known) },
    Function { name: "min", depends: NONE, call: |_, values| most(values, "min", |known, number| number < known) },
];

/// The global function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    of(GLOBALS, name)
}

/// The function of `string` of that name, which is a method of strings.
pub(super) fn method(name: &str) -> Option<&'static Function> {
    of(STRING, name)
}

/// The function of that name in a table of the library.
pub(super) fn member(table: &str, name: &str) -> Option<&'static Function> {
    match table {
        "string" => method(name),
        "math" => of(MATH, name),
        _ => None,
    }
}

/// The number of that name in a table of the library.
pub(super) fn constant(table: &str, name: &str) -> Option<f64> {
    match (table, name) {
        ("math", "huge") => Some(f64::INFINITY),
        ("math", "pi") => Some(std::f64::consts::PI),
        _ => None,
    }
}

fn of(functions: &'static [Function], name: &str) -> Option<&'static Function> {
    functions.iter().find(|function| function.name == name)
}

/// Surplus arguments are nothing to Lua's own functions.
fn first<'a>(function: &'static str, values: &'a [Value], needed: usize) -> Result<[Argument<'a>; 3], Failure> {
    Ok(arguments(function, needed, &values[..values.len().min(3)])?)
}

fn to_number(values: &[Value]) -> Result<Value, Failure> {
    let [value, base, _] = first("tonumber", values, 1)?;
    let base = base.given().map_or(Ok(10), Argument::place)?;
    let number = if base == 10 {
        value.value().as_number()
    } else {
        let base = number::base(base).ok_or_else(|| Failure::raised("tonumber takes a base of 2 to 36"))?;
        number::in_base(&value.text()?, base)
    };
    Ok(number.map_or(Value::Nil, Value::Number))
}

fn to_string(values: &[Value]) -> Result<Value, Failure> {
    let [argument, ..] = first("tostring", values, 1)?;
    Ok(match argument.value() {
        Value::Nil => Value::text("nil"),
        Value::Boolean(value) => Value::text(value.to_string()),
        Value::Number(number) => Value::text(number::to_text(*number)),
        text @ Value::Text(_) => text.clone(),
        Value::Object(object) => Value::text(object.to_text().unwrap_or_else(|| object.kind().into())),
        Value::Table(_) => Value::text("table"),
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

fn reverse(values: &[Value]) -> Result<Value, Failure> {
    let [text, ..] = first("reverse", values, 1)?;
    Ok(Value::text(text.text()?.iter().rev().copied().collect::<Vec<u8>>()))
}

fn char(values: &[Value]) -> Result<Value, Failure> {
    let octet = |value: &Value| {
        let number = value.as_number().ok_or_else(|| Failure::raised("char takes numbers"))?;
        u8::try_from(number as i64).map_err(|_| Failure::raised("char takes numbers from 0 to 255"))
    };
    Ok(Value::text(values.iter().map(octet).collect::<Result<Vec<u8>, _>>()?))
}

fn of_number(values: &[Value], function: &'static str, change: fn(f64) -> f64) -> Result<Value, Failure> {
    let [number, ..] = first(function, values, 1)?;
    Ok(Value::Number(change(number.number()?)))
}

/// The one of several numbers that is beyond all others.
fn most(values: &[Value], function: &'static str, beyond: fn(f64, f64) -> bool) -> Result<Value, Failure> {
    let number = |value: &Value| value.as_number().ok_or_else(|| Failure::raised(format!("{function} takes numbers")));
    let mut numbers = values.iter().map(number);
    let first = numbers.next().ok_or_else(|| Failure::raised(format!("{function} needs a number")))??;
    let last = numbers.try_fold(first, |known, number| number.map(|number| if beyond(known, number) { number } else { known }));
    last.map(Value::Number)
}
