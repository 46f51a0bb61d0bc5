//! Commands that take long and run away from their worker. The threshold is so low that a thousand
//! elements are many.

use std::collections::BTreeSet;
use std::thread;

use super::*;

const FLAGS: &[&str] = &["--long-command-steps=1000", "--enable-debug-command=yes"];

/// Members of a set that makes a command long.
const MANY: usize = 3_000;

fn name(nth: usize) -> String {
    format!("member-{nth}")
}

fn fill(client: &mut Client, key: &str, members: std::ops::Range<usize>) {
    let names: Vec<String> = members.map(name).collect();
    for names in names.chunks(100) {
        let words: Vec<&str> =
            ["SADD", key].into_iter().chain(names.iter().map(String::as_str)).collect();
        client.command(&words).expect("it answers");
    }
}

fn members(reply: &Value) -> BTreeSet<String> {
    let (Value::Array(members) | Value::Set(members)) = reply else {
        panic!("not members: {reply}")
    };
    members.iter().map(text).collect()
}

/// How many commands have left their worker.
fn left(client: &mut Client) -> u64 {
    let info = text(&run(client, "INFO stats"));
    let line = info.lines().find_map(|line| line.strip_prefix("total_long_commands:"));
    line.and_then(|count| count.parse().ok()).expect("the field is there")
}

fn with_many(check: impl Fn(&ServerProcess, &mut Client)) {
    with_workers(FLAGS, |server| {
        let mut client = connect(server);
        fill(&mut client, "many", 0..MANY);
        fill(&mut client, "more", MANY / 2..MANY * 2);
        check(server, &mut client);
    });
}

#[test]
fn replies_of_a_pipeline_stay_in_order_around_long_commands() {
    with_many(|_, client| {
        let before = left(client);
        send_all(
            client,
            [
                "SET a 1",
                "SMEMBERS many",
                "INCR a",
                "SUNIONSTORE all many more",
                "SCARD all",
                "SDIFF many more",
                "SORT many ALPHA LIMIT 0 1",
                "SINTERSTORE all a many",
                "SCARD all",
                "GET a",
            ],
        );
        assert_eq!(reply(client), Value::ok());
        assert_eq!(members(&reply(client)), (0..MANY).map(name).collect());
        assert_eq!(reply(client), Value::Integer(2));
        assert_eq!(reply(client), Value::Integer(MANY as i64 * 2));
        assert_eq!(reply(client), Value::Integer(MANY as i64 * 2));
        assert_eq!(members(&reply(client)), (0..MANY / 2).map(name).collect());
        assert_eq!(members(&reply(client)), [name(0)].into());
        assert!(matches!(reply(client), Value::Error(_)), "a string is no set");
        assert_eq!(reply(client), Value::Integer(MANY as i64 * 2));
        assert_eq!(reply(client), Value::bulk("2"));
        assert_eq!(left(client) - before, 4, "those above the threshold, and no other");
    });
}

