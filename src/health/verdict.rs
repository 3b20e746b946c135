//! The hysteresis of one check.

use std::time::Duration;

use crate::target::{Basis, Judgement, Outcome, Status, Value};

use super::damping::Penalty;
use super::moment::Moment;

/// What one check's own results say of its target.
///
/// | value (basis)                 | Pass                                    | Fail                        | Inconclusive |
/// | ----------------------------- | --------------------------------------- | --------------------------- | ------------ |
/// | unknown (never)               | up                                      | down                        | unchanged    |
/// | up/down (inherited, restored) | up                                      | down                        | unchanged    |
/// | up (measured, held)           | up; at `forget` in a row, failures gone | down at `fall`, else up     | up, held     |
/// | down (measured, held)         | up at `rise` in a row, else down        | down; passes gone           | down, held   |
///
/// After Pass and Fail the basis is measured. A value that sees no Pass or Fail for `[health] hold` is forgotten: it
/// becomes unknown ([`Verdict::expire`]).
///
/// With `forget` 1 failures count in a row. With `fall` 10, `forget` 10, `rise` 20 this is gdnsd's counter of three
/// thresholds: ten failures take a target down unless ten passes in a row came in between, so one that fails now and then for
/// good is down too. Passes never add up like that: a target comes up by an unbroken run only.
///
/// While the last result contradicts the value and more of them are needed, the verdict is **in doubt**
/// ([`Verdict::doubt`]): the probe is asked again soon. An inconclusive run raises no doubt: our own troubles do not go away
/// by asking more.
///
/// With damping a target that keeps failing is held back. A **flap** is what a check that judges at once would call going
/// down: a failure right after a pass, whatever `fall` makes of it, so that going up and down beneath the thresholds counts
/// too. Each adds to a penalty that decays (`Penalty`'s table):
///
/// | value | result | undamped | held back |
/// | ----- | ------ | -------- | --------- |
/// | up    | Fail   | down at `fall`, else up | the same: no penalty delays a death, and none takes an up target down |
/// | up    | Pass   | up | the same |
/// | down  | Fail   | down; passes gone | the same |
/// | down  | Pass   | up at `rise` in a row | down; passes are counted all the same |
/// | unknown, inherited, restored | any | the first result decides | there is no penalty yet |
///
/// So it comes up with the first Pass after the penalty has decayed that is the `rise`-th in a row, or a later one.
///
/// A target that answers slowly stays up with half of its weight. Looked at while it is up, and turned by the same counts:
///
/// | weight       | slow Pass             | quick Pass            | Fail, Inconclusive |
/// | ------------ | --------------------- | --------------------- | ------------------ |
/// | not known: just up, or another's verdict | half | all           | all                |
/// | all          | half at `fall` in a row | all; slow ones gone | all                |
/// | half         | half; quick ones gone | all at `rise` in a row | half              |
///
/// "In a row" is of passes here: failures in between say nothing of how fast it is.
///
/// The weight that a target reports is that of its last Pass, for as long as it is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    value: Value,
    basis: Basis,
    /// The weight of the last Pass; 0: none.
    reported: u32,
    /// Results that contradict `value`: in a row, but for failures that are not forgotten yet.
    against: u16,
    /// Results in a row that agree with `value`, since the last that contradicts it.
    agreeing: u16,
    /// When the run of contradicting results began.
    against_since: Moment,
    /// When `value` last changed.
    since: Moment,
    /// Whether it did so from up to down.
    fell: bool,
    /// When the evidence for `value` was last seen.
    evidence: Moment,
    penalty: Penalty,
    pace: Pace,
}

/// How fast a target passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// Unknown since it came up.
    slow: Option<bool>,
    /// Passes in a row that contradict it.
    against: u16,
}

impl Pace {
    const UNKNOWN: Self = Self { slow: None, against: 0 };
}

/// What outlives the process of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Up or down.
    pub value: Value,
    /// The weight that the target gave itself.
    pub reported: u32,
}

impl Verdict {
    /// Nothing known.
    #[must_use]
    pub const fn never(now: Moment) -> Self {
        Self {
            value: Value::Unknown,
            basis: Basis::Never,
            reported: 0,
            against: 0,
            agreeing: 0,
            against_since: now,
            since: now,
            fell: false,
            evidence: now,
            penalty: Penalty::none(now),
            pace: Pace::UNKNOWN,
        }
    }

