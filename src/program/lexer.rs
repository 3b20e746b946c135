//! Lua text → tokens: the whole lexical grammar of Lua 5.1, with LuaJIT's string escapes.
//!
//! One token at a time and `Copy`, so that the parser can look ahead on a copy. Every token comes with its offset;
//! what is not a token is a [`Finding`] at its place.

use super::finding::Finding;
use super::number;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Name(&'a str),
    Keyword(&'static str),
    Number(f64),
    /// A string's octets, escapes decoded.
    Text(Vec<u8>),
    Symbol(&'static str),
    End,
}

const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or", "repeat",
    "return", "then", "true", "until", "while",
];

/// Longest first among those that begin alike.
const SYMBOLS: [&str; 26] = [
    "...", "..", "==", "~=", "<=", ">=", ".", "=", "<", ">", "+", "-", "*", "/", "%", "^", "#", "(", ")", "{", "}", "[", "]",
    ";", ":", ",",
];

impl Token<'_> {
    /// The token as a finding names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Keyword(text) | Self::Symbol(text) => format!("`{text}`"),
            Self::Number(_) => "a number".to_owned(),
            Self::Text(_) => "a string".to_owned(),
            Self::End => "the end of the code".to_owned(),
        }
    }
}

/// Where reading has got to. Always at a character boundary.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    code: &'a str,
    at: usize,
}

type Lexed<T> = Result<T, Finding>;

impl<'a> Lexer<'a> {
    /// Begins at octet `at`.
    pub(super) fn new(code: &'a str, at: usize) -> Self {
        Self { code, at }
    }

