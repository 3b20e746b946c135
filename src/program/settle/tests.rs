//! Settling under every kind of statuses, picks against PowerDNS's own, and properties.

use proptest::prelude::*;

use super::super::{
    Choice, Compiled, Defaults, Depends, Draw, Facts, FailReason, Program, Selector, Settled, Step, compile, hash_client,
};
use crate::target::{Basis, Status, Value};
use crate::wire::{Name, NameRef};

const UP: Status = Status::SOUND;
const DOWN: Status = Status { value: Value::Down, basis: Basis::Measured, ..Status::SOUND };
const UNKNOWN: Status = Status::NEVER;
const DRAINED: Status = Status { drain: true, ..Status::SOUND };
const FORCED_DOWN: Status = Status { value: Value::Down, ..Status::SOUND };

fn program(code: &str) -> Program {
    let Compiled { program, findings } = compile(code, &Defaults::default());
    program.unwrap_or_else(|| panic!("{code}: {findings:#?}"))
}

fn settle(code: &str, statuses: &[Status]) -> Settled {
    let program = program(code);
    assert_eq!(program.checks().len(), statuses.len(), "{code}");
    let settled = program.settle(&|check| statuses[check]);
    assert_settled(&program, &settled);
    settled
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
    }
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
                        Settled { choice, unknown, fallback }
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
    assert_eq!(none, Settled { choice: Choice::Every([].into()), unknown: false, fallback: true });
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
    assert_eq!(inner, Settled { choice, unknown: false, fallback: true });
    assert_eq!(settle("pickrandom({'a','b','a'})", &[]).choice, Choice::One { draw: Draw::Chance, members: [0, 1, 0].into() });
    let doubled = settle("ifportup(80, {'10.0.0.1:1','10.0.0.1:2'}, {selector='all'})", &[UP, UP]);
    assert_eq!(doubled.choice, Choice::Every([0, 0].into()));
}

#[test]
fn dependence_is_known() {
    let depends = |code: &str| {
        let Depends { health, client, name, chance } = program(code).depends();
        [health, client, name, chance].map(u8::from)
    };
    assert_eq!(depends("'a'"), [0, 0, 0, 0]);
    assert_eq!(depends("all({'a'})"), [0, 0, 0, 0]);
    assert_eq!(depends("pickrandom({'a'})"), [0, 0, 0, 1]);
    assert_eq!(depends("pickwrandom({{1,'a'}})"), [0, 0, 0, 1]);
    assert_eq!(depends("pickwhashed({{1,'a'}})"), [0, 1, 0, 0]);
    assert_eq!(depends("picknamehashed({{1,'a'}})"), [0, 0, 1, 0]);
    assert_eq!(depends("ifportup(1, {'::1'})"), [1, 0, 0, 1]);
    assert_eq!(depends("ifportup(1, {'::1'}, {selector='all', backupSelector='empty'})"), [1, 0, 0, 0]);
    assert_eq!(depends("pickhashed(ifportup(1, {'::1'}, {selector='all'}))"), [1, 1, 0, 1]);
}

fn pick(program: &Program, client: &str, qname: NameRef<'_>) -> String {
    let settled = program.settle(&|_| UP);
    let facts = Facts { client: client.parse().unwrap(), qname };
    let picked = settled.choice.pick(&facts, &mut fastrand::Rng::with_seed(0)).0.unwrap();
    assert_eq!(picked.len(), 1);
    program.members()[usize::from(picked[0])].to_string()
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
    let steps = program.explain(&|check| [DOWN, UP, UNKNOWN][check]);
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
    let steps = program.explain(&|check| [DRAINED, DOWN, DOWN][check]);
    let fell = |step: &Step| matches!(step, Step::FellBack { group: 0, backup: Selector::All, excluded: 1, members, .. } if members.is_empty());
    assert!(steps.iter().any(fell), "{steps:#?}");
}

/// Pieces of programs, so that random sequences come near to valid ones.
const TOKENS: [&str; 40] = [
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
    let list = prop_oneof![group, checked.clone()];
    let picker = proptest::sample::select(vec!["all", "pickrandom", "pickhashed"]);
    let weights = proptest::collection::vec((1u32..100_000, 0u8..5), 0..40);
    let weighted = (weights, proptest::sample::select(vec!["pickwrandom", "pickwhashed", "picknamehashed"]));
    prop_oneof![
        checked,
        (picker, list).prop_map(|(picker, list)| format!("{picker}({list})")),
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
        let Compiled { program, findings } = compile(&code, &Defaults::default());
        prop_assert!(program.is_some() || !findings.is_empty());
        prop_assert!(findings.iter().all(|finding| finding.offset <= code.len() && code.is_char_boundary(finding.offset)));
        if let Some(program) = program {
            assert_settled(&program, &program.settle(&|_| UP));
        }
    }

    #[test]
    fn any_program_settles_and_picks(code in any_program(), seed: u64, client: std::net::IpAddr) {
        let program = program(&code);
        let status = |check: usize| [UP, DOWN, UNKNOWN, DRAINED, FORCED_DOWN][(seed >> (3 * check)) as usize % 5];
        let settled = program.settle(&status);
        assert_settled(&program, &settled);
        prop_assert!(!program.explain(&status).is_empty());
        let facts = Facts { client, qname: NameRef::ROOT };
        let (picked, _) = settled.choice.pick(&facts, &mut fastrand::Rng::with_seed(seed));
        match &settled.choice {
            Choice::Fail(reason) => prop_assert_eq!(picked, Err(*reason)),
            Choice::Every(members) => prop_assert_eq!(picked, Ok(&**members)),
            Choice::One { draw: Draw::Client, members } => {
                prop_assert_eq!(picked, Ok(&[members[hash_client(client) as usize % members.len()]][..]));
            }
            Choice::Weighted { draw: Draw::Client, members } => {
                let number = hash_client(client) % members[members.len() - 1].0;
                let first = members.iter().find(|(sum, _)| *sum > number).map(|&(_, member)| member).unwrap();
                prop_assert_eq!(picked, Ok(&[first][..]));
            }
            Choice::ByNetwork { .. } => prop_assert!(picked.is_err() || picked.unwrap().len() == 1),
            Choice::One { members, .. } => prop_assert!(members.contains(&picked.unwrap()[0])),
            Choice::Weighted { members, .. } => prop_assert!(members.iter().any(|&(_, member)| picked == Ok(&[member][..]))),
        }
    }
}
