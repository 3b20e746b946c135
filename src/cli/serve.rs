//! `leeward serve`: the configuration, the log, then the node.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{self, Config};
use crate::node::{self, Start};

use super::args::ServeArgs;

/// What is logged where RUST_LOG does not say. h2 and quinn report what clients do to them; a client could fill a disk so.
const LOGGED: &str = "info,h2=off,hyper=off,quinn=off,rustls=off";

/// Runs the server until it is told to stop.
pub(super) fn run_serve(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let (file, config) = read_config(args.config.clone())?;
    let Some(config) = config else { return Ok(ExitCode::FAILURE) };
    // Lines that the terminal or the journal does not take in time are dropped: a log never delays the engine.
    let (writer, _flushed_at_the_end) = tracing_appender::non_blocking(std::io::stderr());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let log = tracing_subscriber::fmt().with_writer(writer).with_env_filter(filter).with_target(false);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    node::run(Start { config, config_file: Some(file), strict: args.strict })?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration file to go by and what it says; `None` where it has errors, all of which are printed.
pub(super) fn read_config(file: Option<PathBuf>) -> anyhow::Result<(PathBuf, Option<Config>)> {
    let file = file.or_else(config::default_path).context(
        "no configuration: there is neither ./leeward.toml nor /etc/leeward/leeward.toml; name one with --config FILE",
    )?;
    let loaded = config::load(&file);
    for finding in &loaded.findings {
        eprintln!("{finding}");
    }
    Ok((file, loaded.config))
}
