//! Presentation form → RDATA, field by field as the table says.
//!
//! Never here: where a word stands in its file; an error names the word by its index and the reader of the file knows.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE32HEX_NOPAD;

use super::super::lexer::Token;
use super::schema::{Field, Kind, NoKey, fields};
use super::text::{STRING_MAX, ascii, base64, digits, hex, put_strings, seconds, unescape};
use super::wire::is_tag;
use super::{At, RdataError, apl, bitmap, gateway, loc, mnemonics, svcb, time};
use crate::wire::{NameBuf, NameRef, RecordType};

/// Reads RDATA from words in the type's own form into `out`, which is empty. Names without a final dot are completed with
/// `origin`.
pub(super) fn read(rtype: RecordType, words: &[Token<'_>], origin: Option<NameRef<'_>>, out: &mut Vec<u8>) -> At<()> {
    let fields = fields(rtype).ok_or((0, RdataError::Unsupported(rtype)))?;
    let mut reader = Words { rtype, words, next: 0, origin, out };
    for field in fields {
        reader.field(*field)?;
    }
    reader.finish()
}

/// The words of one record, read from left to right.
struct Words<'a, 't> {
    rtype: RecordType,
    words: &'t [Token<'a>],
    next: usize,
    origin: Option<NameRef<'t>>,
    out: &'t mut Vec<u8>,
}

impl<'a, 't> Words<'a, 't> {
    fn field(&mut self, Field(kind, what): Field) -> At<()> {
        match kind {
            Kind::U8 => self.number(what, u8::MAX.into()).map(|value| self.out.push(value as u8)),
            Kind::U16 => self.number(what, u16::MAX.into()).map(|value| self.out.extend((value as u16).to_be_bytes())),
            Kind::U32 => self.number(what, u32::MAX).map(|value| self.out.extend(value.to_be_bytes())),
            Kind::Period => self.period(what),
            Kind::Time => {
                self.value(what, "a time such as 20300101000000", |text| Some(time::read(text)?.to_be_bytes().to_vec()))
            }
            Kind::Ipv4 => self.ipv4(what),
            Kind::Ipv6 => self.ipv6(what),
            Kind::Name => self.name(what),
            Kind::String => self.string(what),
            Kind::OptionalString if self.next == self.words.len() => Ok(()),
            Kind::OptionalString => self.string(what),
            Kind::Strings => self.strings(what),
            Kind::Text => self.text(what),
            Kind::Tag => self.tag(what),
            Kind::Hex => self.joined(what, "hexadecimal digits, two for each octet", hex).map(|octets| self.out.extend(octets)),
            Kind::Digest(digest) => self.digest(what, digest),
            Kind::Salt => self.salt(what),
            Kind::Base64 => self.joined(what, "base 64", base64).map(|octets| self.out.extend(octets)),
            Kind::Key(none) => self.key(what, none),
            Kind::Base32Hex => self.base32hex(what),
            Kind::Type => self.value(what, "a record type", |text| Some(mnemonic(text)?.0.to_be_bytes().to_vec())),
            Kind::Bitmap => self.bitmap(what),
            Kind::Algorithm => self.named(what, "an algorithm's number or mnemonic", mnemonics::ALGORITHMS, 1),
            Kind::DigestType => self.named(what, "a digest type's number or mnemonic", mnemonics::DIGESTS, 1),
            Kind::CertType => self.named(what, "a certificate type's number or mnemonic", mnemonics::CERTIFICATES, 2),
            Kind::Eui(len) => self.value(what, "octets in hexadecimal with hyphens between them", |text| eui(text, len)),
            Kind::Locator => self.value(what, "four groups of hexadecimal digits with colons between them", locator),
            Kind::Nsap => {
                let form = "`0x` and hexadecimal digits, two for each octet";
                self.joined(what, form, nsap).map(|octets| self.out.extend(octets))
            }
            Kind::Loc => self.location(what),
            Kind::Apl => self.prefixes(what),
            Kind::SvcParams => self.parameters(),
            Kind::Gateway => self.gateway(what),
            Kind::Relay => self.relay(what),
            Kind::Hip => self.hip(),
        }
    }

