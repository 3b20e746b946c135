//! DNSRecord: a record of a message.
//!
//! Of its content, addresses are checked, and the names of the types in `wire::layout` and the strings of TXT are brought
//! into their usual form; what else there is, is kept as it was written: a record never leaves its program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::Address;
use super::{methods, qtype};
use crate::program::address;
use crate::program::value::{Argument, Misuse, Value, arguments};
use crate::wire::{Field, Name, RecordType, layout};

/// A record of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    name: Name,
    rtype: RecordType,
    ttl: u32,
    content: Box<[u8]>,
    place: u8,
}

methods! {
    Record,
    gives {
        "getContent" => |own| Value::text(&own.content),
        "getCA" => |own| own.address().map_or(Value::Nil, Value::from),
    }
    reads {}
    changes {
        "changeContent" => change_content,
    }
}

/// `newDR(name, type, ttl, content, place)`.
pub(super) fn construct(values: &[Value]) -> Result<Value, Misuse> {
    let [name, rtype, ttl, content, place] = arguments("newDR", 5, values)?;
    let name = name.object::<Name>()?.clone();
    let rtype = qtype::read(&rtype.text()?).ok_or_else(|| rtype.senseless("record type"))?;
    let (ttl, place) = (ttl.integer()?, place.integer()?);
    Ok(Record { name, rtype, ttl, content: canonical(rtype, content)?, place }.into())
}

impl Record {
    /// The address of an A or AAAA record, with the port of DNS.
    fn address(&self) -> Option<Address> {
        let ip: IpAddr = str::from_utf8(&self.content).ok()?.parse().ok()?;
        let is_address = matches!(self.rtype, RecordType::A | RecordType::AAAA);
        is_address.then_some(Address { ip, port: 53 })
    }

    /// The value of a field.
    pub(super) fn field(&self, name: &[u8]) -> Option<Value> {
        match name {
            b"name" => Some(self.name.clone().into()),
            b"type" => Some(Value::Number(self.rtype.0.into())),
            b"ttl" => Some(Value::Number(self.ttl.into())),
            b"place" => Some(Value::Number(self.place.into())),
            _ => None,
        }
    }

