//! The differences that are meant: each with the RFC that allows or asks for it, and why leeward does so.
//!
//! [`ALONE`]: leeward says what no reference says. [`SIDED`]: the references differ among themselves, and leeward says what
//! some of them say. Of each table the first entry that covers a difference counts it. An entry that nothing uses is stale,
//! and fails the test, as does a difference that no entry covers.

use std::collections::BTreeSet;

use super::compare::{Aspect, Difference, Said};
use super::message::Message;

/// Why a kind of difference is no defect.
pub struct Explained {
    pub rfc: &'static str,
    pub reason: &'static str,
    pub covers: fn(&Difference<'_, '_>) -> bool,
}

/// Where no reference says what leeward says.
pub const ALONE: &[Explained] = &[
    Explained {
        rfc: "RFC 2181 9",
        reason: "what a truncated reply still holds is not to be used, and each server leaves something else in it",
        covers: |it| is_section(it) && own(it).truncated && others(it).any(|other| other.truncated),
    },
    Explained {
        rfc: "RFC 8482 4.1",
        reason: "ANY is answered with one RRset of the name, so that it is of no use for amplification; with which is each server's own",
        covers: |it| it.case.question.qtype == ANY && is_section(it),
    },
    Explained {
        rfc: "RFC 6891 6.1.1",
        reason: "a reply to a query with an OPT record has one, also where the OPT record is what is wrong",
        covers: |it| it.aspect == Aspect::Edns && it.unanimous && own(it).rcode == FORMERR && own(it).opt.is_some(),
    },
    Explained {
        rfc: "RFC 4343 3",
        reason: "the owner of what an alias leads to has the letters of the alias's target, to which it is a pointer",
        covers: differs_in_letters_only,
    },
    Explained {
        rfc: "RFC 1034 3.6.2",
        reason: "a chain of aliases is followed 16 times and then given as it is; Knot follows 4, BIND 11, NSD every one",
        covers: |it| is_section(it) && aliases(own(it)) > 16,
    },
    Explained {
        rfc: "RFC 1035 4.1.1",
        reason: "NOTIFY is not implemented, as a server without transfers has no use for it",
        covers: |it| it.case.question.opcode == NOTIFY && it.aspect == Aspect::Rcode && own(it).rcode == NOTIMP,
    },
    Explained {
        rfc: "RFC 1035 4.1.1",
        reason: "what a server says of itself in class CH it says with authority",
        covers: |it| it.case.question.class == CH && it.aspect == Aspect::Flags,
    },
];

