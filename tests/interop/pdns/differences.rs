//! The differences that are meant, each with the section of the specification that names PowerDNS's defect.
//!
//! Of the list the first entry that covers a case counts it. An entry that nothing uses is stale, and fails the test, as
//! does a difference that no entry covers.

use super::compare::Case;

/// Why a kind of difference is no defect of leeward.
pub struct Difference {
    /// Where the behaviour of record programs is written down, and which line of it speaks of this.
    pub section: &'static str,
    pub reason: &'static str,
    pub covers: fn(&Case<'_>) -> bool,
}

const SERVFAIL: u16 = 2;

/// All of them.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        section: "8.2",
        reason: "an address that would begin or end with a dash, or look like an encoded name, gets zeros; 4.7 leaves it so",
        covers: |it| of(it, "synth.test", "*.r6"),
    },
    Difference {
        section: "8.1",
        reason: "labels that are no octets make `error`; 4.7 takes whatever stands there",
        covers: |it| of(it, "synth.test", "*.rev"),
    },
    Difference {
        section: "8.2",
        reason: "a malformed format makes `error`, as for IPv4; 4.7 says `unknown`",
        covers: |it| of(it, "synth.test", "*.r6malformed"),
    },
    Difference {
        section: "8.3",
        reason: "createForward never raises; 4.7 does where what should be hexadecimal is too short",
        covers: |it| of(it, "forward4.test", "*") && it.powerdns.rcode == SERVFAIL,
    },
    Difference {
        section: "4.5",
        reason: "weights that are zero, negative or no number are errors since 5.1, as a pool that is never chosen is a mistake",
        covers: |it| it.program.zone == "errors.test" && it.program.owner.starts_with("w-") && it.leeward.rcode == SERVFAIL,
    },
];

fn of(case: &Case<'_>, zone: &str, owner: &str) -> bool {
    case.program.zone == zone && case.program.owner == owner
}
