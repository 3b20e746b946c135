//! What record programs compute with, and how native functions read their arguments.
//!
//! Both tiers call the same native functions over one [`Value`], so a conversion is decided once, here. The rules are
//! PowerDNS's: a number is a text, a boolean is not; numeric text is an integer, whose fraction is cut off; one bad element
//! rejects its whole list; `nil` at the end is the same as nothing.
//!
//! Never here: what a function does with its arguments.

use std::borrow::Cow;
use std::collections::{HashMap, hash_map};
use std::fmt;
use std::sync::Arc;

use super::meter::{self, Meter};
use super::number;
use super::object::{Kind, Object};

/// Deepest nesting of tables that a call takes.
pub(super) const DEPTH_MAX: usize = 8;
/// Most entries of the tables in one argument.
const ENTRIES_MAX: usize = 16_384;
/// Most octets of the texts in it.
const OCTETS_MAX: usize = 256 * 1024;

/// What an argument may still hold when it is copied. A table or a text may stand in many places of it.
pub(super) struct Room {
    entries: usize,
    octets: usize,
    taken: (usize, usize),
}

impl Room {
    /// Room for one argument.
    pub(super) const fn new() -> Self {
        Self { entries: ENTRIES_MAX, octets: OCTETS_MAX, taken: (0, 0) }
    }

    /// Room for the arguments of a call that are worth being kept.
    pub(super) const fn small() -> Self {
        Self { entries: 256, octets: 4096, taken: (0, 0) }
    }

    /// Takes room for entries of a table; `None`: there is none.
    pub(super) fn entries(&mut self, count: usize) -> Option<()> {
        self.entries = self.entries.checked_sub(count)?;
        self.taken.0 += count;
        Some(())
    }

    /// Takes room for a text.
    pub(super) fn text(&mut self, text: &[u8]) -> Option<()> {
        self.octets = self.octets.checked_sub(text.len())?;
        self.taken.1 += text.len();
        Some(())
    }

    /// Charges for what was taken.
    pub(super) fn charge(&self, meter: &Meter) -> Result<(), meter::Limit> {
        meter.charge_elements(self.taken.0 as u64)?;
        meter.charge_octets(self.taken.1)
    }
}

/// A value of a record program.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Nil,
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A string: arbitrary octets.
    Text(Arc<[u8]>),
    /// A table: its entries in the order of Lua's `next`.
    Table(Arc<[(Self, Self)]>),
    /// One of PowerDNS's objects.
    Object(Object),
}

impl Value {
    /// A string.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// A table with the keys 1, 2, 3 and so on.
    pub fn list(values: impl IntoIterator<Item = Self>) -> Self {
        Self::Table((1u32..).map(|key| Self::Number(key.into())).zip(values).collect())
    }

    /// A table of fields with or without a key, which is then the next of 1, 2, 3 and so on. Of fields with one key the last
    /// counts, as in Luau, and in LuaJIT where they are constant; what is nil is not there; numbers come first and rise. `None`: a
    /// key is nil or no number, which Lua refuses.
    pub(super) fn table(fields: Vec<(Option<Self>, Self)>) -> Option<Self> {
        let keyed = fields.iter().any(|(key, _)| key.is_some());
        let mut positions = (1u32..).map(|at| Self::Number(at.into()));
        let mut entries: Vec<(Self, Self)> = Vec::with_capacity(fields.len());
        let mut places: HashMap<Key, usize> = HashMap::new();
        for (key, value) in fields {
            let entry = (key.or_else(|| positions.next())?, value);
            if keyed && !matches!(entry.0, Self::Object(_)) {
                match places.entry(Key::of(&entry.0)?) {
                    hash_map::Entry::Occupied(at) => {
                        entries[*at.get()] = entry;
                        continue;
                    }
                    hash_map::Entry::Vacant(free) => _ = free.insert(entries.len()),
                }
            }
            entries.push(entry);
        }
        entries.retain(|(_, value)| *value != Self::Nil);
        if keyed {
            let rank = |key: &Self| if let Self::Number(number) = key { *number } else { f64::INFINITY };
            entries.sort_by(|(left, _), (right, _)| rank(left).total_cmp(&rank(right)));
        }
        Some(Self::Table(entries.into()))
    }

