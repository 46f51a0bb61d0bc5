//! Scripts and functions: what is known of them, which of them take long, and how they are ended.
//!
//! Every script that was seen by EVAL or SCRIPT LOAD is kept here by its name, the SHA-1 of its
//! source; who runs it compiles it for its own Lua ([`script::Engine`]).
//!
//! A script begins on the worker of its connection. If it is not done after a moment, it goes on
//! on a thread of its own, and only then is it among those that run ([`Running`]): brief ones come
//! and go unnoticed.
//!
//! # Invariants
//!
//! 1. A script that has done something that cannot be undone is never ended.
//! 2. No more than [`RUNNING_MAX`] scripts run beside the workers at once, and one a worker more;
//!    and as many transactions with scripts.

pub mod host;
pub mod interpreter;
pub mod registry;
pub mod run;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use command::CommandError;
use keyspace::{Plan, ShardId};
use protocol::Words;
use script::{Failure, LibrarySource, ScriptId};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::executor::Executor;
use crate::server::Server;
use interpreter::{Interpreter, Kit, Remains};
use registry::{Conduct, Registry};

/// The most scripts that run beside the workers at once.
pub const RUNNING_MAX: usize = 64;

/// The most functions whose conduct is remembered; if there are more, it begins anew.
const FUNCTIONS_MAX: usize = 10_000;

/// What has source: a script by itself, or a function of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EVAL and its like.
    Script,
    /// FCALL.
    Function,
}

/// What is told of a run.
#[derive(Debug, Default)]
struct About {
    name: Vec<u8>,
    words: Vec<Vec<u8>>,
}

/// A script that takes long: it has a thread of its own.
#[derive(Debug)]
pub struct Running {
    kind: Kind,
    /// The number of its interpreter.
    number: usize,
    about: OnceLock<About>,
    began_nanos: u64,
    /// The shards that it holds, or waits for.
    plan: Mutex<Plan>,
    fate: AtomicU8,
}

/// Nothing is decided.
const OPEN: u8 = 0;
/// It has done something, and so is not killed.
const ACTED: u8 = 1;
/// It is killed, and so does nothing any more.
const DOOMED: u8 = 2;

impl Running {
    /// A run of an interpreter that began at a moment in ns of the clock and holds these shards.
    #[must_use]
    pub fn new(kind: Kind, number: usize, began_nanos: u64, plan: Plan) -> Running {
        let (about, fate) = (OnceLock::new(), AtomicU8::new(OPEN));
        Running { kind, number, about, began_nanos, plan: Mutex::new(plan), fate }
    }

    /// The name of the function, or the SHA-1 of the script.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.about.get().map_or(&[], |about| &about.name)
    }

    /// The request that runs it.
    #[must_use]
    pub fn words(&self) -> &[Vec<u8>] {
        self.about.get().map_or(&[], |about| &about.words)
    }

    /// How long it has been running, in ms.
    #[must_use]
    pub fn millis(&self, now_nanos: u64) -> u64 {
        now_nanos.saturating_sub(self.began_nanos) / 1_000_000
    }

    /// Notes that it is about to do something that cannot be undone: from now on it is not killed.
    ///
    /// Returns `false` if it has been killed already: then it must not do it.
    #[must_use]
    pub fn note_act(&self) -> bool {
        let order = Ordering::Relaxed;
        let fate = self.fate.compare_exchange(OPEN, ACTED, order, order);
        fate.unwrap_or_else(|fate| fate) != DOOMED
    }

    /// Kills it; `false` if it is too late for that.
    fn kill(&self) -> bool {
        let order = Ordering::Relaxed;
        let fate = self.fate.compare_exchange(OPEN, DOOMED, order, order);
        fate.unwrap_or_else(|fate| fate) != ACTED
    }

    /// Whether it is to end.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.fate.load(Ordering::Relaxed) == DOOMED
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_whole(&self) -> bool {
        *self.plan() == Plan::All
    }

    /// What is told those whom it keeps waiting for too long.
    fn busy(&self) -> CommandError {
        let verb = match self.kind {
            Kind::Script => "SCRIPT KILL",
            Kind::Function => "FUNCTION KILL",
        };
        CommandError::text(format!(
            "BUSY Redis is busy running a script. You can only call {verb} or SHUTDOWN NOSAVE."
        ))
    }

    /// Whether it holds one of these shards.
    fn holds(&self, wanted: &Plan) -> bool {
        let held = self.plan();
        match (&*held, wanted) {
            (Plan::All, _) | (_, Plan::All) => *held != Plan::Some(Default::default()),
            (held, wanted) => ids(held).iter().any(|id| ids(wanted).contains(id)),
        }
    }
}

