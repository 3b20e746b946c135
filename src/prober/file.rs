//! The check by a file: somebody else says there who is up, one target a line.
//!
//! ```text
//! # who is up, by the operator or by another program
//! 192.0.2.1        => UP
//! 192.0.2.2:443    => DOWN
//! [2001:db8::1]:80 => UP/30
//! ```
//!
//! A line with the check's own port counts before one without. `UP/30`: the word stands for 30 seconds after the file was
//! last written; who writes it must go on writing it. A file with one bad line says nothing at all: a word that was misspelt
//! must not count as the word that was meant. Silence, like every trouble with the file, is inconclusive, and the last
//! verdict is held: a writer that has died is not the death of the targets.
//!
//! A file is read again when its time, size or number has changed.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::errors::Unmet;
use super::pulse::wall_seconds;
use crate::target::{Failure, FileCheck, Inconclusive};

/// Octets of a file.
const SIZE_MAX: u64 = 16 << 20;

/// The files that checks have looked at.
#[derive(Default)]
pub(super) struct WordFiles(Mutex<HashMap<PathBuf, Seen>>);

/// What one file held when it was read.
#[derive(Clone)]
struct Seen {
    stamp: Stamp,
    /// `None` where it cannot be read.
    words: Option<Arc<Words>>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    number: u64,
    size: u64,
    /// Seconds and nanoseconds since 1970.
    written: (i64, i64),
}

type Words = HashMap<(IpAddr, Option<u16>), Word>;

/// What is said of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    up: bool,
    /// For how many seconds after the file was written; `None`: as long as it stands there.
    holds: Option<u32>,
}

impl WordFiles {
    /// What the check's file says of `to`.
    pub(super) async fn probe(self: &Arc<Self>, to: SocketAddr, check: &FileCheck) -> Result<(), Unmet> {
        let (files, path) = (Arc::clone(self), check.path.clone());
        let seen = tokio::task::spawn_blocking(move || files.look(&path)).await.map_err(|_| Inconclusive::Internal)?;
        let Some(Seen { stamp, words: Some(words) }) = seen else { return Err(Inconclusive::BadFile.into()) };
        let word = [Some(to.port()), None].into_iter().find_map(|port| words.get(&(to.ip(), port)));
        match word {
            Some(word) if word.holds.is_some_and(|seconds| stamp.written.0 + i64::from(seconds) < wall_seconds()) => {
                Err(Inconclusive::NoWord.into())
            }
            Some(Word { up: true, .. }) => Ok(()),
            Some(Word { up: false, .. }) => Err(Failure::Said.into()),
            None => Err(Inconclusive::NoWord.into()),
        }
    }

    /// What `path` holds; `None` where there is no such file.
    fn look(&self, path: &Path) -> Option<Seen> {
        let stamp = Stamp::of(path).ok()?;
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.get(path).filter(|seen| seen.stamp == stamp) {
            return Some(seen.clone());
        }
        let words = match read(path) {
            Ok(words) => Some(Arc::new(words)),
            Err(problem) => {
                tracing::warn!("{}: {problem}; none of its lines counts", path.display());
                None
            }
        };
        let read = Seen { stamp, words };
        seen.insert(path.to_owned(), read.clone());
        Some(read)
    }
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let data = std::fs::metadata(path)?;
        Ok(Self { device: data.dev(), number: data.ino(), size: data.size(), written: (data.mtime(), data.mtime_nsec()) })
    }
}

/// Why a file does not count.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("line {0} is not `ADDRESS => UP` or `DOWN`")]
    Line(usize),
    #[error("line {0} speaks of a target of which another line has spoken")]
    Twice(usize),
    #[error("it is larger than {SIZE_MAX} octets")]
    Size,
}

fn read(path: &Path) -> Result<Words, Problem> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(SIZE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SIZE_MAX {
        return Err(Problem::Size);
    }
    parse(&text)
}

fn parse(text: &str) -> Result<Words, Problem> {
    let mut words = Words::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (target, word) = line
            .split_once("=>")
            .and_then(|(target, word)| Some((target_of(target.trim())?, word_of(word.trim())?)))
            .ok_or(Problem::Line(number))?;
        if words.insert(target, word).is_some() {
            return Err(Problem::Twice(number));
        }
    }
    Ok(words)
}

