//! The calls, and what every one of them goes through: access, parameters, a time limit, and the generation in the reply.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Extension, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::answers::{Asked, Generation, Now};
use crate::control::Overview;
use crate::health::CheckView;
use crate::wire::{Name, NameRef, RecordType};

use super::access::Access;
use super::ask::{Ask, Node, ReloadOutcome, ReloadReport, ReloadRequest};
use super::explain::explain_form;
use super::forms::{
    CheckCounts, ChecksForm, Clock, EventForm, EventsForm, FindingForm, OverridesFileForm, RegressionForm, ReloadForm,
    StatusForm, ZoneChangeForm, ZoneCounts, ZonesForm, seconds,
};
use super::geo::geo_form;
use super::history::{EVENTS_KEPT, History, Page};
use super::metrics::Scrape;
use super::overrides;
use super::peers;
use super::pools;
use super::problem::Problem;
use super::report::{self, ReportedForm};
use super::stream::{self, Lasting};

/// The engine answers in microseconds; one that takes this long is stuck.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Reading every zone, and the first results of new checks.
const RELOAD_WITHIN: Duration = Duration::from_secs(60);
/// An engine or a prober that has not worked for so long is dead.
const LATE: Duration = Duration::from_secs(10);
/// No call takes a body; small ones that clients send out of habit are ignored.
const BODY_MAX: u64 = 16 * 1024;
/// Events in one reply, where the caller does not say.
const EVENTS: usize = 100;

const GENERATION: HeaderName = HeaderName::from_static("leeward-generation");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The media type of the Prometheus text format.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// All calls on `node`, for callers that `access` judges.
pub fn router(node: Node, access: Access) -> Router {
    let shared = Shared { node: Arc::new(node), access };
    Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/checks", get(checks))
        .route("/api/v1/checks/{key}/report", post(report))
        .route("/api/v1/zones", get(zones))
        .route("/api/v1/events", get(events))
        .route("/api/v1/explain", get(explain))
        .route("/api/v1/geo", get(geo))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/peers", get(peers::list))
        .route("/api/v1/pools", get(pools::list))
        .route("/api/v1/pools/{name}/failback", post(pools::fail_back))
        .route("/api/v1/overrides", get(overrides::list))
        .route("/api/v1/overrides/{kind}/{*name}", get(overrides::show).put(overrides::put).delete(overrides::delete))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(shared.clone(), gate))
        .layer(from_fn_with_state(shared.clone(), seal))
        .with_state(shared)
}

/// What every call has.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) node: Arc<Node>,
    access: Access,
}

pub(super) type Reply = Result<Response, Problem>;

// -------- around every call

/// Lets in who may come in.
async fn gate(State(shared): State<Shared>, request: Request, next: Next) -> Reply {
    shared.access.judge(request.method(), request.uri().path(), request.headers())?;
    if request.body().size_hint().lower() > BODY_MAX {
        let detail = format!("no call takes a body, and this one has more than {BODY_MAX} octets");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too large", detail));
    }
    Ok(next.run(request).await)
}

/// Writes problems, and the headers of every reply. A reply that knows its generation has said so already.
async fn seal(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let generation = response.extensions_mut().remove::<Generation>().unwrap_or_else(|| shared.node.published.load().generation);
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.write(response, generation);
    }
    let headers = response.headers_mut();
    headers.insert(GENERATION, HeaderValue::from(generation.0));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; see the list of calls in the documentation", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} cannot be asked with {method}; the Allow header says how", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail)
}

pub(super) fn json(generation: Generation, form: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(form).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The reply cannot be written", error.to_string())
    })?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(generation);
    Ok(response)
}

fn text(status: StatusCode, kind: HeaderValue, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], text.into()).into_response()
}

impl Shared {
    pub(super) fn clock(&self) -> Clock {
        let (now, wall) = (self.node.clock)();
        Clock { now, wall }
    }

