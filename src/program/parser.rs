//! Code → expression tree: a recursive-descent parser for Lua's expressions.
//!
//! Literals, tables and calls of named functions become nodes. Operators, variables' fields, methods and the like are
//! parsed far enough to be named: each is reported, and stands in the tree as [`Kind::Outside`], so that what is around
//! it is still checked. Statements and function definitions end the parsing. Recursion is bounded by
//! [`NESTING_MAX`]; chains (`a.b.c`, `- - x`, `a + b + c`) are loops.

use super::NESTING_MAX;
use super::finding::Finding;
use super::lexer::{Lexer, Token};

/// A node and where it begins (an operator: where it stands).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expr {
    pub(super) offset: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Nil,
    Boolean(bool),
    Number(f64),
    Text(Vec<u8>),
    Variable(String),
    Table(Vec<Field>),
    Call {
        function: String,
        arguments: Vec<Expr>,
    },
    /// Something that has been reported already.
    Outside,
}

/// A table constructor's field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// `None`: the next position.
    pub(super) key: Option<Expr>,
    pub(super) value: Expr,
}

/// What was read: the tree, if the text has the right shape at all, and the constructs that are outside.
pub(super) struct Parsed {
    pub(super) expression: Option<Expr>,
    pub(super) findings: Vec<Finding>,
}

/// Reads a program: an expression, or `;return` and an expression.
pub(super) fn parse(code: &str) -> Parsed {
    let chunk = code.starts_with(';');
    let mut parser =
        Parser { lexer: Lexer::new(code, usize::from(chunk)), token: Token::End, offset: 0, depth: 0, findings: Vec::new() };
    let expression = match parser.program(chunk) {
        Ok(expression) => Some(expression),
        Err(finding) => {
            parser.findings.push(finding);
            None
        }
    };
    Parsed { expression, findings: parser.findings }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token at hand; the lexer is behind it.
    token: Token<'a>,
    offset: usize,
    depth: usize,
    findings: Vec<Finding>,
}

type Parse<T> = Result<T, Finding>;

impl<'a> Parser<'a> {
    fn program(&mut self, chunk: bool) -> Parse<Expr> {
        self.advance()?;
        if chunk {
            self.expect_return()?;
        }
        self.refuse_statement()?;
        let expression = self.expression()?;
        if self.at(",") {
            return Err(Finding::outside(self.offset, "a second returned value"));
        }
        self.accept(";")?;
        match self.token {
            Token::End => Ok(expression),
            _ => Err(self.unexpected("after the expression", "keep one expression")),
        }
    }

    fn expect_return(&mut self) -> Parse<()> {
        match self.token {
            Token::Keyword("return") => self.advance(),
            Token::End => Ok(()),
            _ => {
                let construct = format!("a statement that begins with {}", self.token.describe());
                Err(Finding::outside(self.offset, &construct))
            }
        }
    }

    /// Names the mistakes that one can make at the start of a program.
    fn refuse_statement(&self) -> Parse<()> {
        match self.token {
            Token::End => {
                Err(Finding::error(self.offset, "the program returns nothing", "write an expression such as `'192.0.2.1'`"))
            }
            Token::Symbol(";") => {
                Err(Finding::error(self.offset, "the program returns nothing", "write an expression after `return`"))
            }
            Token::Keyword("return") => {
                let message = "`return` where an expression must stand: it is put in front of the code already";
                Err(Finding::error(self.offset, message, "remove `return`, or begin the code with `;`"))
            }
            Token::Keyword(word @ ("if" | "for" | "while" | "repeat" | "do" | "local" | "break")) => {
                Err(Finding::outside(self.offset, &format!("the statement `{word}`")))
            }
            _ => Ok(()),
        }
    }

