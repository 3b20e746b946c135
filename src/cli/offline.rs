//! `leeward explain --offline`: what the zone files would answer, with made-up health and no server.
//!
//! The engine, the answer routine and the explanation are those of the server; only time and probes are made up.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};

use crate::answers::{Asked, Options, Snapshot};
use crate::api::{Clock, ExplainForm, explain_form};
use crate::config::Config;
use crate::control::{self, Effect, Engine, Event, Load, LoadId, LoadKind};
use crate::health::Moment;
use crate::node::compile::{self, Origin, Settings, Slots};
use crate::target::{CheckSpec, Failure, Outcome, Value};
use crate::zone::{self, Files};

use super::serve::read_config;

/// What is made up about health.
pub(super) struct Assumed {
    /// Of every target that is not named below.
    pub(super) rest: Value,
    /// These are down: `ADDRESS` or `ADDRESS:PORT`.
    pub(super) down: Vec<String>,
}

/// The answer to `asked` and why.
pub(super) fn explain(config: Option<PathBuf>, assumed: &Assumed, asked: &Asked) -> anyhow::Result<ExplainForm> {
    let (_, config) = read_config(config)?;
    let config = config.context("the configuration has errors")?;
    let (engine, snapshot, now) = settle(&config, assumed)?;
    let checks: Vec<_> = engine.checks().collect();
    let clock = Clock::new(now, SystemTime::UNIX_EPOCH + now.since_origin());
    Ok(explain_form(&snapshot, asked, &checks, &clock))
}

/// An engine that has loaded every zone and had its probes answered as assumed, and what it published.
fn settle(config: &Config, assumed: &Assumed) -> anyhow::Result<(Engine, Arc<Snapshot>, Moment)> {
    let down = targets(&assumed.down)?;
    let options = Options { ecs: config.answering.ecs };
    let mut slots = Slots::default();
    let empty = Snapshot::empty(options, 1);
    let mut zones = Vec::new();
    for (apex, file) in &config.zones {
        let loaded = zone::load(&Files, file, apex.as_ref());
        for finding in &loaded.findings {
            eprintln!("{finding}");
        }
        let contents = loaded.contents.with_context(|| format!("zone {apex} has errors"))?;
        let version = compile::version(&empty, &contents, &Settings::of(config), &mut slots, Origin::default());
        for finding in &version.findings {
            eprintln!("{finding}");
        }
        zones.push(version.load);
    }
    let now = Moment::at(Duration::from_secs(1));
    let health = config.health.clone();
    let engine_config = control::Config { health: health.clone(), options, publish_interval: Duration::ZERO, workers: 1 };
    let mut engine = Engine::new(engine_config, fastrand::Rng::with_seed(0), now);
    let load = Load { id: LoadId(1), kind: LoadKind::Start, zones, removed: Vec::new(), health: health.clone(), options };
    engine.handle(Event::Loaded(Box::new(load)), now);
    let mut published = None;
    for now in [now, now + health.startup_wait] {
        engine.handle_timeout(now);
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Probe { key, spec } => {
                    if let Some(outcome) = outcome(&spec, assumed.rest, &down) {
                        engine.handle(Event::Probed { key, outcome, elapsed: Duration::ZERO }, now);
                    }
                }
                Effect::Publish { snapshot, .. } => published = Some(snapshot),
                Effect::Open | Effect::Keep { .. } | Effect::Decided { .. } | Effect::Log(_) => {}
            }
        }
        if published.is_some() {
            break;
        }
    }
    let snapshot = published.context("nothing was published")?;
    Ok((engine, snapshot, now + health.startup_wait))
}

/// What a probe finds; nothing, where health is to stay unknown.
fn outcome(spec: &CheckSpec, rest: Value, down: &BTreeSet<(IpAddr, Option<u16>)>) -> Option<Outcome> {
    if down.contains(&(spec.address, None)) || down.contains(&(spec.address, Some(spec.port))) {
        return Some(Outcome::Fail(Failure::Refused));
    }
    match rest {
        Value::Up => Some(Outcome::Pass),
        Value::Down => Some(Outcome::Fail(Failure::Refused)),
        Value::Unknown => None,
    }
}

fn targets(texts: &[String]) -> anyhow::Result<BTreeSet<(IpAddr, Option<u16>)>> {
    let target = |text: &String| {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok((address, None));
        }
        match text.parse::<std::net::SocketAddr>() {
            Ok(target) => Ok((target.ip(), Some(target.port()))),
            Err(_) => bail!("--down {text}: write ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT"),
        }
    };
    texts.iter().map(target).collect()
}
