//! What operators order: the calls under `/api/v1/overrides`.
//!
//! An order is answered when it is on disk and served. Its parameters are in the query, as everywhere; `If-Match` takes the
//! version of the word that the caller has seen (RFC 9110 13.1.1), `If-None-Match: *` that there is none; the parameter
//! `if_version` says the same for those who cannot send a header.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::ask::Ask;
use super::forms::{OrderForm, OverrideForm, OverridesForm};
use super::problem::Problem;
use super::routes::{Params, Reply, Shared, json};
use crate::answers::{Snapshot, ZoneState};
use crate::control::{Action, Command, Refusal, Report};
use crate::health::{CheckView, SUBJECTS, State as Word, Subject};
use crate::target::CheckKey;
use crate::zone::ProgramId;

/// How long a word holds where the caller does not say: forgotten ones end by themselves.
const LASTING: Duration = Duration::from_secs(4 * 3600);
/// Longest that may be said; beyond it `forever` is meant.
const LASTING_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Most characters of who says something, and why.
const TEXT_MAX: usize = 500;
/// Names that are listed.
const NAMES: usize = 100;
/// A disk that hangs is told, and the order goes on.
const ORDER_WITHIN: Duration = Duration::from_secs(30);

/// `GET /api/v1/overrides`
pub(super) async fn list(State(shared): State<Shared>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let overrides = shared.ask(Ask::Overrides).await?;
    let generation = shared.node.published.load().generation;
    let beneath = overrides.beneath().map(OverrideForm::from).collect();
    let overrides = overrides.iter().map(OverrideForm::from).collect();
    json(generation, &OverridesForm { generation: generation.0, overrides, beneath })
}

/// `GET /api/v1/overrides/{kind}/{name}`
pub(super) async fn show(State(shared): State<Shared>, Path(path): Path<(String, String)>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let subject = subject(&shared, &path).await?;
    let overrides = shared.ask(Ask::Overrides).await?;
    let word = overrides.get(subject).ok_or_else(|| not_set(subject))?;
    let reply = json(shared.node.published.load().generation, &OverrideForm::from(word))?;
    Ok(tagged(reply, Some(word.version)))
}

/// `PUT /api/v1/overrides/{kind}/{name}`
pub(super) async fn put(State(shared): State<Shared>, Path(path): Path<(String, String)>, headers: HeaderMap, uri: Uri) -> Reply {
    let mut params = Params::of(&uri);
    let wanted = "one of down, up, drain and frozen";
    let state: Option<Word> = params.parsed("state", wanted, |text| text.parse().ok())?;
    let state = state.ok_or_else(|| Problem::parameter(format!("the parameter 'state' is missing: {wanted}")))?;
    let lasting = params.parsed("for", "a duration such as 4h, of at most a year, or forever", lasting)?;
    let text = |text: &str| (text.chars().count() <= TEXT_MAX).then(|| text.into());
    let by = params.parsed("by", "at most 500 characters", text)?;
    let reason = params.parsed("reason", "at most 500 characters", text)?;
    let since = shared.clock().wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let action = Action::Say {
        state,
        lasting: lasting.unwrap_or(Some(LASTING)),
        since: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        by: by.unwrap_or_else(|| "somebody".into()),
        reason: reason.unwrap_or_default(),
    };
    order(&shared, &path, &headers, params, action).await
}

