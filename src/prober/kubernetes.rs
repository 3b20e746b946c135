//! The check by Kubernetes: its API says how much of a service is ready.
//!
//! One question to the API server for each probe, of the address that the check is on: it is the cluster's, and stands for what
//! the cluster runs. What counts as ready:
//!
//! | EndpointSlice: `ready` | `terminating` | |
//! | --- | --- | --- |
//! | true | either | ready: who publishes addresses that terminate means it |
//! | false | either | not ready, whatever `serving` says: it gets no new connections in the cluster either |
//! | not said | not true | ready (the API: an unknown state is to be taken for ready) |
//! | not said | true | not ready |
//!
//! An endpoint that stands in several slices, for its other ports or its other family, counts once. A pod is ready by its
//! condition `Ready`, unless it is being deleted. A service that there is not has no slice, as has a namespace: nothing is ready.
//!
//! That the API cannot be asked is our loss of sight, and no word about the target: whatever goes wrong on the way is
//! inconclusive. So is an answer that is no such list: a proxy that says something else with status 200 takes nothing down.
//!
//! Token and authority are files that are replaced while we run: they are looked at for each probe, the system's store every
//! minute. Answers are bounded, and pages too. A page that is too long is asked for with fewer things on it. It is read on
//! another thread than probes run on, which several MiB would hold up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Response, StatusCode, header};
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::Url;

use super::errors::Unmet;
use super::file::Stamp;
use super::http::MAX_LOOKUPS;
use super::pulse;
use super::tls::TRUST_AGE;
use crate::target::{Failure, Inconclusive, KubernetesCheck, Workload};

/// Things on a page, and by how many times fewer are asked for where they are too long.
const PAGE: u32 = 50;
const PAGE_SMALLER: u32 = 5;
/// Most pages.
const PAGES_MAX: usize = 200;
/// Most octets of a page.
const PAGE_OCTETS_MAX: usize = 4 << 20;
/// Most octets of a token, and of a file of authorities.
const TOKEN_OCTETS_MAX: u64 = 64 << 10;
const AUTHORITY_OCTETS_MAX: u64 = 1 << 20;
/// How long a connection is kept for the next probe.
const IDLE: Duration = Duration::from_secs(90);

/// The clients by their authorities, and what was told to be wrong, by what is asked.
#[derive(Default)]
pub(super) struct Apis(Mutex<Shared>);

#[derive(Default)]
struct Shared {
    clients: HashMap<Option<PathBuf>, Made>,
    names: Arc<Names>,
    told: HashMap<String, String>,
}

/// A client, and what its authorities were when it was made.
struct Made {
    stamp: Option<Stamp>,
    at: Duration,
    client: Client,
}

/// Names as the system resolves them, few at a time: a look-up cannot be called off, and those that hang must not take all the
/// threads on which others read files.
struct Names(Arc<Semaphore>);

impl Default for Names {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LOOKUPS)))
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let lookups = Arc::clone(&self.0);
        Box::pin(async move {
            let turn = lookups.acquire_owned().await?;
            let look_up = move || {
                let _turn = turn;
                (name.as_str(), 0).to_socket_addrs()
            };
            let found = tokio::task::spawn_blocking(look_up).await??;
            Ok(Box::new(found) as Addrs)
        })
    }
}

/// What is wrong with the API.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{path}: {source}", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("no client can be made: {0}")]
    Client(reqwest::Error),
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer is longer than {PAGE_OCTETS_MAX} octets")]
    Long,
    #[error("{0}")]
    Garbled(String),
}

impl Trouble {
    fn reason(&self) -> Inconclusive {
        match self {
            Self::File { .. } => Inconclusive::KubeFiles,
            Self::Client(_) => Inconclusive::NoTrust,
            Self::Unreachable(_) => Inconclusive::KubeUnreachable,
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Inconclusive::KubeDenied,
            Self::Status(StatusCode::TOO_MANY_REQUESTS) => Inconclusive::KubeBusy,
            Self::Status(_) => Inconclusive::KubeFailing,
            Self::Long | Self::Garbled(_) => Inconclusive::KubeGarbled,
        }
    }
}

impl Apis {
    /// Asks the API.
    pub(super) async fn probe(self: &Arc<Self>, check: &KubernetesCheck) -> Result<(), Unmet> {
        let asked = self.ask(check).await;
        self.tell(check, asked.as_ref().err());
        match asked {
            Err(trouble) => Err(trouble.reason().into()),
            Ok(ready) if ready >= check.at_least as usize => Ok(()),
            Ok(ready) => {
                let ready = u32::try_from(ready).unwrap_or(u32::MAX);
                Err(Failure::NotReady { ready, wanted: check.at_least }.into())
            }
        }
    }

