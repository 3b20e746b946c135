//! Names from addresses and addresses from names: `createReverse`, `createForward`, `filterForward`.
//!
//! All look at the leftmost labels of the query name, however deep the zone lies. What a name does not spell is answered
//! all the same, with the text or the address that PowerDNS gives for it.
//!
//! Of the two sets of rules by which PowerDNS has read names, these are the later ones: version 4.7 knows fewer forms.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address;
use super::object::NetmaskGroup;
use super::value::{Argument, Misuse, Value, arguments};
use crate::wire::NameRef;

/// The arguments of `createReverse` and `createReverse6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reverse {
    format: Box<[u8]>,
    exceptions: Vec<(IpAddr, Box<[u8]>)>,
}

impl Reverse {
    /// Reads the arguments `format[, exceptions]`; the exceptions are a table of addresses and their names.
    ///
    /// # Errors
    /// [`Misuse`], also where a key of the exceptions is no address.
    pub fn read(function: &'static str, values: &[Value]) -> Result<Self, Misuse> {
        let [format, exceptions] = arguments(function, 1, values)?;
        let format = format.text()?.into();
        let mut named = Vec::new();
        for (key, name) in exceptions.given().map_or(Ok(vec![]), Argument::map)? {
            let target = str::from_utf8(&key).ok().and_then(address::parse);
            let target = target.ok_or_else(|| exceptions.nonsense("table of addresses", &key))?;
            let name = name.text()?.into();
            // an address with a port is none that a name could spell
            named.extend(target.port.is_none().then_some((target.address, name)));
        }
        Ok(Self { format, exceptions: named })
    }

    /// `createReverse`: the name for the IPv4 address that the first four labels spell backwards.
    ///
    /// `%1%` to `%4%` are the octets as written, in the order of the address, `%5%` all four with dashes, `%6%` in
    /// hexadecimal. `unknown` with fewer labels, `error` where they are no octets or the format is malformed.
    #[must_use]
    pub fn v4(&self, name: NameRef<'_>) -> Vec<u8> {
        let Some(labels) = reversed::<4>(name) else { return b"unknown".to_vec() };
        self.create_v4(labels).unwrap_or_else(|| b"error".to_vec())
    }

    /// `createReverse6`: the name for the IPv6 address that the first 32 labels spell backwards, nibble by nibble.
    ///
    /// `%1%` to `%32%` are the nibbles as written, in the order of the address, `%33%` the whole address with dashes,
    /// `%34%` to `%41%` its groups. `unknown` with fewer labels, `error` where they are no nibbles or the format is
    /// malformed.
    #[must_use]
    pub fn v6(&self, name: NameRef<'_>) -> Vec<u8> {
        let Some(labels) = reversed::<32>(name) else { return b"unknown".to_vec() };
        self.create_v6(labels).unwrap_or_else(|| b"error".to_vec())
    }

    fn create_v4(&self, labels: [&[u8]; 4]) -> Option<Vec<u8>> {
        let address = Ipv4Addr::from(octets(labels)?);
        if let Some(name) = self.exception(address.into()) {
            return Some(name);
        }
        let (dashed, hexadecimal) = (labels.join(&b'-'), format!("{:08x}", address.to_bits()).into_bytes());
        let parts: Vec<&[u8]> = labels.into_iter().chain([&*dashed, &*hexadecimal]).collect();
        fill(&self.format, &parts)
    }

    fn create_v6(&self, labels: [&[u8]; 32]) -> Option<Vec<u8>> {
        let nibbles = labels.iter().all(|label| label.len() == 1).then(|| labels.concat())?;
        let address = hexadecimal(&nibbles)?;
        if let Some(name) = self.exception(address.into()) {
            return Some(name);
        }
        let dashed = dashed(address).into_bytes();
        let parts: Vec<&[u8]> = labels.into_iter().chain([&*dashed]).chain(nibbles.chunks(4)).collect();
        fill(&self.format, &parts)
    }

