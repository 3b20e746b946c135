//! DNS over HTTPS (RFC 8484): `GET ?dns=` and `POST`, over HTTP/2 and HTTP/1.1 as ALPN has it.
//!
//! | request | reply |
//! | --- | --- |
//! | another path | 404 |
//! | another method | 405 with `Allow` |
//! | `GET` without `dns`, twice, or not base64url without padding | 400 |
//! | `POST` of another media type | 415 |
//! | more than 65,535 octets | 413 |
//! | one whose body takes longer than a connection may be idle | 408 |
//! | one too many whose body is still coming in (see `room`) | 503 |
//! | what is no query at all (RFC 1035 header too short, or a response) | 400 |
//! | any query | 200 with what DNS says of it, errors too (RFC 8484 4.2.1) |
//!
//! `Cache-Control: max-age` is the smallest TTL of the answer, or the negative TTL (RFC 8484 5.1). It is `private`: answers
//! depend on who asks, and a shared cache in front of us would give one client's to another (RFC 9111 5.2.2.7).
//!
//! Streams of a connection, headers and bodies are bounded. The connection's idle time counts from its last whole query, so
//! that a body or a header that trickles in does not hold the connection. But queries on other streams of HTTP/2 do hold
//! it: so each request has a time of its own for its body. A header needs none: in HTTP/1.1 it is alone on its connection,
//! and in HTTP/2 nothing may come between the frames of one (RFC 9113 4.3).

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::connections::Connection;
use super::desk::{Asker, Desk};
use super::records;
use super::room::{Gathering, Room};

const MEDIA_TYPE: &str = "application/dns-message";
const MESSAGE_MAX: usize = 65_535;
/// Requests of a connection at a time. Answers take microseconds, so only requests that are still coming in and replies
/// that are not yet taken count.
const STREAMS_MAX: u32 = 32;
/// Octets of a request's head: a query of 12 KiB in a URL. Longer ones are for POST.
const HEAD_MAX: usize = 16 * 1024;
/// Octets of one HTTP/2 body that may be under way to us, or here and not yet read: the least that the protocol begins with.
const STREAM_WINDOW: u32 = 65_535;
/// The same of all bodies of a connection.
const CONNECTION_WINDOW: u32 = 128 * 1024;

type Reply = Response<Full<Bytes>>;

/// Answers until the client leaves or the connection is over.
pub(super) async fn serve(
    desk: &Rc<Desk>,
    path: &Rc<str>,
    stream: TlsStream<TcpStream>,
    asker: Asker,
    connection: &Rc<Connection>,
) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    let service = {
        let (desk, path, connection) = (Rc::clone(desk), Rc::clone(path), Rc::clone(connection));
        service_fn(move |request| {
            let (desk, path, connection) = (Rc::clone(&desk), Rc::clone(&path), Rc::clone(&connection));
            async move { Ok::<_, Infallible>(reply(&desk, &path, asker, &connection, request).await) }
        })
    };
    // However HTTP ends (an error of the client's, an end of its own choice) is the client's affair.
    if is_http2 {
        let mut builder = http2::Builder::new(Here);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_MAX as u32)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        until_over(builder.serve_connection(io, service), connection, |served| served.graceful_shutdown()).await;
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_MAX);
        until_over(builder.serve_connection(io, service), connection, |served| served.graceful_shutdown()).await;
    }
}

/// Serves until HTTP ends; where the connection's time is over first, what is under way gets a moment to end.
async fn until_over<S: Future>(served: S, connection: &Connection, wind_down: impl FnOnce(Pin<&mut S>)) {
    let mut served = pin!(served);
    tokio::select! {
        _ended = &mut served => return,
        _over = connection.over() => {}
    }
    wind_down(served.as_mut());
    drop(timeout(connection.parting(), served).await);
}

/// Runs the streams of HTTP/2 on the thread of their connection.
#[derive(Clone, Copy)]
struct Here;

impl<F: Future + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(async move { drop(stream.await) });
    }
}

async fn reply(desk: &Desk, path: &str, asker: Asker, connection: &Connection, request: Request<Incoming>) -> Reply {
    let taken_in = timeout(connection.patience(), query(path, connection.room(), request)).await;
    let query = match taken_in.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT)) {
        Ok(query) => query,
        Err(status) => return refusal(status),
    };
    connection.asked();
    let snapshot = desk.snapshot();
    match desk.answer(&snapshot, asker, query.octets(), success) {
        Some(reply) => reply,
        None => refusal(StatusCode::BAD_REQUEST),
    }
}

