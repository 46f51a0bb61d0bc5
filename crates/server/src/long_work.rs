//! Commands that take long: they run on threads of their own, not on the worker of the connection.
//!
//! Any thread can enter a shard, so a command that would keep a worker from its other connections
//! for about a millisecond or more leaves it: the worker hands the request over as an `Errand`,
//! and the connection waits for the `Answer` as it does for a busy gate. Requests behind it wait
//! with it, so a client's replies stay in order; the worker's other connections go on.
//!
//! A reader holds the gates of its keys as long as it runs, with other readers. A writer that says
//! what it does before it changes anything ([`Command::prepare`]) does that under shared gates of
//! its sources, leaves them, enters all its gates exclusively and makes sure that no source has
//! changed meanwhile ([`keyspace::Witness`]); then it puts what it has. If one has changed, it
//! begins again, and the last time it holds everything as long as it takes. What needs no gates at
//! all ([`Prepared::Apart`]), such as to copy a long value, is done between the two entries.
//!
//! A command that goes through all keys ([`Command::sift`]) does so in a snapshot: after one short
//! entry of all shards it enters one after the other, alone, for a few keys each time, and gets
//! them as they were at that moment.
//!
//! A command that waits for its keys runs here if it has much to answer at once. If it turns out
//! that it has nothing, its worker runs it again, and begins the wait.
//!
//! # Invariants
//!
//! 1. An errand runs once or, if its client was killed before its turn came, not at all; either way
//!    it is answered.
//! 2. A thread that waits for a gate holds others only as [`Keyspace::enter`] does, and whoever is
//!    inside a gate waits for no errand: there is no deadlock, however few threads there are.
//!
//! [`Keyspace::enter`]: keyspace::Keyspace::enter

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use command::{
    Args, Attempt, COPIED_BYTES, Command, Done, Prepare, Prepared, Put, Run, Sift, Tried, View,
    WORD_STEPS, Wanted,
};
use keyspace::{Copied, DbIndex, Frame, Millis, Mode, Plan, SnapshotSink, Tally, Witness};
use protocol::{Dialect, Limits, Output, Parsed, Parser, Reply, Span, Words};
use tokio::sync::oneshot;

use crate::client::{Client, Kill};
use crate::execute::{Batch, Ran, Request, guarded, is_dropped_lazily, panicked};
use crate::secrets;
use crate::server::{CommandEntry, Server};
use crate::session::Session;

/// How many threads there are, at least and at most; as many as workers between these.
const THREADS: std::ops::RangeInclusive<usize> = 2..=8;

/// The threads' niceness: when the processors do not suffice, the workers, who keep many waiting,
/// come first.
const NICENESS: i32 = 5;

/// How often a result is computed without keeping writers from its sources.
const ROUNDS_MAX: usize = 3;

/// Home buckets of a table that are gone through in one entry of their shard: a few hundred keys,
/// which takes some ten microseconds.
const HOMES_AT_ONCE: usize = 32;

/// How long a thread has nothing to do before it gives memory back, and from then on again. What it
/// allocated and others have freed meanwhile, replies above all, is given back by itself alone.
const REST_FIRST: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(10);

/// The threads that long commands run on.
pub struct LongWork {
    queue: Arc<Queue>,
}

/// Errands that wait for a thread, at most one of each connection.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Something is waiting, or nothing more will come.
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    errands: VecDeque<Errand>,
    is_closed: bool,
}

/// What a thread is to do next.
enum Next {
    Run(Box<Errand>),
    /// Nothing has come for a while.
    Tidy,
    End,
}

