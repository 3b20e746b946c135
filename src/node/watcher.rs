//! Notices that a `nets_file` or the overrides file has changed, and has those read again.
//!
//! Only them: the configuration and the zones may be half written at that moment, and who writes these files is often a
//! program that knows nothing of the rest. Otherwise it is a reload like any other: judged by the loader, adopted whole
//! or refused, and reported. Where a pool chooses by one of its maps the programs are made with it, so then the zones that use
//! pools are made anew, of what is served.
//!
//! A file is looked at once a second, by its stamp, and read when two looks in a row find it changed and the same: a writer
//! that does not rename may take its time, and what is written within the same tick of the file system's clock is not missed.
//! What was refused is not tried again until it changes again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::config::{Config, Stamp};

/// From look to look.
const LOOK: Duration = Duration::from_secs(1);
/// A file that is another at so many looks in a row is read as it is.
const LOOKS_MAX: u32 = 10;

/// Drop it when the files have been read, or will not be.
pub(super) type Done = mpsc::Sender<()>;

/// The files, and which version of each was read last, whatever came of it. A clone is the same.
#[derive(Clone, Debug)]
pub(super) struct Watched(Arc<Mutex<Files>>);

type Files = Vec<(PathBuf, Option<Stamp>)>;

impl Watched {
    /// Those of a configuration that has been read.
    pub(super) fn of(config: &Config) -> Self {
        Self(Arc::new(Mutex::new(files(config))))
    }

    /// From now on those of this configuration.
    pub(super) fn follow(&self, config: &Config) {
        self.set(files(config));
    }

    /// What is there now counts as read.
    pub(super) fn take_note(&self) {
        let mut files = self.files();
        for (path, read) in &mut files {
            *read = Stamp::at(path);
        }
        self.set(files);
    }

    /// The files that are not as they were read, and what they are.
    fn changed(&self) -> Files {
        let now = self.files().into_iter().map(|(path, read)| (Stamp::at(&path), path, read));
        now.filter(|(stamp, _, read)| stamp != read).map(|(stamp, path, _)| (path, stamp)).collect()
    }

    /// A copy, so that no file is asked about while others wait.
    fn files(&self) -> Files {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, files: Files) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }
}

fn files(config: &Config) -> Files {
    config.watched_files().map(|(path, stamp)| (path.to_owned(), stamp)).collect()
}

/// Looks until nobody listens any more.
pub(super) fn watch(watched: &Watched, tell: &UnboundedSender<Done>) {
    let (mut seen, mut looks) = (Files::default(), 0);
    while !tell.is_closed() {
        std::thread::sleep(LOOK);
        let changed = watched.changed();
        // One that is still being written is another at each look; one that is written all the time is read all the same.
        looks = if changed.is_empty() { 0 } else { looks + 1 };
        if !changed.is_empty() && (changed == seen || looks >= LOOKS_MAX) {
            let names: Vec<_> = changed.iter().map(|(path, _)| path.display().to_string()).collect();
            tracing::info!("{} has changed and is read again", names.join(", "));
            let (done, wait) = mpsc::channel();
            drop(tell.send(done));
            wait.recv().ok();
            (seen, looks) = (Files::default(), 0);
        } else {
            seen = changed;
        }
    }
}
