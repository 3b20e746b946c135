//! Identity and belief: what a check is, and what we think of its target.
//!
//! [`CheckSpec`] is the closed definition of one probe; [`CheckKey`] is its identity in URLs, files and between
//! nodes; [`CheckId`] its dense number within a process. [`Status`] is what we believe, a small `Copy` value with an
//! algebra; [`StatusTable`] holds one per check, shared copy-on-write with the snapshot that queries read.
//!
//! [`Reports`] is where targets leave their own word, for checks of kind `push`.
//! [`Definitions`] are the checks that the configuration names: definitions that wait for a target. [`Pools`] are members that
//! stand for each other, and the rules for handing them out.
//!
//! `program` (which asks) and `health` (which answers) both know this module and not each other.
//!
//! Never here: time, thresholds at work, I/O.

mod check;
mod hosts;
mod http;
mod judgement;
mod kinds;
mod named;
mod outcome;
pub(crate) mod pool;
mod reports;
mod shares;
mod status;
mod table;
mod vote;

pub use check::{CheckId, CheckKey, CheckKind, CheckRequest, CheckSpec};
pub use hosts::{Host, Hosts, Learned, Lookup, Unresolved};
pub use http::{Codes, Content, HttpCheck, Pattern, Scheme, Version};
pub use judgement::{Damping, Judgement};
pub use kinds::{DnsCheck, ExecCheck, FileCheck, GrpcCheck, KubernetesCheck, PushCheck, Rcode, TlsCheck, Workload};
pub use named::{Definitions, NamedCheck};
pub use outcome::{Failure, Inconclusive, Outcome};
pub use pool::{Face, Failback, Hosted, Membership, Pool, PoolMember, Pools, Select, Share, Standing, WhenNoneUp};
pub use reports::{Heard, Reports, Taken, Token};
pub use shares::{Serving, part_of, share_out};
pub use status::{Basis, Status, Value};
pub use table::{ChunkTable, StatusTable};
pub use vote::Vote;
