//! Metrics for Prometheus: what has been counted and timed since the start, and what the state is now.
//!
//! Two recorders, neither global. [`Meters`] is kept: it holds what only the moment of happening knows (how long a probe
//! took). Everything that can be read from the state is read when somebody asks, into a recorder made for that one
//! scrape, so it can neither go stale nor remember zones and checks that are gone.
//!
//! Labels are bounded by the configuration: zones, checks, and closed sets of words. Never a name or an address that a
//! client sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::answers::{Counted, QueryCounters, RCODES, Snapshot, Transport, ZoneState};
use crate::control::{Overview, PoolView};
use crate::health::{CheckView, Moment, Origin, Override, Overrides};
use crate::target::{Basis, CheckKey, CheckKind, Failure, Inconclusive, Outcome, Status, Value};
use crate::wire::Rcode;

use super::ask::OverridesFile;
use super::forms::Clock;
use super::peers::disagreements;

/// Upper bounds of the buckets, in seconds. A probe is over after its timeout, 2 s by default.
const PROBE_BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];
/// A failover takes a few intervals at most, where nothing is wrong.
const FAILOVER_BUCKETS: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 7.0, 13.0, 30.0, 60.0, 120.0];
/// A probe waits for its turn while `[prober] max_in_flight` are running.
const LATENESS_BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Samples wait in a list until somebody asks; after so many they are sorted into their buckets even if nobody does.
const UPKEEP_EVERY: u64 = 4096;

const PROBE_KINDS: [&str; CheckKind::NAMES.len()] = CheckKind::NAMES;
const PROBE_DURATION: &str = "leeward_probe_duration_seconds";
const FAILOVER: &str = "leeward_failover_seconds";
const LATENESS: &str = "leeward_probe_lateness_seconds";

/// What can change a check's status: a pass, each [`Failure::reason`], evidence that has grown too old, the end of our own
/// isolation, and the words of other nodes. Apart from `leeward_check_transitions_total`, whose series are there before anything happens: a counter by cause
/// and check would begin with the first transition, which no `increase` would show.
const CAUSES: usize = 4 + Failure::REASONS.len();

fn causes() -> [&'static str; CAUSES] {
    let mut causes = ["pass"; CAUSES];
    (causes[1], causes[2], causes[3]) = ("expired", "put_back", "peers");
    causes[4..].copy_from_slice(&Failure::REASONS);
    causes
}

/// The label for a transition to `to`, which the result `found` made, if any did.
fn cause(to: Status, found: Option<&Outcome>) -> &'static str {
    match found {
        Some(Outcome::Pass { .. }) => "pass",
        Some(Outcome::Fail(failure)) => failure.reason(),
        Some(Outcome::Inconclusive(_)) | None if to.basis == Basis::Held => "put_back",
        Some(Outcome::Inconclusive(_)) | None if matches!(to.basis, Basis::Voted | Basis::Measured) => "peers",
        Some(Outcome::Inconclusive(_)) | None => "expired",
    }
}

/// What the shell has counted and timed since the start.
pub struct Meters {
    handle: PrometheusHandle,
    /// In the order of [`PROBE_KINDS`].
    probes: [Histogram; PROBE_KINDS.len()],
    failovers: Histogram,
    /// In the order of [`Inconclusive::ALL`].
    inconclusive: [Counter; Inconclusive::ALL.len()],
    reloads_applied: Counter,
    reloads_refused: Counter,
    store_errors: Counter,
    events_dropped: Counter,
    /// In the order of [`CAUSES`].
    transitions: [Counter; CAUSES],
    lateness: Histogram,
    in_flight: AtomicU64,
    samples: AtomicU64,
    last_reload_ok: AtomicBool,
    /// Milliseconds since 1970; 0: never.
    last_success: AtomicU64,
    overrides_file: Mutex<Option<Arc<OverridesFile>>>,
    connections: OnceLock<Box<dyn Fn() -> Connections + Send + Sync>>,
    notified: OnceLock<Box<dyn Fn() -> Vec<Notified> + Send + Sync>>,
    exchange: OnceLock<Box<dyn Fn() -> Exchanged + Send + Sync>>,
}

/// What went to and from the other nodes, and what they state of themselves.
#[derive(Clone, Debug, Default)]
pub struct Exchanged {
    /// Of each.
    pub peers: Vec<PeerExchange>,
    /// Messages that were refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
}

