//! Named checks, kind by kind, each beside its real counterpart: what is up, what is down, and why.
//!
//! Each claim is a definition and a target. That one is down says that its definition did it: the counterpart is there, and
//! answers its neighbours.

#![allow(clippy::disallowed_methods, unreachable_pub, reason = "tests measure; the modules are of this test only")]

#[path = "../harness/mod.rs"]
mod harness;
mod hostile;
mod kubernetes;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};

use leeward::wire::RecordType;

use harness::{Leeward, Nginx, Program, Site, command, free_port, has, is_root, leeward, own_address, wait_for};

/// A name, its definition, the target, and the verdict: `up`, or `down` or `unknown` and why.
struct Claim {
    name: &'static str,
    definition: String,
    target: SocketAddr,
    verdict: &'static str,
}

fn claim(name: &'static str, definition: &str, target: impl Into<SocketAddr>, verdict: &'static str) -> Claim {
    Claim { name, definition: definition.replace("; ", "\n"), target: target.into(), verdict }
}

/// A zone and a configuration in which each claim is a name and a check.
fn configure(site: &Site, claims: &[Claim], more: &str) -> std::path::PathBuf {
    let record = |Claim { name, target, .. }: &Claim| {
        format!("{name} LUA A \"ifportup({}, {{'{}'}}, {{check='{name}'}})\"\n", target.port(), target.ip())
    };
    let records: String = claims.iter().map(record).collect();
    site.write("gslb.test.zone", &format!("$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n{records}"));
    let check = |Claim { name, definition, .. }: &Claim| format!("[check.{name}]\n{definition}\n");
    site.config(&["gslb.test"], &(more.to_owned() + &claims.iter().map(check).collect::<String>()))
}

/// What `/api/v1/checks` says of each name: `status reason`.
fn verdicts(checks: &serde_json::Value) -> BTreeMap<String, String> {
    let checks = checks["checks"].as_array().expect("a list");
    let verdict = |check: &serde_json::Value| {
        let name = check["names"][0].as_str().expect("a name").to_owned();
        let reason = check["last"]["reason"].as_str().map(|reason| format!(" {reason}")).unwrap_or_default();
        (name, format!("{}{reason}", check["status"].as_str().expect("a status")))
    };
    checks.iter().map(verdict).collect()
}

fn wanted(claims: &[Claim]) -> BTreeMap<String, String> {
    claims.iter().map(|claim| (claim.name.to_owned(), claim.verdict.to_owned())).collect()
}

/// Serves the claims and compares; the server, for more.
fn hold(site: &Site, claims: &[Claim], environment: &[(&str, &str)]) -> Leeward {
    let mut server = Leeward::launch_with(&configure(site, claims, ""), &[], environment);
    server.wait_until_open();
    let seen: BTreeMap<_, _> = claims.iter().map(|claim| (claim.name.to_owned(), verdict(&server, claim.name))).collect();
    assert_eq!(seen, wanted(claims));
    server
}

/// What is said of the one target of a name: `status reason`.
fn verdict(server: &Leeward, name: &str) -> String {
    let why = server.get_json(&format!("/api/v1/explain?name={name}.gslb.test&type=A"));
    let group = why["why"].as_array().and_then(|steps| steps.iter().find(|step| step["step"] == "group"));
    let member = &group.expect("a group")["members"][0];
    let reason = member["last"]["reason"].as_str().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!("{}{reason}", member["status"].as_str().expect("a status"))
}

/// Takes connections into its backlog and never says a word.
fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// An authority, and certificates of it for `www.example.test`: good, and about to end; the authority's file.
fn certificates(site: &Site) -> String {
    let mut authority = rcgen::CertificateParams::new([]).expect("parameters");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = authority.self_signed(&key).expect("a certificate");
    let issuer = rcgen::Issuer::new(authority, key);
    let (now, hour) = (std::time::SystemTime::now(), std::time::Duration::from_secs(3600));
    for (name, end) in [("good", now + 90 * 24 * hour), ("ending", now + 84 * hour), ("ended", now - hour)] {
        let own = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(["www.example.test".to_owned()]).expect("parameters");
        (params.not_before, params.not_after) = ((now - 48 * hour).into(), end.into());
        let server = params.signed_by(&own, &issuer).expect("signed");
        site.write(&format!("{name}.pem"), &server.pem());
        site.write(&format!("{name}.key"), &own.serialize_pem());
    }
    site.write("authority.pem", &certificate.pem()).display().to_string()
}

