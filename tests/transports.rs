//! Five transports, one answer; and what bounds each of them: caps, eviction, idle time, proxies, certificates.

#![allow(clippy::disallowed_methods, reason = "tests measure")]

mod harness;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use harness::{
    Answer, Leeward, Nginx, PATIENCE, Program, Site, ask, command, free_port, has, leeward, own_address, query, said, wait_for,
};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use leeward::wire::{ClientSubnet, RecordType};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

const HEAD: &str = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n";

// -------- a site with every transport

fn zone() -> String {
    let strings = |count: usize| (0..count).map(|n| format!(" \"{:0>250}\"", n)).collect::<String>();
    let addresses: String = (1..=60).map(|n| format!("many A 192.0.2.{n}\n")).collect();
    format!(
        "{HEAD}www A 192.0.2.1\nwww AAAA 2001:db8::1\nalias CNAME www\nfar CNAME www.elsewhere.example.\nloop CNAME pool\n\
         pool CNAME loop\nsub NS ns.sub\nns.sub A 192.0.2.5\n*.wild TXT \"any\"\nmail MX 10 www\nbig TXT{}\nhuge TXT{}\n\
         {addresses}odd TYPE999 \\# 2 ABCD\nempty.non.terminal A 192.0.2.9\n\
         one LUA A \"'192.0.2.7'\"\nhashed LUA TXT \"pickhashed({{'a', 'b', 'c', 'd', 'e', 'f', 'g'}})\"\n\
         who LUA TXT \"who:toStringWithPort() .. ' asks ' .. localwho:toStringWithPort()\"\n",
        strings(8),
        strings(150)
    )
}

/// A certificate for `localhost`, and its key, as PEM.
fn certificate() -> (String, String, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem(), made.cert.der().clone())
}

const TLS: &str = "[server.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n\
    dot = [\"127.0.0.1:0\"]\ndoh = [\"127.0.0.1:0\"]\ndoq = [\"127.0.0.1:0\"]\n";

/// A server and where it listens.
struct Five {
    site: Site,
    server: Leeward,
    root: CertificateDer<'static>,
    dot: SocketAddr,
    doh: SocketAddr,
    doq: SocketAddr,
}

impl Five {
    /// With these settings in `[server]`.
    fn start(settings: &str) -> Self {
        let site = Site::new();
        let (cert, key, root) = certificate();
        site.write("cert.pem", &cert);
        site.write("key.pem", &key);
        site.write("f.test.zone", &zone());
        let listen = "[server]\nlisten = [\"127.0.0.1:0\"]\nudp_threads = 2\n";
        let server = Leeward::start(&site.config(&["f.test"], &format!("{listen}{settings}{TLS}")));
        let address = |words: &str| wait_for(words, || server.log_line(words)?.rsplit(' ').next()?.parse::<SocketAddr>().ok());
        let [dot, doh, doq] = ["DoT on ", "DoH on ", "DoQ on "].map(address);
        Self { site, server, root, dot, doh, doq }
    }

    fn config(&self) -> std::path::PathBuf {
        self.site.path("leeward.toml")
    }
}

fn client_config(root: &CertificateDer<'static>, protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

// -------- streams

/// A TCP connection from an address of this host's.
fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("bound");
    socket.connect(&to.into()).expect("connected");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("option");
    stream
}

fn connect(to: SocketAddr) -> TcpStream {
    connect_from(Ipv4Addr::LOCALHOST, to)
}

fn connect_tls(root: &CertificateDer<'static>, to: SocketAddr, protocols: &[&[u8]]) -> StreamOwned<ClientConnection, TcpStream> {
    wrapped(root, connect(to), protocols)
}

fn wrapped(root: &CertificateDer<'static>, stream: TcpStream, protocols: &[&[u8]]) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(client_config(root, protocols)), name).expect("a client");
    StreamOwned::new(client, stream)
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

fn read_framed(stream: &mut impl Read) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).expect("a length");
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).expect("a message");
    message
}

fn a_query() -> Vec<u8> {
    query("www.f.test", RecordType::A, None)
}

/// Whether a query is answered on a connection; `false`: it was closed.
fn answers(stream: &mut (impl Read + Write)) -> bool {
    let mut len = [0; 2];
    if stream.write_all(&framed(&a_query())).is_err() || stream.read_exact(&mut len).is_err() {
        return false;
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).is_ok_and(|()| Answer::of(&message).data == ["192.0.2.1"])
}

/// Whether the server has closed the connection, without waiting.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("option");
    let closed = match stream.peek(&mut [0]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).expect("option");
    closed
}

// -------- the five answer alike

