//! What the benchmarks share: an engine that serves a zone given as text, in virtual time, and how a time is shown.
#![allow(dead_code, unreachable_pub, reason = "each benchmark uses its part")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leeward::answers::{Ctx, Now, Options, Published, Snapshot, Transport};
use leeward::control::{Config, Effect, Engine, Event, Load, LoadId, LoadKind};
use leeward::geo::Places;
use leeward::health::{self, Due, Finished, Moment, RunId};
use leeward::node::compile::{self, Origin, Settings, Slots};
use leeward::program::{self, Limits};
use leeward::target::{CheckSpec, Outcome};
use leeward::wire::Name;
use leeward::zone::{self, Contents};

/// As the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The zone of every benchmark.
pub const APEX: &str = "bench.example";

/// `[publish] max_per_second` as it is where nothing is configured.
pub const PUBLISH_INTERVAL: Duration = Duration::from_millis(10);

/// Whether this is `cargo bench`, and not a run that only looks whether everything works, which is to be short.
#[must_use]
pub fn is_measured() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Whether the arguments ask for what has this name: what is printed beside criterion's tables heeds its filter.
#[must_use]
pub fn is_asked_for(name: &str) -> bool {
    let mut filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    filters.peek().is_none() || filters.any(|filter| name.contains(&filter))
}

/// Reads a zone from memory.
pub struct Text<'t>(pub &'t str);

impl zone::Source for Text<'_> {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.as_bytes().into())
    }
}

/// The checked contents of a zone.
#[must_use]
pub fn contents(text: &str) -> Contents {
    let apex: Name = APEX.parse().expect("a name");
    let loaded = zone::load(&Text(text), Path::new("zone"), apex.as_ref());
    loaded.contents.unwrap_or_else(|| panic!("{:#?}", loaded.findings))
}

/// What every zone begins with.
pub const HEAD: &str = "$TTL 30\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\nns1 A 192.0.2.53\n";

/// A node without a shell: its engine, what it published, and the probes that it waits for.
pub struct Node {
    pub engine: Engine,
    pub published: Published,
    pub running: Vec<(RunId, Arc<CheckSpec>)>,
}

impl Node {
    /// Serves this zone, every target up.
    #[must_use]
    pub fn start(text: &str, places: Arc<Places>, now: Moment) -> Self {
        Self::start_with(Options::default(), text, places, now)
    }

    /// The same, with what the configuration says about answering.
    #[must_use]
    pub fn start_with(options: Options, text: &str, places: Arc<Places>, now: Moment) -> Self {
        let (options, health) = (Arc::new(options), health::Config::default());
        let Limits { steps: step_limit, shared, .. } = Limits::default();
        let programs = program::Settings { defaults: options.checks.clone(), step_limit, shared };
        let settings = Settings { programs, insert_whitespace: false, fence: Default::default() };
        let empty = Arc::new(Snapshot::empty(Arc::clone(&options), 1));
        let version = compile::version(&empty, contents(text), &settings, &mut Slots::default(), Origin::default());
        let publish_interval = PUBLISH_INTERVAL;
        let config = Config { health: health.clone(), options: Arc::clone(&options), publish_interval, workers: 1 };
        let engine = Engine::new(config, fastrand::Rng::with_seed(1), now);
        let mut node = Self { engine, published: Published::new(empty), running: Vec::new() };
        let (zones, removed) = (vec![version.load], Vec::new());
        let load =
            Load { id: LoadId(1), kind: LoadKind::Start, zones, removed, health, places, options, publish_interval, words: None };
        node.engine.handle(Event::Loaded(Box::new(load)), now);
        node.run_effects(drop);
        for (run, _) in std::mem::take(&mut node.running) {
            node.engine.handle(probed(run, Outcome::PASS, now), now);
            node.run_effects(drop);
        }
        node
    }

    /// Does what the engine wants; `retired` gets the snapshots that are replaced.
    pub fn run_effects(&mut self, mut retired: impl FnMut(Arc<Snapshot>)) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Probe(Due { run, spec, .. }) => self.running.push((run, spec)),
                Effect::Publish { snapshot, .. } => retired(self.published.publish(snapshot)),
                Effect::Open
                | Effect::Keep(_)
                | Effect::Record { .. }
                | Effect::Remember { .. }
                | Effect::RememberPool { .. }
                | Effect::Wire(_)
                | Effect::Tell { .. }
                | Effect::Receipt { .. }
                | Effect::Reply { .. }
                | Effect::Decided { .. }
                | Effect::Log(_) => {}
            }
        }
    }
}

/// The event of a probe that finished.
#[must_use]
pub fn probed(run: RunId, outcome: Outcome, now: Moment) -> Event {
    Event::Probed { run, result: Finished { outcome, started: now, elapsed: Duration::from_millis(1) } }
}

/// A query of this client over UDP.
#[must_use]
pub fn ctx(client: [u8; 4]) -> Ctx {
    let (client, local) = (SocketAddr::from((client, 49152)), SocketAddr::from(([192, 0, 2, 53], 53)));
    Ctx { client, local, transport: Transport::Udp, now: Now::default() }
}

/// The value below which this share of sorted values lies.
#[must_use]
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Median and worst of these times, for people.
#[must_use]
pub fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let worst = times.last().copied().unwrap_or_default();
    format!("median {:?}, p99 {:?}, worst {worst:?}", quantile(&times, 0.5), quantile(&times, 0.99))
}
