//! Settling under every kind of statuses, picks against PowerDNS's own, and properties.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{
    Choice, Closest, Compiled, Contender, Defaults, Draw, Facts, FailReason, Metric, Program, Selector, Settings, Settled, Step,
    Under, compile, hash_client,
};
use crate::geo::{Location, Places};
use crate::target::{Basis, Status, Value};
use crate::wire::{Name, NameRef};

const UP: Status = Status::SOUND;
const DOWN: Status = Status { value: Value::Down, basis: Basis::Measured, ..Status::SOUND };
const UNKNOWN: Status = Status::NEVER;
const DRAINED: Status = Status { drain: true, ..Status::SOUND };
const FORCED_DOWN: Status = Status { value: Value::Down, ..Status::SOUND };

const SETTINGS: Settings = Settings { defaults: Defaults::USUAL, step_limit: 1000, shared: false };

fn program(code: &str) -> Program {
    let Compiled { program, findings } = compile(code, &SETTINGS);
    program.unwrap_or_else(|| panic!("{code}: {findings:#?}"))
}

fn settle(code: &str, statuses: &[Status]) -> Settled {
    let program = program(code);
    assert_eq!(program.checks().len(), statuses.len(), "{code}");
    let settled = pieces(&program, &|check| statuses[check]);
    let [settled] = &*settled else { panic!("{code}: {settled:#?}") };
    settled.clone()
}

/// All pieces, where nothing is known of any place.
fn pieces(program: &Program, status: &dyn Fn(usize) -> Status) -> Arc<[Settled]> {
    let settled = program.settle(&Under { status, standing: &|_| Status::NEVER, places: &Places::empty() });
    settled.iter().for_each(|settled| assert_settled(program, settled));
    settled
}

fn explain(program: &Program, status: &dyn Fn(usize) -> Status) -> Vec<Step> {
    let under = Under { status, standing: &|_| Status::NEVER, places: &Places::empty() };
    (0..program.pieces.len()).flat_map(|piece| program.explain(piece as u16, &under)).collect()
}

fn facts<'a>(client: IpAddr, qname: NameRef<'a>, places: &'a Places) -> Facts<'a> {
    let resolver = SocketAddr::new(client, 53);
    Facts {
        client,
        subnet: None,
        resolver,
        local: resolver,
        qname,
        zone: NameRef::ROOT,
        owner: qname,
        tcp: false,
        dnssec_ok: false,
        payload: 1232,
        header: [0; 12],
        places,
        unix: 0,
        monotonic: 0,
    }
}

/// What a settled piece picks.
fn picked(settled: &Settled, client: IpAddr, qname: NameRef<'_>, seed: u64) -> Result<Vec<u16>, FailReason> {
    let (places, mut picks) = (Places::empty(), Vec::new());
    let facts = facts(client, qname, &places);
    let (picked, _) = settled.choice.pick(&facts, &mut fastrand::Rng::with_seed(seed), &mut picks);
    picked.map(|()| picks)
}

