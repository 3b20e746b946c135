//! RDATA ↔ presentation form, for the types that are written in zone files and made by record programs.
//!
//! One table (`schema`) says what fields a type has; reading (`read`), writing (`write`) and the check of what comes as
//! octets (`wire`) all go by it. RFC 3597's `\# length hex` serves every type; where the type is known, what the hex holds
//! is checked as the type demands, so no malformed RDATA enters a zone.
//!
//! Never here: owners, TTLs, positions (an error says which word it is about, the reader knows where that word is).

mod apl;
mod bitmap;
mod gateway;
mod loc;
mod mnemonics;
mod read;
mod schema;
mod svcb;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod wire;
mod write;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::lexer::{Entry, Lexer, Place, Token, show};
use crate::wire::{Field, NameError, NameRef, RecordType, has_caseless_names, layout};
pub(super) use schema::form;
use schema::{Kind, fields};
use text::{ascii, closing_quote, u16_at};
pub(super) use text::{digits, put_strings, seconds, split_strings, unescape};
use wire::well_formed;

/// Why text is not the RDATA of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdataError {
    /// The text ends before this field.
    #[error("the {field} is missing from the {rtype} record")]
    Missing {
        /// The type.
        rtype: RecordType,
        /// What should stand there.
        field: &'static str,
    },
    /// The text ends where something of this form should stand.
    #[error("the {rtype} record ends before {expected}")]
    Short {
        /// The type.
        rtype: RecordType,
        /// What should stand there.
        expected: &'static str,
    },
    /// Something follows the last field.
    #[error("{word} is one value too many for the {rtype} record")]
    Excess {
        /// The type.
        rtype: RecordType,
        /// The first word too many.
        word: String,
    },
    /// Not an IPv4 address.
    #[error("{0} is not an IPv4 address")]
    Ipv4(String),
    /// Not an IPv6 address.
    #[error("{0} is not an IPv6 address")]
    Ipv6(String),
    /// Not a number in the field's range.
    #[error("the {field} {word} is not a number from 0 to {max}")]
    Number {
        /// The field.
        field: &'static str,
        /// What stands there.
        word: String,
        /// The largest value.
        max: u32,
    },
    /// Not a domain name.
    #[error("the {field} {word} is not a domain name: {source}")]
    Name {
        /// The field.
        field: &'static str,
        /// What stands there.
        word: String,
        /// Why.
        source: NameError,
    },
    /// A backslash that is not followed by a character or by three digits up to 255.
    #[error("{0} has a bad escape")]
    Escape(String),
    /// A CAA tag that is empty, too long or not alphanumeric (RFC 8659 4.1).
    #[error("{0} is not a CAA tag")]
    Tag(String),
    /// Not hexadecimal, or not of the stated length (RFC 3597 5).
    #[error("{0}")]
    Hex(&'static str),
    /// Hexadecimal that is not RDATA of its type.
    #[error("these octets are not the RDATA of type {0}")]
    Malformed(RecordType),
    /// More than 65,535 octets.
    #[error("the RDATA is longer than 65535 octets")]
    Long,
    /// A value that is not of its field's form.
    #[error("the {field} {word} is not {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// What stands there.
        word: String,
        /// What should.
        expected: &'static str,
    },
    /// A character-string of more than 255 octets (RFC 1035 3.3) in a field that is one string.
    #[error("{0} is longer than 255 octets")]
    LongString(String),
    /// A digest whose length is not that of its type.
    #[error("the {field} has {found} octets where its type has {needed}")]
    DigestLength {
        /// The field.
        field: &'static str,
        /// Octets by the type.
        needed: usize,
        /// Octets that are there.
        found: usize,
    },
    /// A parameter of SVCB or HTTPS that breaks a rule of RFC 9460.
    #[error("the parameter {key} {reason}")]
    Parameter {
        /// The key, or the word where it is none.
        key: String,
        /// Which rule.
        reason: &'static str,
    },
    /// A type that has no presentation form of its own, or none that a record program can make.
    #[error("records of type {0} have no form of their own here")]
    Unsupported(RecordType),
    /// A TXT text whose quotes do not pair.
    #[error("the text's quotes do not pair: {0}")]
    Quotes(String),
    /// Text that is not made of words and closed strings.
    #[error("{0}")]
    Syntax(String),
}

