//! The checks that exist, the probes that run for them, and when each is due.
//!
//! - `company`: what other nodes say, and what they are told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::target::{Basis, CheckId, CheckKey, CheckRequest, CheckSpec, Judgement, Outcome, Status, Value, Vote};

use super::config::Config;
use super::moment::Moment;
use super::overrides::Subject;
use super::peers::{Incarnation, Peers, Said};
use super::sight::{Blindness, Met, Sight};
use super::troubles::{TroubleChange, Troubles};
use super::verdict::{Remembered, Verdict};
use company::Company;

mod company;

/// One run of a probe. Never given twice, so a result that comes late, for a probe that was ended and begun again in the
/// meantime, is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(u64);

/// One idle connection. Never given twice, so the end of one that nobody wants any more is not taken for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WireId(u64);

/// Every check of the node.
///
/// A **probe** is what runs: one per [`CheckKey`], at the shortest interval that anyone asks. A **check** is what
/// programs consult: one per (probe, [`Judgement`]), counted by reference. The first run of a new probe is due at once
/// (measure before you serve); the second falls at a point of the interval that the key decides, so that thousands of
/// probes that begin together are spread; from then on each wait is shortened by up to the jitter (`[health]`, or the check's own), never lengthened,
/// so that nodes that began together drift apart and nothing is ever late by design.
///
/// A result that contradicts what any of the probe's checks says, and that does not change it yet, is a **surprise**: the
/// next run follows after that check's retry interval, if that is sooner, and so on until no check is in doubt. So `fall = 3`
/// costs one interval and two short waits, and a probe that several judge re-asks as soon as the most impatient of those
/// in doubt would have it.
#[derive(Debug)]
pub struct Checks {
    hold: Duration,
    /// [`Config::jitter`].
    jitter: u8,
    /// [`Config::max_checks`].
    max: Option<usize>,
    probes: HashMap<CheckKey, Probe>,
    checks: BTreeMap<CheckId, Check>,
    ids: HashMap<(CheckKey, Judgement), CheckId>,
    next_id: u32,
    next_run: u64,
    /// And since when.
    running: HashMap<RunId, (CheckKey, Moment)>,
    due: BTreeSet<(Moment, CheckKey)>,
    expiries: BTreeSet<(Moment, CheckId)>,
    /// What an earlier process believed of probes that there are none of yet.
    remembered: HashMap<CheckKey, Remembered>,
    /// When it last saw evidence for that.
    remembered_at: Moment,
    sight: Sight,
    /// Of `[health] control`.
    controls: Vec<(CheckId, CheckRequest)>,
    blind_since: Option<Moment>,
    sight_changes: VecDeque<SightChange>,
    next_wire: u64,
    /// The idle connections that are wanted.
    wires: HashMap<WireId, CheckKey>,
    wire_changes: VecDeque<WireChange>,
    troubles: Troubles,
    peers: Peers,
    company: Company,
}

#[derive(Debug)]
struct Probe {
    spec: Arc<CheckSpec>,
    /// [`CheckSpec::question`].
    question: CheckKey,
    /// Those asked for.
    intervals: Intervals,
    judged_by: Vec<CheckId>,
    turn: Turn,
    runs: u64,
    /// How often the value of a check that judges it has changed; those that are gone count too.
    transitions: u64,
    last: Option<LastResult>,
    /// When the last run began of which a result was taken in.
    began: Option<Moment>,
    wire: Wire,
    /// How long the target will be in doubt after the end of its idle connection.
    rewire: Duration,
    /// Whether the target was heard when it was last asked, as `sight` has it.
    heard: Option<bool>,
}

/// How soon a run that tells nothing is followed by another, if an idle connection has ended.
const UNTOLD: Duration = Duration::from_secs(1);
/// How long a target that has ended an idle connection is in doubt, however well it passes.
const DOUBT: Duration = Duration::from_millis(200);
/// How long after its first pass since then it is asked again: by then a process that was dying has given up its port too.
const DYING: Duration = Duration::from_millis(20);
/// An idle connection that ends sooner is not held for long by its target, whatever becomes of that.
const SHORT: Duration = Duration::from_secs(10);

/// The idle connection to a probe's target, where a check asks for one ([`Judgement::tripwire`]).
///
/// | it is | Pass | Fail | a run that tells nothing | its end |
/// | --- | --- | --- | --- | --- |
/// | off | set | off | off | — |
/// | set | set | set | set | sprung, and the next run is due at once |
/// | sprung while a run went on | sprung, and run again at once: this may be older than the end | off | sprung, and run again [`UNTOLD`] later | — |
/// | sprung | in doubt, and run again after [`DYING`] | off | sprung, and run again [`UNTOLD`] later | — |
/// | in doubt until then | before: in doubt, and run again at [`DOUBT`], then when it ends; then: set | off | in doubt, and run again [`UNTOLD`] later | — |
///
/// One Pass after the end is not enough: a process that dies closes what it had opened last first, so for some milliseconds
/// after its connections are gone its port still takes new ones.
///
/// A target is in doubt for [`DOUBT`]; and for twice as long as the last time, up to an interval, if the connection lasted
/// neither for [`SHORT`] nor for as long as that. So a target that ends idle connections as soon as they are made comes to be
/// probed three times more in each interval, not all the time; and one that really dies then is still found dead at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Off,
    Set { wire: WireId, since: Moment },
    Sprung { while_running: bool },
    InDoubt { since: Moment, until: Moment },
}

/// An idle connection is to be set, or not to be held any longer.
#[derive(Clone, Debug)]
pub enum WireChange {
    /// Connect, and report when that ends.
    Set(WireId, Arc<CheckSpec>),
    /// Nobody wants to know any more.
    Cut(WireId),
}

/// How often each of some intervals is asked for. Nearly always there is one.
#[derive(Debug, Default)]
struct Intervals(Vec<(Duration, u32)>);

impl Intervals {
    fn add(&mut self, interval: Duration) {
        match self.0.iter_mut().find(|(known, _)| *known == interval) {
            Some((_, times)) => *times += 1,
            None => {
                self.0.reserve_exact(1);
                self.0.push((interval, 1));
            }
        }
    }

