//! What is wrong with a zone, where, and what would be right.
//!
//! A finding names the thing and gives the remedy, so that it can be acted on without the manual. Their number is
//! bounded: a file that is no zone at all must not fill the memory or the screen.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Most errors, and most warnings, that one load keeps. Reading stops at the last error; warnings beyond are dropped.
pub(super) const MAX_FINDINGS: usize = 1000;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The file as it was opened.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: u32,
    /// The column in octets, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Whether a zone with such a finding can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It is served, and probably not what was meant.
    Warning,
    /// It is not served.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The offending token or record.
    pub at: Position,
    /// What is wrong, naming the thing.
    pub message: String,
    /// What would be right.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; {}", self.at, self.severity, self.message, self.remedy)
    }
}

/// The findings of one load, in order of discovery until [`Findings::into_sorted`].
#[derive(Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    errors: usize,
    warnings: usize,
    files: Vec<Arc<Path>>,
}

impl Findings {
    /// Notes that `file` is being read; findings are sorted in the order of these calls.
    pub(super) fn opened(&mut self, file: &Arc<Path>) {
        if !self.files.contains(file) {
            self.files.push(Arc::clone(file));
        }
    }

    pub(super) fn error(&mut self, at: Position, message: impl Into<String>, remedy: impl Into<String>) {
        if !self.is_full() {
            self.errors += 1;
            self.push(Severity::Error, at, message.into(), remedy.into());
        }
    }

    pub(super) fn warn(&mut self, at: Position, message: impl Into<String>, remedy: impl Into<String>) {
        if self.warnings < MAX_FINDINGS {
            self.warnings += 1;
            self.push(Severity::Warning, at, message.into(), remedy.into());
        }
    }

    /// Whether no further error is taken.
    pub(super) const fn is_full(&self) -> bool {
        self.errors >= MAX_FINDINGS
    }

    pub(super) const fn has_errors(&self) -> bool {
        self.errors > 0
    }

    fn push(&mut self, severity: Severity, at: Position, message: String, remedy: String) {
        self.list.push(Finding { severity, at, message, remedy });
    }

    /// All of them: file by file in the order of reading, and by place within a file.
    pub(super) fn into_sorted(self) -> Vec<Finding> {
        let Self { mut list, files, .. } = self;
        list.sort_by_key(|finding| {
            let file = files.iter().position(|file| *file == finding.at.file).unwrap_or(files.len());
            (file, finding.at.line, finding.at.column)
        });
        list
    }
}
