//! The load on one server: what to send, and what came of it.

mod worker;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::Client;
use crate::connection::{Broken, Connection};
use crate::keys::KeyChoice;
use crate::stop::Stop;
use crate::target::{Session, Target};
use crate::wire::{ScanError, Template};
use worker::Worker;

/// The largest latency that is told apart, in nanoseconds: an hour.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// How often somebody who watches is told.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// This many requests, or as many of them as fit into a time.
    Requests {
        /// How many.
        count: u64,
        /// The time, if there is a limit.
        within: Option<Duration>,
    },
    /// Whatever fits into this time.
    Time(Duration),
}

impl Amount {
    /// This many requests, however long they take.
    pub(crate) fn requests(count: u64) -> Self {
        Self::Requests { count, within: None }
    }
}

/// When a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// When the reply to the one before has come.
    Closed,
    /// When it is due, this many a second.
    Open {
        /// Requests a second over all connections.
        rate: u64,
    },
}

/// A load: everything that decides what the server gets to see.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The server.
    pub(crate) target: Target,
    /// What each connection says first.
    pub(crate) session: Session,
    /// How many connections.
    pub(crate) clients: usize,
    /// How many threads share them.
    pub(crate) threads: usize,
    /// How many requests are sent together.
    pub(crate) depth: usize,
    /// The request.
    pub(crate) template: Template,
    /// The numbers in it.
    pub(crate) keys: KeyChoice,
    /// Decides those numbers.
    pub(crate) seed: u64,
    /// How much.
    pub(crate) amount: Amount,
    /// How long the load runs before it is measured.
    pub(crate) warmup: Duration,
    /// When.
    pub(crate) pace: Pace,
    /// Whether connections live on after a batch.
    pub(crate) keep_alive: bool,
    /// Whether error replies are shown as they come.
    pub(crate) show_errors: bool,
    /// The cores on which the threads run; any, if empty.
    pub(crate) cores: Vec<usize>,
    /// After how long without a reply the load fails.
    pub(crate) patience: Option<Duration>,
}

/// What came of a load.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Latencies in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// From the first measured request to the last reply.
    pub(crate) elapsed: Duration,
    /// Replies that came, errors among them.
    pub(crate) requests: u64,
    /// Error replies.
    pub(crate) errors: u64,
    /// The first of them.
    pub(crate) first_error: Option<String>,
    /// Requests of an open loop that were due and not sent when the time was up.
    pub(crate) unsent: u64,
}

impl Outcome {
    /// Replies a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency that this share of the requests did not exceed, in milliseconds.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        to_ms(self.latency.value_at_quantile(share).min(self.latency.max()))
    }

    /// The largest latency in milliseconds.
    pub(crate) fn max_ms(&self) -> f64 {
        to_ms(self.latency.max())
    }
}

/// Nanoseconds as milliseconds.
pub(crate) fn to_ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// How far a load is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Time since the load began.
    pub(crate) elapsed: Duration,
    /// Replies so far, the warm-up's included.
    pub(crate) replies: u64,
    /// Sum of their latencies in nanoseconds.
    pub(crate) latency_ns: u64,
}

/// Why a load could not be carried to its end.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// No connection.
    Connect(Target, io::Error),
    /// The server did not accept the greeting.
    Greeting(io::Error),
    /// Reading, writing or waiting failed.
    Io(io::Error),
    /// The server closed a connection; its last error if it said one.
    Closed(Option<String>),
    /// What the server sends is not RESP.
    Garbled(ScanError),
    /// More replies than requests.
    Unasked,
    /// A pipeline is larger than a gigabyte.
    TooLarge,
    /// No reply came for a long time.
    Stalled,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(target, e) => write!(f, "Could not connect to server at {target}: {e}"),
            Self::Greeting(e) => write!(f, "The server refused the connection: {e}"),
            Self::Io(e) => write!(f, "The connection failed: {e}"),
            Self::Closed(None) => f.write_str("The server closed the connection"),
            Self::Closed(Some(e)) => write!(f, "The server closed the connection: {e}"),
            Self::Garbled(e) => write!(f, "The server does not speak RESP: {e}"),
            Self::Unasked => f.write_str("The server sent more replies than requests"),
            Self::TooLarge => f.write_str("A pipeline of such requests is larger than 1 GB"),
            Self::Stalled => f.write_str("The server stopped replying"),
        }
    }
}

