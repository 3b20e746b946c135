//! Tells those of `[notify]` what happens: one task each, which reads the history from where it was and holds up nobody.
//!
//! | an attempt ends as | then |
//! | --- | --- |
//! | delivered | the next |
//! | not yet | again, after [`FIRST`], twice that, and so on up to [`LONGEST`]; dropped after [`STALE`] |
//! | never | dropped, and the next |
//!
//! Whatever waits beyond the backlog is dropped, the oldest first, also while an attempt is to be repeated; drops are counted.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{EVENTS_KEPT, EventForm, History, Notified};
use crate::notify::{Carrier, Config, News, Undelivered};

/// The pause before the second attempt.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// News that could not be told for so long is none any more.
const STALE: Duration = Duration::from_secs(3600);

/// What became of what one place was to be told.
#[derive(Debug, Default)]
pub(super) struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    pub(super) fn read(&self, name: &str) -> Notified {
        let [delivered, failed, dropped] =
            [&self.delivered, &self.failed, &self.dropped].map(|count| count.load(Ordering::Relaxed));
        Notified { name: name.to_owned(), delivered, failed, dropped }
    }
}

/// One who takes news somewhere.
pub(super) trait Carry: Send + Sync {
    fn carry(&self, news: &News) -> impl Future<Output = Result<(), Undelivered>> + Send;
}

impl Carry for Carrier {
    fn carry(&self, news: &News) -> impl Future<Output = Result<(), Undelivered>> + Send {
        Self::carry(self, news)
    }
}

/// Who is told, of what, and how that goes.
pub(super) struct Herald<C> {
    pub(super) config: Config,
    pub(super) carrier: C,
    pub(super) node: Arc<str>,
    pub(super) history: Arc<History>,
    pub(super) counts: Arc<Counts>,
}

impl<C: Carry> Herald<C> {
    /// Tells what comes after that number, until nothing more will.
    pub(super) async fn run(self, mut after: u64) {
        let mut follower = self.history.watch();
        let (mut pause, mut trying) = (FIRST, None::<(u64, Instant)>);
        let mut crowded = false;
        loop {
            let Some(event) = self.next(&mut after, &mut crowded) else {
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
                    self.counts.delivered.fetch_add(1, Ordering::Relaxed);
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
        let runs = tokio::spawn(herald.run(0));
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
        let runs = tokio::spawn(herald.run(0));
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
}