    /// Asks the engine, which answers at once unless something is very wrong.
    pub(super) async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Problem> {
        let limit = ANSWER_WITHIN;
        let detail = format!("no answer within {} s; see the log", limit.as_secs());
        self.ask_within(limit, ask).await?.ok_or_else(|| Problem::silent(StatusCode::SERVICE_UNAVAILABLE, detail))
    }

    /// Asks the engine; `None` where it takes longer than `limit`.
    pub(super) async fn ask_within<T>(
        &self,
        limit: Duration,
        ask: impl FnOnce(oneshot::Sender<T>) -> Ask,
    ) -> Result<Option<T>, Problem> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.node.ask.send(ask(reply)).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(Some(answer)) => Ok(Some(answer)),
            Ok(None) => Err(Problem::silent(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down")),
            Err(_) => Ok(None),
        }
    }

    pub(super) async fn overview(&self) -> Result<Overview, Problem> {
        self.ask(Ask::Overview).await
    }

    pub(super) async fn checks(&self) -> Result<Vec<CheckView>, Problem> {
        self.ask(Ask::Checks).await
    }
}

// -------- health and metrics

async fn livez(State(shared): State<Shared>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let late = shared.node.lateness.at(shared.clock().now);
    if late > LATE {
        let detail = format!("the engine or the prober was last seen working {} s ago", late.as_secs());
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "late", "Late", detail));
    }
    Ok(text(StatusCode::OK, TEXT, "ok\n"))
}

async fn readyz(State(shared): State<Shared>, uri: Uri) -> Reply {
    let mut params = Params::of(&uri);
    let verbose = params.flag("verbose")?;
    params.finish()?;
    let conditions = conditions(&shared.overview().await?);
    let ready = conditions.iter().all(|condition| condition.holds);
    if verbose {
        let lines: String = conditions.iter().map(Condition::line).collect();
        let (status, verdict) = if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
        return Ok(text(status, TEXT, format!("{lines}{verdict}\n")));
    }
    if ready {
        return Ok(text(StatusCode::OK, TEXT, "ok\n"));
    }
    let missing: Vec<_> = conditions.iter().filter(|condition| !condition.holds).map(|condition| &*condition.says).collect();
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Not ready", missing.join("; ")))
}

/// Something that must hold for a node to be ready.
struct Condition {
    name: &'static str,
    holds: bool,
    says: String,
}

impl Condition {
    fn line(&self) -> String {
        let Self { name, holds, says } = self;
        format!("[{}] {name}: {says}\n", if *holds { '+' } else { '-' })
    }
}

/// What readiness consists of. Not among them: the health of targets, and whether the last reload went well. Both would
/// take a node out that answers as well as it ever will.
fn conditions(overview: &Overview) -> [Condition; 2] {
    let ZoneCounts { serving, stale, failed } = ZoneCounts::of(&overview.zones);
    let zones = if overview.zones.is_empty() { overview.serving } else { serving + stale > 0 };
    let zones_say = format!("{serving} as their files say, {stale} from their last-good copy, {failed} failed");
    let gate_says = if overview.serving { "open" } else { "waiting for the first results of the checks" };
    [
        Condition { name: "zones", holds: zones, says: format!("zones served: {zones_say}") },
        Condition { name: "start_gate", holds: overview.serving, says: format!("start gate: {gate_says}") },
    ]
}

fn is_ready(overview: &Overview) -> bool {
    conditions(overview).iter().all(|condition| condition.holds)
}

async fn metrics(State(shared): State<Shared>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let (overview, checks, overrides) = (shared.overview().await?, shared.checks().await?, shared.ask(Ask::Overrides).await?);
    let pools = shared.ask(Ask::Pools).await?;
    let (snapshot, clock) = (shared.node.published.load(), shared.clock());
    let scrape = Scrape {
        meters: &shared.node.meters,
        snapshot: &snapshot,
        overview: &overview,
        checks: &checks,
        overrides: &overrides,
        pools: &pools,
        ready: is_ready(&overview),
        streams: shared.node.streams.open(),
        clock: &clock,
    };
    Ok(text(StatusCode::OK, EXPOSITION, scrape.render()))
}

// -------- what there is

