//! The connections that are open: how many there may be, whose they are, and which goes first.
//!
//! One table for every transport with connections (TCP, DoT, DoH, DoQ) and for all threads. A new connection is never
//! left waiting: when there are `tcp_max`, the one that has been idle longest is closed to make room; when its client has
//! `tcp_per_client`, that client's own idlest. So a client that hoards connections loses them first, and one that asks
//! keeps its connection.
//!
//! **Idle** counts from the last complete message, not from the last octet: who sends half a message and then an octet
//! now and then is idle all the while. So is a TLS handshake. Over TCP, DoT and DoQ a connection is busy while a reply
//! waits for room to be written: it is the client's turn then, but it has not gone silent. Over DoH it is hyper that
//! writes, and it does not say when it has; so such a connection is as old as its last query and no more, which for a
//! client that reads is the same, since answers take microseconds.
//! Near the cap all get less time (RFC 7766 6.2.3, RFC 9210 4): see [`Connections::patience`].
//!
//! When the system has run out of descriptors, what was open then was too much: for a while there is room for an eighth
//! less, and new connections are let in as at the cap. To find out anew for each of them, by an accept that fails, would
//! let in one every now and then, and a flood would have all of those.
//!
//! The lock is taken when a connection opens or closes, never for a query: a message stores the time in an atomic, and
//! the order by age is put right only when somebody has to go.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::clock;
use super::counters::{Counters, Eviction};
use super::room::Room;
use crate::answers::Transport;

/// The least patience near the cap, unless `tcp_idle` is shorter: a round trip around the world and a lost packet.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
/// How long the end of a connection may take: the last replies, and the farewell of its protocol.
const PARTING: Duration = Duration::from_millis(200);
/// A connection looks so many times per idle time whether the patience has become shorter.
const LOOKS: u32 = 4;
/// So many busy connections are passed over in search of an idle one. When the oldest of all are busy, they are
/// clients that read too slowly, and the first of them goes.
const BUSY_PASSED_OVER: usize = 64;

/// How long the cap stays lowered after the system ran out of descriptors, in milliseconds.
const SHORTAGE: u64 = 10_000;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time, over all threads and transports.
    pub(super) max: usize,
    /// Of these, what one client may have: one IPv4 address, or one IPv6 /64.
    pub(super) per_client: usize,
    /// How long a connection may take for its next complete query, or for taking a reply.
    pub(super) idle: Duration,
}

/// The table of open connections.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    counters: Arc<Counters>,
    stopping: watch::Receiver<bool>,
    open: AtomicUsize,
    /// Connections at a time as things stand: [`Limits::max`], or less after a shortage of descriptors.
    room: AtomicUsize,
    table: Mutex<Table>,
}

type Id = u64;

#[derive(Debug, Default)]
struct Table {
    next: Id,
    /// When the cap is raised again after a shortage, on the monotonic clock.
    short_until: Option<u64>,
    open: HashMap<Id, Entry>,
    /// By the time of the last message, as far as it is known here: too early for those that have spoken since.
    by_age: BTreeSet<(u64, Id)>,
    clients: HashMap<IpAddr, Vec<Id>>,
}

#[derive(Debug)]
struct Entry {
    transport: Transport,
    client: Option<IpAddr>,
    /// Its time in [`Table::by_age`].
    listed: u64,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// When the last complete message came, or the connection: milliseconds on the monotonic clock.
    since: AtomicU64,
    /// How many replies are being written.
    busy: AtomicUsize,
    /// Whether it had to make room.
    evicted: AtomicBool,
    close: Notify,
}

/// A place among the open connections, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Arc<Connections>,
    id: Id,
    state: Arc<State>,
    room: Room,
}

/// Why a connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It was idle for too long.
    Idle,
    /// It had to make room.
    Evicted,
    /// The server stops.
    Stopped,
}

/// Says, for as long as it lives, that a reply is being written.
#[must_use]
pub(super) struct Busy<'c>(&'c State);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    fn new(now: u64) -> Self {
        Self { since: AtomicU64::new(now), busy: AtomicUsize::new(0), evicted: AtomicBool::new(false), close: Notify::new() }
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }
}

impl Connections {
    pub(super) fn new(limits: Limits, counters: Arc<Counters>, stopping: watch::Receiver<bool>) -> Self {
        let room = AtomicUsize::new(limits.max);
        Self { limits, counters, stopping, open: AtomicUsize::new(0), room, table: Mutex::default() }
    }

