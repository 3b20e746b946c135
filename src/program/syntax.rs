//! The syntax tree of a program: all of Lua 5.1.
//!
//! Operators of one level stand in one [`Kind::Chain`], however many there are, so that the depth of a tree is bounded by
//! [`NESTING_MAX`](super::NESTING_MAX) and whatever walks it may recurse.

/// An expression and where it begins (an operator in front: where it stands).
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
    /// `...`
    Variadic,
    Variable(String),
    Table(Vec<Field>),
    Call {
        callee: Box<Expr>,
        arguments: Vec<Expr>,
    },
    /// `object:name(arguments)`
    Method {
        object: Box<Expr>,
        name: String,
        arguments: Vec<Expr>,
    },
    /// `object[key]`, `object.key`
    Index {
        object: Box<Expr>,
        key: Box<Expr>,
    },
    Unary(Unary, Box<Expr>),
    /// Operators of one level, from the left (`..`: all at once).
    Chain(Box<Expr>, Vec<Link>),
    /// `base ^ exponent`
    Power(Box<Expr>, Box<Expr>),
    Function(Box<Function>),
    /// Parentheses: of several values the first.
    Parentheses(Box<Expr>),
}

/// An operator and what stands to its right.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link {
    /// Where the operator stands.
    pub(super) offset: usize,
    pub(super) operator: Binary,
    pub(super) right: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Negate,
    Not,
    Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    NotEqual,
    Equal,
    Concat,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Unary {
    /// As it is written, ready to stand in front of an operand.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Negate => "-",
            Self::Not => "not ",
            Self::Length => "#",
        }
    }
}

impl Binary {
    /// By level, loosest first.
    pub(super) const LEVELS: [&'static [Self]; 6] = [
        &[Self::Or],
        &[Self::And],
        &[Self::Less, Self::Greater, Self::LessEqual, Self::GreaterEqual, Self::NotEqual, Self::Equal],
        &[Self::Concat],
        &[Self::Add, Self::Subtract],
        &[Self::Multiply, Self::Divide, Self::Modulo],
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessEqual => "<=",
            Self::GreaterEqual => ">=",
            Self::NotEqual => "~=",
            Self::Equal => "==",
            Self::Concat => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

/// A table constructor's field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// `None`: the next position.
    pub(super) key: Option<Expr>,
    pub(super) value: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Function {
    pub(super) parameters: Vec<String>,
    pub(super) variadic: bool,
    pub(super) body: Block,
}

/// Statements in order.
pub(super) type Block = Vec<Statement>;

/// A statement and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) offset: usize,
    pub(super) action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Local {
        names: Vec<String>,
        values: Vec<Expr>,
    },
    LocalFunction {
        name: String,
        function: Function,
    },
    Assign {
        targets: Vec<Expr>,
        values: Vec<Expr>,
    },
    Call(Expr),
    Do(Block),
    While {
        condition: Expr,
        body: Block,
    },
    Repeat {
        body: Block,
        condition: Expr,
    },
    /// Conditions in order, and what is done where none holds.
    If {
        arms: Vec<(Expr, Block)>,
        otherwise: Option<Block>,
    },
    For {
        name: String,
        range: Vec<Expr>,
        body: Block,
    },
    ForIn {
        names: Vec<String>,
        values: Vec<Expr>,
        body: Block,
    },
    Return(Vec<Expr>),
    Break,
}

impl Expr {
    /// What stands inside any parentheses.
    pub(super) fn inner(&self) -> &Self {
        match &self.kind {
            Kind::Parentheses(inner) => inner.inner(),
            _ => self,
        }
    }
}
