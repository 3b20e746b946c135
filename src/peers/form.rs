//! The forms of messages: JSON, compressed where that pays.
//!
//! | message | form |
//! | --- | --- |
//! | hello | `{"versions": [1], "incarnation": I, "nonce": I, "facts": {...}}` |
//! | its reply | `{"version": 1, "incarnation": I, "nonce": I, "facts": {...}}` |
//! | bulletin | `{"base": n, "version": n, "digest": D, "blind": true, "entries": [[I, "up", ms], ...]}` |
//! | its reply | `{"have": n}` |
//!
//! `I` is 128 bits in 32 hexadecimal digits, `D` 64 bits in 16. What is absent, false or empty is left out, so a heartbeat is
//! some sixty octets. An entry is a list, for there may be tens of thousands; the word is `null` where the target is probed no
//! longer. Fields that are not known are passed over: they are a later release's.
//!
//! A body longer than [`PLAIN_MAX`] is compressed (gzip, RFC 1952). However short it is sent, no more than [`UNPACKED_MAX`]
//! octets of it are unpacked.
//!
//! Never here: whether a message is authentic, which is known before any of it is read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::session::{End, Nonce};
use super::{MANY, Refusal};
use crate::health::{Bulletin, Entry, Incarnation, Receipt, Word};
use crate::target::CheckKey;

/// The versions of the protocol that this release speaks, the best first.
pub const VERSIONS: [u32; 1] = [1];
/// Most entries of one bulletin: what is more goes into the next, as the bulletin without a digest says.
pub const ENTRIES_MAX: usize = 50_000;
/// Most octets of a body as it is sent: twice what [`ENTRIES_MAX`] entries take.
pub(super) const BODY_MAX: usize = 2 << 20;
/// Most octets of a hello, and of its reply: one of yesterday is authentic enough to be read.
pub(super) const HELLO_MAX: usize = 256 << 10;
/// Most octets of a body unpacked.
pub(super) const UNPACKED_MAX: usize = 4 << 20;
/// Octets up to which a body is sent as it is.
pub(super) const PLAIN_MAX: usize = 512;

/// A body as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) gzip: bool,
    pub(super) octets: Vec<u8>,
}

/// What a node states of itself when a session begins. Where there are so many zones and checks that they take more than 256 KiB
/// compressed (some ten thousand), none of them is stated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Where it stands: `[node] region`.
    #[serde(default)]
    pub region: Box<str>,
    /// What it runs: `0.1.0`.
    #[serde(default)]
    pub release: Box<str>,
    /// What it serves, by apex.
    #[serde(default)]
    pub zones: BTreeMap<Box<str>, ZoneFacts>,
    /// Digests of its checks' definitions, by name.
    #[serde(default)]
    pub checks: BTreeMap<Box<str>, Digest>,
}

impl Facts {
    /// Whether it takes a while to write or read them.
    pub(super) fn is_long(&self) -> bool {
        self.zones.len() + self.checks.len() > MANY
    }
}

/// What a node serves of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneFacts {
    /// Its serial.
    pub serial: u32,
    /// Of what is in it.
    pub digest: Digest,
}

/// 64 bits by which two things show to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub u64);

/// A hello, or the reply to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) end: End,
    pub(super) facts: Facts,
}

/// A hello, for [`VERSIONS`].
pub(super) fn hello(greeting: &Greeting) -> Packed {
    let (incarnation, nonce) = (Hex(greeting.end.incarnation.0), Hex(greeting.end.nonce.0));
    pack_facts(&greeting.facts, |facts| HelloForm { versions: VERSIONS.into(), incarnation, nonce, facts })
}

/// What a hello says, and the version that both speak.
pub(super) fn read_hello(gzip: bool, octets: &[u8]) -> Result<(u32, Greeting), Refusal> {
    let HelloForm { versions, incarnation, nonce, facts } = unpack(gzip, octets)?;
    let version = VERSIONS.into_iter().find(|version| versions.contains(version)).ok_or(Refusal::Version)?;
    Ok((version, Greeting { end: end(incarnation, nonce), facts: facts.into_owned() }))
}

