//! What all workers of a server share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use command::{Command, Table};
use config::SetError;
use keyspace::lengths::DOUBLINGS;
use keyspace::{
    COUNTED, Counts, DbIndex, Keyspace, Lengths, Listener, ShardId, Sizes, Type, Usage,
};
use script::sha1;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::acl::{Acl, Beginning, Changed, DEFAULT_USER, Names};
use crate::background::Background;
use crate::client::{ClientId, Kill, Registry};
use crate::clock::Clock;
use crate::commands::{self, SessionFn};
use crate::events::{Events, Wanted};
use crate::functions::Functions;
use crate::http::Guest;
use crate::latency::LatencyMonitor;
use crate::long_work::LongWork;
use crate::monitor::Monitor;
use crate::pause::Pause;
use crate::process;
use crate::pubsub::PubSub;
use crate::sampler::Sampler;
use crate::scripts::Scripts;
use crate::settings::{Configuration, Settings};
use crate::slowlog::SlowLog;
use crate::stats::{Histogram, WorkerStats};
use crate::tracking::{Teller, Tracking};

/// All commands: those of the keyspace, and the server's own with their functions.
pub type CommandTable = Table<Option<SessionFn>>;

/// The entry of a command.
pub type CommandEntry = command::Entry<Option<SessionFn>>;

/// See the module's page.
pub struct Server {
    /// All the data. It lives as long as the process, so that a view of it may move to another
    /// thread.
    pub keyspace: &'static Keyspace,
    /// All commands.
    pub table: CommandTable,
    /// All users.
    pub acl: Arc<Acl>,
    /// All connections.
    pub clients: Registry,
    /// The clocks.
    pub clock: Clock,
    /// What each worker counts.
    pub stats: Box<[Arc<WorkerStats>]>,
    /// What others count who run commands: scripts.
    other_stats: Mutex<Vec<Arc<WorkerStats>>>,
    /// CLIENT PAUSE.
    pub pause: Pause,
    /// How many clients wait for keys and have a timeout.
    pub timed_waits: AtomicUsize,
    /// Where big things are dropped.
    pub background: Background,
    /// Where long commands run.
    pub long_work: LongWork,
    /// The version of the last snapshot of the keyspace; locked by whoever takes one.
    pub snapshot: Mutex<u64>,
    /// A name for this run of the server, 40 hexadecimal digits.
    pub run_id: String,
    /// Who watches every command.
    pub monitor: Monitor,
    /// Who is told when a key that was read may be another.
    pub tracking: Arc<Tracking>,
    /// Who is subscribed to what.
    pub pubsub: Arc<PubSub>,
    /// Which events are published.
    pub events: Arc<Wanted>,
    /// Scripts and functions.
    pub scripts: Scripts,
    /// Libraries of functions.
    pub functions: Functions,
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
    /// What the listeners count.
    pub arrivals: Arrivals,
    /// All settings, as CONFIG shows them.
    pub config: Configuration,
    /// How many connections each worker has.
    pub load: Load,
    /// Where connections go that speak HTTP.
    pub http: HttpDoor,
    settings: Mutex<Arc<Settings>>,
    settings_version: AtomicU64,
    stopping: AtomicBool,
    stop: Notify,
    known: Mutex<Vec<Known>>,
    /// What was counted when RESETSTAT was last asked for.
    baseline: Mutex<Arc<Baseline>>,
}

/// What the listeners count; any thread writes.
#[derive(Default)]
pub struct Arrivals {
    /// The port of the main listener; 0: there is none.
    pub tcp_port: AtomicU16,
    /// The port of the admin listener; 0: there is none.
    pub admin_port: AtomicU16,
    /// Connections refused, for whatever reason.
    pub refused: AtomicU64,
    /// Those of them that came from elsewhere while protected mode was on.
    pub unprotected: AtomicU64,
    /// Connections that the system failed to accept.
    pub accept_errors: AtomicU64,
    /// Requests over HTTP without the right password.
    pub http_auth_failures: AtomicU64,
}

/// Strings, and the collections of [`COUNTED`].
const TYPES_COUNTED: usize = 1 + COUNTED.len();

/// How many values there are of each doubling of length: strings, then those of [`COUNTED`].
pub type ValueLengths = [[u64; DOUBLINGS]; TYPES_COUNTED];

/// What was last seen of a shard.
#[derive(Clone, Default)]
struct Known {
    usage: Usage,
    /// Of each database, up to the last that holds anything.
    counts: Vec<Counts>,
    lengths: Vec<(DbIndex, Lengths, Sizes)>,
}

