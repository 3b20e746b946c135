//! The order in which PowerDNS walks a weighted list (spec 6.3).
//!
//! There the list sits in a C++ `unordered_map<int, ...>` that its keys fill by rising number, so the walk has
//! libstdc++'s order: a new key goes to the front of its bucket's elements, or, where there are none, to the front of all;
//! and growing the table does the same with every element anew, in the order of the walk. For the keys 1 to n that means:
//! always to the front, and turned round by growing.

use std::collections::{HashSet, VecDeque};

/// libstdc++'s bucket counts, as a table that starts with one element grows. The last exceeds
/// [`LIST_MAX`](crate::program::LIST_MAX).
const BUCKETS: [u64; 9] = [13, 29, 59, 127, 257, 541, 1109, 2357, 5087];

/// The order of the walk over items with these keys, as indices from 0.
pub(super) fn walk_order(keys: &[i64]) -> VecDeque<usize> {
    let mut table = Table { buckets: BUCKETS[0], occupied: HashSet::new(), order: VecDeque::with_capacity(keys.len()) };
    for item in 0..keys.len() {
        if item as u64 >= table.buckets {
            table.grow(keys);
        }
        table.insert(keys, item);
    }
    table.order
}

struct Table {
    buckets: u64,
    occupied: HashSet<u64>,
    order: VecDeque<usize>,
}

impl Table {
    fn grow(&mut self, keys: &[i64]) {
        self.buckets = BUCKETS.into_iter().find(|&count| count > self.buckets).unwrap_or(u64::MAX);
        self.occupied.clear();
        for item in std::mem::take(&mut self.order) {
            self.insert(keys, item);
        }
    }

    fn insert(&mut self, keys: &[i64], item: usize) {
        let bucket = self.bucket(keys[item]);
        let shared = !self.occupied.insert(bucket);
        let beside = if shared { self.order.iter().position(|&other| self.bucket(keys[other]) == bucket) } else { None };
        self.order.insert(beside.unwrap_or(0), item);
    }

    /// Where a key goes: `std::hash<int>` is the number itself.
    const fn bucket(&self, key: i64) -> u64 {
        (key as u64) % self.buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<usize> {
        let keys: Vec<i64> = (1..).take(count).collect();
        walk_order(&keys).iter().map(|item| item + 1).collect()
    }

    #[test]
    fn short_lists_are_walked_backwards() {
        for count in 0..=13 {
            assert_eq!(keys(count), (1..=count).rev().collect::<Vec<_>>());
        }
    }

    #[test]
    fn longer_lists_turn_round_when_the_table_grows() {
        assert_eq!(keys(16), [16, 15, 14].into_iter().chain(1..=13).collect::<Vec<_>>());
        assert_eq!(keys(31), [31, 30].into_iter().chain((1..=13).rev()).chain(14..=29).collect::<Vec<_>>());
    }

    #[test]
    fn other_keys_share_buckets() {
        // 14 and 1 share one of 13 buckets: the later stands before the earlier, and nothing comes between.
        assert_eq!(walk_order(&[1, 2, 14]), [1, 2, 0]);
        assert_eq!(walk_order(&[5, 9]), [1, 0]);
        assert_eq!(walk_order(&[-1, 0]), [1, 0]);
    }

    /// FNV-1a over the keys, as a program built with g++ and libstdc++ printed them.
    #[test]
    fn the_order_is_libstdcxx_order() {
        let vectors: [(usize, u64); 9] = [
            (13, 16_546_102_497_568_655_694),
            (14, 2_574_860_120_120_963_630),
            (16, 18_173_975_643_632_108_631),
            (31, 5_845_180_447_937_916_129),
            (60, 7_318_100_325_560_078_739),
            (1110, 7_551_321_555_732_946_850),
            (2357, 2_083_836_868_080_702_478),
            (2358, 4_964_676_424_470_327_950),
            (4096, 5_169_624_688_430_703_119),
        ];
        for (count, wanted) in vectors {
            let start = 1_469_598_103_934_665_603u64;
            let digest = keys(count).iter().fold(start, |sum, &key| (sum ^ key as u64).wrapping_mul(1_099_511_628_211));
            assert_eq!(digest, wanted, "{count}");
        }
    }
}
