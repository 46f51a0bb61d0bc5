//! The settings that are read on the way of a request, as plain numbers and flags.
//!
//! Made from the registry of settings at start-up and after each CONFIG SET, then published as a
//! whole; a worker takes the newest at the beginning of a batch. The registry's own values are in
//! the server's [`Configuration`].

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use config::{Config, EvictionPolicy, Live, SetError};
use keyspace::stream::NodeLimits;
use keyspace::{Access, HashLimits, Layout, ListFill, Millis, SetLimits, ZSetLimits};

use crate::events::Classes;

/// Below this threshold of the slow log, commands are not measured together.
const MEASURE_EACH_MICROS: i64 = 1000;

/// A smaller limit of the memory of all clients would let nobody in who could change it.
const CLIENTS_BYTES_MIN: u64 = 128 << 10;

/// See the module's page. Sizes are bytes, spans of time as named.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a setting is its name; docs/configuration.md explains each")]
pub struct Settings {
    pub requirepass: Vec<u8>,
    pub protected_mode: bool,
    pub maxmemory: u64,
    pub maxclients: usize,
    /// Of all clients together; 0: any number.
    pub clients_bytes_max: u64,
    pub admin_nopass: bool,
    /// Whether a new user may use every channel.
    pub all_channels: bool,
    pub acl_log_entries_max: usize,
    pub timeout_seconds: u64,
    pub keepalive_seconds: u64,
    pub bulk_bytes_max: u64,
    pub query_bytes_max: usize,
    pub output: OutputLimit,
    /// Of subscribers.
    pub pubsub_output: OutputLimit,
    /// Which events are published.
    pub events: Classes,
    pub access: Access,
    /// Where values change their layout.
    pub layout: Layout,
    pub slowlog_micros: i64,
    pub slowlog_entries_max: usize,
    /// -1: none.
    pub request_log_bytes: i64,
    pub request_log_entries_max: usize,
    /// -1: none.
    pub reply_log_bytes: i64,
    pub reply_log_entries_max: usize,
    pub latency_tracking: bool,
    pub latency_threshold_millis: u64,
    pub lazy_user_del: bool,
    pub lazy_server_del: bool,
    pub lazy_expire: bool,
    pub lazy_user_flush: bool,
    pub long_command_steps: u64,
    pub busy_reply_millis: u64,
    pub expire_effort: u64,
    pub active_expire: bool,
    /// Data is taken over from another server, which says what expires.
    pub import_mode: bool,
    pub any_dump_version: bool,
    pub hz: u64,
    pub http_on_main_port: bool,
    pub debug_command: Allowed,
    /// 0: any number.
    pub tracked_keys_max: usize,
}

