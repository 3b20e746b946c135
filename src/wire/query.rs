//! Reading a query, strictly: what is not exactly a query is refused with the rcode the RFC names, or
//! ignored where an answer could feed a loop.
//!
//! TSIG (RFC 8945) is read as far as it takes to say that no key is known: without that, a client that signs its query
//! would believe in an unsigned answer, or wait for another.

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

/// A query with one question that could be read.
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
    pub edns: Option<Edns<'a>>,
    /// The TSIG record, if there is one.
    pub tsig: Option<Tsig<'a>>,
    /// Whether what follows the question is not what the header counts, or holds OPT or TSIG where they may not stand.
    pub malformed: bool,
}

/// Why a message is not answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected<'a> {
    /// Too short for a header, or a response: never answered (RFC 1035 4.1.1; answering a response loops).
    Ignored,
    /// Answered by a bare header with this rcode.
    Refused(Header, Rcode),
    /// No question, but EDNS: may be a client that wants a cookie (RFC 7873 5.4).
    NoQuestion(Header, Edns<'a>),
}

impl<'a> Query<'a> {
    /// Reads a message. Records in the answer and authority sections are read over, as BIND and Knot do: the SOA of an IXFR
    /// query stands there (RFC 1995 3).
    ///
    /// # Errors
    /// [`Rejected`]: FORMERR for QDCOUNT ≠ 1 (RFC 9619) and a question that cannot be read; NOTIMP for opcodes other than
    /// QUERY. What is wrong behind the question is left to the caller, who can answer with the question then:
    /// [`Query::malformed`], [`Edns::malformed`].
    pub fn parse(message: &'a [u8]) -> Result<Self, Rejected<'a>> {
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
        let mut extras = Extras { before: u32::from(answers) + u32::from(authorities), additionals, ..Extras::default() };
        match questions {
            0 => {
                let malformed = extras.read(body).is_none();
                let edns = extras.edns.filter(|_| !malformed).ok_or(Rejected::Refused(header, Rcode::FORMERR))?;
                Err(Rejected::NoQuestion(header, edns))
            }
            1 => {
                let question = Self::question(body).ok_or(Rejected::Refused(header, Rcode::FORMERR))?;
                let (qname, qtype, qclass, rest) = question;
                let malformed = extras.read(rest).is_none();
                Ok(Self { header, qname, qtype, qclass, edns: extras.edns, tsig: extras.tsig, malformed })
            }
            _ => Err(Rejected::Refused(header, Rcode::FORMERR)),
        }
    }

    fn question(body: &'a [u8]) -> Option<(NameRef<'a>, RecordType, Class, &'a [u8])> {
        let qname = NameRef::parse(body).ok()?;
        let (&[t0, t1, c0, c1], rest) = body[qname.len()..].split_first_chunk::<4>()?;
        Some((qname, RecordType(u16::from_be_bytes([t0, t1])), Class(u16::from_be_bytes([c0, c1])), rest))
    }

    /// Octets of the question section.
    #[must_use]
    pub const fn question_len(&self) -> usize {
        self.qname.len() + 4
    }
}

/// What stands behind the question, as far as it matters.
#[derive(Default)]
struct Extras<'a> {
    /// Records of the answer and authority sections.
    before: u32,
    additionals: u16,
    edns: Option<Edns<'a>>,
    tsig: Option<Tsig<'a>>,
}

impl<'a> Extras<'a> {
    /// Reads all records; `None` where the message is malformed. What was found by then is kept.
    fn read(&mut self, mut rest: &'a [u8]) -> Option<()> {
        for index in 0..self.before + u32::from(self.additionals) {
            let (record, after) = Record::parse(rest)?;
            rest = after;
            match record.rtype {
                RecordType::OPT if index < self.before || record.owner != [0] => return None, // RFC 6891 6.1.1
                RecordType::OPT => {
                    let second = self.edns.is_some();
                    let opt = self.edns.get_or_insert_with(|| Edns::parse(record.class, record.ttl, record.rdata));
                    opt.malformed |= second;
                }
                // RFC 8945 5.1: only as the last record of the message.
                RecordType::TSIG => {
                    let is_last = index + 1 == self.before + u32::from(self.additionals);
                    self.tsig = Some(Tsig::parse(&record).filter(|_| is_last && index >= self.before)?);
                }
                _ => {}
            }
        }
        rest.is_empty().then_some(())
    }
}

/// A resource record of a query.
struct Record<'a> {
    /// As it stands there, compressed or not.
    owner: &'a [u8],
    rtype: RecordType,
    class: u16,
    ttl: u32,
    rdata: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let after_owner = skip_name(bytes)?;
        let (&[t0, t1, c0, c1, l0, l1, l2, l3, r0, r1], rest) = after_owner.split_first_chunk::<10>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([r0, r1])))?;
        let record = Self {
            owner: &bytes[..bytes.len() - after_owner.len()],
            rtype: RecordType(u16::from_be_bytes([t0, t1])),
            class: u16::from_be_bytes([c0, c1]),
            ttl: u32::from_be_bytes([l0, l1, l2, l3]),
            rdata,
        };
        Some((record, rest))
    }
}