    /// A place for a new connection; `None`: it must be closed. Where the client is known only later (behind a proxy, or
    /// while a QUIC address is not proven), it is told to [`Connection::belongs_to`].
    pub(super) fn admit(self: &Arc<Self>, transport: Transport, client: Option<IpAddr>) -> Option<Connection> {
        let now = clock::now().monotonic;
        let mut table = self.table();
        if let Some(client) = client
            && !self.make_room_for(&mut table, holder(client))
        {
            return None;
        }
        if table.short_until.is_some_and(|until| until <= now) {
            table.short_until = None;
            self.room.store(self.limits.max, Ordering::Relaxed);
        }
        if table.open.len() >= self.room.load(Ordering::Relaxed) {
            let why = if table.short_until.is_some() { Eviction::Descriptors } else { Eviction::Full };
            self.evict_idlest(&mut table, why);
        }
        let id = table.next;
        table.next += 1;
        let state = Arc::new(State::new(now));
        table.by_age.insert((now, id));
        table.open.insert(id, Entry { transport, client: None, listed: now, state: Arc::clone(&state) });
        if let Some(client) = client {
            table.assign(id, holder(client));
        }
        self.open.store(table.open.len(), Ordering::Relaxed);
        self.counters.opened(transport);
        Some(Connection { connections: Arc::clone(self), id, state, room: Room::new() })
    }

    /// The system has run out of descriptors: closes an eighth of the connections, the idlest, and takes in no more than
    /// that for [`SHORTAGE`].
    pub(super) fn shed(&self) {
        let mut table = self.table();
        let open = table.open.len();
        let kept = open - open.div_ceil(8);
        for _ in kept..open {
            self.evict_idlest(&mut table, Eviction::Descriptors);
        }
        self.room.store(kept.max(1), Ordering::Relaxed);
        table.short_until = Some(clock::now().monotonic.saturating_add(SHORTAGE));
    }

    /// Whether more than half of the places are taken.
    pub(super) fn crowded(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.room.load(Ordering::Relaxed) / 2
    }

    /// How long a connection may be idle now: `tcp_idle` until three quarters of the places are taken, then less, down to
    /// a quarter of it (but not below [`PATIENCE_MIN`]) when all are.
    pub(super) fn patience(&self) -> Duration {
        let idle = self.limits.idle;
        let max = self.room.load(Ordering::Relaxed);
        let free = max.saturating_sub(self.open.load(Ordering::Relaxed));
        let quarter = max.div_ceil(4);
        if free >= quarter {
            return idle;
        }
        let least = (idle / 4).max(PATIENCE_MIN).min(idle);
        least + (idle - least).mul_f64(free as f64 / quarter as f64)
    }

