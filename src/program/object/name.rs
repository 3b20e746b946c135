//! DNSName: a domain name.

use super::methods;
use crate::program::value::{Misuse, Value, arguments};
use crate::wire::{Name, NameError, NameRef};

methods! {
    Name,
    gives {
        "toString" => |name| Value::text(text(name.as_ref())),
        "toStringNoDot" => |name| Value::text(without_dot(name.as_ref())),
        "countLabels" => |name| Value::Number(name.as_ref().label_count() as f64),
        "wireLength" => |name| Value::Number(name.as_ref().len() as f64),
        "wirelength" => |name| Value::Number(name.as_ref().len() as f64),
        "getRawLabels" => |name| Value::list(name.as_ref().labels().map(Value::text)),
    }
    reads {
        "isPartOf" => is_part_of,
        "makeRelative" => make_relative,
        "canonCompare" => canon_compare,
        "equal" => equal,
    }
    changes {
        "chopOff" => chop_off,
    }
}

/// `newDN(text)`.
pub(super) fn construct(values: &[Value]) -> Result<Value, Misuse> {
    let [argument] = arguments("newDN", 1, values)?;
    let name = read(&argument.text()?).map_err(|_| argument.senseless("domain name"))?;
    Ok(name.into())
}

/// Reads a name as absolute, with or without a dot at the end. Nothing is the root.
fn read(text: &[u8]) -> Result<Name, NameError> {
    match text {
        b"" => Ok(NameRef::ROOT.to_name()),
        b"@" => Name::child(text, NameRef::ROOT),
        _ => Name::from_text(text, Some(NameRef::ROOT)),
    }
}

/// Presentation form with the escapes that PowerDNS writes: dots and backslashes inside labels, and all octets that do
/// not print.
pub(super) fn text(name: NameRef<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len() + 1);
    for label in name.labels() {
        for &octet in label {
            match octet {
                b'.' | b'\\' => text.extend([b'\\', octet]),
                0x21..=0x7E => text.push(octet),
                _ => text.extend(format!("\\{octet:03}").bytes()),
            }
        }
        text.push(b'.');
    }
    if text.is_empty() { vec![b'.'] } else { text }
}

fn without_dot(name: NameRef<'_>) -> Vec<u8> {
    let mut text = text(name);
    text.pop();
    text
}

fn is_part_of(name: &Name, values: &[Value]) -> Result<Value, Misuse> {
    let [other] = arguments("isPartOf", 1, values)?;
    Ok(Value::Boolean(name.as_ref().is_within(other.object::<Name>()?.as_ref())))
}

/// The labels in front of the other name, which must end this one.
fn make_relative(name: &Name, values: &[Value]) -> Result<Value, Misuse> {
    let [argument] = arguments("makeRelative", 1, values)?;
    let (name, parent) = (name.as_ref(), argument.object::<Name>()?.as_ref());
    if !name.is_within(parent) {
        return Err(argument.senseless("parent of the name"));
    }
    let wire = [&name.as_wire()[..name.len() - parent.len()], &[0]].concat();
    let relative = NameRef::parse(&wire).map_err(|_| argument.senseless("parent of the name"))?;
    Ok(relative.to_name().into())
}

/// Whether the name comes before the other in canonical order.
fn canon_compare(name: &Name, values: &[Value]) -> Result<Value, Misuse> {
    let [other] = arguments("canonCompare", 1, values)?;
    Ok(Value::Boolean(name < other.object::<Name>()?))
}

fn equal(name: &Name, values: &[Value]) -> Result<Value, Misuse> {
    let [argument] = arguments("equal", 1, values)?;
    let other = read(&argument.text()?).map_err(|_| argument.senseless("domain name"))?;
    Ok(Value::Boolean(*name == other))
}

