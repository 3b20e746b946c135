//! Real processes for tests: leeward itself, programs from the distribution, plain DNS and HTTP clients.
//!
//! Ports are chosen by the system. What is waited for is a condition, with a limit that only a failing test reaches.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "shared by several test binaries; tests may read the clock"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use leeward::wire::{Class, ClientSubnet, Name, QueryBuilder, RecordType};

/// How long a condition may take before the test fails: far more than it ever takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2)); // between two looks at a condition, not instead of one
    }
}

/// Whether the distribution has installed a program; says so visibly where it has not.
pub fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path.split(':').any(|folder| Path::new(folder).join(program).is_file());
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// Whether the test runs as root; says so visibly where it does not.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: needs root");
    }
    root
}

/// A loopback address that no other test of this machine uses: from the process id, and counted within the process.
pub fn own_address() -> Ipv4Addr {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(64).wrapping_add(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    Ipv4Addr::new(127, 64 + (number >> 14 & 0x3F) as u8, (number >> 7 & 0x7F) as u8, 1 + (number & 0x7F) as u8)
}

/// A port that is free on every one of `addresses`, which nobody else uses.
pub fn free_port(addresses: &[Ipv4Addr]) -> u16 {
    wait_for("a free port", || {
        let first = TcpListener::bind((addresses[0], 0)).ok()?;
        let port = first.local_addr().ok()?.port();
        let rest: Result<Vec<_>, _> = addresses[1..].iter().map(|&address| TcpListener::bind((address, port))).collect();
        let udp: Result<Vec<_>, _> = addresses.iter().map(|&address| UdpSocket::bind((address, port))).collect();
        (rest.is_ok() && udp.is_ok()).then_some(port)
    })
}

// -------- leeward

/// A folder with a configuration and zones.
pub struct Site {
    pub dir: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("tempdir") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A configuration on ports of the system's choice, serving `zones` (each from `NAME.zone`), plus `more` TOML.
    pub fn config(&self, zones: &[&str], more: &str) -> PathBuf {
        let zones: String = zones.iter().map(|zone| format!("[zone.\"{zone}\"]\nfile = \"{zone}.zone\"\n")).collect();
        let server = if more.contains("[server]") { "" } else { "[server]\nlisten = [\"127.0.0.1:0\"]\nudp_threads = 1\n" };
        let state = if more.contains("[node]") { "" } else { "[node]\nname = \"test\"\nstate_dir = \"state\"\n" };
        let admin = "[admin]\nsocket = \"control.sock\"\nlisten = \"127.0.0.1:0\"\n";
        self.write("leeward.toml", &format!("{state}{server}{admin}{more}\n{zones}"))
    }
}

/// A running server.
pub struct Leeward {
    pub child: Child,
    pub dns: SocketAddr,
    pub admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Leeward {
    /// Starts it and waits until it answers queries.
    pub fn start(config: &Path) -> Self {
        let mut server = Self::launch(config, &[]);
        server.wait_until_open();
        server
    }

    /// Starts it and waits for nothing but the admin API.
    pub fn launch(config: &Path, args: &[&str]) -> Self {
        Self::launch_with(config, args, &[])
    }

    /// The same with variables in its environment.
    pub fn launch_with(config: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeward"));
        command.args(["serve", "--config"]).arg(config).args(args).envs(environment.iter().copied());
        Self::launch_by(command)
    }

    /// Starts it by a command that becomes it, and waits for nothing but the admin API.
    pub fn launch_by(mut command: Command) -> Self {
        command.env_remove("RUST_LOG");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the server starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("    {line}");
                lines.lock().expect("not poisoned").push(line);
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { child, dns: nowhere, admin: nowhere, log };
        server.admin = server.address_after("admin API on http://");
        server
    }

    pub fn wait_until_open(&mut self) {
        self.dns = self.address_after("DNS on ");
    }

    fn address_after(&self, words: &str) -> SocketAddr {
        wait_for(words, || {
            let line = self.log_line(words)?;
            let rest = line.split(words).nth(1)?;
            rest.split(|c: char| c == ',' || c.is_whitespace()).next()?.parse().ok()
        })
    }

    /// The first log line that contains `words`.
    pub fn log_line(&self, words: &str) -> Option<String> {
        self.log.lock().expect("not poisoned").iter().find(|line| line.contains(words)).cloned()
    }

    pub fn log_count(&self, words: &str) -> usize {
        self.log.lock().expect("not poisoned").iter().filter(|line| line.contains(words)).count()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        http(self.admin, "GET", path)
    }

    pub fn get_json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    pub fn post(&self, path: &str) -> (u16, serde_json::Value) {
        let (status, body) = http(self.admin, "POST", path);
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }

    /// The value of a metric line that begins with `start`.
    pub fn metric(&self, start: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        text.lines().find(|line| line.starts_with(start))?.rsplit(' ').next()?.parse().ok()
    }

    pub fn ask(&self, name: &str, rtype: RecordType) -> Answer {
        ask(self.dns, name, rtype, None)
    }

    pub fn ask_from(&self, name: &str, rtype: RecordType, network: IpAddr, source: u8) -> Answer {
        ask(self.dns, name, rtype, Some(ClientSubnet { network, source }))
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    /// Resident memory, in kilobytes.
    pub fn rss_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a live process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("waitable").is_none()
    }

    /// Asks it to stop, and waits until it has; whether it said that all was well.
    pub fn stop(mut self) -> bool {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().expect("waitable").success()
    }
}

impl Drop for Leeward {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs the command line to its end.
pub fn leeward(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leeward")).args(args).env_remove("LEEWARD_URL").output().expect("it runs")
}

// -------- DNS

/// A reply, as far as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub rcode: String,
    pub authoritative: bool,
    pub truncated: bool,
    /// The data of each answer record, sorted.
    pub data: Vec<String>,
    pub scope: Option<u8>,
    pub ede: Option<u16>,
    /// Of the first answer record.
    pub ttl: Option<u32>,
}

impl Answer {
    pub fn of(reply: &[u8]) -> Self {
        use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
        let message = Message::from_vec(reply).expect("a well-formed reply");
        let mut data: Vec<String> = message.answers.iter().map(data_text).collect();
        data.sort();
        let mut answer = Self {
            rcode: format!("{:?}", message.metadata.response_code).to_uppercase(),
            authoritative: message.metadata.authoritative,
            truncated: message.metadata.truncation,
            data,
            scope: None,
            ede: None,
            ttl: message.answers.first().map(|record| record.ttl),
        };
        if let Some(edns) = &message.edns {
            if let Some(EdnsOption::Subnet(subnet)) = edns.option(EdnsCode::Subnet) {
                answer.scope = Some(subnet.scope_prefix());
            }
            for (code, option) in edns.options().as_ref() {
                if u16::from(*code) == 15
                    && let EdnsOption::Unknown(_, data) = option
                {
                    answer.ede = Some(u16::from_be_bytes([data[0], data[1]]));
                }
            }
        }
        answer
    }
}

/// A record's data; by leeward's own writer where the library does not know the type.
fn data_text(record: &hickory_proto::rr::Record) -> String {
    match &record.data {
        hickory_proto::rr::RData::Unknown { code, rdata } => {
            leeward::zone::rdata_to_text(RecordType(u16::from(*code)), &rdata.anything)
        }
        _ => record.to_string().splitn(5, ' ').nth(4).unwrap_or("").to_owned(),
    }
}

pub fn query(name: &str, rtype: RecordType, subnet: Option<ClientSubnet>) -> Vec<u8> {
    let name: Name = name.parse().expect("a name");
    QueryBuilder::new(&name, rtype, Class::IN).client_subnet(subnet).build()
}

/// One query over UDP.
pub fn ask(server: SocketAddr, name: &str, rtype: RecordType, subnet: Option<ClientSubnet>) -> Answer {
    let socket = UdpSocket::bind(if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" }).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("option");
    socket.connect(server).expect("connected");
    socket.send(&query(name, rtype, subnet)).expect("sent");
    let mut reply = [0; 4096];
    let len = socket.recv(&mut reply).expect("a reply");
    Answer::of(&reply[..len])
}

// -------- HTTP

/// One call, on a connection of its own; status and body.
pub fn http(server: SocketAddr, method: &str, path: &str) -> (u16, String) {
    http_with(server, method, path, "")
}

/// The same with header lines.
pub fn http_with(server: SocketAddr, method: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("option");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\nContent-Length: 0\r\n\r\n")
        .expect("sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("a reply");
    let reply = String::from_utf8_lossy(&reply);
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if chunked { unchunk(body) } else { body.to_owned() })
}

fn unchunk(body: &str) -> String {
    let mut rest = body;
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        whole += &after[..size];
        rest = &after[size + 2..];
    }
    whole
}

// -------- other programs

/// A program of the distribution; what an administrator runs is not in everyone's path.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin").stdin(Stdio::null());
    command
}

/// Runs a program to its end; what it printed. It must call that a success, and have nothing to complain of.
pub fn said<S: AsRef<std::ffi::OsStr> + std::fmt::Debug>(program: &str, args: &[S]) -> String {
    let output = command(program).args(args).output().expect("it runs");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && errors.is_empty(), "{program} {args:?}: {text}{errors}");
    text.into_owned()
}

