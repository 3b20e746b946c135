//! The strings of a record → its code, and the way back from an offset in the code to a string.
//!
//! PowerDNS keeps the strings in presentation form, writes them as `"s1" "s2"` and splits that text at every double
//! quote; the pieces, the blanks between strings among them, are the code. Two settings of
//! `lua-records-insert-whitespace` differ in what becomes of blanks (spec 1.2). Escapes are not decoded: that is left
//! to Lua. So `\"` cannot be used, and is an error here.

use super::finding::Finding;

/// The code of a program, and where each part of it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The code, as [`compile`](super::compile) takes it.
    pub code: String,
    /// What is wrong with the strings themselves; offsets are into `code`.
    pub findings: Vec<Finding>,
    pieces: Vec<Piece>,
}

/// A run of octets that the code shares with a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// Where it begins in the code.
    start: usize,
    len: usize,
    segment: usize,
    /// Where it begins in the string.
    offset: usize,
}

/// Joins the raw text between the quotes of each string of a record. `insert_whitespace` is the setting of that
/// name: adjacent strings are then three spaces apart, and the code ends in one.
#[must_use]
pub fn join(strings: &[&str], insert_whitespace: bool) -> Source {
    let mut source = Source { code: String::new(), findings: Vec::new(), pieces: Vec::new() };
    for (segment, string) in strings.iter().enumerate() {
        if segment > 0 && insert_whitespace {
            source.code.push_str("  "); // the blank between the quotes, and the one that each piece gets
        }
        source.push_string(segment, string, insert_whitespace);
    }
    source
}

impl Source {
    /// Which string the octet at `offset` of the code stands in, and where in it. What no string holds (inserted
    /// spaces, the end of the code) is taken to be the end of the string before it.
    #[must_use]
    pub fn locate(&self, offset: usize) -> (usize, usize) {
        let after = self.pieces.partition_point(|piece| piece.start <= offset);
        let Some(piece) = after.checked_sub(1).map(|at| self.pieces[at]) else { return (0, 0) };
        (piece.segment, piece.offset + (offset - piece.start).min(piece.len))
    }

    fn push_string(&mut self, segment: usize, string: &str, insert_whitespace: bool) {
        let mut offset = 0;
        for (number, piece) in string.split('"').enumerate() {
            if number > 0 {
                self.report_quote();
            }
            self.push_piece(Piece { start: self.code.len(), len: piece.len(), segment, offset }, piece, insert_whitespace);
            offset += piece.len() + 1;
        }
    }

    fn push_piece(&mut self, place: Piece, text: &str, insert_whitespace: bool) {
        if text.is_empty() || (text == " " && !insert_whitespace) {
            return;
        }
        self.pieces.push(place);
        self.code.push_str(text);
        if insert_whitespace {
            self.code.push(' ');
        }
    }

    fn report_quote(&mut self) {
        let message = "a double quote inside a string ends the string, escaped or not";
        let offset = self.code.len().saturating_sub(1);
        self.findings.push(Finding::error(offset, message, "use single quotes in the code"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_join_as_in_powerdns() {
        let cases: [(&[&str], &str, &str); 8] = [
            (&[], "", ""),
            (&["'a'"], "'a'", "'a' "),
            (&["'foo", "bar'"], "'foobar'", "'foo   bar' "),
            (&["a", " ", "b"], "ab", "a       b "),
            (&["a", "", "b"], "ab", "a     b "),
            (&["a", "  ", "b"], "a  b", "a        b "),
            (&[r"a\\b", r"\065"], r"a\\b\065", r"a\\b   \065 "),
            (&[" a "], " a ", " a  "),
        ];
        for (strings, plain, spaced) in cases {
            assert_eq!(join(strings, false).code, plain, "{strings:?}");
            assert_eq!(join(strings, true).code, spaced, "{strings:?}");
            assert!(join(strings, true).findings.is_empty());
        }
    }

    #[test]
    fn a_double_quote_is_reported() {
        let source = join(&["'a'", r#"'b\"c'"#], false);
        assert_eq!(source.code, r"'a''b\c'");
        assert_eq!(source.findings.len(), 1);
        assert_eq!(source.locate(source.findings[0].offset), (1, 2));
        assert_eq!(source.locate(6), (1, 4));
    }

    #[test]
    fn offsets_map_back() {
        let source = join(&["abc", "def"], false);
        let places: Vec<_> = (0..=6).map(|offset| source.locate(offset)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)]);
        let source = join(&["ab", "cd"], true);
        assert_eq!(source.code, "ab   cd ");
        let places: Vec<_> = (0..=8).map(|offset| source.locate(offset)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (0, 2), (0, 2), (0, 2), (1, 0), (1, 1), (1, 2), (1, 2)]);
        assert_eq!(join(&[], false).locate(3), (0, 0));
    }
}