/// `DELETE /api/v1/overrides/{kind}/{name}`
pub(super) async fn delete(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Reply {
    order(&shared, &path, &headers, Params::of(&uri), Action::Release).await
}

/// Has an order carried out.
pub(super) async fn order(
    shared: &Shared,
    path: &(String, String),
    headers: &HeaderMap,
    mut params: Params<'_>,
    action: Action,
) -> Reply {
    let subject = subject(shared, path).await?;
    let dry_run = params.flag("dry_run")?;
    let accept = params.parsed("accept", "would_empty or no_such_target", |text| match text {
        "would_empty" | "no_such_target" => Some(text.to_owned()),
        _ => None,
    })?;
    let if_version = params.parsed("if_version", "a version, 0 for none", |text| text.parse().ok())?;
    let durable = params.parsed("durable", "true or false", |text| text.parse().ok())?.unwrap_or(true);
    params.finish()?;
    let accepts = |what: &str| accept.as_deref() == Some(what);
    let command = Command {
        subject,
        action,
        if_version: if_version.or(expected(headers)?),
        dry_run,
        accept_empty: accepts("would_empty"),
        accept_unknown: accepts("no_such_target"),
        volatile: !durable,
    };
    let reply = shared.ask_within(ORDER_WITHIN, |reply| Ask::Order(Box::new(command), reply)).await?;
    let reply = reply.ok_or_else(|| {
        let detail = format!("not done within {} s; it goes on, and the events tell how it ends", ORDER_WITHIN.as_secs());
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "The order takes long", detail)
    })?;
    match reply {
        Ok(report) => done(shared, &report, dry_run).await,
        Err(refusal) => Err(refused(shared, subject, refusal).await),
    }
}

/// What a path is about. A check may be called by its name in the configuration and its target, `web@192.0.2.1`, where that is
/// one check.
async fn subject(shared: &Shared, (kind, name): &(String, String)) -> Result<Subject, Problem> {
    if let Some((name, target)) = name.split_once('@').filter(|_| kind == "check") {
        return named(shared, name, target).await;
    }
    Subject::new(kind, name).ok_or_else(|| {
        let detail = format!("there is no {kind}/{name}; write {SUBJECTS}, or check/<name>@<address>");
        Problem::new(StatusCode::NOT_FOUND, "no_such_subject", "No such thing to say something about", detail)
    })
}

async fn named(shared: &Shared, name: &str, target: &str) -> Result<Subject, Problem> {
    let checks = shared.checks().await?;
    let definitions = shared.node.published.load().options.checks.named.clone();
    let asks = |check: &&CheckView| {
        check.spec.is_at(target) && definitions.names_of(&check.spec, check.judgement).any(|known| known == name)
    };
    let keys: BTreeSet<CheckKey> = checks.iter().filter(asks).map(|check| check.key).collect();
    match (keys.first(), keys.len()) {
        (Some(&key), 1) => Ok(Subject::Check(key)),
        (_, 0) => {
            let detail = format!("no check {name} is of {target}; 'leeward checks' shows names and targets");
            Err(Problem::new(StatusCode::NOT_FOUND, "no_such_target", "Nothing is probed there", detail))
        }
        (_, count) => {
            let keys: Vec<String> = keys.iter().map(CheckKey::to_string).collect();
            let detail =
                format!("{count} checks {name} are of {target}: say which, as {name}@ADDRESS:PORT or by one of their keys");
            Err(Problem::new(StatusCode::CONFLICT, "ambiguous", "More than one check", detail).with("keys", keys))
        }
    }
}

/// `None`: until it is taken back.
fn lasting(text: &str) -> Option<Option<Duration>> {
    if text == "forever" {
        return Some(None);
    }
    humantime::parse_duration(text).ok().filter(|lasting| !lasting.is_zero() && *lasting <= LASTING_MAX).map(Some)
}

/// The version that the caller expects, 0 for none.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        return Ok(Some(0));
    }
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = value.to_str().ok().and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    let wrong = || Problem::parameter("the header If-Match should be the ETag that an override was shown with, such as \"7\"");
    version.map(Some).ok_or_else(wrong)
}

