//! Lua numbers ↔ text, and the integers that PowerDNS reads off the front of option values and weights.

/// The number that `text` spells in Lua source: decimal with fraction and exponent, or hexadecimal; no sign.
pub(super) fn parse(text: &str) -> Option<f64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return hexadecimal(digits);
    }
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let decimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if plain && decimal { text.parse().ok() } else { None }
}

fn hexadecimal(digits: &str) -> Option<f64> {
    if digits.is_empty() {
        return None;
    }
    digits.chars().try_fold(0.0, |number, digit| Some(number * 16.0 + f64::from(digit.to_digit(16)?)))
}

/// The number that Lua converts `text` to, as C's `strtod` and LuaJIT read it: as in source, with blanks around and a sign in
/// front; also `inf` and `nan`, and hexadecimal digits with a fraction and an exponent of two.
pub(super) fn from_text(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0B');
    match text.strip_prefix('-') {
        Some(digits) => unsigned(digits).map(|number| -number),
        None => unsigned(text.strip_prefix('+').unwrap_or(text)),
    }
}

fn unsigned(text: &str) -> Option<f64> {
    parse(text).or_else(|| match text {
        _ if ["inf", "infinity"].iter().any(|name| text.eq_ignore_ascii_case(name)) => Some(f64::INFINITY),
        _ if text.eq_ignore_ascii_case("nan") => Some(f64::NAN),
        _ => scaled(text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?),
    })
}

/// Hexadecimal digits with a point among them, or `p` and an exponent of two behind.
fn scaled(text: &str) -> Option<f64> {
    let (digits, exponent) =
        text.split_once(['p', 'P']).map_or((text, Some(0)), |(digits, exponent)| (digits, exponent.parse().ok()));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let places = i32::try_from(fraction.len()).ok()?;
    let number = hexadecimal(&[whole, fraction].concat())?;
    let scale = exponent.unwrap_or(0i32);
    exponent.map(|_| number * 2f64.powi(scale.saturating_sub(places.saturating_mul(4))))
}

/// The text that Lua converts `number` to: C's `%.14g`.
pub(super) fn to_text(number: f64) -> String {
    if number as i64 as f64 == number && number.abs() < 1e14 && number != 0.0 {
        return (number as i64).to_string(); // most numbers, at a tenth of the cost
    }
    general(number, 14)
}

/// `number` with so many significant digits, at most 17: C's `%.*g`.
pub(super) fn general(number: f64, digits: u8) -> String {
    if !number.is_finite() {
        return number.to_string().to_ascii_lowercase();
    }
    let most = i32::from(digits.clamp(1, 17)) - 1;
    let scientific = format!("{number:.*e}", most as usize);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..=most).contains(&exponent) => {
            trim_zeros(&format!("{number:.*}", exponent.abs_diff(most) as usize)).to_owned()
        }
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.unsigned_abs())
        }
        Err(_) => scientific,
    }
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A base that `tonumber` takes.
pub(super) fn base(base: i64) -> Option<u32> {
    u32::try_from(base).ok().filter(|base| (2..=36).contains(base))
}

/// The integer that all of `text` is in `base`, as LuaJIT's `tonumber` reads it: by C's `strtoul`, after a sign and between
/// blanks, and with or without `0x` in base 16. What 64 bits do not hold is the most that they do.
pub(super) fn in_base(text: &[u8], base: u32) -> Option<f64> {
    let text = text.split(|octet| *octet == 0).next()?;
    let text = str::from_utf8(text).ok()?.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixed = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).filter(|_| base == 16);
    let digits = prefixed.unwrap_or(digits);
    if digits.is_empty() {
        return None;
    }
    let size = digits
        .chars()
        .try_fold(0u64, |size, digit| Some(size.saturating_mul(base.into()).saturating_add(digit.to_digit(base)?.into())))?;
    Some(if negative { -(size as f64) } else { size as f64 })
}

/// An integer at the front of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// The integer; what does not fit is the nearest that does.
    pub(super) value: i64,
    /// Whether the text holds nothing else.
    pub(super) whole: bool,
}

/// The decimal integer at the front of `text`, after blanks and a sign (C's `strtol`); `None` without a digit.
pub(super) fn integer_prefix(text: &str) -> Option<Prefix> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    if len == 0 {
        return None;
    }
    let size = digits[..len].bytes().fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Some(Prefix { value: if negative { -size } else { size }, whole: len == digits.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_lua() {
        let cases = [
            ("42", "42"),
            ("1.5", "1.5"),
            ("0x1F", "31"),
            ("1e3", "1000"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0.1", "0.1"),
            ("100", "100"),
            ("99999999999999", "99999999999999"),
            ("100000000000000", "1e+14"),
            ("123456789012345678", "1.2345678901235e+17"),
            ("1e100", "1e+100"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("3.14159265358979", "3.1415926535898"),
            ("0", "0"),
            ("1e999", "inf"),
        ];
        for (source, text) in cases {
            assert_eq!(parse(source).map(to_text).as_deref(), Some(text), "{source}");
        }
        for bad in ["", "0x", "0xG", "1e", "1..2", ".", "inf", "nan", "1_0", "-1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(from_text(" -0x10 "), Some(-16.0));
        for (text, number) in
            [("inf", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY), ("0x1p4", 16.0), ("0x.8", 0.5), (" 0X1.8P-1 ", 0.75)]
        {
            assert_eq!(from_text(text), Some(number), "{text}");
        }
        assert!(from_text("NaN").is_some_and(f64::is_nan));
        for bad in ["infinite", "nano", "0x1p", "0xp1", "0x.", "0x1.8.8", "in f"] {
            assert_eq!(from_text(bad), None, "{bad}");
        }
        assert_eq!(to_text(-0.0), "-0");
        for (number, text) in
            [(46.8, "46.8"), (15.120_000_01, "15.12"), (59.999_999_9, "60"), (1e6, "1e+06"), (1.0 / 3.0, "0.333333")]
        {
            assert_eq!(general(number, 6), text);
        }
    }

    #[test]
    fn numbers_have_bases_as_in_luajit() {
        let cases: &[(&str, u32, Option<f64>)] = &[
            ("z", 36, Some(35.0)),
            ("-ff", 16, Some(-255.0)),
            (" 0x1F ", 16, Some(31.0)),
            ("FF", 16, Some(255.0)),
            ("+7", 8, Some(7.0)),
            ("7\0", 16, Some(7.0)),
            ("99999999999999999999999", 11, Some(u64::MAX as f64)),
            ("12", 2, None),
            ("", 16, None),
            (" ", 16, None),
            ("-", 16, None),
            ("12.5", 16, None),
            ("7 8", 16, None),
            ("- 7", 16, None),
            ("0x", 16, None),
            ("0xg", 16, None),
            ("0x7", 36, Some(1195.0)),
        ];
        for &(text, base, wanted) in cases {
            assert_eq!(in_base(text.as_bytes(), base), wanted, "{text} in base {base}");
        }
        assert_eq!((base(1), base(2), base(36), base(37), base(-3)), (None, Some(2), Some(36), None, None));
    }

    #[test]
    fn integers_are_read_off_the_front() {
        let whole = |value| Some(Prefix { value, whole: true });
        let part = |value| Some(Prefix { value, whole: false });
        let cases =
            [("2", whole(2)), ("0.5", part(0)), (" +3s", part(3)), ("-1", whole(-1)), ("x", None), ("", None), ("-", None)];
        for (text, wanted) in cases {
            assert_eq!(integer_prefix(text), wanted, "{text}");
        }
        assert_eq!(integer_prefix("99999999999999999999"), whole(i64::MAX));
    }
}
