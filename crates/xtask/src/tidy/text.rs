//! Rules about files as text: headers, line ends, columns, marks of unfinished work.

use super::source::{Parts, find_words};
use super::{Complaint, Tree};

/// The longest line of Rust, in characters.
const COLUMNS_MAX: usize = 100;

/// Marks that may stand on a branch, not on main. Written in halves, so that
/// this file does not complain about itself.
const MARKS: [&str; 3] = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];

/// Where inputs of fuzz targets lie: bytes, of which some happen to be text.
const CORPORA: &str = "fuzz/corpus/";

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let texts = tree.files().filter(|(path, _)| !path.starts_with(CORPORA));
    let everywhere = texts.flat_map(|(path, text)| any_file(path, text));
    let sources = tree.sources().flat_map(|(path, text)| source(path, text));
    everywhere.chain(sources).collect()
}

fn any_file(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    // What a fuzzer feeds is bytes, not text.
    if path.starts_with("fuzz/corpus/") {
        return complaints;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        complaints.push(Complaint::new(path, 0, "does not end with a newline"));
    }
    for (index, line) in text.lines().enumerate() {
        for mark in MARKS.iter().filter(|mark| !find_words(line, mark).is_empty()) {
            complaints.push(Complaint::new(path, index + 1, format!("{mark} is not for main")));
        }
    }
    complaints
}

fn source(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !text.starts_with("//! ") {
        complaints.push(Complaint::new(path, 1, "has no `//!` header"));
    }
    let code = Parts::of(text).code;
    for (index, (line, code)) in text.lines().zip(code.lines()).enumerate() {
        if line.contains('\t') {
            complaints.push(Complaint::new(path, index + 1, "has a tab"));
        }
        if line.chars().count() > COLUMNS_MAX && !may_be_long(line, code) {
            let what = format!("is longer than {COLUMNS_MAX} columns");
            complaints.push(Complaint::new(path, index + 1, what));
        }
    }
    complaints
}

/// What cannot be broken: a text, an address, a row of a table, a part of a longer text.
fn may_be_long(line: &str, code: &str) -> bool {
    let is_row = line.trim_start().trim_start_matches(['/', '!']).starts_with(" |");
    let is_inside_text = code.trim().is_empty() && !line.contains("//");
    line.contains("://") || code.contains('"') || is_row || is_inside_text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_complaints(path: &str, text: &str, expected: &[&str]) {
        let complaints: Vec<String> =
            check(&Tree::of(&[(path, text)])).iter().map(Complaint::to_string).collect();
        assert_eq!(complaints, expected);
    }

    #[test]
    fn a_module_begins_with_a_header() {
        assert_complaints("a.rs", "//! What it is.\n", &[]);
        assert_complaints("a.rs", "fn f() {}\n", &["a.rs:1: has no `//!` header"]);
        assert_complaints("a.toml", "[package]\n", &[]);
    }

    #[test]
    fn a_file_ends_with_a_newline() {
        assert_complaints("a.md", "text", &["a.md: does not end with a newline"]);
        assert_complaints("a.md", "", &[]);
        assert_complaints("fuzz/corpus/requests/cut", "*1", &[]);
    }

    #[test]
    fn unfinished_work_is_found_as_a_word() {
        let [fix, to, _] = MARKS;
        let text = format!("a\n{fix}: b\n{to}S\n# {to} c\n");
        let expected =
            [format!("a.md:2: {fix} is not for main"), format!("a.md:4: {to} is not for main")];
        assert_complaints("a.md", &text, &[&expected[0], &expected[1]]);
    }

    #[test]
    fn tabs_and_long_lines_are_for_other_files() {
        assert_complaints("a.rs", "//! A.\n\tf();\n", &["a.rs:2: has a tab"]);
        let long = "x".repeat(101);
        assert_complaints(
            "a.rs",
            &format!("//! {long}\n"),
            &["a.rs:1: is longer than 100 columns"],
        );
        assert_complaints("a.rs", &format!("//! A.\nf(\"{long}\");\n"), &[]);
        assert_complaints("a.rs", &format!("//! <https://{long}>\n"), &[]);
        assert_complaints("a.rs", &format!("//! | {long} |\n"), &[]);
        assert_complaints("a.rs", &format!("//! {}\n", "é".repeat(96)), &[]);
        assert_complaints("a.md", &format!("\t{long}\n"), &[]);
    }
}
