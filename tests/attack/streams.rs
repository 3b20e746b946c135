//! Attacks with connections: hoards of them with one bad habit each, and TLS handshakes without end.
//!
//! The connections come from many addresses, as those of a botnet do, so that what one client may have is not what stops
//! them. A connection that the server closes is opened again at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use leeward::wire::RecordType;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::harness::query;
use crate::trial::{Attack, Tally, Target, Tls, ZONE};

/// The addresses that the connections of a hoard come from.
const SOURCES: usize = 512;
/// Between two looks at every connection.
const ROUND: Duration = Duration::from_millis(20);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Octets written to a connection in a round at most, by those who write as much as they can.
const GULP: usize = 256 * 1024;

/// What the connections of a hoard do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Nothing.
    Idle,
    /// Write a query, an octet a second.
    OctetPerSecond,
    /// Write queries for large answers for as long as there is room, and read nothing.
    NeverRead,
    /// Write some queries, then most of a message of 64 KiB.
    HalfMessage,
    /// Write the beginning of a TLS handshake, to DoT.
    HalfHandshake,
}

/// So many connections at a time.
pub fn hoard(count: usize, habit: Habit) -> Attack {
    Box::new(move |target, tally| {
        let server = if habit == Habit::HalfHandshake { target.tls().dot } else { target.dns };
        let script = script(habit, target);
        let mut hoard: Vec<Option<Held>> = (0..count).map(|_| None).collect();
        while !tally.is_over() {
            let begun = Instant::now();
            for (n, place) in hoard.iter_mut().enumerate() {
                if place.as_mut().is_some_and(|held| !held.goes_on(habit, &script, tally)) {
                    *place = None;
                }
                if place.is_none() && !tally.is_over() {
                    *place = Held::open(n, server, habit, tally);
                }
            }
            std::thread::sleep(ROUND.saturating_sub(begun.elapsed()));
        }
    })
}

/// What is written on each connection, from its beginning; those who never stop begin again.
fn script(habit: Habit, target: &Target) -> Vec<u8> {
    let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    match habit {
        Habit::Idle => Vec::new(),
        Habit::OctetPerSecond => framed(&query(&format!("w0.{ZONE}"), RecordType::A, None)),
        Habit::NeverRead => framed(&query(&format!("huge.{ZONE}"), RecordType::TXT, None)).repeat(500),
        Habit::HalfMessage => {
            let whole = framed(&query(&format!("huge.{ZONE}"), RecordType::TXT, None)).repeat(20);
            [&whole[..], &[0xFF, 0xFF], &vec![0; 65_000]].concat()
        }
        Habit::HalfHandshake => {
            let mut hello = Vec::new();
            handshake(target.tls()).write_tls(&mut hello).expect("written to memory");
            hello.truncate(hello.len() - 1);
            hello
        }
    }
}

/// A connection, and how much of the script it has written.
struct Held {
    stream: TcpStream,
    written: usize,
    next: Instant,
}

impl Held {
    fn open(n: usize, server: SocketAddr, habit: Habit, tally: &Tally) -> Option<Self> {
        let stream = connect_from(source(n), server, matches!(habit, Habit::NeverRead | Habit::HalfMessage)).ok()?;
        tally.sent(1, 0);
        let spread = Duration::from_millis(n as u64 % 1000);
        Some(Self { stream, written: 0, next: Instant::now() + spread })
    }

    /// Does what its habit is; `false`: the server has closed it.
    fn goes_on(&mut self, habit: Habit, script: &[u8], tally: &Tally) -> bool {
        let wrote = match habit {
            Habit::Idle => Ok(0),
            Habit::OctetPerSecond if Instant::now() < self.next => Ok(0),
            Habit::OctetPerSecond => {
                self.next += Duration::from_secs(1);
                self.write(script, 1, false)
            }
            Habit::NeverRead => self.write(script, GULP, true),
            Habit::HalfMessage | Habit::HalfHandshake => self.write(script, GULP, false),
        };
        match wrote {
            Ok(octets) => {
                tally.sent(0, octets);
                habit == Habit::NeverRead || habit == Habit::HalfMessage || self.is_open()
            }
            Err(_) => false,
        }
    }

    /// Writes the next octets, `most` at the most, as far as there is room.
    fn write(&mut self, script: &[u8], most: usize, again: bool) -> std::io::Result<usize> {
        let mut written = 0;
        while written < most {
            if self.written == script.len() && again {
                self.written = 0;
            }
            let rest = &script[self.written..script.len().min(self.written + most - written)];
            if rest.is_empty() {
                break;
            }
            match self.stream.write(rest) {
                Ok(octets) => {
                    self.written += octets;
                    written += octets;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn is_open(&mut self) -> bool {
        match self.stream.read(&mut [0; 4096]) {
            Ok(octets) => octets > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn source(n: usize) -> Ipv4Addr {
    let n = n % SOURCES;
    Ipv4Addr::new(127, 110 + (n >> 8) as u8, n as u8, 1)
}

/// A connection that waits for nothing. A narrow one has little room in the kernel at its own end, which is this host's
/// too: what is looked for is what the server's end takes.
fn connect_from(from: Ipv4Addr, to: SocketAddr, narrow: bool) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if narrow {
        socket.set_recv_buffer_size(4096)?;
        socket.set_send_buffer_size(64 * 1024)?;
    }
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), CONNECT_TIMEOUT)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Handshakes to their end, one after the other, on DoT.
pub fn shake_hands() -> Attack {
    Box::new(|target, tally| {
        let mut n = 0;
        while !tally.is_over() {
            n += 1;
            if shaken(source(n), target.tls()).is_ok() {
                tally.sent(1, 0);
            }
        }
    })
}

fn shaken(from: Ipv4Addr, tls: &Tls) -> std::io::Result<()> {
    let stream = connect_from(from, tls.dot, false)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    let mut stream = StreamOwned::new(handshake(tls), stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(())
}

fn handshake(tls: &Tls) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(tls.root.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}
