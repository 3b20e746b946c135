//! Programs that mean harm: each ends in SERVFAIL, soon, and the worker lives.
//!
//! `tests/hostile/*.lua` holds one program each, as it would stand in a LUA record; the large ones are made here. A program
//! may be refused at load, run into a limit, raise an error, or give what is no address: all that is SERVFAIL for its query.
//! What one run costs is CPU time of this thread, the least of three, so that nobody else's load counts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leeward::answers::{Options, Snapshot};
use leeward::geo::Places;
use leeward::program::{Defaults, Facts, Limits, Records, Runner, Settings, Settled, Under, compile};
use leeward::target::Status;
use leeward::wire::{Name, NameRef, RecordType};
use leeward::zone::rdata_from_text;
use rustix::time::{ClockId, clock_gettime};

/// What one run may cost.
const RUN_MAX: Duration = Duration::from_millis(10);
const SETTINGS: Settings = Settings { defaults: Defaults::USUAL, step_limit: 1000, shared: false };

/// The programs on disk, and those that are too large to be kept.
fn programs() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut programs: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("a text")))
        .collect();
    programs.sort();
    let fill = |unit: &str| unit.repeat(60_000 / unit.len());
    let often = |unit: &str| unit.repeat(40);
    let large = [
        // a short text that means much
        ("doubled constants", format!(";local a = 'xxxxxxxxxxxxxxxx' {} return a", often("local a = a .. a "))),
        ("doubled lists", format!(";local a = {{'x'}} {} return a", often("local a = {a, a} "))),
        ("doubled lists in a call", format!(";local a = {{'x'}} {} return pickrandom(a)", often("local a = {a, a} "))),
        (
            "deep constants",
            format!(";local a = {{}} {} return a", format!("local a = {}a{} ", "{".repeat(60), "}".repeat(60)).repeat(400)),
        ),
        (
            "deep tables",
            format!(";local a = {{qname}} {} return a", format!("local a = {}a{} ", "{".repeat(60), "}".repeat(60)).repeat(190)),
        ),
        ("elements of a constant", format!(";local t = {{{}}} return {{{}}}", "'x',".repeat(4000), "t[4000],".repeat(5000))),
        (
            "uses of a constant",
            format!(";local t = {{{}}} {} return t", "'x',".repeat(4000), "pdnslog(pickrandom(t)) ".repeat(1800)),
        ),
        ("doubled texts", format!(";local a = qname:toString() {} return a", often("local a = a .. a "))),
        ("long texts", {
            let long = format!(";local a = qname:toString() {}", "local a = a .. a ".repeat(11));
            format!("{long} return {{{}}}", "a .. 'x',".repeat(4000))
        }),
        ("shared tables", format!(";local a = {{qname:toString()}} {} return pickrandom(a)", often("local a = {a, a} "))),
        ("shared tables as keys", {
            let (a, b) = (often("local a = {a, a} "), often("local b = {b, b} "));
            format!(";local a = {{qname}} local b = {{qname}} {a} {b} local t = {{[a] = qname}} return t[b]")
        }),
        (
            "one text in many places",
            ";local s = ('x'):rep(60000) local t = {} for i = 1, 900 do t[i] = s end return all(t)".into(),
        ),
        ("a ring", ";local w = tonumber('1000000') return pickchashed({{w, '192.0.2.1'}})".into()),
        ("rings", {
            let ring = "pdnslog(pickchashed({{w, '192.0.2.1'}})) ".repeat(1200);
            format!(";local w = tonumber('16000') {ring} return '192.0.2.1'")
        }),
        ("rings in a loop", {
            let ring = "pickchashed({{w, '192.0.2.1'}})";
            format!(";local w = 16000 while true do {ring} w = 15999 end")
        }),
        ("lists in a loop", {
            let list = "'192.0.2.1',".repeat(3000);
            format!(";local t = {{{list}}} while true do t[1] = pickrandom(t) end")
        }),
        ("long lists", format!(";local n = qname local t = {{{}n}} {} return n", "'x',".repeat(4000), "newNMG(t) ".repeat(3000))),
        ("functions", format!(";{}", fill("local function f() end "))),
        ("nested functions", format!("{}1{}", fill("function() return ").replace('1', ""), "")),
        ("sums", format!("1{}", fill("+1"))),
        ("concatenations", format!("'a'{}", fill("..'a'"))),
        ("indices", format!("a{}", fill("[1]"))),
        ("calls", format!("f{}", fill("()"))),
        ("minuses", format!("{}1", fill("- "))),
        ("nots", format!("{}1", fill("not "))),
        ("powers", format!("2{}", fill("^2"))),
        ("tables", format!("{}{}", "{".repeat(30_000), "}".repeat(30_000))),
        ("a long table", format!("#{{{}}}", fill("1,"))),
        ("else ifs", format!(";if a then {} end", fill("elseif a then "))),
        ("ifs", format!(";{}", fill("if a then "))),
        ("blocks", format!(";{}", fill("do "))),
        ("comparisons", format!(";local a = ('x'):rep(60000) local b = a .. 'y' {} return 'x'", fill("b = a < b and b or a "))),
        ("numbers of strings", format!(";local s = ('1'):rep(60000) return {{{}}}", fill("-s,"))),
        ("strings", format!(";local t = {{}} {} return 'x'", fill("t[#t + 1] = ('x'):rep(60000) "))),
        ("a comment", format!("--[[{}]] 'x'", fill("x"))),
        ("a string", format!("'{}'", fill("x"))),
    ];
    programs.extend(large.into_iter().map(|(name, code)| (name.to_owned(), code)));
    programs
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().expect("positive"), time.tv_nsec.try_into().expect("positive"))
}

