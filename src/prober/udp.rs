//! Datagram sockets that are connected to exactly one address: UDP, and ICMP echo where the system grants it.
//!
//! Never here: what is said over them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::errors::{Source, Unmet, classify};
use super::tcp::bind;
use crate::target::Inconclusive;

/// A socket that sends to `to` and hears nobody else.
pub(super) fn connect(from: Option<IpAddr>, to: SocketAddr) -> Result<UdpSocket, Unmet> {
    let socket = open(to, Protocol::UDP).map_err(|error| classify(Source::Host, &error))?;
    connected(socket, from, to)
}

/// The same for ICMP, of which the system lets only echo requests pass ("ping socket").
pub(super) fn connect_icmp(from: Option<IpAddr>, to: IpAddr) -> Result<UdpSocket, Unmet> {
    let protocol = if to.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
    let to = SocketAddr::new(to, 0);
    let socket = open(to, protocol).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::ACCESS | Errno::PERM) => Inconclusive::NoPing.into(),
        _ => classify(Source::Host, &error),
    })?;
    connected(socket, from, to)
}

fn open(to: SocketAddr, protocol: Protocol) -> io::Result<Socket> {
    Socket::new(Domain::for_address(to), Type::DGRAM.nonblocking().cloexec(), Some(protocol))
}

fn connected(socket: Socket, from: Option<IpAddr>, to: SocketAddr) -> Result<UdpSocket, Unmet> {
    if let Some(from) = from {
        bind(&socket, from, to)?;
    }
    let host = |error: io::Error| classify(Source::Host, &error);
    socket.connect(&to.into()).map_err(host)?;
    UdpSocket::from_std(socket.into()).map_err(host)
}
