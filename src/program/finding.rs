//! What is wrong with a program, where, and what to do about it. For people: nothing matches on the text.

use std::fmt;

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The program runs, but perhaps not as meant.
    Warning,
    /// The program is not run.
    Error,
}

/// One problem of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Warning or error.
    pub severity: Severity,
    /// Where, in octets from the start of the code. At most the code's length.
    pub offset: usize,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// What to do: one imperative without a full stop.
    pub remedy: String,
}

impl Finding {
    pub(super) fn error(offset: usize, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Error, offset, message: message.into(), remedy: remedy.into() }
    }

    pub(super) fn warning(offset: usize, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, offset, message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.severity, self.message, self.remedy)
    }
}
