//! What other nodes say, and what the votes make of it.
//!
//! - `bulletin`: what one node tells another.
//! - `fleet`: who the others are.

mod bulletin;
mod fleet;

pub use bulletin::{Bulletin, Entry, Incarnation, Receipt, Word};
pub use fleet::{Fleet, Peer};
