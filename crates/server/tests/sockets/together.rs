//! Many clients at the same keys.

use std::collections::BTreeSet;
use std::thread;

use super::*;

const CLIENTS: usize = 12;
const ROUNDS: usize = 200;

#[test]
fn no_increment_is_lost_and_none_is_seen_twice() {
    with_workers(&[], |server| {
        let seen: Vec<Vec<i64>> = thread::scope(|scope| {
            let counting = |_| {
                scope.spawn(|| {
                    let mut client = connect(server);
                    let batch = vec![vec!["INCR", "counter"]; 10];
                    let replies = (0..ROUNDS / 10)
                        .flat_map(|_| client.pipeline(&batch).expect("replies come"));
                    replies.map(|reply| integer(&reply)).collect::<Vec<i64>>()
                })
            };
            let threads: Vec<_> = (0..CLIENTS).map(counting).collect();
            threads.into_iter().map(|thread| thread.join().expect("it counts")).collect()
        });
        // Who counts sees the counter grow.
        assert!(seen.iter().all(|own| own.is_sorted()));
        let all: BTreeSet<i64> = seen.into_iter().flatten().collect();
        let total = (CLIENTS * ROUNDS) as i64;
        assert!(all.into_iter().eq(1..=total));
        assert_eq!(run(&mut connect(server), "GET counter"), Value::bulk(total.to_string()));
    });
}

#[test]
fn keys_that_are_set_together_are_seen_together() {
    with_workers(&[], |server| {
        run(&mut connect(server), "MSET left 0 middle 0 right 0");
        thread::scope(|scope| {
            for writer in 0..CLIENTS / 2 {
                scope.spawn(move || {
                    let mut client = connect(server);
                    for round in 0..ROUNDS {
                        let value = format!("{writer}-{round}");
                        let set = format!("MSET left {value} middle {value} right {value}");
                        assert_eq!(run(&mut client, &set), Value::ok());
                    }
                });
                scope.spawn(move || {
                    let mut client = connect(server);
                    for _ in 0..ROUNDS {
                        let Value::Array(found) = run(&mut client, "MGET right left middle") else {
                            panic!("MGET answers an array")
                        };
                        assert!(found.iter().all(|value| *value == found[0]), "{found:?}");
                    }
                });
            }
        });
    });
}

#[test]
fn what_one_client_wrote_another_reads() {
    with_workers(&[], |server| {
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| connect(server)).collect();
        for round in 0..ROUNDS {
            let (writer, reader) = (round % CLIENTS, (round * 7 + 3) % CLIENTS);
            assert_eq!(run(&mut clients[writer], &format!("SET key {round}")), Value::ok());
            assert_eq!(run(&mut clients[reader], "GET key"), Value::bulk(round.to_string()));
        }
    });
}

/// FLUSHALL ASYNC was read and forgotten, so that the worker that answered it dropped two million
/// keys itself, and its other connections waited for 50 ms.
#[test]
fn only_a_synchronous_flush_is_dropped_by_the_worker() {
    with_workers(&[], |server| {
        let mut client = connect(server);
        let in_background = |client: &mut Client| {
            let settled = |text: &str| text.contains("lazyfree_pending_objects:0\r\n");
            loop {
                let Value::Bulk(info) = run(client, "INFO memory") else { panic!("INFO is text") };
                let info = String::from_utf8_lossy(&info).into_owned();
                if settled(&info) {
                    let freed =
                        info.lines().find_map(|line| line.strip_prefix("lazyfreed_objects:"));
                    break freed.map(str::to_owned);
                }
            }
        };
        run(&mut client, "MSET a 1 b 2 c 3");
        assert_eq!(run(&mut client, "FLUSHALL SYNC"), Value::ok());
        assert_eq!(in_background(&mut client).as_deref(), Some("0"));
        for (flush, freed) in [("FLUSHALL ASYNC", "3"), ("FLUSHDB ASYNC", "6"), ("FLUSHDB", "9")] {
            run(&mut client, "MSET a 1 b 2 c 3");
            assert_eq!(run(&mut client, flush), Value::ok());
            assert_eq!(in_background(&mut client).as_deref(), Some(freed), "{flush}");
        }
        run(&mut client, "CONFIG SET lazyfree-lazy-user-flush no");
        run(&mut client, "SET a 1");
        run(&mut client, "FLUSHALL");
        assert_eq!(in_background(&mut client).as_deref(), Some("9"));
    });
}
