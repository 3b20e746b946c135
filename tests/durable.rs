//! What outlives the process, with a real server: what operators say is served when it is acknowledged, survives kill -9 at any
//! moment, and a disk that is full is told and loses nothing; what was measured is believed by the next process.
//!
//! `LEEWARD_KILLS=500 cargo nextest run --test durable` kills as often as that.

#![allow(clippy::disallowed_methods, reason = "tests measure")]

mod harness;

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Answer, Disk, Leeward, PATIENCE, Site, free_port, has, http, is_root, leeward, own_address, query, wait_for};
use leeward::health::Moment;
use leeward::store::Ledger;
use leeward::target::Value::Up;
use leeward::wire::RecordType;
use serde_json::Value;

/// Kills where nobody asks for more.
const KILLS: u32 = 20;

/// A zone whose `all` has these two targets, and whose `alone` has the first only. Nobody listens there, so both are down
/// as soon as they are measured, until somebody says that they are up.
fn site(targets: [Ipv4Addr; 2]) -> (Site, PathBuf) {
    let site = Site::new();
    let [one, two] = targets;
    site.write(
        "gslb.test.zone",
        &format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             all LUA A \"ifportup(1, {{'{one}', '{two}'}}, {{selector='all', interval=60}})\"\n\
             alone LUA A \"ifportup(1, {{'{one}'}}, {{interval=60}})\"\n\
             named LUA A \"ifportup(1, {{'{one}', '{two}'}}, {{check='web', selector='all'}})\"\n"
        ),
    );
    let config = site.config(&["gslb.test"], "[check.web]\nkind = \"tcp\"\nport = 2\ninterval = \"60s\"\n");
    (site, config)
}

fn put(server: &Leeward, subject: &str, query: &str) -> (u16, Value) {
    order(server, "PUT", subject, query).expect("an answer")
}

/// `None`: the server was killed meanwhile.
fn order(server: &Leeward, method: &str, subject: &str, query: &str) -> Option<(u16, Value)> {
    let path = format!("/api/v1/overrides/{subject}?{query}");
    let answer = std::panic::catch_unwind(|| http(server.admin, method, &path)).ok()?;
    let (status, body) = answer;
    Some((status, serde_json::from_str(&body).ok()?))
}

fn answer(server: &Leeward, name: &str) -> Vec<String> {
    let mut data: Vec<String> = server.ask(name, RecordType::A).data.iter().map(ToString::to_string).collect();
    data.sort();
    data
}

fn texts<const N: usize>(addresses: [Ipv4Addr; N]) -> Vec<String> {
    let mut texts = addresses.map(|address| address.to_string()).to_vec();
    texts.sort();
    texts
}

