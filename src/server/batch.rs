//! Datagrams in batches: `recvmmsg` and `sendmmsg`, the only file with `unsafe` code.
//!
//! The kernel is given arrays of `mmsghdr` that point into buffers which the same [`Batch`] owns. Every pointer is
//! written anew right before the system call that uses it, from a live `&mut`, and is never read afterwards: so moving
//! a `Batch` is harmless, and each `unsafe` block can be judged by itself.
#![allow(unsafe_code, reason = "batched system calls exist in no safe interface that keeps buffers across calls")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use socket2::Socket;

/// Datagrams per system call. More brings nothing on loopback (measured by others up to 32) and only adds latency.
const WIDTH: usize = 16;
/// The longest datagram that is read: more than any query that is sent over UDP has, with the header of a proxy before it.
/// Of a longer one only [`CUT`] octets are answered.
const REQUEST_MAX: usize = 4096;
/// A DNS header: what was cut off could have been anything, so the rest is kept from passing for a whole message. A
/// header that promises a question without one is malformed.
const CUT: usize = 12;
/// The longest reply over UDP, with room to spare.
const REPLY_MAX: usize = 2048;
/// Room for one IP_PKTINFO or IPV6_PKTINFO control message.
const CONTROL_MAX: usize = 64;

/// Whether a receive waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// For one datagram, as long as the socket's time-out; never for more.
    ForOne,
    /// Not at all.
    No,
}

/// Control messages want the alignment of `cmsghdr`.
#[repr(align(8))]
struct Control([u8; CONTROL_MAX]);

/// What the kernel says of where a datagram arrived, and is told of where its reply is to leave.
#[derive(Clone, Copy)]
enum Arrival {
    /// in_pktinfo { ipi_ifindex: c_int, ipi_spec_dst, ipi_addr: 4 octets each }
    V4,
    /// in6_pktinfo { ipi6_addr: 16 octets, ipi6_ifindex: c_uint }
    V6,
}

impl Control {
    const HEAD: usize = size_of::<libc::cmsghdr>();

    /// What the first `len` octets hold, behind their head: cmsghdr { cmsg_len: size_t, cmsg_level: c_int, cmsg_type: c_int }
    fn arrival(&self, len: usize) -> Option<(Arrival, Range<usize>)> {
        let head = self.0.get(size_of::<libc::size_t>()..Self::HEAD)?;
        let int = |from: usize| head.get(from..from + 4).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes);
        let (arrival, size) = match (int(0)?, int(4)?) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => (Arrival::V4, 12),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => (Arrival::V6, 20),
            _ => return None,
        };
        (Self::HEAD + size <= len).then_some((arrival, Self::HEAD..Self::HEAD + size))
    }

    /// The address that the datagram was sent to.
    fn destination(&self, len: usize) -> Option<IpAddr> {
        let (arrival, range) = self.arrival(len)?;
        let info = self.0.get(range)?;
        match arrival {
            Arrival::V4 => info.last_chunk::<4>().map(|&address| Ipv4Addr::from(address).into()),
            Arrival::V6 => info.first_chunk::<16>().map(|&address| Ipv6Addr::from(address).into()),
        }
    }

    /// The reply leaves from the address that was asked, by whatever interface routing chooses: the interface that the
    /// datagram came in by may not be the way back. A link-local address keeps its interface, without which it means
    /// nothing.
    fn forget_interface(&mut self, len: usize) {
        let Some((arrival, Range { start, .. })) = self.arrival(len) else { return };
        match arrival {
            Arrival::V4 => self.0[start..start + 4].fill(0),
            Arrival::V6 if self.0[start] == 0xFE => {}
            Arrival::V6 => self.0[start + 16..start + 20].fill(0),
        }
    }
}

/// One datagram and its reply.
struct Exchange {
    request: [u8; REQUEST_MAX],
    request_len: usize,
    reply: [u8; REPLY_MAX],
    reply_len: usize,
    peer: libc::sockaddr_storage,
    peer_len: libc::socklen_t,
    control: Control,
    control_len: usize,
}

/// Buffers for one thread.
pub(super) struct Batch {
    exchanges: Box<[Exchange]>,
    received: usize,
    /// Datagrams that the next receive has room for: twice what the last one found, so that a thread that wakes for one does
    /// not go over the memory of sixteen first.
    room: usize,
    headers: [libc::mmsghdr; WIDTH],
    vectors: [libc::iovec; WIDTH],
}

