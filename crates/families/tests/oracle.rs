//! Rules with many cases against a reference server, where one is installed: the digits of
//! `INCRBYFLOAT`, which of several longest subsequences `LCS` finds, the bytes of HyperLogLogs.

mod in_process;

use in_process::InProcess;
use testkit::executor::{Executor, MAIN};
use testkit::server::Oracle;
use testkit::transcript::Conditions;
use testkit::{Dialect, Value, notation};

/// How many sums are compared.
const SUMS: usize = 4_000;

/// How many pairs of strings are compared.
const PAIRS: usize = 2_000;

/// How many changes of HyperLogLogs are compared, each with the bytes that it leaves behind.
const SKETCHES: usize = 6_000;

/// How many commands of streams are compared, each with what it leaves behind.
const STREAM_STEPS: usize = 20_000;

/// Pairs of commands that are sent at once.
const BATCH: usize = 200;

/// Random numbers and texts: an xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn digits(&mut self, most: u64) -> String {
        let count = 1 + self.below(most);
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    fn letters(&mut self) -> String {
        let count = 1 + self.below(16);
        (0..count).map(|_| char::from(b'a' + self.below(3) as u8)).collect()
    }

    /// A command that changes the HyperLogLog of this name. Few elements keep it sparse for long;
    /// a range of them makes it dense at some time.
    fn change_of_sketch(&mut self, key: &str) -> String {
        let name = |random: &mut Random| ["a", "b", "c", "d"][random.below(4) as usize];
        match self.below(40) {
            0 => format!("DEL {key}"),
            1 => format!("PFDEBUG TODENSE {key}"),
            2 | 3 => format!("PFMERGE {key}"),
            4..8 => format!("PFMERGE {key} {} {}", name(self), name(self)),
            8..12 => format!("PFCOUNT {key}"),
            12..14 => format!("PFCOUNT {key} {} {}", name(self), name(self)),
            14 => {
                let (start, count) = (self.below(1 << 40), self.below(600));
                let elements = (start..start + count).map(|element| format!(" {element}"));
                format!("PFADD {key}{}", elements.collect::<String>())
            }
            _ => {
                let (short, number) = (self.letters(), self.below(1 << 30));
                format!("PFADD {key} {short} {number} {short}{number}")
            }
        }
    }

    /// An id of few different ones, or a word that stands for one.
    fn stream_id(&mut self) -> String {
        match self.below(12) {
            0 => format!("{}", self.below(9)),
            1 => ["-", "+", "$", "0", "1-", "(2"][self.below(6) as usize].to_owned(),
            _ => format!("{}-{}", self.below(9), self.below(3)),
        }
    }

    fn stream_ids(&mut self) -> String {
        let ids: Vec<String> = (0..=self.below(3)).map(|_| self.stream_id()).collect();
        ids.join(" ")
    }

    /// MAXLEN or MINID. What nearly exact trims leave depends on nodes, so they trim all or none.
    fn stream_trim(&mut self) -> String {
        match self.below(5) {
            0 => format!("MAXLEN {}", self.below(30)),
            1 => format!("MAXLEN = {}", self.below(30)),
            2 => format!("MINID {}", self.stream_id()),
            3 => format!("MINID ~ {} LIMIT {}", self.stream_id(), self.below(3) * 200),
            _ => "MAXLEN ~ 1000".to_owned(),
        }
    }

    /// A command of the stream or its groups.
    fn stream_step(&mut self, key: &str) -> String {
        let (group, who) = (["g", "h"][self.below(2) as usize], ["c", "d"][self.below(2) as usize]);
        let (id, ids) = (self.stream_id(), self.stream_ids());
        let count = self.below(5);
        match self.below(44) {
            0 => format!("DEL {key}"),
            1 => format!("XTRIM {key} {}", self.stream_trim()),
            2 => format!("XADD {key} NOMKSTREAM {} {id} n 1", self.stream_trim()),
            3 => format!("XADD {key} {}-* n {}", self.below(12), self.letters()),
            4..12 => {
                let field = ["n", "m"][self.below(2) as usize];
                format!("XADD {key} {}-{} {field} {}", self.below(40), count, self.letters())
            }
            12 => format!("XSETID {key} {id} ENTRIESADDED {} MAXDELETEDID {id}", self.below(40)),
            13 => format!("XSETID {key} {id}"),
            14..17 => format!("XDEL {key} {ids}"),
            17 => format!("XGROUP CREATE {key} {group} {id} MKSTREAM ENTRIESREAD {count}"),
            18..20 => format!("XGROUP CREATE {key} {group} {id}"),
            20 => format!("XGROUP SETID {key} {group} {id}"),
            21 => format!("XGROUP DESTROY {key} {group}"),
            22 => format!("XGROUP CREATECONSUMER {key} {group} {who}"),
            23 => format!("XGROUP DELCONSUMER {key} {group} {who}"),
            24..28 => format!("XREADGROUP GROUP {group} {who} COUNT {count} STREAMS {key} >"),
            28 => format!("XREADGROUP GROUP {group} {who} NOACK STREAMS {key} >"),
            29 => format!("XREADGROUP GROUP {group} {who} STREAMS {key} {id}"),
            30 => format!("XREAD COUNT {count} STREAMS {key} other {id} 0"),
            31..33 => format!("XACK {key} {group} {ids}"),
            33 => format!("XCLAIM {key} {group} {who} 0 {ids} FORCE"),
            34 => format!("XCLAIM {key} {group} {who} 0 {ids} JUSTID RETRYCOUNT {count}"),
            35 => format!("XCLAIM {key} {group} {who} 100000 {ids}"),
            36 => format!("XCLAIM {key} {group} {who} 0 {ids} LASTID {id}"),
            37 => format!("XAUTOCLAIM {key} {group} {who} 0 {id} COUNT {}", count + 1),
            38 => format!("XAUTOCLAIM {key} {group} {who} 0 - JUSTID"),
            39 => format!("XREVRANGE {key} {} {id} COUNT {count}", self.stream_id()),
            40 => format!("XRANGE {key} {id} {} COUNT {count}", self.stream_id()),
            41 => format!("XRANGE {key} ({id} ({}", self.stream_id()),
            42 => format!("XPENDING {key} {group}"),
            _ => format!("XPENDING {key} {group} IDLE 100000 - + 10 {who}"),
        }
    }

    /// What is to be seen of a stream without its times.
    fn stream_look(&mut self, key: &str) -> String {
        match self.below(4) {
            0 => format!("XINFO GROUPS {key}"),
            1 => format!("XPENDING {key} g"),
            2 => format!("XRANGE {key} - +"),
            _ => format!("XINFO STREAM {key}"),
        }
    }

    /// A number as people and fuzzers write them.
    fn number(&mut self) -> String {
        let sign = ["", "", "-", "+"][self.below(4) as usize];
        let number = match self.below(8) {
            0 => self.digits(20),
            1 | 2 => format!("{}.{}", self.digits(6), self.digits(3)),
            3 => format!("{}.{}", self.digits(19), self.digits(22)),
            4 => format!("{}e{}", self.digits(4), self.below(40)),
            5 => format!("{}.{}e-{}", self.digits(2), self.digits(18), self.below(24)),
            6 => format!("{}e{}", self.digits(25), self.below(5_000)),
            _ => format!("0x{:x}p-{}", self.below(1 << 40), self.below(60)),
        };
        format!("{sign}{number}")
    }
}

