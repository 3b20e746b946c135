//! Targets that misbehave at each step of what is spoken with them: a connection, TLS, HTTP/2, gRPC, DNS over TCP. Each probe
//! ends in bounded time, and says why.
//!
//! A target is a script: what it waits for, what it sends, and how it leaves. Frames are those of RFC 9113 6, by hand: a library
//! would refuse to send most of what is sent here.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::harness::Site;
use super::{Claim, claim, hold};

/// The time limit of each probe.
const LIMIT: Duration = Duration::from_millis(1500);

#[derive(Clone)]
enum Step {
    /// Waits for so many octets.
    Read(usize),
    /// Waits for the client's preface, and frames up to its request.
    Request,
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this again and again, at once or in time.
    Repeat(Vec<u8>, Duration),
    /// Says no more until the client goes.
    Hold,
}

use Step::{Hold, Read as Get, Repeat, Request, Send};

/// How it leaves.
#[derive(Clone, Copy, PartialEq)]
enum Leave {
    /// With a reset (RST).
    Reset,
    /// In good order (FIN).
    Close,
}

use Leave::{Close, Reset};

/// Plays the script to everyone who comes, for as long as the process lives; with `tls` after a handshake.
fn target(script: Vec<Step>, leave: Leave, tls: Option<&Arc<ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (at, tls) = (listener.local_addr().expect("an address"), tls.cloned());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (script, tls) = (script.clone(), tls.clone());
            std::thread::spawn(move || {
                let socket = stream.try_clone().expect("another handle");
                if leave == Reset {
                    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("option");
                }
                match tls {
                    Some(config) => {
                        let mut stream = StreamOwned::new(ServerConnection::new(config).expect("a connection"), stream);
                        let _how_far = play(&mut stream, &script);
                        finish(&socket, leave);
                    }
                    None => {
                        let _how_far = play(&mut { stream }, &script);
                        finish(&socket, leave);
                    }
                }
            });
        }
    });
    at
}

/// What the client has sent is read first where it is to end in good order: the system would reset otherwise.
fn finish(mut socket: &TcpStream, leave: Leave) {
    if leave == Close {
        drop(socket.shutdown(std::net::Shutdown::Write));
        while socket.read(&mut [0; 4096]).is_ok_and(|octets| octets > 0) {}
    }
}

fn play(stream: &mut (impl Read + Write), script: &[Step]) -> std::io::Result<()> {
    for step in script {
        match step {
            Get(octets) => stream.read_exact(&mut vec![0; *octets])?,
            Request => request(stream)?,
            Send(octets) => stream.write_all(octets).and_then(|()| stream.flush())?,
            Repeat(octets, pause) => loop {
                stream.write_all(octets)?;
                stream.flush()?;
                std::thread::sleep(*pause);
            },
            Hold => while stream.read(&mut [0; 4096])? > 0 {},
        }
    }
    Ok(())
}

/// The preface, and frames up to HEADERS.
fn request(stream: &mut impl Read) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize])?;
        if head[3] == HEADERS {
            return Ok(());
        }
    }
}

// -------- frames

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, b"")
}

/// A header that is told in full (RFC 7541 6.2.2), both texts short.
fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// `:status 200`, and these.
fn ok(more: &[(&str, &str)]) -> Vec<u8> {
    let more = more.iter().flat_map(|(name, value)| literal(name, value));
    std::iter::once(0x88).chain(more).collect()
}

fn headers(flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, 1, block)
}

fn data(flags: u8, octets: &[u8]) -> Vec<u8> {
    frame(DATA, flags, 1, octets)
}

/// NO_ERROR, and that no request was or will be looked at.
fn goaway() -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0; 8])
}

/// `CANCEL`.
fn reset_stream() -> Vec<u8> {
    frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])
}

const AT_ONCE: Duration = Duration::ZERO;
const SLOWLY: Duration = Duration::from_millis(50);

/// A body that does not end.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(bytes::Bytes::from_static(&[b'x'; 4096])))))
    }
}

