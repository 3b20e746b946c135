//! EDNS (RFC 6891): what the OPT record of a query says, and the OPT record of a reply.
//!
//! Options that leeward does not know are skipped (RFC 6891 6.1.2). Client subnet (RFC 7871) is read strictly. What is
//! malformed is a value here, not an end: the FORMERR that it deserves must carry question and OPT (RFC 6891 6.1.1), and a
//! wrong version goes before it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The UDP payload size that replies announce and never exceed: fits any path without fragments
/// (DNS flag day 2020).
pub const RESPONDER_PAYLOAD: u16 = 1232;

const OPTION_CLIENT_SUBNET: u16 = 8;
const OPTION_EXTENDED_ERROR: u16 = 15;

/// What the OPT record of a query says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The payload size that the client can take, as stated.
    pub payload: u16,
    /// The EDNS version; leeward speaks 0.
    pub version: u8,
    /// The DO bit (RFC 3225).
    pub dnssec_ok: bool,
    /// Client subnet, where the option is there; family 0 with no address, a client that does not want it used, counts as
    /// none.
    pub client_subnet: Option<Result<ClientSubnet, Malformed>>,
    /// Whether the options do not fill their room exactly, or a second OPT record follows.
    pub malformed: bool,
}

/// A client subnet option that breaks the form of RFC 7871 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Edns {
    /// From the fixed part of an OPT record and its RDATA.
    pub(super) fn parse(class: u16, ttl: u32, rdata: &[u8]) -> Self {
        let [_extended_rcode, version, flags_high, _] = ttl.to_be_bytes();
        let dnssec_ok = flags_high & 0x80 != 0;
        let mut edns = Self { payload: class, version, dnssec_ok, client_subnet: None, malformed: false };
        edns.malformed = edns.options(rdata).is_none();
        edns
    }

    /// Takes in the options; `None` where they break off.
    fn options(&mut self, mut rdata: &[u8]) -> Option<()> {
        while !rdata.is_empty() {
            let (head, rest) = rdata.split_first_chunk::<4>()?;
            let code = u16::from_be_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (data, rest) = rest.split_at_checked(len)?;
            if code == OPTION_CLIENT_SUBNET && self.client_subnet.is_none() && data != [0; 4] {
                self.client_subnet = Some(ClientSubnet::parse(data).ok_or(Malformed));
            }
            rdata = rest;
        }
        Some(())
    }
}

/// The network of the end client, as a resolver tells it (RFC 7871 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSubnet {
    /// The network's address, host bits zero.
    pub network: IpAddr,
    /// Leading bits of `network` that the resolver gave: 0..=32 or 0..=128.
    pub source: u8,
}

impl ClientSubnet {
    fn parse(data: &[u8]) -> Option<Self> {
        let (&[family_high, family_low, source, scope], address) = data.split_first_chunk::<4>()?;
        if scope != 0 || address.len() != usize::from(source.div_ceil(8)) {
            return None;
        }
        let network = match u16::from_be_bytes([family_high, family_low]) {
            1 if source <= 32 => IpAddr::V4(Ipv4Addr::from(padded::<4>(address))),
            2 if source <= 128 => IpAddr::V6(Ipv6Addr::from(padded::<16>(address))),
            _ => return None,
        };
        let beyond_source = match network {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        (beyond_source.checked_shl(u32::from(source)).unwrap_or(0) == 0).then_some(Self { network, source })
    }

    /// The option's octets in a reply, `scope` being how many bits the answer depended on.
    fn write(self, scope: u8, out: &mut OptionBuf) {
        let kept = usize::from(self.source.div_ceil(8));
        match self.network {
            IpAddr::V4(address) => out.push_subnet(1, self.source, scope, &address.octets()[..kept]),
            IpAddr::V6(address) => out.push_subnet(2, self.source, scope, &address.octets()[..kept]),
        }
    }
}

/// The text is not an address, or an address and a prefix length that its family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an address or a network such as 192.0.2.0/24")]
pub struct NotASubnet;

impl FromStr for ClientSubnet {
    type Err = NotASubnet;

    /// An address or a network; host bits are cleared, as a resolver does (RFC 7871 6).
    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| NotASubnet)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let source =
            length.map_or(Some(bits), |length| length.parse().ok()).filter(|&source| source <= bits).ok_or(NotASubnet)?;
        let beyond = u32::from(bits - source);
        let network = match address {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(beyond).unwrap_or(0)).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(beyond).unwrap_or(0)).into()),
        };
        Ok(Self { network, source })
    }
}

fn padded<const N: usize>(prefix: &[u8]) -> [u8; N] {
    let mut whole = [0; N];
    whole[..prefix.len()].copy_from_slice(prefix);
    whole
}

/// An extended DNS error (RFC 8914): INFO-CODE and EXTRA-TEXT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT; at most 64 octets of it are sent.
    pub text: &'static str,
}

impl ExtendedError {
    /// `Other Error`, with the reason as text.
    #[must_use]
    pub const fn other(text: &'static str) -> Self {
        Self { code: 0, text }
    }

