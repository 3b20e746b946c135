//! `$GENERATE`: ranges and the templates that become owners and data (BIND's manual, "The $GENERATE Directive").
//!
//! In a template `$` is the number, `$$` and `\$` are a dollar, and `${offset[,width[,base]]}` is the number plus an
//! offset in base d, o, x or X, padded with zeros to a width; base n or N is the nibbles of the number from the last to
//! the first with dots between them, for names below ip6.arpa, and its width counts the dots.
//!
//! A directive is a few octets that stand for many records, so everything is bounded here: how many records one may
//! make, how many all of a zone's may, and how many octets of text those are.
//!
//! Never here: what the generated text means; it is read as any other line is.

use std::fmt::Write as _;

/// Most records of one directive.
pub(super) const RECORDS_MAX: u32 = 65_536;
/// Most generated records of one zone.
pub(super) const ZONE_RECORDS_MAX: u32 = 1_000_000;
/// Most octets of generated text of one zone: enough for a million records of ordinary length.
pub(super) const ZONE_OCTETS_MAX: usize = 64 << 20;
/// Largest width, and so the most that one placeholder becomes.
const WIDTH_MAX: u32 = 255;

/// `start-stop[/step]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: u32,
    stop: u32,
    step: u32,
}

impl Range {
    /// `None` where it is not a range of numbers below 2³¹, upwards, in steps of at least 1.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (range, step) = text.split_once('/').unwrap_or((text, "1"));
        let (start, stop) = range.split_once('-')?;
        let range = Self { start: number(start)?, stop: number(stop)?, step: number(step)? };
        (range.start <= range.stop && range.step > 0).then_some(range)
    }

    /// How many numbers there are.
    pub(super) const fn count(self) -> u32 {
        (self.stop - self.start) / self.step + 1
    }

    /// The numbers.
    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        (self.start..=self.stop).step_by(self.step as usize)
    }
}

/// A decimal number below 2³¹.
fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| is_number && number <= i32::MAX as u32)
}

/// Text with places for a number.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    Number { offset: i64, width: usize, base: Base },
}

#[derive(Clone, Copy, Debug)]
enum Base {
    Decimal,
    Octal,
    Hex,
    UpperHex,
    Nibbles,
    UpperNibbles,
}

impl Template {
    /// Reads a template, escapes left as they are; `None` where a `${` does not go on as it must.
    pub(super) fn parse(mut text: &[u8]) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        loop {
            text = match text {
                [] => break,
                [b'\\', escaped, rest @ ..] => {
                    plain.extend([b'\\', *escaped]);
                    rest
                }
                [b'$', b'$', rest @ ..] => {
                    plain.extend(b"\\$");
                    rest
                }
                [b'$', b'{', rest @ ..] => {
                    let end = rest.iter().position(|&byte| byte == b'}')?;
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(placeholder(&rest[..end])?);
                    &rest[end + 1..]
                }
                [b'$', rest @ ..] => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Number { offset: 0, width: 0, base: Base::Decimal });
                    rest
                }
                [byte, rest @ ..] => {
                    plain.push(*byte);
                    rest
                }
            };
        }
        pieces.push(Piece::Text(plain));
        Some(Self(pieces))
    }

    /// The text for one number.
    pub(super) fn expand(&self, number: u32) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Number { offset, width, base } => {
                    out.extend_from_slice(base.write(i64::from(number) + offset, *width).as_bytes());
                }
            }
        }
        out
    }
}

/// `offset[,width[,base]]`.
fn placeholder(text: &[u8]) -> Option<Piece> {
    let mut parts = std::str::from_utf8(text).ok()?.split(',');
    let offset = parts.next()?;
    let offset: i64 = match offset.strip_prefix('-') {
        Some(digits) => -i64::from(number(digits)?),
        None => number(offset)?.into(),
    };
    let width = parts.next().map_or(Some(0), number).filter(|&width| width <= WIDTH_MAX)? as usize;
    let base = match parts.next().unwrap_or("d") {
        "d" => Base::Decimal,
        "o" => Base::Octal,
        "x" => Base::Hex,
        "X" => Base::UpperHex,
        "n" => Base::Nibbles,
        "N" => Base::UpperNibbles,
        _ => return None,
    };
    parts.next().is_none().then_some(Piece::Number { offset, width, base })
}

