//! DNS over a stream (RFC 7766), bare or in TLS (RFC 7858): pipelined queries behind two-octet lengths.
//!
//! Everything that one read brought is answered with one write. Answers never wait for anything, so replies leave in the
//! order of the queries, which RFC 7766 6.2.1.1 allows. Nothing rests on that order: a reply is framed as it is made,
//! and one that comes later would be appended to a later write of the same loop.
//!
//! An idle connection holds no buffers. A client has at most one message and one read waiting in our memory, and one
//! write.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::connections::Connection;
use super::desk::Desk;
use crate::answers::{Snapshot, Transport};

/// Replies are written once they are more than this, so that what one read brought cannot pile up megabytes, and who never
/// reads holds little.
const WRITE_SOON: usize = 16 * 1024;

/// Who is at the other end, over what.
pub(super) type Asker = (IpAddr, Transport);

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
            () = connection.over() => return Ok(()),
        }
        if message_len(&input).is_some() {
            tokio::select! {
                answered = answer_all(desk, asker, &mut input, stream, connection) => answered?,
                () = connection.over() => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }
}

/// Answers every whole message of `input`, from one snapshot. A message that gets no reply is no query: what came before
/// it is answered, and the connection ends.
async fn answer_all(
    desk: &Desk,
    asker: Asker,
    input: &mut Vec<u8>,
    stream: &mut (impl AsyncWrite + Unpin),
    connection: &Connection,
) -> io::Result<()> {
    let snapshot = desk.snapshot();
    let mut done = 0;
    let mut sound = true;
    while sound && message_len(&input[done..]).is_some() {
        let mut output = Vec::new();
        while let Some(len) = message_len(&input[done..]).filter(|_| sound && output.len() <= WRITE_SOON) {
            sound = answer(desk, &snapshot, asker, &input[done + 2..done + 2 + len], &mut output);
            done += 2 + len;
        }
        connection.asked();
        connection.set_busy(true);
        stream.write_all(&output).await?;
        stream.flush().await?;
        connection.set_busy(false);
    }
    input.drain(..done);
    input.shrink_to_fit(); // to nothing, mostly
    if sound { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Appends the framed reply to `output`; whether there is one.
fn answer(desk: &Desk, snapshot: &Snapshot, asker: Asker, request: &[u8], output: &mut Vec<u8>) -> bool {
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
