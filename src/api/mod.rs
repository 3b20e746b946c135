//! The admin API: what an operator, a load balancer's health check and Prometheus ask over HTTP.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /livez`, `/healthz` | `ok`; 503 only when the engine or the prober is late by more than 10 s |
//! | `GET /readyz[?verbose]` | `ok`; 503 until zones are loaded and the start gate is open |
//! | `GET /metrics` | Prometheus text |
//! | `GET /api/v1/status` | [`forms::StatusForm`] |
//! | `GET /api/v1/checks` | [`forms::ChecksForm`] |
//! | `POST /api/v1/checks/{key}/report?status=up` | a target reports itself, with its check's token (`report`) |
//! | `GET /api/v1/zones` | [`forms::ZonesForm`] |
//! | `GET /api/v1/events?since=&limit=` | [`forms::EventsForm`]; `since` is a number, a duration or a time |
//! | the same with `Accept: text/event-stream` | [`forms::EventForm`] by [`forms::EventForm`], as they happen (`stream`) |
//! | `GET /api/v1/explain?name=&type=&client=&subnet=&seed=` | [`forms::ExplainForm`] |
//! | `GET /api/v1/geo?address=&map=` | [`forms::GeoForm`] |
//! | `POST /api/v1/reload?dry_run=&zone=&accept=` | [`forms::ReloadForm`] |
//! | `GET /api/v1/peers` | [`forms::PeersForm`] |
//! | `GET /api/v1/pools` | [`forms::PoolsForm`] |
//! | `POST /api/v1/pools/{name}/failback?dry_run=` | [`forms::OrderForm`]; whoever waits to come back does so now |
//! | `GET /api/v1/overrides` | [`forms::OverridesForm`] |
//! | `GET /api/v1/overrides/{kind}/{name}` | [`forms::OverrideForm`], with its version as ETag |
//! | `PUT /api/v1/overrides/{kind}/{name}?state=&for=&by=&reason=&dry_run=&accept=&durable=` | [`forms::OrderForm`] |
//! | `DELETE /api/v1/overrides/{kind}/{name}?dry_run=&accept=&durable=` | [`forms::OrderForm`] |
//!
//! Every reply carries the generation that it saw or made, as a header and in JSON. Every error is
//! `application/problem+json` (RFC 9457). A parameter that does not exist is an error, not a silent default.
//!
//! - `ask`: the interface to the node: questions through one channel, and the published snapshot.
//! - `access`: who may do what.
//! - `listen`: the control socket and the TCP port, bound before they are served.
//! - `routes`: the calls. `forms`: their replies, types of their own so that inner types stay free to change.
//! - `history`: the last events. `stream`: the same as they happen.
//! - `overrides`: what operators order. `problem`: errors. `metrics`: the scrape. `explain`: an answer, and why. `geo`: where an address is.
//! - `pools`: what their members count as. `peers`: the other nodes, and what they do not agree upon.
//!
//! Never here: the engine's state, a clock (the node passes one in), a global recorder, a body that is read.

mod access;
mod ask;
mod explain;
pub mod forms;
mod geo;
mod history;
mod listen;
mod metrics;
mod overrides;
mod peers;
mod pools;
mod problem;
mod report;
mod routes;
mod stream;

pub use access::{Access, Config, Role, Secret, Token};
pub use ask::{
    Ask, Finding, Lateness, Node, Outside, OverridesFile, ReloadOutcome, ReloadReport, ReloadRequest, WordReport, ZoneReport,
};
pub use explain::explain_form;
pub use forms::{Clock, EVENT_KINDS, EventForm};
pub use history::{EVENTS_KEPT, Follower, History, Page};
pub use listen::{ListenError, Listeners};
pub use metrics::{Connections, Exchanged, Meters, Notified, PeerExchange, ZoneStated};
pub(crate) use overrides::names_of;
pub use routes::router;
pub use stream::Streams;

#[cfg(test)]
mod tests {
    //! A node for the tests of this module: a real engine with one small zone and made-up time, behind the channel that
    //! the API asks.

    use std::net::IpAddr;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use tokio::sync::mpsc;

    use crate::answers::{Options, Prepared, Published, Snapshot};
    use crate::control::{Config, Effect, Engine, Event, Load, LoadId, LoadKind, NewProgram, Overview, Refusal, ZoneLoad};
    use crate::geo::Places;
    use crate::health::{self, CheckView, Due, Finished, Moment, Origin, Override, Overrides, State, Subject};
    use crate::program::{Defaults, Settings, compile, join};
    use crate::target::{Failure, Outcome};
    use crate::wire::Name;
    use crate::zone::{ProgramId, Source, Zone, load};

    use super::*;

    const ZONE: &str = "$TTL 30\n\
        @ SOA ns.example. admin.example. 7 3600 600 86400 30\n\
        @ NS ns.example.\n\
        www LUA A \"ifportup(443, {'192.0.2.1', '192.0.2.2'})\"\n\
        odd TYPE999 \\# 2 ABCD\n";

    /// When the probes of the fake finish, and what the clock says when the API looks.
    const PROBED: Moment = Moment::at(Duration::from_secs(100));
    const NOW: Moment = Moment::at(Duration::from_millis(102_500));

    /// A node and what it knows.
    pub(super) struct Fake {
        pub(super) node: Node,
        pub(super) snapshot: Arc<Snapshot>,
        pub(super) overview: Overview,
        pub(super) checks: Vec<CheckView>,
        pub(super) overrides: Overrides,
        pub(super) asks: mpsc::Receiver<Ask>,
    }

