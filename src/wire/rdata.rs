//! Where the names are inside RDATA, type by type.
//!
//! A message writer must know which names it may compress (only those of the types in RFC 1035, by
//! RFC 3597 4), and a zone must know which octets are names to compare and lower-case them. Both read the
//! same table. A type that the table does not name is opaque; so are those whose names stand only under conditions
//! (IPSECKEY, AMTRELAY, HIP), which neither compression nor the canonical form touches.

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
    /// An octet for the length, and so many octets.
    String,
    /// Everything that is left, opaque.
    Rest,
}

/// The fields of a type's RDATA.
#[must_use]
pub const fn layout(rtype: RecordType) -> &'static [Field] {
    use Field::{Name, Octets, PlainName, Rest, String};
    match rtype {
        RecordType::NS | RecordType::CNAME | RecordType::PTR => &[Name],
        RecordType::MD | RecordType::MF | RecordType::MB | RecordType::MG | RecordType::MR => &[Name],
        RecordType::MINFO => &[Name, Name],
        RecordType::SOA => &[Name, Name, Octets(20)],
        RecordType::MX => &[Octets(2), Name],
        RecordType::SRV => &[Octets(6), PlainName],
        RecordType::DNAME => &[PlainName],
        RecordType::RP => &[PlainName, PlainName],
        RecordType::AFSDB | RecordType::RT | RecordType::KX | RecordType::LP => &[Octets(2), PlainName],
        RecordType::PX => &[Octets(2), PlainName, PlainName],
        RecordType::TALINK => &[PlainName, PlainName],
        RecordType::NAPTR => &[Octets(4), String, String, String, PlainName],
        RecordType::SIG | RecordType::RRSIG => &[Octets(18), PlainName, Rest],
        RecordType::NXT | RecordType::NSEC => &[PlainName, Rest],
        RecordType::SVCB | RecordType::HTTPS => &[Octets(2), PlainName, Rest],
        _ => &[Rest],
    }
}

/// Whether the names in a type's RDATA are in lower case in its canonical form: the list of RFC 4034 6.2, without NSEC
/// (RFC 6840 5.1). In the RDATA of all other types case is data.
#[must_use]
pub const fn has_caseless_names(rtype: RecordType) -> bool {
    use RecordType as T;
    let of_1035 = matches!(rtype, T::NS | T::MD | T::MF | T::CNAME | T::SOA | T::MB | T::MG | T::MR | T::PTR | T::MINFO | T::MX);
    let later = matches!(rtype, T::RP | T::AFSDB | T::RT | T::SIG | T::PX | T::NXT | T::NAPTR | T::KX | T::SRV | T::DNAME);
    of_1035 || later || matches!(rtype, T::RRSIG)
}