/// A program that runs until the value goes; what it logs is kept.
pub struct Program {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let readers = vec![keep_lines(stdout, Arc::clone(&log)), keep_lines(stderr, Arc::clone(&log))];
        Self { child, log, readers }
    }

    /// Whether it has logged a line with `words`.
    pub fn has_logged(&self, words: &str) -> bool {
        self.log.lock().expect("not poisoned").iter().any(|line| line.contains(words))
    }

    /// Ends it; all that it has logged.
    pub fn stop(mut self) -> Vec<String> {
        self.end();
        self.readers.drain(..).for_each(|reader| reader.join().expect("no panic"));
        std::mem::take(&mut self.log.lock().expect("not poisoned"))
    }

    fn end(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        drop(self.child.wait());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let log = self.log.lock().map(|log| log.join("\n    "));
            eprintln!("    {}", log.unwrap_or_default());
        }
    }
}

fn keep_lines(from: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            log.lock().expect("not poisoned").push(line);
        }
    })
}

// -------- network namespaces

/// A network namespace with nothing but loopback, gone with the value. Needs root and `ip`.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    pub fn new(name: &str) -> Self {
        let space = Self { name: format!("leeward-{}-{name}", std::process::id()) };
        said("ip", &["netns", "add", &space.name]);
        said("ip", &["-n", &space.name, "link", "set", "lo", "up"]);
        space
    }

    /// This thread, and what it starts, is there from now on.
    pub fn enter(&self) {
        use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
        let file = std::fs::File::open(format!("/run/netns/{}", self.name)).expect("a namespace");
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network)).expect("entered");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _gone_with_its_processes = command("ip").args(["netns", "del", &self.name]).status();
    }
}

