//! The corpus: the zone files, the written questions, and the questions that follow from the zones.
//!
//! `zones/NAME.zone` is the zone NAME; `queries/*.txt` are in the language of [`question`](super::question). From every
//! owner of a zone come the questions for its types, for types that it may lack, and for the names around it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::question::{Question, of_line, read, wire};

/// A zone and its file.
pub struct Zone {
    pub name: String,
    pub text: String,
}

/// Asked at every owner, beside the types that it has.
const EVERYWHERE: [&str; 8] = ["A", "AAAA", "TXT", "ANY", "CNAME", "NS", "DS", "SOA"];
/// Forms that the questions of an owner take in turn.
const FORMS: [&str; 6] = ["udp", "edns", "tcp", "edns do", "edns +rd", "udp +rd +cd +ad"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// The files of a folder of the corpus with an extension, by stem, sorted.
pub fn files(name: &str, extension: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder(name)).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|own| own == extension)).collect();
    paths.sort();
    let stem = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    paths.iter().map(|path| (stem(path), fs::read_to_string(path).expect("a text"))).collect()
}

/// All zones.
pub fn zones() -> Vec<Zone> {
    files("zones", "zone").into_iter().map(|(name, text)| Zone { name, text }).collect()
}

/// What zone files include.
pub fn included() -> Vec<(String, String)> {
    files("zones", "inc").into_iter().map(|(name, text)| (format!("{name}.inc"), text)).collect()
}

/// The written questions.
pub fn written() -> Vec<Question> {
    files("queries", "txt").iter().flat_map(|(name, text)| read(name, text)).collect()
}

/// The questions that follow from the zones.
pub fn derived(zones: &[Zone]) -> Vec<Question> {
    let mut lines: BTreeSet<(&str, String)> = BTreeSet::new();
    let mut turn = FORMS.iter().cycle();
    let mut form = || turn.next().expect("a cycle");
    for zone in zones {
        for (owner, types) in owners(zone) {
            for rtype in types.iter().map(String::as_str) {
                for form in ["udp", "edns do", "tcp"] {
                    lines.insert(("owners: types they have", format!("{owner} {rtype} {form}")));
                }
            }
            for rtype in EVERYWHERE {
                lines.insert(("owners: any type", format!("{owner} {rtype} {}", form())));
            }
            for name in [format!("zz-child.{owner}"), format!("a.b.{owner}"), format!("*.{owner}"), sibling(&owner)] {
                if wire(&name).len() <= 255 {
                    for rtype in ["A", "TXT", "MX"] {
                        lines.insert(("names around owners", format!("{name} {rtype} {}", form())));
                    }
                }
            }
            let parent = parent(&owner);
            for rtype in ["A", "NS", "DS", "ANY"] {
                lines.insert(("parents of owners", format!("{parent} {rtype} {}", form())));
            }
            lines.insert(("letters of both cases", format!("{} {} {}", mixed(&owner), first(&types), form())));
        }
    }
    lines.iter().flat_map(|(group, line)| of_line(group, line)).collect()
}

fn first(types: &BTreeSet<String>) -> &str {
    types.first().map_or("A", String::as_str)
}

/// Every second letter in the other case, escapes left alone.
fn mixed(name: &str) -> String {
    let flip = |(at, letter): (usize, char)| if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
    name.chars().enumerate().map(flip).collect()
}

/// Where the first label ends: at a dot that is not escaped.
fn first_dot(name: &str) -> Option<usize> {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'.' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn parent(name: &str) -> &str {
    first_dot(name).map(|dot| &name[dot + 1..]).filter(|rest| !rest.is_empty()).unwrap_or(".")
}

fn sibling(name: &str) -> String {
    format!("zz-sibling.{}", parent(name).trim_start_matches('.'))
}

/// The owners of a zone's file and their types, as far as a reader sees them who follows `$ORIGIN` and nothing else.
fn owners(zone: &Zone) -> BTreeMap<String, BTreeSet<String>> {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut origin = format!("{}.", zone.name);
    let mut owner = origin.clone();
    for line in entries(&zone.text) {
        let mut words = line.split_whitespace().peekable();
        if line.starts_with("$ORIGIN") {
            origin = absolute(words.nth(1).expect("a name"), &origin);
            continue;
        }
        if line.starts_with('$') || words.peek().is_none() {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            owner = absolute(words.next().expect("an owner"), &origin);
        }
        let rtype =
            words.find(|word| !word.starts_with(|first: char| first.is_ascii_digit()) && !word.eq_ignore_ascii_case("IN"));
        owners.entry(owner.clone()).or_default().extend(rtype.map(str::to_owned));
    }
    owners
}

fn absolute(name: &str, origin: &str) -> String {
    match name {
        "@" => origin.to_owned(),
        name if name.ends_with('.') && !name.ends_with("\\.") => name.to_owned(),
        name => format!("{name}.{origin}"),
    }
}

/// The lines at which entries begin: those outside of parentheses, without comments.
fn entries(text: &str) -> Vec<String> {
    let mut entries = Vec::new();
    let mut depth = 0;
    for line in text.lines() {
        let outside = depth == 0;
        let (mut quoted, mut escaped, mut end) = (false, false, line.len());
        for (at, letter) in line.char_indices() {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = !quoted,
                ';' if !quoted => {
                    end = at;
                    break;
                }
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth -= 1,
                _ => {}
            }
        }
        if outside {
            entries.push(line[..end].to_owned());
        }
    }
    entries
}