    fn exception(&self, address: IpAddr) -> Option<Vec<u8>> {
        self.exceptions.iter().find(|(exception, _)| *exception == address).map(|(_, name)| name.to_vec())
    }
}

/// The first `N` labels, the last of them first; `None` where there are fewer.
fn reversed<const N: usize>(name: NameRef<'_>) -> Option<[&[u8]; N]> {
    let mut labels: [&[u8]; N] = name.labels().take(N).collect::<Vec<_>>().try_into().ok()?;
    labels.reverse();
    Some(labels)
}

/// Four labels, each a decimal number up to 255.
fn octets(labels: [&[u8]; 4]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    for (octet, label) in octets.iter_mut().zip(labels) {
        let digits = Some(label).filter(|label| label.iter().all(u8::is_ascii_digit))?;
        *octet = str::from_utf8(digits).ok()?.parse().ok()?;
    }
    Some(octets)
}

/// The address of 32 hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<Ipv6Addr> {
    let digits = Some(digits).filter(|digits| digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit))?;
    u128::from_str_radix(str::from_utf8(digits).ok()?, 16).ok().map(Ipv6Addr::from_bits)
}

/// The canonical text with dashes for colons, and zeros so that no label begins or ends with a dash, or has two where
/// they would mark an internationalised name (RFC 5891 4.2.3.1).
fn dashed(address: Ipv6Addr) -> String {
    let text = address::text(address.into()).replace(':', "-");
    let front = if text.starts_with('-') || text.get(2..4) == Some("--") { "0" } else { "" };
    let back = if text.ends_with('-') { "0" } else { "" };
    format!("{front}{text}{back}")
}

/// A format of Boost's with its parts put in: `%N%` and `%N$s` are part N, `%s` the next; those beyond the last are
/// nothing. `None` where it is malformed: anything else after `%`, or parts both with and without numbers.
fn fill(format: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut filled = Vec::with_capacity(format.len());
    let (mut rest, mut numbered, mut next) = (format, false, 0);
    while let Some(at) = rest.iter().position(|&octet| octet == b'%') {
        filled.extend_from_slice(&rest[..at]);
        let (item, after) = item(&rest[at + 1..])?;
        rest = after;
        let number = match item {
            Item::Percent => {
                filled.push(b'%');
                continue;
            }
            Item::Next => {
                next += 1;
                next
            }
            Item::Part(number) => {
                numbered = true;
                number
            }
        };
        filled.extend_from_slice(parts.get(number - 1).copied().unwrap_or_default());
    }
    filled.extend_from_slice(rest);
    (!numbered || next == 0).then_some(filled)
}

enum Item {
    Percent,
    Next,
    /// Counted from 1.
    Part(usize),
}

/// What follows a `%`, and what follows that.
fn item(text: &[u8]) -> Option<(Item, &[u8])> {
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let part = || match number {
        [b'1'..=b'9', ..] => Some(Item::Part(str::from_utf8(number).ok()?.parse().unwrap_or(usize::MAX))),
        _ => None,
    };
    match (digits, rest) {
        (0, [b'%', after @ ..]) => Some((Item::Percent, after)),
        (0, [conversion, after @ ..]) if is_conversion(*conversion) => Some((Item::Next, after)),
        (_, [b'%', after @ ..]) => Some((part()?, after)),
        (_, [b'$', conversion, after @ ..]) if is_conversion(*conversion) => Some((part()?, after)),
        _ => None,
    }
}

/// The conversions of C's `printf` that print a text as it is.
const fn is_conversion(octet: u8) -> bool {
    matches!(octet, b'd' | b'i' | b'o' | b'u' | b'x' | b'X' | b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b's' | b'S')
}

