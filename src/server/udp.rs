//! One UDP socket, one thread: receive a batch, answer it from one snapshot, send it.

use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::answers::{Ctx, Reader, Response, Transport, Worker, respond};

use super::batch::{Batch, Wait};
use super::complaint::Complaint;
use super::{Shared, clock, proxy};

/// Batches that are answered after the order to stop: what has arrived by then, but not a flood without end.
const LAST_BATCHES: usize = 64;
/// How long to leave the socket alone after an error that will not go away by itself at once (ENOMEM, ENOBUFS).
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Answers until `stop`. A panic would be a defect; it costs the batch in hand, is logged, and the thread goes on.
pub(super) fn run(socket: &UdpSocket, mut worker: Worker, shared: &Shared, stop: &AtomicBool) {
    let mut batch = Batch::new();
    let local = socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 53)));
    let mut reader = shared.published.reader();
    let mut complaint = Complaint::default();
    while !stop.load(Ordering::Relaxed) {
        let turn = || turn((socket, local), &mut batch, &mut worker, &mut reader, shared, &mut complaint, Wait::ForOne);
        if catch_unwind(AssertUnwindSafe(turn)).is_err() {
            tracing::error!("a UDP worker panicked and goes on");
        }
    }
    for _ in 0..LAST_BATCHES {
        if turn((socket, local), &mut batch, &mut worker, &mut reader, shared, &mut complaint, Wait::No) == 0 {
            break;
        }
    }
}

/// One batch; how many datagrams it had.
fn turn(
    (socket, local): (&UdpSocket, SocketAddr),
    batch: &mut Batch,
    worker: &mut Worker,
    reader: &mut Reader,
    shared: &Shared,
    complaint: &mut Complaint,
    wait: Wait,
) -> usize {
    let received = match batch.receive(socket, wait) {
        Ok(received) => received,
        Err(error) => {
            if complaint.is_due() {
                tracing::warn!(%error, "cannot receive");
            }
            std::thread::sleep(ERROR_PAUSE);
            0
        }
    };
    let snapshot = reader.load(); // also when idle: an old snapshot is let go of
    if received > 0 {
        let now = clock::now();
        batch.answer(|(peer, asked), datagram, reply| {
            let Some((client, request)) = unwrapped(shared, peer, datagram) else { return 0 };
            let local = asked.map_or(local, |address| SocketAddr::new(address, local.port()));
            let ctx = Ctx { client, local, transport: Transport::Udp, now };
            match respond(snapshot, worker, &ctx, request, reply) {
                Response::Reply(len) => len,
                Response::Drop => 0,
            }
        });
        batch.send(socket);
    }
    received
}

/// The client, and its message without the header that a proxy puts before it.
fn unwrapped<'d>(shared: &Shared, peer: SocketAddr, datagram: &'d [u8]) -> Option<(SocketAddr, &'d [u8])> {
    if !shared.is_proxy(peer.ip()) {
        return Some((peer, datagram));
    }
    proxy::datagram(datagram, peer).inspect_err(|_| shared.counters.bad_proxy_datagram()).ok()
}
