//! Rows about memory, expiry, eviction and threads.

use crate::rules::HERTZ;
use crate::setting::{
    ANY_BYTES, COUNT, Kind, LONG, MICROS, MILLIS, PERCENT, RATIO, SECONDS, Setting, bytes, inert,
    int, later, live,
};

const POLICY: Kind = Kind::Choice(&[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
    "volatile-lrm",
    "allkeys-lrm",
]);

const FACTOR: Kind = Kind::Float { min: 0.0, max: 1_000.0 };

#[rustfmt::skip]
pub(super) const MEMORY: &[Setting] = &[
    live("maxmemory", ANY_BYTES, "0", "most bytes the process may use before commands that need more are refused; 0 is no limit"),
    live("maxmemory-policy", POLICY, "noeviction", "what is evicted when `maxmemory` is reached; nothing is yet, so commands that need more are refused").only(&["noeviction"]),
    later("maxmemory-samples", int(1, 64), "5", "keys looked at to choose one to evict"),
    later("maxmemory-eviction-tenacity", PERCENT, "10", "how long one round of eviction may take"),
    later("cache_mode", Kind::Bool, "no", "evict what is used least when memory runs short").fixed(),
    live("lfu-log-factor", COUNT, "10", "how many uses it takes to raise a key's use counter"),
    live("lfu-decay-time", COUNT, "1", "minutes after which a key's use counter falls; 0 never"),
    live("active-expire-effort", int(1, 10), "1", "how hard expired keys are looked for"),
    live("hz", Kind::Custom(&HERTZ), "10", "background rounds a second"),
    later("dynamic-hz", Kind::Bool, "yes", "more background rounds with more clients"),
    later("lazyfree-lazy-eviction", Kind::Bool, "yes", "free evicted values in the background").off(&["no"]),
    live("lazyfree-lazy-expire", Kind::Bool, "yes", "free expired values in the background"),
    live("lazyfree-lazy-server-del", Kind::Bool, "yes", "free values that a command overwrites in the background"),
    live("lazyfree-lazy-user-del", Kind::Bool, "yes", "DEL frees in the background as UNLINK does"),
    live("lazyfree-lazy-user-flush", Kind::Bool, "yes", "FLUSHALL and FLUSHDB free in the background unless told otherwise"),
    inert("unlink_experimental_async", Kind::Bool, "yes", "free unlinked values in the background").fixed(),
    inert("activerehashing", Kind::Bool, "yes", "move hash tables on when idle; tables here grow a segment at a time"),
    inert("jemalloc-bg-thread", Kind::Bool, "yes", "give memory back in a thread of the allocator"),
    later("activedefrag", Kind::Bool, "no", "move values together to give memory back"),
    later("active-defrag-cycle-min", int(1, 99), "1", "least CPU percentage for defragmentation"),
    later("active-defrag-cycle-max", int(1, 99), "25", "most CPU percentage for defragmentation"),
    later("active-defrag-cycle-us", int(0, 100_000), "500", "microseconds of one step of defragmentation"),
    later("active-defrag-ignore-bytes", bytes(1, i64::MAX as u64), "104857600", "least waste before defragmentation starts"),
    later("active-defrag-max-scan-fields", int(1, i64::MAX), "1000", "members of a collection moved in one step"),
    later("active-defrag-threshold-lower", int(0, 1000), "10", "percentage of waste at which defragmentation starts"),
    later("active-defrag-threshold-upper", int(0, 1000), "100", "percentage of waste at which it works hardest"),
    later("mem_defrag_threshold", RATIO, "0.7", "share of memory in use before defragmentation starts").fixed(),
    later("mem_defrag_check_sec_interval", SECONDS, "60", "time between two checks for waste").fixed(),
    later("mem_defrag_waste_threshold", RATIO, "0.2", "share of waste before defragmentation starts").fixed(),
    later("mem_defrag_page_utilization_threshold", RATIO, "0.8", "pages filled less than this are emptied").fixed(),
    later("enable_heartbeat_eviction", Kind::Bool, "yes", "evict in the background on used memory"),
    later("enable_heartbeat_rss_eviction", Kind::Bool, "yes", "evict in the background on resident memory"),
    later("eviction_memory_budget_threshold", RATIO, "0.1", "free share under which the background evicts").fixed(),
    later("max_eviction_per_heartbeat", LONG, "100", "keys evicted in one background round"),
    later("max_segment_to_consider", LONG, "4", "table segments looked at in one background round"),
    later("table_growth_margin", FACTOR, "0.15", "share of memory kept free when a table grows"),
    later("rss_oom_deny_ratio", FACTOR, "1.25", "resident memory over `maxmemory` at which writing is refused"),
    inert("background_heartbeat", Kind::Bool, "no", "run background rounds at low priority").fixed(),
    inert("keep_legacy_memory_metrics", Kind::Bool, "no", "keep old names of memory metrics").fixed(),
    inert("allocation_tracker", Kind::Text, "", "log the stack of allocations of these sizes").fixed(),
];

#[rustfmt::skip]
pub(super) const THREADS: &[Setting] = &[
    live("proactor_threads", int(0, 1024), "0", "workers, the threads that serve connections; 0 is one a CPU").fixed(),
    live("num_shards", int(0, 65_536), "0", "shards of the keyspace, rounded up to a power of two; 0 chooses by the number of workers").fixed(),
    live("long-command-steps", int(0, i64::MAX), "10000", "commands that take about so many steps of 100 ns leave the worker to others and run on a thread of their own; 0 is all commands"),
    inert("io-threads", int(1, 256), "1", "threads that read and write for one that runs commands; see `proactor_threads`"),
    inert("lookahead", int(1, i32::MAX as i64), "16", "requests that are parsed ahead"),
    inert("prefetch-batch-max-size", int(0, 128), "16", "requests whose keys are prefetched together"),
    later("proactor_affinity_mode", Kind::Choice(&["on", "off", "auto"]), "on", "pin workers to CPUs").fixed(),
    later("conn_io_threads", LONG, "0", "workers that take connections; 0 is all").fixed(),
    later("conn_io_thread_start", LONG, "0", "first worker that takes connections").fixed(),
    later("conn_use_incoming_cpu", Kind::Bool, "no", "serve a connection on the CPU its packets arrive at").fixed(),
    inert("force_epoll", Kind::Bool, "no", "use epoll rather than io_uring; always so here").fixed(),
    inert("shard_thread_busy_polling_usec", MICROS, "0", "poll this long before sleeping").fixed(),
    inert("scheduler_background_budget", LONG, "50000", "nanoseconds of low-priority work in a row").fixed(),
    inert("scheduler_background_sleep_prob", PERCENT, "50", "how often low-priority work gives way").fixed(),
    inert("scheduler_background_warrant", PERCENT, "5", "CPU share that low-priority work is sure of").fixed(),
    inert("fiber_safety_margin", LONG, "1024", "bytes of stack kept free").fixed(),
    inert("fiber_run_warning_threshold_ms", MILLIS, "0", "log fibers that run longer than this").fixed(),
    inert("uring_direct_table_len", LONG, "0", "size of io_uring's table of files").fixed(),
    inert("uring_disable_iowait", Kind::Bool, "no", "do not count waiting in io_uring as waiting for a disk").fixed(),
    inert("epoll_file_threads", LONG, "0", "threads for files when epoll is used").fixed(),
    inert("tx_queue_warning_len", LONG, "96", "log queues of transactions longer than this").fixed(),
    inert("container_iteration_yield_interval_usec", MICROS, "500", "how long a big value is walked before others have their turn").fixed(),
];
