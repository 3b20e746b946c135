//! QType: a record type. A text that names none is type 0.

use super::methods;
use crate::program::value::{Misuse, Value, arguments};
use crate::wire::RecordType;

methods! {
    RecordType,
    gives {
        "getCode" => |qtype| Value::Number(qtype.0.into()),
        "getName" => |qtype| Value::text(qtype.to_string()),
    }
    reads {}
    changes {}
}

/// `newQType(text)`.
pub(super) fn construct(values: &[Value]) -> Result<Value, Misuse> {
    let [argument] = arguments("newQType", 1, values)?;
    Ok(read(&argument.text()?).unwrap_or(RecordType(0)).into())
}

/// A mnemonic or `TYPEnnn`, in any case.
pub(super) fn read(text: &[u8]) -> Option<RecordType> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn types_answer_as_in_powerdns() {
        for (text, code, name) in [
            ("A", 1, "A"),
            ("a", 1, "A"),
            ("HTTPS", 65, "HTTPS"),
            ("TYPE65", 65, "HTTPS"),
            ("type999", 999, "TYPE999"),
            ("LUA", 65402, "LUA"),
            ("TYPE65402", 65402, "LUA"),
            ("ANY", 255, "ANY"),
            ("28", 0, "TYPE0"),
            ("bogus", 0, "TYPE0"),
            ("", 0, "TYPE0"),
            ("TYPE", 0, "TYPE0"),
        ] {
            let made = make("newQType", [text.into()]);
            assert_eq!(made.clone().call("getCode", []), number(code), "{text}");
            assert_eq!(made.clone().call("getName", []), Value::text(name), "{text}");
            assert_eq!(made.to_text(), name);
        }
        let [a, also, other] = ["A", "a", "AAAA"].map(|text| make("newQType", [text.into()]).0);
        assert_eq!((a.equality(&also), a.equality(&other)), (Some(true), Some(false)));
        assert_eq!(a.order(&other), None);
    }
}
