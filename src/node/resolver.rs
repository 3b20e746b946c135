//! Asks other servers for the names of `resolve()` (spec 4.9), in the background, and keeps what they say.
//!
//! Queries read [`Resolved`]; what they miss there is asked for once, and is there for the next. What was used since it was
//! last asked for is asked for again shortly before it expires, so that no query meets a gap; what was not is left as it is
//! for a while, and asked for again when a query uses it. While the servers are silent the last answer stands, for a day
//! (RFC 8767); that there is no such name or data is an answer too. A question that failed waits a little (RFC 9520).
//!
//! Everything is bounded: what is known, what is under way, how much of an answer is kept, and how long what nobody uses. A
//! client that makes up names fills the room only for others like it: what was used again keeps its place.
//!
//! The questions themselves are hickory's: retries, TCP where an answer is cut, identifiers and ports that nobody guesses.
//! Its own cache is off: it could neither be read without waiting, nor outlive a silence.
//!
//! Never here: a query that waits.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::clock;
use super::drive::Message;
use crate::answers::{Resolution, Resolved};
use crate::control::{Event, Trouble};
use crate::health::Moment;
use crate::wire::{Name, RecordType};
use crate::zone::rdata_to_text;

/// Most names and types that are known.
const KNOWN_MAX: usize = 10_000;
/// So many are forgotten at once where there is no room.
const EVICTED: usize = KNOWN_MAX / 16;
/// Most questions under way.
const ASKING_MAX: usize = 64;
/// Most orders that wait to be taken in.
const ORDERS_MAX: usize = 256;
/// No answer is asked for more often, whatever its TTL.
const TTL_MIN: Duration = Duration::from_secs(5);
/// Nor less often.
const TTL_MAX: Duration = Duration::from_secs(3600);
/// The time of a negative answer that does not say.
const TTL_NEGATIVE: Duration = Duration::from_secs(60);
/// From one question that failed to the next.
const RETRY: Duration = Duration::from_secs(5);
/// How long an answer stands while the servers are silent (RFC 8767 5: no more than a few days).
const STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long an answer is kept that nobody uses, and at least one TTL.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// Most records of an answer that are kept, and most octets of their texts.
const RECORDS_MAX: usize = 64;
const OCTETS_MAX: usize = 16 * 1024;
/// How often is looked what is due.
const TICK: Duration = Duration::from_secs(1);
/// How long one server may take, each of [`ATTEMPTS`] times.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

type Question = (Name, RecordType);

/// The way to the task that asks.
#[derive(Clone, Debug)]
pub(super) struct Resolver(mpsc::Sender<Order>);

#[derive(Debug)]
enum Order {
    /// A query missed this.
    Want(Question),
    /// Ask this server from now on; `None`: those of the system.
    Use(Option<SocketAddr>),
}

impl Resolver {
    /// Asks `server`, or those of /etc/resolv.conf, and enters what it learns in `resolved`, of which it is the one writer; `engine` is
    /// told whether it is answered.
    pub(super) fn start(
        runtime: &tokio::runtime::Handle,
        server: Option<SocketAddr>,
        resolved: Resolved,
        engine: Sender<Message>,
    ) -> Self {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let book = Book { resolved, entries: HashMap::new() };
        runtime.spawn(async move { Desk { book, client: client(server), asking: JoinSet::new(), engine }.run(inbox).await });
        Self(orders)
    }

    /// Asks for `name`, if it is not under way. What finds no room is asked for by the next query that misses it.
    pub(super) fn want(&self, name: Name, rtype: RecordType) {
        drop(self.0.try_send(Order::Want((name, rtype))));
    }

    /// Asks `server` from now on. Blocks while many wishes wait.
    pub(super) fn use_server(&self, server: Option<SocketAddr>) {
        drop(self.0.blocking_send(Order::Use(server)));
    }
}

/// What the task works with.
struct Desk {
    book: Book,
    client: Option<TokioResolver>,
    asking: JoinSet<(Question, Result<Learned, Unanswered>)>,
    engine: Sender<Message>,
}

/// Why there is no answer.
enum Unanswered {
    /// Nobody said anything.
    Silence,
    /// What was said is of no use.
    Useless,
}

/// An answer.
struct Learned {
    records: Resolution,
    ttl: Duration,
}

