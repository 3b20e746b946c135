//! Who of a pool serves, and with what part of the answers: what the rules want, before any client asks.
//!
//! Decided here once: `program` settles its choices on it, and metrics show it beside what was answered.

use super::pool::{Pool, PoolMember, Select};
use super::status::Status;

/// A member of a pool that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Its position in the pool.
    pub member: usize,
    /// Its weight against the others that serve, above 0.
    pub weight: u32,
}

impl Pool {
    /// The members of the first level that can serve, its reserves only where it needs them; `None`: no level can. `share` says
    /// of the member at a position what it gets of its weight, in 1/256; `None`: it is not available.
    #[must_use]
    pub fn serving(&self, share: impl Fn(usize) -> Option<u16>) -> Option<Vec<Serving>> {
        [false, true].into_iter().find_map(|reserves| self.first_level(&share, reserves))
    }

    fn first_level(&self, share: impl Fn(usize) -> Option<u16>, reserves: bool) -> Option<Vec<Serving>> {
        let mut from = 0;
        for level in self.members.chunk_by(|one, other| one.level == other.level) {
            let numbered = (from..).zip(level);
            from += level.len();
            let available = numbered.filter_map(|(at, member)| Some((at, self.weight(member), share(at)?)));
            let available: Vec<_> = available.filter(|&(_, weight, share)| reserves || (share > 0 && weight > 0)).collect();
            if available.len() >= self.min_up.at_least(level.len()).max(1) {
                let shares: Vec<u16> = available.iter().map(|&(_, _, share)| share.max(1)).collect();
                let mut weights: Vec<u32> = available.iter().map(|&(_, weight, _)| weight.max(1)).collect();
                share_out(&mut weights, &shares);
                let serving = available.into_iter().zip(weights);
                return Some(serving.map(|((member, ..), weight)| Serving { member, weight }).collect());
            }
        }
        None
    }

    const fn weight(&self, member: &PoolMember) -> u32 {
        if self.select.is_weighted() { member.weight } else { 1 }
    }

    /// The part that each member should have of all members that answers name, 0 to 1, together 1; `statuses` say what each
    /// address counts as, in the order of [`Pool::faces`], and a member is available while any of its is. By the hash of the
    /// client it is that of many clients. `None`: no level can serve; or the part depends on where clients are; or several are
    /// drawn by weights that differ, of which the heavy ones get less than their weight, being drawn once each.
    #[must_use]
    pub fn wanted_shares(&self, statuses: &[Status]) -> Option<Vec<f64>> {
        let mut shares: Vec<Option<u16>> = vec![None; self.members.len()];
        for ((at, _), status) in self.faces().zip(statuses).filter(|(_, status)| status.is_available()) {
            shares[at] = shares[at].max(Some(status.weight));
        }
        let serving = self.serving(|at| shares.get(at).copied().flatten())?;
        let wanted = self.wanted_weights(&serving)?;
        let sum: f64 = wanted.iter().sum();
        let mut parts = vec![0.0; self.members.len()];
        for (serving, weight) in serving.iter().zip(wanted) {
            parts[serving.member] = weight / sum;
        }
        Some(parts)
    }

    /// What the parts of those that serve are in proportion to.
    fn wanted_weights(&self, serving: &[Serving]) -> Option<Vec<f64>> {
        let most = self.answers.map_or(usize::MAX, usize::from);
        let is_even = serving.windows(2).all(|pair| pair[0].weight == pair[1].weight);
        let of_each = |weight: fn(&Serving) -> u32| serving.iter().map(|one| f64::from(weight(one))).collect();
        match self.select {
            Select::All | Select::First => Some((0..serving.len()).map(|at| f64::from(u8::from(at < most))).collect()),
            Select::Hashed => Some(of_each(|one| one.weight)),
            Select::Random | Select::Weighted | Select::CHashed if most == 1 => Some(of_each(|one| one.weight)),
            Select::Random | Select::Weighted | Select::CHashed if is_even || most >= serving.len() => Some(of_each(|_| 1)),
            Select::Random | Select::Weighted | Select::CHashed => None,
            Select::Closest | Select::RegionThenRest | Select::Map(_) => None,
        }
    }
}

