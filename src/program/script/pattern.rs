//! Lua 5.1 patterns over octets, under a budget of steps.
//!
//! Luau's own pattern functions run to the end without a safepoint, and a short pattern can ask for more work than the
//! age of the universe. So patterns are matched here: every octet looked at, of the subject and of a set, is one step,
//! and the match fails with [`PatternError::OutOfSteps`] when its budget is gone. Depth is bounded as in LuaJIT
//! ([`DEPTH_MAX`]), so no pattern can overflow the stack. What matches, and what the errors say, is LuaJIT's: `%g` is a
//! class, and a NUL ends the pattern.
//!
//! Never here: allocation, Lua values, replacement strings.

use std::ops::RangeInclusive;

/// Most captures of one pattern.
pub(super) const CAPTURES_MAX: usize = 32;
/// Deepest nesting of one match: captures and repetitions that are being tried.
const DEPTH_MAX: usize = 200;

/// Why a pattern cannot be matched; the texts are Lua's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    #[error("malformed pattern (ends with '%')")]
    EndsInEscape,
    #[error("malformed pattern (missing ']')")]
    OpenSet,
    #[error("missing '[' after '%f' in pattern")]
    FrontierWithoutSet,
    #[error("unbalanced pattern")]
    UnbalancedArguments,
    #[error("invalid capture index")]
    NoSuchCapture,
    #[error("invalid pattern capture")]
    NothingToClose,
    #[error("unfinished capture")]
    OpenCapture,
    #[error("too many captures")]
    TooManyCaptures,
    #[error("pattern too complex")]
    TooDeep,
    #[error("out of steps")]
    OutOfSteps,
}

/// Where a pattern matched: octets `start..end` of the subject.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    captures: [Slot; CAPTURES_MAX],
    count: usize,
}

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// Octets of the subject.
    Text(usize, usize),
    /// An offset in the subject, of `()`; Lua counts it from 1.
    Position(usize),
}

impl Match {
    /// How many captures the pattern has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The capture at `index`, counted from 0.
    pub(super) fn capture(&self, index: usize) -> Result<Capture, PatternError> {
        let slot = self.captures[..self.count].get(index).ok_or(PatternError::NoSuchCapture)?;
        match slot.extent {
            Extent::Open => Err(PatternError::OpenCapture),
            Extent::Closed(end) => Ok(Capture::Text(slot.start, end)),
            Extent::Position => Ok(Capture::Position(slot.start)),
        }
    }
}

/// The first match of `pattern` at or after `from`; a leading `^` holds it to `from`.
pub(super) fn find(subject: &[u8], pattern: &[u8], from: usize, steps: &mut u64) -> Result<Option<Match>, PatternError> {
    match pattern.strip_prefix(b"^") {
        Some(anchored) => match_at(subject, anchored, from, steps),
        None => search(subject, pattern, from, steps),
    }
}

/// The first match of `pattern` at or after `from`; `^` is nothing special.
pub(super) fn search(subject: &[u8], pattern: &[u8], from: usize, steps: &mut u64) -> Result<Option<Match>, PatternError> {
    attempt(subject, pattern, from..=subject.len(), steps)
}

/// The match of `pattern` that begins at `start`; `^` is nothing special.
pub(super) fn match_at(subject: &[u8], pattern: &[u8], start: usize, steps: &mut u64) -> Result<Option<Match>, PatternError> {
    attempt(subject, pattern, start..=start, steps)
}

fn attempt(
    subject: &[u8],
    pattern: &[u8],
    starts: RangeInclusive<usize>,
    steps: &mut u64,
) -> Result<Option<Match>, PatternError> {
    let pattern = pattern.split(|octet| *octet == 0).next().unwrap_or_default();
    let empty = Slot { start: 0, extent: Extent::Open };
    let mut matcher = Matcher { subject, pattern, captures: [empty; CAPTURES_MAX], count: 0, depth: 0, steps };
    for start in starts {
        matcher.count = 0;
        if let Some(end) = matcher.run(start, 0)? {
            return Ok(Some(Match { start, end, captures: matcher.captures, count: matcher.count }));
        }
    }
    Ok(None)
}

/// Where the octets of `needle` first stand at or after `from`.
pub(super) fn find_plain(haystack: &[u8], needle: &[u8], from: usize, steps: &mut u64) -> Result<Option<usize>, PatternError> {
    let places = (haystack.len() + 1).saturating_sub(from + needle.len());
    let Some(&first) = needle.first() else { return Ok((from <= haystack.len()).then_some(from)) };
    for start in from..from + places {
        spend(steps, 1)?;
        if haystack[start] == first {
            spend(steps, needle.len())?;
            if haystack[start..].starts_with(needle) {
                return Ok(Some(start));
            }
        }
    }
    Ok(None)
}

