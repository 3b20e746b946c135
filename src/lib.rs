//! leeward
pub mod program;
pub mod target;
pub mod wire;
