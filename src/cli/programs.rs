//! What loading knows of a record program, for `checkconf --programs`.

use std::fmt;

use serde::Serialize;

use crate::answers::Prepared;
use crate::zone::LuaRecord;

/// One record program.
#[derive(Serialize)]
pub(super) struct ProgramForm {
    file: String,
    /// From 1.
    line: u32,
    /// From 1, in octets.
    column: u32,
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    /// `plan`, `script`, or `none`: it cannot be compiled, and is answered with SERVFAIL.
    tier: &'static str,
    /// What of Lua makes it a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    functions: Vec<&'static str>,
    checks: Vec<String>,
    /// Out of health, client, geo, name, chance, time and data.
    depends_on: Vec<&'static str>,
    /// Whether a selector makes the answer empty under some statuses.
    may_be_empty: bool,
}

impl ProgramForm {
    /// What is known of `record`, which was compiled to `prepared`.
    pub(super) fn new(record: &LuaRecord, prepared: &Prepared) -> Self {
        let program = prepared.program();
        Self {
            file: record.at.file.display().to_string(),
            line: record.at.line,
            column: record.at.column,
            name: record.owner.to_string(),
            rtype: record.rtype.to_string(),
            tier: program.map_or("none", |program| program.tier().as_str()),
            why: program.and_then(|program| program.why_script()).map(str::to_owned),
            functions: program.iter().flat_map(|program| program.functions().iter().copied()).collect(),
            checks: program.iter().flat_map(|program| program.checks()).map(|check| check.spec.to_string()).collect(),
            depends_on: program.iter().flat_map(|program| program.depends().names()).collect(),
            may_be_empty: program.is_some_and(|program| program.may_be_empty()),
        }
    }
}

impl fmt::Display for ProgramForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, name, rtype, tier, .. } = self;
        write!(f, "{file}:{line}:{column}: program: {name} {rtype}: tier {tier}")?;
        if let Some(why) = &self.why {
            write!(f, " ({why})")?;
        }
        let list = |items: &[&str]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
        write!(f, "; calls {}; depends on {}", list(&self.functions), list(&self.depends_on))?;
        if self.may_be_empty {
            write!(f, "; may be empty")?;
        }
        self.checks.iter().try_for_each(|check| write!(f, "\n    checks {check}"))
    }
}
