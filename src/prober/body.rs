//! What is looked for in the body of an answer, while it arrives: a text, a pattern, a weight.
//!
//! Whatever the server sends, the work per octet is bounded and so is what is kept: for a text a position, for a weight
//! a few octets, for a pattern the first [`MATCHED`] octets.
//!
//! Never here: reading.

use crate::target::{Failure, HttpCheck};

/// Octets of a body that are read. What is beyond is ignored, and the exchange counts as complete.
pub(super) const MAX_BODY: usize = 1 << 20;

/// Octets at the front of a body that a pattern is matched against. A match takes linear time, but a multiple of the
/// pattern's size for each octet, on a thread that runs other probes.
pub(super) const MATCHED: usize = 64 << 10;

/// Octets in which a weight, with the blanks before it, must end.
const WEIGHT: usize = 64;

/// The body of one answer, as far as it has been read.
pub(super) struct Body<'a> {
    check: &'a HttpCheck,
    search: Search<'a>,
    /// The front of the body.
    kept: Vec<u8>,
    /// How much of it is kept.
    keep: usize,
    /// Octets that are still to be read, if they come.
    left: usize,
}

impl<'a> Body<'a> {
    pub(super) fn new(check: &'a HttpCheck) -> Self {
        let keep = match (&check.pattern, check.weighs) {
            (Some(_), _) => MATCHED,
            (None, true) => WEIGHT,
            (None, false) => 0,
        };
        let left = check.limit.map_or(MAX_BODY, |limit| MAX_BODY.min(limit as usize));
        let search = Search::new(check.body.as_deref().unwrap_or_default().as_bytes());
        Self { check, search, kept: Vec::new(), keep, left }
    }

    /// Whether more is to be read.
    pub(super) const fn wants_more(&self) -> bool {
        self.left > 0
    }

    /// Takes in the next octets.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        let piece = &piece[..piece.len().min(self.left)];
        self.left -= piece.len();
        self.search.feed(piece);
        let room = self.keep - self.kept.len();
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The weight that the target gives itself, 0 where it is not asked, if the body is as expected.
    pub(super) fn judge(&self) -> Result<u32, Failure> {
        if !self.search.found() {
            return Err(Failure::Body);
        }
        if self.check.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&self.kept)) {
            return Err(Failure::Pattern);
        }
        Ok(if self.check.weighs { weight(&self.kept[..self.kept.len().min(WEIGHT)]) } else { 0 })
    }
}

/// The integer at the front of a body as C++'s `stoi` reads it. What is no positive number of 31 bits counts as 1.
fn weight(body: &[u8]) -> u32 {
    let blanks = body.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let number = &body[blanks..];
    let number = number.strip_prefix(b"+").unwrap_or(number);
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let read = std::str::from_utf8(&number[..digits]).ok().and_then(|digits| digits.parse::<i32>().ok());
    read.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1).max(1)
}

/// Looks for one text in a stream of pieces (Knuth, Morris, Pratt): linear in the stream whatever the server sends,
/// and nothing is kept but a position.
struct Search<'a> {
    needle: &'a [u8],
    /// For each prefix of the needle the length of its longest proper prefix that is also its suffix.
    borders: Vec<usize>,
    matched: usize,
}

impl<'a> Search<'a> {
    fn new(needle: &'a [u8]) -> Self {
        let mut search = Self { needle, borders: Vec::with_capacity(needle.len()), matched: 0 };
        for (index, &byte) in needle.iter().enumerate() {
            if index > 0 {
                search.step(byte);
            }
            search.borders.push(search.matched);
        }
        search.matched = 0;
        search
    }

    fn found(&self) -> bool {
        self.matched == self.needle.len()
    }

    fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            if self.found() {
                return;
            }
            self.step(byte);
        }
    }

    /// Requires that not all is matched yet.
    fn step(&mut self, byte: u8) {
        while self.matched > 0 && self.needle[self.matched] != byte {
            self.matched = self.borders[self.matched - 1];
        }
        if self.needle[self.matched] == byte {
            self.matched += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Pattern, Scheme};
    use proptest::prelude::*;

    fn judged(body: &[u8], change: impl FnOnce(&mut HttpCheck)) -> Result<u32, Failure> {
        let mut check = HttpCheck::get(Scheme::Http, "x", "/");
        change(&mut check);
        let mut read = Body::new(&check);
        body.chunks(3).for_each(|piece| read.feed(piece));
        read.judge()
    }

    #[test]
    fn a_weight_is_the_integer_at_the_front() {
        for (body, wanted) in [
            ("7", 7),
            ("42\n", 42),
            (" \t\r\n+15 of 20", 15),
            ("3.9", 3),
            ("010", 10),
            ("2147483647", 2_147_483_647),
            ("2147483648", 1),
            ("99999999999999999999", 1),
            ("0", 1),
            ("-5", 1),
            ("+-5", 1),
            ("", 1),
            ("ok 5", 1),
        ] {
            assert_eq!(judged(body.as_bytes(), |check| check.weighs = true), Ok(wanted), "{body:?}");
        }
        assert_eq!(judged(b"7", |_| {}), Ok(0), "not asked");
    }

    #[test]
    fn text_and_pattern_must_both_be_there() {
        let both =
            |body: &[u8]| judged(body, |check| (check.body, check.pattern) = (Some("ok".into()), Pattern::new("[0-9]{3}").ok()));
        assert_eq!(both(b"ok 123"), Ok(0));
        assert_eq!(both(b"ok 12"), Err(Failure::Pattern));
        assert_eq!(both(b"no 123"), Err(Failure::Body));
        assert_eq!(judged(b"\xFF9", |check| check.pattern = Pattern::new("^.?9$").ok()), Err(Failure::Pattern), "no UTF-8");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let check = HttpCheck { pattern: Pattern::new("end").ok(), ..HttpCheck::get(Scheme::Http, "x", "/") };
        for (before, found) in [(MATCHED - 3, Ok(0)), (MATCHED - 2, Err(Failure::Pattern))] {
            let mut read = Body::new(&check);
            read.feed(&vec![b'x'; before]);
            read.feed(b"end");
            assert_eq!((read.judge(), read.kept.len() <= MATCHED), (found, true));
        }
    }

    #[test]
    fn a_limit_cuts_the_body() {
        let limited =
            |limit, text: &str| judged(b"healthy", |check| (check.limit, check.body) = (Some(limit), Some(text.into())));
        assert_eq!(limited(4, "heal"), Ok(0));
        assert_eq!(limited(4, "healt"), Err(Failure::Body));
        assert_eq!(limited(u32::MAX, "healthy"), Ok(0));
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_the_plain_one(text in "[ab]{0,40}", needle in "[ab]{0,6}", cut in 0usize..40) {
            let mut search = Search::new(needle.as_bytes());
            let (head, tail) = text.split_at(cut.min(text.len()));
            search.feed(head.as_bytes());
            search.feed(tail.as_bytes());
            prop_assert_eq!(search.found(), text.contains(&needle));
        }
    }
}
