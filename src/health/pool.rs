//! The rules of a pool that need a memory: what its members count as, by what is believed of them and what happened before.
//!
//! For each address of each member ([`Pool::faces`]) a belief goes in and a status comes out, which is what programs choose
//! by. They differ where one of these rules holds, looked at in this order:
//!
//! | rule | an address that | counts as |
//! | --- | --- | --- |
//! | frozen | is not forced or drained since | what it counted as when the pool was frozen |
//! | [`Pool::max_withdraw`] | went down, and as many of its family as may have gone within the last minute | up, held |
//! | [`Pool::failback`] | came up again, while only less preferred members served | up, in reserve: its weight is 0 |
//! | [`Pool::slow_start`] | came up again a short time ago | up, with a part of its weight, an eighth more with each eighth of the time |
//! | [`WhenNoneUp::Last`] | was among the last that could serve, and no level can | up, held |
//!
//! One comes **again** from down to up by its own results: not from unknown, as at a first start, and not by an operator's word,
//! nor because we were cut off when it seemed to go down. What an earlier process knew counts as if this one had been there
//! (`memory`), so a restart brings nobody back. What operators say goes before all of this: a drain and a forced death
//! count at once, and cost nothing of what may be withdrawn.
//!
//! In reserve means: serves where nobody else can. Whoever waits does so only while members serve that are all less preferred:
//! when none of those is left it serves at once, and waits no longer, so that whoever comes back next does not take over from
//! it in between.
//!
//! Each family is looked at by itself: the death of all IPv6 takes no IPv4 out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::target::{Basis, Failback, Pool, Status, Value, WhenNoneUp};

use super::moment::Moment;

mod memory;

pub use memory::{FaceMemory, PoolMemory, Since, Stood};

/// Steps in which a weight grows.
const RAMP: u32 = 8;

/// What is remembered of a pool.
#[derive(Clone, Debug, Default)]
pub struct PoolState {
    faces: Vec<FaceState>,
    /// When measurements took addresses out, of IPv4 and IPv6.
    withdrawals: [VecDeque<Since>; 2],
    /// What came out last.
    judged: Vec<Status>,
    /// What had come out when the pool was frozen.
    frozen: Option<Vec<Status>>,
    next: Option<Moment>,
    /// What the next process was told to remember of each face.
    written: Vec<FaceMemory>,
}

/// What is remembered of an address.
#[derive(Clone, Copy, Debug, Default)]
struct FaceState {
    /// What it counted as; `None`: it is new.
    value: Option<Value>,
    /// Whether an operator said so.
    forced: bool,
    /// When it came up again, as long as that matters.
    came_up: Option<Since>,
    /// Whether it is in reserve since.
    waits: bool,
    /// Whether it is down and may not be withdrawn yet.
    withheld: bool,
    /// Whether it was available when a level of its family could last serve.
    last: bool,
    /// Whether all this is from an earlier process, and nothing has been known of it since.
    restored: bool,
    /// Whether `value` is too old to be believed; until something is known.
    old: bool,
}

impl FaceState {
    /// Whether what is known of it is what an earlier process knew.
    fn is_awaited(&self, status: &Status) -> bool {
        self.restored && status.value == Value::Unknown
    }

    /// Takes in what it counts as.
    fn enter(&mut self, status: &Status) {
        if !self.is_awaited(status) {
            (self.value, self.forced) = (Some(status.value), status.basis == Basis::Forced);
            (self.restored, self.old) = (false, false);
        }
    }

    /// Whether it was up, and that is recent.
    fn was_up(&self) -> bool {
        self.value == Some(Value::Up) && !self.old
    }

    /// Whether it comes up again.
    fn comes_back(&self, status: &Status, failback: Failback) -> bool {
        let was_down = self.value == Some(Value::Down) && !self.forced && (!self.old || failback == Failback::Manual);
        was_down && status.value == Value::Up && status.basis == Basis::Measured
    }
}

/// Who says something about an address, by its place among the faces.
struct Faces<'p> {
    pool: &'p Pool,
    /// Member and family of each.
    of: Vec<(usize, usize)>,
}

