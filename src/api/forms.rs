//! The replies of the API, as they are in JSON: the contract with whoever reads them, `leeward` itself included.
//!
//! Types of their own, converted by hand, so that inner types can change without anyone outside noticing. Durations
//! are seconds, with the unit in the field's name; times are RFC 3339 in UTC. A field that does not apply is left out.
//! Fields are only ever added: a client ignores what it does not know, and defaults what it does not get.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::control::{Entry, Happening, HostNews, Overview, Regression, ZoneView};
use crate::health::{CheckView, LastResult, Moment, Override, PeerChange, Said, State};
use crate::target::{CheckKind, CheckSpec, Definitions, Outcome, Scheme, Status, Value};

use super::ask::{Finding, ReloadOutcome, ReloadReport, WordReport, ZoneReport};

/// One reading of the clock: the moment, and what wall clocks call it. Gives other moments their wall clock time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The moment.
    pub now: Moment,
    /// The wall clock at that moment.
    pub wall: SystemTime,
}

impl Clock {
    /// What wall clocks called `moment`, or will.
    #[must_use]
    pub fn wall_at(&self, moment: Moment) -> SystemTime {
        let (ago, ahead) = (self.now.since(moment), moment.since(self.now));
        self.wall.checked_sub(ago).and_then(|wall| wall.checked_add(ahead)).unwrap_or(self.wall)
    }

    /// The same as text: RFC 3339, UTC, milliseconds.
    #[must_use]
    pub fn text(&self, moment: Moment) -> String {
        humantime::format_rfc3339_millis(self.wall_at(moment)).to_string()
    }
}

/// Seconds, to the microsecond.
pub(super) fn seconds(span: Duration) -> f64 {
    span.as_micros() as f64 / 1e6
}

/// The node's state.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StatusForm {
    /// The published generation.
    pub generation: u64,
    /// The node's name.
    pub node: String,
    /// The program's version.
    pub version: String,
    /// What the node's clock says.
    pub time: String,
    /// Whether `/readyz` says yes.
    pub ready: bool,
    /// Whether the start gate is open: DNS is answered.
    pub serving: bool,
    /// Where DNS is served, UDP and TCP.
    pub listen: Vec<String>,
    /// Whether a start or a reload waits for first results of its checks.
    pub loading: bool,
    /// Since when verdicts are held because it is the node that is cut off; absent: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolated_since: Option<String>,
    /// Other nodes that this one knows of.
    #[serde(default)]
    pub peers: usize,
    /// How many of them are heard.
    #[serde(default)]
    pub peers_heard: usize,
    /// Since when too few of them are heard to decide anything with them; absent: enough are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_quorum_since: Option<String>,
    /// Whether this node decides alone on that account.
    #[serde(default)]
    pub decides_alone: bool,
    /// Snapshots published since the start.
    pub publishes: u64,
    /// How long ago the engine and the prober were last seen working, the longer of the two.
    pub late_seconds: f64,
    /// Zones by state.
    pub zones: ZoneCounts,
    /// Checks by what was measured.
    pub checks: CheckCounts,
    /// How many overrides are in force.
    #[serde(default)]
    pub overrides: usize,
    /// Whether nothing that is measured changes an answer.
    #[serde(default)]
    pub frozen: bool,
    /// The overrides file; absent: there is none in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides_file: Option<OverridesFileForm>,
}

/// The overrides file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OverridesFileForm {
    /// Where it is.
    pub path: String,
    /// How many words of it hold.
    pub words: usize,
    /// Why what it says now is refused, and what it said before holds; empty: it is not.
    pub errors: Vec<FindingForm>,
}

/// The pools.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PoolsForm {
    /// The published generation.
    pub generation: u64,
    /// By name.
    pub pools: Vec<PoolForm>,
}

/// One pool.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PoolForm {
    /// Its name.
    pub name: String,
    /// How members are chosen.
    pub select: String,
    /// How many members an answer has at most; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<u16>,
    /// How long a preferred member waits to come back, or `manual`.
    pub failback: String,
    /// Whether what is measured changes no answer of it.
    pub frozen: bool,
    /// In order.
    pub members: Vec<PoolMemberForm>,
}