#[test]
fn what_is_acknowledged_is_served_and_outlives_the_process() {
    let targets = [own_address(), own_address()];
    let (_site, config) = site(targets);
    let mut server = Leeward::start(&config);
    let [one, two] = targets;
    for target in targets {
        assert_eq!(put(&server, &format!("target/{target}"), "state=up&for=forever").0, 200);
    }
    assert_eq!(answer(&server, "all.gslb.test"), texts(targets), "served when it is acknowledged");
    let (status, refused) = put(&server, &format!("target/{one}:1"), "state=down");
    assert_eq!((status, &refused["type"]), (409, &"would_empty".into()), "{refused}");
    assert_eq!(refused["names"][0], "alone.gslb.test. A");
    assert_eq!(answer(&server, "all.gslb.test"), texts(targets), "nothing was changed");
    let (status, done) = put(&server, &format!("target/{one}:1"), "state=down&accept=would_empty&by=alice&reason=kernel&for=1h");
    assert_eq!((status, &done["durable"], &done["after"]["by"]), (200, &true.into(), &"alice".into()), "{done}");
    assert_eq!((answer(&server, "all.gslb.test"), answer(&server, "alone.gslb.test")), (texts([two]), vec![]));
    server.child.kill().expect("killed");
    server.child.wait().expect("gone");
    let server = Leeward::start(&config);
    assert_eq!((answer(&server, "all.gslb.test"), answer(&server, "alone.gslb.test")), (texts([two]), vec![]));
    let expiry = server.metric(&format!("leeward_override_expiry_timestamp_seconds{{kind=\"target\",name=\"{one}:1\"}}"));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs_f64();
    assert!(expiry.is_some_and(|expiry| (3000.0..3601.0).contains(&(expiry - now))), "{expiry:?} {now}");
    let socket = config.with_file_name("control.sock").display().to_string();
    let said = |args: &[&str]| {
        let output = leeward(&[args, &["--socket", &socket]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = said(&["overrides"]);
    assert!(code == Some(0) && text.contains(&format!("target/{one}:1  down   ")) && text.contains("kernel"), "{text}");
    let (code, text) = said(&["release", &format!("{one}:1"), "--dry-run"]);
    assert!(
        code == Some(0) && text.starts_with("would be applied; nothing was changed") && text.contains("all.gslb.test. A"),
        "{text}"
    );
    let (code, text) = said(&["release", &format!("{one}:1")]);
    assert!(code == Some(0) && text.starts_with("applied, generation "), "{text}");
    assert_eq!(answer(&server, "all.gslb.test"), texts(targets));
    let (code, text) = said(&["force", &format!("check/web@{two}"), "down"]);
    assert!(code == Some(0) && text.contains("  named.gslb.test. A\n") && !text.contains("all.gslb.test"), "{text}");
    assert_eq!(answer(&server, "named.gslb.test"), texts([one]));
    assert_eq!(said(&["release", &format!("check/web@{two}:2")]).0, Some(0));
    let (code, text) = said(&["drain", &two.to_string(), "--for", "10m", "--reason", "new disks"]);
    assert!(code == Some(0) && text.contains(&format!("target/{two} drain until ")), "{text}");
    assert_eq!(answer(&server, "all.gslb.test"), texts(targets.map(|_| one)).into_iter().take(1).collect::<Vec<_>>());
    let (_, text) = said(&["events"]);
    assert!(text.contains(&format!("target/{two}: drain, by ")) && text.contains(": new disks"), "{text}");
    assert_eq!(said(&["freeze", "--for", "forever"]).0, Some(0));
    assert!(said(&["status"]).1.contains("FROZEN"));
    assert_eq!(said(&["release", "node/this"]).0, Some(0));
    assert_eq!(said(&["release", "node/this"]).0, Some(1), "there is nothing to take back");
}

/// The numbers and texts of the events that the server has.
fn events(server: &Leeward) -> Vec<(u64, String)> {
    let list = server.get_json("/api/v1/events?since=0&limit=1000");
    let event = |event: &Value| (event["number"].as_u64().expect("a number"), event["text"].as_str().expect("a text").to_owned());
    list["events"].as_array().expect("a list").iter().map(event).collect()
}

#[test]
fn what_happened_is_known_after_a_kill() {
    let targets = [own_address(), own_address()];
    let (site, config) = site(targets);
    // Killed before it has written that down, it lives longer the next time.
    let mut patience = Duration::from_millis(300);
    let (told, kept, ordered) = loop {
        let mut server = Leeward::start(&config);
        assert_eq!(put(&server, "target/192.0.2.1", "state=drain&accept=no_such_target").0, 200);
        let told = events(&server);
        let ordered = told.iter().rfind(|(_, text)| text.starts_with("target/192.0.2.1: drain")).expect("told").clone();
        std::thread::sleep(patience);
        server.child.kill().expect("killed");
        server.child.wait().expect("gone");
        let kept = Ledger::under(&site.path("state")).read(Moment::at(Duration::ZERO), 0).expect("it opens");
        let number = format!("\"number\":{},", ordered.0);
        if kept.events.iter().any(|row| String::from_utf8_lossy(row).contains(&number)) {
            break (told, kept, ordered);
        }
        patience *= 2;
        assert!(patience < PATIENCE, "it is not written down");
    };
    let server = Leeward::start(&config);
    let after = events(&server);
    assert!(after.contains(&ordered), "{after:?}");
    assert!(after.iter().is_sorted_by(|one, other| one.0 < other.0), "numbers only rise: {after:?}");
    let fresh = after.iter().find(|(number, _)| *number > kept.last_event).expect("of this process");
    assert!(fresh.0 > told.last().expect("some").0, "none is given twice");
    let socket = config.with_file_name("control.sock").display().to_string();
    let output = leeward(&["events", "--since", "10m", "--socket", &socket]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_told = |line: &str| line.contains(&format!("#{} ", ordered.0)) && line.contains("target/192.0.2.1: drain");
    assert!(text.lines().any(is_told), "{text}");
    // In good order there is no gap.
    let last = after.last().expect("some").0;
    assert!(server.stop());
    let server = Leeward::start(&config);
    let next = events(&server).into_iter().find(|(number, _)| *number > last).expect("of the third process");
    assert_eq!(next.0, last + 1);
}

/// A stream of events, line by line.
struct Stream(std::io::BufReader<std::net::TcpStream>);

impl Stream {
    fn open(server: &Leeward, headers: &str) -> Self {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(server.admin).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("option");
        write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n")
            .expect("sent");
        Self(std::io::BufReader::new(stream))
    }

    /// The first line that begins like this, without that.
    fn line(&mut self, start: &str) -> String {
        use std::io::BufRead;
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("in time") > 0, "the stream ended before {start}");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim_end().to_owned();
            }
        }
    }
}

#[test]
fn events_are_streamed_and_a_restart_is_no_gap() {
    let targets = [own_address(), own_address()];
    let (_site, config) = site(targets);
    let server = Leeward::start(&config);
    let drain = |server: &Leeward, host: u8| {
        assert_eq!(put(server, &format!("target/192.0.2.{host}"), "state=drain&accept=no_such_target").0, 200);
    };
    let mut stream = Stream::open(&server, "");
    assert_eq!(stream.line("HTTP/1.1 "), "200 OK");
    assert_eq!(stream.line("content-type: "), "text/event-stream");
    assert_eq!(stream.line("retry: "), "1000");
    let from: u64 = stream.line("id: ").parse().expect("a number");
    drain(&server, 1);
    let id: u64 = stream.line("id: ").parse().expect("a number");
    assert!(id > from, "{id} after {from}");
    assert_eq!(stream.line("event: "), "overridden");
    let data: Value = serde_json::from_str(&stream.line("data: ")).expect("JSON");
    assert_eq!((&data["number"], &data["subject"]), (&id.into(), &"target/192.0.2.1".into()));

    let socket = config.with_file_name("control.sock").display().to_string();
    let mut follower = std::process::Command::new(env!("CARGO_BIN_EXE_leeward"));
    follower.args(["events", "--follow", "--json", "--since", &id.to_string(), "--socket", &socket]);
    let mut follower = follower.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(follower.stdout.take().expect("piped")));
    let mut next = |subject: &str| loop {
        let line = lines.next().expect("it goes on").expect("text");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        if event["subject"] == subject {
            return event["number"].as_u64().expect("a number");
        }
    };
    drain(&server, 2);
    let second = next("target/192.0.2.2");
    assert!(server.stop(), "streams do not hold it up");
    let server = Leeward::start(&config);
    drain(&server, 3);
    let third = next("target/192.0.2.3");
    assert!(third > second);
    follower.kill().expect("killed");
    follower.wait().expect("gone");
    let mut again = Stream::open(&server, &format!("Last-Event-ID: {id}\r\n"));
    assert_eq!(again.line("id: "), id.to_string());
    assert_eq!(again.line("id: "), second.to_string(), "from where it was, in another process");
}

