//! Floods of datagrams, as fast as one thread can send them, or at the rate that `LEEWARD_ATTACK_RATE` says.
//!
//! A forged source is a real one here: every address of 127.0.0.0/8 is the host's own, so a socket can be bound to each
//! "victim", and what the server sends to it can be counted.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use leeward::wire::{Class, Name, QueryBuilder, RecordType};
use socket2::{Domain, Socket, Type};

use crate::trial::{Attack, Tally, ZONE};

/// Packets between two looks at whether to stop.
const BURST: usize = 64;
/// Replies that are read, where they are counted, after each burst.
const READS: usize = 2 * BURST;

/// Where the packets say that they come from.
#[derive(Clone, Copy)]
pub enum From {
    One,
    /// So many addresses, each of a network of its own.
    Many(usize),
}

impl From {
    fn sockets(self, server: SocketAddr) -> Vec<UdpSocket> {
        let count = match self {
            Self::One => 1,
            Self::Many(count) => count,
        };
        (0..count).map(|n| victim(n, server)).collect()
    }
}

fn victim(n: usize, server: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    let address = Ipv4Addr::new(127, 100 + (n >> 8) as u8, n as u8, 1);
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("bound");
    socket.connect(&server.into()).expect("connected");
    socket.set_nonblocking(true).expect("option");
    socket.into()
}

/// What is no query: noise, headers cut short, counts that promise more than there is, loops of pointers, replies.
pub fn malformed() -> Attack {
    let mut random = fastrand::Rng::with_seed(1);
    let packets: Vec<Vec<u8>> = (0..4096).map(|kind| one_malformed(kind, &mut random)).collect();
    Box::new(move |target, tally| flood(&From::One.sockets(target.dns), tally, |n, packet| packet.clone_from(&packets[n % 4096])))
}

fn one_malformed(kind: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut good = a_query(&format!("www.{ZONE}"));
    let at = random.usize(12..good.len());
    match kind % 8 {
        0 => good.truncate(random.usize(0..12)),
        1 => good.truncate(at),
        2 => good[2] |= 0x80,                           // a reply
        3 => good[4..12].fill_with(|| random.u8(..)),   // counts
        4 => good[12..14].copy_from_slice(&[0xC0, 12]), // a pointer to itself
        5 => good[at] = random.u8(..),                  // anything anywhere
        6 => good = (0..random.usize(12..512)).map(|_| random.u8(..) & 0x7F).collect(),
        _ => good.extend((0..random.usize(1..900)).map(|_| random.u8(..))),
    }
    good
}

/// A new name in every query, below `parent` in the zone (or below the apex).
pub fn random_names(parent: &'static str, from: From) -> Attack {
    let dot = if parent.is_empty() { "" } else { "." };
    let template = a_query(&format!("xxxxxxxxxxxxxxxx.{parent}{dot}{ZONE}"));
    let mut random = fastrand::Rng::with_seed(2);
    Box::new(move |target, tally| {
        flood(&from.sockets(target.dns), tally, |_, packet| {
            packet.clone_from(&template);
            packet[13..29].fill_with(|| random.lowercase() as u8);
        });
    })
}

/// The same question always.
pub fn one_name(name: &'static str, from: From) -> Attack {
    let name: Name = format!("{name}.{ZONE}").parse().expect("a name");
    let mut packet = QueryBuilder::new(&name, RecordType::TXT, Class::IN).build();
    packet[11] = 1;
    packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]); // OPT: 1,232 octets may come back
    Box::new(move |target, tally| flood(&from.sockets(target.dns), tally, |_, into| into.clone_from(&packet)))
}

/// What looks like the first packet of a QUIC connection (RFC 9000 17.2.2) until it is decrypted.
pub fn junk() -> Attack {
    let mut random = fastrand::Rng::with_seed(3);
    Box::new(move |target, tally| {
        let quic = target.tls.as_ref().expect("a server with TLS").doq;
        let noise: Vec<u8> = (0..1200).map(|_| random.u8(..)).collect();
        flood(&From::One.sockets(quic), tally, |_, packet| {
            packet.clone_from(&noise);
            // Initial, version 1, connection ids of 8 and 0 octets, no token, the length of the rest.
            packet[..6].copy_from_slice(&[0xC3, 0, 0, 0, 1, 8]);
            packet[6..14].fill_with(|| random.u8(..));
            packet[14..18].copy_from_slice(&[0, 0, 0x40 | (1182u16 >> 8) as u8, 1182u16 as u8]);
        });
    })
}

fn a_query(name: &str) -> Vec<u8> {
    crate::harness::query(name, RecordType::A, None)
}

/// Sends what `make` makes, from one socket after the other, and counts what comes back.
fn flood(sockets: &[UdpSocket], tally: &Arc<Tally>, mut make: impl FnMut(usize, &mut Vec<u8>)) {
    let mut packet = Vec::new();
    let mut n = 0;
    step_back();
    let pause = number("LEEWARD_ATTACK_RATE").map(|rate| Duration::from_secs(BURST as u64) / rate.max(1) as u32);
    let begun = Instant::now();
    while !tally.is_over() {
        let mut octets = 0;
        for _ in 0..BURST {
            make(n, &mut packet);
            octets += sockets[n % sockets.len()].send(&packet).unwrap_or(0);
            n += 1;
        }
        tally.sent(BURST, octets);
        take(sockets, n, tally);
        if let Some(pause) = pause {
            let due = pause * (n / BURST) as u32;
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    (0..sockets.len()).for_each(|n| take(sockets, n * BURST, tally));
}

/// The flood's thread is nicer than the others (`LEEWARD_ATTACK_NICE`, 0 for not at all). Elsewhere a flood is made on
/// another machine; here, making it takes the processor that the server would answer it with.
fn step_back() {
    let nice = number("LEEWARD_ATTACK_NICE").unwrap_or(10);
    rustix::process::setpriority_process(None, nice).expect("one can always be nicer");
}

/// A number from the environment.
fn number(variable: &str) -> Option<i32> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Reads what the sockets of the last burst have got.
fn take(sockets: &[UdpSocket], sent: usize, tally: &Arc<Tally>) {
    let mut reply = [0; 4096];
    for back in 0..BURST.min(sockets.len()) {
        let socket = &sockets[(sent + sockets.len() - 1 - back % sockets.len()) % sockets.len()];
        for _ in 0..READS / sockets.len().min(BURST) {
            let Ok(len) = socket.recv(&mut reply) else { break };
            tally.got(len);
        }
    }
}
