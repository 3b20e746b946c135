//! `[server]`: where to listen and how to answer.

use std::net::SocketAddr;

use super::check::{HOUR, Host, MILLISECOND, SECOND};
use super::section::{Section, address};
use crate::{answers, server};

/// Keys of the contract whose parts this release does not have.
const LATER: &[&str] =
    &["any", "nsid", "pin", "tcp_per_client", "chaos", "proxy_protocol_from", "freebind", "cookies", "rrl", "tls"];

/// What the section says: for the sockets, and for the answers.
pub(super) fn check(mut section: Section<'_>, host: &Host) -> (server::Config, answers::Options) {
    let listening = listening(&mut section, host);
    let answering = answering(&mut section);
    section.finish(LATER);
    (listening, answering)
}

/// Sockets, connections, threads.
fn listening(section: &mut Section<'_>, host: &Host) -> server::Config {
    const LISTEN: &str = "write addresses with ports, such as [\"192.0.2.1:53\", \"[2001:db8::1]:53\"]";
    let listen = section.list("listen", LISTEN, address).map(|(at, listen)| {
        if listen.is_empty() {
            section.findings.error(&at, "`[server] listen` has no address", LISTEN);
        }
        listen
    });
    let threads = match section.number("udp_threads", 0, 0..=1024) {
        0 => host.cores,
        threads => threads,
    };
    let rcvbuf = section.size("rcvbuf", 4 << 20, 4096..=1 << 30);
    let tcp_max = section.number("tcp_max", (host.descriptors / 2).clamp(1, 4096), 1..=1_000_000);
    let tcp_idle = section.duration("tcp_idle", 10 * SECOND, 100 * MILLISECOND..=HOUR).1;
    let listen_is_default = listen.is_none();
    let loopbacks = || [([127, 0, 0, 1], 5300).into(), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 5300))].to_vec();
    let listen = listen.unwrap_or_else(loopbacks);
    server::Config { listen, listen_is_default, threads, rcvbuf, tcp_max, tcp_idle }
}

/// What of an answer the operator chooses.
fn answering(section: &mut Section<'_>) -> answers::Options {
    answers::Options { ecs: section.flag("ecs", true) }
}
