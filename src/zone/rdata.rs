//! RDATA ↔ presentation form, for the types that are written in zone files and made by record programs.
//!
//! One table of fields per type ([`parse`]) serves both, and RFC 3597's `\# length hex` serves every type; where the
//! type is known, what the hex holds is checked as the type demands, so no malformed RDATA enters a zone.
//!
//! Never here: owners, TTLs, positions (an error says which word it is about, the reader knows where that word is).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::lexer::{Entry, Lexer, Place, Token, show};
use crate::wire::{Field, Name, NameError, NameRef, RecordType, layout};

/// Longest character-string (RFC 1035 3.3).
const STRING_MAX: usize = 255;

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
    /// A type whose own presentation form is not read here.
    #[error("records of type {0} are not supported yet")]
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
            Self::Long => "a record holds at most 65535 octets".into(),
            _ => format!("write `{}`", form(rtype)),
        }
    }
}

/// What a record of the type looks like.
pub(super) const fn form(rtype: RecordType) -> &'static str {
    match rtype {
        RecordType::A => "A 192.0.2.1",
        RecordType::AAAA => "AAAA 2001:db8::1",
        RecordType::NS => "NS ns1.example.com.",
        RecordType::CNAME => "CNAME www.example.com.",
        RecordType::PTR => "PTR host.example.com.",
        RecordType::MX => "MX 10 mail.example.com.",
        RecordType::TXT => "TXT \"text\"",
        RecordType::SRV => "SRV 0 5 443 host.example.com.",
        RecordType::CAA => "CAA 0 issue \"ca.example.net\"",
        RecordType::SOA => "SOA ns1.example.com. hostmaster.example.com. 1 1h 15m 1w 5m",
        RecordType::LUA => "LUA A \"ifportup(443, {'192.0.2.1'})\"",
        _ => "TYPEnnn \\# length hex",
    }
}

/// An error and the index of the word it is about; the number of words where one is missing.
pub(super) type At<T> = Result<T, (usize, RdataError)>;

