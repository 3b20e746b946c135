//! Replies as values that can be compared: a reader of messages of its own.
//!
//! It shares nothing with the server's reader, so that both cannot be wrong in the same way, and it knows no types
//! beyond where names lie in their data: what it does not know it compares octet by octet. Names are written in lower
//! case, whole, whatever the compression; records of a section are sorted, unless they are read as they came. Only the
//! owners of the answer are also kept as they were spelled.
//!
//! Never here: any judgement of what a reply should be.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A reply.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its length.
    pub octets: usize,
    pub opcode: u8,
    pub rcode: u16,
    /// The names of the header bits that are set.
    pub flags: String,
    pub truncated: bool,
    /// The question section as it came.
    pub question: Vec<u8>,
    pub answer: Vec<Record>,
    /// The owners of the answer's records, letters as they came.
    pub spelling: BTreeSet<String>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
    pub opt: Option<Opt>,
    /// Octets after the last record.
    pub rest: usize,
}

/// A record with its names in full.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub owner: String,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: String,
}

/// An OPT record (RFC 6891 6.1.2).
#[derive(Clone, Debug)]
pub struct Opt {
    pub payload: u16,
    pub version: u8,
    pub flags: u16,
    /// The codes of its options, sorted.
    pub options: Vec<u16>,
}

impl Message {
    /// What a server says that says nothing.
    pub const NOTHING: Self = Self {
        octets: 0,
        opcode: 0,
        rcode: 0,
        flags: String::new(),
        truncated: false,
        question: Vec::new(),
        answer: Vec::new(),
        spelling: BTreeSet::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        opt: None,
        rest: 0,
    };

    /// Reads a whole message; `None` where it is not one.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let mut message = Self::read_as_it_came(octets, false)?;
        for section in [&mut message.answer, &mut message.authority, &mut message.additional] {
            section.sort();
        }
        Some(message)
    }

    /// The same with records in the order in which they came; with `letters`, names too are as they came.
    pub fn read_as_it_came(octets: &[u8], letters: bool) -> Option<Self> {
        let mut reader = Reader { octets, at: 12, letters, owners: BTreeSet::new() };
        let head: [u8; 12] = octets.get(..12)?.try_into().ok()?;
        let count = |at: usize| usize::from(u16::from_be_bytes([head[at], head[at + 1]]));
        let start = reader.at;
        for _ in 0..count(4) {
            reader.name()?;
            reader.take(4)?;
        }
        let question = octets[start..reader.at].to_vec();
        let mut message = Self {
            octets: octets.len(),
            opcode: head[2] >> 3 & 15,
            rcode: u16::from(head[3] & 15),
            flags: flags(head[2], head[3]),
            truncated: head[2] & 2 != 0,
            question,
            answer: Vec::new(),
            spelling: BTreeSet::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            opt: None,
            rest: 0,
        };
        message.answer = reader.section(count(6), &mut message.opt, &mut message.rcode)?;
        message.spelling = std::mem::take(&mut reader.owners);
        message.authority = reader.section(count(8), &mut message.opt, &mut message.rcode)?;
        message.additional = reader.section(count(10), &mut message.opt, &mut message.rcode)?;
        message.rest = octets.len() - reader.at;
        Some(message)
    }
}

