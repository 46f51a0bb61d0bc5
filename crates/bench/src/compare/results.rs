//! What was measured: tables for people, JSON for programs, and the plots.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::progress::spoken;
use super::servers::Server;
use super::svg::{BarChart, Curves, Group, Series};
use super::{Context, memory, plural};
use crate::json::Json;
use crate::load::to_ms;

/// The server with which the others are compared, if it is there.
const REFERENCE: &str = "valkey";

/// Points of a latency curve: shares of the requests.
const SHARES: &[f64] = &[
    0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999,
];

/// CPU and latency of one server under one load.
#[derive(Clone, Debug)]
pub(crate) struct CpuRow {
    pub(crate) server: String,
    pub(crate) load: String,
    pub(crate) workers: u16,
    /// Requests of a cell: of one round.
    pub(crate) operations: u64,
    /// CPU time for a request, in microseconds; the medians need not add up.
    pub(crate) cpu_us: f64,
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// Latencies of all rounds.
    pub(crate) latency: Histogram<u64>,
}

/// CPU of one server under one load of the data types.
#[derive(Clone, Debug)]
pub(crate) struct TypesRow {
    pub(crate) server: String,
    pub(crate) load: String,
    /// CPU time for a request, in microseconds.
    pub(crate) cpu_us: f64,
}

/// Memory of one server for a key.
#[derive(Clone, Debug)]
pub(crate) struct MemoryRow {
    pub(crate) server: String,
    pub(crate) content: String,
    /// All of it, and what goes beyond key and value.
    pub(crate) resident_bytes: f64,
    pub(crate) overhead_bytes: f64,
}

/// Waits of a probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) p999_ms: f64,
    pub(crate) longest_ms: f64,
}

/// Waits around one event.
#[derive(Clone, Debug)]
pub(crate) struct StallRow {
    pub(crate) server: String,
    pub(crate) event: String,
    pub(crate) keys: u64,
    pub(crate) quiet: Waits,
    pub(crate) during: Waits,
}

/// One server that starts and rests.
#[derive(Clone, Debug)]
pub(crate) struct StartRow {
    pub(crate) server: String,
    pub(crate) first_pong_ms: f64,
    pub(crate) empty_bytes: u64,
    pub(crate) connections: u64,
    pub(crate) connection_bytes: f64,
}

/// Everything.
pub(crate) struct Results {
    date: String,
    /// What the figures depend on: names and values.
    setting: Vec<(String, String)>,
    servers: Vec<Server>,
    /// Workers in the sections that do not vary them.
    workers: u16,
    /// How long it took so far.
    pub(crate) took: Duration,
    pub(crate) cpu: Vec<CpuRow>,
    pub(crate) types: Vec<TypesRow>,
    pub(crate) memory: Vec<MemoryRow>,
    pub(crate) stall: Vec<StallRow>,
    pub(crate) start: Vec<StartRow>,
    /// What could not be measured, and why.
    pub(crate) notes: Vec<String>,
}

