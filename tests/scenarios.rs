//! Scenario files: zone, probe results, time passing, queries and expected answers, in virtual time.
//!
//! Every `.txt` file in `tests/scenarios` is one story, told to a real engine and a real answer routine; only the clock and
//! the probes are made up. `lua/` has a row for each row of PowerDNS's behaviour. The commands, one a line (`# ` begins a comment):
//!
//! ```text
//! zone NAME VERSION            the indented lines that follow are the zone file
//! config                       the indented lines that follow are a configuration, for the loads to come
//! places                       the indented lines that follow say where networks are: NET KEY=VALUE ...
//! option any full | insert_whitespace | lua_state shared      before the start
//! probe ADDRESS:PORT RESULT    from now on: pass, pass WEIGHT, fail, silent (until the time limit), inconclusive; `*` is
//!                              everyone; a check without an address is HOST:PORT
//! start VERSION [with errors]  load it; nothing is answered until the start gate opens
//! finding OWNER COLUMN SEVERITY: MESSAGE    what the load said of the line that begins with OWNER
//! refused VERSION: MESSAGE     loading it fails, and why
//! lua TYPE "CODE" [...] -> ... a record of its own in the zone above, and a question for it as `ask` has them
//! finding COLUMN SEVERITY: MESSAGE          the same of the last `lua`, columns counted from 1 in the code
//! reload VERSION -> adopted | refused N | pending
//! reload! VERSION -> ...       the same, accepting a regression
//! wait DURATION                time passes
//! ask NAME TYPE [from ADDR[:PORT]] [local ADDR:PORT] [subnet NET] [id N] [size N] [do] [tcp] [plain]
//!     -> RCODE [aa] [tc] [scope N] [ede N] [ttl N] [: DATA, DATA]
//!                              DATA may stand in double quotes, which keep blanks and commas
//! ask ... -> ... one of DATA, DATA      exactly one record, out of these
//! ask ... -> ... each of DATA, DATA     asked often, always one record, and each of these in its turn
//! ask ... -> closed            the DNS ports are not open yet
//! status ADDRESS:PORT -> VALUE BASIS        what is measured
//! counts ADDRESS:PORT -> VALUE BASIS        what that counts as, under what operators and the overrides file say
//! file -> in force | refused SUBJECT, SUBJECT    the indented lines that follow are the overrides file now; before the start, with
//!                              which it is read, of no consequence what for. Its clock stands at 2030-01-01T00:00:00Z at first
//! file -> bad LINE: MESSAGE    it cannot be read for that
//! say[!] SUBJECT STATE -> done | REFUSAL    an operator's word, said twice with `!`; `say SUBJECT released` takes it back, and
//!                              `say pool/NAME failback` is no word
//! ```

mod harness;
#[path = "../src/geo/testing.rs"]
#[allow(dead_code, reason = "for the tests of the databases")]
mod mmdb;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness::Answer;
use leeward::answers::{
    Any, Ctx, Notice, Notices, Now, Options, Published, Resolved, Response, Snapshot, Transport, Worker, respond,
};
use leeward::config::Said;
use leeward::control::{
    Action, Command, CommandId, Config, Effect, Engine, Event, FileWords, Load, LoadId, LoadKind, Outcome, Refusal, Reply,
    WordFault, ZoneLoad,
};
use leeward::geo::{Database, Places};
use leeward::health::{self, Due, Finished, Moment, RunId};
use leeward::node::compile::{self, Origin, Settings, Slots};
use leeward::program;
use leeward::target::{self, Failure, Inconclusive};
use leeward::wire::{Class, ClientSubnet, Name, QueryBuilder, RecordType};
use leeward::zone::{self, Severity};
use tokio::sync::mpsc::Receiver;

/// How long a probe that is answered takes.
const PROBE: Duration = Duration::from_millis(10);
/// What the clock of overrides files shows when a story begins: 2030-01-01T00:00:00Z.
const FILE_CLOCK: u64 = 1_893_456_000_000;
/// How often is asked where chance decides: that one of two never comes is not to be feared.
const OFTEN: usize = 200;

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files = Vec::new();
    find(&folder, &mut files);
    files.sort();
    assert!(!files.is_empty(), "no scenarios");
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text file");
        let mut story = Story::new(file.display().to_string());
        story.tell(&text);
        wrong.append(&mut story.wrong);
    }
    assert!(wrong.is_empty(), "{} answers are not as expected:\n{}", wrong.len(), wrong.join("\n"));
}