fn tls_of(site: &Site, name: &str) -> String {
    format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        site.path(&format!("{name}.pem")).display(),
        site.path(&format!("{name}.key")).display()
    )
}

#[test]
fn tcp_and_http() {
    if !has("nginx") {
        return;
    }
    let site = Site::new();
    let authority = certificates(&site);
    let address = own_address();
    let [plain, tls, h2c] = [(); 3].map(|()| SocketAddr::from((address, free_port(&[address]))));
    let source = own_address();
    let places = format!(
        "default_type text/plain;
        location / {{ return 200 \"state: healthy 42\"; }}
        location /none {{ return 204; }}
        location /moved {{ return 302 /; }}
        location /token {{ if ($http_x_token != t0psecret) {{ return 403; }} return 200 ok; }}
        location /post {{ set $asked $request_method$content_length; if ($asked != POST3) {{ return 405; }} return 201 ok; }}
        location /host {{ if ($host != inner.test) {{ return 403; }} return 200 ok; }}
        location /version {{ return 200 $server_protocol; }}
        location /gone {{ return 444; }}
        location /slow {{ limit_rate 16; return 200 \"{}end\"; }}
        location /source {{ if ($remote_addr != {source}) {{ return 403; }} return 200 ok; }}",
        "x".repeat(1000)
    );
    let certificate = tls_of(&site, "good");
    let sni = "location /sni { return 200 $ssl_server_name; }";
    let _nginx = Nginx::serving(
        plain,
        &format!(
            "server {{ listen {plain}; {places} }} server {{ listen {h2c} http2; {places} }}
            server {{ listen {tls} ssl http2; {certificate} {places} {sni} }}"
        ),
    );
    let (_listener, silent) = silent();
    let closed = SocketAddr::from((address, free_port(&[address])));
    let named = "host = \"www.example.test\"";
    let fast = "timeout = \"300ms\"";
    let claims = [
        claim("tcp", "kind = \"tcp\"", plain, "up"),
        claim("tcp-refused", "kind = \"tcp\"", closed, "down refused"),
        claim("other-port", &format!("kind = \"tcp\"; port = {}", plain.port()), closed, "up"),
        claim("http", "kind = \"http\"", plain, "up"),
        claim("range", "kind = \"http\"; path = \"/none\"; expect = [\"200-299\", 304]", plain, "up"),
        claim("no-range", "kind = \"http\"; path = \"/none\"; expect = [200, \"300-399\"]", plain, "down status"),
        claim("moved", "kind = \"http\"; path = \"/moved\"", plain, "up"),
        claim("stays", "kind = \"http\"; path = \"/moved\"; redirects = false; expect = 302", plain, "up"),
        claim("no-stays", "kind = \"http\"; path = \"/moved\"; redirects = false", plain, "down status"),
        claim("headers", "kind = \"http\"; path = \"/token\"; headers = { X-Token = \"t0psecret\" }", plain, "up"),
        claim("post", "kind = \"http\"; path = \"/post\"; method = \"POST\"; body = \"a=b\"; expect = 201", plain, "up"),
        claim("host", "kind = \"http\"; path = \"/host\"; host = \"inner.test\"", plain, "up"),
        claim("contains", "kind = \"http\"; contains = \"healthy\"", plain, "up"),
        claim("no-contains", "kind = \"http\"; contains = \"sick\"", plain, "down body"),
        claim("matches", "kind = \"http\"; matches = \"^state: [a-z]+ [0-9]{2}$\"", plain, "up"),
        claim("source", &format!("kind = \"http\"; path = \"/source\"; source = [\"{source}\", \"::1\"]"), plain, "up"),
        claim("silent", &format!("kind = \"http\"; {fast}"), silent, "down timeout"),
        claim("h1", "kind = \"http\"; path = \"/version\"; contains = \"HTTP/1.1\"", plain, "up"),
        claim("h2c", "kind = \"http\"; path = \"/version\"; http = \"2\"; contains = \"HTTP/2.0\"", h2c, "up"),
        claim("h2c-host", "kind = \"http\"; path = \"/host\"; http = \"2\"; host = \"inner.test\"", h2c, "up"),
        claim("h2c-moved", "kind = \"http\"; path = \"/moved\"; http = \"2\"", h2c, "up"),
        claim("no-h2c", "kind = \"http\"; http = \"2\"", plain, "down protocol"),
        claim("h2c-silent", &format!("kind = \"http\"; http = \"2\"; {fast}"), silent, "down timeout"),
        claim("gone", "kind = \"http\"; path = \"/gone\"", plain, "down closed"),
        claim("h2c-gone", "kind = \"http\"; path = \"/gone\"; http = \"2\"", h2c, "down protocol"),
        claim("slow", &format!("kind = \"http\"; path = \"/slow\"; contains = \"end\"; {fast}"), plain, "down timeout"),
        claim(
            "h2c-slow",
            &format!("kind = \"http\"; path = \"/slow\"; http = \"2\"; contains = \"end\"; {fast}"),
            h2c,
            "down timeout",
        ),
        claim("https", &format!("kind = \"https\"; {named}"), tls, "up"),
        claim("h2", &format!("kind = \"https\"; {named}; path = \"/version\"; http = \"2\"; contains = \"HTTP/2.0\""), tls, "up"),
        claim("https-other", "kind = \"https\"; host = \"other.test\"", tls, "down tls"),
        claim("https-loose", "kind = \"https\"; host = \"other.test\"; verify = false", tls, "up"),
        claim(
            "sni",
            "kind = \"https\"; host = \"other.test\"; sni = \"www.example.test\"; path = \"/sni\"; contains = \"www.example.test\"",
            tls,
            "up",
        ),
    ];
    let server = hold(&site, &claims, &[("SSL_CERT_FILE", &authority), ("SSL_CERT_DIR", "/nonexistent")]);
    for path in ["/api/v1/checks", "/api/v1/explain?name=headers.gslb.test&type=A", "/api/v1/events", "/metrics"] {
        let (status, text) = server.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        assert!(!text.contains("t0psecret"), "{path}: {text}");
    }
    let (_, gone) = server.get("/api/v1/explain?name=h2c-gone.gslb.test&type=A");
    assert!(gone.contains("HTTP/2 RST_STREAM with") || gone.contains("HTTP/2 GOAWAY with"), "{gone}");
    let (_, explained) = server.get("/api/v1/explain?name=headers.gslb.test&type=A");
    assert!(explained.contains("check='headers'"), "the program is shown: {explained}");
    assert!(server.metric("leeward_probe_duration_seconds_count{kind=\"https\"}").is_some_and(|count| count >= 4.0));
    let socket = site.path("control.sock");
    let shown = leeward(&["checks", "--socket", &socket.display().to_string()]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("h2c-moved"), "{shown:?}");
}

#[test]
fn tls_certificates() {
    if !has("nginx") || !has("openssl") {
        return;
    }
    let site = Site::new();
    let authority = certificates(&site);
    let address = own_address();
    let [good, ending, ended, bare] = [(); 4].map(|()| SocketAddr::from((address, free_port(&[address]))));
    let server = |at: SocketAddr, name: &str| format!("server {{ listen {at} ssl; {} return 200 ok; }}", tls_of(&site, name));
    let servers = [server(good, "good"), server(ending, "ending"), server(ended, "ended")].concat();
    let _nginx = Nginx::serving(good, &servers);
    let mut openssl = command("openssl");
    openssl.args(["s_server", "-quiet", "-accept", &bare.to_string(), "-tls1_2"]);
    let _openssl = Program::start(openssl.arg("-cert").arg(site.path("good.pem")).arg("-key").arg(site.path("good.key")));
    wait_for("openssl", || TcpStream::connect(bare).ok());
    let (_listener, silent) = silent();
    let (named, fast) = ("kind = \"tls\"; sni = \"www.example.test\"", "timeout = \"300ms\"");
    let loose = "kind = \"tls\"; verify = false";
    let claims = [
        claim("good", named, good, "up"),
        claim("days", &format!("{named}; min_days_left = 80"), good, "up"),
        claim("no-days", &format!("{named}; min_days_left = 91"), good, "down expiring"),
        claim("ending", &format!("{named}; min_days_left = 3"), ending, "up"),
        claim("no-ending", &format!("{named}; min_days_left = 4"), ending, "down expiring"),
        claim("ended", named, ended, "down tls"),
        claim("ended-loose", loose, ended, "up"),
        claim("ended-days", &format!("{loose}; min_days_left = 0"), ended, "down expiring"),
        claim("other", "kind = \"tls\"; sni = \"other.test\"", good, "down tls"),
        claim("openssl", &format!("{named}; min_days_left = 80"), bare, "up"),
        claim("silent", &format!("{loose}; {fast}"), silent, "down timeout"),
    ];
    let server = hold(&site, &claims, &[("SSL_CERT_FILE", &authority), ("SSL_CERT_DIR", "/nonexistent")]);
    let (_, checks) = server.get("/api/v1/checks");
    assert!(checks.contains("the certificate is valid for 3 more days where 4 are expected"), "{checks}");
}

#[test]
fn dns_questions() {
    if !has("named") {
        return;
    }
    let site = Site::new();
    // BIND listens only where an interface has the address.
    let named = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(&[Ipv4Addr::LOCALHOST])));
    let long: String = (0..40).map(|number| format!("many A 192.0.2.{number}\n")).collect();
    site.write(
        "target.test.zone",
        &format!("$TTL 5\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n AAAA 2001:db8::53\nt TXT \"v=up\"\nalias CNAME ns\n{long}"),
    );
    let config = format!(
        "options {{ directory \"{dir}\"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory \"{dir}\";
        listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no; }};
        controls {{ }}; zone \"target.test\" {{ type primary; file \"target.test.zone\"; }};",
        dir = site.dir.path().display(),
        port = named.port(),
        ip = named.ip()
    );
    let config = site.write("named.conf", &config);
    let _named = Program::start(command("named").args(["-g", "-n", "1", "-c"]).arg(config));
    wait_for("named", || {
        let query = harness::query("target.test", RecordType::SOA, None);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").ok()?;
        socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).ok()?;
        socket.send_to(&query, named).ok()?;
        let mut reply = [0; 512];
        let length = socket.recv(&mut reply).ok()?;
        (length > 3 && reply[3] & 15 == 0).then_some(())
    });
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(&[Ipv4Addr::LOCALHOST])));
    let quiet = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let ns = "kind = \"dns\"; name = \"ns.target.test\"";
    let tcp = "transport = \"tcp\"";
    let claims = [
        claim("udp", ns, named, "up"),
        claim("tcp", &format!("{ns}; {tcp}"), named, "up"),
        claim("answer", &format!("{ns}; answer = \"192.0.2.53\""), named, "up"),
        claim("no-answer", &format!("{ns}; answer = \"192.0.2.54\""), named, "down answer"),
        claim("aaaa", &format!("{ns}; type = \"AAAA\"; answer = \"2001:DB8::0:53\""), named, "up"),
        claim("txt", "kind = \"dns\"; name = \"t.target.test\"; type = \"TXT\"; answer = \"v=up\"", named, "up"),
        claim(
            "alias",
            "kind = \"dns\"; name = \"alias.target.test\"; type = \"CNAME\"; answer = \"ns.target.test\"",
            named,
            "up",
        ),
        claim("soa", "kind = \"dns\"; name = \"target.test\"; type = \"SOA\"", named, "up"),
        claim("nxdomain", "kind = \"dns\"; name = \"x.target.test\"; rcode = \"NXDOMAIN\"", named, "up"),
        claim("no-nxdomain", "kind = \"dns\"; name = \"x.target.test\"", named, "down rcode"),
        claim("refused", "kind = \"dns\"; name = \"elsewhere.test\"; rcode = \"REFUSED\"", named, "up"),
        claim("cut", "kind = \"dns\"; name = \"many.target.test\"; answer = \"192.0.2.39\"", named, "up"),
        claim("closed", ns, closed, "down refused"),
        claim("closed-tcp", &format!("{ns}; {tcp}"), closed, "down refused"),
        claim("quiet", &format!("{ns}; timeout = \"300ms\""), quiet.local_addr().expect("an address"), "down timeout"),
    ];
    let server = hold(&site, &claims, &[]);
    let (_, checks) = server.get("/api/v1/checks");
    assert!(checks.contains("DNS response code NXDOMAIN where NOERROR is expected"), "{checks}");
}

