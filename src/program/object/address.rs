//! ComboAddress: an address with a port. Without a port of its own it has port 0.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::methods;
use crate::program::address;
use crate::program::value::{Argument, Misuse, Value, arguments};

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The port, or 0.
    pub port: u16,
}

methods! {
    Address,
    gives {
        "toString" => |own| Value::text(own.text()),
        "toStringNoInterface" => |own| Value::text(own.text()),
        "toStringWithPort" => |own| Value::text(own.text_with_port()),
        "toStringReversed" => |own| Value::text(own.reversed()),
        "getRaw" => |own| Value::text(own.raw()),
        "getPort" => |own| Value::Number(own.port.into()),
        "isIPv4" => |own| Value::Boolean(own.ip.is_ipv4()),
        "isIPv6" => |own| Value::Boolean(own.ip.is_ipv6()),
        "isMappedIPv4" => |own| Value::Boolean(own.mapped().is_some()),
    }
    reads {
        "mapToIPv4" => map_to_ipv4,
        "equal" => equal,
    }
    changes {
        "truncate" => truncate,
    }
}

/// `newCA(text)`.
pub(super) fn construct(values: &[Value]) -> Result<Value, Misuse> {
    let [argument] = arguments("newCA", 1, values)?;
    read(argument).map(Value::from)
}

/// `newCAFromRaw(octets[, port])`: of 4 or 16 octets; any others make 0.0.0.0 without a port.
pub(super) fn construct_raw(values: &[Value]) -> Result<Value, Misuse> {
    let [raw, port] = arguments("newCAFromRaw", 1, values)?;
    let octets = raw.text()?;
    let port = port.given().map_or(Ok(0), Argument::integer)?;
    let v4 = <[u8; 4]>::try_from(&*octets).map(IpAddr::from);
    let ip = v4.or_else(|_| <[u8; 16]>::try_from(&*octets).map(IpAddr::from));
    Ok(ip.map_or(Address { ip: Ipv4Addr::UNSPECIFIED.into(), port: 0 }, |ip| Address { ip, port }).into())
}

/// Reads an address as PowerDNS does, leniently.
pub(super) fn read(argument: Argument<'_>) -> Result<Address, Misuse> {
    let octets = argument.text()?;
    let target = str::from_utf8(&octets).ok().and_then(address::parse);
    target
        .map(|target| Address { ip: target.address, port: target.port.unwrap_or(0) })
        .ok_or_else(|| argument.senseless("address"))
}

/// `address` with all bits beyond the first `length` clear.
pub(super) fn truncated(address: IpAddr, length: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(length)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(length)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl Address {
    /// The canonical text, without the port.
    #[must_use]
    pub fn text(&self) -> String {
        address::text(self.ip)
    }

    fn text_with_port(&self) -> String {
        if self.ip.is_ipv4() { format!("{}:{}", self.text(), self.port) } else { format!("[{}]:{}", self.text(), self.port) }
    }

    /// The octets of IPv4 or the nibbles of IPv6 from the last to the first, as in names for reverse look-up.
    fn reversed(&self) -> String {
        let parts: Vec<String> = match self.ip {
            IpAddr::V4(v4) => v4.octets().iter().rev().map(u8::to_string).collect(),
            IpAddr::V6(v6) => (0..32).map(|nibble| format!("{:x}", v6.to_bits() >> (4 * nibble) & 0xF)).collect(),
        };
        parts.join(".")
    }

    fn raw(&self) -> Vec<u8> {
        match self.ip {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        }
    }

    fn mapped(&self) -> Option<Ipv4Addr> {
        match self.ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => v6.to_ipv4_mapped(),
        }
    }
}

fn map_to_ipv4(own: &Address, values: &[Value]) -> Result<Value, Misuse> {
    let [] = arguments("mapToIPv4", 0, values)?;
    let function = "mapToIPv4";
    let v4 = own.mapped().ok_or_else(|| Misuse::State { function, wanted: "a mapped IPv4 address", got: own.text() })?;
    Ok(Address { ip: v4.into(), port: own.port }.into())
}

/// Whether the addresses are the same; the ports do not count.
fn equal(own: &Address, values: &[Value]) -> Result<Value, Misuse> {
    let [other] = arguments("equal", 1, values)?;
    Ok(Value::Boolean(own.ip == other.object::<Address>()?.ip))
}

