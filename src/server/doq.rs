//! DNS over QUIC (RFC 9250): one query per stream, behind its two-octet length, with message id 0.
//!
//! quinn carries QUIC. hickory's endpoint (`hickory_net::quic::QuicServer`) has a byte-level interface too, but it shakes
//! hands inside of `next`, one client after the other, so that a client that goes silent half-way holds all others up
//! for five seconds; and it keeps quinn's connection to itself, so that a connection can neither be closed with the error
//! that RFC 9250 4.3 asks for nor make room for another, and its limits are fixed.
//!
//! One thread and one socket per address: a QUIC connection may change its address, and sockets that share a port would
//! lose it. A client's address counts for its share of connections only when the handshake has proven it; when places
//! are scarce, it has to be proven before anything is kept of it (RFC 9000 8.1.2).
//!
//! What breaks the protocol ends the connection with DOQ_PROTOCOL_ERROR: another message id, more or less than one
//! message, the option edns-tcp-keepalive (RFC 9250 5.5.2), or what is no query at all. No early data is taken.
//!
//! Each stream has a time of its own for its query and its reply: other streams of the connection, which prove it alive,
//! do not prolong it. Octets are taken in order and copied (see `room`). Those that come out of order, or that are not
//! asked for yet, are quinn's, which joins small pieces of them, and are bounded by [`RECEIVE_WINDOW`]; octets that were
//! read count no longer for that window, which is why it could not bound what is kept here.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{ConnectionError, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig, TransportConfig, VarInt};
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::connections::{Connection, Over};
use super::desk::{Asker, Desk};
use super::room::{Gathering, Room};
use super::{Shared, records};
use crate::answers::{Transport, Worker};

/// Queries of a connection at a time; each may hold one message. Answers take microseconds, so only queries that are still
/// coming in and replies that are not yet taken count.
const STREAMS_MAX: u32 = 32;
/// A length and a message.
const STREAM_LEN_MAX: usize = 2 + 65_535;
/// Octets of a connection that may be under way to us, or here and not yet read.
const RECEIVE_WINDOW: u32 = 256 * 1024;
/// Octets of replies that a connection may have waiting.
const SEND_WINDOW: u64 = 512 * 1024;
/// How long the farewell to the clients may take when the server stops.
const PARTING: Duration = Duration::from_millis(200);

/// RFC 9250 4.3.
const DOQ_NO_ERROR: VarInt = VarInt::from_u32(0);
const DOQ_PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const DOQ_EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// The form of QUIC that is spoken: TLS as given, bounded streams, none but the client's bidirectional ones.
pub(super) fn config(tls: Arc<rustls::ServerConfig>, idle: Duration) -> Result<ServerConfig, rustls::Error> {
    let tls = QuicServerConfig::try_from(tls).map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        .max_concurrent_uni_streams(0u32.into())
        .stream_receive_window((STREAM_LEN_MAX as u32).into())
        .receive_window(RECEIVE_WINDOW.into())
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(idle.try_into().ok());
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Serves `sockets` until the server stops.
pub(super) fn run(sockets: Vec<UdpSocket>, worker: Worker, config: &ServerConfig, shared: &Shared) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "no runtime for QUIC; DoQ is not served"),
    };
    let desk = Rc::new(Desk::new(worker, shared));
    let tasks = LocalSet::new();
    for socket in sockets {
        let local = socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 853)));
        let house = Rc::new(House { desk: Rc::clone(&desk), shared: shared.clone(), local });
        let config = config.clone();
        tasks.spawn_local(async move {
            if let Err(error) = house.listen(socket, config).await {
                tracing::error!(%error, "cannot listen for QUIC");
            }
        });
    }
    runtime.block_on(tasks);
}

struct House {
    desk: Rc<Desk>,
    shared: Shared,
    /// Where it listens.
    local: SocketAddr,
}

