//! The load tool against a small server of the test's own.
//!
//! The server answers enough commands to be greeted, asked and pipelined, and
//! writes down what it was asked, so a test can say what was on the wire.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that runs for as long as the test does.
struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What the server was asked.
#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<Vec<String>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        in_background(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                shared.lock().expect("no test thread panics with it").connections += 1;
                let shared = Arc::clone(&shared);
                in_background(move || {
                    // The client may leave at any moment.
                    let _ = serve(&stream, &shared);
                });
            }
        });
        Self { port, seen }
    }

    /// Runs the program against the server.
    fn bench(&self, flags: &str) -> Output {
        bench(&format!("-p {} {flags}", self.port))
    }

    /// The requests of that name.
    fn requests(&self, name: &str) -> Vec<Vec<String>> {
        let seen = self.seen.lock().expect("no test thread panics with it");
        seen.requests.iter().filter(|words| words[0] == name).cloned().collect()
    }

    fn connections(&self) -> usize {
        self.seen.lock().expect("no test thread panics with it").connections
    }
}

fn in_background(act: impl FnOnce() + Send + 'static) {
    thread::Builder::new().spawn(act).expect("the system has room for a thread");
}

fn bench(flags: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anax-benchmark"))
        .args(flags.split_whitespace())
        .output()
        .expect("the program is built")
}

fn serve(stream: &TcpStream, seen: &Mutex<Seen>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    let mut replies = Vec::new();
    while let Some(words) = read_request(&mut reader)? {
        let name = words[0].clone();
        replies.extend_from_slice(reply(&words).as_bytes());
        seen.lock().expect("no test thread panics with it").requests.push(words);
        if name == "QUIT" {
            return Ok(());
        }
        if reader.buffer().is_empty() {
            out.write_all(&replies)?;
            replies.clear();
        }
    }
    Ok(())
}

/// An array of bulk strings or an inline command; `None` when the client left.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Vec<String>>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let Some(count) = line.trim_end().strip_prefix('*') else {
        return Ok(Some(vec![line.trim_end().to_owned()]));
    };
    let mut words = Vec::new();
    for _ in 0..count.parse().unwrap_or(0) {
        let mut length = String::new();
        reader.read_line(&mut length)?;
        let length: usize = length.trim_end().trim_start_matches('$').parse().unwrap_or(0);
        let mut word = vec![0; length + 2];
        reader.read_exact(&mut word)?;
        word.truncate(length);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(Some(words))
}

fn reply(words: &[String]) -> String {
    match words[0].as_str() {
        "PING" => "+PONG\r\n".to_owned(),
        "GET" => "$5\r\na\r\nbc\r\n".to_owned(),
        "MGET" => "*2\r\n$-1\r\n*1\r\n:5\r\n".to_owned(),
        "HELLO" => "%1\r\n+proto\r\n:3\r\n".to_owned(),
        "NEWS" => ">2\r\n+news\r\n+today\r\n+OK\r\n".to_owned(),
        "FAIL" => "-ERR it failed\r\n".to_owned(),
        "QUIT" => String::new(),
        _ => "+OK\r\n".to_owned(),
    }
}

#[track_caller]
fn stdout(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}{complaint}", output.status);
    text
}

#[test]
fn every_request_is_sent_and_none_twice() {
    let server = Server::start();
    for (flags, count) in [
        ("-n 1000 -c 7 -q GET a", 1000),
        ("-n 1000 -c 7 -P 16 -q GET a", 2000),
        ("-n 10 -c 50 -P 3 -q GET a", 2010),
        ("-n 1001 -c 5 -P 4 --threads 3 -q GET a", 3011),
        ("-n 500 -c 3 --rate 50000 -q GET a", 3511),
        ("-n 501 -c 4 -P 8 --threads 2 --rate 100000 -q GET a", 4012),
    ] {
        let line = stdout(&server.bench(flags));
        assert!(
            line.starts_with("GET a: ") && line.contains(" requests per second, p50="),
            "{line}"
        );
        assert_eq!(server.requests("GET").len(), count, "{flags}");
    }
}

