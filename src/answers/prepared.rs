//! Record programs as prepared records, and answer sets over them.

use std::net::IpAddr;
use std::sync::Arc;

use crate::program::{Choice, Facts, Program, Reach};
use crate::target::{CheckId, StatusTable};
use crate::wire::{Class, NameRef, RecordType, Ttl};
use crate::zone::{RdataError, rdata_from_text};

/// Octets of a prepared record before its RDATA: pointer to the question, type, class, TTL, length.
const RECORD_HEAD: usize = 12;

/// A record program with each record that it can give, encoded once at load.
#[derive(Debug)]
pub struct Prepared {
    rtype: RecordType,
    ttl: Ttl,
    code: Box<str>,
    program: Option<Program>,
    /// One per member of the program; `None` where the text is not RDATA of the type.
    records: Box<[Option<Box<[u8]>>]>,
}

impl Prepared {
    /// Encodes what `program` can give. No program: the code could not be compiled, and asking for it is SERVFAIL.
    #[must_use]
    pub fn new(rtype: RecordType, ttl: Ttl, code: Box<str>, program: Option<Program>) -> Self {
        let members = program.as_ref().map_or(&[][..], Program::members);
        let records =
            members.iter().map(|text| rdata_from_text(rtype, text).ok().map(|rdata| record(rtype, ttl, &rdata))).collect();
        Self { rtype, ttl, code, program, records }
    }

    /// The members that are not RDATA of the record's type, and why: an answer with one of them is SERVFAIL.
    pub fn bad_members(&self) -> impl Iterator<Item = (&str, RdataError)> {
        let members = self.program.iter().flat_map(Program::members);
        members.filter_map(|text| rdata_from_text(self.rtype, text).err().map(|error| (&**text, error)))
    }

    /// Whether every answer would be SERVFAIL for want of a usable member.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        !self.records.is_empty() && self.records.iter().all(Option::is_none)
    }

    /// The target type.
    #[must_use]
    pub const fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// The TTL of every record.
    #[must_use]
    pub const fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// The code as it stands in the zone.
    #[must_use]
    pub const fn code(&self) -> &str {
        &self.code
    }

    /// The program, where the code could be compiled.
    #[must_use]
    pub const fn program(&self) -> Option<&Program> {
        self.program.as_ref()
    }
}

fn record(rtype: RecordType, ttl: Ttl, rdata: &[u8]) -> Box<[u8]> {
    let mut record = Vec::with_capacity(RECORD_HEAD + rdata.len());
    record.extend_from_slice(&[0xC0, 0x0C]);
    record.extend_from_slice(&rtype.0.to_be_bytes());
    record.extend_from_slice(&Class::IN.0.to_be_bytes());
    record.extend_from_slice(&ttl.seconds().to_be_bytes());
    record.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    record.extend_from_slice(rdata);
    record.into()
}

/// The answers of one program under one set of statuses.
#[derive(Debug)]
pub struct AnswerSet {
    prepared: Arc<Prepared>,
    checks: Arc<[CheckId]>,
    /// What is offered; `None`: the code could not be compiled.
    choice: Option<Choice>,
    /// For [`Choice::Every`]: all records in a row, without duplicates, and how many. `None` where a member is bad.
    every: Option<(Box<[u8]>, u16)>,
    unknown: bool,
}

/// Records of one RRset that are ready to be copied, from one source.
#[derive(Clone, Copy, Debug)]
pub(super) enum Records<'s> {
    /// So many, in a row.
    Row(&'s [u8], u16),
    /// Of these records, the ones with these numbers; each is there.
    Members(&'s [Option<Box<[u8]>>], &'s [u16]),
}

impl<'s> Records<'s> {
    /// The records, in rows, and how many each row has.
    pub(super) fn rows(self) -> impl Iterator<Item = (&'s [u8], u16)> {
        let (row, (records, members)) = match self {
            Self::Row(records, count) => (Some((records, count)), (&[][..], &[][..])),
            Self::Members(records, members) => (None, (records, members)),
        };
        let member = |&member: &u16| Some((records.get(usize::from(member))?.as_deref()?, 1));
        row.into_iter().chain(members.iter().filter_map(member))
    }

