//! What the votes make of what several nodes see.
//!
//! A **voter** is a node that probes the target, this one included, whether it can be heard or not, but for one that has been
//! heard to have no word for `solo_after`: it cannot see the target, and never will. A voter says up, down, or has
//! **no word**: it is stale, cut off, or has not seen the target lately. No word is never a word for down, nor one for up: what
//! it takes to change a verdict is words, and whoever falls silent changes none. So of V voters of which U say up and D down:
//!
//! | rule | down | up |
//! | --- | --- | --- |
//! | `local` | this node says down | this node says up |
//! | `any-up` | U = 0 and 2D > V | U ≥ 1 |
//! | `majority` | 2D > V | 2U ≥ V: a tie is up |
//! | quorum of N (at most V) | D ≥ N | U > V − N: no N can be left that say down |
//! | `region-then-majority` | as `majority`, with regions for voters: each says what the majority of its nodes says | |
//!
//! (`any-up` is the exception: there the last that said up takes the target along when it falls silent, if more than half see it
//! down.) Else the votes are **split**, or, where 2(U + D) ≤ V, there is **no quorum** at all. What becomes of that, beside what
//! this node sees itself ([`Seen`]):
//!
//! | the votes | this node | the verdict |
//! | --- | --- | --- |
//! | up, down | says the same | its own, with all that it knows beside the value |
//! | up, down | says otherwise, or has no word | what the votes say |
//! | no quorum | may decide alone, and has a word | its own |
//! | no quorum, split | else; it believed something before | that, held |
//! | no quorum, split | else; it never believed anything | what more of those say that have a word, up where they tie |
//!
//! It **may decide alone** where it knows that it was not cut off, for `[health] control` has answered before and after it saw
//! that, and after the others fell silent too; or where it has heard from too few for `[peers] solo_after`: a fleet of two of which one is gone must not hold for ever what
//! it believed then.
//!
//! Why not the majority of those that have a word: then a target that two see up and two see down goes down as soon as one of
//! the former falls silent, and comes up as soon as one of the latter does. Losing sight must change no answer.

use crate::target::{Basis, Status, Value, Vote};

use super::bulletin::Word;

/// One voter: in which region, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::health) struct Ballot {
    pub(in crate::health) region: u16,
    pub(in crate::health) word: Word,
}

/// What the votes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::health) enum Count {
    Up,
    Down,
    /// Enough have a word, but not enough the same.
    Split,
    /// Too few have one.
    NoQuorum,
}

/// What the votes say.
pub(in crate::health) fn count(vote: Vote, own: Option<Word>, others: &[Ballot], region: u16) -> Count {
    let ballots = || others.iter().copied().chain(own.map(|word| Ballot { region, word }));
    let all = Poll::of(ballots().map(|ballot| ballot.word));
    match vote {
        Vote::Local => Poll::of([own.unwrap_or(Word::NoWord)].into_iter()).majority(),
        _ if all.voters() == 0 => Count::NoQuorum,
        Vote::AnyUp if all.up > 0 => Count::Up,
        Vote::AnyUp | Vote::Majority => all.majority(),
        Vote::Quorum(nodes) => {
            let nodes = usize::from(nodes.max(1)).min(all.voters());
            all.says(all.up > all.voters() - nodes, all.down >= nodes)
        }
        Vote::RegionThenMajority => {
            let mut regions: Vec<u16> = ballots().map(|ballot| ballot.region).collect();
            regions.sort_unstable();
            regions.dedup();
            let of = |region| Poll::of(ballots().filter(move |ballot| ballot.region == region).map(|ballot| ballot.word));
            match Poll::of(regions.into_iter().map(|region| of(region).majority().word())).majority() {
                // A region that is split has no word; but those that are in it have.
                Count::NoQuorum if 2 * (all.up + all.down) > all.voters() => Count::Split,
                count => count,
            }
        }
    }
}

impl Count {
    const fn word(self) -> Word {
        match self {
            Self::Up => Word::Up,
            Self::Down => Word::Down,
            Self::Split | Self::NoQuorum => Word::NoWord,
        }
    }
}

/// How many say what.
#[derive(Clone, Copy, Debug, Default)]
struct Poll {
    up: usize,
    down: usize,
    no_word: usize,
}

impl Poll {
    fn of(words: impl Iterator<Item = Word>) -> Self {
        words.fold(Self::default(), |mut poll, word| {
            *match word {
                Word::Up => &mut poll.up,
                Word::Down => &mut poll.down,
                Word::NoWord => &mut poll.no_word,
            } += 1;
            poll
        })
    }

