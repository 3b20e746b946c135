//! LUA records of a zone → prepared programs, with every finding at its place in the zone file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::answers::{Prepared, Snapshot, ZoneState};
use crate::config::Config;
use crate::control::{NewProgram, ZoneLoad};
use crate::geo::{Fence, SiteMap, SiteMaps};
use crate::program;
use crate::target::Select;
use crate::wire::{NameRef, RecordType, Ttl};
use crate::zone::{Contents, Diff, Finding, LuaRecord, Position, ProgramId, Severity, Zone};

use super::budget::{Budget, Excess};

/// What the configuration says about programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What holds for checks that do not say, and for what programs may do.
    pub programs: program::Settings,
    /// `[lua] insert_whitespace`.
    pub insert_whitespace: bool,
    /// `[prober] deny` and `allow`: which addresses programs may have probed.
    pub fence: Fence,
}

impl Settings {
    /// From the configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let programs = program::Settings {
            defaults: of_programs(&config.answering.checks),
            step_limit: config.answering.programs.steps,
            shared: config.answering.programs.shared,
        };
        Self { programs, insert_whitespace: config.insert_whitespace, fence: config.fence.clone() }
    }
}

/// What programs are made with: of the maps those that pools choose by, so that another map changes no program.
fn of_programs(checks: &program::Defaults) -> program::Defaults {
    let program::Atlas { sites, maps } = checks.atlas();
    let chosen_by = |map: &str| checks.pools.iter().any(|pool| matches!(&pool.select, Select::Map(by) if **by == *map));
    if maps.names().all(chosen_by) {
        return checks.clone();
    }
    let mut used = SiteMaps::default();
    for (name, map) in maps.iter().filter(|(name, _)| chosen_by(name)) {
        used = used.with(name, SiteMap::clone(map));
    }
    let atlas = program::Atlas { sites: sites.clone(), maps: used };
    program::Defaults { atlas: Some(Arc::new(atlas)), ..checks.clone() }
}

/// From this TTL on a failover that takes seconds is seen only minutes later.
const HEALTH_TTL_MAX: u32 = 300;

/// Compiles one record of a zone whose negative answers are kept for `negative`, where that is known. Where there is an error among the findings, the result answers SERVFAIL, but for single members
/// that are not data of the type: those are errors only if no member is usable.
#[must_use]
pub fn record(record: &LuaRecord, settings: &Settings, negative: Option<Ttl>) -> (Prepared, Vec<Finding>) {
    let strings: Vec<&str> = record.segments.iter().map(|segment| &*segment.text).collect();
    let source = program::join(&strings, settings.insert_whitespace);
    let compiled = match record.rtype {
        RecordType::LUA => program::compile_snippet(&source.code, &settings.programs),
        rtype => program::compile_for(rtype, &source.code, &settings.programs),
    };
    let place = |offset: usize| match source.locate(offset) {
        (segment, within) if segment < record.segments.len() => {
            let at = &record.segments[segment].at;
            Position { column: at.column + within as u32, ..at.clone() }
        }
        _ => record.at.clone(),
    };
    let mut findings: Vec<Finding> = source
        .findings
        .iter()
        .chain(&compiled.findings)
        .map(|finding| Finding {
            severity: severity(finding.severity),
            at: place(finding.offset),
            message: finding.message.clone(),
            remedy: finding.remedy.clone(),
        })
        .collect();
    findings.extend(denied(record, compiled.program.as_ref(), settings));
    findings.extend(compiled.program.iter().flat_map(|program| long_lived(record, program, negative)));
    let sound = findings.iter().all(|finding| finding.severity == Severity::Warning);
    let prepared = Prepared::new(record.rtype, record.ttl, source.code.as_str().into(), compiled.program.filter(|_| sound));
    findings.extend(bad_members(record, &prepared));
    (prepared, findings)
}

const fn severity(of: program::Severity) -> Severity {
    match of {
        program::Severity::Warning => Severity::Warning,
        program::Severity::Error => Severity::Error,
    }
}

