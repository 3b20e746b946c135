//! Tells: opens a session where there is none, carries a bulletin in it, and says how that went.
//!
//! Each peer has a client of its own, which keeps one connection. A bulletin that is refused for its session is carried once
//! more in a new one; anything else is for the engine to try again, with what is new by then. A reply that is not authentic
//! counts as none. After a failure of whatever kind, the next bulletin begins with a hello.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use reqwest::{Client, Response};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::MutexGuard;
use tokio::time::timeout;

use super::form::{self, Greeting, HELLO_MAX, Packed};
use super::hear::{read_encoding, read_mac, write_digest, write_mac};
use super::secret::{Asked, Seal, reply_text, sign};
use super::session::{Nonce, Session, Stamp, Teller};
use super::{
    BULLETIN, DIGEST, Desk, ENTRIES_MAX, Exchange, FROM, HELLO, LONG, Link, MAC, MANY, Refusal, Remote, SEQUENCE, SESSION,
    Stated, TO, Tls, Unfit, for_length,
};
use crate::health::{Bulletin, Receipt};

/// The time for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The bounds of the time for a message.
const LIMIT_MIN: Duration = Duration::from_secs(3);
const LIMIT_MAX: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next bulletin: the hearer keeps it longer.
const IDLE: Duration = Duration::from_secs(20);
/// Most octets of a receipt, and of a problem.
const SHORT: usize = 4 << 10;

/// Why a bulletin did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// There is no such peer.
    #[error("no such peer is configured")]
    Unknown,
    /// It has more than [`ENTRIES_MAX`] entries.
    #[error("it has more than {ENTRIES_MAX} entries")]
    Long,
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
    /// The peer refuses it.
    #[error("refused as {}", .0.as_str())]
    Refused(Refusal),
    /// Something else than a peer answers, or one that is stopping.
    #[error("the answer is HTTP status {0}")]
    Answered(u16),
    /// The answer is not authentic, or cannot be read.
    #[error("the answer is {}", .0.as_str())]
    Garbled(Refusal),
    /// We are stopping.
    #[error("given up")]
    GivenUp,
}

/// Carries bulletins to peers.
pub struct Courier<D> {
    exchange: Arc<Exchange>,
    desk: Arc<D>,
    runtime: Handle,
}

impl<D: Desk> Courier<D> {
    /// One whose tasks run on `runtime`, and that says to `desk` how it went.
    #[must_use]
    pub const fn new(exchange: Arc<Exchange>, desk: Arc<D>, runtime: Handle) -> Self {
        Self { exchange, desk, runtime }
    }

    /// Tells `peer` this, whose incarnation is the exchange's; how it ends is said to [`Desk::told`]. Never waits. Bulletins for
    /// one peer are carried one after the other.
    pub fn tell(&self, peer: &str, bulletin: Arc<Bulletin>) {
        let link = self.exchange.link(peer);
        let name = link.as_ref().map_or_else(|| peer.into(), |link| Arc::clone(&link.remote.name));
        let promise = Promise { desk: Arc::clone(&self.desk), peer: name, result: Err(Undelivered::GivenUp) };
        let (exchange, desk) = (Arc::clone(&self.exchange), Arc::clone(&self.desk));
        self.runtime.spawn(async move {
            let result = match link {
                Some(link) => Errand { exchange, desk, link }.run(bulletin).await,
                None => Err(Undelivered::Unknown),
            };
            promise.keep(result);
        });
    }
}

/// That it will be said how it went, whatever becomes of the task.
struct Promise<D: Desk> {
    desk: Arc<D>,
    peer: Arc<str>,
    result: Result<Receipt, Undelivered>,
}

impl<D: Desk> Promise<D> {
    fn keep(mut self, result: Result<Receipt, Undelivered>) {
        self.result = result;
    }
}

impl<D: Desk> Drop for Promise<D> {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Err(Undelivered::GivenUp));
        self.desk.told(&self.peer, result);
    }
}

