//! The HTTP and HTTPS check: a request, redirects followed, the final status and body compared (spec 5.4 of PowerDNS).
//!
//! Each hop is a connection of its own, closed after one answer. Where the check has an address, the URL's host never
//! meets a resolver: it and its redirects to itself go to that address, whatever DNS says ("pinned"), since the address
//! is what is up or down. Everybody else is looked up. Headers that the check adds may hold secrets: they go to the
//! check's own host only, and over TLS only where the URL says so. Everything the server chooses is bounded: head,
//! headers, body, hops; the time limit around it all is the caller's.
//!
//! The parser is as lenient as libcurl where hyper lets it: a target that serves everybody else is not down.
//!
//! Never here: the time limit, keep-alive, cookies, proxies, content decoding.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use super::body::Body;
use super::errors::{Source, Unmet, classify};
use super::{Allows, http2, tcp, tls};
use crate::target::{CheckKind, CheckSpec, Failure, HttpCheck, Inconclusive, Version};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// Octets of an answer's head, and of what is buffered of its body.
const MAX_BUFFER: usize = 64 << 10;

/// Names that are resolved at the same time. A look-up cannot be called off, so a dead resolver holds one thread for
/// each: few.
pub(super) const MAX_LOOKUPS: usize = 16;

/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// How long an address of a name has for itself before the next one is tried beside it (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// What all exchanges share.
pub(super) struct Client {
    any: tls::Connectors,
    trust: tls::Trust,
    lookups: Arc<Semaphore>,
}

