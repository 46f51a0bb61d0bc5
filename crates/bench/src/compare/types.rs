//! CPU time for the commands of the data types, pipelined, one worker.
//!
//! Most commands are measured twice: on one large collection, as benchmarks do it, and on many
//! small ones, which is what most data looks like. Each load has servers of its own that run at
//! once and take turns. A command that takes elements away finds as many as at first in every
//! round.
//!
//! How many requests a cell has is written with each load, and the same for every server and in
//! every run: what a collection costs depends on how large it has become.

use super::process::Running;
use super::results::{Results, TypesRow};
use super::servers::Server;
use super::{Context, Shape, Step, median};
use crate::keys::KeyChoice;
use crate::load::{Amount, Pace};
use crate::wire::Template;

/// Connections.
const CLIENTS: usize = 50;

/// How many requests are pipelined, and how many to fill the servers.
const DEPTH: usize = 32;
const DEPTH_FILL: usize = 16;

/// What becomes of the counts in a quick comparison.
const QUICK_DIVISOR: u64 = 4;

/// The name of the part in the progress.
const PART: &str = "types";

/// Members of a large collection; odd, so that a walk that takes two numbers a request meets every
/// number as either.
const LARGE: u64 = 1_000_001;

/// Small collections.
const MANY: u64 = 200_000;

/// Collections of a hundred elements.
const HUNDREDS: u64 = 10_000;

/// Numbers whose twelve digits are all random.
const ANY: u64 = 1_000_000_000_000;

const PLACES: u64 = 100_000;

/// What a server holds before the load: `words`, then `repeated` so many times, in which `#` is
/// the number of the repetition; `requests` of it.
struct Fill {
    words: &'static [&'static str],
    repeated: &'static [&'static str],
    times: usize,
    requests: u64,
    /// The numbers: a walk over so many, or any of twelve digits.
    numbers: u64,
}

const fn fill(
    requests: u64,
    words: &'static [&'static str],
    repeated: &'static [&'static str],
    times: usize,
) -> Option<Fill> {
    Some(Fill { words, repeated, times, requests, numbers: requests })
}

const fn ten(words: &'static [&'static str], repeated: &'static [&'static str]) -> Option<Fill> {
    fill(MANY, words, repeated, 10)
}

const fn hundred(
    words: &'static [&'static str],
    repeated: &'static [&'static str],
) -> Option<Fill> {
    fill(HUNDREDS, words, repeated, 100)
}

const fn large(words: &'static [&'static str]) -> Option<Fill> {
    fill(LARGE, words, &[], 0)
}

/// A load.
struct Kind {
    name: &'static str,
    words: &'static [&'static str],
    /// How many numbers there are for `__rand_int__`.
    numbers: u64,
    /// Requests of a cell.
    requests: u64,
    fill: Option<Fill>,
    /// Whether each round begins anew.
    anew: bool,
}

/// A command that reads, or writes over what is there.
const fn on(
    name: &'static str,
    words: &'static [&'static str],
    numbers: u64,
    fill: Option<Fill>,
) -> Kind {
    Kind { name, words, numbers, requests: 1_000_000, fill, anew: false }
}

/// A command that adds elements or takes them away.
const fn anew(
    name: &'static str,
    words: &'static [&'static str],
    numbers: u64,
    fill: Option<Fill>,
) -> Kind {
    Kind { anew: true, ..on(name, words, numbers, fill) }
}

const fn few(requests: u64, kind: Kind) -> Kind {
    Kind { requests, ..kind }
}

