//! Draws from a seed: which answers a program gives for which seed is kept in `programs/draws.txt`.
//!
//! A seed in a ticket must give the same answer in the next release, so a change here is a change that people see.

use crate::corpus;
use crate::harness::{Leeward, Site};

use super::programs::{CLIENTS, Program, zones};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=8;

#[test]
fn draws_with_a_seed_are_always_the_same() {
    let zone = zones(false).into_iter().find(|zone| zone.name == "draws.test").expect("in the corpus");
    let site = Site::new();
    site.write("draws.test.zone", &zone.text);
    let leeward = Leeward::start(&site.config(&["draws.test"], ""));
    let drawn: Vec<String> =
        zone.programs.iter().filter(|program| program.draws).map(|program| line(&leeward, program)).collect();
    let (_, pinned) = corpus::files("programs", "txt").remove(0);
    let pinned: Vec<&str> = pinned.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(drawn == pinned, "what is drawn now:\n{}", drawn.join("\n"));
}

/// `OWNER TYPE: ANSWER, ANSWER, ...`, an answer for each seed, its records joined by `+`.
fn line(leeward: &Leeward, program: &Program) -> String {
    let question = &program.questions[0];
    let answers: Vec<String> = SEEDS.map(|seed| answer(leeward, &question.name, &question.rtype.to_string(), seed)).collect();
    format!("{} {}: {}", program.owner, program.rtype, answers.join(", "))
}

fn answer(leeward: &Leeward, name: &str, rtype: &str, seed: u64) -> String {
    let path = format!("/api/v1/explain?name={name}&type={rtype}&subnet={}&seed={seed}", CLIENTS[0]);
    let explained = leeward.get_json(&path);
    let records = explained["answers"].as_array().expect("answers").iter();
    let data = records.map(|record| record.as_str().expect("a text").splitn(5, [' ', '\t']).nth(4).expect("data").to_owned());
    data.collect::<Vec<_>>().join("+")
}
