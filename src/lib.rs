//! leeward
pub mod health;
pub mod target;
pub mod wire;
