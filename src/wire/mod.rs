//! DNS messages ↔ bytes: names, types, RDATA layout, EDNS; parse and write without allocating.
//!
//! The query path reads a datagram through [`Query`] and writes the reply through [`Writer`], both over
//! byte slices that the caller owns. Neither allocates, and neither can panic on what the network sends:
//! every read is checked and every write stops at the limit. Types are open sets (`RecordType(u16)`, not
//! an enum of the known ones), so an unknown type is a value like any other (RFC 3597).
//!
//! Why not a library: `hickory-proto` and `domain` both build owned structures for a message; an answer
//! here is a copy of prepared bytes behind a 12-byte header (see `answers`). Off the query path, and in
//! tests, `hickory-proto` reads and writes the same messages, so the two check each other.
//!
//! Never here: sockets, clocks, zones, any decision about what the answer is.

mod edns;
mod name;
mod query;
mod rdata;
mod types;
mod writer;

pub use edns::{
    CLIENT_COOKIE_LEN, ClientSubnet, Cookie, Edns, ExtendedError, Malformed, NSID_MAX, NotASubnet, OptReply, RESPONDER_PAYLOAD,
    SERVER_COOKIE_LEN,
};
pub use name::{KeyBuf, Name, NameBuf, NameError, NameRef};
pub use query::{HEADER_LEN, Header, Query, QueryBuilder, Rejected, Tsig};
pub use rdata::{Field, has_caseless_names, layout};
pub use types::{Class, Opcode, Rcode, RecordType, Serial, Ttl};
pub use writer::{Full, Mark, NameTable, Owner, Section, Writer};