impl Settings {
    /// The settings that a configuration means.
    #[must_use]
    pub fn of(live: &Live) -> Settings {
        let seconds = |span: Option<std::time::Duration>| span.map_or(0, |span| span.as_secs());
        let limit =
            |bytes: Option<u64>| bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let slowlog = live.slowlog_log_slower_than.map(|span| span.as_micros());
        let latency = live.latency_monitor_threshold.map(|span| span.as_millis());
        Settings {
            requirepass: live.requirepass.as_bytes().to_vec(),
            protected_mode: live.protected_mode,
            maxmemory: live.maxmemory,
            maxclients: live.maxclients,
            clients_bytes_max: match live.maxmemory_clients {
                0 => 0,
                bytes => bytes.max(CLIENTS_BYTES_MIN),
            },
            admin_nopass: live.admin_nopass,
            all_channels: live.acl_pubsub_default,
            acl_log_entries_max: live.acllog_max_len,
            timeout_seconds: seconds(live.timeout),
            keepalive_seconds: seconds(live.tcp_keepalive),
            bulk_bytes_max: live.proto_max_bulk_len,
            query_bytes_max: usize::try_from(live.client_query_buffer_limit).unwrap_or(usize::MAX),
            output: OutputLimit::of(live.client_output_buffer_limit.normal),
            pubsub_output: OutputLimit::of(live.client_output_buffer_limit.pubsub),
            events: Classes::of(live.notify_keyspace_events.as_bytes()),
            access: access(live),
            layout: Layout {
                hll_sparse_bytes_max: usize::try_from(live.hll_sparse_max_bytes)
                    .unwrap_or(usize::MAX),
                set: SetLimits {
                    ints_max: live.set_max_intset_entries,
                    entries_max: live.set_max_listpack_entries,
                    text_max: live.set_max_listpack_value,
                },
                hash: HashLimits {
                    entries_max: live.hash_max_listpack_entries,
                    text_max: usize::try_from(live.hash_max_listpack_value).unwrap_or(usize::MAX),
                },
                zset: ZSetLimits {
                    entries_max: live.zset_max_listpack_entries,
                    text_max: usize::try_from(live.zset_max_listpack_value).unwrap_or(usize::MAX),
                },
                list_fill: ListFill::from_setting(live.list_max_listpack_size)
                    .with_plain_ends(live.list_compress_depth),
                stream_node: NodeLimits {
                    entries_max: live.stream_node_max_entries,
                    bytes_max: usize::try_from(live.stream_node_max_bytes).unwrap_or(usize::MAX),
                },
            },
            slowlog_micros: slowlog.map_or(-1, |micros| i64::try_from(micros).unwrap_or(i64::MAX)),
            slowlog_entries_max: live.slowlog_max_len,
            request_log_bytes: limit(live.commandlog_request_larger_than),
            request_log_entries_max: live.commandlog_large_request_max_len,
            reply_log_bytes: limit(live.commandlog_reply_larger_than),
            reply_log_entries_max: live.commandlog_large_reply_max_len,
            latency_tracking: live.latency_tracking,
            latency_threshold_millis: latency
                .map_or(0, |millis| u64::try_from(millis).unwrap_or(u64::MAX)),
            lazy_user_del: live.lazyfree.user_del,
            lazy_server_del: live.lazyfree.server_del,
            lazy_expire: live.lazyfree.expire,
            lazy_user_flush: live.lazyfree.user_flush,
            long_command_steps: live.long_command_steps,
            busy_reply_millis: live.busy_reply_millis,
            expire_effort: u64::from(live.active_expire_effort),
            active_expire: true,
            import_mode: live.import_mode,
            any_dump_version: live.any_rdb_version,
            hz: u64::from(live.hz),
            http_on_main_port: live.primary_port_http_enabled,
            debug_command: match live.enable_debug_command {
                config::Allowed::Nobody => Allowed::No,
                config::Allowed::Everybody => Allowed::Yes,
                config::Allowed::Local => Allowed::Local,
            },
            tracked_keys_max: live.tracking_table_max_keys,
        }
    }

    /// How much output may wait for a client, by its class.
    #[must_use]
    #[inline]
    pub fn output_limit(&self, is_subscriber: bool) -> &OutputLimit {
        if is_subscriber { &self.pubsub_output } else { &self.output }
    }

    /// With so many bytes of output a client's connection ends at once; as many as there can be:
    /// with none.
    #[must_use]
    #[inline]
    pub fn reply_bytes_max(&self, is_subscriber: bool) -> usize {
        match self.output_limit(is_subscriber).hard_bytes {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }

    /// Whether the threshold of the slow log is so low that each command must be measured by
    /// itself.
    #[must_use]
    #[inline]
    pub fn measures_each(&self) -> bool {
        (0..MEASURE_EACH_MICROS).contains(&self.slowlog_micros)
    }
}

/// Whether an amount passes a threshold, of which -1 means that there is none.
#[must_use]
#[inline]
pub fn passes(amount: u64, threshold: i64) -> bool {
    u64::try_from(threshold).is_ok_and(|threshold| amount >= threshold)
}

/// How use is recorded under the policy of eviction.
fn access(live: &Live) -> Access {
    match live.maxmemory_policy {
        EvictionPolicy::VolatileLfu | EvictionPolicy::AllkeysLfu => {
            Access::Lfu { log_factor: live.lfu_log_factor, decay_minutes: live.lfu_decay_time }
        }
        _ => Access::Lru,
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
    /// No limit.
    const NONE: OutputLimit = OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 };

    fn of(limit: config::OutputLimit) -> OutputLimit {
        OutputLimit {
            hard_bytes: limit.hard,
            soft_bytes: limit.soft,
            soft_seconds: limit.soft_for.as_secs(),
        }
    }

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
            clients_bytes_max: 0,
            admin_nopass: false,
            all_channels: false,
            acl_log_entries_max: 128,
            timeout_seconds: 0,
            keepalive_seconds: 300,
            bulk_bytes_max: 512 << 20,
            query_bytes_max: 1 << 30,
            output: OutputLimit::NONE,
            pubsub_output: OutputLimit::NONE,
            events: Classes::default(),
            access: Access::Lru,
            layout: Layout::default(),
            slowlog_micros: 10_000,
            slowlog_entries_max: 128,
            request_log_bytes: 1 << 20,
            request_log_entries_max: 128,
            reply_log_bytes: 1 << 20,
            reply_log_entries_max: 128,
            latency_tracking: true,
            latency_threshold_millis: 0,
            lazy_user_del: true,
            lazy_server_del: true,
            lazy_expire: true,
            lazy_user_flush: true,
            long_command_steps: 10_000,
            busy_reply_millis: 5_000,
            expire_effort: 1,
            active_expire: true,
            import_mode: false,
            any_dump_version: false,
            hz: 10,
            http_on_main_port: true,
            debug_command: Allowed::No,
            tracked_keys_max: 1_000_000,
        }
    }
}