/// The reply to a hello.
pub(super) fn welcome(version: u32, greeting: &Greeting) -> Packed {
    let (incarnation, nonce) = (Hex(greeting.end.incarnation.0), Hex(greeting.end.nonce.0));
    pack_facts(&greeting.facts, |facts| WelcomeForm { version, incarnation, nonce, facts })
}

/// What the reply to a hello says.
pub(super) fn read_welcome(gzip: bool, octets: &[u8]) -> Result<Greeting, Refusal> {
    let WelcomeForm { version, incarnation, nonce, facts } = unpack(gzip, octets)?;
    if !VERSIONS.contains(&version) {
        return Err(Refusal::Version);
    }
    Ok(Greeting { end: end(incarnation, nonce), facts: facts.into_owned() })
}

const fn end(incarnation: Hex, nonce: Hex) -> End {
    End { incarnation: Incarnation(incarnation.0), nonce: Nonce(nonce.0) }
}

/// A bulletin, without its incarnation, which is the session's. `None`: it is longer than may be.
pub(super) fn bulletin(bulletin: &Bulletin) -> Option<Packed> {
    let Bulletin { incarnation: _, base, version, entries, digest, blind } = bulletin;
    let entries: Vec<_> = entries.iter().map(EntryForm::of).collect();
    let form = BulletinForm { base: *base, version: *version, digest: digest.map(Digest), blind: *blind, entries };
    (form.entries.len() <= ENTRIES_MAX).then(|| pack_within(&form, BODY_MAX))?
}

/// What a bulletin says, of a node in this life.
pub(super) fn read_bulletin(incarnation: Incarnation, gzip: bool, octets: &[u8]) -> Result<Bulletin, Refusal> {
    let BulletinForm { base, version, digest, blind, entries } = unpack(gzip, octets)?;
    if entries.len() > ENTRIES_MAX {
        return Err(Refusal::Oversized);
    }
    let entries = entries.into_iter().map(EntryForm::entry).collect();
    Ok(Bulletin { incarnation, base, version, entries, digest: digest.map(|digest| digest.0), blind })
}

/// What the hearer of a bulletin has.
pub(super) fn receipt(receipt: Receipt) -> Packed {
    pack_within(&ReceiptForm { have: receipt.have }, BODY_MAX).unwrap_or_default()
}

/// What the hearer of a bulletin says that it has.
pub(super) fn read_receipt(gzip: bool, octets: &[u8]) -> Result<Receipt, Refusal> {
    unpack(gzip, octets).map(|ReceiptForm { have }| Receipt { have })
}

/// Reads what a stranger might send as any of the messages: it never panics, and what is understood says the same when it is
/// written again. For the fuzz target and the property.
///
/// # Panics
/// Where that does not hold.
pub fn holds(octets: &[u8]) {
    for gzip in [false, true] {
        if let Ok((_, said)) = read_hello(gzip, octets) {
            let again = hello(&said);
            assert_eq!(read_hello(again.gzip, &again.octets), Ok((VERSIONS[0], said)));
        }
        if let Ok(said) = read_welcome(gzip, octets) {
            let again = welcome(VERSIONS[0], &said);
            assert_eq!(read_welcome(again.gzip, &again.octets), Ok(said));
        }
        if let Ok(said) = read_bulletin(Incarnation(1), gzip, octets)
            && let Some(again) = bulletin(&said)
        {
            assert_eq!(read_bulletin(Incarnation(1), again.gzip, &again.octets), Ok(said));
        }
        if let Ok(said) = read_receipt(gzip, octets) {
            let again = receipt(said);
            assert_eq!(read_receipt(again.gzip, &again.octets), Ok(said));
        }
    }
}

// -------- forms

#[derive(Serialize, Deserialize)]
struct HelloForm<'a> {
    versions: Vec<u32>,
    incarnation: Hex,
    nonce: Hex,
    #[serde(default)]
    facts: Cow<'a, Facts>,
}