    // Words ----------------------------------------------------------------------------------------------------------

    fn word(&mut self, field: &'static str) -> At<Token<'a>> {
        let word = self.words.get(self.next).ok_or((self.next, RdataError::Missing { rtype: self.rtype, field }))?;
        self.next += 1;
        Ok(*word)
    }

    /// All words that are left.
    fn rest(&mut self) -> &'t [Token<'a>] {
        let rest = self.words.get(self.next..).unwrap_or_default();
        self.next = self.words.len();
        rest
    }

    /// An error about the word that was read last.
    fn fails<T>(&self, error: RdataError) -> At<T> {
        Err((self.next.saturating_sub(1), error))
    }

    /// A word that `read` turns into octets; `expected` says what it should have been.
    fn value(&mut self, field: &'static str, expected: &'static str, read: impl Fn(&[u8]) -> Option<Vec<u8>>) -> At<()> {
        let word = self.word(field)?;
        match read(word.text) {
            Some(octets) => self.out.extend(octets),
            None => return self.fails(RdataError::Value { field, word: word.show(), expected }),
        }
        Ok(())
    }

    /// All words that are left, put together: blanks in hexadecimal and base 64 mean nothing.
    fn joined(&mut self, field: &'static str, expected: &'static str, read: fn(&[u8]) -> Option<Vec<u8>>) -> At<Vec<u8>> {
        let first = self.word(field)?;
        let index = self.next - 1;
        let mut text = first.text.to_vec();
        self.rest().iter().for_each(|word| text.extend_from_slice(word.text));
        match read(&text) {
            Some(octets) if !octets.is_empty() => Ok(octets),
            _ => Err((index, RdataError::Value { field, word: super::super::lexer::show(&text), expected })),
        }
    }

    fn finish(self) -> At<()> {
        match self.words.get(self.next) {
            Some(word) => Err((self.next, RdataError::Excess { rtype: self.rtype, word: word.show() })),
            None if self.out.len() > usize::from(u16::MAX) => Err((0, RdataError::Long)),
            None => Ok(()),
        }
    }

    // Kinds ----------------------------------------------------------------------------------------------------------

    fn number(&mut self, field: &'static str, max: u32) -> At<u32> {
        let word = self.word(field)?;
        match digits(word.text).and_then(|value| u32::try_from(value).ok()).filter(|&value| value <= max) {
            Some(value) => Ok(value),
            None => self.fails(RdataError::Number { field, word: word.show(), max }),
        }
    }

    fn period(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        match seconds(word.text).and_then(|value| u32::try_from(value).ok()) {
            Some(value) => self.out.extend(value.to_be_bytes()),
            None => return self.fails(RdataError::Number { field, word: word.show(), max: u32::MAX }),
        }
        Ok(())
    }

    /// A number of one or two octets that may have a name.
    fn named(&mut self, field: &'static str, expected: &'static str, table: &[(&str, u16)], len: usize) -> At<()> {
        let most = if len == 1 { u16::from(u8::MAX) } else { u16::MAX };
        self.value(field, expected, |text| {
            let number = digits(text).and_then(|number| u16::try_from(number).ok()).or_else(|| mnemonics::number(table, text));
            Some(number.filter(|&number| number <= most)?.to_be_bytes()[2 - len..].to_vec())
        })
    }

    fn ipv4(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        match ascii(word.text).and_then(|text| text.parse::<Ipv4Addr>().ok()) {
            Some(address) => self.out.extend(address.octets()),
            None => return self.fails(RdataError::Ipv4(word.show())),
        }
        Ok(())
    }

