//! TCP: connecting to exactly one address, and the check that does no more than that.
//!
//! The connect call is made here rather than by tokio so that what it returns at once (this host's routes and rules)
//! can be told from what the network reports later; see [`errors`](super::errors).
//!
//! Never here: name resolution, time limits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::errors::{Source, Unmet, classify};
use crate::target::Inconclusive;

/// The TCP check: passes when a connection is established. Nothing is sent or read.
pub(super) async fn probe(from: Option<IpAddr>, to: SocketAddr) -> Result<(), Unmet> {
    connect(from, to).await.map(drop)
}

/// Connects, sends nothing, and waits for the other side to end it, if it lets us connect at all.
///
/// Keep-alive probes notice a host that is gone without a word, within half a minute; probes do that sooner.
pub(super) async fn watch(from: Option<IpAddr>, to: SocketAddr) {
    let Ok(stream) = connect(from, to).await else { return };
    let socket = SockRef::from(&stream);
    let alive = TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)).with_retries(3);
    let _only_less_is_noticed = socket.set_tcp_keepalive(&alive);
    let mut ignored = [0; 512];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {} // a banner
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// An established connection to `to`, from the address `from` of this host. Dropping the future gives the attempt up; dropping
/// the connection ends it with a reset.
pub(super) async fn connect(from: Option<IpAddr>, to: SocketAddr) -> Result<TcpStream, Unmet> {
    let host = |error| classify(Source::Host, &error);
    let socket = open(to).map_err(host)?;
    if let Some(from) = from {
        bind(&socket, from, to)?;
    }
    let stream = begin(socket, to).map_err(host)?;
    finish(&stream).await.map_err(|error| classify(Source::Network, &error))?;
    settle(&stream);
    Ok(stream)
}

/// A connection whose end is its drop: whoever shuts it down first only says the same in two packets more.
pub(super) struct Abrupt(pub(super) TcpStream);

impl AsyncRead for Abrupt {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Abrupt {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn open(to: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    Socket::new(Domain::for_address(to), kind, Some(Protocol::TCP))
}

/// Gives a socket its own address.
pub(super) fn bind(socket: &Socket, from: IpAddr, to: SocketAddr) -> Result<(), Unmet> {
    if from.is_ipv4() != to.is_ipv4() {
        return Err(Inconclusive::NoRoute.into());
    }
    socket.bind(&SocketAddr::new(from, 0).into()).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::ADDRNOTAVAIL) => Inconclusive::NoSource.into(),
        _ => classify(Source::Host, &error),
    })
}

fn begin(socket: Socket, to: SocketAddr) -> io::Result<TcpStream> {
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => return Err(error),
        Ok(()) | Err(_) => {}
    }
    TcpStream::from_std(socket.into())
}

async fn finish(stream: &TcpStream) -> io::Result<()> {
    stream.writable().await?;
    stream.take_error()?.map_or(Ok(()), Err)
}

/// How an established connection is to be; not before, for a silent target costs less without.
fn settle(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let _only_slower = socket.set_tcp_nodelay(true);
    // Nothing is left of a connection that ends with a reset: at thousands of probes a second TIME_WAIT would use up the local
    // ports, and the target's as well.
    let _only_more_is_left = socket.set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Failure;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn passes_where_a_connection_is_accepted() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // Some hosts have no IPv6.
            let Ok(listener) = TcpListener::bind(address).await else { continue };
            assert_eq!(probe(None, listener.local_addr().unwrap()).await, Ok(()), "{address}");
        }
    }

    #[tokio::test]
    async fn closes_with_a_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(probe(None, listener.local_addr().unwrap()).await, Ok(()));
        let (mut accepted, _) = listener.accept().await.unwrap();
        let error = accepted.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn fails_where_nobody_listens() {
        // Bound and not listening: nobody else can take the port, and it refuses.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(probe(None, socket.local_addr().unwrap()).await, Err(Failure::Refused.into()));
    }

    #[tokio::test]
    async fn what_this_host_cannot_reach_is_no_failure() {
        // A link-local address without a zone: the connect call itself refuses.
        let to = "[fe80::1]:80".parse().unwrap();
        assert_eq!(probe(None, to).await, Err(Inconclusive::NoRoute.into()));
    }

    #[tokio::test]
    async fn comes_from_the_source_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (to, from) = (listener.local_addr().unwrap(), IpAddr::from([127, 1, 2, 3]));
        let stream = connect(Some(from), to).await.unwrap();
        assert_eq!((stream.local_addr().unwrap().ip(), listener.accept().await.unwrap().1.ip()), (from, from));
    }

    #[tokio::test]
    async fn a_source_that_is_not_ours_is_no_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        // TEST-NET-1 is nobody's; and the other family reaches nothing.
        for (from, reason) in [("192.0.2.1", Inconclusive::NoSource), ("::1", Inconclusive::NoRoute)] {
            assert_eq!(probe(from.parse().ok(), to).await, Err(reason.into()), "{from}");
        }
    }
}
