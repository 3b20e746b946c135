//! Syntax tree → [`Body`]: statements and expressions that are evaluated natively.
//!
//! Whatever Lua has beyond that (loops, functions, its library, tables that change, globals that are set) is
//! [`Outside`], and makes the program a script.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fmt;

use super::super::body::{Body, Node, Step};
use super::super::finding::{Finding, Severity};
use super::super::lua;
use super::super::native;
use super::super::object;
use super::super::plan::{Depends, Function, Gives, Piece, Test};
use super::super::syntax::{Action, Binary, Block, Expr, Field, Kind, Link, Statement, Unary};
use super::super::value::Value;
use super::super::variables::Variable;
use super::constant::{Allowance, Names, constant, depth, literal, structure};
use super::form::{Parts, is_scalar, soften};
use super::names;
use super::{Call, Lowering, called};
use crate::program::NESTING_MAX;

/// The first thing that makes a program a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outside {
    pub(super) offset: usize,
    construct: String,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.construct)
    }
}

impl Outside {
    /// What a snippet is, whatever it holds.
    pub(super) fn snippet() -> Self {
        Self { offset: 0, construct: "a snippet for `include`".into() }
    }

    fn new<T>(offset: usize, construct: impl Into<String>) -> Natural<T> {
        Err(Self { offset, construct: construct.into() })
    }
}

type Natural<T> = Result<T, Outside>;

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// To be computed with.
    Value,
    /// To be kept in a local: texts stay prepared records.
    Kept,
    /// To be the answer.
    Answer,
}

/// A local.
enum Binding {
    /// What it stands for, also as a value, which all uses share.
    Constant(Expr, OnceCell<Value>),
    Slot(u16),
}

/// The locals that are in scope, the innermost last, and the globals that the program sets.
#[derive(Default)]
struct Scope {
    locals: Vec<(String, Binding)>,
    globals: Vec<(String, Binding)>,
    allowance: Allowance,
}

impl Scope {
    fn find(&self, name: &str) -> Option<&Binding> {
        let all = self.locals.iter().rev().chain(&self.globals);
        all.into_iter().find(|(known, _)| known == name).map(|(_, binding)| binding)
    }
}

/// What is known of what a local may be set to.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// How deep its tables may be nested.
    depth: usize,
    /// Whether it may hold an object that is equal to nothing but itself.
    identity: bool,
}

pub(super) struct Natively<'a> {
    lowering: Lowering<'a>,
    /// Names that are set after they are declared, or without.
    assigned: HashSet<String>,
    scope: Scope,
    slots: Vec<Slot>,
    steps: usize,
    parts: Parts,
    /// Whether all of the program is sure to be evaluated.
    certain: bool,
    /// Whether the expression at hand is an operand.
    operand: bool,
    /// Whether other programs may have set globals.
    shared: bool,
}

impl Names for Scope {
    fn constant(&self, name: &str) -> Option<&Expr> {
        match self.find(name)? {
            Binding::Constant(constant, _) => Some(constant),
            Binding::Slot(_) => None,
        }
    }

    fn is_free(&self, name: &str) -> bool {
        self.find(name).is_none()
    }

    fn allowance(&self) -> &Allowance {
        &self.allowance
    }
}

impl<'a> Natively<'a> {
    pub(super) fn new(lowering: Lowering<'a>, block: &Block, certain: bool, shared: bool) -> Self {
        let mut assigned = HashSet::new();
        collect_assigned(block, &mut assigned);
        Self {
            lowering,
            assigned,
            scope: Scope::default(),
            slots: Vec::new(),
            steps: 0,
            parts: Parts::default(),
            certain,
            operand: false,
            shared,
        }
    }

    pub(super) fn body(&mut self, block: &Block) -> Natural<Body> {
        let block = self.block(block)?;
        Ok(Body { block, slots: self.slots.len() })
    }

    /// How many nodes a run comes to at most, and what they refer to.
    pub(super) fn finish(self) -> (usize, Parts, Lowering<'a>) {
        (self.steps, self.parts, self.lowering)
    }

    fn block(&mut self, block: &Block) -> Natural<Box<[Step]>> {
        let outer = self.scope.locals.len();
        let mut steps = Vec::new();
        for statement in block {
            self.statement(statement, &mut steps)?;
        }
        self.scope.locals.truncate(outer);
        Ok(steps.into())
    }

