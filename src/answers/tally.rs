//! Answers by whom they give: a count for each member of a pool, whatever programs draw from it.
//!
//! Counted as queries are ([`QueryCounters`](super::QueryCounters)): over UDP each worker in a slot that nobody else writes, a
//! relaxed load and store on a cache line of its own; what comes over connections in one place for all. So nothing is
//! estimated, no two workers meet, and an answer costs as many of these as it gives members: mostly one. The price is 128
//! octets for each member and worker.
//!
//! Whom an answer gives is known from what was picked: a program numbers what each pool gives apart
//! ([`Program::givers`](crate::program::Program::givers)), so two pools with the same address are told apart. Of a program that
//! makes its answer out of texts, that counts which pools gave it and which is in the answer.
//!
//! The counters belong to the pools, not to answer sets or programs, which come and go with flips and reloads: totals stay.
//!
//! Never here: what shares are wanted (`target`'s pools).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counters::{Transport, bump};

/// Answers in which one member of a pool was given.
#[derive(Debug)]
pub struct MemberAnswers {
    slots: Box<[Slot]>,
    connected: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot(AtomicU64);

/// Who counts: a worker, and what its query came over. A worker that there is no slot for explains, and counts nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller {
    pub(super) worker: usize,
    pub(super) transport: Transport,
}

impl MemberAnswers {
    /// None yet, for `workers` writers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { slots: (0..workers.max(1)).map(|_| Slot::default()).collect(), connected: AtomicU64::new(0) }
    }

    fn given(&self, by: Teller) {
        match self.slots.get(by.worker) {
            None => {} // an explanation
            Some(Slot(count)) if by.transport == Transport::Udp => bump(count),
            Some(_) => _ = self.connected.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The sum over all workers.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let slots = self.slots.iter().map(|Slot(count)| count.load(Ordering::Relaxed));
        slots.sum::<u64>() + self.connected.load(Ordering::Relaxed)
    }
}

/// Where the answers of one program are counted.
#[derive(Clone, Debug, Default)]
pub struct Tally(Option<Arc<[Option<Arc<MemberAnswers>>]>>);

impl Tally {
    /// By what the program's pieces give, in the order of its members; none where it draws from no pool.
    #[must_use]
    pub fn new(givers: impl IntoIterator<Item = Option<Arc<MemberAnswers>>>) -> Self {
        let givers: Arc<[_]> = givers.into_iter().collect();
        Self(Some(givers).filter(|givers| !givers.is_empty()))
    }

    /// An answer has these members of the program. A pool's member counts once, however many addresses it gives: they stand in
    /// a row.
    pub(super) fn count(&self, members: &[u16], by: Teller) {
        if let Some(givers) = &self.0 {
            count(givers, members.iter().copied(), by);
        }
    }

    /// An answer has these texts, and was made out of what was `drawn`; `names` are the texts of the program's members.
    pub(super) fn count_texts(&self, texts: &[Arc<[u8]>], (drawn, names): (&[u16], &[Box<str>]), by: Teller) {
        let Some(givers) = self.0.as_ref().filter(|_| !drawn.is_empty()) else { return };
        let texts: HashSet<&[u8]> = texts.iter().map(|text| &**text).collect();
        let is_given = |member: u16| names.get(usize::from(member)).is_some_and(|name| texts.contains(name.as_bytes()));
        let each = drawn.iter().enumerate().filter(|&(at, member)| !drawn[..at].contains(member)).map(|(_, &member)| member);
        count(givers, each.filter(|&member| is_given(member)), by);
    }
}

fn count(givers: &[Option<Arc<MemberAnswers>>], members: impl Iterator<Item = u16>, by: Teller) {
    let mut last: Option<&Arc<MemberAnswers>> = None;
    for giver in members.filter_map(|member| givers.get(usize::from(member))?.as_ref()) {
        if last.is_none_or(|last| !Arc::ptr_eq(last, giver)) {
            giver.given(by);
        }
        last = Some(giver);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Teller = Teller { worker: 1, transport: Transport::Udp };

    #[test]
    fn a_member_counts_once_for_each_answer() {
        let [one, other] = [(); 2].map(|()| Arc::new(MemberAnswers::new(2)));
        let tally = Tally::new([Some(&one), Some(&one), None, Some(&other)].map(Option::<&Arc<_>>::cloned));
        tally.count(&[0, 1, 2, 3], UDP);
        tally.count(&[1], Teller { transport: Transport::Tcp, ..UDP });
        tally.count(&[2], UDP);
        tally.count(&[3, 99], Teller { worker: usize::MAX, ..UDP });
        assert_eq!((one.sum(), other.sum()), (2, 1));
        Tally::default().count(&[0], UDP);
    }

    #[test]
    fn of_what_was_drawn_only_what_is_given_counts() {
        let [one, other] = [(); 2].map(|()| Arc::new(MemberAnswers::new(2)));
        let tally = Tally::new([Some(&one), Some(&other)].map(Option::<&Arc<_>>::cloned));
        let names: [Box<str>; 2] = ["192.0.2.1".into(), "192.0.2.2".into()];
        let texts: [Arc<[u8]>; 1] = [(*b"192.0.2.2").into()];
        tally.count_texts(&texts, (&[0, 1, 0, 1], &names), UDP);
        tally.count_texts(&texts, (&[0], &names), UDP);
        assert_eq!((one.sum(), other.sum()), (0, 1), "and once");
    }
}
