//! Code → syntax tree: a recursive-descent parser for Lua 5.1.
//!
//! Recursion is bounded: whatever makes the tree deeper counts against [`NESTING_MAX`]; operators of one level do not
//! (they are one node), but for [`CHAIN_MAX`].

use super::NESTING_MAX;
use super::finding::Finding;
use super::lexer::{Lexer, Token};
use super::syntax::{Action, Binary, Block, Expr, Field, Function, Kind, Link, Statement, Unary};

/// Most operators of one level in a row.
const CHAIN_MAX: usize = 500;

/// What the text of a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An expression; where it begins with `;`, statements.
    Program,
    /// Statements: what `include` runs.
    Snippet,
}

/// Reads a program. An expression becomes a `return` of it.
pub(super) fn parse(code: &str, form: Form) -> Result<Block, Finding> {
    let chunk = code.starts_with(';');
    let lexer = Lexer::new(code, usize::from(chunk));
    let mut parser = Parser { lexer, token: Token::End, offset: 0, depth: 0, loops: 0, variadic: true };
    parser.advance()?;
    match form {
        Form::Program if !chunk => parser.expression_program(),
        Form::Program | Form::Snippet => parser.chunk(),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token at hand; the lexer is behind it.
    token: Token<'a>,
    offset: usize,
    depth: usize,
    /// Loops around, within this function: what `break` leaves.
    loops: usize,
    /// Whether `...` may stand here.
    variadic: bool,
}

type Parse<T> = Result<T, Finding>;

impl<'a> Parser<'a> {
    fn expression_program(&mut self) -> Parse<Block> {
        self.refuse_statement()?;
        let offset = self.offset;
        let values = self.expressions()?;
        self.accept(";")?;
        match self.token {
            Token::End => Ok(vec![Statement { offset, action: Action::Return(values) }]),
            _ => Err(self.unexpected("after the expression", "keep one expression, or begin the code with `;` for statements")),
        }
    }

    fn chunk(&mut self) -> Parse<Block> {
        let block = self.block()?;
        match self.token {
            Token::End => Ok(block),
            _ => Err(self.unexpected("where a statement must stand", "remove it")),
        }
    }

    /// Names the mistakes that one can make at the start of an expression.
    fn refuse_statement(&self) -> Parse<()> {
        match self.token {
            Token::End | Token::Symbol(";") => {
                Err(Finding::error(self.offset, "the program returns nothing", "write an expression such as `'192.0.2.1'`"))
            }
            Token::Keyword("return") => {
                let message = "`return` where an expression must stand: it is put in front of the code already";
                Err(Finding::error(self.offset, message, "remove `return`, or begin the code with `;`"))
            }
            Token::Keyword(word @ ("if" | "for" | "while" | "repeat" | "do" | "local" | "break")) => {
                let message = format!("the statement `{word}` where an expression must stand");
                Err(Finding::error(self.offset, message, "begin the code with `;` for statements"))
            }
            _ => Ok(()),
        }
    }

    // -------- statements

    fn block(&mut self) -> Parse<Block> {
        let outer = self.deeper()?;
        let mut block = Block::new();
        while !self.ends_block() {
            let last = matches!(self.token, Token::Keyword("return" | "break"));
            block.push(self.statement()?);
            self.accept(";")?;
            if last {
                break;
            }
        }
        self.depth = outer;
        Ok(block)
    }

    fn ends_block(&self) -> bool {
        matches!(self.token, Token::End | Token::Keyword("end" | "else" | "elseif" | "until"))
    }

    fn statement(&mut self) -> Parse<Statement> {
        let offset = self.offset;
        let action = match self.token {
            Token::Keyword("if") => self.if_statement(),
            Token::Keyword("while") => self.while_statement(),
            Token::Keyword("do") => {
                self.advance()?;
                self.block_until_end("do", offset).map(Action::Do)
            }
            Token::Keyword("for") => self.for_statement(),
            Token::Keyword("repeat") => self.repeat_statement(),
            Token::Keyword("function") => self.function_statement(),
            Token::Keyword("local") => self.local_statement(),
            Token::Keyword("return") => self.return_statement(),
            Token::Keyword("break") => self.break_statement(),
            Token::Name("goto") if self.next_is_name() => Err(goto(offset)),
            Token::Symbol(":") => Err(goto(offset)),
            _ => self.expression_statement(),
        }?;
        Ok(Statement { offset, action })
    }

    fn if_statement(&mut self) -> Parse<Action> {
        let opened = self.offset;
        let mut arms = Vec::new();
        loop {
            self.advance()?; // `if` or `elseif`
            let condition = self.expression()?;
            self.expect_word("then", "if", opened)?;
            arms.push((condition, self.block()?));
            if !matches!(self.token, Token::Keyword("elseif")) {
                break;
            }
        }
        let otherwise = match self.accept_word("else")? {
            true => Some(self.block()?),
            false => None,
        };
        self.expect_word("end", "if", opened)?;
        Ok(Action::If { arms, otherwise })
    }

    fn while_statement(&mut self) -> Parse<Action> {
        let opened = self.offset;
        self.advance()?;
        let condition = self.expression()?;
        self.expect_word("do", "while", opened)?;
        let body = self.loop_body("while", opened)?;
        Ok(Action::While { condition, body })
    }

    fn repeat_statement(&mut self) -> Parse<Action> {
        let opened = self.offset;
        self.advance()?;
        self.loops += 1;
        let body = self.block()?;
        self.loops -= 1;
        self.expect_word("until", "repeat", opened)?;
        Ok(Action::Repeat { body, condition: self.expression()? })
    }

    fn for_statement(&mut self) -> Parse<Action> {
        let opened = self.offset;
        self.advance()?;
        let mut names = self.names()?;
        if names.len() == 1 && self.accept("=")? {
            let at = self.offset;
            let range = self.expressions()?;
            if !(2..=3).contains(&range.len()) {
                return Err(Finding::error(at, "`for` counts from one value to another", "write `for i = 1, 10 do`"));
            }
            self.expect_word("do", "for", opened)?;
            let body = self.loop_body("for", opened)?;
            return Ok(Action::For { name: names.remove(0), range, body });
        }
        self.expect_word("in", "for", opened)?;
        let values = self.expressions()?;
        self.expect_word("do", "for", opened)?;
        Ok(Action::ForIn { names, values, body: self.loop_body("for", opened)? })
    }

    fn loop_body(&mut self, word: &str, opened: usize) -> Parse<Block> {
        self.loops += 1;
        let body = self.block_until_end(word, opened)?;
        self.loops -= 1;
        Ok(body)
    }

    fn block_until_end(&mut self, word: &str, opened: usize) -> Parse<Block> {
        let block = self.block()?;
        self.expect_word("end", word, opened)?;
        Ok(block)
    }

    /// `function a.b:c() ... end`, which is an assignment.
    fn function_statement(&mut self) -> Parse<Action> {
        let opened = self.offset;
        self.advance()?;
        let outer = self.depth;
        let at = self.offset;
        let mut target = Expr { offset: at, kind: Kind::Variable(self.name()?) };
        let mut method = false;
        while !method && (self.at(".") || self.at(":")) {
            self.deeper()?;
            method = self.at(":");
            self.advance()?;
            let key = Expr { offset: self.offset, kind: Kind::Text(self.name()?.into_bytes()) };
            target = Expr { offset: at, kind: Kind::Index { object: Box::new(target), key: Box::new(key) } };
        }
        self.depth = outer;
        let function = self.function(opened, method)?;
        let value = Expr { offset: opened, kind: Kind::Function(Box::new(function)) };
        Ok(Action::Assign { targets: vec![target], values: vec![value] })
    }

    fn local_statement(&mut self) -> Parse<Action> {
        self.advance()?;
        let opened = self.offset;
        if self.accept_word("function")? {
            let name = self.name()?;
            return Ok(Action::LocalFunction { name, function: self.function(opened, false)? });
        }
        let names = self.names()?;
        let values = if self.accept("=")? { self.expressions()? } else { Vec::new() };
        Ok(Action::Local { names, values })
    }

    fn return_statement(&mut self) -> Parse<Action> {
        self.advance()?;
        let bare = self.ends_block() || self.at(";");
        Ok(Action::Return(if bare { Vec::new() } else { self.expressions()? }))
    }

    fn break_statement(&mut self) -> Parse<Action> {
        if self.loops == 0 {
            return Err(Finding::error(self.offset, "`break` outside a loop", "remove it"));
        }
        self.advance()?;
        Ok(Action::Break)
    }

    /// A call, or an assignment.
    fn expression_statement(&mut self) -> Parse<Action> {
        let first = match self.token {
            Token::Name(_) | Token::Symbol("(") => self.prefixed()?,
            _ => return Err(self.unexpected("where a statement must stand", "write a statement such as `return '192.0.2.1'`")),
        };
        if matches!(first.kind, Kind::Call { .. } | Kind::Method { .. }) && !self.at("=") && !self.at(",") {
            return Ok(Action::Call(first));
        }
        let mut targets = vec![self.assignable(first)?];
        while self.accept(",")? {
            let target = self.prefixed()?;
            targets.push(self.assignable(target)?);
        }
        if !self.accept("=")? {
            return Err(self.unexpected("after an expression that does nothing", "return it, assign it or call it"));
        }
        Ok(Action::Assign { targets, values: self.expressions()? })
    }

    fn assignable(&self, target: Expr) -> Parse<Expr> {
        match target.kind {
            Kind::Variable(_) | Kind::Index { .. } => Ok(target),
            _ => Err(self.unexpected("after an expression that does nothing", "return it, assign it or call it")),
        }
    }

    fn names(&mut self) -> Parse<Vec<String>> {
        let mut names = vec![self.name()?];
        while self.accept(",")? {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn name(&mut self) -> Parse<String> {
        let Token::Name(name) = self.token else { return Err(self.unexpected("where a name must stand", "write a name")) };
        if name.starts_with(super::RESERVED) {
            let message = format!("names that begin with `{}` are taken", super::RESERVED);
            return Err(Finding::error(self.offset, message, "use another name"));
        }
        self.advance()?;
        Ok(name.to_owned())
    }

    // -------- expressions

    fn expressions(&mut self) -> Parse<Vec<Expr>> {
        let mut all = vec![self.expression()?];
        while self.accept(",")? {
            all.push(self.expression()?);
        }
        Ok(all)
    }

    fn expression(&mut self) -> Parse<Expr> {
        let outer = self.deeper()?;
        let expression = self.chain(&Binary::LEVELS)?;
        self.depth = outer;
        Ok(expression)
    }

    fn chain(&mut self, levels: &[&'static [Binary]]) -> Parse<Expr> {
        let [level, tighter @ ..] = levels else { return self.unary() };
        let first = self.chain(tighter)?;
        let mut links = Vec::new();
        while let Some(operator) = self.operator(level) {
            let offset = self.offset;
            if links.len() == CHAIN_MAX {
                return Err(Finding::error(offset, format!("more than {CHAIN_MAX} operators in a row"), "use a table or locals"));
            }
            self.advance()?;
            links.push(Link { offset, operator, right: self.chain(tighter)? });
        }
        if links.is_empty() {
            return Ok(first);
        }
        Ok(Expr { offset: first.offset, kind: Kind::Chain(Box::new(first), links) })
    }

    fn operator(&self, level: &[Binary]) -> Option<Binary> {
        let (Token::Symbol(sign) | Token::Keyword(sign)) = self.token else { return None };
        level.iter().copied().find(|operator| operator.as_str() == sign)
    }

    /// Operators in front, which bind tighter than all but `^`. A minus in front of a number is part of it.
    fn unary(&mut self) -> Parse<Expr> {
        let outer = self.depth;
        let mut operators = Vec::new();
        while let Some(operator) = self.unary_operator() {
            self.deeper()?;
            operators.push((self.offset, operator));
            self.advance()?;
        }
        let mut expression = self.power()?;
        for (offset, operator) in operators.into_iter().rev() {
            let kind = match expression.kind {
                Kind::Number(number) if operator == Unary::Negate => Kind::Number(-number),
                _ => Kind::Unary(operator, Box::new(expression)),
            };
            expression = Expr { offset, kind };
        }
        self.depth = outer;
        Ok(expression)
    }

    fn unary_operator(&self) -> Option<Unary> {
        match self.token {
            Token::Symbol("-") => Some(Unary::Negate),
            Token::Symbol("#") => Some(Unary::Length),
            Token::Keyword("not") => Some(Unary::Not),
            _ => None,
        }
    }

    fn power(&mut self) -> Parse<Expr> {
        let base = self.simple()?;
        if !self.accept("^")? {
            return Ok(base);
        }
        let outer = self.deeper()?;
        let exponent = self.unary()?;
        self.depth = outer;
        Ok(Expr { offset: base.offset, kind: Kind::Power(Box::new(base), Box::new(exponent)) })
    }

    fn simple(&mut self) -> Parse<Expr> {
        let offset = self.offset;
        let kind = match &mut self.token {
            Token::Keyword("nil") => Kind::Nil,
            Token::Keyword("true") => Kind::Boolean(true),
            Token::Keyword("false") => Kind::Boolean(false),
            Token::Keyword("function") => {
                self.advance()?;
                return Ok(Expr { offset, kind: Kind::Function(Box::new(self.function(offset, false)?)) });
            }
            Token::Symbol("...") if self.variadic => Kind::Variadic,
            Token::Symbol("...") => {
                return Err(Finding::error(offset, "`...` in a function without `...` among its parameters", "add it there"));
            }
            Token::Number(number) => Kind::Number(*number),
            Token::Text(text) => Kind::Text(std::mem::take(text)),
            Token::Symbol("{") => return self.table(),
            Token::Symbol("(") | Token::Name(_) => return self.prefixed(),
            _ => return Err(self.unexpected("where a value must stand", "write a string, a number, a table or a call")),
        };
        self.advance()?;
        Ok(Expr { offset, kind })
    }

    /// Parameters and body, up to `end`.
    fn function(&mut self, opened: usize, method: bool) -> Parse<Function> {
        let open = self.offset;
        if !self.accept("(")? {
            return Err(self.unexpected("where `(` must stand", "write the parameters in `(` and `)`"));
        }
        let mut parameters = if method { vec!["self".to_owned()] } else { Vec::new() };
        let mut variadic = false;
        while !self.at(")") {
            variadic = self.accept("...")?;
            if variadic {
                break;
            }
            parameters.push(self.name()?);
            if !self.accept(",")? {
                break;
            }
        }
        self.close(")", "(", open)?;
        let (loops, outer) = (std::mem::take(&mut self.loops), std::mem::replace(&mut self.variadic, variadic));
        let body = self.block_until_end("function", opened)?;
        (self.loops, self.variadic) = (loops, outer);
        Ok(Function { parameters, variadic, body })
    }

    /// A name or parentheses, and the chain of calls and accesses after it.
    fn prefixed(&mut self) -> Parse<Expr> {
        let outer = self.depth;
        let mut expression = self.prefix()?;
        loop {
            expression = match &self.token {
                Token::Symbol("." | "[") => self.index(expression)?,
                Token::Symbol(":") => self.method(expression)?,
                Token::Symbol("(" | "{") | Token::Text(_) => {
                    let arguments = self.arguments()?;
                    Expr { offset: expression.offset, kind: Kind::Call { callee: Box::new(expression), arguments } }
                }
                _ => break,
            };
            self.deeper()?;
        }
        self.depth = outer;
        Ok(expression)
    }

    fn prefix(&mut self) -> Parse<Expr> {
        let offset = self.offset;
        if let Token::Name(_) = self.token {
            return Ok(Expr { offset, kind: Kind::Variable(self.name()?) });
        }
        if !self.accept("(")? {
            return Err(self.unexpected("where a name must stand", "write a name"));
        }
        let inner = self.expression()?;
        self.close(")", "(", offset)?;
        Ok(Expr { offset, kind: Kind::Parentheses(Box::new(inner)) })
    }

    fn index(&mut self, object: Expr) -> Parse<Expr> {
        let open = self.offset;
        let dot = self.at(".");
        self.advance()?;
        let key = if dot {
            Expr { offset: self.offset, kind: Kind::Text(self.name()?.into_bytes()) }
        } else {
            let key = self.expression()?;
            self.close("]", "[", open)?;
            key
        };
        Ok(Expr { offset: object.offset, kind: Kind::Index { object: Box::new(object), key: Box::new(key) } })
    }

    fn method(&mut self, object: Expr) -> Parse<Expr> {
        self.advance()?;
        let name = self.name()?;
        let arguments = self.arguments()?;
        Ok(Expr { offset: object.offset, kind: Kind::Method { object: Box::new(object), name, arguments } })
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
        let arguments = if self.at(")") { Vec::new() } else { self.expressions()? };
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

    // -------- tokens

    /// One level further down; the level before, to go back to.
    fn deeper(&mut self) -> Parse<usize> {
        if self.depth == NESTING_MAX {
            let message = format!("more than {NESTING_MAX} levels of nesting");
            return Err(Finding::error(self.offset, message, "write it with fewer tables, calls, blocks and parentheses"));
        }
        self.depth += 1;
        Ok(self.depth - 1)
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

    fn next_is_name(&self) -> bool {
        let mut ahead = self.lexer;
        matches!(ahead.next(), Ok((_, Token::Name(_))))
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

    fn accept_word(&mut self, word: &str) -> Parse<bool> {
        let there = matches!(self.token, Token::Keyword(keyword) if keyword == word);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    fn expect_word(&mut self, word: &str, opening: &str, opened: usize) -> Parse<()> {
        if self.accept_word(word)? {
            return Ok(());
        }
        let remedy = format!("the `{opening}` at offset {opened} needs a `{word}`");
        Err(self.unexpected(&format!("where `{word}` must stand"), &remedy))
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

/// LuaJIT has `goto`, Luau does not.
fn goto(offset: usize) -> Finding {
    Finding::error(offset, "`goto` and labels are not supported", "write it with `if` and a function or a loop")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs with all that follows from precedence and associativity written out: `luau.rs` prints them so.
    fn show(code: &str) -> String {
        parse(code, Form::Program).map_or_else(|finding| panic!("{code}: {finding}"), |block| super::super::luau::print(&block))
    }

    #[test]
    fn expressions_become_trees() {
        let cases = [
            ("'a'", "return 'a'"),
            ("  42 -- answer", "return 42"),
            ("- -1", "return 1"),
            ("- x", "return -(x)"),
            ("('a')", "return ('a')"),
            ("f(1, nil, true)", "return f(1, nil, true)"),
            ("f{1}", "return f({1})"),
            ("f'x'", "return f('x')"),
            ("f[[x]]", "return f('x')"),
            ("{1; 2, x=3, ['y']=4, [5]=6,}", "return {1, 2, ['x'] = 3, ['y'] = 4, [5] = 6}"),
            ("f(1);", "return f(1)"),
            (";return f(1)", "return f(1)"),
            ("; return f(1) ;", "return f(1)"),
            (";--x\nreturn'a'", "return 'a'"),
            ("'a', 'b'", "return 'a', 'b'"),
            ("a .. 'b' .. 1", "return (a .. 'b' .. 1)"),
            ("1 + 2 * 3 - 4", "return (1 + (2 * 3) - 4)"),
            ("a or b and c or d", "return (a or (b and c) or d)"),
            ("not a == b", "return (not (a) == b)"),
            ("-x ^ -y ^ 2", "return -((x ^ -((y ^ 2))))"),
            ("a < b and b ~= c", "return ((a < b) and (b ~= c))"),
            ("#x % 3", "return (#(x) % 3)"),
            ("qname:toString()", "return qname:toString()"),
            ("pdns.A", "return pdns['A']"),
            ("a.b[1].c:d'x'.e", "return a['b'][1]['c']:d('x')['e']"),
            ("(f)(1)(2)", "return (f)(1)(2)"),
            ("function(a, ...) return ... end", "return (function(a, ...) return ... end)"),
            (";local a, b = 1 return a", "local a, b = 1; return a"),
            (
                ";if a then return 1 elseif b then return 2 else return 3 end",
                "if a then return 1 elseif b then return 2 else return 3 end",
            ),
            (";for i = 1, 3 do f(i) end", "for i = 1, 3 do f(i) end"),
            (";for k, v in pairs(t) do break end", "for k, v in pairs(t) do break end"),
            (";while a do b = 1 end", "while a do b = 1 end"),
            (";repeat local x = 1 until x", "repeat local x = 1 until x"),
            (";function a.b:c(d) self.x, y = 1, 2 end", "a['b']['c'] = (function(self, d) self['x'], y = 1, 2 end)"),
            (";local function f() end do f() end", "local function f()  end; do f() end"),
        ];
        for (code, tree) in cases {
            assert_eq!(show(code), tree, "{code}");
        }
    }

    #[test]
    fn broken_text_says_where() {
        let cases = [
            ("", 0, "the program returns nothing"),
            ("  -- x", 6, "the program returns nothing"),
            ("return 'a'", 0, "`return` where an expression must stand: it is put in front of the code already"),
            ("if x then", 0, "the statement `if` where an expression must stand"),
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
            (";if x then return 1", 19, "the end of the code where `end` must stand"),
            (";if x return 1 end", 6, "`return` where `then` must stand"),
            (";return 1 return 2", 10, "`return` where a statement must stand"),
            (";break", 1, "`break` outside a loop"),
            (";while 1 do f = function() break end end", 27, "`break` outside a loop"),
            (";goto x", 1, "`goto` and labels are not supported"),
            ("function() return ... end", 18, "`...` in a function without `...` among its parameters"),
            (";1 + 1", 1, "a number where a statement must stand"),
            (";a + 1", 3, "`+` after an expression that does nothing"),
            (";f() = 1", 5, "`=` after an expression that does nothing"),
            (";;", 1, "`;` where a statement must stand"),
            (";for i = 1 do end", 9, "`for` counts from one value to another"),
            ("_leeward_x", 0, "names that begin with `_leeward` are taken"),
        ];
        for (code, offset, message) in cases {
            let found = parse(code, Form::Program).expect_err(code);
            assert_eq!((found.offset, found.message.as_str()), (offset, message), "{code}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let cases = [
            ("{", "}"),
            ("(", ")"),
            ("f(", ")"),
            ("{[1]=", "}"),
            ("f{", "}"),
            ("f{{", "}}"),
            ("a[", "]"),
            ("- ", ""),
            ("not ", ""),
            ("1^", ""),
            ("function() return ", " end"),
        ];
        for (open, close) in cases {
            let nested = |depth: usize| parse(&(open.repeat(depth) + "1" + &close.repeat(depth)), Form::Program);
            let deep = nested(60_000 / open.len()).map_err(|finding| finding.message);
            assert_eq!(deep.err().as_deref(), Some("more than 64 levels of nesting"), "{open}");
            assert!(nested(20).is_ok(), "{open}");
        }
        for link in [".b", "()", "[1]", ":b()"] {
            assert!(parse(&("a".to_owned() + &link.repeat(20_000)), Form::Program).is_err(), "{link}");
            assert!(parse(&("a".to_owned() + &link.repeat(40)), Form::Program).is_ok(), "{link}");
        }
        let blocks = |depth: usize| parse(&format!(";{}{}", "do ".repeat(depth), "end ".repeat(depth)), Form::Program);
        assert!(blocks(20_000).is_err() && blocks(40).is_ok());
        let chain = |length: usize| parse(&("1".to_owned() + &"+1".repeat(length)), Form::Program);
        assert!(chain(30_000).is_err() && chain(CHAIN_MAX).is_ok());
    }
}
