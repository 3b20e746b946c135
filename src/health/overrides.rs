//! An operator's word over what was measured.
//!
//! | state | a check that it is about counts as | meanwhile |
//! | --- | --- | --- |
//! | [`State::Down`] | down, forced: not even a fallback names its target | it is probed, and what is measured is kept beneath |
//! | [`State::Up`] | up, forced | the same |
//! | [`State::Drain`] | what was measured, and its target gets no new clients | the same |
//! | [`State::Frozen`] | what was believed of it when that was said | the same |
//!
//! Of a site and a pool's member the same is said of what its addresses count as in pools; a pool and a zone
//! can be frozen, like the node.
//!
//! A word is about one [`Subject`]. Of several that say up or down about one check the narrowest counts: the check, then the
//! target with its port, then the address, then the member, then its site. A drain holds whoever says it. Nothing measured is ever changed by a word, so
//! when it ends the answer is at once what the probes say.
//!
//! A word is said by an operator, who calls, or by the overrides file, in which it stands. What an operator says lies over the
//! file's word about the same subject, and when it ends that one counts again: a call is for the hour, the file for the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::target::{Basis, CheckKey, CheckSpec, Status, Value};

use super::moment::Moment;

/// What an operator says something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// One probe, with every judgement of it.
    Check(CheckKey),
    /// Every check of an address, or of one of its ports.
    Target(IpAddr, Option<u16>),
    /// A member of a pool: the pool, and the member.
    Member(Label, Label),
    /// Every member of any pool at a site.
    Site(Label),
    /// What a pool's members count as.
    Pool(Label),
    /// The answers of a zone.
    Zone(Apex),
    /// All that this node measures.
    Node,
}

/// A name that the configuration gives.
pub type Label = Text<63>;
/// The name of a zone, in lower case and without the last dot. Longer ones, which nobody has, cannot be spoken of: with them every
/// subject would be as long.
pub type Apex = Text<127>;

/// A short text. A copy costs less than a counted reference would where it is compared, and leaves subjects plain values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize> {
    /// Zeros behind the end.
    octets: [u8; MAX],
    len: u8,
}

