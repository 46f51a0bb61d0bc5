//! What INFO tells: sections of `name:value` lines, with the names that monitoring looks for.
//!
//! A [`Section`] is a title and a function that writes its lines; the table of them, [`SECTIONS`],
//! is all that the command needs. What the server does not have yet (persistence, replicas) is told
//! as what it is: none.
//!
//! All numbers are read without a lock of the data path; sums over workers are those of a moment
//! that is not quite the same for each.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use keyspace::{Counts, lengths};

use crate::acl::Reason;
use crate::client::Client;
use crate::commands::REDIS_VERSION;
use crate::process;
use crate::sampler::Rates;
use crate::server::Server;
use crate::settings::Settings;
use crate::stats::{CommandStats, Histogram};

/// The version of this server.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One section of INFO.
pub struct Section {
    /// Its name, in lower case.
    pub name: &'static str,
    title: &'static str,
    /// When INFO shows it.
    shown: Shown,
    write: fn(&Scene<'_>, &mut Lines),
}

/// When INFO shows a section, besides when it is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// When none is named.
    Usually,
    /// With all.
    WithAll,
    /// Never.
    Named,
}

/// What the sections read.
pub struct Scene<'a> {
    /// The server.
    pub server: &'a Server,
    /// The settings in force.
    pub settings: &'a Settings,
    /// Any 64 random bits.
    pub chance: u64,
}

