//! EDNS (RFC 6891): what the OPT record of a query says, and the OPT record of a reply.
//!
//! Options that leeward does not know are skipped (RFC 6891 6.1.2); those that it knows are read strictly. What is
//! malformed is a value here, not an end: the FORMERR that it deserves must carry question and OPT (RFC 6891 6.1.1), and a
//! wrong version goes before it.
//!
//! Never here: what a cookie is worth, which options a reply gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The UDP payload size that replies announce and never exceed: fits any path without fragments
/// (DNS flag day 2020).
pub const RESPONDER_PAYLOAD: u16 = 1232;

/// Option codes (IANA "DNS EDNS0 Option Codes").
mod option {
    /// RFC 5001.
    pub(super) const NSID: u16 = 3;
    /// RFC 7871.
    pub(super) const CLIENT_SUBNET: u16 = 8;
    /// RFC 7873.
    pub(super) const COOKIE: u16 = 10;
    /// RFC 7828.
    pub(super) const TCP_KEEPALIVE: u16 = 11;
    /// RFC 7830.
    pub(super) const PADDING: u16 = 12;
    /// RFC 8914.
    pub(super) const EXTENDED_ERROR: u16 = 15;
}

/// Octets of a client cookie (RFC 7873 4.1).
pub const CLIENT_COOKIE_LEN: usize = 8;
/// Octets of a server cookie, as RFC 9018 4 makes them.
pub const SERVER_COOKIE_LEN: usize = 16;
/// Longest identifier that is sent as NSID.
pub const NSID_MAX: usize = 64;
/// Replies to padded queries are padded to a multiple of this (RFC 8467 4.1).
const PADDING_BLOCK: usize = 468;

/// What the OPT record of a query says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'a> {
    /// The payload size that the client can take, as stated.
    pub payload: u16,
    /// The EDNS version; leeward speaks 0.
    pub version: u8,
    /// The DO bit (RFC 3225).
    pub dnssec_ok: bool,
    /// Client subnet, where the option is there; family 0 with no address, a client that does not want it used, counts as
    /// none.
    pub client_subnet: Option<Result<ClientSubnet, Malformed>>,
    /// Whether the server's identifier is asked for.
    pub nsid: bool,
    /// The cookie, where the option is there.
    pub cookie: Option<Result<Cookie<'a>, Malformed>>,
    /// Whether the client would like to know how long a connection may idle (RFC 7828). A value with it says nothing.
    pub keepalive: bool,
    /// Whether the query is padded, which asks for a padded reply (RFC 7830 4).
    pub padded: bool,
    /// Whether the options do not fill their room exactly, or a second OPT record or one in the wrong place is there.
    pub malformed: bool,
}

/// An option that breaks the form that its RFC gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Edns<'a> {
    /// From the fixed part of an OPT record and its RDATA.
    pub(super) fn parse(class: u16, ttl: u32, rdata: &'a [u8]) -> Self {
        let [_extended_rcode, version, flags_high, _] = ttl.to_be_bytes();
        let mut edns = Self {
            payload: class,
            version,
            dnssec_ok: flags_high & 0x80 != 0,
            client_subnet: None,
            nsid: false,
            cookie: None,
            keepalive: false,
            padded: false,
            malformed: false,
        };
        edns.malformed = edns.options(rdata).is_none();
        edns
    }

    /// Takes in the options; `None` where they break off. Of an option that stands twice, the first counts.
    fn options(&mut self, mut rdata: &'a [u8]) -> Option<()> {
        while !rdata.is_empty() {
            let (head, rest) = rdata.split_first_chunk::<4>()?;
            let code = u16::from_be_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (data, rest) = rest.split_at_checked(len)?;
            match code {
                option::NSID => self.nsid = true,
                option::CLIENT_SUBNET if data != [0; 4] => {
                    self.client_subnet.get_or_insert_with(|| ClientSubnet::parse(data).ok_or(Malformed));
                }
                option::COOKIE => {
                    self.cookie.get_or_insert_with(|| Cookie::parse(data).ok_or(Malformed));
                }
                option::TCP_KEEPALIVE => self.keepalive = true,
                option::PADDING => self.padded = true,
                _ => {}
            }
            rdata = rest;
        }
        Some(())
    }
}

