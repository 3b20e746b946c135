//! Sockets: bound all together or not at all.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::Config;
use crate::answers::Transport;

/// How long a UDP thread waits for a datagram before it looks whether it should stop, and at the newest snapshot: short
/// enough for a prompt stop, long enough that an idle server costs nothing.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(250);
/// Tries to find one port that is free for UDP and TCP, where port 0 asks for any.
const PORT_TRIES: usize = 20;
/// The setting that names the addresses of UDP and TCP.
const LISTEN: &str = "[server] listen";
/// Connections that the kernel completes before we accept them.
const TCP_BACKLOG: i32 = 1024;

/// Octets that a TCP connection may have waiting in the kernel, to us and from us; the kernel takes twice that, for what it
/// notes beside them. Left to itself it would give each connection megabytes, and thousands that never read could take
/// all that it has for TCP, from everybody.
const TCP_RECEIVE: usize = 16 * 1024;
const TCP_SEND: usize = 64 * 1024;

/// The sockets of a server.
#[derive(Debug)]
pub struct Sockets {
    /// `threads` for each address.
    pub(super) udp: Vec<UdpSocket>,
    /// `threads` times a listener for each address of TCP, DoT and DoH.
    pub(super) tcp: Vec<Vec<Listener>>,
    /// One for each address of DoQ.
    pub(super) quic: Vec<UdpSocket>,
    pub(super) addresses: Vec<(Transport, SocketAddr)>,
}

/// A listener, and what is spoken on its connections.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) listener: TcpListener,
    pub(super) transport: Transport,
}

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({protocol}): {cause}; {}", self.remedy())]
pub struct BindError {
    address: SocketAddr,
    protocol: &'static str,
    /// The setting that names the address.
    setting: &'static str,
    /// In the text, and so no `source`, which would be said twice.
    cause: io::Error,
}

impl BindError {
    fn remedy(&self) -> String {
        let setting = self.setting;
        match self.cause.kind() {
            io::ErrorKind::AddrInUse => format!("stop the server that has the port, or change `{setting}`"),
            io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE".into(),
            io::ErrorKind::AddrNotAvailable => {
                "the address must be one of this host's; if it comes up later, set `[server] freebind = true`".into()
            }
            _ => format!("check `{setting}`"),
        }
    }
}

/// Binds every address for a moment, without sharing, to report errors before anything else is done.
///
/// # Errors
/// [`BindError`] for the first address that cannot be bound: in use by anyone, not ours, or not allowed.
pub fn trial_bind(config: &Config) -> Result<(), BindError> {
    let bind = Bind { config, share: false };
    for &address in &config.listen {
        match bind.pair(address) {
            Err(error) if config.lacks_family(&error) => {}
            bound => drop(bound?),
        }
    }
    for (_, setting, address) in config.encrypted_streams() {
        bind.tcp(address).map_err(|cause| BindError { address, protocol: "tcp", setting, cause })?;
    }
    for address in config.quic() {
        bind.quic(address)?;
    }
    Ok(())
}

impl Sockets {
    /// Binds every address, `threads` times each; those of DoQ once.
    ///
    /// # Errors
    /// [`BindError`] for the first address that cannot be bound.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let mut sockets = Self { udp: Vec::new(), tcp: Vec::new(), quic: Vec::new(), addresses: Vec::new() };
        sockets.tcp.resize_with(config.threads, Vec::new);
        let bind = Bind { config, share: true };
        for &address in &config.listen {
            sockets.bind_plain(&bind, address)?;
        }
        for (transport, setting, address) in config.encrypted_streams() {
            sockets.bind_encrypted(&bind, transport, address).map_err(|cause| BindError {
                address,
                protocol: "tcp",
                setting,
                cause,
            })?;
        }
        for address in config.quic() {
            let (socket, address) = bind.quic(address)?;
            sockets.addresses.push((Transport::Quic, address));
            sockets.quic.push(socket);
        }
        Ok(sockets)
    }

    fn bind_plain(&mut self, bind: &Bind<'_>, address: SocketAddr) -> Result<(), BindError> {
        let first = match bind.pair(address) {
            Err(error) if bind.config.lacks_family(&error) => {
                tracing::warn!(%address, "left out: this host has no such address");
                return Ok(());
            }
            bound => bound?,
        };
        let bound = first.1.local_addr();
        let address = bound.map_err(|cause| BindError { address, protocol: "tcp", setting: LISTEN, cause })?;
        self.addresses.push((Transport::Udp, address));
        self.take(0, first);
        for thread in 1..bind.config.threads {
            self.take(thread, bind.pair(address)?);
        }
        Ok(())
    }

    fn take(&mut self, thread: usize, (udp, listener): (UdpSocket, TcpListener)) {
        self.udp.push(udp);
        self.tcp[thread].push(Listener { listener, transport: Transport::Tcp });
    }

    fn bind_encrypted(&mut self, bind: &Bind<'_>, transport: Transport, address: SocketAddr) -> io::Result<()> {
        let mut address = address;
        for listeners in &mut self.tcp {
            let listener = bind.tcp(address)?;
            address = listener.local_addr()?; // the port that the first got is for all
            listeners.push(Listener { listener, transport });
        }
        self.addresses.push((transport, address));
        Ok(())
    }
}

