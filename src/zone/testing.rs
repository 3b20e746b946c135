//! What the tests of this module share: files in memory, zones from text, outcomes as text.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{Contents, Found, Loaded, Node, ProgramId, Source, Zone, load};
use crate::wire::Name;

/// Files in memory.
pub(super) struct Memory(HashMap<PathBuf, Vec<u8>>);

impl Memory {
    pub(super) fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        Self(files.into_iter().map(|(path, bytes)| (path.into(), bytes.to_vec())).collect())
    }
}

impl Source for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }
}

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Loads the one file `zone`.
pub(super) fn load_bytes(apex: &str, bytes: &[u8]) -> Loaded {
    load(&Memory::new([("zone", bytes)]), Path::new("zone"), name(apex).as_ref())
}

pub(super) fn contents(apex: &str, text: &str) -> Contents {
    let loaded = load_bytes(apex, text.as_bytes());
    loaded.contents.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.findings))
}

/// Programs are numbered as they come.
pub(super) fn build(apex: &str, text: &str) -> Zone {
    let mut next = 0;
    Zone::build(contents(apex, text), &mut |_| {
        next += 1;
        ProgramId(next - 1)
    })
}

/// The findings as `line:column severity message`.
pub(super) fn findings(loaded: &Loaded) -> Vec<String> {
    let line = |f: &super::Finding| format!("{}:{}: {}: {}", f.at.line, f.at.column, f.severity, f.message);
    loaded.findings.iter().map(line).collect()
}

pub(super) fn outcome(found: Found<'_>) -> String {
    let empty = |node: Node<'_>| if node.is_empty() { " (empty)" } else { "" };
    match found {
        Found::Exact(node) => format!("exact {}{}", node.name(), empty(node)),
        Found::Wildcard { node, encloser } => format!("wildcard {} of {}", node.name(), encloser.name()),
        Found::Dname(node) => format!("dname {}", node.name()),
        Found::Cut(node) => format!("cut {}", node.name()),
        Found::None { encloser } => format!("none below {}", encloser.name()),
    }
}