#[test]
fn commands() {
    let site = Site::new();
    let target = SocketAddr::from(([192, 0, 2, 1], 8080));
    let script =
        |text: &str| format!("kind = \"exec\"; argv = [\"/bin/sh\", \"-c\", \"{text}\", \"x\", \"{{address}}\", \"{{port}}\"]");
    let claims = [
        claim("up", &script("exit 0"), target, "up"),
        claim("down", &script("echo disk full;exit 2"), target, "down exit"),
        claim("told", &script("[ $1:$2 = 192.0.2.1:8080 ]"), target, "up"),
        claim("slow", &(script("sleep 600") + "; timeout = \"300ms\""), target, "down timeout"),
        claim("killed", &script("kill -9 $$"), target, "unknown killed"),
        claim("gone", "kind = \"exec\"; argv = [\"/nonexistent/check\", \"t0psecret\"]", target, "unknown spawn"),
    ];
    let server = hold(&site, &claims, &[]);
    let (_, checks) = server.get("/api/v1/checks");
    assert!(checks.contains("the command ended with exit code 2: disk full"), "{checks}");
    assert!(!checks.contains("t0psecret"), "{checks}");
}

/// No more than `max_proc` commands at a time, and other probes do not wait for them.
#[test]
fn commands_take_turns() {
    let site = Site::new();
    let log = site.path("log");
    let (_listener, open) = silent();
    let text = format!("echo + >> {0};sleep 0.05;echo - >> {0}", log.display());
    let definition = format!("kind = \"exec\"; argv = [\"/bin/sh\", \"-c\", \"{text}\"]; timeout = \"30s\"; interval = \"1h\"");
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let target = |number: u8| SocketAddr::from(([192, 0, 2, number], 80));
    let mut claims: Vec<Claim> =
        names.iter().zip(1..).map(|(name, number)| claim(name, &definition, target(number), "up")).collect();
    claims.push(claim("tcp", "kind = \"tcp\"", open, "up"));
    let config = configure(&site, &claims, "[prober]\nmax_in_flight = 4\nmax_proc = 2\n");
    let mut server = Leeward::launch(&config, &[]);
    server.wait_until_open();
    assert_eq!(server.get_json("/api/v1/checks")["checks"].as_array().map(Vec::len), Some(names.len() + 1));
    let log = std::fs::read_to_string(log).expect("written");
    let running = log.lines().scan(0, |running, line| {
        *running += if line == "+" { 1 } else { -1 };
        Some(*running)
    });
    assert_eq!((running.max(), log.lines().count()), (Some(2), 2 * names.len()), "{log}");
}