fn find(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
}

/// One scenario being told.
struct Story {
    place: String,
    now: Moment,
    engine: Engine,
    published: Published,
    /// What queries have to tell.
    told: Receiver<Notice>,
    open: bool,
    outcomes: Vec<Outcome>,
    replies: Vec<Reply>,
    began: Moment,
    /// Of the overrides file, for the next load.
    words: Option<FileWords>,
    faults: Vec<WordFault>,
    slots: Slots,
    worker: Worker,
    /// Zone texts by version, then apex.
    zones: BTreeMap<String, Vec<(Name, String)>>,
    apex: Option<Name>,
    results: BTreeMap<String, String>,
    places: Arc<Places>,
    options: Options,
    health: health::Config,
    insert_whitespace: bool,
    /// The name of the last `lua`.
    row: String,
    /// Of the last load, with the text that it was about.
    findings: Vec<(String, zone::Finding)>,
    everyone: String,
    /// Answers that are not as expected.
    wrong: Vec<String>,
    /// Results under way.
    coming: BTreeMap<(Moment, u64), Event>,
    sent: u64,
}

impl Story {
    fn new(file: String) -> Self {
        let now = Moment::at(Duration::from_secs(1000));
        let options = Options::default();
        let (engine, published, told) = engine(&options, now);
        Self {
            place: file,
            now,
            engine,
            published,
            told,
            open: false,
            outcomes: Vec::new(),
            replies: Vec::new(),
            began: now,
            words: None,
            faults: Vec::new(),
            slots: Slots::default(),
            worker: Worker::new(0, fastrand::Rng::with_seed(2)),
            zones: BTreeMap::new(),
            apex: None,
            results: BTreeMap::new(),
            places: Arc::new(Places::empty()),
            options,
            health: health::Config::default(),
            insert_whitespace: false,
            wrong: Vec::new(),
            row: String::new(),
            findings: Vec::new(),
            everyone: "pass".into(),
            coming: BTreeMap::new(),
            sent: 0,
        }
    }

    fn tell(&mut self, text: &str) {
        let file = self.place.clone();
        let file_lines: Vec<&str> = text.lines().collect();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            self.place = format!("{file}:{}", number + 1);
            let line = line.split("# ").next().unwrap_or("").trim_end();
            let (command, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            match command {
                "" => {}
                "zone" => {
                    let (apex, version) = rest.split_once(' ').unwrap_or_else(|| panic!("{}: zone NAME VERSION", self.place));
                    let body = indented(&mut lines);
                    let apex: Name = apex.parse().expect("a name");
                    self.apex = Some(apex.clone());
                    let zones = self.zones.entry(version.trim().into()).or_default();
                    zones.push((apex, body + &rows(&file_lines, number)));
                }
                "config" => self.configure(&indented(&mut lines)),
                "file" => {
                    let expected = rest.trim().strip_prefix("-> ").expect("file -> ...").trim();
                    self.file(&indented(&mut lines), expected);
                }
                "places" => self.places = Arc::new(places(&indented(&mut lines))),
                "lua" => {
                    let (question, expected) = rest.split_once(" -> ").expect("lua TYPE CODE -> ...");
                    let (rtype, _, words) = row(question);
                    self.row = format!("line{number}");
                    self.ask(&format!("line{number} {rtype} {words}"), expected.trim());
                }
                _ => self.step(command, rest.trim()),
            }
        }
    }

    fn step(&mut self, command: &str, rest: &str) {
        let (what, expected) = rest.split_once("->").map_or((rest, ""), |(what, expected)| (what.trim(), expected.trim()));
        match command {
            "probe" => self.probe(what),
            "option" => self.option(what),
            "start" => {
                let version = what.strip_suffix(" with errors");
                self.load(version.unwrap_or(what), LoadKind::Start);
                self.expect_errors(version.is_some());
            }
            "finding" => self.finding(what),
            "refused" => self.refused(what),
            "reload" => self.reload(what, false, expected),
            "reload!" => self.reload(what, true, expected),
            "wait" => self.advance(humantime::parse_duration(what).expect("a duration")),
            "ask" => self.ask(what, expected),
            "status" => self.status(what, expected, |view| view.status),
            "counts" => self.status(what, expected, |view| view.counts),
            "say" => self.say(what, expected, false),
            "say!" => self.say(what, expected, true),
            other => panic!("{}: unknown command {other}", self.place),
        }
    }

