//! `leeward serve`: the configuration, the log, and the node.

use std::process::ExitCode;

use super::args::ServeArgs;

/// Runs the server until it is told to stop.
pub(super) fn run_serve(_args: &ServeArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not wired yet")
}