#[test]
fn what_a_request_asks_for_decides_and_not_what_its_key_holds() {
    with_workers(FLAGS, |server| {
        let mut client = connect(server);
        for nth in 0..MANY {
            run(&mut client, &format!("RPUSH list {nth}"));
            run(&mut client, &format!("ZADD zset {nth} m{nth}"));
            run(&mut client, &format!("HSET hash f{nth} {nth}"));
            run(&mut client, &format!("XADD stream {}-1 n {nth}", nth + 1));
            run(&mut client, &format!("SET key:{nth} x"));
        }
        run(&mut client, "XGROUP CREATE stream readers 0");
        let long = |client: &mut Client, line: &str| {
            let before = left(client);
            assert!(!matches!(run(client, line), Value::Error(_)), "{line}");
            left(client) - before
        };
        for (line, is_long) in [
            ("LRANGE list 0 9", 0),
            ("LRANGE list -2000 -1", 1),
            ("ZRANGE zset 0 9", 0),
            ("ZRANGE zset 10 2500", 1),
            ("ZRANGEBYSCORE zset 5 15", 0),
            ("ZRANGEBYSCORE zset 5 2500", 1),
            ("ZRANGEBYSCORE zset 5 2500 LIMIT 0 5", 0),
            ("ZCOUNT zset -inf +inf", 0),
            ("HGETALL hash", 1),
            ("HRANDFIELD hash 10", 0),
            ("HRANDFIELD hash -2000", 1),
            ("HSCAN hash 0 COUNT 10", 0),
            ("HSCAN hash 0 COUNT 5000", 1),
            ("XRANGE stream - + COUNT 5", 0),
            ("XRANGE stream 7 7", 0),
            ("XRANGE stream - +", 1),
            ("ZREMRANGEBYRANK zset 0 10", 0),
            ("XREAD COUNT 5 STREAMS stream 0", 0),
            ("XREAD STREAMS stream 2990", 0),
            ("XREAD STREAMS stream 0", 1),
            ("XREAD BLOCK 0 STREAMS stream 0", 1),
            ("XREADGROUP GROUP readers anna COUNT 5 STREAMS stream >", 0),
            ("XREADGROUP GROUP readers anna STREAMS stream >", 1),
            ("XREADGROUP GROUP readers anna STREAMS stream 0", 1),
            ("XPENDING stream readers", 0),
            ("XPENDING stream readers - + 5", 0),
            ("XPENDING stream readers - + 5000", 1),
            ("XAUTOCLAIM stream readers bert 0 0 COUNT 5", 0),
            ("XAUTOCLAIM stream readers bert 0 0 COUNT 5000", 1),
            ("XINFO STREAM stream FULL", 0),
            ("XINFO STREAM stream FULL COUNT 0", 1),
            ("XGROUP DELCONSUMER stream readers anna", 0),
            ("XGROUP DESTROY stream readers", 1),
            ("XADD stream * n last", 0),
            ("XADD stream MAXLEN 10 * n last", 1),
            ("KEYS key:*", 1),
            ("SET text x", 0),
            ("APPEND text y", 0),
            ("SETRANGE text 2000000 x", 1),
            ("SETRANGE text 10 x", 0),
            ("GETRANGE text 0 -1", 0),
            ("SETBIT bits 80000000 1", 1),
            ("SETBIT bits 8 1", 0),
            ("SET text y IFDNE 0123456789abcdef", 1),
            ("BLMPOP 0 1 list LEFT COUNT 5", 0),
            ("BLMPOP 0 1 list LEFT COUNT 1500", 1),
            ("LMOVEM list list LEFT RIGHT COUNT 1000 BULK", 1),
            ("BLPOP list 1000", 0),
            ("BZMPOP 0 1 zset MIN COUNT 5", 0),
            ("BZMPOP 0 1 zset MIN COUNT 600", 1),
            ("ZPOPMIN zset 2", 0),
            ("ZPOPMIN zset 1500", 1),
            ("DEL list", 0),
            ("COPY hash other", 0),
            ("FLUSHALL", 0),
        ] {
            assert_eq!(long(&mut client, line), is_long, "{line}");
        }
        fill(&mut client, "many", 0..MANY);
        run(&mut client, "CONFIG SET lazyfree-lazy-user-del no");
        assert_eq!(long(&mut client, "DEL many"), 1, "it is dropped before the reply");
    });
}

#[test]
fn the_length_of_a_request_counts_as_the_number_of_its_words_does() {
    with_workers(FLAGS, |server| {
        let mut client = connect(server);
        let (long, short) = (pattern(300_000), pattern(1_000));
        let before = left(&mut client);
        for (value, name) in [(&long, "long"), (&short, "short")] {
            for words in [
                vec![&b"SET"[..], name.as_bytes(), value],
                vec![b"SETEX", name.as_bytes(), b"100", value],
                vec![b"GETSET", name.as_bytes(), value],
                vec![b"SET", name.as_bytes(), value, b"XX", b"GET", b"EX", b"100"],
                vec![b"SETNX", b"another", value],
                vec![b"HSET", b"hash", name.as_bytes(), value],
            ] {
                assert!(!client.command(&words).expect("it answers").is_error());
            }
            let get = client.command(&[b"GET", name.as_bytes()]).expect("it answers");
            assert!(get == Value::Bulk(value.clone()), "{name}");
            let ttl = integer(&run(&mut client, &format!("TTL {name}")));
            assert!((1..=100).contains(&ttl), "{ttl}");
        }
        let another = client.command(&[&b"GET"[..], b"another"]).expect("it answers");
        assert!(another == Value::Bulk(long), "the first one");
        assert_eq!(left(&mut client) - before, 6);
    });
}

