//! Checks that the configuration names: definitions that wait for a target.
//!
//! A name is no part of a check's identity: two names for the same question to the same target share one probe, with each
//! other and with whoever asks it without a name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::check::{CheckKind, CheckRequest, CheckSpec, host_of};
use super::http::HttpCheck;
use super::judgement::Judgement;

/// A `[check.NAME]`: all of a check but whom it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCheck {
    /// What is done at the target. Where the host of an [`HttpCheck`] is empty, each target's own address stands for it.
    pub kind: CheckKind,
    /// The port that is asked, whatever port is served; `None`: that of whoever uses the check.
    pub port: Option<u16>,
    /// Where probes come from, at most one address of each family.
    pub sources: Vec<IpAddr>,
    /// The time limit of a probe.
    pub timeout: Duration,
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
    /// How the results are judged.
    pub judgement: Judgement,
}

impl NamedCheck {
    /// What is done at one target.
    #[must_use]
    pub fn kind_at(&self, address: IpAddr) -> CheckKind {
        match &self.kind {
            CheckKind::Http(http) if http.host.is_empty() => {
                CheckKind::Http(Arc::new(HttpCheck { host: host_of(address).into(), ..HttpCheck::clone(http) }))
            }
            kind => kind.clone(),
        }
    }

    /// Where probes of `address` come from.
    #[must_use]
    pub fn source_for(&self, address: IpAddr) -> Option<IpAddr> {
        self.sources.iter().copied().find(|source| source.is_ipv4() == address.is_ipv4())
    }

    /// The check of `address`, where `port` is served; `None`: nothing says which port is asked.
    #[must_use]
    pub fn request(&self, address: IpAddr, port: Option<u16>) -> Option<CheckRequest> {
        let port = if self.kind.has_port() { self.port.or(port)? } else { 0 };
        let (source, kind, timeout) = (self.source_for(address), self.kind_at(address), self.timeout);
        let spec = CheckSpec { address: Some(address), port, source, kind, timeout };
        Some(CheckRequest { spec: spec.into(), judgement: self.judgement, interval: self.interval })
    }

    /// Whether `spec`, judged so, is this check at some target.
    fn describes(&self, spec: &CheckSpec, judgement: Judgement) -> bool {
        let Some(address) = spec.address else { return false };
        self.timeout == spec.timeout
            && self.judgement == judgement
            && self.port.is_none_or(|port| port == spec.port)
            && self.source_for(address) == spec.source
            && self.kind_at(address) == spec.kind
    }
}

/// The checks that the configuration names. Shared by all who look at them; comparing one with itself costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions(Option<Arc<BTreeMap<Box<str>, NamedCheck>>>);

impl Definitions {
    /// No definition.
    pub const NONE: Self = Self(None);

    /// Whether they are the same, and not only equal.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.as_ref().map(Arc::as_ptr) == other.0.as_ref().map(Arc::as_ptr)
    }

    /// The definition of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&NamedCheck> {
        self.0.as_ref()?.get(name)
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// Every definition, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &NamedCheck)> {
        self.0.iter().flat_map(|named| named.iter()).map(|(name, check)| (&**name, check))
    }

    /// The names by which a check is known: where a program changes nothing of the definition.
    pub fn names_of(&self, spec: &CheckSpec, judgement: Judgement) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(_, check)| check.describes(spec, judgement)).map(|(name, _)| name)
    }
}

impl FromIterator<(Box<str>, NamedCheck)> for Definitions {
    fn from_iter<I: IntoIterator<Item = (Box<str>, NamedCheck)>>(named: I) -> Self {
        let named: BTreeMap<_, _> = named.into_iter().collect();
        Self((!named.is_empty()).then(|| Arc::new(named)))
    }
}
