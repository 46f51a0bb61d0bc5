//! What is printed of a finished test: text, a line, a CSV row or a JSON object.
//!
//! Text and CSV have the shape of redis-benchmark's, so that scripts which read
//! those go on working; what is new comes below or to the right.

use std::fmt::Write;
use std::time::Duration;

use crate::json::Json;
use crate::load::{Outcome, to_ms};

/// The columns of the CSV form: redis-benchmark's eight and then ours.
pub(crate) const CSV_HEADER: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\
    \"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\",\
    \"p90_latency_ms\",\"p99.9_latency_ms\",\"p99.99_latency_ms\",\"requests\",\"errors\",\"unsent\"";

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Everything, for people.
    Text,
    /// One line.
    Quiet,
    /// A row.
    Csv,
    /// An object on a line.
    Json,
}

/// What the text form says of the load itself.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Connections.
    pub(crate) clients: usize,
    /// Payload in bytes.
    pub(crate) payload_bytes: usize,
    /// Requests in a pipeline.
    pub(crate) depth: usize,
    /// Whether connections are kept.
    pub(crate) keep_alive: bool,
    /// Threads, if the user asked for more than one.
    pub(crate) threads: usize,
    /// Requests a second on a timetable.
    pub(crate) rate: Option<u64>,
    /// Decimals of latencies.
    pub(crate) precision: usize,
}

/// The report on one test, with its line end.
pub(crate) fn render(form: Form, title: &str, outcome: &Outcome, setting: &Setting) -> String {
    match form {
        Form::Text => text(title, outcome, setting),
        Form::Quiet => quiet(title, outcome, setting.precision),
        Form::Csv => csv(title, outcome, setting.precision),
        Form::Json => format!("{}\n", json(title, outcome, setting)),
    }
}

fn quiet(title: &str, outcome: &Outcome, precision: usize) -> String {
    let (rate, p50) = (outcome.rate(), outcome.quantile_ms(0.5));
    format!("{title}: {rate:.2} requests per second, p50={p50:.precision$} msec\n")
}

fn csv(title: &str, outcome: &Outcome, precision: usize) -> String {
    let mut row = format!("\"{}\",\"{:.2}\"", title.replace('"', "\"\""), outcome.rate());
    let quantiles = [0.5, 0.95, 0.99, 1.0, 0.9, 0.999, 0.9999].map(|q| outcome.quantile_ms(q));
    for ms in [mean_ms(outcome), min_ms(outcome)].into_iter().chain(quantiles) {
        write(&mut row, format_args!(",\"{ms:.precision$}\""));
    }
    let (requests, errors, unsent) = (outcome.requests, outcome.errors, outcome.unsent);
    write(&mut row, format_args!(",\"{requests}\",\"{errors}\",\"{unsent}\"\n"));
    row
}

fn json(title: &str, outcome: &Outcome, setting: &Setting) -> Json {
    let ms = |share: f64| Json::Number(outcome.quantile_ms(share));
    Json::object([
        ("test", title.into()),
        ("rps", outcome.rate().into()),
        ("requests", outcome.requests.into()),
        ("errors", outcome.errors.into()),
        ("first_error", outcome.first_error.as_deref().into()),
        ("unsent", outcome.unsent.into()),
        ("seconds", outcome.elapsed.as_secs_f64().into()),
        ("clients", (setting.clients as u64).into()),
        ("threads", (setting.threads as u64).into()),
        ("pipeline", (setting.depth as u64).into()),
        ("payload_bytes", (setting.payload_bytes as u64).into()),
        ("rate", setting.rate.into()),
        ("latency_ms", latency_json(outcome, ms)),
    ])
}

fn latency_json(outcome: &Outcome, ms: impl Fn(f64) -> Json) -> Json {
    Json::object([
        ("avg", mean_ms(outcome).into()),
        ("min", min_ms(outcome).into()),
        ("p50", ms(0.5)),
        ("p90", ms(0.9)),
        ("p95", ms(0.95)),
        ("p99", ms(0.99)),
        ("p99.9", ms(0.999)),
        ("p99.99", ms(0.9999)),
        ("max", outcome.max_ms().into()),
    ])
}

