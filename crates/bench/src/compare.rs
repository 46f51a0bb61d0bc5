//! Servers side by side: what an operation, a key and a big event cost them.
//!
//! The servers take turns in every round, so that a machine whose speed drifts
//! hurts them alike; the ratios of the medians say more than the times.
//!
//! Time is limited where it can be: the loads of `cpu` are cut to the time of a
//! cell, those of `stall` to what the slowest server takes in. Counts that the
//! result depends on, like the keys in memory, are the same for every server.
//!
//! # Layout
//!
//! | module | what |
//! | --- | --- |
//! | `machine` | cores, their division between server and generator, names |
//! | `servers` | which servers are installed, and their command lines |
//! | `process` | a running server: started, asked, measured and stopped |
//! | `cpu`, `types`, `memory`, `stall`, `start` | what is measured, a section each |
//! | `progress` | how long it will still take |
//! | `results` | tables and JSON |
//! | `svg` | plots |

mod cpu;
mod machine;
mod memory;
mod process;
mod progress;
mod results;
mod servers;
mod stall;
mod start;
mod svg;
mod types;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::keys::KeyChoice;
use crate::load::{self, Amount, Load, Outcome, Pace};
use crate::run::raise_file_limit;
use crate::stop::Stop;
use crate::target::{Session, Target};
use crate::wire::Template;
use machine::Machine;
use progress::{Progress, spoken};
use results::Results;
use servers::Server;

/// Rounds of a full comparison.
const ROUNDS: u32 = 3;

/// Rounds of a quick one.
const ROUNDS_QUICK: u32 = 2;

/// The time of a cell in a full comparison and in a quick one.
const CELL: Duration = Duration::from_secs(1);
const CELL_QUICK: Duration = Duration::from_millis(150);

/// Keys in the runs for CPU and memory. A quick run has fewer for CPU: a power of
/// two less, so that the servers' tables are as full. For memory it has them all,
/// because what a server has anyway would weigh more on each of fewer keys.
const KEYS: u64 = 1_000_000;
const KEYS_QUICK: u64 = KEYS / 4;

/// How much shorter waits are in a quick comparison.
const WAIT_DIVISOR: u32 = 3;

/// The time of a cell that may be asked for, in seconds.
const CELL_SECONDS: std::ops::RangeInclusive<f64> = 0.05..=3600.0;

/// Decides the keys and payloads, the same for every server.
const SEED: u64 = 20_091;

/// How long a server may not reply before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a pause goes on before it looks whether it is time to stop.
const PAUSE_TURN: Duration = Duration::from_millis(100);

/// What `--help` says before the flags.
pub(crate) const LONG_ABOUT: &str = "\
Starts the servers that are installed on free ports of 127.0.0.1, each in a folder of its own that is removed \
afterwards, and measures them in turns: CPU time for an operation, memory for a key, the longest wait of a client \
while something big happens, start-up and idle connections.

Looked for are anax (beside this program, or --anax), and valkey-server, redis-server, redis8-server, keydb-server and \
dragonfly in the folder bin of --peers and in PATH. Further ones are named with --server.

A cell is one server under one load in one round. A short run before the first finds how many requests fit into the time of a cell, and the table says how many there were. On two cores, with four servers, all of it takes half an hour, and --quick five minutes; the progress on the standard error says what is left.

In the runs with one worker the server has the first core to itself and the generator the second; with more workers \
each side has cores of its own if there are enough, and shares all of them if not.";

/// What `--help` says after them.
pub(crate) const EXAMPLES: &str = "\
Examples:
  Everything, into the folder results:
    anax-benchmark compare --out results
  A first look, at CPU and memory alone, with one worker:
    anax-benchmark compare --out results --quick --only cpu,memory --threads 1
  One section at a time, each with a folder of its own:
    anax-benchmark compare --out results/cpu --only cpu
    anax-benchmark compare --out results/stall --only stall --threads 2
  Longer and more rounds, for figures to publish:
    anax-benchmark compare --out results --cell-seconds 5 --rounds 7
  Another server:
    anax-benchmark compare --out results --server mine='/opt/mine --port PORT --dir DIR --workers THREADS'";