    fn probe(&mut self, what: &str) {
        let (target, result) = what.split_once(' ').expect("probe TARGET RESULT");
        match target {
            "*" => self.everyone = result.trim().into(),
            target => drop(self.results.insert(target.into(), result.trim().into())),
        }
    }

    fn option(&mut self, what: &str) {
        match what {
            "any full" => self.options.any = Any::Full,
            "insert_whitespace" => self.insert_whitespace = true,
            "lua_state shared" => self.options.programs.shared = true,
            other => panic!("{}: unknown option {other}", self.place),
        }
        (self.engine, self.published, self.told) = engine(&self.options, self.now);
    }

    /// What names checks, sites, maps and pools; and `[health]`.
    fn configure(&mut self, text: &str) {
        let site = harness::Site::new();
        let path = site.write("leeward.toml", text);
        let loaded = leeward::config::load(&path);
        let errors: Vec<_> = loaded.findings.iter().filter(|finding| finding.error).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", self.place);
        let config = loaded.config.expect("no errors");
        (self.options.checks, self.health) = (config.answering.checks, config.health);
        if !self.open {
            (self.engine, self.published, self.told) = engine(&self.options, self.now);
        }
    }

    fn file(&mut self, text: &str, expected: &str) {
        let site = harness::Site::new();
        site.write("overrides.toml", text);
        let path = site.write("leeward.toml", "[node]\noverrides_file = \"overrides.toml\"\n[zone.z]\nfile = \"z\"\n");
        let loaded = leeward::config::load(&path);
        let words = match loaded.config.expect("no errors of its own").overrides.expect("named").said {
            Said::Words(words) => words,
            Said::Missing => panic!("{}: it was written", self.place),
            Said::Bad => {
                let first = loaded.findings.iter().find(|finding| finding.error).expect("why");
                let folder = format!("{}/", path.parent().expect("a folder").display());
                let seen = format!("bad {}: {}", first.line, first.message.replace(&folder, ""));
                return self.check(seen == expected, || format!("{seen} and not {expected}"));
            }
        };
        let wall = FILE_CLOCK + u64::try_from(self.now.since(self.began).as_millis()).expect("a short story");
        self.words = Some(FileWords { words, wall });
        if !self.open {
            return;
        }
        self.faults.clear();
        self.load_zones(Vec::new(), LoadKind::Reload { accept_regression: false });
        self.advance(Duration::from_millis(10));
        let refused: Vec<_> = self.faults.iter().map(|fault| fault.word.about.to_string()).collect();
        let seen = if refused.is_empty() { "in force".to_owned() } else { format!("refused {}", refused.join(", ")) };
        self.check(seen == expected, || format!("{seen} and not {expected}"));
    }

    fn say(&mut self, what: &str, expected: &str, twice: bool) {
        let (subject, state) = what.split_once(' ').expect("SUBJECT STATE");
        let subject = subject.parse().unwrap_or_else(|()| panic!("{}: {subject} is no subject", self.place));
        let action = match state {
            "released" => Action::Release,
            "failback" => Action::FailBack,
            state => Action::Say {
                state: state.parse().expect("a state"),
                lasting: Some(Duration::from_secs(4 * 3600)),
                since: 0,
                by: "me".into(),
                reason: "a scenario".into(),
            },
        };
        let (if_version, dry_run, volatile) = (None, false, false);
        let command = Command { subject, action, if_version, dry_run, accept_empty: twice, accept_unknown: twice, volatile };
        self.replies.clear();
        self.engine.handle(Event::Ordered(CommandId(1), Box::new(command)), self.now);
        self.run_effects();
        for _ in 0..100 {
            if !self.replies.is_empty() {
                break;
            }
            self.advance(Duration::from_millis(10));
        }
        let seen = match self.replies.pop() {
            Some(Ok(_)) => "done".to_owned(),
            Some(Err(Refusal::WouldEmpty(_))) => "would empty".to_owned(),
            Some(Err(Refusal::OfFile(_))) => "of the file".to_owned(),
            Some(Err(refusal)) => format!("{refusal:?}"),
            None => "no reply".to_owned(),
        };
        self.check(seen == expected, || format!("{seen} and not {expected}"));
    }

