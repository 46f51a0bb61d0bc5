//! Rules with many cases against a reference server, where one is installed: the digits of
//! `INCRBYFLOAT`, and which of several longest subsequences `LCS` finds.

mod in_process;

use in_process::InProcess;
use testkit::executor::{Executor, MAIN};
use testkit::server::Oracle;
use testkit::{Value, notation};

/// How many sums are compared.
const SUMS: usize = 4_000;

/// How many pairs of strings are compared.
const PAIRS: usize = 2_000;

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