/// The shards of a plan that names them.
fn ids(plan: &Plan) -> Vec<ShardId> {
    match plan {
        Plan::One(id) => vec![*id],
        Plan::Some(ids) => ids.to_vec(),
        Plan::All => Vec::new(),
    }
}

/// The shards of both.
fn joined(one: &Plan, other: &Plan) -> Plan {
    match (one, other) {
        (Plan::All, _) | (_, Plan::All) => Plan::All,
        (one, other) => Plan::Some(ids(one).into_iter().chain(ids(other)).collect()),
    }
}

/// [`RUNNING_MAX`] permits.
struct Permits(Arc<Semaphore>);

impl Default for Permits {
    fn default() -> Permits {
        Permits(Arc::new(Semaphore::new(RUNNING_MAX)))
    }
}

/// Those of functions, by library and name.
type Conducts = HashMap<(ScriptId, Box<[u8]>), Arc<Conduct>>;

/// See the module's page.
#[derive(Default)]
pub struct Scripts {
    /// Those that EVAL and SCRIPT LOAD have brought.
    pub registry: Registry,
    running: Mutex<Vec<Arc<Running>>>,
    /// How many run, for those who only want to know that: every script does.
    count: AtomicUsize,
    /// How many of those that run hold every shard.
    whole: AtomicUsize,
    /// Interpreters that nobody has at hand.
    idle: Mutex<Vec<Interpreter>>,
    /// What is left of interpreters whose Luas were given up: the next ones begin with it.
    kits: Mutex<Vec<Kit>>,
    /// How often all Luas were given up. Who has one at hand listens.
    given_up: watch::Sender<u64>,
    interpreters: AtomicUsize,
    /// How many transactions with scripts may enter their shards, or run.
    transactions: Permits,
    /// Executors of transactions with scripts, that nobody uses; without a Lua.
    executors: Mutex<Vec<Executor>>,
    conducts: Mutex<Conducts>,
}

impl Scripts {
    fn running(&self) -> MutexGuard<'_, Vec<Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of this kind that has been running longest.
    #[must_use]
    pub fn longest(&self, kind: Kind) -> Option<Arc<Running>> {
        let running = self.running();
        let of_kind = running.iter().filter(|one| one.kind == kind);
        of_kind.min_by_key(|one| one.began_nanos).cloned()
    }

    /// SCRIPT KILL and FUNCTION KILL: ends what has been running for longer than `busy_millis`,
    /// or else the one that has been running longest.
    ///
    /// # Errors
    /// If nothing runs, or all of it has written.
    pub fn kill(&self, kind: Kind, now_nanos: u64, busy_millis: u64) -> Result<(), CommandError> {
        let running = self.running();
        let mut candidates: Vec<_> = running.iter().filter(|one| one.kind == kind).collect();
        candidates.sort_by_key(|one| one.began_nanos);
        if candidates.is_empty() {
            let other = running.iter().find(|one| one.millis(now_nanos) >= busy_millis);
            let nothing = || CommandError::text("NOTBUSY No scripts in execution right now.");
            return Err(other.map_or_else(nothing, |other| other.busy()));
        }
        let busy = candidates.iter().filter(|one| one.millis(now_nanos) >= busy_millis).count();
        candidates.truncate(busy.max(1));
        let killed = candidates.iter().filter(|one| one.kill()).count();
        if killed == 0 {
            return Err(CommandError::text(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. \
                 You can either wait the script termination or kill the server in a hard way using \
                 the SHUTDOWN NOSAVE command.",
            ));
        }
        Ok(())
    }

    /// Enters one among those that run.
    fn register(&self, running: &Arc<Running>) {
        self.running().push(Arc::clone(running));
        self.count.fetch_add(1, Ordering::Relaxed);
        self.whole.fetch_add(usize::from(running.is_whole()), Ordering::Relaxed);
    }

    /// Notes that one that runs needs these shards, too.
    fn widen(&self, running: &Running, more: &Plan) {
        let was_whole = running.is_whole();
        let plan = joined(&running.plan(), more);
        *running.plan() = plan;
        let has_become = running.is_whole() && !was_whole;
        self.whole.fetch_add(usize::from(has_become), Ordering::Relaxed);
    }

