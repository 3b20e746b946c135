//! Connections over TCP: accept, the proxy's word, the TLS handshake, then the protocol of the listener.
//!
//! One thread, one small runtime, one [`Worker`]; each thread has a listener for each address. A connection is accepted as
//! soon as it is there, and [`Connections`](super::connections::Connections) says whether it may stay and who goes for
//! it: the kernel's backlog is no place to wait. Only when the system has no descriptor left is nothing accepted: then the
//! idlest connection is closed, and that is all that happens.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connections::{Connection, Over};
use super::desk::Desk;
use super::listen::Listener;
use super::stream::{self, Asker};
use super::{Handshakes, Shared, clock, doh, proxy};
use crate::answers::{Transport, Worker};

/// How long to leave a listener alone when the system has no descriptor or memory left: time for the connection that makes
/// room to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// The shortest time between two log lines of a listener about that, in milliseconds.
const COMPLAINT_INTERVAL: u64 = 60_000;

/// Serves `listeners` until the server stops.
pub(super) fn run(listeners: Vec<Listener>, worker: Worker, shared: Shared) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "no runtime for TCP; TCP is not served"),
    };
    let house = Rc::new(House { desk: Rc::new(Desk::new(worker, &shared)), shared });
    let tasks = LocalSet::new();
    for listener in listeners {
        tasks.spawn_local(Rc::clone(&house).accept(listener));
    }
    runtime.block_on(tasks); // ends when the listeners and every connection have seen the stop
}

/// What the listeners of a thread share.
struct House {
    desk: Rc<Desk>,
    shared: Shared,
}

impl House {
    async fn accept(self: Rc<Self>, Listener { listener, transport }: Listener) {
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
                Ok((stream, peer)) => self.welcome(stream, peer, transport),
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    complaint.make(&error);
                    self.desk.connections.shed();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn welcome(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, transport: Transport) {
        let peer = peer.ip();
        let proxied = self.shared.is_proxy(peer);
        let Some(connection) = self.desk.connections.admit(transport, (!proxied).then_some(peer)) else { return };
        let (house, connection) = (Rc::clone(self), Rc::new(connection));
        tokio::task::spawn_local(async move {
            // Whatever ends a connection (reset, time-out, a client that left) is the client's affair.
            let _ended: io::Result<()> = house.serve(stream, peer, transport, &connection).await;
        });
    }

    async fn serve(
        &self,
        mut stream: TcpStream,
        peer: IpAddr,
        transport: Transport,
        connection: &Rc<Connection>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let client = match self.shared.is_proxy(peer) {
            false => peer,
            true => self.client_behind(peer, &mut stream, connection).await?,
        };
        match (transport, &self.shared.tls) {
            // On the heap, so that a bare connection does not take the room of a handshake.
            (Transport::Tls, Some(tls)) => Box::pin(self.dot(tls, stream, client, connection)).await,
            (Transport::Https, Some(tls)) => Box::pin(self.doh(tls, stream, client, connection)).await,
            _ => self.converse(&mut stream, (client, transport), connection).await,
        }
    }

    async fn dot(&self, tls: &Handshakes, stream: TcpStream, client: IpAddr, connection: &Connection) -> io::Result<()> {
        let mut stream = self.shake_hands(Arc::clone(&tls.dot), stream, connection).await?;
        self.converse(&mut stream, (client, Transport::Tls), connection).await
    }

    async fn doh(&self, tls: &Handshakes, stream: TcpStream, client: IpAddr, connection: &Rc<Connection>) -> io::Result<()> {
        let stream = self.shake_hands(Arc::clone(&tls.doh), stream, connection).await?;
        doh::serve(&self.desk, &tls.doh_path.as_ref().into(), stream, client, connection).await;
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
    async fn client_behind(&self, peer: IpAddr, stream: &mut TcpStream, connection: &Connection) -> io::Result<IpAddr> {
        let header = tokio::select! {
            header = proxy::stream(stream, peer) => header,
            _over = connection.over() => return Err(io::ErrorKind::TimedOut.into()),
        };
        let client = header.inspect_err(|error| {
            if error.kind() == io::ErrorKind::InvalidData {
                self.shared.counters.bad_proxy_stream();
            }
        })?;
        if connection.belongs_to(client) { Ok(client) } else { Err(io::ErrorKind::QuotaExceeded.into()) }
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

/// Whether only the connection that was to be accepted is lost.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Says that nothing can be accepted, but not all the time.
#[derive(Default)]
struct Complaint {
    last: Option<u64>,
}

impl Complaint {
    fn make(&mut self, error: &io::Error) {
        let now = clock::now().monotonic;
        if self.last.is_none_or(|last| now.saturating_sub(last) >= COMPLAINT_INTERVAL) {
            self.last = Some(now);
            tracing::warn!(%error, "cannot accept connections; idle ones are closed to make room");
        }
    }
}