    /// How many are ready; no more are counted than are wanted.
    async fn ask(self: &Arc<Self>, check: &KubernetesCheck) -> Result<usize, Trouble> {
        let (apis, token, ca) = (Arc::clone(self), check.token_file.clone(), check.ca_file.clone());
        let files = tokio::task::spawn_blocking(move || Ok((apis.client(ca)?, read_token(token)?))).await;
        let (client, token) = files.unwrap_or_else(|error| Err(Trouble::Garbled(error.to_string())))?;
        let (mut ready, mut next, mut most) = (Ready::default(), None, PAGE);
        for _ in 0..PAGES_MAX {
            let page = match ask_page(&client, token.as_deref(), url(check, most, next.as_deref())?).await {
                Err(Trouble::Long) if most >= PAGE_SMALLER => {
                    most /= PAGE_SMALLER;
                    continue;
                }
                page => page?,
            };
            (ready, next) = ready.with(check.workload.clone(), page).await?;
            if next.is_none() || ready.count() >= check.at_least as usize {
                return Ok(ready.count());
            }
        }
        Err(Trouble::Garbled(format!("its list does not end within {PAGES_MAX} pages")))
    }

    /// The client that trusts the authorities in this file as it is now, or those of the system.
    fn client(&self, ca: Option<PathBuf>) -> Result<Client, Trouble> {
        let stamp = ca.as_ref().and_then(|path| Stamp::of(path).ok());
        let (now, names) = (pulse::now(), Arc::clone(&self.shared().names));
        if let Some(made) = self.shared().clients.get(&ca)
            && made.stamp == stamp
            && (ca.is_some() || now.saturating_sub(made.at) < TRUST_AGE)
        {
            return Ok(made.client.clone());
        }
        // Refused only where a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).pool_idle_timeout(IDLE);
        let builder = builder.user_agent(concat!("leeward/", env!("CARGO_PKG_VERSION")));
        let builder = builder.dns_resolver(names);
        let builder = match &ca {
            Some(path) => builder.tls_certs_only(authorities(path)?),
            None => builder,
        };
        let client = builder.build().map_err(Trouble::Client)?;
        self.shared().clients.insert(ca, Made { stamp, at: now, client: client.clone() });
        Ok(client)
    }

