//! `[check.NAME]`: checks that programs use by name.
//!
//! Every kind has the keys of [`common`] and its own; a key of another kind is unknown here. What headers, bodies and
//! arguments hold may be secret, and is in no finding.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use url::Host;

use super::check::{HOUR, JITTER, MILLISECOND, SECOND, non_empty, percent, token_text};
use super::finding::Place;
use super::raw::{Item, Table, Value};
use super::section::Section;
use super::vote::vote;
use crate::health;
use crate::target::{
    CheckKind, Codes, Content, Definitions, DnsCheck, ExecCheck, FileCheck, GrpcCheck, HttpCheck, Judgement, KubernetesCheck,
    NamedCheck, Pattern, PushCheck, Rcode, Scheme, TlsCheck, Token, Version, Workload,
};
use crate::wire::{Name, RecordType};

/// Longest text that is sent or looked for, octets.
const TEXT_MAX: usize = 1024;
/// Longest path, octets.
const PATH_MAX: usize = 2048;
/// Where the API of the cluster is that we run in, and what it gives us to be known by.
const INSIDE: &str = "https://kubernetes.default.svc";
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Most headers.
const HEADERS_MAX: usize = 64;

/// How the kinds are spelled, and what reads the keys of each.
const KINDS: [(&str, Kind); 11] = [
    ("tcp", |_, _| CheckKind::Tcp),
    ("http", |section, at| http(section, at, Scheme::Http)),
    ("https", |section, at| http(section, at, Scheme::Https)),
    ("tls", |section, at| CheckKind::Tls(tls(section, at, false).into())),
    ("dns", dns),
    ("exec", exec),
    ("icmp", |_, _| CheckKind::Icmp),
    ("grpc", grpc),
    ("file", file),
    ("push", push),
    ("kubernetes", kubernetes),
];