fn text(title: &str, outcome: &Outcome, setting: &Setting) -> String {
    let mut page = format!("====== {title} ======\n");
    page.push_str(&setting_lines(outcome, setting));
    page.push_str(&percentile_lines(outcome, setting.precision));
    page.push_str(&cumulative_lines(outcome, setting.precision));
    page.push_str(&summary_lines(outcome, setting.precision));
    page
}

fn setting_lines(outcome: &Outcome, setting: &Setting) -> String {
    let seconds = outcome.elapsed.as_secs_f64();
    let mut lines = format!("  {} requests completed in {seconds:.2} seconds\n", outcome.requests);
    let keep_alive = u8::from(setting.keep_alive);
    write(&mut lines, format_args!("  {} parallel clients\n", setting.clients));
    write(&mut lines, format_args!("  {} bytes payload\n", setting.payload_bytes));
    write(&mut lines, format_args!("  keep alive: {keep_alive}\n"));
    let many = if setting.threads > 1 { "yes" } else { "no" };
    write(&mut lines, format_args!("  multi-thread: {many}\n"));
    if setting.threads > 1 {
        write(&mut lines, format_args!("  threads: {}\n", setting.threads));
    }
    if setting.depth > 1 {
        write(&mut lines, format_args!("  pipeline: {}\n", setting.depth));
    }
    if let Some(rate) = setting.rate {
        write(&mut lines, format_args!("  open loop: {rate} requests per second\n"));
    }
    lines
}

/// The median, three quarters, seven eighths and so on to the last request.
fn percentile_lines(outcome: &Outcome, precision: usize) -> String {
    let mut lines = String::from("\nLatency by percentile distribution:\n");
    let total = outcome.latency.len();
    let mut above = 1.0;
    loop {
        let value = outcome.latency.value_at_quantile(1.0 - above).min(outcome.latency.max());
        let count = outcome.latency.count_between(0, value);
        lines.push_str(&count_line(100.0 * (1.0 - above), value, count, precision));
        if count >= total {
            break;
        }
        above /= 2.0;
    }
    lines.push_str(&count_line(100.0, outcome.latency.max(), total, precision));
    lines
}

/// How many requests took no longer than 0.1 ms, 0.2 ms, 0.4 ms and so on.
fn cumulative_lines(outcome: &Outcome, precision: usize) -> String {
    let mut lines = String::from("\nCumulative distribution of latencies:\n");
    let total = outcome.latency.len().max(1);
    let mut bound = 100_000;
    loop {
        let count = outcome.latency.count_between(0, bound);
        let percent = 100.0 * count as f64 / total as f64;
        lines.push_str(&count_line(percent, bound, count, precision));
        if bound >= outcome.latency.max() {
            return lines;
        }
        bound *= 2;
    }
}

fn count_line(percent: f64, value: u64, count: u64, precision: usize) -> String {
    let ms = to_ms(value);
    format!("{percent:.3}% <= {ms:.precision$} milliseconds (cumulative count {count})\n")
}

fn summary_lines(outcome: &Outcome, precision: usize) -> String {
    let quantile = |share| outcome.quantile_ms(share);
    let usual = [
        ("avg", mean_ms(outcome)),
        ("min", min_ms(outcome)),
        ("p50", quantile(0.5)),
        ("p95", quantile(0.95)),
        ("p99", quantile(0.99)),
        ("max", outcome.max_ms()),
    ];
    let tail = [("p90", quantile(0.9)), ("p99.9", quantile(0.999)), ("p99.99", quantile(0.9999))];
    let mut lines = String::from("\nSummary:\n");
    write(
        &mut lines,
        format_args!("  throughput summary: {:.2} requests per second\n", outcome.rate()),
    );
    write(&mut lines, format_args!("  latency summary (msec):\n{}", table(&usual, precision)));
    write(&mut lines, format_args!("  latency tail (msec):\n{}", table(&tail, precision)));
    lines
}

/// A line of names above a line of figures.
fn table(cells: &[(&str, f64)], precision: usize) -> String {
    let (mut names, mut figures) = (String::from("    "), String::from("    "));
    for (name, ms) in cells {
        write(&mut names, format_args!("{name:>9} "));
        write(&mut figures, format_args!("{ms:>9.precision$} "));
    }
    format!("{}\n{}\n", names.trim_end(), figures.trim_end())
}