    /// Logs what is wrong, once, and that it is no more: the reason of a probe has no room for it.
    fn tell(&self, check: &KubernetesCheck, trouble: Option<&Trouble>) {
        let (about, text) = (check.to_string(), trouble.map(ToString::to_string));
        let mut shared = self.shared();
        if shared.told.get(&about) == text.as_ref() {
            return;
        }
        match text {
            Some(text) => {
                tracing::warn!("{about}: the API says nothing: {text}");
                shared.told.insert(about, text);
            }
            None => {
                tracing::info!("{about}: the API can be asked again");
                shared.told.remove(&about);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_token(path: Option<PathBuf>) -> Result<Option<String>, Trouble> {
    let Some(path) = path else { return Ok(None) };
    let token = read(&path, TOKEN_OCTETS_MAX)?.trim().to_owned();
    if token.is_empty() || !token.bytes().all(|octet| octet.is_ascii_graphic()) {
        let source = io::Error::other("it holds no token");
        return Err(Trouble::File { path, source });
    }
    Ok(Some(token))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, Trouble> {
    let text = read(path, AUTHORITY_OCTETS_MAX)?;
    let none = |why: String| Trouble::File { path: path.to_owned(), source: io::Error::other(why) };
    let found = Certificate::from_pem_bundle(text.as_bytes()).map_err(|error| none(error.to_string()))?;
    if found.is_empty() { Err(none("it holds no certificate".to_owned())) } else { Ok(found) }
}

fn read(path: &Path, most: u64) -> Result<String, Trouble> {
    let mut text = String::new();
    let file = std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_string(&mut text));
    match file {
        Ok(octets) if octets as u64 > most => Err(io::Error::other("it is too large")),
        Ok(_) => Ok(text),
        Err(error) => Err(error),
    }
    .map_err(|source| Trouble::File { path: path.to_owned(), source })
}

fn url(check: &KubernetesCheck, most: u32, next: Option<&str>) -> Result<Url, Trouble> {
    let KubernetesCheck { url, namespace, workload, .. } = check;
    let (path, selector) = match workload {
        Workload::Service(name) => (
            format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"),
            format!("kubernetes.io/service-name={name}"),
        ),
        Workload::Pods(selector) => (format!("/api/v1/namespaces/{namespace}/pods"), selector.to_string()),
    };
    let mut url = Url::parse(&format!("{url}{path}")).map_err(|error| Trouble::Garbled(error.to_string()))?;
    url.query_pairs_mut().append_pair("labelSelector", &selector).append_pair("limit", &most.to_string());
    if let Some(next) = next {
        url.query_pairs_mut().append_pair("continue", next);
    }
    Ok(url)
}

async fn ask_page(client: &Client, token: Option<&str>, url: Url) -> Result<Vec<u8>, Trouble> {
    let request = client.get(url).header(header::ACCEPT, "application/json");
    let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
    let answer = request.send().await.map_err(|error| unreachable(&error))?;
    if answer.status() == StatusCode::OK { page(answer).await } else { Err(Trouble::Status(answer.status())) }
}

async fn page(mut answer: Response) -> Result<Vec<u8>, Trouble> {
    let mut octets = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
        if octets.len() + chunk.len() > PAGE_OCTETS_MAX {
            return Err(Trouble::Long);
        }
        octets.extend_from_slice(&chunk);
    }
    Ok(octets)
}

/// The innermost cause, which says the most.
fn unreachable(error: &reqwest::Error) -> Trouble {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Trouble::Unreachable(cause.to_string())
}

// -------- what is ready

/// The names of what is ready, by family: what stands in both counts once.
#[derive(Default)]
struct Ready(BTreeMap<Box<str>, BTreeSet<Box<str>>>);

#[derive(Deserialize)]
struct List<T> {
    kind: Box<str>,
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(default = "Option::default")]
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slice {
    address_type: Box<str>,
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    addresses: Vec<Box<str>>,
    #[serde(default)]
    conditions: Option<Conditions>,
    #[serde(default)]
    target_ref: Option<TargetRef>,
}

#[derive(Default, Deserialize)]
struct Conditions {
    #[serde(default)]
    ready: Option<bool>,
    #[serde(default)]
    terminating: Option<bool>,
}

#[derive(Deserialize)]
struct TargetRef {
    #[serde(default)]
    uid: Option<Box<str>>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: PodMetadata,
    #[serde(default)]
    status: Option<PodStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata {
    name: Box<str>,
    #[serde(default)]
    deletion_timestamp: Option<Box<str>>,
}

#[derive(Deserialize)]
struct PodStatus {
    #[serde(default)]
    conditions: Option<Vec<PodCondition>>,
}

#[derive(Deserialize)]
struct PodCondition {
    r#type: Box<str>,
    status: Box<str>,
}

impl Ready {
    fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).max().unwrap_or(0)
    }

    /// With a page, which another thread takes in; and where the next one is.
    async fn with(mut self, workload: Workload, page: Vec<u8>) -> Result<(Self, Option<String>), Trouble> {
        let taken = tokio::task::spawn_blocking(move || {
            let next = self.take_in(&workload, &page)?;
            Ok((self, next))
        });
        taken.await.unwrap_or_else(|error| Err(Trouble::Garbled(error.to_string())))
    }

    /// Takes in a page; where the next one is.
    fn take_in(&mut self, workload: &Workload, page: &[u8]) -> Result<Option<String>, Trouble> {
        match workload {
            Workload::Service(_) => {
                let (slices, next) = list::<Slice>(page, "EndpointSliceList")?;
                for slice in slices {
                    let ready = slice.endpoints.into_iter().flatten().filter(Endpoint::is_ready).filter_map(Endpoint::name);
                    self.0.entry(slice.address_type).or_default().extend(ready);
                }
                Ok(next)
            }
            Workload::Pods(_) => {
                let (pods, next) = list::<Pod>(page, "PodList")?;
                let ready = pods.into_iter().filter(Pod::is_ready).map(|pod| pod.metadata.name);
                self.0.entry("".into()).or_default().extend(ready);
                Ok(next)
            }
        }
    }
}

fn list<'p, T: Deserialize<'p>>(page: &'p [u8], kind: &str) -> Result<(Vec<T>, Option<String>), Trouble> {
    let list: List<T> = serde_json::from_slice(page).map_err(|error| Trouble::Garbled(format!("it gives no {kind}: {error}")))?;
    if *list.kind != *kind {
        return Err(Trouble::Garbled(format!("it gives a {}, not a {kind}", list.kind.escape_debug())));
    }
    Ok((list.items.unwrap_or_default(), list.metadata.next.filter(|next| !next.is_empty())))
}

impl Endpoint {
    fn is_ready(&self) -> bool {
        let said = self.conditions.as_ref();
        let terminating = said.and_then(|conditions| conditions.terminating).unwrap_or(false);
        said.and_then(|conditions| conditions.ready).unwrap_or(!terminating)
    }

    /// What it is, in whatever slice it stands.
    fn name(self) -> Option<Box<str>> {
        self.target_ref.and_then(|target| target.uid).or_else(|| self.addresses.into_iter().next())
    }
}

impl Pod {
    fn is_ready(&self) -> bool {
        let conditions = self.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions.filter(|condition| &*condition.r#type == "Ready").any(|condition| &*condition.status == "True");
        ready && self.metadata.deletion_timestamp.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(workload: &Workload, text: &str) -> Option<usize> {
        let mut ready = Ready::default();
        ready.take_in(workload, text.as_bytes()).ok().map(|_| ready.count())
    }

    fn slices(endpoints: &[(&str, &str)]) -> Option<usize> {
        let slice = |(family, endpoint): &(&str, &str)| format!(r#"{{"addressType":"{family}","endpoints":[{endpoint}]}}"#);
        let items: Vec<String> = endpoints.iter().map(slice).collect();
        let text = format!(r#"{{"kind":"EndpointSliceList","metadata":{{}},"items":[{}]}}"#, items.join(","));
        counted(&Workload::Service("web".into()), &text)
    }

    /// The whole table.
    #[test]
    fn ready_is_what_the_api_calls_so() {
        for (conditions, expected) in [
            (r#""conditions":{"ready":true,"serving":true,"terminating":false}"#, 1),
            (r#""conditions":{"ready":true,"terminating":true}"#, 1),
            (r#""conditions":{"ready":false,"serving":true,"terminating":true}"#, 0),
            (r#""conditions":{"ready":false}"#, 0),
            (r#""conditions":{"ready":null}"#, 1),
            (r#""conditions":{}"#, 1),
            (r#""conditions":null"#, 1),
            (r#""hostname":"x""#, 1),
            (r#""conditions":{"serving":true,"terminating":true}"#, 0),
        ] {
            let endpoint = format!(r#"{{"addresses":["10.0.0.1"],{conditions}}}"#);
            assert_eq!(slices(&[("IPv4", &endpoint)]), Some(expected), "{conditions}");
        }
    }

    #[test]
    fn an_endpoint_counts_once() {
        let at =
            |address: &str, uid: &str| format!(r#"{{"addresses":["{address}"],"targetRef":{{"kind":"Pod","uid":"{uid}"}}}}"#);
        let bare = |address: &str| format!(r#"{{"addresses":["{address}"]}}"#);
        assert_eq!(slices(&[("IPv4", &at("10.0.0.1", "a")), ("IPv6", &at("fd00::1", "a"))]), Some(1), "of both families");
        assert_eq!(slices(&[("IPv4", &at("10.0.0.1", "a")), ("IPv4", &at("10.0.0.1", "a"))]), Some(1), "of two ports");
        assert_eq!(slices(&[("IPv4", &bare("10.0.0.1")), ("IPv6", &bare("fd00::1"))]), Some(1), "without a pod");
        assert_eq!(slices(&[("IPv4", &bare("10.0.0.1")), ("IPv4", &bare("10.0.0.2"))]), Some(2));
    }

    #[test]
    fn pods_are_ready_by_their_condition() {
        let pods = |pods: &str| counted(&Workload::Pods("app=web".into()), &format!(r#"{{"kind":"PodList","items":[{pods}]}}"#));
        let pod = |name: &str, more: &str, status: &str| {
            let conditions = format!(r#"[{{"type":"Initialized","status":"True"}},{{"type":"Ready","status":"{status}"}}]"#);
            format!(r#"{{"metadata":{{"name":"{name}"{more}}},"status":{{"conditions":{conditions}}}}}"#)
        };
        let deleting = r#","deletionTimestamp":"2026-01-01T00:00:00Z""#;
        let all = [pod("a", "", "True"), pod("b", "", "False"), pod("c", deleting, "True"), pod("d", "", "Unknown")].join(",");
        assert_eq!(pods(&all), Some(1));
        assert_eq!(pods(r#"{"metadata":{"name":"a"}}"#), Some(0), "just made");
        assert_eq!(pods(""), Some(0));
    }

    #[test]
    fn what_is_no_list_of_that_kind_says_nothing() {
        let service = Workload::Service("web".into());
        for text in ["", "{}", "[]", "<html>", r#"{"kind":"Status","status":"Failure"}"#, r#"{"kind":"PodList","items":[]}"#] {
            assert_eq!(counted(&service, text), None, "{text}");
        }
        assert_eq!(counted(&service, r#"{"kind":"EndpointSliceList","items":null}"#), Some(0));
    }

    #[tokio::test]
    async fn names_are_looked_up_few_at_a_time() {
        let names = Names::default();
        let all = Arc::clone(&names.0).acquire_many_owned(MAX_LOOKUPS as u32).await.unwrap();
        let found = names.resolve("127.0.0.1".parse().unwrap());
        tokio::pin!(found);
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut found).await.is_err(), "it waits for its turn");
        drop(all);
        assert_eq!(found.await.unwrap().next(), Some("127.0.0.1:0".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn reading_is_total(text in r#"\{("kind":"EndpointSliceList",)?"items":\[[\{\}\[\]":,a-z0-9]{0,40}\]\}"#) {
            let _ = counted(&Workload::Service("web".into()), &text);
        }
    }
}
