//! The immutable snapshot that queries read, and the routine that answers from it.
//!
//! - [`Snapshot`]: zones, statuses and prepared answer sets of one [`Generation`]. Reached through [`Published`], one
//!   `arc-swap` pointer: a query loads it once and uses it to the end, so it can never see a new zone with an old
//!   answer set.
//! - [`Prepared`] and [`AnswerSet`]: a record program's possible records, encoded at load; and which of them are offered
//!   under one set of statuses, settled whenever one of those statuses changes. A query only draws and copies.
//! - [`respond`]: bytes in, bytes out. Total: any datagram gets a reply or is dropped, nothing in between. The file
//!   `respond` has what concerns the message (EDNS, TSIG, classes, limits), `resolve` what concerns the name.
//! - [`QueryCounters`] by zone and [`MemberAnswers`] by member of a pool: what was answered, counted by each worker for itself.
//! - [`Notices`]: what queries tell the rest of the node without waiting; [`AdHocChecks`] and [`Resolved`]: what they get
//!   of it beyond what was known at load.
//! - [`Options`]: what the operator chooses, [`Cookies`] and [`RateLimiter`] among it.
//! - [`explain`]: the same routine, telling what it does while it does it.
//!
//! Why answer sets are settled by the writer and not looked up by the query: a status changes some times a minute, a
//! name is asked thousands of times a second.
//!
//! Invariants: nothing published is ever changed; generations only move forward; the query path takes no lock, allocates
//! nothing, logs nothing and reads no clock. Scripts allocate and look at the clock, inside their limits, and what they lack or
//! fail at becomes a [`Notice`]; its file says what sending one takes.

mod ad_hoc;
mod chaos;
mod cookies;
mod counters;
mod explain;
mod notices;
mod options;
mod prepared;
mod rate;
mod resolve;
mod resolved;
mod respond;
mod snapshot;
mod tally;
mod world;

pub use ad_hoc::{AdHocCheck, AdHocChecks};
pub use cookies::{Cookies, Secret};
pub use counters::{Counted, QueryCounters, RCODES, Transport};
pub use explain::{Asked, Explanation, Found, Trace, explain};
pub use notices::{Notice, Notices};
pub use options::{Any, Options};
pub use prepared::{AnswerSet, Prepared};
pub use rate::{RateLimiter, RateLimits};
pub use resolved::{Resolution, Resolved};
pub use respond::{Ctx, Now, Response, Worker, respond};
pub use snapshot::{Generation, Published, Reader, Snapshot, ZoneEntry, ZoneState, ZoneTable};
pub use tally::{MemberAnswers, Tally};
