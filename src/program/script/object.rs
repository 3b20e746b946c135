//! Values and PowerDNS's objects, as Luau sees them.

use std::collections::HashMap;

use mlua::{
    AnyUserData, IntoLua, Lua, LuaString, MetaMethod, MultiValue, Table, UserData, UserDataMethods, UserDataRef, UserDataRefMut,
};

use crate::program::meter::Meter;
use crate::program::object::{self, Method, Object};
use crate::program::value::{DEPTH_MAX, Misuse, Room, Value};

/// An object that a program holds.
pub(super) struct Held(Object);

/// The methods of each kind of object, by name.
struct Methods(HashMap<&'static str, Table>);

/// Makes the methods of objects known to a VM.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let tables = object::METHODS.iter().map(|&(kind, methods)| Ok((kind, table_of(lua, methods)?)));
    lua.set_app_data(Methods(tables.collect::<mlua::Result<_>>()?));
    Ok(())
}

fn table_of(lua: &Lua, methods: &'static [Method]) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for method in methods {
        let call = |lua: &Lua, (mut this, arguments): (UserDataRefMut<Held>, MultiValue)| {
            let values = arguments.iter().map(value_of).collect::<mlua::Result<Vec<_>>>()?;
            lua_of(lua, method.call(&mut this.0, &values).map_err(raised)?)
        };
        table.raw_set(method.name, lua.create_function(call)?)?;
    }
    Ok(table)
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
            let methods = lua.app_data_ref::<Methods>();
            methods
                .and_then(|methods| methods.0.get(this.0.kind()).map(|table| table.raw_get(key)))
                .unwrap_or(Ok(mlua::Value::Nil))
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

/// The arguments of a native, which pays for their entries and octets.
pub(super) fn values_of(arguments: &MultiValue, meter: &Meter) -> mlua::Result<Vec<Value>> {
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let mut room = Room::new();
        values.push(convert(argument, DEPTH_MAX, &mut room)?);
        room.charge(meter).map_err(mlua::Error::external)?;
    }
    Ok(values)
}

/// One of Luau's values, as ours: tables are copied, in the order of `next`.
pub(super) fn value_of(value: &mlua::Value) -> mlua::Result<Value> {
    convert(value, DEPTH_MAX, &mut Room::new())
}

fn convert(value: &mlua::Value, depth: usize, room: &mut Room) -> mlua::Result<Value> {
    match value {
        mlua::Value::Nil => Ok(Value::Nil),
        mlua::Value::Boolean(value) => Ok(Value::Boolean(*value)),
        mlua::Value::Integer(number) => Ok(Value::Number(*number as f64)),
        mlua::Value::Number(number) => Ok(Value::Number(*number)),
        mlua::Value::String(text) => {
            let text = text.as_bytes();
            room.text(&text).ok_or_else(too_much)?;
            Ok(Value::text(text))
        }
        mlua::Value::Table(table) if depth > 0 => {
            let mut entries = Vec::new();
            table.for_each(|key: mlua::Value, value: mlua::Value| {
                room.entries(1).ok_or_else(too_much)?;
                entries.push((convert(&key, depth - 1, room)?, convert(&value, depth - 1, room)?));
                Ok(())
            })?;
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

fn too_much() -> mlua::Error {
    mlua::Error::runtime("a table that holds too much")
}
