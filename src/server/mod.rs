//! DNS over UDP, TCP, TLS, HTTPS and QUIC: bytes in, one call into `answers`, bytes out.
//!
//! One thread per UDP socket, blocking in `recvmmsg`; `udp_threads` sockets per address share its port through
//! `SO_REUSEPORT`. TCP, DoT and DoH run beside them on as many threads, each with its own listeners and a small runtime of
//! its own; DoQ has one more. A thread owns its buffers, its [`Worker`] and its view of the published snapshot, so nothing
//! on the way from a datagram to its answer is shared. What connections share is the table of them, which bounds their
//! number.
//!
//! Why own threads and system calls: libraries spawn a task per datagram. Why blocking: a thread that has nothing else
//! to do needs no scheduler.
//!
//! - `listen`: sockets. `batch`, `udp`: datagrams. `tcp`: accepting connections. `stream`: messages on TCP and DoT.
//!   `doh`, `doq`: the other two.
//! - `connections`: caps, eviction, idle time. `proxy`: who the client is behind a proxy. `tls`: certificates.
//! - `desk`: what the connections of a thread share. `room`: what unfinished queries of one may take. `counters`: what
//!   happened to connections. `complaint`: what is said of errors.
//!
//! Never here: what an answer is; any wait for the control plane.

mod batch;
mod clock;
mod complaint;
mod connections;
mod counters;
mod desk;
mod doh;
mod doq;
mod listen;
mod proxy;
mod records;
mod room;
mod stream;
mod tcp;
mod tls;
mod udp;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::CpuSet;

use crate::answers::{Published, Transport, Worker};
use crate::geo::Net;

use connections::{Connections, Limits};
pub use counters::{Counted, Counters};
use listen::Listener;
pub use listen::{BindError, Sockets, trial_bind};
pub use tls::{Certificates, Identity, IdentityError};

/// The checked form of `[server]`, without what belongs to `answers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Addresses for UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Whether `listen` is the default: addresses of families that the host lacks are left out then.
    pub listen_is_default: bool,
    /// Whether addresses that the host does not have (yet) can be listened on.
    pub freebind: bool,
    /// UDP sockets and threads per address, and TCP threads. At least 1.
    pub threads: usize,
    /// The processors that UDP threads stay on, by the system's numbers: those of one address take them in turn. Empty:
    /// wherever the system puts them.
    pub pin: Vec<usize>,
    /// Receive buffer of each UDP socket, octets; the kernel caps it at `net.core.rmem_max`.
    pub rcvbuf: usize,
    /// Send buffer likewise, which `net.core.wmem_max` caps; `None`: what the system gives.
    pub sndbuf: Option<usize>,
    /// Connections at a time (TCP, DoT, DoH, DoQ), over all threads.
    pub tcp_max: usize,
    /// Of these, what one client may have: an IPv4 address, or an IPv6 /64.
    pub tcp_per_client: usize,
    /// How long a connection may take for its next complete query, and a client for taking a reply.
    pub tcp_idle: Duration,
    /// The encrypted transports, where there are any.
    pub tls: Option<TlsConfig>,
}

/// The checked form of `[server.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate with its key, as they were when the configuration was read.
    pub identity: Identity,
    /// Addresses for DNS over TLS (RFC 7858).
    pub dot: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS (RFC 8484).
    pub doh: Vec<SocketAddr>,
    /// Addresses for DNS over QUIC (RFC 9250).
    pub doq: Vec<SocketAddr>,
    /// The path of DNS over HTTPS; begins with a slash.
    pub doh_path: String,
}

impl Config {
    /// How many [`Worker`]s a server of this form has.
    #[must_use]
    pub fn workers(&self) -> usize {
        let quic = self.tls.as_ref().is_some_and(|tls| !tls.doq.is_empty());
        (self.listen.len() + 1) * self.threads + usize::from(quic)
    }
}

/// What a server is given to work with, beside its sockets.
#[derive(Clone, Debug)]
pub struct Context {
    /// What to answer from.
    pub published: Published,
    /// Which peers speak for others.
    pub proxies: Arc<[Net]>,
    /// What TLS shows; used where the configuration has TLS.
    pub certificates: Option<Certificates>,
    /// What is counted of connections.
    pub counters: Arc<Counters>,
}

/// What every thread with connections holds.
#[derive(Clone)]
struct Shared {
    published: Published,
    proxies: Arc<[Net]>,
    counters: Arc<Counters>,
    connections: Arc<Connections>,
}

impl Shared {
    /// Whether `peer` must say who its client is.
    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|net| net.contains(peer))
    }
}

/// What is spoken on the connections of a listener, with what its handshakes need: an encrypted one without is no value.
#[derive(Clone)]
enum Protocol {
    Plain,
    Dot(Arc<rustls::ServerConfig>),
    /// With the path.
    Doh(Arc<rustls::ServerConfig>, Arc<str>),
}

/// The server's side of handshakes.
struct Handshakes {
    dot: Protocol,
    doh: Protocol,
    doq: quinn::ServerConfig,
}

impl Handshakes {
    /// Those that the configuration needs; `None` where it has no encrypted transport.
    fn of(config: &Config, certificates: Option<&Certificates>) -> io::Result<Option<Self>> {
        match (&config.tls, certificates) {
            (None, _) => Ok(None),
            (Some(tls), Some(certificates)) => Self::new(certificates, tls, config.tcp_idle).map(Some).map_err(io::Error::other),
            (Some(_), None) => Err(io::Error::other("encrypted transports are configured, and there is no certificate")),
        }
    }

