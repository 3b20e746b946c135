//! Names that programs use: what PowerDNS knows and this release does not, what Lua has, and what was probably meant.

use super::super::finding::Finding;
use super::super::plan::Function;

/// Functions of PowerDNS records (spec 3.3, 4, 7 and 8) that are not in this release.
const LATER: [&str; 38] = [
    "asnum",
    "closestMagic",
    "continent",
    "continentCode",
    "country",
    "countryCode",
    "createForward",
    "createForward6",
    "createReverse",
    "createReverse6",
    "dblookup",
    "filterForward",
    "geoiplookup",
    "ifurlextup",
    "include",
    "latlon",
    "latlonMagic",
    "latlonloc",
    "netmask",
    "newCA",
    "newCAFromRaw",
    "newCAS",
    "newDN",
    "newDR",
    "newDRR",
    "newNMG",
    "newNetmask",
    "newQType",
    "pdnslog",
    "pdnsrandom",
    "pickchashed",
    "pickclosest",
    "pickrandomsample",
    "pickselfweighted",
    "region",
    "regionCode",
    "report",
    "resolve",
];

/// Lua's own global functions.
const LUA: [&str; 29] = [
    "assert",
    "collectgarbage",
    "dofile",
    "error",
    "gcinfo",
    "getfenv",
    "getmetatable",
    "ipairs",
    "load",
    "loadfile",
    "loadstring",
    "module",
    "newproxy",
    "next",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawset",
    "require",
    "select",
    "setfenv",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
];

/// A call of `name`, which is not one of [`Function::ALL`].
pub(super) fn unknown_function(offset: usize, name: &str) -> Finding {
    if LATER.contains(&name) {
        let known = Function::ALL.map(Function::as_str).join(", ");
        return Finding::error(offset, format!("function `{name}` is not in this release"), format!("use one of {known}"));
    }
    if LUA.contains(&name) {
        return Finding::outside(offset, &format!("the Lua function `{name}`"));
    }
    let known = Function::ALL.map(Function::as_str).into_iter().chain(LATER);
    let remedy = match closest(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("use one of {}", Function::ALL.map(Function::as_str).join(", ")),
    };
    Finding::error(offset, format!("unknown function `{name}`"), remedy)
}

/// A use of the variable `name`.
pub(super) fn variable(offset: usize, name: &str) -> Finding {
    if Function::ALL.iter().any(|function| function.as_str() == name) || LATER.contains(&name) {
        return Finding::error(offset, format!("function `{name}` where a value must stand"), "call it, with `(` and `)`");
    }
    let mut finding = Finding::outside(offset, &format!("the variable `{name}`"));
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        finding.remedy = format!("write a literal; if the text `{name}` is meant, put it in single quotes");
    }
    finding
}

/// The name among `known` that `name` is most likely a slip for.
pub(super) fn closest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > 40 {
        return None; // nothing known is near, and the distance costs the product of the lengths
    }
    let allowed = if name.len() < 5 { 1 } else { 2 };
    let distances = known.into_iter().map(|candidate| (distance(name, candidate), candidate));
    distances.filter(|&(distance, _)| distance <= allowed).min_by_key(|&(distance, _)| distance).map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements from one text to the other, without case.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(&b));
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_what_was_meant() {
        let known = || Function::ALL.map(Function::as_str);
        for (slip, meant) in [
            ("ifporttup", Some("ifportup")),
            ("IfUrlUp", Some("ifurlup")),
            ("pickhash", Some("pickhashed")),
            ("pikrandom", Some("pickrandom")),
            ("al", Some("all")),
            ("x", None),
            ("frobnicate", None),
            ("", None),
        ] {
            assert_eq!(closest(slip, known()), meant, "{slip}");
        }
    }
}
