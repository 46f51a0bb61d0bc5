//! What is measured by looking again and again: rates, and the highest marks of memory.
//!
//! One task takes a sample each `PERIOD`. Rates are means over the last `KEPT` samples, as in
//! Redis. Peaks are those of the samples; whoever asks adds what it sees itself.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::process;
use crate::server::Server;

/// Between two samples.
const PERIOD: Duration = Duration::from_millis(100);

/// Samples that a rate is the mean of.
const KEPT: usize = 16;

/// Sums that only grow, as they were at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The moment, in microseconds.
    pub micros: u64,
    /// Commands run.
    pub commands: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Inputs served.
    pub cycles: u64,
    /// Processor time, in nanoseconds.
    pub cpu_nanos: u64,
}

/// Growth a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Commands.
    pub commands: f64,
    /// Bytes received.
    pub bytes_in: f64,
    /// Bytes sent.
    pub bytes_out: f64,
    /// Inputs served.
    pub cycles: f64,
    /// Processor time, in nanoseconds.
    pub cpu_nanos: f64,
}

/// See the module's page.
#[derive(Default)]
pub struct Sampler {
    totals: Mutex<VecDeque<Totals>>,
    used_bytes_start: AtomicU64,
    used_bytes_max: AtomicU64,
    used_at_seconds: AtomicU64,
    resident_bytes_max: AtomicU64,
    clients_max: AtomicU64,
}

impl Sampler {
    /// Notes sums; the oldest are forgotten.
    pub fn add(&self, totals: Totals) {
        let mut kept = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(totals);
        if kept.len() > KEPT + 1 {
            kept.pop_front();
        }
    }

    /// The rates of late.
    #[must_use]
    pub fn rates(&self) -> Rates {
        let kept = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        kept.front().zip(kept.back()).map_or(Rates::default(), |(old, new)| rates(*old, *new))
    }

    /// The most bytes ever seen in use, and when, in seconds since the epoch.
    pub fn used_peak(&self, now_bytes: u64, unix_seconds: u64) -> (u64, u64) {
        if self.used_bytes_max.fetch_max(now_bytes, Ordering::Relaxed) < now_bytes {
            self.used_at_seconds.store(unix_seconds, Ordering::Relaxed);
        }
        let most = self.used_bytes_max.load(Ordering::Relaxed);
        (most, self.used_at_seconds.load(Ordering::Relaxed))
    }

    /// The most bytes ever seen resident.
    pub fn resident_peak(&self, now_bytes: u64) -> u64 {
        self.resident_bytes_max.fetch_max(now_bytes, Ordering::Relaxed).max(now_bytes)
    }

    /// The most clients ever seen.
    pub fn clients_peak(&self, now: u64) -> u64 {
        self.clients_max.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Bytes in use when the server began to serve.
    #[must_use]
    pub fn used_at_start(&self) -> u64 {
        self.used_bytes_start.load(Ordering::Relaxed)
    }
}

fn rates(old: Totals, new: Totals) -> Rates {
    let seconds = new.micros.saturating_sub(old.micros) as f64 / 1e6;
    if seconds == 0.0 {
        return Rates::default();
    }
    // Counters fall when they are reset.
    let rate = |old: u64, new: u64| new.saturating_sub(old) as f64 / seconds;
    Rates {
        commands: rate(old.commands, new.commands),
        bytes_in: rate(old.bytes_in, new.bytes_in),
        bytes_out: rate(old.bytes_out, new.bytes_out),
        cycles: rate(old.cycles, new.cycles),
        cpu_nanos: rate(old.cpu_nanos, new.cpu_nanos),
    }
}

/// Takes one sample.
pub fn sample(server: &Server) {
    let sampler = &server.sampler;
    sampler.add(Totals {
        micros: server.clock.micros(),
        commands: server.total(|stats| stats.commands.get()),
        bytes_in: server.total(|stats| stats.bytes_in.get()),
        bytes_out: server.total(|stats| stats.bytes_out.get()),
        cycles: server.total(|stats| stats.reads.get()),
        cpu_nanos: process::cpu_nanos(),
    });
    let used = memory::heap::used_bytes() as u64;
    let first =
        sampler.used_bytes_start.compare_exchange(0, used, Ordering::Relaxed, Ordering::Relaxed);
    if first.is_ok() || sampler.used_bytes_max.load(Ordering::Relaxed) < used {
        sampler.used_peak(used, server.clock.now() / 1000);
    }
    sampler.resident_peak(process::memory().resident_bytes);
    sampler.clients_peak(server.clients.len() as u64);
}

/// Takes samples until the server ends.
pub async fn run(server: &Server) {
    loop {
        if !server.debugging.cron_paused.load(Ordering::Relaxed) {
            sample(server);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_samples_that_are_kept() {
        let sampler = Sampler::default();
        assert_eq!(sampler.rates(), Rates::default());
        for step in 0..100_u64 {
            let commands = if step < 50 { 0 } else { (step - 50) * 7 };
            sampler.add(Totals { micros: step * 100_000, commands, ..Totals::default() });
        }
        assert_eq!(sampler.rates().commands, 70.0);
        assert_eq!(sampler.rates().bytes_in, 0.0);
    }

    #[test]
    fn counters_that_were_reset_give_no_negative_rate() {
        let old = Totals { micros: 0, commands: 1000, ..Totals::default() };
        let new = Totals { micros: 1_000_000, commands: 1, ..Totals::default() };
        assert_eq!(rates(old, new).commands, 0.0);
    }

    #[test]
    fn a_peak_remembers_when_it_was() {
        let sampler = Sampler::default();
        assert_eq!(sampler.used_peak(10, 1), (10, 1));
        assert_eq!(sampler.used_peak(5, 2), (10, 1));
        assert_eq!(sampler.used_peak(11, 3), (11, 3));
    }
}