impl Results {
    /// Nothing measured yet.
    pub(crate) fn new(context: &Context<'_>) -> Self {
        let machine = &context.machine;
        let quick = if context.args.quick { ", quick" } else { "" };
        let mut setting = [
            ("Processor", machine.cpu.clone()),
            ("Cores", machine.cores.len().to_string()),
            ("Memory", format!("{:.1} GiB", machine.memory_bytes as f64 / 1_073_741_824.0)),
            ("Kernel", machine.kernel.clone()),
            ("Rounds", format!("{}{quick}", context.rounds)),
            ("Time of a cell", format!("{} s", context.cell.as_secs_f64())),
            ("Keys for CPU", context.keys.to_string()),
            ("Keys for memory", context.memory_keys.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        for &workers in &context.args.threads {
            let division = machine.divide(usize::from(workers));
            setting.push((format!("With {}", plural(workers)), division.describe()));
        }
        Self {
            date: context.args.date.clone().unwrap_or_else(today),
            setting,
            servers: context.servers.clone(),
            workers: context.workers(),
            took: Duration::ZERO,
            cpu: Vec::new(),
            types: Vec::new(),
            memory: Vec::new(),
            stall: Vec::new(),
            start: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Writes all files into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), String> {
        let mut files = self.plots();
        files.push(("results.md".to_owned(), self.markdown()));
        files.push(("results.json".to_owned(), format!("{}\n", self.json())));
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text)
                .map_err(|e| format!("Could not write {}: {e}", path.display()))?;
        }
        Ok(())
    }

    /// The tables.
    pub(crate) fn markdown(&self) -> String {
        let mut page = format!("# Servers side by side, {}\n\n", self.date);
        page.push_str(&self.setting_table());
        for workers in self.worker_counts() {
            page.push_str(&self.cpu_table(workers));
        }
        page.push_str(&self.types_table());
        page.push_str(&self.memory_table());
        page.push_str(&self.stall_table());
        page.push_str(&self.start_table());
        if !self.notes.is_empty() {
            page.push_str("\n## Not measured\n\n");
            self.notes.iter().for_each(|note| line(&mut page, format_args!("- {note}")));
        }
        page
    }

    fn setting_table(&self) -> String {
        let pairs = self.setting.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
        let took = vec!["Took".to_owned(), spoken(self.took)];
        let servers = self.servers.iter();
        let servers = servers.map(|s| vec![format!("Server {}", s.name), s.version.clone()]);
        let rows: Vec<_> = pairs.chain([took]).chain(servers).collect();
        table(&["what", "value"], &rows)
    }

    fn cpu_table(&self, workers: u16) -> String {
        let rows: Vec<&CpuRow> = self.cpu.iter().filter(|row| row.workers == workers).collect();
        let cells: Vec<Vec<String>> = rows.iter().map(|row| self.cpu_cells(row, &rows)).collect();
        let names = [
            "load",
            "server",
            "ops/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU us/op",
            "user / system",
            "x Valkey",
            "B/key",
            "ops a cell",
        ];
        format!(
            "\n## CPU per operation, {}\n\n{}\nB/key: resident bytes beyond key and value, for keys of 16 B \
             with values of {}, as in these loads. Ops a cell: requests of each round.\n",
            plural(workers),
            table(&names, &cells),
            memory::USUAL
        )
    }

    fn cpu_cells(&self, row: &CpuRow, all: &[&CpuRow]) -> Vec<String> {
        let mut same = all.iter().filter(|other| other.load == row.load);
        let base = same.find(|other| other.server == REFERENCE).map(|other| other.cpu_us);
        let mut usual = self.memory.iter().filter(|other| other.content == memory::USUAL);
        let per_key = usual.find(|other| other.server == row.server).map(|o| o.overhead_bytes);
        vec![
            row.load.clone(),
            self.label(&row.server),
            format!("{:.0}", row.rate),
            format!("{:.3}", row.p50_ms),
            format!("{:.3}", row.p99_ms),
            format!("{:.3}", row.p999_ms),
            format!("{:.3}", row.cpu_us),
            format!("{:.3} / {:.3}", row.user_us, row.system_us),
            ratio(row.cpu_us, base),
            per_key.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.1}")),
            row.operations.to_string(),
        ]
    }

    /// A column a server, and what the first costs as a ratio to the best of the others.
    fn types_table(&self) -> String {
        let mut loads: Vec<&str> = self.types.iter().map(|row| row.load.as_str()).collect();
        loads.dedup();
        let cells = loads.iter().map(|load| {
            let cost = |server: &Server| {
                let mut rows = self.types.iter().filter(|row| row.load == *load);
                rows.find(|row| row.server == server.name).map(|row| row.cpu_us)
            };
            let costs: Vec<Option<f64>> = self.servers.iter().map(cost).collect();
            let best = costs.iter().skip(1).flatten().copied().reduce(f64::min);
            let first = costs.first().copied().flatten();
            let told = |cost: &Option<f64>| cost.map_or("-".to_owned(), |us| format!("{us:.3}"));
            let mut cells = vec![(*load).to_owned()];
            cells.extend(costs.iter().map(told));
            cells.push(first.map_or("-".to_owned(), |first| ratio(first, best)));
            cells
        });
        let labels: Vec<String> =
            self.servers.iter().map(|server| format!("{} us/op", server.label())).collect();
        let mut names = vec!["load"];
        names.extend(labels.iter().map(String::as_str));
        names.push("x the best other");
        section(
            "CPU per operation of the data types, pipeline 32, 1 worker",
            &names,
            cells.collect(),
        )
    }