    /// Takes back what was [added](Self::add) once.
    fn remove(&mut self, interval: Duration) {
        if let Some((_, times)) = self.0.iter_mut().find(|(known, _)| *known == interval) {
            *times -= 1;
        }
        self.0.retain(|&(_, times)| times > 0);
    }

    fn shortest(&self) -> Option<Duration> {
        self.0.iter().map(|&(interval, _)| interval).min()
    }
}

/// Where a probe is in its cycle.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Waiting { due: Moment },
    Running { run: RunId },
}

#[derive(Debug)]
struct Check {
    key: CheckKey,
    judgement: Judgement,
    references: u32,
    /// What its own probe comes to.
    verdict: Verdict,
    /// What is believed: that, beside what other nodes say.
    believed: Status,
    /// Since when, as far as its value goes.
    since: Moment,
    transitions: u64,
    /// The entry of this check in `expiries`.
    expiry: Option<Moment>,
}

/// The last finished run of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastResult {
    /// What it found.
    pub outcome: Outcome,
    /// When it finished.
    pub at: Moment,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a run found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What it found.
    pub outcome: Outcome,
    /// When it was really started: it may have waited for its turn.
    pub started: Moment,
    /// How long it took.
    pub elapsed: Duration,
}

/// A probe that is to run now.
#[derive(Clone, Debug)]
pub struct Due {
    /// Which run, to be given back with the result.
    pub run: RunId,
    /// What to run.
    pub spec: Arc<CheckSpec>,
    /// Whether the target passed the last time; `None`: that run told nothing, or there was none. To find that again is no news.
    pub passed: Option<bool>,
}

/// A check whose status is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The check.
    pub check: CheckId,
    /// What was believed before.
    pub from: Status,
    /// What is believed now.
    pub to: Status,
    /// Start of the first probe that saw the new state.
    pub first_sign: Moment,
}

impl Change {
    /// Whether up, down or unknown became another.
    #[must_use]
    pub fn is_transition(&self) -> bool {
        self.from.value != self.to.value
    }
}

/// Our sight is lost, or back.
#[derive(Clone, Debug)]
pub enum SightChange {
    /// Lost.
    Lost {
        /// How that is known.
        blindness: Blindness,
        /// Checks whose target went down on the same evidence, and is up again.
        put_back: Vec<Change>,
    },
    /// Back, after so long.
    Back(Duration),
}

/// All there is to say about one check.
#[derive(Clone, Debug)]
pub struct CheckView {
    /// Its number.
    pub id: CheckId,
    /// The identity of its probe.
    pub key: CheckKey,
    /// What is probed.
    pub spec: Arc<CheckSpec>,
    /// How results are judged.
    pub judgement: Judgement,
    /// From the start of one probe to the next.
    pub interval: Duration,
    /// What is believed: what this node measured, beside what other nodes say.
    pub status: Status,
    /// What this node measured.
    pub own: Status,
    /// By which rule the words of other nodes count.
    pub vote: Vote,
    /// What they say, whether it counts or not.
    pub said: Vec<(Arc<str>, Said)>,
    /// What counts: what is believed, under what operators say; for `control` to say.
    pub counts: Status,
    /// When the value last changed.
    pub since: Moment,
    /// When that which this node measured last did.
    pub own_since: Moment,
    /// Results that count against the value.
    pub against: u16,
    /// How many more of them would change it.
    pub needed: u16,
    /// How often the value has changed.
    pub transitions: u64,
    /// How often the values of all checks that share its probe have changed; those that are gone count too.
    pub probe_transitions: u64,
    /// What its flaps have added up to, as of the last result; 0 without damping.
    pub penalty: u32,
    /// Until when it is held back by them, if it passes from now on; `None` where it was not at the last result.
    pub held_back_until: Option<Moment>,
    /// The last finished probe.
    pub last: Option<LastResult>,
    /// When the next probe is due; `None` while one runs.
    pub next: Option<Moment>,
    /// Whether only running programs ask for it, for `control` to say.
    pub ad_hoc: bool,
}

impl Checks {
    /// No checks; verdicts without evidence are forgotten after `hold`. Until [`Checks::configure`], our own isolation is not
    /// looked at.
    #[must_use]
    pub fn new(hold: Duration) -> Self {
        Self {
            hold,
            jitter: Config::default().jitter,
            max: None,
            probes: HashMap::new(),
            checks: BTreeMap::new(),
            ids: HashMap::new(),
            next_id: 0,
            next_run: 0,
            running: HashMap::new(),
            due: BTreeSet::new(),
            expiries: BTreeSet::new(),
            remembered: HashMap::new(),
            remembered_at: Moment::at(Duration::ZERO),
            sight: Sight::default(),
            controls: Vec::new(),
            blind_since: None,
            sight_changes: VecDeque::new(),
            next_wire: 0,
            wires: HashMap::new(),
            wire_changes: VecDeque::new(),
            troubles: Troubles::default(),
            peers: Peers::none(Incarnation(0)),
            company: Company::default(),
        }
    }

    /// Has new checks begin with what an earlier process believed, which it last saw evidence for at `at`.
    pub fn remember(&mut self, remembered: HashMap<CheckKey, Remembered>, at: Moment) {
        (self.remembered, self.remembered_at) = (remembered, at);
    }

    /// Has new checks begin with nothing again, and gives the probes of which something was remembered.
    pub fn forget_remembered(&mut self) -> impl Iterator<Item = CheckKey> + use<> {
        std::mem::take(&mut self.remembered).into_keys()
    }

    /// Whether any check asks that probe.
    #[must_use]
    pub fn is_probed(&self, key: CheckKey) -> bool {
        self.probes.contains_key(&key)
    }

    /// Takes over the rules that are the same for all checks, each of which follows with its next result, and the controls.
    pub fn configure(&mut self, config: &Config, now: Moment) {
        (self.hold, self.jitter, self.max) = (config.hold, config.jitter, config.max_checks);
        let controls = config.controls().map(|request| (self.acquire(&request, None, now), request)).collect();
        for (id, request) in std::mem::replace(&mut self.controls, controls) {
            self.release(id, &request);
        }
        let keys: HashSet<CheckKey> = self.controls.iter().map(|(_, request)| request.spec.key()).collect();
        for (&key, probe) in &mut self.probes {
            if keys.contains(&key) != self.sight.is_control(key)
                && let Some(heard) = probe.heard.take()
            {
                self.sight.end(key, probe.spec.named_address(), heard);
            }
        }
        self.sight.set_controls(keys.into_iter());
        self.sight.enable(config.isolation);
        self.follow_sight(now);
        self.keep_company(config, now);
    }

