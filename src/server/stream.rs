//! DNS over a stream (RFC 7766), bare or in TLS (RFC 7858): pipelined queries behind two-octet lengths.
//!
//! Everything that one read brought is answered with one write. Answers never wait for anything, so replies leave in the
//! order of the queries, which RFC 7766 6.2.1.1 allows. Nothing rests on that order: a reply is framed as it is made,
//! and one that comes later would be appended to a later write of the same loop.
//!
//! An idle connection holds no buffers: they go back to the desk, for whoever is next. A client has at most one message and one read waiting in our memory, and one
//! write. A write that waits for a slow reader holds no snapshot: that of a big zone must not outlive a reload by the time
//! that one client may take.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::connections::Connection;
use super::desk::{Asker, Desk};
use crate::answers::Snapshot;

/// Replies are written once they are more than this, so that what one read brought cannot pile up megabytes, and who never
/// reads holds little.
const WRITE_SOON: usize = 16 * 1024;

/// Answers until the client leaves, sends what is no query, or the connection is over.
pub(super) async fn converse(
    desk: &Desk,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    asker: Asker,
    connection: &Connection,
) -> io::Result<()> {
    let mut input = Vec::new();
    loop {
        tokio::select! {
            read = desk.read(stream, &mut input) => if read? == 0 { return Ok(()) },
            _over = connection.over() => return Ok(()),
        }
        if message_len(&input).is_some() {
            tokio::select! {
                answered = answer_all(desk, asker, &mut input, stream, connection) => answered?,
                _over = connection.over() => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }
}

/// Answers every whole message of `input`, from one snapshot per write. A message that gets no reply is no query: what came before
/// it is answered, and the connection ends.
async fn answer_all(
    desk: &Desk,
    asker: Asker,
    input: &mut Vec<u8>,
    stream: &mut (impl AsyncWrite + Unpin),
    connection: &Connection,
) -> io::Result<()> {
    let mut done = 0;
    let mut sound = true;
    while sound && message_len(&input[done..]).is_some() {
        let mut output = desk.buffer();
        let snapshot = desk.snapshot();
        while let Some(len) = message_len(&input[done..]).filter(|_| sound && output.len() <= WRITE_SOON) {
            sound = answer(desk, &snapshot, asker, &input[done + 2..done + 2 + len], &mut output);
            done += 2 + len;
        }
        drop(snapshot);
        connection.asked();
        let _busy = connection.busy();
        stream.write_all(&output).await?;
        stream.flush().await?;
        desk.done_with(output);
    }
    input.drain(..done);
    if input.is_empty() {
        desk.done_with(std::mem::take(input));
    } else {
        input.shrink_to_fit();
    }
    if sound { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Appends the framed reply to `output`; whether there is one.
fn answer(desk: &Desk, snapshot: &Arc<Snapshot>, asker: Asker, request: &[u8], output: &mut Vec<u8>) -> bool {
    let append = |reply: &[u8]| {
        output.extend_from_slice(&(reply.len() as u16).to_be_bytes());
        output.extend_from_slice(reply);
    };
    desk.answer(snapshot, asker, request, append).is_some()
}

/// The length of the whole message at the front of `input`, where there is one.
fn message_len(input: &[u8]) -> Option<usize> {
    let (head, rest) = input.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_be_bytes(*head));
    (rest.len() >= len).then_some(len)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::pin::pin;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::sync::watch;

    use super::*;
    use crate::answers::{Options, Published, Transport, Worker};
    use crate::server::Shared;
    use crate::server::connections::{Connections, Limits};

    /// A query for the root, which is not ours.
    const QUERY: [u8; 19] = [0, 17, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];

    #[tokio::test]
    async fn a_slow_reader_holds_no_snapshot() {
        let snapshot = || Arc::new(Snapshot::empty(Arc::new(Options::default()), 1));
        let published = Published::new(snapshot());
        let (_stop, stopping) = watch::channel(false);
        let limits = Limits { max: 1, per_client: 1, idle: Duration::from_secs(60) };
        let shared = Shared {
            published: published.clone(),
            proxies: Arc::new([]),
            counters: Arc::default(),
            connections: Arc::new(Connections::new(limits, Arc::default(), stopping)),
        };
        let desk = Desk::new(Worker::new(0, fastrand::Rng::with_seed(1)), &shared);
        let [client, local] = [1, 53].map(|host| SocketAddr::from(([192, 0, 2, host], 53)));
        let asker = Asker { client, local, transport: Transport::Tcp };
        let connection = shared.connections.admit(Transport::Tcp, Some(client.ip())).expect("room");
        let (mut theirs, mut ours) = tokio::io::duplex(QUERY.len());
        let mut conversing = pin!(converse(&desk, &mut ours, asker, &connection));
        let asking = async {
            // One reply fits, and nobody reads it.
            for _ in 0..3 {
                theirs.write_all(&QUERY).await.expect("sent");
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ended = &mut conversing => panic!("it has a reply to write"),
            () = asking => {}
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        let old = published.publish(snapshot());
        assert_eq!(Arc::strong_count(&old), 1, "the one who publishes has it for itself");
    }
}