    /// The verdict of the check that this one replaces, until its own first result.
    #[must_use]
    pub fn inherited(from: &Self, now: Moment) -> Self {
        match from.value {
            Value::Unknown => Self::never(now),
            Value::Up | Value::Down => {
                let (basis, penalty, pace) = (Basis::Inherited, Penalty::none(now), Pace::UNKNOWN);
                Self { basis, against: 0, agreeing: 0, evidence: now, penalty, pace, ..*from }
            }
        }
    }

    /// What an earlier process believed, whose last evidence was seen at `evidence`, until the first result of this one.
    #[must_use]
    pub const fn restored(from: Remembered, evidence: Moment) -> Self {
        let Remembered { value, reported } = from;
        Self { value, basis: Basis::Restored, reported, ..Self::never(evidence) }
    }

    /// The verdict of another judgement of the same probe: as well founded, but its thresholds are another's.
    #[must_use]
    pub const fn shared(with: &Self) -> Self {
        Self { against: 0, agreeing: 0, pace: Pace::UNKNOWN, ..*with }
    }

    /// Takes in the result of a probe that was started at `started`.
    pub fn result(&mut self, outcome: &Outcome, judgement: Judgement, started: Moment, now: Moment) {
        let seen = match outcome {
            Outcome::Pass { weight } => {
                self.reported = *weight;
                Value::Up
            }
            Outcome::Fail(_) => Value::Down,
            Outcome::Inconclusive(_) => return self.hold(),
        };
        if let Some(damping) = &judgement.damping
            && seen == Value::Down
            && self.passed_last()
        {
            self.penalty.flap(damping, now);
        }
        let firm = matches!(self.basis, Basis::Measured | Basis::Held);
        self.basis = Basis::Measured;
        self.evidence = now;
        if seen == self.value {
            return self.agree(judgement);
        }
        if self.against == 0 {
            self.against_since = started;
        }
        (self.against, self.agreeing) = (self.against.saturating_add(1), 0);
        let held_back = seen == Value::Up && self.held_back(judgement).is_some();
        if !firm || (self.against >= self.threshold(judgement) && !held_back) {
            self.fell = self.value == Value::Up && seen == Value::Down;
            if self.value != seen {
                self.pace = Pace::UNKNOWN;
            }
            (self.value, self.against, self.since) = (seen, 0, now);
        }
    }

    /// Takes in how long a Pass took, after [`Verdict::result`].
    pub fn pace(&mut self, took: Duration, judgement: Judgement) {
        let Some(limit) = judgement.slow.filter(|_| self.value == Value::Up) else { return };
        let slow = took > limit;
        match self.pace.slow {
            None => self.pace = Pace { slow: Some(slow), against: 0 },
            Some(known) if known == slow => self.pace.against = 0,
            Some(_) => {
                self.pace.against = self.pace.against.saturating_add(1);
                if self.pace.against >= if slow { judgement.fall } else { judgement.rise } {
                    self.pace = Pace { slow: Some(slow), against: 0 };
                }
            }
        }
    }

    /// Whether the target is up and slow.
    fn is_slow(&self, judgement: Judgement) -> bool {
        self.value == Value::Up && judgement.slow.is_some() && self.pace.slow == Some(true)
    }

    fn agree(&mut self, judgement: Judgement) {
        self.agreeing = self.agreeing.saturating_add(1);
        if self.value == Value::Down || self.agreeing >= judgement.forget {
            self.against = 0;
        }
    }

    /// How many results it takes to leave the value.
    const fn threshold(&self, judgement: Judgement) -> u16 {
        match self.value {
            Value::Up => judgement.fall,
            Value::Down => judgement.rise,
            Value::Unknown => 1,
        }
    }

    /// Whether the last result contradicts the value, and more such would change it: then how soon the next probe should
    /// follow, if the judgement says.
    #[must_use]
    pub fn doubt(&self, judgement: Judgement) -> Option<Duration> {
        judgement.retry.filter(|_| self.is_contradicted() && self.against < self.threshold(judgement))
    }

