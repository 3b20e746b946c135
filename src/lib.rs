//! leeward
pub mod health;
pub mod prober;
pub mod program;
pub mod target;
pub mod wire;
