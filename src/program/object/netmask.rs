//! Netmask: a network.
//!
//! Unlike [`geo::Net`](crate::geo::Net), it keeps the families apart: an IPv4-mapped address is an IPv6 address, as in
//! PowerDNS. Its address is read strictly, without a port for IPv4 and without the short spellings of `newCA`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::address::{Address, truncated};
use super::methods;
use crate::program::address;
use crate::program::value::{Argument, Misuse, Value, arguments};

/// A network, with all bits beyond its length clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Netmask {
    network: IpAddr,
    length: u8,
}

methods! {
    Netmask,
    gives {
        "getNetwork" => |own| Address { ip: own.network, port: 0 }.into(),
        "getMaskedNetwork" => |own| Address { ip: own.network, port: 0 }.into(),
        "isIPv4" => |own| Value::Boolean(own.network.is_ipv4()),
        "isIPv6" => |own| Value::Boolean(own.network.is_ipv6()),
        "isIpv4" => |own| Value::Boolean(own.network.is_ipv4()),
        "isIpv6" => |own| Value::Boolean(own.network.is_ipv6()),
        "getBits" => |own| Value::Number(own.length.into()),
        "toString" => |own| Value::text(own.to_string()),
        "empty" => |_| Value::Boolean(false),
    }
    reads {
        "match" => matches,
    }
    changes {}
}

/// `newNetmask(text)`.
pub(super) fn construct(values: &[Value]) -> Result<Value, Misuse> {
    let [argument] = arguments("newNetmask", 1, values)?;
    let netmask = Netmask::read(&argument.text()?).ok_or_else(|| argument.senseless("network"))?;
    Ok(netmask.into())
}

impl Netmask {
    /// The network of the first `length` bits of `address`; all of them where it has fewer.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Self {
        let length = length.min(bits(address));
        Self { network: truncated(address, length.into()), length }
    }

    /// Reads `address/length`, or an address alone.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        let address = strict(address)?;
        if length.is_empty() {
            return Some(Self::new(address, bits(address)));
        }
        let length = Some(length).filter(|length| length.bytes().all(|digit| digit.is_ascii_digit()))?.parse().ok()?;
        (length <= bits(address)).then(|| Self::new(address, length))
    }

    /// Whether the address lies within.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        truncated(address, self.length.into()) == self.network
    }

    /// How many leading bits all its addresses share.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }
}

const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// An address in full: dotted quad, or what `newCA` takes for IPv6.
fn strict(text: &str) -> Option<IpAddr> {
    match text.parse::<Ipv4Addr>() {
        Ok(v4) => Some(v4.into()),
        Err(_) => address::parse(text).map(|target| target.address).filter(IpAddr::is_ipv6),
    }
}

impl fmt::Display for Netmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", address::text(self.network), self.length)
    }
}

fn matches(own: &Netmask, values: &[Value]) -> Result<Value, Misuse> {
    let [argument] = arguments("match", 1, values)?;
    Ok(Value::Boolean(own.contains(read_strict(argument)?)))
}

fn read_strict(argument: Argument<'_>) -> Result<IpAddr, Misuse> {
    let octets = argument.text()?;
    str::from_utf8(&octets).ok().and_then(strict).ok_or_else(|| argument.senseless("address"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn netmask(text: &str) -> Made {
        make("newNetmask", [text.into()])
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn networks_answer_as_in_powerdns() {
        for (read, written, network, length, is_v4) in [
            ("10.1.2.3/8", "10.0.0.0/8", "10.0.0.0", 8, true),
            ("10.1.2.3", "10.1.2.3/32", "10.1.2.3", 32, true),
            ("10.1.2.3/", "10.1.2.3/32", "10.1.2.3", 32, true),
            ("0.0.0.0/0", "0.0.0.0/0", "0.0.0.0", 0, true),
            ("2001:db8::1/32", "2001:db8::/32", "2001:db8::", 32, false),
            ("2001:db8::1", "2001:db8::1/128", "2001:db8::1", 128, false),
            ("[2001:db8::1]:53/32", "2001:db8::/32", "2001:db8::", 32, false),
            ("::ffff:1.2.3.4/120", "::ffff:1.2.3.0/120", "::ffff:1.2.3.0", 120, false),
        ] {
            assert_eq!(netmask(read).to_text(), written);
            assert_eq!(netmask(read).call("toString", []), text(written));
            assert_eq!(netmask(read).call("getNetwork", []), make("newCA", [network.into()]).value(), "{read}");
            assert_eq!(netmask(read).call("getMaskedNetwork", []), make("newCA", [network.into()]).value(), "{read}");
            assert_eq!(netmask(read).call("getBits", []), number(length), "{read}");
            for (method, wanted) in
                [("isIPv4", is_v4), ("isIpv4", is_v4), ("isIPv6", !is_v4), ("isIpv6", !is_v4), ("empty", false)]
            {
                assert_eq!(netmask(read).call(method, []), Value::Boolean(wanted), "{read} {method}");
            }
        }
        assert_eq!(netmask("10.1.0.0/8").0.equality(&netmask("10.0.0.0/8").0), Some(true));
        assert_eq!(netmask("10.0.0.0/9").0.equality(&netmask("10.0.0.0/8").0), Some(false));
        assert_eq!(netmask("0.0.0.0/0").0.equality(&netmask("::/0").0), Some(false));
    }

    /// PowerDNS 4.7.3 refuses these too, but for lengths that are too long or followed by something else.
    #[test]
    fn bad_networks_are_errors() {
        for bad in [
            "",
            "x",
            "/8",
            "10/8",
            "10.1/8",
            "010.0.0.1/8",
            "10.0.0.1:53/8",
            "!10.0.0.0/8",
            "10.0.0.0/x",
            "10.0.0.0/-1",
            "10.0.0.0/256",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/8x",
            "10.0.0.0/+8",
            "10.0.0.0/255.0.0.0",
        ] {
            assert_eq!(refused("newNetmask", [bad.into()]), format!("argument 1 of newNetmask is no network: '{bad}'"));
        }
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn networks_match_as_in_powerdns() {
        for (network, address, wanted) in [
            ("10.0.0.0/8", "10.2.3.4", true),
            ("10.0.0.0/8", "11.2.3.4", false),
            ("10.0.0.0/8", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", false),
            ("::ffff:1.2.3.4/120", "1.2.3.5", false),
            ("::/0", "1.2.3.4", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "[2001:db8::1]:53", true),
        ] {
            assert_eq!(netmask(network).call("match", [address.into()]), Value::Boolean(wanted), "{network} {address}");
        }
        for bad in ["x", "10.1", "10.2.3.4:53", "10.0.0.1/32"] {
            assert_eq!(
                netmask("10.0.0.0/8").refuses("match", [bad.into()]),
                format!("argument 1 of match is no address: '{bad}'")
            );
        }
        assert!(netmask("::/0").refuses("match", [make("newCA", ["::1".into()]).value()]).contains("is a ComboAddress"));
    }
}
