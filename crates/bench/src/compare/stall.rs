//! How long a client waits while something big happens.
//!
//! A probe asks for a key of its own again and again, first while the server
//! has nothing special to do and then during the event: many new keys, many
//! keys that expire at one moment, everything flushed.
//!
//! All servers get the same number of keys, because the size of an event is what
//! matters; where the slowest of them would take too long, all get fewer.

use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::process::Running;
use super::results::{Results, StallRow, Waits};
use super::servers::Server;
use super::{Context, SEED, Shape, Step, machine, median, plural};
use crate::client::Client;
use crate::keys::{KeyChoice, Random};
use crate::load::{Amount, Pace, to_ms};
use crate::wire::Template;

/// Keys that come in, that expire and that are flushed.
const GROWTH_KEYS: u64 = 8_000_000;
const EXPIRE_KEYS: u64 = 1_000_000;
const FLUSH_KEYS: u64 = 2_000_000;

/// How many times fewer keys a quick comparison has: tables of a power of two less.
const QUICK_DIVISOR: u64 = 4;

/// Which part of the growth is written, and written again, before it begins.
const OLD_DIVISOR: u64 = 8;

/// How many cells' time the slowest server gets to take in the keys of an event.
const FILL_CELLS: f64 = 25.0;

/// How many cells' time it takes to find how fast a server takes in keys.
const TRIAL_CELLS: f64 = 0.5;

/// Bytes of a value in the first two events and in the last.
const VALUE_BYTES: usize = 32;
const FLUSH_VALUE_BYTES: usize = 200;

/// Requests that the load sends together; the same when it is quiet.
const DEPTH: usize = 100;

/// How long the probe rests between two questions.
const PROBE_REST: Duration = Duration::from_micros(200);

/// How long the quiet time before an event is.
const QUIET: Duration = Duration::from_secs(2);

/// How long the probe goes on after keys have begun to expire, and after a flush.
const EXPIRE_WATCH: Duration = Duration::from_secs(6);
const FLUSH_WATCH: Duration = Duration::from_secs(3);

/// How much longer than a short run says it may take to write the keys that are
/// to expire: so many times as long, and this.
const FILL_MARGIN: f64 = 1.5;
const FILL_MARGIN_TIME: Duration = Duration::from_millis(500);

/// More rounds than this say nothing new.
const ROUNDS_MAX: u32 = 3;
const ROUNDS_MAX_QUICK: u32 = 1;

/// The name of the part in the progress that finds how fast servers are.
const TRIAL: &str = "stall";

/// The longest wait that is told apart, in nanoseconds: ten minutes.
const WAIT_NS_MAX: u64 = 600_000_000_000;

/// What writes a key that the server does not have.
const NEW_KEY: &[&str] = &["SET", "new:__rand_int__", "__data__"];

/// What the probe's questions count for.
const IDLE: u8 = 0;
const BEFORE: u8 = 1;
const DURING: u8 = 2;
const OVER: u8 = 3;

/// Something big.
#[derive(Clone, Copy, Debug)]
enum Event {
    Growth,
    Expire,
    Flush,
}

impl Event {
    const ALL: [Self; 3] = [Self::Growth, Self::Expire, Self::Flush];

    fn name(self) -> &'static str {
        match self {
            Self::Growth => "growth",
            Self::Expire => "expire",
            Self::Flush => "flush",
        }
    }

    /// Keys of the event.
    fn keys(self, quick: bool) -> u64 {
        let keys = match self {
            Self::Growth => GROWTH_KEYS,
            Self::Expire => EXPIRE_KEYS,
            Self::Flush => FLUSH_KEYS,
        };
        if quick { keys / QUICK_DIVISOR } else { keys }
    }

    /// How many times the keys of an event are written, before it and in it.
    fn writes(self) -> f64 {
        match self {
            Self::Growth => 1.0 + 2.0 / OLD_DIVISOR as f64,
            Self::Expire | Self::Flush => 1.0,
        }
    }

    /// As many keys as the event should have, or as a server with that rate can
    /// take in within a time.
    fn keys_within(self, quick: bool, rate: f64, time: Duration) -> u64 {
        let room = (rate * time.as_secs_f64() / self.writes()) as u64;
        self.keys(quick).min(room).max(1)
    }

    /// How long it takes a usual server, about, in seconds.
    fn guess_s(self, context: &Context<'_>) -> f64 {
        let written_s = self.keys(context.args.quick) as f64 * self.writes() / RATE_USUAL;
        let wait_s = |times: &[Duration]| -> f64 {
            times.iter().map(|&time| context.wait(time).as_secs_f64()).sum()
        };
        let waited_s = match self {
            Self::Growth => 0.0,
            Self::Expire => wait_s(&[QUIET, EXPIRE_WATCH]) + FILL_MARGIN * written_s,
            Self::Flush => wait_s(&[QUIET, FLUSH_WATCH]),
        };
        1.0 + written_s + waited_s
    }
}