    fn statement(&mut self, statement: &Statement, steps: &mut Vec<Step>) -> Natural<()> {
        let offset = statement.offset;
        self.steps += 1;
        match &statement.action {
            Action::Local { names, values } => return self.local(offset, names, values, steps),
            Action::Assign { targets, values } => steps.push(self.assign(offset, targets, values)?),
            Action::Call(call) => steps.push(Step::Call(self.expression(call, Use::Value)?)),
            Action::Do(block) => steps.push(Step::Do(self.block(block)?)),
            Action::If { arms, otherwise } => {
                let mut longest = 0;
                let arms = arms
                    .iter()
                    .map(|(condition, block)| Ok((self.expression(condition, Use::Value)?, self.arm(block, &mut longest)?)));
                let arms = arms.collect::<Natural<_>>()?;
                let otherwise = otherwise.as_ref().map_or_else(|| Ok(Box::default()), |block| self.arm(block, &mut longest))?;
                self.steps += longest;
                steps.push(Step::If { arms, otherwise });
            }
            Action::Return(values) => match values.as_slice() {
                [] => steps.push(Step::Return(None)),
                [value] => steps.push(Step::Return(Some(self.expression(value, Use::Answer)?))),
                [answer, rest @ ..] => {
                    // the first is the answer; the others are evaluated, and may fail
                    let answer = self.expression(answer, Use::Answer)?;
                    let slot = self.slot(offset)?;
                    steps.push(Step::Set([(slot, answer)].into()));
                    for value in rest {
                        steps.push(Step::Call(self.expression(value, Use::Value)?));
                    }
                    steps.push(Step::Return(Some(Node::Local(slot))));
                }
            },
            Action::While { .. } | Action::Repeat { .. } | Action::For { .. } | Action::ForIn { .. } | Action::Break => {
                return Outside::new(offset, "a loop");
            }
            Action::LocalFunction { .. } => return Outside::new(offset, "a function of its own"),
        }
        Ok(())
    }

    /// A block of which a run takes one among others: only the longest counts.
    fn arm(&mut self, block: &Block, longest: &mut usize) -> Natural<Box<[Step]>> {
        let before = self.steps;
        let block = self.block(block)?;
        *longest = (self.steps - before).max(*longest);
        self.steps = before;
        Ok(block)
    }

