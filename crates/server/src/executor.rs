//! Who runs commands: a worker, or whoever runs a script.
//!
//! An executor belongs to one thread at a time. It has counters of its own, a sequence of random
//! numbers and a copy of the settings, so that a command takes no lock and writes no line of
//! memory that another thread writes.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use command::CommandError;
use keyspace::Leftovers;

use crate::latency;
use crate::scripts::interpreter::Interpreter;
use crate::server::Server;
use crate::settings::Settings;
use crate::stats::WorkerStats;

/// See the module's page.
pub struct Executor {
    /// The server.
    pub server: Arc<Server>,
    stats: Arc<WorkerStats>,
    chance: Cell<u64>,
    /// The Lua that it has at hand for its scripts.
    pub interpreter: RefCell<Option<Interpreter>>,
    /// The settings in a copy of its own, so that holding it writes no shared line; their version.
    settings: RefCell<(u64, Arc<Settings>)>,
}

impl Executor {
    /// An executor that counts there and whose random numbers begin with `seed`.
    #[must_use]
    pub fn new(server: Arc<Server>, stats: Arc<WorkerStats>, seed: u64) -> Executor {
        let settings = RefCell::new((0, copy_settings(&server)));
        // An xorshift never leaves zero.
        let (chance, interpreter) = (Cell::new(seed | 1), RefCell::default());
        Executor { server, stats, chance, interpreter, settings }
    }

    /// What it counts.
    #[must_use]
    #[inline]
    pub fn stats(&self) -> &WorkerStats {
        &self.stats
    }

    /// 64 bits of a sequence that repeats after 2^64 (xorshift64*, Vigna 2016).
    #[inline]
    pub fn chance(&self) -> u64 {
        let mut state = self.chance.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.chance.set(state);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        let version = self.server.settings_version();
        let mut known = self.settings.borrow_mut();
        if known.0 != version {
            *known = (version, copy_settings(&self.server));
        }
        Arc::clone(&known.1)
    }

    /// Counts an error, and what it was to the command of this number: `rejected` before it ran,
    /// or answered by it.
    #[cold]
    pub fn count_error(&self, number: Option<usize>, rejected: bool, error: &CommandError) {
        let stats = self.stats();
        stats.errors.add(1);
        stats.error_codes.count(&error.to_string());
        if let Some(number) = number {
            let each = &stats.each[number];
            if rejected { each.rejected.add(1) } else { each.failed.add(1) }
        }
    }

    /// Drops what expired entries leave here, and records that if it takes long.
    #[cold]
    pub fn drop_expired(&self, settings: &Settings, garbage: Box<Leftovers>) {
        let began_nanos = self.server.clock.nanos();
        drop(garbage);
        let nanos = self.server.clock.nanos() - began_nanos;
        self.note_latency(settings, latency::EXPIRE_DEL, nanos / 1000);
    }

    /// Records an event if it took longer than LATENCY's threshold.
    #[inline]
    pub fn note_latency(&self, settings: &Settings, event: &'static str, micros: u64) {
        let threshold = settings.latency_threshold_millis;
        if threshold > 0 && micros >= threshold.saturating_mul(1000) {
            let unix_seconds = self.server.clock.now() / 1000;
            let sample = latency::Sample { unix_seconds, millis: micros / 1000 };
            self.server.latency.record(event, sample);
        }
    }
}

fn copy_settings(server: &Server) -> Arc<Settings> {
    Arc::new(Settings::clone(&server.settings()))
}