fn target_of(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let alone = || text.parse().ok().map(|address| (address, None));
    text.parse::<SocketAddr>().ok().map(|to| (to.ip(), Some(to.port()))).or_else(alone)
}

fn word_of(text: &str) -> Option<Word> {
    let (word, holds) = match text.split_once('/') {
        Some((word, seconds)) => (word, Some(seconds.parse().ok()?)),
        None => (text, None),
    };
    match word.to_ascii_uppercase().as_str() {
        "UP" => Some(Word { up: true, holds }),
        "DOWN" => Some(Word { up: false, holds }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn check(path: &Path) -> FileCheck {
        FileCheck { path: path.to_owned() }
    }

    async fn said(files: &Arc<WordFiles>, path: &Path, target: &str) -> Result<(), Unmet> {
        files.probe(target.parse().unwrap(), &check(path)).await
    }

    #[test]
    fn lines_are_read_as_they_are_documented() {
        let text = "# comment\n\n192.0.2.1 => UP\n192.0.2.1:443=>down # why\n[2001:db8::1]:80 => UP/30\n2001:db8::2 => Down/0\n";
        let words = parse(text).unwrap();
        let word = |address: &str, port| words[&(address.parse().unwrap(), port)];
        assert_eq!(word("192.0.2.1", None), Word { up: true, holds: None });
        assert_eq!(word("192.0.2.1", Some(443)), Word { up: false, holds: None });
        assert_eq!(word("2001:db8::1", Some(80)), Word { up: true, holds: Some(30) });
        assert_eq!(word("2001:db8::2", None), Word { up: false, holds: Some(0) });
        for bad in ["192.0.2.1", "192.0.2.1 => MAYBE", "x => UP", "192.0.2.1 = UP", "192.0.2.1 => UP/x", "192.0.2.1 => UP/-1"] {
            assert!(matches!(parse(&format!("::1 => UP\n{bad}\n")), Err(Problem::Line(2))), "{bad}");
        }
        assert!(matches!(parse("::1 => UP\n::1 => DOWN"), Err(Problem::Twice(2))));
    }

    #[tokio::test]
    async fn a_change_is_seen_and_silence_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let (path, files) = (dir.path().join("words"), Arc::new(WordFiles::default()));
        let write = |text: &str| {
            let new = dir.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(&new, &path).unwrap();
        };
        assert_eq!(said(&files, &path, "192.0.2.1:80").await, Err(Inconclusive::BadFile.into()), "no file");
        write("192.0.2.1 => UP\n192.0.2.1:443 => DOWN\n");
        assert_eq!(said(&files, &path, "192.0.2.1:80").await, Ok(()));
        assert_eq!(said(&files, &path, "192.0.2.1:443").await, Err(Failure::Said.into()));
        assert_eq!(said(&files, &path, "192.0.2.2:80").await, Err(Inconclusive::NoWord.into()));
        write("192.0.2.1 => DOWN\n");
        assert_eq!(said(&files, &path, "192.0.2.1:80").await, Err(Failure::Said.into()));
        write("192.0.2.1 => UP\n192.0.2.2 => DWN\n");
        assert_eq!(said(&files, &path, "192.0.2.1:80").await, Err(Inconclusive::BadFile.into()));
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods, reason = "the file system's clock")]
    async fn a_word_with_a_time_runs_out() {
        let dir = tempfile::tempdir().unwrap();
        let (path, files) = (dir.path().join("words"), Arc::new(WordFiles::default()));
        std::fs::write(&path, "192.0.2.1 => DOWN/3600\n192.0.2.2 => UP\n").unwrap();
        assert_eq!(said(&files, &path, "192.0.2.1:80").await, Err(Failure::Said.into()));
        let long_ago = SystemTime::now() - Duration::from_secs(4000);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(said(&files, &path, "192.0.2.1:80").await, Err(Inconclusive::NoWord.into()));
        assert_eq!(said(&files, &path, "192.0.2.2:80").await, Ok(()));
    }
}
