//! The language of the questions: a line of text becomes one or more packets.
//!
//! `NAME TYPE[,TYPE...] [attribute...]`, and for what no name and type can say, `raw HEX [attribute...]`.
//!
//! | attribute | meaning |
//! | --- | --- |
//! | `udp`, `tcp`, `each` | the transport; `each`: plain UDP, UDP with EDNS, and TCP |
//! | `edns`, `edns=SIZE` | an OPT record; the size is 1232 unless told |
//! | `sizes=FROM..TO` | one packet for every size, both included |
//! | `do`, `z=HEX`, `version=N` | its DO bit, all its flags, its version |
//! | `opt=CODE:HEX` | one of its options; may be repeated |
//! | `rdata=HEX` | octets after its options |
//! | `+rd` `+aa` `+tc` `+ra` `+z` `+ad` `+cd` `+qr` | header bits |
//! | `opcode=N`, `rcode=N`, `class=N` | as they say |
//! | `qd=N` `an=N` `ns=N` `ar=N` | counts that are not those of the sections |
//! | `none`, `second=NAME/TYPE` | no question; one more |
//! | `answer=HEX`, `authority=HEX`, `additional=HEX` | a record in that section, counted |
//! | `last=HEX` | a record after the OPT record, counted |
//! | `cut=N`, `trail=HEX` | octets taken from the end, octets put behind it |
//!
//! In `HEX` a part `<NAME>` is that name on the wire.
//!
//! Never here: sockets, and what a good reply would be.

use leeward::wire::RecordType;

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// One packet to be sent to every server.
#[derive(Clone, Debug)]
pub struct Question {
    /// The file, or the rule, that it comes from.
    pub group: String,
    /// The line that it can be asked with again.
    pub text: String,
    /// The name asked for, in lower case on the wire; empty where there is none.
    pub name: Vec<u8>,
    pub qtype: u16,
    pub class: u16,
    pub opcode: u8,
    pub transport: Transport,
    /// The most octets that the reply may have.
    pub limit: usize,
    pub packet: Vec<u8>,
}

/// The questions of a text in the language above.
pub fn read(group: &str, text: &str) -> Vec<Question> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or("").trim());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(|line| of_line(group, line)).collect()
}

/// The questions of one line.
pub fn of_line(group: &str, line: &str) -> Vec<Question> {
    let mut words = line.split_whitespace();
    let (name, types) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let attributes: Vec<&str> = words.collect();
    let mut questions = Vec::new();
    if name == "raw" {
        let transport = if attributes.contains(&"tcp") { Transport::Tcp } else { Transport::Udp };
        let packet = hex(types);
        let (group, text) = (group.to_owned(), line.to_owned());
        return vec![Question {
            group,
            text,
            name: Vec::new(),
            qtype: 0,
            class: 0,
            opcode: 0,
            transport,
            limit: limit(transport, None),
            packet,
        }];
    }
    for qtype in types.split(',') {
        for attributes in variants(&attributes) {
            let text = format!("{name} {qtype} {}", attributes.join(" "));
            questions.push(one(group, text.trim_end(), name, qtype, &attributes));
        }
    }
    questions
}

/// `each` and `sizes` spelt out.
fn variants(attributes: &[&str]) -> Vec<Vec<String>> {
    let plain = |leave: &str| -> Vec<String> {
        attributes.iter().filter(|word| !word.starts_with(leave)).map(|&word| word.to_owned()).collect()
    };
    if attributes.contains(&"each") {
        let with = |word: &str| plain("each").into_iter().chain([word.to_owned()]).collect();
        return vec![with("udp"), with("edns"), with("tcp")];
    }
    if let Some(range) = attributes.iter().find_map(|word| word.strip_prefix("sizes=")) {
        let (from, to) = range.split_once("..").unwrap_or_else(|| panic!("sizes={range}"));
        let (from, to): (u16, u16) = (number(from), number(to));
        return (from..=to).map(|size| plain("sizes=").into_iter().chain([format!("edns={size}")]).collect()).collect();
    }
    vec![plain("\0")]
}

fn one(group: &str, text: &str, name: &str, qtype: &str, attributes: &[String]) -> Question {
    let rtype: RecordType = qtype.parse().unwrap_or_else(|_| panic!("{text}: no type {qtype}"));
    let mut draft = Draft::new(&wire(name), rtype.0);
    attributes.iter().for_each(|word| draft.attribute(text, word));
    Question {
        group: group.to_owned(),
        text: text.to_owned(),
        name: wire(name).to_ascii_lowercase(),
        qtype: rtype.0,
        class: draft.class,
        opcode: (draft.flags >> 11 & 15) as u8,
        transport: draft.transport,
        limit: limit(draft.transport, draft.edns),
        packet: draft.packet(),
    }
}

/// What a reply may have at most: over UDP 512 octets, or what the OPT record says up to 1232, the size that all servers
/// are told to keep to.
fn limit(transport: Transport, payload: Option<u16>) -> usize {
    match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => usize::from(payload.unwrap_or(0).clamp(512, 1232)),
    }
}

/// A packet that is being put together.
struct Draft {
    transport: Transport,
    flags: u16,
    class: u16,
    name: Vec<u8>,
    qtype: u16,
    questions: Option<Vec<u8>>,
    second: Vec<u8>,
    sections: [Vec<Vec<u8>>; 3],
    last: Vec<Vec<u8>>,
    counts: [Option<u16>; 4],
    edns: Option<u16>,
    edns_flags: u16,
    version: u8,
    rdata: Vec<u8>,
    cut: usize,
    trail: Vec<u8>,
}