const VALUE: &str = "sixteen bytes, 16";
const MEMBER: &str = "element:__rand_int__";

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    anew("LPUSH, one list", &["LPUSH", "list", "xxx"], LARGE, None),
    anew("LPUSH, many lists", &["LPUSH", "l:__rand_int__", "value:__rand_int__"], MANY, None),
    anew("RPOP, one list", &["RPOP", "list"], LARGE, large(&["RPUSH", "list", "value:__rand_int__"])),
    anew("RPOP, many lists", &["RPOP", "l:__rand_int__"], MANY, ten(&["RPUSH", "l:__rand_int__"], &["value:#"])),
    anew("SADD, one set", &["SADD", "set", MEMBER], LARGE, None),
    anew("SADD, many sets", &["SADD", "s:__rand_int__", MEMBER], MANY, None),
    anew("SPOP, one set", &["SPOP", "set"], LARGE, large(&["SADD", "set", MEMBER])),
    anew("SPOP, many sets", &["SPOP", "s:__rand_int__"], MANY, ten(&["SADD", "s:__rand_int__"], &["element:#"])),
    anew("HSET, one hash", &["HSET", "hash", MEMBER, VALUE], LARGE, None),
    anew("HSET, many hashes", &["HSET", "h:__rand_int__", MEMBER, VALUE], MANY, None),
    on("HGET, one hash", &["HGET", "hash", MEMBER], LARGE, large(&["HSET", "hash", MEMBER, VALUE])),
    on("HGET, many hashes", &["HGET", "h:__rand_int__", "field:7"], MANY, ten(&["HSET", "h:__rand_int__"], &["field:#", VALUE])),
    anew("ZADD, one set", &["ZADD", "zset", "__rand_int__", MEMBER], LARGE, None),
    anew("ZADD, many sets", &["ZADD", "z:__rand_int__", "__rand_int__", MEMBER], MANY, None),
    on("ZINCRBY, one set", &["ZINCRBY", "zset", "1", MEMBER], LARGE, large(&["ZADD", "zset", "__rand_int__", MEMBER])),
    on("ZINCRBY, many sets", &["ZINCRBY", "z:__rand_int__", "1", "element:7"], MANY, ten(&["ZADD", "z:__rand_int__"], &["#", "element:#"])),
    on("ZRANK, one set", &["ZRANK", "zset", MEMBER], LARGE, large(&["ZADD", "zset", "__rand_int__", MEMBER])),
    on("ZRANK, many sets", &["ZRANK", "z:__rand_int__", "element:7"], MANY, ten(&["ZADD", "z:__rand_int__"], &["#", "element:#"])),
    anew("ZPOPMIN, one set", &["ZPOPMIN", "zset"], LARGE, large(&["ZADD", "zset", "__rand_int__", MEMBER])),
    anew("ZPOPMIN, many sets", &["ZPOPMIN", "z:__rand_int__"], MANY, ten(&["ZADD", "z:__rand_int__"], &["#", "element:#"])),
    anew("XADD, one stream", &["XADD", "stream", "*", "field", "value"], LARGE, None),
    anew("XADD, many streams", &["XADD", "x:__rand_int__", "*", "field", "value"], MANY, None),
    few(200_000, on("LRANGE of 100, many lists", &["LRANGE", "l:__rand_int__", "0", "99"], HUNDREDS, hundred(&["RPUSH", "l:__rand_int__"], &["value:#"]))),
    few(200_000, on("ZRANGE of 100, one set", &["ZRANGE", "zset", "0", "99"], LARGE, large(&["ZADD", "zset", "__rand_int__", MEMBER]))),
    few(200_000, on("ZRANGE of 100, many sets", &["ZRANGE", "z:__rand_int__", "0", "99"], HUNDREDS, hundred(&["ZADD", "z:__rand_int__"], &["#", "element:#"]))),
    few(100_000, on("HGETALL of 100, many hashes", &["HGETALL", "h:__rand_int__"], HUNDREDS, hundred(&["HSET", "h:__rand_int__"], &["field:#", VALUE]))),
    anew("PFADD, one key", &["PFADD", "hll", MEMBER], LARGE, None),
    anew("PFADD, many keys", &["PFADD", "hll:__rand_int__", MEMBER], MANY, None),
    few(100_000, on("GEOSEARCH, 1 km, 25 places of 100,000", &["GEOSEARCH", "geo", "FROMLONLAT", "0.__rand_int__", "0.__rand_int__", "BYRADIUS", "1", "km"], ANY,
        Some(Fill { words: &["GEOADD", "geo", "0.__rand_int__", "0.__rand_int__", MEMBER], repeated: &[], times: 0, requests: PLACES, numbers: ANY }))),
];

impl Fill {
    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.words.iter().map(|&word| word.to_owned()).collect();
        for nth in 0..self.times {
            let nth = nth.to_string();
            words.extend(self.repeated.iter().map(|word| word.replace('#', &nth)));
        }
        words
    }

    fn keys(&self) -> KeyChoice {
        match self.numbers {
            ANY => KeyChoice::Uniform { count: ANY },
            count => KeyChoice::Sequential { count },
        }
    }
}

