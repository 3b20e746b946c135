//! A zone: master-file text → checked contents → an immutable version that queries are looked up in.
//!
//! Three shapes, one after the other:
//!
//! * [`load`] reads master files (RFC 1035 5) and either gives checked [`Contents`] or says everything that is wrong,
//!   each [`Finding`] with file, line, column and what would be right. One run finds all of it: an operator who
//!   mends a zone at night should not have to ask ten times.
//!   Nothing on the way is allocated by name or by record: the reader puts records side by side (`raw`), they are sorted
//!   as numbers (`gather`), looked at (`check`) and put into the flat form (`merge`), which is what [`Contents`] is.
//! * [`Zone`] is what queries read: a flat, tight `Base` behind one `Arc`, and upon it a small persistent `Delta`,
//!   looked at first. A zone of a million names costs a few buffers, not millions of allocations, and a change of
//!   ten names costs ten names. Both are immutable, so a version is cloned by counting references and an old one
//!   stays true for whoever still reads it.
//! * [`Diff`] is what lies between two versions: enough to make the new one from the old, to know which record
//!   programs must be compiled, and to serve as a transfer journal (RFC 1995).
//!
//! RRsets are stored as prepared bytes that are copied into a reply as they are. Empty non-terminals are nodes like
//! any other (RFC 4592 2.2.2), so a lookup walks down from the apex by hash and stops at the first name that does
//! not exist: what a client can make it do is bounded by the depth of the zone, not by what it asks.
//!
//! Record programs (`LUA` records) are data here: their text is kept as it was written, and a node names each by a
//! [`ProgramId`] that the caller gives out when it compiles them.
//!
//! Never here: running a program, health, a clock, sockets; files only through [`Source`].

mod base;
mod check;
mod contents;
mod delta;
mod diff;
mod finding;
mod gather;
mod generate;
mod lexer;
mod lookup;
mod merge;
mod raw;
mod rdata;
mod reader;
#[cfg(test)]
mod testing;
mod version;

pub use check::PROGRAMS_MAX;
pub use contents::{Contents, LuaRecord, RrsetData, Segment};
pub use diff::{Diff, DiffSide};
pub use finding::{Finding, Position, Severity};
pub use lookup::{Found, Node, RRset};
pub use rdata::{RdataError, rdata_from_text, rdata_to_text};
pub use reader::{Files, Loaded, Source, load};
pub use version::{Bind, ProgramId, ProgramRef, Zone};
