//! Runs programs for one thread, and makes answers of what they return (spec 1.4).

use std::sync::Arc;

use super::body::{Body, Item, Run, Scratch, Visit};
use super::choice::FailReason;
use super::dynamic::Memo;
use super::facts::{Facts, Reach};
use super::failure::{Failure, Limit};
use super::meter::Meter;
use super::object::Object;
use super::plan::{Form, Program};
use super::reply::Reply;
use super::script::{Limits, Machine, Ran};
use super::settle::Settled;
use super::value::Value;
use super::world::Sight;
use crate::wire::{Rcode, Ttl};

/// What is per thread: a source of chance, memory to work in, and a VM once a script needs it.
#[derive(Debug)]
pub struct Runner {
    /// Decides every draw.
    pub random: fastrand::Rng,
    scratch: Scratch,
    trail: Option<Vec<Visit>>,
    meter: Meter,
    memo: Memo,
    machine: Option<Box<Machine>>,
}

/// One answer.
#[derive(Debug)]
pub struct Answer<'a> {
    /// What is said, or why nothing.
    pub said: Result<Said<'a>, Failure>,
    /// What its pieces gave, by number, whether or not the answer is of that; those of pools at least.
    pub drawn: &'a [u16],
    /// Which clients it holds for.
    pub reach: Reach,
    /// Whether it rests on a status that is not known.
    pub unknown: bool,
    /// The longest TTL that it may have, seconds.
    pub ttl: u32,
}

/// What a program says.
#[derive(Debug)]
pub struct Said<'a> {
    /// The records.
    pub records: Records<'a>,
    /// Another TTL than the record's.
    pub ttl: Option<Ttl>,
    /// An rcode, instead of records.
    pub rcode: Option<Rcode>,
}

/// The records of an answer; none is NODATA.
#[derive(Debug)]
pub enum Records<'a> {
    /// Members of the program, by number.
    Members(&'a [u16]),
    /// Texts made for this answer, in presentation form.
    Texts(Vec<Arc<[u8]>>),
}

impl Runner {
    /// A runner that draws from `random`.
    #[must_use]
    pub fn new(random: fastrand::Rng) -> Self {
        let (meter, memo) = (Meter::new(), Memo::default());
        Self { random, scratch: Scratch::roomy(), trail: None, meter, memo, machine: None }
    }

    /// From now on notes are taken of what runs come by.
    pub fn listen(&mut self) {
        self.trail = Some(Vec::new());
    }

    /// Notes that the one piece of a program was its answer.
    pub fn visited_whole(&mut self) {
        if let Some(trail) = &mut self.trail {
            trail.push(Visit::Piece(0));
        }
    }

    /// What the last run came by, where notes are taken.
    pub fn trail(&mut self) -> Vec<Visit> {
        self.trail.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What `program` with these settled pieces answers, under `limits`.
    pub fn answer(
        &mut self,
        (program, settled): (&Arc<Program>, &Arc<[Settled]>),
        facts: &Facts<'_>,
        world: &dyn Sight,
        limits: &Limits,
    ) -> Answer<'_> {
        let mut answer = match &program.form {
            Form::Piece => self.piece(settled, facts),
            Form::Body(body) => self.body(body, (program, settled), facts, (world, limits)),
            Form::Script(_) => self.script((program, settled), facts, world, limits),
        };
        if matches!(answer.said, Err(Failure::Call(FailReason::NoSuchName))) {
            let rcode = Some(Rcode::NXDOMAIN);
            answer.said = Ok(Said { records: Records::Members(&[]), ttl: None, rcode });
        }
        answer
    }

