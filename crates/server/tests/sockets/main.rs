//! The server as its clients meet it: over sockets, with one worker and with two, in both
//! dialects.

mod blocking;
mod clients;
mod lifetime;
mod long_work;
mod memory;
mod output;
mod pause;
mod pubsub;
mod requests;
mod together;
mod transactions;
mod users;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use testkit::server::ServerProcess;
use testkit::{Client, Dialect, Value};

/// How often a state that is about to come is asked for.
const ASKS_MAX: u32 = 1_000_000;

/// A server with so many workers and these flags besides.
fn anax_with(workers: usize, flags: &[&str]) -> ServerProcess {
    let workers = format!("--proactor_threads={workers}");
    let own = ["--port={port}", "--bind=127.0.0.1", &workers];
    let flags: Vec<&str> = own.into_iter().chain(flags.iter().copied()).collect();
    let binary = Path::new(env!("CARGO_BIN_EXE_anax"));
    ServerProcess::start(binary, &flags).expect("the server starts")
}

/// Runs a check against a server with one worker, and against one with two.
fn with_workers(flags: &[&str], check: impl Fn(&ServerProcess)) {
    for workers in [1, 2] {
        check(&anax_with(workers, flags));
    }
}

/// Runs a check in all four ways: one worker and two, RESP2 and RESP3.
fn in_all_ways(check: impl Fn(&ServerProcess, &mut Client)) {
    with_workers(&[], |server| {
        for dialect in [Dialect::Resp2, Dialect::Resp3] {
            let mut client = connect(server);
            speak(&mut client, dialect);
            // Who was there before may still be on the way out.
            wait_until_alone(&mut client);
            check(server, &mut client);
        }
    });
}

fn connect(server: &ServerProcess) -> Client {
    server.client().expect("the server listens")
}

fn speak(client: &mut Client, dialect: Dialect) {
    if dialect == Dialect::Resp3 {
        let reply = run(client, "HELLO 3");
        assert!(matches!(reply, Value::Map(_)), "{reply}");
    }
}

/// Runs a command written as at a prompt.
fn run(client: &mut Client, line: &str) -> Value {
    let words = testkit::notation::words(line);
    client.command(&words).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Sends a command written as at a prompt, and waits for nothing.
fn send(client: &mut Client, line: &str) {
    client.send_command(&testkit::notation::words(line)).expect("the socket takes a line");
}

/// Sends commands in one piece.
fn send_all<'a>(client: &mut Client, lines: impl IntoIterator<Item = &'a str>) {
    let mut request = Vec::new();
    for line in lines {
        testkit::client::encode_command(&testkit::notation::words(line), &mut request);
    }
    client.send(&request).expect("the socket takes it");
}

fn reply(client: &mut Client) -> Value {
    client.reply().expect("a reply comes")
}

/// Asserts that the server has closed a connection.
fn assert_closed(client: &mut Client) {
    assert!(client.is_closed().expect("the end of the stream can be read"));
}

fn integer(value: &Value) -> i64 {
    value.as_integer().unwrap_or_else(|| panic!("not an integer: {value}"))
}

fn text(value: &Value) -> String {
    let bytes = value.as_bytes().unwrap_or_else(|| panic!("not a text: {value}"));
    String::from_utf8(bytes.to_vec()).expect("the text is plain")
}

fn id(client: &mut Client) -> i64 {
    integer(&run(client, "CLIENT ID"))
}

/// A field of a line of CLIENT LIST.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let fields = line.split_whitespace().filter_map(|field| field.split_once('='));
    let mut found = fields.filter_map(|(own, value)| (own == name).then_some(value));
    found.next().unwrap_or_else(|| panic!("{name} is not in {line}"))
}

/// The line of a client, as another one sees it; `None`: it is gone.
fn line_of(watcher: &mut Client, id: i64) -> Option<String> {
    let list = text(&run(watcher, &format!("CLIENT LIST ID {id}")));
    list.lines().next().map(str::to_owned)
}

/// Asks for a client's line until it is as wanted; `None` stands for a client that is gone.
fn wait_for(watcher: &mut Client, id: i64, wanted: impl Fn(Option<&str>) -> bool) {
    let found = (0..ASKS_MAX).any(|_| wanted(line_of(watcher, id).as_deref()));
    assert!(found, "client {id} never was as wanted: {:?}", line_of(watcher, id));
}

fn wait_until_gone(watcher: &mut Client, id: i64) {
    wait_for(watcher, id, |line| line.is_none());
}

fn wait_until_alone(watcher: &mut Client) {
    let mut others = || text(&run(watcher, "CLIENT LIST SKIPME yes"));
    assert!((0..ASKS_MAX).any(|_| others().is_empty()), "{}", others());
}

fn wait_until_blocked(watcher: &mut Client, id: i64) {
    wait_for(watcher, id, |line| line.is_some_and(|line| field(line, "flags").contains('b')));
}

/// The memory of a server that is in the machine, in bytes.
fn resident_bytes(server: &ServerProcess) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or(io::ErrorKind::InvalidData)? * 1024)
}

/// Bytes that are different at every place, so that none can be lost or swapped unseen.
fn pattern(bytes: usize) -> Vec<u8> {
    let mut pattern = String::with_capacity(bytes + 16);
    while pattern.len() < bytes {
        write!(pattern, "{:08x}\r\n", pattern.len()).expect("a string takes everything");
    }
    pattern.truncate(bytes);
    pattern.into_bytes()
}
