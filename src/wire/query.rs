//! Reading a query, strictly: what is not exactly a query is refused with the rcode the RFC names, or
//! ignored where an answer could feed a loop.

use super::edns::{ClientSubnet, Edns, OptReply};
use super::name::{Name, NameRef};
use super::types::{Class, Opcode, Rcode, RecordType};

/// Octets of a message header (RFC 1035 4.1.1).
pub const HEADER_LEN: usize = 12;

const FLAG_QR: u16 = 0x8000;
const FLAG_RD: u16 = 0x0100;

/// The parts of a query's header that a reply repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message id.
    pub id: u16,
    /// The operation.
    pub opcode: Opcode,
    /// Recursion desired, copied into the reply.
    pub recursion_desired: bool,
}

/// A well-formed query with one question.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The header.
    pub header: Header,
    /// The name asked for, in the case it was asked.
    pub qname: NameRef<'a>,
    /// The type asked for.
    pub qtype: RecordType,
    /// The class asked for.
    pub qclass: Class,
    /// The OPT record, if there is one.
    pub edns: Option<Edns>,
}

/// Why a message is not answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// Too short for a header, or a response: never answered (RFC 1035 4.1.1; answering a response loops).
    Ignored,
    /// Answered by a bare header with this rcode.
    Refused(Header, Rcode),
}

impl<'a> Query<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Rejected`]: FORMERR for what does not parse, for QDCOUNT ≠ 1 (RFC 9619), for records in the answer
    /// or authority section, an OPT record that is not at the root and octets after the message; NOTIMP for
    /// opcodes other than QUERY. What is wrong inside OPT is left to the caller ([`Edns::malformed`]).
    pub fn parse(message: &'a [u8]) -> Result<Self, Rejected> {
        let (head, body) = message.split_first_chunk::<HEADER_LEN>().ok_or(Rejected::Ignored)?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let flags = word(2);
        if flags & FLAG_QR != 0 {
            return Err(Rejected::Ignored);
        }
        let opcode = Opcode((flags >> 11 & 0x0F) as u8);
        let header = Header { id: word(0), opcode, recursion_desired: flags & FLAG_RD != 0 };
        if opcode != Opcode::QUERY {
            return Err(Rejected::Refused(header, Rcode::NOTIMP));
        }
        let [questions, answers, authorities, additionals] = [word(4), word(6), word(8), word(10)];
        let counts = (questions == 1 && answers == 0 && authorities == 0).then_some(additionals);
        counts
            .and_then(|additionals| Self::parse_body(header, body, additionals))
            .ok_or(Rejected::Refused(header, Rcode::FORMERR))
    }

    fn parse_body(header: Header, body: &'a [u8], additionals: u16) -> Option<Self> {
        let qname = NameRef::parse(body).ok()?;
        let (question, mut rest) = body[qname.len()..].split_first_chunk::<4>()?;
        let qtype = RecordType(u16::from_be_bytes([question[0], question[1]]));
        let qclass = Class(u16::from_be_bytes([question[2], question[3]]));
        let mut edns: Option<Edns> = None;
        for _ in 0..additionals {
            let (record, after) = Additional::parse(rest)?;
            rest = after;
            if record.rtype == RecordType::OPT {
                if !record.owner_is_root {
                    return None;
                }
                let second = edns.is_some(); // RFC 6891 6.1.1: FORMERR
                let opt = edns.get_or_insert_with(|| Edns::parse(record.class, record.ttl, record.rdata));
                opt.malformed |= second;
            }
        }
        rest.is_empty().then_some(Self { header, qname, qtype, qclass, edns })
    }

    /// Octets of the question section.
    #[must_use]
    pub const fn question_len(&self) -> usize {
        self.qname.len() + 4
    }
}

/// A record of the additional section, as far as finding OPT needs.
struct Additional<'a> {
    owner_is_root: bool,
    rtype: RecordType,
    class: u16,
    ttl: u32,
    rdata: &'a [u8],
}

impl<'a> Additional<'a> {
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let after_owner = skip_name(bytes)?;
        let (&[t0, t1, c0, c1, l0, l1, l2, l3, r0, r1], rest) = after_owner.split_first_chunk::<10>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([r0, r1])))?;
        let record = Self {
            owner_is_root: bytes[0] == 0,
            rtype: RecordType(u16::from_be_bytes([t0, t1])),
            class: u16::from_be_bytes([c0, c1]),
            ttl: u32::from_be_bytes([l0, l1, l2, l3]),
            rdata,
        };
        Some((record, rest))
    }
}

