//! Random commands in process, against the test kit's model and, where one is installed, against
//! a reference server.

mod in_process;

use in_process::{EPOCH_MS, InProcess};
use testkit::Value;
use testkit::executor::{Executor, MAIN};
use testkit::model::{Flavour, Model};
use testkit::random::{Clocks, Comparison};

/// The last moment at which a key may expire: deadlines have 48 bits.
const DEADLINE_MAX_MS: i64 = (1 << 48) - 1;

const SEEDS: u64 = 12;
const COMMANDS: usize = 3_000;

/// The model, with times told as if its deadlines were none beyond [`DEADLINE_MAX_MS`].
struct Capped {
    model: Model,
    now_ms: i64,
}

impl Capped {
    /// The most that a command tells of a deadline.
    fn most(&self, command: &[u8]) -> Option<i64> {
        let left = DEADLINE_MAX_MS - self.now_ms;
        match command.to_ascii_uppercase().as_slice() {
            b"PEXPIRETIME" => Some(DEADLINE_MAX_MS),
            b"EXPIRETIME" => Some((DEADLINE_MAX_MS + 500) / 1000),
            b"PTTL" => Some(left),
            b"TTL" => Some((left + 500) / 1000),
            _ => None,
        }
    }
}

impl Executor for Capped {
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
        match (self.model.run(client, words), self.most(&words[0])) {
            (Value::Integer(number), Some(most)) => Value::Integer(number.min(most)),
            (reply, _) => reply,
        }
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += i64::try_from(ms).expect("a few seconds");
        self.model.advance(ms);
    }
}

fn compare_with_model(shards: usize) {
    for seed in 0..SEEDS {
        let comparison =
            Comparison { seed, commands: COMMANDS, now_ms: EPOCH_MS, clocks: Clocks::Told };
        let model = Model::like(Flavour::Valkey, EPOCH_MS);
        let mut model = Capped { model, now_ms: EPOCH_MS as i64 };
        if let Err(difference) = comparison.run(&mut InProcess::new(shards), &mut model) {
            panic!("the commands (first) and the model differ\n{difference}");
        }
    }
}

#[test]
fn one_shard_answers_as_the_model_does() {
    compare_with_model(1);
}

#[test]
fn many_shards_answer_as_the_model_does() {
    compare_with_model(64);
}

#[test]
fn a_clock_that_is_told_the_time_does_not_move_by_itself() {
    let mut anax = InProcess::new(1);
    let run = |anax: &mut InProcess, line: &str| anax.run(MAIN, &testkit::notation::words(line));
    run(&mut anax, "SET key value PX 1000");
    assert_eq!(run(&mut anax, "PTTL key").as_integer(), Some(1000));
    anax.advance(999);
    assert_eq!(run(&mut anax, "PTTL key").as_integer(), Some(1));
    anax.advance(2);
    assert_eq!(run(&mut anax, "PTTL key").as_integer(), Some(-2));
}
