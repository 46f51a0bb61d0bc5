//! CPU time of a server for an operation, with throughput and latency.
//!
//! All servers run at once, with the same keys, and take turns; one that is not
//! asked costs nothing. CPU time is the kernel's count for all threads of the
//! process, so background threads and busy waiting are in it.
//!
//! A cell of the table, one server under one load in one round, is so many
//! requests. How many is found by a short first run, so that a cell takes about
//! the same time whether a request costs a quarter of a microsecond or thirty:
//! by a fixed count the slowest server under the most expensive load would decide
//! how long everything takes.
//!
//! Latency under a closed loop shows mostly how many requests queue up. For a
//! figure that users would see, one more load runs on a timetable, at half the
//! rate that the slowest server reached.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::process::Running;
use super::results::{CpuRow, Results};
use super::servers::Server;
use super::{Context, SEED, Shape, Step, median, plural};
use crate::keys::{KeyChoice, Random};
use crate::load::{Amount, Outcome, Pace};
use crate::wire::Template;

/// Connections.
const CLIENTS: usize = 50;

/// Payload in bytes.
const PAYLOAD_BYTES: usize = 64;

/// How many requests are pipelined.
const DEPTH: usize = 32;

/// How many requests are pipelined to fill the servers.
const DEPTH_FILL: usize = 64;

/// The part of a cell's time that the run before the first cell takes, and its least.
const TRIAL_SHARE: f64 = 0.1;
const TRIAL_MIN: Duration = Duration::from_millis(50);

/// How many times its time a cell may take if the trial misled us.
const CELLS_MAX: f64 = 3.0;

/// How many cells' time a run on a timetable takes: it shows the rare waits.
const OPEN_CELLS: f64 = 2.0;

/// The name of the part in the progress.
const PART: &str = "cpu";

/// A kind of request.
struct Kind {
    name: &'static str,
    words: &'static [&'static str],
    /// Times that a key and a value are repeated in a request.
    pairs: usize,
}

const fn kind(name: &'static str, words: &'static [&'static str]) -> Kind {
    Kind { name, words, pairs: 0 }
}

const GET: Kind = kind("GET", &["GET", "key:__rand_int__"]);
const SET: Kind = kind("SET", &["SET", "key:__rand_int__", "__data__"]);
const GET_HOT: Kind = kind("GET, one key", &["GET", "key:000000000000"]);
const SET_HOT: Kind = kind("SET, one key", &["SET", "key:000000000000", "__data__"]);
const MSET: Kind = Kind { name: "MSET, 10 keys", words: &["MSET"], pairs: 10 };

/// What is sent, one at a time and pipelined; GET at first, because the rate of
/// the timetable follows from it.
const KINDS: &[Kind] = &[GET, SET, MSET, GET_HOT, SET_HOT];
const DEPTHS: [usize; 2] = [1, DEPTH];

impl Kind {
    fn template(&self) -> Template {
        let mut words = self.words.to_vec();
        for _ in 0..self.pairs {
            words.extend(["key:__rand_int__", "__data__"]);
        }
        Template::of_words(&words, &Random::new(SEED).text(PAYLOAD_BYTES))
    }
}

/// A server that is filled and waits for its turns.
struct Side<'a> {
    server: &'a Server,
    running: Running,
}

/// A load that every server gets.
struct Cell<'a> {
    kind: &'a Kind,
    depth: usize,
    pace: Pace,
    workers: u16,
}

/// What one run gave.
struct Sample {
    user_us: f64,
    system_us: f64,
    outcome: Outcome,
}