    const fn voters(&self) -> usize {
        self.up + self.down + self.no_word
    }

    /// What most of those say that have a word.
    const fn most(&self) -> Word {
        if self.up + self.down == 0 {
            Word::NoWord
        } else if self.down > self.up {
            Word::Down
        } else {
            Word::Up
        }
    }

    const fn says(&self, up: bool, down: bool) -> Count {
        match (up, down) {
            (true, _) => Count::Up,
            (false, true) => Count::Down,
            (false, false) if 2 * (self.up + self.down) > self.voters() => Count::Split,
            (false, false) => Count::NoQuorum,
        }
    }

    const fn majority(&self) -> Count {
        self.says(2 * self.up >= self.voters(), 2 * self.down > self.voters())
    }
}

/// What this node knows by itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::health) struct Seen {
    /// What its own probes come to.
    pub(in crate::health) own: Status,
    /// What it says of that to others; `None`: it takes no part in this vote.
    pub(in crate::health) word: Option<Word>,
    /// What it believed before.
    pub(in crate::health) before: Status,
    /// Whether it may decide alone.
    pub(in crate::health) alone: bool,
}

/// What is believed of a target.
pub(in crate::health) fn verdict(vote: Vote, seen: Seen, others: &[Ballot], region: u16) -> Status {
    let Seen { own, word, before, alone } = seen;
    let votes = count(vote, word, others, region);
    match votes {
        Count::Up | Count::Down if Some(votes.word()) == word => own,
        Count::Up | Count::Down => told(own, votes.word()),
        Count::NoQuorum if vote == Vote::Local || (alone && word.is_some_and(|word| word != Word::NoWord)) => own,
        Count::NoQuorum | Count::Split if before.value != Value::Unknown => held(own, before),
        Count::NoQuorum | Count::Split => told(own, Poll::of(others.iter().map(|ballot| ballot.word).chain(word)).most()),
    }
}

/// What others say, with what this node knows beside the value.
fn told(own: Status, says: Word) -> Status {
    let value = match says {
        Word::Up => Value::Up,
        Word::Down => Value::Down,
        Word::NoWord => return own,
    };
    if own.value == value { own } else { Status { value, basis: Basis::Voted, reported: 0, doubt: false, ..own } }
}

