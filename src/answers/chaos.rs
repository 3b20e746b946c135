//! Class CH: what the server says of itself.
//!
//! | name | TXT |
//! | --- | --- |
//! | `version.bind`, `version.server` | `leeward` and its version |
//! | `id.server`, `hostname.bind` | the identifier that NSID gives, where there is one |
//!
//! RFC 4892 describes these; everything else in the class is refused.

use crate::wire::{NameRef, RecordType, Ttl};

use super::options::Options;

const VERSION: &str = concat!("leeward ", env!("CARGO_PKG_VERSION"));
/// As nothing in this class is worth keeping.
pub(super) const TTL: Ttl = match Ttl::new(0) {
    Some(ttl) => ttl,
    None => Ttl::MAX,
};

/// What a question of class CH is answered with; `None`: it is refused.
pub(super) fn text<'o>(options: &'o Options, qname: NameRef<'_>, qtype: RecordType) -> Option<&'o [u8]> {
    if !options.chaos || !matches!(qtype, RecordType::TXT | RecordType::ANY) {
        return None;
    }
    let is = |wire: &[u8]| qname.as_wire().eq_ignore_ascii_case(wire);
    if is(b"\x07version\x04bind\0") || is(b"\x07version\x06server\0") {
        Some(VERSION.as_bytes())
    } else if is(b"\x02id\x06server\0") || is(b"\x08hostname\x04bind\0") {
        options.nsid.as_deref()
    } else {
        None
    }
}
