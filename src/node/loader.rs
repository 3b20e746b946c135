//! The loader's thread: reads the configuration and the zone files, compiles them off the engine's thread, hands the
//! engine one load at a time and waits for its decision.
//!
//! What is served is read from the published snapshot, so the loader keeps no second copy of the truth. Zones are
//! judged one by one: one with errors keeps what it has (DESIGN 7.1) and holds back none of the others. Program errors
//! are errors of their zone, with one exception at the first start: where there is no last-good copy to fall back on,
//! the zone is served and only the records that could not be compiled answer SERVFAIL.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use tokio::sync::oneshot;

use crate::answers::{Published, Snapshot, ZoneState};
use crate::api::{self, Meters, ReloadOutcome, ReloadReport, ReloadRequest, ZoneReport};
use crate::config::{self, Config};
use crate::control::{Event, Load, LoadId, LoadKind, Outcome, ZoneLoad};
use crate::program::Defaults;
use crate::store::LastGood;
use crate::wire::{Name, NameRef};
use crate::zone::{self, Contents, Diff, Files, Finding, ProgramId, Severity, Zone};

use super::compile::{Compiler, Settings, Slots};
use super::drive::Message;

/// What the loader is asked to do.
pub(super) enum Job {
    /// Load everything for the first time; whether every file was good.
    Start(oneshot::Sender<bool>),
    /// Read again, and report.
    Reload(ReloadRequest, Box<dyn FnOnce(ReloadReport) + Send>),
}

/// Reads and compiles.
pub(super) struct Loader {
    pub(super) config_file: Option<PathBuf>,
    pub(super) config: Config,
    pub(super) strict: bool,
    pub(super) store: LastGood,
    pub(super) published: Published,
    pub(super) engine: Sender<Message>,
    pub(super) decided: Receiver<(LoadId, Outcome)>,
    pub(super) meters: Arc<Meters>,
    pub(super) slots: Slots,
    pub(super) loads: u64,
}

/// A zone that was read, before it is put into a load.
struct Version {
    load: ZoneLoad,
    /// Slots that its new programs took.
    taken: Vec<ProgramId>,
    report: ZoneReport,
}

/// What came of reading a zone's file.
enum Read {
    Changed(Box<Version>),
    Unchanged,
    Bad,
}

