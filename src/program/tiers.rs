//! The tiers agree: programs of the plan's language, made up at random, give the same answers natively and in Luau.
//!
//! Each program runs three times over the same statuses, client, name and seed: as a plan; in Luau with its constant calls
//! as pieces, as scripts run; and in Luau with every call made by its own arguments. Answers, for whom they hold, and how
//! much chance was used up must be the same; a failure must be a failure (its text is Lua's, and may differ).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::facts::Facts;
use super::lower::{Settings, lower_as_script};
use super::parser::{Form, parse};
use super::{Defaults, Limits, Program, Reach, Records, Resolved, Runner, Settled, Snippet, Tier, Under, World, compile};
use crate::geo::{Net, Places};
use crate::target::{Basis, CheckRequest, Status, Value};
use crate::wire::{Name, NameRef, Rcode, RecordType, Ttl};

/// A world whose statuses follow from the checks and a seed.
struct Made {
    seed: u64,
    defaults: Defaults,
    places: Arc<Places>,
}

impl World for Made {
    fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    fn places(&self) -> &Places {
        &self.places
    }

    fn status(&self, check: &CheckRequest, _: NameRef<'_>) -> Status {
        let mut random = fastrand::Rng::with_seed(self.seed ^ check.spec.key().0 as u64);
        let value = random.choice([Value::Up, Value::Up, Value::Down, Value::Unknown]).unwrap_or(Value::Up);
        let basis = if value == Value::Unknown { Basis::Never } else { Basis::Measured };
        Status { value, basis, drain: random.u8(..8) == 0, reported: random.u32(..4), ..Status::NEVER }
    }

    fn lookup(&self, name: NameRef<'_>, rtype: RecordType) -> Vec<String> {
        if name.label_count().is_multiple_of(2) && rtype == RecordType::A { vec!["192.0.2.53".into()] } else { Vec::new() }
    }

    fn snippets(&self, _: NameRef<'_>, _: NameRef<'_>) -> Vec<Snippet> {
        Vec::new()
    }

    fn resolve(&self, _: &Name, _: RecordType) -> Option<Resolved> {
        None
    }

    fn zone_number(&self, _: NameRef<'_>) -> u32 {
        7
    }

    fn log(&self, _: u8, _: &str) {}
}

/// What a run comes to, and the next random number after it.
#[derive(Debug, PartialEq)]
struct Outcome {
    said: Option<Told>,
    next: u64,
}

#[derive(Debug, PartialEq)]
struct Told {
    texts: Vec<String>,
    ttl: Option<Ttl>,
    rcode: Option<Rcode>,
    reach: Reach,
    unknown: bool,
}

impl Outcome {
    /// A script has looked at the client's address if it may look at it: its answer may hold for fewer, never for more.
    fn agrees_with(&self, script: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (&self.said, &script.said) else { return self == script };
        let records =
            (&ours.texts, ours.ttl, ours.rcode, ours.unknown) == (&theirs.texts, theirs.ttl, theirs.rcode, theirs.unknown);
        let reach = ours.reach.network == theirs.reach.network && (theirs.reach.client || !ours.reach.client);
        records && reach && self.next == script.next
    }
}

const LIMITS: Limits = Limits { steps: 1_000_000, time: Duration::from_secs(10), memory: 64 << 20, shared: false };
const SETTINGS: Settings = Settings { defaults: Defaults::USUAL, step_limit: 100_000, shared: false };

fn run(program: Program, world: &Arc<Made>, facts: &Facts<'_>, seed: u64, runner: &mut Runner) -> Outcome {
    let program = Arc::new(program);
    let status = |at: usize| program.checks().get(at).map_or(Status::NEVER, |check| world.status(check, facts.zone));
    let under = Under { status: &status, standing: &|_| Status::NEVER, places: &world.places };
    let settled: Arc<[Settled]> = program.settle(&under);
    runner.random = fastrand::Rng::with_seed(seed);
    let answer = runner.answer((&program, &settled), facts, world, &LIMITS);
    let (reach, unknown) = (answer.reach, answer.unknown);
    let said = answer.said.ok().map(|said| {
        let texts = match said.records {
            Records::Members(members) => members.iter().map(|&at| program.members()[usize::from(at)].to_string()).collect(),
            Records::Texts(texts) => texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect(),
        };
        Told { texts, ttl: said.ttl, rcode: said.rcode, reach, unknown }
    });
    Outcome { said, next: runner.random.u64(..) }
}

