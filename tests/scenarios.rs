//! Scenario files: zone, probe results, time passing, queries and expected answers, in virtual time.
//!
//! Every `tests/scenarios/*.txt` is one story, told to a real engine and a real answer routine; only the clock and the
//! probes are made up. The commands, one a line (`#` begins a comment):
//!
//! ```text
//! zone NAME VERSION            the indented lines that follow are the zone file
//! probe ADDRESS:PORT RESULT    from now on: pass, fail, silent (until the time limit), inconclusive; `*` is everyone
//! start VERSION                load it; nothing is answered until the start gate opens
//! reload VERSION -> adopted | refused N | pending
//! reload! VERSION -> ...       the same, accepting a regression
//! wait DURATION                time passes
//! ask NAME TYPE [from ADDR] [subnet NET] -> RCODE [aa] [tc] [scope N] [ede N] [: DATA, DATA]
//! ask ... -> ... one of DATA, DATA      exactly one record, out of these
//! ask ... -> closed            the DNS ports are not open yet
//! status ADDRESS:PORT -> VALUE BASIS
//! ```

mod harness;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness::Answer;
use leeward::answers::{Ctx, Notice, Notices, Now, Options, Published, Resolved, Response, Snapshot, Transport, Worker, respond};
use leeward::control::{Config, Effect, Engine, Event, Load, LoadId, LoadKind, Outcome};
use leeward::geo::Places;
use leeward::health::{self, Finished, Moment, RunId};
use leeward::node::compile::{self, Origin, Settings, Slots};
use leeward::program::{self, Limits};
use leeward::target::{self, Failure, Inconclusive};
use leeward::wire::{Class, ClientSubnet, Name, QueryBuilder, RecordType};
use leeward::zone::{self, Severity};

/// How long a probe that is answered takes.
const PROBE: Duration = Duration::from_millis(10);

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files = Vec::new();
    find(&folder, &mut files);
    files.sort();
    assert!(!files.is_empty(), "no scenarios");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text file");
        Story::new(file.display().to_string()).tell(&text);
    }
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
    told: tokio::sync::mpsc::Receiver<Notice>,
    open: bool,
    outcomes: Vec<Outcome>,
    slots: Slots,
    worker: Worker,
    /// Zone texts by version, then apex.
    zones: BTreeMap<String, Vec<(Name, String)>>,
    apex: Option<Name>,
    results: BTreeMap<SocketAddr, String>,
    everyone: String,
    /// Results under way.
    coming: BTreeMap<(Moment, u64), Event>,
    sent: u64,
}

impl Story {
    fn new(file: String) -> Self {
        let now = Moment::at(Duration::from_secs(1000));
        let config = Config {
            health: health::Config::default(),
            options: Arc::new(Options::default()),
            publish_interval: Duration::from_millis(10),
            workers: 1,
        };
        let empty = Snapshot::empty(Arc::clone(&config.options), 1);
        let (notices, told) = Notices::channel();
        let engine = Engine::new(config, fastrand::Rng::with_seed(1), now).with(notices, Resolved::default());
        Self {
            place: file,
            now,
            engine,
            published: Published::new(Arc::new(empty)),
            told,
            open: false,
            outcomes: Vec::new(),
            slots: Slots::default(),
            worker: Worker::new(0, fastrand::Rng::with_seed(2)),
            zones: BTreeMap::new(),
            apex: None,
            results: BTreeMap::new(),
            everyone: "pass".into(),
            coming: BTreeMap::new(),
            sent: 0,
        }
    }

