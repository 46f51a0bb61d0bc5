//! A running server, for as long as it is measured.
//!
//! # Invariants
//!
//! 1. Dropping a [`Running`] ends its process, and only that one, and removes its folder.

use std::env;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};

use super::machine::{self, kilobytes};
use super::servers::Server;
use crate::client::Client;
use crate::stop::Stop;
use crate::target::Target;

/// How long a server may take to answer its first PING.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long a server may take to end when it is asked to.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// How often a server is asked whether it is there yet.
const ASK_EVERY: Duration = Duration::from_micros(200);

/// How far ticks and the exact count may lie apart, in seconds: a tick each for
/// user and system time at either end, and one that is under way.
const TICKS_ERROR_S: f64 = 0.05;

/// The ports among which a server's is looked for.
const PORTS: Range<u16> = 14_000..30_000;

/// CPU time of a process in seconds.
///
/// The kernel tells user and system time apart in ticks of a hundredth of a
/// second, which is coarse for a short run, and the sum of both exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CpuTime {
    user: f64,
    system: f64,
    /// The sum to the nanosecond, if the kernel keeps it.
    exact: Option<f64>,
}

impl CpuTime {
    /// User and system time that have passed since: their ratio from the ticks,
    /// their sum from the exact figures. Threads that ended in between are in the
    /// ticks alone; then those hold.
    pub(crate) fn since(self, before: Self) -> (f64, f64) {
        let (user, system) = (self.user - before.user, self.system - before.system);
        let ticks = user + system;
        let exact = match (self.exact, before.exact) {
            (Some(after), Some(before)) if (after - before - ticks).abs() <= TICKS_ERROR_S => {
                after - before
            }
            _ => ticks,
        };
        let user_share = if ticks > 0.0 { user / ticks } else { 0.0 };
        (exact * user_share, exact * (1.0 - user_share))
    }
}

/// A server that was started here.
pub(crate) struct Running {
    child: Child,
    folder: PathBuf,
    /// Where it listens.
    pub(crate) target: Target,
    /// From its start to its first PONG.
    pub(crate) first_pong: Duration,
    stop: Stop,
}

impl Running {
    /// Starts a server on some cores and waits for its first PONG.
    pub(crate) fn start(
        server: &Server,
        workers: u16,
        cores: &[usize],
        stop: &Stop,
    ) -> Result<Self, String> {
        let folder = new_folder().map_err(|e| format!("no folder for it: {e}"))?;
        let port = free_port().map_err(|e| format!("no free port: {e}"))?;
        let words = server.command(port, &folder, workers);
        let begin = Instant::now();
        let spawned = machine::on_cores(cores, || spawn(&words, &folder));
        let child = match spawned.and_then(|s| s.map_err(|e| format!("does not start: {e}"))) {
            Ok(child) => child,
            Err(complaint) => {
                remove(&folder);
                return Err(complaint);
            }
        };
        let (target, stop) = (Target::loopback(port), stop.clone());
        let mut running = Self { child, folder, target, first_pong: Duration::ZERO, stop };
        running.await_pong(begin)?;
        Ok(running)
    }

    /// A connection to it.
    pub(crate) fn client(&self) -> Result<Client, String> {
        Client::connect(&self.target, &self.stop).map_err(|e| format!("no connection: {e}"))
    }

    /// The CPU time that all its threads have used.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime, String> {
        let stat = self.read_proc("stat")?;
        let ticks = parse_cpu_time(&stat, clock_ticks_per_second())
            .ok_or_else(|| "odd /proc/stat".to_owned())?;
        Ok(CpuTime { exact: self.scheduled_seconds().ok().flatten(), ..ticks })
    }

    /// How long its threads have run, as the scheduler counts.
    fn scheduled_seconds(&self) -> io::Result<Option<f64>> {
        let mut sum_ns = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let ran_ns = stat.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok());
            let Some(ran_ns) = ran_ns else { return Ok(None) };
            sum_ns += ran_ns;
        }
        Ok(Some(sum_ns as f64 / 1e9))
    }

    /// The memory it occupies, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, String> {
        let rollup = self.read_proc("smaps_rollup")?;
        kilobytes(&rollup, "Rss").ok_or_else(|| "odd /proc/smaps_rollup".to_owned())
    }

    fn read_proc(&self, file: &str) -> Result<String, String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).map_err(|e| format!("could not read {path}: {e}"))
    }

    fn await_pong(&mut self, begin: Instant) -> Result<(), String> {
        loop {
            let connected = Client::connect(&self.target, &self.stop);
            if let Ok(mut client) = connected.and_then(pinged) {
                self.first_pong = begin.elapsed();
                return self.check_identity(&mut client);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended at once, {status}: {}", last_line(&self.folder)));
            }
            if self.stop.is_raised() || begin.elapsed() > START_PATIENCE {
                return Err(format!("did not answer: {}", last_line(&self.folder)));
            }
            thread::sleep(ASK_EVERY);
        }
    }

    /// Makes sure that it is this server that answers, if it says which it is.
    fn check_identity(&self, client: &mut Client) -> Result<(), String> {
        let info = client.ask(&["INFO", "server"]).unwrap_or_default();
        let info = String::from_utf8_lossy(&info);
        let pid = machine::field(&info, "process_id").and_then(|pid| pid.parse::<u32>().ok());
        match pid {
            Some(pid) if pid != self.child.id() => {
                Err("another server answers on its port".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), pid) {
            // It has not been waited for, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
            let begin = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && begin.elapsed() < END_PATIENCE {
                thread::sleep(Duration::from_millis(5));
            }
        }
        // Neither does anything to a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        remove(&self.folder);
    }
}