async fn status(State(shared): State<Shared>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let (overview, checks, overrides) = (shared.overview().await?, shared.checks().await?, shared.ask(Ask::Overrides).await?);
    let clock = shared.clock();
    let form = StatusForm {
        generation: overview.generation.0,
        node: shared.node.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: clock.text(clock.now),
        ready: is_ready(&overview),
        serving: overview.serving,
        listen: overview.addresses.iter().map(ToString::to_string).collect(),
        loading: overview.loading,
        isolated_since: overview.isolated_since.map(|since| clock.text(since)),
        peers: overview.peers.len(),
        peers_heard: overview.peers.iter().filter(|peer| peer.fresh).count(),
        no_quorum_since: overview.no_quorum_since.map(|since| clock.text(since)),
        decides_alone: overview.solo,
        publishes: overview.publishes,
        late_seconds: seconds(shared.node.lateness.at(clock.now)),
        zones: ZoneCounts::of(&overview.zones),
        checks: CheckCounts::of(&checks),
        overrides: overrides.iter().count(),
        frozen: overrides.is_frozen(),
        overrides_file: shared.node.meters.read_overrides_file().map(|file| OverridesFileForm {
            path: file.path.display().to_string(),
            words: file.words,
            errors: file.errors.iter().map(FindingForm::from).collect(),
        }),
    };
    json(overview.generation, &form)
}

async fn checks(State(shared): State<Shared>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let checks = shared.checks().await?;
    let snapshot = shared.node.published.load();
    let (generation, named) = (snapshot.generation, &snapshot.options.checks.named);
    json(generation, &ChecksForm::new(generation.0, checks, named, &shared.clock()))
}

async fn report(State(shared): State<Shared>, Path(key): Path<String>, uri: Uri, headers: HeaderMap) -> Reply {
    let mut params = Params::of(&uri);
    let status = params.take("status")?.unwrap_or_default().into_owned();
    params.finish()?;
    let generation = shared.node.published.load().generation;
    let status = report::take(&shared.node.reports, &key, &status, &headers, shared.clock().now.since_origin())?;
    json(generation, &ReportedForm { generation: generation.0, check: key, status })
}

async fn zones(State(shared): State<Shared>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let overview = shared.overview().await?;
    let snapshot = shared.node.published.load();
    let replies = |apex: &Name| {
        let entry = snapshot.zones.get(apex.as_ref());
        entry.map_or(0, |entry| entry.counters.sum().replies.iter().flatten().sum())
    };
    json(overview.generation, &ZonesForm::new(&overview, |zone| replies(&zone.apex)))
}

// -------- events

/// From where on events are asked for.
enum Since {
    Number(u64),
    Ago(Duration),
    Time(std::time::SystemTime),
}

async fn events(State(shared): State<Shared>, uri: Uri, headers: HeaderMap, lasting: Option<Extension<Lasting>>) -> Reply {
    let mut params = Params::of(&uri);
    let since = params.parsed("since", "a number, a duration such as 10m, or an RFC 3339 time", since)?;
    let history = &shared.node.history;
    if stream::is_wanted(&headers) {
        params.finish()?;
        let after = stream::last_event_id(&headers).unwrap_or_else(|| begin(history, since.as_ref(), &shared.clock()));
        let place = shared.node.streams.enter().ok_or_else(|| {
            let detail = "as many streams of events are open as may be; ask for the list, or come back later";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", "Too many streams", detail)
        })?;
        return Ok(stream::open(Arc::clone(history), after, place, lasting.map(|Extension(lasting)| lasting)));
    }
    let limit = params.parsed("limit", "a number from 1", |text| text.parse().ok().filter(|&limit| limit > 0))?;
    params.finish()?;
    let limit = limit.unwrap_or(EVENTS);
    let page = match since {
        // The first ones, so that whoever follows along misses none.
        Some(Since::Number(after)) => history.after(after, limit),
        // The last ones, which are of interest.
        _ => Page { events: history.last(earliest(since.as_ref(), &shared.clock()), limit), missed: 0 },
    };
    let after = if let Some(Since::Number(number)) = since { number } else { history.newest() };
    let form = EventsForm {
        generation: shared.node.published.load().generation.0,
        next: page.end(after),
        missed: if after > 0 { page.missed } else { 0 },
        events: page.events.iter().map(|event| EventForm::clone(event)).collect(),
    };
    json(Generation(form.generation), &form)
}