/// Two clients add to one long string, which has room for neither and is copied while the other
/// writes: nothing is lost.
#[test]
fn what_is_written_to_a_string_while_it_is_copied_is_kept() {
    const ROUNDS: usize = 30;
    with_workers(FLAGS, |server| {
        let mut client = connect(server);
        client.command(&[&b"SET"[..], b"text", &pattern(600_000)]).expect("it answers");
        thread::scope(|scope| {
            for nth in 0..2 {
                scope.spawn(move || {
                    let mut client = connect(server);
                    for _ in 0..ROUNDS {
                        let more = vec![b'a' + nth; 100_000];
                        client.command(&[&b"APPEND"[..], b"text", &more]).expect("it answers");
                        // Somebody who holds the string makes the next writer copy it.
                        drop(client.command(&[&b"GET"[..], b"text"]).expect("it answers"));
                        run(&mut client, &format!("SETRANGE text {} {nth}", 10 + nth));
                    }
                });
            }
        });
        let Value::Bulk(text) = run(&mut client, "GET text") else { panic!("a string") };
        assert_eq!(text.len(), 600_000 + 2 * ROUNDS * 100_000);
        assert_eq!(text[10..12], *b"01");
        for nth in 0..2 {
            let pieces = text[600_000..].chunks(100_000);
            let whole = pieces.filter(|piece| piece.iter().all(|&byte| byte == b'a' + nth));
            assert_eq!(whole.count(), ROUNDS, "each is there once, in one piece");
        }
    });
}

/// A command that takes what there is, and much, runs on another thread. What it waits for it waits
/// for on its worker, as if it had never left.
#[test]
fn a_command_that_waits_may_have_left_before() {
    with_workers(FLAGS, |server| {
        let mut client = connect(server);
        let mut waiter = connect(server);
        for round in 0..10 {
            let elements: Vec<String> = (0..1_500).map(|nth| nth.to_string()).collect();
            let words = ["RPUSH", "list"].into_iter().chain(elements.iter().map(String::as_str));
            client.command(&words.collect::<Vec<_>>()).expect("it answers");
            // Both may find it full; one of them comes too late.
            send(&mut waiter, "BLMPOP 0 1 list LEFT COUNT 1500");
            let taken = run(&mut client, "LPOP list 1500");
            let count = |reply: &Value| match reply {
                Value::Array(elements) => elements.len(),
                _ => 0,
            };
            if count(&taken) == 1_500 {
                run(&mut client, "RPUSH list late");
            }
            let Value::Array(reply) = reply(&mut waiter) else { panic!("in round {round}") };
            assert_eq!(reply[0], Value::bulk("list"));
            assert_eq!(count(&reply[1]), if count(&taken) == 1_500 { 1 } else { 1_500 });
        }
    });
}

/// A key goes from name to name while all are listed: whoever lists them sees one of the names.
#[test]
fn keys_are_listed_as_they_were_at_one_moment() {
    const RENAMES: usize = 3_000;
    with_workers(FLAGS, |server| {
        let mut client = connect(server);
        for nth in 0..MANY {
            run(&mut client, &format!("SET other:{nth} x"));
        }
        run(&mut client, "SET name:0 x");
        let before = left(&mut client);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut mover = connect(server);
                for nth in 0..RENAMES {
                    let (from, to) = (nth % 50, (nth + 1) % 50);
                    run(&mut mover, &format!("RENAME name:{from} name:{to}"));
                    run(&mut mover, &format!("SET new:{nth} x"));
                }
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut client = connect(server);
                    for _ in 0..60 {
                        let Value::Array(names) = run(&mut client, "KEYS name:*") else {
                            panic!("an array")
                        };
                        assert_eq!(names.len(), 1, "{names:?}");
                        let Value::Array(others) = run(&mut client, "KEYS other:*") else {
                            panic!("an array")
                        };
                        assert_eq!(others.len(), MANY);
                    }
                });
            }
        });
        assert!(left(&mut client) > before);
        run(&mut client, "FLUSHALL");
        assert_eq!(run(&mut client, "KEYS *"), Value::Array(vec![]));
    });
}

#[test]
fn a_transaction_of_much_leaves_its_worker() {
    with_many(|_, client| {
        let before = left(client);
        send_all(client, ["MULTI", "INCR a", "SMEMBERS many", "INCR a", "EXEC", "GET a"]);
        for _ in 0..4 {
            reply(client);
        }
        let Value::Array(replies) = reply(client) else { panic!("an array") };
        assert_eq!((&replies[0], &replies[2]), (&Value::Integer(1), &Value::Integer(2)));
        assert_eq!(members(&replies[1]), (0..MANY).map(name).collect());
        assert_eq!(reply(client), Value::bulk("2"));
        assert_eq!(left(client) - before, 1);
        send_all(client, ["MULTI", "INCR a", "SCARD many", "EXEC"]);
        for _ in 0..4 {
            reply(client);
        }
        assert_eq!(left(client) - before, 1, "what is little stays");
    });
}

