//! Side by side with NSD, Knot and BIND: the same zones, the same questions, every difference told.
//!
//! `zones/` and `queries/` are the corpus, [`compare`] has the rule of judgement, [`explained`] the differences that are
//! meant. `tests/run interop` runs it; the report is printed and kept as `interop-report.txt` in the target's tmp folder.

#![allow(clippy::disallowed_methods, unreachable_pub, reason = "tests measure; the modules are of this test only")]

#[path = "../harness/mod.rs"]
mod harness;

mod ask;
mod compare;
mod corpus;
mod explained;
mod message;
mod question;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use compare::{ASPECTS, Case, Said, Verdict};
use corpus::Zone;
use explained::EXPLAINED;
use question::{Question, Transport, wire};
use servers::{PROGRAMS, REFERENCES, Servers};

/// Zones that a reference does not load, and why.
const NOT_LOADED: [(&str, &str, &str); 1] =
    [("Knot", "types-old.test", "has no presentation form for X25, ISDN, PX, NSAP, MG, MR, RT")];

#[test]
fn answers_are_those_of_nsd_knot_and_bind() {
    if !PROGRAMS.iter().all(|program| harness::has(program)) {
        return;
    }
    let zones = corpus::zones();
    let questions = [corpus::written(), corpus::derived(&zones)].concat();
    assert!(zones.len() >= 60, "{} zones", zones.len());
    assert!(questions.len() >= 3000, "{} questions", questions.len());
    let servers = Servers::start(&zones, &corpus::included());
    let lacking = servers.not_loaded(&zones);
    every_pipelined_question_is_answered(&servers, &questions);
    let replies = ask_everyone(&servers, &questions);
    let report = Report::of(&zones, &questions, &lacking, &replies);
    println!("{}", report.text);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-report.txt");
    std::fs::write(&path, &report.text).expect("written");
    assert!(report.faults.is_empty(), "{}\nthe whole report: {}", report.faults.join("\n"), path.display());
}

/// A hundred questions in one go over TCP (RFC 7766 6.2.1.1), to each server.
fn every_pipelined_question_is_answered(servers: &Servers, questions: &[Question]) {
    let plain = questions.iter().filter(|question| question.group == "wildcards" && question.transport == Transport::Tcp);
    let packets: Vec<Vec<u8>> = plain.take(100).map(|question| question.packet.clone()).collect();
    for address in servers.addresses() {
        let mut ids = ask::pipelined(address, &packets);
        ids.sort_unstable();
        assert!(ids.iter().copied().eq(0..100), "{address}: {ids:?}");
    }
}

/// The replies of each server, leeward first; all servers are asked at once.
fn ask_everyone(servers: &Servers, questions: &[Question]) -> Vec<Vec<Option<Vec<u8>>>> {
    std::thread::scope(|scope| {
        let asking: Vec<_> =
            servers.addresses().into_iter().map(|address| scope.spawn(move || ask::ask_all(address, questions))).collect();
        asking.into_iter().map(|asking| asking.join().expect("no panic")).collect()
    })
}

/// What is found, in words.
#[derive(Default)]
struct Report {
    text: String,
    faults: Vec<String>,
}

impl Report {
    fn of(zones: &[Zone], questions: &[Question], lacking: &[BTreeSet<String>], replies: &[Vec<Option<Vec<u8>>>]) -> Self {
        let mut report = Self::default();
        report.load(lacking);
        let mut tally = Tally::default();
        let mut alone = String::new();
        for (at, question) in questions.iter().enumerate() {
            let zone = zone_of(zones, question);
            let lacks = |server: usize| zone.is_some_and(|zone| lacking[server].contains(&zone.name));
            if lacks(0) {
                tally.skipped += 1;
                continue;
            }
            let said = |server: usize| Said::of(replies[server][at].as_deref());
            let references = std::array::from_fn(|server| (!lacks(server + 1)).then(|| said(server + 1)));
            tally.case(&Case { question, leeward: said(0), references }, &mut alone);
        }
        report.tell(zones.len(), questions.len(), &tally, &alone);
        report
    }

    fn load(&mut self, lacking: &[BTreeSet<String>]) {
        for zone in &lacking[0] {
            self.faults.push(format!("leeward does not serve {zone}"));
        }
        for (server, lacking) in REFERENCES.iter().zip(&lacking[1..]) {
            let meant: BTreeSet<String> =
                NOT_LOADED.iter().filter(|(name, ..)| name == server).map(|(_, zone, _)| (*zone).to_owned()).collect();
            if *lacking != meant {
                self.faults.push(format!("{server} does not serve {lacking:?}, and {meant:?} is what is known"));
            }
        }
    }

    fn tell(&mut self, zones: usize, questions: usize, tally: &Tally, alone: &str) {
        let text = &mut self.text;
        let mut line = |line: String| writeln!(text, "{line}").expect("a string takes it");
        line(format!("{zones} zones, {questions} questions ({} not asked for want of the zone)", tally.skipped));
        for (group, (asked, differ)) in &tally.groups {
            line(format!("  {group}: {asked} questions, {differ} unexplained differences"));
        }
        line("where the references differ, leeward says what these say:".to_owned());
        for (with, count) in &tally.with {
            line(format!("  {with}: {count}"));
        }
        line("explained differences:".to_owned());
        for (entry, used) in EXPLAINED.iter().zip(tally.explained.iter().chain(std::iter::repeat(&0))) {
            line(format!("  {used} times, {}: {}", entry.rfc, entry.reason));
            if *used == 0 {
                self.faults.push(format!("an explanation that nothing needs: {}: {}", entry.rfc, entry.reason));
            }
        }
        line(format!("unexplained differences: {}", tally.alone));
        line(alone.to_owned());
        if tally.alone > 0 {
            self.faults.push(format!("{} unexplained differences", tally.alone));
        }
    }
}

/// Counts.
#[derive(Default)]
struct Tally {
    skipped: usize,
    alone: usize,
    /// Asked, and differences, by group.
    groups: BTreeMap<String, (usize, usize)>,
    with: BTreeMap<String, usize>,
    explained: Vec<usize>,
}

impl Tally {
    fn case(&mut self, case: &Case<'_>, alone: &mut String) {
        self.explained.resize(EXPLAINED.len(), 0);
        let group = self.groups.entry(case.question.group.clone()).or_default();
        group.0 += 1;
        for aspect in ASPECTS {
            match case.judge(aspect) {
                Verdict::Same => {}
                Verdict::With(servers) => *self.with.entry(format!("{aspect:?}: {servers}")).or_default() += 1,
                Verdict::Alone(difference) => {
                    if let Some(at) = EXPLAINED.iter().position(|entry| (entry.covers)(&difference)) {
                        self.explained[at] += 1;
                    } else {
                        group.1 += 1;
                        self.alone += 1;
                        write!(alone, "{difference}").expect("a string takes it");
                    }
                }
            }
        }
    }
}

/// The zone with the longest apex above the name that is asked for.
fn zone_of<'z>(zones: &'z [Zone], question: &Question) -> Option<&'z Zone> {
    let ends = |zone: &&Zone| {
        let apex = wire(&zone.name);
        question.name.ends_with(&apex)
    };
    zones.iter().filter(ends).max_by_key(|zone| zone.name.len())
}