    fn local(&mut self, offset: usize, names: &[String], values: &[Expr], steps: &mut Vec<Step>) -> Natural<()> {
        if values.len() > names.len() {
            return Outside::new(offset, "more values than locals");
        }
        let mut bound = Vec::new();
        let mut set = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let value = values.get(at);
            let fixed = match value {
                Some(value) => constant(&self.scope, value),
                None => Some(Expr { offset, kind: Kind::Nil }),
            };
            if let Some(fixed) = fixed.filter(|fixed| !self.assigned.contains(name) && depth(fixed) <= NESTING_MAX) {
                bound.push((name.clone(), Binding::Constant(fixed, OnceCell::new())));
                continue;
            }
            let node = match value {
                Some(value) => self.expression(value, Use::Kept)?,
                None => Node::Constant(Value::Nil),
            };
            let slot = self.slot(offset)?;
            self.fill(offset, slot, &node)?;
            set.push((slot, node));
            bound.push((name.clone(), Binding::Slot(slot)));
        }
        self.scope.locals.append(&mut bound);
        if !set.is_empty() {
            steps.push(Step::Set(set.into()));
        }
        Ok(())
    }

    fn slot(&mut self, offset: usize) -> Natural<u16> {
        if self.slots.len() >= 200 {
            return Outside::new(offset, "more than 200 locals"); // as many as Lua allows (LUAI_MAXVARS)
        }
        self.slots.push(Slot::default());
        Ok((self.slots.len() - 1) as u16)
    }

    /// A global that the program sets: a local of the whole program, where nobody else can see it.
    fn global(&mut self, offset: usize, name: &str) -> Natural<u16> {
        let taken = names::is_lua(name) || names::is_function(name) || Variable::find(name).is_some();
        if taken || self.shared {
            return Outside::new(offset, format!("the global `{name}`, which is set"));
        }
        let slot = self.slot(offset)?;
        self.scope.globals.push((name.to_owned(), Binding::Slot(slot)));
        Ok(slot)
    }

    /// Notes what a slot is set to. Tables of tables of tables are for Luau: whatever walks a value here recurses.
    fn fill(&mut self, offset: usize, slot: u16, node: &Node) -> Natural<()> {
        let depth = self.depth(node);
        if depth > NESTING_MAX {
            return Outside::new(offset, "tables that are nested deeply");
        }
        let identity = self.has_identity(node);
        if let Some(known) = self.slots.get_mut(usize::from(slot)) {
            (known.depth, known.identity) = (depth.max(known.depth), identity || known.identity);
        }
        Ok(())
    }

    /// How deep the tables that a node gives may be nested.
    fn depth(&self, node: &Node) -> usize {
        match node {
            Node::Constant(value) => value.depth(),
            Node::Local(slot) => self.slots.get(usize::from(*slot)).map_or(0, |slot| slot.depth),
            Node::Table(fields) => fields.iter().map(|(_, value)| self.depth(value)).max().unwrap_or(0) + 1,
            Node::Native(_, arguments) => arguments.iter().map(|argument| self.depth(argument)).max().unwrap_or(0) + 1, // `ttl`
            Node::Index(object, _) => self.depth(object),
            Node::Chain(first, links) => {
                links.iter().map(|(_, right)| self.depth(right)).max().unwrap_or(0).max(self.depth(first))
            }
            _ => 1,
        }
    }

    /// Whether a node may give, or hold, an object that is equal to nothing but itself.
    fn has_identity(&self, node: &Node) -> bool {
        match node {
            Node::Variable(variable) => variable.has_identity(),
            Node::Local(slot) => self.slots.get(usize::from(*slot)).is_some_and(|slot| slot.identity),
            Node::Piece(_, list) => *list,
            Node::Native(function, _) => {
                matches!(function.name, "nxdomain" | "rcode" | "ttl" | "dblookup" | "resolve" | "filterForward")
            }
            Node::Method { name, .. } => !name.starts_with("toString"),
            Node::Construct(..) | Node::Dynamic(..) => true,
            Node::Index(object, _) => self.has_identity(object),
            Node::Table(fields) => fields.iter().any(|(_, value)| self.has_identity(value)),
            Node::Chain(first, links) => {
                let chosen = links.iter().all(|(operator, _)| matches!(operator, Binary::And | Binary::Or));
                chosen && [&**first].into_iter().chain(links.iter().map(|(_, right)| right)).any(|node| self.has_identity(node))
            }
            _ => false,
        }
    }

    /// Whether two nodes may give one and the same such object: neither makes a new one.
    fn may_be_one(&self, left: &Node, right: &Node) -> bool {
        let is_old = |node: &Node| matches!(node, Node::Variable(_) | Node::Local(_) | Node::Index(..) | Node::Chain(..));
        [left, right].into_iter().all(|node| is_old(node) && self.has_identity(node))
    }

    fn assign(&mut self, offset: usize, targets: &[Expr], values: &[Expr]) -> Natural<Step> {
        if targets.len() != values.len() {
            return Outside::new(offset, "an assignment of other values than variables");
        }
        let mut set = Vec::new();
        for (target, value) in targets.iter().zip(values) {
            let Kind::Variable(name) = &target.kind else { return Outside::new(target.offset, "a table that changes") };
            let slot = match self.scope.find(name) {
                Some(&Binding::Slot(slot)) => slot,
                _ => self.global(target.offset, name)?,
            };
            let node = self.expression(value, Use::Kept)?;
            self.fill(offset, slot, &node)?;
            set.push((slot, node));
        }
        Ok(Step::Set(set.into()))
    }

    fn expression(&mut self, expression: &Expr, purpose: Use) -> Natural<Node> {
        self.steps += 1;
        if let (Kind::Variable(name), Use::Value) = (&expression.kind, purpose)
            && !self.scope.is_free(name)
        {
            return self.variable(expression.offset, name, purpose);
        }
        if let Some(constant) = constant(&self.scope, expression) {
            return self.constant(&constant, purpose);
        }
        let offset = expression.offset;
        match &expression.kind {
            Kind::Parentheses(inner) => self.expression(inner, purpose),
            Kind::Variable(name) => self.variable(offset, name, purpose),
            Kind::Table(fields) => self.table(fields),
            Kind::Call { .. } => self.call(expression, purpose),
            Kind::Method { object, name, arguments } => self.method(offset, object, name, arguments),
            Kind::Index { object, key } => {
                if let Some((table, name)) = self.member(object, key) {
                    return match lua::constant(table, name) {
                        Some(number) => Ok(Node::Constant(Value::Number(number))),
                        None => Outside::new(offset, format!("`{table}.{name}` as a value")),
                    };
                }
                if let Kind::Text(name) = &key.kind
                    && (object::is_method(name) || str::from_utf8(name).is_ok_and(names::is_text_function))
                {
                    return Outside::new(offset, "a method as a value");
                }
                let (object, key) = (self.expression(object, Use::Value)?, self.expression(key, Use::Value)?);
                Ok(Node::Index(Box::new(object), Box::new(key)))
            }
            Kind::Unary(operator, operand) => {
                let operand = Box::new(self.expression(operand, Use::Value)?);
                Ok(match operator {
                    Unary::Not => Node::Not(operand),
                    Unary::Negate => Node::Negate(operand),
                    Unary::Length => Node::Length(operand),
                })
            }
            Kind::Chain(first, links) => self.chain(offset, first, links, purpose),
            Kind::Power(base, exponent) => {
                let (base, exponent) = (self.expression(base, Use::Value)?, self.expression(exponent, Use::Value)?);
                Ok(Node::Power(Box::new(base), Box::new(exponent)))
            }
            Kind::Function(_) => Outside::new(offset, "a function of its own"),
            Kind::Variadic => Outside::new(offset, "`...`"),
            Kind::Nil | Kind::Boolean(_) | Kind::Number(_) | Kind::Text(_) => Ok(Node::Constant(Value::Nil)),
        }
    }

    /// A constant; where it may be an answer, as a piece, so that its records are prepared.
    fn constant(&mut self, constant: &Expr, purpose: Use) -> Natural<Node> {
        let texts = match &constant.kind {
            Kind::Text(text) => str::from_utf8(text).is_ok(),
            Kind::Number(_) => purpose == Use::Answer,
            Kind::Table(fields) => is_plain_list(fields),
            _ => false,
        };
        if purpose == Use::Value || !texts {
            return match literal(constant) {
                Some(value) => Ok(Node::Constant(value)),
                None => Outside::new(constant.offset, "this constant"),
            };
        }
        match self.lowering.constant_piece(constant) {
            Some(piece) => Ok(self.put(piece, purpose)),
            None => Ok(Node::Constant(Value::Nil)), // reported
        }
    }

    fn put(&mut self, piece: Piece, purpose: Use) -> Node {
        let answers = purpose == Use::Answer;
        let list = piece.list;
        self.parts.depends = self.parts.depends.or(piece.plan.depends());
        self.parts.pieces.push(Piece { answers, ..piece });
        Node::Piece((self.parts.pieces.len() - 1) as u16, list)
    }

    fn put_test(&mut self, test: Test) -> Node {
        self.parts.depends = self.parts.depends.or(test.depends());
        self.parts.tests.push(test);
        Node::Test((self.parts.tests.len() - 1) as u16)
    }

    fn variable(&mut self, offset: usize, name: &str, purpose: Use) -> Natural<Node> {
        if let Some(binding) = self.scope.find(name) {
            return Ok(match binding {
                Binding::Slot(slot) => Node::Local(*slot),
                Binding::Constant(constant, value) => {
                    Node::Constant(value.get_or_init(|| literal(constant).unwrap_or(Value::Nil)).clone())
                }
            });
        }
        if let Some(variable) = Variable::find(name) {
            self.parts.depends = self.parts.depends.or(variable.depends());
            return Ok(Node::Variable(variable));
        }
        if names::is_lua(name) || names::is_function(name) {
            return Outside::new(offset, format!("`{name}` as a value"));
        }
        if self.assigned.contains(name) {
            return Ok(Node::Local(self.global(offset, name)?));
        }
        if self.shared {
            return Outside::new(offset, format!("the global `{name}`, which another program may set"));
        }
        let mut finding = names::unknown_variable(offset, name);
        if purpose != Use::Answer || self.operand || !self.certain {
            finding.severity = Severity::Warning; // nil, as Lua has it
        }
        self.lowering.findings.push(finding);
        Ok(Node::Constant(Value::Nil))
    }

    fn report(&mut self, mut finding: Finding) {
        if !self.certain {
            soften(&mut finding);
        }
        self.lowering.findings.push(finding);
    }

    fn call(&mut self, expression: &Expr, purpose: Use) -> Natural<Node> {
        let offset = expression.offset;
        let Some((name, arguments)) = called(expression) else { return self.library_call(expression) };
        if !self.scope.is_free(name) || self.assigned.contains(name) {
            return Outside::new(offset, format!("a call of `{name}`, which the program sets"));
        }
        if let Some(function) = Function::find(name) {
            return self.piece_function(expression, function, arguments, purpose);
        }
        if let Some(function) = native::find(name) {
            self.lowering.functions.insert(function.name);
            self.parts.depends = self.parts.depends.or(function.depends);
            let arguments = match arguments {
                [seconds, answer] if name == "ttl" => {
                    [self.expression(seconds, Use::Value)?, self.expression(answer, purpose)?].into()
                }
                _ => self.arguments(arguments, Use::Value)?,
            };
            return Ok(Node::Native(function, arguments));
        }
        if let Some(constructor) = object::constructor(name.as_bytes()) {
            self.lowering.functions.insert(constructor.name);
            return Ok(Node::Construct(constructor, self.arguments(arguments, Use::Value)?));
        }
        if let Some(function) = lua::find(name).filter(|_| !arguments.is_empty()) {
            return Ok(Node::Native(function, self.arguments(arguments, Use::Value)?));
        }
        if names::is_lua(name) || name == "include" {
            return Outside::new(offset, format!("a call of `{name}`"));
        }
        if self.shared {
            return Outside::new(offset, format!("a call of `{name}`, which another program may set"));
        }
        self.report(names::unknown_function(offset, name));
        self.arguments(arguments, Use::Value)?;
        Ok(Node::Unknown(name.into()))
    }

    /// A call such as `string.lower(x)`.
    fn library_call(&mut self, expression: &Expr) -> Natural<Node> {
        let Kind::Call { callee, arguments } = &expression.kind else { return Outside::new(expression.offset, "this call") };
        let member = if let Kind::Index { object, key } = &callee.kind { self.member(object, key) } else { None };
        match member.and_then(|(table, name)| lua::member(table, name)) {
            Some(function) => Ok(Node::Native(function, self.arguments(arguments, Use::Value)?)),
            None => Outside::new(expression.offset, "a call of a value"),
        }
    }

    /// What `object[key]` names in Lua's own library.
    fn member<'e>(&self, object: &'e Expr, key: &'e Expr) -> Option<(&'e str, &'e str)> {
        let (Kind::Variable(table), Kind::Text(name)) = (&object.kind, &key.kind) else { return None };
        let is_library = self.scope.is_free(table) && !self.assigned.contains(table) && names::is_lua(table);
        Some((table.as_str(), str::from_utf8(name).ok()?)).filter(|_| is_library)
    }

    fn arguments(&mut self, arguments: &[Expr], purpose: Use) -> Natural<Box<[Node]>> {
        arguments.iter().map(|argument| self.expression(argument, purpose)).collect()
    }

    fn piece_function(&mut self, expression: &Expr, function: Function, arguments: &[Expr], purpose: Use) -> Natural<Node> {
        if let Some((function, arguments)) = structure(&self.scope, expression) {
            let call = Call { function, offset: expression.offset, arguments: &arguments };
            if function.gives() == Gives::Boolean {
                return Ok(match self.test(call) {
                    Some(test) => self.put_test(test),
                    None => Node::Unknown(function.as_str().into()),
                });
            }
            let certain = self.certain;
            return Ok(match self.lowering.part(call, certain) {
                Some(piece) => self.put(piece, purpose),
                None => Node::Unknown(function.as_str().into()),
            });
        }
        self.lowering.functions.insert(function.as_str());
        self.parts.depends = self.parts.depends.or(function.depends());
        Ok(Node::Dynamic(function, self.arguments(arguments, Use::Value)?))
    }

    fn test(&mut self, call: Call<'_>) -> Option<Test> {
        let before = self.lowering.findings.len();
        let test = self.lowering.test(call);
        if !self.certain {
            self.lowering.findings[before..].iter_mut().for_each(soften);
        }
        test
    }

    fn method(&mut self, offset: usize, object: &Expr, name: &str, arguments: &[Expr]) -> Natural<Node> {
        let object = Box::new(self.expression(object, Use::Value)?);
        // strings have methods too, and one of the same name
        let known = object::reads(name.as_bytes()) && (name != "match" || object.is_object());
        if let Some(function) = lua::method(name).filter(|_| !known) {
            let arguments = self.arguments(arguments, Use::Value)?;
            return Ok(Node::Native(function, [*object].into_iter().chain(arguments).collect()));
        }
        if !known {
            return Outside::new(offset, format!("the method `{name}`"));
        }
        Ok(Node::Method { object, name: name.into(), arguments: self.arguments(arguments, Use::Value)? })
    }

    fn table(&mut self, fields: &[Field]) -> Natural<Node> {
        let fields = fields.iter().map(|field| {
            let key = field.key.as_ref().map(|key| self.expression(key, Use::Value)).transpose()?;
            Ok((key, self.expression(&field.value, Use::Value)?))
        });
        Ok(Node::Table(fields.collect::<Natural<_>>()?))
    }

    fn chain(&mut self, offset: usize, first: &Expr, links: &[Link], purpose: Use) -> Natural<Node> {
        let operator = links.first().map(|link| link.operator);
        let (left, right) = match operator {
            Some(Binary::Or) => (purpose, purpose),
            Some(Binary::And) => (Use::Value, purpose),
            _ => (Use::Value, Use::Value),
        };
        let (certain, operand) = (self.certain, std::mem::replace(&mut self.operand, true));
        let first = Box::new(self.expression(first, left)?);
        // What stands behind `and` and `or` may never be evaluated.
        self.certain &= !matches!(operator, Some(Binary::And | Binary::Or));
        let links: Natural<Box<[(Binary, Node)]>> =
            links.iter().map(|link| Ok((link.operator, self.expression(&link.right, right)?))).collect();
        (self.certain, self.operand) = (certain, operand);
        let links = links?;
        let compares = |operator: &Binary| matches!(operator, Binary::Equal | Binary::NotEqual);
        if links.iter().any(|(operator, right)| compares(operator) && self.may_be_one(&first, right)) {
            return Outside::new(offset, "a comparison of objects");
        }
        Ok(Node::Chain(first, links))
    }
}