    fn finding(&mut self, what: &str) {
        let (place, message) = what.split_once(": ").expect("OWNER COLUMN SEVERITY: MESSAGE");
        let (owner, in_code, column, severity) = match place.split(' ').collect::<Vec<_>>()[..] {
            [owner, column, severity] => (owner, false, column, severity),
            [column, severity] => (&*self.row, true, column, severity),
            _ => panic!("{}: two or three words", self.place),
        };
        let of_owner = |(text, finding): &&(String, zone::Finding)| {
            text.lines().nth(finding.at.line as usize - 1).is_some_and(|line| line.split_whitespace().next() == Some(owner))
        };
        let seen: Vec<String> = self
            .findings
            .iter()
            .filter(of_owner)
            .map(|(text, finding)| {
                let line = text.lines().nth(finding.at.line as usize - 1).unwrap_or_default();
                let code = line.find('"').filter(|_| in_code).map_or(0, |quote| quote + 1);
                format!("{} {}: {}", finding.at.column as usize - code, finding.severity, finding.message).to_lowercase()
            })
            .collect();
        let wanted = format!("{column} {severity}: {message}").to_lowercase();
        self.check(seen.contains(&wanted), || format!("{wanted} is not in {seen:?}"));
    }

    fn refused(&self, what: &str) {
        let (version, message) = what.split_once(": ").expect("VERSION: MESSAGE");
        for (apex, text) in &self.zones[version] {
            let loaded = zone::load(&Text(text.clone()), Path::new("zone"), apex.as_ref());
            assert!(loaded.contents.is_none(), "{}: it loads", self.place);
            let seen: Vec<_> = loaded.findings.iter().map(|finding| &*finding.message).collect();
            assert!(seen.contains(&message), "{}: {message} is not in {seen:#?}", self.place);
        }
    }

    // -------- loads

    fn load(&mut self, version: &str, kind: LoadKind) {
        let programs = program::Settings {
            defaults: self.options.checks.clone(),
            step_limit: self.options.programs.steps,
            shared: self.options.programs.shared,
        };
        let settings = Settings { programs, insert_whitespace: self.insert_whitespace, fence: Default::default() };
        self.findings.clear();
        let snapshot = self.published.load();
        let mut zones = Vec::new();
        for (apex, text) in self.zones.get(version).unwrap_or_else(|| panic!("{}: no zone {version}", self.place)).clone() {
            let loaded = zone::load(&Text(text.clone()), Path::new("zone"), apex.as_ref());
            let contents = loaded.contents.unwrap_or_else(|| panic!("{}: {:#?}", self.place, loaded.findings));
            let version = compile::version(&snapshot, contents, &settings, &mut self.slots, Origin::default());
            self.findings.extend(version.findings.into_iter().map(|finding| (text.clone(), finding)));
            zones.push(version.load);
        }
        self.load_zones(zones, kind);
    }

    fn load_zones(&mut self, zones: Vec<ZoneLoad>, kind: LoadKind) {
        let (health, options) = (self.health.clone(), Arc::new(self.options.clone()));
        let load = Load {
            id: LoadId(1),
            kind,
            zones,
            removed: Vec::new(),
            words: self.words.take(),
            health,
            places: Arc::clone(&self.places),
            options,
            publish_interval: Duration::from_millis(10),
        };
        self.outcomes.clear();
        self.engine.handle(Event::Loaded(Box::new(load)), self.now);
        self.run_effects();
    }

    fn expect_errors(&mut self, expected: bool) {
        let errors: Vec<_> = self.findings.iter().filter(|(_, finding)| finding.severity == Severity::Error).collect();
        let (any, seen) = (!errors.is_empty(), format!("errors of the load: {errors:?}"));
        self.check(any == expected, || seen);
    }

