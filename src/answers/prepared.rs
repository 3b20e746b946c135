//! Record programs as prepared records, and answer sets over them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use crate::geo::Places;
use crate::program::{self, Choice, Facts, Failure, Limits, Program, Reach, Runner, Said, Settled, Sight, Snippet, Under};
use crate::target::{CheckId, Status, StatusTable};
use crate::wire::{Class, Rcode, RecordType, Ttl};
use crate::zone::{RdataError, rdata_from_text};

use super::tally::{Tally, Teller};

/// Octets of a prepared record before its RDATA: pointer to the question, type, class, TTL, length.
const RECORD_HEAD: usize = 12;

/// Most octets of the records that a program makes for one answer.
const MADE_MAX: usize = 64 * 1024;
/// So many values are compared with each other rather than looked up.
const FEW: usize = 32;

/// A record program with each record that its pieces can give, encoded once at load.
#[derive(Debug)]
pub struct Prepared {
    rtype: RecordType,
    ttl: Ttl,
    code: Box<str>,
    program: Option<Arc<Program>>,
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
        Self { rtype, ttl, code, program: program.map(Arc::new), records }
    }

    /// The members that may be answers and are not RDATA of the record's type, and why: an answer with one of them is
    /// SERVFAIL.
    pub fn bad_members(&self) -> impl Iterator<Item = (&str, RdataError)> {
        let answers = self.program.iter().flat_map(|program| program.answers().into_iter().map(move |at| (program, at)));
        answers.filter_map(|(program, at)| {
            let text = program.members().get(usize::from(at))?;
            rdata_from_text(self.rtype, text).err().map(|error| (&**text, error))
        })
    }

    /// Whether every answer would be SERVFAIL for want of a usable member.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        let closed = self.program.as_ref().is_some_and(|program| program.is_closed());
        closed && !self.records.is_empty() && self.records.iter().all(Option::is_none)
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
    pub fn program(&self) -> Option<&Program> {
        self.program.as_deref()
    }
}

fn record(rtype: RecordType, ttl: Ttl, rdata: &[u8]) -> Box<[u8]> {
    let mut record = Vec::with_capacity(RECORD_HEAD + rdata.len());
    put_record(rtype, ttl, rdata, &mut record);
    record.into()
}

fn put_record(rtype: RecordType, ttl: Ttl, rdata: &[u8], record: &mut Vec<u8>) {
    record.extend_from_slice(&[0xC0, 0x0C]);
    record.extend_from_slice(&rtype.0.to_be_bytes());
    record.extend_from_slice(&Class::IN.0.to_be_bytes());
    record.extend_from_slice(&ttl.seconds().to_be_bytes());
    record.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    record.extend_from_slice(rdata);
}

/// The answers of one program under one set of statuses.
#[derive(Debug)]
pub struct AnswerSet {
    prepared: Arc<Prepared>,
    checks: Arc<[CheckId]>,
    tally: Tally,
    /// The program's pieces; none where the code could not be compiled.
    settled: Arc<[Settled]>,
    /// Where every query gets the same: all records in a row, without duplicates, and how many.
    every: Option<(Box<[u8]>, u16)>,
}

/// What one query gets of a program, beside records.
#[derive(Debug)]
pub(super) struct Drawn<'s> {
    pub(super) records: Records<'s>,
    /// Another TTL than the program's.
    pub(super) ttl: Option<Ttl>,
    /// An rcode, instead of records.
    pub(super) rcode: Option<Rcode>,
    /// Whether it rests on a status that is not known.
    pub(super) unknown: bool,
}

