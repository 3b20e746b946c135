//! leeward
pub mod target;
pub mod wire;
