//! What the comparison found, in numbers and in words, and what of it is a fault.
//!
//! Faults are: a zone that a server does not load, a difference that nothing explains, an explanation that nothing needs,
//! and a reply of leeward's that breaks a rule of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{ASPECTS, Case, Difference, Said, Verdict};
use super::corpus::Zone;
use super::explained::{ALONE, Explained, SIDED};
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
    /// Where leeward says what no reference says.
    alone: Uses,
    /// Where the references differ, and leeward says what some of them say.
    sided: Uses,
    /// With whom it does, by aspect.
    with: BTreeMap<String, usize>,
    /// Replies that break a rule which needs no reference.
    breaches: Vec<String>,
    faults: Vec<String>,
}

/// The differences of one kind.
#[derive(Default)]
struct Uses {
    /// How often each explanation was used, in the order of its table, and the first use.
    explained: BTreeMap<usize, (usize, String)>,
    unexplained: Vec<String>,
}

impl Uses {
    /// Whether an explanation in `table` covers it.
    fn take(&mut self, table: &[Explained], difference: &Difference<'_, '_>) -> bool {
        let at = table.iter().position(|entry| (entry.covers)(difference));
        match at {
            Some(at) => self.explained.entry(at).or_insert_with(|| (0, difference.to_string())).0 += 1,
            None => self.unexplained.push(difference.to_string()),
        }
        at.is_some()
    }

    fn stale(&self, table: &[Explained]) -> Vec<String> {
        let stale = table.iter().enumerate().filter(|(at, _)| !self.explained.contains_key(at));
        stale.map(|(_, entry)| format!("an explanation that nothing needs: {}: {}", entry.rfc, entry.reason)).collect()
    }

    fn list(&self, table: &[Explained]) -> impl Iterator<Item = String> {
        let used = |at: usize| self.explained.get(&at).map_or(0, |(used, _)| *used);
        table.iter().enumerate().map(move |(at, entry)| format!("  {:6} {}: {}", used(at), entry.rfc, entry.reason))
    }

    fn firsts(&self, table: &[Explained]) -> String {
        let first = |(at, (used, first)): (&usize, &(usize, String))| {
            format!("{}: {}: {used} times\n{first}\n", table[*at].rfc, table[*at].reason)
        };
        self.explained.iter().map(first).collect()
    }
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
            report.case(&Case { question, zone, leeward: said(0), references });
        }
        let stale = [report.alone.stale(ALONE), report.sided.stale(SIDED)].concat();
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

    fn case(&mut self, case: &Case<'_>) {
        self.breaches.extend(case.breaches());
        let group = self.groups.entry(case.question.group.clone()).or_default();
        group.0 += 1;
        for aspect in ASPECTS {
            let is_explained = match case.judge(aspect) {
                Verdict::Same => true,
                Verdict::With(servers, difference) => {
                    *self.with.entry(format!("{aspect:?}: {servers}")).or_default() += 1;
                    self.sided.take(SIDED, &difference)
                }
                Verdict::Alone(difference) => self.alone.take(ALONE, &difference),
            };
            group.1 += usize::from(!is_explained);
        }
    }

    /// What must not be; empty when all is well.
    pub fn faults(&self) -> Vec<String> {
        let counts = [
            (self.alone.unexplained.len(), "unexplained differences from all references"),
            (self.sided.unexplained.len(), "unexplained differences from some references"),
            (self.breaches.len(), "replies that must not be"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        self.faults.iter().cloned().chain(counts).collect()
    }

    /// The numbers.
    pub fn summary(&self) -> String {
        let asked: usize = self.groups.values().map(|(asked, _)| asked).sum();
        let mut lines = vec![format!("{asked} questions compared, {} left out for want of the zone", self.skipped)];
        let group = |(name, (asked, alone)): (&String, &(usize, usize))| format!("  {asked:6} {name}: {alone} unexplained");
        lines.extend(self.groups.iter().map(group));
        lines.push("leeward alone, explained:".to_owned());
        lines.extend(self.alone.list(ALONE));
        lines.push("leeward with some, explained:".to_owned());
        lines.extend(self.sided.list(SIDED));
        lines.push("with whom, by aspect:".to_owned());
        lines.extend(self.with.iter().map(|(with, count)| format!("  {count:6} {with}")));
        let (alone, sided) = (self.alone.unexplained.len(), self.sided.unexplained.len());
        lines.push(format!("unexplained differences: {alone} from all references, {sided} from some"));
        lines.join("\n")
    }

    /// The numbers, each unexplained difference, and the first of each that is explained.
    pub fn text(&self) -> String {
        let unexplained = [&self.alone.unexplained[..], &self.sided.unexplained[..], &self.breaches[..]].concat().concat();
        let firsts = self.alone.firsts(ALONE) + &self.sided.firsts(SIDED);
        format!("{}\n{unexplained}\nThe first of each explained kind:\n\n{firsts}", self.summary())
    }
}

/// The zone with the longest apex above the name that is asked for.
fn zone_of<'z>(zones: &'z [Zone], question: &Question) -> &'z str {
    let above = zones.iter().filter(|zone| question.name.ends_with(&wire(&zone.name)));
    above.map(|zone| zone.name.as_str()).max_by_key(|name| name.len()).unwrap_or("no zone")
}