/// `createForward`: the IPv4 address that the labels in front of the wildcard's parent spell; 0.0.0.0 where they spell none
/// or the record has no wildcard as its owner.
#[must_use]
pub fn create_forward(name: NameRef<'_>, owner: NameRef<'_>) -> Ipv4Addr {
    let spelt = match labels_below(name, owner).as_slice() {
        [] => None,
        [a, b, c, d, ..] => dotted(&[*a, *b, *c, *d].join(&b'.')),
        [label, ..] => in_label(label),
    };
    spelt.unwrap_or(Ipv4Addr::UNSPECIFIED)
}

/// `createForward6`: the IPv6 address that the labels in front of the wildcard's parent spell; `::` where they spell none
/// or the record has no wildcard as its owner.
#[must_use]
pub fn create_forward6(name: NameRef<'_>, owner: NameRef<'_>) -> Ipv6Addr {
    let labels = labels_below(name, owner);
    let spelt = match labels.as_slice() {
        [label] if label.contains(&b'-') => colons(label.split(|&octet| octet == b'-')),
        [label] => label.len().checked_sub(32).and_then(|start| hexadecimal(&label[start..])),
        labels if labels.len() == 8 => colons(labels.iter().copied()),
        _ => None,
    };
    spelt.unwrap_or(Ipv6Addr::UNSPECIFIED)
}

/// The labels of `name` in front of the parent of the wildcard `owner`.
fn labels_below<'a>(name: NameRef<'a>, owner: NameRef<'_>) -> Vec<&'a [u8]> {
    let parent = owner.parent().filter(|_| owner.is_wildcard());
    let count = parent.map_or(0, |parent| name.label_count().saturating_sub(parent.label_count()));
    name.labels().take(count).collect()
}

