//! What many clients at once may see of each other.
//!
//! Every command is strictly serialisable. Histories of a few clients are judged as a whole, by
//! [`testkit::linearizability`]; longer ones by what must hold whatever the order was.
//!
//! Everything is counted and nothing is timed. That clients do meet is left to chance, but to a
//! good one: they begin together and do thousands of things.

mod anax;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::thread;

use anax::{AWAY, NARROW, WIDE};
use testkit::linearizability::{Counter, Event, EventOf, Op, Strings, check};
use testkit::random::Random;
use testkit::server::ServerProcess;
use testkit::{Client, Value};

type History = Vec<EventOf<Strings>>;

/// How many commands that write over many keys name.
const WIDTH: usize = 10;

/// Lets so many clients work at the same time; what each of them returns.
fn together<T: Send>(
    server: &ServerProcess,
    clients: usize,
    work: impl Fn(usize, &mut Client) -> T + Sync,
) -> Vec<T> {
    let connections: Vec<Client> =
        (0..clients).map(|_| server.client().expect("it listens")).collect();
    let (start, work) = (&Barrier::new(clients), &work);
    thread::scope(|scope| {
        let begin = |(client, mut connection): (usize, Client)| {
            scope.spawn(move || {
                start.wait();
                work(client, &mut connection)
            })
        };
        let tasks: Vec<_> = connections.into_iter().enumerate().map(begin).collect();
        tasks.into_iter().map(|task| task.join().expect("a client's claim failed")).collect()
    })
}

/// Sends a command as it would be typed, without quotes.
fn say(client: &mut Client, line: &str) -> Value {
    let words: Vec<&str> = line.split(' ').collect();
    client.command(&words).expect("the server answers")
}

fn number(reply: &Value) -> i64 {
    let number = reply.as_integer().or_else(|| {
        let text = std::str::from_utf8(reply.as_bytes()?).ok()?;
        text.parse().ok()
    });
    number.unwrap_or_else(|| panic!("{reply} is no number"))
}

fn items(reply: Value) -> Vec<Value> {
    match reply {
        Value::Array(items) => items,
        other => panic!("{other} is no array"),
    }
}

/// The keys of a test that concerns many shards.
fn many_keys() -> String {
    (0..WIDTH).map(|n| format!(" wide:{n}")).collect()
}

/// `command` with all of [`many_keys`], each with `value`.
fn with_pairs(command: &str, value: &str) -> String {
    let pairs = (0..WIDTH).map(|n| format!(" wide:{n} {value}"));
    std::iter::once(command.to_owned()).chain(pairs).collect()
}

/// The one value that all keys of an MGET have.
fn untorn(reply: Value) -> Value {
    let values = items(reply);
    assert_eq!(values.len(), WIDTH);
    assert!(values.iter().all(|value| *value == values[0]), "a torn set: {values:?}");
    values[0].clone()
}

/// Sends operations at once and notes what came of them.
fn note(client: usize, connection: &mut Client, times: &Counter, ops: Vec<Op>) -> History {
    let invoked = times.tick();
    let commands: Vec<_> = ops.iter().map(Op::words).collect();
    let replies = connection.pipeline(&commands).expect("the server answers");
    let returned = times.tick();
    let event = |(op, reply)| Event { client, invoked, op, returned: Some((returned, reply)) };
    ops.into_iter().zip(replies).map(event).collect()
}

fn judge(history: &History) {
    if let Err(violation) = check::<Strings>(history) {
        panic!("{violation}");
    }
}

/// An operation on one key; `fresh` is a value that no other operation writes.
fn on_one_key(random: &mut Random, key: Vec<u8>, fresh: Vec<u8>) -> Op {
    match random.below(12) {
        0..4 => Op::Get(key),
        4 | 5 => Op::Set(key, fresh),
        6 => Op::Set(key, b"7".to_vec()),
        7 => Op::GetSet(key, fresh),
        8 => Op::SetNx(key, fresh),
        9 => Op::Append(key, b"1".to_vec()),
        10 => Op::Incr(key),
        _ => Op::Del(key),
    }
}

fn histories_of_single_keys(server: &ServerProcess, clients: usize, rounds: u64, depth: u64) {
    let times = Counter::default();
    let histories = together(server, clients, |client, connection| {
        let mut random = Random::new(client as u64);
        let mut history = History::new();
        for round in 0..rounds {
            let op = |nth| {
                let key = format!("register:{depth}:{}", random.below(3)).into_bytes();
                on_one_key(&mut random, key, format!("{client}-{round}-{nth}").into_bytes())
            };
            let ops = (0..depth).map(op).collect();
            history.extend(note(client, connection, &times, ops));
        }
        history
    });
    judge(&histories.concat());
}

