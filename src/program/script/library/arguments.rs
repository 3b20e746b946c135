//! The arguments of a native and what can be wrong with them, as in C's `luaL_check...`.
//!
//! Not mlua's own conversions: those take a number for text by Luau's format, and their errors name neither function nor
//! argument as Lua's do.

use std::ops::Deref;
use std::rc::Rc;

use mlua::{BorrowedBytes, Function, IntoLuaMulti, Lua, MultiValue, Table, Value};

use super::super::pattern::PatternError;
use super::Host;
use crate::program::meter::{Limit, Meter};
use crate::program::number;

/// Frames that are searched for the program's own; the library's are at most a few.
const FRAMES_MAX: usize = 8;

/// One call of a native.
pub(super) struct Call<'a> {
    pub(super) lua: &'a Lua,
    pub(super) host: &'a dyn Host,
    arguments: MultiValue,
}

/// Why a native fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{problem}")]
    Argument { index: usize, problem: String },
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(transparent)]
    Limit(#[from] Limit),
    #[error(transparent)]
    Lua(#[from] mlua::Error),
}

/// A function for programs. Its errors say `name`, and the place in the program that called it.
pub(super) fn native<R: IntoLuaMulti>(
    lua: &Lua,
    host: &Rc<dyn Host>,
    name: &'static str,
    body: impl Fn(&Call<'_>) -> Result<R, Fault> + 'static,
) -> mlua::Result<Function> {
    let host = host.clone();
    lua.create_function(move |lua, arguments: MultiValue| {
        body(&Call { lua, host: &*host, arguments }).map_err(|fault| fault.raised(lua, name))
    })
}

impl Call<'_> {
    pub(super) fn meter(&self) -> &Meter {
        self.host.meter()
    }

    pub(super) fn count(&self) -> usize {
        self.arguments.len()
    }

    /// The argument at `index`, counted from 0; `nil` where there is none.
    pub(super) fn value(&self, index: usize) -> &Value {
        self.arguments.get(index).unwrap_or(&Value::Nil)
    }

    /// The octets of a string or number.
    pub(super) fn text(&self, index: usize) -> Result<Text, Fault> {
        match self.value(index) {
            Value::String(string) => Ok(Text::Lua(string.as_bytes())),
            value => match as_number(value) {
                Some(number) => Ok(Text::Number(number::to_text(number))),
                None => Err(self.expected(index, "string")),
            },
        }
    }

    /// A number, or text that spells one.
    pub(super) fn number(&self, index: usize) -> Result<f64, Fault> {
        let spelt = |value: &Value| number::from_text(&value.as_string()?.to_str().ok()?);
        let value = self.value(index);
        as_number(value).or_else(|| spelt(value)).ok_or_else(|| self.expected(index, "number"))
    }

    /// A number's whole part.
    pub(super) fn integer(&self, index: usize) -> Result<i64, Fault> {
        Ok(self.number(index)? as i64)
    }

    pub(super) fn integer_or(&self, index: usize, default: i64) -> Result<i64, Fault> {
        if self.value(index).is_nil() { Ok(default) } else { self.integer(index) }
    }

    pub(super) fn table(&self, index: usize) -> Result<&Table, Fault> {
        self.value(index).as_table().ok_or_else(|| self.expected(index, "table"))
    }

    pub(super) fn expected(&self, index: usize, wanted: &str) -> Fault {
        let got = self.arguments.get(index).map_or("no value", Value::type_name);
        Fault::Argument { index, problem: format!("{wanted} expected, got {got}") }
    }

    /// A new string, paid for.
    pub(super) fn string(&self, octets: &[u8]) -> Result<Value, Fault> {
        self.meter().check_string(octets.len())?;
        self.meter().charge_octets(octets.len())?;
        Ok(Value::String(self.lua.create_string(octets)?))
    }
}

/// The number that `value` is.
pub(super) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// An argument that is taken as text.
pub(super) enum Text {
    Lua(BorrowedBytes),
    Number(String),
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Lua(octets) => octets,
            Self::Number(text) => text.as_bytes(),
        }
    }
}

impl Fault {
    fn raised(self, lua: &Lua, name: &str) -> mlua::Error {
        let message = match self {
            Self::Lua(mlua::Error::RuntimeError(message)) => return mlua::Error::runtime(without_trace(&message)),
            Self::Lua(error) => return error,
            Self::Limit(limit) => return mlua::Error::external(limit),
            Self::Argument { index, problem } => format!("bad argument #{} to '{name}' ({problem})", index + 1),
            Self::Other(_) | Self::Pattern(_) => self.to_string(),
        };
        mlua::Error::runtime(place(lua) + &message)
    }
}

/// A message that has come through mlua, as it was.
fn without_trace(message: &str) -> &str {
    message.split_once("\nstack traceback:\n").map_or(message, |(message, _)| message)
}

/// Where the program is, as Lua puts it before a message; the library's own frames have no lines.
fn place(lua: &Lua) -> String {
    let at = |level| {
        lua.inspect_stack(level, |frame| {
            let line = frame.current_line().filter(|line| *line > 0)?;
            Some(format!("{}:{line}: ", frame.source().short_src?))
        })
    };
    (1..FRAMES_MAX).map_while(at).flatten().next().unwrap_or_default()
}
