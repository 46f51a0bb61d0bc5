//! Anax beside a reference server, where one is installed.
//!
//! Without one these tests pass without having shown anything.

mod anax;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use anax::{NARROW, WIDE};
use testkit::executor::{Executor, Passing};
use testkit::model::Flavour;
use testkit::random::{Clocks, Comparison};
use testkit::server::Oracle;
use testkit::transcript::{Run, run_folder};
use testkit::{Dialect, SocketExecutor, Value};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/transcripts");

/// The groups of transcripts that are compared without a server of our own around them, and that
/// of arrays, which no reference server has.
const ELSEWHERE: [&str; 4] = ["string", "bitmap", "generic", "array"];

/// What the server's clock shows, in milliseconds.
fn now_ms(oracle: &Oracle) -> u64 {
    let mut client = oracle.server().client().expect("it has answered before");
    let reply = client.command(&["TIME"]).expect("it has answered before");
    let Value::Array(parts) = &reply else { panic!("{reply}") };
    let number = |part: &Value| std::str::from_utf8(part.as_bytes()?).ok()?.parse::<u64>().ok();
    let [seconds, us] = &parts[..] else { panic!("{reply}") };
    number(seconds).zip(number(us)).map(|(s, us)| s * 1000 + us / 1000).expect("two numbers")
}

/// A deadline after this, in the year 9892, is just far away: Anax keeps 48 bits of it, which end
/// in the year 10889, others 63.
const FAR_MS: i64 = 250_000_000_000_000;

/// What is compared of a reply to a command of this name.
fn compared(name: &[u8], reply: Value) -> Value {
    let far = match name.to_ascii_uppercase().as_slice() {
        b"PTTL" | b"PEXPIRETIME" => FAR_MS,
        b"TTL" | b"EXPIRETIME" => FAR_MS / 1000,
        _ => return reply,
    };
    match reply {
        Value::Integer(time) if time >= far => Value::Integer(far),
        near => near,
    }
}

/// An executor of which only that is seen which is compared.
struct Alike<E> {
    inner: E,
    /// Commands that are not sent at all, in capitals.
    spared: &'static [&'static str],
}

impl<E: Executor> Alike<E> {
    /// Spares `inner` some commands.
    fn new(inner: E, spared: &'static [&'static str]) -> Self {
        Self { inner, spared }
    }
}

impl<E: Executor> Executor for Alike<E> {
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
        if self.spared.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes())) {
            return Value::Nil;
        }
        compared(&words[0], self.inner.run(client, words))
    }

    fn advance(&mut self, ms: u64) {
        self.inner.advance(ms);
    }

    fn clear(&mut self) {
        self.inner.clear();
    }

    fn open(&mut self, client: &str, dialect: Dialect) {
        self.inner.open(client, dialect);
    }
}

/// The commands in which Anax does as Valkey does, and not as this server does.
fn spared(oracle: &Oracle) -> &'static [&'static str] {
    match Flavour::of(oracle.target()) {
        Flavour::Valkey | Flavour::Anax => &[],
        Flavour::Redis | Flavour::Redis7 => &["BITCOUNT", "GETEX"],
    }
}

#[test]
fn random_commands_are_answered_as_the_reference_server_answers_them() {
    let Some(oracle) = Oracle::find() else { return };
    let alike = |server| Alike::new(server, spared(&oracle));
    for (shape, seeds) in [(NARROW, 100..102), (WIDE, 102..104)] {
        let server = shape.start();
        for seed in seeds {
            let clocks = Clocks::Real { slack_ms: 30_000 };
            let comparison = Comparison { seed, commands: 3_000, now_ms: now_ms(&oracle), clocks };
            let mut anax = alike(SocketExecutor::new(server.address(), Passing::Waiting));
            let outcome = comparison.run(&mut anax, &mut alike(oracle.executor()));
            if let Err(difference) = outcome {
                panic!("Anax (first) and {} differ: {difference}", oracle.target());
            }
        }
    }
}

#[test]
fn the_reference_server_answers_as_the_transcripts_say() {
    let Some(oracle) = Oracle::find() else { return };
    for dialect in [Dialect::Resp2, Dialect::Resp3] {
        let run = Run { target: oracle.target().clone(), dialect };
        for group in fs::read_dir(FOLDER).expect("it can be read") {
            let group = group.expect("it can be read").path();
            if !ELSEWHERE.iter().any(|name| group.ends_with(name)) {
                run_folder(&group, &run, || oracle.executor()).unwrap().assert_clean();
            }
        }
    }
}

/// Requests as no client should write them; all are complete, or end the connection.
///
/// Left out is what servers answer each in its own way: bytes behind a string that are no line
/// end, text behind a closing quote, zeros in a line, names that are not text.
const BROKEN: &[&[u8]] = &[
    b"PING\r\n",
    b"PING\n",
    b"ping 'a b'\r\n",
    b"PING \"a\\x41\\n\"\r\n",
    b"  PING   spaced   \r\n",
    b"PING \"open\r\n",
    b"PING 'open\r\n",
    b"SET a \"\\xzz\"\r\nGET a\r\n",
    b"\r\n\r\nPING\r\n",
    b"\r\n",
    b"*0\r\nPING\r\n",
    b"*-1\r\nPING\r\n",
    b"*-12345\r\nPING\r\n",
    b"*\r\n",
    b"*a\r\n",
    b"*1a\r\n",
    b"* 1\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*3000000000\r\n",
    b"*99999999999999999999\r\n",
    b"*1\r\n4\r\n",
    b"*1\r\n:4\r\n",
    b"*1\r\n*1\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$a\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$600000000\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*1\r\n$0\r\n\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$3\r\n\r\n\0\r\n",
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    b"*1\r\n$7\r\nNOTHERE\r\n",
    b"*2\r\n$7\r\nNOT\r\nIT\r\n$2\r\n\r\n\r\n",
    b"NOTHERE with 'some \\n' arguments\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n*1\r\n$4\r\nping\r\n",
    b"+PING\r\n",
    b"-PING\r\n",
    b":1\r\n",
    b"$4\r\nPING\r\n",
    b"PING a b c\r\nPING\r\n",
    b"QUIT\r\nPING\r\n",
    b"GET\r\nset a\r\nMSET a b c\r\n",
];

/// What a server sends to one who sends this and then no more.
fn answered(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[test]
fn broken_requests_are_answered_as_the_reference_server_answers_them() {
    let Some(oracle) = Oracle::find() else { return };
    let server = WIDE.start();
    let mut differing = Vec::new();
    for request in BROKEN {
        let ours = answered(server.address(), request).expect("it listens");
        let theirs = answered(oracle.server().address(), request).expect("it listens");
        if ours != theirs {
            differing.push(format!(
                "{}\n  Anax: {}\n  {}: {}\n",
                request.escape_ascii(),
                ours.escape_ascii(),
                oracle.target(),
                theirs.escape_ascii()
            ));
        }
    }
    assert!(differing.is_empty(), "\n{}", differing.concat());
}
