//! What the connections of one thread share: the worker, the published snapshot, and buffers that no idle connection
//! needs for itself.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;

use tokio::io::{AsyncRead, ReadBuf};

use super::connections::Connections;
use super::{Shared, clock};
use crate::answers::{Ctx, Published, Response, Snapshot, Transport, Worker, respond};

/// Octets read at a time: hundreds of queries, and no more than a connection may hold in vain.
const READ_MAX: usize = 16 * 1024;
/// Buffers that are kept for whichever connection is next to need one, and the largest that is: what busy streams take turns
/// with, and at most two megabytes a thread.
const SPARE: usize = 32;
const SPARE_OCTETS: usize = 64 * 1024;

/// Who asks, of which address of ours, over what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) transport: Transport,
}

/// Answers for the connections of one thread.
pub(super) struct Desk {
    worker: RefCell<Worker>,
    published: Published,
    reply: RefCell<Box<[u8]>>,
    scratch: RefCell<Box<[u8]>>,
    spare: RefCell<Vec<Vec<u8>>>,
    pub(super) connections: Arc<Connections>,
}

impl Desk {
    pub(super) fn new(worker: Worker, shared: &Shared) -> Self {
        Self {
            worker: RefCell::new(worker),
            published: shared.published.clone(),
            reply: RefCell::new(vec![0; usize::from(u16::MAX)].into()),
            scratch: RefCell::new(vec![0; READ_MAX].into()),
            spare: RefCell::new(Vec::with_capacity(SPARE)),
            connections: Arc::clone(&shared.connections),
        }
    }

    /// The snapshot of this moment.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load()
    }

    /// An empty buffer, which may have been another connection's.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a buffer back that is not needed any more.
    pub(super) fn done_with(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE && (1..=SPARE_OCTETS).contains(&buffer.capacity()) {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Calls `take` with the reply to `request`; `None` where it gets none.
    pub(super) fn answer<T>(
        &self,
        snapshot: &Arc<Snapshot>,
        Asker { client, local, transport }: Asker,
        request: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let ctx = Ctx { client, local, transport, now: clock::now() };
        let reply = &mut *self.reply.borrow_mut();
        match respond(snapshot, &mut self.worker.borrow_mut(), &ctx, request, reply) {
            Response::Reply(len) => reply.get(..len).map(take),
            Response::Drop => None,
        }
    }

    /// Appends to `input` what has arrived, and waits for it while nothing has; how many octets, 0 at the end.
    ///
    /// The octets go through a buffer of the thread, so that a connection that waits holds none.
    pub(super) async fn read(&self, stream: &mut (impl AsyncRead + Unpin), input: &mut Vec<u8>) -> io::Result<usize> {
        poll_fn(|cx| {
            let scratch = &mut *self.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            if input.capacity() == 0 {
                *input = self.buffer();
            }
            input.extend_from_slice(buffer.filled());
            Ok(buffer.filled().len()).into()
        })
        .await
    }
}
