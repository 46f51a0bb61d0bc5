//! How requests may come: cut, inline, large, broken.

use std::io::{Read, Write};
use std::net::TcpStream;

use testkit::{Client, Value};

use super::*;

/// Some requests, and their replies.
const PIPELINE: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\n\0b\r\nPING\r\n\r\n*0\r\n\
    *2\r\n$3\r\nGET\r\n$1\r\nk\r\nECHO \"x \\x41\"\n*-1\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n";

fn replies_to_pipeline(count: i64) -> Vec<Value> {
    let [ok, pong] = [Value::ok(), Value::simple("PONG")];
    let bulks = [Value::bulk("a\r\n\0b"), Value::bulk("x A")];
    [ok, pong].into_iter().chain(bulks).chain([Value::Integer(count)]).collect()
}

#[test]
fn a_pipeline_may_be_cut_at_every_byte() {
    in_all_ways(|server, client| {
        run(client, "DEL n");
        let mut other = connect(server);
        for at in 0..=PIPELINE.len() {
            let (first, rest) = PIPELINE.split_at(at);
            client.send(first).expect("the socket takes it");
            // By the time that another client is answered, the first part has been read.
            run(&mut other, "PING");
            client.send(rest).expect("the socket takes it");
            for wanted in replies_to_pipeline(at as i64 + 1) {
                assert_eq!(reply(client), wanted, "cut at {at}");
            }
        }
    });
}

/// All commands of a batch had the same random number, so all chose the same member.
#[test]
fn members_are_drawn_anew_within_a_pipeline() {
    in_all_ways(|_, client| {
        run(client, "SADD letters a b c d e f g h");
        let pipeline = b"SRANDMEMBER letters\r\n".repeat(40);
        client.send(&pipeline).expect("the socket takes it");
        let drawn: Vec<Value> = (0..40).map(|_| reply(client)).collect();
        assert!(drawn.iter().any(|member| *member != drawn[0]), "{drawn:?}");
        run(client, "DEL letters");
    });
}

#[test]
fn a_pipeline_may_come_byte_by_byte() {
    in_all_ways(|_, client| {
        run(client, "DEL n");
        for byte in PIPELINE {
            client.send(&[*byte]).expect("the socket takes it");
        }
        for wanted in replies_to_pipeline(1) {
            assert_eq!(reply(client), wanted);
        }
    });
}

#[test]
fn inline_requests_may_quote() {
    in_all_ways(|_, client| {
        let lines = [
            (
                &b"set k 'it''s'\r\n"[..],
                Value::error("ERR Protocol error: unbalanced quotes in request"),
            ),
            (b"  SET   k   \"a\\x00\\n\\\"\"  \r\n", Value::ok()),
            (b"GET k\n", Value::bulk("a\0\n\"")),
            (b"SET k 'a\\'b\\n'\n", Value::ok()),
            (b"GET \"k\"\r\n", Value::bulk("a'b\\n")),
            (b"ECHO \"\"\r\n", Value::bulk("")),
            (b"\r\n \r\nPING\r\n", Value::simple("PONG")),
        ];
        for (line, wanted) in &lines[1..] {
            client.send(line).expect("the socket takes it");
            assert_eq!(&reply(client), wanted);
        }
        let (line, wanted) = &lines[0];
        client.send(line).expect("the socket takes it");
        assert_eq!(&reply(client), wanted);
        assert_closed(client);
    });
}

/// Each quoted line used to be run inside of the one before it, so that a read full of short ones
/// ran out of stack.
#[test]
fn many_quoted_lines_may_come_at_once() {
    in_all_ways(|_, client| {
        const LINES: usize = 20_000;
        let request = b"ECHO ''\r\n".repeat(LINES);
        client.send(&request).expect("the socket takes it");
        for _ in 0..LINES {
            assert_eq!(reply(client), Value::bulk(""));
        }
    });
}

