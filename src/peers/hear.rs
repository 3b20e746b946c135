//! Hears: judges requests in the order head, authentication, body, meaning, and answers them.
//!
//! Each step sees only what the one before has let through. What fails is answered with a problem (RFC 9457) whose type is the
//! [`Refusal`], and says no more than that.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use ring::hmac;
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::form::{self, BODY_MAX, Greeting, HELLO_MAX, Packed};
use super::secret::{Asked, Mac, Seal, reply_text, sign};
use super::session::{Accepted, Nonce};
use super::{BULLETIN, DIGEST, Desk, Exchange, FROM, HELLO, LONG, Link, MAC, Refusal, SEQUENCE, SESSION, TO, for_length, tls};

/// The time for a short body, and for what is heard before it.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// The certificate that the other side of a connection has shown.
#[derive(Clone)]
pub(super) struct Shown(pub(super) Option<CertificateDer<'static>>);

/// The paths of the protocol.
pub(super) fn router<D: Desk>(exchange: Arc<Exchange>, desk: Arc<D>) -> Router {
    let hearing = Hearing { exchange, desk };
    Router::new()
        .route(HELLO, post(hello::<D>).fallback(not_post::<D>))
        .route(BULLETIN, post(bulletin::<D>).fallback(not_post::<D>))
        .fallback(no_path::<D>)
        .with_state(hearing)
}

struct Hearing<D> {
    exchange: Arc<Exchange>,
    desk: Arc<D>,
}

impl<D> Clone for Hearing<D> {
    fn clone(&self) -> Self {
        Self { exchange: Arc::clone(&self.exchange), desk: Arc::clone(&self.desk) }
    }
}

/// Why a request has no other answer.
#[derive(Clone, Copy, Debug)]
enum Problem {
    Refused(Refusal),
    Stopping,
    NoPath,
    NotPost,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Problem {
    const fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Refused(refusal) => (refusal.status(), refusal.as_str(), refusal.title()),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", "This node is stopping"),
            Self::NoPath => (StatusCode::NOT_FOUND, "not_found", "Nothing is here"),
            Self::NotPost => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "POST is what is taken here"),
        }
    }

    /// As what it is counted.
    const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Stopping => None,
            Self::NoPath | Self::NotPost => Some(Refusal::Malformed),
        }
    }

    /// Whether the sender may go on with the connection: it is one of us, as far as can be told.
    const fn is_friendly(self) -> bool {
        matches!(self, Self::Refused(Refusal::NoSession | Refusal::Replayed))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind, title) = self.words();
        let body = serde_json::json!({ "type": kind, "title": title, "status": status.as_u16() }).to_string();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self, Self::NotPost) {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if !self.is_friendly() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        (status, headers, body).into_response()
    }
}

async fn hello<D: Desk>(State(hearing): State<Hearing<D>>, request: Request) -> Response {
    let result = hearing.hello(request).await;
    hearing.answer(result)
}

async fn bulletin<D: Desk>(State(hearing): State<Hearing<D>>, request: Request) -> Response {
    let result = hearing.bulletin(request).await;
    hearing.answer(result)
}

async fn no_path<D: Desk>(State(hearing): State<Hearing<D>>) -> Response {
    hearing.answer(Err(Problem::NoPath))
}

async fn not_post<D: Desk>(State(hearing): State<Hearing<D>>) -> Response {
    hearing.answer(Err(Problem::NotPost))
}

impl<D: Desk> Hearing<D> {
    fn answer(&self, result: Result<Response, Problem>) -> Response {
        result.unwrap_or_else(|problem| {
            if let Some(refusal) = problem.refusal() {
                self.exchange.refused.count(refusal);
            }
            problem.into_response()
        })
    }

    async fn hello(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let (from, link) = self.sender(&parts)?;
        let head = Head::read(&parts.headers)?;
        let asked = Asked { path: HELLO, from, to: &self.exchange.roster.load().config.node, place: None, seal: head.seal };
        let key = link.remote.secrets.verify(&asked.text(), &head.mac).ok_or(Refusal::Forged)?;
        let octets = receive(body, &head, HELLO_MAX).await?;
        link.state.tally.received(octets.len());
        let (gzip, long) = (head.seal.gzip, octets.len() > LONG);
        let read = self.exchange.apart(long, move || form::read_hello(gzip, &octets)).await.ok_or(Problem::Stopping)?;
        let (version, Greeting { end, facts }) = read?;
        let nonce = super::random().map_err(|_| Problem::Stopping)?;
        let session = link.state.hearer().hello(end, Nonce(nonce), facts);
        let ours = self.exchange.stated.load_full();
        let long = long || ours.facts.is_long();
        let welcome = move || form::welcome(version, &Greeting { end: session.hearer, facts: ours.facts.clone() });
        let packed = self.exchange.apart(long, welcome).await.ok_or(Problem::Stopping)?;
        Ok(reply(&link, &key, &head.mac, packed))
    }

