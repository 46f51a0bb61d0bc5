//! Events that took longer than `latency-monitor-threshold`: what LATENCY tells of.
//!
//! The lock is taken only when such an event is recorded or asked for. Commands that are measured
//! together (see the connection's meter) count as one event of their common time: for so long
//! their worker served nobody else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Samples of an event that are kept.
const SAMPLES_MAX: usize = 160;

/// A command that may take long.
pub const COMMAND: &str = "command";

/// A command whose row says that it is fast.
pub const FAST_COMMAND: &str = "fast-command";

/// A step of removing what has expired.
pub const EXPIRE_CYCLE: &str = "expire-cycle";

/// Dropping what has expired, where it is not left to the background.
pub const EXPIRE_DEL: &str = "expire-del";

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, in seconds since the epoch. There is one sample a second, the longest.
    pub unix_seconds: u64,
    /// How long it took.
    pub millis: u64,
}

/// What is known of one kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The latest, oldest first.
    pub samples: VecDeque<Sample>,
    /// The longest ever.
    pub millis_max: u64,
}

/// The events of a server.
#[derive(Default)]
pub struct LatencyMonitor {
    events: Mutex<BTreeMap<&'static str, Series>>,
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.millis_max = self.millis_max.max(sample.millis);
        match self.samples.back_mut() {
            Some(last) if last.unix_seconds == sample.unix_seconds => {
                last.millis = last.millis.max(sample.millis);
            }
            _ => self.samples.push_back(sample),
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Mean, mean deviation from it (both in ms) and mean seconds between samples.
    #[must_use]
    pub fn summary(&self) -> (f64, f64, f64) {
        let count = self.samples.len().max(1) as f64;
        let mean = self.samples.iter().map(|sample| sample.millis as f64).sum::<f64>() / count;
        let off = self.samples.iter().map(|sample| (sample.millis as f64 - mean).abs());
        let deviation = off.sum::<f64>() / count;
        let ends = self.samples.front().zip(self.samples.back());
        let span = ends.map_or(0, |(first, last)| last.unix_seconds - first.unix_seconds);
        (mean, deviation, span as f64 / count)
    }
}

impl LatencyMonitor {
    /// Records an event; to be called for those that passed the threshold.
    #[cold]
    pub fn record(&self, event: &'static str, sample: Sample) {
        self.with(|events| events.entry(event).or_default().add(sample));
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut BTreeMap<&'static str, Series>) -> T) -> T {
        use_it(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All events of which there are samples.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, Series> {
        self.with(|events| events.clone())
    }

    /// The samples of an event, whatever the case of its name.
    #[must_use]
    pub fn of(&self, event: &[u8]) -> Option<(&'static str, Series)> {
        self.with(|events| {
            let mut all = events.iter();
            let found = all.find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(event));
            found.map(|(name, series)| (*name, series.clone()))
        })
    }

    /// Forgets an event; tells whether there were samples of it.
    pub fn reset(&self, event: &[u8]) -> bool {
        self.with(|events| {
            let before = events.len();
            events.retain(|name, _| !name.as_bytes().eq_ignore_ascii_case(event));
            events.len() < before
        })
    }

    /// Forgets all; returns how many events there were.
    pub fn reset_all(&self) -> usize {
        self.with(|events| std::mem::take(events).len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_second_the_longest_is_kept() {
        let monitor = LatencyMonitor::default();
        for (unix_seconds, millis) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            monitor.record(COMMAND, Sample { unix_seconds, millis });
        }
        let (_, series) = monitor.of(b"COMMAND").unwrap();
        let kept: Vec<_> =
            series.samples.iter().map(|one| (one.unix_seconds, one.millis)).collect();
        assert_eq!(kept, [(1, 9), (2, 3)]);
        assert_eq!(series.millis_max, 9);
    }

    #[test]
    fn the_oldest_samples_are_forgotten_and_the_longest_is_remembered() {
        let mut series = Series::default();
        for unix_seconds in 0..1000 {
            series.add(Sample { unix_seconds, millis: 1000 - unix_seconds });
        }
        assert_eq!(series.samples.len(), SAMPLES_MAX);
        assert_eq!(series.samples[0].unix_seconds, 1000 - SAMPLES_MAX as u64);
        assert_eq!(series.millis_max, 1000);
    }

    #[test]
    fn a_reset_says_whether_there_was_something() {
        let monitor = LatencyMonitor::default();
        monitor.record(EXPIRE_CYCLE, Sample { unix_seconds: 1, millis: 1 });
        assert!(!monitor.reset(b"command"));
        assert!(monitor.reset(b"expire-cycle"));
        assert_eq!(monitor.reset_all(), 0);
    }
}
