//! The command line: redis-benchmark's flags, further ones, and `compare`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::compare::{self, CompareArgs};

/// Largest number of connections.
const CLIENTS_MAX: i64 = 1_000_000;

/// Largest payload, in bytes.
const PAYLOAD_BYTES_MAX: i64 = 512 << 20;

/// Longest time that can be asked for, in seconds.
const SECONDS_MAX: f64 = 1e7;

const LONG_ABOUT: &str = "\
Puts load on a server that speaks the Redis protocol, and reports throughput and latency.

The flags that redis-benchmark has mean the same here. Without a command the tests of redis-benchmark run one after \
the other, or those that -t names. A command given as words is sent as it is, but for two marks: __rand_int__ becomes \
a number of twelve digits below the one that -r gives, another for each mark and each request, and __data__ becomes a \
payload of -d bytes.

Normally a connection sends a request when the reply to the one before has come. With --rate requests have a \
timetable, and latency counts from the moment at which a request should have been sent: what it waited for a stalled \
server or a busy connection counts too.

`compare` starts the servers that are installed, one beside the other, and measures what they cost: see \
`anax-benchmark compare --help`.";

const EXAMPLES: &str = "\
Examples:
  The usual tests against 127.0.0.1:6379:
    anax-benchmark
  A million SETs over 100,000 keys, 16 in a pipeline, as CSV:
    anax-benchmark -t set -n 1000000 -r 100000 -P 16 --csv
  Latency of GET at 50,000 requests a second for a minute, on keys of which some are hot:
    anax-benchmark -t get -r 1000000 --zipf 0.99 --rate 50000 --duration 60 --warmup 5
  A command of one's own:
    anax-benchmark -r 10000 -n 100000 -d 100 HSET user:__rand_int__ name __data__
  Servers side by side:
    anax-benchmark compare --out results";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "anax-benchmark",
    version,
    about = "Load and latency of servers that speak the Redis protocol",
    long_about = LONG_ABOUT,
    after_long_help = EXAMPLES,
    disable_help_flag = true,
    disable_help_subcommand = true,
    args_override_self = true,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    /// What else there is to do.
    #[command(subcommand)]
    pub(crate) job: Option<Job>,
    /// The load.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Shows all flags and examples
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,
}

/// What is not a load on one server.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Starts servers side by side and measures CPU, memory and stalls
    #[command(
        long_about = compare::LONG_ABOUT,
        after_long_help = compare::EXAMPLES,
        disable_help_flag = true,
        args_override_self = true
    )]
    Compare(Box<CompareArgs>),
}

/// The flags of a load.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The server's host
    #[arg(short = 'h', value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The server's port
    #[arg(short = 'p', value_name = "PORT", default_value_t = 6379)]
    pub(crate) port: u16,
    /// The server's Unix socket, rather than host and port
    #[arg(short = 's', value_name = "SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// The password for AUTH
    #[arg(short = 'a', value_name = "PASSWORD")]
    pub(crate) password: Option<String>,
    /// The user for AUTH
    #[arg(long, value_name = "USER", requires = "password")]
    pub(crate) user: Option<String>,
    /// Connections
    #[arg(short = 'c', value_name = "CLIENTS", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=CLIENTS_MAX))]
    pub(crate) clients: u32,
    /// Requests of each test
    #[arg(short = 'n', value_name = "REQUESTS", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) requests: u64,
    /// Seconds that each test runs, rather than -n
    #[arg(long, value_name = "SECONDS", conflicts_with = "requests", value_parser = seconds)]
    pub(crate) duration: Option<f64>,
    /// Seconds of load before the measurement begins
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) warmup: f64,
    /// Payload in bytes
    #[arg(short = 'd', value_name = "SIZE", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=PAYLOAD_BYTES_MAX))]
    pub(crate) size: u32,
    /// Requests in a pipeline
    #[arg(short = 'P', value_name = "DEPTH", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: u32,
    /// Numbers below this one take the place of __rand_int__; without it the mark stays as it is
    #[arg(short = 'r', value_name = "KEYS",
          value_parser = clap::value_parser!(u64).range(1..=999_999_999_999))]
    pub(crate) keys: Option<u64>,
    /// Chooses numbers by Zipf's law with this exponent: 0 is the least; number 0 is the hottest
    #[arg(long, value_name = "THETA", requires = "keys", value_parser = theta)]
    pub(crate) zipf: Option<f64>,
    /// Chooses numbers one after the other
    #[arg(long, requires = "keys", conflicts_with = "zipf")]
    pub(crate) sequential: bool,
    /// Requests a second on a timetable, all connections together (open loop)
    #[arg(long, value_name = "OPS", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) rate: Option<u64>,
    /// 1 keeps connections, 0 makes a new one for every pipeline
    #[arg(short = 'k', value_name = "BOOLEAN", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) keep_alive: u8,
    /// The tests to run, as a comma separated list of names
    #[arg(short = 't', value_name = "TESTS")]
    pub(crate) tests: Option<String>,
    /// Threads that send
    #[arg(long, value_name = "THREADS", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    /// The database to SELECT
    #[arg(long = "dbnum", value_name = "DB", default_value_t = 0)]
    pub(crate) database: u32,
    /// Speaks RESP3
    #[arg(short = '3')]
    pub(crate) resp3: bool,
    /// Shows error replies as they come, at most one a second
    #[arg(short = 'e')]
    pub(crate) show_errors: bool,
    /// Decides the random numbers; the clock does without it
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
    /// Decimals of latencies
    #[arg(long, value_name = "DECIMALS", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(0..=6))]
    pub(crate) precision: u8,
    /// Runs the tests again and again
    #[arg(short = 'l')]
    pub(crate) forever: bool,
    /// Reads the command's last word from the standard input
    #[arg(short = 'x', requires = "command")]
    pub(crate) last_word_from_stdin: bool,
    /// One line for each test
    #[arg(short = 'q')]
    pub(crate) quiet: bool,
    /// One CSV row for each test
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) csv: bool,
    /// One JSON object on a line for each test
    #[arg(long, conflicts_with_all = ["quiet", "csv"])]
    pub(crate) json: bool,
    /// Shows progress on the standard error; that is so anyway if it is a terminal, but for -q,
    /// --csv and --json
    #[arg(long, conflicts_with_all = ["quiet", "csv", "json"])]
    pub(crate) live: bool,
    /// A command, rather than tests
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// A time in seconds, as a fraction if need be.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    let range = 0.0..=SECONDS_MAX;
    if range.contains(&seconds) { Ok(seconds) } else { Err("out of range".to_owned()) }
}