    fn reload(&mut self, version: &str, accept_regression: bool, expected: &str) {
        self.load(version, LoadKind::Reload { accept_regression });
        self.expect_errors(false);
        let seen = |outcomes: &[Outcome]| match outcomes {
            [] => "pending".to_owned(),
            [Outcome::Adopted(_)] => "adopted".to_owned(),
            [Outcome::Refused(_, regressions)] => format!("refused {}", regressions.len()),
            other => format!("{other:?}"),
        };
        if expected != "pending" {
            for _ in 0..1000 {
                if !self.outcomes.is_empty() {
                    break;
                }
                self.advance(Duration::from_millis(10));
            }
        }
        assert_eq!(seen(&self.outcomes), expected, "{}", self.place);
    }

    // -------- time

    fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let timer = self.engine.next_timeout().map(|at| at.max(self.now));
            let result = self.coming.keys().next().map(|&(at, _)| at);
            let Some(next) = timer.into_iter().chain(result).min().filter(|&next| next <= until) else { break };
            self.now = next;
            match self.coming.first_key_value() {
                Some((&(at, _), _)) if at <= next => {
                    let (_, event) = self.coming.pop_first().expect("just seen");
                    self.engine.handle(event, self.now);
                }
                _ => self.engine.handle_timeout(self.now),
            }
            self.run_effects();
        }
        self.now = until;
    }

    fn run_effects(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Probe(Due { run, spec, .. }) => self.run_probe(run, &spec),
                Effect::Publish { snapshot, .. } => {
                    assert!(snapshot.generation > self.published.load().generation, "{}: generations move forward", self.place);
                    drop(self.published.publish(snapshot));
                }
                Effect::Open => {
                    self.open = true;
                    self.engine.handle(Event::Opened(Vec::new()), self.now);
                }
                Effect::Decided { outcome, faults, .. } => {
                    self.outcomes.push(outcome);
                    self.faults.extend(faults);
                }
                Effect::Record { command: Some(command), .. } => {
                    self.engine.handle(Event::Recorded { command, result: Ok(()) }, self.now);
                }
                Effect::Reply { reply, .. } => self.replies.push(*reply),
                Effect::Keep(_)
                | Effect::Record { command: None, .. }
                | Effect::Remember { .. }
                | Effect::RememberPool { .. }
                | Effect::Wire(_)
                | Effect::Tell { .. }
                | Effect::Receipt { .. }
                | Effect::Log(_) => {}
            }
        }
    }

    fn run_probe(&mut self, run: RunId, spec: &target::CheckSpec) {
        let result = self.results.get(&spec.target().to_string()).unwrap_or(&self.everyone);
        let (outcome, elapsed) = match result.as_str() {
            "pass" => (target::Outcome::PASS, PROBE),
            weighted if weighted.starts_with("pass ") => {
                (target::Outcome::Pass { weight: weighted[5..].parse().expect("a weight") }, PROBE)
            }
            "fail" => (target::Outcome::Fail(Failure::Refused), PROBE),
            "silent" => (target::Outcome::Fail(Failure::Timeout), spec.timeout),
            "inconclusive" => (target::Outcome::Inconclusive(Inconclusive::Resources), PROBE),
            other => panic!("{}: unknown result {other}", self.place),
        };
        self.sent += 1;
        let result = Finished { outcome, started: self.now, elapsed };
        self.coming.insert((self.now + elapsed, self.sent), Event::Probed { run, result });
    }

    // -------- questions

    fn ask(&mut self, what: &str, expected: &str) {
        if expected == "closed" {
            assert!(!self.open, "{}: the ports are open", self.place);
            return;
        }
        assert!(self.open, "{}: the ports are not open", self.place);
        let mut words = what.split_whitespace();
        let (name, rtype) = (words.next().expect("a name"), words.next().expect("a type"));
        let name = Name::from_text(name.as_bytes(), self.apex.as_ref().map(Name::as_ref)).expect("a name");
        let rtype: RecordType = rtype.parse().expect("a type");
        let mut ctx = Ctx {
            client: SocketAddr::from(([192, 0, 2, 200], 4711)),
            local: SocketAddr::from(([192, 0, 2, 53], 53)),
            transport: Transport::Udp,
            now: Now { monotonic: 0, unix: 1_700_000_000 },
        };
        let query = QueryBuilder::new(&name, rtype, Class::IN);
        let opt = query.clone().build().len();
        let mut message = query.clone().client_subnet(None).build();
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("a value behind {word}"));
            match word {
                "from" => ctx.client = socket(value(), 4711),
                "local" => ctx.local = socket(value(), 53),
                "subnet" => {
                    let (network, source) = value().split_once('/').expect("NET/LEN");
                    let (network, source) = (network.parse().expect("an address"), source.parse().expect("a length"));
                    message = query.clone().client_subnet(Some(ClientSubnet { network, source })).build();
                }
                "plain" => message = query.clone().build(),
                "tcp" => ctx.transport = Transport::Tcp,
                "id" => message[..2].copy_from_slice(&value().parse::<u16>().expect("a number").to_be_bytes()),
                "size" => message[opt + 3..opt + 5].copy_from_slice(&value().parse::<u16>().expect("a number").to_be_bytes()),
                "do" => message[opt + 7] |= 0x80,
                other => panic!("{}: unknown word {other}", self.place),
            }
        }
        let mut answers = Vec::new();
        for _ in 0..if expected.contains(" each of ") { OFTEN } else { 1 } {
            let mut reply = vec![0; 65_535];
            let snapshot = self.published.load();
            let Response::Reply(len) = respond(&snapshot, &mut self.worker, &ctx, &message, &mut reply) else {
                panic!("{}: no reply", self.place)
            };
            answers.push(Answer::of(&reply[..len]));
        }
        self.grant_wishes();
        answers.iter().for_each(|answer| self.compare(answer, expected));
        if let Some((_, each)) = expected.split_once(" each of ") {
            let seen: BTreeSet<&String> = answers.iter().flat_map(|answer| &answer.data).collect();
            let each = data_of(each);
            self.check(seen == each.iter().collect(), || format!("{seen:?} are not each of {each:?}"));
        }
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(format!("{}: {}", self.place, what()));
        }
    }

    /// Has the checks made up that the programs of the last queries want.
    fn grant_wishes(&mut self) {
        while let Ok(notice) = self.told.try_recv() {
            if let Notice::WantsCheck(wish) = notice {
                self.engine.handle(Event::Wanted(wish), self.now);
            }
        }
        self.run_effects();
    }

    fn compare(&mut self, answer: &Answer, expected: &str) {
        let data = &answer.data;
        let some = expected.split_once(" one of ").or_else(|| expected.split_once(" each of "));
        let (head, wanted, one_of) = match (some, expected.split_once(':')) {
            (Some((head, wanted)), _) => (head, wanted, true),
            (None, Some((head, wanted))) => (head, wanted, false),
            (None, None) => (expected, "", false),
        };
        let wanted = data_of(wanted);
        let seen = facts(answer);
        for (at, word) in head.split_whitespace().enumerate() {
            match word {
                "scope" | "ede" | "ttl" => {}
                word if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let fact = format!("{} {word}", head.split_whitespace().nth(at - 1).unwrap_or(""));
                    self.check(seen.contains(&fact), || format!("{fact} is not in {seen:?}"));
                }
                word => self.check(seen.contains(&word.to_owned()), || format!("{word} is not in {seen:?}: {data:?}")),
            }
        }
        if one_of {
            self.check(data.len() == 1 && wanted.contains(&data[0]), || format!("{data:?} is not one of {wanted:?}"));
        } else {
            self.check(*data == wanted, || format!("{data:?} and not {wanted:?} ({seen:?})"));
        }
    }

    fn status(&self, what: &str, expected: &str, of: impl Fn(&health::CheckView) -> target::Status) {
        let target: SocketAddr = what.parse().expect("ADDRESS:PORT");
        let view = self.engine.checks().find(|view| view.spec.socket_address() == Some(target));
        let seen = view.map_or_else(|| "none".to_owned(), |view| format!("{} {}", of(&view).value, of(&view).basis));
        assert_eq!(seen, expected, "{}", self.place);
    }
}

