//! Calls of piece functions whose arguments only a run knows: lowered, settled and picked from on the spot.
//!
//! The same code as at load, so that a function means one thing; what loading would report is the error here. What a call is
//! lowered to follows from its arguments alone, and most programs make up the same ones again and again: [`Memo`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use super::compile::Defaults;
use super::failure::Failure;
use super::finding::Severity;
use super::lower::{Lowered, lower_call};
use super::meter::Meter;
use super::native::Native;
use super::plan::Function;
use super::settle::{Under, settle};
use super::value::{DEPTH_MAX, Room, Value};
use crate::target::Status;

/// Most calls that are known.
const KNOWN_MAX: usize = 256;

/// What `function` gives for these arguments.
pub(super) fn call(function: Function, arguments: &[Value], native: &mut Native<'_>) -> Result<Value, Failure> {
    match &*native.memo.lowered(function, arguments, native.world.defaults(), native.meter)? {
        Lowered::Test(test) => {
            let (holds, reach) = test.holds(native.facts);
            *native.reach = native.reach.join(reach);
            Ok(Value::Boolean(holds))
        }
        Lowered::Piece { piece, members, checks } => {
            let (world, zone) = (native.world, native.facts.zone);
            let status = |at: usize| checks.get(at).map_or(Status::NEVER, |check| world.status(check, zone));
            let under = Under { status: &status, standing: &|_| Status::NEVER, places: world.places() };
            let settled = settle(&piece.plan, members, &under, None);
            let mut picks = Vec::new();
            let (picked, reach) = settled.choice.pick(native.facts, native.random, &mut picks);
            *native.reach = native.reach.join(reach);
            *native.unknown |= settled.unknown;
            picked?;
            let text = |&pick: &u16| members.get(usize::from(pick)).map_or(Value::Nil, |text| Value::text(&**text));
            let list = piece.list || picks.is_empty(); // as of a settled piece
            Ok(if list { Value::list(picks.iter().map(text)) } else { picks.first().map_or(Value::Nil, text) })
        }
    }
}

/// The calls that one thread has lowered, as long as they are small.
#[derive(Debug, Default)]
pub(super) struct Memo {
    calls: RefCell<Calls>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Calls {
    /// What held for checks that do not say.
    defaults: Defaults,
    known: HashMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    function: Function,
    arguments: Box<[Value]>,
    lowered: Arc<Lowered>,
}

impl Memo {
    fn lowered(
        &self,
        function: Function,
        arguments: &[Value],
        defaults: &Defaults,
        meter: &Meter,
    ) -> Result<Arc<Lowered>, Failure> {
        let mut room = Room::small();
        let Some(digest) = self.digest(function, arguments, &mut room) else {
            return lower(function, arguments, defaults, meter).map(Arc::new);
        };
        let mut calls = self.calls.borrow_mut();
        if calls.defaults != *defaults {
            *calls = Calls { defaults: defaults.clone(), known: HashMap::new() };
        }
        if let Some(known) = calls.known.get(&digest)
            && known.function == function
            && *known.arguments == *arguments
        {
            room.charge(meter)?;
            return Ok(Arc::clone(&known.lowered));
        }
        let lowered = Arc::new(lower(function, arguments, defaults, meter)?);
        if lowered.is_small() {
            if calls.known.len() >= KNOWN_MAX {
                calls.known.clear();
            }
            calls.known.insert(digest, Known { function, arguments: arguments.into(), lowered: Arc::clone(&lowered) });
        }
        Ok(lowered)
    }

    /// What tells small arguments from others.
    fn digest(&self, function: Function, arguments: &[Value], room: &mut Room) -> Option<u64> {
        let mut hasher = self.hasher.build_hasher();
        (function, arguments.len()).hash(&mut hasher);
        arguments.iter().try_for_each(|argument| write(argument, DEPTH_MAX, room, &mut hasher))?;
        Some(hasher.finish())
    }
}

fn write(value: &Value, depth: usize, room: &mut Room, hasher: &mut impl Hasher) -> Option<()> {
    match value {
        Value::Nil => hasher.write_u8(0),
        Value::Boolean(value) => hasher.write_u8(1 + u8::from(*value)),
        Value::Number(number) => hasher.write_u64(number.to_bits()),
        Value::Text(text) => {
            room.text(text)?;
            text.hash(hasher);
        }
        Value::Table(entries) => {
            let depth = depth.checked_sub(1)?;
            room.entries(entries.len())?;
            hasher.write_usize(entries.len());
            for (key, value) in entries.iter() {
                write(key, depth, room, hasher)?;
                write(value, depth, room, hasher)?;
            }
        }
        Value::Object(_) => return None,
    }
    Some(())
}

fn lower(function: Function, arguments: &[Value], defaults: &Defaults, meter: &Meter) -> Result<Lowered, Failure> {
    let mut findings = Vec::new();
    let lowered = lower_call(function, arguments, (defaults, meter), &mut findings)?;
    match findings.into_iter().find(|finding| finding.severity == Severity::Error) {
        Some(finding) => Err(Failure::raised(finding.message)),
        None => lowered.ok_or_else(|| Failure::raised(format!("bad arguments for {function}"))),
    }
}