    /// What became of our sight, oldest first; to be asked for before the changes of a result are looked at.
    pub fn take_sight_change(&mut self) -> Option<SightChange> {
        self.sight_changes.pop_front()
    }

    /// What became of our own troubles, oldest first.
    pub fn take_trouble_change(&mut self) -> Option<TroubleChange> {
        self.troubles.take_change()
    }

    /// Since when silence is no evidence, because it is we who are cut off.
    #[must_use]
    pub const fn blind_since(&self) -> Option<Moment> {
        self.blind_since
    }

    fn follow_sight(&mut self, now: Moment) {
        match (self.blind_since, self.sight.blindness()) {
            (None, Some(blindness)) => {
                self.blind_since = Some(now);
                let put_back = self.disbelieve_failures(now);
                self.follow_own_sight(now);
                self.sight_changes.push_back(SightChange::Lost { blindness, put_back });
            }
            (Some(since), None) => {
                self.blind_since = None;
                self.follow_own_sight(now);
                self.sight_changes.push_back(SightChange::Back(now.since(since)));
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// Puts back what went down within the window in which sight was lost, unless its target can be seen.
    fn disbelieve_failures(&mut self, now: Moment) -> Vec<Change> {
        let cut = now - self.sight.forget_the_dead(now);
        for check in self.checks.values_mut() {
            let Some(probe) = self.probes.get(&check.key) else { continue };
            if probe.spec.named_address().is_none_or(|address| self.sight.is_lost(address)) {
                check.verdict.disbelieve_failures(cut, now);
            }
        }
        self.believe_all(now)
    }

    /// Takes one reference to the check that `request` describes, making it if it is new; a new one inherits the
    /// verdict of the check `heir_of`, where that is given.
    pub fn acquire(&mut self, request: &CheckRequest, heir_of: Option<CheckId>, now: Moment) -> CheckId {
        let key = request.spec.key();
        let id = match self.ids.get(&(key, request.judgement)) {
            Some(&id) => id,
            None => self.add_check(key, request, heir_of, now),
        };
        let probe = self.probes.get_mut(&key).expect("a check has its probe");
        probe.intervals.add(request.interval);
        if let Some(check) = self.checks.get_mut(&id) {
            check.references += 1;
        }
        self.bring_forward(key, request.interval);
        id
    }

    /// A number for something that has a status and no probe.
    pub fn reserve(&mut self) -> CheckId {
        let id = CheckId(self.next_id);
        self.next_id = self.next_id.checked_add(1).expect("fewer than 2^32 checks in a process's life");
        id
    }

    fn add_check(&mut self, key: CheckKey, request: &CheckRequest, heir_of: Option<CheckId>, now: Moment) -> CheckId {
        let id = self.reserve();
        let sibling = self.probes.get(&key).and_then(|probe| probe.judged_by.first()).and_then(|other| self.checks.get(other));
        let heir_of = heir_of.and_then(|other| self.checks.get(&other));
        let before = sibling.or(heir_of).map(|other| other.believed);
        let verdict = match (sibling, heir_of) {
            (Some(sibling), _) => Verdict::shared(&sibling.verdict),
            (None, Some(other)) => Verdict::inherited(&other.verdict, now),
            (None, None) => match self.remembered.get(&key) {
                Some(&remembered) => Verdict::restored(remembered, self.remembered_at),
                None => Verdict::never(now),
            },
        };
        let (judgement, believed) = (request.judgement, Status::NEVER);
        self.checks
            .insert(id, Check { key, judgement, references: 0, verdict, believed, since: now, transitions: 0, expiry: None });
        self.ids.insert((key, request.judgement), id);
        let due = &mut self.due;
        let probe = self.probes.entry(key).or_insert_with(|| {
            due.insert((now, key));
            let spec = Arc::clone(&request.spec);
            let turn = Turn::Waiting { due: now };
            let question = if spec.source.is_none() { key } else { spec.question() };
            Probe {
                spec,
                question,
                intervals: Intervals::default(),
                judged_by: Vec::new(),
                turn,
                runs: 0,
                transitions: 0,
                last: None,
                began: None,
                wire: Wire::Off,
                rewire: DOUBT,
                heard: None,
            }
        });
        probe.judged_by.push(id);
        let passed = probe.last.as_ref().and_then(|last| last.outcome.passed());
        if probe.wire == Wire::Off && passed == Some(true) {
            self.follow_wire(key, passed, now);
        }
        self.begin_to_believe(id, before, now);
        self.expect_expiry(id);
        id
    }

    /// A shorter interval than before takes effect at once, not after the longer one.
    fn bring_forward(&mut self, key: CheckKey, interval: Duration) {
        let Some(probe) = self.probes.get(&key) else { return };
        if let Some(last) = &probe.last {
            let sooner = last.at + interval;
            self.bring_due(key, sooner);
        }
    }

    /// Gives back the reference that [`Checks::acquire`] took for `request`. The last one ends the check, and its
    /// probe with the last check.
    pub fn release(&mut self, id: CheckId, request: &CheckRequest) {
        let Some(check) = self.checks.get_mut(&id) else { return };
        let key = check.key;
        check.references -= 1;
        let gone = check.references == 0;
        let Some(probe) = self.probes.get_mut(&key) else { return };
        probe.intervals.remove(request.interval);
        if gone {
            probe.judged_by.retain(|&other| other != id);
            self.remove_check(id, key);
        }
    }

    fn remove_check(&mut self, id: CheckId, key: CheckKey) {
        if let Some(check) = self.checks.remove(&id) {
            self.ids.remove(&(key, check.judgement));
            if let Some(at) = check.expiry {
                self.expiries.remove(&(at, id));
            }
        }
        if self.probes.get(&key).is_some_and(|probe| probe.judged_by.is_empty())
            && let Some(probe) = self.probes.remove(&key)
        {
            if let Some(heard) = probe.heard {
                self.sight.end(key, probe.spec.named_address(), heard);
            }
            self.troubles.meet(probe.last.as_ref().map(|last| &last.outcome), None);
            self.cut(probe.wire);
            match probe.turn {
                Turn::Waiting { due } => drop(self.due.remove(&(due, key))),
                Turn::Running { run } => drop(self.running.remove(&run)),
            }
            self.forget_question(key, probe.question);
        } else if !self.wants_wire(key)
            && let Some(probe) = self.probes.get_mut(&key)
        {
            let wire = std::mem::replace(&mut probe.wire, Wire::Off);
            self.cut(wire);
        }
    }

    /// The probes that are due at `now`, marked as running.
    pub fn start_due(&mut self, now: Moment) -> Vec<Due> {
        let mut started = Vec::new();
        while let Some(&(due, key)) = self.due.first() {
            if due > now {
                break;
            }
            self.due.pop_first();
            if let Some(probe) = self.probes.get_mut(&key) {
                let run = RunId(self.next_run);
                self.next_run += 1;
                self.running.insert(run, (key, now));
                probe.turn = Turn::Running { run };
                let passed = probe.last.as_ref().and_then(|last| last.outcome.passed());
                started.push(Due { run, spec: Arc::clone(&probe.spec), passed });
            }
        }
        started
    }

    /// When [`Checks::start_due`] or [`Checks::expire`] next has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Moment> {
        let due = self.due.first().map(|&(due, _)| due);
        let expiry = self.expiries.first().map(|&(at, _)| at);
        due.into_iter().chain(expiry).chain(self.company_timeout()).min()
    }

    /// Takes in the result of a run that [`Checks::start_due`] gave out and plans the next. The result of a run that is not
    /// expected (its probe has ended, or it was told before) changes nothing.
    pub fn result(&mut self, run: RunId, result: Finished, random: &mut fastrand::Rng, now: Moment) -> Vec<Change> {
        let Finished { outcome, started, elapsed } = result;
        let Some((key, _)) = self.running.remove(&run) else { return Vec::new() };
        let Some(probe) = self.probes.get_mut(&key) else { return Vec::new() };
        probe.runs += 1;
        probe.began = Some(started);
        let interval = probe.shortest_interval();
        let judged_by = probe.judged_by.clone();
        let answer = match &outcome {
            Outcome::Pass { .. } => Some(true),
            Outcome::Fail(failure) => Some(!failure.may_be_the_way()),
            Outcome::Inconclusive(_) => None,
        };
        let met = match &outcome {
            Outcome::Inconclusive(reason) => reason.is_no_way_out().then_some(false),
            Outcome::Pass { .. } | Outcome::Fail(_) => answer,
        };
        if let Some(answer) = met {
            let before = probe.heard.replace(answer) == Some(true);
            let window = interval + 2 * probe.spec.timeout;
            self.sight.meet(Met { key, address: probe.spec.named_address(), before, answer, started, window }, now);
            self.follow_sight(now);
            if answer && self.sight.is_control(key) {
                self.control_answers(started);
            }
        }
        let evidence = answer.is_some_and(|answer| answer || self.blind_since.is_none());
        let judged = evidence.then_some((&outcome, started, elapsed));
        let changes = judged_by.iter().filter_map(|&id| self.judge(id, judged, now)).collect();
        let surprise = evidence.then(|| self.retry_of(&judged_by)).flatten();
        let jitter = self.jitter_of(&judged_by);
        if let Some(probe) = self.probes.get_mut(&key) {
            let mut due = started + next_wait(key, interval, probe.runs, jitter, random);
            if let Some(retry) = surprise {
                due = due.min(now + shortened(retry, jitter, random));
            }
            let due = stepped(due).max(now);
            probe.turn = Turn::Waiting { due };
            self.due.insert((due, key));
            let passed = outcome.passed();
            self.troubles.meet(probe.last.as_ref().map(|last| &last.outcome), Some(&outcome));
            probe.last = Some(LastResult { outcome, at: now, elapsed });
            self.follow_wire(key, passed, now);
        }
        self.speak(key, now);
        changes
    }

    /// Does to the idle connection what [`Wire`]'s table says of a result; `passed`: `None` where the run tells nothing.
    fn follow_wire(&mut self, key: CheckKey, passed: Option<bool>, now: Moment) {
        let wanted = self.wants_wire(key);
        let jitter = self.probes.get(&key).map_or(self.jitter, |probe| self.jitter_of(&probe.judged_by));
        let Some(probe) = self.probes.get_mut(&key) else { return };
        match (probe.wire, passed) {
            (Wire::Off, Some(true)) => self.set_wire(key, wanted, now),
            (Wire::Off, Some(false) | None) | (Wire::Set { .. }, _) => {}
            (Wire::Sprung { .. } | Wire::InDoubt { .. }, Some(false)) => probe.wire = Wire::Off,
            (Wire::Sprung { .. } | Wire::InDoubt { .. }, None) => self.bring_due(key, now + UNTOLD),
            (Wire::Sprung { while_running: true }, Some(true)) => {
                probe.wire = Wire::Sprung { while_running: false };
                self.bring_due(key, now);
            }
            (Wire::Sprung { while_running: false }, Some(true)) => {
                let until = now + probe.rewire;
                // No longer than it takes at least until the next run, which then ends the doubt.
                let longest = probe.shortest_interval() * u32::from(100 - jitter.min(100)) / 100;
                probe.rewire = (2 * probe.rewire).min(longest).max(DOUBT);
                probe.wire = Wire::InDoubt { since: now, until };
                self.bring_due(key, now + DYING);
            }
            (Wire::InDoubt { since, until }, Some(true)) if now < until => {
                self.bring_due(key, if now < since + DOUBT { since + DOUBT } else { until });
            }
            (Wire::InDoubt { .. }, Some(true)) => self.set_wire(key, wanted, now),
        }
    }

    /// By how much the waits of a probe may be shortened that these checks judge: no more than any of them has it.
    fn jitter_of(&self, judged_by: &[CheckId]) -> u8 {
        let asked = judged_by.iter().filter_map(|id| self.checks.get(id));
        asked.map(|check| check.judgement.jitter.unwrap_or(self.jitter)).min().unwrap_or(self.jitter)
    }

    /// Whether a check asks for an idle connection, and one can be made.
    fn wants_wire(&self, key: CheckKey) -> bool {
        let asks = |id| self.checks.get(id).is_some_and(|check: &Check| check.judgement.tripwire);
        self.probes.get(&key).is_some_and(|probe| {
            probe.spec.kind.has_connection() && probe.spec.address.is_some() && probe.judged_by.iter().any(asks)
        })
    }

    fn set_wire(&mut self, key: CheckKey, wanted: bool, now: Moment) {
        let Some(probe) = self.probes.get_mut(&key).filter(|_| wanted) else { return };
        let wire = WireId(self.next_wire);
        self.next_wire += 1;
        probe.wire = Wire::Set { wire, since: now };
        self.wires.insert(wire, key);
        self.wire_changes.push_back(WireChange::Set(wire, Arc::clone(&probe.spec)));
    }

    fn cut(&mut self, wire: Wire) {
        if let Wire::Set { wire, .. } = wire {
            self.wires.remove(&wire);
            self.wire_changes.push_back(WireChange::Cut(wire));
        }
    }

    /// Has a probe that waits for its turn run at that time, if that is sooner.
    fn bring_due(&mut self, key: CheckKey, sooner: Moment) {
        let Some(probe) = self.probes.get_mut(&key) else { return };
        if let Turn::Waiting { due } = probe.turn
            && sooner < due
        {
            self.due.remove(&(due, key));
            self.due.insert((sooner, key));
            probe.turn = Turn::Waiting { due: sooner };
        }
    }

    /// An idle connection has ended: the probe of its target is due now.
    pub fn trip(&mut self, wire: WireId, now: Moment) {
        let Some(key) = self.wires.remove(&wire) else { return };
        let Some(probe) = self.probes.get_mut(&key) else { return };
        if let Wire::Set { since, .. } = probe.wire
            && now.since(since) > probe.rewire.max(SHORT)
        {
            probe.rewire = DOUBT;
        }
        probe.wire = Wire::Sprung { while_running: matches!(probe.turn, Turn::Running { .. }) };
        self.bring_due(key, now);
    }

    /// What is to be done about idle connections, oldest first.
    pub fn take_wire_change(&mut self) -> Option<WireChange> {
        self.wire_changes.pop_front()
    }

    /// How soon the most impatient of those checks that are in doubt wants its next result.
    fn retry_of(&self, checks: &[CheckId]) -> Option<Duration> {
        checks.iter().filter_map(|id| self.checks.get(id)).filter_map(|check| check.verdict.doubt(check.judgement)).min()
    }

    /// `found` is what was found, when the run began and how long it took; `None` where there is no evidence.
    fn judge(&mut self, id: CheckId, found: Option<(&Outcome, Moment, Duration)>, now: Moment) -> Option<Change> {
        let check = self.checks.get_mut(&id)?;
        match found {
            Some((outcome, started, took)) => {
                check.verdict.result(outcome, check.judgement, started, now);
                if matches!(outcome, Outcome::Pass { .. }) {
                    check.verdict.pace(took, check.judgement);
                }
            }
            None => check.verdict.hold(),
        }
        let change = self.believe(id, now);
        self.expect_expiry(id);
        change
    }

    /// Forgets verdicts whose evidence is older than `hold`, and follows what is known of other nodes.
    pub fn expire(&mut self, now: Moment) -> Vec<Change> {
        let mut changes = self.follow_company(now);
        while let Some(&(at, id)) = self.expiries.first() {
            if at > now {
                break;
            }
            self.expiries.pop_first();
            let hold = self.hold_of(id);
            let Some(check) = self.checks.get_mut(&id) else { continue };
            check.expiry = None;
            check.verdict.expire(hold, now);
            changes.extend(self.believe(id, now));
            self.expect_expiry(id);
        }
        changes
    }

    fn expect_expiry(&mut self, id: CheckId) {
        let hold = self.hold_of(id);
        let Some(check) = self.checks.get_mut(&id) else { return };
        if let Some(at) = check.expiry.take() {
            self.expiries.remove(&(at, id));
        }
        if check.verdict.status(check.judgement, Duration::ZERO).value != Value::Unknown {
            let at = check.verdict.forgotten_at(hold);
            check.expiry = Some(at);
            self.expiries.insert((at, id));
        }
    }

    /// What is believed about a check.
    #[must_use]
    pub fn status(&self, id: CheckId) -> Status {
        self.checks.get(&id).map_or(Status::NEVER, |check| check.believed)
    }

    fn interval_of(&self, id: CheckId) -> Duration {
        let probe = self.checks.get(&id).and_then(|check| self.probes.get(&check.key));
        probe.map_or(Duration::ZERO, Probe::shortest_interval)
    }

    /// How long the check's verdict outlives its evidence: never less than it takes to get new evidence in good order.
    fn hold_of(&self, id: CheckId) -> Duration {
        let probe = self.checks.get(&id).and_then(|check| self.probes.get(&check.key));
        let round = probe.map_or(Duration::ZERO, |probe| 2 * (probe.shortest_interval() + probe.spec.timeout));
        self.hold.max(round)
    }

    /// Whether nothing needs to be waited for: a probe has finished for this check, whatever it found, an earlier process knew
    /// it, or other nodes do.
    #[must_use]
    pub fn is_settled(&self, id: CheckId) -> bool {
        let Some(check) = self.checks.get(&id) else { return false };
        let known = matches!(check.believed.basis, Basis::Restored | Basis::Voted);
        known || self.probes.get(&check.key).is_some_and(|probe| probe.last.is_some())
    }

    /// Whether the check exists.
    #[must_use]
    pub fn contains(&self, id: CheckId) -> bool {
        self.checks.contains_key(&id)
    }

    /// Everything about one check.
    #[must_use]
    pub fn view(&self, id: CheckId) -> Option<CheckView> {
        let check = self.checks.get(&id)?;
        let probe = self.probes.get(&check.key)?;
        let next = match probe.turn {
            Turn::Waiting { due } => Some(due),
            Turn::Running { .. } => None,
        };
        let status = check.believed;
        Some(CheckView {
            id,
            key: check.key,
            spec: Arc::clone(&probe.spec),
            judgement: check.judgement,
            interval: probe.shortest_interval(),
            status,
            own: check.verdict.status(check.judgement, probe.shortest_interval()),
            vote: self.vote_of(check.judgement),
            said: self.peers.said(probe.question),
            counts: status,
            since: check.since,
            own_since: check.verdict.since(),
            against: check.verdict.against(),
            needed: check.verdict.needed(check.judgement),
            transitions: check.transitions,
            probe_transitions: probe.transitions,
            penalty: check.verdict.penalty(check.judgement),
            held_back_until: check.verdict.held_back(check.judgement),
            last: probe.last.clone(),
            next,
            ad_hoc: false,
        })
    }

    /// Everything about every check, by number.
    pub fn views(&self) -> impl Iterator<Item = CheckView> {
        self.checks.keys().filter_map(|&id| self.view(id))
    }

    /// The probe that a check judges: its identity, and what it is.
    #[must_use]
    pub fn probe_of(&self, id: CheckId) -> Option<(CheckKey, &CheckSpec)> {
        let key = self.checks.get(&id)?.key;
        Some((key, &*self.probes.get(&key)?.spec))
    }

    /// The checks that a word about `subject` is about.
    pub fn covered_by(&self, subject: Subject) -> impl Iterator<Item = CheckId> {
        let probes = subject.is_of_probes().then_some(&self.probes).into_iter().flatten();
        let covered = probes.filter(move |(key, probe)| subject.covers(**key, &probe.spec));
        covered.flat_map(|(_, probe)| probe.judged_by.iter().copied())
    }

    /// Every check: its probe, what that is, and how results are judged.
    pub fn judged(&self) -> impl Iterator<Item = (CheckKey, &CheckSpec, Judgement)> {
        let judgement = |id| self.checks.get(id).map(|check| check.judgement);
        self.probes.iter().flat_map(move |(&key, probe)| {
            probe.judged_by.iter().filter_map(judgement).map(move |judgement| (key, &*probe.spec, judgement))
        })
    }

    /// Whether that would be one probe more than there may be.
    #[must_use]
    pub fn has_no_room_for(&self, spec: &CheckSpec) -> bool {
        self.max.is_some_and(|max| self.probes.len() >= max) && !self.is_probed(spec.key())
    }

    /// How many checks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.checks.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }
}

impl Probe {
    fn shortest_interval(&self) -> Duration {
        self.intervals.shortest().unwrap_or(Duration::from_secs(5))
    }
}

/// From the start of run number `run` (from 1) to the start of the next.
fn next_wait(key: CheckKey, interval: Duration, run: u64, jitter: u8, random: &mut fastrand::Rng) -> Duration {
    if run == 1 {
        let share = (key.0 >> 64) as u32;
        return interval.mul_f64(f64::from(share) / f64::from(u32::MAX));
    }
    shortened(interval, jitter, random)
}

/// Probes fall due at multiples of this, so that one waking of the engine serves all of a step: with thousands of checks a
/// good part of what they cost.
const STEP: Duration = Duration::from_millis(10);

/// The last step that is not after `due`: earlier by less than the jitter of all but the shortest intervals.
fn stepped(due: Moment) -> Moment {
    let over = due.since_origin().subsec_nanos() % STEP.subsec_nanos();
    due - Duration::from_nanos(u64::from(over))
}

/// A wait that may be shorter by so many percent.
fn shortened(wait: Duration, jitter: u8, random: &mut fastrand::Rng) -> Duration {
    wait.mul_f64(1.0 - f64::from(jitter) / 100.0 * random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Basis, CheckKind, Failure};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: f64) -> Moment {
        Moment::at(Duration::from_secs_f64(seconds))
    }

    fn request(host: u8, fall: u16, interval: u64) -> CheckRequest {
        let spec =
            CheckSpec { address: Some([192, 0, 2, host].into()), port: 80, source: None, kind: CheckKind::Tcp, timeout: SECOND };
        CheckRequest {
            spec: spec.into(),
            judgement: Judgement { fall, ..Judgement::AT_ONCE },
            interval: Duration::from_secs(interval),
        }
    }

    fn finished(outcome: &Outcome, started: Moment) -> Finished {
        Finished { outcome: outcome.clone(), started, elapsed: SECOND }
    }

    fn run(checks: &mut Checks, outcome: &Outcome, now: Moment) -> Vec<Change> {
        let due = checks.start_due(now);
        let mut random = fastrand::Rng::with_seed(1);
        due.iter().flat_map(|due| checks.result(due.run, finished(outcome, now), &mut random, now)).collect()
    }

    #[test]
    fn same_question_one_probe_two_judgements() {
        let mut checks = Checks::new(60 * SECOND);
        let (patient, hasty) =
            (checks.acquire(&request(1, 3, 10), None, at(0.0)), checks.acquire(&request(1, 1, 2), None, at(0.0)));
        assert_ne!(patient, hasty);
        assert_eq!(checks.acquire(&request(1, 3, 10), None, at(0.0)), patient);
        let due = checks.start_due(at(0.0));
        assert_eq!(due.len(), 1);
        let mut random = fastrand::Rng::with_seed(1);
        assert_eq!(checks.result(due[0].run, finished(&Outcome::PASS, at(0.0)), &mut random, at(0.5)).len(), 2);
        let changes = run(&mut checks, &Outcome::Fail(Failure::Refused), at(2.0));
        let down: Vec<_> = changes.iter().filter(|change| change.is_transition()).map(|change| change.check).collect();
        assert_eq!(down, [hasty]);
        checks.release(hasty, &request(1, 1, 2));
        let left = checks.view(patient).expect("the other goes on");
        assert_eq!((left.transitions, left.probe_transitions), (1, 3), "what is counted stays counted");
    }

    /// A check with a tripwire, and the last connection that was asked for.
    struct Wired {
        checks: Checks,
        id: CheckId,
        request: CheckRequest,
        wire: Option<WireId>,
        cut: usize,
    }

    impl Wired {
        fn new() -> Self {
            let mut request = request(1, 1, 100);
            request.judgement.tripwire = true;
            let mut checks = Checks::new(3600 * SECOND);
            let id = checks.acquire(&request, None, at(0.0));
            Self { checks, id, request, wire: None, cut: 0 }
        }

        fn follow(&mut self) {
            while let Some(change) = self.checks.take_wire_change() {
                match change {
                    WireChange::Set(wire, _) => assert!(self.wire.replace(wire).is_none(), "one at a time"),
                    WireChange::Cut(wire) => {
                        assert_eq!(self.wire.take(), Some(wire));
                        self.cut += 1;
                    }
                }
            }
        }

        fn run(&mut self, outcome: &Outcome, now: f64) {
            run(&mut self.checks, outcome, at(now));
            self.follow();
        }

        fn trip(&mut self, now: f64) {
            self.checks.trip(self.wire.take().expect("set"), at(now));
            self.follow();
        }
    }

    const REFUSED: Outcome = Outcome::Fail(Failure::Refused);
    const PAUSED: Outcome = Outcome::Inconclusive(crate::target::Inconclusive::Paused);

    #[test]
    fn the_end_of_an_idle_connection_has_the_target_probed_at_once() {
        let mut node = Wired::new();
        node.checks.acquire(&request(2, 1, 100), None, at(0.0));
        node.run(&Outcome::PASS, 0.0);
        assert_eq!(node.wire, Some(WireId(0)), "only where it is asked for");
        node.trip(10.0);
        assert_eq!(node.checks.next_timeout(), Some(at(10.0)));
        node.run(&REFUSED, 10.0);
        assert_eq!((node.checks.status(node.id).value, node.wire), (Value::Down, None));
        node.run(&Outcome::PASS, 150.0);
        assert_eq!(node.wire, Some(WireId(1)));
        node.checks.trip(WireId(0), at(150.0));
        assert!(node.checks.next_timeout() > Some(at(150.0)), "the end of one that ended long ago");
    }

    #[test]
    fn one_pass_after_the_end_is_not_believed() {
        let mut node = Wired::new();
        node.run(&Outcome::PASS, 0.0);
        node.trip(10.0);
        node.run(&Outcome::PASS, 10.0);
        assert_eq!((node.wire, node.checks.next_timeout()), (None, Some(at(10.02))));
        node.run(&Outcome::PASS, 10.03);
        assert_eq!((node.wire, node.checks.next_timeout()), (None, Some(at(10.2))));
        node.run(&PAUSED, 10.2);
        assert_eq!((node.wire, node.checks.next_timeout()), (None, Some(at(11.2))), "that told nothing");
        node.run(&Outcome::PASS, 11.2);
        assert!(node.wire.is_some(), "a second one is");
        node.trip(30.0);
        node.run(&PAUSED, 30.0);
        assert_eq!(node.checks.next_timeout(), Some(at(31.0)));
        node.run(&Outcome::PASS, 31.0);
        assert_eq!((node.wire, node.checks.next_timeout()), (None, Some(at(31.02))), "nor the first one after nothing was told");
        node.run(&REFUSED, 31.02);
        assert_eq!(node.checks.status(node.id).value, Value::Down);
    }

    #[test]
    fn one_that_often_ends_connections_is_doubted_longer_and_asked_as_soon() {
        let mut node = Wired::new();
        node.run(&Outcome::PASS, 0.0);
        let mut now = 10.0;
        for doubt in [0.2, 0.4, 0.8] {
            node.trip(now);
            for (after, then) in [(0.0, 0.02), (0.02, 0.2), (0.2, doubt)] {
                if after < doubt {
                    node.run(&Outcome::PASS, now + after);
                    assert_eq!((node.wire, node.checks.next_timeout()), (None, Some(at(now + then))), "{doubt}");
                }
            }
            now += doubt;
            node.run(&Outcome::PASS, now);
            assert!(node.wire.is_some());
            now += 1.0;
        }
    }

    #[test]
    fn a_pass_that_may_be_older_than_the_end_counts_for_nothing() {
        let mut node = Wired::new();
        node.run(&Outcome::PASS, 0.0);
        let due = node.checks.start_due(at(150.0));
        node.trip(150.1);
        let mut random = fastrand::Rng::with_seed(1);
        node.checks.result(due[0].run, finished(&Outcome::PASS, at(150.0)), &mut random, at(150.2));
        assert_eq!(node.checks.next_timeout(), Some(at(150.2)));
        node.run(&Outcome::PASS, 150.2);
        assert_eq!((node.wire, node.checks.next_timeout()), (None, Some(at(150.22))));
    }

    #[test]
    fn an_idle_connection_lasts_no_longer_than_someone_asks_for_it() {
        let mut node = Wired::new();
        node.run(&Outcome::PASS, 0.0);
        let plain = node.checks.acquire(&request(1, 1, 100), None, at(1.0));
        assert_eq!(node.cut, 0);
        let (id, wired) = (node.id, node.request.clone());
        node.checks.release(id, &wired);
        node.follow();
        assert_eq!((node.cut, node.checks.len()), (1, 1), "the probe goes on without");
        node.id = node.checks.acquire(&wired, None, at(2.0));
        node.follow();
        assert_eq!(node.wire, Some(WireId(1)), "for a target that is known to pass, at once");
        node.checks.release(plain, &request(1, 1, 100));
        let id = node.id;
        node.checks.release(id, &wired);
        node.follow();
        assert_eq!((node.cut, node.checks.len()), (2, 0));
        node.checks.trip(WireId(1), at(3.0));
    }

    #[test]
    fn what_is_remembered_stands_until_the_first_result() {
        let mut checks = Checks::new(60 * SECOND);
        let up = Remembered { value: Value::Up, reported: 7 };
        checks.remember([(request(1, 3, 10).spec.key(), up)].into(), at(100.0));
        let (known, unknown) =
            (checks.acquire(&request(1, 3, 10), None, at(130.0)), checks.acquire(&request(2, 3, 10), None, at(130.0)));
        assert_eq!((checks.is_settled(known), checks.is_settled(unknown)), (true, false));
        let seen = checks.status(known);
        assert_eq!((seen.value, seen.basis, seen.reported), (Value::Up, Basis::Restored, 7));
        assert_eq!(checks.next_timeout(), Some(at(130.0)), "it is probed at once");
        run(&mut checks, &Outcome::Inconclusive(crate::target::Inconclusive::NoRoute), at(130.0));
        assert_eq!((checks.status(known).value, checks.status(known).basis), (Value::Up, Basis::Restored));
        let mut later = Checks::new(60 * SECOND);
        later.remember([(request(1, 3, 10).spec.key(), up)].into(), at(100.0));
        let id = later.acquire(&request(1, 3, 10), None, at(130.0));
        run(&mut later, &Outcome::Fail(Failure::Refused), at(130.0));
        assert_eq!((later.status(id).value, later.status(id).basis), (Value::Down, Basis::Measured), "one result decides");
        let id = checks.acquire(&request(1, 2, 10), None, at(131.0));
        assert_eq!(checks.status(id).value, Value::Up, "a sibling's verdict, not the memory, but the same");
        checks.expire(at(160.0));
        assert_eq!(checks.status(known).value, Value::Unknown, "`hold` counts from the evidence");
    }

    #[test]
    fn another_weight_is_a_change_and_no_transition() {
        let mut checks = Checks::new(60 * SECOND);
        let id = checks.acquire(&request(1, 1, 1), None, at(0.0));
        run(&mut checks, &Outcome::Pass { weight: 3 }, at(0.0));
        assert_eq!(run(&mut checks, &Outcome::Pass { weight: 3 }, at(2.0)), []);
        let changes = run(&mut checks, &Outcome::Pass { weight: 4 }, at(4.0));
        assert_eq!(changes.iter().map(|change| change.to.reported).collect::<Vec<_>>(), [4]);
        assert!(changes[0].from.reported != changes[0].to.reported && !changes[0].is_transition());
        assert_eq!(checks.view(id).map(|view| view.transitions), Some(1));
    }

    #[test]
    fn first_runs_are_at_once_and_second_ones_are_spread() {
        let mut checks = Checks::new(60 * SECOND);
        for host in 0..200 {
            checks.acquire(&request(host, 1, 10), None, at(0.0));
        }
        run(&mut checks, &Outcome::PASS, at(0.0));
        let mut per_second = [0u32; 10];
        for view in checks.views() {
            let next = view.next.expect("waiting").since(at(0.0));
            per_second[(next.as_secs() as usize).min(9)] += 1;
        }
        assert!(per_second.iter().all(|&count| (5..=40).contains(&count)), "{per_second:?}");
    }

    #[test]
    fn never_later_than_the_interval() {
        let mut checks = Checks::new(60 * SECOND);
        let id = checks.acquire(&request(1, 1, 5), None, at(0.0));
        let mut now = at(0.0);
        for _ in 0..100 {
            run(&mut checks, &Outcome::PASS, now);
            let next = checks.view(id).and_then(|view| view.next).expect("waiting");
            assert!(next.since(now) <= 5 * SECOND);
            now = next;
        }
    }

    #[test]
    fn a_changed_check_inherits_until_its_own_result() {
        let mut checks = Checks::new(60 * SECOND);
        let old = checks.acquire(&request(1, 1, 5), None, at(0.0));
        run(&mut checks, &Outcome::PASS, at(0.0));
        let mut edited = request(1, 1, 5);
        Arc::make_mut(&mut edited.spec).port = 81;
        let new = checks.acquire(&edited, Some(old), at(1.0));
        let status = checks.status(new);
        assert_eq!((status.value, status.basis), (Value::Up, Basis::Inherited));
        checks.release(old, &request(1, 1, 5));
        assert!(!checks.contains(old) && !checks.is_settled(new));
        run(&mut checks, &Outcome::Fail(Failure::Refused), at(1.0));
        assert_eq!(checks.status(new).value, Value::Down);
    }

    #[test]
    fn a_new_threshold_counts_from_the_state_that_is_known() {
        let mut checks = Checks::new(60 * SECOND);
        checks.acquire(&request(1, 1, 5), None, at(0.0));
        run(&mut checks, &Outcome::PASS, at(0.0));
        let patient = checks.acquire(&request(1, 3, 5), None, at(1.0));
        run(&mut checks, &Outcome::Fail(Failure::Refused), at(5.0));
        assert_eq!(checks.status(patient).value, Value::Up, "one failure of three");
    }

    #[test]
    fn a_short_hold_forgets_nothing_that_is_probed_in_good_order() {
        let mut checks = Checks::new(SECOND);
        let id = checks.acquire(&request(1, 1, 60), None, at(0.0));
        run(&mut checks, &Outcome::PASS, at(0.0));
        assert_eq!(checks.expire(at(61.0)), []);
        assert_eq!(checks.status(id).value, Value::Up);
    }

    #[test]
    fn what_nobody_asks_for_is_not_probed() {
        let mut checks = Checks::new(60 * SECOND);
        let id = checks.acquire(&request(1, 1, 5), None, at(0.0));
        let running = checks.start_due(at(0.0));
        checks.release(id, &request(1, 1, 5));
        let mut random = fastrand::Rng::with_seed(1);
        let late = finished(&Outcome::PASS, at(0.0));
        assert!(checks.result(running[0].run, late.clone(), &mut random, at(1.0)).is_empty());
        assert_eq!((checks.next_timeout(), checks.len()), (None, 0));
        let again = checks.acquire(&request(1, 1, 5), None, at(2.0));
        assert_ne!(again, id, "numbers are never given twice");
        checks.start_due(at(2.0));
        assert!(checks.result(running[0].run, late, &mut random, at(3.0)).is_empty(), "a result of its earlier life");
        assert!(!checks.is_settled(again));
    }

    #[test]
    fn evidence_that_stays_away_is_forgotten_after_hold() {
        let mut checks = Checks::new(60 * SECOND);
        let id = checks.acquire(&request(1, 1, 5), None, at(0.0));
        run(&mut checks, &Outcome::PASS, at(0.0));
        checks.start_due(at(5.0));
        assert_eq!(checks.expire(at(59.0)), []);
        assert_eq!(checks.expire(at(60.0)).len(), 1);
        assert_eq!(checks.status(id).value, Value::Unknown);
    }
}
