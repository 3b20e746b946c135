//! Nodes on the loopback interface: what they tell each other, and what others try.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::form::{Greeting, Packed};
use super::hear::{write_digest, write_mac};
use super::secret::{Asked, Seal, sign};
use super::session::{End, Nonce, Session};
use super::*;
use crate::health::{Entry, Word};
use crate::target::CheckKey;

mod contract;

const SECRET: &str = "a secret of the fleet, no. 1";
const OTHER: &str = "a secret of the fleet, no. 2";

fn clock() -> Moment {
    Moment::at(Duration::from_secs(1))
}

fn secrets(texts: &[&str]) -> Secrets {
    Secrets::new(texts).expect("long enough")
}

/// What a node was told, and told.
struct Notes {
    heard: Mutex<Vec<(Arc<str>, Bulletin)>>,
    met: Mutex<Vec<Arc<str>>>,
    told: mpsc::UnboundedSender<(Arc<str>, Result<Receipt, Undelivered>)>,
    stopping: std::sync::atomic::AtomicBool,
}

impl Desk for Notes {
    async fn heard(&self, peer: &Arc<str>, bulletin: Bulletin) -> Option<Receipt> {
        let have = bulletin.version;
        self.heard.lock().unwrap().push((Arc::clone(peer), bulletin));
        (!self.stopping.load(Ordering::Relaxed)).then_some(Receipt { have })
    }

    fn met(&self, peer: &Arc<str>) {
        self.met.lock().unwrap().push(Arc::clone(peer));
    }

    fn told(&self, peer: &Arc<str>, result: Result<Receipt, Undelivered>) {
        self.told.send((Arc::clone(peer), result)).expect("the test waits");
    }
}

impl Notes {
    fn versions(&self) -> Vec<u64> {
        self.heard.lock().unwrap().iter().map(|(_, bulletin)| bulletin.version).collect()
    }

    fn met(&self) -> usize {
        self.met.lock().unwrap().len()
    }
}

/// A node, all but its engine.
struct TestNode {
    name: &'static str,
    address: SocketAddr,
    exchange: Arc<Exchange>,
    notes: Arc<Notes>,
    courier: Courier<Notes>,
    results: mpsc::UnboundedReceiver<(Arc<str>, Result<Receipt, Undelivered>)>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

static LIVES: AtomicU64 = AtomicU64::new(1);

impl TestNode {
    /// One that knows nobody.
    fn start(name: &'static str, tls: Option<Tls>) -> Self {
        let config = Config { node: name.into(), listen: Vec::new(), interval: Duration::from_secs(10), tls, peers: Vec::new() };
        let facts = Facts { region: name.into(), release: "1".into(), ..Facts::default() };
        let life = Incarnation(LIVES.fetch_add(1, Ordering::Relaxed).into());
        let exchange = Arc::new(Exchange::new(config, life, facts, clock).expect("fit"));
        let (told, results) = mpsc::unbounded_channel();
        let notes = Arc::new(Notes { heard: Mutex::default(), met: Mutex::default(), told, stopping: false.into() });
        let listeners = Listeners::bind(&[([127, 0, 0, 1], 0).into()]).expect("bound");
        let address = listeners.addresses().next().expect("one");
        let (stop, stopped) = oneshot::channel();
        let serving =
            tokio::spawn(listeners.serve(Arc::clone(&exchange), Arc::clone(&notes), async move { drop(stopped.await) }));
        let courier = Courier::new(Arc::clone(&exchange), Arc::clone(&notes), Handle::current());
        Self { name, address, exchange, notes, courier, results, stop: Some(stop), serving }
    }

