//! Rows about logs, latency, TLS, the process and its host.

use crate::rules::{LOG_FORMAT, PERCENTILES, SCORE_MODE, SCORES, SHUTDOWN};
use crate::setting::{
    COUNT, Kind, LONG, MILLIS, PORT, SECONDS, Setting, Unit, inert, int, later, live,
};

const LEVEL: Kind = Kind::Choice(&["debug", "verbose", "notice", "warning", "nothing"]);
const SLOWER_THAN: Kind = Kind::Int { min: -1, max: i64::MAX, unit: Unit::Micros };
const LARGER_THAN: Kind = Kind::Int { min: -1, max: i64::MAX, unit: Unit::Bytes };

#[rustfmt::skip]
pub(super) const OBSERVABILITY: &[Setting] = &[
    live("loglevel", LEVEL, "notice", "least weight of what is logged"),
    live("logfile", Kind::Text, "", "file to log to; none logs to standard error").fixed(),
    live("log_format", Kind::Custom(&LOG_FORMAT), "human", "form of a line of the log").alias(&["log-format"]),
    live("slowlog-log-slower-than", SLOWER_THAN, "10000", "commands slower than this go to the slow log; 0 takes all, -1 none").alias(&["commandlog-execution-slower-than"]),
    live("slowlog-max-len", LONG, "128", "entries of the slow log").alias(&["commandlog-slow-execution-max-len"]),
    live("commandlog-request-larger-than", LARGER_THAN, "1048576", "requests larger than this go to the command log; -1 takes none"),
    live("commandlog-large-request-max-len", LONG, "128", "large requests the command log remembers"),
    live("commandlog-reply-larger-than", LARGER_THAN, "1048576", "replies larger than this go to the command log; -1 takes none"),
    live("commandlog-large-reply-max-len", LONG, "128", "large replies the command log remembers"),
    live("latency-monitor-threshold", MILLIS, "0", "events slower than this are remembered for LATENCY; 0 turns it off"),
    live("latency-tracking", Kind::Bool, "yes", "keep a histogram of the latency of each command"),
    live("latency-tracking-info-percentiles", Kind::Custom(&PERCENTILES), "50 99 99.9", "percentiles that INFO shows"),
    later("log-timestamp-format", Kind::Choice(&["legacy", "iso8601", "milliseconds"]), "legacy", "form of the time in a line of the log"),
    later("hide-user-data-from-log", Kind::Bool, "no", "keep keys and values out of the log"),
    inert("logtostderr", Kind::Bool, "no", "log to standard error rather than to files; see `logfile`").fixed(),
    inert("alsologtostderr", Kind::Bool, "no", "log to standard error as well; see `logfile`").fixed(),
    later("log_dir", Kind::Text, "", "folder to log to; see `logfile`").fixed(),
    later("max_log_size", LONG, "200", "megabytes after which a new log file is begun").fixed(),
    inert("logbuflevel", int(i32::MIN as i64, i32::MAX as i64), "0", "weight up to which lines of the log are buffered").fixed(),
    inert("logbufsecs", SECONDS, "30", "longest time a line of the log is buffered").fixed(),
    later("syslog-enabled", Kind::Bool, "no", "log to the system log").fixed(),
    later("syslog-ident", Kind::Text, "anax", "name in the system log").fixed(),
    later("syslog-facility", Kind::Choice(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), "local0", "facility of the system log").fixed(),
    inert("ignore-warnings", Kind::Text, "", "warnings of the host that are not worth stopping for"),
];