/// Without the databases behind the last that holds anything: most have none, and shards are many.
fn trimmed(mut counts: Vec<Counts>) -> Vec<Counts> {
    let holds = |counts: &Counts| *counts != Counts::default();
    counts.truncate(counts.iter().rposition(holds).map_or(0, |last| last + 1));
    counts.shrink_to_fit();
    counts
}

/// What had been counted at some moment.
#[derive(Default)]
struct Baseline {
    workers: WorkerStats,
    refused: u64,
    cpu_nanos: u64,
}

impl Server {
    /// A server with an empty keyspace. `secret`: random words for the hash of keys.
    #[must_use]
    pub fn new(
        workers: usize,
        shards: usize,
        config: Configuration,
        secret: [u64; 2],
        run_id: String,
    ) -> Server {
        let live = config.current();
        let live = live.live();
        let databases = u16::try_from(live.databases).unwrap_or(u16::MAX);
        let settings = Settings::of(live);
        let keyspace: &'static _ = Box::leak(Box::new(Keyspace::new(shards, databases, secret)));
        let tracking = Arc::new(Tracking::new(keyspace.shards()));
        let pubsub = Arc::new(PubSub::default());
        let classes = Arc::new(Wanted::default());
        let events = Events { pubsub: Arc::clone(&pubsub), wanted: Arc::clone(&classes) };
        keyspace.set_sink(Box::new(Teller { followers: Arc::clone(&tracking), events }));
        keyspace.listen(Listener::Followers, false);
        settings.events.apply(&classes, keyspace);
        pubsub.limit(settings.pubsub_output.hard_bytes);
        let clients = Registry::default();
        clients.limit(settings.clients_bytes_max);
        let table = command_table();
        let beginning = Beginning { names: Names(&table), all_channels: settings.all_channels };
        let acl = Arc::new(Acl::new(beginning, &settings.requirepass));
        acl.log.limit(settings.acl_log_entries_max);
        let stats = (0..workers).map(|_| Arc::new(WorkerStats::new(table.numbers()))).collect();
        let nothing = WorkerStats::new(table.numbers());
        let baseline = Baseline { workers: nothing, ..Baseline::default() };
        Server {
            known: Mutex::new(vec![Known::default(); keyspace.shards()]),
            baseline: Mutex::new(Arc::new(baseline)),
            keyspace,
            table,
            acl,
            clients,
            clock: Clock::default(),
            stats,
            other_stats: Mutex::default(),
            pause: Pause::default(),
            timed_waits: AtomicUsize::new(0),
            background: Background::start(),
            long_work: LongWork::start(workers),
            snapshot: Mutex::new(0),
            run_id,
            monitor: Monitor::default(),
            tracking,
            pubsub,
            events: classes,
            scripts: Scripts::default(),
            functions: Functions::default(),
            slowlog: SlowLog::default(),
            large_requests: SlowLog::default(),
            large_replies: SlowLog::default(),
            latency: LatencyMonitor::default(),
            sampler: Sampler::default(),
            debugging: Debugging::default(),
            arrivals: Arrivals::default(),
            config,
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
        self.acl.log.limit(settings.acl_log_entries_max);
        self.pubsub.limit(settings.pubsub_output.hard_bytes);
        settings.events.apply(&self.events, self.keyspace);
        self.clients.limit(settings.clients_bytes_max);
        self.tracking.limit(settings.tracked_keys_max);
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.settings_version.fetch_add(1, Ordering::Release);
    }

    /// CONFIG SET: changes settings, all or none, and puts them in force. `local`: whoever asks is
    /// of this machine.
    ///
    /// # Errors
    /// The first setting that is refused.
    pub fn change_settings(&self, pairs: &[(&[u8], &[u8])], local: bool) -> Result<(), SetError> {
        self.config.change(pairs, local, |new| {
            let (old, new) = (self.settings(), Settings::of(new.live()));
            if old.requirepass != new.requirepass {
                self.acl.set_default_password(&new.requirepass);
            }
            let tracked_keys_max = new.tracked_keys_max;
            self.publish_settings(new);
            if old.tracked_keys_max != tracked_keys_max {
                self.tracking.limit(tracked_keys_max);
            }
        })
    }

    /// What holds for a user that is new or reset.
    #[must_use]
    pub fn beginning(&self) -> Beginning<'_> {
        Beginning { names: Names(&self.table), all_channels: self.settings().all_channels }
    }

