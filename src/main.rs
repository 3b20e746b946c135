//! The leeward program: see `leeward::cli`.

use std::process::ExitCode;

/// Not the system's: what a flip replaces is allocated on one thread and freed on another, small and scattered, and glibc's
/// arenas take twice as long over that (`benches/publish.rs`, `shared`: 126 ms of CPU against 58). Version 2 of it: without
/// arenas, version 3 gives every page back to the system as soon as it is empty, and where some probes begin together and end
/// together, that is a fifth of what they cost (`benches/compare/checks`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    leeward::cli::main()
}
