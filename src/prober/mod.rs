//! Runs one check against one target and says what it found.
//!
//! [`Prober::probe`] opens a connection of its own to the check's address (or runs a command, or looks into a file), does what
//! the check's kind says within the check's time limit, and gives a [`Report`]. Each kind has a file: `tcp`, `http`, `tls`,
//! `dns`, `icmp`, `grpc`, `exec`, `file`, `kubernetes`; what targets say of themselves is looked up in [`Reports`]. What goes wrong is told apart by one table
//! (`errors`): the target's failures, and our own troubles, which are never the target's (DESIGN 6.3). A failure that
//! overlaps a pause of our process ([`Pulse`]) is one of ours as well.
//!
//! Why not a client library: pinning the address per request, without a pool, a resolver or a cache in between, is
//! the whole point; and the time limit must hold over connect, handshake, redirects and body together.
//!
//! Never here: when to probe, thresholds, what a result means for a status (`health`), which targets may be probed.

mod body;
mod certificate;
mod dns;
mod doors;
mod errors;
mod exec;
mod file;
mod grpc;
mod http;
mod http2;
mod icmp;
mod kubernetes;
mod pulse;
mod tcp;
mod tls;
mod udp;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::target::{CheckKind, CheckSpec, Failure, Heard, Inconclusive, Outcome, Reports};
use doors::Doors;
use errors::Unmet;
pub use pulse::Pulse;

/// What the prober may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Probes that run at the same time, at least 1; each holds one descriptor, while it races to the addresses of a
    /// name up to four. To be derived from RLIMIT_NOFILE.
    pub max_in_flight: usize,
    /// Commands of checks that run at the same time, at least 1.
    pub max_proc: usize,
    /// Probes of one address that run at the same time, at least 1.
    pub max_per_target: usize,
    /// Threads that run probes, at least 1.
    pub threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_in_flight: 1024, max_proc: 16, max_per_target: 32, threads: 1 }
    }
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The result.
    pub outcome: Outcome,
    /// When the probe began, after its wait for a turn: time since the system's start, counting suspension.
    pub started: Duration,
    /// How long it took from then on.
    pub elapsed: Duration,
}

/// Runs probes, a bounded number at a time. Clones share that bound.
#[derive(Clone)]
pub struct Prober {
    shared: Arc<Shared>,
    allows: Arc<Allows>,
    reports: Arc<Reports>,
    pulse: Arc<Pulse>,
}

/// Whether a redirect or a look-up may lead to an address.
type Allows = dyn Fn(IpAddr) -> bool + Send + Sync;

/// How much later than half as long again a time limit may be noticed: below the [`Pulse`]'s gap for those under a second,
/// which a shorter pause can use up.
const LATE: Duration = Duration::from_millis(50);

/// When somebody asks again who found no room for an idle connection.
const NO_ROOM: Duration = Duration::from_secs(60);

struct Shared {
    doors: Doors,
    turns: Semaphore,
    /// For idle connections, which hold a descriptor each.
    wires: Semaphore,
    commands: Semaphore,
    client: http::Client,
    files: Arc<file::WordFiles>,
    apis: Arc<kubernetes::Apis>,
}