    fn new(certificates: &Certificates, config: &TlsConfig, idle: Duration) -> Result<Self, rustls::Error> {
        let doh = tls::over_tcp(certificates, &[b"h2", b"http/1.1"])?;
        Ok(Self {
            dot: Protocol::Dot(tls::over_tcp(certificates, &[b"dot"])?),
            doh: Protocol::Doh(doh, config.doh_path.as_str().into()),
            doq: doq::config(tls::over_quic(certificates, &[b"doq"])?, idle)?,
        })
    }

    /// What is spoken on a listener of this transport. There is no way from an encrypted one to clear text.
    fn protocol(handshakes: Option<&Self>, transport: Transport) -> io::Result<Protocol> {
        match (transport, handshakes) {
            (Transport::Tcp, _) => Ok(Protocol::Plain),
            (Transport::Tls, Some(handshakes)) => Ok(handshakes.dot.clone()),
            (Transport::Https, Some(handshakes)) => Ok(handshakes.doh.clone()),
            (Transport::Udp | Transport::Tls | Transport::Https | Transport::Quic, _) => {
                Err(io::Error::other(format!("a listener for {} and nothing to speak on it", transport.as_str())))
            }
        }
    }
}

/// Keeps the thread on one processor. That it may be there was checked with the configuration.
fn stay_on(cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &cpus) {
        tracing::warn!(cpu, %error, "a UDP thread cannot be pinned");
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    tcp_stop: tokio::sync::watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    addresses: Vec<(Transport, SocketAddr)>,
}

impl Server {
    /// Answers on `sockets`; `seed` gives each worker its random source.
    ///
    /// # Errors
    /// When a thread cannot be spawned, or the certificate cannot be used, or is not there and needed.
    pub fn start(config: &Config, sockets: Sockets, context: Context, seed: &mut fastrand::Rng) -> io::Result<Self> {
        let Context { published, proxies, certificates, counters } = context;
        let (tcp_stop, stopping) = tokio::sync::watch::channel(false);
        let limits = Limits { max: config.tcp_max.max(1), per_client: config.tcp_per_client.max(1), idle: config.tcp_idle };
        let handshakes = Handshakes::of(config, certificates.as_ref())?;
        let spoken = |listener: Listener| Ok((Handshakes::protocol(handshakes.as_ref(), listener.transport)?, listener));
        let tcp = sockets.tcp.into_iter().map(|listeners| listeners.into_iter().map(spoken).collect());
        let tcp = tcp.collect::<io::Result<Vec<Vec<(Protocol, Listener)>>>>()?;
        let connections = Arc::new(Connections::new(limits, Arc::clone(&counters), stopping));
        let shared = Shared { published, proxies, counters, connections };
        let mut server = Self { stop: Arc::default(), tcp_stop, threads: Vec::new(), addresses: sockets.addresses };
        let mut slots = 0..;
        // A worker stays on its thread, on which it is made: its VM cannot be sent.
        let mut seat = || (slots.next().unwrap_or(usize::MAX), seed.fork());
        for (at, socket) in sockets.udp.into_iter().enumerate() {
            let ((slot, random), stop, shared) = (seat(), Arc::clone(&server.stop), shared.clone());
            let cpu = config.pin.get(at % config.threads % config.pin.len().max(1)).copied();
            server.spawn("dns-udp", move || {
                cpu.into_iter().for_each(stay_on);
                udp::run(&socket, Worker::new(slot, random), &shared, &stop);
            })?;
        }
        for listeners in tcp {
            let ((slot, random), shared) = (seat(), shared.clone());
            server.spawn("dns-tcp", move || tcp::run(listeners, Worker::new(slot, random), shared))?;
        }
        if let Some(handshakes) = handshakes.filter(|_| !sockets.quic.is_empty()) {
            let ((slot, random), shared) = (seat(), shared.clone());
            server.spawn("dns-quic", move || doq::run(sockets.quic, Worker::new(slot, random), &handshakes.doq, &shared))?;
        }
        Ok(server)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.into()).spawn(body)?);
        Ok(())
    }

    /// The addresses that are served, with the ports that the system chose for port 0. [`Transport::Udp`] stands for UDP
    /// and TCP.
    #[must_use]
    pub fn addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses
    }

    /// Answers what has arrived, then stops. Takes as long as a receive time-out at most.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tcp_stop.send_replace(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a DNS thread had panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Options, Snapshot};

    #[test]
    fn encrypted_transports_never_speak_clear_text() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let identity = Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes());
        let any = || vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let tls = TlsConfig {
            identity: identity.expect("an identity"),
            dot: any(),
            doh: any(),
            doq: any(),
            doh_path: "/dns-query".into(),
        };
        let config = Config {
            listen: Vec::new(),
            listen_is_default: false,
            freebind: false,
            threads: 1,
            rcvbuf: 4096,
            sndbuf: None,
            pin: Vec::new(),
            tcp_max: 1,
            tcp_per_client: 1,
            tcp_idle: Duration::from_secs(1),
            tls: Some(tls),
        };
        let snapshot = Snapshot::empty(Arc::new(Options::default()), config.workers());
        let context = Context {
            published: Published::new(Arc::new(snapshot)),
            proxies: Arc::new([]),
            certificates: None,
            counters: Arc::default(),
        };
        let sockets = Sockets::bind(&config).expect("bound");
        let started = Server::start(&config, sockets, context.clone(), &mut fastrand::Rng::with_seed(1));
        assert!(started.is_err_and(|error| error.to_string().contains("certificate")));
        // Nor where the sockets are another configuration's.
        let sockets = Sockets::bind(&config).expect("bound");
        let started = Server::start(&Config { tls: None, ..config }, sockets, context, &mut fastrand::Rng::with_seed(1));
        assert!(started.is_err_and(|error| error.to_string().contains("tls")));
    }
}
