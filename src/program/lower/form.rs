//! Which form a program takes.

use std::sync::Arc;

use super::super::finding::{Finding, Severity};
use super::super::luau;
use super::super::plan::{Depends, Form, Piece, Plan, Program, Test};
use super::super::script::Script;
use super::super::syntax::{Action, Block, Expr, Kind};
use super::super::variables::Variable;
use super::body::{Natively, Outside};
use super::constant::{Everywhere, constant, structure};
use super::script::{Hoisting, survey};
use super::{Call, Lowering};
use crate::program::choice::FailReason;
use crate::program::compile::Defaults;
use crate::wire::RecordType;

/// What the configuration says about programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What holds for checks that do not say.
    pub defaults: Defaults,
    /// Most steps of a run: nodes of the plan, or safepoints of Luau.
    pub step_limit: u32,
    /// Whether globals live on from run to run: then a program may use what another has set.
    pub shared: bool,
}

/// What the configuration says, and the type of the record where that is known.
type With<'s> = (&'s Settings, Option<RecordType>);

/// The program that `block` means; what is wrong with it goes to `findings`.
pub(in super::super) fn lower(block: &Block, settings: With<'_>, findings: &mut Vec<Finding>) -> Option<Program> {
    let single = returned(block);
    if let Some(program) = single.and_then(|expression| whole(expression, settings, findings)) {
        return program;
    }
    let mut said = Vec::new();
    match natively(block, settings, &mut said, single.is_some()) {
        Ok(program) => {
            findings.append(&mut said);
            program
        }
        Err(outside) => script(block, settings, findings, &outside),
    }
}

/// The expression that a program of one `return` returns.
fn returned(block: &Block) -> Option<&Expr> {
    let [statement] = block.as_slice() else { return None };
    match &statement.action {
        Action::Return(values) => values.first().filter(|_| values.len() == 1).map(Expr::inner),
        _ => None,
    }
}

/// A program that is one piece; the outer `None`: it is not.
fn whole(expression: &Expr, (settings, rtype): With<'_>, findings: &mut Vec<Finding>) -> Option<Option<Program>> {
    let mut lowering = Lowering { rtype, ..Lowering::new(&settings.defaults, findings) };
    let everywhere = Everywhere::default();
    let piece = if let Some((function, arguments)) = structure(&everywhere, expression) {
        lowering.piece(Call { function, offset: expression.offset, arguments: &arguments })
    } else {
        let constant = constant(&everywhere, expression)?;
        lowering.constant_piece(&constant)
    };
    let Some(piece) = piece else { return Some(None) };
    let pieces = vec![Piece { answers: true, ..piece }];
    let depends = pieces[0].plan.depends();
    Some(Some(lowering.into_program(Parts { pieces, tests: Vec::new(), depends }, Form::Piece)))
}

/// What a program is made of beside its form.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) pieces: Vec<Piece>,
    pub(super) tests: Vec<Test>,
    pub(super) depends: Depends,
}

impl Lowering<'_> {
    fn into_program(self, parts: Parts, form: Form) -> Program {
        let Parts { pieces, tests, depends } = parts;
        let members: Box<[_]> = self.members.items.into();
        let givers = self.given.into_givers(members.len());
        let (checks, standings, functions) = (self.checks.into_requests(), self.standings.items.into(), self.functions);
        Program { members, givers, checks, standings, pieces: pieces.into(), tests: tests.into(), form, depends, functions }
    }

    /// A call of constant structure within a larger program. What is wrong with it is an error where the program cannot but
    /// come to it; elsewhere a warning, and the call fails when it is reached.
    pub(super) fn part(&mut self, call: Call<'_>, certain: bool) -> Option<Piece> {
        let before = self.findings.len();
        let piece = self.piece(call);
        if certain {
            return piece;
        }
        for finding in &mut self.findings[before..] {
            soften(finding);
        }
        let failing = Piece { plan: Plan::Failing(FailReason::BadCall), list: false, answers: false };
        Some(piece.unwrap_or(failing))
    }
}

/// Makes an error a warning.
pub(super) fn soften(finding: &mut Finding) {
    if finding.severity == Severity::Error {
        finding.severity = Severity::Warning;
        finding.message.push_str(": the program fails where it comes to this");
    }
}

fn natively(
    block: &Block,
    (settings, rtype): With<'_>,
    findings: &mut Vec<Finding>,
    certain: bool,
) -> Result<Option<Program>, Outside> {
    let lowering = Lowering { rtype, ..Lowering::new(&settings.defaults, findings) };
    let mut natively = Natively::new(lowering, block, certain, settings.shared);
    let body = natively.body(block)?;
    let (steps, parts, mut lowering) = natively.finish();
    if steps > settings.step_limit as usize {
        let message = format!("the program takes up to {steps} steps, more than `[lua] step_limit` ({})", settings.step_limit);
        lowering.error::<()>(0, message, "raise the limit, or split the record");
        return Ok(None);
    }
    let sound = lowering.findings.iter().all(|finding| finding.severity < Severity::Error);
    Ok(sound.then(|| lowering.into_program(parts, Form::Body(body))))
}

/// A program that Luau runs, because of what is `outside` of the plan.
fn script(block: &Block, (settings, rtype): With<'_>, findings: &mut Vec<Finding>, outside: &Outside) -> Option<Program> {
    let survey = survey(block);
    let mut lowering = Lowering { rtype, ..Lowering::new(&settings.defaults, findings) };
    if !settings.shared {
        survey.report_unknown(lowering.findings);
    }
    let mut hoisting = Hoisting::new(&survey, settings.shared);
    hoisting.block(&mut lowering, block);
    let Hoisting { hoisted, parts, .. } = hoisting;
    // Where globals live on, a function of this program may be called by another, which names other variables.
    let variables = if settings.shared { Variable::ALL.into() } else { survey.variables() };
    let script = match Script::compile(&luau::chunk(block, &hoisted), variables, &outside.to_string()) {
        Ok(script) => script,
        Err(message) => {
            return lowering.error(outside.offset, format!("Luau cannot compile it: {message}"), "make it smaller");
        }
    };
    lowering.functions.extend(survey.functions());
    let depends = survey.depends();
    let depends = parts.pieces.iter().fold(depends, |depends, piece| depends.or(piece.plan.depends()));
    let depends = parts.tests.iter().fold(depends, |depends, test| depends.or(test.depends()));
    Some(lowering.into_program(Parts { depends, ..parts }, Form::Script(Arc::new(script))))
}

/// The program as a Luau chunk, whatever it is; with or without pieces.
#[cfg(test)]
pub(in super::super) fn lower_as_script(block: &Block, settings: &Settings, hoist: bool) -> Option<Program> {
    let mut findings = Vec::new();
    if hoist {
        return script(block, (settings, None), &mut findings, &Outside::snippet());
    }
    let lowering = Lowering::new(&settings.defaults, &mut findings);
    let source = luau::chunk(block, &std::collections::HashMap::new());
    let script = Script::compile(&source, survey(block).variables(), "a test").ok()?;
    Some(lowering.into_program(Parts::default(), Form::Script(Arc::new(script))))
}

/// A snippet for `include`: statements, run for what they set.
pub(in super::super) fn lower_snippet(block: &Block, settings: &Settings, findings: &mut Vec<Finding>) -> Option<Program> {
    script(block, (&Settings { shared: true, ..settings.clone() }, None), findings, &Outside::snippet())
}

/// Whether it is a literal without parts.
pub(super) fn is_scalar(expression: &Expr) -> bool {
    matches!(expression.kind, Kind::Nil | Kind::Boolean(_) | Kind::Number(_) | Kind::Text(_))
}