#[test]
fn long_values_come_and_go_whole() {
    in_all_ways(|_, client| {
        for bytes in [1 << 20, 20 << 20] {
            let value = pattern(bytes);
            let stored = client.command(&[&b"SET"[..], b"big", &value]).expect("a reply comes");
            assert_eq!(stored, Value::ok());
            let found = run(client, "GET big");
            assert!(found.as_bytes() == Some(&value), "{bytes} bytes came back changed");
            let echoed = client.command(&[&b"ECHO"[..], &value]).expect("a reply comes");
            assert!(echoed.as_bytes() == Some(&value), "{bytes} bytes were echoed changed");
        }
        run(client, "DEL big");
    });
}

#[test]
fn what_is_no_request_ends_its_connection_alone() {
    let long_line = [&b"PING "[..], &[b'x'; 100_000]].concat();
    let cases: [(&[u8], &str); 9] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"PING \"a\r\n", "unbalanced quotes in request"),
        (b"PING 'a'b\r\n", "unbalanced quotes in request"),
        (&long_line, "too big inline request"),
    ];
    in_all_ways(|server, witness| {
        for (request, problem) in cases {
            let mut client = connect(server);
            // What stands before it is answered, what stands behind it is not.
            client.send(b"*1\r\n$4\r\nPING\r\n").expect("the socket takes it");
            // The server need not read all of it to know.
            let _ = client.send(&[request, b"*1\r\n$4\r\nPING\r\n"].concat());
            assert_eq!(reply(&mut client), Value::simple("PONG"));
            let wanted = Value::error(format!("ERR Protocol error: {problem}"));
            assert_eq!(reply(&mut client), wanted);
            assert_closed(&mut client);
            assert_eq!(run(witness, "PING"), Value::simple("PONG"));
        }
    });
}

#[test]
fn a_request_has_a_million_words_at_most() {
    in_all_ways(|_, client| {
        const WORDS: usize = 1 << 20;
        let request =
            [&b"*1048576\r\n$3\r\nDEL\r\n"[..], &b"$1\r\nx\r\n".repeat(WORDS - 1)].concat();
        client.send(&request).expect("the socket takes it");
        assert_eq!(reply(client), Value::Integer(0));
        client.send(b"*1048577\r\n$3\r\nDEL\r\n").expect("the socket takes it");
        let wanted = Value::error("ERR Protocol error: invalid multibulk length");
        assert_eq!(reply(client), wanted);
        assert_closed(client);
    });
}

#[test]
fn who_has_not_authenticated_may_send_little() {
    with_workers(&["--requirepass=secret"], |server| {
        let cases: [(&[u8], &str); 2] = [
            (b"*11\r\n", "unauthenticated multibulk length"),
            (b"*2\r\n$4\r\nPING\r\n$16385\r\n", "unauthenticated bulk length"),
        ];
        for (request, problem) in cases {
            let mut client = connect(server);
            client.send(request).expect("the socket takes it");
            let wanted = Value::error(format!("ERR Protocol error: {problem}"));
            assert_eq!(reply(&mut client), wanted);
            assert_closed(&mut client);
        }
        let mut client = connect(server);
        // The limits fall with the password, also for what came with it.
        let value = pattern(100_000);
        let mut request = Vec::new();
        testkit::client::encode_command(&["AUTH", "secret"], &mut request);
        testkit::client::encode_command(&[&b"ECHO"[..], &value], &mut request);
        client.send(&request).expect("the socket takes it");
        assert_eq!(reply(&mut client), Value::ok());
        assert!(reply(&mut client).as_bytes() == Some(&value));
    });
}

