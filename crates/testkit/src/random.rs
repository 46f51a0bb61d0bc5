//! Random commands, and two executors compared by them.
//!
//! [`compare`] sends the same commands to both and stops at the first reply
//! that differs. The commands that led there are then thinned out: whatever can
//! be left out without losing the difference is left out.
//!
//! Everything follows from the seed. Numbers that mean a point in time are
//! worked out when they are sent, from the clock that both executors share, so
//! that the same commands can be sent again later.
//!
//! # Invariants
//!
//! 1. No command is sent at the very millisecond of a deadline: time moves by
//!    even seconds, deadlines are odd ones. Whether a key lives at its deadline
//!    is left to other tests.
//! 2. Few keys, few values: commands meet.

use std::fmt;

use crate::executor::Executor;
use crate::notation;
use crate::value::{Dialect, Value};

mod generator;

pub use generator::{Generator, Random};

/// How often a history is sent again to make it shorter.
const REPLAYS_MAX: usize = 300;

/// The clients that speak; each selects databases of its own.
const CLIENTS: [&str; 2] = ["c1", "c2"];

/// How the clocks of two executors go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// They show the same and move only by [`Executor::advance`].
    Told,
    /// One is real: time never moves on purpose, and times may differ by as
    /// much as the comparison lasts.
    Real {
        /// By how many milliseconds times may differ.
        slack_ms: u64,
    },
}

/// What two executors are compared by.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// Where the random numbers begin.
    pub seed: u64,
    /// How many commands are sent.
    pub commands: usize,
    /// What the clocks of both executors show, in milliseconds since 1970.
    pub now_ms: u64,
    /// How the clocks go.
    pub clocks: Clocks,
}

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// The time in milliseconds, this much later.
    MsFromNow(i64),
    /// The time in seconds, this much later.
    SecondsFromNow(i64),
}

impl Word {
    fn bytes(&self, now_ms: u64) -> Vec<u8> {
        let now_ms = i64::try_from(now_ms).expect("a clock does not show the year 292 million");
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::MsFromNow(ms) => (now_ms + ms).to_string().into_bytes(),
            Self::SecondsFromNow(seconds) => (now_ms / 1000 + seconds).to_string().into_bytes(),
        }
    }
}

/// One thing that is done to both executors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client sends a command.
    Run {
        /// Which client.
        client: &'static str,
        /// Its words.
        words: Vec<Word>,
    },
    /// Time passes, in milliseconds.
    Advance(u64),
}

/// Two executors that answer differently.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The seed that found it.
    pub seed: u64,
    /// What led to it, written as a transcript; the last command differs.
    pub history: String,
    /// What the first executor answered.
    pub first: Value,
    /// What the second executor answered.
    pub second: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "seed {}:\n{}", self.seed, self.history)?;
        writeln!(out, "the first executor:\n{}", self.first)?;
        write!(out, "the second executor:\n{}", self.second)
    }
}

/// Compares executors whose clocks show `now_ms` and go as they are told.
///
/// # Errors
///
/// The first difference, with a short history that leads to it.
pub fn compare(
    seed: u64,
    commands: usize,
    now_ms: u64,
    first: &mut dyn Executor,
    second: &mut dyn Executor,
) -> Result<(), Box<Difference>> {
    Comparison { seed, commands, now_ms, clocks: Clocks::Told }.run(first, second)
}

impl Comparison {
    /// Compares two executors.
    ///
    /// # Errors
    ///
    /// The first difference, with a short history that leads to it.
    pub fn run(
        &self,
        first: &mut dyn Executor,
        second: &mut dyn Executor,
    ) -> Result<(), Box<Difference>> {
        let actions = Generator::new(self.seed, self.clocks).history(self.commands);
        let mut pair = Pair { first, second, now_ms: self.now_ms, clocks: self.clocks };
        let Some(found) = pair.replay(&actions) else {
            return Ok(());
        };
        let mut shortest = Shortest { actions: actions[..=found.at].to_vec(), found };
        shortest.shorten(&mut pair);
        let Found { history, first, second, .. } = shortest.found;
        Err(Box::new(Difference { seed: self.seed, history, first, second }))
    }
}

/// Two executors and the clock they share.
struct Pair<'a> {
    first: &'a mut dyn Executor,
    second: &'a mut dyn Executor,
    now_ms: u64,
    clocks: Clocks,
}

/// Where a replay found a difference.
struct Found {
    at: usize,
    history: String,
    first: Value,
    second: Value,
}

