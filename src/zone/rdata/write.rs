//! RDATA → presentation form, field by field as the table says.
//!
//! What is written reads back as the same octets. Where a kind cannot promise that, it writes nothing and the record
//! takes the form of RFC 3597.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXLOWER};

use super::schema::Kind;
use super::text::{quote, split_strings, u16_at, u32_at};
use super::wire::{Part, hip, parts};
use super::{apl, bitmap, gateway, loc, svcb, time};
use crate::wire::{NameRef, RecordType};

/// The fields with blanks between them; `None` where the type has none, the octets are not its RDATA, or the text would
/// not read back.
pub(super) fn write(rtype: RecordType, rdata: &[u8]) -> Option<String> {
    let mut text = String::new();
    for part in parts(rtype, rdata)? {
        let start = text.len();
        if start > 0 {
            text.push(' ');
        }
        let written = text.len();
        put(&part, &mut text)?;
        if text.len() == written {
            text.truncate(start);
        }
    }
    Some(text)
}

fn put(part: &Part<'_>, text: &mut String) -> Option<()> {
    let octets = part.octets;
    match part.field.0 {
        Kind::U8 | Kind::Algorithm | Kind::DigestType => write!(text, "{}", octets.first()?).ok(),
        Kind::U16 | Kind::CertType => write!(text, "{}", u16_at(octets, 0)?).ok(),
        Kind::U32 | Kind::Period => write!(text, "{}", u32_at(octets, 0)?).ok(),
        Kind::Time => {
            text.push_str(&time::write(u32_at(octets, 0)?));
            Some(())
        }
        Kind::Ipv4 => write!(text, "{}", Ipv4Addr::from(*octets.first_chunk::<4>()?)).ok(),
        Kind::Ipv6 => write!(text, "{}", Ipv6Addr::from(*octets.first_chunk::<16>()?)).ok(),
        Kind::Name => write!(text, "{}", NameRef::parse(octets).ok()?).ok(),
        Kind::String | Kind::OptionalString | Kind::Strings => {
            text.push_str(&split_strings(octets)?.into_iter().map(quote).collect::<Vec<_>>().join(" "));
            Some(())
        }
        Kind::Text => {
            text.push_str(&quote(octets));
            Some(())
        }
        Kind::Tag => {
            text.push_str(std::str::from_utf8(octets.get(1..)?).ok()?);
            Some(())
        }
        Kind::Hex | Kind::Digest(_) => {
            HEXLOWER.encode_append(octets, text);
            Some(())
        }
        Kind::Salt if octets == [0] => {
            text.push('-');
            Some(())
        }
        Kind::Salt => {
            HEXLOWER.encode_append(octets.get(1..)?, text);
            Some(())
        }
        Kind::Base64 | Kind::Key(_) => {
            BASE64.encode_append(octets, text);
            Some(())
        }
        Kind::Base32Hex => {
            text.push_str(&BASE32HEX_NOPAD.encode(octets.get(1..)?).to_ascii_lowercase());
            Some(())
        }
        Kind::Type => write!(text, "{}", RecordType(u16_at(octets, 0)?)).ok(),
        Kind::Bitmap => bitmap::write(octets, text),
        Kind::Eui(_) => {
            text.push_str(&octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join("-"));
            Some(())
        }
        Kind::Locator => {
            let groups = octets.chunks_exact(2).map(|group| HEXLOWER.encode(group));
            text.push_str(&groups.collect::<Vec<_>>().join(":"));
            Some(())
        }
        Kind::Nsap => {
            text.push_str("0x");
            HEXLOWER.encode_append(octets, text);
            Some(())
        }
        Kind::Loc => loc::write(octets, text),
        Kind::Apl => apl::write(octets, text),
        Kind::SvcParams => svcb::write(octets, text),
        Kind::Gateway => {
            text.push_str(&gateway::write(*part.before.get(1)?, octets)?);
            Some(())
        }
        Kind::Relay => put_relay(octets, text),
        Kind::Hip => put_hip(octets, text),
    }
}

fn put_relay(octets: &[u8], text: &mut String) -> Option<()> {
    let (&first, relay) = octets.split_first()?;
    let (discovery, form) = (first >> 7, first & 0x7F);
    write!(text, "{discovery} {form} {}", gateway::write(form, relay)?).ok()
}

fn put_hip(octets: &[u8], text: &mut String) -> Option<()> {
    let hip = hip(octets)?;
    write!(text, "{} {} {}", hip.algorithm, HEXLOWER.encode(hip.tag), BASE64.encode(hip.key)).ok()?;
    hip.servers.into_iter().try_for_each(|server| write!(text, " {server}").ok())
}
