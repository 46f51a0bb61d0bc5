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
use crate::monitor::Monitor;
use crate::pause::Pause;
use crate::settings::Settings;
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
        let stats = (0..workers).map(|_| WorkerStats::new(table.iter().len())).collect();
        Server {
            usage: Mutex::new(vec![Usage::default(); keyspace.shards()]),
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

    /// A sum over all workers.
    pub fn sum(&self, counter: impl Fn(&WorkerStats) -> u64) -> u64 {
        self.stats.iter().map(counter).sum()
    }
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

fn command_table() -> CommandTable {
    let keyspace = families::FAMILIES.iter().flat_map(|family| family.iter());
    let keyspace = keyspace.map(|row: &'static Command| (row, None));
    let own = commands::ROWS.iter().flat_map(|rows| rows.iter());
    Table::new(keyspace.chain(own.map(|row| (&row.command, Some(row.run)))))
}
