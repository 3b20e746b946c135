//! `leeward checkconf`: every error and warning of the configuration and the zone files at once.

use std::process::ExitCode;

use super::args::CheckconfArgs;

/// Checks, and shows what is found.
pub(super) fn run_checkconf(_args: &CheckconfArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not wired yet")
}
