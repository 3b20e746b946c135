//! Response rate limiting: no address gets more of one answer over UDP than a client could want.
//!
//! Datagrams come from whoever their sender says. Without a limit, a server multiplies what is sent to it in a victim's
//! name; with one, the victim gets `per_second` copies of an answer, and every `slip`-th of the others as an empty reply
//! with TC, so that a real client in the same network gets its answer over TCP.
//!
//! What counts as one answer: for a name that exists, the node that answered and the type (all names that one wildcard
//! answers are one), or the node alone where it has nothing of the type, since a client can ask for any; for names that do
//! not exist, their zone; for referrals, the cut; all errors together. Clients are counted by network. Whoever has proven its address (TCP, a good cookie) is not limited.
//!
//! The limit is the generic cell rate algorithm: a cell holds the time at which the next answer is due if all came evenly;
//! an answer may come up to a second early. So a cell is one number, a burst of `per_second` is allowed, and the rate holds
//! at any size of the unit. The table has a fixed size and is shared by all threads without a lock: a cell is an atomic
//! octuple with a tag, and two threads that write one at the same time may let one answer too many through, which is
//! harmless. A set of four cells serves each hash; the one that is due earliest is given to a newcomer.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::geo::Net;
use crate::wire::{NameRef, Rcode, RecordType};

/// Cells that a hash may be in.
const WAYS: usize = 4;
/// Bits of a cell that are time, in microseconds: nine years; the others are the tag.
const TIME_BITS: u32 = 48;
/// How early an answer may come, in microseconds.
const BURST: u64 = 1_000_000;

/// The limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// How often one network gets one answer: 1..=100,000.
    pub per_second: u32,
    /// Every how many-th answer above the limit is sent truncated rather than dropped; 0: none.
    pub slip: u32,
    /// Bits of an IPv4 address that make a network.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that make a network.
    pub ipv6_prefix: u8,
    /// Networks that are not limited.
    pub exempt: Vec<Net>,
    /// Cells of the table, 8 octets each.
    pub table_size: usize,
}

/// The table of who got what when.
pub struct RateLimiter {
    limits: RateLimits,
    cells: Box<[[AtomicU64; WAYS]]>,
    hasher: RandomState,
}

/// What happens to a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent.
    Send,
    /// It is sent empty, with TC.
    Truncate,
    /// It is not sent.
    Drop,
}

