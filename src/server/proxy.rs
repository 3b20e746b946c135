//! The PROXY protocol, version 2 (haproxy's `proxy-protocol.txt`): a proxy that we trust says who its client is.
//!
//! From the networks of `[server] proxy_protocol_from` every datagram and every TCP, DoT and DoH connection must begin
//! with the header; from others it is never looked for, so nobody else can choose an address. The header of a TLS
//! connection comes before its handshake. DoQ has none: no proxy that forwards QUIC writes one.
//!
//! `LOCAL` is the proxy's own health check: the client is the proxy. So is `PROXY` with an unspecified family, where the
//! proxy does not know. What else the header holds (destination, TLVs, checksums) is skipped. Version 1 is text, has no
//! datagrams, and is not accepted.
//!
//! Why by hand: a fixed head of sixteen octets and two address forms are less than a crate's interface to them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const HEAD_LEN: usize = 16;
const VERSION: u8 = 2;

/// No header where there must be one, or a broken one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<Malformed> for io::Error {
    fn from(Malformed: Malformed) -> Self {
        io::ErrorKind::InvalidData.into()
    }
}

/// What stands before the addresses.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// `None`: the client is the proxy itself.
    family: Option<Family>,
    /// Octets of addresses and TLVs.
    len: usize,
}

#[derive(Clone, Copy, Debug)]
enum Family {
    Inet,
    Inet6,
}

impl Head {
    fn parse(head: &[u8; HEAD_LEN]) -> Result<Self, Malformed> {
        let (signature, &[version_command, family_protocol, high, low]) = head.split_last_chunk::<4>().ok_or(Malformed)?;
        if signature != SIGNATURE || version_command >> 4 != VERSION {
            return Err(Malformed);
        }
        let family = match (version_command & 0xF, family_protocol) {
            (0, _) | (1, 0x00) => None,
            (1, 0x11 | 0x12) => Some(Family::Inet),
            (1, 0x21 | 0x22) => Some(Family::Inet6),
            _ => return Err(Malformed),
        };
        Ok(Self { family, len: usize::from(u16::from_be_bytes([high, low])) })
    }

    /// The client, from addresses and TLVs.
    fn client(self, rest: &[u8], proxy: SocketAddr) -> Result<SocketAddr, Malformed> {
        // Source address, destination address, source port, destination port.
        let (address, ports) = match self.family {
            None => return Ok(proxy),
            Some(Family::Inet) => {
                let (&source, rest) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
                (IpAddr::from(Ipv4Addr::from(source)), rest.get(4..))
            }
            Some(Family::Inet6) => {
                let (&source, rest) = rest.split_first_chunk::<16>().ok_or(Malformed)?;
                (IpAddr::V6(Ipv6Addr::from(source)).to_canonical(), rest.get(16..))
            }
        };
        let &[high, low, _, _] = ports.and_then(<[u8]>::first_chunk).ok_or(Malformed)?;
        Ok(SocketAddr::new(address, u16::from_be_bytes([high, low])))
    }
}

/// The client of a datagram that `proxy` sent, and the DNS message behind the header.
pub(super) fn datagram(datagram: &[u8], proxy: SocketAddr) -> Result<(SocketAddr, &[u8]), Malformed> {
    let (head, rest) = datagram.split_first_chunk().ok_or(Malformed)?;
    let head = Head::parse(head)?;
    let (rest, message) = rest.split_at_checked(head.len).ok_or(Malformed)?;
    Ok((head.client(rest, proxy)?, message))
}

/// Reads the header from the front of a connection from `proxy`, and nothing beyond it; the client.
///
/// # Errors
/// [`InvalidData`](io::ErrorKind::InvalidData) for [`Malformed`]; others where the connection ended before its header did,
/// as it does when a proxy only looks whether we are there.
pub(super) async fn stream(stream: &mut (impl AsyncRead + Unpin), proxy: SocketAddr) -> io::Result<SocketAddr> {
    let mut head = [0; HEAD_LEN];
    stream.read_exact(&mut head).await?;
    let head = Head::parse(&head)?;
    let mut rest = vec![0; head.len];
    stream.read_exact(&mut rest).await?;
    Ok(head.client(&rest, proxy)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 53);

    fn header(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &len, rest].concat()
    }

    #[test]
    fn the_client_is_the_inner_address() {
        let v4 = [203, 0, 113, 9, 192, 0, 2, 53, 0xC0, 0, 0, 53];
        let with_tlv = [&v4[..], &[4, 0, 1, 0]].concat();
        let v6 = [&"2001:db8::9".parse::<Ipv6Addr>().expect("an address").octets()[..], &[0; 16], &[0xC0, 1, 0, 53]].concat();
        for (version_command, family, rest, client) in [
            (0x21, 0x12, &v4[..], "203.0.113.9:49152"),
            (0x21, 0x11, &v4, "203.0.113.9:49152"),
            (0x21, 0x12, &with_tlv, "203.0.113.9:49152"),
            (0x21, 0x22, &v6, "[2001:db8::9]:49153"),
            (0x20, 0x00, &[], "192.0.2.1:53"),
            (0x20, 0x12, &v4, "192.0.2.1:53"),
            (0x21, 0x00, &[1, 2, 3], "192.0.2.1:53"),
        ] {
            let bytes = [&header(version_command, family, rest)[..], b"message"].concat();
            assert_eq!(datagram(&bytes, PROXY), Ok((client.parse().expect("an address"), &b"message"[..])));
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_is_not_malformed() {
        let good = header(0x21, 0x12, &[203, 0, 113, 9, 192, 0, 2, 53, 0xC0, 0, 0, 53]);
        let kind = async |mut octets: &[u8]| stream(&mut octets, PROXY).await.map_err(|error| error.kind());
        assert_eq!(kind(&good).await, Ok(SocketAddr::from(([203, 0, 113, 9], 0xC000))));
        for len in 0..good.len() {
            assert_eq!(kind(&good[..len]).await, Err(io::ErrorKind::UnexpectedEof), "cut at {len}");
        }
        assert_eq!(kind(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 53\r\n").await, Err(io::ErrorKind::InvalidData));
    }

    #[test]
    fn what_is_broken_is_no_header() {
        let v4 = [203, 0, 113, 9, 192, 0, 2, 53, 0xC0, 0, 0, 53];
        let good = header(0x21, 0x12, &v4);
        for len in 0..good.len() {
            assert_eq!(datagram(&good[..len], PROXY), Err(Malformed), "cut at {len}");
        }
        for (version_command, family, rest) in [
            (0x11, 0x12, &v4[..]),
            (0x22, 0x12, &v4),
            (0x21, 0x10, &v4),
            (0x21, 0x13, &v4),
            (0x21, 0x31, &[0; 216]),
            (0x21, 0x41, &v4),
            (0x21, 0x12, &v4[..11]),
            (0x21, 0x22, &v4),
        ] {
            assert_eq!(datagram(&header(version_command, family, rest), PROXY), Err(Malformed), "{family:x}");
        }
        assert_eq!(datagram(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 53\r\n", PROXY), Err(Malformed));
    }
}
