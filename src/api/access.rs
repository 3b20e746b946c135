//! Who may do what: the listeners' configuration, and the one judgement that every request passes.
//!
//! A token is told by its secret alone, so secrets are compared in constant time, and all of them on every request: how
//! long a refusal takes says nothing about how much of a guess was right. A [`Secret`] is never printed.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[admin]`, checked.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The control socket; whoever can open it is admin.
    pub socket: Option<PathBuf>,
    /// Where HTTP is answered over TCP. Without tokens this must be a loopback address.
    pub listen: Option<SocketAddr>,
    /// Who may call over TCP. None: everyone who reaches `listen` is admin.
    pub tokens: Vec<Token>,
}

/// One `[admin.token.<name>]`.
#[derive(Clone, Debug)]
pub struct Token {
    /// The name in the configuration, for logs.
    pub name: String,
    /// What the caller must show.
    pub secret: Secret,
    /// What the caller may do.
    pub role: Role,
}

/// What a caller may do; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// See everything.
    Read,
    /// Reload, and change what is answered.
    Operate,
    /// Everything.
    Admin,
}

impl Role {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A bearer token's text. Neither `Debug` nor anything else shows it.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// A secret of this text; surrounding whitespace, as a file's last line break, is not part of it. `None`: nothing
    /// is left, and an empty secret would admit everyone.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.as_bytes().into()))
    }

    /// Whether `shown` is the secret, in a time that depends on the length of `shown` only.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        let differing = shown.iter().enumerate().fold(0, |differing, (at, octet)| {
            let own = self.0[at % self.0.len()];
            std::hint::black_box(differing | (octet ^ own))
        });
        (differing == 0) & (shown.len() == self.0.len())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