/// Takes one request, answers with this status line, and gives its body.
fn take_request(listener: &std::net::TcpListener, status: &str) -> Value {
    use std::io::{BufRead, Read, Write};
    let (stream, _) = listener.accept().expect("accepted");
    stream.set_read_timeout(Some(PATIENCE)).expect("option");
    let mut reader = std::io::BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    write!(reader.get_mut(), "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("written");
    serde_json::from_slice(&body).expect("JSON")
}

#[test]
fn webhooks_and_commands_are_told_until_they_have_understood() {
    let targets = [own_address(), own_address()];
    let (site, config) = site(targets);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let told = site.path("told");
    let notify = format!(
        "[notify.hook]\nurl = \"http://{}/x\"\nevents = [\"overridden\"]\ntemplate = \"slack\"\n\
         [notify.script]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> '{}'\"]\nevents = [\"overridden\"]\n",
        listener.local_addr().expect("bound"),
        told.display()
    );
    let text = std::fs::read_to_string(&config).expect("there") + &notify;
    std::fs::write(&config, text).expect("written");
    let server = Leeward::start(&config);
    assert_eq!(put(&server, "target/192.0.2.1", "state=drain&accept=no_such_target").0, 200);
    let first = take_request(&listener, "503 Not now");
    assert_eq!(put(&server, "target/192.0.2.2", "state=drain&accept=no_such_target").0, 200);
    assert_eq!(take_request(&listener, "200 OK"), first, "again");
    let second = take_request(&listener, "200 OK");
    let is_about = |body: &Value, target: &str| {
        body["text"].as_str().is_some_and(|text| text.starts_with(&format!("*test*: {target}: drain")))
    };
    assert!(is_about(&first, "target/192.0.2.1") && is_about(&second, "target/192.0.2.2"), "{first} {second}");
    wait_for("the counts", || {
        let counts =
            ["s_total", "_failures_total"].map(|end| server.metric(&format!("leeward_notification{end}{{name=\"hook\"}}")));
        (counts == [Some(2.0), Some(1.0)]).then_some(())
    });
    wait_for("the command", || {
        let told = std::fs::read_to_string(&told).unwrap_or_default();
        let objects = serde_json::Deserializer::from_str(&told).into_iter::<Value>();
        let subjects: Vec<Value> = objects.map_while(Result::ok).map(|event| event["subject"].clone()).collect();
        (subjects == ["target/192.0.2.1", "target/192.0.2.2"]).then_some(())
    });
}

/// What is known of one override while a server may be killed at any moment.
#[derive(Clone, Debug, Default)]
struct Known {
    /// As it was last acknowledged.
    acknowledged: Option<String>,
    /// What was asked for and not answered.
    asked: Option<Option<String>>,
}

#[test]
fn kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let kills = std::env::var("LEEWARD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let targets = [own_address(), own_address()];
    let (_site, config) = site(targets);
    let mut random = fastrand::Rng::with_seed(7);
    let subjects: Vec<String> = (1..=4).map(|host| format!("target/192.0.2.{host}")).collect();
    let mut known: BTreeMap<String, Known> = subjects.iter().map(|subject| (subject.clone(), Known::default())).collect();
    let mut acknowledged = 0;
    for _ in 0..kills {
        let mut server = Leeward::start(&config);
        agrees(&server, &mut known);
        let (stop, wishes) = (AtomicBool::new(false), Mutex::new(&mut known));
        let admin = server.admin;
        let alive_for = Duration::from_micros(random.u64(500..60_000));
        let seed = random.u64(..);
        let done = std::thread::scope(|scope| {
            let caller = scope.spawn(|| {
                let (mut random, mut done) = (fastrand::Rng::with_seed(seed), 0);
                while !stop.load(Ordering::Relaxed) {
                    let subject = &subjects[random.usize(..subjects.len())];
                    let wish = random.bool().then(|| random.u32(..).to_string());
                    let mut known = wishes.lock().expect("one at a time");
                    let entry = known.get_mut(subject).expect("a subject");
                    entry.asked = Some(wish.clone());
                    let (method, query) = match &wish {
                        Some(reason) => ("PUT", format!("state=drain&accept=no_such_target&reason={reason}&for=forever")),
                        None => ("DELETE", String::new()),
                    };
                    match call(admin, method, &format!("/api/v1/overrides/{subject}?{query}")) {
                        Some(200) => {
                            done += 1;
                            entry.acknowledged = wish;
                            entry.asked = None;
                        }
                        Some(404) => entry.asked = None, // nothing to take back
                        _ => return done,
                    }
                }
                done
            });
            std::thread::sleep(alive_for);
            server.child.kill().expect("killed");
            server.child.wait().expect("gone");
            stop.store(true, Ordering::Relaxed);
            caller.join().expect("the caller")
        });
        acknowledged += done;
    }
    let server = Leeward::start(&config);
    agrees(&server, &mut known);
    println!("{kills} kills, {acknowledged} acknowledged orders, none lost");
    assert!(acknowledged > kills, "there was something to lose: {acknowledged}");
}

/// The status of a reply that came whole.
fn call(admin: std::net::SocketAddr, method: &str, path: &str) -> Option<u16> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(admin).ok()?;
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    serde_json::from_str::<Value>(body).ok()?;
    head.split(' ').nth(1)?.parse().ok()
}