impl Cell<'_> {
    fn label(&self) -> String {
        let name = self.kind.name;
        match self.pace {
            Pace::Open { rate } => format!("{name}, {rate}/s on a timetable"),
            Pace::Closed if self.depth == 1 => name.to_owned(),
            Pace::Closed => format!("{name}, pipeline {}", self.depth),
        }
    }

    fn shape(&self, context: &Context<'_>, amount: Amount) -> Shape {
        Shape {
            workers: self.workers,
            clients: CLIENTS,
            depth: self.depth,
            keys: KeyChoice::Uniform { count: context.keys },
            amount,
            pace: self.pace,
        }
    }

    /// How many requests one run of this load takes on one server.
    fn count(&self, context: &Context<'_>, running: &Running) -> Result<u64, String> {
        if let Pace::Open { rate } = self.pace {
            return Ok(count_in(rate as f64, context.cell.mul_f64(OPEN_CELLS)));
        }
        let time = context.cell.mul_f64(TRIAL_SHARE).max(TRIAL_MIN);
        let shape = self.shape(context, Amount::Time(time));
        let trial = context.run(&context.load(&running.target, self.kind.template(), shape))?;
        Ok(count_in(trial.rate(), context.cell).max((CLIENTS * self.depth) as u64))
    }

    /// The first run, and how many requests it and those after it take. A server
    /// may be slow for a moment just when it is tried; then the run is too short
    /// to say much, but long enough to say how many requests it should have had.
    fn first(&self, context: &Context<'_>, running: &Running) -> Result<(u64, Sample), String> {
        let count = self.count(context, running)?;
        let sample = self.sample(context, running, count)?;
        if sample.outcome.elapsed >= context.cell / 2 {
            return Ok((count, sample));
        }
        let count = count_in(sample.outcome.rate(), context.cell).max(count);
        Ok((count, self.sample(context, running, count)?))
    }

    fn sample(
        &self,
        context: &Context<'_>,
        running: &Running,
        count: u64,
    ) -> Result<Sample, String> {
        let within = Some(context.cell.mul_f64(CELLS_MAX));
        let shape = self.shape(context, Amount::Requests { count, within });
        let load = context.load(&running.target, self.kind.template(), shape);
        let before = running.cpu_time()?;
        let outcome = context.run(&load)?;
        let (user_s, system_s) = running.cpu_time()?.since(before);
        let per_request = 1e6 / outcome.requests.max(1) as f64;
        Ok(Sample { user_us: user_s * per_request, system_us: system_s * per_request, outcome })
    }
}

/// Plans the steps: to start each server, and all cells.
pub(crate) fn plan(context: &Context<'_>) {
    let loads = KINDS.len() * DEPTHS.len() + 1;
    let steps = context.servers.len() * (1 + loads * context.rounds as usize);
    let guess_s = 0.1 + context.cell.as_secs_f64() * (1.0 + TRIAL_SHARE);
    context.progress.plan(PART, context.args.threads.len() * steps, guess_s);
}

/// Measures all numbers of workers.
pub(crate) fn measure(context: &Context<'_>, results: &mut Results) -> Result<(), String> {
    for &workers in &context.args.threads {
        let sides = start_all(context, results, workers)?;
        let mut slowest = f64::INFINITY;
        for depth in DEPTHS {
            for kind in KINDS {
                let cell = Cell { kind, depth, pace: Pace::Closed, workers };
                let rows = compare(context, results, &sides, &cell)?;
                if kind.name == GET.name && depth == 1 {
                    slowest = rows.iter().map(|row| row.rate).fold(slowest, f64::min);
                }
                results.cpu.extend(rows);
            }
        }
        if slowest.is_finite() {
            let pace = Pace::Open { rate: round_down(slowest / 2.0) };
            let cell = Cell { kind: &GET, depth: 1, pace, workers };
            let rows = compare(context, results, &sides, &cell)?;
            results.cpu.extend(rows);
        }
    }
    context.progress.close(PART);
    Ok(())
}

/// How many requests there are in a time at a rate, with two digits that are not zero.
fn count_in(rate: f64, time: Duration) -> u64 {
    round_down(rate * time.as_secs_f64())
}

/// A figure with two digits that are not zero; at least one.
fn round_down(figure: f64) -> u64 {
    let unit = 10_f64.powf(figure.max(10.0).log10().floor() - 1.0);
    ((figure / unit).floor() * unit).max(1.0) as u64
}

/// Starts every server and fills it.
fn start_all<'a>(
    context: &'a Context<'_>,
    results: &mut Results,
    workers: u16,
) -> Result<Vec<Side<'a>>, String> {
    let mut sides = Vec::new();
    for server in &context.servers {
        let what = format!("start with {}", plural(workers));
        let step = Step { part: PART, what: &what, server };
        let started = context.attempt(results, step, || {
            let cores = context.machine.divide(usize::from(workers)).server;
            let running = Running::start(server, workers, &cores, context.stop)?;
            let shape = Shape {
                workers,
                clients: CLIENTS,
                depth: DEPTH_FILL,
                keys: KeyChoice::Sequential { count: context.keys },
                amount: Amount::requests(context.keys),
                pace: Pace::Closed,
            };
            context.run(&context.load(&running.target, SET.template(), shape))?;
            Ok(Side { server, running })
        })?;
        sides.extend(started);
    }
    Ok(sides)
}

