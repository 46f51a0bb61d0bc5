//! What transcripts cannot show: the end of a server, who may use DEBUG, several connections.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

use std::collections::BTreeSet;
use std::path::Path;

use testkit::server::ServerProcess;
use testkit::{Client, Value};

fn start(arguments: &[&str]) -> ServerProcess {
    let all = [&["--port={port}", "--bind=127.0.0.1", "--proactor_threads=2"], arguments].concat();
    ServerProcess::start(Path::new(env!("CARGO_BIN_EXE_anax")), &all).unwrap()
}

fn connect(server: &ServerProcess) -> Client {
    Client::connect(server.address()).unwrap()
}

fn ask(client: &mut Client, request: &str) -> Value {
    client.command(&request.split(' ').collect::<Vec<_>>()).unwrap()
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}

/// The value of a line of INFO.
fn info(client: &mut Client, section: &str, name: &str) -> String {
    let reply = text(&ask(client, &format!("INFO {section}")));
    let line = reply.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} is not in {reply}")).to_owned()
}

#[test]
fn shutdown_ends_the_server_and_its_connections_without_a_reply() {
    let server = start(&[]);
    let (mut one, mut other) = (connect(&server), connect(&server));
    assert_eq!(ask(&mut other, "PING"), Value::simple("PONG"));
    assert!(one.command(&["SHUTDOWN", "NOSAVE"]).is_err());
    assert!(other.receive().is_err());
}

#[test]
fn debug_is_refused_unless_it_is_allowed() {
    let server = start(&[]);
    let mut client = connect(&server);
    for request in ["DEBUG SLEEP 0", "DEBUG DIGEST", "DEBUG OBJECT a", "DEBUG foo"] {
        let reply = format!("{:?}", ask(&mut client, request));
        assert!(reply.contains("DEBUG command not allowed"), "{reply}");
    }
    let server = start(&["--enable-debug-command=local"]);
    assert_eq!(ask(&mut connect(&server), "DEBUG SLEEP 0"), Value::ok());
}

/// Other connections are served while one sleeps, and its time counts as the command's own.
#[test]
fn a_sleeping_command_is_slow_and_keeps_nobody_waiting() {
    let server = start(&["--enable-debug-command=yes", "--slowlog-log-slower-than=20000"]);
    let mut sleeper = connect(&server);
    sleeper.send_command(&["DEBUG", "SLEEP", "0.05"]).unwrap();
    let mut others: Vec<Client> = (0..4).map(|_| connect(&server)).collect();
    for other in &mut others {
        assert_eq!(ask(other, "PING"), Value::simple("PONG"));
    }
    assert_eq!(sleeper.receive().unwrap(), Value::ok());
    assert_eq!(ask(&mut sleeper, "SLOWLOG LEN"), Value::Integer(1));
    let slow = format!("{:?}", ask(&mut sleeper, "SLOWLOG GET"));
    assert!(slow.contains("SLEEP"), "{slow}");
    assert!(info(&mut sleeper, "commandstats", "cmdstat_debug").starts_with("calls=1,"));
    let percentiles = info(&mut sleeper, "latencystats", "latency_percentiles_usec_debug");
    let half: f64 = percentiles[4..].split(',').next().unwrap().parse().unwrap();
    assert!(half >= 50_000.0, "{percentiles}");
    let longest: u64 = info(&mut sleeper, "debug", "eventloop_duration_max").parse().unwrap();
    assert!(longest >= 50_000, "{longest}");
    assert!(!text(&ask(&mut sleeper, "INFO all")).contains("eventloop_duration_max"));
}

/// POPULATE runs in steps, beside others that write.
#[test]
fn keys_are_made_while_others_write() {
    let server = start(&["--enable-debug-command=yes"]);
    let (mut maker, mut writer) = (connect(&server), connect(&server));
    maker.send_command(&["DEBUG", "POPULATE", "20000"]).unwrap();
    for nth in 0..500 {
        assert_eq!(ask(&mut writer, &format!("SET own:{nth} x")), Value::ok());
    }
    assert_eq!(maker.receive().unwrap(), Value::ok());
    assert_eq!(ask(&mut writer, "DBSIZE"), Value::Integer(20_500));
    assert_eq!(text(&ask(&mut writer, "GET key:19999")), "value:19999");
}

#[test]
fn populate_stops_at_the_memory_limit() {
    let server = start(&["--enable-debug-command=yes", "--maxmemory=32mb"]);
    let mut client = connect(&server);
    let reply = ask(&mut client, "DEBUG POPULATE 100000000 k 1000");
    assert!(format!("{reply:?}").contains("OOM"), "{reply:?}");
    assert_eq!(ask(&mut client, "PING"), Value::simple("PONG"));
}

#[test]
fn statistics_tell_what_was_done_and_are_reset() {
    let server = start(&[]);
    let mut client = connect(&server);
    ask(&mut client, "SET a 1");
    ask(&mut client, "GET a");
    ask(&mut client, "GET");
    ask(&mut client, "CLIENT NOTHING");
    assert!(info(&mut client, "commandstats", "cmdstat_get").starts_with("calls=1,"));
    assert!(info(&mut client, "commandstats", "cmdstat_get").contains("rejected_calls=1,"));
    assert_eq!(info(&mut client, "errorstats", "errorstat_ERR"), "count=2");
    assert_eq!(info(&mut client, "stats", "total_error_replies"), "2");
    assert_eq!(info(&mut client, "clients", "connected_clients"), "1");
    assert_eq!(info(&mut client, "keyspace", "db0"), "keys=1,expires=0,avg_ttl=0,subexpiry=0");
    ask(&mut client, "CONFIG RESETSTAT");
    assert_eq!(info(&mut client, "stats", "total_error_replies"), "0");
    assert!(!text(&ask(&mut client, "INFO errorstats commandstats")).contains("get"));
}