    /// Makes it know these and nobody else.
    fn know(&self, peers: &[(&str, String, Secrets)]) {
        let remote = |(name, url, secrets): &(&str, String, Secrets)| Remote {
            name: (*name).into(),
            url: url.parse().expect("a URL"),
            secrets: secrets.clone(),
        };
        let before = self.exchange.roster.load().config.clone();
        self.exchange.configure(Config { peers: peers.iter().map(remote).collect(), ..before }).expect("fit");
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn life(&self) -> Incarnation {
        self.exchange.incarnation()
    }

    /// Tells the only peer this version, and waits for how it ends.
    async fn tell(&mut self, version: u64) -> Result<Receipt, Undelivered> {
        let peer = self.exchange.peers().first().map_or_else(|| "nobody".into(), |peer| Arc::clone(&peer.name));
        self.courier.tell(&peer, Arc::new(bulletin(self.life(), version)));
        let (told, result) = self.results.recv().await.expect("said");
        assert_eq!(told, peer);
        result
    }

    /// How many messages it refused as this.
    fn refused(&self, refusal: Refusal) -> u64 {
        self.exchange.refused().into_iter().find_map(|(reason, count)| (reason == refusal).then_some(count)).expect("counted")
    }

    async fn end(mut self) {
        drop(self.stop.take());
        (&mut self.serving).await.expect("ended");
    }
}

fn bulletin(incarnation: Incarnation, version: u64) -> Bulletin {
    let entry = Entry { key: CheckKey(version.into()), word: Some(Word::Up), age: Duration::from_secs(1) };
    Bulletin { incarnation, base: 0, version, entries: vec![entry], digest: Some(version), blind: false }
}

/// Two that know each other by these secrets.
fn pair(secrets: &Secrets) -> [TestNode; 2] {
    let (a, b) = (TestNode::start("a", None), TestNode::start("b", None));
    a.know(&[("b", b.url(), secrets.clone())]);
    b.know(&[("a", a.url(), secrets.clone())]);
    [a, b]
}

const fn have(version: u64) -> Result<Receipt, Undelivered> {
    Ok(Receipt { have: version })
}

#[tokio::test]
async fn what_is_told_is_heard() {
    let [mut a, mut b] = pair(&secrets(&[SECRET]));
    for version in 1..=3 {
        assert_eq!(a.tell(version).await, have(version));
    }
    let expected: Vec<_> = (1..=3).map(|version| (Arc::from("a"), bulletin(a.life(), version))).collect();
    assert_eq!(*b.notes.heard.lock().unwrap(), expected);
    assert_eq!(b.tell(9).await, have(9));
    assert_eq!((a.notes.met(), b.notes.met()), (1, 1), "each was met once, whoever spoke first");
    let seen = a.exchange.peers().remove(0);
    assert_eq!(seen.facts.expect("met").region, "b".into());
    assert!(seen.counts.reached && seen.counts.sent > 0 && seen.counts.received > 0);
    assert_eq!((seen.counts.heard, seen.counts.told), (Some(clock()), Some(clock())));
    assert_eq!(a.exchange.refused().map(|(_, count)| count), [0; Refusal::COUNT]);
    a.end().await;
    b.end().await;
}

/// With 50 nodes and a heartbeat every 5 s, each sends and hears ten of these a second.
#[tokio::test]
async fn a_heartbeat_is_small_on_the_wire() {
    let [mut a, b] = pair(&secrets(&[SECRET]));
    let tap = Tap::to(b.address).await;
    a.know(&[("b", format!("http://{}", tap.address), secrets(&[SECRET]))]);
    let heartbeat = Bulletin { base: 1_000_000, entries: Vec::new(), ..bulletin(a.life(), 1_000_000) };
    let mut lengths = Vec::new();
    for _ in 0..3 {
        a.courier.tell("b", Arc::new(heartbeat.clone()));
        assert_eq!(a.results.recv().await.expect("said").1, have(1_000_000));
        lengths.push(tap.recorded.lock().unwrap()[0].len());
    }
    let heard = b.exchange.peers().remove(0).counts;
    println!("a heartbeat: {} octets of HTTP; bodies in all: {heard:?}", lengths[2] - lengths[1]);
    assert!(lengths[2] - lengths[1] <= 480);
    assert_eq!(tap.recorded.lock().unwrap().len(), 1, "one connection");
}

#[tokio::test]
async fn a_long_bulletin_to_one_that_has_forgotten_arrives_in_the_end() {
    let [mut a, _before] = pair(&secrets(&[SECRET]));
    assert_eq!(a.tell(1).await, have(1));
    let forgetful = TestNode::start("b", None);
    forgetful.know(&[("a", a.url(), secrets(&[SECRET]))]);
    a.know(&[("b", forgetful.url(), secrets(&[SECRET]))]);
    let entry = |key: u128| Entry {
        key: CheckKey(key.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
        ..bulletin(a.life(), 2).entries[0]
    };
    let whole = Arc::new(Bulletin { entries: (0..ENTRIES_MAX as u128).map(entry).collect(), ..bulletin(a.life(), 2) });
    let mut attempts = 0;
    while forgetful.notes.versions().is_empty() {
        attempts += 1;
        assert!(attempts <= 2, "the second attempt begins with a hello");
        a.courier.tell("b", Arc::clone(&whole));
        drop(a.results.recv().await.expect("said"));
    }
}

#[tokio::test]
async fn many_checks_at_once() {
    let [mut a, b] = pair(&secrets(&[SECRET]));
    let entry = |key: u128| Entry { key: CheckKey(key << 64 | key), word: Some(Word::Down), age: Duration::from_millis(5) };
    let whole = Bulletin { entries: (0..10_000).map(entry).collect(), ..bulletin(a.life(), 7) };
    a.courier.tell("b", Arc::new(whole.clone()));
    assert_eq!(a.results.recv().await.expect("said").1, have(7));
    assert_eq!(b.notes.heard.lock().unwrap()[0].1, whole);
    let more = Bulletin { entries: vec![entry(1); ENTRIES_MAX + 1], ..whole };
    a.courier.tell("b", Arc::new(more));
    assert_eq!(a.results.recv().await.expect("said").1, Err(Undelivered::Long));
    a.courier.tell("nobody", Arc::new(bulletin(a.life(), 1)));
    assert_eq!(a.results.recv().await.expect("said"), ("nobody".into(), Err(Undelivered::Unknown)));
}

#[tokio::test]
async fn either_may_begin_again() {
    let [mut a, b] = pair(&secrets(&[SECRET]));
    assert_eq!(a.tell(1).await, have(1));
    b.end().await;
    let b = TestNode::start("b", None);
    b.know(&[("a", a.url(), secrets(&[SECRET]))]);
    a.know(&[("b", b.url(), secrets(&[SECRET]))]);
    assert_eq!(a.tell(3).await, have(3), "the other is new: hello is said without being asked for by the engine");
    assert_eq!((b.notes.versions(), b.refused(Refusal::NoSession)), (vec![3], 1));
    assert_eq!((a.notes.met(), b.notes.met()), (2, 1));
    let mut again = TestNode::start("a", None);
    again.know(&[("b", b.url(), secrets(&[SECRET]))]);
    assert_eq!(again.tell(1).await, have(1));
    assert_eq!((b.notes.versions(), b.notes.met()), (vec![3, 1], 2));
    assert_eq!(a.tell(4).await, have(4), "two that believe to be the same node get their way in turn");
    b.end().await;
    assert!(matches!(a.tell(5).await, Err(Undelivered::Unreachable(_))));
    assert!(!a.exchange.peers()[0].counts.reached);
}

#[tokio::test]
async fn facts_that_change_are_stated_again() {
    let [mut a, b] = pair(&secrets(&[SECRET]));
    assert_eq!(a.tell(1).await, have(1));
    let zone = ZoneFacts { serial: 7, digest: Digest(1) };
    let facts =
        Facts { zones: [("z.example".into(), zone)].into(), checks: [("web".into(), Digest(2))].into(), ..Facts::default() };
    a.exchange.state(facts.clone());
    assert_eq!(a.tell(2).await, have(2));
    assert_eq!(b.exchange.peers()[0].facts.as_deref(), Some(&facts));
    assert_eq!(b.notes.met(), 1, "it is the same life");
}

#[tokio::test]
async fn a_wrong_secret_changes_nothing() {
    let [mut a, b] = pair(&secrets(&[SECRET]));
    a.know(&[("b", b.url(), secrets(&[OTHER]))]);
    assert_eq!(a.tell(1).await, Err(Undelivered::Refused(Refusal::Forged)));
    a.know(&[("b", b.url(), Secrets::default())]);
    assert_eq!(a.tell(2).await, Err(Undelivered::Refused(Refusal::Forged)));
    b.know(&[("a", a.url(), Secrets::default())]);
    assert_eq!(a.tell(3).await, Err(Undelivered::Refused(Refusal::Stranger)), "without a secret it takes a certificate");
    b.know(&[("c", a.url(), secrets(&[SECRET]))]);
    assert_eq!(a.tell(4).await, Err(Undelivered::Refused(Refusal::Stranger)));
    assert_eq!((b.refused(Refusal::Forged), b.refused(Refusal::Stranger)), (2, 2));
    assert_eq!((b.notes.versions(), b.notes.met(), a.notes.met()), (vec![], 0, 0));
}

#[tokio::test]
async fn secrets_are_replaced_without_an_outage() {
    let [mut a, b] = pair(&secrets(&[SECRET]));
    let steps: [(&[&str], &[&str]); 5] = [
        (&[SECRET], &[SECRET, OTHER]),
        (&[SECRET, OTHER], &[SECRET, OTHER]),
        (&[OTHER, SECRET], &[SECRET, OTHER]),
        (&[OTHER], &[OTHER, SECRET]),
        (&[OTHER], &[OTHER]),
    ];
    for (version, (ours, theirs)) in (1..).zip(steps) {
        a.know(&[("b", b.url(), secrets(ours))]);
        b.know(&[("a", a.url(), secrets(theirs))]);
        assert_eq!(a.tell(version).await, have(version), "{ours:?} {theirs:?}");
    }
    assert_eq!((b.notes.versions(), b.notes.met()), ((1..=5).collect(), 1), "the session went on");
}

// -------- what was recorded

/// Stands in the way to a node and keeps what goes there.
struct Tap {
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    async fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let (address, recorded) = (listener.local_addr().expect("bound"), Arc::<Mutex<Vec<Vec<u8>>>>::default());
        let tape = Arc::clone(&recorded);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let at = tape.lock().unwrap().len();
                tape.lock().unwrap().push(Vec::new());
                tokio::spawn(relay(client, node, Arc::clone(&tape), at));
            }
        });
        Self { address, recorded }
    }
}

