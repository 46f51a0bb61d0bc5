//! The one place that reads the clocks of the machine.
//!
//! Everything else is told what time it is. The wall clock can be moved ahead by
//! `DEBUG ADVANCE-TIME`, so that tests of deadlines need not wait, and stopped by
//! `DEBUG STOP-TIME`, so that they know to the millisecond what it shows.

#![expect(clippy::disallowed_methods, reason = "this is the clock")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use keyspace::Millis;

/// The clocks of a server.
pub struct Clock {
    started: Instant,
    started_unix_seconds: u64,
    /// How far the wall clock has been moved ahead, in ms.
    ahead: AtomicU64,
    /// What the wall clock shows while it stands, in microseconds; 0: it goes.
    standing: AtomicU64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            started: Instant::now(),
            started_unix_seconds: unix_micros() / 1_000_000,
            ahead: AtomicU64::new(0),
            standing: AtomicU64::new(0),
        }
    }
}

impl Clock {
    /// The wall clock: microseconds since the Unix epoch.
    #[must_use]
    pub fn unix_micros(&self) -> u64 {
        match self.standing.load(Ordering::Relaxed) {
            0 => {
                let ahead = self.ahead.load(Ordering::Relaxed);
                unix_micros().saturating_add(ahead.saturating_mul(1000))
            }
            standing => standing,
        }
    }

    /// The wall clock: milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.unix_micros() / 1000
    }

    /// Microseconds since the server started, never going back.
    #[must_use]
    pub fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds since the server started, never going back.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// When the server started, in seconds since the Unix epoch.
    #[must_use]
    pub fn started_unix_seconds(&self) -> u64 {
        self.started_unix_seconds
    }

    /// Moves the wall clock ahead.
    pub fn advance(&self, millis: Millis) {
        let standing = self.standing.load(Ordering::Relaxed);
        if standing == 0 {
            self.ahead.fetch_add(millis, Ordering::Relaxed);
        } else {
            let later = standing.saturating_add(millis.saturating_mul(1000));
            self.standing.store(later, Ordering::Relaxed);
        }
    }

    /// Stops the wall clock for good, at a full millisecond, which is returned. From then on it
    /// moves by [`Clock::advance`] alone.
    pub fn stop(&self) -> Millis {
        let now = self.now();
        self.standing.store(now.saturating_mul(1000), Ordering::Relaxed);
        now
    }
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_only_when_it_is_told_to() {
        let clock = Clock::default();
        clock.advance(5_000);
        let stopped = clock.stop();
        clock.advance(20);
        assert_eq!(clock.unix_micros(), (stopped + 20) * 1000);
        assert_eq!(clock.stop(), stopped + 20);
        assert!(stopped >= unix_micros() / 1000, "it had been moved ahead");
    }
}
