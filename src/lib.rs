//! leeward
pub mod prober;
pub mod target;
pub mod wire;
