//! Address prefixes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address prefix, with all bits beyond its length clear. IPv4-mapped IPv6 counts as IPv4, in prefixes and in
/// addresses alike, so no spelling of an address escapes a prefix of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    address: IpAddr,
    length: u8,
}

/// Why text is not an address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// What stands before the slash is no address, or what follows it no number.
    #[error("it is no address prefix such as 192.0.2.0/24")]
    Form,
    /// A length beyond the address.
    #[error("the prefix is longer than its address")]
    Length,
    /// Bits beyond the length are set.
    #[error("it has bits set beyond its length; the prefix is {0}")]
    HostBits(Net),
}

impl Net {
    /// The addresses that share their first `length` bits with `address`; `None` where an address has fewer.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let (address, length) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if (96..=128).contains(&length) => (v4, length - 96),
            _ => (address, length),
        };
        Some(Self { address: masked(address, length)?, length })
    }

    /// The first address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits all its addresses share.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// Whether it is a network of IPv4 addresses.
    #[must_use]
    pub const fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether `address` lies within.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.length) == Some(self.address)
    }
}

/// What may be asked and what not: the one list, and where there is one nothing outside the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// Whose addresses are out of bounds, whatever `allow` says.
    pub deny: Vec<Net>,
    /// Whose alone are not; `None`: everyone's.
    pub allow: Option<Vec<Net>>,
}

impl Fence {
    /// Why an address is out of bounds; `None`: it is not.
    #[must_use]
    pub fn forbids(&self, address: IpAddr) -> Option<Forbidden> {
        let holds = |nets: &[Net]| nets.iter().any(|net| net.contains(address));
        if holds(&self.deny) {
            return Some(Forbidden::Denied);
        }
        self.allow.as_ref().filter(|allow| !holds(allow)).map(|_| Forbidden::NotAllowed)
    }
}

/// Why an address is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// It lies in what is denied.
    Denied,
    /// It does not lie in what is allowed.
    NotAllowed,
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Denied => "it lies in `[prober] deny`",
            Self::NotAllowed => "it lies in nothing of `[prober] allow`",
        })
    }
}

/// `address` with all bits beyond the first `length` clear; `None` where it has fewer.
fn masked(address: IpAddr, length: u8) -> Option<IpAddr> {
    let length = u32::from(length);
    match address {
        IpAddr::V4(v4) => {
            let host = 32u32.checked_sub(length)?;
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            Some(Ipv4Addr::from_bits(v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let host = 128u32.checked_sub(length)?;
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            Some(Ipv6Addr::from_bits(v6.to_bits() & mask).into())
        }
    }
}

impl FromStr for Net {
    type Err = NetError;

    /// `address/length`; an address alone is itself only.
    fn from_str(text: &str) -> Result<Self, NetError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| NetError::Form)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetError::Form)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let net = Self::new(address, length.unwrap_or(bits)).ok_or(NetError::Length)?;
        if net.address == address.to_canonical() || net.address == address { Ok(net) } else { Err(NetError::HostBits(net)) }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains() {
        for (net, address, within) in [
            ("169.254.0.0/16", "169.254.1.2", true),
            ("169.254.0.0/16", "169.253.255.255", false),
            ("169.254.0.0/16", "::ffff:169.254.1.2", true),
            ("::ffff:169.254.0.0/112", "169.254.1.2", true),
            ("fe80::/10", "febf::1", true),
            ("fe80::/10", "fec0::1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1/128", "2001:db8::1", true),
        ] {
            assert_eq!(net.parse::<Net>().unwrap().contains(address.parse().unwrap()), within, "{net} {address}");
        }
    }

    #[test]
    fn text() {
        for (text, expected) in [
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            ("10.0.0.0/33", Err(NetError::Length)),
            ("::/129", Err(NetError::Length)),
            ("10.0.0.0/", Err(NetError::Form)),
            ("10.0.0.0/-1", Err(NetError::Form)),
            ("example.com", Err(NetError::Form)),
            ("10.1.0.0/8", Err(NetError::HostBits("10.0.0.0/8".parse().unwrap()))),
        ] {
            assert_eq!(text.parse::<Net>().map(|net| net.to_string()), expected.map(str::to_owned), "{text}");
        }
    }
}