/// A request that is kept while it waits, to be shared with the thread that runs it.
pub struct Held {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// A request on its way to a thread.
struct Errand {
    server: Arc<Server>,
    held: Arc<Held>,
    /// The command that is named first, and the one that runs: itself or a subcommand of it.
    named: &'static Command,
    command: &'static Command,
    frame: Frame,
    dialect: Dialect,
    client: Arc<Client>,
    /// With so long a reply the connection ends.
    reply_bytes_max: usize,
    /// Whether the client is to be told when the keys change that the command reads.
    remembers: bool,
    answer: oneshot::Sender<Answer>,
}

/// What became of an errand.
struct Answer {
    output: Output,
    done: Done,
    tally: Tally,
    /// When it began to run, in ns of the clock.
    began_nanos: u64,
    /// It did not run, since commands like it are paused for so many ms.
    paused: Option<Millis>,
    /// It has nothing to answer yet, and must wait.
    waits: bool,
}

/// What became of a try to compute what a command puts.
enum Round<'a> {
    /// What its sources were, what is to be put, and what was counted.
    Put(Vec<Witness>, Put<'a>, Tally),
    /// It is answered.
    Over(Box<Answer>),
    /// It must run as a whole.
    Undone,
}

impl LongWork {
    /// Starts the threads. They end with the server.
    #[must_use]
    pub fn start(workers: usize) -> LongWork {
        let queue = Arc::new(Queue::default());
        for nth in 0..workers.clamp(*THREADS.start(), *THREADS.end()) {
            let queue = Arc::clone(&queue);
            let name = format!("anax-long-{nth}");
            crate::threads::start(&name, Some(NICENESS), move || work(&queue));
        }
        LongWork { queue }
    }

    fn hand_over(&self, errand: Errand) {
        self.queue.lock().errands.push_back(errand);
        self.queue.changed.notify_one();
    }
}

impl Drop for LongWork {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do, so long at most.
    fn next(&self, rest: Duration) -> Next {
        let is_idle = |waiting: &mut Waiting| waiting.errands.is_empty() && !waiting.is_closed;
        let waited = self.changed.wait_timeout_while(self.lock(), rest, is_idle);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match waiting.errands.pop_front() {
            Some(errand) => Next::Run(Box::new(errand)),
            None if waiting.is_closed => Next::End,
            None => Next::Tidy,
        }
    }
}

fn work(queue: &Queue) {
    let mut rest = REST_FIRST;
    loop {
        match queue.next(rest) {
            Next::Run(errand) => {
                // A panic is a bug, of which the client is told: nobody answers it then.
                drop(catch_unwind(AssertUnwindSafe(|| errand.run())));
                rest = REST_FIRST;
            }
            Next::Tidy => {
                memory::heap::purge();
                rest = REST;
            }
            Next::End => return,
        }
    }
}

impl Held {
    /// A request as it was parsed, and whatever lies behind it.
    #[must_use]
    pub fn new(bytes: Vec<u8>, spans: Vec<Span>) -> Held {
        Held { bytes, spans }
    }

    /// A request of these words, written as if it had come so: a copy, or an inline request without
    /// its quotes.
    #[must_use]
    pub fn of<'w>(words: impl ExactSizeIterator<Item = &'w [u8]>) -> Held {
        const UNBOUNDED: Limits = Limits { bulk_bytes_max: u64::MAX, ..Limits::DEFAULT };
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        protocol::decode::encode_request(words, &mut bytes);
        let parsed = Parser::default().parse(&bytes, &mut spans, &UNBOUNDED);
        debug_assert!(matches!(parsed, Ok(Parsed::Request { .. })), "what was a request is one");
        Held { bytes, spans }
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// The request.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        Words::new(&self.bytes, &self.spans)
    }

    /// What it was made of, when nobody else has it any more.
    #[must_use]
    pub fn into_bytes(self: Arc<Self>) -> Vec<u8> {
        match Arc::try_unwrap(self) {
            Ok(held) => held.bytes,
            Err(held) => held.bytes.clone(),
        }
    }
}

impl<'a> Batch<'a> {
    /// Whether a request would keep the worker from its other connections for too long, by what its
    /// keys hold.
    #[inline]
    pub fn is_long(&self, command: &Command, args: Args<'_>, view: &View<'_>) -> bool {
        let steps = self.steps(command, args, view);
        steps.is_some_and(|steps| steps >= self.settings.long_command_steps)
    }

    /// How many steps a request takes, about, beyond what its number of words says; `None` if that
    /// is no question.
    #[inline]
    pub fn steps(&self, command: &Command, args: Args<'_>, view: &View<'_>) -> Option<u64> {
        let is_asked = command.work.is_some() && may_leave(command);
        is_asked.then(|| self.measure(command, args, view))
    }

    /// Whether it would do so by its number of words alone, or by how long they are, since most are
    /// copied: then not even its keys are looked for.
    #[inline]
    pub fn is_wordy(&self, command: &Command, args: Args<'_>) -> bool {
        let steps = args.len() as u64 * WORD_STEPS + args.request_bytes() as u64 / COPIED_BYTES;
        steps >= self.settings.long_command_steps && may_leave(command)
    }

