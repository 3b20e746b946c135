//! `[server.tls]`: the certificate, and where which encrypted transport listens.
//!
//! The certificate and its key are read here, so that `checkconf` and a reload say what is wrong with them as they do of
//! every other setting.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::finding::{Findings, Place};
use super::section::{Section, address};
use crate::server::{Identity, IdentityError, TlsConfig};

pub(super) const CERT: &str = "write the path of a PEM file: the server's certificate, then those of its issuers";
pub(super) const KEY: &str = "write the path of a PEM file with the certificate's private key";
pub(super) const KEY_KINDS: &str = "write the path of a PEM file with a PKCS #8, PKCS #1 or SEC 1 key, RSA or ECDSA or Ed25519";
pub(super) const KEY_FITS: &str = "give the key that the certificate was made for; were both files replaced?";
/// Most octets of a certificate or key file: long chains have some tens of thousands.
const FILE_MAX: u64 = 1 << 20;

/// What the section says; `None` where it has no key. `plain` is what `[server] listen` names.
pub(super) fn check(mut section: Section<'_>, plain: &[SocketAddr]) -> Option<TlsConfig> {
    const PATH: &str = "write a path such as \"/dns-query\"";
    let [dot, doh, doq] = ["dot", "doh", "doq"].map(|key| addresses(&mut section, key));
    let at = [&dot, &doh, &doq].into_iter().flatten().map(|(at, _)| at.clone()).next();
    if let Some(at) = &at {
        section.require("cert", at, CERT);
        section.require("key", at, KEY);
    }
    let cert = section.path("cert", CERT).and_then(|(at, path)| file(&mut section, "cert", at, path, CERT));
    let key = section.path("key", KEY).and_then(|(at, path)| file(&mut section, "key", at, path, KEY));
    let doh_path = section.parsed("doh_path", PATH, |text| if is_path(text) { Ok(text.to_owned()) } else { Err("no path") });
    for (key, list, taken) in [
        ("dot", &dot, [plain].as_slice()),
        ("doh", &doh, &[plain, dot.as_ref().map_or(&[], |(_, dot)| dot.as_slice())]),
        ("doq", &doq, &[plain]),
    ] {
        not_twice(&mut section, key, list.as_ref(), taken);
    }
    if let (None, Some((at, _))) = (&at, cert.as_ref().or(key.as_ref())) {
        let remedy = "add dot = [\"192.0.2.1:853\"], doh = [\"192.0.2.1:443\"] or doq = [\"192.0.2.1:853\"]";
        section.findings.warning(at, "`[server.tls]` has a certificate and nothing that uses it", remedy);
    }
    let identity = cert.zip(key).and_then(|(cert, key)| identity(&cert, &key, section.findings));
    section.finish(&[]);
    at?;
    let [dot, doh, doq] = [dot, doh, doq].map(|list| list.map(|(_, list)| list).unwrap_or_default());
    let doh_path = doh_path.map_or_else(|| "/dns-query".into(), |(_, path)| path);
    Some(TlsConfig { identity: identity?, dot, doh, doq, doh_path })
}

/// Warns of a key that everyone may read.
pub(super) fn open_to_all(at: &Place, path: &Path, findings: &mut Findings) {
    if fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0) {
        let shown = path.display();
        findings.warning(at, format!("everyone on this host can read the key {shown}"), format!("chmod o-r {shown}"));
    }
}

fn addresses(section: &mut Section<'_>, key: &'static str) -> Option<(Place, Vec<SocketAddr>)> {
    const LISTEN: &str = "write addresses with ports, such as [\"192.0.2.1:853\", \"[2001:db8::1]:853\"]";
    section.list(key, LISTEN, address).filter(|(_, list)| !list.is_empty())
}

/// Complains of an address that another transport over the same protocol has.
fn not_twice(section: &mut Section<'_>, key: &str, list: Option<&(Place, Vec<SocketAddr>)>, taken: &[&[SocketAddr]]) {
    let Some((at, list)) = list else { return };
    for address in list.iter().filter(|address| address.port() != 0 && taken.iter().any(|taken| taken.contains(address))) {
        let message = format!("{} is {address}, where another transport listens", section.spell(key));
        section.findings.error(at, message, "give each transport a port of its own");
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#{}\"\\<>^`|".contains(&byte))
}

/// The file that `key` names, with the place that names it.
pub(super) fn file(
    section: &mut Section<'_>,
    key: &str,
    at: Place,
    path: Option<PathBuf>,
    remedy: &str,
) -> Option<(Place, PathBuf)> {
    if path.is_none() {
        section.findings.error(&at, format!("{} is empty", section.spell(key)), remedy);
    }
    Some((at, path?))
}

fn identity(cert: &(Place, PathBuf), key: &(Place, PathBuf), findings: &mut Findings) -> Option<Identity> {
    use IdentityError::{Certificate, Key, Mismatch};
    let ((cert_at, cert_path), (key_at, key_path)) = (cert, key);
    let certificates = read(cert_at, cert_path, "certificate", findings);
    let secret = read(key_at, key_path, "key", findings);
    if secret.is_some() {
        open_to_all(key_at, key_path, findings);
    }
    let error = match Identity::from_pem(&certificates?, &secret?) {
        Ok(identity) => return Some(identity),
        Err(error) => error,
    };
    let (at, path, remedy) = match &error {
        Certificate(_) => (cert_at, cert_path, CERT),
        Key(_) => (key_at, key_path, KEY_KINDS),
        Mismatch => (key_at, key_path, KEY_FITS),
    };
    findings.error(at, format!("{} cannot be used: {error}", path.display()), remedy);
    None
}

pub(super) fn read(at: &Place, path: &Path, what: &str, findings: &mut Findings) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut text)) {
        Ok(_) => Some(text),
        Err(error) => {
            let remedy = "the path is relative to the file that names it; leeward's user must be able to read it";
            findings.error(at, format!("cannot read the {what} {}: {error}", path.display()), remedy);
            None
        }
    }
}