fn denied(record: &LuaRecord, program: Option<&program::Program>, settings: &Settings) -> Vec<Finding> {
    let addresses: BTreeSet<_> =
        program.iter().flat_map(|program| program.checks()).filter_map(|check| check.spec.named_address()).collect();
    let denied = addresses.into_iter().filter_map(|address| Some((address, settings.fence.forbids(address)?)));
    denied
        .map(|(address, why)| Finding {
            severity: Severity::Error,
            at: record.at.clone(),
            message: format!("the target {address} may not be probed: {why}"),
            remedy: "take the target out, or change `[prober]`".into(),
        })
        .collect()
}

/// Answers that caches keep for longer than health allows.
fn long_lived(record: &LuaRecord, program: &program::Program, negative: Option<Ttl>) -> Vec<Finding> {
    let warning =
        |message, remedy: &str| Finding { severity: Severity::Warning, at: record.at.clone(), message, remedy: remedy.into() };
    let mut findings = Vec::new();
    if program.depends().health && record.ttl.seconds() > HEALTH_TTL_MAX {
        let message = format!("the TTL {} is long for an answer that follows health checks", record.ttl);
        findings.push(warning(message, "resolvers go on using a dead target for so many seconds: write 300 or less"));
    }
    if let Some(negative) = negative.filter(|&negative| program.may_be_empty() && negative > record.ttl) {
        let message = format!(
            "the answer may be empty, which resolvers keep for {negative} s by the zone's SOA, longer than the TTL {}",
            record.ttl
        );
        findings.push(warning(message, "lower the SOA's minimum to the record's TTL (RFC 2308 5)"));
    }
    findings
}

fn bad_members(record: &LuaRecord, prepared: &Prepared) -> Vec<Finding> {
    let severity = if prepared.is_hopeless() { Severity::Error } else { Severity::Warning };
    let at = record.segments.first().map_or(&record.at, |segment| &segment.at);
    let finding = |(text, error): (&str, _)| match text {
        // What `view` gives to those whom it leaves out.
        "" => Finding {
            severity,
            at: at.clone(),
            message: format!("clients whom no network holds get the empty string, which is not {} data: SERVFAIL", record.rtype),
            remedy: "end with a pair for all: {{'0.0.0.0/0', '::/0'}, {...}}".into(),
        },
        _ => Finding {
            severity,
            at: at.clone(),
            message: format!("{text:?} is not {} data ({error}): answers with it are SERVFAIL", record.rtype),
            remedy: format!("give values of type {}, or use another target type", record.rtype),
        },
    };
    prepared.bad_members().map(finding).collect()
}

/// Gives out program slots. A slot is free again once no snapshot to come refers to it.
#[derive(Debug, Default)]
pub struct Slots {
    next: u32,
    free: BTreeSet<ProgramId>,
    /// What the programs in them hold of the probes that there may be.
    budget: Budget,
}

impl Slots {
    /// None is given out yet; what programs may have probed, the configuration bounds.
    #[must_use]
    pub fn within(config: &Config) -> Self {
        Self { budget: Budget::of(config), ..Self::default() }
    }

    /// From now on the pools are those of this configuration.
    pub fn follow(&mut self, config: &Config) {
        self.budget.follow(config);
    }

    fn take(&mut self) -> ProgramId {
        self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            ProgramId(self.next - 1)
        })
    }

    /// These are free again.
    pub fn give_back(&mut self, slots: impl IntoIterator<Item = ProgramId>) {
        for id in slots {
            self.budget.let_go(id);
            self.free.insert(id);
        }
    }

    /// The programs of a zone for which there was no room.
    #[must_use]
    pub fn refused(&self, zone: &Zone) -> BTreeSet<ProgramId> {
        zone.programs().filter(|&id| self.budget.is_refused(id)).collect()
    }
}

/// One version of a zone, compiled.
#[derive(Debug)]
pub struct Version {
    /// To be handed to the engine.
    pub load: ZoneLoad,
    /// What is wrong with its new programs.
    pub findings: Vec<Finding>,
    /// Slots that its new programs took: to be given back if it is not adopted.
    pub taken: Vec<ProgramId>,
    /// What differs from the version that is served, where one is.
    pub diff: Option<Diff>,
}

impl Version {
    /// Has it kept as its zone's last-good copy once it is served. For versions without errors only.
    pub const fn keep(&mut self) {
        if let ZoneLoad::Data { keep, .. } = &mut self.load {
            *keep = true;
        }
    }