/// After which number a stream begins: where nothing is said, with what happens from now on.
fn begin(history: &History, since: Option<&Since>, clock: &Clock) -> u64 {
    match since {
        None => history.newest(),
        Some(Since::Number(number)) => *number,
        Some(Since::Ago(_) | Since::Time(_)) => {
            let first = history.last(earliest(since, clock), EVENTS_KEPT).into_iter().next();
            first.map_or_else(|| history.newest(), |event| event.number.saturating_sub(1))
        }
    }
}

/// The time from which on events are asked for.
fn earliest(since: Option<&Since>, clock: &Clock) -> SystemTime {
    match since {
        None | Some(Since::Number(_)) => SystemTime::UNIX_EPOCH,
        Some(Since::Ago(ago)) => clock.wall.checked_sub(*ago).unwrap_or(SystemTime::UNIX_EPOCH),
        Some(Since::Time(time)) => *time,
    }
}

fn since(text: &str) -> Option<Since> {
    let number = text.parse().ok().map(Since::Number);
    let ago = || humantime::parse_duration(text).ok().map(Since::Ago);
    number.or_else(ago).or_else(|| humantime::parse_rfc3339_weak(text).ok().map(Since::Time))
}

// -------- explain

async fn explain(State(shared): State<Shared>, uri: Uri) -> Reply {
    let clock = shared.clock();
    let asked = asked(Params::of(&uri), &clock)?;
    let checks = shared.checks().await?;
    let snapshot = shared.node.published.load();
    json(snapshot.generation, &explain_form(&snapshot, &asked, &checks, &shared.clock()))
}

fn asked(mut params: Params<'_>, clock: &Clock) -> Result<Asked, Problem> {
    let name = params.parsed("name", "a domain name", |text| Name::from_text(text.as_bytes(), Some(NameRef::ROOT)).ok())?;
    let rtype = params.parsed("type", "a record type such as A, or TYPE65280", |text| text.parse().ok())?;
    let client = params.parsed("client", "an address", |text| text.parse().ok())?;
    let subnet = params.parsed("subnet", "an address or a network such as 192.0.2.0/24", |text| text.parse().ok())?;
    let seed = params.parsed("seed", "a number", |text| text.parse().ok())?;
    params.finish()?;
    Ok(Asked {
        name: name.ok_or_else(|| Problem::parameter("the parameter 'name' is missing: which name shall be explained?"))?,
        rtype: rtype.unwrap_or(RecordType::A),
        client: client.unwrap_or(IpAddr::from([127, 0, 0, 1])),
        subnet,
        // Any number does; the reply says which, so that the same answer can be had again.
        seed: seed.unwrap_or_else(|| u64::from(clock.now.since_origin().subsec_nanos())),
        now: Now {
            monotonic: u64::try_from(clock.now.since_origin().as_millis()).unwrap_or(u64::MAX),
            unix: clock.wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32),
        },
    })
}

// -------- places

async fn geo(State(shared): State<Shared>, uri: Uri) -> Reply {
    let mut params = Params::of(&uri);
    let address = params.parsed("address", "an address", |text| text.parse().ok())?;
    let map = params.take("map")?;
    params.finish()?;
    let address = address.ok_or_else(|| Problem::parameter("the parameter 'address' is missing: which one is to be found?"))?;
    let snapshot = shared.node.published.load();
    let form = geo_form(&snapshot, address, map.as_deref()).ok_or_else(|| {
        let names: Vec<_> = snapshot.options.checks.atlas().maps.names().collect();
        let there = if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) };
        let detail = format!("there is no map {:?} in the configuration; {there}", map.as_deref().unwrap_or_default());
        Problem::new(StatusCode::NOT_FOUND, "no_such_map", "No such map", detail)
    })?;
    json(snapshot.generation, &form)
}