    fn piece(&mut self, settled: &[Settled], facts: &Facts<'_>) -> Answer<'_> {
        self.visited_whole();
        let picks = &mut self.scratch.picks;
        picks.clear();
        let Some(Settled { choice, unknown, ttl, .. }) = settled.first() else {
            return Answer::failed(Failure::raised("no piece"));
        };
        let (picked, reach) = choice.pick(facts, &mut self.random, picks);
        let said = picked.map(|()| Said::of(Records::Members(picks))).map_err(Failure::Call);
        Answer { said, drawn: picks, reach, unknown: *unknown, ttl: *ttl }
    }

    fn body(
        &mut self,
        body: &Body,
        (program, settled): (&Program, &[Settled]),
        facts: &Facts<'_>,
        (world, limits): (&dyn Sight, &Limits),
    ) -> Answer<'_> {
        let Self { random, scratch, trail, meter, memo, .. } = self;
        meter.begin(limits.steps.into());
        let (world, reach, unknown, ttl) = (world.world(), Reach::EVERYONE, false, u32::MAX);
        let mut run = Run { program, settled, facts, world, meter, memo, random, scratch, trail, reach, unknown, ttl };
        let returned = run.body(body);
        let (reach, unknown, ttl) = (run.reach, run.unknown, run.ttl);
        let drawn = &*self.scratch.picks;
        let said = match returned {
            Ok(Item::Picked { from, count, .. }) => {
                Ok(Said::of(Records::Members(drawn.get(from..from + count).unwrap_or_default())))
            }
            Ok(Item::Value(value)) => said(&value),
            Err(failure) => Err(failure),
        };
        Answer { said, drawn, reach, unknown, ttl }
    }

    fn script(
        &mut self,
        (program, settled): (&Arc<Program>, &Arc<[Settled]>),
        facts: &Facts<'_>,
        world: &dyn Sight,
        limits: &Limits,
    ) -> Answer<'_> {
        if self.machine.as_ref().is_none_or(|machine| machine.limits() != limits) {
            self.machine = Machine::new(*limits).ok().map(Box::new);
        }
        let Some(machine) = &mut self.machine else { return Answer::failed(Failure::Limit(Limit::Memory)) };
        let program = (Arc::clone(program), Arc::clone(settled));
        let ran = machine.run(program, facts, world.hold(), (&mut self.random, &mut self.trail));
        let Ran { value, reach, unknown, ttl, drawn } = ran;
        self.scratch.picks.clear();
        self.scratch.picks.extend_from_slice(&drawn);
        Answer { said: value.and_then(|value| said(&value)), drawn: &self.scratch.picks, reach, unknown, ttl }
    }
}

impl Answer<'_> {
    const fn failed(failure: Failure) -> Self {
        Self { said: Err(failure), drawn: &[], reach: Reach::EVERYONE, unknown: false, ttl: u32::MAX }
    }
}

impl<'a> Said<'a> {
    const fn of(records: Records<'a>) -> Self {
        Self { records, ttl: None, rcode: None }
    }
}

/// What a returned value says: a string or a number is one record, a table one for each element.
fn said(value: &Value) -> Result<Said<'static>, Failure> {
    if let Value::Object(Object::Reply(reply)) = value {
        return reply_said(reply);
    }
    Ok(Said::of(Records::Texts(texts(value)?)))
}

fn reply_said(reply: &Reply) -> Result<Said<'static>, Failure> {
    let (rcode, ttl) = reply.said();
    let texts = if rcode.is_some() { Vec::new() } else { texts(reply.values())? };
    Ok(Said { records: Records::Texts(texts), ttl, rcode })
}

fn texts(value: &Value) -> Result<Vec<Arc<[u8]>>, Failure> {
    let refused = |what: &str| Failure::raised(format!("the program returned {what}, and not a string or a table of strings"));
    let Value::Table(entries) = value else {
        return Ok(vec![value.to_shared().ok_or_else(|| refused(value.kind()))?]);
    };
    let text = |(key, value): &(Value, Value)| {
        key.as_integer().ok_or_else(|| refused("a table with keys that are no integers"))?;
        value.to_shared().ok_or_else(|| refused("a table with other values than strings"))
    };
    entries.iter().map(text).collect()
}
