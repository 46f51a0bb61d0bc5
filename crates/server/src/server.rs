//! What all workers of a server share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use command::{Command, Table};
use keyspace::{Keyspace, Usage};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::background::Background;
use crate::client::{Kill, Registry};
use crate::clock::Clock;
use crate::commands::{self, SessionFn};
use crate::latency::LatencyMonitor;
use crate::monitor::Monitor;
use crate::pause::Pause;
use crate::sampler::Sampler;
use crate::settings::Settings;
use crate::sha1::sha1;
use crate::slowlog::SlowLog;
use crate::stats::WorkerStats;

/// All commands: those of the keyspace, and the server's own with their functions.
pub type CommandTable = Table<Option<SessionFn>>;

/// The entry of a command.
pub type CommandEntry = command::Entry<Option<SessionFn>>;

/// See the module's page.
pub struct Server {
    /// All the data.
    pub keyspace: Keyspace,
    /// All commands.
    pub table: CommandTable,
    /// All connections.
    pub clients: Registry,
    /// The clocks.
    pub clock: Clock,
    /// What each worker counts.
    pub stats: Box<[WorkerStats]>,
    /// CLIENT PAUSE.
    pub pause: Pause,
    /// Where big things are dropped.
    pub background: Background,
    /// A name for this run of the server, 40 hexadecimal digits.
    pub run_id: String,
    /// Who watches every command.
    pub monitor: Monitor,
    /// Commands that took long.
    pub slowlog: SlowLog,
    /// Commands whose request was large.
    pub large_requests: SlowLog,
    /// Commands whose reply was large.
    pub large_replies: SlowLog,
    /// Events that took long.
    pub latency: LatencyMonitor,
    /// Rates and peaks.
    pub sampler: Sampler,
    /// What DEBUG has switched.
    pub debugging: Debugging,
    /// What start-up has found out, once it has.
    pub facts: OnceLock<Facts>,
    /// Connections refused.
    pub refused: AtomicU64,
    /// Connections that the system failed to accept.
    pub accept_errors: AtomicU64,
    /// How many connections each worker has.
    pub load: Load,
    /// Where connections go that speak HTTP.
    pub http: HttpDoor,
    settings: Mutex<Arc<Settings>>,
    settings_version: AtomicU64,
    stopping: AtomicBool,
    stop: Notify,
    usage: Mutex<Vec<Usage>>,
    /// Of each shard, keys and keys with a deadline of each database.
    counts: Mutex<Vec<Vec<(usize, usize)>>>,
}

impl Server {
    /// A server with an empty keyspace. `secret`: random words for the hash of keys.
    #[must_use]
    pub fn new(
        workers: usize,
        shards: usize,
        databases: u16,
        settings: Settings,
        secret: [u64; 2],
        run_id: String,
    ) -> Server {
        let keyspace = Keyspace::new(shards, databases, secret);
        let table = command_table();
        let stats = (0..workers).map(|_| WorkerStats::new(table.numbers())).collect();
        Server {
            usage: Mutex::new(vec![Usage::default(); keyspace.shards()]),
            counts: Mutex::new(vec![Vec::new(); keyspace.shards()]),
            keyspace,
            table,
            clients: Registry::default(),
            clock: Clock::default(),
            stats,
            pause: Pause::default(),
            background: Background::start(),
            run_id,
            monitor: Monitor::default(),
            slowlog: SlowLog::default(),
            large_requests: SlowLog::default(),
            large_replies: SlowLog::default(),
            latency: LatencyMonitor::default(),
            sampler: Sampler::default(),
            debugging: Debugging::default(),
            facts: OnceLock::new(),
            refused: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            load: Load::new(workers),
            http: HttpDoor::default(),
            settings: Mutex::new(Arc::new(settings)),
            settings_version: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts the changes of the settings: a worker that has seen this number has the newest.
    #[must_use]
    #[inline]
    pub fn settings_version(&self) -> u64 {
        self.settings_version.load(Ordering::Acquire)
    }

    /// Puts other settings in force.
    pub fn publish_settings(&self, settings: Settings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.settings_version.fetch_add(1, Ordering::Release);
    }

    /// Tells everybody to end.
    pub fn shut_down(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_waiters();
        self.clients.all().iter().for_each(|client| client.kill(Kill::AfterReply));
    }

    /// Whether the server is ending.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits until the server is to end.
    pub async fn stopped(&self) {
        let told = self.stop.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if !self.is_stopping() {
            told.await;
        }
    }

    /// What each shard holds; of a shard that is busy, what it held when last asked. Never waits.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        let mut known = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, known) in self.keyspace.shard_ids().zip(known.iter_mut()) {
            if let Some(now) = self.keyspace.try_usage(id) {
                *known = now;
            }
        }
        known.clone()
    }