    /// Whether the last result was a Pass, as far as the value and what contradicts it tell.
    const fn passed_last(&self) -> bool {
        match self.value {
            Value::Up => !self.is_contradicted(),
            Value::Down => self.is_contradicted(),
            Value::Unknown => false,
        }
    }

    /// Until when the target may not come up because it kept going down; `None` where it might have at the last result.
    #[must_use]
    pub fn held_back(&self, judgement: Judgement) -> Option<Moment> {
        self.penalty.held_back_until(&judgement.damping?).filter(|&until| self.evidence < until)
    }

    /// What its flaps have added up to, and what was left of that at the last result; 0 without damping.
    #[must_use]
    pub fn penalty(&self, judgement: Judgement) -> u32 {
        judgement.damping.map_or(0, |damping| self.penalty.level(&damping, self.evidence))
    }

    const fn is_contradicted(&self) -> bool {
        self.against > 0 && self.agreeing == 0
    }

    /// What this check's probe found is no evidence: the value stands.
    pub fn hold(&mut self) {
        if self.basis == Basis::Measured {
            self.basis = Basis::Held;
        }
    }

    /// What counted against an up target no longer does; and one that went down since `cut` is up again, as far as we know.
    pub fn disbelieve_failures(&mut self, cut: Moment, now: Moment) {
        if self.value == Value::Down && self.fell && self.since >= cut {
            let (value, basis) = (Value::Up, Basis::Held);
            *self = Self { value, basis, against: 0, agreeing: 0, since: now, fell: false, ..*self };
        } else if self.value == Value::Up {
            (self.against, self.agreeing) = (0, 0);
        }
    }

    /// Forgets a value whose evidence is older than `hold`.
    pub fn expire(&mut self, hold: Duration, now: Moment) {
        if self.basis != Basis::Never && self.forgotten_at(hold) <= now {
            *self = Self::never(now);
        }
    }

    /// When [`Verdict::expire`] would forget the value, if no result comes.
    #[must_use]
    pub fn forgotten_at(&self, hold: Duration) -> Moment {
        self.evidence + hold
    }

    /// As a status; `interval` is the probe's.
    #[must_use]
    pub fn status(&self, judgement: Judgement, interval: Duration) -> Status {
        let wait = judgement.retry.map_or(interval, |retry| retry.min(interval));
        let mut earliest = wait.saturating_mul(u32::from(self.needed(judgement)) - 1);
        if self.value == Value::Down
            && let Some(until) = self.held_back(judgement)
        {
            earliest = earliest.max(until.since(self.evidence));
        }
        let earliest = earliest.as_secs();
        Status {
            value: self.value,
            basis: self.basis,
            weight: if self.is_slow(judgement) { Status::SLOW } else { Status::NEVER.weight },
            reported: if self.value == Value::Up { self.reported } else { 0 },
            earliest_change: u32::try_from(earliest).unwrap_or(u32::MAX),
            doubt: self.is_contradicted(),
            ..Status::NEVER
        }
    }

    /// How many more results that contradict the value would change it, if nothing comes in between. At least 1.
    #[must_use]
    pub fn needed(&self, judgement: Judgement) -> u16 {
        match self.basis {
            Basis::Measured | Basis::Held => self.threshold(judgement).saturating_sub(self.against).max(1),
            _ => 1,
        }
    }

    /// When the value last changed.
    #[must_use]
    pub const fn since(&self) -> Moment {
        self.since
    }

    /// When the run of results that contradict the value began, or, right after a change, the run that caused it: the
    /// start of the first probe that saw the new state.
    #[must_use]
    pub const fn first_sign(&self) -> Moment {
        self.against_since
    }

    /// Results that count against the value.
    #[must_use]
    pub const fn against(&self) -> u16 {
        self.against
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Failure, Inconclusive};
    use proptest::prelude::*;

    const JUDGE: Judgement = Judgement { fall: 3, rise: 2, ..Judgement::AT_ONCE };

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn outcome(letter: char) -> Outcome {
        match letter {
            '+' => Outcome::PASS,
            '-' => Outcome::Fail(Failure::Refused),
            _ => Outcome::Inconclusive(Inconclusive::Resources),
        }
    }