/// Records of one RRset that are ready to be copied, from one source.
#[derive(Clone, Debug)]
pub(super) enum Records<'s> {
    /// So many, in a row.
    Row(&'s [u8], u16),
    /// Of these records, the ones whose numbers stand there in [`Made`]; each is there.
    Picked(&'s [Option<Box<[u8]>>], Range<usize>),
    /// What stands there in [`Made`], in a row, and how many.
    Made(Range<usize>, u16),
}

/// What programs give for one answer that is not prepared. Kept per thread, so that it allocates rarely.
#[derive(Clone, Debug)]
pub(super) struct Made {
    picks: Vec<u16>,
    records: Vec<u8>,
}

impl Made {
    /// With room for every member of a list: no query has to make it.
    pub(super) fn roomy() -> Self {
        Self { picks: Vec::with_capacity(program::LIST_MAX), records: Vec::new() }
    }

    /// Forgets the answer before.
    pub(super) fn clear(&mut self) {
        self.picks.clear();
        self.records.clear();
    }
}

impl<'s> Records<'s> {
    /// The records, in rows, and how many each row has.
    pub(super) fn rows<'m>(&'m self, made: &'m Made) -> impl Iterator<Item = (&'m [u8], u16)>
    where
        's: 'm,
    {
        let none = (&[][..], &[][..]);
        let (row, (records, members)) = match self {
            Self::Row(records, count) => (Some((*records, *count)), none),
            Self::Made(range, count) => (Some((made.records.get(range.clone()).unwrap_or_default(), *count)), none),
            Self::Picked(records, range) => (None, (*records, made.picks.get(range.clone()).unwrap_or_default())),
        };
        let member = |&member: &u16| Some((records.get(usize::from(member))?.as_deref()?, 1));
        row.into_iter().chain(members.iter().filter_map(member))
    }

    /// The RDATA of each.
    pub(super) fn rdata<'m>(&'m self, made: &'m Made) -> impl Iterator<Item = &'m [u8]>
    where
        's: 'm,
    {
        self.rows(made).flat_map(|(row, _)| each_rdata(row))
    }
}

/// What a program needs of whoever runs it.
pub(super) struct With<'w> {
    pub(super) runner: &'w mut Runner,
    pub(super) made: &'w mut Made,
    /// The data beyond the query.
    pub(super) world: &'w dyn Sight,
    pub(super) limits: &'w Limits,
    /// Who counts whom it gives.
    pub(super) by: Teller,
    /// For whom holds what came of it, also where that is a failure.
    pub(super) reach: Reach,
}

impl AnswerSet {
    /// Settles `prepared` under `statuses`; `checks` are the numbers of the program's checks and then of its standings, in its
    /// order; `tally` is where its answers are counted.
    #[must_use]
    pub fn settle(
        prepared: &Arc<Prepared>,
        (checks, tally): (&Arc<[CheckId]>, &Tally),
        statuses: &StatusTable,
        places: &Places,
    ) -> Self {
        let (prepared, checks, tally) = (Arc::clone(prepared), Arc::clone(checks), tally.clone());
        let Some(program) = prepared.program() else {
            return Self { prepared, checks, tally, settled: Arc::new([]), every: None };
        };
        let status = |at: usize| checks.get(at).map_or(Status::NEVER, |&id| statuses.get(id));
        let asked = program.checks().len();
        let standing = |at: usize| status(asked + at);
        let settled: Arc<[Settled]> = program.settle(&Under { status: &status, standing: &standing, places });
        let every = match &*settled {
            [Settled { choice: Choice::Every(members), .. }] if program.is_closed() => concatenate(&prepared.records, members),
            _ => None,
        };
        Self { prepared, checks, tally, settled, every }
    }

    /// The program behind the set.
    #[must_use]
    pub const fn prepared(&self) -> &Arc<Prepared> {
        &self.prepared
    }

    /// The numbers of the program's checks and then of its standings, in its order.
    #[must_use]
    pub const fn checks(&self) -> &Arc<[CheckId]> {
        &self.checks
    }

    /// The program's pieces, settled; none where the code could not be compiled.
    #[must_use]
    pub fn settled(&self) -> &[Settled] {
        &self.settled
    }

    /// For how many kinds of clients its pieces have nobody to give ([`Settled::bare`]).
    #[must_use]
    pub fn bare(&self) -> u32 {
        self.settled.iter().map(|settled| settled.bare).sum()
    }

    /// Whether one of its pieces names what a fallback does, because none of its targets is up.
    #[must_use]
    pub fn falls_back(&self) -> bool {
        self.settled.iter().any(|settled| settled.fallback)
    }

    /// The program and its settled pieces, for `include`.
    pub(super) fn snippet(&self) -> Option<Snippet> {
        Some((Arc::clone(self.prepared.program.as_ref()?), Arc::clone(&self.settled)))
    }