    /// Of each new program, whether it is served; if not, it answers SERVFAIL.
    pub fn sound(&self) -> impl Iterator<Item = bool> {
        let added = match &self.load {
            ZoneLoad::Data { added, .. } => &added[..],
            ZoneLoad::Failed(_) => &[],
        };
        added.iter().map(|program| program.prepared.program().is_some())
    }
}

/// How a version comes about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// It is the last-good copy.
    pub stale: bool,
    /// The settings of programs have changed: compile every record, not only the new ones.
    pub anew: bool,
    /// Nobody wrote anything: what is served goes on being served, whether or not there is room.
    pub unasked: bool,
}

/// What tells one program of a zone from others.
type Key = (RecordType, Ttl, Box<str>);

fn key(prepared: &Prepared) -> Key {
    (prepared.rtype(), prepared.ttl(), prepared.code().into())
}

/// What became of the programs that are served when they asked for room.
#[derive(Debug, Default)]
struct Past {
    /// They found none: still to find none is no error of what is new.
    refused: BTreeSet<Key>,
    /// They are not to be asked again.
    exempt: BTreeSet<Key>,
}

/// Compiles `contents` into the next version of its zone, upon the one in `snapshot`, if any.
#[must_use]
pub fn version(snapshot: &Snapshot, contents: Contents, settings: &Settings, slots: &mut Slots, origin: Origin) -> Version {
    let before = served(snapshot, contents.apex()).map(|(zone, _)| zone);
    let refused = before.map(|zone| slots.refused(zone)).unwrap_or_default();
    let past = past(snapshot, before, &refused, origin);
    let mut compiler = Compiler::new(settings, slots, before.map(|zone| (zone, snapshot)), !origin.anew, &refused);
    compiler.negative = Some(contents.negative_ttl());
    let mut bind = |record: &LuaRecord| compiler.bind(record);
    let (zone, diff) = match before {
        Some(before) if !origin.anew && refused.is_empty() => {
            let (zone, diff) = before.updated(contents, &mut bind);
            (zone, Some(diff))
        }
        Some(before) if !origin.anew => {
            let diff = before.diff(&contents);
            (before.rebuilt(contents, &|id| !refused.contains(&id), &mut bind), Some(diff))
        }
        Some(_) | None => {
            let diff = before.map(|before| before.diff(&contents));
            (Zone::build(contents, &mut bind), diff)
        }
    };
    let Compiler { mut added, mut findings, order, .. } = compiler;
    let kept: BTreeSet<ProgramId> = zone.programs().collect();
    let dropped: BTreeSet<ProgramId> = before.iter().flat_map(|zone| zone.programs()).filter(|id| !kept.contains(id)).collect();
    findings.extend(hold(slots, &mut added, order, &dropped, &past));
    let added: Vec<NewProgram> = added.into_values().collect();
    let taken = added.iter().map(|program| program.id).collect();
    let load = ZoneLoad::Data { zone, stale: origin.stale, added, dropped: dropped.into_iter().collect(), keep: false };
    Version { load, findings, taken, diff }
}

/// What became of the programs of `before`, of which those were `refused`.
fn past(snapshot: &Snapshot, before: Option<&Zone>, refused: &BTreeSet<ProgramId>, origin: Origin) -> Past {
    let mut past = Past::default();
    if refused.is_empty() && !origin.unasked {
        return past;
    }
    for id in before.iter().flat_map(|zone| zone.programs()) {
        let Some(set) = snapshot.set(id) else { continue };
        if refused.contains(&id) {
            past.refused.insert(key(set.prepared()));
        } else if origin.unasked {
            past.exempt.insert(key(set.prepared()));
        }
    }
    past
}