async fn relay(client: TcpStream, node: SocketAddr, tape: Arc<Mutex<Vec<Vec<u8>>>>, at: usize) -> std::io::Result<()> {
    let (mut from, mut back) = client.into_split();
    let (mut answers, mut to) = TcpStream::connect(node).await?.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
    let mut buffer = vec![0; 4096];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        tape.lock().unwrap()[at].extend_from_slice(&buffer[..read]);
        to.write_all(&buffer[..read]).await?;
    }
}

/// Sends these octets and nothing after them: the statuses and types of the answers.
async fn play(to: SocketAddr, octets: &[u8]) -> Vec<(u16, String)> {
    let mut stream = TcpStream::connect(to).await.expect("connected");
    // The other side may have heard enough before all is sent.
    drop(stream.write_all(octets).await);
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    answers(&answer).into_iter().map(|Answer { status, body, .. }| (status, kind(&body))).collect()
}

struct Answer {
    status: u16,
    mac: Option<String>,
    media_type: String,
    body: Value,
}

fn kind(body: &Value) -> String {
    body["type"].as_str().unwrap_or("").to_owned()
}

/// The answers in these octets, with their bodies.
fn answers(mut octets: &[u8]) -> Vec<Answer> {
    let mut found = Vec::new();
    while let Some(end) = octets.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8(octets[..end].to_vec()).expect("text").to_lowercase();
        let original = String::from_utf8(octets[..end].to_vec()).expect("text");
        let field = |name: &str| {
            let at = head.find(&format!("\r\n{name}: "))? + name.len() + 4;
            original[at..].split("\r\n").next().map(ToOwned::to_owned)
        };
        let length: usize = field("content-length").map_or(0, |length| length.parse().expect("a length"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = serde_json::from_slice(&octets[end + 4..end + 4 + length]).unwrap_or(Value::Null);
        found.push(Answer { status, mac: field("peer-mac"), media_type: field("content-type").unwrap_or_default(), body });
        octets = &octets[end + 4 + length..];
    }
    found
}

#[tokio::test]
async fn what_was_recorded_is_worth_nothing() {
    let [mut a, b] = pair(&secrets(&[SECRET]));
    let tap = Tap::to(b.address).await;
    a.know(&[("b", format!("http://{}", tap.address), secrets(&[SECRET]))]);
    for version in 1..=2 {
        assert_eq!(a.tell(version).await, have(version));
    }
    let today = tap.recorded.lock().unwrap()[0].clone();
    let replayed = play(b.address, &today).await;
    let statuses = |list: &[(u16, &str)]| list.iter().map(|(status, kind)| (*status, (*kind).to_owned())).collect::<Vec<_>>();
    assert_eq!(replayed, statuses(&[(200, ""), (409, "replayed"), (409, "replayed")]));
    assert_eq!(a.tell(3).await, have(3), "the session goes on");
    // Another life of the sender, and what was recorded of the one before.
    let mut again = TestNode::start("a", None);
    again.know(&[("b", b.url(), secrets(&[SECRET]))]);
    assert_eq!(again.tell(7).await, have(7));
    for _ in 0..3 {
        assert_eq!(play(b.address, &today).await, statuses(&[(200, ""), (409, "no_session"), (409, "no_session")]));
    }
    assert_eq!(again.tell(8).await, have(8));
    assert_eq!((b.notes.versions(), b.notes.met()), (vec![1, 2, 3, 7, 8], 2));
    assert_eq!((b.refused(Refusal::Replayed), b.refused(Refusal::NoSession)), (2, 6), "nobody had to say hello again");
    // To somebody else, who has the same secret.
    let c = TestNode::start("c", None);
    c.know(&[("a", again.url(), secrets(&[SECRET]))]);
    assert!(play(c.address, &today).await.iter().all(|(status, kind)| (*status, kind.as_str()) == (403, "stranger")));
    // Every octet of what was recorded matters, and every cut.
    let [mut d, e] = pair(&secrets(&[SECRET]));
    let tap = Tap::to(e.address).await;
    d.know(&[("b", format!("http://{}", tap.address), secrets(&[SECRET]))]);
    assert_eq!(d.tell(1).await, have(1));
    let tape = tap.recorded.lock().unwrap()[0].clone();
    let second = tape.windows(5).rposition(|window| window == b"POST ").expect("two requests");
    for at in (second..tape.len()).step_by(7) {
        play(e.address, &tape[second..at]).await;
        let mut damaged = tape[second..].to_vec();
        damaged[at - second] ^= 1;
        play(e.address, &damaged).await;
    }
    assert_eq!((e.notes.versions(), e.notes.met()), (vec![1], 1));
    assert_eq!(d.tell(2).await, have(2));
}

#[tokio::test]
async fn a_reply_of_another_time_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let [mut a, b] = pair(&secrets(&[SECRET]));
    let (mut raw, _) = Raw::session(&b, &a.exchange).await;
    let reply = raw.post(HELLO, None, &json!({ "versions": [1], "incarnation": hex(1), "nonce": hex(2) }).to_string()).await;
    assert_eq!(reply.status, 200);
    a.know(&[("b", format!("http://{}", listener.local_addr().expect("bound")), secrets(&[SECRET]))]);
    let body = reply.body.to_string();
    let text =
        format!("HTTP/1.1 200 OK\r\npeer-mac: {}\r\ncontent-length: {}\r\n\r\n{body}", reply.mac.expect("signed"), body.len());
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        stream.write_all(text.as_bytes()).await.expect("written");
        drop(stream.read_to_end(&mut Vec::new()).await);
    });
    assert_eq!(a.tell(1).await, Err(Undelivered::Garbled(Refusal::Forged)));
    assert_eq!(a.notes.met(), 0);
    answering.abort();
}

