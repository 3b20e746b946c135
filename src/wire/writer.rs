//! Writing a reply into a caller's buffer: header, question, records with compressed names, OPT.
//!
//! The question is copied octet for octet, so the case in which it was asked comes back. Owner names equal
//! to the question are the pointer `C0 0C`; other names are compressed against everything written so far
//! (RFC 1035 4.1.4), through a small table of the suffixes that the message has: where each is and a hash
//! of it. Two names with a hundred labels each are compared by a hundred numbers, not by all their suffixes octet for
//! octet, which a client that chooses one of them could make the work of milliseconds.
//!
//! A writer never exceeds its limit: what does not fit is [`Full`], and [`Writer::mark`] and
//! [`Writer::rewind`] let the caller take back a half-written RRset. What to do then (TC, or leave glue
//! out) is the caller's business.

use super::edns::{self, OptReply};
use super::name::NameRef;
use super::query::{HEADER_LEN, Header, Query, Tsig};
use super::rdata::{Field, layout};
use super::types::{Class, Rcode, RecordType, Ttl};

/// Compression offsets remembered per message; names beyond that are written in full.
const OFFSETS_MAX: usize = 64;
/// Offsets above this do not fit a pointer (RFC 1035 4.1.4).
const POINTER_MAX: usize = 0x3FFF;

/// The message has reached its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A section of a reply; they are written in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Records that answer the question.
    Answer,
    /// SOA of a negative answer, NS of a referral.
    Authority,
    /// Glue and OPT.
    Additional,
}

/// The owner of a record.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// The name asked for.
    Question,
    /// Another name.
    Name(NameRef<'a>),
}

/// A place to which a [`Writer`] can go back.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    len: usize,
    counts: [u16; 3],
    offsets: usize,
}

/// Where a message has which suffixes of names, for compression. Kept from message to message, so that none has to clear it.
#[derive(Clone, Debug)]
pub struct NameTable {
    /// Where suffixes start; in the same order, their hashes.
    offsets: [u16; OFFSETS_MAX],
    hashes: [u32; OFFSETS_MAX],
}

impl Default for NameTable {
    fn default() -> Self {
        Self { offsets: [0; OFFSETS_MAX], hashes: [0; OFFSETS_MAX] }
    }
}

/// A reply in the making.
pub struct Writer<'b> {
    buf: &'b mut [u8],
    len: usize,
    /// Octets the message may have.
    limit: usize,
    /// Of these, kept free for OPT.
    reserved: usize,
    counts: [u16; 3],
    section: Section,
    class: Class,
    names: &'b mut NameTable,
    /// How many entries of `names` are of this message.
    offset_count: usize,
    header: Header,
    has_question: bool,
    authoritative: bool,
    truncated: bool,
}

impl<'b> Writer<'b> {
    /// A reply to `query`, at most `limit` octets long. `None` if not even header and question fit.
    pub fn reply(buf: &'b mut [u8], limit: usize, query: &Query<'_>, names: &'b mut NameTable) -> Option<Self> {
        let limit = limit.min(buf.len());
        if limit < HEADER_LEN + query.question_len() {
            return None;
        }
        let mut writer = Self::new(buf, limit, query.header, names);
        writer.has_question = true;
        writer.put(query.qname.as_wire()).ok()?;
        writer.put(&query.qtype.0.to_be_bytes()).ok()?;
        writer.put(&query.qclass.0.to_be_bytes()).ok()?;
        Some(writer)
    }

    /// A reply without a question, at most `limit` octets long, for what has none that could be read. `None` if not even
    /// the header fits.
    pub fn bare(buf: &'b mut [u8], limit: usize, header: Header, names: &'b mut NameTable) -> Option<Self> {
        let limit = limit.min(buf.len());
        (limit >= HEADER_LEN).then(|| Self::new(buf, limit, header, names))
    }

