//! Why a message is refused: a closed list, for what is counted, answered and learned by the sender is the same word.

use http::StatusCode;

/// Why a message changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// It is from nobody that we know, for somebody else, or its certificate is another node's.
    Stranger,
    /// Its authentication does not fit what it says.
    Forged,
    /// It is genuine, and not newer than the last that was accepted.
    Replayed,
    /// It belongs to no session that is open: the sender is to say hello.
    NoSession,
    /// It is longer than any message may be, as sent or unpacked.
    Oversized,
    /// It cannot be read.
    Malformed,
    /// It took too long to arrive.
    Slow,
    /// The sender speaks no version of the protocol that we speak.
    Version,
}

impl Refusal {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Stranger,
        Self::Forged,
        Self::Replayed,
        Self::NoSession,
        Self::Oversized,
        Self::Malformed,
        Self::Slow,
        Self::Version,
    ];

    /// As it is spelled in problems and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::NoSession => "no_session",
            Self::Oversized => "oversized",
            Self::Malformed => "malformed",
            Self::Slow => "slow",
            Self::Version => "version",
        }
    }

    /// The status of the reply that says so.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Stranger | Self::Forged => StatusCode::FORBIDDEN,
            Self::Replayed | Self::NoSession => StatusCode::CONFLICT,
            Self::Oversized => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Version => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// What a person reads of it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Stranger => "Not a peer of this node",
            Self::Forged => "Not authentic",
            Self::Replayed => "Not newer than what was accepted",
            Self::NoSession => "No such session",
            Self::Oversized => "Too long",
            Self::Malformed => "Not understood",
            Self::Slow => "Too slow",
            Self::Version => "No version in common",
        }
    }

    /// The one that is spelled so.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.as_str() == word)
    }
}