impl Draft {
    fn new(name: &[u8], qtype: u16) -> Self {
        Self {
            transport: Transport::Udp,
            flags: 0,
            class: 1,
            name: name.to_owned(),
            qtype,
            questions: None,
            second: Vec::new(),
            sections: Default::default(),
            last: Vec::new(),
            counts: [None; 4],
            edns: None,
            edns_flags: 0,
            version: 0,
            rdata: Vec::new(),
            cut: 0,
            trail: Vec::new(),
        }
    }

    fn attribute(&mut self, text: &str, word: &str) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "udp" => self.transport = Transport::Udp,
            "tcp" => self.transport = Transport::Tcp,
            "edns" => self.edns = Some(if value.is_empty() { 1232 } else { number(value) }),
            "do" => self.edns_flags |= 0x8000,
            "z" => self.edns_flags = u16::from_str_radix(value, 16).unwrap_or_else(|_| panic!("{text}")),
            "version" => self.version = number(value),
            "opt" => self.option(text, value),
            "rdata" => self.rdata.extend(hex(value)),
            "+rd" => self.flags |= 0x0100,
            "+tc" => self.flags |= 0x0200,
            "+aa" => self.flags |= 0x0400,
            "+qr" => self.flags |= 0x8000,
            "+cd" => self.flags |= 0x0010,
            "+ad" => self.flags |= 0x0020,
            "+z" => self.flags |= 0x0040,
            "+ra" => self.flags |= 0x0080,
            "opcode" => self.flags |= number::<u16>(value) << 11,
            "rcode" => self.flags |= number::<u16>(value),
            "class" => self.class = number(value),
            "qd" => self.counts[0] = Some(number(value)),
            "an" => self.counts[1] = Some(number(value)),
            "ns" => self.counts[2] = Some(number(value)),
            "ar" => self.counts[3] = Some(number(value)),
            "none" => self.questions = Some(Vec::new()),
            "second" => self.second(text, value),
            "answer" => self.sections[0].push(hex(value)),
            "authority" => self.sections[1].push(hex(value)),
            "additional" => self.sections[2].push(hex(value)),
            "last" => self.last.push(hex(value)),
            "cut" => self.cut = number(value),
            "trail" => self.trail = hex(value),
            _ => panic!("{text}: what is `{word}`?"),
        }
    }

    fn option(&mut self, text: &str, value: &str) {
        let (code, data) = value.split_once(':').unwrap_or_else(|| panic!("{text}: opt=CODE:HEX"));
        let data = hex(data);
        self.rdata.extend(number::<u16>(code).to_be_bytes());
        self.rdata.extend((data.len() as u16).to_be_bytes());
        self.rdata.extend(data);
    }

    fn second(&mut self, text: &str, value: &str) {
        let (name, qtype) = value.split_once('/').unwrap_or_else(|| panic!("{text}: second=NAME/TYPE"));
        let qtype: RecordType = qtype.parse().unwrap_or_else(|_| panic!("{text}"));
        self.second = [&wire(name)[..], &qtype.0.to_be_bytes(), &[0, 1]].concat();
    }

    fn packet(mut self) -> Vec<u8> {
        let first = [&self.name[..], &self.qtype.to_be_bytes(), &self.class.to_be_bytes()].concat();
        let questions = self.questions.take().unwrap_or(first);
        let asked = u16::from(!questions.is_empty()) + u16::from(!self.second.is_empty());
        if let Some(size) = self.edns {
            let opt = self.opt(size);
            self.sections[2].push(opt);
        }
        self.sections[2].append(&mut self.last);
        let counts = [asked, self.sections[0].len() as u16, self.sections[1].len() as u16, self.sections[2].len() as u16];
        let mut packet = vec![0, 0];
        packet.extend(self.flags.to_be_bytes());
        for (count, stated) in counts.iter().zip(self.counts) {
            packet.extend(stated.unwrap_or(*count).to_be_bytes());
        }
        packet.extend(questions);
        packet.extend(&self.second);
        packet.extend(self.sections.concat().concat());
        packet.truncate(packet.len().saturating_sub(self.cut));
        packet.extend(&self.trail);
        packet
    }

    fn opt(&self, size: u16) -> Vec<u8> {
        let mut opt = vec![0, 0, 41];
        opt.extend(size.to_be_bytes());
        opt.extend([0, self.version]);
        opt.extend(self.edns_flags.to_be_bytes());
        opt.extend((self.rdata.len() as u16).to_be_bytes());
        opt.extend(&self.rdata);
        opt
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// Octets from hexadecimal text with `<NAME>` parts.
fn hex(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((name, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            octets.extend(wire(name));
            rest = after;
        } else {
            octets.push(u8::from_str_radix(&rest[..2], 16).unwrap_or_else(|_| panic!("no octets: {text}")));
            rest = &rest[2..];
        }
    }
    octets
}

/// A name in presentation form on the wire (RFC 1035 5.1, 3.1).
pub fn wire(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut label = Vec::new();
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => end_label(&mut octets, &mut label),
            b'\\' => match bytes.next() {
                Some(digit @ b'0'..=b'9') => {
                    let digits = [digit, bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                    label.push(digits.iter().fold(0, |value: u8, digit| value.wrapping_mul(10).wrapping_add(digit - b'0')));
                }
                other => label.extend(other),
            },
            byte => label.push(byte),
        }
    }
    end_label(&mut octets, &mut label);
    octets.push(0);
    octets
}

fn end_label(octets: &mut Vec<u8>, label: &mut Vec<u8>) {
    if !label.is_empty() {
        octets.push(label.len() as u8);
        octets.append(label);
    }
}
