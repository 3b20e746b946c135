//! Four replies to one question, held against each other, one aspect at a time.
//!
//! The rule: where the references agree, leeward says the same; where they do not, leeward says what one of them says.
//! What must be explained is a [`Difference`]: where leeward is alone, and also where it takes a side.

use std::fmt;

use super::message::{Message, Record};
use super::question::Question;
use super::servers::REFERENCES;

/// What is compared of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Whether there is one, the opcode, and the rcode with its upper bits.
    Rcode,
    Flags,
    /// The question section, octet by octet.
    Question,
    Answer,
    /// Upper and lower case of the answer's owners.
    Spelling,
    Authority,
    /// Without the OPT record.
    Additional,
    /// The OPT record: version, size, flags, which options.
    Edns,
}

/// All of them.
pub const ASPECTS: [Aspect; 8] = [
    Aspect::Rcode,
    Aspect::Flags,
    Aspect::Question,
    Aspect::Answer,
    Aspect::Spelling,
    Aspect::Authority,
    Aspect::Additional,
    Aspect::Edns,
];

/// What a server said.
#[derive(Clone, Debug)]
pub enum Said {
    Nothing,
    /// Octets that are no message.
    Rubbish(Vec<u8>),
    Reply(Box<Message>),
}

impl Said {
    pub fn of(reply: Option<&[u8]>) -> Self {
        match reply {
            None => Self::Nothing,
            Some(octets) => {
                Message::read(octets).map_or_else(|| Self::Rubbish(octets.to_owned()), |it| Self::Reply(Box::new(it)))
            }
        }
    }

    pub const fn reply(&self) -> Option<&Message> {
        match self {
            Self::Reply(message) => Some(message),
            Self::Nothing | Self::Rubbish(_) => None,
        }
    }

    /// One aspect as text; `None` where there is no reply to have it.
    pub fn aspect(&self, aspect: Aspect) -> Option<String> {
        let message = match self {
            Self::Nothing => return (aspect == Aspect::Rcode).then(|| "no reply".to_owned()),
            Self::Rubbish(octets) => return (aspect == Aspect::Rcode).then(|| format!("rubbish: {octets:02x?}")),
            Self::Reply(message) => message,
        };
        Some(match aspect {
            Aspect::Rcode => format!("opcode {} {}{}", message.opcode, rcode(message.rcode), rest(message.rest)),
            Aspect::Flags => message.flags.clone(),
            Aspect::Question => format!("{:02x?}", message.question),
            Aspect::Answer => lines(&message.answer),
            Aspect::Spelling => message.spelling.iter().cloned().collect::<Vec<_>>().join(" "),
            Aspect::Authority => lines(&message.authority),
            Aspect::Additional => lines(&message.additional),
            Aspect::Edns => edns(message),
        })
    }
}

fn rest(octets: usize) -> String {
    if octets == 0 { String::new() } else { format!(" and {octets} octets after the message") }
}

fn rcode(rcode: u16) -> String {
    let name = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH"];
    match rcode {
        16 => "BADVERS".to_owned(),
        23 => "BADCOOKIE".to_owned(),
        other => name.get(usize::from(other)).map_or_else(|| format!("rcode {other}"), |&name| name.to_owned()),
    }
}

fn lines(records: &[Record]) -> String {
    let line = |it: &Record| {
        let rtype = leeward::wire::RecordType(it.rtype);
        let class = if it.class == 1 { "IN".to_owned() } else { format!("CLASS{}", it.class) };
        format!("{} {} {class} {rtype} {}", it.owner, it.ttl, it.data)
    };
    records.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Options with errors in words (RFC 8914) are for people, and left to each server.
fn edns(message: &Message) -> String {
    const EXTENDED_ERROR: u16 = 15;
    message.opt.as_ref().map_or_else(String::new, |opt| {
        let options: Vec<u16> = opt.options.iter().copied().filter(|&code| code != EXTENDED_ERROR).collect();
        format!("version {} size {} flags {:04x} options {options:?}", opt.version, opt.payload, opt.flags)
    })
}

/// The replies to one question; a reference that does not have the zone has none.
pub struct Case<'q> {
    pub question: &'q Question,
    /// The zone that the question is for, if any has it.
    pub zone: &'q str,
    pub leeward: Said,
    pub references: [Option<Said>; REFERENCES.len()],
}

/// An aspect in which not all say the same.
pub struct Difference<'c, 'q> {
    pub case: &'c Case<'q>,
    pub aspect: Aspect,
    /// Whether the references agree with each other.
    pub unanimous: bool,
}

/// What comes of one aspect of one case.
pub enum Verdict<'c, 'q> {
    /// All say the same.
    Same,
    /// The references differ; leeward says what these say.
    With(String, Difference<'c, 'q>),
    Alone(Difference<'c, 'q>),
}

impl<'q> Case<'q> {
    pub fn judge(&self, aspect: Aspect) -> Verdict<'_, 'q> {
        if aspect == Aspect::Spelling && matches!(self.judge(Aspect::Answer), Verdict::Alone(_)) {
            return Verdict::Same; // other records, other owners
        }
        let own = self.leeward.aspect(aspect);
        let others: Vec<(&str, Option<String>)> = self.others().map(|(name, said)| (name, said.aspect(aspect))).collect();
        if own.is_none() || others.iter().all(|(_, other)| other.is_none()) {
            return Verdict::Same; // the rcode tells it
        }
        let others: Vec<_> = others.into_iter().filter(|(_, other)| other.is_some()).collect();
        let unanimous = others.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let with: Vec<&str> = others.iter().filter(|(_, other)| *other == own).map(|(name, _)| *name).collect();
        match (with.is_empty(), unanimous) {
            (true, _) => Verdict::Alone(Difference { case: self, aspect, unanimous }),
            (false, true) => Verdict::Same,
            (false, false) => Verdict::With(with.join(" and "), Difference { case: self, aspect, unanimous }),
        }
    }

    /// What no reply of leeward's may be, whatever others say: too long, followed by something, with a record twice.
    pub fn breaches(&self) -> Vec<String> {
        let Some(reply) = self.leeward.reply() else { return Vec::new() };
        let twice = |records: &[Record]| records.windows(2).any(|pair| pair[0] == pair[1]);
        let records = [&reply.answer, &reply.authority, &reply.additional];
        let breaches = [
            (reply.octets > self.question.limit, "the reply is too long"),
            (reply.rest > 0, "there is something behind the reply"),
            (records.iter().any(|records| twice(records)), "a record comes twice"),
        ];
        let text = &self.question.text;
        breaches.iter().filter(|(breach, _)| *breach).map(|(_, what)| format!(";; {text}: {what}\n")).collect()
    }

    /// The references that have the zone.
    pub fn others(&self) -> impl Iterator<Item = (&'static str, &Said)> {
        REFERENCES.into_iter().zip(&self.references).filter_map(|(name, said)| Some((name, said.as_ref()?)))
    }
}

impl fmt::Display for Difference<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let question = self.case.question;
        writeln!(
            f,
            ";; {} [{}] {:?}{}",
            question.text,
            question.group,
            self.aspect,
            if self.unanimous { "" } else { " (references differ)" }
        )?;
        let all = [("leeward", &self.case.leeward)].into_iter().chain(self.case.others());
        for (name, said) in all {
            let text = said.aspect(self.aspect).unwrap_or_else(|| "no reply".to_owned());
            writeln!(f, ";   {name:8}{}", text.replace('\n', "\n;           "))?;
        }
        Ok(())
    }
}