/// One line on what went wrong, if something did.
pub(crate) fn complaint(outcome: &Outcome) -> Option<String> {
    if outcome.errors > 0 {
        let first = outcome.first_error.as_deref().unwrap_or("unknown");
        let (errors, requests) = (outcome.errors, outcome.requests);
        return Some(format!("{errors} of {requests} replies were errors; the first: {first}"));
    }
    (outcome.unsent > 0).then(|| {
        let unsent = outcome.unsent;
        format!("the server fell behind: {unsent} requests that were due had not been sent when the time was up, and are in no figure")
    })
}

/// The progress of a test: the rate of late and of all, and the mean latency.
pub(crate) fn progress_line(
    title: &str,
    late: (f64, f64),
    all: (f64, f64),
    passed: Duration,
) -> String {
    let seconds = passed.as_secs_f64();
    format!(
        "{title}: rps={:.1} (overall: {:.1}) avg_msec={:.3} (overall: {:.3}) {seconds:.1} s",
        late.0, all.0, late.1, all.1
    )
}

fn mean_ms(outcome: &Outcome) -> f64 {
    outcome.latency.mean() / 1e6
}

fn min_ms(outcome: &Outcome) -> f64 {
    to_ms(outcome.latency.min())
}

/// Writes to a string, which takes everything.
fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes what is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;

    fn outcome() -> Outcome {
        let mut latency = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        for ms in 1..=100 {
            latency.record(ms * 1_000_000).unwrap();
        }
        Outcome {
            latency,
            elapsed: Duration::from_millis(500),
            requests: 100,
            errors: 0,
            first_error: None,
            unsent: 0,
        }
    }

    fn setting() -> Setting {
        Setting {
            clients: 50,
            payload_bytes: 3,
            depth: 1,
            keep_alive: true,
            threads: 1,
            rate: None,
            precision: 3,
        }
    }

    #[test]
    fn text_has_the_lines_that_scripts_look_for() {
        let page = render(Form::Text, "GET", &outcome(), &setting());
        assert!(page.starts_with("====== GET ======\n  100 requests completed in 0.50 seconds\n"));
        assert!(page.contains("\n  throughput summary: 200.00 requests per second\n"));
        let lines: Vec<&str> = page.lines().collect();
        let at = lines.iter().position(|line| line.contains("latency summary (msec):")).unwrap();
        let names: Vec<&str> = lines[at + 1].split_whitespace().collect();
        assert_eq!(names, ["avg", "min", "p50", "p95", "p99", "max"]);
        assert_eq!(lines[at + 2].split_whitespace().count(), 6);
        assert!(page.contains("100.000% <= "));
    }

    #[test]
    fn a_csv_row_has_a_cell_for_every_column() {
        let row = render(Form::Csv, "say \"hi\"", &outcome(), &setting());
        assert!(row.starts_with("\"say \"\"hi\"\"\",\"200.00\",\"50."), "{row}");
        assert_eq!(row.matches(',').count(), CSV_HEADER.matches(',').count());
    }

    #[test]
    fn a_quiet_line_has_rate_and_median() {
        let line = render(Form::Quiet, "GET", &outcome(), &Setting { precision: 0, ..setting() });
        assert_eq!(line, "GET: 200.00 requests per second, p50=50 msec\n");
    }

    #[test]
    fn json_is_one_line_with_every_percentile() {
        let line = render(Form::Json, "GET", &outcome(), &setting());
        assert_eq!(line.matches('\n').count(), 1);
        for name in
            ["\"p50\"", "\"p90\"", "\"p95\"", "\"p99\"", "\"p99.9\"", "\"p99.99\"", "\"max\""]
        {
            assert!(line.contains(name), "{name}");
        }
    }

    #[test]
    fn errors_are_complained_about_with_the_first_text() {
        assert_eq!(complaint(&outcome()), None);
        let failed = Outcome { errors: 2, first_error: Some("ERR no".to_owned()), ..outcome() };
        let line = complaint(&failed).unwrap();
        assert_eq!(line, "2 of 100 replies were errors; the first: ERR no");
    }

    #[test]
    fn an_empty_outcome_is_reported_too() {
        let mut empty = outcome();
        empty.latency.reset();
        for form in [Form::Text, Form::Quiet, Form::Csv, Form::Json] {
            assert!(render(form, "GET", &empty, &setting()).contains("GET"));
        }
    }
}
