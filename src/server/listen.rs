//! Sockets: bound all together or not at all.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::Config;

/// How long a UDP thread waits for a datagram before it looks whether it should stop, and at the newest snapshot: short
/// enough for a prompt stop, long enough that an idle server costs nothing.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(250);
/// Tries to find one port that is free for UDP and TCP, where port 0 asks for any.
const PORT_TRIES: usize = 20;
/// Connections that the kernel completes before we accept them.
const TCP_BACKLOG: i32 = 1024;

/// The sockets of a server.
#[derive(Debug)]
pub struct Sockets {
    /// `threads` for each address.
    pub(super) udp: Vec<UdpSocket>,
    /// `threads` times a listener for each address.
    pub(super) tcp: Vec<Vec<TcpListener>>,
    pub(super) addresses: Vec<SocketAddr>,
}

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({protocol}): {source}; {}", remedy(source))]
pub struct BindError {
    address: SocketAddr,
    protocol: &'static str,
    source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop the server that has the port, or change `[server] listen`",
        io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "the address must be one of this host's",
        _ => "check `[server] listen`",
    }
}

/// Binds every address for a moment, without sharing, to report errors before anything else is done.
///
/// # Errors
/// [`BindError`] for the first address that cannot be bound: in use by anyone, not ours, or not allowed.
pub fn trial_bind(config: &Config) -> Result<(), BindError> {
    for &address in &config.listen {
        match bind_pair(address, false, config.rcvbuf) {
            Err(error) if config.lacks_family(&error) => {}
            bound => drop(bound?),
        }
    }
    Ok(())
}

impl Sockets {
    /// Binds every address, `threads` times each.
    ///
    /// # Errors
    /// [`BindError`] for the first address that cannot be bound.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let mut sockets = Self { udp: Vec::new(), tcp: Vec::new(), addresses: Vec::new() };
        sockets.tcp.resize_with(config.threads, Vec::new);
        for &address in &config.listen {
            let first = match bind_pair(address, true, config.rcvbuf) {
                Err(error) if config.lacks_family(&error) => {
                    tracing::warn!(%address, "left out: this host has no such address");
                    continue;
                }
                bound => bound?,
            };
            let address = first.1.local_addr().map_err(|source| BindError { address, protocol: "tcp", source })?;
            sockets.addresses.push(address);
            sockets.take(0, first);
            for thread in 1..config.threads {
                sockets.take(thread, bind_pair(address, true, config.rcvbuf)?);
            }
        }
        Ok(sockets)
    }

    fn take(&mut self, thread: usize, (udp, tcp): (UdpSocket, TcpListener)) {
        self.udp.push(udp);
        self.tcp[thread].push(tcp);
    }
}

impl Config {
    /// Whether an address of the default list failed because the host lacks its family, as hosts without IPv6 do.
    fn lacks_family(&self, error: &BindError) -> bool {
        let lacking = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL].map(Some).contains(&error.source.raw_os_error());
        self.listen_is_default && error.address.is_ipv6() && lacking
    }
}

/// UDP and TCP on one address and port.
fn bind_pair(address: SocketAddr, share: bool, rcvbuf: usize) -> Result<(UdpSocket, TcpListener), BindError> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let udp = udp(address, share, rcvbuf).map_err(|source| BindError { address, protocol: "udp", source })?;
        let bound = udp.local_addr().map_err(|source| BindError { address, protocol: "udp", source })?;
        tries -= 1;
        match tcp(bound, share) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(_) if tries > 0 => {}
            Err(source) => return Err(BindError { address, protocol: "tcp", source }),
        }
    }
}

fn udp(address: SocketAddr, share: bool, rcvbuf: usize) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP, share)?;
    socket.set_recv_buffer_size(rcvbuf)?;
    socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
    if address.ip().is_unspecified() {
        super::batch::report_destination(&socket, address.is_ipv6())?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn tcp(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP, share)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_reuse_port(share)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