/// A member of a pool.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PoolMemberForm {
    /// Its name within the pool.
    pub name: String,
    /// Its site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What it is called in records that lead to names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How the name leads to its addresses; absent: they are configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<LookupForm>,
    /// The port that it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How far back it stands.
    pub level: u16,
    /// Its configured weight.
    pub weight: u32,
    /// Its addresses.
    pub addresses: Vec<PoolAddressForm>,
}

/// What is known of where a name leads.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LookupForm {
    /// When its addresses were last heard of; absent: not since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How long ago that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// What is wrong with what the last look-up gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// An address of a pool's member.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PoolAddressForm {
    /// The address.
    pub address: String,
    /// What it counts as in the pool: `up`, `down` or `unknown`.
    pub status: String,
    /// What that rests on: as of a check; `held` also where it may not be withdrawn yet.
    pub basis: String,
    /// Whether it is to get no new clients.
    pub drain: bool,
    /// Whether it waits to come back.
    pub waiting: bool,
    /// The part of its weight that it gets, 0 to 1.
    pub share: f64,
    /// The key of its check.
    pub check: String,
    /// What is probed.
    pub probe: String,
}

/// What operators have said, and what the overrides file says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OverridesForm {
    /// The published generation.
    pub generation: u64,
    /// What is in force.
    pub overrides: Vec<OverrideForm>,
    /// What the file says of what an operator has said something else about: it counts again when that ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beneath: Vec<OverrideForm>,
}

/// An operator's word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OverrideForm {
    /// What it is about: `check`, `target`, `site`, `member`, `pool`, `zone` or `node`.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// `down`, `up`, `drain` or `frozen`.
    pub state: String,
    /// When it was said, in RFC 3339.
    pub since: String,
    /// When it ends; absent: when it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Who said it, or `file` and its place there.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Its number, for `If-Match`; 0: the overrides file says so, and an order finds no operator's word.
    pub version: u64,
}

impl From<&Override> for OverrideForm {
    fn from(word: &Override) -> Self {
        let Override { subject, state, expires, since, by, reason, version, .. } = word;
        Self {
            kind: subject.kind().to_owned(),
            name: subject.name(),
            state: state.to_string(),
            since: wall_text(*since),
            expires: expires.map(wall_text),
            by: by.to_string(),
            reason: reason.to_string(),
            version: *version,
        }
    }
}

/// A time in milliseconds since 1970, in RFC 3339; one that cannot be written is the beginning.
fn wall_text(milliseconds: u64) -> String {
    const LAST: u64 = 253_402_300_799_999; // 9999-12-31T23:59:59.999Z
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds.min(LAST));
    humantime::format_rfc3339_millis(time).to_string()
}

/// What an order did, or would do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OrderForm {
    /// The generation that serves it, or by which it was judged.
    pub generation: u64,
    /// `applied` or `rehearsed`.
    pub outcome: String,
    /// Whether it outlives the process.
    pub durable: bool,
    /// What was in force before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<OverrideForm>,
    /// What is in force now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<OverrideForm>,
    /// Checks that count as something else.
    pub checks: usize,
    /// Record programs whose answers may be others.
    pub programs: usize,
    /// Where they stand: names and types, a hundred at most.
    pub names: Vec<String>,
    /// Those of them that are left without a target that may be given.
    pub would_empty: Vec<String>,
}

/// How many zones are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ZoneCounts {
    /// Served as their files say.
    pub serving: usize,
    /// Served from the last-good copy.
    pub stale: usize,
    /// Answered with SERVFAIL.
    pub failed: usize,
}

/// How many checks have which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct CheckCounts {
    /// Up.
    pub up: usize,
    /// Down.
    pub down: usize,
    /// Never known.
    pub unknown: usize,
}

impl ZoneCounts {
    pub(super) fn of(zones: &[ZoneView]) -> Self {
        zones.iter().fold(Self::default(), |mut counts, zone| {
            match zone_state(zone) {
                "serving" => counts.serving += 1,
                "stale" => counts.stale += 1,
                _ => counts.failed += 1,
            }
            counts
        })
    }
}

impl CheckCounts {
    pub(super) fn of(checks: &[CheckView]) -> Self {
        checks.iter().fold(Self::default(), |mut counts, check| {
            match check.status.value {
                Value::Up => counts.up += 1,
                Value::Down => counts.down += 1,
                Value::Unknown => counts.unknown += 1,
            }
            counts
        })
    }
}