/// What the server has is what was acknowledged, or what was asked for last and not answered.
fn agrees(server: &Leeward, known: &mut BTreeMap<String, Known>) {
    let list = server.get_json("/api/v1/overrides");
    let in_force: BTreeMap<String, String> = list["overrides"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|word| {
            assert_eq!(word["state"], "drain", "{word}");
            let text = |key: &str| word[key].as_str().expect("a text").to_owned();
            (format!("{}/{}", text("kind"), text("name")), text("reason"))
        })
        .collect();
    for (subject, known) in known {
        let seen = in_force.get(subject).cloned();
        let either = [Some(known.acknowledged.clone()), known.asked.clone()];
        assert!(either.contains(&Some(seen.clone())), "{subject}: {seen:?} of {known:?}");
        *known = Known { acknowledged: seen, asked: None };
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    if !is_root() || !has("mount") {
        return;
    }
    let targets = [own_address(), own_address()];
    let (site, config) = site(targets);
    let disk = Disk::mount(&site.path("state"));
    let server = Leeward::start(&config);
    assert_eq!(put(&server, "target/192.0.2.1", "state=drain&accept=no_such_target").0, 200);
    disk.fill();
    let (status, refused) = put(&server, "target/192.0.2.2", "state=drain&accept=no_such_target");
    assert_eq!((status, &refused["type"]), (507, &"not_durable".into()), "{refused}");
    let (status, done) = put(&server, "target/192.0.2.2", "state=drain&accept=no_such_target&durable=false");
    assert_eq!((status, &done["durable"]), (200, &false.into()), "{done}");
    assert_eq!(server.ask("ns.gslb.test", RecordType::A).data.len(), 1, "answers do not need it");
    disk.free();
    wait_for("room again", || (put(&server, "target/192.0.2.3", "state=drain&accept=no_such_target").0 == 200).then_some(()));
    assert!(server.stop());
    let server = Leeward::start(&config);
    let names: Vec<String> = server.get_json("/api/v1/overrides")["overrides"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|word| word["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["192.0.2.1", "192.0.2.3"]);
    assert!(server.stop());
}

/// A web server that says what it is told to, or nothing at all.
struct Web {
    address: Ipv4Addr,
    mood: Arc<AtomicU8>,
}

const WELL: u8 = 0;
const ILL: u8 = 1;
/// It takes connections and never says a word.
const SILENT: u8 = 2;

impl Web {
    fn start(address: Ipv4Addr, port: u16) -> Self {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind((address, port)).expect("bound");
        let mood = Arc::new(AtomicU8::new(WELL));
        let seen = Arc::clone(&mood);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let line = match seen.load(Ordering::SeqCst) {
                    WELL => "200 OK",
                    ILL => "500 No",
                    _ => {
                        held.push(stream);
                        continue;
                    }
                };
                let _a_probe_may_be_gone = stream.read(&mut [0; 1024]);
                let _likewise = write!(stream, "HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { address, mood }
    }

    fn becomes(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }
}

#[test]
fn a_server_that_starts_believes_what_it_knew() {
    let addresses: [Ipv4Addr; 10] = std::array::from_fn(|_| own_address());
    let port = free_port(&addresses);
    let webs = addresses.map(|address| Web::start(address, port));
    let (well, ill) = webs.split_at(7);
    ill.iter().for_each(|web| web.becomes(ILL));
    let list: Vec<String> = addresses.iter().map(|address| format!("'{address}'")).collect();
    let site = Site::new();
    site.write(
        "gslb.test.zone",
        &format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             www LUA A \"ifurlup('http://www.test:{port}/', {{{}}}, {{selector='all', timeout=30, interval=60}})\"\n",
            list.join(", ")
        ),
    );
    let config = site.config(&["gslb.test"], "");
    let alive: Vec<String> = {
        let mut alive: Vec<String> = well.iter().map(|web| web.address.to_string()).collect();
        alive.sort();
        alive
    };
    killed_when_written(&site, &config, 7, 10, |server| {
        wait_for("every result", || (answer(server, "www.gslb.test") == alive).then_some(()));
    });
    webs.iter().for_each(|web| web.becomes(SILENT));
    // Not waiting for what it does not know: a server that knew nothing would name the dead at once.
    let config = site.config(&["gslb.test"], "[health]\nstartup_wait = \"0s\"\n");
    let server = Leeward::start(&config);
    assert_eq!(answer(&server, "www.gslb.test"), alive, "no probe can have finished");
    assert_eq!(bases(&server), ["restored"; 10]);
    drop(server);
    // Too old to be believed, it is as if nothing had been known.
    let config = site.config(&["gslb.test"], "[health]\nstartup_wait = \"0s\"\nrestore_max_age = \"0s\"\n");
    std::thread::sleep(Duration::from_millis(2));
    let server = Leeward::start(&config);
    assert_eq!(bases(&server), ["never"; 10]);
}

/// Has a server see everything and kills it; again, and a little later, until all of it is written down: killed at once, it may
/// not have come to that yet.
fn killed_when_written(site: &Site, config: &Path, up: usize, all: usize, sees_everything: impl Fn(&Leeward)) {
    let mut patience = Duration::from_millis(100);
    loop {
        let mut server = Leeward::start(config);
        sees_everything(&server);
        std::thread::sleep(patience);
        server.child.kill().expect("killed");
        server.child.wait().expect("gone");
        let kept = Ledger::under(&site.path("state")).read(Moment::at(Duration::ZERO), 0).expect("it opens");
        if kept.verdicts.values().filter(|verdict| verdict.value == Up).count() == up && kept.verdicts.len() == all {
            return;
        }
        patience *= 2;
        assert!(patience < PATIENCE, "it is not written down: {} verdicts", kept.verdicts.len());
    }
}

/// What is believed of each check, and on what it rests.
fn bases(server: &Leeward) -> Vec<String> {
    let checks = server.get_json("/api/v1/checks");
    let checks = checks["checks"].as_array().expect("a list");
    checks.iter().map(|check| check["basis"].as_str().expect("a text").to_owned()).collect()
}

/// Web servers at as many loopback addresses as one likes, behind one listener.
struct Farm {
    listener: TcpListener,
    port: u16,
    speaking: AtomicBool,
    ill: Mutex<HashSet<Ipv4Addr>>,
    /// Those that have said, since it was last asked for, that they are well.
    heard: Mutex<HashSet<Ipv4Addr>>,
}

impl Farm {
    fn new(ill: HashSet<Ipv4Addr>) -> Arc<Self> {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).expect("bound");
        socket.listen(4096).expect("listening"); // while it is silent, everybody waits here
        let listener = TcpListener::from(socket);
        let port = listener.local_addr().expect("an address").port();
        Arc::new(Self { listener, port, speaking: AtomicBool::new(false), ill: Mutex::new(ill), heard: Mutex::default() })
    }

    fn speaks(self: &Arc<Self>) -> std::thread::JoinHandle<()> {
        self.speaking.store(true, Ordering::SeqCst);
        let farm = Arc::clone(self);
        std::thread::spawn(move || farm.answer())
    }

    /// From here on connections are made, and nobody says anything.
    fn falls_silent(&self, speaker: std::thread::JoinHandle<()>) {
        self.speaking.store(false, Ordering::SeqCst);
        let _wakes_it = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("connected");
        speaker.join().expect("no panic");
        self.heard.lock().expect("not poisoned").clear();
    }

    fn answer(&self) {
        use std::io::{Read, Write};
        loop {
            let (mut stream, _) = self.listener.accept().expect("a connection");
            if !self.speaking.load(Ordering::SeqCst) {
                return;
            }
            let Ok(SocketAddr::V4(local)) = stream.local_addr() else { continue };
            let line = if self.ill.lock().expect("not poisoned").contains(local.ip()) {
                "500 No"
            } else {
                self.heard.lock().expect("not poisoned").insert(*local.ip());
                "200 OK"
            };
            let _a_probe_may_be_gone = stream.read(&mut [0; 1024]);
            let _likewise = write!(stream, "HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    }

    fn has_heard(&self, address: Ipv4Addr) -> bool {
        self.heard.lock().expect("not poisoned").contains(&address)
    }
}

/// Asks without a pause, and looks at every answer: none may name whom the last state has as dead before it was heard, nor
/// whom a finished probe has.
struct Hammer {
    server: SocketAddr,
    farm: Arc<Farm>,
    /// Dead by the last state.
    believed_dead: HashSet<Ipv4Addr>,
    /// Dead by a finished probe.
    found_dead: Mutex<Arc<HashSet<Ipv4Addr>>>,
    answers: AtomicUsize,
    ending: AtomicBool,
}

impl Hammer {
    fn run(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(self.server).expect("connected");
        // What comes while the ports are bound on trial is lost, as it would be a moment earlier.
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("option");
        let question = query("one.gslb.test", RecordType::A, None);
        let mut reply = [0; 4096];
        while !self.ending.load(Ordering::SeqCst) {
            let found_dead = Arc::clone(&self.found_dead.lock().expect("not poisoned"));
            let received = socket.send(&question).and_then(|_| socket.recv(&mut reply));
            let asked = self.answers.load(Ordering::SeqCst);
            let Ok(len) = received else {
                assert_eq!(asked, 0, "once the port answers, it answers everything: {received:?}");
                continue; // nobody listens yet
            };
            if asked == 0 {
                socket.set_read_timeout(Some(PATIENCE)).expect("option");
            }
            self.judge(&Answer::of(&reply[..len]), 1, &found_dead);
            if asked.is_multiple_of(100) {
                self.judge(&ask_whole(self.server, "all.gslb.test"), usize::MAX, &found_dead);
            }
            self.answers.store(asked + 1, Ordering::SeqCst);
        }
    }

    fn judge(&self, answer: &Answer, most: usize, found_dead: &HashSet<Ipv4Addr>) {
        assert_eq!(answer.rcode, "NOERROR");
        assert!((1..=most).contains(&answer.data.len()) && !answer.truncated, "{answer:?}");
        for address in &answer.data {
            let address = address.parse().expect("an address");
            assert!(!found_dead.contains(&address), "{address}: a probe has found it dead");
            assert!(
                !self.believed_dead.contains(&address) || self.farm.has_heard(address),
                "{address}: it was dead, and not heard since"
            );
        }
    }
}

/// One query over TCP, which answers are not too long for.
fn ask_whole(server: SocketAddr, name: &str) -> Answer {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(server).expect("connected");
    let question = query(name, RecordType::A, None);
    let framed = [&(question.len() as u16).to_be_bytes(), &*question].concat();
    stream.write_all(&framed).expect("sent");
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("a length");
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply).expect("a reply");
    Answer::of(&reply)
}

/// A thousand targets, three hundred of them dead. While the server is gone two hundred more die, and a hundred come back; and when
/// it is there again, all are silent for a while.
#[test]
fn a_cold_start_names_nobody_who_was_dead() {
    let addresses: Vec<Ipv4Addr> = (0..1000).map(|_| own_address()).collect();
    let of_ten = |places: &[usize]| -> HashSet<Ipv4Addr> {
        addresses.chunks(10).flat_map(|ten| places.iter().map(|&place| ten[place])).collect()
    };
    let dead = of_ten(&[0, 1, 2]);
    let farm = Farm::new(dead.clone());
    let site = Site::new();
    let list: Vec<String> = addresses.iter().map(|address| format!("'{address}'")).collect();
    let check = format!("'http://www.test:{}/', {{{}}}", farm.port, list.join(", "));
    site.write(
        "gslb.test.zone",
        &format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             one LUA A \"ifurlup({check}, {{timeout=30, interval=60}})\"\n\
             all LUA A \"ifurlup({check}, {{selector='all', timeout=30, interval=60}})\"\n"
        ),
    );
    let speaker = farm.speaks();
    let dns = {
        let address = own_address();
        SocketAddr::from((address, free_port(&[address])))
    };
    let config = site.config(&["gslb.test"], &format!("[server]\nlisten = [\"{dns}\"]\nudp_threads = 1\n"));
    killed_when_written(&site, &config, 700, 1000, |server| {
        wait_for("every result", || (measured(server, "down").len() == 300 && measured(server, "up").len() == 700).then_some(()));
    });
    farm.falls_silent(speaker);
    let now_dead = of_ten(&[1, 2, 3, 4]);
    *farm.ill.lock().expect("not poisoned") = now_dead.clone();

    let (found_dead, answers, ending) = (Mutex::default(), AtomicUsize::new(0), AtomicBool::new(false));
    let hammer = Hammer { server: dns, farm: Arc::clone(&farm), believed_dead: dead, found_dead, answers, ending };
    let asked = || hammer.answers.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        let hammering = scope.spawn(|| hammer.run());
        let is_alive = || assert!(!hammering.is_finished(), "an answer was wrong");
        let server = Leeward::launch(&config, &[]);
        wait_for("a thousand answers", || (is_alive(), asked() >= 1000).1.then_some(()));
        let before = asked();
        assert_eq!(bases(&server), vec!["restored"; 1000], "no probe can have finished");
        let _speaker = farm.speaks();
        wait_for("every result", || {
            is_alive();
            let dead = measured(&server, "down");
            let done = dead.len() + measured(&server, "up").len() == 1000;
            *hammer.found_dead.lock().expect("not poisoned") = Arc::new(dead);
            done.then_some(())
        });
        assert_eq!(measured(&server, "down"), now_dead);
        let after = asked();
        wait_for("a thousand more", || (is_alive(), asked() >= after + 1000).1.then_some(()));
        hammer.ending.store(true, Ordering::SeqCst);
        hammering.join().expect("no answer was wrong");
        println!(
            "1000 targets: {before} answers on the last state alone, {} while they were probed, {} afterwards",
            after - before,
            asked() - after
        );
        assert_eq!(ask_whole(dns, "all.gslb.test").data.len(), 1000 - now_dead.len());
        assert!(server.stop());
    });
}

/// The targets of which this is measured, by this process.
fn measured(server: &Leeward, value: &str) -> HashSet<Ipv4Addr> {
    let checks = server.get_json("/api/v1/checks");
    let checks = checks["checks"].as_array().expect("a list").iter();
    let these = checks.filter(|check| check["basis"] == "measured" && check["status"] == value);
    let address = |check: &Value| match check["target"].as_str().expect("a text").parse::<SocketAddr>().expect("an address").ip()
    {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address}"),
    };
    these.map(address).collect()
}

