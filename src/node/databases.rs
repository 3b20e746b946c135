//! The databases of places: read whole at a start, and again by a reload if a file has changed since.
//!
//! All or nothing: where one cannot be used there is none of them new, because half of them would send clients elsewhere
//! than the operator means.
//!
//! A file counts as changed when its path, place on disk, size or time of change has. Who replaces one should rename
//! the new file over it: a reload in the middle of a copy finds half a database, and refuses it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Stamp;
use crate::geo::{Database, DatabaseError, Places};

/// The databases as they were read.
#[derive(Clone, Debug)]
pub struct Databases {
    files: Vec<(PathBuf, Stamp)>,
    places: Arc<Places>,
}

/// Databases that cannot be used, each with its reason; at least one.
#[derive(Debug)]
pub struct BadDatabases(pub Vec<BadDatabase>);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}; {}", path.display(), cause.remedy())]
pub struct BadDatabase {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub cause: Cause,
}

/// Why a file cannot be used, without its name.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// It cannot be read.
    #[error("cannot read the database: {0}")]
    Unreadable(#[from] io::Error),
    /// It is no database.
    #[error(transparent)]
    Broken(#[from] DatabaseError),
}

impl Cause {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "the path is relative to the file that names it; leeward's user must be able to read it",
            Self::Broken(_) => "fetch it again, or put back the one before; `[geo] databases` takes .mmdb files",
        }
    }
}

impl Databases {
    /// Reads them.
    ///
    /// # Errors
    /// [`BadDatabases`], all of them.
    pub fn read(paths: &[PathBuf]) -> Result<Self, BadDatabases> {
        let (mut files, mut databases, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            match read(path) {
                Ok((stamp, database)) => {
                    files.push((path.clone(), stamp));
                    databases.push(database);
                }
                Err(cause) => bad.push(BadDatabase { path: path.clone(), cause }),
            }
        }
        if !bad.is_empty() {
            return Err(BadDatabases(bad));
        }
        let read = Self { files, places: Arc::new(Places::new(databases)) };
        read.log();
        Ok(read)
    }

    /// As they are now; the same where no file has changed.
    ///
    /// # Errors
    /// [`BadDatabases`], all of them.
    pub fn read_again(&self, paths: &[PathBuf]) -> Result<Self, BadDatabases> {
        let now = |path: &PathBuf| Some((path.clone(), Stamp::at(path)?));
        if paths.iter().map(now).eq(self.files.iter().cloned().map(Some)) {
            return Ok(self.clone());
        }
        Self::read(paths)
    }

    /// What they say together.
    #[must_use]
    pub fn places(&self) -> Arc<Places> {
        Arc::clone(&self.places)
    }

    fn log(&self) {
        let places = &self.places;
        for source in places.sources() {
            tracing::info!(networks = source.networks, "{} read", source.name);
        }
        if !self.files.is_empty() {
            let (count, ranges, megabytes) = (places.distinct(), places.ranges(), places.bytes().div_ceil(1_000_000));
            tracing::info!(places = count, ranges, megabytes, "places of addresses are known");
        }
    }
}

fn read(path: &Path) -> Result<(Stamp, Database), Cause> {
    let mut file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok((stamp, Database::read(&name, &bytes)?))
}

impl std::error::Error for BadDatabases {}

impl fmt::Display for BadDatabases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, bad)| write!(f, "{}{bad}", if at == 0 { "" } else { "\n" }))
    }
}
