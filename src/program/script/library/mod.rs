//! The library of Lua 5.1 that record programs see, on Luau.
//!
//! A whitelist: what is not named here is absent, whether Luau's (`buffer`, `utf8`, `bit32`, `string.split`) or Lua's
//! (`io`, `package`, `require`, `module`, `dofile`, `loadfile`, `debug`, `jit`, `newproxy`), so a program that runs here
//! runs in PowerDNS too. Natives that could run long are ours and charge the [`Meter`]; numbers become text as in Lua
//! 5.1 (`%.14g`). Luau's natives are kept where they do the same and are bounded by what memory can hold.
//!
//! Why not `Lua::sandbox`: it makes Luau's globals read-only and fast ("safeenv"), and programs must not see those
//! globals at all. They see the table that [`install`] returns, read-only with every table in it. A fast environment
//! would also call Luau's `string.byte`, `select` or `tonumber` by number, not the functions that stand in the table.
//!
//! `getfenv` and `setfenv` are harmless with a fresh environment per run: they reach functions of the run alone. Natives
//! and the functions of the prelude have no environment to give (the caller's is shown) and none to be set.
//!
//! # What a Lua 5.1 program finds different
//!
//! Found by running the same programs under LuaJIT 2.1, which PowerDNS is built with.
//!
//! | what | here | remedy |
//! | --- | --- | --- |
//! | `io`, `package`, `require`, `module`, `debug`, `jit`, `dofile`, `loadfile`, `newproxy`, the rest of `os`, `string.dump` | absent | none: a program reaches no file, process or module |
//! | changing a library (`string.trim = function ...`) | "attempt to modify a readonly table" | keep the function in a global or local of your own |
//! | changing `getmetatable('')` | the same | call functions instead of new methods |
//! | text of errors | Luau's ("attempt to perform arithmetic (add) on table and number") | ask whether `pcall` failed, not why |
//! | strings | at most 65,536 octets | — |
//! | tail calls | count as depth; recursion ends near 20,000 calls, or where memory does | a loop |
//! | `#` of a table whose metatable has `__len` | calls it (LuaJIT ignores it) | do not set `__len` |
//! | `#` of a table with holes | another border, as any Lua may choose | no holes, or `table.maxn` |
//! | order of `next` and `pairs` past the array part | another | `ipairs`, or sort the keys |
//! | `for i = 1, 2, 0` | no turn (LuaJIT: endless) | a step |
//! | `tonumber('0b11')` | `nil`, as in PUC Lua | `tonumber('11', 2)` |
//! | `tostring` of a table, function or thread | the name of its type, not an address in memory | `__tostring` |
//! | `%.0f` and the like of exact halves | to even, as C does (LuaJIT: away from zero) | `math.floor(x + 0.5)` |
//! | `%a`, `%p` of `string.format` | absent | `%e`; `tostring` |
//! | local time | is UTC | — |
//! | `os.date` conversions | C89's and `%D %F %R %T %h %n %t`; others are errors | spell them out |
//! | `os.clock()` | 0 | `os.time()` |
//! | `math.random` without a seed | differs from run to run (LuaJIT: the same in each new state) | `math.randomseed(n)`: then as in LuaJIT |
//! | `collectgarbage` | only `"count"` does something | — |
//! | `setfenv(0, t)` | an error | `setfenv(1, t)` |
//! | levels of `getfenv` and `setfenv` above a `pcall` | one more | levels 0 and 1 |
//! | `loadstring` of bytecode | refused | source text |
//!
//! Never here: a clock, a source of chance, the state of a run; they come through [`Host`].

mod arguments;
mod base;
mod bits;
mod format;
mod text;

use std::cell::Cell;
use std::rc::Rc;

use mlua::chunk::Compiler;
use mlua::{Function, IntoLuaMulti, Lua, LuaString, Table, Value};

use self::arguments::{Call, Fault, native};
use self::bits::{Binary, Shift, Unary};
use super::random::Seeded;
use crate::program::meter::Meter;

/// Longest that `unpack`, `string.byte` and others spread a string or table over the stack, as in LuaJIT.
const SPREAD_MAX: usize = 8000;
/// What the part of the library that is Lua is compiled from.
const PRELUDE: &str = include_str!("prelude.luau");