const fn section(
    name: &'static str,
    title: &'static str,
    write: fn(&Scene<'_>, &mut Lines),
) -> Section {
    Section { name, title, shown: Shown::Usually, write }
}

/// All sections, in the order in which they are shown.
pub const SECTIONS: &[Section] = &[
    section("server", "Server", server),
    section("clients", "Clients", clients),
    section("memory", "Memory", memory),
    section("persistence", "Persistence", persistence),
    section("threads", "Threads", threads),
    section("stats", "Stats", stats),
    section("replication", "Replication", replication),
    section("cpu", "CPU", cpu),
    section("modules", "Modules", |_, _| ()),
    Section { shown: Shown::WithAll, ..section("commandstats", "Commandstats", command_stats) },
    section("errorstats", "Errorstats", error_stats),
    Section { shown: Shown::WithAll, ..section("latencystats", "Latencystats", latency_stats) },
    section("cluster", "Cluster", |_, lines| lines.put("cluster_enabled", 0)),
    section("keyspace", "Keyspace", keyspace),
    section("keysizes", "Keysizes", key_sizes),
    Section { shown: Shown::Named, ..section("debug", "Debug", debug) },
];

/// The sections that the words of a request ask for, in the order of the table.
#[must_use]
pub fn wanted<'a>(words: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<&'static Section> {
    let named = |name: &str| words.clone().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let everything = named("all") || named("everything");
    let usual = words.clone().next().is_none() || named("default");
    let all = SECTIONS.iter();
    let shown = |one: &&Section| match one.shown {
        Shown::Usually => everything || usual,
        Shown::WithAll => everything,
        Shown::Named => false,
    };
    all.filter(|one| shown(one) || named(one.name)).collect()
}

/// The text of some sections.
#[must_use]
pub fn render(sections: &[&Section], scene: &Scene<'_>) -> String {
    let mut lines = Lines::default();
    for (nth, section) in sections.iter().enumerate() {
        if nth > 0 {
            lines.0.push_str("\r\n");
        }
        // Writing to a string does not fail.
        let _ = write!(lines.0, "# {}\r\n", section.title);
        (section.write)(scene, &mut lines);
    }
    lines.0
}

/// The lines of a text.
#[derive(Default)]
pub struct Lines(String);

impl Lines {
    fn put(&mut self, name: impl Display, value: impl Display) {
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// Several names with the same value.
    fn same(&mut self, names: &[&str], value: impl Display) {
        names.iter().for_each(|name| self.put(name, &value));
    }

    /// Bytes, and again for people.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.put(name, bytes);
        self.put(format_args!("{name}_human"), human(bytes));
    }
}

/// Bytes in the largest unit that leaves a number above 1, as Redis writes them.
#[must_use]
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut number = bytes as f64 / 1024.0;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    format!("{number:.2}{}", UNITS[unit])
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(part: u64, whole: u64) -> f64 {
    ratio(part, whole) * 100.0
}

fn server(scene: &Scene<'_>, lines: &mut Lines) {
    let Scene { server, settings, .. } = scene;
    let file = server.config.file().map_or(String::new(), |file| file.display().to_string());
    let unix_micros = server.clock.unix_micros();
    let uptime_seconds = server.clock.micros() / 1_000_000;
    lines.put("redis_version", REDIS_VERSION);
    lines.put("server_name", "anax");
    lines.put("anax_version", VERSION);
    lines.put("redis_git_sha1", "00000000");
    lines.put("redis_git_dirty", 0);
    lines.put("redis_build_id", VERSION);
    lines.same(&["redis_mode", "server_mode"], "standalone");
    lines.put("os", process::system_name());
    lines.put("arch_bits", usize::BITS);
    lines.put("monotonic_clock", "POSIX clock_gettime");
    lines.put("multiplexing_api", "epoll");
    lines.put("process_id", std::process::id());
    lines.put("process_supervised", "no");
    lines.put("run_id", &server.run_id);
    lines.put("tcp_port", server.arrivals.tcp_port.load(Ordering::Relaxed));
    lines.put("server_time_usec", unix_micros);
    lines.put("uptime_in_seconds", uptime_seconds);
    lines.put("uptime_in_days", uptime_seconds / 86_400);
    lines.same(&["hz", "configured_hz"], settings.hz);
    lines.put("lru_clock", (unix_micros / 1_000_000) & 0xFF_FFFF);
    lines.put("executable", process::executable());
    lines.put("config_file", file);
    lines.put("availability_zone", &server.config.current().live().availability_zone);
    lines.put("io_threads_active", u8::from(server.stats.len() > 1));
    lines.put("thread_count", server.stats.len());
    lines.put("shard_count", server.keyspace.shards());
    for (nth, listener) in listeners(server).into_iter().enumerate() {
        lines.put(format_args!("listener{nth}"), listener);
    }
}

/// Where the server listens, as the settings say it, each with its kind.
fn listeners(server: &Server) -> Vec<String> {
    let config = server.config.current();
    let words = |name: &str| {
        let value = String::from_utf8_lossy(config.value(name).unwrap_or_default()).into_owned();
        if value.is_empty() { None } else { Some(value) }
    };
    let everywhere = || words("bind").unwrap_or_else(|| "*".to_owned());
    let tcp = |name: &str, hosts: String, port: u16| {
        let hosts: String = hosts.split(' ').map(|host| format!(",bind={host}")).collect();
        (port > 0).then(|| format!("name={name}{hosts},port={port}"))
    };
    let main = server.arrivals.tcp_port.load(Ordering::Relaxed);
    let admin = server.arrivals.admin_port.load(Ordering::Relaxed);
    let admin_hosts = words("admin_bind").unwrap_or_else(everywhere);
    let unix = words("unixsocket").map(|path| format!("name=unix,bind={path}"));
    let all = [tcp("tcp", everywhere(), main), unix, tcp("admin", admin_hosts, admin)];
    all.into_iter().flatten().collect()
}

fn clients(scene: &Scene<'_>, lines: &mut Lines) {
    let Scene { server, settings, .. } = scene;
    let all = server.clients.all();
    let most =
        |bytes: fn(&Client) -> u64| all.iter().map(|client| bytes(client)).max().unwrap_or(0);
    let those = |flag: fn(&Client) -> &AtomicBool| {
        all.iter().filter(|client| flag(client).load(Ordering::Relaxed)).count()
    };
    lines.put("connected_clients", all.len());
    lines.put("peak_clients", server.sampler.clients_peak(all.len() as u64));
    lines.put("cluster_connections", 0);
    lines.same(&["maxclients", "max_clients"], settings.maxclients);
    let input = most(|client| client.query_bytes.load(Ordering::Relaxed));
    lines.put("client_recent_max_input_buffer", input);
    let output = most(|client| client.output_bytes.load(Ordering::Relaxed));
    lines.put("client_recent_max_output_buffer", output);
    lines.put("client_read_buffer_bytes", query_bytes(scene));
    lines.put("blocked_clients", those(|client| &client.blocked));
    lines.put("long_command_clients", those(|client| &client.away));
    lines.put("tracking_clients", server.tracking.tracked().clients);
    let watched = || all.iter().map(|client| client.progress().watched);
    lines.put("pubsub_clients", server.pubsub.figures().clients);
    lines.put("watching_clients", watched().filter(|&watched| watched > 0).count());
    let awaited = server.keyspace.awaited();
    lines.put("clients_in_timeout_table", server.timed_waits.load(Ordering::Relaxed));
    lines.put("total_watched_keys", watched().sum::<usize>());
    lines.put("total_blocking_keys", awaited.keys.load(Ordering::Relaxed));
    lines.put("total_blocking_keys_on_nokey", awaited.keys_to_go.load(Ordering::Relaxed));
    let rest = server.pause.holds(server.clock.now(), true);
    let actions = match (rest, server.pause.holds(server.clock.now(), false)) {
        (None, _) => "none",
        (_, None) => "write",
        (_, Some(_)) => "all",
    };
    lines.put("paused_reason", if rest.is_some() { "client_pause" } else { "none" });
    lines.put("paused_actions", actions);
    lines.put("paused_timeout_milliseconds", rest.unwrap_or(0));
    lines.put("timeout_disconnects", server.sum(|stats| stats.timeouts.get()));
}

fn query_bytes(scene: &Scene<'_>) -> u64 {
    let all = scene.server.clients.all();
    all.iter().map(|client| client.query_bytes.load(Ordering::Relaxed)).sum()
}

/// What memory is used for, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Allocated and not freed.
    pub used: u64,
    /// The most that `used` has been.
    pub peak: u64,
    /// When that was, in seconds since the epoch.
    pub peak_seconds: u64,
    /// `used` when the server began to serve.
    pub startup: u64,
    /// Keys and values.
    pub dataset: u64,
    /// Tables of keys.
    pub tables: u64,
    /// What clients hold, waits for them or came from them.
    pub clients: u64,
    /// Libraries of functions.
    pub functions: u64,
    /// What lies in the machine's memory, all in all.
    pub resident: u64,
    /// That without the pages of files.
    pub resident_heap: u64,
    /// The most that `resident` has been.
    pub resident_peak: u64,
    /// How many keys there are.
    pub keys: u64,
}