    async fn bulletin(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let (from, link) = self.sender(&parts)?;
        let head = Head::read(&parts.headers)?;
        let (id, sequence) = place(&parts.headers).ok_or(Refusal::Malformed)?;
        let session = link.state.hearer().session(id).ok_or(Refusal::NoSession)?;
        let to = Arc::clone(&self.exchange.roster.load().config.node);
        let asked = Asked { path: BULLETIN, from, to: &to, place: Some((session, sequence)), seal: head.seal };
        let key = link.remote.secrets.verify(&asked.text(), &head.mac).ok_or(Refusal::Forged)?;
        link.state.hearer().judge(id, sequence)?;
        let _turn = timeout(BODY_WITHIN, link.state.hearing.lock()).await.map_err(|_| Refusal::Slow)?;
        let octets = receive(body, &head, BODY_MAX).await?;
        link.state.tally.received(octets.len());
        let (gzip, long, life) = (head.seal.gzip, octets.len() > LONG, session.teller.incarnation);
        let read = self.exchange.apart(long, move || form::read_bulletin(life, gzip, &octets)).await;
        let bulletin = read.ok_or(Problem::Stopping)??;
        let accepted = link.state.hearer().accept(id, sequence)?;
        link.state.tally.heard((self.exchange.clock)());
        if let Accepted::Begun(facts) = accepted
            && link.state.meets(life, facts)
        {
            self.desk.met(&link.remote.name);
        }
        let receipt = self.desk.heard(&link.remote.name, bulletin).await.ok_or(Problem::Stopping)?;
        Ok(reply(&link, &key, &head.mac, form::receipt(receipt)))
    }

    /// Who sends, as far as it says: one of our peers, to us, with its own certificate where that is all that it is known by.
    fn sender<'p>(&self, parts: &'p Parts) -> Result<(&'p str, Arc<Link>), Refusal> {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let (from, to) = text(FROM).zip(text(TO)).ok_or(Refusal::Stranger)?;
        let roster = self.exchange.roster.load();
        let link = roster.links.get(from).filter(|_| to == &*roster.config.node).ok_or(Refusal::Stranger)?;
        let shown = parts.extensions.get::<Shown>().and_then(|Shown(certificate)| certificate.as_ref());
        let is_known = !link.remote.secrets.is_empty() || shown.is_some_and(|shown| tls::is_of(shown, from));
        is_known.then(|| (from, Arc::clone(link))).ok_or(Refusal::Stranger)
    }
}

/// What of a head every message has.
struct Head {
    mac: Mac,
    seal: Seal,
    /// Octets of the body.
    length: usize,
}

impl Head {
    fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let length = text("content-length").and_then(|text| text.parse().ok());
        let digest = text(DIGEST).and_then(read_digest);
        let mac = text(MAC).and_then(read_mac);
        let (Some(length), Some(digest), Some(mac)) = (length, digest, mac) else { return Err(Refusal::Malformed) };
        let gzip = read_encoding(headers).ok_or(Refusal::Malformed)?;
        Ok(Self { mac, seal: Seal { gzip, digest }, length })
    }
}

/// Session and number of a bulletin.
fn place(headers: &HeaderMap) -> Option<(Nonce, u64)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let id = form::number(text(SESSION)?, 32)?;
    let sequence = text(SEQUENCE)?;
    let sound = sequence.bytes().all(|octet| octet.is_ascii_digit()) && !sequence.starts_with('0');
    Some((Nonce(id), sequence.parse().ok().filter(|_| sound)?))
}

/// Whether a body is compressed; `None`: in a way that we do not know.
pub(super) fn read_encoding(headers: &HeaderMap) -> Option<bool> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => Some(false),
        Some(b"gzip") => Some(true),
        Some(_) => None,
    }
}

pub(super) fn read_mac(text: &str) -> Option<Mac> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The code as a header.
pub(super) fn write_mac(mac: &Mac) -> String {
    BASE64URL_NOPAD.encode(mac)
}

fn read_digest(text: &str) -> Option<[u8; 32]> {
    let text = text.strip_prefix("sha-256=:")?.strip_suffix(':')?;
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The digest as a header.
pub(super) fn write_digest(digest: &[u8; 32]) -> String {
    format!("sha-256=:{}:", BASE64.encode(digest))
}

/// The body that the head has announced, if it is that.
async fn receive(body: Body, head: &Head, most: usize) -> Result<Vec<u8>, Refusal> {
    if head.length > most {
        return Err(Refusal::Oversized);
    }
    let octets =
        timeout(BODY_WITHIN + for_length(head.length), collect(body, head.length)).await.map_err(|_| Refusal::Slow)??;
    (Seal::of(head.seal.gzip, &octets) == head.seal).then_some(octets).ok_or(Refusal::Forged)
}

async fn collect(mut body: Body, length: usize) -> Result<Vec<u8>, Refusal> {
    let mut octets = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Malformed)?.into_data() else { continue };
        if octets.len() + data.len() > length {
            return Err(Refusal::Oversized);
        }
        octets.extend_from_slice(&data);
    }
    (octets.len() == length).then_some(octets).ok_or(Refusal::Malformed)
}

/// An authentic reply to the request with this code.
fn reply(link: &Link, key: &hmac::Key, asked: &Mac, Packed { gzip, octets }: Packed) -> Response {
    link.state.tally.sent(octets.len());
    let mac = sign(key, &reply_text(asked, &Seal::of(gzip, &octets)));
    let mut response = Response::new(Body::from(octets));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.extend(HeaderValue::try_from(write_mac(&mac)).ok().map(|mac| (http::HeaderName::from_static(MAC), mac)));
    response
}
