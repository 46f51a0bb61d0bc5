//! Where `unsafe` may stand, how much of it, and what must stand beside it.
//!
//! The table [`TABLE`] holds how often each fenced crate says `unsafe`; it may
//! only be changed with a reason in the commit.

use std::collections::BTreeMap;

use super::source::{Parts, find_words, open_heads};
use super::{Complaint, Tree};

/// The crates that may say `unsafe`.
const FENCED: [&str; 5] = ["dash", "gate", "memory", "packed", "script"];

/// Where the counts are committed: a crate and its count a line.
const TABLE: &str = "crates/xtask/unsafe.txt";

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let sources = tree.sources().flat_map(|(path, text)| source(path, &Parts::of(text)));
    sources.chain(growth(tree)).collect()
}

/// What `cargo xtask tidy` says about the counts.
pub(super) fn report(tree: &Tree) -> Vec<String> {
    let Ok(table) = Table::read(tree) else {
        return Vec::new();
    };
    let counts = counts(tree);
    FENCED
        .iter()
        .filter(|name| counts.contains_key(**name) || table.allowed(name) > 0)
        .map(|name| {
            let (count, allowed) = (counts.get(*name).copied().unwrap_or(0), table.allowed(name));
            let advice = if count < allowed {
                format!("; lower {TABLE} from {allowed}")
            } else {
                String::new()
            };
            format!("unsafe: {name} {count}{advice}")
        })
        .collect()
}

fn growth(tree: &Tree) -> Vec<Complaint> {
    let table = match Table::read(tree) {
        Ok(table) => table,
        Err(complaint) => return vec![complaint],
    };
    counts(tree)
        .into_iter()
        .filter(|(name, count)| FENCED.contains(&name.as_str()) && *count > table.allowed(name))
        .map(|(name, count)| {
            let allowed = table.allowed(&name);
            Complaint::new(TABLE, 0, format!("`unsafe` in `{name}` grew from {allowed} to {count}"))
        })
        .collect()
}

/// How often each crate says `unsafe`.
fn counts(tree: &Tree) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (path, text) in tree.sources() {
        let count = Parts::of(text).words("unsafe").len();
        if count > 0 {
            *counts.entry(crate_of(path).to_owned()).or_default() += count;
        }
    }
    counts
}

/// The committed counts.
struct Table(BTreeMap<String, usize>);

impl Table {
    fn read(tree: &Tree) -> Result<Self, Complaint> {
        let text = tree.text(TABLE).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || Complaint::new(TABLE, index + 1, "is not a crate and its count");
            let (name, count) = line.split_once(' ').ok_or_else(wrong)?;
            counts.insert(name.to_owned(), count.parse().map_err(|_| wrong())?);
        }
        Ok(Self(counts))
    }

    fn allowed(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// `packed` for `crates/packed/src/slab.rs`.
fn crate_of(path: &str) -> &str {
    let mut parts = path.split('/');
    match (parts.next(), parts.next()) {
        (Some("crates"), Some(name)) => name,
        (first, _) => first.unwrap_or(path),
    }
}

fn source(path: &str, parts: &Parts) -> Vec<Complaint> {
    let is_fenced = FENCED.contains(&crate_of(path));
    let mut complaints = Vec::new();
    for at in parts.words("unsafe") {
        let line = parts.line(at);
        if !is_fenced {
            let what = format!("`unsafe` is only for {}", FENCED.join(", "));
            complaints.push(Complaint::new(path, line, what));
        } else if let Some(wanted) = wanted_beside(&parts.code, at)
            && !stands_beside(parts, line, wanted)
        {
            complaints.push(Complaint::new(path, line, format!("`unsafe` without `{wanted}`")));
        }
    }
    complaints
}

/// What must be written beside the `unsafe` at `at`.
fn wanted_beside(code: &str, at: usize) -> Option<&'static str> {
    let is_contract_of_trait = || {
        let inside = open_heads(code, at);
        inside.last().is_some_and(|head| !find_words(head, "for").is_empty())
    };
    let code = &code[at..];
    let mut words = code.split_whitespace().skip(1);
    match words.next() {
        // The type of a function: the calls are what is unsafe.
        Some(word) if word.starts_with("fn(") => None,
        Some("fn") if is_contract_of_trait() => None,
        Some("fn" | "trait") => Some("# Safety"),
        Some("extern") if words.any(|word| word.starts_with("fn")) && !opens_block(code) => {
            Some("# Safety")
        }
        _ => Some("SAFETY:"),
    }
}

