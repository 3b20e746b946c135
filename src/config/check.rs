//! The raw tree → [`Config`]: which keys there are, their defaults, bounds and relations.
//!
//! One function per section, which asks for the section's keys in the order of the manual. Each gives a usable value
//! whatever it finds; whether the whole may be used is for the findings to say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::CpuSet;
use sha2::{Digest, Sha256};
use socket2::{Domain, Protocol, Socket, Type};

use super::finding::{Findings, Place};
use super::peers::Region;
use super::raw::Table;
use super::section::{Section, address};
use super::sites::Listed;
use super::vote::vote;
use super::{Config, Node, OverridesFile, Said};
use crate::answers::Options;
use crate::geo::{Fence, Net, SiteMaps, Sites};
use crate::program::{Atlas, Defaults, Limits};
use crate::target::Pools;
use crate::wire::Name;
use crate::{api, health, prober};

/// Keys of the contract whose parts this release does not have, by section.
mod later {
    pub(super) const ROOT: &[&str] = &["service"];
}

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
/// As the library that reads times counts it, so that the bound has a short name.
const YEAR: Duration = Duration::from_secs(31_557_600);

/// Longest path of a Unix socket: `sun_path` with its closing zero.
const SOCKET_PATH_MAX: usize = 107;
/// Shortest token: 128 bits in hexadecimal are twice as long.
const TOKEN_MIN: usize = 16;
/// Most octets of a file that holds a secret.
const SECRET_FILE_MAX: u64 = 4096;

/// What may be written for a jitter.
pub(super) const JITTER: &str = "write a share of the interval such as \"10%\", from 0% to 50%";

/// What the host gives: some defaults follow from it.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// Its name.
    pub(super) name: String,
    /// How many processors we may use.
    pub(super) cores: usize,
    /// Those that we may run on, by the system's numbers.
    pub(super) cpus: Vec<usize>,
    /// How many descriptors we may have open.
    pub(super) descriptors: usize,
    /// Whether it grants us sockets for ICMP.
    pub(super) pings: bool,
}

impl Host {
    /// This one.
    pub(super) fn this() -> Self {
        let allowed = rustix::thread::sched_getaffinity(None);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self {
            name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpus: (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.as_ref().is_ok_and(|allowed| allowed.is_set(cpu))).collect(),
            pings: Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).is_ok(),
            descriptors: limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        }
    }
}

/// The checked form of `tree`, which was read from `top` and what it includes.
pub(super) fn check(tree: Table, top: &Path, files: Vec<PathBuf>, host: &Host, findings: &mut Findings) -> Config {
    let mut root = Section::root(tree, findings);
    let (mut node, region, overrides) = node(root.section("node"), host);
    let (server, proxies, answering) = super::server::check(root.section("server"), host);
    let (insert_whitespace, programs, resolver) = lua(root.section("lua"));
    let (prober, fence, max_checks) = prober(root.section("prober"), host);
    let mut health = health(root.section("health"), &fence);
    health.max_checks = max_checks.as_ref().map(|(_, max)| *max);
    let named = super::checks::checks(&mut root, &health, host.pings);
    let publish_interval = publish(root.section("publish"));
    let sites = super::sites::sites(&mut root);
    let (databases, maps, listed) = geo(root.section("geo"), &sites);
    let pools = super::pools::pools(&mut root, &health, (&named, &sites, &maps), &fence);
    if let Some((at, max)) = max_checks {
        judge_max_checks(&pools, max, &at, root.findings);
    }
    let atlas = Atlas { sites, maps };
    let atlas = (atlas != Atlas::default()).then(|| Arc::new(atlas));
    let (interval, timeout, damped) = (health.interval, health.timeout, health.damped());
    let checks = Defaults { interval, timeout, damped, named, pools, atlas };
    let answering = Options { programs, checks, ..answering };
    let (admin, tokens) = admin(root.section("admin"));
    let notify = super::notify::notify(&mut root);
    let (peers, fleet) = super::peers::peers(&mut root, &node.name, region);
    node.region = fleet.region.clone();
    health.fleet = fleet;
    let zones = zones(&mut root, top);
    root.finish(later::ROOT);
    Config {
        node,
        server,
        proxies,
        answering,
        health,
        publish_interval,
        databases,
        listed,
        overrides,
        insert_whitespace,
        resolver,
        prober,
        fence,
        admin,
        tokens,
        notify,
        peers,
        zones,
        files,
    }
}