    fn after(mut verdict: Verdict, results: &str) -> (Value, Basis) {
        for (second, letter) in results.chars().enumerate() {
            let now = at(second as u64);
            verdict.result(&outcome(letter), JUDGE, now, now);
        }
        let status = verdict.status(JUDGE, Duration::from_secs(5));
        (status.value, status.basis)
    }

    #[test]
    fn the_table_holds() {
        use Basis::{Held, Inherited, Measured, Never};
        use Value::{Down, Unknown, Up};
        let up = Verdict { value: Up, basis: Measured, ..Verdict::never(at(0)) };
        let down = Verdict { value: Down, ..up };
        let rows = [
            (Verdict::never(at(0)), "", Unknown, Never),
            (Verdict::never(at(0)), "+", Up, Measured),
            (Verdict::never(at(0)), "-", Down, Measured),
            (Verdict::never(at(0)), "?", Unknown, Never),
            (Verdict::inherited(&up, at(0)), "", Up, Inherited),
            (Verdict::inherited(&up, at(0)), "+", Up, Measured),
            (Verdict::inherited(&up, at(0)), "-", Down, Measured),
            (Verdict::inherited(&down, at(0)), "+", Up, Measured),
            (Verdict::inherited(&down, at(0)), "?", Down, Inherited),
            (Verdict::inherited(&Verdict::never(at(0)), at(0)), "", Unknown, Never),
            (up, "+", Up, Measured),
            (up, "--", Up, Measured),
            (up, "---", Down, Measured),
            (up, "--+--", Up, Measured),
            (up, "?", Up, Held),
            (up, "--?-", Down, Measured),
            (down, "+", Down, Measured),
            (down, "++", Up, Measured),
            (down, "+-+", Down, Measured),
            (down, "?", Down, Held),
            (down, "?+", Down, Measured),
        ];
        for (start, results, value, basis) in rows {
            assert_eq!(after(start, results), (value, basis), "{start:?} then {results}");
        }
    }

    #[test]
    fn failures_are_forgotten_after_a_run_of_passes() {
        let counted = Judgement { forget: 3, ..JUDGE };
        let end = |results: &str| {
            let mut verdict = Verdict::never(at(0));
            results.chars().for_each(|letter| verdict.result(&outcome(letter), counted, at(0), at(0)));
            (verdict.value, verdict.against)
        };
        use Value::{Down, Up};
        let rows = [
            ("+-+-++", Up, 2),
            ("+-+-++-", Down, 0),
            ("+-+-+++-", Up, 1),
            ("+--?+?+?+", Up, 0),
            ("+--?+?+?-", Down, 0),
            ("+---+", Down, 1),
            ("+---+-", Down, 0),
            ("+---++-", Up, 1),
        ];
        for (results, value, against) in rows {
            assert_eq!(end(results), (value, against), "{results}");
        }
    }

    #[test]
    fn the_table_of_damping_holds() {
        use Value::{Down, Up};
        let damped = Judgement { damping: Some(crate::target::Damping::default()), ..JUDGE };
        // A letter is a result, the number before it the seconds since the last one (5 if there is none).
        let end = |script: &str, judgement| {
            let (mut verdict, mut second) = (Verdict::never(at(0)), 0);
            for word in script.split(' ') {
                let (wait, letter) = word.split_at(word.len() - 1);
                second += wait.parse().unwrap_or(5);
                verdict.result(&outcome(letter.chars().next().expect("one")), judgement, at(second), at(second));
            }
            verdict.value
        };
        let flapping = "0+ 0- 0+ 0- 0+ 0-";
        let rows = [
            // up
            ("- -", JUDGE, Down),
            ("-", damped, Up),
            ("- -", damped, Down),
            ("+ +", damped, Up),
            // down: held back until the penalty of 3000 has decayed to 750, which takes four minutes
            ("- - + +", JUDGE, Up),
            ("- - + +", damped, Down),
            ("- - 220+ +", damped, Down),
            ("- - 220+ + 20+", damped, Up),
            ("- - 260+", damped, Down),
            ("- - 260+ +", damped, Up),
            ("- - 260+ - + +", damped, Up),
            ("- - 120+ - 120+ +", damped, Down),
            ("- - 120+ - 210+ +", damped, Up),
            ("- - 600-", damped, Down),
            ("- - 600?", damped, Down),
        ];
        for (script, judgement, wanted) in rows {
            assert_eq!(end(&format!("{flapping} {script}"), judgement), wanted, "{script}");
        }
        assert_eq!(end("0+ - - - + +", damped), Up, "one death is no flapping");
    }

