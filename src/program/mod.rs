//! Record program text → plan → choice → answer.
//!
//! A `LUA` record's strings are put together by [`join`], [`compile`]d at load into a [`Program`], settled under the
//! statuses of its checks whenever one of them changes ([`Program::settle`]), and asked once per query
//! ([`Choice::pick`]). What a query pays is a hash or a random number and an index: no Lua, no allocation.
//!
//! A program here is an *expression* over the functions that real records use (`ifportup`, `ifurlup`, `all`, the
//! pickers) and literals. Anything else is an error at load, with its place, its name and a remedy; all errors of a
//! program are reported at once. PowerDNS finds the same errors one by one, as SERVFAIL, when a client asks.
//!
//! Why an own parser and not `full_moon`: the language that is accepted is closed and small; every finding needs an
//! offset that maps back to the zone file; the parser must bound its own recursion, because the text comes from zone
//! transfers too and a stack overflow cannot be caught; and a full Lua syntax tree would be far more code to trust
//! than this. Where the Lua dialects differ (string escapes), LuaJIT is followed: PowerDNS is built with it.
//!
//! Behaviour that looks arbitrary is PowerDNS's and is pinned by tests: the spaces of [`join`], the order in which
//! weighted lists are walked, the hash, lenient addresses.
//!
//! Never here: a clock, a source of randomness, I/O, zones and record data. Answers are presentation-format strings;
//! what they mean for the record's target type is the caller's.

mod address;
mod body;
mod choice;
mod compile;
mod dynamic;
mod facts;
mod failure;
mod finding;
pub mod geography;
mod hash;
mod lexer;
mod lower;
mod lua;
mod luau;
mod native;
mod number;
pub mod object;
mod order;
mod parser;
mod plan;
mod reply;
mod runner;
mod script;
mod settle;
mod source;
mod syntax;
pub mod synthesis;
mod value;
mod variables;
mod world;

pub use body::Visit;
pub use choice::{Choice, Closest, Contender, Draw, FailReason, Metric};
pub use compile::{Compiled, Defaults, compile, compile_snippet};
pub use facts::{Facts, Reach};
pub use failure::{Failure, Limit};
pub use finding::{Finding, Severity};
pub use hash::{hash, hash_client, hash_name};
pub use lower::Settings;
pub use object::Object;
pub use plan::{Depends, Function, Program, Selector, Tier};
pub use reply::Reply;
pub use runner::{Answer, Records, Runner, Said};
pub use script::Limits;
pub use settle::{Consulted, Settled, Step, Under};
pub use source::{Source, join};
pub use value::{Argument, Entry, Misuse, Place, Value, arguments};
pub use world::{Snippet, World};

/// What names that only leeward makes begin with.
const RESERVED: &str = "_leeward";
/// Longest program, in octets. The longest records in use are a few kilobytes.
pub const CODE_MAX: usize = 64 * 1024;
/// Deepest nesting of tables, calls and parentheses. Real records need five; the parser and everything that walks its
/// tree recurse, and this is what bounds their stack.
pub const NESTING_MAX: usize = 64;
/// Most members of one list.
pub const LIST_MAX: usize = 4096;
/// Most distinct members of one program: they are numbered in 16 bits.
pub const MEMBERS_MAX: usize = u16::MAX as usize;

#[cfg(test)]
mod tiers;
