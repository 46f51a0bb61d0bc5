//! The log: a line an event, to standard output or a file, for people or for machines.
//!
//! By default a line begins as one of Redis does, with the process and its role, the time and a
//! mark for its weight, since tools read that. The least weight and the form of a line can be
//! changed while the server runs. A log file is opened anew for each line, so that it can be moved
//! away at any time; lines are rare.
//!
//! # Invariants
//!
//! 1. An event is one line, whatever bytes its fields hold; only a backtrace has lines of its own.
//! 2. No secret is given to the log: who logs a setting has it shown by its row.

use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use config::{Live, LogFormat, LogLevel};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

use crate::clock::Clock;

/// The field that a person reads as lines of its own.
const BACKTRACE: &str = "backtrace";

/// The log of the process, to be changed while it runs.
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    format: Arc<AtomicU8>,
}

/// Begins to log, as the settings say.
///
/// # Errors
/// If the log file cannot be opened.
pub fn start(live: &Live) -> io::Result<Log> {
    let file = live.logfile.clone();
    if let Some(path) = &file {
        open(path).map_err(|error| {
            io::Error::new(error.kind(), format!("log file {}: {error}", path.display()))
        })?;
    }
    let (level, handle) = reload::Layer::new(filter(live.loglevel));
    let format = Arc::new(AtomicU8::new(live.log_format as u8));
    let way = match file {
        Some(path) => Way::File(path),
        None if live.logtostderr => Way::StandardError,
        None => Way::StandardOutput,
    };
    let lines = Lines { way, format: Arc::clone(&format), clock: Clock::default() };
    let subscriber = Registry::default().with(level).with(lines);
    // The first of a process stays; there is one but for tests.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(Log { level: handle, format })
}

impl Log {
    /// Goes on as other settings say.
    pub fn change(&self, live: &Live) {
        self.format.store(live.log_format as u8, Ordering::Relaxed);
        drop(self.level.reload(filter(live.loglevel)));
    }
}

/// Logs panics, which would otherwise print themselves in a form of their own.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::force_capture().to_string();
        tracing::error!(thread, place, backtrace, "panicked: {text}");
    }));
}

/// Logs what a script says.
pub fn of_script(level: script::LogLevel, message: &[u8]) {
    let message = String::from_utf8_lossy(message);
    match level {
        script::LogLevel::Debug => tracing::trace!("{message}"),
        script::LogLevel::Verbose => tracing::debug!("{message}"),
        script::LogLevel::Notice => tracing::info!("{message}"),
        script::LogLevel::Warning => tracing::warn!("{message}"),
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Nothing => LevelFilter::OFF,
    }
}

fn open(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Where lines go.
enum Way {
    StandardOutput,
    StandardError,
    File(PathBuf),
}

/// Writes events as lines.
struct Lines {
    way: Way,
    format: Arc<AtomicU8>,
    clock: Clock,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let now = self.clock.now();
        let format = self.format.load(Ordering::Relaxed);
        let line = match format {
            format if format == LogFormat::Json as u8 => json(&timestamp(now), level, &fields),
            format if format == LogFormat::Logfmt as u8 => logfmt(&timestamp(now), level, &fields),
            format if format == LogFormat::Human as u8 => human(&timestamp(now), level, &fields),
            _ => legacy(std::process::id(), &legacy_timestamp(now), level, &fields),
        };
        self.write(line.as_bytes());
    }
}

impl Lines {
    /// Nobody is left to tell if the log cannot be written.
    fn write(&self, line: &[u8]) {
        drop(match &self.way {
            Way::File(path) => open(path).and_then(|mut file| file.write_all(line)),
            Way::StandardError => io::stderr().lock().write_all(line),
            Way::StandardOutput => {
                let mut out = io::stdout().lock();
                out.write_all(line).and_then(|()| out.flush())
            }
        });
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Said)>,
}

/// The value of a field.
enum Said {
    /// A number, or true or false.
    Plain(String),
    Text(String),
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.others.push((name, Said::Text(text))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.others.push((name, Said::Text(value.to_owned()))),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), Said::Plain(value.to_string())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), Said::Plain(value.to_string())));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), Said::Plain(value.to_string())));
    }
}

/// `1234:M 31 Jan 2026 12:00:00.000 # message name=value`.
fn legacy(process: u32, time: &str, level: Level, fields: &Fields) -> String {
    let mark = match level {
        Level::TRACE => '.',
        Level::DEBUG => '-',
        Level::INFO => '*',
        Level::WARN | Level::ERROR => '#',
    };
    for_people(format!("{process}:M {time} {mark} "), fields)
}

/// `2026-01-31T12:00:00.000Z WARN  message name=value`.
fn human(time: &str, level: Level, fields: &Fields) -> String {
    for_people(format!("{time} {:<5} ", level.as_str()), fields)
}

/// Completes a line that begins like this, and puts a backtrace below it.
fn for_people(mut line: String, fields: &Fields) -> String {
    push_visible(&fields.message, &mut line);
    for (name, value) in fields.others.iter().filter(|(name, _)| *name != BACKTRACE) {
        push_pair(name, value, &mut line);
    }
    line.push('\n');
    for (_, value) in fields.others.iter().filter(|(name, _)| *name == BACKTRACE) {
        let (Said::Plain(text) | Said::Text(text)) = value;
        line.push_str(text);
        line.push('\n');
    }
    line
}