/// Lets the servers take turns at one load.
fn compare(
    context: &Context<'_>,
    results: &mut Results,
    sides: &[Side<'_>],
    cell: &Cell<'_>,
) -> Result<Vec<CpuRow>, String> {
    let what = format!("{}, {}", cell.label(), plural(cell.workers));
    context.progress.announce(&format!("{PART}: {what}"));
    let mut samples: Vec<Vec<Sample>> = sides.iter().map(|_| Vec::new()).collect();
    let mut counts: Vec<Option<u64>> = vec![None; sides.len()];
    for _ in 0..context.rounds {
        for ((side, samples), count) in sides.iter().zip(&mut samples).zip(&mut counts) {
            let step = Step { part: PART, what: &what, server: side.server };
            let sample = context.attempt(results, step, || {
                if let Some(known) = *count {
                    return cell.sample(context, &side.running, known);
                }
                let (found, sample) = cell.first(context, &side.running)?;
                *count = Some(found);
                Ok(sample)
            })?;
            samples.extend(sample);
        }
    }
    let rows = sides.iter().zip(samples).filter(|(_, samples)| !samples.is_empty());
    Ok(rows.map(|(side, samples)| row(&side.server.name, cell, samples)).collect())
}

fn row(server: &str, cell: &Cell<'_>, samples: Vec<Sample>) -> CpuRow {
    let middle = |figure: &dyn Fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
    let mut latency: Option<Histogram<u64>> = None;
    for sample in &samples {
        match &mut latency {
            None => latency = Some(sample.outcome.latency.clone()),
            Some(sum) => {
                sum.add(&sample.outcome.latency).expect("histograms of one kind have equal bounds");
            }
        }
    }
    CpuRow {
        server: server.to_owned(),
        load: cell.label(),
        workers: cell.workers,
        operations: middle(&|s| s.outcome.requests as f64) as u64,
        cpu_us: middle(&|s| s.user_us + s.system_us),
        user_us: middle(&|s| s.user_us),
        system_us: middle(&|s| s.system_us),
        rate: middle(&|s| s.outcome.rate()),
        p50_ms: middle(&|s| s.outcome.quantile_ms(0.5)),
        p99_ms: middle(&|s| s.outcome.quantile_ms(0.99)),
        p999_ms: middle(&|s| s.outcome.quantile_ms(0.999)),
        latency: latency.expect("there is at least one sample"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_down_to_two_digits() {
        assert_eq!(round_down(51_234.0), 51_000);
        assert_eq!(round_down(999.9), 990);
        assert_eq!(round_down(7.0), 7);
        assert_eq!(round_down(0.2), 1);
    }

    #[test]
    fn a_cell_has_the_requests_that_fit_into_its_time() {
        assert_eq!(count_in(123_456.0, Duration::from_secs(1)), 120_000);
        assert_eq!(count_in(2_345_678.0, Duration::from_millis(200)), 460_000);
    }

    #[test]
    fn labels_say_what_differs_from_a_plain_request() {
        let label = |depth, pace| Cell { kind: &GET, depth, pace, workers: 1 }.label();
        assert_eq!(label(1, Pace::Closed), "GET");
        assert_eq!(label(32, Pace::Closed), "GET, pipeline 32");
        assert_eq!(label(1, Pace::Open { rate: 5 }), "GET, 5/s on a timetable");
    }

    #[test]
    fn a_request_with_many_keys_names_each_with_a_value() {
        let mut keys = KeyChoice::Sequential { count: 100 }.keys(1, 0, 1);
        let mut batch = crate::wire::Batch::new(&MSET.template(), 1).unwrap();
        let text = String::from_utf8(batch.refresh(1, &mut keys).to_vec()).unwrap();
        assert!(text.starts_with("*21\r\n$4\r\nMSET\r\n$16\r\nkey:000000000000\r\n$64\r\n"));
        assert!(text.contains("key:000000000009\r\n"));
    }
}
