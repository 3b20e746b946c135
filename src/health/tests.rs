//! The state machine as a whole, in virtual time: probes that take their time, targets that die, come back and flap.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::{Change, Checks, Config, Finished, Moment, RunId, WireChange, WireId};
use crate::target::{
    Basis, CheckId, CheckKind, CheckRequest, CheckSpec, Failure, Inconclusive, Judgement, Outcome, Status, Value,
};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
/// What a probe takes where the target answers, or refuses.
const PROMPT: Duration = Duration::from_millis(10);

/// What a target does with a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Answer,
    Refuse,
    Stall,
    /// The probe does not get that far.
    Nothing,
}

impl Does {
    fn outcome(self) -> (Outcome, Duration) {
        match self {
            Self::Answer => (Outcome::PASS, PROMPT),
            Self::Refuse => (Outcome::Fail(Failure::Refused), PROMPT),
            Self::Stall => (Outcome::Fail(Failure::Timeout), TIMEOUT),
            Self::Nothing => (Outcome::Inconclusive(Inconclusive::Resources), PROMPT),
        }
    }
}

fn at(seconds: f64) -> Moment {
    Moment::at(Duration::from_secs_f64(seconds))
}

fn request(address: impl Into<IpAddr>, judgement: Judgement, interval: Duration) -> CheckRequest {
    let (address, kind) = (Some(address.into()), CheckKind::Tcp);
    let spec = CheckSpec { address, port: 80, source: None, kind, timeout: TIMEOUT };
    CheckRequest { spec: spec.into(), judgement, interval }
}

/// Checks and their targets, with the prober between them.
struct World {
    checks: Checks,
    random: fastrand::Rng,
    running: BTreeMap<(Moment, RunId), Finished>,
    /// How many probes have run.
    probes: u64,
}

impl World {
    fn new(config: &Config, seed: u64) -> Self {
        let mut checks = Checks::new(config.hold);
        checks.configure(config, at(0.0));
        Self { checks, random: fastrand::Rng::with_seed(seed), running: BTreeMap::new(), probes: 0 }
    }

    /// Lets time pass until `end`. What a target does is asked when its probe starts.
    fn run(
        &mut self,
        end: Moment,
        mut does: impl FnMut(&CheckSpec, Moment, &mut fastrand::Rng) -> Does,
    ) -> Vec<(Moment, Change)> {
        let mut seen = Vec::new();
        loop {
            let finish = self.running.first_key_value().map(|(&(at, _), _)| at);
            let Some(now) = finish.into_iter().chain(self.checks.next_timeout()).min().filter(|&now| now <= end) else {
                return seen;
            };
            let mut changes = self.checks.expire(now);
            while let Some((&(at, run), _)) = self.running.first_key_value()
                && at <= now
            {
                let finished = self.running.remove(&(at, run)).expect("there");
                changes.extend(self.checks.result(run, finished, &mut self.random, now));
            }
            seen.extend(changes.into_iter().map(|change| (now, change)));
            for due in self.checks.start_due(now) {
                let (outcome, elapsed) = does(&due.spec, now, &mut self.random).outcome();
                self.probes += 1;
                self.running.insert((now + elapsed, due.run), Finished { outcome, started: now, elapsed });
            }
        }
    }

    fn status(&self, id: CheckId) -> Status {
        self.checks.status(id)
    }
}

fn transitions(changes: &[(Moment, Change)]) -> Vec<(Moment, Value)> {
    changes.iter().filter(|(_, change)| change.is_transition()).map(|(at, change)| (*at, change.to.value)).collect()
}

