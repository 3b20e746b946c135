//! Any bytes as a message between nodes, compressed or not: reading ends, and what is understood says the same when it is written
//! again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| leeward::peers::holds(bytes));
