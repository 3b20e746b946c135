//! Sorted ranges of addresses that share a number, and laying one set of them over another.
//!
//! Starts and numbers are apart, so a range of IPv4 addresses takes eight bytes and a search touches starts only. Among
//! millions of ranges nearly every step of a search would read memory far from the one before. So the leading bits of an
//! address are looked up first, in a table that says among which few ranges it lies: one read there, and steps within a few
//! lines of cache.

/// Most leading bits that the first look goes by: a table of 256 kB.
const LEADING_MAX: u32 = 16;
/// About how many ranges one entry of this table stands for, in powers of two.
const SHARE_BITS: u32 = 3;

/// An address as a number.
pub(super) trait Key: Copy + Ord + Default {
    /// Its first `bits` bits, at most [`LEADING_MAX`].
    fn leading(self, bits: u32) -> usize;
    /// The least key with these leading bits.
    fn least(leading: usize, bits: u32) -> Self;
}

impl Key for u32 {
    fn leading(self, bits: u32) -> usize {
        self.checked_shr(Self::BITS - bits).unwrap_or(0) as usize
    }

    fn least(leading: usize, bits: u32) -> Self {
        (leading as Self).checked_shl(Self::BITS - bits).unwrap_or(0)
    }
}

impl Key for u128 {
    fn leading(self, bits: u32) -> usize {
        self.checked_shr(Self::BITS - bits).unwrap_or(0) as usize
    }

    fn least(leading: usize, bits: u32) -> Self {
        (leading as Self).checked_shl(Self::BITS - bits).unwrap_or(0)
    }
}

/// A number for each key; each range ends where the next starts.
#[derive(Clone, Debug)]
pub(super) struct Ranges<K> {
    /// The first is the least key.
    starts: Vec<K>,
    numbers: Vec<u32>,
    /// Once there is no more to come: by the leading bits of a key, the range that holds the least of them.
    leading: Vec<u32>,
    leading_bits: u32,
}

impl<K: Key> Ranges<K> {
    /// All keys have `number`.
    pub(super) fn all(number: u32) -> Self {
        Self { starts: vec![K::default()], numbers: vec![number], leading: Vec::new(), leading_bits: 0 }
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
        let leading = key.leading(self.leading_bits);
        let first = self.leading.get(leading).map_or(0, |&first| first as usize);
        let last = self.leading.get(leading + 1).map_or(self.len() - 1, |&last| last as usize);
        first + self.starts[first..=last].partition_point(|&start| start <= key) - 1 // the first of them holds, or is before, the key
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
        let (starts, numbers) = (Vec::with_capacity(self.len()), Vec::with_capacity(self.len()));
        let mut joined = Self { starts, numbers, leading: Vec::new(), leading_bits: 0 };
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
        let bits = self.len().ilog2().saturating_sub(SHARE_BITS).min(LEADING_MAX);
        let mut range = 0;
        let holder = |leading| {
            let least = K::least(leading, bits);
            while self.starts.get(range + 1).is_some_and(|&next| next <= least) {
                range += 1;
            }
            range as u32
        };
        self.leading = (0..1 << bits).map(holder).collect();
        self.leading_bits = bits;
    }

    /// Memory taken.
    pub(super) fn bytes(&self) -> usize {
        self.starts.capacity() * size_of::<K>() + (self.numbers.capacity() + self.leading.capacity()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With every range `step` apart, over the whole of the keys or their front.
    fn found_as_without_the_table<K: Key + std::fmt::Debug>(key: impl Fn(u32) -> K) {
        for count in [1, 7, 8, 9, 63, 64, 65, 200, 5000] {
            let mut ranges = Ranges::<K>::all(0);
            (1..count).for_each(|at| ranges.push(key(at * 10), at));
            let found = |ranges: &Ranges<K>| -> Vec<usize> { (0..count * 10 + 20).map(|at| ranges.index(key(at))).collect() };
            let before = found(&ranges);
            ranges.seal();
            assert_eq!(found(&ranges), before);
            assert!(before.iter().zip(0..).all(|(&index, at)| index == (at / 10).min(count as usize - 1)), "{count}");
        }
    }

    #[test]
    fn the_table_of_leading_bits_changes_nothing() {
        found_as_without_the_table(|at| at);
        found_as_without_the_table(|at| at * 80_000);
        found_as_without_the_table(|at| u128::from(at) << 111);
        found_as_without_the_table(|at| 0x2001 << 112 | u128::from(at) << 80);
    }
}
