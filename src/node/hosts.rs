//! Looks up the names of pools' members, on a timer, and has what they lead to loaded when that has changed.
//!
//! What a name leads to is part of what pools are: members' checks, their standings, the plans of the programs that use them.
//! All of that comes and goes with a load, which keeps what is known of targets that stay, probes new ones while the old set
//! serves, and lets go of those that are gone. So another set of addresses is another load ([`Outside::Hosts`] of a reload),
//! of what is served already and not of files, and the engine has no second way of getting targets. A load costs as much as
//! the zones that use pools are large; so one is asked for only where a set has changed, changes within a second are one
//! load, and a name that flaps is followed three times a minute ([`Hosts`]).
//!
//! Whom is asked: the servers of `resolve()`, `[lua] resolver` or those of /etc/resolv.conf. Names are absolute, so that no
//! search list decides where clients are sent. A name is asked for when its TTL has passed, within bounds.
//!
//! The last good set outlives every failure, and the process: it is in the ledger. A start waits for the first look-ups, up
//! to `startup_wait`, so that what was kept is served only where nothing is heard.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::clock;
use super::drive::Message;
use super::resolver::{client, is_negative};
use super::scribe::Note;
use crate::control::{Event, HostNews};
use crate::geo::Fence;
use crate::health::Moment;
use crate::target::{Hosts, Learned, Lookup, Unresolved};

/// No name is asked for more often, whatever its TTL; and so soon again where a look-up failed.
const TTL_MIN: Duration = Duration::from_secs(5);
/// Nor less often.
const TTL_MAX: Duration = Duration::from_secs(300);
/// The same, where nothing says: what is not there may come.
const TTL_NEGATIVE: Duration = Duration::from_secs(30);
/// Most look-ups under way.
const ASKING_MAX: usize = 32;
/// How often is looked what is due.
const TICK: Duration = Duration::from_millis(250);
/// From one load to the next at least.
const LOAD_PAUSE: Duration = Duration::from_secs(1);
/// From one that was not adopted to the next.
const LOAD_RETRY: Duration = Duration::from_secs(30);
/// A trouble that comes and goes is told so often at most.
const QUIET: Duration = Duration::from_secs(60);
/// Orders that wait to be taken in.
const ORDERS_MAX: usize = 16;

/// Has what names lead to loaded; the reply says whether it was.
pub(super) type Change = oneshot::Sender<bool>;

/// The way to the task that looks up.
#[derive(Clone, Debug)]
pub(super) struct Names {
    orders: mpsc::Sender<Order>,
    known: Arc<Hosts>,
}

#[derive(Debug)]
enum Order {
    /// Look up these from now on, and no others; the sender goes when each has been asked for once.
    Follow(BTreeSet<Box<str>>, std::sync::mpsc::Sender<()>),
    /// Ask this server from now on; `None`: those of the system.
    Use(Option<SocketAddr>),
}

/// Where the task tells what it learns.
pub(super) struct Outlets {
    pub(super) engine: Sender<Message>,
    pub(super) ledger: Sender<Note>,
    pub(super) change: mpsc::UnboundedSender<Change>,
}

impl Names {
    /// Starts the task, which knows what is in `known` from another process.
    pub(super) fn start(
        runtime: &tokio::runtime::Handle,
        server: Option<SocketAddr>,
        fence: Fence,
        known: Arc<Hosts>,
        outlets: Outlets,
    ) -> Self {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let hosts = Arc::clone(&known);
        runtime.spawn(async move {
            let desk = Desk {
                client: client(server),
                fence,
                known: hosts,
                outlets,
                followed: BTreeMap::new(),
                asking: JoinSet::new(),
                waiting: Vec::new(),
                load: Load::Idle { changed: false, until: clock::now() + LOAD_PAUSE },
            };
            desk.run(inbox).await;
        });
        Self { orders, known }
    }

    /// What is known.
    pub(super) const fn known(&self) -> &Arc<Hosts> {
        &self.known
    }

    /// Looks up these from now on, and waits for `patience` until each has been asked for once.
    pub(super) fn learn<'n>(&self, names: impl Iterator<Item = &'n str>, patience: Duration) {
        let (done, wait) = std::sync::mpsc::channel();
        let names: BTreeSet<Box<str>> = names.map(Into::into).collect();
        if self.orders.blocking_send(Order::Follow(names, done)).is_ok() {
            _ = wait.recv_timeout(patience); // nothing is ever sent
        }
    }

    /// Looks up these from now on.
    pub(super) fn follow<'n>(&self, names: impl Iterator<Item = &'n str>) {
        self.learn(names, Duration::ZERO);
    }

    /// Asks `server` from now on.
    pub(super) fn use_server(&self, server: Option<SocketAddr>) {
        drop(self.orders.blocking_send(Order::Use(server)));
    }
}

