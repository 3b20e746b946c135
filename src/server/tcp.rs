//! Connections over TCP: accept, the proxy's word, the TLS handshake, then the protocol of the listener.
//!
//! One thread, one small runtime, one [`Worker`]; each thread has a listener for each address. A connection is accepted as
//! soon as it is there, and [`Connections`](super::connections::Connections) says whether it may stay and who goes for
//! it: the kernel's backlog is no place to wait. After each, those that are open get their turn: the one that has to go
//! must give its descriptor back before the next one needs it. Only when the system has no descriptor left is nothing
//! accepted: then idle connections are closed, and that is all that happens.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::complaint::Complaint;
use super::connections::{Connection, Over};
use super::desk::{Asker, Desk};
use super::listen::Listener;
use super::{Protocol, Shared, doh, proxy, stream};
use crate::answers::{Transport, Worker};

/// How long to leave a listener alone when it cannot accept: time for the connection that makes room to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves `listeners` until the server stops.
pub(super) fn run(listeners: Vec<(Protocol, Listener)>, worker: Worker, shared: Shared) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "no runtime for TCP; TCP is not served"),
    };
    let house = Rc::new(House { desk: Rc::new(Desk::new(worker, &shared)), shared });
    let tasks = LocalSet::new();
    for (protocol, listener) in listeners {
        tasks.spawn_local(Rc::clone(&house).accept(protocol, listener));
    }
    runtime.block_on(tasks); // ends when the listeners and every connection have seen the stop
}

/// What the listeners of a thread share.
struct House {
    desk: Rc<Desk>,
    shared: Shared,
}

impl House {
    async fn accept(self: Rc<Self>, protocol: Protocol, Listener { listener, transport }: Listener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "cannot listen for TCP"),
        };
        let mut complaint = Complaint::default();
        loop {
            let accepted = tokio::select! {
                () = self.desk.connections.stopped() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.welcome(stream, peer, transport, &protocol);
                    tokio::task::yield_now().await;
                }
                Err(error) => self.cannot_accept(&error, &mut complaint).await,
            }
        }
    }

    async fn cannot_accept(&self, error: &io::Error, complaint: &mut Complaint) {
        let refusal = Refusal::of(error);
        if refusal == Refusal::TheClients {
            return;
        }
        if complaint.is_due() {
            let remedy = if refusal == Refusal::Lack { "; idle ones are closed to make room" } else { "" };
            tracing::warn!(%error, "cannot accept connections{remedy}");
        }
        if refusal == Refusal::Lack {
            self.desk.connections.shed();
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    fn welcome(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, transport: Transport, protocol: &Protocol) {
        let proxied = self.shared.is_proxy(peer.ip());
        let Some(connection) = self.desk.connections.admit(transport, (!proxied).then_some(peer.ip())) else { return };
        let (house, connection, protocol) = (Rc::clone(self), Rc::new(connection), protocol.clone());
        tokio::task::spawn_local(async move {
            // Whatever ends a connection (reset, time-out, a client that left) is the client's affair.
            let _ended: io::Result<()> = house.serve(stream, peer, protocol, &connection).await;
        });
    }

    async fn serve(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        protocol: Protocol,
        connection: &Rc<Connection>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let client = match self.shared.is_proxy(peer.ip()) {
            false => peer,
            true => self.client_behind(peer, &mut stream, connection).await?,
        };
        let asker = Asker { client, local: stream.local_addr()?, transport: Transport::Tcp };
        match protocol {
            Protocol::Plain => self.converse(&mut stream, asker, connection).await,
            // On the heap, so that a bare connection does not take the room of a handshake.
            Protocol::Dot(tls) => Box::pin(self.dot(tls, stream, asker, connection)).await,
            Protocol::Doh(tls, path) => Box::pin(self.doh(tls, &path, stream, asker, connection)).await,
        }
    }

    async fn dot(
        &self,
        tls: Arc<rustls::ServerConfig>,
        stream: TcpStream,
        asker: Asker,
        connection: &Connection,
    ) -> io::Result<()> {
        let mut stream = self.shake_hands(tls, stream, connection).await?;
        self.converse(&mut stream, Asker { transport: Transport::Tls, ..asker }, connection).await
    }

    async fn doh(
        &self,
        tls: Arc<rustls::ServerConfig>,
        path: &str,
        stream: TcpStream,
        asker: Asker,
        connection: &Rc<Connection>,
    ) -> io::Result<()> {
        let stream = self.shake_hands(tls, stream, connection).await?;
        doh::serve(&self.desk, &path.into(), stream, Asker { transport: Transport::Https, ..asker }, connection).await;
        Ok(())
    }

    async fn converse(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        asker: Asker,
        connection: &Connection,
    ) -> io::Result<()> {
        let ended = stream::converse(&self.desk, stream, asker, connection).await;
        drop(timeout(connection.parting(), stream.shutdown()).await);
        ended
    }

    /// The client that the proxy `peer` speaks for.
    async fn client_behind(&self, peer: SocketAddr, stream: &mut TcpStream, connection: &Connection) -> io::Result<SocketAddr> {
        let header = tokio::select! {
            header = proxy::stream(stream, peer) => header,
            _over = connection.over() => return Err(io::ErrorKind::TimedOut.into()),
        };
        let client = header.inspect_err(|error| {
            if error.kind() == io::ErrorKind::InvalidData {
                self.shared.counters.bad_proxy_stream();
            }
        })?;
        if connection.belongs_to(client.ip()) { Ok(client) } else { Err(io::ErrorKind::QuotaExceeded.into()) }
    }

    async fn shake_hands(
        &self,
        config: Arc<rustls::ServerConfig>,
        stream: TcpStream,
        connection: &Connection,
    ) -> io::Result<TlsStream<TcpStream>> {
        let (shaken, failed) = tokio::select! {
            shaken = TlsAcceptor::from(config).accept(stream) => {
                // Of other kinds are the errors of a client that has left.
                let failed = shaken.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData);
                (shaken, failed)
            }
            over = connection.over() => (Err(io::ErrorKind::TimedOut.into()), over == Over::Idle),
        };
        if failed {
            self.shared.counters.handshake_failed();
        }
        shaken
    }
}

/// What an error of accept(2) means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Only the connection that was to be accepted is lost.
    TheClients,
    /// The system has no descriptor or memory for another connection.
    Lack,
    /// Whatever it is, closing connections does not help.
    Other,
}

impl Refusal {
    /// On Linux, accept(2) also returns errors that the network had with the new connection, which "should be treated like
    /// EAGAIN by retrying" (its manual). A client whose network is down must not cost others their connections.
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::Lack,
            Some(
                libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENONET
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ETIMEDOUT,
            ) => Self::TheClients,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_ours_costs_connections() {
        let judged = |code| Refusal::of(&io::Error::from_raw_os_error(code));
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert_eq!(judged(code), Refusal::Lack, "{code}");
        }
        // accept(2): ECONNABORTED, and the errors of the network that it lists.
        for code in [
            libc::ECONNABORTED,
            libc::ENETDOWN,
            libc::EPROTO,
            libc::ENOPROTOOPT,
            libc::EHOSTDOWN,
            libc::ENONET,
            libc::EHOSTUNREACH,
            libc::EOPNOTSUPP,
            libc::ENETUNREACH,
        ] {
            assert_eq!(judged(code), Refusal::TheClients, "{code}");
        }
        assert_eq!(judged(libc::EINVAL), Refusal::Other);
    }
}