/// Who we are, where we say that we stand, and the overrides file, which is read by itself.
fn node(mut section: Section<'_>, host: &Host) -> (Node, Option<Region>, Option<OverridesFile>) {
    const OVERRIDES: &str = "write the path of a file of overrides, such as \"overrides.toml\"";
    const NAME: &str = "write letters, digits, `-`, `_` and `.`, at most 253 of them";
    const STATE_DIR: &str = "write a directory such as \"/var/lib/leeward\"";
    let name = section.parsed("name", NAME, |text| match node_name(text) {
        true => Ok(text.to_owned()),
        false => Err("no name for a node"),
    });
    let region = super::peers::region(&mut section);
    let state_dir = section.path("state_dir", STATE_DIR).and_then(|(at, path)| non_empty(&mut section, "state_dir", &at, path));
    let file = section.path("overrides_file", OVERRIDES);
    let file = file.and_then(|(at, path)| non_empty(&mut section, "overrides_file", &at, path));
    section.finish(&[]);
    let node = Node {
        name: name.map_or_else(|| default_name(&host.name), |(_, name)| name),
        region: "".into(),
        state_dir: state_dir.unwrap_or_else(|| "/var/lib/leeward".into()),
    };
    (node, region, file.map(|path| OverridesFile { path, stamp: None, said: Said::Missing }))
}

pub(super) fn node_name(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The host's name, with `-` for what no node's name may have.
fn default_name(host: &str) -> String {
    let name: String = host.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    if node_name(&name) { name } else { "localhost".into() }
}

pub(super) fn non_empty(section: &mut Section<'_>, key: &str, at: &Place, path: Option<PathBuf>) -> Option<PathBuf> {
    if path.is_none() {
        section.findings.error(at, format!("{} is empty", section.spell(key)), "write a path, or remove the key");
    }
    path
}

/// How strings are joined, what a run of a program may use, and whom `resolve()` asks.
fn lua(mut section: Section<'_>) -> (bool, Limits, Option<SocketAddr>) {
    const STATE: &str = "write \"fresh\" or \"shared\"";
    const RESOLVER: &str = "write an address and a port, such as \"127.0.0.53:53\"";
    const MEMORY: &str = "write a size from 64KiB to 1GiB, such as \"1MiB\"";
    let default = Limits::default();
    let insert_whitespace = section.flag("insert_whitespace", false);
    let shared = section.parsed("state", STATE, |text| match text {
        "fresh" => Ok(false),
        "shared" => Ok(true),
        _ => Err("neither"),
    });
    let memory = section.parsed("memory_limit", MEMORY, |text| {
        octets(text).filter(|size| (1 << 16..=1 << 30).contains(size)).ok_or("no such size")
    });
    let programs = Limits {
        shared: shared.map_or(default.shared, |(_, shared)| shared),
        steps: section.number("step_limit", default.steps as usize, 1..=10_000_000) as u32,
        time: section.duration("time_limit", default.time, MILLISECOND..=SECOND).1,
        memory: memory.map_or(default.memory, |(_, memory)| memory),
    };
    let resolver = section.parsed("resolver", RESOLVER, str::parse::<SocketAddr>).map(|(_, server)| server);
    section.finish(&[]);
    (insert_whitespace, programs, resolver)
}

/// A size with a unit of IEC 80000-13, in octets.
fn octets(text: &str) -> Option<usize> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (digits, shift) = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
    digits.trim_end().parse::<usize>().ok()?.checked_shl(*shift)
}

