//! Sets of types as windows of bits (RFC 4034 4.1.2): NSEC, NSEC3, CSYNC.
//!
//! There is one right encoding of a set: windows in order, none empty, no zero octets at their ends. Another encoding is
//! refused, because it would not be the same octets when it is written as text and read again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::wire::RecordType;

/// The encoding of a set of types.
pub(super) fn encode(types: &[RecordType]) -> Vec<u8> {
    let mut windows: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
    for rtype in types {
        let [window, low] = rtype.0.to_be_bytes();
        windows.entry(window).or_default()[usize::from(low / 8)] |= 0x80 >> (low % 8);
    }
    let mut out = Vec::new();
    for (window, bits) in windows {
        let len = bits.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        out.extend([window, len as u8]);
        out.extend_from_slice(&bits[..len]);
    }
    out
}

/// The types of a set; `None` where it is not encoded as it must be.
pub(super) fn decode(mut bitmap: &[u8]) -> Option<Vec<RecordType>> {
    let mut types = Vec::new();
    let mut last = None;
    while let [window, len @ 1..=32, rest @ ..] = bitmap {
        let (bits, after) = rest.split_at_checked(usize::from(*len))?;
        if last >= Some(*window) || bits.last() == Some(&0) {
            return None;
        }
        let set =
            (0..=u8::MAX).filter(|low| bits.get(usize::from(low / 8)).is_some_and(|octet| octet & (0x80 >> (low % 8)) != 0));
        types.extend(set.map(|low| RecordType(u16::from_be_bytes([*window, low]))));
        last = Some(*window);
        bitmap = after;
    }
    bitmap.is_empty().then_some(types)
}

/// The mnemonics, a blank before each but the first.
pub(super) fn write(bitmap: &[u8], text: &mut String) -> Option<()> {
    for (index, rtype) in decode(bitmap)?.into_iter().enumerate() {
        let gap = if index == 0 { "" } else { " " };
        write!(text, "{gap}{rtype}").ok()?;
    }
    Some(())
}
