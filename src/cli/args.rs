//! What the user typed.
//!
//! Only syntax is judged here; names, types and durations that a server reads are left to it, so that they mean the same
//! however they come. Relative paths are the shell's.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// An authoritative DNS server for global server load balancing.
#[derive(Debug, Parser)]
#[command(name = "leeward", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 fine, 1 the answer is an error, 2 usage, 3 the server cannot be reached.")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Check the configuration and zone files; every error and warning at once
    Checkconf(CheckconfArgs),
    /// Show the answer to a question, and why it is that
    Explain(ExplainArgs),
    /// Show where an address is, and which sites each map gives it
    Geo(GeoArgs),
    /// Show the state of the server
    Status(StatusArgs),
    /// Show every health check
    Checks(ClientArgs),
    /// Show what happened
    Events(EventsArgs),
    /// Read the configuration and the zone files again
    Reload(ReloadArgs),
    /// Give a target no new clients
    Drain(SayArgs),
    /// Say that a target or check is up or down, whatever is measured
    Force(ForceArgs),
    /// Let nothing that is measured change an answer, of this node, of a zone or of a pool
    Freeze(FreezeArgs),
    /// Have those come back who wait for it in a pool
    Failback(FailbackArgs),
    /// Show every pool, and what its members count as
    Pools(ClientArgs),
    /// Take back what was said by drain, force or freeze
    Release(ReleaseArgs),
    /// Show what operators have said
    Overrides(ClientArgs),
    /// Show the version
    Version(VersionArgs),
}

/// `leeward serve`
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Configuration [default: ./leeward.toml, then /etc/leeward/leeward.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Refuse to start with a bad zone file
    #[arg(long)]
    pub(super) strict: bool,
}

/// `leeward checkconf`
#[derive(Debug, Args)]
pub(super) struct CheckconfArgs {
    /// Configuration [default: ./leeward.toml, then /etc/leeward/leeward.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Zone files to check instead of those of the configuration
    #[arg(value_name = "ZONEFILE")]
    pub(super) zone_files: Vec<PathBuf>,
    /// How to show what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Show each record program too: what runs it, what it calls and checks, what its answer depends on
    #[arg(long)]
    pub(super) programs: bool,
    /// Take warnings for errors
    #[arg(long)]
    pub(super) strict: bool,
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One line each: file:line:column, severity, what is wrong; what would be right
    Text,
    /// One JSON document
    Json,
}

/// `leeward explain`
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The name to ask for
    pub(super) name: String,
    /// The type to ask for
    #[arg(value_name = "TYPE", default_value = "A")]
    pub(super) rtype: String,
    /// The address that asks
    #[arg(long, value_name = "ADDR")]
    pub(super) client: Option<IpAddr>,
    /// The client subnet option of the question
    #[arg(long, value_name = "NET")]
    pub(super) subnet: Option<String>,
    /// What decides draws by chance
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Ask no server: read the files and make up the health
    #[arg(long, conflicts_with_all = ["url", "socket", "token_file"])]
    pub(super) offline: bool,
    /// With --offline: the configuration
    #[arg(long, value_name = "FILE", requires = "offline")]
    pub(super) config: Option<PathBuf>,
    /// With --offline: the health of every target
    #[arg(long, value_enum, default_value_t = Assume::Up, requires = "offline")]
    pub(super) assume: Assume,
    /// With --offline: an address, or address:port, that is down all the same; may be repeated
    #[arg(long, value_name = "TARGET", requires = "offline")]
    pub(super) down: Vec<String>,
    #[command(flatten)]
    pub(super) client_args: ClientArgs,
}

/// What `explain --offline` takes for the health of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Assume {
    /// Every check passes
    Up,
    /// Every check fails
    Down,
    /// Nothing is known
    Unknown,
}

/// `leeward status`
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The other nodes, and what they and this one do not agree upon
    #[arg(long)]
    pub(super) peers: bool,
    #[command(flatten)]
    pub(super) client_args: ClientArgs,
}

/// `leeward geo`
#[derive(Debug, Args)]
pub(super) struct GeoArgs {
    /// The address of a client
    #[arg(value_name = "ADDR")]
    pub(super) address: IpAddr,
    /// This map only
    #[arg(long, value_name = "NAME")]
    pub(super) map: Option<String>,
    #[command(flatten)]
    pub(super) client_args: ClientArgs,
}

/// `leeward events`
#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// After this event's number, or not older than this: a duration such as 10m, or an RFC 3339 time
    #[arg(long, value_name = "T")]
    pub(super) since: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    pub(super) limit: Option<usize>,
    /// Go on with what happens from now on; with --since, from then on. With --json, one object a line
    #[arg(long, short)]
    pub(super) follow: bool,
    #[command(flatten)]
    pub(super) client_args: ClientArgs,
}