    /// One query's records, none is NODATA.
    pub(super) fn draw(&self, facts: &Facts<'_>, with: &mut With<'_>) -> Result<Drawn<'_>, Failure> {
        if let (Some((records, count)), [settled]) = (&self.every, &*self.settled) {
            with.runner.visited_whole();
            if let Choice::Every(members) = &settled.choice {
                self.tally.count(members, with.by);
            }
            let (records, unknown) = (Records::Row(records, *count), settled.unknown);
            return Ok(Drawn { records, ttl: self.ttl(None, settled.ttl), rcode: None, unknown });
        }
        let Some(program) = &self.prepared.program else { return Err(Failure::raised("the program could not be compiled")) };
        let answer = with.runner.answer((program, &self.settled), facts, with.world, with.limits);
        with.reach = answer.reach;
        let (drawn, unknown, most) = (answer.drawn, answer.unknown, answer.ttl);
        let Said { records, ttl, rcode } = answer.said?;
        let records = match records {
            program::Records::Members(members) => {
                self.tally.count(members, with.by);
                self.picked(members, with.made)?
            }
            program::Records::Texts(texts) => {
                self.tally.count_texts(&texts, (drawn, program.members()), with.by);
                self.made(&texts, with.made)?
            }
        };
        Ok(Drawn { records, ttl: self.ttl(ttl, most), rcode, unknown })
    }

    /// Another TTL than the program's: the one that was said, or `most` seconds where that is less.
    fn ttl(&self, said: Option<Ttl>, most: u32) -> Option<Ttl> {
        let ttl = said.unwrap_or(self.prepared.ttl);
        if most < ttl.seconds() { Ttl::new(most) } else { said }
    }

    fn picked(&self, members: &[u16], made: &mut Made) -> Result<Records<'_>, Failure> {
        let records = &self.prepared.records;
        let usable = |&member: &u16| records.get(usize::from(member)).is_some_and(Option::is_some);
        if !members.iter().all(usable) {
            return Err(Failure::raised("a value that is no data of the record's type"));
        }
        let start = made.picks.len();
        for (at, member) in members.iter().enumerate() {
            if !members[..at].contains(member) {
                made.picks.push(*member);
            }
        }
        Ok(Records::Picked(records, start..made.picks.len()))
    }

    /// Records of texts that were made for this answer, each once.
    fn made(&self, texts: &[Arc<[u8]>], made: &mut Made) -> Result<Records<'_>, Failure> {
        if texts.len() > program::LIST_MAX {
            return Err(Failure::raised(format!("an answer of more than {} values", program::LIST_MAX)));
        }
        let start = made.records.len();
        let mut count = 0;
        let mut many = HashSet::new();
        for text in texts {
            if made.records.len() - start > MADE_MAX {
                return Err(Failure::raised("an answer that is longer than any message"));
            }
            let shown = presentable(text);
            let rdata = rdata_from_text(self.prepared.rtype, &shown);
            let rdata =
                rdata.map_err(|error| Failure::raised(format!("{shown:?} is not {} data: {error}", self.prepared.rtype)))?;
            let known = match texts.len() {
                ..=FEW => each_rdata(made.records.get(start..).unwrap_or_default()).any(|earlier| earlier == &*rdata),
                _ => many.contains(&rdata),
            };
            if !known {
                put_record(self.prepared.rtype, self.prepared.ttl, &rdata, &mut made.records);
                count += 1;
            }
            if texts.len() > FEW {
                many.insert(rdata);
            }
        }
        Ok(Records::Made(start..made.records.len(), count))
    }
}

/// Octets as text; what is not ASCII escaped as in zone files (RFC 1035 5.1).
fn presentable(text: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(2 * text.len());
    for &octet in text {
        match octet {
            0..0x80 => shown.push(octet as char),
            _ => _ = write!(shown, "\\{octet:03}"),
        }
    }
    Cow::Owned(shown)
}

/// The records of `members` in a row, each once (the spec's 1.4: identical records are merged).
fn concatenate(records: &[Option<Box<[u8]>>], members: &[u16]) -> Option<(Box<[u8]>, u16)> {
    let record = |member: &u16| records.get(usize::from(*member))?.as_deref();
    let octets: usize = members.iter().map(|member| record(member).map(<[u8]>::len)).sum::<Option<usize>>()?;
    let (mut row, mut count) = (Vec::with_capacity(octets), 0);
    for (at, member) in members.iter().enumerate() {
        let record_here = record(member)?;
        if !members[..at].iter().any(|earlier| record(earlier) == Some(record_here)) {
            row.extend_from_slice(record_here);
            count += 1;
        }
    }
    Some((row.into(), count))
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