// -------- what is made up by somebody who knows the secret, or does not

/// A peer that says what the test wants.
struct Raw {
    to: SocketAddr,
    node: Arc<str>,
    from: &'static str,
    secrets: Secrets,
}

/// A request that was not sent yet.
struct Draft {
    headers: VecDeque<(&'static str, String)>,
    path: &'static str,
    body: Vec<u8>,
}

fn hex(number: u128) -> String {
    format!("{number:032x}")
}

impl Raw {
    /// One that is `a` towards `to`, with a session that waits.
    async fn session(to: &TestNode, _of: &Exchange) -> (Self, Session) {
        let mut raw = Self { to: to.address, node: to.name.into(), from: "a", secrets: secrets(&[SECRET]) };
        let nonce = u128::from(LIVES.fetch_add(1, Ordering::Relaxed)) << 64;
        let teller = End { incarnation: Incarnation(nonce + 1), nonce: Nonce(nonce) };
        let hello = form::hello(&Greeting { end: teller, facts: Facts::default() });
        let answer = raw.post(HELLO, None, std::str::from_utf8(&hello.octets).expect("JSON")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let number = |field: &str| u128::from_str_radix(answer.body[field].as_str().expect("text"), 16).expect("digits");
        let hearer = End { incarnation: Incarnation(number("incarnation")), nonce: Nonce(number("nonce")) };
        (raw, Session { teller, hearer })
    }

    fn draft(&self, path: &'static str, place: Option<(Session, u64)>, Packed { gzip, octets }: Packed) -> Draft {
        let seal = Seal::of(gzip, &octets);
        let asked = Asked { path, from: self.from, to: &self.node, place, seal };
        let mac = sign(&self.secrets.first(), &asked.text());
        let mut headers = VecDeque::from([
            ("peer-from", self.from.to_owned()),
            ("peer-to", self.node.to_string()),
            ("content-digest", write_digest(&seal.digest)),
            ("peer-mac", write_mac(&mac)),
            ("content-length", octets.len().to_string()),
        ]);
        if gzip {
            headers.push_back(("content-encoding", "gzip".to_owned()));
        }
        if let Some((session, sequence)) = place {
            headers.push_back(("peer-session", hex(session.id().0)));
            headers.push_back(("peer-sequence", sequence.to_string()));
        }
        Draft { headers, path, body: octets }
    }

    async fn post(&mut self, path: &'static str, place: Option<(Session, u64)>, text: &str) -> Answer {
        self.send(self.draft(path, place, Packed { gzip: false, octets: text.as_bytes().to_vec() })).await
    }

    async fn tell(&mut self, session: Session, sequence: u64, version: u64) -> Answer {
        let packed = form::bulletin(&bulletin(session.teller.incarnation, version)).expect("short");
        self.send(self.draft(BULLETIN, Some((session, sequence)), packed)).await
    }

    async fn send(&self, draft: Draft) -> Answer {
        let mut stream = TcpStream::connect(self.to).await.expect("connected");
        drop(stream.write_all(&draft.octets()).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        answers(&answer).pop().expect("an answer")
    }
}

impl Draft {
    fn octets(&self) -> Vec<u8> {
        let mut text = format!("POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", self.path);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        [text.as_bytes(), b"\r\n", &self.body].concat()
    }

    fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let mut value = Some(value.into());
        for (known, old) in &mut self.headers {
            if *known == name {
                *old = value.take().unwrap_or_default();
            }
        }
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }
}

#[tokio::test]
async fn numbers_only_grow() {
    let [a, b] = pair(&secrets(&[SECRET]));
    let (mut raw, session) = Raw::session(&b, &a.exchange).await;
    let mut statuses = Vec::new();
    for sequence in [2, 1, 2, 5, 4, 6] {
        let answer = raw.tell(session, sequence, sequence).await;
        statuses.push((sequence, answer.status, kind(&answer.body)));
    }
    let ok = |sequence| (sequence, 200, String::new());
    let refused = |sequence| (sequence, 409, "replayed".to_owned());
    assert_eq!(statuses, [ok(2), refused(1), refused(2), ok(5), refused(4), ok(6)]);
    assert_eq!(b.notes.versions(), [2, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_too_long_or_slow_change_nothing() {
    let [a, b] = pair(&secrets(&[SECRET]));
    let (mut raw, session) = Raw::session(&b, &a.exchange).await;
    assert_eq!(raw.tell(session, 1, 1).await.status, 200);
    let packed = || form::bulletin(&bulletin(session.teller.incarnation, 2)).expect("short");
    let draft = |sequence| raw.draft(BULLETIN, Some((session, sequence)), packed());
    let refused = async |draft: Draft| {
        let answer = raw.send(draft).await;
        (answer.status, kind(&answer.body))
    };
    let is = |status, kind: &str| (status, kind.to_owned());
    assert_eq!(refused(draft(2).set("content-length", "1073741824")).await, is(413, "oversized"));
    let mut slow = draft(2);
    slow.body.pop();
    assert_eq!(refused(slow).await, is(408, "slow"));
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &vec![b' '; 64 << 20]).expect("packed");
    let bomb = Packed { gzip: true, octets: bomb.finish().expect("packed") };
    assert_eq!(refused(raw.draft(BULLETIN, Some((session, 2)), bomb)).await, is(413, "oversized"));
    assert_eq!(refused(draft(2).set("content-length", "7")).await, is(403, "forged"), "cut short");
    let mut other = draft(2);
    other.body[3] ^= 1;
    assert_eq!(refused(other).await, is(403, "forged"), "another body");
    assert_eq!(refused(draft(2).without("content-length").set("transfer-encoding", "chunked")).await, is(400, "malformed"));
    assert_eq!(
        refused(raw.draft(BULLETIN, Some((session, 2)), Packed { gzip: false, octets: b"{}".to_vec() })).await,
        is(400, "malformed")
    );
    // Who has nothing but a connection.
    let mut idle = TcpStream::connect(b.address).await.expect("connected");
    idle.write_all(b"POST /peer/v1/hello HTTP/1.1\r\n").await.expect("written");
    drop(idle.read_to_end(&mut Vec::new()).await);
    assert_eq!(b.refused(Refusal::Slow), 2);
    assert_eq!(b.notes.versions(), [1]);
    assert_eq!(raw.tell(session, 2, 2).await.status, 200, "the number was not used up");
}

#[tokio::test]
async fn one_address_does_not_take_all_places() {
    let [mut a, b] = pair(&secrets(&[SECRET]));
    assert_eq!(a.tell(1).await, have(1));
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(TcpStream::connect(b.address).await.expect("the kernel accepts"));
    }
    let mut closed = 0;
    for stream in &mut crowd[20..] {
        closed += usize::from(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
    }
    assert_eq!(closed, 20, "they had no place");
    assert_eq!(a.tell(2).await, have(2), "a connection that has its place keeps it");
}

#[tokio::test]
async fn a_version_that_nobody_speaks_and_one_among_others() {
    let [a, b] = pair(&secrets(&[SECRET]));
    let (mut raw, _) = Raw::session(&b, &a.exchange).await;
    let hello =
        |versions: Value| json!({ "versions": versions, "incarnation": hex(1), "nonce": hex(2), "later": [1] }).to_string();
    let answer = raw.post(HELLO, None, &hello(json!([2, 3]))).await;
    assert_eq!((answer.status, kind(&answer.body)), (422, "version".to_owned()));
    let answer = raw.post(HELLO, None, &hello(json!([2, 1]))).await;
    assert_eq!((answer.status, answer.body["version"].as_u64()), (200, Some(1)));
}

// -------- certificates

/// An authority, and what it has issued.
struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { pem, issuer: rcgen::Issuer::new(params, key) }
    }

    /// What the node of this name shows, who believes `trusted`.
    fn tls(&self, name: &str, trusted: &Self) -> Tls {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Tls::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes(), trusted.pem.as_bytes()).expect("good")
    }
}

#[tokio::test]
async fn certificates_alone_show_who_speaks() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let none = Secrets::default;
    let b = TestNode::start("b", Some(ours.tls("b", &ours)));
    b.know(&[("a", "https://127.0.0.1:1".to_owned(), none()), ("c", "https://127.0.0.1:2".to_owned(), none())]);
    let url = format!("https://{}", b.address);
    let told = async |tls: Option<Tls>, secrets: Secrets, peer: &'static str| {
        let mut a = TestNode::start("a", tls);
        a.know(&[(peer, url.clone(), secrets)]);
        a.tell(1).await
    };
    assert_eq!(told(Some(ours.tls("a", &ours)), none(), "b").await, have(1));
    let refused = |result: Result<Receipt, Undelivered>| match result {
        Err(Undelivered::Refused(refusal)) => Some(refusal),
        Err(Undelivered::Unreachable(_)) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(told(Some(ours.tls("c", &ours)), none(), "b").await), Some(Refusal::Stranger), "another's certificate");
    assert_eq!(refused(told(Some(theirs.tls("a", &ours)), none(), "b").await), None, "another authority's");
    assert_eq!(refused(told(Some(ours.tls("a", &theirs)), none(), "b").await), None, "the hearer's authority is not ours");
    assert_eq!(refused(told(Some(ours.tls("a", &ours)), none(), "d").await), None, "the hearer is somebody else");
    assert_eq!(refused(told(None, none(), "b").await), None, "no certificate");
    assert_eq!((b.notes.versions(), b.notes.met()), (vec![1], 1));
}

#[tokio::test]
async fn secrets_hold_over_tls_too() {
    let ours = Authority::new();
    let b = TestNode::start("b", Some(ours.tls("127.0.0.1", &ours)));
    b.know(&[("a", "https://127.0.0.1:1".to_owned(), secrets(&[SECRET]))]);
    let mut a = TestNode::start("a", Some(ours.tls("somebody", &ours)));
    let url = format!("https://{}", b.address);
    a.know(&[("b", url.clone(), secrets(&[SECRET]))]);
    assert_eq!(a.tell(1).await, have(1), "the certificate is that of the URL's host");
    a.know(&[("b", url, secrets(&[OTHER]))]);
    assert_eq!(a.tell(2).await, Err(Undelivered::Refused(Refusal::Forged)));
}
