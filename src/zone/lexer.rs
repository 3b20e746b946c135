//! Master-file octets → entries of tokens (RFC 1035 5.1).
//!
//! An entry is one logical line: a line, or more where parentheses span them. Tokens are slices of the file, escapes
//! untouched, because what an escape means differs: a name decodes it, a record program keeps it. A broken entry
//! is reported once and skipped to its end. Where a parenthesis never closes, everything after it would be that
//! entry; then the next line that starts in the first column is taken for the next entry instead.
//!
//! Never here: what a token means.

/// Most tokens of an entry in parentheses; RDATA of 65,535 octets has no more words. One that goes on is taken for
/// one that never closes, which bounds how much of a file is read again after each such error.
const ENTRY_MAX: usize = 0x1_0010;

/// A place within the file that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A word or a quoted string (then `text` is without the quotes and `at` is the opening one).
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) text: &'a [u8],
    pub(super) quoted: bool,
    pub(super) at: Place,
}

impl Token<'_> {
    /// As it is shown in a finding: printable, and not too long.
    pub(super) fn show(&self) -> String {
        show(self.text)
    }

    /// Whether this is the unquoted word `word`, without case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word.as_bytes())
    }
}

/// Octets in backquotes, printable and cut at 60.
pub(super) fn show(text: &[u8]) -> String {
    const SHOWN: usize = 60;
    let cut = if text.len() > SHOWN { "..." } else { "" };
    format!("`{}{cut}`", String::from_utf8_lossy(&text[..text.len().min(SHOWN)]).escape_debug())
}

/// One logical line.
#[derive(Default)]
pub(super) struct Entry<'a> {
    /// The line starts with a blank: the owner is left out.
    pub(super) leading_blank: bool,
    pub(super) tokens: Vec<Token<'a>>,
}

/// Why an entry cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LexError {
    #[error("the string that starts here has no closing quote on its line")]
    OpenString,
    #[error("the parenthesis that opens here is never closed")]
    OpenParenthesis,
    #[error("a closing parenthesis without an opening one")]
    StrayParenthesis,
    #[error("a backslash at the end of the line escapes nothing")]
    TrailingBackslash,
}

impl LexError {
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::OpenString => "close it with `\"`; a quote inside a string is written `\\\"`, a line end `\\010`",
            Self::OpenParenthesis => "add `)` after the last value of this record",
            Self::StrayParenthesis => "remove it, or open with `(` after the record type",
            Self::TrailingBackslash => "remove it, or write `\\\\` for a backslash; parentheses continue a line",
        }
    }
}

/// An entry that cannot be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken {
    pub(super) error: LexError,
    pub(super) at: Place,
}

/// Reads entries one after the other.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

/// What is known halfway through an entry.
#[derive(Default)]
struct Progress {
    depth: usize,
    /// Where to resume if the outermost parenthesis never closes, and its place.
    opened: Option<(Resume, Place)>,
    broken: Option<Broken>,
}

#[derive(Clone, Copy)]
struct Resume {
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
        Self { bytes: bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes), at: 0, line: 1, line_start: 0 }
    }

    /// Reads the next entry with any token; `None` at the end. After an error `entry` holds what came before it.
    pub(super) fn next_entry(&mut self, entry: &mut Entry<'a>) -> Option<Result<(), Broken>> {
        entry.tokens.clear();
        entry.leading_blank = self.starts_blank();
        let mut progress = Progress::default();
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte != b'\n' {
                self.step(byte, entry, &mut progress);
                if progress.depth > 0 && entry.tokens.len() > ENTRY_MAX {
                    break;
                }
                continue;
            }
            self.newline();
            if progress.depth == 0 {
                if let Some(broken) = progress.broken {
                    return Some(Err(broken));
                }
                if !entry.tokens.is_empty() {
                    return Some(Ok(()));
                }
                entry.leading_blank = self.starts_blank();
            }
        }
        self.end_open(entry, &progress)
    }

    /// Takes one token or separator that starts with `byte`.
    fn step(&mut self, byte: u8, entry: &mut Entry<'a>, progress: &mut Progress) {
        let place = self.place();
        match byte {
            b' ' | b'\t' | b'\r' => self.at += 1,
            b';' => self.skip_line(),
            b'(' => {
                if progress.depth == 0 {
                    let resume = Resume { at: self.at, line: self.line, line_start: self.line_start };
                    progress.opened = Some((resume, place));
                }
                progress.depth += 1;
                self.at += 1;
            }
            b')' => {
                self.at += 1;
                match progress.depth.checked_sub(1) {
                    Some(depth) => progress.depth = depth,
                    None => progress.breaks(LexError::StrayParenthesis, place),
                }
            }
            _ => {
                let token = if byte == b'"' { self.quoted() } else { self.word() };
                match token {
                    Ok((text, quoted)) if progress.broken.is_none() => entry.tokens.push(Token { text, quoted, at: place }),
                    Ok(_) => {}
                    Err(error) => progress.breaks(error, place),
                }
            }
        }
    }

    /// A quoted string; stops before the line end when it is not closed.
    fn quoted(&mut self) -> Result<(&'a [u8], bool), LexError> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.bytes.get(self.at) {
                None | Some(b'\n') => return Err(LexError::OpenString),
                Some(b'"') => {
                    self.at += 1;
                    return Ok((&self.bytes[start..self.at - 1], true));
                }
                Some(b'\\') if !self.line_ends_at(self.at + 1) => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
    }

    fn word(&mut self) -> Result<(&'a [u8], bool), LexError> {
        let start = self.at;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\' if self.line_ends_at(self.at + 1) => {
                    self.at += 1;
                    return Err(LexError::TrailingBackslash);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        Ok((&self.bytes[start..self.at], false))
    }

    fn line_ends_at(&self, at: usize) -> bool {
        matches!(self.bytes.get(at..), None | Some([] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..]))
    }

    /// Ends the entry that is open at the end of the file, or that is too long.
    fn end_open(&mut self, entry: &Entry<'a>, progress: &Progress) -> Option<Result<(), Broken>> {
        if progress.depth > 0
            && let Some((resume, place)) = progress.opened
        {
            self.resume_after(resume);
            return Some(Err(progress.broken.unwrap_or(Broken { error: LexError::OpenParenthesis, at: place })));
        }
        match progress.broken {
            Some(broken) => Some(Err(broken)),
            None => (!entry.tokens.is_empty()).then_some(Ok(())),
        }
    }

    /// Goes to the first line after `resume` that starts with neither a blank nor what continues an entry.
    fn resume_after(&mut self, resume: Resume) {
        (self.at, self.line, self.line_start) = (resume.at, resume.line, resume.line_start);
        loop {
            self.skip_line();
            if self.at == self.bytes.len() {
                return;
            }
            self.newline();
            if !matches!(self.bytes.get(self.at), None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b')')) {
                return;
            }
        }
    }

    /// To the line end, not over it.
    fn skip_line(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }

    const fn newline(&mut self) {
        self.at += 1;
        self.line += 1;
        self.line_start = self.at;
    }

    fn starts_blank(&self) -> bool {
        matches!(self.bytes.get(self.at), Some(b' ' | b'\t'))
    }

    const fn place(&self) -> Place {
        Place { line: self.line, column: (self.at - self.line_start + 1) as u32 }
    }
}

