//! What `/metrics` shows, in the text form of Prometheus (version 0.0.4).
//!
//! A metric is a row of [`METRICS`]: its name, its kind, its labels, what it means, and the
//! function that writes its samples; `docs/metrics.md` is computed from the same rows. Names that
//! begin with `dragonfly_` are those of Dragonfly, where both have the same fact, so that its
//! dashboards and alerts work; ours begin with `anax_`.
//!
//! # Invariants
//!
//! 1. Nothing here waits for a gate: of a busy shard the page shows what was last seen.
//! 2. Counters never fall while the process lives: CONFIG RESETSTAT does not touch them.
//! 3. A label's values come from the server, never from a client, so their number is bounded.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keyspace::{Counts, Usage};

use crate::acl::Reason;
use crate::client::Client;
use crate::info::full_name;
use crate::process;
use crate::server::Server;
use crate::settings::Settings;
use crate::stats::{Histogram, WorkerStats};

/// The media type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Nanoseconds in a second.
const NANOS: f64 = 1e9;

/// The upper bounds of latency histograms are these powers of two, in ns: 1 us to 17 s, each four
/// times the one before. A doubling is where a bucket of [`Histogram`] ends, so they are exact.
const BOUNDS: [u32; 13] = [10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34];

/// One metric.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Whether it may fall.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
    write: fn(&Facts<'_>, &mut Samples<'_>),
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It rises and falls.
    Gauge,
    /// It only rises while the process lives.
    Counter,
    /// How values are spread: counters of those up to each bound.
    Histogram,
}

impl Kind {
    /// As the page names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        }
    }
}

/// Writes one metric's samples.
type Writing = fn(&Facts<'_>, &mut Samples<'_>);

const fn gauge(name: &'static str, help: &'static str, write: Writing) -> Metric {
    Metric { name, kind: Kind::Gauge, labels: &[], help, write }
}

const fn counter(name: &'static str, help: &'static str, write: Writing) -> Metric {
    Metric { name, kind: Kind::Counter, labels: &[], help, write }
}

impl Metric {
    const fn by(mut self, labels: &'static [&'static str]) -> Metric {
        self.labels = labels;
        self
    }

    const fn histogram(mut self) -> Metric {
        self.kind = Kind::Histogram;
        self
    }
}

