//! Tells those of `[notify]` what happens: one task each, which reads the history from where it was and holds up nobody. A
//! reload that changes one has its successor go on where it was; a new one is told what happens from then on.
//!
//! | an attempt ends as | then |
//! | --- | --- |
//! | delivered | the next |
//! | not yet | again, after [`FIRST`], twice that, and so on up to [`LONGEST`]; dropped after [`STALE`] |
//! | never | dropped, and the next |
//!
//! Whatever waits beyond the backlog is dropped, the oldest first, also while an attempt is to be repeated; drops are counted.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::api::{EVENTS_KEPT, EventForm, History, Notified};
use crate::notify::{Carrier, Config, News, Undelivered};

/// The pause before the second attempt.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// News that could not be told for so long is none any more.
const STALE: Duration = Duration::from_secs(3600);

/// All of `[notify]`, as the configuration in service has it.
#[derive(Clone)]
pub(super) struct Heralds {
    runtime: Handle,
    node: Arc<str>,
    history: Arc<History>,
    running: Arc<Mutex<BTreeMap<Box<str>, Running>>>,
}

struct Running {
    config: Config,
    counts: Arc<Counts>,
    task: AbortHandle,
}

impl Heralds {
    pub(super) fn new(runtime: Handle, node: &str, history: Arc<History>) -> Self {
        Self { runtime, node: node.into(), history, running: Arc::default() }
    }

    /// Tells those of a configuration, and no others; those that are new, what happens from now on. One that cannot be told is
    /// said in the log.
    pub(super) fn follow(&self, configs: &[Config]) {
        self.follow_after(configs, self.history.newest());
    }

    /// The same; those that are new are told what comes after the event `after`.
    pub(super) fn follow_after(&self, configs: &[Config], after: u64) {
        let mut running = self.lock();
        let mut before = std::mem::take(&mut *running);
        for config in configs {
            let known = before.remove(&config.name);
            let next = match known {
                Some(known) if known.config == *config => Some(known),
                Some(known) => {
                    known.task.abort();
                    self.start(config, known.counts)
                }
                None => self.start(config, Arc::new(Counts { told: AtomicU64::new(after), ..Counts::default() })),
            };
            running.extend(next.map(|next| (config.name.clone(), next)));
        }
        before.values().for_each(|gone| gone.task.abort());
    }

    fn start(&self, config: &Config, counts: Arc<Counts>) -> Option<Running> {
        let carrier = Carrier::new(config);
        let carrier = carrier.map_err(|error| tracing::error!("[notify.{}] cannot be used: {error}", config.name)).ok()?;
        let (node, history) = (Arc::clone(&self.node), Arc::clone(&self.history));
        let herald = Herald { config: config.clone(), carrier, node, history, counts: Arc::clone(&counts) };
        let task = self.runtime.spawn(herald.run()).abort_handle();
        Some(Running { config: config.clone(), counts, task })
    }

    /// How that goes.
    pub(super) fn read(&self) -> Vec<Notified> {
        self.lock().iter().map(|(name, running)| running.counts.read(name)).collect()
    }