impl Client {
    pub(super) fn new() -> Self {
        Self { any: tls::Connectors::any(), trust: tls::Trust::default(), lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    /// What makes the handshakes of a check. May read files: not part of what a target is given time for.
    pub(super) async fn tls(&self, kind: &CheckKind) -> Result<TlsConnector, Inconclusive> {
        let (protocol, verify) = match kind {
            CheckKind::Http(check) if check.version == Version::Two => (tls::Protocol::Http2, check.verify),
            CheckKind::Http(check) => (tls::Protocol::Http1, check.verify),
            CheckKind::Tls(check) => (tls::Protocol::None, check.verify),
            CheckKind::Grpc(check) => (tls::Protocol::Http2, check.tls.as_ref().is_some_and(|tls| tls.verify)),
            _ => (tls::Protocol::None, false),
        };
        Ok(if verify { self.trust.connectors().await?.of(protocol) } else { self.any.of(protocol) })
    }
}

/// One run of a check.
pub(super) struct Exchange<'a> {
    pub(super) client: &'a Client,
    pub(super) tls: TlsConnector,
    pub(super) spec: &'a CheckSpec,
    /// What `spec` asks for.
    pub(super) check: &'a HttpCheck,
    /// Whether a redirect or a look-up may lead to an address.
    pub(super) allows: &'a Allows,
    /// Set while a name is being resolved: a time limit that ends then says nothing about the target.
    pub(super) resolving: &'a AtomicBool,
}

/// One request of the exchange.
#[derive(Clone)]
struct Ask {
    url: Url,
    method: Method,
    content: Bytes,
    /// Whether `url` is on the check's own host, by a way as safe as the check's.
    at_home: bool,
}

/// What one hop led to.
enum Hop {
    Done(u32),
    Redirect(Ask),
}

impl Exchange<'_> {
    /// The weight that the target gives itself, 0 where it is not asked, if the final answer is as expected.
    pub(super) async fn run(&self) -> Result<u32, Unmet> {
        let url = Url::parse(&self.check.url(self.spec.port)).map_err(|error| Failure::Protocol(error.to_string().into()))?;
        let (method, content) = (self.check.method.clone(), Bytes::copy_from_slice(self.check.content.0.as_bytes()));
        let first = Ask { url, method, content, at_home: true };
        let mut ask = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            match self.hop(&first.url, &ask).await? {
                Hop::Done(weight) => return Ok(weight),
                Hop::Redirect(next) => ask = next,
            }
        }
        Err(Failure::Redirect(format!("more than {MAX_REDIRECTS}").into()).into())
    }

    async fn hop(&self, first: &Url, ask: &Ask) -> Result<Hop, Unmet> {
        let (Some(host), Some(port)) = (ask.url.host(), ask.url.port_or_known_default()) else {
            return Err(Failure::Redirect("a URL without a host".into()).into());
        };
        let stream = match self.spec.address.filter(|_| is_own(first, &ask.url)) {
            Some(address) => tcp::connect(self.spec.source, SocketAddr::new(address, port)).await?,
            None => self.connect_by_name(&host, port).await.map_err(|lost| lost.at(first.host().as_ref() == Some(&host)))?,
        };
        let hop = match ask.url.scheme() {
            "https" => {
                let name = self.check.sni.as_deref().filter(|_| is_own(first, &ask.url)).map(Host::Domain).unwrap_or(host);
                Box::pin(self.converse_sealed(ask, &name, stream)).await?
            }
            _ => Box::pin(self.converse(ask, tcp::Abrupt(stream))).await?,
        };
        Ok(match hop {
            Hop::Redirect(next) => Hop::Redirect(Ask { at_home: is_home(first, &next.url), ..next }),
            done @ Hop::Done(_) => done,
        })
    }

    async fn converse_sealed(&self, ask: &Ask, name: &Host<&str>, stream: TcpStream) -> Result<Hop, Unmet> {
        let stream = tls::wrap(&self.tls, name, stream).await?;
        if self.check.version == Version::Two && !stream.speaks_http2() {
            return Err(Failure::Protocol("HTTP/2 is not spoken there".into()).into());
        }
        self.converse(ask, stream).await
    }

    /// Connects to the first of the host's addresses that takes the connection; each has a head start over the next.
    /// Where a name or a redirect leads is their owner's choice, so a name that does not exist and an address that may
    /// not be probed are failures, not our trouble.
    async fn connect_by_name(&self, host: &Host<&str>, port: u16) -> Result<TcpStream, Unmet> {
        let (mut attempts, mut last) = (JoinSet::new(), Inconclusive::Unresolved.into());
        let from = self.spec.source;
        let mut addresses = self.addresses(host, port).await?.into_iter().take(MAX_ADDRESSES).peekable();
        loop {
            if let Some(to) = addresses.next() {
                match self.refusal(to.ip()) {
                    None => drop(attempts.spawn(tcp::connect(from, to))),
                    Some(refusal) => last = refusal,
                }
            }
            let more = addresses.peek().is_some();
            tokio::select! {
                ended = attempts.join_next() => match ended {
                    Some(Ok(Ok(stream))) => return Ok(stream),
                    Some(Ok(Err(unmet))) => last = unmet,
                    Some(Err(_)) => last = Inconclusive::Internal.into(),
                    None if !more => return Err(last),
                    None => {}
                },
                () = tokio::time::sleep(HEAD_START), if more => {}
            }
        }
    }

    /// Why an address that nobody wrote down may not be probed.
    fn refusal(&self, address: IpAddr) -> Option<Unmet> {
        let address = address.to_canonical();
        let nowhere = address.is_multicast() || address.is_unspecified() || address == IpAddr::V4(Ipv4Addr::BROADCAST);
        let refused = nowhere || !(self.allows)(address);
        refused.then(|| Failure::Redirect(format!("{address} may not be probed").into()).into())
    }

    async fn addresses(&self, host: &Host<&str>, port: u16) -> Result<Vec<SocketAddr>, Unmet> {
        match *host {
            Host::Ipv4(address) => Ok(vec![SocketAddr::new(address.into(), port)]),
            Host::Ipv6(address) => Ok(vec![SocketAddr::new(address.into(), port)]),
            Host::Domain(name) => {
                self.resolving.store(true, Ordering::Relaxed);
                let found = self.client.resolve(name.to_owned(), port).await;
                self.resolving.store(false, Ordering::Relaxed);
                found
            }
        }
    }

    /// Sends the request over `stream` and looks at the answer. The connection is driven by this same future, so that
    /// dropping it leaves nothing behind.
    async fn converse<S>(&self, ask: &Ask, stream: S) -> Result<Hop, Unmet>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = self.request(ask)?;
        match self.check.version {
            Version::One => {
                let (mut sender, connection) = parser().handshake(TokioIo::new(stream)).await.map_err(|error| network(&error))?;
                driven(connection, async { self.judge(ask, sender.send_request(request).await).await }).await
            }
            Version::Two => {
                let request = http2::request(request, &ask.url)?;
                let tasks = http2::Tasks::default();
                let (mut sender, connection) = tasks.handshake(stream).await.map_err(|error| network(&error))?;
                driven(connection, async { self.judge(ask, sender.send_request(request).await).await }).await
            }
        }
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, Failure> {
        let url = &ask.url;
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, self.check.user_agent.as_bytes())
            .header(ACCEPT, "*/*")
            .header(CONNECTION, "close")
            .body(Full::new(ask.content.clone()))
            .map_err(|error| Failure::Protocol(format!("cannot ask: {error}").into()))?;
        if ask.at_home {
            replace(request.headers_mut(), &self.check.headers);
        }
        Ok(request)
    }

    async fn judge(&self, ask: &Ask, answer: hyper::Result<Response<Incoming>>) -> Result<Hop, Unmet> {
        let answer = answer.map_err(|error| network(&error))?;
        if let Some(url) = self.redirect(&ask.url, &answer)? {
            return Ok(Hop::Redirect(ask.redirected(answer.status(), url)));
        }
        let got = answer.status().as_u16();
        if !self.check.status.contains(got) {
            return Err(Failure::Status { got, wanted: self.check.status.clone() }.into());
        }
        self.read(answer.into_body()).await.map(Hop::Done)
    }

    /// Where the answer sends us, if it does. As in PowerDNS redirects are followed whatever status is expected;
    /// where one is expected, a redirect that names no place is an answer like any other.
    fn redirect(&self, url: &Url, answer: &Response<Incoming>) -> Result<Option<Url>, Failure> {
        if !self.check.redirects || !is_redirect(answer.status()) {
            return Ok(None);
        }
        match answer.headers().get(LOCATION) {
            Some(location) => next_url(url, location).map(Some),
            None if self.check.status.overlaps(300..=399) => Ok(None),
            None => Err(Failure::Redirect("no Location".into())),
        }
    }

    /// Reads the body, to its end or as far as it is wanted, and judges it.
    async fn read(&self, mut incoming: Incoming) -> Result<u32, Unmet> {
        let mut body = Body::new(self.check);
        while body.wants_more()
            && let Some(frame) = incoming.frame().await
        {
            if let Ok(data) = frame.map_err(|error| network(&error))?.into_data() {
                body.feed(&data);
            }
        }
        Ok(body.judge()?)
    }
}

