//! Target addresses as PowerDNS reads them: leniently.
//!
//! IPv4 is what C's `inet_aton` takes (one to four parts, each decimal, octal or hexadecimal, the last one filling the
//! rest: `1` is 0.0.0.1), optionally with `:port`; IPv6 is numeric, or `[v6]` with an optional `:port`.

//!
//! They are written as the C library writes them: in canonical form (RFC 5952), and with a dotted end where an IPv6
//! address begins with 96 zero bits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with an optional port of its own. Port 0 is no port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
    /// Whether the text is an IPv4 address in an unusual spelling, most likely by mistake.
    pub(super) unusual: bool,
}

/// The address that `text` spells, or `None`.
pub(super) fn parse(text: &str) -> Option<Target> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, rest) = inner.split_once(']')?;
        let port = if rest.is_empty() { None } else { port(rest.strip_prefix(':')?)? };
        return Some(v6(address.parse().ok()?, port));
    }
    if let Ok(address) = text.parse() {
        return Some(v6(address, None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, port(digits)?),
        None => (text, None),
    };
    let address = inet_aton(host)?;
    Some(Target { address: address.into(), port, unusual: host.parse::<Ipv4Addr>().is_err() })
}

/// The canonical text of `address`.
pub(super) fn text(address: IpAddr) -> String {
    match address {
        IpAddr::V6(v6) if v6.to_bits() >> 32 == 0 && v6.to_bits() >> 16 != 0 => {
            format!("::{}", Ipv4Addr::from_bits(v6.to_bits() as u32))
        }
        _ => address.to_string(),
    }
}

fn v6(address: Ipv6Addr, port: Option<u16>) -> Target {
    Target { address: address.into(), port, unusual: false }
}

/// A decimal port; the outer `None` for anything else, the inner one for 0.
fn port(digits: &str) -> Option<Option<u16>> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(|port: u16| (port != 0).then_some(port))
}

fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.splitn(5, '.').map(part).collect::<Option<_>>()?;
    let (&last, octets) = parts.split_last()?;
    if octets.len() > 3 || octets.iter().any(|&octet| octet > 255) {
        return None;
    }
    let free = 32 - 8 * octets.len() as u32;
    if u64::from(last) >= 1 << free {
        return None;
    }
    let high = octets.iter().zip([24, 16, 8]).fold(0, |sum, (octet, shift)| sum | octet << shift);
    Some(Ipv4Addr::from_bits(high | last))
}

/// One part: `0x` hexadecimal, `0` octal, else decimal.
fn part(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_leniently() {
        let cases = [
            ("192.0.2.1", "192.0.2.1", None, false),
            ("192.0.2.1:8443", "192.0.2.1", Some(8443), false),
            ("192.0.2.1:0", "192.0.2.1", None, false),
            ("1", "0.0.0.1", None, true),
            ("10.1", "10.0.0.1", None, true),
            ("10.1.2", "10.1.0.2", None, true),
            ("10.65535", "10.0.255.255", None, true),
            ("010.0.0.1", "8.0.0.1", None, true),
            ("0xC0.0.2.0x1:80", "192.0.2.1", Some(80), true),
            ("0xC0000201", "192.0.2.1", None, true),
            ("4294967295", "255.255.255.255", None, true),
            ("0.0.0.0", "0.0.0.0", None, false),
            ("2001:DB8:0::1", "2001:db8::1", None, false),
            ("[2001:db8::1]", "2001:db8::1", None, false),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443), false),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1", None, false),
        ];
        for (text, address, port, unusual) in cases {
            let wanted = Target { address: address.parse().unwrap(), port, unusual };
            assert_eq!(parse(text), Some(wanted), "{text}");
            assert_eq!(wanted.address.to_string(), address);
        }
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn addresses_are_written_as_by_the_c_library() {
        for (read, written) in [
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("::", "::"),
            ("::2", "::2"),
            ("::ffff", "::ffff"),
            ("::1:2", "::0.1.0.2"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("::abcd:0", "::171.205.0.0"),
            ("::1:0:0", "::1:0:0"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("::ffff:0:1.2.3.4", "::ffff:0:102:304"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:0:0:3:4", "1::2:0:0:3:4"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(text(read.parse().unwrap()), written, "{read}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let cases = [
            "",
            "x",
            "256.0.0.1",
            "1.2.3.4.5",
            "1.2.3.256",
            "10.16777216",
            "4294967296",
            "08.0.0.1",
            "1..2",
            "1.2.3.",
            "0x",
            "+1",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:+80",
            "192.0.2.1 ",
            " 192.0.2.1",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[192.0.2.1]",
            "fe80::1%eth0",
            "www.example.com",
            "-1",
            "1.2.3.4:80:80",
        ];
        for text in cases {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
