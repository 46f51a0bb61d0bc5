//! Which commands are sent, by a seed.
//!
//! A command is written as a line of words in which names in braces stand for
//! random ones, and is now and then spoilt: a word too few, too many or wrong.

use super::{Action, CLIENTS, Clocks, Word};

/// A sequence of numbers that looks random: `SplitMix64` by Steele, Lea and Flood.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that `seed` begins.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// One of several.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn pick<T: Copy>(&mut self, several: &[T]) -> T {
        several[(self.number() % several.len() as u64) as usize]
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// Every shape of command; a shape that stands twice comes twice as often.
const SHAPES: &[&str] = &[
    "SET {key} {value}",
    "SET {key} {value}",
    "SET {key} {number}",
    "SET {key} {number}",
    "SET {key} {value} {set}",
    "SET {key} {value} {set} {set}",
    "SET {key} {number} {set} {set} {set}",
    "GET {key}",
    "GET {key}",
    "GETSET {key} {value}",
    "GETDEL {key}",
    "GETEX {key}",
    "GETEX {key} PERSIST",
    "GETEX {key} {deadline}",
    "GETEX {key} {deadline} PERSIST",
    "SETNX {key} {value}",
    "SETEX {key} {ttl} {value}",
    "PSETEX {key} {pttl} {value}",
    "STRLEN {key}",
    "APPEND {key} {value}",
    "GETRANGE {key} {index} {index}",
    "SUBSTR {key} {index} {index}",
    "SETRANGE {key} {offset} {value}",
    "SETRANGE {key} {offset} {empty}",
    "INCR {key}",
    "DECR {key}",
    "INCRBY {key} {number}",
    "DECRBY {key} {number}",
    "INCRBYFLOAT {key} {float}",
    "SET {key} {float}",
    "MSET {key} {value}",
    "MSET {key} {value} {key} {number}",
    "MSETNX {key} {value} {key} {value}",
    "MGET {key}",
    "MGET {key} {key} {key}",
    "DEL {key}",
    "DEL {key} {key}",
    "UNLINK {key}",
    "EXISTS {key}",
    "EXISTS {key} {key}",
    "TOUCH {key}",
    "TYPE {key}",
    "EXPIRE {key} {ttl}",
    "EXPIRE {key} {ttl} {condition}",
    "PEXPIRE {key} {pttl} {condition}",
    "PEXPIRE {key} {pttl} {condition} {condition}",
    "EXPIREAT {key} {at} {condition}",
    "EXPIREAT {key} {at}",
    "PEXPIREAT {key} {pat}",
    "TTL {key}",
    "PTTL {key}",
    "PTTL {key}",
    "EXPIRETIME {key}",
    "PEXPIRETIME {key}",
    "PERSIST {key}",
    "RENAME {key} {key}",
    "RENAMENX {key} {key}",
    "COPY {key} {key}",
    "COPY {key} {key} REPLACE",
    "COPY {key} {key} DB {db}",
    "COPY {key} {key} DB {db} REPLACE",
    "MOVE {key} {db}",
    "SELECT {db}",
    "SETBIT {key} {bit} {truth}",
    "GETBIT {key} {bit}",
    "BITCOUNT {key}",
    "BITCOUNT {key} {index} {index}",
    "BITCOUNT {key} {index} {index} {unit}",
];

/// Shapes that change everything; they come rarely.
const RARE_SHAPES: &[&str] =
    &["SWAPDB {db} {db}", "FLUSHDB {flush}", "FLUSHDB", "FLUSHALL {flush}"];

const KEYS: &[&str] = &["a", "b", "c", "key with blanks"];
const VALUES: &[&str] =
    &["", "x", "hello", "Hello, world", " 5", "+5", "007", "-0", "3.0", "é", "\0\x01\x7f"];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "10",
    "255",
    "65536",
    "-4294967297",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
];
const FLOATS: &[&str] = &[
    "0.1",
    "-0.1",
    "3.14",
    "10",
    "1.5e3",
    "-2.5E-2",
    ".5",
    "5.",
    "+0.25",
    "0",
    "1000000.000001",
    "123456789.987654321",
    "-99999.5",
    "inf",
    "-Infinity",
    "abc",
    "",
    "1e",
    "0.00000000000000001",
];
const INDEXES: &[&str] = &["0", "1", "2", "5", "7", "100", "-1", "-2", "-4", "-100"];
const OFFSETS: &[&str] = &["0", "1", "3", "12", "-1", "536870912", "9223372036854775807"];
const BITS: &[&str] = &["0", "1", "7", "8", "23", "100", "-1", "4294967296", "9223372036854775807"];
const TRUTHS: &[&str] = &["0", "1", "1", "0", "2", "-1", "true"];
const UNITS: &[&str] = &["BYTE", "BIT", "bit", "NIBBLE"];
const CONDITIONS: &[&str] = &["NX", "XX", "GT", "LT", "gt", "ZZ"];
const FLUSHES: &[&str] = &["SYNC", "ASYNC", "async", "NOW"];
const DATABASES: &[&str] = &["0", "1", "2", "0", "1", "2", "15", "16", "-1", "x"];
const SPOILS: &[&str] = &["", "x", "1.5", "NX", "EX", "99999999999999999999", "-1", "0"];
/// Numbers of seconds or milliseconds that no clock reaches, or has passed long ago.
const ODD_TIMES: &[&str] =
    &["0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775", "x"];

