//! The comparison, as far as it goes without any server installed.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command};

/// A folder that is removed when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("anax-compare-test-{}-{name}", process::id()));
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program without the servers of this machine.
fn compare(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anax-benchmark"));
    command.arg("compare").arg("--out").arg(&folder.0);
    command.args(["--without", "anax,valkey,redis,redis8,keydb,dragonfly"]);
    command
}

#[test]
fn a_server_that_does_not_start_is_noted_and_the_rest_goes_on() {
    let folder = Folder::new("noted");
    let output = compare(&folder)
        .args(["--server", "broken=/bin/false PORT", "--server", "lost=/no/such PORT"])
        .args(["--only", "start", "--rounds", "1", "--date", "2001-02-03"])
        .output()
        .expect("the program is built");
    assert!(output.status.success());
    let page = fs::read_to_string(folder.0.join("results.md")).expect("the results are written");
    assert!(page.starts_with("# Servers side by side, 2001-02-03\n"), "{page}");
    assert!(page.contains("- broken, start: ended at once"), "{page}");
    assert!(page.contains("- lost, start: does not start"), "{page}");
    let json = fs::read_to_string(folder.0.join("results.json")).expect("the results are written");
    assert!(json.starts_with("{\"date\":\"2001-02-03\""), "{json}");
}

#[test]
fn without_any_server_there_is_nothing_to_compare() {
    let folder = Folder::new("nothing");
    let output = compare(&folder).output().expect("the program is built");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No server was found"));
    assert!(!folder.0.exists());
}
