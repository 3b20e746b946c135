//! The records of a whole message, as far as a transport must look at them: how long a reply may be cached (RFC 8484
//! 5.1), and whether a query holds an option that its transport forbids (RFC 9250 5.5.2).
//!
//! A walk that ends where the message does, or where it is malformed: then what came before counts.

use crate::wire::{HEADER_LEN, Rcode, RecordType};

const OPTION_TCP_KEEPALIVE: u16 = 11;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Answer,
    Authority,
    Additional,
}

struct Record<'a> {
    section: Section,
    rtype: RecordType,
    ttl: u32,
    rdata: &'a [u8],
}

/// Seconds that a reply may be kept: the smallest TTL of its answers; without any, that of the SOA record as RFC 2308 5
/// counts it; 0 for anything that is neither an answer nor a denial.
pub(super) fn lifetime(reply: &[u8]) -> u32 {
    let rcode = reply.get(3).map_or(0, |flags| flags & 0xF);
    if ![Rcode::NOERROR, Rcode::NXDOMAIN].iter().any(|good| good.0 == u16::from(rcode)) {
        return 0;
    }
    let answers = records(reply).filter(|record| record.section == Section::Answer);
    let denial = || {
        let soa = records(reply).find(|record| record.section == Section::Authority && record.rtype == RecordType::SOA)?;
        let minimum = soa.rdata.last_chunk::<4>().map(|minimum| u32::from_be_bytes(*minimum))?;
        Some(soa.ttl.min(minimum))
    };
    answers.map(|record| record.ttl).min().or_else(denial).unwrap_or(0)
}

/// Whether a query has the option edns-tcp-keepalive (RFC 7828).
pub(super) fn has_keepalive(query: &[u8]) -> bool {
    records(query).filter(|record| record.rtype == RecordType::OPT).any(|opt| {
        let mut options = opt.rdata;
        while let Some((&[code_high, code_low, len_high, len_low], rest)) = options.split_first_chunk::<4>() {
            if u16::from_be_bytes([code_high, code_low]) == OPTION_TCP_KEEPALIVE {
                return true;
            }
            options = rest.get(usize::from(u16::from_be_bytes([len_high, len_low]))..).unwrap_or(&[]);
        }
        false
    })
}

fn records(message: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let count = |at: usize| message.get(at..at + 2).map_or(0, |count| u16::from_be_bytes([count[0], count[1]]));
    let mut rest = message.get(HEADER_LEN..).unwrap_or(&[]);
    for _ in 0..count(4) {
        rest = after_name(rest).and_then(|rest| rest.get(4..)).unwrap_or(&[]);
    }
    let sections = [(Section::Answer, count(6)), (Section::Authority, count(8)), (Section::Additional, count(10))];
    let places = sections.into_iter().flat_map(|(section, count)| std::iter::repeat_n(section, usize::from(count)));
    places.map_while(move |section| {
        let (head, data) = after_name(rest)?.split_first_chunk::<10>()?;
        let [t0, t1, _, _, ttl0, ttl1, ttl2, ttl3, len0, len1] = *head;
        let (rdata, after) = data.split_at_checked(usize::from(u16::from_be_bytes([len0, len1])))?;
        rest = after;
        let (rtype, ttl) = (RecordType(u16::from_be_bytes([t0, t1])), u32::from_be_bytes([ttl0, ttl1, ttl2, ttl3]));
        Some(Record { section, rtype, ttl, rdata })
    })
}

/// What follows the name at the front: labels up to the root, or up to a pointer (RFC 1035 4.1.4).
fn after_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (&len, rest) = bytes.split_first()?;
        match len {
            0 => return Some(rest),
            1..=63 => bytes = rest.get(usize::from(len)..)?,
            192.. => return rest.get(1..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply to `a. A` with these records: section, type, TTL, RDATA.
    fn reply(rcode: u8, sections: [&[(u16, u32, &[u8])]; 3]) -> Vec<u8> {
        let counts = sections.map(|records| records.len() as u8);
        let mut bytes = vec![0, 0, 0x84, rcode, 0, 1, 0, counts[0], 0, counts[1], 0, counts[2]];
        bytes.extend([1, b'a', 0, 0, 1, 0, 1]);
        for &(rtype, ttl, rdata) in sections.concat().iter() {
            bytes.extend([0xC0, 12]);
            bytes.extend(rtype.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(ttl.to_be_bytes());
            bytes.extend((rdata.len() as u16).to_be_bytes());
            bytes.extend(rdata);
        }
        bytes
    }

    #[test]
    fn rfc8484_lifetimes() {
        let soa: &[u8] = &[&[0; 18][..], &[0, 0, 0, 30]].concat();
        let a: &[u8] = &[192, 0, 2, 1];
        for (reply, seconds) in [
            (reply(0, [&[(1, 60, a), (1, 20, a)], &[(2, 5, a)], &[]]), 20),
            (reply(0, [&[], &[(6, 60, soa)], &[]]), 30),
            (reply(3, [&[], &[(6, 10, soa)], &[]]), 10),
            (reply(3, [&[(5, 7, a)], &[(6, 10, soa)], &[]]), 7),
            (reply(0, [&[], &[(2, 60, a)], &[(1, 60, a)]]), 0),
            (reply(2, [&[], &[(6, 60, soa)], &[]]), 0),
            (reply(5, [&[], &[], &[]]), 0),
            (Vec::new(), 0),
        ] {
            assert_eq!(lifetime(&reply), seconds);
            (0..reply.len()).for_each(|cut| assert!(lifetime(&reply[..cut]) <= 60));
        }
    }

    #[test]
    fn options_are_found() {
        let cookie: &[u8] = &[0, 10, 0, 2, 1, 2];
        let keepalive: &[u8] = &[cookie, &[0, 11, 0, 0]].concat();
        for (rdata, found) in [(cookie, false), (keepalive, true), (&[0, 10, 0, 9, 0, 11, 0, 0], false), (&[], false)] {
            assert_eq!(has_keepalive(&reply(0, [&[], &[], &[(41, 0, rdata)]])), found);
        }
    }
}