    fn memory_table(&self) -> String {
        let cells = self.memory.iter().map(|row| {
            let mut same = self.memory.iter().filter(|other| other.content == row.content);
            let base = same.find(|o| o.server == REFERENCE).map(|o| o.overhead_bytes);
            vec![
                row.content.clone(),
                self.label(&row.server),
                format!("{:.1}", row.resident_bytes),
                format!("{:.1}", row.overhead_bytes),
                ratio(row.overhead_bytes, base),
            ]
        });
        let names = ["value", "server", "resident B/key", "beyond key and value B", "x Valkey"];
        section("Bytes per key of 16 B", &names, cells.collect())
    }

    fn stall_table(&self) -> String {
        let cells = self.stall.iter().map(|row| {
            let mut same = self.stall.iter().filter(|other| other.event == row.event);
            let base = same.find(|o| o.server == REFERENCE).map(|o| o.during.longest_ms);
            vec![
                format!("{}, {} keys", row.event, row.keys),
                self.label(&row.server),
                format!("{:.3}", row.quiet.p999_ms),
                format!("{:.2}", row.quiet.longest_ms),
                format!("{:.3}", row.during.p999_ms),
                format!("{:.2}", row.during.longest_ms),
                ratio(row.during.longest_ms, base),
            ]
        });
        let names = [
            "event",
            "server",
            "quiet p99.9 ms",
            "quiet longest ms",
            "event p99.9 ms",
            "event longest ms",
            "x Valkey",
        ];
        let title = format!("Waits of a client beside it, {}", plural(self.workers));
        section(&title, &names, cells.collect())
    }

    fn start_table(&self) -> String {
        let base = self.start.iter().find(|o| o.server == REFERENCE).map(|o| o.connection_bytes);
        let cells = self.start.iter().map(|row| {
            vec![
                self.label(&row.server),
                format!("{:.1}", row.first_pong_ms),
                format!("{:.1}", row.empty_bytes as f64 / 1_048_576.0),
                row.connections.to_string(),
                format!("{:.0}", row.connection_bytes),
                ratio(row.connection_bytes, base),
            ]
        });
        let names = [
            "server",
            "first PONG ms",
            "resident when empty MiB",
            "idle connections",
            "B/connection",
            "x Valkey",
        ];
        section("Start and rest", &names, cells.collect())
    }

    fn worker_counts(&self) -> Vec<u16> {
        let mut counts: Vec<u16> = self.cpu.iter().map(|row| row.workers).collect();
        counts.dedup();
        counts
    }

    /// The plots with the names of their files.
    fn plots(&self) -> Vec<(String, String)> {
        let mut plots = Vec::new();
        for workers in self.worker_counts() {
            plots.push((format!("cpu-{workers}.svg"), self.cpu_chart(workers).render()));
            plots.push((format!("rate-{workers}.svg"), self.rate_chart(workers).render()));
            if let Some(curves) = self.latency_curves(workers) {
                plots.push((format!("latency-{workers}.svg"), curves.render()));
            }
        }
        if !self.memory.is_empty() {
            plots.push(("memory.svg".to_owned(), self.memory_chart().render()));
        }
        if !self.stall.is_empty() {
            plots.push(("stall.svg".to_owned(), self.stall_chart().render()));
        }
        plots
    }

