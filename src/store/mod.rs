//! Durable state: the last-good copy of every zone, and, in [`Ledger`], what operators have said.
//!
//! A copy is a self-contained master file under `state_dir/zones`, written beside its place, synced and renamed
//! (DESIGN 7.1), so that a crash at any moment leaves either the old copy or the new one. Writing happens on a
//! thread of its own, which takes the processor only when nobody else wants it: neither a disk that hangs or is full nor
//! a large zone delays a probe, a publish or an answer. A copy is made while it is written, and is never held as a whole.
//! While the disk hangs, only the newest copy of each zone waits; one that could not be kept is tried again.
//!
//! Never here: what a copy means; whether it is read.

mod ledger;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::wire::{Name, NameRef};

pub use ledger::{Beliefs, Clocks, Kept, Ledger, LedgerError};

/// Longest file name that is made from a zone's name; a longer one is hashed.
const PLAIN_NAME_MAX: usize = 200;

/// How long after a failure a copy is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Octets that are read or written at a time.
const BUFFER: usize = 1 << 16;

/// The priority of the thread that keeps copies: the lowest.
const NICE: i32 = 19;

/// Writes a copy; each time the same.
pub type Copy = dyn Fn(&mut dyn Write) -> io::Result<()> + Send;

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
    pub fn keep(&self, apex: NameRef<'_>, copy: &Copy) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.path(apex);
        if File::open(&path).is_ok_and(|kept| is_copy(kept, copy)) {
            return Ok(());
        }
        let fresh = path.with_extension("new");
        let mut file = BufWriter::with_capacity(BUFFER, File::create(&fresh)?);
        copy(&mut file)?;
        file.into_inner()?.sync_all()?;
        fs::rename(&fresh, &path)?;
        File::open(&self.folder)?.sync_all()
    }
}

/// Whether a file holds what `copy` writes.
fn is_copy(file: File, copy: &Copy) -> bool {
    let mut compared = BufWriter::with_capacity(BUFFER, Compared { file: BufReader::with_capacity(BUFFER, file) });
    let Ok(Compared { mut file }) = copy(&mut compared).and_then(|()| Ok(compared.into_inner()?)) else { return false };
    matches!(file.read(&mut [0]), Ok(0))
}

/// Takes only what a file holds already.
struct Compared {
    file: BufReader<File>,
}

impl Write for Compared {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut held = [0; 4096];
        let len = octets.len().min(held.len());
        self.file.read_exact(&mut held[..len])?;
        if held[..len] == octets[..len] { Ok(len) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A zone's name as a file name: lower case, without the final dot, everything unusual as `%XX`.
fn file_name(apex: NameRef<'_>) -> String {
    let text = apex.to_string().to_ascii_lowercase();
    let plain = text.strip_suffix('.').filter(|text| !text.is_empty()).unwrap_or("%"); // the root; `%` alone is no label's
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
#[derive(Clone)]
pub struct Keeper {
    waiting: Arc<Mutex<Copies>>,
    wake: SyncSender<()>,
}

/// The newest copy of each zone that is not on disk yet.
type Copies = BTreeMap<Name, Box<Copy>>;

impl Keeper {
    /// Starts the thread; `failed` is told of each copy that could not be kept. It is tried again later, unless a newer one
    /// has come by then.
    ///
    /// # Errors
    /// When the thread cannot be spawned.
    pub fn start(store: LastGood, failed: impl Fn(&Name, &io::Error) + Send + 'static) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let waiting = Arc::default();
        let keeper = Self { waiting: Arc::clone(&waiting), wake };
        let body = move || {
            let _otherwise_it_competes = rustix::process::setpriority_process(None, NICE); // of this thread alone
            // Ends with the last sender; that is, with the process.
            while woken.recv_timeout(RETRY) != Err(RecvTimeoutError::Disconnected) {
                keep_all(&store, &waiting, &failed);
            }
        };
        std::thread::Builder::new().name("store".into()).spawn(body)?;
        Ok(keeper)
    }

    /// Has a copy kept, some time. Never waits for the disk: the lock is only ever held to move pointers.
    pub fn keep(&self, zone: Name, copy: Box<Copy>) {
        lock(&self.waiting).insert(zone, copy);
        let _already_woken = self.wake.try_send(());
    }
}

fn keep_all(store: &LastGood, waiting: &Mutex<Copies>, failed: &impl Fn(&Name, &io::Error)) {
    let copies = std::mem::take(&mut *lock(waiting));
    for (zone, copy) in copies {
        if let Err(error) = store.keep(zone.as_ref(), &*copy) {
            failed(&zone, &error);
            lock(waiting).entry(zone).or_insert(copy);
        }
    }
}

/// A panic while the lock was held would leave a map that is still a map.
fn lock(copies: &Mutex<Copies>) -> MutexGuard<'_, Copies> {
    copies.lock().unwrap_or_else(PoisonError::into_inner)
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
        static LONG: [u8; 3 * BUFFER + 1] = [b'x'; 3 * BUFFER + 1];
        for text in [&b"first"[..], b"second, longer", b"second", b"third", b"third", &LONG, &LONG[1..]] {
            let is_kept = || File::open(store.path(zone.as_ref())).is_ok_and(|file| is_copy(file, &|out| out.write_all(text)));
            let copy = move |out: &mut dyn Write| out.write_all(text);
            store.keep(zone.as_ref(), &copy).expect("kept");
            assert!(is_kept());
            assert_eq!(fs::read(store.path(zone.as_ref())).expect("there"), text);
        }
        assert_eq!(fs::read_dir(folder.path().join("zones")).expect("folder").count(), 1);
    }

    #[test]
    fn file_names_stay_inside_the_folder_and_apart() {
        assert_eq!(file_name(name("GSLB.example.com.").as_ref()), "gslb.example.com.zone");
        assert_eq!(file_name(name(r"a\/\.\.\/b.").as_ref()), "a%2F%5C.%5C.%2Fb.zone");
        assert_eq!(file_name(NameRef::ROOT), "%25.zone");
        let long = name(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(60)].join("."));
        assert_eq!(file_name(long.as_ref()).len(), 64 + ".zone".len());
    }
}