/// Reads a kind's own keys of the section that begins at a place.
type Kind = fn(&mut Section<'_>, &Place) -> CheckKind;

/// The definitions below `[check]`; `pings`: whether the system lets this process send ICMP.
pub(super) fn checks(root: &mut Section<'_>, health: &health::Config, pings: bool) -> Definitions {
    let named = root.named("check");
    named.into_iter().filter_map(|(name, at, table)| check(root, (name, &at, table), health, pings)).collect()
}

fn check(
    root: &mut Section<'_>,
    (name, at, table): (String, &Place, Table),
    health: &health::Config,
    pings: bool,
) -> Option<(Box<str>, NamedCheck)> {
    let mut section = root.below("check", &name, table);
    if !is_name(&name) {
        let message = format!("`{}` is no name for a check", name.escape_debug());
        section.findings.error(at, message, "write letters, digits, `-`, `_` and `.`, at most 63 of them");
    }
    let remedy = format!("write one of {}", kinds());
    section.require("kind", at, &remedy);
    let find = |text: &str| KINDS.into_iter().find(|(known, _)| *known == text).ok_or("no kind of check");
    // Without the kind nothing can be said of the other keys.
    let (_, (_, kind)) = section.parsed("kind", &remedy, find)?;
    let check = common(&mut section, (at, kind), health, pings);
    section.finish(&[]);
    Some((name.into(), check))
}

/// Every kind, for people.
pub(super) fn kinds() -> String {
    KINDS.map(|(known, _)| format!("\"{known}\"")).join(", ")
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The keys that every kind has, around its own.
fn common(section: &mut Section<'_>, (at, kind): (&Place, Kind), health: &health::Config, pings: bool) -> NamedCheck {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let interval = section.duration("interval", health.interval, 100 * MILLISECOND..=DAY);
    let timeout = section.duration("timeout", health.timeout, 10 * MILLISECOND..=HOUR);
    if let Some(at) = timeout.0.or(interval.0).filter(|_| timeout.1 > interval.1) {
        let [timeout, interval] = [timeout.1, interval.1].map(humantime::format_duration);
        let message =
            format!("{} ({timeout}) is longer than {} ({interval})", section.spell("timeout"), section.spell("interval"));
        section.findings.warning(&at, message, "a probe should end before the next is due: shorten the timeout");
    }
    let judgement = judgement(section, health, timeout.1);
    let port = section.given_number("port", 1..=usize::from(u16::MAX)).and_then(|port| u16::try_from(port).ok());
    let mut sources = sources(section);
    let kind = kind(section, at);
    if port.is_some() && !kind.has_port() {
        let message = format!("{} means nothing: {} has no ports", section.spell("port"), kind.as_str());
        section.findings.warning(at, message, "remove it");
    }
    if !sources.is_empty() && !kind.connects() {
        let message = format!("{} means nothing: {} makes no connection", section.spell("source"), kind.as_str());
        section.findings.warning(at, message, "remove it");
        sources.clear();
    }
    if judgement.tripwire && !kind.has_connection() {
        let message = format!("{} means nothing: {} makes no connection", section.spell("tripwire"), kind.as_str());
        section.findings.warning(at, message, "remove it");
    }
    if matches!(kind, CheckKind::Icmp) && !pings {
        let message = "this system grants no ICMP socket to this user, without which nothing is known of the targets";
        let remedy = "put a group of the user that leeward runs as into the range of the sysctl net.ipv4.ping_group_range";
        section.findings.warning(at, message, remedy);
    }
    NamedCheck { kind, port, sources, timeout: timeout.1, interval: interval.1, judgement }
}

/// How results are judged: as `[health]` says, where the check does not.
fn judgement(section: &mut Section<'_>, health: &health::Config, timeout: Duration) -> Judgement {
    let damped = section.flag("damped", health.damped);
    let base = health::Config { damped, ..health.clone() }.judgement();
    let mut count = |key, default: u16| u16::try_from(section.number(key, default.into(), 1..=1000)).unwrap_or(u16::MAX);
    let (fall, rise, forget) = (count("fall", base.fall), count("rise", base.rise), count("forget", base.forget));
    let retry = section.duration("retry_interval", health.retry_interval, 50 * MILLISECOND..=HOUR).1;
    let (slow_at, slow) = section.duration("slow", timeout, MILLISECOND..=HOUR);
    if let Some(at) = slow_at.as_ref().filter(|_| slow >= timeout) {
        let message = format!("{} is not below the timeout, so nothing is slow", section.spell("slow"));
        section.findings.warning(at, message, "use a shorter time, or a longer timeout");
    }
    let slow = slow_at.map_or(base.slow, |_| Some(slow));
    let tripwire = section.flag("tripwire", false);
    let jitter = section.parsed("jitter", JITTER, percent).map(|(_, jitter)| jitter);
    let vote = vote(section);
    Judgement { fall, rise, forget, slow, tripwire, jitter, vote, retry: Some(retry), ..base }
}

/// Addresses of this host, at most one of each family.
fn sources(section: &mut Section<'_>) -> Vec<IpAddr> {
    const REMEDY: &str = "write an address of this host, such as \"192.0.2.1\", or one of each family";
    let spelled = section.spell("source");
    let mut sources: Vec<IpAddr> = Vec::new();
    for Item { at, value } in section.one_or_more("source") {
        let Value::Text(text) = value else {
            section.findings.error(&at, format!("{spelled} is {}, not a string", value.kind()), REMEDY);
            continue;
        };
        match text.parse::<IpAddr>() {
            Ok(source) if source.is_multicast() || source.is_unspecified() => {
                section.findings.error(&at, format!("{spelled} is {source}, from which nothing can be sent"), REMEDY);
            }
            Ok(source) if sources.iter().any(|other| other.is_ipv4() == source.is_ipv4()) => {
                section.findings.error(&at, format!("{spelled} has two addresses of one family"), REMEDY);
            }
            Ok(source) => sources.push(source),
            Err(_) => section.findings.error(&at, format!("{spelled} is \"{text}\", which is no address"), REMEDY),
        }
    }
    sources
}

fn http(section: &mut Section<'_>, at: &Place, scheme: Scheme) -> CheckKind {
    let base = HttpCheck { user_agent: "leeward".into(), ..HttpCheck::get(scheme, "", "/") };
    let method = method(section);
    let path = section.parsed("path", "write a path such as \"/health?deep=1\"", path).map_or(base.path, |(_, path)| path);
    let host = section.parsed("host", "write the name of a host, such as \"www.example.com\"", host);
    let (sni, verify) = match scheme {
        Scheme::Http => (None, false),
        Scheme::Https => certificate(section, at, host.is_some()),
    };
    let headers = headers(section);
    let content =
        short(section, "body", "write the body of the request").map_or_else(Content::default, |(_, text)| Content(text));
    let status = codes(section, "expect", Codes::only(200));
    let body = short(section, "contains", "write a text that the answer's body has");
    let pattern = section.parsed("matches", "write a regular expression as https://docs.rs/regex describes them", pattern);
    let redirects = section.flag("redirects", true);
    let version = version(section);
    let bodiless = method == Method::GET || method == Method::HEAD;
    if !content.0.is_empty() && bodiless {
        let message = format!("{} with the method {method}", section.spell("body"));
        section.findings.error(at, message, "add method = \"POST\"");
    }
    let looked_for = body.as_ref().map(|(at, _)| at).or(pattern.as_ref().map(|(at, _)| at));
    if let Some(at) = looked_for.filter(|_| method == Method::HEAD) {
        section.findings.error(at, "an answer to HEAD has no body in which to find anything", "use the method GET");
    }
    CheckKind::Http(Arc::new(HttpCheck {
        path,
        host: host.map_or(base.host, |(_, host)| host),
        sni,
        verify,
        method,
        headers,
        content,
        status,
        body: body.map(|(_, text)| text).filter(|text| !text.is_empty()),
        pattern: pattern.map(|(_, pattern)| pattern),
        redirects,
        version,
        scheme,
        user_agent: base.user_agent,
        limit: None,
        weighs: false,
    }))
}

/// The name that a handshake asks for, and whether the certificate must be valid for it (or for the host).
fn certificate(section: &mut Section<'_>, at: &Place, has_host: bool) -> (Option<Box<str>>, bool) {
    let sni = section.parsed("sni", "write the name of a host, such as \"www.example.com\"", host).map(|(_, sni)| sni);
    let verify = section.flag("verify", true);
    if verify && sni.is_none() && !has_host {
        let message = "the certificate must be valid for the target's bare address, since no name is given";
        section.findings.warning(at, message, "write the name that clients use, or verify = false");
    }
    (sni, verify)
}

fn tls(section: &mut Section<'_>, at: &Place, has_host: bool) -> TlsCheck {
    let (sni, verify) = certificate(section, at, has_host);
    let min_days_left = section.given_number("min_days_left", 0..=3650).and_then(|days| u16::try_from(days).ok());
    TlsCheck { sni, verify, min_days_left }
}

fn dns(section: &mut Section<'_>, at: &Place) -> CheckKind {
    const NAME: &str = "write the name to ask for, such as \"www.example.com\"";
    section.require("name", at, NAME);
    let name = section.parsed("name", NAME, str::parse::<Name>).map_or_else(|| ".".to_owned(), |(_, name)| name.to_string());
    let rtype = section.parsed("type", "write a type of record, such as \"A\"", rtype).map_or(RecordType::A, |(_, rtype)| rtype);
    let tcp = section.parsed("transport", "write \"udp\" or \"tcp\"", |text| match text {
        "udp" => Ok(false),
        "tcp" => Ok(true),
        _ => Err("neither"),
    });
    let recursion = section.flag("recursion", true);
    let all = format!("write one of {}", Rcode::NAMES.join(", "));
    let rcode = section.parsed("rcode", &all, |text| Rcode::of(text).ok_or("no response code"));
    let answer =
        short(section, "answer", "write the data that a record of the answer must have").filter(|(_, text)| !text.is_empty());
    let rcode = rcode.map_or(Rcode::NOERROR, |(_, rcode)| rcode);
    if let Some((at, _)) = answer.as_ref().filter(|_| rcode != Rcode::NOERROR) {
        section.findings.warning(at, format!("an answer of {rcode} has no data"), "remove `answer` or `rcode`");
    }
    CheckKind::Dns(Arc::new(DnsCheck {
        name: name.into(),
        rtype: rtype.0,
        mnemonic: rtype.to_string().into(),
        tcp: tcp.is_some_and(|(_, tcp)| tcp),
        recursion,
        rcode,
        answer: answer.map(|(_, text)| text),
    }))
}

fn rtype(text: &str) -> Result<RecordType, &'static str> {
    let rtype = text.to_ascii_uppercase().parse::<RecordType>().map_err(|_| "no type of record")?;
    if rtype.is_meta() { Err("no type of data") } else { Ok(rtype) }
}

fn exec(section: &mut Section<'_>, at: &Place) -> CheckKind {
    const ARGV: &str = "write a path and arguments, such as [\"/usr/lib/checks/disk\", \"-H\", \"{address}\"]";
    section.require("argv", at, ARGV);
    let (program, arguments) = argv(section, "argv", ARGV, "until it can, nothing is known of the targets");
    CheckKind::Exec(Arc::new(ExecCheck { program, arguments }))
}

/// A command: the path of a program, and its arguments; `warning` says what follows from a program that cannot be run.
pub(super) fn argv(section: &mut Section<'_>, key: &'static str, remedy: &str, warning: &str) -> (PathBuf, Box<[Box<str>]>) {
    let spelled = section.spell(key);
    let mut texts = Vec::new();
    for Item { at, value } in section.one_or_more(key) {
        match value {
            Value::Text(text) if text.contains('\0') => {
                section.findings.error(&at, format!("{spelled} holds a zero octet, which ends an argument"), remedy);
            }
            Value::Text(text) => texts.push((at, text)),
            other => section.findings.error(&at, format!("{spelled} holds {}, not a string", other.kind()), remedy),
        }
    }
    let mut texts = texts.into_iter();
    let mut program = PathBuf::new();
    if let Some((at, text)) = texts.next() {
        program = at.resolve(&text);
        if !text.contains('/') {
            let message = format!("{spelled} begins with \"{}\", which is no path", text.escape_debug());
            section.findings.error(&at, message, "write the whole path: commands are not searched for");
        } else if let Err(problem) = executable(&program) {
            let message = format!("{} in {spelled} cannot be run: {problem}", program.display());
            section.findings.warning(&at, message, warning);
        }
    }
    // From the root of the file system, in which it is run.
    let program = std::path::absolute(&program).unwrap_or(program);
    (program, texts.map(|(_, text)| text.into()).collect())
}

fn executable(path: &Path) -> Result<(), String> {
    let data = std::fs::metadata(path).map_err(|error| error.to_string())?;
    match data.is_file() && data.permissions().mode() & 0o111 != 0 {
        true => Ok(()),
        false => Err("it is no executable file".into()),
    }
}

fn grpc(section: &mut Section<'_>, at: &Place) -> CheckKind {
    let service = short(section, "service", "write the name of a service, such as \"shop.v1.Cart\"").map(|(_, text)| text);
    let host = section.parsed("host", "write the name of a host, such as \"www.example.com\"", host).map(|(_, host)| host);
    let over_tls = section.flag("tls", false);
    let tls = over_tls.then(|| {
        let (sni, verify) = certificate(section, at, host.is_some());
        TlsCheck { sni, verify, min_days_left: None }
    });
    CheckKind::Grpc(Arc::new(GrpcCheck { service: service.unwrap_or_default(), host, tls }))
}

fn file(section: &mut Section<'_>, at: &Place) -> CheckKind {
    const FILE: &str = "write the path of a file with lines such as `192.0.2.1 => UP`";
    section.require("file", at, FILE);
    let path = match section.path("file", FILE) {
        Some((at, None)) => {
            section.findings.error(&at, format!("{} is empty", section.spell("file")), FILE);
            None
        }
        given => given.and_then(|(_, path)| path),
    };
    CheckKind::File(Arc::new(FileCheck { path: path.unwrap_or_default() }))
}

fn push(section: &mut Section<'_>, at: &Place) -> CheckKind {
    const TOKEN: &str = "write the path of a file that holds what the target must show";
    section.require("token_file", at, TOKEN);
    let file = section.path("token_file", TOKEN);
    if let Some((at, None)) = &file {
        section.findings.error(at, format!("{} is empty", section.spell("token_file")), TOKEN);
    }
    let text = file.and_then(|(at, path)| token_text(&path?, &at, section.findings));
    let (_, expiry) = section.duration("expiry", 30 * SECOND, SECOND..=24 * HOUR);
    CheckKind::Push(Arc::new(PushCheck { token: Token::of(text.unwrap_or_default().as_bytes()), expiry }))
}

fn kubernetes(section: &mut Section<'_>, at: &Place) -> CheckKind {
    const URL: &str = "write where the API is, such as \"https://192.0.2.1:6443\"";
    const NAMESPACE: &str = "write the namespace, such as \"default\"";
    const WHICH: &str = "write service = \"web\", or selector = \"app=web\"";
    let is_inside = section.place("url").is_none();
    let url = section.text("url", URL).and_then(|(at, text)| match api_url(&text) {
        Ok(url) => Some((at, url)),
        Err(error) => {
            // Without the text, in which there may be a password.
            section.findings.error(&at, format!("{} is no URL of an API: {error}", section.spell("url")), URL);
            None
        }
    });
    section.require("namespace", at, NAMESPACE);
    let namespace = section.parsed("namespace", NAMESPACE, kubernetes_name).map(|(_, name)| name);
    let is_said = ["service", "selector"].iter().any(|key| section.place(key).is_some());
    let service = section.parsed("service", WHICH, kubernetes_name);
    let selector = section.parsed("selector", WHICH, selector);
    let workload = match (service, selector) {
        (Some((at, _)), Some(_)) => {
            section.findings.error(&at, "a service and a selector: one of them is counted", "remove one");
            None
        }
        (Some((_, name)), None) => Some(Workload::Service(name)),
        (None, Some((_, selector))) => Some(Workload::Pods(selector)),
        (None, None) if is_said => None,
        (None, None) => {
            section.findings.missing(at, "neither a service nor a selector says what is counted".to_owned(), WHICH);
            None
        }
    };
    let at_least = section.number("at_least", 1, 1..=100_000) as u32;
    let own = |name: &str| is_inside.then(|| Path::new(SERVICE_ACCOUNT).join(name));
    let token_file = readable(section, at, "token_file", "token", own("token"));
    let ca_file = readable(section, at, "ca_file", "PEM", own("ca.crt"));
    if let Some((at, url)) = url.as_ref().filter(|(_, url)| url.starts_with("http:") && token_file.is_some())
        && !is_loopback(url)
    {
        section.findings.warning(at, "whoever is on the way can read the token", "write an https URL");
    }
    CheckKind::Kubernetes(Arc::new(KubernetesCheck {
        url: url.map_or_else(|| INSIDE.into(), |(_, url)| url),
        namespace: namespace.unwrap_or_default(),
        workload: workload.unwrap_or_else(|| Workload::Service("".into())),
        at_least,
        token_file,
        ca_file,
    }))
}

/// A file that is looked at when it is needed: by default this one. A warning where it cannot be read yet.
fn readable(section: &mut Section<'_>, at: &Place, key: &'static str, what: &str, default: Option<PathBuf>) -> Option<PathBuf> {
    let (at, path) = match section.path(key, &format!("write the path of a file that holds a {what}")) {
        None => (at.clone(), default),
        Some((at, path)) => {
            let path = non_empty(section, key, &at, path);
            (at, path)
        }
    };
    if let Some(Err(error)) = path.as_ref().map(std::fs::File::open) {
        let message = format!("cannot read {}: {error}", path.clone().unwrap_or_default().display());
        section.findings.warning(&at, message, "until it can be read, nothing is known of the targets");
    }
    path
}

fn is_loopback(url: &str) -> bool {
    let host = url::Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Without a slash at the end, so that paths can follow.
fn api_url(text: &str) -> Result<Box<str>, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        "http" | "https" if plain => Ok(url.as_str().trim_end_matches('/').into()),
        "http" | "https" => Err("it has more than a host, a port and a path".to_owned()),
        _ => Err("neither http nor https".to_owned()),
    }
}