    /// The RDATA of each.
    pub(super) fn rdata(self) -> impl Iterator<Item = &'s [u8]> {
        self.rows().flat_map(|(row, _)| each_rdata(row))
    }
}

impl AnswerSet {
    /// Settles `prepared` under `statuses`; `checks` are the numbers of the program's checks, in its order.
    #[must_use]
    pub fn settle(prepared: &Arc<Prepared>, checks: &Arc<[CheckId]>, statuses: &StatusTable) -> Self {
        let (prepared, checks) = (Arc::clone(prepared), Arc::clone(checks));
        let Some(program) = prepared.program() else {
            return Self { prepared, checks, choice: None, every: None, unknown: false };
        };
        let settled = program.settle(&|at| checks.get(at).map_or(crate::target::Status::NEVER, |&id| statuses.get(id)));
        let every = match &settled.choice {
            Choice::Every(members) => concatenate(&prepared.records, members),
            Choice::Fail(_) | Choice::One { .. } | Choice::Weighted { .. } | Choice::ByNetwork { .. } => None,
        };
        Self { prepared, checks, choice: Some(settled.choice), every, unknown: settled.unknown }
    }

    /// The program behind the set.
    #[must_use]
    pub const fn prepared(&self) -> &Arc<Prepared> {
        &self.prepared
    }

    /// The numbers of the program's checks, in its order.
    #[must_use]
    pub const fn checks(&self) -> &Arc<[CheckId]> {
        &self.checks
    }

    /// What is offered; `None`: the code could not be compiled.
    #[must_use]
    pub const fn choice(&self) -> Option<&Choice> {
        self.choice.as_ref()
    }

    /// Whether the set rests on a status that is not known yet.
    #[must_use]
    pub const fn rests_on_unknown(&self) -> bool {
        self.unknown
    }

    /// One query's records, none is NODATA, and for whom they are the same. No records: the program fails, SERVFAIL.
    pub(super) fn draw(&self, client: IpAddr, qname: NameRef<'_>, random: &mut fastrand::Rng) -> (Option<Records<'_>>, Reach) {
        if let Some((records, count)) = &self.every {
            return (Some(Records::Row(records, *count)), Reach::EVERYONE);
        }
        let Some(choice) = &self.choice else { return (None, Reach::EVERYONE) };
        let (picked, reach) = choice.pick(&Facts { client, qname }, random);
        let records = &self.prepared.records;
        let usable = |&member: &u16| records.get(usize::from(member)).is_some_and(Option::is_some);
        let members = picked.ok().filter(|members| members.iter().all(usable));
        (members.map(|members| Records::Members(records, members)), reach)
    }
}

/// The records of `members` in a row, each once (the spec's 1.4: identical records are merged).
fn concatenate(records: &[Option<Box<[u8]>>], members: &[u16]) -> Option<(Box<[u8]>, u16)> {
    let mut taken: Vec<&[u8]> = Vec::with_capacity(members.len());
    for &member in members {
        let record = records.get(usize::from(member))?.as_deref()?;
        if !taken.contains(&record) {
            taken.push(record);
        }
    }
    let count = taken.len() as u16;
    Some((taken.concat().into(), count))
}

/// The RDATA of the first of prepared records.
fn first_rdata(records: &[u8]) -> Option<&[u8]> {
    let (head, rest) = records.split_first_chunk::<RECORD_HEAD>()?;
    rest.get(..usize::from(u16::from_be_bytes([head[10], head[11]])))
}

/// The RDATA of each of prepared records.
fn each_rdata(mut records: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let rdata = first_rdata(records)?;
        records = records.get(RECORD_HEAD + rdata.len()..)?;
        Some(rdata)
    })
}
