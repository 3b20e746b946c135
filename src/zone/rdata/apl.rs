//! APL: lists of address prefixes (RFC 3123).
//!
//! An item on the wire is a family, a prefix length, a bit for negation with the number of octets, and the address
//! without zero octets at its end. Families without a presentation form (1 is IPv4, 2 is IPv6) are kept and written in
//! the form of RFC 3597.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{ascii, digits};

/// Reads one item, `[!]family:address/prefix`.
pub(super) fn read_item(word: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (negated, item) = match word.strip_prefix(b"!") {
        Some(item) => (0x80, item),
        None => (0, word),
    };
    let (family, rest) = ascii(item)?.split_once(':')?;
    let (address, prefix) = rest.split_once('/')?;
    let (family, octets) = match digits(family.as_bytes())? {
        1 => (1u16, address.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        2 => (2u16, address.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        _ => return None,
    };
    let prefix = u8::try_from(digits(prefix.as_bytes())?).ok().filter(|&prefix| usize::from(prefix) <= octets.len() * 8)?;
    let len = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    out.extend(family.to_be_bytes());
    out.extend([prefix, negated | len as u8]);
    out.extend_from_slice(&octets[..len]);
    Some(())
}

/// One item as it is on the wire.
struct Item<'r> {
    family: u16,
    prefix: u8,
    negated: bool,
    address: &'r [u8],
}

/// The items; `None` where the octets are not made of them.
fn items(mut rdata: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut items = Vec::new();
    while let [high, low, prefix, len, rest @ ..] = rdata {
        let (address, after) = rest.split_at_checked(usize::from(len & 0x7F))?;
        let item = Item { family: u16::from_be_bytes([*high, *low]), prefix: *prefix, negated: len & 0x80 != 0, address };
        let octets = match item.family {
            1 => 4,
            2 => 16,
            _ => 127,
        };
        let fits = item.family > 2 || usize::from(item.prefix) <= octets * 8;
        if !fits || address.len() > octets || address.last() == Some(&0) {
            return None;
        }
        items.push(item);
        rdata = after;
    }
    rdata.is_empty().then_some(items)
}

pub(super) fn is_valid(rdata: &[u8]) -> bool {
    items(rdata).is_some()
}

pub(super) fn write(rdata: &[u8], text: &mut String) -> Option<()> {
    for (index, item) in items(rdata)?.into_iter().enumerate() {
        let gap = if index == 0 { "" } else { " " };
        let sign = if item.negated { "!" } else { "" };
        let mut octets = [0; 16];
        octets.get_mut(..item.address.len())?.copy_from_slice(item.address);
        match item.family {
            1 => write!(text, "{gap}{sign}1:{}/{}", Ipv4Addr::from(*octets.first_chunk::<4>()?), item.prefix).ok()?,
            2 => write!(text, "{gap}{sign}2:{}/{}", Ipv6Addr::from(octets), item.prefix).ok()?,
            _ => return None,
        }
    }
    Some(())
}
