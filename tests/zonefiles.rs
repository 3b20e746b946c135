//! Zone files that load and zone files that do not, and what the checkers of other servers say of them.
//!
//! `tests/zonefiles/good/*.zone` load, `tests/zonefiles/broken/*.zone` do not; each is a zone example.com. Where Knot's
//! `kzonecheck` and BIND's `named-checkzone` are installed they must say the same, but for [`DISAGREEMENTS`], each with
//! its reason. What BIND's `named-compilezone` makes of a good file must be the same data.

mod harness;

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::has;
use leeward::wire::Name;
use leeward::zone::{Contents, Files, Loaded, load};

/// File, the tool that says otherwise, and why leeward does not follow it.
const DISAGREEMENTS: &[(&str, &str, &str)] = &[
    ("amtrelay", KNOT, "this version does not know the type (RFC 8777)"),
    ("class-and-ttl-order", KNOT, "CLASS1 is IN (RFC 3597 5)"),
    ("crlf", KNOT, "line ends with CR LF are common where files come from Windows; BIND takes them"),
    ("generate", KNOT, "$GENERATE is BIND's and unknown to Knot"),
    ("old-types", KNOT, "X25, ISDN, RT and PX are not known to Knot (RFC 1183, RFC 2163)"),
    ("origin-changes", KNOT, "a relative $ORIGIN is relative to the last (RFC 1035 5.1)"),
    ("bad-escape", KNOT, "\\300 is no octet (RFC 1035 5.1)"),
    ("below-dname", BIND, "nothing below a DNAME is served (RFC 6672 2.4)"),
    ("caa-tag", KNOT, "a tag is letters and digits (RFC 8659 4.1)"),
    ("dname-and-ns", BIND, "a delegation has no DNAME (RFC 6672 2.3)"),
    ("generic-known-malformed", KNOT, "RDATA of A is four octets, also as hexadecimal (RFC 3597 5)"),
    ("missing-glue", BIND, "BIND only warns; the delegation cannot be followed (RFC 1034 4.2.1)"),
    ("out-of-zone", KNOT, "Knot drops the record without a word"),
    ("out-of-zone", BIND, "BIND drops the record with a warning, and the name is missing"),
    ("soa-elsewhere", KNOT, "an SOA stands at an apex (RFC 1035 5.2)"),
    ("sshfp-length", KNOT, "a SHA-1 fingerprint has 20 octets (RFC 4255 3.1.2)"),
    ("svcb-no-default-alone", KNOT, "no-default-alpn needs alpn (RFC 9460 7.1.1)"),
    ("two-soas", KNOT, "a zone has one SOA (RFC 1035 5.2); Knot takes the last"),
    ("zonemd-length", KNOT, "a SHA-384 digest has 48 octets (RFC 8976 2.2.3)"),
];

const KNOT: &str = "kzonecheck";
const BIND: &str = "named-checkzone";

/// What must be said of the files of a folder.
struct Case {
    name: String,
    path: PathBuf,
    loads: bool,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zonefiles");
    let mut found = Vec::new();
    for (folder, loads) in [("good", true), ("broken", false)] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "zone") {
                let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
                found.push(Case { name, path, loads });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn read(path: &Path) -> Loaded {
    let apex: Name = "example.com".parse().expect("a name");
    load(&Files, path, apex.as_ref())
}

fn contents(path: &Path) -> Contents {
    let loaded = read(path);
    loaded.contents.unwrap_or_else(|| panic!("{}: {:#?}", path.display(), loaded.findings))
}

#[test]
fn good_files_load_and_broken_ones_do_not() {
    let cases = cases();
    let good = cases.iter().filter(|case| case.loads).count();
    assert!(good >= 40 && cases.len() - good >= 50, "the files were not found");
    for case in &cases {
        let loaded = read(&case.path);
        assert_eq!(loaded.contents.is_some(), case.loads, "{}: {:#?}", case.path.display(), loaded.findings);
    }
}

#[test]
fn knot_says_the_same() {
    agree(KNOT, |path| {
        let mut command = Command::new(KNOT);
        command.args(["-o", "example.com"]).arg(path);
        command
    });
}

#[test]
fn bind_says_the_same() {
    agree(BIND, |path| {
        let mut command = Command::new(BIND);
        command.args(["-i", "local", "example.com"]).arg(path);
        command
    });
}

fn agree(tool: &str, command: impl Fn(&Path) -> Command) {
    if !has(tool) {
        return;
    }
    let mut wrong = Vec::new();
    for case in cases() {
        // Includes are relative to the working directory there.
        let output = in_folder_of(command(&case.path), &case.path).output().expect("it runs");
        let explained = DISAGREEMENTS.iter().any(|(name, by, _)| *name == case.name && *by == tool);
        if (output.status.success() == case.loads) == explained {
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            wrong.push(format!("{}: {} (explained: {explained}): {said}", case.path.display(), output.status));
        }
    }
    assert!(wrong.is_empty(), "{tool} says otherwise, or an explanation is out of date:\n{}", wrong.join("\n"));
}

fn in_folder_of(mut command: Command, path: &Path) -> Command {
    let search = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
    command.current_dir(path.parent().expect("a folder")).env("PATH", search);
    command
}

#[test]
fn what_is_written_is_the_same_zone() {
    let folder = tempfile::tempdir().expect("tempdir");
    for case in cases().iter().filter(|case| case.loads) {
        let before = contents(&case.path);
        let copy = folder.path().join("copy");
        std::fs::write(&copy, before.to_text()).expect("written");
        assert_eq!(contents(&copy), before, "{}", case.path.display());
    }
}

#[test]
fn bind_reads_the_same_data() {
    if !has("named-compilezone") {
        return;
    }
    let folder = tempfile::tempdir().expect("tempdir");
    for case in cases().iter().filter(|case| case.loads) {
        let compiled = folder.path().join("compiled");
        let mut command = Command::new("named-compilezone");
        command
            .args(["-q", "-i", "none", "-k", "ignore", "-n", "ignore", "-F", "text", "-o"])
            .arg(&compiled)
            .arg("example.com")
            .arg(&case.path);
        let status = in_folder_of(command, &case.path).status().expect("it runs");
        assert!(status.success(), "{}", case.path.display());
        assert_eq!(contents(&compiled), contents(&case.path), "{}", case.path.display());
    }
}
