//! Every command of the table has a transcript.
//!
//! The rule applies once the folder of transcripts exists.

use std::collections::BTreeSet;

use super::source::Parts;
use super::{Complaint, Tree};

/// Where transcripts lie, each in a folder of its family.
const TRANSCRIPTS: &str = "crates/server/tests/transcripts/";

/// Where rows are written.
const ROWS: [&str; 2] = ["crates/families/src/", "crates/server/src/commands"];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let written: BTreeSet<&str> = tree
        .files()
        .filter_map(|(path, _)| path.strip_prefix(TRANSCRIPTS)?.strip_suffix(".txt"))
        .map(|path| path.rsplit_once('/').map_or(path, |(_, name)| name))
        .collect();
    if written.is_empty() {
        return Vec::new();
    }
    let sources = tree.sources().filter(|(path, _)| ROWS.iter().any(|rows| path.starts_with(rows)));
    sources
        .flat_map(|(path, text)| rows(text).into_iter().map(move |(line, name)| (path, line, name)))
        .filter(|(_, _, name)| !written.contains(transcript(name).as_str()))
        .map(|(path, line, name)| {
            let what = format!("{name} has no {TRANSCRIPTS}*/{}.txt", transcript(name));
            Complaint::new(path, line, what)
        })
        .collect()
}

/// The lines and names of rows: `name: "SET"`.
fn rows(text: &str) -> Vec<(usize, &str)> {
    let parts = Parts::of(text);
    let named = parts.words("name").into_iter().filter_map(|at| {
        let name = text[at..].strip_prefix("name: \"")?.split('"').next()?;
        is_command(name).then_some((parts.line(at), name))
    });
    named.collect()
}

/// Whether this is how a command is named, as against a setting or a metric.
fn is_command(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// The name of a command's transcript: `config-get` for `CONFIG|GET`.
fn transcript(name: &str) -> String {
    name.to_ascii_lowercase().replace(['|', ' ', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "const SET: Command = Command {\n    name: \"SET\",\n};\n// name: \"GET\"\nconst S: Setting = Setting { name: \"port\" };\n";

    #[test]
    fn a_command_without_a_transcript_is_found() {
        let rows = ("crates/families/src/string.rs", ROW);
        let other = ("crates/server/tests/transcripts/string/get.txt", "");
        let complaints: Vec<String> =
            check(&Tree::of(&[rows, other])).iter().map(Complaint::to_string).collect();
        let expected =
            "crates/families/src/string.rs:2: SET has no crates/server/tests/transcripts/*/set.txt";
        assert_eq!(complaints, [expected]);
        let own = ("crates/server/tests/transcripts/string/set.txt", "");
        assert_eq!(check(&Tree::of(&[rows, own])), []);
    }

    #[test]
    fn the_rule_waits_for_the_first_transcript() {
        assert_eq!(check(&Tree::of(&[("crates/families/src/string.rs", ROW)])), []);
    }

    #[test]
    fn a_subcommand_has_a_transcript_of_its_own() {
        let row = ("crates/server/src/commands/config.rs", "Command { name: \"CONFIG|GET\" }");
        let own = ("crates/server/tests/transcripts/admin/config-get.txt", "");
        assert_eq!(check(&Tree::of(&[row, own])), []);
    }
}