// -------- programs

struct Author {
    random: fastrand::Rng,
    /// Locals in scope.
    locals: Vec<String>,
    made: usize,
}

impl Author {
    fn pick<'c>(&mut self, choices: &[&'c str]) -> &'c str {
        choices[self.random.usize(..choices.len())]
    }

    fn program(&mut self) -> String {
        if self.random.u8(..3) == 0 {
            return self.answer(3);
        }
        let statements = self.block(3);
        let more = if self.random.u8(..8) == 0 { format!(", {}", self.value(2)) } else { String::new() };
        format!(";{statements} return {}{more}", self.answer(3))
    }

    fn block(&mut self, depth: usize) -> String {
        let count = self.random.usize(..4);
        (0..count).map(|_| self.statement(depth)).collect::<Vec<_>>().join(" ")
    }

    fn statement(&mut self, depth: usize) -> String {
        match self.random.u8(..8) {
            0..4 => {
                let value = self.value(depth);
                self.made += 1;
                let name = format!("v{}", self.made);
                self.locals.push(name.clone());
                format!("local {name} = {value}")
            }
            4 if self.random.u8(..4) == 0 => format!("{} = {}", self.pick(&["g1", "g2"]), self.value(depth)),
            4 if !self.locals.is_empty() => {
                let at = self.random.usize(..self.locals.len());
                let value = self.value(depth);
                format!("{} = {value}", self.locals[at])
            }
            5..7 if depth > 0 => {
                let condition = self.condition(depth);
                let (then, otherwise) = (self.inner(depth), self.inner(depth));
                format!("if {condition} then {then} else {otherwise} end")
            }
            _ if depth > 0 => {
                let (first, second) = (self.condition(depth), self.condition(depth));
                let (one, two) = (self.inner(depth), self.inner(depth));
                format!("if {first} then {one} elseif {second} then {two} end")
            }
            _ => format!("do {} end", self.inner(0)),
        }
    }

    fn inner(&mut self, depth: usize) -> String {
        let outer = self.locals.len();
        let mut block = self.block(depth.saturating_sub(1));
        if self.random.u8(..3) == 0 {
            block = format!("{block} return {}", self.answer(2));
        }
        self.locals.truncate(outer);
        block
    }

    /// Something that may well be an answer.
    fn answer(&mut self, depth: usize) -> String {
        match self.random.u8(..12) {
            0..3 => self.piece(depth),
            3 => format!("{} and {} or {}", self.condition(depth), self.piece(depth), self.text(depth)),
            4 => format!("{{{}, {}}}", self.text(depth), self.text(depth)),
            5 => format!("ttl({}, {})", self.random.u16(..), self.piece(depth)),
            6 => self.pick(&["nxdomain()", "rcode('REFUSED')", "rcode(5)", "{}", "nil", "ttl(5, nxdomain())"]).into(),
            _ => self.value(depth),
        }
    }

    fn value(&mut self, depth: usize) -> String {
        match self.random.u8(..12) {
            0 if !self.locals.is_empty() => self.locals[self.random.usize(..self.locals.len())].clone(),
            1 => self.condition(depth),
            2 => self.number(depth),
            3 => self.piece(depth),
            4 => format!("{{{}, {}}}", self.text(depth), self.text(depth)),
            5 => self.pick(&["nil", "true", "false", "{}", "pdns.AAAA", "GeoIPQueryAttribute.City", "g1", "g1", "g2"]).into(),
            6 if self.random.u8(..4) == 0 => {
                let record = "newDR(newDN('a.example'), 'A', 60, '192.0.2.1', 1)";
                format!(
                    "({})[{}]",
                    self.pick(&[record, "who", "'abc'", "{a='b'}"]),
                    self.pick(&["'ttl'", "'name'", "'a'", "1", "nil"])
                )
            }
            6 => format!("{} and {} or {}", self.condition(depth), self.text(depth), self.text(depth)),
            _ => self.text(depth),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.bool() {
            let choices = [
                "0", "1", "2", "-3", "0.1", "1e15", "1/3", "'7'", "2^0.5", "1e300", "0x1F", "5 % 3", "-5 % 3", "7 / 0", "'0x1p4'",
            ];
            return self.pick(&choices).into();
        }
        let (left, right) = (self.number(depth - 1), self.number(depth - 1));
        match self.random.u8(..6) {
            // the length of a table with holes is any border
            0 => format!("#{}", self.pick(&["'abc'", "{'a', 'b'}", "{}", "countryCode()", "dblookup('ns1.example.', pdns.A)"])),
            1 => format!("({left} * {right})"),
            2 => format!("-({left})"),
            3 if self.random.bool() => {
                let functions = ["math.abs", "math.ceil", "math.floor", "math.max", "math.min", "tonumber"];
                format!("{}({left}, {})", self.pick(&functions), self.pick(&["math.huge", "math.pi", &right]))
            }
            4 => format!("tonumber({}, {})", self.text(depth - 1), self.pick(&["2", "10", "16", "36", "'8'", "1", "nil"])),
            _ => format!("({left} {} {right})", self.pick(&["+", "-", "/", "%", "^"])),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.pick(&["true", "country('US')", "tcp", "dnssecOK", "nil"]).into();
        }
        let inner = depth - 1;
        match self.random.u8(..10) {
            0 => format!("country({})", self.pick(&["'us'", "{'SE','GB'}", "'GB'", "countryCode()"])),
            1 => format!("continent({})", self.pick(&["'EU'", "{'eu', 'na'}", "continentCode()"])),
            2 => {
                format!("netmask({{{}}})", self.pick(&["'198.51.100.0/24'", "'0.0.0.0/0'", "'2001:db8::/32', '10.0.0.0/8'", ""]))
            }
            3 => format!("asnum({})", self.pick(&["64500", "'29518'", "{1221, '29518'}"])),
            4 => format!("not {}", self.condition(inner)),
            5 => format!("({} {} {})", self.condition(inner), self.pick(&["and", "or"]), self.condition(inner)),
            6 => format!("({} {} {})", self.number(inner), self.pick(&["<", "<=", ">", ">=", "==", "~="]), self.number(inner)),
            7 => format!("({} {} {})", self.text(inner), self.pick(&["<", "<=", "==", "~="]), self.text(inner)),
            8 => format!("({} == {})", self.value(inner), self.value(inner)),
            _ => self.pick(&["bestwho:isIPv4()", "qname:isPartOf(zone)", "(qname == newDN('x.example.'))", "ecswho"]).into(),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.pick(&["'192.0.2.1'", "'192.0.2.2'", "'a'", "''", "'2001:db8::1'", "[[long]]", "'x\\65y'"]).into();
        }
        let inner = depth - 1;
        match self.random.u8(..12) {
            0 => format!("{} .. {}", self.text(inner), self.text(inner)),
            1 => format!("{} .. {} .. {}", self.text(inner), self.number(inner), self.text(inner)),
            2 => self.pick(&["countryCode()", "continentCode()", "regionCode()", "latlon()", "latlonloc()"]).into(),
            3 => self.pick(&["qname:toString()", "zone:toStringNoDot()", "bestwho:toString()", "who:toStringWithPort()"]).into(),
            4 => self.pick(&["createForward()", "createForward6()", "createReverse('%1%-%2%')", "latlonMagic()"]).into(),
            5 => self
                .pick(&["geoiplookup('81.2.69.160', 3)", "newCA('192.0.2.7'):toString()", "newDN('a.b'):countLabels()"])
                .into(),
            6 => format!("pickrandom({})", self.list(inner)),
            7 => format!("pickhashed({})", self.list(inner)),
            8 => format!("{}[{}]", self.indexable(inner), self.pick(&["1", "2", "3"])),
            9 => format!("pick{}({})", self.pick(&["wrandom", "whashed", "namehashed", "chashed"]), self.weighted(inner)),
            10 if self.random.bool() => {
                let functions =
                    ["tostring", "type", "string.lower", "string.upper", "string.reverse", "string.len", "string.char"];
                format!("{}({})", self.pick(&functions), self.value(inner))
            }
            10 if self.random.bool() => {
                let times = ["0", "1", "2", "-1", "'3'", "2.9", "2, '-'", "0, '-'"];
                format!("string.rep({}, {})", self.text(inner), self.pick(&times))
            }
            10 => {
                self.pick(&["pdnsrandom(5)", "zoneid", "ednsPKTSize", "dh:getID()", "tonumber(' inf ')", "tonumber('0x')"]).into()
            }
            11 if self.random.bool() => {
                let places = ["1, 2", "2", "-3", "-2, -1", "1, 1e300", "-1e300, 1", "0/0"];
                format!("string.sub({}, {})", self.text(inner), self.pick(&places))
            }
            _ => self.text(inner),
        }
    }

    fn indexable(&mut self, depth: usize) -> String {
        match self.random.u8(..2) {
            0 => format!("({{{}, {}}})", self.text(depth), self.text(depth)),
            _ => format!("ifportup(80, {}, {{selector='all'}})", self.addresses(depth)),
        }
    }

    fn list(&mut self, depth: usize) -> String {
        match self.random.u8(..8) {
            0 => "{}".into(),
            1 if depth > 0 => format!("{{[1] = 'j', {}, [2] = 'k', [tcp and 2 or 1] = {}}}", self.text(0), self.text(0)),
            1 => "{'a', 'b', 'c'}".into(),
            2 => format!("pickrandomsample({}, {{'a', 'b', 'c', 'd'}})", self.pick(&["0", "1", "2", "-1", "9"])),
            3 => format!("ifportup(80, {}, {{selector='{}'}})", self.addresses(depth), self.selector()),
            4 => "dblookup('ns1.example.', pdns.A)".into(),
            5 => "filterForward(createForward(), newNMG{'1.0.0.0/8'}, '')".into(),
            _ => format!("{{{}, {}}}", self.text(depth.saturating_sub(1)), self.text(0)),
        }
    }

    fn weighted(&mut self, depth: usize) -> String {
        let first = self.text(depth.saturating_sub(1));
        format!(
            "{{{{{}, {first}}}, {{{}, 'w2'}}, {{7, 'w3'}}}}",
            self.pick(&["1", "'15'", "2.5", "0"]),
            self.pick(&["3", "40", "'x'"])
        )
    }

    fn selector(&mut self) -> &'static str {
        let choices = [
            "random",
            "all",
            "hashed",
            "pickclosest",
            "empty",
            "first",
            "wrandom",
            "whashed",
            "chashed",
            "namehashed",
            "pickclosest:2",
            "frob",
        ];
        self.pick(&choices)
    }

    fn addresses(&mut self, depth: usize) -> String {
        let dynamic = depth > 0 && self.random.u8(..4) == 0;
        match self.random.u8(..6) {
            _ if dynamic => format!("{{{}, '192.0.2.2'}}", self.text(depth - 1)),
            0 => "{}".into(),
            1 => "{{'192.0.2.1', '192.0.2.2'}, {'192.0.2.3'}}".into(),
            2 => "{{10, '192.0.2.1'}, {20, '192.0.2.2'}, {5, '192.0.2.3'}}".into(),
            3 => "{{address='192.0.2.1', lat=51.5, lon=-0.1}, {address='192.0.2.2', lat=40, lon=-74, weight=3}}".into(),
            4 => "{'192.0.2.1:81', '[2001:db8::1]:82'}".into(),
            _ => "{'192.0.2.1', '192.0.2.2', '192.0.2.3', '81.2.69.160', '216.160.83.56'}".into(),
        }
    }

    /// A call of a piece function.
    fn piece(&mut self, depth: usize) -> String {
        let addresses = self.addresses(depth.saturating_sub(1));
        let (selector, backup) = (self.selector(), self.selector());
        match self.random.u8(..9) {
            0..3 => format!("ifportup(443, {addresses}, {{selector='{selector}', backupSelector='{backup}'}})"),
            3 => format!("ifurlup('http://x.example/', {addresses}, {{selector='{selector}', failOnIncompleteCheck='true'}})"),
            4 => "ifurlextup({{['192.0.2.1']='http://a/', ['192.0.2.2']='http://b/'}}, {selector='all'})".into(),
            5 => "pickselfweighted('http://x.example/', {'192.0.2.1', '192.0.2.2'})".into(),
            6 => format!(
                "view({{{{{{'198.51.100.0/24'}}, {{'192.0.2.1', 'b'}}}}, {{{{'{}'}}, {{'z'}}}}}})",
                self.pick(&["::/0", "0.0.0.0/0"])
            ),
            7 => format!(
                "pickclosest({{'192.0.2.1', '81.2.69.160', '216.160.83.56'}}{})",
                self.pick(&["", ", {distance='sphere'}", ", {count=2}", ", {unknown='far'}"])
            ),
            _ => self.list(depth),
        }
    }
}

