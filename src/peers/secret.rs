//! The secrets that two nodes share, and what is authenticated with them.
//!
//! HMAC-SHA-256 (RFC 2104, FIPS 180-4) over fields of which each has its length before it, so that no two messages are the same
//! octets; compared in constant time. A request's code covers the digest of its body, so it is judged before a single octet of
//! the body is read; a reply's covers the request's code, and with it everything that makes the request this one and no other.
//!
//! Messages are signed with the first secret, and any is accepted: to replace one without an outage, add the new one behind
//! the old on every node, then put it first on every node, then take the old one away.
//!
//! Where there is no secret, who speaks is known by the certificate alone. The code is made all the same, with a key that
//! everyone knows, and then only holds the message together with its session.

use std::fmt;
use std::sync::Arc;

use ring::hmac;
use sha2::{Digest, Sha256};

use super::session::Session;

/// Fewest octets of a secret: 128 bits.
pub const SECRET_MIN: usize = 16;
/// The key where there is no secret.
const KEYLESS: &[u8] = b"leeward peers: certificates alone";

/// An authentication code.
pub(super) type Mac = [u8; 32];

/// The secrets shared with a peer, the one that signs first. None: certificates alone.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    key: hmac::Key,
    digest: [u8; 32],
}

impl Key {
    fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), digest: Sha256::digest(secret).into() }
    }
}