/// Takes the leftmost label off; whether there was one.
fn chop_off(name: &mut Name, values: &[Value]) -> Result<Value, Misuse> {
    let [] = arguments("chopOff", 0, values)?;
    let parent = name.as_ref().parent().map(NameRef::to_name);
    let chopped = parent.is_some();
    if let Some(parent) = parent {
        *name = parent;
    }
    Ok(Value::Boolean(chopped))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::*;
    use super::{read, text as written};

    proptest! {
        #[test]
        fn any_name_is_read_as_it_is_written(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(name) = read(&octets) {
                prop_assert_eq!(read(&written(name.as_ref())), Ok(name));
            }
        }
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn names_answer_as_in_powerdns() {
        for (text, written) in [
            ("www.Example.com", "www.Example.com."),
            ("www.Example.com.", "www.Example.com."),
            (".", "."),
            ("", "."),
            (r"a\.b.c", r"a\.b.c."),
            (r"a\065b.c", "aAb.c."),
            ("a@b$c(d)e;f,g h.c", r"a@b$c(d)e;f,g\032h.c."),
            ("a\tb\u{7F}\".c", r#"a\009b\127".c."#),
            ("a  b", r"a\032\032b."),
            ("*.a", "*.a."),
            ("@", "@."),
        ] {
            assert_eq!(make("newDN", [text.into()]).to_text(), written, "{text}");
        }
        let name = || make("newDN", ["www.Example.com".into()]);
        assert_eq!(name().call("toString", []), text("www.Example.com."));
        assert_eq!(name().call("toStringNoDot", []), text("www.Example.com"));
        assert_eq!(name().call("countLabels", []), number(3));
        assert_eq!(name().call("wireLength", []), number(17));
        assert_eq!(name().call("wirelength", []), number(17));
        assert_eq!(name().call("getRawLabels", []), Value::list(["www", "Example", "com"].map(Value::text)));
        let root = || make("newDN", [".".into()]);
        assert_eq!(root().call("toString", []), text("."));
        assert_eq!(root().call("toStringNoDot", []), text(""));
        assert_eq!(root().call("countLabels", []), number(0));
        assert_eq!(root().call("wireLength", []), number(1));
        assert_eq!(root().call("getRawLabels", []), Value::list([]));
        assert_eq!(make("newDN", [number(12)]).to_text(), "12.");
        assert_eq!(make("newDN", [r"a\.b.c".into()]).call("getRawLabels", []), Value::list(["a.b", "c"].map(Value::text)));
    }

    #[test]
    fn bad_names_are_errors() {
        let (label, name) = ("a".repeat(64), "a.".repeat(128));
        for text in ["a..b", ".a", "a\\", r"a\25", r"a\2x5", r"a\256", &label, &name] {
            let error = refused("newDN", [text.into()]);
            assert_eq!(error, format!("argument 1 of newDN is no domain name: '{}'", text.escape_debug()), "{text}");
        }
        assert_eq!(refused("newDN", [Value::Boolean(true)]), "argument 1 of newDN must be a string, and is a boolean");
        assert_eq!(refused("newDN", []), "newDN needs 1 arguments or more, and got 0");
        assert_eq!(refused("newDN", ["a".into(), "b".into()]), "newDN takes 1 arguments at most, and got 2");
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn names_compare_as_in_powerdns() {
        let name = |text: &str| make("newDN", [text.into()]);
        for (ours, method, theirs, wanted) in [
            ("www.example.com", "isPartOf", "EXAMPLE.com", true),
            ("www.example.com", "isPartOf", ".", true),
            (".", "isPartOf", ".", true),
            (".", "isPartOf", "com", false),
            ("wwwexample.com", "isPartOf", "example.com", false),
            ("example.com", "isPartOf", "example.com", true),
            ("a.example.com", "canonCompare", "b.example.com", true),
            ("b.example.com", "canonCompare", "a.example.com", false),
            ("a.example.com", "canonCompare", "A.example.com", false),
            ("z.a.com", "canonCompare", "b.com", true),
        ] {
            assert_eq!(name(ours).call(method, [name(theirs).value()]), Value::Boolean(wanted), "{ours} {method} {theirs}");
        }
        for (ours, theirs, wanted) in
            [("a.b", Value::text("A.B."), true), ("a.b", Value::text("A.C"), false), ("5", number(5), true)]
        {
            assert_eq!(name(ours).call("equal", [theirs]), Value::Boolean(wanted), "{ours}");
        }
        assert_eq!(name("a.b").refuses("equal", ["a..b".into()]), "argument 1 of equal is no domain name: 'a..b'");
        assert_eq!(name("a.b").0.equality(&name("A.B").0), Some(true));
        assert_eq!(name("a.b").0.equality(&name("a.c").0), Some(false));
        assert!(name("a.b").0.order(&name("a.c").0).is_some_and(std::cmp::Ordering::is_lt));
    }

    #[test]
    fn names_are_cut_as_in_powerdns() {
        let name = |text: &str| make("newDN", [text.into()]);
        for (whole, parent, relative) in
            [("www.example.com", "EXAMPLE.com", "www."), ("a.b", ".", "a.b."), ("example.com", "example.com", ".")]
        {
            let Value::Object(made) = name(whole).call("makeRelative", [name(parent).value()]) else { panic!("{whole}") };
            assert_eq!(Made(made).to_text(), relative);
        }
        let error = name("www.example.com").refuses("makeRelative", [name("example.net").value()]);
        assert_eq!(error, "argument 1 of makeRelative is no parent of the name: 'example.net.'");
        let error = name("a").refuses("makeRelative", ["com".into()]);
        assert_eq!(error, "argument 1 of makeRelative must be a DNSName, and is a string");

        let mut name = name("a.b");
        for (chopped, left) in [(true, "b."), (true, "."), (false, ".")] {
            assert_eq!(name.change("chopOff", []), Value::Boolean(chopped));
            assert_eq!(name.to_text(), left);
        }
    }
}
