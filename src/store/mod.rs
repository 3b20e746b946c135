//! Durable state: the last-good copy of every zone.
//!
//! A copy is a self-contained master file under `state_dir/zones`, written beside its place, synced and renamed
//! (DESIGN 7.1), so that a crash at any moment leaves either the old copy or the new one. Writing happens on a
//! thread of its own: a disk that hangs or is full delays no probe, no publish and no answer. While it hangs, only the
//! newest copy of each zone waits.
//!
//! Never here: what a copy means; whether it is read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use sha2::{Digest, Sha256};

use crate::wire::{Name, NameRef};

/// Longest file name that is made from a zone's name; a longer one is hashed.
const PLAIN_NAME_MAX: usize = 200;

/// The folder of last-good copies.
#[derive(Clone, Debug)]
pub struct LastGood {
    folder: PathBuf,
}

impl LastGood {
    /// The copies under `state_dir`.
    #[must_use]
    pub fn under(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("zones") }
    }

    /// Where the copy of a zone is, or would be.
    #[must_use]
    pub fn path(&self, apex: NameRef<'_>) -> PathBuf {
        self.folder.join(file_name(apex))
    }

    /// Replaces the copy of a zone; it is on disk when this returns.
    ///
    /// # Errors
    /// From the file system; the old copy is untouched then.
    pub fn keep(&self, apex: NameRef<'_>, copy: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.path(apex);
        if fs::read(&path).is_ok_and(|kept| kept == copy) {
            return Ok(());
        }
        let fresh = path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(copy)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        File::open(&self.folder)?.sync_all()
    }
}

/// A zone's name as a file name: lower case, without the final dot, everything unusual as `%XX`.
fn file_name(apex: NameRef<'_>) -> String {
    let text = apex.to_string().to_ascii_lowercase();
    let plain = text.strip_suffix('.').filter(|text| !text.is_empty()).unwrap_or("root");
    let mut name = String::new();
    for byte in plain.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > PLAIN_NAME_MAX || name.starts_with('.') {
        name = Sha256::digest(plain.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    }
    name + ".zone"
}

/// Hands copies to the thread that keeps them.
#[derive(Clone, Debug)]
pub struct Keeper {
    copies: Sender<(Name, Arc<[u8]>)>,
}

impl Keeper {
    /// Starts the thread; `failed` is told of each copy that could not be kept.
    ///
    /// # Errors
    /// When the thread cannot be spawned.
    pub fn start(store: LastGood, failed: impl Fn(&Name, &io::Error) + Send + 'static) -> io::Result<Self> {
        let (copies, inbox) = channel();
        std::thread::Builder::new().name("store".into()).spawn(move || keep_all(&store, &inbox, &failed))?;
        Ok(Self { copies })
    }

    /// Has a copy kept, some time. Never waits.
    pub fn keep(&self, zone: Name, copy: Arc<[u8]>) {
        // The thread outlives every sender; should it be gone, the process is ending.
        let _ = self.copies.send((zone, copy));
    }
}

fn keep_all(store: &LastGood, inbox: &Receiver<(Name, Arc<[u8]>)>, failed: &impl Fn(&Name, &io::Error)) {
    while let Ok((zone, copy)) = inbox.recv() {
        let mut waiting = BTreeMap::from([(zone, copy)]);
        waiting.extend(inbox.try_iter());
        for (zone, copy) in waiting {
            if let Err(error) = store.keep(zone.as_ref(), &copy) {
                failed(&zone, &error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    #[test]
    fn a_copy_is_replaced_whole() {
        let folder = tempfile::tempdir().expect("tempdir");
        let store = LastGood::under(folder.path());
        let zone = name("gslb.example.com.");
        for text in [&b"first"[..], b"second, longer", b"third"] {
            store.keep(zone.as_ref(), text).expect("kept");
            assert_eq!(fs::read(store.path(zone.as_ref())).expect("there"), text);
        }
        assert_eq!(fs::read_dir(folder.path().join("zones")).expect("folder").count(), 1);
    }

    #[test]
    fn file_names_stay_inside_the_folder_and_apart() {
        assert_eq!(file_name(name("GSLB.example.com.").as_ref()), "gslb.example.com.zone");
        assert_eq!(file_name(name(r"a\/\.\.\/b.").as_ref()), "a%2F%5C.%5C.%2Fb.zone");
        assert_eq!(file_name(NameRef::ROOT), "root.zone");
        let long = name(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(60)].join("."));
        assert_eq!(file_name(long.as_ref()).len(), 64 + ".zone".len());
    }
}
