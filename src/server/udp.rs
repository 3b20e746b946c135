//! One UDP socket, one thread: receive a batch, answer it from one snapshot, send it.

use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::answers::{Ctx, Published, Reader, Response, Transport, Worker, respond};

use super::batch::{Batch, Wait};
use super::clock;

/// Batches that are answered after the order to stop: what has arrived by then, but not a flood without end.
const LAST_BATCHES: usize = 64;
/// How long to leave the socket alone after an error that will not go away by itself at once (ENOMEM, ENOBUFS).
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Answers until `stop`. A panic would be a defect; it costs the batch in hand, is logged, and the thread goes on.
pub(super) fn run(socket: &UdpSocket, mut worker: Worker, published: &Published, stop: &AtomicBool) {
    let mut batch = Batch::new();
    let mut reader = published.reader();
    while !stop.load(Ordering::Relaxed) {
        let turn = || turn(socket, &mut batch, &mut worker, &mut reader, Wait::ForOne);
        if catch_unwind(AssertUnwindSafe(turn)).is_err() {
            tracing::error!("a UDP worker panicked and goes on");
        }
    }
    for _ in 0..LAST_BATCHES {
        if turn(socket, &mut batch, &mut worker, &mut reader, Wait::No) == 0 {
            break;
        }
    }
}

/// One batch; how many datagrams it had.
fn turn(socket: &UdpSocket, batch: &mut Batch, worker: &mut Worker, reader: &mut Reader, wait: Wait) -> usize {
    let received = match batch.receive(socket, wait) {
        Ok(received) => received,
        Err(error) => {
            tracing::warn!(%error, "cannot receive");
            std::thread::sleep(ERROR_PAUSE);
            0
        }
    };
    let snapshot = reader.load(); // also when idle: an old snapshot is let go of
    if received > 0 {
        let now = clock::now();
        batch.answer(|client, request, reply| {
            let ctx = Ctx { client, transport: Transport::Udp, now };
            match respond(snapshot, worker, &ctx, request, reply) {
                Response::Reply(len) => len,
                Response::Drop => 0,
            }
        });
        batch.send(socket);
    }
    received
}