#[test]
fn a_client_may_go_away_while_its_command_runs() {
    with_many(|server, client| {
        for round in 0..20 {
            let mut leaver = connect(server);
            let leaver_id = id(&mut leaver);
            send(&mut leaver, "SUNIONSTORE all many more");
            send(&mut leaver, "SMEMBERS all");
            if round % 2 == 0 {
                run(client, &format!("CLIENT KILL ID {leaver_id}"));
            }
            drop(leaver);
            wait_until_gone(client, leaver_id);
        }
        assert_eq!(run(client, "SUNIONSTORE all many more"), Value::Integer(MANY as i64 * 2));
    });
}

#[test]
fn a_flush_comes_before_a_long_command_or_behind_it() {
    with_many(|server, client| {
        let mut other = connect(server);
        for _ in 0..20 {
            fill(client, "many", 0..MANY);
            send(client, "SUNIONSTORE all many");
            run(&mut other, "FLUSHALL SYNC");
            let stored = integer(&reply(client));
            assert!(stored == 0 || stored == MANY as i64, "{stored}");
            let left = integer(&run(client, "SCARD all"));
            assert!(left == 0 || left == stored, "{left} of {stored}");
            run(client, "DEL all");
        }
    });
}

/// Members go from one set to another while both are united: nobody sees one twice or never.
#[test]
fn what_is_stored_was_what_the_sources_held_at_one_moment() {
    const ROUNDS: usize = 60;
    const MOVES: usize = 4_000;
    with_many(|server, client| {
        fill(client, "other", MANY..MANY + 1);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut mover = connect(server);
                for nth in 0..MOVES {
                    let (from, to) = if (nth / MANY).is_multiple_of(2) {
                        ("many", "other")
                    } else {
                        ("other", "many")
                    };
                    run(&mut mover, &format!("SMOVE {from} {to} {}", name(nth % MANY)));
                }
            });
            for nth in 0..3 {
                let store = move |line: String, key: String| {
                    let mut client = connect(server);
                    let want = Value::Integer(MANY as i64 + 1);
                    for _ in 0..ROUNDS {
                        assert_eq!(run(&mut client, &line), want, "{line}");
                        assert_eq!(run(&mut client, &key), want, "{key}");
                    }
                };
                let line = match nth {
                    0 => "SUNIONSTORE into:0 many other",
                    1 => "ZUNIONSTORE into:1 2 many other",
                    _ => "SUNIONSTORE into:2 other many into:2",
                };
                let key =
                    if nth == 1 { "ZCARD into:1".into() } else { format!("SCARD into:{nth}") };
                scope.spawn(move || store(line.into(), key));
            }
        });
    });
}

/// A source changes between the moment it is read and the moment the result is put. Who has seen
/// that nothing was put yet after the change sees the change in what is put.
#[test]
fn a_result_is_not_put_when_its_sources_have_changed() {
    const ROUNDS: usize = 300;
    for lines in [
        ["SUNIONSTORE into many more", "SISMEMBER into"],
        ["SDIFFSTORE into many nothing", "SISMEMBER into"],
        ["ZUNIONSTORE into 2 many more", "ZSCORE into"],
        ["COPY many into REPLACE", "SISMEMBER into"],
    ] {
        let [store, look] = lines;
        with_many(|server, client| {
            run(client, "CONFIG SET long-command-steps 500");
            let mut other = connect(server);
            for round in 0..ROUNDS {
                send(&mut other, store);
                run(client, &format!("SADD many new-{round}"));
                let was_put = integer(&run(client, "EXISTS into")) == 1;
                reply(&mut other);
                let found = run(client, &format!("{look} new-{round}"));
                let has_it = !matches!(found, Value::Integer(0) | Value::Nil);
                assert!(has_it || was_put, "{store} in round {round}");
                run(client, "DEL into");
            }
        });
    }
}

