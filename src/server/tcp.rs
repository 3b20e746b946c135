//! DNS over TCP (RFC 7766): pipelined queries, two-octet lengths, idle time-out, a cap on connections.
//!
//! One thread, one small runtime, one [`Worker`]. Answers never wait for anything, so replies leave in the order in
//! which the queries came, which RFC 7766 6.2.1.1 allows; everything that one read brought is answered with one write.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::clock;
use crate::answers::{Ctx, Published, Response, Snapshot, Transport, Worker, respond};

/// Octets read at a time. A client has at most one message (64 KiB) and one read waiting in our memory.
const READ_MAX: usize = 4096;
/// Replies are written once they are more than this, so that one read's worth of queries cannot pile up megabytes.
const WRITE_SOON: usize = 64 * 1024;
/// How long to leave a listener alone when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of TCP.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Connections at a time, over all threads. When they are used up, each listener holds one accepted connection until
    /// another ends, and the kernel's backlog holds the rest.
    pub(super) connections: Arc<Semaphore>,
    /// How long a connection may take for its next whole query, or for taking replies.
    pub(super) idle: Duration,
}

/// Serves `listeners` until `stopping`.
pub(super) fn run(
    listeners: Vec<TcpListener>,
    worker: Worker,
    published: &Published,
    limits: Limits,
    stopping: &watch::Receiver<bool>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "no runtime for TCP; TCP is not served"),
    };
    let desk = Rc::new(Desk {
        worker: RefCell::new(worker),
        published: published.clone(),
        reply: RefCell::new(vec![0; usize::from(u16::MAX)]),
        limits,
    });
    let tasks = LocalSet::new();
    for listener in listeners {
        tasks.spawn_local(accept(listener, Rc::clone(&desk), stopping.clone()));
    }
    runtime.block_on(tasks); // ends when the listeners and every connection have seen `stopping`
}

/// What the connections of a thread share.
struct Desk {
    worker: RefCell<Worker>,
    published: Published,
    reply: RefCell<Vec<u8>>,
    limits: Limits,
}

async fn accept(listener: TcpListener, desk: Rc<Desk>, mut stopping: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot listen for TCP"),
    };
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|&stop| stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let permit = tokio::select! {
                    _ = stopping.wait_for(|&stop| stop) => return,
                    permit = Arc::clone(&desk.limits.connections).acquire_owned() => permit,
                };
                let (desk, stopping) = (Rc::clone(&desk), stopping.clone());
                tokio::task::spawn_local(async move {
                    let _permit = permit;
                    // Whatever ends a connection (reset, time-out, a client that left) is the client's affair.
                    let _ended: io::Result<()> = desk.converse(stream, peer.ip(), stopping).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a TCP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Desk {
    /// One connection, until the client leaves, is idle, or the server stops.
    async fn converse(&self, mut stream: TcpStream, client: IpAddr, mut stopping: watch::Receiver<bool>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut input = Vec::new();
        loop {
            let whole = async {
                while message_len(&input).is_none() {
                    input.reserve(READ_MAX);
                    if (&mut stream).take(READ_MAX as u64).read_buf(&mut input).await? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                    }
                }
                Ok(())
            };
            tokio::select! {
                whole = timeout(self.limits.idle, whole) => whole??,
                _ = stopping.wait_for(|&stop| stop) => return Ok(()),
            }
            tokio::select! {
                answered = timeout(self.limits.idle, self.answer_all(client, &mut input, &mut stream)) => answered??,
                _ = stopping.wait_for(|&stop| stop) => return Ok(()),
            }
        }
    }

    /// Answers every whole message of `input`, from one snapshot. A message that gets no reply is no query: what came before
    /// it is answered, and the connection ends.
    async fn answer_all(&self, client: IpAddr, input: &mut Vec<u8>, stream: &mut TcpStream) -> io::Result<()> {
        let snapshot = self.published.load();
        let mut output = Vec::new();
        let mut done = 0;
        let mut sound = true;
        while let Some(len) = message_len(&input[done..]).filter(|_| sound) {
            sound = self.answer(&snapshot, client, &input[done + 2..done + 2 + len], &mut output);
            done += 2 + len;
            if output.len() > WRITE_SOON {
                stream.write_all(&output).await?;
                output.clear();
            }
        }
        input.drain(..done);
        input.shrink_to(2 * READ_MAX);
        stream.write_all(&output).await?;
        if sound { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Appends the framed reply to `output`; whether there is one.
    fn answer(&self, snapshot: &Snapshot, client: IpAddr, request: &[u8], output: &mut Vec<u8>) -> bool {
        let ctx = Ctx { client, transport: Transport::Tcp, now: clock::now() };
        let reply = &mut *self.reply.borrow_mut();
        let Response::Reply(len) = respond(snapshot, &mut self.worker.borrow_mut(), &ctx, request, reply) else { return false };
        output.extend_from_slice(&(len as u16).to_be_bytes());
        output.extend_from_slice(&reply[..len]);
        true
    }
}

/// The length of the whole message at the front of `input`, where there is one.
fn message_len(input: &[u8]) -> Option<usize> {
    let (head, rest) = input.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_be_bytes(*head));
    (rest.len() >= len).then_some(len)
}
