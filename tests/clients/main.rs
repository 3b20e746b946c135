//! The programs that others ask and forward with: each gets what it asks for, and neither it nor its log complains.
//!
//! One module for each kind of program. The programs are the distribution's; a test whose program is missing says so
//! and is skipped. What they can do over the encrypted transports, and dnsdist's word for its clients, is in `transports`;
//! here is what they print and log. Nothing here asserts how long anything takes.

#![allow(clippy::disallowed_methods, unreachable_pub, reason = "tests measure; the modules are of this test only")]

#[path = "../harness/mod.rs"]
mod harness;

mod asking;
mod cookies;
mod front;
mod load;
mod resolvers;
mod site;