#[test]
fn files() {
    let site = Site::new();
    let write = |text: &str| {
        let new = site.write("new", text);
        std::fs::rename(new, site.path("words")).expect("renamed");
    };
    write("# by the operator\n192.0.2.1 => UP\n192.0.2.2 => DOWN\n192.0.2.3:443 => DOWN\n192.0.2.3 => UP\n");
    let definition = "kind = \"file\"; file = \"words\"; interval = \"100ms\"; timeout = \"100ms\"; fall = 1; rise = 1";
    let at = |number: u8, port: u16| SocketAddr::from(([192, 0, 2, number], port));
    let claims = [
        claim("up", definition, at(1, 80), "up"),
        claim("down", definition, at(2, 80), "down said"),
        claim("own-port", &(definition.to_owned() + "; port = 443"), at(3, 80), "down said"),
        claim("other-port", &(definition.to_owned() + "; port = 80"), at(3, 80), "up"),
        claim("nowhere", &definition.replace("words", "nowhere"), at(1, 80), "unknown bad_file"),
        claim("no-word", definition, at(4, 80), "unknown no_word"),
    ];
    let mut server = Leeward::launch(&configure(&site, &claims, ""), &[]);
    server.wait_until_open();
    let seen = |name: &str| verdict(&server, name);
    let all: BTreeMap<_, _> = claims.iter().map(|claim| (claim.name.to_owned(), seen(claim.name))).collect();
    assert_eq!(all, wanted(&claims));
    assert_eq!(server.ask("up.gslb.test", RecordType::A).data, ["192.0.2.1"]);
    // The tables turn; then a mistake turns nothing, and neither does silence.
    let both = |up: &str, down: &str| (seen("up") == up && seen("down") == down).then_some(());
    write("192.0.2.1 => DOWN\n192.0.2.2 => UP\n192.0.2.3 => UP\n");
    wait_for("the change", || both("down said", "up"));
    write("192.0.2.1 => UP\n192.0.2.2 => DWN\n");
    wait_for("the mistake", || both("down bad_file", "up bad_file"));
    assert!(server.log_line("line 2 is not `ADDRESS => UP` or `DOWN`; none of its lines counts").is_some());
    write("");
    wait_for("silence", || both("down no_word", "up no_word"));
}