/// Makes actions.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Random,
    clocks: Clocks,
    made: u64,
}

impl Generator {
    /// The actions of `seed`, fit for the clocks.
    pub fn new(seed: u64, clocks: Clocks) -> Self {
        Self { random: Random::new(seed), clocks, made: 0 }
    }

    /// So many commands, with time passing in between, and then a look at every key.
    pub fn history(mut self, commands: usize) -> Vec<Action> {
        let mut actions: Vec<Action> = (0..commands).map(|_| self.action()).collect();
        for database in ["0", "1", "2"] {
            actions.push(plain(&["SELECT", database]));
            for key in KEYS {
                actions.push(plain(&["GET", key]));
                actions.push(plain(&["PTTL", key]));
            }
            actions.extend((self.clocks != Clocks::Told).then(|| plain(&["DBSIZE"])));
        }
        actions
    }

    /// The next action.
    pub fn action(&mut self) -> Action {
        self.made += 1;
        if self.clocks == Clocks::Told && self.random.once_in(20) {
            return Action::Advance(2_000 * (1 + self.random.below(10)));
        }
        let shapes = if self.random.once_in(60) { RARE_SHAPES } else { SHAPES };
        let shape = self.random.pick(shapes);
        let mut words: Vec<Word> = Vec::new();
        for part in shape.split(' ') {
            self.part(part, &mut words);
        }
        if self.random.once_in(25) {
            self.spoil(&mut words);
        }
        Action::Run { client: self.random.pick(&CLIENTS), words }
    }

    /// Appends what a part of a shape stands for.
    fn part(&mut self, part: &str, words: &mut Vec<Word>) {
        let one_of = match part {
            "{key}" => KEYS,
            "{value}" => VALUES,
            "{number}" => NUMBERS,
            "{float}" => FLOATS,
            "{index}" => INDEXES,
            "{offset}" => OFFSETS,
            "{bit}" => BITS,
            "{truth}" => TRUTHS,
            "{unit}" => UNITS,
            "{condition}" => CONDITIONS,
            "{flush}" => FLUSHES,
            "{db}" => DATABASES,
            "{empty}" => &[""],
            "{set}" => return self.set_option(words),
            "{deadline}" => return self.deadline(words),
            "{ttl}" | "{pttl}" | "{at}" | "{pat}" => return words.push(self.time(part)),
            name => return words.push(bytes(self.cased(name))),
        };
        words.push(bytes(self.random.pick(one_of)));
    }

    fn set_option(&mut self, words: &mut Vec<Word>) {
        match self.random.below(6) {
            0 => words.push(bytes("NX")),
            1 => words.push(bytes("XX")),
            2 => words.push(bytes("GET")),
            3 => words.push(bytes("KEEPTTL")),
            _ => self.deadline(words),
        }
    }

    fn deadline(&mut self, words: &mut Vec<Word>) {
        let kinds = [("EX", "{ttl}"), ("PX", "{pttl}"), ("EXAT", "{at}"), ("PXAT", "{pat}")];
        let (name, kind) = self.random.pick(&kinds);
        words.push(bytes(self.cased(name)));
        let time = self.time(kind);
        words.push(time);
    }

    /// A number of seconds or milliseconds, from now or from 1970.
    fn time(&mut self, kind: &str) -> Word {
        if self.random.once_in(12) {
            return bytes(self.random.pick(ODD_TIMES));
        }
        let seconds = self.seconds();
        match kind {
            "{ttl}" => bytes(seconds.to_string()),
            "{pttl}" => bytes((seconds * 1000).to_string()),
            "{at}" => Word::SecondsFromNow(seconds),
            _ => Word::MsFromNow(seconds * 1000),
        }
    }

    /// An odd number of seconds.
    ///
    /// Where a clock is real, so many that none will pass, and always others,
    /// far enough apart that no slack makes the later one the earlier.
    fn seconds(&mut self) -> i64 {
        let seconds = match self.clocks {
            Clocks::Told => 1 + 2 * self.random.below(15),
            Clocks::Real { slack_ms } => {
                let step = 4 * slack_ms.div_ceil(1000);
                100_001 + step * (self.made * 7_919 % 20_011)
            }
        };
        i64::try_from(seconds).expect("it is far below that")
    }

    fn cased(&mut self, name: &str) -> String {
        if self.random.once_in(10) { name.to_ascii_lowercase() } else { name.to_owned() }
    }

    /// Takes a word away, adds one or replaces one; never the name.
    fn spoil(&mut self, words: &mut Vec<Word>) {
        let spoil = bytes(self.random.pick(SPOILS));
        match self.random.below(3) {
            0 if words.len() > 1 => {
                words.pop();
            }
            1 if words.len() > 2 => {
                let last = words.len() - 1;
                words[last] = spoil;
            }
            _ => words.push(spoil),
        }
    }
}

fn bytes(text: impl AsRef<[u8]>) -> Word {
    Word::Bytes(text.as_ref().to_vec())
}

fn plain(words: &[&str]) -> Action {
    Action::Run { client: CLIENTS[0], words: words.iter().map(bytes).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_everything() {
        let history = |seed| Generator::new(seed, Clocks::Told).history(200);
        assert_eq!(history(3), history(3));
        assert_ne!(history(3), history(4));
    }

    #[test]
    fn numbers_are_those_of_the_published_algorithm() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.number(), 6_457_827_717_110_365_317);
        assert_eq!(random.number(), 3_203_168_211_198_807_973);
    }
}
