//! By which rule the words of several nodes become one verdict.

use std::fmt;

/// How many nodes must see a target down for it to be down. The rules themselves, with their truth tables, are `health`'s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Vote {
    /// This node alone decides.
    Local,
    /// It is up if any node sees it up.
    AnyUp,
    /// The majority of those that see it; a tie is up.
    #[default]
    Majority,
    /// It is down if at least so many nodes see it down; at least 1. All of them, where there are fewer.
    Quorum(u16),
    /// The majority of the regions, each of which says what the majority of its nodes sees; ties are up.
    RegionThenMajority,
}

impl fmt::Display for Vote {
    /// As the configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::AnyUp => "any-up",
            Self::Majority => "majority",
            Self::Quorum(nodes) => return write!(f, "quorum of {nodes}"),
            Self::RegionThenMajority => "region-then-majority",
        })
    }
}