fn health(mut section: Section<'_>, fence: &Fence) -> health::Config {
    let default = health::Config::default();
    let (interval_at, interval) = section.duration("interval", default.interval, 100 * MILLISECOND..=DAY);
    let (timeout_at, timeout) = section.duration("timeout", default.timeout, MILLISECOND..=HOUR);
    if let Some(at) = timeout_at.or(interval_at).filter(|_| timeout > interval) {
        let [timeout, interval] = [timeout, interval].map(humantime::format_duration);
        let message = format!("`[health] timeout` ({timeout}) is longer than `[health] interval` ({interval})");
        section.findings.warning(&at, message, "a probe should end before the next is due: shorten the timeout");
    }
    let startup_wait = section.duration("startup_wait", default.startup_wait, Duration::ZERO..=HOUR).1;
    let restore_max_age = section.duration("restore_max_age", default.restore_max_age, Duration::ZERO..=YEAR).1;
    let hold = section.duration("hold", default.hold, SECOND..=YEAR).1;
    let fall = results(&mut section, "fall", default.fall);
    let rise = results(&mut section, "rise", default.rise);
    let forget = results(&mut section, "forget", default.forget);
    let (retry_at, retry_interval) = section.duration("retry_interval", default.retry_interval, 50 * MILLISECOND..=DAY);
    if let Some(at) = retry_at.filter(|_| retry_interval > interval) {
        let [retry, interval] = [retry_interval, interval].map(humantime::format_duration);
        let message = format!("`[health] retry_interval` ({retry}) is longer than `[health] interval` ({interval})");
        section.findings.warning(&at, message, "nothing is asked again later than at the interval: shorten it");
    }
    let jitter = section.parsed("jitter", JITTER, percent).map_or(default.jitter, |(_, jitter)| jitter);
    let vote = vote(&mut section).unwrap_or(default.vote);
    let (slow_at, slow) = section.duration("slow", timeout, MILLISECOND..=HOUR);
    let slow = slow_at.as_ref().map(|_| slow);
    if let Some(at) = slow_at.filter(|_| slow >= Some(timeout)) {
        let timeout = humantime::format_duration(timeout);
        let message = format!("`[health] slow` is not below `[health] timeout` ({timeout}), so nothing is slow");
        section.findings.warning(&at, message, "use a shorter time, or a longer timeout");
    }
    let damped = section.flag("damped", default.damped);
    let (damping, damped_rise) = damping(section.section("damping"));
    let isolation = section.flag("isolation", default.isolation);
    let control = controls(&mut section, isolation, fence);
    section.finish(&[]);
    health::Config {
        isolation,
        control,
        interval,
        timeout,
        startup_wait,
        restore_max_age,
        hold,
        fall,
        rise,
        forget,
        retry_interval,
        slow,
        jitter,
        damped,
        damping,
        damped_rise,
        max_checks: None,
        fleet: health::Fleet::default(),
        vote,
    }
}

/// Whom to ask whether we are cut off.
fn controls(section: &mut Section<'_>, isolation: bool, fence: &Fence) -> Vec<SocketAddr> {
    const CONTROL: &str =
        "write addresses with ports that take TCP connections, such as [\"192.0.2.1:53\", \"[2001:db8::1]:443\"]";
    let Some((at, control)) = section.list("control", CONTROL, address) else { return Vec::new() };
    for (to, why) in control.iter().filter_map(|to| Some((to, fence.forbids(to.ip())?))) {
        let message = format!("`[health] control` has {to}, which may not be probed: {why}");
        section.findings.error(&at, message, "name another, or allow it");
    }
    if !isolation && !control.is_empty() {
        section.findings.warning(&at, "`[health] control` is asked for nothing: `isolation` is off", "remove one of them");
    } else if control.len() == 1 {
        let message = "`[health] control` has one address, whose failure alone holds all verdicts";
        section.findings.warning(&at, message, "name two or more that fail apart from each other");
    }
    control
}