/// The exponent of Zipf's law.
fn theta(text: &str) -> Result<f64, String> {
    let theta: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let range = 0.0..=10.0;
    if range.contains(&theta) { Ok(theta) } else { Err("not between 0 and 10".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("anax-benchmark").chain(line.split_whitespace()))
    }

    fn load(line: &str) -> LoadArgs {
        parse(line).unwrap().load
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_mean_what_they_mean_to_redis_benchmark() {
        let args =
            load("-h db.example -p 7000 -c 20 -n 5000 -d 64 -P 16 -r 1000 -k 0 -t get,set -q");
        assert_eq!((args.host.as_str(), args.port), ("db.example", 7000));
        assert_eq!((args.clients, args.requests, args.size, args.depth), (20, 5000, 64, 16));
        assert_eq!((args.keys, args.keep_alive, args.quiet), (Some(1000), 0, true));
        assert_eq!(args.tests.as_deref(), Some("get,set"));
        let args =
            load("-3 -a secret --user me --dbnum 2 -e -l --threads 4 --seed 9 --precision 1");
        assert!(args.resp3 && args.show_errors && args.forever);
        assert_eq!((args.password.as_deref(), args.user.as_deref()), (Some("secret"), Some("me")));
        assert_eq!((args.database, args.threads, args.seed, args.precision), (2, 4, Some(9), 1));
    }

    #[test]
    fn defaults_are_those_of_redis_benchmark() {
        let args = load("");
        assert_eq!((args.clients, args.requests, args.size, args.depth), (50, 100_000, 3, 1));
        assert_eq!((args.host.as_str(), args.port, args.keys), ("127.0.0.1", 6379, None));
    }

    #[test]
    fn words_behind_the_flags_are_a_command_with_its_own_dashes() {
        let args = load("-n 10 -r 5 ZADD z __rand_int__ -q --csv");
        assert_eq!(args.command, ["ZADD", "z", "__rand_int__", "-q", "--csv"]);
        assert!(!args.quiet && !args.csv);
        assert_eq!(load("-n 10 -- -x").command, ["-x"]);
    }

    #[test]
    fn a_command_may_begin_with_any_word_but_compare() {
        assert_eq!(load("help me").command, ["help", "me"]);
        assert!(matches!(parse("compare --out x").unwrap().job, Some(Job::Compare(_))));
    }

    #[test]
    fn a_comparison_takes_sections_and_the_time_of_a_cell() {
        let line = "compare --out x --only cpu,memory,stall --cell-seconds 0.5 --threads 1,2";
        let Some(Job::Compare(args)) = parse(line).unwrap().job else { panic!("no comparison") };
        assert_eq!((args.only.len(), args.cell_seconds), (3, Some(0.5)));
        assert_eq!((args.threads, args.rounds, args.keys), (vec![1, 2], None, None));
        for flags in ["--only all", "--cell-seconds 0", "--cell-seconds NaN", "--threads 0"] {
            assert!(parse(&format!("compare --out x {flags}")).is_err(), "{flags}");
        }
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for line in [
            "-n 0",
            "-c 0",
            "-P 0",
            "-d 0",
            "-k 2",
            "-n 5 --duration 1",
            "--zipf 0.9",
            "-r 10 --zipf -1",
            "-r 10 --zipf NaN",
            "--duration inf",
            "--rate 0",
            "--csv --json",
            "--csv --live",
            "--user me",
            "-r 1000000000001",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