/// The flags of a comparison.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The folder for results.md, results.json and the plots; what an earlier run left there
    /// under the same names is replaced
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The program anax; the one beside this program without it
    #[arg(long, value_name = "PATH")]
    pub(crate) anax: Option<PathBuf>,
    /// A folder whose folder bin holds other servers
    #[arg(long, value_name = "DIR")]
    pub(crate) peers: Option<PathBuf>,
    /// A further server: its name and its command, in which PORT, DIR and THREADS are
    /// replaced; it runs in DIR, so its paths are to be absolute
    #[arg(long = "server", value_name = "NAME=COMMAND", value_parser = servers::parse_named)]
    pub(crate) servers: Vec<(String, String)>,
    /// Servers to leave out, by name
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) without: Vec<String>,
    /// How often each measurement is repeated [default: 3, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: Option<u32>,
    /// The time of a cell, one server under one load in one round: so many requests are sent as
    /// a first short run says fit into it [default: 1, or 0.15 with --quick]
    #[arg(long, value_name = "SECONDS", value_parser = cell_seconds)]
    pub(crate) cell_seconds: Option<f64>,
    /// Shorter cells, smaller loads and fewer rounds: five minutes rather than half an hour
    #[arg(long)]
    pub(crate) quick: bool,
    /// The sections to measure; all of them without it
    #[arg(long, value_name = "SECTIONS", value_delimiter = ',')]
    pub(crate) only: Vec<Section>,
    /// The numbers of workers with which CPU is measured; the other sections use the first
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "1,2",
          value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) threads: Vec<u16>,
    /// Keys in the runs for CPU and memory [default: 1000000; 250000 for CPU with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) keys: Option<u64>,
    /// The date that the results bear; the clock's without it
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
    /// Shows all flags and examples
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// CPU per operation, throughput, latency
    Cpu,
    /// CPU per operation of the commands of the data types, with one worker
    Types,
    /// Bytes per key
    Memory,
    /// Waits during growth, expiry and flush
    Stall,
    /// Start-up, empty size, idle connections
    Start,
}

/// What the sections share.
pub(crate) struct Context<'a> {
    args: &'a CompareArgs,
    stop: &'a Stop,
    machine: Machine,
    servers: Vec<Server>,
    rounds: u32,
    /// How long one server is under one load in one round.
    cell: Duration,
    /// Keys in the runs for CPU, and in those for memory.
    keys: u64,
    memory_keys: u64,
    progress: Progress,
}

/// One measurement of one server.
#[derive(Clone, Copy)]
struct Step<'a> {
    /// The part of the progress to which it belongs.
    part: &'static str,
    /// What is measured.
    what: &'a str,
    server: &'a Server,
}

/// What varies between the loads of a comparison.
#[derive(Clone, Copy, Debug)]
struct Shape {
    workers: u16,
    clients: usize,
    depth: usize,
    keys: KeyChoice,
    amount: Amount,
    pace: Pace,
}

impl<'a> Context<'a> {
    fn new(args: &'a CompareArgs, stop: &'a Stop) -> Result<Self, String> {
        let quick = args.quick;
        let cell = args.cell_seconds.map(Duration::from_secs_f64);
        Ok(Self {
            args,
            stop,
            servers: servers::find(args)?,
            machine: Machine::of_this_host()?,
            rounds: args.rounds.unwrap_or(if quick { ROUNDS_QUICK } else { ROUNDS }),
            cell: cell.unwrap_or(if quick { CELL_QUICK } else { CELL }),
            keys: args.keys.unwrap_or(if quick { KEYS_QUICK } else { KEYS }),
            memory_keys: args.keys.unwrap_or(KEYS),
            progress: Progress::new(),
        })
    }

    /// A time to wait, shorter in a quick comparison.
    fn wait(&self, time: Duration) -> Duration {
        if self.args.quick { time / WAIT_DIVISOR } else { time }
    }

    /// The number of workers in the sections that vary something else.
    fn workers(&self) -> u16 {
        self.args.threads.first().copied().unwrap_or(1)
    }

