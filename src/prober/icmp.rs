//! The ICMP check: an echo request that is answered. Over the system's ping socket, which needs no privilege where
//! `net.ipv4.ping_group_range` holds one of the process's groups; the system fills in identifier and checksum.
//!
//! Never here: the time limit, more than one request.

use std::net::IpAddr;

use super::errors::{Source, Unmet, classify};
use super::udp;

/// Octets of an echo message's header: type, code, checksum, identifier, sequence number (RFC 792).
const HEADER: usize = 8;
/// Octets of what is to be echoed.
const TOKEN: usize = 16;

/// Asks once, and waits for the echo.
pub(super) async fn probe(from: Option<IpAddr>, to: IpAddr) -> Result<(), Unmet> {
    let (request, reply) = if to.is_ipv4() { (8, 0) } else { (128, 129) };
    let socket = udp::connect_icmp(from, to)?;
    let token = fastrand::u128(..).to_be_bytes();
    let mut message = [0; HEADER + TOKEN];
    message[0] = request;
    message[HEADER..].copy_from_slice(&token);
    socket.send(&message).await.map_err(|error| classify(Source::Host, &error))?;
    let mut octets = [0; 256];
    loop {
        let length = socket.recv(&mut octets).await.map_err(|error| classify(Source::Network, &error))?;
        let octets = &octets[..length];
        if octets.first() == Some(&reply) && octets.get(HEADER..HEADER + TOKEN) == Some(&token) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Inconclusive;

    #[tokio::test]
    async fn this_host_answers_or_the_system_refuses() {
        for to in ["127.0.0.1", "::1"] {
            let to: IpAddr = to.parse().unwrap();
            let granted = udp::connect_icmp(None, to);
            match granted {
                Ok(_) => assert_eq!(probe(None, to).await, Ok(())),
                Err(unmet) => {
                    assert!([Inconclusive::NoPing, Inconclusive::NoRoute].map(Unmet::from).contains(&unmet), "{to}: {unmet:?}")
                }
            }
        }
    }
}