#[test]
fn operations_on_single_keys_happen_one_at_a_time() {
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        histories_of_single_keys(&server, 5, 500, 1);
        histories_of_single_keys(&server, 3, 200, 4);
    }
}

/// An operation on some of four keys, which belong to `window` alone.
fn on_many_keys(random: &mut Random, window: usize, fresh: &str) -> Op {
    let name = |nth: u64| format!("{window}:{nth}").into_bytes();
    let (one, other) = (name(random.below(4)), name(random.below(4)));
    match random.below(8) {
        0 | 1 => Op::MGet((0..4).map(name).collect()),
        2 | 3 => {
            let from = random.below(2);
            Op::MSet((from..from + 3).map(|nth| (name(nth), fresh.into())).collect())
        }
        4 | 5 => Op::Rename(one, other),
        6 => Op::Copy(one, other),
        _ => Op::Del(one),
    }
}

#[test]
fn operations_on_many_keys_happen_one_at_a_time() {
    const CLIENTS: usize = 4;
    const WINDOWS: usize = 250;
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let (times, start) = (Counter::default(), Barrier::new(CLIENTS));
        let histories = together(&server, CLIENTS, |client, connection| {
            let mut random = Random::new(client as u64);
            let window = |window| {
                start.wait();
                let operation = |nth| {
                    let op = on_many_keys(&mut random, window, &format!("{client}-{nth}"));
                    note(client, connection, &times, vec![op])
                };
                (0..5).flat_map(operation).collect::<History>()
            };
            (0..WINDOWS).map(window).collect::<Vec<History>>()
        });
        for window in 0..WINDOWS {
            let parts: Vec<&[_]> = histories.iter().map(|of| &of[window][..]).collect();
            judge(&parts.concat());
        }
    }
}

#[test]
fn mget_never_sees_half_an_mset() {
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let read = format!("MGET{}", many_keys());
        together(&server, 4, |client, connection| {
            for round in 0..1_500 {
                if client % 2 == 0 {
                    let write = with_pairs("MSET", &format!("{client}-{round}"));
                    assert_eq!(say(connection, &write), Value::ok());
                } else {
                    untorn(say(connection, &read));
                }
            }
        });
    }
}

#[test]
fn mget_never_sees_half_a_flush() {
    let server = WIDE.start();
    let read = format!("MGET{}", many_keys());
    together(&server, 3, |client, connection| {
        for round in 0..1_000 {
            match client {
                0 if round % 4 == 0 => assert_eq!(say(connection, "FLUSHALL"), Value::ok()),
                0 => assert_eq!(say(connection, &with_pairs("MSET", "1")), Value::ok()),
                _ => drop(untorn(say(connection, &read))),
            }
        }
    });
}

#[test]
fn msetnx_has_one_winner_who_sets_everything() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 300;
    let server = WIDE.start();
    let start = Barrier::new(CLIENTS);
    let keys = |round: usize| (0..WIDTH).map(move |n| format!("{round}:{n}"));
    let won = together(&server, CLIENTS, |client, connection| {
        let attempt = |round| {
            start.wait();
            let pairs: String = keys(round).map(|key| format!(" {key} {client}")).collect();
            number(&say(connection, &format!("MSETNX{pairs}"))) == 1
        };
        (0..ROUNDS).map(attempt).collect::<Vec<bool>>()
    });
    let mut client = server.client().expect("it listens");
    for round in 0..ROUNDS {
        let attempts = won.iter().enumerate();
        let winners: Vec<usize> =
            attempts.filter(|(_, won)| won[round]).map(|(client, _)| client).collect();
        let names: String = keys(round).map(|key| format!(" {key}")).collect();
        let value = untorn(say(&mut client, &format!("MGET{names}")));
        assert_eq!(winners, [usize::try_from(number(&value)).unwrap()], "round {round}");
    }
}

#[test]
fn a_key_that_is_renamed_has_one_name_at_any_time() {
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let mut first = server.client().expect("it listens");
        assert_eq!(say(&mut first, "SET ping 1"), Value::ok());
        together(&server, 3, |client, connection| {
            for round in 0..1_500 {
                match (client, round % 2) {
                    (0, 0) => assert_eq!(say(connection, "RENAME ping pong"), Value::ok()),
                    (0, _) => assert_eq!(say(connection, "RENAME pong ping"), Value::ok()),
                    (1, _) => assert_eq!(number(&say(connection, "EXISTS ping pong")), 1),
                    _ => {
                        let names = items(say(connection, "MGET ping pong"));
                        let found = names.iter().filter(|name| **name != Value::Nil).count();
                        assert_eq!(found, 1, "{names:?}");
                    }
                }
            }
        });
    }
}

