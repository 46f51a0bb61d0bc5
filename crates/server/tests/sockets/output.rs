//! Clients that do not read.

use std::thread;

use super::*;

/// How long the values are that clients do not read: short enough to be copied into a reply.
const VALUE_BYTES: usize = 8 << 10;

/// How many of them make more than the server keeps for a client.
const GETS: usize = 10_000;

/// What the server keeps of replies for one client before it runs no more of its requests, and
/// what it may take besides.
const KEPT_BYTES_MAX: u64 = 16 << 20;
const OTHER_BYTES_MAX: u64 = 48 << 20;

fn output_bytes(line: &str) -> u64 {
    field(line, "omem").parse().expect("a number")
}

/// Sends more GETs than are answered unread, from a thread of its own, as the server stops reading
/// them at some time; until the client is as wanted.
fn ask_too_much(
    client: &mut Client,
    own: i64,
    watcher: &mut Client,
    wanted: impl Fn(Option<&str>) -> bool,
) {
    let request = b"*2\r\n$3\r\nGET\r\n$1\r\nv\r\n".repeat(GETS);
    thread::scope(|scope| {
        let sending = scope.spawn(|| client.send(&request));
        wait_for(watcher, own, wanted);
        // A connection that was closed takes no more: that is for the caller to judge.
        let _ = sending.join().expect("sending does not panic");
    });
}

#[test]
fn what_waits_for_a_client_that_does_not_read_is_bounded() {
    in_all_ways(|server, watcher| {
        let value = pattern(VALUE_BYTES);
        watcher.command(&[&b"SET"[..], b"v", &value]).expect("a reply comes");
        let mut slow = connect(server);
        let own = id(&mut slow);
        let is_full = |line: Option<&str>| output_bytes(line.expect("it lives")) >= KEPT_BYTES_MAX;
        ask_too_much(&mut slow, own, watcher, is_full);
        let line = line_of(watcher, own).expect("it lives");
        assert!(output_bytes(&line) <= KEPT_BYTES_MAX + (1 << 20), "{line}");
        let resident = resident_bytes(server).expect("the process is there");
        assert!(resident < KEPT_BYTES_MAX * 3 + OTHER_BYTES_MAX, "{resident} bytes");
        assert_eq!(run(watcher, "ECHO served"), Value::bulk("served"));
        for nth in 0..GETS {
            assert!(reply(&mut slow).as_bytes() == Some(&value), "reply {nth}");
        }
        assert_eq!(run(&mut slow, "PING"), Value::simple("PONG"));
    });
}

#[test]
fn the_hard_limit_of_output_ends_a_connection() {
    with_workers(&["--client-output-buffer-limit=normal 1000000 0 0"], |server| {
        let mut watcher = connect(server);
        watcher.command(&[&b"SET"[..], b"v", &pattern(VALUE_BYTES)]).expect("a reply comes");
        let mut slow = connect(server);
        let own = id(&mut slow);
        ask_too_much(&mut slow, own, &mut watcher, |line| line.is_none());
        assert_eq!(run(&mut watcher, "PING"), Value::simple("PONG"));
    });
}

#[test]
fn the_soft_limit_of_output_ends_a_connection_that_stays_above_it() {
    with_workers(&["--client-output-buffer-limit=normal 0 1000000 1"], |server| {
        let mut watcher = connect(server);
        watcher.command(&[&b"SET"[..], b"v", &pattern(VALUE_BYTES)]).expect("a reply comes");
        let mut slow = connect(server);
        let own = id(&mut slow);
        ask_too_much(&mut slow, own, &mut watcher, |line| line.is_none());
        assert_eq!(run(&mut watcher, "PING"), Value::simple("PONG"));
    });
}

/// What a reply takes is held to the limit before any of it is written, also when the client reads.
#[test]
fn a_reply_beyond_the_hard_limit_is_not_written() {
    with_workers(&["--client-output-buffer-limit=normal 100000 0 0"], |server| {
        let mut watcher = connect(server);
        let value = vec![b'v'; 60_000];
        watcher.command(&[&b"SET"[..], b"v", &value]).expect("a reply comes");
        run(&mut watcher, "HSET h field value");
        let too_long = [
            vec!["GET v", "GET v", "SET late 1"],
            vec!["MGET v v"],
            vec!["HRANDFIELD h -999999999"],
            vec!["ZADD z 1 a", "ZRANDMEMBER z -999999999 WITHSCORES"],
            vec!["SADD s a", "SRANDMEMBER s -999999999"],
            vec!["MULTI", "GET v", "SET whole 1", "GET v", "EXEC"],
        ];
        for lines in too_long {
            let mut client = connect(server);
            let own = id(&mut client);
            send_all(&mut client, lines.iter().copied());
            wait_until_gone(&mut watcher, own);
            while let Ok(reply) = client.reply() {
                let reply = reply.to_string();
                assert!(reply.len() < 100, "{lines:?}: {reply}");
            }
        }
        assert_eq!(run(&mut watcher, "GET late"), Value::Nil, "what follows is not run");
        assert_eq!(text(&run(&mut watcher, "GET whole")), "1", "a transaction is run as a whole");
    });
}

#[test]
fn a_reader_in_time_is_not_held_to_the_soft_limit() {
    with_workers(&["--client-output-buffer-limit=normal 0 1000000 60"], |server| {
        let mut client = connect(server);
        let value = pattern(20 << 20);
        client.command(&[&b"SET"[..], b"v", &value]).expect("a reply comes");
        for _ in 0..3 {
            assert!(run(&mut client, "GET v").as_bytes() == Some(&value));
        }
    });
}
