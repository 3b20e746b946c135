//! The listener: connections from peers, and from whoever else finds the port.
//!
//! Bound first and served later, so that a start that cannot have its addresses fails before anything else happens. A connection
//! has a place among all and a place among those of its address; without one it is closed at once, so that a crowd at one
//! address keeps nobody else out. Handshakes and heads have their time.
//!
//! Never here: what a request means.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::hear::{Shown, router};
use super::{Desk, Exchange, Refusal};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Connections at a time, and of one address: so many, and one for each peer, for all may come from behind one.
const CONNECTIONS: usize = 512;
const PER_ADDRESS: usize = 16;
/// The time for a handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// The time for a request's head, also the longest that a connection may idle.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The bounds of a head.
const HEAD_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 32;
/// How long requests in flight may take after the order to stop.
const GRACE: Duration = Duration::from_secs(2);
/// The pause after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why peers cannot be heard.
#[derive(Debug, thiserror::Error)]
#[error("[peers] listen: cannot bind {address}: {source}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// The bound listeners.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// Binds these. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`], naming the address.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, ListenError> {
        let bound = |address: &SocketAddr| bind(*address).map_err(|source| ListenError { address: *address, source });
        addresses.iter().map(bound).collect::<Result<_, _>>().map(Self)
    }

    /// The addresses, with the real port where port 0 was asked for.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok())
    }

    /// Hears peers until `shutdown`, then lets what is in flight end for a moment.
    pub async fn serve<D: Desk>(self, exchange: Arc<Exchange>, desk: Arc<D>, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(());
        let router = router(Arc::clone(&exchange), desk);
        let house = Arc::new(House { exchange, router, guests: Mutex::default(), stopped });
        let mut serving: JoinSet<()> = self.0.into_iter().map(|listener| accept(listener, Arc::clone(&house))).collect();
        drop(house);
        shutdown.await;
        drop(stop);
        if timeout(GRACE, async { while serving.join_next().await.is_some() {} }).await.is_err() {
            tracing::debug!("messages of peers did not end within {GRACE:?} and were cut off");
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// What the listeners share.
struct House {
    exchange: Arc<Exchange>,
    router: Router,
    /// Connections by their address.
    guests: Mutex<HashMap<IpAddr, usize>>,
    stopped: watch::Receiver<()>,
}

/// A place for a connection, given back when it is dropped.
struct Place {
    house: Arc<House>,
    address: IpAddr,
}

impl House {
    fn guests(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peers = self.exchange.roster.load().links.len();
        let mut guests = self.guests();
        let all: usize = guests.values().sum();
        let own = guests.entry(address).or_default();
        let is_free = all < CONNECTIONS + peers && *own < PER_ADDRESS + peers;
        *own += usize::from(is_free);
        if *own == 0 {
            guests.remove(&address);
        }
        is_free.then(|| Place { house: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.house.guests();
        if let Some(own) = guests.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                guests.remove(&self.address);
            }
        }
    }
}

/// Accepts until the order to stop, then waits for the connections.
async fn accept(listener: TcpListener, house: Arc<House>) {
    let mut stopped = house.stopped.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    if let Some(place) = house.place(client.ip().to_canonical()) {
                        connections.spawn(connection(stream, place));
                    }
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection of a peer: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, place: Place) {
    let house = &place.house;
    drop(stream.set_nodelay(true));
    let Some(config) = house.exchange.roster.load().server.clone() else { return serve(house, stream, Shown(None)).await };
    match timeout(HANDSHAKE_WITHIN, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificates = stream.get_ref().1.peer_certificates();
            let shown = certificates.and_then(|chain| chain.first()).map(|certificate| certificate.clone().into_owned());
            serve(house, stream, Shown(shown)).await;
        }
        Ok(Err(error)) => {
            house.exchange.refused.count(Refusal::Stranger);
            tracing::debug!("a TLS handshake at [peers] listen failed: {error}");
        }
        Err(_) => house.exchange.refused.count(Refusal::Slow),
    }
}

/// Serves requests on one connection; once stopped, to the end of the one in flight.
async fn serve(house: &Arc<House>, stream: impl AsyncRead + AsyncWrite + Unpin, shown: Shown) {
    let (router, has_asked) = (TowerToHyperService::new(house.router.clone()), Arc::new(AtomicBool::new(false)));
    let asks = Arc::clone(&has_asked);
    let service = service_fn(move |mut request: Request<Incoming>| {
        asks.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(shown.clone());
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).auto_date_header(false);
    builder.max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopped = house.stopped.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection at [peers] listen ended early: {error}");
        if error.is_parse() {
            house.exchange.refused.count(Refusal::Malformed);
        } else if error.is_timeout() && !has_asked.load(Ordering::Relaxed) {
            house.exchange.refused.count(Refusal::Slow);
        }
    }
}
