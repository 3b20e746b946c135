//! Syntax tree → Luau source, for programs that are no plan.
//!
//! Why not the program's own text: calls of constant structure become references to the plan's pieces, so that both tiers
//! run the same code and the checks are known at load; numbers that become text in a concatenation get Lua 5.1's format;
//! and Luau's compiler sees only what our parser has bounded.

use std::collections::HashMap;
use std::fmt::Write;

use super::syntax::{Action, Binary, Block, Expr, Field, Function, Kind, Link, Statement, Unary};
use super::{RESERVED, number};

/// The call that makes text of numbers, opened.
const TEXT: &str = "_leeward_text(";

/// What stands for a call of constant structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hoisted {
    /// The settled piece of this number.
    Piece(u16),
    /// The test of this number.
    Test(u16),
}

/// The chunk that runs `block`. Its arguments are the functions that give pieces and tests. `hoisted` are the calls of
/// constant structure by offset.
pub(super) fn chunk(block: &Block, hoisted: &HashMap<usize, Hoisted>) -> String {
    let mut printer = Printer { out: String::new(), hoisted, exact: true, operators: 0 };
    if !hoisted.is_empty() {
        printer.out = format!("local {RESERVED}_piece, {RESERVED}_test = ...; ");
    }
    printer.block(block);
    printer.out
}

/// The tree as source, nothing replaced.
#[cfg(test)]
pub(super) fn print(block: &Block) -> String {
    let mut printer = Printer { out: String::new(), hoisted: &HashMap::new(), exact: false, operators: 0 };
    printer.block(block);
    printer.out
}

struct Printer<'h> {
    out: String,
    hoisted: &'h HashMap<usize, Hoisted>,
    /// Whether numbers in concatenations get Lua 5.1's format, and operators safepoints.
    exact: bool,
    /// Operators since the last safepoint.
    operators: u32,
}

/// Operators from one safepoint to the next. Luau reads numbers out of strings and compares strings without any, and a string
/// may be 64 KiB: this many cost a millisecond at most.
const OPERATORS_MAX: u32 = 8;