/// A target speaks for itself: with its check's token, and for as long as that says.
#[test]
fn reports() {
    let site = Site::new();
    site.write("token", "0123456789abcdef\n");
    site.write("operator", "fedcba9876543210\n");
    let definition =
        "kind = \"push\"; token_file = \"token\"; expiry = \"2s\"; interval = \"100ms\"; timeout = \"100ms\"; fall = 1; rise = 1";
    let claims = [claim("self", definition, SocketAddr::from(([192, 0, 2, 1], 80)), "unknown no_word")];
    let access = "[admin.token.op]\nfile = \"operator\"\nrole = \"admin\"\n";
    let mut server = Leeward::launch(&configure(&site, &claims, access), &[]);
    server.wait_until_open();
    let socket = site.path("control.sock").display().to_string();
    let check = || {
        let output = leeward(&["checks", "--json", "--socket", &socket]);
        let checks: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        checks["checks"][0].clone()
    };
    let seen = || format!("{} {}", check()["status"], check()["last"]["reason"]).replace('"', "");
    let key = check()["key"].as_str().expect("a key").to_owned();
    let report = |key: &str, status: &str, token: &str| {
        let path = format!("/api/v1/checks/{key}/report?status={status}");
        harness::http_with(server.admin, "POST", &path, &format!("Authorization: Bearer {token}\r\n")).0
    };
    let own = "0123456789abcdef";
    assert_eq!(report(&key, "up", "fedcba9876543210"), 401, "an operator is not the target");
    assert_eq!(report(&key, "up", "0123456789abcdee"), 401);
    assert_eq!(report(&key.replace(|_: char| true, "0"), "up", own), 401, "another check");
    assert_eq!(report(&key, "maybe", own), 400);
    assert_eq!(report(&key, "up", own), 200);
    wait_for("its word", || (seen() == "up null").then_some(()));
    assert_eq!(server.ask("self.gslb.test", RecordType::A).data, ["192.0.2.1"]);
    assert_eq!(report(&key, "down", own), 200);
    wait_for("its other word", || (seen() == "down said").then_some(()));
    assert_eq!(report(&key, "up", own), 200);
    wait_for("its word again", || (seen() == "up null").then_some(()));
    wait_for("its silence", || (seen() == "down silent").then_some(()));
    assert_eq!(server.log_count(own), 0);
}

