//! What a script uses, and which of its calls become pieces.
//!
//! A call of a known function whose arguments are constant means the same wherever it stands, so it becomes a piece: its
//! checks are known at load, and it costs what a plan costs. Constant are literals, and locals that are declared once, never
//! set, and, where they are tables, only read: what is read out of a table of tables may be changed there.
//!
//! A piece is found by its number in the program that runs. Where functions outlive the run that made them, or belong to a
//! snippet, another may be running by then; so in their bodies nothing becomes a piece, and only the checks are known.

use std::collections::{BTreeSet, HashMap};

use super::super::finding::Finding;
use super::super::luau::Hoisted;
use super::super::native;
use super::super::plan::{Depends, Function, Gives};
use super::super::syntax::{Action, Block, Expr, Function as Body, Kind, Unary};
use super::super::variables::Variable;
use super::constant::{Allowance, Names, constant, structure};
use super::form::{Parts, is_scalar, soften};
use super::names;
use super::{Call, Lowering, called};

/// What names a script uses, and how.
#[derive(Default)]
pub(super) struct Survey<'b> {
    /// Names that are declared or set somewhere.
    own: HashMap<&'b str, Own<'b>>,
    /// Other names, where they stand first, and whether they are called there.
    foreign: HashMap<&'b str, (usize, bool)>,
    /// Whether more code may come in: then anything may be set.
    open: bool,
    depends: Depends,
    /// What the names stand for that are constant.
    constants: HashMap<&'b str, Expr>,
    allowance: Allowance,
}

/// A name that the script declares or sets.
#[derive(Default)]
struct Own<'b> {
    declarations: usize,
    /// Where the one declaration stands, if that is the outermost block.
    declared: Option<usize>,
    set: bool,
    value: Option<&'b Expr>,
    uses: usize,
    /// Uses that only read.
    reads: usize,
}

/// Surveys a script.
pub(super) fn survey(block: &Block) -> Survey<'_> {
    let mut survey = Survey::default();
    survey.declare_all(block, true);
    survey.block(block);
    survey.constants = survey.own.iter().filter_map(|(name, own)| Some((*name, survey.value_of(own)?))).collect();
    survey
}