/// `leeward reload`
#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    /// Judge, but change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// This zone's file only
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
    /// Take the change in all the same
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) accept: Option<Accept>,
    #[command(flatten)]
    pub(super) client_args: ClientArgs,
}

/// `leeward drain`
#[derive(Debug, Args)]
pub(super) struct SayArgs {
    /// target/ADDRESS, target/ADDRESS:PORT, check/NAME@ADDRESS, check/KEY, site/NAME or member/POOL/NAME; an address alone is
    /// a target
    #[arg(value_name = "SUBJECT")]
    pub(super) subject: String,
    #[command(flatten)]
    pub(super) term: TermArgs,
}

/// `leeward force`
#[derive(Debug, Args)]
pub(super) struct ForceArgs {
    /// target/ADDRESS, target/ADDRESS:PORT, check/NAME@ADDRESS, check/KEY, site/NAME or member/POOL/NAME; an address alone is
    /// a target
    #[arg(value_name = "SUBJECT")]
    pub(super) subject: String,
    /// What it is to count as
    #[arg(value_enum)]
    pub(super) state: Forced,
    #[command(flatten)]
    pub(super) term: TermArgs,
}

/// What a check can be forced to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Forced {
    /// Up
    Up,
    /// Down
    Down,
}

/// For how long, why, and how sure.
#[derive(Debug, Args)]
pub(super) struct TermArgs {
    /// How long: a duration such as 30m, or forever [default: 4h]
    #[arg(long = "for", value_name = "TIME")]
    pub(super) lasting: Option<String>,
    /// Why; it is shown to everyone who asks
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) order: OrderArgs,
}

/// `leeward freeze`
#[derive(Debug, Args)]
pub(super) struct FreezeArgs {
    /// zone/NAME, pool/NAME, or the node
    #[arg(value_name = "SUBJECT", default_value = "node/this")]
    pub(super) subject: String,
    #[command(flatten)]
    pub(super) term: TermArgs,
}

/// `leeward failback`
#[derive(Debug, Args)]
pub(super) struct FailbackArgs {
    /// The pool
    #[arg(value_name = "POOL")]
    pub(super) pool: String,
    /// Say which answers would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) client_args: ClientArgs,
}

/// `leeward release`
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// What it was said about; node/this for freeze
    #[arg(value_name = "SUBJECT")]
    pub(super) subject: String,
    #[command(flatten)]
    pub(super) order: OrderArgs,
}

/// How an order is carried out.
#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// Say which answers would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do it all the same
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) accept: Option<Accepted>,
    /// Do it for this process only where it cannot be written down
    #[arg(long)]
    pub(super) volatile: bool,
    /// The version of the override that you have seen, 0 for none; refused where another is in force
    #[arg(long, value_name = "VERSION")]
    pub(super) if_version: Option<u64>,
    #[command(flatten)]
    pub(super) client_args: ClientArgs,
}

/// What an order may be refused for and is accepted by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Accepted {
    /// An answer would be left without a target
    WouldEmpty,
    /// Nothing is probed there
    NoSuchTarget,
}

/// What a reload may be refused for and is accepted by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Accept {
    /// Targets that are up would be down
    CheckRegression,
}

/// `leeward version`
#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// Show JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Which server to ask, and how to show what it says.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ClientArgs {
    /// Show JSON, as the server sends it
    #[arg(long)]
    pub(super) json: bool,
    /// The server's control socket [default: /run/leeward/control.sock]
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    pub(super) socket: Option<PathBuf>,
    /// The server's address, such as http://127.0.0.1:8053 [env: LEEWARD_URL]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// A file with the token for that address [env: LEEWARD_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn what_belongs_to_offline_needs_it() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(drop).map_err(|error| error.exit_code());
        assert_eq!(parse("leeward explain www.example A --offline --assume down --down 192.0.2.1 --down 192.0.2.2:80"), Ok(()));
        assert_eq!(parse("leeward explain www.example"), Ok(()));
        assert_eq!(parse("leeward explain www.example --down 192.0.2.1"), Err(2));
        assert_eq!(parse("leeward explain www.example --offline --url http://127.0.0.1:1"), Err(2));
        assert_eq!(parse("leeward reload --accept check_regression"), Ok(()));
        assert_eq!(parse("leeward status --url http://127.0.0.1:1 --socket /x"), Err(2));
        assert_eq!(parse("leeward"), Err(2));
    }
}
