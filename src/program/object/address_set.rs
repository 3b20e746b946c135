//! ComboAddressSet: a set of addresses. Ports do not count.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::address::{Address, read};
use super::methods;
use crate::program::value::{Argument, Misuse, Value, arguments};

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet(BTreeSet<IpAddr>);

methods! {
    AddressSet,
    gives {}
    reads {
        "check" => check,
    }
    changes {
        "add" => add,
    }
}

/// `newCAS()`.
pub(super) fn construct(values: &[Value]) -> Result<Value, Misuse> {
    let [] = arguments("newCAS", 0, values)?;
    Ok(AddressSet::default().into())
}

/// Adds an address, a text or a list of texts. A text that is no address is passed over.
fn add(own: &mut AddressSet, values: &[Value]) -> Result<Value, Misuse> {
    let [argument] = arguments("add", 1, values)?;
    match argument.value() {
        Value::Object(_) => own.0.extend([argument.object::<Address>()?.ip]),
        Value::Table(_) => own.0.extend(addresses(&argument.list()?)?),
        _ => own.0.extend(addresses(&[argument])?),
    }
    Ok(Value::Nil)
}

/// The addresses among texts; anything but texts is an error.
fn addresses(texts: &[Argument<'_>]) -> Result<Vec<IpAddr>, Misuse> {
    texts.iter().try_for_each(|text| text.text().map(drop))?;
    Ok(texts.iter().filter_map(|&text| read(text).ok()).map(|address| address.ip).collect())
}

fn check(own: &AddressSet, values: &[Value]) -> Result<Value, Misuse> {
    let [address] = arguments("check", 1, values)?;
    Ok(Value::Boolean(own.0.contains(&address.object::<Address>()?.ip)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn holds(set: &Made, text: &str) -> bool {
        set.clone().call("check", [make("newCA", [text.into()]).value()]) == Value::Boolean(true)
    }

    /// What PowerDNS 4.7.3 gives, except that it raises for a text that is no address; later versions pass it over.
    #[test]
    fn sets_answer_as_in_powerdns() {
        let mut set = make("newCAS", []);
        assert!(!holds(&set, "1.2.3.4"));
        assert_eq!(set.change("add", ["1.2.3.4:5".into()]), Value::Nil);
        assert!(holds(&set, "1.2.3.4") && holds(&set, "1.2.3.4:7"));
        assert!(!holds(&set, "1.2.3.5") && !holds(&set, "::ffff:1.2.3.4"));
        set.change("add", [Value::list(["1.2.3.5".into(), "x".into(), "::1".into()])]);
        assert!(holds(&set, "1.2.3.5") && holds(&set, "::1"));
        set.change("add", [make("newCA", ["1.2.3.6:7".into()]).value()]);
        set.change("add", [number(1)]);
        assert!(holds(&set, "1.2.3.6") && holds(&set, "0.0.0.1"));
        set.change("add", ["x".into()]);
        let keyed = Value::Table([("a".into(), "1.2.3.7".into())].into());
        let nested = Value::list([make("newCA", ["1.2.3.7".into()]).value()]);
        for bad in
            [Value::list(["1.2.3.7".into(), Value::Boolean(true)]), keyed, nested, Value::Boolean(true), set.clone().value()]
        {
            assert!(set.refuses("add", [bad]).contains("must be"));
        }
        assert!(!holds(&set, "1.2.3.7"), "a list that is refused adds nothing");
        assert!(set.refuses("check", ["1.2.3.4".into()]).contains("must be a ComboAddress"));
        assert_eq!(refused("newCAS", [number(1)]), "newCAS takes 0 arguments at most, and got 1");
    }
}
