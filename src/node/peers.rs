//! The exchange with other nodes, between the engine and the network: what comes in goes to the engine and waits for its
//! answer, what the engine tells goes out, and what this node serves is stated to the others.
//!
//! Never here: what a bulletin means (the engine's), how it travels ([`peers`](crate::peers)').

use std::hash::Hasher;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use siphasher::sip::SipHasher13;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::clock;
use super::drive::{Letter, Message};
use crate::answers::{Snapshot, ZoneState};
use crate::api::{Exchanged, Meters, PeerExchange, ZoneStated};
use crate::config::Config;
use crate::control::Event;
use crate::health::{Bulletin, Incarnation, Receipt};
use crate::peers::{self, Courier, Digest, Exchange, Facts, Undelivered, Unfit, ZoneFacts};

/// Where what peers say goes: to the engine.
pub(super) struct Desk(Sender<Message>);

impl peers::Desk for Desk {
    async fn heard(&self, peer: &Arc<str>, bulletin: Bulletin) -> Option<Receipt> {
        let (receipt, answer) = oneshot::channel();
        let letter = Letter { peer: Arc::clone(peer), bulletin: Box::new(bulletin), receipt };
        self.0.send(Message::Letter(letter)).ok()?;
        answer.await.ok()
    }

    fn met(&self, peer: &Arc<str>) {
        self.send(Event::Met(Arc::clone(peer)));
    }

    fn told(&self, peer: &Arc<str>, result: Result<Receipt, Undelivered>) {
        if let Err(error) = &result {
            tracing::debug!("peer {peer} could not be told: {error}");
        }
        self.send(Event::Told(Arc::clone(peer), result.ok()));
    }
}

impl Desk {
    fn send(&self, event: Event) {
        drop(self.0.send(Message::Event(event))); // an engine that has ended does not want it
    }
}

/// What a node has that is not alone.
pub(super) struct Company {
    pub(super) exchange: Arc<Exchange>,
    desk: Arc<Desk>,
}

impl Company {
    /// Between this node, in a new life, and the peers of its configuration; `None`: it is alone.
    pub(super) fn new(config: &Config, inbox: &Sender<Message>) -> Result<Option<Self>, Trouble> {
        let Some(peers) = config.peers.clone() else { return Ok(None) };
        let incarnation = Incarnation(peers::random()?);
        let exchange = Arc::new(Exchange::new(peers, incarnation, facts(config, None), clock::now)?);
        Ok(Some(Self { exchange, desk: Arc::new(Desk(inbox.clone())) }))
    }

    /// Tells peers what the engine has to tell them.
    pub(super) fn courier(&self, runtime: Handle) -> Courier<Desk> {
        Courier::new(Arc::clone(&self.exchange), Arc::clone(&self.desk), runtime)
    }

    /// Hears peers until `shutdown`.
    pub(super) async fn serve(self, listeners: peers::Listeners, shutdown: impl Future<Output = ()>) {
        listeners.serve(self.exchange, self.desk, shutdown).await;
    }
}

/// Why a node cannot exchange anything.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Its configuration.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The system.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// States to the others what is served under this configuration now.
pub(super) fn state(exchange: &Exchange, config: &Config, snapshot: &Snapshot) {
    if let Some(peers) = &config.peers
        && let Err(error) = exchange.configure(peers.clone())
    {
        tracing::error!("the peers stay as they were: {error}");
    }
    exchange.state(facts(config, Some(snapshot)));
}

/// What is the same on nodes that serve the same. Digests of checks are comparable within one release.
fn facts(config: &Config, snapshot: Option<&Snapshot>) -> Facts {
    let zone = |zone: &crate::zone::Zone| {
        let mut digest = Digesting::default();
        let written = zone.write_text(&mut digest);
        debug_assert!(written.is_ok(), "nothing that could fail is written to");
        (zone.apex().to_string().into(), ZoneFacts { serial: zone.serial().0, digest: digest.end() })
    };
    let zones = snapshot.into_iter().flat_map(|snapshot| snapshot.zones.iter()).filter_map(|entry| match &entry.state {
        ZoneState::Serving { zone: served, .. } => Some(zone(served)),
        ZoneState::Failed(_) => None,
    });
    let check = |(name, check): (&str, &crate::target::NamedCheck)| {
        let mut digest = Digesting::default();
        digest.0.write(format!("{check:?}").as_bytes());
        (name.into(), digest.end())
    };
    Facts {
        region: config.health.fleet.region.clone(),
        release: env!("CARGO_PKG_VERSION").into(),
        zones: zones.collect(),
        checks: config.answering.checks.named.iter().map(check).collect(),
    }
}

/// By which two nodes see that they have the same; between nodes that trust each other.
#[derive(Default)]
struct Digesting(SipHasher13);

impl Digesting {
    fn end(&self) -> Digest {
        Digest(self.0.finish())
    }
}

impl io::Write for Digesting {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has what is exchanged seen by whoever scrapes or asks.
pub(super) fn watch(meters: &Meters, exchange: Arc<Exchange>) {
    meters.watch_exchange(move || {
        let own = exchange.stated();
        let peer = |peer: peers::PeerView| {
            let facts = peer.facts.as_deref();
            let zones = facts.into_iter().flat_map(|facts| &facts.zones).filter_map(|(apex, theirs)| {
                let ours = own.zones.get(apex)?;
                let same = ours.digest == theirs.digest;
                Some(ZoneStated { zone: apex.to_string(), serial: theirs.serial, own: ours.serial, same })
            });
            let checks = facts.into_iter().flat_map(|facts| &facts.checks);
            let differ = checks.filter(|(name, theirs)| own.checks.get(*name).is_some_and(|ours| ours != *theirs));
            PeerExchange {
                name: Arc::clone(&peer.name),
                url: peer.url.to_string(),
                received: peer.counts.received,
                sent: peer.counts.sent,
                release: facts.map(|facts| facts.release.to_string()),
                zones: zones.collect(),
                checks_that_differ: differ.map(|(name, _)| name.to_string()).collect(),
            }
        };
        let refused = exchange.refused().into_iter().map(|(reason, count)| (reason.as_str(), count)).collect();
        Exchanged { peers: exchange.peers().into_iter().map(peer).collect(), refused }
    });
}
