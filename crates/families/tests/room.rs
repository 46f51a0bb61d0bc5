//! What commands leave behind when there is no room left: nothing changes that nobody is told of,
//! and no collection stays that is empty.
//!
//! Records of each class lie in regions of their own. Once a shard may have no more regions, a
//! collection can neither grow nor shrink beyond the class of its record. Then commands change
//! several elements at once, and some of them get half way.

mod in_process;

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};

use in_process::InProcess;
use keyspace::{Effect, Mode, Plan, Publication, Sink};
use testkit::Value;
use testkit::executor::{Executor, MAIN};
use testkit::notation::words;

struct Recorder(Sender<Vec<u8>>);

impl Sink for Recorder {
    fn publish(&self, publication: &Publication<'_>) {
        for change in publication.changes().filter(|change| change.effect != Effect::Nothing) {
            self.0.send(change.key.to_vec()).expect("the test listens");
        }
    }
}

fn run(server: &mut InProcess, line: &str) -> Value {
    server.run(MAIN, &words(line))
}

/// A shard that holds what `prepare` makes and has no room for records of other classes.
fn full(prepare: &[String]) -> (InProcess, Receiver<Vec<u8>>) {
    let mut server = InProcess::new(1);
    for line in prepare {
        let reply = run(&mut server, line);
        assert!(!reply.is_error(), "{line}: {reply:?}");
    }
    let frame = server.frame(0);
    let view = server.keyspace.try_enter(frame, &Plan::All, Mode::Exclusive);
    let mut view = view.expect("nobody else enters");
    view.limit_room(0);
    let _ = view.publish();
    let (sender, told) = channel();
    assert!(server.keyspace.set_sink(Box::new(Recorder(sender))));
    (server, told)
}

/// Everything that a key holds.
fn contents(server: &mut InProcess, key: &str) -> Value {
    let line = match run(server, &format!("TYPE {key}")) {
        Value::Simple(kind) => match &kind[..] {
            b"set" => format!("SMEMBERS {key}"),
            b"hash" => format!("HGETALL {key}"),
            b"zset" => format!("ZRANGE {key} 0 -1 WITHSCORES"),
            b"list" => format!("LRANGE {key} 0 -1"),
            _ => return Value::Nil,
        },
        other => panic!("{other:?}"),
    };
    let all = run(server, &line);
    assert!(!matches!(&all, Value::Array(none) if none.is_empty()), "{key} is empty, but there");
    all
}

/// Texts of a length, with something before each.
fn texts(before: &str, count: usize, len: usize) -> String {
    (0..count).map(|number| format!(" {before}m{number:0len$}")).collect()
}

/// Runs a command where there is no room; tells whether it was refused half way.
fn is_half_done(prepare: &[String], line: &str) -> bool {
    let (mut server, told) = full(prepare);
    let before = ["key", "other"].map(|key| contents(&mut server, key));
    let reply = run(&mut server, line);
    let told: BTreeSet<Vec<u8>> = told.try_iter().collect();
    let mut changed = false;
    for (key, before) in ["key", "other"].iter().zip(before) {
        let now = contents(&mut server, key);
        let is_told = told.contains(key.as_bytes());
        assert!(is_told || now == before, "{line}: {key} changed, {reply:?}");
        // Of a deadline nothing is seen in the contents.
        assert!(!is_told || now != before || !reply.is_error(), "{line}: {key} is as it was");
        changed |= now != before;
    }
    reply.is_error() && changed
}

#[test]
fn what_was_done_before_a_refusal_is_told() {
    let mut half_done = BTreeSet::new();
    for count in 3..24 {
        // Short ones, of which several fit to one class, and long ones.
        for len in [1, 12] {
            let plain = texts("", count, len);
            let pairs = texts("v ", count, len);
            let scored = texts("1 ", count, len);
            let set = [format!("SADD key{plain}"), format!("SADD other{plain}")];
            let hash = [format!("HSET key{pairs} v last")];
            let zset = [format!("ZADD key{scored}")];
            let list = [format!("RPUSH key{plain}"), format!("RPUSH other{plain}")];
            let few = texts("", count - 1, len);
            let long = texts("w ", count, len + 9);
            let cases = [
                (&set[..], format!("SREM key{few}")),
                (&set, format!("SPOP key {}", count - 1)),
                (&set, format!("SMOVE key other m{:0len$}", 0)),
                (&set[..1], format!("SMOVE key other m{:0len$}", 0)),
                (&set, format!("SADD key{}", texts("n", count, len))),
                (&hash, format!("HDEL key{}", texts("", 1, len))),
                (&hash, format!("HSET key v x{} ", texts("v ", count, len + 5))),
                (&hash, format!("HSET key{}", swapped(count, len))),
                (&hash, "HGETDEL key FIELDS 1 v".to_owned()),
                (&hash, format!("HSETEX key EX 9 FIELDS {count}{long}")),
                (&hash, "HEXPIRE key 9 FIELDS 1 v".to_owned()),
                (&zset, format!("ZREM key{few}")),
                (&zset, format!("ZADD key{}", texts("2 ", count * 2, len))),
                (&zset, format!("ZPOPMIN key {}", count - 1)),
                (&list, "LMOVE key other LEFT LEFT".to_owned()),
                (&list, format!("LPOP key {}", count - 1)),
                (&list, format!("LREM key 0 m{:0len$}", 0)),
                (&[], format!("HSET key v {}", "w".repeat(100))),
                (&[], "HSETEX key EX 9 FIELDS 1 v w".to_owned()),
                (&[], format!("ZADD key 1 {}", "w".repeat(100))),
                (&[], format!("SADD key {}", "w".repeat(100))),
                (&[], format!("GEOADD key{}", texts("1 1 ", 150, len))),
            ];
            for (prepare, line) in &cases {
                if is_half_done(prepare, line) {
                    half_done.insert(line.split(' ').next().map(str::to_owned));
                }
            }
        }
    }
    let expected = ["HSET", "SADD"];
    let missing: Vec<_> =
        expected.iter().filter(|name| !half_done.contains(&Some((**name).to_owned()))).collect();
    assert!(missing.is_empty(), "no case of {missing:?} stops half way: {half_done:?}");
}

/// Fields of their own with long values.
fn swapped(count: usize, len: usize) -> String {
    (0..count).map(|number| format!(" f{number} {}", "w".repeat(len))).collect()
}
