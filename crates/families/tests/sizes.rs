//! What is counted of the lengths of collections is what their lengths are, whatever commands run.

mod in_process;

use std::collections::BTreeMap;

use in_process::InProcess;
use keyspace::lengths::doubling;
use testkit::Value;
use testkit::executor::{Executor, MAIN};
use testkit::notation::words;
use testkit::random::Random;

const STEPS: usize = 12_000;

/// Collections become large beyond this, so that both forms come by often.
const MANY: u64 = 150;

/// Random commands.
struct Commands(Random);

impl Commands {
    fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }

    fn texts(&mut self, before: &str) -> String {
        let most = [3, 12, MANY * 2][self.below(3) as usize];
        let count = 1 + self.below(most);
        (0..count).map(|_| format!(" {before}{}", self.below(MANY * 2))).collect()
    }

    fn command(&mut self) -> String {
        let (a, b) = (self.below(5), self.below(5));
        match self.below(34) {
            0 => format!("SADD {a}{}", self.texts("")),
            1 => format!("SADD {a}{}", self.texts("m")),
            2 => format!("SREM {a}{}", self.texts("")),
            3 => format!("SPOP {a} {}", self.below(40)),
            4 => format!("SMOVE {a} {b} {}", self.below(9)),
            5 => format!("SUNIONSTORE {a} {b} {a}"),
            6 => format!("SDIFFSTORE {a} {b} {}", self.below(5)),
            7 => format!("RPUSH {a}{}", self.texts("")),
            8 => format!("LPUSH {a}{}", self.texts("some-text-")),
            9 => format!("LPOP {a} {}", 1 + self.below(40)),
            10 => format!("LTRIM {a} {} {}", self.below(9), self.below(90)),
            11 => format!("LREM {a} 0 {}", self.below(MANY * 2)),
            12 => format!("LINSERT {a} BEFORE {} x", self.below(MANY)),
            13 => format!("LMOVE {a} {b} LEFT RIGHT"),
            14 => format!("HSET {a}{}", self.texts("v ")),
            15 => format!("HDEL {a}{}", self.texts("")),
            16 => format!("HGETDEL {a} FIELDS 2 {} {}", self.below(30), self.below(30)),
            17 => format!("HSETEX {a} EX 100 FIELDS 1 {} v", self.below(30)),
            18 => format!("HPEXPIRE {a} 0 FIELDS 1 {}", self.below(30)),
            19 => format!("ZADD {a}{}", self.texts("1 ")),
            20 => format!("ZREM {a}{}", self.texts("")),
            21 => format!("ZPOPMAX {a} {}", self.below(40)),
            22 => format!("ZREMRANGEBYRANK {a} {} {}", self.below(9), self.below(90)),
            23 => format!("ZRANGESTORE {a} {b} 0 {}", self.below(200)),
            24 => format!("ZUNIONSTORE {a} 2 {a} {b}"),
            25 => format!("SORT {a} ALPHA STORE {b}"),
            26 => format!("RENAME {a} {b}"),
            27 => format!("COPY {a} {b} REPLACE"),
            28 => format!("COPY {a} {b} DB 1"),
            29 => format!("MOVE {a} 1"),
            30 => format!("SET {a} text"),
            31 => format!("XADD {a} * f v"),
            32 => format!("GEOADD {a} 1 1 {}", self.below(9)),
            _ => format!("DEL {a}"),
        }
    }
}

/// Types and doublings of all lists, sets, sorted sets and hashes of a database, by how many there
/// are of each.
type Seen = BTreeMap<(&'static str, usize), u32>;

fn run(server: &mut InProcess, line: &str) -> Value {
    server.run(MAIN, &words(line))
}

fn found(server: &mut InProcess) -> Seen {
    let mut seen = Seen::new();
    for key in 0..5 {
        let (kind, length) = match run(server, &format!("TYPE {key}")) {
            Value::Simple(kind) if kind == b"list" => ("list", "LLEN"),
            Value::Simple(kind) if kind == b"set" => ("set", "SCARD"),
            Value::Simple(kind) if kind == b"zset" => ("zset", "ZCARD"),
            Value::Simple(kind) if kind == b"hash" => ("hash", "HLEN"),
            _ => continue,
        };
        let Value::Integer(len) = run(server, &format!("{length} {key}")) else { continue };
        *seen.entry((kind, doubling(len as usize))).or_default() += 1;
    }
    seen
}

fn counted(server: &InProcess, db: u16) -> Seen {
    let mut seen = Seen::new();
    for id in server.keyspace.shard_ids() {
        let all = server.keyspace.try_lengths(id).expect("nobody is in the shard");
        for (_, _, sizes) in all.iter().filter(|(of, ..)| *of == db) {
            for (kind, lengths) in sizes.iter() {
                for (doubling, &count) in lengths.counts().iter().enumerate() {
                    if count > 0 {
                        *seen.entry((kind.name(), doubling)).or_default() += count;
                    }
                }
            }
        }
    }
    seen
}

fn run_random(shards: usize, seed: u64) {
    let (mut server, mut random) = (InProcess::new(shards), Commands(Random::new(seed)));
    for step in 0..STEPS {
        let line = random.command();
        run(&mut server, &line);
        for db in [0, 1] {
            run(&mut server, &format!("SELECT {db}"));
            let (found, counted) = (found(&mut server), counted(&server, db));
            assert_eq!(counted, found, "step {step}, database {db}: {line}");
        }
        run(&mut server, &format!("SELECT {}", random.below(8) / 7));
        if random.below(500) == 0 {
            run(&mut server, ["FLUSHDB", "SWAPDB 0 1", "FLUSHALL"][random.below(3) as usize]);
        }
    }
}

#[test]
fn every_collection_counts_where_its_length_is() {
    run_random(1, 5);
    run_random(8, 77);
}