/// A cookie as a client sends it (RFC 7873 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'a> {
    /// What the client made, which the reply repeats.
    pub client: [u8; CLIENT_COOKIE_LEN],
    /// What a server made for it, 8 to 32 octets; empty where the client has none yet.
    pub server: &'a [u8],
}

impl<'a> Cookie<'a> {
    fn parse(data: &'a [u8]) -> Option<Self> {
        let (&client, server) = data.split_first_chunk::<CLIENT_COOKIE_LEN>()?;
        matches!(server.len(), 0 | 8..=32).then_some(Self { client, server })
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
    /// Octets of EXTRA-TEXT that are sent.
    const TEXT_MAX: usize = 64;

    /// `Stale Answer`: the data is older than it should be.
    #[must_use]
    pub const fn stale(text: &'static str) -> Self {
        Self { code: 3, text }
    }

    /// `Not Authoritative`: the name is in no zone that is served.
    #[must_use]
    pub const fn not_authoritative() -> Self {
        Self { code: 20, text: "" }
    }

    /// `Not Supported`: what is asked for is not offered.
    #[must_use]
    pub const fn not_supported(text: &'static str) -> Self {
        Self { code: 21, text }
    }

    /// `Invalid Query Type` (RFC 9824 3.5).
    #[must_use]
    pub const fn invalid_query_type() -> Self {
        Self { code: 30, text: "" }
    }

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
pub struct OptReply<'a> {
    /// The DO bit, copied from the query (RFC 3225 3).
    pub dnssec_ok: bool,
    /// Client subnet and its scope prefix length, where the query had one.
    pub client_subnet: Option<(ClientSubnet, u8)>,
    /// The server's identifier, of which at most [`NSID_MAX`] octets are sent.
    pub nsid: Option<&'a [u8]>,
    /// Client cookie and server cookie.
    pub cookie: Option<([u8; CLIENT_COOKIE_LEN], [u8; SERVER_COOKIE_LEN])>,
    /// How long a connection may idle, in units of 100 ms (RFC 7828 3.1).
    pub keepalive: Option<u16>,
    /// Whether the whole message is padded to a multiple of 468 octets (RFC 8467 4.1).
    pub padded: bool,
    /// An extended error.
    pub error: Option<ExtendedError>,
}

impl OptReply<'_> {
    /// Gives `put` each option but padding: its code, and its data in parts.
    fn options(&self, mut put: impl FnMut(u16, &[&[u8]])) {
        if let Some(nsid) = self.nsid {
            put(option::NSID, &[&nsid[..nsid.len().min(NSID_MAX)]]);
        }
        if let Some((subnet, scope)) = self.client_subnet {
            let kept = usize::from(subnet.source.div_ceil(8));
            match subnet.network {
                IpAddr::V4(address) => {
                    put(option::CLIENT_SUBNET, &[&[0, 1, subnet.source, scope], &address.octets()[..kept]]);
                }
                IpAddr::V6(address) => {
                    put(option::CLIENT_SUBNET, &[&[0, 2, subnet.source, scope], &address.octets()[..kept]]);
                }
            }
        }
        if let Some((client, server)) = &self.cookie {
            put(option::COOKIE, &[client, server]);
        }
        if let Some(timeout) = self.keepalive {
            put(option::TCP_KEEPALIVE, &[&timeout.to_be_bytes()]);
        }
        if let Some(error) = self.error {
            let text = &error.text.as_bytes()[..error.text.len().min(ExtendedError::TEXT_MAX)];
            put(option::EXTENDED_ERROR, &[&error.code.to_be_bytes(), text]);
        }
    }

    /// Octets of the whole record but for padding, at least [`FIXED_LEN`].
    pub(super) fn encoded_len(&self) -> usize {
        let mut len = FIXED_LEN;
        self.options(|_, parts| len += OPTION_HEAD + parts.iter().map(|part| part.len()).sum::<usize>());
        len
    }