impl MemoryUse {
    /// The memory in use now.
    #[must_use]
    pub fn of(server: &Server) -> MemoryUse {
        let shards = server.usage();
        let sum = |bytes: fn(&keyspace::Usage) -> usize| -> u64 {
            shards.iter().map(|usage| bytes(usage) as u64).sum()
        };
        let used = memory::heap::used_bytes() as u64;
        let memory = process::memory();
        let (peak, peak_seconds) = server.sampler.used_peak(used, server.clock.now() / 1000);
        let all = server.clients.all();
        let clients = all.iter().map(|client| client.memory_bytes());
        MemoryUse {
            used,
            peak,
            peak_seconds,
            startup: server.sampler.used_at_start(),
            dataset: sum(|usage| usage.record_bytes + usage.external_bytes),
            tables: sum(|usage| usage.table_bytes),
            clients: clients.sum(),
            functions: server.functions.catalog().bytes() as u64,
            resident: memory.resident_bytes,
            resident_heap: memory.resident_bytes.saturating_sub(memory.file_bytes),
            resident_peak: server.sampler.resident_peak(memory.resident_bytes),
            keys: sum(|usage| usage.keys),
        }
    }

    /// What is used for anything but keys and values.
    #[must_use]
    pub fn overhead(&self) -> u64 {
        self.used.saturating_sub(self.dataset)
    }

    /// The share of keys and values in what came after the start, in percent.
    #[must_use]
    pub fn dataset_percent(&self) -> f64 {
        percent(self.dataset, self.used.saturating_sub(self.startup).max(self.dataset))
    }

    /// `part` of `whole`, and how many bytes it is more.
    #[must_use]
    pub fn more(part: u64, whole: u64) -> (f64, i64) {
        (ratio(part, whole), part as i64 - whole as i64)
    }
}