/// The served zones.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ZonesForm {
    /// The published generation.
    pub generation: u64,
    /// In the order of the names.
    pub zones: Vec<ZoneForm>,
}

/// One zone.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ZoneForm {
    /// The apex.
    pub zone: String,
    /// `serving`, `stale` (the last-good copy is served) or `failed` (SERVFAIL).
    pub state: String,
    /// The serial; absent for a failed zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// Different record programs.
    pub programs: usize,
    /// How many of them could not be compiled and answer SERVFAIL.
    pub broken: usize,
    /// Whether nothing that is measured changes an answer of it.
    #[serde(default)]
    pub frozen: bool,
    /// Replies so far.
    pub queries: u64,
}

impl ZonesForm {
    /// `queries` gives the replies of a zone.
    pub(super) fn new(overview: &Overview, queries: impl Fn(&ZoneView) -> u64) -> Self {
        let form = |zone: &ZoneView| ZoneForm {
            zone: zone.apex.to_string(),
            state: zone_state(zone).to_owned(),
            serial: zone.serial.map(|serial| serial.0),
            programs: zone.programs,
            broken: zone.broken,
            frozen: zone.frozen,
            queries: queries(zone),
        };
        Self { generation: overview.generation.0, zones: overview.zones.iter().map(form).collect() }
    }
}

fn zone_state(zone: &ZoneView) -> &'static str {
    match (zone.serial, zone.stale) {
        (None, _) => "failed",
        (Some(_), true) => "stale",
        (Some(_), false) => "serving",
    }
}

/// What another node says of a check.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WordForm {
    /// Which node.
    pub peer: String,
    /// `up`, `down`, or `no_word`: nothing that is fresh.
    pub word: String,
    /// Since when, as far as its messages tell.
    pub since: String,
}

impl WordForm {
    pub(super) fn new(peer: &str, said: Said, clock: &Clock) -> Self {
        Self { peer: peer.to_owned(), word: said.word.as_str().to_owned(), since: clock.text(said.since) }
    }
}

/// The other nodes, and what they and this one do not agree upon.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PeersForm {
    /// The published generation.
    pub generation: u64,
    /// This node.
    pub node: String,
    /// Since when too few are heard to decide anything with them; absent: enough are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_quorum_since: Option<String>,
    /// Whether this node decides alone on that account.
    pub decides_alone: bool,
    /// The others.
    pub peers: Vec<PeerForm>,
    /// The checks of which one node says up and another down.
    pub disagreements: Vec<DisagreementForm>,
}

/// Another node.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PeerForm {
    /// Its name.
    pub peer: String,
    /// Where it stands.
    pub region: String,
    /// `heard`; `isolated`: heard, but it says that it is cut off; `silent`: not for `[peers] stale_after`; `never`: not yet.
    pub state: String,
    /// When it was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<String>,
    /// When it was last told something, and said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    /// Which life of it that was, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// Of how many targets it says something.
    pub says: usize,
    /// Changes of this node's words that it has not heard yet, as far as is known.
    pub behind: u64,
    /// Where it is heard.
    #[serde(default)]
    pub url: String,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Zones that it serves with other data than this node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones_that_differ: Vec<ZoneDifferenceForm>,
    /// Checks that it defines otherwise than this node, under the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks_that_differ: Vec<String>,
}

/// A zone that two nodes serve with different data.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ZoneDifferenceForm {
    /// Its apex.
    pub zone: String,
    /// Its serial there.
    pub serial: u32,
    /// Its serial here.
    pub own_serial: u32,
}

/// A check of which one node says up and another down.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DisagreementForm {
    /// The identity of its probe.
    pub check: String,
    /// Its target.
    pub target: String,
    /// Since when.
    pub since: String,
    /// By which rule the words count.
    pub vote: String,
    /// What is believed: `up`, `down` or `unknown`.
    pub verdict: String,
    /// What that rests on.
    pub basis: String,
    /// What this node says: `up`, `down` or `no_word`.
    pub own: String,
    /// What the others say.
    pub words: Vec<WordForm>,
}

