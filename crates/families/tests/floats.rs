//! INCRBYFLOAT against a reference server, where one is installed: random numbers, digit by digit.

mod in_process;

use in_process::InProcess;
use testkit::executor::{Executor, MAIN};
use testkit::server::Oracle;
use testkit::{Value, notation};

/// How many sums are compared.
const SUMS: usize = 4_000;

/// Sums that are sent at once.
const BATCH: usize = 200;

/// Numbers that look like those that people and fuzzers write.
struct Numbers(u64);

impl Numbers {
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

    fn text(&mut self) -> String {
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

#[test]
fn sums_have_the_digits_of_the_reference_server() {
    let Some(oracle) = Oracle::find() else { return };
    let mut client = oracle.server().client().expect("it listens");
    let mut anax = InProcess::new(1);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..SUMS / BATCH {
        let commands: Vec<Vec<Vec<u8>>> = (0..BATCH)
            .flat_map(|_| {
                let (old, more) = (numbers.text(), numbers.text());
                ["SET sum ".to_owned() + &old, "INCRBYFLOAT sum ".to_owned() + &more]
            })
            .map(|line| notation::words(&line))
            .collect();
        let expected = client.pipeline(&commands).expect("it answers");
        for (pair, expected) in commands.chunks(2).zip(expected.chunks(2)) {
            let ours: Vec<Value> = pair.iter().map(|words| anax.run(MAIN, words)).collect();
            assert_eq!(
                ours,
                expected,
                "{}; {}",
                notation::join(&pair[0]),
                notation::join(&pair[1])
            );
        }
    }
}
