//! The order in which PowerDNS walks a weighted list (spec 6.3).
//!
//! There the list sits in a C++ `unordered_map<int, ...>` filled with the keys 1 to n, so the walk has libstdc++'s
//! order. A new key whose bucket is empty goes to the front; consecutive keys below the bucket count never share a
//! bucket; and growing the table relinks every element at the front, which turns the list round.

use std::collections::VecDeque;

/// libstdc++'s bucket counts, as a table that starts with one element grows. The last exceeds
/// [`LIST_MAX`](crate::program::LIST_MAX).
const BUCKETS: [usize; 9] = [13, 29, 59, 127, 257, 541, 1109, 2357, 5087];

/// The order of the walk over `count` items, as indices from 0.
pub(super) fn walk_order(count: usize) -> VecDeque<usize> {
    let mut order = VecDeque::with_capacity(count);
    for item in 0..count {
        if BUCKETS.contains(&item) {
            order.make_contiguous().reverse();
        }
        order.push_front(item);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<usize> {
        walk_order(count).iter().map(|item| item + 1).collect()
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