#[test]
fn a_surprise_is_asked_about_at_once() {
    for (end, within) in [(Does::Refuse, 7.1), (Does::Stall, 13.0)] {
        let mut world = World::new(&Config::default(), 1);
        let id = world.checks.acquire(&request([192, 0, 2, 1], Config::default().judgement(), 5 * SECOND), None, at(0.0));
        world.run(at(100.0), |_, _, _| Does::Answer);
        let probes = world.probes;
        let died = world.run(at(120.0), |_, _, _| end);
        let Some(&(down, Value::Down)) = transitions(&died).first() else { panic!("{died:?}") };
        assert!(down <= at(100.0 + within), "{end:?}: {down:?}");
        assert!(world.probes - probes <= 3 + 4, "the interval is kept again once it is down");
        let back = world.run(at(140.0), |_, _, _| Does::Answer);
        let Some(&(up, Value::Up)) = transitions(&back).first() else { panic!("{back:?}") };
        assert!(up <= at(120.0 + 5.0 + 2.0 + 2.1), "{end:?}: {up:?}");
        assert_eq!(world.status(id).value, Value::Up);
    }
}

/// A target that is probed once in an hour, and its idle connections.
struct Wired {
    world: World,
    id: CheckId,
    wire: Option<WireId>,
}

impl Wired {
    fn new(seed: u64) -> Self {
        let mut world = World::new(&Config::default(), seed);
        let judgement = Judgement { tripwire: true, ..Judgement::AT_ONCE };
        let id = world.checks.acquire(&request([192, 0, 2, 1], judgement, 3600 * SECOND), None, at(0.0));
        Self { world, id, wire: None }
    }

    fn run(&mut self, end: f64, does: impl FnMut(&CheckSpec, Moment, &mut fastrand::Rng) -> Does) {
        self.world.run(at(end), does);
        while let Some(change) = self.world.checks.take_wire_change() {
            match change {
                WireChange::Set(wire, _) => self.wire = Some(wire),
                WireChange::Cut(_) => self.wire = None,
            }
        }
    }

    fn trip(&mut self, now: f64) -> bool {
        self.wire.take().map(|wire| self.world.checks.trip(wire, at(now))).is_some()
    }
}

#[test]
fn a_port_that_outlives_its_connections_by_a_moment_is_found_dead() {
    for outlives in [0.0, 0.000_1, 0.005, 0.05, 0.15] {
        for seed in 0..20 {
            let mut node = Wired::new(seed);
            let died = 2.0 + seed as f64 * 0.7;
            node.run(died, |_, _, _| Does::Answer);
            assert!(node.trip(died));
            let gone = at(died + outlives);
            node.run(died + 0.3, |_, now, _| if now <= gone { Does::Answer } else { Does::Refuse });
            assert_eq!(node.world.status(node.id).value, Value::Down, "{outlives} s, seed {seed}");
        }
    }
}

#[test]
fn a_target_that_ends_idle_connections_is_probed_no_more_than_four_times_an_interval() {
    let mut node = Wired::new(1);
    let mut now = 0.0;
    let mut until = |hours: f64, node: &mut Wired| {
        let before = node.world.probes;
        while now < hours * 3600.0 {
            now += 0.1;
            node.run(now, |_, _, _| Does::Answer);
            node.trip(now);
        }
        node.world.probes - before
    };
    let first = until(4.0, &mut node);
    assert!(first < 80, "it takes some doubling to find out: {first}");
    let later = until(24.0, &mut node);
    assert!((20..=96).contains(&later), "{later}");
}

#[test]
fn without_a_retry_interval_failures_keep_to_the_interval() {
    let patient = Judgement { fall: 3, ..Judgement::AT_ONCE };
    let mut world = World::new(&Config { jitter: 0, ..Config::default() }, 1);
    world.checks.acquire(&request([192, 0, 2, 1], patient, 5 * SECOND), None, at(0.0));
    world.run(at(100.0), |_, _, _| Does::Answer);
    let died = transitions(&world.run(at(130.0), |_, _, _| Does::Refuse));
    assert!(died[0].0 > at(110.0) && died[0].0 < at(115.1), "{died:?}");
}

