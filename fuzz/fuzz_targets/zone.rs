//! Any bytes as a master file: reading ends, every finding has its place in the file, and what loads is written as text
//! that loads as the same zone.
#![no_main]

use std::io;
use std::path::Path;

use leeward::wire::Name;
use leeward::zone::{Severity, Source, load};
use libfuzzer_sys::fuzz_target;

/// One file in memory, and `part`, which it may include.
struct Only<'a>(&'a [u8]);

impl Source for Only<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("zone") => Ok(self.0.to_vec()),
            Some("part") => Ok(b"part HTTPS 1 . alpn=h2 port=8443".to_vec()), // one line: places are checked below
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let apex: Name = "example.com".parse().unwrap();
    let loaded = load(&Only(bytes), Path::new("zone"), apex.as_ref());
    let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    assert_eq!(loaded.contents.is_none(), errors > 0);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(loaded.findings.iter().all(|finding| (1..=lines).contains(&(finding.at.line as usize))));
    let Some(contents) = loaded.contents else { return };
    let text = contents.to_text();
    let again = load(&Only(&text), Path::new("zone"), apex.as_ref());
    let again = again.contents.unwrap_or_else(|| panic!("{:?}\n{}", again.findings, String::from_utf8_lossy(&text)));
    assert_eq!(again.to_text(), text);
});