    /// Says what the run of an interpreter is, for whoever asks what runs.
    fn describe(&self, number: usize, name: Vec<u8>, words: Words<'_>) {
        let words = words.iter().map(<[u8]>::to_vec).collect();
        let running = self.running();
        if let Some(one) = running.iter().find(|one| one.number == number) {
            let _ = one.about.set(About { name, words });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Interpreter>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kits(&self) -> MutexGuard<'_, Vec<Kit>> {
        self.kits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An interpreter that nobody uses, or a new one.
    fn interpreter(&self, server: &Arc<Server>, seed: u64) -> Result<Interpreter, Failure> {
        if let Some(interpreter) = self.idle().pop() {
            return Ok(interpreter);
        }
        // Asked before it begins: what is given up from here on is this one, too.
        let born = *self.given_up.borrow();
        let engine = Interpreter::new_engine()?;
        let left = self.kits().pop();
        let kit = left.unwrap_or_else(|| {
            let number = self.interpreters.fetch_add(1, Ordering::Relaxed);
            Kit::new(server, number, seed)
        });
        Ok(Interpreter::new(engine, Box::new(kit), born))
    }

    /// Gives up all Luas: those of the workers when they are told, in between two of their
    /// requests, those that run when they have ended, all others now. Returns what these, and the
    /// one that `own` has at hand, leave to be dropped.
    pub fn give_up_luas(&self, own: &Executor) -> Vec<Remains> {
        self.given_up.send_modify(|times| *times += 1);
        let idle = std::mem::take(&mut *self.idle());
        idle.into_iter().chain(own.interpreter.take()).map(|one| self.give_up(one)).collect()
    }

    /// Tells whoever has a Lua at hand when all are given up.
    #[must_use]
    pub fn luas_given_up(&self) -> watch::Receiver<u64> {
        self.given_up.subscribe()
    }

    /// Gives up the Lua that an executor has at hand, if all have been given up since that began.
    pub fn give_up_outlived(&self, executor: &Executor) -> Option<Remains> {
        let times = *self.given_up.borrow();
        let interpreter = executor.interpreter.take()?;
        if interpreter.is_outlived(times) {
            return Some(self.give_up(interpreter));
        }
        executor.interpreter.replace(Some(interpreter));
        None
    }

    /// Gives up the Lua of one interpreter; returns what is to be dropped.
    fn give_up(&self, interpreter: Interpreter) -> Remains {
        let (kit, remains) = interpreter.give_up();
        self.kits().push(*kit);
        remains
    }

    /// An executor that nobody uses, or a new one, for a transaction with scripts.
    fn executor(&self, server: &Arc<Server>, seed: u64) -> Executor {
        let idle = self.executors.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| Executor::new(Arc::clone(server), server.more_stats(), seed))
    }

    /// Waits until a transaction with scripts may have a thread of its own.
    pub async fn permit_transaction(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.transactions.0).acquire_owned().await.ok()
    }

    fn put_back_executor(&self, executor: Executor) {
        if let Some(interpreter) = executor.interpreter.take() {
            self.put_back(interpreter);
        }
        self.executors.lock().unwrap_or_else(PoisonError::into_inner).push(executor);
    }

    fn put_back(&self, interpreter: Interpreter) {
        interpreter.tell_memory();
        let mut idle = self.idle();
        // Asked under the lock: whoever gives up all of them now finds it there, or it finds that.
        if !interpreter.is_outlived(*self.given_up.borrow()) {
            return idle.push(interpreter);
        }
        drop(idle);
        drop(self.give_up(interpreter));
    }

    fn unregister(&self, running: &Arc<Running>) {
        self.running().retain(|one| !Arc::ptr_eq(one, running));
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.whole.fetch_sub(usize::from(running.is_whole()), Ordering::Relaxed);
    }