/// Every metric there is.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    gauge("dragonfly_version", "Always 1; the label is the server's version.", |_, out| out.of(&[&env!("CARGO_PKG_VERSION")], 1)).by(&["version"]),
    gauge("dragonfly_master", "1 if the server takes writes, 0 if it is a replica.", |_, out| out.one(1)),
    counter("dragonfly_uptime_in_seconds", "Seconds since the server started.", |facts, out| out.one(facts.server.clock.micros() / 1_000_000)),

    gauge("dragonfly_max_clients", "Most connections at one time.", |facts, out| out.one(facts.settings.maxclients)),
    gauge("dragonfly_connected_clients", "Connections, by listener: main, or other for the admin port.", by_listener).by(&["listener"]),
    gauge("dragonfly_blocked_clients", "Connections that wait in a blocking command or a pause.", |facts, out| out.one(facts.clients(|client| client.blocked.load(Ordering::Relaxed)))),
    gauge("dragonfly_connection_memory_bytes", "Bytes of requests and replies that wait with their connections.", |facts, out| out.one(facts.waiting_bytes())),
    counter("dragonfly_connections_received_total", "Connections accepted.", |facts, out| out.one(facts.total(|stats| stats.connections.get()))),
    counter("dragonfly_listener_accept_error_total", "Connections refused because there were too many.", |facts, out| out.of(&[&"limit_reached"], facts.limit_reached())).by(&["reason"]),

    gauge("dragonfly_memory_used_bytes", "Bytes that are allocated and not freed.", |_, out| out.one(memory::heap::used_bytes())),
    gauge("dragonfly_used_memory", "The same as dragonfly_memory_used_bytes.", |_, out| out.one(memory::heap::used_bytes())),
    gauge("dragonfly_memory_used_peak_bytes", "Most bytes that were allocated and not freed, as far as was looked.", |facts, out| out.one(facts.used_peak_bytes())),
    gauge("dragonfly_memory_max_bytes", "Most bytes that may be used; 0 is no limit.", |facts, out| out.one(facts.settings.maxmemory)),
    gauge("dragonfly_used_memory_rss_bytes", "Bytes of the machine's memory that the process holds.", |_, out| out.one(process::memory().resident_bytes)),
    gauge("dragonfly_swap_memory_bytes", "Bytes of the process that lie on a swap device.", |_, out| out.one(process::swapped_bytes())),
    gauge("dragonfly_type_used_memory", "Bytes of keys and values, by the type of the value.", |facts, out| out.of(&[&"string"], facts.object_bytes())).by(&["type"]),
    gauge("dragonfly_memory_by_class_bytes", "Bytes by what they are for.", memory_by_class).by(&["class"]),

    counter("dragonfly_net_input_bytes_total", "Bytes received.", |facts, out| out.one(facts.total(|stats| stats.bytes_in.get()))),
    counter("dragonfly_net_input_recv_total", "Reads from sockets.", |facts, out| out.one(facts.total(|stats| stats.reads.get()))),
    counter("dragonfly_net_output_bytes_total", "Bytes sent.", |facts, out| out.one(facts.total(|stats| stats.bytes_out.get()))),
    counter("dragonfly_reply_total", "Writes to sockets.", |facts, out| out.one(facts.total(|stats| stats.writes.get()))),
    counter("dragonfly_pipeline_commands_total", "Commands that came together with others.", |facts, out| out.one(facts.total(|stats| stats.batched_commands.get()))),

    counter("dragonfly_commands_processed_total", "Commands run, by listener: main, or other for the admin port.", commands_by_listener).by(&["listener"]),
    counter("dragonfly_commands_total", "Calls of a command that ran.", |facts, out| facts.each_command(|name, at| out.of(&[&name], facts.total(|stats| stats.each[at].calls.get())))).by(&["cmd"]),
    counter("dragonfly_commands_duration_seconds", "Time that the calls of a command took together.", |facts, out| facts.each_command(|name, at| out.of(&[&name], seconds(facts.total(|stats| stats.each[at].nanos.get()))))).by(&["cmd"]),
    counter("dragonfly_oom_errors_total", "Commands refused because memory was used up.", |facts, out| out.of(&[&"cmd"], facts.total(|stats| stats.oom_refusals.get()))).by(&["type"]),

    gauge("dragonfly_db_keys", "Keys of a database.", |facts, out| facts.each_database(|name, counts| out.of(&[&name], counts.keys))).by(&["db"]),
    gauge("dragonfly_db_keys_expiring", "Keys of a database that have a deadline.", |facts, out| facts.each_database(|name, counts| out.of(&[&name], counts.volatile))).by(&["db"]),
    gauge("dragonfly_db_capacity", "Keys that the tables of a database have room for.", |facts, out| facts.each_database(|name, counts| out.of(&[&name], counts.capacity))).by(&["db"]),
    counter("dragonfly_keyspace_hits_total", "Keys that were looked up and found.", |facts, out| out.one(facts.total(|stats| stats.hits.get()))),
    counter("dragonfly_keyspace_misses_total", "Keys that were looked up and not found.", |facts, out| out.one(facts.total(|stats| stats.misses.get()))),
    counter("dragonfly_keyspace_mutations_total", "Changes of keys.", |facts, out| out.one(facts.total(|stats| stats.changes.get()))),
    counter("dragonfly_expired_keys_total", "Keys removed because their time had come.", |facts, out| out.one(facts.total(|stats| stats.expired.get()))),
    counter("dragonfly_evicted_keys_total", "Keys removed to free memory: none, as nothing is evicted yet.", |_, out| out.one(0)),

    gauge("anax_command_duration_seconds", "How long calls of a command took; only commands that were called.", latencies).by(&["cmd"]).histogram(),
    counter("anax_command_rejected_total", "Calls of a command that were refused before it ran.", |facts, out| facts.each_command(|name, at| out.of(&[&name], facts.total(|stats| stats.each[at].rejected.get())))).by(&["cmd"]),
    counter("anax_command_failed_total", "Calls of a command that answered an error.", |facts, out| facts.each_command(|name, at| out.of(&[&name], facts.total(|stats| stats.each[at].failed.get())))).by(&["cmd"]),
    counter("anax_error_replies_total", "Errors answered.", |facts, out| out.one(facts.total(|stats| stats.errors.get()))),
    gauge("anax_long_command_clients", "Connections whose command or script runs beside their worker.", |facts, out| out.one(facts.clients(|client| client.away.load(Ordering::Relaxed)))),
    gauge("anax_subscribed_clients", "Connections that are subscribed to anything.", |facts, out| out.one(facts.server.pubsub.figures().clients)),
    gauge("anax_subscribed_channels", "Channels that have a subscriber.", |facts, out| out.one(facts.server.pubsub.figures().channels)),
    gauge("anax_subscribed_patterns", "Patterns that have a subscriber.", |facts, out| out.one(facts.server.pubsub.figures().patterns)),
    gauge("anax_subscribed_shard_channels", "Shard channels that have a subscriber.", |facts, out| out.one(facts.server.pubsub.figures().shard_channels)),
    gauge("anax_shard_keys", "Keys of a shard.", |facts, out| facts.each_shard(out, |usage| usage.keys as u64)).by(&["shard"]),
    gauge("anax_shard_memory_bytes", "Bytes of a shard: its tables, slabs and big values.", |facts, out| facts.each_shard(out, |usage| (usage.table_bytes + usage.slab_bytes + usage.external_bytes) as u64)).by(&["shard"]),
    counter("anax_gate_waits_total", "How often a command had to wait for a shard.", |facts, out| facts.each_shard(out, |usage| usage.gate_waits)).by(&["shard"]),
    counter("anax_connection_errors_total", "Connections refused or closed, and attempts to authenticate refused, by cause.", connection_errors).by(&["cause"]),
    gauge("anax_worker_connections", "Connections of a worker.", |facts, out| facts.each_worker(|at, _| out.of(&[&at], facts.server.load.of(at)))).by(&["worker"]),
    counter("anax_worker_commands_total", "Commands a worker has run.", |facts, out| facts.each_worker(|at, stats| out.of(&[&at], stats.commands.get()))).by(&["worker"]),
    counter("anax_batches_total", "Groups of commands that came together.", |facts, out| out.one(facts.total(|stats| stats.batches.get()))),
    counter("anax_expire_rounds_cut_total", "Rounds of looking for expired keys that ran out of their time.", |facts, out| out.one(facts.total(|stats| stats.expire_cycles_capped.get()))),
    counter("anax_expired_fields_total", "Fields of hashes and members of sets removed because their time had come.", |facts, out| out.one(facts.total(|stats| stats.lapsed.get()))),
    gauge("anax_background_pending", "Entries that wait to be freed in the background.", |facts, out| out.one(facts.server.background.pending())),
    counter("anax_background_freed_total", "Entries freed in the background.", |facts, out| out.one(facts.server.background.freed_total())),
];

