//! The exchange between nodes: what each sees of its checks, carried over HTTP on a listener of its own.
//!
//! This is a carrier. What a [`Bulletin`] is for, who tells whom and when, and what becomes of it is [`crate::health`]'s and
//! the engine's business; here it gets to the other node whole, in order, once, and from whom it says it is, or not at all.
//!
//! - [`Exchange`]: what both directions share: who the peers are, the state of each session, what was counted.
//! - [`Listeners`]: hears. [`Courier`]: tells. [`Desk`]: what becomes of it.
//! - [`session`]: the rules of sessions, as state machines without I/O.
//! - `secret`, `tls`: how messages and nodes are known. `form`: what messages look like. `tally`: what is counted.
//!
//! # Protocol, version 1
//!
//! HTTP/1.1 (RFC 9112) with JSON bodies; `deploy/peers.openapi.json` has every path, status, header and field. The node that has
//! something to say is the client.
//!
//! `POST /peer/v1/hello` opens a session: each side gives the versions that it speaks, its incarnation (128 random bits of this
//! process), a nonce (128 random bits of this session), and its [`Facts`]. The reply's authentication covers the hello, so
//! another time's reply is refused; and a hello alone changes nothing at the hearer but that it waits, among
//! [`session::PENDING_MAX`], for the first bulletin that fits. Only that makes it the current session, in the place of the one
//! before.
//!
//! `POST /peer/v1/bulletin` carries one [`Bulletin`] in a session. Its number is greater than the last that was accepted. Refused
//! as `no_session` or `replayed`, the sender says hello again and repeats it: so a node that has forgotten everything, or was set
//! back to an older state of itself, is back after one exchange, and no clock is compared with another's.
//!
//! | header | what |
//! | --- | --- |
//! | `Peer-From`, `Peer-To` | `[node] name` of the sender and of the receiver |
//! | `Peer-Session` | the nonce that the hearer gave, 32 hexadecimal digits |
//! | `Peer-Sequence` | the bulletin's number in the session, from 1 |
//! | `Content-Digest` | `sha-256` of the body as it is sent (RFC 9530) |
//! | `Content-Encoding` | `gzip`, or absent |
//! | `Peer-Mac` | HMAC-SHA-256 in base64url without padding (RFC 4648 5) |
//!
//! The code of a request is over: a label of version and direction, method, path, sender, receiver, then for a bulletin both
//! incarnations, both nonces and the number (72 octets), whether the body is compressed, and its digest. That of a reply is over:
//! its label, the code of the request, whether the body is compressed, and its digest. Each field has its length before it, in
//! eight octets. Replies other than 200 have no code: all that they bring about is another hello.
//!
//! What a stranger can do is bounded: connections in all and from one address, the time for a handshake, a head and a body, the
//! octets of a body as sent and unpacked. The code is judged before any of the body is read, and the body's digest before any of
//! it is understood. What is refused has changed nothing, and is counted by its [`Refusal`].
//!
//! # Secrets and certificates
//!
//! `[peers] secret_files` are the fleet's; the first signs, any is accepted. `[peer.NAME] key_file` is a secret between this node
//! and that one alone, in the place of the fleet's; the other node has the same in its own `[peer.NAME]` about this one. With
//! `[peers.tls]` both sides show certificates besides; without any secret, a node is the one that its certificate names.
//!
//! Never here: a verdict, a vote, the engine's state.

mod courier;
mod form;
mod hear;
mod listen;
mod refusal;
mod secret;
pub mod session;
mod tally;
mod tls;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Mutex as Turn, Semaphore};
use url::Url;

use crate::health::{Bulletin, Incarnation, Moment, Receipt};
pub use courier::{Courier, Undelivered};
pub use form::{Digest, ENTRIES_MAX, Facts, VERSIONS, ZoneFacts, holds};
pub use listen::{ListenError, Listeners};
pub use refusal::Refusal;
pub use secret::{SECRET_MIN, Secrets};
use session::{Acquaintance, Hearer, Teller};
pub use tally::Counts;
use tally::{Refused, Tally};
pub use tls::{Tls, TlsError};

