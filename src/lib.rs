//! leeward
pub mod health;
pub mod prober;
pub mod target;
pub mod wire;