/// What the library needs of who runs programs.
pub(super) trait Host {
    /// What the run in progress may spend.
    fn meter(&self) -> &Meter;
    /// A random number, at least 0 and below 1.
    fn random(&self) -> f64;
    /// The time of the query, in seconds since 1970.
    fn unix_time(&self) -> i64;
    /// A function from source text, to run in `environment`; or what is wrong with the text.
    fn compile(&self, lua: &Lua, code: &[u8], name: &[u8], environment: Table) -> Result<Function, String>;
    /// Takes a line that a program prints.
    fn print(&self, line: &[u8]);
}

/// What programs see.
pub(super) struct Library {
    /// The table of globals, read-only with every table in it. An environment is a copy of it, or falls back on it.
    pub(super) globals: Table,
    /// `__text(v)`: the text that `..` makes of a number, anything else as it is.
    pub(super) text: Function,
}

/// Builds the library in `lua`, whose own globals it leaves as they are, but for the metatable of strings.
pub(super) fn install(lua: &Lua, host: Rc<dyn Host>) -> mlua::Result<Library> {
    let luau = lua.globals();
    let builder = Builder { lua, host, globals: lua.create_table()? };
    builder.keep(&builder.globals, &luau, BASE)?;
    for (name, kept) in TABLES {
        let table = lua.create_table()?;
        if !kept.is_empty() {
            builder.keep(&table, &luau.get(*name)?, kept)?;
        }
        builder.globals.raw_set(*name, table)?;
    }
    builder.base()?;
    builder.string()?;
    builder.math()?;
    builder.bit()?;
    builder.os(&luau)?;
    let text = builder.prelude(&luau)?;
    builder.seal()?;
    Ok(Library { globals: builder.globals, text })
}

/// Luau's functions that do what Lua 5.1's do, in no more time than memory can hold.
const BASE: &[&str] = &[
    "assert",
    "error",
    "gcinfo",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "type",
];
/// As [`BASE`], for each table.
const TABLES: &[(&str, &[&str])] = &[
    ("bit", &[]),
    ("coroutine", &["create", "isyieldable", "running", "status", "wrap", "yield"]),
    (
        "math",
        &[
            "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod", "frexp", "huge",
            "ldexp", "log", "log10", "max", "min", "modf", "pi", "pow", "rad", "sin", "sinh", "sqrt", "tan", "tanh",
        ],
    ),
    ("os", &["difftime"]),
    ("string", &[]),
    ("table", &["foreach", "foreachi", "getn", "insert", "maxn", "move", "remove"]),
];

struct Builder<'a> {
    lua: &'a Lua,
    host: Rc<dyn Host>,
    globals: Table,
}