/// A TSIG record (RFC 8945 4.2), as far as refusing it needs.
#[derive(Clone, Copy, Debug)]
pub struct Tsig<'a> {
    key: NameRef<'a>,
    algorithm: NameRef<'a>,
    /// Seconds since 1970, 48 bits, and the fudge.
    time: [u8; 8],
}

impl<'a> Tsig<'a> {
    /// Class ANY and TTL 0 are demanded (RFC 8945 4.2); names are not compressed in practice and not here.
    fn parse(record: &Record<'a>) -> Option<Self> {
        let key = NameRef::parse(record.owner).ok()?;
        let algorithm = NameRef::parse(record.rdata).ok()?;
        let (&time, rest) = record.rdata[algorithm.len()..].split_first_chunk::<8>()?;
        let (mac_len, rest) = rest.split_first_chunk::<2>()?;
        let rest = rest.get(usize::from(u16::from_be_bytes(*mac_len))..)?;
        let (&[_, _, _, _, o0, o1], other) = rest.split_first_chunk::<6>()?; // original id, error, length of other data
        let whole = other.len() == usize::from(u16::from_be_bytes([o0, o1]));
        (record.class == Class::ANY.0 && record.ttl == 0 && whole).then_some(Self { key, algorithm, time })
    }

    /// Appends the unsigned record that says that the key is not known here (RFC 8945 5.2.1), through `put`.
    pub(super) fn put_bad_key<E>(&self, id: u16, mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        const BADKEY: u16 = 17;
        let rdata_len = (self.algorithm.len() + self.time.len() + 8) as u16;
        put(self.key.as_wire())?;
        put(&RecordType::TSIG.0.to_be_bytes())?;
        put(&Class::ANY.0.to_be_bytes())?;
        put(&[0; 4])?;
        put(&rdata_len.to_be_bytes())?;
        put(self.algorithm.as_wire())?;
        put(&self.time)?;
        for word in [0, id, BADKEY, 0] {
            put(&u16::to_be_bytes(word))?; // MAC size, original id, error, length of other data
        }
        Ok(())
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
        let mut encoded = vec![0; opt.encoded_len()];
        opt.encode(0, &mut encoded);
        self.opt = Some(encoded);
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
        let cases: [(&str, Vec<u8>, Option<Rejected<'_>>); 7] = [
            ("short", QUERY[..11].to_vec(), Some(Rejected::Ignored)),
            ("a response", with(2, 0x81), Some(Rejected::Ignored)),
            ("RFC 2136 update", with(2, 0x29), Some(Rejected::Refused(update, Rcode::NOTIMP))),
            ("RFC 9619 no question", with(5, 0), formerr),
            ("RFC 9619 two questions", with(5, 2), formerr),
            ("cut in the question", QUERY[..20].to_vec(), formerr),
            ("one OPT", with_opt(1, opt), None),
        ];
        for (case, message, expected) in cases {
            assert_eq!(Query::parse(&message).err(), expected, "{case}");
        }
    }

    #[test]
    fn what_is_wrong_behind_the_question_leaves_the_question() {
        let opt: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
        let tsig = b"\x03key\0\0\xFA\0\xFF\0\0\0\0\0\x14\x02hm\0\0\0\0\0\0\x01\x01\x2C\0\0\x12\x34\0\0\0\0";
        let malformed = |message: &[u8]| Query::parse(message).expect("the question can be read").malformed;
        assert!(malformed(&[QUERY, &[0]].concat()), "octets after the end");
        assert!(malformed(&with_opt(1, &[&[1, b'a'], opt].concat())), "OPT not at the root");
        assert!(malformed(&[&with(7, 1), opt].concat()), "OPT among the answers");
        assert!(malformed(&with_opt(2, &[tsig, opt].concat())), "TSIG not last");
        assert!(malformed(&with_opt(1, &tsig[..tsig.len() - 1])), "TSIG cut short");
        assert!(malformed(&with(9, 1)), "a record is counted that is not there");
        assert!(!malformed(&with_opt(2, &[opt, tsig].concat())));
        assert!(!malformed(&[&with(9, 1)[..], b"\xC0\x0C\0\x06\0\x01\0\0\0\0\0\x01\0"].concat()), "an SOA, as in IXFR");
    }

    #[test]
    fn rfc7873_a_query_without_question_may_ask_for_a_cookie() {
        let message = b"\x12\x34\0\0\0\0\0\0\0\0\0\x01\0\0\x29\x04\xD0\0\0\0\0\0\x0C\0\x0A\0\x0812345678";
        assert!(
            matches!(Query::parse(message), Err(Rejected::NoQuestion(_, edns)) if edns.cookie.is_some_and(|cookie| cookie.is_ok()))
        );
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
