//! What the operator chooses about answering.

use std::sync::Arc;
use std::time::Duration;

use crate::program::{Defaults, Limits};

use super::cookies::{Cookies, Secret};
use super::rate::{RateLimiter, RateLimits};

/// What the configuration says about answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether client subnet (RFC 7871) is used.
    pub ecs: bool,
    /// What ANY gets.
    pub any: Any,
    /// The server's identifier: NSID (RFC 5001) and, in class CH, `id.server`.
    pub nsid: Option<Box<[u8]>>,
    /// Whether class CH is answered.
    pub chaos: bool,
    /// How long a TCP connection may idle, which clients may ask for (RFC 7828).
    pub tcp_idle: Duration,
    /// DNS cookies (RFC 7873); `None`: the option is not understood.
    pub cookies: Option<Cookies>,
    /// Response rate limiting.
    pub rate: Option<RateLimits>,
    /// What holds for checks that a program makes up while it runs.
    pub checks: Defaults,
    /// What a run of a record program may use.
    pub programs: Limits,
}

impl Options {
    /// The table for these limits: `known` where it is one for the same.
    #[must_use]
    pub fn limiter(&self, known: Option<&Arc<RateLimiter>>) -> Option<Arc<RateLimiter>> {
        let limits = self.rate.as_ref()?;
        let same = known.filter(|known| known.limits() == limits);
        Some(same.map_or_else(|| Arc::new(RateLimiter::new(limits.clone())), Arc::clone))
    }

    /// The same, its cookies made with `secret` where none is configured.
    #[must_use]
    pub fn with_cookie_secret(mut self, secret: &Secret) -> Self {
        if let Some(cookies) = self.cookies.as_mut().filter(|cookies| cookies.secrets.is_empty()) {
            cookies.secrets.push(secret.clone());
        }
        self
    }
}

/// What a query of type ANY gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Any {
    /// One RRset of the name (RFC 8482 4.1).
    #[default]
    Minimal,
    /// Every RRset of the name.
    Full,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ecs: true,
            any: Any::default(),
            nsid: None,
            chaos: true,
            tcp_idle: Duration::from_secs(10),
            cookies: Some(Cookies::default()),
            rate: None,
            checks: Defaults::default(),
            programs: Limits::default(),
        }
    }
}
