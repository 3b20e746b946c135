//! leeward
pub mod target;
pub mod wire;
pub mod zone;