impl Ask {
    /// The request that follows a redirect (RFC 9110 15.4): the same, but that 303, and by old custom 301 and 302 of a
    /// POST, lead to a page that is got.
    fn redirected(&self, status: StatusCode, url: Url) -> Self {
        let got = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        let (method, content) = if got { (Method::GET, Bytes::new()) } else { (self.method.clone(), self.content.clone()) };
        Self { url, method, content, at_home: false }
    }
}

impl Unmet {
    /// What a look-up led to, told as what it is where the name is the check's own.
    fn at(self, own: bool) -> Self {
        match self {
            Self::Fail(Failure::Redirect(what)) if own => Failure::Name(what).into(),
            other => other,
        }
    }
}

/// Runs `talk` over `connection`. What ends the connection is told to the request or the body, where it matters.
pub(super) async fn driven<T>(connection: impl Future, talk: impl Future<Output = T>) -> T {
    let drive = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        done = talk => done,
        never = drive => match never {},
    }
}

fn replace(headers: &mut HeaderMap, by: &[(http::HeaderName, HeaderValue)]) {
    for (name, value) in by {
        headers.insert(name.clone(), value.clone());
    }
}

impl Client {
    /// The addresses of a name, as the system resolves names.
    async fn resolve(&self, name: String, port: u16) -> Result<Vec<SocketAddr>, Unmet> {
        let turn = Arc::clone(&self.lookups).acquire_owned().await.map_err(|_| Inconclusive::Unresolved)?;
        let lookup = move || {
            let _turn = turn;
            (name.as_str(), port).to_socket_addrs().map(Iterator::collect)
        };
        let found = tokio::task::spawn_blocking(lookup).await.map_err(|_| Inconclusive::Internal)?;
        found.map_err(|error| not_found(&error))
    }
}

/// Why a look-up failed. The standard library gives getaddrinfo's verdict (EAI_NONAME, EAI_NODATA) as text only; what is
/// not known to mean "there is no such name" is our trouble.
fn not_found(error: &io::Error) -> Unmet {
    let text = error.to_string();
    let permanent = ["Name or service not known", "No address associated", "Name does not resolve", "Name has no usable address"];
    if permanent.iter().any(|words| text.contains(words)) {
        return Failure::Redirect("the name does not exist".into()).into();
    }
    Inconclusive::Unresolved.into()
}

/// Whether a URL leads to the check's own host: at the check's port or a default one, which is what PowerDNS pins.
fn is_own(first: &Url, url: &Url) -> bool {
    let port = url.port_or_known_default();
    url.host() == first.host() && (port == first.port_or_known_default() || matches!(port, Some(80 | 443)))
}