impl<const MAX: usize> Text<MAX> {
    /// That text, of at least one and at most `MAX` octets, of which each may be in it.
    fn of(text: &str, may: impl Fn(u8) -> bool) -> Option<Self> {
        let len = u8::try_from(text.len()).ok()?;
        let mut octets = [0; MAX];
        octets.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        (len > 0 && text.bytes().all(may)).then_some(Self { octets, len })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.octets[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl Apex {
    /// That name; `None`: none that a zone can be called by here.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(text);
        Self::of(&text.to_ascii_lowercase(), |octet| octet.is_ascii_graphic())
    }
}

impl Label {
    /// That name; `None`: none that the configuration can give.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Self::of(text, |octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// What [`Subject::Node`] is called: there is one.
const THIS: &str = "this";

/// How subjects are written, for messages.
pub const SUBJECTS: &str = "check/<key>, target/<address>, target/<address>:<port>, site/<name>, member/<pool>/<name>, \
    pool/<name>, zone/<name> or node/this";

impl Subject {
    /// What it is one of: the first part of how it is written.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Target(..) => "target",
            Self::Member(..) => "member",
            Self::Site(_) => "site",
            Self::Pool(_) => "pool",
            Self::Zone(_) => "zone",
            Self::Node => "node",
        }
    }

    /// Which one: the second part.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Check(key) => key.to_string(),
            Self::Target(address, None) => address.to_string(),
            Self::Target(address, Some(port)) => SocketAddr::new(address, port).to_string(),
            Self::Member(pool, member) => format!("{}/{}", pool.as_str(), member.as_str()),
            Self::Site(name) | Self::Pool(name) => name.as_str().to_owned(),
            Self::Zone(apex) => apex.as_str().to_owned(),
            Self::Node => THIS.to_owned(),
        }
    }

    /// The subject of that kind and name; `None`: there can be none.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "check" if name.len() == 32 && name.bytes().all(|octet| octet.is_ascii_hexdigit()) => {
                u128::from_str_radix(name, 16).ok().map(|key| Self::Check(CheckKey(key)))
            }
            "target" => {
                let address = name.trim_start_matches('[').trim_end_matches(']').parse().ok().map(|address| (address, None));
                let socket = || name.parse().ok().map(|to: SocketAddr| (to.ip(), Some(to.port())));
                address.or_else(socket).map(|(address, port)| Self::Target(address, port))
            }
            "member" => name.split_once('/').and_then(|(pool, member)| Self::member(pool, member)),
            "site" => Self::site(name),
            "pool" => Self::pool(name),
            "zone" => Apex::new(name).map(Self::Zone),
            "node" => (name == THIS).then_some(Self::Node),
            _ => None,
        }
    }

    /// A member of a pool.
    #[must_use]
    pub fn member(pool: &str, member: &str) -> Option<Self> {
        Some(Self::Member(Label::new(pool)?, Label::new(member)?))
    }

    /// A site.
    #[must_use]
    pub fn site(name: &str) -> Option<Self> {
        Label::new(name).map(Self::Site)
    }

    /// A pool.
    #[must_use]
    pub fn pool(name: &str) -> Option<Self> {
        Label::new(name).map(Self::Pool)
    }

    /// Whether it is about that check.
    #[must_use]
    pub fn covers(self, key: CheckKey, spec: &CheckSpec) -> bool {
        match self {
            Self::Check(about) => about == key,
            Self::Target(address, port) => spec.named_address() == Some(address) && port.is_none_or(|port| port == spec.port),
            Self::Member(..) | Self::Site(_) | Self::Pool(_) | Self::Zone(_) => false,
            Self::Node => true,
        }
    }

    /// Whether it can be about checks by themselves: nothing else is looked for among them.
    #[must_use]
    pub const fn is_of_probes(self) -> bool {
        match self {
            Self::Check(_) | Self::Target(..) | Self::Node => true,
            Self::Member(..) | Self::Site(_) | Self::Pool(_) | Self::Zone(_) => false,
        }
    }

    /// Whether that may be said about it.
    #[must_use]
    pub fn takes(self, state: State) -> bool {
        matches!(self, Self::Node | Self::Pool(_) | Self::Zone(_)) == (state == State::Frozen)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name())
    }
}

impl FromStr for Subject {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, name) = text.split_once('/').ok_or(())?;
        Self::new(kind, name).ok_or(())
    }
}

/// What an operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It is down.
    Down,
    /// It is up.
    Up,
    /// It is to get no new clients.
    Drain,
    /// Nothing that is measured is to change an answer.
    Frozen,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Down, Self::Up, Self::Drain, Self::Frozen];

    /// `down`, `up`, `drain` or `frozen`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Drain => "drain",
            Self::Frozen => "frozen",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

/// Who keeps a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We do, until it is taken back: an operator called.
    Operator,
    /// The overrides file: it holds as long as it stands there.
    File,
}

/// An operator's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Who keeps it.
    pub origin: Origin,
    /// What it is about.
    pub subject: Subject,
    /// What it says.
    pub state: State,
    /// When it ends; `None`: when it is taken back.
    pub until: Option<Moment>,
    /// The same on the wall clock, in milliseconds since 1970: what outlives the process.
    pub expires: Option<u64>,
    /// When it was said, likewise.
    pub since: u64,
    /// Who said it; of a file's word, the file and the line.
    pub by: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// Which word this is, of all that this node was ever told: two are never the same. 0 for a file's, which may change
    /// there without our being told.
    pub version: u64,
}

impl Override {
    /// Whether both say the same, wherever they stand and whenever they were said.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let said = |word: &Self| (word.origin, word.subject, word.state, word.expires);
        said(self) == said(other) && self.reason == other.reason
    }
}

/// What a word of the overrides file is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// As an operator would call it.
    Subject(Subject),
    /// Every check of that name in the configuration whose target that is. Which those are, the zones decide.
    Named {
        /// The name.
        check: Box<str>,
        /// An address, or an address and a port.
        target: Box<str>,
    },
}