impl Secrets {
    /// These, without the white space around each; `None`: one has fewer than [`SECRET_MIN`] octets.
    #[must_use]
    pub fn new<S: AsRef<str>>(texts: &[S]) -> Option<Self> {
        let trimmed = || texts.iter().map(|text| text.as_ref().trim().as_bytes());
        trimmed().all(|text| text.len() >= SECRET_MIN).then(|| Self(trimmed().map(Key::new).collect()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that signs.
    pub(super) fn first(&self) -> hmac::Key {
        self.0.first().map_or_else(|| Key::new(KEYLESS).key, |first| first.key.clone())
    }

    /// The key with which `text` has this code.
    pub(super) fn verify(&self, text: &[u8], mac: &Mac) -> Option<hmac::Key> {
        if self.is_empty() {
            return Some(self.first()).filter(|key| hmac::verify(key, text, mac).is_ok());
        }
        self.0.iter().find(|candidate| hmac::verify(&candidate.key, text, mac).is_ok()).map(|found| found.key.clone())
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(|key| key.digest).eq(other.0.iter().map(|key| key.digest))
    }
}

impl Eq for Secrets {}

impl fmt::Debug for Secrets {
    /// How many, and nothing of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// The code of `text` with `key`.
pub(super) fn sign(key: &hmac::Key, text: &[u8]) -> Mac {
    let mut mac = Mac::default();
    mac.copy_from_slice(hmac::sign(key, text).as_ref());
    mac
}

/// What of a body is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    /// Whether it is compressed.
    pub(super) gzip: bool,
    /// The digest of it as it is sent.
    pub(super) digest: [u8; 32],
}

impl Seal {
    pub(super) fn of(gzip: bool, octets: &[u8]) -> Self {
        Self { gzip, digest: Sha256::digest(octets).into() }
    }
}

/// What of a request is authenticated: all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// The session and the number in it; `None`: this is a hello.
    pub(super) place: Option<(Session, u64)>,
    pub(super) seal: Seal,
}

impl Asked<'_> {
    pub(super) fn text(&self) -> Vec<u8> {
        let place = self.place.map_or([0; 72], |(session, sequence)| {
            let mut octets = [0; 72];
            let numbers =
                [session.teller.incarnation.0, session.hearer.incarnation.0, session.teller.nonce.0, session.hearer.nonce.0];
            for (field, number) in octets.chunks_exact_mut(16).zip(numbers) {
                field.copy_from_slice(&number.to_be_bytes());
            }
            octets[64..].copy_from_slice(&sequence.to_be_bytes());
            octets
        });
        let place: &[u8] = if self.place.is_some() { &place } else { b"" };
        fields(&[
            b"leeward peers 1: request",
            b"POST",
            self.path.as_bytes(),
            self.from.as_bytes(),
            self.to.as_bytes(),
            place,
            &[u8::from(self.seal.gzip)],
            &self.seal.digest,
        ])
    }
}

/// What of a reply is authenticated: what it answers, and its body.
pub(super) fn reply_text(asked: &Mac, seal: &Seal) -> Vec<u8> {
    fields(&[b"leeward peers 1: reply", asked, &[u8::from(seal.gzip)], &seal.digest])
}

/// The fields, each after its length in eight octets.
fn fields(fields: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::with_capacity(fields.iter().map(|field| 8 + field.len()).sum());
    for field in fields {
        text.extend_from_slice(&(field.len() as u64).to_be_bytes());
        text.extend_from_slice(field);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::session::{End, Nonce};
    use super::*;
    use crate::health::Incarnation;

    const OLD: &str = "the old secret of the fleet";
    const NEW: &str = "the new secret of the fleet";

    #[test]
    fn secrets_are_long_enough_and_never_shown() {
        assert_eq!(Secrets::new(&["0123456789abcde"]), None);
        let secrets = Secrets::new(&[" 0123456789abcdef\n"]).expect("long enough");
        assert_eq!(secrets, Secrets::new(&["0123456789abcdef"]).expect("long enough"));
        assert_ne!(secrets, Secrets::default());
        assert_eq!(format!("{secrets:?}"), "Secrets(1)");
    }

    #[test]
    fn any_secret_is_accepted_and_the_first_signs() {
        let [old, new, both] = [&[OLD][..], &[NEW], &[NEW, OLD]].map(|texts| Secrets::new(texts).expect("long enough"));
        for (signs, hears, expected) in [
            (&old, &both, true),
            (&both, &new, true),
            (&both, &old, false),
            (&old, &new, false),
            (&Secrets::default(), &new, false),
        ] {
            let mac = sign(&signs.first(), b"text");
            assert_eq!(hears.verify(b"text", &mac).is_some(), expected, "{signs:?} {hears:?}");
            assert!(hears.verify(b"other", &mac).is_none());
        }
        let none = Secrets::default();
        assert!(none.verify(b"text", &sign(&none.first(), b"text")).is_some());
    }

    #[test]
    fn every_field_is_covered_and_none_runs_into_the_next() {
        let end = |number: u128| End { incarnation: Incarnation(number), nonce: Nonce(number + 1) };
        let session = Session { teller: end(1), hearer: end(3) };
        let base =
            Asked { path: "/p", from: "ab", to: "c", place: Some((session, 1)), seal: Seal { gzip: false, digest: [0; 32] } };
        let with = |teller, hearer| Some((Session { teller, hearer }, 1));
        let variants = [
            base,
            Asked { path: "/q", ..base },
            Asked { from: "a", to: "bc", ..base },
            Asked { from: "c", to: "ab", ..base },
            Asked { place: None, ..base },
            Asked { place: Some((session, 2)), ..base },
            Asked { place: with(end(3), end(1)), ..base },
            Asked { place: with(End { nonce: Nonce(9), ..end(1) }, end(3)), ..base },
            Asked { place: with(End { incarnation: Incarnation(9), ..end(1) }, end(3)), ..base },
            Asked { place: with(end(1), End { nonce: Nonce(9), ..end(3) }), ..base },
            Asked { place: with(end(1), End { incarnation: Incarnation(9), ..end(3) }), ..base },
            Asked { seal: Seal { gzip: true, ..base.seal }, ..base },
            Asked { seal: Seal { digest: [1; 32], ..base.seal }, ..base },
        ];
        let texts: HashSet<_> = variants.iter().map(Asked::text).collect();
        assert_eq!(texts.len(), variants.len());
        assert_ne!(reply_text(&[0; 32], &base.seal), reply_text(&[1; 32], &base.seal));
    }
}