fn memory(scene: &Scene<'_>, lines: &mut Lines) {
    let Scene { server, settings, .. } = scene;
    let memory = MemoryUse::of(server);
    lines.bytes("used_memory", memory.used);
    lines.bytes("used_memory_rss", memory.resident);
    lines.put("used_memory_peak_rss", memory.resident_peak);
    lines.bytes("used_memory_peak", memory.peak);
    lines.put("used_memory_peak_time", memory.peak_seconds);
    let peak_percent = percent(memory.used, memory.peak);
    lines.put("used_memory_peak_perc", format_args!("{peak_percent:.2}%"));
    lines.put("used_memory_overhead", memory.overhead());
    lines.put("used_memory_startup", memory.startup);
    lines.put("used_memory_dataset", memory.dataset);
    lines.put("used_memory_dataset_perc", format_args!("{:.2}%", memory.dataset_percent()));
    lines.same(&["object_used_memory", "type_used_memory_string"], memory.dataset);
    lines.put("table_used_memory", memory.tables);
    lines.put("num_entries", memory.keys);
    lines.put("allocator_allocated", memory.used);
    // Allocator and slabs tell no pages that are in use from those that only lie in memory.
    lines.same(&["allocator_active", "allocator_resident"], memory.resident_heap);
    lines.put("allocator_muzzy", 0);
    lines.bytes("total_system_memory", process::machine_bytes());
    let functions = server.functions.catalog();
    // Each Lua runs both, and takes from the sources of the functions what it is asked for.
    let lua_bytes = server.total(|stats| stats.lua_bytes.get());
    let source_bytes = functions.source_bytes() as u64;
    lines.put("used_memory_vm_eval", lua_bytes);
    lines.bytes("used_memory_lua", server.greatest(|stats| stats.lua_bytes.get()));
    lines.put("used_memory_vm_functions", source_bytes);
    lines.bytes("used_memory_vm_total", lua_bytes + source_bytes);
    let (scripts_len, script_bytes) = server.scripts.registry.size();
    lines.put("used_memory_scripts_eval", script_bytes);
    lines.bytes("used_memory_scripts", memory.functions + script_bytes as u64);
    lines.put("used_memory_functions", memory.functions);
    lines.put("number_of_cached_scripts", scripts_len);
    lines.put("number_of_functions", functions.functions_len());
    lines.put("number_of_libraries", functions.libraries().len());
    lines.bytes("maxmemory", settings.maxmemory);
    let config = server.config.current();
    let policy = config.value("maxmemory-policy").unwrap_or_default();
    lines.put("maxmemory_policy", String::from_utf8_lossy(policy));
    for (name, part, whole) in [
        ("allocator_frag", memory.resident_heap, memory.used),
        ("allocator_rss", memory.resident_heap, memory.resident_heap),
        ("rss_overhead", memory.resident, memory.resident_heap),
        ("mem_fragmentation", memory.resident, memory.used),
    ] {
        let (ratio, bytes) = MemoryUse::more(part, whole);
        lines.put(format_args!("{name}_ratio"), format_args!("{ratio:.2}"));
        lines.put(format_args!("{name}_bytes"), bytes);
    }
    let replicas = ["mem_not_counted_for_evict", "mem_replication_backlog"];
    lines.same(&replicas, 0);
    lines.same(&["mem_total_replication_buffers", "mem_replica_full_sync_buffer"], 0);
    lines.put("mem_clients_slaves", 0);
    lines.put("mem_clients_normal", memory.clients);
    lines.same(&["mem_cluster_links", "mem_aof_buffer"], 0);
    lines.put("mem_allocator", "mimalloc");
    lines.put("mem_overhead_db_hashtable_rehashing", 0);
    lines.put("active_defrag_running", 0);
    lines.put("lazyfree_pending_objects", server.background.pending());
    lines.put("lazyfreed_objects", server.background.freed());
}

/// The server holds its data in memory only: nothing was ever saved, and everything that changed
/// has changed since the start.
fn persistence(scene: &Scene<'_>, lines: &mut Lines) {
    let server = scene.server;
    lines.same(&["loading", "async_loading"], 0);
    lines.same(&["current_cow_peak", "current_cow_size", "current_cow_size_age"], 0);
    lines.put("current_fork_perc", "0.00");
    lines.same(&["current_save_keys_processed", "current_save_keys_total"], 0);
    let changes = server.sum(|stats| stats.changes.get());
    lines.put("rdb_changes_since_last_save", changes);
    lines.put("rdb_bgsave_in_progress", 0);
    lines.put("rdb_last_save_time", server.clock.started_unix_seconds());
    lines.put("rdb_last_bgsave_status", "ok");
    lines.same(&["rdb_last_bgsave_time_sec", "rdb_current_bgsave_time_sec"], -1);
    lines.same(&["rdb_saves", "rdb_last_cow_size"], 0);
    lines.same(&["rdb_last_load_keys_expired", "rdb_last_load_keys_loaded"], 0);
    lines.same(&["aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled"], 0);
    lines.same(&["aof_last_rewrite_time_sec", "aof_current_rewrite_time_sec"], -1);
    lines.same(&["aof_last_bgrewrite_status", "aof_last_write_status"], "ok");
    lines.same(&["aof_rewrites", "aof_rewrites_consecutive_failures", "aof_last_cow_size"], 0);
    lines.same(&["module_fork_in_progress", "module_fork_last_cow_size"], 0);
}