impl About {
    /// Whether that may be said about it.
    #[must_use]
    pub fn takes(&self, state: State) -> bool {
        match self {
            Self::Subject(subject) => subject.takes(state),
            Self::Named { .. } => state != State::Frozen,
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => subject.fmt(f),
            Self::Named { check, target } => write!(f, "check/{check}@{target}"),
        }
    }
}

impl FromStr for About {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.strip_prefix("check/").and_then(|name| name.split_once('@')) {
            Some((check, target)) if Label::new(check).is_some() && !target.is_empty() => {
                Ok(Self::Named { check: check.into(), target: target.into() })
            }
            Some(_) => Err(()),
            None => text.parse().map(Self::Subject),
        }
    }
}

/// A word as it stands in the overrides file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWord {
    /// What it is about.
    pub about: About,
    /// What it says.
    pub state: State,
    /// When it ends on the wall clock, in milliseconds since 1970; `None`: when it no longer stands there.
    pub expires: Option<u64>,
    /// Why.
    pub reason: Box<str>,
    /// Where it stands, `file:line:column`.
    pub place: Box<str>,
    /// It holds although an answer is left without a target.
    pub accept_empty: bool,
    /// It holds although nothing is there yet.
    pub accept_unknown: bool,
}

impl FileWord {
    /// The same as a word about `subject`, in force from `since` on.
    #[must_use]
    pub fn about(&self, subject: Subject, until: Option<Moment>, since: u64) -> Override {
        let Self { state, expires, reason, place, .. } = self;
        let by = format!("file {place}").into();
        let (origin, reason) = (Origin::File, reason.clone());
        Override { origin, subject, state: *state, until, expires: *expires, since, by, reason, version: 0 }
    }
}

/// The words of operators and of the overrides file. Of two about the same subject the operator's is in force.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    said: BTreeMap<Subject, Override>,
    filed: BTreeMap<Subject, Override>,
}

impl Overrides {
    /// What counts of a check of which `measured` was measured.
    #[must_use]
    pub fn overlay(&self, key: CheckKey, spec: &CheckSpec, measured: Status) -> Status {
        let address = spec.named_address();
        let target = |port| address.map(|address| Subject::Target(address, port));
        let subjects = [Some(Subject::Check(key)), target(Some(spec.port)), target(None)];
        self.over(&subjects, measured)
    }

    /// What counts of something that `subjects` are about, the narrowest first, and that would count as `status` without them.
    /// One that is forced already keeps its value: that was said of less.
    #[must_use]
    pub fn over(&self, subjects: &[Option<Subject>], status: Status) -> Status {
        let states = || subjects.iter().flatten().filter_map(|subject| Some(self.get(*subject)?.state));
        let value = states().find_map(|state| match state {
            State::Down => Some(Value::Down),
            State::Up => Some(Value::Up),
            State::Drain | State::Frozen => None,
        });
        let drain = status.drain || states().any(|state| state == State::Drain);
        match value.filter(|_| status.basis != Basis::Forced) {
            Some(value) => {
                let reported = if value == Value::Up { status.reported } else { 0 };
                Status { value, basis: Basis::Forced, drain, reported, earliest_change: u32::MAX, doubt: false, ..status }
            }
            None => Status { drain, ..status },
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.filed.is_empty()
    }

    /// The word about `subject` that is in force.
    #[must_use]
    pub fn get(&self, subject: Subject) -> Option<&Override> {
        self.said(subject).or_else(|| self.filed.get(&subject))
    }

    /// What an operator has said about it.
    #[must_use]
    pub fn said(&self, subject: Subject) -> Option<&Override> {
        self.said.get(&subject)
    }

    /// All words that are in force, by subject.
    pub fn iter(&self) -> impl Iterator<Item = &Override> {
        let subjects: BTreeSet<Subject> = self.said.keys().chain(self.filed.keys()).copied().collect();
        subjects.into_iter().filter_map(|subject| self.get(subject))
    }

    /// The words of the file.
    pub fn filed(&self) -> impl Iterator<Item = &Override> {
        self.filed.values()
    }

    /// The words of the file over which an operator has said something else.
    pub fn beneath(&self) -> impl Iterator<Item = &Override> {
        self.filed.values().filter(|word| self.said.contains_key(&word.subject))
    }

    /// Whether nothing that is measured may change an answer.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.get(Subject::Node).is_some()
    }