type GrpcBody =
    http_body_util::combinators::WithTrailers<Full<Bytes>, std::future::Ready<Option<Result<http::HeaderMap, Infallible>>>>;

/// A gRPC health service: serving, but for the services named so.
async fn health_service(request: hyper::Request<hyper::body::Incoming>) -> Result<hyper::Response<GrpcBody>, Infallible> {
    let path = request.uri().path().to_owned();
    let grpc = request.headers().get("content-type").is_some_and(|kind| kind == "application/grpc");
    let message = request.into_body().collect().await.expect("a request").to_bytes();
    let service = String::from_utf8_lossy(message.get(7..).unwrap_or_default()).into_owned();
    let (octets, status): (&[u8], &str) = match service.as_str() {
        _ if path != "/grpc.health.v1.Health/Check" || !grpc => (b"", "12"),
        "" | "serving" => (b"\0\0\0\0\x02\x08\x01", "0"),
        "stopped" => (b"\0\0\0\0\x02\x08\x02", "0"),
        "odd" => (b"\0\0\0\0\x09\x08\x01", "0"),
        _ => (b"", "5"),
    };
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", status.parse().expect("a header"));
    let body = Full::new(Bytes::copy_from_slice(octets)).with_trailers(std::future::ready(Some(Ok(trailers))));
    Ok(hyper::Response::builder().header("content-type", "application/grpc").body(body).expect("an answer"))
}

