//! `leeward events --follow`: reads the server's stream of events (WHATWG HTML, 9.2), and goes on after a break from where it
//! was.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::args::EventsArgs;
use super::client::{Client, Failed};
use super::show;

const PATH: &str = "/api/v1/events";
/// From the end of a stream to the next attempt.
const AGAIN: Duration = Duration::from_secs(1);

/// One message of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    id: Option<String>,
    event: String,
    data: String,
}

/// Takes a stream apart, in whatever pieces it comes.
#[derive(Debug, Default)]
struct Reader {
    line: Vec<u8>,
    message: Message,
    /// The last number, also where it came without an event.
    last: Option<String>,
}

impl Reader {
    /// The messages that are whole with `octets`.
    fn read(&mut self, octets: &[u8]) -> Vec<Message> {
        let mut whole = Vec::new();
        for &octet in octets {
            if octet != b'\n' {
                self.line.push(octet);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            whole.extend(self.take(line.trim_end_matches('\r')));
        }
        whole
    }

    fn take(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            self.last = message.id.clone().or(self.last.take());
            return (!message.data.is_empty()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.message.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.message.event),
            "data" if self.message.data.is_empty() => value.clone_into(&mut self.message.data),
            "data" => self.message.data += &format!("\n{value}"),
            _ => {} // a comment, or what later servers say
        }
        None
    }
}

/// Prints events as they happen, until the reader has had enough or the server cannot be asked at all.
pub(super) fn follow(args: &EventsArgs) -> anyhow::Result<ExitCode> {
    let client = Client::find(&args.client_args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&client, args))
}

async fn run(client: &Client, args: &EventsArgs) -> anyhow::Result<ExitCode> {
    let (mut last, mut was_there) = (None::<String>, false);
    loop {
        let since = if last.is_none() { args.since.clone() } else { None };
        let query: Vec<_> = since.into_iter().map(|since| ("since", since)).collect();
        match client.stream(PATH, &query, last.as_deref()).await {
            Ok(mut response) => {
                was_there = true;
                let mut reader = Reader::default();
                // A break is no error: it is what a restart of the server looks like.
                while let Ok(Some(octets)) = response.chunk().await {
                    let messages = reader.read(&octets);
                    last = reader.last.clone().or(last);
                    for message in messages {
                        if !print(&message, args.client_args.json)? {
                            return Ok(ExitCode::SUCCESS);
                        }
                    }
                }
            }
            Err(error) if was_there && matches!(error.downcast_ref(), Some(Failed::Unreachable { .. })) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// False: nobody reads it any more.
fn print(message: &Message, json: bool) -> anyhow::Result<bool> {
    let text = if json { format!("{}\n", message.data) } else { show::message(&message.event, &message.data) };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_in_whatever_pieces_it_comes() {
        let text =
            "retry: 1000\n\n:\n\nid: 7\nevent: transition\ndata: {\"a\":\ndata:1}\n\r\nevent: missed\r\ndata: x\r\n\r\nid: 8\n";
        let first = Message { id: Some("7".into()), event: "transition".into(), data: "{\"a\":\n1}".into() };
        let second = Message { id: None, event: "missed".into(), data: "x".into() };
        for size in [1, 2, 5, 1000] {
            let mut reader = Reader::default();
            let read: Vec<Message> = text.as_bytes().chunks(size).flat_map(|piece| reader.read(piece)).collect();
            assert_eq!(read, [first.clone(), second.clone()]);
        }
    }
}