impl<'p> Faces<'p> {
    fn of(pool: &'p Pool) -> Self {
        let of = pool.faces().map(|(member, face)| (member, usize::from(face.address.is_ipv6()))).collect();
        Self { pool, of }
    }

    /// How many addresses of that family there are.
    fn count(&self, family: usize) -> usize {
        self.of.iter().filter(|&&(_, of)| of == family).count()
    }

    /// The others of the same family.
    fn others(&self, at: usize) -> impl Iterator<Item = usize> {
        let (member, family) = self.of[at];
        self.of.iter().enumerate().filter(move |&(_, &(of, other))| other == family && of != member).map(|(at, _)| at)
    }

    /// Whether `one` is handed out rather than `other`.
    fn prefers(&self, one: usize, other: usize) -> bool {
        self.pool.prefers(self.of[one].0, self.of[other].0)
    }

    fn level(&self, at: usize) -> u16 {
        self.pool.members[self.of[at].0].level
    }

    /// The first level that can serve that family, its members being available through these addresses.
    fn serving(&self, family: usize, available: impl Fn(usize) -> bool) -> Option<u16> {
        let mut levels: Vec<(u16, usize, bool)> = Vec::new(); // level, member, available
        for (at, &(member, _)) in self.of.iter().enumerate().filter(|(_, (_, of))| *of == family) {
            match levels.last_mut().filter(|(_, last, _)| *last == member) {
                Some((_, _, known)) => *known |= available(at),
                None => levels.push((self.pool.members[member].level, member, available(at))),
            }
        }
        let can = |level: &&[(u16, usize, bool)]| {
            let up = level.iter().filter(|(_, _, available)| *available).count();
            up >= self.pool.min_up.at_least(level.len()).max(1)
        };
        levels.chunk_by(|one, other| one.0 == other.0).find(can).map(|level| level[0].0)
    }
}

impl PoolState {
    /// What is known of `pool` from `before`, a state of the pool `was` of the same name: members are known by their names,
    /// addresses by themselves.
    #[must_use]
    pub fn inherited(pool: &Pool, was: &Pool, before: &Self) -> Self {
        let place = |(at, face): (usize, &crate::target::Face)| {
            let name = &pool.members[at].name;
            was.faces().position(|(at, old)| was.members[at].name == *name && old.address == face.address)
        };
        let faces: Vec<Option<usize>> = pool.faces().map(place).collect();
        let known = |at: &Option<usize>| at.and_then(|at| before.faces.get(at).copied()).unwrap_or_default();
        let frozen = before
            .frozen
            .as_ref()
            .map(|frozen| faces.iter().map(|at| at.and_then(|at| frozen.get(at).copied()).unwrap_or(Status::NEVER)).collect());
        let judged = faces.iter().map(|at| at.and_then(|at| before.judged.get(at).copied()).unwrap_or(Status::NEVER)).collect();
        let withdrawals = before.withdrawals.clone();
        Self { faces: faces.iter().map(known).collect(), withdrawals, judged, frozen, ..Self::default() }
    }

    /// Takes in what is believed of each face, under what operators say, and gives what each counts as.
    pub fn judge(&mut self, pool: &Pool, believed: &[Status], frozen: bool, now: Moment) -> Vec<Status> {
        if frozen {
            return self.frozen(believed);
        }
        let (faces, mut statuses) = (Faces::of(pool), believed.to_vec());
        self.faces.resize_with(statuses.len(), FaceState::default);
        (self.next, self.frozen) = (None, None);
        self.withdraw(&faces, &mut statuses, now);
        self.come_back(&faces, &mut statuses, now);
        self.keep_last(&faces, &mut statuses);
        self.judged.clone_from(&statuses);
        statuses
    }

    /// Has whoever waits to come back do so.
    pub fn fail_back(&mut self) {
        self.faces.iter_mut().for_each(|face| face.waits = false);
    }

