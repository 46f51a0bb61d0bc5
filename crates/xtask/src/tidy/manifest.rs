//! The few facts of a `Cargo.toml` that the rules ask for, read line by line.
//!
//! House style makes that enough: one key a line, tables by their header.

use super::Tree;

/// One package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Where its `Cargo.toml` lies.
    pub(super) path: String,
    /// Its folder, with a slash at its end; empty for the root.
    pub(super) folder: String,
    /// Its name.
    pub(super) name: String,
    /// What it is built from, without what only tests need: line and package.
    pub(super) dependencies: Vec<(usize, String)>,
    /// Paths of targets that are named, from its folder.
    pub(super) targets: Vec<String>,
}

/// All packages of the tree.
pub(super) fn packages(tree: &Tree) -> Vec<Manifest> {
    let manifests =
        tree.files().filter(|(path, _)| *path == "Cargo.toml" || path.ends_with("/Cargo.toml"));
    manifests.filter_map(|(path, text)| Manifest::parse(path, text)).collect()
}

impl Manifest {
    /// Reads a manifest; `None` if it has no package.
    fn parse(path: &str, text: &str) -> Option<Self> {
        let folder = path.strip_suffix("Cargo.toml")?.to_owned();
        let mut manifest = Self { path: path.to_owned(), folder, ..Self::default() };
        let mut table = "";
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with('[') {
                table = line.trim_matches(['[', ']']);
                manifest.header(index + 1, table);
            } else if let Some((key, value)) = line.split_once('=') {
                manifest.entry(index + 1, table, key.trim(), value.trim());
            }
        }
        (!manifest.name.is_empty()).then_some(manifest)
    }

    /// `[dependencies.name]`.
    fn header(&mut self, line: usize, table: &str) {
        if let Some((before, name)) = table.rsplit_once('.')
            && is_built_from(before)
        {
            self.dependencies.push((line, name.to_owned()));
        }
    }

    fn entry(&mut self, line: usize, table: &str, key: &str, value: &str) {
        match (table, key) {
            ("package", "name") => self.name = unquoted(value).to_owned(),
            ("lib" | "bin" | "test" | "bench" | "example", "path") => {
                self.targets.push(unquoted(value).to_owned());
            }
            (table, key) if is_built_from(table) => {
                let renamed =
                    value.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
                let name = renamed.unwrap_or(key.split('.').next().unwrap_or(key));
                self.dependencies.push((line, name.to_owned()));
            }
            (table, "package") if table.rsplit_once('.').is_some_and(|(t, _)| is_built_from(t)) => {
                self.dependencies.push((line, unquoted(value).to_owned()));
            }
            _ => {}
        }
    }
}

fn is_built_from(table: &str) -> bool {
    let kind = table.rsplit('.').next().unwrap_or(table);
    matches!(kind, "dependencies" | "build-dependencies") && !table.starts_with("workspace")
}

fn unquoted(value: &str) -> &str {
    value.split('"').nth(1).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_dependency_is_read() {
        let text = "\
[package]
name = \"server\"
[[bin]]
name = \"anax\"
path = \"src/main.rs\"
[dependencies]
gate.workspace = true
other = { path = \"../x\", package = \"packed\" }
[dependencies.dash]
workspace = true
[target.'cfg(unix)'.dependencies]
libc = \"1\"
[build-dependencies]
protocol = { workspace = true }
[dev-dependencies]
testkit.workspace = true
";
        let manifest = Manifest::parse("crates/server/Cargo.toml", text).unwrap();
        let names: Vec<&str> = manifest.dependencies.iter().map(|(_, name)| &name[..]).collect();
        assert_eq!(names, ["gate", "packed", "dash", "libc", "protocol"]);
        assert_eq!(manifest.name, "server");
        assert_eq!(manifest.folder, "crates/server/");
        assert_eq!(manifest.targets, ["src/main.rs"]);
    }

    #[test]
    fn a_workspace_alone_is_no_package() {
        let text = "[workspace]\nmembers = []\n[workspace.dependencies]\ngate = { path = \"g\" }\n";
        assert_eq!(Manifest::parse("Cargo.toml", text), None);
    }
}