    fn tell(&mut self, text: &str) {
        let file = self.place.clone();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            self.place = format!("{file}:{}", number + 1);
            let line = line.split('#').next().unwrap_or("").trim_end();
            let (command, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            match command {
                "" => {}
                "zone" => {
                    let (apex, version) = rest.split_once(' ').unwrap_or_else(|| panic!("{}: zone NAME VERSION", self.place));
                    let mut body = String::new();
                    while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("    ") || line.is_empty()) {
                        body += line.strip_prefix("    ").unwrap_or(line);
                        body.push('\n');
                    }
                    let apex: Name = apex.parse().expect("a name");
                    self.apex = Some(apex.clone());
                    self.zones.entry(version.trim().into()).or_default().push((apex, body));
                }
                _ => self.step(command, rest.trim()),
            }
        }
    }

    fn step(&mut self, command: &str, rest: &str) {
        let (what, expected) = rest.split_once("->").map_or((rest, ""), |(what, expected)| (what.trim(), expected.trim()));
        match command {
            "probe" => self.probe(what),
            "start" => self.load(what, LoadKind::Start),
            "reload" => self.reload(what, false, expected),
            "reload!" => self.reload(what, true, expected),
            "wait" => self.advance(humantime::parse_duration(what).expect("a duration")),
            "ask" => self.ask(what, expected),
            "status" => self.status(what, expected),
            other => panic!("{}: unknown command {other}", self.place),
        }
    }

    fn probe(&mut self, what: &str) {
        let (target, result) = what.split_once(' ').expect("probe TARGET RESULT");
        match target {
            "*" => self.everyone = result.trim().into(),
            target => drop(self.results.insert(target.parse().expect("ADDRESS:PORT"), result.trim().into())),
        }
    }

    // -------- loads

    fn load(&mut self, version: &str, kind: LoadKind) {
        let Limits { steps: step_limit, shared, .. } = Limits::default();
        let programs = program::Settings { defaults: program::Defaults::default(), step_limit, shared };
        let settings = Settings { programs, insert_whitespace: false, deny: Vec::new() };
        let snapshot = self.published.load();
        let mut zones = Vec::new();
        for (apex, text) in self.zones.get(version).unwrap_or_else(|| panic!("{}: no zone {version}", self.place)).clone() {
            let loaded = zone::load(&Text(text), Path::new("zone"), apex.as_ref());
            let contents = loaded.contents.unwrap_or_else(|| panic!("{}: {:#?}", self.place, loaded.findings));
            let version = compile::version(&snapshot, &contents, &settings, &mut self.slots, Origin::default());
            let unwanted: Vec<_> = version.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
            assert!(unwanted.is_empty() || apex.to_string().starts_with("broken"), "{}: {unwanted:#?}", self.place);
            zones.push(version.load);
        }
        let (health, options) = (health::Config::default(), Arc::new(Options::default()));
        let load = Load {
            id: LoadId(1),
            kind,
            zones,
            removed: Vec::new(),
            health,
            places: Arc::new(Places::empty()),
            options,
            publish_interval: Duration::from_millis(10),
        };
        self.outcomes.clear();
        self.engine.handle(Event::Loaded(Box::new(load)), self.now);
        self.run_effects();
    }

    fn reload(&mut self, version: &str, accept_regression: bool, expected: &str) {
        self.load(version, LoadKind::Reload { accept_regression });
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
                Effect::Probe { run, spec } => self.run_probe(run, &spec),
                Effect::Publish { snapshot, .. } => {
                    assert!(snapshot.generation > self.published.load().generation, "{}: generations move forward", self.place);
                    drop(self.published.publish(snapshot));
                }
                Effect::Open => {
                    self.open = true;
                    self.engine.handle(Event::Opened(Vec::new()), self.now);
                }
                Effect::Decided { outcome, .. } => self.outcomes.push(outcome),
                Effect::Keep { .. } | Effect::Log(_) => {}
            }
        }
    }

    fn run_probe(&mut self, run: RunId, spec: &target::CheckSpec) {
        let result = spec.socket_address().and_then(|to| self.results.get(&to)).unwrap_or(&self.everyone);
        let (outcome, elapsed) = match result.as_str() {
            "pass" => (target::Outcome::PASS, PROBE),
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
        let mut client: IpAddr = [192, 0, 2, 200].into();
        let mut builder = QueryBuilder::new(&name, rtype, Class::IN).client_subnet(None);
        while let (Some(word), Some(value)) = (words.next(), words.next()) {
            match word {
                "from" => client = value.parse().expect("an address"),
                "subnet" => {
                    let (network, source) = value.split_once('/').expect("NET/LEN");
                    let (network, source) = (network.parse().expect("an address"), source.parse().expect("a length"));
                    builder = builder.client_subnet(Some(ClientSubnet { network, source }));
                }
                other => panic!("{}: unknown word {other}", self.place),
            }
        }
        let mut reply = vec![0; 65_535];
        let (client, local) = (SocketAddr::new(client, 49152), SocketAddr::from(([192, 0, 2, 53], 53)));
        let ctx = Ctx { client, local, transport: Transport::Udp, now: Now::default() };
        let snapshot = self.published.load();
        let Response::Reply(len) = respond(&snapshot, &mut self.worker, &ctx, &builder.build(), &mut reply) else {
            panic!("{}: no reply", self.place)
        };
        self.compare(&reply[..len], expected);
        while let Ok(notice) = self.told.try_recv() {
            if let Notice::WantsCheck(request) = notice {
                self.engine.handle(Event::Wanted(request), self.now);
            }
        }
        self.run_effects();
    }

    fn compare(&self, reply: &[u8], expected: &str) {
        let answer = Answer::of(reply);
        let data = &answer.data;
        let (head, wanted, one_of) = match (expected.split_once(" one of "), expected.split_once(':')) {
            (Some((head, wanted)), _) => (head, wanted, true),
            (None, Some((head, wanted))) => (head, wanted, false),
            (None, None) => (expected, "", false),
        };
        let mut wanted: Vec<String> =
            wanted.split(',').map(|data| data.trim().to_owned()).filter(|data| !data.is_empty()).collect();
        wanted.sort();
        let seen = facts(&answer);
        for (at, word) in head.split_whitespace().enumerate() {
            match word {
                "scope" | "ede" => {}
                word if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let fact = format!("{} {word}", head.split_whitespace().nth(at - 1).unwrap_or(""));
                    assert!(seen.contains(&fact), "{}: {fact} is not in {seen:?}", self.place);
                }
                word => assert!(seen.contains(&word.to_owned()), "{}: {word} is not in {seen:?}", self.place),
            }
        }
        if one_of {
            assert!(data.len() == 1 && wanted.contains(&data[0]), "{}: {data:?} is not one of {wanted:?}", self.place);
        } else {
            assert_eq!(*data, wanted, "{} ({seen:?})", self.place);
        }
    }

    fn status(&self, what: &str, expected: &str) {
        let target: SocketAddr = what.parse().expect("ADDRESS:PORT");
        let view = self.engine.checks().find(|view| view.spec.socket_address() == Some(target));
        let seen = view.map_or_else(|| "none".to_owned(), |view| format!("{} {}", view.status.value, view.status.basis));
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
    facts
}

/// A zone file that is a string.
struct Text(String);

impl zone::Source for Text {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}
