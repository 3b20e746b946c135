//! The plan's statements and expressions, evaluated natively, with Lua's meaning.
//!
//! There are no loops and no functions here, so a run takes no more steps than the body has nodes, which loading compares
//! with `step_limit`. What a node costs beyond that, by the length of a text or a table that it takes or makes, is charged to
//! the same number of steps while it runs. What pieces give stays a row of member numbers as long as nobody looks into it, so an answer that is
//! picked and returned allocates nothing.

use super::LIST_MAX;
use super::dynamic::{self, Memo};
use super::facts::{Facts, Reach};
use super::failure::Failure;
use super::meter::Meter;
use super::native::{self, Native, UNKNOWN};
use super::object::Constructor;
use super::plan::{Function, Program, Test};
use super::settle::Settled;
use super::syntax::Binary;
use super::value::Value;
use super::variables::Variable;
use super::world::World;

/// Statements, and how many locals they have.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) block: Box<[Step]>,
    pub(super) slots: usize,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Sets locals: all values first.
    Set(Box<[(u16, Node)]>),
    /// The block of the first condition that holds.
    If {
        arms: Box<[(Node, Box<[Self]>)]>,
        otherwise: Box<[Self]>,
    },
    Do(Box<[Self]>),
    /// A call for its effect, such as a log line.
    Call(Node),
    Return(Option<Node>),
}

#[derive(Debug)]
pub(super) enum Node {
    Constant(Value),
    Local(u16),
    Variable(Variable),
    /// The settled piece of this number; whether it is a list.
    Piece(u16, bool),
    Test(u16),
    /// A piece function whose arguments are not constant.
    Dynamic(Function, Box<[Self]>),
    Native(&'static native::Function, Box<[Self]>),
    /// `newDN` and the like.
    Construct(&'static Constructor, Box<[Self]>),
    /// A call of what does not exist, or cannot work.
    Unknown(Box<str>),
    Method {
        object: Box<Self>,
        name: Box<str>,
        arguments: Box<[Self]>,
    },
    Index(Box<Self>, Box<Self>),
    /// Keys (none: the next position) and values.
    Table(Box<[(Option<Self>, Self)]>),
    Not(Box<Self>),
    Negate(Box<Self>),
    Length(Box<Self>),
    Chain(Box<Self>, Box<[(Binary, Self)]>),
    Power(Box<Self>, Box<Self>),
}

/// What an expression comes to.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Value(Value),
    /// Members, in the row of picks.
    Picked {
        from: usize,
        count: usize,
        list: bool,
    },
}

/// Memory that runs share, so that most need none of their own.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) picks: Vec<u16>,
    locals: Vec<Item>,
    text: Vec<u8>,
}

impl Scratch {
    /// With room for every member of a list: no query has to make it.
    pub(super) fn roomy() -> Self {
        Self { picks: Vec::with_capacity(LIST_MAX), locals: Vec::new(), text: Vec::new() }
    }
}

/// One run.
pub(super) struct Run<'r> {
    pub(super) program: &'r Program,
    pub(super) settled: &'r [Settled],
    pub(super) facts: &'r Facts<'r>,
    pub(super) world: &'r dyn World,
    pub(super) meter: &'r Meter,
    pub(super) memo: &'r Memo,
    pub(super) random: &'r mut fastrand::Rng,
    pub(super) scratch: &'r mut Scratch,
    /// What was come by, where somebody listens.
    pub(super) trail: &'r mut Option<Vec<Visit>>,
    pub(super) reach: Reach,
    pub(super) unknown: bool,
    /// The longest TTL that the answer may have, as far as it has got, seconds.
    pub(super) ttl: u32,
}

/// Something that a run came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// The piece of this number was asked.
    Piece(u16),
    /// The test of this number, and whether it held.
    Test(u16, bool),
}

/// How a block ends.
enum Flow {
    On,
    Returned(Item),
}

type Eval<T> = Result<T, Failure>;