#[test]
fn who_sends_no_more_still_gets_all_replies() {
    with_workers(&[], |server| {
        const GETS: usize = 200;
        let value = pattern(1 << 20);
        let mut client = connect(server);
        client.command(&[&b"SET"[..], b"big", &value]).expect("a reply comes");
        let mut socket = TcpStream::connect(server.address()).expect("the server listens");
        let request = b"GET big\r\n".repeat(GETS);
        socket.write_all(&request).expect("the socket takes it");
        socket.shutdown(std::net::Shutdown::Write).expect("one half can be closed");
        let mut received = Vec::new();
        socket.read_to_end(&mut received).expect("the server ends the stream");
        let one = [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
        assert_eq!(received.len(), GETS * one.len());
        assert!(received.chunks(one.len()).all(|chunk| chunk == one));
    });
}

#[test]
fn a_request_that_breaks_off_is_not_run() {
    in_all_ways(|server, client| {
        run(client, "DEL half");
        let mut broken = connect(server);
        let own = id(&mut broken);
        broken.send(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$3\r\nva").expect("the socket takes it");
        drop::<Client>(broken);
        wait_until_gone(client, own);
        assert_eq!(run(client, "EXISTS half"), Value::Integer(0));
    });
}

/// What INFO counts: hits and misses of look-ups, and changes since the last save.
fn counts(client: &mut Client) -> [i64; 3] {
    let info = text(&run(client, "INFO all"));
    ["keyspace_hits:", "keyspace_misses:", "rdb_changes_since_last_save:"].map(|name| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.expect("INFO has it").parse().expect("it is a number")
    })
}

/// Figures of Redis 8. What takes elements out is no read there, each element that comes or goes is
/// a change, and what is moved changes once.
#[test]
fn look_ups_and_changes_are_counted_as_in_redis() {
    let cases: &[(&str, [i64; 3])] = &[
        ("RPUSH list a b c d e f g h", [0, 0, 8]),
        ("LPOP list", [0, 0, 1]),
        ("LPOP none", [0, 0, 0]),
        ("RPOP list 2", [0, 0, 2]),
        ("LMPOP 2 none list LEFT", [0, 0, 1]),
        ("BLPOP none list 1", [0, 0, 1]),
        ("LMOVE list other LEFT LEFT", [0, 0, 1]),
        ("RPOPLPUSH list list", [0, 0, 1]),
        ("LTRIM list 0 -1", [0, 0, 0]),
        ("LTRIM list 1 0", [0, 0, 2]),
        ("SADD set a b c d", [0, 0, 4]),
        ("SREM set a none", [0, 0, 1]),
        ("SPOP set", [0, 0, 1]),
        ("SPOP none", [0, 0, 0]),
        ("SPOP set 9", [1, 0, 2]),
        ("HSET hash f 1 g 2", [0, 0, 2]),
        ("HGETDEL hash FIELDS 3 f g h", [0, 0, 2]),
        ("ZADD zset 1 a 2 b 3 c 4 d", [0, 0, 4]),
        ("ZPOPMIN zset 2", [0, 0, 2]),
        ("BZMPOP 1 2 none zset MAX", [0, 0, 1]),
        ("ZREMRANGEBYRANK zset 0 -1", [0, 0, 1]),
        ("PFADD hll a", [0, 0, 2]),
        ("BITFIELD bits SET u8 0 1 SET u8 8 1", [0, 0, 2]),
        ("GETSET other 1", [1, 0, 0]),
        ("GETDEL none", [0, 1, 0]),
        ("GETDEL bits", [1, 0, 1]),
        ("XADD stream * a b", [0, 0, 1]),
        ("XADD stream MAXLEN 1 * a b", [0, 0, 1]),
        ("RENAME hll new", [0, 0, 1]),
        ("MOVE new 1", [0, 0, 1]),
        ("SWAPDB 0 1", [0, 0, 1]),
        ("SWAPDB 0 1", [0, 0, 1]),
        // There are `other`, `stream` and `new`.
        ("FLUSHALL", [0, 0, 3]),
    ];
    in_all_ways(|_, client| {
        for (line, wanted) in cases {
            let before = counts(client);
            run(client, line);
            let after = counts(client);
            let counted = [0, 1, 2].map(|which| after[which] - before[which]);
            assert_eq!(counted, *wanted, "{line}");
        }
    });
}