/// Whether `unsafe extern ".."` is followed by a block, not by a function.
fn opens_block(code: &str) -> bool {
    code.find('{') < code.find("fn")
}

/// Whether a comment with `wanted` stands on `line` or above its statement.
fn stands_beside(parts: &Parts, line: usize, wanted: &str) -> bool {
    let code: Vec<&str> = parts.code.lines().collect();
    let comments: Vec<&str> = parts.comments.lines().collect();
    if comments[line - 1].contains(wanted) {
        return true;
    }
    for above in (0..line - 1).rev() {
        if comments[above].contains(wanted) {
            return true;
        }
        let code = code[above].trim();
        let is_attribute = code.starts_with('#');
        let ends_before = code.ends_with([';', '{', '}', ',']) && !is_attribute;
        let is_gap = code.is_empty() && comments[above].trim().is_empty();
        if ends_before || is_gap {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_complaints(path: &str, text: &str, table: &str, expected: &[&str]) {
        let tree = Tree::of(&[(path, text), (TABLE, table)]);
        let complaints: Vec<String> = check(&tree).iter().map(Complaint::to_string).collect();
        assert_eq!(complaints, expected);
    }

    #[test]
    fn unsafe_stays_inside_the_fence() {
        let text = "fn f() {\n    // SAFETY: why.\n    unsafe { g() }\n}\n";
        assert_complaints("crates/packed/src/a.rs", text, "packed 1\n", &[]);
        let outside =
            ["crates/server/src/a.rs:3: `unsafe` is only for dash, gate, memory, packed, script"];
        assert_complaints("crates/server/src/a.rs", text, "server 1\n", &outside);
        assert_complaints("crates/server/src/a.rs", "// unsafe\nf(\"unsafe\");\n", "", &[]);
    }

    #[test]
    fn unsafe_may_not_grow() {
        let text = "// SAFETY: why.\nunsafe { f() }\n// SAFETY: why.\nunsafe { g() }\n";
        let grown = ["crates/xtask/unsafe.txt: `unsafe` in `gate` grew from 1 to 2"];
        assert_complaints("crates/gate/src/a.rs", text, "# Counts.\ngate 1\n", &grown);
        let tree = Tree::of(&[("crates/gate/src/a.rs", text), (TABLE, "gate 3\n")]);
        assert_eq!(check(&tree), []);
        assert_eq!(report(&tree), ["unsafe: gate 2; lower crates/xtask/unsafe.txt from 3"]);
    }

    #[test]
    fn a_broken_table_is_a_complaint() {
        let broken = ["crates/xtask/unsafe.txt:1: is not a crate and its count"];
        assert_complaints("crates/gate/src/a.rs", "", "gate\n", &broken);
    }

    #[test]
    fn every_block_says_why_it_is_sound() {
        let sound = [
            "// SAFETY: why.\nunsafe { f() }\n",
            "// SAFETY: why,\n// in two lines.\nlet a =\n    unsafe { f() };\n",
            "unsafe { f() } // SAFETY: why.\n",
            "// SAFETY: why.\n#[inline]\nunsafe impl Send for A {}\n",
            "/// # Safety\n///\n/// The caller knows.\npub unsafe fn f() {}\n",
            "/// # Safety\n///\n/// Always.\nunsafe trait T {}\n",
            "type F = unsafe fn(u8);\n",
            "// SAFETY: why.\nunsafe extern \"C\" {\n    fn f();\n}\n",
            "// SAFETY: why.\nunsafe impl A for B {\n    unsafe fn f() {}\n}\n",
            "/// # Safety\n///\n/// Never.\npub unsafe extern \"C\" fn f() {}\n",
        ];
        for text in sound {
            assert_complaints("crates/dash/src/a.rs", text, "dash 9\n", &[]);
        }
    }

    #[test]
    fn a_reason_for_something_else_does_not_count() {
        let complaint = |line: usize, wanted: &str| {
            format!("crates/dash/src/a.rs:{line}: `unsafe` without `{wanted}`")
        };
        let unsound = [
            ("unsafe { f() }\n", complaint(1, "SAFETY:")),
            ("// SAFETY: why.\ng();\nunsafe { f() }\n", complaint(3, "SAFETY:")),
            ("// SAFETY: why.\n\nunsafe { f() }\n", complaint(3, "SAFETY:")),
            ("// SAFETY: why.\nunsafe fn f() {}\n", complaint(2, "# Safety")),
        ];
        for (text, expected) in unsound {
            assert_complaints("crates/dash/src/a.rs", text, "dash 9\n", &[&expected]);
        }
    }
}
