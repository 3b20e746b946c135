//! `leeward checkconf`: every error and warning of the configuration, the zone files and the record programs, at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use crate::config::{self, Config};
use crate::node::budget::{Budget, Room};
use crate::node::compile::{self, Settings};
use crate::node::{BadDatabase, Databases};
use crate::wire::Name;
use crate::zone::{self, Contents, Files, Severity};

use super::args::{CheckconfArgs, Format};
use super::programs::ProgramForm;

/// What is said of the files.
#[derive(Serialize)]
struct Report {
    errors: usize,
    warnings: usize,
    findings: Vec<FindingForm>,
    /// With `--programs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    programs: Option<Vec<ProgramForm>>,
}

/// One error or warning.
#[derive(Serialize)]
struct FindingForm {
    severity: &'static str,
    file: String,
    /// From 1; 0: the file as a whole.
    line: u32,
    /// From 1, in octets; 0: the file as a whole.
    column: u32,
    message: String,
    remedy: String,
}

/// Checks, prints, and says by the exit code what was found: 0 clean, 1 errors.
pub(super) fn run_checkconf(args: &CheckconfArgs) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    let config = read_config(args, &mut findings)?;
    let defaults = || Config::without_file(BTreeMap::new());
    check_databases(config.as_ref(), &mut findings);
    let settings = Settings::of(&config.clone().unwrap_or_else(defaults));
    let mut room = config.as_ref().map(Budget::of).unwrap_or_default().room(&BTreeSet::new());
    let mut programs = Vec::new();
    for (apex, file) in zones(args, config.as_ref())? {
        check_zone(&apex, &file, (&settings, &mut room), &mut findings, &mut programs);
    }
    let errors = findings.iter().filter(|finding| finding.severity == "error").count();
    let programs = args.programs.then_some(programs);
    let report = Report { errors, warnings: findings.len() - errors, findings, programs };
    print(&report, args.format == Format::Json)?;
    let bad = errors > 0 || (args.strict && report.warnings > 0);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The configuration, where one is named, found, or needed; with errors too, so that its zones are looked at all the same.
fn read_config(args: &CheckconfArgs, findings: &mut Vec<FindingForm>) -> anyhow::Result<Option<Config>> {
    let file = args.config.clone().or_else(|| config::default_path().filter(|_| args.zone_files.is_empty()));
    let Some(file) = file else {
        anyhow::ensure!(!args.zone_files.is_empty(), "nothing to check: give --config FILE or zone files");
        return Ok(None);
    };
    let loaded = config::load(&file);
    findings.extend(loaded.findings.iter().map(|finding| FindingForm {
        severity: if finding.error { "error" } else { "warning" },
        file: finding.file.display().to_string(),
        line: finding.line,
        column: finding.column,
        message: finding.message.clone(),
        remedy: finding.remedy.clone(),
    }));
    Ok(loaded.draft)
}

fn check_databases(config: Option<&Config>, findings: &mut Vec<FindingForm>) {
    let bad = config.and_then(|config| Databases::read(&config.databases).err());
    findings.extend(bad.iter().flat_map(|bad| &bad.0).map(|BadDatabase { path, cause }| FindingForm {
        severity: "error",
        file: path.display().to_string(),
        line: 0,
        column: 0,
        message: cause.to_string(),
        remedy: cause.remedy().into(),
    }));
}

/// The zones to check, by name.
fn zones(args: &CheckconfArgs, config: Option<&Config>) -> anyhow::Result<Vec<(Name, PathBuf)>> {
    if args.zone_files.is_empty() {
        return Ok(config.iter().flat_map(|config| config.zones.clone()).collect());
    }
    args.zone_files.iter().map(|file| Ok((name_of(file, config)?, file.clone()))).collect()
}

/// Whose file it is: the zone that the configuration gives it to, else its first `$ORIGIN`, else its name without `db.` in
/// front or `.zone`, `.db`, `.txt` or `.hosts` behind.
fn name_of(file: &Path, config: Option<&Config>) -> anyhow::Result<Name> {
    let same = |other: &Path| file.canonicalize().ok().is_some_and(|file| other.canonicalize().is_ok_and(|other| other == file));
    let configured = config.and_then(|config| config.zones.iter().find(|(_, other)| same(other)));
    if let Some((name, _)) = configured {
        return Ok(name.clone());
    }
    if let Some(origin) = origin_of(file) {
        return origin.parse().with_context(|| format!("{}: $ORIGIN {origin}", file.display()));
    }
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_prefix("db.").unwrap_or(name);
    let stem = [".zone", ".db", ".txt", ".hosts"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    stem.parse().with_context(|| format!("{}: cannot tell which zone this is; add $ORIGIN, or use --config", file.display()))
}

fn origin_of(file: &Path) -> Option<String> {
    let lines = BufReader::new(std::fs::File::open(file).ok()?).lines().map_while(Result::ok);
    let origins = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| word.eq_ignore_ascii_case("$ORIGIN"))?;
        words.next().map(str::to_owned)
    });
    origins.into_iter().next()
}

fn check_zone(
    apex: &Name,
    file: &Path,
    (settings, room): (&Settings, &mut Room),
    findings: &mut Vec<FindingForm>,
    programs: &mut Vec<ProgramForm>,
) {
    let loaded = zone::load(&Files, file, apex.as_ref());
    let negative = loaded.contents.as_ref().map(Contents::negative_ttl);
    let mut all: Vec<zone::Finding> = loaded.findings;
    for record in &loaded.programs {
        let (prepared, found) = compile::record(record, settings, negative);
        programs.push(ProgramForm::new(record, &prepared));
        all.extend(found);
        all.extend(room.take(prepared.program()).err().map(|excess| compile::too_many(record.at.clone(), excess)));
    }
    all.sort_by(|a, b| (&a.at.file, a.at.line, a.at.column).cmp(&(&b.at.file, b.at.line, b.at.column)));
    findings.extend(all.iter().map(|finding| FindingForm {
        severity: match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        file: finding.at.file.display().to_string(),
        line: finding.at.line,
        column: finding.at.column,
        message: finding.message.clone(),
        remedy: finding.remedy.clone(),
    }));
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
        return Ok(());
    }
    for FindingForm { severity, file, line, column, message, remedy } in &report.findings {
        match line {
            0 => writeln!(out, "{file}: {severity}: {message}; {remedy}")?,
            _ => writeln!(out, "{file}:{line}:{column}: {severity}: {message}; {remedy}")?,
        }
    }
    for program in report.programs.iter().flatten() {
        writeln!(out, "{program}")?;
    }
    writeln!(out, "{} errors, {} warnings", report.errors, report.warnings)?;
    Ok(())
}