/// A server that keeps to HTTP/2 in every way, flow control too, and whose answers do not end.
fn endless_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let at = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("option");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let answer = |_| async { hyper::Response::builder().header("content-type", "application/grpc").body(Endless) };
                let service = hyper::service::service_fn(answer);
                let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
                let io = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(async move { drop(builder.serve_connection(io, service).await) });
            }
        });
    });
    at
}

// -------- claims

/// A target, the verdict on it, and words of the reason.
struct Case {
    claim: Claim,
    words: &'static str,
}

/// Serves the claims; every verdict is as wanted, by a probe that took no longer than it may, for the reason that is wanted.
fn all_hold(site: &Site, cases: Vec<Case>) {
    let (claims, words): (Vec<Claim>, Vec<&str>) = cases.into_iter().map(|case| (case.claim, case.words)).unzip();
    let server = hold(site, &claims, &[]);
    let checks = server.get_json("/api/v1/checks");
    for (claim, words) in claims.iter().zip(words) {
        let is_its = |check: &&serde_json::Value| check["target"].as_str() == Some(&claim.target.to_string());
        let check = checks["checks"].as_array().into_iter().flatten().find(is_its).expect("it is there");
        let detail = check["last"]["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{}: {detail:?} and not {words:?}", claim.name);
        let took = check["last"]["elapsed_seconds"].as_f64().expect("a number");
        assert!(took < 2.0 * LIMIT.as_secs_f64(), "{}: {took} s", claim.name);
    }
}

fn case(name: &'static str, definition: &str, at: SocketAddr, verdict: &'static str, words: &'static str) -> Case {
    let definition = format!("{definition}; timeout = \"{}ms\"; retry_interval = \"30s\"", LIMIT.as_millis());
    Case { claim: claim(name, &definition, at, verdict), words }
}

/// A server's side of TLS, which speaks HTTP/2, for `www.example.test`.
fn tls() -> Arc<ServerConfig> {
    let own = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["www.example.test".to_owned()]).expect("parameters");
    let certificate = params.self_signed(&own).expect("signed");
    let key = PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A gRPC service that ends the connection in the middle of its answer.
pub(super) fn breaks_off() -> SocketAddr {
    let answer = [headers(END_HEADERS, &ok(&[("content-type", "application/grpc")])), data(0, b"\0\0\0")].concat();
    target(vec![Send(settings()), Request, Send(answer)], Close, None)
}

