//! The check by a command: its exit code says whether the target is up.
//!
//! The command is a process group of its own, and the whole group is killed when the probe ends before it, be it by the
//! time limit or by our own end: what it has started does not stay behind. It gets the target as arguments and in
//! `LEEWARD_ADDRESS` and `LEEWARD_PORT`, besides these only `PATH`: what else is in our environment is not for it. The
//! first line that it writes is the reason that is shown; the rest is read and dropped, so that no command hangs on a full
//! pipe and none fills our memory.
//!
//! Never here: a shell, the time limit, how many run at a time.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

use super::errors::Unmet;
use crate::target::{ExecCheck, Failure, Inconclusive};

/// Octets of the output that are kept.
const KEPT: usize = 256;
/// What a command searches for its own commands where we have no PATH ourselves.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long what was written is waited for after the command's end.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// A command that runs. When this goes, it and all that it has started are killed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Without a number it has been waited for, and the number may be another's.
        let group = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs the command for one target.
pub(super) async fn probe(to: SocketAddr, check: &ExecCheck) -> Result<(), Unmet> {
    let mut running = Running(command(to, check).spawn().map_err(|error| not_started(&error))?);
    let mut output = Output { pipe: running.0.stdout.take(), kept: Vec::new() };
    let status = loop {
        tokio::select! {
            status = running.0.wait() => break status.map_err(|_| Inconclusive::Internal)?,
            () = output.read() => {}
        }
    };
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => {
            drop(tokio::time::timeout(LAST_WORDS, output.read_all()).await);
            Err(Failure::Exit { code, said: first_line(&output.kept) }.into())
        }
        None => Err(Inconclusive::Killed.into()),
    }
}

fn command(to: SocketAddr, check: &ExecCheck) -> Command {
    let (address, port) = (to.ip().to_string(), to.port().to_string());
    let fill = |argument: &str| argument.replace("{address}", &address).replace("{port}", &port);
    let mut command = Command::new(&check.program);
    command.args(check.arguments.iter().map(|argument| fill(argument)));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()));
    command.env("LEEWARD_ADDRESS", &address).env("LEEWARD_PORT", &port).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    command
}

fn not_started(error: &std::io::Error) -> Unmet {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN) => Inconclusive::Resources.into(),
        _ => Inconclusive::Spawn.into(),
    }
}

struct Output {
    pipe: Option<ChildStdout>,
    kept: Vec<u8>,
}

impl Output {
    /// Takes in what there is next; for ever where there will be nothing.
    async fn read(&mut self) {
        let mut octets = [0; 4096];
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        match pipe.read(&mut octets).await {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(length) => {
                let room = KEPT - self.kept.len();
                self.kept.extend_from_slice(&octets[..length.min(room)]);
            }
        }
    }

    async fn read_all(&mut self) {
        while self.pipe.is_some() {
            self.read().await;
        }
    }
}

/// The first line that is not blank, without what no terminal should get.
fn first_line(output: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prober::{Config, Prober, Pulse};
    use crate::target::{CheckKind, CheckSpec, Outcome};
    use std::path::Path;

    async fn run(script: &str, timeout: Duration) -> Outcome {
        run_at("/bin/sh", &["-c", script, "sh", "{address}", "[{port}]"], timeout).await
    }

    async fn run_at(program: &str, arguments: &[&str], timeout: Duration) -> Outcome {
        let arguments = arguments.iter().map(|&argument| argument.into()).collect();
        let kind = CheckKind::Exec(ExecCheck { program: program.into(), arguments }.into());
        let spec = CheckSpec { address: Some([192, 0, 2, 1].into()), port: 80, source: None, kind, timeout };
        Prober::new(Config::default(), Pulse::steady().into()).probe(&spec).await.outcome
    }

    fn exit(code: i32, said: &str) -> Outcome {
        Outcome::Fail(Failure::Exit { code, said: said.into() })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_exit_code_decides() {
        assert_eq!(run("exit 0", LONG).await, Outcome::PASS);
        assert_eq!(run("exit 2", LONG).await, exit(2, ""));
        assert_eq!(run("printf '\\n \\033[1mno disk\\nmore\\n'; exit 1", LONG).await, exit(1, "[1mno disk"));
        assert_eq!(run("kill -9 $$", LONG).await, Outcome::Inconclusive(Inconclusive::Killed));
        assert_eq!(run_at("/nonexistent", &[], LONG).await, Outcome::Inconclusive(Inconclusive::Spawn));
    }

    #[tokio::test]
    async fn the_target_is_told_and_nothing_else() {
        let said = "192.0.2.1 [80] 192.0.2.1 80";
        assert_eq!(run("echo $1 $2 $LEEWARD_ADDRESS $LEEWARD_PORT; exit 1", LONG).await, exit(1, said));
        let names =
            run("env | sed 's/=.*//' | grep -v -e '^_$' -e '^PWD$' -e '^SHLVL$' -e '^OLDPWD$' | sort | xargs; exit 1", LONG)
                .await;
        assert_eq!(names, exit(1, "LEEWARD_ADDRESS LEEWARD_PORT PATH"));
    }

    #[tokio::test]
    async fn output_is_bounded_and_never_in_the_way() {
        let long = "i=0; while [ $i -lt 300 ]; do printf '%01000d' 0; i=$((i+1)); done; exit 3";
        assert_eq!(run(long, LONG).await, exit(3, &"0".repeat(KEPT)));
        // What it leaves behind holds the pipe open.
        assert_eq!(run("sleep 5 & echo gone; exit 4", LONG).await, exit(4, "gone"));
    }

    #[tokio::test]
    async fn the_time_limit_kills_what_the_command_has_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pids");
        let script = format!("sleep 600 & echo $! $$ > {0}.new; mv {0}.new {0}; wait", file.display());
        assert_eq!(run(&script, Duration::from_millis(1500)).await, Outcome::Fail(Failure::Timeout));
        let pids = std::fs::read_to_string(&file).unwrap();
        for pid in pids.split_whitespace() {
            let gone = || match std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")) {
                Ok(stat) => stat.contains(") Z "), // dead, and not yet waited for
                Err(_) => true,
            };
            while !gone() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