    /// Ends the connections of users that are gone, but for that of this client, and those that
    /// are told of what their users may not know of any more.
    pub fn part_with(&self, changed: &[Changed], own: ClientId) {
        for client in self.clients.all().iter().filter(|client| client.id != own) {
            let names = client.names();
            let user = if names.user.is_empty() { DEFAULT_USER } else { &names.user };
            let Some(changed) = changed.iter().find(|one| *one.old.name == *user) else { continue };
            let may_stay = changed.new.as_ref().is_some_and(|new| {
                let terms = names.tracking.as_ref();
                let mut prefixes = terms.and_then(|terms| terms.prefixes()).into_iter().flatten();
                prefixes.all(|prefix| new.rules.may_read_all(prefix))
            });
            if may_stay {
                // It looks at its new rights, also if it never sends anything.
                client.ring();
            } else {
                client.kill(Kill::Now);
            }
        }
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

    /// What each shard holds; of a shard that is busy, what it held when last asked. Never waits
    /// for a gate.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        self.look(|known, id| {
            if let Some(now) = self.keyspace.try_usage(id) {
                known.usage = now;
            }
            known.usage
        })
    }

    /// A name for the data as it is since the start, 40 hexadecimal digits.
    #[must_use]
    pub fn replication_id(&self) -> String {
        let renamings = self.debugging.renamings.load(Ordering::Relaxed);
        let digest = sha1(format!("{} {renamings}", self.run_id).as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What each database holds. As [`Server::usage`].
    #[must_use]
    pub fn database_sizes(&self) -> Vec<Counts> {
        let shards = self.look(|known, id| {
            if let Some(now) = self.keyspace.try_counts(id) {
                known.counts = trimmed(now);
            }
            known.counts.clone()
        });
        let mut sizes = vec![Counts::default(); usize::from(self.keyspace.databases())];
        for shard in shards {
            sizes.iter_mut().zip(shard).for_each(|(sum, counts)| *sum = sum.with(counts));
        }
        sizes
    }

    /// How many values there are of each type and each doubling of length, in each database that
    /// has keys: of strings, then of [`COUNTED`]. As [`Server::usage`].
    #[must_use]
    pub fn value_lengths(&self) -> BTreeMap<DbIndex, ValueLengths> {
        let shards = self.look(|known, id| {
            if let Some(now) = self.keyspace.try_lengths(id) {
                known.lengths = now;
            }
            known.lengths.clone()
        });
        let mut sums = BTreeMap::new();
        for (db, strings, sizes) in shards.into_iter().flatten() {
            let all = [(Type::String, &strings)].into_iter().chain(sizes.iter());
            let sums = sums.entry(db).or_insert([[0; DOUBLINGS]; TYPES_COUNTED]);
            for (sum, (_, lengths)) in sums.iter_mut().zip(all) {
                let counts = lengths.counts().iter();
                sum.iter_mut().zip(counts).for_each(|(sum, &count)| *sum += u64::from(count));
            }
        }
        sums
    }

    fn look<T>(&self, mut look: impl FnMut(&mut Known, ShardId) -> T) -> Vec<T> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.keyspace.shard_ids().zip(known.iter_mut()).map(|(id, known)| look(known, id)).collect()
    }

    /// The counters of everybody who runs commands.
    #[must_use]
    pub fn all_stats(&self) -> Vec<Arc<WorkerStats>> {
        let others = self.other_stats.lock().unwrap_or_else(PoisonError::into_inner);
        self.stats.iter().chain(others.iter()).cloned().collect()
    }

    /// Counters for one more who runs commands, beside the workers.
    #[must_use]
    pub fn more_stats(&self) -> Arc<WorkerStats> {
        let stats = Arc::new(WorkerStats::new(self.table.numbers()));
        let mut others = self.other_stats.lock().unwrap_or_else(PoisonError::into_inner);
        others.push(Arc::clone(&stats));
        stats
    }

    /// A sum over all who run commands since the server started.
    pub fn total(&self, counter: impl Fn(&WorkerStats) -> u64) -> u64 {
        self.all_stats().iter().map(|stats| counter(stats)).sum()
    }

    /// The greatest of all who run commands.
    pub fn greatest(&self, counter: impl Fn(&WorkerStats) -> u64) -> u64 {
        self.all_stats().iter().map(|stats| counter(stats)).max().unwrap_or(0)
    }

    /// A sum over all workers since statistics were last reset.
    pub fn sum(&self, counter: impl Fn(&WorkerStats) -> u64) -> u64 {
        let before = counter(&self.baseline().workers);
        self.total(counter).saturating_sub(before)
    }

    /// Connections refused since statistics were last reset.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let now = self.arrivals.refused.load(Ordering::Relaxed);
        now.saturating_sub(self.baseline().refused)
    }

    /// Processor time of the process since statistics were last reset, in nanoseconds.
    #[must_use]
    pub fn cpu_nanos(&self) -> u64 {
        process::cpu_nanos().saturating_sub(self.baseline().cpu_nanos)
    }

    /// How long the calls of a command took since statistics were last reset; `None`: not called.
    /// The number is that of its entry in the table.
    #[must_use]
    pub fn latency(&self, command: usize) -> Option<Histogram> {
        let sum = self.latency_total(command)?;
        if let Some(before) = self.baseline().workers.each[command].latency.get() {
            sum.subtract(before);
        }
        Some(sum)
    }

    /// How long the calls of a command took since the server started.
    #[must_use]
    pub fn latency_total(&self, command: usize) -> Option<Histogram> {
        let all = self.all_stats();
        let each = all.iter().filter_map(|one| one.each[command].latency.get());
        let mut each = each.peekable();
        each.peek()?;
        let sum = Histogram::default();
        each.for_each(|one| sum.add(one));
        Some(sum)
    }

    /// CONFIG RESETSTAT. Counters belong to their workers, so they go on; what they show is
    /// counted from here.
    pub fn reset_stats(&self) {
        let all = self.all_stats();
        let workers = WorkerStats::together(&all);
        let refused = self.arrivals.refused.load(Ordering::Relaxed);
        let baseline = Arc::new(Baseline { workers, refused, cpu_nanos: process::cpu_nanos() });
        *self.baseline.lock().unwrap_or_else(PoisonError::into_inner) = baseline;
        all.iter().for_each(|stats| stats.error_codes.reset());
        self.background.reset();
    }

    fn baseline(&self) -> Arc<Baseline> {
        Arc::clone(&self.baseline.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What DEBUG switches, for tests.
#[derive(Debug, Default)]
pub struct Debugging {
    /// SET-ACTIVE-EXPIRE 0: what has expired is removed only when it is asked for.
    pub expiry_paused: AtomicBool,
    /// PAUSE-CRON 1: nothing is done that nobody asks for.
    pub cron_paused: AtomicBool,
    /// SET-SKIP-CHECKSUM-VALIDATION 1: checksums of dumps are not looked at.
    pub checksums_skipped: AtomicBool,
    /// SET-DISABLE-DENY-SCRIPTS 1: scripts may call DEBUG.
    pub scripts_may_debug: AtomicBool,
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
pub struct HttpDoor(OnceLock<UnboundedSender<Guest>>);

impl HttpDoor {
    /// Says who takes them.
    pub fn open(&self, sender: UnboundedSender<Guest>) {
        drop(self.0.set(sender));
    }

    /// Hands one over; closes it if nobody takes it.
    pub fn send(&self, guest: Guest) {
        if let Some(sender) = self.0.get() {
            drop(sender.send(guest));
        }
    }
}

/// The table of all rows.
#[must_use]
pub fn command_table() -> CommandTable {
    let keyspace = families::FAMILIES.iter().flat_map(|family| family.iter());
    let keyspace = keyspace.chain(commands::ON_SHARDS).map(|row: &'static Command| (row, None));
    let own = commands::ROWS.iter().flat_map(|rows| rows.iter());
    Table::new(keyspace.chain(own.map(|row| (&row.command, Some(row.run)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_begin_anew_while_counters_go_on() {
        let server = Server::new(2, 4, Configuration::default(), [1, 2], String::new());
        let count = || {
            server.stats[0].hits.add(2);
            server.stats[1].hits.add(3);
            let get = &server.stats[1].each[0];
            get.calls.add(1);
            get.latency.get_or_init(Histogram::default).record(1000, 1);
            server.arrivals.refused.fetch_add(1, Ordering::Relaxed);
        };
        let hits = |stats: &WorkerStats| stats.hits.get();
        let calls = |stats: &WorkerStats| stats.each[0].calls.get();
        assert!(server.latency(0).is_none());
        count();
        assert_eq!((server.sum(hits), server.sum(calls), server.refused()), (5, 1, 1));
        server.reset_stats();
        assert_eq!((server.sum(hits), server.sum(calls), server.refused()), (0, 0, 0));
        assert_eq!(server.latency(0).map(|latency| latency.nanos()), Some(0));
        count();
        assert_eq!((server.sum(hits), server.sum(calls), server.refused()), (5, 1, 1));
        assert_eq!(server.total(hits), 10);
        assert_eq!(server.latency(0).map(|latency| latency.nanos()), Some(1000));
        assert_eq!(server.latency_total(0).map(|latency| latency.nanos()), Some(2000));
    }
}
