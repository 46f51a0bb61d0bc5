//! What a worker counts. Only the worker writes, anybody reads, so counting is a load, an
//! addition and a store, without a locked instruction and without a line that two workers write.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A number that one thread writes and others read.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; to be called by one thread only.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Sets; to be called by one thread only.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number as it was a moment ago.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Parts into which each doubling of a latency is cut: values are known to 12.5 %.
const PARTS: usize = 8;

/// Doublings that are told apart: up to 2^40 ns, 18 minutes.
const DOUBLINGS: usize = 40;

/// How long calls took: counts in buckets that widen with the value, as HdrHistogram does it.
pub struct Histogram {
    counts: Box<[Counter]>,
    nanos: Counter,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let counts = (0..PARTS * DOUBLINGS).map(|_| Counter::default()).collect();
        Histogram { counts, nanos: Counter::default() }
    }
}

impl Histogram {
    /// Counts `calls` calls that took so long each.
    pub fn record(&self, nanos: u64, calls: u64) {
        self.counts[bucket(nanos)].add(calls);
        self.nanos.add(nanos.wrapping_mul(calls));
    }

    /// The counts, each with the highest value (ns) of its bucket.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter().enumerate().map(|(at, count)| (highest(at), count.get()))
    }

    /// The time that all calls took together, in ns.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        self.nanos.get()
    }

    /// Adds what another one has counted; to be called by one thread only.
    pub fn add(&self, other: &Histogram) {
        self.counts.iter().zip(&other.counts).for_each(|(mine, theirs)| mine.add(theirs.get()));
        self.nanos.add(other.nanos.get());
    }

    /// Takes back what was added; to be called by one thread only.
    pub fn subtract(&self, other: &Histogram) {
        let less = |mine: &Counter, theirs: &Counter| {
            mine.set(mine.get().saturating_sub(theirs.get()));
        };
        self.counts.iter().zip(&other.counts).for_each(|(mine, theirs)| less(mine, theirs));
        less(&self.nanos, &other.nanos);
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.counts.iter().chain([&self.nanos]).for_each(|count| count.set(0));
    }
}

fn bucket(nanos: u64) -> usize {
    let value = nanos.max(PARTS as u64);
    let doubling = value.ilog2() as usize;
    let part = (value >> (doubling - 3)) as usize % PARTS;
    ((doubling - 3) * PARTS + part).min(PARTS * DOUBLINGS - 1)
}

fn highest(bucket: usize) -> u64 {
    let (doubling, part) = (bucket / PARTS + 3, (bucket % PARTS) as u64);
    ((PARTS as u64 + part + 1) << (doubling - 3)) - 1
}

/// What is counted of one command.
#[derive(Default)]
pub struct CommandStats {
    /// Calls that ran.
    pub calls: Counter,
    /// Time they took together, in nanoseconds.
    pub nanos: Counter,
    /// Calls refused before they ran.
    pub rejected: Counter,
    /// Calls that ran and answered an error.
    pub failed: Counter,
    /// How long calls took; made at the first.
    pub latency: OnceLock<Histogram>,
}

/// Error codes that are told apart.
const ERROR_CODES_MAX: usize = 128;

/// The code under which the others are counted, as in Redis.
const OTHER_CODES: &str = "ERRORSTATS_OVERFLOW";

/// How often each error code was answered. The lock is the worker's but for moments: only who
/// asks for the counts takes it, too, and an error is no hot path.
#[derive(Default)]
pub struct ErrorCodes(Mutex<BTreeMap<Box<str>, u64>>);

impl ErrorCodes {
    /// Counts an error by its text, which begins with its code.
    pub fn count(&self, text: &str) {
        let code = text.split(' ').next().unwrap_or_default();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.len() < ERROR_CODES_MAX || counts.contains_key(code);
        *counts.entry(if known { code } else { OTHER_CODES }.into()).or_default() += 1;
    }

