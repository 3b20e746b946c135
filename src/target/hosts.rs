//! What the names of pools' members lead to: the desk where the look-ups leave their word, and where loads look for it.
//!
//! A name keeps its last good addresses whatever becomes of it: a resolver that is silent, or that says that there is no such
//! name, says nothing about the targets. Each family is judged by itself, and one that is gone while the other is there has
//! been taken out of the name. How often a name's addresses may become others is bounded here too: each change is a load.
//!
//! Times are the caller's, since whatever they count from.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many changes of a name's addresses are followed ...
const CHANGES_MAX: usize = 3;
/// ... within so much time.
const CHANGES_WINDOW: Duration = Duration::from_secs(60);

/// The desk.
#[derive(Debug, Default)]
pub struct Hosts(Mutex<BTreeMap<Box<str>, Host>>);

/// What is known of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Where it leads, in order.
    pub addresses: Arc<[IpAddr]>,
    /// When that was last heard; `None`: not by this process.
    pub heard: Option<Duration>,
    /// What is wrong with what the last look-up gave, if anything.
    pub trouble: Option<Arc<str>>,
    /// Of late, when they became others.
    changes: Vec<Duration>,
}

/// What a look-up gave: of each family the addresses, none where the name has none of it, or why that is not known.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// IPv4.
    pub v4: Result<Vec<IpAddr>, Unresolved>,
    /// IPv6.
    pub v6: Result<Vec<IpAddr>, Unresolved>,
}

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// The name does not exist.
    NoSuchName,
    /// The resolver answers with this.
    Answered(Box<str>),
    /// Nobody answers.
    Silent,
}

impl std::fmt::Display for Unresolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchName => f.write_str("there is no such name"),
            Self::Answered(with) => write!(f, "the resolver answers {with}"),
            Self::Silent => f.write_str("the resolver is silent"),
        }
    }
}

/// What a look-up has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Addresses that the name did not have.
    pub came: Vec<IpAddr>,
    /// Addresses that it no longer has.
    pub went: Vec<IpAddr>,
}

impl Learned {
    /// Whether nothing has changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.came.is_empty() && self.went.is_empty()
    }
}

impl Hosts {
    /// Most addresses of a name.
    pub const ADDRESSES_MAX: usize = 64;