#[derive(Serialize, Deserialize)]
struct WelcomeForm<'a> {
    version: u32,
    incarnation: Hex,
    nonce: Hex,
    #[serde(default)]
    facts: Cow<'a, Facts>,
}

#[derive(Serialize, Deserialize)]
struct BulletinForm {
    base: u64,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "is_false")]
    blind: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entries: Vec<EntryForm>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Key, word, age in milliseconds.
#[derive(Serialize, Deserialize)]
struct EntryForm(Hex, Option<WordForm>, u64);

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WordForm {
    Up,
    Down,
    NoWord,
}

impl EntryForm {
    fn of(entry: &Entry) -> Self {
        let word = entry.word.map(|word| match word {
            Word::Up => WordForm::Up,
            Word::Down => WordForm::Down,
            Word::NoWord => WordForm::NoWord,
        });
        Self(Hex(entry.key.0), word, u64::try_from(entry.age.as_millis()).unwrap_or(u64::MAX))
    }

    fn entry(self) -> Entry {
        let Self(key, word, age) = self;
        let word = word.map(|word| match word {
            WordForm::Up => Word::Up,
            WordForm::Down => Word::Down,
            WordForm::NoWord => Word::NoWord,
        });
        Entry { key: CheckKey(key.0), word, age: Duration::from_millis(age) }
    }
}

#[derive(Serialize, Deserialize)]
struct ReceiptForm {
    have: u64,
}

/// 128 bits in 32 hexadecimal digits.
#[derive(Clone, Copy)]
struct Hex(u128);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Digits::<32>).map(Self)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_str(Digits::<16>)?;
        u64::try_from(number).map(Self).map_err(D::Error::custom)
    }
}

/// So many hexadecimal digits, lower case.
struct Digits<const N: usize>;

impl<const N: usize> Visitor<'_> for Digits<N> {
    type Value = u128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} hexadecimal digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u128, E> {
        number(text, N).ok_or_else(|| E::custom("no such digits"))
    }
}

/// A number in so many hexadecimal digits, lower case.
pub(super) fn number(text: &str, digits: usize) -> Option<u128> {
    let sound = text.len() == digits && text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(text, 16).ok().filter(|_| sound)
}

// -------- octets

/// A message with these facts, or with what is left of them where it would be too long.
fn pack_facts<'f, T: Serialize>(facts: &'f Facts, form: impl Fn(Cow<'f, Facts>) -> T) -> Packed {
    let brief = || Facts { zones: BTreeMap::new(), checks: BTreeMap::new(), ..facts.clone() };
    let whole = pack_within(&form(Cow::Borrowed(facts)), HELLO_MAX);
    whole.or_else(|| pack_within(&form(Cow::Owned(brief())), HELLO_MAX)).unwrap_or_default()
}

/// A form as it is sent; `None`: longer than `most`, or than what may be unpacked.
fn pack_within(form: &impl Serialize, most: usize) -> Option<Packed> {
    // These forms are maps with keys of text, which JSON can always say, and memory takes every octet.
    let plain = serde_json::to_vec(form).unwrap_or_default();
    let fits = plain.len() <= UNPACKED_MAX;
    let packed = match plain.len() > PLAIN_MAX {
        true if fits => Packed { gzip: true, octets: compressed(&plain) },
        _ => Packed { gzip: false, octets: plain },
    };
    (fits && packed.octets.len() <= most).then_some(packed)
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::default());
    encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn unpack<T: DeserializeOwned>(gzip: bool, octets: &[u8]) -> Result<T, Refusal> {
    let plain = if gzip { Cow::Owned(unpacked(octets)?) } else { Cow::Borrowed(octets) };
    serde_json::from_slice(&plain).map_err(|_| Refusal::Malformed)
}

