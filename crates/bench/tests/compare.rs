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
    let progress = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = progress.lines().filter(|line| line.ends_with(" left")).collect();
    assert!(lines[0].starts_with("start: broken; 0 s passed, about "), "{progress}");
    assert!(lines[1].starts_with("start: lost; "), "{progress}");
    let page = fs::read_to_string(folder.0.join("results.md")).expect("the results are written");
    assert!(page.starts_with("# Servers side by side, 2001-02-03\n"), "{page}");
    assert!(page.contains("- broken, start: ended at once"), "{page}");
    assert!(page.contains("- lost, start: does not start"), "{page}");
    assert!(page.contains("| Time of a cell | 1 s |"), "{page}");
    let json = fs::read_to_string(folder.0.join("results.json")).expect("the results are written");
    assert!(json.starts_with("{\"date\":\"2001-02-03\""), "{json}");
}

#[test]
fn every_section_bears_servers_that_do_not_start() {
    let folder = Folder::new("sections");
    let output = compare(&folder)
        .args(["--server", "broken=/bin/false PORT", "--quick", "--cell-seconds", "0.05"])
        .output()
        .expect("the program is built");
    assert!(output.status.success());
    let page = fs::read_to_string(folder.0.join("results.md")).expect("the results are written");
    for note in [
        "- broken, start: ",
        "- broken, 64 B with TTL: ",
        "- broken, start with 1 worker: ",
        "- broken, SPOP, one set: ",
        "- broken, start with 2 workers: ",
        "- broken, how fast keys come in: ",
    ] {
        assert!(page.contains(note), "{note}: {page}");
    }
    assert!(page.contains("| Time of a cell | 0.05 s |"), "{page}");
    assert!(!folder.0.join("stall.svg").exists());
}

#[test]
fn without_any_server_there_is_nothing_to_compare() {
    let folder = Folder::new("nothing");
    let output = compare(&folder).output().expect("the program is built");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No server was found"));
    assert!(!folder.0.exists());
}