    /// Whether so many run that none may leave its worker.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= RUNNING_MAX
    }

    /// Whether one that runs holds every shard: then the server does nothing else.
    #[must_use]
    #[inline]
    pub fn hold_everything(&self) -> bool {
        self.whole.load(Ordering::Relaxed) > 0
    }

    /// What is told whoever waits for these shards, if one that has been running for longer than
    /// `busy_millis` holds one of them.
    #[must_use]
    pub fn busy(&self, plan: &Plan, now_nanos: u64, busy_millis: u64) -> Option<CommandError> {
        let running = self.running();
        let mut busy = running.iter().filter(|one| one.millis(now_nanos) >= busy_millis);
        busy.find(|one| one.holds(plan)).map(|one| one.busy())
    }

    /// Whether a function of a library keeps to its keys.
    #[must_use]
    pub fn conduct_of(&self, library: &LibrarySource, function: &[u8]) -> Arc<Conduct> {
        let mut all = self.conducts.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= FUNCTIONS_MAX {
            all.clear();
        }
        Arc::clone(all.entry((library.id(), function.into())).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(kind: Kind, began_nanos: u64, plan: Plan) -> Arc<Running> {
        Arc::new(Running::new(kind, 0, began_nanos, plan))
    }

    fn nothing() -> Plan {
        Plan::Some(smallvec::SmallVec::new())
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_busy_ones_are_killed_or_else_the_oldest() {
        let scripts = Scripts::default();
        assert!(scripts.kill(Kind::Script, 0, 5000).is_err());
        let all = [7, 1, 2].map(|second| running(Kind::Script, second * SECOND, nothing()));
        all.iter().for_each(|one| scripts.register(one));
        scripts.kill(Kind::Script, 8 * SECOND, 5000).unwrap();
        assert_eq!(all.each_ref().map(|one| one.is_killed()), [false, true, true]);
        scripts.unregister(&all[1]);
        scripts.unregister(&all[2]);
        scripts.kill(Kind::Script, 8 * SECOND, 5000).unwrap();
        assert!(all[0].is_killed());
        let refused = scripts.kill(Kind::Function, 8 * SECOND, 5000);
        assert!(refused.unwrap_err().to_string().starts_with("NOTBUSY"));
        let refused = scripts.kill(Kind::Function, 20 * SECOND, 5000);
        assert!(refused.unwrap_err().to_string().starts_with("BUSY"), "a script is");
    }

    #[test]
    fn whoever_has_acted_is_not_killed_and_whoever_is_killed_does_not_act() {
        let scripts = Scripts::default();
        let [actor, victim] = [0, 1].map(|at| running(Kind::Script, at, nothing()));
        scripts.register(&actor);
        assert!(actor.note_act() && actor.note_act());
        let refused = scripts.kill(Kind::Script, 0, 5000).unwrap_err().to_string();
        assert!(refused.starts_with("UNKILLABLE"), "{refused}");
        assert!(!actor.is_killed());
        scripts.register(&victim);
        scripts.kill(Kind::Script, 10 * SECOND, 5000).unwrap();
        assert!(victim.is_killed() && !victim.note_act());
    }

    #[test]
    fn only_who_needs_a_held_shard_is_told_that_it_is_busy() {
        let scripts = Scripts::default();
        let keyspace = keyspace::Keyspace::new(4, 1, [1, 2]);
        let [first, second] = [0, u64::MAX].map(|hash| keyspace.plan([hash]));
        scripts.register(&running(Kind::Script, 0, first.clone()));
        scripts.register(&running(Kind::Function, 0, nothing()));
        let busy = |plan: &Plan, now: u64| scripts.busy(plan, now, 5000).is_some();
        assert!(!busy(&first, 4 * SECOND));
        assert!(busy(&first, 5 * SECOND));
        assert!(!busy(&second, 5 * SECOND));
        assert!(busy(&Plan::All, 5 * SECOND));
        let widened = running(Kind::Function, 0, first.clone());
        scripts.register(&widened);
        scripts.widen(&widened, &second);
        assert!(busy(&second, 5 * SECOND) && busy(&first, 5 * SECOND));
        assert!(!scripts.hold_everything());
        scripts.widen(&widened, &Plan::All);
        assert!(scripts.hold_everything());
        scripts.unregister(&widened);
        assert!(!busy(&second, 5 * SECOND));
        let whole = running(Kind::Function, 0, Plan::All);
        assert!(!scripts.hold_everything());
        scripts.register(&whole);
        assert!(scripts.hold_everything());
        let told = scripts.busy(&second, 5 * SECOND, 5000).map(|error| error.to_string());
        assert!(told.is_some_and(|told| told.contains("FUNCTION KILL")));
        scripts.unregister(&whole);
        assert!(!scripts.hold_everything());
    }
}
