//! A client that takes from queues, and waits for what is not there yet.

use std::sync::Barrier;

use testkit::serializability::{Step, Transaction};
use testkit::{Client, Value};

use crate::act::{element, elements, is_nothing, items, moved};
use crate::player::{MOVED, QUEUES, queue};
use crate::recorder::Recorder;

/// What consumers wait for beside the queues, to end.
const STOP: &str = "stop";

/// Where elements end that are moved twice: a list that nobody takes from.
const DONE: &str = "done";

/// Takes until it is told to stop.
pub(crate) fn consume(mut recorder: Recorder<'_>, start: &Barrier) -> Vec<Transaction> {
    start.wait();
    while take(&mut recorder) {}
    recorder.into_history()
}

/// Stops so many consumers.
pub(crate) fn stop(client: &mut Client, consumers: usize) {
    for _ in 0..consumers {
        client.command(&["RPUSH", STOP, "0"]).expect("the server answers");
    }
}

/// Takes in one of several ways, most of which are soon tired of waiting; `false`: it is to stop.
fn take(recorder: &mut Recorder<'_>) -> bool {
    let first = recorder.random.below(QUEUES);
    let [one, other] = [first, (first + 1) % QUEUES].map(queue);
    match recorder.random.below(7) {
        0 => {
            let line = format!("BLPOP {STOP} {one} {MOVED} {other} 0");
            recorder.once("BLPOP", &line, |reply| popped(&[], reply))
        }
        1 => {
            let line = format!("BLPOP {one} {MOVED} {other} 0.001");
            recorder.once("BLPOP", &line, |reply| popped(&[&one, MOVED, &other], reply))
        }
        2 => {
            let line = format!("BLMPOP 0.002 2 {one} {other} LEFT COUNT 3");
            recorder.once("BLMPOP", &line, |reply| popped(&[&one, &other], reply))
        }
        3 => {
            let line = format!("LMPOP 2 {MOVED} {one} LEFT COUNT 2");
            recorder.once("LMPOP", &line, |reply| popped(&[MOVED, &one], reply))
        }
        4 | 5 => {
            let line = format!("BLMOVE {one} {MOVED} LEFT RIGHT 0.001");
            recorder.once("BLMOVE", &line, |reply| Some(moved(&one, MOVED, reply)))
        }
        _ => {
            let line = format!("BLMOVE {MOVED} {DONE} LEFT RIGHT 0.002");
            recorder.once("BLMOVE", &line, |reply| Some(moved(MOVED, DONE, reply)))
        }
    }
}

/// What was taken from one of several queues; `None`: it is to stop.
fn popped(queues: &[&str], reply: &Value) -> Option<Vec<Step>> {
    if is_nothing(reply) {
        assert!(!queues.is_empty(), "it was to wait for ever");
        return Some(queues.iter().map(|&queue| Step::Take(queue.into(), None)).collect());
    }
    let [key, taken] = items(reply) else { panic!("{reply} is no key and what was taken") };
    let key = String::from_utf8_lossy(key.as_bytes().expect("a key")).into_owned();
    let values = match taken {
        Value::Array(_) => elements(taken),
        one => element(one).into_iter().collect(),
    };
    let steps = || values.into_iter().map(|value| Step::Take(key.clone(), Some(value))).collect();
    (key != STOP).then(steps)
}
