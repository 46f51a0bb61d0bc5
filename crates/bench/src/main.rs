//! The binary `anax-benchmark`; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::main()
}
