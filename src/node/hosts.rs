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
//! search list decides where clients are sent. A name is asked for when its TTL has passed, within bounds. /etc/resolv.conf is
//! read again where it could not be, and where nobody of those in it answers.
//!
//! The last good set outlives every failure, and the process: it is in the ledger. A start waits for the first look-ups, up
//! to `startup_wait`, so that what was kept is served only where nothing is heard.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use futures_util::FutureExt;
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::clock;
use super::drive::Message;
use super::resolver::{build, client, is_negative};
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
/// Whatever a look-up waits for, it ends by then.
const ASKING_TIME_MAX: Duration = Duration::from_secs(60);
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
                asked: Asked::new(server),
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

/// Who is asked.
struct Asked {
    server: Option<SocketAddr>,
    client: Option<TokioResolver>,
    /// Whether it is to be made anew, and when that was last tried.
    stale: bool,
    tried: Option<Moment>,
    /// Look-ups that nobody answered, since one was.
    silent: usize,
}

struct Desk {
    asked: Asked,
    fence: Fence,
    known: Arc<Hosts>,
    outlets: Outlets,
    followed: BTreeMap<Box<str>, Followed>,
    asking: JoinSet<Found>,
    /// Who waits until every name has been asked for.
    waiting: Vec<std::sync::mpsc::Sender<()>>,
    load: Load,
}

impl Asked {
    fn new(server: Option<SocketAddr>) -> Self {
        let client = client(server);
        Self { server, stale: client.is_none(), client, tried: None, silent: 0 }
    }

    /// Asks `server` from now on; who was asked before, as long as that cannot be.
    fn turn_to(&mut self, server: Option<SocketAddr>) {
        let new = Self::new(server);
        *self = Self { client: new.client.or_else(|| self.client.take()), ..new };
    }

    /// Who is to be asked now, made anew where it is time for that.
    fn client(&mut self, now: Moment) -> Option<TokioResolver> {
        if self.stale && self.tried.is_none_or(|tried| now.since(tried) >= TTL_MIN) {
            self.tried = Some(now);
            match build(self.server) {
                Ok(new) => (self.client, self.stale) = (Some(new), false),
                Err(error) => tracing::debug!(%error, "still no resolver"),
            }
        }
        self.client.clone()
    }

    /// Takes note of a look-up; a round of `names` without a word may mean that others are to be asked.
    fn heard(&mut self, lookup: &Lookup, names: usize) {
        let is_silent = [&lookup.v4, &lookup.v6].into_iter().all(|family| matches!(family, Err(Unresolved::Silent)));
        self.silent = if is_silent { self.silent + 1 } else { 0 };
        if self.silent >= names.min(ASKING_MAX) && is_silent {
            (self.stale, self.silent) = (true, 0);
        }
    }
}

impl Desk {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Follow(names, done)) => self.follow(names, done),
                    Some(Order::Use(server)) => self.asked.turn_to(server),
                    None => return,
                },
                Some(Ok(found)) = self.asking.join_next() => {
                    self.take_in(found, clock::now());
                    self.ask_due(clock::now());
                }
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

    /// Asks for what is due, the longest first.
    fn ask_due(&mut self, now: Moment) {
        while self.asking.len() < ASKING_MAX {
            let due = self.followed.iter_mut().filter(|(_, followed)| followed.due.is_some_and(|due| due <= now));
            let Some((name, followed)) = due.min_by_key(|(_, followed)| followed.due) else { return };
            followed.due = None;
            let name = name.clone();
            self.asking.spawn(ended(name.clone(), look_up(self.asked.client(now), name)));
        }
    }

    fn take_in(&mut self, (name, lookup, holds): Found, now: Moment) {
        self.asked.heard(&lookup, self.followed.len());
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

/// What a look-up of `host` gave; nobody has answered one that ends in a panic, or not at all.
async fn ended(host: Box<str>, look_up: impl Future<Output = Found>) -> Found {
    let caught = std::panic::AssertUnwindSafe(look_up).catch_unwind();
    match tokio::time::timeout(ASKING_TIME_MAX, caught).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => silence(host),
    }
}

fn silence(host: Box<str>) -> Found {
    (host, Lookup { v4: Err(Unresolved::Silent), v6: Err(Unresolved::Silent) }, TTL_MIN)
}

/// Both families of a name.
async fn look_up(client: Option<TokioResolver>, host: Box<str>) -> Found {
    let (Some(client), Ok(name)) = (client, Name::from_ascii(&host)) else { return silence(host) };
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

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    /// Nobody there is asked: whether one is made is all that counts.
    const SERVER: Option<SocketAddr> = Some(SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9));

    #[test]
    fn who_is_asked_is_made_anew_where_there_is_nobody() {
        let mut asked = Asked { server: SERVER, client: None, stale: true, tried: Some(at(0)), silent: 0 };
        assert!(asked.client(at(4)).is_none(), "so soon");
        assert!(asked.client(at(5)).is_some());
        assert_eq!((asked.stale, asked.tried), (false, Some(at(5))));
    }

    #[test]
    fn a_round_of_silence_makes_it_anew() {
        let mut asked = Asked::new(SERVER);
        let (silent, word) = (silence("x.".into()).1, Lookup { v4: Ok(vec![]), v6: Err(Unresolved::Silent) });
        for (lookup, names, stale) in
            [(&silent, 2, false), (&word, 2, false), (&word, 1, false), (&silent, 2, false), (&silent, 2, true)]
        {
            asked.heard(lookup, names);
            assert_eq!(asked.stale, stale);
        }
        assert!(asked.client(at(0)).is_some() && !asked.stale);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_does_not_end_well_ends() {
        let panics = async { panic!("for a test") };
        for (_, lookup, _) in [ended("x.".into(), panics).await, ended("x.".into(), std::future::pending()).await] {
            assert_eq!((lookup.v4, lookup.v6), (Err(Unresolved::Silent), Err(Unresolved::Silent)));
        }
    }

    #[tokio::test]
    async fn what_is_due_longest_is_asked_for_first() {
        let (engine, _engine) = std::sync::mpsc::channel();
        let (ledger, _ledger) = std::sync::mpsc::channel();
        let (change, _change) = mpsc::unbounded_channel();
        let due = |due| Followed { due: Some(at(due)), asked: false, told: None, told_at: None };
        let mut followed: BTreeMap<Box<str>, _> = (0..40u64).map(|n| (format!("a{n:02}.").into(), due(5))).collect();
        followed.insert("z.".into(), due(1));
        let mut desk = Desk {
            asked: Asked::new(SERVER),
            fence: Fence::default(),
            known: Arc::default(),
            outlets: Outlets { engine, ledger, change },
            followed,
            asking: JoinSet::new(),
            waiting: Vec::new(),
            load: Load::Idle { changed: false, until: at(0) },
        };
        let waits = |desk: &Desk, name: &str| desk.followed[name].due.is_some();
        desk.ask_due(at(5));
        assert_eq!((desk.asking.len(), waits(&desk, "z."), waits(&desk, "a39.")), (ASKING_MAX, false, true));
        assert_eq!(desk.followed.values().filter(|followed| followed.due.is_some()).count(), 41 - ASKING_MAX);
    }

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
