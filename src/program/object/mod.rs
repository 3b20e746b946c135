//! PowerDNS's objects, as values of record programs.

use crate::wire::Name;

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A domain name: `newDN`.
    Name(Name),
}

impl Object {
    /// What a message calls it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Name(_) => "a DNSName",
        }
    }
}
