//! DNSResourceRecord: a record of a zone, as `newDRR` makes it and look-ups give it.

use super::{methods, qtype};
use crate::program::value::{Argument, Misuse, Value, arguments};
use crate::wire::{Name, NameRef, RecordType};

/// A record of a zone. Two are equal when name, type, TTL and content are; case does not count.
#[derive(Clone, Debug)]
pub struct ResourceRecord {
    name: Name,
    rtype: RecordType,
    ttl: u32,
    content: Box<[u8]>,
    domain: i32,
    authoritative: bool,
}

methods! {
    ResourceRecord,
    gives {
        "toString" => |own| Value::text(own.text()),
        "qname" => |own| own.name.clone().into(),
        "wildcardName" => |_| NameRef::ROOT.to_name().into(),
        "content" => |own| Value::text(&own.content),
        "ttl" => |own| Value::Number(own.ttl.into()),
        "signttl" => |_| Value::Number(0.0),
        "qtype" => |own| Value::Number(own.rtype.0.into()),
        "qclass" => |_| Value::Number(1.0),
        "domainId" => |own| Value::Number(own.domain.into()),
        "lastModified" => |_| Value::Number(0.0),
        "scopeMask" => |_| Value::Number(0.0),
        "auth" => |own| Value::Boolean(own.authoritative),
        "disabled" => |_| Value::Boolean(false),
    }
    reads {}
    changes {}
}

/// `newDRR(name, type, ttl, content[, domain_id[, auth]])`; `auth` is a number, and 0 says no.
pub(super) fn construct(values: &[Value]) -> Result<Value, Misuse> {
    let [name, rtype, ttl, content, domain, authoritative] = arguments("newDRR", 4, values)?;
    let rtype = qtype::read(&rtype.text()?).unwrap_or(RecordType(0));
    let mut record = ResourceRecord::new(name.object::<Name>()?.clone(), rtype, ttl.integer()?, &content.text()?);
    record.domain = domain.given().map_or(Ok(-1), Argument::integer)?;
    record.authoritative = authoritative.given().map_or(Ok(1), Argument::integer::<i32>)? != 0;
    Ok(record.into())
}

impl ResourceRecord {
    /// A record of no zone in particular, with its content in presentation form.
    #[must_use]
    pub fn new(name: Name, rtype: RecordType, ttl: u32, content: &[u8]) -> Self {
        let content = match content {
            [stem @ .., b'.'] if !stem.is_empty() && ends_in_name(rtype) => stem,
            _ => content,
        };
        Self { name, rtype, ttl, content: content.into(), domain: -1, authoritative: true }
    }

    /// The content, with the dot at its end that PowerDNS keeps such content without.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = self.content.to_vec();
        if ends_in_name(self.rtype) && !text.ends_with(b".") {
            text.push(b'.');
        }
        text
    }
}

impl PartialEq for ResourceRecord {
    fn eq(&self, other: &Self) -> bool {
        let same_content = self.content.eq_ignore_ascii_case(&other.content);
        self.name == other.name && self.rtype == other.rtype && self.ttl == other.ttl && same_content
    }
}

/// The types whose content PowerDNS keeps without the last dot.
const fn ends_in_name(rtype: RecordType) -> bool {
    use RecordType as T;
    matches!(rtype, T::MX | T::SRV | T::NS | T::CNAME | T::PTR | T::DNAME)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn record<const N: usize>(rtype: &str, content: &str, more: [Value; N]) -> Made {
        let first = [make("newDN", ["a.b".into()]).value(), rtype.into(), number(60), content.into()];
        let values: Vec<Value> = first.into_iter().chain(more).collect();
        match (super::super::constructor(b"newDRR").unwrap().call)(&values) {
            Ok(Value::Object(object)) => Made(object),
            other => panic!("{other:?}"),
        }
    }

    /// What PowerDNS 4.7.3 gives, but for `wildcardName`, which there is a name that cannot be used.
    #[test]
    fn records_answer_as_in_powerdns() {
        let made = || record("A", "192.0.2.1", []);
        let name = |text: &str| make("newDN", [text.into()]).value();
        for (method, wanted) in [
            ("toString", text("192.0.2.1")),
            ("qname", name("a.b")),
            ("wildcardName", name(".")),
            ("content", text("192.0.2.1")),
            ("ttl", number(60)),
            ("signttl", number(0)),
            ("qtype", number(1)),
            ("qclass", number(1)),
            ("domainId", Value::Number(-1.0)),
            ("lastModified", number(0)),
            ("scopeMask", number(0)),
            ("auth", Value::Boolean(true)),
            ("disabled", Value::Boolean(false)),
        ] {
            assert_eq!(made().call(method, []), wanted, "{method}");
        }
        assert_eq!(record("A", "x", [number(5)]).call("domainId", []), number(5));
        assert_eq!(record("A", "x", [number(5), number(0)]).call("auth", []), Value::Boolean(false));
        assert_eq!(record("A", "x", [Value::Nil, number(2)]).call("auth", []), Value::Boolean(true));
        assert_eq!(record("bogus", "x", []).call("qtype", []), number(0));
        let error = refused("newDRR", ["a.b".into(), "A".into(), number(60), "x".into()]);
        assert_eq!(error, "argument 1 of newDRR must be a DNSName, and is a string");
        let error = refused("newDRR", [name("a"), "A".into(), number(1), "x".into(), number(1), Value::Boolean(true)]);
        assert_eq!(error, "argument 6 of newDRR must be a number, and is a boolean");
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn content_answers_as_in_powerdns() {
        for (rtype, given, kept, written) in [
            ("A", "x.", "x.", "x."),
            ("AAAA", "2001:DB8::1", "2001:DB8::1", "2001:DB8::1"),
            ("TXT", "foo", "foo", "foo"),
            ("MX", "10 Mail.b", "10 Mail.b", "10 Mail.b."),
            ("MX", "10 Mail.b.", "10 Mail.b", "10 Mail.b."),
            ("NS", "X.y.", "X.y", "X.y."),
            ("NS", ".", ".", "."),
            ("SRV", "1 2 3 X.y.", "1 2 3 X.y", "1 2 3 X.y."),
            ("HTTPS", "0 X.y.", "0 X.y.", "0 X.y."),
            ("SOA", "a. b. 1 2 3 4 5", "a. b. 1 2 3 4 5", "a. b. 1 2 3 4 5"),
        ] {
            let made = record(rtype, given, []);
            assert_eq!(made.clone().call("content", []), text(kept), "{rtype} {given}");
            assert_eq!(made.clone().call("toString", []), text(written), "{rtype} {given}");
            assert_eq!(made.to_text(), written);
        }
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn records_compare_as_in_powerdns() {
        let same = |ours: Made, theirs: Made| ours.0.equality(&theirs.0);
        let made = || record("MX", "10 a", []);
        assert_eq!(same(made(), record("MX", "10 A.", [number(2), number(0)])), Some(true));
        assert_eq!(same(made(), record("MX", "20 a", [])), Some(false));
        assert_eq!(same(made(), record("TXT", "10 a", [])), Some(false));
        assert_eq!(made().0.order(&made().0), None);
    }
}