/// One program and its runs: a difference, if there is one; `None` where it is no plan.
fn compare(seed: u64, places: &Arc<Places>, runner: &mut Runner) -> Option<Result<(), String>> {
    let mut author = Author { random: fastrand::Rng::with_seed(seed), locals: Vec::new(), made: 0 };
    let code = author.program();
    let compiled = compile(&code, &SETTINGS);
    let program = compiled.program.filter(|program| program.tier() == Tier::Plan)?;
    let block = parse(&code, Form::Program).expect("it was parsed before");
    let mut random = fastrand::Rng::with_seed(seed);
    let world = Arc::new(Made { seed, defaults: SETTINGS.defaults, places: Arc::clone(places) });
    let clients = ["198.51.100.7", "81.2.69.160", "2001:db8::5", "216.160.83.56", "89.160.20.113"];
    let client: IpAddr = random.choice(clients)?.parse().ok()?;
    let names: [Name; 3] =
        ["1.2.3.4.w.example.", "ip-1-2-3-4.w.example.", "x.example."].map(|name| name.parse().expect("a name"));
    let (apex, owner): (Name, Name) = ("example.".parse().ok()?, "*.w.example.".parse().ok()?);
    let subnet = if random.bool() { Net::new(client, if client.is_ipv4() { 24 } else { 56 }) } else { None };
    let resolver: SocketAddr = SocketAddr::new([203, 0, 113, 9].into(), 4711);
    let facts = Facts {
        client: subnet.map_or(resolver.ip(), Net::address),
        subnet: subnet.map(Net::length),
        resolver,
        local: SocketAddr::new([192, 0, 2, 53].into(), 53),
        qname: names[random.usize(..3)].as_ref(),
        zone: apex.as_ref(),
        owner: owner.as_ref(),
        tcp: random.bool(),
        dnssec_ok: random.bool(),
        payload: random.u16(..),
        header: [1, 2, 3, 4, 0, 1, 0, 0, 0, 0, 0, 1],
        places: &world.places,
        unix: 1_800_000_000,
        monotonic: 0,
    };
    let plan = run(program, &world, &facts, seed, runner);
    for hoist in [true, false] {
        let script = lower_as_script(&block, &SETTINGS, hoist).unwrap_or_else(|| panic!("{code} is no script"));
        let mut luau = run(script, &world, &facts, seed, runner);
        // Luau's variables are set before it runs: a script that names the client holds for that client, whether it came to
        // look at it or not.
        if let (Some(luau), Some(plan)) = (&mut luau.said, &plan.said)
            && ["bestwho", "ecswho"].iter().any(|name| code.contains(name))
        {
            luau.reach.client &= plan.reach.client;
        }
        // a run that fails leaves chance wherever it was
        let same = plan.agrees_with(&luau) || plan.said.is_none() && luau.said.is_none();
        if !same {
            return Some(Err(format!("seed {seed}, pieces {hoist}:\n{code}\nplan {plan:?}\nluau {luau:?}")));
        }
    }
    Some(Ok(()))
}

fn campaign(seeds: std::ops::Range<u64>) {
    let places = Arc::new(Places::empty());
    let mut runner = Runner::new(fastrand::Rng::with_seed(0));
    let (first, last) = (seeds.start, seeds.end);
    let compared: Vec<_> = seeds.filter_map(|seed| compare(seed, &places, &mut runner)).collect();
    let differences: Vec<String> = compared.iter().filter_map(|result| result.as_ref().err().cloned()).collect();
    let mut shortest = differences.clone();
    shortest.sort_by_key(String::len);
    shortest.truncate(8);
    assert!(differences.is_empty(), "{} differences, the shortest:\n{}", differences.len(), shortest.join("\n"));
    // Most of what the author writes is a plan, or the comparison means little.
    assert!(compared.len() as u64 > (last - first) / 2, "{} of {}", compared.len(), last - first);
}

/// How many programs each test compares; `LEEWARD_TIERS` asks for more.
fn cases() -> u64 {
    std::env::var("LEEWARD_TIERS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4_000)
}

#[test]
fn plans_and_luau_agree_1() {
    campaign(0..cases());
}

#[test]
fn plans_and_luau_agree_2() {
    campaign(1_000_000..1_000_000 + cases());
}