    /// Whether an address waits to come back until an operator says so, or its time comes.
    pub fn is_waiting(&self, face: usize) -> bool {
        self.faces.get(face).is_some_and(|face| face.waits)
    }

    /// When what was believed last will count as something else, if nothing happens.
    #[must_use]
    pub const fn next_timeout(&self) -> Option<Moment> {
        self.next
    }

    fn at_the_latest(&mut self, at: Moment) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// What the addresses counted as when the pool was frozen, under what operators say since. Of what nothing was known then
    /// the first word counts still.
    fn frozen(&mut self, believed: &[Status]) -> Vec<Status> {
        self.next = None;
        let mut kept = self.frozen.take().unwrap_or_else(|| std::mem::take(&mut self.judged));
        kept.resize(believed.len(), Status::NEVER);
        let stands = |(kept, &now): (&mut Status, &Status)| {
            if kept.value == Value::Unknown || kept.basis == Basis::Forced {
                *kept = now;
            }
            if now.basis == Basis::Forced { now } else { Status { drain: now.drain, ..*kept } }
        };
        let statuses = kept.iter_mut().zip(believed).map(stands).collect();
        self.frozen = Some(kept);
        statuses
    }

    /// Holds up what has gone down, where too many of its family went within the window.
    fn withdraw(&mut self, faces: &Faces<'_>, statuses: &mut [Status], now: Moment) {
        for family in [0, 1] {
            let window = &mut self.withdrawals[family];
            while window.front().is_some_and(|at| at.age(now) >= Pool::WITHDRAWAL_WINDOW) {
                window.pop_front();
            }
            let allowed = faces.pool.max_withdraw.at_most(faces.count(family)).max(1);
            let places = (0..statuses.len()).filter(|&at| faces.of[at].1 == family);
            let mut held = false;
            for at in places {
                let (face, status) = (&mut self.faces[at], &mut statuses[at]);
                let is_up = status.value == Value::Up;
                let free = is_up || !face.was_up() || status.is_excluded() || face.is_awaited(status);
                face.withheld = false;
                if !free && window.len() < allowed {
                    window.push_back(Since::now(now));
                } else if !free {
                    *status = Status { value: Value::Up, basis: Basis::Held, doubt: true, ..*status };
                    (face.withheld, held) = (true, true);
                }
            }
            if let Some(&oldest) = window.front().filter(|_| held) {
                self.at_the_latest(oldest.when(Pool::WITHDRAWAL_WINDOW));
            }
        }
    }

    /// Lets what comes up again wait, or grow.
    fn come_back(&mut self, faces: &Faces<'_>, statuses: &mut [Status], now: Moment) {
        let again = |(face, status): (&FaceState, &Status)| face.comes_back(status, faces.pool.failback);
        let back: Vec<bool> = self.faces.iter().zip(&*statuses).map(again).collect();
        // Who served until now: whoever comes up at the same time has not.
        let served: Vec<bool> = self.faces.iter().map(|face| face.value == Some(Value::Up)).collect();
        for (face, status) in self.faces.iter_mut().zip(&*statuses) {
            if !face.is_awaited(status) && (status.value != Value::Up || status.basis == Basis::Forced) {
                (face.came_up, face.waits) = (None, false);
            }
        }
        for at in (0..statuses.len()).filter(|&at| back[at]) {
            self.faces[at].came_up = Some(Since::now(now));
            self.faces[at].waits = faces.pool.failback != Failback::After(Duration::ZERO)
                && faces.pool.has_preference()
                && self.is_preferred(faces, at, |other| served[other] && self.serves(statuses, other));
        }
        for at in 0..statuses.len() {
            // Who waits and is not preferred to all who serve, or the only one that can, waits no longer.
            if self.faces[at].waits && !self.is_preferred(faces, at, |other| self.serves(statuses, other)) {
                self.faces[at].waits = false;
            }
        }
        for (at, status) in statuses.iter_mut().enumerate() {
            self.faces[at].enter(status);
            if !self.faces[at].is_awaited(status) {
                self.wait_or_grow(faces.pool, at, status, now);
            }
        }
    }