    /// A panic meanwhile would leave a map that is still a map.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of what one place was to be told.
#[derive(Debug, Default)]
struct Counts {
    /// The number of the last event that was told, or passed over.
    told: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    fn read(&self, name: &str) -> Notified {
        let [delivered, failed, dropped] =
            [&self.delivered, &self.failed, &self.dropped].map(|count| count.load(Ordering::Acquire));
        Notified { name: name.to_owned(), delivered, failed, dropped }
    }
}

/// One who takes news somewhere.
trait Carry: Send + Sync {
    fn carry(&self, news: &News) -> impl Future<Output = Result<(), Undelivered>> + Send;
}

impl Carry for Carrier {
    fn carry(&self, news: &News) -> impl Future<Output = Result<(), Undelivered>> + Send {
        Self::carry(self, news)
    }
}

/// Who is told, of what, and how that goes.
struct Herald<C> {
    config: Config,
    carrier: C,
    node: Arc<str>,
    history: Arc<History>,
    counts: Arc<Counts>,
}

impl<C: Carry> Herald<C> {
    /// Tells what comes after what was told, until nothing more will.
    async fn run(self) {
        let mut after = self.counts.told.load(Ordering::Relaxed);
        let mut follower = self.history.watch();
        let (mut pause, mut trying) = (FIRST, None::<(u64, Instant)>);
        let mut crowded = false;
        loop {
            let next = self.next(&mut after, &mut crowded);
            self.counts.told.store(after, Ordering::Relaxed);
            let Some(event) = next else {
                if follower.wait_after(after).await {
                    continue;
                }
                return;
            };
            let since = match trying {
                Some((number, since)) if number == event.number => since,
                _ => {
                    pause = FIRST;
                    Instant::now()
                }
            };
            trying = Some((event.number, since));
            let name = &self.config.name;
            match self.carrier.carry(&self.news(&event)).await {
                Ok(()) => {
                    // In this order: whoever sees it counted finds that a successor goes on after it.
                    self.counts.told.store(event.number, Ordering::Relaxed);
                    self.counts.delivered.fetch_add(1, Ordering::Release);
                    (after, crowded) = (event.number, false);
                }
                Err(Undelivered::Yet(why)) if since.elapsed() < STALE => {
                    if pause == FIRST {
                        tracing::warn!("[notify.{name}] event {} cannot be told: {why}; it is tried again", event.number);
                    }
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(LONGEST);
                }
                Err(why) => {
                    tracing::warn!("[notify.{name}] event {} is dropped: {why}", event.number);
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                    self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                    after = event.number;
                }
            }
        }
    }