    /// Sets a field; whether there is such a field.
    pub(super) fn set_field(&mut self, name: &[u8], value: &Value) -> Result<bool, Misuse> {
        match name {
            b"name" => self.name = Argument::alone("name", value).object::<Name>()?.clone(),
            b"type" => self.rtype = RecordType(Argument::alone("type", value).integer()?),
            b"ttl" => self.ttl = Argument::alone("ttl", value).integer()?,
            b"place" => self.place = Argument::alone("place", value).integer()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn change_content(own: &mut Record, values: &[Value]) -> Result<Value, Misuse> {
    let [content] = arguments("changeContent", 1, values)?;
    own.content = canonical(own.rtype, content)?;
    Ok(Value::Nil)
}

/// The content of a record of `rtype` in its usual form.
fn canonical(rtype: RecordType, argument: Argument<'_>) -> Result<Box<[u8]>, Misuse> {
    let content = argument.text()?;
    let text = str::from_utf8(&content).ok();
    let form = match rtype {
        RecordType::A => text.and_then(|text| text.parse::<Ipv4Addr>().ok()).map(|v4| v4.to_string().into()),
        RecordType::AAAA => text.and_then(|text| text.parse::<Ipv6Addr>().ok()).map(|v6| address::text(v6.into()).into()),
        RecordType::TXT => quoted(&content),
        _ => Some(with_dots(rtype, &content)),
    };
    form.map(Vec::into_boxed_slice).ok_or_else(|| argument.senseless("content of the type"))
}

/// The strings of a TXT record: a single word needs no quotes.
fn quoted(content: &[u8]) -> Option<Vec<u8>> {
    let bare = !content.starts_with(b"\"") && !content.is_empty();
    if bare && content.contains(&b' ') {
        return None;
    }
    Some(if bare { [b"\"", content, b"\""].concat() } else { content.to_vec() })
}

/// Names are absolute: those in front of everything else and the one at the end get their dots.
fn with_dots(rtype: RecordType, content: &[u8]) -> Vec<u8> {
    let fields = layout(rtype);
    let is_name = |field: &Field| matches!(field, Field::Name | Field::PlainName);
    let leading = fields.iter().take_while(|field| is_name(field)).count();
    let words: Vec<&[u8]> = content.split(|&octet| octet == b' ').collect();
    let last = fields.last().filter(|field| is_name(field)).map(|_| words.len() - 1);
    let dotted = words.iter().enumerate().map(|(at, &word)| {
        let name = at < leading || Some(at) == last;
        if name && !word.ends_with(b".") { [word, b"."].concat() } else { word.to_vec() }
    });
    dotted.collect::<Vec<_>>().join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn record(rtype: &str, content: &str) -> Made {
        make("newDR", [make("newDN", ["a.b".into()]).value(), rtype.into(), number(60), content.into(), number(1)])
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn content_answers_as_in_powerdns() {
        for (rtype, content, written) in [
            ("A", "192.0.2.1", "192.0.2.1"),
            ("AAAA", "2001:DB8::1", "2001:db8::1"),
            ("AAAA", "::1.2.3.4", "::1.2.3.4"),
            ("TXT", "foo", "\"foo\""),
            ("TXT", "\"foo\"", "\"foo\""),
            ("TXT", "\"a\" \"b\"", "\"a\" \"b\""),
            ("TXT", "", ""),
            ("MX", "10 Mail.b", "10 Mail.b."),
            ("CNAME", "x.y", "x.y."),
            ("SOA", "a.b c.d 1 2 3 4 5", "a.b. c.d. 1 2 3 4 5"),
            ("SRV", "1 2 3 c.d", "1 2 3 c.d."),
            ("RP", "x y", "x. y."),
        ] {
            assert_eq!(record(rtype, content).call("getContent", []), text(written), "{rtype} {content}");
        }
        let address = |rtype, content| record(rtype, content).call("getCA", []);
        assert_eq!(address("A", "192.0.2.1"), make("newCA", ["192.0.2.1:53".into()]).value());
        assert_eq!(address("AAAA", "2001:DB8::1"), make("newCA", ["[2001:db8::1]:53".into()]).value());
        assert_eq!(address("TXT", "192.0.2.1"), Value::Nil);
        let mut changed = record("A", "192.0.2.1");
        assert_eq!(changed.change("changeContent", ["192.0.2.2".into()]), Value::Nil);
        assert_eq!(changed.clone().call("getContent", []), text("192.0.2.2"));
        assert_eq!(changed.refuses("changeContent", ["x".into()]), "argument 1 of changeContent is no content of the type: 'x'");
    }

    /// PowerDNS 4.7.3 refuses these too.
    #[test]
    fn bad_records_are_errors() {
        let name = || make("newDN", ["a.b".into()]).value();
        for (rtype, content) in
            [("A", "x"), ("A", "1"), ("A", "1.2.3.4:5"), ("A", ""), ("AAAA", "1.2.3.4"), ("TXT", "a b"), ("bogus", "x")]
        {
            let error = refused("newDR", [name(), rtype.into(), number(60), content.into(), number(1)]);
            assert!(error.contains(" of newDR is no "), "{error}");
        }
        let error = refused("newDR", ["a.b".into(), "A".into(), number(60), "192.0.2.1".into(), number(1)]);
        assert_eq!(error, "argument 1 of newDR must be a DNSName, and is a string");
        assert!(refused("newDR", [name(), "A".into(), number(60), "192.0.2.1".into()]).contains("needs 5"));
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn fields_are_read_and_set_as_in_powerdns() {
        let mut object = record("A", "192.0.2.1").0;
        let other = make("newDN", ["c".into()]).value();
        assert_eq!(object.field(b"name"), Some(make("newDN", ["a.b".into()]).value()));
        for (field, before, value, after) in [
            ("type", number(1), number(28), number(28)),
            ("ttl", number(60), text("7"), number(7)),
            ("place", number(1), number(2), number(2)),
            ("name", make("newDN", ["a.b".into()]).value(), other.clone(), other),
        ] {
            assert_eq!(object.field(field.as_bytes()), Some(before), "{field}");
            object.set_field(field.as_bytes(), &value).unwrap();
            assert_eq!(object.field(field.as_bytes()), Some(after), "{field}");
        }
        for (field, value, error) in [
            ("type", text("AAAA"), "argument 1 of type must be a number, and is a string"),
            ("name", text("c"), "argument 1 of name must be a DNSName, and is a string"),
            ("ttl", Value::Number(-1.0), "argument 1 of ttl is out of range: -1"),
            ("content", text("c"), "a DNSRecord has no field 'content' to set"),
        ] {
            assert_eq!(object.set_field(field.as_bytes(), &value).unwrap_err().to_string(), error);
        }
        assert_eq!(object.field(b"content"), None);
        let mut name = make("newDN", ["a".into()]).0;
        assert_eq!(name.field(b"ttl"), None);
        assert_eq!(name.set_field(b"ttl", &number(1)).unwrap_err().to_string(), "a DNSName has no field 'ttl' to set");
        assert_eq!(object.equality(&object.clone()), None);
        assert_eq!(object.to_text(), None);
    }
}