impl Kind {
    /// Brings a server to where the load begins.
    fn prepare(&self, context: &Context<'_>, running: &Running) -> Result<(), String> {
        send(context, running, &["FLUSHALL"], 1, KeyChoice::Literal, 1)?;
        let Some(fill) = &self.fill else { return Ok(()) };
        send(context, running, &fill.words(), fill.requests, fill.keys(), DEPTH_FILL)
    }

    fn sample(&self, context: &Context<'_>, running: &Running) -> Result<f64, String> {
        let count = match context.args.quick {
            true => self.requests / QUICK_DIVISOR,
            false => self.requests,
        };
        let before = running.cpu_time()?;
        let keys = KeyChoice::Uniform { count: self.numbers };
        send(context, running, self.words, count, keys, DEPTH)?;
        let (user_s, system_s) = running.cpu_time()?.since(before);
        Ok(1e6 * (user_s + system_s) / count as f64)
    }
}

/// Sends so many requests of these words.
fn send<W: AsRef<[u8]>>(
    context: &Context<'_>,
    running: &Running,
    words: &[W],
    count: u64,
    keys: KeyChoice,
    depth: usize,
) -> Result<(), String> {
    let amount = Amount::requests(count);
    let clients = if count == 1 { 1 } else { CLIENTS };
    let shape = Shape { workers: 1, clients, depth, keys, amount, pace: Pace::Closed };
    context.run(&context.load(&running.target, Template::of_words(words, &[]), shape))?;
    Ok(())
}

/// Plans a step for each load, server and round.
pub(crate) fn plan(context: &Context<'_>) {
    let guess_s = if context.args.quick { 0.8 } else { 1.8 };
    context.progress.plan(PART, KINDS.len() * context.servers.len() * rounds(context), guess_s);
}

fn rounds(context: &Context<'_>) -> usize {
    context.rounds as usize
}

/// Measures every load.
pub(crate) fn measure(context: &Context<'_>, results: &mut Results) -> Result<(), String> {
    for kind in KINDS {
        context.progress.announce(&format!("{PART}: {}", kind.name));
        let mut sides: Vec<Side<'_>> = context.servers.iter().map(Side::new).collect();
        for round in 0..rounds(context) {
            for side in &mut sides {
                let step = Step { part: PART, what: kind.name, server: side.server };
                let sample = context.attempt(results, step, || side.turn(context, kind, round))?;
                side.samples.extend(sample);
            }
        }
        results.types.extend(sides.into_iter().filter(|side| !side.samples.is_empty()).map(
            |side| TypesRow {
                server: side.server.name.clone(),
                load: kind.name.to_owned(),
                cpu_us: median(side.samples),
            },
        ));
    }
    context.progress.close(PART);
    Ok(())
}

/// A server under one load.
struct Side<'a> {
    server: &'a Server,
    running: Option<Running>,
    samples: Vec<f64>,
}

impl<'a> Side<'a> {
    fn new(server: &'a Server) -> Side<'a> {
        Side { server, running: None, samples: Vec::new() }
    }

    fn turn(&mut self, context: &Context<'_>, kind: &Kind, round: usize) -> Result<f64, String> {
        let running = match self.running.take() {
            Some(running) => running,
            None => {
                let cores = context.machine.divide(1).server;
                Running::start(self.server, 1, &cores, context.stop)?
            }
        };
        let running = self.running.insert(running);
        if round == 0 || kind.anew {
            kind.prepare(context, running)?;
        }
        kind.sample(context, running)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn loads_have_names_of_their_own() {
        let names: HashSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
    }

    #[test]
    fn a_fill_numbers_what_it_repeats() {
        let fill = ten(&["ZADD", "z:__rand_int__"], &["#", "element:#"]).unwrap();
        let words = fill.words();
        assert_eq!(words.len(), 2 + 10 * 2);
        assert_eq!(words[..6], ["ZADD", "z:__rand_int__", "0", "element:0", "1", "element:1"]);
    }

    #[test]
    fn a_walk_of_two_numbers_a_request_meets_every_member() {
        let mut keys = KeyChoice::Sequential { count: 5 }.keys(1, 0, 1);
        let members: HashSet<u64> = (0..5).map(|_| (keys.next(), keys.next()).1).collect();
        assert_eq!(members.len(), 5);
        assert_eq!(LARGE % 2, 1, "as many as there are");
    }
}
