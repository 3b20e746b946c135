//! The check by Kubernetes beside an API of the documented schema, which behaves as it is asked to: by the service's name.
//!
//! It speaks TLS by a certificate of its own authority and wants its token. What it says of a service is in [`said`].

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::harness::{Leeward, Site, wait_for};
use super::{claim, configure, hold, verdict};

/// What the API does.
enum Said {
    /// Answers with this status and body.
    Whole(u16, String),
    /// Promises more than it sends.
    Cut,
    /// Sends a body that does not end.
    Endless,
    /// Nothing.
    Silent,
}

/// What it says of a service or of pods, from this place in its list.
fn said(kind: &str, workload: &str, from: &str) -> Said {
    let slice = |family: &str, endpoints: &str| {
        format!(
            r#"{{"metadata":{{"name":"web-x"}},"addressType":"{family}","endpoints":[{endpoints}],"ports":[{{"name":"http","protocol":"TCP","port":8080}}]}}"#
        )
    };
    let endpoint = |number: u8, conditions: &str| {
        let target = format!(r#""targetRef":{{"kind":"Pod","namespace":"shop","name":"web-{number}","uid":"uid-{number}"}}"#);
        format!(r#"{{"addresses":["10.0.0.{number}"],{conditions}"nodeName":"n1",{target}}}"#)
    };
    let list = |next: &str, items: &str| {
        let next = if next.is_empty() { String::new() } else { format!(r#","continue":"{next}","remainingItemCount":7"#) };
        Said::Whole(
            200,
            format!(r#"{{"kind":"{kind}","apiVersion":"v1","metadata":{{"resourceVersion":"1"{next}}},"items":[{items}]}}"#),
        )
    };
    let (ready, not) = (r#""conditions":{"ready":true,"serving":true,"terminating":false},"#, r#""conditions":{"ready":false},"#);
    let terminating = r#""conditions":{"ready":false,"serving":true,"terminating":true},"#;
    match (workload, from) {
        ("good", _) => list("", &slice("IPv4", &[endpoint(1, ready), endpoint(2, ""), endpoint(3, not)].join(","))),
        ("few", _) => list("", &slice("IPv4", &[endpoint(1, ready), endpoint(2, not)].join(","))),
        ("ending", _) => list("", &slice("IPv4", &endpoint(1, terminating))),
        ("none", _) => list("", ""),
        ("both-families", _) => list("", &[slice("IPv4", &endpoint(1, ready)), slice("IPv6", &endpoint(1, ready))].join(",")),
        ("paged", "") => list("2", &slice("IPv4", &endpoint(1, ready))),
        ("paged", "2") => list("3", &slice("IPv4", &endpoint(2, ready))),
        ("paged", _) => list("", &slice("IPv4", &endpoint(3, ready))),
        ("large", "") => list("2", &slice("IPv4", &endpoint(1, ready))),
        ("large", _) => list("", &slice("IPv4", &endpoint(2, ready))),
        ("forever", _) => list("again", ""),
        ("app=web,tier in (front)", _) => {
            let pod = |name: &str, more: &str, ready: &str| {
                format!(
                    r#"{{"metadata":{{"name":"{name}"{more}}},"status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"{ready}"}}]}}}}"#
                )
            };
            let deleting = r#","deletionTimestamp":"2026-01-01T00:00:00Z""#;
            list("", &[pod("a", "", "True"), pod("b", "", "True"), pod("c", "", "False"), pod("d", deleting, "True")].join(","))
        }
        ("forbidden", _) => Said::Whole(403, r#"{"kind":"Status","status":"Failure","reason":"Forbidden","code":403}"#.into()),
        ("busy", _) => Said::Whole(429, "too many requests".into()),
        ("broken", _) => Said::Whole(500, "etcd is gone".into()),
        ("moved", _) => Said::Whole(302, String::new()),
        ("garbage", _) => Said::Whole(200, "<html>log in first</html>".into()),
        ("status", _) => Said::Whole(200, r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure"}"#.into()),
        ("cut", _) => Said::Cut,
        ("endless", _) => Said::Endless,
        _ => Said::Silent,
    }
}

/// The API, for as long as the process lives.
struct Api {
    at: SocketAddr,
    token: Arc<Mutex<String>>,
}

impl Api {
    /// Serves by a certificate for its address; its authority goes to `kube-ca.pem`.
    fn start(site: &Site) -> Self {
        let mut authority = rcgen::CertificateParams::new([]).expect("parameters");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        site.write("kube-ca.pem", &authority.self_signed(&key).expect("a certificate").pem());
        let (issuer, own) = (rcgen::Issuer::new(authority, key), rcgen::KeyPair::generate().expect("a key"));
        let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&own, &issuer).expect("signed");
        let key = PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
        let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (at, token) = (listener.local_addr().expect("an address"), Arc::new(Mutex::new("first".to_owned())));
        let wanted = Arc::clone(&token);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, wanted) = (Arc::clone(&config), Arc::clone(&wanted));
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).expect("a connection");
                    serve(StreamOwned::new(connection, stream), &wanted)
                });
            }
        });
        Self { at, token }
    }
}

