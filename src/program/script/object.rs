//! Values and PowerDNS's objects, as Luau sees them.

use mlua::{
    AnyUserData, IntoLua, Lua, LuaString, MetaMethod, MultiValue, UserData, UserDataMethods, UserDataRef, UserDataRefMut,
};

use crate::program::object::{self, Object};
use crate::program::value::{Misuse, Value};

/// Deepest nesting of tables that a native takes.
const DEPTH_MAX: usize = 8;
/// Most entries of the tables that one call hands over.
const ENTRIES_MAX: usize = 16_384;
/// Where the table of methods is kept.
const METHODS: &str = "leeward.methods";

/// An object that a program holds.
pub(super) struct Held(Object);

/// Makes the methods of objects known to a VM.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let methods = lua.create_table()?;
    for name in object::method_names() {
        let call = move |lua: &Lua, (mut this, arguments): (UserDataRefMut<Held>, MultiValue)| {
            let unknown = || mlua::Error::runtime(format!("{} has no method '{name}'", this.0.kind()));
            let method = this.0.method(name.as_bytes()).ok_or_else(unknown)?;
            let values = arguments.iter().map(value_of).collect::<mlua::Result<Vec<_>>>()?;
            lua_of(lua, method.call(&mut this.0, &values).map_err(raised)?)
        };
        methods.set(name, lua.create_function(call)?)?;
    }
    lua.set_named_registry_value(METHODS, methods)
}

fn raised(misuse: Misuse) -> mlua::Error {
    mlua::Error::runtime(misuse)
}

impl UserData for Held {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_function(MetaMethod::Index, |lua, (this, key): (UserDataRef<Self>, LuaString)| {
            if let Some(field) = this.0.field(&key.as_bytes()) {
                return lua_of(lua, field);
            }
            if this.0.method(&key.as_bytes()).is_none() {
                return Ok(mlua::Value::Nil);
            }
            lua.named_registry_value::<mlua::Table>(METHODS)?.raw_get(key)
        });
        methods.add_meta_method_mut(MetaMethod::NewIndex, |_, this, (key, value): (LuaString, mlua::Value)| {
            this.0.set_field(&key.as_bytes(), &value_of(&value)?).map_err(raised)
        });
        methods.add_meta_function(MetaMethod::Eq, |_, (left, right): (AnyUserData, AnyUserData)| {
            let (Ok(ours), Ok(theirs)) = (left.borrow::<Self>(), right.borrow::<Self>()) else { return Ok(false) };
            Ok(ours.0.equality(&theirs.0).unwrap_or_else(|| left.to_pointer() == right.to_pointer()))
        });
        methods.add_meta_function(MetaMethod::Lt, |_, (left, right): (UserDataRef<Self>, UserDataRef<Self>)| {
            Ok(order(&left, &right)?.is_lt())
        });
        methods.add_meta_function(MetaMethod::Le, |_, (left, right): (UserDataRef<Self>, UserDataRef<Self>)| {
            Ok(order(&left, &right)?.is_le())
        });
        methods.add_meta_method(MetaMethod::ToString, |lua, this, ()| {
            lua.create_string(this.0.to_text().unwrap_or_else(|| this.0.kind().into()))
        });
    }
}

fn order(left: &Held, right: &Held) -> mlua::Result<std::cmp::Ordering> {
    let message = || format!("attempt to compare {} with {}", left.0.kind(), right.0.kind());
    left.0.order(&right.0).ok_or_else(|| mlua::Error::runtime(message()))
}

/// A value, as Luau's.
pub(super) fn lua_of(lua: &Lua, value: Value) -> mlua::Result<mlua::Value> {
    match value {
        Value::Nil => Ok(mlua::Value::Nil),
        Value::Boolean(value) => Ok(mlua::Value::Boolean(value)),
        Value::Number(number) => Ok(mlua::Value::Number(number)),
        Value::Text(text) => lua.create_string(&*text)?.into_lua(lua),
        Value::Table(entries) => {
            let table = lua.create_table_with_capacity(entries.len(), 0)?;
            for (key, value) in entries.iter() {
                table.raw_set(lua_of(lua, key.clone())?, lua_of(lua, value.clone())?)?;
            }
            Ok(mlua::Value::Table(table))
        }
        Value::Object(object) => Ok(mlua::Value::UserData(lua.create_userdata(Held(object))?)),
    }
}

/// One of Luau's values, as ours: tables are copied, in the order of `next`.
pub(super) fn value_of(value: &mlua::Value) -> mlua::Result<Value> {
    let mut entries = ENTRIES_MAX;
    convert(value, DEPTH_MAX, &mut entries)
}

fn convert(value: &mlua::Value, depth: usize, left: &mut usize) -> mlua::Result<Value> {
    match value {
        mlua::Value::Nil => Ok(Value::Nil),
        mlua::Value::Boolean(value) => Ok(Value::Boolean(*value)),
        mlua::Value::Integer(number) => Ok(Value::Number(*number as f64)),
        mlua::Value::Number(number) => Ok(Value::Number(*number)),
        mlua::Value::String(text) => Ok(Value::text(text.as_bytes())),
        mlua::Value::Table(table) if depth > 0 => {
            let mut entries = Vec::new();
            for pair in table.pairs::<mlua::Value, mlua::Value>() {
                let (key, value) = pair?;
                *left = left.checked_sub(1).ok_or_else(|| mlua::Error::runtime("a table with too many entries"))?;
                entries.push((convert(&key, depth - 1, left)?, convert(&value, depth - 1, left)?));
            }
            Ok(Value::Table(entries.into()))
        }
        mlua::Value::Table(_) => Err(mlua::Error::runtime("tables that are nested too deeply")),
        mlua::Value::UserData(held) => match held.borrow::<Held>() {
            Ok(held) => Ok(Value::Object(held.0.clone())),
            Err(_) => Err(mlua::Error::runtime("a value that no function takes")),
        },
        other => Err(mlua::Error::runtime(format!("a {} where a value must stand", other.type_name()))),
    }
}