/// Keys a second that a usual server takes in, for the first estimate of the time.
const RATE_USUAL: f64 = 700_000.0;

/// A server and the keys that it takes in a second.
struct Entrant<'a> {
    server: &'a Server,
    rate: f64,
}

/// Waits in the two phases.
struct Probed {
    before: Histogram<u64>,
    during: Histogram<u64>,
}

/// Plans a step for each server to find its rate, and then for each event and round.
pub(crate) fn plan(context: &Context<'_>) {
    let trial_s = 1.0 + context.cell.as_secs_f64() * TRIAL_CELLS;
    context.progress.plan(TRIAL, context.servers.len(), trial_s);
    for event in Event::ALL {
        let steps = context.servers.len() * rounds(context) as usize;
        context.progress.plan(event.name(), steps, event.guess_s(context));
    }
}

fn rounds(context: &Context<'_>) -> u32 {
    context.rounds.min(if context.args.quick { ROUNDS_MAX_QUICK } else { ROUNDS_MAX })
}

/// Measures every event.
pub(crate) fn measure(context: &Context<'_>, results: &mut Results) -> Result<(), String> {
    let entrants = entrants(context, results)?;
    let slowest = entrants.iter().map(|entrant| entrant.rate).fold(f64::INFINITY, f64::min);
    let time = context.cell.mul_f64(FILL_CELLS);
    for event in Event::ALL {
        let keys = event.keys_within(context.args.quick, slowest, time);
        let workers = plural(context.workers());
        context.progress.announce(&format!("{TRIAL}: {}, {keys} keys, {workers}", event.name()));
        let mut probed: Vec<Vec<Probed>> = entrants.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds(context) {
            for (entrant, probed) in entrants.iter().zip(&mut probed) {
                let step = Step { part: event.name(), what: event.name(), server: entrant.server };
                let watched =
                    context.attempt(results, step, || watch(context, entrant, event, keys))?;
                probed.extend(watched);
            }
        }
        for (entrant, probed) in entrants.iter().zip(probed) {
            if !probed.is_empty() {
                results.stall.push(row(entrant.server, event, keys, &probed));
            }
        }
        context.progress.close(event.name());
    }
    Ok(())
}

/// Finds how fast each server takes in keys.
fn entrants<'a>(
    context: &'a Context<'_>,
    results: &mut Results,
) -> Result<Vec<Entrant<'a>>, String> {
    let mut entrants = Vec::new();
    for server in &context.servers {
        let step = Step { part: TRIAL, what: "how fast keys come in", server };
        let rate = context.attempt(results, step, || trial(context, server))?;
        entrants.extend(rate.map(|rate| Entrant { server, rate }));
    }
    context.progress.close(TRIAL);
    Ok(entrants)
}

fn trial(context: &Context<'_>, server: &Server) -> Result<f64, String> {
    let workers = context.workers();
    let cores = context.machine.divide(usize::from(workers)).server;
    let running = Running::start(server, workers, &cores, context.stop)?;
    let template = Template::of_words(NEW_KEY, &Random::new(SEED).text(VALUE_BYTES));
    let amount = Amount::Time(context.cell.mul_f64(TRIAL_CELLS));
    let shape = writing(workers, GROWTH_KEYS, amount);
    Ok(context.run(&context.load(&running.target, template, shape))?.rate())
}

/// One client that writes key after key.
fn writing(workers: u16, keys: u64, amount: Amount) -> Shape {
    Shape {
        workers,
        clients: 1,
        depth: DEPTH,
        keys: KeyChoice::Sequential { count: keys },
        amount,
        pace: Pace::Closed,
    }
}

fn row(server: &Server, event: Event, keys: u64, probed: &[Probed]) -> StallRow {
    let waits = |phase: fn(&Probed) -> &Histogram<u64>| Waits {
        p999_ms: median(probed.iter().map(|p| to_ms(phase(p).value_at_quantile(0.999))).collect()),
        longest_ms: median(probed.iter().map(|p| to_ms(phase(p).max())).collect()),
    };
    StallRow {
        server: server.name.clone(),
        event: event.name().to_owned(),
        keys,
        quiet: waits(|p| &p.before),
        during: waits(|p| &p.during),
    }
}

/// Runs a server through one event with a probe beside it.
fn watch(
    context: &Context<'_>,
    entrant: &Entrant<'_>,
    event: Event,
    keys: u64,
) -> Result<Probed, String> {
    let workers = context.workers();
    let division = context.machine.divide(usize::from(workers));
    let running = Running::start(entrant.server, workers, &division.server, context.stop)?;
    let phase = AtomicU8::new(IDLE);
    let client = running.client()?;
    thread::scope(|scope| {
        let cores = &division.generator;
        let probe = thread::Builder::new()
            .name("probe".to_owned())
            .spawn_scoped(scope, || machine::on_cores(cores, || probe(client, &phase)))
            .map_err(|e| format!("no thread for the probe: {e}"))?;
        let stage =
            Stage { context, running: &running, phase: &phase, workers, rate: entrant.rate };
        let happened = stage.act(event, keys);
        phase.store(OVER, Ordering::Relaxed);
        let probed = probe.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        happened?;
        probed.flatten()
    })
}

