//! How long a client waits while something big happens.
//!
//! A probe asks for a key of its own again and again, first while the server
//! has nothing special to do and then during the event: many new keys, many
//! keys that expire at one moment, everything flushed.

use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::process::Running;
use super::results::{Results, StallRow, Waits};
use super::servers::Server;
use super::{Context, SEED, Shape, machine, median};
use crate::client::Client;
use crate::keys::{KeyChoice, Random};
use crate::load::{Amount, Pace, to_ms};
use crate::wire::Template;

/// Keys that come in, that expire and that are flushed.
const GROWTH_KEYS: u64 = 8_000_000;
const EXPIRE_KEYS: u64 = 1_000_000;
const FLUSH_KEYS: u64 = 2_000_000;

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
const EXPIRE_WATCH: Duration = Duration::from_secs(8);
const FLUSH_WATCH: Duration = Duration::from_secs(3);

/// Keys a second that every server can take in, with room to spare.
const LOAD_RATE_MIN: u64 = 100_000;

/// More rounds than this say nothing new.
const ROUNDS_MAX: u32 = 3;

/// The longest wait that is told apart, in nanoseconds: ten minutes.
const WAIT_NS_MAX: u64 = 600_000_000_000;

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
    fn name(self) -> &'static str {
        match self {
            Self::Growth => "growth",
            Self::Expire => "expire",
            Self::Flush => "flush",
        }
    }

    fn keys(self, context: &Context<'_>) -> u64 {
        context.scaled(match self {
            Self::Growth => GROWTH_KEYS,
            Self::Expire => EXPIRE_KEYS,
            Self::Flush => FLUSH_KEYS,
        })
    }
}

/// Waits in the two phases.
struct Probed {
    before: Histogram<u64>,
    during: Histogram<u64>,
}

/// Measures every event.
pub(crate) fn measure(context: &Context<'_>, results: &mut Results) -> Result<(), String> {
    for event in [Event::Growth, Event::Expire, Event::Flush] {
        eprintln!("stall: {}", event.name());
        let mut probed: Vec<Vec<Probed>> = context.servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..context.rounds.min(ROUNDS_MAX) {
            for (server, probed) in context.servers.iter().zip(&mut probed) {
                let watched = context
                    .attempt(results, event.name(), server, || watch(context, server, event))?;
                probed.extend(watched);
            }
        }
        for (server, probed) in context.servers.iter().zip(probed) {
            if !probed.is_empty() {
                results.stall.push(row(server, event, event.keys(context), &probed));
            }
        }
    }
    Ok(())
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
fn watch(context: &Context<'_>, server: &Server, event: Event) -> Result<Probed, String> {
    let workers = context.workers();
    let division = context.machine.divide(usize::from(workers));
    let running = Running::start(server, workers, &division.server, context.stop)?;
    let phase = AtomicU8::new(IDLE);
    let client = running.client()?;
    thread::scope(|scope| {
        let cores = &division.generator;
        let probe = thread::Builder::new()
            .name("probe".to_owned())
            .spawn_scoped(scope, || machine::on_cores(cores, || probe(client, &phase)))
            .map_err(|e| format!("no thread for the probe: {e}"))?;
        let stage = Stage { context, running: &running, phase: &phase, workers };
        let happened = stage.act(event);
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
}

impl Stage<'_> {
    fn act(&self, event: Event) -> Result<(), String> {
        let keys = event.keys(self.context);
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
        self.write(&old, VALUE_BYTES, keys / 4)?;
        self.enter(BEFORE);
        self.write(&old, VALUE_BYTES, keys / 4)?;
        self.enter(DURING);
        self.write(&["SET", "new:__rand_int__", "__data__"], VALUE_BYTES, keys)
    }

    /// Keys that meet their deadline at one moment, against the time before.
    fn expire(&self, keys: u64) -> Result<(), String> {
        let ahead = QUIET + Duration::from_secs(2 + keys / LOAD_RATE_MIN);
        let deadline = Instant::now() + ahead;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + ahead;
        let at = unix.as_millis().to_string();
        let words = ["SET", "key:__rand_int__", "__data__", "PXAT", &at];
        self.write(&words, VALUE_BYTES, keys)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let rest =
            left.checked_sub(QUIET).ok_or("the keys came in too slowly to expire at once")?;
        self.context.pause(rest)?;
        self.enter(BEFORE);
        self.context.pause(deadline.saturating_duration_since(Instant::now()))?;
        self.enter(DURING);
        self.context.pause(EXPIRE_WATCH)
    }

    /// `FLUSHALL ASYNC`, against nothing.
    fn flush(&self, keys: u64) -> Result<(), String> {
        self.write(&["SET", "key:__rand_int__", "__data__"], FLUSH_VALUE_BYTES, keys)?;
        self.enter(BEFORE);
        self.context.pause(QUIET)?;
        let mut client = self.running.client()?;
        self.enter(DURING);
        client.ask(&["FLUSHALL", "ASYNC"]).map_err(|e| format!("FLUSHALL: {e}"))?;
        self.context.pause(FLUSH_WATCH)
    }

    /// Sends a command once for each of so many keys.
    fn write(&self, words: &[&str], value_bytes: usize, keys: u64) -> Result<(), String> {
        let template = Template::of_words(words, &Random::new(SEED).text(value_bytes));
        let shape = Shape {
            workers: self.workers,
            clients: 1,
            depth: DEPTH,
            keys: KeyChoice::Sequential { count: keys },
            amount: Amount::Requests(keys),
            pace: Pace::Closed,
        };
        let outcome = self.context.run(&self.context.load(&self.running.target, template, shape));
        outcome.map(|_| ())
    }
}