/// Answers request after request; `None`: the connection has ended.
fn serve(mut stream: StreamOwned<ServerConnection, TcpStream>, token: &Mutex<String>) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            stream.read_exact(&mut octet).ok()?;
            head.push(octet[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let url = format!("https://x{}", head.split(' ').nth(1).expect("a path"));
        let url = url::Url::parse(&url).expect("a URL");
        let asked = |key: &str| url.query_pairs().find(|(known, _)| known == key).map(|(_, value)| value.into_owned());
        let shown = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
        let selector = asked("labelSelector").expect("a selector");
        let (kind, workload) = match (url.path(), selector.strip_prefix("kubernetes.io/service-name=")) {
            ("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", Some(service)) => ("EndpointSliceList", service),
            ("/api/v1/namespaces/shop/pods", None) => ("PodList", &*selector),
            _ => panic!("it was asked for {url}"),
        };
        let limit = asked("limit").expect("a limit");
        let is_known = shown == Some(&*token.lock().expect("not poisoned"));
        let answer = match (workload, &*limit) {
            _ if !is_known => Said::Whole(401, "{}".into()),
            ("large", "50") => Said::Endless,
            _ => said(kind, workload, &asked("continue").unwrap_or_default()),
        };
        let head =
            |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        match answer {
            Said::Whole(200, body) => stream.write_all((head(body.len()) + &body).as_bytes()).ok()?,
            Said::Whole(status, body) => {
                let text = format!("HTTP/1.1 {status} x\r\nlocation: /\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(text.as_bytes()).ok()?;
            }
            Said::Cut => return stream.write_all((head(100) + "{").as_bytes()).ok(),
            Said::Endless => {
                stream.write_all(head(1 << 40).as_bytes()).ok()?;
                loop {
                    stream.write_all(&[b' '; 16384]).ok()?;
                }
            }
            Said::Silent => drop(stream.read(&mut [0])),
        }
    }
}

fn definition(api: &Api, more: &str) -> String {
    let at = api.at;
    format!(
        "kind = \"kubernetes\"; url = \"https://{at}\"; token_file = \"token\"; ca_file = \"kube-ca.pem\"; namespace = \"shop\"; {more}"
    )
}

#[test]
fn what_is_ready_and_what_is_not_known() {
    let site = Site::new();
    super::certificates(&site); // another authority
    let api = Api::start(&site);
    site.write("token", "first\n");
    site.write("old-token", "zeroth\n");
    let cluster = SocketAddr::from(([192, 0, 2, 1], 443));
    let of = |name: &'static str, more: &str, verdict| {
        claim(name, &definition(&api, &format!("service = \"{name}\"; {more}")), cluster, verdict)
    };
    let nobody = super::free_port(&[std::net::Ipv4Addr::LOCALHOST]);
    let good = definition(&api, "service = \"good\"");
    let claims = [
        of("good", "at_least = 2", "up"),
        of("few", "at_least = 2", "down not_ready"),
        of("ending", "", "down not_ready"),
        of("none", "", "down not_ready"),
        of("both-families", "at_least = 2", "down not_ready"),
        of("paged", "at_least = 3", "up"),
        of("large", "at_least = 2; timeout = \"20s\"; interval = \"30s\"", "up"),
        of("forever", "timeout = \"20s\"; interval = \"30s\"", "unknown kubernetes_garbled"),
        claim("pods", &definition(&api, "selector = \"app=web,tier in (front)\"; at_least = 2"), cluster, "up"),
        claim("pods-few", &definition(&api, "selector = \"app=web,tier in (front)\"; at_least = 3"), cluster, "down not_ready"),
        of("forbidden", "", "unknown kubernetes_denied"),
        of("busy", "", "unknown kubernetes_busy"),
        of("broken", "", "unknown kubernetes_failing"),
        of("moved", "", "unknown kubernetes_failing"),
        of("garbage", "", "unknown kubernetes_garbled"),
        of("status", "", "unknown kubernetes_garbled"),
        of("cut", "", "unknown kubernetes_unreachable"),
        of("endless", "timeout = \"20s\"; interval = \"30s\"", "unknown kubernetes_garbled"),
        of("silent", "timeout = \"500ms\"", "unknown kubernetes_silent"),
        claim("old-token", &good.replace("\"token\"", "\"old-token\""), cluster, "unknown kubernetes_denied"),
        claim("no-token", &good.replace("\"token\"", "\"nowhere\""), cluster, "unknown kubernetes_files"),
        claim("no-authority", &good.replace("kube-ca.pem", "token"), cluster, "unknown kubernetes_files"),
        claim("other-authority", &good.replace("kube-ca.pem", "authority.pem"), cluster, "unknown kubernetes_unreachable"),
        claim(
            "nobody",
            &good.replace(&api.at.to_string(), &format!("127.0.0.1:{nobody}")),
            cluster,
            "unknown kubernetes_unreachable",
        ),
    ];
    let mut server = Leeward::launch(&configure(&site, &claims, "[health]\nstartup_wait = \"1m\"\n"), &[]);
    server.wait_until_open();
    let seen: std::collections::BTreeMap<_, _> =
        claims.iter().map(|claim| (claim.name.to_owned(), verdict(&server, claim.name))).collect();
    assert_eq!(seen, super::wanted(&claims));
    let (_, checks) = server.get("/api/v1/checks");
    for words in [
        "1 of 2 ready",
        "0 of 1 ready",
        "2 of 3 ready",
        "kubernetes service shop/good by https://127.0.0.1",
        "the Kubernetes API does not let us ask: 401 or 403",
    ] {
        assert!(checks.contains(words), "{words}: {checks}");
    }
    assert_eq!(server.log_count("first") + server.log_count("zeroth"), 0, "no token is told");
    assert!(server.log_line("it answers 403 Forbidden").is_some() || server.log_line("it answers 401").is_some());
}

/// Tokens are replaced while we run; what the API says of one that is too old takes nothing down.
#[test]
fn a_token_that_is_replaced() {
    let site = Site::new();
    let api = Api::start(&site);
    site.write("token", "first\n");
    let often = "service = \"good\"; interval = \"100ms\"; timeout = \"5s\"; fall = 1; rise = 1";
    let claims = [claim("web", &definition(&api, often), SocketAddr::from(([192, 0, 2, 1], 443)), "up")];
    let server = hold(&site, &claims, &[]);
    *api.token.lock().expect("not poisoned") = "second".to_owned();
    wait_for("its refusal", || (verdict(&server, "web") == "up kubernetes_denied").then_some(()));
    site.write("new", "second\n");
    std::fs::rename(site.path("new"), site.path("token")).expect("renamed");
    wait_for("its trust", || (verdict(&server, "web") == "up").then_some(()));
}