    /// How much a request comes to, by what its keys hold.
    pub fn measure(&self, command: &Command, args: Args<'_>, view: &View<'_>) -> u64 {
        let Some(work) = command.work else { return 0 };
        // What is dropped in the background is no work of the command.
        if command.drops && self.drops_lazily(command, args) {
            return 0;
        }
        // A panic is a bug; the command itself will tell of it.
        guarded(|| Ok(work(args, view))).unwrap_or(0)
    }

    fn drops_lazily(&self, command: &Command, args: Args<'_>) -> bool {
        match command.name {
            "DEL" => self.settings.lazy_user_del,
            // A snapshot gets first what it has not got yet.
            _ => {
                let is_lazy = self.settings.lazy_user_flush && args.is_empty();
                is_lazy && self.server.snapshot.try_lock().is_ok()
            }
        }
    }

    /// Has a request run on another thread, and waits for its answer. [`Ran::Busy`]: it has nothing
    /// to answer yet, so it is to begin its wait.
    pub async fn run_elsewhere(
        &self,
        request: Request<'a>,
        held: &Arc<Held>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &mut Session,
        output: &mut Output,
    ) -> Ran {
        let (sender, receiver) = oneshot::channel();
        let errand = Errand {
            server: Arc::clone(&self.worker.server),
            held: Arc::clone(held),
            named: entry.command,
            command,
            frame: self.frame(session),
            dialect: session.dialect,
            client: Arc::clone(&session.client),
            reply_bytes_max: self.settings.reply_bytes_max(session.subscriptions.is_some()),
            remembers: session.remembers_keys() && command.reads(),
            answer: sender,
        };
        let sub = Some(command).filter(|_| !std::ptr::eq(entry.command, command));
        session.client.set_last_command(entry.command, sub);
        self.worker.stats().long_commands.add(1);
        let client = Arc::clone(&session.client);
        client.away.store(true, Ordering::Relaxed);
        self.server.long_work.hand_over(errand);
        let answer = receiver.await.unwrap_or_else(|_| Answer::empty(Err(panicked())));
        client.away.store(false, Ordering::Relaxed);
        if let Some(rest) = answer.paused {
            return Ran::Paused(rest);
        }
        if answer.waits {
            self.settle(answer.tally, command);
            return Ran::Busy;
        }
        session.began_nanos = answer.began_nanos;
        let mark = output.mark();
        self.settle(answer.tally, command);
        match answer.done {
            Ok(()) => output.push_output(answer.output),
            Err(error) => self.refuse(request, false, error, session, output, mark),
        }
        self.finish(request, session, output, mark);
        Ran::Done
    }
}

/// Keys one behind the other, and the end of each.
#[derive(Default)]
struct Found {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Keeps the keys of a shard that are told. Nobody waits for its lock: it is taken under the
/// shard's gate, and at the end.
struct Sieve {
    db: DbIndex,
    due_before: Millis,
    wanted: Arc<Wanted>,
    keys: Arc<Mutex<Found>>,
}

impl SnapshotSink for Sieve {
    fn copy(&mut self, entry: Copied<'_>) {
        let is_over = entry.deadline.is_some_and(|deadline| deadline < self.due_before);
        if entry.db == self.db && !is_over && (self.wanted)(entry.key) {
            let mut found = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            found.bytes.extend_from_slice(entry.key);
            let end = found.bytes.len();
            found.ends.push(end);
        }
    }
}

fn tell_found(found: &[Arc<Mutex<Found>>], reply: &mut Reply<'_>) {
    let (list, mut count) = (reply.deferred_array(), 0);
    for found in found {
        let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        let mut start = 0;
        for &end in &found.ends {
            reply.bulk(&found.bytes[start..end]);
            start = end;
        }
        count += found.ends.len();
    }
    reply.finish(list, count);
}

/// Whether a command needs nothing of its worker.
fn may_leave(command: &Command) -> bool {
    matches!(command.run, Run::Read(_) | Run::Write(_) | Run::Block(_))
}

impl Answer {
    fn empty(done: Done) -> Answer {
        let (output, tally) = (Output::new(), Tally::default());
        Answer { output, done, tally, began_nanos: 0, paused: None, waits: false }
    }
}

impl Errand {
    /// Runs it, and answers.
    fn run(self) {
        let answer = match (self.command.prepare, self.command.sift) {
            // Its connection ends, whatever the answer is.
            _ if self.client.killed() == Kill::Now => Answer::empty(Ok(())),
            (Some(prepare), _) => self.run_prepared(prepare),
            (None, Some(sift)) => self.run_sifted(sift),
            (None, None) => self.run_at_once(),
        };
        let Errand { held, answer: to, .. } = self;
        // Whoever is answered has the request to itself again.
        drop(held);
        drop(to.send(answer));
    }