    fn cpu_chart(&self, workers: u16) -> BarChart {
        let rows = self.cpu.iter().filter(|row| row.workers == workers);
        let bars = rows.map(|row| (row.load.clone(), self.label(&row.server), row.cpu_us));
        BarChart {
            title: format!("CPU time per operation, {}", plural(workers)),
            note: "the server's CPU time for an operation, in microseconds (us); less is better",
            unit: "us",
            // Pipelined operations cost a tenth: each group has its own scale.
            own_scales: true,
            series: self.series(),
            groups: groups(bars),
        }
    }

    fn rate_chart(&self, workers: u16) -> BarChart {
        // On a timetable all have the same rate.
        let rows = self.cpu.iter().filter(|r| r.workers == workers && !is_on_timetable(r));
        let bars = rows.map(|row| (row.load.clone(), self.label(&row.server), row.rate));
        BarChart {
            title: format!("Operations per second, {}", plural(workers)),
            note: "thousands (k) and millions (M) of operations per second; more is better",
            unit: "ops/s",
            own_scales: true,
            series: self.series(),
            groups: groups(bars),
        }
    }

    fn memory_chart(&self) -> BarChart {
        let rows = self.memory.iter();
        let bars = rows.map(|r| (r.content.clone(), self.label(&r.server), r.overhead_bytes));
        BarChart {
            title: "Memory per key beyond key (16 B) and value".to_owned(),
            note: "resident bytes (B) per key; less is better",
            unit: "B",
            own_scales: false,
            series: self.series(),
            groups: groups(bars),
        }
    }

    fn stall_chart(&self) -> BarChart {
        let figure = |row: &StallRow, name: &str, ms: f64| {
            (format!("{}, {name}", row.event), self.label(&row.server), ms)
        };
        let bars = self.stall.iter().flat_map(|row| {
            let during = row.during;
            [figure(row, "p99.9", during.p999_ms), figure(row, "longest", during.longest_ms)]
        });
        BarChart {
            title: format!("Waits of another client in the event, {}", plural(self.workers)),
            note: "how long another client's GET takes, in milliseconds (ms); less is better",
            unit: "ms",
            own_scales: true,
            series: self.series(),
            groups: groups(bars),
        }
    }

    /// The curves of the load on a timetable, which comes last.
    fn latency_curves(&self, workers: u16) -> Option<Curves> {
        let mut mine = self.cpu.iter().filter(|row| row.workers == workers);
        let load = &mine.clone().next_back().filter(|row| is_on_timetable(row))?.load;
        let curve = |row: &CpuRow| {
            let at = |share: f64| to_ms(row.latency.value_at_quantile(share)).max(1e-3);
            let points = SHARES.iter().map(|&share| (share, at(share))).collect();
            (self.label(&row.server), points)
        };
        Some(Curves {
            title: format!("Latency of {load}, {}", plural(workers)),
            series: self.series(),
            curves: mine.by_ref().filter(|row| row.load == *load).map(curve).collect(),
        })
    }

    /// A server's name with its version.
    fn label(&self, name: &str) -> String {
        let found = self.servers.iter().find(|server| server.name == name);
        found.map_or_else(|| name.to_owned(), Server::label)
    }

    fn series(&self) -> Vec<Series> {
        let series = |server: &Server| Series { name: server.label(), colour: server.colour };
        self.servers.iter().map(series).collect()
    }

    fn json(&self) -> Json {
        let setting = self.setting.iter().map(|(name, v)| (name.clone(), v.as_str().into()));
        let servers = self.servers.iter().map(|s| (s.name.clone(), s.version.as_str().into()));
        let notes = self.notes.iter().map(|note| note.as_str().into());
        Json::object([
            ("date", self.date.as_str().into()),
            ("setting", Json::Object(setting.collect())),
            ("took_seconds", self.took.as_secs_f64().into()),
            ("servers", Json::Object(servers.collect())),
            ("cpu", Json::List(self.cpu.iter().map(cpu_json).collect())),
            ("types", Json::List(self.types.iter().map(types_json).collect())),
            ("memory", Json::List(self.memory.iter().map(memory_json).collect())),
            ("stall", Json::List(self.stall.iter().map(stall_json).collect())),
            ("start", Json::List(self.start.iter().map(start_json).collect())),
            ("not_measured", Json::List(notes.collect())),
        ])
    }
}