    /// The next token and its offset; at the end, [`Token::End`] for ever.
    pub(super) fn next(&mut self) -> Lexed<(usize, Token<'a>)> {
        self.skip_blanks_and_comments()?;
        let start = self.at;
        let token = match self.peek(0) {
            None => Token::End,
            Some(b'\'' | b'"') => Token::Text(self.quoted()?),
            Some(b'0'..=b'9') => self.number()?,
            Some(b'.') if self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => self.number()?,
            Some(byte) if byte == b'_' || byte.is_ascii_alphabetic() => self.word(),
            Some(b'[') if self.long_bracket().is_some() => Token::Text(self.long_text("long string")?),
            Some(_) => self.symbol()?,
        };
        Ok((start, token))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.code.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a str {
        self.code.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks_and_comments(&mut self) -> Lexed<()> {
        loop {
            match self.peek(0) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C) => self.at += 1,
                Some(b'-') if self.peek(1) == Some(b'-') => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Lexed<()> {
        self.at += 2;
        if self.long_bracket().is_some() {
            return self.long_text("comment").map(drop);
        }
        self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
        Ok(())
    }

    fn word(&mut self) -> Token<'a> {
        let rest = self.rest();
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        self.at += end;
        let word = &rest[..end];
        KEYWORDS.iter().find(|&&keyword| keyword == word).map_or(Token::Name(word), |&keyword| Token::Keyword(keyword))
    }

    /// Takes all that could belong to a number, as Lua does, so that `3x` is an error and not `3` and `x`.
    fn number(&mut self) -> Lexed<Token<'a>> {
        let (start, rest) = (self.at, self.rest());
        let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
        let mut before = '0';
        let end = rest.find(|c: char| {
            let exponent_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !hexadecimal;
            before = c;
            !(c == '_' || c == '.' || c.is_ascii_alphanumeric() || exponent_sign)
        });
        let text = &rest[..end.unwrap_or(rest.len())];
        self.at += text.len();
        let malformed = || Finding::error(start, format!("malformed number `{text}`"), "write a decimal or hexadecimal number");
        number::parse(text).map(Token::Number).ok_or_else(malformed)
    }

    fn symbol(&mut self) -> Lexed<Token<'a>> {
        let rest = self.rest();
        if let Some(symbol) = SYMBOLS.iter().find(|&&symbol| rest.starts_with(symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let odd = rest.chars().next().unwrap_or('\0');
        let remedy =
            if odd == '\\' { "use single quotes in the code: the zone file's escapes are not decoded" } else { "remove it" };
        Err(Finding::error(self.at, format!("unexpected character `{}`", odd.escape_debug()), remedy))
    }

    /// The level of the long bracket (`[[`, `[=[`, ...) that begins here.
    fn long_bracket(&self) -> Option<usize> {
        let inner = self.rest().strip_prefix('[')?;
        let level = inner.bytes().take_while(|&byte| byte == b'=').count();
        (inner.as_bytes().get(level) == Some(&b'[')).then_some(level)
    }

    /// What a long bracket encloses: no escapes, a line end right after the opening left out.
    fn long_text(&mut self, what: &str) -> Lexed<Vec<u8>> {
        let start = self.at;
        let level = self.long_bracket().unwrap_or_default();
        let close = format!("]{}]", "=".repeat(level));
        self.at += level + 2;
        let rest = self.rest();
        let Some(len) = rest.find(&close) else {
            return Err(Finding::error(start, format!("unfinished {what}"), format!("close it with `{close}`")));
        };
        self.at += len + close.len();
        let text = rest[..len].replace("\r\n", "\n");
        Ok(text.strip_prefix(['\n', '\r']).unwrap_or(&text).as_bytes().to_vec())
    }

    fn quoted(&mut self) -> Lexed<Vec<u8>> {
        let start = self.at;
        let quote = self.peek(0);
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek(0) {
                None | Some(b'\n' | b'\r') => {
                    return Err(Finding::error(start, "unfinished string", "close it with the quote that it begins with"));
                }
                Some(b'\\') => self.escape(&mut text)?,
                byte if byte == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(byte) => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Lexed<()> {
        let start = self.at;
        self.at += 2;
        match self.code.as_bytes().get(start + 1) {
            Some(b'a') => text.push(7),
            Some(b'b') => text.push(8),
            Some(b't') => text.push(b'\t'),
            Some(b'n') => text.push(b'\n'),
            Some(b'v') => text.push(11),
            Some(b'f') => text.push(12),
            Some(b'r') => text.push(b'\r'),
            Some(&byte @ (b'\\' | b'\'' | b'"' | b'\n')) => text.push(byte),
            Some(b'\r') => {
                self.at += usize::from(self.peek(0) == Some(b'\n'));
                text.push(b'\n');
            }
            Some(b'z') => self.skip_blanks(),
            Some(b'x') => text.push(self.code_of(2, 2, 16).ok_or_else(|| bad_escape(start))?),
            Some(b'0'..=b'9') => {
                self.at -= 1;
                text.push(self.code_of(1, 3, 10).ok_or_else(|| bad_escape(start))?);
            }
            None => self.at = start + 1, // the caller reports the end
            _ => return Err(bad_escape(start)),
        }
        Ok(())
    }

    fn skip_blanks(&mut self) {
        while self.peek(0).is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// The octet that `min` to `max` digits from here stand for.
    fn code_of(&mut self, min: usize, max: usize, radix: u32) -> Option<u8> {
        let digits = self.rest().bytes().take(max).take_while(|&byte| char::from(byte).is_digit(radix)).count();
        let text = self.rest().get(..digits).filter(|text| text.len() >= min)?;
        self.at += digits;
        u8::from_str_radix(text, radix).ok()
    }
}

fn bad_escape(offset: usize) -> Finding {
    let remedy = r"use \\ \' \n \t, \ddd with ddd up to 255, or \xhh";
    Finding::error(offset, "a bad escape in a string", remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(code: &str) -> Lexed<Vec<(usize, Token<'_>)>> {
        let mut lexer = Lexer::new(code, 0);
        let mut tokens = Vec::new();
        loop {
            match lexer.next()? {
                (_, Token::End) => return Ok(tokens),
                token => tokens.push(token),
            }
        }
    }

    fn text(code: &str) -> Result<String, (usize, String)> {
        match tokens(code).map_err(|finding| (finding.offset, finding.message))?.as_slice() {
            [(0, Token::Text(text))] => Ok(String::from_utf8(text.clone()).unwrap()),
            other => panic!("{code}: {other:?}"),
        }
    }

    #[test]
    fn strings_decode_as_in_lua() {
        let cases = [
            ("'a'", "a"),
            ("\"it's\"", "it's"),
            (r"'\065\66\n\\\'\t'", "AB\n\\'\t"),
            (r"'\0651'", "A1"),
            (r"'\x41\z   b'", "Ab"),
            ("'a\\\nb'", "a\nb"),
            ("'a\\\r\nb'", "a\nb"),
            ("[[a]b]]", "a]b"),
            ("[[\na\\n]]", "a\\n"),
            ("[==[a]]]=]]==]", "a]]]=]"),
            ("'é'", "é"),
            ("''", ""),
        ];
        for (code, wanted) in cases {
            assert_eq!(text(code).as_deref(), Ok(wanted), "{code}");
        }
    }

    #[test]
    fn bad_tokens_say_where() {
        let cases = [
            (" 'a", 1, "unfinished string"),
            ("'a\nb'", 0, "unfinished string"),
            ("'a\\", 0, "unfinished string"),
            (r"'a\256'", 2, "a bad escape in a string"),
            (r"'\q'", 1, "a bad escape in a string"),
            (r"'\x4'", 1, "a bad escape in a string"),
            ("x [[a]", 2, "unfinished long string"),
            ("x --[[a]", 4, "unfinished comment"),
            ("3x", 0, "malformed number `3x`"),
            ("{1.2.3.4}", 1, "malformed number `1.2.3.4`"),
            ("a @", 2, "unexpected character `@`"),
            ("é", 0, "unexpected character `é`"),
            ("~", 0, "unexpected character `~`"),
        ];
        for (code, offset, message) in cases {
            let finding = tokens(code).expect_err(code);
            assert_eq!((finding.offset, finding.message.as_str()), (offset, message), "{code}");
        }
    }

    #[test]
    fn everything_else_is_cut_as_in_lua() {
        let found = tokens("a--x\n.b..1e+2--[==[ ]] ]==]...and~=0x1F").unwrap();
        let wanted = vec![
            (0, Token::Name("a")),
            (5, Token::Symbol(".")),
            (6, Token::Name("b")),
            (7, Token::Symbol("..")),
            (9, Token::Number(100.0)),
            (27, Token::Symbol("...")),
            (30, Token::Keyword("and")),
            (33, Token::Symbol("~=")),
            (35, Token::Number(31.0)),
        ];
        assert_eq!(found, wanted);
    }
}
