//! Any text as the strings of a LUA record: compiling ends without a panic, there is a program exactly when no finding is
//! an error, and every finding points into the code and from there into a string.
#![no_main]

use leeward::program::{Defaults, Settings, Severity, compile, join};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let settings = Settings { defaults: Defaults::default(), step_limit: 1000, shared: false };
    let strings: Vec<&str> = text.split('\0').collect();
    for insert_whitespace in [false, true] {
        let source = join(&strings, insert_whitespace);
        let compiled = compile(&source.code, &settings);
        let errors = compiled.findings.iter().any(|finding| finding.severity == Severity::Error);
        assert_eq!(compiled.program.is_none(), errors);
        for finding in source.findings.iter().chain(&compiled.findings) {
            assert!(finding.offset <= source.code.len(), "{finding:?}");
            let (string, offset) = source.locate(finding.offset);
            assert!(offset <= strings[string].len(), "{finding:?}");
        }
    }
});
