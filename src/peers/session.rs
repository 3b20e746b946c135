//! Sessions between two nodes, as state machines without sockets, clocks or random numbers of their own.
//!
//! A session goes one way: whoever tells, says hello first, and each direction has its own, so two hellos that cross are two
//! sessions that have nothing to do with each other. It consists of two [`End`]s: each side gives its [`Incarnation`] and a
//! nonce that nobody has used before. All four numbers are under the authentication of every message, so a message fits one
//! session between two processes and no other.
//!
//! - Yesterday's hello gets a reply and a place among [`PENDING_MAX`] that wait. It displaces nothing: the reply has a nonce
//!   that yesterday's bulletins do not know, so no bulletin follows that fits.
//! - Yesterday's reply to a hello does not fit today's nonce.
//! - Incarnations are compared for being the same, never for which is later. A node that was wiped, or set back to an older
//!   state of itself, says hello like any other.
//!
//! Whether a message is authentic is judged by whoever calls this, between [`Hearer::session`] and [`Hearer::accept`].

use std::collections::VecDeque;

use super::Refusal;
use crate::health::Incarnation;

/// Hellos of one peer that wait for the first bulletin.
pub const PENDING_MAX: usize = 4;

/// 128 random bits that are used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub u128);

/// One side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// Which life of the node.
    pub incarnation: Incarnation,
    /// What it has drawn for this session.
    pub nonce: Nonce,
}

/// What tells a session from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// The side that said hello, and tells.
    pub teller: End,
    /// The side that hears.
    pub hearer: End,
}

impl Session {
    /// By what messages name it.
    #[must_use]
    pub const fn id(&self) -> Nonce {
        self.hearer.nonce
    }
}

/// A bulletin's place in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which.
    pub session: Session,
    /// Its number, from 1.
    pub sequence: u64,
}

/// The side that tells, towards one peer.
///
/// | | [`stamp`](Self::stamp), facts as stated | `stamp`, other facts | [`greet`](Self::greet) | [`greeted`](Self::greeted), nonce fits | `greeted`, it does not | [`refused`](Self::refused) |
/// | --- | --- | --- | --- | --- | --- | --- |
/// | closed | none | none | greeting | replayed | replayed | closed |
/// | greeting | none | none | greeting anew | **open** | replayed | greeting |
/// | open | the next number | none; closed | greeting | replayed | replayed | closed, if it is this session |
#[derive(Clone, Debug)]
pub struct Teller {
    own: Incarnation,
    state: Telling,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Telling {
    Closed,
    Greeting { own: End, stated: u64 },
    Open { session: Session, last: u64, stated: u64 },
}

impl Teller {
    /// Of a node in this life, that has said nothing yet.
    #[must_use]
    pub const fn new(own: Incarnation) -> Self {
        Self { own, state: Telling::Closed }
    }

    /// The place of the next bulletin; `None`: hello is to be said first. `facts` numbers what a hello would state now.
    pub fn stamp(&mut self, facts: u64) -> Option<Stamp> {
        match &mut self.state {
            Telling::Open { session, last, stated } if *stated == facts => {
                *last += 1;
                Some(Stamp { session: *session, sequence: *last })
            }
            Telling::Open { .. } => {
                self.state = Telling::Closed;
                None
            }
            Telling::Closed | Telling::Greeting { .. } => None,
        }
    }

    /// Our side of a new session, which the hello states. What was open is closed.
    pub fn greet(&mut self, nonce: Nonce, facts: u64) -> End {
        let own = End { incarnation: self.own, nonce };
        self.state = Telling::Greeting { own, stated: facts };
        own
    }

    /// An authentic reply to the hello with `asked` has come.
    ///
    /// # Errors
    /// [`Refusal::Replayed`]: that is not the hello that waits for one.
    pub fn greeted(&mut self, asked: Nonce, hearer: End) -> Result<(), Refusal> {
        match self.state {
            Telling::Greeting { own, stated } if own.nonce == asked => {
                self.state = Telling::Open { session: Session { teller: own, hearer }, last: 0, stated };
                Ok(())
            }
            _ => Err(Refusal::Replayed),
        }
    }

