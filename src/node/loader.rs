//! The loader's thread: reads the configuration and the zone files, compiles them off the engine's thread, hands the
//! engine one load at a time and waits for its decision.
//!
//! What is served is read from the published snapshot, so the loader keeps no second copy of the truth. Zones are
//! judged one by one: one with errors keeps what it has (DESIGN 7.1) and holds back none of the others. Program errors
//! are errors of their zone, with one exception at the first start: where there is no last-good copy to fall back on,
//! the zone is served and only the records that could not be compiled answer SERVFAIL.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use tokio::sync::oneshot;

use crate::answers::{Published, Secret, Snapshot};
use crate::api::{self, Meters, Outside, ReloadOutcome, ReloadReport, ReloadRequest, WordReport, ZoneReport};
use crate::config::{self, Config, OverridesFile, Said};
use crate::control::{Event, Load, LoadId, LoadKind, Outcome, WordFault, ZoneLoad};
use crate::peers::Exchange;
use crate::server::Certificates;
use crate::store::LastGood;
use crate::wire::{Name, NameRef};
use crate::zone::{self, Contents, Files, Finding, LuaRecord, ProgramId, Severity, Zone};

use super::clock;
use super::compile::{self, Origin, Settings, Slots, Version, served};
use super::databases::{BadDatabase, Databases};
use super::drive::{Decided, Message};
use super::herald::Heralds;
use super::hosts::Names;
use super::resolver::Resolver;
use super::watcher::Watched;
use super::words::{self, Next};

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
    pub(super) decided: Receiver<Decided>,
    pub(super) meters: Arc<Meters>,
    pub(super) slots: Slots,
    pub(super) loads: u64,
    pub(super) databases: Databases,
    /// Makes cookies where none is configured; lives as long as the process.
    pub(super) cookie_secret: Secret,
    /// Zones whose file was bad when the settings of programs changed: what is served of them was compiled by the old ones.
    pub(super) behind: BTreeSet<Name>,
    /// What TLS shows, where the server has TLS.
    pub(super) certificates: Option<Certificates>,
    /// Answers `resolve()`.
    pub(super) resolver: Resolver,
    /// Looks up the names of pools' members.
    pub(super) names: Names,
    pub(super) heralds: Heralds,
    /// Which files are watched.
    pub(super) watched: Watched,
    /// What the overrides file says, as it is in force.
    pub(super) words: words::Standing,
    /// With the other nodes.
    pub(super) exchange: Option<Arc<Exchange>>,
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
                Job::Start(done) => {
                    let sound = self.start();
                    self.state();
                    let _gone = done.send(sound); // and does not want to know
                }
                Job::Reload(request, reply) => {
                    let report = self.reload(&request);
                    if !request.dry_run {
                        log_outcome(&report);
                        self.meters.reload(report.outcome == ReloadOutcome::Applied, clock::now_and_wall().1);
                    }
                    if report.outcome == ReloadOutcome::Applied && request.outside.is_none() {
                        self.state();
                    }
                    reply(report);
                }
            }
        }
    }

    /// Lets the other nodes know what is served, and whom we take for them.
    fn state(&self) {
        if let Some(exchange) = &self.exchange {
            super::peers::state(exchange, &self.config, &self.published.load());
        }
    }

    // -------- start

    fn start(&mut self) -> bool {
        self.names.learn(self.config.answering.checks.pools.hosts(), self.config.health.startup_wait);
        self.config = self.config.clone().leading_where(self.names.known());
        let said: Vec<_> = self.config.read_overrides().iter().map(told).collect();
        self.watched.follow(&self.config);
        let zones = self.config.zones.clone();
        let snapshot = self.published.load();
        let mut findings = Vec::new();
        let versions: Vec<Version> =
            zones.iter().map(|(apex, file)| self.first_version(&snapshot, apex.as_ref(), file, &mut findings)).collect();
        log(&findings);
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        let refused: Vec<_> = said.into_iter().filter(|finding| finding.error).collect();
        self.tell_errors(errors + refused.len());
        let sound = errors + refused.len() == 0;
        if self.strict && !sound {
            return false;
        }
        // Before anybody can see that it serves.
        self.meters.started(sound, clock::now_and_wall().1);
        self.start_words(versions, refused);
        sound
    }

    /// What is served of a zone at a start: its file, else its last-good copy, else as much of the file as compiles, else
    /// SERVFAIL.
    fn first_version(&mut self, snapshot: &Snapshot, apex: NameRef<'_>, file: &Path, findings: &mut Vec<Finding>) -> Version {
        let loaded = zone::load(&Files, file, apex);
        findings.extend(loaded.findings);
        let copy_path = self.store.path(apex);
        let copy = || copy_path.exists().then(|| zone::load(&Files, &copy_path, apex).contents).flatten();
        let stale = || Origin { stale: true, ..Origin::default() };
        let Some(contents) = loaded.contents else {
            findings.extend(self.program_findings(&loaded.programs));
            return match copy() {
                Some(copy) => self.version(snapshot, copy, stale()),
                None => failed(apex),
            };
        };
        let mut version = self.version(snapshot, contents, Origin::default());
        let sound = !has_errors(&version.findings);
        findings.append(&mut version.findings);
        if sound {
            version.keep();
            return version;
        }
        match copy() {
            Some(copy) => {
                self.slots.give_back(version.taken);
                self.version(snapshot, copy, stale())
            }
            None => version,
        }
    }

    /// The first load, with what the overrides file says: that is in force from the first answer.
    fn start_words(&mut self, versions: Vec<Version>, refused: Vec<api::Finding>) {
        if self.config.overrides.as_ref().is_some_and(|file| file.said == Said::Missing) {
            tracing::warn!("the overrides file is not there, so it says nothing; it is read when it comes");
        }
        let words = self.words.next(self.config.overrides.as_ref(), &mut Vec::new());
        words.iter().for_each(|words| self.words.adopt(words.clone()));
        self.meters.overrides_file(self.words.shown(self.config.overrides.as_ref(), refused));
        let (_, faults) = self.decide(LoadKind::Start, versions, Vec::new(), words.as_ref());
        let snapshot = self.published.load();
        for odd in faults.iter().map(|fault| words::finding(fault, &snapshot)) {
            tracing::warn!("{}: {}", odd.place, odd.message);
        }
    }

    // -------- reload

    fn reload(&mut self, request: &ReloadRequest) -> ReloadReport {
        let snapshot = self.published.load();
        let report = |outcome, findings| ReloadReport {
            outcome,
            generation: snapshot.generation,
            zones: Vec::new(),
            words: Vec::new(),
            findings,
        };
        let (config, mut findings) = match self.read_config(request) {
            Ok(read) => read,
            Err(findings) => {
                self.tell_errors(findings.iter().filter(|finding| finding.error).count());
                return report(ReloadOutcome::Invalid, findings);
            }
        };
        let restart = self.config.needs_restart(&config);
        if !restart.is_empty() {
            return report(ReloadOutcome::NeedsRestart(restart), findings);
        }
        if request.zone.as_ref().is_some_and(|zone| !config.zones.contains_key(zone)) {
            return report(ReloadOutcome::NoSuchZone, findings);
        }
        if !request.dry_run {
            self.show_certificate(&config);
        }
        let databases = match self.read_databases(&config, request) {
            Ok(databases) => databases,
            Err(errors) => {
                self.tell_errors(errors.len());
                findings.extend(errors);
                return report(ReloadOutcome::Invalid, findings);
            }
        };
        let config = self.resolved(config, request);
        let words = match request.reads_overrides() {
            true => self.words.next(config.overrides.as_ref(), &mut findings),
            false => None,
        };
        let file_errors = words::errors_of(config.overrides.as_ref(), &findings);
        let mut bad = findings.iter().any(|finding| finding.error);
        let before = std::mem::replace(&mut self.config, config);
        self.slots.follow(&self.config);
        let databases_before = std::mem::replace(&mut self.databases, databases);
        let behind = self.behind.clone();
        let anew = Settings::of(&before) != Settings::of(&self.config);
        let (versions, bad_zone) = self.read_zones(&snapshot, request, anew, &mut findings);
        let removed = before.zones.keys().filter(|zone| !self.config.zones.contains_key(zone)).cloned().collect();
        let (mut report, mut faults) = self.apply(request, &before, &snapshot, (versions, removed), words.as_ref());
        let file = self.config.overrides.clone();
        if request.dry_run || !matches!(report.outcome, ReloadOutcome::Applied) {
            (self.config, self.behind, self.databases) = (before, behind, databases_before);
            self.slots.follow(&self.config);
            if let (ReloadOutcome::Regression(_), Some(words), false) = (&report.outcome, &words, request.dry_run) {
                // What is wrong with zones holds up no override.
                let kind = LoadKind::Reload { accept_regression: false };
                faults = self.decide(kind, Vec::new(), Vec::new(), Some(words)).1;
            }
        } else {
            // Also where the setting is the same: /etc/resolv.conf may not be.
            self.resolver.use_server(self.config.resolver);
            self.names.use_server(self.config.resolver);
            self.heralds.follow(&self.config.notify);
            // Of what is watched and bad it has been noted that it was read.
            if request.zone.is_none() && !(request.outside.is_some() && bad) {
                self.watched.follow(&self.config);
            }
        }
        if request.outside.is_none() {
            self.names.follow(self.config.answering.checks.pools.hosts());
        }
        let refused: Vec<_> = faults.iter().map(|fault| words::finding(fault, &self.published.load())).collect();
        report.words = self.take_words(request, file.as_ref(), words, [file_errors, refused.clone()].concat());
        refused.iter().for_each(|fault| tracing::error!("{}: {}; {}", fault.place, fault.message, fault.remedy));
        bad |= bad_zone || !refused.is_empty();
        findings.extend(refused);
        if bad && matches!(report.outcome, ReloadOutcome::Applied | ReloadOutcome::Rehearsed) {
            report.outcome = ReloadOutcome::Invalid;
        }
        if !request.dry_run {
            self.tell_errors(findings.iter().filter(|finding| finding.error).count());
        }
        report.findings = findings;
        report
    }

    /// Makes of what the file says what is in force, unless something speaks against it; what changes, or would.
    fn take_words(
        &mut self,
        request: &ReloadRequest,
        file: Option<&OverridesFile>,
        words: Option<Next>,
        errors: Vec<api::Finding>,
    ) -> Vec<WordReport> {
        let words = words.filter(|_| errors.is_empty());
        let changes = words.as_ref().map(|words| self.words.changes(words)).unwrap_or_default();
        if !request.dry_run && request.reads_overrides() {
            words.into_iter().for_each(|words| self.words.adopt(words));
            self.meters.overrides_file(self.words.shown(file, errors));
        }
        changes
    }

    /// New connections see the certificate of a sound configuration, whatever becomes of its zones and databases: a renewal
    /// comes once in two months, and must not be lost to a file that is bad at that moment or to a check that regresses,
    /// which have nothing to do with it. A configuration that needs a restart is another matter. It is refused as a whole, because its
    /// certificate may be for the names of what it changes; the refusal says so each time, and the restart that it asks for
    /// shows the certificate.
    fn show_certificate(&mut self, new: &Config) {
        let (Some(certificates), Some(shown), Some(new)) = (&self.certificates, &mut self.config.server.tls, &new.server.tls)
        else {
            return;
        };
        if shown.identity != new.identity {
            certificates.replace(&new.identity);
            shown.identity = new.identity.clone(); // also where the rest of `new` is not adopted
            tracing::info!("the TLS certificate has been replaced");
        }
    }

    /// Has the errors of files written down among what happened.
    fn tell_errors(&self, errors: usize) {
        if errors > 0 {
            drop(self.engine.send(Message::Event(Event::Rejected(errors))));
        }
    }

    /// The configuration to go by: read again, unless one zone was asked for.
    fn read_config(&self, request: &ReloadRequest) -> Result<(Config, Vec<api::Finding>), Vec<api::Finding>> {
        let loaded = match self.config_file.as_ref().filter(|_| request.zone.is_none()) {
            _ if request.outside == Some(Outside::Files) => self.read_watched(),
            _ if request.outside == Some(Outside::Hosts) => return Ok((self.config.clone(), Vec::new())),
            Some(file) => config::load(file),
            None => return Ok((self.config.clone(), Vec::new())),
        };
        for finding in &loaded.findings {
            match finding.error {
                true => tracing::error!("{finding}"),
                false => tracing::warn!("{finding}"),
            }
        }
        let findings: Vec<_> = loaded.findings.iter().map(told).collect();
        loaded.config.map(|config| (config, findings.clone())).ok_or(findings)
    }

    /// The configuration with the addresses that its names lead to. Names that it brings are looked up first; until it is
    /// adopted those of the one that serves are too. A reload of one zone takes nothing over that all zones must follow.
    fn resolved(&self, config: Config, request: &ReloadRequest) -> Config {
        if request.zone.is_some() {
            return config;
        }
        let new: BTreeSet<&str> = config.answering.checks.pools.hosts().collect();
        let old: BTreeSet<&str> = self.config.answering.checks.pools.hosts().collect();
        if request.outside.is_none() && !new.is_subset(&old) {
            self.names.learn(new.union(&old).copied(), config.health.startup_wait);
        }
        config.leading_where(self.names.known())
    }

    /// The same configuration, with the files that are watched read again: each that is bad stays as it was.
    fn read_watched(&self) -> config::Loaded {
        self.watched.take_note();
        let nets = self.config.with_nets_read_again();
        let mut config = nets.config.unwrap_or_else(|| self.config.clone());
        let mut findings = nets.findings;
        findings.extend(config.read_overrides());
        config::Loaded { config: Some(config), draft: None, findings }
    }

    /// The databases of places as they are now, unless one zone was asked for.
    fn read_databases(&self, config: &Config, request: &ReloadRequest) -> Result<Databases, Vec<api::Finding>> {
        if request.zone.is_some() || request.outside.is_some() {
            return Ok(self.databases.clone());
        }
        self.databases.read_again(&config.databases).map_err(|bad| {
            bad.0.iter().for_each(|bad| tracing::error!("{bad}"));
            bad.0.iter().map(database_finding).collect()
        })
    }

    /// The zones that changed, and whether any file is bad.
    fn read_zones(
        &mut self,
        snapshot: &Snapshot,
        request: &ReloadRequest,
        anew: bool,
        findings: &mut Vec<api::Finding>,
    ) -> (Vec<Version>, bool) {
        let mut versions = Vec::new();
        let mut bad = false;
        for (apex, file) in self.config.zones.clone() {
            if request.zone.as_ref().is_some_and(|wanted| *wanted != apex) {
                continue;
            }
            let anew = anew || self.behind.contains(&apex);
            if request.outside.is_some() {
                if anew {
                    versions.extend(self.served_anew(snapshot, apex.as_ref()));
                }
                continue;
            }
            let mut found = Vec::new();
            match self.next_version(snapshot, apex.as_ref(), &file, anew, &mut found) {
                Read::Changed(version) => {
                    self.behind.remove(&apex);
                    versions.push(*version);
                }
                Read::Unchanged => {}
                Read::Bad => {
                    bad = true;
                    if anew {
                        self.behind.insert(apex.clone());
                    }
                    // A zone that is new with this reload fails alone, as at a start.
                    versions.extend(snapshot.zones.get(apex.as_ref()).is_none().then(|| failed(apex.as_ref())));
                }
            }
            log(&found);
            findings.extend(found.iter().map(zone_finding));
        }
        (versions, bad)
    }

    /// The next version of a zone of what is served of it, where pools or maps that its programs may use are others. Its file is
    /// not looked at: whoever is writing it is not done yet.
    fn served_anew(&mut self, snapshot: &Snapshot, apex: NameRef<'_>) -> Option<Version> {
        let (zone, stale) = served(snapshot, apex)?;
        let code = |id| snapshot.set(id).map(|set| set.prepared().code().to_owned());
        if !zone.programs().filter_map(code).any(|code| code.contains("pool")) {
            return None;
        }
        let contents = zone::load(&Served(zone), Path::new("what is served"), apex).contents?;
        let version = self.version(snapshot, contents, Origin { stale, anew: true, unasked: true });
        if has_errors(&version.findings) {
            // By settings that it could not be compiled with before either: it stays as it is.
            self.slots.give_back(version.taken);
            return None;
        }
        Some(version)
    }

    fn next_version(
        &mut self,
        snapshot: &Snapshot,
        apex: NameRef<'_>,
        file: &Path,
        anew: bool,
        findings: &mut Vec<Finding>,
    ) -> Read {
        let loaded = zone::load(&Files, file, apex);
        findings.extend(loaded.findings);
        let Some(contents) = loaded.contents else {
            findings.extend(self.program_findings(&loaded.programs));
            return Read::Bad;
        };
        let is_same = !anew && matches!(served(snapshot, apex), Some((zone, false)) if zone.diff(&contents).is_empty());
        if is_same && served(snapshot, apex).is_none_or(|(zone, _)| self.slots.refused(zone).is_empty()) {
            findings.extend(self.still_broken(snapshot, &loaded.programs, apex));
            return Read::Unchanged;
        }
        let mut version = self.version(snapshot, contents, Origin { stale: false, anew, unasked: false });
        findings.append(&mut version.findings);
        if has_errors(findings) {
            self.slots.give_back(version.taken);
            return Read::Bad;
        }
        let still_broken = self.still_broken(snapshot, &loaded.programs, apex);
        if still_broken.is_empty() && version.sound().all(|sound| sound) {
            version.keep();
        }
        findings.extend(still_broken);
        if is_same && !version.sound().any(|sound| sound) {
            // There is no more room than there was.
            self.slots.give_back(version.taken);
            return Read::Unchanged;
        }
        Read::Changed(Box::new(version))
    }

    /// The errors of programs that are served as SERVFAIL already, as warnings: they are no reason to refuse a change that
    /// does not touch them, and must not be forgotten.
    fn still_broken(&self, snapshot: &Snapshot, programs: &[Arc<LuaRecord>], apex: NameRef<'_>) -> Vec<Finding> {
        let sets = served(snapshot, apex).into_iter().flat_map(|(zone, _)| zone.programs().filter_map(|id| snapshot.set(id)));
        let broken: BTreeSet<&str> = sets
            .map(|set| set.prepared())
            .filter(|prepared| prepared.program().is_none())
            .map(|prepared| prepared.code())
            .collect();
        if broken.is_empty() {
            return Vec::new();
        }
        let settings = Settings::of(&self.config);
        let compiled = programs.iter().map(|record| compile::record(record, &settings, None));
        let findings = compiled.filter(|(prepared, _)| broken.contains(prepared.code())).flat_map(|(_, findings)| findings);
        findings.map(|finding| Finding { severity: Severity::Warning, ..finding }).collect()
    }

    /// The next version of a zone.
    fn version(&mut self, snapshot: &Snapshot, contents: Contents, origin: Origin) -> Version {
        compile::version(snapshot, contents, &Settings::of(&self.config), &mut self.slots, origin)
    }

    /// What is wrong with the programs of a file that is not a zone: all is said at once.
    fn program_findings(&self, programs: &[Arc<LuaRecord>]) -> Vec<Finding> {
        let settings = Settings::of(&self.config);
        programs.iter().flat_map(|record| compile::record(record, &settings, None).1).collect()
    }

    fn apply(
        &mut self,
        request: &ReloadRequest,
        before: &Config,
        snapshot: &Snapshot,
        (versions, removed): (Vec<Version>, Vec<Name>),
        words: Option<&Next>,
    ) -> (ReloadReport, Vec<WordFault>) {
        let mut zones: Vec<ZoneReport> = versions.iter().map(|version| report(snapshot, version)).collect();
        zones.extend(removed.iter().map(|apex| removal(snapshot, apex)));
        let quiet = zones.is_empty()
            && words.is_none()
            && Arc::ptr_eq(&snapshot.places, &self.databases.places())
            && before.health == self.config.health
            && before.answering == self.config.answering
            && before.publish_interval == self.config.publish_interval;
        let kind =
            if request.dry_run { LoadKind::DryRun } else { LoadKind::Reload { accept_regression: request.accept_regression } };
        let (outcome, faults) = if quiet {
            let seen = snapshot.generation;
            (if request.dry_run { Outcome::Rehearsed(seen) } else { Outcome::Adopted(seen) }, Vec::new())
        } else {
            self.decide(kind, versions, removed, words)
        };
        let (outcome, generation) = match outcome {
            Outcome::Adopted(generation) => (ReloadOutcome::Applied, generation),
            Outcome::Rehearsed(generation) => (ReloadOutcome::Rehearsed, generation),
            Outcome::Refused(generation, regressions) => (ReloadOutcome::Regression(regressions), generation),
        };
        (ReloadReport { outcome, generation, zones, words: Vec::new(), findings: Vec::new() }, faults)
    }

    /// Hands a load to the engine and waits until it is decided. Slots that are free afterwards are given back.
    fn decide(
        &mut self,
        kind: LoadKind,
        versions: Vec<Version>,
        removed: Vec<Name>,
        words: Option<&Next>,
    ) -> (Outcome, Vec<WordFault>) {
        self.loads += 1;
        let id = LoadId(self.loads);
        let snapshot = self.published.load();
        let taken: Vec<ProgramId> = versions.iter().flat_map(|version| version.taken.iter().copied()).collect();
        let mut dropped: BTreeSet<ProgramId> =
            removed.iter().filter_map(|apex| served(&snapshot, apex.as_ref())).flat_map(|(zone, _)| zone.programs()).collect();
        let zones: Vec<ZoneLoad> = versions.into_iter().map(|version| version.load).collect();
        for zone in &zones {
            if let ZoneLoad::Data { dropped: gone, .. } = zone {
                dropped.extend(gone);
            }
        }
        let Config { health, answering, publish_interval, .. } = &self.config;
        let (health, options, publish_interval) = (health.clone(), answering, *publish_interval);
        let options = Arc::new(options.clone().with_cookie_secret(&self.cookie_secret));
        let places = self.databases.places();
        let words = words.map(|words| words.load());
        let load = Load { id, kind, zones, removed, health, places, options, publish_interval, words };
        drop(self.engine.send(Message::Event(Event::Loaded(Box::new(load)))));
        let (outcome, faults) = loop {
            match self.decided.recv() {
                Ok((decided, outcome, faults, _leftover)) if decided == id => break (outcome, faults),
                Ok(_) => {}
                // the engine is gone: we are stopping
                Err(_) => break (Outcome::Refused(snapshot.generation, Arc::new([])), Vec::new()),
            }
        };
        match outcome {
            Outcome::Adopted(_) => self.slots.give_back(dropped),
            Outcome::Rehearsed(_) | Outcome::Refused(..) => self.slots.give_back(taken),
        }
        (outcome, faults)
    }
}

