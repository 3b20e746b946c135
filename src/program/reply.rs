//! What a program may say beside its records: an rcode, a TTL.
//!
//! leeward's own: PowerDNS's programs cannot say either. `nxdomain()` and `rcode('REFUSED')` answer with that rcode and no
//! records; `ttl(10, answer)` gives the answer's records another TTL than the record's.

use std::sync::Arc;

use super::value::Value;
use crate::wire::{Rcode, Ttl};

/// An answer with more than records.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    rcode: Option<Rcode>,
    ttl: Option<Ttl>,
    values: Arc<Value>,
}

/// The rcodes that a program may give (RFC 1035 4.1.1).
const RCODES: [(&str, Rcode); 5] = [
    ("NOERROR", Rcode::NOERROR),
    ("SERVFAIL", Rcode::SERVFAIL),
    ("NXDOMAIN", Rcode::NXDOMAIN),
    ("NOTIMP", Rcode::NOTIMP),
    ("REFUSED", Rcode::REFUSED),
];

impl Reply {
    /// No records, and `rcode`.
    pub(super) fn rcode(rcode: Rcode) -> Self {
        Self { rcode: Some(rcode), ttl: None, values: Arc::new(Value::Nil) }
    }

    /// The records of `answer`, with this TTL; what `answer` says itself counts more.
    pub(super) fn ttl(ttl: Ttl, answer: &Value) -> Self {
        match answer {
            Value::Object(super::object::Object::Reply(inner)) => Self { ttl: inner.ttl.or(Some(ttl)), ..inner.clone() },
            _ => Self { rcode: None, ttl: Some(ttl), values: Arc::new(answer.clone()) },
        }
    }

    /// The rcode of that name or number.
    pub(super) fn rcode_of(text: &str) -> Option<Rcode> {
        let named = RCODES.iter().find(|(name, rcode)| *name == text || rcode.0.to_string() == text);
        named.map(|&(_, rcode)| rcode)
    }

    /// So many seconds (RFC 2181 8).
    pub(super) fn ttl_of(seconds: u32) -> Option<Ttl> {
        Ttl::new(seconds)
    }

    /// The rcode, where one is said.
    pub(super) const fn said(&self) -> (Option<Rcode>, Option<Ttl>) {
        (self.rcode, self.ttl)
    }

    /// The records as the program gave them.
    pub(super) fn values(&self) -> &Value {
        &self.values
    }
}
