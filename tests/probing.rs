//! What the options of a check make of its probes: leeward beside an nginx that answers well only to whoever asks right.
//!
//! Each record has one target and stands for one claim. That a target is down says that its option did it: the nginx is
//! there, and answers its neighbours.

#![allow(clippy::disallowed_methods, reason = "tests measure")]

mod harness;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use harness::{Leeward, Nginx, Site, free_port, has, own_address, wait_for};

/// A record's name, its options, and what its check must say: `up`, or `down` and why.
type Claim = (&'static str, &'static str, &'static str, &'static str);

/// What nginx asks of its clients, and a secret that must be seen nowhere.
const SECRET: &str = "t0psecret";

const CLAIMS: [Claim; 19] = [
    ("plain", "/", "", "up"),
    ("header", "/token", "headers={X_Token='t0psecret'}", "up"),
    ("no-header", "/token", "", "down status"),
    ("host", "/host", "headers={Host='inner.test'}", "up"),
    ("no-host", "/host", "", "down status"),
    ("agent", "/agent", "useragent='probe/1'", "up"),
    ("post", "/post", "method='POST', body='a=b', httpcode=201", "up"),
    ("no-post", "/post", "httpcode=201", "down status"),
    ("head", "/large", "method='HEAD'", "up"),
    ("moved", "/moved", "", "up"),
    ("source", "/source", "source='SOURCE'", "up"),
    ("no-source", "/source", "", "down status"),
    ("foreign-source", "/", "source='192.0.2.77'", "unknown no_source"),
    ("text", "/", "stringmatch='healthy'", "up"),
    ("pattern", "/", "regexmatch='^state: [a-z]+ [0-9]{2}$', stringmatch='healthy'", "up"),
    ("no-pattern", "/", "regexmatch='^state: [0-9]+', stringmatch='healthy'", "down pattern"),
    ("cut", "/", "byteslimit=9, stringmatch='state: he'", "up"),
    ("no-cut", "/", "byteslimit=9, stringmatch='healthy'", "down body"),
    ("fast", "/", "timeout=0.5, interval=0.2", "up"),
];