/// The only member of a gzip file, up to [`UNPACKED_MAX`].
fn unpacked(octets: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(octets);
    let read = decoder.by_ref().take(UNPACKED_MAX as u64 + 1).read_to_end(&mut plain);
    match read {
        Ok(length) if length > UNPACKED_MAX => Err(Refusal::Oversized),
        Ok(_) if decoder.into_inner().is_empty() => Ok(plain),
        Ok(_) | Err(_) => Err(Refusal::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFE: Incarnation = Incarnation(7);

    fn entry(key: u128, word: Option<Word>, age: u64) -> Entry {
        Entry { key: CheckKey(key), word, age: Duration::from_millis(age) }
    }

    fn any_bulletin() -> impl Strategy<Value = Bulletin> {
        let word = prop::option::of(prop::sample::select(&[Word::Up, Word::Down, Word::NoWord][..]));
        let entries = prop::collection::vec((any::<u128>(), word, any::<u64>()), 0..40);
        (any::<(u64, u64, Option<u64>, bool)>(), entries).prop_map(|((base, version, digest, blind), entries)| {
            let entries = entries.into_iter().map(|(key, word, age)| entry(key, word, age)).collect();
            Bulletin { incarnation: LIFE, base, version, entries, digest, blind }
        })
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let text = "[a-z0-9.-]{0,12}";
        let zone = any::<(u32, u64)>().prop_map(|(serial, digest)| ZoneFacts { serial, digest: Digest(digest) });
        let zones = prop::collection::btree_map(text.prop_map(Box::from), zone, 0..5);
        let checks = prop::collection::btree_map(text.prop_map(Box::from), any::<u64>().prop_map(Digest), 0..5);
        (text, text, zones, checks).prop_map(|(region, release, zones, checks)| Facts {
            region: region.into(),
            release: release.into(),
            zones,
            checks,
        })
    }

    proptest! {
        #[test]
        fn bulletins_come_back(said in any_bulletin()) {
            let packed = bulletin(&said).expect("not too long");
            prop_assert_eq!(read_bulletin(LIFE, packed.gzip, &packed.octets), Ok(said));
        }

        #[test]
        fn greetings_come_back((facts, incarnation, nonce) in (any_facts(), any::<u128>(), any::<u128>())) {
            let said = Greeting { end: end(Hex(incarnation), Hex(nonce)), facts };
            let packed = hello(&said);
            prop_assert_eq!(read_hello(packed.gzip, &packed.octets), Ok((1, said.clone())));
            let packed = welcome(1, &said);
            prop_assert_eq!(read_welcome(packed.gzip, &packed.octets), Ok(said));
        }

        /// Whatever octets come: they are refused, or say something that can be said again.
        #[test]
        fn any_octets_are_refused_or_understood(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            holds(&octets);
        }

        /// The same of messages with octets changed, where more is understood.
        #[test]
        fn any_damage_is_refused_or_understood(
            (said, cut, changes) in (any_bulletin(), any::<prop::sample::Index>(), prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4))
        ) {
            let mut octets = bulletin(&said).expect("not too long").octets;
            for (at, octet) in changes {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
            holds(&octets);
            octets.truncate(cut.index(octets.len() + 1));
            holds(&octets);
        }
    }

    #[test]
    fn a_heartbeat_and_a_snapshot_are_small() {
        let heartbeat =
            Bulletin { incarnation: LIFE, base: u64::MAX, version: u64::MAX, entries: Vec::new(), digest: Some(7), blind: true };
        let packed = bulletin(&heartbeat).expect("not too long");
        println!("heartbeat: {} octets: {}", packed.octets.len(), String::from_utf8_lossy(&packed.octets));
        assert!(packed.octets.len() <= 200);
        assert!(receipt(Receipt { have: u64::MAX }).octets.len() <= 50);
        let mut random = fastrand::Rng::with_seed(7);
        for (count, most) in [(10_000, 300_000), (ENTRIES_MAX, BODY_MAX)] {
            let word = |random: &mut fastrand::Rng| [Word::Up, Word::Up, Word::Down, Word::NoWord][random.usize(..4)];
            let entries =
                (0..count).map(|_| entry(random.u128(..), Some(word(&mut random)), random.u64(..1_000_000_000))).collect();
            let snapshot = Bulletin { base: 0, entries, ..heartbeat.clone() };
            let packed = bulletin(&snapshot).expect("not too long");
            println!("{count} entries: {} octets", packed.octets.len());
            assert!(packed.octets.len() <= most, "{}", packed.octets.len());
            assert_eq!(read_bulletin(LIFE, true, &packed.octets), Ok(snapshot));
        }
        let entries = vec![entry(1, None, 0); ENTRIES_MAX + 1];
        assert_eq!(bulletin(&Bulletin { entries, ..heartbeat }), None);
    }

    #[test]
    fn facts_that_are_too_many_are_left_out() {
        let name = |number: u64| (format!("check-{number:06}").into(), Digest(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let facts = |count| Facts { region: "eu".into(), checks: (0..count).map(name).collect(), ..Facts::default() };
        let said = |count| Greeting { end: end(Hex(1), Hex(2)), facts: facts(count) };
        for (count, expected) in [(10_000, facts(10_000)), (40_000, facts(0)), (400_000, facts(0))] {
            let [asks, answers] = [hello(&said(count)), welcome(1, &said(count))];
            println!("{count} checks: {} octets", asks.octets.len());
            assert!(asks.octets.len() <= HELLO_MAX && answers.octets.len() <= HELLO_MAX);
            let read = read_hello(asks.gzip, &asks.octets).expect("good");
            assert_eq!((read.1.facts, read.1.end), (expected.clone(), end(Hex(1), Hex(2))));
            assert_eq!(read_welcome(answers.gzip, &answers.octets).expect("good").facts, expected);
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_wrong_is_not() {
        let read = |text: &str| read_bulletin(LIFE, false, text.as_bytes());
        let key = "0".repeat(31) + "1";
        let said = read(&format!("{{\"base\":1,\"version\":2,\"later\":{{}},\"entries\":[[\"{key}\",\"no_word\",5]]}}"));
        assert_eq!(said.map(|said| said.entries), Ok(vec![entry(1, Some(Word::NoWord), 5)]));
        for wrong in [
            "",
            "{}",
            "[]",
            "{\"base\":-1,\"version\":2}",
            "{\"base\":1,\"version\":2}}",
            "{\"base\":1,\"version\":2,\"digest\":\"1\"}",
            "{\"base\":1,\"version\":2,\"digest\":\"+00000000000000f\"}",
            "{\"base\":1,\"version\":2,\"entries\":[[\"1\",\"up\",5]]}",
            "{\"base\":1,\"version\":18446744073709551616}",
        ] {
            assert_eq!(read(wrong), Err(Refusal::Malformed), "{wrong}");
        }
        for bad in [format!("[\"{key}\",\"UP\",5]"), format!("[\"{key}\",\"up\"]"), format!("[\"{key}\",\"up\",1.5]")] {
            assert_eq!(read(&format!("{{\"base\":1,\"version\":2,\"entries\":[{bad}]}}")), Err(Refusal::Malformed), "{bad}");
        }
        assert_eq!(read_hello(false, b"{\"versions\":[2,3],\"incarnation\":\"00000000000000000000000000000001\",\"nonce\":\"00000000000000000000000000000001\"}"), Err(Refusal::Version));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = compressed(&vec![b' '; UNPACKED_MAX + 1]);
        assert!(bomb.len() < 64 << 10);
        assert_eq!(read_receipt(true, &bomb), Err(Refusal::Oversized));
        let mut full = vec![b' '; UNPACKED_MAX - 10];
        full.extend_from_slice(b"{\"have\":7}");
        assert_eq!(read_receipt(true, &compressed(&full)), Ok(Receipt { have: 7 }));
        let mut more = compressed(b"{\"have\":7}");
        assert_eq!(read_receipt(true, &more[..more.len() - 1]), Err(Refusal::Malformed));
        more.push(0);
        assert_eq!(read_receipt(true, &more), Err(Refusal::Malformed), "nothing comes after it");
    }
}
