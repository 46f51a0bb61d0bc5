//! Rows about listeners, connections and who may use them.

use crate::rules::ADDRESSES;
use crate::setting::{
    ANY_BYTES, BYTES, COUNT, Kind, LISTEN_PORT, LONG, MICROS, MILLIS, PORT, SECONDS, Setting,
    bytes, inert, int, later, live,
};

const PROTECTED_ACTION: Kind = Kind::Choice(&["no", "yes", "local"]);

#[rustfmt::skip]
pub(super) const NETWORK: &[Setting] = &[
    live("port", LISTEN_PORT, "6379", "TCP port of the main listener; 0 turns it off, -1 takes any free port"),
    live("bind", Kind::Custom(&ADDRESSES), "* -::*", "addresses of the main listener; one with a `-` before it may be missing"),
    live("tcp-backlog", COUNT, "511", "connections the kernel may queue before they are accepted").immutable(),
    live("tcp-keepalive", SECONDS, "300", "idle time before the kernel probes whether the peer is alive; 0 turns it off"),
    live("unixsocket", Kind::Text, "", "path of a Unix socket to listen on as well").immutable(),
    live("unixsocketperm", Kind::Octal { max: 0o777 }, "0", "permissions of the Unix socket; 0 leaves them to the umask").immutable(),
    later("unixsocketgroup", Kind::Text, "", "group that owns the Unix socket").fixed(),
    live("admin_port", LISTEN_PORT, "0", "port of the admin listener, which answers when all workers are busy; 0 turns it off").fixed(),
    live("admin_bind", Kind::Custom(&ADDRESSES), "", "addresses of the admin listener; none means those of the main one").fixed(),
    live("admin_nopass", Kind::Bool, "no", "let clients of the admin listener in without a password").fixed(),
    live("primary_port_http_enabled", Kind::Bool, "yes", "answer HTTP, metrics and the web console on the main port too").fixed(),
    later("expose_http_api", Kind::Bool, "no", "run commands that come as JSON over HTTP").fixed(),
    later("memcached_port", PORT, "0", "port of the Memcached listener; 0 turns it off").fixed(),
    later("tcp_user_timeout", MILLIS, "0", "how long sent data may stay unacknowledged before the connection is cut; 0 leaves it to the kernel").fixed(),
    inert("tcp_nodelay", Kind::Bool, "yes", "send small replies at once; always so here").fixed(),
    inert("enable_tcp_defer_accept", Kind::Bool, "yes", "wake up only when a new connection has sent something").fixed(),
    later("mptcp", Kind::Bool, "no", "listen with Multipath TCP").fixed(),
    later("bind-source-addr", Kind::Text, "", "local address of outgoing connections"),
    later("socket-mark-id", int(0, 4_294_967_295), "0", "mark on every socket, for routing and filtering").immutable(),
    later("announce_port", PORT, "0", "port told to cluster clients and to a primary; 0 tells the real one"),
    later("rdma-bind", Kind::Custom(&ADDRESSES), "", "addresses of the RDMA listener"),
    later("rdma-port", PORT, "0", "port of the RDMA listener; 0 turns it off"),
    later("rdma-rx-size", int(65_536, 16_777_216), "1048576", "receive buffer of an RDMA connection, in bytes").fixed(),
    later("rdma-completion-vector", int(-1, 1024), "-1", "completion vector of RDMA events; -1 chooses one").fixed(),
];