    /// Operands between binary operators. Precedence does not matter where every operator is refused.
    fn expression(&mut self) -> Parse<Expr> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            let message = format!("more than {NESTING_MAX} levels of nesting");
            return Err(Finding::error(self.offset, message, "write the value with fewer tables, calls and parentheses"));
        }
        let mut expression = self.operand()?;
        while let Some(operator) = self.binary_operator() {
            expression = self.outside(self.offset, &format!("the operator `{operator}`"));
            self.advance()?;
            self.operand()?;
        }
        self.depth -= 1;
        Ok(expression)
    }

    fn binary_operator(&self) -> Option<&'static str> {
        match self.token {
            Token::Symbol(symbol @ ("+" | "-" | "*" | "/" | "%" | "^" | ".." | "==" | "~=" | "<" | "<=" | ">" | ">="))
            | Token::Keyword(symbol @ ("and" | "or")) => Some(symbol),
            _ => None,
        }
    }

    /// A simple expression after unary operators; a minus in front of a number is part of it.
    fn operand(&mut self) -> Parse<Expr> {
        let mut operators = Vec::new();
        while let Token::Symbol(operator @ ("-" | "#")) | Token::Keyword(operator @ "not") = self.token {
            operators.push((self.offset, operator));
            self.advance()?;
        }
        let mut expression = self.simple()?;
        for (offset, operator) in operators.into_iter().rev() {
            expression = match expression.kind {
                Kind::Number(number) if operator == "-" => Expr { offset, kind: Kind::Number(-number) },
                _ => self.outside(offset, &format!("the operator `{operator}`")),
            };
        }
        Ok(expression)
    }

    fn simple(&mut self) -> Parse<Expr> {
        let offset = self.offset;
        let kind = match &mut self.token {
            Token::Keyword("nil") => Kind::Nil,
            Token::Keyword("true") => Kind::Boolean(true),
            Token::Keyword("false") => Kind::Boolean(false),
            Token::Keyword("function") => return Err(Finding::outside(offset, "a function definition")),
            Token::Symbol("...") => self.outside(offset, "`...`").kind,
            Token::Number(number) => Kind::Number(*number),
            Token::Text(text) => Kind::Text(std::mem::take(text)),
            Token::Symbol("{") => return self.table(),
            Token::Symbol("(") | Token::Name(_) => return self.prefixed(),
            _ => return Err(self.unexpected("where a value must stand", "write a string, a number, a table or a call")),
        };
        self.advance()?;
        Ok(Expr { offset, kind })
    }

    /// A name or parentheses, and the chain of calls and accesses after it.
    fn prefixed(&mut self) -> Parse<Expr> {
        let mut expression = self.prefix()?;
        loop {
            let offset = self.offset;
            expression = match &self.token {
                Token::Symbol(".") => self.access(".")?,
                Token::Symbol(":") => self.access(":")?,
                Token::Symbol("[") => self.index(offset)?,
                Token::Symbol("(" | "{") | Token::Text(_) => self.call(expression)?,
                _ => return Ok(expression),
            };
        }
    }

    fn prefix(&mut self) -> Parse<Expr> {
        let offset = self.offset;
        if let Token::Name(name) = self.token {
            self.advance()?;
            return Ok(Expr { offset, kind: Kind::Variable(name.to_owned()) });
        }
        self.advance()?;
        let inner = self.expression()?;
        self.close(")", "(", offset)?;
        Ok(inner)
    }

    /// `.name`, or `:name` with its arguments.
    fn access(&mut self, sign: &str) -> Parse<Expr> {
        let offset = self.offset;
        self.advance()?;
        let Token::Name(name) = self.token else { return Err(self.unexpected(&format!("after `{sign}`"), "write a name there")) };
        self.advance()?;
        if sign == "." {
            return Ok(self.outside(offset, &format!("the field access `.{name}`")));
        }
        self.arguments()?;
        Ok(self.outside(offset, &format!("the method call `:{name}`")))
    }

    fn index(&mut self, offset: usize) -> Parse<Expr> {
        self.advance()?;
        self.expression()?;
        self.close("]", "[", offset)?;
        Ok(self.outside(offset, "indexing with `[...]`"))
    }

    fn call(&mut self, callee: Expr) -> Parse<Expr> {
        let offset = self.offset;
        let arguments = self.arguments()?;
        match callee.kind {
            Kind::Variable(function) => Ok(Expr { offset: callee.offset, kind: Kind::Call { function, arguments } }),
            Kind::Outside => Ok(callee),
            _ => Ok(self.outside(offset, "a call of what is not a named function")),
        }
    }

    /// `(a, b)`, or one table or string without parentheses.
    fn arguments(&mut self) -> Parse<Vec<Expr>> {
        let open = self.offset;
        if !self.at("(") {
            return match self.token {
                Token::Text(_) | Token::Symbol("{") => Ok(vec![self.simple()?]),
                _ => Err(self.unexpected("where arguments must stand", "write `(` and `)` around the arguments")),
            };
        }
        self.advance()?;
        let mut arguments = Vec::new();
        if !self.at(")") {
            arguments.push(self.expression()?);
            while self.accept(",")? {
                arguments.push(self.expression()?);
            }
        }
        self.close(")", "(", open)?;
        Ok(arguments)
    }

    /// A table constructor; nests like an expression also where it is an argument without parentheses.
    fn table(&mut self) -> Parse<Expr> {
        let offset = self.offset;
        self.advance()?;
        let mut fields = Vec::new();
        while !self.at("}") {
            fields.push(self.field()?);
            if !self.accept(",")? && !self.accept(";")? {
                break;
            }
        }
        self.close("}", "{", offset)?;
        Ok(Expr { offset, kind: Kind::Table(fields) })
    }

    fn field(&mut self) -> Parse<Field> {
        let offset = self.offset;
        let key = match self.token {
            Token::Symbol("[") => {
                self.advance()?;
                let key = self.expression()?;
                self.close("]", "[", offset)?;
                Some(key)
            }
            Token::Name(name) if self.next_is("=") => {
                self.advance()?;
                Some(Expr { offset, kind: Kind::Text(name.into()) })
            }
            _ => None,
        };
        if key.is_some() && !self.accept("=")? {
            return Err(self.unexpected("after a table key", "write `=` and the value"));
        }
        Ok(Field { key, value: self.expression()? })
    }

    fn outside(&mut self, offset: usize, construct: &str) -> Expr {
        self.findings.push(Finding::outside(offset, construct));
        Expr { offset, kind: Kind::Outside }
    }

    fn advance(&mut self) -> Parse<()> {
        (self.offset, self.token) = self.lexer.next()?;
        Ok(())
    }

    /// Whether the token behind the one at hand is `symbol`.
    fn next_is(&self, symbol: &str) -> bool {
        let mut ahead = self.lexer;
        matches!(ahead.next(), Ok((_, Token::Symbol(next))) if next == symbol)
    }

    fn at(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(token) if token == symbol)
    }

    fn accept(&mut self, symbol: &str) -> Parse<bool> {
        let there = self.at(symbol);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    fn close(&mut self, symbol: &str, opening: &str, opened: usize) -> Parse<()> {
        if self.accept(symbol)? {
            return Ok(());
        }
        let remedy = format!("close the `{opening}` at offset {opened} with `{symbol}`");
        Err(self.unexpected(&format!("where `{symbol}` must stand"), &remedy))
    }

    fn unexpected(&self, place: &str, remedy: &str) -> Finding {
        Finding::error(self.offset, format!("{} {place}", self.token.describe()), remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in one line: calls as `f(..)`, tables as `{k=v ..}`, `!` for what is outside.
    fn show(expression: &Expr) -> String {
        let all = |items: &[Expr]| items.iter().map(show).collect::<Vec<_>>().join(" ");
        match &expression.kind {
            Kind::Nil => "nil".into(),
            Kind::Boolean(value) => value.to_string(),
            Kind::Number(number) => number.to_string(),
            Kind::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
            Kind::Variable(name) => name.clone(),
            Kind::Table(fields) => format!("{{{}}}", fields.iter().map(show_field).collect::<Vec<_>>().join(" ")),
            Kind::Call { function, arguments } => format!("{function}({})", all(arguments)),
            Kind::Outside => "!".into(),
        }
    }

    fn show_field(field: &Field) -> String {
        field.key.as_ref().map(|key| format!("{}=", show(key))).unwrap_or_default() + &show(&field.value)
    }

    #[test]
    fn expressions_become_trees() {
        let cases = [
            ("'a'", r#""a""#),
            ("  42 -- answer", "42"),
            ("- -1", "1"),
            ("('a')", r#""a""#),
            ("f()", "f()"),
            ("f(1, nil, true)", "f(1 nil true)"),
            ("f{1}", "f({1})"),
            ("f'x'", r#"f("x")"#),
            ("f[[x]]", r#"f("x")"#),
            ("{1; 2, x=3, ['y']=4, [5]=6,}", r#"{1 2 "x"=3 "y"=4 5=6}"#),
            ("{x}", "{x}"),
            ("{f 'x', y == 1}", r#"{f("x") !}"#),
            ("{}", "{}"),
            ("f(1);", "f(1)"),
            (";return f(1)", "f(1)"),
            ("; return f(1) ;", "f(1)"),
            (";--x\nreturn'a'", r#""a""#),
        ];
        for (code, tree) in cases {
            let parsed = parse(code);
            assert_eq!(parsed.expression.as_ref().map(show).as_deref(), Some(tree), "{code}: {:?}", parsed.findings);
        }
    }

    fn findings(code: &str) -> Vec<(usize, String)> {
        parse(code).findings.into_iter().map(|finding| (finding.offset, finding.message)).collect()
    }

    #[test]
    fn constructs_outside_are_named_where_they_stand() {
        let cases = [
            ("a .. 'b'", 2, "the operator `..`"),
            ("f() and 1", 4, "the operator `and`"),
            ("not f()", 0, "the operator `not`"),
            ("#x", 0, "the operator `#`"),
            ("-'1'", 0, "the operator `-`"),
            ("qname:toString()", 5, "the method call `:toString`"),
            ("pdns.A", 4, "the field access `.A`"),
            ("x[1]", 1, "indexing with `[...]`"),
            ("('f')(1)", 5, "a call of what is not a named function"),
            ("...", 0, "`...`"),
            ("f(function() end)", 2, "a function definition"),
            ("'a', 'b'", 3, "a second returned value"),
            ("if x then", 0, "the statement `if`"),
            (";local a = 1", 1, "a statement that begins with `local`"),
            (";if x then return 1 end", 1, "a statement that begins with `if`"),
            (";f()", 1, "a statement that begins with `f`"),
        ];
        for (code, offset, construct) in cases {
            let message = format!("{construct} is outside the expressions that this release runs");
            assert_eq!(findings(code), [(offset, message)], "{code}");
        }
        assert_eq!(findings("{1+2, a.b, -{}}").len(), 3);
    }

    #[test]
    fn broken_text_says_where() {
        let cases = [
            ("", 0, "the program returns nothing"),
            ("  -- x", 6, "the program returns nothing"),
            (";", 1, "the program returns nothing"),
            (";return", 7, "the program returns nothing"),
            (";return;", 7, "the program returns nothing"),
            ("return 'a'", 0, "`return` where an expression must stand: it is put in front of the code already"),
            ("{1", 2, "the end of the code where `}` must stand"),
            ("f(1", 3, "the end of the code where `)` must stand"),
            ("(1", 2, "the end of the code where `)` must stand"),
            ("f(1,)", 4, "`)` where a value must stand"),
            ("{[1] 2}", 5, "a number after a table key"),
            ("{a 1}", 3, "a number where `}` must stand"),
            ("a:b", 3, "the end of the code where arguments must stand"),
            ("a.1", 1, "a number after the expression"),
            ("'a' 'b'", 4, "a string after the expression"),
            ("f();;", 4, "`;` after the expression"),
            ("a = 1", 2, "`=` after the expression"),
            ("1 +", 3, "the end of the code where a value must stand"),
        ];
        for (code, offset, message) in cases {
            assert_eq!(findings(code).pop(), Some((offset, message.to_owned())), "{code}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |open: &str, close: &str, depth| findings(&(open.repeat(depth) + "1" + &close.repeat(depth)));
        for (open, close) in [("{", "}"), ("(", ")"), ("f(", ")"), ("{[1]=", "}"), ("f{", "}"), ("f{{", "}}"), ("a[", "]")] {
            let levels = if open == "f{{" { 2 } else { 1 };
            let last = nested(open, close, 60_000 / open.len()).pop();
            assert_eq!(last.map(|(_, message)| message), Some("more than 64 levels of nesting".into()), "{open}");
            let fits = nested(open, close, (NESTING_MAX - 1) / levels);
            assert!(fits.iter().all(|(_, message)| !message.contains("nesting")), "{open}");
        }
        assert!(findings(&"- ".repeat(30_000)).pop().unwrap().1.contains("a value must stand"));
        assert_eq!(findings(&("1".to_owned() + &"+1".repeat(30_000))).len(), 30_000);
    }
}