/// Whether the code gives an address, and the CPU time that a run took.
fn run(code: &str, runner: &mut Runner, limits: &Limits) -> (bool, Duration) {
    let compiled = compile(code, &SETTINGS);
    let Some(program) = compiled.program.map(Arc::new) else { return (false, Duration::ZERO) };
    let places = Places::empty();
    let world = Arc::new(Snapshot::empty(Arc::new(Options::default()), 1));
    let settled: Arc<[Settled]> =
        program.settle(&Under { status: &|_| Status::NEVER, standing: &|_| Status::NEVER, places: &places });
    let qname: Name = "www.example.".parse().expect("a name");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    let mut least = Duration::MAX;
    let mut gives = false;
    for second in 0..3 {
        let facts = Facts {
            client: address.ip(),
            subnet: None,
            resolver: address,
            local: address,
            qname: qname.as_ref(),
            zone: NameRef::ROOT,
            owner: qname.as_ref(),
            tcp: false,
            dnssec_ok: false,
            payload: 1232,
            header: [0; 12],
            places: &places,
            unix: 1_800_000_000,
            monotonic: second * 1000,
        };
        let before = cpu();
        let answer = runner.answer((&program, &settled), &facts, &world, limits);
        least = least.min(cpu() - before);
        gives = match answer.said.map(|said| said.records) {
            Ok(Records::Texts(texts)) => !texts.is_empty() && texts.iter().all(|text| is_address(text)),
            Ok(Records::Members(members)) => members.iter().any(|&at| is_address(program.members()[usize::from(at)].as_bytes())),
            Err(_) => false,
        };
    }
    (gives, least)
}

fn is_address(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| rdata_from_text(RecordType::A, text).is_ok())
}

#[test]
fn each_ends_soon_and_none_answers() {
    let limits = Limits::default();
    let mut runner = Runner::new(fastrand::Rng::with_seed(1));
    let programs = programs();
    assert!(programs.len() >= 150, "{}", programs.len());
    let mut slow = Vec::new();
    for (name, code) in &programs {
        let (gives, took) = run(code, &mut runner, &limits);
        assert!(!gives, "{name} gives an address");
        if took > RUN_MAX {
            slow.push(format!("{name}: {took:?}"));
        }
    }
    assert!(slow.is_empty(), "longer than {RUN_MAX:?}: {slow:#?}");
    // The worker, its VM and its library are as they were.
    let sound = ";local t = {} for i = 1, 3 do t[i] = ('192.0.2.%d'):format(i) end return t";
    assert!(run(sound, &mut runner, &limits).0);
}

#[test]
fn shared_state_lives_through_them_too() {
    let limits = Limits { shared: true, ..Limits::default() };
    let mut runner = Runner::new(fastrand::Rng::with_seed(2));
    for (name, code) in &programs() {
        assert!(!run(code, &mut runner, &limits).0, "{name} gives an address");
    }
    let counts = ";count_of_runs = (count_of_runs or 0) + 1 return '192.0.2.' .. count_of_runs"; // a name that nobody took
    assert!(run(counts, &mut runner, &limits).0);
}