/// Serves it on a thread of its own, for as long as the process lives.
fn serve_health(address: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).expect("a listener");
    let at = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("option");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let io = hyper_util::rt::TokioIo::new(stream);
                let service = hyper::service::service_fn(health_service);
                let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
                tokio::spawn(async move { drop(builder.serve_connection(io, service).await) });
            }
        });
    });
    at
}

#[test]
fn grpc_health() {
    if !has("nginx") {
        return;
    }
    let site = Site::new();
    let authority = certificates(&site);
    let address = own_address();
    let service = serve_health(address);
    let [clear, tls, web, dead, cut] = [(); 5].map(|()| SocketAddr::from((address, free_port(&[address]))));
    let proxy = format!("location / {{ grpc_pass grpc://{service}; }}");
    let (nobody, breaks_off) = (SocketAddr::from((address, free_port(&[address]))), hostile::breaks_off());
    let _nginx = Nginx::serving(
        clear,
        &format!(
            "server {{ listen {clear} http2; {proxy} }} server {{ listen {tls} ssl http2; {} {proxy} }}
            server {{ listen {web} http2; default_type text/plain; return 200 ok; }}
            server {{ listen {dead} http2; location / {{ grpc_pass grpc://{nobody}; }} }}
            server {{ listen {cut} http2; location / {{ grpc_pass grpc://{breaks_off}; }} }}",
            tls_of(&site, "good")
        ),
    );
    let (_listener, silent) = silent();
    let (grpc, named) = ("kind = \"grpc\"", "tls = true; host = \"www.example.test\"");
    let claims = [
        claim("direct", grpc, service, "up"),
        claim("serving", &format!("{grpc}; service = \"serving\""), service, "up"),
        claim("stopped", &format!("{grpc}; service = \"stopped\""), service, "down grpc"),
        claim("unknown", &format!("{grpc}; service = \"else\""), service, "down grpc"),
        claim("odd", &format!("{grpc}; service = \"odd\""), service, "down protocol"),
        claim("proxied", grpc, clear, "up"),
        claim("proxied-stopped", &format!("{grpc}; service = \"stopped\""), clear, "down grpc"),
        claim("tls", &format!("{grpc}; {named}"), tls, "up"),
        claim("tls-other", &format!("{grpc}; tls = true; host = \"other.test\""), tls, "down tls"),
        claim("tls-sni", &format!("{grpc}; tls = true; host = \"other.test\"; sni = \"www.example.test\""), tls, "up"),
        claim("web", grpc, web, "down protocol"),
        claim("dead", grpc, dead, "down status"),
        claim("cut", grpc, cut, "down protocol"),
        claim("silent", &format!("{grpc}; timeout = \"300ms\""), silent, "down timeout"),
    ];
    let server = hold(&site, &claims, &[("SSL_CERT_FILE", &authority), ("SSL_CERT_DIR", "/nonexistent")]);
    let (_, checks) = server.get("/api/v1/checks");
    for words in ["gRPC: the service is NOT_SERVING", "gRPC: status 5 NOT_FOUND"] {
        assert!(checks.contains(words), "{words}: {checks}");
    }
}

/// In a network of its own, in which the system grants ICMP sockets or not.
#[test]
fn echoes() {
    if !is_root() || !has("unshare") || !has("ip") {
        return;
    }
    let definition = "kind = \"icmp\"; timeout = \"300ms\"";
    let target = |address: &str| SocketAddr::new(address.parse().expect("an address"), 1);
    let claims = |verdicts: [&'static str; 4]| {
        let targets = ["127.0.0.1", "::1", "198.51.100.1", "203.0.113.1"];
        let definitions = (0..).map(|fall| format!("{definition}; fall = {}", fall + 1));
        let named = ["here", "here-six", "nobody", "no-route"].into_iter().zip(definitions);
        named
            .zip(targets.into_iter().zip(verdicts))
            .map(|((name, definition), (to, verdict))| claim(name, &definition, target(to), verdict))
            .collect::<Vec<_>>()
    };
    let groups = |range: &str, expected| {
        let (site, claims) = (Site::new(), claims(expected));
        let config = configure(&site, &claims, "");
        // Packets to 198.51.100.1 come back to this host, which is not it, and drops them.
        let script = format!(
            "ip link set lo up && ip route add 198.51.100.1/32 dev lo && echo '{range}' > /proc/sys/net/ipv4/ping_group_range && \
             exec {} serve --config {}",
            env!("CARGO_BIN_EXE_leeward"),
            config.display()
        );
        let mut inside = Command::new("unshare");
        let _server = Program::start(inside.args(["--net", "sh", "-c", &script]).env_remove("RUST_LOG").stdin(Stdio::null()));
        let socket = site.path("control.sock").display().to_string();
        let seen = wait_for("every result", || {
            let output = leeward(&["checks", "--json", "--socket", &socket]);
            let checks: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
            let all = checks["checks"].as_array()?.iter().all(|check| check["last"].is_object());
            (all && checks["checks"].as_array()?.len() == claims.len()).then(|| verdicts(&checks))
        });
        assert_eq!(seen, wanted(&claims), "{range}");
    };
    groups("0 0", ["up", "up", "down timeout", "unknown no_route"]);
    groups("1 0", ["unknown no_ping"; 4]);
}

#[test]
fn a_name_that_the_configuration_does_not_have_stops_the_zone() {
    let site = Site::new();
    let claims = [claim("web", "kind = \"tcp\"", SocketAddr::from(([192, 0, 2, 1], 80)), "")];
    let config = configure(&site, &claims, "");
    site.write(
        "gslb.test.zone",
        "$TTL 5\n@ SOA ns h 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\nw LUA A \"ifportup(1, {'::1'}, {check='wep'})\"\n",
    );
    let said = leeward(&["checkconf", "--config", &config.display().to_string()]);
    let text = String::from_utf8_lossy(&said.stdout);
    let place = "gslb.test.zone:5:38: error: the option `check` is `wep`, and the configuration has no check of that name; did you mean `web`?";
    assert!(text.contains(place) && said.status.code() == Some(1), "{text}");
}