/// The name of a namespace or a service (RFC 1123).
fn kubernetes_name(text: &str) -> Result<Box<str>, &'static str> {
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    let named = (1..=63).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-');
    if named { Ok(text.into()) } else { Err("no name: lower-case letters, digits and `-`, at most 63") }
}

fn selector(text: &str) -> Result<Box<str>, &'static str> {
    let plain = |octet: u8| octet.is_ascii_graphic() || octet == b' ';
    match text.len() {
        0 => Err("it is empty, which is every pod"),
        1..=TEXT_MAX if text.bytes().all(plain) => Ok(text.into()),
        _ => Err("no selector of labels"),
    }
}

fn method(section: &mut Section<'_>) -> Method {
    let all = HttpCheck::METHODS.each_ref().map(Method::as_str).join(", ");
    let find = |text: &str| HttpCheck::METHODS.into_iter().find(|known| known.as_str() == text).ok_or("no such method");
    section.parsed("method", &format!("write one of {all}"), find).map_or(Method::GET, |(_, method)| method)
}

fn path(text: &str) -> Result<Box<str>, &'static str> {
    match text {
        _ if !text.starts_with('/') => Err("no path: it does not begin with a slash"),
        _ if text.len() > PATH_MAX => Err("too long"),
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('#') => {
            Err("no path: blanks, `#` and what is not ASCII are to be written in percent-encoding")
        }
        _ => Ok(text.into()),
    }
}

