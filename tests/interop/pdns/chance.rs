//! Whether two servers draw alike: Pearson's χ² of homogeneity over the answers that each gave.
//!
//! The bound is set so that two servers that do draw alike fail once in a thousand million runs.

use std::collections::BTreeMap;

use super::compare::Said;

/// Answers with fewer draws than this expected in either server count as one, as χ² asks for.
const EXPECTED: f64 = 5.0;
/// The least probability that is still believed.
pub const BELIEVED: f64 = 1e-9;

/// The probability that two servers that draw alike differ as much as these.
pub fn probability(ours: &[Said], theirs: &[Said]) -> f64 {
    let mut counts: BTreeMap<&Said, [f64; 2]> = BTreeMap::new();
    for (said, side) in ours.iter().map(|said| (said, 0)).chain(theirs.iter().map(|said| (said, 1))) {
        counts.entry(said).or_default()[side] += 1.0;
    }
    let totals = [ours.len() as f64, theirs.len() as f64];
    let share = |sum: f64, side: usize| sum * totals[side] / (totals[0] + totals[1]);
    let rare = |counts: &[f64; 2]| (0..2).any(|side| share(counts[0] + counts[1], side) < EXPECTED);
    let (few, mut cells): (Vec<[f64; 2]>, Vec<[f64; 2]>) = counts.into_values().partition(rare);
    if !few.is_empty() {
        cells.push([few.iter().map(|cell| cell[0]).sum(), few.iter().map(|cell| cell[1]).sum()]);
    }
    let distance = |cell: &[f64; 2]| (0..2).map(|side| square_over(cell[side], share(cell[0] + cell[1], side))).sum::<f64>();
    upper_tail(cells.iter().map(distance).sum(), cells.len() - 1)
}

fn square_over(seen: f64, expected: f64) -> f64 {
    (seen - expected).powi(2) / expected
}

/// The probability that χ² with `degrees` of freedom is at least `value`: 1 - P(degrees/2, value/2), by the series of the
/// incomplete gamma function (DLMF 8.7.1), which is exact to far below what is believed.
fn upper_tail(value: f64, degrees: usize) -> f64 {
    if degrees == 0 {
        return 1.0;
    }
    let (half, x) = (degrees as f64 / 2.0, value / 2.0);
    // x^a / Γ(a + 1), from Γ(1) = 1 or Γ(1/2) = √π upwards
    let start = if degrees.is_multiple_of(2) { 1.0 } else { 1.0 / std::f64::consts::PI.sqrt() };
    let mut term = (-x).exp() * if degrees.is_multiple_of(2) { start } else { start * x.sqrt() / 0.5 };
    let mut a = if degrees.is_multiple_of(2) { 0.0 } else { 0.5 };
    while a < half {
        a += 1.0;
        term *= x / a;
    }
    let mut sum = 0.0;
    for n in 1..10_000 {
        sum += term;
        term *= x / (half + f64::from(n));
        if term < sum * f64::EPSILON {
            break;
        }
    }
    (1.0 - sum).max(0.0)
}

#[test]
fn the_tail_of_chi_square_is_that_of_the_tables() {
    // value, degrees of freedom, probability (Abramowitz and Stegun, table 26.8; the last from e^-x, exact for 2)
    let rows = [
        (3.841_46, 1, 0.05),
        (10.827_6, 1, 0.001),
        (5.991_46, 2, 0.05),
        (11.070_5, 5, 0.05),
        (29.588_3, 10, 0.001),
        (41.446_5, 2, 1e-9),
    ];
    for (value, degrees, probability) in rows {
        let found = upper_tail(value, degrees);
        assert!((found / probability - 1.0).abs() < 1e-3, "{value} {degrees}: {found}");
    }
}