    /// The counts, added to those of other workers.
    pub fn add_to(&self, sum: &mut BTreeMap<Box<str>, u64>) {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().for_each(|(code, count)| *sum.entry(code.clone()).or_default() += count);
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What one worker counts.
#[derive(Default)]
#[expect(missing_docs, reason = "a counter is its name")]
pub struct WorkerStats {
    pub connections: Counter,
    pub commands: Counter,
    pub admin_commands: Counter,
    pub hits: Counter,
    pub misses: Counter,
    pub changes: Counter,
    pub expired: Counter,
    pub lapsed: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub reads: Counter,
    pub writes: Counter,
    pub errors: Counter,
    pub batches: Counter,
    pub batched_commands: Counter,
    pub gate_waits: Counter,
    pub long_commands: Counter,
    pub oom_refusals: Counter,
    pub protocol_errors: Counter,
    pub timeouts: Counter,
    pub output_overflows: Counter,
    pub query_overflows: Counter,
    pub evicted_clients: Counter,
    pub expire_cycles_capped: Counter,
    pub expire_nanos: Counter,
    /// What its Lua takes, in bytes: no sum, but how it is now.
    pub lua_bytes: Counter,
    /// The most requests that came together.
    pub batch_max: Counter,
    pub error_codes: ErrorCodes,
    /// By the numbers of the command table.
    pub each: Box<[CommandStats]>,
}

impl WorkerStats {
    /// Counters for so many commands.
    #[must_use]
    pub fn new(commands: usize) -> WorkerStats {
        let each = (0..commands).map(|_| CommandStats::default()).collect();
        WorkerStats { each, ..WorkerStats::default() }
    }

    /// What several workers have counted together, as it is now.
    #[must_use]
    pub fn together(workers: &[Arc<WorkerStats>]) -> WorkerStats {
        let sum = WorkerStats::new(workers.first().map_or(0, |worker| worker.each.len()));
        for worker in workers {
            add_all(&sum.counters(), &worker.counters());
            sum.each.iter().zip(&worker.each).for_each(|(sum, one)| sum.add(one));
        }
        sum
    }

    /// All sums but those of commands, in the order of the fields.
    fn counters(&self) -> [&Counter; 25] {
        let WorkerStats {
            connections,
            commands,
            admin_commands,
            hits,
            misses,
            changes,
            expired,
            lapsed,
            bytes_in,
            bytes_out,
            reads,
            writes,
            errors,
            batches,
            batched_commands,
            gate_waits,
            long_commands,
            oom_refusals,
            protocol_errors,
            timeouts,
            output_overflows,
            query_overflows,
            evicted_clients,
            expire_cycles_capped,
            expire_nanos,
            lua_bytes: _,
            batch_max: _,
            error_codes: _,
            each: _,
        } = self;
        [
            connections,
            commands,
            admin_commands,
            hits,
            misses,
            changes,
            expired,
            lapsed,
            bytes_in,
            bytes_out,
            reads,
            writes,
            errors,
            batches,
            batched_commands,
            gate_waits,
            long_commands,
            oom_refusals,
            protocol_errors,
            timeouts,
            output_overflows,
            query_overflows,
            evicted_clients,
            expire_cycles_capped,
            expire_nanos,
        ]
    }
}

impl CommandStats {
    /// Adds what another worker has counted; to be called by one thread only.
    fn add(&self, other: &CommandStats) {
        let CommandStats { calls, nanos, rejected, failed, latency } = other;
        add_all(
            &[&self.calls, &self.nanos, &self.rejected, &self.failed],
            &[calls, nanos, rejected, failed],
        );
        if let Some(latency) = latency.get() {
            self.latency.get_or_init(Histogram::default).add(latency);
        }
    }
}

fn add_all(to: &[&Counter], from: &[&Counter]) {
    to.iter().zip(from).for_each(|(to, from)| to.add(from.get()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_a_bucket_no_wider_than_an_eighth_of_it() {
        for nanos in (8..100_000).chain([1 << 30, (1 << 35) + 12_345]) {
            let top = highest(bucket(nanos));
            assert!(top >= nanos && top - nanos <= nanos / 8, "{nanos} in a bucket up to {top}");
        }
    }

    #[test]
    fn error_codes_are_counted_until_there_are_too_many() {
        let codes = ErrorCodes::default();
        for nth in 0..1000 {
            codes.count(&format!("CODE{nth} text"));
        }
        codes.count("CODE3 text");
        let mut sum = BTreeMap::new();
        codes.add_to(&mut sum);
        assert_eq!(sum.len(), ERROR_CODES_MAX + 1);
        assert_eq!(sum["CODE3"], 2);
        assert_eq!(sum[OTHER_CODES], 1000 - ERROR_CODES_MAX as u64);
    }

    #[test]
    fn counts_of_several_workers_add_up() {
        let workers = [WorkerStats::new(2), WorkerStats::new(2)].map(Arc::new);
        for worker in &workers {
            worker.hits.add(3);
            worker.expire_cycles_capped.add(1);
            worker.each[1].calls.add(2);
            worker.each[1].latency.get_or_init(Histogram::default).record(100, 2);
        }
        let sum = WorkerStats::together(&workers);
        assert_eq!((sum.hits.get(), sum.expire_cycles_capped.get()), (6, 2));
        assert_eq!((sum.each[0].calls.get(), sum.each[1].calls.get()), (0, 4));
        assert!(sum.each[0].latency.get().is_none());
        let latency = sum.each[1].latency.get().unwrap();
        assert_eq!(latency.buckets().map(|(_, count)| count).sum::<u64>(), 4);
        assert_eq!(latency.nanos(), 400);
        latency.subtract(workers[0].each[1].latency.get().unwrap());
        assert_eq!(latency.nanos(), 200);
    }

    #[test]
    fn values_beyond_the_ends_are_counted_at_the_ends() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), PARTS * DOUBLINGS - 1);
    }
}
