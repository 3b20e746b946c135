//! Owns the engine: feeds it events, runs its effects, loads and reloads.
//!
//! Threads of a node, and what each may wait for:
//!
//! | thread | work | waits for |
//! | --- | --- | --- |
//! | `dns-udp`, `dns-tcp`, `dns-quic` | answer from the published snapshot | the network |
//! | `engine` | the one writer: events in, effects out | the next event |
//! | `reaper` | frees retired snapshots | readers to let go |
//! | `loader` | reads and compiles configuration, zones and databases of places | files, the engine's decision |
//! | `store` | keeps last-good copies | the disk |
//! | `ledger` | writes down what operators say, what is measured and what happened | the disk |
//! | `watcher` | notices that a file of networks or of overrides has changed | files, the loader |
//! | `listener` | logs what record programs tell, hands on what they lack | the log |
//! | `prober` | probes, idle connections to targets | the network, files, the commands of checks |
//! | `control` (a runtime) | `resolve()`, names of pools' members, admin API, peers, signals, webhooks and commands that are told what happens | the network |
//!
//! Start: bind everything once on trial, load, probe, and only then bind the DNS ports for good (DESIGN 6.4). Stop
//! (SIGTERM, SIGINT): answer what has arrived, close, exit. SIGHUP: reload.

pub mod budget;
pub mod clock;
pub mod compile;
mod databases;
mod drive;
mod herald;
mod hosts;
mod listener;
mod loader;
mod notify;
mod peers;
mod probes;
pub mod reaper;
mod resolver;
mod scribe;
mod watcher;
mod words;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::answers::{Notices, Published, Resolved, Secret, Snapshot, Transport};
use crate::api::{self, Ask, History, Meters, Outside, ReloadReport, ReloadRequest};
use crate::config::Config;
use crate::control::{self, Engine, Event};
use crate::prober::{Prober, Pulse};
use crate::server::{self, BindError, Certificates, Server, Sockets};
use crate::store::{Keeper, LastGood, Ledger};
use crate::target::{Hosts, Reports};

pub use databases::{BadDatabase, BadDatabases, Databases};
use drive::{Beats, Message, Outlets, Waiting, drive};
use herald::Heralds;
use hosts::{Change, Names};
use listener::{Lines, Listener};
use loader::{Job, Loader};
use notify::Supervisor;
use peers::Company;
use probes::Threads;
use resolver::Resolver;
use scribe::{Bell, Chronicle, Note};
use watcher::{Done, Watched, watch};

/// Reloads that may wait for the loader; beyond that they are refused as [`api::ReloadOutcome::Busy`].
const RELOADS_WAITING: usize = 16;
/// API calls that may wait to be forwarded.
const ASKS_WAITING: usize = 64;
/// Threads for the API, signals, look-ups and notifications: two, so that one slow TLS handshake delays nobody else.
const CONTROL_THREADS: usize = 2;
/// How long the last events may take to be written down.
const LEDGER_WAIT: Duration = Duration::from_secs(2);
/// How long the control runtime may take to end; a look-up that hangs cannot be called back.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(200);