/// The checks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChecksForm {
    /// The published generation.
    pub generation: u64,
    /// By target.
    pub checks: Vec<CheckForm>,
}

/// One check.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CheckForm {
    /// The identity of its probe; checks that differ only in how they judge share one.
    pub key: String,
    /// `address:port`; `host:port` where the host is looked up at each probe.
    pub target: String,
    /// The address that probes come from, where the check says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The names that the configuration has for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// `tcp`, `http`, `https`, or another kind of `[check.NAME]`.
    pub kind: String,
    /// What is done there, as a sentence without secrets.
    #[serde(default)]
    pub probe: String,
    /// What is asked for over HTTP, and what is expected.
    #[serde(default, flatten)]
    pub request: RequestForm,
    /// What counts: `up`, `down` or `unknown`.
    pub status: String,
    /// Whether its target gets no new clients.
    #[serde(default)]
    pub drain: bool,
    /// What is believed, whatever operators say: what this node measured, beside what other nodes say.
    #[serde(default)]
    pub measured: String,
    /// What this node measured.
    #[serde(default)]
    pub own: String,
    /// What that rests on.
    #[serde(default)]
    pub own_basis: String,
    /// By which rule the words of other nodes count.
    #[serde(default)]
    pub vote: String,
    /// What they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordForm>,
    /// What that rests on: `never`, `restored`, `inherited`, `held`, `voted`, `measured` or `forced`.
    pub basis: String,
    /// The weight that the target gives itself while it is up; absent: it is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_weight: Option<u32>,
    /// Whether it is up and slow, which halves its weight.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub slow: bool,
    /// When it became so.
    pub since: String,
    /// How often it has changed.
    pub transitions: u64,
    /// Results that count against it.
    pub against: u16,
    /// How many more of them would change it.
    #[serde(default)]
    pub needed: u16,
    /// What its flaps have added up to, as of the last probe; absent: it is not damped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<u32>,
    /// Until when it is held back by them, if it passes from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back_until: Option<String>,
    /// The last finished probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ResultForm>,
    /// When the next probe is due; absent while one runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// From the start of one probe to the next.
    pub interval_seconds: f64,
    /// The time limit of a probe.
    pub timeout_seconds: f64,
    /// Failures that take it down.
    pub fall: u16,
    /// Passes in a row that bring it up.
    pub rise: u16,
    /// Passes in a row after which failures no longer count.
    #[serde(default)]
    pub forget: u16,
    /// What counts as slow; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_seconds: Option<f64>,
    /// From a surprise to the next probe; absent: the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_interval_seconds: Option<f64>,
    /// By how much of itself a wait may be shortened, in percent; absent: as `[health] jitter` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_percent: Option<u8>,
    /// Whether only running programs ask for it; it is let go an hour after the last did, or sooner for another.
    #[serde(default)]
    pub ad_hoc: bool,
}

/// The request of a check over HTTP. What headers and body hold is not shown: it may be secret.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RequestForm {
    /// The URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The names of the headers that the check adds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Over HTTPS: whether the certificate must be valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_verify: Option<bool>,
    /// The status that is expected, where there is but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<u16>,
    /// The statuses that are expected, where there are several: `200-299,304`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_statuses: Option<String>,
    /// The text that the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_text: Option<String>,
    /// The pattern that the body must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_pattern: Option<String>,
    /// Octets of the body that are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_limit: Option<u32>,
}

/// What a probe found.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ResultForm {
    /// `pass`, `fail` or `inconclusive`.
    pub outcome: String,
    /// Why, in one stable word; absent for a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, as a sentence; absent for a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it finished.
    pub at: String,
    /// How long ago that was.
    pub age_seconds: f64,
    /// How long it took.
    pub elapsed_seconds: f64,
}

impl ChecksForm {
    pub(super) fn new(generation: u64, mut checks: Vec<CheckView>, named: &Definitions, clock: &Clock) -> Self {
        checks.sort_by_key(|check| (check.spec.socket_address(), check.key, check.id));
        Self { generation, checks: checks.iter().map(|check| CheckForm::new(check, named, clock)).collect() }
    }
}

