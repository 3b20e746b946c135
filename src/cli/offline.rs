//! `leeward explain --offline`: the answer that the files would give, with made-up health.

use std::process::ExitCode;

use super::args::ExplainArgs;

/// Explains without a server.
pub(super) fn run_offline(_args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not wired yet")
}