/// Has the new programs hold what they have probed, in the order in which they stand in the file. Those for which there is no
/// room are errors, and answer SERVFAIL.
fn hold(
    slots: &mut Slots,
    added: &mut BTreeMap<ProgramId, NewProgram>,
    order: Vec<(ProgramId, Position)>,
    dropped: &BTreeSet<ProgramId>,
    past: &Past,
) -> Vec<Finding> {
    let mut room = slots.budget.room(dropped);
    let is_exempt = |id: ProgramId| added.get(&id).is_some_and(|program| past.exempt.contains(&key(&program.prepared)));
    let (exempt, asked): (Vec<_>, Vec<_>) = order.into_iter().partition(|(id, _)| is_exempt(*id));
    for program in exempt.into_iter().filter_map(|(id, _)| added.get(&id)) {
        room.take_anyway(program.prepared.program());
        slots.budget.hold(program.id, program.prepared.program());
    }
    let mut findings = Vec::new();
    for (id, at) in asked {
        let Some(program) = added.get_mut(&id) else { continue };
        if let Err(excess) = room.take(program.prepared.program()) {
            let refused = &program.prepared;
            let severity = if past.refused.contains(&key(refused)) { Severity::Warning } else { Severity::Error };
            findings.push(Finding { severity, ..too_many(at, excess) });
            program.prepared = Arc::new(Prepared::new(refused.rtype(), refused.ttl(), refused.code().into(), None));
            slots.budget.refuse(id);
        }
        slots.budget.hold(id, program.prepared.program());
    }
    findings
}

/// A program at that place asks for more probes than there may be.
#[must_use]
pub fn too_many(at: Position, Excess { max }: Excess) -> Finding {
    Finding {
        severity: Severity::Error,
        at,
        message: format!("with the targets of this program there are more than {max} checks, which is `[prober] max_checks`"),
        remedy: "ask for fewer here or before, or raise the limit and restart".into(),
    }
}

/// The version of a zone that a snapshot serves, and whether it is the last-good copy.
#[must_use]
pub fn served<'s>(snapshot: &'s Snapshot, apex: NameRef<'_>) -> Option<(&'s Zone, bool)> {
    match &snapshot.zones.get(apex)?.state {
        ZoneState::Serving { zone, stale } => Some((zone, *stale)),
        ZoneState::Failed(_) => None,
    }
}

/// Compiles the records of one zone version, each different program once: records with the same type, TTL and code
/// share a slot.
struct Compiler<'a> {
    settings: &'a Settings,
    slots: &'a mut Slots,
    /// How long the zone's negative answers are kept.
    negative: Option<Ttl>,
    /// The version that is served, and the snapshot that holds its programs.
    served: Option<(&'a Zone, &'a Snapshot)>,
    by_code: HashMap<Key, ProgramId>,
    added: BTreeMap<ProgramId, NewProgram>,
    /// The new programs in the order of the file, and where each stands first.
    order: Vec<(ProgramId, Position)>,
    findings: Vec<Finding>,
}

impl<'a> Compiler<'a> {
    /// A compiler that may reuse the slots of the version that is served, but for those that were `refused`.
    fn new(
        settings: &'a Settings,
        slots: &'a mut Slots,
        served: Option<(&'a Zone, &'a Snapshot)>,
        reuse: bool,
        refused: &BTreeSet<ProgramId>,
    ) -> Self {
        let kept = served.filter(|_| reuse).into_iter().flat_map(|(zone, snapshot)| {
            let set = |id: ProgramId| snapshot.set(id).map(|set| (id, Arc::clone(set.prepared())));
            zone.programs().filter(|id| !refused.contains(id)).filter_map(set)
        });
        let by_code = kept.map(|(id, prepared)| (key(&prepared), id)).collect();
        Self { settings, slots, negative: None, served, by_code, added: BTreeMap::new(), order: Vec::new(), findings: Vec::new() }
    }

    /// The slot of a record's program.
    fn bind(&mut self, lua: &LuaRecord) -> ProgramId {
        let (prepared, findings) = record(lua, self.settings, self.negative);
        self.findings.extend(findings);
        let replaces = self.served_at(lua);
        let id = *self.by_code.entry(key(&prepared)).or_insert_with(|| {
            let id = self.slots.take();
            self.order.push((id, lua.at.clone()));
            self.added.insert(id, NewProgram { id, prepared: Arc::new(prepared), replaces: Vec::new() });
            id
        });
        if let Some(program) = self.added.get_mut(&id) {
            program.replaces.extend(replaces);
        }
        id
    }