fn is_on_timetable(row: &CpuRow) -> bool {
    row.load.contains("timetable")
}

fn cpu_json(row: &CpuRow) -> Json {
    let point = |&share: &f64| {
        let ms = to_ms(row.latency.value_at_quantile(share));
        Json::List(vec![share.into(), ms.into()])
    };
    Json::object([
        ("server", row.server.as_str().into()),
        ("load", row.load.as_str().into()),
        ("workers", u64::from(row.workers).into()),
        ("operations", row.operations.into()),
        ("cpu_us", row.cpu_us.into()),
        ("user_us", row.user_us.into()),
        ("system_us", row.system_us.into()),
        ("rate", row.rate.into()),
        ("p50_ms", row.p50_ms.into()),
        ("p99_ms", row.p99_ms.into()),
        ("p99.9_ms", row.p999_ms.into()),
        ("latency_ms", Json::List(SHARES.iter().map(point).collect())),
    ])
}

fn types_json(row: &TypesRow) -> Json {
    Json::object([
        ("server", row.server.as_str().into()),
        ("load", row.load.as_str().into()),
        ("cpu_us", row.cpu_us.into()),
    ])
}

fn memory_json(row: &MemoryRow) -> Json {
    Json::object([
        ("server", row.server.as_str().into()),
        ("value", row.content.as_str().into()),
        ("resident_bytes_per_key", row.resident_bytes.into()),
        ("overhead_bytes_per_key", row.overhead_bytes.into()),
    ])
}

fn stall_json(row: &StallRow) -> Json {
    let waits = |waits: &Waits| {
        Json::object([("p99.9_ms", waits.p999_ms.into()), ("longest_ms", waits.longest_ms.into())])
    };
    Json::object([
        ("server", row.server.as_str().into()),
        ("event", row.event.as_str().into()),
        ("keys", row.keys.into()),
        ("quiet", waits(&row.quiet)),
        ("during", waits(&row.during)),
    ])
}

fn start_json(row: &StartRow) -> Json {
    Json::object([
        ("server", row.server.as_str().into()),
        ("first_pong_ms", row.first_pong_ms.into()),
        ("empty_bytes", row.empty_bytes.into()),
        ("connections", row.connections.into()),
        ("bytes_per_connection", row.connection_bytes.into()),
    ])
}

/// Bars in groups of the same name, in the order in which the names first come.
fn groups(bars: impl Iterator<Item = (String, String, f64)>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (name, series, value) in bars {
        let bar = (series, value);
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.bars.push(bar),
            None => groups.push(Group { name, bars: vec![bar] }),
        }
    }
    groups
}

/// A headed table, or nothing if it has no rows.
fn section(title: &str, names: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() { String::new() } else { format!("\n## {title}\n\n{}", table(names, &rows)) }
}

fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("| {} |", names.join(" | ")));
    line(&mut text, format_args!("|{}", " --- |".repeat(names.len())));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        line(&mut text, format_args!("| {} |", cells.join(" | ")));
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("a string takes what is written to it");
}

fn ratio(figure: f64, base: Option<f64>) -> String {
    base.map_or_else(|| "-".to_owned(), |base| format!("{:.2}", figure / base))
}

/// The clock's date.
fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = civil_date(since.as_secs() / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar:
/// whole years are taken off first, then whole months.
fn civil_date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if days < length {
            return (year, month, days + 1);
        }
        days -= length;
    }
    unreachable!("a year has no more days than its months")
}

#[cfg(test)]
mod tests {
    use super::super::servers;
    use super::*;

