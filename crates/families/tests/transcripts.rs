//! The transcripts of all commands, in process, and against a reference server where one is
//! installed.

mod in_process;

use std::path::Path;

use in_process::InProcess;
use testkit::Dialect;
use testkit::server::Oracle;
use testkit::transcript::{Run, Target, run_folder};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/transcripts");

/// The folders of the groups whose commands are here.
const GROUPS: [&str; 11] = [
    "string",
    "bitmap",
    "list",
    "set",
    "hash",
    "sorted_set",
    "geo",
    "stream",
    "array",
    "hyperloglog",
    "generic",
];

fn run_in_process(shards: usize, dialect: Dialect) {
    let run = Run { target: Target::anax(), dialect };
    for folder in GROUPS.map(|group| Path::new(FOLDER).join(group)) {
        if folder.exists() {
            let report = run_folder(&folder, &run, || InProcess::new(shards))
                .expect("the folder can be read");
            report.assert_clean();
        }
    }
}

#[test]
fn one_shard_answers_in_resp2() {
    run_in_process(1, Dialect::Resp2);
}

#[test]
fn one_shard_answers_in_resp3() {
    run_in_process(1, Dialect::Resp3);
}

#[test]
fn many_shards_answer_in_resp2() {
    run_in_process(64, Dialect::Resp2);
}

#[test]
fn many_shards_answer_in_resp3() {
    run_in_process(64, Dialect::Resp3);
}

#[test]
fn the_reference_server_answers_as_the_transcripts_say() {
    let Some(oracle) = Oracle::find() else { return };
    for dialect in [Dialect::Resp2, Dialect::Resp3] {
        let run = Run { target: oracle.target().clone(), dialect };
        // No reference server has arrays.
        let groups = GROUPS.into_iter().filter(|&group| group != "array");
        for folder in groups.map(|group| Path::new(FOLDER).join(group)) {
            let report = run_folder(&folder, &run, || oracle.executor());
            report.expect("the folder can be read").assert_clean();
        }
    }
}

#[test]
fn every_command_has_a_transcript() {
    for command in families::FAMILIES.iter().flat_map(|family| family.iter()) {
        let file = format!("{}.txt", command.name.to_lowercase());
        let found = GROUPS.iter().any(|group| Path::new(FOLDER).join(group).join(&file).exists());
        assert!(found, "{file}");
    }
}