impl CheckForm {
    fn new(check: &CheckView, named: &Definitions, clock: &Clock) -> Self {
        Self {
            key: check.key.to_string(),
            target: check.spec.target(),
            source: check.spec.source.map(|source| source.to_string()),
            names: named.names_of(&check.spec, check.judgement).map(str::to_owned).collect(),
            kind: check.spec.kind.as_str().to_owned(),
            probe: check.spec.to_string(),
            request: RequestForm::new(&check.spec),
            status: check.counts.value.to_string(),
            drain: check.counts.drain,
            measured: check.status.value.to_string(),
            own: check.own.value.to_string(),
            own_basis: check.own.basis.to_string(),
            vote: check.vote.to_string(),
            words: check.said.iter().map(|(peer, said)| WordForm::new(peer, *said, clock)).collect(),
            basis: check.counts.basis.to_string(),
            reported_weight: Some(check.status.reported).filter(|&weight| weight > 0),
            slow: check.status.weight == Status::SLOW,
            since: clock.text(check.since),
            transitions: check.transitions,
            against: check.against,
            needed: check.needed,
            penalty: check.judgement.damping.map(|_| check.penalty),
            held_back_until: check.held_back_until.map(|until| clock.text(until)),
            last: check.last.as_ref().map(|last| ResultForm::new(last, clock)),
            next: check.next.map(|next| clock.text(next)),
            interval_seconds: seconds(check.interval),
            timeout_seconds: seconds(check.spec.timeout),
            fall: check.judgement.fall,
            rise: check.judgement.rise,
            forget: check.judgement.forget,
            slow_seconds: check.judgement.slow.map(seconds),
            retry_interval_seconds: check.judgement.retry.map(seconds),
            jitter_percent: check.judgement.jitter,
            ad_hoc: check.ad_hoc,
        }
    }
}

impl RequestForm {
    fn new(spec: &CheckSpec) -> Self {
        let CheckKind::Http(http) = &spec.kind else { return Self::default() };
        Self {
            url: Some(http.url(spec.port)),
            method: Some(http.method.to_string()),
            headers: http.headers.iter().map(|(name, _)| name.to_string()).collect(),
            tls_verify: (http.scheme == Scheme::Https).then_some(http.verify),
            expected_status: http.status.single(),
            expected_statuses: http.status.single().is_none().then(|| http.status.to_string()),
            expected_text: http.body.as_deref().map(str::to_owned),
            expected_pattern: http.pattern.as_ref().map(|pattern| pattern.as_str().to_owned()),
            bytes_limit: http.limit,
        }
    }
}

impl ResultForm {
    pub(super) fn new(last: &LastResult, clock: &Clock) -> Self {
        let (outcome, reason, detail) = outcome_words(&last.outcome);
        let (at, age, elapsed) = (clock.text(last.at), clock.now.since(last.at), last.elapsed);
        let reason = reason.map(str::to_owned);
        Self { outcome: outcome.to_owned(), reason, detail, at, age_seconds: seconds(age), elapsed_seconds: seconds(elapsed) }
    }
}

/// `pass`, `fail` or `inconclusive`; the reason in a word; the reason in full.
fn outcome_words(outcome: &Outcome) -> (&'static str, Option<&'static str>, Option<String>) {
    match outcome {
        Outcome::Pass { .. } => ("pass", None, None),
        Outcome::Fail(failure) => ("fail", Some(failure.reason()), Some(failure.to_string())),
        Outcome::Inconclusive(reason) => ("inconclusive", Some(reason.reason()), Some(reason.to_string())),
    }
}

/// What happened.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EventsForm {
    /// The published generation.
    pub generation: u64,
    /// Oldest first.
    pub events: Vec<EventForm>,
    /// To be given as `since` for what comes after these.
    pub next: u64,
    /// Events after the `since` that was given that are too old to be kept; the log has them.
    pub missed: u64,
}

/// The kinds of [`EventForm`].
pub const EVENT_KINDS: [&str; 27] = [
    "transition",
    "overridden",
    "released",
    "failed_back",
    "isolated",
    "isolation_over",
    "peer_heard",
    "peer_silent",
    "peer_isolated",
    "peer_isolation_over",
    "quorum_lost",
    "decides_alone",
    "quorum_back",
    "trouble",
    "trouble_over",
    "host_changed",
    "host_trouble",
    "host_trouble_over",
    "paused",
    "clock_stepped",
    "serving",
    "zone_adopted",
    "zone_failed",
    "zone_removed",
    "check_refused",
    "files_rejected",
    "reload_refused",
];

