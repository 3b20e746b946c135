//! Networks: what an address belongs to, and how far around it the same holds.
//!
//! [`Net`] is one prefix; [`NetMap`] gives each address of both families a value and, with it, the **scope**: the length
//! of the shortest prefix around the address in which every address has that value. That is the scope that client subnet
//! (RFC 7871 7.2.1) wants: never one that covers an exception, never longer than it must be.
//!
//! Why one mechanism for all that looks at the client's network: a scope that is right by construction needs no rule for
//! each function.
//!
//! Never here: who the client is; databases of places (they become such maps when they are loaded).

mod map;
mod net;

pub use map::{NetMap, Scoped};
pub use net::{Net, NetError};
