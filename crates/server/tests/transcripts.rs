//! The transcripts of the server's own commands over sockets, with one worker and with two, and
//! against a reference server where one is installed.

use std::path::{Path, PathBuf};

use testkit::executor::Passing;
use testkit::server::{Oracle, ServerProcess};
use testkit::transcript::{Run, Target, run_folder};
use testkit::{Dialect, SocketExecutor};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/transcripts");

/// The folders of the groups whose commands are here.
const GROUPS: [&str; 1] = ["connection"];

fn folders() -> [PathBuf; 1] {
    GROUPS.map(|group| Path::new(FOLDER).join(group))
}

fn run_over_sockets(workers: usize, dialect: Dialect) {
    let workers = format!("--proactor_threads={workers}");
    let flags = ["--port={port}", &workers];
    let binary = Path::new(env!("CARGO_BIN_EXE_anax"));
    let server = ServerProcess::start(binary, &flags).expect("the server starts");
    let run = Run { target: Target::anax(), dialect };
    for folder in folders() {
        let executor = || SocketExecutor::new(server.address(), Passing::Command);
        run_folder(&folder, &run, executor).expect("the folder can be read").assert_clean();
    }
}

#[test]
fn one_worker_answers_in_resp2() {
    run_over_sockets(1, Dialect::Resp2);
}

#[test]
fn one_worker_answers_in_resp3() {
    run_over_sockets(1, Dialect::Resp3);
}

#[test]
fn two_workers_answer_in_resp2() {
    run_over_sockets(2, Dialect::Resp2);
}

#[test]
fn two_workers_answer_in_resp3() {
    run_over_sockets(2, Dialect::Resp3);
}

#[test]
fn the_reference_server_answers_as_the_transcripts_say() {
    let Some(oracle) = Oracle::find() else { return };
    for dialect in [Dialect::Resp2, Dialect::Resp3] {
        let run = Run { target: oracle.target().clone(), dialect };
        for folder in folders() {
            let report = run_folder(&folder, &run, || oracle.executor());
            report.expect("the folder can be read").assert_clean();
        }
    }
}
