//! One VM, and one run at a time.
//!
//! A run gets a new environment over the read-only library (`state = "fresh"`), or the worker's one (`"shared"`). What
//! natives need of the query is copied into [`Running`] for its time: Luau's functions cannot borrow.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, VmState};

use super::library::{self, Host, Library};
use super::object::{self, lua_of, value_of, values_of};
use super::trips::{ForAll, Trips};
use super::{Limits, Script, bytecode};
use crate::program::RESERVED;
use crate::program::body::{Run, Scratch, Visit};
use crate::program::choice::FailReason;
use crate::program::dynamic::{self, Memo};
use crate::program::facts::{Facts, Reach};
use crate::program::failure::{Failure, Limit};
use crate::program::luau;
use crate::program::meter::{self, Meter};
use crate::program::native::{self, Native};
use crate::program::object::CONSTRUCTORS;
use crate::program::parser::{Form, parse};
use crate::program::plan::{Form as Plan, Function as Piece, Program};
use crate::program::value::Value;
use crate::program::variables::{self, GEO_ATTRIBUTES, LOG_LEVELS, PLACES, Variable};
use crate::program::world::{Snippet, World};
use crate::wire::Name;

/// Safepoints from one look at the clock to the next. What a native does between two safepoints is metered.
const CLOCK_EVERY: u32 = 4;
/// Longest code that `loadstring` takes: compiling it is done within a step.
const LOADSTRING_MAX: usize = 4096;
/// Most chunks that a VM keeps loaded.
const LOADED_MAX: usize = 4096;
/// From this size on a VM is thrown away after a run, with all that was loaded.
const HEAP_MAX: usize = 256 << 20;
/// From this size on it collects all garbage after a run that finds it twice as large as the last collection left it.
const HEAP_FULL: usize = 64 << 20;

/// A Luau VM with PowerDNS's functions.
pub(in crate::program) struct Machine {
    limits: Limits,
    lua: Lua,
    desk: Rc<Desk>,
    /// What every environment falls back on.
    fallback: Table,
    /// The one environment, where globals live on.
    shared: Option<Table>,
    piece: Function,
    test: Function,
    loaded: HashMap<u64, Loaded>,
    trips: Trips,
    /// What the last collection left in use.
    collected: usize,
}

/// A chunk in the VM.
struct Loaded {
    chunk: Function,
    trips: ForAll,
}

/// What a run came to.
pub(in crate::program) struct Ran {
    /// What the program returned, or why nothing.
    pub(in crate::program) value: Result<Value, Failure>,
    /// Which clients that holds for.
    pub(in crate::program) reach: Reach,
    /// Whether a status that was consulted is not known.
    pub(in crate::program) unknown: bool,
    /// The longest TTL that the answer may have, seconds.
    pub(in crate::program) ttl: u32,
    /// What pools gave it, each once.
    pub(in crate::program) drawn: Vec<u16>,
}

/// What natives share.
struct Desk {
    meter: Meter,
    memo: Memo,
    deadline: Cell<Option<Instant>>,
    /// The thread's time when the deadline passed, and how much more of it a run may have then.
    overdue: Cell<Option<Duration>>,
    patience: Cell<Duration>,
    until_clock: Cell<u32>,
    running: RefCell<Option<Running>>,
}

/// The run in progress.
struct Running {
    /// The program, and the snippets that it has included.
    frames: Vec<Snippet>,
    /// What they run in.
    environment: Option<Table>,
    query: Query,
    world: Arc<dyn World>,
    random: fastrand::Rng,
    trail: Option<Vec<Visit>>,
    reach: Reach,
    unknown: bool,
    ttl: u32,
    /// A failure that is more than a text, should the run end with it.
    ending: Option<Failure>,
    scratch: Scratch,
    /// What pools gave it, each once: a loop may ask the same again and again.
    drawn: Vec<u16>,
}

