//! The transcripts of all commands, over sockets, however the server is cut up.
//!
//! A command has a file of its name, `tests/transcripts/GROUP/COMMAND.txt`; a subcommand is said
//! in some file.

mod anax;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anax::{AWAY, NARROW, Shape, WIDE};
use command::Command;
use testkit::executor::Passing;
use testkit::transcript::{Run, Target, run_folder};
use testkit::{Dialect, SocketExecutor};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/transcripts");

fn run_on(shape: Shape, dialect: Dialect) {
    let server = shape.start();
    // Replies that tell the time left do so to the millisecond.
    let mut control = server.client().expect("it listens");
    let stopped = control.command(&["DEBUG", "STOP-TIME"]).expect("it answers");
    assert!(stopped.as_integer().is_some(), "{stopped}");
    let run = Run { target: Target::anax(), dialect };
    let executor = || SocketExecutor::new(server.address(), Passing::Command);
    run_folder(FOLDER, &run, executor).expect("the folder can be read").assert_clean();
}

#[test]
fn one_shard_answers_in_resp2() {
    run_on(NARROW, Dialect::Resp2);
}

#[test]
fn one_shard_answers_in_resp3() {
    run_on(NARROW, Dialect::Resp3);
}

#[test]
fn many_shards_answer_in_resp2() {
    run_on(WIDE, Dialect::Resp2);
}

#[test]
fn many_shards_answer_in_resp3() {
    run_on(WIDE, Dialect::Resp3);
}

#[test]
fn commands_that_leave_their_worker_answer_in_resp2() {
    run_on(AWAY, Dialect::Resp2);
}

#[test]
fn commands_that_leave_their_worker_answer_in_resp3() {
    run_on(AWAY, Dialect::Resp3);
}

/// The files of all groups.
fn files() -> Vec<PathBuf> {
    let list = |folder: &Path| fs::read_dir(folder).expect("the folder can be read");
    let groups = list(Path::new(FOLDER)).map(|group| group.expect("it can be read").path());
    groups.flat_map(|group| list(&group).map(|file| file.expect("it can be read").path())).collect()
}

/// The rows of all commands.
fn rows() -> impl Iterator<Item = &'static Command> {
    let families = families::FAMILIES.iter().flat_map(|family| family.iter());
    let own = server::commands::ROWS.iter().flat_map(|rows| rows.iter());
    families.chain(own.map(|row| &row.command))
}

#[test]
fn every_command_has_a_transcript() {
    let names: BTreeSet<String> = files()
        .iter()
        .filter_map(|file| Some(file.file_name()?.to_str()?.strip_suffix(".txt")?.to_owned()))
        .collect();
    let silent: Vec<&str> =
        rows().map(|row| row.name).filter(|name| !names.contains(&name.to_lowercase())).collect();
    assert!(silent.is_empty(), "without a file: {silent:?}");
}

#[test]
fn every_subcommand_is_said_in_a_transcript() {
    let said: BTreeSet<String> = files()
        .iter()
        .map(|file| fs::read_to_string(file).expect("it is text"))
        .flat_map(|text| text.lines().filter_map(spoken).collect::<Vec<_>>())
        .collect();
    let silent: Vec<String> = rows()
        .flat_map(|row| row.subcommands.iter().map(|sub| format!("{} {}", row.name, sub.name)))
        .filter(|name| !said.contains(name))
        .collect();
    assert!(silent.is_empty(), "in no file: {silent:?}");
}

/// The first two words of a line that a client says, in capitals.
fn spoken(line: &str) -> Option<String> {
    let (_, command) = line.split_once("> ")?;
    let mut words = command.split(' ').map(str::to_uppercase);
    Some(format!("{} {}", words.next()?, words.next()?))
}