impl House {
    async fn listen(self: Rc<Self>, socket: UdpSocket, config: ServerConfig) -> io::Result<()> {
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)?;
        loop {
            tokio::select! {
                () = self.desk.connections.stopped() => break,
                incoming = endpoint.accept() => match incoming {
                    Some(incoming) => self.welcome(incoming),
                    None => break,
                }
            }
        }
        endpoint.close(DOQ_NO_ERROR, b"");
        drop(timeout(PARTING, endpoint.wait_idle()).await);
        Ok(())
    }

    fn welcome(self: &Rc<Self>, incoming: Incoming) {
        if self.desk.connections.crowded() && incoming.may_retry() && !incoming.remote_address_validated() {
            drop(incoming.retry());
            return;
        }
        let Some(connection) = self.desk.connections.admit(Transport::Quic, None) else { return incoming.refuse() };
        let (house, connection) = (Rc::clone(self), Rc::new(connection));
        tokio::task::spawn_local(async move { house.serve(incoming, &connection).await });
    }

    async fn serve(&self, incoming: Incoming, connection: &Rc<Connection>) {
        let shaken = tokio::select! {
            shaken = async { incoming.accept()?.await } => shaken,
            over = connection.over() => {
                if over == Over::Idle {
                    self.shared.counters.handshake_failed();
                }
                return;
            }
        };
        let quic = match shaken {
            Ok(quic) => quic,
            Err(ConnectionError::LocallyClosed | ConnectionError::Reset) => return,
            Err(_) => return self.shared.counters.handshake_failed(),
        };
        if !connection.belongs_to(quic.remote_address().ip()) {
            return quic.close(DOQ_EXCESSIVE_LOAD, b"too many connections");
        }
        let reason = tokio::select! {
            () = self.accept_streams(&quic, connection) => return,
            _over = connection.over() => DOQ_NO_ERROR,
        };
        quic.close(reason, b"");
    }

    /// Takes in queries until the connection is closed, by either side.
    async fn accept_streams(&self, quic: &quinn::Connection, connection: &Rc<Connection>) {
        while let Ok((send, receive)) = quic.accept_bi().await {
            let (desk, quic, connection) = (Rc::clone(&self.desk), quic.clone(), Rc::clone(connection));
            let asker = self.asker(&quic);
            tokio::task::spawn_local(async move {
                match exchange(&desk, asker, &connection, send, receive).await {
                    Ok(()) | Err(Broken::Stream | Broken::Load) => {}
                    Err(Broken::Protocol) => quic.close(DOQ_PROTOCOL_ERROR, b""),
                }
            });
        }
    }

    /// Who asks on a connection. Looked at for each query: clients may move (RFC 9000 9).
    fn asker(&self, quic: &quinn::Connection) -> Asker {
        let local = quic.local_ip().map_or(self.local, |address| SocketAddr::new(address, self.local.port()));
        Asker { client: quic.remote_address(), local, transport: Transport::Quic }
    }
}

/// Why a query was not answered.
enum Broken {
    /// The client took it back, or its connection has gone.
    Stream,
    /// It took too long, or there was no room for it.
    Load,
    /// It is not what DoQ allows.
    Protocol,
}

/// One query, one reply, in the time that a connection may be idle.
async fn exchange(
    desk: &Desk,
    asker: Asker,
    connection: &Connection,
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), Broken> {
    let exchanged = timeout(connection.patience(), async {
        let reply = reply(desk, asker, connection, &mut receive).await?;
        let _busy = connection.busy();
        send.write_all(&reply).await.map_err(|_| Broken::Stream)?;
        send.finish().map_err(|_| Broken::Stream)
    });
    let exchanged = exchanged.await.unwrap_or(Err(Broken::Load));
    if exchanged.is_err() {
        // A stream that is only dropped is finished, as though what was written of the reply were all.
        let (_over, _over_too) = (send.reset(DOQ_EXCESSIVE_LOAD), receive.stop(DOQ_EXCESSIVE_LOAD));
    }
    exchanged
}

/// The framed reply to the query of a stream. What the query took is given back before the reply waits for anything.
async fn reply(desk: &Desk, asker: Asker, connection: &Connection, receive: &mut RecvStream) -> Result<Vec<u8>, Broken> {
    let framed = read_framed(receive, connection.room()).await?;
    let query = the_query(framed.octets()).ok_or(Broken::Protocol)?;
    connection.asked();
    let snapshot = desk.snapshot();
    let reply = desk.answer(&snapshot, asker, query, |reply| [&(reply.len() as u16).to_be_bytes(), reply].concat());
    reply.ok_or(Broken::Protocol)
}

/// All of a stream, which must end where its length says, or sooner.
async fn read_framed<'r>(receive: &mut RecvStream, room: &'r Room) -> Result<Gathering<'r>, Broken> {
    let mut framed = room.gather();
    while let Some(chunk) = receive.read_chunk(STREAM_LEN_MAX, true).await.map_err(|_| Broken::Stream)? {
        framed.add(&chunk.bytes).map_err(|_| Broken::Load)?;
        if is_too_long(framed.octets()) {
            return Err(Broken::Protocol);
        }
    }
    Ok(framed)
}

/// Whether there is more than the one message.
fn is_too_long(framed: &[u8]) -> bool {
    framed.split_first_chunk::<2>().is_some_and(|(len, rest)| rest.len() > usize::from(u16::from_be_bytes(*len)))
}

/// The message of a stream, where it is what DoQ allows.
fn the_query(framed: &[u8]) -> Option<&[u8]> {
    let (len, query) = framed.split_first_chunk::<2>()?;
    let whole = usize::from(u16::from_be_bytes(*len)) == query.len();
    let id = query.first_chunk::<2>()?;
    (whole && *id == [0, 0] && !records::has_keepalive(query)).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9250_streams() {
        let header = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let framed = |len: u8, query: &[u8]| [&[0, len], query].concat();
        assert_eq!(the_query(&framed(12, &header)), Some(&header[..]));
        let mut other_id = header;
        other_id[1] = 1;
        for bad in [
            framed(12, &other_id),
            framed(11, &header),
            framed(13, &header),
            framed(0, &[]),
            framed(1, &[0]),
            vec![0],
            Vec::new(),
        ] {
            assert_eq!(the_query(&bad), None, "{bad:?}");
        }
        // The root, ANY, IN, and an OPT record with the option.
        let keepalive = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 255, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0];
        assert_eq!(the_query(&framed(32, &keepalive)), None);
    }
}