/// The values of all settings, where they are written down, and how a change reaches what lies
/// outside the server: listeners, the log, the limits of the process.
#[derive(Default)]
pub struct Configuration {
    current: Mutex<Arc<Config>>,
    /// Held while settings are changed: one change after the other.
    changing: Mutex<()>,
    file: Option<PathBuf>,
    outside: OnceLock<Box<dyn Outside>>,
}

/// What lies outside the server and follows its settings.
pub trait Outside: Send + Sync {
    /// Puts a change into effect, wholly or not at all. Gives the new settings back, with what
    /// has been found out about them.
    ///
    /// # Errors
    /// The setting that cannot be put into effect, and why.
    fn follow(&self, old: &Config, new: Config) -> Result<Config, SetError>;
}

/// Why CONFIG REWRITE failed.
#[derive(Debug)]
pub enum RewriteError {
    /// No file was named at start.
    NoFile,
    /// What the system says.
    System(io::Error),
}

impl Configuration {
    /// Settings, and the file they were read from, which a rewrite writes.
    #[must_use]
    pub fn new(config: Config, file: Option<PathBuf>) -> Configuration {
        Configuration { current: Mutex::new(Arc::new(config)), file, ..Configuration::default() }
    }

    /// Says what lies outside. The first word counts.
    pub fn reach(&self, outside: Box<dyn Outside>) {
        drop(self.outside.set(outside));
    }

    /// The settings as they are now.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The file that was named at start.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// CONFIG SET: all changes or none. `publish` is given the new settings before any other
    /// change can come.
    ///
    /// # Errors
    /// The first setting that is refused.
    pub fn change(
        &self,
        pairs: &[(&[u8], &[u8])],
        local: bool,
        publish: impl FnOnce(&Config),
    ) -> Result<(), SetError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current();
        let mut new = old.set(pairs, local)?;
        if let Some(outside) = self.outside.get() {
            new = outside.follow(&old, new)?;
        }
        publish(&new);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    /// CONFIG REWRITE: brings the file up to date, with a line for each of these users.
    /// A reader finds the old text or the new one.
    ///
    /// # Errors
    /// If there is no file, or it cannot be read or written.
    pub fn rewrite(&self, users: &[Vec<Vec<u8>>]) -> Result<(), RewriteError> {
        self.write(Config::rewrite, users)
    }

    /// The same with a line for every setting.
    ///
    /// # Errors
    /// As [`Configuration::rewrite`].
    pub fn rewrite_all(&self, users: &[Vec<Vec<u8>>]) -> Result<(), RewriteError> {
        self.write(Config::rewrite_all, users)
    }

    fn write(
        &self,
        rewritten: fn(&Config, &str) -> String,
        users: &[Vec<Vec<u8>>],
    ) -> Result<(), RewriteError> {
        let path = self.file().ok_or(RewriteError::NoFile)?;
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        };
        let text = rewritten(&self.current(), &old.map_err(RewriteError::System)?);
        let text = config::rewrite_users(&text, users);
        replace(path, text.as_bytes()).map_err(RewriteError::System)
    }
}

/// Puts a file in the place of another, so that a crash leaves one of the two.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let new = path.with_file_name(name);
    let written = write_whole(&new, path, text).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        drop(fs::remove_file(&new));
        return written;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Writes a file that only its owner can read until it has the permissions of the old one, for
/// it may hold a password.
fn write_whole(new: &Path, old: &Path, text: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new);
    let mut file = options?;
    file.write_all(text)?;
    if let Ok(metadata) = fs::metadata(old) {
        file.set_permissions(metadata.permissions())?;
    }
    file.sync_all()
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