/// One bulletin on its way.
struct Errand<D> {
    exchange: Arc<Exchange>,
    desk: Arc<D>,
    link: Arc<Link>,
}

impl<D: Desk> Errand<D> {
    async fn run(&self, bulletin: Arc<Bulletin>) -> Result<Receipt, Undelivered> {
        let long = bulletin.entries.len() > MANY;
        let packed = self.exchange.apart(long, move || form::bulletin(&bulletin)).await.ok_or(Undelivered::GivenUp)?;
        let body = Body::from(packed.ok_or(Undelivered::Long)?);
        let result = self.carry(&body, &mut self.link.state.teller.lock().await).await;
        self.link.state.tally.told(result.is_ok(), (self.exchange.clock)());
        result
    }

    async fn carry(&self, body: &Body, teller: &mut MutexGuard<'_, Teller>) -> Result<Receipt, Undelivered> {
        let mut again = true;
        loop {
            let Stamp { session, sequence } = self.stamp(teller).await?;
            match self.post(BULLETIN, Some((session, sequence)), body, SHORT).await {
                Ok(Packed { gzip, octets }) => return form::read_receipt(gzip, &octets).map_err(Undelivered::Garbled),
                Err(Undelivered::Refused(why @ (Refusal::NoSession | Refusal::Replayed))) => {
                    teller.refused(&session);
                    if !std::mem::replace(&mut again, false) {
                        return Err(Undelivered::Refused(why));
                    }
                }
                Err(other) => {
                    // A refusal of the session may be what was lost: a hearer that is done with us before it has read all of a
                    // long body resets the connection, and its answer goes with it.
                    teller.refused(&session);
                    return Err(other);
                }
            }
        }
    }

    /// The place of the next bulletin, in a new session if need be.
    async fn stamp(&self, teller: &mut Teller) -> Result<Stamp, Undelivered> {
        let stated = self.exchange.stated.load_full();
        if let Some(stamp) = teller.stamp(stated.number) {
            return Ok(stamp);
        }
        self.greet(teller, &stated).await?;
        teller.stamp(stated.number).ok_or(Undelivered::GivenUp)
    }

    async fn greet(&self, teller: &mut Teller, stated: &Arc<Stated>) -> Result<(), Undelivered> {
        let nonce = super::random().map(Nonce).map_err(|error| Undelivered::Unreachable(error.to_string()))?;
        let (end, ours) = (teller.greet(nonce, stated.number), Arc::clone(stated));
        let long = ours.facts.is_long();
        let packed = self.exchange.apart(long, move || form::hello(&Greeting { end, facts: ours.facts.clone() })).await;
        let body = Body::from(packed.ok_or(Undelivered::GivenUp)?);
        let Packed { gzip, octets } = self.post(HELLO, None, &body, HELLO_MAX).await?;
        let long = octets.len() > LONG;
        let read = self.exchange.apart(long, move || form::read_welcome(gzip, &octets)).await.ok_or(Undelivered::GivenUp)?;
        let Greeting { end: hearer, facts } = read.map_err(Undelivered::Garbled)?;
        teller.greeted(nonce, hearer).map_err(Undelivered::Garbled)?;
        if self.link.state.meets(hearer.incarnation, facts) {
            self.desk.met(&self.link.remote.name);
        }
        Ok(())
    }

    /// One request: the body of its authentic reply, at most so long.
    async fn post(
        &self,
        path: &'static str,
        place: Option<(Session, u64)>,
        body: &Body,
        most: usize,
    ) -> Result<Packed, Undelivered> {
        let within = self.link.limit + for_length(body.octets.len());
        let answer = timeout(within, self.ask(path, place, body, most)).await;
        answer.unwrap_or_else(|_| Err(Undelivered::Unreachable(format!("no answer within {within:?}"))))
    }

