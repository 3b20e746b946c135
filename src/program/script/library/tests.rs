//! What programs find here, beside what LuaJIT 2.1 gave for the same text (`luajit`, Debian 12).

use std::cell::RefCell;
use std::rc::Rc;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaString, MultiValue, Table};

use super::{Host, Library, install};
use crate::program::number;

use crate::program::meter::Meter;

struct Desk {
    meter: Meter,
    printed: RefCell<Vec<u8>>,
}

impl Host for Desk {
    fn meter(&self) -> &Meter {
        &self.meter
    }

    fn random(&self) -> f64 {
        0.5
    }

    fn unix_time(&self) -> i64 {
        1_600_000_000
    }

    fn compile(&self, lua: &Lua, code: &[u8], name: &[u8], environment: Table) -> Result<Function, String> {
        let chunk = lua.load(code).set_name(String::from_utf8_lossy(name)).set_mode(ChunkMode::Text);
        chunk.set_environment(environment).into_function().map_err(|error| error.to_string())
    }

    fn print(&self, line: &[u8]) {
        self.printed.borrow_mut().extend_from_slice(line);
    }
}

struct Bench {
    lua: Lua,
    desk: Rc<Desk>,
    library: Library,
}

impl Bench {
    fn new() -> Self {
        let lua = Lua::new();
        let desk = Rc::new(Desk { meter: Meter::new(), printed: RefCell::default() });
        desk.meter.begin(1000);
        let library = install(&lua, desk.clone()).unwrap();
        let meter = desk.clone();
        lua.set_interrupt(move |_| meter.meter.charge(1).map(|()| mlua::VmState::Continue).map_err(mlua::Error::external));
        Self { lua, desk, library }
    }

    fn environment(&self) -> Table {
        let environment = self.lua.create_table().unwrap();
        self.library.globals.for_each(|key: LuaString, value: mlua::Value| environment.raw_set(key, value)).unwrap();
        environment.raw_set("_G", &environment).unwrap();
        environment.raw_set("__text", &self.library.text).unwrap();
        environment
    }

    fn run(&self, code: &str, steps: u64) -> mlua::Result<MultiValue> {
        let chunk = self.lua.load(code).set_name("=chunk").set_environment(self.environment()).into_function()?;
        self.desk.meter.begin(steps);
        chunk.call(())
    }

    /// The results as `tostring` shows them; `error` if the run fails.
    fn shown(&self, code: &str) -> String {
        let results = self.run(code, 200_000);
        self.desk.meter.begin(1000);
        let Ok(results) = results else { return "error".into() };
        let tostring: Function = self.library.globals.get("tostring").unwrap();
        let shown = |value| escaped(&tostring.call::<LuaString>(value).unwrap().as_bytes());
        results.into_iter().map(shown).collect::<Vec<_>>().join(" | ")
    }
}

fn escaped(octets: &[u8]) -> String {
    let shown =
        |octet: &u8| if (b' '..=b'~').contains(octet) { char::from(*octet).to_string() } else { format!("\\x{octet:02x}") };
    octets.iter().map(shown).collect()
}

#[test]
fn programs_find_what_they_find_in_luajit() {
    for (code, wanted) in AGREED {
        assert_eq!(Bench::new().shown(code), *wanted, "{code}");
    }
}

#[test]
fn differences_are_those_that_are_told() {
    for (code, luajit, here) in DIFFERENT {
        assert_eq!(Bench::new().shown(code), *here, "{code}");
        assert_ne!(luajit, here, "{code}");
    }
}

#[test]
fn only_what_is_listed_is_there() {
    let list =
        "local names = {} for name in pairs(%) do names[#names + 1] = name end table.sort(names) return table.concat(names, ' ')";
    let cases = [
        (
            "_G",
            "_G _VERSION __text assert bit collectgarbage coroutine error gcinfo getfenv getmetatable ipairs load loadstring math next os \
             pairs pcall print rawequal rawget rawset select setfenv setmetatable string table tonumber tostring type unpack xpcall",
        ),
        ("string", "byte char find format gmatch gsub len lower match rep reverse sub upper"),
        ("table", "concat foreach foreachi getn insert maxn move remove sort"),
        (
            "math",
            "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min modf pi pow rad random \
             randomseed sin sinh sqrt tan tanh",
        ),
        ("os", "clock date difftime time"),
        ("coroutine", "create isyieldable resume running status wrap yield"),
        ("bit", "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex"),
    ];
    for (table, names) in cases {
        assert_eq!(Bench::new().shown(&list.replace('%', table)), names, "{table}");
    }
}

#[test]
fn no_run_changes_the_library() {
    let poisons = [
        "string.find = nil",
        "math.pi = 3",
        "table.x = 1",
        "getmetatable('').__index = {}",
        "rawset(string, 'x', 1)",
        "setmetatable(string, {})",
        "setfenv(print, {})",
        "setfenv(pcall, {})",
        "setfenv(string.gmatch('x', 'x'), {})",
        "setfenv(tostring, {})",
    ];
    for poison in poisons {
        assert!(Bench::new().run(poison, 1000).is_err(), "{poison}");
    }
}