/// Asks until it is over.
fn probe(mut client: Client, phase: &AtomicU8) -> Result<Probed, String> {
    // A probe that waits for a core measures the wrong thing; but without the
    // right to go first, it still measures.
    let _ = rustix::process::nice(-10);
    let failed = |e| format!("the probe failed: {e}");
    client.ask(&["SET", "probe:key", &"x".repeat(VALUE_BYTES)]).map_err(failed)?;
    let mut probed = Probed { before: new_histogram(), during: new_histogram() };
    loop {
        let now = phase.load(Ordering::Relaxed);
        let begin = Instant::now();
        client.ask(&["GET", "probe:key"]).map_err(failed)?;
        let wait_ns = begin.elapsed().as_nanos() as u64;
        match now {
            BEFORE => probed.before.saturating_record(wait_ns),
            DURING => probed.during.saturating_record(wait_ns),
            OVER => return Ok(probed),
            _ => {}
        }
        thread::sleep(PROBE_REST);
    }
}

fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, WAIT_NS_MAX, 3).expect("the bounds are constants in range")
}

/// Where an event takes place.
struct Stage<'a> {
    context: &'a Context<'a>,
    running: &'a Running,
    phase: &'a AtomicU8,
    workers: u16,
    /// Keys a second that the server takes in.
    rate: f64,
}

impl Stage<'_> {
    fn act(&self, event: Event, keys: u64) -> Result<(), String> {
        match event {
            Event::Growth => self.grow(keys),
            Event::Expire => self.expire(keys),
            Event::Flush => self.flush(keys),
        }
    }

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// New keys, against the same writes over existing keys.
    fn grow(&self, keys: u64) -> Result<(), String> {
        let old = ["SET", "old:__rand_int__", "__data__"];
        let old_keys = keys.div_ceil(OLD_DIVISOR);
        self.write(&old, VALUE_BYTES, old_keys)?;
        self.enter(BEFORE);
        self.write(&old, VALUE_BYTES, old_keys)?;
        self.enter(DURING);
        self.write(NEW_KEY, VALUE_BYTES, keys)
    }

    /// Keys that meet their deadline at one moment, against the time before.
    fn expire(&self, keys: u64) -> Result<(), String> {
        let quiet = self.context.wait(QUIET);
        let fill_s = FILL_MARGIN * keys as f64 / self.rate.max(1.0);
        let ahead = quiet + FILL_MARGIN_TIME + Duration::from_secs_f64(fill_s);
        let deadline = Instant::now() + ahead;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + ahead;
        let at = unix.as_millis().to_string();
        let words = ["SET", "key:__rand_int__", "__data__", "PXAT", &at];
        self.write(&words, VALUE_BYTES, keys)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let rest =
            left.checked_sub(quiet).ok_or("the keys came in too slowly to expire at once")?;
        self.context.pause(rest)?;
        self.enter(BEFORE);
        self.context.pause(deadline.saturating_duration_since(Instant::now()))?;
        self.enter(DURING);
        self.context.pause(self.context.wait(EXPIRE_WATCH))
    }

    /// `FLUSHALL ASYNC`, against nothing.
    fn flush(&self, keys: u64) -> Result<(), String> {
        self.write(&["SET", "key:__rand_int__", "__data__"], FLUSH_VALUE_BYTES, keys)?;
        self.enter(BEFORE);
        self.context.pause(self.context.wait(QUIET))?;
        let mut client = self.running.client()?;
        self.enter(DURING);
        client.ask(&["FLUSHALL", "ASYNC"]).map_err(|e| format!("FLUSHALL: {e}"))?;
        self.context.pause(self.context.wait(FLUSH_WATCH))
    }

    /// Sends a command once for each of so many keys.
    fn write(&self, words: &[&str], value_bytes: usize, keys: u64) -> Result<(), String> {
        let template = Template::of_words(words, &Random::new(SEED).text(value_bytes));
        let shape = writing(self.workers, keys, Amount::requests(keys));
        let outcome = self.context.run(&self.context.load(&self.running.target, template, shape));
        outcome.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_keys_unless_the_slowest_server_takes_too_long() {
        let time = Duration::from_secs(10);
        assert_eq!(Event::Growth.keys_within(false, f64::INFINITY, time), GROWTH_KEYS);
        assert_eq!(Event::Growth.keys_within(false, 500_000.0, time), 4_000_000);
        assert_eq!(Event::Flush.keys_within(false, 500_000.0, time), FLUSH_KEYS);
        assert_eq!(Event::Expire.keys_within(true, 1e9, time), EXPIRE_KEYS / QUICK_DIVISOR);
        assert_eq!(Event::Expire.keys_within(true, 0.0, time), 1);
    }
}