/// A zone that is served, as a file of it would be.
struct Served<'z>(&'z Zone);

impl zone::Source for Served<'_> {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.0.write_text(&mut text)?;
        Ok(text)
    }
}

fn report(snapshot: &Snapshot, version: &Version) -> ZoneReport {
    let zone = match &version.load {
        ZoneLoad::Failed(apex) => return ZoneReport { zone: apex.clone(), before: None, after: None, removed: 0, added: 0 },
        ZoneLoad::Data { zone, .. } => zone,
    };
    let count = |side: &zone::DiffSide| side.rrsets().count() + side.lua_records().count();
    ZoneReport {
        zone: zone.apex().to_name(),
        before: served(snapshot, zone.apex()).map(|(zone, _)| zone.serial()),
        after: Some(zone.serial()),
        removed: version.diff.as_ref().map_or(0, |diff| count(&diff.removed)),
        added: version.diff.as_ref().map_or_else(|| rrsets(zone), |diff| count(&diff.added)),
    }
}

fn rrsets(zone: &Zone) -> usize {
    zone.nodes().map(|node| node.rrsets().count()).sum()
}

fn removal(snapshot: &Snapshot, apex: &Name) -> ZoneReport {
    let before = served(snapshot, apex.as_ref()).map(|(zone, _)| zone);
    ZoneReport { zone: apex.clone(), before: before.map(Zone::serial), after: None, removed: before.map_or(0, rrsets), added: 0 }
}