    /// Whether clients may be sent to it now, or are expected to be as soon as something is known of it.
    fn serves(&self, statuses: &[Status], at: usize) -> bool {
        let (face, status) = (&self.faces[at], &statuses[at]);
        let is_expected = face.is_awaited(status) && face.value == Some(Value::Up) && !status.drain;
        (status.is_available() || is_expected) && !face.waits && !face.withheld
    }

    /// Whether other members serve, through these of their addresses, and all that do are less preferred.
    fn is_preferred(&self, faces: &Faces<'_>, at: usize, serves: impl Fn(usize) -> bool) -> bool {
        let family = faces.of[at].1;
        let Some(level) = faces.serving(family, &serves) else { return false };
        let mut serving = faces.others(at).filter(|&other| faces.level(other) == level && serves(other)).peekable();
        serving.peek().is_some() && serving.all(|other| faces.prefers(at, other))
    }

    fn wait_or_grow(&mut self, pool: &Pool, at: usize, status: &mut Status, now: Moment) {
        let Some(came_up) = self.faces[at].came_up else { return };
        if self.faces[at].waits {
            match pool.failback {
                Failback::After(wait) if came_up.age(now) >= wait => self.faces[at].waits = false,
                Failback::After(wait) => self.at_the_latest(came_up.when(wait)),
                Failback::Manual => {}
            }
        }
        if self.faces[at].waits {
            status.weight = 0;
            return;
        }
        let (up, step) = (came_up.age(now), pool.slow_start / RAMP);
        if up >= pool.slow_start || step.is_zero() {
            self.faces[at].came_up = None;
            return;
        }
        let steps = u32::try_from(up.as_nanos() / step.as_nanos()).unwrap_or(RAMP) + 1;
        let weight = u32::from(status.weight) * steps.min(RAMP) / RAMP;
        status.weight = u16::try_from(weight).unwrap_or(u16::MAX).max(1);
        self.at_the_latest(came_up.when(step * steps));
    }