    fn new(buf: &'b mut [u8], limit: usize, header: Header, names: &'b mut NameTable) -> Self {
        Self {
            buf,
            len: HEADER_LEN,
            limit,
            reserved: 0,
            counts: [0; 3],
            section: Section::Answer,
            class: Class::IN,
            names,
            offset_count: 0,
            header,
            has_question: false,
            authoritative: false,
            truncated: false,
        }
    }

    /// Keeps room for `opt`, which [`Writer::finish`] adds.
    pub fn reserve(&mut self, opt: &OptReply<'_>) {
        self.reserved = opt.encoded_len();
    }

    /// Records are of `class` from now on, IN at first.
    pub fn set_class(&mut self, class: Class) {
        self.class = class;
    }

    /// Sets AA: the answer is from this server's own zone data.
    pub fn set_authoritative(&mut self, authoritative: bool) {
        self.authoritative = authoritative;
    }

    /// Sets TC and takes back what was written since `to`, so that a truncated reply holds no half RRset.
    pub fn truncate(&mut self, to: Mark) {
        self.rewind(to);
        self.set_truncated();
    }

    /// Sets TC: something that belongs to the reply does not fit.
    pub fn set_truncated(&mut self) {
        self.truncated = true;
    }

    /// Records go to `section` from now on. Sections never go backwards.
    pub fn section(&mut self, section: Section) {
        debug_assert!(section >= self.section);
        self.section = section;
    }