#[test]
fn a_shared_probe_hurries_for_whoever_is_in_doubt() {
    let retry = |fall, retry| Judgement { fall, retry: Some(retry), ..Judgement::AT_ONCE };
    let mut world = World::new(&Config { jitter: 0, ..Config::default() }, 1);
    for judgement in [Judgement::AT_ONCE, retry(2, SECOND), retry(9, 3 * SECOND), retry(9, 60 * SECOND)] {
        world.checks.acquire(&request([192, 0, 2, 1], judgement, 5 * SECOND), None, at(0.0));
    }
    world.run(at(100.0), |_, _, _| Does::Answer);
    let mut starts = Vec::new();
    world.run(at(112.0), |_, now, _| {
        starts.push(now);
        Does::Refuse
    });
    let waits: Vec<_> = starts.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64().round()).collect();
    assert_eq!(waits[..3], [1.0, 3.0, 3.0], "the second is certain after two, the third is not, the fourth keeps the interval");
}

#[test]
fn our_own_troubles_are_no_reason_to_hurry() {
    let mut world = World::new(&Config { jitter: 0, ..Config::default() }, 1);
    world.checks.acquire(&request([192, 0, 2, 1], Config::default().judgement(), 5 * SECOND), None, at(0.0));
    world.run(at(100.0), |_, _, _| Does::Answer);
    let before = world.probes;
    world.run(at(150.0), |_, _, _| Does::Nothing);
    assert!(world.probes - before <= 10, "{}", world.probes - before);
}

#[test]
fn jitter_is_as_configured() {
    // `[health]`, what the checks of the probe say, and the shortest wait.
    let cases: [(u8, &[Option<u8>], f64); 5] = [
        (0, &[None], 5.0),
        (50, &[None], 2.5),
        (10, &[Some(50)], 2.5),
        (50, &[Some(0)], 5.0),
        (50, &[Some(50), None, Some(20)], 4.0),
    ];
    for (jitter, own, shortest) in cases {
        let mut world = World::new(&Config { jitter, ..Config::default() }, 1);
        for &jitter in own {
            let judgement = Judgement { jitter, ..Judgement::AT_ONCE };
            world.checks.acquire(&request([192, 0, 2, 1], judgement, 5 * SECOND), None, at(0.0));
        }
        world.run(at(20.0), |_, _, _| Does::Answer);
        let mut starts = Vec::new();
        world.run(at(1000.0), |_, now, _| {
            starts.push(now);
            Does::Answer
        });
        let waits: Vec<_> = starts.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (shortest..=5.0).contains(wait)), "{waits:?}");
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        assert!((mean - (shortest + 5.0) / 2.0).abs() < 0.2, "{mean}");
    }
}

/// gdnsd's counter of three thresholds, from its manual's description (landscape B; G14): `down_thresh` failures take a
/// service down unless `ok_thresh` passes in a row came in between; `up_thresh` passes in a row bring it up, any failure
/// begins anew.
mod counter_of_three_thresholds {
    use super::*;
    use crate::health::Verdict;

    const GDNSD: Judgement = Judgement { fall: 10, rise: 20, forget: 10, ..Judgement::AT_ONCE };

    /// The value after these results, of a target that was up: `+9` is nine passes, `-1` a failure.
    fn after(script: &str) -> Value {
        let mut verdict = Verdict::never(at(0.0));
        verdict.result(&Outcome::PASS, GDNSD, at(0.0), at(0.0));
        for word in script.split_whitespace() {
            let outcome = if word.starts_with('+') { Does::Answer } else { Does::Refuse }.outcome().0;
            for _ in 0..word[1..].parse().expect("a number") {
                verdict.result(&outcome, GDNSD, at(0.0), at(0.0));
            }
        }
        verdict.status(GDNSD, SECOND).value
    }