    /// Puts a word in force, in place of another of the same origin about the same.
    pub fn set(&mut self, word: Override) {
        let words = self.of(word.origin);
        words.insert(word.subject, word);
    }

    /// The same with an operator's word about `subject` in force, or none.
    #[must_use]
    pub fn with(&self, subject: Subject, word: Option<&Override>) -> Self {
        let mut next = self.clone();
        match word {
            Some(word) => next.set(word.clone()),
            None => _ = next.remove(subject, Origin::Operator),
        }
        next
    }

    /// Takes a word back.
    pub fn remove(&mut self, subject: Subject, origin: Origin) -> Option<Override> {
        self.of(origin).remove(&subject)
    }

    fn of(&mut self, origin: Origin) -> &mut BTreeMap<Subject, Override> {
        match origin {
            Origin::Operator => &mut self.said,
            Origin::File => &mut self.filed,
        }
    }

    /// The words whose time is over by `now`.
    pub fn ended(&self, now: Moment) -> impl Iterator<Item = &Override> {
        let all = self.said.values().chain(self.filed.values());
        all.filter(move |word| word.until.is_some_and(|until| until <= now))
    }

    /// When the next one ends.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Moment> {
        self.said.values().chain(self.filed.values()).filter_map(|word| word.until).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::target::CheckKind;

    const UP: Status = Status { value: Value::Up, basis: Basis::Measured, ..Status::NEVER };
    const DOWN: Status = Status { value: Value::Down, basis: Basis::Measured, ..Status::NEVER };

    fn spec(port: u16) -> CheckSpec {
        let address = Some("192.0.2.1".parse().unwrap());
        CheckSpec { address, port, source: None, kind: CheckKind::Tcp, timeout: Duration::from_secs(2) }
    }

    fn words(of: &[(&str, State)]) -> Overrides {
        let mut words = Overrides::default();
        for &(subject, state) in of {
            let subject = subject.parse().expect(subject);
            let (by, reason) = ("me".into(), "test".into());
            words.set(Override {
                origin: Origin::Operator,
                subject,
                state,
                until: None,
                expires: None,
                since: 0,
                by,
                reason,
                version: 1,
            });
        }
        words
    }

