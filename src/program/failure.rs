//! Why a run of a program gives no answer: SERVFAIL.

use super::choice::FailReason;
use super::value::Misuse;

/// Why a run of a program gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A call has none.
    #[error(transparent)]
    Call(#[from] FailReason),
    /// Lua raised an error, or would have.
    #[error("{0}")]
    Raised(Box<str>),
    /// A limit of `[lua]` was reached.
    #[error(transparent)]
    Limit(#[from] Limit),
    /// `resolve()` has no result yet.
    #[error("resolve() has no result yet")]
    NotReady,
}

/// The limits of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Limit {
    /// `step_limit`.
    #[error("the program took more steps than `[lua] step_limit` allows")]
    Steps,
    /// `time_limit`.
    #[error("the program took longer than `[lua] time_limit` allows")]
    Time,
    /// `memory_limit`.
    #[error("the program took more memory than `[lua] memory_limit` allows")]
    Memory,
    /// It ran into the others too often of late and is left alone for a second.
    #[error("the program reached its limits too often and is not run for a second")]
    Suspended,
}

impl Failure {
    /// Every [`Failure::reason`].
    pub const REASONS: [&str; 7] = ["error", "steps", "time", "memory", "suspended", "not_ready", "call"];

    /// The kind of failure, in a word: the label in metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Raised(_) => "error",
            Self::Limit(Limit::Steps) => "steps",
            Self::Limit(Limit::Time) => "time",
            Self::Limit(Limit::Memory) => "memory",
            Self::Limit(Limit::Suspended) => "suspended",
            Self::NotReady => "not_ready",
            Self::Call(_) => "call",
        }
    }

    /// An error of Lua's kind.
    #[must_use]
    pub fn raised(message: impl Into<Box<str>>) -> Self {
        Self::Raised(message.into())
    }
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        Self::raised(misuse.to_string())
    }
}
