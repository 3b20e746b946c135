//! The command line: arguments, the operator's client commands, exit codes.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | fine |
//! | 1 | the answer is an error: errors in the files, a reload refused, a server that could not run or is not ready |
//! | 2 | usage: the command line, or something on it that the server cannot read |
//! | 3 | the server cannot be reached |
//!
//! Answers go to standard output, errors with their remedy to standard error. A reader that has had enough (`| head`) is
//! no error. With `--json` a problem that the server reports goes to standard output as JSON too, so that a program reads
//! one place; the exit code tells the two apart.
//!
//! - `args`: what was typed. `client`: finds the server and asks it. `follow`: its stream of events. `show`: its replies as text.
//! - `serve`, `checkconf`, `offline`: the commands that need no server.

mod args;
mod checkconf;
mod client;
mod follow;
mod offline;
mod programs;
mod serve;
mod show;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::forms::{EventsForm, ExplainForm, GeoForm, OrderForm, OverridesForm, ReloadForm, StatusForm, ZonesForm};

use args::{
    Accept, Accepted, Cli, ClientArgs, Command, EventsArgs, ExplainArgs, FailbackArgs, ForceArgs, Forced, GeoArgs, OrderArgs,
    ReloadArgs, TermArgs, VersionArgs,
};
use client::{Client, Failed};

/// The answer is an error.
const ERROR: u8 = 1;
/// The command line is wrong, or something on it.
const USAGE: u8 = 2;
/// The server cannot be reached.
const UNREACHABLE: u8 = 3;

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help that nobody reads to its end is still help.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(USAGE));
        }
    };
    run(&cli.command).unwrap_or_else(|error| failed(&error))
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run_serve(args),
        Command::Checkconf(args) => checkconf::run_checkconf(args),
        Command::Explain(args) if args.offline => offline::run_offline(args),
        Command::Explain(args) => explain(args),
        Command::Geo(args) => geo(args),
        Command::Status(args) if args.peers => get(&args.client_args, "/api/v1/peers", &[], show::peers),
        Command::Status(args) => status(&args.client_args),
        Command::Checks(args) => get(args, "/api/v1/checks", &[], show::checks),
        Command::Events(args) if args.follow => follow::follow(args),
        Command::Events(args) => events(args),
        Command::Reload(args) => reload(args),
        Command::Drain(args) => say(&args.subject, "drain", &args.term),
        Command::Force(ForceArgs { subject, state, term }) => {
            say(subject, if *state == Forced::Up { "up" } else { "down" }, term)
        }
        Command::Freeze(args) => say(&args.subject, "frozen", &args.term),
        Command::Failback(args) => failback(args),
        Command::Pools(args) => get(args, "/api/v1/pools", &[], show::pools),
        Command::Release(args) => order(Method::DELETE, &args.subject, Vec::new(), &args.order),
        Command::Overrides(args) => get(args, "/api/v1/overrides", &[], show::overrides),
        Command::Version(args) => version(args),
    }
}

// -------- the client commands

fn status(args: &ClientArgs) -> anyhow::Result<ExitCode> {
    let client = Client::find(args)?;
    let (value, status) = ask::<StatusForm>(&client, args, Method::GET, "/api/v1/status", &[])?;
    let code = if status.ready { ExitCode::SUCCESS } else { ExitCode::from(ERROR) };
    if args.json {
        return print_json(&value).map(|_| code);
    }
    let (_, zones) = client.call::<ZonesForm>(Method::GET, "/api/v1/zones", &[])?;
    let (_, overrides) = client.call::<OverridesForm>(Method::GET, "/api/v1/overrides", &[])?;
    print(&show::status(&status, &zones, &overrides)).map(|_| code)
}

fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let optional = [
        ("client", args.client.map(|client| client.to_string())),
        ("subnet", args.subnet.clone()),
        ("seed", args.seed.map(|seed| seed.to_string())),
    ];
    let mut query = vec![("name", args.name.clone()), ("type", args.rtype.clone())];
    query.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    get::<ExplainForm>(&args.client_args, "/api/v1/explain", &query, show::explain)
}

fn geo(args: &GeoArgs) -> anyhow::Result<ExitCode> {
    let mut query = vec![("address", args.address.to_string())];
    query.extend(args.map.clone().map(|map| ("map", map)));
    get::<GeoForm>(&args.client_args, "/api/v1/geo", &query, show::geo)
}

