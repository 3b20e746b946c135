//! LuaJIT's random numbers, for programs that choose their own seed.
//!
//! A program that seeds with something of the client (`math.randomseed(hash)`) expects the same client to draw the same
//! numbers, and those that PowerDNS draws. LuaJIT's generator is Tausworthe's with a period of 2^223, four words
//! combined (L'Ecuyer, "Tables of maximally equidistributed combined LFSR generators", 1999).
//!
//! Never here: numbers that nobody may foresee; a program that sets no seed draws from the caller's.

/// Length, first shift, second shift of each word.
const WORDS: [(u32, u32, u32); 4] = [(63, 31, 18), (58, 19, 28), (55, 24, 7), (47, 21, 8)];
/// Numbers that are thrown away after seeding.
const WARM_UP: usize = 10;

/// A seeded sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeded {
    words: [u64; 4],
}

impl Seeded {
    /// The sequence that `math.randomseed(seed)` begins.
    pub(super) fn new(seed: f64) -> Self {
        let mut number = seed;
        let words = WORDS.map(|(length, ..)| {
            number = number * std::f64::consts::PI + std::f64::consts::E;
            let least = 1u64 << (64 - length);
            let bits = number.to_bits();
            if bits < least { bits + least } else { bits }
        });
        let mut seeded = Self { words };
        for _ in 0..WARM_UP {
            seeded.bits();
        }
        seeded
    }

    /// The next number, at least 0 and below 1.
    pub(super) fn draw(&mut self) -> f64 {
        f64::from_bits(self.bits() & (u64::MAX >> 12) | 1.0f64.to_bits()) - 1.0
    }

    fn bits(&mut self) -> u64 {
        for (word, (length, first, second)) in self.words.iter_mut().zip(WORDS) {
            let kept = *word & (u64::MAX << (64 - length));
            *word = (((*word << first) ^ *word) >> (length - second)) ^ (kept << second);
        }
        self.words.iter().fold(0, |bits, word| bits ^ word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected numbers are LuaJIT 2.1's.
    #[test]
    fn a_seed_draws_what_luajit_draws() {
        let shown = |seed: f64| {
            let mut seeded = Seeded::new(seed);
            [(); 3].map(|()| format!("{:.14}", seeded.draw()))
        };
        assert_eq!(shown(42.0), ["0.95607928791821", "0.00895572178593", "0.53860053951484"]);
        assert_eq!(shown(0.0), ["0.79420629243124", "0.69885246563716", "0.59010374172810"]);
        assert_eq!(shown(-1.5), ["0.35025644543951", "0.89810935256152", "0.48708355751215"]);
        assert_eq!(shown(4_021_676_348.0), ["0.06605441351061", "0.58902196637030", "0.55630518560732"]);
    }
}