impl From<Broken> for LoadError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Io(e) => Self::Io(e),
            Broken::Closed => Self::Closed(None),
            Broken::Garbled(e) => Self::Garbled(e),
            Broken::Unasked => Self::Unasked,
        }
    }
}

/// Time since the load began, as all its threads read it.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn now_ns(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// What one thread has done so far, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Done {
    replies: AtomicU64,
    latency_ns: AtomicU64,
}

/// What one thread measured.
struct Tally {
    latency: Histogram<u64>,
    requests: u64,
    errors: u64,
    first_error: Option<String>,
    unsent: u64,
    begin_ns: u64,
    end_ns: u64,
}

impl Tally {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
            .expect("the bounds and the precision are constants in range");
        Self {
            latency,
            requests: 0,
            errors: 0,
            first_error: None,
            unsent: 0,
            begin_ns: u64::MAX,
            end_ns: 0,
        }
    }

    /// Adds what another thread measured at the same time.
    fn merge(&mut self, other: Self) {
        self.latency.add(&other.latency).expect("histograms of one kind have the same bounds");
        self.requests += other.requests;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.unsent += other.unsent;
        self.begin_ns = self.begin_ns.min(other.begin_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
    }

    fn into_outcome(self) -> Outcome {
        Outcome {
            latency: self.latency,
            elapsed: Duration::from_nanos(self.end_ns.saturating_sub(self.begin_ns)),
            requests: self.requests,
            errors: self.errors,
            first_error: self.first_error,
            unsent: self.unsent,
        }
    }
}

/// Puts the load on the server. `watch` is told now and then how far it is.
pub(crate) fn run(
    load: &Load,
    stop: &Stop,
    watch: &mut dyn FnMut(Progress),
) -> Result<Outcome, LoadError> {
    let mut connections = connect_all(load, stop)?;
    let threads = load.threads.clamp(1, load.clients.max(1));
    let done: Vec<Done> = (0..threads).map(|_| Done::default()).collect();
    let clock = Clock(Instant::now());
    let mut workers = Vec::new();
    for (thread, done) in done.iter().enumerate() {
        let share = connections.len() / (threads - thread);
        let mine = connections.split_off(connections.len() - share);
        let place = Place { thread: thread as u64, threads: threads as u64 };
        workers.push(Worker::new(load, place, mine, clock, done)?);
    }
    let mut sum = Tally::new();
    for tally in run_all(workers, stop, &mut || watch(progress(&done, clock))) {
        sum.merge(tally?);
    }
    Ok(sum.into_outcome())
}

/// Runs each worker on a thread of its own until the last has ended.
fn run_all<'a>(
    workers: Vec<Worker<'a>>,
    stop: &Stop,
    watch: &mut dyn FnMut(),
) -> Vec<Result<Tally, LoadError>> {
    let halt = Stop::default();
    thread::scope(|scope| {
        let (alive, ended) = mpsc::channel::<()>();
        let start = |worker: Worker<'a>| {
            let (alive, stops) = (alive.clone(), [stop.clone(), halt.clone()]);
            thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, move || {
                let _alive = alive;
                worker.run(&stops)
            })
        };
        let handles: Vec<Handle<'_>> = workers.into_iter().map(start).collect();
        drop(alive);
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(WATCH_EVERY) {
            watch();
        }
        handles.into_iter().map(join).collect()
    })
}

/// A thread's number and how many there are.
#[derive(Clone, Copy, Debug)]
struct Place {
    thread: u64,
    threads: u64,
}

impl Place {
    /// This thread's share of `total`; the first threads get what is left over.
    fn share(self, total: u64) -> u64 {
        total / self.threads + u64::from(self.thread < total % self.threads)
    }
}

type Handle<'scope> = io::Result<thread::ScopedJoinHandle<'scope, Result<Tally, LoadError>>>;