    /// What is known of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Host {
        self.desk().get(name).cloned().unwrap_or_default()
    }

    /// What another process knew of `name`, less what this one may not probe.
    pub fn remember(&self, name: &str, addresses: &[IpAddr], may: impl Fn(IpAddr) -> bool) {
        let addresses = addresses.iter().copied().filter(|address| may(*address)).collect();
        let host = Host { addresses, ..Host::default() };
        self.desk().insert(name.into(), host);
    }

    /// Forgets all names but these; gives those that it forgot.
    pub fn keep(&self, wanted: impl Fn(&str) -> bool) -> Vec<Box<str>> {
        let mut desk = self.desk();
        let gone: Vec<Box<str>> = desk.keys().filter(|name| !wanted(name)).cloned().collect();
        gone.iter().for_each(|name| drop(desk.remove(name)));
        gone
    }

    /// Takes in what a look-up of `name` gave at `now`; `forbidden` says why an address may not be probed.
    pub fn learn(&self, name: &str, found: Lookup, forbidden: impl Fn(IpAddr) -> Option<String>, now: Duration) -> Learned {
        self.desk().entry(name.into()).or_default().learn(found, forbidden, now)
    }

    fn desk(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Host>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    /// | IPv4 | IPv6 | |
    /// | --- | --- | --- |
    /// | addresses, or none | addresses | both are as they were found |
    /// | addresses | addresses, or none | likewise |
    /// | none | none | both stay: a name without addresses is a mistake rather than an order |
    /// | found | not known | what is not known stays; so does a family that is gone, as it might be the last |
    /// | not known | found | likewise |
    /// | not known | not known | both stay |
    ///
    /// What is forbidden by now does not stay.
    fn learn(&mut self, found: Lookup, forbidden: impl Fn(IpAddr) -> Option<String>, now: Duration) -> Learned {
        let mut trouble = found.v4.as_ref().err().or(found.v6.as_ref().err()).map(ToString::to_string);
        let mut trouble_if_none = |why: String| _ = trouble.get_or_insert(why);
        let mut may = |address: &IpAddr| {
            let usable = !address.is_unspecified() && !address.is_multicast();
            let why = if usable { forbidden(*address) } else { Some("nothing can be sent to it".to_owned()) };
            why.is_none_or(|why| {
                trouble_if_none(format!("{address} may not be probed: {why}"));
                false
            })
        };
        let [v4, v6] = [found.v4, found.v6].map(|family| family.ok());
        let is_heard = v4.is_some() || v6.is_some();
        let none_at_all = !v4.iter().chain(&v6).flatten().any(|_| true);
        let [v4, v6] = [v4, v6].map(|family| family.map(|all| all.into_iter().filter(&mut may).collect::<Vec<_>>()));
        let is_empty = |family: &Option<Vec<IpAddr>>| family.as_ref().is_none_or(Vec::is_empty);
        if is_heard && none_at_all {
            trouble_if_none("it has no address".to_owned());
        }
        let stays = |family: &Option<Vec<IpAddr>>, other: &Option<Vec<IpAddr>>| {
            family.is_none() || (is_empty(family) && is_empty(other)) || (is_empty(family) && other.is_none())
        };
        let (keep_v4, keep_v6) = (stays(&v4, &v6), stays(&v6, &v4));
        let kept = self.addresses.iter().copied().filter(|address| if address.is_ipv4() { keep_v4 } else { keep_v6 });
        let kept = kept.filter(|address| forbidden(*address).is_none());
        let new = |family: Option<Vec<IpAddr>>, keep: bool| family.filter(|_| !keep).unwrap_or_default();
        let mut next: Vec<IpAddr> = kept.chain(new(v4, keep_v4)).chain(new(v6, keep_v6)).collect();
        next.sort_unstable();
        next.dedup();
        if next.len() > Hosts::ADDRESSES_MAX {
            trouble_if_none(format!("it has {} addresses, of which the first {} count", next.len(), Hosts::ADDRESSES_MAX));
            next.truncate(Hosts::ADDRESSES_MAX);
        }
        if is_heard && !none_at_all {
            self.heard = Some(now);
        }
        let learned = Learned {
            came: next.iter().copied().filter(|address| !self.addresses.contains(address)).collect(),
            went: self.addresses.iter().copied().filter(|address| !next.contains(address)).collect(),
        };
        let learned = if learned.is_empty() || self.may_change(now) {
            self.addresses = next.into();
            learned
        } else {
            let most = CHANGES_MAX;
            trouble_if_none(format!("it has changed {most} times within a minute, and is not followed further for now"));
            Learned::default()
        };
        self.trouble = trouble.map(Into::into);
        learned
    }

    /// Whether another change may be followed at `now`; the first always is.
    fn may_change(&mut self, now: Duration) -> bool {
        self.changes.retain(|&at| now.saturating_sub(at) < CHANGES_WINDOW);
        let may = self.addresses.is_empty() || self.changes.len() < CHANGES_MAX;
        if may && !self.addresses.is_empty() {
            self.changes.push(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|address| address.parse().expect(address)).collect()
    }

    /// `-` is not known, `!` no such name; otherwise addresses.
    fn family(text: &str) -> Result<Vec<IpAddr>, Unresolved> {
        match text {
            "-" => Err(Unresolved::Silent),
            "!" => Err(Unresolved::NoSuchName),
            _ => Ok(addresses(text)),
        }
    }

    fn lookup(v4: &str, v6: &str) -> Lookup {
        Lookup { v4: family(v4), v6: family(v6) }
    }

    /// The whole table, from one address of each family.
    #[test]
    fn what_is_not_known_stays() {
        let silent = Some("the resolver is silent");
        for (v4, v6, expected, trouble) in [
            ("192.0.2.2 192.0.2.1", "2001:db8::2", "192.0.2.1 192.0.2.2 2001:db8::2", None),
            ("", "2001:db8::2", "2001:db8::2", None),
            ("192.0.2.2", "", "192.0.2.2", None),
            ("", "", "192.0.2.9 2001:db8::9", Some("it has no address")),
            ("192.0.2.2", "-", "192.0.2.2 2001:db8::9", silent),
            ("", "-", "192.0.2.9 2001:db8::9", silent),
            ("-", "2001:db8::2", "192.0.2.9 2001:db8::2", silent),
            ("-", "", "192.0.2.9 2001:db8::9", silent),
            ("-", "-", "192.0.2.9 2001:db8::9", silent),
            ("!", "!", "192.0.2.9 2001:db8::9", Some("there is no such name")),
        ] {
            let mut host = Host { addresses: addresses("192.0.2.9 2001:db8::9").into(), ..Host::default() };
            host.learn(lookup(v4, v6), |_| None, Duration::ZERO);
            assert_eq!(host.addresses[..], addresses(expected)[..], "{v4:?} {v6:?}");
            assert_eq!(host.trouble.as_deref(), trouble, "{v4:?} {v6:?}");
        }
    }

    #[test]
    fn what_may_not_be_probed_does_not_count() {
        let (hosts, denied) = (Hosts::default(), |address: IpAddr| address.is_loopback().then(|| "denied".to_owned()));
        let learned = hosts.learn("x.", lookup("192.0.2.1 127.0.0.1", ""), denied, Duration::ZERO);
        assert_eq!(learned, Learned { came: addresses("192.0.2.1"), went: vec![] });
        assert_eq!(hosts.get("x.").trouble.as_deref(), Some("127.0.0.1 may not be probed: denied"));
        let learned = hosts.learn("x.", lookup("127.0.0.1", ""), denied, Duration::ZERO);
        assert!(learned.is_empty() && hosts.get("x.").addresses[..] == addresses("192.0.2.1"), "the last good set stays");
        hosts.learn("x.", lookup("0.0.0.0 224.0.0.1 192.0.2.2", ""), denied, Duration::ZERO);
        assert_eq!(hosts.get("x.").addresses[..], addresses("192.0.2.2"));
    }

    #[test]
    fn what_was_kept_and_may_no_longer_be_probed_does_not_count() {
        let (hosts, kept) = (Hosts::default(), addresses("127.0.0.1 192.0.2.1"));
        hosts.remember("x.", &kept, |address| !address.is_loopback());
        assert_eq!(hosts.get("x.").addresses[..], addresses("192.0.2.1"));
        hosts.remember("x.", &kept, |_| true);
        let denied = |address: IpAddr| address.is_loopback().then(|| "denied".to_owned());
        let learned = hosts.learn("x.", lookup("-", "-"), denied, Duration::ZERO);
        assert_eq!(learned, Learned { came: vec![], went: addresses("127.0.0.1") });
        assert_eq!(hosts.get("x.").addresses[..], addresses("192.0.2.1"));
    }

    #[test]
    fn one_that_flaps_is_followed_for_a_while() {
        let (mut host, at) = (Host::default(), Duration::from_secs);
        let mut becomes = |text: &str, seconds| {
            host.learn(lookup(text, ""), |_| None, at(seconds));
            host.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        for (text, seconds, expected) in [
            ("192.0.2.1", 0, "192.0.2.1"),
            ("192.0.2.2", 1, "192.0.2.2"),
            ("192.0.2.2", 2, "192.0.2.2"),
            ("192.0.2.1", 3, "192.0.2.1"),
            ("192.0.2.2", 4, "192.0.2.2"),
            ("192.0.2.1", 5, "192.0.2.2"),
            ("192.0.2.1", 60, "192.0.2.2"),
            ("192.0.2.1", 61, "192.0.2.1"),
            ("192.0.2.2", 62, "192.0.2.1"),
        ] {
            assert_eq!(becomes(text, seconds), expected, "at {seconds}");
        }
        assert!(host.trouble.is_some_and(|trouble| trouble.contains("3 times")));
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let (hosts, many): (_, Vec<String>) = (Hosts::default(), (0..100).map(|at| format!("192.0.2.{at}")).collect());
        hosts.learn("x.", lookup(&many.join(" "), ""), |_| None, Duration::ZERO);
        let host = hosts.get("x.");
        assert_eq!((host.addresses.len(), host.addresses[63]), (64, IpAddr::from([192, 0, 2, 63])));
        assert!(host.trouble.is_some());
        assert_eq!(hosts.keep(|_| false), ["x.".into()]);
        assert_eq!(hosts.get("x."), Host::default());
    }
}