    /// The programs that are served at the record's name and type.
    fn served_at(&self, lua: &LuaRecord) -> Vec<ProgramId> {
        let node = self.served.and_then(|(zone, _)| zone.node(lua.owner.as_ref()));
        let programs = node.iter().flat_map(|node| node.programs());
        programs.filter(|program| program.rtype == lua.rtype).map(|program| program.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::answers::{AnswerSet, QueryCounters, Tally, ZoneEntry, ZoneTable};
    use crate::target::CheckId;
    use crate::wire::Name;
    use crate::zone::{Source, load};

    struct Only(String);

    impl Source for Only {
        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Ok(self.0.clone().into_bytes())
        }
    }

    #[test]
    fn the_program_that_asks_for_one_too_many_is_named() {
        let mut config = Config::without_file(BTreeMap::new());
        config.health.max_checks = Some(3);
        let (settings, mut slots) = (Settings::of(&config), Slots::within(&config));
        let apex: Name = "z".parse().expect("a name");
        let mut compiled = |snapshot: &Snapshot, codes: &[&str]| {
            let mut text = "@ 60 SOA n.x. h.x. 1 2 3 4 90\n NS n.x.\n".to_owned();
            codes.iter().for_each(|hosts| text += &format!("a LUA A \"ifportup(1,{{{hosts}}})\"\n"));
            let contents = load(&Only(text), Path::new("zone"), apex.as_ref()).contents.expect("it loads");
            let version = version(snapshot, contents, &settings, &mut slots, Origin::default());
            let findings: Vec<String> = version.findings.iter().map(ToString::to_string).collect();
            let ZoneLoad::Data { added, .. } = &version.load else { panic!("a zone") };
            let broken = added.iter().filter(|program| program.prepared.program().is_none()).count();
            slots.give_back(version.taken);
            (findings, broken)
        };
        let empty = Snapshot::empty(Arc::new(crate::answers::Options::default()), 1);
        let two = "'192.0.2.1','192.0.2.2'";
        assert_eq!(compiled(&empty, &[two, "'192.0.2.2','192.0.2.3'"]), (vec![], 0), "what is shared counts once");
        let (findings, broken) = compiled(&empty, &[two, "'192.0.2.3','192.0.2.4'", "'192.0.2.3'", "'192.0.2.5'"]);
        assert_eq!((findings.len(), broken), (2, 2), "those that fit are served");
        assert!(
            findings[0].starts_with("zone:4:1: error: with the targets of this program there are more than 3 checks"),
            "{findings:?}"
        );
        assert!(findings[1].starts_with("zone:6:"), "{findings:?}");
        assert_eq!(compiled(&empty, &[two]), (vec![], 0), "nothing was kept of what was given back");
    }

    /// The version with a program for each of these lists of targets.
    fn of_targets(snapshot: &Snapshot, targets: &[&str], slots: &mut Slots, origin: Origin) -> Version {
        let apex: Name = "z".parse().expect("a name");
        let mut text = "@ 60 SOA n.x. h.x. 1 2 3 4 90\n NS n.x.\n".to_owned();
        let programs = targets.iter().enumerate();
        programs.for_each(|(at, targets)| text += &format!("p{at} LUA A \"ifportup(1,{{{targets}}})\"\n"));
        let contents = load(&Only(text), Path::new("zone"), apex.as_ref()).contents.expect("it loads");
        version(snapshot, contents, &Settings::of(&Config::without_file(BTreeMap::new())), slots, origin)
    }

    /// What is served when that has been adopted.
    fn adopted(mut snapshot: Snapshot, version: Version, slots: &mut Slots) -> Snapshot {
        let ZoneLoad::Data { zone, stale, added, dropped, .. } = version.load else { panic!("a zone") };
        for NewProgram { id, prepared, .. } in added {
            let checks = prepared.program().map_or(0, |program| program.checks().len());
            let checks = (0..checks as u32).map(CheckId).collect();
            let set = AnswerSet::settle(&prepared, (&checks, &Tally::default()), &snapshot.statuses, &snapshot.places);
            snapshot.sets.set(id.0, Some(Arc::new(set)));
        }
        let entry = ZoneEntry { state: ZoneState::Serving { zone, stale }, counters: Arc::new(QueryCounters::new(1)) };
        snapshot.zones = Arc::new(ZoneTable::new([entry]));
        slots.give_back(dropped);
        snapshot
    }

    fn told(version: &Version) -> Vec<(Severity, u32)> {
        version.findings.iter().map(|finding| (finding.severity, finding.at.line)).collect()
    }

    const PAIRS: [&str; 2] = ["'192.0.2.1','192.0.2.2'", "'192.0.2.3','192.0.2.4'"];

    #[test]
    fn what_found_no_room_is_tried_again() {
        let mut config = Config::without_file(BTreeMap::new());
        config.health.max_checks = Some(3);
        let mut slots = Slots::within(&config);
        let again = |snapshot: &Snapshot, targets: &[&str], slots: &mut Slots| {
            let version = of_targets(snapshot, targets, slots, Origin::default());
            (told(&version), version.sound().collect::<Vec<_>>(), version)
        };
        let empty = Snapshot::empty(Arc::new(crate::answers::Options::default()), 1);
        let (told, sound, first) = again(&empty, &PAIRS, &mut slots);
        assert_eq!((told, sound), (vec![(Severity::Error, 4)], vec![true, false]));
        let snapshot = adopted(empty, first, &mut slots);
        let (told, sound, same) = again(&snapshot, &PAIRS, &mut slots);
        assert_eq!((told, sound), (vec![(Severity::Warning, 4)], vec![false]), "there is none yet, which is no new error");
        slots.give_back(same.taken);
        let (told, sound, less) = again(&snapshot, &["'192.0.2.1'", PAIRS[1]], &mut slots);
        assert_eq!((told, sound), (vec![], vec![true, true]), "now there is");
        let snapshot = adopted(snapshot, less, &mut slots);
        let (told, sound, _) = again(&snapshot, &["'192.0.2.1'", PAIRS[1]], &mut slots);
        assert_eq!((told, sound), (vec![], vec![]), "and it is served like any other");
    }

    #[test]
    fn what_is_served_is_not_refused_for_what_nobody_wrote() {
        let mut config = Config::without_file(BTreeMap::new());
        let mut slots = Slots::within(&config);
        let empty = Snapshot::empty(Arc::new(crate::answers::Options::default()), 1);
        let first = of_targets(&empty, &PAIRS, &mut slots, Origin::default());
        let snapshot = adopted(empty, first, &mut slots);
        config.health.max_checks = Some(3);
        let mut slots = Slots { budget: Budget::of(&config), ..slots };
        let asked = of_targets(&snapshot, &PAIRS, &mut slots, Origin { anew: true, ..Origin::default() });
        assert_eq!(told(&asked), [(Severity::Error, 4)]);
        slots.give_back(asked.taken);
        let unasked = of_targets(&snapshot, &PAIRS, &mut slots, Origin { anew: true, unasked: true, ..Origin::default() });
        assert_eq!((told(&unasked), unasked.sound().collect()), (vec![], vec![true, true]));
    }

    #[test]
    fn ttls_that_outlive_health_are_pointed_out() {
        let empty = "\"ifportup(1,{'192.0.2.1'},{backupSelector='empty'})\"";
        let cases = [
            ("a 300 LUA A \"ifportup(1,{'192.0.2.1'})\"".to_owned(), 0),
            ("a 301 LUA A \"ifportup(1,{'192.0.2.1'})\"".to_owned(), 1),
            ("a 301 LUA A \"pickrandom({'192.0.2.1'})\"".to_owned(), 0),
            (format!("a 60 LUA A {empty}"), 0),
            (format!("a 59 LUA A {empty}"), 1),
        ];
        let settings = Settings::of(&Config::without_file(BTreeMap::new()));
        for (line, warnings) in cases {
            let text = format!("@ 60 SOA n.x. h.x. 1 2 3 4 90\n NS n.x.\n{line}\n");
            let apex: Name = "z".parse().expect("a name");
            let contents = load(&Only(text), Path::new("zone"), apex.as_ref()).contents.expect("it loads");
            let lua = contents.lua_records().next().expect("a program");
            let (_, findings) = record(lua, &settings, Some(contents.negative_ttl()));
            assert_eq!(findings.len(), warnings, "{line}: {findings:?}");
        }
    }
}