impl Printer<'_> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn block(&mut self, block: &Block) {
        for (at, statement) in block.iter().enumerate() {
            self.put(if at > 0 { "; " } else { "" });
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.action {
            Action::Local { names, values } => {
                self.put("local ");
                self.put(&names.join(", "));
                self.put(if values.is_empty() { "" } else { " = " });
                self.list(values);
            }
            Action::LocalFunction { name, function } => {
                self.put("local function ");
                self.put(name);
                self.function(function);
            }
            Action::Assign { targets, values } => {
                self.list(targets);
                self.put(" = ");
                self.list(values);
            }
            Action::Call(call) => self.expression(call),
            Action::Do(body) => self.enclosed("do ", body),
            Action::While { condition, body } => {
                self.put("while ");
                self.expression(condition);
                self.enclosed(" do ", body);
            }
            Action::Repeat { body, condition } => {
                self.put("repeat ");
                self.block(body);
                self.put(" until ");
                self.expression(condition);
            }
            Action::If { arms, otherwise } => self.if_statement(arms, otherwise.as_ref()),
            Action::For { name, range, body } => {
                self.put(&format!("for {name} = "));
                self.list(range);
                self.enclosed(" do ", body);
            }
            Action::ForIn { names, values, body } => {
                self.put(&format!("for {} in ", names.join(", ")));
                self.list(values);
                self.enclosed(" do ", body);
            }
            Action::Return(values) => {
                self.put(if values.is_empty() { "return" } else { "return " });
                self.list(values);
            }
            Action::Break => self.put("break"),
        }
    }

    fn if_statement(&mut self, arms: &[(Expr, Block)], otherwise: Option<&Block>) {
        for (at, (condition, body)) in arms.iter().enumerate() {
            self.put(if at > 0 { " elseif " } else { "if " });
            self.expression(condition);
            self.put(" then ");
            self.block(body);
        }
        if let Some(body) = otherwise {
            self.put(" else ");
            self.block(body);
        }
        self.put(" end");
    }

    fn enclosed(&mut self, open: &str, body: &Block) {
        self.put(open);
        self.block(body);
        self.put(" end");
    }

    fn function(&mut self, function: &Function) {
        let variadic = function.variadic.then_some("...");
        let parameters: Vec<&str> = function.parameters.iter().map(String::as_str).chain(variadic).collect();
        self.enclosed(&format!("({}) ", parameters.join(", ")), &function.body);
    }

    fn list(&mut self, items: &[Expr]) {
        for (at, item) in items.iter().enumerate() {
            self.put(if at > 0 { ", " } else { "" });
            self.expression(item);
        }
    }

    fn expression(&mut self, expression: &Expr) {
        match &expression.kind {
            Kind::Nil => self.put("nil"),
            Kind::Boolean(value) => self.put(if *value { "true" } else { "false" }),
            Kind::Number(number) => self.put(&literal(*number)),
            Kind::Text(text) => self.text(text),
            Kind::Variadic => self.put("..."),
            Kind::Variable(name) => self.put(name),
            Kind::Table(fields) => self.table(fields),
            Kind::Call { callee, arguments } => match self.hoisted.get(&expression.offset).filter(|_| is_name(callee)) {
                Some(Hoisted::Piece(number)) => self.put(&format!("{RESERVED}_piece({number})")),
                Some(Hoisted::Test(number)) => self.put(&format!("{RESERVED}_test({number})")),
                None => {
                    self.expression(callee);
                    self.arguments(arguments);
                }
            },
            Kind::Method { object, name, arguments } => {
                self.object(object);
                self.put(&format!(":{name}"));
                self.arguments(arguments);
            }
            Kind::Index { object, key } => {
                self.object(object);
                self.put("[");
                self.expression(key);
                self.put("]");
            }
            Kind::Unary(operator, operand) => self.unary(*operator, operand),
            Kind::Chain(first, links) => self.chain(first, links),
            Kind::Power(base, exponent) => {
                self.put("(");
                self.operand(base);
                self.put(" ^ ");
                self.operand(exponent);
                self.put(")");
            }
            Kind::Function(function) => {
                self.put("(function");
                self.function(function);
                self.put(")");
            }
            Kind::Parentheses(inner) => {
                self.put("(");
                self.expression(inner);
                self.put(")");
            }
        }
    }

    /// What a method or a field is taken of.
    fn object(&mut self, object: &Expr) {
        self.expression(object);
    }

    fn arguments(&mut self, arguments: &[Expr]) {
        self.put("(");
        self.list(arguments);
        self.put(")");
    }

    fn unary(&mut self, operator: Unary, operand: &Expr) {
        self.put(operator.as_str().trim_end());
        self.put(if operator == Unary::Not { " (" } else { "(" });
        self.operand(operand);
        self.put(")");
    }

    fn chain(&mut self, first: &Expr, links: &[Link]) {
        let concatenated = self.exact && links.first().is_some_and(|link| link.operator == Binary::Concat);
        // the whole as well: what is longer than any string may be is refused
        self.put(if concatenated { TEXT } else { "(" });
        let operand = if concatenated { Self::text_operand } else { Self::operand };
        operand(self, first);
        for link in links {
            self.put(&format!(" {} ", link.operator.as_str()));
            operand(self, &link.right);
        }
        self.put(")");
    }

    /// An operand; every few of them with a call around it, which is a safepoint.
    fn operand(&mut self, operand: &Expr) {
        self.operators += 1;
        if !self.exact || self.operators < OPERATORS_MAX {
            return self.expression(operand);
        }
        self.operators = 0;
        self.put(&format!("{RESERVED}_step(("));
        self.expression(operand);
        self.put("))");
    }

    /// An operand of a concatenation: a number as its text.
    fn text_operand(&mut self, operand: &Expr) {
        if matches!(operand.kind, Kind::Text(_)) {
            return self.expression(operand);
        }
        self.put(&format!("{TEXT}("));
        self.expression(operand);
        self.put("))");
    }

    fn table(&mut self, fields: &[Field]) {
        self.put("{");
        for (at, field) in fields.iter().enumerate() {
            self.put(if at > 0 { ", " } else { "" });
            if let Some(key) = &field.key {
                self.put("[");
                self.expression(key);
                self.put("] = ");
            }
            self.expression(&field.value);
        }
        self.put("}");
    }

    /// A string literal; whatever is not plain ASCII as `\ddd`.
    fn text(&mut self, text: &[u8]) {
        self.out.push('\'');
        for &octet in text {
            match octet {
                b'\'' | b'\\' => self.out.extend(['\\', octet as char]),
                b' '..=b'~' => self.out.push(octet as char),
                _ => _ = write!(self.out, "\\{octet:03}"),
            }
        }
        self.out.push('\'');
    }
}

fn is_name(callee: &Expr) -> bool {
    matches!(callee.kind, Kind::Variable(_))
}

/// A number that reads back as the same.
fn literal(number: f64) -> String {
    let short = number::to_text(number);
    match () {
        () if number.is_infinite() => if number > 0.0 { "(1/0)" } else { "(-1/0)" }.to_owned(),
        () if short.parse() == Ok(number) => short,
        () => format!("{number:?}"),
    }
}
