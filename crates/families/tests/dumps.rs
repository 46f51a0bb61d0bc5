//! Streams and hashes of templates through DUMP and RESTORE: those of real servers come back as
//! they were, and damaged ones are refused or are another stream, never a panic.

mod in_process;

use in_process::InProcess;
use testkit::Value;
use testkit::executor::{Executor, MAIN};
use testkit::notation::words;

/// Dumps that real servers wrote: lines of a name and hexadecimal digits.
const STORED: [&str; 3] = [
    include_str!("../../rdb/tests/fixtures/redis-7.0.txt"),
    include_str!("../../rdb/tests/fixtures/redis-8.0.txt"),
    include_str!("../../rdb/tests/fixtures/valkey-9.1.txt"),
];

/// Payloads of up to this length get every value in every byte.
const EXHAUSTIVE_BYTES_MAX: usize = 64;

/// Longer ones get these differences, in so many bytes.
const DIFFERENCES: [u8; 5] = [0x01, 0x02, 0x40, 0x80, 0xff];
const CHANGED_BYTES_MAX: usize = 300;

fn streams() -> Vec<Vec<u8>> {
    let lines = STORED.iter().flat_map(|file| file.lines());
    let named = lines.filter_map(|line| line.split_once(' '));
    named.filter(|(name, _)| name.starts_with("stream")).map(|(_, hex)| from_hex(hex)).collect()
}

fn from_hex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    digits.as_bytes().chunks_exact(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect()
}

fn run(server: &mut InProcess, line: &str) -> Value {
    server.run(MAIN, &words(line))
}

fn restore(server: &mut InProcess, key: &str, dump: &[u8]) -> Value {
    let mut line = words(&format!("RESTORE {key} 0 dump REPLACE"));
    line[3] = dump.to_vec();
    server.run(MAIN, &line)
}

fn dump(server: &mut InProcess, key: &str) -> Vec<u8> {
    run(server, &format!("DUMP {key}")).as_bytes().expect("the key is there").to_vec()
}

fn all_of(server: &mut InProcess, key: &str) -> Value {
    run(server, &format!("XINFO STREAM {key} FULL COUNT 0"))
}

/// The key's dump makes the same stream again, and so does a copy.
fn travels(server: &mut InProcess, what: &str) {
    let whole = all_of(server, "key");
    run(server, "COPY key again REPLACE");
    assert_eq!(all_of(server, "again"), whole, "{what}");
    let dump = dump(server, "key");
    assert_eq!(restore(server, "again", &dump), Value::simple("OK"), "{what}");
    // What later layouts add does not travel in the one that is written.
    if !is_of_later_layout(&whole) {
        assert_eq!(all_of(server, "again"), whole, "{what}");
    }
}

fn is_of_later_layout(whole: &Value) -> bool {
    let told = format!("{whole:?}");
    told.contains(&format!("{:?}", Value::bulk("idmp-duration")))
}

#[test]
fn streams_of_real_servers_come_and_go_whole() {
    let mut server = InProcess::new(1);
    let dumps = streams();
    assert!(dumps.len() > STORED.len());
    for (at, dump) in dumps.iter().enumerate() {
        assert_eq!(restore(&mut server, "key", dump), Value::simple("OK"), "{at}");
        travels(&mut server, &at.to_string());
    }
}

#[test]
fn what_was_given_back_goes_to_the_first_consumer() {
    let mut server = InProcess::new(1);
    for line in [
        "XADD key 1-0 a 1",
        "XADD key 2-0 a 2",
        "XGROUP CREATE key readers 0",
        "XREADGROUP GROUP readers zoe COUNT 1 STREAMS key >",
        "XREADGROUP GROUP readers bert COUNT 1 STREAMS key >",
        "XNACK key readers FAIL IDS 1 1-0",
    ] {
        assert!(!run(&mut server, line).is_error(), "{line}");
    }
    let bytes = dump(&mut server, "key");
    assert_eq!(restore(&mut server, "again", &bytes), Value::simple("OK"));
    let pending = |server: &mut InProcess, key| run(server, &format!("XPENDING {key} readers"));
    assert_ne!(pending(&mut server, "again"), pending(&mut server, "key"));
    let claimed = run(&mut server, "XAUTOCLAIM again readers carl 9999999 0 JUSTID");
    let Value::Array(parts) = claimed else { panic!("{claimed:?}") };
    assert_eq!(parts[1], Value::Array(vec![Value::bulk("1-0")]), "it may be claimed at once");
    // Nobody is left who could own it.
    run(&mut server, "XGROUP DELCONSUMER key readers zoe");
    run(&mut server, "XGROUP DELCONSUMER key readers bert");
    let bytes = dump(&mut server, "key");
    assert_eq!(restore(&mut server, "again", &bytes), Value::simple("OK"));
    assert_eq!(
        run(&mut server, "XPENDING again readers - + 9"),
        run(&mut server, "XPENDING again readers - + 9 \"\""),
    );
}