impl Loader {
    /// Works until the last sender of jobs has gone.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Start(done) => drop(done.send(self.start())),
                Job::Reload(request, reply) => {
                    let report = self.reload(&request);
                    if !request.dry_run {
                        self.meters.reload(report.outcome == ReloadOutcome::Applied);
                    }
                    reply(report);
                }
            }
        }
    }

    // -------- start

    fn start(&mut self) -> bool {
        let zones = self.config.zones.clone();
        let snapshot = self.published.load();
        let mut findings = Vec::new();
        let versions: Vec<Version> =
            zones.iter().map(|(apex, file)| self.first_version(&snapshot, apex.as_ref(), file, &mut findings)).collect();
        log(&findings);
        let sound = findings.iter().all(|finding| finding.severity == Severity::Warning);
        if self.strict && !sound {
            return false;
        }
        self.decide(LoadKind::Start, versions, Vec::new());
        self.meters.reload(sound);
        sound
    }

    /// What is served of a zone at a start: its file, else its last-good copy, else as much of the file as compiles, else
    /// SERVFAIL.
    fn first_version(&mut self, snapshot: &Snapshot, apex: NameRef<'_>, file: &Path, findings: &mut Vec<Finding>) -> Version {
        let loaded = zone::load(&Files, file, apex);
        findings.extend(loaded.findings);
        let copy_path = self.store.path(apex);
        let copy = || zone::load(&Files, &copy_path, apex).contents.filter(|_| copy_path.exists());
        let Some(contents) = loaded.contents else {
            return match copy() {
                Some(copy) => self.version(snapshot, &copy, true, None, &mut Vec::new()),
                None => Version {
                    load: ZoneLoad::Failed(apex.to_name()),
                    taken: Vec::new(),
                    report: ZoneReport { zone: apex.to_name(), before: None, after: None, removed: 0, added: 0 },
                },
            };
        };
        let text: Arc<[u8]> = contents.to_text().into();
        let mut program_findings = Vec::new();
        let version = self.version(snapshot, &contents, false, Some(text), &mut program_findings);
        let sound = program_findings.iter().all(|finding| finding.severity == Severity::Warning);
        findings.append(&mut program_findings);
        match copy().filter(|copy| !sound && *copy != contents) {
            Some(copy) => {
                self.slots.give_back(version.taken);
                self.version(snapshot, &copy, true, None, &mut Vec::new())
            }
            None => version,
        }
    }

    // -------- reload

    fn reload(&mut self, request: &ReloadRequest) -> ReloadReport {
        let snapshot = self.published.load();
        let report = |outcome, findings| ReloadReport { outcome, generation: snapshot.generation, zones: Vec::new(), findings };
        let (config, mut findings) = match self.read_config(request) {
            Ok(read) => read,
            Err(findings) => return report(ReloadOutcome::Invalid, findings),
        };
        let restart = self.config.needs_restart(&config);
        if !restart.is_empty() {
            return report(ReloadOutcome::NeedsRestart(restart), findings);
        }
        if request.zone.as_ref().is_some_and(|zone| !config.zones.contains_key(zone)) {
            return report(ReloadOutcome::NoSuchZone, findings);
        }
        let before = std::mem::replace(&mut self.config, config);
        let reuse = settings(&before) == settings(&self.config);
        let (versions, bad) = self.read_zones(&snapshot, request, reuse, &mut findings);
        let removed = before.zones.keys().filter(|zone| !self.config.zones.contains_key(zone)).cloned().collect();
        let mut report = self.apply(request, &before, &snapshot, versions, removed);
        if request.dry_run || !matches!(report.outcome, ReloadOutcome::Applied) {
            self.config = before;
        }
        if bad && matches!(report.outcome, ReloadOutcome::Applied | ReloadOutcome::Rehearsed) {
            report.outcome = ReloadOutcome::Invalid;
        }
        report.findings = findings;
        report
    }

    /// The configuration to go by: read again, unless one zone was asked for.
    fn read_config(&self, request: &ReloadRequest) -> Result<(Config, Vec<api::Finding>), Vec<api::Finding>> {
        let Some(file) = self.config_file.as_ref().filter(|_| request.zone.is_none()) else {
            return Ok((self.config.clone(), Vec::new()));
        };
        let loaded = config::load(file);
        let findings: Vec<_> = loaded.findings.iter().map(config_finding).collect();
        loaded.config.map(|config| (config, findings.clone())).ok_or(findings)
    }

    /// The zones that changed, and whether any file is bad.
    fn read_zones(
        &mut self,
        snapshot: &Snapshot,
        request: &ReloadRequest,
        reuse: bool,
        findings: &mut Vec<api::Finding>,
    ) -> (Vec<Version>, bool) {
        let mut versions = Vec::new();
        let mut bad = false;
        for (apex, file) in self.config.zones.clone() {
            if request.zone.as_ref().is_some_and(|wanted| *wanted != apex) {
                continue;
            }
            let mut found = Vec::new();
            match self.next_version(snapshot, apex.as_ref(), &file, reuse, &mut found) {
                Read::Changed(version) => versions.push(*version),
                Read::Unchanged => {}
                Read::Bad => bad = true,
            }
            log(&found);
            findings.extend(found.iter().map(zone_finding));
        }
        (versions, bad)
    }

    fn next_version(
        &mut self,
        snapshot: &Snapshot,
        apex: NameRef<'_>,
        file: &Path,
        reuse: bool,
        findings: &mut Vec<Finding>,
    ) -> Read {
        let loaded = zone::load(&Files, file, apex);
        findings.extend(loaded.findings);
        let Some(contents) = loaded.contents else { return Read::Bad };
        let copy: Arc<[u8]> = contents.to_text().into();
        let version = if reuse {
            match served(snapshot, apex) {
                Some((zone, false)) if zone.diff(&contents).is_empty() => return Read::Unchanged,
                Some(_) | None => self.version(snapshot, &contents, false, Some(copy), findings),
            }
        } else {
            self.version_anew(snapshot, &contents, copy, findings)
        };
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            self.slots.give_back(version.taken);
            return Read::Bad;
        }
        Read::Changed(Box::new(version))
    }

    /// A version upon the one that is served, if any: only new records are compiled.
    fn version(
        &mut self,
        snapshot: &Snapshot,
        contents: &Contents,
        stale: bool,
        copy: Option<Arc<[u8]>>,
        findings: &mut Vec<Finding>,
    ) -> Version {
        let settings = settings(&self.config);
        let before = served(snapshot, contents.apex()).map(|(zone, _)| zone);
        let mut compiler = Compiler::new(&settings, &mut self.slots, before.map(|zone| (zone, snapshot)), true);
        let (zone, diff) = match before {
            Some(before) => {
                let (zone, diff) = before.updated(contents, &mut |record| compiler.bind(record));
                (zone, Some(diff))
            }
            None => (Zone::build(contents, &mut |record| compiler.bind(record)), None),
        };
        let (added, mut found) = compiler.finish();
        findings.append(&mut found);
        version(before, zone, diff.as_ref(), stale, added, copy)
    }

    /// A version in which every record is compiled, because the settings of programs have changed.
    fn version_anew(&mut self, snapshot: &Snapshot, contents: &Contents, copy: Arc<[u8]>, findings: &mut Vec<Finding>) -> Version {
        let settings = settings(&self.config);
        let before = served(snapshot, contents.apex()).map(|(zone, _)| zone);
        let mut compiler = Compiler::new(&settings, &mut self.slots, before.map(|zone| (zone, snapshot)), false);
        let zone = Zone::build(contents, &mut |record| compiler.bind(record));
        let (added, mut found) = compiler.finish();
        findings.append(&mut found);
        let diff = before.map(|before| before.diff(contents));
        version(before, zone, diff.as_ref(), false, added, Some(copy))
    }

    fn apply(
        &mut self,
        request: &ReloadRequest,
        before: &Config,
        snapshot: &Snapshot,
        versions: Vec<Version>,
        removed: Vec<Name>,
    ) -> ReloadReport {
        let mut zones: Vec<ZoneReport> = versions.iter().map(|version| version.report.clone()).collect();
        zones.extend(removed.iter().map(|apex| removal(snapshot, apex)));
        let quiet = zones.is_empty() && before.health == self.config.health && before.answering == self.config.answering;
        let kind = if request.dry_run {
            LoadKind::DryRun
        } else {
            LoadKind::Reload { accept_regression: request.accept_regression }
        };
        let outcome = if quiet {
            if request.dry_run { Outcome::Rehearsed(snapshot.generation) } else { Outcome::Adopted(snapshot.generation) }
        } else {
            self.decide(kind, versions, removed)
        };
        let (outcome, generation) = match outcome {
            Outcome::Adopted(generation) => (ReloadOutcome::Applied, generation),
            Outcome::Rehearsed(generation) => (ReloadOutcome::Rehearsed, generation),
            Outcome::Refused(generation, regressions) => (ReloadOutcome::Regression(regressions), generation),
        };
        ReloadReport { outcome, generation, zones, findings: Vec::new() }
    }

    /// Hands a load to the engine and waits until it is decided. Slots that are free afterwards are given back.
    fn decide(&mut self, kind: LoadKind, versions: Vec<Version>, removed: Vec<Name>) -> Outcome {
        self.loads += 1;
        let id = LoadId(self.loads);
        let snapshot = self.published.load();
        let taken: Vec<ProgramId> = versions.iter().flat_map(|version| version.taken.iter().copied()).collect();
        let mut dropped: BTreeSet<ProgramId> = removed
            .iter()
            .filter_map(|apex| served(&snapshot, apex.as_ref()))
            .flat_map(|(zone, _)| zone.programs())
            .collect();
        let zones: Vec<ZoneLoad> = versions.into_iter().map(|version| version.load).collect();
        for zone in &zones {
            if let ZoneLoad::Data { dropped: gone, .. } = zone {
                dropped.extend(gone);
            }
        }
        let Config { health, answering, .. } = &self.config;
        let load = Load { id, kind, zones, removed, health: health.clone(), options: *answering };
        drop(self.engine.send(Message::Event(Event::Loaded(Box::new(load)))));
        let outcome = loop {
            match self.decided.recv() {
                Ok((decided, outcome)) if decided == id => break outcome,
                Ok(_) => {}
                Err(_) => break Outcome::Refused(snapshot.generation, Arc::new([])), // the engine is gone: we are stopping
            }
        };
        match outcome {
            Outcome::Adopted(_) => self.slots.give_back(dropped),
            Outcome::Rehearsed(_) | Outcome::Refused(..) => self.slots.give_back(taken),
        }
        outcome
    }
}

