//! Sorted ranges of addresses that share a number, and laying one set of them over another.
//!
//! Starts and numbers are apart, so a range of IPv4 addresses takes eight bytes and a search touches starts only.

/// A number for each key; each range ends where the next starts.
#[derive(Clone, Debug)]
pub(super) struct Ranges<K> {
    /// The first is the least key.
    starts: Vec<K>,
    numbers: Vec<u32>,
}

impl<K: Copy + Ord + Default> Ranges<K> {
    /// All keys have `number`.
    pub(super) fn all(number: u32) -> Self {
        Self { starts: vec![K::default()], numbers: vec![number] }
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
        self.starts.partition_point(|&start| start <= key) - 1 // the first is the least key
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
        let mut joined = Self { starts: Vec::with_capacity(self.len()), numbers: Vec::with_capacity(self.len()) };
        let (mut ours, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        let mut numbers = (0, 0);
        while let Some(start) = ours.peek().into_iter().chain(theirs.peek()).map(|&(start, _)| start).min() {
            numbers.0 = ours.next_if(|next| next.0 == start).map_or(numbers.0, |(_, number)| number);
            numbers.1 = theirs.next_if(|next| next.0 == start).map_or(numbers.1, |(_, number)| number);
            joined.push(start, join(numbers.0, numbers.1));
        }
        joined
    }

    /// Gives back room that is not used.
    pub(super) fn shrink(&mut self) {
        self.starts.shrink_to_fit();
        self.numbers.shrink_to_fit();
    }

    /// Memory taken.
    pub(super) fn bytes(&self) -> usize {
        self.starts.capacity() * size_of::<K>() + self.numbers.capacity() * size_of::<u32>()
    }
}