fn held(own: Status, before: Status) -> Status {
    if own.value == before.value {
        return own;
    }
    Status { basis: before.basis.min(Basis::Held), ..before }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Word::{Down, NoWord, Up};

    /// All ways in which so many voters can speak.
    fn all(voters: u32) -> impl Iterator<Item = Vec<Word>> {
        (0..3usize.pow(voters)).map(move |mut at| {
            let mut words = Vec::new();
            for _ in 0..voters {
                words.push([Down, NoWord, Up][at % 3]);
                at /= 3;
            }
            words
        })
    }

    fn ask(vote: Vote, words: &[Word], regions: &[u16]) -> Count {
        let ballots: Vec<_> = words.iter().zip(regions).map(|(&word, &region)| Ballot { region, word }).collect();
        count(vote, Some(words[0]), &ballots[1..], regions[0])
    }

    /// The table of the module page, in other words than the code's.
    fn table(vote: Vote, words: &[Word]) -> Count {
        let says = |word| words.iter().filter(|&&said| said == word).count();
        let (up, down, voters) = (says(Up), says(Down), words.len());
        let (is_up, is_down) = match vote {
            Vote::Local => (words[0] == Up, words[0] == Down),
            Vote::AnyUp => (up >= 1, up == 0 && down > voters - down),
            Vote::Majority | Vote::RegionThenMajority => (up >= voters - up, down > voters - down),
            Vote::Quorum(nodes) => {
                let nodes = usize::from(nodes).min(voters);
                (voters - up < nodes, down >= nodes)
            }
        };
        let heard = if vote == Vote::Local { words[0] != NoWord } else { up + down > voters - up - down };
        match (is_up, is_down) {
            (true, true) => panic!("both at once"),
            (true, false) => Count::Up,
            (false, true) => Count::Down,
            (false, false) if heard => Count::Split,
            (false, false) => Count::NoQuorum,
        }
    }

    #[test]
    fn each_rule_is_its_row() {
        let rules = [Vote::Local, Vote::AnyUp, Vote::Majority, Vote::Quorum(1), Vote::Quorum(2), Vote::Quorum(9)];
        for voters in 1..=6 {
            for words in all(voters) {
                for vote in rules {
                    assert_eq!(ask(vote, &words, &[0; 6]), table(vote, &words), "{vote} {words:?}");
                }
                // Where each node is a region of its own, regions are voters; one region says what its nodes say.
                let (own, one) = ([0, 1, 2, 3, 4, 5], [7; 6]);
                let majority = table(Vote::Majority, &words);
                assert_eq!(ask(Vote::RegionThenMajority, &words, &own), majority, "{words:?}");
                assert_eq!(ask(Vote::RegionThenMajority, &words, &one).word(), majority.word(), "{words:?}");
            }
        }
    }

    #[test]
    fn regions_count_once_however_many_nodes_they_have() {
        let regions = [1, 1, 1, 2, 3];
        let ask = |words: [Word; 5]| ask(Vote::RegionThenMajority, &words, &regions);
        assert_eq!(ask([Down, Down, Down, Up, Up]), Count::Up, "three nodes see it down, in one region of three");
        assert_eq!(ask([Up, Down, Down, Down, Up]), Count::Down);
        assert_eq!(ask([Up, Up, Down, Down, Down]), Count::Down, "one region of three sees it up");
        assert_eq!(ask([NoWord, NoWord, NoWord, Down, NoWord]), Count::NoQuorum, "one region of three has a word");
        assert_eq!(ask([Up, NoWord, Up, Down, NoWord]), Count::Split, "two have, and not the same");
        assert_eq!(ask([Up, Down, NoWord, NoWord, Down]), Count::Split, "one is split itself");
    }

    /// No verdict turns because somebody has no word any more: up is not followed by down, nor down by up.
    #[test]
    fn silence_turns_nothing() {
        let rules = [Vote::Majority, Vote::Quorum(2), Vote::Quorum(3), Vote::RegionThenMajority];
        for words in all(6) {
            for vote in rules {
                let before = ask(vote, &words, &[0, 0, 1, 1, 2, 2]).word();
                for silent in 0..6 {
                    let mut fewer = words.clone();
                    fewer[silent] = NoWord;
                    let after = ask(vote, &fewer, &[0, 0, 1, 1, 2, 2]).word();
                    assert!(after == NoWord || after == before, "{vote} {words:?} {silent}");
                }
            }
        }
    }

    fn status(value: Value, basis: Basis) -> Status {
        Status { value, basis, ..Status::NEVER }
    }

    #[test]
    fn what_becomes_of_the_count() {
        let (up, down) = (status(Value::Up, Basis::Measured), status(Value::Down, Basis::Measured));
        let verdict = |own: Status, before, alone, others: [Word; 3]| {
            let word = match own.value {
                _ if own.basis != Basis::Measured => NoWord,
                Value::Up => Up,
                Value::Down => Down,
                Value::Unknown => NoWord,
            };
            verdict(
                Vote::Majority,
                Seen { own, word: Some(word), before, alone },
                &others.map(|word| Ballot { region: 0, word }),
                0,
            )
        };
        let (voted, held) = (|value| status(value, Basis::Voted), |value| status(value, Basis::Held));
        let (silent, never) = ([NoWord; 3], Status::NEVER);
        // The votes say what this node says, and otherwise.
        assert_eq!(verdict(down, up, false, [Down, Down, Up]), down);
        assert_eq!(verdict(down, up, true, [Up, Up, Down]), voted(Value::Up));
        assert_eq!(verdict(up, up, true, [Down; 3]), voted(Value::Down));
        assert_eq!(verdict(never, never, false, [Up, Up, NoWord]), voted(Value::Up), "a node that has just begun");
        // No quorum.
        assert_eq!(verdict(down, up, true, silent), down, "it knows that it is not cut off");
        assert_eq!(verdict(held(Value::Down), up, true, silent), held(Value::Up), "but it has seen nothing lately");
        assert_eq!(verdict(down, up, false, silent), held(Value::Up));
        assert_eq!(verdict(up, down, false, silent), held(Value::Down));
        assert_eq!(verdict(up, voted(Value::Up), false, silent), up, "what it sees is what it believed");
        assert_eq!(verdict(down, never, false, silent), down, "there is nothing to hold");
        assert_eq!(verdict(never, never, false, silent), never);
        // Split: nobody decides alone.
        for alone in [false, true] {
            assert_eq!(verdict(down, up, alone, [Down, Up, NoWord]), held(Value::Up));
            assert_eq!(verdict(up, down, alone, [Down, Down, NoWord]), held(Value::Down));
            assert_eq!(verdict(up, never, alone, [Down, Down, NoWord]), voted(Value::Down));
        }
    }
}