impl Builder<'_> {
    fn keep(&self, table: &Table, luau: &Table, names: &[&str]) -> mlua::Result<()> {
        names.iter().try_for_each(|name| table.raw_set(*name, luau.raw_get::<Value>(*name)?))
    }

    fn table(&self, name: &str) -> mlua::Result<Table> {
        self.globals.raw_get(name)
    }

    fn add<R: IntoLuaMulti>(
        &self,
        table: &Table,
        name: &'static str,
        body: impl Fn(&Call<'_>) -> Result<R, Fault> + 'static,
    ) -> mlua::Result<()> {
        self.add_as(table, name, name, body)
    }

    /// Adds what errors call by another name.
    fn add_as<R: IntoLuaMulti>(
        &self,
        table: &Table,
        key: &str,
        name: &'static str,
        body: impl Fn(&Call<'_>) -> Result<R, Fault> + 'static,
    ) -> mlua::Result<()> {
        table.raw_set(key, native(self.lua, &self.host, name, body)?)
    }

    fn base(&self) -> mlua::Result<()> {
        self.globals.raw_set("_VERSION", "Lua 5.1")?;
        self.add(&self.globals, "collectgarbage", base::collectgarbage)?;
        self.add(&self.globals, "getfenv", base::getfenv)?;
        self.add(&self.globals, "setfenv", base::setfenv)?;
        self.add(&self.globals, "loadstring", base::loadstring)?;
        self.add(&self.globals, "tonumber", base::tonumber)?;
        self.add(&self.table("table")?, "concat", base::concat)
    }

    fn string(&self) -> mlua::Result<()> {
        let string = self.table("string")?;
        self.add(&string, "byte", text::byte)?;
        self.add(&string, "char", text::char)?;
        self.add(&string, "find", text::find)?;
        self.add(&string, "len", text::len)?;
        self.add(&string, "lower", text::lower)?;
        self.add(&string, "match", text::r#match)?;
        self.add(&string, "rep", text::rep)?;
        self.add(&string, "reverse", text::reverse)?;
        self.add(&string, "sub", text::sub)?;
        self.add(&string, "upper", text::upper)?;
        let metatable = self.lua.create_table_from([("__index", &string)])?;
        metatable.set_readonly(true);
        self.lua.set_type_metatable::<LuaString>(Some(metatable));
        Ok(())
    }

    fn math(&self) -> mlua::Result<()> {
        let math = self.table("math")?;
        let seeded = Rc::new(Cell::new(None));
        let sequence = seeded.clone();
        self.add(&math, "randomseed", move |call| {
            sequence.set(Some((call.meter().run(), Seeded::new(call.number(0)?))));
            Ok(())
        })?;
        self.add(&math, "random", move |call| {
            let drawn = match seeded.get() {
                Some((run, mut sequence)) if run == call.meter().run() => {
                    let drawn = sequence.draw();
                    seeded.set(Some((run, sequence)));
                    drawn
                }
                _ => call.host.random(),
            };
            base::random(call, drawn)
        })
    }

    fn bit(&self) -> mlua::Result<()> {
        let bit = self.table("bit")?;
        let unary: [(_, Unary); 3] = [("tobit", |bits| bits), ("bnot", |bits| !bits), ("bswap", i32::swap_bytes)];
        for (name, operation) in unary {
            self.add(&bit, name, move |call| bits::unary(call, operation))?;
        }
        let folded: [(_, Binary); 3] =
            [("band", |left, right| left & right), ("bor", |left, right| left | right), ("bxor", |left, right| left ^ right)];
        for (name, operation) in folded {
            self.add(&bit, name, move |call| bits::folded(call, operation))?;
        }
        let shifted: [(_, Shift); 5] = [
            ("lshift", |bits, by| bits << by),
            ("rshift", |bits, by| ((bits as u32) >> by) as i32),
            ("arshift", |bits, by| bits >> by),
            ("rol", i32::rotate_left),
            ("ror", i32::rotate_right),
        ];
        for (name, operation) in shifted {
            self.add(&bit, name, move |call| bits::shifted(call, operation))?;
        }
        self.add(&bit, "tohex", bits::tohex)
    }

    fn os(&self, luau: &Table) -> mlua::Result<()> {
        let (os, luau) = (self.table("os")?, luau.get::<Table>("os")?);
        let (luau_time, luau_date): (Function, Function) = (luau.get("time")?, luau.get("date")?);
        self.add(&os, "clock", |_| Ok(0.0))?;
        self.add(&os, "time", move |call| base::time(call, &luau_time))?;
        self.add(&os, "date", move |call| base::date(call, &luau_date))
    }

    /// Adds what is Lua itself.
    fn prelude(&self, luau: &Table) -> mlua::Result<Function> {
        let natives = self.lua.create_table()?;
        self.add_as(&natives, "charge_sort", "sort", base::charge_sort)?;
        let luau_format: Function = luau.get::<Table>("string")?.get("format")?;
        self.add_as(&natives, "format", "format", move |call| format::format(call, &luau_format))?;
        self.add_as(&natives, "gmatch", "gmatch", text::gmatch)?;
        self.add_as(&natives, "gsub", "gsub", text::gsub)?;
        self.add_as(&natives, "gsub_text", "gsub", text::gsub_text)?;
        self.add_as(&natives, "message", "message", base::message)?;
        self.add_as(&natives, "print", "print", base::print)?;
        self.add_as(&natives, "refuse", "refuse", base::refuse)?;
        self.add_as(&natives, "scan", "gsub", text::scan)?;
        self.add_as(&natives, "take", "gmatch", text::take)?;
        self.add_as(&natives, "text", "__text", base::text)?;
        self.add_as(&natives, "unnamed", "tostring", base::unnamed)?;
        let compiler = Compiler::new().set_debug_level(0);
        self.lua.load(PRELUDE).set_name("=prelude").set_compiler(compiler).call::<()>((&self.globals, &natives))?;
        natives.raw_get("text")
    }

    fn seal(&self) -> mlua::Result<()> {
        for (name, _) in TABLES {
            self.table(name)?.set_readonly(true);
        }
        self.globals.set_readonly(true);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