/// The same of one peer.
#[derive(Clone, Debug)]
pub struct PeerExchange {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is heard.
    pub url: String,
    /// Octets of bodies that came from it.
    pub received: u64,
    /// Octets of bodies that went to it.
    pub sent: u64,
    /// What it runs; `None`: it was never met.
    pub release: Option<String>,
    /// Zones that both serve.
    pub zones: Vec<ZoneStated>,
    /// Checks that both have under one name, and that are not the same.
    pub checks_that_differ: Vec<String>,
}

/// A zone that another node serves too.
#[derive(Clone, Debug)]
pub struct ZoneStated {
    /// Its apex.
    pub zone: String,
    /// Its serial there.
    pub serial: u32,
    /// Its serial here.
    pub own: u32,
    /// Whether it has the same data there.
    pub same: bool,
}

/// What became of what one of `[notify]` was to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notified {
    /// Its name in the configuration.
    pub name: String,
    /// Told.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Never told.
    pub dropped: u64,
}

/// What has been counted of DNS connections; the words are labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Open now, by transport.
    pub open: Vec<(&'static str, u64)>,
    /// Taken in, by transport.
    pub accepted: Vec<(&'static str, u64)>,
    /// Closed to make room, by what was lacking.
    pub evicted: Vec<(&'static str, u64)>,
    /// Closed at once, because their client had its share.
    pub refused: u64,
    /// Handshakes of TLS and QUIC that failed.
    pub handshakes_failed: u64,
    /// Dropped for a missing or malformed PROXY header, by kind.
    pub proxy_errors: Vec<(&'static str, u64)>,
}

impl Meters {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe_meters();
            Self {
                handle,
                probes: PROBE_KINDS.map(|kind| histogram!(PROBE_DURATION, "kind" => kind)),
                failovers: histogram!(FAILOVER),
                inconclusive: Inconclusive::ALL
                    .map(|reason| counter!("leeward_probe_inconclusive_total", "reason" => reason.reason())),
                reloads_applied: counter!("leeward_reloads_total", "result" => "applied"),
                reloads_refused: counter!("leeward_reloads_total", "result" => "refused"),
                store_errors: counter!("leeward_store_errors_total"),
                events_dropped: counter!("leeward_events_dropped_total"),
                transitions: causes().map(|cause| counter!("leeward_transitions_total", "cause" => cause)),
                lateness: histogram!(LATENESS),
                in_flight: AtomicU64::new(0),
                samples: AtomicU64::new(0),
                last_reload_ok: AtomicBool::new(false),
                last_success: AtomicU64::new(0),
                overrides_file: Mutex::default(),
                connections: OnceLock::new(),
                notified: OnceLock::new(),
                exchange: OnceLock::new(),
            }
        })
    }

    /// A check's status became another.
    pub fn transition(&self, to: Status, found: Option<&Outcome>) {
        let cause = cause(to, found);
        if let Some(at) = causes().iter().position(|&known| known == cause) {
            self.transitions[at].increment(1);
        }
    }

    /// A probe was asked for; [`Meters::probe_ended`] follows, however it ends.
    pub fn probe_asked(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended.
    pub fn probe_ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// It began so long after it was asked for.
    pub fn probe_late(&self, by: Duration) {
        self.lateness.record(by.as_secs_f64());
    }

    /// A probe is over.
    pub fn probe_finished(&self, probed: &CheckKind, elapsed: Duration, outcome: &Outcome) {
        if let Some(at) = PROBE_KINDS.iter().position(|&name| name == probed.as_str()) {
            self.probes[at].record(elapsed.as_secs_f64());
        }
        if let Outcome::Inconclusive(reason) = outcome
            && let Some(at) = Inconclusive::ALL.iter().position(|known| known == reason)
        {
            self.inconclusive[at].increment(1);
        }
        if self.samples.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1 {
            self.handle.run_upkeep();
        }
    }

    /// A target went out of the answers, this long after the start of the first probe that saw it down.
    pub fn failover(&self, took: Duration) {
        self.failovers.record(took.as_secs_f64());
    }

    /// What the process started with is in service; `sound` if no file had an error.
    pub fn started(&self, sound: bool, at: SystemTime) {
        self.configured(sound, at);
    }

    /// A reload that was not a rehearsal was decided.
    pub fn reload(&self, applied: bool, at: SystemTime) {
        if applied { &self.reloads_applied } else { &self.reloads_refused }.increment(1);
        self.configured(applied, at);
    }

    fn configured(&self, ok: bool, at: SystemTime) {
        self.last_reload_ok.store(ok, Ordering::Relaxed);
        if ok {
            let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.last_success.store(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// The overrides file was read, or there is none.
    pub fn overrides_file(&self, file: Option<OverridesFile>) {
        *self.overrides_file.lock().unwrap_or_else(PoisonError::into_inner) = file.map(Arc::new);
    }

    /// What became of the overrides file when it was read last.
    pub(super) fn read_overrides_file(&self) -> Option<Arc<OverridesFile>> {
        self.overrides_file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the state of DNS connections is read from, whenever somebody asks.
    pub fn watch_connections(&self, read: impl Fn() -> Connections + Send + Sync + 'static) {
        drop(self.connections.set(Box::new(read)));
    }

    /// Where the state of those is read from who are told of events.
    pub fn watch_notified(&self, read: impl Fn() -> Vec<Notified> + Send + Sync + 'static) {
        drop(self.notified.set(Box::new(read)));
    }

    /// Where it is read from what went to and from the other nodes.
    pub fn watch_exchange(&self, read: impl Fn() -> Exchanged + Send + Sync + 'static) {
        drop(self.exchange.set(Box::new(read)));
    }

    /// What went to and from the other nodes.
    pub(super) fn exchanged(&self) -> Exchanged {
        self.exchange.get().map(|read| read()).unwrap_or_default()
    }

    /// So many events were not written down in time, and are in the log only.
    pub fn events_dropped(&self, count: u64) {
        self.events_dropped.increment(count);
    }

    /// Durable state could not be read or written.
    pub fn store_error(&self) {
        self.store_errors.increment(1);
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

fn builder() -> PrometheusBuilder {
    let bucketed = [(PROBE_DURATION, &PROBE_BUCKETS[..]), (FAILOVER, &FAILOVER_BUCKETS[..]), (LATENESS, &LATENESS_BUCKETS[..])];
    bucketed.into_iter().fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets).expect("the buckets are not empty")
    })
}

fn describe_meters() {
    describe_histogram!(PROBE_DURATION, "How long probes took, by what they probe.");
    describe_histogram!(FAILOVER, "From the start of the first probe that saw a target down to the answers without it.");
    describe_counter!("leeward_transitions_total", "How often a check's status has changed, by what changed it.");
    describe_histogram!(LATENESS, "From when a probe was due to when it began: how long it waited for its turn.");
    describe_counter!("leeward_probe_inconclusive_total", "Probes that said nothing about their target, by this host's trouble.");
    describe_counter!("leeward_reloads_total", "Reloads by how they ended; rehearsals do not count.");
    describe_counter!("leeward_events_dropped_total", "Events that were not written down in time: the disk was full or slow.");
    describe_counter!("leeward_store_errors_total", "Failures to read or write durable state.");
}

/// All there is to know for a scrape.
pub(super) struct Scrape<'a> {
    pub(super) meters: &'a Meters,
    pub(super) snapshot: &'a Snapshot,
    pub(super) overview: &'a Overview,
    pub(super) checks: &'a [CheckView],
    pub(super) overrides: &'a Overrides,
    /// Every pool, and what each address of its members counts as.
    pub(super) pools: &'a [(PoolView, Vec<Status>)],
    pub(super) ready: bool,
    /// Streams of events that are open.
    pub(super) streams: usize,
    pub(super) clock: &'a Clock,
}

impl Scrape<'_> {
    /// The text exposition format.
    pub(super) fn render(&self) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe_state();
            self.node();
            self.connections();
            self.notified();
            self.zones();
            self.checks();
            self.overrides();
            self.pools();
            self.peers();
            self.databases();
            self.programs();
        });
        recorder.handle().render() + &self.meters.handle.render()
    }

    fn node(&self) {
        let Self { meters, overview, .. } = self;
        gauge!("leeward_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!("leeward_ready").set(flag(self.ready));
        gauge!("leeward_isolated").set(flag(overview.isolated_since.is_some()));
        gauge!("leeward_event_streams").set(self.streams as f64);
        gauge!("leeward_probes_in_flight").set(meters.in_flight.load(Ordering::Relaxed) as f64);
        gauge!("leeward_generation").set(overview.generation.0 as f64);
        counter!("leeward_publishes_total").absolute(overview.publishes);
        let ok = meters.last_reload_ok.load(Ordering::Relaxed);
        let success = meters.last_success.load(Ordering::Relaxed);
        gauge!("leeward_config_last_reload_successful").set(flag(ok));
        gauge!("leeward_config_last_reload_success_timestamp_seconds").set(success as f64 / 1e3);
    }

    fn connections(&self) {
        let Some(read) = self.meters.connections.get() else { return };
        let Connections { open, accepted, evicted, refused, handshakes_failed, proxy_errors } = read();
        for (transport, count) in open {
            gauge!("leeward_connections", "transport" => transport).set(count as f64);
        }
        for (transport, count) in accepted {
            counter!("leeward_connections_accepted_total", "transport" => transport).absolute(count);
        }
        for (reason, count) in evicted {
            counter!("leeward_connections_evicted_total", "reason" => reason).absolute(count);
        }
        counter!("leeward_connections_refused_total").absolute(refused);
        counter!("leeward_handshakes_failed_total").absolute(handshakes_failed);
        for (kind, count) in proxy_errors {
            counter!("leeward_proxy_header_errors_total", "kind" => kind).absolute(count);
        }
    }

    fn notified(&self) {
        for Notified { name, delivered, failed, dropped } in self.meters.notified.get().iter().flat_map(|read| read()) {
            let label = || [("name", name.clone())];
            counter!("leeward_notifications_total", &label()).absolute(delivered);
            counter!("leeward_notification_failures_total", &label()).absolute(failed);
            counter!("leeward_notifications_dropped_total", &label()).absolute(dropped);
        }
    }

    fn zones(&self) {
        let mut dropped = queries("", &self.snapshot.unserved);
        for entry in self.snapshot.zones.iter() {
            let zone = entry.apex().to_string();
            if let ZoneState::Serving { zone: data, stale } = &entry.state {
                gauge!("leeward_zone_serial", "zone" => zone.clone()).set(f64::from(data.serial().0));
                gauge!("leeward_zone_stale", "zone" => zone.clone()).set(flag(*stale));
            }
            let failed = matches!(entry.state, ZoneState::Failed(_));
            gauge!("leeward_zone_failed", "zone" => zone.clone()).set(flag(failed));
            dropped += queries(&zone, &entry.counters);
        }
        for zone in &self.overview.zones {
            gauge!("leeward_zone_broken_programs", "zone" => zone.apex.to_string()).set(zone.broken as f64);
        }
        counter!("leeward_queries_dropped_total").absolute(dropped);
    }

    fn databases(&self) {
        for source in self.snapshot.places.sources() {
            let labels = [("database", source.name.to_string())];
            gauge!("leeward_geo_database_build_timestamp_seconds", &labels).set(source.built as f64);
        }
    }

    fn programs(&self) {
        let notices = &self.snapshot.notices;
        for (reason, count) in notices.failures() {
            counter!("leeward_program_failures_total", "reason" => reason).absolute(count);
        }
        counter!("leeward_program_notices_dropped_total").absolute(notices.dropped());
    }

    fn checks(&self) {
        for (key, probe) in probes(self.checks, self.clock) {
            let labels = || [("check", key.to_string()), ("target", probe.target.clone())];
            for value in [Value::Up, Value::Down, Value::Unknown] {
                let [check, target] = labels();
                let labels = [check, target, ("status", value.to_string())];
                gauge!("leeward_check_status", &labels).set(flag(probe.value == value));
            }
            for basis in Basis::MEASURED {
                let [check, target] = labels();
                let labels = [check, target, ("basis", basis.to_string())];
                gauge!("leeward_check_basis", &labels).set(flag(probe.basis == basis));
            }
            counter!("leeward_check_transitions_total", &labels()).absolute(probe.transitions);
            if let Some(Damped { penalty, suppressed }) = probe.damped {
                gauge!("leeward_check_flap_penalty", &labels()).set(f64::from(penalty));
                gauge!("leeward_check_suppressed", &labels()).set(flag(suppressed));
            }
            if probe.weighs {
                gauge!("leeward_check_reported_weight", &labels()).set(f64::from(probe.reported));
            }
            if let Some(at) = probe.last_run {
                let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                gauge!("leeward_check_last_run_timestamp_seconds", &labels()).set(since_epoch.as_millis() as f64 / 1e3);
            }
        }
    }
}