fn dotted(text: &[u8]) -> Option<Ipv4Addr> {
    match address::parse(str::from_utf8(text).ok()?)?.address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

fn colons<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Ipv6Addr> {
    str::from_utf8(&pieces.collect::<Vec<_>>().join(&b':')).ok()?.parse().ok()
}

/// The address at the end of a label, after anything that begins with no hexadecimal digit: four octets with dashes, or
/// eight hexadecimal digits.
fn in_label(label: &[u8]) -> Option<Ipv4Addr> {
    let start = label.iter().position(u8::is_ascii_hexdigit)?;
    let label = &label[start..];
    let pieces: Vec<&[u8]> = label.split(|&octet| octet == b'-').filter(|piece| !piece.is_empty()).collect();
    if let Some(last) = pieces.last_chunk::<4>() {
        return octets(*last).map(Ipv4Addr::from);
    }
    let digits = Some(label.last_chunk::<8>()?).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok().map(Ipv4Addr::from_bits)
}

/// `filterForward(address, group[, fallback])`: a list of the address as it was written where the group takes it in, else
/// of the fallback (none where that is empty), else of the unspecified address of the family.
///
/// # Errors
/// [`Misuse`], also where the address is none.
pub fn filter_forward(values: &[Value]) -> Result<Value, Misuse> {
    let [argument, group, fallback] = arguments("filterForward", 2, values)?;
    let text = argument.text()?;
    let target = str::from_utf8(&text).ok().and_then(address::parse).ok_or_else(|| argument.senseless("address"))?;
    let fallback = fallback.given().map(Argument::text).transpose()?;
    let answer = match fallback {
        _ if group.object::<NetmaskGroup>()?.contains(target.address) => text,
        Some(fallback) => fallback,
        None => Cow::Borrowed(if target.address.is_ipv4() { &b"0.0.0.0"[..] } else { b"::" }),
    };
    Ok(Value::list((!answer.is_empty()).then(|| Value::text(answer))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::object::constructor;
    use super::*;
    use crate::wire::Name;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), Some(NameRef::ROOT)).unwrap()
    }

    fn reverse(format: &str) -> Reverse {
        Reverse::read("createReverse", &[Value::text(format)]).unwrap()
    }

    fn v4(format: &str, labels: &str) -> String {
        String::from_utf8(reverse(format).v4(name(&format!("{labels}.lab.")).as_ref())).unwrap()
    }

    fn nibbles(address: Ipv6Addr) -> Name {
        let digits = format!("{:032x}", address.to_bits());
        name(&digits.chars().rev().map(|digit| format!("{digit}.")).collect::<String>())
    }

    fn v6(format: &str, address: &str) -> String {
        String::from_utf8(reverse(format).v6(nibbles(address.parse().unwrap()).as_ref())).unwrap()
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn formats_are_filled_as_by_boost() {
        for (format, filled) in [
            ("%1%-%2%-%3%-%4%.x", "1-2-3-4.x"),
            ("%5%.x", "1-2-3-4.x"),
            ("%6%.x", "01020304.x"),
            ("%7%", ""),
            ("%1%x%99%", "1x"),
            ("%99999999999999999999999%", ""),
            ("%%", "%"),
            ("%%%1%", "%1"),
            ("%1%2", "12"),
            ("%5%%6%", "1-2-3-401020304"),
            ("%s %d %s %s %s %x", "1 2 3 4 1-2-3-4 01020304"),
            ("%s%s%s%s%s%s%s", "12341-2-3-401020304"),
            ("%5$s", "1-2-3-4"),
            ("", ""),
            ("plain", "plain"),
        ] {
            assert_eq!(v4(format, "4.3.2.1"), filled, "{format}");
        }
        for malformed in [
            "%", "a%", "%0%", "%00%", "%01%", "%1", "%1%%", "%1%2%", "% 1%", "%x%", "%1x%", "%%%", "%1% %s", "%q", "%1$", "%1$%",
            "%$s",
        ] {
            assert_eq!(v4(malformed, "4.3.2.1"), "error", "{malformed}");
        }
    }

    #[test]
    fn names_are_made_of_ipv4_addresses() {
        for (labels, wanted) in [
            ("4.3.2.1", "1-2-3-4"),
            ("004.3.2.1", "1-2-3-004"),
            ("4.3.2.1.5.6", "1-2-3-4"),
            ("255.255.255.255", "255-255-255-255"),
            ("256.3.2.1", "error"),
            ("x.3.2.1", "error"),
            ("-1.3.2.1", "error"),
            ("+1.3.2.1", "error"),
            ("4.3.2.0x1", "error"),
            ("4.3.2", "error"),
            ("4.3.2.99999999999999999999999", "error"),
            ("4.3", "unknown"),
        ] {
            assert_eq!(v4("%5%", labels), wanted, "{labels}");
        }
        assert_eq!(v4("%6%", "004.3.2.1"), "01020304");
    }

    /// The first eight are the cases of the specification.
    #[test]
    fn names_are_made_of_ipv6_addresses() {
        for (address, wanted) in [
            ("::", "0--0"),
            ("::1", "0--1"),
            ("aa::", "0aa--0"),
            ("aa::1", "0aa--1"),
            ("2001::", "2001--0"),
            ("a:b::c", "a-b--c"),
            ("a::b:c", "a--b-c"),
            ("2001::db8", "2001--db8"),
            ("abc::1", "abc--1"),
            ("0:2:3:4:5:6:7:8", "0-2-3-4-5-6-7-8"),
            ("::ffff:1.2.3.4", "0--ffff-1.2.3.4"),
        ] {
            assert_eq!(v6("%33%", address), wanted, "{address}");
        }
        let address = "2001:db8:a::12:3456";
        assert_eq!(v6("%1% %2% %3% %32%", address), "2 0 0 6");
        assert_eq!(v6("%34% %35% %36% %37% %38% %39% %40% %41%", address), "2001 0db8 000a 0000 0000 0000 0012 3456");
        assert_eq!(v6("%42%", address), "");
        assert_eq!(v6("%0%", address), "error");

        let made = |labels: &str| String::from_utf8(reverse("%33% %36%").v6(name(labels).as_ref())).unwrap();
        let labels = nibbles(address.parse().unwrap()).as_ref().to_string();
        assert_eq!(made(&labels.to_uppercase()), "2001-db8-a--12-3456 000A");
        assert_eq!(made(&labels.replacen('6', "g", 1)), "error");
        assert_eq!(made(&labels.replacen('6', "06", 1)), "error");
        assert_eq!(made(&labels[2..]), "unknown");
    }

    #[test]
    fn exceptions_are_names_of_their_own() {
        let read = |entries: &[(&str, &str)]| {
            let entries = entries.iter().map(|&(address, name)| (Value::text(address), Value::text(name)));
            Reverse::read("createReverse", &[Value::text("%5%%33%"), Value::Table(entries.collect())])
        };
        let reverse = read(&[("1.2.3.4", "a %1%"), ("16909061", "b"), ("1.2.3.6:53", "c"), ("2001:DB8:0::1", "d")]).unwrap();
        for (labels, wanted) in
            [("4.3.2.1", "a %1%"), ("004.3.2.1", "a %1%"), ("5.3.2.1", "b"), ("6.3.2.1", "1-2-3-6"), ("x.3.2.1", "error")]
        {
            assert_eq!(reverse.v4(name(labels).as_ref()), wanted.as_bytes(), "{labels}");
        }
        assert_eq!(reverse.v6(nibbles("2001:db8::1".parse().unwrap()).as_ref()), b"d");
        assert_eq!(read(&[("x", "a")]).unwrap_err().to_string(), "argument 2 of createReverse is no table of addresses: 'x'");
        assert!(Reverse::read("createReverse", &[]).is_err());
        assert!(Reverse::read("createReverse", &["%5%".into(), "x".into()]).is_err());
        assert!(Reverse::read("createReverse", &["%5%".into(), Value::Nil]).is_ok());
    }

    /// The cases that PowerDNS's own tests assert, and further ones by the same rules.
    #[test]
    fn addresses_are_made_of_names() {
        let forward =
            |labels: &str| create_forward(name(&format!("{labels}.lab.")).as_ref(), name("*.lab.").as_ref()).to_string();
        for labels in [
            "1.2.3.4",
            "1.2.3.4.static",
            "1.2.3.4.5.6",
            "1-2-3-4",
            "1-2-3-4.foo",
            "1-2-3-4.foo.bar",
            "ip-1-2-3-4",
            "ip-is-here-for-you-1-2-3-4",
            "1--2-3-4",
            "-1-2-3-4-",
            "1-2-3-04",
            "300-1-2-3-4",
            "0x1.2.3.4",
            "01.2.3.004",
        ] {
            assert_eq!(forward(labels), "1.2.3.4", "{labels}");
        }
        for labels in ["40414243", "p40414243", "ip40414243", "ipp40414243", "0040414243", "foo-40414243", "40414243.foo"] {
            assert_eq!(forward(labels), "64.65.66.67", "{labels}");
        }
        assert_eq!(forward("host64-22-33-44"), "64.22.33.44");
        for labels in [
            "invalid",
            "invalid.1.2.3.4",
            "1-2-3-4aa.foo.bar",
            "1-2-3-4.foo.bar.baz",
            "1-2-3-4.foo.bar.baz.quux",
            "ip4041424",
            "ip-441424",
            "ip-5abcdef",
            "some-text-with-more-than-five-dashes",
            "1.2.3.256",
            "1-2-3-256",
            "1-2-3-4a",
            "1-2-3-+4",
            "a1-2-3-4",
            "1.2.3",
            "4041424g",
            "--------",
            "::1.2.3.4",
            "1-2-3-4\\.5",
            "x\\000-1-2-3-4z",
        ] {
            assert_eq!(forward(labels), "0.0.0.0", "{labels}");
        }
        let asked = name("1.2.3.4.a.lab.");
        assert_eq!(create_forward(asked.as_ref(), name("*.a.lab.").as_ref()), Ipv4Addr::new(1, 2, 3, 4));
        assert_eq!(create_forward(asked.as_ref(), asked.as_ref()), Ipv4Addr::UNSPECIFIED);
        assert_eq!(create_forward(NameRef::ROOT, name("*.lab.").as_ref()), Ipv4Addr::UNSPECIFIED);
    }

    /// The first five are the cases of the specification.
    #[test]
    fn ipv6_addresses_are_made_of_names() {
        let forward =
            |labels: &str| create_forward6(name(&format!("{labels}.lab.")).as_ref(), name("*.lab.").as_ref()).to_string();
        for (labels, wanted) in [
            ("2001--db8", "2001::db8"),
            ("20010002000300040005000600070db8", "2001:2:3:4:5:6:7:db8"),
            ("ip20010002000300040005000600070db8", "2001:2:3:4:5:6:7:db8"),
            ("ZZ20010002000300040005000600070DB8", "2001:2:3:4:5:6:7:db8"),
            ("0--0", "::"),
            ("1-2-3-4-5-6-7-8", "1:2:3:4:5:6:7:8"),
            ("2001.0db8.0.0.0.0.0.1", "2001:db8::1"),
            ("0--1", "::1"),
            ("ip-20010002000300040005000600070db8", "::"),
            ("2001.0db8.0.0.0.0.0", "::"),
            ("2001.0db8.0.0.0.0.0.1.2", "::"),
            ("2001--db8.foo", "::"),
            ("0002000300040005000600070db8", "::"),
            ("g0010002000300040005000600070dbx", "::"),
            ("1-2-3-4-5-6-7-8-9", "::"),
            ("12345.b.c.d.e.f.1.2", "::"),
            ("+1.b.c.d.e.f.1.2", "::"),
        ] {
            assert_eq!(forward(labels), wanted, "{labels}");
        }
        let asked = name("2001--db8.lab.");
        assert_eq!(create_forward6(asked.as_ref(), asked.as_ref()), Ipv6Addr::UNSPECIFIED);
    }

    /// What PowerDNS 4.7.3 gives, except that it gives no lists yet.
    #[test]
    fn addresses_are_filtered() {
        let group =
            |masks: &[&str]| (constructor(b"newNMG").unwrap().call)(&[Value::list(masks.iter().map(Value::text))]).unwrap();
        for (address, masks, fallback, wanted) in [
            ("1.2.3.4", &["1.0.0.0/8"][..], Value::Nil, &["1.2.3.4"][..]),
            ("9.2.3.4", &["1.0.0.0/8"], Value::Nil, &["0.0.0.0"]),
            ("9.2.3.4", &["1.0.0.0/8"], "7.7.7.7".into(), &["7.7.7.7"]),
            ("9.2.3.4", &["1.0.0.0/8"], Value::Number(7.0), &["7"]),
            ("9.2.3.4", &["1.0.0.0/8"], "".into(), &[]),
            ("1.2.3.4", &["!1.0.0.0/8", "0.0.0.0/0"], Value::Nil, &["0.0.0.0"]),
            ("::5", &["1.0.0.0/8"], Value::Nil, &["::"]),
            ("::ffff:1.2.3.4", &["1.0.0.0/8"], Value::Nil, &["::"]),
            ("2001:DB8:0::5", &["::/0"], Value::Nil, &["2001:DB8:0::5"]),
            ("1", &["0.0.0.0/0"], Value::Nil, &["1"]),
            ("1.2.3.4:53", &["0.0.0.0/0"], Value::Nil, &["1.2.3.4:53"]),
        ] {
            let given = filter_forward(&[address.into(), group(masks), fallback]);
            assert_eq!(given, Ok(Value::list(wanted.iter().map(Value::text))), "{address} {masks:?}");
        }
        let list = Value::list(["0.0.0.0/0".into()]);
        assert_eq!(
            filter_forward(&["x".into(), group(&[])]).unwrap_err().to_string(),
            "argument 1 of filterForward is no address: 'x'"
        );
        assert!(filter_forward(&["1.2.3.4".into(), list]).unwrap_err().to_string().contains("must be a NetmaskGroup"));
        assert!(filter_forward(&["1.2.3.4".into()]).is_err());
    }

    /// A name of up to 34 labels of any octets.
    fn any_name() -> impl Strategy<Value = Name> {
        let octet = prop_oneof![any::<u8>(), prop::sample::select(b"0123456789abcdef-.:%".to_vec())];
        let label = prop_oneof![
            prop::collection::vec(octet, 1..40),
            prop::collection::vec(prop::sample::select(b"0123456789abcdef".to_vec()), 1..2)
        ];
        prop::collection::vec(label, 0..34).prop_map(|labels| {
            let room = |parent: Name, label: Vec<u8>| Name::child(&label, parent.as_ref()).unwrap_or(parent);
            labels.into_iter().fold(NameRef::ROOT.to_name(), room)
        })
    }

    /// IPv6 addresses with runs of zeros, none of them written with a dotted end.
    fn sparse() -> impl Strategy<Value = u128> {
        let group = prop_oneof![Just(0), any::<u16>(), 0..256u16];
        let groups = prop::array::uniform8(group).prop_map(|groups| Ipv6Addr::from(groups).to_bits());
        groups.prop_filter("dotted", |&bits| !address::text(Ipv6Addr::from_bits(bits).into()).contains('.'))
    }

    proptest! {
        #[test]
        fn any_name_and_format_give_something(name in any_name(), format in prop::collection::vec(prop::sample::select(b"%%%109$sx".to_vec()), 0..20)) {
            let reverse = Reverse { format: format.into(), exceptions: vec![] };
            let name = name.as_ref();
            let (v4, v6) = (reverse.v4(name), reverse.v6(name));
            prop_assert_eq!(name.label_count() < 4, v4 == b"unknown");
            prop_assert_eq!(name.label_count() < 32, v6 == b"unknown");
            // only what stands in front of the wildcard's parent counts
            let parent = name.parent().unwrap_or(name);
            let (owner, top) = (Name::child(b"*", parent).unwrap(), Name::child(b"*", NameRef::ROOT).unwrap());
            let label = name.labels().next().map_or(NameRef::ROOT.to_name(), |label| Name::child(label, NameRef::ROOT).unwrap());
            prop_assert_eq!(create_forward(name, owner.as_ref()), create_forward(label.as_ref(), top.as_ref()));
            prop_assert_eq!(create_forward6(name, owner.as_ref()), create_forward6(label.as_ref(), top.as_ref()));
        }

        /// What is made of an address leads back to it.
        #[test]
        fn there_and_back(v4: u32, v6 in sparse()) {
            let (v4, v6) = (Ipv4Addr::from_bits(v4), Ipv6Addr::from_bits(v6));
            let owner = name("*.lab.");
            let there = |text: Vec<u8>| name(&format!("{}.lab.", String::from_utf8(text).unwrap()));
            let backwards = v4.octets().iter().rev().map(|octet| format!("{octet}.")).collect::<String>();
            for format in ["%5%", "ip-%5%", "host%6%", "%1%.%2%.%3%.%4%"] {
                let made = there(reverse(format).v4(name(&backwards).as_ref()));
                prop_assert_eq!(create_forward(made.as_ref(), owner.as_ref()), v4, "{:?}", made);
            }
            let made = there(reverse("%33%").v6(nibbles(v6).as_ref()));
            prop_assert_eq!(create_forward6(made.as_ref(), owner.as_ref()), v6, "{:?}", made);
        }
    }
}
