//! A dense table that is shared with readers and changed copy-on-write.
//!
//! A tree of four levels: a root of branches, branches of twigs, twigs of leaves, leaves of entries, each behind its own
//! `Arc`. A clone copies the root's pointer; a change copies what lies on the way to the entries that it touches. So
//! publishing one flip among 100,000 entries copies some leaves and twigs, not 100,000 entries, and everything else stays
//! shared with the snapshots that queries hold.
//!
//! What a copy costs is not its octets but its references: each pointer in it makes one more holder of what it points to,
//! an atomic increment somewhere else in memory, which whoever frees the copy takes back. Hence small nodes, and
//! [`ChunkTable::warm`]; and none above a kilobyte, for which allocators go another and slower way.

use std::hint::black_box;
use std::sync::Arc;

use super::check::CheckId;
use super::status::Status;

/// Entries of a leaf.
///
/// A flip that touches 30 entries far from each other among 100,000 counts as held once more 30 x 8 entries, 30 x 16 leaves,
/// some 23 x 16 twigs and 49 branches: 1,130 increments, in nodes of 144 octets at most and a root of 400. With two levels
/// and leaves of 256, as it was, they were 8,100; with three of 16 they are 1,350, and the root is of 3 kB. The fourth level
/// costs a reader one more load, from a few kilobytes that every reader uses.
const LEAF: usize = 8;
/// Leaves of a twig, and twigs of a branch.
const WIDTH: usize = 16;
/// Entries below a twig.
const TWIG: usize = WIDTH * LEAF;
/// Entries below a branch.
const BRANCH: usize = WIDTH * TWIG;

type Leaf<T> = [T; LEAF];
type Twig<T> = [Arc<Leaf<T>>; WIDTH];
type Branch<T> = [Arc<Twig<T>>; WIDTH];

/// A dense table of `T` by `u32` index, cheap to clone and to change in a few places.
#[derive(Debug)]
pub struct ChunkTable<T> {
    root: Arc<Vec<Arc<Branch<T>>>>,
    fill: T,
}

impl<T: Clone> Clone for ChunkTable<T> {
    fn clone(&self) -> Self {
        Self { root: Arc::clone(&self.root), fill: self.fill.clone() }
    }
}

impl<T: Clone> ChunkTable<T> {
    /// A table in which every entry reads as `fill` until it is set.
    #[must_use]
    pub fn new(fill: T) -> Self {
        Self { root: Arc::default(), fill }
    }

    /// The entry at `index`.
    #[must_use]
    pub fn get(&self, index: u32) -> &T {
        let index = index as usize;
        self.root.get(index / BRANCH).map_or(&self.fill, |branch| {
            let twig = &branch[index / TWIG % WIDTH];
            &twig[index / LEAF % WIDTH][index % LEAF]
        })
    }

    /// Replaces the entry at `index`. Clones made before keep the old one.
    pub fn set(&mut self, index: u32, value: T) {
        let index = index as usize;
        let root = Arc::make_mut(&mut self.root);
        while root.len() <= index / BRANCH {
            let leaf = Arc::new(std::array::from_fn(|_| self.fill.clone()));
            let twig = Arc::new(std::array::from_fn(|_| Arc::clone(&leaf)));
            root.push(Arc::new(std::array::from_fn(|_| Arc::clone(&twig))));
        }
        let branch = Arc::make_mut(&mut root[index / BRANCH]);
        let twig = Arc::make_mut(&mut branch[index / TWIG % WIDTH]);
        Arc::make_mut(&mut twig[index / LEAF % WIDTH])[index % LEAF] = value;
    }

    /// Looks at the counts of everything of which setting these entries makes one more holder; `holders` reads an entry's
    /// own. Changes nothing: counting up waits for memory each time, one after the other, looking does not, and afterwards
    /// the counts are in the cache.
    pub fn warm(&self, indices: impl Iterator<Item = u32>, holders: impl Fn(&T) -> usize) {
        let mut seen: usize = self.root.iter().map(Arc::strong_count).sum();
        for index in indices {
            let index = index as usize;
            let Some(branch) = self.root.get(index / BRANCH) else { continue };
            let twig = &branch[index / TWIG % WIDTH];
            seen = seen.wrapping_add(branch.iter().map(Arc::strong_count).sum());
            seen = seen.wrapping_add(twig.iter().map(Arc::strong_count).sum());
            seen = seen.wrapping_add(twig[index / LEAF % WIDTH].iter().map(&holders).sum());
        }
        black_box(seen);
    }

    /// How many leaves two tables share: what the copy-on-write tests count.
    #[cfg(test)]
    pub(crate) fn shared_leaves(&self, other: &Self) -> usize {
        let twigs = |table: &Self| table.root.iter().flat_map(|branch| branch.to_vec()).collect::<Vec<_>>();
        let leaves = |table: &Self| twigs(table).iter().flat_map(|twig| twig.to_vec()).collect::<Vec<_>>();
        leaves(self).iter().zip(&leaves(other)).filter(|(ours, theirs)| Arc::ptr_eq(ours, theirs)).count()
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
    fn a_change_copies_one_leaf_and_leaves_readers_alone() {
        let mut table = ChunkTable::new(0u64);
        for index in 0..100_000 {
            table.set(index, u64::from(index));
        }
        let published = table.clone();
        table.set(50_000, 7);
        assert_eq!((*published.get(50_000), *table.get(50_000)), (50_000, 7));
        assert_eq!(table.shared_leaves(&published), 100_000usize.next_multiple_of(BRANCH) / LEAF - 1);
        assert_eq!(*table.get(1_000_000), 0);
        assert!((0..100_000).all(|index| *published.get(index) == u64::from(index)));
    }
}
