//! `leeward explain --offline`: what the zone files would answer, with made-up health and no server.
//!
//! The engine, the answer routine and the explanation are those of the server; only time and probes are made up.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};

use crate::answers::{Asked, Now, Snapshot};
use crate::api::{Clock, explain_form};
use crate::config::Config;
use crate::control::{self, Effect, Engine, Event, Load, LoadId, LoadKind};
use crate::health::{self, CheckView, Due, Finished, Moment};
use crate::node::Databases;
use crate::node::compile::{self, Origin, Settings, Slots};
use crate::target::{CheckSpec, Failure, Outcome};
use crate::wire::ClientSubnet;
use crate::zone::{self, Files};

use super::args::{Assume, ExplainArgs};
use super::serve::read_config;
use super::{print, print_json, show};

/// Explains without a server.
pub(super) fn run_offline(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let (_, config) = read_config(args.config.clone())?;
    let config = config.context("the configuration has errors")?;
    let (engine, snapshot, now) = settle(&config, args)?;
    let checks: Vec<_> = engine.checks().collect();
    let clock = Clock { now, wall: SystemTime::UNIX_EPOCH + now.since_origin() };
    let form = explain_form(&snapshot, &asked(args)?, &checks, &clock);
    let assumed = assumed(args);
    if args.client_args.json {
        let mut form = serde_json::to_value(&form)?;
        form["offline"] = assumed.into();
        return print_json(&form);
    }
    print(&format!("OFFLINE: no server was asked, no target was probed; {assumed}\n{}", show::explain(&form)))
}

/// What was made up, in words.
fn assumed(args: &ExplainArgs) -> String {
    let rest = match args.assume {
        Assume::Up => "up",
        Assume::Down => "down",
        Assume::Unknown => "not known",
    };
    match &args.down[..] {
        [] => format!("every target is assumed to be {rest}"),
        down => format!("assumed to be down: {}; every other target: {rest}", down.join(", ")),
    }
}

fn asked(args: &ExplainArgs) -> anyhow::Result<Asked> {
    let name = args.name.parse().with_context(|| format!("NAME {}", args.name))?;
    let rtype = args.rtype.parse().with_context(|| format!("TYPE {}", args.rtype))?;
    let subnet = args.subnet.as_deref().map(str::parse::<ClientSubnet>).transpose().context("--subnet")?;
    let client = args.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let unix = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() as u32);
    Ok(Asked { name, rtype, client, subnet, seed: args.seed.unwrap_or(0), now: Now { monotonic: 0, unix } })
}

/// An engine that has loaded every zone and had its probes answered as assumed, and what it published.
fn settle(config: &Config, args: &ExplainArgs) -> anyhow::Result<(Engine, Arc<Snapshot>, Moment)> {
    let down = targets(&args.down)?;
    let places = Databases::read(&config.databases)?.places();
    let options = Arc::new(config.answering.clone());
    let mut slots = Slots::within(config);
    let empty = Snapshot::empty(Arc::clone(&options), 1);
    let mut zones = Vec::new();
    for (apex, file) in &config.zones {
        let loaded = zone::load(&Files, file, apex.as_ref());
        for finding in &loaded.findings {
            eprintln!("{finding}");
        }
        let contents = loaded.contents.with_context(|| format!("zone {apex} has errors"))?;
        let version = compile::version(&empty, contents, &Settings::of(config), &mut slots, Origin::default());
        for finding in &version.findings {
            eprintln!("{finding}");
        }
        zones.push(version.load);
    }
    let now = Moment::at(Duration::from_secs(1));
    // What other nodes see is not known here.
    let health = health::Config { fleet: health::Fleet::default(), ..config.health.clone() };
    let engine_config =
        control::Config { health: health.clone(), options: Arc::clone(&options), publish_interval: Duration::ZERO, workers: 1 };
    let mut engine = Engine::new(engine_config, fastrand::Rng::with_seed(0), now);
    let load = Load {
        id: LoadId(1),
        kind: LoadKind::Start,
        zones,
        removed: Vec::new(),
        words: None,
        health: health.clone(),
        places,
        options,
        publish_interval: Duration::ZERO,
    };
    engine.handle(Event::Loaded(Box::new(load)), now);
    let mut published = None;
    for now in [now, now + health.startup_wait] {
        engine.handle_timeout(now);
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Probe(Due { run, spec, .. }) => {
                    if let Some(outcome) = outcome(&spec, args.assume, &down) {
                        let result = Finished { outcome, started: now, elapsed: Duration::ZERO };
                        engine.handle(Event::Probed { run, result }, now);
                    }
                }
                Effect::Publish { snapshot, .. } => published = Some(snapshot),
                // nobody orders anything here
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
        if published.is_some() {
            break;
        }
    }
    for (address, port) in &down {
        let named =
            |view: &CheckView| view.spec.named_address() == Some(*address) && port.is_none_or(|port| port == view.spec.port);
        anyhow::ensure!(engine.checks().any(|view| named(&view)), "--down {address}: no check of these zones probes that target");
    }
    let snapshot = published.context("nothing was published")?;
    Ok((engine, snapshot, now + health.startup_wait))
}

/// What a probe finds; nothing, where health is to stay unknown.
fn outcome(spec: &CheckSpec, rest: Assume, down: &BTreeSet<(IpAddr, Option<u16>)>) -> Option<Outcome> {
    let is_down = |address| down.contains(&(address, None)) || down.contains(&(address, Some(spec.port)));
    if spec.named_address().is_some_and(is_down) {
        return Some(Outcome::Fail(Failure::Refused));
    }
    match rest {
        Assume::Up => Some(Outcome::PASS),
        Assume::Down => Some(Outcome::Fail(Failure::Refused)),
        Assume::Unknown => None,
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