impl Batch {
    pub(super) fn new() -> Self {
        let exchange = || Exchange {
            request: [0; REQUEST_MAX],
            request_len: 0,
            reply: [0; REPLY_MAX],
            reply_len: 0,
            // SAFETY: sockaddr_storage is plain integers; all zero is a value of it (AF_UNSPEC).
            peer: unsafe { zeroed() },
            peer_len: 0,
            control: Control([0; CONTROL_MAX]),
            control_len: 0,
        };
        Self {
            exchanges: (0..WIDTH).map(|_| exchange()).collect(),
            received: 0,
            room: WIDTH,
            // SAFETY: integers and pointers; null pointers with zero lengths are valid values.
            headers: unsafe { zeroed() },
            // SAFETY: as above.
            vectors: unsafe { zeroed() },
        }
    }

    /// Receives as many datagrams as there is room for, at most [`WIDTH`]; 0 after the socket's time-out.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        self.received = 0;
        let slots = self.exchanges.iter_mut().zip(&mut self.headers).zip(&mut self.vectors);
        for ((exchange, header), vector) in slots.take(self.room) {
            *vector = libc::iovec { iov_base: exchange.request.as_mut_ptr().cast(), iov_len: REQUEST_MAX };
            header.msg_hdr.msg_name = (&raw mut exchange.peer).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = exchange.control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_MAX;
            header.msg_hdr.msg_flags = 0;
        }
        let flags = match wait {
            Wait::ForOne => libc::MSG_WAITFORONE,
            Wait::No => libc::MSG_DONTWAIT,
        };
        let room = self.room.min(WIDTH) as libc::c_uint;
        // SAFETY: `room` headers were just pointed at buffers in `self`, of the lengths given, which nothing else
        // touches during the call; the descriptor is open for as long as `socket` is borrowed; no time-out is passed.
        let count = unsafe { libc::recvmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), room, flags, std::ptr::null_mut()) };
        let Ok(count) = usize::try_from(count) else { return nothing_yet(io::Error::last_os_error()) };
        for (exchange, header) in self.exchanges.iter_mut().zip(&self.headers).take(count) {
            let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            exchange.request_len = (header.msg_len as usize).min(if cut { CUT } else { REQUEST_MAX });
            exchange.peer_len = header.msg_hdr.msg_namelen;
            exchange.control_len = header.msg_hdr.msg_controllen.min(CONTROL_MAX);
        }
        self.received = count;
        self.room = (2 * count).clamp(2, WIDTH);
        Ok(count)
    }

    /// Calls `answer((client, the address that it asked), request, reply buffer)` for each datagram; it returns the reply's
    /// length, 0 for none. The address that was asked is there where the kernel was told to report it.
    pub(super) fn answer(&mut self, mut answer: impl FnMut((SocketAddr, Option<IpAddr>), &[u8], &mut [u8]) -> usize) {
        for exchange in &mut self.exchanges[..self.received] {
            let request = &exchange.request[..exchange.request_len];
            exchange.reply_len = match peer_address(&exchange.peer) {
                Some(client) => {
                    let asked = exchange.control.destination(exchange.control_len);
                    answer((client, asked), request, &mut exchange.reply).min(REPLY_MAX)
                }
                None => 0,
            };
        }
    }

    /// Sends the replies. One that the system refuses is skipped: the client asks again.
    pub(super) fn send(&mut self, socket: &UdpSocket) {
        let mut count = 0;
        for exchange in self.exchanges[..self.received].iter_mut().filter(|exchange| exchange.reply_len > 0) {
            exchange.control.forget_interface(exchange.control_len);
            let (header, vector) = (&mut self.headers[count], &mut self.vectors[count]);
            *vector = libc::iovec { iov_base: exchange.reply.as_mut_ptr().cast(), iov_len: exchange.reply_len };
            header.msg_hdr.msg_name = (&raw mut exchange.peer).cast();
            header.msg_hdr.msg_namelen = exchange.peer_len;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = exchange.control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = exchange.control_len;
            header.msg_hdr.msg_flags = 0;
            count += 1;
        }
        let mut sent = 0;
        while sent < count {
            let rest = &mut self.headers[sent..count];
            // SAFETY: each of the `rest.len()` headers was just pointed at one exchange's peer, reply and control
            // buffers with their lengths, all alive in `self`; the descriptor is open.
            let accepted =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, libc::MSG_DONTWAIT) };
            sent += usize::try_from(accepted).unwrap_or(0).max(1); // on an error, the first of the rest is skipped
        }
    }
}

