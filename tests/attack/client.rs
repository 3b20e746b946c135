//! Those who ask in good faith: 5,000 queries a second over UDP, from 64 networks, and five new connections a second.
//!
//! The queries keep their pace whatever happens to them: they are sent when they are due, not when the last was answered.
//! Networks are many because resolvers are: rate limiting counts by network, and 5,000 queries of one network would be
//! the flood that it is there to stop. A reply counts when it comes within a second, whole, and with an answer.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leeward::wire::RecordType;
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

use crate::harness::query;
use crate::trial::ZONE;

/// Queries per second.
const RATE: u64 = 5000;
const NETWORKS: usize = 64;
/// Names that are asked for, half of them with a record program.
const NAMES: usize = 32;
/// After so long, nobody waits for a reply any more.
const IN_TIME: Duration = Duration::from_secs(1);
/// Between two new connections.
const CONNECTION_PAUSE: Duration = Duration::from_millis(200);

/// What became of the queries.
#[derive(Debug, Default)]
pub struct Outcome {
    pub asked: u64,
    /// Microseconds that each answer took, in order.
    pub took: Vec<u32>,
    pub truncated: u64,
    pub late: u64,
}

impl Outcome {
    pub fn percent(&self) -> f64 {
        100.0 * self.took.len() as f64 / self.asked.max(1) as f64
    }

    /// The latency of the `per_mille` slowest-th answer, in milliseconds.
    pub fn quantile(&self, per_mille: usize) -> f64 {
        let at = (self.took.len() * per_mille / 1000).min(self.took.len().saturating_sub(1));
        self.took.get(at).map_or(f64::NAN, |&micros| f64::from(micros) / 1000.0)
    }
}

/// Asks over UDP for as long as that.
pub fn ask_in_good_faith(server: SocketAddr, how_long: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, asking(server, how_long))
}

async fn asking(server: SocketAddr, how_long: Duration) -> Outcome {
    let notes = Rc::new(RefCell::new(Notes { sent: vec![None; 1 << 16], outcome: Outcome::default() }));
    let sockets: Vec<Rc<UdpSocket>> = (0..NETWORKS).map(|n| Rc::new(socket(n, server))).collect();
    for socket in &sockets {
        tokio::task::spawn_local(listen(Rc::clone(socket), Rc::clone(&notes)));
    }
    let mut queries: Vec<Vec<u8>> = (0..NAMES).map(|n| query(&name(n), RecordType::A, None)).collect();
    let begun = Instant::now();
    let mut asked = 0u64;
    while begun.elapsed() < how_long {
        let due = (begun.elapsed().as_secs_f64() * RATE as f64) as u64;
        while asked < due {
            let id = asked as u16;
            let query = &mut queries[(asked as usize / NETWORKS) % NAMES];
            query[..2].copy_from_slice(&id.to_be_bytes());
            notes.borrow_mut().sent[usize::from(id)] = Some(Instant::now());
            drop(sockets[asked as usize % NETWORKS].try_send(query)); // what cannot be sent is not answered
            asked += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(IN_TIME).await;
    let mut outcome = std::mem::take(&mut notes.borrow_mut().outcome);
    outcome.asked = asked;
    outcome.took.sort_unstable();
    outcome
}

fn name(n: usize) -> String {
    if n.is_multiple_of(2) { format!("w{n}.{ZONE}") } else { format!("p{n}.{ZONE}") }
}

fn socket(n: usize, server: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 200, n as u8, 1), 0)).into()).expect("bound");
    socket.connect(&server.into()).expect("connected");
    socket.set_nonblocking(true).expect("option");
    UdpSocket::from_std(socket.into()).expect("in a runtime")
}

/// When each query was sent, by its id, and what became of them.
struct Notes {
    sent: Vec<Option<Instant>>,
    outcome: Outcome,
}

async fn listen(socket: Rc<UdpSocket>, notes: Rc<RefCell<Notes>>) {
    let mut reply = [0; 4096];
    loop {
        let Ok(len) = socket.recv(&mut reply).await else { continue };
        notes.borrow_mut().take(&reply[..len]);
    }
}

impl Notes {
    fn take(&mut self, reply: &[u8]) {
        let Some(id) = reply.first_chunk::<2>().map(|id| u16::from_be_bytes(*id)) else { return };
        let Some(sent) = self.sent[usize::from(id)].take() else { return };
        let took = sent.elapsed();
        if reply.get(2).is_some_and(|flags| flags & 2 != 0) {
            self.outcome.truncated += 1;
        } else if took > IN_TIME {
            self.outcome.late += 1;
        } else if is_an_answer(reply) {
            self.outcome.took.push(took.as_micros() as u32);
        }
    }
}

/// Whether it is whole, without an error, and with records.
fn is_an_answer(reply: &[u8]) -> bool {
    matches!(reply, [_, _, flags, rcode, _, _, answers @ ..] if flags & 2 == 0 && rcode & 15 == 0 && answers.starts_with(&[0, 1]))
}

/// Asks one query on each new connection until `stop`: how many were asked, and how many answered in time.
pub fn connect_in_good_faith(server: SocketAddr, stop: &AtomicBool) -> (u64, u64) {
    let (mut asked, mut answered) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        asked += 1;
        let begun = Instant::now();
        let whole = asked_once(server, asked as u8).is_ok_and(|reply| is_an_answer(&reply));
        answered += u64::from(whole && begun.elapsed() <= IN_TIME);
        std::thread::sleep(CONNECTION_PAUSE);
    }
    (asked, answered)
}

fn asked_once(server: SocketAddr, n: u8) -> std::io::Result<Vec<u8>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 201, n, 1), 0)).into())?;
    socket.connect_timeout(&server.into(), IN_TIME)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(IN_TIME))?;
    let message = query(&name(usize::from(n) % NAMES), RecordType::A, None);
    stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], &message].concat())?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}