/// The rcode, flags, scope and extended error of a reply as words.
fn facts(answer: &Answer) -> Vec<String> {
    let mut facts = vec![answer.rcode.clone()];
    facts.extend(answer.authoritative.then(|| "aa".to_owned()));
    facts.extend(answer.truncated.then(|| "tc".to_owned()));
    facts.extend(answer.scope.map(|scope| format!("scope {scope}")));
    facts.extend(answer.ede.map(|code| format!("ede {code}")));
    facts.extend(answer.ttl.map(|ttl| format!("ttl {ttl}")));
    facts
}

fn engine(options: &Options, now: Moment) -> (Engine, Published, Receiver<Notice>) {
    let config = Config {
        health: health::Config::default(),
        options: Arc::new(options.clone()),
        publish_interval: Duration::from_millis(10),
        workers: 1,
    };
    let empty = Snapshot::empty(Arc::clone(&config.options), 1);
    let (notices, told) = Notices::channel();
    let engine = Engine::new(config, fastrand::Rng::with_seed(1), now).with(notices, Resolved::default());
    (engine, Published::new(Arc::new(empty)), told)
}

/// The lines that are indented, without it.
fn indented<'t>(lines: &mut std::iter::Peekable<impl Iterator<Item = (usize, &'t str)>>) -> String {
    let mut text = String::new();
    while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("    ") || line.is_empty()) {
        text += line.strip_prefix("    ").unwrap_or(line);
        text.push('\n');
    }
    text
}