/// Whether `pattern` means more than its octets.
pub(super) fn is_special(pattern: &[u8]) -> bool {
    pattern.iter().any(|octet| b"^$*+?.([%-".contains(octet))
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: usize,
    extent: Extent,
}

#[derive(Clone, Copy, Debug)]
enum Extent {
    Open,
    Closed(usize),
    Position,
}

/// One attempt at one place of the subject.
struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    captures: [Slot; CAPTURES_MAX],
    count: usize,
    depth: usize,
    steps: &'a mut u64,
}

/// Where the rest of a pattern ended in the subject; `None` when it does not match.
type End = Result<Option<usize>, PatternError>;

impl Matcher<'_> {
    /// Matches the pattern from offset `p` on against the subject from offset `s` on, one level deeper.
    fn run(&mut self, s: usize, p: usize) -> End {
        spend(self.steps, 1)?;
        if self.depth == DEPTH_MAX {
            return Err(PatternError::TooDeep);
        }
        self.depth += 1;
        let end = self.items(s, p);
        self.depth -= 1;
        end
    }

    fn items(&mut self, mut s: usize, mut p: usize) -> End {
        while let Some(&octet) = self.pattern.get(p) {
            spend(self.steps, 1)?;
            let next = match (octet, self.pattern.get(p + 1)) {
                (b'(', Some(b')')) => return self.open(s, p + 2, Extent::Position),
                (b'(', _) => return self.open(s, p + 1, Extent::Open),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.subject.len()).then_some(s)),
                (b'%', Some(b'b')) => self.balanced(s, p + 2)?.map(|s| (s, p + 4)),
                (b'%', Some(b'f')) => self.frontier(s, p + 2)?,
                (b'%', Some(digit @ b'0'..=b'9')) => self.again(s, *digit)?.map(|s| (s, p + 2)),
                _ => {
                    let end = self.item_end(p)?;
                    match self.pattern.get(end) {
                        Some(b'*') => return self.longest(s, p, end),
                        Some(b'+') => return if self.fits(s, p, end)? { self.longest(s + 1, p, end) } else { Ok(None) },
                        Some(b'-') => return self.shortest(s, p, end),
                        Some(b'?') => match self.optional(s, p, end)? {
                            None => Some((s, end + 1)),
                            found => return Ok(found),
                        },
                        _ => self.fits(s, p, end)?.then_some((s + 1, end)),
                    }
                }
            };
            let Some(advanced) = next else { return Ok(None) };
            (s, p) = advanced;
        }
        Ok(Some(s))
    }

    fn open(&mut self, s: usize, p: usize, extent: Extent) -> End {
        *self.captures.get_mut(self.count).ok_or(PatternError::TooManyCaptures)? = Slot { start: s, extent };
        self.count += 1;
        let end = self.run(s, p)?;
        if end.is_none() {
            self.count -= 1;
        }
        Ok(end)
    }

    fn close(&mut self, s: usize, p: usize) -> End {
        let open = |slot: &Slot| matches!(slot.extent, Extent::Open);
        let index = self.captures[..self.count].iter().rposition(open).ok_or(PatternError::NothingToClose)?;
        self.captures[index].extent = Extent::Closed(s);
        let end = self.run(s, p)?;
        if end.is_none() {
            self.captures[index].extent = Extent::Open;
        }
        Ok(end)
    }

    /// `%1`: the octets of a capture once more.
    fn again(&mut self, s: usize, digit: u8) -> End {
        let index = usize::from(digit).checked_sub(usize::from(b'1')).ok_or(PatternError::NoSuchCapture)?;
        let slot = self.captures[..self.count].get(index).ok_or(PatternError::NoSuchCapture)?;
        let text = match slot.extent {
            Extent::Open => return Err(PatternError::NoSuchCapture),
            Extent::Closed(end) => &self.subject[slot.start..end],
            Extent::Position => return Ok(None), // what LuaJIT makes of it
        };
        spend(self.steps, text.len())?;
        Ok(self.subject[s..].starts_with(text).then_some(s + text.len()))
    }

    /// `%bxy`: from an `x` to the `y` that balances it.
    fn balanced(&mut self, s: usize, p: usize) -> End {
        let Some(&[open, close]) = self.pattern.get(p..p + 2) else { return Err(PatternError::UnbalancedArguments) };
        if self.subject.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1usize;
        for (offset, &octet) in self.subject[s..].iter().enumerate().skip(1) {
            spend(self.steps, 1)?;
            if octet == close {
                depth -= 1;
            } else if octet == open {
                depth += 1;
            }
            if depth == 0 {
                return Ok(Some(s + offset + 1));
            }
        }
        Ok(None)
    }

    /// `%f[set]`: a place before which the set does not hold and after which it does; the ends count as NUL.
    fn frontier(&mut self, s: usize, p: usize) -> Result<Option<(usize, usize)>, PatternError> {
        if self.pattern.get(p) != Some(&b'[') {
            return Err(PatternError::FrontierWithoutSet);
        }
        let end = self.item_end(p)?;
        let before = s.checked_sub(1).map_or(0, |at| self.subject[at]);
        let after = self.subject.get(s).copied().unwrap_or(0);
        let here = !self.in_set(before, p, end)? && self.in_set(after, p, end)?;
        Ok(here.then_some((s, end)))
    }

    fn longest(&mut self, s: usize, p: usize, end: usize) -> End {
        let mut reach = s;
        while self.fits(reach, p, end)? {
            reach += 1;
        }
        for from in (s..=reach).rev() {
            if let Some(found) = self.run(from, end + 1)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn shortest(&mut self, mut s: usize, p: usize, end: usize) -> End {
        loop {
            if let Some(found) = self.run(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.fits(s, p, end)? {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn optional(&mut self, s: usize, p: usize, end: usize) -> End {
        if self.fits(s, p, end)? { self.run(s + 1, end + 1) } else { Ok(None) }
    }

    /// Where the single-octet item at `p` ends.
    fn item_end(&mut self, p: usize) -> Result<usize, PatternError> {
        match self.pattern[p] {
            b'%' if p + 1 == self.pattern.len() => Err(PatternError::EndsInEscape),
            b'%' => Ok(p + 2),
            b'[' => self.set_end(p + 1),
            _ => Ok(p + 1),
        }
    }

    fn set_end(&mut self, mut p: usize) -> Result<usize, PatternError> {
        let negated = self.pattern.get(p) == Some(&b'^');
        p += usize::from(negated);
        let first = p;
        loop {
            spend(self.steps, 1)?;
            p += match self.pattern.get(p) {
                None => return Err(PatternError::OpenSet),
                Some(b']') if p > first => return Ok(p + 1),
                Some(b'%') => 2,
                Some(_) => 1,
            };
        }
    }

    /// Whether the octet at `s` is one of the item at `p..end`.
    fn fits(&mut self, s: usize, p: usize, end: usize) -> Result<bool, PatternError> {
        spend(self.steps, 1)?;
        let Some(&octet) = self.subject.get(s) else { return Ok(false) };
        match self.pattern[p] {
            b'.' => Ok(true),
            b'%' => Ok(in_class(octet, self.pattern[p + 1])),
            b'[' => self.in_set(octet, p, end),
            literal => Ok(octet == literal),
        }
    }

    /// Whether `octet` is in the set whose brackets are at `p` and `end - 1`.
    fn in_set(&mut self, octet: u8, p: usize, end: usize) -> Result<bool, PatternError> {
        spend(self.steps, end - p)?;
        let members = &self.pattern[p + 1..end - 1];
        Ok(match members.strip_prefix(b"^") {
            Some(members) => !is_member(octet, members),
            None => is_member(octet, members),
        })
    }
}

fn is_member(octet: u8, mut members: &[u8]) -> bool {
    loop {
        let (found, rest) = match members {
            [] => return false,
            [b'%', class, rest @ ..] => (in_class(octet, *class), rest),
            [low, b'-', high, rest @ ..] => ((*low..=*high).contains(&octet), rest),
            [literal, rest @ ..] => (octet == *literal, rest),
        };
        if found {
            return true;
        }
        members = rest;
    }
}

fn in_class(octet: u8, class: u8) -> bool {
    let member = match class.to_ascii_lowercase() {
        b'a' => octet.is_ascii_alphabetic(),
        b'c' => octet.is_ascii_control(),
        b'd' => octet.is_ascii_digit(),
        b'g' => octet.is_ascii_graphic(),
        b'l' => octet.is_ascii_lowercase(),
        b'p' => octet.is_ascii_punctuation(),
        b's' => matches!(octet, b' ' | b'\t'..=b'\r'),
        b'u' => octet.is_ascii_uppercase(),
        b'w' => octet.is_ascii_alphanumeric(),
        b'x' => octet.is_ascii_hexdigit(),
        b'z' => octet == 0,
        _ => return octet == class,
    };
    member != class.is_ascii_uppercase()
}

fn spend(steps: &mut u64, cost: usize) -> Result<(), PatternError> {
    *steps = steps.checked_sub(cost as u64).ok_or(PatternError::OutOfSteps)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(subject: &[u8], pattern: &[u8], steps: &mut u64) -> Result<String, PatternError> {
        let Some(found) = find(subject, pattern, 0, steps)? else { return Ok("nil".into()) };
        let mut text = format!("{}-{}", found.start + 1, found.end);
        for index in 0..found.count() {
            text += &match found.capture(index)? {
                Capture::Text(start, end) => format!(" {}", String::from_utf8_lossy(&subject[start..end])),
                Capture::Position(at) => format!(" @{}", at + 1),
            };
        }
        Ok(text)
    }

    /// The expected texts are those of LuaJIT 2.1.
    #[test]
    fn patterns_match_as_in_lua() {
        let cases: [(&[u8], &[u8], &str); 64] = [
            (b"hello world", b"o w", "5-7"),
            (b"hello world", b"l+", "3-4"),
            (b"hello world", b"(h)(.)", "1-2 h e"),
            (b"hello", b"()ll()", "3-4 @3 @5"),
            (b"key = value", b"^(%w+)%s*=%s*(%w+)$", "1-11 key value"),
            (b"  trim  ", b"^%s*(.-)%s*$", "1-8 trim"),
            (b"x", b"y", "nil"),
            (b"", b".*", "1-0"),
            (b"abc", b"b*", "1-0"),
            (b"aaab", b"a-b", "1-4"),
            (b"aaab", b"a?a?a?b", "1-4"),
            (b"192.0.2.1", b"^(%d+)%.(%d+)%.(%d+)%.(%d+)$", "1-9 192 0 2 1"),
            (b"THE (quick) fox", b"%((%a+)%)", "5-11 quick"),
            (b"f(a(b)c)d", b"%b()", "2-8"),
            (b"f(a(b", b"%b()", "nil"),
            (b"THE (quick) fox", b"%f[%a]%a+%f[%A]", "1-3"),
            (b"foo.bar", b"%.", "4-4"),
            (b"a.b-c", b"[.-]+", "2-2"),
            (b"abab", b"(ab)%1", "1-4 ab"),
            (b"abac", b"(a.)%1", "nil"),
            (b"[x]", b"[]]", "3-3"),
            (b"^a", b"[%^]a", "1-2"),
            (b"a-z", b"[a%-z]+", "1-3"),
            (b"5-3", b"[0-]+", "2-2"),
            (b"a]b", b"[^]]+", "1-1"),
            (b"\x09\x0a\x0b\x0c\x0d ", b"^%s+$", "1-6"),
            (b"a\x00b", b"%z", "2-2"),
            (b"a\x00b", b"a%zb", "1-3"),
            (b"a\x00b", b"[^%z]b", "nil"),
            (b"\x01\x7f", b"^%c+$", "1-2"),
            (b"_!~", b"^%p+$", "1-3"),
            (b"\xc3\xa9", b"%a", "nil"),
            (b"\xc3\xa9", b"[\x80-\xff]+", "1-2"),
            (b"dead", b"^%x+$", "1-4"),
            (b"AbC", b"%u%l%u", "1-3"),
            (b"AbC", b"%L", "1-1"),
            (b"x1", b"%A", "2-2"),
            (b"a", b"a$b", "nil"),
            (b"a$b", b"a$b", "1-3"),
            (b"a^b", b"a^b", "1-3"),
            (b"aXb", b"a%Xb", "1-3"),
            (b"ab", b"^ab$", "1-2"),
            (b"cab", b"^ab", "nil"),
            (b"a", b"()", "1-0 @1"),
            (b"", b"^$", "1-0"),
            (b"a", b"%", "error: malformed pattern (ends with '%')"),
            (b"a", b"[a", "error: malformed pattern (missing ']')"),
            (b"a", b"[^", "error: malformed pattern (missing ']')"),
            (b"a", b"[%", "error: malformed pattern (missing ']')"),
            (b"a", b"(a", "error: unfinished capture"),
            (b"a", b"%1", "error: invalid capture index"),
            (b"a", b"(%1)", "error: invalid capture index"),
            (b"a", b"(a)%2", "error: invalid capture index"),
            (b"a", b"%0", "error: invalid capture index"),
            (b"a", b"%b", "error: unbalanced pattern"),
            (b"a", b"%bx", "error: unbalanced pattern"),
            (b"a", b"%f", "error: missing '[' after '%f' in pattern"),
            (b"a", b"%fa", "error: missing '[' after '%f' in pattern"),
            (b"aaa", b"%f[^a]", "4-3"),
            (b"a\x00b", b"a\x00c.", "1-1"),
            (b"aaa", b"[a-]-$", "1-3"),
            (b"()()", b"(()())", "1-0  @1 @1"),
            (b"12", b"%g+", "1-2"),
            (b"a", b"[a])", "error: invalid pattern capture"),
        ];
        for (subject, pattern, wanted) in cases {
            let got = shown(subject, pattern, &mut 1000).unwrap_or_else(|error| format!("error: {error}"));
            assert_eq!(got, wanted, "{:?} in {:?}", pattern.escape_ascii().to_string(), subject.escape_ascii().to_string());
        }
    }

    #[test]
    fn captures_and_depth_are_bounded() {
        assert_eq!(find(b"a", &b"()".repeat(CAPTURES_MAX), 0, &mut 1000).unwrap().unwrap().count(), CAPTURES_MAX);
        assert_eq!(find(b"a", &b"()".repeat(CAPTURES_MAX + 1), 0, &mut 1000).err(), Some(PatternError::TooManyCaptures));
        let deep = |depth| find(&b"a".repeat(300), &b"a?".repeat(depth), 0, &mut 100_000).err();
        assert_eq!((deep(DEPTH_MAX - 1), deep(DEPTH_MAX)), (None, Some(PatternError::TooDeep)));
    }

    #[test]
    fn a_search_begins_where_it_is_told() {
        let at = |found: Option<Match>| found.map(|found| (found.start, found.end));
        assert_eq!(at(find(b"aba", b"a", 1, &mut 99).unwrap()), Some((2, 3)));
        assert_eq!(at(find(b"aba", b"^a", 1, &mut 99).unwrap()), None);
        assert_eq!(at(find(b"aba", b"$", 3, &mut 99).unwrap()), Some((3, 3)));
        assert_eq!(at(find(b"aba", b"", 4, &mut 99).unwrap()), None);
        assert_eq!(at(search(b"a^a", b"^a", 0, &mut 99).unwrap()), Some((1, 3)));
        assert_eq!(at(match_at(b"aba", b"a", 1, &mut 99).unwrap()), None);
    }

    #[test]
    fn plain_text_is_found() {
        type Case<'a> = (&'a [u8], &'a [u8], usize, Option<usize>);
        let cases: [Case<'_>; 8] = [
            (b"abcabc", b"bc", 0, Some(1)),
            (b"abcabc", b"bc", 2, Some(4)),
            (b"abcabc", b"bc", 5, None),
            (b"ab", b"abc", 0, None),
            (b"ab", b"", 2, Some(2)),
            (b"ab", b"", 3, None),
            (b"a.b", b".", 0, Some(1)),
            (b"aab", b"ab", 0, Some(1)),
        ];
        for (haystack, needle, from, wanted) in cases {
            assert_eq!(find_plain(haystack, needle, from, &mut 99), Ok(wanted), "{needle:?}");
        }
        assert_eq!(find_plain(&[b'a'; 100], b"ab", 0, &mut 100), Err(PatternError::OutOfSteps));
        assert!(is_special(b"a-b") && !is_special(b"a)b]"));
    }

    #[test]
    fn hostile_patterns_run_out_of_steps() {
        let set = [b"[".as_slice(), &b"c".repeat(1000), b"a]*"].concat();
        let cases: [&[u8]; 8] = [
            &[b"a*".repeat(40), b"b".to_vec()].concat(),
            b".-.-.-.-.-.-b",
            b"(a*)(a*)(a*)(a*)(a*)b",
            &[b"a-".repeat(150), b"b".to_vec()].concat(),
            b"(a*)%1%1%1b",
            b"%b()",
            b"a*a*a*a*$b",
            &[&set[..], &set[..], b"b"].concat(),
        ];
        let subject = [b"a".repeat(5000), b"(".repeat(5000)].concat();
        for pattern in cases {
            let got = find(&subject, pattern, 0, &mut 1_000_000).err();
            assert_eq!(got, Some(PatternError::OutOfSteps), "{}", pattern.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends(subject in "[ab()\\[%\\x00 ]{0,40}", pattern in "[ab.%()\\[\\]^$*+?1f\\x00-]{0,16}", mut steps in 0u64..5000) {
            let given = steps;
            let _ = shown(subject.as_bytes(), pattern.as_bytes(), &mut steps);
            prop_assert!(steps <= given);
        }

        #[test]
        fn any_octets_end(subject: Vec<u8>, pattern: Vec<u8>) {
            let _ = shown(&subject, &pattern, &mut 10_000);
        }
    }
}