/// What a reply says, as far as two that say the same are one.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum Subject<'a> {
    /// Data of this type at this node.
    Node(NameRef<'a>, RecordType),
    /// That this node has none of the type.
    Nodata(NameRef<'a>),
    /// That names do not exist in this zone.
    Nonexistent(NameRef<'a>),
    /// A delegation.
    Cut(NameRef<'a>),
    /// An error.
    Error(Rcode),
}

impl RateLimiter {
    /// An empty table.
    #[must_use]
    pub fn new(limits: RateLimits) -> Self {
        let sets = (limits.table_size / WAYS).max(1);
        let cells = (0..sets).map(|_| [const { AtomicU64::new(0) }; WAYS]).collect();
        Self { limits, cells, hasher: RandomState::new() }
    }

    /// What it holds everybody to.
    #[must_use]
    pub const fn limits(&self) -> &RateLimits {
        &self.limits
    }

    /// Whether `client` may get a reply about `subject` at `now`, milliseconds of a clock that never goes back.
    pub(super) fn judge(&self, client: IpAddr, subject: &Subject<'_>, now: u64, random: &mut fastrand::Rng) -> Verdict {
        if self.admits(client, subject, now) {
            return Verdict::Send;
        }
        match self.limits.slip {
            0 => Verdict::Drop,
            slip if random.u32(..slip) == 0 => Verdict::Truncate,
            _ => Verdict::Drop,
        }
    }

    fn admits(&self, client: IpAddr, subject: &Subject<'_>, now: u64) -> bool {
        let bits = if client.is_ipv4() { self.limits.ipv4_prefix } else { self.limits.ipv6_prefix };
        let network = Net::new(client, bits);
        if self.limits.exempt.iter().any(|net| net.contains(client)) {
            return true;
        }
        let hash = self.hasher.hash_one((network, subject));
        let tag = hash >> TIME_BITS;
        let set = &self.cells[(hash % self.cells.len() as u64) as usize];
        let cells = set.each_ref().map(|cell| cell.load(Ordering::Relaxed));
        let now = now.wrapping_mul(1000) & TIME_MASK;
        // No cell is ever later than this: one that seems to be is from before the clock began anew.
        let due = |cell: u64| Some(cell & TIME_MASK).filter(|&due| due <= now + BURST).unwrap_or(0);
        let known = cells.iter().position(|&cell| cell >> TIME_BITS == tag && cell != 0);
        let stalest = || (0..WAYS).min_by_key(|&way| due(cells[way])).unwrap_or(0);
        let way = known.unwrap_or_else(stalest);
        let due = if known.is_some() { due(cells[way]).max(now) } else { now };
        let next = due + u64::from(1_000_000 / self.limits.per_second.max(1));
        let admitted = next <= now + BURST;
        if admitted {
            set[way].store(tag << TIME_BITS | next & TIME_MASK, Ordering::Relaxed);
        }
        admitted
    }
}

const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.limits.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_second: u32, slip: u32) -> RateLimiter {
        let exempt = vec!["10.9.0.0/16".parse().expect("a network")];
        RateLimiter::new(RateLimits { per_second, slip, ipv4_prefix: 24, ipv6_prefix: 56, exempt, table_size: 1 << 12 })
    }

    const ROOT: Subject<'static> = Subject::Nonexistent(NameRef::ROOT);

    /// How many of `asked` queries, spread evenly over `seconds`, are answered.
    fn answered(limiter: &RateLimiter, client: [u8; 4], asked: u64, seconds: u64) -> usize {
        let mut random = fastrand::Rng::with_seed(1);
        let mut judge = |n: u64| limiter.judge(client.into(), &ROOT, 5_000 + n * seconds * 1000 / asked, &mut random);
        (0..asked).filter(|&n| judge(n) == Verdict::Send).count()
    }

    #[test]
    fn a_flood_gets_the_rate_and_one_burst() {
        for rate in [1, 5, 100, 1000] {
            let got = answered(&limiter(rate, 0), [192, 0, 2, 1], 100_000, 10);
            let expected = 11 * rate as usize;
            assert!((expected - 1..=expected + 1).contains(&got), "{rate}: {got}");
        }
    }

    #[test]
    fn who_stays_below_the_rate_is_never_limited() {
        assert_eq!(answered(&limiter(100, 0), [192, 0, 2, 1], 990, 10), 990);
        assert_eq!(answered(&limiter(1, 0), [10, 9, 1, 1], 1000, 1), 1000, "exempt");
    }

    #[test]
    fn networks_and_subjects_are_counted_apart() {
        let limiter = limiter(1, 0);
        let mut random = fastrand::Rng::with_seed(1);
        let mut sent = |client: [u8; 4], subject| limiter.judge(client.into(), &subject, 9_000, &mut random) == Verdict::Send;
        assert!(sent([192, 0, 2, 1], ROOT));
        assert!(!sent([192, 0, 2, 200], ROOT), "the same /24");
        assert!(sent([192, 0, 3, 1], ROOT));
        assert!(sent([192, 0, 2, 1], Subject::Error(Rcode::REFUSED)));
        assert!(sent([192, 0, 2, 1], Subject::Node(NameRef::ROOT, RecordType::A)));
        assert!(sent([192, 0, 2, 1], Subject::Node(NameRef::ROOT, RecordType::AAAA)));
    }

    #[test]
    fn some_of_what_is_above_the_limit_slips_through_truncated() {
        let limiter = limiter(1, 4);
        let mut random = fastrand::Rng::with_seed(1);
        let verdicts: Vec<_> = (0..4001).map(|_| limiter.judge([192, 0, 2, 1].into(), &ROOT, 9_000, &mut random)).collect();
        let truncated = verdicts.iter().filter(|&&verdict| verdict == Verdict::Truncate).count();
        assert!((900..1100).contains(&truncated), "{truncated}");
        assert_eq!(verdicts.iter().filter(|&&verdict| verdict == Verdict::Send).count(), 1);
    }

    #[test]
    fn a_clock_that_begins_anew_frees_everybody() {
        let limiter = limiter(1, 0);
        let mut random = fastrand::Rng::with_seed(1);
        let mut sent = |now| limiter.judge([192, 0, 2, 1].into(), &ROOT, now, &mut random) == Verdict::Send;
        let last = (1 << TIME_BITS) / 1000 - 5_000;
        assert!(sent(last) && !sent(last));
        assert!(sent(last + 6_000) && !sent(last + 6_000));
    }

    #[test]
    fn a_crowd_of_others_does_not_free_a_flooder() {
        let limiter = limiter(1, 0);
        let mut random = fastrand::Rng::with_seed(1);
        let mut sent = 0;
        for n in 0..1_000_000u32 {
            let other = [10, (n >> 16) as u8, (n >> 8) as u8, n as u8];
            limiter.judge(other.into(), &ROOT, 9_000 + u64::from(n / 100), &mut random);
            sent += usize::from(
                limiter.judge([192, 0, 2, 1].into(), &ROOT, 9_000 + u64::from(n / 100), &mut random) == Verdict::Send,
            );
        }
        assert!(sent < 40, "ten seconds at 1/s, in a table of 4096 cells with 4,000 networks at work: {sent}");
    }
}
