//! The one place that reads the clocks of the machine.
//!
//! Everything else is told what time it is. The wall clock can be moved ahead by
//! `DEBUG ADVANCE-TIME`, so that tests of deadlines need not wait.

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
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            started: Instant::now(),
            started_unix_seconds: unix_micros() / 1_000_000,
            ahead: AtomicU64::new(0),
        }
    }
}

impl Clock {
    /// The wall clock: microseconds since the Unix epoch.
    #[must_use]
    pub fn unix_micros(&self) -> u64 {
        unix_micros().saturating_add(self.ahead.load(Ordering::Relaxed).saturating_mul(1000))
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
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
