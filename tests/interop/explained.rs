//! The differences that are meant: each with the RFC that allows or asks for it, and why leeward does so.
//!
//! An entry that nothing uses is stale, and fails the test.

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
        covers: |it| is_section(it) && all_truncated(it),
    },
    Explained {
        rfc: "RFC 8482 4.1",
        reason: "ANY is answered with one RRset of the name, so that it is of no use for amplification",
        covers: |it| it.case.question.qtype == ANY && is_section(it),
    },
    Explained {
        rfc: "RFC 6891 6.1.1",
        reason: "a reply to a query with an OPT record has one, also where the OPT record is what is wrong",
        covers: |it| it.aspect == Aspect::Edns && it.unanimous && is_formerr(it) && has_opt(&it.case.leeward),
    },
];

const ANY: u16 = 255;

const fn is_section(it: &Difference<'_, '_>) -> bool {
    matches!(it.aspect, Aspect::Answer | Aspect::Spelling | Aspect::Authority | Aspect::Additional)
}

fn all_truncated(it: &Difference<'_, '_>) -> bool {
    let said = std::iter::once(&it.case.leeward).chain(it.case.others().map(|(_, said)| said));
    said.into_iter().all(|said| said.reply().is_some_and(|reply| reply.truncated))
}

fn is_formerr(it: &Difference<'_, '_>) -> bool {
    it.case.leeward.reply().is_some_and(|reply| reply.rcode == 1)
}

fn has_opt(said: &Said) -> bool {
    said.reply().is_some_and(|reply| reply.opt.is_some())
}
