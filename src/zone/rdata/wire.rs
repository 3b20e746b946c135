//! RDATA in wire form, cut into the fields of its type: the check that no malformed RDATA enters a zone.
//!
//! A field's length comes from its kind, from what lies before it and from the octets themselves; each kind refuses what
//! its presentation form could not have made, so that a record given in hexadecimal is no way around the rules.
//!
//! Never here: errors with reasons; a record in hexadecimal is as its type demands or it is not.

use super::schema::{Field, Kind, fields};
use super::text::{STRING_MAX, split_strings, u16_at};
use super::{apl, bitmap, gateway, loc, svcb};
use crate::wire::{NameRef, RecordType};

/// One field of a record: what it is, what lies before it, its own octets.
pub(super) struct Part<'r> {
    pub(super) field: Field,
    pub(super) before: &'r [u8],
    pub(super) octets: &'r [u8],
}

/// The parts of RDATA in order; `None` where it is not what the type demands, or the type has no fields.
pub(super) fn parts(rtype: RecordType, rdata: &[u8]) -> Option<Vec<Part<'_>>> {
    let mut found = Vec::new();
    let mut at = 0;
    for &field in fields(rtype)? {
        let (before, rest) = rdata.split_at_checked(at)?;
        let octets = rest.get(..length(field.0, before, rest)?)?;
        at += octets.len();
        found.push(Part { field, before, octets });
    }
    (at == rdata.len()).then_some(found)
}

/// Whether `rdata` is what the type demands; any octets are where the type is unknown.
pub(in crate::zone) fn well_formed(rtype: RecordType, rdata: &[u8]) -> bool {
    fields(rtype).is_none() || parts(rtype, rdata).is_some()
}

/// How many octets a field takes of `rest`; `None` where no field of the kind stands there.
fn length(kind: Kind, before: &[u8], rest: &[u8]) -> Option<usize> {
    let all = rest.len();
    match kind {
        Kind::U8 | Kind::Algorithm | Kind::DigestType => Some(1),
        Kind::U16 | Kind::Type | Kind::CertType => Some(2),
        Kind::U32 | Kind::Period | Kind::Time | Kind::Ipv4 => Some(4),
        Kind::Locator => Some(8),
        Kind::Ipv6 => Some(16),
        Kind::Eui(len) => Some(len.into()),
        Kind::Name => Some(NameRef::parse(rest).ok()?.len()),
        Kind::String | Kind::Salt => counted(rest),
        Kind::OptionalString if rest.is_empty() => Some(0),
        Kind::OptionalString => counted(rest),
        Kind::Base32Hex => counted(rest).filter(|&len| len > 1),
        Kind::Tag => counted(rest).filter(|&len| rest.get(1..len).is_some_and(is_tag)),
        Kind::Strings => split_strings(rest).is_some_and(|strings| !strings.is_empty()).then_some(all),
        Kind::Text => Some(all),
        Kind::Hex | Kind::Base64 | Kind::Nsap => (all > 0).then_some(all),
        Kind::Key(none) => (all > 0 || none.is_stated(before)).then_some(all),
        Kind::Digest(digest) => (all > 0 && digest.length(before).is_none_or(|len| len == all)).then_some(all),
        Kind::Bitmap => bitmap::decode(rest).map(|_| all),
        Kind::Loc => loc::is_valid(rest).then_some(all),
        Kind::Apl => apl::is_valid(rest).then_some(all),
        Kind::SvcParams => svcb::check(rest).is_ok().then_some(all),
        Kind::Gateway => gateway::length(*before.get(1)?, rest),
        Kind::Relay => Some(1 + gateway::length(rest.first()? & 0x7F, &rest[1..])?),
        Kind::Hip => hip(rest).map(|_| all),
    }
}

/// The length of a string with an octet for its length.
fn counted(rest: &[u8]) -> Option<usize> {
    let len = 1 + usize::from(*rest.first()?);
    (len <= rest.len()).then_some(len)
}

pub(super) fn is_tag(tag: &[u8]) -> bool {
    (1..=STRING_MAX).contains(&tag.len()) && tag.iter().all(u8::is_ascii_alphanumeric)
}

/// The parts of HIP RDATA (RFC 8005 5).
pub(super) struct Hip<'r> {
    pub(super) algorithm: u8,
    pub(super) tag: &'r [u8],
    pub(super) key: &'r [u8],
    pub(super) servers: Vec<NameRef<'r>>,
}

pub(super) fn hip(rdata: &[u8]) -> Option<Hip<'_>> {
    let [tag_len, algorithm, _, _, rest @ ..] = rdata else { return None };
    let key_len = u16_at(rdata, 2).filter(|&len| len > 0)?;
    let (tag, rest) = rest.split_at_checked(usize::from(*tag_len)).filter(|(tag, _)| !tag.is_empty())?;
    let (key, mut rest) = rest.split_at_checked(key_len.into())?;
    let mut servers = Vec::new();
    while !rest.is_empty() {
        let server = NameRef::parse(rest).ok()?;
        rest = &rest[server.len()..];
        servers.push(server);
    }
    Some(Hip { algorithm: *algorithm, tag, key, servers })
}