    fn results() -> Results {
        let mut latency = Histogram::new_with_bounds(1, 1_000_000_000, 3).unwrap();
        latency.record_n(200_000, 1000).unwrap();
        let cpu = |server: &str, load: &str, cpu_us| CpuRow {
            server: server.to_owned(),
            load: load.to_owned(),
            workers: 1,
            operations: 120_000,
            cpu_us,
            user_us: cpu_us / 4.0,
            system_us: cpu_us * 3.0 / 4.0,
            rate: 100_000.0,
            p50_ms: 0.2,
            p99_ms: 0.2,
            p999_ms: 0.2,
            latency: latency.clone(),
        };
        let types = |server: &str, cpu_us| TypesRow {
            server: server.to_owned(),
            load: "SPOP".to_owned(),
            cpu_us,
        };
        let waits = Waits { p999_ms: 0.5, longest_ms: 3.0 };
        Results {
            date: "2026-01-02".to_owned(),
            setting: vec![("Processor".to_owned(), "A | B".to_owned())],
            servers: [("anax", 0), ("valkey", 1)]
                .map(|(name, colour)| servers::given(name, "/no/such PORT", colour))
                .to_vec(),
            workers: 2,
            took: Duration::from_secs(75),
            cpu: vec![
                cpu("anax", "GET", 5.0),
                cpu("valkey", "GET", 8.0),
                cpu("anax", "GET, 50/s on a timetable", 5.0),
            ],
            types: vec![types("anax", 0.5), types("valkey", 1.0)],
            memory: vec![MemoryRow {
                server: "anax".to_owned(),
                content: "64 B".to_owned(),
                resident_bytes: 50.0,
                overhead_bytes: 18.0,
            }],
            stall: vec![StallRow {
                server: "valkey".to_owned(),
                event: "growth".to_owned(),
                keys: 5,
                quiet: waits,
                during: waits,
            }],
            start: vec![StartRow {
                server: "anax".to_owned(),
                first_pong_ms: 3.0,
                empty_bytes: 1 << 20,
                connections: 10,
                connection_bytes: 512.0,
            }],
            notes: vec!["redis, growth: no".to_owned()],
        }
    }

    #[test]
    fn tables_have_a_cell_for_every_column() {
        let page = results().markdown();
        let mut columns = 0;
        for line in page.lines() {
            let bars = line.replace("\\|", "").matches('|').count();
            match line.starts_with('|') {
                true if columns == 0 => columns = bars,
                true => assert_eq!(bars, columns, "{line}"),
                false => columns = 0,
            }
        }
        let row = "| GET | anax | 100000 | 0.200 | 0.200 | 0.200 | 5.000 | 1.250 / 3.750 | 0.62 | 18.0 | 120000 |";
        assert!(page.contains(row), "{page}");
        assert!(
            page.contains("| GET | valkey | 100000 | 0.200 | 0.200 | 0.200 | 8.000 |"),
            "{page}"
        );
        assert!(page.contains("| SPOP | 0.500 | 1.000 | 0.50 |"), "{page}");
        assert!(page.contains("| Took | 1 min 15 s |"), "{page}");
        assert!(page.contains("## Waits of a client beside it, 2 workers\n"), "{page}");
        assert!(page.contains("## Not measured\n\n- redis, growth: no\n"));
    }

    #[test]
    fn every_section_is_in_the_json() {
        let text = results().json().to_string();
        for part in [
            "\"date\":\"2026-01-02\"",
            "\"operations\":120000",
            "\"took_seconds\":75",
            "\"cpu_us\":5",
            "\"load\":\"SPOP\"",
            "\"overhead_bytes_per_key\":18",
        ] {
            assert!(text.contains(part), "{part}");
        }
        for part in ["\"longest_ms\":3", "\"bytes_per_connection\":512", "\"not_measured\":[\""] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn every_section_has_its_plots() {
        let names: Vec<String> = results().plots().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["cpu-1.svg", "rate-1.svg", "latency-1.svg", "memory.svg", "stall.svg"]);
    }

    #[test]
    fn a_rate_that_the_timetable_decides_is_in_no_chart_of_rates() {
        let groups = results().rate_chart(1).groups;
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["GET"]);
    }

    #[test]
    fn days_become_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_818, (2026, 12, 31)),
            (20_819, (2027, 1, 1)),
        ] {
            assert_eq!(civil_date(days), date, "{days}");
        }
    }
}
