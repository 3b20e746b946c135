//! The last events, of this process and of those before it, for whoever reads on from where they were.
//!
//! Whoever has events to hand on (the ledger, streams, webhooks) remembers the number of the last one and takes what came
//! after it. So there is one bounded list and no queue: a reader that falls behind further than the list reaches misses the
//! oldest, is told how many, and holds up nobody.
//!
//! Numbers only rise, over restarts too. A process that was killed may have told of events that it had not written down yet, so
//! the next one leaves a gap rather than give their numbers again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::forms::EventForm;

/// Events that are kept, in memory and on disk; older ones are in the log only. They take a few megabytes.
pub const EVENTS_KEPT: usize = 10_000;

/// What the newest number is said to be when no more will come.
const CLOSED: u64 = u64::MAX;

/// The last events, oldest first.
#[derive(Debug)]
pub struct History {
    kept: Mutex<VecDeque<Arc<EventForm>>>,
    newest: watch::Sender<u64>,
}

/// Events from a [`History`].
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Oldest first.
    pub events: Vec<Arc<EventForm>>,
    /// Those before them that were asked for and are not kept any more.
    pub missed: u64,
}

impl Page {
    /// The number to go on from; `after` where there is nothing.
    #[must_use]
    pub fn end(&self, after: u64) -> u64 {
        self.events.last().map_or(after, |last| last.number)
    }
}

impl History {
    /// With the events of earlier processes, oldest first.
    #[must_use]
    pub fn new(earlier: impl IntoIterator<Item = EventForm>) -> Self {
        let kept: VecDeque<Arc<EventForm>> = earlier.into_iter().map(Arc::new).collect();
        let newest = kept.back().map_or(0, |last| last.number);
        Self { kept: Mutex::new(kept), newest: watch::Sender::new(newest) }
    }

    /// Something happened; its number is higher than any before.
    pub fn push(&self, event: EventForm) {
        let number = event.number;
        let mut kept = self.lock();
        if kept.len() == EVENTS_KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::new(event));
        drop(kept);
        self.newest.send_if_modified(|newest| {
            let opened = *newest != CLOSED;
            if opened {
                *newest = number;
            }
            opened
        });
    }

    /// The events after that number, at most `limit`.
    #[must_use]
    pub fn after(&self, number: u64, limit: usize) -> Page {
        let kept = self.lock();
        let start = kept.partition_point(|event| event.number <= number);
        // With nothing before it that was asked for, the list is whole from there on, gaps between processes aside.
        let missed = match kept.front() {
            Some(oldest) if start == 0 && kept.len() == EVENTS_KEPT => (oldest.number - 1).saturating_sub(number),
            Some(_) | None => 0,
        };
        Page { events: kept.iter().skip(start).take(limit).cloned().collect(), missed }
    }

    /// The last events that are not older than that, at most `limit`.
    #[must_use]
    pub fn last(&self, not_before: SystemTime, limit: usize) -> Vec<Arc<EventForm>> {
        let from = not_before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let from = humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + from).to_string();
        let kept = self.lock();
        // A clock that was put back leaves times out of order: all from the first one that is late enough.
        let start = kept.iter().position(|event| event.at >= from).unwrap_or(kept.len());
        kept.iter().skip(start.max(kept.len().saturating_sub(limit))).cloned().collect()
    }

    /// The highest number so far, and each that follows; it ends with [`History::close`].
    pub fn watch(&self) -> Follower {
        Follower(self.newest.subscribe())
    }

    /// The highest number so far.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.lock().back().map_or(0, |last| last.number)
    }

    /// Whoever follows is told that nothing more comes.
    pub fn close(&self) {
        self.newest.send_replace(CLOSED);
    }

    /// Held to move pointers only; a panic meanwhile would leave a list that is still a list.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<EventForm>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new([])
    }
}

/// Waits for what comes next.
#[derive(Debug)]
pub struct Follower(watch::Receiver<u64>);

impl Follower {
    /// Returns when there is an event after that number; false: none will come.
    pub async fn wait_after(&mut self, number: u64) -> bool {
        self.0.wait_for(|&newest| newest > number).await.is_ok_and(|newest| *newest != CLOSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> EventForm {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(number);
        EventForm { number, at: humantime::format_rfc3339_millis(at).to_string(), ..EventForm::default() }
    }

    fn numbers(events: &[Arc<EventForm>]) -> Vec<u64> {
        events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn readers_go_on_from_where_they_were() {
        let history = History::new([3, 4, 1004].map(event));
        assert_eq!(history.newest(), 1004);
        history.push(event(1005));
        let page = history.after(3, 2);
        assert_eq!((numbers(&page.events), page.missed, page.end(3)), (vec![4, 1004], 0, 1004));
        assert_eq!(numbers(&history.after(500, 9).events), [1004, 1005], "a number that was never given");
        assert_eq!((history.after(1005, 9).events.len(), history.after(1005, 9).end(1005)), (0, 1005));
        let since = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(numbers(&history.last(since(4), 9)), [4, 1004, 1005]);
        assert_eq!(numbers(&history.last(since(0), 2)), [1004, 1005]);
        assert!(history.last(since(9999), 9).is_empty());
    }

    #[test]
    fn those_who_are_too_late_are_told() {
        let history = History::default();
        (1..=EVENTS_KEPT as u64 + 7).for_each(|number| history.push(event(number)));
        let page = history.after(2, 1);
        assert_eq!((numbers(&page.events), page.missed), (vec![8], 5));
        assert_eq!(history.after(7, 1).missed, 0);
    }

    #[tokio::test]
    async fn followers_are_woken_and_sent_home() {
        let history = Arc::new(History::default());
        let mut follower = history.watch();
        let pushes = Arc::clone(&history);
        let waits = tokio::spawn(async move { (follower.wait_after(0).await, follower.wait_after(1).await) });
        tokio::task::yield_now().await;
        pushes.push(event(1));
        tokio::task::yield_now().await;
        pushes.close();
        pushes.push(event(2));
        assert_eq!(waits.await.expect("no panic"), (true, false));
    }
}