/// A name that is followed.
#[derive(Debug)]
struct Followed {
    /// When it is asked for next; `None`: it is being asked for.
    due: Option<Moment>,
    /// Whether it has been.
    asked: bool,
    /// What was told of it to be wrong, and when something last was.
    told: Option<Arc<str>>,
    told_at: Option<Moment>,
}

/// What becomes of changes.
#[derive(Debug)]
enum Load {
    /// Nothing is being loaded, nor will be before then.
    Idle { changed: bool, until: Moment },
    /// A change is being loaded, and another waits or not.
    Loading { changed: bool, done: oneshot::Receiver<bool> },
}

/// A look-up that has ended, and how long what it gave holds.
type Found = (Box<str>, Lookup, Duration);

struct Desk {
    client: Option<TokioResolver>,
    fence: Fence,
    known: Arc<Hosts>,
    outlets: Outlets,
    followed: BTreeMap<Box<str>, Followed>,
    asking: JoinSet<Found>,
    /// Who waits until every name has been asked for.
    waiting: Vec<std::sync::mpsc::Sender<()>>,
    load: Load,
}

impl Desk {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Follow(names, done)) => self.follow(names, done),
                    Some(Order::Use(server)) => self.client = client(server),
                    None => return,
                },
                Some(Ok(found)) = self.asking.join_next() => self.take_in(found, clock::now()),
                _ = tick.tick() => {
                    self.ask_due(clock::now());
                    self.have_loaded(clock::now());
                }
            }
        }
    }

    fn follow(&mut self, names: BTreeSet<Box<str>>, done: std::sync::mpsc::Sender<()>) {
        self.followed.retain(|name, _| names.contains(name));
        let now = clock::now();
        let new = || Followed { due: Some(now), asked: false, told: None, told_at: None };
        for name in names {
            self.followed.entry(name).or_insert_with(new);
        }
        for gone in self.known.keep(|name| self.followed.contains_key(name)) {
            drop(self.outlets.ledger.send(Note::Host(gone, None)));
        }
        self.waiting.push(done);
        self.ask_due(now);
        self.tell_waiting();
    }

    fn tell_waiting(&mut self) {
        if self.followed.values().all(|followed| followed.asked) {
            self.waiting.clear();
        }
    }

    fn ask_due(&mut self, now: Moment) {
        for (name, followed) in &mut self.followed {
            if self.asking.len() < ASKING_MAX && followed.due.is_some_and(|due| due <= now) {
                followed.due = None;
                self.asking.spawn(look_up(self.client.clone(), name.clone()));
            }
        }
    }

    fn take_in(&mut self, (name, lookup, holds): Found, now: Moment) {
        let Some(followed) = self.followed.get_mut(&name) else { return };
        (followed.due, followed.asked) = (Some(now + holds.clamp(TTL_MIN, TTL_MAX)), true);
        let forbidden = |address: IpAddr| self.fence.forbids(address).map(|why| why.to_string());
        let learned = self.known.learn(&name, lookup, forbidden, now.since_origin());
        let host = self.known.get(&name);
        for news in followed.news(learned.clone(), host.trouble, host.addresses.len(), now) {
            drop(self.outlets.engine.send(Message::Event(Event::Host { host: name.clone(), news })));
        }
        if !learned.is_empty() {
            drop(self.outlets.ledger.send(Note::Host(name, Some(host.addresses))));
            self.changed(); // whoever waited for it has loaded it by then, and a load of nothing new changes nothing
        }
        self.tell_waiting();
    }

    const fn changed(&mut self) {
        match &mut self.load {
            Load::Idle { changed, .. } | Load::Loading { changed, .. } => *changed = true,
        }
    }

    /// Has changes loaded, one load at a time.
    fn have_loaded(&mut self, now: Moment) {
        match &mut self.load {
            Load::Idle { changed: true, until } if now >= *until => {
                let (change, done) = oneshot::channel();
                drop(self.outlets.change.send(change));
                self.load = Load::Loading { changed: false, done };
            }
            Load::Idle { .. } => {}
            Load::Loading { changed, done } => {
                let loaded = match done.try_recv() {
                    Err(oneshot::error::TryRecvError::Empty) => return,
                    Ok(loaded) => loaded,
                    Err(oneshot::error::TryRecvError::Closed) => false,
                };
                let pause = if loaded { LOAD_PAUSE } else { LOAD_RETRY };
                self.load = Load::Idle { changed: *changed || !loaded, until: now + pause };
            }
        }
    }
}

