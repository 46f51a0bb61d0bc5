//! The chores of the repository: `cargo xtask check` and `cargo xtask tidy`.
//!
//! Only the standard library is used, so that the chores are built before
//! anything else can break.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod check;
mod tidy;

const USAGE: &str = "\
usage: cargo xtask CHORE
  check  everything that must hold before a change lands
  tidy   only the rules that no other tool knows";

fn main() -> ExitCode {
    let chore = env::args().nth(1).unwrap_or_default();
    let done = match chore.as_str() {
        "check" => check::run(&root()),
        "tidy" => tidy::run(&root()),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(io::stderr(), "{why}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().nth(2).expect("this crate lies in crates/xtask");
    root.to_owned()
}

/// Writes a line to standard output.
fn say(line: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("standard output: {error}"))
}
