//! `string`, but for `format` and what the prelude does.

use mlua::{IntoLua, MultiValue, Value};

use super::super::pattern::{self, Capture, Match, PatternError};
use super::SPREAD_MAX;
use super::arguments::{Call, Fault, Text};
use crate::program::meter::Meter;

pub(super) fn byte(call: &Call<'_>) -> Result<MultiValue, Fault> {
    let text = call.text(0)?;
    let from = call.integer_or(1, 1)?;
    let octets = slice(&text, from, call.integer_or(2, from)?);
    if octets.len() >= SPREAD_MAX {
        return Err(Fault::Other("string slice too long".into()));
    }
    Ok(octets.iter().map(|octet| Value::Integer((*octet).into())).collect())
}

pub(super) fn char(call: &Call<'_>) -> Result<Value, Fault> {
    let octet =
        |index| u8::try_from(call.integer(index)?).map_err(|_| Fault::Argument { index, problem: "invalid value".into() });
    let octets: Vec<u8> = (0..call.count()).map(octet).collect::<Result<_, _>>()?;
    call.string(&octets)
}

pub(super) fn len(call: &Call<'_>) -> Result<usize, Fault> {
    Ok(call.text(0)?.len())
}

pub(super) fn lower(call: &Call<'_>) -> Result<Value, Fault> {
    call.string(&call.text(0)?.to_ascii_lowercase())
}

pub(super) fn upper(call: &Call<'_>) -> Result<Value, Fault> {
    call.string(&call.text(0)?.to_ascii_uppercase())
}

pub(super) fn reverse(call: &Call<'_>) -> Result<Value, Fault> {
    let octets: Vec<u8> = call.text(0)?.iter().rev().copied().collect();
    call.string(&octets)
}

pub(super) fn sub(call: &Call<'_>) -> Result<Value, Fault> {
    call.string(slice(&call.text(0)?, call.integer(1)?, call.integer_or(2, -1)?))
}

pub(super) fn rep(call: &Call<'_>) -> Result<Value, Fault> {
    let text = call.text(0)?;
    let times = usize::try_from(call.integer(1)?).unwrap_or(0);
    let separator = if call.value(2).is_nil() { Text::Number(String::new()) } else { call.text(2)? };
    let size = (text.len() + separator.len()).saturating_mul(times).saturating_sub(separator.len());
    call.meter().check_string(size)?;
    let mut repeated = [&*text, &*separator].concat().repeat(times);
    repeated.truncate(size);
    call.string(&repeated)
}

pub(super) fn find(call: &Call<'_>) -> Result<MultiValue, Fault> {
    let (subject, pattern) = (call.text(0)?, call.text(1)?);
    let from = start(call, &subject)?;
    let plain = !matches!(call.value(3), Value::Nil | Value::Boolean(false));
    if plain || !pattern::is_special(&pattern) {
        let found = matching(call.meter(), |steps| pattern::find_plain(&subject, &pattern, from, steps))?;
        let Some(at) = found else { return Ok(nothing()) };
        return Ok([at + 1, at + pattern.len()].into_iter().map(|place| Value::Integer(place as i64)).collect());
    }
    let Some(found) = matching(call.meter(), |steps| pattern::find(&subject, &pattern, from, steps))? else {
        return Ok(nothing());
    };
    let mut values = captures(call, &subject, &found)?;
    values.push_front(found.end.into_lua(call.lua)?);
    values.push_front((found.start + 1).into_lua(call.lua)?);
    Ok(values)
}

pub(super) fn r#match(call: &Call<'_>) -> Result<MultiValue, Fault> {
    let (subject, pattern) = (call.text(0)?, call.text(1)?);
    let from = start(call, &subject)?;
    match matching(call.meter(), |steps| pattern::find(&subject, &pattern, from, steps))? {
        Some(found) => captures_or_whole(call, &subject, &found),
        None => Ok(nothing()),
    }
}

/// `gmatch` of the prelude: its arguments, and where to begin.
pub(super) fn gmatch(call: &Call<'_>) -> Result<(Value, Value, usize), Fault> {
    Ok((call.string(&call.text(0)?)?, call.string(&call.text(1)?)?, 1))
}

/// One turn of `gmatch`: where the next begins, and the captures; nothing at the end.
pub(super) fn take(call: &Call<'_>) -> Result<MultiValue, Fault> {
    let (subject, pattern) = (call.text(0)?, call.text(1)?);
    let from = call.integer(2)? as usize - 1;
    let Some(found) = matching(call.meter(), |steps| pattern::search(&subject, &pattern, from, steps))? else {
        return Ok(MultiValue::new());
    };
    let mut values = captures_or_whole(call, &subject, &found)?;
    values.push_front((after(&found) + 1).into_lua(call.lua)?);
    Ok(values)
}

/// `gsub` of the prelude: subject, pattern without its anchor, most replacements, whether it is anchored.
pub(super) fn gsub(call: &Call<'_>) -> Result<(Value, Value, i64, bool), Fault> {
    let subject = call.text(0)?;
    let (pattern, anchored) = unanchored(call)?;
    let limit = call.integer_or(3, subject.len() as i64 + 1)?;
    Ok((call.string(&subject)?, call.string(&pattern[usize::from(anchored)..])?, limit, anchored))
}

