//! What outlives the process of a pool's memory, so that a restart is no failback: who was down or waits to come back, since
//! when, who could serve last, who was withdrawn a short time ago, and what stood when the pool was frozen.
//!
//! It is known by the names of members and by addresses, as by another definition of the pool. Times are ages: a moment of one
//! process is never compared with one of another. What the next process takes from it, and for how long:
//!
//! | remembered | counts |
//! | --- | --- |
//! | that an address was up or down | until the first word about it. Older than `restore_max_age`, it still says whose failback is to be waited for where an operator ends the wait, and nothing else |
//! | that it waits or grows, since when | until its time comes, by its age; until the operator comes, whatever its age |
//! | that it could serve last; what stood when the pool was frozen | whatever its age: nobody has seen anything since |
//! | withdrawals | within the window, by their ages |
//!
//! Until the first word about it, an address that was up is **expected** to serve: nobody stops waiting because those who
//! served have not been asked yet.

use std::net::IpAddr;
use std::time::Duration;

use super::{FaceState, PoolState};
use crate::health::Moment;
use crate::target::{Basis, Pool, Status, Value};

/// Something that happened, in this process or in an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    from: Moment,
    /// How long ago it was then.
    before: Duration,
}

impl Since {
    /// It happens now.
    #[must_use]
    pub const fn now(now: Moment) -> Self {
        Self::ago(Duration::ZERO, now)
    }

    /// It was so long ago now.
    #[must_use]
    pub const fn ago(age: Duration, now: Moment) -> Self {
        Self { from: now, before: age }
    }

    /// How long ago it is.
    #[must_use]
    pub const fn age(self, now: Moment) -> Duration {
        now.since(self.from).saturating_add(self.before)
    }

    /// When it will be so long ago, or was at the latest.
    pub(super) fn when(self, age: Duration) -> Moment {
        self.from + age.saturating_sub(self.before)
    }
}

/// What is to be remembered of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolMemory {
    /// Of each address of each member.
    pub faces: Vec<(Box<str>, IpAddr, FaceMemory)>,
    /// When measurements took addresses out, of IPv4 and IPv6, oldest first.
    pub withdrawals: [Vec<Since>; 2],
}

/// What is to be remembered of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaceMemory {
    /// What it counted as, if anything was known.
    pub value: Option<Value>,
    /// Whether an operator said so.
    pub forced: bool,
    /// Whether that was too old to be believed already.
    pub old: bool,
    /// When it came up again, as long as that matters.
    pub came_up: Option<Since>,
    /// Whether it is in reserve since.
    pub waits: bool,
    /// Whether it was available when a level of its family could last serve.
    pub last: bool,
    /// What it counted as when the pool was frozen, if it is.
    pub frozen: Option<Stood>,
}

/// What an address of a frozen pool counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stood {
    /// Up, down or unknown.
    pub value: Value,
    /// Whether an operator said so.
    pub forced: bool,
    /// As [`Status::weight`].
    pub weight: u16,
    /// As [`Status::reported`].
    pub reported: u32,
}

impl Stood {
    const fn of(status: &Status) -> Self {
        let Status { value, weight, reported, .. } = *status;
        Self { value, forced: matches!(status.basis, Basis::Forced), weight, reported }
    }

    const fn status(self) -> Status {
        let Self { value, forced, weight, reported } = self;
        let basis = if forced { Basis::Forced } else { Basis::Restored };
        Status { value, basis, weight, reported, ..Status::NEVER }
    }
}

impl FaceMemory {
    fn of(face: &FaceState, frozen: Option<&Status>) -> Self {
        let FaceState { value, forced, old, came_up, waits, last, .. } = *face;
        let value = value.filter(|value| *value != Value::Unknown);
        Self { value, forced, old, came_up, waits, last, frozen: frozen.map(Stood::of) }
    }

    const fn restored(self, is_old: bool) -> FaceState {
        let Self { value, forced, old, came_up, waits, last, .. } = self;
        let (old, restored) = (old || is_old, true);
        FaceState { value, forced, old, restored, came_up, waits, last, withheld: false }
    }

    /// What it counted as last, as far as the rest says.
    fn judged(self) -> Status {
        let (value, weight) = (self.value.unwrap_or(Value::Unknown), if self.waits { 0 } else { Status::NEVER.weight });
        Stood { value, forced: self.forced, weight, reported: 0 }.status()
    }
}