fn flags(third: u8, fourth: u8) -> String {
    let bits = [
        (third & 0x80, "qr"),
        (third & 4, "aa"),
        (third & 2, "tc"),
        (third & 1, "rd"),
        (fourth & 0x80, "ra"),
        (fourth & 0x40, "z"),
        (fourth & 0x20, "ad"),
        (fourth & 0x10, "cd"),
    ];
    bits.iter().filter(|(bit, _)| *bit != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

struct Reader<'m> {
    octets: &'m [u8],
    at: usize,
    /// Whether names keep their letters.
    letters: bool,
    /// The owners read so far, as they were spelled.
    owners: BTreeSet<String>,
}

impl<'m> Reader<'m> {
    fn take(&mut self, len: usize) -> Option<&'m [u8]> {
        let part = self.octets.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(part)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|part| u16::from_be_bytes([part[0], part[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A name as text, with every octet that is not plain as `\DDD`.
    fn spelled(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut after = None;
        for _ in 0..200 {
            let len = self.take(1)?[0];
            match len {
                0 => {
                    self.at = after.unwrap_or(self.at);
                    return Some(if text.is_empty() { ".".to_owned() } else { text });
                }
                1..=63 => {
                    for &octet in self.take(usize::from(len))? {
                        push_octet(&mut text, octet);
                    }
                    text.push('.');
                }
                192.. => {
                    let low = self.take(1)?[0];
                    after = after.or(Some(self.at));
                    self.at = usize::from(u16::from_be_bytes([len & 63, low]));
                }
                _ => return None,
            }
        }
        None
    }

    /// A name as text, in lower case unless letters are kept.
    fn name(&mut self) -> Option<String> {
        self.spelled().map(|name| self.cased(&name))
    }

    fn cased(&self, name: &str) -> String {
        if self.letters { name.to_owned() } else { name.to_ascii_lowercase() }
    }

    fn section(&mut self, count: usize, opt: &mut Option<Opt>, rcode: &mut u16) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        for _ in 0..count {
            let owner = self.spelled()?;
            let (rtype, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
            let len = usize::from(self.u16()?);
            if rtype == 41 {
                *rcode |= (ttl >> 24 << 4) as u16;
                *opt = Some(self.opt(class, ttl, len)?);
            } else {
                let data = self.data(rtype, len)?;
                records.push(Record { owner: self.cased(&owner), rtype, class, ttl, data });
                self.owners.insert(owner);
            }
        }
        Some(records)
    }

    fn opt(&mut self, payload: u16, ttl: u32, len: usize) -> Option<Opt> {
        let end = self.at + len;
        let mut options = Vec::new();
        while self.at < end {
            options.push(self.u16()?);
            let len = usize::from(self.u16()?);
            self.take(len)?;
        }
        options.sort_unstable();
        Some(Opt { payload, version: (ttl >> 16) as u8, flags: ttl as u16, options })
    }

    /// The data of a record: its names as text, the rest in hexadecimal.
    fn data(&mut self, rtype: u16, len: usize) -> Option<String> {
        let end = self.at.checked_add(len)?;
        self.octets.get(self.at..end)?;
        let mut text = String::new();
        for part in names_in(rtype) {
            match *part {
                Part::Octets(len) => push_hex(&mut text, self.take(len)?),
                Part::Text => {
                    let len = self.octets.get(self.at)?;
                    push_hex(&mut text, self.take(1 + usize::from(*len))?);
                }
                Part::Name => text += &self.name()?,
                Part::Clock => {
                    self.take(6)?;
                }
            }
            text.push(' ');
        }
        push_hex(&mut text, self.take(end.checked_sub(self.at)?)?);
        Some(text.trim_end().to_owned())
    }
}

/// What comes before the part of a record's data that has no names in it.
enum Part {
    Octets(usize),
    Text,
    Name,
    /// The time at which it was made (RFC 8945 4.2), which is never the same.
    Clock,
}

/// Where names lie in the data of a type that may have them compressed, or compared without regard to case
/// (RFC 3597 4, RFC 4034 6.2).
const fn names_in(rtype: u16) -> &'static [Part] {
    use Part::{Clock, Name, Octets, Text};
    match rtype {
        2..=5 | 7..=9 | 12 | 39 => &[Name],
        6 | 14 | 17 => &[Name, Name],
        15 | 18 | 21 | 36 | 107 => &[Octets(2), Name],
        26 => &[Octets(2), Name, Name],
        33 => &[Octets(6), Name],
        35 => &[Octets(4), Text, Text, Text, Name],
        250 => &[Name, Clock],
        _ => &[],
    }
}

fn push_octet(text: &mut String, octet: u8) {
    if octet.is_ascii_alphanumeric() || b"-_*/".contains(&octet) {
        text.push(char::from(octet));
    } else {
        write!(text, "\\{octet:03}").expect("a string takes it");
    }
}

fn push_hex(text: &mut String, octets: &[u8]) {
    for octet in octets {
        write!(text, "{octet:02x}").expect("a string takes it");
    }
}
