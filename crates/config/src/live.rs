//! The typed view of what is obeyed today: a plain field for each live
//! setting, so that the data path reads its limits with one load.
//!
//! It is built anew from the values whenever one changes. The values are
//! well-formed by then, since every one went through its row's rule.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::table;
use crate::value;

/// What the live settings say, in types.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Live {
    /// Where the main listener listens.
    pub port: ListenPort,
    /// Addresses of the main listener.
    pub bind: Vec<BindAddress>,
    /// Connections the kernel may queue before they are accepted.
    pub tcp_backlog: u32,
    /// Idle time before the kernel probes the peer, if it shall.
    pub tcp_keepalive: Option<Duration>,
    /// Path of the Unix socket, if there shall be one.
    pub unixsocket: Option<PathBuf>,
    /// Permissions of the Unix socket, unless the umask decides.
    pub unixsocketperm: Option<u32>,
    /// Where the admin listener listens.
    pub admin_port: ListenPort,
    /// Addresses of the admin listener; none means those of the main one.
    pub admin_bind: Vec<BindAddress>,
    /// Whether clients of the admin port need no password.
    pub admin_nopass: bool,
    /// Whether the main port answers HTTP too.
    pub primary_port_http_enabled: bool,
    /// Most connections at one time.
    pub maxclients: usize,
    /// Most bytes that all clients together may take; 0 is no limit.
    pub maxmemory_clients: u64,
    /// Idle time after which a client is closed, if it shall be.
    pub timeout: Option<Duration>,
    /// Most bytes of one unfinished request.
    pub client_query_buffer_limit: u64,
    /// Most bytes of unread replies.
    pub client_output_buffer_limit: OutputLimits,
    /// Most bytes of one argument.
    pub proto_max_bulk_len: u64,
    /// Most keys remembered for CLIENT TRACKING; 0 is no limit.
    pub tracking_table_max_keys: usize,
    /// Classes of events that are published, a letter each.
    pub notify_keyspace_events: String,
    /// Most bytes of a HyperLogLog in the sparse encoding.
    pub hll_sparse_max_bytes: u64,
    /// The most fields of a hash in the small encoding.
    pub hash_max_listpack_entries: usize,
    /// The longest field or value of a hash in the small encoding.
    pub hash_max_listpack_value: u64,
    /// The most members of a sorted set in the small encoding.
    pub zset_max_listpack_entries: usize,
    /// The longest member of a sorted set in the small encoding.
    pub zset_max_listpack_value: u64,
    /// The most integers of a set of integers in the small encoding.
    pub set_max_intset_entries: usize,
    /// The most members of a set in the small encoding.
    pub set_max_listpack_entries: usize,
    /// The longest member of a set in the small encoding.
    pub set_max_listpack_value: usize,
    /// The most elements of a list's chunk, or its size when negative.
    pub list_max_listpack_size: i64,
    /// How many chunks at each end of a list are not compressed; 0: none is.
    pub list_compress_depth: usize,
    /// The most bytes of a stream's node; 0: no limit.
    pub stream_node_max_bytes: u64,
    /// The most entries of a stream's node; 0: no limit.
    pub stream_node_max_entries: u64,
    /// Password of the default user; empty lets everybody in.
    pub requirepass: Password,
    /// File of users and their rights, if there is one.
    pub aclfile: Option<PathBuf>,
    /// Whether a new user may use every channel.
    pub acl_pubsub_default: bool,
    /// Refusals that ACL LOG remembers.
    pub acllog_max_len: usize,
    /// Whether only clients of this machine are answered without a password.
    pub protected_mode: bool,
    /// Who may run DEBUG.
    pub enable_debug_command: Allowed,
    /// Who may change protected settings.
    pub enable_protected_configs: Allowed,
    /// Most bytes the process may use; 0 is no limit.
    pub maxmemory: u64,
    /// What shall be evicted when `maxmemory` is reached.
    pub maxmemory_policy: EvictionPolicy,
    /// How many uses it takes to raise a key's use counter.
    pub lfu_log_factor: u32,
    /// Minutes after which a key's use counter falls; 0 never.
    pub lfu_decay_time: u32,
    /// How hard expired keys are looked for, 1 to 10.
    pub active_expire_effort: u32,
    /// Whether data is taken over from another server, which says what expires.
    pub import_mode: bool,
    /// Whether dumps of newer versions are restored.
    pub any_rdb_version: bool,
    /// Background rounds a second, 1 to 500.
    pub hz: u32,
    /// From how many steps on a command runs on a thread of its own.
    pub long_command_steps: u64,
    /// How long a script may run before others are told that it keeps them waiting, in ms; 0: as
    /// long as it likes.
    pub busy_reply_millis: u64,
    /// What is freed in the background.
    pub lazyfree: LazyFree,
    /// Number of databases.
    pub databases: usize,
    /// Workers; 0 is one a CPU.
    pub proactor_threads: usize,
    /// Shards; 0 chooses by the number of workers.
    pub num_shards: usize,
    /// Least weight of what is logged.
    pub loglevel: LogLevel,
    /// File to log to, unless it is standard output or standard error.
    pub logfile: Option<PathBuf>,
    /// Whether it is standard error, if there is no file.
    pub logtostderr: bool,
    /// Form of a line of the log.
    pub log_format: LogFormat,
    /// Commands slower than this go to the slow log; `None` takes none.
    pub slowlog_log_slower_than: Option<Duration>,
    /// Entries of the slow log.
    pub slowlog_max_len: usize,
    /// Requests of more bytes go to the command log; `None` takes none.
    pub commandlog_request_larger_than: Option<u64>,
    /// Large requests the command log remembers.
    pub commandlog_large_request_max_len: usize,
    /// Replies of more bytes go to the command log; `None` takes none.
    pub commandlog_reply_larger_than: Option<u64>,
    /// Large replies the command log remembers.
    pub commandlog_large_reply_max_len: usize,
    /// Events slower than this are remembered for LATENCY, if any.
    pub latency_monitor_threshold: Option<Duration>,
    /// Whether each command has a latency histogram.
    pub latency_tracking: bool,
    /// Percentiles that INFO shows, each from 0 to 100.
    pub latency_tracking_info_percentiles: Vec<f64>,
    /// Working folder, as it was given.
    pub dir: PathBuf,
    /// Name of the snapshot file.
    pub dbfilename: String,
    /// File for the process id, if there shall be one.
    pub pidfile: Option<PathBuf>,
    /// Zone shown to clients; empty if it is not known.
    pub availability_zone: String,
}

