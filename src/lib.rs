//! leeward
pub mod answers;
pub mod api;
pub mod cli;
pub mod control;
pub mod health;
pub mod prober;
pub mod program;
pub mod server;
pub mod store;
pub mod target;
pub mod wire;
pub mod zone;