/// One happening.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct EventForm {
    /// Higher than that of any before, over restarts too.
    pub number: u64,
    /// When.
    pub at: String,
    /// The generation at the time.
    pub generation: u64,
    /// One of [`EVENT_KINDS`].
    pub kind: String,
    /// What, as a sentence.
    pub text: String,
    /// The zone that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The zone's serial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The key of the check that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The check's target, `address:port` or `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The name of a pool's member that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The other node that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The check's status before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The check's status after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The reason of the result that did it, or what trouble of our own it is, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of an override that came in force or ended: what it is about, as `kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl EventForm {
    /// What happened, with the time that `clock` gives it.
    #[must_use]
    pub fn new(entry: &Entry, clock: &Clock) -> Self {
        let form = Self {
            number: entry.number,
            at: clock.text(entry.at),
            generation: entry.generation.0,
            text: entry.what.to_string(),
            ..Self::default()
        };
        let form = form.about(&entry.what);
        // Whoever filters by kind must be able to name it.
        debug_assert!(EVENT_KINDS.contains(&&*form.kind), "{} is not in the list of kinds", form.kind);
        form
    }

    fn about(self, what: &Happening) -> Self {
        let named =
            |kind: &str, zone: &crate::wire::Name| Self { kind: kind.to_owned(), zone: Some(zone.to_string()), ..self.clone() };
        match what {
            Happening::Transition { key, spec, from, to, cause } => Self {
                kind: "transition".to_owned(),
                check: Some(key.to_string()),
                target: Some(spec.target()),
                from: Some(from.value.to_string()),
                to: Some(to.value.to_string()),
                reason: cause.as_ref().and_then(|outcome| outcome_words(outcome).1).map(str::to_owned),
                ..self
            },
            Happening::Overridden { word } => {
                Self { kind: "overridden".to_owned(), subject: Some(word.subject.to_string()), ..self }
            }
            Happening::Released { word, .. } => {
                Self { kind: "released".to_owned(), subject: Some(word.subject.to_string()), ..self }
            }
            Happening::FailedBack { subject } => {
                Self { kind: "failed_back".to_owned(), subject: Some(subject.to_string()), ..self }
            }
            Happening::Trouble { trouble } => {
                Self { kind: "trouble".to_owned(), reason: Some(trouble.reason().to_owned()), ..self }
            }
            Happening::TroubleOver { trouble, .. } => {
                Self { kind: "trouble_over".to_owned(), reason: Some(trouble.reason().to_owned()), ..self }
            }
            Happening::Peers(change) => {
                let (kind, peer) = match change {
                    PeerChange::Heard(peer) => ("peer_heard", Some(peer)),
                    PeerChange::Silent(peer) => ("peer_silent", Some(peer)),
                    PeerChange::Isolated(peer) => ("peer_isolated", Some(peer)),
                    PeerChange::Sees(peer) => ("peer_isolation_over", Some(peer)),
                    PeerChange::NoQuorum { .. } => ("quorum_lost", None),
                    PeerChange::Solo => ("decides_alone", None),
                    PeerChange::Quorum { .. } => ("quorum_back", None),
                };
                Self { kind: kind.to_owned(), peer: peer.map(ToString::to_string), ..self }
            }
            Happening::Host { host, news } => {
                let kind = match news {
                    HostNews::Changed { .. } => "host_changed",
                    HostNews::Troubled { .. } => "host_trouble",
                    HostNews::Mended => "host_trouble_over",
                };
                Self { kind: kind.to_owned(), host: Some(host.to_string()), ..self }
            }
            Happening::Paused { .. } => Self { kind: "paused".to_owned(), ..self },
            Happening::ClockStepped { .. } => Self { kind: "clock_stepped".to_owned(), ..self },
            Happening::SightLost { .. } => Self { kind: "isolated".to_owned(), ..self },
            Happening::SightBack { .. } => Self { kind: "isolation_over".to_owned(), ..self },
            Happening::Serving { .. } => Self { kind: "serving".to_owned(), ..self },
            Happening::ZoneAdopted { zone, serial, .. } => Self { serial: Some(serial.0), ..named("zone_adopted", zone) },
            Happening::ZoneFailed { zone } => named("zone_failed", zone),
            Happening::ZoneRemoved { zone } => named("zone_removed", zone),
            Happening::CheckRefused { .. } => Self { kind: "check_refused".to_owned(), ..self },
            Happening::Rejected { .. } => Self { kind: "files_rejected".to_owned(), ..self },
            Happening::Refused { .. } => Self { kind: "reload_refused".to_owned(), ..self },
        }
    }
}