    /// Writes the whole record but for padding to the front of `out`, which has room for it; `extended_rcode` is the upper
    /// eight bits of the rcode.
    pub(super) fn encode(&self, extended_rcode: u8, out: &mut [u8]) {
        let mut len = 0;
        let mut push = |octets: &[u8]| {
            out[len..len + octets.len()].copy_from_slice(octets);
            len += octets.len();
        };
        let rdata_len = (self.encoded_len() - FIXED_LEN) as u16;
        push(&[0, 0, 41]);
        push(&RESPONDER_PAYLOAD.to_be_bytes());
        push(&[extended_rcode, 0, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
        push(&rdata_len.to_be_bytes());
        self.options(|code, parts| {
            let len: usize = parts.iter().map(|part| part.len()).sum();
            push(&code.to_be_bytes());
            push(&(len as u16).to_be_bytes());
            parts.iter().for_each(|part| push(part));
        });
    }
}

/// Octets of an OPT record before its RDATA.
const FIXED_LEN: usize = 11;
/// Where the length of its RDATA stands in an OPT record.
pub(super) const RDLENGTH_AT: usize = FIXED_LEN - 2;
/// Octets of an option before its data.
const OPTION_HEAD: usize = 4;

/// How many octets of padding data bring a message of `len` octets, the option's head not counted, to a multiple of the
/// block, or as near as `limit` allows. `None` where not even the head fits.
pub(super) fn padding(len: usize, limit: usize) -> Option<usize> {
    let bare = len + OPTION_HEAD;
    let whole = bare.next_multiple_of(PADDING_BLOCK).min(limit);
    whole.checked_sub(bare)
}

/// The head of a padding option with `len` octets of data.
pub(super) fn padding_head(len: usize) -> [u8; OPTION_HEAD] {
    let [c0, c1] = option::PADDING.to_be_bytes();
    let [l0, l1] = (len as u16).to_be_bytes();
    [c0, c1, l0, l1]
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
    fn rfc7873_cookies_have_one_of_two_forms() {
        let cookie = |len: usize| {
            Edns::parse(1232, 0, &[&[0, 10, 0, len as u8][..], &[7; 64][..len]].concat()).cookie.is_some_and(|c| c.is_ok())
        };
        assert_eq!((0..=48).filter(|&len| cookie(len)).collect::<Vec<_>>(), [8].into_iter().chain(16..=40).collect::<Vec<_>>());
    }

    #[test]
    fn rfc8467_padding_reaches_the_block_or_the_limit() {
        for (len, limit, expected) in
            [(100, 65535, Some(364)), (464, 65535, Some(0)), (465, 65535, Some(467)), (500, 600, Some(96)), (598, 600, None)]
        {
            assert_eq!(padding(len, limit), expected, "{len} of {limit}");
        }
    }

    #[test]
    fn the_largest_record_is_as_long_as_it_says() {
        let subnet = ClientSubnet { network: IpAddr::V6(Ipv6Addr::UNSPECIFIED), source: 128 };
        let text = "a reason that goes on and on, well beyond what anyone would like to read in a packet";
        let reply = OptReply {
            dnssec_ok: true,
            client_subnet: Some((subnet, 128)),
            nsid: Some(&[b'n'; 100]),
            cookie: Some(([1; CLIENT_COOKIE_LEN], [2; SERVER_COOKIE_LEN])),
            keepalive: Some(100),
            padded: true,
            error: Some(ExtendedError::other(text)),
        };
        let mut out = vec![0xEE; reply.encoded_len()];
        reply.encode(0, &mut out);
        let data = |options: &[usize]| options.iter().map(|len| OPTION_HEAD + len).sum::<usize>();
        let lengths = [NSID_MAX, 4 + 16, CLIENT_COOKIE_LEN + SERVER_COOKIE_LEN, 2, 2 + ExtendedError::TEXT_MAX];
        assert_eq!(out.len(), FIXED_LEN + data(&lengths));
        assert_eq!(out.last_chunk(), Some(b"ike"), "the text's 64th octet is the last");
    }
}