#[rustfmt::skip]
pub(super) const TLS: &[Setting] = &[
    later("tls-port", PORT, "0", "TCP port of the TLS listener; 0 turns it off"),
    later("tls", Kind::Bool, "no", "speak TLS on the main port").guard(),
    later("no_tls_on_admin_port", Kind::Bool, "no", "no TLS on the admin port").fixed(),
    later("tls-cert-file", Kind::Text, "", "certificate"),
    later("tls-key-file", Kind::Text, "", "key of the certificate"),
    later("tls-key-file-pass", Kind::Secret, "", "password of the key"),
    later("tls-client-cert-file", Kind::Text, "", "certificate of outgoing connections"),
    later("tls-client-key-file", Kind::Text, "", "key of that certificate"),
    later("tls-client-key-file-pass", Kind::Secret, "", "password of that key"),
    later("tls-ca-cert-file", Kind::Text, "", "authorities that sign clients and peers"),
    later("tls-ca-cert-dir", Kind::Text, "", "folder of such authorities"),
    later("tls-dh-params-file", Kind::Text, "", "Diffie-Hellman parameters"),
    later("tls-auth-clients", Kind::Choice(&["no", "yes", "optional"]), "yes", "whether clients must show a certificate"),
    later("tls-auth-clients-user", Kind::Choice(&["CN", "URI", "off"]), "off", "field of a client's certificate that names its user"),
    later("tls-protocols", Kind::Text, "", "versions of TLS"),
    later("tls-ciphers", Kind::Text, "", "ciphers of TLS 1.2"),
    later("tls-ciphersuites", Kind::Text, "", "ciphers of TLS 1.3").alias(&["tls_cipher_suites"]),
    later("tls-prefer-server-ciphers", Kind::Bool, "no", "the server chooses the cipher"),
    later("tls-session-caching", Kind::Bool, "yes", "sessions may be resumed"),
    later("tls-session-cache-size", COUNT, "20480", "sessions that may be resumed at one time; 0 is no limit"),
    later("tls-session-cache-timeout", SECONDS, "300", "how long a session may be resumed"),
    later("tls-auto-reload-interval", SECONDS, "0", "time between two looks for new certificates; 0 never looks"),
    later("tls-replication", Kind::Bool, "no", "replicate over TLS").guard(),
    later("tls-cluster", Kind::Bool, "no", "TLS on the cluster bus").guard(),
];

#[rustfmt::skip]
pub(super) const PROCESS: &[Setting] = &[
    live("pidfile", Kind::Text, "", "file for the process id").fixed(),
    later("daemonize", Kind::Bool, "no", "go to the background").fixed(),
    later("supervised", Kind::Choice(&["upstart", "systemd", "auto", "no"]), "no", "who is told that the server is ready").fixed(),
    later("user", Kind::Text, "", "account to go on as once the ports are open").fixed(),
    later("shutdown-timeout", SECONDS, "10", "how long a shutdown waits for replicas"),
    later("shutdown-on-sigint", Kind::Custom(&SHUTDOWN), "default", "how SIGINT shuts down"),
    later("shutdown-on-sigterm", Kind::Custom(&SHUTDOWN), "default", "how SIGTERM shuts down"),
    later("crash-log-enabled", Kind::Bool, "yes", "log a report when the process crashes"),
    later("crash-memcheck-enabled", Kind::Bool, "yes", "test memory when the process crashes"),
    later("oom-score-adj", Kind::Custom(&SCORE_MODE), "no", "tell the kernel which process to end when memory runs out"),
    later("oom-score-adj-values", Kind::Custom(&SCORES), "0 200 800", "what it is told: for a primary, a replica, a background child"),
    inert("disable-thp", Kind::Bool, "yes", "turn transparent huge pages off").fixed(),
    inert("always-show-logo", Kind::Bool, "no", "print a logo at start").fixed(),
    inert("set-proc-title", Kind::Bool, "yes", "show more in the list of processes").fixed(),
    inert("proc-title-template", Kind::Text, "{title} {listen-addr} {server-mode}", "what to show there"),
    inert("server-cpulist", Kind::Text, "", "CPUs of workers").alias(&["server_cpulist"]).fixed(),
    inert("bio-cpulist", Kind::Text, "", "CPUs of background threads").alias(&["bio_cpulist"]).fixed(),
    inert("aof-rewrite-cpulist", Kind::Text, "", "CPUs of the process that rewrites the log").alias(&["aof_rewrite_cpulist"]).fixed(),
    inert("bgsave-cpulist", Kind::Text, "", "CPUs of the process that saves").alias(&["bgsave_cpulist"]).fixed(),
    inert("extended-redis-compatibility", Kind::Bool, "no", "say Redis where Valkey would say Valkey"),
    inert("version_check", Kind::Bool, "yes", "ask for new versions over the network; never done here").fixed(),
    inert("omit_basic_usage", Kind::Bool, "no", "keep usage hints out of the log").fixed(),
    inert("managed_service_info", Kind::Bool, "no", "say less in INFO").fixed(),
    later("availability-zone", Kind::Text, "", "zone shown in INFO"),
    inert("background_debug_jobs", Kind::Bool, "no", "checks that run all the time").fixed(),
    inert("afl_loop_limit", LONG, "0", "rounds of a fuzzing run").fixed(),
    inert("afl_target_port", PORT, "0", "port a fuzzing run talks to").fixed(),
];