/// A secret for cookies that nobody can guess, unlike what `fastrand` gives.
fn cookie_secret() -> io::Result<Secret> {
    let mut octets = [0; 16];
    let got = rustix::rand::getrandom(&mut octets, rustix::rand::GetRandomFlags::empty())?;
    if got == octets.len() { Ok(Secret::new(octets)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// What to run.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// Where it was read, and is read again by a reload.
    pub config_file: Option<PathBuf>,
    /// Refuse to start with a bad zone file, instead of serving what can be served.
    pub strict: bool,
}

/// Why a node could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address for DNS could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin API could not be bound.
    #[error(transparent)]
    Admin(#[from] api::ListenError),
    /// The listener for peers could not be bound.
    #[error(transparent)]
    Peers(#[from] crate::peers::ListenError),
    /// Nothing can be exchanged with peers.
    #[error(transparent)]
    Exchange(#[from] peers::Trouble),
    /// A database of places cannot be used.
    #[error(transparent)]
    Databases(#[from] BadDatabases),
    /// `--strict`, and a zone file has errors.
    #[error("a zone file has errors, and --strict was given; mend the file or start without --strict")]
    Strict,
    /// The system refused a thread, a runtime or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// [`Error`] if it cannot start.
pub fn run(start: Start) -> Result<(), Error> {
    server::trial_bind(&start.config.server)?;
    let databases = Databases::read(&start.config.databases)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    make_state_dir(&start.config.node.state_dir);
    let (listeners, for_peers) = {
        let _context = runtime.enter();
        let addresses = start.config.peers.as_ref().map_or(&[][..], |peers| &peers.listen);
        (api::Listeners::bind(&start.config.admin)?, crate::peers::Listeners::bind(addresses)?)
    };
    let node = Node::assemble(start, databases, &runtime)?;
    let result = runtime.block_on(node.live(listeners, for_peers));
    runtime.shutdown_timeout(SHUTDOWN_WAIT);
    result
}

/// Without its folder a node serves all the same; it only keeps nothing.
fn make_state_dir(path: &Path) {
    if let Err(error) = std::fs::create_dir_all(path) {
        tracing::warn!("[node] state_dir {} cannot be made: {error}; last-good copies will not be kept", path.display());
    }
}

/// The parts of a running node that its main task holds.
struct Node {
    config: Config,
    strict: bool,
    api: api::Node,
    asks: mpsc::Receiver<Ask>,
    engine: Sender<Message>,
    ledger: Sender<Note>,
    jobs: SyncSender<Job>,
    published: Published,
    opened: mpsc::UnboundedReceiver<()>,
    changed: mpsc::UnboundedReceiver<Done>,
    moved: mpsc::UnboundedReceiver<Change>,
    /// Held until the node has stopped.
    _probers: Threads,
    company: Option<Company>,
    dns: server::Context,
    seed: fastrand::Rng,
}

impl Node {
    /// Starts every thread but those of the DNS ports.
    #[expect(clippy::disallowed_methods, reason = "the one seed that all random sources come from")]
    fn assemble(start: Start, databases: Databases, runtime: &Runtime) -> Result<Self, Error> {
        let Start { config, config_file, strict } = start;
        let mut seed = fastrand::Rng::new();
        let meters = Arc::new(Meters::new());
        let pulses: Vec<_> = (0..config.prober.threads.max(1)).map(|_| Arc::new(Pulse::new())).collect();
        let reports = Arc::new(Reports::default());
        let beats = Arc::new(Beats::new(pulses.clone()));
        let cookie_secret = cookie_secret()?;
        let options = Arc::new(config.answering.clone().with_cookie_secret(&cookie_secret));
        let workers = config.server.workers();
        let published = Published::new(Arc::new(Snapshot::empty(Arc::clone(&options), workers)));
        let store = LastGood::under(&config.node.state_dir);
        let (engine_tx, inbox) = std::sync::mpsc::channel();
        let (retired, graveyard) = std::sync::mpsc::channel();
        let (decided_tx, decided) = std::sync::mpsc::channel();
        let (open, opened) = mpsc::unbounded_channel();
        let (jobs, jobs_rx) = sync_channel(RELOADS_WAITING);
        let (ask, asks) = mpsc::channel(ASKS_WAITING);
        let (records, recorded) = std::sync::mpsc::channel();

        let dns = dns_context(&config, &published);
        let counters = Arc::clone(&dns.counters);
        meters.watch_connections(move || connections(&counters.read()));

        let engine_config =
            control::Config { health: config.health.clone(), options, publish_interval: config.publish_interval, workers };
        let (notices, told) = Notices::channel();
        let resolved = Resolved::default();
        let resolver = Resolver::start(runtime.handle(), config.resolver, resolved.clone(), engine_tx.clone());
        let mut ledger = Ledger::under(&config.node.state_dir);
        let kept = scribe::kept(&mut ledger);
        let engine = Engine::new(engine_config, seed.fork(), clock::now()).with(notices, resolved);
        let engine = engine.under(kept.overrides, kept.version).counting_after(kept.last_event);
        let history = Arc::new(History::new(scribe::events(&kept.events)));
        let bell = Bell::default();
        let chronicle = Chronicle::new(Arc::clone(&history), bell.clone(), Arc::clone(&meters), kept.last_event);
        let engine = engine.recalling(kept.pools, kept.verdicts_age.is_none_or(|age| age > config.health.restore_max_age));
        let engine = match kept.verdicts_age {
            Some(age) if age <= config.health.restore_max_age => engine.remembering(kept.verdicts, clock::now() - age),
            _ => {
                scribe::strike_out(&mut ledger, kept.verdicts.into_keys());
                engine
            }
        };
        let company = Company::new(&config, &engine_tx)?;
        let exchange = company.as_ref().map(|company| Arc::clone(&company.exchange));
        let engine = match &exchange {
            Some(exchange) => engine.speaking_as(exchange.incarnation(), clock::now()),
            None => engine,
        };
        exchange.iter().for_each(|exchange| peers::watch(&meters, Arc::clone(exchange)));
        let (fence, lines) = (config.fence.clone(), Lines::default());
        let listener = Listener { engine: engine_tx.clone(), resolver: resolver.clone(), fence, lines };
        spawn("listener", move || listener.run(told))?;
        let (probers, probes) = Threads::start(probers(&config, &reports, pulses), &engine_tx, &meters)?;
        let outlets = Outlets {
            published: published.clone(),
            retired,
            probes,
            inbox: engine_tx.clone(),
            keeper: keeper(store.clone(), Arc::clone(&meters))?,
            decided: decided_tx,
            open,
            meters: Arc::clone(&meters),
            beats: Arc::clone(&beats),
            ledger: records.clone(),
            history: Arc::clone(&history),
            bell,
            orders: Waiting::default(),
            letters: Waiting::default(),
            courier: company.as_ref().map(|company| company.courier(runtime.handle().clone())),
            wires: std::cell::RefCell::default(),
        };
        spawn("engine", move || drive(engine, &inbox, &outlets))?;
        let inbox = engine_tx.clone();
        spawn("ledger", move || scribe::run(ledger, &recorded, chronicle, &inbox))?;
        spawn("reaper", move || reaper::reap(&graveyard))?;
        let heralds = Heralds::new(runtime.handle().clone(), &config.node.name, Arc::clone(&history));
        heralds.follow_after(&config.notify, kept.last_event);
        let told = heralds.clone();
        meters.watch_notified(move || told.read());
        let (change, moved) = mpsc::unbounded_channel();
        let hosts = Arc::new(Hosts::default());
        let may = |address| config.fence.forbids(address).is_none();
        kept.hosts.iter().for_each(|(name, addresses)| hosts.remember(name, addresses, may));
        let told = hosts::Outlets { engine: engine_tx.clone(), ledger: records.clone(), change };
        let names = Names::start(runtime.handle(), config.resolver, config.fence.clone(), Arc::clone(&hosts), told);
        let (watched, (changed_tx, changed)) = (Watched::of(&config), mpsc::unbounded_channel());
        let files = watched.clone();
        spawn("watcher", move || watch(&files, &changed_tx))?;
        let loader = Loader {
            names,
            heralds,
            config_file,
            config: config.clone(),
            strict,
            store,
            published: published.clone(),
            engine: engine_tx.clone(),
            decided,
            meters: Arc::clone(&meters),
            slots: compile::Slots::within(&config),
            loads: 0,
            databases,
            cookie_secret,
            behind: std::collections::BTreeSet::new(),
            certificates: dns.certificates.clone(),
            resolver,
            watched,
            words: words::Standing::default(),
            exchange,
        };
        spawn("loader", move || loader.run(&jobs_rx))?;
        let api = api::Node {
            name: config.node.name.as_str().into(),
            ask,
            published: published.clone(),
            clock: clock::now_and_wall,
            lateness: beats,
            meters,
            reports,
            hosts,
            history,
            streams: Arc::default(),
        };
        Ok(Self {
            ledger: records,
            config,
            strict,
            api,
            asks,
            engine: engine_tx,
            jobs,
            published,
            opened,
            changed,
            moved,
            _probers: probers,
            company,
            dns,
            seed,
        })
    }

    /// Loads, serves, and obeys signals and calls until it is told to stop.
    async fn live(mut self, listeners: api::Listeners, for_peers: crate::peers::Listeners) -> Result<(), Error> {
        let (mut hup, mut term, mut int) =
            (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        for address in listeners.addresses() {
            tracing::info!("admin API on http://{address}");
        }
        let (stop_api, stopping) = oneshot::channel::<()>();
        let api = tokio::spawn(listeners.serve(self.api.clone(), async { drop(stopping.await) }));
        for address in for_peers.addresses() {
            tracing::info!("peers are heard on {address}");
        }
        let (stop_peers, parting) = oneshot::channel::<()>();
        let company = self.company.take();
        let company = company.map(|company| tokio::spawn(company.serve(for_peers, async { drop(parting.await) })));
        let supervisor = Supervisor::from_environment();
        tokio::spawn(supervisor.clone().watchdog(Arc::clone(&self.api.lateness), clock::now));

        let (started_tx, mut started) = oneshot::channel();
        self.enqueue(Job::Start(started_tx));
        let mut loading = true;
        let mut serving = None;
        let outcome = loop {
            tokio::select! {
                sound = &mut started, if loading => {
                    loading = false;
                    match sound {
                        Ok(sound) if sound || !self.strict => {}
                        Ok(_) => break Err(Error::Strict),
                        Err(_) => break Err(Error::System(io::Error::other("the loader has failed"))),
                    }
                }
                Some(()) = self.opened.recv() => match self.open() {
                    Ok(server) => {
                        supervisor.ready();
                        serving = Some(server);
                    }
                    Err(error) => break Err(error),
                },
                Some(ask) = self.asks.recv() => self.forward(ask),
                Some(done) = self.changed.recv() => self.reload_from_outside(Outside::Files, Box::new(move |_| drop(done))),
                Some(change) = self.moved.recv() => {
                    self.reload_from_outside(Outside::Hosts, Box::new(move |loaded| _ = change.send(loaded)));
                }
                _ = hup.recv() => {
                    supervisor.reloading();
                    self.reload_on_signal(supervisor.clone());
                }
                _ = term.recv() => break Ok(()),
                _ = int.recv() => break Ok(()),
            }
        };
        supervisor.stopping();
        if let Some(server) = serving {
            tokio::task::spawn_blocking(|| server.stop()).await.map_err(io::Error::other)?;
        }
        self.api.history.close();
        drop((stop_api, stop_peers));
        drop(api.await);
        if let Some(company) = company {
            drop(company.await);
        }
        let (stop, stopped) = oneshot::channel();
        drop(self.ledger.send(Note::Stop(stop)));
        if tokio::time::timeout(LEDGER_WAIT, stopped).await.is_err() {
            tracing::warn!("the ledger is slow; what happened last is in the log only");
        }
        tracing::info!("stopped");
        outcome
    }

    /// Binds the DNS ports and answers.
    fn open(&mut self) -> Result<Server, Error> {
        let sockets = Sockets::bind(&self.config.server)?;
        let server = Server::start(&self.config.server, sockets, self.dns.clone(), &mut self.seed)?;
        for &(transport, address) in server.addresses() {
            match transport {
                Transport::Udp | Transport::Tcp => tracing::info!("DNS on {address}, UDP and TCP"),
                Transport::Tls => tracing::info!("DoT on {address}"),
                Transport::Https => tracing::info!("DoH on {address}"),
                Transport::Quic => tracing::info!("DoQ on {address}"),
            }
        }
        let addresses = server.addresses().iter().map(|&(_, address)| address).collect();
        drop(self.engine.send(Message::Event(Event::Opened(addresses))));
        Ok(server)
    }

    fn forward(&self, ask: Ask) {
        match ask {
            Ask::Reload(request, reply) => {
                let reply = Box::new(move |report: ReloadReport| drop(reply.send(report)));
                self.enqueue(Job::Reload(request, reply));
            }
            ask => drop(self.engine.send(Message::Ask(ask))),
        }
    }

    fn reload_on_signal(&self, supervisor: Supervisor) {
        let reply = Box::new(move |_: ReloadReport| supervisor.ready());
        self.enqueue(Job::Reload(ReloadRequest::default(), reply));
    }

    /// Reloads what others say, and tells whether it is served.
    fn reload_from_outside(&self, outside: Outside, tell: Box<dyn FnOnce(bool) + Send>) {
        let request = ReloadRequest { outside: Some(outside), ..ReloadRequest::default() };
        let reply = Box::new(move |report: ReloadReport| tell(report.outcome == api::ReloadOutcome::Applied));
        self.enqueue(Job::Reload(request, reply));
    }

    /// Hands a job to the loader. A reload that does not fit is refused at once.
    fn enqueue(&self, job: Job) {
        if let Err(TrySendError::Full(Job::Reload(_, reply)) | TrySendError::Disconnected(Job::Reload(_, reply))) =
            self.jobs.try_send(job)
        {
            tracing::error!("reload refused: {RELOADS_WAITING} are waiting already");
            let generation = self.published.load().generation;
            let (zones, words, findings) = (Vec::new(), Vec::new(), Vec::new());
            reply(ReloadReport { outcome: api::ReloadOutcome::Busy, generation, zones, words, findings });
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(body).map(drop)
}

/// One for each of the threads that run `pulses`.
fn probers(config: &Config, reports: &Arc<Reports>, pulses: Vec<Arc<Pulse>>) -> Vec<(Prober, Arc<Pulse>)> {
    let fence = config.fence.clone();
    let prober = Prober::new(config.prober, Arc::default()).restricted(move |address| fence.forbids(address).is_none());
    let prober = prober.hearing(Arc::clone(reports));
    pulses.into_iter().map(|pulse| (prober.clone().beating(Arc::clone(&pulse)), pulse)).collect()
}

fn dns_context(config: &Config, published: &Published) -> server::Context {
    server::Context {
        published: published.clone(),
        proxies: config.proxies.as_slice().into(),
        certificates: config.server.tls.as_ref().map(|tls| Certificates::new(&tls.identity)),
        counters: Arc::default(),
    }
}

fn connections(counted: &server::Counted) -> api::Connections {
    let server::Counted { open, accepted, evicted, refused, handshakes_failed, proxy_errors } = counted.clone();
    api::Connections { open, accepted, evicted, refused, handshakes_failed, proxy_errors: proxy_errors.to_vec() }
}

fn keeper(store: LastGood, meters: Arc<Meters>) -> io::Result<Keeper> {
    Keeper::start(store, move |zone, error| {
        meters.store_error();
        tracing::error!("the last-good copy of {zone} could not be kept: {error}; what is served is not affected");
    })
}