/// The version of a zone that is served, and whether it is the last-good copy.
fn served<'s>(snapshot: &'s Snapshot, apex: NameRef<'_>) -> Option<(&'s Zone, bool)> {
    match &snapshot.zones.get(apex)?.state {
        ZoneState::Serving { zone, stale } => Some((zone, *stale)),
        ZoneState::Failed(_) => None,
    }
}

fn version(
    before: Option<&Zone>,
    zone: Zone,
    diff: Option<&Diff>,
    stale: bool,
    added: Vec<crate::control::NewProgram>,
    copy: Option<Arc<[u8]>>,
) -> Version {
    let now: BTreeSet<ProgramId> = zone.programs().collect();
    let was: BTreeSet<ProgramId> = before.iter().flat_map(|zone| zone.programs()).collect();
    let count = |side: &zone::DiffSide| side.rrsets().count() + side.lua_records().count();
    let report = ZoneReport {
        zone: zone.apex().to_name(),
        before: before.map(Zone::serial),
        after: Some(zone.serial()),
        removed: diff.map_or(0, |diff| count(&diff.removed)),
        added: diff.map_or_else(|| zone.nodes().map(|node| node.rrsets().count()).sum(), |diff| count(&diff.added)),
    };
    let taken = added.iter().map(|program| program.id).collect();
    let dropped = was.difference(&now).copied().collect();
    Version { load: ZoneLoad::Data { zone, stale, added, dropped, copy }, taken, report }
}

