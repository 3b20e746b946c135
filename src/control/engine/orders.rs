//! From an operator's order to its reply.
//!
//! One order after the other is written down. A disk that hangs holds up those that are to be durable, and nothing else: a dry
//! run is judged by what is in force when it comes, and an order that is good for this process only is put in force after
//! [`VOLATILE_WAIT`], past those that came before it. What it overtakes is then judged anew.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::super::beliefs::{Foreseen, Turn, zone_of};
use super::super::command::{Action, Command, CommandId, Record, Refusal, Reply, Report};
use super::super::journal::Happening;
use super::{Ahead, Effect, Engine};
use crate::health::{Moment, Origin, Override, Overrides, Subject};
use crate::zone::ProgramId;

/// Orders that may wait for the one before them: so many that are to be durable, and so many others.
const WAITING_MAX: usize = 64;

/// How long an order that need not be written down waits until it is.
const VOLATILE_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: VecDeque<Waiting>,
    /// The one that is being written down.
    written: Option<Written>,
    /// Those that are in force and not yet served.
    unserved: Vec<(CommandId, Report)>,
    /// The highest version that was given.
    version: u64,
}

/// An order that waits for the one before it.
#[derive(Debug)]
struct Waiting {
    id: CommandId,
    command: Command,
    /// When it goes ahead; `None`: not before its turn.
    until: Option<Moment>,
}

/// An order that is being written down.
#[derive(Debug)]
struct Written {
    id: CommandId,
    judged: Judged,
    /// When it is put in force all the same.
    until: Option<Moment>,
    /// What others were about that were put in force since it was judged.
    overtaken: Vec<Subject>,
}

/// An order that may be carried out.
#[derive(Debug)]
struct Judged {
    command: Command,
    /// The word that it puts in force; `None`: it takes one back.
    word: Option<Override>,
    /// What will be said of it.
    report: Report,
}

impl Judged {
    /// Whether it puts another word about `subject` in force.
    fn renews(&self, subject: Subject) -> bool {
        self.command.subject == subject && self.word.is_some()
    }
}

impl Orders {
    /// Goes on after this version.
    pub(super) fn after(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// When an order goes ahead that need not be written down.
    pub(super) fn next_timeout(&self) -> Option<Moment> {
        let written = self.written.iter().filter_map(|written| written.until);
        self.waiting.iter().filter_map(|waiting| waiting.until).chain(written).min()
    }

    /// Takes one that has waited as long as it may.
    fn take_impatient(&mut self, now: Moment) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.until.is_some_and(|until| until <= now))?;
        self.waiting.remove(at)
    }
}

impl Engine {
    pub(super) fn order(&mut self, id: CommandId, command: Command, now: Moment) {
        if command.dry_run {
            let reply = self.judge(command, now).map(|judged| judged.report);
            return self.reply(id, reply);
        }
        if matches!(command.action, Action::FailBack) {
            return self.fail_back(id, command, now);
        }
        // Those that wait for a disk that hangs are not in the way of those that need none.
        let alike = self.orders.waiting.iter().filter(|waiting| waiting.command.volatile == command.volatile);
        if alike.count() >= WAITING_MAX {
            return self.reply(id, Err(Refusal::Busy));
        }
        let until = command.volatile.then(|| now + VOLATILE_WAIT);
        self.orders.waiting.push_back(Waiting { id, command, until });
        self.take_orders(now);
    }

    fn take_orders(&mut self, now: Moment) {
        while self.orders.written.is_none() {
            let Some(Waiting { id, command, until }) = self.orders.waiting.pop_front() else { return };
            if let Some(judged) = self.begin(id, command, now) {
                self.orders.written = Some(Written { id, judged, until, overtaken: Vec::new() });
            }
        }
    }

    /// Has those come back who wait. No word stays of that, so it waits for no disk: killed in the moment after it, the next
    /// process has them wait again.
    fn fail_back(&mut self, id: CommandId, command: Command, now: Moment) {
        let judged = match self.judge(command, now) {
            Err(refusal) => return self.reply(id, Err(refusal)),
            Ok(judged) => judged,
        };
        if let Some(pool) = self.pools.fail_back(judged.command.subject) {
            self.follow_pool(pool, None, now);
            self.log(Happening::FailedBack { subject: judged.command.subject }, now);
        }
        self.orders.unserved.push((id, judged.report));
    }