/// Where hellos and bulletins go.
const HELLO: &str = "/peer/v1/hello";
const BULLETIN: &str = "/peer/v1/bulletin";
/// The headers of the protocol.
const FROM: &str = "peer-from";
const TO: &str = "peer-to";
const SESSION: &str = "peer-session";
const SEQUENCE: &str = "peer-sequence";
const MAC: &str = "peer-mac";
const DIGEST: &str = "content-digest";
/// Long bodies that are packed or unpacked at a time: each takes some megabytes and a while.
const AT_A_TIME: usize = 2;
/// A body longer than this, or of more entries, is packed and unpacked on a thread for such work.
const LONG: usize = 16 << 10;
const MANY: usize = 512;

/// `[peers]` and each `[peer.NAME]`, as far as it is the exchange that they concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Our `[node] name`.
    pub node: Arc<str>,
    /// Where we hear.
    pub listen: Vec<SocketAddr>,
    /// From one heartbeat to the next; a message that takes longer than about this is given up.
    pub interval: Duration,
    /// What we show and whom we believe; `None`: HTTP without TLS at our listener.
    pub tls: Option<Tls>,
    /// The others.
    pub peers: Vec<Remote>,
}

/// `[peer.NAME]`: another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its `[node] name`.
    pub name: Arc<str>,
    /// Scheme, host and port of its listener.
    pub url: Url,
    /// What we share with it; none: it is known by its certificate alone.
    pub secrets: Secrets,
}

/// What becomes of what peers say.
pub trait Desk: Send + Sync + 'static {
    /// A bulletin of an accepted session, in the order they were told: what we have afterwards. `None`: it cannot be taken in now,
    /// since we are stopping. Of one peer there is one at a time.
    fn heard(&self, peer: &Arc<str>, bulletin: Bulletin) -> impl Future<Output = Option<Receipt>> + Send;

    /// A peer has shown to be in another life than it was met in before, or is met for the first time: it is to be told
    /// everything. Said before the bulletin that showed it is heard.
    fn met(&self, peer: &Arc<str>);

    /// How a [`Courier::tell`] ended. Said once for each, from a task of its own.
    fn told(&self, peer: &Arc<str>, result: Result<Receipt, Undelivered>);
}

/// Why an exchange cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// TLS with these certificates.
    #[error("[peers.tls]: {0}")]
    Tls(#[from] rustls::Error),
    /// The client for a peer.
    #[error("[peer.{peer}]: no client can be made: {source}")]
    Client {
        /// Which.
        peer: Arc<str>,
        /// Why.
        source: reqwest::Error,
    },
}

/// What telling and hearing share.
pub struct Exchange {
    incarnation: Incarnation,
    clock: fn() -> Moment,
    roster: ArcSwap<Roster>,
    stated: ArcSwap<Stated>,
    refused: Refused,
    long: Arc<Semaphore>,
}

/// What we state of ourselves, numbered.
struct Stated {
    number: u64,
    facts: Facts,
}

/// The peers under one configuration.
struct Roster {
    config: Config,
    server: Option<Arc<rustls::ServerConfig>>,
    links: HashMap<Arc<str>, Arc<Link>>,
}

/// A peer under one configuration.
struct Link {
    remote: Remote,
    /// How long one message for it may take, besides what its length takes.
    limit: Duration,
    client: reqwest::Client,
    state: Arc<State>,
}

/// What of a peer outlives a configuration.
struct State {
    hearer: Mutex<Hearer<Facts>>,
    /// Held by the bulletin that is being heard.
    hearing: Turn<()>,
    /// Held by the bulletin that is being told.
    teller: Turn<Teller>,
    met: Mutex<Acquaintance>,
    facts: ArcSwapOption<Facts>,
    tally: Tally,
}

/// A peer, as the exchange knows it.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub url: Url,
    /// What was counted.
    pub counts: Counts,
    /// What it stated of itself last; `None`: it was never met.
    pub facts: Option<Arc<Facts>>,
}

/// 128 random bits, as an [`Incarnation`] has.
///
/// # Errors
/// The system gives none.
pub fn random() -> io::Result<u128> {
    let mut octets = [0; 16];
    SystemRandom::new().fill(&mut octets).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(u128::from_be_bytes(octets))
}

