//! MULTI, EXEC and WATCH, from several connections on several workers.

use std::thread;

use super::*;

const CLIENTS: usize = 4;
const EACH: usize = 300;

/// Runs a transaction and returns what EXEC answers.
fn transact(client: &mut Client, lines: &[String]) -> Value {
    let all = ["MULTI"].into_iter().chain(lines.iter().map(String::as_str)).chain(["EXEC"]);
    send_all(client, all);
    assert_eq!(reply(client), Value::ok());
    for line in lines {
        assert_eq!(reply(client), Value::simple("QUEUED"), "{line}");
    }
    reply(client)
}

fn parts(value: &Value) -> &[Value] {
    let Value::Array(parts) = value else { panic!("no array: {value}") };
    parts
}

#[test]
fn nobody_sees_a_part_of_a_transaction() {
    with_workers(&[], |server| {
        let accounts: Vec<String> = (0..8).map(|nth| format!("account:{nth}")).collect();
        let mut client = connect(server);
        accounts.iter().for_each(|account| _ = run(&mut client, &format!("SET {account} 1000")));
        thread::scope(|scope| {
            for nth in 0..CLIENTS {
                let accounts = &accounts;
                scope.spawn(move || {
                    let mut client = connect(server);
                    for round in 0..EACH {
                        let (from, to) = ((nth + round) % 8, (nth * 3 + round * 5 + 1) % 8);
                        let moved = transact(
                            &mut client,
                            &[
                                format!("DECRBY {} {round}", accounts[from]),
                                format!("INCRBY {} {round}", accounts[to]),
                            ],
                        );
                        assert_eq!(parts(&moved).len(), 2);
                    }
                });
            }
            for _ in 0..2 {
                let accounts = &accounts;
                scope.spawn(move || {
                    let mut client = connect(server);
                    let looks: Vec<String> =
                        accounts.iter().map(|account| format!("GET {account}")).collect();
                    for _ in 0..EACH {
                        let seen = transact(&mut client, &looks);
                        let sum: i64 = parts(&seen)
                            .iter()
                            .map(|part| text(part).parse::<i64>().expect("it is a number"))
                            .sum();
                        assert_eq!(sum, 8000);
                    }
                });
            }
        });
    });
}

#[test]
fn who_watches_never_overwrites_what_he_has_not_seen() {
    with_workers(&[], |server| {
        let mut client = connect(server);
        run(&mut client, "MSET one 0 other 0");
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = connect(server);
                    let mut done = 0;
                    while done < EACH {
                        run(&mut client, "WATCH one other");
                        let seen = run(&mut client, "MGET one other");
                        let next =
                            |nth: usize| 1 + text(&parts(&seen)[nth]).parse::<u64>().unwrap_or(0);
                        let lines =
                            [format!("SET one {}", next(0)), format!("SET other {}", next(1))];
                        done += usize::from(transact(&mut client, &lines) != Value::NilArray);
                    }
                });
            }
        });
        let wanted = Value::bulk((CLIENTS * EACH).to_string());
        let seen = run(&mut client, "MGET one other");
        assert_eq!(seen, Value::Array(vec![wanted.clone(), wanted]));
    });
}

#[test]
fn others_see_how_far_a_transaction_has_got() {
    in_all_ways(|server, client| {
        let mut other = connect(server);
        let own = id(&mut other);
        run(&mut other, "WATCH a b");
        run(&mut other, "MULTI");
        run(&mut other, "SET a 1");
        run(&mut other, "GET a");
        let line = line_of(client, own).expect("it lives");
        assert_eq!((field(&line, "multi"), field(&line, "watch")), ("2", "2"));
        assert_ne!(field(&line, "multi-mem"), "0");
        let info = text(&run(client, "INFO clients"));
        assert!(
            info.contains("watching_clients:1\r\n") && info.contains("total_watched_keys:2\r\n")
        );
        run(&mut other, "EXEC");
        let line = line_of(client, own).expect("it lives");
        assert_eq!((field(&line, "multi"), field(&line, "watch")), ("-1", "0"));
        // Each command is counted as if it had run by itself.
        let stats = text(&run(client, "INFO commandstats"));
        assert!(stats.contains("cmdstat_exec:") && stats.contains("cmdstat_get:"), "{stats}");
    });
}

#[test]
fn a_pause_holds_exec_if_it_writes() {
    in_all_ways(|server, client| {
        let mut writer = connect(server);
        let own = id(&mut writer);
        run(client, "CLIENT PAUSE 100000000 WRITE");
        let seen = transact(&mut writer, &["GET missing".to_owned()]);
        assert_eq!(parts(&seen).len(), 1);
        send_all(&mut writer, ["MULTI", "SET a 1", "EXEC"]);
        wait_until_blocked(client, own);
        run(client, "CLIENT UNPAUSE");
        for wanted in [Value::ok(), Value::simple("QUEUED"), Value::Array(vec![Value::ok()])] {
            assert_eq!(reply(&mut writer), wanted);
        }
        run(client, "DEL a");
    });
}

#[test]
fn a_queue_takes_no_more_memory_than_requests_may() {
    with_workers(&["--client-query-buffer-limit=1mb"], |server| {
        let mut client = connect(server);
        let value = "x".repeat(100_000);
        run(&mut client, "MULTI");
        let words = testkit::notation::words(&format!("SET key {value}"));
        let closed = (0..20).any(|_| client.command(&words).is_err());
        assert!(closed);
        let mut client = connect(server);
        assert_eq!(run(&mut client, "EXISTS key"), Value::Integer(0));
    });
}

#[test]
fn a_request_beyond_its_limit_is_not_run_even_when_it_is_whole() {
    with_workers(&["--client-query-buffer-limit=1mb"], |server| {
        let mut client = connect(server);
        let value = vec![b'x'; 1 << 20];
        assert!(client.command(&[&b"SET"[..], b"key", &value]).is_err());
        let mut client = connect(server);
        assert_eq!(run(&mut client, "EXISTS key"), Value::Integer(0));
        assert!(
            text(&run(&mut client, "INFO stats")).contains("query_buffer_limit_disconnections:1")
        );
    });
}

#[test]
fn nothing_grows_where_memory_is_short() {
    with_workers(&[], |server| {
        let mut client = connect(server);
        run(&mut client, "MULTI");
        run(&mut client, "SET a 1");
        let mut other = connect(server);
        run(&mut other, "CONFIG SET maxmemory 1");
        let aborted = Value::error(
            "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > \
             'maxmemory'.",
        );
        assert_eq!(run(&mut client, "EXEC"), aborted);
        assert_eq!(run(&mut other, "CONFIG SET maxmemory 0"), Value::ok());
    });
}