    #[test]
    fn scenarios() {
        for (script, wanted) in [
            ("-9", Value::Up),
            ("-10", Value::Down),
            // G14: intermittent, and never a clean run of ten.
            ("-1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1 +9", Value::Up),
            ("-1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1 +9 -1", Value::Down),
            ("-9 +9 -1", Value::Down),
            ("-9 +10 -9", Value::Up),
            ("-9 +10 -9 +10 -10", Value::Down),
            ("-10 +19", Value::Down),
            ("-10 +20", Value::Up),
            ("-10 +19 -1 +19", Value::Down),
            ("-10 +19 -1 +20", Value::Up),
            ("-10 +20 -9", Value::Up),
        ] {
            assert_eq!(after(script), wanted, "{script}");
        }
    }

    /// G15: what a TTL may promise counts down with the results that are still needed.
    #[test]
    fn the_earliest_change_counts_down() {
        let mut verdict = Verdict::never(at(0.0));
        let mut earliest = |does: Does| {
            verdict.result(&does.outcome().0, GDNSD, at(0.0), at(0.0));
            verdict.status(GDNSD, 10 * SECOND).earliest_change
        };
        assert_eq!(earliest(Does::Answer), 90);
        let failing: Vec<_> = (0..10).map(|_| earliest(Does::Refuse)).collect();
        assert_eq!(failing, [80, 70, 60, 50, 40, 30, 20, 10, 0, 190], "the last one takes it down");
        let passing: Vec<_> = (0..3).map(|_| earliest(Does::Answer)).collect();
        assert_eq!(passing, [180, 170, 160]);
        assert_eq!(earliest(Does::Refuse), 190, "and anew");
    }
}

/// How often a target that fails one probe in three changes the answer in an hour, and in what it ends.
fn flaps(judgement: Judgement, seed: u64) -> (usize, Value) {
    let mut world = World::new(&Config::default(), seed);
    let id = world.checks.acquire(&request([192, 0, 2, 1], judgement, 5 * SECOND), None, at(0.0));
    world.run(at(10.0), |_, _, _| Does::Answer);
    let hour = world.run(at(3610.0), |_, _, random| if random.u8(..3) == 0 { Does::Refuse } else { Does::Answer });
    (transitions(&hour).len(), world.status(id).value)
}

/// Issue 6, "No flap".
#[test]
fn what_fails_now_and_then_does_not_flap() {
    const SEEDS: u64 = 100;
    let damped = Config::default().damped();
    let (ours, powerdns) = (flaps(damped, 1), flaps(Judgement::AT_ONCE, 1));
    println!("an hour of one failure in three: damped {} changes, PowerDNS's rule {}", ours.0, powerdns.0);
    assert!(ours.0 <= 2 && powerdns.0 >= 200);
    let most = (0..SEEDS).map(|seed| flaps(damped, seed).0).max();
    assert!(most <= Some(2), "of {SEEDS} such hours, the worst: {most:?}");
}

/// `sight`, with the checks below it and the prober beside it.
mod isolation {
    use super::*;
    use crate::health::{Blindness, SightChange};
    use Does::{Answer, Nothing, Refuse, Stall};

    /// Target number `host`, in the network `host % networks`.
    fn address(host: u8, networks: u8) -> IpAddr {
        [192, 0, host % networks, host].into()
    }

    fn host(spec: &CheckSpec) -> u8 {
        match spec.address {
            Some(IpAddr::V4(address)) => address.octets()[3],
            _ => panic!("{spec}"),
        }
    }

    /// A world in which so many targets answer for 100 s.
    fn healthy(config: &Config, hosts: u8, networks: u8, judgement: Judgement, seed: u64) -> (World, Vec<CheckId>) {
        let mut world = World::new(config, seed);
        let acquire = |host| world.checks.acquire(&request(address(host, networks), judgement, 5 * SECOND), None, at(0.0));
        let ids = (0..hosts).map(acquire).collect();
        world.run(at(100.0), |_, _, _| Answer);
        (world, ids)
    }

    fn down(world: &World, ids: &[CheckId]) -> usize {
        ids.iter().filter(|&&id| world.status(id).value == Value::Down).count()
    }

    fn news(world: &mut World) -> Vec<SightChange> {
        std::iter::from_fn(|| world.checks.take_sight_change()).collect()
    }

