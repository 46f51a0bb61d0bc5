//! Clients that send what no client should: the server stays up, answers others, and keeps little.

mod anax;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::{fs, io};

use anax::{NARROW, WIDE};
use testkit::client::encode_command;
use testkit::random::Random;
use testkit::server::ServerProcess;
use testkit::{Client, Value, notation};

/// How many connections to a server misbehave, and how often each of them.
const CONNECTIONS: u64 = 500;
const BLOBS: u64 = 20;

/// By how much the server may have grown after that, in bytes.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

/// Requests to spoil: none that is meant to take much memory or to end the server.
const REQUESTS: &[&str] = &[
    "PING",
    "ECHO 'some text'",
    "HELLO 3",
    "HELLO 2 SETNAME me",
    "AUTH user password",
    "SELECT 3",
    "SET key value EX 10 NX GET",
    "SET key \"\\x00\\r\\n*1\"",
    "MSET a 1 b 2 c 3",
    "MGET a b c",
    "GET key",
    "GETRANGE key 0 -1",
    "INCRBYFLOAT a 1.5e3",
    "BITCOUNT key 0 -1 BIT",
    "BITPOS key 1",
    "LCS a b IDX MINMATCHLEN 2 WITHMATCHLEN",
    "SCAN 0 MATCH a* COUNT 10 TYPE string",
    "KEYS *[a-c]?\\*",
    "COPY a b DB 2 REPLACE",
    "RENAME a b",
    "OBJECT ENCODING key",
    "EXPIRE key 100 GT",
    "CLIENT LIST TYPE normal ID 1 2 3",
    "CLIENT SETINFO lib-name it",
    "CLIENT REPLY SKIP",
    "COMMAND DOCS get set",
    "COMMAND GETKEYS MSET a 1 b 2",
    "CONFIG GET max* port",
    "INFO everything",
    "RESET",
];

/// Bytes that begin or end something.
const MARKS: &[u8] = b"*$\r\n:+-%~>_|=,(#!'\"\\ \0\xff0123456789";

/// Something to send.
fn blob(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => (0..random.below(300)).map(|_| random.number() as u8).collect(),
        1 => (0..random.below(80)).map(|_| random.pick(MARKS)).collect(),
        _ => spoilt(random),
    }
}

/// A request with a few bytes changed, taken away, doubled or put in.
fn spoilt(random: &mut Random) -> Vec<u8> {
    let line = random.pick(REQUESTS);
    let mut request = Vec::new();
    if random.once_in(3) {
        request.extend(line.bytes());
        request.extend(b"\r\n");
    } else {
        encode_command(&notation::words(line), &mut request);
    }
    for _ in 0..random.below(4) {
        let at = random.below(request.len().max(1) as u64) as usize;
        match random.below(5) {
            0 => request.insert(at, random.pick(MARKS)),
            1 => request.truncate(at),
            2 => request.extend_from_within(at..),
            _ if at >= request.len() => {}
            3 => drop(request.remove(at)),
            _ => request[at] = random.pick(MARKS),
        }
    }
    request
}

/// Whether a connection ended as one does whose other side has had enough.
fn is_ended(error: &io::Error) -> bool {
    let ended = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::NotConnected];
    ended.contains(&error.kind())
}

/// Misbehaves on one connection until the server ends it or nothing is left to send.
fn misbehave(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    for _ in 0..BLOBS {
        stream.write_all(&blob(random))?;
    }
    stream.shutdown(Shutdown::Write)?;
    // The server ends the connection when it has read the end of it.
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn assert_pong(client: &mut Client) {
    assert_eq!(client.command(&["PING"]).expect("the server answers"), Value::simple("PONG"));
}

/// The memory of a process as the system counts it; `None` where the system does not tell.
fn resident_bytes(server: &ServerProcess) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[track_caller]
fn assert_small(server: &ServerProcess, before: Option<u64>) {
    if let Some((before, after)) = before.zip(resident_bytes(server)) {
        let growth = after.saturating_sub(before);
        assert!(growth < GROWTH_BYTES_MAX, "the server has grown by {growth} bytes");
    }
}

#[test]
fn twenty_thousand_blobs_of_bytes_do_no_harm() {
    for (shape, first) in [(NARROW, 0), (WIDE, CONNECTIONS)] {
        let server = shape.start();
        let mut bystander = server.client().expect("it listens");
        let before = resident_bytes(&server);
        for seed in first..first + CONNECTIONS {
            if let Err(error) = misbehave(server.address(), &mut Random::new(seed)) {
                assert!(is_ended(&error), "seed {seed}: {error}");
            }
            assert_pong(&mut bystander);
        }
        assert_small(&server, before);
        assert_pong(&mut server.client().expect("it listens"));
    }
}

#[test]
fn announcements_take_no_memory() {
    let announcements: [&[u8]; 4] = [
        b"*2\r\n$4\r\nECHO\r\n$536870912\r\n",
        b"*1048576\r\n",
        b"*1048576\r\n$536870912\r\nx",
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\n0",
    ];
    let server = WIDE.start();
    let mut bystander = server.client().expect("it listens");
    let before = resident_bytes(&server);
    let announce = |nth: usize| {
        let mut client = server.client().expect("it listens");
        client.send(announcements[nth % announcements.len()]).expect("the server listens");
        client
    };
    let waiting: Vec<Client> = (0..400).map(announce).collect();
    // Each worker has read them when it answers those who came later.
    (0..10).for_each(|_| assert_pong(&mut server.client().expect("it listens")));
    assert_pong(&mut bystander);
    assert_small(&server, before);
    drop(waiting);
    assert_pong(&mut bystander);
}

#[test]
fn a_request_may_come_one_byte_at_a_time() {
    let server = WIDE.start();
    let mut random = Random::new(1);
    for line in REQUESTS {
        let mut request = Vec::new();
        encode_command(&notation::words(line), &mut request);
        let mut client = server.client().expect("it listens");
        for byte in &request {
            client.send(&[*byte]).expect("the server listens");
            if random.once_in(10) {
                assert_pong(&mut server.client().expect("it listens"));
            }
        }
        client.send(b"*1\r\n$4\r\nQUIT\r\n").expect("the server listens");
        // A reply, unless the request was to have none, and that of QUIT.
        let replies = std::iter::from_fn(|| client.reply().ok()).count();
        let silent = usize::from(*line == "CLIENT REPLY SKIP");
        assert_eq!(replies, 2 - 2 * silent, "{line}");
    }
}

/// A client that asks for much and reads nothing has its further requests wait.
#[test]
fn a_client_that_does_not_read_takes_bounded_memory() {
    let server = WIDE.start();
    let mut client = server.client().expect("it listens");
    let value = "x".repeat(1 << 20);
    assert_eq!(client.command(&["SET", "big", &value]).expect("it answers"), Value::ok());
    let before = resident_bytes(&server);
    // 4 GiB of replies are asked for in 90 kB.
    client.send(&b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n".repeat(4_096)).expect("the server listens");
    for _ in 0..10 {
        let mut other = server.client().expect("it listens");
        assert_eq!(
            other.command(&["STRLEN", "big"]).expect("it answers").as_integer(),
            Some(1 << 20)
        );
    }
    if let Some((before, after)) = before.zip(resident_bytes(&server)) {
        let growth = after.saturating_sub(before);
        assert!(growth < 128 << 20, "the server has grown by {growth} bytes");
    }
}