#[test]
fn a_copy_is_never_ahead_of_its_source_and_never_goes_back() {
    let server = WIDE.start();
    let mut first = server.client().expect("it listens");
    assert_eq!(say(&mut first, "MSET source 0 copy 0"), Value::ok());
    together(&server, 3, |client, connection| {
        let mut newest = 0;
        for _ in 0..1_500 {
            match client {
                0 => drop(number(&say(connection, "INCR source"))),
                1 => assert_eq!(number(&say(connection, "COPY source copy REPLACE")), 1),
                _ => {
                    let values = items(say(connection, "MGET copy source"));
                    let (copy, source) = (number(&values[0]), number(&values[1]));
                    assert!(newest <= copy && copy <= source, "{newest}, {copy}, {source}");
                    newest = copy;
                }
            }
        }
    });
}

#[test]
fn databases_that_are_swapped_lose_no_write() {
    const ROUNDS: i64 = 1_500;
    let server = WIDE.start();
    together(&server, 3, |client, connection| {
        if client < 2 {
            assert_eq!(say(connection, &format!("SELECT {client}")), Value::ok());
        }
        for _ in 0..ROUNDS {
            match client {
                2 => assert_eq!(say(connection, "SWAPDB 0 1"), Value::ok()),
                _ => assert!(number(&say(connection, "INCR total")) > 0),
            }
        }
    });
    let mut client = server.client().expect("it listens");
    let zero = number(&say(&mut client, "GET total"));
    assert_eq!(say(&mut client, "SELECT 1"), Value::ok());
    assert_eq!(zero + number(&say(&mut client, "GET total")), 2 * ROUNDS);
}

#[test]
fn databases_are_swapped_for_all_keys_at_once() {
    let server = WIDE.start();
    let mut first = server.client().expect("it listens");
    for database in ["0", "1"] {
        assert_eq!(say(&mut first, &format!("SELECT {database}")), Value::ok());
        assert_eq!(say(&mut first, &with_pairs("MSET", database)), Value::ok());
    }
    let read = format!("MGET{}", many_keys());
    together(&server, 3, |client, connection| {
        for _ in 0..1_000 {
            match client {
                0 => assert_eq!(say(connection, "SWAPDB 1 0"), Value::ok()),
                _ => assert!(untorn(say(connection, &read)) != Value::Nil),
            }
        }
    });
}

#[test]
fn increments_of_eight_clients_are_all_counted() {
    const CLIENTS: usize = 8;
    const ROUNDS: usize = 60;
    const DEPTH: usize = 50;
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let seen = together(&server, CLIENTS, |_, connection| {
            let batch = vec![vec!["INCR", "total"]; DEPTH];
            let round = |_| connection.pipeline(&batch).expect("the server answers");
            (0..ROUNDS).flat_map(round).map(|reply| number(&reply)).collect::<Vec<i64>>()
        });
        assert!(seen.iter().all(|of| of.is_sorted()), "a client saw the total go back");
        let all: BTreeSet<i64> = seen.concat().into_iter().collect();
        let total = (CLIENTS * ROUNDS * DEPTH) as i64;
        assert!(all.into_iter().eq(1..=total), "two clients got the same number");
    }
}

#[test]
fn one_pipeline_is_seen_in_its_order() {
    let server = WIDE.start();
    together(&server, 4, |client, connection| {
        for round in 0..300 {
            if client % 2 == 0 {
                // Two pipelines may mix, so each pair of keys has one writer.
                let set = |name: &str| {
                    ["SET".to_owned(), format!("{name}:{client}"), round.to_string()].to_vec()
                };
                let batch: Vec<Vec<String>> = (0..20).flat_map(|_| [set("a"), set("b")]).collect();
                connection.pipeline(&batch).expect("the server answers");
            } else {
                let writer = client - 1;
                let seen = items(say(connection, &format!("MGET a:{writer} b:{writer}")));
                let value = |at: usize| match &seen[at] {
                    Value::Nil => -1,
                    value => number(value),
                };
                assert!(value(1) <= value(0), "b was written before a: {seen:?}");
            }
        }
    });
}

