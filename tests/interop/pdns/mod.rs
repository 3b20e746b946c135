//! Side by side with PowerDNS 4.7: the same zones, the same clients, every difference told.
//!
//! `programs/` is the corpus; [`compare`] has the rule of judgement, [`differences`] what is meant. What leeward refuses to
//! load must be what PowerDNS answers with SERVFAIL, whoever asks: an error at load is an error of every query. Health is
//! compared once both know: until then the questions are asked again.

mod chance;
mod compare;
mod differences;
mod exchange;
mod pinned;
mod programs;
mod servers;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use compare::{Asked, Case, Said};
use differences::DIFFERENCES;
use exchange::ask_all;
use programs::{CLIENTS, Program, Zone};
use servers::{NEEDED, Servers};

use crate::harness;

/// How long both may take to know what is up: PowerDNS begins when it is asked, and probes once a second.
const SETTLING: Duration = Duration::from_secs(20);
/// How often a program that draws is asked of each server.
const DRAWS: usize = 1000;
/// And how often to see what it may say at all.
const LOOKS: usize = 40;
const SERVFAIL: u16 = 2;

#[test]
fn answers_of_record_programs_are_those_of_powerdns() {
    if !NEEDED.iter().all(|program| harness::has(program)) || !servers::has_backends() {
        return;
    }
    let databases = servers::databases();
    let zones = programs::zones(!databases.is_empty());
    let servers = Servers::start(&zones, &databases);
    let all: Vec<&Program> = zones.iter().flat_map(|zone| &zone.programs).collect();
    assert!(all.len() >= 400, "{} programs", all.len());
    let refused = Refusals::of(&zones, &servers);

    let asked: Vec<&Program> = all.iter().copied().filter(|program| !refused.concerns(program)).collect();
    let (drawing, certain): (Vec<&Program>, Vec<&Program>) = asked.iter().partition(|program| program.draws);
    let mut cases = settled(&servers, &certain);
    cases.extend(refused.cases(&servers));
    let mut faults = judged(&cases, !databases.is_empty());
    faults.extend(refused.elsewhere.iter().cloned());
    faults.extend(drawing.iter().filter_map(|program| drawn_otherwise(&servers, program)));

    let summary = format!(
        "{} programs: {} certain, {} drawing, {} refused at load; {} answers compared",
        all.len(),
        certain.len(),
        drawing.len(),
        refused.programs.len(),
        cases.len()
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("powerdns-report.txt");
    std::fs::write(&path, format!("{summary}\n\n{}", faults.join("\n"))).expect("written");
    println!("{summary}\nthe whole report: {}", path.display());
    assert!(faults.is_empty(), "{}\n{summary}\nthe whole report: {}", faults.join("\n"), path.display());
}

/// All questions of all clients to both servers.
fn settled<'p>(servers: &Servers, programs: &[&'p Program]) -> Vec<Case<'p>> {
    let questions = programs.iter().flat_map(|program| program.questions.iter().map(move |question| (*program, question)));
    let asked: Vec<Asked<'p>> =
        questions.flat_map(|(program, question)| CLIENTS.map(|client| Asked { program, question, client })).collect();
    let mut cases = ask_both(servers, &asked);
    settle(true, || {
        let open: Vec<usize> =
            (0..cases.len()).filter(|&at| asked[at].program.is_about_health() && is_open(&cases[at])).collect();
        let again: Vec<Asked<'p>> = open.iter().map(|&at| asked[at]).collect();
        for (&at, case) in open.iter().zip(ask_both(servers, &again)) {
            cases[at] = case;
        }
        open.iter().all(|&at| !is_open(&cases[at]))
    });
    cases
}

/// Asks until the servers agree or have had time enough; once where no health is asked for.
fn settle(health: bool, mut agreed: impl FnMut() -> bool) {
    let deadline = Instant::now() + SETTLING;
    while health && !agreed() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100)); // between two looks, not instead of one
    }
}

/// Whether the servers may still come to agree.
fn is_open(case: &Case<'_>) -> bool {
    differs(case) && explanation(case).is_none()
}

fn explanation(case: &Case<'_>) -> Option<usize> {
    DIFFERENCES.iter().position(|difference| (difference.covers)(case))
}

fn differs(case: &Case<'_>) -> bool {
    case.leeward != case.powerdns
}

fn ask_both<'p>(servers: &Servers, asked: &[Asked<'p>]) -> Vec<Case<'p>> {
    let packets: Vec<Vec<u8>> = asked.iter().map(Asked::packet).collect();
    let [ours, theirs] = replies(servers, &packets);
    let cases = asked.iter().zip(ours.into_iter().zip(theirs));
    cases.map(|(&asked, (leeward, powerdns))| Case { asked, leeward, powerdns }).collect()
}

