//! LOC: latitude, longitude, altitude, size and precisions (RFC 1876).
//!
//! All numbers are integers on the wire (thousandths of an arc second, centimetres), and stay integers here: what is
//! written reads back as the same octets. Sizes are one digit and a power of ten of centimetres; further digits are cut
//! off, as in the RFC's own code.

use std::fmt::Write as _;

use super::text::{digits, u32_at};

/// Octets of a record.
pub(super) const LEN: usize = 16;

/// The equator and the prime meridian.
const MIDDLE: u32 = 1 << 31;
const DEGREE: u64 = 3_600_000;
/// The altitude 0 lies this many centimetres above the lowest (RFC 1876 2).
const ALTITUDE_BASE: i64 = 10_000_000;
/// Size 1 m, horizontal precision 10,000 m, vertical precision 10 m (RFC 1876 3).
const DEFAULTS: [u8; 3] = [0x12, 0x16, 0x13];

/// Reads a record's words; an error is the index of the word that is wrong, or their number where one is missing, and
/// what should stand there.
pub(super) fn read(words: &[&[u8]]) -> Result<[u8; LEN], (usize, &'static str)> {
    let mut next = 0;
    let latitude = angle(words, &mut next, 90, [b'N', b'S'], "a latitude such as `51 30 12.748 N`")?;
    let longitude = angle(words, &mut next, 180, [b'E', b'W'], "a longitude such as `0 7 39.611 W`")?;
    let altitude = metres(words.get(next)).and_then(|cm| u32::try_from(cm + ALTITUDE_BASE).ok());
    let altitude = altitude.ok_or((next, "an altitude from -100000.00m to 42849672.95m"))?;
    next += 1;
    let mut sizes = DEFAULTS;
    for size in &mut sizes {
        if next < words.len() {
            *size = metres(words.get(next)).and_then(encode_size).ok_or((next, "a size from 0m to 90000000.00m"))?;
            next += 1;
        }
    }
    if next < words.len() {
        return Err((next, "the end of the record, after the vertical precision"));
    }
    let mut out = [0; LEN];
    out[1..4].copy_from_slice(&sizes);
    for (at, number) in [(4, latitude), (8, longitude), (12, altitude)] {
        out[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    Ok(out)
}

/// `degrees [minutes [seconds[.fraction]]] letter`, the letter stating the side of the middle.
fn angle(
    words: &[&[u8]],
    next: &mut usize,
    most: u64,
    [plus, minus]: [u8; 2],
    form: &'static str,
) -> Result<u32, (usize, &'static str)> {
    let mut total = 0;
    for unit in [DEGREE, 60_000, 1000, 0] {
        let word = *words.get(*next).ok_or((*next, form))?;
        if let [letter] = word
            && unit < DEGREE
            && [plus, minus].contains(&letter.to_ascii_uppercase())
        {
            *next += 1;
            let total = u32::try_from(total).map_err(|_| (*next - 1, form))?;
            return Ok(if letter.eq_ignore_ascii_case(&plus) { MIDDLE + total } else { MIDDLE - total });
        }
        let value = match unit {
            DEGREE => digits(word).filter(|&value| value <= most).map(|value| value * DEGREE),
            60_000 => digits(word).filter(|&value| value < 60).map(|value| value * 60_000),
            1000 => decimal(word, 3).filter(|&value| value < 60_000),
            _ => None,
        };
        total += value.ok_or((*next, form))?;
        if total > most * DEGREE {
            return Err((*next, form));
        }
        *next += 1;
    }
    Err((*next - 1, form)) // the last round returns or fails
}

/// A number with at most so many decimals, in units of the last.
fn decimal(text: &[u8], places: u32) -> Option<u64> {
    let dot = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = (&text[..dot], text.get(dot + 1..).unwrap_or_default());
    if whole.is_empty() || fraction.len() > places as usize || whole.len() > 10 {
        return None;
    }
    let missing = places - fraction.len() as u32;
    let fraction = if fraction.is_empty() { 0 } else { digits(fraction)? };
    Some(digits(whole)? * 10u64.pow(places) + fraction * 10u64.pow(missing))
}

/// `-12.34m` in centimetres; the letter may be left out.
fn metres(word: Option<&&[u8]>) -> Option<i64> {
    let word = *word?;
    let number = word.strip_suffix(b"m").or(word.strip_suffix(b"M")).unwrap_or(word);
    match number.strip_prefix(b"-") {
        Some(number) => Some(-i64::try_from(decimal(number, 2)?).ok()?),
        None => i64::try_from(decimal(number.strip_prefix(b"+").unwrap_or(number), 2)?).ok(),
    }
}

/// The first digit and the power of ten.
fn encode_size(cm: i64) -> Option<u8> {
    let (mut digit, mut power) = (u64::try_from(cm).ok()?, 0u8);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    (power <= 9).then_some((digit as u8) << 4 | power)
}

/// Whether the octets are a location: version 0, sizes of decimal digits, angles on the globe.
pub(super) fn is_valid(rdata: &[u8]) -> bool {
    let is_size = |octet: &u8| octet >> 4 <= 9 && octet & 0x0F <= 9;
    let within = |at, degrees: u64| u32_at(rdata, at).is_some_and(|angle| u64::from(angle.abs_diff(MIDDLE)) <= degrees * DEGREE);
    rdata.len() == LEN && rdata[0] == 0 && rdata[1..4].iter().all(is_size) && within(4, 90) && within(8, 180)
}

/// `None` where the text would not read back as the same octets: a size of no centimetres times a power of ten.
pub(super) fn write(rdata: &[u8], text: &mut String) -> Option<()> {
    write_angle(u32_at(rdata, 4)?, ["N", "S"], text)?;
    write_angle(u32_at(rdata, 8)?, ["E", "W"], text)?;
    let altitude = i64::from(u32_at(rdata, 12)?) - ALTITUDE_BASE;
    let sign = if altitude < 0 { "-" } else { "" };
    write_metres(sign, altitude.unsigned_abs(), text)?;
    for size in rdata.get(1..4)? {
        let (digit, power) = (size >> 4, size & 0x0F);
        if digit == 0 && power != 0 {
            return None;
        }
        text.push(' ');
        write_metres("", u64::from(digit) * 10u64.pow(power.into()), text)?;
    }
    Some(())
}

fn write_angle(angle: u32, [plus, minus]: [&str; 2], text: &mut String) -> Option<()> {
    let side = if angle >= MIDDLE { plus } else { minus };
    let total = u64::from(angle.abs_diff(MIDDLE));
    let (degrees, minutes, seconds) = (total / DEGREE, total / 60_000 % 60, total % 60_000);
    write!(text, "{degrees} {minutes} {}.{:03} {side} ", seconds / 1000, seconds % 1000).ok()
}

fn write_metres(sign: &str, cm: u64, text: &mut String) -> Option<()> {
    write!(text, "{sign}{}.{:02}m", cm / 100, cm % 100).ok()
}
