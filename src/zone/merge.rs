//! Checked records → the flat form: duplicates left out, one TTL for an RRset, canonical order within it.
//!
//! What that changes is a warning each. It is looked for also where the zone has errors, so that one run says all.
//!
//! Never here: what records must be together (`check`).

use std::borrow::Cow;
use std::sync::Arc;

use super::base::{Builder, Flat};
use super::contents::LuaRecord;
use super::finding::Findings;
use super::gather::{Gathered, GatheredSet, Names};
use super::raw::{Raw, RawRecord};
use super::version::ProgramId;
use super::{check, rdata};
use crate::wire::{RecordType, Ttl};

/// Merges the records of each name into `builder`; the zone, where there is no error among the findings.
pub(super) fn merge(names: &Names<'_>, builder: Builder, findings: &mut Findings) -> Option<Flat> {
    let mut builder = (!findings.has_errors()).then_some(builder);
    let mut merger = Merger { raw: names.raw(), findings, records: Vec::new(), programs: Vec::new() };
    for name in names.iter() {
        let mut storage = builder.as_mut().map(|builder| builder.begin(name.name()));
        for set in name.sets() {
            if set.rtype() == RecordType::LUA {
                merger.merge_programs(name, set);
                if let Some(storage) = &mut storage {
                    storage.put_programs(merger.programs.iter().map(|program| (ProgramId(u32::MAX), *program)));
                }
                continue;
            }
            let ttl = merger.merge_set(name, set);
            if let Some(storage) = &mut storage {
                storage.put_records(set.rtype(), merger.records.iter().map(|record| (ttl, merger.rdata(record.1))));
            }
        }
    }
    builder.map(Builder::finish)
}

/// One RRset after the other.
struct Merger<'r> {
    raw: &'r Raw,
    findings: &'r mut Findings,
    /// What the RRset holds: canonical RDATA, and the record.
    records: Vec<(Cow<'r, [u8]>, &'r RawRecord)>,
    /// What a name's RRset of type LUA holds.
    programs: Vec<&'r Arc<LuaRecord>>,
}

impl<'r> Merger<'r> {
    fn rdata(&self, record: &'r RawRecord) -> &'r [u8] {
        self.raw.rdata(record).unwrap_or_default()
    }

    fn merge_programs(&mut self, name: Gathered<'r>, set: GatheredSet<'r>) {
        self.programs.clear();
        for record in set.records().take(check::PROGRAMS_MAX) {
            let Some(program) = self.raw.program(record) else { continue };
            if self.programs.contains(&program) {
                let message = format!("the same LUA record twice at {}", name.name());
                self.findings.warn(self.raw.at(record), message, "remove one of the two");
            } else {
                self.programs.push(program);
            }
        }
    }

    /// Leaves out duplicates and takes the lowest TTL (RFC 2181 5.2), which it returns, with a warning for each.
    fn merge_set(&mut self, name: Gathered<'r>, set: GatheredSet<'r>) -> Ttl {
        let rtype = set.rtype();
        let (raw, first) = (self.raw, set.first());
        self.records.clear();
        self.records.extend(set.records().map(|record| (rdata::canonical(rtype, raw.rdata(record).unwrap_or_default()), record)));
        if set.len() == 1 {
            return first.ttl;
        }
        if let Some(other) = set.records().find(|record| record.ttl != first.ttl) {
            let message = format!("the {rtype} records of {} have different TTLs, the lowest is used", name.name());
            self.findings.warn(raw.at(other), message, "give all records of an RRset one TTL (RFC 2181 5.2)");
        }
        self.records.sort_by(|a, b| a.0.cmp(&b.0)); // stable: the first that was written stays
        let findings = &mut *self.findings;
        self.records.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                let message = format!("the same {rtype} record twice at {}", name.name());
                findings.warn(raw.at(later.1), message, "remove one of the two");
            }
            same
        });
        set.records().map(|record| record.ttl).min().unwrap_or(first.ttl)
    }
}
