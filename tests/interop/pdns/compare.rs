//! What a server says, held against what another says: the rcode, and the answer octet by octet.
//!
//! PowerDNS shuffles the records of an answer, so within one owner and type order says nothing; the order of the owners
//! does, as it is that of a chain of aliases. Not compared: the other sections, and the scope of a client's subnet, which is
//! leeward's own (a true one instead of what the client sent).

use std::fmt;

use super::programs::{Program, Question};
use crate::message::{Message, Record};

const TXT: u16 = 16;

/// What is compared of a reply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    pub rcode: u16,
    /// In the order of a chain of aliases, sorted within an owner.
    pub answer: Vec<Record>,
}

impl Said {
    pub fn of(reply: &[u8]) -> Self {
        let message = Message::read_as_it_came(reply, true).unwrap_or_else(|| panic!("no message: {reply:02x?}"));
        assert!(!message.truncated, "a corpus of answers that fit");
        let mut answer = message.answer;
        for of_owner in answer.chunk_by_mut(|one, other| one.owner == other.owner) {
            of_owner.sort();
        }
        Self { rcode: message.rcode, answer }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rcode = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN"].get(usize::from(self.rcode)).copied();
        f.write_str(rcode.unwrap_or("another rcode"))?;
        for record in &self.answer {
            let rtype = leeward::wire::RecordType(record.rtype);
            write!(f, " | {} {} {rtype} {}", record.owner, record.ttl, data(record))?;
        }
        Ok(())
    }
}

/// A record's data, text as text.
fn data(record: &Record) -> String {
    if record.rtype != TXT {
        return record.data.clone();
    }
    let octets = (0..record.data.len()).step_by(2).map(|at| u8::from_str_radix(&record.data[at..at + 2], 16).unwrap_or(0));
    octets.skip(1).flat_map(std::ascii::escape_default).map(char::from).collect()
}

/// A question of a client to a program.
#[derive(Clone, Copy)]
pub struct Asked<'p> {
    pub program: &'p Program,
    pub question: &'p Question,
    pub client: &'static str,
}

impl Asked<'_> {
    pub fn packet(&self) -> Vec<u8> {
        self.question.packet(self.client)
    }
}

/// What both servers say to it; of a program that leeward does not load, SERVFAIL.
pub struct Case<'p> {
    pub asked: Asked<'p>,
    pub leeward: Said,
    pub powerdns: Said,
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { program, question, client } = self.asked;
        writeln!(f, ";; {}: {}", program.zone, program.text)?;
        writeln!(f, ";  {} {} from {client}", question.name, question.rtype)?;
        writeln!(f, ";  leeward  {}", self.leeward)?;
        writeln!(f, ";  PowerDNS {}", self.powerdns)
    }
}