    async fn ask(
        &self,
        path: &'static str,
        place: Option<(Session, u64)>,
        body: &Body,
        most: usize,
    ) -> Result<Packed, Undelivered> {
        let Remote { name, url, secrets } = &self.link.remote;
        let node = Arc::clone(&self.exchange.roster.load().config.node);
        let asked = Asked { path, from: &node, to: name, place, seal: body.seal };
        let mac = sign(&secrets.first(), &asked.text());
        let mut url = url.clone();
        url.set_path(path);
        let mut request = self.link.client.post(url).body(body.octets.clone());
        request = request.header(header::CONTENT_TYPE, "application/json").header(FROM, &*node).header(TO, &**name);
        request = request.header(DIGEST, write_digest(&body.seal.digest)).header(MAC, write_mac(&mac));
        if body.seal.gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        if let Some((session, sequence)) = place {
            request = request.header(SESSION, format!("{:032x}", session.id().0)).header(SEQUENCE, sequence);
        }
        self.link.state.tally.sent(body.octets.len());
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        if response.status() != http::StatusCode::OK {
            return Err(self.problem(response).await);
        }
        let said = response.headers().get(MAC).and_then(|mac| mac.to_str().ok()).and_then(read_mac);
        let gzip = read_encoding(response.headers()).ok_or(Undelivered::Garbled(Refusal::Malformed))?;
        let octets = self.receive(response, most).await?;
        let text = reply_text(&mac, &Seal::of(gzip, &octets));
        match said.and_then(|said| secrets.verify(&text, &said)) {
            Some(_) => Ok(Packed { gzip, octets }),
            None => Err(Undelivered::Garbled(Refusal::Forged)),
        }
    }

    /// What a reply says that is not what was hoped for.
    async fn problem(&self, response: Response) -> Undelivered {
        #[derive(Deserialize)]
        struct Problem<'a> {
            r#type: &'a str,
        }
        let status = response.status();
        let body = self.receive(response, SHORT).await.unwrap_or_default();
        let refusal = serde_json::from_slice(&body).ok().and_then(|Problem { r#type }| Refusal::named(r#type));
        refusal.filter(|refusal| refusal.status() == status).map_or(Undelivered::Answered(status.as_u16()), Undelivered::Refused)
    }

    async fn receive(&self, mut response: Response, most: usize) -> Result<Vec<u8>, Undelivered> {
        let mut octets = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if octets.len() + chunk.len() > most {
                return Err(Undelivered::Garbled(Refusal::Oversized));
            }
            octets.extend_from_slice(&chunk);
        }
        self.link.state.tally.received(octets.len());
        Ok(octets)
    }
}

/// A body that may be sent more than once.
struct Body {
    octets: Bytes,
    seal: Seal,
}

impl From<Packed> for Body {
    fn from(Packed { gzip, octets }: Packed) -> Self {
        Self { seal: Seal::of(gzip, &octets), octets: octets.into() }
    }
}

/// How long a short message may take: no longer than until the next is due, as far as that leaves time for the way, and for a
/// connection that has to be made first.
pub(super) fn limit(interval: Duration) -> Duration {
    interval.clamp(LIMIT_MIN, LIMIT_MAX)
}

/// The client for a peer: it goes there directly, and nowhere else.
pub(super) fn client(remote: &Remote, tls: Option<&Tls>) -> Result<Client, Unfit> {
    // Refused only where a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).http1_only().tcp_nodelay(true);
    let builder = builder.connect_timeout(CONNECT_WITHIN).pool_idle_timeout(IDLE).pool_max_idle_per_host(1).referer(false);
    let builder = match tls {
        Some(tls) => builder.tls_backend_preconfigured(tls.client(&remote.name, !remote.secrets.is_empty())?),
        None if remote.url.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|source| Unfit::Client { peer: Arc::clone(&remote.name), source })
}

/// The innermost cause, which says the most.
fn unreachable(error: &reqwest::Error) -> Undelivered {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Undelivered::Unreachable(cause.to_string())
}
