//! Bytes of resident memory for a key beyond the key and its value.
//!
//! Each figure needs a server of its own, started empty: memory that an earlier
//! load left behind would hide the growth.

use std::time::Duration;

use super::process::Running;
use super::results::{MemoryRow, Results};
use super::servers::Server;
use super::{Context, SEED, Shape, Step};
use crate::keys::{KeyChoice, Random};
use crate::load::{Amount, Pace};
use crate::wire::Template;

/// How long a server gets to come to rest before its memory is read.
const SETTLE: Duration = Duration::from_millis(1500);

/// Bytes of a key: `key:` and twelve digits.
const KEY_BYTES: usize = 16;

/// Digits with which each value begins, so that no two are equal.
const VALUE_DIGITS: usize = 12;

/// A time to live that does not end during a measurement, in seconds.
const TTL_SECONDS: &str = "100000";

/// What a key holds.
struct Content {
    name: &'static str,
    value_bytes: usize,
    ttl: bool,
}

const CONTENTS: &[Content] = &[
    Content { name: "16 B", value_bytes: 16, ttl: false },
    Content { name: USUAL, value_bytes: 64, ttl: false },
    Content { name: "64 B with TTL", value_bytes: 64, ttl: true },
];

impl Content {
    fn template(&self) -> Template {
        let rest = Random::new(SEED).text(self.value_bytes - VALUE_DIGITS);
        let mut words = vec!["SET", "key:__rand_int__", "__rand_int____data__"];
        if self.ttl {
            words.extend(["EX", TTL_SECONDS]);
        }
        Template::of_words(&words, &rest)
    }
}

/// The content that the loads for CPU have.
pub(crate) const USUAL: &str = "64 B";

/// The name of the part in the progress.
const PART: &str = "memory";

/// Keys that every server takes in within a second, about.
const KEYS_A_SECOND: f64 = 800_000.0;

/// Plans a step for each content and server.
pub(crate) fn plan(context: &Context<'_>) {
    let settle_s = 2.0 * context.wait(SETTLE).as_secs_f64();
    let guess_s = 0.2 + settle_s + context.memory_keys as f64 / KEYS_A_SECOND;
    context.progress.plan(PART, CONTENTS.len() * context.servers.len(), guess_s);
}

/// Measures every content.
pub(crate) fn measure(context: &Context<'_>, results: &mut Results) -> Result<(), String> {
    for content in CONTENTS {
        context.progress.announce(&format!("{PART}: {}", content.name));
        for server in &context.servers {
            let step = Step { part: PART, what: content.name, server };
            let row = context.attempt(results, step, || overhead(context, server, content))?;
            results.memory.extend(row);
        }
    }
    context.progress.close(PART);
    Ok(())
}

fn overhead(
    context: &Context<'_>,
    server: &Server,
    content: &Content,
) -> Result<MemoryRow, String> {
    let workers = context.workers();
    let cores = context.machine.divide(usize::from(workers)).server;
    let running = Running::start(server, workers, &cores, context.stop)?;
    context.pause(context.wait(SETTLE))?;
    let before = running.resident_bytes()?;
    let keys = context.memory_keys;
    // Each request takes two numbers of the walk: one for the key, one for the value.
    let shape = Shape {
        workers,
        clients: 1,
        depth: 100,
        keys: KeyChoice::Sequential { count: 2 * keys },
        amount: Amount::requests(keys),
        pace: Pace::Closed,
    };
    context.run(&context.load(&running.target, content.template(), shape))?;
    context.pause(context.wait(SETTLE))?;
    let grown = running.resident_bytes()?.saturating_sub(before);
    let per_key = grown as f64 / keys as f64;
    Ok(MemoryRow {
        server: server.name.clone(),
        content: content.name.to_owned(),
        resident_bytes: per_key,
        overhead_bytes: per_key - (KEY_BYTES + content.value_bytes) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Batch;

    #[test]
    fn keys_and_values_have_the_sizes_that_are_subtracted() {
        for content in CONTENTS {
            let mut keys = KeyChoice::Sequential { count: 10 }.keys(1, 0, 1);
            let mut batch = Batch::new(&content.template(), 1).unwrap();
            let bytes = batch.refresh(1, &mut keys).to_vec();
            let text = String::from_utf8(bytes).unwrap();
            let words: Vec<&str> = text.split("\r\n").collect();
            assert_eq!((words[4].len(), words[6].len()), (KEY_BYTES, content.value_bytes));
            assert_eq!(words[4], "key:000000000000");
            assert!(words[6].starts_with("000000000001"));
        }
    }
}