    #[test]
    fn the_table_holds() {
        for (hosts, networks, dying, held) in [
            (4, 2, 4, false),
            (5, 1, 5, false),
            (5, 2, 5, true),
            (5, 2, 4, true),
            (5, 2, 3, false),
            (10, 2, 7, false),
            (10, 2, 8, true),
            (40, 3, 31, false),
            (40, 3, 32, true),
        ] {
            for judgement in [Judgement::AT_ONCE, Config::default().judgement()] {
                for how in [Refuse, Stall] {
                    let (mut world, ids) = healthy(&Config::default(), hosts, networks, judgement, 7);
                    world.run(at(130.0), |spec, _, _| if host(spec) < dying { how } else { Answer });
                    let wanted = if held { 0 } else { usize::from(dying) };
                    let row = (hosts, networks, dying, judgement.fall, how);
                    assert_eq!((down(&world, &ids), world.checks.blind_since().is_some()), (wanted, held), "{row:?}");
                    let bases: Vec<_> = ids[..dying.into()].iter().map(|&id| world.status(id).basis).collect();
                    assert!(!held || bases.iter().all(|&basis| basis == Basis::Held), "{row:?}: {bases:?}");
                }
            }
        }
    }

    #[test]
    fn those_that_die_one_after_the_other_are_dead() {
        let (mut world, ids) = healthy(&Config::default(), 10, 2, Judgement::AT_ONCE, 7);
        world.run(at(300.0), |spec, now, _| if at(100.0 + 10.0 * f64::from(host(spec))) < now { Stall } else { Answer });
        assert_eq!((down(&world, &ids), news(&mut world).len()), (10, 0));
    }

    #[test]
    fn what_went_down_on_the_way_is_put_back() {
        let (mut world, ids) = healthy(&Config::default(), 10, 2, Judgement::AT_ONCE, 7);
        world.run(at(100.0), |_, _, _| Answer);
        let seen = world.run(at(130.0), |_, _, _| Refuse);
        let went: std::collections::BTreeSet<_> = seen.iter().map(|(_, change)| change.check).collect();
        let news = news(&mut world);
        let [SightChange::Lost { blindness: Blindness::Targets { lost: 8, of: 10 }, put_back }] = &news[..] else {
            panic!("{news:?}")
        };
        assert!(put_back.iter().all(|change| change.from.value == Value::Down && change.to.basis == Basis::Held));
        assert_eq!(put_back.len(), 7, "the eighth is held at once");
        assert!(put_back.iter().all(|change| went.contains(&change.check)));
        assert_eq!(down(&world, &ids), 0);
    }

    #[test]
    fn sight_is_back_with_the_first_that_was_lost_and_the_dead_are_found() {
        let judgement = Config::default().judgement();
        let (mut world, ids) = healthy(&Config::default(), 10, 2, judgement, 7);
        // 8 and 9 are on our side of the cut.
        world.run(at(1000.0), |spec, _, _| if host(spec) < 8 { Stall } else { Answer });
        assert_eq!((down(&world, &ids), world.checks.blind_since().is_some()), (0, true), "for as long as it takes");
        news(&mut world);
        // The way is back; three have died in the meantime.
        world.run(at(1006.0), |spec, _, _| if host(spec) < 3 { Stall } else { Answer });
        assert!(matches!(news(&mut world)[..], [SightChange::Back(after)] if after > 890 * SECOND));
        world.run(at(1030.0), |spec, _, _| if host(spec) < 3 { Stall } else { Answer });
        assert_eq!((down(&world, &ids), down(&world, &ids[3..])), (3, 0));
        let fell = ids[..3].iter().map(|&id| world.status(id).basis);
        assert!(fell.eq([Basis::Measured; 3]));
    }

