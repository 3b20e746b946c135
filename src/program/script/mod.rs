//! The script tier: programs that are no plan, run in Luau.
//!
//! A program is compiled to bytecode once, at load ([`Script`]); each worker thread has one VM ([`Machine`]) that loads the
//! bytecode when it first needs it and runs it in an environment of its own, under three limits: steps, time and memory.
//! What a program can reach is a whitelist (`library`), PowerDNS's functions over the same natives and pieces as the plan
//! tier, and nothing else: no file, process, environment variable, module or bytecode.
//!
//! A limit is met as an error that a program may catch but not outlive: everything it does afterwards fails again. It costs
//! that query a SERVFAIL. A program that meets limits ten times within a second for one network of senders, or fifty times
//! for all, is left alone for the next second (`trips`).
//!
//! A run reads clocks, for its time limit: the one place below the shell that does.

mod library;
mod machine;
mod object;
mod pattern;
mod random;
mod trips;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) use machine::{Machine, Ran};

use super::variables::Variable;

/// A program as Luau bytecode.
#[derive(Debug)]
pub(super) struct Script {
    /// Tells it from all others of this process.
    number: u64,
    bytecode: Box<[u8]>,
    /// The variables that a run must set.
    variables: Box<[Variable]>,
    why: Box<str>,
}

/// What a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Safepoints: calls, returns and turns of loops; and the work of natives, measured by them.
    pub steps: u32,
    /// Time.
    pub time: Duration,
    /// Memory that is allocated, in octets.
    pub memory: usize,
    /// Whether globals live on from run to run, within a worker thread.
    pub shared: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1000, time: Duration::from_millis(5), memory: 1 << 20, shared: false }
    }
}

impl Script {
    /// Compiles Luau source; `why` the program is no plan.
    pub(super) fn compile(source: &str, variables: Box<[Variable]>, why: &str) -> Result<Self, String> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let bytecode = bytecode(source.as_bytes())?.into();
        Ok(Self { number: NUMBERS.fetch_add(1, Ordering::Relaxed), bytecode, variables, why: why.into() })
    }

    /// Why the program is no plan: what Lua has that plans have not.
    #[must_use]
    pub(super) fn why(&self) -> &str {
        &self.why
    }
}

/// Luau source → bytecode, optimized and with line numbers for messages.
fn bytecode(source: &[u8]) -> Result<Vec<u8>, String> {
    let compiler = mlua::chunk::Compiler::new().set_optimization_level(1).set_debug_level(1);
    compiler.compile(source).map_err(|error| message(&error))
}

/// The first line of an error, without where in our own source it arose.
fn message(error: &mlua::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("runtime error: ").or_else(|| text.strip_prefix("syntax error: ")).unwrap_or(&text);
    text.lines().next().unwrap_or_default().to_owned()
}
