//! One thread that serves connections: its runtime, its scratch buffers, its counters.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keyspace::{Due, Frame, Intake, Maintained};
use protocol::{Output, Span};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::client::{Arrival, Kill};
use crate::connection;
use crate::executor::Executor;
use crate::server::Server;
use crate::socket::Incoming;
use crate::turns::Turns;
use crate::{latency, sampler};

/// A connection that nothing was heard of for so long gives back memory that it holds in reserve.
pub const IDLE_MILLIS: u64 = 2000;

/// Bytes that one read takes at most.
pub const READ_BYTES: usize = 64 << 10;

/// How long, together, a worker that ends waits for its connections to end.
const PARTING_TRIES: u32 = 200;
const PARTING_REST: std::time::Duration = std::time::Duration::from_millis(10);

/// Requests that are run together.
pub const BATCH_MAX: usize = 64;

/// Buffers for replies that a worker keeps, beside the one in use.
const SPARES_MAX: usize = 64;

/// A connection on its way from the listener to its worker.
pub struct Arriving {
    /// Its socket.
    pub socket: Incoming,
    /// What is known of it.
    pub arrival: Arrival,
    /// What it has sent already.
    pub first_bytes: Vec<u8>,
}

/// Buffers that a worker lends to the connection it is serving just now. Nobody holds them
/// across an `.await`.
pub struct Scratch {
    /// What was read.
    pub input: Box<[u8]>,
    /// Replies not written yet.
    pub output: Output,
    /// Further buffers for replies, for when a connection holds some.
    spare: Vec<Output>,
    /// The words of each request of a batch.
    pub spans: Vec<Vec<Span>>,
}

/// Words of a request whose places are kept from one batch to the next.
const SPANS_KEPT: usize = READ_BYTES / 4;

impl Scratch {
    fn new() -> Scratch {
        let spans = (0..BATCH_MAX).map(|_| Vec::new()).collect();
        let input = vec![0; READ_BYTES].into_boxed_slice();
        Scratch { input, output: Output::default(), spare: Vec::new(), spans }
    }

    /// Puts a spare buffer in the place of the one that a connection has taken.
    pub fn renew_output(&mut self) {
        self.output = self.spare();
    }

    /// A buffer for replies; an empty one is to be [given back](Scratch::take_back).
    pub fn spare(&mut self) -> Output {
        self.spare.pop().unwrap_or_default()
    }

    /// Gives back the memory that the words of requests took, where there were very many.
    #[cold]
    pub fn forget_words(&mut self) {
        for spans in self.spans.iter_mut().filter(|spans| spans.capacity() > SPANS_KEPT) {
            *spans = Vec::new();
        }
    }

    /// Takes a buffer back whose replies are written.
    pub fn take_back(&mut self, mut output: Output) {
        output.clear();
        if self.spare.len() < SPARES_MAX {
            self.spare.push(output);
        }
    }
}

/// See the module's page.
pub struct Worker {
    /// Its number, from 0.
    pub index: usize,
    /// As who it runs commands.
    pub executor: Executor,
    /// See [`Scratch`].
    pub scratch: RefCell<Scratch>,
    /// The replies that its connections hold.
    pub turns: Turns,
}

/// The way to a worker for new connections.
#[derive(Clone)]
pub struct Door {
    sender: UnboundedSender<Arriving>,
}

impl Door {
    /// Hands a connection over. A worker that has ended drops it.
    pub fn send(&self, arriving: Arriving) {
        drop(self.sender.send(arriving));
    }
}

/// A door, and what comes through it.
#[must_use]
pub fn door() -> (Door, UnboundedReceiver<Arriving>) {
    let (sender, receiver) = unbounded_channel();
    (Door { sender }, receiver)
}

impl Worker {
    /// Makes the scratch whole again after a panic of whoever had borrowed it.
    #[cold]
    pub fn mend(&self) {
        if let Ok(mut scratch) = self.scratch.try_borrow_mut() {
            *scratch = Scratch::new();
        }
    }
}

impl std::ops::Deref for Worker {
    type Target = Executor;

    fn deref(&self) -> &Executor {
        &self.executor
    }
}

/// Runs a worker on the calling thread until the server ends.
pub fn run(server: Arc<Server>, index: usize, arriving: UnboundedReceiver<Arriving>, seed: u64) {
    let stats = Arc::clone(&server.stats[index]);
    let executor = Executor::new(server, stats, seed);
    let scratch = RefCell::new(Scratch::new());
    let turns = Turns::default();
    let worker = Rc::new(Worker { index, executor, scratch, turns });
    let options = tokio::runtime::LocalOptions::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(options);
    let runtime = runtime.expect("the system has room for one more runtime");
    runtime.block_on(serve(worker, arriving));
}