impl RdataError {
    /// What would be right in a record of type `rtype`.
    pub(super) fn remedy(&self, rtype: RecordType) -> String {
        match self {
            Self::Escape(_) => "write `\\X` or `\\DDD` with DDD from 000 to 255".into(),
            Self::Tag(_) => "a tag is 1 to 255 letters and digits, such as `issue`".into(),
            Self::Hex(_) => "write `\\# length hex`, such as `\\# 4 c0000201`, with two hex digits for each octet".into(),
            Self::Unsupported(_) => format!("write it in the RFC 3597 form: `TYPE{} \\# length hex`", rtype.0),
            Self::LongString(_) => "a string has at most 255 octets (RFC 1035 3.3)".into(),
            Self::Long => "a record holds at most 65535 octets".into(),
            _ => format!("write `{}`", form(rtype)),
        }
    }
}

/// An error and the index of the word it is about; the number of words where one is missing.
pub(super) type At<T> = Result<T, (usize, RdataError)>;

/// Reads RDATA from the words after the type. Names without a final dot are completed with `origin`.
fn parse(rtype: RecordType, words: &[Token<'_>], origin: Option<NameRef<'_>>) -> At<Vec<u8>> {
    let mut out = Vec::new();
    parse_into(rtype, words, origin, &mut out).map(|()| out)
}

/// The same, in place of what `out` holds; after an error that is anything.
pub(super) fn parse_into(rtype: RecordType, words: &[Token<'_>], origin: Option<NameRef<'_>>, out: &mut Vec<u8>) -> At<()> {
    out.clear();
    if is_generic(words) {
        *out = generic(rtype, words)?;
        return Ok(());
    }
    read::read(rtype, words, origin, out)
}

/// Whether the words are the form of RFC 3597 5.
pub(super) fn is_generic(words: &[Token<'_>]) -> bool {
    words.first().is_some_and(|word| !word.quoted && word.text == b"\\#")
}

/// Reads `\# length hex...` and checks it against the type.
pub(super) fn generic(rtype: RecordType, words: &[Token<'_>]) -> At<Vec<u8>> {
    let stated = words.get(1).ok_or((1, RdataError::Hex("the length is missing after `\\#`")))?;
    let len: usize = digits(stated.text)
        .filter(|&len| len <= u64::from(u16::MAX))
        .ok_or((1, RdataError::Number { field: "length", word: stated.show(), max: u16::MAX.into() }))?
        as usize;
    let mut rdata = Vec::with_capacity(len);
    let mut high = None;
    for (index, word) in words.iter().enumerate().skip(2) {
        for &byte in word.text {
            let nibble = (byte as char).to_digit(16).ok_or((index, RdataError::Hex("not hexadecimal digits")))? as u8;
            match high.take() {
                None => high = Some(nibble << 4),
                Some(high) => rdata.push(high | nibble),
            }
        }
    }
    if high.is_some() || rdata.len() != len {
        return Err((1, RdataError::Hex("the hexadecimal digits do not have the stated length")));
    }
    if well_formed(rtype, &rdata) { Ok(rdata) } else { Err((2, RdataError::Malformed(rtype))) }
}

/// Where the names are in well-formed RDATA; `None` where it does not have the type's layout.
fn names(rtype: RecordType, rdata: &[u8]) -> Option<Vec<(usize, NameRef<'_>)>> {
    let mut found = Vec::new();
    let mut at = 0;
    for field in layout(rtype) {
        match field {
            Field::Octets(count) => at += usize::from(*count),
            Field::String => at += 1 + usize::from(*rdata.get(at)?),
            Field::Rest => at = rdata.len(),
            Field::Name | Field::PlainName => {
                let name = NameRef::parse(rdata.get(at..)?).ok()?;
                found.push((at, name));
                at += name.len();
            }
        }
    }
    (at == rdata.len()).then_some(found)
}

/// The first name in the RDATA of a type: where NS, CNAME, DNAME, MX and SRV lead to.
pub(super) fn target(rtype: RecordType, rdata: &[u8]) -> Option<NameRef<'_>> {
    Some(names(rtype, rdata)?.first()?.1)
}

/// RDATA in canonical form, the names of the types that RFC 4034 6.2 lists in lower case: what duplicates are found by,
/// and the order inside an RRset (RFC 4034 6.3).
pub(super) fn canonical(rtype: RecordType, rdata: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(rdata);
    if has_caseless_names(rtype) {
        for (at, name) in names(rtype, rdata).unwrap_or_default() {
            out.to_mut()[at..at + name.len()].make_ascii_lowercase();
        }
    }
    out
}

/// Reads one RDATA in presentation form as a record program makes it: names are absolute with or without a final dot,
/// TXT is the bare text, in which backslashes and quotes are interpreted and which is split at 255 octets
/// (`spec/powerdns-lua-records.md` 1.4).
///
/// # Errors
/// [`RdataError`] where the text is not RDATA of the type, or the type is SOA or LUA, or has no presentation form and the
/// text is not that of RFC 3597.
pub fn rdata_from_text(rtype: RecordType, text: &str) -> Result<Vec<u8>, RdataError> {
    match rtype {
        RecordType::A => {
            address::<Ipv4Addr>(text).map(|ip| ip.octets().into()).ok_or_else(|| RdataError::Ipv4(show(text.as_bytes())))
        }
        RecordType::AAAA => {
            address::<Ipv6Addr>(text).map(|ip| ip.octets().into()).ok_or_else(|| RdataError::Ipv6(show(text.as_bytes())))
        }
        RecordType::TXT => text_rdata(text),
        RecordType::SOA | RecordType::LUA => Err(RdataError::Unsupported(rtype)),
        _ => words_rdata(rtype, text),
    }
}

fn address<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim_matches([' ', '\t']).parse().ok()
}

/// `"` + text + `"` read as strings: a quote in the text closes one, and only blanks may stand before the next.
fn text_rdata(text: &str) -> Result<Vec<u8>, RdataError> {
    let quotes = || RdataError::Quotes(show(text.as_bytes()));
    let quoted = [b"\"", text.as_bytes(), b"\""].concat();
    let mut rest: &[u8] = &quoted;
    let mut out = Vec::with_capacity(quoted.len());
    while !rest.is_empty() {
        let body = rest.strip_prefix(b"\"").ok_or_else(quotes)?;
        let end = closing_quote(body).ok_or_else(quotes)?;
        let string = unescape(&body[..end]).ok_or_else(|| RdataError::Escape(show(text.as_bytes())))?;
        put_strings(&string, &mut out);
        rest = body[end + 1..].trim_ascii_start();
    }
    if out.len() > usize::from(u16::MAX) { Err(RdataError::Long) } else { Ok(out) }
}

/// Words between blanks. Where no field is a string, `;` and quotes are octets of a name like any other.
fn words_rdata(rtype: RecordType, text: &str) -> Result<Vec<u8>, RdataError> {
    let plain = |kind: Kind| matches!(kind, Kind::Name | Kind::U8 | Kind::U16 | Kind::U32);
    if !fields(rtype).is_some_and(|fields| fields.iter().all(|field| plain(field.0))) {
        return lexed_rdata(rtype, text);
    }
    let at = Place { line: 1, column: 1 };
    let words = text.split_ascii_whitespace().map(|word| Token { text: word.as_bytes(), quoted: false, at });
    parse(rtype, &words.collect::<Vec<_>>(), Some(NameRef::ROOT)).map_err(|(_, error)| error)
}

fn lexed_rdata(rtype: RecordType, text: &str) -> Result<Vec<u8>, RdataError> {
    let mut lexer = Lexer::new(text.as_bytes());
    let mut entry = Entry::default();
    if let Some(Err(broken)) = lexer.next_entry(&mut entry) {
        return Err(RdataError::Syntax(broken.error.to_string()));
    }
    let rdata = parse(rtype, &entry.tokens, Some(NameRef::ROOT)).map_err(|(_, error)| error)?;
    match lexer.next_entry(&mut Entry::default()) {
        None => Ok(rdata),
        Some(_) => Err(RdataError::Excess { rtype, word: "a second line".into() }),
    }
}

/// RDATA in presentation form: the type's own where it is one that is read, else `\# length hex` (RFC 3597 5).
#[must_use]
pub fn rdata_to_text(rtype: RecordType, rdata: &[u8]) -> String {
    known_to_text(rtype, rdata).unwrap_or_else(|| generic_to_text(rdata))
}

fn known_to_text(rtype: RecordType, rdata: &[u8]) -> Option<String> {
    if rtype != RecordType::LUA {
        return write::write(rtype, rdata);
    }
    let (target, code) = rdata.split_at_checked(2)?;
    lua_to_text(RecordType(u16_at(target, 0)?), &split_strings(code).filter(|strings| !strings.is_empty())?)
}

/// `type "code" ...` with the code as it is; `None` where a string cannot stand between quotes unescaped.
pub(super) fn lua_to_text(rtype: RecordType, strings: &[&[u8]]) -> Option<String> {
    let mut text = rtype.to_string();
    for string in strings {
        if string.contains(&b'\n') || closing_quote(&[string, b"\"".as_slice()].concat()) != Some(string.len()) {
            return None;
        }
        write!(text, " \"{}\"", ascii(string)?).ok()?;
    }
    Some(text)
}

/// `\# length hex`.
pub(super) fn generic_to_text(rdata: &[u8]) -> String {
    let mut text = format!("\\# {}", rdata.len());
    for (index, byte) in rdata.iter().enumerate() {
        let gap = if index == 0 { " " } else { "" };
        write!(text, "{gap}{byte:02x}").expect("writing to a String does not fail");
    }
    text
}