    /// Keys and keys with a deadline of each database; of a shard that is busy, those it had when
    /// last asked. Never waits.
    #[must_use]
    pub fn counts(&self) -> Vec<(usize, usize)> {
        let mut known = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, known) in self.keyspace.shard_ids().zip(known.iter_mut()) {
            if let Some(now) = self.keyspace.try_counts(id) {
                *known = now;
            }
        }
        let mut sums = vec![(0, 0); usize::from(self.keyspace.databases())];
        for shard in known.iter() {
            for (sum, count) in sums.iter_mut().zip(shard) {
                *sum = (sum.0 + count.0, sum.1 + count.1);
            }
        }
        sums
    }

    /// A name for the data as it is since the start, 40 hexadecimal digits.
    #[must_use]
    pub fn replication_id(&self) -> String {
        let renamings = self.debugging.renamings.load(Ordering::Relaxed);
        let digest = sha1(format!("{} {renamings}", self.run_id).as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A sum over all workers.
    pub fn sum(&self, counter: impl Fn(&WorkerStats) -> u64) -> u64 {
        self.stats.iter().map(counter).sum()
    }
}

/// What start-up tells INFO of.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The port of the protocol; 0: none.
    pub port: u16,
    /// The path of the file of settings; empty: none.
    pub config_file: String,
    /// Each listener as INFO shows it: `name=tcp,bind=127.0.0.1,port=6379`.
    pub listeners: Vec<String>,
}

/// What DEBUG switches, for tests.
#[derive(Debug, Default)]
pub struct Debugging {
    /// SET-ACTIVE-EXPIRE 0: what has expired is removed only when it is asked for.
    pub expiry_paused: AtomicBool,
    /// PAUSE-CRON 1: nothing is done that nobody asks for.
    pub cron_paused: AtomicBool,
    /// How often CHANGE-REPL-ID has given the data another name.
    pub renamings: AtomicU64,
}

/// How many connections each worker has.
pub struct Load(Box<[AtomicUsize]>);

impl Load {
    fn new(workers: usize) -> Load {
        Load((0..workers).map(|_| AtomicUsize::new(0)).collect())
    }

    /// The worker with the fewest connections; the new one is counted.
    pub fn place(&self) -> usize {
        let counted = self.0.iter().enumerate();
        let fewest = counted.min_by_key(|(_, count)| count.load(Ordering::Relaxed));
        let worker = fewest.map_or(0, |(worker, _)| worker);
        self.0[worker].fetch_add(1, Ordering::Relaxed);
        worker
    }

    /// A connection of a worker has ended.
    pub fn leave(&self, worker: usize) {
        self.0[worker].fetch_sub(1, Ordering::Relaxed);
    }

    /// How many connections a worker has.
    #[must_use]
    pub fn of(&self, worker: usize) -> usize {
        self.0[worker].load(Ordering::Relaxed)
    }
}

/// The way to the control thread for connections that speak HTTP.
#[derive(Default)]
pub struct HttpDoor(OnceLock<UnboundedSender<(std::net::TcpStream, Vec<u8>)>>);

impl HttpDoor {
    /// Says who takes them.
    pub fn open(&self, sender: UnboundedSender<(std::net::TcpStream, Vec<u8>)>) {
        drop(self.0.set(sender));
    }

    /// Hands one over, with what it has sent; drops it if nobody takes it.
    pub fn send(&self, socket: std::net::TcpStream, first_bytes: Vec<u8>) {
        if let Some(sender) = self.0.get() {
            drop(sender.send((socket, first_bytes)));
        }
    }
}

/// The table of all rows.
#[must_use]
pub fn command_table() -> CommandTable {
    let keyspace = families::FAMILIES.iter().flat_map(|family| family.iter());
    let keyspace = keyspace.chain(commands::READERS).map(|row: &'static Command| (row, None));
    let own = commands::ROWS.iter().flat_map(|rows| rows.iter());
    Table::new(keyspace.chain(own.map(|row| (&row.command, Some(row.run)))))
}
