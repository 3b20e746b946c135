//! Objects as tests make and ask them: by the names that programs use.

pub(super) use super::super::value::Value;
use super::{Object, constructor};

/// An object under test.
#[derive(Clone)]
pub(super) struct Made(pub(super) Object);

pub(super) fn make<const N: usize>(name: &str, values: [Value; N]) -> Made {
    match (constructor(name.as_bytes()).expect(name).call)(&values) {
        Ok(Value::Object(object)) => Made(object),
        other => panic!("{name} gave {other:?}"),
    }
}

/// The message with which a constructor refuses its arguments.
pub(super) fn refused<const N: usize>(name: &str, values: [Value; N]) -> String {
    (constructor(name.as_bytes()).expect(name).call)(&values).unwrap_err().to_string()
}

impl Made {
    pub(super) fn value(self) -> Value {
        Value::Object(self.0)
    }

    pub(super) fn to_text(&self) -> String {
        String::from_utf8(self.0.to_text().expect("a text")).unwrap()
    }

    /// What a method gives that leaves the object as it is.
    pub(super) fn call<const N: usize>(mut self, method: &str, values: [Value; N]) -> Value {
        let before = self.0.clone();
        let given = self.change(method, values);
        assert_eq!(self.0, before, "{method} changed its object");
        given
    }

    /// What a method gives that may change the object.
    pub(super) fn change<const N: usize>(&mut self, method: &str, values: [Value; N]) -> Value {
        self.0.method(method.as_bytes()).expect(method).call(&mut self.0, &values).unwrap()
    }

    /// The message with which a method refuses its arguments.
    pub(super) fn refuses<const N: usize>(&mut self, method: &str, values: [Value; N]) -> String {
        self.0.method(method.as_bytes()).expect(method).call(&mut self.0, &values).unwrap_err().to_string()
    }
}

pub(super) fn text(text: &str) -> Value {
    Value::text(text)
}

pub(super) fn number(number: u32) -> Value {
    Value::Number(number.into())
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}
