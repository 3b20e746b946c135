//! DNS over HTTPS (RFC 8484): `GET ?dns=` and `POST`, over HTTP/2 and HTTP/1.1 as ALPN has it.
//!
//! | request | reply |
//! | --- | --- |
//! | another path | 404 |
//! | another method | 405 with `Allow` |
//! | `GET` without `dns`, twice, or not base64url without padding | 400 |
//! | `POST` of another media type | 415 |
//! | more than 65,535 octets | 413 |
//! | what is no query at all (RFC 1035 header too short, or a response) | 400 |
//! | any query | 200 with what DNS says of it, errors too (RFC 8484 4.2.1) |
//!
//! `Cache-Control: max-age` is the smallest TTL of the answer, or the negative TTL (RFC 8484 5.1). Streams of a connection
//! and headers are bounded; how long a request may take is the connection's idle time, which counts from the last whole
//! query, so that a body or a header that trickles in does not hold it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::connections::Connection;
use super::desk::Desk;
use super::records;
use crate::answers::Transport;

const MEDIA_TYPE: &str = "application/dns-message";
const MESSAGE_MAX: usize = 65_535;
/// Requests of a connection at a time. Answers take microseconds, so only requests that are still coming in count; each
/// may hold one message.
const STREAMS_MAX: u32 = 32;
/// Octets of a request's head: a query of 12 KiB in a URL. Longer ones are for POST.
const HEAD_MAX: usize = 16 * 1024;
/// How long the replies in hand may take when the connection must go.
const PARTING: Duration = Duration::from_millis(200);

type Reply = Response<Full<Bytes>>;

/// Answers until the client leaves or the connection is over.
pub(super) async fn serve(
    desk: &Rc<Desk>,
    path: &Rc<str>,
    stream: TlsStream<TcpStream>,
    client: IpAddr,
    connection: &Rc<Connection>,
) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    let service = {
        let (desk, path, connection) = (Rc::clone(desk), Rc::clone(path), Rc::clone(connection));
        service_fn(move |request| {
            let (desk, path, connection) = (Rc::clone(&desk), Rc::clone(&path), Rc::clone(&connection));
            async move { Ok::<_, Infallible>(reply(&desk, &path, client, &connection, request).await) }
        })
    };
    // However HTTP ends (an error of the client's, an end of its own choice) is the client's affair.
    if is_http2 {
        let mut builder = http2::Builder::new(Here);
        builder.timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX).max_header_list_size(HEAD_MAX as u32);
        let mut served = pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ended = &mut served => return,
            () = connection.over() => {}
        }
        served.as_mut().graceful_shutdown();
        drop(timeout(PARTING, served).await);
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_MAX);
        let mut served = pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ended = &mut served => return,
            () = connection.over() => {}
        }
        served.as_mut().graceful_shutdown();
        drop(timeout(PARTING, served).await);
    }
}

/// Runs the streams of HTTP/2 on the thread of their connection.
#[derive(Clone, Copy)]
struct Here;

impl<F: Future + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(async move { drop(stream.await) });
    }
}

async fn reply(desk: &Desk, path: &str, client: IpAddr, connection: &Connection, request: Request<Incoming>) -> Reply {
    let query = match query(path, request).await {
        Ok(query) => query,
        Err(status) => return refusal(status),
    };
    connection.asked();
    let snapshot = desk.snapshot();
    match desk.answer(&snapshot, (client, Transport::Https), &query, success) {
        Some(reply) => reply,
        None => refusal(StatusCode::BAD_REQUEST),
    }
}

fn success(message: &[u8]) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::copy_from_slice(message)));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let lifetime = HeaderValue::try_from(format!("max-age={}", records::lifetime(message)));
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
async fn query<B>(path: &str, request: Request<B>) -> Result<Vec<u8>, StatusCode>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    if request.uri().path() != path {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => from_url(request.uri().query().unwrap_or_default()).ok_or(StatusCode::BAD_REQUEST),
        Method::POST => {
            if !has_media_type(request.headers().get(CONTENT_TYPE)) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            match Limited::new(request.into_body(), MESSAGE_MAX).collect().await {
                Ok(body) => Ok(body.to_bytes().into()),
                Err(error) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
                Err(_) => Err(StatusCode::BAD_REQUEST),
            }
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
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
        query("/dns-query", request).await.map_err(|status| status.as_u16())
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