impl Desk {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Want(question)) => self.want(question),
                    Some(Order::Use(server)) => self.client = client(server),
                    None => return,
                },
                Some(Ok((question, learned))) = self.asking.join_next() => self.take_in(question, learned),
                _ = tick.tick() => {
                    let room = ASKING_MAX.saturating_sub(self.asking.len());
                    let due = self.book.due(clock::now(), room);
                    due.into_iter().for_each(|question| self.ask(question));
                }
            }
        }
    }

    fn want(&mut self, question: Question) {
        if self.asking.len() < ASKING_MAX && self.book.open(&question, clock::now()) {
            self.ask(question);
        }
    }

    fn take_in(&mut self, question: Question, learned: Result<Learned, Unanswered>) {
        let ongoing = matches!(learned, Err(Unanswered::Silence));
        drop(self.engine.send(Message::Event(Event::Troubled { trouble: Trouble::Resolver, ongoing })));
        self.book.enter(question, learned.ok(), clock::now());
    }

    fn ask(&mut self, question: Question) {
        let client = self.client.clone();
        self.asking.spawn(async move {
            let learned = match client {
                Some(client) => ask(&client, &question).await,
                None => Err(Unanswered::Silence),
            };
            (question, learned)
        });
    }
}

/// What was asked, and when it is to be asked again.
struct Book {
    resolved: Resolved,
    entries: HashMap<Question, Entry>,
}

struct Entry {
    state: State,
    last_used: Moment,
    /// Whether it was used since it was last asked for.
    used: bool,
    /// Until when the last answer stands, where there is one.
    stands_until: Option<Moment>,
}

#[derive(Clone, Copy)]
enum State {
    Asking,
    Waiting { due: Moment },
}

impl Book {
    /// Notes a question as being asked; whether it is to be.
    fn open(&mut self, question: &Question, now: Moment) -> bool {
        if self.entries.contains_key(question) || (self.entries.len() >= KNOWN_MAX && !self.make_room()) {
            return false;
        }
        let entry = Entry { state: State::Asking, last_used: now, used: false, stands_until: None };
        self.entries.insert(question.clone(), entry);
        true
    }

    /// Forgets some of what has gone unused for longest, if anything has since it was last asked for.
    fn make_room(&mut self) -> bool {
        let idle = self.entries.iter().filter(|(_, entry)| !entry.used && !matches!(entry.state, State::Asking));
        let mut idle: Vec<(Moment, Question)> = idle.map(|(question, entry)| (entry.last_used, question.clone())).collect();
        idle.sort_unstable_by_key(|&(last_used, _)| last_used);
        idle.truncate(EVICTED);
        for (_, question) in &idle {
            self.resolved.forget(&question.0, question.1);
            self.entries.remove(question);
        }
        !idle.is_empty()
    }

    /// What is to be asked now, at most `room` of it, the oldest first; forgets what nobody uses and what is too old.
    fn due(&mut self, now: Moment, room: usize) -> Vec<Question> {
        let Self { resolved, entries } = self;
        let mut asked = Vec::new();
        entries.retain(|question, entry| {
            if resolved.take_used(&question.0, question.1) {
                (entry.last_used, entry.used) = (now, true);
            }
            let State::Waiting { due } = entry.state else { return true };
            // Without an answer it waited only to keep others from asking at once.
            let keep = match entry.stands_until {
                Some(until) => now < until && (now < due || now.since(entry.last_used) < IDLE_MAX),
                None => now < due,
            };
            if !keep {
                resolved.forget(&question.0, question.1);
            } else if now >= due && entry.used {
                asked.push((due, question.clone()));
            }
            keep
        });
        asked.sort_by_key(|&(due, _)| due);
        asked.truncate(room);
        let mut questions = asked.into_iter().map(|(_, question)| question).collect::<Vec<_>>();
        questions.retain(|question| {
            let entry = entries.get_mut(question);
            entry.map(|entry| (entry.state, entry.used) = (State::Asking, false)).is_some()
        });
        questions
    }