/// A host as it stands in a URL.
fn host(text: &str) -> Result<Box<str>, String> {
    match Host::parse(text) {
        Ok(host) => Ok(host.to_string().into()),
        Err(error) => Err(error.to_string()),
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|error| {
        // What is wrong stands on the last line, below a picture of the pattern.
        error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

fn version(section: &mut Section<'_>) -> Version {
    let version = section.parsed("http", "write \"1.1\" or \"2\"", |text| match text {
        "1.1" => Ok(Version::One),
        "2" => Ok(Version::Two),
        _ => Err("no version that this release speaks"),
    });
    version.map_or(Version::One, |(_, version)| version)
}

/// A text of at most [`TEXT_MAX`] octets, which no finding shows.
fn short(section: &mut Section<'_>, key: &'static str, remedy: &str) -> Option<(Place, Box<str>)> {
    let (at, text) = section.text(key, remedy)?;
    if text.len() > TEXT_MAX {
        section.findings.error(&at, format!("{} is longer than {TEXT_MAX} octets", section.spell(key)), "use a shorter text");
    }
    Some((at, text.into()))
}

pub(super) fn headers(section: &mut Section<'_>) -> Box<[(HeaderName, HeaderValue)]> {
    const REMEDY: &str = "write headers = { X-Name = \"value\" }";
    let spelled = section.spell("headers");
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (written, at, text) in section.texts_by_name("headers", REMEDY) {
        let shown = written.escape_debug();
        let complaint = match (HeaderName::from_bytes(written.as_bytes()), HeaderValue::from_str(&text)) {
            (Err(_), _) => format!("`{shown}` in {spelled} cannot be the name of a header"),
            (Ok(name), _) if HttpCheck::OWN_HEADERS.contains(&name) => {
                format!("`{shown}` in {spelled} is what the probe itself says")
            }
            (Ok(name), _) if headers.iter().any(|(other, _)| *other == name) => format!("`{shown}` is twice in {spelled}"),
            (Ok(_), Err(_)) => format!("`{shown}` in {spelled} holds control characters"),
            (Ok(_), Ok(_)) if text.len() > TEXT_MAX => format!("`{shown}` in {spelled} is longer than {TEXT_MAX} octets"),
            (Ok(_), Ok(_)) if headers.len() == HEADERS_MAX => format!("{spelled} has more than {HEADERS_MAX} headers"),
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.push((name, value));
                continue;
            }
        };
        section.findings.error(&at, complaint, REMEDY);
    }
    headers.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
    headers.into()
}

/// Statuses of HTTP: numbers, and ranges as text.
fn codes(section: &mut Section<'_>, key: &'static str, default: Codes) -> Codes {
    const REMEDY: &str = "write statuses from 100 to 999 and ranges of them, such as [\"200-299\", 304]";
    const ALL: RangeInclusive<u16> = 100..=999;
    let spelled = section.spell(key);
    let mut ranges = Vec::new();
    for Item { at, value } in section.one_or_more(key) {
        let (shown, range) = match &value {
            Value::Integer(number) => (number.to_string(), u16::try_from(*number).ok().map(|code| code..=code)),
            Value::Text(text) => (format!("\"{}\"", text.escape_debug()), code_range(text)),
            other => (other.kind().to_owned(), None),
        };
        match range.filter(|range| ALL.contains(range.start()) && ALL.contains(range.end()) && range.start() <= range.end()) {
            Some(range) => ranges.push(range),
            None => section.findings.error(&at, format!("{spelled} holds {shown}, which is no status"), REMEDY),
        }
    }
    if ranges.is_empty() { default } else { Codes::of(ranges) }
}

fn code_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some(low.trim().parse().ok()?..=high.trim().parse().ok()?)
}