    fn args(&self) -> Args<'_> {
        let is_sub = !std::ptr::eq(self.named, self.command);
        Args::new(self.held.words(), 1 + usize::from(is_sub))
    }

    /// The keys at these positions; none if its words do not say where they are: then its function
    /// refuses them.
    fn keys_at<E>(
        &self,
        positions: Result<smallvec::SmallVec<[usize; 8]>, E>,
    ) -> impl Iterator<Item = &[u8]> + Clone {
        let positions = positions.unwrap_or_default().into_iter();
        positions.filter_map(|at| self.held.words().get(at))
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.keys_at(self.command.key_positions(self.held.words()))
    }

    fn sources(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.keys_at(self.command.source_positions(self.held.words()))
    }

    /// Enters the shards of these keys; of all, if it needs all.
    fn enter<'k>(&self, keys: impl Iterator<Item = &'k [u8]>, mode: Mode) -> View<'_> {
        let keyspace = self.server.keyspace;
        let plan = match self.command.enter.is_all(self.held.words()) {
            true => Plan::All,
            false => keyspace.plan(keys.map(|key| keyspace.hash(key))),
        };
        let frame = || Frame { now: self.server.clock.now(), ..self.frame };
        keyspace.enter_blocking(&plan, mode, frame)
    }

    /// Runs it in one go, holding all its gates.
    fn run_at_once(&self) -> Answer {
        let is_exclusive = self.command.is_exclusive(self.held.words());
        let mode = if is_exclusive { Mode::Exclusive } else { Mode::Shared };
        let view = self.enter(self.keys(), mode);
        self.run_in(view, |view, reply| match self.command.run {
            Run::Read(read) => read(self.args(), view, reply).map(|()| Tried::Answered),
            Run::Write(write) => write(self.args(), view, reply).map(|()| Tried::Answered),
            Run::Block(block) => (block.now)(self.args(), view, reply),
            Run::Import(_) | Run::Transaction | Run::Script | Run::Session | Run::Container => {
                Ok(Tried::Answered)
            }
        })
    }

    /// Gathers the keys that it tells, shard by shard, as they are when it begins. If somebody else
    /// takes a snapshot, which only one can, it runs in one go.
    fn run_sifted(&self, sift: Sift) -> Answer {
        let Ok(mut version) = self.server.snapshot.try_lock() else { return self.run_at_once() };
        let wanted: Arc<Wanted> = match guarded(|| sift(self.args())) {
            Ok(wanted) => Arc::new(wanted),
            Err(error) => return Answer::empty(Err(error)),
        };
        *version += 1;
        let mut view = self.enter(std::iter::empty(), Mode::Exclusive);
        let began_nanos = self.server.clock.nanos();
        self.tell_monitors();
        let (db, due_before) = (view.db(), view.frame().due_before());
        let mut found = Vec::new();
        view.begin_snapshot(*version, |_| {
            let keys = Arc::new(Mutex::default());
            found.push(Arc::clone(&keys));
            Box::new(Sieve { db, due_before, wanted: Arc::clone(&wanted), keys })
        });
        let tally = view.publish();
        self.walk_all();
        let mut output = Output::new();
        let mut reply = Reply::new(&mut output, self.dialect);
        tell_found(&found, &mut reply);
        output.cut();
        Answer { output, done: Ok(()), tally, began_nanos, paused: None, waits: false }
    }

    /// Walks the snapshot that was begun.
    fn walk_all(&self) {
        let keyspace = self.server.keyspace;
        for id in keyspace.shard_ids() {
            loop {
                let frame = || Frame { now: self.server.clock.now(), ..self.frame };
                let mut view = keyspace.enter_blocking(&Plan::One(id), Mode::Exclusive, frame);
                if view.walk_snapshot(id, HOMES_AT_ONCE).is_some() {
                    break;
                }
            }
        }
    }

    /// Computes what it puts under shared gates, then puts it.
    fn run_prepared(&self, prepare: Prepare) -> Answer {
        for _ in 0..ROUNDS_MAX {
            let (seen, put, looked) = match self.prepare(prepare) {
                Round::Put(seen, put, looked) => (seen, put, looked),
                Round::Over(answer) => return *answer,
                Round::Undone => break,
            };
            let view = self.enter(self.keys(), Mode::Exclusive);
            if self.sources().map(|key| view.witness(key)).eq(seen) {
                let put = |view: &mut View<'_>, reply: &mut Reply<'_>| {
                    put(view, reply).map(|()| Tried::Answered)
                };
                let mut answer = self.run_in(view, put);
                answer.tally.hits += looked.hits;
                answer.tally.misses += looked.misses;
                return answer;
            }
            // The gates are left before the result is dropped, which takes long.
            drop(view);
        }
        self.run_at_once()
    }

    /// One try to compute what it puts.
    fn prepare(&self, prepare: Prepare) -> Round<'_> {
        let view = self.enter(self.sources(), Mode::Shared);
        let began_nanos = self.server.clock.nanos();
        let seen = self.sources().map(|key| view.witness(key)).collect();
        let mut output = Output::new();
        let mut reply = Reply::new(&mut output, self.dialect).within(self.reply_bytes_max);
        let done = match guarded(|| prepare(self.args(), &view, &mut reply)) {
            Ok(Prepared::Put(put)) => return Round::Put(seen, put, view.publish()),
            Ok(Prepared::Apart(compute)) => {
                let looked = view.publish();
                return match guarded(|| Ok(compute())) {
                    Ok(put) => Round::Put(seen, put, looked),
                    Err(error) => Round::Over(Box::new(Answer::empty(Err(error)))),
                };
            }
            Ok(Prepared::Undone) => return Round::Undone,
            Ok(Prepared::Answered) => Ok(()),
            Err(error) => Err(error),
        };
        self.tell_monitors();
        let tally = view.publish();
        output.cut();
        let paused = None;
        Round::Over(Box::new(Answer { output, done, tally, began_nanos, paused, waits: false }))
    }

    /// Runs it in its entered shards, publishes what it did and leaves them.
    fn run_in(
        &self,
        mut view: View<'_>,
        run: impl FnOnce(&mut View<'_>, &mut Reply<'_>) -> Attempt,
    ) -> Answer {
        let began_nanos = self.server.clock.nanos();
        if self.command.writes()
            && let Some(rest) = self.server.pause.holds(view.now(), true)
        {
            return Answer { paused: Some(rest), ..Answer::empty(Ok(())) };
        }
        // Who has nothing to answer yet is seen when the wait begins.
        let may_wait = matches!(self.command.run, Run::Block(_));
        if !may_wait {
            self.tell_monitors();
        }
        let mut output = Output::new();
        let mut reply = Reply::new(&mut output, self.dialect).within(self.reply_bytes_max);
        let tried = guarded(|| run(&mut view, &mut reply));
        let waits = matches!(tried, Ok(Tried::Waits(_)));
        if may_wait && !waits {
            self.tell_monitors();
        }
        if self.remembers {
            self.remember_keys();
        }
        let mut tally = view.publish();
        self.discard(&mut tally);
        output.cut();
        let done = tried.map(|_| ());
        Answer { output, done, tally, began_nanos, paused: None, waits }
    }

    fn tell_monitors(&self) {
        let monitor = &self.server.monitor;
        if monitor.is_watched() {
            let shown = secrets::shown(self.named.name, self.held.words());
            monitor.tell(
                self.server.clock.unix_micros(),
                (self.frame.db, &self.client.address),
                shown,
            );
        }
    }

    /// Notes which keys were read; their gates are still held.
    fn remember_keys(&self) {
        let keyspace = self.server.keyspace;
        let keys = self.keys().map(|key| (keyspace.shard_of(keyspace.hash(key)), key));
        let keys_max = self.server.settings().tracked_keys_max;
        self.server.tracking.remember(self.client.id, keys, keys_max);
    }

    /// Drops what was left over: here and now, unless that is to be done in the background.
    fn discard(&self, tally: &mut Tally) {
        let Some(garbage) = tally.garbage.take() else { return };
        if is_dropped_lazily(&garbage, self.command, &self.server.settings()) {
            self.server.background.discard(garbage);
        }
    }
}
