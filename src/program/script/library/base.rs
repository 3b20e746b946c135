//! The functions of no table, `table.concat`, `math.random` and `os`.

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table, Value};

use super::arguments::{Call, Fault, as_number};
use crate::program::number;

/// `__text`, around each operand of `..` and around the whole: a number's text, anything else as it is, and an error for
/// a string that is too long.
pub(super) fn text(call: &Call<'_>) -> Result<Value, Fault> {
    let value = call.value(0);
    if let Some(number) = as_number(value) {
        return Ok(Value::String(call.lua.create_string(number::to_text(number))?));
    }
    call.meter().check_string(value.as_string().map_or(0, |string| string.as_bytes().len()))?;
    Ok(value.clone())
}

/// Whether `tostring` of a table is not the table's own.
pub(super) fn unnamed(call: &Call<'_>) -> Result<bool, Fault> {
    let Some(metatable) = call.table(0)?.metatable() else { return Ok(true) };
    Ok(metatable.raw_get::<Value>("__tostring")?.is_nil())
}

/// `tonumber`, which reads what programs may write: Luau's own reads less.
pub(super) fn tonumber(call: &Call<'_>) -> Result<Option<f64>, Fault> {
    if call.count() == 0 {
        return Err(call.expected(0, "value"));
    }
    let base = call.integer_or(1, 10)?;
    if base == 10 {
        let value = call.value(0);
        let spelt = || number::from_text(&value.as_string()?.to_str().ok()?);
        return Ok(as_number(value).or_else(spelt));
    }
    let base = number::base(base).ok_or_else(|| Fault::Argument { index: 1, problem: "base out of range".into() })?;
    Ok(number::in_base(&call.text(0)?, base))
}

/// Raises the prelude's own errors, with the program's place.
pub(super) fn refuse(call: &Call<'_>) -> Result<(), Fault> {
    Err(Fault::Other(String::from_utf8_lossy(&call.text(0)?).into_owned()))
}

/// What the program sees of an error: a native's as text, its own as they are. A limit's is raised again.
pub(super) fn message(call: &Call<'_>) -> Result<Value, Fault> {
    let Value::Error(error) = call.value(0) else { return Ok(call.value(0).clone()) };
    call.meter().charge_octets(0)?;
    let mut error = &**error;
    while let mlua::Error::CallbackError { cause, .. } = error {
        error = cause;
    }
    Ok(Value::String(match error {
        mlua::Error::RuntimeError(message) => call.lua.create_string(message)?,
        other => call.lua.create_string(other.to_string())?,
    }))
}

pub(super) fn print(call: &Call<'_>) -> Result<(), Fault> {
    call.host.print(&call.text(0)?);
    Ok(())
}

/// `loadstring`: source text only.
pub(super) fn loadstring(call: &Call<'_>) -> Result<MultiValue, Fault> {
    let code = call.text(0)?;
    call.meter().charge_octets(code.len())?;
    let name = if call.value(1).is_nil() { code.to_vec() } else { call.text(1)?.to_vec() };
    let compiled = match code.first() {
        Some(0x1b | 0..b'\t') => Err("attempt to load bytecode".to_owned()),
        _ => call.host.compile(call.lua, &code, &name, environment(call.lua, 1)?),
    };
    Ok(match compiled {
        Ok(function) => function.into_lua_multi(call.lua)?,
        Err(problem) => (Value::Nil, problem).into_lua_multi(call.lua)?,
    })
}

pub(super) fn getfenv(call: &Call<'_>) -> Result<Table, Fault> {
    match call.value(0) {
        Value::Function(function) => match own_environment(call.lua, function) {
            Some(environment) => Ok(environment),
            None => environment(call.lua, 1),
        },
        _ => match call.integer_or(0, 1)? {
            0 => environment(call.lua, 1),
            level => {
                let function = at_level(call, level)?;
                own_environment(call.lua, &function).map_or_else(|| environment(call.lua, 1), Ok)
            }
        },
    }
}

pub(super) fn setfenv(call: &Call<'_>) -> Result<Function, Fault> {
    let environment = call.table(1)?;
    let function = match call.value(0) {
        Value::Function(function) => function.clone(),
        _ => at_level(call, call.integer(0)?)?,
    };
    if own_environment(call.lua, &function).is_none() {
        return Err(Fault::Other("'setfenv' cannot change environment of given object".into()));
    }
    function.set_environment(environment.clone())?;
    Ok(function)
}

fn at_level(call: &Call<'_>, level: i64) -> Result<Function, Fault> {
    let invalid = |problem: &str| Fault::Argument { index: 0, problem: problem.into() };
    let level = usize::try_from(level).map_err(|_| invalid("level must be non-negative"))?;
    call.lua.inspect_stack(level, |frame| frame.function()).ok_or_else(|| invalid("invalid level"))
}