/// A time-out or a signal is no error, just nothing received.
fn nothing_yet(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(0),
        _ => Err(error),
    }
}

fn peer_address(peer: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(peer.ss_family) {
        libc::AF_INET => {
            // SAFETY: sockaddr_storage is large and aligned enough for any address, and its family says which it is.
            let peer = unsafe { &*std::ptr::from_ref(peer).cast::<libc::sockaddr_in>() };
            Some(SocketAddr::new(Ipv4Addr::from_bits(u32::from_be(peer.sin_addr.s_addr)).into(), u16::from_be(peer.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let peer = unsafe { &*std::ptr::from_ref(peer).cast::<libc::sockaddr_in6>() };
            Some(SocketAddr::new(Ipv6Addr::from(peer.sin6_addr.s6_addr).into(), u16::from_be(peer.sin6_port)))
        }
        _ => None,
    }
}

/// Asks the kernel to report the address that each datagram was sent to. Sent back with the reply, it makes the reply
/// leave from there, which a socket bound to a wildcard address cannot know otherwise.
pub(super) fn report_destination(socket: &Socket, v6: bool) -> io::Result<()> {
    let (level, option) = if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    set_option(socket, level, option, 1)
}

/// Has IPv4 replies leave whole or not at all (RFC 9715 3.1), and has ICMP messages, which anyone can forge, not change
/// that. Fragments are what poisons caches; a reply of at most 1,232 octets needs none. The kernel, which need not number
/// the datagrams then, is some 4 % cheaper on loopback. IPv6 has no fragments of this size.
pub(super) fn forbid_fragments(socket: &Socket) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
}

fn set_option(socket: &Socket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both options take a c_int, which `value` is; the descriptor is open.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Echoes what `ask` sends to a socket bound to `bind`; the replies.
    fn echoed(bind: &str, to: &str, asked: usize) -> Vec<(Vec<u8>, IpAddr)> {
        let v6 = bind.starts_with('[');
        let domain = if v6 { socket2::Domain::IPV6 } else { socket2::Domain::IPV4 };
        let server = Socket::new(domain, socket2::Type::DGRAM, None).expect("socket");
        report_destination(&server, v6).expect("option");
        let address: std::net::SocketAddr = bind.parse().expect("address");
        server.bind(&address.into()).expect("bind");
        server.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
        let server = UdpSocket::from(server);
        let port = server.local_addr().expect("bound").port();
        let client = UdpSocket::bind(if v6 { "[::1]:0" } else { "127.0.0.1:0" }).expect("bind");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
        let address: IpAddr = to.parse().expect("address");
        for number in 0..asked {
            client.send_to(&[number as u8, 42], (address, port)).expect("send");
        }
        let mut batch = Batch::new();
        let mut received = 0;
        while received < asked {
            received += batch.receive(&server, Wait::ForOne).expect("receive");
            batch.answer(|(_, asked), request, reply| {
                assert_eq!(asked.map(|asked| asked.to_string()).as_deref(), Some(to), "as the kernel reports it");
                reply[..request.len()].copy_from_slice(request);
                request.len()
            });
            batch.send(&server);
        }
        let mut buf = [0; 64];
        let mut reply = || client.recv_from(&mut buf).map(|(len, from)| (buf[..len].to_vec(), from.ip())).expect("reply");
        (0..asked).map(|_| reply()).collect()
    }

    #[test]
    fn batches_go_out_and_come_back() {
        let replies = echoed("127.0.0.1:0", "127.0.0.1", 40);
        let mut numbers: Vec<u8> = replies.iter().map(|(reply, _)| reply[0]).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..40).collect::<Vec<u8>>());
    }

    #[test]
    fn a_wildcard_socket_replies_from_the_address_that_was_asked() {
        let asked = "127.0.0.7";
        assert_eq!(echoed("0.0.0.0:0", asked, 1)[0].1, asked.parse::<IpAddr>().expect("address"));
    }

    #[test]
    fn nothing_to_receive_is_no_error() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        assert_eq!(Batch::new().receive(&socket, Wait::No).expect("no error"), 0);
    }
}