/// What a reload did, or would do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReloadForm {
    /// The generation that was made, or seen.
    pub generation: u64,
    /// `applied` or `rehearsed`.
    pub outcome: String,
    /// The zones that changed, or would.
    pub zones: Vec<ZoneChangeForm>,
    /// The words of the overrides file that came, changed or went, or would.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<WordChangeForm>,
    /// Warnings.
    pub findings: Vec<FindingForm>,
}

/// What the overrides file says otherwise than before.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WordChangeForm {
    /// What it is about.
    pub subject: String,
    /// What it said before; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it says now; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A zone that a reload changed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ZoneChangeForm {
    /// The apex.
    pub zone: String,
    /// The serial before; absent: it was not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// The serial after; absent: it is no longer served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    /// RRsets that went or changed.
    pub removed: usize,
    /// RRsets that came or changed.
    pub added: usize,
}

/// An error or a warning.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct FindingForm {
    /// `error` or `warning`.
    pub severity: String,
    /// `file:line:column`.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub remedy: String,
}

/// A target that is up and that a reload would take down.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RegressionForm {
    /// The check that is up.
    pub before: String,
    /// The check that would replace it.
    pub after: String,
    /// How that one fails.
    pub failure: String,
}

impl ReloadForm {
    pub(super) fn new(report: &ReloadReport) -> Self {
        let outcome = if report.outcome == ReloadOutcome::Rehearsed { "rehearsed" } else { "applied" };
        Self {
            generation: report.generation.0,
            outcome: outcome.to_owned(),
            zones: report.zones.iter().map(ZoneChangeForm::from).collect(),
            overrides: report.words.iter().map(WordChangeForm::from).collect(),
            findings: report.findings.iter().map(FindingForm::from).collect(),
        }
    }
}

impl From<&ZoneReport> for ZoneChangeForm {
    fn from(report: &ZoneReport) -> Self {
        let serial = |serial: crate::wire::Serial| serial.0;
        Self {
            zone: report.zone.to_string(),
            before: report.before.map(serial),
            after: report.after.map(serial),
            removed: report.removed,
            added: report.added,
        }
    }
}

impl From<&WordReport> for WordChangeForm {
    fn from(report: &WordReport) -> Self {
        let WordReport { about, before, after } = report;
        let said = |state: Option<State>| state.map(|state| state.to_string());
        Self { subject: about.to_string(), before: said(*before), after: said(*after) }
    }
}

impl From<&Finding> for FindingForm {
    fn from(finding: &Finding) -> Self {
        Self {
            severity: if finding.error { "error" } else { "warning" }.to_owned(),
            place: finding.place.clone(),
            message: finding.message.clone(),
            remedy: finding.remedy.clone(),
        }
    }
}

impl From<&Regression> for RegressionForm {
    fn from(regression: &Regression) -> Self {
        let Regression { before, after, failure } = regression.clone();
        Self { before, after, failure }
    }
}

/// An answer, and why.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ExplainForm {
    /// The generation that answered.
    pub generation: u64,
    /// The question.
    pub question: QuestionForm,
    /// The address that the answer is made for: the client subnet's network where it counts, else the client.
    pub client: String,
    /// What decided every draw by chance; given again, it gives the same answer.
    pub seed: u64,
    /// The rcode.
    pub rcode: String,
    /// Of `qr`, `aa`, `tc`, `rd`, `ra`, those that are set.
    pub flags: Vec<String>,
    /// The answer section in presentation form.
    pub answers: Vec<String>,
    /// The authority section.
    pub authority: Vec<String>,
    /// The additional section, without OPT.
    pub additional: Vec<String>,
    /// The scope of the client subnet (RFC 7871), where the question had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_scope: Option<u8>,
    /// The extended error (RFC 8914).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_error: Option<ExtendedErrorForm>,
    /// How it came about, in order.
    pub why: Vec<StepForm>,
}

