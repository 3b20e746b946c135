//! The gRPC check: the health service says that it is serving (`grpc.health.v1.Health/Check`).
//!
//! The two messages of that service are a string and a number, and are put together and taken apart here: no code is
//! generated for them. A call is an HTTP/2 request whose verdict on itself, `grpc-status`, comes after the body.
//!
//! Never here: the time limit, compression, the service's `Watch`.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use url::Host;

use super::errors::Unmet;
use super::http::{driven, network};
use super::{http2, tcp, tls};
use crate::target::{CheckSpec, Codes, Failure, GrpcCheck};

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// Octets of an answer: a few are due.
const ANSWER_MAX: usize = 1024;
/// The number of "serving" in a `HealthCheckResponse`.
const SERVING: u64 = 1;
/// The names of `grpc-status`, by number.
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Calls the health service of `to`.
pub(super) async fn probe(spec: &CheckSpec, to: SocketAddr, check: &GrpcCheck, tls: &TlsConnector) -> Result<(), Unmet> {
    let stream = tcp::connect(spec.source, to).await?;
    let Some(handshake) = &check.tls else { return call(stream, &request("http", to, check)?).await };
    let name = handshake.sni.as_deref().or(check.host.as_deref());
    let stream = tls::wrap(tls, &name.map_or_else(|| tls::host_of(to.ip()), Host::Domain), stream).await?;
    if !stream.speaks_http2() {
        return Err(Failure::Protocol("HTTP/2 is not spoken there".into()).into());
    }
    call(stream, &request("https", to, check)?).await
}

fn request(scheme: &str, to: SocketAddr, check: &GrpcCheck) -> Result<Request<Bytes>, Failure> {
    let authority = check.host.as_ref().map_or_else(|| to.to_string(), |host| format!("{host}:{}", to.port()));
    Request::builder()
        .method(Method::POST)
        .version(http::Version::HTTP_2)
        .uri(format!("{scheme}://{authority}{METHOD}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, "leeward")
        .body(question(&check.service).into())
        .map_err(|error| Failure::Protocol(format!("cannot ask: {error}").into()))
}

async fn call<S>(stream: S, request: &Request<Bytes>) -> Result<(), Unmet>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tasks = http2::Tasks::default();
    let (mut sender, connection) = tasks.handshake(stream).await.map_err(|error| network(&error))?;
    let request = request.clone().map(Full::new);
    driven(connection, async {
        let answer = sender.send_request(request).await.map_err(|error| network(&error))?;
        judge(answer).await
    })
    .await
}

async fn judge(answer: Response<Incoming>) -> Result<(), Unmet> {
    let got = answer.status().as_u16();
    if got != 200 {
        return Err(Failure::Status { got, wanted: Codes::only(200) }.into());
    }
    if !answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Err(Failure::Protocol("the answer's Content-Type is not gRPC".into()).into());
    }
    // Where there is no body, the verdict is among the headers.
    let mut verdict = answer.headers().clone();
    let (mut incoming, mut octets) = (answer.into_body(), Vec::new());
    while let Some(frame) = incoming.frame().await {
        match frame.map_err(|error| network(&error))?.into_data() {
            Ok(data) if octets.len() + data.len() > ANSWER_MAX => {
                return Err(Failure::Protocol("the answer is too long".into()).into());
            }
            Ok(data) => octets.extend_from_slice(&data),
            Err(frame) => verdict.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    succeeded(&verdict)?;
    match status(&octets) {
        Some(SERVING) => Ok(()),
        Some(2) => Err(Failure::Grpc("the service is NOT_SERVING".into()).into()),
        Some(3) => Err(Failure::Grpc("the service is unknown there".into()).into()),
        Some(_) => Err(Failure::Grpc("the service's status is UNKNOWN".into()).into()),
        None => Err(Failure::Protocol("no answer of the health service".into()).into()),
    }
}

/// What the call says of itself.
fn succeeded(verdict: &HeaderMap) -> Result<(), Failure> {
    let Some(status) = verdict.get("grpc-status") else { return Err(Failure::Protocol("no grpc-status".into())) };
    let number = status.to_str().ok().and_then(|status| status.parse::<usize>().ok());
    match number {
        Some(0) => Ok(()),
        Some(number) => {
            let name = STATUSES.get(number).copied().unwrap_or("?");
            Err(Failure::Grpc(format!("status {number} {name}").into()))
        }
        None => Err(Failure::Protocol("a bad grpc-status".into())),
    }
}

/// A `HealthCheckRequest` with its frame: field 1 is the service.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 3);
    if !service.is_empty() {
        message.push(0x0A);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0]; // not compressed
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

/// Field 1 of a `HealthCheckResponse` with its frame; 0 where it is left out, as protobuf does with zeros.
fn status(framed: &[u8]) -> Option<u64> {
    let (head, message) = framed.split_first_chunk::<5>()?;
    let [0, length @ ..] = *head else { return None };
    let (mut message, []) = message.split_at_checked(u32::from_be_bytes(length) as usize)? else { return None };
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                status = if tag >> 3 == 1 { value } else { status };
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn put_varint(into: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&octet, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(octet & 0x7F) << shift;
        if octet < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_those_of_the_schema() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("ab"), b"\0\0\0\0\x04\x0A\x02ab");
        assert_eq!(question(&"x".repeat(300))[..9], *b"\0\0\0\x01\x2F\x0A\xAC\x02x");
        assert_eq!(status(b"\0\0\0\0\x02\x08\x01"), Some(SERVING));
        assert_eq!(status(b"\0\0\0\0\x02\x08\x02"), Some(2));
        assert_eq!(status(b"\0\0\0\0\0"), Some(0), "left out");
        assert_eq!(status(b"\0\0\0\0\x05\x12\x01x\x08\x01"), Some(SERVING), "another field first");
        for bad in [&b""[..], b"\0\0\0\0\x02\x08", b"\x01\0\0\0\x02\x08\x01", b"\0\0\0\0\x02\x08\x81", b"\0\0\0\0\x02\x08\x01\0"]
        {
            assert_eq!(status(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(octets in prop::collection::vec(any::<u8>(), 0..40), length in 0u8..40) {
            let framed: Vec<u8> = [0, 0, 0, 0, length].into_iter().chain(octets).collect();
            let _ = status(&framed);
        }
    }
}