fn success(message: &[u8]) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::copy_from_slice(message)));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let lifetime = HeaderValue::try_from(format!("private, max-age={}", records::lifetime(message)));
    headers.extend(lifetime.ok().map(|lifetime| (CACHE_CONTROL, lifetime)));
    reply
}

fn refusal(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    reply
}

/// The DNS message of a request.
async fn query<'r, B>(path: &str, room: &'r Room, request: Request<B>) -> Result<Gathering<'r>, StatusCode>
where
    B: Body<Data = Bytes>,
{
    if request.uri().path() != path {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => {
            let query = from_url(request.uri().query().unwrap_or_default()).ok_or(StatusCode::BAD_REQUEST)?;
            let mut gathered = room.gather();
            gathered.add(&query).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
            Ok(gathered)
        }
        Method::POST => {
            if !has_media_type(request.headers().get(CONTENT_TYPE)) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            from_body(room, request.into_body()).await
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// All of a body.
async fn from_body<B: Body<Data = Bytes>>(room: &Room, body: B) -> Result<Gathering<'_>, StatusCode> {
    let mut body = pin!(body);
    let mut gathered = room.gather();
    while let Some(frame) = body.frame().await {
        // What is no data is trailers, which say nothing to us.
        let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
        if gathered.octets().len() + data.len() > MESSAGE_MAX {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        gathered.add(&data).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    }
    Ok(gathered)
}

/// The value of the one parameter `dns`.
fn from_url(parameters: &str) -> Option<Vec<u8>> {
    let mut values = parameters.split('&').filter_map(|parameter| parameter.strip_prefix("dns="));
    let (value, None) = (values.next()?, values.next()) else { return None };
    BASE64URL_NOPAD.decode(value.as_bytes()).ok()
}

/// Whether the media type is ours, in any case, with any parameters.
fn has_media_type(value: Option<&HeaderValue>) -> bool {
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (media_type, _parameters) = text.split_once(';').unwrap_or((text, ""));
    media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn judged(method: &str, uri: &str, media_type: &str, body: &[u8]) -> Result<Vec<u8>, u16> {
        let request = Request::builder().method(method).uri(uri).header(CONTENT_TYPE, media_type);
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        let room = Room::new();
        let query = query("/dns-query", &room, request).await;
        query.map(|query| query.octets().to_vec()).map_err(|status| status.as_u16())
    }

    #[tokio::test]
    async fn rfc8484_requests() {
        for (method, uri, media_type, body, expected) in [
            ("GET", "/dns-query?dns=AAAB", "", &b""[..], Ok(vec![0, 0, 1])),
            ("GET", "/dns-query?ct&dns=_-8", "", b"", Ok(vec![0xFF, 0xEF])),
            ("GET", "/dns-query?dns=AAA=", "", b"", Err(400)),
            ("GET", "/dns-query?dns=A%41", "", b"", Err(400)),
            ("GET", "/dns-query?dns=/+8A", "", b"", Err(400)),
            ("GET", "/dns-query?dns=AAAB&dns=AAAB", "", b"", Err(400)),
            ("GET", "/dns-query", "", b"", Err(400)),
            ("GET", "/dns-query/?dns=AAAB", "", b"", Err(404)),
            ("GET", "/", "", b"", Err(404)),
            ("HEAD", "/dns-query?dns=AAAB", "", b"", Err(405)),
            ("PUT", "/dns-query", MEDIA_TYPE, b"x", Err(405)),
            ("POST", "/dns-query", MEDIA_TYPE, b"xyz", Ok(b"xyz".to_vec())),
            ("POST", "/dns-query", "Application/DNS-Message; q=1", b"xyz", Ok(b"xyz".to_vec())),
            ("POST", "/dns-query", "text/plain", b"xyz", Err(415)),
            ("POST", "/dns-query", "", b"xyz", Err(415)),
            ("POST", "/dns-query", MEDIA_TYPE, &[7; MESSAGE_MAX], Ok(vec![7; MESSAGE_MAX])),
            ("POST", "/dns-query", MEDIA_TYPE, &[7; MESSAGE_MAX + 1], Err(413)),
        ] {
            assert_eq!(judged(method, uri, media_type, body).await, expected, "{method} {uri}");
        }
    }
}