/// The facts of a query, owned.
struct Query {
    client: IpAddr,
    subnet: Option<u8>,
    resolver: SocketAddr,
    local: SocketAddr,
    qname: Name,
    zone: Name,
    owner: Name,
    tcp: bool,
    dnssec_ok: bool,
    payload: u16,
    header: [u8; 12],
    unix: u32,
    monotonic: u64,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Machine {
    /// A VM under `limits`.
    ///
    /// # Errors
    /// Luau's, when there is no memory.
    pub(in crate::program) fn new(limits: Limits) -> mlua::Result<Self> {
        let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new())?;
        let desk = Rc::new(Desk {
            meter: Meter::new(),
            memo: Memo::default(),
            deadline: Cell::new(None),
            overdue: Cell::new(None),
            patience: Cell::new(Duration::ZERO),
            until_clock: Cell::new(0),
            running: RefCell::new(None),
        });
        desk.meter.begin(u64::MAX); // for what builds the library
        let library = library::install(&lua, Rc::clone(&desk) as Rc<dyn Host>)?;
        object::install(&lua)?;
        let globals = globals(&lua, &library, &desk)?;
        let fallback = lua.create_table_from([("__index", globals)])?;
        fallback.raw_set("__metatable", "protected")?; // or a program could take the globals from all others
        fallback.set_readonly(true);
        let (piece, test) = (frame_piece(&lua, &desk, 0)?, frame_test(&lua, &desk, 0)?);
        let watched = Rc::clone(&desk);
        lua.set_interrupt(move |_| watched.safepoint());
        let mut machine = Self {
            limits,
            lua,
            desk,
            fallback,
            shared: None,
            piece,
            test,
            loaded: HashMap::new(),
            trips: Trips::new(),
            collected: 0,
        };
        if limits.shared {
            machine.shared = Some(machine.environment()?);
        }
        Ok(machine)
    }

    /// The limits of runs.
    #[must_use]
    pub(in crate::program) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Runs `program`, whose form is a script.
    pub(in crate::program) fn run(
        &mut self,
        program: Snippet,
        facts: &Facts<'_>,
        world: Arc<dyn World>,
        (random, trail): (&mut fastrand::Rng, &mut Option<Vec<Visit>>),
    ) -> Ran {
        let failed =
            |failure| Ran { value: Err(failure), reach: Reach::EVERYONE, unknown: false, ttl: u32::MAX, drawn: Vec::new() };
        let Plan::Script(script) = &program.0.form else { return failed(Failure::raised("no script")) };
        let (script, sender, now) = (Arc::clone(script), facts.resolver.ip(), facts.monotonic);
        let trips = self.loaded.get(&script.number).map(|loaded| &loaded.trips);
        if self.trips.is_resting(script.number, trips, sender, now) {
            return failed(Failure::Limit(Limit::Suspended));
        }
        let running = Running {
            frames: vec![program],
            environment: None,
            query: Query::of(facts),
            world,
            random: std::mem::replace(random, fastrand::Rng::with_seed(0)),
            trail: trail.take(),
            reach: Reach::EVERYONE,
            unknown: false,
            ttl: u32::MAX,
            ending: None,
            scratch: Scratch::default(),
            drawn: Vec::new(),
        };
        *self.desk.running.borrow_mut() = Some(running);
        let result = self.call(&script);
        let finished = self.desk.running.borrow_mut().take();
        let Some(finished) = finished else { return failed(Failure::raised("the run is lost")) };
        (*random, *trail) = (finished.random, finished.trail);
        let value = match result {
            Ok(value) => Ok(value),
            Err(error) => Err(finished.ending.unwrap_or_else(|| self.failure(&error))),
        };
        if let (Err(Failure::Limit(_)), Some(loaded)) = (&value, self.loaded.get_mut(&script.number)) {
            self.trips.trip(script.number, &mut loaded.trips, sender, now);
        }
        self.tidy();
        Ran { value, reach: finished.reach, unknown: finished.unknown, ttl: finished.ttl, drawn: finished.drawn }
    }

    fn call(&mut self, script: &Script) -> mlua::Result<Value> {
        self.desk.meter.begin(u64::MAX);
        self.lua.set_memory_limit(0)?;
        let chunk = self.chunk(script)?;
        let environment = match &self.shared {
            Some(shared) => shared.clone(),
            None => self.environment()?,
        };
        self.set_variables(&environment, &script.variables)?;
        self.desk.with(|running| running.environment = Some(environment.clone()))?;
        chunk.set_environment(environment)?;
        self.desk.begin(&self.limits);
        self.lua.set_memory_limit(self.lua.used_memory() + self.limits.memory)?;
        let mut values: MultiValue = chunk.call((&self.piece, &self.test))?;
        self.lua.set_memory_limit(0)?;
        value_of(&values.pop_front().unwrap_or(mlua::Value::Nil))
    }

    /// The function of a script, loaded when it is first run.
    fn chunk(&mut self, script: &Script) -> mlua::Result<Function> {
        if let Some(loaded) = self.loaded.get(&script.number) {
            return Ok(loaded.chunk.clone());
        }
        if self.loaded.len() >= LOADED_MAX {
            self.loaded.clear();
        }
        let chunk = load(&self.lua, &script.bytecode, "=program")?;
        let loaded = Loaded { chunk: chunk.clone(), trips: ForAll::default() };
        self.loaded.insert(script.number, loaded);
        Ok(chunk)
    }

