//! The layers, kept by reading the sources: a module imports only what its row names, siblings never import each other,
//! and every file says what it is for.
//!
//! The table is the one in `src/lib.rs`. A row for a module that does not exist yet is a place kept for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What `config` may name of a component: the forms that settings are checked into.
const CONFIG_MAY_NAME: &[(&str, &[&str])] = &[
    ("health", &["Config", "Damping", "FileWord", "Fleet", "Peer"]),
    ("program", &["Atlas", "Defaults", "Limits"]),
    ("answers", &["Any", "Cookies", "Options", "RateLimiter", "RateLimits", "Secret"]),
    ("server", &["Config", "Identity", "IdentityError", "TlsConfig"]),
    ("prober", &["Config"]),
    ("api", &["Config", "EVENT_KINDS", "Role", "Secret", "Token"]),
    ("notify", &["Config", "Template", "To"]),
    ("peers", &["Config", "Remote", "SECRET_MIN", "Secrets", "Tls", "TlsError"]),
];

/// Module, and what it may import, lowest layer first.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // layer 0
    ("wire", &[]),
    ("target", &[]),
    ("geo", &[]),
    // layer 1
    ("zone", &["wire"]),
    ("program", &["wire", "target", "geo"]),
    ("health", &["target"]),
    ("failover", &["target"]),
    // layer 2
    ("answers", &["wire", "target", "geo", "zone", "program"]),
    // layer 3
    ("control", &["wire", "target", "geo", "zone", "program", "health", "failover", "answers"]),
    // layer 4; names of zones are `wire::Name` wherever they appear
    ("server", &["wire", "geo", "answers"]),
    ("prober", &["target", "control"]),
    ("peers", &["target", "health"]),
    ("api", &["wire", "target", "geo", "zone", "program", "health", "answers", "control"]),
    ("store", &["wire", "target", "health", "failover"]),
    ("notify", &[]),
    // `config` is made of the components' own config types, and of nothing else of theirs
    ("config", &["wire", "target", "geo", "program", "health", "answers", "server", "prober", "peers", "api", "notify"]),
    // layer 5
    (
        "node",
        &[
            "wire", "target", "geo", "zone", "program", "health", "failover", "answers", "control", "server", "prober", "peers",
            "api", "notify", "store", "config",
        ],
    ),
    // layer 6
    (
        "cli",
        &[
            "wire", "target", "geo", "zone", "program", "health", "failover", "answers", "control", "server", "prober", "peers",
            "api", "notify", "store", "config", "node",
        ],
    ),
];

#[test]
fn modules_import_only_what_their_row_names() {
    let rows: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(module) = module_of(&file) else { continue };
        let allowed = rows.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no row in the table"));
        for import in imports(&text) {
            if import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table of layers:\n{}", wrong.join("\n"));
}

#[test]
fn rows_only_look_down() {
    for (at, (module, allowed)) in MAY_IMPORT.iter().enumerate() {
        let below: Vec<_> = MAY_IMPORT[..at].iter().map(|(module, _)| *module).collect();
        for import in *allowed {
            assert!(below.contains(import), "{module} may import {import}, which is not below it");
        }
    }
}

#[test]
fn config_takes_only_config_types_of_the_components() {
    let mut found = 0;
    for (file, text) in sources().iter().filter(|(file, _)| module_of(file).as_deref() == Some("config")) {
        for (module, allowed) in CONFIG_MAY_NAME {
            let names = names_of(module, &code(text));
            let wrong: Vec<_> = names.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
            assert!(wrong.is_empty(), "{} names {wrong:?} of {module}", file.display());
            found += names.len();
        }
    }
    assert!(found > 20, "the names were not found");
}

#[test]
fn names_are_found_however_they_are_imported() {
    for (text, names) in [
        ("use crate::server::Server;", &["Server"][..]),
        ("use crate::server::{Config, Sockets as S, self};", &["Config", "Sockets", "self"]),
        ("use crate::{prober, server::{Config, Server}};", &["Config", "Server"]),
        ("use crate::{\n    prober,\n    server::Server,\n};", &["Server"]),
        ("use crate::server::*;", &["*"]),
        ("use crate::server;\nfn f() -> server::Config { server::trial_bind() }", &["Config", "trial_bind"]),
        ("use crate::server as other;", &["as"]),
        ("super::server::check(); observer::Config; crate::wire::Name", &[]),
    ] {
        assert_eq!(names_of("server", text), names, "{text}");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (file, text) in sources() {
        assert!(text.starts_with("//!"), "{} does not begin with //!", file.display());
    }
}

#[test]
fn unsafe_code_stays_in_its_file() {
    for (file, text) in sources() {
        let here = code(&text).lines().any(|line| line.contains("unsafe {") || line.contains("allow(unsafe_code"));
        assert!(!here || file.ends_with("server/batch.rs"), "{} has unsafe code", file.display());
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
}

/// The top-level module of a file; `None` for the crate's roots.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
    let mut parts = inside.components();
    let first = parts.next()?.as_os_str().to_str()?.to_owned();
    parts.next().map(|_| first)
}

/// What is compiled for use: without the inline tests at the end of a file, and without comments.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    shipped.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules named after `crate::` anywhere, also in grouped imports.
fn imports(text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let names = group.split('}').next().unwrap_or("").split(',');
            found.extend(names.map(first_word).filter(|name| !name.is_empty()));
        } else {
            found.push(first_word(rest));
        }
    }
    found
}

/// What is named of a module, by any path to it but `super::`; `as` where it gets another name itself.
fn names_of(module: &str, code: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in code.match_indices(module) {
        let (before, after) = (&code[..at], &code[at + module.len()..]);
        if before.ends_with(is_word) || before.ends_with("super::") {
            continue;
        }
        match after.strip_prefix("::") {
            Some(group) if group.starts_with('{') => {
                let names = group[1..].split('}').next().unwrap_or("").split(',');
                found.extend(names.map(first_word).filter(|name| !name.is_empty()));
            }
            Some(rest) if rest.starts_with('*') => found.push("*".into()),
            Some(rest) => found.push(first_word(rest)),
            None if after.starts_with(" as ") => found.push("as".into()),
            None => {}
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