fn join(handle: Handle<'_>) -> Result<Tally, LoadError> {
    match handle.map_err(LoadError::Io)?.join() {
        Ok(tally) => tally,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn progress(done: &[Done], clock: Clock) -> Progress {
    let sum = |of: fn(&Done) -> &AtomicU64| -> u64 {
        done.iter().map(|thread| of(thread).load(Ordering::Relaxed)).sum()
    };
    Progress {
        elapsed: Duration::from_nanos(clock.now_ns()),
        replies: sum(|thread| &thread.replies),
        latency_ns: sum(|thread| &thread.latency_ns),
    }
}

/// Opens every connection and greets on it, one after the other.
fn connect_all(load: &Load, stop: &Stop) -> Result<Vec<Connection>, LoadError> {
    (0..load.clients)
        .map(|_| {
            let connect = |e| LoadError::Connect(load.target.clone(), e);
            let mut client = Client::connect(&load.target, stop).map_err(connect)?;
            client.greet(&load.session).map_err(LoadError::Greeting)?;
            let socket = client.into_socket().map_err(LoadError::Io)?;
            socket.set_nonblocking(true).map_err(LoadError::Io)?;
            Ok(Connection::new(socket))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn tally(latencies: &[u64], begin_ns: u64, end_ns: u64) -> Tally {
        let mut tally = Tally { begin_ns, end_ns, ..Tally::new() };
        for &latency in latencies {
            tally.latency.record(latency).unwrap();
            tally.requests += 1;
        }
        tally
    }

    #[test]
    fn threads_merge_into_one_outcome() {
        let mut sum = Tally::new();
        sum.merge(tally(&[1_000_000; 90], 10, 500_000_010));
        sum.merge(tally(&[9_000_000; 10], 20, 1_000_000_010));
        let outcome = sum.into_outcome();
        assert_eq!(outcome.requests, 100);
        assert_eq!(outcome.elapsed, Duration::from_secs(1));
        assert!((outcome.rate() - 100.0).abs() < 1e-9);
        assert!((outcome.quantile_ms(0.9) - 1.0).abs() < 0.001);
        assert!((outcome.quantile_ms(0.91) - 9.0).abs() < 0.009);
        assert!((outcome.max_ms() - 9.0).abs() < 0.009);
    }

    #[test]
    fn merging_keeps_the_first_error_and_adds_the_rest() {
        let error = |text: &str, errors| Tally {
            first_error: Some(text.to_owned()),
            errors,
            unsent: 1,
            ..Tally::new()
        };
        let mut sum = Tally::new();
        sum.merge(error("one", 2));
        sum.merge(error("two", 3));
        let outcome = sum.into_outcome();
        assert_eq!((outcome.first_error.as_deref(), outcome.errors), (Some("one"), 5));
        assert_eq!(outcome.unsent, 2);
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        for (total, threads) in [(0, 3), (1, 3), (100, 3), (7, 7), (8, 7)] {
            let shares = (0..threads).map(|thread| Place { thread, threads }.share(total));
            assert_eq!(shares.sum::<u64>(), total);
        }
    }

    /// A server of one connection that answers whatever comes.
    fn serve_one() -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            while stream.read(&mut request).is_ok_and(|count| count > 0) {
                stream.write_all(b"+OK\r\n").unwrap();
            }
        };
        thread::Builder::new().spawn(answer).unwrap();
        Target::loopback(port)
    }

    #[test]
    fn requests_that_do_not_fit_into_their_time_are_not_sent() {
        let count = u64::MAX;
        let load = Load {
            target: serve_one(),
            session: Session::default(),
            clients: 1,
            threads: 1,
            depth: 1,
            template: Template::of_words(&["PING"], b""),
            keys: KeyChoice::Literal,
            seed: 1,
            amount: Amount::Requests { count, within: Some(Duration::from_millis(20)) },
            warmup: Duration::ZERO,
            pace: Pace::Closed,
            keep_alive: true,
            show_errors: false,
            cores: Vec::new(),
            patience: None,
        };
        let outcome = run(&load, &Stop::default(), &mut |_| {}).unwrap();
        assert!(outcome.requests > 0 && outcome.requests < count);
        assert_eq!(outcome.unsent, 0, "only a timetable knows what should have been sent");
    }
}