fn is_plain_list(fields: &[Field]) -> bool {
    fields.iter().all(|field| {
        field.key.as_ref().is_none_or(|key| matches!(key.kind, Kind::Number(_)))
            && is_scalar(&field.value)
            && !matches!(field.value.kind, Kind::Boolean(_))
    })
}

/// The names that a program sets, other than by declaring them.
fn collect_assigned(block: &Block, names: &mut HashSet<String>) {
    for statement in block {
        match &statement.action {
            Action::Assign { targets, .. } => names.extend(targets.iter().filter_map(|target| match &target.kind {
                Kind::Variable(name) => Some(name.clone()),
                _ => None,
            })),
            Action::Do(body) => collect_assigned(body, names),
            Action::If { arms, otherwise } => {
                arms.iter().map(|(_, body)| body).chain(otherwise).for_each(|body| collect_assigned(body, names));
            }
            _ => {} // declares, or makes a script of it
        }
    }
}

impl Function {
    /// What a call depends on whose arguments are not known.
    pub(super) fn depends(self) -> Depends {
        let none = Depends::default();
        match self {
            Self::IfPortUp | Self::IfUrlUp | Self::IfUrlExtUp => Depends { health: true, chance: true, ..none },
            Self::PickSelfWeighted => Depends { health: true, client: true, ..none },
            Self::All => none,
            // what is drawn among the members is known where the name is, and only there is it a call that works
            Self::Pool => Depends { health: true, ..none },
            Self::PickRandom | Self::PickRandomSample | Self::PickWRandom => Depends { chance: true, ..none },
            Self::PickHashed | Self::PickWHashed | Self::PickCHashed | Self::Netmask => Depends { client: true, ..none },
            Self::View => Depends { client: true, chance: true, ..none },
            Self::PickNameHashed => Depends { name: true, ..none },
            Self::PickClosest | Self::AsNum | Self::Country | Self::Continent | Self::Region => Depends { geo: true, ..none },
        }
    }
}
