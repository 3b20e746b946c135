//! Packets to a server and back, over UDP and TCP.
//!
//! A server that does not answer is told from a lost packet by a sentinel: a question that is always answered, sent
//! after it. When the sentinel's answer has come and the other has not, three times, the server is silent: each server
//! has one thread for UDP, so it answers in order. So silence
//! costs milliseconds, and no time limit decides unless everything is broken.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::question::{Question, Transport, of_line};

/// How long a reply may take before the sentinel is sent; only silent servers make anyone wait for it.
const SOON: Duration = Duration::from_millis(60);
/// How long the sentinel's reply may take.
const PATIENCE: Duration = Duration::from_secs(5);
const SENTINEL_ID: [u8; 2] = [0xFF, 0xFF];
/// Times that silence is believed only when repeated.
const TIMES: usize = 3;

/// The replies of one server to all questions, in their order; `None`: silence.
pub fn ask_all(server: SocketAddr, questions: &[Question]) -> Vec<Option<Vec<u8>>> {
    let mut asker = Asker::new(server);
    questions.iter().enumerate().map(|(at, question)| asker.ask(at, question)).collect()
}

struct Asker {
    server: SocketAddr,
    udp: UdpSocket,
    tcp: Option<TcpStream>,
    sentinel: Vec<u8>,
}

impl Asker {
    fn new(server: SocketAddr) -> Self {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        udp.connect(server).expect("connected");
        let mut sentinel = of_line("sentinel", "ent.test SOA").remove(0).packet;
        sentinel[..2].copy_from_slice(&SENTINEL_ID);
        Self { server, udp, tcp: None, sentinel }
    }

    fn ask(&mut self, at: usize, question: &Question) -> Option<Vec<u8>> {
        let mut packet = question.packet.clone();
        let id = ((at % 0xFFF0) as u16).to_be_bytes();
        let len = packet.len().min(2);
        packet[..len].copy_from_slice(&id[..len]);
        (0..TIMES).find_map(|_| match question.transport {
            Transport::Udp => self.over_udp(&packet),
            Transport::Tcp => self.over_tcp(&packet),
        })
    }

    fn over_udp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.udp.send(packet).ok()?;
        if let Some(reply) = self.receive(SOON, packet) {
            return Some(reply);
        }
        self.udp.send(&self.sentinel).ok()?;
        match self.receive(PATIENCE, packet) {
            Some(reply) if reply.starts_with(&SENTINEL_ID) => self.receive(SOON, packet),
            other => other,
        }
    }

    /// The next datagram that belongs to `packet` or to the sentinel.
    fn receive(&self, limit: Duration, packet: &[u8]) -> Option<Vec<u8>> {
        self.udp.set_read_timeout(Some(limit)).expect("option");
        let mut reply = vec![0; 65_535];
        loop {
            let len = self.udp.recv(&mut reply).ok()?;
            if reply[..len].starts_with(&packet[..packet.len().min(2)]) || reply.starts_with(&SENTINEL_ID) {
                reply.truncate(len);
                return Some(reply);
            }
        }
    }

    fn over_tcp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let reply = self.exchange(packet);
        if reply.is_none() {
            self.tcp = None;
        }
        reply
    }

    fn exchange(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        if self.tcp.is_none() {
            let stream = TcpStream::connect(self.server).ok()?;
            stream.set_nodelay(true).expect("option");
            self.tcp = Some(stream);
        }
        let stream = self.tcp.as_mut()?;
        stream.write_all(&frame(packet)).ok()?;
        match read_frame(stream, SOON) {
            Ok(reply) => return Some(reply),
            Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
        // Two replies may come now; whatever is not read ends with the connection.
        let mut stream = self.tcp.take()?;
        stream.write_all(&frame(&self.sentinel)).ok()?;
        read_frame(&mut stream, PATIENCE).ok().filter(|reply| !reply.starts_with(&SENTINEL_ID))
    }
}

/// Sends all packets at once over one connection; the ids of the replies, in the order in which they come.
pub fn pipelined(server: SocketAddr, packets: &[Vec<u8>]) -> Vec<u16> {
    let mut stream = TcpStream::connect(server).expect("connected");
    let numbered = packets.iter().zip(0_u16..).map(|(packet, id)| [&id.to_be_bytes()[..], &packet[2..]].concat());
    stream.write_all(&numbered.map(|packet| frame(&packet)).collect::<Vec<_>>().concat()).expect("sent");
    let replies = packets.iter().map_while(|_| read_frame(&mut stream, PATIENCE).ok());
    replies.filter_map(|reply| reply.first_chunk().map(|&id| u16::from_be_bytes(id))).collect()
}

/// A message with the length in front that TCP wants (RFC 1035 4.2.2).
fn frame(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes()[..], packet].concat()
}

/// The next message of a connection.
fn read_frame(stream: &mut TcpStream, limit: Duration) -> Result<Vec<u8>, ErrorKind> {
    stream.set_read_timeout(Some(limit)).expect("option");
    let mut len = [0; 2];
    stream.read_exact(&mut len).map_err(|error| error.kind())?;
    stream.set_read_timeout(Some(PATIENCE)).expect("option");
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).map_err(|error| error.kind())?;
    Ok(reply)
}