    /// Remembers who could serve, and holds them up where nobody can.
    fn keep_last(&mut self, faces: &Faces<'_>, statuses: &mut [Status]) {
        for family in [0, 1] {
            let places = || (0..faces.of.len()).filter(|&at| faces.of[at].1 == family);
            if faces.serving(family, |at| statuses[at].is_available()).is_some() {
                places().for_each(|at| self.faces[at].last = statuses[at].is_available());
            } else if faces.pool.when_none_up == WhenNoneUp::Last {
                for at in places().filter(|&at| self.faces[at].last) {
                    if statuses[at].is_excluded() {
                        continue;
                    }
                    statuses[at] = Status { value: Value::Up, basis: Basis::Held, weight: 256, doubt: true, ..statuses[at] };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::pool::testing::pool;
    use crate::target::{Select, Share};

    pub(super) const UP: Status = Status { value: Value::Up, basis: Basis::Measured, ..Status::NEVER };
    pub(super) const DOWN: Status = Status { value: Value::Down, basis: Basis::Measured, ..Status::NEVER };
    pub(super) const KILLED: Status = Status { value: Value::Down, basis: Basis::Forced, ..Status::NEVER };
    const DRAINED: Status = Status { drain: true, ..UP };

    pub(super) const FOUR: [(u16, &[&str]); 4] =
        [(0, &["192.0.2.1"]), (0, &["192.0.2.2"]), (0, &["192.0.2.3"]), (0, &["192.0.2.4"])];
    pub(super) const THREE_LEVELS: [(u16, &[&str]); 3] = [(0, &["192.0.2.1"]), (1, &["192.0.2.2"]), (2, &["192.0.2.3"])];

    pub(super) fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    /// `U` up, `D` down, `h` up but held, `-` up in reserve, `1` to `7` that many eighths of its weight.
    pub(super) fn shown(statuses: &[Status]) -> String {
        let letter = |status: &Status| match (status.value, status.basis, status.weight) {
            (Value::Up, Basis::Held, _) => 'h',
            (Value::Up, _, 256) => 'U',
            (Value::Up, _, 0) => '-',
            (Value::Up, _, weight) => char::from(b'0' + u8::try_from(weight / 32).unwrap()),
            (Value::Down, ..) => 'D',
            (Value::Unknown, ..) => '?',
        };
        statuses.iter().map(letter).collect()
    }

    /// A story: at so many seconds, what is believed, what that counts as.
    pub(super) fn story(pool: &Pool, story: &[(u64, &[Status], &str)]) -> PoolState {
        let mut state = PoolState::default();
        for (seconds, believed, expected) in story {
            let statuses = state.judge(pool, believed, false, at(*seconds));
            assert_eq!(shown(&statuses), *expected, "at {seconds} s");
        }
        state
    }

    #[test]
    fn no_more_than_half_go_within_a_minute() {
        let pool = Pool { max_withdraw: Share::Percent(50), ..pool(Select::All, &FOUR) };
        let state = story(
            &pool,
            &[
                (0, &[UP; 4], "UUUU"),
                (10, &[DOWN, UP, UP, UP], "DUUU"),
                (20, &[DOWN, DOWN, DOWN, UP], "DDhU"),
                (30, &[DOWN, DOWN, DOWN, DOWN], "DDhh"),
                (40, &[DOWN, DOWN, UP, DOWN], "DDUh"),
                (69, &[DOWN, DOWN, UP, DOWN], "DDUh"),
            ],
        );
        assert_eq!(state.next_timeout(), Some(at(70)), "the first is a minute ago");
        story(
            &pool,
            &[
                (0, &[UP; 4], "UUUU"),
                (10, &[DOWN, DOWN, DOWN, UP], "DDhU"),
                (70, &[DOWN, DOWN, DOWN, UP], "DDDU"),
                (71, &[DOWN, DOWN, DOWN, UP], "DDDU"),
            ],
        );
    }

    #[test]
    fn operators_are_not_counted() {
        let pool = Pool { max_withdraw: Share::Count(1), ..pool(Select::All, &FOUR) };
        story(
            &pool,
            &[
                (0, &[UP; 4], "UUUU"),
                (1, &[KILLED, KILLED, DRAINED, UP], "DDUU"),
                (2, &[KILLED, KILLED, DRAINED, DOWN], "DDUD"),
                (3, &[KILLED, KILLED, Status { drain: true, ..DOWN }, DOWN], "DDDD"),
            ],
        );
    }

    #[test]
    fn the_first_word_about_a_member_withdraws_nothing() {
        let pool = Pool { max_withdraw: Share::Count(1), ..pool(Select::All, &FOUR) };
        story(&pool, &[(0, &[Status::NEVER; 4], "????"), (1, &[DOWN, DOWN, DOWN, UP], "DDDU")]);
    }

    #[test]
    fn the_preferred_waits_to_come_back() {
        let pool = Pool { failback: Failback::After(Duration::from_secs(300)), ..pool(Select::All, &THREE_LEVELS) };
        let state = story(
            &pool,
            &[
                (0, &[Status::NEVER, UP, UP], "?UU"),
                (5, &[UP, UP, UP], "UUU"),
                (10, &[DOWN, UP, UP], "DUU"),
                (20, &[UP, UP, UP], "-UU"),
                (319, &[UP, UP, UP], "-UU"),
            ],
        );
        assert_eq!(state.next_timeout(), Some(at(320)));
        // The second comes back while the first serves: nobody need wait.
        story(&pool, &[(0, &[UP, UP, UP], "UUU"), (1, &[UP, DOWN, UP], "UDU"), (2, &[UP, UP, UP], "UUU")]);
        // Nobody else is left: it serves, and goes on when the other is back.
        story(
            &pool,
            &[
                (0, &[UP, UP, UP], "UUU"),
                (1, &[DOWN, UP, DOWN], "DUD"),
                (2, &[UP, UP, DOWN], "-UD"),
                (3, &[UP, DOWN, DOWN], "UDD"),
                (4, &[UP, UP, DOWN], "UUD"),
            ],
        );
        // All at once: the most preferred.
        story(&pool, &[(0, &[DOWN; 3], "DDD"), (1, &[UP; 3], "UUU")]);
        story(&pool, &[(0, &[UP; 3], "UUU"), (1, &[DOWN; 3], "DDD"), (2, &[DOWN, DOWN, UP], "DDU"), (3, &[UP, UP, UP], "--U")]);
    }

    #[test]
    fn a_level_of_several_takes_its_own_back_at_once() {
        let levels: [(u16, &[&str]); 3] = [(0, &["192.0.2.1"]), (0, &["192.0.2.2"]), (1, &["192.0.2.3"])];
        let pool = Pool { failback: Failback::After(Duration::from_secs(300)), ..pool(Select::All, &levels) };
        story(&pool, &[(0, &[UP; 3], "UUU"), (1, &[DOWN, UP, UP], "DUU"), (2, &[UP; 3], "UUU")]);
    }

    #[test]
    fn the_dead_that_is_held_up_does_not_serve() {
        let failback = Failback::After(Duration::from_secs(300));
        let pool = Pool { failback, max_withdraw: Share::Percent(50), ..pool(Select::First, &FOUR[..2]) };
        story(&pool, &[(0, &[UP; 2], "UU"), (10, &[DOWN, UP], "DU"), (20, &[UP; 2], "-U"), (30, &[UP, DOWN], "Uh")]);
    }

    #[test]
    fn a_level_comes_back_as_a_whole() {
        let levels: [(u16, &[&str]); 3] = [(0, &["192.0.2.1"]), (0, &["192.0.2.2"]), (1, &["192.0.2.3"])];
        let two = Pool { failback: Failback::Manual, ..pool(Select::All, &levels) };
        let pair = Pool { min_up: Share::Count(2), ..two.clone() };
        let gone: [(u64, &[Status], &str); 4] =
            [(0, &[UP; 3], "UUU"), (1, &[DOWN, DOWN, UP], "DDU"), (2, &[UP; 3], "--U"), (3, &[UP, UP, DOWN], "UUD")];
        story(&two, &gone);
        // Of the pair one is left, which alone serves nobody: the backup does, and the other waits.
        story(
            &Pool { min_up: Share::Percent(100), ..pair },
            &[(0, &[UP; 3], "UUU"), (1, &[DOWN, UP, UP], "DUU"), (2, &[UP; 3], "-UU")],
        );
    }

    #[test]
    fn who_was_taken_out_by_hand_comes_back_by_hand() {
        let pool = Pool { failback: Failback::Manual, ..pool(Select::First, &FOUR[..2]) };
        story(&pool, &[(0, &[UP; 2], "UU"), (1, &[KILLED, UP], "DU"), (2, &[UP; 2], "UU")]);
    }

    #[test]
    fn by_hand_means_by_hand() {
        let pool = Pool { failback: Failback::Manual, ..pool(Select::First, &FOUR[..2]) };
        let mut state =
            story(&pool, &[(0, &[UP; 2], "UU"), (1, &[DOWN, UP], "DU"), (2, &[UP; 2], "-U"), (1_000_000, &[UP; 2], "-U")]);
        assert!(state.is_waiting(0) && !state.is_waiting(1) && state.next_timeout().is_none());
        state.fail_back();
        assert_eq!(shown(&state.judge(&pool, &[UP; 2], false, at(1_000_001))), "UU");
    }

    #[test]
    fn weights_grow() {
        let pool = Pool { slow_start: Duration::from_secs(80), ..pool(Select::Weighted, &FOUR[..2]) };
        let state = story(
            &pool,
            &[
                (0, &[UP; 2], "UU"),
                (10, &[DOWN, UP], "DU"),
                (20, &[UP, UP], "1U"),
                (29, &[UP, UP], "1U"),
                (30, &[UP, UP], "2U"),
                (95, &[UP, UP], "UU"),
                (96, &[DOWN, UP], "DU"),
                (97, &[UP, UP], "1U"),
            ],
        );
        assert_eq!(state.next_timeout(), Some(at(107)));
        let slow = Status { weight: Status::SLOW, ..UP };
        let mut state = state;
        assert_eq!(state.judge(&pool, &[slow, UP], false, at(137))[0].weight, 80, "5/8 of a half");
        let state = story(&pool, &[(0, &[DOWN, UP], "DU"), (1, &[UP; 2], "1U"), (81, &[UP; 2], "UU")]);
        assert_eq!(state.next_timeout(), None);
    }

    #[test]
    fn the_last_that_could_serve_are_held() {
        let pool = Pool { when_none_up: WhenNoneUp::Last, min_up: Share::Count(2), ..pool(Select::All, &FOUR) };
        story(
            &pool,
            &[
                (0, &[DOWN; 4], "DDDD"),
                (1, &[UP, UP, UP, DOWN], "UUUD"),
                (2, &[UP, DOWN, UP, DOWN], "UDUD"),
                (3, &[UP, DOWN, DOWN, DOWN], "hDhD"),
                (4, &[KILLED, DOWN, DOWN, DOWN], "DDhD"),
                (5, &[KILLED, UP, DOWN, UP], "DUDU"),
            ],
        );
    }

    #[test]
    fn families_are_apart() {
        let both: [(u16, &[&str]); 2] = [(0, &["192.0.2.1", "2001:db8::1"]), (0, &["192.0.2.2", "2001:db8::2"])];
        let pool = Pool { max_withdraw: Share::Percent(50), ..pool(Select::All, &both) };
        story(&pool, &[(0, &[UP; 4], "UUUU"), (1, &[DOWN, DOWN, UP, DOWN], "DDUh")]);
    }

    #[test]
    fn a_frozen_pool_stays_as_it_was() {
        let pool = pool(Select::All, &FOUR);
        let mut state = PoolState::default();
        let mut judge = |believed: [Status; 4], frozen, seconds| shown(&state.judge(&pool, &believed, frozen, at(seconds)));
        assert_eq!(judge([UP, UP, DOWN, Status::NEVER], false, 0), "UUD?");
        assert_eq!(judge([UP, UP, DOWN, Status::NEVER], true, 1), "UUD?");
        assert_eq!(judge([DOWN, UP, UP, DOWN], true, 2), "UUDD", "nothing was known of the last");
        assert_eq!(judge([KILLED, UP, UP, UP], true, 3), "DUDD");
        assert_eq!(judge([DOWN, UP, UP, UP], true, 4), "UUDD");
        assert_eq!(judge([DOWN, UP, UP, UP], false, 5), "DUUU");
        let levels = Pool { failback: Failback::After(Duration::from_secs(10)), ..super::tests::pool(Select::First, &FOUR[..2]) };
        let mut state = story(&levels, &[(0, &[UP; 2], "UU"), (1, &[DOWN, UP], "DU"), (2, &[UP; 2], "-U")]);
        let seen = [3, 30].map(|seconds| shown(&state.judge(&levels, &[UP; 2], true, at(seconds))));
        assert_eq!(seen, ["-U", "-U"], "nor does time change it");
        assert_eq!(shown(&state.judge(&levels, &[UP; 2], false, at(31))), "UU");
    }

    #[test]
    fn another_definition_inherits_by_name_and_address() {
        let before = Pool { failback: Failback::Manual, ..pool(Select::First, &FOUR[..2]) };
        let state = story(&before, &[(0, &[UP; 2], "UU"), (1, &[DOWN, UP], "DU"), (2, &[UP; 2], "-U")]);
        let mut after = before.clone();
        after.members.remove(1);
        after.members.push(crate::target::PoolMember { name: "c".into(), ..before.members[1].clone() });
        let mut state = PoolState::inherited(&after, &before, &state);
        assert!(state.is_waiting(0) && !state.is_waiting(1));
        assert_eq!(shown(&state.judge(&after, &[UP; 2], false, at(3))), "-U");
    }
}