    fn environment(&self) -> mlua::Result<Table> {
        let environment = self.lua.create_table()?;
        environment.set_metatable(Some(self.fallback.clone()))?;
        environment.raw_set("_G", &environment)?;
        Ok(environment)
    }

    fn set_variables(&self, environment: &Table, variables: &[Variable]) -> mlua::Result<()> {
        for variable in variables {
            let value = self.desk.with(|running| {
                let facts = running.query.facts(&*running.world);
                variable.value(&facts, &*running.world, &mut running.reach)
            })?;
            environment.raw_set(variable.as_str(), lua_of(&self.lua, value)?)?;
        }
        Ok(())
    }

    fn failure(&self, error: &mlua::Error) -> Failure {
        match self.desk.meter.ended() {
            Some(limit) => limit.into(),
            None if is_memory(error) => Failure::Limit(Limit::Memory),
            None => Failure::raised(super::message(error)),
        }
    }

    /// Sees to it that no run finds the VM full of what others have left.
    fn tidy(&mut self) {
        let _lifted = self.lua.set_memory_limit(0);
        let used = self.lua.used_memory();
        if used > HEAP_FULL && used / 2 > self.collected {
            let _collected = self.lua.gc_collect();
            self.collected = self.lua.used_memory();
        }
        if self.lua.used_memory() > HEAP_MAX
            && let Ok(fresh) = Self::new(self.limits)
        {
            *self = fresh;
        }
    }
}

fn is_memory(error: &mlua::Error) -> bool {
    match error {
        mlua::Error::MemoryError(_) => true,
        mlua::Error::CallbackError { cause, .. } => is_memory(cause),
        mlua::Error::RuntimeError(text) => text.contains("not enough memory"),
        _ => false,
    }
}

fn load(lua: &Lua, bytecode: &[u8], name: &str) -> mlua::Result<Function> {
    lua.load(bytecode).set_name(name).set_mode(ChunkMode::Binary).into_function()
}

// -------- what programs see beside the library

/// The library and PowerDNS's functions and constants, read-only.
fn globals(lua: &Lua, library: &Library, desk: &Rc<Desk>) -> mlua::Result<Table> {
    let globals = lua.create_table()?;
    library.globals.for_each(|key: mlua::Value, value: mlua::Value| globals.raw_set(key, value))?;
    globals.raw_set(format!("{RESERVED}_text"), &library.text)?;
    globals.raw_set(format!("{RESERVED}_step"), lua.load("return ...").set_name("=step").into_function()?)?;
    for piece in Piece::ALL {
        globals.raw_set(piece.as_str(), native(lua, desk, move |native, values| dynamic::call(piece, values, native))?)?;
    }
    for function in native::FUNCTIONS {
        globals.raw_set(function.name, native(lua, desk, |native, values| (function.call)(native, values))?)?;
    }
    for constructor in CONSTRUCTORS {
        globals.raw_set(constructor.name, native(lua, desk, |_, values| Ok((constructor.call)(values)?))?)?;
    }
    globals.raw_set("include", include(lua, desk)?)?;
    globals.raw_set("GeoIPQueryAttribute", numbers(lua, GEO_ATTRIBUTES)?)?;
    let pdns = numbers(lua, variables::pdns())?;
    pdns.set_readonly(false);
    pdns.raw_set("place", numbers(lua, PLACES)?)?;
    pdns.raw_set("loglevels", numbers(lua, LOG_LEVELS)?)?;
    pdns.set_readonly(true);
    globals.raw_set("pdns", pdns)?;
    globals.raw_set("pdns_features", numbers(lua, [])?)?;
    globals.set_readonly(true);
    Ok(globals)
}

