//! Where the names are inside RDATA, type by type.
//!
//! A message writer must know which names it may compress (only those of the types in RFC 1035, by
//! RFC 3597 4), and a zone must know which octets are names to compare and lower-case them. Both read the
//! same table. A type that the table does not name is opaque.

use super::types::RecordType;

/// One field of RDATA, in wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// This many octets without a name.
    Octets(u8),
    /// A name that may be compressed.
    Name,
    /// A name that is always written in full.
    PlainName,
    /// Everything that is left, opaque.
    Rest,
}

/// The fields of a type's RDATA.
#[must_use]
pub const fn layout(rtype: RecordType) -> &'static [Field] {
    use Field::{Name, Octets, PlainName, Rest};
    match rtype {
        RecordType::NS | RecordType::CNAME | RecordType::PTR => &[Name],
        RecordType::MD | RecordType::MF | RecordType::MB | RecordType::MG | RecordType::MR => &[Name],
        RecordType::MINFO => &[Name, Name],
        RecordType::SOA => &[Name, Name, Octets(20)],
        RecordType::MX => &[Octets(2), Name],
        RecordType::SRV => &[Octets(6), PlainName],
        RecordType::DNAME => &[PlainName],
        RecordType::RP => &[PlainName, PlainName],
        RecordType::AFSDB | RecordType::RT | RecordType::KX => &[Octets(2), PlainName],
        RecordType::PX => &[Octets(2), PlainName, PlainName],
        _ => &[Rest],
    }
}