    fn ipv6(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        match ascii(word.text).and_then(|text| text.parse::<Ipv6Addr>().ok()) {
            Some(address) => self.out.extend(address.octets()),
            None => return self.fails(RdataError::Ipv6(word.show())),
        }
        Ok(())
    }

    fn name(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        match NameBuf::new().read(word.text, self.origin) {
            Ok(name) => self.out.extend_from_slice(name.as_wire()),
            Err(source) => return self.fails(RdataError::Name { field, word: word.show(), source }),
        }
        Ok(())
    }

    fn unescaped(&self, word: &Token<'_>) -> At<Vec<u8>> {
        unescape(word.text).ok_or_else(|| (self.next - 1, RdataError::Escape(word.show())))
    }

    fn string(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        let text = self.unescaped(&word)?;
        if text.len() > STRING_MAX {
            return self.fails(RdataError::LongString(word.show()));
        }
        put_strings(&text, self.out);
        Ok(())
    }

    fn strings(&mut self, field: &'static str) -> At<()> {
        loop {
            let word = self.word(field)?;
            let text = self.unescaped(&word)?;
            put_strings(&text, self.out);
            if self.next == self.words.len() {
                return Ok(());
            }
        }
    }

    fn text(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        let text = self.unescaped(&word)?;
        self.out.extend(text);
        Ok(())
    }

    fn tag(&mut self, field: &'static str) -> At<()> {
        let word = self.word(field)?;
        if !is_tag(word.text) {
            return self.fails(RdataError::Tag(word.show()));
        }
        self.counted(word.text);
        Ok(())
    }

    /// Octets with an octet for their length; the caller knows that there are at most 255.
    fn counted(&mut self, octets: &[u8]) {
        self.out.push(octets.len() as u8);
        self.out.extend_from_slice(octets);
    }

    fn digest(&mut self, field: &'static str, digest: super::schema::Digest) -> At<()> {
        let index = self.next;
        let octets = self.joined(field, "hexadecimal digits, two for each octet", hex)?;
        match digest.length(self.out) {
            Some(needed) if needed != octets.len() => {
                Err((index, RdataError::DigestLength { field, needed, found: octets.len() }))
            }
            _ => {
                self.out.extend(octets);
                Ok(())
            }
        }
    }

    fn salt(&mut self, field: &'static str) -> At<()> {
        self.value(field, "`-` or up to 255 octets in hexadecimal digits", |text| {
            let salt = if text == b"-" { Vec::new() } else { hex(text).filter(|salt| !salt.is_empty())? };
            Some([&[u8::try_from(salt.len()).ok()?], salt.as_slice()].concat())
        })
    }

    fn key(&mut self, field: &'static str, none: NoKey) -> At<()> {
        if self.next == self.words.len() && none.is_stated(self.out) {
            return Ok(());
        }
        let octets = self.joined(field, "base 64", base64)?;
        self.out.extend(octets);
        Ok(())
    }

    fn base32hex(&mut self, field: &'static str) -> At<()> {
        self.value(field, "base 32 with the extended hex alphabet", |text| {
            let octets = BASE32HEX_NOPAD.decode(&text.to_ascii_uppercase()).ok().filter(|octets| !octets.is_empty())?;
            Some([&[u8::try_from(octets.len()).ok()?], octets.as_slice()].concat())
        })
    }

    fn bitmap(&mut self, field: &'static str) -> At<()> {
        let mut types = Vec::new();
        while self.next < self.words.len() {
            let word = self.word(field)?;
            match mnemonic(word.text) {
                Some(rtype) => types.push(rtype),
                None => return self.fails(RdataError::Value { field, word: word.show(), expected: "record types" }),
            }
        }
        self.out.extend(bitmap::encode(&types));
        Ok(())
    }

