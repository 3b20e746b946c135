//! Sorted ranges of addresses that share a number, and laying one set of them over another.
//!
//! Starts and numbers are apart, so a range of IPv4 addresses takes eight bytes and a search touches starts only. Among a
//! million ranges nearly every step of a search would read memory far from the one before; every 64th start is kept once
//! more, so the first steps stay within a small table and the last ones within a few lines of cache.

/// How many ranges have one fence.
const FENCED: usize = 64;

/// A number for each key; each range ends where the next starts.
#[derive(Clone, Debug)]
pub(super) struct Ranges<K> {
    /// The first is the least key.
    starts: Vec<K>,
    numbers: Vec<u32>,
    /// Once there is no more to come: every [`FENCED`]th start.
    fences: Vec<K>,
}

impl<K: Copy + Ord + Default> Ranges<K> {
    /// All keys have `number`.
    pub(super) fn all(number: u32) -> Self {
        Self { starts: vec![K::default()], numbers: vec![number], fences: Vec::new() }
    }

    /// From `start` on, `number`. Starts come in order.
    pub(super) fn push(&mut self, start: K, number: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.numbers.pop();
        }
        if self.numbers.last() != Some(&number) {
            self.push_apart(start, number);
        }
    }

    /// As [`Self::push`], but a range of its own even where the one before has the same number.
    pub(super) fn push_apart(&mut self, start: K, number: u32) {
        self.starts.push(start);
        self.numbers.push(number);
    }

    /// How many ranges.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The range that holds `key`.
    pub(super) fn index(&self, key: K) -> usize {
        let fence = self.fences.partition_point(|&start| start <= key).checked_sub(1);
        let (first, count) = fence.map_or((0, self.len()), |fence| (fence * FENCED, FENCED));
        let starts = &self.starts[first..self.len().min(first + count)];
        first + starts.partition_point(|&start| start <= key) - 1 // the first is the least key
    }

    /// How many ranges start before `key`.
    pub(super) fn before(&self, key: K) -> usize {
        self.starts.partition_point(|&start| start < key)
    }

    pub(super) fn start(&self, index: usize) -> K {
        self.starts[index]
    }

    pub(super) fn number(&self, index: usize) -> u32 {
        self.numbers[index]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, u32)> {
        self.starts.iter().copied().zip(self.numbers.iter().copied())
    }

    /// For each key what `join` makes of the numbers in both.
    pub(super) fn overlay(&self, other: &Self, mut join: impl FnMut(u32, u32) -> u32) -> Self {
        let mut joined =
            Self { starts: Vec::with_capacity(self.len()), numbers: Vec::with_capacity(self.len()), fences: Vec::new() };
        let (mut ours, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        let mut numbers = (0, 0);
        while let Some(start) = ours.peek().into_iter().chain(theirs.peek()).map(|&(start, _)| start).min() {
            numbers.0 = ours.next_if(|next| next.0 == start).map_or(numbers.0, |(_, number)| number);
            numbers.1 = theirs.next_if(|next| next.0 == start).map_or(numbers.1, |(_, number)| number);
            joined.push(start, join(numbers.0, numbers.1));
        }
        joined
    }

    /// There is no more to come.
    pub(super) fn seal(&mut self) {
        self.starts.shrink_to_fit();
        self.numbers.shrink_to_fit();
        self.fences = self.starts.iter().copied().step_by(FENCED).collect();
    }

    /// Memory taken.
    pub(super) fn bytes(&self) -> usize {
        (self.starts.capacity() + self.fences.capacity()) * size_of::<K>() + self.numbers.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_change_nothing() {
        for count in [1, 63, 64, 65, 200] {
            let mut ranges = Ranges::<u32>::all(0);
            (1..count).for_each(|at| ranges.push(at * 10, at));
            let found = |ranges: &Ranges<u32>| -> Vec<usize> { (0..2010).map(|key| ranges.index(key)).collect() };
            let before = found(&ranges);
            ranges.seal();
            assert_eq!(found(&ranges), before);
            assert!(before.iter().zip(0..).all(|(&index, key)| index == (key / 10).min(count as usize - 1)), "{count}");
        }
    }
}