/// Where a listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenPort {
    /// Nowhere.
    Off,
    /// On any free port.
    AnyFree,
    /// On this port.
    At(u16),
}

impl ListenPort {
    /// The number to bind to, 0 for any free port; `None` if it is off.
    #[must_use]
    pub fn to_bind(self) -> Option<u16> {
        match self {
            ListenPort::Off => None,
            ListenPort::AnyFree => Some(0),
            ListenPort::At(port) => Some(port),
        }
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// The address or host name; `*` is all IPv4 and `::*` all IPv6 addresses.
    pub host: String,
    /// Whether the server goes on if the machine has no such address.
    pub optional: bool,
}

/// Most bytes of unread replies, by the class of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// For ordinary clients.
    pub normal: OutputLimit,
    /// For replicas.
    pub replica: OutputLimit,
    /// For subscribers.
    pub pubsub: OutputLimit,
}

/// Most bytes of unread replies of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Above this it is closed at once; 0 is no limit.
    pub hard: u64,
    /// Above this it is closed after `soft_for`; 0 is no limit.
    pub soft: u64,
    /// How long it may stay above `soft`.
    pub soft_for: Duration,
}

/// A password: shown to nobody by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Arc<[u8]>);

impl Password {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "(none)" } else { "(hidden)" })
    }
}

/// Who may do something dangerous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Nobody.
    Nobody,
    /// Everybody.
    Everybody,
    /// Clients of this machine.
    Local,
}

impl Allowed {
    /// Whether a client may; `local` says that it is of this machine.
    #[must_use]
    pub fn admits(self, local: bool) -> bool {
        match self {
            Allowed::Nobody => false,
            Allowed::Everybody => true,
            Allowed::Local => local,
        }
    }
}

/// What is evicted when memory runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the setting")]
pub enum EvictionPolicy {
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
    AllkeysLru,
    AllkeysLfu,
    AllkeysRandom,
    VolatileLrm,
    AllkeysLrm,
    NoEviction,
}

/// What is freed in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LazyFree {
    /// Evicted values.
    pub eviction: bool,
    /// Expired values.
    pub expire: bool,
    /// Values that a command overwrites.
    pub server_del: bool,
    /// Values removed by DEL.
    pub user_del: bool,
    /// Databases emptied by FLUSHALL and FLUSHDB.
    pub user_flush: bool,
}

/// Least weight of what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the setting")]
pub enum LogLevel {
    Debug,
    Verbose,
    Notice,
    Warning,
    Nothing,
}

/// Form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// As Redis writes it.
    Legacy,
    /// For people.
    Human,
    /// A JSON object a line.
    Json,
    /// `key=value` pairs.
    Logfmt,
}

/// All values by the name of their setting. The rows' rules have checked them.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a>(pub(crate) &'a [Cow<'static, [u8]>]);

