//! DNS over UDP and TCP: bytes in, one call into `answers`, bytes out.
//!
//! One thread per UDP socket, blocking in `recvmmsg`; `udp_threads` sockets per address share its port through
//! `SO_REUSEPORT`. TCP runs beside them on as many threads, each with its own listeners and a small runtime of its own.
//! A thread owns its buffers, its [`Worker`] and its view of the published snapshot, so nothing
//! on the way from a datagram to its answer is shared.
//!
//! Why own threads and system calls: libraries spawn a task per datagram. Why blocking: a thread that has nothing else
//! to do needs no scheduler.
//!
//! Never here: what an answer is; any wait for the control plane.

mod batch;
mod clock;
mod listen;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::answers::{Published, Worker};

pub use listen::{BindError, Sockets, trial_bind};

/// The checked form of `[server]`, without what belongs to `answers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Addresses for UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Whether `listen` is the default: addresses of families that the host lacks are left out then.
    pub listen_is_default: bool,
    /// UDP sockets and threads per address, and TCP threads. At least 1.
    pub threads: usize,
    /// Receive buffer of each UDP socket, octets; the kernel caps it at `net.core.rmem_max`.
    pub rcvbuf: usize,
    /// TCP connections at a time, over all threads.
    pub tcp_max: usize,
    /// How long a TCP connection may take for its next complete query, and a client for taking a reply.
    pub tcp_idle: Duration,
}

impl Config {
    /// How many [`Worker`]s a server of this form has.
    #[must_use]
    pub fn workers(&self) -> usize {
        (self.listen.len() + 1) * self.threads
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    tcp_stop: tokio::sync::watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Answers on `sockets` from what is `published`; `seed` gives each worker its random source.
    ///
    /// # Errors
    /// When a thread cannot be spawned.
    pub fn start(config: &Config, sockets: Sockets, published: &Published, seed: &mut fastrand::Rng) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tcp_stop, stopping) = tokio::sync::watch::channel(false);
        let mut server = Self { stop, tcp_stop, threads: Vec::new(), addresses: sockets.addresses };
        let mut slots = 0..;
        let mut worker = || Worker::new(slots.next().unwrap_or(usize::MAX), seed.fork());
        for socket in sockets.udp {
            let (worker, stop, published) = (worker(), Arc::clone(&server.stop), published.clone());
            server.spawn("dns-udp", move || udp::run(&socket, worker, &published, &stop))?;
        }
        let connections = Arc::new(tokio::sync::Semaphore::new(config.tcp_max.max(1)));
        for listeners in sockets.tcp {
            let limits = tcp::Limits { connections: Arc::clone(&connections), idle: config.tcp_idle };
            let (worker, stopping, published) = (worker(), stopping.clone(), published.clone());
            server.spawn("dns-tcp", move || tcp::run(listeners, worker, &published, limits, &stopping))?;
        }
        Ok(server)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.into()).spawn(body)?);
        Ok(())
    }

    /// The addresses that are served, with the ports that the system chose for port 0.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
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
