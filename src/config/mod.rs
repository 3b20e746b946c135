//! TOML files → the checked configurations of the components.
//!
//! [`load`] reads a file and what it includes, and gives every error and warning at once, each with its place and a
//! remedy. There are two forms: `raw` is what the files say, merged, with places; [`Config`] is checked, and nothing
//! behind it looks at text again. `check` is the way from one to the other and the list of keys; `section` is how it
//! asks.
//!
//! Paths are relative to the file that names them. Keys of the contract whose parts this release lacks are refused
//! as such, so that nobody believes in a setting that does nothing.
//!
//! What a reload may change, and what needs a restart ([`Config::needs_restart`] is this table):
//!
//! | Setting | A reload |
//! | --- | --- |
//! | `[zone.*]`, `[check.*]`, `[pool.*]`, `[site.*]`, `[health]`, `[lua]`, `[geo]`, `[publish]`, `[notify]`; `[server]` `ecs`, `any`, `nsid`, `chaos`, `cookies`, `rrl` | changes it |
//! | `[server.tls] cert`, `key`, and what the files hold | changes it: new connections see the new certificate |
//! | `[node] region`, `[peers]`, `[peers.tls]`, `[peer.*]`, and what their files hold | changes it: sessions with peers that stay go on |
//! | `[peers] listen`, so also that `[peers]` is there | is refused: the sockets are there for the life of the process |
//! | `[node] overrides_file` | changes it; what the file says is judged by itself, and holds up nothing else |
//! | `[node]` otherwise | is refused: names and directories are in use |
//! | `[server]` otherwise | is refused: sockets and threads are there for the life of the process |
//! | `[prober]` | is refused: so is the prober, and what was counted before |
//! | `[admin]` with its tokens | is refused: so are its listeners |
//!
//! Never here: reading zones, binding addresses, anything but files (and the host's name and limits, from which some
//! defaults follow).