impl Scrape<'_> {
    /// The other nodes, and what they and this one do not agree upon.
    fn peers(&self) {
        let overview = self.overview;
        if overview.peers.is_empty() {
            return;
        }
        gauge!("leeward_quorum").set(flag(overview.no_quorum_since.is_none()));
        for peer in &overview.peers {
            let labels = || [("peer", peer.name.to_string())];
            gauge!("leeward_peer_up", &labels()).set(flag(peer.fresh));
            gauge!("leeward_peer_isolated", &labels()).set(flag(peer.blind));
            gauge!("leeward_peer_words", &labels()).set(peer.says as f64);
            gauge!("leeward_peer_changes_behind", &labels()).set(peer.behind as f64);
            if let Some(at) = peer.heard {
                gauge!("leeward_peer_last_report_timestamp_seconds", &labels()).set(self.timestamp(at));
            }
        }
        let exchanged = self.meters.exchanged();
        for peer in exchanged.peers {
            for (direction, octets) in [("received", peer.received), ("sent", peer.sent)] {
                let labels = [("peer", peer.name.to_string()), ("direction", direction.to_owned())];
                counter!("leeward_peer_bytes_total", &labels).absolute(octets);
            }
            let older = peer.zones.iter().filter(|zone| !zone.same).count();
            gauge!("leeward_peer_zones_that_differ", "peer" => peer.name.to_string()).set(older as f64);
        }
        for (reason, count) in exchanged.refused {
            counter!("leeward_peer_messages_rejected_total", "reason" => reason).absolute(count);
        }
        let mut count = 0;
        for found in disagreements(overview, self.checks) {
            let labels = [("check", found.check.key.to_string()), ("target", found.check.spec.target())];
            gauge!("leeward_disagreement_since_timestamp_seconds", &labels).set(self.timestamp(found.since));
            count += 1;
        }
        gauge!("leeward_disagreements").set(f64::from(count));
    }

    /// Seconds since 1970.
    fn timestamp(&self, at: Moment) -> f64 {
        let since_epoch = self.clock.wall_at(at).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since_epoch.as_millis() as f64 / 1e3
    }

    /// How many addresses of each pool count as what.
    fn pools(&self) {
        const STATES: [&str; 6] = ["up", "held", "reserve", "drained", "down", "unknown"];
        for (view, statuses) in self.pools {
            let state = |status: &Status| match (status.value, status.basis) {
                (Value::Unknown, _) => "unknown",
                (Value::Down, _) => "down",
                _ if status.drain => "drained",
                (_, Basis::Held) => "held",
                _ if status.weight == 0 => "reserve",
                _ => "up",
            };
            let seen: Vec<&str> = statuses.iter().map(state).collect();
            for known in STATES {
                let count = seen.iter().filter(|seen| **seen == known).count();
                gauge!("leeward_pool_addresses", &[("pool", view.pool.name.to_string()), ("state", known.to_owned())])
                    .set(count as f64);
            }
            Self::members_of(view, statuses);
        }
    }

    /// What each member of a pool was given, beside what it should be.
    fn members_of(view: &PoolView, statuses: &[Status]) {
        let wanted = view.pool.wanted_shares(statuses).unwrap_or_default();
        for (at, (member, &count)) in view.pool.members.iter().zip(&view.answers).enumerate() {
            let labels = [("pool", view.pool.name.to_string()), ("target", member.name.to_string())];
            counter!("leeward_pool_answers_total", &labels).absolute(count);
            if let Some(&share) = wanted.get(at) {
                gauge!("leeward_pool_wanted_share", &labels).set(share);
            }
        }
    }

    fn overrides(&self) {
        if let Some(file) = self.meters.read_overrides_file() {
            gauge!("leeward_overrides_file_refused").set(f64::from(u8::from(!file.errors.is_empty())));
        }
        for Override { origin, subject, state, expires, .. } in self.overrides.iter() {
            let (kind, name) = (("kind", subject.kind().to_owned()), ("name", subject.name()));
            // A word without an end that stands in a file is not forgotten: whoever reads the file sees it.
            if let (Some(_), _) | (None, Origin::Operator) = (expires, origin) {
                let expiry = expires.map_or(f64::INFINITY, |expires| expires as f64 / 1e3);
                gauge!("leeward_override_expiry_timestamp_seconds", &[kind.clone(), name.clone()]).set(expiry);
            }
            gauge!("leeward_override", &[kind, name, ("state", state.to_string())]).set(1.0);
        }
    }
}