    /// How deep its tables are nested. Only for what is known to be small: tables that are in several places are counted in
    /// each.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Table(entries) => entries.iter().map(|(_, value)| value.depth()).max().unwrap_or(0) + 1,
            _ => 0,
        }
    }

    /// Whether Lua takes the two for one key.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Table(ours), Self::Table(theirs)) => Arc::ptr_eq(ours, theirs),
            (Self::Object(_), Self::Object(_)) => false,
            _ => self == other,
        }
    }

    /// What a message calls it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Table(_) => "a table",
            Self::Object(object) => object.kind(),
        }
    }

    /// The octets of a string, or of the text that Lua makes of a number.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Number(number) => Some(Cow::Owned(number::to_text(*number).into_bytes())),
            _ => None,
        }
    }

    /// The same, to be kept.
    pub(super) fn to_shared(&self) -> Option<Arc<[u8]>> {
        match self {
            Self::Text(text) => Some(Arc::clone(text)),
            other => Some(other.as_text()?.as_ref().into()),
        }
    }

    /// The number that it is or spells.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => number::from_text(str::from_utf8(text).ok()?),
            _ => None,
        }
    }

    /// The integer that is left of the number without its fraction, where 64 bits hold it.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        const END: f64 = 9_223_372_036_854_775_808.0;
        self.as_number().map(f64::trunc).filter(|whole| (-END..END).contains(whole)).map(|whole| whole as i64)
    }
}

/// A key of a table.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Boolean(bool),
    Number(u64),
    Text(Arc<[u8]>),
    /// The identity of a table.
    Table(usize),
}

impl Key {
    /// `None` where Lua allows no such key; objects, of which no two are one, have none either.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Nil | Value::Object(_) => None,
            Value::Boolean(value) => Some(Self::Boolean(*value)),
            Value::Number(number) if number.is_nan() => None,
            Value::Number(number) => Some(Self::Number((number + 0.0).to_bits())), // -0 is 0
            Value::Text(text) => Some(Self::Text(Arc::clone(text))),
            Value::Table(entries) => Some(Self::Table(entries.as_ptr().addr())),
        }
    }
}

/// A call that does not fit its function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// Fewer arguments than the function needs.
    #[error("{function} needs {needed} arguments or more, and got {got}")]
    TooFew {
        /// The function.
        function: &'static str,
        /// The fewest it takes.
        needed: usize,
        /// How many there were.
        got: usize,
    },
    /// More arguments than the function takes.
    #[error("{function} takes {most} arguments at most, and got {got}")]
    TooMany {
        /// The function.
        function: &'static str,
        /// The most it takes.
        most: usize,
        /// How many there were.
        got: usize,
    },
    /// An argument of another kind.
    #[error("{place} must be {wanted}, and is {got}")]
    Kind {
        /// Which argument.
        place: Place,
        /// What the function takes there.
        wanted: &'static str,
        /// What there was.
        got: &'static str,
    },
    /// A number beyond what the function takes.
    #[error("{place} is out of range: {got}")]
    Range {
        /// Which argument.
        place: Place,
        /// The number.
        got: String,
    },
    /// A text or a number that stands for nothing.
    #[error("{place} is no {wanted}: '{got}'")]
    Content {
        /// Which argument.
        place: Place,
        /// What it should spell.
        wanted: &'static str,
        /// What there was.
        got: String,
    },
    /// A method that is called on something else than its kind of object.
    #[error("{function} must be called on {wanted}, and is called on {got}")]
    Receiver {
        /// The method.
        function: &'static str,
        /// The kind that has the method.
        wanted: &'static str,
        /// What there was.
        got: &'static str,
    },
    /// A method that its object does not bear.
    #[error("{function} needs {wanted}, and is called on {got}")]
    State {
        /// The method.
        function: &'static str,
        /// What the object should be.
        wanted: &'static str,
        /// What it is.
        got: String,
    },
    /// A field that the object does not have.
    #[error("{kind} has no field '{name}' to set")]
    Field {
        /// The kind of the object.
        kind: &'static str,
        /// The field.
        name: String,
    },
}

/// Where an argument stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    function: &'static str,
    number: usize,
    element: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(element) = self.element {
            write!(f, "element {element} of ")?;
        }
        write!(f, "argument {} of {}", self.number, self.function)
    }
}

/// One argument, or one element of a list that is an argument.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'a> {
    place: Place,
    value: &'a Value,
}

/// One entry of a table with strings as keys.
pub type Entry<'a> = (Cow<'a, [u8]>, Argument<'a>);

/// The `N` arguments that `function` takes, the first `needed` of which it needs; those left out are nil.
///
/// # Errors
/// [`Misuse::TooFew`] and [`Misuse::TooMany`].
pub fn arguments<'a, const N: usize>(
    function: &'static str,
    needed: usize,
    values: &'a [Value],
) -> Result<[Argument<'a>; N], Misuse> {
    let got = values.len();
    if got < needed {
        return Err(Misuse::TooFew { function, needed, got });
    }
    if got > N {
        return Err(Misuse::TooMany { function, most: N, got });
    }
    Ok(std::array::from_fn(|index| Argument {
        place: Place { function, number: index + 1, element: None },
        value: values.get(index).unwrap_or(&Value::Nil),
    }))
}