mod check;
mod checks;
mod finding;
mod nets;
mod notify;
mod overrides;
mod peers;
mod pools;
mod raw;
mod section;
mod server;
mod sites;
mod stamp;
mod tls;
mod vote;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::geo::{Fence, Net};
use crate::server::TlsConfig;
use crate::target::Hosts;
use crate::wire::Name;
use crate::{answers, api, health, prober};
use check::Host;
pub use finding::Finding;
use finding::Findings;
pub use overrides::{OverridesFile, Said};
pub use stamp::Stamp;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[node]`.
    pub node: Node,
    /// `[server]`, without what belongs to `answers`.
    pub server: crate::server::Config,
    /// `[server] proxy_protocol_from`: who must say for whom it speaks.
    pub proxies: Vec<Net>,
    /// What `[server]` says about answering.
    pub answering: answers::Options,
    /// `[health]`.
    pub health: health::Config,
    /// `[publish] max_per_second`, as the shortest time between two publications.
    pub publish_interval: Duration,
    /// `[geo] databases`: where addresses are; of each attribute the first that knows it counts.
    pub databases: Vec<PathBuf>,
    /// What of `[geo.map.*]` is in files of its own. The maps themselves, and the sites, are what `answering` has.
    listed: Vec<sites::Listed>,
    /// `[node] overrides_file`.
    pub overrides: Option<OverridesFile>,
    /// `[lua] insert_whitespace`: whether adjacent strings of a program are joined with a space.
    pub insert_whitespace: bool,
    /// `[lua] resolver`: whom `resolve()` asks; `None`: those of /etc/resolv.conf.
    pub resolver: Option<SocketAddr>,
    /// `[prober]`, without `deny` and `allow`.
    pub prober: prober::Config,
    /// `[prober] deny` and `allow`: what zones may make us probe.
    pub fence: Fence,
    /// `[admin]`.
    pub admin: api::Config,
    /// A digest of the tokens, by which a change shows without comparing secrets.
    tokens: [u8; 32],
    /// `[notify]`: who is told of what happens.
    pub notify: Vec<crate::notify::Config>,
    /// `[peers]`, as far as it is the exchange that it concerns; the rest is in `health.fleet`. `None`: this node is alone.
    pub peers: Option<crate::peers::Config>,
    /// The zones and their master files.
    pub zones: BTreeMap<Name, PathBuf>,
    /// The configuration files, in the order they were read.
    pub files: Vec<PathBuf>,
}

/// `[node]`: who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Our name, by default the host's.
    pub name: String,
    /// Where we stand; empty: it is not said.
    pub region: Box<str>,
    /// Where last-good copies are kept.
    pub state_dir: PathBuf,
}

/// What came of reading a configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; `None` where a finding is an error, unless that is one of the overrides file.
    pub config: Option<Config>,
    /// The same also with errors, defaults in the place of what is wrong: good for looking at the zones, no further.
    pub draft: Option<Config>,
    /// Every error and warning, file by file in reading order, top to bottom.
    pub findings: Vec<Finding>,
}

/// Reads the file `path` and what it includes.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    load_on(path, &Host::this())
}

fn load_on(path: &Path, host: &Host) -> Loaded {
    let mut findings = Findings::default();
    let (tree, files) = raw::read(path, &mut findings);
    let readable = !files.is_empty();
    let mut config = readable.then(|| check::check(tree, path, files, host, &mut findings));
    let sound = !findings.has_errors();
    let mut findings = findings.into_sorted();
    findings.extend(config.iter_mut().flat_map(Config::read_overrides));
    Loaded { config: config.clone().filter(|_| sound), draft: config, findings }
}

/// The first that exists of the files that are read when none is named: `leeward.toml` here, then in `/etc/leeward`.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    ["leeward.toml", "/etc/leeward/leeward.toml"].into_iter().map(PathBuf::from).find(|path| path.exists())
}

impl Config {
    /// The defaults, with these zones: for zone files that are looked at without a configuration.
    #[must_use]
    pub fn without_file(zones: BTreeMap<Name, PathBuf>) -> Self {
        let (tree, mut findings) = (raw::Table::new(), Findings::default());
        let defaults = check::check(tree, Path::new(""), Vec::new(), &Host::this(), &mut findings);
        Self { zones, ..defaults }
    }

    /// The `nets_file` of each map that has one, and what told it from other versions when it was read; `None`: it could
    /// not be.
    pub fn nets_files(&self) -> impl Iterator<Item = (&Path, Option<Stamp>)> {
        self.listed.iter().map(sites::Listed::file)
    }

    /// Reads the overrides file, where there is one: what is wrong with it.
    pub fn read_overrides(&mut self) -> Vec<Finding> {
        let mut findings = Findings::default();
        self.overrides = self.overrides.take().map(|file| OverridesFile::read(file.path, &mut findings));
        findings.into_sorted()
    }

    /// Each file that is watched, and what told it from other versions when it was read.
    pub fn watched_files(&self) -> impl Iterator<Item = (&Path, Option<Stamp>)> {
        self.nets_files().chain(self.overrides.iter().map(|file| (&*file.path, file.stamp)))
    }

    /// The same with every `nets_file` read again, and nothing else.
    #[must_use]
    pub fn with_nets_read_again(&self) -> Loaded {
        let (mut config, mut findings) = (self.clone(), Findings::default());
        sites::read_again(&mut config.listed, &mut config.answering, &mut findings);
        let findings = findings.into_sorted();
        let sound = !findings.iter().any(|finding| finding.error);
        Loaded { config: Some(config).filter(|_| sound), draft: None, findings }
    }

    /// The same with the addresses that `known` has for the names of pools' members.
    #[must_use]
    pub fn leading_where(mut self, known: &Hosts) -> Self {
        let checks = &mut self.answering.checks;
        checks.pools = checks.pools.leading_where(known);
        self
    }

    /// The settings of `new` that differ from ours and that no reload can change; none: `new` can be adopted.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<String> {
        // Taken apart to the last field, so that a new one has to be put in its place here.
        let Self {
            node,
            server,
            proxies,
            prober,
            fence,
            admin,
            tokens,
            notify: _,
            peers,
            answering: _,
            health,
            publish_interval: _,
            databases: _,
            listed: _,
            overrides: _,
            insert_whitespace: _,
            resolver: _,
            zones: _,
            files: _,
        } = new;
        let Node { name, region: _, state_dir } = node;
        let hears_at = |peers: Option<&crate::peers::Config>| peers.map(|peers| peers.listen.clone());
        let prober::Config { max_in_flight, max_proc, max_per_target, threads: probe_threads } = prober;
        let crate::server::Config {
            listen,
            listen_is_default: _,
            freebind,
            threads,
            pin,
            rcvbuf,
            sndbuf,
            tcp_max,
            tcp_per_client,
            tcp_idle,
            tls,
        } = server;
        let [dot, doh, doq] = encrypted(tls.as_ref());
        let [old_dot, old_doh, old_doq] = encrypted(self.server.tls.as_ref());
        let doh_path = |config: &Self| config.server.tls.as_ref().map(|tls| tls.doh_path.clone());
        let api::Config { socket, listen: admin_listen, tokens: _ } = admin;
        [
            ("[node] name", *name != self.node.name),
            ("[node] state_dir", *state_dir != self.node.state_dir),
            ("[server] listen", *listen != self.server.listen),
            ("[server] freebind", *freebind != self.server.freebind),
            ("[server] proxy_protocol_from", *proxies != self.proxies),
            ("[server] udp_threads", *threads != self.server.threads),
            ("[server] pin", *pin != self.server.pin),
            ("[server] rcvbuf", *rcvbuf != self.server.rcvbuf),
            ("[server] sndbuf", *sndbuf != self.server.sndbuf),
            ("[server] tcp_max", *tcp_max != self.server.tcp_max),
            ("[server] tcp_per_client", *tcp_per_client != self.server.tcp_per_client),
            ("[server] tcp_idle", *tcp_idle != self.server.tcp_idle),
            ("[server.tls] dot", dot != old_dot),
            ("[server.tls] doh", doh != old_doh),
            ("[server.tls] doq", doq != old_doq),
            ("[server.tls] doh_path", tls.is_some() && self.server.tls.is_some() && doh_path(self) != doh_path(new)),
            ("[prober] max_in_flight", *max_in_flight != self.prober.max_in_flight),
            ("[prober] max_proc", *max_proc != self.prober.max_proc),
            ("[prober] max_per_target", *max_per_target != self.prober.max_per_target),
            ("[prober] threads", *probe_threads != self.prober.threads),
            ("[prober] max_checks", health.max_checks != self.health.max_checks),
            ("[prober] deny", fence.deny != self.fence.deny),
            ("[prober] allow", fence.allow != self.fence.allow),
            ("[admin] socket", *socket != self.admin.socket),
            ("[admin] listen", *admin_listen != self.admin.listen),
            ("[admin.token]", *tokens != self.tokens),
            ("[peers] listen", hears_at(peers.as_ref()) != hears_at(self.peers.as_ref())),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(setting, _)| setting.to_owned())
        .collect()
    }
}

/// The addresses of DoT, DoH and DoQ.
fn encrypted(tls: Option<&TlsConfig>) -> [&[SocketAddr]; 3] {
    tls.map_or([&[]; 3], |TlsConfig { identity: _, dot, doh, doq, doh_path: _ }| [dot, doh, doq])
}

#[cfg(test)]
mod tests;