/// Sends `count` pairs of commands to both, and compares all replies.
fn compare(oracle: &Oracle, count: usize, mut pair: impl FnMut() -> [String; 2]) {
    let mut client = oracle.server().client().expect("it listens");
    let mut anax = InProcess::new(1);
    for _ in 0..count / BATCH {
        let lines = (0..BATCH).flat_map(|_| pair());
        let commands: Vec<Vec<Vec<u8>>> = lines.map(|line| notation::words(&line)).collect();
        let expected = client.pipeline(&commands).expect("it answers");
        for (pair, expected) in commands.chunks(2).zip(expected.chunks(2)) {
            let ours: Vec<Value> = pair.iter().map(|words| anax.run(MAIN, words)).collect();
            let [first, second] = [&pair[0], &pair[1]].map(|words| notation::join(words));
            assert_eq!(ours, expected, "{first}; {second}");
        }
    }
}

#[test]
fn sums_have_the_digits_of_the_reference_server() {
    let Some(oracle) = Oracle::find() else { return };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    compare(&oracle, SUMS, || {
        let (old, more) = (random.number(), random.number());
        [format!("SET sum {old}"), format!("INCRBYFLOAT sum {more}")]
    });
}

#[test]
fn subsequences_are_those_of_the_reference_server() {
    let Some(oracle) = Oracle::find() else { return };
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    compare(&oracle, PAIRS, || {
        let (one, other) = (random.letters(), random.letters());
        let options = ["", "LEN", "IDX WITHMATCHLEN", "IDX MINMATCHLEN 2"];
        let options = options[random.below(4) as usize];
        [format!("MSET one {one} other {other}"), format!("LCS one other {options}")]
    });
}

#[test]
fn sketches_have_the_bytes_of_the_reference_server() {
    let Some(oracle) = Oracle::find() else { return };
    let mut random = Random(0x1234_5678_9abc_def1);
    compare(&oracle, SKETCHES, || {
        let key = ["a", "b", "c", "d"][random.below(4) as usize];
        [random.change_of_sketch(key), format!("GET {key}")]
    });
}

#[test]
fn streams_and_groups_are_those_of_the_reference_server() {
    let Some(oracle) = Oracle::find() else { return };
    // Others count what is before a group in another way.
    let redis = Conditions::parse("redis>=8").expect("it is a condition");
    if !redis.hold(oracle.target(), Dialect::Resp2) {
        return;
    }
    let mut random = Random(0x0bad_5eed_cafe_f00d);
    compare(&oracle, STREAM_STEPS, || {
        let key = ["s", "t"][random.below(2) as usize];
        [random.stream_step(key), random.stream_look(key)]
    });
}

