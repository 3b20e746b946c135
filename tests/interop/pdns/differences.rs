//! The differences that are meant, each with the section of the specification that names PowerDNS's defect.
//!
//! Of the list the first entry that covers a case counts it. An entry that nothing uses is stale, and fails the test, as
//! does a difference that no entry covers.

use super::compare::{Case, Said};

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
        section: "10 (#7230)",
        reason: "the TTLs of an RRset are one (RFC 2181 5.2), the least; PowerDNS mixes them where records come from two places",
        covers: |it| of(it, "names.test", &["beside-ttl", "two-ttls"]) && without_ttl(&it.leeward) == without_ttl(&it.powerdns),
    },
    Difference {
        section: "2.2",
        reason: "aliases in a loop are given as they are, as everywhere in leeward; PowerDNS gives up with SERVFAIL",
        covers: |it| of(it, "names.test", &["alias-loop", "*.wild-self"]) && it.powerdns.rcode == SERVFAIL,
    },
    Difference {
        section: "4.3 (step 4)",
        reason: "when nothing is up, the pool is that of the first group since 5.1; up to 5.0 it is that of all groups",
        covers: |it| of(it, "health.test", &["url-groups-none", "ext-none"]),
    },
    Difference {
        section: "4.6",
        reason: "who sends an IPv4 address in IPv6 form is in the networks of that IPv4 address, as everywhere in leeward; PowerDNS \
                 looks only at networks of IPv6",
        covers: |it| it.asked.client.starts_with("::ffff:") && !of(it, "lists.test", &["mask-mapped"]) && looks_at_networks(it),
    },
    Difference {
        section: "7.2",
        reason: "the shorter way to a place may cross the antimeridian in either direction; up to 5.1.4 in one only",
        covers: |it| of(it, "geo.test", &["closest-text"]),
    },
    Difference {
        section: "8.2",
        reason: "an address that would begin or end with a dash, or look like an encoded name, gets zeros; 4.7 leaves it so. What \
                 is no nibble makes `error`; 4.7 says `unknown`",
        covers: |it| of(it, "synth.test", &["*.r6"]),
    },
    Difference {
        section: "8.1",
        reason: "labels that are no octets make `error`; 4.7 takes whatever stands there",
        covers: |it| of(it, "synth.test", &["*.rev"]),
    },
    Difference {
        section: "8.2",
        reason: "a malformed format makes `error`, as for IPv4; 4.7 says `unknown`",
        covers: |it| of(it, "synth.test", &["*.r6malformed"]),
    },
    Difference {
        section: "8.3",
        reason: "createForward never raises; 4.7 does where what should be hexadecimal is too short",
        covers: |it| of(it, "forward4.test", &["*"]) && it.powerdns.rcode == SERVFAIL,
    },
    Difference {
        section: "4.5",
        reason: "weights that are zero, negative or no number are errors since 5.1, as a member that is never chosen is a mistake",
        covers: |it| it.asked.program.owner.starts_with("w-") && of_zone(it, "errors.test") && it.leeward.rcode == SERVFAIL,
    },
    Difference {
        section: "10 (#9476)",
        reason: "a URL that nobody could ask for is found at load and refused; PowerDNS takes its targets for down, for ever",
        covers: |it| of(it, "health.test", &["url-ftp", "url-nonsense"]) && it.leeward.rcode == SERVFAIL,
    },
    Difference {
        section: "2.2",
        reason: "who asks for ANY gets the alias itself, as from every other server (RFC 1034 4.3.2 3a); PowerDNS follows it",
        covers: |it| of(it, "names.test", &["any-alias"]),
    },
    Difference {
        section: "2.2",
        reason: "snippets are for `include` alone, so asking for type LUA finds nothing; PowerDNS fails to run them as expressions",
        covers: |it| of(it, "names.test", &["snippet"]) && it.powerdns.rcode == SERVFAIL,
    },
    Difference {
        section: "4.6",
        reason: "a network of IPv4 addresses in IPv6 form holds those IPv4 addresses, as everywhere in leeward",
        covers: |it| of(it, "lists.test", &["mask-mapped"]),
    },
    Difference {
        section: "1.4",
        reason: "words without quotes are strings of an SPF record, as in its zone file; PowerDNS wants quotes there, and only there",
        covers: |it| of(it, "types.test", &["spf"]) && it.powerdns.rcode == SERVFAIL,
    },
    Difference {
        section: "1.1",
        reason: "a word without quotes is one string; 4.7 with the bind backend fails",
        covers: |it| of(it, "types.test", &["unquoted"]) && it.powerdns.rcode == SERVFAIL,
    },
];

fn of(case: &Case<'_>, zone: &str, owners: &[&str]) -> bool {
    of_zone(case, zone) && owners.contains(&&*case.asked.program.owner)
}

fn of_zone(case: &Case<'_>, zone: &str) -> bool {
    case.asked.program.zone == zone
}

fn without_ttl(said: &Said) -> Vec<(&str, &str)> {
    said.answer.iter().map(|record| (&*record.owner, &*record.data)).collect()
}

fn looks_at_networks(case: &Case<'_>) -> bool {
    ["netmask(", "view("].iter().any(|function| case.asked.program.text.contains(function))
}