/// Every way to ask, of messages whose id is 0.
fn questions() -> Vec<(String, Vec<u8>)> {
    let mut questions = Vec::new();
    for (name, rtype) in [
        ("f.test", RecordType::SOA),
        ("f.test", RecordType::NS),
        ("f.test", RecordType::A),
        ("f.test", RecordType::ANY),
        ("www.f.test", RecordType::A),
        ("WwW.f.TeSt", RecordType::A),
        ("www.f.test", RecordType::AAAA),
        ("www.f.test", RecordType::TXT),
        ("www.f.test", RecordType::ANY),
        ("alias.f.test", RecordType::A),
        ("alias.f.test", RecordType::CNAME),
        ("alias.f.test", RecordType::MX),
        ("far.f.test", RecordType::A),
        ("loop.f.test", RecordType::A),
        ("host.sub.f.test", RecordType::A),
        ("sub.f.test", RecordType::NS),
        ("sub.f.test", RecordType::DS),
        ("ns.sub.f.test", RecordType::A),
        ("no.f.test", RecordType::A),
        ("no.f.test", RecordType::ANY),
        ("x.wild.f.test", RecordType::TXT),
        ("x.y.wild.f.test", RecordType::TXT),
        ("x.wild.f.test", RecordType::A),
        ("wild.f.test", RecordType::TXT),
        ("mail.f.test", RecordType::MX),
        ("big.f.test", RecordType::TXT),
        ("huge.f.test", RecordType::TXT),
        ("many.f.test", RecordType::A),
        ("odd.f.test", RecordType(999)),
        ("non.terminal.f.test", RecordType::A),
        ("one.f.test", RecordType::A),
        ("one.f.test", RecordType::AAAA),
        ("one.f.test", RecordType::LUA),
        ("one.f.test", RecordType::ANY),
        ("hashed.f.test", RecordType::TXT),
        ("www.elsewhere.example", RecordType::A),
        (".", RecordType::NS),
        ("f.test", RecordType(252)),
        ("f.test", RecordType(251)),
        ("www.f.test", RecordType(41)),
    ] {
        let mut message = query(name, rtype, None);
        message[..2].fill(0);
        questions.push((format!("{name} {rtype}"), message));
    }
    let subnet = ClientSubnet { network: [10, 0, 0, 1].into(), source: 32 };
    let mut with_subnet = query("hashed.f.test", RecordType::TXT, Some(subnet));
    with_subnet[..2].fill(0);
    questions.push(("hashed with a client subnet".into(), with_subnet));
    let plain = bare(&questions[4].1);
    let changed = |what: &str, at: usize, to: &[u8]| {
        let mut message = plain.clone();
        message[at..at + to.len()].copy_from_slice(to);
        (what.to_owned(), message)
    };
    let with = |what: &str, opt: &[u8]| {
        let mut message = plain.clone();
        message[10..12].copy_from_slice(&[0, 1]);
        message.extend(opt);
        (what.to_owned(), message)
    };
    let class = plain.len() - 1;
    questions.extend([
        ("no EDNS".into(), plain.clone()),
        changed("RD and CD", 2, &[0x01, 0x10]),
        changed("AD", 3, &[0x20]),
        changed("opcode IQUERY", 2, &[0x08]),
        changed("opcode NOTIFY", 2, &[0x20]),
        changed("opcode UPDATE", 2, &[0x28]),
        changed("opcode 15", 2, &[0x78]),
        changed("no question", 4, &[0, 0]),
        changed("two questions", 4, &[0, 2]),
        changed("an answer that is not there", 6, &[0, 1]),
        changed("class CH", class, &[3]),
        changed("class ANY", class, &[255]),
        changed("a pointer to itself", 12, &[0xC0, 12]),
        changed("a label of 64", 12, &[64]),
        ("cut".into(), plain[..plain.len() - 3].to_vec()),
        ("a header alone".into(), plain[..12].to_vec()),
        ("octets behind".into(), [&plain[..], &[1, 2, 3]].concat()),
        with("EDNS, small payload", &[0, 0, 41, 0, 1, 0, 0, 0, 0, 0, 0]),
        with("EDNS, DO", &[0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]),
        with("EDNS version 1", &[0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0]),
        with("EDNS, an option that nobody knows", &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0xFD, 0xE9, 0, 2, 1, 2]),
        with("EDNS, an option that is cut", &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 10, 0, 9]),
        with("EDNS, a subnet that is wrong", &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 8, 0, 8, 0, 4, 0, 1, 99, 0]),
        with("EDNS at a name", &[1, b'x', 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]),
    ]);
    questions
}

/// A query without its OPT record.
fn bare(message: &[u8]) -> Vec<u8> {
    let end = 12 + message[12..].iter().position(|&octet| octet == 0).expect("a root") + 5;
    let mut bare = message[..end].to_vec();
    bare[10..12].fill(0);
    bare
}

/// A reply without what depends on the transport: keepalive (11) and padding (12) in its OPT record.
fn comparable(reply: &[u8]) -> Vec<u8> {
    let Some(message) = hickory_proto::op::Message::from_vec(reply).ok().filter(|message| message.edns.is_some()) else {
        return reply.to_vec();
    };
    assert_eq!(message.additionals.len(), usize::from(u16::from_be_bytes([reply[10], reply[11]])) - 1);
    // OPT is the last record: root, type 41.
    let head = (12..reply.len() - 10).rev().find(|&at| {
        let len = usize::from(u16::from_be_bytes([reply[at + 9], reply[at + 10]]));
        reply[at..at + 3] == [0, 0, 41] && at + 11 + len == reply.len()
    });
    let at = head.expect("an OPT record at the end");
    let mut kept = Vec::new();
    let mut rest = &reply[at + 11..];
    while let Some((head, data)) = rest.split_first_chunk::<4>() {
        let (code, len) = (u16::from_be_bytes([head[0], head[1]]), usize::from(u16::from_be_bytes([head[2], head[3]])));
        if code != 11 && code != 12 {
            kept.extend(&rest[..4 + len]);
        }
        rest = &data[len..];
    }
    [&reply[..at + 9], &(kept.len() as u16).to_be_bytes(), &kept].concat()
}

fn udp_reply(server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("option");
    socket.connect(server).expect("connected");
    socket.send(message).expect("sent");
    let mut reply = vec![0; 65535];
    let len = socket.recv(&mut reply).expect("a reply");
    reply.truncate(len);
    reply
}

/// All questions in one write.
fn stream_replies(stream: &mut (impl Read + Write), questions: &[(String, Vec<u8>)]) -> Vec<Vec<u8>> {
    let all: Vec<u8> = questions.iter().flat_map(|(_, message)| framed(message)).collect();
    stream.write_all(&all).expect("sent");
    questions.iter().map(|_| read_framed(stream)).collect()
}

#[derive(Clone, Copy)]
enum Method {
    Get,
    Post,
}

fn http_request(server: SocketAddr, method: Method, message: &[u8]) -> Request<Full<Bytes>> {
    let encoded = data_encoding::BASE64URL_NOPAD.encode(message);
    let request = match method {
        Method::Get => Request::get(format!("https://localhost:{}/dns-query?dns={encoded}", server.port())),
        Method::Post => Request::post(format!("https://localhost:{}/dns-query", server.port()))
            .header("content-type", "application/dns-message"),
    };
    let body = if matches!(method, Method::Get) { Bytes::new() } else { Bytes::copy_from_slice(message) };
    request.header("host", "localhost").body(Full::new(body)).expect("a request")
}