impl<'b> Survey<'b> {
    /// The functions of record programs that are used.
    pub(super) fn functions(&self) -> BTreeSet<&'static str> {
        let known = Function::ALL.into_iter().map(Function::as_str);
        let natives = native::FUNCTIONS.iter().map(|function| function.name).chain(["include"]);
        known.chain(natives).filter(|name| self.foreign.contains_key(name)).collect()
    }

    /// The variables that a run must set.
    pub(super) fn variables(&self) -> Box<[Variable]> {
        Variable::ALL.into_iter().filter(|variable| self.open || self.foreign.contains_key(variable.as_str())).collect()
    }

    /// What the answer depends on beside pieces.
    pub(super) fn depends(&self) -> Depends {
        let of = |name: &&str| {
            let function = Function::find(name).map(Function::depends);
            let native = native::find(name).map(|native| native.depends);
            let variable = Variable::find(name).map(Variable::depends);
            let lua = match *name {
                "os" => Some(Depends { time: true, ..Depends::default() }),
                "math" => Some(Depends { chance: true, ..Depends::default() }),
                "include" => Some(Depends { data: true, ..Depends::default() }),
                _ => None,
            };
            function.or(native).or(variable).or(lua).unwrap_or_default()
        };
        self.foreign.keys().map(of).fold(self.depends, Depends::or)
    }

    /// Names that nothing sets.
    pub(super) fn report_unknown(&self, findings: &mut Vec<Finding>) {
        if self.open {
            return;
        }
        for (name, &(offset, is_called)) in &self.foreign {
            if names::is_lua(name) || names::is_function(name) || Variable::find(name).is_some() {
                continue;
            }
            let unknown = if is_called { names::unknown_function } else { names::unknown_variable };
            let mut finding = unknown(offset, name);
            soften(&mut finding);
            findings.push(finding);
        }
    }

    // -------- what is declared

    fn declare(&mut self, name: &'b str, value: Option<(usize, &'b Expr)>) {
        let own = self.own.entry(name).or_default();
        own.declarations += 1;
        own.declared = value.map(|(offset, _)| offset);
        own.value = value.map(|(_, value)| value);
    }

    fn declare_all(&mut self, block: &'b Block, outermost: bool) {
        for statement in block {
            match &statement.action {
                Action::Local { names, values } => {
                    let spread = values.len() < names.len() && !values.is_empty();
                    for (at, name) in names.iter().enumerate() {
                        let value = values.get(at).filter(|_| outermost && !spread);
                        self.declare(name, value.map(|value| (statement.offset, value)));
                    }
                }
                Action::LocalFunction { name, function } => {
                    self.declare(name, None);
                    self.declare_function(function);
                }
                Action::Assign { targets, .. } => {
                    for target in targets {
                        if let Kind::Variable(name) = &target.kind {
                            self.own.entry(name).or_default().set = true;
                        }
                    }
                }
                Action::For { name, body, .. } => {
                    self.declare(name, None);
                    self.declare_all(body, false);
                }
                Action::ForIn { names, body, .. } => {
                    names.iter().for_each(|name| self.declare(name, None));
                    self.declare_all(body, false);
                }
                Action::Do(body) | Action::While { body, .. } | Action::Repeat { body, .. } => self.declare_all(body, false),
                Action::If { arms, otherwise } => {
                    arms.iter().map(|(_, body)| body).chain(otherwise).for_each(|body| self.declare_all(body, false));
                }
                Action::Call(_) | Action::Return(_) | Action::Break => {}
            }
            each_expression(statement, &mut |expression| self.declare_inside(expression));
        }
    }

    fn declare_function(&mut self, function: &'b Body) {
        function.parameters.iter().for_each(|name| self.declare(name, None));
        self.declare_all(&function.body, false);
    }

    fn declare_inside(&mut self, expression: &'b Expr) {
        if let Kind::Function(function) = &expression.kind {
            self.declare_function(function);
        }
        each_part(expression, &mut |part| self.declare_inside(part));
    }

    // -------- what is used

    fn block(&mut self, block: &'b Block) {
        for statement in block {
            each_expression(statement, &mut |expression| self.expression(expression));
            each_block(statement, &mut |block| self.block(block));
        }
    }

    fn expression(&mut self, expression: &'b Expr) {
        match &expression.kind {
            Kind::Variable(name) => self.variable(expression.offset, name, false),
            Kind::Call { callee, arguments } => {
                if let Kind::Variable(name) = &callee.kind {
                    self.variable(callee.offset, name, true);
                    let hands_out = matches!(name.as_str(), "pairs" | "ipairs");
                    if !self.own.contains_key(name.as_str()) && (hands_out || Function::find(name).is_some()) {
                        arguments.iter().for_each(|argument| self.read(argument, hands_out));
                    }
                } else {
                    self.expression(callee);
                }
                arguments.iter().for_each(|argument| self.expression(argument));
            }
            Kind::Index { object, .. } => {
                self.read(object, true);
                each_part(expression, &mut |part| self.expression(part));
            }
            Kind::Unary(Unary::Length, operand) => {
                self.read(operand, false);
                self.expression(operand);
            }
            Kind::Function(function) => self.block(&function.body),
            _ => each_part(expression, &mut |part| self.expression(part)),
        }
    }

    fn variable(&mut self, offset: usize, name: &'b str, is_called: bool) {
        match self.own.get_mut(name) {
            Some(own) => {
                own.uses += 1;
                // before its declaration it is another, or nothing
                own.set |= own.declared.is_some_and(|declared| offset < declared);
            }
            None => {
                self.open |= OPENING.contains(&name);
                self.foreign.entry(name).or_insert((offset, is_called));
            }
        }
    }

    /// Something that is only read where it stands, or whose values are handed out there.
    fn read(&mut self, expression: &'b Expr, hands_out: bool) {
        if let Kind::Variable(name) = &expression.kind
            && let Some(own) = self.own.get_mut(name.as_str())
        {
            own.reads += usize::from(!hands_out || own.value.is_some_and(is_flat));
        }
    }

    /// The constant that a name stands for throughout.
    fn value_of(&self, own: &Own<'b>) -> Option<Expr> {
        let value = own.value.filter(|_| own.declarations == 1 && !own.set)?;
        let fixed = is_scalar(value) || (matches!(value.kind, Kind::Table(_)) && own.uses == own.reads);
        if fixed { constant(self, value) } else { None }
    }
}

/// Names by which more code may come in, or variables be found that nobody names.
const OPENING: [&str; 6] = ["include", "loadstring", "load", "setfenv", "getfenv", "_G"];

/// Whether it is a table that holds no tables.
fn is_flat(expression: &Expr) -> bool {
    matches!(&expression.kind, Kind::Table(fields) if fields.iter().all(|field| is_scalar(field.value.inner())))
}

impl Names for Survey<'_> {
    fn constant(&self, name: &str) -> Option<&Expr> {
        self.constants.get(name)
    }

    fn is_free(&self, name: &str) -> bool {
        !self.own.contains_key(name)
    }

    fn allowance(&self) -> &Allowance {
        &self.allowance
    }
}

/// The calls that become pieces and tests.
pub(super) struct Hoisting<'s, 'b> {
    survey: &'s Survey<'b>,
    /// Whether functions may be called while another program runs.
    shared: bool,
    within_function: bool,
    pub(super) hoisted: HashMap<usize, Hoisted>,
    pub(super) parts: Parts,
}

impl<'s, 'b> Hoisting<'s, 'b> {
    pub(super) fn new(survey: &'s Survey<'b>, shared: bool) -> Self {
        Self { survey, shared, within_function: false, hoisted: HashMap::new(), parts: Parts::default() }
    }