/// The environment of the nearest function of the program.
fn environment(lua: &Lua, from: usize) -> Result<Table, Fault> {
    for level in from.. {
        match lua.inspect_stack(level, |frame| own_environment(lua, &frame.function())) {
            Some(Some(environment)) => return Ok(environment),
            Some(None) => {}
            None => break,
        }
    }
    Err(Fault::Other("no function environment here".into()))
}

/// The environment of a function of the program; natives and the prelude have none that a program may see.
fn own_environment(lua: &Lua, function: &Function) -> Option<Table> {
    function.environment().filter(|environment| *environment != lua.globals())
}

/// `collectgarbage`: only counts; memory is not the program's to manage.
pub(super) fn collectgarbage(call: &Call<'_>) -> Result<f64, Fault> {
    let option = if call.value(0).is_nil() { b"collect".to_vec() } else { call.text(0)?.to_vec() };
    match option.as_slice() {
        b"count" => Ok(call.lua.used_memory() as f64 / 1024.0),
        b"collect" | b"step" | b"stop" | b"restart" | b"setpause" | b"setstepmul" => Ok(0.0),
        other => {
            let problem = format!("invalid option '{}'", String::from_utf8_lossy(other));
            Err(Fault::Argument { index: 0, problem })
        }
    }
}

/// `table.concat`.
pub(super) fn concat(call: &Call<'_>) -> Result<Value, Fault> {
    let table = call.table(0)?;
    let separator = if call.value(1).is_nil() { Vec::new() } else { call.text(1)?.to_vec() };
    let (from, to) = (call.integer_or(2, 1)?, call.integer_or(3, table.raw_len() as i64)?);
    let mut result = Vec::new();
    for index in from..=to {
        let before = result.len();
        if index > from {
            result.extend_from_slice(&separator);
        }
        match table.raw_get(index)? {
            Value::String(text) => result.extend_from_slice(&text.as_bytes()),
            value => match as_number(&value) {
                Some(number) => result.extend_from_slice(number::to_text(number).as_bytes()),
                None => {
                    let problem = format!("invalid value ({}) at index {index} in table for 'concat'", value.type_name());
                    return Err(Fault::Other(problem));
                }
            },
        }
        call.meter().charge_elements(1)?;
        call.meter().charge_octets(result.len() - before)?;
        call.meter().check_string(result.len())?;
    }
    call.string(&result)
}

/// Pays for a sort of the table before it is done.
pub(super) fn charge_sort(call: &Call<'_>) -> Result<(), Fault> {
    let count = call.value(0).as_table().map_or(0, Table::raw_len) as u64;
    Ok(call.meter().charge_elements(count * u64::from(count.checked_ilog2().unwrap_or(0)))?)
}

/// `math.random` of a number at least 0 and below 1 that has been drawn.
pub(super) fn random(call: &Call<'_>, drawn: f64) -> Result<f64, Fault> {
    Ok(match call.count() {
        0 => drawn,
        1 => (drawn * call.number(0)?).floor() + 1.0,
        _ => {
            let (low, high) = (call.number(0)?, call.number(1)?);
            (drawn * (high - low + 1.0)).floor() + low
        }
    })
}

/// `os.time` over Luau's, which reads a table as UTC.
pub(super) fn time(call: &Call<'_>, luau: &Function) -> Result<Value, Fault> {
    if call.value(0).is_nil() {
        return Ok(Value::Integer(call.host.unix_time()));
    }
    Ok(luau.call(call.table(0)?)?)
}

/// `os.date` over Luau's, in UTC.
pub(super) fn date(call: &Call<'_>, luau: &Function) -> Result<Value, Fault> {
    let format = if call.value(0).is_nil() { b"%c".to_vec() } else { call.text(0)?.to_vec() };
    let time = if call.value(1).is_nil() { call.host.unix_time() } else { call.integer(1)? };
    let format = [b"!".as_slice(), &spelt_out(format.strip_prefix(b"!").unwrap_or(&format))].concat();
    call.meter().check_string(format.len())?;
    call.meter().charge_elements(format.len() as u64)?;
    Ok(luau.call((call.lua.create_string(format)?, time))?)
}

/// The conversions that C has and Luau has not, by those that both have.
fn spelt_out(format: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(format.len());
    let mut octets = format.iter();
    while let Some(&octet) = octets.next() {
        let letter = if octet == b'%' { octets.next() } else { None };
        result.extend_from_slice(match letter {
            Some(b'D') => b"%m/%d/%y",
            Some(b'F') => b"%Y-%m-%d",
            Some(b'R') => b"%H:%M",
            Some(b'T') => b"%H:%M:%S",
            Some(b'h') => b"%b",
            Some(b'n') => b"\n",
            Some(b't') => b"\t",
            Some(letter) => {
                result.push(b'%');
                result.push(*letter);
                continue;
            }
            None => {
                result.push(octet);
                continue;
            }
        });
    }
    result
}