fn threads(scene: &Scene<'_>, lines: &mut Lines) {
    let server = scene.server;
    for (nth, stats) in server.stats.iter().enumerate() {
        let (clients, reads, writes) = (server.load.of(nth), stats.reads.get(), stats.writes.get());
        let name = format_args!("io_thread_{nth}");
        lines.put(name, format_args!("clients={clients},reads={reads},writes={writes}"));
    }
}

/// Commands that ran, on all workers.
#[must_use]
pub fn commands_ran(server: &Server) -> u64 {
    server.sum(|stats| stats.commands.get())
}

fn stats(scene: &Scene<'_>, lines: &mut Lines) {
    let server = scene.server;
    let sum = |counter: fn(&crate::stats::WorkerStats) -> u64| server.sum(counter);
    let rates = server.sampler.rates();
    lines.put("total_connections_received", sum(|stats| stats.connections.get()));
    lines.put("total_commands_processed", commands_ran(server));
    lines.put("instantaneous_ops_per_sec", rates.commands as u64);
    lines.put("total_batches_processed", sum(|stats| stats.batches.get()));
    lines.put("total_pipelined_commands", sum(|stats| stats.batched_commands.get()));
    lines.put("total_gate_waits", sum(|stats| stats.gate_waits.get()));
    lines.put("total_long_commands", sum(|stats| stats.long_commands.get()));
    lines.put("total_net_input_bytes", sum(|stats| stats.bytes_in.get()));
    lines.put("total_net_output_bytes", sum(|stats| stats.bytes_out.get()));
    lines.same(&["total_net_repl_input_bytes", "total_net_repl_output_bytes"], 0);
    lines.put("instantaneous_input_kbps", format_args!("{:.2}", rates.bytes_in / 1024.0));
    lines.put("instantaneous_output_kbps", format_args!("{:.2}", rates.bytes_out / 1024.0));
    lines.same(&["instantaneous_input_repl_kbps", "instantaneous_output_repl_kbps"], "0.00");
    lines.put("rejected_connections", server.refused());
    lines.put("accept_errors", server.arrivals.accept_errors.load(Ordering::Relaxed));
    lines.same(&["sync_full", "sync_partial_ok", "sync_partial_err"], 0);
    lines.put("expired_keys", sum(|stats| stats.expired.get()));
    lines.same(&["expired_subkeys", "expired_fields"], sum(|stats| stats.lapsed.get()));
    lines.put("expired_stale_perc", "0.00");
    lines.put("expired_time_cap_reached_count", sum(|stats| stats.expire_cycles_capped.get()));
    lines.put("expire_cycle_cpu_milliseconds", sum(|stats| stats.expire_nanos.get()) / 1_000_000);
    lines.put("evicted_keys", 0);
    lines.put("evicted_clients", sum(|stats| stats.evicted_clients.get()));
    lines.put("evicted_scripts", server.scripts.registry.evicted());
    lines.same(&["total_eviction_exceeded_time", "current_eviction_exceeded_time"], 0);
    lines.put("oom_rejections", sum(|stats| stats.oom_refusals.get()));
    lines.put("keyspace_hits", sum(|stats| stats.hits.get()));
    lines.put("keyspace_misses", sum(|stats| stats.misses.get()));
    lines.put("keyspace_mutations", sum(|stats| stats.changes.get()));
    let subscribed = server.pubsub.figures();
    lines.put("pubsub_channels", subscribed.channels);
    lines.put("pubsub_patterns", subscribed.patterns);
    lines.put("pubsubshard_channels", subscribed.shard_channels);
    lines.same(&["latest_fork_usec", "total_forks", "migrate_cached_sockets"], 0);
    lines.put("slave_expires_tracked_keys", 0);
    let defrag = ["active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits"];
    lines.same(&defrag, 0);
    lines.same(&["active_defrag_key_misses", "total_active_defrag_time"], 0);
    lines.put("current_active_defrag_time", 0);
    let tracked = server.tracking.tracked();
    lines.put("tracking_total_keys", tracked.keys);
    lines.put("tracking_total_items", tracked.items);
    lines.put("tracking_total_prefixes", tracked.prefixes);
    lines.put("unexpected_error_replies", 0);
    lines.put("total_error_replies", sum(|stats| stats.errors.get()));
    lines.put("total_protocol_errors", sum(|stats| stats.protocol_errors.get()));
    lines.put("dump_payload_sanitizations", 0);
    // With several workers each of them is what Redis calls an I/O thread.
    let (reads, writes) = (sum(|stats| stats.reads.get()), sum(|stats| stats.writes.get()));
    lines.same(&["total_reads_processed", "io_threaded_reads_processed"], reads);
    lines.same(&["total_writes_processed", "io_threaded_writes_processed"], writes);
    let overflows = sum(|stats| stats.query_overflows.get());
    lines.put("client_query_buffer_limit_disconnections", overflows);
    let overflows = sum(|stats| stats.output_overflows.get());
    lines.put("client_output_buffer_limit_disconnections", overflows);
    lines.same(&["reply_buffer_shrinks", "reply_buffer_expands"], 0);
    let batches = sum(|stats| stats.batches.get());
    lines.put("io_threaded_total_prefetch_batches", batches);
    let entries = sum(|stats| stats.batched_commands.get());
    lines.put("io_threaded_total_prefetch_entries", entries);
    lines.put("io_threaded_freed_objects", server.background.freed());
    lines.same(&["io_threaded_accept_processed", "io_threaded_poll_processed"], 0);
    event_loop(server, rates, lines);
    let denied = [
        ("acl_access_denied_auth", Reason::Auth),
        ("acl_access_denied_cmd", Reason::Command),
        ("acl_access_denied_key", Reason::Key),
        ("acl_access_denied_channel", Reason::Channel),
        ("acl_access_denied_db", Reason::Database),
    ];
    denied.iter().for_each(|(name, reason)| lines.put(name, server.acl.log.total(*reason)));
    lines.put("acl_access_denied_tls_cert", 0);
}