    pub(super) fn block(&mut self, lowering: &mut Lowering<'_>, block: &Block) {
        for statement in block {
            each_expression(statement, &mut |expression| self.expression(lowering, expression));
            match &statement.action {
                Action::LocalFunction { function, .. } => self.function(lowering, function),
                _ => each_block(statement, &mut |block| self.block(lowering, block)),
            }
        }
    }

    fn function(&mut self, lowering: &mut Lowering<'_>, function: &Body) {
        let outer = std::mem::replace(&mut self.within_function, true);
        self.block(lowering, &function.body);
        self.within_function = outer;
    }

    fn expression(&mut self, lowering: &mut Lowering<'_>, expression: &Expr) {
        if called(expression).is_some()
            && let Some((function, arguments)) = structure(self.survey, expression)
        {
            self.hoist(lowering, Call { function, offset: expression.offset, arguments: &arguments });
            return;
        }
        if let Kind::Function(function) = &expression.kind {
            return self.function(lowering, function);
        }
        each_part(expression, &mut |part| self.expression(lowering, part));
    }

    /// Whether calls stay as they are.
    const fn stays(&self) -> bool {
        self.shared && self.within_function
    }

    fn hoist(&mut self, lowering: &mut Lowering<'_>, call: Call<'_>) {
        let hoisted = if call.function.gives() == Gives::Boolean {
            let before = lowering.findings.len();
            let test = lowering.test(call);
            lowering.findings[before..].iter_mut().for_each(soften);
            let Some(test) = test.filter(|_| !self.stays()) else { return };
            self.parts.tests.push(test);
            Hoisted::Test((self.parts.tests.len() - 1) as u16)
        } else {
            let Some(piece) = lowering.part(call, false).filter(|_| !self.stays()) else { return };
            self.parts.pieces.push(piece);
            Hoisted::Piece((self.parts.pieces.len() - 1) as u16)
        };
        self.hoisted.insert(call.offset, hoisted);
    }
}

// -------- walks

/// The expressions that stand directly in a statement.
fn each_expression<'b>(statement: &'b super::super::syntax::Statement, visit: &mut dyn FnMut(&'b Expr)) {
    match &statement.action {
        Action::Local { values, .. } | Action::Return(values) => values.iter().for_each(visit),
        Action::Assign { targets, values } => {
            // A variable that is set is not used; a table in which a field is set is, and not only read.
            for target in targets {
                if let Kind::Index { object, key } = &target.kind {
                    visit(object);
                    visit(key);
                }
            }
            values.iter().for_each(visit);
        }
        Action::Call(call) => visit(call),
        Action::While { condition, .. } | Action::Repeat { condition, .. } => visit(condition),
        Action::If { arms, .. } => arms.iter().for_each(|(condition, _)| visit(condition)),
        Action::For { range: values, .. } | Action::ForIn { values, .. } => values.iter().for_each(visit),
        Action::LocalFunction { .. } | Action::Do(_) | Action::Break => {}
    }
}

/// The blocks that stand directly in a statement.
fn each_block<'b>(statement: &'b super::super::syntax::Statement, visit: &mut dyn FnMut(&'b Block)) {
    match &statement.action {
        Action::Do(body)
        | Action::While { body, .. }
        | Action::Repeat { body, .. }
        | Action::For { body, .. }
        | Action::ForIn { body, .. } => visit(body),
        Action::If { arms, otherwise } => arms.iter().map(|(_, body)| body).chain(otherwise).for_each(visit),
        Action::LocalFunction { function, .. } => visit(&function.body),
        Action::Local { .. } | Action::Assign { .. } | Action::Call(_) | Action::Return(_) | Action::Break => {}
    }
}

/// The expressions that stand directly in an expression, but for the body of a function.
fn each_part<'b>(expression: &'b Expr, visit: &mut dyn FnMut(&'b Expr)) {
    match &expression.kind {
        Kind::Table(fields) => {
            for field in fields {
                field.key.iter().for_each(&mut *visit);
                visit(&field.value);
            }
        }
        Kind::Call { callee, arguments } => {
            visit(callee);
            arguments.iter().for_each(visit);
        }
        Kind::Method { object, arguments, .. } => {
            visit(object);
            arguments.iter().for_each(visit);
        }
        Kind::Index { object, key } => {
            visit(object);
            visit(key);
        }
        Kind::Unary(_, operand) | Kind::Parentheses(operand) => visit(operand),
        Kind::Chain(first, links) => {
            visit(first);
            links.iter().for_each(|link| visit(&link.right));
        }
        Kind::Power(base, exponent) => {
            visit(base);
            visit(exponent);
        }
        Kind::Nil
        | Kind::Boolean(_)
        | Kind::Number(_)
        | Kind::Text(_)
        | Kind::Variadic
        | Kind::Variable(_)
        | Kind::Function(_) => {}
    }
}