/// What leeward says, and what PowerDNS says; both are asked at once.
fn replies(servers: &Servers, packets: &[Vec<u8>]) -> [Vec<Said>; 2] {
    std::thread::scope(|scope| {
        let asking = servers.addresses().map(|server| scope.spawn(move || ask_all(server, packets)));
        asking.map(|asking| asking.join().expect("no panic").iter().map(|reply| Said::of(reply)).collect())
    })
}

/// The differences that nothing explains, one for each question, and, of a corpus that is `whole`, the explanations without
/// a difference.
fn judged(cases: &[Case<'_>], whole: bool) -> Vec<String> {
    let mut used = BTreeSet::new();
    let mut faults: BTreeMap<&str, (usize, &Case<'_>)> = BTreeMap::new();
    for case in cases.iter().filter(|case| differs(case)) {
        match explanation(case) {
            Some(at) => _ = used.insert(at),
            None => faults.entry(&case.asked.question.name).or_insert((0, case)).0 += 1,
        }
    }
    let stale = DIFFERENCES.iter().zip(0..).filter(|(_, at)| whole && !used.contains(at));
    let stale = stale.map(|(it, _)| format!(";; no case of section {}: {}\n", it.section, it.reason));
    faults.values().map(|(clients, case)| format!("{case};  and {} more clients\n", clients - 1)).chain(stale).collect()
}

/// Where the draws of the two servers are not of one kind.
fn drawn_otherwise(servers: &Servers, program: &Program) -> Option<String> {
    let packet = program.questions[0].packet(CLIENTS[0]);
    settle(program.is_about_health(), || {
        let [ours, theirs] = replies(servers, &vec![packet.clone(); LOOKS]).map(BTreeSet::from_iter);
        ours == theirs
    });
    let [ours, theirs] = replies(servers, &vec![packet; DRAWS]);
    let probability = chance::probability(&ours, &theirs);
    (probability <= chance::BELIEVED).then(|| {
        let counted = [("leeward", ours), ("PowerDNS", theirs)].map(|(name, said)| format!(";  {name}\n{}", counts(&said)));
        format!(";; {}: {}\n;  p = {probability:e}\n{}", program.zone, program.text, counted.concat())
    })
}

fn counts(said: &[Said]) -> String {
    let mut counts: BTreeMap<&Said, usize> = BTreeMap::new();
    said.iter().for_each(|said| *counts.entry(said).or_default() += 1);
    counts.iter().map(|(said, count)| format!(";    {count:5} {said}\n")).collect()
}

/// The programs that leeward would not load.
struct Refusals<'z> {
    programs: Vec<&'z Program>,
    /// Errors that belong to no program.
    elsewhere: Vec<String>,
}

impl<'z> Refusals<'z> {
    fn of(zones: &'z [Zone], servers: &Servers) -> Self {
        let mut refusals = Self { programs: Vec::new(), elsewhere: Vec::new() };
        for refused in &servers.refused {
            let zone = zones.iter().find(|zone| zone.name == refused.zone);
            let program = zone.and_then(|zone| zone.programs.iter().find(|program| program.lines.contains(&refused.line)));
            match program {
                Some(program) => refusals.programs.push(program),
                None => refusals.elsewhere.push(format!(";; {}.zone:{}: {}\n", refused.zone, refused.line, refused.why)),
            }
        }
        refusals.programs.dedup_by_key(|program| program.lines.clone());
        refusals
    }

    /// Whether a program, or one at its name, is not loaded.
    fn concerns(&self, program: &Program) -> bool {
        self.programs.iter().any(|refused| (&refused.zone, &refused.owner) == (&program.zone, &program.owner))
    }

    /// What PowerDNS says to what is refused: an error at load is an error of every query.
    fn cases(&self, servers: &Servers) -> Vec<Case<'z>> {
        let questions =
            self.programs.iter().flat_map(|&program| program.questions.iter().map(move |question| (program, question)));
        let asked = questions.filter(|(program, question)| question.rtype == program.rtype);
        let asked: Vec<Asked<'z>> =
            asked.flat_map(|(program, question)| CLIENTS.map(|client| Asked { program, question, client })).collect();
        let packets: Vec<Vec<u8>> = asked.iter().map(Asked::packet).collect();
        let said = ask_all(servers.addresses()[1], &packets).into_iter().map(|reply| Said::of(&reply));
        let refused = || Said { rcode: SERVFAIL, answer: Vec::new() };
        asked.iter().zip(said).map(|(&asked, powerdns)| Case { asked, leeward: refused(), powerdns }).collect()
    }
}
