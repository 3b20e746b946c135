//! What we believe about a check's target, and how beliefs combine.

use std::fmt;

/// Up, down, or never known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// Down.
    Down,
    /// No word at all, ever. Counts as "not up" in PowerDNS functions.
    Unknown,
    /// Up.
    Up,
}

impl Value {
    /// `up`, `down` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Up => "up",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a [`Value`] rests on, from the weakest to the strongest word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Basis {
    /// Nothing: no probe has finished and nothing was inherited.
    Never,
    /// State kept from an earlier process.
    Restored,
    /// The verdict of the check that this one replaces on the same target.
    Inherited,
    /// A verdict whose evidence is gone (inconclusive probes): the last value stands.
    Held,
    /// The words of other nodes, which outvote this one or speak where it has no word.
    Voted,
    /// A finished probe.
    Measured,
    /// An operator's word.
    Forced,
}

impl Basis {
    /// What something measured can rest on, for metrics that must list it.
    pub const MEASURED: [Self; 6] = [Self::Never, Self::Restored, Self::Inherited, Self::Held, Self::Voted, Self::Measured];

    /// A short, stable name for JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Restored => "restored",
            Self::Inherited => "inherited",
            Self::Held => "held",
            Self::Voted => "voted",
            Self::Measured => "measured",
            Self::Forced => "forced",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What we believe about one check.
///
/// Beliefs about several checks that must all hold (a target with two checks, a site with many targets) combine by
/// [`Status::and`]: the worst value, the weakest basis, drained if either is, the lower weight, the lower of the reported
/// weights (none is the highest), the earlier possible change, in doubt if either is. Each field is the minimum of a total order
/// (drain, doubt: the maximum), so `and` is commutative, associative and
/// idempotent, and [`Status::SOUND`] is its neutral element; the tests say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// Up, down or unknown.
    pub value: Value,
    /// What that rests on.
    pub basis: Basis,
    /// No new clients are to be sent there, whatever the value.
    pub drain: bool,
    /// Share of its configured weight that the target should get, in 1/256 (256 = all). 0: it is held in reserve, for where
    /// nobody else can serve.
    pub weight: u16,
    /// The weight that an up target gave itself; 0: none was asked for, or the target is not up.
    pub reported: u32,
    /// Seconds from the last result until the value could change at the earliest, for TTLs that fall when a change
    /// is near.
    pub earliest_change: u32,
    /// Whether the last result contradicts the value: a change is likely, and not only possible.
    pub doubt: bool,
}

impl Status {
    /// [`Status::weight`] of a target that is up and slow.
    pub const SLOW: u16 = 128;

    /// Nothing is known yet.
    pub const NEVER: Self = Self {
        value: Value::Unknown,
        basis: Basis::Never,
        drain: false,
        weight: 256,
        reported: 0,
        earliest_change: 0,
        doubt: false,
    };

    /// The neutral element of [`Status::and`].
    pub const SOUND: Self = Self {
        value: Value::Up,
        basis: Basis::Forced,
        drain: false,
        weight: 256,
        reported: 0,
        earliest_change: u32::MAX,
        doubt: false,
    };

    /// Whether the target may be handed out: up and not drained.
    #[must_use]
    pub const fn is_available(self) -> bool {
        matches!(self.value, Value::Up) && !self.drain
    }

    /// Whether not even a fallback may name the target (DESIGN 6.8): drained, or an operator said down.
    #[must_use]
    pub const fn is_excluded(self) -> bool {
        self.drain || matches!((self.value, self.basis), (Value::Down, Basis::Forced))
    }

    /// How soon the value is likely to change, in seconds, where it is likely; in steps, so that a countdown is no change each
    /// second.
    #[must_use]
    pub fn likely_change(self) -> Option<u32> {
        const STEPS: [u32; 10] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
        let step = || STEPS.into_iter().rev().find(|&step| step <= self.earliest_change).unwrap_or(1);
        self.doubt.then(step)
    }

    /// Both must hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            value: self.value.min(other.value),
            basis: self.basis.min(other.basis),
            drain: self.drain | other.drain,
            weight: self.weight.min(other.weight),
            reported: lower_reported(self.reported, other.reported),
            earliest_change: self.earliest_change.min(other.earliest_change),
            doubt: self.doubt | other.doubt,
        }
    }
}

/// The lower of two reported weights; 0, none, is above all.
const fn lower_reported(one: u32, other: u32) -> u32 {
    match (one, other) {
        (0, weight) | (weight, 0) => weight,
        _ if one < other => one,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_status() -> impl Strategy<Value = Status> {
        let value = prop_oneof![Just(Value::Down), Just(Value::Unknown), Just(Value::Up)];
        let basis = prop_oneof![Just(Basis::Never), Just(Basis::Held), Just(Basis::Measured), Just(Basis::Forced)];
        (value, basis, any::<bool>(), 0u16..=256, 0u32..4, any::<u32>(), any::<bool>()).prop_map(
            |(value, basis, drain, weight, reported, earliest_change, doubt)| Status {
                value,
                basis,
                drain,
                weight,
                reported,
                earliest_change,
                doubt,
            },
        )
    }

    proptest! {
        #[test]
        fn and_is_a_semilattice(a in any_status(), b in any_status(), c in any_status()) {
            prop_assert_eq!(a.and(b), b.and(a));
            prop_assert_eq!(a.and(b).and(c), a.and(b.and(c)));
            prop_assert_eq!(a.and(a), a);
            prop_assert_eq!(a.and(Status::SOUND), a);
        }

        #[test]
        fn and_never_makes_available(a in any_status(), b in any_status()) {
            prop_assert_eq!(a.and(b).is_available(), a.is_available() && b.is_available());
        }
    }
}
