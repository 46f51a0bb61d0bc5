//! LATENCY: events that took longer than a threshold, and how long each command takes.

use std::fmt::Write;

use command::{Arity, Command, CommandError, Flags, Group, Run};

use super::{Call, HELP, Next, SessionRow};
use crate::info;
use crate::latency::Series;

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: LATENCY, run: latency }];

const BASE: Command = Command {
    run: Run::Session,
    arity: Arity::Exactly(2),
    flags: Flags::ADMIN.and(Flags::NO_SCRIPT).and(Flags::LOADING).and(Flags::STALE),
    group: Group::Server,
    since: "2.8.13",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    ..Command::BASE
};

const LATENCY: Command = Command {
    name: "LATENCY",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    flags: Flags::NONE,
    summary: "Tells of events that took long, and how long commands take.",
    complexity: "Depends on subcommand.",
    tips: &[],
    subcommands: &[
        DOCTOR,
        GRAPH,
        Command { since: "2.8.13", ..HELP },
        HISTOGRAM,
        HISTORY,
        LATEST,
        RESET,
    ],
    ..BASE
};

const DOCTOR: Command = Command {
    name: "DOCTOR",
    summary: "Says what took long, and what can be done about it.",
    ..BASE
};

const GRAPH: Command = Command {
    name: "GRAPH",
    arity: Arity::Exactly(3),
    summary: "Draws the samples of an event.",
    syntax: "event",
    ..BASE
};

const HISTOGRAM: Command = Command {
    name: "HISTOGRAM",
    arity: Arity::AtLeast(2),
    since: "7.0.0",
    summary: "Returns how long calls of commands took: how many took up to 1, 2, 4 ... us.",
    complexity: "O(N) where N is the number of commands",
    syntax: "[command ...]",
    ..BASE
};

const HISTORY: Command = Command {
    name: "HISTORY",
    arity: Arity::Exactly(3),
    summary: "Returns the samples of an event: when it was, and how many ms it took.",
    syntax: "event",
    ..BASE
};

const LATEST: Command = Command {
    name: "LATEST",
    summary: "Returns of each event its latest sample and how many ms it took at most.",
    ..BASE
};

const RESET: Command = Command {
    name: "RESET",
    arity: Arity::AtLeast(2),
    summary: "Forgets the samples of some events, or of all.",
    syntax: "[event ...]",
    tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
    ..BASE
};

fn latency(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let monitor = &call.batch.server.latency;
    let mut args = call.args();
    match call.command.name {
        "LATEST" => latest(call),
        "HISTORY" => {
            let series = monitor.of(args.bytes()?).map(|(_, series)| series).unwrap_or_default();
            history(call, &series);
        }
        "RESET" if args.is_empty() => {
            let reset = monitor.reset_all();
            call.reply().integer(reset as i64);
        }
        "RESET" => {
            let reset = args.rest().filter(|event| monitor.reset(event)).count();
            call.reply().integer(reset as i64);
        }
        "GRAPH" => {
            let event = args.bytes()?;
            let Some((name, series)) = monitor.of(event) else {
                let event = String::from_utf8_lossy(event).into_owned();
                return Err(CommandError::text(format!(
                    "ERR No samples available for event '{event}'"
                )));
            };
            let text = graph(name, &series, call.batch.now / 1000);
            call.reply().verbatim("txt", text.as_bytes());
        }
        "DOCTOR" => {
            let settings = call.batch.settings;
            let text = diagnose(
                &monitor.all().into_iter().collect::<Vec<_>>(),
                settings.latency_threshold_millis,
                settings.slowlog_micros,
            );
            call.reply().verbatim("txt", text.as_bytes());
        }
        "HISTOGRAM" => histogram(call),
        _ => return Ok(call.help()),
    }
    Ok(Next::Done)
}

fn latest(call: &mut Call<'_>) {
    let all = call.batch.server.latency.all();
    let mut reply = call.reply();
    reply.array(all.len());
    for (event, series) in all {
        let last = series.samples.back().map_or((0, 0), |last| (last.unix_seconds, last.millis));
        reply.array(4);
        reply.bulk(event.as_bytes());
        let numbers = [last.0, last.1, series.millis_max];
        numbers.iter().for_each(|&number| reply.integer(number as i64));
    }
}