fn numbers(lua: &Lua, numbers: impl IntoIterator<Item = (&'static str, f64)>) -> mlua::Result<Table> {
    let table = lua.create_table_from(numbers)?;
    table.set_readonly(true);
    Ok(table)
}

fn native(
    lua: &Lua,
    desk: &Rc<Desk>,
    call: impl Fn(&mut Native<'_>, &[Value]) -> Result<Value, Failure> + 'static,
) -> mlua::Result<Function> {
    let desk = Rc::clone(desk);
    lua.create_function(move |lua, arguments: MultiValue| {
        let values = values_of(&arguments, &desk.meter)?;
        let value = desk.native(|native| call(native, &values))?;
        lua_of(lua, value)
    })
}

/// What stands for a call of constant structure, in the program (frame 0) or a snippet.
fn frame_piece(lua: &Lua, desk: &Rc<Desk>, frame: usize) -> mlua::Result<Function> {
    let desk = Rc::clone(desk);
    lua.create_function(move |lua, number: u16| {
        let value = desk.frame(frame, |run, program| {
            let list = program.pieces.get(usize::from(number)).is_some_and(|piece| piece.list);
            let item = run.piece(number, list)?;
            Ok(run.value_of(item))
        })?;
        lua_of(lua, value)
    })
}

fn frame_test(lua: &Lua, desk: &Rc<Desk>, frame: usize) -> mlua::Result<Function> {
    let desk = Rc::clone(desk);
    lua.create_function(move |_, number: u16| desk.frame(frame, |run, _| Ok(run.test(number))))
}

/// `include(name)`: runs the LUA records there in the same environment; what fails is passed over.
fn include(lua: &Lua, desk: &Rc<Desk>) -> mlua::Result<Function> {
    let desk = Rc::clone(desk);
    lua.create_function(move |lua, arguments: MultiValue| {
        let name = match arguments.front() {
            Some(mlua::Value::String(name)) => name.as_bytes().to_vec(),
            _ => return Err(mlua::Error::runtime("include() takes the name of a record, relative to the zone")),
        };
        let snippets = desk.with(|running| running.snippets(&name))?;
        for snippet in snippets {
            if let Err(error) = run_snippet(lua, &desk, snippet) {
                desk.meter.charge(0).map_err(mlua::Error::external)?;
                let message = format!("include({}): {}", String::from_utf8_lossy(&name), super::message(&error));
                desk.with(|running| running.world.log(4, &message))?;
            }
        }
        Ok(())
    })
}

fn run_snippet(lua: &Lua, desk: &Rc<Desk>, snippet: Snippet) -> mlua::Result<()> {
    let Plan::Script(script) = &snippet.0.form else { return Ok(()) };
    let chunk = load(lua, &script.bytecode, "=include")?;
    let (environment, frame) = desk.with(|running| {
        running.frames.push(snippet.clone());
        (running.environment.clone(), running.frames.len() - 1)
    })?;
    if let Some(environment) = environment {
        chunk.set_environment(environment)?;
    }
    chunk.call((frame_piece(lua, desk, frame)?, frame_test(lua, desk, frame)?))
}

// -------- the run in progress

impl Desk {
    fn begin(&self, limits: &Limits) {
        self.meter.begin(limits.steps.into());
        self.deadline.set(clock().checked_add(limits.time));
        self.overdue.set(None);
        self.patience.set(limits.time / 2);
        self.until_clock.set(CLOCK_EVERY);
    }

    /// Whether the run has had its time. Where the deadline passes, others may have had the processor meanwhile: from then
    /// on it is the thread's own time that counts, half of `time_limit` of it. So a run of less than that is never stopped,
    /// however busy the machine is, and none lasts longer than half as long again; and only a late one asks the system.
    fn is_over(&self) -> bool {
        let now = clock();
        if self.deadline.get().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let (spent, patience) = (thread_time(), self.patience.get());
        let since = self.overdue.get().unwrap_or(spent);
        let left = (since + patience).saturating_sub(spent);
        self.overdue.set(Some(since));
        self.deadline.set(now.checked_add(left));
        left.is_zero()
    }

    /// Each call, return and turn of a loop: counted, and now and then timed.
    fn safepoint(&self) -> mlua::Result<VmState> {
        match self.until_clock.get() {
            0 => {
                self.until_clock.set(CLOCK_EVERY);
                if self.is_over() {
                    self.meter.end(meter::Limit::Time);
                }
            }
            left => self.until_clock.set(left - 1),
        }
        self.meter.charge(1).map_err(mlua::Error::external)?;
        Ok(VmState::Continue)
    }

    fn with<R>(&self, act: impl FnOnce(&mut Running) -> R) -> mlua::Result<R> {
        let mut running = self.running.try_borrow_mut().map_err(mlua::Error::external)?;
        running.as_mut().map(act).ok_or_else(|| mlua::Error::runtime("no query is being answered"))
    }

    fn native(&self, call: impl FnOnce(&mut Native<'_>) -> Result<Value, Failure>) -> mlua::Result<Value> {
        self.with(|running| {
            let Running { query, world, random, reach, unknown, .. } = running;
            let facts = query.facts(&**world);
            let (facts, world, meter, memo) = (&facts, &**world, &self.meter, &self.memo);
            let called = call(&mut Native { facts, world, meter, memo, random, reach, unknown });
            running.raise(called)
        })?
    }

    fn frame<R>(&self, frame: usize, act: impl FnOnce(&mut Run<'_>, &Program) -> Result<R, Failure>) -> mlua::Result<R> {
        self.with(|running| {
            let Running { frames, query, world, random, trail, reach, unknown, ttl, scratch, drawn, .. } = running;
            // what a snippet comes by has numbers of its own
            let (mut silent, main) = (None, frame == 0);
            let (program, settled) = frames.get(frame).ok_or_else(|| mlua::Error::runtime("no such frame"))?;
            let facts = query.facts(&**world);
            scratch.picks.clear();
            let trail = if main { trail } else { &mut silent };
            let (facts, world, meter, memo) = (&facts, &**world, &self.meter, &self.memo);
            let (reach_now, unknown_now, ttl_now) = (*reach, *unknown, *ttl);
            let mut run = Run {
                program,
                settled,
                facts,
                world,
                meter,
                memo,
                random,
                scratch,
                trail,
                reach: reach_now,
                unknown: unknown_now,
                ttl: ttl_now,
            };
            let acted = act(&mut run, program);
            (*reach, *unknown, *ttl) = (run.reach, run.unknown, run.ttl);
            for &pick in scratch.picks.iter().filter(|&&pick| main && program.is_given(pick)) {
                if !drawn.contains(&pick) {
                    drawn.push(pick);
                }
            }
            running.raise(acted)
        })?
    }
}

#[expect(clippy::disallowed_methods, reason = "a run is stopped by the clock; what it answers does not depend on it")]
fn clock() -> Instant {
    Instant::now()
}

/// How long this thread has run.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

impl Running {
    /// A failure as Lua's error.
    fn raise<R>(&mut self, result: Result<R, Failure>) -> mlua::Result<R> {
        result.map_err(|failure| {
            if matches!(failure, Failure::NotReady | Failure::Call(FailReason::NoSuchName)) {
                self.ending = Some(failure.clone());
            }
            mlua::Error::runtime(failure)
        })
    }

    /// The records at `name` below the zone's apex.
    fn snippets(&self, name: &[u8]) -> Vec<Snippet> {
        let zone = self.query.zone.as_ref();
        Name::from_text(name, Some(zone)).map(|name| self.world.snippets(zone, name.as_ref())).unwrap_or_default()
    }
}

impl Query {
    fn of(facts: &Facts<'_>) -> Self {
        Self {
            client: facts.client,
            subnet: facts.subnet,
            resolver: facts.resolver,
            local: facts.local,
            qname: facts.qname.to_name(),
            zone: facts.zone.to_name(),
            owner: facts.owner.to_name(),
            tcp: facts.tcp,
            dnssec_ok: facts.dnssec_ok,
            payload: facts.payload,
            header: facts.header,
            unix: facts.unix,
            monotonic: facts.monotonic,
        }
    }

    fn facts<'q>(&'q self, world: &'q dyn World) -> Facts<'q> {
        Facts {
            client: self.client,
            subnet: self.subnet,
            resolver: self.resolver,
            local: self.local,
            qname: self.qname.as_ref(),
            zone: self.zone.as_ref(),
            owner: self.owner.as_ref(),
            tcp: self.tcp,
            dnssec_ok: self.dnssec_ok,
            payload: self.payload,
            header: self.header,
            places: world.places(),
            unix: self.unix,
            monotonic: self.monotonic,
        }
    }
}

impl Host for Desk {
    fn meter(&self) -> &Meter {
        &self.meter
    }

    fn random(&self) -> f64 {
        self.with(|running| running.random.f64()).unwrap_or_default()
    }

    fn unix_time(&self) -> i64 {
        self.with(|running| running.query.unix.into()).unwrap_or_default()
    }

    fn compile(&self, lua: &Lua, code: &[u8], _: &[u8], environment: Table) -> Result<Function, String> {
        let text = str::from_utf8(code).map_err(|_| "code that is not UTF-8".to_owned())?;
        if text.len() > LOADSTRING_MAX {
            return Err(format!("loadstring takes at most {LOADSTRING_MAX} octets of code"));
        }
        let block = parse(text, Form::Snippet).map_err(|finding| finding.message)?;
        let bytecode = bytecode(luau::chunk(&block, &HashMap::new()).as_bytes())?;
        let chunk = load(lua, &bytecode, "=loadstring").map_err(|error| super::message(&error))?;
        chunk.set_environment(environment).map_err(|error| super::message(&error))?;
        Ok(chunk)
    }

    fn print(&self, line: &[u8]) {
        let _no_run_no_line = self.with(|running| running.world.log(6, &String::from_utf8_lossy(line)));
    }
}
