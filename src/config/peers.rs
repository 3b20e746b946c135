//! `[peers]` and `[peer.NAME]`: the other nodes, how they are reached, and how they are known.
//!
//! One file does for all nodes: a `[peer.NAME]` with our own name is ourselves, and gives our region where `[node]` does not.
//! Secrets and keys are read here, so that `checkconf` and a reload say what is wrong with them; what they hold is in no
//! finding.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::DnsName;
use url::Url;

use super::check::{DAY, HOUR, MILLISECOND, SECOND, node_name, non_empty, secret_text};
use super::checks::is_name;
use super::finding::{Findings, Place};
use super::raw::{Item, Table, Value};
use super::section::{Section, address};
use super::tls::{CERT, KEY, KEY_FITS, KEY_KINDS, file, open_to_all, read};
use crate::health::{Fleet, Peer};
use crate::peers::{Config, Remote, SECRET_MIN, Secrets, Tls, TlsError};

const MAKE: &str = "make one with: openssl rand -hex 32";
const CA: &str = "write the path of a PEM file: the authorities that issue the certificates of your nodes";
const LISTEN: &str = "write an address with port, such as \"0.0.0.0:8054\", or an array of them";
const URL: &str = "write scheme, host and port of its [peers] listen, such as \"https://198.51.100.1:8054\"";
const REGION: &str = "write letters, digits, `-`, `_` and `.`, at most 63 of them";

/// Where a node stands, and where that is said.
pub(super) type Region = (Place, Box<str>);

/// What `[peers]` says for all peers.
struct General {
    listen: Vec<SocketAddr>,
    secrets: Secrets,
    /// Whether secrets are asked for, readable or not.
    has_secrets: bool,
    has_tls: bool,
    tls: Option<Tls>,
    interval: Duration,
    stale_after: Duration,
    solo_after: Duration,
}

/// What one `[peer.NAME]` says.
struct Entry {
    at: Place,
    name: Arc<str>,
    url: Option<(Place, Url)>,
    region: Option<Region>,
    /// Its own secret, if it is to have one; empty where that cannot be used.
    secrets: Option<Secrets>,
}

/// The exchange and the rules of health, for the node of this name, which says itself to be in `region`.
pub(super) fn peers(root: &mut Section<'_>, node: &str, region: Option<Region>) -> (Option<Config>, Fleet) {
    let at = root.place("peers");
    let general = general(root.section("peers"), at.as_ref());
    let named = root.named("peer");
    if let (None, Some((name, first, _))) = (&at, named.first()) {
        let message = format!("there is `[peer.{name}]`, and no `[peers]`");
        root.findings.missing(first, message, "add [peers] with listen and secret_files");
    }
    if let (Some(at), true) = (&at, named.is_empty()) {
        root.findings.warning(at, "`[peers]` has nobody to talk to", "add [peer.NAME] with a url for each other node");
    }
    let entries: Vec<_> = named.into_iter().map(|(name, at, table)| entry(root, name, at, table)).collect();
    let (ours, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| &*entry.name == node);
    let region = our_region(region, ours.into_iter().next(), root.findings);
    if let Some(at) = &at {
        judge(&general, &others, at, root.findings);
    }
    let peer = |entry: &Entry| {
        let region = entry.region.as_ref().map_or_else(|| "".into(), |(_, region)| region.clone());
        Peer { name: Arc::clone(&entry.name), region }
    };
    let General { interval, stale_after, solo_after, .. } = general;
    let fleet = Fleet { region, peers: others.iter().map(peer).collect(), interval, stale_after, solo_after };
    let remote = |entry: Entry| {
        let secrets = entry.secrets.unwrap_or_else(|| general.secrets.clone());
        Some(Remote { name: entry.name, url: entry.url?.1, secrets })
    };
    let peers = others.into_iter().filter_map(remote).collect();
    let config = Config { node: node.into(), listen: general.listen, interval, tls: general.tls, peers };
    match at {
        Some(_) => (Some(config), fleet),
        None => (None, Fleet { peers: Vec::new(), ..fleet }),
    }
}

/// The name of a region.
pub(super) fn region(section: &mut Section<'_>) -> Option<Region> {
    section.parsed("region", REGION, |text| if is_name(text) { Ok(text.into()) } else { Err("no name for a region") })
}