impl Exchange {
    /// Between us, in this life, and the peers of `config`; `clock` gives the time.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn new(config: Config, incarnation: Incarnation, facts: Facts, clock: fn() -> Moment) -> Result<Self, Unfit> {
        let roster = Roster::new(config, incarnation, &HashMap::new())?;
        Ok(Self {
            incarnation,
            clock,
            roster: ArcSwap::from_pointee(roster),
            stated: ArcSwap::from_pointee(Stated { number: 0, facts }),
            refused: Refused::default(),
            long: Arc::new(Semaphore::new(AT_A_TIME)),
        })
    }

    /// Goes on under another configuration; where to listen is the one setting that has no effect. Sessions with peers that are
    /// still there go on.
    ///
    /// # Errors
    /// [`Unfit`]; then nothing has changed.
    pub fn configure(&self, config: Config) -> Result<(), Unfit> {
        let before = self.roster.load();
        if before.config != config {
            self.roster.store(Arc::new(Roster::new(config, self.incarnation, &before.links)?));
        }
        Ok(())
    }

    /// States these of us from the next bulletin to each peer on.
    pub fn state(&self, facts: Facts) {
        self.stated.rcu(|before| {
            let number = if before.facts == facts { before.number } else { before.number + 1 };
            Stated { number, facts: facts.clone() }
        });
    }

    /// What we state of ourselves.
    #[must_use]
    pub fn stated(&self) -> Facts {
        self.stated.load().facts.clone()
    }

    /// Our life.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The peers, by name.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerView> {
        let roster = self.roster.load();
        let view = |link: &Arc<Link>| PeerView {
            name: Arc::clone(&link.remote.name),
            url: link.remote.url.clone(),
            counts: link.state.tally.counts(),
            facts: link.state.facts.load_full(),
        };
        let mut peers: Vec<_> = roster.links.values().map(view).collect();
        peers.sort_by(|one, other| one.name.cmp(&other.name));
        peers
    }

    /// How many messages were refused, by reason.
    #[must_use]
    pub fn refused(&self) -> [(Refusal, u64); Refusal::COUNT] {
        self.refused.counts()
    }

    fn link(&self, peer: &str) -> Option<Arc<Link>> {
        self.roster.load().links.get(peer).cloned()
    }

    /// Runs what takes a while for a long message off the threads that many share.
    async fn apart<T: Send + 'static>(&self, long: bool, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if !long {
            return Some(work());
        }
        let place = Arc::clone(&self.long).acquire_owned().await.ok()?;
        let work = move || {
            let _place = place;
            work()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("peers", &self.roster.load().config.peers.len()).finish_non_exhaustive()
    }
}

impl Roster {
    /// The peers of `config`, those that were known `before` as they were.
    fn new(config: Config, own: Incarnation, before: &HashMap<Arc<str>, Arc<Link>>) -> Result<Self, Unfit> {
        let server = config.tls.as_ref().map(Tls::server).transpose()?;
        let mut links = HashMap::new();
        for remote in &config.peers {
            let state = before.get(&remote.name).map_or_else(|| Arc::new(State::new(own)), |link| Arc::clone(&link.state));
            let link = Link {
                remote: remote.clone(),
                limit: courier::limit(config.interval),
                client: courier::client(remote, config.tls.as_ref())?,
                state,
            };
            links.insert(Arc::clone(&remote.name), Arc::new(link));
        }
        Ok(Self { config, server, links })
    }
}

impl State {
    fn new(own: Incarnation) -> Self {
        Self {
            hearer: Mutex::new(Hearer::new(own)),
            hearing: Turn::default(),
            teller: Turn::new(Teller::new(own)),
            met: Mutex::default(),
            facts: ArcSwapOption::empty(),
            tally: Tally::default(),
        }
    }

    fn hearer(&self) -> MutexGuard<'_, Hearer<Facts>> {
        self.hearer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer has shown to live in `incarnation`, and stated this: whether it is another life than before.
    fn meets(&self, incarnation: Incarnation, facts: Facts) -> bool {
        self.facts.store(Some(Arc::new(facts)));
        self.met.lock().unwrap_or_else(PoisonError::into_inner).meet(incarnation)
    }
}

/// How long a body of this many octets may take beyond the time for a short one: 64 KiB a second.
const fn for_length(octets: usize) -> Duration {
    Duration::from_millis((octets / 64) as u64)
}

#[cfg(test)]
mod tests;