/// A stream of Redis 7.2's layout with what the layouts of 8.6 and 8.8 add, by hand: entry 1-0
/// pends at nobody, and producer `p` has sent message `m`, which became that entry.
#[test]
fn what_later_layouts_add_to_streams_is_read() {
    let mut server = InProcess::new(1);
    for line in [
        "XADD key 1-0 a 1",
        "XGROUP CREATE key readers 0",
        "XREADGROUP GROUP readers anna COUNT 1 STREAMS key >",
    ] {
        assert!(!run(&mut server, line).is_error(), "{line}");
    }
    let dump = dump(&mut server, "key");
    let old = rdb::open(&dump).expect("an own dump").payload;
    let id = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 8]].concat();
    let producers = b"\x40\x64\x0a\x01\x01p\x01\x01m\x01\x00\x05\x02";
    let sealed = |payload: Vec<u8>, version| {
        let mut dump = payload;
        rdb::seal(&mut dump, version);
        dump
    };

    let four = sealed([&b"\x1a"[..], &old[1..], producers].concat(), 13);
    assert_eq!(restore(&mut server, "four", &four), Value::simple("OK"));
    let told = run(&mut server, "XINFO STREAM four");
    let Value::Array(told) = told else { panic!("{told:?}") };
    assert_eq!(run(&mut server, "XPENDING four readers"), run(&mut server, "XPENDING key readers"));
    let counted = |name: &str, count: i64| {
        let pair = [Value::bulk(name), Value::Integer(count)];
        assert!(told.windows(2).any(|two| two == pair), "{pair:?}: {told:?}");
    };
    counted("idmp-duration", 100);
    counted("idmp-maxsize", 10);
    counted("pids-tracked", 1);
    counted("iids-tracked", 1);
    counted("iids-added", 5);
    counted("iids-duplicates", 2);

    // The consumer's own list, at the end, loses its one entry, which comes to the other list.
    let anna = old.len() - 1 - id.len();
    let given_back = [&b"\x1b"[..], &old[1..anna], b"\x00\x01", &id, producers].concat();
    let five = sealed(given_back.clone(), 14);
    assert_eq!(restore(&mut server, "five", &five), Value::simple("OK"));
    let pending = run(&mut server, "XPENDING five readers - + 9");
    let Value::Array(pending) = pending else { panic!("{pending:?}") };
    let Value::Array(first) = &pending[0] else { panic!("{pending:?}") };
    assert_eq!(first[..2], [Value::bulk("1-0"), Value::bulk("")]);

    let bad = Value::error("ERR Bad data format");
    let nobody = [&b"\x1b"[..], &old[1..anna], b"\x00\x00", producers].concat();
    assert_eq!(restore(&mut server, "bad", &sealed(nobody, 14)), bad, "it pends nowhere");
    let both = [&b"\x1b"[..], &old[1..], b"\x01", &id, producers].concat();
    assert_eq!(restore(&mut server, "bad", &sealed(both, 14)), bad, "it pends twice");
    assert_eq!(restore(&mut server, "bad", &sealed(given_back.clone(), 13)), bad, "too early");
    for at in 0..given_back.len() {
        assert!(is_refused(&mut server, &given_back[..at], 14), "cut off at {at}");
        for change in DIFFERENCES {
            let mut changed = given_back.clone();
            changed[at] ^= change;
            // It is refused, or another stream that can travel.
            is_refused(&mut server, &changed, 14);
        }
    }
}