/// `[health.damping]`, and the passes in a row that it asks for.
fn damping(mut section: Section<'_>) -> (health::Damping, u16) {
    const POINTS: RangeInclusive<usize> = 1..=1_000_000;
    const LONGER: &str = "allow a longer time, or more half-lives in it";
    let default = health::Damping::default();
    let at = ["suppress", "reuse", "longest", "half_life"].iter().find_map(|key| section.place(key));
    let mut points = |key, default: u32| u32::try_from(section.number(key, default as usize, POINTS)).unwrap_or(default);
    let [penalty, suppress, reuse] = [("penalty", default.penalty), ("suppress", default.suppress), ("reuse", default.reuse)]
        .map(|(key, default)| points(key, default));
    let half_life = section.duration("half_life", default.half_life, SECOND..=HOUR).1;
    let longest = section.duration("longest", default.longest, SECOND..=DAY).1;
    let damping = health::Damping { penalty, suppress, reuse, half_life, longest };
    let ceiling = damping.ceiling();
    if let Some(at) = at.as_ref().filter(|_| reuse >= suppress) {
        let message = format!("`[health.damping] reuse` ({reuse}) is not below `suppress` ({suppress})");
        section.findings.error(at, message, "a target is held back from `suppress` on, until it is below `reuse`");
    } else if let Some(at) = at.as_ref().filter(|_| ceiling < suppress) {
        let longest = humantime::format_duration(longest);
        let message =
            format!("`[health.damping] suppress` ({suppress}) is above {ceiling}, from where `longest` ({longest}) leads");
        section.findings.error(at, message, LONGER);
    }
    let rise = results(&mut section, "rise", health::Config::default().damped_rise);
    section.finish(&[]);
    (damping, rise)
}

/// A number of results of probes.
fn results(section: &mut Section<'_>, key: &'static str, default: u16) -> u16 {
    u16::try_from(section.number(key, default.into(), 1..=1000)).unwrap_or(default)
}

pub(super) fn percent(text: &str) -> Result<u8, &'static str> {
    let number = text.strip_suffix('%').and_then(|number| number.parse().ok());
    number.filter(|number| (0..=50).contains(number)).ok_or("no such share")
}

/// Complains where the pools alone ask for more checks than there may be.
fn judge_max_checks(pools: &Pools, max: usize, at: &Place, findings: &mut Findings) {
    let faces = pools.iter().flat_map(|pool| pool.faces());
    let asked = faces.map(|(_, face)| face.check.spec.key()).collect::<BTreeSet<_>>().len();
    if asked > max {
        let message = format!("`[prober] max_checks` is {max}, and the pools alone have {asked}");
        findings.error(at, message, "raise it, or have fewer members probed");
    }
}

fn prober(mut section: Section<'_>, host: &Host) -> (prober::Config, Fence, Option<(Place, usize)>) {
    const DENY: &str = "write prefixes such as [\"169.254.0.0/16\", \"fe80::/10\"]";
    let max_in_flight = section.number("max_in_flight", (host.descriptors / 4).clamp(1, 1024), 1..=65536);
    let max_proc = section.number("max_proc", prober::Config::default().max_proc, 1..=1024);
    let max_per_target = section.number("max_per_target", prober::Config::default().max_per_target, 1..=65536);
    let threads = section.number("threads", prober::Config::default().threads, 1..=256);
    let deny = section.list("deny", DENY, str::parse::<Net>);
    let metadata = std::net::IpAddr::from([169, 254, 169, 254]);
    if let Some((at, _)) = deny.as_ref().filter(|(_, deny)| !deny.iter().any(|net| net.contains(metadata))) {
        let message = "`[prober] deny` leaves out 169.254.0.0/16, where clouds keep the credentials of this host";
        section.findings.warning(at, message, "the list replaces the default: name 169.254.0.0/16 and fe80::/10 too");
    }
    let deny = deny.map(|(_, deny)| deny);
    let allow = section.list("allow", DENY, str::parse::<Net>).map(|(_, allow)| allow);
    let at = section.place("max_checks");
    let max_checks = at.zip(section.given_number("max_checks", 1..=10_000_000));
    section.finish(&[]);
    let link_local = || ["169.254.0.0/16", "fe80::/10"].iter().filter_map(|net| net.parse().ok()).collect();
    let config = prober::Config { max_in_flight, max_proc, max_per_target, threads };
    (config, Fence { deny: deny.unwrap_or_else(link_local), allow }, max_checks)
}