/// What any settled program keeps to.
fn assert_settled(program: &Program, settled: &Settled) {
    let in_range = |member: u16| usize::from(member) < program.members().len();
    match &settled.choice {
        Choice::Fail(_) => {}
        Choice::Every(members) => assert!(members.iter().copied().all(in_range)),
        Choice::One { members, .. } => assert!(!members.is_empty() && members.iter().copied().all(in_range)),
        Choice::Weighted { members, .. } => {
            assert!(!members.is_empty() && members.iter().all(|&(_, member)| in_range(member)));
            assert!(members[0].0 > 0 && members.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
        Choice::Sample { members, .. } => assert!(members.iter().copied().all(in_range)),
        Choice::Ring(points) => {
            assert!(!points.is_empty() && points.iter().all(|&(_, member)| in_range(member)));
            assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        }
        Choice::Rendezvous { contenders, .. } => {
            assert!(!contenders.is_empty() && contenders.iter().all(|one| in_range(one.member) && one.weight > 0.0));
        }
        Choice::Closest(closest) => {
            assert!(!closest.candidates.is_empty() && closest.candidates.iter().all(|&(member, _)| in_range(member)));
        }
        Choice::Of { inner, .. } => {
            assert!(matches!(&**inner, Choice::Closest(closest) if closest.count != 1), "what settles is settled");
        }
        Choice::Steered { .. } | Choice::Bundles { .. } => unreachable!("of pools, whose tests are their own"),
        Choice::ByNetwork { choices, otherwise, .. } => {
            let flat = |choice: &Choice| matches!(choice, Choice::Fail(_) | Choice::Every(_) | Choice::One { .. });
            assert!(choices.iter().all(flat) && flat(otherwise));
        }
    }
}

fn chosen(selector: Selector, members: &[u16]) -> Choice {
    match selector {
        Selector::Random => Choice::One { draw: Draw::Chance, members: members.into() },
        Selector::Hashed => Choice::One { draw: Draw::Client, members: members.into() },
        Selector::All => Choice::Every(members.into()),
        Selector::Empty => Choice::Every([].into()),
        Selector::First => Choice::Every(members[..1].into()),
        Selector::Closest(count) => {
            let candidates = members.iter().map(|&member| (member, None)).collect();
            Choice::Closest(Closest { candidates, count: count.into(), metric: Metric::default() })
        }
        Selector::WRandom => Choice::Weighted { draw: Draw::Chance, members: sums(members) },
        Selector::WHashed => Choice::Weighted { draw: Draw::Client, members: sums(members) },
        Selector::NameHashed => Choice::Weighted { draw: Draw::Name, members: sums(members) },
        Selector::CHashed => {
            let contender = |&member: &u16| Contender::new(member, &format!("10.0.0.{}", member + 1), 1);
            Choice::Rendezvous { draw: Draw::Client, count: 1, contenders: members.iter().map(contender).collect() }
        }
    }
}

/// Of members that weigh 1 each, in the order of PowerDNS's walk.
fn sums(members: &[u16]) -> Box<[(u32, u16)]> {
    (1..).zip(members.iter().rev().copied()).collect()
}

/// Statuses of three targets; who is up in a flat list, and in the first of the groups {0, 1}, {2} that has any; whether
/// a consulted status is unknown in the flat list, and in the groups.
type Row<'a> = ([Status; 3], &'a [u16], &'a [u16], bool, bool);

#[test]
fn selectors_decide_among_what_is_up() {
    let rows: [Row<'_>; 9] = [
        ([UP, UP, UP], &[0, 1, 2], &[0, 1], false, false),
        ([UP, DOWN, UP], &[0, 2], &[0], false, false),
        ([DOWN, DOWN, UP], &[2], &[2], false, false),
        ([UP, UNKNOWN, UP], &[0, 2], &[0], true, true),
        ([UP, DOWN, UNKNOWN], &[0], &[0], true, false),
        ([UNKNOWN, DRAINED, UP], &[2], &[2], true, true),
        ([DOWN, DOWN, DOWN], &[], &[], false, false),
        ([UNKNOWN, UNKNOWN, UNKNOWN], &[], &[], true, true),
        ([DOWN, DOWN, UNKNOWN], &[], &[], true, true),
    ];
    for (statuses, flat_up, grouped_up, flat_unknown, grouped_unknown) in rows {
        for selector in Selector::ALL {
            for backup in Selector::ALL {
                let options = format!("{{selector='{selector}', backupSelector='{backup}'}}");
                for call in ["ifportup(80", "ifurlup('http://x/'"] {
                    let flat = format!("{call}, {{'10.0.0.1','10.0.0.2','10.0.0.3'}}, {options})");
                    let groups = format!("{call}, {{{{}}, {{'10.0.0.1','10.0.0.2'}}, {{'10.0.0.3'}}}}, {options})");
                    let wanted = |up: &[u16], all: &[u16], unknown| {
                        let fallback = up.is_empty();
                        let choice = if fallback { chosen(backup, all) } else { chosen(selector, up) };
                        let bare = u32::from(fallback || choice.is_empty());
                        Settled { choice, unknown, fallback, bare, ttl: u32::MAX }
                    };
                    assert_eq!(settle(&flat, &statuses), wanted(flat_up, &[0, 1, 2], flat_unknown), "{flat} {statuses:?}");
                    assert_eq!(settle(&groups, &statuses), wanted(grouped_up, &[0, 1], grouped_unknown), "{groups} {statuses:?}");
                }
            }
        }
    }
}

#[test]
fn fallbacks_leave_out_what_operators_took_out() {
    let code = "ifportup(80, {'10.0.0.1','10.0.0.2','10.0.0.3'}, {backupSelector='all'})";
    assert_eq!(settle(code, &[DRAINED, DOWN, FORCED_DOWN]).choice, Choice::Every([1].into()));
    let none = settle(code, &[DRAINED, FORCED_DOWN, DRAINED]);
    assert_eq!(none, Settled { choice: Choice::Every([].into()), unknown: false, fallback: true, bare: 1, ttl: u32::MAX });
    let code = "ifportup(80, {{'10.0.0.1'}, {'10.0.0.2'}})";
    assert_eq!(settle(code, &[DRAINED, DOWN]).choice, Choice::Every([].into()));
}

#[test]
fn empty_lists_fail() {
    for code in ["ifportup(80, {})", "ifurlup('http://x/', {{}, {}})", "all(ifportup(80, {}))"] {
        assert_eq!(settle(code, &[]).choice, Choice::Fail(FailReason::NoTargets), "{code}");
    }
    for code in ["all({})", "pickrandom({})", "pickhashed({})", "pickwrandom({})", "pickwhashed({})", "picknamehashed({})"] {
        assert_eq!(settle(code, &[]).choice, Choice::Fail(FailReason::EmptyList), "{code}");
    }
    let code = "pickrandom(ifportup(80, {'10.0.0.1'}, {selector='empty'}))";
    assert_eq!(settle(code, &[UP]).choice, Choice::Fail(FailReason::EmptyList));
    assert_eq!(settle("{}", &[]).choice, Choice::Every([].into()));
    assert_eq!(settle("pickchashed({})", &[]).choice, Choice::Fail(FailReason::EmptyList));
    assert_eq!(settle("pickclosest({})", &[]).choice, Choice::Fail(FailReason::EmptyList));
    assert_eq!(settle("pickrandomsample(1, {})", &[]).choice, Choice::Fail(FailReason::EmptyList));
}

#[test]
fn pickers_work_on_settled_lists() {
    let list = "ifportup(80, {'10.0.0.1','10.0.0.2'}, {selector='all', backupSelector='hashed'})";
    let all = settle(&format!("all({list})"), &[UP, UP]);
    assert_eq!(all.choice, Choice::Every([0, 1].into()));
    let hashed = settle(&format!("pickhashed({list})"), &[DOWN, UP]);
    assert_eq!(hashed.choice, Choice::One { draw: Draw::Client, members: [1].into() });
    let inner = settle(&format!("pickrandom({list})"), &[DOWN, DOWN]);
    let choice = Choice::One { draw: Draw::Client, members: [0, 1].into() };
    assert_eq!(inner, Settled { choice, unknown: false, fallback: true, bare: 1, ttl: u32::MAX });
    assert_eq!(settle("pickrandom({'a','b','a'})", &[]).choice, Choice::One { draw: Draw::Chance, members: [0, 1, 0].into() });
    let doubled = settle("ifportup(80, {'10.0.0.1:1','10.0.0.1:2'}, {selector='all'})", &[UP, UP]);
    assert_eq!(doubled.choice, Choice::Every([0, 0].into()));
}

#[test]
fn failing_on_incomplete_checks_is_about_all_of_them() {
    let code = "ifportup(80, {{'10.0.0.1'}, {'10.0.0.2'}}, {failOnIncompleteCheck='true', backupSelector='all'})";
    assert_eq!(settle(code, &[UNKNOWN, UNKNOWN]).choice, Choice::Fail(FailReason::Pending));
    assert_eq!(settle(code, &[UNKNOWN, UP]).choice, Choice::One { draw: Draw::Chance, members: [1].into() });
    assert_eq!(settle(code, &[UNKNOWN, DOWN]).choice, Choice::Every([0].into()));
    assert_eq!(settle(code, &[DOWN, DOWN]).choice, Choice::Every([0].into()));
}

#[test]
fn weights_count_among_what_is_up() {
    let list = |options: &str| {
        format!("ifportup(80, {{{{15, '10.0.0.1'}}, {{27, '10.0.0.2'}}, {{weight=42, address='10.0.0.3'}}}}, {{{options}}})")
    };
    let summed = |draw, members: &[(u32, u16)]| Choice::Weighted { draw, members: members.into() };
    for (selector, draw) in [("wrandom", Draw::Chance), ("whashed", Draw::Client), ("namehashed", Draw::Name)] {
        let code = list(&format!("selector='{selector}', backupSelector='{selector}'"));
        assert_eq!(settle(&code, &[UP, UP, UP]).choice, summed(draw, &[(42, 2), (69, 1), (84, 0)]));
        assert_eq!(settle(&code, &[UP, DOWN, UP]).choice, summed(draw, &[(42, 2), (57, 0)]));
        let fallback = settle(&code, &[DOWN, DRAINED, DOWN]);
        assert_eq!((fallback.choice, fallback.fallback), (summed(draw, &[(42, 2), (57, 0)]), true));
    }
    let first = list("selector='first', backupSelector='first'");
    assert_eq!(settle(&first, &[DOWN, UP, UP]).choice, Choice::Every([1].into()));
    assert_eq!(settle(&first, &[DOWN, DOWN, DOWN]).choice, Choice::Every([0].into()));
}

#[test]
fn consistent_choices_move_the_clients_of_the_dead_only() {
    const CLIENTS: u32 = 20_000;
    let weights = [10, 10, 20, 40, 20];
    let members: Vec<String> = (1..).zip(weights).map(|(host, weight)| format!("{{{weight}, '10.0.0.{host}'}}")).collect();
    let code = format!("ifportup(80, {{{}}}, {{selector='chashed'}})", members.join(","));
    let owner =
        |settled: &Settled, client: u32| picked(settled, IpAddr::from(client.to_be_bytes()), NameRef::ROOT, 0).unwrap()[0];
    let all = settle(&code, &[UP; 5]);
    let client = |number: u32| 0xCB00_0000 + number * 256;
    let mut shares = [0u32; 5];
    (0..CLIENTS).for_each(|number| shares[usize::from(owner(&all, client(number)))] += 1);
    for (share, weight) in shares.into_iter().zip(weights) {
        assert!((f64::from(share) / f64::from(CLIENTS) - f64::from(weight) / 100.0).abs() < 0.015, "{shares:?}");
    }
    for dead in 0..5u16 {
        let mut statuses = [UP; 5];
        statuses[usize::from(dead)] = DOWN;
        let without = settle(&code, &statuses);
        for number in 0..CLIENTS {
            let (before, after) = (owner(&all, client(number)), owner(&without, client(number)));
            assert!(before == after || before == dead, "{number}: {before} -> {after} without {dead}");
        }
    }
}

#[test]
fn slow_targets_have_half_of_their_weight() {
    const SLOW: Status = Status { weight: Status::SLOW, ..UP };
    let list = |weights: [u32; 2], selector: &str| {
        let [one, two] = weights;
        format!("ifportup(80, {{{{{one}, '10.0.0.1'}}, {{{two}, '10.0.0.2'}}}}, {{selector='{selector}'}})")
    };
    let drawn = |members: &[(u32, u16)]| Choice::Weighted { draw: Draw::Chance, members: members.into() };
    let shares = |weights, statuses: [Status; 2]| settle(&list(weights, "wrandom"), &statuses).choice;
    assert_eq!(shares([10, 20], [UP, UP]), drawn(&[(20, 1), (30, 0)]));
    assert_eq!(shares([10, 20], [UP, SLOW]), drawn(&[(1, 1), (2, 0)]), "as 10 and 10");
    assert_eq!(shares([1, 1], [UP, SLOW]), drawn(&[(1, 1), (3, 0)]), "as 1 and a half");
    assert_eq!(shares([10, 20], [SLOW, SLOW]), drawn(&[(2, 1), (3, 0)]));
    assert_eq!(shares([10, 20], [DOWN, SLOW]), drawn(&[(1, 1)]));
    let large = shares([4_000_000_001, 200_000_000], [UP, SLOW]);
    assert_eq!(large, drawn(&[(100_000_000, 1), (4_100_000_001, 0)]), "what does not fit is rounded");
    assert_eq!(settle(&list([10, 20], "all"), &[UP, SLOW]).choice, Choice::Every([0, 1].into()), "never out");
    let code = "pickselfweighted('http://x/', {'10.0.0.1', '10.0.0.2'})";
    let reports = |weight| Status { reported: 9, weight, ..UP };
    let choice = settle(code, &[reports(256), reports(Status::SLOW)]).choice;
    assert_eq!(choice, Choice::Weighted { draw: Draw::Client, members: [(9, 0), (13, 1)].into() });
}

#[test]
fn reported_weights_decide() {
    let code = "pickselfweighted('http://x/', {'10.0.0.1', '10.0.0.2', '10.0.0.3'})";
    let reports = |reported| Status { reported, ..UP };
    let summed = |members: &[(u32, u16)]| Choice::Weighted { draw: Draw::Client, members: members.into() };
    // in the order of the list, which is not the order of the other weighted pickers
    assert_eq!(settle(code, &[reports(5), DOWN, reports(7)]).choice, summed(&[(5, 0), (12, 2)]));
    assert_eq!(settle(code, &[UP, reports(3), UP]).choice, summed(&[(1, 0), (4, 1), (5, 2)]));
    let none = settle(code, &[DOWN, UNKNOWN, DRAINED]);
    let choice = Choice::One { draw: Draw::Chance, members: [0, 1].into() };
    assert_eq!(none, Settled { choice, unknown: true, fallback: true, bare: 1, ttl: u32::MAX });
}

#[test]
fn candidates_are_where_they_are_said_to_be() {
    let place = |lat, lon| Location::new(lat, lon);
    let code =
        "pickclosest({{address='10.0.0.1', lat=52.5, lon='13.4'}, '10.0.0.2'}, {distance='sphere', unknown='far', count=2})";
    let metric = Metric { sphere: true, unknown_is_far: true };
    let wanted = |candidates: &[_], count, metric| Choice::Closest(Closest { candidates: candidates.into(), count, metric });
    assert_eq!(settle(code, &[]).choice, wanted(&[(0, place(52.5, 13.4)), (1, None)], 2, metric));
    let code = "ifportup(1, {{address='10.0.0.1', lat=1, lon=2}, '10.0.0.2'}, {selector='pickclosest:3'})";
    assert_eq!(settle(code, &[UP, UP]).choice, wanted(&[(0, place(1.0, 2.0)), (1, None)], 3, Metric::default()));
    assert_eq!(settle(code, &[DOWN, UP]).choice, wanted(&[(1, None)], 3, Metric::default()));
}

#[test]
fn dependence_is_known() {
    let depends = |code: &str| {
        let program = program(code);
        program.depends().names().collect::<Vec<_>>().join(" ")
    };
    let up = |options: &str| format!("ifportup(1, {{'::1'}}, {{{options}}})");
    for (code, wanted) in [
        ("'a'", ""),
        ("all({'a'})", ""),
        ("pickrandom({'a'})", "chance"),
        ("pickrandomsample(1, {'a'})", "chance"),
        ("pickhashed({'a'})", "client"),
        ("pickwrandom({{1,'a'}})", "chance"),
        ("pickwhashed({{1,'a'}})", "client"),
        ("pickchashed({{1,'a'}})", "client"),
        ("picknamehashed({{1,'a'}})", "name"),
        ("pickclosest({'::1'})", "geo"),
        ("view({{{'::/0'}, {'a'}}})", "client"),
        ("view({{{'::/0'}, {'a', 'b'}}})", "client chance"),
        ("ifportup(1, {'::1'})", "health chance"),
        ("ifurlextup({{['::1']='http://x/'}})", "health chance"),
        ("pickselfweighted('http://x/', {'::1'})", "health client"),
        (&up("selector='all', backupSelector='empty'"), "health"),
        (&up("selector='first', backupSelector='hashed'"), "health client"),
        (&up("selector='whashed', backupSelector='chashed'"), "health client"),
        (&up("selector='wrandom', backupSelector='empty'"), "health chance"),
        (&up("selector='namehashed', backupSelector='all'"), "health name"),
        (&up("selector='pickclosest:2', backupSelector='all'"), "health geo"),
        (&format!("pickhashed({})", up("selector='all'")), "health client chance"),
        // the whole of a program counts, whatever branch is taken
        (";if country('US') then return 'a' end return qname:toString()", "geo name"),
        (";if netmask({'::/0'}) then return 'a' end return {}", "client"),
        ("bestwho:toString()", "client"),
        ("zone:toString()", ""),
        ("tostring(os.time())", "time"),
        ("tostring(math.random(2))", "chance"),
        ("pdnsrandom(2)", "chance"),
        ("dblookup('a', pdns.A)", "data"),
        ("countryCode()", "geo"),
        ("closestMagic()", "geo name"),
        ("createForward()", "name"),
        (";for i = 1, 2 do if i == 2 then return pickrandom({'a'}) end end", "chance"),
    ] {
        assert_eq!(depends(code), wanted, "{code}");
    }
}

fn pick(program: &Program, client: &str, qname: NameRef<'_>) -> String {
    let settled = pieces(program, &|_| UP);
    let picks = picked(&settled[0], client.parse().unwrap(), qname, 0).unwrap();
    assert_eq!(picks.len(), 1);
    program.members()[usize::from(picks[0])].to_string()
}

#[test]
fn hashed_picks_are_powerdns_picks() {
    let equal = |count: usize| {
        let items: Vec<String> = (1..=count).map(|place| format!("{{1,'i{place}'}}")).collect();
        program(&format!("pickwhashed({{{}}})", items.join(",")))
    };
    let programs = [
        program("pickhashed({'a','b'})"),
        program("pickhashed({'a','b','c'})"),
        program("pickwhashed({{15,'bob'},{42,'alice'}})"),
        equal(16),
        equal(31),
    ];
    for (client, wanted) in [
        ("192.0.2.1", ["a", "a", "bob", "i6", "i30"]),
        ("10.0.0.1", ["b", "b", "alice", "i3", "i25"]),
        ("1.2.3.0", ["b", "c", "bob", "i3", "i22"]),
        ("::1", ["b", "a", "alice", "i1", "i2"]),
        ("2001:db8::1", ["a", "c", "alice", "i12", "i13"]),
    ] {
        assert_eq!(programs.each_ref().map(|program| pick(program, client, NameRef::ROOT)), wanted, "{client}");
    }
}

#[test]
fn consistently_hashed_picks_are_powerdns_picks() {
    let programs = [
        program("pickchashed({{15,'1.2.3.4'},{42,'4.3.2.1'}})"),
        program("pickchashed({{15,'bob'},{42,'alice'}})"),
        // the order means nothing, but of equal values the one counts that the walk comes to last: the first
        program("pickchashed({{42,'alice'},{15,'bob'},{1,'bob'}})"),
    ];
    for (client, wanted) in [
        ("127.0.0.1", ["4.3.2.1", "alice"]),
        ("192.0.2.1", ["4.3.2.1", "bob"]),
        ("8.8.8.8", ["4.3.2.1", "bob"]),
        ("198.51.100.7", ["1.2.3.4", "alice"]),
        ("2001:db8::1", ["4.3.2.1", "alice"]),
    ] {
        let wanted = [wanted[0], wanted[1], wanted[1]];
        assert_eq!(programs.each_ref().map(|program| pick(program, client, NameRef::ROOT)), wanted, "{client}");
    }
}

#[test]
fn name_hashed_picks_are_powerdns_picks() {
    let program = program("picknamehashed({{15,'1.2.3.4'},{42,'4.3.2.1'}})");
    for (name, wanted) in [
        ("test.namehashed.example.org", "1.2.3.4"),
        ("test2.namehashed.example.org", "4.3.2.1"),
        ("TEST2.NameHashed.example.org", "4.3.2.1"),
    ] {
        assert_eq!(pick(&program, "192.0.2.1", name.parse::<Name>().unwrap().as_ref()), wanted, "{name}");
    }
}

#[test]
fn explaining_tells_the_same_story() {
    let program =
        program("pickhashed(ifportup(80, {{'10.0.0.1'}, {'10.0.0.2','10.0.0.3'}}, {selector='all', backupSelector='all'}))");
    let steps = explain(&program, &|check| [DOWN, UP, UNKNOWN][check]);
    let [Step::Group { group: 0, up: 0, targets: first, .. }, Step::Group { group: 1, up: 1, targets, .. }, rest @ ..] =
        steps.as_slice()
    else {
        panic!("{steps:#?}")
    };
    assert_eq!(first[0].status, DOWN);
    assert_eq!(
        targets.iter().map(|seen| (seen.member, seen.check, seen.status)).collect::<Vec<_>>(),
        [(1, 1, UP), (2, 2, UNKNOWN)]
    );
    assert_eq!(targets[1].address.to_string(), "10.0.0.3");
    let [Step::Selected { group: 1, selector: Selector::All, members, .. }, Step::Picked { draw: Some(Draw::Client), .. }] = rest
    else {
        panic!("{rest:#?}")
    };
    assert_eq!(**members, [1]);
    let steps = explain(&program, &|check| [DRAINED, DOWN, DOWN][check]);
    let fell = |step: &Step| matches!(step, Step::FellBack { group: 0, backup: Selector::All, excluded: 1, members, .. } if members.is_empty());
    assert!(steps.iter().any(fell), "{steps:#?}");
}

/// Pieces of programs, so that random sequences come near to valid ones.
const TOKENS: [&str; 48] = [
    "ifportup",
    "ifurlup",
    "all",
    "pickrandom",
    "pickhashed",
    "pickwhashed",
    "picknamehashed",
    "pickwrandom",
    "view",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    "=",
    "'10.0.0.1'",
    "'::1'",
    "'http://x/'",
    "80",
    "1.5",
    "-",
    "nil",
    "true",
    "selector",
    "'all'",
    "'empty'",
    "..",
    ":",
    ".",
    "return",
    "function",
    "local",
    "if",
    "then",
    "end",
    "for",
    "x",
    "qname",
    "country",
    "--",
    "[[",
    "]]",
    "\\",
    "'",
    " ",
];

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "\\PC{0,60}",
        proptest::collection::vec(proptest::sample::select(&TOKENS[..]), 0..60).prop_map(|tokens| tokens.concat()),
    ]
}