    #[test]
    fn what_cannot_be_asked_speaks_for_nobody() {
        let (mut world, ids) = healthy(&Config::default(), 10, 2, Config::default().judgement(), 7);
        let second = |host| {
            let mut request = request(address(host, 2), Config::default().judgement(), 5 * SECOND);
            std::sync::Arc::make_mut(&mut request.spec).port = 53;
            world.checks.acquire(&request, None, at(100.0))
        };
        let ids: Vec<CheckId> = ids.into_iter().chain((0..10).map(second).collect::<Vec<_>>()).collect();
        world.run(at(200.0), |_, _, _| Answer);
        // A rule of our own: silence to one check, an error to the other.
        world.run(at(300.0), |spec, _, _| if spec.port == 53 { Nothing } else { Stall });
        assert_eq!((down(&world, &ids), world.checks.blind_since().is_some()), (0, true));
        world.run(at(320.0), |_, _, _| Answer);
        assert_eq!((down(&world, &ids), world.checks.blind_since()), (0, None));
    }

    #[test]
    fn a_bad_answer_is_an_answer() {
        let (mut world, ids) = healthy(&Config::default(), 10, 2, Judgement::AT_ONCE, 7);
        let status = Outcome::Fail(Failure::Status { got: 500, wanted: crate::target::Codes::only(200) });
        for _ in 0..3 {
            let now = world.checks.next_timeout().expect("waiting").max(at(101.0)) + 5 * SECOND;
            for due in world.checks.start_due(now) {
                let finished = Finished { outcome: status.clone(), started: now, elapsed: PROMPT };
                world.checks.result(due.run, finished, &mut world.random, now);
            }
        }
        assert_eq!((down(&world, &ids), news(&mut world).len()), (10, 0));
    }

    #[test]
    fn controls_decide_whatever_the_targets_are() {
        let control = ["198.51.100.1:53", "203.0.113.1:53"].map(|to| to.parse().expect("an address")).to_vec();
        let config = Config { control, ..Config::default() };
        let (mut world, ids) = healthy(&config, 3, 1, config.judgement(), 7);
        let is_control = |spec: &CheckSpec| spec.port == 53;
        world.run(at(150.0), |spec, _, _| if is_control(spec) { Answer } else { Stall });
        assert_eq!(down(&world, &ids), 3, "we see the controls: they are dead");
        world.run(at(200.0), |_, _, _| Answer);
        assert_eq!((down(&world, &ids), news(&mut world).len()), (0, 0));
        world.run(at(300.0), |spec, _, _| if spec.to_string().contains("198.51") { Answer } else { Stall });
        assert_eq!((down(&world, &ids), news(&mut world).len()), (3, 0), "we see one of two");
        world.run(at(320.0), |_, _, _| Answer);
        world.run(at(400.0), |_, _, _| Stall);
        assert_eq!(down(&world, &ids), 0);
        assert!(matches!(news(&mut world)[..], [SightChange::Lost { blindness: Blindness::Controls { of: 2 }, .. }]));
        world.run(at(407.0), |spec, _, _| if is_control(spec) { Answer } else { Stall });
        assert!(matches!(news(&mut world)[..], [SightChange::Back(_)]));
        world.run(at(420.0), |spec, _, _| if is_control(spec) { Answer } else { Stall });
        assert_eq!(down(&world, &ids), 3);
        world.checks.configure(&Config { control: Vec::new(), ..config }, at(420.0));
        assert_eq!(world.checks.len(), 3, "controls come and go with the configuration");
    }

    #[test]
    fn it_can_be_turned_off() {
        let config = Config { isolation: false, ..Config::default() };
        let (mut world, ids) = healthy(&config, 10, 2, Judgement::AT_ONCE, 7);
        world.run(at(130.0), |_, _, _| Stall);
        assert_eq!((down(&world, &ids), news(&mut world).len()), (10, 0));
        world.checks.configure(&Config::default(), at(130.0));
        assert_eq!((down(&world, &ids), news(&mut world).len()), (10, 0), "what is dead stays dead");
        world.run(at(200.0), |_, _, _| Answer);
        world.run(at(300.0), |_, _, _| Stall);
        assert_eq!((down(&world, &ids), news(&mut world).len()), (0, 1));
        world.checks.configure(&config, at(300.0));
        assert!(matches!(news(&mut world)[..], [SightChange::Back(_)]));
        world.run(at(310.0), |_, _, _| Stall);
        assert_eq!(down(&world, &ids), 10);
    }