impl Followed {
    /// What is to be told of a look-up that changed this, and in which this was wrong.
    fn news(&mut self, learned: Learned, trouble: Option<Arc<str>>, kept: usize, now: Moment) -> Vec<HostNews> {
        let mut news = Vec::new();
        if !learned.is_empty() {
            news.push(HostNews::Changed { came: learned.came, went: learned.went });
        }
        match trouble {
            None if self.told.take().is_some() => news.push(HostNews::Mended),
            None => {}
            Some(what) if self.told.as_ref() == Some(&what) => {}
            // One trouble after another is told at once; one that came and went, not again and again.
            Some(_) if self.told.is_none() && self.told_at.is_some_and(|at| now.since(at) < QUIET) => {}
            Some(what) => {
                (self.told, self.told_at) = (Some(Arc::clone(&what)), Some(now));
                news.push(HostNews::Troubled { what, kept });
            }
        }
        news
    }
}

/// Both families of a name.
async fn look_up(client: Option<TokioResolver>, host: Box<str>) -> Found {
    let silent = || Lookup { v4: Err(Unresolved::Silent), v6: Err(Unresolved::Silent) };
    let (Some(client), Ok(name)) = (client, Name::from_ascii(&host)) else { return (host, silent(), TTL_MIN) };
    let (v4, v6) =
        tokio::join!(of_family(&client, name.clone(), RecordType::A), of_family(&client, name.clone(), RecordType::AAAA));
    let holds = [v4.as_ref(), v6.as_ref()].map(|family| family.map_or(TTL_MIN, |(_, holds)| *holds));
    let lookup = Lookup { v4: v4.map(|(addresses, _)| addresses), v6: v6.map(|(addresses, _)| addresses) };
    (host, lookup, holds[0].min(holds[1]))
}

/// The addresses of a name, and how long they hold.
async fn of_family(client: &TokioResolver, name: Name, rtype: RecordType) -> Result<(Vec<IpAddr>, Duration), Unresolved> {
    match client.lookup(name, rtype).await {
        Ok(found) => {
            let seconds = found.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
            let address = |data: &RData| data.ip_addr();
            let addresses = found.answers().iter().filter_map(|record| address(&record.data)).collect();
            Ok((addresses, Duration::from_secs(seconds.into())))
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) if is_negative(none.response_code) => {
            use hickory_proto::op::ResponseCode::NoError;
            let holds = none.negative_ttl.map_or(TTL_NEGATIVE, |seconds| Duration::from_secs(seconds.into())).min(TTL_NEGATIVE);
            if none.response_code == NoError { Ok((Vec::new(), holds)) } else { Err(Unresolved::NoSuchName) }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => Err(Unresolved::Answered(mnemonic(none.response_code).into())),
        Err(NetError::Dns(DnsError::ResponseCode(code))) => Err(Unresolved::Answered(mnemonic(code).into())),
        Err(error) => {
            tracing::debug!(%error, "a name is not looked up");
            Err(Unresolved::Silent)
        }
    }
}

/// A response code as operators know it.
fn mnemonic(code: hickory_proto::op::ResponseCode) -> String {
    format!("{code:?}").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_is_told_once_a_minute() {
        let mut followed = Followed { due: None, asked: false, told: None, told_at: None };
        let mut told = |trouble: Option<&str>, seconds| {
            let at = Moment::at(Duration::from_secs(seconds));
            followed.news(Learned::default(), trouble.map(Into::into), 1, at).len()
        };
        for (trouble, seconds, expected) in [
            (None, 0, 0),
            (Some("x"), 1, 1),
            (Some("x"), 2, 0),
            (Some("y"), 3, 1),
            (None, 4, 1),
            (Some("x"), 5, 0),
            (None, 6, 0),
            (Some("x"), 62, 0),
            (Some("x"), 63, 1),
            (None, 64, 1),
        ] {
            assert_eq!(told(trouble, seconds), expected, "{trouble:?} at {seconds}");
        }
    }
}