impl Run<'_> {
    /// What the body returns.
    pub(super) fn body(&mut self, body: &Body) -> Eval<Item> {
        self.scratch.picks.clear();
        self.scratch.locals.clear();
        self.scratch.locals.resize(body.slots, Item::Value(Value::Nil));
        match self.block(&body.block)? {
            Flow::On => Ok(Item::Value(Value::Nil)),
            Flow::Returned(item) => Ok(item),
        }
    }

    fn block(&mut self, block: &[Step]) -> Eval<Flow> {
        for step in block {
            if let Flow::Returned(item) = self.step(step)? {
                return Ok(Flow::Returned(item));
            }
        }
        Ok(Flow::On)
    }

    fn step(&mut self, step: &Step) -> Eval<Flow> {
        match step {
            Step::Set(values) => self.set(values)?,
            Step::If { arms, otherwise } => {
                for (condition, block) in arms {
                    if self.node(condition)?.is_true() {
                        return self.block(block);
                    }
                }
                return self.block(otherwise);
            }
            Step::Do(block) => return self.block(block),
            Step::Call(call) => drop(self.node(call)?),
            Step::Return(None) => return Ok(Flow::Returned(Item::Value(Value::Nil))),
            Step::Return(Some(node)) => return self.node(node).map(Flow::Returned),
        }
        Ok(Flow::On)
    }

    fn set(&mut self, values: &[(u16, Node)]) -> Eval<()> {
        if let [(local, node)] = values {
            let item = self.node(node)?;
            self.put(*local, item);
            return Ok(());
        }
        let items = values.iter().map(|(_, node)| self.node(node)).collect::<Eval<Vec<Item>>>()?;
        values.iter().zip(items).for_each(|(&(local, _), item)| self.put(local, item));
        Ok(())
    }

    fn put(&mut self, local: u16, item: Item) {
        if let Some(place) = self.scratch.locals.get_mut(usize::from(local)) {
            *place = item;
        }
    }

    fn node(&mut self, node: &Node) -> Eval<Item> {
        let value = match node {
            Node::Constant(value) => value.clone(),
            Node::Local(local) => {
                return Ok(self.scratch.locals.get(usize::from(*local)).cloned().unwrap_or(Item::Value(Value::Nil)));
            }
            Node::Variable(variable) => variable.value(self.facts, self.world, &mut self.reach),
            Node::Piece(number, list) => return self.piece(*number, *list),
            Node::Test(number) => Value::Boolean(self.test(*number)),
            Node::Dynamic(function, arguments) => {
                self.meter.charge(1)?;
                let arguments = self.values(arguments)?;
                dynamic::call(*function, &arguments, &mut self.native())?
            }
            Node::Native(function, arguments) => {
                let arguments = self.arguments(arguments)?;
                let value = (function.call)(&mut self.native(), &arguments)?;
                self.pay(&value)?;
                value
            }
            Node::Construct(function, arguments) => {
                let arguments = self.arguments(arguments)?;
                (function.call)(&arguments)?
            }
            Node::Unknown(name) => return Err(Failure::raised(format!("a call of '{name}', which cannot work"))),
            Node::Method { object, name, arguments } => self.method(object, name, arguments)?,
            Node::Index(table, key) => self.index(table, key)?,
            Node::Table(fields) => self.table(fields)?,
            Node::Not(operand) => Value::Boolean(!self.node(operand)?.is_true()),
            Node::Negate(operand) => {
                let operand = self.operand(operand)?;
                Value::Number(-number(&operand)?)
            }
            Node::Length(operand) => self.length(operand)?,
            Node::Chain(first, links) => return self.chain(first, links),
            Node::Power(base, exponent) => {
                let (base, exponent) = (self.operand(base)?, self.operand(exponent)?);
                Value::Number(number(&base)?.powf(number(&exponent)?))
            }
        };
        Ok(Item::Value(value))
    }

    /// Picks from a piece.
    pub(super) fn piece(&mut self, number: u16, list: bool) -> Eval<Item> {
        if let Some(trail) = self.trail {
            trail.push(Visit::Piece(number));
        }
        let from = self.scratch.picks.len();
        let settled = self.settled.get(usize::from(number)).ok_or_else(|| Failure::raised("no such piece"))?;
        let (picked, reach) = settled.choice.pick(self.facts, self.random, &mut self.scratch.picks);
        self.reach = self.reach.join(reach);
        self.unknown |= settled.unknown;
        self.ttl = self.ttl.min(settled.ttl);
        picked?;
        Ok(Item::Picked { from, count: self.scratch.picks.len() - from, list })
    }

    /// Whether a test holds.
    pub(super) fn test(&mut self, number: u16) -> bool {
        let Some(test) = self.program.tests.get(usize::from(number)) else { return false };
        let (holds, reach) = test.holds(self.facts);
        self.reach = self.reach.join(reach);
        if let Some(trail) = self.trail {
            trail.push(Visit::Test(number, holds));
        }
        holds
    }

    pub(super) fn native(&mut self) -> Native<'_> {
        let Self { facts, world, meter, memo, random, reach, unknown, .. } = self;
        Native { facts, world: *world, meter, memo, random, reach, unknown }
    }

    /// Charges for a look at all of a value.
    fn pay(&self, value: &Value) -> Eval<()> {
        match value {
            Value::Text(text) => self.meter.charge_octets(text.len())?,
            Value::Table(entries) => self.meter.charge_elements(entries.len() as u64)?,
            _ => {}
        }
        Ok(())
    }

    /// Values that a function looks at.
    fn arguments(&mut self, nodes: &[Node]) -> Eval<Vec<Value>> {
        let values = self.values(nodes)?;
        values.iter().try_for_each(|value| self.pay(value))?;
        Ok(values)
    }

    /// What an operator looks at.
    fn operand(&mut self, node: &Node) -> Eval<Value> {
        let value = self.value(node)?;
        if let Value::Text(_) = value {
            self.pay(&value)?;
        }
        Ok(value)
    }

    fn values(&mut self, nodes: &[Node]) -> Eval<Vec<Value>> {
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn value(&mut self, node: &Node) -> Eval<Value> {
        let item = self.node(node)?;
        if let Item::Picked { count, .. } = item {
            self.meter.charge_elements(count as u64)?;
        }
        Ok(self.value_of(item))
    }

    /// An item as Lua sees it.
    pub(super) fn value_of(&self, item: Item) -> Value {
        let (from, count, list) = match item {
            Item::Value(value) => return value,
            Item::Picked { from, count, list } => (from, count, list),
        };
        let picks = self.scratch.picks.get(from..from + count).unwrap_or_default();
        let text = |&pick: &u16| self.program.members.get(usize::from(pick)).map_or(Value::Nil, |text| Value::text(&**text));
        // a call that gives one and has none (all are drained) gives an empty table: NODATA
        if list || picks.is_empty() { Value::list(picks.iter().map(text)) } else { picks.first().map_or(Value::Nil, text) }
    }

    fn method(&mut self, object: &Node, name: &str, arguments: &[Node]) -> Eval<Value> {
        let object = self.value(object)?;
        let arguments = self.arguments(arguments)?;
        let Value::Object(mut object) = object else {
            return Err(Failure::raised(format!("attempt to call the method '{name}' of {}", object.kind())));
        };
        match object.method(name.as_bytes()) {
            Some(method) => Ok(method.call(&mut object, &arguments)?),
            None => Err(Failure::raised(format!("{} has no method '{name}'", object.kind()))),
        }
    }

    fn index(&mut self, table: &Node, key: &Node) -> Eval<Value> {
        let (table, key) = (self.node(table)?, self.value(key)?);
        let at = if let Value::Number(number) = key { (number - 1.0) as usize } else { usize::MAX }; // where it mostly is
        let table = match table {
            Item::Picked { from, count, list: true } => {
                let pick = self.scratch.picks.get(from..from + count).and_then(|picks| picks.get(at)).copied();
                let text = pick.and_then(|pick| self.program.members.get(usize::from(pick)));
                let is_position = key.is_same(&Value::Number(at as f64 + 1.0));
                return Ok(text.filter(|_| is_position).map_or(Value::Nil, |text| Value::text(&**text)));
            }
            item => self.value_of(item),
        };
        let entries = match (&table, key.as_text()) {
            (Value::Table(entries), _) => entries,
            (Value::Text(_), _) => return Ok(Value::Nil), // Lua finds the functions of `string`, and loading refuses those
            (Value::Object(object), Some(key)) => return Ok(object.field(&key).unwrap_or(Value::Nil)),
            _ => return Err(Failure::raised(format!("attempt to index {}", table.kind()))),
        };
        if let Some((known, value)) = entries.get(at)
            && known.is_same(&key)
        {
            return Ok(value.clone());
        }
        self.meter.charge_elements(entries.len() as u64)?;
        Ok(entries.iter().find(|(known, _)| known.is_same(&key)).map_or(Value::Nil, |(_, value)| value.clone()))
    }

    fn table(&mut self, fields: &[(Option<Node>, Node)]) -> Eval<Value> {
        let fields =
            fields.iter().map(|(key, value)| Ok((key.as_ref().map(|key| self.value(key)).transpose()?, self.value(value)?)));
        let fields = fields.collect::<Eval<Vec<_>>>()?;
        Value::table(fields).ok_or_else(|| Failure::raised("a table index is nil or NaN"))
    }

    fn length(&mut self, operand: &Node) -> Eval<Value> {
        let length = match self.node(operand)? {
            Item::Picked { count, list: true, .. } => count,
            item => match self.value_of(item) {
                Value::Text(text) => text.len(),
                table @ Value::Table(_) => {
                    self.pay(&table)?;
                    border(&table)
                }
                other => return Err(Failure::raised(format!("attempt to get length of {}", other.kind()))),
            },
        };
        Ok(Value::Number(length as f64))
    }

    fn chain(&mut self, first: &Node, links: &[(Binary, Node)]) -> Eval<Item> {
        if links.first().is_some_and(|(operator, _)| *operator == Binary::Concat) {
            return self.concat(first, links).map(Item::Value);
        }
        let mut left = self.node(first)?;
        for (operator, right) in links {
            left = match operator {
                Binary::And if !left.is_true() => left,
                Binary::Or if left.is_true() => left,
                Binary::And | Binary::Or => self.node(right)?,
                _ => {
                    let (left, right) = (self.value_of(left), self.operand(right)?);
                    if let Value::Text(_) = left {
                        self.pay(&left)?;
                    }
                    Item::Value(binary(*operator, &left, &right)?)
                }
            };
        }
        Ok(left)
    }

    fn concat(&mut self, first: &Node, links: &[(Binary, Node)]) -> Eval<Value> {
        let mut all = std::mem::take(&mut self.scratch.text); // one within another makes its own
        all.clear();
        for node in [first].into_iter().chain(links.iter().map(|(_, right)| right)) {
            let operand = self.value(node)?;
            let refused = || Failure::raised(format!("attempt to concatenate {}", operand.kind()));
            let text = operand.as_text().ok_or_else(refused)?;
            self.meter.charge_octets(text.len())?;
            self.meter.check_string(all.len() + text.len())?;
            all.extend_from_slice(&text);
        }
        let value = Value::text(&all);
        self.scratch.text = all;
        Ok(value)
    }
}