#[test]
fn memory_in_use_grows_and_shrinks_with_the_data() {
    let server = start(&["--enable-debug-command=yes"]);
    let mut client = connect(&server);
    let used =
        |client: &mut Client| -> u64 { info(client, "memory", "used_memory").parse().unwrap() };
    let before = used(&mut client);
    ask(&mut client, "DEBUG POPULATE 1000 k 10000");
    let filled = used(&mut client);
    assert!(filled > before + 10_000_000, "{before} {filled}");
    let dataset: u64 = info(&mut client, "memory", "used_memory_dataset").parse().unwrap();
    assert!(dataset > 10_000_000 && dataset < filled, "{dataset}");
    ask(&mut client, "FLUSHALL SYNC");
    assert!(used(&mut client) < before + 1_000_000);
    let peak: u64 = info(&mut client, "memory", "used_memory_peak").parse().unwrap();
    assert!(peak >= filled);
}

/// The next message that answers no command.
fn push(client: &mut Client) -> String {
    client.push().unwrap().to_string()
}

#[test]
fn another_connection_may_be_told_of_stale_copies_until_it_is_gone() {
    let server = start(&[]);
    let (mut reader, mut listener, mut writer) =
        (connect(&server), connect(&server), connect(&server));
    ask(&mut reader, "HELLO 3");
    ask(&mut listener, "HELLO 3");
    let Value::Integer(id) = ask(&mut listener, "CLIENT ID") else { panic!("no id") };
    ask(&mut reader, &format!("CLIENT TRACKING ON REDIRECT {id}"));
    assert_eq!(ask(&mut reader, "CLIENT GETREDIR"), Value::Integer(id));
    ask(&mut reader, "GET a");
    ask(&mut writer, "SET a 1");
    assert!(push(&mut listener).contains("\"a\""));
    assert!(info(&mut writer, "clients", "tracking_clients") == "1");

    drop(listener);
    while text(&ask(&mut writer, "CLIENT LIST")).contains(&format!("id={id} ")) {}
    ask(&mut reader, "GET a");
    ask(&mut writer, "SET a 2");
    assert!(push(&mut reader).contains("tracking-redir-broken"));
    assert!(ask(&mut reader, "CLIENT TRACKINGINFO").to_string().contains("broken_redirect"));
    drop(reader);
    while info(&mut writer, "clients", "tracking_clients") != "0" {}
    assert_eq!(info(&mut writer, "stats", "tracking_total_keys"), "0");
}

#[test]
fn a_reader_is_told_of_a_key_that_is_remembered_no_longer() {
    let server = start(&["--tracking-table-max-keys=10"]);
    let mut reader = connect(&server);
    ask(&mut reader, "HELLO 3");
    ask(&mut reader, "CLIENT TRACKING ON");
    (0..100).for_each(|nth| drop(ask(&mut reader, &format!("GET key:{nth}"))));
    let told = (0..90).map(|_| push(&mut reader)).collect::<BTreeSet<_>>();
    assert_eq!(told.len(), 90);
    assert_eq!(info(&mut reader, "stats", "tracking_total_keys"), "10");
    // A lower limit holds at once.
    let mut other = connect(&server);
    assert_eq!(ask(&mut other, "CONFIG SET tracking-table-max-keys 4"), Value::ok());
    let told = told.into_iter().chain((0..6).map(|_| push(&mut reader))).collect::<BTreeSet<_>>();
    assert_eq!(told.len(), 96);
    assert_eq!(info(&mut other, "stats", "tracking_total_keys"), "4");
}

/// A million members take longer than a millisecond to drop. That was left out of what a step of
/// expiry takes, and nobody was told of it where a command found the key expired.
#[test]
fn dropping_a_big_key_that_has_expired_is_an_event_unless_the_background_does_it() {
    const FILL: &str = "for first = 1, 1000000, 1000 do
            local members = {}
            for nth = 1, 1000 do members[nth] = first + nth end
            redis.call('sadd', KEYS[1], unpack(members))
        end
        redis.call('pexpire', KEYS[1], 1)";
    let server = start(&["--enable-debug-command=yes", "--latency-monitor-threshold=1"]);
    let mut client = connect(&server);
    let mut events_of = |lazy: &str, active: &str, poll: &str, awaited: &str| {
        for set in [
            format!("CONFIG SET lazyfree-lazy-expire {lazy}"),
            format!("DEBUG SET-ACTIVE-EXPIRE {active}"),
        ] {
            assert_eq!(ask(&mut client, &set), Value::ok());
        }
        client.command(&["EVAL", FILL, "1", "key"]).unwrap();
        ask(&mut client, "LATENCY RESET");
        let mut asks = 0..1_000_000;
        assert!(asks.any(|_| ask(&mut client, poll) == Value::Integer(0)), "it does not expire");
        // A step is recorded at the end of its round.
        let mut latest = (0..1_000_000).map(|_| ask(&mut client, "LATENCY LATEST").to_string());
        latest.find(|events| events.contains(awaited)).unwrap()
    };
    let met = events_of("no", "0", "EXISTS key", "expire-del");
    assert!(!met.contains("expire-cycle"), "{met}");
    let swept = events_of("no", "1", "DBSIZE", "expire-cycle");
    assert!(swept.contains("expire-del"), "{swept}");
    let lazily = events_of("yes", "0", "EXISTS key", "");
    assert!(!lazily.contains("expire"), "{lazily}");
}
