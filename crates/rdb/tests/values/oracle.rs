//! Against a real server: its dumps decode, and it restores what is encoded here.
//!
//! `ANAX_ORACLE` names the server; the tests pass unseen where none is installed.

use std::env;
use std::fs;
use std::path::Path;

use rdb::{Format, Limits, Options, Value, open, seal};
use testkit::Client;
use testkit::server::Oracle;
use testkit::transcript::Target;

use super::samples::{Sample, all, comparable};
use super::{fixtures, old};

/// The environment variable that asks for the fixtures to be written.
const WRITE_VARIABLE: &str = "ANAX_FIXTURES";

struct Server {
    oracle: Oracle,
    client: Client,
}

impl Server {
    fn find() -> Option<Self> {
        let oracle = Oracle::find()?;
        let client = oracle.server().client().expect("it listens");
        Some(Self { oracle, client })
    }

    fn run<W: AsRef<[u8]>>(&mut self, words: &[W]) -> testkit::Value {
        let reply = self.client.command(words).expect("it answers");
        let name = String::from_utf8_lossy(words[0].as_ref()).into_owned();
        assert!(!reply.is_error(), "{name}: {reply:?}");
        reply
    }

    fn make(&mut self, sample: &Sample) {
        self.run(&["FLUSHALL"]);
        for command in &sample.commands {
            self.run(command);
        }
    }

    fn dump(&mut self, key: &str) -> Vec<u8> {
        self.run(&["DUMP", key]).as_bytes().expect("the key exists").to_vec()
    }

    fn restore(&mut self, key: &str, dump: &[u8]) {
        self.run(&[b"RESTORE", key.as_bytes(), b"0", dump, b"REPLACE"]);
    }

    fn version(&self) -> (&str, u32, u32) {
        let Target { name, version, .. } = self.oracle.target();
        let part = |at| version.get(at).copied().unwrap_or(0);
        (name, part(0), part(1))
    }

    fn has_deadlines(&self) -> bool {
        self.formats().iter().any(|format| format.version() >= 12)
    }

    /// What it restores.
    fn formats(&self) -> Vec<Format> {
        let mut formats = vec![Format::Redis10];
        match self.version() {
            ("valkey", major, _) => {
                formats.push(Format::Redis11);
                formats.extend((major >= 9).then_some(Format::Valkey80));
            }
            (_, major, minor) => {
                formats.extend(((major, minor) >= (7, 2)).then_some(Format::Redis11));
                formats.extend(((major, minor) >= (7, 4)).then_some(Format::Redis12));
            }
        }
        formats
    }

    fn samples(&self) -> Vec<Sample> {
        let has_deadlines = self.has_deadlines();
        all().into_iter().filter(|sample| has_deadlines || !sample.has_deadlines).collect()
    }
}

fn decode(dump: &[u8]) -> Value {
    let dump = open(dump).expect("a server's checksum is right");
    Value::decode(dump.payload, dump.version, &Limits::default()).expect("a server's dump is right")
}

#[test]
fn its_dumps_decode_to_what_was_written() {
    let Some(mut server) = Server::find() else { return };
    let mut lines = String::new();
    for sample in server.samples() {
        server.make(&sample);
        let dump = server.dump("key");
        let (found, wanted) = (comparable(decode(&dump)), comparable(sample.value));
        assert!(found == wanted, "{}\n{found:?}\n{wanted:?}", sample.name);
        lines += &fixtures::line(sample.name, &dump);
    }
    if env::var_os(WRITE_VARIABLE).is_some() {
        let (name, major, minor) = server.version();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let path = folder.join(format!("{name}-{major}.{minor}.txt"));
        fs::write(path, lines).expect("the fixtures can be written");
    }
}

#[test]
fn it_restores_what_is_encoded() {
    let Some(mut server) = Server::find() else { return };
    for sample in server.samples() {
        server.make(&sample);
        let value = decode(&server.dump("key"));
        for format in server.formats() {
            if server.cannot_read(&sample, format) {
                continue;
            }
            for compress in [false, true] {
                let what = format!("{} {format:?} {compress}", sample.name);
                server.restores(&value, Options { format, compress }, &what);
            }
        }
    }
}

impl Server {
    /// Whether the format has no place for the sample, or the server does not
    /// read what Redis writes: where a back-length is all ones, Valkey 9.1
    /// takes one byte less and refuses the other form.
    fn cannot_read(&self, sample: &Sample, format: Format) -> bool {
        let is_foreign = self.version().0 == "valkey" && format != Format::Valkey80;
        sample.has_deadlines && format.version() < 12 || sample.has_full_back_length && is_foreign
    }

    /// The copy of `key` that was encoded here is the same to the server.
    fn restores(&mut self, value: &Value, options: Options, what: &str) {
        let mut dump = Vec::new();
        value.encode(options, &mut dump).unwrap_or_else(|error| panic!("{what}: {error}"));
        seal(&mut dump, options.format.version());
        self.restore("copy", &dump);

        let again = decode(&self.dump("copy"));
        assert!(comparable(again.clone()) == comparable(value.clone()), "{what}\n{again:?}");
        assert_eq!(self.run(&["TYPE", "copy"]), self.run(&["TYPE", "key"]), "{what}");
        let digest = |server: &mut Self, key| server.run(&["DEBUG", "DIGEST-VALUE", key]);
        assert_eq!(digest(self, "copy"), digest(self, "key"), "{what}");
        if let Value::Stream(_) = value {
            let groups = |server: &mut Self, key| server.run(&["XINFO", "GROUPS", key]);
            assert_eq!(groups(self, "copy"), groups(self, "key"), "{what}");
        }
    }
}

#[test]
fn it_reads_old_layouts_as_they_are_read_here() {
    let Some(mut server) = Server::find() else { return };
    for layout in old::layouts() {
        if layout.version > 11 {
            continue;
        }
        let mut dump = layout.payload.clone();
        seal(&mut dump, layout.version);
        server.restore("key", &dump);
        let found = comparable(decode(&server.dump("key")));
        assert!(found == comparable(layout.value), "{}\n{found:?}", layout.name);
    }
}

#[test]
fn it_refuses_an_old_layout_that_is_refused_here() {
    let Some(mut server) = Server::find() else { return };
    // By default Redis believes what is packed; Valkey never does, and has no setting.
    if server.version().0 == "redis" {
        server.run(&["CONFIG", "SET", "sanitize-dump-payload", "yes"]);
    }
    for (name, payload, _) in old::refused() {
        let mut dump = payload;
        seal(&mut dump, 10);
        let words = [b"RESTORE", &b"key"[..], b"0", &dump, b"REPLACE"];
        let reply = server.client.command(&words).expect("it answers");
        assert_eq!(reply, testkit::Value::error("ERR Bad data format"), "{name}");
    }
}