#[test]
fn readers_and_writers_of_one_large_hash_see_whole_states_of_it() {
    with_workers(FLAGS, |server| {
        let mut client = connect(server);
        let fields = |value: usize| {
            let pairs = (0..800).map(|nth| format!(" f{nth} {value}"));
            format!("HSET hash{}", pairs.collect::<String>())
        };
        run(&mut client, &fields(0));
        thread::scope(|scope| {
            for reader in 0..3 {
                scope.spawn(move || {
                    let mut client = connect(server);
                    for _ in 0..60 {
                        let line = if reader == 0 { "HGETALL hash" } else { "HVALS hash" };
                        let Value::Array(found) = run(&mut client, line) else {
                            panic!("an array")
                        };
                        let values = found.iter().rev().step_by(if reader == 0 { 2 } else { 1 });
                        assert_eq!(
                            values
                                .collect::<Vec<_>>()
                                .windows(2)
                                .filter(|two| two[0] != two[1])
                                .count(),
                            0
                        );
                    }
                });
            }
            scope.spawn(|| {
                let mut client = connect(server);
                (1..60).for_each(|value| drop(run(&mut client, &fields(value))));
            });
        });
    });
}

#[test]
fn a_large_reply_arrives_whole_while_others_are_served() {
    with_workers(&[], |server| {
        let mut client = connect(server);
        let value = "x".repeat(500);
        for nth in 0..20_000 {
            send(&mut client, &format!("HSET hash f{nth} {value}{nth}"));
        }
        for _ in 0..20_000 {
            reply(&mut client);
        }
        send(&mut client, "HGETALL hash");
        send(&mut client, "PING");
        let mut other = connect(server);
        assert_eq!(run(&mut other, "PING"), Value::simple("PONG"));
        let Value::Array(found) = reply(&mut client) else { panic!("an array") };
        let mut numbers: Vec<usize> = found
            .chunks(2)
            .map(|pair| {
                let (field, found) = (text(&pair[0]), text(&pair[1]));
                assert_eq!(found, format!("{value}{}", &field[1..]));
                field[1..].parse().expect("a number")
            })
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..20_000));
        assert_eq!(reply(&mut client), Value::simple("PONG"));
    });
}

#[test]
fn a_pause_holds_a_long_write_that_was_on_its_way() {
    with_many(|server, client| {
        let mut other = connect(server);
        for _ in 0..20 {
            send(&mut other, "SUNIONSTORE all many more");
            run(client, "CLIENT PAUSE 100000 WRITE");
            let seen = run(client, "SCARD all");
            run(client, "PING");
            assert_eq!(run(client, "SCARD all"), seen, "nothing changes in a pause");
            run(client, "CLIENT UNPAUSE");
            assert_eq!(reply(&mut other), Value::Integer(MANY as i64 * 2));
            run(client, "DEL all");
        }
    });
}

#[test]
fn monitors_and_those_who_track_keys_are_told_of_long_commands() {
    with_many(|server, client| {
        let mut reader = connect(server);
        speak(&mut reader, Dialect::Resp3);
        run(&mut reader, "CLIENT TRACKING on");
        let mut monitor = connect(server);
        assert_eq!(run(&mut monitor, "MONITOR"), Value::ok());
        assert_eq!(members(&run(&mut reader, "SMEMBERS many")).len(), MANY);
        let line = reply(&mut monitor);
        assert!(line.to_string().contains("SMEMBERS"), "{line}");
        run(client, "SADD many another");
        let pushed = reader.push().expect("a message comes");
        assert!(pushed.to_string().contains("invalidate"), "{pushed}");
    });
}

/// Output goes out in turns, so that a large one leaves others theirs; a wait behind it must not
/// keep the rest.
#[test]
fn what_was_answered_before_a_wait_arrives_during_the_wait() {
    with_workers(FLAGS, |server| {
        let mut client = connect(server);
        let value = pattern(6_000_000);
        client.command(&[&b"SET"[..], b"large", &value]).expect("it answers");
        send_all(&mut client, ["GET large", "BLPOP nothing 0"]);
        assert!(reply(&mut client) == Value::Bulk(value.clone()));
        run(&mut connect(server), "RPUSH nothing a");
        assert!(matches!(reply(&mut client), Value::Array(_)));

        run(&mut connect(server), "CLIENT PAUSE 100000 WRITE");
        send_all(&mut client, ["GET large", "SET a b"]);
        assert!(reply(&mut client) == Value::Bulk(value));
        run(&mut connect(server), "CLIENT UNPAUSE");
        assert_eq!(reply(&mut client), Value::ok());
    });
}