/// Where the references differ, and leeward says what some of them say.
pub const SIDED: &[Explained] = &[
    Explained {
        rfc: "RFC 8945 5.2",
        reason: "a signature that cannot be read is FORMERR, one by an unknown key NOTAUTH with the TSIG record; the servers differ in order",
        covers: |it| asks(it, "00FA0"),
    },
    Explained {
        rfc: "RFC 4035 3.2.2",
        reason: "CD is for those who validate; BIND copies it into every reply",
        covers: |it| it.aspect == Aspect::Flags && others(it).all(|other| without(&other.flags, "cd") == own(it).flags),
    },
    Explained {
        rfc: "RFC 8482 4.1",
        reason: "ANY is answered with one RRset by leeward, NSD and Knot, which may be another, and with all by BIND",
        covers: |it| it.case.question.qtype == ANY && it.case.question.class == IN && it.aspect != Aspect::Rcode,
    },
    Explained {
        rfc: "RFC 4343 4.1",
        reason: "owners are spelt as in the question by leeward, NSD and Knot, as in the zone by BIND",
        covers: differs_in_letters_only,
    },
    Explained {
        rfc: "RFC 1034 3.6.2",
        reason: "aliases in a loop, or too many: NOERROR and what there is, as NSD and Knot say it; BIND says SERVFAIL, or stops",
        covers: |it| {
            of_zone(it, &["cname-long.test", "cname-loop.test", "cname-loop2.test", "dname-loop.test", "wild-cname.test"])
                && has_alias(it)
        },
    },
    Explained {
        rfc: "RFC 2181 9",
        reason: "what a truncated reply still holds is not to be used, and each server leaves something else in it",
        covers: |it| is_section(it) && (own(it).truncated || others(it).any(|other| other.truncated)) && !is_referral(own(it)),
    },
    Explained {
        rfc: "RFC 9471 3.1",
        reason: "a referral whose glue does not fit is truncated, as Knot has it; NSD and BIND leave glue out silently",
        covers: |it| of_zone(it, &["trunc-ns.test"]) && matches!(it.aspect, Aspect::Flags | Aspect::Additional),
    },
    Explained {
        rfc: "RFC 1034 4.2.1",
        reason: "addresses beside a referral are those that the zone has itself, with authority or as glue, none from a wildcard; \
                 BIND leaves out those with authority, NSD and Knot ask the wildcard",
        covers: |it| it.aspect == Aspect::Additional && is_referral(own(it)) && own(it).answer.is_empty(),
    },
    Explained {
        rfc: "RFC 1034 4.3.2 step 6",
        reason: "addresses of exchangers and servers are for the client to ask for; Knot adds them unasked",
        covers: |it| it.aspect == Aspect::Additional && !is_referral(own(it)),
    },
    Explained {
        rfc: "RFC 1034 4.3.2 step 3a",
        reason: "an alias into another zone of the server is followed there, as NSD does; Knot and BIND leave that to the client",
        covers: |it| has_alias(it) && it.case.question.class == IN && !is_meta(it.case.question.qtype) && !was_signature(it),
    },
    Explained {
        rfc: "RFC 2181 10.1",
        reason: "SIG, KEY, NXT, RRSIG and NSEC may stand beside an alias, where Knot and BIND look for them; leeward and NSD follow it",
        covers: |it| was_signature(it),
    },
    Explained {
        rfc: "RFC 1035 4.1.4",
        reason: "how well names are compressed decides on what fits; BIND spells owners as the zone does, which takes more room",
        covers: |it| of_zone(it, &["trunc-mx.test", "long-names.test"]) && it.aspect == Aspect::Flags,
    },
    Explained {
        rfc: "RFC 2308 2.1",
        reason: "a negative answer whose SOA does not fit is truncated, as the SOA is needed to keep it; Knot leaves the SOA out",
        covers: |it| of_zone(it, &["trunc-neg.test"]) && it.aspect == Aspect::Flags,
    },
    Explained {
        rfc: "RFC 6672 2.2",
        reason: "a name too long after substitution is YXDOMAIN with the DNAME; Knot says NXDOMAIN. Where the synthesised CNAME does \
                 not fit, the reply is truncated there",
        covers: |it| of_zone(it, &["dname-long.test"]),
    },
    Explained {
        rfc: "RFC 5936 2.2.1",
        reason: "a transfer that is not allowed is REFUSED, one of what is no zone NOTAUTH, over UDP too",
        covers: |it| matches!(it.case.question.qtype, IXFR | AXFR),
    },
    Explained {
        rfc: "RFC 6895 3.1",
        reason: "types that cannot be asked for are FORMERR as with BIND, those that no one has are NODATA as with NSD and Knot",
        covers: |it| is_meta(it.case.question.qtype) && it.case.question.class == IN,
    },
    Explained {
        rfc: "RFC 4892 3",
        reason: "only class IN has zones; class CH has the names for identity and nothing else; BIND serves CH as zones",
        covers: |it| it.case.question.name.len() > 1 && it.case.question.class != IN && it.case.question.opcode == QUERY,
    },
    Explained {
        rfc: "RFC 7871 7.1.2",
        reason: "a client subnet is answered with its scope, and one that is malformed is FORMERR, as with BIND; NSD and Knot ignore it",
        covers: |it| asks(it, "opt=8:"),
    },
    Explained {
        rfc: "RFC 7873 5.2.3",
        reason: "a client without a good server cookie gets its answer and a good one; Knot answers BADCOOKIE",
        covers: |it| asks(it, "opt=10:"),
    },
    Explained {
        rfc: "RFC 7314 3.1",
        reason: "EXPIRE is for secondaries; BIND answers it at an apex, Knot everywhere",
        covers: |it| asks(it, "opt=9:"),
    },
    Explained { rfc: "RFC 7828 3.3.2", reason: "keepalive is answered over TCP, as BIND does", covers: |it| asks(it, "opt=11:") },
    Explained {
        rfc: "RFC 6891 6.1.3",
        reason: "an unknown version is BADVERS, unless something else is wrong before; then the servers differ in order",
        covers: |it| asks(it, "version="),
    },
    Explained {
        rfc: "RFC 6891 6.2.3",
        reason: "a payload size below 512 is 512; Knot takes 1 for an error",
        covers: |it| asks(it, "edns=1"),
    },
    Explained {
        rfc: "RFC 6891 6.1.2",
        reason: "an option that is not known is ignored, and one that comes twice is read once; NSD's replies to those are malformed, \
                 BIND knows option 1",
        covers: |it| asks(it, "opt="),
    },
    Explained {
        rfc: "RFC 6891 6.1.1",
        reason: "an OPT record not at the root, or not in the additional section, is FORMERR; the servers differ",
        covers: |it| asks(it, "0029"),
    },
    Explained {
        rfc: "RFC 1035 4.1.1",
        reason: "opcodes other than QUERY are NOTIMP, with or without question and OPT as each server likes",
        covers: |it| it.case.question.opcode != QUERY,
    },
    Explained {
        rfc: "RFC 9619 4",
        reason: "not one question, counts that are not those of the sections, octets left over, records that a query has no use for, \
                 an rcode in a query: FORMERR or ignored or silence, as each server likes",
        covers: |it| matches!(&*it.case.question.group, "headers" | "edns"),
    },
    Explained {
        rfc: "RFC 8020 2",
        reason: "a name that exists only above another zone's apex does not exist in this one; NSD sees the other zone's names",
        covers: |it| of_zone(it, &["parent.test", "gap.below.parent.test"]) && it.aspect == Aspect::Rcode,
    },
    Explained {
        rfc: "RFC 1035 5.1",
        reason: "after an $INCLUDE the owner is that of the including file; NSD takes the included one's last",
        covers: |it| of_zone(it, &["include.test"]),
    },
    Explained {
        rfc: "RFC 4025 2.5",
        reason: "the name of an IPSECKEY gateway is kept as it is written; NSD makes it lower case",
        covers: |it| it.case.question.qtype == IPSECKEY,
    },
];

