//! CPU time of a server for an operation, with throughput and latency.
//!
//! All servers run at once, with the same keys, and take turns; one that is not
//! asked costs nothing. CPU time is the kernel's count for all threads of the
//! process, so background threads and busy waiting are in it.
//!
//! Latency under a closed loop shows mostly how many requests queue up. For a
//! figure that users would see, one more load runs on a timetable, at half the
//! rate that the slowest server reached.

use hdrhistogram::Histogram;

use super::process::Running;
use super::results::{CpuRow, Results};
use super::servers::Server;
use super::{Context, SEED, Shape, median};
use crate::keys::{KeyChoice, Random};
use crate::load::{Amount, Outcome, Pace};
use crate::wire::Template;

/// Connections.
const CLIENTS: usize = 50;

/// Payload in bytes.
const PAYLOAD_BYTES: usize = 64;

/// Requests of one run, one at a time and pipelined.
const REQUESTS: u64 = 200_000;
const REQUESTS_PIPELINED: u64 = 2_000_000;

/// How many requests are pipelined.
const DEPTH: usize = 32;

/// How many requests are pipelined to fill the servers.
const DEPTH_FILL: usize = 64;

/// How long one run on a timetable takes, in seconds.
const OPEN_SECONDS: u64 = 4;

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

impl Kind {
    fn template(&self) -> Template {
        let mut words = self.words.to_vec();
        for _ in 0..self.pairs {
            words.extend(["key:__rand_int__", "__data__"]);
        }
        Template::of_words(&words, &Random::new(SEED).text(PAYLOAD_BYTES))
    }
}

/// A server with what its runs gave.
struct Side<'a> {
    server: &'a Server,
    running: Running,
}

/// What one run gave.
struct Sample {
    user_us: f64,
    system_us: f64,
    outcome: Outcome,
}

/// Measures all numbers of workers.
pub(crate) fn measure(context: &Context<'_>, results: &mut Results) -> Result<(), String> {
    for &workers in &context.args.threads {
        let sides = start_all(context, results, workers)?;
        let mut slowest = f64::INFINITY;
        let kinds: &[Kind] =
            if workers == 1 { &[GET, SET] } else { &[GET, SET, MSET, GET_HOT, SET_HOT] };
        for depth in [1, DEPTH] {
            for kind in kinds {
                let amount = requests(context, kind, depth);
                let rows = compare(context, results, &sides, (kind, depth), amount, workers)?;
                if kind.name == GET.name && depth == 1 {
                    slowest = rows.iter().map(|row| row.rate).fold(slowest, f64::min);
                }
                results.cpu.extend(rows);
            }
        }
        if slowest.is_finite() {
            let rate = round_rate(slowest / 2.0);
            let amount = context.scaled(rate * OPEN_SECONDS);
            let pace = Pace::Open { rate };
            let rows = compare(context, results, &sides, (&GET, 1), (amount, pace), workers)?;
            results.cpu.extend(rows);
        }
    }
    Ok(())
}

/// How many requests a run of a kind takes, and that they do not wait for a timetable.
fn requests(context: &Context<'_>, kind: &Kind, depth: usize) -> (u64, Pace) {
    let requests = if depth == 1 { REQUESTS } else { REQUESTS_PIPELINED };
    // A request with many keys costs less than as many requests.
    let divisor = if kind.pairs > 0 { kind.pairs as u64 / 3 } else { 1 };
    (context.scaled(requests) / divisor, Pace::Closed)
}

/// A rate with two digits that are not zero.
fn round_rate(rate: f64) -> u64 {
    let unit = 10_f64.powf(rate.max(10.0).log10().floor() - 1.0);
    ((rate / unit).floor() * unit).max(1.0) as u64
}

/// Starts every server and fills it.
fn start_all<'a>(
    context: &'a Context<'_>,
    results: &mut Results,
    workers: u16,
) -> Result<Vec<Side<'a>>, String> {
    let mut sides = Vec::new();
    for server in &context.servers {
        let what = format!("start with {workers} workers");
        let started = context.attempt(results, &what, server, || {
            let cores = context.machine.divide(usize::from(workers)).server;
            let running = Running::start(server, workers, &cores, context.stop)?;
            let shape = Shape {
                workers,
                clients: CLIENTS,
                depth: DEPTH_FILL,
                keys: KeyChoice::Sequential { count: context.args.keys },
                amount: Amount::Requests(context.args.keys),
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
    (kind, depth): (&Kind, usize),
    (requests, pace): (u64, Pace),
    workers: u16,
) -> Result<Vec<CpuRow>, String> {
    let label = label(kind.name, depth, pace);
    eprintln!("cpu: {label}, {workers} worker(s)");
    let shape = Shape {
        workers,
        clients: CLIENTS,
        depth,
        keys: KeyChoice::Uniform { count: context.args.keys },
        amount: Amount::Requests(requests),
        pace,
    };
    let mut samples: Vec<Vec<Sample>> = sides.iter().map(|_| Vec::new()).collect();
    for _ in 0..context.rounds {
        for (side, samples) in sides.iter().zip(&mut samples) {
            let sample = context.attempt(results, &label, side.server, || {
                sample(context, &side.running, kind.template(), shape)
            })?;
            samples.extend(sample);
        }
    }
    let rows = sides.iter().zip(samples).filter(|(_, samples)| !samples.is_empty());
    Ok(rows.map(|(side, samples)| row(&side.server.name, &label, workers, samples)).collect())
}

fn label(name: &str, depth: usize, pace: Pace) -> String {
    match pace {
        Pace::Open { rate } => format!("{name}, {rate}/s on a timetable"),
        Pace::Closed if depth == 1 => name.to_owned(),
        Pace::Closed => format!("{name}, pipeline {depth}"),
    }
}

fn sample(
    context: &Context<'_>,
    running: &Running,
    template: Template,
    shape: Shape,
) -> Result<Sample, String> {
    let load = context.load(&running.target, template, shape);
    let before = running.cpu_time()?;
    let outcome = context.run(&load)?;
    let after = running.cpu_time()?;
    let per_request = 1e6 / outcome.requests.max(1) as f64;
    Ok(Sample {
        user_us: (after.user - before.user) * per_request,
        system_us: (after.system - before.system) * per_request,
        outcome,
    })
}

fn row(server: &str, label: &str, workers: u16, samples: Vec<Sample>) -> CpuRow {
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
        load: label.to_owned(),
        workers,
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
    fn rates_are_rounded_down_to_two_digits() {
        assert_eq!(round_rate(51_234.0), 51_000);
        assert_eq!(round_rate(999.9), 990);
        assert_eq!(round_rate(7.0), 7);
        assert_eq!(round_rate(0.2), 1);
    }

    #[test]
    fn labels_say_what_differs_from_a_plain_request() {
        assert_eq!(label("GET", 1, Pace::Closed), "GET");
        assert_eq!(label("GET", 32, Pace::Closed), "GET, pipeline 32");
        assert_eq!(label("GET", 1, Pace::Open { rate: 5 }), "GET, 5/s on a timetable");
    }
}
