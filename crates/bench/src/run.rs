//! From the command line to the report.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::{Cli, Job, LoadArgs};
use crate::compare;
use crate::keys::{KeyChoice, Random};
use crate::load::{self, Amount, Load, Outcome, Pace, Progress};
use crate::report::{self, Form, Setting};
use crate::stop::Stop;
use crate::target::{Session, Target};
use crate::tests;
use crate::wire::Template;

/// Largest last word that is read from the standard input, in bytes.
const STDIN_BYTES_MAX: u64 = 512 << 20;

/// What a shell says of a process that a Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Does what the command line asks for. The exit code is 1 if nothing could be
/// measured: no connection, or nothing but errors; it is 130 after a Ctrl-C.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let stop = match Stop::on_signals() {
        Ok(stop) => stop,
        Err(e) => return complain(&format!("Could not listen for signals: {e}")),
    };
    let result = match cli.job {
        Some(Job::Compare(args)) => compare::run(&args, &stop),
        None => run_load(&cli.load, &stop),
    };
    match result {
        Ok(code) if !stop.is_raised() => code,
        Err(complaint) if !stop.is_raised() => complain(&complaint),
        _ => ExitCode::from(INTERRUPTED),
    }
}

fn complain(complaint: &str) -> ExitCode {
    eprintln!("{complaint}");
    ExitCode::FAILURE
}

/// A request with the title of its test.
struct Case {
    title: String,
    template: Template,
}

fn run_load(args: &LoadArgs, stop: &Stop) -> Result<ExitCode, String> {
    raise_file_limit();
    let seed = args.seed.unwrap_or_else(clock_seed);
    let base = base_load(args, seed)?;
    let cases = cases(args, seed)?;
    let printer = Printer::new(args);
    printer.begin();
    let mut code = ExitCode::SUCCESS;
    loop {
        for case in &cases {
            let load = Load { template: case.template.clone(), ..base.clone() };
            let outcome = printer.watch(&case.title, &load, stop)?;
            printer.show(&case.title, &outcome);
            if outcome.errors > 0 && outcome.errors == outcome.requests {
                code = ExitCode::FAILURE;
            }
            if stop.is_raised() {
                return Ok(code);
            }
        }
        if !args.forever {
            return Ok(code);
        }
    }
}

/// Allows as many open files as the system lets us have.
pub(crate) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // A refusal shows when a connection cannot be opened, with the reason.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The load but for its request.
fn base_load(args: &LoadArgs, seed: u64) -> Result<Load, String> {
    let warmup = Duration::from_secs_f64(args.warmup);
    Ok(Load {
        target: target(args)?,
        session: Session {
            user: args.user.clone(),
            password: args.password.clone(),
            resp3: args.resp3,
            database: args.database,
        },
        clients: args.clients as usize,
        threads: usize::from(args.threads),
        depth: args.depth as usize,
        template: Template::of_bytes(Vec::new()),
        keys: key_choice(args),
        seed,
        amount: match args.duration {
            Some(seconds) => Amount::Time(Duration::from_secs_f64(seconds)),
            None => Amount::requests(args.requests),
        },
        warmup,
        pace: args.rate.map_or(Pace::Closed, |rate| Pace::Open { rate }),
        keep_alive: args.keep_alive == 1,
        show_errors: args.show_errors,
        cores: Vec::new(),
        patience: None,
    })
}

fn target(args: &LoadArgs) -> Result<Target, String> {
    match &args.socket {
        Some(path) => Ok(Target::Unix(path.clone())),
        None => Target::resolve(&args.host, args.port)
            .map_err(|e| format!("Could not find the host {}: {e}", args.host)),
    }
}

fn key_choice(args: &LoadArgs) -> KeyChoice {
    match (args.keys, args.zipf) {
        (None, _) => KeyChoice::Literal,
        (Some(count), _) if args.sequential => KeyChoice::Sequential { count },
        (Some(count), Some(theta)) => KeyChoice::Zipf { count, theta },
        (Some(count), None) => KeyChoice::Uniform { count },
    }
}