fn history(call: &mut Call<'_>, series: &Series) {
    let mut reply = call.reply();
    reply.array(series.samples.len());
    for sample in &series.samples {
        reply.array(2);
        reply.integer(sample.unix_seconds as i64);
        reply.integer(sample.millis as i64);
    }
}

/// Columns of a graph.
const COLUMNS_MAX: usize = 80;

/// Lines of a graph.
const ROWS_MAX: u64 = 4;

/// The latest samples as columns of characters, lowest at the bottom; below each how long ago it
/// was, to be read downwards.
fn graph(event: &str, series: &Series, now_seconds: u64) -> String {
    let shown = series.samples.len().min(COLUMNS_MAX);
    let samples: Vec<_> = series.samples.iter().skip(series.samples.len() - shown).collect();
    let low = samples.iter().map(|sample| sample.millis).min().unwrap_or(0);
    let high = samples.iter().map(|sample| sample.millis).max().unwrap_or(0);
    let most = series.millis_max;
    let mut text = format!("{event} - high {high} ms, low {low} ms (all time high {most} ms)\n");
    text.push_str(&"-".repeat(COLUMNS_MAX));
    text.push('\n');
    // Each line tells three levels apart.
    let levels = ROWS_MAX * 3 - 1;
    let level = |millis: u64| match high - low {
        0 => 0,
        span => (millis - low) * levels / span,
    };
    for row in (0..ROWS_MAX).rev() {
        let column = |millis: u64| match level(millis) {
            level if level / 3 > row => '|',
            level if level / 3 < row => ' ',
            level => ['_', 'o', '#'][(level % 3) as usize],
        };
        text.extend(samples.iter().map(|sample| column(sample.millis)));
        text.push('\n');
    }
    text.push('\n');
    let ages: Vec<String> =
        samples.iter().map(|sample| age(now_seconds.saturating_sub(sample.unix_seconds))).collect();
    for at in 0..ages.iter().map(String::len).max().unwrap_or(0) {
        let letter = |age: &String| age.chars().nth(at).unwrap_or(' ');
        text.extend(ages.iter().map(letter));
        text.push('\n');
    }
    text
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Says in words what took long.
fn diagnose(events: &[(&str, Series)], threshold_millis: u64, slowlog_micros: i64) -> String {
    if threshold_millis == 0 && events.is_empty() {
        return "Nothing is recorded: latency-monitor-threshold is 0. CONFIG SET \
                latency-monitor-threshold <milliseconds> begins to record what takes longer.\n"
            .to_owned();
    }
    if events.is_empty() {
        return format!("No event has taken {threshold_millis} ms or longer.\n");
    }
    let mut text = format!("Events that took {threshold_millis} ms or longer:\n\n");
    for (event, series) in events {
        let (mean, deviation, period) = series.summary();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            " * {event}: {} samples, {mean:.0} ms on average (mean deviation {deviation:.0} ms), \
             one each {period:.1} s; {} ms at most.",
            series.samples.len(),
            series.millis_max,
        );
    }
    text.push('\n');
    let seen = |name: &str| events.iter().any(|(event, _)| *event == name);
    if seen(crate::latency::COMMAND) || seen(crate::latency::FAST_COMMAND) {
        let logs = u64::try_from(slowlog_micros).is_ok_and(|us| us <= threshold_millis * 1000);
        text.push_str(if logs {
            " - SLOWLOG GET shows which commands they were.\n"
        } else {
            " - The slow log takes only what is slower still: lower slowlog-log-slower-than to see \
             which commands they were.\n"
        });
    }
    if seen(crate::latency::FAST_COMMAND) {
        text.push_str(
            " - Commands that are fast by nature took long: look for a machine that is short of \
             processors or memory, or for values of many megabytes.\n",
        );
    }
    if seen(crate::latency::EXPIRE_CYCLE) || seen(crate::latency::EXPIRE_DEL) {
        text.push_str(
            " - Removing what has expired took long: many keys expire at the same moment, or big \
             values do and lazyfree-lazy-expire is off.\n",
        );
    }
    text
}