impl PoolState {
    /// What an earlier process remembered of `pool`, which may have been defined otherwise; `old`: too long ago to be believed.
    #[must_use]
    pub fn restored(pool: &Pool, memory: &PoolMemory, old: bool) -> Self {
        let of = |name: &str, address: IpAddr| {
            let found = memory.faces.iter().find(|(member, known, _)| **member == *name && *known == address);
            found.map(|(_, _, face)| *face)
        };
        let known: Vec<Option<FaceMemory>> = pool.faces().map(|(at, face)| of(&pool.members[at].name, face.address)).collect();
        let stood = |face: &Option<FaceMemory>| face.and_then(|face| face.frozen).map_or(Status::NEVER, Stood::status);
        let is_frozen = known.iter().flatten().any(|face| face.frozen.is_some());
        Self {
            faces: known.iter().map(|face| face.map(|face| face.restored(old)).unwrap_or_default()).collect(),
            withdrawals: memory.withdrawals.clone().map(Into::into),
            judged: known.iter().map(|face| face.map_or(Status::NEVER, FaceMemory::judged)).collect(),
            frozen: is_frozen.then(|| known.iter().map(stood).collect()),
            ..Self::default()
        }
    }

    /// What is to be remembered of it, if that is another than when this was last asked. That withdrawals are forgotten is
    /// nothing new; each comes with an address that went down.
    pub fn take_memory(&mut self, pool: &Pool) -> Option<PoolMemory> {
        let faces = self.faces.iter().enumerate();
        let frozen = |at: usize| self.frozen.as_ref().and_then(|frozen| frozen.get(at));
        let faces: Vec<FaceMemory> = faces.map(|(at, face)| FaceMemory::of(face, frozen(at))).collect();
        if self.written == faces {
            return None;
        }
        let named = pool.faces().zip(&faces).map(|((at, face), memory)| (pool.members[at].name.clone(), face.address, *memory));
        let memory = PoolMemory { faces: named.collect(), withdrawals: self.withdrawals.clone().map(Into::into) };
        self.written = faces;
        Some(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DOWN, FOUR, KILLED, THREE_LEVELS, UP, at, shown, story};
    use super::*;
    use crate::target::pool::testing::pool;
    use crate::target::{Failback, Select, Share, WhenNoneUp};

    const MANUAL: Failback = Failback::Manual;
    const LATER: Failback = Failback::After(Duration::from_secs(300));
    const OLD: bool = true;

    /// Another process, so many seconds after the other was asked for what to remember; its clock begins anew.
    fn next_process(pool: &Pool, state: &mut PoolState, asked: u64, seconds: u64, old: bool) -> PoolState {
        let mut memory = state.take_memory(pool).expect("something to remember");
        assert_eq!(state.take_memory(pool), None, "it was told");
        let again = |since: &mut Since| *since = Since::ago(since.age(at(asked)) + Duration::from_secs(seconds), at(1));
        memory.withdrawals.iter_mut().flatten().for_each(again);
        memory.faces.iter_mut().filter_map(|(_, _, face)| face.came_up.as_mut()).for_each(again);
        PoolState::restored(pool, &memory, old)
    }

    /// The same story in another process.
    fn goes_on(pool: &Pool, mut state: PoolState, story: &[(u64, &[Status], &str)]) -> PoolState {
        for (seconds, believed, expected) in story {
            assert_eq!(shown(&state.judge(pool, believed, false, at(*seconds))), *expected, "at {seconds} s");
        }
        state
    }

    const KNOWN_UP: Status = Status { basis: Basis::Restored, ..UP };
    const NEVER: Status = Status::NEVER;

    fn levels(failback: Failback) -> Pool {
        Pool { failback, ..pool(Select::All, &THREE_LEVELS) }
    }

    #[test]
    fn who_waits_goes_on_waiting() {
        let waits: [(u64, &[Status], &str); 3] = [(0, &[UP; 3], "UUU"), (1, &[DOWN, UP, UP], "DUU"), (100, &[UP; 3], "-UU")];
        for (failback, old) in [(MANUAL, false), (MANUAL, OLD), (LATER, false), (LATER, OLD)] {
            let pool = levels(failback);
            let mut state = next_process(&pool, &mut story(&pool, &waits), 100, 200, old);
            assert!(state.is_waiting(0));
            state = goes_on(&pool, state, &[(1, &[KNOWN_UP, UP, UP], "-UU"), (2, &[UP; 3], "-UU"), (99, &[UP; 3], "-UU")]);
            let later = if failback == MANUAL { "-UU" } else { "UUU" };
            state = goes_on(&pool, state, &[(101, &[UP; 3], later)]);
            state.fail_back();
            goes_on(&pool, state, &[(102, &[UP; 3], "UUU")]);
        }
    }

    #[test]
    fn those_who_have_not_been_asked_yet_end_no_wait() {
        let pool = levels(MANUAL);
        let waits: [(u64, &[Status], &str); 3] = [(0, &[UP; 3], "UUU"), (1, &[DOWN, UP, UP], "DUU"), (2, &[UP; 3], "-UU")];
        let state = || next_process(&pool, &mut story(&pool, &waits), 2, 0, OLD);
        goes_on(&pool, state(), &[(1, &[NEVER; 3], "???"), (2, &[UP, NEVER, NEVER], "-??"), (3, &[UP; 3], "-UU")]);
        goes_on(&pool, state(), &[(1, &[NEVER, UP, UP], "?UU"), (2, &[UP; 3], "-UU")]);
        goes_on(&pool, state(), &[(1, &[UP, NEVER, NEVER], "-??"), (2, &[UP, DOWN, DOWN], "UDD")]);
        goes_on(&pool, state(), &[(1, &[DOWN, UP, UP], "DUU"), (2, &[UP; 3], "-UU")]);
    }

    /// Who was down, and comes up while no process looks.
    #[test]
    fn who_came_up_meanwhile_comes_back_as_ever() {
        let falls: [(u64, &[Status], &str); 2] = [(0, &[UP; 3], "UUU"), (1, &[DOWN, UP, UP], "DUU")];
        for (failback, old, expected) in [(MANUAL, false, "-"), (MANUAL, OLD, "-"), (LATER, false, "-"), (LATER, OLD, "U")] {
            let pool = levels(failback);
            let state = || next_process(&pool, &mut story(&pool, &falls), 1, 0, old);
            goes_on(&pool, state(), &[(1, &[UP; 3], &format!("{expected}UU"))]);
            goes_on(&pool, state(), &[(1, &[NEVER; 3], "???"), (2, &[UP, NEVER, NEVER], &format!("{expected}??"))]);
        }
        let pool = levels(MANUAL);
        let killed = story(&pool, &[(0, &[UP; 3], "UUU"), (1, &[KILLED, UP, UP], "DUU")]);
        let state = next_process(&pool, &mut killed.clone(), 1, 0, false);
        goes_on(&pool, state, &[(1, &[UP; 3], "UUU")]);
    }

    #[test]
    fn who_grows_goes_on_growing() {
        let pool = Pool { slow_start: Duration::from_secs(80), ..pool(Select::Random, &FOUR) };
        let grows: [(u64, &[Status], &str); 3] =
            [(0, &[UP; 4], "UUUU"), (1, &[DOWN, UP, UP, UP], "DUUU"), (10, &[UP; 4], "1UUU")];
        let state = next_process(&pool, &mut story(&pool, &grows), 15, 20, false);
        let state = goes_on(&pool, state, &[(1, &[KNOWN_UP, UP, UP, UP], "3UUU"), (6, &[UP; 4], "4UUU")]);
        assert_eq!(state.next_timeout(), Some(at(16)));
        goes_on(&pool, state, &[(56, &[UP; 4], "UUUU")]);
    }

    #[test]
    fn withdrawals_count_on() {
        let pool = Pool { max_withdraw: Share::Percent(50), ..pool(Select::All, &FOUR) };
        let falls: [(u64, &[Status], &str); 2] = [(0, &[UP; 4], "UUUU"), (10, &[DOWN, DOWN, DOWN, UP], "DDhU")];
        let state = |old| next_process(&pool, &mut story(&pool, &falls), 10, 30, old);
        let known = [DOWN, DOWN, DOWN, UP];
        goes_on(&pool, state(false), &[(1, &known, "DDhU"), (2, &[DOWN; 4], "DDhh"), (31, &[DOWN; 4], "DDDD")]);
        goes_on(&pool, state(false), &[(1, &[NEVER; 4], "????"), (2, &[DOWN; 4], "DDhh"), (31, &[DOWN; 4], "DDDD")]);
        goes_on(&pool, state(OLD), &[(1, &known, "DDDU"), (2, &[DOWN; 4], "DDDh")]);
    }

    #[test]
    fn the_last_are_known() {
        let pool = Pool { when_none_up: WhenNoneUp::Last, ..pool(Select::All, &FOUR) };
        let pool = Pool { max_withdraw: Share::Percent(100), ..pool };
        let dies: [(u64, &[Status], &str); 3] =
            [(0, &[UP; 4], "UUUU"), (1, &[DOWN, DOWN, UP, UP], "DDUU"), (2, &[DOWN; 4], "DDhh")];
        for old in [false, OLD] {
            let state = next_process(&pool, &mut story(&pool, &dies), 2, 1000, old);
            goes_on(&pool, state, &[(1, &[DOWN; 4], "DDhh"), (2, &[DOWN, UP, DOWN, DOWN], "DUDD"), (3, &[DOWN; 4], "DhDD")]);
        }
    }

    #[test]
    fn a_frozen_pool_stays_frozen() {
        let pool = levels(MANUAL);
        let mut state = story(&pool, &[(0, &[UP; 3], "UUU"), (1, &[DOWN, UP, UP], "DUU"), (2, &[UP; 3], "-UU")]);
        let judge = |state: &mut PoolState, believed: [Status; 3]| shown(&state.judge(&pool, &believed, true, at(3)));
        let mut frozen_later = next_process(&pool, &mut state.clone(), 2, 0, OLD);
        assert_eq!(judge(&mut frozen_later, [UP, DOWN, DOWN]), "-UU", "it was said, and not yet followed");
        assert_eq!(judge(&mut state, [UP, DOWN, UP]), "-UU");
        let mut state = next_process(&pool, &mut state, 3, 0, OLD);
        assert_eq!(judge(&mut state, [NEVER, DOWN, UP]), "-UU");
        assert_eq!(shown(&state.judge(&pool, &[UP; 3], false, at(4))), "-UU");
    }

    #[test]
    fn another_definition_is_known_by_names_and_addresses() {
        let was = levels(MANUAL);
        let mut state = story(&was, &[(0, &[UP; 3], "UUU"), (1, &[DOWN, UP, UP], "DUU"), (2, &[UP; 3], "-UU")]);
        let memory = state.take_memory(&was).expect("something to remember");
        let mut is = was.clone();
        is.members.remove(1);
        is.members.push(crate::target::PoolMember { name: "z".into(), level: 3, ..was.members[1].clone() });
        let mut state = PoolState::restored(&is, &memory, false);
        assert!(state.is_waiting(0));
        assert_eq!(shown(&state.judge(&is, &[UP; 3], false, at(9))), "-UU");
        assert_eq!(state.take_memory(&is).expect("it has others").faces[2].0, "z".into());
    }

    #[test]
    fn what_was_too_old_stays_so() {
        let pool = levels(LATER);
        let mut state = story(&pool, &[(0, &[UP; 3], "UUU"), (1, &[DOWN, UP, UP], "DUU")]);
        let mut state = next_process(&pool, &mut state, 1, 9999, OLD);
        state.judge(&pool, &[NEVER, UP, UP], false, at(2));
        let state = next_process(&pool, &mut state, 2, 1, false);
        goes_on(&pool, state, &[(1, &[UP; 3], "UUU")]);
    }

    #[test]
    fn what_only_passes_is_not_told() {
        let pool = Pool { max_withdraw: Share::Percent(50), ..pool(Select::All, &FOUR) };
        let mut state = story(&pool, &[(0, &[UP; 4], "UUUU"), (1, &[DOWN, UP, UP, UP], "DUUU")]);
        assert!(state.take_memory(&pool).is_some());
        for seconds in [2, 70] {
            state.judge(&pool, &[DOWN, Status { reported: 7, doubt: true, ..UP }, UP, UP], false, at(seconds));
            assert_eq!(state.take_memory(&pool), None, "{seconds}");
        }
    }
}