/// The user's command, or the selected tests.
fn cases(args: &LoadArgs, seed: u64) -> Result<Vec<Case>, String> {
    let payload = Random::new(seed).text(args.size as usize);
    if !args.command.is_empty() {
        let mut words: Vec<Vec<u8>> =
            args.command.iter().map(|word| word.as_bytes().to_vec()).collect();
        if args.last_word_from_stdin {
            words.push(read_stdin().map_err(|e| format!("Could not read the last word: {e}"))?);
        }
        let given: Vec<_> = args.command.iter().map(|word| word.to_string_lossy()).collect();
        let template = Template::of_words(&words, &payload);
        return Ok(vec![Case { title: given.join(" "), template }]);
    }
    let selected = tests::select(args.tests.as_deref())?;
    let case = |test: &tests::Test| Case {
        title: test.title.to_owned(),
        template: test.template(&payload, args.keys.is_some()),
    };
    Ok(selected.into_iter().map(case).collect())
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut word = Vec::new();
    io::stdin().take(STDIN_BYTES_MAX).read_to_end(&mut word)?;
    Ok(word)
}

/// What is printed, where and how.
struct Printer {
    form: Form,
    live: bool,
    setting: Setting,
}

impl Printer {
    fn new(args: &LoadArgs) -> Self {
        let form = match args {
            LoadArgs { quiet: true, .. } => Form::Quiet,
            LoadArgs { csv: true, .. } => Form::Csv,
            LoadArgs { json: true, .. } => Form::Json,
            _ => Form::Text,
        };
        let setting = Setting {
            clients: args.clients as usize,
            payload_bytes: args.size as usize,
            depth: args.depth as usize,
            keep_alive: args.keep_alive == 1,
            threads: usize::from(args.threads),
            rate: args.rate,
            precision: usize::from(args.precision),
        };
        let live = form == Form::Text && (args.live || io::stderr().is_terminal());
        Self { form, live, setting }
    }

    fn begin(&self) {
        if self.form == Form::Csv {
            println!("{}", report::CSV_HEADER);
        }
    }

    /// Runs a load and shows how far it is.
    fn watch(&self, title: &str, load: &Load, stop: &Stop) -> Result<Outcome, String> {
        let mut last = Progress { elapsed: Duration::ZERO, replies: 0, latency_ns: 0 };
        let mut watch = |now: Progress| {
            if self.live {
                let line =
                    report::progress_line(title, since(now, last), since_start(now), now.elapsed);
                eprint!("\r{line}\x1b[K");
                last = now;
            }
        };
        let outcome = load::run(load, stop, &mut watch).map_err(|e| e.to_string());
        if self.live {
            eprint!("\r\x1b[K");
        }
        outcome
    }

    fn show(&self, title: &str, outcome: &Outcome) {
        print!("{}", report::render(self.form, title, outcome, &self.setting));
        if self.form == Form::Text {
            println!();
        }
        // Whoever reads a pipe wants each test when it is done.
        let _ = io::stdout().flush();
        if let Some(complaint) = report::complaint(outcome) {
            eprintln!("{title}: {complaint}");
        }
    }
}

/// Rate and mean latency in milliseconds from the beginning.
fn since_start(now: Progress) -> (f64, f64) {
    since(now, Progress { elapsed: Duration::ZERO, replies: 0, latency_ns: 0 })
}

/// Rate and mean latency in milliseconds between two moments.
fn since(now: Progress, then: Progress) -> (f64, f64) {
    let replies = (now.replies - then.replies) as f64;
    let seconds = (now.elapsed - then.elapsed).as_secs_f64().max(1e-9);
    let latency_ms = (now.latency_ns - then.latency_ns) as f64 / 1e6;
    (replies / seconds, latency_ms / replies.max(1.0))
}
