//! Addresses: what network they belong to, where they are, and how far around them the same holds.
//!
//! [`Net`] is one prefix; [`NetMap`] gives each address of both families a value, [`Places`] gives it a [`Place`] out of
//! databases in the format of MaxMind. Both give with it the **scope**: the length of the shortest prefix around the
//! address in which every address has that value. That is the scope that client subnet (RFC 7871 7.2.1) wants: never one
//! that covers an exception, never longer than it must be.
//!
//! Why one mechanism for all that looks at the client's network: a scope that is right by construction needs no rule for
//! each function.
//!
//! [`Sites`] are the places that an operator's targets are at, and a [`SiteMap`] says which of them a client should get, by
//! its network or its place.
//!
//! A database is decoded once, when it is loaded, into sorted ranges. A look-up is one binary search: it decodes nothing,
//! allocates nothing and cannot fail.
//!
//! Never here: who the client is; files.

mod database;
mod map;
mod net;
mod place;
mod places;
mod ranges;
mod site_map;
mod sites;
#[cfg(test)]
mod testing;

pub use database::{Database, DatabaseError, Source};
pub use map::{NetMap, Scoped};
pub use net::{Fence, Forbidden, Net, NetError};
pub use place::{Attribute, Location, Place};
pub use places::Places;
pub use site_map::{Found, Order, Rule, Rules, SiteMap, SiteMaps, TooManyOrders};
pub use sites::{Site, SiteId, Sites};