fn servers(address: Ipv4Addr, port: u16, source: Ipv4Addr) -> String {
    format!(
        "default_type text/plain;
        server {{ listen {address}:{port};
            location / {{ return 200 \"state: healthy 42\"; }}
            location /token {{ if ($http_x_token != {SECRET}) {{ return 403; }} return 200 ok; }}
            location /host {{ if ($host != inner.test) {{ return 403; }} return 200 ok; }}
            location /agent {{ if ($http_user_agent != probe/1) {{ return 403; }} return 200 ok; }}
            location /post {{
                set $asked $request_method$content_length;
                if ($asked != POST3) {{ return 405; }}
                return 201 ok;
            }}
            location /large {{ if ($request_method != HEAD) {{ return 405; }} return 200 ok; }}
            location /moved {{ return 302 /; }}
            location /source {{ if ($remote_addr != {source}) {{ return 403; }} return 200 ok; }}
        }}"
    )
}

/// What is said of the one target of each record: `status reason`.
fn verdicts(server: &Leeward, zone: &str, names: &[&str]) -> BTreeMap<String, String> {
    let verdict = |name: &&str| {
        let why = server.get_json(&format!("/api/v1/explain?name={name}.{zone}&type=A"));
        let group = why["why"].as_array().and_then(|steps| steps.iter().find(|step| step["step"] == "group"));
        let member = &group.expect("a group")["members"][0];
        let status = member["status"].as_str().expect("a status");
        let reason = member["last"]["reason"].as_str().map(|reason| format!(" {reason}")).unwrap_or_default();
        ((*name).to_owned(), format!("{status}{reason}"))
    };
    names.iter().map(verdict).collect()
}

#[test]
fn options_do_what_they_say() {
    if !has("nginx") {
        return;
    }
    let [address, source] = [own_address(), own_address()];
    let port = free_port(&[address]);
    let _nginx = Nginx::serving((address, port).into(), &servers(address, port, source));
    let site = Site::new();
    let record = |&(name, path, options, _): &Claim| {
        let options = options.replace("SOURCE", &source.to_string());
        format!("{name} LUA A \"ifurlup('http://www.example.com:{port}{path}', {{'{address}'}}, {{{options}}})\"\n")
    };
    let records: String = CLAIMS.iter().map(record).collect();
    site.write("gslb.test.zone", &format!("$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n{records}"));
    let server = Leeward::start(&site.config(&["gslb.test"], ""));
    let names = CLAIMS.map(|(name, ..)| name);
    let wanted: BTreeMap<_, _> = CLAIMS.map(|(name, .., verdict)| (name.to_owned(), verdict.to_owned())).into();
    assert_eq!(verdicts(&server, "gslb.test", &names), wanted);
    interval_of_a_fraction(&server);
    nothing_shows_the_secret(&server);
}

/// Three probes within the time of one by whole seconds.
fn interval_of_a_fraction(server: &Leeward) {
    let finished = || {
        let checks = server.get_json("/api/v1/checks");
        let checks = checks["checks"].as_array().expect("a list").clone();
        let fast = checks.iter().find(|check| check["interval_seconds"] == 0.2).expect("the fast one");
        assert_eq!(fast["timeout_seconds"], 0.5);
        fast["last"]["at"].as_str().expect("a time").to_owned()
    };
    let mut seen = std::collections::BTreeSet::new();
    let started = std::time::Instant::now();
    wait_for("three results", || {
        seen.insert(finished());
        (seen.len() > 3).then_some(())
    });
    println!("three intervals of 0.2 s took {} ms", started.elapsed().as_millis());
}

fn nothing_shows_the_secret(server: &Leeward) {
    for path in ["/api/v1/checks", "/api/v1/explain?name=header.gslb.test&type=A", "/api/v1/events", "/metrics"] {
        let (status, text) = server.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        assert!(!text.contains(SECRET), "{path}: {text}");
    }
    assert_eq!(server.log_count(SECRET), 0);
    let (_, checks) = server.get("/api/v1/checks");
    assert!(checks.contains("\"headers\":[\"x-token\"]"), "{checks}");
}

#[test]
fn certificates_are_verified_where_that_is_asked_for() {
    if !has("nginx") {
        return;
    }
    let address = own_address();
    let port = free_port(&[address]);
    let site = Site::new();
    let authority = certificates(&site);
    let tls = format!(
        "server {{ listen {address}:{port} ssl; ssl_certificate {0}; ssl_certificate_key {1}; return 200 ok; }}",
        site.path("server.pem").display(),
        site.path("server.key").display()
    );
    let _nginx = Nginx::serving((address, port).into(), &tls);
    let claims = [
        ("good", "www.example.com", "tlsVerify='true'", "up"),
        ("other", "other.example.com", "tlsVerify='true'", "down tls"),
        ("loose", "other.example.com", "", "up"),
    ];
    let record = |(name, host, options, _): (&str, &str, &str, &str)| {
        format!("{name} LUA A \"ifurlup('https://{host}:{port}/', {{'{address}'}}, {{{options}}})\"\n")
    };
    let records: String = claims.map(record).concat();
    site.write("gslb.test.zone", &format!("$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n{records}"));
    let config = site.config(&["gslb.test"], "");
    let verdicts_with = |store: &str| {
        let mut server = Leeward::launch_with(&config, &[], &[("SSL_CERT_FILE", store), ("SSL_CERT_DIR", "/nonexistent")]);
        server.wait_until_open();
        verdicts(&server, "gslb.test", &claims.map(|(name, ..)| name))
    };
    let wanted = claims.map(|(name, .., verdict)| (name.to_owned(), verdict.to_owned()));
    assert_eq!(verdicts_with(&authority), wanted.into());
    let lost = [("good", "unknown no_trust"), ("loose", "up"), ("other", "unknown no_trust")];
    assert_eq!(verdicts_with("/nonexistent"), lost.map(|(name, verdict)| (name.to_owned(), verdict.to_owned())).into());
}

/// An authority, and a certificate of it for `www.example.com` with its key; the authority's file.
fn certificates(site: &Site) -> String {
    let mut authority = rcgen::CertificateParams::new([]).expect("parameters");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = authority.self_signed(&key).expect("a certificate");
    let issuer = rcgen::Issuer::new(authority, key);
    let own = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["www.example.com".to_owned()]).expect("parameters");
    let server = params.signed_by(&own, &issuer).expect("signed");
    site.write("server.pem", &server.pem());
    site.write("server.key", &own.serialize_pem());
    site.write("authority.pem", &certificate.pem()).display().to_string()
}