    fn location(&mut self, field: &'static str) -> At<()> {
        let start = self.next;
        let words: Vec<&[u8]> = self.rest().iter().map(|word| word.text).collect();
        match loc::read(&words) {
            Ok(octets) => {
                self.out.extend(octets);
                Ok(())
            }
            Err((index, expected)) => match self.words.get(start + index) {
                Some(word) => Err((start + index, RdataError::Value { field, word: word.show(), expected })),
                None => Err((start + index, RdataError::Short { rtype: self.rtype, expected })),
            },
        }
    }

    fn prefixes(&mut self, field: &'static str) -> At<()> {
        let expected = "an address prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32";
        while self.next < self.words.len() {
            let word = self.word(field)?;
            if apl::read_item(word.text, self.out).is_none() {
                return self.fails(RdataError::Value { field, word: word.show(), expected });
            }
        }
        Ok(())
    }

    fn parameters(&mut self) -> At<()> {
        let start = self.next;
        let parameters = svcb::read(self.rest());
        let bad = |(index, bad): (usize, svcb::Bad)| (start + index, RdataError::Parameter { key: bad.key, reason: bad.reason });
        self.out.extend(parameters.map_err(bad)?);
        Ok(())
    }

    fn gateway(&mut self, field: &'static str) -> At<()> {
        let form = self.out.get(1).copied().unwrap_or(0);
        let word = self.word(field)?;
        gateway::read(form, &word, field, self.origin, self.out).or_else(|error| self.fails(error))
    }

    fn relay(&mut self, field: &'static str) -> At<()> {
        let discovery = self.number("discovery bit", 1)? as u8;
        let form = self.number("relay type", gateway::FORM_MAX.into())? as u8;
        self.out.push(discovery << 7 | form);
        let word = self.word(field)?;
        gateway::read(form, &word, field, self.origin, self.out).or_else(|error| self.fails(error))
    }

    fn hip(&mut self) -> At<()> {
        let algorithm = self.number("algorithm", u8::MAX.into())? as u8;
        let tag = self.octets("host identity tag", "1 to 255 octets in hexadecimal digits", hex, u8::MAX.into())?;
        let key = self.octets("public key", "base 64 without blanks", base64, u16::MAX.into())?;
        self.out.extend([tag.len() as u8, algorithm]);
        self.out.extend((key.len() as u16).to_be_bytes());
        self.out.extend(tag);
        self.out.extend(key);
        while self.next < self.words.len() {
            self.name("rendezvous server")?;
        }
        Ok(())
    }

    /// One word that is 1 to `most` octets in some notation.
    fn octets(
        &mut self,
        field: &'static str,
        expected: &'static str,
        read: fn(&[u8]) -> Option<Vec<u8>>,
        most: usize,
    ) -> At<Vec<u8>> {
        let word = self.word(field)?;
        match read(word.text).filter(|octets| (1..=most).contains(&octets.len())) {
            Some(octets) => Ok(octets),
            None => self.fails(RdataError::Value { field, word: word.show(), expected }),
        }
    }
}

fn mnemonic(text: &[u8]) -> Option<RecordType> {
    ascii(text)?.parse().ok()
}

fn eui(text: &[u8], len: u8) -> Option<Vec<u8>> {
    let octet = |pair: &[u8]| if pair.len() == 2 { hex(pair)?.pop() } else { None };
    let octets: Vec<u8> = text.split(|&byte| byte == b'-').map(octet).collect::<Option<_>>()?;
    (octets.len() == usize::from(len)).then_some(octets)
}

fn locator(text: &[u8]) -> Option<Vec<u8>> {
    let group = |digits: &[u8]| match digits.len() {
        1..=4 => hex(&[&b"0000"[digits.len()..], digits].concat()),
        _ => None,
    };
    let groups: Vec<Vec<u8>> = text.split(|&byte| byte == b':').map(group).collect::<Option<_>>()?;
    (groups.len() == 4).then(|| groups.concat())
}

fn nsap(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"0x").or(text.strip_prefix(b"0X"))?;
    hex(&digits.iter().copied().filter(|&byte| byte != b'.').collect::<Vec<_>>())
}
