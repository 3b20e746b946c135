//! The leeward program: see `leeward::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    leeward::cli::main()
}