    /// The hearer knows nothing of this session, or has accepted more in it than we remember to have said.
    pub fn refused(&mut self, refused: &Session) {
        if matches!(&self.state, Telling::Open { session, .. } if session == refused) {
            self.state = Telling::Closed;
        }
    }
}

/// The side that hears, towards one peer; `F` is what hellos state.
///
/// | | [`hello`](Self::hello) | [`accept`](Self::accept) of the current session, newer | the same, not newer | `accept` of one that waits | `accept` of any other |
/// | --- | --- | --- | --- | --- | --- |
/// | no session | waits | | | **begun**: it is the current one | no session |
/// | a session | waits; the current one goes on | accepted | replayed | **begun**: the one before is forgotten | no session |
///
/// With one that waits, those go that have waited longer: their hellos were given up.
#[derive(Clone, Debug)]
pub struct Hearer<F> {
    own: Incarnation,
    current: Option<(Session, u64)>,
    waiting: VecDeque<(Session, F)>,
}

/// What accepting a bulletin did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted<F> {
    /// It is the next of the session.
    Next,
    /// It is the first of a session, whose hello stated this.
    Begun(F),
}

impl<F> Hearer<F> {
    /// Of a node in this life, that has heard nothing yet.
    #[must_use]
    pub const fn new(own: Incarnation) -> Self {
        Self { own, current: None, waiting: VecDeque::new() }
    }

    /// An authentic hello has come: the session that may come of it. `nonce` is used unless the same hello waits already, which
    /// then gets the same reply.
    pub fn hello(&mut self, teller: End, nonce: Nonce, stated: F) -> Session {
        if let Some((session, _)) = self.waiting.iter().find(|(session, _)| session.teller == teller) {
            return *session;
        }
        if self.waiting.len() == PENDING_MAX {
            self.waiting.pop_front();
        }
        let session = Session { teller, hearer: End { incarnation: self.own, nonce } };
        self.waiting.push_back((session, stated));
        session
    }

    /// The session of this name, current or waiting: by it, a message that names it is judged.
    #[must_use]
    pub fn session(&self, id: Nonce) -> Option<Session> {
        let current = self.current.iter().map(|(session, _)| session);
        current.chain(self.waiting.iter().map(|(session, _)| session)).find(|session| session.id() == id).copied()
    }

    /// Whether an authentic bulletin of this place would be accepted. Changes nothing.
    ///
    /// # Errors
    /// [`Refusal::Replayed`] and [`Refusal::NoSession`].
    pub fn judge(&self, id: Nonce, sequence: u64) -> Result<(), Refusal> {
        match self.current {
            Some((session, last)) if session.id() == id => (sequence > last).then_some(()).ok_or(Refusal::Replayed),
            _ if sequence == 0 => Err(Refusal::Replayed),
            _ => self.waiting_place(id).map(drop).ok_or(Refusal::NoSession),
        }
    }

    /// An authentic bulletin has come whole.
    ///
    /// # Errors
    /// As [`Self::judge`]; then nothing has changed.
    pub fn accept(&mut self, id: Nonce, sequence: u64) -> Result<Accepted<F>, Refusal> {
        self.judge(id, sequence)?;
        if let Some((session, last)) = &mut self.current
            && session.id() == id
        {
            *last = sequence;
            return Ok(Accepted::Next);
        }
        let place = self.waiting_place(id).ok_or(Refusal::NoSession)?;
        let (session, stated) = self.waiting.drain(..=place).next_back().ok_or(Refusal::NoSession)?;
        self.current = Some((session, sequence));
        Ok(Accepted::Begun(stated))
    }

    fn waiting_place(&self, id: Nonce) -> Option<usize> {
        self.waiting.iter().position(|(session, _)| session.id() == id)
    }
}

/// Which life of a peer was met last: by a bulletin of its own, or by its reply to our hello.
#[derive(Clone, Debug, Default)]
pub struct Acquaintance(Option<Incarnation>);