#[test]
fn the_usual_tests_send_their_commands_with_keys_below_the_limit() {
    let server = Server::start();
    let page = stdout(&server.bench("-n 200 -r 10 -d 8 -t set,mget,ping --csv"));
    let titles: Vec<&str> = page.lines().skip(1).filter_map(|row| row.split('"').nth(1)).collect();
    assert_eq!(titles, ["PING_INLINE", "PING_MBULK", "SET", "MGET (10 keys)"]);
    assert!(page.starts_with("\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\","));
    for words in server.requests("SET") {
        let digits = words[1].strip_prefix("key:").expect("the key has its prefix");
        assert_eq!((digits.len(), words[2].len()), (12, 8));
        assert!(digits.parse::<u64>().expect("only digits") < 10);
    }
    let keys: Vec<Vec<String>> = server.requests("MGET");
    assert!(keys.iter().all(|words| words.len() == 11));
    assert!(keys.iter().any(|words| words[1] != words[2]), "each mark has its own number");
}

#[test]
fn a_seed_decides_what_is_sent() {
    let sent = |flags: &str| {
        let server = Server::start();
        stdout(
            &server.bench(&format!("-n 50 -c 1 -r 1000000 -q {flags} SET __rand_int__ __data__")),
        );
        server.requests("SET")
    };
    assert_eq!(sent("--seed 5"), sent("--seed 5"));
    assert_ne!(sent("--seed 5"), sent("--seed 6"));
    let hot = sent("--seed 5 --zipf 3").iter().filter(|words| words[1] == "000000000000").count();
    assert!(hot > 25, "rank 1 has five sixths of the mass: {hot}");
}

#[test]
fn without_a_limit_of_keys_the_mark_stays() {
    let server = Server::start();
    stdout(&server.bench("-n 5 -q -t get"));
    assert!(server.requests("GET").iter().all(|words| words[1] == "key:__rand_int__"));
}

#[test]
fn connections_greet_with_password_protocol_and_database() {
    let server = Server::start();
    stdout(&server.bench("-n 20 -c 2 -q -a secret --user me -3 --dbnum 4 GET a"));
    assert_eq!(server.requests("AUTH"), vec![["AUTH", "me", "secret"]; 2]);
    assert_eq!(server.requests("HELLO"), vec![["HELLO", "3"]; 2]);
    assert_eq!(server.requests("SELECT"), vec![["SELECT", "4"]; 2]);
    assert_eq!(server.requests("GET").len(), 20);
}

#[test]
fn without_keep_alive_every_batch_has_its_own_connection_and_greeting() {
    let server = Server::start();
    stdout(&server.bench("-n 40 -c 3 -P 2 -k 0 --dbnum 1 -q GET a"));
    assert_eq!(server.requests("GET").len(), 40);
    assert_eq!(server.connections(), 20);
    assert_eq!(server.requests("SELECT").len(), 20);
}

#[test]
fn push_messages_are_not_replies() {
    let server = Server::start();
    let line = stdout(&server.bench("-n 300 -c 3 -P 5 --json NEWS"));
    assert!(line.contains("\"requests\":300,\"errors\":0"), "{line}");
    assert_eq!(server.requests("NEWS").len(), 300);
}

#[test]
fn a_time_limit_ends_the_load_and_a_warm_up_does_not_count() {
    let server = Server::start();
    let line = stdout(&server.bench("--duration 0.2 --warmup 0.05 -c 2 --json GET a"));
    let (_, rest) = line.split_once("\"requests\":").expect("the count is there");
    let counted: usize = rest.split(',').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(counted > 0 && counted < server.requests("GET").len(), "{line}");
}

#[test]
fn nothing_but_errors_is_a_failure_and_the_first_is_shown() {
    let server = Server::start();
    let output = server.bench("-n 30 -c 2 -q FAIL");
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("30 of 30 replies were errors; the first: ERR it failed"));
}

#[test]
fn a_refused_connection_is_one_clear_line() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        listener.local_addr().expect("it is bound").port()
    };
    let output = bench(&format!("-p {port} -q PING"));
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains(&format!("Could not connect to server at 127.0.0.1:{port}")));
}

#[test]
fn a_server_that_hangs_up_ends_the_load() {
    let server = Server::start();
    let output = server.bench("-n 30 -c 2 -q QUIT");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("The server closed the connection"));
}
