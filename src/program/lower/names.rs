//! Names that programs use: what there is, what Lua has, and what was probably meant.

use super::super::finding::Finding;
use super::super::native;
use super::super::object;
use super::super::plan::Function;

/// Lua's own globals, as far as scripts see them.
const LUA: [&str; 35] = [
    "_G",
    "_VERSION",
    "assert",
    "bit",
    "collectgarbage",
    "coroutine",
    "error",
    "gcinfo",
    "getfenv",
    "getmetatable",
    "ipairs",
    "load",
    "loadstring",
    "math",
    "next",
    "os",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setfenv",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
    "pdns",
    "pdns_features",
    "GeoIPQueryAttribute",
];

/// Lua's globals that no program gets: they reach files, other programs or the server itself.
const ABSENT: [&str; 11] =
    ["debug", "dofile", "ffi", "io", "jit", "loadfile", "module", "newproxy", "package", "require", "qtype"];

/// Whether scripts see a global of Lua by that name.
pub(super) fn is_lua(name: &str) -> bool {
    LUA.contains(&name)
}

/// Whether scripts see a function of `string` by that name.
pub(super) fn is_text_function(name: &str) -> bool {
    let functions =
        ["byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse", "sub", "upper"];
    functions.contains(&name)
}

/// Whether it is a function of record programs.
pub(super) fn is_function(name: &str) -> bool {
    functions().any(|known| known == name)
}

/// The functions of record programs.
fn functions() -> impl Iterator<Item = &'static str> {
    let natives = native::FUNCTIONS.iter().map(|function| function.name);
    let constructors = object::CONSTRUCTORS.iter().map(|constructor| constructor.name);
    Function::ALL.into_iter().map(Function::as_str).chain(natives).chain(constructors).chain(["include"])
}

/// A call of `name`, which nothing sets.
pub(super) fn unknown_function(offset: usize, name: &str) -> Finding {
    if ABSENT.contains(&name) {
        return absent(offset, name);
    }
    let remedy = match closest(name, functions().chain(LUA)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "use a function of record programs, such as `ifportup` or `pickrandom`".to_owned(),
    };
    Finding::error(offset, format!("unknown function `{name}`"), remedy)
}

/// A use of the variable `name`, which nothing sets.
pub(super) fn unknown_variable(offset: usize, name: &str) -> Finding {
    if ABSENT.contains(&name) {
        return absent(offset, name);
    }
    let remedy = match closest(name, super::super::variables::Variable::ALL.map(super::super::variables::Variable::as_str)) {
        Some(meant) => format!("did you mean `{meant}`? If the text `{name}` is meant, put it in single quotes"),
        None => format!("if the text `{name}` is meant, put it in single quotes"),
    };
    Finding::error(offset, format!("the variable `{name}` is never set"), remedy)
}

fn absent(offset: usize, name: &str) -> Finding {
    let remedy = match name {
        "qtype" => "there is none in PowerDNS either: the type is the record's own",
        _ => "programs reach no files, processes, environment or modules",
    };
    Finding::error(offset, format!("`{name}` does not exist here"), remedy)
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
        let known = || ["ifportup", "ifurlup", "all", "pickrandom", "pickhashed"];
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
