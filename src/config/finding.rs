//! What is wrong with a configuration, where, and what would be right.
//!
//! Findings are collected and never end the reading: an operator sees everything at once. One broken line gives one
//! finding: what the TOML reader made of the rest of that line is not judged, nor is what may be missing because of it.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One error or warning. Displays as `file:line:column: error: message; remedy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the configuration cannot be used; else it is probably not what was meant.
    pub error: bool,
    /// The file, as it was opened.
    pub file: PathBuf,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// The column in octets, from 1; 0 where the file as a whole is meant.
    pub column: u32,
    /// What is wrong, naming the thing.
    pub message: String,
    /// What would be right.
    pub remedy: String,
}

impl Finding {
    /// `file:line:column`, or the file alone where it is meant as a whole.
    #[must_use]
    pub fn place(&self) -> String {
        spell(&self.file, self.line, self.column)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.error { "error" } else { "warning" };
        write!(f, "{}: {kind}: {}; {}", self.place(), self.message, self.remedy)
    }
}

/// A place in a file; line 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Arc<Path>,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    /// The file as a whole.
    pub(super) fn whole(file: &Path) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }

    /// `path` as seen from the directory of this place's file.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spell(&self.file, self.line, self.column))
    }
}

fn spell(file: &Path, line: u32, column: u32) -> String {
    match line {
        0 => file.display().to_string(),
        _ => format!("{}:{line}:{column}", file.display()),
    }
}

/// Collects findings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    /// Files in the order they were read, which is the order of the findings.
    files: Vec<Arc<Path>>,
    /// Lines that are not TOML.
    broken: HashSet<(Arc<Path>, u32)>,
}

impl Findings {
    /// Notes that `file` is being read.
    pub(super) fn opened(&mut self, file: &Arc<Path>) {
        self.files.push(Arc::clone(file));
    }

    /// What is at `at` is not TOML. Only the first such word on a line counts.
    pub(super) fn syntax(&mut self, at: Place, message: String, remedy: String) {
        let line = (Arc::clone(&at.file), at.line);
        if !self.broken.contains(&line) {
            self.error(&at, message, remedy);
            self.broken.insert(line);
        }
    }

    /// Something at `at` forbids the use of the configuration.
    pub(super) fn error(&mut self, at: &Place, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(true, at, message.into(), remedy.into());
    }

    /// Something at `at` is probably not what was meant.
    pub(super) fn warning(&mut self, at: &Place, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(false, at, message.into(), remedy.into());
    }

    /// Something that should be in the table that starts at `at` is not there.
    pub(super) fn missing(&mut self, at: &Place, message: impl Into<String>, remedy: impl Into<String>) {
        if self.unbroken() {
            self.error(at, message, remedy);
        }
    }

    /// Whether everything was TOML: if not, what is absent may be on a broken line.
    pub(super) fn unbroken(&self) -> bool {
        self.broken.is_empty()
    }

    fn push(&mut self, error: bool, at: &Place, message: String, remedy: String) {
        if !self.broken.contains(&(Arc::clone(&at.file), at.line)) {
            let file = at.file.to_path_buf();
            self.list.push(Finding { error, file, line: at.line, column: at.column, message, remedy });
        }
    }

    /// Whether one of them is an error.
    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.error)
    }

    /// All of them, file by file in reading order, top to bottom.
    pub(super) fn into_sorted(mut self) -> Vec<Finding> {
        let rank = |file: &Path| self.files.iter().position(|read| **read == *file);
        self.list.sort_by_key(|finding| (rank(&finding.file), finding.line, finding.column));
        self.list
    }
}