/// The records of the `lua` lines from `number` to the next zone.
fn rows(lines: &[&str], number: usize) -> String {
    let lines = lines.iter().enumerate().skip(number + 1).take_while(|(_, line)| !line.starts_with("zone "));
    let rows = lines.filter_map(|(number, line)| {
        let (question, _) = line.strip_prefix("lua ")?.split_once(" -> ")?;
        let (rtype, strings, _) = row(question);
        Some(format!("line{number} LUA {rtype} {strings}\n"))
    });
    rows.collect()
}

/// The type, the strings and the rest of a `lua` line.
fn row(question: &str) -> (&str, &str, &str) {
    let (rtype, rest) = question.split_once(' ').expect("TYPE CODE");
    let end = rest.rfind('"').expect("quotes") + 1;
    (rtype, rest[..end].trim(), rest[end..].trim())
}

/// Data between commas, sorted.
fn data_of(text: &str) -> Vec<String> {
    let (mut data, mut quoted) = (vec![String::new()], false);
    for letter in text.chars() {
        quoted ^= letter == '"';
        match data.last_mut() {
            Some(last) if letter != ',' || quoted => last.push(letter),
            _ => data.push(String::new()),
        }
    }
    let unquote = |text: &str| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).to_owned();
    let mut data: Vec<String> = data.iter().map(|data| data.trim()).filter(|data| !data.is_empty()).map(unquote).collect();
    data.sort();
    data
}

fn socket(text: &str, port: u16) -> SocketAddr {
    text.parse().unwrap_or_else(|_| SocketAddr::new(text.parse().expect("an address"), port))
}

/// A database of places out of lines of `NET KEY=VALUE ...`, with `_` for blanks.
fn places(text: &str) -> Places {
    use mmdb::{Mmdb, Value};
    let mut database = Mmdb::v6();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (network, attributes) = line.split_once(' ').expect("NET KEY=VALUE");
        let (mut record, mut location) = (Vec::new(), Vec::new());
        for attribute in attributes.split_whitespace() {
            let (key, value) = attribute.split_once('=').expect("KEY=VALUE");
            let value: &'static str = Box::leak(value.replace('_', " ").into());
            let text = Value::Text(value);
            let double = || Value::Double(value.parse().expect("degrees"));
            match key {
                "country" => record.push(("country", Value::Map(vec![("iso_code", text)]))),
                "continent" => record.push(("continent", Value::Map(vec![("code", text)]))),
                "region" => record.push(("subdivisions", Value::List(vec![Value::Map(vec![("iso_code", text)])]))),
                "city" => record.push(("city", Value::Map(vec![("names", Value::Map(vec![("en", text)]))]))),
                "asn" => record.push(("autonomous_system_number", Value::Number(value.parse().expect("a number")))),
                "name" => record.push(("autonomous_system_organization", text)),
                "lat" => location.push(("latitude", double())),
                "lon" => location.push(("longitude", double())),
                "radius" => location.push(("accuracy_radius", Value::Number(value.parse().expect("a number")))),
                other => panic!("unknown attribute {other}"),
            }
        }
        if !location.is_empty() {
            record.push(("location", Value::Map(location)));
        }
        database.insert(network, &Value::Map(record));
    }
    Places::new([Database::read("places", &database.write(28)).expect("a database")])
}

/// A zone file that is a string.
struct Text(String);

impl zone::Source for Text {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}
