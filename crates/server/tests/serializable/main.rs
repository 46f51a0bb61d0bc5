//! Whatever many clients do at once, it could have happened one transaction at a time.
//!
//! Clients add unique elements to a few lists and read them, several lists in one transaction, in
//! every way in which the server knows transactions: commands over several keys, EXEC with and
//! without WATCH, scripts and functions that keep to their keys or do not, and all of that in
//! pipelines. Meanwhile others wait for the elements of queues and move them on. What they all saw
//! is judged by [`testkit::serializability`], with the method of Elle (Kingsbury and Alvaro, VLDB
//! 2020).
//!
//! Everything is counted and nothing is timed. That clients do meet is left to chance, but to a
//! good one: they begin together, and all are at the same few keys.
//!
//! `ANAX_SERIALIZABLE_SEEDS=200` makes a longer run, `ANAX_SERIALIZABLE_SEEDS=7..8` repeats what
//! the clients of one seed do, though not how they meet.

#[path = "../anax/mod.rs"]
mod anax;

mod act;
mod consumer;
mod player;
mod recorder;
mod script;

use std::collections::BTreeSet;
use std::env;
use std::ops::Range;
use std::sync::Barrier;
use std::thread;

use act::Act;
use anax::{AWAY, NARROW, Shape, WIDE};
use recorder::Recorder;
use testkit::linearizability::Counter;
use testkit::serializability::{Step, Transaction, check};
use testkit::server::ServerProcess;

/// Which seeds are run if nobody says so.
const SEEDS: Range<u64> = 0..2;

/// Clients that do all sorts of transactions, and how many each.
const PLAYERS: usize = 6;
const ROUNDS: usize = 600;

/// Clients that take from queues.
const CONSUMERS: usize = 3;

/// Many meet at each gate, and few hold all.
const CROWDED: Shape = Shape { workers: 4, shards: 4, away: false };

/// Every way of a transaction that must have been gone.
const WAYS: [&str; 13] = [
    "alone",
    "EXEC",
    "EXEC after WATCH",
    "MSET after WATCH",
    "EVAL",
    "EVAL, strays",
    "EVAL_RO",
    "EVAL in EXEC",
    "FCALL",
    "FCALL, strays",
    "FCALL_RO",
    "BLPOP",
    "BLMOVE",
];

fn seeds() -> Range<u64> {
    let Ok(text) = env::var("ANAX_SERIALIZABLE_SEEDS") else { return SEEDS };
    let number = |text: &str| text.parse().expect("it is a number or a range");
    match text.split_once("..") {
        Some((start, end)) => number(start)..number(end),
        None => 0..number(&text),
    }
}

/// Lets all clients work at the same time; what happened, and at last what there is.
fn history(server: &ServerProcess, seed: u64) -> Vec<Transaction> {
    let (times, start) = (&Counter::default(), &Barrier::new(PLAYERS + CONSUMERS));
    let recorder = |number| Recorder::new(server, number, seed, times);
    let mut history = thread::scope(|scope| {
        let players: Vec<_> = (0..PLAYERS)
            .map(|number| {
                let recorder = recorder(number);
                scope.spawn(move || player::play(recorder, start, ROUNDS))
            })
            .collect();
        let consumers: Vec<_> = (PLAYERS..PLAYERS + CONSUMERS)
            .map(|number| {
                let recorder = recorder(number);
                scope.spawn(move || consumer::consume(recorder, start))
            })
            .collect();
        let join = |done: thread::ScopedJoinHandle<'_, Vec<Transaction>>| {
            done.join().unwrap_or_else(|_| panic!("a client of seed {seed} met what it cannot be"))
        };
        let mut history: Vec<Transaction> = players.into_iter().flat_map(join).collect();
        consumer::stop(&mut server.client().expect("it listens"), CONSUMERS);
        history.extend(consumers.into_iter().flat_map(join));
        history
    });
    let mut last = recorder(PLAYERS + CONSUMERS);
    last.each(reads_of_all(&history));
    history.extend(last.into_history());
    history
}

/// Reads all that a history names.
fn reads_of_all(history: &[Transaction]) -> Vec<Act> {
    let steps = history.iter().flat_map(|transaction| &transaction.steps);
    let keys: BTreeSet<&str> = steps.map(Step::key).collect();
    keys.into_iter().map(Act::read).collect()
}

fn judge(shape: Shape) {
    for seed in seeds() {
        let history = history(&shape.start(), seed);
        if let Err(anomaly) = check(&history) {
            panic!("seed {seed}, {shape:?}: {anomaly}");
        }
        let happened = history.iter().filter(|transaction| transaction.happened);
        let ways: BTreeSet<&str> = happened.map(|transaction| transaction.how).collect();
        let missing: Vec<&str> = WAYS.into_iter().filter(|way| !ways.contains(way)).collect();
        assert!(missing.is_empty(), "seed {seed}, {shape:?}: nobody did {missing:?}");
    }
}

#[test]
fn transactions_happen_one_at_a_time_where_all_keys_meet() {
    judge(NARROW);
}

#[test]
fn transactions_happen_one_at_a_time_on_few_shards() {
    judge(CROWDED);
}

#[test]
fn transactions_happen_one_at_a_time_on_many_shards() {
    judge(WIDE);
}

#[test]
fn transactions_happen_one_at_a_time_away_from_their_workers() {
    judge(AWAY);
}