/// What Redis tells of its event loop. Here each input that is served is a cycle, on whichever
/// worker, and its duration is the processor time that the process took.
fn event_loop(server: &Server, rates: Rates, lines: &mut Lines) {
    lines.put("eventloop_cycles", server.sum(|stats| stats.reads.get()));
    lines.put("eventloop_duration_sum", server.cpu_nanos() / 1000);
    let commands = server.sum(|stats| stats.each.iter().map(|each| each.nanos.get()).sum());
    lines.put("eventloop_duration_cmd_sum", commands / 1000);
    lines.put("instantaneous_eventloop_cycles_per_sec", rates.cycles as u64);
    let micros = if rates.cycles > 0.0 { rates.cpu_nanos / rates.cycles / 1000.0 } else { 0.0 };
    lines.put("instantaneous_eventloop_duration_usec", micros as u64);
}

/// More of the same. A cycle's commands are those that came together, its longest duration is that
/// of the longest command.
fn debug(scene: &Scene<'_>, lines: &mut Lines) {
    let server = scene.server;
    lines.put("eventloop_duration_aof_sum", 0);
    let expiry = server.sum(|stats| stats.expire_nanos.get());
    lines.put("eventloop_duration_cron_sum", expiry / 1000);
    let numbers = called(server).map(|(_, number)| latency_buckets(server, number).0);
    let longest = numbers.filter_map(|buckets| buckets.last().map(|(nanos, _)| *nanos)).max();
    lines.put("eventloop_duration_max", longest.unwrap_or(0).div_ceil(1000));
    let batches = server.all_stats();
    let largest = batches.iter().map(|stats| stats.batch_max.get()).max().unwrap_or(0);
    let is_used = server.total(|stats| stats.commands.get()) > 0;
    lines.put("eventloop_cmd_per_cycle_max", largest.max(u64::from(is_used)));
}