#[test]
fn environments_are_the_programs_own() {
    let bench = Bench::new();
    let luau = bench.lua.globals();
    for code in [
        "return getfenv(0)",
        "return getfenv(print)",
        "return getfenv(tostring)",
        "return getfenv(string.gmatch('', ''))",
        "return select(2, pcall(getfenv, 3))",
        "return loadstring('return getfenv()')()",
        "return getfenv(coroutine.wrap(print))",
    ] {
        let found = bench.run(code, 1000).unwrap();
        let table = found.front().and_then(mlua::Value::as_table).unwrap_or_else(|| panic!("{code}"));
        assert!(*table != luau && table.contains_key("_G").unwrap(), "{code}");
    }
}

#[test]
fn numbers_become_text_as_in_lua() {
    let bench = Bench::new();
    for number in [0.1, 1.0 / 3.0, 1e15, -0.0, 42.0, f64::INFINITY] {
        let text: LuaString = bench.library.text.call(number).unwrap();
        assert_eq!(text.to_string_lossy(), number::to_text(number));
    }
    assert_eq!(bench.library.text.call::<mlua::Value>(true).unwrap(), mlua::Value::Boolean(true));
}

#[test]
fn the_host_is_asked() {
    let bench = Bench::new();
    assert_eq!(bench.shown("print('a', 1e15, nil) return math.random(), math.random(10), os.time()"), "0.5 | 6 | 1600000000");
    assert_eq!(*bench.desk.printed.borrow(), b"a\t1e+15\tnil");
    assert_eq!(bench.shown("math.randomseed(42) return math.random()"), "0.95607928791821");
    assert_eq!(bench.shown("return math.random()"), "0.5", "a seed is its run's");
    assert_eq!(bench.shown("return os.date('%F %T'), os.date('!%H', 3600)"), "2020-09-13 12:26:40 | 01");
}

#[test]
fn a_limit_cannot_be_caught() {
    let programs = [
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "local f f = function() pcall(f) pcall(f) end f()",
        "while true do pcall(string.rep) end",
        "pcall(string.find, ('a'):rep(5000), ('.-'):rep(30) .. 'b') return 1",
        "local s = ('x'):rep(1000) while true do s:gsub('.', '%0%0') end",
        "while true do pcall(string.rep, 'x', 1e9) end",
        "local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) return ('%s'):format(t) end while true do pcall(tostring, t) end",
        "while true do local s = ('x'):rep(6e4):gsub('', '') end",
        "local t = {} for i = 1, 900 do t[i] = i % 7 end while true do table.sort(t) end",
        "while true do string.format('%99d', 1) end",
        "while true do ('x'):rep(6e4):reverse():upper() end",
    ];
    for code in programs {
        let bench = Bench::new();
        assert!(bench.run(code, 1000).is_err(), "{code}");
        assert!(bench.desk.meter.ended().is_some(), "{code}");
    }
}

#[test]
fn strings_are_bounded() {
    let programs = [
        "return ('x'):rep(2^16 + 1)",
        "return ('x'):rep(2^53, 'y')",
        "return table.concat({('x'):rep(2^15), ('y'):rep(2^15), 'z'})",
        "return (('x'):rep(2000):gsub('x', ('y'):rep(1000)))",
        "return ('%s%s%s'):format(('x'):rep(2^15), ('x'):rep(2^15), 'x')",
        "return __text(('x'):rep(2^16) .. 'x')",
    ];
    for code in programs {
        let error = Bench::new().run(code, 1_000_000).unwrap_err().to_string();
        assert!(error.contains("a string is longer"), "{code}: {error}");
    }
    assert_eq!(Bench::new().shown("return #('x'):rep(2^16)"), "65536");
}