#[test]
fn messages_of_producers_travel() {
    let mut server = InProcess::new(1);
    for line in [
        "XADD key * a 0",
        "XCFGSET key IDMP-DURATION 1000 IDMP-MAXSIZE 7",
        "XADD key IDMP p m * a 1",
        "XADD key IDMP p -5 * a 2",
        "XADD key IDMPAUTO other * a 3",
        "XADD key IDMP p m * a 1",
        "XGROUP CREATE key readers 0",
        "XREADGROUP GROUP readers zoe COUNT 2 STREAMS key >",
    ] {
        assert!(!run(&mut server, line).is_error(), "{line}");
    }
    let first = dump(&mut server, "key");
    let opened = rdb::open(&first).expect("an own dump");
    assert_eq!((opened.version, opened.payload[0]), (13, 26), "Redis 8.6 reads it");
    assert_eq!(restore(&mut server, "again", &first), Value::simple("OK"));
    assert_eq!(all_of(&mut server, "again"), all_of(&mut server, "key"));
    for line in
        ["XADD KEY IDMP p m * a 1", "XADD KEY IDMP p -5 * a 1", "XADD KEY IDMPAUTO other * a 3"]
    {
        let [before, after] =
            ["key", "again"].map(|key| run(&mut server, &line.replace("KEY", key)));
        assert_eq!(after, before, "it was sent before: {line}");
    }
    assert_eq!(run(&mut server, "XLEN again"), Value::Integer(4));

    // With entries that nobody owns only 8.8 reads it; here they have a place of their own.
    let Value::Array(read) = run(&mut server, "XPENDING key readers - + 1") else { panic!("some") };
    let Value::Array(pending) = &read[0] else { panic!("an entry") };
    let id = pending[0].as_bytes().expect("an id").to_vec();
    let mut line = words("XNACK key readers FAIL IDS 1 id");
    line[6] = id;
    assert_eq!(server.run(MAIN, &line), Value::Integer(1));
    let second = dump(&mut server, "key");
    let opened = rdb::open(&second).expect("an own dump");
    assert_eq!((opened.version, opened.payload[0]), (14, 27));
    assert_eq!(restore(&mut server, "again", &second), Value::simple("OK"));
    assert_eq!(all_of(&mut server, "again"), all_of(&mut server, "key"));
}

#[test]
fn a_stream_that_never_had_a_producer_is_for_old_servers_too() {
    let mut server = InProcess::new(1);
    run(&mut server, "XADD key 1-1 a 1");
    let plain = dump(&mut server, "key");
    assert_eq!(rdb::open(&plain).expect("an own dump").version, 11);
    // What is as it always was is not worth a newer format.
    run(&mut server, "XCFGSET key IDMP-DURATION 100");
    assert_eq!(dump(&mut server, "key"), plain);
    run(&mut server, "XCFGSET key IDMP-DURATION 101");
    assert_eq!(rdb::open(&dump(&mut server, "key")).expect("an own dump").version, 13);
}

#[test]
fn a_hash_of_a_template_is_a_hash() {
    let mut server = InProcess::new(1);
    let mut dump = b"\x1f\x01\x02\x01f\x02gg\x01x\xc0\x07".to_vec();
    rdb::seal(&mut dump, 15);
    assert_eq!(restore(&mut server, "key", &dump), Value::simple("OK"));
    let fields = ["f", "x", "gg", "7"].map(Value::bulk).to_vec();
    assert_eq!(run(&mut server, "HGETALL key"), Value::Array(fields));
    let bytes = self::dump(&mut server, "key");
    assert_eq!(rdb::open(&bytes).expect("an own dump").version, 11, "as any other");
}

#[test]
fn a_damaged_stream_is_refused_or_another_stream() {
    let mut server = InProcess::new(1);
    let mut refused = 0;
    for whole in streams() {
        let opened = rdb::open(&whole).expect("it is stored whole");
        let (version, mut payload) = (opened.version, opened.payload.to_vec());
        for at in (0..payload.len()).step_by(payload.len().div_ceil(CHANGED_BYTES_MAX)) {
            let was = payload[at];
            for change in changes(payload.len()) {
                payload[at] = was ^ change;
                refused += usize::from(is_refused(&mut server, &payload, version));
            }
            payload[at] = was;
            assert!(is_refused(&mut server, &payload[..at], version), "cut off at {at}");
        }
    }
    assert!(refused > 1_000);
}

fn changes(len: usize) -> Vec<u8> {
    if len <= EXHAUSTIVE_BYTES_MAX { (1..=255).collect() } else { DIFFERENCES.to_vec() }
}

/// Whether RESTORE refuses a payload; a stream that it takes is one that can travel on.
fn is_refused(server: &mut InProcess, payload: &[u8], version: u16) -> bool {
    let mut dump = payload.to_vec();
    rdb::seal(&mut dump, version);
    run(server, "DEL key");
    let reply = restore(server, "key", &dump);
    if reply.is_error() {
        assert_eq!(reply, Value::error("ERR Bad data format"));
        assert_eq!(run(server, "EXISTS key"), Value::Integer(0));
        return true;
    }
    assert_eq!(reply, Value::simple("OK"));
    if run(server, "TYPE key") == Value::simple("stream") {
        travels(server, &format!("{payload:02x?}"));
    }
    false
}