/// The page.
#[must_use]
pub fn exposition(server: &Server) -> String {
    let facts = Facts {
        server,
        settings: server.settings(),
        clients: server.clients.all(),
        usage: server.usage(),
    };
    let mut text = String::with_capacity(64 << 10);
    for metric in METRICS {
        let (name, kind, help) = (metric.name, metric.kind.name(), escaped_help(metric.help));
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        (metric.write)(&facts, &mut Samples { text: &mut text, metric });
    }
    text
}

/// The page of the manual: every metric in a table.
#[must_use]
pub fn docs_page() -> String {
    let mut text = String::from(
        "# Metrics\n\
         \n\
         `GET /metrics` on the admin port, and on the main port while `primary_port_http_enabled` is\n\
         on, answers in the text form of Prometheus. With a password set it asks for basic\n\
         authentication as the user `default`, except on an admin port with `admin_nopass`. It\n\
         answers while every worker is busy.\n\
         \n\
         Names that begin with `dragonfly_` are Dragonfly's and mean the same. Counters rise while\n\
         the process lives; CONFIG RESETSTAT does not reset them. Commands appear once they have\n\
         been called. The numbers of a shard that is busy are those that were last seen. Metrics of\n\
         what this server does not have are left out, and so is `dragonfly_connections_libs`, whose\n\
         labels would come from clients without a bound. Of hits, misses and expired keys there is\n\
         one sum for all databases.\n\
         \n\
         A histogram has the series `_bucket` with the label `le`, `_sum` and `_count`. Latencies\n\
         of requests that came together are measured together where their command takes constant or\n\
         logarithmic time, and each counts with their mean.\n\
         \n\
         | Name | Kind | Labels | Meaning |\n\
         |---|---|---|---|\n",
    );
    for Metric { name, kind, labels, help, .. } in METRICS {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        text.push_str(&format!(
            "| `{name}` | {} | {} | {help} |\n",
            kind.name(),
            labels.join(", ")
        ));
    }
    text
}

