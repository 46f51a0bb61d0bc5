//! Which crate may be built from which: arrows go one way.
//!
//! What only tests need is free.

use super::manifest::{Manifest, packages};
use super::{Complaint, Tree};

/// Each crate, and the crates of ours that it may be built from.
const ALLOWED: &[(&str, &[&str])] = &[
    ("gate", &[]),
    ("protocol", &[]),
    ("memory", &[]),
    ("packed", &["memory"]),
    ("dash", &["memory"]),
    ("tree", &[]),
    ("rdb", &[]),
    ("value", &["dash", "rdb", "tree"]),
    ("keyspace", &["gate", "packed", "dash", "value"]),
    ("command", &["keyspace", "protocol"]),
    ("families", &["command", "keyspace", "protocol", "packed", "rdb", "value"]),
    ("script", &["protocol"]),
    (
        "server",
        &[
            "gate", "protocol", "memory", "packed", "dash", "keyspace", "command", "families",
            "config", "rdb", "script",
        ],
    ),
    ("config", &[]),
    ("bench", &[]),
    ("testkit", &[]),
    ("xtask", &[]),
];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let packages = packages(tree);
    let ours = packages.iter().filter(|package| package.folder.starts_with("crates/"));
    ours.flat_map(|package| arrows(package, &packages)).collect()
}

fn arrows(package: &Manifest, packages: &[Manifest]) -> Vec<Complaint> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
        let what = format!("`{}` is not in the table of crate arrows", package.name);
        return vec![Complaint::new(&package.path, 0, what)];
    };
    let is_ours = |name: &str| packages.iter().any(|package| package.name == name);
    let wrong = package
        .dependencies
        .iter()
        .filter(|(_, name)| is_ours(name) && !allowed.contains(&name.as_str()));
    wrong
        .map(|(line, name)| {
            let what = format!("`{}` may not be built from `{name}`", package.name);
            Complaint::new(&package.path, *line, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(name: &str, dependencies: &str) -> Vec<String> {
        let own = format!("[package]\nname = \"{name}\"\n{dependencies}");
        let gate = "[package]\nname = \"gate\"\n";
        let path = format!("crates/{name}/Cargo.toml");
        let tree = Tree::of(&[(&path, &own), ("crates/gate/Cargo.toml", gate)]);
        check(&tree).iter().map(Complaint::to_string).collect()
    }

    #[test]
    fn an_arrow_goes_one_way() {
        assert!(complaints("keyspace", "[dependencies]\ngate.workspace = true\n").is_empty());
        let wrong = complaints("protocol", "[dependencies]\ngate.workspace = true\n");
        assert_eq!(
            wrong,
            ["crates/protocol/Cargo.toml:4: `protocol` may not be built from `gate`"]
        );
    }

    #[test]
    fn what_tests_need_is_free() {
        assert!(complaints("protocol", "[dev-dependencies]\ngate.workspace = true\n").is_empty());
        assert!(complaints("protocol", "[dependencies]\nmemchr.workspace = true\n").is_empty());
    }

    #[test]
    fn a_new_crate_needs_a_line_in_the_table() {
        let unknown = complaints("misc", "");
        assert_eq!(unknown, ["crates/misc/Cargo.toml: `misc` is not in the table of crate arrows"]);
    }

    #[test]
    fn the_table_has_no_circle() {
        let place = |name: &str| ALLOWED.iter().position(|(crate_name, _)| *crate_name == name);
        for (name, allowed) in ALLOWED.iter().filter(|(name, _)| *name != "server") {
            assert!(allowed.iter().all(|below| place(below) < place(name)), "{name}");
        }
    }
}
