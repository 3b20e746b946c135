//! Which programs are to be settled again, and which of them first.
//!
//! | a status changes that is consulted by | its programs are |
//! | --- | --- |
//! | up to [`SLICE`] programs | **due**: all of them are settled before the next snapshot |
//! | more | **swept**: settled [`SLICE`] at a time, between whatever else happens |
//! | more, and they are being swept for it already | swept on to the end, and from the start to where it was |
//!
//! Several sweeps take turns, slice by slice. So a flip of what few consult is never behind one of what all consult, and a
//! check that flaps faster than its programs can be swept keeps each of them waiting for one round, no more.
//!
//! A snapshot that is published in the middle of a sweep holds some programs as they were before the flip and some as they
//! are after it. That is right: an answer set is settled as a whole, from one set of statuses, so each program's own answer
//! is the one before the flip or the one after it, never a mixture. Two programs may stand on different sides, also where
//! one answer leads from one to the other (an alias, an `include`); so do two questions of which one came a moment before
//! the flip, and so does every pair of RRsets in a resolver's cache for the length of a TTL. Nobody was ever told that two
//! names change at the same time. What a load brings is another matter, and does not come this way.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::health::Moment;
use crate::target::CheckId;
use crate::zone::ProgramId;

/// Programs that are settled without looking up: about half a millisecond.
pub(super) const SLICE: usize = 1000;

/// Above every program's number: slots are dense.
const END: ProgramId = ProgramId(u32::MAX);

/// The programs that consult each check.
pub(super) type Users = HashMap<CheckId, BTreeSet<ProgramId>>;

/// What is still to be settled.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    due: BTreeSet<ProgramId>,
    /// Of the flips that made programs due.
    first_signs: Vec<Moment>,
    sweeps: VecDeque<Sweep>,
}

/// The way through the programs of one check.
#[derive(Debug)]
struct Sweep {
    check: CheckId,
    /// From which program to before which, one after the other; never empty.
    left: VecDeque<(ProgramId, ProgramId)>,
    first_signs: Vec<Moment>,
}

/// Programs that are to be settled now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    /// Which, each once.
    pub(super) programs: Vec<ProgramId>,
    /// Of each flip that is whole with them and takes a target out: when that was first seen.
    pub(super) first_signs: Vec<Moment>,
}

impl Backlog {
    /// The status of `check`, which `users` consult, has changed; `first_sign`: it is down, and that was first seen then.
    pub(super) fn add(&mut self, check: CheckId, users: &BTreeSet<ProgramId>, first_sign: Option<Moment>) {
        if users.len() <= SLICE {
            self.due.extend(users);
            self.first_signs.extend(first_sign);
            return;
        }
        if let Some(sweep) = self.sweeps.iter_mut().find(|sweep| sweep.check == check) {
            sweep.go_round();
            sweep.first_signs.extend(first_sign);
            return;
        }
        let (left, first_signs) = ([(ProgramId(0), END)].into(), first_sign.into_iter().collect());
        self.sweeps.push_back(Sweep { check, left, first_signs });
    }

    /// These programs are due, whatever they consult.
    pub(super) fn add_all(&mut self, programs: &BTreeSet<ProgramId>) {
        self.due.extend(programs);
    }

    /// Whether programs are due.
    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether so many programs are due that they should not become more.
    pub(super) fn is_full(&self) -> bool {
        self.due.len() >= SLICE
    }

    /// Whether there is something to sweep.
    pub(super) fn is_sweeping(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// What is due.
    pub(super) fn take_due(&mut self) -> Slice {
        let programs = std::mem::take(&mut self.due).into_iter().collect();
        Slice { programs, first_signs: std::mem::take(&mut self.first_signs) }
    }

    /// The next slice of the sweep whose turn it is.
    pub(super) fn take_slice(&mut self, users: &Users) -> Slice {
        let Some(mut sweep) = self.sweeps.pop_front() else { return Slice::default() };
        let programs = sweep.take(users.get(&sweep.check));
        if sweep.left.is_empty() {
            return Slice { programs, first_signs: sweep.first_signs };
        }
        self.sweeps.push_back(sweep);
        Slice { programs, first_signs: Vec::new() }
    }

    /// Everything has been settled.
    pub(super) fn clear(&mut self) -> Vec<Moment> {
        self.due.clear();
        let sweeps = std::mem::take(&mut self.sweeps);
        let mut first_signs = std::mem::take(&mut self.first_signs);
        first_signs.extend(sweeps.into_iter().flat_map(|sweep| sweep.first_signs));
        first_signs
    }

    /// The program is gone.
    pub(super) fn forget(&mut self, program: ProgramId) {
        self.due.remove(&program);
    }
}

impl Sweep {
    /// The status has changed again: what is left, and then what was swept for the last change.
    fn go_round(&mut self) {
        let next = self.left.front().map_or(ProgramId(0), |&(from, _)| from);
        self.left = [(next, END), (ProgramId(0), next)].into();
    }