/// A question.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct QuestionForm {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The client that asks.
    pub client: String,
    /// Its client subnet option.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
}

/// An extended error (RFC 8914).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ExtendedErrorForm {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT.
    pub text: String,
}

/// One step on the way to an answer: a sentence, and its parts for programs. Each kind of step has the parts that
/// apply to it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct StepForm {
    /// `zone`, `node`, `cname`, `program`, `group`, `choice`, `fallback`, `pick`, `pool` or `failure`.
    pub step: String,
    /// The step as a sentence.
    pub text: String,
    /// The zone's apex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The zone's serial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The node's name, or where the CNAME leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How the node was found: `exact`, `wildcard`, `cut` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The program's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How the program runs: `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The type of the program's records.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    /// The TTL of the program's records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// The function of the program that decides here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Which group of targets, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// `selector` or `backupSelector` as it applies here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// How one is drawn: `chance`, `client` or `name`; absent where all are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<String>,
    /// What was looked at, or is drawn from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberForm>,
}

/// A member of a group or a list.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct MemberForm {
    /// What an answer would contain.
    pub member: String,
    /// The member and what is known of it, as a line.
    pub text: String,
    /// Its share of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The status of its check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What the status rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// The key of its check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// What the check probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// The check's last finished probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ResultForm>,
}

/// A problem (RFC 9457), as a client reads it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ProblemForm {
    /// Which kind, in a word.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind as a sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// Errors and warnings of a reload.
    pub findings: Vec<FindingForm>,
    /// Why a reload was refused.
    pub regressions: Vec<RegressionForm>,
    /// Settings that need a restart.
    pub settings: Vec<String>,
    /// Zones that were taken in although others have errors.
    pub zones: Vec<ZoneChangeForm>,
}

/// Where an address is, and which sites it would get.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct GeoForm {
    /// The generation that was asked.
    pub generation: u64,
    /// The address.
    pub address: String,
    /// How many databases say where addresses are.
    pub databases: usize,
    /// What they say of this one.
    pub place: PlaceForm,
    /// A network around the address of which they say all the same.
    pub network: String,
    /// What each map says, or the one that was asked for.
    pub maps: Vec<MapForm>,
    /// The sites that have coordinates, the nearest first, if the address has.
    pub nearest: Vec<DistanceForm>,
}

/// What the databases say of where an address is. Codes are as in the configuration; names are in lower case, as programs
/// see them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct PlaceForm {
    /// `EU`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continent: Option<String>,
    /// ISO 3166-1: `DE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// ISO 3166-2: `DE-BE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdivision: Option<String>,
    /// English name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Number of the autonomous system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Degrees north and east.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<[f64; 2]>,
}

/// What a map says of an address.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct MapForm {
    /// The map.
    pub map: String,
    /// What kind of rule decided: `network`, `as`, `subdivision`, `country`, `continent` or `default`.
    pub rule: String,
    /// What of the address the rule met, as the configuration writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<String>,
    /// Whether the rule is from the map's `nets_file`.
    #[serde(default)]
    pub nets_file: bool,
    /// The sites, the best first.
    pub sites: Vec<String>,
    /// A network around the address for all of which the map gives these sites: the scope of an answer.
    pub network: String,
}

/// How far a site is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct DistanceForm {
    /// The site.
    pub site: String,
    /// Along a great circle.
    pub kilometres: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_get_their_wall_clock_time() {
        let clock = Clock { now: Moment::at(Duration::from_secs(100)), wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1000) };
        assert_eq!(clock.text(Moment::at(Duration::from_millis(99_500))), "1970-01-01T00:16:39.500Z");
        assert_eq!(clock.text(Moment::at(Duration::from_secs(107))), "1970-01-01T00:16:47.000Z");
        let ancient = Clock { wall: SystemTime::UNIX_EPOCH, ..clock };
        assert!(ancient.text(Moment::at(Duration::from_secs(100))).starts_with("1970"));
    }
}