/// One turn of `gsub`: first and last place, and the captures; nothing at the end.
pub(super) fn scan(call: &Call<'_>) -> Result<MultiValue, Fault> {
    let (subject, pattern) = (call.text(0)?, call.text(1)?);
    let from = call.integer(2)? as usize - 1;
    let search = if call.value(3) == &Value::Boolean(true) { pattern::match_at } else { pattern::search };
    let Some(found) = matching(call.meter(), |steps| search(&subject, &pattern, from, steps))? else {
        return Ok(MultiValue::new());
    };
    let mut values = captures_or_whole(call, &subject, &found)?;
    values.push_front(found.end.into_lua(call.lua)?);
    values.push_front((found.start + 1).into_lua(call.lua)?);
    Ok(values)
}

/// `gsub` with a replacement text.
pub(super) fn gsub_text(call: &Call<'_>) -> Result<(Value, usize), Fault> {
    let subject = call.text(0)?;
    let (pattern, anchored) = unanchored(call)?;
    let template = call.text(2).map_err(|_| call.expected(2, "string/function/table"))?;
    let limit = usize::try_from(call.integer_or(3, i64::MAX)?).unwrap_or(0);
    let search = if anchored { pattern::match_at } else { pattern::search };
    let (mut result, mut at, mut count) = (Vec::new(), 0, 0);
    while count < limit && at <= subject.len() && !(anchored && count > 0) {
        let pattern = &pattern[usize::from(anchored)..];
        let Some(found) = matching(call.meter(), |steps| search(&subject, pattern, at, steps))? else { break };
        let before = result.len();
        result.extend_from_slice(&subject[at..found.start]);
        expand(&template, &subject, &found, &mut result)?;
        at = after(&found);
        result.extend_from_slice(&subject[found.end..at.min(subject.len())]);
        call.meter().charge_octets(result.len() - before)?;
        call.meter().check_string(result.len())?;
        count += 1;
    }
    result.extend_from_slice(subject.get(at..).unwrap_or_default());
    Ok((call.string(&result)?, count))
}

/// Puts the captures of `found` into `template`, at the end of `result`.
fn expand(template: &[u8], subject: &[u8], found: &Match, result: &mut Vec<u8>) -> Result<(), Fault> {
    let mut octets = template.iter();
    while let Some(&octet) = octets.next() {
        match if octet == b'%' { octets.next().copied() } else { Some(octet) } {
            Some(digit @ b'0'..=b'9') if octet == b'%' => {
                result.extend_from_slice(&capture_text(digit, subject, found)?);
            }
            Some(literal) => result.push(literal),
            None => result.push(0), // the NUL that ends a C string
        }
    }
    Ok(())
}

fn capture_text<'a>(digit: u8, subject: &'a [u8], found: &Match) -> Result<std::borrow::Cow<'a, [u8]>, Fault> {
    let whole = digit == b'0' || (digit == b'1' && found.count() == 0);
    if whole {
        return Ok(subject[found.start..found.end].into());
    }
    Ok(match found.capture(usize::from(digit - b'1'))? {
        Capture::Text(start, end) => subject[start..end].into(),
        Capture::Position(at) => (at + 1).to_string().into_bytes().into(),
    })
}

fn captures_or_whole(call: &Call<'_>, subject: &[u8], found: &Match) -> Result<MultiValue, Fault> {
    if found.count() == 0 {
        return Ok([call.string(&subject[found.start..found.end])?].into_iter().collect());
    }
    captures(call, subject, found)
}

fn captures(call: &Call<'_>, subject: &[u8], found: &Match) -> Result<MultiValue, Fault> {
    let value = |index| match found.capture(index)? {
        Capture::Text(start, end) => call.string(&subject[start..end]),
        Capture::Position(at) => Ok(Value::Integer(at as i64 + 1)),
    };
    (0..found.count()).map(value).collect()
}

/// Where to go on after `found`: an empty match is not found twice.
fn after(found: &Match) -> usize {
    found.end + usize::from(found.end == found.start)
}

fn unanchored(call: &Call<'_>) -> Result<(Text, bool), Fault> {
    let pattern = call.text(1)?;
    let anchored = pattern.starts_with(b"^");
    Ok((pattern, anchored))
}

/// The offset that the third argument of `find` and `match` stands for.
fn start(call: &Call<'_>, subject: &[u8]) -> Result<usize, Fault> {
    let from = usize::try_from(place(call.integer_or(2, 1)?, subject.len()) - 1).unwrap_or(0);
    Ok(from.min(subject.len()))
}

/// The octets from place `from` to place `to`, both counted from 1, or from the end if negative.
fn slice(octets: &[u8], from: i64, to: i64) -> &[u8] {
    let from = usize::try_from(place(from, octets.len()) - 1).unwrap_or(0);
    let to = usize::try_from(place(to, octets.len())).unwrap_or(0).min(octets.len());
    octets.get(from..to).unwrap_or_default()
}

fn place(at: i64, len: usize) -> i64 {
    if at < 0 { at.saturating_add(len as i64 + 1).max(0) } else { at }
}

fn nothing() -> MultiValue {
    [Value::Nil].into_iter().collect()
}

fn matching<R>(meter: &Meter, search: impl FnOnce(&mut u64) -> Result<R, PatternError>) -> Result<R, Fault> {
    match meter.matching(search)? {
        Err(PatternError::OutOfSteps) => Err(meter.exhausted().into()),
        found => Ok(found?),
    }
}
