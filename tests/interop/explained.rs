//! The differences that are meant: each with the RFC that allows or asks for it, and why leeward does so.
//!
//! An entry that nothing uses is stale, and fails the test.

use std::collections::BTreeSet;

use super::compare::{Aspect, Difference, Said};

/// Why a kind of difference is no defect.
pub struct Explained {
    pub rfc: &'static str,
    pub reason: &'static str,
    pub covers: fn(&Difference<'_, '_>) -> bool,
}

/// All of them; the first that covers a difference counts it.
pub const EXPLAINED: &[Explained] = &[
    Explained {
        rfc: "RFC 2181 9",
        reason: "what a truncated reply still holds is not to be used, and each server leaves something else in it",
        covers: |it| is_section(it) && are_truncated(it),
    },
    Explained {
        rfc: "RFC 8482 4.1",
        reason: "ANY is answered with one RRset of the name, so that it is of no use for amplification",
        covers: |it| it.case.question.qtype == ANY && is_section(it),
    },
    Explained {
        rfc: "RFC 6891 6.1.1",
        reason: "a reply to a query with an OPT record has one, also where the OPT record is what is wrong",
        covers: |it| {
            it.aspect == Aspect::Edns && it.unanimous && rcode(&it.case.leeward) == Some(FORMERR) && has_opt(&it.case.leeward)
        },
    },
    Explained {
        rfc: "RFC 4343 3",
        reason: "the owner of what an alias leads to has the letters of the alias's target, to which it is a pointer",
        covers: |it| it.aspect == Aspect::Spelling && differs_in_letters_only(it),
    },
    Explained {
        rfc: "RFC 1034 3.6.2",
        reason: "a chain of aliases is followed 16 times and then given as it is; Knot follows 4, BIND 11, NSD every one",
        covers: |it| {
            is_section(it)
                && aliases(&it.case.leeward) > 16
                && it.case.others().any(|(_, said)| aliases(said) != aliases(&it.case.leeward))
        },
    },
    Explained {
        rfc: "RFC 1035 4.1.1",
        reason: "NOTIFY is not implemented, as a server without transfers has no use for it",
        covers: |it| it.case.question.opcode == NOTIFY && it.aspect == Aspect::Rcode && rcode(&it.case.leeward) == Some(NOTIMP),
    },
    Explained {
        rfc: "RFC 1035 4.1.1",
        reason: "what a server says of itself in class CH it says with authority",
        covers: |it| it.case.question.class == CH && it.aspect == Aspect::Flags,
    },
];

const ANY: u16 = 255;
const CNAME: u16 = 5;
const CH: u16 = 3;
const NOTIFY: u8 = 4;
const FORMERR: u16 = 1;
const NOTIMP: u16 = 4;

const fn is_section(it: &Difference<'_, '_>) -> bool {
    matches!(it.aspect, Aspect::Answer | Aspect::Spelling | Aspect::Authority | Aspect::Additional)
}

fn are_truncated(it: &Difference<'_, '_>) -> bool {
    let truncated = |said: &Said| said.reply().is_some_and(|reply| reply.truncated);
    truncated(&it.case.leeward) && it.case.others().any(|(_, said)| truncated(said))
}

fn rcode(said: &Said) -> Option<u16> {
    said.reply().map(|reply| reply.rcode)
}

fn has_opt(said: &Said) -> bool {
    said.reply().is_some_and(|reply| reply.opt.is_some())
}

/// How many aliases an answer has.
fn aliases(said: &Said) -> usize {
    said.reply().map_or(0, |reply| reply.answer.iter().filter(|record| record.rtype == CNAME).count())
}

fn differs_in_letters_only(it: &Difference<'_, '_>) -> bool {
    let lower = |said: &Said| -> Option<BTreeSet<String>> {
        Some(said.reply()?.spelling.iter().map(|owner| owner.to_ascii_lowercase()).collect())
    };
    it.case.others().any(|(_, said)| lower(said) == lower(&it.case.leeward))
}