impl<'a> Argument<'a> {
    /// The only argument of `function`.
    #[must_use]
    pub const fn alone(function: &'static str, value: &'a Value) -> Self {
        Self { place: Place { function, number: 1, element: None }, value }
    }

    /// The value as it came.
    #[must_use]
    pub const fn value(self) -> &'a Value {
        self.value
    }

    /// The argument unless it is nil or was left out.
    #[must_use]
    pub fn given(self) -> Option<Self> {
        (*self.value != Value::Nil).then_some(self)
    }

    /// A string or a number.
    ///
    /// # Errors
    /// [`Misuse::Kind`].
    pub fn text(self) -> Result<Cow<'a, [u8]>, Misuse> {
        self.value.as_text().ok_or_else(|| self.misfit("a string"))
    }

    /// A number, or a string that spells one.
    ///
    /// # Errors
    /// [`Misuse::Kind`].
    pub fn number(self) -> Result<f64, Misuse> {
        self.value.as_number().ok_or_else(|| self.misfit("a number"))
    }

    /// A number, or a string that spells one, without its fraction.
    ///
    /// # Errors
    /// [`Misuse::Kind`]; [`Misuse::Range`] where `T` does not hold it.
    pub fn integer<T: TryFrom<i64>>(self) -> Result<T, Misuse> {
        let number = self.number()?;
        let fits = self.value.as_integer().and_then(|integer| T::try_from(integer).ok());
        fits.ok_or_else(|| Misuse::Range { place: self.place, got: number::to_text(number) })
    }

    /// A number without its fraction; one that 64 bits do not hold is the nearest that they do.
    ///
    /// # Errors
    /// [`Misuse::Kind`].
    pub fn place(self) -> Result<i64, Misuse> {
        Ok(self.number()? as i64)
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`Misuse::Kind`].
    pub fn boolean(self) -> Result<bool, Misuse> {
        match self.value {
            Value::Boolean(boolean) => Ok(*boolean),
            _ => Err(self.misfit("a boolean")),
        }
    }

    /// The values of a table whose keys are integers, in the table's order.
    ///
    /// # Errors
    /// [`Misuse::Kind`].
    pub fn list(self) -> Result<Vec<Self>, Misuse> {
        let Value::Table(entries) = self.value else { return Err(self.misfit("a list")) };
        let elements = entries.iter().enumerate().map(|(index, (key, value))| {
            key.as_integer()?;
            Some(Self { place: Place { element: Some(index + 1), ..self.place }, value })
        });
        elements.collect::<Option<_>>().ok_or_else(|| self.misfit("a list"))
    }

    /// The strings of a list.
    ///
    /// # Errors
    /// [`Misuse::Kind`].
    pub fn texts(self) -> Result<Vec<Cow<'a, [u8]>>, Misuse> {
        self.list()?.into_iter().map(Self::text).collect()
    }

    /// The entries of a table whose keys are strings, in the table's order.
    ///
    /// # Errors
    /// [`Misuse::Kind`].
    pub fn map(self) -> Result<Vec<Entry<'a>>, Misuse> {
        let wanted = "a table with strings as keys";
        let Value::Table(entries) = self.value else { return Err(self.misfit(wanted)) };
        let entries = entries.iter().enumerate().map(|(index, (key, value))| {
            Some((key.as_text()?, Self { place: Place { element: Some(index + 1), ..self.place }, value }))
        });
        entries.collect::<Option<_>>().ok_or_else(|| self.misfit(wanted))
    }

    /// An object of one kind.
    ///
    /// # Errors
    /// [`Misuse::Kind`].
    pub fn object<K: Kind>(self) -> Result<&'a K, Misuse> {
        match self.value {
            Value::Object(object) => K::of(object).ok_or_else(|| self.misfit(K::NAME)),
            _ => Err(self.misfit(K::NAME)),
        }
    }

    /// The error that it is of another kind.
    #[must_use]
    pub const fn misfit(self, wanted: &'static str) -> Misuse {
        Misuse::Kind { place: self.place, wanted, got: self.value.kind() }
    }

    /// The error that it spells nothing of what is wanted.
    #[must_use]
    pub fn senseless(self, wanted: &'static str) -> Misuse {
        match self.value {
            Value::Object(object) => self.nonsense(wanted, &object.to_text().unwrap_or_default()),
            value => self.nonsense(wanted, &value.as_text().unwrap_or_default()),
        }
    }

    /// The error that a text in it spells nothing of what is wanted.
    #[must_use]
    pub fn nonsense(self, wanted: &'static str, text: &[u8]) -> Misuse {
        Misuse::Content { place: self.place, wanted, got: text.escape_ascii().to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &Value) -> Argument<'_> {
        let [argument] = arguments("f", 1, std::slice::from_ref(value)).unwrap();
        argument
    }

    fn table<const N: usize>(entries: [(Value, Value); N]) -> Value {
        Value::Table(entries.into())
    }

    #[test]
    fn arguments_are_counted() {
        let values = [Value::Number(1.0), Value::Nil, Value::Nil];
        let [first, second] = arguments("f", 1, &values[..1]).unwrap();
        assert!(first.given().is_some() && second.given().is_none());
        assert!(arguments::<2>("f", 1, &values[..2]).unwrap()[1].given().is_none());
        let error = arguments::<2>("f", 1, &[]).unwrap_err();
        assert_eq!(error.to_string(), "f needs 1 arguments or more, and got 0");
        let error = arguments::<2>("f", 1, &values).unwrap_err();
        assert_eq!(error.to_string(), "f takes 2 arguments at most, and got 3");
    }

    #[test]
    fn a_number_is_a_text_and_a_boolean_is_not() {
        assert_eq!(one(&Value::Number(1.5)).text().unwrap(), &b"1.5"[..]);
        assert_eq!(one(&Value::Number(1e15)).text().unwrap(), &b"1e+15"[..]);
        assert_eq!(one(&Value::text(b"\xff")).text().unwrap(), &b"\xff"[..]);
        let error = one(&Value::Boolean(true)).text().unwrap_err();
        assert_eq!(error.to_string(), "argument 1 of f must be a string, and is a boolean");
        assert!(one(&Value::Nil).text().is_err());
        assert!(one(&Value::Number(1.0)).boolean().is_err());
    }

    #[test]
    fn an_integer_loses_its_fraction_and_keeps_its_range() {
        for (value, wanted) in [
            (Value::Number(1.9), Some(1)),
            (Value::Number(-1.9), Some(-1)),
            (Value::text(" 0x10 "), Some(16)),
            (Value::text("12.7"), Some(12)),
            (Value::text("x"), None),
            (Value::Number(f64::NAN), None),
            (Value::Number(1e300), None),
            (Value::Boolean(true), None),
        ] {
            assert_eq!(one(&value).integer::<i64>().ok(), wanted, "{value:?}");
        }
        assert_eq!(one(&Value::Number(255.0)).integer::<u8>(), Ok(255));
        let error = one(&Value::Number(256.0)).integer::<u8>().unwrap_err();
        assert_eq!(error.to_string(), "argument 1 of f is out of range: 256");
        assert_eq!(Value::Number(-9_223_372_036_854_775_808.0).as_integer(), Some(i64::MIN));
        assert_eq!(Value::Number(9_223_372_036_854_775_808.0).as_integer(), None);
    }

    #[test]
    fn one_bad_element_rejects_its_list() {
        let good = table([(Value::Number(5.0), Value::text("a")), (Value::text("9"), Value::Number(2.0))]);
        assert_eq!(one(&good).texts().unwrap(), [&b"a"[..], b"2"]);
        let bad = Value::list([Value::text("a"), Value::Boolean(true)]);
        let error = one(&bad).texts().unwrap_err();
        assert_eq!(error.to_string(), "element 2 of argument 1 of f must be a string, and is a boolean");
        let keyed = table([(Value::text("a"), Value::text("b"))]);
        assert_eq!(one(&keyed).texts().unwrap_err().to_string(), "argument 1 of f must be a list, and is a table");
        assert!(one(&Value::text("a")).texts().is_err());
        assert!(one(&Value::list([])).texts().unwrap().is_empty());
    }

    #[test]
    fn a_map_has_strings_as_keys() {
        let map = table([(Value::text("a"), Value::Number(2.0)), (Value::Number(7.0), Value::Nil)]);
        let read = one(&map).map().unwrap();
        assert_eq!(read[0].0, &b"a"[..]);
        assert_eq!(read[0].1.integer::<i32>(), Ok(2));
        assert_eq!(read[1].0, &b"7"[..]);
        assert!(one(&table([(Value::Boolean(true), Value::Nil)])).map().is_err());
        assert!(one(&Value::Nil).map().is_err());
    }
}