    proptest! {
        /// What are few, or near each other, is never held, whenever and however each dies.
        #[test]
        fn the_death_of_few_is_never_hidden(
            seed: u64,
            hosts in 1u8..20,
            networks in 1u8..5,
            deaths in prop::collection::vec((100.0..120.0f64, any::<bool>()), 20),
        ) {
            let judgement = Config::default().judgement();
            let dying = if hosts < 5 || networks == 1 { hosts } else { (u16::from(hosts) * 79 / 100) as u8 };
            let (mut world, ids) = healthy(&Config::default(), hosts, networks, judgement, seed);
            world.run(at(140.0), |spec, now, _| {
                let (died, stalls) = deaths[usize::from(host(spec))];
                match host(spec) < dying && at(died) < now {
                    true if stalls => Stall,
                    true => Refuse,
                    false => Answer,
                }
            });
            prop_assert_eq!(down(&world, &ids), usize::from(dying));
        }

        /// A cut, however long and whenever: all are up at its end that were up before, but for what is dead afterwards.
        #[test]
        fn a_cut_changes_nothing(seed: u64, hosts in 5u8..20, cut in 100.0..110.0f64, lasts in 10.0..500.0f64) {
            let (mut world, ids) = healthy(&Config::default(), hosts, 3, Judgement::AT_ONCE, seed);
            let end = at(cut + lasts);
            let is_cut = |now| now >= at(cut) && now <= end;
            let does = |_: &CheckSpec, now: Moment, _: &mut fastrand::Rng| if is_cut(now) { Stall } else { Answer };
            world.run(end, does);
            prop_assert_eq!(down(&world, &ids), 0);
            world.run(end + 20 * SECOND, does);
            prop_assert_eq!((down(&world, &ids), world.checks.blind_since()), (0, None));
        }
    }
}

proptest! {
    /// `fall` 3 with a retry interval of a second: a death is seen within an interval, two waits and three time limits,
    /// however it dies and whenever.
    #[test]
    fn a_death_is_seen_in_time(seed: u64, interval in 1u32..30, died in 50.0..150.0f64, stalls: bool) {
        let mut world = World::new(&Config::default(), seed);
        world.checks.acquire(&request([192, 0, 2, 1], Config::default().judgement(), interval * SECOND), None, at(0.0));
        let dead = if stalls { Does::Stall } else { Does::Refuse };
        let changes = world.run(at(300.0), |_, now, _| if now < at(died) { Does::Answer } else { dead });
        let seen = transitions(&changes);
        let limit = at(died) + interval * SECOND + 2 * SECOND + 3 * TIMEOUT;
        prop_assert!(seen.len() == 2 && seen[1].1 == Value::Down && seen[1].0 <= limit, "{seen:?}");
    }

    /// Losing sight alone changes nothing, whatever came before and however it is judged.
    #[test]
    fn blindness_changes_no_value(seed: u64, fall in 1u16..5, rise in 1u16..5, forget in 1u16..12) {
        let mut world = World::new(&Config::default(), seed);
        let judgement = Judgement { fall, rise, forget, ..Config::default().judgement() };
        let id = world.checks.acquire(&request([192, 0, 2, 1], judgement, 5 * SECOND), None, at(0.0));
        world.run(at(200.0), |_, _, random| if random.bool() { Does::Answer } else { Does::Refuse });
        let (before, pending) = (world.status(id), world.running.len());
        let blind = world.run(at(4000.0), |_, _, _| Does::Nothing);
        prop_assert!(transitions(&blind).len() <= pending, "only a probe that was under way");
        prop_assert!(pending > 0 || world.status(id).value == before.value);
        prop_assert_eq!(world.status(id).basis, Basis::Held);
    }
}