    /// How many records a section has.
    #[must_use]
    pub const fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Where the writer is now.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark { len: self.len, counts: self.counts, offsets: self.offset_count }
    }

    /// Goes back to `mark`, forgetting what came after.
    pub fn rewind(&mut self, mark: Mark) {
        self.len = mark.len;
        self.counts = mark.counts;
        self.offset_count = mark.offsets;
    }

    /// Copies `count` records that are complete but for their owner, which they name by the pointer to the
    /// question (`C0 0C`).
    ///
    /// # Errors
    /// [`Full`]; nothing is written then.
    pub fn prepared(&mut self, records: &[u8], count: u16) -> Result<(), Full> {
        self.put(records)?;
        self.counts[self.section as usize] += count;
        Ok(())
    }

    /// Writes one record; names in `rdata` (uncompressed) are compressed where the type allows it.
    ///
    /// # Errors
    /// [`Full`]; rewind to a mark taken before.
    pub fn record(&mut self, owner: Owner<'_>, rtype: RecordType, ttl: Ttl, rdata: &[u8]) -> Result<(), Full> {
        match owner {
            Owner::Question => self.put(&[0xC0, HEADER_LEN as u8])?,
            Owner::Name(name) => self.name(name)?,
        }
        self.put(&rtype.0.to_be_bytes())?;
        self.put(&self.class.0.to_be_bytes())?;
        self.put(&ttl.seconds().to_be_bytes())?;
        let length_at = self.len;
        self.put(&[0, 0])?;
        self.rdata(rtype, rdata)?;
        let rdata_len = (self.len - length_at - 2) as u16;
        self.buf[length_at..length_at + 2].copy_from_slice(&rdata_len.to_be_bytes());
        self.counts[self.section as usize] += 1;
        Ok(())
    }

    fn rdata(&mut self, rtype: RecordType, mut rdata: &[u8]) -> Result<(), Full> {
        for field in layout(rtype) {
            let taken = match field {
                Field::Octets(len) => usize::from(*len).min(rdata.len()),
                Field::String => rdata.first().map_or(0, |&len| 1 + usize::from(len)).min(rdata.len()),
                Field::Rest => rdata.len(),
                Field::Name | Field::PlainName => match NameRef::parse(rdata) {
                    Ok(name) if *field == Field::Name => {
                        self.name(name)?;
                        rdata = &rdata[name.len()..];
                        continue;
                    }
                    Ok(name) => name.len(),
                    Err(_) => rdata.len(), // never in checked zone data; opaque then
                },
            };
            self.put(&rdata[..taken])?;
            rdata = &rdata[taken..];
        }
        self.put(rdata)
    }

    /// Writes the header, OPT and TSIG; the length of the whole message.
    ///
    /// OPT takes the room that [`Writer::reserve`] kept. An extended error is left out where it does not fit, and so is
    /// TSIG, which only a key name of absurd length can cause.
    pub fn finish(&mut self, rcode: Rcode, opt: Option<&OptReply<'_>>, tsig: Option<&Tsig<'_>>) -> usize {
        self.reserved = 0;
        if let Some(opt) = opt {
            // What follows OPT would undo the padding, and a refused key is no secret.
            self.opt(rcode, &OptReply { padded: opt.padded && tsig.is_none(), ..*opt });
        }
        if let Some(tsig) = tsig {
            let mark = self.mark();
            match tsig.put_bad_key(self.header.id, |octets| self.put(octets)) {
                Ok(()) => self.counts[Section::Additional as usize] += 1,
                Err(Full) => self.rewind(mark),
            }
        }
        let mut flags = 0x8000 | u16::from(self.header.opcode.0) << 11 | rcode.0 & 0x0F;
        for (set, bit) in [(self.authoritative, 0x0400), (self.truncated, 0x0200), (self.header.recursion_desired, 0x0100)] {
            flags |= if set { bit } else { 0 };
        }
        let words = [self.header.id, flags, u16::from(self.has_question), self.counts[0], self.counts[1], self.counts[2]];
        for (at, word) in words.into_iter().enumerate() {
            self.buf[2 * at..2 * at + 2].copy_from_slice(&word.to_be_bytes());
        }
        self.len
    }

    fn opt(&mut self, rcode: Rcode, opt: &OptReply<'_>) {
        let start = self.len;
        let fits = |opt: &OptReply<'_>| start + opt.encoded_len() <= self.limit;
        let without_error = OptReply { error: None, ..*opt };
        let opt = if fits(opt) { opt } else { &without_error };
        if !fits(opt) {
            return;
        }
        self.len += opt.encoded_len();
        opt.encode((rcode.0 >> 4) as u8, &mut self.buf[start..self.len]);
        self.counts[Section::Additional as usize] += 1;
        if opt.padded {
            self.pad(start);
        }
    }

    /// Pads the message, whose last record is the OPT record at `opt`.
    fn pad(&mut self, opt: usize) {
        let Some(padding) = edns::padding(self.len, self.limit) else { return };
        let end = self.len + edns::padding_head(padding).len() + padding;
        self.buf[self.len..end].fill(0);
        self.buf[self.len..self.len + 4].copy_from_slice(&edns::padding_head(padding));
        self.len = end;
        let length_at = opt + edns::RDLENGTH_AT;
        let rdata_len = (end - length_at - 2) as u16;
        self.buf[length_at..length_at + 2].copy_from_slice(&rdata_len.to_be_bytes());
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), Full> {
        let end = self.len + octets.len();
        if end + self.reserved > self.limit {
            return Err(Full);
        }
        self.buf[self.len..end].copy_from_slice(octets);
        self.len = end;
        Ok(())
    }

    /// Writes a name, its longest suffix that the message already has as a pointer.
    fn name(&mut self, name: NameRef<'_>) -> Result<(), Full> {
        if self.offset_count == 0 && self.has_question {
            self.remember_question();
        }
        let suffixes = Suffixes::of(name);
        let found = suffixes.iter().find_map(|(at, hash)| Some((at, self.find(name, at, hash)?)));
        let fresh = found.map_or(name.len(), |(at, _)| at);
        for (at, hash) in suffixes.iter().take_while(|&(at, _)| at < fresh) {
            self.remember(self.len + at, hash);
        }
        match found {
            None => self.put(name.as_wire()),
            Some((at, offset)) => {
                self.put(&name.as_wire()[..at])?;
                self.put(&(0xC000 | offset).to_be_bytes())
            }
        }
    }

    /// Remembers the labels of the question, once a name is to be compressed: many replies have none.
    fn remember_question(&mut self) {
        let Some(suffixes) = self.buf.get(HEADER_LEN..self.len).and_then(|bytes| NameRef::parse(bytes).ok()).map(Suffixes::of)
        else {
            return;
        };
        for (at, hash) in suffixes.iter() {
            self.remember(HEADER_LEN + at, hash);
        }
    }

    fn remember(&mut self, offset: usize, hash: u32) {
        if offset <= POINTER_MAX && self.offset_count < OFFSETS_MAX {
            self.names.offsets[self.offset_count] = offset as u16;
            self.names.hashes[self.offset_count] = hash;
            self.offset_count += 1;
        }
    }

    /// The offset at which the message already has the suffix of `name` that starts `at` there and has this hash.
    fn find(&self, name: NameRef<'_>, at: usize, hash: u32) -> Option<u16> {
        let known = self.names.hashes[..self.offset_count].iter().zip(&self.names.offsets);
        let suffix = &name.as_wire()[at..];
        known.filter(|(known, _)| **known == hash).map(|(_, offset)| *offset).find(|&offset| self.reads_as(offset.into(), suffix))
    }

    /// Whether the message at `at`, pointers followed, reads as the name `wanted`. All pointers are our own and point
    /// backwards, so this ends.
    fn reads_as(&self, mut at: usize, mut wanted: &[u8]) -> bool {
        loop {
            let Some(&len) = self.buf[..self.len].get(at) else { return false };
            if len >= 0xC0 {
                let Some(&low) = self.buf[..self.len].get(at + 1) else { return false };
                at = usize::from(u16::from_be_bytes([len & 0x3F, low]));
                continue;
            }
            let taken = 1 + usize::from(len);
            let Some(label) = self.buf[..self.len].get(at..at + taken) else { return false };
            if wanted.len() < taken || !wanted[..taken].eq_ignore_ascii_case(label) {
                return false;
            }
            if len == 0 {
                return true;
            }
            wanted = &wanted[taken..];
            at += taken;
        }
    }
}