fn any_program() -> impl Strategy<Value = String> {
    let address = (1u8..6).prop_map(|host| format!("'10.0.0.{host}'"));
    let group = proptest::collection::vec(address, 0..4).prop_map(|hosts| format!("{{{}}}", hosts.join(",")));
    let groups = proptest::collection::vec(group.clone(), 0..4).prop_map(|groups| format!("{{{}}}", groups.join(",")));
    let selector = || proptest::sample::select(Selector::ALL.map(Selector::as_str).to_vec());
    let checked = (prop_oneof![group.clone(), groups], selector(), selector())
        .prop_map(|(list, up, down)| format!("ifportup(80, {list}, {{selector='{up}', backupSelector='{down}'}})"));
    let places = proptest::collection::vec((1u8..6, -90i32..=90, -180i32..=180), 1..6).prop_map(|places| {
        let member = |(host, lat, lon)| format!("{{address='10.0.0.{host}', lat={lat}, lon={lon}}}");
        places.into_iter().map(member).collect::<Vec<_>>().join(",")
    });
    let picker = proptest::sample::select(vec!["all(", "pickrandom(", "pickhashed(", "pickrandomsample(2, "]);
    let weights = |most| proptest::collection::vec((1u32..most, 0u8..5), 0..40);
    let weighted = prop_oneof![
        (weights(100_000), proptest::sample::select(vec!["pickwrandom", "pickwhashed", "picknamehashed"])),
        (weights(100), Just("pickchashed")), // a point for each unit
    ];
    prop_oneof![
        checked.clone(),
        (picker, group).prop_map(|(picker, list)| format!("{picker}{list})")),
        (proptest::sample::select(vec!["all", "pickrandom", "pickhashed"]), checked.clone())
            .prop_map(|(picker, list)| format!("{picker}({list})")),
        (1u32..4, places).prop_map(|(count, list)| format!("pickclosest({{{list}}}, {{count={count}}})")),
        weighted.prop_map(|(items, function)| {
            let items: Vec<String> = items.into_iter().map(|(weight, value)| format!("{{{weight},'{value}'}}")).collect();
            format!("{function}({{{}}})", items.join(","))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_compiles_or_says_why(code in any_text()) {
        let Compiled { program, findings } = compile(&code, &SETTINGS);
        prop_assert!(program.is_some() || !findings.is_empty());
        prop_assert!(findings.iter().all(|finding| finding.offset <= code.len() && code.is_char_boundary(finding.offset)));
        if let Some(program) = program {
            pieces(&program, &|_| UP);
        }
    }

    #[test]
    fn any_program_settles_and_picks(code in any_program(), seed: u64, client: std::net::IpAddr) {
        let program = program(&code);
        let status = |check: usize| [UP, DOWN, UNKNOWN, DRAINED, FORCED_DOWN][(seed >> (3 * check)) as usize % 5];
        let settled = pieces(&program, &status);
        prop_assert!(!explain(&program, &status).is_empty());
        let picked = picked(&settled[0], client, NameRef::ROOT, seed);
        match &settled[0].choice {
            Choice::Fail(reason) => prop_assert_eq!(picked, Err(*reason)),
            Choice::Every(members) => prop_assert_eq!(picked, Ok(members.to_vec())),
            Choice::One { draw: Draw::Client, members } => {
                prop_assert_eq!(picked, Ok(vec![members[hash_client(client) as usize % members.len()]]));
            }
            Choice::Weighted { draw: Draw::Client, members } => {
                let number = hash_client(client) % members[members.len() - 1].0;
                let first = members.iter().find(|(sum, _)| *sum > number).map(|&(_, member)| member).unwrap();
                prop_assert_eq!(picked, Ok(vec![first]));
            }
            Choice::Ring(points) => {
                let first = points.iter().find(|(point, _)| *point >= hash_client(client)).unwrap_or(&points[0]);
                prop_assert_eq!(picked, Ok(vec![first.1]));
            }
            Choice::ByNetwork { .. } => prop_assert!(picked.is_err() || picked.unwrap().len() == 1),
            Choice::Of { draw, .. } => prop_assert!(draw.is_none() || picked.unwrap().len() == 1),
            Choice::One { members, .. } => prop_assert!(members.contains(&picked.unwrap()[0])),
            Choice::Weighted { members, .. } => prop_assert!(members.iter().any(|&(_, member)| picked == Ok(vec![member]))),
            Choice::Rendezvous { contenders, .. } => {
                prop_assert!(contenders.iter().any(|one| picked == Ok(vec![one.member])));
            }
            Choice::Steered { .. } | Choice::Bundles { .. } => unreachable!("of pools"),
            Choice::Sample { count, members } => {
                let (mut picked, mut all) = (picked.unwrap(), members.to_vec());
                prop_assert_eq!(picked.len(), all.len().min(*count));
                // none is taken twice
                for member in picked.drain(..) {
                    let at = all.iter().position(|&known| known == member);
                    prop_assert!(at.is_some());
                    all.swap_remove(at.unwrap());
                }
            }
            Choice::Closest(closest) => {
                let picked = picked.unwrap();
                prop_assert_eq!(picked.len(), closest.count.min(closest.candidates.len()));
                prop_assert!(picked.iter().all(|pick| closest.candidates.iter().any(|(member, _)| member == pick)));
            }
        }
    }
}
