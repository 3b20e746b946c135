//! The other nodes, and what they and this one do not agree upon.

use axum::extract::State;
use axum::http::Uri;

use super::forms::{Clock, DisagreementForm, PeerForm, PeersForm, WordForm, ZoneDifferenceForm};
use super::metrics::{Exchanged, ZoneStated};
use super::routes::{Params, Reply, Shared, json};
use crate::control::Overview;
use crate::health::{CheckView, Moment, PeerView, Word};
use crate::target::{Basis, Value};

/// `GET /api/v1/peers`
pub(super) async fn list(State(shared): State<Shared>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let (overview, checks) = (shared.overview().await?, shared.checks().await?);
    let (now, wall) = (shared.node.clock)();
    let clock = Clock { now, wall };
    let exchanged = shared.node.meters.exchanged();
    let form = PeersForm {
        generation: overview.generation.0,
        node: shared.node.name.to_string(),
        no_quorum_since: overview.no_quorum_since.map(|since| clock.text(since)),
        decides_alone: overview.solo,
        peers: overview.peers.iter().map(|peer| form(peer, &exchanged, &clock)).collect(),
        disagreements: disagreements(&overview, &checks).map(|found| found.form(&clock)).collect(),
    };
    json(overview.generation, &form)
}

/// In a word, how a peer is.
pub(super) fn state(peer: &PeerView) -> &'static str {
    match (peer.heard, peer.fresh) {
        (None, _) => "never",
        (Some(_), false) => "silent",
        (Some(_), true) if peer.blind => "isolated",
        (Some(_), true) => "heard",
    }
}

fn form(peer: &PeerView, exchanged: &Exchanged, clock: &Clock) -> PeerForm {
    let exchange = exchanged.peers.iter().find(|other| other.name == peer.name);
    let zone = |zone: &ZoneStated| ZoneDifferenceForm { zone: zone.zone.clone(), serial: zone.serial, own_serial: zone.own };
    let zones = exchange.into_iter().flat_map(|exchange| &exchange.zones).filter(|zone| !zone.same);
    PeerForm {
        url: exchange.map(|exchange| exchange.url.clone()).unwrap_or_default(),
        release: exchange.and_then(|exchange| exchange.release.clone()),
        zones_that_differ: zones.map(zone).collect(),
        checks_that_differ: exchange.map(|exchange| exchange.checks_that_differ.clone()).unwrap_or_default(),
        peer: peer.name.to_string(),
        region: peer.region.to_string(),
        state: state(peer).to_owned(),
        heard: peer.heard.map(|at| clock.text(at)),
        reached: peer.reached.map(|at| clock.text(at)),
        incarnation: peer.incarnation.map(|incarnation| format!("{:032x}", incarnation.0)),
        says: peer.says,
        behind: peer.behind,
    }
}

/// A check of which one node says up and another down, words that count.
pub(super) struct Disagreement<'c> {
    pub(super) check: &'c CheckView,
    pub(super) since: Moment,
    own: Word,
}

/// The checks that nodes do not agree upon.
pub(super) fn disagreements<'c>(
    overview: &'c Overview,
    checks: &'c [CheckView],
) -> impl Iterator<Item = Disagreement<'c>> + use<'c> {
    let counts = |name: &str| overview.peers.iter().any(|peer| *peer.name == *name && state(peer) == "heard");
    let isolated = overview.isolated_since.is_some();
    checks.iter().filter_map(move |check| {
        let own = if isolated { Word::NoWord } else { word(check) };
        let others = check.said.iter().filter(|(peer, _)| counts(peer)).map(|(_, said)| (said.word, said.since));
        let words: Vec<(Word, Moment)> = others.chain([(own, check.own_since)]).collect();
        let first = |word| words.iter().filter(|(said, _)| *said == word).map(|(_, since)| *since).min();
        let since = first(Word::Up)?.max(first(Word::Down)?);
        Some(Disagreement { check, since, own })
    })
}

fn word(check: &CheckView) -> Word {
    match check.own.value {
        Value::Up if check.own.basis == Basis::Measured => Word::Up,
        Value::Down if check.own.basis == Basis::Measured => Word::Down,
        Value::Up | Value::Down | Value::Unknown => Word::NoWord,
    }
}

impl Disagreement<'_> {
    fn form(&self, clock: &Clock) -> DisagreementForm {
        let Self { check, since, own } = self;
        DisagreementForm {
            check: check.key.to_string(),
            target: check.spec.target(),
            since: clock.text(*since),
            vote: check.vote.to_string(),
            verdict: check.status.value.to_string(),
            basis: check.status.basis.to_string(),
            own: own.as_str().to_owned(),
            words: check.said.iter().map(|(peer, said)| WordForm::new(peer, *said, clock)).collect(),
        }
    }
}
