//! Dumps that real servers wrote, stored as lines of a name and hexadecimal digits.
//!
//! `ANAX_FIXTURES=write cargo test -p rdb` writes those of the installed
//! reference server anew.

use std::fmt::Write;

use rdb::{Limits, RdbError, Value, open};

use super::samples::{all, comparable};

const SERVERS: [(&str, &str); 3] = [
    ("redis-7.0", include_str!("../fixtures/redis-7.0.txt")),
    ("redis-8.0", include_str!("../fixtures/redis-8.0.txt")),
    ("valkey-9.1", include_str!("../fixtures/valkey-9.1.txt")),
];

/// A stored dump.
pub(crate) struct Fixture {
    pub(crate) server: &'static str,
    pub(crate) name: &'static str,
    pub(crate) dump: Vec<u8>,
}

impl Fixture {
    pub(crate) fn decode(&self) -> Result<Value, RdbError> {
        let dump = open(&self.dump)?;
        Value::decode(dump.payload, dump.version, &Limits::default())
    }
}

/// All stored dumps.
pub(crate) fn stored() -> Vec<Fixture> {
    let of = |(server, lines): (&'static str, &'static str)| {
        lines.lines().filter(|line| !line.starts_with('#')).map(move |line| {
            let (name, digits) = line.split_once(' ').expect("a name and digits");
            Fixture { server, name, dump: from_hex(digits) }
        })
    };
    SERVERS.into_iter().flat_map(of).collect()
}

/// The line of a fixture.
pub(crate) fn line(name: &str, dump: &[u8]) -> String {
    let mut line = format!("{name} ");
    for byte in dump {
        write!(line, "{byte:02x}").expect("a string takes all");
    }
    line + "\n"
}

fn from_hex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    digits.as_bytes().chunks_exact(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect()
}

#[test]
fn dumps_of_real_servers_decode_to_what_was_written() {
    let samples = all();
    for fixture in stored() {
        let (server, name) = (fixture.server, fixture.name);
        let sample = samples.iter().find(|sample| sample.name == name).expect("a known name");
        let value = fixture.decode().unwrap_or_else(|error| panic!("{server} {name}: {error}"));
        let (found, wanted) = (comparable(value), comparable(sample.value.clone()));
        assert!(found == wanted, "{server} {name}\n{found:?}\n{wanted:?}");
    }
}

#[test]
fn every_server_wrote_every_sample_it_can() {
    let stored = stored();
    for (server, _) in SERVERS {
        for sample in all() {
            let is_there = stored
                .iter()
                .any(|fixture| fixture.server == server && fixture.name == sample.name);
            let is_wanted = server != "redis-7.0" || !sample.has_deadlines;
            assert_eq!(is_there, is_wanted, "{server} {}", sample.name);
        }
    }
}