impl Base {
    /// A negative number has a sign in decimal (the width counts it), elsewhere it is its 32 bits.
    fn write(self, value: i64, width: usize) -> String {
        let bits = value as u32;
        match self {
            Self::Decimal => format!("{value:0width$}"),
            Self::Octal => format!("{bits:0width$o}"),
            Self::Hex => format!("{bits:0width$x}"),
            Self::UpperHex => format!("{bits:0width$X}"),
            Self::Nibbles => nibbles(bits, width),
            Self::UpperNibbles => nibbles(bits, width).to_ascii_uppercase(),
        }
    }
}

/// Nibbles from the last to the first, each but the very last followed by a dot, and zeros until the width is filled.
fn nibbles(mut value: u32, mut width: usize) -> String {
    let mut out = String::new();
    loop {
        write!(out, "{:x}", value & 0xF).expect("writing to a String does not fail");
        value >>= 4;
        width = width.saturating_sub(1);
        if value == 0 && width == 0 {
            return out;
        }
        out.push('.');
        width = width.saturating_sub(1);
        if value == 0 && width == 0 {
            return out;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str, number: u32) -> Option<String> {
        let template = Template::parse(template.as_bytes())?;
        Some(String::from_utf8(template.expand(number)).expect("ASCII"))
    }

    #[test]
    fn templates_expand_as_in_bind() {
        let cases = [
            ("a$", 7, Some("a7")),
            ("$.$", 7, Some("7.7")),
            (r"a\$$$$", 7, Some(r"a\$\$7")),
            (r"\065$", 7, Some(r"\0657")),
            ("${1}", 7, Some("8")),
            ("${-9}", 7, Some("-2")),
            ("${-5,3}", 1, Some("-04")),
            ("${-5,0,x}", 1, Some("fffffffc")),
            ("${0,4}", 7, Some("0007")),
            ("${0,4,d}", 70_000, Some("70000")),
            ("${0,4,X}", 171, Some("00AB")),
            ("${0,0,o}", 8, Some("10")),
            ("${0,8,n}", 255, Some("f.f.0.0.")),
            ("${0,7,n}", 255, Some("f.f.0.0")),
            ("${0,3,N}", 255, Some("F.F")),
            ("${0,1,n}", 256, Some("0.0.1")),
            ("${0,0,n}", 0, Some("0")),
            ("", 7, Some("")),
            ("${1", 7, None),
            ("${}", 7, None),
            ("${x}", 7, None),
            ("${1,2,q}", 7, None),
            ("${1,2,d,3}", 7, None),
            ("${1,256}", 7, None),
            ("${+1}", 7, None),
        ];
        for (template, number, expected) in cases {
            assert_eq!(expand(template, number).as_deref(), expected, "{template}");
        }
    }

    #[test]
    fn ranges_go_upwards_and_have_an_end() {
        let cases = [
            ("1-3", Some((3, vec![1, 2, 3]))),
            ("0-7/3", Some((3, vec![0, 3, 6]))),
            ("5-5/9", Some((1, vec![5]))),
            ("3-1", None),
            ("1-3/0", None),
            ("1", None),
            ("-1-1", None),
            ("1-", None),
            ("0-2147483648", None),
            ("+1-2", None),
        ];
        for (text, expected) in cases {
            let range = Range::parse(text.as_bytes());
            assert_eq!(range.map(|range| (range.count(), range.numbers().collect())), expected, "{text}");
        }
        assert_eq!(Range::parse(b"0-2147483647").map(Range::count), Some(1 << 31));
    }
}