/// Whether it does so by a way that is no less safe.
fn is_home(first: &Url, url: &Url) -> bool {
    is_own(first, url) && (first.scheme() == "http" || url.scheme() == "https")
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn next_url(url: &Url, location: &HeaderValue) -> Result<Url, Failure> {
    let text = std::str::from_utf8(location.as_bytes()).map_err(|_| Failure::Redirect("Location is not text".into()))?;
    let next = url.join(text).map_err(|error| Failure::Redirect(error.to_string().into()))?;
    match next.scheme() {
        "http" | "https" => Ok(next),
        _ => Err(Failure::Redirect("neither http nor https".into())),
    }
}

pub(super) fn network(error: &hyper::Error) -> Unmet {
    classify(Source::Network, error)
}

/// hyper's side of a connection: bounded, lenient, and writing header names as libcurl does.
/// It takes 100 headers, for which it has room without allocating some for each answer.
fn parser() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_BUFFER);
    builder
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .title_case_headers(true);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prober::body::MAX_BODY;
    use crate::prober::{Config, Prober, Pulse};
    use crate::target::{Codes, Outcome, Scheme};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio_rustls::TlsAcceptor;

    /// Resolves nowhere: whoever gets an answer for it is pinned.
    const HOST_NAME: &str = "www.example.test";

    fn prober() -> Prober {
        Prober::new(Config::default(), Arc::new(Pulse::steady()))
    }

    fn check(to: SocketAddr, scheme: Scheme) -> (CheckSpec, HttpCheck) {
        let (address, kind, timeout) = (Some(to.ip()), CheckKind::Tcp, Duration::from_secs(30));
        let spec = CheckSpec { address, port: to.port(), source: None, kind, timeout };
        (spec, HttpCheck::get(scheme, HOST_NAME, "/health?deep=1"))
    }

    async fn outcome(to: SocketAddr, change: impl FnOnce(&mut CheckSpec, &mut HttpCheck)) -> Outcome {
        let (mut spec, mut http) = check(to, Scheme::Http);
        change(&mut spec, &mut http);
        spec.kind = CheckKind::Http(http.into());
        prober().probe(&spec).await.outcome
    }

    async fn plain(to: SocketAddr) -> Outcome {
        outcome(to, |_, _| {}).await
    }

    async fn with_body(to: SocketAddr, text: &str) -> Outcome {
        outcome(to, |_, http| http.body = Some(text.into())).await
    }

    async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).unwrap()
    }

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        (listener, to)
    }

    /// Gives one reply per connection, the last one again and again, and tells the requests.
    async fn serve(listener: TcpListener, replies: Vec<String>, heads: UnboundedSender<String>) {
        for turn in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = heads.send(read_head(&mut stream).await);
            let _ = stream.write_all(replies[turn.min(replies.len() - 1)].as_bytes()).await;
        }
    }

    async fn server(replies: &[&str]) -> (SocketAddr, UnboundedReceiver<String>) {
        let (listener, to) = listen().await;
        let (heads, requests) = unbounded_channel();
        let replies = replies.iter().map(|reply| reply.replace("PORT", &to.port().to_string())).collect();
        tokio::spawn(serve(listener, replies, heads));
        (to, requests)
    }

    /// Answers every connection by what `talk` does with it after the request's head.
    async fn custom<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (listener, to) = listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = read_head(&mut stream).await;
                tokio::spawn(talk(stream));
            }
        });
        to
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    fn fail(failure: Failure) -> Outcome {
        Outcome::Fail(failure)
    }

    #[tokio::test]
    async fn the_request_is_exact() {
        let (to, mut requests) = server(&[OK]).await;
        assert_eq!(plain(to).await, Outcome::PASS);
        let expected = format!(
            "GET /health?deep=1 HTTP/1.1\r\nHost: www.example.test:{}\r\nUser-Agent: PowerDNS Authoritative Server\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n",
            to.port()
        );
        assert_eq!(requests.recv().await.unwrap(), expected);
    }

    #[test]
    fn the_host_header_names_a_port_only_where_it_is_not_the_default() {
        let client = Client::new();
        let (spec, check) = check(([127, 0, 0, 1], 1).into(), Scheme::Http);
        let tls = client.any.of(tls::Protocol::Http1);
        let resolving = false.into();
        let exchange = Exchange { client: &client, tls, spec: &spec, check: &check, allows: &|_| true, resolving: &resolving };
        for (url, host) in [
            ("http://www.example.test/", "www.example.test"),
            ("http://www.example.test:443/", "www.example.test:443"),
            ("https://www.example.test:443/", "www.example.test"),
            ("http://user:secret@www.example.test:81/", "www.example.test:81"),
            ("http://[2001:db8::1]:8080/", "[2001:db8::1]:8080"),
        ] {
            let (url, method, content) = (Url::parse(url).unwrap(), Method::GET, Bytes::new());
            let request = exchange.request(&Ask { url: url.clone(), method, content, at_home: true }).unwrap();
            assert_eq!(request.headers()[HOST], host, "{url}");
        }
    }

    fn with_headers(http: &mut HttpCheck, lines: &[(&'static str, &'static str)]) {
        let header = |&(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value));
        http.headers = lines.iter().map(header).collect();
    }

    #[tokio::test]
    async fn method_headers_and_content_are_sent() {
        let (to, mut requests) = server(&[OK]).await;
        let change = |_: &mut CheckSpec, http: &mut HttpCheck| {
            (http.method, http.content) = (Method::POST, crate::target::Content("a=b".into()));
            with_headers(http, &[("x-token", "hush"), ("host", "other.test"), ("user-agent", "me")]);
        };
        assert_eq!(outcome(to, change).await, Outcome::PASS);
        let expected = "POST /health?deep=1 HTTP/1.1\r\nHost: other.test\r\nUser-Agent: me\r\n\
             Accept: */*\r\nConnection: close\r\nX-Token: hush\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(requests.recv().await.unwrap(), expected);
        let (to, mut requests) = server(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]).await;
        assert_eq!(outcome(to, |_, http| http.method = Method::HEAD).await, Outcome::PASS);
        assert!(requests.recv().await.unwrap().starts_with("HEAD /health"));
    }

    #[tokio::test]
    async fn headers_do_not_leave_home() {
        let (there, mut elsewhere) = server(&[OK]).await;
        let away = format!("HTTP/1.1 302 Found\r\nLocation: http://{there}/x\r\n\r\n");
        let (to, mut requests) = server(&["HTTP/1.1 302 Found\r\nLocation: /a\r\n\r\n", &away]).await;
        assert_eq!(outcome(to, |_, http| with_headers(http, &[("x-token", "hush")])).await, Outcome::PASS);
        for _ in 0..2 {
            assert!(requests.recv().await.unwrap().contains("X-Token: hush\r\n"));
        }
        let head = elsewhere.recv().await.unwrap();
        assert!(!head.contains("hush"), "{head}");
    }

    #[tokio::test]
    async fn methods_follow_redirects_as_in_browsers() {
        for (status, method, then) in [
            (301, Method::POST, "GET"),
            (302, Method::POST, "GET"),
            (303, Method::POST, "GET"),
            (307, Method::POST, "POST"),
            (308, Method::POST, "POST"),
            (301, Method::PUT, "PUT"),
            (303, Method::PUT, "GET"),
            (303, Method::HEAD, "HEAD"),
        ] {
            let (to, mut requests) = server(&[&format!("HTTP/1.1 {status} X\r\nLocation: /a\r\n\r\n"), OK]).await;
            let asked = method.clone();
            assert_eq!(outcome(to, |_, http| http.method = asked).await, Outcome::PASS);
            let _first = requests.recv().await.unwrap();
            let head = requests.recv().await.unwrap();
            assert!(head.starts_with(&format!("{then} /a ")), "{status} {method}: {head}");
        }
    }

    #[tokio::test]
    async fn the_source_address_is_used_for_every_hop() {
        let from = IpAddr::from([127, 1, 2, 4]);
        let (there, to) = (listen().await, listen().await);
        let location = format!("HTTP/1.1 302 Found\r\nLocation: http://{}/x\r\n\r\n", there.1);
        let probe = tokio::spawn(async move { outcome(to.1, |spec, _| spec.source = Some(from)).await });
        for (listener, reply) in [(to.0, location.as_str()), (there.0, OK)] {
            let (mut stream, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.ip(), from);
            let _ = read_head(&mut stream).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
        assert_eq!(probe.await.unwrap(), Outcome::PASS);
    }

    #[tokio::test]
    async fn without_an_address_the_host_is_looked_up() {
        let (to, mut requests) = server(&[OK]).await;
        let by_name = |host: &'static str| outcome(to, move |spec, http| (spec.address, http.host) = (None, host.into()));
        assert_eq!(by_name("localhost").await, Outcome::PASS);
        assert!(requests.recv().await.unwrap().contains(&format!("Host: localhost:{}\r\n", to.port())));
        assert_eq!(by_name("127.0.0.1").await, Outcome::PASS);
        let missing = by_name("x.invalid").await;
        // Which of the two depends on whether this host has a resolver.
        assert!(
            matches!(missing, Outcome::Inconclusive(Inconclusive::Unresolved) | Outcome::Fail(Failure::Name(_))),
            "{missing}"
        );
    }

    #[tokio::test]
    async fn a_look_up_leads_only_where_that_is_allowed() {
        let (to, mut requests) = server(&[OK]).await;
        let (mut spec, mut http) = check(to, Scheme::Http);
        http.host = "localhost".into();
        (spec.address, spec.kind) = (None, CheckKind::Http(http.into()));
        let outcome = prober().restricted(|address| !address.is_loopback()).probe(&spec).await.outcome;
        assert!(matches!(&outcome, Outcome::Fail(Failure::Name(what)) if what.contains("may not be probed")), "{outcome}");
        assert!(requests.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_weight_is_reported() {
        let (to, _requests) = server(&["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n 12x"]).await;
        assert_eq!(outcome(to, |_, http| http.weighs = true).await, Outcome::Pass { weight: 12 });
        assert_eq!(plain(to).await, Outcome::PASS);
    }

    #[tokio::test]
    async fn reading_stops_at_the_limit() {
        let to = custom(async |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nheal").await;
            std::future::pending().await
        })
        .await;
        let limited = |limit| {
            outcome(to, move |spec, http| {
                (spec.timeout, http.limit, http.body) = (Duration::from_millis(300), Some(limit), Some("heal".into()));
            })
        };
        assert_eq!(limited(4).await, Outcome::PASS, "the rest is not waited for");
        assert_eq!(limited(5).await, fail(Failure::Timeout));
    }

    #[tokio::test]
    async fn status() {
        let (to, _requests) = server(&["HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\nnever sent"]).await;
        assert_eq!(plain(to).await, fail(Failure::Status { got: 404, wanted: Codes::only(200) }));
        let (to, _requests) = server(&["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"]).await;
        assert_eq!(outcome(to, |_, http| http.status = Codes::only(204)).await, Outcome::PASS);
    }

    #[tokio::test]
    async fn the_text_is_found_across_chunks() {
        let (to, _requests) =
            server(&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n5\r\n heal\r\n4\r\nthy!\r\n0\r\n\r\n"])
                .await;
        assert_eq!(with_body(to, "healthy").await, Outcome::PASS);
        assert_eq!(with_body(to, "Healthy").await, fail(Failure::Body));
    }

    #[tokio::test]
    async fn a_body_may_end_with_the_connection() {
        let (to, _requests) = server(&["HTTP/1.0 200 OK\r\n\r\nhealthy"]).await;
        assert_eq!(with_body(to, "healthy").await, Outcome::PASS);
    }

    #[tokio::test]
    async fn early_ends() {
        for reply in [
            "",
            "HTTP/1.1 200 OK\r\nContent-",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhealthy",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhealthy\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhealthy\r\nno chunk\r\n",
        ] {
            let (to, _requests) = server(&[reply]).await;
            assert_eq!(with_body(to, "healthy").await, fail(Failure::Closed), "{reply:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_http() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(2 * MAX_BUFFER));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
        for reply in ["SSH-2.0-OpenSSH_9.6\r\n", "\0\x01\x02\x03\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", &endless, &many] {
            let (to, _requests) = server(&[reply]).await;
            assert!(matches!(plain(to).await, Outcome::Fail(Failure::Protocol(_))), "{reply:.40?} {:?}", plain(to).await);
        }
    }

    #[tokio::test]
    async fn sloppy_headers_pass_as_they_do_in_libcurl() {
        let (to, _requests) = server(&["HTTP/1.1 200\r\nA : b\r\nC: d\r\n e\r\nno colon\r\nContent-Length: 2\r\n\r\nok"]).await;
        assert_eq!(with_body(to, "ok").await, Outcome::PASS);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let at =
            |from: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n{}end{}", "x".repeat(from), "y".repeat(99));
        let (to, _requests) = server(&[&at(MAX_BODY - 3)]).await;
        assert_eq!(with_body(to, "end").await, Outcome::PASS);
        let (to, _requests) = server(&[&at(MAX_BODY - 2)]).await;
        assert_eq!(with_body(to, "end").await, fail(Failure::Body));
    }

    #[tokio::test]
    async fn an_endless_body_ends_at_the_limit() {
        let to = custom(async |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        })
        .await;
        assert_eq!(plain(to).await, Outcome::PASS);
    }

    #[tokio::test]
    async fn a_dribble_is_cut_by_the_time_limit() {
        let to = custom(async |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n").await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(outcome(to, |spec, _| spec.timeout = Duration::from_millis(200)).await, fail(Failure::Timeout));
    }

    #[tokio::test]
    async fn nobody_listens() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(plain(socket.local_addr().unwrap()).await, fail(Failure::Refused));
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_a_failure() {
        let (to, _requests) = server(&[OK]).await;
        let bad_host = outcome(to, |_, http| http.host = "a b".into()).await;
        assert!(matches!(bad_host, Outcome::Fail(Failure::Protocol(_))), "{bad_host:?}");
        let bad_agent = outcome(to, |_, http| http.user_agent = "a\r\nb: c".into()).await;
        assert!(matches!(bad_agent, Outcome::Fail(Failure::Protocol(_))), "{bad_agent:?}");
    }

    #[tokio::test]
    async fn redirects_to_the_same_host_stay_pinned() {
        let (to, mut requests) = server(&[
            "HTTP/1.1 301 Moved\r\nLocation: /a\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: b?c#d\r\n\r\n",
            "HTTP/1.1 303 See Other\r\nLocation: //WWW.example.test:PORT/e\r\n\r\n",
            "HTTP/1.1 307 Temporary\r\nLocation: http://www.example.test:PORT/f\r\n\r\n",
            "HTTP/1.1 308 Permanent\r\nLocation: ./g\r\n\r\n",
            OK,
        ])
        .await;
        assert_eq!(plain(to).await, Outcome::PASS);
        for path in ["/health?deep=1", "/a", "/b?c", "/e", "/f", "/g"] {
            let head = requests.recv().await.unwrap();
            assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\nHost: www.example.test:{}\r\n", to.port())), "{head}");
        }
    }

    #[test]
    fn default_ports_of_the_same_host_are_pinned_as_well() {
        let first = Url::parse("http://www.example.test:8080/").unwrap();
        for (url, pinned) in [
            ("http://www.example.test:8080/x", true),
            ("https://www.example.test:8080/x", true),
            ("http://www.example.test/", true),
            ("https://www.example.test/", true),
            ("https://www.example.test:8443/", false),
            ("http://example.test:8080/", false),
            ("http://127.0.0.1:8080/", false),
        ] {
            assert_eq!(is_own(&first, &Url::parse(url).unwrap()), pinned, "{url}");
        }
    }

    #[test]
    fn home_is_never_less_safe() {
        for (first, next, home) in [
            ("http://x.test:8080/", "https://x.test/", true),
            ("https://x.test/", "https://x.test/a", true),
            ("https://x.test/", "http://x.test/", false),
            ("http://x.test/", "http://y.test/", false),
        ] {
            assert_eq!(is_home(&Url::parse(first).unwrap(), &Url::parse(next).unwrap()), home, "{first} {next}");
        }
    }

    #[tokio::test]
    async fn redirects_elsewhere_are_not_pinned() {
        let (there, mut requests) = server(&[OK]).await;
        let (to, _requests) = server(&[&format!("HTTP/1.1 302 Found\r\nLocation: http://{there}/x\r\n\r\n")]).await;
        assert_eq!(plain(to).await, Outcome::PASS);
        assert!(requests.recv().await.unwrap().starts_with(&format!("GET /x HTTP/1.1\r\nHost: {there}\r\n")));
    }

    #[tokio::test]
    async fn redirects_lead_only_where_that_is_allowed() {
        let (there, mut requests) = server(&[OK]).await;
        for host in ["127.0.0.1", "[::ffff:127.0.0.1]"] {
            let location = format!("HTTP/1.1 302 Found\r\nLocation: http://{host}:{}/\r\n\r\n", there.port());
            let (to, _requests) = server(&[&location]).await;
            let (mut spec, http) = check(to, Scheme::Http);
            spec.kind = CheckKind::Http(http.into());
            let report = prober().restricted(|address| address != IpAddr::from([127, 0, 0, 1])).probe(&spec).await;
            let refused = Failure::Redirect("127.0.0.1 may not be probed".into());
            assert_eq!(report.outcome, Outcome::Fail(refused), "{host}");
        }
        assert!(requests.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_a_failure_unless_nobody_can_tell() {
        let (to, _requests) = server(&["HTTP/1.1 302 Found\r\nLocation: http://x.invalid/\r\n\r\n"]).await;
        let found = outcome(to, |spec, _| spec.timeout = Duration::from_secs(3)).await;
        // Which of the two depends on whether this host has a resolver.
        assert!(
            matches!(found, Outcome::Inconclusive(Inconclusive::Unresolved) | Outcome::Fail(Failure::Redirect(_))),
            "{found}"
        );
        let said = |text: &str| not_found(&io::Error::other(format!("failed to lookup address information: {text}")));
        assert_eq!(said("Temporary failure in name resolution"), Inconclusive::Unresolved.into());
        assert_eq!(said("Name or service not known"), Failure::Redirect("the name does not exist".into()).into());
    }

    #[tokio::test]
    async fn silence_of_the_resolver_is_no_failure() {
        let (to, _requests) = server(&["HTTP/1.1 302 Found\r\nLocation: http://x.invalid/\r\n\r\n"]).await;
        let (mut spec, http) = check(to, Scheme::Http);
        (spec.kind, spec.timeout) = (CheckKind::Http(http.into()), Duration::from_millis(200));
        let prober = prober();
        let _all = prober.shared.client.lookups.acquire_many(MAX_LOOKUPS as u32).await.unwrap();
        assert_eq!(prober.probe(&spec).await.outcome, Outcome::Inconclusive(Inconclusive::Unresolved));
    }

    #[tokio::test]
    async fn bad_redirects() {
        for location in ["Location: ftp://www.example.test/\r\n", "Location: http://:/\r\n", ""] {
            let (to, _requests) = server(&[&format!("HTTP/1.1 302 Found\r\n{location}\r\n")]).await;
            assert!(matches!(plain(to).await, Outcome::Fail(Failure::Redirect(_))), "{location:?} {:?}", plain(to).await);
        }
    }

    #[test]
    fn a_location_may_be_utf8_and_nothing_else() {
        let url = Url::parse("http://www.example.test/").unwrap();
        let next = |bytes| next_url(&url, &HeaderValue::from_bytes(bytes).unwrap());
        assert_eq!(next("/\u{fc}".as_bytes()).unwrap().as_str(), "http://www.example.test/%C3%BC");
        assert!(matches!(next(b"/\xfc"), Err(Failure::Redirect(_))));
    }

    #[tokio::test]
    async fn a_loop_ends_after_ten_redirects() {
        let (to, mut requests) = server(&["HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"]).await;
        assert_eq!(plain(to).await, fail(Failure::Redirect("more than 10".into())));
        let mut asked = 0;
        while requests.try_recv().is_ok() {
            asked += 1;
        }
        assert_eq!(asked, 1 + MAX_REDIRECTS);
    }

    #[tokio::test]
    async fn an_expected_redirect_is_followed_where_it_leads_anywhere() {
        let expect = |to| outcome(to, |_, http| http.status = Codes::only(302));
        let (to, _requests) = server(&["HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", OK]).await;
        assert_eq!(expect(to).await, fail(Failure::Status { got: 200, wanted: Codes::only(302) }));
        let (to, _requests) = server(&["HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"]).await;
        assert_eq!(expect(to).await, Outcome::PASS);
        let (to, _requests) = server(&["HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"]).await;
        assert_eq!(expect(to).await, fail(Failure::Status { got: 301, wanted: Codes::only(302) }));
    }

    /// Shows one certificate to everybody, readable or not, and keeps the names it was asked for.
    #[derive(Debug)]
    struct Shown(Arc<CertifiedKey>, Mutex<Vec<Option<String>>>);

    impl Shown {
        fn new(certificate: Option<CertificateDer<'static>>, key_fits: bool) -> Arc<Self> {
            let made = rcgen::generate_simple_self_signed([HOST_NAME.to_owned()]).unwrap();
            let key = if key_fits { made.signing_key } else { rcgen::KeyPair::generate().unwrap() };
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
            let certificate = certificate.unwrap_or_else(|| made.cert.der().clone());
            Arc::new(Self(Arc::new(CertifiedKey::new(vec![certificate], key)), Mutex::default()))
        }
    }

    impl ResolvesServerCert for Shown {
        fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            self.1.lock().unwrap().push(hello.server_name().map(str::to_owned));
            Some(Arc::clone(&self.0))
        }
    }

    /// An HTTPS server that hangs up without `close_notify`.
    async fn secure(shown: &Arc<Shown>, version: &'static rustls::SupportedProtocolVersion, reply: &'static str) -> SocketAddr {
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(shown) as _);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (listener, to) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = read_head(&mut stream).await;
                let _ = stream.write_all(reply.as_bytes()).await;
                let _ = stream.flush().await;
            }
        });
        to
    }

    async fn https(to: SocketAddr, host: &str) -> Outcome {
        let change = |_: &mut CheckSpec, http: &mut HttpCheck| {
            (http.scheme, http.host, http.body) = (Scheme::Https, host.into(), Some("ok".into()));
        };
        outcome(to, change).await
    }

    #[tokio::test]
    async fn https_takes_any_certificate_and_asks_for_the_urls_host() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let shown = Shown::new(None, true);
            let to = secure(&shown, version, OK).await;
            for host in [HOST_NAME, "other.example.test", "127.0.0.1"] {
                assert_eq!(https(to, host).await, Outcome::PASS, "{host}");
            }
            let asked = shown.1.lock().unwrap().clone();
            assert_eq!(asked, [Some(HOST_NAME.to_owned()), Some("other.example.test".to_owned()), None]);
        }
    }

    #[tokio::test]
    async fn a_certificate_is_verified_where_that_is_asked_for() {
        let to = secure(&Shown::new(None, true), &rustls::version::TLS13, OK).await;
        let verified = outcome(to, |_, http| (http.scheme, http.verify) = (Scheme::Https, true)).await;
        // Which of the two depends on whether this host has a trust store; the certificate is in none.
        let unknown = |failure: &Failure| matches!(failure, Failure::Tls(what) if what.contains("UnknownIssuer"));
        assert!(
            matches!(&verified, Outcome::Fail(failure) if unknown(failure))
                || verified == Outcome::Inconclusive(Inconclusive::NoTrust),
            "{verified}"
        );
    }

    #[tokio::test]
    async fn a_certificate_need_not_be_readable_but_the_key_must_fit() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let unreadable = Shown::new(Some(CertificateDer::from(vec![0x30, 0x00])), true);
            assert_eq!(https(secure(&unreadable, version, OK).await, HOST_NAME).await, Outcome::PASS);
            let misfit = https(secure(&Shown::new(None, false), version, OK).await, HOST_NAME).await;
            assert!(matches!(misfit, Outcome::Fail(Failure::Tls(_))), "{misfit:?}");
        }
    }

    #[tokio::test]
    async fn hanging_up_without_close_notify_ends_a_body_only_where_http_lets_it() {
        let shown = Shown::new(None, true);
        let open = secure(&shown, &rustls::version::TLS13, "HTTP/1.1 200 OK\r\n\r\nok").await;
        assert_eq!(https(open, HOST_NAME).await, Outcome::PASS);
        let short = secure(&shown, &rustls::version::TLS13, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok").await;
        assert_eq!(https(short, HOST_NAME).await, fail(Failure::Closed));
    }

    #[tokio::test]
    async fn what_is_not_tls() {
        let to = custom_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let outcome = https(to, HOST_NAME).await;
        assert!(matches!(outcome, Outcome::Fail(Failure::Tls(_))), "{outcome:?}");
        let to = custom_raw(b"").await;
        assert_eq!(https(to, HOST_NAME).await, fail(Failure::Closed));
    }

    /// Sends `reply` to whatever comes, reads to the end, hangs up.
    async fn custom_raw(reply: &'static [u8]) -> SocketAddr {
        let (listener, to) = listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(reply).await;
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        to
    }

    #[tokio::test]
    async fn whoever_speaks_first_does_not_speak_http() {
        let (listener, to) = listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"220 mail.example.test ESMTP\r\n").await;
                let _ = read_head(&mut stream).await;
            }
        });
        let outcome = plain(to).await;
        assert!(matches!(outcome, Outcome::Fail(Failure::Protocol(_) | Failure::Closed)), "{outcome:?}");
    }
}