/// Gives each weight its share, in 1/256, keeping the proportions exact where the numbers allow.
pub fn share_out(weights: &mut [u32], shares: &[u16]) {
    let exact = |weight: &u32, share: &u16| u64::from(*weight) * u64::from(*share);
    let all = || weights.iter().zip(shares).map(|(weight, share)| exact(weight, share));
    let divisor = all().fold(0, gcd).max(1);
    let fits = all().map(|weight| weight / divisor).sum::<u64>() <= u64::from(u32::MAX);
    for (weight, share) in weights.iter_mut().zip(shares) {
        let exact = (exact(weight, share) / divisor).max(1);
        *weight = u32::try_from(exact).ok().filter(|_| fits).unwrap_or_else(|| part_of(*weight, *share));
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// So many 1/256 of a weight, at least 1.
#[must_use]
pub fn part_of(weight: u32, share: u16) -> u32 {
    u32::try_from(u64::from(weight) * u64::from(share) / 256).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::pool::testing::pool;
    use super::super::{Basis, Value};
    use super::*;

    const UP: Status = Status { value: Value::Up, basis: Basis::Measured, ..Status::NEVER };
    const DOWN: Status = Status { value: Value::Down, basis: Basis::Measured, ..Status::NEVER };

    fn weighted(select: Select, answers: Option<u16>, weights: [u32; 3]) -> Pool {
        let mut pool = pool(select, &[(0, &["192.0.2.1"]), (0, &["192.0.2.2", "2001:db8::2"]), (1, &["192.0.2.3"])]);
        pool.members.iter_mut().zip(weights).for_each(|(member, weight)| member.weight = weight);
        Pool { answers, ..pool }
    }

    #[test]
    fn what_is_wanted() {
        let slow = Status { weight: 64, ..UP };
        let reserve = Status { weight: 0, ..UP };
        let drained = Status { drain: true, ..UP };
        for (select, answers, weights, statuses, wanted) in [
            (Select::Weighted, Some(1), [1, 3, 5], [UP, UP, UP, UP], Some([0.25, 0.75, 0.0])),
            (Select::Hashed, Some(1), [1, 3, 5], [UP, UP, UP, UP], Some([0.25, 0.75, 0.0])),
            (Select::CHashed, Some(1), [1, 3, 5], [UP, DOWN, UP, UP], Some([0.25, 0.75, 0.0])),
            (Select::Weighted, Some(1), [1, 3, 5], [slow, UP, UP, UP], Some([1.0 / 13.0, 12.0 / 13.0, 0.0])),
            (Select::Weighted, Some(1), [1, 3, 5], [UP, slow, UP, UP], Some([0.25, 0.75, 0.0])),
            (Select::Weighted, Some(1), [1, 0, 5], [UP, UP, UP, UP], Some([1.0, 0.0, 0.0])),
            (Select::Weighted, Some(1), [1, 3, 5], [reserve, UP, UP, UP], Some([0.0, 1.0, 0.0])),
            (Select::Weighted, Some(1), [1, 3, 5], [UP, drained, drained, UP], Some([1.0, 0.0, 0.0])),
            (Select::Weighted, Some(1), [1, 3, 5], [DOWN, DOWN, DOWN, UP], Some([0.0, 0.0, 1.0])),
            (Select::Weighted, Some(1), [1, 3, 5], [DOWN; 4], None),
            (Select::Weighted, Some(2), [1, 3, 5], [UP; 4], Some([0.5, 0.5, 0.0])),
            (Select::Random, Some(1), [1, 3, 5], [UP; 4], Some([0.5, 0.5, 0.0])),
            (Select::Random, Some(1), [1, 3, 5], [slow, UP, UP, UP], Some([0.2, 0.8, 0.0])),
            (Select::First, Some(1), [1, 3, 5], [UP; 4], Some([1.0, 0.0, 0.0])),
            (Select::All, None, [1, 3, 5], [UP; 4], Some([0.5, 0.5, 0.0])),
            (Select::Closest, Some(1), [1, 3, 5], [UP; 4], None),
            (Select::Map("m".into()), Some(1), [1, 3, 5], [UP; 4], None),
        ] {
            let pool = weighted(select, answers, weights);
            let found = pool.wanted_shares(&statuses);
            assert_eq!(found, wanted.map(Vec::from), "{:?} {weights:?} {statuses:?}", pool.select);
        }
    }

    #[test]
    fn several_by_weights_that_differ_have_no_simple_share() {
        let mut pool = pool(Select::Weighted, &[(0, &["192.0.2.1"]), (0, &["192.0.2.2"]), (0, &["192.0.2.3"])]);
        pool.answers = Some(2);
        let thirds = vec![1.0 / 3.0; 3];
        assert_eq!(pool.wanted_shares(&[UP; 3]), Some(thirds));
        pool.members[0].weight = 7;
        assert_eq!(pool.wanted_shares(&[UP; 3]), None);
    }
}
