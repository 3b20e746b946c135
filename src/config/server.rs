//! `[server]`: where to listen and how to answer.

use std::net::SocketAddr;

use super::check::{HOUR, Host, MILLISECOND, SECOND};
use super::section::{Section, address};
use super::{Net, tls};
use crate::{answers, server};

/// Keys of the contract whose parts this release does not have.
const LATER: &[&str] = &["any", "nsid", "pin", "chaos", "cookies", "rrl"];

/// Connections of one client. A resolver needs one (RFC 7766 6.2.2); this leaves room for many resolvers behind one
/// address, and takes 64 clients to fill the default `tcp_max`.
const PER_CLIENT: usize = 64;

/// What the section says: for the sockets, who speaks for others, and for the answers.
pub(super) fn check(mut section: Section<'_>, host: &Host) -> (server::Config, Vec<Net>, answers::Options) {
    let listening = listening(&mut section, host);
    let proxies = proxies(&mut section);
    let answering = answering(&mut section);
    section.finish(LATER);
    (listening, proxies, answering)
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
    let tcp_per_client = section.number("tcp_per_client", PER_CLIENT, 1..=1_000_000);
    let tcp_idle = section.duration("tcp_idle", 10 * SECOND, 100 * MILLISECOND..=HOUR).1;
    let freebind = section.flag("freebind", false);
    let listen_is_default = listen.is_none();
    let loopbacks = || [([127, 0, 0, 1], 5300).into(), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 5300))].to_vec();
    let listen = listen.unwrap_or_else(loopbacks);
    let tls = tls::check(section.section("tls"), &listen);
    server::Config { listen, listen_is_default, freebind, threads, rcvbuf, tcp_max, tcp_per_client, tcp_idle, tls }
}

/// The networks of proxies, which must say who their client is.
fn proxies(section: &mut Section<'_>) -> Vec<Net> {
    const PROXIES: &str = "write prefixes such as [\"192.0.2.0/24\", \"2001:db8::/32\"]";
    section.list("proxy_protocol_from", PROXIES, str::parse::<Net>).map(|(_, proxies)| proxies).unwrap_or_default()
}

/// What of an answer the operator chooses.
fn answering(section: &mut Section<'_>) -> answers::Options {
    answers::Options { ecs: section.flag("ecs", true) }
}