fn replication(scene: &Scene<'_>, lines: &mut Lines) {
    lines.put("role", "master");
    lines.same(&["connected_slaves", "replicas_waiting_psync"], 0);
    lines.put("master_failover_state", "no-failover");
    lines.put("master_replid", scene.server.replication_id());
    lines.put("master_replid2", "0".repeat(40));
    lines.put("master_repl_offset", 0);
    lines.put("second_repl_offset", -1);
    lines.same(&["repl_backlog_active", "repl_backlog_size"], 0);
    lines.same(&["repl_backlog_first_byte_offset", "repl_backlog_histlen"], 0);
}

fn cpu(_: &Scene<'_>, lines: &mut Lines) {
    let active = process::cpu_nanos() as f64 / 1e9;
    lines.put("used_active_time_main_thread", format_args!("{active:.6}"));
    let (own, children) = process::cpu();
    let times =
        [("", own), ("_children", children), ("_main_thread", process::cpu_of_main_thread())];
    for (of, time) in times {
        lines.put(format_args!("used_cpu_sys{of}"), format_args!("{:.6}", time.system));
        lines.put(format_args!("used_cpu_user{of}"), format_args!("{:.6}", time.user));
    }
}

/// Each command and subcommand that was called: its name as INFO writes it (`config|get`), and its
/// number.
pub fn called(server: &Server) -> impl Iterator<Item = (String, usize)> {
    let all = server.table.iter().flat_map(|entry| {
        entry.numbered().map(move |(number, command)| (full_name(entry.command, command), number))
    });
    let asked = |each: &CommandStats| each.calls.get() + each.rejected.get() + each.failed.get();
    all.filter(move |(_, number)| server.sum(|stats| asked(&stats.each[*number])) > 0)
}

/// The name of a command, or of a subcommand with its container's: `config|get`.
#[must_use]
pub fn full_name(container: &command::Command, command: &command::Command) -> String {
    let own = command.name.to_lowercase();
    if std::ptr::eq(container, command) {
        own
    } else {
        format!("{}|{own}", container.name.to_lowercase())
    }
}

fn command_stats(scene: &Scene<'_>, lines: &mut Lines) {
    let server = scene.server;
    for (name, number) in called(server) {
        let sum =
            |counter: fn(&CommandStats) -> u64| server.sum(|stats| counter(&stats.each[number]));
        let (calls, micros) = (sum(|each| each.calls.get()), sum(|each| each.nanos.get()) / 1000);
        let mean = ratio(micros, calls);
        let (rejected, failed) = (sum(|each| each.rejected.get()), sum(|each| each.failed.get()));
        let value = format_args!(
            "calls={calls},usec={micros},usec_per_call={mean:.2},rejected_calls={rejected},\
             failed_calls={failed}"
        );
        lines.put(format_args!("cmdstat_{name}"), value);
    }
}

fn error_stats(scene: &Scene<'_>, lines: &mut Lines) {
    let mut counts = BTreeMap::new();
    scene.server.all_stats().iter().for_each(|stats| stats.error_codes.add_to(&mut counts));
    for (code, count) in counts {
        lines.put(format_args!("errorstat_{code}"), format_args!("count={count}"));
    }
}

/// How long the calls of a command took, on all workers: counts, each with the highest value (ns)
/// of its bucket; and how many calls there were.
#[must_use]
pub fn latency_buckets(server: &Server, number: usize) -> (Vec<(u64, u64)>, u64) {
    let latency = server.latency(number);
    let buckets: Vec<_> = latency.iter().flat_map(Histogram::buckets).collect();
    let calls = buckets.iter().map(|(_, count)| count).sum();
    (buckets.into_iter().filter(|(_, count)| *count > 0).collect(), calls)
}

/// The highest value of the bucket in which a percentile lies.
#[must_use]
pub fn percentile(buckets: &[(u64, u64)], percent: f64) -> u64 {
    let calls: u64 = buckets.iter().map(|(_, count)| count).sum();
    let rank = ((percent / 100.0 * calls as f64).ceil() as u64).clamp(1, calls.max(1));
    let mut passed = 0;
    let found = buckets.iter().find(|(_, count)| {
        passed += count;
        passed >= rank
    });
    found.or(buckets.last()).map_or(0, |(highest, _)| *highest)
}

fn latency_stats(scene: &Scene<'_>, lines: &mut Lines) {
    let config = scene.server.config.current();
    for (name, number) in called(scene.server) {
        let (buckets, calls) = latency_buckets(scene.server, number);
        if calls == 0 {
            continue;
        }
        let shown = config.live().latency_tracking_info_percentiles.iter().map(|&percent| {
            let micros = percentile(&buckets, percent) as f64 / 1000.0;
            format!("p{percent}={micros:.3}")
        });
        let shown: Vec<_> = shown.collect();
        lines.put(format_args!("latency_percentiles_usec_{name}"), shown.join(","));
    }
}