// -------- a disk

/// A small file system of its own, gone with it.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    pub fn mount(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let status = command("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder).status();
        assert!(status.expect("mount").success());
        Self { folder: folder.to_owned() }
    }

    pub fn fill(&self) {
        let mut ballast = std::fs::File::create(self.folder.join("ballast")).expect("a file");
        while ballast.write_all(&[1; 4096]).is_ok() {}
    }

    pub fn free(&self) {
        std::fs::remove_file(self.folder.join("ballast")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _lazily = command("umount").arg("-l").arg(&self.folder).status();
    }
}

// -------- nginx

/// nginx from the distribution.
pub struct Nginx {
    dir: tempfile::TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl Nginx {
    /// On one address, serving `ok` everywhere.
    pub fn new(address: SocketAddr) -> Self {
        let places = "location / { default_type text/plain; return 200 \"ok\\n\"; } location /bad { return 503; }";
        Self::serving(address, &format!("server {{ listen {address}; {places} }}"))
    }

    /// With these `server` blocks, one of which listens at `address`.
    pub fn serving(address: SocketAddr, servers: &str) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().display();
        let temp =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {path}/{kind};")).join(" ");
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "{user} pid {path}/pid; daemon off; error_log stderr; worker_processes 1;
            events {{ worker_connections 256; }}
            http {{ access_log off; {temp} {servers} }}"
        );
        std::fs::write(dir.path().join("nginx.conf"), config).expect("written");
        let mut nginx = Self { dir, address, child: None };
        nginx.start();
        nginx
    }

    /// Starts it and waits until it accepts connections; the moment at which it was first seen to.
    pub fn start(&mut self) -> Instant {
        let config = self.dir.path().join("nginx.conf");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(self.dir.path()).arg("-c").arg(config).args(["-e", "stderr"]);
        command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin");
        self.child = Some(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("nginx starts"));
        wait_for("nginx", || TcpStream::connect(self.address).ok());
        Instant::now()
    }

    /// Stops it and waits until it refuses connections; the moment at which it was told to.
    pub fn stop(&mut self) -> Instant {
        let told = Instant::now();
        if let Some(mut child) = self.child.take() {
            // TERM: the master takes its worker along, which KILL would leave behind, listening.
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
            drop(child.wait());
        }
        wait_for("nginx to be gone", || TcpStream::connect(self.address).is_err().then_some(()));
        told
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.stop();
        }
    }
}