    #[test]
    fn subjects_are_written_as_they_are_read() {
        let key = spec(80).key().to_string();
        let targets = ["target/192.0.2.1", "target/192.0.2.1:443", "target/2001:db8::1", "target/[2001:db8::1]:443"];
        for text in targets.into_iter().chain([
            "site/eu-1",
            "member/web/eu-1",
            "pool/web",
            "zone/gslb.example.com",
            "zone/0/25.2.0.192.in-addr.arpa",
            "zone/.",
            "node/this",
        ]) {
            assert_eq!(text.parse::<Subject>().map(|subject| subject.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(format!("check/{key}").parse(), Ok(Subject::Check(spec(80).key())));
        assert_eq!("zone/GSLB.example.com.".parse::<Subject>(), "zone/gslb.example.com".parse());
        assert_eq!("target/[2001:db8::1]".parse::<Subject>(), "target/2001:db8::1".parse());
        for bad in [
            "target",
            "target/",
            "target/x",
            "target/192.0.2.1:x",
            "check/12",
            "node/other",
            "pool/we b",
            "member/web",
            "member/web/",
            "member/a/b/c",
            "site/",
            "zone/",
            "zone/a b",
            "",
            "check/+0000000000000000000000000000000",
        ] {
            assert_eq!(bad.parse::<Subject>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn the_narrowest_word_counts_and_a_drain_always() {
        let (web, other) = (spec(80), spec(443));
        let check = format!("check/{}", web.key());
        type Case<'c> = (&'c [(&'c str, State)], Status, (Value, Basis, bool), (Value, bool));
        let cases: &[Case<'_>] = &[
            (&[], UP, (Value::Up, Basis::Measured, false), (Value::Up, false)),
            (&[("target/192.0.2.1", State::Down)], UP, (Value::Down, Basis::Forced, false), (Value::Down, false)),
            (&[("target/192.0.2.1:80", State::Down)], UP, (Value::Down, Basis::Forced, false), (Value::Up, false)),
            (&[("target/192.0.2.1", State::Drain)], DOWN, (Value::Down, Basis::Measured, true), (Value::Down, true)),
            (&[("target/192.0.2.2", State::Down)], UP, (Value::Up, Basis::Measured, false), (Value::Up, false)),
            (
                &[(&check, State::Up), ("target/192.0.2.1", State::Down)],
                DOWN,
                (Value::Up, Basis::Forced, false),
                (Value::Down, false),
            ),
            (
                &[(&check, State::Drain), ("target/192.0.2.1", State::Up)],
                DOWN,
                (Value::Up, Basis::Forced, true),
                (Value::Up, false),
            ),
        ];
        for (words_of, measured, at_web, at_other) in cases {
            let words = words(words_of);
            let seen = words.overlay(web.key(), &web, *measured);
            assert_eq!((seen.value, seen.basis, seen.drain), *at_web, "{words_of:?}");
            let seen = words.overlay(other.key(), &other, *measured);
            assert_eq!((seen.value, seen.drain), *at_other, "{words_of:?}");
        }
    }

    #[test]
    fn what_an_operator_says_lies_over_the_file() {
        let about: About = "target/192.0.2.1".parse().unwrap();
        let (reason, place) = ("moved".into(), "overrides.toml:3:1".into());
        let (accept_empty, accept_unknown) = (false, false);
        let word = FileWord { about, state: State::Down, expires: None, reason, place, accept_empty, accept_unknown };
        let subject = "target/192.0.2.1".parse().unwrap();
        let mut words = words(&[("target/192.0.2.1", State::Up)]);
        words.set(word.about(subject, None, 5));
        assert_eq!((words.iter().count(), words.beneath().count(), words.filed().count()), (1, 1, 1));
        assert_eq!(words.get(subject).map(|word| word.state), Some(State::Up));
        words.remove(subject, Origin::Operator);
        let counts = words.get(subject).unwrap();
        assert_eq!((counts.state, &*counts.by, words.said(subject)), (State::Down, "file overrides.toml:3:1", None));
        let moved = FileWord { place: "overrides.toml:9:1".into(), ..word.clone() }.about(subject, None, 7);
        assert!(counts.says_as(&moved) && !counts.says_as(&Override { expires: Some(1), ..moved }));
        words.remove(subject, Origin::File);
        assert!(words.is_empty());
    }

    #[test]
    fn words_of_a_file_may_name_checks() {
        let named = |check: &str, target: &str| Ok(About::Named { check: check.into(), target: target.into() });
        assert_eq!("check/web@192.0.2.1:80".parse(), named("web", "192.0.2.1:80"));
        assert_eq!("site/eu".parse().map(|about: About| about.to_string()).as_deref(), Ok("site/eu"));
        for bad in ["check/@192.0.2.1", "check/web@", "check/we b@x", "web@192.0.2.1"] {
            assert_eq!(bad.parse::<About>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn words_end() {
        let mut words = words(&[("node/this", State::Frozen)]);
        let until = Some(Moment::at(Duration::from_secs(10)));
        words.set(Override { until, ..words.get(Subject::Node).unwrap().clone() });
        assert_eq!((words.next_timeout(), words.is_frozen()), (until, true));
        assert_eq!(words.remove(Subject::Node, Origin::Operator).map(|word| word.until), Some(until));
        assert_eq!((words.next_timeout(), words.is_frozen()), (None, false));
    }
}
