//! The events as they happen: server-sent events (WHATWG HTML, 9.2).
//!
//! | field | content |
//! | --- | --- |
//! | `id` | the event's number; `Last-Event-ID` with it goes on after it, in another process of the node too |
//! | `event` | its kind; `missed` for those that are not kept any more, with how many |
//! | `data` | the same object as in the list |
//!
//! A comment every [`KEEP_ALIVE`] tells both sides that the other is there. Streams are bounded in number, and each takes what
//! comes next only when its reader has taken what came before: one that does not for [`SLOW`] is ended, and its client may come
//! back with the number that it got to.

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::history::{Follower, History, Page};

/// Streams at a time, well below the connections that a listener takes.
const STREAMS: usize = 32;
/// A proxy in between closes what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A reader that has not taken anything for so long is gone or asleep.
const SLOW: Duration = Duration::from_secs(30);
/// Events that are written at a time.
const BATCH: usize = 64;
/// After which time clients come back, in milliseconds.
const RETRY: u64 = 1000;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("text/event-stream");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Places for streams.
#[derive(Debug)]
pub struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

impl Streams {
    /// A place; `None`: all are taken.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        STREAMS - self.0.available_permits()
    }
}

/// Of a connection: whether a stream is on it, which may last.
#[derive(Clone, Debug, Default)]
pub(super) struct Lasting(Arc<AtomicBool>);

impl Lasting {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets it as long as the stream is there.
struct Lasts(Lasting);

impl Drop for Lasts {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// Whether the caller would have a stream.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = accepts.flat_map(|value| value.split(','));
    ranges.filter_map(|range| range.split(';').next()).any(|range| range.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The number of the last event that the caller has; one that is none of ours is as good as none.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get(LAST_EVENT_ID)?.to_str().ok()?.trim().parse().ok()
}

/// A stream of what comes after that number.
pub(super) fn open(history: Arc<History>, after: u64, place: OwnedSemaphorePermit, lasting: Option<Lasting>) -> Response {
    let (frames, taken) = mpsc::channel(1);
    tokio::spawn(async move {
        let _place = place;
        let _lasts = lasting.map(|lasting| {
            lasting.0.store(true, Ordering::Relaxed);
            Lasts(lasting)
        });
        follow(&history, after, &frames).await;
    });
    let mut response = Response::new(Body::new(Frames(taken)));
    response.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

async fn follow(history: &History, after: u64, frames: &mpsc::Sender<Bytes>) {
    // A number that was never given would wait for ever.
    let (mut after, mut follower) = (after.min(history.newest()), history.watch());
    // With the number from which it goes on, so that a reader who comes back before the first event misses none.
    let mut text = format!("retry: {RETRY}\nid: {after}\n\n");
    while let Ok(Ok(())) = tokio::time::timeout(SLOW, frames.send(Bytes::from(text))).await {
        text = tokio::select! {
            next = next(history, &mut after, &mut follower) => match next {
                Some(text) => text,
                None => return,
            },
            () = frames.closed() => return,
        };
    }
}

/// What is to be said next, as soon as there is something; `None`: nothing will be.
async fn next(history: &History, after: &mut u64, follower: &mut Follower) -> Option<String> {
    loop {
        let page = history.after(*after, BATCH);
        *after = page.end(*after);
        let text = written(&page);
        if !text.is_empty() {
            return Some(text);
        }
        match tokio::time::timeout(KEEP_ALIVE, follower.wait_after(*after)).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => return Some(":\n\n".to_owned()),
        }
    }
}

fn written(page: &Page) -> String {
    let mut text = String::new();
    if page.missed > 0 {
        let _ = write!(text, "event: missed\ndata: {{\"missed\":{}}}\n\n", page.missed);
    }
    for event in &page.events {
        // JSON on one line; a string with a line break has it escaped.
        let data = serde_json::to_string(&**event).unwrap_or_default();
        let _ = write!(text, "id: {}\nevent: {}\ndata: {data}\n\n", event.number, event.kind);
    }
    text
}

/// What a stream has to say, as it comes.
struct Frames(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(|frame| Ok(Frame::data(frame))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::super::forms::EventForm;
    use super::*;

    fn event(number: u64) -> EventForm {
        EventForm { number, kind: "transition".into(), text: "a\nb".into(), ..EventForm::default() }
    }

    async fn next(response: &mut Response) -> Option<String> {
        let frame = response.body_mut().frame().await?.expect("no error");
        Some(String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text"))
    }

    #[test]
    fn who_wants_a_stream() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        for accept in ["text/event-stream", "application/json, Text/Event-Stream;q=0.9"] {
            assert!(is_wanted(&headers("accept", accept)), "{accept}");
        }
        for accept in ["*/*", "text/*", "application/json"] {
            assert!(!is_wanted(&headers("accept", accept)), "{accept}: curl and browsers ask like that");
        }
        assert_eq!(last_event_id(&headers("last-event-id", " 17")), Some(17));
        assert_eq!(last_event_id(&headers("last-event-id", "x")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_goes_on_from_where_its_reader_was() {
        let (history, streams) = (Arc::new(History::new([event(1), event(2)])), Streams::default());
        let lasting = Lasting::default();
        let place = streams.enter().expect("free");
        let mut stream = open(Arc::clone(&history), 1, place, Some(lasting.clone()));
        assert_eq!(next(&mut stream).await.as_deref(), Some("retry: 1000\nid: 1\n\n"));
        let second = next(&mut stream).await.expect("an event");
        assert!(second.starts_with("id: 2\nevent: transition\ndata: {\"number\":2,"), "{second}");
        assert_eq!((second.lines().count(), second.ends_with("}\n\n")), (4, true), "one line of data: {second}");
        assert_eq!(next(&mut stream).await.as_deref(), Some(":\n\n"), "nothing new for a while");
        history.push(event(7));
        assert!(next(&mut stream).await.is_some_and(|text| text.starts_with("id: 7\n")));
        assert!(lasting.is_set() && streams.open() == 1);
        history.close();
        assert_eq!(next(&mut stream).await, None, "the server stops");
        tokio::task::yield_now().await;
        assert!(!lasting.is_set() && streams.open() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_is_let_go() {
        let (history, streams) = (Arc::new(History::new((1..200).map(event))), Streams::default());
        let mut stream = open(history, 0, streams.enter().expect("free"), None);
        assert_eq!(next(&mut stream).await.as_deref(), Some("retry: 1000\nid: 0\n\n"));
        tokio::time::sleep(3 * SLOW).await;
        assert_eq!(streams.open(), 0);
        let _what_was_ready = next(&mut stream).await;
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test]
    async fn there_is_room_for_so_many() {
        let (history, streams) = (Arc::new(History::default()), Streams::default());
        let open: Vec<_> = (0..STREAMS).map(|_| open(Arc::clone(&history), 9, streams.enter().expect("free"), None)).collect();
        assert!(streams.enter().is_none());
        drop(open);
        while streams.open() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