/// Program, and what LuaJIT gives.
const AGREED: &[(&str, &str)] = &[
    (
        "return tostring(42), tostring(1.5), tostring(0.1), tostring(1e15), tostring(123456789012345678), tostring(-0)",
        "42 | 1.5 | 0.1 | 1e+15 | 1.2345678901235e+17 | -0",
    ),
    (
        "return tostring(1/3), tostring(2^53), tostring(1e100), tostring(1e-5), tostring(math.huge), tostring(-math.huge)",
        "0.33333333333333 | 9.007199254741e+15 | 1e+100 | 1e-05 | inf | -inf",
    ),
    ("return tostring(0/0 ~= 0/0), tostring(nil), tostring(true), tostring('x')", "true | nil | true | x"),
    ("return tostring(setmetatable({}, {__tostring = function() return 'me' end}))", "me"),
    ("return (pcall(tostring))", "false"),
    (
        "return tonumber('0x10'), tonumber('10', 2), tonumber(' 1 '), tonumber('1e1'), tonumber('.5'), tonumber('5.')",
        "16 | 2 | 1 | 10 | 0.5 | 5",
    ),
    (
        "return tonumber('ff', 16), tonumber('zz', 36), tonumber('8', 8), tonumber('', 10), tonumber('10', 10), tonumber('7', 8)",
        "255 | 1295 | nil | nil | 10 | 7",
    ),
    ("return tonumber(nil), tonumber(true), tonumber({}), tonumber(5)", "nil | nil | nil | 5"),
    (r"return tonumber('1\0')", "nil"),
    ("return tonumber('inf'), tonumber('nan') ~= tonumber('nan'), tonumber('infinity')", "inf | true | inf"),
    (
        "return tonumber('0x1p4'), tonumber('-0x10'), tonumber('+5'), tonumber('- 5'), tonumber('1_000')",
        "16 | -16 | 5 | nil | nil",
    ),
    ("return (pcall(tonumber, '1', 1))", "false"),
    ("return (pcall(tonumber, '1', 37))", "false"),
    ("return tonumber('ffffffffffffffff', 16), tonumber('1e1', 16), tonumber('-ff', 16)", "1.844674407371e+19 | 481 | -255"),
    (
        "return tostring({}), tostring(print), tostring(coroutine.create(print)), ('%s'):format({})",
        "table | function | thread | table",
    ),
    ("return tostring(setmetatable({}, {__tostring = function() return 'own' end, __metatable = 'x'}))", "own"),
    ("return 10 + '5', '0x10' + 0, ' 5 ' * '2', 10 .. ''", "15 | 16 | 10 | 10"),
    ("return (pcall(function() return 'a' + 1 end))", "false"),
    (r#"return 1 < 2, 'a' < 'b', 'Z' < 'a', 'a' < 'aa', '' < 'a', 'a\0b' < 'a\0c'"#, "true | true | true | true | true | true"),
    ("return (pcall(function() return 1 < '2' end))", "false"),
    ("return 7 % 3, -7 % 3, 7 % -3, -7 % -3, 5.5 % 2, 5 % math.huge, -5 % math.huge", "1 | 2 | -2 | -1 | 1.5 | nan | nan"),
    ("return 2 ^ 10, 2 ^ 0.5, (-2) ^ 2, -2 ^ 2, 7 / 2, 1 / 0, -1 / 0", "1024 | 1.4142135623731 | 4 | -4 | 3.5 | inf | -inf"),
    (r#"return #'abc', #{1, 2, 3}, #{}, #'', #'a\0b'"#, "3 | 3 | 0 | 0 | 3"),
    ("return select('#'), select('#', nil, nil), select(2, 'a', 'b', 'c'), select(-1, 'a', 'b')", "0 | 2 | b | b"),
    ("return (pcall(select, 0))", "false"),
    ("return unpack({1, 2, 3}), unpack({1, 2, 3}, 2), (unpack({1, 2}, 1, 1))", "1 | 2 | 1"),
    ("return unpack({1, nil, 3}, 1, 3)", "1 | nil | 3"),
    ("return rawequal('a', 'a'), rawequal({}, {}), rawget({5}, 1), rawset({}, 'a', 1).a", "true | false | 5 | 1"),
    ("return next({}), next({5}), pcall(next, {}, 'nokey')", "nil | 1 | false | invalid key to 'next'"),
    ("local t = {} for i, v in ipairs({1, 2, nil, 4}) do t[#t + 1] = i * 10 + v end return unpack(t)", "11 | 22"),
    ("local s = 0 for k, v in pairs({1, 2, 3, x = 4}) do s = s + v end return s", "10"),
    (
        "return getmetatable('').__index == string, getmetatable({}), getmetatable(setmetatable({}, {__metatable = 'no'}))",
        "true | nil | no",
    ),
    ("return pcall(setmetatable, setmetatable({}, {__metatable = 'no'}), {})", "false | cannot change a protected metatable"),
    ("return (pcall(setmetatable, 1, {}))", "false"),
    ("return setmetatable({}, {__index = {a = 1}}).a, setmetatable({}, {__index = function(t, k) return k end}).z", "1 | z"),
    ("local t = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, v * 2) end}) t.a = 2 return t.a", "4"),
    ("local t = setmetatable({}, {__call = function(self, a, b) return a, b end}) return t(1, 2)", "1 | 2"),
    (
        "local m = {__add = function(a, b) return 'add' end, __concat = function() return 'cat' end, __unm = function() return 'neg' end} local t = setmetatable({}, m) return t + 1, 1 + t, -t, t .. 'x', 'x' .. t",
        "add | add | neg | cat | cat",
    ),
    (
        "local m = {__eq = function() return true end, __lt = function() return true end, __le = function() return false end} local a, b = setmetatable({}, m), setmetatable({}, m) return a == b, a < b, a <= b, a ~= b, a > b",
        "true | true | false | false | true",
    ),
    (
        "local m = {__lt = function() return false end} local a, b = setmetatable({}, m), setmetatable({}, m) return pcall(function() return a <= b end)",
        "true | true",
    ),
    ("return pcall(error, 'x', 0)", "false | x"),
    ("local ok, e = pcall(error, {code = 7}) return ok, e.code", "false | 7"),
    ("return pcall(function() error('at', 0) end)", "false | at"),
    ("return select('#', pcall(function() end)), pcall(function() return 1, 2 end)", "1 | true | 1 | 2"),
    ("return assert(1, 2), pcall(assert, false), pcall(assert, nil, 'why')", "1 | false | false | why"),
    ("return (pcall(assert))", "false"),
    ("return xpcall(function() error('x', 0) end, function(e) return e .. '!' end)", "false | x!"),
    ("return xpcall(function(...) return ... end, print, 1, 2)", "true | 1 | 2"),
    ("return pcall(pcall), pcall(pcall, error)", "false | true | false | nil"),
    ("return loadstring('return 1 + 1')(), type(loadstring('syntax error here')), loadstring('return ...')(5)", "2 | nil | 5"),
    ("local f, e = loadstring('x =') return f, type(e)", "nil | string"),
    ("local parts, i = {'return ', '7', nil}, 0 return load(function() i = i + 1 return parts[i] end)()", "7"),
    ("x = 5 return getfenv(1).x, getfenv().x, getfenv(0).x, getfenv(function() end).x", "5 | 5 | 5 | 5"),
    ("local f = function() return y end setfenv(f, {y = 3}) return f(), getfenv(f).y", "3 | 3"),
    ("return (pcall(setfenv, print, {}))", "false"),
    ("return (pcall(getfenv, -1)), (pcall(getfenv, 100)), getfenv(print) == getfenv(1)", "false | false | true"),
    (
        "return type(collectgarbage('count')), collectgarbage(), collectgarbage('step') ~= nil, type(gcinfo())",
        "number | 0 | true | number",
    ),
    ("return (pcall(collectgarbage, 'nonsense'))", "false"),
    ("return _VERSION, type(_G)", "Lua 5.1 | table"),
    (
        "return ('abc'):byte(), ('abc'):byte(2), ('abc'):byte(1, 3), ('abc'):byte(-1), ('abc'):byte(10), ('abc'):byte(0)",
        "97 | 98 | 97 | 99 | nil",
    ),
    ("return string.char(), string.char(72, 105), #string.char(0, 255)", " | Hi | 2"),
    ("return (pcall(string.char, 256))", "false"),
    ("return (pcall(string.char, -1))", "false"),
    (
        "return ('hello'):sub(2), ('hello'):sub(2, 3), ('hello'):sub(-3), ('hello'):sub(-3, -2), ('hello'):sub(0), ('hello'):sub(4, 2), ('hello'):sub(-100, 100)",
        "ello | el | llo | ll | hello |  | hello",
    ),
    (
        "return ('ab'):rep(3), ('ab'):rep(0), ('ab'):rep(-1), ('x'):rep(3, ','), (''):rep(5), ('x'):rep(1, ',')",
        "ababab |  |  | x,x,x |  | x",
    ),
    ("return ('abc'):reverse(), ('aBc'):upper(), ('AbC'):lower(), ('abc'):len(), (''):reverse()", "cba | ABC | abc | 3 | "),
    ("return string.len(12345), string.rep(1.5, 2), string.upper(1e15), string.sub(0.1, 1, 10)", "5 | 1.51.5 | 1E+15 | 0.1"),
    ("return (pcall(string.len)), (pcall(string.rep, 'x'))", "false | false"),
    ("return (pcall(string.len, nil))", "false"),
    ("return (pcall(string.len, {}))", "false"),
    ("return (pcall(string.sub))", "false"),
    ("return (pcall(('x').rep, 'x', {}))", "false"),
    (
        "return ('hello world'):find('o w'), ('hello'):find('l'), ('hello'):find('l', 4), ('hello'):find('xyz'), ('hello'):find('')",
        "5 | 3 | 4 | nil | 1 | 0",
    ),
    (
        "return ('a.b'):find('.', 1, true), ('a.b'):find('%.'), ('abc'):find('', 10), ('abc'):find('c', -1), ('abc'):find('a', -100), (''):find('')",
        "2 | 2 | 4 | 3 | 1 | 1 | 0",
    ),
    ("return ('a+b'):find('+', 1, true), ('abc'):find('(b)(c)'), ('abc'):find('()b()')", "2 | 2 | 2 | 2 | 2 | 3"),
    (
        "return ('key=value'):match('(%w+)=(%w+)'), ('abc'):match('b'), ('abc'):match('x'), ('abc'):match('^b'), ('abc'):match('()b')",
        "key | b | nil | nil | 2",
    ),
    ("return ('192.0.2.1'):match('^(%d+)%.(%d+)%.(%d+)%.(%d+)$')", "192 | 0 | 2 | 1"),
    ("return (pcall(string.match, 'x', '[a'))", "false"),
    ("return (pcall(string.find, 'x', '('))", "false"),
    ("return (pcall(string.gsub, 'x', 'x', '%2'))", "false"),
    ("return (pcall(string.gsub, 'x', 'x'))", "false"),
    ("return (pcall(string.gsub, 'x', 'x', true))", "false"),
    ("local t = {} for w in ('one two  three'):gmatch('%a+') do t[#t + 1] = w end return table.concat(t, ',')", "one,two,three"),
    (
        "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[#t + 1] = k .. v end return table.concat(t, ';')",
        "a1;b2",
    ),
    ("local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n", "4"),
    ("local t = {} for p in ('abc'):gmatch('()') do t[#t + 1] = p end return unpack(t)", "1 | 2 | 3 | 4"),
    ("local t = {} for w in ('^a^a'):gmatch('^a') do t[#t + 1] = w end return #t", "2"),
    (
        "return ('hello'):gsub('l', 'L'), ('hello'):gsub('l', 'L', 1), ('hello'):gsub('x', 'y'), ('hello'):gsub('', '-'), ('hello'):gsub('l', 'L', 0)",
        "heLLo | heLlo | hello | -h-e-l-l-o- | hello | 0",
    ),
    (
        "return ('hello world'):gsub('(%w+)', '<%1>'), ('hello'):gsub('l', '%0%0'), ('abc'):gsub('%w', '%%'), ('abc'):gsub('b', '%1')",
        "<hello> <world> | hellllo | %%% | abc | 1",
    ),
    (
        "return ('abc'):gsub('%w*', 'x'), ('abc def'):gsub('^%w', 'x'), ('aaa'):gsub('^a', 'b'), ('abc'):gsub('b*', '-')",
        "xx | xbc def | baa | -a--c- | 4",
    ),
    (
        "return ('hello'):gsub('.', {h = 'H', l = 1, o = false}), ('$name is $age'):gsub('%$(%w+)', {name = 'bob', age = 42})",
        "He11o | bob is 42 | 2",
    ),
    (
        "return ('hello'):gsub('l', function(c) return c:upper() end), ('abc'):gsub('%w', function() end), ('abc'):gsub('(a)(b)', function(x, y) return y .. x end)",
        "heLLo | abc | bac | 1",
    ),
    (
        "return ('abc'):gsub('()', function(p) return p end), ('abc'):gsub('', function() return '.' end), ('abc'):gsub('^', '>')",
        "1a2b3c4 | .a.b.c. | >abc | 1",
    ),
    ("return (pcall(string.gsub, 'abc', 'b', function() return {} end))", "false"),
    ("return (pcall(string.gsub, 'abc', 'b', {b = {}}))", "false"),
    ("local ok, e = pcall(string.gsub, 'abc', 'b', function() error({code = 3}) end) return ok, e.code", "false | 3"),
    ("return ('x'):gsub('x', '%a'), ('x'):gsub('x', 'a%'), ('a b'):gsub('%s', '%%20')", r#"a | a\x00 | a%20b | 1"#),
    ("return ('abc'):gsub('b', 5), ('abc'):gsub('%w', 1.5, 2)", "a5c | 1.51.5c | 2"),
    ("return string.gsub('abc', 'b', 'x', -1), string.gsub('a.b.c', '%.', '')", "abc | abc | 2"),
    ("return string.format('%d %i %5d|%-5d|%05d|%+d', 1, 2, 3, 4, 5, 6)", "1 2     3|4    |00005|+6"),
    (
        "return string.format('%d', 3.7), string.format('%d', -3.7), string.format('%d', '10'), string.format('%d', 2^31), string.format('%d', -2^40)",
        "3 | -3 | 10 | 2147483648 | -1099511627776",
    ),
    (
        "return string.format('%x %X %#x %o %u', 255, 255, 255, 8, 42), string.format('%x', -1), string.format('%08x', 4294967295)",
        "ff FF 0xff 10 42 | ffffffffffffffff | ffffffff",
    ),
    ("return string.format('%c%c', 72, 105), string.format('%5c|%-3c|', 65, 66), #string.format('%c', 0)", "Hi |     A|B  | | 1"),
    (
        "return string.format('%s %s %s', 'a', 1, 1.5), string.format('%5s|%-5s|%.2s|', 'ab', 'ab', 'abc'), string.format('%s', 1e15)",
        "a 1 1.5 |    ab|ab   |ab| | 1e+15",
    ),
    (
        "return string.format('%s %s', true, nil), string.format('%s', setmetatable({}, {__tostring = function() return 'obj' end}))",
        "true nil | obj",
    ),
    (
        "return string.format('%f %.2f %8.3f|%-8.1f|%e %.3e %g %G', 1.5, 1.005, 3.14159, 2.5, 12345.678, 0.00012, 1e20, 1e-10)",
        "1.500000 1.00    3.142|2.5     |1.234568e+04 1.200e-04 1e+20 1E-10",
    ),
    ("return string.format('%g %g %g %.14g %.3g', 100000, 1000000, 0.1, 0.1, 1234.5)", "100000 1e+06 0.1 0.1 1.23e+03"),
    (
        r#"return string.format('%q', 'a"b\\c\nd'), string.format('%q', 'a\0b\r1'), string.format('%q', 'tab\t'), string.format('%q', '\1272')"#,
        r#""a\"b\\c\\x0ad" | "a\0b\0131" | "tab\9" | "\1272""#,
    ),
    ("return (pcall(string.format, '%d'))", "false"),
    ("return (pcall(string.format, '%d', 'x'))", "false"),
    ("return (pcall(string.format, '%y', 1))", "false"),
    ("return (pcall(string.format, '%123d', 1))", "false"),
    ("return (pcall(string.format, '%', 1))", "false"),
    (
        "return string.format('%.3d|%5.3d|%-6.2d|', 5, 5, 5), string.format('%.20s|', 'abc'), string.format('%10.4s|', 'abcdefgh')",
        "005|  005|05    | | abc| |       abcd|",
    ),
    ("return string.format('%f', math.huge), string.format('%g', -math.huge), string.format('%5.1f', 1/0)", "inf | -inf |   inf"),
    (
        "return string.format('%s', 0.1), string.format('%s', 100), string.format('%s', -0.0), string.format('%.3s', 12345)",
        "0.1 | 100 | -0 | 123",
    ),
    (
        "return table.concat({1, 2, 3}), table.concat({'a', 'b'}, ','), table.concat({1, 2, 3}, '-', 2), table.concat({1, 2, 3}, '-', 2, 2), table.concat({}), table.concat({1.5, 1e15}, ' ')",
        "123 | a,b | 2-3 | 2 |  | 1.5 1e+15",
    ),
    ("return (pcall(table.concat, {1, {}, 3}))", "false"),
    ("return (pcall(table.concat, {1, nil, 3}, ',', 1, 3))", "false"),
    (
        "local t = {1, 2, 3} table.insert(t, 4) table.insert(t, 1, 0) table.insert(t, 3, 1.5) return unpack(t)",
        "0 | 1 | 1.5 | 2 | 3 | 4",
    ),
    ("return pcall(table.insert, {}, 1, 2, 3)", "false | wrong number of arguments to 'insert'"),
    ("return pcall(table.insert, {1}, nil)", "true"),
    (
        "local t = {1, 2, 3} return table.remove(t), table.remove(t, 1), #t, t[1], table.remove({}), select('#', table.remove({}))",
        "3 | 1 | 1 | 2 | nil | 0",
    ),
    ("local t = {1, 2, 3} return table.remove(t, 7), #t, table.remove(t, 4)", "nil | 3"),
    ("local t = {3, 1, 2} table.sort(t) return unpack(t)", "1 | 2 | 3"),
    ("local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return unpack(t)", "3 | 2 | 1"),
    ("local t = {'b', 'a', 'C'} table.sort(t) return unpack(t)", "C | a | b"),
    ("return (pcall(table.sort, {1, 'a'}))", "false"),
    ("return table.maxn({1, 2, [10] = 3}), table.maxn({}), table.getn({1, 2}), table.setn == nil", "10 | 0 | 2 | true"),
    (
        "local t = {} table.foreach({a = 1}, function(k, v) t[k] = v end) table.foreachi({5, 6}, function(i, v) t[i] = v end) return t.a, t[1], t[2]",
        "1 | 5 | 6",
    ),
    ("return table.foreach({1, 2, 3}, function(k, v) if v == 2 then return 'found' end end)", "found"),
    ("return unpack(table.move({1, 2, 3}, 1, 3, 2))", "1 | 1 | 2 | 3"),
    (
        "return math.abs(-5), math.ceil(1.2), math.floor(-1.2), math.max(1, 5, 3), math.min(2, 1), math.sqrt(16), math.pi",
        "5 | 2 | -2 | 5 | 1 | 4 | 3.1415926535898",
    ),
    (
        "return math.fmod(7, 3), math.fmod(-7, 3), math.fmod(7, -3), math.modf(3.7), math.modf(-3.7), math.pow(2, 8)",
        "1 | -1 | 1 | 3 | -3 | 256",
    ),
    (
        "return math.log10(1000), math.log(math.exp(1)), math.ldexp(1, 4), math.frexp(8), math.log(8, 2), math.mod == nil",
        "3 | 1 | 16 | 0.5 | 3 | true",
    ),
    (
        "return math.sin(0), math.cos(0), math.tan(0), math.asin(0), math.acos(1), math.atan(0), math.atan2(0, 1), math.sinh(0), math.cosh(0), math.tanh(0), math.deg(math.pi), math.rad(180)",
        "0 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | 180 | 3.1415926535898",
    ),
    ("return (pcall(math.floor, 'x'))", "false"),
    ("return math.floor('3.7'), math.max('10', 9), math.huge", "3 | 10 | inf"),
    ("return (pcall(math.max))", "false"),
    ("return (pcall(math.abs))", "false"),
    (
        "math.randomseed(42) return math.random(), math.random(10), math.random(5, 6), math.random(1, 100)",
        "0.95607928791821 | 1 | 6 | 44",
    ),
    (
        "math.randomseed(7) local a = math.random(1000) math.randomseed(7) return a == math.random(1000), math.random(0), math.random(1, 1)",
        "true | 1 | 1",
    ),
    (
        "return os.time({year = 2020, month = 1, day = 1, hour = 0}), os.time({year = 2020, month = 2, day = 30}), os.time({year = 2021, month = 12, day = 31, hour = 23, min = 59, sec = 60})",
        "1577836800 | 1583064000 | 1640995200",
    ),
    ("return pcall(os.time, {year = 2020})", "false | field 'day' missing in date table"),
    (
        "return os.date('!%Y-%m-%d %H:%M:%S', 0), os.date('!%c', 0), os.date('!%x %X %p %A %B %j', 86400), os.date('%H', 0)",
        "1970-01-01 00:00:00 | Thu Jan  1 00:00:00 1970 | 01/02/70 00:00:00 AM Friday January 002 | 00",
    ),
    (
        "return os.date('!%F %T %D %R', 1e9), os.date('!*t', 0).year, os.date('*t', 86400).day, os.date('!%%', 0), os.date('!x%', 0)",
        "2001-09-09 01:46:40 09/09/01 01:46 | 1970 | 2 | % | x%",
    ),
    ("return os.difftime(10, 5), type(os.time()), type(os.date()), type(os.clock())", "5 | number | string | number"),
    (
        "local t = os.date('!*t', 1600000000) return t.year, t.month, t.day, t.hour, t.min, t.sec, t.wday, t.yday, t.isdst",
        "2020 | 9 | 13 | 12 | 26 | 40 | 1 | 257 | false",
    ),
    (
        "local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end) local _, x = coroutine.resume(co, 1) local _, y = coroutine.resume(co, 5) return x, y, coroutine.status(co), coroutine.resume(co)",
        "2 | 10 | dead | false | cannot resume dead coroutine",
    ),
    ("local f = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) return f(), f(), f()", "1 | 2 | 3"),
    ("local co = coroutine.create(function() error('oops', 0) end) return coroutine.resume(co)", "false | oops"),
    (
        "local co = coroutine.create(function() error({code = 1}) end) local ok, e = coroutine.resume(co) return ok, e.code, coroutine.status(co)",
        "false | 1 | dead",
    ),
    ("local co = coroutine.wrap(function() pcall(function() coroutine.yield(1) end) return 2 end) return co(), co()", "1 | 2"),
    ("local co = coroutine.wrap(function() return pcall(string.rep) end) return (co())", "false"),
    ("return (pcall(coroutine.resume, 5))", "false"),
    ("return pcall(coroutine.wrap(function() error('in', 0) end))", "false | in"),
    ("return coroutine.running()", "nil"),
    ("return (pcall(coroutine.yield))", "false"),
    (
        "local co co = coroutine.create(function() return coroutine.status(co), type(coroutine.running()) end) return coroutine.resume(co)",
        "true | running | thread",
    ),
    (
        "return bit.tobit(0xffffffff), bit.tobit(2^32), bit.tobit(-1), bit.tobit(2^31), bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-1.5)",
        "-1 | 0 | -1 | -2147483648 | 2 | 2 | -2",
    ),
    (
        "return bit.band(0xff, 0x0f), bit.bor(1, 2, 4), bit.bxor(5, 3), bit.bnot(0), bit.band(-1, 0x7fffffff), bit.band(5)",
        "15 | 7 | 6 | -1 | 2147483647 | 5",
    ),
    (
        "return bit.lshift(1, 31), bit.lshift(1, 32), bit.rshift(-1, 24), bit.arshift(-256, 4), bit.rshift(-1, 0), bit.lshift(1, -1)",
        "-2147483648 | 1 | 255 | -16 | -1 | -2147483648",
    ),
    (
        "return bit.rol(0x12345678, 8), bit.ror(0x12345678, 8), bit.bswap(0x12345678), bit.rol(1, 33)",
        "878082066 | 2014458966 | 2018915346 | 2",
    ),
    (
        "return bit.tohex(255), bit.tohex(255, 2), bit.tohex(-1), bit.tohex(255, -4), bit.tohex(0x12345678, 4), bit.tohex(1, 0)",
        "000000ff | ff | ffffffff | 00FF | 5678 | ",
    ),
    ("return (pcall(bit.band))", "false"),
    ("return (pcall(bit.band, 'x'))", "false"),
    ("return bit.band('0xff', '15'), bit.tobit(4294967296 + 5), bit.tobit(1e15)", "15 | 5 | -1530494976"),
    ("local function f(...) return select('#', ...), ... end return f(nil, nil)", "2 | nil | nil"),
    ("local function f(...) local a, b = ... return a, b, #{...} end return f(1, 2, 3)", "1 | 2 | 3"),
    ("local t = {n = 0, [1] = 'a', 'b'} return t[1]", "b"),
    ("return not nil, nil == false, 0 == false, '' == false, 1 == 1.0, '1' == 1", "true | false | false | false | true | false"),
    ("return (function() return 1, 2 end)(), ((function() return 1, 2 end)())", "1 | 1"),
    ("for i = 3, 1, -1 do if i == 2 then return i end end", "2"),
    ("local n = 0 for i = 1, 0 do n = n + 1 end for i = 1, 2, 0.5 do n = n + 1 end return n", "3"),
    ("return (pcall(function() for i = 'a', 2 do end end))", "false"),
    ("local i = 0 repeat local j = i i = i + 1 until j >= 2 return i", "3"),
    ("local t = {} for i = 1, 3 do t[i] = function() return i end end return t[1](), t[2](), t[3]()", "1 | 2 | 3"),
    (
        r#"return '\65\066\x41\z', '\n' == '\10', [[
x]] == 'x', "a\
b" == 'a\nb'"#,
        "ABA | true | true | true",
    ),
    (
        "return [==[a]]b]==], #[[
]]",
        "a]]b | 0",
    ),
    ("return (pcall(function() return nil .. 'x' end))", "false"),
    ("return (pcall(function() local t = nil; return t.x end))", "false"),
    ("return (pcall(function() undefinedfunction() end))", "false"),
    ("return pcall(function() return #5 end)", "false | chunk:1: attempt to get length of a number value"),
    ("return (pcall(function() return {} + 1 end))", "false"),
    ("return (pcall(function() return {} < {} end))", "false"),
    ("return pcall(function() local t = {} t[nil] = 1 end)", "false | chunk:1: table index is nil"),
    ("return pcall(function() local t = {} t[0/0] = 1 end)", "false | chunk:1: table index is NaN"),
    ("return (pcall(string.rep))", "false"),
    ("return (pcall(function() return ('x'):nosuch() end))", "false"),
    ("return (pcall(function() return math.floor({}) end))", "false"),
    ("return (pcall(ipairs))", "false"),
    ("return (pcall(setfenv, 1))", "false"),
    ("local a = {} a.a = a return tostring(a) == tostring(a.a), a == a.a.a", "true | true"),
    ("local t = {10, 20, 30, nil} return #t", "3"),
    ("local t = {} t[1.0] = 'a' t[2^53] = 'b' return t[1], t[2^53]", "a | b"),
    ("local t = setmetatable({}, {__mode = 'k'}) t[{}] = 1 return type(next(t))", "table"),
    (r#"return (loadstring('\27LuaQ'))"#, "nil"),
    (
        "return tostring(1e14), tostring(123456.789e3), 2^63, -2^63, 1e300 * 1e10",
        "1e+14 | 123456789 | 9.2233720368548e+18 | -9.2233720368548e+18 | inf",
    ),
    ("local type = 5 return type", "5"),
    ("local continue = 1 return continue", "1"),
    ("return select('#', unpack({}, 1, 7000)), (pcall(unpack, {}, 1, 9000))", "7000 | false"),
    (
        "return type(nil), type(1), type(''), type({}), type(print), type(coroutine.create(print)), (pcall(type))",
        "nil | number | string | table | function | thread | false",
    ),
    ("return select('#', pcall(error)), (select(2, pcall(error, nil))), (pcall(string.format, '%5%'))", "2 | nil | false"),
];

