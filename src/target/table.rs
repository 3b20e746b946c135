//! A dense table that is shared with readers and changed copy-on-write.
//!
//! Two levels: a spine of chunks, each behind its own `Arc`. A clone copies the spine's pointer; a change copies the
//! spine and the chunks it touches. So publishing one flip among 100,000 entries copies a few chunks and a spine of a
//! few hundred pointers, not 100,000 entries, and everything else stays shared with the snapshots that queries hold.

use std::sync::Arc;

use super::check::CheckId;
use super::status::Status;

/// Entries per chunk: a flip copies one chunk (256 entries) and one spine (n / 256 pointers), which balances at about
/// 65,000 entries and stays below 10 kB of copying up to a million.
const CHUNK: usize = 256;

/// A dense table of `T` by `u32` index, cheap to clone and to change in a few places.
#[derive(Debug)]
pub struct ChunkTable<T> {
    spine: Arc<Vec<Arc<[T; CHUNK]>>>,
    fill: T,
}

impl<T: Clone> Clone for ChunkTable<T> {
    fn clone(&self) -> Self {
        Self { spine: Arc::clone(&self.spine), fill: self.fill.clone() }
    }
}

impl<T: Clone> ChunkTable<T> {
    /// A table in which every entry reads as `fill` until it is set.
    #[must_use]
    pub fn new(fill: T) -> Self {
        Self { spine: Arc::default(), fill }
    }

    /// The entry at `index`.
    #[must_use]
    pub fn get(&self, index: u32) -> &T {
        let index = index as usize;
        self.spine.get(index / CHUNK).map_or(&self.fill, |chunk| &chunk[index % CHUNK])
    }

    /// Replaces the entry at `index`. Clones made before keep the old one.
    pub fn set(&mut self, index: u32, value: T) {
        let index = index as usize;
        let spine = Arc::make_mut(&mut self.spine);
        while spine.len() <= index / CHUNK {
            spine.push(Arc::new(std::array::from_fn(|_| self.fill.clone())));
        }
        Arc::make_mut(&mut spine[index / CHUNK])[index % CHUNK] = value;
    }

    /// How many chunks two tables share: what the copy-on-write tests count.
    #[cfg(test)]
    pub(crate) fn shared_chunks(&self, other: &Self) -> usize {
        self.spine.iter().zip(other.spine.iter()).filter(|(ours, theirs)| Arc::ptr_eq(ours, theirs)).count()
    }
}

/// The status of every check, by [`CheckId`].
#[derive(Clone, Debug)]
pub struct StatusTable(ChunkTable<Status>);

impl StatusTable {
    /// A table in which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self(ChunkTable::new(Status::NEVER))
    }

    /// What we believe about `check`.
    #[must_use]
    pub fn get(&self, check: CheckId) -> Status {
        *self.0.get(check.0)
    }

    /// Changes what we believe about `check`.
    pub fn set(&mut self, check: CheckId, status: Status) {
        self.0.set(check.0, status);
    }
}

impl Default for StatusTable {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_copies_one_chunk_and_leaves_readers_alone() {
        let mut table = ChunkTable::new(0u64);
        for index in 0..100_000 {
            table.set(index, u64::from(index));
        }
        let published = table.clone();
        table.set(50_000, 7);
        assert_eq!((*published.get(50_000), *table.get(50_000)), (50_000, 7));
        assert_eq!(table.shared_chunks(&published), 100_000usize.div_ceil(CHUNK) - 1);
        assert_eq!(*table.get(1_000_000), 0);
    }
}