// -------- reload

async fn reload(State(shared): State<Shared>, uri: Uri) -> Reply {
    let request = reload_request(Params::of(&uri))?;
    let named = request.zone.as_ref().map(ToString::to_string);
    let report = shared.ask_within(RELOAD_WITHIN, |reply| Ask::Reload(request, reply)).await?;
    let report = report.ok_or_else(|| {
        let detail = format!("not decided within {} s; it goes on, and the events tell how it ends", RELOAD_WITHIN.as_secs());
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "The reload takes long", detail)
    })?;
    match &report.outcome {
        ReloadOutcome::Applied | ReloadOutcome::Rehearsed => json(report.generation, &ReloadForm::new(&report)),
        refused => {
            let mut response = refusal(refused, &report, named.as_deref().unwrap_or_default()).into_response();
            response.extensions_mut().insert(report.generation);
            Ok(response)
        }
    }
}

fn reload_request(mut params: Params<'_>) -> Result<ReloadRequest, Problem> {
    let dry_run = params.flag("dry_run")?;
    let zone = params.parsed("zone", "a zone's name", |text| Name::from_text(text.as_bytes(), Some(NameRef::ROOT)).ok())?;
    let accept = params.parsed("accept", "check_regression", |text| (text == "check_regression").then_some(()))?;
    params.finish()?;
    Ok(ReloadRequest { dry_run, zone, accept_regression: accept.is_some(), outside: None })
}

fn refusal(outcome: &ReloadOutcome, report: &ReloadReport, named: &str) -> Problem {
    let findings: Vec<_> = report.findings.iter().map(FindingForm::from).collect();
    let zones: Vec<_> = report.zones.iter().map(ZoneChangeForm::from).collect();
    let problem = match outcome {
        ReloadOutcome::Regression(regressions) => {
            let count = regressions.len();
            let detail = format!(
                "{count} checks of targets that are up would fail as they are changed; nothing was changed. \
                 Mend them, or say accept=check_regression to take the change in all the same"
            );
            let list: Vec<_> = regressions.iter().map(RegressionForm::from).collect();
            let title = "The reload would take down targets that are up";
            Problem::new(StatusCode::CONFLICT, "check_regression", title, detail).with("regressions", list)
        }
        ReloadOutcome::NeedsRestart(settings) => {
            let detail =
                format!("these take effect only at a start: {}; nothing was changed. Restart, or undo them", settings.join(", "));
            Problem::new(StatusCode::CONFLICT, "needs_restart", "The change needs a restart", detail).with("settings", settings)
        }
        ReloadOutcome::NoSuchZone => {
            let detail = format!("there is no zone {named} in the configuration");
            Problem::new(StatusCode::NOT_FOUND, "no_such_zone", "No such zone", detail)
        }
        ReloadOutcome::Busy => {
            let detail = "too many reloads are waiting already; nothing was changed. Try again when they are done";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy with other reloads", detail)
        }
        ReloadOutcome::Invalid | ReloadOutcome::Applied | ReloadOutcome::Rehearsed => {
            let errors = report.findings.iter().filter(|finding| finding.error).count();
            let detail = format!("{errors} errors; what has errors keeps its old state. Mend them and reload again");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The files have errors", detail).with("zones", zones)
        }
    };
    problem.with("findings", findings)
}

// -------- parameters

/// The query's parameters: each is taken by the call that knows it, and what is left over is an error.
pub(super) struct Params<'u>(Vec<(Cow<'u, str>, Cow<'u, str>)>);

impl<'u> Params<'u> {
    pub(super) fn of(uri: &'u Uri) -> Self {
        Self(url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect())
    }