/// Where we stand: as `[node]` says, or our own entry among the peers.
fn our_region(said: Option<Region>, ours: Option<Entry>, findings: &mut Findings) -> Box<str> {
    let listed = ours.and_then(|ours| Some((ours.name, ours.region?)));
    if let (Some((first, said)), Some((name, (at, listed)))) = (&said, &listed)
        && said != listed
    {
        let message =
            format!("`[peer.{name}]` is this node, and its region \"{listed}\" is not \"{said}\", as `[node] region` says");
        findings.error(at, message, format!("remove one of them; the other is at {first}"));
    }
    said.or_else(|| listed.map(|(_, region)| region)).map_or_else(|| "".into(), |(_, region)| region)
}

/// `[peers]`, which begins at `at` if it is there.
fn general(mut section: Section<'_>, at: Option<&Place>) -> General {
    const FILES: &str = "write paths, the secret that signs first: [\"new.key\", \"old.key\"]";
    let default = Fleet::default();
    if let Some(at) = at {
        section.require("listen", at, LISTEN);
    }
    let listen = listen(&mut section);
    let files = section.paths("secret_files", FILES);
    let secrets = secrets(&files, section.findings);
    let interval = section.duration("interval", default.interval, 100 * MILLISECOND..=HOUR).1;
    let (stale_at, stale_after) = section.duration("stale_after", 3 * interval, 100 * MILLISECOND..=DAY);
    if let Some(at) = stale_at.filter(|_| stale_after <= interval) {
        let [stale, interval] = [stale_after, interval].map(humantime::format_duration);
        let message = format!("`[peers] stale_after` ({stale}) is not longer than `interval` ({interval})");
        section.findings.error(&at, message, "every peer would be stale before its next word: write three intervals");
    }
    let solo_after = section.duration("solo_after", default.solo_after, SECOND..=DAY).1;
    let tls_at = section.place("tls");
    let tls = tls(section.section("tls"), tls_at.as_ref());
    section.finish(&[]);
    let (has_secrets, has_tls) = (!files.is_empty(), tls_at.is_some());
    General { listen, secrets, has_secrets, has_tls, tls, interval, stale_after, solo_after }
}

/// One address, or an array of them.
fn listen(section: &mut Section<'_>) -> Vec<SocketAddr> {
    let spelled = section.spell("listen");
    let mut list = Vec::new();
    for Item { at, value } in section.one_or_more("listen") {
        let Value::Text(text) = value else {
            section.findings.error(&at, format!("{spelled} holds {}, not a string", value.kind()), LISTEN);
            continue;
        };
        match address(&text) {
            Ok(address) if list.contains(&address) => {
                section.findings.error(&at, format!("{spelled} holds \"{text}\" twice"), "remove one");
            }
            Ok(address) => list.push(address),
            Err(error) => section.findings.error(&at, format!("{spelled} holds \"{text}\": {error}"), LISTEN),
        }
    }
    list
}

/// What the files hold; those that are no use are left out.
fn secrets(files: &[(Place, PathBuf)], findings: &mut Findings) -> Secrets {
    let mut texts: Vec<String> = Vec::new();
    for (at, path) in files {
        let Some(text) = secret_text(path, at, "peer secret", MAKE, findings) else { continue };
        if text.len() < SECRET_MIN {
            findings.error(at, format!("the peer secret in {} is shorter than {SECRET_MIN} octets", path.display()), MAKE);
        } else {
            texts.push(text);
        }
    }
    Secrets::new(&texts).unwrap_or_default()
}

/// `[peers.tls]`, which begins at `at` if it is there.
fn tls(mut section: Section<'_>, at: Option<&Place>) -> Option<Tls> {
    let mut pem = |key, what, remedy| {
        if let Some(at) = at {
            section.require(key, at, remedy);
        }
        let (at, path) = section.path(key, remedy).and_then(|(at, path)| file(&mut section, key, at, path, remedy))?;
        let text = read(&at, &path, what, section.findings)?;
        Some((at, path, text))
    };
    let [cert, key, ca] = [("cert", "certificate", CERT), ("key", "key", KEY), ("ca", "authorities", CA)]
        .map(|(key, what, remedy)| pem(key, what, remedy));
    if let Some((at, path, _)) = &key {
        open_to_all(at, path, section.findings);
    }
    let made = cert.zip(key).zip(ca).and_then(|((cert, key), ca)| made(&cert, &key, &ca, section.findings));
    section.finish(&[]);
    made
}