    /// A load on a server that was started here, from the generator's cores.
    fn load(&self, target: &Target, template: Template, shape: Shape) -> Load {
        let division = self.machine.divide(usize::from(shape.workers));
        Load {
            target: target.clone(),
            session: Session::default(),
            clients: shape.clients,
            threads: division.threads,
            depth: shape.depth,
            template,
            keys: shape.keys,
            seed: SEED,
            amount: shape.amount,
            warmup: Duration::ZERO,
            pace: shape.pace,
            keep_alive: true,
            show_errors: false,
            cores: division.generator,
            patience: Some(PATIENCE),
        }
    }

    /// Runs a load; error replies make it fail.
    fn run(&self, load: &Load) -> Result<Outcome, String> {
        let outcome = load::run(load, self.stop, &mut |_| self.progress.tick());
        let outcome = outcome.map_err(|e| e.to_string())?;
        match &outcome.first_error {
            Some(first) => Err(format!("{} error replies, the first: {first}", outcome.errors)),
            None => Ok(outcome),
        }
    }

    /// Waits; an error if it is time to stop.
    fn pause(&self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        loop {
            self.check_stop()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(PAUSE_TURN));
            self.progress.tick();
        }
    }

    fn check_stop(&self) -> Result<(), String> {
        if self.stop.is_raised() { Err("stopped".to_owned()) } else { Ok(()) }
    }

    /// Runs one measurement of one server. What fails is noted and left out,
    /// unless it is time to stop.
    fn attempt<T>(
        &self,
        results: &mut Results,
        step: Step<'_>,
        measure: impl FnOnce() -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.check_stop()?;
        let Step { part, what, server } = step;
        self.progress.begin(part, format!("{part}: {what}, {}", server.label()));
        let measured = measure();
        self.progress.end();
        match measured {
            Ok(measured) => Ok(Some(measured)),
            Err(_) if self.stop.is_raised() => Err("stopped".to_owned()),
            Err(complaint) => {
                let note = format!("{}, {what}: {complaint}", server.name);
                self.progress.note(&note);
                results.notes.push(note);
                Ok(None)
            }
        }
    }
}

impl Section {
    /// In the order in which they are measured.
    const ALL: [Self; 5] = [Self::Start, Self::Memory, Self::Cpu, Self::Types, Self::Stall];

    fn plan(self, context: &Context<'_>) {
        match self {
            Self::Start => start::plan(context),
            Self::Memory => memory::plan(context),
            Self::Cpu => cpu::plan(context),
            Self::Types => types::plan(context),
            Self::Stall => stall::plan(context),
        }
    }

    fn measure(self, context: &Context<'_>, results: &mut Results) -> Result<(), String> {
        match self {
            Self::Start => start::measure(context, results),
            Self::Memory => memory::measure(context, results),
            Self::Cpu => cpu::measure(context, results),
            Self::Types => types::measure(context, results),
            Self::Stall => stall::measure(context, results),
        }
    }
}

/// Measures and writes the results; after every section, so that those that are
/// done stay if a later one is stopped.
pub(crate) fn run(args: &CompareArgs, stop: &Stop) -> Result<ExitCode, String> {
    raise_file_limit();
    let context = Context::new(args, stop)?;
    fs::create_dir_all(&args.out)
        .map_err(|e| format!("Could not make the folder {}: {e}", args.out.display()))?;
    let mut results = Results::new(&context);
    let mut sections = Section::ALL.to_vec();
    sections.retain(|section| args.only.is_empty() || args.only.contains(section));
    sections.iter().for_each(|section| section.plan(&context));
    for section in sections {
        section.measure(&context, &mut results)?;
        results.took = context.progress.elapsed();
        results.write(&args.out)?;
    }
    context.progress.clear();
    print!("{}", results.markdown());
    eprintln!("{} for all of it; see {}", spoken(results.took), args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// The time of a cell, in seconds.
fn cell_seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if CELL_SECONDS.contains(&seconds) {
        return Ok(seconds);
    }
    Err(format!("not between {} and {}", CELL_SECONDS.start(), CELL_SECONDS.end()))
}

/// A number of workers, in words.
fn plural(workers: u16) -> String {
    format!("{workers} worker{}", if workers == 1 { "" } else { "s" })
}

/// The middle of some figures; the mean of the two middle ones of an even count.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => figures[count / 2],
        count => f64::midpoint(figures[count / 2 - 1], figures[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
        assert!(median(Vec::new()).is_nan());
    }
}