    /// Judges an order, and has it written down or refuses it.
    fn begin(&mut self, id: CommandId, command: Command, now: Moment) -> Option<Judged> {
        match self.judge(command, now) {
            Err(refusal) => {
                self.reply(id, Err(refusal));
                None
            }
            Ok(judged) => {
                self.orders.version = judged.word.as_ref().map_or(self.orders.version, |word| word.version);
                self.record(Some(id), judged.command.subject, judged.word.clone());
                Some(judged)
            }
        }
    }

    /// Puts orders in force that need not be written down and have waited for it as long as they may.
    pub(super) fn hurry_orders(&mut self, now: Moment) {
        let is_impatient = |written: &mut Written| written.until.is_some_and(|until| until <= now);
        if let Some(Written { id, judged, .. }) = self.orders.written.take_if(is_impatient) {
            self.carry_out(id, judged, now);
        }
        while let Some(Waiting { id, command, .. }) = self.orders.take_impatient(now) {
            let Some(judged) = self.begin(id, command, now) else { continue };
            if let Some(written) = &mut self.orders.written {
                written.overtaken.push(judged.command.subject);
            }
            self.carry_out(id, judged, now);
        }
        self.take_orders(now);
    }

    /// The order has been written down, or not, and why.
    pub(super) fn recorded(&mut self, id: CommandId, result: Result<(), String>, now: Moment) {
        let Some(Written { mut judged, overtaken, .. }) = self.orders.written.take_if(|written| written.id == id) else { return };
        judged.report.durable = result.is_ok();
        match result {
            Err(why) if !judged.command.volatile => self.reply(id, Err(Refusal::NotDurable(why))),
            _ => match (!overtaken.is_empty()).then(|| self.judge_again(&judged, &overtaken, now)).transpose() {
                Ok(_) => self.carry_out(id, judged, now),
                Err(refusal) => {
                    // What was just written is not in force.
                    let subject = judged.command.subject;
                    let word = self.beliefs.overrides().said(subject).cloned();
                    self.record(None, subject, word);
                    self.reply(id, Err(refusal));
                }
            },
        }
        self.take_orders(now);
    }

    /// Whether an order that was overtaken may still be carried out.
    fn judge_again(&self, judged: &Judged, overtaken: &[Subject], now: Moment) -> Result<(), Refusal> {
        // The later word about the same counts, also where it has taken one back or has ended since.
        if overtaken.contains(&judged.command.subject) {
            let in_force = self.beliefs.overrides().said(judged.command.subject);
            return Err(Refusal::Version(in_force.map_or(0, |word| word.version)));
        }
        self.judge(judged.command.clone(), now).map(drop)
    }

    fn carry_out(&mut self, id: CommandId, judged: Judged, now: Moment) {
        let next = self.beliefs.overrides().with(judged.command.subject, judged.word.as_ref());
        self.put_in_force(next, &[judged.command.subject], now);
        self.orders.unserved.push((id, judged.report));
    }

    /// Ends the words whose time is over.
    pub(super) fn end_words(&mut self, now: Moment) {
        let ended: Vec<Override> = self.beliefs.overrides().ended(now).cloned().collect();
        for word in ended {
            // One that is being written down in its place is not to be struck out again; nor is there anything to strike out of
            // what the file says.
            let renewed = self.orders.written.as_ref().is_some_and(|written| written.judged.renews(word.subject));
            if !renewed && word.origin == Origin::Operator {
                self.record(None, word.subject, None);
            }
            let mut next = self.beliefs.overrides().clone();
            next.remove(word.subject, word.origin);
            self.put_in_force(next, &[word.subject], now);
        }
    }

    /// Answers the orders that are served by what is published.
    pub(super) fn acknowledge(&mut self) {
        let ahead = self.publication.ahead != Ahead::Nothing || self.publication.ad_hoc;
        if self.orders.unserved.is_empty() || ahead || self.backlog.is_due() || self.backlog.is_sweeping() {
            return;
        }
        let generation = self.publication.generation;
        for (id, report) in std::mem::take(&mut self.orders.unserved) {
            self.reply(id, Ok(Report { generation, ..report }));
        }
    }

    fn reply(&mut self, command: CommandId, reply: Reply) {
        self.effects.push_back(Effect::Reply { command, reply: Box::new(reply) });
    }