/// Reads RDATA from the words after the type. Names without a final dot are completed with `origin`.
pub(super) fn parse(rtype: RecordType, words: &[Token<'_>], origin: Option<NameRef<'_>>) -> At<Vec<u8>> {
    if is_generic(words) {
        return generic(rtype, words);
    }
    let mut fields = Fields { rtype, words, next: 0, origin, out: Vec::new() };
    match rtype {
        RecordType::A => fields.ipv4()?,
        RecordType::AAAA => fields.ipv6()?,
        RecordType::NS | RecordType::CNAME | RecordType::PTR => fields.name("target")?,
        RecordType::MX => {
            fields.number16("preference")?;
            fields.name("mail host")?;
        }
        RecordType::TXT => fields.strings()?,
        RecordType::SRV => {
            fields.number16("priority")?;
            fields.number16("weight")?;
            fields.number16("port")?;
            fields.name("target")?;
        }
        RecordType::CAA => {
            fields.flags()?;
            fields.tag()?;
            fields.value()?;
        }
        RecordType::SOA => fields.soa()?,
        _ => return Err((0, RdataError::Unsupported(rtype))),
    }
    fields.finish()
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

/// The fields of one record, read from left to right.
struct Fields<'a, 't> {
    rtype: RecordType,
    words: &'t [Token<'a>],
    next: usize,
    origin: Option<NameRef<'t>>,
    out: Vec<u8>,
}

impl<'a> Fields<'a, '_> {
    fn word(&mut self, field: &'static str) -> At<Token<'a>> {
        let word = self.words.get(self.next).ok_or((self.next, RdataError::Missing { rtype: self.rtype, field }))?;
        self.next += 1;
        Ok(*word)
    }

    /// An error about the word that was read last.
    fn fails<T>(&self, error: RdataError) -> At<T> {
        Err((self.next - 1, error))
    }

    fn ipv4(&mut self) -> At<()> {
        let word = self.word("address")?;
        match ascii(word.text).and_then(|text| text.parse::<Ipv4Addr>().ok()) {
            Some(address) => self.out.extend(address.octets()),
            None => return self.fails(RdataError::Ipv4(word.show())),
        }
        Ok(())
    }

    fn ipv6(&mut self) -> At<()> {
        let word = self.word("address")?;
        match ascii(word.text).and_then(|text| text.parse::<Ipv6Addr>().ok()) {
            Some(address) => self.out.extend(address.octets()),
            None => return self.fails(RdataError::Ipv6(word.show())),
        }
        Ok(())
    }

    fn name(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        match Name::from_text(word.text, self.origin) {
            Ok(name) => self.out.extend_from_slice(name.as_ref().as_wire()),
            Err(source) => return self.fails(RdataError::Name { field, word: word.show(), source }),
        }
        Ok(())
    }

    fn number(&mut self, field: &'static str, max: u32) -> At<u32> {
        let word = self.word(field)?;
        match digits(word.text).and_then(|value| u32::try_from(value).ok()).filter(|&value| value <= max) {
            Some(value) => Ok(value),
            None => self.fails(RdataError::Number { field, word: word.show(), max }),
        }
    }

    fn number16(&mut self, field: &'static str) -> At<()> {
        let value = self.number(field, u16::MAX.into())? as u16;
        self.out.extend(value.to_be_bytes());
        Ok(())
    }

    fn seconds(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        match seconds(word.text).and_then(|value| u32::try_from(value).ok()) {
            Some(value) => self.out.extend(value.to_be_bytes()),
            None => return self.fails(RdataError::Number { field, word: word.show(), max: u32::MAX }),
        }
        Ok(())
    }

    fn strings(&mut self) -> At<()> {
        loop {
            let word = self.word("text")?;
            let text = self.unescaped(&word)?;
            put_strings(&text, &mut self.out);
            if self.next == self.words.len() {
                return Ok(());
            }
        }
    }

    fn flags(&mut self) -> At<()> {
        let flags = self.number("flags", u8::MAX.into())? as u8;
        self.out.push(flags);
        Ok(())
    }

    fn tag(&mut self) -> At<()> {
        let word = self.word("tag")?;
        if !is_tag(word.text) {
            return self.fails(RdataError::Tag(word.show()));
        }
        self.out.push(word.text.len() as u8);
        self.out.extend_from_slice(word.text);
        Ok(())
    }

    fn value(&mut self) -> At<()> {
        let word = self.word("value")?;
        let value = self.unescaped(&word)?;
        self.out.extend(value);
        Ok(())
    }

    fn soa(&mut self) -> At<()> {
        self.name("primary server")?;
        self.name("mailbox of the person responsible")?;
        let serial = self.number("serial", u32::MAX)?;
        self.out.extend(serial.to_be_bytes());
        ["refresh", "retry", "expire", "minimum"].into_iter().try_for_each(|field| self.seconds(field))
    }

    fn unescaped(&self, word: &Token<'_>) -> At<Vec<u8>> {
        unescape(word.text).ok_or_else(|| (self.next - 1, RdataError::Escape(word.show())))
    }

    fn finish(self) -> At<Vec<u8>> {
        match self.words.get(self.next) {
            Some(word) => Err((self.next, RdataError::Excess { rtype: self.rtype, word: word.show() })),
            None if self.out.len() > usize::from(u16::MAX) => Err((0, RdataError::Long)),
            None => Ok(self.out),
        }
    }
}

/// A decimal number without sign.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    text.iter().all(u8::is_ascii_digit).then(|| ascii(text)?.parse().ok()).flatten()
}

