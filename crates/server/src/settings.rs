//! The settings that are read on the way of a request, as plain numbers and flags.
//!
//! Made from the registry of settings at start-up and after each CONFIG SET, then published as a
//! whole; a worker takes the newest at the beginning of a batch.

use keyspace::{Access, Millis};

/// Below this threshold of the slow log, commands are not measured together.
const MEASURE_EACH_MICROS: i64 = 1000;

/// See the module's page. Sizes are bytes, spans of time as named.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a setting is its name; docs/configuration.md explains each")]
pub struct Settings {
    pub requirepass: Vec<u8>,
    pub protected_mode: bool,
    pub maxmemory: u64,
    pub maxclients: usize,
    pub timeout_seconds: u64,
    pub keepalive_seconds: u64,
    pub bulk_bytes_max: u64,
    pub query_bytes_max: usize,
    pub output: OutputLimit,
    pub access: Access,
    pub slowlog_micros: i64,
    pub slowlog_entries_max: usize,
    pub latency_tracking: bool,
    pub latency_threshold_millis: u64,
    pub lazy_user_del: bool,
    pub lazy_server_del: bool,
    pub lazy_expire: bool,
    pub lazy_user_flush: bool,
    pub expire_effort: u64,
    pub active_expire: bool,
    pub hz: u64,
    pub http_on_main_port: bool,
    pub debug_command: Allowed,
}

impl Settings {
    /// Whether the threshold of the slow log is so low that each command must be measured by
    /// itself.
    #[must_use]
    #[inline]
    pub fn measures_each(&self) -> bool {
        (0..MEASURE_EACH_MICROS).contains(&self.slowlog_micros)
    }
}

/// How much output may wait for a client that does not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// At this many bytes the client is disconnected; 0: never.
    pub hard_bytes: u64,
    /// At this many bytes, if it lasts ...
    pub soft_bytes: u64,
    /// ... so many seconds.
    pub soft_seconds: u64,
}

impl OutputLimit {
    /// Whether a client is to be disconnected for whom so many bytes wait now. Keeps in `since`
    /// from when on the soft limit was passed.
    pub fn is_passed(&self, waiting: u64, since: &mut Option<Millis>, now: Millis) -> bool {
        let passes = |bytes: u64| bytes > 0 && waiting >= bytes;
        if !passes(self.soft_bytes) {
            *since = None;
        }
        let lasted = passes(self.soft_bytes)
            && now.saturating_sub(*since.get_or_insert(now))
                > self.soft_seconds.saturating_mul(1000);
        passes(self.hard_bytes) || lasted
    }
}

/// Who may use a protected command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Who comes from the same machine.
    Local,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            requirepass: Vec::new(),
            protected_mode: true,
            maxmemory: 0,
            maxclients: 10_000,
            timeout_seconds: 0,
            keepalive_seconds: 300,
            bulk_bytes_max: 512 << 20,
            query_bytes_max: 1 << 30,
            output: OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
            access: Access::Lru,
            slowlog_micros: 10_000,
            slowlog_entries_max: 128,
            latency_tracking: true,
            latency_threshold_millis: 0,
            lazy_user_del: true,
            lazy_server_del: true,
            lazy_expire: true,
            lazy_user_flush: true,
            expire_effort: 1,
            active_expire: true,
            hz: 10,
            http_on_main_port: true,
            debug_command: Allowed::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: OutputLimit = OutputLimit { hard_bytes: 1000, soft_bytes: 100, soft_seconds: 2 };

    #[test]
    fn the_hard_limit_holds_at_once() {
        let mut since = None;
        assert!(!LIMIT.is_passed(99, &mut since, 0));
        assert!(LIMIT.is_passed(1000, &mut since, 0));
    }

    #[test]
    fn the_soft_limit_holds_when_it_was_passed_all_the_time() {
        let mut since = None;
        let mut look = |waiting, now| LIMIT.is_passed(waiting, &mut since, now);
        assert!(!look(100, 1000));
        assert!(!look(500, 3000));
        assert!(!look(99, 3500));
        assert!(!look(100, 4000));
        assert!(!look(100, 6000));
        assert!(look(100, 6001));
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let none = OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 };
        assert!(!none.is_passed(u64::MAX, &mut None, 0));
        let none = OutputLimit { soft_bytes: 100, ..none };
        assert!(none.is_passed(100, &mut Some(0), 1));
    }
}