/// Program, what LuaJIT gives, and what it gives here: the table at the top of the library, line by line.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("return tonumber('0b11')", "3", "nil"),
    ("return tostring({}):sub(1, 8), tostring(print):sub(1, 9)", "table: 0 | function:", "table | function"),
    ("return #setmetatable({1, 2}, {__len = function() return 9 end})", "2", "9"),
    ("return string.format('%.0f %.0f', 0.5, 2.5)", "1 3", "0 2"),
    ("for i = 1, 2, 0 do return i end return 'none'", "1", "none"),
    ("return (pcall(function() string.trim = function() end end))", "true", "false"),
    ("local t = {10, 20, 30} t[2] = nil return #t", "1", "3"),
    (
        "local function loop(n) if n == 0 then return 'deep' end return loop(n - 1) end return (pcall(loop, 25000))",
        "true",
        "false",
    ),
    (
        "return io == nil, debug == nil, package == nil, require == nil, module == nil, jit == nil, newproxy == nil",
        "false | false | false | false | false | false | false",
        "true | true | true | true | true | true | true",
    ),
    (
        "return dofile == nil, loadfile == nil, os.execute == nil, os.getenv == nil, os.exit == nil, os.remove == nil",
        "false | false | false | false | false | false",
        "true | true | true | true | true | true",
    ),
    ("return os.clock() > 0", "true", "false"),
    (
        "local ok, e = pcall(function() return {} + 1 end) return e",
        "chunk:1: attempt to perform arithmetic on a table value",
        "chunk:1: attempt to perform arithmetic (add) on table and number",
    ),
    ("local f = function() end setfenv(0, {}) return 1", "1", "error"),
];