/// What is shown of the checks that share a probe, and so its labels.
struct Probe {
    target: String,
    value: Value,
    basis: Basis,
    /// `None`: nothing that judges it is damped.
    damped: Option<Damped>,
    /// Whether the target is asked for its weight.
    weighs: bool,
    reported: u32,
    transitions: u64,
    last_run: Option<SystemTime>,
}

/// Of the flaps of a target.
#[derive(Clone, Copy, Default)]
struct Damped {
    penalty: u32,
    suppressed: bool,
}

/// Checks by their probe: of several judgements the worst value, the weakest basis, the lowest weight, the highest penalty, and
/// all transitions. Not those that only
/// running programs ask for: a series for whatever a client makes them ask for would be the client's to make.
fn probes(checks: &[CheckView], clock: &Clock) -> BTreeMap<CheckKey, Probe> {
    let mut probes = BTreeMap::new();
    for check in checks.iter().filter(|check| !check.ad_hoc) {
        let last_run = check.last.as_ref().map(|last| clock.wall_at(last.at));
        let target = || check.spec.target();
        let weighs = matches!(&check.spec.kind, CheckKind::Http(http) if http.weighs);
        let new = || Probe {
            target: target(),
            value: Value::Up,
            basis: Basis::Measured,
            damped: None,
            weighs,
            reported: u32::MAX,
            transitions: check.probe_transitions,
            last_run,
        };
        let probe = probes.entry(check.key).or_insert_with(new);
        probe.value = probe.value.min(check.status.value);
        probe.reported = probe.reported.min(check.status.reported);
        probe.basis = probe.basis.min(check.status.basis);
        if check.judgement.damping.is_some() {
            let damped = probe.damped.get_or_insert_default();
            damped.penalty = damped.penalty.max(check.penalty);
            damped.suppressed |= check.held_back_until.is_some_and(|until| until > clock.now);
        }
    }
    probes
}