impl Node {
    /// Whether it cannot but be an object, or nil.
    pub(super) fn is_object(&self) -> bool {
        match self {
            Self::Construct(..) => true,
            Self::Variable(variable) => variable.is_object(),
            _ => false,
        }
    }
}

impl Item {
    fn is_true(&self) -> bool {
        !matches!(self, Self::Value(Value::Nil | Value::Boolean(false)))
    }
}

/// The length of a table's row of entries that begins at 1. Positions come first and in order, but where some are nil.
fn border(table: &Value) -> usize {
    let Value::Table(entries) = table else { return 0 };
    let number = |(key, _): &(Value, Value)| if let Value::Number(number) = key { Some(*number) } else { None };
    let mut keys: Vec<f64> = entries.iter().filter_map(number).collect();
    keys.sort_unstable_by(f64::total_cmp);
    let row = keys.iter().skip_while(|key| **key < 1.0).zip(1u32..);
    row.take_while(|&(key, at)| *key == f64::from(at)).count()
}

pub(super) fn binary(operator: Binary, left: &Value, right: &Value) -> Eval<Value> {
    let boolean = |holds| Ok(Value::Boolean(holds));
    match operator {
        Binary::Equal => return boolean(equal(left, right)),
        Binary::NotEqual => return boolean(!equal(left, right)),
        Binary::Less => return boolean(less(left, right, false)?),
        Binary::LessEqual => return boolean(less(left, right, true)?),
        Binary::Greater => return boolean(less(right, left, false)?),
        Binary::GreaterEqual => return boolean(less(right, left, true)?),
        _ => {}
    }
    let (left, right) = (number(left)?, number(right)?);
    Ok(Value::Number(match operator {
        Binary::Add => left + right,
        Binary::Subtract => left - right,
        Binary::Multiply => left * right,
        Binary::Divide => left / right,
        _ => left - (left / right).floor() * right, // the manual's definition of `%`
    }))
}