/// What the samples are taken from, gathered once for a page.
struct Facts<'a> {
    server: &'a Server,
    settings: Arc<Settings>,
    clients: Vec<Arc<Client>>,
    usage: Vec<Usage>,
}

impl Facts<'_> {
    fn total(&self, counter: impl Fn(&WorkerStats) -> u64) -> u64 {
        self.server.total(counter)
    }

    fn clients(&self, wanted: impl Fn(&Client) -> bool) -> usize {
        self.clients.iter().filter(|client| wanted(client)).count()
    }

    fn used_peak_bytes(&self) -> u64 {
        let server = self.server;
        let used = memory::heap::used_bytes() as u64;
        server.sampler.used_peak(used, server.clock.now() / 1000).0
    }

    fn waiting_bytes(&self) -> u64 {
        let bytes = |client: &Arc<Client>| {
            client.query_bytes.load(Ordering::Relaxed)
                + client.output_bytes.load(Ordering::Relaxed)
                + client.outbox_bytes()
        };
        self.clients.iter().map(bytes).sum()
    }

    /// Connections refused because there were as many as may be.
    fn limit_reached(&self) -> u64 {
        let arrivals = &self.server.arrivals;
        let unprotected = arrivals.unprotected.load(Ordering::Relaxed);
        arrivals.refused.load(Ordering::Relaxed).saturating_sub(unprotected)
    }

    /// Commands that were called, or refused before they ran, by name and place in the table.
    fn each_command(&self, mut visit: impl FnMut(String, usize)) {
        for entry in self.server.table.iter() {
            for (number, command) in entry.numbered() {
                let seen = |stats: &WorkerStats| {
                    let each = &stats.each[number];
                    each.calls.get() + each.rejected.get()
                };
                if self.total(seen) > 0 {
                    visit(full_name(entry.command, command), number);
                }
            }
        }
    }

    /// Databases that have keys, and the first.
    fn each_database(&self, mut visit: impl FnMut(String, Counts)) {
        for (db, counts) in self.server.database_sizes().into_iter().enumerate() {
            if counts.keys > 0 || db == 0 {
                visit(format!("db{db}"), counts);
            }
        }
    }

    fn object_bytes(&self) -> usize {
        self.usage.iter().map(|usage| usage.record_bytes + usage.external_bytes).sum()
    }

    fn each_shard(&self, out: &mut Samples<'_>, number: impl Fn(&Usage) -> u64) {
        self.usage.iter().enumerate().for_each(|(at, usage)| out.of(&[&at], number(usage)));
    }

    fn each_worker(&self, mut visit: impl FnMut(usize, &WorkerStats)) {
        self.server.stats.iter().enumerate().for_each(|(at, stats)| visit(at, stats));
    }
}

fn by_listener(facts: &Facts<'_>, out: &mut Samples<'_>) {
    out.of(&[&"main"], facts.clients(|client| !client.admin));
    out.of(&[&"other"], facts.clients(|client| client.admin));
}

fn commands_by_listener(facts: &Facts<'_>, out: &mut Samples<'_>) {
    let other = facts.total(|stats| stats.admin_commands.get());
    let all = facts.total(|stats| stats.commands.get());
    out.of(&[&"main"], all.saturating_sub(other));
    out.of(&[&"other"], other);
}

fn memory_by_class(facts: &Facts<'_>, out: &mut Samples<'_>) {
    let sum = |bytes: fn(&Usage) -> usize| facts.usage.iter().map(bytes).sum::<usize>();
    out.of(&[&"table_used"], sum(|usage| usage.table_bytes));
    out.of(&[&"object_used"], facts.object_bytes());
}

