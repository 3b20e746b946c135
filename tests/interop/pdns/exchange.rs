//! Many questions to one server over UDP, some dozens at a time.
//!
//! What is lost is asked again; whoever stays silent for that long is broken, as PowerDNS is after some arguments of
//! `view`.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Questions under way at once: as many as any socket's buffer holds the replies to.
const WINDOW: usize = 48;
/// How long a reply may take, and how often a question is asked.
const PATIENCE: Duration = Duration::from_secs(3);
const TIMES: usize = 4;

/// The replies to all questions, in their order.
pub fn ask_all(server: SocketAddr, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let socket = socket(server);
    packets.chunks(WINDOW).zip(0..).flat_map(|(window, number)| ask_window(&socket, server, window, number)).collect()
}

/// The reply to one question, if there is one soon.
pub fn try_ask(server: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
    let socket = socket(server);
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("option");
    socket.send(packet).ok()?;
    let mut reply = vec![0; 4096];
    let len = socket.recv(&mut reply).ok()?;
    Some(reply[..len].to_vec())
}

fn socket(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(server).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("option");
    socket
}

/// Asks a window's questions; `number` tells it from the last, so that a late reply is not taken for another's.
fn ask_window(socket: &UdpSocket, server: SocketAddr, packets: &[Vec<u8>], number: usize) -> Vec<Vec<u8>> {
    let first = (number % 1024 * WINDOW) as u16;
    let mut replies: Vec<Option<Vec<u8>>> = vec![None; packets.len()];
    let mut buffer = [0; 4096];
    for _ in 0..TIMES {
        for (at, packet) in packets.iter().enumerate().filter(|(at, _)| replies[*at].is_none()) {
            let id = (first + at as u16).to_be_bytes();
            socket.send(&[&id, &packet[2..]].concat()).unwrap_or_else(|error| panic!("{server} is gone: {error}"));
        }
        while replies.iter().any(Option::is_none) {
            let Ok(len) = socket.recv(&mut buffer) else { break };
            let at = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]).wrapping_sub(first));
            if let Some(reply) = replies.get_mut(at) {
                *reply = Some(buffer[..len].to_vec());
            }
        }
    }
    replies.into_iter().map(|reply| reply.unwrap_or_else(|| panic!("{server} does not answer"))).collect()
}