fn tagged(mut response: Response, version: Option<u64>) -> Response {
    if let Some(tag) = version.and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

async fn done(shared: &Shared, report: &Report, dry_run: bool) -> Reply {
    let form = OrderForm {
        generation: report.generation.0,
        outcome: if dry_run { "rehearsed" } else { "applied" }.to_owned(),
        durable: report.durable,
        before: report.before.as_ref().map(OverrideForm::from),
        after: report.after.as_ref().map(OverrideForm::from),
        checks: report.checks,
        programs: report.programs.len(),
        names: names(shared, &report.programs).await,
        would_empty: names(shared, &report.bare).await,
    };
    let reply = json(report.generation, &form)?;
    Ok(tagged(reply, report.after.as_ref().filter(|_| !dry_run).map(|word| word.version)))
}

fn not_set(subject: Subject) -> Problem {
    let detail = format!("nothing is said about {subject}; 'leeward overrides' shows what is");
    Problem::new(StatusCode::NOT_FOUND, "not_set", "No such override", detail)
}

async fn refused(shared: &Shared, subject: Subject, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unfit => {
            let detail =
                format!("{subject}: the node, a zone and a pool can be frozen; everything else can be down, up or drain");
            Problem::parameter(detail)
        }
        Refusal::NoSuchTarget => {
            let detail = match subject {
                Subject::Pool(_) => format!("nobody waits in {subject} to come back; 'leeward pools' shows what there is"),
                _ => format!(
                    "no check of any zone and no pool is about {subject}; 'leeward checks' and 'leeward pools' show what there is. \
                     Say accept=no_such_target where it is to come"
                ),
            };
            Problem::new(StatusCode::NOT_FOUND, "no_such_target", "Nothing is there", detail)
        }
        Refusal::NotSet => not_set(subject),
        Refusal::OfFile(by) => {
            let detail = format!(
                "{subject} is as {by} says, and no operator has said anything over it; nothing was changed. Take it out of the \
                 file, or say something else over it for a while"
            );
            Problem::new(StatusCode::CONFLICT, "of_file", "The override stands in the overrides file", detail)
        }
        Refusal::Version(version) => {
            let now = if version == 0 { "there is none now".to_owned() } else { format!("it is at version {version} now") };
            let detail = format!("the override of {subject} is not the one that you have seen: {now}");
            Problem::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", "Another override is in force", detail)
                .with("version", version)
        }
        Refusal::WouldEmpty(programs) => {
            let detail = format!(
                "{} record programs would be left without a target that may be given; nothing was changed. \
                 Say accept=would_empty to do it all the same",
                programs.len()
            );
            let title = "An answer would be left without a target";
            Problem::new(StatusCode::CONFLICT, "would_empty", title, detail).with("names", names(shared, &programs).await)
        }
        Refusal::NotDurable(why) => {
            let detail = format!(
                "it could not be written down, and nothing was changed: {why}. Say durable=false to do it for this process only"
            );
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, "not_durable", "The order cannot be kept", detail)
        }
        Refusal::Busy => {
            let detail = "too many orders are waiting already; nothing was changed. Try again when they are done";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy with other orders", detail)
        }
    }
}

/// The first names at which these programs stand, with their types.
async fn names(shared: &Shared, programs: &[ProgramId]) -> Vec<String> {
    if programs.is_empty() {
        return Vec::new();
    }
    let (snapshot, programs) = (shared.node.published.load(), programs.iter().copied().collect());
    // Every name of every zone may have to be looked at.
    tokio::task::spawn_blocking(move || names_of(&snapshot, &programs)).await.unwrap_or_default()
}

/// The same, for whoever may wait.
pub(crate) fn names_of(snapshot: &Snapshot, programs: &BTreeSet<ProgramId>) -> Vec<String> {
    let zones = snapshot.zones.iter().filter_map(|entry| match &entry.state {
        ZoneState::Serving { zone, .. } => Some(zone),
        ZoneState::Failed(_) => None,
    });
    let here = zones.filter(|zone| zone.programs().any(|id| programs.contains(&id)));
    let nodes = here.flat_map(|zone| zone.nodes());
    let used = nodes.flat_map(|node| {
        let used = node.programs().iter().filter(|program| programs.contains(&program.id));
        used.map(move |program| format!("{} {}", node.name(), program.rtype))
    });
    used.take(NAMES).collect()
}