/// A client of HTTP/2 or HTTP/1.1.
enum Http {
    One(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    Two(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Http {
    async fn connect(five: &Five, protocol: &[u8]) -> Self {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(&five.root, &[protocol])));
        let stream = tokio::net::TcpStream::connect(five.doh).await.expect("connected");
        stream.set_nodelay(true).expect("option");
        let stream = connector.connect(ServerName::try_from("localhost").expect("a name"), stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        if protocol == b"h2" {
            let (send, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
            tokio::spawn(connection);
            Self::Two(send)
        } else {
            let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            Self::One(send)
        }
    }

    /// Status, `Cache-Control` and body.
    async fn call(&mut self, request: Request<Full<Bytes>>) -> (StatusCode, Option<String>, Vec<u8>) {
        let response = match self {
            Self::One(send) => {
                send.ready().await.expect("ready");
                send.send_request(request).await
            }
            Self::Two(send) => send.send_request(request).await,
        };
        let response = response.expect("a response");
        let (status, headers) = (response.status(), response.headers().clone());
        let cached = headers.get("cache-control").map(|value| value.to_str().expect("text").to_owned());
        if status == StatusCode::OK {
            assert_eq!(headers.get("content-type").map(|value| value.as_bytes()), Some(&b"application/dns-message"[..]));
        }
        (status, cached, response.into_body().collect().await.expect("a body").to_bytes().into())
    }
}

async fn quic(five: &Five) -> (quinn::Endpoint, quinn::Connection) {
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(Arc::new(client_config(&five.root, &[b"doq"]))).expect("TLS 1.3");
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("an endpoint");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let connection = endpoint.connect(five.doq, "localhost").expect("a try").await.expect("connected");
    (endpoint, connection)
}

async fn quic_reply(connection: &quinn::Connection, octets: &[u8]) -> Result<Vec<u8>, quinn::ReadToEndError> {
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    send.write_all(octets).await.expect("sent");
    send.finish().expect("finished");
    receive.read_to_end(70_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_transports_answer_alike() {
    let five = Five::start("");
    let questions = questions();
    let (dns, dot, root) = (five.server.dns, five.dot, five.root.clone());
    let asked = questions.clone();
    let [tcp, tls] = tokio::task::spawn_blocking(move || {
        [stream_replies(&mut connect(dns), &asked), stream_replies(&mut connect_tls(&root, dot, &[b"dot"]), &asked)]
    })
    .await
    .expect("no panic");
    let mut http1 = Http::connect(&five, b"http/1.1").await;
    let mut http2 = Http::connect(&five, b"h2").await;
    let (_endpoint, quic) = quic(&five).await;
    let (mut whole, mut cut) = (0, 0);
    for (at, (what, message)) in questions.iter().enumerate() {
        let expected = comparable(&tcp[at]);
        assert_eq!(tcp[at][3] & 0x0F, comparable(&tls[at])[3] & 0x0F, "{what}");
        assert_eq!(comparable(&tls[at]), expected, "DoT: {what}");
        for method in [Method::Get, Method::Post] {
            for (http, version) in [(&mut http1, "1.1"), (&mut http2, "2")] {
                if matches!(method, Method::Get) && message.len() > 4000 {
                    continue;
                }
                let (status, cached, body) = http.call(http_request(five.doh, method, message)).await;
                assert_eq!(status, StatusCode::OK, "DoH: {what}");
                assert_eq!(comparable(&body), expected, "DoH over HTTP/{version}: {what}");
                assert!(cached.is_some_and(|cached| cached.starts_with("private, max-age=")), "{what}");
            }
        }
        let reply = quic_reply(&quic, &framed(message)).await.expect("a reply");
        assert_eq!(usize::from(u16::from_be_bytes([reply[0], reply[1]])), reply.len() - 2, "DoQ: {what}");
        assert_eq!(comparable(&reply[2..]), expected, "DoQ: {what}");
        let udp = udp_reply(dns, message);
        if udp[2] & 0x02 != 0 {
            assert_eq!([udp[0], udp[1], udp[2] & !0x02, udp[3]], expected[..4], "UDP, truncated: {what}");
            cut += 1;
        } else {
            assert_eq!(comparable(&udp), expected, "UDP: {what}");
            whole += 1;
        }
    }
    println!("{} questions over five transports; over UDP {whole} whole, {cut} truncated", questions.len());
    assert!(questions.len() >= 60 && cut >= 2, "{cut}");
    for transport in ["udp", "tcp", "tls", "https", "quic"] {
        let counted = format!("leeward_queries_total{{zone=\"f.test.\",transport=\"{transport}\",rcode=\"NXDOMAIN\"}}");
        let metric = five.server.metric(&counted);
        assert!(metric.is_some_and(|count| count >= 2.0), "{counted}: {metric:?}");
    }
    for transport in ["https", "quic"] {
        let open = five.server.metric(&format!("leeward_connections{{transport=\"{transport}\"}}"));
        assert!(open >= Some(1.0), "{transport}: {open:?}");
    }
}

/// What `who.f.test` says to `client` of `server`.
fn introduced(client: SocketAddr, server: SocketAddr) -> Vec<String> {
    vec![format!("{client} asks {server}")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_see_both_ends_of_every_transport() {
    let five = Five::start("");
    let (dns, dot, doh) = (five.server.dns, five.dot, five.doh);
    let message = query("who.f.test", RecordType::TXT, None);
    let (endpoint, quic) = quic(&five).await;
    let reply = quic_reply(&quic, &framed(&message)).await.expect("a reply");
    assert_eq!(Answer::of(&reply[2..]).data, introduced(endpoint.local_addr().expect("bound"), five.doq));
    let root = five.root.clone();
    let over_streams = move || {
        let mut tcp = connect(dns);
        let mut tls = connect_tls(&root, dot, &[b"dot"]);
        let [tcp_end, tls_end] = [&tcp, tls.get_ref()].map(|stream| stream.local_addr().expect("bound"));
        let asked = [("who".to_owned(), message.clone())];
        assert_eq!(Answer::of(&stream_replies(&mut tcp, &asked)[0]).data, introduced(tcp_end, dns));
        assert_eq!(Answer::of(&stream_replies(&mut tls, &asked)[0]).data, introduced(tls_end, dot));
        let mut https = connect_tls(&root, doh, &[b"http/1.1"]);
        let encoded = data_encoding::BASE64URL_NOPAD.encode(&message);
        let request = format!("GET /dns-query?dns={encoded} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        https.write_all(request.as_bytes()).expect("sent");
        let mut response = Vec::new();
        https.read_to_end(&mut response).expect("a response");
        let body = response.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        let end = https.get_ref().local_addr().expect("bound");
        assert_eq!(Answer::of(&response[body..]).data, introduced(end, doh));
    };
    tokio::task::spawn_blocking(over_streams).await.expect("no panic");
}

/// A socket of every address learns from each datagram which one was asked.
#[test]
fn programs_see_the_address_that_a_datagram_came_to() {
    let site = Site::new();
    site.write("f.test.zone", &zone());
    let server = Leeward::start(&site.config(&["f.test"], "[server]\nlisten = [\"0.0.0.0:0\"]\nudp_threads = 1\n"));
    let asked = SocketAddr::from((own_address(), server.dns.port()));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("option");
    socket.connect(asked).expect("connected");
    socket.send(&query("who.f.test", RecordType::TXT, None)).expect("sent");
    let mut reply = [0; 512];
    let len = socket.recv(&mut reply).expect("a reply");
    assert_eq!(Answer::of(&reply[..len]).data, introduced(socket.local_addr().expect("bound"), asked));
}

/// RFC 8467 4.1: the length on the wire is a multiple of 468, if the query was padded.
#[test]
fn padded_replies_have_lengths_that_tell_little() {
    let five = Five::start("");
    let mut stream = connect_tls(&five.root, five.dot, &[b"dot"]);
    for (name, rtype) in [("www.f.test", RecordType::A), ("no.f.test", RecordType::A), ("big.f.test", RecordType::TXT)] {
        let mut padded = bare(&query(name, rtype, None));
        padded[10..12].copy_from_slice(&[0, 1]);
        padded.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 8, 0, 12, 0, 4, 0, 0, 0, 0]);
        stream.write_all(&framed(&padded)).expect("sent");
        let reply = read_framed(&mut stream);
        assert!(!reply.is_empty() && reply.len().is_multiple_of(468), "{name}: {}", reply.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_query_gets_each_transports_refusal() {
    let five = Five::start("");
    let mut response = a_query();
    response[..2].fill(0);
    response[2] |= 0x80;
    for protocol in [&b"http/1.1"[..], b"h2"] {
        let mut http = Http::connect(&five, protocol).await;
        let with = |path: &str, method: &str, media_type: &str, body: Vec<u8>| {
            let request = Request::builder().method(method).uri(format!("https://localhost{path}")).header("host", "localhost");
            request.header("content-type", media_type).body(Full::new(Bytes::from(body))).expect("a request")
        };
        let dns = "application/dns-message";
        for (path, method, media_type, body, status) in [
            ("/dns-query", "POST", dns, response.clone(), 400),
            ("/dns-query", "POST", dns, vec![1, 2, 3], 400),
            ("/dns-query", "POST", "text/html", a_query(), 415),
            ("/dns-query", "DELETE", dns, a_query(), 405),
            ("/dns-query", "GET", "", Vec::new(), 400),
            ("/dns-query?dns=AA==", "GET", "", Vec::new(), 400),
            ("/other?dns=AAAA", "GET", "", Vec::new(), 404),
            ("/dns-query", "POST", dns, a_query(), 200),
            ("/dns-query", "POST", dns, vec![0; 70_000], 413),
        ] {
            let (found, ..) = http.call(with(path, method, media_type, body)).await;
            assert_eq!(found.as_u16(), status, "{method} {path} {media_type}");
        }
        let mut http = Http::connect(&five, protocol).await;
        for (name, rtype, expected) in [
            ("www.f.test", RecordType::A, "private, max-age=5"),
            ("no.f.test", RecordType::A, "private, max-age=5"),
            ("www.elsewhere.example", RecordType::A, "private, max-age=0"),
        ] {
            let (_, cached, _) = http.call(http_request(five.doh, Method::Post, &query(name, rtype, None))).await;
            assert_eq!(cached.as_deref(), Some(expected), "{name}");
        }
    }
    let mut good = a_query();
    good[..2].fill(0);
    let mut other_id = good.clone();
    other_id[1] = 1;
    let mut keepalive = bare(&good);
    keepalive[10..12].copy_from_slice(&[0, 1]);
    keepalive.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    let two = [framed(&good), framed(&good)].concat();
    for bad in [framed(&other_id), framed(&keepalive), framed(&response), two, vec![0, 40, 0, 0], vec![0; 66_000]] {
        let (_endpoint, connection) = quic(&five).await;
        assert!(quic_reply(&connection, &framed(&good)).await.is_ok());
        let mut stream = connection.open_bi().await.expect("a stream");
        let _refused_early = stream.0.write_all(&bad).await.and_then(|()| Ok(stream.0.finish()?));
        match connection.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code, 2u32.into(), "DOQ_PROTOCOL_ERROR"),
            other => panic!("{other}"),
        }
    }
}

// -------- clients that others wrote

#[test]
fn real_clients_are_answered() {
    let five = Five::start("");
    let ca = five.site.path("cert.pem").display().to_string();
    let ask = |command: &str, to: SocketAddr, options: &[&str]| {
        for (name, rtype, expected) in [("www.f.test", "A", "192.0.2.1"), ("huge.f.test", "TXT", "149")] {
            let mut args = vec!["@127.0.0.1".to_owned(), "-p".into(), to.port().to_string(), name.into(), rtype.into()];
            args.extend(options.iter().map(|&option| option.to_owned()));
            let text = said(command, &args);
            assert!(text.contains("NOERROR") && text.contains(expected), "{command} {args:?}: {text}");
        }
        println!("{command} {options:?}: answered");
    };
    if has("kdig") {
        let [tls_ca, retry] = [format!("+tls-ca={ca}"), "+retry=0".to_owned()];
        let secure = [tls_ca.as_str(), "+tls-hostname=localhost", &retry];
        ask("kdig", five.server.dns, &["+tcp", "+keepopen"]);
        ask("kdig", five.dot, &[&["+tls"], &secure[..]].concat());
        ask("kdig", five.doh, &[&["+https=/dns-query"], &secure[..]].concat());
        ask("kdig", five.doh, &[&["+https=/dns-query", "+https-get"], &secure[..]].concat());
        let help = String::from_utf8_lossy(&Command::new("kdig").arg("--help").output().expect("it runs").stdout).into_owned();
        if help.contains("+[no]quic") {
            ask("kdig", five.doq, &["+quic", &retry]);
        } else {
            eprintln!("SKIPPED: this kdig has no QUIC");
        }
    }
    if has("dig") {
        let tls_ca = format!("+tls-ca={ca}");
        let secure = [tls_ca.as_str(), "+tls-hostname=localhost"];
        ask("dig", five.server.dns, &["+tcp"]);
        ask("dig", five.dot, &[&["+tls"], &secure[..]].concat());
        ask("dig", five.doh, &[&["+https=/dns-query"], &secure[..]].concat());
        ask("dig", five.doh, &[&["+https-get=/dns-query"], &secure[..]].concat());
    }
    if has("curl") {
        let (sent, url) = (five.site.path("query"), format!("https://localhost:{}/dns-query", five.doh.port()));
        fs::write(&sent, a_query()).expect("written");
        for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
            let reply = five.site.path("reply");
            let args = [option, "-sS", "--cacert", &ca, "-H", "content-type: application/dns-message", "--data-binary"];
            let rest = [format!("@{}", sent.display()), "-o".into(), reply.display().to_string()];
            let format = ["-w".into(), "%{http_code} %{http_version}".into(), url.clone()];
            let args: Vec<String> = args.map(str::to_owned).into_iter().chain(rest).chain(format).collect();
            assert_eq!(said("curl", &args), format!("200 {version}"));
            assert_eq!(Answer::of(&fs::read(&reply).expect("read")).data, ["192.0.2.1"]);
        }
    }
}

// -------- bounds

#[test]
fn the_idlest_connection_makes_room() {
    let five = Five::start("tcp_max = 4\ntcp_idle = \"1h\"\n");
    let clients: Vec<Ipv4Addr> = (0..6).map(|_| own_address()).collect();
    let mut open: Vec<TcpStream> = clients[..4].iter().map(|&client| connect_from(client, five.server.dns)).collect();
    // The second asks last, the third first.
    for at in [2, 0, 3, 1] {
        assert!(answers(&mut open[at]));
        let asked = Instant::now();
        wait_for("the clock of the connections to go on", || (asked.elapsed() > Duration::from_millis(2)).then_some(()));
    }
    let mut fifth = wrapped(&five.root, connect_from(clients[4], five.dot), &[b"dot"]);
    assert!(answers(&mut fifth), "a new connection does not wait");
    wait_for("the idlest to be closed", || is_closed(&open[2]).then_some(()));
    assert!(!is_closed(&open[0]) && !is_closed(&open[1]) && !is_closed(&open[3]));
    assert!(answers(&mut open[0]));
    let mut sixth = connect_from(clients[5], five.server.dns);
    assert!(answers(&mut sixth));
    wait_for("the next to be closed", || is_closed(&open[3]).then_some(()));
    assert!(answers(&mut open[0]) && answers(&mut open[1]) && answers(&mut fifth));
    assert!(five.server.metric("leeward_connections_evicted_total{reason=\"full\"}") >= Some(2.0));
    assert_eq!(five.server.metric("leeward_connections{transport=\"tls\"}"), Some(1.0));
}

#[test]
fn a_client_that_hoards_loses_its_own() {
    let five = Five::start("tcp_per_client = 2\ntcp_idle = \"1h\"\n");
    let [hoarder, other] = [own_address(), own_address()];
    let mut others = connect_from(other, five.server.dns);
    assert!(answers(&mut others));
    let mut first = connect_from(hoarder, five.server.dns);
    assert!(answers(&mut first));
    let mut second = connect_from(hoarder, five.server.dns);
    assert!(answers(&mut second));
    for _ in 0..10 {
        assert!(answers(&mut connect_from(hoarder, five.server.dns)));
    }
    wait_for("its first to be closed", || is_closed(&first).then_some(()));
    assert!(answers(&mut others), "another client's is older, and stays");
    let evicted = five.server.metric("leeward_connections_evicted_total{reason=\"client\"}");
    assert!(evicted >= Some(1.0), "{evicted:?}");
    assert_eq!(five.server.metric("leeward_connections_evicted_total{reason=\"full\"}"), Some(0.0));
}

#[test]
fn time_counts_from_the_last_whole_message() {
    let five = Five::start("tcp_idle = \"1s\"\n");
    // Half a message, then silence.
    let begun = Instant::now();
    let mut silent = connect(five.server.dns);
    silent.write_all(&framed(&a_query())[..20]).expect("sent");
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    // An octet now and then does not prolong it.
    let begun = Instant::now();
    let mut slow = connect(five.server.dns);
    slow.write_all(&[0xFF, 0xFF]).expect("sent");
    let sent = wait_for("the slow writer to be closed", || {
        let sent = slow.write(&[0]).unwrap_or(0);
        (sent == 0 || is_closed(&slow)).then_some(begun.elapsed())
    });
    assert!(sent >= Duration::from_millis(900), "{sent:?}");
    // Nor does a handshake that does not go on.
    let handshake = connect(five.dot);
    wait_for("the handshake to be given up", || is_closed(&handshake).then_some(()));
    wait_for("the failure to be counted", || (five.server.metric("leeward_handshakes_failed_total")? >= 1.0).then_some(()));
    // A client that asks and does not read.
    let mut greedy = connect(five.server.dns);
    greedy.set_nonblocking(true).expect("option");
    let huge = framed(&query("huge.f.test", RecordType::TXT, None));
    let all = huge.repeat(1000);
    let mut sent = 0;
    let written = |greedy: &mut TcpStream, sent: &mut usize| match greedy.write(&all[*sent..]) {
        Ok(len) => *sent += len,
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
    };
    wait_for("the requests to be sent, or no longer taken", || {
        let before = sent;
        written(&mut greedy, &mut sent);
        (sent == all.len() || sent == before).then_some(())
    });
    wait_for("the slow reader to be closed", || {
        (five.server.metric("leeward_connections{transport=\"tcp\"}")? == 0.0).then_some(())
    });
}

/// A request's body: these octets, and then the end or nothing more.
struct Part {
    octets: Option<Bytes>,
    ends: bool,
}

impl Body for Part {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.octets.take() {
            Some(octets) => Poll::Ready(Some(Ok(Frame::data(octets)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_query_does_not_prolong_half_of_another() {
    let five = Five::start("tcp_idle = \"1s\"\n");
    let mut good = a_query();
    good[..2].fill(0);
    let every = Duration::from_millis(100);

    let (_endpoint, quic) = quic(&five).await;
    let (mut send, mut receive) = quic.open_bi().await.expect("a stream");
    send.write_all(&framed(&good)[..20]).await.expect("sent");
    let asking = async {
        loop {
            assert!(quic_reply(&quic, &framed(&good)).await.is_ok());
            tokio::time::sleep(every).await;
        }
    };
    let ended = tokio::select! {
        ended = receive.read_to_end(1) => ended,
        () = asking => unreachable!("it asks for ever"),
        () = tokio::time::sleep(PATIENCE) => panic!("half of a query is held"),
    };
    match ended {
        Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => {
            assert_eq!(code, 4u32.into(), "DOQ_EXCESSIVE_LOAD");
        }
        other => panic!("{other:?}"),
    }
    assert!(quic_reply(&quic, &framed(&good)).await.is_ok(), "the connection goes on");

    let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(&five.root, &[b"h2"])));
    let stream = tokio::net::TcpStream::connect(five.doh).await.expect("connected");
    let stream = connector.connect(ServerName::try_from("localhost").expect("a name"), stream).await.expect("a handshake");
    let (http, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let status = async |octets: &[u8], ends| {
        let request = Request::post(format!("https://localhost:{}/dns-query", five.doh.port()));
        let request = request.header("content-type", "application/dns-message");
        let request = request.body(Part { octets: Some(Bytes::copy_from_slice(octets)), ends }).expect("a request");
        http.clone().send_request(request).await.expect("a response").status()
    };
    let asking = async {
        loop {
            assert_eq!(status(&good, true).await, StatusCode::OK);
            tokio::time::sleep(every).await;
        }
    };
    let ended = tokio::select! {
        ended = status(&good[..20], false) => ended,
        () = asking => unreachable!("it asks for ever"),
        () = tokio::time::sleep(PATIENCE) => panic!("half of a query is held"),
    };
    assert_eq!(ended, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(status(&good, true).await, StatusCode::OK, "the connection goes on");
}

/// The room of a connection is for all of its unfinished queries; one that finds none is refused alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_queries_share_the_room_of_their_connection() {
    let five = Five::start("tcp_idle = \"1h\"\n");
    let mut good = a_query();
    good[..2].fill(0);
    let (_endpoint, quic) = quic(&five).await;
    let most = [&[0xFF, 0xFF][..], &[0; 60_000]].concat();
    let unfinished = async || {
        let (mut send, mut receive) = quic.open_bi().await.expect("a stream");
        let _stopped_early = send.write_all(&most).await;
        receive.read_to_end(1).await
    };
    // They come in side by side; two of them fit.
    let (mut one, mut two, mut three) = (Box::pin(unfinished()), Box::pin(unfinished()), Box::pin(unfinished()));
    let ended = tokio::select! {
        ended = &mut one => ended,
        ended = &mut two => ended,
        ended = &mut three => ended,
        () = tokio::time::sleep(PATIENCE) => panic!("there is no end to the room"),
    };
    match ended {
        Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => assert_eq!(code, 4u32.into(), "DOQ_EXCESSIVE_LOAD"),
        other => panic!("{other:?}"),
    }
    assert!(quic_reply(&quic, &framed(&good)).await.is_ok(), "small ones find room");
}

#[test]
fn a_thousand_queries_in_one_write() {
    let five = Five::start("");
    let mut message = a_query();
    let all: Vec<u8> = (0..1000u16)
        .flat_map(|id| {
            message[..2].copy_from_slice(&id.to_be_bytes());
            framed(&message)
        })
        .collect();
    let ask = |stream: &mut dyn ReadWrite| {
        stream.write_all(&all).expect("sent");
        for id in 0..1000u16 {
            let reply = read_framed(&mut &mut *stream);
            assert_eq!(reply[..2], id.to_be_bytes());
        }
    };
    ask(&mut connect(five.server.dns));
    ask(&mut connect_tls(&five.root, five.dot, &[b"dot"]));
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn without_descriptors_idle_connections_make_room() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let five = Five::start("tcp_idle = \"1h\"\ntcp_per_client = 1000\n");
    let pid = five.server.child.id();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("a folder").count() as u64;
    let highest = fs::read_dir(format!("/proc/{pid}/fd")).expect("a folder");
    let highest = highest.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok()).max().expect("some");
    let limit = Rlimit { current: Some(highest + 9), maximum: Some(descriptors + 4096) };
    prlimit(Pid::from_raw(pid as i32), Resource::Nofile, limit).expect("limited");
    let mut open: Vec<TcpStream> = Vec::new();
    wait_for("ten connections to have made room for others", || {
        let mut stream = connect(five.server.dns);
        assert!(answers(&mut stream), "answered though there is no descriptor left");
        open.push(stream);
        (open.iter().filter(|stream| is_closed(stream)).count() >= 10).then_some(())
    });
    assert_eq!(five.server.ask("www.f.test", RecordType::A).data, ["192.0.2.1"], "UDP has not noticed");
    assert!(five.server.log_count("cannot accept connections") <= 4, "once a minute per listener");
    open.clear();
    let evicted = wait_for("descriptors for the admin API", || {
        five.server.metric("leeward_connections_evicted_total{reason=\"descriptors\"}")
    });
    assert!(evicted >= 10.0, "{evicted}");
}

#[test]
fn a_long_datagram_is_malformed() {
    let five = Five::start("");
    let mut long = a_query();
    long.resize(9000, 0);
    let reply = udp_reply(five.server.dns, &long);
    assert_eq!((&reply[..2], reply[3] & 0xF), (&long[..2], 1), "FORMERR");
}

// -------- proxies

/// A PROXY header of version 2 for a client.
fn proxy_header(client: Ipv4Addr, protocol: u8) -> Vec<u8> {
    let head = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x10 | protocol, 0, 12]].concat();
    [head, client.octets().to_vec(), vec![127, 0, 0, 1, 0x30, 0x39, 0, 53]].concat()
}

/// What `hashed` says to a client at `from`, over UDP and TCP.
fn hashed(server: SocketAddr, from: Ipv4Addr) -> [Vec<String>; 2] {
    let message = query("hashed.f.test", RecordType::TXT, None);
    let socket = UdpSocket::bind((from, 0)).expect("bound");
    socket.set_read_timeout(Some(PATIENCE)).expect("option");
    socket.connect(server).expect("connected");
    socket.send(&message).expect("sent");
    let mut reply = [0; 4096];
    let len = socket.recv(&mut reply).expect("a reply");
    let mut stream = connect_from(from, server);
    stream.write_all(&framed(&message)).expect("sent");
    [Answer::of(&reply[..len]).data, Answer::of(&read_framed(&mut stream)).data]
}

/// Two addresses of this test's that are told apart.
fn two_clients(server: SocketAddr) -> [(Ipv4Addr, Vec<String>); 2] {
    let seen = |not: Option<&Vec<String>>| {
        wait_for("an address with another answer", || {
            let address = own_address();
            let [udp, tcp] = hashed(server, address);
            assert_eq!(udp, tcp);
            (Some(&udp) != not).then_some((address, udp))
        })
    };
    let first = seen(None);
    let second = seen(Some(&first.1));
    [first, second]
}

#[test]
fn a_proxy_speaks_for_its_clients() {
    let five = Five::start("proxy_protocol_from = [\"127.0.0.1\"]\ntcp_per_client = 3\ntcp_idle = \"5s\"\n");
    let dns = five.server.dns;
    let clients = two_clients(dns); // who are not proxies: they speak for themselves
    let message = query("hashed.f.test", RecordType::TXT, None);
    for (client, expected) in &clients {
        let reply = udp_reply(dns, &[proxy_header(*client, 2), message.clone()].concat());
        assert_eq!(&Answer::of(&reply).data, expected);
        let mut stream = connect(dns);
        stream.write_all(&[proxy_header(*client, 1), framed(&message)].concat()).expect("sent");
        assert_eq!(&Answer::of(&read_framed(&mut stream)).data, expected);
        // The header of a TLS connection comes before the handshake.
        let mut stream = connect(five.dot);
        stream.write_all(&proxy_header(*client, 1)).expect("sent");
        let mut stream = wrapped(&five.root, stream, &[b"dot"]);
        stream.write_all(&framed(&message)).expect("sent");
        assert_eq!(&Answer::of(&read_framed(&mut stream)).data, expected);
    }
    // With the client's port, and our own address.
    let who = query("who.f.test", RecordType::TXT, None);
    let inner = SocketAddr::from((clients[0].0, 12345));
    let reply = udp_reply(dns, &[proxy_header(clients[0].0, 2), who].concat());
    assert_eq!(Answer::of(&reply).data, introduced(inner, dns));
    // The proxy itself: no cap of one client's, and its own address when it asks for itself.
    let local = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20, 0, 0, 0]].concat();
    let reply = udp_reply(dns, &[local, message.clone()].concat());
    assert_eq!(Answer::of(&reply).rcode, "NOERROR");
    // No header where there must be one, or half of one; and one from somebody who is no proxy.
    let count = |kind: &str| five.server.metric(&format!("leeward_proxy_header_errors_total{{kind=\"{kind}\"}}"));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(dns).expect("connected");
    socket.send(&message).expect("sent");
    socket.send(&proxy_header(clients[0].0, 2)[..20]).expect("sent");
    wait_for("two datagrams to be counted", || (count("datagram") == Some(2.0)).then_some(()));
    let mut stream = connect(dns);
    stream.write_all(&framed(&message)).expect("sent");
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(count("stream"), Some(1.0));
    let other = UdpSocket::bind((clients[0].0, 0)).expect("bound");
    other.set_read_timeout(Some(PATIENCE)).expect("option");
    other.connect(dns).expect("connected");
    other.send(&[proxy_header(clients[1].0, 2), message].concat()).expect("sent");
    let mut reply = [0; 512];
    let len = other.recv(&mut reply).expect("a reply");
    assert_ne!(reply[3] & 0xF, 0, "a header from who is no proxy is no DNS message: {:?}", &reply[..len]);
}

/// A handshake and a PROXY header that are cut off to make room, and a proxy that only looks whether we are there.
#[test]
fn what_we_end_ourselves_is_no_error_of_the_peers() {
    let proxy = own_address();
    let five = Five::start(&format!("proxy_protocol_from = [\"{proxy}\"]\ntcp_max = 2\ntcp_idle = \"1h\"\n"));
    let metric = |name: &str, transport: &str| {
        let name = format!("leeward_connections{name}{{transport=\"{transport}\"}}");
        five.server.metric(&name).expect("a metric")
    };
    let cut = [connect_from(proxy, five.server.dns), connect(five.dot)];
    wait_for("both to be open", || (metric("", "tcp") + metric("", "tls") == 2.0).then_some(()));
    let mut others = [own_address(), own_address()].map(|client| connect_from(client, five.server.dns));
    wait_for("both to be closed", || cut.iter().all(is_closed).then_some(()));
    assert!(others.iter_mut().all(answers));
    drop(others);
    drop(connect_from(proxy, five.server.dns));
    drop(connect(five.dot));
    wait_for("all to be closed", || {
        let accepted = metric("_accepted_total", "tcp") + metric("_accepted_total", "tls");
        (accepted == 6.0 && metric("", "tcp") + metric("", "tls") == 0.0).then_some(())
    });
    assert_eq!(five.server.metric("leeward_handshakes_failed_total"), Some(0.0));
    assert_eq!(five.server.metric("leeward_proxy_header_errors_total{kind=\"stream\"}"), Some(0.0));
}

#[test]
fn dnsdist_tells_who_asked() {
    if !has("dnsdist") {
        return;
    }
    let five = Five::start("proxy_protocol_from = [\"127.0.0.1\"]\n");
    let clients = two_clients(five.server.dns);
    let address = own_address();
    let front = SocketAddr::from((address, free_port(&[address])));
    let config = five.site.write(
        "dnsdist.conf",
        &format!(
            "setLocal('{front}')\nsetACL({{'127.0.0.0/8'}})\nsetSecurityPollSuffix('')\n\
             newServer({{address='{}', useProxyProtocol=true, checkName='www.f.test.', mustResolve=true}})\n",
            five.server.dns
        ),
    );
    let _dnsdist = Program::start(command("dnsdist").arg("-C").arg(config).args(["--supervised", "--disable-syslog"]));
    wait_for("dnsdist, and its health check", || {
        let socket = UdpSocket::bind((clients[0].0, 0)).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
        socket.connect(front).ok()?;
        socket.send(&a_query()).ok()?;
        let mut reply = [0; 512];
        let len = socket.recv(&mut reply).ok()?;
        (Answer::of(&reply[..len]).rcode == "NOERROR").then_some(())
    });
    for (client, expected) in clients {
        let [udp, tcp] = hashed(front, client);
        assert_eq!((&udp, &tcp), (&expected, &expected), "{client}");
    }
    assert_eq!(five.server.metric("leeward_proxy_header_errors_total{kind=\"datagram\"}"), Some(0.0));
    assert_eq!(five.server.metric("leeward_proxy_header_errors_total{kind=\"stream\"}"), Some(0.0));
}

// -------- certificates

/// The certificate that a new connection sees.
fn shown(root: &CertificateDer<'static>, to: SocketAddr, protocol: &[u8]) -> Option<CertificateDer<'static>> {
    let mut stream = connect_tls(root, to, &[protocol]);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    stream.conn.peer_certificates()?.first().cloned()
}

#[test]
fn certificates_are_replaced_while_connections_go_on() {
    let five = Five::start("tcp_idle = \"1h\"\n");
    let mut old = connect_tls(&five.root, five.dot, &[b"dot"]);
    assert!(answers(&mut old));
    let (cert, key, root) = certificate();
    five.site.write("cert.pem", &cert);
    five.site.write("key.pem", &key);
    assert_eq!(five.server.post("/api/v1/reload?dry_run=true").0, 200);
    assert_eq!(shown(&five.root, five.dot, b"dot"), Some(five.root.clone()), "a rehearsal changes nothing");
    assert_eq!(five.server.post("/api/v1/reload").0, 200);
    assert_eq!(shown(&five.root, five.dot, b"dot"), None, "it is not the old one");
    for (address, protocol) in [(five.dot, &b"dot"[..]), (five.doh, b"h2")] {
        assert_eq!(shown(&root, address, protocol).as_ref(), Some(&root));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut five = Five { root: root.clone(), ..five };
    runtime.block_on(async { drop(quic(&five).await) }); // verifies the new one
    assert!(answers(&mut old), "what was open goes on");

    // A pair that does not belong together, no key at all, no file: each is told, and the new pair stays.
    let (other, ..) = certificate();
    for (file, text, told) in [
        ("cert.pem", Some(other.as_str()), "it is not the key of the certificate"),
        ("key.pem", Some("nonsense"), "private key"),
        ("cert.pem", Some(""), "certificate"),
        ("cert.pem", None, "cannot read the certificate"),
    ] {
        five.site.write("cert.pem", &cert);
        five.site.write("key.pem", &key);
        let path = five.site.path(file);
        match text {
            Some(text) => fs::write(path, text).expect("written"),
            None => fs::remove_file(path).expect("removed"),
        }
        let (status, problem) = five.server.post("/api/v1/reload");
        assert_eq!(status, 422, "{problem}");
        assert!(problem["findings"].to_string().contains(told), "{told}: {problem}");
        assert_eq!(shown(&root, five.dot, b"dot").as_ref(), Some(&root));
        let output = leeward(&["checkconf", "--config", five.config().to_str().expect("text")]);
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(told) && said.contains("leeward.toml:"), "{said}");
    }
    assert!(answers(&mut old));
    assert!(five.server.is_alive());
}

/// A renewal is shown though the reload that brings it is refused for the sake of a check; a client that was there before
/// sees it too.
#[test]
fn a_renewal_does_not_wait_for_healthy_zones() {
    if !has("nginx") {
        return;
    }
    let addresses = [own_address(), own_address()];
    let port = free_port(&addresses);
    let _targets = addresses.map(|address| Nginx::new((address, port).into()));
    let [a, b] = addresses.map(|address| format!("'{address}'"));
    let checked = |path: &str| {
        let settings = "{selector='all', backupSelector='empty', timeout=1, interval=1}";
        format!("{}up LUA A \"ifurlup('http://x:{port}{path}', {{{a}, {b}}}, {settings})\"\n", zone())
    };
    let five = Five::start("");
    five.site.write("f.test.zone", &checked("/"));
    assert_eq!(five.server.post("/api/v1/reload").0, 200);
    let (cert, key, root) = certificate();
    let mut config = client_config(&five.root, &[b"dot"]);
    let mut roots = RootCertStore::empty();
    [&five.root, &root].iter().for_each(|&root| roots.add(root.clone()).expect("a root"));
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
        roots.into(),
        rustls::crypto::ring::default_provider().into(),
    );
    config.dangerous().set_certificate_verifier(verifier.build().expect("a verifier"));
    let config = Arc::new(config); // remembers sessions
    let seen = || {
        let client = ClientConnection::new(Arc::clone(&config), ServerName::try_from("localhost").expect("a name"));
        let mut stream = StreamOwned::new(client.expect("a client"), connect(five.dot));
        assert!(answers(&mut stream));
        assert_eq!(stream.conn.handshake_kind(), Some(rustls::HandshakeKind::Full), "nothing is resumed");
        stream.conn.peer_certificates().and_then(|chain| chain.first()).cloned()
    };
    assert_eq!([seen(), seen()], [Some(five.root.clone()), Some(five.root.clone())]);

    five.site.write("cert.pem", &cert);
    five.site.write("key.pem", &key);
    five.site.write("f.test.zone", &checked("/bad"));
    let (status, problem) = five.server.post("/api/v1/reload?dry_run=true");
    assert_eq!(status, 409, "{problem}");
    assert_eq!(seen(), Some(five.root.clone()), "a rehearsal changes nothing");
    let (status, problem) = five.server.post("/api/v1/reload");
    assert_eq!(status, 409, "{problem}");
    assert_eq!(five.server.ask("up.f.test", RecordType::A).data.len(), 2, "the zone is the old one");
    assert_eq!(seen(), Some(root.clone()));
    // A reload of one zone reads no configuration, and does not bring the old one back.
    assert_eq!(five.server.post("/api/v1/reload?zone=f.test").0, 409);
    assert_eq!(seen(), Some(root.clone()));
    // What needs a restart is refused as a whole.
    let text = fs::read_to_string(five.config()).expect("read");
    fs::write(five.config(), text.replace("udp_threads = 2", "udp_threads = 3")).expect("written");
    let (cert, key, _) = certificate();
    five.site.write("cert.pem", &cert);
    five.site.write("key.pem", &key);
    let (status, problem) = five.server.post("/api/v1/reload");
    assert_eq!(status, 409, "{problem}");
    assert_eq!(seen(), Some(root));
}

#[test]
fn protocols_are_told_apart() {
    let five = Five::start("");
    assert!(shown(&five.root, five.dot, b"h2").is_none(), "a browser cannot be made to speak DoT");
    assert!(shown(&five.root, five.doh, b"dot").is_none());
    assert!(shown(&five.root, five.doh, b"http/1.1").is_some());
    let mut without = connect_tls(&five.root, five.dot, &[]);
    assert!(answers(&mut without), "a client that names no protocol is served");
}

// -------- sockets

#[test]
fn an_address_that_is_not_up_yet_can_be_listened_on() {
    let site = Site::new();
    site.write("b.test.zone", &format!("{HEAD}www A 192.0.2.1\n"));
    let absent = "192.0.2.77:0"; // for documentation (RFC 5737): no host has it
    let listen =
        |freebind: bool| format!("[server]\nlisten = [\"127.0.0.1:0\", \"{absent}\"]\nudp_threads = 1\nfreebind = {freebind}\n");
    let config = site.config(&["b.test"], &listen(false));
    let output = leeward(&["serve", "--config", config.to_str().expect("text")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("192.0.2.77") && said.contains("freebind"), "{said}");
    let server = Leeward::start(&site.config(&["b.test"], &listen(true)));
    assert_eq!(ask(server.dns, "www.b.test", RecordType::A, None).data, ["192.0.2.1"]);
    wait_for("the other address", || server.log_line("DNS on 192.0.2.77:"));
    assert!(server.stop());
}

#[test]
fn an_encrypted_port_that_is_taken_is_reported_with_its_setting() {
    let site = Site::new();
    let (cert, key, _) = certificate();
    site.write("cert.pem", &cert);
    site.write("key.pem", &key);
    site.write("b.test.zone", &format!("{HEAD}www A 192.0.2.1\n"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("bound");
    let tls = format!("[server.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\ndot = [\"{address}\"]\n");
    let config = site.config(&["b.test"], &format!("[server]\nlisten = [\"127.0.0.1:0\"]\nudp_threads = 1\n{tls}"));
    let output = leeward(&["serve", "--config", config.to_str().expect("text")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&address.to_string()) && said.contains("[server.tls] dot"), "{said}");
}

/// Stopping with connections of every kind open takes no longer than the farewell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_with_connections_open() {
    let five = Five::start("tcp_idle = \"1h\"\n");
    let mut http = Http::connect(&five, b"h2").await;
    assert_eq!(http.call(http_request(five.doh, Method::Post, &a_query())).await.0, StatusCode::OK);
    let (_endpoint, quic) = quic(&five).await;
    let (dns, dot, root) = (five.server.dns, five.dot, five.root.clone());
    let open = tokio::task::spawn_blocking(move || {
        let (mut tcp, mut tls) = (connect(dns), connect_tls(&root, dot, &[b"dot"]));
        assert!(answers(&mut tcp) && answers(&mut tls));
        (tcp, tls)
    });
    let _open = open.await.expect("no panic");
    let stop = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        assert!(five.server.stop());
        begun.elapsed()
    });
    let took = stop.await.expect("no panic");
    println!("stopped after {} ms", took.as_millis());
    match quic.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code, 0u32.into(), "DOQ_NO_ERROR"),
        other => panic!("{other}"),
    }
}