    /// 192.0.2.1 is up, 192.0.2.2 refuses; nobody answers asks until [`Fake::run`].
    pub(super) fn fake() -> Fake {
        let options = Arc::new(Options::default());
        let health = health::Config::default();
        let config = Config { health, options: Arc::clone(&options), publish_interval: Duration::ZERO, workers: 1 };
        let mut engine = Engine::new(config, fastrand::Rng::with_seed(1), PROBED);
        engine.handle(Event::Loaded(Box::new(first_load(Arc::clone(&options)))), PROBED);
        let mut snapshot = Arc::new(Snapshot::empty(Arc::clone(&options), 1));
        let history = History::default();
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Probe(Due { run, spec, .. }) => {
                    let outcome = if spec.address == Some(IpAddr::from([192, 0, 2, 1])) {
                        Outcome::PASS
                    } else {
                        Outcome::Fail(Failure::Refused)
                    };
                    let result = Finished { outcome, started: PROBED, elapsed: Duration::from_millis(12) };
                    engine.handle(Event::Probed { run, result }, PROBED);
                }
                Effect::Publish { snapshot: next, .. } => snapshot = next,
                Effect::Open => engine.handle(Event::Opened(vec![([127, 0, 0, 1], 5300).into()]), PROBED),
                Effect::Keep(_)
                | Effect::Record { .. }
                | Effect::Remember { .. }
                | Effect::RememberPool { .. }
                | Effect::Wire(_)
                | Effect::Tell { .. }
                | Effect::Receipt { .. }
                | Effect::Reply { .. }
                | Effect::Decided { .. } => {}
                Effect::Log(entry) => history.push(EventForm::new(&entry, &clock_reading())),
            }
        }
        let (ask, asks) = mpsc::channel(8);
        let node = Node {
            name: "test-1".into(),
            ask,
            published: Published::new(Arc::clone(&snapshot)),
            clock: || (NOW, clock_reading().wall),
            lateness: Arc::new(Late(Duration::ZERO)),
            meters: Arc::new(Meters::new()),
            reports: Arc::default(),
            hosts: Arc::default(),
            history: Arc::new(history),
            streams: Arc::default(),
        };
        let (overview, checks) = (engine.overview(), engine.checks().collect());
        let mut overrides = Overrides::default();
        overrides.set(Override {
            origin: Origin::Operator,
            subject: Subject::Target(IpAddr::from([192, 0, 2, 1]), Some(443)),
            state: State::Drain,
            until: None,
            expires: Some(1_700_000_060_000),
            since: 1_700_000_000_000,
            by: "alice".into(),
            reason: "kernel".into(),
            version: 7,
        });
        Fake { node, snapshot, overview, checks, overrides, asks }
    }

    impl Fake {
        /// Answers asks until the last sender is gone; reloads end as `report` says, or never.
        pub(super) fn run(mut self, report: Option<ReloadReport>) -> Node {
            let node = self.node.clone();
            drop(self.node);
            tokio::spawn(async move {
                let mut never = Vec::new();
                while let Some(ask) = self.asks.recv().await {
                    match ask {
                        Ask::Overview(reply) => drop(reply.send(self.overview.clone())),
                        Ask::Checks(reply) => drop(reply.send(self.checks.clone())),
                        Ask::Pools(reply) => drop(reply.send(Vec::new())),
                        Ask::Overrides(reply) => drop(reply.send(self.overrides.clone())),
                        Ask::Order(command, reply) => {
                            let refused = Err(Refusal::WouldEmpty(vec![ProgramId(0)]));
                            let version = self.overrides.iter().next().map_or(0, |word| word.version);
                            let other = command.if_version.is_some_and(|seen| seen != version);
                            drop(reply.send(if other { Err(Refusal::Version(version)) } else { refused }));
                        }
                        Ask::Reload(_, reply) => match &report {
                            Some(report) => drop(reply.send(report.clone())),
                            None => never.push(reply),
                        },
                    }
                }
            });
            node
        }
    }

    /// What the fake's clock says.
    pub(super) fn clock_reading() -> Clock {
        Clock { now: NOW, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
    }

    /// The same lateness for ever.
    #[derive(Debug)]
    pub(super) struct Late(pub(super) Duration);

    impl Lateness for Late {
        fn at(&self, _: Moment) -> Duration {
            self.0
        }
    }

    struct Text;

    impl Source for Text {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(ZONE.into())
        }
    }

    fn first_load(options: Arc<Options>) -> Load {
        let apex: Name = Name::from_text(b"gslb.example.", None).unwrap();
        let loaded = load(&Text, Path::new("gslb.example.zone"), apex.as_ref());
        let contents = loaded.contents.unwrap_or_else(|| panic!("{:?}", loaded.findings));
        let settings = Settings { defaults: Defaults::default(), step_limit: 1000, shared: false };
        let mut added = Vec::new();
        let zone = Zone::build(contents, &mut |record| {
            let strings: Vec<_> = record.segments.iter().map(|segment| &*segment.text).collect();
            let code = join(&strings, false).code;
            let program = compile(&code, &settings).program;
            let prepared = Arc::new(Prepared::new(record.rtype, record.ttl, code.into(), program));
            let id = ProgramId(added.len() as u32);
            added.push(NewProgram { id, prepared, replaces: Vec::new() });
            id
        });
        let zones = vec![ZoneLoad::Data { zone, stale: false, added, dropped: Vec::new(), keep: false }];
        Load {
            id: LoadId(1),
            kind: LoadKind::Start,
            zones,
            removed: Vec::new(),
            words: None,
            health: health::Config::default(),
            places: Arc::new(Places::empty()),
            options,
            publish_interval: Duration::ZERO,
        }
    }
}