/// The suffixes of one name, the longest first, the root left out: where each starts, and its hash without case.
struct Suffixes {
    starts: [u8; LABELS_MAX],
    hashes: [u32; LABELS_MAX],
    count: usize,
}

/// Most labels that 255 octets can hold, the root left out.
const LABELS_MAX: usize = 127;

impl Suffixes {
    fn of(name: NameRef<'_>) -> Self {
        let mut suffixes = Self { starts: [0; LABELS_MAX], hashes: [0; LABELS_MAX], count: 0 };
        let mut at = 0;
        for label in name.labels().take(LABELS_MAX) {
            suffixes.starts[suffixes.count] = at as u8;
            suffixes.count += 1;
            at += 1 + label.len();
        }
        // From the right, each hash goes on from the one of the suffix that is one label shorter (FNV-1a).
        let (mut hash, mut end) = (0x811C_9DC5_u32, at);
        for place in (0..suffixes.count).rev() {
            let start = usize::from(suffixes.starts[place]);
            for octet in &name.as_wire()[start..end] {
                hash = (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
            }
            suffixes.hashes[place] = hash;
            end = start;
        }
        suffixes
    }

    fn iter(&self) -> impl Iterator<Item = (usize, u32)> {
        self.starts[..self.count].iter().zip(&self.hashes).map(|(&start, &hash)| (usize::from(start), hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn query(message: &[u8]) -> Query<'_> {
        Query::parse(message).expect("well-formed")
    }

    const ASKED: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03wWw\x07example\x00\x00\x01\x00\x01";

    #[test]
    fn names_are_compressed_against_all_that_is_written() {
        let mut buf = [0; 512];
        let mut table = NameTable::default();
        let mut writer = Writer::reply(&mut buf, 512, &query(ASKED), &mut table).expect("room");
        writer.set_authoritative(true);
        let ttl = Ttl::new(30).expect("small");
        writer.record(Owner::Question, RecordType::CNAME, ttl, name("a.b.example.").as_ref().as_wire()).expect("room");
        writer.section(Section::Authority);
        writer
            .record(Owner::Name(name("EXAMPLE.").as_ref()), RecordType::NS, ttl, name("ns.b.example.").as_ref().as_wire())
            .expect("room");
        let len = writer.finish(Rcode::NOERROR, Some(&OptReply::default()), None);
        let parsed = hickory_proto::op::Message::from_vec(&buf[..len]).expect("another library reads it");
        assert_eq!(parsed.answers[0].to_string(), "wWw.example. 30 IN CNAME a.b.example.");
        assert_eq!(parsed.authorities[0].to_string(), "wWw.example. 30 IN NS ns.b.example.".replace("wWw.", ""));
        // header, question, (ptr 10 "a" "b" ptr), (ptr 10 "ns" ptr), OPT
        assert_eq!(len, 12 + 17 + (12 + 6) + (12 + 5) + 11);
        assert!(parsed.edns.is_some() && parsed.metadata.authoritative);
    }

    #[test]
    fn the_question_is_compressed_against_after_a_rewind_too() {
        let mut buf = [0; 512];
        let mut table = NameTable::default();
        let mut writer = Writer::reply(&mut buf, 512, &query(ASKED), &mut table).expect("room");
        let (start, ttl) = (writer.mark(), Ttl::new(30).expect("small"));
        let ns = name("ns.example.");
        for _ in 0..2 {
            writer.rewind(start);
            writer.record(Owner::Name(name("example.").as_ref()), RecordType::NS, ttl, ns.as_ref().as_wire()).expect("room");
        }
        assert_eq!(writer.finish(Rcode::NOERROR, None, None), 12 + 17 + (2 + 10 + 5));
    }

    #[test]
    fn names_with_as_many_labels_as_there_can_be_are_written_whole() {
        let [long, other] = ["one.", "two."].map(|end| name(&("b.".repeat(123) + end)));
        let mut buf = [0; 2048];
        let mut table = NameTable::default();
        let mut writer = Writer::reply(&mut buf, 2048, &query(ASKED), &mut table).expect("room");
        let ttl = Ttl::new(30).expect("small");
        for target in [&long, &other, &long] {
            writer.record(Owner::Question, RecordType::CNAME, ttl, target.as_ref().as_wire()).expect("room");
        }
        let len = writer.finish(Rcode::NOERROR, None, None);
        let parsed = hickory_proto::op::Message::from_vec(&buf[..len]).expect("another library reads it");
        let targets: Vec<String> = parsed.answers.iter().map(|record| record.data.to_string()).collect();
        assert_eq!(targets, [&long, &other, &long].map(ToString::to_string));
    }

    #[test]
    fn the_limit_holds_and_a_rewind_takes_back() {
        let mut buf = [0; 512];
        let mut table = NameTable::default();
        let mut writer = Writer::reply(&mut buf, 60, &query(ASKED), &mut table).expect("room");
        let start = writer.mark();
        let ttl = Ttl::new(30).expect("small");
        assert_eq!(writer.record(Owner::Question, RecordType::A, ttl, &[192, 0, 2, 1]), Ok(()));
        assert_eq!(writer.record(Owner::Question, RecordType::A, ttl, &[192, 0, 2, 2]), Err(Full));
        writer.truncate(start);
        let len = writer.finish(Rcode::NOERROR, None, None);
        let parsed = hickory_proto::op::Message::from_vec(&buf[..len]).expect("well-formed");
        assert!(parsed.metadata.truncation && parsed.answers.is_empty());
    }

    #[test]
    fn srv_targets_stay_whole() {
        let mut buf = [0; 512];
        let mut table = NameTable::default();
        let mut writer = Writer::reply(&mut buf, 512, &query(ASKED), &mut table).expect("room");
        let rdata = [&[0, 1, 0, 2, 0, 80], name("wWw.example.").as_ref().as_wire()].concat();
        writer.record(Owner::Question, RecordType::SRV, Ttl::new(1).expect("small"), &rdata).expect("room");
        let len = writer.finish(Rcode::NOERROR, None, None);
        assert_eq!(buf[len - rdata.len()..len], rdata);
    }
}