fn connection_errors(facts: &Facts<'_>, out: &mut Samples<'_>) {
    let arrivals = &facts.server.arrivals;
    let auth = facts.server.acl.log.total(Reason::Auth)
        + arrivals.http_auth_failures.load(Ordering::Relaxed);
    let causes = [
        ("protocol", facts.total(|stats| stats.protocol_errors.get())),
        ("timeout", facts.total(|stats| stats.timeouts.get())),
        ("output_limit", facts.total(|stats| stats.output_overflows.get())),
        ("query_limit", facts.total(|stats| stats.query_overflows.get())),
        ("memory_limit", facts.total(|stats| stats.evicted_clients.get())),
        ("auth", auth),
        ("maxclients", facts.limit_reached()),
        ("protected", arrivals.unprotected.load(Ordering::Relaxed)),
        ("accept", arrivals.accept_errors.load(Ordering::Relaxed)),
    ];
    causes.iter().for_each(|(cause, count)| out.of(&[cause], count));
}

fn latencies(facts: &Facts<'_>, out: &mut Samples<'_>) {
    facts.each_command(|name, at| {
        if let Some(latency) = facts.server.latency_total(at) {
            out.histogram(&name, &latency);
        }
    });
}

/// Nanoseconds as seconds.
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / NANOS
}

/// Writes the samples of one metric.
struct Samples<'a> {
    text: &'a mut String,
    metric: &'static Metric,
}

impl Samples<'_> {
    /// The one sample of a metric without labels.
    fn one(&mut self, value: impl Display) {
        self.sample("", &[], None, &value);
    }

    /// A sample with a value for each label.
    fn of(&mut self, labels: &[&dyn Display], value: impl Display) {
        self.sample("", labels, None, &value);
    }

    fn histogram(&mut self, label: &str, histogram: &Histogram) {
        let mut buckets = histogram.buckets().peekable();
        let mut count = 0;
        for bound in BOUNDS.map(|power| (1_u64 << power) - 1) {
            while let Some((_, calls)) = buckets.next_if(|(highest, _)| *highest <= bound) {
                count += calls;
            }
            self.sample("_bucket", &[&label], Some(&seconds(bound)), &count);
        }
        count += buckets.map(|(_, calls)| calls).sum::<u64>();
        self.sample("_bucket", &[&label], Some(&"+Inf"), &count);
        self.sample("_sum", &[&label], None, &seconds(histogram.nanos()));
        self.sample("_count", &[&label], None, &count);
    }

    /// `name{label="value",le="bound"} value`.
    fn sample(
        &mut self,
        suffix: &str,
        labels: &[&dyn Display],
        bound: Option<&dyn Display>,
        value: &dyn Display,
    ) {
        self.text.push_str(self.metric.name);
        self.text.push_str(suffix);
        let names = self.metric.labels.iter().zip(labels.iter().copied());
        let pairs = names.map(|(name, value)| (*name, value));
        let mut separator = '{';
        for (name, value) in pairs.chain(bound.map(|bound| ("le", bound))) {
            self.text.push(separator);
            separator = ',';
            let value = escaped_label(&value.to_string());
            self.text.push_str(&format!("{name}=\"{value}\""));
        }
        if separator == ',' {
            self.text.push('}');
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.text, " {value}");
    }
}

fn escaped_label(value: &str) -> String {
    escaped_help(value).replace('"', "\\\"")
}

fn escaped_help(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_of_letters_that_the_format_allows() {
        for (at, metric) in METRICS.iter().enumerate() {
            let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(metric.name.bytes().all(is_allowed), "{}", metric.name);
            assert!(METRICS[..at].iter().all(|other| other.name != metric.name), "{}", metric.name);
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped_label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let histogram = Histogram::default();
        histogram.record(1_023, 3);
        histogram.record(1_024, 2);
        histogram.record(1 << 40, 1);
        let metric = METRICS.iter().find(|metric| metric.kind == Kind::Histogram).unwrap();
        let mut text = String::new();
        Samples { text: &mut text, metric }.histogram("get", &histogram);
        let name = "anax_command_duration_seconds";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("{name}_bucket{{cmd=\"get\",le=\"0.000001023\"}} 3"));
        assert_eq!(lines[1], format!("{name}_bucket{{cmd=\"get\",le=\"0.000004095\"}} 5"));
        assert_eq!(lines[12], format!("{name}_bucket{{cmd=\"get\",le=\"17.179869183\"}} 5"));
        assert_eq!(lines[13], format!("{name}_bucket{{cmd=\"get\",le=\"+Inf\"}} 6"));
        assert!(lines[14].starts_with(&format!("{name}_sum{{cmd=\"get\"}} 1099.5")));
        assert_eq!(lines[15], format!("{name}_count{{cmd=\"get\"}} 6"));
    }
}