/// The shortest time between two publications.
fn publish(mut section: Section<'_>) -> Duration {
    const RANGE: RangeInclusive<usize> = 1..=10_000;
    let per_second = section.number("max_per_second", 100, RANGE);
    section.finish(&[]);
    SECOND / u32::try_from(per_second).unwrap_or(1)
}

/// The databases of places, the maps of clients to sites, and what of these is in files.
fn geo(mut section: Section<'_>, sites: &Sites) -> (Vec<PathBuf>, SiteMaps, Vec<Listed>) {
    const DATABASES: &str = "write paths such as [\"GeoLite2-City.mmdb\", \"GeoLite2-ASN.mmdb\"]";
    let databases = section.paths("databases", DATABASES);
    let (maps, listed) = super::sites::maps(&mut section, sites, !databases.is_empty());
    section.finish(&[]);
    (databases.into_iter().map(|(_, path)| path).collect(), maps, listed)
}

/// The listeners and tokens, and a digest of all the tokens.
fn admin(mut section: Section<'_>) -> (api::Config, [u8; 32]) {
    const SOCKET: &str = "write a path such as \"/run/leeward/control.sock\", or \"\" for none";
    const LISTEN: &str = "write an address with port, such as \"127.0.0.1:8053\", or \"\" for none";
    let socket = section.path("socket", SOCKET).map(|(at, path)| {
        if path.as_ref().is_some_and(|path| path.as_os_str().len() > SOCKET_PATH_MAX) {
            let message = format!("`[admin] socket` is longer than {SOCKET_PATH_MAX} octets");
            section.findings.error(&at, message, "the system allows no longer path for a socket: use a shorter one");
        }
        path
    });
    let optional = |text: &str| if text.is_empty() { Ok(None) } else { address(text).map(Some) };
    let listen = section.parsed("listen", LISTEN, optional);
    let named = section.named("token");
    if let Some((at, Some(listen))) = &listen
        && named.is_empty()
        && !listen.ip().to_canonical().is_loopback()
    {
        let message = format!("`[admin] listen` is {listen}, which others can reach, and there is no token");
        section.findings.missing(at, message, "add [admin.token.NAME], or listen on 127.0.0.1 or [::1]");
    }
    let (tokens, digest) = tokens(&mut section, named);
    section.finish(&[]);
    let config = api::Config {
        socket: socket.unwrap_or_else(|| Some("/run/leeward/control.sock".into())),
        listen: listen.map_or_else(|| Some(([127, 0, 0, 1], 8053).into()), |(_, listen)| listen),
        tokens,
    };
    (config, digest)
}

/// The tokens, and a digest of all their names, roles and secrets.
fn tokens(admin: &mut Section<'_>, named: Vec<(String, Place, Table)>) -> (Vec<api::Token>, [u8; 32]) {
    const ROLE: &str = "write \"read\", \"operate\" or \"admin\"";
    const FILE: &str = "write the path of a file that holds the token";
    let mut tokens: Vec<api::Token> = Vec::new();
    let mut digest = Sha256::new();
    for (name, at, table) in named {
        let mut section = admin.below("token", &name, table);
        section.require("file", &at, FILE);
        section.require("role", &at, ROLE);
        let file = section.path("file", FILE);
        let file = file.and_then(|(at, path)| Some((non_empty(&mut section, "file", &at, path)?, at)));
        let role = section.parsed("role", ROLE, |text| role(text).ok_or("no role"));
        let text = file.and_then(|(path, at)| Some((token_text(&path, &at, section.findings)?, at)));
        if let (Some((text, at)), Some((_, role))) = (text, role) {
            if let Some(twin) = tokens.iter().find(|token| token.secret.is(text.as_bytes())) {
                let message = format!("token `{name}` is the same as token `{}`", twin.name);
                section.findings.error(&at, message, "a caller is known by the token alone: give each its own");
            }
            for part in [&name, role.as_str(), &text] {
                digest.update(Sha256::digest(part.as_bytes()));
            }
            tokens.extend(api::Secret::new(&text).map(|secret| api::Token { name, secret, role }));
        }
        section.finish(&[]);
    }
    (tokens, digest.finalize().into())
}