/// What follows a name that may end in a compression pointer. The pointer is not followed: the name is of
/// no interest.
fn skip_name(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut length = 0;
    loop {
        let (&len, rest) = bytes.split_first()?;
        match len {
            0 => return Some(rest),
            0xC0.. => return rest.get(1..),
            0x40.. => return None,
            _ => bytes = rest.get(usize::from(len)..)?,
        }
        length += 1 + usize::from(len);
        if length > 255 {
            return None;
        }
    }
}

/// Makes a query, for questions that leeward asks itself (explain, tests, benchmarks).
#[derive(Clone, Debug)]
pub struct QueryBuilder {
    message: Vec<u8>,
    opt: Option<Vec<u8>>,
}

impl QueryBuilder {
    /// A query without EDNS, id 0, RD clear.
    #[must_use]
    pub fn new(name: &Name, rtype: RecordType, class: Class) -> Self {
        let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(name.as_ref().as_wire());
        message.extend_from_slice(&rtype.0.to_be_bytes());
        message.extend_from_slice(&class.0.to_be_bytes());
        Self { message, opt: None }
    }

    /// With EDNS and, where it is given, client subnet.
    #[must_use]
    pub fn client_subnet(mut self, subnet: Option<ClientSubnet>) -> Self {
        let opt = OptReply { client_subnet: subnet.map(|subnet| (subnet, 0)), ..OptReply::default() };
        self.opt = Some(opt.encode(0).as_slice().to_vec());
        self
    }

    /// The message.
    #[must_use]
    pub fn build(mut self) -> Vec<u8> {
        if let Some(opt) = &self.opt {
            self.message[11] = 1;
            self.message.extend_from_slice(opt);
        }
        self.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03wWw\x07example\x00\x00\x01\x00\x01";

    fn with(at: usize, value: u8) -> Vec<u8> {
        let mut message = QUERY.to_vec();
        message[at] = value;
        message
    }

    fn with_opt(count: u8, opt: &[u8]) -> Vec<u8> {
        [&with(11, count), opt].concat()
    }

    #[test]
    fn a_query_is_read() {
        let query = Query::parse(QUERY).expect("well-formed");
        assert_eq!(query.header, Header { id: 0x1234, opcode: Opcode::QUERY, recursion_desired: true });
        assert_eq!((query.qname.to_string().as_str(), query.qtype, query.qclass), ("wWw.example.", RecordType::A, Class::IN));
        assert!(query.edns.is_none());
    }

    #[test]
    fn what_is_not_a_query_gets_the_rcode_of_its_rfc() {
        let header = Header { id: 0x1234, opcode: Opcode::QUERY, recursion_desired: true };
        let formerr = Some(Rejected::Refused(header, Rcode::FORMERR));
        let update = Header { opcode: Opcode(5), ..header };
        let opt: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
        let cases: [(&str, Vec<u8>, Option<Rejected>); 9] = [
            ("short", QUERY[..11].to_vec(), Some(Rejected::Ignored)),
            ("a response", with(2, 0x81), Some(Rejected::Ignored)),
            ("RFC 2136 update", with(2, 0x29), Some(Rejected::Refused(update, Rcode::NOTIMP))),
            ("RFC 9619 no question", with(5, 0), formerr),
            ("RFC 9619 two questions", with(5, 2), formerr),
            ("cut in the question", QUERY[..20].to_vec(), formerr),
            ("octets after the end", [QUERY, &[0]].concat(), formerr),
            ("one OPT", with_opt(1, opt), None),
            ("OPT not at the root", with_opt(1, &[&[1, b'a'], opt].concat()), formerr),
        ];
        for (case, message, expected) in cases {
            assert_eq!(Query::parse(&message).err(), expected, "{case}");
        }
    }

    #[test]
    fn rfc6891_a_second_opt_record_is_malformed() {
        let opt: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
        let malformed = |message: &[u8]| Query::parse(message).ok().and_then(|query| query.edns).map(|edns| edns.malformed);
        assert_eq!(malformed(&with_opt(1, opt)), Some(false));
        assert_eq!(malformed(&with_opt(2, &[opt, opt].concat())), Some(true));
    }

    #[test]
    fn other_additional_records_are_skipped() {
        let message = with_opt(1, b"\xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7F\x00\x00\x01");
        assert!(Query::parse(&message).is_ok());
    }
}