    /// Takes in what came of a question.
    fn enter(&mut self, question: Question, learned: Option<Learned>, now: Moment) {
        let Some(entry) = self.entries.get_mut(&question) else { return };
        let wait = match learned {
            Some(Learned { records, ttl }) => {
                self.resolved.set(&question.0, question.1, records);
                entry.stands_until = Some(now + STALE_MAX);
                ttl.clamp(TTL_MIN, TTL_MAX) * 9 / 10
            }
            None => RETRY,
        };
        entry.state = State::Waiting { due: now + wait };
    }
}

/// Who asks `server`, or those of the system; logs where there is none.
pub(super) fn client(server: Option<SocketAddr>) -> Option<TokioResolver> {
    let built = build(server);
    built.inspect_err(|error| tracing::warn!(%error, "no resolver: resolve() in record programs and the names of pools will have no answers")).ok()
}

/// Who asks `server`, or those of the system.
pub(super) fn build(server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let provider = TokioRuntimeProvider::default();
    let builder = match server {
        None => TokioResolver::builder(provider),
        Some(server) => {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = server.port());
            let server = NameServerConfig::new(server.ip(), true, connections);
            Ok(TokioResolver::builder_with_config(ResolverConfig::from_parts(None, Vec::new(), vec![server]), provider))
        }
    };
    builder.and_then(|mut builder| {
        let options = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.edns0 = true;
        (options.timeout, options.attempts) = (PATIENCE, ATTEMPTS);
        builder.build()
    })
}

/// One question, however many packets it takes.
async fn ask(client: &TokioResolver, (name, rtype): &Question) -> Result<Learned, Unanswered> {
    let name = hickory_proto::rr::Name::read(&mut BinDecoder::new(name.as_ref().as_wire())).map_err(|_| Unanswered::Useless)?;
    match client.lookup(name, rtype.0.into()).await {
        Ok(found) => {
            let seconds = found.answers().iter().map(|record| record.ttl).min().ok_or(Unanswered::Useless)?;
            let of_type = found.answers().iter().filter(|record| u16::from(record.record_type()) == rtype.0);
            let text = |record: &hickory_proto::rr::Record| {
                let rdata = uncompressed(&record.data).ok()?;
                Some((record.ttl, rdata_to_text(*rtype, &rdata).into()))
            };
            Ok(Learned { records: front(of_type.filter_map(text)), ttl: Duration::from_secs(seconds.into()) })
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) if is_negative(none.response_code) => {
            let ttl = none.negative_ttl.map_or(TTL_NEGATIVE, |seconds| Duration::from_secs(seconds.into()));
            Ok(Learned { records: Arc::new([]), ttl })
        }
        Err(error) => {
            tracing::debug!(%error, "resolve() has no answer");
            Err(if matches!(error, NetError::Dns(_)) { Unanswered::Useless } else { Unanswered::Silence })
        }
    }
}

/// As many records as are kept.
fn front(records: impl Iterator<Item = (u32, Box<str>)>) -> Resolution {
    let mut octets = 0;
    let fits = |(_, text): &(u32, Box<str>)| {
        octets += text.len();
        octets <= OCTETS_MAX
    };
    records.take(RECORDS_MAX).take_while(fits).collect()
}