/// Sets the counters of one zone, or of what belongs to none; gives back how many got no reply.
fn queries(zone: &str, counters: &QueryCounters) -> u64 {
    let Counted { replies, dropped, limited, fell_back } = counters.sum();
    if !zone.is_empty() {
        counter!("leeward_fallback_answers_total", "zone" => zone.to_owned()).absolute(fell_back);
    }
    if limited > 0 || zone.is_empty() {
        counter!("leeward_rate_limited_total", "zone" => zone.to_owned()).absolute(limited);
    }
    for (transport, counts) in Transport::ALL.into_iter().zip(replies) {
        for (rcode, count) in RCODES.into_iter().zip(counts) {
            // Every series that can be is too many for thousands of zones; a zone that was never asked still has one.
            if count > 0 || rcode == Rcode::NOERROR {
                let labels =
                    [("zone", zone.to_owned()), ("transport", transport.as_str().to_owned()), ("rcode", rcode.to_string())];
                counter!("leeward_queries_total", &labels).absolute(count);
            }
        }
    }
    dropped
}

fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

fn describe_state() {
    describe_gauge!("leeward_build_info", "The program's version; always 1.");
    describe_gauge!("leeward_isolated", "Whether verdicts are held because it is this node that is cut off.");
    describe_gauge!("leeward_quorum", "Whether enough of the other nodes are heard to decide with them.");
    describe_gauge!("leeward_peer_up", "Whether the peer was heard within stale_after.");
    describe_gauge!("leeward_peer_isolated", "Whether the peer says that it is cut off.");
    describe_gauge!("leeward_peer_words", "Of how many targets the peer says something.");
    describe_gauge!("leeward_peer_changes_behind", "Changes of this node's words that the peer has not heard yet.");
    describe_gauge!("leeward_peer_last_report_timestamp_seconds", "When the peer was last heard.");
    describe_counter!("leeward_peer_bytes_total", "Octets of bodies of messages that came from the peer or went to it.");
    describe_counter!("leeward_peer_messages_rejected_total", "Messages of peers, or of others, that were refused.");
    describe_gauge!("leeward_peer_zones_that_differ", "Zones that the peer serves with other data than this node.");
    describe_gauge!("leeward_disagreements", "Checks of which one node says up and another down.");
    describe_gauge!("leeward_disagreement_since_timestamp_seconds", "Since when nodes do not agree upon the check.");
    describe_gauge!("leeward_ready", "Whether /readyz says yes.");
    describe_gauge!("leeward_generation", "The published generation; it begins anew with each start.");
    describe_counter!("leeward_publishes_total", "Snapshots published.");
    describe_counter!("leeward_program_failures_total", "Runs of record programs that ended in SERVFAIL, by reason.");
    describe_counter!(
        "leeward_program_notices_dropped_total",
        "What programs had to tell (failures, log lines, wishes) while nobody had time for it."
    );
    describe_gauge!(
        "leeward_config_last_reload_successful",
        "Whether the last start or reload was without an error; what has errors keeps its old state."
    );
    describe_gauge!(
        "leeward_config_last_reload_success_timestamp_seconds",
        "When that was last so, in seconds since 1970; 0: never."
    );
    describe_gauge!("leeward_connections", "DNS connections that are open.");
    describe_counter!("leeward_connections_accepted_total", "DNS connections that were taken in.");
    describe_counter!("leeward_connections_evicted_total", "Idle DNS connections that were closed to make room.");
    describe_counter!("leeward_connections_refused_total", "DNS connections closed at once: their client had its share.");
    describe_counter!("leeward_handshakes_failed_total", "TLS and QUIC handshakes that failed or were not finished in time.");
    describe_counter!("leeward_proxy_header_errors_total", "Dropped for a PROXY header that was missing or malformed.");
    describe_counter!("leeward_notifications_total", "Events that one of [notify] was told.");
    describe_counter!("leeward_notification_failures_total", "Attempts to tell it that failed; they are repeated.");
    describe_counter!("leeward_notifications_dropped_total", "Events that it was never told: too many waited, or for too long.");
    describe_gauge!("leeward_zone_serial", "The serial of the zone's version that is served.");
    describe_gauge!("leeward_zone_stale", "Whether the last-good copy is served because the zone's file is bad.");
    describe_gauge!("leeward_zone_failed", "Whether the zone could not be loaded at all and answers SERVFAIL.");
    describe_gauge!(
        "leeward_geo_database_build_timestamp_seconds",
        "When the database of places that is in use was made, in seconds since 1970."
    );
    describe_gauge!("leeward_zone_broken_programs", "Record programs that could not be compiled and answer SERVFAIL.");
    describe_counter!(
        "leeward_queries_total",
        "Replies; zone=\"\" are those that belong to no zone. Rcodes without a series of their own count as SERVFAIL."
    );
    describe_counter!("leeward_queries_dropped_total", "Messages that got no reply, being no queries.");
    describe_counter!(
        "leeward_rate_limited_total",
        "Replies that rate limiting held back or sent empty with TC; zone=\"\" are those that belong to no zone."
    );
    describe_gauge!(
        "leeward_check_status",
        "1 for the status that was measured of the check (the worst, where several judge it), 0 for the others; leeward_override has \
         what operators say."
    );
    describe_gauge!(
        "leeward_pool_addresses",
        "How many addresses of the pool's members count as what in it: held are those that are down or out of sight and are \
         answered all the same, reserve those that wait to come back."
    );
    describe_counter!(
        "leeward_pool_answers_total",
        "Answers in which the pool's member was given, by whatever program drew from the pool."
    );
    describe_gauge!(
        "leeward_pool_wanted_share",
        "The share of leeward_pool_answers_total of its pool that the rules want the member to have now, 0 to 1. None where it \
         depends on where clients are, where several are drawn by different weights, or while no level can serve."
    );
    describe_gauge!(
        "leeward_overrides_file_refused",
        "Whether what the overrides file says now is refused, and what it said before holds."
    );
    describe_gauge!("leeward_override", "1 for each word of an operator that is in force, by what it says.");
    describe_gauge!(
        "leeward_override_expiry_timestamp_seconds",
        "When an operator's word ends, in seconds since 1970; +Inf: when it is taken back. None for a word without an end in the \
         overrides file."
    );
    describe_gauge!(
        "leeward_check_basis",
        "1 for what the check's measured status rests on (the weakest, where several judge it), 0 for the others; held: its \
         evidence is gone, and the last value stands."
    );
    describe_gauge!("leeward_check_flap_penalty", "What a damped target's flaps have added up to, as of its last probe.");
    describe_gauge!("leeward_check_suppressed", "Whether a damped target would be held back from coming up.");
    describe_counter!(
        "leeward_fallback_answers_total",
        "Replies from programs with a group of which no target was up, so that backupSelector chose."
    );
    describe_gauge!("leeward_event_streams", "Streams of events that are open.");
    describe_gauge!("leeward_probes_in_flight", "Probes that run, or wait for their turn.");
    describe_gauge!("leeward_check_reported_weight", "The weight that a target gives itself; 0: it is not up.");
    describe_counter!(
        "leeward_check_transitions_total",
        "How often the check's status has changed, by all that judge it; its first result counts."
    );
    describe_gauge!(
        "leeward_check_last_run_timestamp_seconds",
        "When the check's last probe finished, conclusive or not, in seconds since 1970."
    );
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::super::tests as testing;
    use super::*;

    fn scraped() -> String {
        let fake = testing::fake();
        let (meters, clock) = (&fake.node.meters, testing::clock_reading());
        meters.reload(true, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        meters.reload(false, SystemTime::UNIX_EPOCH);
        meters.probe_finished(&CheckKind::Tcp, Duration::from_millis(3), &Outcome::PASS);
        meters.probe_finished(&CheckKind::Tcp, Duration::from_secs(2), &Outcome::Inconclusive(Inconclusive::NoRoute));
        meters.failover(Duration::from_millis(40));
        meters.transition(Status::NEVER, Some(&Outcome::Fail(Failure::Refused)));
        meters.transition(Status { basis: Basis::Held, ..Status::NEVER }, None);
        meters.probe_asked();
        meters.probe_late(Duration::from_millis(2));
        meters.events_dropped(3);
        meters.store_error();
        meters.watch_notified(|| vec![Notified { name: "oncall".into(), delivered: 4, failed: 2, dropped: 1 }]);
        meters.watch_connections(|| Connections { open: vec![("tls", 3)], refused: 2, ..Connections::default() });
        let (snapshot, overview, checks, overrides) = (&*fake.snapshot, &fake.overview, &fake.checks, &fake.overrides);
        Scrape { meters, snapshot, overview, checks, overrides, pools: &[], ready: true, streams: 1, clock: &clock }.render()
    }

    #[test]
    fn a_scrape_has_what_the_contract_names() {
        let text = scraped();
        for line in [
            concat!("leeward_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "leeward_ready 1",
            "leeward_isolated 0",
            "leeward_config_last_reload_successful 0",
            "leeward_zone_serial{zone=\"gslb.example.\"} 7",
            "leeward_zone_stale{zone=\"gslb.example.\"} 0",
            "leeward_queries_total{zone=\"\",transport=\"udp\",rcode=\"NOERROR\"} 0",
            "leeward_queries_dropped_total 0",
            "leeward_probe_duration_seconds_bucket{kind=\"tcp\",le=\"0.005\"} 1",
            "leeward_probe_duration_seconds_count{kind=\"tcp\"} 2",
            "leeward_probe_inconclusive_total{reason=\"no_route\"} 1",
            "leeward_probe_inconclusive_total{reason=\"paused\"} 0",
            "leeward_failover_seconds_count 1",
            "leeward_reloads_total{result=\"refused\"} 1",
            "leeward_store_errors_total 1",
            "leeward_notifications_total{name=\"oncall\"} 4",
            "leeward_notification_failures_total{name=\"oncall\"} 2",
            "leeward_notifications_dropped_total{name=\"oncall\"} 1",
            "leeward_transitions_total{cause=\"refused\"} 1",
            "leeward_transitions_total{cause=\"put_back\"} 1",
            "leeward_transitions_total{cause=\"expired\"} 0",
            "leeward_probes_in_flight 1",
            "leeward_probe_lateness_seconds_bucket{le=\"0.005\"} 1",
            "leeward_events_dropped_total 3",
            "leeward_event_streams 1",
            "leeward_fallback_answers_total{zone=\"gslb.example.\"} 0",
            "leeward_connections{transport=\"tls\"} 3",
            "leeward_connections_refused_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let success = text.lines().find_map(|line| line.strip_prefix("leeward_config_last_reload_success_timestamp_seconds "));
        assert!(success.and_then(|at| at.parse().ok()) >= Some(1.7e9), "{success:?}");
        let status = |value: &str| format!("target=\"192.0.2.2:443\",status=\"{value}\"}} ");
        for (value, number) in [("up", 0), ("down", 1), ("unknown", 0)] {
            assert!(text.contains(&format!("{}{number}\n", status(value))), "{value}\n{text}");
        }
    }

    #[test]
    fn every_failure_is_a_cause() {
        let text = || "x".into();
        let failures = [
            Failure::Refused,
            Failure::Closed,
            Failure::Unreachable,
            Failure::Timeout,
            Failure::Answer,
            Failure::Grpc(text()),
            Failure::Said,
            Failure::Silent,
            Failure::Body,
            Failure::Pattern,
            Failure::Name(text()),
            Failure::Redirect(text()),
        ];
        for failure in failures {
            let word = cause(Status::NEVER, Some(&Outcome::Fail(failure)));
            assert!(causes().contains(&word), "{word}");
        }
        assert_eq!(causes().iter().collect::<std::collections::BTreeSet<_>>().len(), CAUSES, "none twice");
    }

    #[test]
    fn promtool_finds_nothing() {
        let promtool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let Ok(mut promtool) = promtool else {
            println!("SKIPPED: promtool is not installed");
            return;
        };
        promtool.stdin.take().unwrap().write_all(scraped().as_bytes()).unwrap();
        let said = promtool.wait_with_output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        assert_eq!(String::from_utf8_lossy(&said.stderr), "");
    }
}
