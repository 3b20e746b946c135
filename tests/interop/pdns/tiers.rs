//! How much of the corpus the plan tier takes.

use leeward::program::{Defaults, Settings, Tier, compile, join};
use leeward::wire::RecordType;

use super::programs::{Program, zones};

/// Of a hundred programs that load, so many are evaluated natively.
const PLANNED: usize = 95;

#[test]
fn most_programs_land_in_the_plan_tier() {
    let zones = zones(true);
    let programs = zones.iter().flat_map(|zone| &zone.programs).filter(|program| program.rtype != RecordType::LUA);
    let tiers: Vec<(&Program, Tier)> = programs.filter_map(|program| Some((program, tier(program)?))).collect();
    let (planned, scripts): (Vec<_>, Vec<_>) = tiers.iter().partition(|(_, tier)| *tier == Tier::Plan);
    let list: String = scripts.iter().map(|(program, _)| format!("{}: {}\n", program.zone, program.text)).collect();
    println!("{} of {} programs that load are plans; scripts:\n{list}", planned.len(), tiers.len());
    assert!(planned.len() * 100 >= tiers.len() * PLANNED, "{} of {}; scripts:\n{list}", planned.len(), tiers.len());
}

/// What runs a program; `None` for one that does not load.
fn tier(program: &Program) -> Option<Tier> {
    let strings: Vec<String> = program.strings.iter().map(|string| resolved(string)).collect();
    let strings: Vec<&str> = strings.iter().map(String::as_str).collect();
    let settings = Settings { defaults: Defaults::default(), step_limit: 1000, shared: false };
    let compiled = compile(&join(&strings, true).code, &settings);
    compiled.program.map(|program| program.tier())
}

/// With ports and addresses of any targets.
fn resolved(string: &str) -> String {
    let words = [("$UP1", "127.0.0.1"), ("$UP2", "127.0.0.2"), ("$DOWN1", "127.0.0.3"), ("$DOWN2", "127.0.0.4")];
    let ports = [("$WEB", "80"), ("$SIX", "81")];
    words.iter().chain(&ports).fold(string.to_owned(), |string, (word, value)| string.replace(word, value))
}
