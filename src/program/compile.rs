//! Code → program or findings: parse, lower, and sort what was found by place.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::CODE_MAX;
use super::finding::{Finding, Severity};
use super::lower::{Settings, lower, lower_snippet};
use super::parser::{Form, parse};
use super::plan::Program;
use crate::geo::{SiteMaps, Sites};
use crate::target::{Damping, Definitions, Judgement, Pools};
use crate::wire::RecordType;

/// What holds for checks where a program does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// From probe to probe.
    pub interval: Duration,
    /// The time limit of a probe.
    pub timeout: Duration,
    /// How results are judged where `damped='true'` is said and nothing else. Where not even that is, they are judged
    /// [`Judgement::AT_ONCE`], as PowerDNS does.
    pub damped: Judgement,
    /// The checks that the configuration names, for the option `check`.
    pub named: Definitions,
    /// The pools that it names, for `pool`.
    pub pools: Pools,
    /// The sites and maps that it names, for pools; `None`: none.
    pub atlas: Option<Arc<Atlas>>,
}

/// Where sites are, and which of them are for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Atlas {
    /// The sites.
    pub sites: Sites,
    /// The maps, by name.
    pub maps: SiteMaps,
}

impl Defaults {
    /// As PowerDNS: 5 s and 2 s; and damping as `[health]` has it.
    pub const USUAL: Self = Self {
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        damped: Judgement {
            fall: 3,
            rise: 20,
            forget: 1,
            jitter: None,
            vote: None,
            retry: Some(Duration::from_secs(1)),
            slow: None,
            tripwire: false,
            damping: Some(Damping::USUAL),
        },
        named: Definitions::NONE,
        pools: Pools::NONE,
        atlas: None,
    };

    /// Whether it is the same, and not only equal: looked at for each call that a run makes up, so what is large is not
    /// compared.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let atlas = self.atlas.as_ref().map(Arc::as_ptr) == other.atlas.as_ref().map(Arc::as_ptr);
        let small = |of: &Self| (of.interval, of.timeout, of.damped);
        atlas && small(self) == small(other) && self.named.is_same(&other.named) && self.pools.is_same(&other.pools)
    }

    /// The sites and maps.
    #[must_use]
    pub fn atlas(&self) -> &Atlas {
        static NONE: LazyLock<Atlas> = LazyLock::new(Atlas::default);
        self.atlas.as_deref().unwrap_or(&NONE)
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self::USUAL
    }
}

/// What [`compile`] gives.
#[derive(Debug)]
pub struct Compiled {
    /// The program; `None` exactly when a finding is an error.
    pub program: Option<Program>,
    /// All that was found, by offset.
    pub findings: Vec<Finding>,
}

/// Compiles the code of a record program, as [`join`](super::join) gives it. Never panics, whatever the text; every
/// problem is a finding with its place in `code`.
#[must_use]
pub fn compile(code: &str, settings: &Settings) -> Compiled {
    compile_as(Form::Program, None, code, settings)
}

/// The same of a record whose type is known: then pools are, too.
#[must_use]
pub fn compile_for(rtype: RecordType, code: &str, settings: &Settings) -> Compiled {
    compile_as(Form::Program, Some(rtype), code, settings)
}

/// Compiles the code of a record of type LUA: statements, to be run by `include`.
#[must_use]
pub fn compile_snippet(code: &str, settings: &Settings) -> Compiled {
    compile_as(Form::Snippet, None, code, settings)
}

fn compile_as(form: Form, rtype: Option<RecordType>, code: &str, settings: &Settings) -> Compiled {
    if code.len() > CODE_MAX {
        let message = format!("the code is {} octets long and may be {CODE_MAX}", code.len());
        let finding = Finding::error(CODE_MAX, message, "split the record");
        return Compiled { program: None, findings: vec![finding] };
    }
    let mut findings = Vec::new();
    let program = match (parse(code, form), form) {
        (Ok(block), Form::Program) => lower(&block, (settings, rtype), &mut findings),
        (Ok(block), Form::Snippet) => lower_snippet(&block, settings, &mut findings),
        (Err(finding), _) => {
            findings.push(finding);
            None
        }
    };
    findings.sort_by_key(|finding| finding.offset);
    let sound = findings.iter().all(|finding| finding.severity < Severity::Error);
    Compiled { program: program.filter(|_| sound), findings }
}
