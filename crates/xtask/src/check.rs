//! Everything that must hold before a change lands, the quickest first.
//!
//! The tests come last, so that their closing lines are what remains on the
//! screen.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{say, tidy};

/// Runs all steps and stops at the first that fails.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    cargo(root, &["fmt", "--all", "--check"], &[])?;
    say("\n== tidy")?;
    tidy::run(root)?;
    cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    let strict_docs = [("RUSTDOCFLAGS", "-D warnings")];
    cargo(root, &["doc", "--no-deps", "--workspace"], &strict_docs)?;
    test(root)
}

fn command(root: &Path, arguments: &[&str]) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root);
    command
}

fn cargo(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    let step = announce(arguments, variables)?;
    let mut command = command(root, arguments);
    command.envs(variables.iter().copied());
    let status = command.status().map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(failed(&step)) }
}

/// Runs all tests and sums up their closing lines.
fn test(root: &Path) -> Result<(), String> {
    let arguments = ["test", "--workspace"];
    let step = announce(&arguments, &[])?;
    let mut command = command(root, &arguments);
    let spawned = command.stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("cargo: {error}"))?;
    let output = child.stdout.take().expect("it was asked for");
    let mut closing = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("the output of the tests: {error}"))?;
        say(&line)?;
        closing.extend(Closing::parse(&line));
    }
    let status = child.wait().map_err(|error| format!("cargo: {error}"))?;
    say(&format!("\n{}", Closing::sum(&closing)))?;
    if status.success() { Ok(()) } else { Err(failed(&step)) }
}

fn announce(arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
    let variables: String =
        variables.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
    let step = format!("{variables}cargo {}", arguments.join(" "));
    say(&format!("\n== {step}"))?;
    Ok(step)
}

fn failed(step: &str) -> String {
    format!("\ncheck failed at: {step}")
}

/// How many tests of one binary passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Closing {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Closing {
    /// Reads `test result: ok. 3 passed; 0 failed; 0 ignored; ..`.
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |name: &str| {
            let part = counts.split(';').find_map(|part| part.trim().strip_suffix(name));
            part.and_then(|number| number.trim().parse().ok())
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            ignored: count("ignored")?,
        })
    }

    fn sum(all: &[Self]) -> String {
        let total = |count: fn(&Self) -> u64| all.iter().map(count).sum::<u64>();
        format!(
            "tests: {} passed; {} failed; {} ignored; in {} binaries",
            total(|closing| closing.passed),
            total(|closing| closing.failed),
            total(|closing| closing.ignored),
            all.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_summed_up() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.1s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ];
        let closing: Vec<Closing> = lines.into_iter().filter_map(Closing::parse).collect();
        assert_eq!(Closing::sum(&closing), "tests: 4 passed; 2 failed; 1 ignored; in 2 binaries");
    }
}
