//! NetmaskGroup: networks, each of which takes its addresses in or, written with `!`, out. The longest that holds an
//! address decides; of two with the same network, the later.

use std::net::IpAddr;

use super::address::Address;
use super::methods;
use super::netmask::Netmask;
use crate::program::value::{Argument, Misuse, Value, arguments};

/// Networks, and whether each takes its addresses in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetmaskGroup(Vec<(Netmask, bool)>);

methods! {
    NetmaskGroup,
    gives {}
    reads {
        "match" => matches,
    }
    changes {
        "addMask" => add_mask,
        "addMasks" => add_masks,
    }
}

/// `newNMG([texts])`.
pub(super) fn construct(values: &[Value]) -> Result<Value, Misuse> {
    let [masks] = arguments("newNMG", 0, values)?;
    let mut group = NetmaskGroup::default();
    for mask in masks.given().map_or(Ok(vec![]), Argument::list)? {
        group.add(mask)?;
    }
    Ok(group.into())
}

impl NetmaskGroup {
    /// Whether the group takes the address in.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let holding = self.0.iter().filter(|(netmask, _)| netmask.contains(address));
        holding.max_by_key(|(netmask, _)| netmask.length()).is_some_and(|&(_, taken)| taken)
    }

    fn add(&mut self, argument: Argument<'_>) -> Result<(), Misuse> {
        let text = argument.text()?;
        let (text, taken) = text.strip_prefix(b"!").map_or((&*text, true), |text| (text, false));
        let netmask = Netmask::read(text).ok_or_else(|| argument.senseless("network"))?;
        self.0.push((netmask, taken));
        Ok(())
    }
}

fn matches(own: &NetmaskGroup, values: &[Value]) -> Result<Value, Misuse> {
    let [address] = arguments("match", 1, values)?;
    Ok(Value::Boolean(own.contains(address.object::<Address>()?.ip)))
}

fn add_mask(own: &mut NetmaskGroup, values: &[Value]) -> Result<Value, Misuse> {
    let [mask] = arguments("addMask", 1, values)?;
    own.add(mask)?;
    Ok(Value::Nil)
}

/// Adds the networks of a list up to the first that is none, which is an error.
fn add_masks(own: &mut NetmaskGroup, values: &[Value]) -> Result<Value, Misuse> {
    let [masks] = arguments("addMasks", 1, values)?;
    masks.texts()?;
    masks.list()?.into_iter().try_for_each(|mask| own.add(mask))?;
    Ok(Value::Nil)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn group<const N: usize>(masks: [&str; N]) -> Made {
        make("newNMG", [Value::list(masks.map(Value::text))])
    }

    fn takes(group: &Made, address: &str) -> bool {
        group.clone().call("match", [make("newCA", [address.into()]).value()]) == Value::Boolean(true)
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn the_longest_match_decides() {
        for (masks, address, wanted) in [
            (&["10.0.0.0/8"][..], "10.2.3.4:5", true),
            (&["10.0.0.0/8"], "11.2.3.4", false),
            (&["10.0.0.0/8", "!10.1.0.0/16"], "10.1.3.4", false),
            (&["!10.1.0.0/16", "10.0.0.0/8"], "10.1.3.4", false),
            (&["!10.1.0.0/16", "10.0.0.0/8"], "10.2.3.4", true),
            (&["!10.0.0.0/8", "10.1.0.0/16"], "10.1.3.4", true),
            (&["10.0.0.0/8", "!10.0.0.0/8"], "10.1.3.4", false),
            (&["!10.0.0.0/8", "10.0.0.0/8"], "10.1.3.4", true),
            (&["!10.0.0.0/8", "0.0.0.0/0"], "10.1.3.4", false),
            (&["0.0.0.0/0"], "::1", false),
            (&["0.0.0.0/0"], "::ffff:1.2.3.4", false),
            (&["::/0"], "::ffff:1.2.3.4", true),
            (&["::ffff:1.2.3.0/120"], "1.2.3.4", false),
            (&["::/0"], "1.2.3.4", false),
            (&[], "1.2.3.4", false),
        ] {
            let group = make("newNMG", [Value::list(masks.iter().map(Value::text))]);
            assert_eq!(takes(&group, address), wanted, "{masks:?} {address}");
        }
        assert!(!takes(&make("newNMG", []), "1.2.3.4"));
        assert!(!takes(&make("newNMG", [Value::Nil]), "1.2.3.4"));
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn groups_grow_as_in_powerdns() {
        let mut made = group(["1.0.0.0/8"]);
        assert_eq!(made.change("addMask", ["2.0.0.0/8".into()]), Value::Nil);
        assert!(takes(&made, "2.0.0.1") && takes(&made, "1.0.0.1"));
        made.change("addMasks", [Value::list(["!2.1.0.0/16".into(), "3.0.0.0/8".into()])]);
        assert!(!takes(&made, "2.1.0.1") && takes(&made, "3.0.0.1"));
        let half = Value::list(["4.0.0.0/8".into(), "x".into()]);
        assert_eq!(made.refuses("addMasks", [half]), "element 2 of argument 1 of addMasks is no network: 'x'");
        assert!(takes(&made, "4.0.0.1"));
        assert!(made.refuses("addMasks", ["5.0.0.0/8".into()]).contains("must be a list"));
        assert!(made.refuses("match", ["1.2.3.4".into()]).contains("must be a ComboAddress"));
        assert_eq!(made.0.equality(&made.0), None);
        assert_eq!(made.0.to_text(), None);
    }

    /// What PowerDNS 4.7.3 gives.
    #[test]
    fn bad_groups_are_errors() {
        for bad in ["x", "", "!", "! 10.0.0.0/8", "!!10.0.0.0/8"] {
            assert!(refused("newNMG", [Value::list([bad.into()])]).contains("is no network"), "{bad}");
        }
        let keyed = Value::Table([("a".into(), "10.0.0.0/8".into())].into());
        for bad in [Value::list([Value::Boolean(true)]), "10.0.0.0/8".into(), keyed] {
            assert!(refused("newNMG", [bad]).contains("must be"));
        }
    }
}