    #[test]
    fn the_table_of_slowness_holds() {
        let judgement = Judgement { slow: Some(Duration::from_secs(1)), ..JUDGE };
        // `s` is a slow pass.
        let weights = |script: &str, judgement| {
            let mut verdict = Verdict::never(at(0));
            let weights = script.chars().map(|letter| {
                verdict.result(&outcome(if letter == 's' { '+' } else { letter }), judgement, at(0), at(0));
                if matches!(letter, 's' | '+') {
                    verdict.pace(Duration::from_millis(if letter == 's' { 1001 } else { 1000 }), judgement);
                }
                if verdict.status(judgement, Duration::ZERO).weight == 256 { '1' } else { '2' }
            });
            weights.collect::<String>()
        };
        for (script, wanted) in [
            ("s", "2"),
            ("+", "1"),
            ("+ssss", "11122"),
            ("+ss+ss", "111111"),
            ("+ss-?s", "111112"),
            ("s+s++", "22221"),
            ("s-?+-+", "222221"),
            ("s---++", "222111"),
            ("+---s+s", "1111111"),
            ("+---+s", "111112"),
        ] {
            assert_eq!(weights(script, judgement), wanted, "{script}");
        }
        assert_eq!(weights("ssss", JUDGE), "1111", "nothing is slow where it is not asked");
    }

    #[test]
    fn doubt_lasts_while_results_contradict() {
        let judgement = Judgement { forget: 3, retry: Some(Duration::from_secs(1)), ..JUDGE };
        let doubted = |results: &str, judgement| {
            let mut verdict = Verdict::never(at(0));
            let doubts = results.chars().map(|letter| {
                verdict.result(&outcome(letter), judgement, at(0), at(0));
                if verdict.doubt(judgement).is_some() { '!' } else { '.' }
            });
            doubts.collect::<String>()
        };
        assert_eq!(doubted("++-+--++-+", judgement), "..!.!.!.!.");
        assert_eq!(doubted("++-+--++-+", Judgement { retry: None, ..judgement }), "..........");
        assert_eq!(doubted("+-+-", Judgement { retry: judgement.retry, ..Judgement::AT_ONCE }), "....", "nothing to wait for");
    }

    #[test]
    fn the_reported_weight_is_that_of_the_last_pass_while_up() {
        let mut verdict = Verdict::never(at(0));
        let mut reported = |outcome: &Outcome| {
            verdict.result(outcome, JUDGE, at(1), at(1));
            verdict.status(JUDGE, Duration::ZERO).reported
        };
        assert_eq!(reported(&Outcome::Pass { weight: 7 }), 7);
        assert_eq!([outcome('-'), outcome('?'), outcome('-')].map(|outcome| reported(&outcome)), [7, 7, 7], "still up");
        assert_eq!(reported(&outcome('-')), 0, "down");
        assert_eq!([9, 5].map(|weight| reported(&Outcome::Pass { weight })), [0, 5], "up by the second pass");
    }

    #[test]
    fn a_held_value_is_forgotten_after_hold() {
        let hold = Duration::from_secs(60);
        let mut verdict = Verdict::never(at(0));
        verdict.result(&Outcome::PASS, JUDGE, at(1), at(1));
        verdict.result(&outcome('?'), JUDGE, at(50), at(50));
        verdict.expire(hold, at(60));
        assert_eq!(verdict.value, Value::Up);
        verdict.expire(hold, at(61));
        assert_eq!((verdict.value, verdict.basis), (Value::Unknown, Basis::Never));
    }

    proptest! {
        /// Losing sight alone changes no value (DESIGN 6.2).
        #[test]
        fn inconclusive_results_never_change_the_value(results in "[+\\-?]{0,40}", blind in 1usize..40) {
            let seen = after(Verdict::never(at(0)), &results);
            let then_blind = after(Verdict::never(at(0)), &(results + &"?".repeat(blind)));
            prop_assert_eq!(seen.0, then_blind.0);
        }
    }
}