    /// `Not Ready`: the answer rests on something that is not known yet.
    #[must_use]
    pub const fn not_ready(text: &'static str) -> Self {
        Self { code: 14, text }
    }
}

/// What the OPT record of a reply says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptReply {
    /// The DO bit, copied from the query (RFC 3225 3).
    pub dnssec_ok: bool,
    /// Client subnet and its scope prefix length, where the query had one.
    pub client_subnet: Option<(ClientSubnet, u8)>,
    /// An extended error.
    pub error: Option<ExtendedError>,
}

impl OptReply {
    /// The whole record; `extended_rcode` is the upper eight bits of the rcode.
    pub(super) fn encode(&self, extended_rcode: u8) -> OptionBuf {
        let mut out = OptionBuf { bytes: [0; OptionBuf::MAX], len: 0 };
        out.push(&[0, 0, 41]);
        out.push(&RESPONDER_PAYLOAD.to_be_bytes());
        out.push(&[extended_rcode, 0, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
        let length_at = out.len;
        out.push(&[0, 0]);
        if let Some((subnet, scope)) = self.client_subnet {
            subnet.write(scope, &mut out);
        }
        if let Some(error) = self.error {
            let text = &error.text.as_bytes()[..error.text.len().min(64)];
            out.push(&OPTION_EXTENDED_ERROR.to_be_bytes());
            out.push(&(2 + text.len() as u16).to_be_bytes());
            out.push(&error.code.to_be_bytes());
            out.push(text);
        }
        let rdata_len = (out.len - length_at - 2) as u16;
        out.bytes[length_at..length_at + 2].copy_from_slice(&rdata_len.to_be_bytes());
        out
    }
}

/// An encoded OPT record.
pub(super) struct OptionBuf {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl OptionBuf {
    /// Fixed part 11, client subnet at most 4 + 4 + 16, extended error at most 4 + 2 + 64.
    const MAX: usize = 11 + 24 + 70;

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, octets: &[u8]) {
        self.bytes[self.len..self.len + octets.len()].copy_from_slice(octets);
        self.len += octets.len();
    }

    fn push_subnet(&mut self, family: u16, source: u8, scope: u8, address: &[u8]) {
        self.push(&OPTION_CLIENT_SUBNET.to_be_bytes());
        self.push(&(4 + address.len() as u16).to_be_bytes());
        self.push(&family.to_be_bytes());
        self.push(&[source, scope]);
        self.push(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7871_client_subnet_is_read_strictly() {
        let good = ClientSubnet { network: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0)), source: 24 };
        assert_eq!(ClientSubnet::parse(&[0, 1, 24, 0, 192, 0, 2]), Some(good));
        assert_eq!(ClientSubnet::parse(&[0, 1, 0, 0]).map(|s| s.source), Some(0));
        let bad: [&[u8]; 8] = [
            &[0, 1, 24, 0, 192, 0],        // too few octets
            &[0, 1, 24, 0, 192, 0, 2, 0],  // too many
            &[0, 1, 24, 8, 192, 0, 2],     // scope in a query
            &[0, 1, 33, 0, 1, 2, 3, 4, 5], // longer than the family
            &[0, 3, 8, 0, 1],              // unknown family
            &[0, 1, 23, 0, 192, 0, 3],     // host bits set
            &[0, 1, 24],                   // cut short
            &[],
        ];
        for data in bad {
            assert_eq!(ClientSubnet::parse(data), None, "{data:?}");
        }
        let mut all = vec![0, 2, 128, 0];
        all.extend([0xFF; 16]);
        assert_eq!(ClientSubnet::parse(&all).map(|s| s.source), Some(128));
    }

    #[test]
    fn options_are_skipped_or_malformed() {
        let unknown = [0xFD, 0xE9, 0, 2, 1, 2];
        let edns = Edns::parse(4096, 0x0000_8000, &unknown);
        assert_eq!((edns.payload, edns.dnssec_ok, edns.malformed), (4096, true, false));
        assert!(Edns::parse(4096, 0, &unknown[..5]).malformed);
        assert_eq!(Edns::parse(4096, 0x0001_0000, &[]).version, 1);
        let nobody = [0, 8, 0, 4, 0, 0, 0, 0];
        assert_eq!(Edns::parse(4096, 0, &nobody).client_subnet, None);
        let broken = [0, 8, 0, 4, 0, 3, 0, 0];
        assert_eq!(Edns::parse(4096, 0, &broken).client_subnet, Some(Err(Malformed)));
    }

    #[test]
    fn the_largest_reply_fits_its_buffer() {
        let subnet = ClientSubnet { network: IpAddr::V6(Ipv6Addr::UNSPECIFIED), source: 128 };
        let text = "a reason that goes on and on, well beyond what anyone would like to read in a packet";
        let reply = OptReply { dnssec_ok: true, client_subnet: Some((subnet, 128)), error: Some(ExtendedError::other(text)) };
        assert_eq!(reply.encode(0).as_slice().len(), OptionBuf::MAX);
    }
}