/// Databases with keys. The mean time to live is that of a sample.
fn keyspace(scene: &Scene<'_>, lines: &mut Lines) {
    let server = scene.server;
    let now = server.clock.now();
    let mut ttls = vec![(0_u64, 0_u64); usize::from(server.keyspace.databases())];
    let counts = server.database_sizes();
    if counts.iter().any(|counts| counts.volatile > 0) {
        for id in server.keyspace.shard_ids() {
            let sample = server.keyspace.try_sample_ttls(id, now, scene.chance);
            for (sum, (count, millis)) in ttls.iter_mut().zip(sample.into_iter().flatten()) {
                *sum = (sum.0 + count, sum.1.saturating_add(millis));
            }
        }
    }
    for (db, (Counts { keys, volatile, .. }, (count, millis))) in
        counts.into_iter().zip(ttls).enumerate()
    {
        if keys > 0 {
            let mean = millis.checked_div(count).unwrap_or(0);
            let value = format_args!("keys={keys},expires={volatile},avg_ttl={mean},subexpiry=0");
            lines.put(format_args!("db{db}"), value);
        }
    }
}

/// How long values are: how many there are from each length to below the next one that is shown
/// or could be, which is the double of it. Types without values are not told of.
fn key_sizes(scene: &Scene<'_>, lines: &mut Lines) {
    const NAMES: [&str; 5] =
        ["strings_sizes", "lists_items", "sets_items", "zsets_items", "hashes_items"];
    for (db, types) in scene.server.value_lengths() {
        for (name, counts) in NAMES.iter().zip(types) {
            let filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let shown: Vec<String> = filled
                .map(|(at, count)| format!("{}={count}", rounded(lengths::least(at))))
                .collect();
            if !shown.is_empty() {
                lines.put(format_args!("db{db}_distrib_{name}"), shown.join(","));
            }
        }
    }
}

/// A power of two with a letter for its thousands: 512, 1K, 32M.
fn rounded(power: u64) -> String {
    const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];
    let unit = (power.max(1).ilog2() as usize / 10).min(UNITS.len() - 1);
    format!("{}{}", power >> (10 * unit), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        wanted(words.iter().copied()).iter().map(|section| section.name).collect()
    }

    #[test]
    fn sections_are_shown_by_name_in_the_order_of_the_table() {
        assert_eq!(names(&["cpu", "SERVER", "nothing"]), ["server", "cpu"]);
        assert_eq!(names(&["all"]).len(), SECTIONS.len() - 1);
        assert_eq!(names(&["everything", "cpu"]).len(), SECTIONS.len() - 1);
        assert_eq!(names(&["all", "debug"]).len(), SECTIONS.len(), "it must be named");
        assert_eq!(names(&[]), names(&["default"]));
        assert!(!names(&[]).contains(&"commandstats"));
        assert_eq!(names(&["default", "commandstats"]).len(), names(&[]).len() + 1);
        assert!(names(&["nothing"]).is_empty());
    }

    #[test]
    fn bytes_for_people_have_two_digits_and_a_unit() {
        let cases =
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1 << 20, "1.00M"), (3 << 29, "1.50G")];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(human(u64::MAX), "16384.00P");
    }

    #[test]
    fn a_length_is_shown_with_the_letter_of_its_thousands() {
        let cases = [(0, "0"), (1, "1"), (512, "512"), (1 << 10, "1K"), (1 << 19, "512K")];
        for (power, text) in cases.into_iter().chain([(1 << 25, "32M"), (1 << 31, "2G")]) {
            assert_eq!(rounded(power), text);
        }
    }

    #[test]
    fn a_percentile_is_the_bucket_that_reaches_it() {
        let buckets = [(10, 50), (20, 40), (30, 9), (40, 1)];
        for (percent, value) in [(0.0, 10), (50.0, 10), (50.1, 20), (99.0, 30), (99.9, 40)] {
            assert_eq!(percentile(&buckets, percent), value, "{percent}");
        }
        assert_eq!(percentile(&[], 50.0), 0);
    }
}