    fn record(&mut self, command: Option<CommandId>, subject: Subject, word: Option<Override>) {
        let version = self.orders.version;
        self.effects.push_back(Effect::Record { command, record: Box::new(Record { subject, word, version }) });
    }

    fn judge(&self, command: Command, now: Moment) -> Result<Judged, Refusal> {
        let Command { subject, if_version, accept_empty, accept_unknown, dry_run, .. } = command;
        let before = self.beliefs.overrides().get(subject).cloned();
        let said = self.beliefs.overrides().said(subject);
        let in_force = said.map_or(0, |word| word.version);
        if if_version.is_some_and(|seen| seen != in_force) {
            return Err(Refusal::Version(in_force));
        }
        let word = match &command.action {
            Action::Release if said.is_none() => {
                return Err(before.map_or(Refusal::NotSet, |word| Refusal::OfFile(word.by)));
            }
            Action::FailBack if self.pools.waiting(subject).is_none() => return Err(Refusal::NoSuchTarget),
            // What is in force stays so.
            Action::FailBack => said.cloned(),
            Action::Release => None,
            Action::Say { state, .. } if !subject.takes(*state) => return Err(Refusal::Unfit),
            Action::Say { state, lasting, since, by, reason } => Some(Override {
                origin: Origin::Operator,
                subject,
                state: *state,
                until: lasting.map(|lasting| now + lasting),
                expires: lasting.map(|lasting| since.saturating_add(u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX))),
                since: *since,
                by: by.clone(),
                reason: reason.clone(),
                version: self.orders.version + 1,
            }),
        };
        if matches!(command.action, Action::Say { .. })
            && !accept_unknown
            && subject != Subject::Node
            && !self.is_about_something(subject)
        {
            return Err(Refusal::NoSuchTarget);
        }
        let next = self.beliefs.overrides().with(subject, word.as_ref());
        let back = matches!(command.action, Action::FailBack);
        let foreseen = self.foresee(&next, &[subject], back, now);
        let (programs, bare) = self.affected(&foreseen);
        if !bare.is_empty() && !accept_empty && !dry_run {
            return Err(Refusal::WouldEmpty(bare));
        }
        let generation = self.publication.generation;
        let after = next.get(subject).cloned();
        let report = Report { generation, before, after, checks: foreseen.turns.len(), programs, bare, durable: false };
        Ok(Judged { command, word, report })
    }

    pub(super) fn is_about_something(&self, subject: Subject) -> bool {
        let is_zone = zone_of(subject).is_some_and(|apex| self.zones.contains_key(&apex));
        is_zone || self.checks.covered_by(subject).next().is_some() || !self.pools.covered_by(subject).is_empty()
    }

    /// What would change under the words `next`, which are others about `subjects`; `back`: if nobody waited any longer to come
    /// back.
    pub(super) fn foresee(&self, next: &Overrides, subjects: &[Subject], back: bool, now: Moment) -> Foreseen {
        let mut foreseen = self.beliefs.foresee(&self.checks, next, subjects);
        let of_checks = foreseen.turns.iter().flat_map(|&(check, _)| self.pools.using(check));
        let about = subjects.iter().flat_map(|&subject| self.pools.covered_by(subject));
        let pools: BTreeSet<_> = of_checks.chain(about).collect();
        for pool in pools {
            for stands in self.pools.foresee(pool, (&foreseen.table, next), back, now) {
                let turn = Turn { from: foreseen.table.get(stands.standing), to: stands.status };
                if turn.from != turn.to {
                    foreseen.table.set(stands.standing, stands.status);
                    foreseen.turns.push((stands.standing, turn));
                }
            }
            let held = foreseen.zones.values_mut().flat_map(|zone| zone.follow(&self.pools, pool, next, now));
            for standing in held.collect::<Vec<_>>() {
                let same = foreseen.table.get(standing);
                foreseen.turns.push((standing, Turn { from: same, to: same }));
            }
        }
        foreseen
    }

    /// The programs that would settle otherwise, and those of them that had targets to give and would have none.
    pub(super) fn affected(&self, foreseen: &Foreseen) -> (Vec<ProgramId>, Vec<ProgramId>) {
        let users = foreseen.turns.iter().filter_map(|(id, _)| self.users.get(id));
        let thawed = foreseen.thawed.iter().flat_map(|apex| self.programs_of(apex));
        let users: BTreeSet<ProgramId> = users.flatten().copied().chain(thawed).collect();
        let (mut changed, mut bare) = (Vec::new(), Vec::new());
        for id in users {
            let Some(bound) = self.programs.get(id) else { continue };
            let settle = |table| bound.settle(table, &self.places);
            let (before, after) = (settle(self.beliefs.table_of(id)), settle(foreseen.table_of(id)));
            if before.settled() != after.settled() {
                changed.push(id);
            }
            if after.bare() > before.bare() {
                bare.push(id);
            }
        }
        (changed, bare)
    }

    /// Puts the words `next` in force, which are others about `subjects`, and has the answers follow.
    pub(super) fn put_in_force(&mut self, next: Overrides, subjects: &[Subject], now: Moment) {
        let before = self.beliefs.say(&self.checks, &self.pools, next);
        for &subject in subjects {
            if let Some(apex) = zone_of(subject) {
                self.hold_programs(&apex);
                self.backlog.add_all(&self.programs_of(&apex));
            }
            for id in self.checks.covered_by(subject).collect::<Vec<_>>() {
                self.follow(id, None, now);
            }
            for pool in self.pools.covered_by(subject) {
                self.follow_pool(pool, None, now);
            }
            let after = self.beliefs.overrides().get(subject);
            if let Some(what) = told(before.get(subject), after) {
                self.log(what, now);
            }
        }
    }
}

