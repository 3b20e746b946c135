//! Gateways and relays whose form another field states: 0 none, 1 IPv4, 2 IPv6, 3 a name (RFC 4025 2.5, RFC 8777 4.2).
//!
//! The name of form 3 is never compressed, and is not lower-cased in the canonical form: for messages the RDATA is opaque.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::lexer::Token;
use super::RdataError;
use super::text::ascii;
use crate::wire::{Name, NameRef};

/// The largest number of a form.
pub(super) const FORM_MAX: u8 = 3;

/// Reads a gateway of the stated form.
pub(super) fn read(
    form: u8,
    word: &Token<'_>,
    field: &'static str,
    origin: Option<NameRef<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    match form {
        0 if word.text == b"." => Ok(()),
        0 => Err(RdataError::Value { field, word: word.show(), expected: "`.`, as type 0 demands" }),
        1 => match ascii(word.text).and_then(|text| text.parse::<Ipv4Addr>().ok()) {
            Some(address) => {
                out.extend(address.octets());
                Ok(())
            }
            None => Err(RdataError::Ipv4(word.show())),
        },
        2 => match ascii(word.text).and_then(|text| text.parse::<Ipv6Addr>().ok()) {
            Some(address) => {
                out.extend(address.octets());
                Ok(())
            }
            None => Err(RdataError::Ipv6(word.show())),
        },
        3 => match Name::from_text(word.text, origin) {
            Ok(name) => {
                out.extend_from_slice(name.as_ref().as_wire());
                Ok(())
            }
            Err(source) => Err(RdataError::Name { field, word: word.show(), source }),
        },
        _ => Err(RdataError::Value { field, word: word.show(), expected: "readable: types 0 to 3 are known" }),
    }
}

/// How many octets a gateway of the form takes of `rest`.
pub(super) fn length(form: u8, rest: &[u8]) -> Option<usize> {
    let len = match form {
        0 => 0,
        1 => 4,
        2 => 16,
        3 => NameRef::parse(rest).ok()?.len(),
        _ => return None,
    };
    (len <= rest.len()).then_some(len)
}

/// The gateway in presentation form.
pub(super) fn write(form: u8, octets: &[u8]) -> Option<String> {
    Some(match form {
        0 => ".".into(),
        1 => Ipv4Addr::from(*octets.first_chunk::<4>()?).to_string(),
        2 => Ipv6Addr::from(*octets.first_chunk::<16>()?).to_string(),
        _ => NameRef::parse(octets).ok()?.to_string(),
    })
}