#[test]
fn http2_at_each_step() {
    let (site, tls) = (Site::new(), tls());
    let clear = "kind = \"http\"; http = \"2\"; contains = \"healthy\"";
    let secure = "kind = \"https\"; http = \"2\"; verify = false; contains = \"healthy\"";
    let whole = [headers(END_HEADERS, &ok(&[])), data(END_STREAM, b"healthy")].concat();
    let long = |length| headers(END_HEADERS, &ok(&[("content-length", length)]));
    let at = |script: &[Step], leave| target(script.to_vec(), leave, None);
    let over = |script: &[Step], leave| target(script.to_vec(), leave, Some(&tls));
    let asked = |more: &[Step]| [&[Send(settings()), Request][..], more].concat();
    let filler = vec![b'x'; 16384];
    let closed = "connection closed early";
    let late = "no answer within the time limit";
    let cases = vec![
        case("good", clear, at(&asked(&[Send(whole.clone()), Hold]), Close), "up", ""),
        case("good-tls", secure, over(&asked(&[Send(whole), Hold]), Close), "up", ""),
        // A reset at each step, and an end in good order.
        case("rst-accept", clear, at(&[], Reset), "down closed", closed),
        case("fin-accept", clear, at(&[], Close), "down closed", closed),
        case("rst-hello", secure, at(&[Get(1)], Reset), "down closed", closed),
        case("rst-tls", secure, over(&[Get(24)], Reset), "down closed", closed),
        case("rst-settings", clear, at(&[Send(settings()), Get(24)], Reset), "down closed", closed),
        case("rst-request", clear, at(&asked(&[]), Reset), "down closed", closed),
        case("fin-request", clear, at(&asked(&[]), Close), "down closed", closed),
        case("rst-headers", clear, at(&asked(&[Send(headers(0, &ok(&[])))]), Reset), "down closed", closed),
        case("rst-frame", clear, at(&asked(&[Send(headers(END_HEADERS, &ok(&[]))[..8].to_vec())]), Reset), "down closed", closed),
        case("rst-body", clear, at(&asked(&[Send([long("9"), data(0, b"he")].concat())]), Reset), "down closed", closed),
        case("fin-body", clear, at(&asked(&[Send([long("9"), data(0, b"he")].concat())]), Close), "down closed", closed),
        case("rst-body-tls", secure, over(&asked(&[Send([long("9"), data(0, b"he")].concat())]), Reset), "down closed", closed),
        // The protocol's own ways to stop.
        case("goaway", clear, at(&asked(&[Send(goaway()), Hold]), Close), "down protocol", "HTTP/2 GOAWAY with NO_ERROR"),
        case("goaway-close", clear, at(&asked(&[Send(goaway())]), Close), "down protocol", "HTTP/2 GOAWAY with NO_ERROR"),
        case(
            "stream-request",
            clear,
            at(&asked(&[Send(reset_stream()), Hold]), Close),
            "down protocol",
            "HTTP/2 RST_STREAM with CANCEL",
        ),
        case(
            "stream-body",
            clear,
            at(&asked(&[Send([long("9"), data(0, b"he"), reset_stream()].concat()), Hold]), Close),
            "down protocol",
            "HTTP/2 RST_STREAM with CANCEL",
        ),
        // Silence, and what comes too slowly.
        case("silent-settings", clear, at(&[Send(settings()), Hold], Close), "down timeout", late),
        case("silent-request", clear, at(&asked(&[Hold]), Close), "down timeout", late),
        case("silent-headers", clear, at(&asked(&[Send(headers(0, &ok(&[]))), Hold]), Close), "down timeout", late),
        case(
            "slow-headers",
            clear,
            at(&asked(&[Send(headers(0, &[0; 100])[..9].to_vec()), Repeat(vec![0x88], SLOWLY)]), Close),
            "down timeout",
            late,
        ),
        case("slow-pings", clear, at(&asked(&[Repeat(frame(PING, 0, 0, &[0; 8]), SLOWLY)]), Close), "down timeout", late),
        case(
            "slow-body",
            clear,
            at(&asked(&[Send(headers(END_HEADERS, &ok(&[]))), Repeat(data(0, b"x"), SLOWLY)]), Close),
            "down timeout",
            late,
        ),
        // What does not end.
        case(
            "many-continuations",
            clear,
            at(&asked(&[Send(headers(0, &ok(&[]))), Repeat(frame(CONTINUATION, 0, 1, &literal("a", "b")), AT_ONCE)]), Close),
            "down protocol",
            "HTTP/2 ENHANCE_YOUR_CALM",
        ),
        case(
            "endless-headers",
            clear,
            at(&asked(&[Send(headers(0, &ok(&[]))), Repeat(frame(CONTINUATION, 0, 1, &[0; 16384]), AT_ONCE)]), Close),
            "down protocol",
            "HTTP/2 ENHANCE_YOUR_CALM",
        ),
        case(
            "endless-body",
            clear,
            at(&asked(&[Send(headers(END_HEADERS, &ok(&[]))), Repeat(data(0, &filler), AT_ONCE)]), Close),
            "down protocol",
            "HTTP/2 FLOW_CONTROL_ERROR",
        ),
        case(
            "endless-empty",
            clear,
            at(&asked(&[Send(headers(END_HEADERS, &ok(&[]))), Repeat(data(0, b""), AT_ONCE)]), Close),
            "down protocol",
            "HTTP/2 ENHANCE_YOUR_CALM",
        ),
        case(
            "endless-informational",
            clear,
            at(&asked(&[Repeat(headers(END_HEADERS, &[8, 3, b'1', b'0', b'3']), AT_ONCE)]), Close),
            "down timeout",
            late,
        ),
        case("endless-sound", clear, endless_server(), "down body", "lacks the expected text"),
        // What contradicts itself.
        case(
            "short",
            clear,
            at(&asked(&[Send([long("9"), data(END_STREAM, b"healthy")].concat()), Hold]), Close),
            "down protocol",
            "HTTP/2 PROTOCOL_ERROR",
        ),
        case(
            "long",
            clear,
            at(&asked(&[Send([long("3"), data(END_STREAM, b"healthy")].concat()), Hold]), Close),
            "down protocol",
            "HTTP/2 PROTOCOL_ERROR",
        ),
        case(
            "no-status",
            clear,
            at(&asked(&[Send(headers(END_HEADERS | END_STREAM, &literal("a", "b"))), Hold]), Close),
            "down protocol",
            "HTTP/2 PROTOCOL_ERROR",
        ),
        case(
            "bad-hpack",
            clear,
            at(&asked(&[Send(headers(END_HEADERS | END_STREAM, &[0xFF; 9])), Hold]), Close),
            "down protocol",
            "HTTP/2 ",
        ),
        case(
            "huge-frame",
            clear,
            at(&asked(&[Send(vec![0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1]), Hold]), Close),
            "down protocol",
            "HTTP/2 FRAME_SIZE_ERROR",
        ),
        case(
            "http1",
            clear,
            at(&[Get(24), Send(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nhealthy".to_vec()), Hold], Close),
            "down protocol",
            "HTTP/2 ",
        ),
    ];
    all_hold(&site, cases);
}

#[test]
fn grpc_at_each_step() {
    let (site, tls) = (Site::new(), tls());
    let clear = "kind = \"grpc\"";
    let secure = "kind = \"grpc\"; tls = true; verify = false";
    let grpc = |flags| headers(flags, &ok(&[("content-type", "application/grpc")]));
    let trailers = |status| headers(END_HEADERS | END_STREAM, &literal("grpc-status", status));
    let serving = b"\0\0\0\0\x02\x08\x01";
    let whole = [grpc(END_HEADERS), data(0, serving), trailers("0")].concat();
    let at = |script: &[Step], leave| target(script.to_vec(), leave, None);
    let over = |script: &[Step], leave| target(script.to_vec(), leave, Some(&tls));
    let asked = |more: &[Step]| [&[Send(settings()), Request][..], more].concat();
    let half = || Send([grpc(END_HEADERS), data(0, &serving[..3])].concat());
    let (closed, late) = ("connection closed early", "no answer within the time limit");
    let cases = vec![
        case("good", clear, at(&asked(&[Send(whole.clone()), Hold]), Close), "up", ""),
        case("good-tls", secure, over(&asked(&[Send(whole), Hold]), Close), "up", ""),
        case("rst-accept", clear, at(&[], Reset), "down closed", closed),
        case("rst-hello", secure, at(&[Get(1)], Reset), "down closed", closed),
        case("rst-tls", secure, over(&[Get(24)], Reset), "down closed", closed),
        case("rst-settings", clear, at(&[Send(settings()), Get(24)], Reset), "down closed", closed),
        case("rst-request", clear, at(&asked(&[]), Reset), "down closed", closed),
        case("fin-request", clear, at(&asked(&[]), Close), "down closed", closed),
        case("rst-headers", clear, at(&asked(&[Send(grpc(0))]), Reset), "down closed", closed),
        case("rst-body", clear, at(&asked(&[half()]), Reset), "down closed", closed),
        case(
            "rst-trailers",
            clear,
            at(&asked(&[Send([grpc(END_HEADERS), data(0, serving)].concat())]), Reset),
            "down closed",
            closed,
        ),
        case("goaway", clear, at(&asked(&[Send(goaway()), Hold]), Close), "down protocol", "HTTP/2 GOAWAY with NO_ERROR"),
        case(
            "stream-request",
            clear,
            at(&asked(&[Send(reset_stream()), Hold]), Close),
            "down protocol",
            "HTTP/2 RST_STREAM with CANCEL",
        ),
        case(
            "stream-body",
            clear,
            at(&asked(&[half(), Send(reset_stream()), Hold]), Close),
            "down protocol",
            "HTTP/2 RST_STREAM with CANCEL",
        ),
        case("silent-headers", clear, at(&asked(&[Send(grpc(0)), Hold]), Close), "down timeout", late),
        case(
            "silent-trailers",
            clear,
            at(&asked(&[Send([grpc(END_HEADERS), data(0, serving)].concat()), Hold]), Close),
            "down timeout",
            late,
        ),
        case(
            "slow-headers",
            clear,
            at(&asked(&[Send(headers(0, &[0; 100])[..9].to_vec()), Repeat(vec![0x88], SLOWLY)]), Close),
            "down timeout",
            late,
        ),
        case(
            "slow-body",
            clear,
            at(&asked(&[Send(grpc(END_HEADERS)), Repeat(data(0, b"x"), SLOWLY)]), Close),
            "down timeout",
            late,
        ),
        case(
            "endless-headers",
            clear,
            at(&asked(&[Send(grpc(0)), Repeat(frame(CONTINUATION, 0, 1, &[0; 16384]), AT_ONCE)]), Close),
            "down protocol",
            "HTTP/2 ENHANCE_YOUR_CALM",
        ),
        case(
            "endless-body",
            clear,
            at(&asked(&[Send(grpc(END_HEADERS)), Repeat(data(0, &[0; 16384]), AT_ONCE)]), Close),
            "down protocol",
            "the answer is too long",
        ),
        case(
            "endless-trailers",
            clear,
            at(
                &asked(&[
                    Send([grpc(END_HEADERS), data(0, serving), headers(END_STREAM, &literal("grpc-status", "0"))].concat()),
                    Repeat(frame(CONTINUATION, 0, 1, &[0; 16384]), AT_ONCE),
                ]),
                Close,
            ),
            "down protocol",
            "HTTP/2 ENHANCE_YOUR_CALM",
        ),
        case("endless-sound", clear, endless_server(), "down protocol", "the answer is too long"),
        case(
            "no-trailers",
            clear,
            at(&asked(&[Send([grpc(END_HEADERS), data(END_STREAM, serving)].concat()), Hold]), Close),
            "down protocol",
            "no grpc-status",
        ),
        case(
            "bad-trailers",
            clear,
            at(&asked(&[Send([grpc(END_HEADERS), data(0, serving), trailers("zero")].concat()), Hold]), Close),
            "down protocol",
            "a bad grpc-status",
        ),
        case(
            "unavailable",
            clear,
            at(&asked(&[Send([grpc(END_HEADERS), trailers("14")].concat()), Hold]), Close),
            "down grpc",
            "status 14 UNAVAILABLE",
        ),
        case(
            "short",
            clear,
            at(&asked(&[Send([grpc(END_HEADERS), data(0, &serving[..6]), trailers("0")].concat()), Hold]), Close),
            "down protocol",
            "no answer of the health service",
        ),
        case(
            "long",
            clear,
            at(
                &asked(&[Send([grpc(END_HEADERS), data(0, &[&serving[..], b"x"].concat()), trailers("0")].concat()), Hold]),
                Close,
            ),
            "down protocol",
            "no answer of the health service",
        ),
        case(
            "wrong-length",
            clear,
            at(
                &asked(&[
                    Send(
                        [
                            headers(END_HEADERS, &ok(&[("content-type", "application/grpc"), ("content-length", "3")])),
                            data(0, serving),
                            trailers("0"),
                        ]
                        .concat(),
                    ),
                    Hold,
                ]),
                Close,
            ),
            "down protocol",
            "HTTP/2 PROTOCOL_ERROR",
        ),
    ];
    all_hold(&site, cases);
}

#[test]
fn tls_at_each_step() {
    let site = Site::new();
    let definition = "kind = \"tls\"; verify = false";
    let at = |script: &[Step], leave| target(script.to_vec(), leave, None);
    // A handshake record that promises a message of 16 MiB.
    let endless = [&[22, 3, 3, 0x40, 0, 2, 0xFF, 0xFF, 0xFF][..], &[0; 16380]].concat();
    let more = [&[22, 3, 3, 0x40, 0][..], &[0; 16384]].concat();
    let (closed, late) = ("connection closed early", "no answer within the time limit");
    let cases = vec![
        case("rst-accept", definition, at(&[], Reset), "down closed", closed),
        case("fin-accept", definition, at(&[], Close), "down closed", closed),
        case("rst-hello", definition, at(&[Get(64)], Reset), "down closed", closed),
        case("fin-hello", definition, at(&[Get(64)], Close), "down closed", closed),
        case("rst-record", definition, at(&[Get(64), Send(vec![22, 3, 3, 0, 80, 2])], Reset), "down closed", closed),
        case("fin-record", definition, at(&[Get(64), Send(vec![22, 3, 3, 0, 80, 2])], Close), "down closed", closed),
        case("silent-record", definition, at(&[Get(64), Send(vec![22, 3, 3, 0, 80, 2]), Hold], Close), "down timeout", late),
        case(
            "slow-record",
            definition,
            at(&[Get(64), Send(vec![22, 3, 3, 0x40, 0]), Repeat(vec![2], SLOWLY)], Close),
            "down timeout",
            late,
        ),
        case("alert", definition, at(&[Get(64), Send(vec![21, 3, 3, 0, 2, 2, 40]), Hold], Close), "down tls", "HandshakeFailure"),
        case(
            "clear-text",
            definition,
            at(&[Get(64), Send(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), Hold], Close),
            "down tls",
            "",
        ),
        case("endless", definition, at(&[Get(64), Send(endless), Repeat(more, AT_ONCE)], Close), "down tls", ""),
    ];
    all_hold(&site, cases);
}

#[test]
fn dns_over_tcp_at_each_step() {
    let site = Site::new();
    let definition = "kind = \"dns\"; name = \"x.test\"; transport = \"tcp\"";
    let at = |script: &[Step], leave| target(script.to_vec(), leave, None);
    let (closed, late) = ("connection closed early", "no answer within the time limit");
    let cases = vec![
        case("rst-accept", definition, at(&[], Reset), "down closed", closed),
        case("fin-accept", definition, at(&[], Close), "down closed", closed),
        case("rst-query", definition, at(&[Get(2)], Reset), "down closed", closed),
        case("fin-length", definition, at(&[Get(2), Send(vec![1])], Close), "down closed", closed),
        case("rst-reply", definition, at(&[Get(2), Send(vec![0, 12, 1, 2])], Reset), "down closed", closed),
        case("fin-reply", definition, at(&[Get(2), Send(vec![0, 12, 1, 2])], Close), "down closed", closed),
        case("silent-reply", definition, at(&[Get(2), Send(vec![0, 12, 1, 2]), Hold], Close), "down timeout", late),
        case(
            "slow-reply",
            definition,
            at(&[Get(2), Send(vec![0xFF, 0xFF]), Repeat(vec![0], SLOWLY)], Close),
            "down timeout",
            late,
        ),
        case("short-reply", definition, at(&[Get(2), Send(vec![0, 1, 0]), Hold], Close), "down protocol", ""),
        case("garbage", definition, at(&[Get(2), Repeat(vec![0xFF; 4096], AT_ONCE)], Close), "down protocol", ""),
        case(
            "another",
            definition,
            at(&[Get(2), Send([&[0, 12][..], &[0, 0, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()), Hold], Close),
            "down protocol",
            "another question",
        ),
    ];
    all_hold(&site, cases);
}
