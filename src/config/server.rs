//! `[server]`: where to listen and how to answer.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::check::{HOUR, Host, MILLISECOND, SECOND};
use super::finding::{Findings, Place};
use super::section::{Section, address};
use super::tls;
use crate::answers::{Any, Cookies, Options, RateLimits, Secret};
use crate::geo::Net;
use crate::server;
use crate::wire::NSID_MAX;

/// Octets of a socket's buffer.
const SOCKET_BUFFER: RangeInclusive<usize> = 4096..=1 << 30;

/// Connections of one client. A resolver needs one (RFC 7766 6.2.2); this leaves room for many resolvers behind one
/// address, and takes 64 clients to fill the default `tcp_max`.
const PER_CLIENT: usize = 64;

/// What the section says: for the sockets, who speaks for others, and for the answers.
pub(super) fn check(mut section: Section<'_>, host: &Host) -> (server::Config, Vec<Net>, Options) {
    let listening = listening(&mut section, host);
    let proxies = proxies(&mut section);
    let answering = answering(&mut section, listening.tcp_idle);
    section.finish(&[]);
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
    let cpus = host.cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let pin_remedy = format!("write numbers of processors, such as [0, 1]; leeward may use {cpus}");
    let pin = section.numbers("pin", &pin_remedy, |cpu| host.cpus.contains(&cpu), "no processor that leeward may use");
    let rcvbuf = section.size("rcvbuf", SOCKET_BUFFER).unwrap_or(4 << 20);
    let sndbuf = section.size("sndbuf", SOCKET_BUFFER);
    let tcp_max = section.number("tcp_max", (host.descriptors / 2).clamp(1, 4096), 1..=1_000_000);
    let tcp_per_client = section.number("tcp_per_client", PER_CLIENT, 1..=1_000_000);
    let tcp_idle = section.duration("tcp_idle", 10 * SECOND, 100 * MILLISECOND..=HOUR).1;
    let freebind = section.flag("freebind", false);
    let listen_is_default = listen.is_none();
    let loopbacks = || [([127, 0, 0, 1], 5300).into(), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 5300))].to_vec();
    let listen = listen.unwrap_or_else(loopbacks);
    let tls = tls::check(section.section("tls"), &listen);
    server::Config { listen, listen_is_default, freebind, threads, pin, rcvbuf, sndbuf, tcp_max, tcp_per_client, tcp_idle, tls }
}

/// The networks of proxies, which must say who their client is.
fn proxies(section: &mut Section<'_>) -> Vec<Net> {
    const PROXIES: &str = "write prefixes such as [\"192.0.2.0/24\", \"2001:db8::/32\"]";
    section.list("proxy_protocol_from", PROXIES, str::parse::<Net>).map(|(_, proxies)| proxies).unwrap_or_default()
}

/// What of an answer the operator chooses.
fn answering(section: &mut Section<'_>, tcp_idle: Duration) -> Options {
    const ANY: &str = "write \"minimal\" or \"full\"";
    const NSID: &str = "write 1 to 64 printable ASCII characters, such as \"eu-1\"";
    let ecs = section.flag("ecs", true);
    let any = section.parsed("any", ANY, |text| match text {
        "minimal" => Ok(Any::Minimal),
        "full" => Ok(Any::Full),
        _ => Err("neither"),
    });
    let nsid = section.parsed("nsid", NSID, |text| {
        let fits = (1..=NSID_MAX).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if fits { Ok(text.as_bytes().into()) } else { Err("no such text") }
    });
    let chaos = section.flag("chaos", true);
    let cookies = cookies(section.section("cookies"));
    let rate = rate(section.section("rrl"));
    Options {
        ecs,
        any: any.map(|(_, any)| any).unwrap_or_default(),
        nsid: nsid.map(|(_, nsid)| nsid),
        chaos,
        tcp_idle,
        cookies,
        rate,
        ..Options::default()
    }
}

/// `[server.cookies]`.
fn cookies(mut section: Section<'_>) -> Option<Cookies> {
    const FILES: &str = "write paths, the secret that makes cookies first: [\"new.secret\", \"old.secret\"]";
    let enabled = section.flag("enabled", true);
    let required = section.flag("required", false);
    let files = section.paths("secret_files", FILES);
    let secrets = files.iter().filter_map(|(at, path)| secret(path, at, section.findings)).collect();
    section.finish(&[]);
    enabled.then_some(Cookies { secrets, required })
}

/// A file with 128 bits in hexadecimal.
fn secret(path: &Path, at: &Place, findings: &mut Findings) -> Option<Secret> {
    const MAKE: &str = "make one with: openssl rand -hex 16";
    let text = super::check::secret_text(path, at, "cookie secret", MAKE, findings)?;
    let octet = |place: usize| u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok();
    let octets: Option<Vec<u8>> = (0..16).map(octet).collect();
    let secret = octets.filter(|_| text.len() == 32).and_then(|octets| octets.try_into().ok()).map(Secret::new);
    if secret.is_none() {
        findings.error(at, format!("{} does not hold 32 hexadecimal digits", path.display()), MAKE);
    }
    secret
}

/// `[server.rrl]`: off unless `per_second` is given.
fn rate(mut section: Section<'_>) -> Option<RateLimits> {
    const EXEMPT: &str = "write prefixes such as [\"192.0.2.0/24\"]";
    let prefix = |section: &mut Section<'_>, key, default, max| section.number(key, default, 1..=max) as u8;
    let limits = RateLimits {
        per_second: section.number("per_second", 0, 0..=100_000) as u32,
        slip: section.number("slip", 2, 0..=100) as u32,
        ipv4_prefix: prefix(&mut section, "ipv4_prefix", 24, 32),
        ipv6_prefix: prefix(&mut section, "ipv6_prefix", 56, 128),
        exempt: section.list("exempt", EXEMPT, str::parse::<Net>).map(|(_, exempt)| exempt).unwrap_or_default(),
        table_size: section.number("table_size", 1 << 18, 1 << 10..=1 << 24),
    };
    section.finish(&[]);
    (limits.per_second > 0).then_some(limits)
}