impl<'a> Values<'a> {
    fn raw(self, name: &str) -> &'a [u8] {
        &self.0[table::place(name).expect("the typed view names rows of the table")]
    }

    fn text(self, name: &str) -> Cow<'a, str> {
        String::from_utf8_lossy(self.raw(name))
    }

    fn on(self, name: &str) -> bool {
        self.raw(name) == b"yes"
    }

    fn signed(self, name: &str) -> i64 {
        value::integer(self.raw(name)).expect("the row takes only whole numbers")
    }

    /// A number that is not negative, for a row whose bounds fit the type.
    fn number<T: TryFrom<i64>>(self, name: &str) -> T {
        let fits = T::try_from(self.signed(name)).ok();
        fits.expect("the bounds of the row fit the type")
    }

    fn bytes(self, name: &str) -> u64 {
        value::bytes(self.raw(name)).expect("the row takes only byte counts")
    }

    /// Bytes, or a percentage of `whole`.
    fn share(self, name: &str, whole: u64) -> u64 {
        let raw = self.raw(name);
        let percent = raw.strip_suffix(b"%").and_then(value::bytes);
        percent.map_or_else(
            || self.bytes(name),
            |percent| whole / 100 * percent + whole % 100 * percent / 100,
        )
    }

    /// `None` below 0.
    fn threshold(self, name: &str) -> Option<u64> {
        u64::try_from(self.signed(name)).ok()
    }

    /// `None` for 0.
    fn span(self, name: &str, unit: fn(u64) -> Duration) -> Option<Duration> {
        self.threshold(name).filter(|&count| count > 0).map(unit)
    }

    fn path(self, name: &str) -> Option<PathBuf> {
        let raw = self.raw(name);
        (!raw.is_empty()).then(|| path(raw))
    }

    fn port(self, name: &str) -> ListenPort {
        match self.signed(name) {
            0 => ListenPort::Off,
            port => u16::try_from(port).map_or(ListenPort::AnyFree, ListenPort::At),
        }
    }

    fn addresses(self, name: &str) -> Vec<BindAddress> {
        let address = |word: &str| match word.strip_prefix('-') {
            Some(host) => BindAddress { host: host.to_owned(), optional: true },
            None => BindAddress { host: word.to_owned(), optional: false },
        };
        self.text(name).split_ascii_whitespace().map(address).collect()
    }

    fn allowed(self, name: &str) -> Allowed {
        match self.raw(name) {
            b"yes" => Allowed::Everybody,
            b"local" => Allowed::Local,
            _ => Allowed::Nobody,
        }
    }

    fn output_limits(self, name: &str) -> OutputLimits {
        let text = self.text(name);
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| -> u64 {
            words.get(at).and_then(|word| word.parse().ok()).expect("three groups of four words")
        };
        let limit = |at: usize| OutputLimit {
            hard: number(at + 1),
            soft: number(at + 2),
            soft_for: Duration::from_secs(number(at + 3)),
        };
        OutputLimits { normal: limit(0), replica: limit(4), pubsub: limit(8) }
    }

    fn policy(self, name: &str) -> EvictionPolicy {
        match self.raw(name) {
            b"volatile-lru" => EvictionPolicy::VolatileLru,
            b"volatile-lfu" => EvictionPolicy::VolatileLfu,
            b"volatile-random" => EvictionPolicy::VolatileRandom,
            b"volatile-ttl" => EvictionPolicy::VolatileTtl,
            b"allkeys-lru" => EvictionPolicy::AllkeysLru,
            b"allkeys-lfu" => EvictionPolicy::AllkeysLfu,
            b"allkeys-random" => EvictionPolicy::AllkeysRandom,
            b"volatile-lrm" => EvictionPolicy::VolatileLrm,
            b"allkeys-lrm" => EvictionPolicy::AllkeysLrm,
            _ => EvictionPolicy::NoEviction,
        }
    }

    fn level(self, name: &str) -> LogLevel {
        match self.raw(name) {
            b"debug" => LogLevel::Debug,
            b"verbose" => LogLevel::Verbose,
            b"warning" => LogLevel::Warning,
            b"nothing" => LogLevel::Nothing,
            _ => LogLevel::Notice,
        }
    }

    fn log_format(self, name: &str) -> LogFormat {
        match self.raw(name) {
            b"json" => LogFormat::Json,
            b"logfmt" => LogFormat::Logfmt,
            b"human" => LogFormat::Human,
            _ => LogFormat::Legacy,
        }
    }

    fn percentiles(self, name: &str) -> Vec<f64> {
        let text = self.text(name);
        text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
    }
}

#[cfg(unix)]
fn path(raw: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(raw))
}

#[cfg(not(unix))]
fn path(raw: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(raw).into_owned())
}