fn truncate(own: &mut Address, values: &[Value]) -> Result<Value, Misuse> {
    let [length] = arguments("truncate", 1, values)?;
    own.ip = truncated(own.ip, length.integer()?);
    Ok(Value::Nil)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn address(text: &str) -> Made {
        make("newCA", [text.into()])
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn addresses_answer_as_in_powerdns() {
        for (read, written, with_port, port) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1:0", 0),
            ("192.0.2.1:53", "192.0.2.1", "192.0.2.1:53", 53),
            ("192.0.2.1:0", "192.0.2.1", "192.0.2.1:0", 0),
            ("1", "0.0.0.1", "0.0.0.1:0", 0),
            ("0x0A.1", "10.0.0.1", "10.0.0.1:0", 0),
            ("010.0.0.1", "8.0.0.1", "8.0.0.1:0", 0),
            ("2001:DB8::1", "2001:db8::1", "[2001:db8::1]:0", 0),
            ("[2001:DB8::1]", "2001:db8::1", "[2001:db8::1]:0", 0),
            ("[2001:DB8::1]:53", "2001:db8::1", "[2001:db8::1]:53", 53),
            ("::1.2.3.4", "::1.2.3.4", "[::1.2.3.4]:0", 0),
        ] {
            assert_eq!(address(read).to_text(), written, "{read}");
            assert_eq!(address(read).call("toString", []), text(written), "{read}");
            assert_eq!(address(read).call("toStringNoInterface", []), text(written), "{read}");
            assert_eq!(address(read).call("toStringWithPort", []), text(with_port), "{read}");
            assert_eq!(address(read).call("getPort", []), number(port), "{read}");
        }
        for (read, is_v4, is_v6, is_mapped) in
            [("1.2.3.4", true, false, false), ("2001:db8::1", false, true, false), ("::ffff:1.2.3.4", false, true, true)]
        {
            assert_eq!(address(read).call("isIPv4", []), Value::Boolean(is_v4), "{read}");
            assert_eq!(address(read).call("isIPv6", []), Value::Boolean(is_v6), "{read}");
            assert_eq!(address(read).call("isMappedIPv4", []), Value::Boolean(is_mapped), "{read}");
        }
        assert_eq!(make("newCA", [number(1)]).to_text(), "0.0.0.1");
        assert_eq!(address("1.2.3.4:5").call("getRaw", []), Value::text([1, 2, 3, 4]));
        let raw = b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
        assert_eq!(address("2001:db8::1").call("getRaw", []), Value::text(raw));
        for bad in ["", "x", "256.1.1.1", " 1.2.3.4", "1.2.3.4/32", "192.0.2.1:65536", "192.0.2.1:x", "[::1", "[192.0.2.1]:53"] {
            assert_eq!(refused("newCA", [bad.into()]), format!("argument 1 of newCA is no address: '{bad}'"));
        }
        assert!(refused("newCA", [Value::Nil]).ends_with("must be a string, and is nil"));
    }

    /// The order of names for reverse look-up (RFC 1035 3.5, RFC 3596 2.5).
    #[test]
    fn addresses_are_reversed() {
        assert_eq!(address("1.2.3.4:5").call("toStringReversed", []), text("4.3.2.1"));
        let reversed = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4";
        assert_eq!(address("4321:0:1:2:3:4:567:89ab").call("toStringReversed", []), text(reversed));
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn raw_addresses_are_read_as_in_powerdns() {
        let with_port = |made: Made| made.call("toStringWithPort", []);
        let raw = || Value::text([1, 2, 3, 4]);
        assert_eq!(with_port(make("newCAFromRaw", [raw()])), text("1.2.3.4:0"));
        assert_eq!(with_port(make("newCAFromRaw", [raw(), Value::Nil])), text("1.2.3.4:0"));
        assert_eq!(with_port(make("newCAFromRaw", [raw(), "53".into()])), text("1.2.3.4:53"));
        assert_eq!(with_port(make("newCAFromRaw", [raw(), Value::Number(5.9)])), text("1.2.3.4:5"));
        assert_eq!(with_port(make("newCAFromRaw", [number(1234)])), text("49.50.51.52:0"));
        let v6 = make("newCAFromRaw", ["0123456789abcdef".into(), number(53)]);
        assert_eq!(with_port(v6), text("[3031:3233:3435:3637:3839:6162:6364:6566]:53"));
        assert_eq!(with_port(make("newCAFromRaw", ["123".into(), number(5)])), text("0.0.0.0:0"));
        assert_eq!(refused("newCAFromRaw", [raw(), "x".into()]), "argument 2 of newCAFromRaw must be a number, and is a string");
        assert_eq!(refused("newCAFromRaw", [raw(), number(65536)]), "argument 2 of newCAFromRaw is out of range: 65536");
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn addresses_compare_and_map_as_in_powerdns() {
        for (ours, theirs, wanted) in
            [("1.2.3.4:5", "1.2.3.4", true), ("1.2.3.4", "1.2.3.5", false), ("1.2.3.4", "::ffff:1.2.3.4", false)]
        {
            assert_eq!(address(ours).call("equal", [address(theirs).value()]), Value::Boolean(wanted), "{ours} {theirs}");
        }
        assert!(address("1.2.3.4").refuses("equal", ["1.2.3.4".into()]).contains("must be a ComboAddress"));
        assert_eq!(address("1.2.3.4").0.equality(&address("1.2.3.4").0), None);
        let mapped = address("[::ffff:1.2.3.4]:77").call("mapToIPv4", []);
        assert_eq!(mapped, address("1.2.3.4:77").value());
        for bad in ["1.2.3.4", "2001:db8::1"] {
            let error = address(bad).refuses("mapToIPv4", []);
            assert_eq!(error, format!("mapToIPv4 needs a mapped IPv4 address, and is called on {bad}"));
        }
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn addresses_are_truncated_as_in_powerdns() {
        for (whole, length, left) in [
            ("1.2.3.4:53", number(16), "1.2.0.0:53"),
            ("1.2.3.4", number(0), "0.0.0.0:0"),
            ("1.2.3.4", number(32), "1.2.3.4:0"),
            ("1.2.3.4", number(33), "1.2.3.4:0"),
            ("255.255.255.255", number(13), "255.248.0.0:0"),
            ("1.2.3.255", text("30.9"), "1.2.3.252:0"),
            ("2001:db8:ffff::1", number(33), "[2001:db8:8000::]:0"),
            ("2001:db8:ffff::1", number(129), "[2001:db8:ffff::1]:0"),
            ("2001:db8:ffff::1", number(0), "[::]:0"),
        ] {
            let mut made = address(whole);
            assert_eq!(made.change("truncate", [length.clone()]), Value::Nil);
            assert_eq!(made.call("toStringWithPort", []), text(left), "{whole} {length:?}");
        }
        assert!(address("1.2.3.4").refuses("truncate", []).contains("needs 1 arguments"));
        assert!(address("1.2.3.4").refuses("truncate", [Value::Number(-1.0)]).contains("out of range"));
    }
}
