//! The rules of the house that no other tool knows.
//!
//! A rule is a function from the [`Tree`] of files to [`Complaint`]s; it reads
//! nothing else, so that its tests are a few lines of text.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::say;

mod arrows;
mod fence;
mod manifest;
mod reach;
mod source;
mod text;

/// The text files of the repository by their path from its root.
#[derive(Clone, Debug, Default)]
struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Every file that git tracks or would track, if it is text.
    fn read(root: &Path) -> Result<Self, String> {
        let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let output = Command::new("git").args(listing).current_dir(root).output();
        let output = output.map_err(|error| format!("git ls-files: {error}"))?;
        if !output.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let mut tree = Self::default();
        for path in output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
            let path = String::from_utf8_lossy(path).into_owned();
            // A file that was removed and not yet committed is listed as well.
            let bytes = fs::read(root.join(&path)).ok();
            if let Some(Ok(text)) = bytes.map(String::from_utf8) {
                tree.0.insert(path, text);
            }
        }
        Ok(tree)
    }

    fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files of Rust.
    fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// The text of a file, as it stands in a test.
    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let owned = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self(owned.collect())
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Complaint {
    path: String,
    /// From 1; 0 is the whole file.
    line: usize,
    what: String,
}

impl Complaint {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.path, self.what),
            line => write!(out, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Applies all rules, and prints how much `unsafe` there is.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let rules = [text::check, reach::check, arrows::check, fence::check];
    let mut complaints: Vec<Complaint> = rules.iter().flat_map(|rule| rule(&tree)).collect();
    complaints.sort();
    complaints.iter().try_for_each(|complaint| say(&complaint.to_string()))?;
    for line in fence::report(&tree) {
        say(&line)?;
    }
    match complaints.len() {
        0 => say(&format!("tidy: {} files, nothing to complain about", tree.0.len())),
        count => Err(format!("\ntidy failed: {count} complaints")),
    }
}