impl Prober {
    /// A prober. Somebody must be [running](Pulse::run) `pulse`, or failures come to nothing.
    #[must_use]
    pub fn new(config: Config, pulse: Arc<Pulse>) -> Self {
        let semaphore = |permits: usize| Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS));
        let (turns, commands) = (semaphore(config.max_in_flight), semaphore(config.max_proc));
        let (wires, doors) = (semaphore(config.max_in_flight), Doors::new(config.max_per_target));
        let (client, files, apis) = (http::Client::new(), Arc::default(), Arc::default());
        Self {
            shared: Arc::new(Shared { doors, turns, wires, commands, client, files, apis }),
            allows: Arc::new(|_| true),
            reports: Arc::default(),
            pulse,
        }
    }

    /// The same prober for another thread, where somebody must be [running](Pulse::run) `pulse`.
    #[must_use]
    pub fn beating(self, pulse: Arc<Pulse>) -> Self {
        Self { pulse, ..self }
    }

    /// The same prober, which looks into `reports` for what targets say themselves.
    #[must_use]
    pub fn hearing(self, reports: Arc<Reports>) -> Self {
        Self { reports, ..self }
    }

    /// The same prober, whose probes go where a redirect or a look-up leads only if it `allows` that address (`[prober]
    /// deny`): neither a target nor a name server must be able to send us where no zone may. An address that a check
    /// names is for the loader of zones to judge. One that is not allowed is a failure of whoever led there.
    #[must_use]
    pub fn restricted(self, allows: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self { allows: Arc::new(allows), ..self }
    }

    /// Waits for its turn, then runs the check once. Dropping the future ends the probe and its connection. Needs a
    /// tokio runtime with I/O and time.
    pub async fn probe(&self, spec: &CheckSpec) -> Report {
        // Whoever waits holds nothing that others wait for: the address first, then the command's turn, then the probe's. The
        // semaphores are never closed, so the error does not come.
        let _entry = match spec.named_address() {
            Some(address) => Some(self.shared.doors.enter(address).await),
            None => None,
        };
        let _command = match spec.kind {
            CheckKind::Exec(_) => self.shared.commands.acquire().await.ok(),
            _ => None,
        };
        let _turn = self.shared.turns.acquire().await.ok();
        let tls = self.shared.client.tls(&spec.kind).await;
        let started = pulse::now();
        let outcome = match tls {
            Ok(tls) => self.run(spec, tls).await,
            Err(reason) => Outcome::Inconclusive(reason),
        };
        let elapsed = pulse::now().saturating_sub(started);
        Report { outcome: self.excuse(outcome, spec, started, elapsed), started, elapsed }
    }

    /// Holds an idle connection to a check's target, and returns when it ends, or cannot be made. As many are held as probes may
    /// run; where there is no room it returns after a minute, so that another attempt is made then.
    pub async fn watch(&self, spec: &CheckSpec) {
        match (self.shared.wires.try_acquire(), spec.socket_address()) {
            (Ok(_room), Some(to)) => tcp::watch(spec.source, to).await,
            _ => tokio::time::sleep(NO_ROOM).await,
        }
    }

    /// One exchange within the time limit. Where that ends while we wait for a resolver, the target is not to blame.
    async fn run(&self, spec: &CheckSpec, tls: TlsConnector) -> Outcome {
        let resolving = AtomicBool::new(false);
        match tokio::time::timeout(spec.timeout, self.exchange(spec, tls, &resolving)).await {
            Ok(Ok(weight)) => Outcome::Pass { weight },
            Ok(Err(unmet)) => unmet.into(),
            Err(_) if resolving.load(Ordering::Relaxed) => Outcome::Inconclusive(Inconclusive::Unresolved),
            // Nor is it where somebody else is asked about it.
            Err(_) if matches!(spec.kind, CheckKind::Kubernetes(_)) => Outcome::Inconclusive(Inconclusive::KubeSilent),
            // Nor where our own disk is silent.
            Err(_) if matches!(spec.kind, CheckKind::File(_)) => Outcome::Inconclusive(Inconclusive::BadFile),
            Err(_) => Outcome::Fail(Failure::Timeout),
        }
    }

    /// The weight that the target gives itself, 0 where it is not asked. What a kind needs for its exchange is on the heap: a
    /// probe that waits for a connection should not hold what a handshake would take.
    async fn exchange(&self, spec: &CheckSpec, tls: TlsConnector, resolving: &AtomicBool) -> Result<u32, Unmet> {
        if let CheckKind::Http(check) = &spec.kind {
            let (client, allows) = (&self.shared.client, &*self.allows);
            return Box::pin(http::Exchange { client, tls, spec, check, allows, resolving }.run()).await;
        }
        // Only checks of URLs go by name.
        let (Some(to), from) = (spec.socket_address(), spec.source) else { return Err(Inconclusive::Internal.into()) };
        match &spec.kind {
            CheckKind::Http(_) => return Err(Inconclusive::Internal.into()),
            CheckKind::Tcp => tcp::probe(from, to).await,
            CheckKind::Tls(check) => Box::pin(tls::probe(&tls, from, to, check, pulse::wall_seconds())).await,
            CheckKind::Dns(check) => Box::pin(dns::probe(from, to, check)).await,
            CheckKind::Icmp => icmp::probe(from, to.ip()).await,
            CheckKind::Grpc(check) => Box::pin(grpc::probe(spec, to, check, &tls)).await,
            CheckKind::Exec(check) => Box::pin(exec::probe(to, check)).await,
            CheckKind::File(check) => Box::pin(self.shared.files.probe(to, check)).await,
            CheckKind::Kubernetes(check) => Box::pin(self.shared.apis.probe(check)).await,
            CheckKind::Push(check) => match self.reports.look(spec.key(), check, pulse::now()) {
                Heard::Up => Ok(()),
                Heard::Down => Err(Failure::Said.into()),
                Heard::Silent => Err(Failure::Silent.into()),
                Heard::NotYet => Err(Inconclusive::NoWord.into()),
            },
        }
        .map(|()| 0)
    }

    /// No failure is held against a target if we were not there to see, nor a silence whose end we noticed so late that
    /// we may have slept through its answer.
    fn excuse(&self, outcome: Outcome, spec: &CheckSpec, started: Duration, elapsed: Duration) -> Outcome {
        let paused = match &outcome {
            Outcome::Fail(Failure::Timeout) if elapsed > spec.timeout + spec.timeout / 2 + LATE => true,
            Outcome::Fail(_) => self.pulse.paused_since(started),
            Outcome::Pass { .. } | Outcome::Inconclusive(_) => false,
        };
        if paused { Outcome::Inconclusive(Inconclusive::Paused) } else { outcome }
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("turns", &self.shared.turns).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{FileCheck, HttpCheck, Scheme};
    use std::net::SocketAddr;
    use tokio::net::{TcpListener, TcpSocket};

    fn prober(max_in_flight: usize, pulse: Pulse) -> Prober {
        Prober::new(Config { max_in_flight, ..Config::default() }, Arc::new(pulse))
    }

    /// A target that accepts connections in its backlog and never says a word.
    async fn silent() -> (TcpListener, CheckSpec) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kind = CheckKind::Http(HttpCheck::get(Scheme::Http, "www.example.test", "/").into());
        let to = listener.local_addr().unwrap();
        (listener, spec(to, kind, Duration::from_millis(200)))
    }

    fn spec(to: SocketAddr, kind: CheckKind, timeout: Duration) -> CheckSpec {
        CheckSpec { address: Some(to.ip()), port: to.port(), source: None, kind, timeout }
    }

    #[tokio::test]
    async fn silence_is_a_failure() {
        let (_listener, spec) = silent().await;
        let report = prober(1, Pulse::steady()).probe(&spec).await;
        assert_eq!(report.outcome, Outcome::Fail(Failure::Timeout));
        assert!(report.elapsed >= spec.timeout, "{:?}", report.elapsed);
    }

    #[tokio::test]
    async fn a_file_that_does_not_open_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("words");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let kind = CheckKind::File(FileCheck { path: path.clone() }.into());
        let spec = spec("192.0.2.1:80".parse().unwrap(), kind, Duration::from_millis(50));
        let outcome = prober(1, Pulse::steady()).probe(&spec).await.outcome;
        let writer = std::fs::File::options().write(true).open(&path); // lets the reader go, and the runtime end
        assert_eq!((outcome, writer.is_ok()), (Outcome::Inconclusive(Inconclusive::BadFile), true));
    }

    #[tokio::test]
    async fn a_failure_in_a_pause_is_not_held_against_the_target() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = socket.local_addr().unwrap();
        let spec = spec(to, CheckKind::Tcp, Duration::from_secs(10));
        assert_eq!(prober(1, Pulse::steady()).probe(&spec).await.outcome, Outcome::Fail(Failure::Refused));
        let paused = prober(1, Pulse::stopped());
        assert_eq!(paused.probe(&spec).await.outcome, Outcome::Inconclusive(Inconclusive::Paused));
        let _listener = socket.listen(1).unwrap();
        assert_eq!(paused.probe(&spec).await.outcome, Outcome::PASS);
    }

    #[tokio::test]
    async fn a_time_limit_that_is_noticed_late_is_not_held_against_the_target() {
        let (_listener, spec) = silent().await;
        let stall = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            std::thread::sleep(2 * spec.timeout); // the runtime's only thread
        };
        let prober = prober(1, Pulse::steady());
        let (report, ()) = tokio::join!(prober.probe(&spec), stall);
        assert_eq!(report.outcome, Outcome::Inconclusive(Inconclusive::Paused));
    }

    #[tokio::test]
    async fn the_wait_for_a_turn_is_not_part_of_the_probe() {
        let (_listener, spec) = silent().await;
        let prober = prober(0, Pulse::steady());
        let (first, second) = tokio::join!(prober.probe(&spec), prober.probe(&spec));
        assert!(second.started >= first.started + first.elapsed, "{first:?} {second:?}");
        assert_eq!(second.outcome, Outcome::Fail(Failure::Timeout));
    }

    #[tokio::test]
    async fn a_probe_is_small() {
        let (_listener, spec) = silent().await;
        let prober = prober(1, Pulse::steady());
        assert!(size_of_val(&prober.probe(&spec)) <= 1024, "thousands wait at a time");
    }

    #[tokio::test]
    async fn probes_can_be_spawned() {
        let (_listener, spec) = silent().await;
        let prober = prober(1, Pulse::steady());
        let report = tokio::spawn(async move { prober.probe(&spec).await }).await.unwrap();
        assert_eq!(report.outcome, Outcome::Fail(Failure::Timeout));
    }
}