/// Every key that a whole SCAN returns.
fn scan(client: &mut Client, count: u64) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let mut cursor = "0".to_owned();
    for _ in 0..200_000 {
        let mut parts = items(say(client, &format!("SCAN {cursor} COUNT {count}")));
        let found = items(parts.pop().expect("a cursor and keys"));
        keys.extend(found.iter().filter_map(Value::as_bytes).map(<[u8]>::to_vec));
        cursor = String::from_utf8_lossy(parts[0].as_bytes().expect("a cursor")).into_owned();
        if cursor == "0" {
            return keys;
        }
    }
    panic!("the walk does not end");
}

#[test]
fn a_scan_returns_every_key_that_is_there_throughout() {
    const STEADY: usize = 3_000;
    const STEP: usize = 200;
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let keys = |of: &str, from: usize| -> String {
            (from..from + STEP).map(|n| format!(" {of}:{n}")).collect()
        };
        let pairs = |of: &str, from: usize| -> String {
            (from..from + STEP).map(|n| format!(" {of}:{n} x")).collect()
        };
        let mut first = server.client().expect("it listens");
        for from in (0..STEADY).step_by(STEP) {
            assert_eq!(say(&mut first, &format!("MSET{}", pairs("steady", from))), Value::ok());
        }
        let steady: BTreeSet<Vec<u8>> =
            (0..STEADY).map(|n| format!("steady:{n}").into_bytes()).collect();
        together(&server, 4, |client, connection| {
            if client < 2 {
                // Waves that make every table split, and merge again.
                for wave in 0..8 {
                    let (of, size) = (format!("wave:{client}"), 1_000 << (wave % 4));
                    for from in (0..size).step_by(STEP) {
                        let written = say(connection, &format!("MSET{}", pairs(&of, from)));
                        assert_eq!(written, Value::ok());
                    }
                    for from in (0..size).step_by(STEP) {
                        let deleted = say(connection, &format!("DEL{}", keys(&of, from)));
                        assert_eq!(number(&deleted), STEP as i64);
                    }
                }
            } else {
                for count in [1, 10, 100, 1_000, 10, 100, 1_000, 10, 100] {
                    let found = scan(connection, count);
                    let lost: Vec<_> = steady.difference(&found).collect();
                    assert!(lost.is_empty(), "{} keys were not returned", lost.len());
                }
            }
        });
        assert_eq!(scan(&mut first, 50), steady);
    }
}

/// Keys that clients with copies read, and others write.
const COPIED_KEYS: usize = 8;

/// Reads and writes of each client; and when all clients are done.
fn with_copies(client: usize, connection: &mut Client, done: &Barrier, mode: &str) {
    const ROUNDS: usize = 2000;
    let mut random = Random::new(client as u64);
    let mut key = || format!("key:{}", random.below(COPIED_KEYS as u64));
    if client > 1 {
        for nth in 0..ROUNDS {
            say(connection, &format!("SET {} {client}:{nth}", key()));
        }
        done.wait();
        return;
    }
    say(connection, "HELLO 3");
    let asked = format!("CLIENT TRACKING ON {mode}");
    assert_eq!(say(connection, asked.trim_end()), Value::ok());
    let mut copies = BTreeMap::new();
    for _ in 0..ROUNDS {
        let key = key();
        let value = say(connection, &format!("GET {key}"));
        throw_away(&mut copies, connection);
        copies.insert(key, value);
    }
    done.wait();
    // What was promised before the first answer is written before the second.
    (0..2).for_each(|_| drop(say(connection, "PING")));
    throw_away(&mut copies, connection);
    for (key, copy) in copies {
        assert_eq!(
            say(connection, &format!("GET {key}")),
            copy,
            "{key} of client {client}, {mode}"
        );
    }
}

/// Throws away the copies that the server has called stale.
fn throw_away(copies: &mut BTreeMap<String, Value>, connection: &mut Client) {
    for push in connection.take_pushes() {
        let Value::Push(parts) = push else { panic!("{push} is no push message") };
        assert_eq!(parts[0].as_bytes(), Some(&b"invalidate"[..]));
        for key in items(parts[1].clone()) {
            copies.remove(String::from_utf8_lossy(key.as_bytes().expect("a key")).as_ref());
        }
    }
}

#[test]
fn no_copy_is_stale_of_which_nothing_was_said() {
    for shape in [NARROW, WIDE, AWAY] {
        for mode in ["", "NOLOOP", "BCAST PREFIX key:"] {
            let done = Barrier::new(4);
            together(&shape.start(), 4, |client, connection| {
                with_copies(client, connection, &done, mode);
            });
        }
    }
}