fn role(text: &str) -> Option<api::Role> {
    [api::Role::Read, api::Role::Operate, api::Role::Admin].into_iter().find(|role| role.as_str() == text)
}

/// The text of a token file, without the white space around it.
pub(super) fn token_text(path: &Path, at: &Place, findings: &mut Findings) -> Option<String> {
    const MAKE: &str = "make one with: openssl rand -hex 32";
    let text = secret_text(path, at, "token", MAKE, findings)?;
    let shown = path.display();
    if text.len() < TOKEN_MIN {
        findings.error(at, format!("the token in {shown} is shorter than {TOKEN_MIN} characters"), MAKE);
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("the token in {shown} holds characters that no HTTP header can carry");
        findings.error(at, message, "one line of printable ASCII without spaces; make one with: openssl rand -hex 32");
    }
    Some(text)
}

/// The text of a file that holds a secret, without the white space around it; `kind` is what it holds, `remedy` how to make
/// one.
pub(super) fn secret_text(path: &Path, at: &Place, kind: &str, remedy: &str, findings: &mut Findings) -> Option<String> {
    let shown = path.display();
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| {
        let mode = file.metadata()?.permissions().mode();
        file.take(SECRET_FILE_MAX).read_to_string(&mut text)?;
        Ok(mode)
    });
    let mode = match read {
        Ok(mode) => mode,
        Err(error) => {
            findings.error(at, format!("cannot read {kind} file {shown}: {error}"), remedy);
            return None;
        }
    };
    let text = text.trim();
    if text.is_empty() {
        findings.error(at, format!("{kind} file {shown} is empty"), remedy);
    }
    if mode & 0o004 != 0 {
        findings.warning(at, format!("everyone on this host can read {kind} file {shown}"), format!("chmod o-r {shown}"));
    }
    (!text.is_empty()).then(|| text.to_owned())
}

fn zones(root: &mut Section<'_>, top: &Path) -> BTreeMap<Name, PathBuf> {
    const FILE: &str = "write the path of its master file: file = \"example.zone\"";
    let mut zones: BTreeMap<Name, (Place, PathBuf)> = BTreeMap::new();
    let named = root.named("zone");
    if named.is_empty() && root.findings.unbroken() {
        let remedy = "add [zone.\"gslb.example.com\"] with a file";
        root.findings.warning(&Place::whole(top), "there is no zone: every query will be refused", remedy);
    }
    for (text, at, table) in named {
        let mut section = root.below("zone", &text, table);
        section.require("file", &at, FILE);
        let file = section.path("file", FILE).and_then(|(at, path)| non_empty(&mut section, "file", &at, path));
        match text.parse::<Name>() {
            Err(error) => {
                section.findings.error(&at, format!("\"{text}\" is no zone name: {error}"), "write a domain name");
            }
            Ok(name) => match zones.get(&name) {
                Some((first, _)) => {
                    let remedy = format!("remove it here or at {first}");
                    section.findings.error(&at, format!("zone {name} is set twice, first at {first}"), remedy);
                }
                None => drop(zones.insert(name, (at, file.unwrap_or_default()))),
            },
        }
        section.finish(&[]);
    }
    zones.into_iter().map(|(name, (_, file))| (name, file)).collect()
}