    fn take(&mut self, users: Option<&BTreeSet<ProgramId>>) -> Vec<ProgramId> {
        let mut programs: Vec<ProgramId> = Vec::new();
        while let Some((from, to)) = self.left.front_mut() {
            let room = SLICE - programs.len();
            programs.extend(users.into_iter().flat_map(|users| users.range(*from..*to)).take(room));
            if programs.len() == SLICE {
                *from = programs.last().map_or(*to, |last| ProgramId(last.0 + 1));
                break;
            }
            self.left.pop_front();
        }
        programs
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    const CHECK: CheckId = CheckId(7);

    fn programs(numbers: std::ops::Range<u32>) -> BTreeSet<ProgramId> {
        numbers.map(ProgramId).collect()
    }

    fn many() -> Users {
        [(CHECK, programs(0..2500)), (CheckId(8), programs(1000..3000))].into()
    }

    fn sign(seconds: u64) -> Option<Moment> {
        Some(Moment::at(Duration::from_secs(seconds)))
    }

    /// The sizes of the slices until nothing is left, and how often each program was in one.
    fn drain(backlog: &mut Backlog, users: &Users) -> (Vec<usize>, BTreeMap<ProgramId, usize>) {
        let (mut sizes, mut times) = (Vec::new(), BTreeMap::new());
        while backlog.is_sweeping() {
            let slice = backlog.take_slice(users);
            sizes.push(slice.programs.len());
            slice.programs.into_iter().for_each(|program| *times.entry(program).or_default() += 1);
        }
        (sizes, times)
    }

    #[test]
    fn few_are_due_together_and_many_are_swept() {
        let mut backlog = Backlog::default();
        backlog.add(CHECK, &programs(0..1000), sign(1));
        assert!(backlog.is_due() && backlog.is_full() && !backlog.is_sweeping());
        assert_eq!(
            backlog.take_due(),
            Slice { programs: programs(0..1000).into_iter().collect(), first_signs: vec![sign(1).unwrap()] }
        );
        let users = many();
        backlog.add(CHECK, &users[&CHECK], sign(2));
        assert!(!backlog.is_due() && backlog.is_sweeping());
        let first = backlog.take_slice(&users);
        assert_eq!((first.programs.len(), first.first_signs.len()), (1000, 0), "not whole yet");
        backlog.take_slice(&users);
        let last = backlog.take_slice(&users);
        assert_eq!((last.programs.last(), last.first_signs), (Some(&ProgramId(2499)), vec![sign(2).unwrap()]));
        assert!(!backlog.is_sweeping());
    }

    #[test]
    fn sweeps_take_turns() {
        let (mut backlog, users) = (Backlog::default(), many());
        backlog.add(CHECK, &users[&CHECK], None);
        backlog.add(CheckId(8), &users[&CheckId(8)], None);
        let firsts: Vec<u32> = (0..4).map(|_| backlog.take_slice(&users).programs[0].0).collect();
        assert_eq!(firsts, [0, 1000, 1000, 2000]);
    }

    #[test]
    fn a_flap_goes_round_once_more() {
        let (mut backlog, users) = (Backlog::default(), many());
        backlog.add(CHECK, &users[&CHECK], None);
        backlog.take_slice(&users);
        backlog.add(CHECK, &users[&CHECK], None);
        let (sizes, times) = drain(&mut backlog, &users);
        assert_eq!(sizes, [1000, 1000, 500], "each once more, from where it was");
        assert!(times.len() == 2500 && times.values().all(|&times| times == 1));
        backlog.add(CHECK, &users[&CHECK], None);
        for _ in 0..10 {
            assert_eq!(backlog.take_slice(&users).programs.len(), 1000, "however often it flaps");
            backlog.add(CHECK, &users[&CHECK], None);
        }
        assert_eq!(drain(&mut backlog, &users).1.len(), 2500);
    }

    #[test]
    fn users_may_go_and_come_meanwhile() {
        let (mut backlog, mut users) = (Backlog::default(), many());
        backlog.add(CHECK, &users[&CHECK], None);
        backlog.take_slice(&users);
        users.insert(CHECK, programs(0..1500));
        assert_eq!(drain(&mut backlog, &users).0, [500]);
        backlog.add(CHECK, &many()[&CHECK], None);
        assert_eq!(drain(&mut backlog, &Users::new()).0, [0], "nobody is left");
    }
}