/// A place that names a file, the file, and what it holds.
type Pem = (Place, PathBuf, Vec<u8>);

fn made(cert: &Pem, key: &Pem, ca: &Pem, findings: &mut Findings) -> Option<Tls> {
    let tls = Tls::from_pem(&cert.2, &key.2, &ca.2);
    let tls = tls.map_err(|error| {
        let ((at, path, _), remedy) = match &error {
            TlsError::Certificate(_) => (cert, CERT),
            TlsError::Key(_) => (key, KEY_KINDS),
            TlsError::Mismatch => (key, KEY_FITS),
            TlsError::Authority(_) => (ca, CA),
        };
        findings.error(at, format!("{} cannot be used: {error}", path.display()), remedy);
    });
    tls.ok()
}

fn entry(root: &mut Section<'_>, name: String, at: Place, table: Table) -> Entry {
    let mut section = root.below("peer", &name, table);
    if !node_name(&name) {
        let message = format!("`{}` is no name for a node", name.escape_debug());
        section.findings.error(&at, message, "write its [node] name: letters, digits, `-`, `_` and `.`");
    }
    section.require("url", &at, URL);
    let url = section.parsed("url", URL, url);
    let region = region(&mut section);
    let file = section.path("key_file", "write the path of a file with the secret that it shares with this node alone");
    let file = file.and_then(|(at, path)| Some((non_empty(&mut section, "key_file", &at, path)?, at)));
    let secrets = file.map(|(path, at)| secrets(&[(at, path)], section.findings));
    section.finish(&[]);
    Entry { at, name: name.into(), url, region, secrets }
}

/// Scheme, host and port, and nothing more.
fn url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "no URL")?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    match (url.scheme(), url.has_host()) {
        ("http" | "https", true) if !url.username().is_empty() || url.password().is_some() => {
            Err("it holds a name or a password")
        }
        ("http" | "https", true) if is_bare => Ok(url),
        ("http" | "https", true) => Err("it goes on after the port"),
        _ => Err("no URL of http or https"),
    }
}

/// Whether each can be known, and is somewhere else than the others.
fn judge(general: &General, others: &[Entry], at: &Place, findings: &mut Findings) {
    let nothing_known = |entry: &&Entry| !general.has_secrets && entry.secrets.is_none();
    if let Some(entry) = others.iter().find(nothing_known).filter(|_| !general.has_tls) {
        let message = format!("nothing shows that a message of `{}` is its own", entry.name);
        findings.missing(at, message, "add secret_files = [\"peers.key\"], or [peers.tls]");
    }
    for entry in others.iter().filter(nothing_known).filter(|_| general.has_tls) {
        judge_certificate(entry, findings);
    }
    for (place, entry) in others.iter().enumerate() {
        let Some((at, url)) = &entry.url else { continue };
        if general.has_tls && !nothing_known(&entry) && url.scheme() == "http" {
            let message = format!("`[peer.{}] url` is http, and there is `[peers.tls]`", entry.name);
            findings.warning(at, message, "write https, unless this peer alone has no TLS");
        }
        let twin = others.iter().take(place).find(|other| other.url.as_ref().is_some_and(|(_, other)| other == url));
        if let Some(twin) = twin {
            let message = format!("`[peer.{}] url` is that of `[peer.{}]`", entry.name, twin.name);
            findings.error(at, message, "give each node its own");
        }
    }
}

/// Whether a certificate alone can show who this is.
fn judge_certificate(entry: &Entry, findings: &mut Findings) {
    if DnsName::try_from(&*entry.name).is_err() {
        let message = format!("`{}` can stand in no certificate, and there is no secret", entry.name);
        findings.error(&entry.at, message, "give it a name that is a DNS name, or add secret_files to [peers]");
    }
    if let Some((at, _)) = entry.url.as_ref().filter(|(_, url)| url.scheme() == "http") {
        let message = format!("`[peer.{}] url` is http, which has no certificates, and there is no secret", entry.name);
        findings.error(at, message, "write https, or add secret_files to [peers]");
    }
}
