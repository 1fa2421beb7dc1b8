//! `supwatch`: the collector and its command line.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    supwatch::cli::main()
}