impl Acquaintance {
    /// A proof that it lives in `incarnation` now: whether that is another life than before.
    pub fn meet(&mut self, incarnation: Incarnation) -> bool {
        self.0.replace(incarnation) != Some(incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Incarnation = Incarnation(0xA);
    const B: Incarnation = Incarnation(0xB);

    /// Both sides of one direction, and a source of nonces.
    struct Pair {
        teller: Teller,
        hearer: Hearer<&'static str>,
        drawn: u128,
    }

    impl Pair {
        fn new() -> Self {
            Self { teller: Teller::new(A), hearer: Hearer::new(B), drawn: 0 }
        }

        /// With a session that has had `bulletins`.
        fn open(bulletins: u64) -> Self {
            let mut pair = Self::new();
            pair.greet();
            for _ in 0..bulletins {
                assert!(pair.tell().is_ok());
            }
            pair
        }

        fn nonce(&mut self) -> Nonce {
            self.drawn += 1;
            Nonce(self.drawn)
        }

        fn greet(&mut self) -> Session {
            let (own, answer) = (self.nonce(), self.nonce());
            let end = self.teller.greet(own, 0);
            let session = self.hearer.hello(end, answer, "facts");
            self.teller.greeted(end.nonce, session.hearer).expect("it is the hello that waits");
            session
        }

        fn tell(&mut self) -> Result<Accepted<&'static str>, Refusal> {
            let Stamp { session, sequence } = self.teller.stamp(0).expect("a session");
            assert!(self.hearer.session(session.id()).is_none_or(|known| known == session));
            self.hearer.accept(session.id(), sequence)
        }
    }

    #[test]
    fn the_teller_as_its_table_says() {
        let (nonce, other) = (Nonce(1), Nonce(2));
        let hearer = End { incarnation: B, nonce: Nonce(3) };
        let closed = Teller::new(A);
        let mut greeting = closed.clone();
        let own = greeting.greet(nonce, 7);
        let mut open = greeting.clone();
        open.greeted(nonce, hearer).expect("fits");
        let session = Session { teller: own, hearer };
        let elsewhere = Session { hearer: End { nonce: other, ..hearer }, ..session };
        for (name, state) in [("closed", &closed), ("greeting", &greeting), ("open", &open)] {
            let after = |event: &dyn Fn(&mut Teller)| {
                let mut state = state.clone();
                event(&mut state);
                state.state
            };
            let stamp = |facts| state.clone().stamp(facts);
            let expected = (name == "open").then_some(Stamp { session, sequence: 1 });
            assert_eq!(stamp(7), expected, "{name}");
            assert_eq!(stamp(8), None, "{name}");
            let unchanged = |after: Telling| assert_eq!(after, state.state, "{name}");
            match name {
                "open" => assert_eq!(after(&|teller| assert_eq!(teller.stamp(8), None)), Telling::Closed),
                _ => unchanged(after(&|teller| assert_eq!(teller.stamp(8), None))),
            }
            let anew = Telling::Greeting { own: End { nonce: other, ..own }, stated: 8 };
            assert_eq!(after(&|teller| assert_eq!(teller.greet(other, 8).nonce, other)), anew, "{name}");
            match name {
                "greeting" => assert_eq!(after(&|teller| teller.greeted(nonce, hearer).expect("fits")), open.state),
                _ => unchanged(after(&|teller| assert_eq!(teller.greeted(nonce, hearer), Err(Refusal::Replayed)))),
            }
            unchanged(after(&|teller| assert_eq!(teller.greeted(other, hearer), Err(Refusal::Replayed))));
            unchanged(after(&|teller| teller.refused(&elsewhere)));
            match name {
                "open" => assert_eq!(after(&|teller| teller.refused(&session)), Telling::Closed),
                _ => unchanged(after(&|teller| teller.refused(&session))),
            }
        }
    }

    #[test]
    fn the_hearer_as_its_table_says() {
        let mut pair = Pair::new();
        assert_eq!(pair.hearer.accept(Nonce(9), 1), Err(Refusal::NoSession));
        let first = pair.greet();
        assert_eq!(pair.hearer.session(first.id()), Some(first));
        assert_eq!(pair.hearer.accept(Nonce(9), 1), Err(Refusal::NoSession));
        assert_eq!(pair.hearer.accept(first.id(), 0), Err(Refusal::Replayed), "numbers begin at 1");
        assert_eq!(pair.tell(), Ok(Accepted::Begun("facts")));
        assert_eq!(pair.tell(), Ok(Accepted::Next));
        for repeated in 0..=2 {
            assert_eq!(pair.hearer.accept(first.id(), repeated), Err(Refusal::Replayed));
        }
        assert_eq!(pair.hearer.accept(first.id(), 9), Ok(Accepted::Next), "what was lost in between leaves a gap");
        assert_eq!(pair.hearer.accept(first.id(), 8), Err(Refusal::Replayed), "what comes out of order");
        let second = pair.greet();
        assert_eq!(pair.hearer.accept(first.id(), 10), Ok(Accepted::Next), "a hello alone displaces nothing");
        assert_eq!(pair.tell(), Ok(Accepted::Begun("facts")));
        assert_eq!(pair.hearer.accept(first.id(), 11), Err(Refusal::NoSession), "the session before is forgotten");
        assert_eq!(pair.hearer.session(first.id()), None);
        assert_eq!(pair.hearer.accept(second.id(), 2), Ok(Accepted::Next));
    }

    #[test]
    fn a_replayed_hello_displaces_nothing() {
        let mut pair = Pair::new();
        let old = End { incarnation: A, nonce: pair.nonce() };
        let current = pair.greet();
        pair.tell().expect("accepted");
        let nonce = pair.nonce();
        let offered = pair.hearer.hello(old, nonce, "old");
        assert_ne!(offered, current);
        assert_eq!(pair.tell(), Ok(Accepted::Next));
        assert_eq!(pair.hearer.hello(old, Nonce(99), "old"), offered, "said twice, it is the same");
        for _ in 0..10 * PENDING_MAX {
            let (teller, nonce) = (End { incarnation: A, nonce: pair.nonce() }, pair.nonce());
            pair.hearer.hello(teller, nonce, "flood");
        }
        assert_eq!(pair.hearer.waiting.len(), PENDING_MAX);
        assert_eq!(pair.tell(), Ok(Accepted::Next));
    }

    #[test]
    fn either_side_may_be_another_than_before() {
        // The hearer is new, or was set back to before the session: it knows nothing of it.
        let mut pair = Pair::open(3);
        pair.hearer = Hearer::new(Incarnation(0xBB));
        assert_eq!(pair.tell(), Err(Refusal::NoSession));
        assert_eq!((pair.greet().hearer.incarnation, pair.tell()), (Incarnation(0xBB), Ok(Accepted::Begun("facts"))));
        // The teller is new.
        let mut pair = Pair::open(3);
        pair.teller = Teller::new(Incarnation(0xAA));
        assert_eq!(pair.teller.stamp(0), None);
        assert_eq!((pair.greet().teller.incarnation, pair.tell()), (Incarnation(0xAA), Ok(Accepted::Begun("facts"))));
        // The teller was set back within the session: what it says has been said, and a hello puts it right.
        let mut pair = Pair::open(1);
        let earlier = pair.teller.clone();
        assert!(pair.tell().is_ok() && pair.tell().is_ok());
        pair.teller = earlier;
        let stamp = pair.teller.stamp(0).expect("it believes so");
        assert_eq!(pair.hearer.accept(stamp.session.id(), stamp.sequence), Err(Refusal::Replayed));
        pair.teller.refused(&stamp.session);
        assert_eq!(pair.teller.stamp(0), None);
        pair.greet();
        assert_eq!(pair.tell(), Ok(Accepted::Begun("facts")));
    }

    #[test]
    fn replies_and_bulletins_of_another_time_fit_nothing() {
        let mut pair = Pair::new();
        let lost = pair.teller.greet(Nonce(100), 0);
        let late = pair.hearer.hello(lost, Nonce(101), "first");
        let session = pair.greet();
        assert_eq!(pair.teller.greeted(lost.nonce, late.hearer), Err(Refusal::Replayed), "the reply came too late");
        assert_eq!(pair.tell(), Ok(Accepted::Begun("facts")));
        assert_eq!(pair.hearer.accept(late.id(), 1), Err(Refusal::NoSession), "the older hello went with the session's");
        assert_eq!(pair.hearer.session(session.id()), Some(session));
    }

    #[test]
    fn hellos_that_cross_are_two_sessions() {
        let (mut there, mut back) = (Pair::new(), Pair::new());
        let (from_a, from_b) = (there.teller.greet(Nonce(1), 0), back.teller.greet(Nonce(2), 0));
        let at_b = there.hearer.hello(from_a, Nonce(3), "a");
        let at_a = back.hearer.hello(from_b, Nonce(4), "b");
        there.teller.greeted(Nonce(1), at_b.hearer).expect("fits");
        back.teller.greeted(Nonce(2), at_a.hearer).expect("fits");
        assert_eq!((there.tell(), back.tell()), (Ok(Accepted::Begun("a")), Ok(Accepted::Begun("b"))));
    }

    /// Everything that was ever sent on one direction, from which the network delivers whatever it likes, as often as it likes.
    #[derive(Clone, Copy, Debug)]
    enum Sent {
        Hello(End),
        Welcome { asked: Nonce, hearer: End },
        Bulletin(Stamp),
    }

    /// A direction whose network and whose nodes do their worst.
    struct Storm {
        random: fastrand::Rng,
        pair: Pair,
        sent: Vec<Sent>,
        /// Each session that was begun, and the numbers accepted in it.
        begun: Vec<(Nonce, Vec<u64>)>,
        lives: u128,
    }

    impl Storm {
        fn step(&mut self) {
            match self.random.u8(..100) {
                0..30 => self.speak(),
                30..96 if !self.sent.is_empty() => {
                    let oldest = if self.random.u8(..4) == 0 { 0 } else { self.sent.len().saturating_sub(2) };
                    let at = self.random.usize(oldest..self.sent.len());
                    self.deliver(self.sent[at]);
                }
                96 => self.pair.teller = Teller::new(self.life()),
                97 => self.pair.hearer = Hearer::new(self.life()),
                98 => drop(self.pair.teller.stamp(1)),
                _ => {}
            }
        }

        fn life(&mut self) -> Incarnation {
            self.lives += 1;
            Incarnation(self.lives)
        }

        fn speak(&mut self) {
            let said = match self.pair.teller.stamp(0) {
                Some(stamp) => Sent::Bulletin(stamp),
                None => {
                    let nonce = self.pair.nonce();
                    Sent::Hello(self.pair.teller.greet(nonce, 0))
                }
            };
            self.sent.push(said);
        }

        fn deliver(&mut self, sent: Sent) {
            match sent {
                Sent::Hello(teller) => {
                    let nonce = self.pair.nonce();
                    let hearer = self.pair.hearer.hello(teller, nonce, "facts").hearer;
                    self.sent.push(Sent::Welcome { asked: teller.nonce, hearer });
                }
                // Not what is waited for, or too late: it changes nothing, as the tables say.
                Sent::Welcome { asked, hearer } => drop(self.pair.teller.greeted(asked, hearer).is_ok()),
                Sent::Bulletin(stamp) => self.hear(stamp),
            }
        }

        /// What is accepted belongs to the session that was begun last, and is newer than all that was accepted in it.
        fn hear(&mut self, Stamp { session, sequence }: Stamp) {
            let known = self.pair.hearer.session(session.id());
            let before = self.pair.hearer.current;
            match self.pair.hearer.accept(session.id(), sequence) {
                Ok(accepted) => {
                    assert_eq!(known, Some(session), "its code would not fit");
                    if accepted == Accepted::Begun("facts") {
                        assert!(self.begun.iter().all(|(id, _)| *id != session.id()), "no session is begun twice");
                        self.begun.push((session.id(), Vec::new()));
                    }
                    let (id, numbers) = self.begun.last_mut().expect("one was begun");
                    assert!(*id == session.id() && numbers.iter().all(|number| *number < sequence));
                    numbers.push(sequence);
                }
                Err(_) => {
                    assert_eq!(self.pair.hearer.current, before);
                    self.pair.teller.refused(&session);
                }
            }
        }
    }

    #[test]
    fn whatever_is_lost_repeated_or_delayed_nothing_is_heard_twice() {
        let mut accepted = 0;
        for seed in 0..500 {
            let random = fastrand::Rng::with_seed(seed);
            let mut storm = Storm { random, pair: Pair::new(), sent: Vec::new(), begun: Vec::new(), lives: 100 };
            (0..400).for_each(|_| storm.step());
            accepted += storm.begun.iter().map(|(_, numbers)| numbers.len()).sum::<usize>();
            // And when the storm is over, a bulletin arrives at once, or after one hello.
            let heard = |storm: &Storm| storm.begun.iter().map(|(_, numbers)| numbers.len()).sum::<usize>();
            let before = heard(&storm);
            for _ in 0..5 {
                let sent = storm.sent.len();
                storm.speak();
                while let Some(next) = storm.sent.get(sent..).and_then(<[_]>::last).copied() {
                    storm.sent.truncate(storm.sent.len() - 1);
                    storm.deliver(next);
                }
            }
            assert!(heard(&storm) > before, "seed {seed}");
        }
        println!("{accepted} accepted");
        assert!(accepted > 5000, "{accepted}");
    }

    #[test]
    fn a_life_is_met_once() {
        let mut acquaintance = Acquaintance::default();
        let met: Vec<_> = [1, 1, 2, 2, 1].map(|life| acquaintance.meet(Incarnation(life))).into();
        assert_eq!(met, [true, false, true, false, true]);
    }
}