    /// The oldest event that is to be told; those that do not fit into the backlog are passed over, which is logged once until
    /// something is told again.
    fn next(&self, after: &mut u64, crowded: &mut bool) -> Option<Arc<EventForm>> {
        let page = self.history.after(*after, EVENTS_KEPT);
        let kinds = &self.config.kinds;
        let is_wanted = |event: &&Arc<EventForm>| kinds.is_empty() || kinds.iter().any(|kind| **kind == event.kind);
        let wanted: Vec<&Arc<EventForm>> = page.events.iter().filter(is_wanted).collect();
        let surplus = wanted.len().saturating_sub(self.config.backlog.max(1));
        let dropped = page.missed + surplus as u64;
        if dropped > 0 {
            let Config { name, backlog, .. } = &self.config;
            if !std::mem::replace(crowded, true) {
                tracing::warn!("[notify.{name}] events are dropped: more than {backlog} wait");
            }
            self.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        let next = wanted.get(surplus).map(|event| Arc::clone(event));
        *after = next.as_ref().map_or_else(|| page.end(*after), |event| event.number - 1);
        next
    }

    fn news(&self, event: &EventForm) -> News {
        let mut json = serde_json::to_value(event).unwrap_or_default();
        json["node"] = (*self.node).into();
        let EventForm { number, at, kind, text, .. } = event.clone();
        News { number, at, kind, text, node: self.node.to_string(), json: json.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::notify::{Template, To};

    type Ways = Vec<Result<(), Undelivered>>;

    /// Ends attempts as it is told to, the last way for ever; and remembers them.
    #[derive(Clone, Default)]
    struct Fake {
        ways: Arc<Mutex<Ways>>,
        told: Arc<Mutex<Vec<u64>>>,
    }

    impl Carry for Fake {
        async fn carry(&self, news: &News) -> Result<(), Undelivered> {
            self.told.lock().expect("not poisoned").push(news.number);
            let mut ways = self.ways.lock().expect("not poisoned");
            if ways.len() > 1 { ways.remove(0) } else { ways.first().cloned().unwrap_or(Ok(())) }
        }
    }

    impl Fake {
        fn ending(ways: impl Into<Ways>) -> Self {
            Self { ways: Arc::new(Mutex::new(ways.into())), told: Arc::default() }
        }

        fn told(&self) -> Vec<u64> {
            self.told.lock().expect("not poisoned").clone()
        }
    }

    fn event(number: u64) -> EventForm {
        let kind = if number.is_multiple_of(10) { "serving" } else { "transition" };
        EventForm { number, kind: kind.into(), ..EventForm::default() }
    }

    fn herald(carrier: &Fake, history: &Arc<History>, backlog: usize) -> (Herald<Fake>, Arc<Counts>) {
        let (to, template, counts) = (To::Command([].into()), Template::Json, Arc::<Counts>::default());
        let (kinds, timeout) = (vec!["transition".into()], Duration::from_secs(1));
        let config = Config { name: "x".into(), to, template, kinds, timeout, backlog };
        let (carrier, history, node) = (carrier.clone(), Arc::clone(history), "eu-1".into());
        (Herald { config, carrier, node, history, counts: Arc::clone(&counts) }, counts)
    }

    fn not_yet() -> Result<(), Undelivered> {
        Err(Undelivered::Yet("nobody there".into()))
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_told_once_and_again_until_it_arrives() {
        let history = Arc::new(History::new([1, 2, 10, 11].map(event)));
        let fake = Fake::ending([Ok(()), not_yet(), not_yet(), Err(Undelivered::Ever("no".into())), Ok(())]);
        let (herald, counts) = herald(&fake, &history, 100);
        let start = Instant::now();
        let runs = tokio::spawn(herald.run());
        tokio::time::sleep(Duration::from_secs(10)).await;
        history.push(event(12));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(fake.told(), [1, 2, 2, 2, 11, 12], "of its kinds, in order");
        assert_eq!(counts.read("x"), Notified { name: "x".into(), delivered: 3, failed: 3, dropped: 1 });
        history.close();
        runs.await.expect("it ends");
        assert!(start.elapsed() < Duration::from_secs(12));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_too_long_or_is_too_much_is_dropped() {
        let history = Arc::new(History::new((1..10).map(event)));
        let fake = Fake::ending([not_yet()]);
        let (herald, counts) = herald(&fake, &history, 3);
        let runs = tokio::spawn(herald.run());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!((fake.told().first(), counts.read("x").dropped), (Some(&7), 6), "three wait");
        history.push(event(11));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!((fake.told().last(), counts.read("x").dropped), (Some(&8), 7));
        let attempts = fake.told().len();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!((9..=12).contains(&(fake.told().len() - attempts)), "once a minute at last");
        tokio::time::sleep(STALE).await;
        assert_eq!((fake.told().last(), counts.read("x").dropped), (Some(&9), 8), "its hour is over");
        runs.abort();
    }

    /// What a command that writes to this file was told: the numbers.
    async fn written(file: &std::path::Path, expected: &[u64]) {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let objects = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
            let numbers: Vec<u64> = objects.map_while(Result::ok).filter_map(|event| event["number"].as_u64()).collect();
            if numbers == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_reload_changes_who_is_told() {
        let folder = tempfile::tempdir().expect("tempdir");
        let file = |name: &str| folder.path().join(name);
        let config = |name: &str, to: &str| {
            let script = format!("cat >> '{}'", file(to).display());
            let to = To::Command(["/bin/sh", "-c", &script].map(Into::into).into());
            let timeout = Duration::from_secs(20);
            Config { name: name.into(), to, template: Template::Json, kinds: Vec::new(), timeout, backlog: 10 }
        };
        let history = Arc::new(History::new([event(1), event(2)]));
        let heralds = Heralds::new(Handle::current(), "eu-1", Arc::clone(&history));
        heralds.follow_after(&[config("stays", "stays"), config("moves", "before"), config("goes", "goes")], 1);
        for name in ["stays", "before", "goes"] {
            written(&file(name), &[2]).await;
        }
        let counted = || heralds.read().iter().all(|counts| counts.delivered == 1);
        while !counted() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        heralds.follow(&[config("stays", "stays"), config("moves", "after"), config("comes", "comes")]);
        history.push(event(3));
        written(&file("stays"), &[2, 3]).await;
        written(&file("after"), &[3]).await;
        written(&file("comes"), &[3]).await;
        written(&file("goes"), &[2]).await;
        let names: Vec<String> = heralds.read().into_iter().map(|counts| counts.name).collect();
        assert_eq!(names, ["comes", "moves", "stays"]);
    }
}