    fn take(&mut self, name: &str) -> Result<Option<Cow<'u, str>>, Problem> {
        let Some(at) = self.0.iter().position(|(found, _)| found == name) else { return Ok(None) };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(found, _)| found == name) {
            return Err(Problem::parameter(format!("the parameter '{name}' is given more than once")));
        }
        Ok(Some(value))
    }

    /// The parameter as `parse` reads it; `wanted` says what would be right.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.take(name)? else { return Ok(None) };
        let wrong = || Problem::parameter(format!("the parameter '{name}' is {value:?} and should be {wanted}"));
        parse(&value).map(Some).ok_or_else(wrong)
    }

    /// A parameter that is set by being there.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        let parse = |text: &str| match text {
            "" | "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        Ok(self.parsed(name, "true or false", parse)?.unwrap_or(false))
    }

    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.0.iter().map(|(name, _)| format!("'{name}'")).collect();
        Err(Problem::parameter(format!("unknown parameters: {}", names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::super::ask::{Finding, ReloadOutcome, ZoneReport};
    use super::super::tests::{Late, fake};
    use super::*;
    use crate::control::Regression;
    use crate::wire::Serial;

    async fn call(node: Node, method: Method, target: &str) -> (u16, http::HeaderMap, String) {
        let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
        let response = router(node, Access::Socket).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get_json(target: &str) -> Value {
        let (status, headers, body) = call(fake().run(None), Method::GET, target).await;
        assert_eq!((status, &headers["content-type"]), (200, &HeaderValue::from_static("application/json")), "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(headers["leeward-generation"].to_str().unwrap(), body["generation"].to_string());
        body
    }

    /// A problem's status, type and detail.
    async fn problem(node: Node, method: Method, target: &str) -> (u16, String, Value) {
        let (status, headers, body) = call(node, method, target).await;
        assert_eq!(headers["content-type"], "application/problem+json", "{target}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["status"], status);
        assert_eq!(headers["leeward-generation"].to_str().unwrap(), body["generation"].to_string());
        (status, body["type"].as_str().unwrap().to_owned(), body)
    }

    #[tokio::test]
    async fn overrides_are_shown_and_ordered() {
        let all = get_json("/api/v1/overrides").await;
        let word = &all["overrides"][0];
        assert_eq!((&word["kind"], &word["name"], &word["state"]), (&"target".into(), &"192.0.2.1:443".into(), &"drain".into()));
        assert_eq!((&word["expires"], &word["version"]), (&"2023-11-14T22:14:20.000Z".into(), &7.into()));
        let (status, headers, _) = call(fake().run(None), Method::GET, "/api/v1/overrides/target/192.0.2.1:443").await;
        assert_eq!((status, &headers["etag"]), (200, &HeaderValue::from_static("\"7\"")));
        let cases = [
            (Method::GET, "target/192.0.2.2", 404, "not_set"),
            (Method::GET, "moon/this", 404, "no_such_subject"),
            (Method::GET, "check/web@192.0.2.2", 404, "no_such_target"),
            (Method::PUT, "target/192.0.2.1", 400, "bad_parameter"),
            (Method::PUT, "target/192.0.2.1?state=off", 400, "bad_parameter"),
            (Method::PUT, "target/192.0.2.1?state=down&for=0s", 400, "bad_parameter"),
            (Method::PUT, "target/192.0.2.1?state=down&for=2years", 400, "bad_parameter"),
            (Method::PUT, "target/192.0.2.1?state=down&accept=anything", 400, "bad_parameter"),
            (Method::PUT, "target/192.0.2.1?state=down&colour=red", 400, "bad_parameter"),
            (Method::PUT, "target/192.0.2.1?state=down&for=forever", 409, "would_empty"),
            (Method::PUT, "target/192.0.2.1:443?state=down&if_version=6", 412, "version_mismatch"),
            (Method::DELETE, "target/192.0.2.1:443?if_version=7", 409, "would_empty"),
            (Method::DELETE, "target/192.0.2.1:443?for=4h", 400, "bad_parameter"),
            (Method::POST, "target/192.0.2.1:443", 405, "method_not_allowed"),
        ];
        for (method, target, status, kind) in cases {
            let (seen, word, _) = problem(fake().run(None), method, &format!("/api/v1/overrides/{target}")).await;
            assert_eq!((seen, word.as_str()), (status, kind), "{target}");
        }
    }

    #[tokio::test]
    async fn the_state_is_told() {
        let status = get_json("/api/v1/status").await;
        assert_eq!((&status["node"], &status["ready"], &status["serving"]), (&"test-1".into(), &true.into(), &true.into()));
        assert_eq!(status["checks"], serde_json::json!({ "up": 1, "down": 1, "unknown": 0 }));
        assert_eq!(status["time"], "2023-11-14T22:13:20.000Z");
        let zones = get_json("/api/v1/zones").await;
        assert_eq!((&zones["zones"][0]["zone"], &zones["zones"][0]["serial"]), (&"gslb.example.".into(), &7.into()));
        let checks = get_json("/api/v1/checks").await;
        let down = &checks["checks"][1];
        assert_eq!(
            (&down["target"], &down["status"], &down["basis"]),
            (&"192.0.2.2:443".into(), &"down".into(), &"measured".into())
        );
        assert_eq!((&down["last"]["reason"], &down["last"]["at"]), (&"refused".into(), &"2023-11-14T22:13:17.500Z".into()));
        assert_eq!((&down["kind"], &down["interval_seconds"]), (&"tcp".into(), &5.0.into()));
        let explained = get_json("/api/v1/explain?name=www.gslb.example&client=198.51.100.9&subnet=203.0.113.77/24&seed=3").await;
        assert_eq!((&explained["client"], &explained["question"]["subnet"]), (&"203.0.113.0".into(), &"203.0.113.0/24".into()));
        assert_eq!((&explained["subnet_scope"], &explained["seed"]), (&0.into(), &3.into()));
    }

    #[tokio::test]
    async fn events_can_be_followed() {
        let all = get_json("/api/v1/events").await;
        let events = all["events"].as_array().unwrap();
        let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"serving") && kinds.contains(&"zone_adopted"), "{kinds:?}");
        assert_eq!(all["next"], events.len());
        let first = get_json("/api/v1/events?since=0&limit=1").await;
        assert_eq!((&first["events"][0]["number"], &first["next"]), (&1.into(), &1.into()));
        let last = get_json("/api/v1/events?limit=1").await;
        assert_eq!(last["events"][0]["number"], events.len());
        for (since, expected) in [("1s", 0), ("3s", events.len()), ("2023-11-14T22:13:19Z", 0), ("99", 0)] {
            let some = get_json(&format!("/api/v1/events?since={since}")).await;
            assert_eq!(some["events"].as_array().unwrap().len(), expected, "{since}");
        }
    }

    #[tokio::test]
    async fn health_calls() {
        assert_eq!(call(fake().run(None), Method::GET, "/healthz").await.0, 200);
        let mut late = fake().run(None);
        late.lateness = Arc::new(Late(Duration::from_secs(11)));
        assert_eq!(problem(late.clone(), Method::GET, "/livez").await.0, 503);
        assert_eq!(call(late, Method::GET, "/readyz").await.2, "ok\n");
        let (status, _, lines) = call(fake().run(None), Method::GET, "/readyz?verbose").await;
        assert_eq!((status, lines.lines().last()), (200, Some("ready")));
        let mut starting = fake();
        (starting.overview.serving, starting.overview.zones) = (false, Vec::new());
        let (status, kind, _) = problem(starting.run(None), Method::GET, "/readyz").await;
        assert_eq!((status, kind.as_str()), (503, "not_ready"));
        let (status, headers, body) = call(fake().run(None), Method::GET, "/metrics").await;
        assert!(
            status == 200
                && headers["content-type"].to_str().unwrap().starts_with("text/plain")
                && body.contains("leeward_ready 1")
        );
    }

    #[tokio::test]
    async fn wrong_calls_are_problems() {
        let cases = [
            (Method::GET, "/api/v1/nothing", 404, "not_found", "/api/v1/nothing"),
            (Method::GET, "/api/v1/reload", 405, "method_not_allowed", "GET"),
            (Method::POST, "/api/v1/status", 405, "method_not_allowed", "POST"),
            (Method::GET, "/api/v1/status?zone=x", 400, "bad_parameter", "'zone'"),
            (Method::GET, "/api/v1/explain", 400, "bad_parameter", "'name'"),
            (Method::GET, "/api/v1/explain?name=a..b", 400, "bad_parameter", "a..b"),
            (Method::GET, "/api/v1/explain?name=a&type=WAT", 400, "bad_parameter", "WAT"),
            (Method::GET, "/api/v1/explain?name=a&subnet=192.0.2.0/33", 400, "bad_parameter", "/33"),
            (Method::GET, "/api/v1/explain?name=a&name=b", 400, "bad_parameter", "more than once"),
            (Method::GET, "/api/v1/geo", 400, "bad_parameter", "'address'"),
            (Method::GET, "/api/v1/geo?address=192.0.2.0/24", 400, "bad_parameter", "192.0.2.0/24"),
            (Method::GET, "/api/v1/geo?address=192.0.2.1&map=x", 404, "no_such_map", "there is none"),
            (Method::GET, "/api/v1/geo?address=192.0.2.1&net=x", 400, "bad_parameter", "'net'"),
            (Method::GET, "/api/v1/events?since=yesterday", 400, "bad_parameter", "yesterday"),
            (Method::GET, "/api/v1/events?limit=0", 400, "bad_parameter", "'limit'"),
            (Method::POST, "/api/v1/reload?accept=anything", 400, "bad_parameter", "check_regression"),
        ];
        for (method, target, status, kind, detail) in cases {
            let (found, found_kind, body) = problem(fake().run(None), method, target).await;
            assert_eq!((found, found_kind.as_str()), (status, kind), "{target}");
            assert!(body["detail"].as_str().unwrap().contains(detail), "{target}: {body}");
        }
        let (_, headers, _) = call(fake().run(None), Method::GET, "/api/v1/reload").await;
        assert_eq!(headers["allow"], "POST");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_engine_is_said_so() {
        let (_keep, node) = {
            let fake = fake();
            (fake.asks, fake.node)
        };
        assert_eq!(problem(node, Method::GET, "/api/v1/status").await.0, 503);
        assert_eq!(problem(fake().run(None), Method::POST, "/api/v1/reload").await.0, 504);
        assert_eq!(problem(fake().node, Method::GET, "/api/v1/status").await.0, 503);
    }

    #[tokio::test]
    async fn reloads_end_as_the_contract_says() {
        let zone: Name = Name::from_text(b"gslb.example.", None).unwrap();
        let regression = Regression { before: "tcp a".into(), after: "tcp b".into(), failure: "connection refused".into() };
        let cases = [
            (ReloadOutcome::Applied, 200, "applied"),
            (ReloadOutcome::Rehearsed, 200, "rehearsed"),
            (ReloadOutcome::Invalid, 422, "invalid"),
            (ReloadOutcome::Regression([regression].into()), 409, "check_regression"),
            (ReloadOutcome::NeedsRestart(vec!["server.listen".into()]), 409, "needs_restart"),
            (ReloadOutcome::NoSuchZone, 404, "no_such_zone"),
        ];
        for (outcome, status, word) in cases {
            let zones =
                vec![ZoneReport { zone: zone.clone(), before: Some(Serial(7)), after: Some(Serial(8)), removed: 1, added: 2 }];
            let finding = Finding { error: true, place: "a.zone:3:1".into(), message: "bad".into(), remedy: "mend".into() };
            let words = Vec::new();
            let report = ReloadReport { outcome, generation: Generation(41), zones, words, findings: vec![finding] };
            let (found, headers, body) = call(fake().run(Some(report)), Method::POST, "/api/v1/reload?zone=gslb.example").await;
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((found, &body["generation"]), (status, &41.into()), "{body}");
            assert_eq!(headers["leeward-generation"], "41", "{body}");
            assert_eq!(body[if status == 200 { "outcome" } else { "type" }], word);
            assert_eq!(body["findings"][0]["place"], "a.zone:3:1");
        }
    }
}