/// `time=... level=warn message="..." name=value`.
fn logfmt(time: &str, level: Level, fields: &Fields) -> String {
    let mut line = format!("time={time} level={}", level.as_str().to_ascii_lowercase());
    push_pair("message", &Said::Text(fields.message.clone()), &mut line);
    fields.others.iter().for_each(|(name, value)| push_pair(name, value, &mut line));
    line.push('\n');
    line
}

/// `{"time":"...","level":"warn","message":"...","name":"value"}`.
fn json(time: &str, level: Level, fields: &Fields) -> String {
    let level = level.as_str().to_ascii_lowercase();
    let mut line = format!(r#"{{"time":"{time}","level":"{level}","message":"#);
    push_json_text(&fields.message, &mut line);
    for (name, value) in &fields.others {
        line.push(',');
        push_json_text(name, &mut line);
        line.push(':');
        match value {
            Said::Plain(text) => line.push_str(text),
            Said::Text(text) => push_json_text(text, &mut line),
        }
    }
    line.push_str("}\n");
    line
}

/// ` name=value`, in quotes where the value would not end at a space.
fn push_pair(name: &str, value: &Said, line: &mut String) {
    line.push(' ');
    line.push_str(name);
    line.push('=');
    let (Said::Plain(text) | Said::Text(text)) = value;
    let is_word = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'=';
    if !text.is_empty() && text.bytes().all(is_word) {
        line.push_str(text);
    } else {
        push_json_text(text, line);
    }
}

/// A text whose control characters are escaped.
fn push_visible(text: &str, line: &mut String) {
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

/// A text in quotes, with the escapes of JSON (RFC 8259, section 7).
fn push_json_text(text: &str, line: &mut String) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // Writing to a string does not fail.
            _ if character.is_control() => drop(write!(line, "\\u{:04x}", u32::from(character))),
            _ => line.push(character),
        }
    }
    line.push('"');
}

/// A moment, in ms since the Unix epoch, as RFC 3339 writes it, in UTC.
fn timestamp(unix_millis: u64) -> String {
    let (year, month, day) = date(unix_millis / MILLIS_A_DAY);
    format!("{year:04}-{month:02}-{day:02}T{}Z", time_of_day(unix_millis))
}

/// The same as Redis writes it.
fn legacy_timestamp(unix_millis: u64) -> String {
    let (year, month, day) = date(unix_millis / MILLIS_A_DAY);
    // The date's month is between 1 and 12.
    let month = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index));
    format!("{day:02} {} {year:04} {}", month.unwrap_or(&"???"), time_of_day(unix_millis))
}

/// Hours, minutes, seconds and ms of a moment, in UTC.
fn time_of_day(unix_millis: u64) -> String {
    let (seconds, millis) = (unix_millis / 1000, unix_millis % 1000);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{millis:03}")
}

const MILLIS_A_DAY: u64 = 86_400_000;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The Gregorian date of a day counted from 1970-01-01.
///
/// Years are counted from March, so that the odd day of a leap year comes last; 400 years have
/// 146,097 days (Hinnant, "chrono-compatible low-level date algorithms").
fn date(unix_days: u64) -> (u64, u64, u64) {
    let days = unix_days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Fields {
        let others = vec![
            ("port", Said::Plain("6379".into())),
            ("path", Said::Text("a b\"\\\n\u{1}".into())),
            ("word", Said::Text("x:y".into())),
        ];
        Fields { message: "two\nlines".into(), others }
    }

    #[test]
    fn an_event_is_one_line_in_every_form() {
        let time = "T";
        assert_eq!(
            legacy(12, time, Level::WARN, &said()),
            "12:M T # two\\nlines port=6379 path=\"a b\\\"\\\\\\n\\u0001\" word=x:y\n"
        );
        assert_eq!(
            human(time, Level::WARN, &said()),
            "T WARN  two\\nlines port=6379 path=\"a b\\\"\\\\\\n\\u0001\" word=x:y\n"
        );
        assert_eq!(
            logfmt(time, Level::WARN, &said()),
            "time=T level=warn message=\"two\\nlines\" port=6379 \
             path=\"a b\\\"\\\\\\n\\u0001\" word=x:y\n"
        );
        assert_eq!(
            json(time, Level::WARN, &said()),
            "{\"time\":\"T\",\"level\":\"warn\",\"message\":\"two\\nlines\",\"port\":6379,\
             \"path\":\"a b\\\"\\\\\\n\\u0001\",\"word\":\"x:y\"}\n"
        );
    }

    #[test]
    fn dates_know_leap_years_and_centuries() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(timestamp(millis), text);
        }
        assert_eq!(legacy_timestamp(951_782_400_042), "29 Feb 2000 00:00:00.042");
        assert_eq!(legacy_timestamp(1_767_225_599_000), "31 Dec 2025 23:59:59.000");
    }
}