fn removal(snapshot: &Snapshot, apex: &Name) -> ZoneReport {
    let before = served(snapshot, apex.as_ref()).map(|(zone, _)| zone);
    let removed = before.map_or(0, |zone| zone.nodes().map(|node| node.rrsets().count()).sum());
    ZoneReport { zone: apex.clone(), before: before.map(Zone::serial), after: None, removed, added: 0 }
}

/// What a configuration says about programs.
pub(super) fn settings(config: &Config) -> Settings {
    let defaults = Defaults { interval: config.health.interval, timeout: config.health.timeout };
    Settings { defaults, insert_whitespace: config.insert_whitespace, deny: config.deny.clone() }
}

fn log(findings: &[Finding]) {
    for finding in findings {
        match finding.severity {
            Severity::Error => tracing::error!("{finding}"),
            Severity::Warning => tracing::warn!("{finding}"),
        }
    }
}

fn zone_finding(finding: &Finding) -> api::Finding {
    api::Finding {
        error: finding.severity == Severity::Error,
        place: finding.at.to_string(),
        message: finding.message.clone(),
        remedy: finding.remedy.clone(),
    }
}

fn config_finding(finding: &config::Finding) -> api::Finding {
    api::Finding {
        error: finding.error,
        place: finding.place(),
        message: finding.message.clone(),
        remedy: finding.remedy.clone(),
    }
}