impl Pair<'_> {
    /// Does all of `actions` from an empty keyspace, up to a difference.
    fn replay(&mut self, actions: &[Action]) -> Option<Found> {
        self.begin();
        let mut history = String::new();
        for (at, action) in actions.iter().enumerate() {
            let (client, words) = match action {
                Action::Advance(ms) => {
                    self.advance(*ms);
                    history += &format!("@ advance {ms}ms\n");
                    continue;
                }
                Action::Run { client, words } => (client, words),
            };
            let words: Vec<Vec<u8>> = words.iter().map(|word| word.bytes(self.now_ms)).collect();
            history += &format!("{client}> {}\n", notation::join(&words));
            let first = self.first.run(client, &words);
            let second = self.second.run(client, &words);
            if !self.clocks.agree(&words[0], &first, &second) {
                return Some(Found { at, history, first, second });
            }
        }
        None
    }

    fn begin(&mut self) {
        for executor in [&mut *self.first, &mut *self.second] {
            executor.clear();
            CLIENTS.iter().for_each(|client| executor.open(client, Dialect::Resp2));
        }
    }

    fn advance(&mut self, ms: u64) {
        self.first.advance(ms);
        self.second.advance(ms);
        self.now_ms += ms;
    }
}

impl Clocks {
    /// Whether two replies to a command are the same, times within the slack.
    fn agree(self, name: &[u8], first: &Value, second: &Value) -> bool {
        let slack_ms = match self {
            Self::Told => 0,
            Self::Real { slack_ms } => slack_ms,
        };
        let slack = match name.to_ascii_uppercase().as_slice() {
            b"PTTL" | b"PEXPIRETIME" => slack_ms,
            // A second more, since the server rounds.
            b"TTL" | b"EXPIRETIME" if slack_ms > 0 => slack_ms.div_ceil(1000) + 1,
            _ => 0,
        };
        match (first, second) {
            // Not there, or without a deadline: never nearly so.
            (Value::Integer(a), Value::Integer(b)) if *a >= 0 && *b >= 0 => a.abs_diff(*b) <= slack,
            _ => first == second,
        }
    }
}

/// The shortest history so far that ends in a difference.
struct Shortest {
    actions: Vec<Action>,
    found: Found,
}

impl Shortest {
    /// Leaves out stretches of the history, long ones first, while that keeps
    /// some difference.
    fn shorten(&mut self, pair: &mut Pair<'_>) {
        let mut replays = 0;
        let mut stretch = self.actions.len().div_ceil(2);
        while stretch > 0 && replays < REPLAYS_MAX {
            let mut end = self.actions.len().saturating_sub(1);
            while end > 0 && replays < REPLAYS_MAX {
                let start = end.saturating_sub(stretch);
                replays += 1;
                self.try_without(start..end, pair);
                end = start.min(self.actions.len().saturating_sub(1));
            }
            stretch /= 2;
        }
    }

    fn try_without(&mut self, range: std::ops::Range<usize>, pair: &mut Pair<'_>) {
        let mut fewer = self.actions.clone();
        fewer.drain(range);
        if let Some(found) = pair.replay(&fewer) {
            fewer.truncate(found.at + 1);
            *self = Self { actions: fewer, found };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    /// A model with one mistake: it forgets to take a deadline away.
    struct Mistaken(Model);

    impl Executor for Mistaken {
        fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
            if words[0].eq_ignore_ascii_case(b"PERSIST") {
                return self.0.run(client, &[b"EXISTS".to_vec(), words[1].clone()]);
            }
            self.0.run(client, words)
        }

        fn advance(&mut self, ms: u64) {
            self.0.advance(ms);
        }
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        for seed in 0..5 {
            let (mut first, mut second) = (Model::new(2_000_000), Model::new(2_000_000));
            compare(seed, 500, 2_000_000, &mut first, &mut second).unwrap();
        }
    }

    #[test]
    fn a_mistake_is_found_and_its_history_is_short() {
        let (mut right, mut wrong) = (Model::new(0), Mistaken(Model::new(0)));
        let difference = compare(1, 5_000, 0, &mut right, &mut wrong).unwrap_err();
        let lines = difference.history.lines().count();
        assert!(lines <= 4, "{difference}");
        assert!(difference.to_string().to_ascii_uppercase().contains("PERSIST"), "{difference}");
    }

    #[test]
    fn every_command_of_the_generator_meets_both_fates() {
        let mut model = Model::new(2_000_000);
        let mut succeeded = std::collections::BTreeSet::new();
        let mut refused = std::collections::BTreeSet::new();
        for action in Generator::new(7, Clocks::Told).history(20_000) {
            match action {
                Action::Advance(ms) => model.advance(ms),
                Action::Run { client, words } => {
                    let words: Vec<Vec<u8>> =
                        words.iter().map(|word| word.bytes(2_000_000)).collect();
                    let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
                    let reply = model.run(client, &words);
                    assert!(!reply.to_string().contains("unknown command"), "{reply}");
                    if reply.is_error() { &mut refused } else { &mut succeeded }.insert(name);
                }
            }
        }
        let never: Vec<&String> = refused.symmetric_difference(&succeeded).collect();
        assert!(never.is_empty(), "{never:?}");
        assert!(succeeded.len() > 45, "{}", succeeded.len());
    }
}
