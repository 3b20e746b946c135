//! Notices that a `nets_file` has changed, and has it read again.
//!
//! Only it: the configuration and the zones may be half written at that moment, and who writes the file of networks is
//! often a program that knows nothing of them. Otherwise it is a reload like any other: judged by the loader, adopted whole
//! or refused, and reported.
//!
//! A file is looked at once a second, by its stamp, and read at the second look that finds it changed: a writer that does
//! not rename has a second to finish, and what is written within the same tick of the file system's clock is not missed.
//! What was refused is not tried again until it changes again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::config::{Config, Stamp};

/// From look to look.
const LOOK: Duration = Duration::from_secs(1);

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

    /// A file that is not as it was read.
    fn changed(&self) -> Option<PathBuf> {
        self.files().into_iter().find(|(path, read)| Stamp::at(path) != *read).map(|(path, _)| path)
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
    config.nets_files().map(|(path, stamp)| (path.to_owned(), stamp)).collect()
}

/// Looks until nobody listens any more.
pub(super) fn watch(watched: &Watched, tell: &UnboundedSender<Done>) {
    let mut seen = false;
    while !tell.is_closed() {
        std::thread::sleep(LOOK);
        match watched.changed() {
            Some(path) if seen => {
                tracing::info!("{} has changed and is read again", path.display());
                let (done, wait) = mpsc::channel();
                drop(tell.send(done));
                wait.recv().ok();
                seen = false;
            }
            changed => seen = changed.is_some(),
        }
    }
}