fn failed(apex: NameRef<'_>) -> Version {
    Version { load: ZoneLoad::Failed(apex.to_name()), findings: Vec::new(), taken: Vec::new(), diff: None }
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
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

fn database_finding(bad: &BadDatabase) -> api::Finding {
    api::Finding {
        error: true,
        place: bad.path.display().to_string(),
        message: bad.cause.to_string(),
        remedy: bad.cause.remedy().into(),
    }
}

/// A finding of the configuration.
fn told(finding: &config::Finding) -> api::Finding {
    api::Finding {
        error: finding.error,
        place: finding.place(),
        message: finding.message.clone(),
        remedy: finding.remedy.clone(),
    }
}

/// What became of a reload, whoever asked for it.
fn log_outcome(report: &ReloadReport) {
    use ReloadOutcome::{Applied, Busy, Invalid, NeedsRestart, NoSuchZone, Regression, Rehearsed};
    match &report.outcome {
        Applied => tracing::info!(generation = report.generation.0, "reload applied"),
        Invalid => tracing::error!("reload: what has errors keeps its old state"),
        Regression(regressions) => {
            for regression in regressions.iter() {
                tracing::error!("{} is up, {} would not be: {}", regression.before, regression.after, regression.failure);
            }
            tracing::error!("reload refused; `leeward reload --accept check_regression` insists");
        }
        NeedsRestart(settings) => tracing::error!("reload refused; these need a restart: {}", settings.join(", ")),
        NoSuchZone => tracing::error!("reload refused: no such zone"),
        Rehearsed | Busy => {} // never a reload that was made
    }
}