/// As Lua compares: tables are equal only to themselves, which no two values here are.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Table(left), Value::Table(right)) => std::sync::Arc::ptr_eq(left, right),
        (Value::Object(left), Value::Object(right)) => left.equality(right).unwrap_or(false),
        _ => left == right,
    }
}

fn less(left: &Value, right: &Value, or_equal: bool) -> Eval<bool> {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Object(ours), Value::Object(theirs)) => Some(ours.order(theirs).ok_or_else(|| incomparable(left, right))?),
        _ => return Err(incomparable(left, right)),
    };
    Ok(order.is_some_and(|order| order.is_lt() || or_equal && order.is_eq()))
}

fn incomparable(left: &Value, right: &Value) -> Failure {
    Failure::raised(format!("attempt to compare {} with {}", left.kind(), right.kind()))
}

/// An operand of arithmetic: a number, or a string that spells one.
fn number(value: &Value) -> Eval<f64> {
    value.as_number().ok_or_else(|| Failure::raised(format!("attempt to perform arithmetic on {}", value.kind())))
}

impl Test {
    /// Whether it holds, and for which clients that is the same.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> (bool, Reach) {
        match self {
            Self::Netmask(networks) => {
                let found = networks.find(facts.client);
                (found.value.is_some(), Reach::network(found.scope))
            }
            Self::Place { attribute, values } => {
                let holds = |place: &crate::geo::Place| {
                    values.iter().any(|value| place.is(*attribute, value) || (&**value == UNKNOWN && !place.knows(*attribute)))
                };
                (holds(facts.places.find(facts.client)), facts.reach(holds))
            }
        }
    }
}