    /// Resolves when the server stops.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        drop(stopping.wait_for(|&stop| stop).await);
    }

    fn make_room_for(&self, table: &mut Table, client: IpAddr) -> bool {
        if table.clients.get(&client).is_none_or(|theirs| theirs.len() < self.limits.per_client) {
            return true;
        }
        let Some(id) = table.idlest_of(client) else {
            self.counters.refused();
            return false;
        };
        self.evict(table, id, Eviction::Client);
        true
    }

    fn evict_idlest(&self, table: &mut Table, why: Eviction) {
        if let Some(id) = table.idlest() {
            self.evict(table, id, why);
        }
    }

    fn evict(&self, table: &mut Table, id: Id, why: Eviction) {
        if let Some(entry) = table.remove(id) {
            entry.state.evicted.store(true, Ordering::Relaxed);
            entry.state.close.notify_one();
            self.counters.closed(entry.transport);
            self.counters.evicted(why);
        }
        self.open.store(table.open.len(), Ordering::Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn assign(&mut self, id: Id, client: IpAddr) {
        if let Some(entry) = self.open.get_mut(&id) {
            entry.client = Some(client);
            self.clients.entry(client).or_default().push(id);
        }
    }

    fn remove(&mut self, id: Id) -> Option<Entry> {
        let entry = self.open.remove(&id)?;
        self.by_age.remove(&(entry.listed, id));
        if let Some(client) = entry.client
            && let Some(theirs) = self.clients.get_mut(&client)
        {
            theirs.retain(|&other| other != id);
            if theirs.is_empty() {
                self.clients.remove(&client);
            }
        }
        Some(entry)
    }

    /// The connection whose last message is the oldest of those that are not busy; see [`BUSY_PASSED_OVER`].
    fn idlest(&mut self) -> Option<Id> {
        let mut busy = Vec::new();
        let found = loop {
            let Some((listed, id)) = self.by_age.pop_first() else { break None };
            let Some(entry) = self.open.get_mut(&id) else { continue };
            let since = entry.state.since.load(Ordering::Relaxed);
            if since > listed {
                entry.listed = since;
                self.by_age.insert((since, id));
            } else if entry.state.is_busy() && busy.len() < BUSY_PASSED_OVER {
                busy.push((listed, id));
            } else {
                self.by_age.insert((listed, id));
                break if busy.len() < BUSY_PASSED_OVER { Some(id) } else { None };
            }
        };
        let slowest = busy.first().map(|&(_, id)| id);
        self.by_age.extend(busy);
        found.or(slowest)
    }

    fn idlest_of(&self, client: IpAddr) -> Option<Id> {
        let theirs = self.clients.get(&client)?.iter().filter_map(|&id| Some((id, &self.open.get(&id)?.state)));
        let idle = theirs.filter(|(_, state)| !state.is_busy());
        idle.min_by_key(|(id, state)| (state.since.load(Ordering::Relaxed), *id)).map(|(id, _)| id)
    }
}

impl Connection {
    /// The client has become known; `false`: it has its share already, and this connection must be closed.
    pub(super) fn belongs_to(&self, client: IpAddr) -> bool {
        let mut table = self.connections.table();
        let room = self.connections.make_room_for(&mut table, holder(client));
        if room {
            table.assign(self.id, holder(client));
        }
        room
    }

    /// A complete message has come.
    pub(super) fn asked(&self) {
        self.state.since.store(clock::now().monotonic, Ordering::Relaxed);
    }

    /// Says that a reply is being written, until what it returns is dropped.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.state.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&self.state)
    }

    /// Where the queries of its streams come in.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// How long a query may take to come in, and its reply to be taken.
    pub(super) fn patience(&self) -> Duration {
        self.connections.patience()
    }

    /// How long its end may take. One that had to make room is counted out already: it gets no time at all, or a client
    /// that connects as fast as it can would hold more sockets than there are places. (Time-outs of no length still let
    /// happen what can happen at once, such as sending `close_notify`.)
    pub(super) fn parting(&self) -> Duration {
        if self.state.evicted.load(Ordering::Relaxed) { Duration::ZERO } else { PARTING }
    }

    /// Resolves when the connection must be closed.
    pub(super) async fn over(&self) -> Over {
        loop {
            if self.state.evicted.load(Ordering::Relaxed) {
                return Over::Evicted;
            }
            let idle = Duration::from_millis(clock::now().monotonic.saturating_sub(self.state.since.load(Ordering::Relaxed)));
            let left = self.connections.patience().saturating_sub(idle);
            if left.is_zero() {
                return Over::Idle;
            }
            let look = left.min(self.connections.limits.idle / LOOKS).max(Duration::from_millis(1));
            tokio::select! {
                () = self.state.close.notified() => {}
                () = self.connections.stopped() => return Over::Stopped,
                () = tokio::time::sleep(look) => {}
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        if let Some(entry) = table.remove(self.id) {
            self.connections.counters.closed(entry.transport);
        }
        self.connections.open.store(table.open.len(), Ordering::Relaxed);
    }
}

/// Who holds a connection: an IPv4 address, or the /64 of an IPv6 address, which one host has for itself.
fn holder(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max: usize, per_client: usize) -> (Arc<Connections>, watch::Sender<bool>) {
        let (stop, stopping) = watch::channel(false);
        let limits = Limits { max, per_client, idle: Duration::from_secs(8) };
        (Arc::new(Connections::new(limits, Arc::default(), stopping)), stop)
    }

    fn client(number: u8) -> Option<IpAddr> {
        Some([192, 0, 2, number].into())
    }

    /// Whether a connection has been told to close.
    fn told(connection: &Connection) -> bool {
        let open = &connection.connections.table().open;
        !open.contains_key(&connection.id)
    }

    fn spoke(connection: &Connection, at: u64) {
        connection.state.since.store(u64::MAX / 2 + at, Ordering::Relaxed);
    }

    #[test]
    fn the_idlest_goes() {
        let (connections, _stop) = connections(4, 4);
        let open: Vec<Connection> = (0..4).filter_map(|number| connections.admit(Transport::Tcp, client(number))).collect();
        for (connection, at) in open.iter().zip([40, 20, 30, 10]) {
            spoke(connection, at);
        }
        let busy = open[3].busy();
        let fifth = connections.admit(Transport::Tcp, client(9)).expect("room is made");
        assert_eq!(open.iter().map(told).collect::<Vec<_>>(), [false, true, false, false], "the oldest that is not busy");
        spoke(&fifth, 50);
        drop(busy);
        let _sixth = connections.admit(Transport::Tls, client(9)).expect("room is made");
        assert_eq!(open.iter().map(told).collect::<Vec<_>>(), [false, true, false, true]);
        drop(open);
        assert_eq!(connections.table().open.len(), 2);
        assert_eq!(connections.table().by_age.len(), 2);
    }

    #[test]
    fn a_shortage_of_descriptors_lowers_the_cap_for_a_while() {
        let (connections, _stop) = connections(100, 100);
        let mut open: Vec<Connection> = (0..64).filter_map(|_| connections.admit(Transport::Tcp, client(1))).collect();
        connections.shed();
        assert_eq!(open.iter().filter(|connection| told(connection)).count(), 8);
        let mut count_after_one_more = || {
            open.extend(connections.admit(Transport::Tcp, client(2)));
            connections.table().open.len()
        };
        assert_eq!([count_after_one_more(), count_after_one_more()], [56, 56], "one goes for each that comes");
        connections.table().short_until = Some(0);
        assert_eq!([count_after_one_more(), count_after_one_more()], [57, 58], "the shortage is over");
    }

    #[test]
    fn when_all_are_busy_the_slowest_reader_goes() {
        let (connections, _stop) = connections(100, 100);
        let open: Vec<Connection> = (0..100).filter_map(|_| connections.admit(Transport::Tcp, client(1))).collect();
        open.iter().zip(1..).for_each(|(connection, at)| spoke(connection, at));
        let _all: Vec<Busy<'_>> = open.iter().map(Connection::busy).collect();
        let _new = connections.admit(Transport::Tcp, client(2)).expect("room is made");
        assert!(told(&open[0]));
        assert_eq!(open.iter().filter(|connection| told(connection)).count(), 1);
        assert_eq!(connections.table().by_age.len(), 100);
    }

    #[test]
    fn a_client_over_its_share_loses_its_own() {
        let (connections, _stop) = connections(100, 2);
        let other = connections.admit(Transport::Tcp, client(1)).expect("room");
        spoke(&other, 0);
        let [first, second] = [10, 20].map(|at| {
            let connection = connections.admit(Transport::Tcp, client(2)).expect("room");
            spoke(&connection, at);
            connection
        });
        let third = connections.admit(Transport::Quic, client(2)).expect("room is made");
        spoke(&third, 30);
        assert_eq!([&other, &first, &second, &third].map(told), [false, true, false, false]);
        let _both = [&second, &third].map(Connection::busy);
        assert!(connections.admit(Transport::Tcp, client(2)).is_none(), "all of its own are busy");
        let proxied = connections.admit(Transport::Tcp, None).expect("room");
        assert!(!proxied.belongs_to(client(2).expect("an address")));
        assert!(proxied.belongs_to(client(3).expect("an address")));
    }

    #[tokio::test]
    async fn who_made_room_goes_at_once() {
        let (connections, stop) = connections(1, 1);
        let first = connections.admit(Transport::Tcp, client(1)).expect("room");
        assert_eq!(first.parting(), PARTING);
        let second = connections.admit(Transport::Tcp, client(2)).expect("room is made");
        assert_eq!((first.over().await, first.over().await), (Over::Evicted, Over::Evicted));
        assert_eq!((first.parting(), second.parting()), (Duration::ZERO, PARTING));
        stop.send_replace(true);
        assert_eq!(second.over().await, Over::Stopped);
        let idle = connections.admit(Transport::Tcp, client(3)).expect("room is made");
        idle.state.since.store(0, Ordering::Relaxed);
        assert_eq!(idle.over().await, Over::Idle);
    }

    #[test]
    fn a_connection_is_busy_until_its_last_reply_is_written() {
        let (connections, _stop) = connections(1, 1);
        let connection = connections.admit(Transport::Quic, client(1)).expect("room");
        let (first, second) = (connection.busy(), connection.busy());
        drop(first);
        assert!(connection.state.is_busy());
        drop(second);
        assert!(!connection.state.is_busy());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let holders = ["2001:db8::1", "2001:db8::ffff:0:0:1", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1"]
            .map(|address| holder(address.parse().expect("an address")));
        assert_eq!(holders[0], holders[1]);
        assert_ne!(holders[0], holders[2]);
        assert_eq!(holders[3], holders[4]);
    }

    #[test]
    fn patience_shrinks_near_the_cap() {
        let (connections, _stop) = connections(100, 100);
        let at = |open: usize| {
            connections.open.store(open, Ordering::Relaxed);
            connections.patience()
        };
        assert_eq!([at(0), at(75), at(100)], [8, 8, 2].map(Duration::from_secs));
        assert!(at(76) < Duration::from_secs(8) && at(99) > Duration::from_secs(2));
    }
}
