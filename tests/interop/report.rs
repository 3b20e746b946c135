//! What the comparison found, in numbers and in words, and what of it is a fault.
//!
//! Faults are: a zone that a server does not load, a difference that nothing explains, an explanation that nothing needs,
//! and a reply of leeward's that breaks a rule of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{ASPECTS, Case, Difference, Said, Verdict};
use super::corpus::Zone;
use super::explained::EXPLAINED;
use super::question::{Question, wire};
use super::servers::REFERENCES;

/// Zones that a reference does not load, and why.
const NOT_LOADED: [(&str, &str, &str); 1] =
    [("Knot", "types-old.test", "it has no presentation form for X25, ISDN, PX, NSAP, MB, MG, MR and RT")];

/// The replies of each server, leeward first, to each question.
pub type Replies = Vec<Vec<Option<Vec<u8>>>>;

/// Counts, and texts of what is counted.
#[derive(Default)]
pub struct Report {
    /// Asked of a zone that leeward does not serve.
    skipped: usize,
    /// Questions, and unexplained differences, by group.
    groups: BTreeMap<String, (usize, usize)>,
    /// Where the references differ: with whom leeward agrees, by aspect.
    sided: BTreeMap<String, usize>,
    /// The same by zone, with the first of each.
    sided_in: BTreeMap<String, (usize, String)>,
    /// How often each explanation was used, in the order of the table, and the first use.
    explained: BTreeMap<usize, (usize, String)>,
    alone: Vec<String>,
    /// Replies that break a rule which needs no reference.
    breaches: Vec<String>,
    faults: Vec<String>,
}

impl Report {
    /// Judges all replies; `lacking` are the zones that each server has not loaded.
    pub fn of(zones: &[Zone], questions: &[Question], lacking: &[BTreeSet<String>], replies: &Replies) -> Self {
        let mut report = Self::default();
        report.loads(lacking);
        for (at, question) in questions.iter().enumerate() {
            let zone = zone_of(zones, question);
            let lacks = |server: usize| lacking[server].contains(zone);
            if lacks(0) {
                report.skipped += 1;
                continue;
            }
            let said = |server: usize| Said::of(replies[server][at].as_deref());
            let references = std::array::from_fn(|server| (!lacks(server + 1)).then(|| said(server + 1)));
            report.case(&Case { question, leeward: said(0), references }, zone);
        }
        let stale = EXPLAINED.iter().enumerate().filter(|(at, _)| !report.explained.contains_key(at));
        let stale = stale.map(|(_, entry)| format!("an explanation that nothing needs: {}: {}", entry.rfc, entry.reason));
        report.faults.extend(stale);
        report
    }

    fn loads(&mut self, lacking: &[BTreeSet<String>]) {
        self.faults.extend(lacking[0].iter().map(|zone| format!("leeward does not serve {zone}")));
        for (server, lacking) in REFERENCES.iter().zip(&lacking[1..]) {
            let known = NOT_LOADED.iter().filter(|(name, ..)| name == server);
            let known: BTreeSet<String> = known.map(|(_, zone, _)| (*zone).to_owned()).collect();
            if *lacking != known {
                self.faults.push(format!("{server} does not serve {lacking:?}, and known is {known:?}"));
            }
        }
    }

    fn case(&mut self, case: &Case<'_>, zone: &str) {
        self.groups.entry(case.question.group.clone()).or_default().0 += 1;
        self.breaches.extend(case.breaches());
        for aspect in ASPECTS {
            match case.judge(aspect) {
                Verdict::Same => {}
                Verdict::With(servers) => {
                    let first = || (0, Difference { case, aspect, unanimous: false }.to_string());
                    *self.sided.entry(format!("{aspect:?}: {servers}")).or_default() += 1;
                    self.sided_in.entry(format!("{zone}, {aspect:?}, {servers}")).or_insert_with(first).0 += 1;
                }
                Verdict::Alone(difference) => self.difference(&difference),
            }
        }
    }

    fn difference(&mut self, difference: &Difference<'_, '_>) {
        if let Some(at) = EXPLAINED.iter().position(|entry| (entry.covers)(difference)) {
            self.explained.entry(at).or_insert_with(|| (0, difference.to_string())).0 += 1;
        } else {
            self.groups.entry(difference.case.question.group.clone()).or_default().1 += 1;
            self.alone.push(difference.to_string());
        }
    }

    /// What must not be; empty when all is well.
    pub fn faults(&self) -> Vec<String> {
        let alone = (!self.alone.is_empty()).then(|| format!("{} unexplained differences", self.alone.len()));
        let broken = (!self.breaches.is_empty()).then(|| format!("{} replies that must not be", self.breaches.len()));
        self.faults.iter().cloned().chain(alone).chain(broken).collect()
    }

    /// The numbers.
    pub fn summary(&self) -> String {
        let asked: usize = self.groups.values().map(|(asked, _)| asked).sum();
        let mut lines = vec![format!("{asked} questions compared, {} left out for want of the zone", self.skipped)];
        let group = |(name, (asked, alone)): (&String, &(usize, usize))| format!("  {asked:6} {name}: {alone} unexplained");
        lines.extend(self.groups.iter().map(group));
        lines.push("where the references differ, leeward says what these say:".to_owned());
        lines.extend(self.sided.iter().map(|(with, count)| format!("  {count:6} {with}")));
        lines.push("explained differences:".to_owned());
        let used = |at: usize| self.explained.get(&at).map_or(0, |(used, _)| *used);
        let entry =
            |(at, entry): (usize, &super::explained::Explained)| format!("  {:6} {}: {}", used(at), entry.rfc, entry.reason);
        lines.extend(EXPLAINED.iter().enumerate().map(entry));
        lines.push(format!("unexplained differences: {}", self.alone.len()));
        lines.join("\n")
    }

    /// The numbers, each unexplained difference, and the first of each other kind.
    pub fn text(&self) -> String {
        let mut text = self.summary() + "\n" + &self.alone.concat() + &self.breaches.concat();
        text += "\nThe first of each explained kind:\n\n";
        for (at, (_, first)) in &self.explained {
            text += &format!("{}: {}\n{first}\n", EXPLAINED[*at].rfc, EXPLAINED[*at].reason);
        }
        text += "\nWhere the references differ, by zone and by whom leeward agrees with, the first of each:\n\n";
        for (with, (count, first)) in &self.sided_in {
            text += &format!("{with}: {count} times\n{first}\n");
        }
        text
    }
}

/// The zone with the longest apex above the name that is asked for.
fn zone_of<'z>(zones: &'z [Zone], question: &Question) -> &'z str {
    let above = zones.iter().filter(|zone| question.name.ends_with(&wire(&zone.name)));
    above.map(|zone| zone.name.as_str()).max_by_key(|name| name.len()).unwrap_or("no zone")
}