fn pinged(mut client: Client) -> io::Result<Client> {
    client.ask(&["PING"]).map(|_| client)
}

fn spawn(words: &[std::ffi::OsString], folder: &Path) -> io::Result<Child> {
    let log = File::create(log_path(folder))?;
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// The end of a server's log.
fn last_line(folder: &Path) -> String {
    let log = fs::read(log_path(folder)).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}

/// A folder that no other comparison uses.
fn new_folder() -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("anax-benchmark-{}-{number}", process::id()));
    fs::create_dir(&folder)?;
    Ok(folder)
}

fn remove(folder: &Path) {
    if let Err(e) = fs::remove_dir_all(folder) {
        eprintln!("Could not remove {}: {e}", folder.display());
    }
}

/// A port that was free a moment ago. It lies below those that the system gives
/// out by itself, so that nobody is given it before the server takes it, and no
/// attempt to connect can meet itself.
fn free_port() -> io::Result<u16> {
    let first = process::id() as u16 % PORTS.len() as u16;
    let mut tried = Err(io::ErrorKind::AddrInUse.into());
    for at in 0..PORTS.len() as u16 {
        let port = PORTS.start + (first + at) % PORTS.len() as u16;
        tried = TcpListener::bind(("127.0.0.1", port)).map(|_| port);
        if tried.is_ok() {
            break;
        }
    }
    tried
}

/// User and system time of a process: fields 14 and 15 of `/proc/PID/stat`,
/// counted behind the program's name, which may hold anything.
fn parse_cpu_time(stat: &str, ticks_per_second: u64) -> Option<CpuTime> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let mut seconds = || Some(times.next()?.ok()? as f64 / ticks_per_second as f64);
    Some(CpuTime { user: seconds()?, system: seconds()?, exact: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_an_odd_program_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 75 0 0 20 0 1";
        assert_eq!(
            parse_cpu_time(stat, 100),
            Some(CpuTime { user: 2.5, system: 0.75, exact: None })
        );
        assert_eq!(parse_cpu_time("42 (a) S 1 2", 100), None);
    }

    #[test]
    fn the_exact_sum_is_split_as_the_ticks_are_and_given_up_if_they_differ() {
        let time = |user, system, exact| CpuTime { user, system, exact };
        let (user, system) = time(2.0, 4.0, Some(6.012)).since(time(1.0, 2.0, Some(3.0)));
        assert!((user - 1.004).abs() < 1e-9 && (system - 2.008).abs() < 1e-9);
        assert_eq!(time(2.0, 4.0, Some(5.0)).since(time(1.0, 2.0, Some(3.0))), (1.0, 2.0));
        assert_eq!(time(2.0, 4.0, None).since(time(1.0, 2.0, Some(3.0))), (1.0, 2.0));
        assert_eq!(time(1.0, 1.0, Some(2.0)).since(time(1.0, 1.0, Some(2.0))), (0.0, 0.0));
    }

    #[test]
    fn a_program_that_is_no_server_is_reported_with_its_last_words() {
        let name = "sh";
        let (_, command) =
            super::super::servers::parse_named("sh=/bin/ls /nonexistent/PORT").unwrap();
        let server = super::super::servers::given(name, &command, 0);
        let complaint = Running::start(&server, 1, &[], &Stop::default()).err().unwrap();
        assert!(complaint.starts_with("ended at once"), "{complaint}");
        assert!(complaint.contains("/nonexistent/"), "{complaint}");
    }
}