/// What there is to tell where another word about a subject is in force.
fn told(before: Option<&Override>, after: Option<&Override>) -> Option<Happening> {
    match (before.cloned().map(Box::new), after.cloned().map(Box::new)) {
        (before, after) if before == after => None,
        (Some(word), beneath)
            if beneath.as_ref().is_none_or(|beneath| word.origin != beneath.origin && beneath.origin == Origin::File) =>
        {
            Some(Happening::Released { word, beneath })
        }
        (_, Some(word)) => Some(Happening::Overridden { word }),
        (_, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::tests::load;
    use super::super::{Config, Event};
    use super::*;
    use crate::answers::{Options, Snapshot};
    use crate::control::FileWords;
    use crate::health::{self, About, Due, FileWord, Finished, Remembered, State};
    use crate::target::{Failure, Outcome, Status, Value};

    /// A node of three targets: two in one program, and one, 192.0.2.3, alone in another.
    struct Node {
        engine: Engine,
        now: Moment,
        published: Vec<Arc<Snapshot>>,
        /// Those that are down.
        down: Vec<&'static str>,
        records: Vec<(Option<CommandId>, Record)>,
        replies: Vec<(CommandId, Reply)>,
    }

    impl Node {
        fn start() -> Self {
            let now = Moment::at(Duration::from_secs(1000));
            let options = Arc::new(Options::default());
            let interval = Duration::from_millis(10);
            let config = Config {
                health: health::Config::default(),
                options: Arc::clone(&options),
                publish_interval: interval,
                workers: 1,
            };
            let engine = Engine::new(config, fastrand::Rng::with_seed(1), now);
            let (records, replies, published) = (Vec::new(), Vec::new(), Vec::new());
            let mut node = Self { engine, now, published, down: Vec::new(), records, replies };
            let codes = ["ifportup(80, {'192.0.2.1', '192.0.2.2'}, {selector='all'})", "ifportup(80, {'192.0.2.3'})"];
            node.engine.handle(Event::Loaded(Box::new(load(&codes.map(str::to_owned), &options, interval))), now);
            node.run(0);
            node
        }

        /// Goes on for so many seconds.
        fn run(&mut self, seconds: u64) {
            for _ in 0..=seconds * 10 {
                self.engine.handle_timeout(self.now);
                while let Some(effect) = self.engine.poll_effect() {
                    match effect {
                        Effect::Probe(Due { run, spec, .. }) => {
                            let is_down = self.down.iter().any(|down| spec.target() == format!("{down}:80"));
                            let outcome = if is_down { Outcome::Fail(Failure::Refused) } else { Outcome::PASS };
                            let result = Finished { outcome, started: self.now, elapsed: Duration::ZERO };
                            self.engine.handle(Event::Probed { run, result }, self.now);
                        }
                        Effect::Publish { snapshot, .. } => self.published.push(snapshot),
                        Effect::Record { command, record } => self.records.push((command, *record)),
                        Effect::Reply { command, reply } => self.replies.push((command, *reply)),
                        _ => {}
                    }
                }
                self.now = self.now + Duration::from_millis(100);
            }
        }

        fn order(&mut self, id: u64, command: Command) {
            self.engine.handle(Event::Ordered(CommandId(id), Box::new(command)), self.now);
            self.run(0);
        }

        /// Orders, has that written down, and gives the reply.
        fn ordered(&mut self, id: u64, command: Command) -> Reply {
            self.order(id, command);
            self.recorded(id, Ok(()));
            let (_, reply) = self.replies.pop().expect("a reply");
            reply
        }

        fn recorded(&mut self, id: u64, result: Result<(), String>) {
            self.engine.handle(Event::Recorded { command: CommandId(id), result }, self.now);
            self.run(0);
        }

        /// What counts of a target, as it is published.
        fn counts(&self, target: &str) -> Status {
            let view = self.engine.checks().find(|view| view.spec.target() == format!("{target}:80")).expect("a check");
            self.published.last().expect("a snapshot").statuses.get(view.id)
        }
    }

    fn say(subject: &str, state: State) -> Command {
        let lasting = Some(Duration::from_secs(60));
        let action = Action::Say { state, lasting, since: 5000, by: "me".into(), reason: "test".into() };
        let subject = subject.parse().expect(subject);
        let (if_version, dry_run, volatile) = (None, false, false);
        Command { subject, action, if_version, dry_run, accept_empty: false, accept_unknown: false, volatile }
    }

    fn release(subject: &str) -> Command {
        Command { action: Action::Release, ..say(subject, State::Drain) }
    }

    const FIRST: &str = "target/192.0.2.1";

    #[test]
    fn an_order_is_answered_when_it_is_written_down_and_served() {
        let mut node = Node::start();
        let before = node.published.len();
        node.order(1, say(FIRST, State::Drain));
        assert_eq!(
            (node.records.len(), node.replies.len(), node.published.len()),
            (1, 0, before),
            "it is on its way to the disk"
        );
        assert!(!node.counts("192.0.2.1").drain);
        node.order(2, say("target/192.0.2.2", State::Up));
        assert_eq!(node.records.len(), 1, "the next waits for it");
        node.recorded(1, Ok(()));
        let (id, reply) = node.replies.pop().expect("a reply");
        let report = reply.expect("done");
        assert_eq!((id, report.generation), (CommandId(1), node.published.last().unwrap().generation));
        assert!(report.durable && node.counts("192.0.2.1").drain && node.counts("192.0.2.1").value == Value::Up);
        assert_eq!((report.checks, report.programs, report.bare), (1, vec![ProgramId(0)], vec![]));
        let word = report.after.expect("a word");
        assert_eq!((word.version, word.expires, report.before), (1, Some(65_000), None));
        assert_eq!(node.records.len(), 2, "now the next");
    }

    #[test]
    fn a_disk_that_hangs_holds_up_only_what_is_to_be_durable() {
        let mut node = Node::start();
        let second = "target/192.0.2.2";
        node.order(1, say(FIRST, State::Drain));
        node.order(2, Command { dry_run: true, ..say(second, State::Drain) });
        let (id, reply) = node.replies.pop().expect("a dry run waits for nothing");
        assert_eq!((id, reply.map(|report| report.bare)), (CommandId(2), Ok(vec![])), "judged by what is in force");
        node.order(3, Command { volatile: true, ..say(second, State::Drain) });
        node.order(4, say("target/192.0.2.3", State::Up));
        assert!(node.replies.is_empty(), "it would rather be written down");
        node.run(2);
        let (id, reply) = node.replies.pop().expect("carried out");
        assert_eq!((id, reply.map(|report| report.durable).ok()), (CommandId(3), Some(false)));
        assert!(node.counts("192.0.2.2").drain && node.replies.is_empty(), "the others still wait");
        node.recorded(1, Ok(()));
        let (id, reply) = node.replies.pop().expect("refused");
        assert_eq!((id, reply.err()), (CommandId(1), Some(Refusal::WouldEmpty(vec![ProgramId(0)]))), "it was fine before 3");
        let struck_out = node.records.iter().rev().find(|(command, _)| command.is_none()).map(|(_, record)| record);
        assert!(struck_out.is_some_and(|record| record.subject.to_string() == FIRST && record.word.is_none()));
        node.recorded(3, Ok(()));
        node.recorded(4, Ok(()));
        assert!(matches!(&node.replies[..], [(CommandId(4), Ok(report))] if report.durable), "{:?}", node.replies);
    }

    #[test]
    fn an_order_that_hangs_does_not_undo_a_later_one() {
        let mut node = Node::start();
        node.order(1, say(FIRST, State::Drain));
        node.order(2, Command { volatile: true, ..say(FIRST, State::Up) });
        node.run(2);
        assert_eq!(node.replies.pop().map(|(id, reply)| (id, reply.is_ok())), Some((CommandId(2), true)));
        node.recorded(1, Ok(()));
        assert_eq!(node.replies.pop().map(|(id, reply)| (id, reply.err())), Some((CommandId(1), Some(Refusal::Version(2)))));
        assert!(!node.counts("192.0.2.1").drain);
        let last = node.records.last().and_then(|(_, record)| record.word.as_ref().map(|word| word.version));
        assert_eq!(last, Some(2), "and the disk agrees");
    }

    #[test]
    fn one_that_is_being_written_goes_ahead_too() {
        let mut node = Node::start();
        node.order(1, Command { volatile: true, ..say(FIRST, State::Drain) });
        assert_eq!(node.engine.next_timeout().map(|next| next < node.now + VOLATILE_WAIT), Some(true));
        node.run(2);
        assert!(node.counts("192.0.2.1").drain && node.replies.len() == 1);
        node.recorded(1, Ok(()));
        assert_eq!(node.replies.len(), 1, "told once");
    }

    #[test]
    fn what_is_measured_goes_on_beneath_and_counts_again() {
        let mut node = Node::start();
        node.ordered(1, say(FIRST, State::Down)).expect("done");
        assert!(node.counts("192.0.2.1").is_excluded());
        node.ordered(2, say(FIRST, State::Up)).expect("done");
        node.down.push("192.0.2.1");
        node.run(10);
        assert_eq!(node.counts("192.0.2.1").value, Value::Up, "forced");
        let report = node.ordered(3, release(FIRST)).expect("done");
        assert_eq!((report.before.map(|word| word.version), report.after), (Some(2), None));
        assert_eq!(node.counts("192.0.2.1").value, Value::Down, "as the probes found in the meantime");
    }

    #[test]
    fn a_word_ends_by_itself() {
        let mut node = Node::start();
        node.ordered(1, say(FIRST, State::Drain)).expect("done");
        node.run(58);
        assert!(node.counts("192.0.2.1").drain);
        node.run(3);
        assert!(!node.counts("192.0.2.1").drain);
        let (command, record) = node.records.last().expect("written down");
        assert_eq!((*command, record.word.is_none(), record.version), (None, true, 1));
        assert_eq!(node.ordered(2, release(FIRST)).err(), Some(Refusal::NotSet));
    }

    #[test]
    fn a_word_that_ends_while_its_successor_is_written_takes_nothing_along() {
        let mut node = Node::start();
        node.ordered(1, say(FIRST, State::Drain)).expect("done");
        node.run(55);
        node.order(2, say(FIRST, State::Down));
        let records = node.records.len();
        node.run(10);
        assert!(!node.counts("192.0.2.1").drain, "the first has ended");
        assert_eq!(node.records.len(), records, "what is on its way to the disk is not struck out behind it");
        node.recorded(2, Ok(()));
        assert!(node.counts("192.0.2.1").is_excluded() && node.replies.pop().is_some_and(|(_, reply)| reply.is_ok()));
    }

    #[test]
    fn a_thaw_is_judged_by_what_is_measured() {
        let mut node = Node::start();
        node.ordered(1, say("node/this", State::Frozen)).expect("done");
        node.down.extend(["192.0.2.1", "192.0.2.2"]);
        node.run(10);
        let rehearsed = node.ordered(2, Command { dry_run: true, ..release("node/this") }).expect("judged");
        assert_eq!((rehearsed.checks, rehearsed.programs, rehearsed.bare), (2, vec![ProgramId(0)], vec![ProgramId(0)]));
        assert_eq!(node.ordered(3, release("node/this")).err(), Some(Refusal::WouldEmpty(vec![ProgramId(0)])));
        node.ordered(4, Command { accept_empty: true, ..release("node/this") }).expect("done");
        assert_eq!(node.counts("192.0.2.1").value, Value::Down);
    }

    #[test]
    fn nothing_changes_while_the_node_is_frozen_but_by_order() {
        let mut node = Node::start();
        node.ordered(1, say("node/this", State::Frozen)).expect("done");
        let before = node.published.len();
        node.down.push("192.0.2.2");
        node.run(10);
        assert_eq!((node.published.len(), node.counts("192.0.2.2").value), (before, Value::Up));
        node.ordered(2, say(FIRST, State::Drain)).expect("done");
        assert_eq!((node.counts("192.0.2.1").drain, node.counts("192.0.2.2").value), (true, Value::Up));
        assert_eq!(node.ordered(3, release("node/this")).err(), Some(Refusal::WouldEmpty(vec![ProgramId(0)])));
        node.ordered(4, Command { accept_empty: true, ..release("node/this") }).expect("done");
        assert_eq!((node.counts("192.0.2.1").drain, node.counts("192.0.2.2").value), (true, Value::Down));
    }

    #[test]
    fn orders_are_refused_for_reasons() {
        let mut node = Node::start();
        let alone = "target/192.0.2.3";
        let mut refused = |id, command| node.ordered(id, command).err();
        assert_eq!(refused(1, say(alone, State::Drain)), Some(Refusal::WouldEmpty(vec![ProgramId(1)])));
        assert_eq!(refused(2, say("target/192.0.2.9", State::Drain)), Some(Refusal::NoSuchTarget));
        assert_eq!(refused(3, say(FIRST, State::Frozen)), Some(Refusal::Unfit));
        assert_eq!(refused(4, say("node/this", State::Down)), Some(Refusal::Unfit));
        assert_eq!(refused(5, release(FIRST)), Some(Refusal::NotSet));
        assert_eq!(refused(6, Command { if_version: Some(3), ..say(FIRST, State::Drain) }), Some(Refusal::Version(0)));
        assert_eq!(refused(7, Command { if_version: Some(0), ..say(FIRST, State::Drain) }), None);
        assert_eq!(refused(8, Command { if_version: Some(0), ..say(FIRST, State::Up) }), Some(Refusal::Version(1)));
        assert_eq!(refused(9, Command { accept_empty: true, ..say(alone, State::Drain) }), None);
        assert_eq!(refused(10, Command { accept_unknown: true, ..say("target/192.0.2.9", State::Drain) }), None);
        let rehearsed = node.ordered(11, Command { dry_run: true, ..release(alone) }).expect("judged");
        assert_eq!((rehearsed.programs, rehearsed.durable), (vec![ProgramId(1)], false));
        assert!(node.counts("192.0.2.3").drain, "nothing was changed");
        let rehearsed = node.ordered(12, Command { dry_run: true, ..say("target/192.0.2.2", State::Drain) }).expect("judged");
        assert_eq!(rehearsed.bare, [ProgramId(0)], "both would be drained");
        node.order(13, say("target/192.0.2.2", State::Up));
        node.recorded(13, Err("disk full".into()));
        assert_eq!(node.replies.pop().and_then(|(_, reply)| reply.err()), Some(Refusal::NotDurable("disk full".into())));
        assert_eq!(node.counts("192.0.2.2").basis, crate::target::Basis::Measured);
        node.order(14, Command { volatile: true, ..say("target/192.0.2.2", State::Up) });
        node.recorded(14, Err("disk full".into()));
        let (_, reply) = node.replies.pop().expect("a reply");
        assert_eq!(reply.map(|report| report.durable).ok(), Some(false));
    }

    #[test]
    fn words_from_before_are_in_force_from_the_first_answer() {
        let mut node = Node::start();
        let word = node.ordered(1, say(FIRST, State::Down)).expect("done").after.expect("a word");
        let mut overrides = crate::health::Overrides::default();
        overrides.set(word);
        let mut next = Node::start();
        next.engine = {
            let options = Arc::new(Options::default());
            let health = health::Config::default();
            let config = Config { health, options: Arc::clone(&options), publish_interval: Duration::ZERO, workers: 1 };
            let mut engine = Engine::new(config, fastrand::Rng::with_seed(1), next.now).under(overrides, 9);
            let codes = ["ifportup(80, {'192.0.2.1', '192.0.2.2'}, {selector='all'})".to_owned()];
            engine.handle(Event::Loaded(Box::new(load(&codes, &options, Duration::ZERO))), next.now);
            engine
        };
        next.published.clear();
        next.run(0);
        let first = next.published.first().expect("published");
        let view = next.engine.checks().find(|view| view.spec.target() == "192.0.2.1:80").expect("a check");
        assert!(first.statuses.get(view.id).is_excluded() && view.status.value == Value::Up);
        let report = next.ordered(1, say("target/192.0.2.2", State::Up)).expect("done");
        assert_eq!(report.after.map(|word| word.version), Some(10), "no version is given twice");
    }

    /// An engine that is to begin with these words, and remembers that 192.0.2.1 and 192.0.2.2 were up; of 192.0.2.3 nothing
    /// is known, so the trial lasts until that has a result.
    fn restarted(overrides: Overrides, words: Option<FileWords>) -> Node {
        let mut node = Node::start();
        let known = node.engine.checks.views().filter(|view| view.spec.target() != "192.0.2.3:80");
        let remembered = known.map(|view| (view.key, Remembered { value: Value::Up, reported: 0 })).collect();
        let options = Arc::new(Options::default());
        let config = Config {
            health: health::Config::default(),
            options: Arc::clone(&options),
            publish_interval: Duration::ZERO,
            workers: 1,
        };
        let engine = Engine::new(config, fastrand::Rng::with_seed(1), node.now);
        node.engine = engine.remembering(remembered, node.now).under(overrides, 9);
        let codes = ["ifportup(80, {'192.0.2.1', '192.0.2.2'}, {selector='all'})", "ifportup(80, {'192.0.2.3'})"];
        let mut load = load(&codes.map(str::to_owned), &options, Duration::ZERO);
        load.words = words;
        node.engine.handle(Event::Loaded(Box::new(load)), node.now);
        node.published.clear();
        node
    }

    /// What of the first program is answered from, where a probe of 192.0.2.1 fails while the start is on trial.
    fn counts_after_a_failure_on_trial(mut node: Node) -> Value {
        let effects = std::iter::from_fn(|| node.engine.poll_effect());
        let runs = effects.filter_map(|effect| match effect {
            Effect::Probe(Due { run, spec, .. }) => Some((spec.target(), run)),
            _ => None,
        });
        let runs: BTreeMap<String, _> = runs.collect();
        assert!(runs.len() == 3 && node.engine.trial.is_some());
        for (target, run) in runs {
            let outcome = if target == "192.0.2.1:80" { Outcome::Fail(Failure::Refused) } else { Outcome::PASS };
            let result = Finished { outcome, started: node.now, elapsed: Duration::ZERO };
            node.engine.handle(Event::Probed { run, result }, node.now);
        }
        assert!(node.engine.trial.is_none(), "adopted");
        let check = node.engine.checks.views().find(|view| view.spec.target() == "192.0.2.1:80").expect("a check");
        assert_eq!(check.status.value, Value::Down);
        node.engine.beliefs.table_of(ProgramId(0)).get(check.id).value
    }

    #[test]
    fn what_is_frozen_at_a_start_keeps_what_was_measured_last() {
        assert_eq!(counts_after_a_failure_on_trial(restarted(Overrides::default(), None)), Value::Down, "not frozen");
        for subject in ["node/this", "zone/z"] {
            let mut node = Node::start();
            let word = node.ordered(1, say(subject, State::Frozen)).expect("done").after.expect("a word");
            let mut overrides = Overrides::default();
            overrides.set(word);
            assert_eq!(counts_after_a_failure_on_trial(restarted(overrides, None)), Value::Up, "{subject}, of an operator");
            let word = file_word(About::Subject(subject.parse().expect(subject)), State::Frozen);
            let words = FileWords { words: [word].into(), wall: 0 };
            let node = restarted(Overrides::default(), Some(words));
            assert_eq!(counts_after_a_failure_on_trial(node), Value::Up, "{subject}, of the file");
        }
    }

    fn file_word(about: About, state: State) -> FileWord {
        let (reason, place) = ("".into(), "file:1:1".into());
        FileWord { about, state, expires: None, reason, place, accept_empty: false, accept_unknown: false }
    }
}
