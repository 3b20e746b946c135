//! `bit`: LuaJIT's operations on 32 bits, with signed results.

use super::arguments::{Call, Fault};

/// An operation on one number.
pub(super) type Unary = fn(i32) -> i32;
/// An operation on two numbers.
pub(super) type Binary = fn(i32, i32) -> i32;
/// An operation on a number by so many places.
pub(super) type Shift = fn(i32, u32) -> i32;

/// What `operation` does with one number and no second.
pub(super) fn unary(call: &Call<'_>, operation: Unary) -> Result<i32, Fault> {
    Ok(operation(bits(call, 0)?))
}

/// What `operation` makes of all arguments, from left to right.
pub(super) fn folded(call: &Call<'_>, operation: Binary) -> Result<i32, Fault> {
    (1..call.count()).try_fold(bits(call, 0)?, |left, index| Ok(operation(left, bits(call, index)?)))
}

/// `operation` by a number of places of which the low five bits count.
pub(super) fn shifted(call: &Call<'_>, operation: Shift) -> Result<i32, Fault> {
    Ok(operation(bits(call, 0)?, bits(call, 1)? as u32 & 31))
}

/// `tohex`: the low digits, upper-case if their number is negative.
pub(super) fn tohex(call: &Call<'_>) -> Result<String, Fault> {
    let digits = if call.count() > 1 { bits(call, 1)? } else { 8 };
    let width = digits.unsigned_abs().min(8) as usize;
    let text = format!("{:08x}", bits(call, 0)?);
    let low = &text[8 - width..];
    Ok(if digits < 0 { low.to_uppercase() } else { low.to_owned() })
}

/// The number modulo 2^32, halves to even, as BitOp does by adding 2^52 + 2^51.
fn bits(call: &Call<'_>, index: usize) -> Result<i32, Fault> {
    let number = call.number(index)? + 6_755_399_441_055_744.0;
    Ok(number.to_bits() as u32 as i32)
}