impl Progress {
    fn breaks(&mut self, error: LexError, at: Place) {
        self.broken.get_or_insert(Broken { error, at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = Result<(bool, Vec<(String, u32, u32)>), (LexError, u32, u32)>;

    fn entries(text: &str) -> Vec<Line> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut entry = Entry::default();
        let mut out = Vec::new();
        while let Some(result) = lexer.next_entry(&mut entry) {
            out.push(match result {
                Ok(()) => {
                    let show = |t: &Token<'_>| (String::from_utf8_lossy(t.text).into_owned(), t.at.line, t.at.column);
                    Ok((entry.leading_blank, entry.tokens.iter().map(show).collect()))
                }
                Err(broken) => Err((broken.error, broken.at.line, broken.at.column)),
            });
        }
        out
    }

    fn line(blank: bool, tokens: &[(&str, u32, u32)]) -> Line {
        Ok((blank, tokens.iter().map(|&(text, line, column)| (text.to_owned(), line, column)).collect()))
    }

    #[test]
    fn entries_are_logical_lines() {
        let text = "\u{FEFF}a b;c\r\n\r\n  ; nothing\n\tx ( y ; z )\n  \"q \\\" ;\" ) w\nlast";
        let expected = [
            line(false, &[("a", 1, 1), ("b", 1, 3)]),
            line(true, &[("x", 4, 2), ("y", 4, 6), ("q \\\" ;", 5, 3), ("w", 5, 14)]),
            line(false, &[("last", 6, 1)]),
        ];
        assert_eq!(entries(text), expected);
    }

    #[test]
    fn parentheses_that_go_on_too_long_are_taken_as_open() {
        let text = "a (\n".to_owned() + &"b\n".repeat(ENTRY_MAX + 1) + ")\n";
        assert_eq!(entries(&text)[..2], [Err((LexError::OpenParenthesis, 1, 3)), line(false, &[("b", 2, 1)])]);
    }

    #[test]
    fn a_broken_entry_does_not_take_the_next_with_it() {
        let cases = [
            ("a \"b\nc", vec![Err((LexError::OpenString, 1, 3)), line(false, &[("c", 2, 1)])]),
            ("a ) b\nc", vec![Err((LexError::StrayParenthesis, 1, 3)), line(false, &[("c", 2, 1)])]),
            ("a (\n \"b\n )\nc", vec![Err((LexError::OpenString, 2, 2)), line(false, &[("c", 4, 1)])]),
            ("a (\n b\n\n; x\nc ( d )", vec![Err((LexError::OpenParenthesis, 1, 3)), line(false, &[("c", 5, 1), ("d", 5, 5)])]),
            ("a b\\\r\nc", vec![Err((LexError::TrailingBackslash, 1, 3)), line(false, &[("c", 2, 1)])]),
            ("a \"b\\\nc", vec![Err((LexError::OpenString, 1, 3)), line(false, &[("c", 2, 1)])]),
            ("(", vec![Err((LexError::OpenParenthesis, 1, 1))]),
        ];
        for (text, expected) in cases {
            assert_eq!(entries(text), expected, "{text:?}");
        }
    }
}