async fn serve(worker: Rc<Worker>, mut arriving: UnboundedReceiver<Arriving>) {
    tokio::task::spawn_local(look_after(Rc::clone(&worker)));
    if worker.index == 0 {
        let worker = Rc::clone(&worker);
        tokio::task::spawn_local(async move { sampler::run(&worker.server).await });
    }
    tokio::task::spawn_local(look_at_clients(Rc::clone(&worker)));
    loop {
        tokio::select! {
            () = worker.server.stopped() => break,
            arrived = arriving.recv() => match arrived {
                Some(arrived) => connection::serve(&worker, arrived),
                None => break,
            },
        }
    }
    // Those connected are told to end; what they have been promised is still written.
    for _ in 0..PARTING_TRIES {
        if worker.server.load.of(worker.index) == 0 {
            break;
        }
        tokio::time::sleep(PARTING_REST).await;
    }
}

/// Once a second: closes this worker's connections that nothing was heard of for too long, has
/// those look to their limits whose output waits, and those give back memory that are idle.
async fn look_at_clients(worker: Rc<Worker>) {
    let server = &worker.server;
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let timeout_millis = worker.settings().timeout_seconds.saturating_mul(1000);
        let now = server.clock.now();
        for client in server.clients.all() {
            if client.worker != worker.index {
                continue;
            }
            if timeout_millis > 0 && client.idle_millis(now) > timeout_millis {
                worker.stats().timeouts.add(1);
                client.kill(Kill::Now);
            } else if client.output_bytes.load(Ordering::Relaxed) > 0
                || client.query_free_bytes.load(Ordering::Relaxed) > 0
                    && client.idle_millis(now) > IDLE_MILLIS
            {
                client.ring();
            }
        }
    }
}

/// Expiry and the like, for this worker's share of the shards, `hz` times a second.
///
/// A quarter of a round's time is spent on it at most, in steps of one segment, and between
/// steps the worker's connections have their turn.
async fn look_after(worker: Rc<Worker>) {
    let server = &worker.server;
    let shares = server.stats.len();
    let mut rounds: Vec<_> = server
        .keyspace
        .shard_ids()
        .filter(|id| id.index() % shares == worker.index)
        .map(|id| (id, None))
        .collect();
    loop {
        let period = 1000 / worker.settings().hz.clamp(1, 500);
        tokio::time::sleep(std::time::Duration::from_millis(period)).await;
        // What holds now, not what held before the rest.
        let settings = worker.settings();
        let debugging = &server.debugging;
        let paused = debugging.expiry_paused.load(Ordering::Relaxed)
            || debugging.cron_paused.load(Ordering::Relaxed);
        if paused
            || !settings.active_expire
            || settings.import_mode
            || server.pause.holds(server.clock.now(), true).is_some()
        {
            continue;
        }
        let effort = settings.expire_effort.clamp(1, 10);
        let rest = 1000 / effort;
        let budget_micros = period * 1000 * (20 + 5 * effort) / 100;
        let start = server.clock.micros();
        let mut micros_max = 0;
        'round: for (id, due) in &mut rounds {
            loop {
                let frame = Frame {
                    db: 0,
                    now: server.clock.now(),
                    chance: worker.chance(),
                    access: settings.access,
                    touch: false,
                    origin: 0,
                    by_script: false,
                    is_paused: false,
                    layout: settings.layout,
                    intake: Intake::default(),
                };
                let step = server.clock.nanos();
                let maintained =
                    server.keyspace.maintain(*id, frame, due.get_or_insert(Due::new(rest)));
                let nanos = server.clock.nanos() - step;
                micros_max = micros_max.max(nanos / 1000);
                worker.stats().expire_nanos.add(nanos);
                match maintained {
                    Maintained::Step(tally) => {
                        worker.stats().expired.add(tally.expired);
                        worker.stats().lapsed.add(tally.lapsed);
                        if let Some(garbage) = tally.garbage.filter(|_| settings.lazy_expire) {
                            server.background.discard(garbage);
                        }
                    }
                    Maintained::Done => {
                        *due = None;
                        break;
                    }
                    Maintained::Busy => break,
                }
                tokio::task::yield_now().await;
                if server.clock.micros() - start > budget_micros {
                    worker.stats().expire_cycles_capped.add(1);
                    break 'round;
                }
            }
        }
        worker.note_latency(&settings, latency::EXPIRE_CYCLE, micros_max);
    }
}