/// The state and the place of the overrides file, as `status` has them.
fn refused_words(server: &Leeward) -> String {
    let status = server.get_json("/api/v1/status");
    let error = &status["overrides_file"]["errors"][0];
    format!("{}: {}", error["place"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

fn until(what: &str, holds: impl Fn() -> bool) {
    wait_for(what, || holds().then_some(()));
}

#[test]
fn the_overrides_file_is_followed_and_a_bad_one_changes_nothing() {
    let targets = [own_address(), own_address()];
    let [one, two] = targets;
    let (site, config) = site(targets);
    let named =
        std::fs::read_to_string(&config).expect("written").replace("[node]\n", "[node]\noverrides_file = \"said.toml\"\n");
    std::fs::write(&config, named).expect("written");
    let word = |subject: &str, state: &str| format!("[[override]]\nsubject = \"{subject}\"\nstate = \"{state}\"\n");
    let said = |words: &[String]| drop(site.write("said.toml", &words.concat()));
    let checked = || {
        let output = leeward(&["checkconf", "--config", &config.display().to_string()]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };

    // It is not there yet. When it comes, it counts.
    let server = Leeward::start(&config);
    let up = |target: Ipv4Addr| word(&format!("target/{target}"), "up");
    let down = |target: Ipv4Addr| word(&format!("check/web@{target}"), "down");
    said(&[up(one), up(two)]);
    let all = || answer(&server, "all.gslb.test");
    until("both to be up", || server.get_json("/api/v1/overrides")["overrides"].as_array().is_some_and(|all| all.len() == 2));
    said(&[up(one), up(two), down(one)]);
    until("the change", || answer(&server, "named.gslb.test") == texts([two]));
    assert_eq!(all(), texts(targets));
    let listed = server.get_json("/api/v1/overrides");
    let by = |subject: &str| {
        let mut words = listed["overrides"].as_array().expect("a list").iter();
        words.find(|word| word["name"] == subject).expect("listed")["by"].as_str().expect("text").to_owned()
    };
    assert!(by(&one.to_string()).ends_with("said.toml:1:1") && by(&one.to_string()).starts_with("file /"), "{listed}");

    // A bad line: nothing changes, and it is told where that is.
    said(&[up(two), word("target/192.0.2.300", "down")]);
    until("the refusal", || refused_words(&server).contains("said.toml:5:11: `[override] subject` is \"target/192.0.2.300\""));
    assert_eq!((answer(&server, "named.gslb.test"), all()), (texts([two]), texts(targets)));
    assert_eq!(server.metric("leeward_overrides_file_refused"), Some(1.0));
    assert_eq!(server.metric("leeward_config_last_reload_successful"), Some(0.0));
    let (code, text) = checked();
    assert!(code == Some(1) && text.contains("said.toml:5:11: error: "), "{text}");
    let socket = config.with_file_name("control.sock").display().to_string();
    let client = |args: &[&str]| {
        let output = leeward(&[args, &["--socket", &socket]].concat());
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    assert!(client(&["status"]).1.contains("REFUSED, what it said before holds: "));

    // What an operator says lies over it; what the file says is released there.
    assert_eq!(client(&["drain", &two.to_string(), "--for", "1h", "--accept", "would_empty"]).0, Some(0));
    assert_eq!(all(), texts([one]));
    let (code, text) = client(&["release", &one.to_string()]);
    assert!(code == Some(1) && text.contains("said.toml:1:1") && text.contains("Take it out of the file"), "{text}");
    assert_eq!(client(&["release", &two.to_string()]).0, Some(0));
    assert_eq!(all(), texts(targets));

    // What would leave an answer without a target is refused too, and rehearsed.
    said(&[up(one).replace("up", "down"), up(two)]);
    until("the refusal of what empties", || {
        refused_words(&server).contains("said.toml:1:1: target/") && refused_words(&server).contains("alone")
    });
    assert_eq!(all(), texts(targets));
    said(&[up(one).replace("up\"", "down\"\naccept = \"would_empty\""), up(two)]);
    until("the change", || all() == texts([two]));
    assert_eq!((refused_words(&server), server.metric("leeward_overrides_file_refused")), (": ".to_owned(), Some(0.0)));
    assert_eq!(checked().0, Some(0));

    // One that is gone takes nothing back; a restart is another matter for what it says, and not for what it said.
    std::fs::remove_file(site.path("said.toml")).expect("removed");
    until("the refusal", || refused_words(&server).contains("is not there any more"));
    assert_eq!(all(), texts([two]));
    said(&[up(one), up(two), down(two)]);
    until("the change", || all() == texts(targets));
    let (_, text) = client(&["events"]);
    assert!(text.contains(": down, by file ") && text.contains("as long as it stands there"), "{text}");
    let mut server = server;
    server.child.kill().expect("killed");
    server.child.wait().expect("gone");
    let server = Leeward::start(&config);
    assert_eq!((answer(&server, "all.gslb.test"), answer(&server, "named.gslb.test")), (texts(targets), texts([one])));
    let (code, text) = client(&["reload", "--dry-run"]);
    assert!(code == Some(0) && !text.contains("target/"), "{text}");
    drop(server);

    // A bad one holds up no start, unless that is asked for; and says nothing.
    said(&["override = 7".to_owned()]);
    let server = Leeward::start(&config);
    assert!(refused_words(&server).contains("said.toml:1:12: `override` holds an integer"));
    assert_eq!(server.metric("leeward_config_last_reload_successful"), Some(0.0));
    said(&[]);
    until("the change", || refused_words(&server) == ": ");
}

#[test]
fn a_frozen_zone_stays_so_over_a_restart() {
    let targets = [own_address(), own_address()];
    let [one, two] = targets;
    let (site, config) = site(targets);
    let first = TcpListener::bind((one, 0)).expect("bound");
    let port = first.local_addr().expect("an address").port();
    let _second = TcpListener::bind((two, port)).expect("an address of its own");
    let zone = std::fs::read_to_string(site.path("gslb.test.zone")).expect("written");
    site.write("gslb.test.zone", &zone.replace("interval=60", "interval=1").replace("ifportup(1,", &format!("ifportup({port},")));
    let server = Leeward::start(&config);
    let all = |server: &Leeward| answer(server, "all.gslb.test");
    until("both to be up", || all(&server) == texts(targets));
    let socket = config.with_file_name("control.sock").display().to_string();
    let client = |args: &[&str]| {
        let output = leeward(&[args, &["--socket", &socket]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = client(&["freeze", "zone/gslb.test", "--for", "1h", "--reason", "a tunnel is moved"]);
    assert!(code == Some(0) && text.contains("zone/gslb.test frozen until "), "{text}");
    drop(first);
    let is_down = |server: &Leeward| {
        let checks = server.get_json("/api/v1/checks");
        let mut checks = checks["checks"].as_array().expect("a list").iter();
        checks.any(|check| check["target"] == format!("{one}:{port}") && check["status"] == "down")
    };
    until("it to be down", || is_down(&server));
    assert_eq!(all(&server), texts(targets), "what is measured changes nothing");
    let (_, text) = client(&["status"]);
    assert!(text.contains("serving, FROZEN"), "{text}");
    let (_, text) = client(&["explain", "all.gslb.test"]);
    assert!(text.contains("the zone is frozen"), "{text}");
    let (code, text) = client(&["release", "zone/gslb.test", "--dry-run", "--accept", "would_empty"]);
    assert!(code == Some(0) && text.contains("all.gslb.test. A"), "{text}");

    // What was believed when it was frozen, nobody knows any more: what was measured last counts, and goes on to.
    assert!(server.stop());
    let server = Leeward::start(&config);
    assert_eq!(all(&server), texts([two]));
    let _first = wait_for("the port", || TcpListener::bind((one, port)).ok());
    until("it to be up", || !is_down(&server));
    assert_eq!(all(&server), texts([two]));
    assert_eq!(client(&["release", "zone/gslb.test"]).0, Some(0));
    assert_eq!(all(&server), texts(targets));
}