/// Seconds, as a number or with the units w, d, h, m, s in any case: `1h30m`. Saturates; `None` where it is neither.
pub(super) fn seconds(text: &[u8]) -> Option<u64> {
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

fn ascii(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok()
}

fn is_tag(tag: &[u8]) -> bool {
    (1..=STRING_MAX).contains(&tag.len()) && tag.iter().all(u8::is_ascii_alphanumeric)
}

/// Decodes `\X` and `\DDD`; `None` on a bad escape.
pub(super) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
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
pub(super) fn put_strings(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() {
        out.push(0);
    }
    for chunk in text.chunks(STRING_MAX) {
        out.push(chunk.len() as u8);
        out.extend_from_slice(chunk);
    }
}

/// The character-strings that `rdata` consists of; `None` where it is not made of them.
pub(super) fn split_strings(mut rdata: &[u8]) -> Option<Vec<&[u8]>> {
    let mut strings = Vec::new();
    while let Some((&len, tail)) = rdata.split_first() {
        let (string, after) = tail.split_at_checked(len.into())?;
        strings.push(string);
        rdata = after;
    }
    Some(strings)
}

/// Whether `rdata` is what the type demands; any octets are where the type is unknown.
fn well_formed(rtype: RecordType, rdata: &[u8]) -> bool {
    match rtype {
        RecordType::A => rdata.len() == 4,
        RecordType::AAAA => rdata.len() == 16,
        RecordType::TXT => split_strings(rdata).is_some_and(|strings| !strings.is_empty()),
        RecordType::LUA => {
            rdata.split_at_checked(2).and_then(|(_, code)| split_strings(code)).is_some_and(|strings| !strings.is_empty())
        }
        RecordType::CAA => {
            let tag = rdata.get(1).and_then(|&len| rdata.get(2..2 + usize::from(len)));
            tag.is_some_and(is_tag)
        }
        _ => names(rtype, rdata).is_some(),
    }
}

/// Where the names are in well-formed RDATA; `None` where it does not have the type's layout.
fn names(rtype: RecordType, rdata: &[u8]) -> Option<Vec<(usize, NameRef<'_>)>> {
    let mut found = Vec::new();
    let mut at = 0;
    for field in layout(rtype) {
        match field {
            Field::Octets(count) => at += usize::from(*count),
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

/// The name in the RDATA of a type that is one name (NS, CNAME, PTR, DNAME).
pub(super) fn target(rtype: RecordType, rdata: &[u8]) -> Option<NameRef<'_>> {
    Some(names(rtype, rdata)?.first()?.1)
}

/// RDATA with its names in lower case: what duplicates are found by, and the order inside an RRset (RFC 4034 6.2-3).
pub(super) fn canonical(rtype: RecordType, rdata: &[u8]) -> Vec<u8> {
    let mut out = rdata.to_vec();
    for (at, name) in names(rtype, rdata).unwrap_or_default() {
        out[at..at + name.len()].make_ascii_lowercase();
    }
    out
}

/// Reads one RDATA in presentation form as a record program makes it: names are absolute with or without a final dot,
/// TXT is the bare text, in which backslashes and quotes are interpreted and which is split at 255 octets
/// (`spec/powerdns-lua-records.md` 1.4).
///
/// # Errors
/// [`RdataError`] where the text is not RDATA of the type, or the type is not one of A, AAAA, CNAME, NS, PTR, MX, TXT,
/// SRV, CAA.
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

fn closing_quote(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match body.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Words between blanks. Only CAA has strings; elsewhere `;` and quotes are octets of a name like any other.
fn words_rdata(rtype: RecordType, text: &str) -> Result<Vec<u8>, RdataError> {
    if rtype == RecordType::CAA {
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
    if !well_formed(rtype, rdata) {
        return None;
    }
    match rtype {
        RecordType::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(rdata).ok()?).to_string()),
        RecordType::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(rdata).ok()?).to_string()),
        RecordType::NS | RecordType::CNAME | RecordType::PTR => Some(target(rtype, rdata)?.to_string()),
        RecordType::MX => Some(format!("{} {}", u16_at(rdata, 0)?, NameRef::parse(rdata.get(2..)?).ok()?)),
        RecordType::SRV => {
            let target = NameRef::parse(rdata.get(6..)?).ok()?;
            Some(format!("{} {} {} {target}", u16_at(rdata, 0)?, u16_at(rdata, 2)?, u16_at(rdata, 4)?))
        }
        RecordType::TXT => Some(split_strings(rdata)?.into_iter().map(quote).collect::<Vec<_>>().join(" ")),
        RecordType::CAA => {
            let (tag, value) = rdata.get(2..)?.split_at_checked(rdata[1].into())?;
            Some(format!("{} {} {}", rdata[0], ascii(tag)?, quote(value)))
        }
        RecordType::SOA => soa_to_text(rdata),
        RecordType::LUA => lua_to_text(RecordType(u16_at(rdata, 0)?), &split_strings(&rdata[2..])?),
        _ => None,
    }
}

fn soa_to_text(rdata: &[u8]) -> Option<String> {
    let [(_, primary), (_, mailbox)] = names(RecordType::SOA, rdata)?.try_into().ok()?;
    let mut text = format!("{primary} {mailbox}");
    for number in rdata.get(rdata.len().checked_sub(20)?..)?.chunks_exact(4) {
        write!(text, " {}", u32::from_be_bytes(number.try_into().ok()?)).ok()?;
    }
    Some(text)
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

fn u16_at(rdata: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(rdata.get(at..at + 2)?.try_into().ok()?))
}

fn quote(string: &[u8]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_text_becomes_rdata() {
        let cases: [(RecordType, &str, &[u8]); 13] = [
            (RecordType::A, "192.0.2.1", &[192, 0, 2, 1]),
            (RecordType::AAAA, "::1", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            (RecordType::CNAME, "two", b"\x03two\0"),
            (RecordType::CNAME, "a;(b)", b"\x05a;(b)\0"),
            (RecordType::PTR, "two.x.", b"\x03two\x01x\0"),
            (RecordType::MX, "10 m.x", b"\0\x0a\x01m\x01x\0"),
            (RecordType::SRV, "1 2 3 m", b"\0\x01\0\x02\0\x03\x01m\0"),
            (RecordType::CAA, "0 issue \"a b\"", b"\0\x05issuea b"),
            (RecordType::TXT, "", b"\0"),
            (RecordType::TXT, r"a\b", b"\x02ab"),
            (RecordType::TXT, r"a\065 b", b"\x04aA b"),
            (RecordType::TXT, r#"a" "b"#, b"\x01a\x01b"),
            (RecordType::TXT, "a;b\n", b"\x04a;b\n"),
        ];
        for (rtype, text, rdata) in cases {
            assert_eq!(rdata_from_text(rtype, text).as_deref(), Ok(rdata), "{rtype} {text:?}");
        }
        let long = rdata_from_text(RecordType::TXT, &"x".repeat(300)).expect("a long text is split");
        assert_eq!((long.len(), long[0], long[256]), (302, 255, 45));
    }

    #[test]
    fn what_is_not_rdata_says_why() {
        let cases = [
            (RecordType::A, "::1", "`::1` is not an IPv4 address"),
            (RecordType::A, "", "`` is not an IPv4 address"),
            (RecordType::AAAA, "192.0.2.1", "`192.0.2.1` is not an IPv6 address"),
            (RecordType::MX, "10", "the mail host is missing from the MX record"),
            (RecordType::MX, "70000 a", "the preference `70000` is not a number from 0 to 65535"),
            (RecordType::CNAME, "", "the target is missing from the CNAME record"),
            (RecordType::CNAME, "a b", "`b` is one value too many for the CNAME record"),
            (RecordType::CNAME, "a\nb", "`b` is one value too many for the CNAME record"),
            (RecordType::CAA, "0 issue a\nb", "a second line is one value too many for the CAA record"),
            (RecordType::CAA, "0 issue \"a", "the string that starts here has no closing quote on its line"),
            (RecordType::CAA, "0 a-b x", "`a-b` is not a CAA tag"),
            (RecordType::TXT, "a\"b", "the text's quotes do not pair: `a\\\"b`"),
            (RecordType::TXT, "a\\", "the text's quotes do not pair: `a\\\\`"),
            (RecordType::TXT, "a\\1", "`a\\\\1` has a bad escape"),
            (RecordType::LOC, "1 2", "records of type LOC are not supported yet"),
            (RecordType::SOA, "a b 1 2 3 4 5", "records of type SOA are not supported yet"),
        ];
        for (rtype, text, message) in cases {
            assert_eq!(rdata_from_text(rtype, text).map_err(|error| error.to_string()), Err(message.into()), "{rtype} {text:?}");
        }
    }

    #[test]
    fn text_form_reads_back() {
        let cases: [(RecordType, &[u8], &str); 9] = [
            (RecordType::A, &[192, 0, 2, 1], "192.0.2.1"),
            (RecordType::A, &[192], "\\# 1 c0"),
            (RecordType::NULL, b"", "\\# 0"),
            (RecordType::MX, b"\0\x0a\x01m\x01x\0", "10 m.x."),
            (RecordType::SRV, b"\0\x01\0\x02\0\x03\x01m\0", "1 2 3 m."),
            (RecordType::TXT, b"\x03a\"\xff\0", "\"a\\\"\\255\" \"\""),
            (RecordType::CAA, b"\0\x05issuea b", "0 issue \"a b\""),
            (RecordType::LUA, b"\0\x01\x02{}\x01 ", "A \"{}\" \" \""),
            (RecordType::LUA, b"\0\x01\x02\"\n", "\\# 5 000102220a"),
        ];
        for (rtype, rdata, text) in cases {
            assert_eq!(rdata_to_text(rtype, rdata), text, "{rtype}");
        }
    }

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