/// The boundary between two buckets of HISTOGRAM, in ns: 2^n, with the precision that the
/// reference server's histogram has at that size.
fn boundary(doubling: u32) -> u64 {
    (1024 << doubling) + (8 << doubling) - 1
}

/// Calls that took up to a number of us, for rising numbers: those at which there are more calls.
fn cumulative(buckets: &[(u64, u64)]) -> Vec<(u64, u64)> {
    const DOUBLINGS: u32 = 40;
    let mut list = Vec::new();
    let mut before = 0;
    for boundary in (0..DOUBLINGS).map(boundary) {
        let below = buckets.iter().filter(|(highest, _)| *highest <= boundary);
        let calls = below.map(|(_, count)| count).sum();
        if calls > before {
            list.push((boundary / 1000, calls));
            before = calls;
        }
    }
    list
}

fn histogram(call: &mut Call<'_>) {
    let server = call.batch.server;
    let args = call.args();
    // A command's name stands for its subcommands, too.
    let asked = |name: &str| {
        let container = name.split('|').next().unwrap_or(name);
        args.is_empty()
            || args.rest().any(|word| {
                word.eq_ignore_ascii_case(name.as_bytes())
                    || word.eq_ignore_ascii_case(container.as_bytes())
            })
    };
    let called = info::called(server).filter(|(name, _)| asked(name));
    let measured = called.map(|(name, number)| (name, info::latency_buckets(server, number)));
    let measured: Vec<_> = measured.filter(|(_, (_, calls))| *calls > 0).collect();
    let mut reply = call.reply();
    reply.map(measured.len());
    for (name, (buckets, calls)) in measured {
        let list = cumulative(&buckets);
        reply.bulk(name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.integer(calls as i64);
        reply.bulk(b"histogram_usec");
        reply.map(list.len());
        for (micros, calls) in list {
            reply.integer(micros as i64);
            reply.integer(calls as i64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Sample;

    fn series(millis: &[u64]) -> Series {
        let samples = (1..).zip(millis);
        let samples = samples.map(|(unix_seconds, &millis)| Sample { unix_seconds, millis });
        let millis_max = millis.iter().copied().max().unwrap_or(0);
        Series { samples: samples.collect(), millis_max }
    }

    #[test]
    fn boundaries_are_those_of_the_reference_server() {
        let micros = [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16_908];
        for (doubling, micros) in (0..).zip(micros) {
            assert_eq!(boundary(doubling) / 1000, micros);
        }
    }

    #[test]
    fn counts_rise_to_the_number_of_calls() {
        let list = cumulative(&[(900, 5), (30_000, 1), (10_000_000, 2)]);
        assert_eq!(list, [(1, 5), (33, 6), (16_908, 8)]);
        assert!(cumulative(&[]).is_empty());
    }

    #[test]
    fn a_graph_has_a_column_a_sample() {
        let text = graph("command", &series(&[10, 20, 30]), 3);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "command - high 30 ms, low 10 ms (all time high 30 ms)");
        assert_eq!(lines[2..6], ["  #", "  |", " #|", "_||"]);
        assert_eq!(lines[7..9], ["210", "sss"]);
        let flat = graph("command", &series(&[5; 200]), 1);
        assert!(flat.lines().all(|line| line.len() <= COLUMNS_MAX));
    }

    #[test]
    fn the_doctor_tells_what_to_do() {
        assert!(diagnose(&[], 0, 0).contains("threshold is 0"));
        assert!(diagnose(&[], 100, 0).contains("No event has taken 100 ms"));
        let events = [("command", series(&[10, 20]))];
        assert!(diagnose(&events, 10, 10_000).contains("SLOWLOG GET"));
        assert!(diagnose(&events, 10, -1).contains("lower slowlog-log-slower-than"));
        assert!(!diagnose(&events, 10, 0).contains("expired"));
    }
}