/// Any bytes behind a header, on which both must agree: what is refused, what is counted, and
/// what stands there afterwards, unless a refusal left the reference server's half-way.
#[test]
fn strings_that_nobody_checked_are_taken_and_refused_as_by_the_reference_server() {
    let Some(oracle) = Oracle::find() else { return };
    let mut random = Random(0x0fed_cba9_8765_4321);
    compare(&oracle, SKETCHES, || {
        // Runs of zeros in two bytes come in pairs, so none is cut off.
        let mut runs: String = (0..random.below(6))
            .map(|_| match random.below(3) {
                0 => format!("\\x{:02x}", random.below(64)),
                1 => format!("\\x{:02x}\\x{:02x}", 64 + random.below(64), random.below(256)),
                _ => format!("\\x{:02x}", 128 + random.below(128)),
            })
            .collect();
        if random.below(2) == 0 {
            runs.push_str("\\x7f\\xff");
        }
        let stale = ["\\x00", "\\x80"][random.below(2) as usize];
        let zeros = "\\x00".repeat(10);
        let set = format!("SET s \"HYLL\\x01{zeros}{stale}{runs}\"");
        let then = match random.below(4) {
            0 => "PFCOUNT s".to_owned(),
            1 => format!("PFADD s {}", random.letters()),
            2 => "PFCOUNT s s".to_owned(),
            _ => "PFMERGE s s".to_owned(),
        };
        [set, then]
    });
}

/// How many changes of lists are compared, each with what is there afterwards.
const LISTS: usize = 6_000;

impl Random {
    fn element(&mut self) -> String {
        match self.below(12) {
            0 => "0".repeat(900 + self.below(3_000) as usize),
            1..4 => self.below(1 << 40).to_string(),
            4 => format!("-{}", self.below(70_000)),
            _ => self.letters(),
        }
    }

    fn index(&mut self) -> i64 {
        self.below(60) as i64 - 30
    }

    /// A command that changes the list of this name or another one.
    fn change_of_list(&mut self, key: &str) -> String {
        let end = |random: &mut Random| ["LEFT", "RIGHT"][random.below(2) as usize];
        let letter = |end: &str| end.chars().next().unwrap_or_default();
        match self.below(24) {
            0 => format!("{}POP {key}", letter(end(self))),
            1 | 2 => format!("{}POP {key} {}", letter(end(self)), self.below(12)),
            3 => format!("LSET {key} {} {}", self.index(), self.element()),
            4..7 => format!("LINSERT {key} AFTER {} {}", self.letters(), self.element()),
            7 => format!("LREM {key} {} {}", self.index() / 10, self.letters()),
            8 if self.below(4) == 0 => format!("LTRIM {key} {} {}", self.index(), self.index()),
            9..12 => format!("LMOVE {key} other {} {}", end(self), end(self)),
            12 => format!("LMOVE other {key} {} {}", end(self), end(self)),
            13 => format!("LPOS {key} {} RANK -2 COUNT 0 MAXLEN 40", self.letters()),
            14 => format!("LRANGE {key} {} {}", self.index(), self.index()),
            _ => format!("{}PUSH {key} {} {}", letter(end(self)), self.element(), self.element()),
        }
    }
}

#[test]
fn lists_are_those_of_the_reference_server() {
    let Some(oracle) = Oracle::find() else { return };
    let mut random = Random(0x0123_4567_89ab_cdef);
    let mut step = 0;
    compare(&oracle, LISTS, || {
        step += 1;
        let key = ["a", "b", "c"][random.below(3) as usize];
        // Lists that nearly empty take other ways than those that grow.
        let change = match step % 300 {
            0..60 => format!("LPOP {key} {}", random.below(9)),
            _ => random.change_of_list(key),
        };
        [change, format!("LRANGE {key} 0 -1")]
    });
}

/// To the element, and back to one node when all but one are gone.
#[test]
fn lists_become_quicklists_where_those_of_the_reference_server_do() {
    let Some(oracle) = Oracle::find() else { return };
    let told = Conditions::parse("redis>=7.2 valkey").expect("it is a condition");
    if !told.hold(oracle.target(), Dialect::Resp2) {
        return;
    }
    let mut random = Random(0x0f1e_2d3c_4b5a_6978);
    let (mut step, mut size) = (0, 1);
    compare(&oracle, LISTS, || {
        step += 1;
        let change = match step % 1_500 {
            1 => {
                size = 8 + random.below(200);
                "DEL k".to_owned()
            }
            2..1_300 => {
                let text = "x".repeat(1 + random.below(size) as usize);
                let other = random.below(1 << 20);
                match random.below(3) {
                    0 => format!("LPUSH k {other} {text}"),
                    1 => format!("LSET k {} {text}", random.below(3)),
                    _ => format!("LINSERT k BEFORE x {text}"),
                }
            }
            _ => "LTRIM k 0 0".to_owned(),
        };
        [change, "OBJECT ENCODING k".to_owned()]
    });
}
