//! Side by side with NSD, Knot and BIND: the same zones, the same questions, every difference told; and with PowerDNS
//! for record programs, in [`pdns`].
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
mod pdns;
mod question;
mod report;
mod servers;

use std::path::Path;

use question::{Question, Transport};
use report::{Replies, Report};
use servers::{PROGRAMS, Servers};

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
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-report.txt");
    std::fs::write(&path, report.text()).expect("written");
    println!("{} zones\n{}\nthe whole report: {}", zones.len(), report.summary(), path.display());
    assert!(report.faults().is_empty(), "{}\nthe whole report: {}", report.faults().join("\n"), path.display());
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
fn ask_everyone(servers: &Servers, questions: &[Question]) -> Replies {
    std::thread::scope(|scope| {
        let asking: Vec<_> =
            servers.addresses().into_iter().map(|address| scope.spawn(move || ask::ask_all(address, questions))).collect();
        asking.into_iter().map(|asking| asking.join().expect("no panic")).collect()
    })
}