#[rustfmt::skip]
pub(super) const CLIENTS: &[Setting] = &[
    live("maxclients", int(1, 4_294_967_295), "10000", "most connections at one time"),
    live("timeout", SECONDS, "0", "idle time after which a client is closed; 0 never does"),
    live("client-query-buffer-limit", bytes(1 << 20, i64::MAX as u64), "1073741824", "most bytes of one unfinished request"),
    live("client-output-buffer-limit", Kind::Custom(&crate::rules::OUTPUT_LIMITS),
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        "most bytes of unread replies a class of client may have: at once, and for some seconds; 0 is no limit"),
    live("proto-max-bulk-len", bytes(1 << 20, i64::MAX as u64), "536870912", "most bytes of one argument").alias(&["max_bulk_len"]),
    later("max_multi_bulk_len", int(1, i32::MAX as i64), "1048576", "most arguments of one request").fixed(),
    inert("max_client_iobuf_len", BYTES, "32768", "most bytes of a connection's read buffer").fixed(),
    live("maxmemory-clients", Kind::BytesOrPercent, "0", "bytes all clients together may use, or a share of `maxmemory`, before the biggest are closed; less than 128kb counts as 128kb; 0 is no limit"),
    later("send_timeout", SECONDS, "0", "how long a client may not read its replies before it is closed; 0 never closes it"),
    live("tracking-table-max-keys", LONG, "1000000", "keys remembered for client-side caching; 0 is no limit"),
    later("pause_wait_timeout", SECONDS, "1", "how long CLIENT PAUSE waits for connections to stop").fixed(),
    later("publish_buffer_limit", ANY_BYTES, "205520896", "bytes of unread messages a worker keeps before publishers wait").fixed(),
    later("pubsub_slow_subscriber_timeout_ms", MILLIS, "0", "how long a subscriber may not read before it is cut; 0 never cuts it").fixed(),
    inert("max-new-connections-per-cycle", int(1, 1000), "10", "connections accepted in one go"),
    inert("max-new-tls-connections-per-cycle", int(1, 1000), "1", "TLS connections accepted in one go"),
    inert("request_cache_limit", ANY_BYTES, "67108864", "bytes of parsed requests a thread keeps for reuse").fixed(),
    inert("pipeline_buffer_limit", ANY_BYTES, "134217728", "bytes of queued pipelines a thread takes before it stops reading"),
    inert("pipeline_queue_limit", LONG, "10000", "requests of one connection that may queue before reading stops"),
    inert("pipeline_squash", LONG, "1", "queue length above which requests of a pipeline run together"),
    inert("pipeline_squash_limit", LONG, "1073741824", "most requests of a pipeline that run together"),
    inert("pipeline_wait_batch_usec", MICROS, "0", "wait for more input when one request is queued"),
    inert("always_flush_pipeline", Kind::Bool, "no", "write replies after every batch"),
    inert("async_dispatch_quota", LONG, "100", "control messages in a row before a pipeline has its turn").fixed(),
    inert("squashed_reply_size_limit", ANY_BYTES, "0", "bytes of replies after which a batch ends").fixed(),
    inert("max_squashed_cmd_num", LONG, "100", "commands of one batch a shard runs at once"),
    inert("max_busy_read_usec", MICROS, "200", "how long a connection may parse before others have their turn"),
    inert("max_busy_squash_usec", MICROS, "1000", "how long a batch may run on a shard before others have their turn").fixed(),
    inert("log_squash_info_threshold_usec", MICROS, "2147483648", "batches slower than this are logged").fixed(),
    inert("iobuf_min_shrink_interval_sec", SECONDS, "30", "least time between two cuts of a read buffer").fixed(),
    inert("enable_memcache_io_loop_v2", Kind::Bool, "yes", "which of two event loops serves Memcached").fixed(),
    inert("enable_resp_io_loop_v2", Kind::Bool, "no", "which of two event loops serves RESP").fixed(),
    inert("enable_pipeline_squashing_v2", Kind::Bool, "yes", "which of two ways runs a pipeline").fixed(),
    inert("pipeline_prioritize_large_batches", Kind::Bool, "yes", "read on while a batch may still grow").fixed(),
    inert("pipeline_parse_in_proactor", Kind::Bool, "yes", "parse as data arrives").fixed(),
    inert("write_connection_throttling_sleep_usec", MICROS, "0", "slow down connections that write").fixed(),
    inert("uring_recv_buffer_cnt", LONG, "0", "receive buffers a thread gives to io_uring").fixed(),
    later("disk_backpressure_folder", Kind::Text, "/tmp/", "folder for requests that wait on disk").fixed(),
    later("disk_backpressure_file_max_bytes", ANY_BYTES, "52428800", "most bytes of requests that wait on disk").fixed(),
    inert("migrate_connections", Kind::Bool, "yes", "move a connection to the thread of its data; here every thread enters every shard").fixed(),
];

#[rustfmt::skip]
pub(super) const SECURITY: &[Setting] = &[
    live("requirepass", Kind::Secret, "", "password of the default user; none lets everybody in"),
    live("protected-mode", Kind::Bool, "yes", "without a password, answer only clients of this machine"),
    live("enable-debug-command", PROTECTED_ACTION, "no", "who may run DEBUG: nobody, everybody, or clients of this machine").immutable(),
    live("enable-protected-configs", PROTECTED_ACTION, "no", "who may change `dir` and `dbfilename`: nobody, everybody, or clients of this machine").immutable(),
    later("enable-module-command", PROTECTED_ACTION, "no", "who may run MODULE: nobody, everybody, or clients of this machine").immutable(),
    live("aclfile", Kind::Text, "", "file of users and their rights").immutable(),
    live("acl-pubsub-default", Kind::Choice(&["allchannels", "resetchannels"]), "resetchannels", "channels a new user may use"),
    live("acllog-max-len", LONG, "128", "refusals that ACL LOG remembers"),
    later("restricted_commands", Kind::Text, "", "commands that run on the admin port only").guard().fixed(),
    later("command_alias", Kind::Text, "", "other names of commands, as `alias=command` with commas between").fixed(),
];