impl Live {
    /// The typed view of these values.
    pub(crate) fn of(values: Values<'_>) -> Live {
        let (secs, millis, micros) =
            (Duration::from_secs, Duration::from_millis, Duration::from_micros);
        Live {
            port: values.port("port"),
            bind: values.addresses("bind"),
            tcp_backlog: values.number("tcp-backlog"),
            tcp_keepalive: values.span("tcp-keepalive", secs),
            unixsocket: values.path("unixsocket"),
            unixsocketperm: u32::from_str_radix(&values.text("unixsocketperm"), 8)
                .ok()
                .filter(|&mode| mode > 0),
            admin_port: values.port("admin_port"),
            admin_bind: values.addresses("admin_bind"),
            admin_nopass: values.on("admin_nopass"),
            primary_port_http_enabled: values.on("primary_port_http_enabled"),
            maxclients: values.number("maxclients"),
            maxmemory_clients: values.share("maxmemory-clients", values.bytes("maxmemory")),
            timeout: values.span("timeout", secs),
            client_query_buffer_limit: values.bytes("client-query-buffer-limit"),
            client_output_buffer_limit: values.output_limits("client-output-buffer-limit"),
            proto_max_bulk_len: values.bytes("proto-max-bulk-len"),
            hll_sparse_max_bytes: values.bytes("hll-sparse-max-bytes"),
            hash_max_listpack_entries: values.number("hash-max-listpack-entries"),
            hash_max_listpack_value: values.bytes("hash-max-listpack-value"),
            zset_max_listpack_entries: values.number("zset-max-listpack-entries"),
            zset_max_listpack_value: values.bytes("zset-max-listpack-value"),
            set_max_intset_entries: values.number("set-max-intset-entries"),
            set_max_listpack_entries: values.number("set-max-listpack-entries"),
            set_max_listpack_value: values.number("set-max-listpack-value"),
            list_max_listpack_size: values.number("list-max-listpack-size"),
            list_compress_depth: values.number("list-compress-depth"),
            stream_node_max_bytes: values.bytes("stream-node-max-bytes"),
            stream_node_max_entries: values.number("stream-node-max-entries"),
            requirepass: Password(values.raw("requirepass").into()),
            aclfile: values.path("aclfile"),
            acl_pubsub_default: values.raw("acl-pubsub-default") == b"allchannels",
            acllog_max_len: values.number("acllog-max-len"),
            protected_mode: values.on("protected-mode"),
            enable_debug_command: values.allowed("enable-debug-command"),
            enable_protected_configs: values.allowed("enable-protected-configs"),
            maxmemory: values.bytes("maxmemory"),
            maxmemory_policy: values.policy("maxmemory-policy"),
            lfu_log_factor: values.number("lfu-log-factor"),
            lfu_decay_time: values.number("lfu-decay-time"),
            active_expire_effort: values.number("active-expire-effort"),
            import_mode: values.on("import-mode"),
            any_rdb_version: values.text("rdb-version-check") == "relaxed",
            hz: values.number("hz"),
            long_command_steps: values.number("long-command-steps"),
            busy_reply_millis: values.number("busy-reply-threshold"),
            lazyfree: LazyFree {
                eviction: values.on("lazyfree-lazy-eviction"),
                expire: values.on("lazyfree-lazy-expire"),
                server_del: values.on("lazyfree-lazy-server-del"),
                user_del: values.on("lazyfree-lazy-user-del"),
                user_flush: values.on("lazyfree-lazy-user-flush"),
            },
            databases: values.number("databases"),
            proactor_threads: values.number("proactor_threads"),
            num_shards: values.number("num_shards"),
            loglevel: values.level("loglevel"),
            logfile: values.path("logfile"),
            logtostderr: values.on("logtostderr"),
            log_format: values.log_format("log_format"),
            slowlog_log_slower_than: values.threshold("slowlog-log-slower-than").map(micros),
            slowlog_max_len: values.number("slowlog-max-len"),
            tracking_table_max_keys: values.number("tracking-table-max-keys"),
            notify_keyspace_events: values.text("notify-keyspace-events").into_owned(),
            commandlog_request_larger_than: values.threshold("commandlog-request-larger-than"),
            commandlog_large_request_max_len: values.number("commandlog-large-request-max-len"),
            commandlog_reply_larger_than: values.threshold("commandlog-reply-larger-than"),
            commandlog_large_reply_max_len: values.number("commandlog-large-reply-max-len"),
            latency_monitor_threshold: values.span("latency-monitor-threshold", millis),
            latency_tracking: values.on("latency-tracking"),
            latency_tracking_info_percentiles: values
                .percentiles("latency-tracking-info-percentiles"),
            dir: path(values.raw("dir")),
            dbfilename: values.text("dbfilename").into_owned(),
            pidfile: values.path("pidfile"),
            availability_zone: values.text("availability-zone").into_owned(),
        }
    }
}