fn events(args: &EventsArgs) -> anyhow::Result<ExitCode> {
    let optional = [("since", args.since.clone()), ("limit", args.limit.map(|limit| limit.to_string()))];
    let query: Vec<_> = optional.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    get::<EventsForm>(&args.client_args, "/api/v1/events", &query, show::events)
}

fn reload(args: &ReloadArgs) -> anyhow::Result<ExitCode> {
    let accept = args.accept.map(|Accept::CheckRegression| "check_regression".to_owned());
    let optional = [("dry_run", args.dry_run.then(|| "true".to_owned())), ("zone", args.zone.clone()), ("accept", accept)];
    let query: Vec<_> = optional.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    call::<ReloadForm>(&args.client_args, Method::POST, "/api/v1/reload", &query, show::reload)
}

/// Has an operator's word put in force.
fn say(subject: &str, state: &str, term: &TermArgs) -> anyhow::Result<ExitCode> {
    let by = ["SUDO_USER", "USER"].iter().find_map(|name| std::env::var(name).ok()).filter(|by| !by.is_empty());
    let optional = [("for", term.lasting.clone()), ("reason", term.reason.clone()), ("by", by)];
    let mut query = vec![("state", state.to_owned())];
    query.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    order(Method::PUT, subject, query, &term.order)
}

fn order(method: Method, subject: &str, mut query: Vec<(&str, String)>, args: &OrderArgs) -> anyhow::Result<ExitCode> {
    let accept = args.accept.map(|accepted| match accepted {
        Accepted::WouldEmpty => "would_empty".to_owned(),
        Accepted::NoSuchTarget => "no_such_target".to_owned(),
    });
    let optional = [
        ("dry_run", args.dry_run.then(|| "true".to_owned())),
        ("durable", args.volatile.then(|| "false".to_owned())),
        ("accept", accept),
        ("if_version", args.if_version.map(|version| version.to_string())),
    ];
    query.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let alone = subject.parse::<std::net::IpAddr>().is_ok() || subject.parse::<std::net::SocketAddr>().is_ok();
    let subject = if alone { format!("target/{subject}") } else { subject.to_owned() };
    call::<OrderForm>(&args.client_args, method, &format!("/api/v1/overrides/{subject}"), &query, show::order)
}

fn failback(args: &FailbackArgs) -> anyhow::Result<ExitCode> {
    let pool = args.pool.strip_prefix("pool/").unwrap_or(&args.pool);
    let query: Vec<_> = args.dry_run.then(|| ("dry_run", "true".to_owned())).into_iter().collect();
    call::<OrderForm>(&args.client_args, Method::POST, &format!("/api/v1/pools/{pool}/failback"), &query, show::order)
}

fn version(args: &VersionArgs) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    if args.json { print_json(&json!({ "version": version })) } else { print(&format!("leeward {version}\n")) }
}

fn get<T: DeserializeOwned>(
    args: &ClientArgs,
    path: &str,
    query: &[(&str, String)],
    show: impl FnOnce(&T) -> String,
) -> anyhow::Result<ExitCode> {
    call(args, Method::GET, path, query, show)
}

fn call<T: DeserializeOwned>(
    args: &ClientArgs,
    method: Method,
    path: &str,
    query: &[(&str, String)],
    show: impl FnOnce(&T) -> String,
) -> anyhow::Result<ExitCode> {
    let (value, form) = ask(&Client::find(args)?, args, method, path, query)?;
    if args.json { print_json(&value) } else { print(&show(&form)) }
}

/// Calls, and with `--json` shows the problem that comes back as JSON too.
fn ask<T: DeserializeOwned>(
    client: &Client,
    args: &ClientArgs,
    method: Method,
    path: &str,
    query: &[(&str, String)],
) -> anyhow::Result<(Value, T)> {
    let answer = client.call(method, path, query);
    if args.json
        && let Err(error) = &answer
        && let Some(Failed::Refused(_, value)) = error.downcast_ref()
    {
        print_json(value)?;
    }
    answer
}

// -------- output

fn print_json(value: &Value) -> anyhow::Result<ExitCode> {
    print(&format!("{value:#}\n"))
}

/// Writes to standard output; a reader that is gone has what it wanted.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Says what went wrong, and gives the exit code for it.
fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "leeward: {error:#}");
    ExitCode::from(match error.downcast_ref::<Failed>() {
        Some(Failed::Unreachable { .. }) => UNREACHABLE,
        Some(Failed::Usage(_)) => USAGE,
        Some(Failed::Refused(problem, _)) if problem.kind == "bad_parameter" => USAGE,
        Some(Failed::Refused(..)) | None => ERROR,
    })
}
