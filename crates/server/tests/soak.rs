//! Random commands, sent to the server and to a model of it in step.
//!
//! The server's clock is stopped, so both show the same time and it passes only when both are
//! told. Once command by command, over two connections, where a difference is cut down to a short
//! history; and once in pipelines of many commands, which the server runs as batches. At the end
//! both must hold the same keys, values and deadlines.
//!
//! `ANAX_SOAK_SEEDS=200` makes a longer run, `ANAX_SOAK_SEEDS=7..8` repeats one seed.

mod anax;

use std::collections::BTreeSet;
use std::env;
use std::ops::Range;

use anax::{NARROW, Shape, WIDE};
use testkit::executor::{Executor, MAIN, Passing};
use testkit::model::{DATABASES, Flavour, Model};
use testkit::notation;
use testkit::random::{Action, Clocks, Generator, Random, Word, compare};
use testkit::server::ServerProcess;
use testkit::{SocketExecutor, Value};

/// Which seeds are run if nobody says so.
const SEEDS: Range<u64> = 0..8;

/// Commands of a seed that are sent one by one.
const COMMANDS: usize = 8_000;

/// Pipelines of a seed.
const PIPELINES: usize = 600;

/// Commands of one pipeline.
const PIPELINE_MAX: u64 = 150;

fn seeds() -> Range<u64> {
    let Ok(text) = env::var("ANAX_SOAK_SEEDS") else { return SEEDS };
    let number = |text: &str| text.parse().expect("ANAX_SOAK_SEEDS is a number or a range");
    match text.split_once("..") {
        Some((start, end)) => number(start)..number(end),
        None => 0..number(&text),
    }
}

fn model(now_ms: u64) -> Model {
    Model::like(Flavour::Anax, now_ms)
}

fn executor(server: &ServerProcess) -> SocketExecutor {
    SocketExecutor::new(server.address(), Passing::Command)
}

fn run(executor: &mut dyn Executor, line: &str) -> Value {
    executor.run(MAIN, &notation::words(line))
}

/// Stops the server's clock, if it goes, and reads it.
fn stopped_at(server: &ServerProcess) -> u64 {
    let now = run(&mut executor(server), "DEBUG STOP-TIME");
    let now = now.as_integer().unwrap_or_else(|| panic!("the clock says {now}"));
    u64::try_from(now).expect("it is later than 1970")
}

/// Every key of the selected database, as SCAN tells them.
fn scan(executor: &mut dyn Executor) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let command = [b"SCAN".to_vec(), cursor];
        let reply = executor.run(MAIN, &command);
        let Value::Array(parts) = &reply else { panic!("{reply}") };
        let [next, Value::Array(found)] = &parts[..] else { panic!("{reply}") };
        keys.extend(found.iter().filter_map(Value::as_bytes).map(<[u8]>::to_vec));
        cursor = next.as_bytes().expect("a cursor is a string").to_vec();
        if cursor == b"0" {
            return keys;
        }
    }
}

/// Compares all that both hold.
fn assert_same_keys(seed: u64, model: &mut dyn Executor, anax: &mut dyn Executor) {
    for database in 0..DATABASES {
        let select = format!("SELECT {database}");
        assert_eq!((run(model, &select), run(anax, &select)), (Value::ok(), Value::ok()));
        let keys = scan(anax);
        let count = run(model, "DBSIZE").as_integer();
        assert_eq!(Some(keys.len() as i64), count, "seed {seed}, database {database}: {keys:?}");
        // What has expired is counted until somebody meets it.
        assert!(run(anax, "DBSIZE").as_integer() >= count, "seed {seed}, database {database}");
        for key in &keys {
            for look in ["GET", "PTTL", "PEXPIRETIME", "STRLEN"] {
                let command = [look.into(), key.clone()];
                let given = anax.run(MAIN, &command);
                assert_eq!(
                    model.run(MAIN, &command),
                    given,
                    "seed {seed}, {}",
                    notation::join(&command)
                );
            }
        }
    }
}

fn soak_command_by_command(shape: Shape) {
    let server = shape.start();
    for seed in seeds() {
        let now_ms = stopped_at(&server);
        let (mut model, mut anax) = (model(now_ms), executor(&server));
        if let Err(difference) = compare(seed, COMMANDS, now_ms, &mut model, &mut anax) {
            panic!("the model (first) and the server differ: {difference}");
        }
        assert_same_keys(seed, &mut model, &mut anax);
    }
}

#[test]
fn one_shard_does_as_the_model_does() {
    soak_command_by_command(NARROW);
}

#[test]
fn many_shards_do_as_the_model_does() {
    soak_command_by_command(WIDE);
}

/// Commands that are sent at once, and how long nothing happens after them, in ms.
fn pipeline(generator: &mut Generator, commands: u64, now_ms: u64) -> (Vec<Vec<Vec<u8>>>, u64) {
    let mut pipeline = Vec::new();
    for _ in 0..commands {
        match generator.action() {
            Action::Run { words, .. } => {
                pipeline.push(words.iter().map(|word| bytes(word, now_ms)).collect());
            }
            // Time cannot pass within a pipeline; most of what is drawn is a few seconds.
            Action::Advance(ms) if pipeline.len() > 20 => return (pipeline, ms),
            Action::Advance(_) => {}
        }
    }
    (pipeline, 0)
}

fn bytes(word: &Word, now_ms: u64) -> Vec<u8> {
    let now_ms = now_ms as i64;
    match word {
        Word::Bytes(bytes) => bytes.clone(),
        Word::MsFromNow(ms) => (now_ms + ms).to_string().into_bytes(),
        Word::SecondsFromNow(seconds) => (now_ms / 1000 + seconds).to_string().into_bytes(),
    }
}

fn soak_in_pipelines(shape: Shape) {
    let server = shape.start();
    for seed in seeds() {
        let mut now_ms = stopped_at(&server);
        let (mut model, mut anax) = (model(now_ms), executor(&server));
        anax.clear();
        let mut generator = Generator::new(seed, Clocks::Told);
        let mut random = Random::new(seed);
        for nth in 0..PIPELINES {
            let length = 1 + random.below(PIPELINE_MAX);
            let (commands, rest_ms) = pipeline(&mut generator, length, now_ms);
            let client = anax.client(MAIN).expect("it listens");
            let replies = client.pipeline(&commands).expect("the server answers");
            for (command, given) in commands.iter().zip(replies) {
                let said = notation::join(command);
                assert_eq!(model.run(MAIN, command), given, "seed {seed}, pipeline {nth}: {said}");
            }
            if rest_ms > 0 {
                model.advance(rest_ms);
                anax.advance(rest_ms);
                now_ms += rest_ms;
            }
        }
        assert_same_keys(seed, &mut model, &mut anax);
    }
}

#[test]
fn one_shard_does_pipelines_as_the_model_does() {
    soak_in_pipelines(NARROW);
}

#[test]
fn many_shards_do_pipelines_as_the_model_does() {
    soak_in_pipelines(WIDE);
}