impl Config {
    /// Whether an address of the default list failed because the host lacks its family, as hosts without IPv6 do.
    fn lacks_family(&self, error: &BindError) -> bool {
        let lacking = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL].map(Some).contains(&error.cause.raw_os_error());
        self.listen_is_default && error.address.is_ipv6() && lacking
    }

    /// The addresses of DoT and DoH, and the setting that names each.
    fn encrypted_streams(&self) -> impl Iterator<Item = (Transport, &'static str, SocketAddr)> {
        self.tls.iter().flat_map(|tls| {
            let dot = tls.dot.iter().map(|&address| (Transport::Tls, "[server.tls] dot", address));
            dot.chain(tls.doh.iter().map(|&address| (Transport::Https, "[server.tls] doh", address)))
        })
    }

    fn quic(&self) -> impl Iterator<Item = SocketAddr> {
        self.tls.iter().flat_map(|tls| tls.doq.iter().copied())
    }
}

/// How to bind.
struct Bind<'c> {
    config: &'c Config,
    /// Whether sockets share their port.
    share: bool,
}

impl Bind<'_> {
    /// UDP and TCP on one address and port.
    fn pair(&self, address: SocketAddr) -> Result<(UdpSocket, TcpListener), BindError> {
        let failed = |protocol| move |cause| BindError { address, protocol, setting: LISTEN, cause };
        let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
        loop {
            let udp = self.udp(address).map_err(failed("udp"))?;
            let bound = udp.local_addr().map_err(failed("udp"))?;
            tries -= 1;
            match self.tcp(bound) {
                Ok(tcp) => return Ok((udp, tcp)),
                Err(_) if tries > 0 => {}
                Err(cause) => return Err(failed("tcp")(cause)),
            }
        }
    }

    fn udp(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        let socket = self.socket(address, Type::DGRAM, Protocol::UDP)?;
        socket.set_reuse_port(self.share)?;
        socket.set_recv_buffer_size(self.config.rcvbuf)?;
        if let Some(sndbuf) = self.config.sndbuf {
            socket.set_send_buffer_size(sndbuf)?;
        }
        socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
        if address.is_ipv4() {
            super::batch::forbid_fragments(&socket)?;
        }
        if address.ip().is_unspecified() {
            super::batch::report_destination(&socket, address.is_ipv6())?;
        }
        socket.bind(&address.into())?;
        Ok(socket.into())
    }

    fn tcp(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = self.socket(address, Type::STREAM, Protocol::TCP)?;
        socket.set_reuse_port(self.share)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Connections inherit both from their listener.
        socket.set_recv_buffer_size(TCP_RECEIVE)?;
        socket.set_send_buffer_size(TCP_SEND)?;
        socket.bind(&address.into())?;
        socket.listen(TCP_BACKLOG)?;
        Ok(socket.into())
    }

    /// A socket for QUIC, which shares its port with nobody, and its address.
    fn quic(&self, address: SocketAddr) -> Result<(UdpSocket, SocketAddr), BindError> {
        let bind = || {
            let socket = self.socket(address, Type::DGRAM, Protocol::UDP)?;
            socket.set_recv_buffer_size(self.config.rcvbuf)?;
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            let socket = UdpSocket::from(socket);
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        bind().map_err(|cause| BindError { address, protocol: "udp", setting: "[server.tls] doq", cause })
    }

    fn socket(&self, address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        match (self.config.freebind, address) {
            (false, _) => {}
            (true, SocketAddr::V4(_)) => socket.set_freebind_v4(true)?,
            (true, SocketAddr::V6(_)) => socket.set_freebind_v6(true)?,
        }
        Ok(socket)
    }
}