const ANY: u16 = 255;
const CNAME: u16 = 5;
const DNAME: u16 = 39;
const IPSECKEY: u16 = 45;
const IXFR: u16 = 251;
const AXFR: u16 = 252;
const IN: u16 = 1;
const CH: u16 = 3;
const QUERY: u8 = 0;
const NOTIFY: u8 = 4;
const FORMERR: u16 = 1;
const NOTIMP: u16 = 4;

const fn is_section(it: &Difference<'_, '_>) -> bool {
    matches!(it.aspect, Aspect::Answer | Aspect::Spelling | Aspect::Authority | Aspect::Additional)
}

/// leeward's reply; an empty one where there is none.
fn own<'c>(it: &'c Difference<'_, '_>) -> &'c Message {
    static NOTHING: Message = Message::NOTHING;
    it.case.leeward.reply().unwrap_or(&NOTHING)
}

/// The replies of the references.
fn others<'c>(it: &'c Difference<'_, '_>) -> impl Iterator<Item = &'c Message> {
    it.case.others().filter_map(|(_, said)| said.reply())
}

/// How many aliases an answer has.
fn aliases(reply: &Message) -> usize {
    reply.answer.iter().filter(|record| record.rtype == CNAME).count()
}

fn has_alias(it: &Difference<'_, '_>) -> bool {
    others(it).any(|reply| reply.answer.iter().any(|record| matches!(record.rtype, CNAME | DNAME)))
}

/// Whether the reply says whom to ask instead.
fn is_referral(reply: &Message) -> bool {
    const NS: u16 = 2;
    reply.authority.iter().any(|record| record.rtype == NS)
}

/// Whether a type is asked for that the DNSSEC of old, and of now, lets stand beside an alias.
const fn was_signature(it: &Difference<'_, '_>) -> bool {
    matches!(it.case.question.qtype, 24 | 25 | 30 | 46 | 47)
}

const fn is_meta(qtype: u16) -> bool {
    matches!(qtype, 0 | 41 | 128..=254)
}

/// Whether the question is for a name of one of these zones.
fn of_zone(it: &Difference<'_, '_>, zones: &[&str]) -> bool {
    zones.contains(&it.case.zone)
}

/// Whether the line of the question has this in it.
fn asks(it: &Difference<'_, '_>, what: &str) -> bool {
    it.case.question.text.contains(what)
}

fn without(flags: &str, flag: &str) -> String {
    flags.split(' ').filter(|&other| other != flag).collect::<Vec<_>>().join(" ")
}

fn differs_in_letters_only(it: &Difference<'_, '_>) -> bool {
    let lower = |said: &Said| -> Option<BTreeSet<String>> {
        Some(said.reply()?.spelling.iter().map(|owner| owner.to_ascii_lowercase()).collect())
    };
    it.aspect == Aspect::Spelling && it.case.others().all(|(_, said)| lower(said) == lower(&it.case.leeward))
}