pub(super) fn is_negative(rcode: hickory_proto::op::ResponseCode) -> bool {
    use hickory_proto::op::ResponseCode;
    matches!(rcode, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// RDATA by itself: its names cannot point into a message that is gone.
fn uncompressed(data: &hickory_proto::rr::RData) -> Result<Vec<u8>, ProtoError> {
    let mut rdata = Vec::new();
    let mut encoder = BinEncoder::new(&mut rdata);
    encoder.set_canonical_form(true);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder)?;
    Ok(rdata)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kept {
        book: Book,
        question: Question,
        at: Moment,
    }

    impl Kept {
        fn new() -> Self {
            let book = Book { resolved: Resolved::default(), entries: HashMap::new() };
            let question = ("www.example.".parse().expect("a name"), RecordType::A);
            Self { book, question, at: Moment::at(Duration::from_secs(1)) }
        }

        fn learn(&mut self, ttl: u64) {
            let learned = Learned { records: Arc::new([(30, "192.0.2.1".into())]), ttl: Duration::from_secs(ttl) };
            self.book.enter(self.question.clone(), Some(learned), self.at);
        }

        fn fail(&mut self) {
            self.book.enter(self.question.clone(), None, self.at);
        }

        /// A query uses the answer.
        fn use_it(&self) {
            assert!(self.known());
        }

        /// Whether the question is asked again when so much time has gone by.
        fn asks_after(&mut self, seconds: u64) -> bool {
            self.at = self.at + Duration::from_secs(seconds);
            !self.book.due(self.at, 1).is_empty()
        }

        fn known(&self) -> bool {
            self.book.resolved.get(&self.question.0, self.question.1).is_some()
        }
    }

    #[test]
    fn what_is_in_use_is_refreshed_before_it_expires() {
        let mut kept = Kept::new();
        assert!(kept.book.open(&kept.question, kept.at));
        assert!(!kept.book.open(&kept.question, kept.at), "once");
        kept.learn(100);
        kept.use_it();
        assert!(!kept.asks_after(89));
        assert!(kept.asks_after(2));
        assert!(!kept.asks_after(1000), "it is under way");
        kept.learn(1);
        kept.use_it();
        assert!(!kept.asks_after(4), "the floor");
        assert!(kept.asks_after(1));
        kept.learn(1_000_000);
        kept.use_it();
        assert!(kept.asks_after(3600), "the ceiling");
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let mut kept = Kept::new();
        assert!(kept.book.open(&kept.question, kept.at));
        kept.learn(600);
        kept.use_it();
        assert!(kept.asks_after(540));
        kept.learn(60);
        assert!(!kept.asks_after(55), "nobody has used it since");
        kept.use_it();
        assert!(kept.asks_after(1), "the first use has it asked again");
        kept.learn(60);
        assert!(!kept.asks_after(599) && kept.book.entries.len() == 1);
        assert!(!kept.asks_after(1) && kept.book.entries.is_empty() && !kept.known());
    }

    #[test]
    fn made_up_names_take_no_place_of_what_is_in_use() {
        let mut kept = Kept::new();
        assert!(kept.book.open(&kept.question, kept.at));
        kept.learn(3600);
        kept.use_it();
        assert!(!kept.asks_after(1));
        for number in 0..2 * KNOWN_MAX {
            let question = (format!("{number}.w.example.").parse().expect("a name"), RecordType::A);
            assert!(kept.book.open(&question, kept.at), "{number}");
            kept.book.enter(question, Some(Learned { records: Arc::new([]), ttl: Duration::from_secs(60) }), kept.at);
        }
        assert!(kept.book.entries.len() <= KNOWN_MAX);
        assert!(kept.known());
        assert!(kept.book.due(kept.at + Duration::from_secs(55), 64).is_empty(), "nobody has used them again");
    }

    #[test]
    fn the_oldest_are_asked_first() {
        let mut kept = Kept::new();
        let name = |number: u64| -> Question { (format!("{number}.example.").parse().expect("a name"), RecordType::A) };
        for number in 0..100 {
            kept.book.open(&name(number), kept.at);
            let learned = Learned { records: Arc::new([]), ttl: Duration::from_secs(1000 - number) };
            kept.book.enter(name(number), Some(learned), kept.at);
            assert!(kept.book.resolved.get(&name(number).0, RecordType::A).is_some());
        }
        let due = kept.book.due(kept.at + Duration::from_secs(1000), 3);
        assert_eq!(due, [name(99), name(98), name(97)]);
    }

    #[test]
    fn long_answers_are_cut() {
        let record = |text: &str| (1, Box::from(text));
        assert_eq!(front((0..1000).map(|_| record("192.0.2.1"))).len(), RECORDS_MAX);
        assert_eq!(front((0..10).map(|_| record(&"x".repeat(5000)))).len(), 3);
    }

    #[test]
    fn the_last_answer_stands_for_a_day_of_silence() {
        let mut kept = Kept::new();
        assert!(kept.book.open(&kept.question, kept.at));
        kept.fail();
        assert!(!kept.book.open(&kept.question, kept.at), "not at once");
        assert!(!kept.asks_after(5) && kept.book.entries.is_empty());
        assert!(kept.book.open(&kept.question, kept.at));
        kept.learn(5);
        let mut silent = 0;
        while kept.known() {
            assert!(kept.asks_after(5) || !kept.known());
            kept.fail();
            silent += 5;
        }
        assert_eq!(silent, STALE_MAX.as_secs());
        assert!(kept.book.entries.is_empty());
    }
}
