//! Words of a master file ↔ octets: escapes, character-strings, numbers, seconds with units.
//!
//! Never here: what a word means in a record.

use std::fmt::Write as _;

use data_encoding::{BASE64, HEXLOWER};

/// Longest character-string (RFC 1035 3.3).
pub(super) const STRING_MAX: usize = 255;

/// A decimal number without sign.
pub(in crate::zone) fn digits(text: &[u8]) -> Option<u64> {
    text.iter().all(u8::is_ascii_digit).then(|| ascii(text)?.parse().ok()).flatten()
}

/// Seconds, as a number or with the units w, d, h, m, s in any case: `1h30m`. Saturates; `None` where it is neither.
pub(in crate::zone) fn seconds(text: &[u8]) -> Option<u64> {
    let (mut total, mut number) = (0u64, None::<u64>);
    if !text.first()?.is_ascii_digit() {
        return None;
    }
    for &byte in text {
        let unit = match byte.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(u64::from(digit - b'0')));
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.saturating_add(number.take()?.saturating_mul(unit));
    }
    Some(total.saturating_add(number.unwrap_or(0)))
}

pub(super) fn ascii(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok()
}

/// Hexadecimal digits of either case, two for each octet.
pub(super) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    HEXLOWER.decode(&text.to_ascii_lowercase()).ok()
}

/// Base 64 with its padding (RFC 4648 4).
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// Decodes `\X` and `\DDD`; `None` on a bad escape.
pub(in crate::zone) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&first, tail) = rest.split_first()?;
        if first.is_ascii_digit() {
            let (number, tail) = rest.split_at_checked(3)?;
            out.push(digits(number)?.try_into().ok()?);
            rest = tail;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    Some(out)
}

/// Appends `text` as character-strings of at most 255 octets; one empty string where it is empty.
pub(in crate::zone) fn put_strings(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() {
        out.push(0);
    }
    for chunk in text.chunks(STRING_MAX) {
        out.push(chunk.len() as u8);
        out.extend_from_slice(chunk);
    }
}

/// The character-strings that `rdata` consists of; `None` where it is not made of them.
pub(in crate::zone) fn split_strings(mut rdata: &[u8]) -> Option<Vec<&[u8]>> {
    let mut strings = Vec::new();
    while let Some((&len, tail)) = rdata.split_first() {
        let (string, after) = tail.split_at_checked(len.into())?;
        strings.push(string);
        rdata = after;
    }
    Some(strings)
}

/// Where the quote is that ends a string whose opening quote was before `body`.
pub(super) fn closing_quote(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match body.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Octets as a string in quotes.
pub(super) fn quote(string: &[u8]) -> String {
    let mut text = String::with_capacity(string.len() + 2);
    text.push('"');
    for &byte in string {
        match byte {
            b'"' | b'\\' => text.extend(['\\', byte as char]),
            b' '..=b'~' => text.push(byte as char),
            _ => write!(text, "\\{byte:03}").expect("writing to a String does not fail"),
        }
    }
    text.push('"');
    text
}

pub(super) fn u16_at(rdata: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(rdata.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(rdata: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(rdata.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_units_add_up() {
        let cases =
            [("300", Some(300)), ("1h30m", Some(5400)), ("1W2d", Some(777_600)), ("1h5", Some(3605)), ("h", None), ("1x", None)];
        for (text, expected) in cases {
            assert_eq!(seconds(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(seconds("9".repeat(40).as_bytes()), Some(u64::MAX));
        assert_eq!((seconds(b""), seconds(b"1hm")), (None, None));
    }
}
