//! Dead files: every file of Rust belongs to a target of some package.
//!
//! Targets are found as cargo finds them, and from each of them `mod` and
//! `include!` are followed.

use std::collections::BTreeSet;

use super::manifest::packages;
use super::source::{Parts, find_words, open_heads};
use super::{Complaint, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut reached = BTreeSet::new();
    for root in roots(tree) {
        follow(tree, &root, Place::root(&root), &mut reached);
    }
    let dead = tree.sources().filter(|(path, _)| !reached.contains(*path));
    dead.map(|(path, _)| Complaint::new(path, 0, "belongs to no target of a package")).collect()
}

/// The files that cargo hands to the compiler.
fn roots(tree: &Tree) -> Vec<String> {
    let packages = packages(tree);
    let named = packages.iter().flat_map(|package| {
        package.targets.iter().map(|target| format!("{}{target}", package.folder))
    });
    let found = tree.sources().map(|(path, _)| path).filter(|path| {
        let package = packages
            .iter()
            .filter(|package| path.starts_with(&package.folder))
            .max_by_key(|package| package.folder.len());
        package.is_some_and(|package| is_target(&path[package.folder.len()..]))
    });
    named.chain(found.map(str::to_owned)).collect()
}

/// Whether cargo takes a file for a target by its place in the package.
fn is_target(path: &str) -> bool {
    matches!(
        path.split('/').collect::<Vec<_>>()[..],
        ["build.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["src", "bin", _]
            | ["src", "bin", _, "main.rs"]
            | ["tests" | "benches" | "examples", _]
            | ["tests" | "benches" | "examples", _, "main.rs"]
    )
}

/// Where the modules of a file are looked for.
#[derive(Clone, Debug)]
struct Place {
    /// The folder of the file.
    folder: String,
    /// The folder of its modules.
    modules: String,
}

impl Place {
    /// Of a file that is a target, or stands for its folder.
    fn root(path: &str) -> Self {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Self { modules: folder.clone(), folder }
    }

    /// Of any other file.
    fn module(path: &str) -> Self {
        match path.strip_suffix("/mod.rs") {
            Some(_) => Self::root(path),
            None => Self { modules: path.trim_end_matches(".rs").to_owned(), ..Self::root(path) },
        }
    }
}

fn follow(tree: &Tree, path: &str, place: Place, reached: &mut BTreeSet<String>) {
    let Some(text) = tree.text(path) else {
        return;
    };
    if !reached.insert(path.to_owned()) {
        return;
    }
    for next in modules(text, &place) {
        for candidate in next {
            follow(tree, &candidate, Place::module(&candidate), reached);
        }
    }
}

/// For each `mod name;` and `include!`, the paths it may mean.
fn modules(text: &str, place: &Place) -> Vec<Vec<String>> {
    let parts = Parts::of(text);
    let declared = parts.words("mod").into_iter().filter_map(|at| {
        let name = parts.code[at + 3..].split(';').next()?.trim();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return None;
        }
        if let Some(named) = path_attribute(text, &parts.code, at) {
            return Some(vec![join(&place.folder, &named)]);
        }
        let inside = enclosing_modules(&parts.code, at);
        let folder = inside.iter().fold(place.modules.clone(), |folder, name| join(&folder, name));
        Some(vec![join(&folder, &format!("{name}.rs")), join(&folder, &format!("{name}/mod.rs"))])
    });
    let included = find_words(&parts.code, "include").into_iter().filter_map(|at| {
        let named = text[at..].strip_prefix("include!(\"")?.split('"').next()?;
        Some(vec![join(&place.folder, named)])
    });
    declared.chain(included).collect()
}

/// The path of `#[path = ".."]` before the `mod` at `at`.
fn path_attribute(text: &str, code: &str, at: usize) -> Option<String> {
    let begin = code[..at].rfind([';', '}', '{']).map_or(0, |end| end + 1);
    let attribute = begin + code[begin..at].find("#[path")?;
    text[attribute..at].split('"').nth(1).map(str::to_owned)
}

/// The names of the modules whose braces are open at `at`, the outermost first.
fn enclosing_modules(code: &str, at: usize) -> Vec<String> {
    open_heads(code, at).into_iter().filter_map(module_name).collect()
}

/// The name in `pub mod name`, before its brace.
fn module_name(head: &str) -> Option<String> {
    let mut words = head.split_whitespace().rev();
    let name = words.next()?;
    (words.next() == Some("mod")).then(|| name.to_owned())
}

/// Joins a folder and a path that may go up.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let manifest =
            ("c/Cargo.toml", "[package]\nname = \"c\"\n[[bin]]\npath = \"tool/go.rs\"\n");
        let tree = Tree::of(&[files, &[manifest]].concat());
        check(&tree).into_iter().map(|complaint| complaint.path).collect()
    }

    #[test]
    fn a_file_that_no_module_names_is_dead() {
        let files = [
            ("c/src/lib.rs", "pub mod a;\n// mod ghost;\nmod b { mod deep; }\n"),
            ("c/src/a.rs", "mod inner;\n#[path = \"odd name.rs\"]\nmod c;\n"),
            ("c/src/a/inner.rs", ""),
            ("c/src/odd name.rs", ""),
            ("c/src/b/deep.rs", "mod table;\n"),
            ("c/src/b/deep/table/mod.rs", "mod row;\ninclude!(\"../data.rs\");\n"),
            ("c/src/b/deep/table/row.rs", ""),
            ("c/src/b/deep/data.rs", ""),
            ("c/src/ghost.rs", ""),
            ("c/src/a/data.rs", ""),
        ];
        assert_eq!(dead(&files), ["c/src/a/data.rs", "c/src/ghost.rs"]);
    }

    #[test]
    fn targets_are_found_where_cargo_finds_them() {
        let files = [
            ("c/build.rs", ""),
            ("c/src/main.rs", ""),
            ("c/src/bin/one.rs", "mod near;\n"),
            ("c/src/bin/near.rs", ""),
            ("c/src/bin/two/main.rs", "mod part;\n"),
            ("c/src/bin/two/part.rs", ""),
            ("c/tests/all.rs", ""),
            ("c/tests/big/main.rs", ""),
            ("c/tests/shared/mod.rs", ""),
            ("c/benches/speed.rs", ""),
            ("c/examples/use.rs", ""),
            ("c/tool/go.rs", ""),
            ("c/tool/stop.rs", ""),
            ("outside.rs", ""),
        ];
        assert_eq!(dead(&files), ["c/tests/shared/mod.rs", "c/tool/stop.rs", "outside.rs"]);
    }
}
