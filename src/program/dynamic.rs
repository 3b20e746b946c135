//! Calls of piece functions whose arguments only a run knows: lowered, settled and picked from on the spot.
//!
//! The same code as at load, so that a function means one thing; what loading would report is the error here.

use super::failure::Failure;
use super::finding::Severity;
use super::lower::{Lowered, lower_call};
use super::native::Native;
use super::plan::Function;
use super::settle::{Under, settle};
use super::value::Value;
use crate::target::Status;

/// What `function` gives for these arguments.
pub(super) fn call(function: Function, arguments: &[Value], native: &mut Native<'_>) -> Result<Value, Failure> {
    let mut findings = Vec::new();
    let lowered = lower_call(function, arguments, native.world.defaults(), &mut findings);
    let error = findings.into_iter().find(|finding| finding.severity == Severity::Error);
    if let Some(finding) = error {
        return Err(Failure::raised(finding.message));
    }
    match lowered {
        None => Err(Failure::raised(format!("bad arguments for {function}"))),
        Some(Lowered::Test(test)) => {
            let (holds, reach) = test.holds(native.facts);
            *native.reach = native.reach.join(reach);
            Ok(Value::Boolean(holds))
        }
        Some(Lowered::Piece { piece, members, checks }) => {
            let world = native.world;
            let status = |at: usize| checks.get(at).map_or(Status::NEVER, |check| world.status(check));
            let settled = settle(&piece.plan, &members, &Under { status: &status, places: world.places() }, None);
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
