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
//! 1. A script that has written is never ended.
//! 2. No more than [`RUNNING_MAX`] scripts run beside the workers at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use command::CommandError;
use keyspace::Plan;

/// The most scripts that run beside the workers at once.
pub const RUNNING_MAX: usize = 64;

/// What has source: a script by itself, or a function of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EVAL and its like.
    Script,
    /// FCALL.
    Function,
}

/// A script that takes long: it has a thread of its own.
#[derive(Debug)]
pub struct Running {
    kind: Kind,
    name: Vec<u8>,
    words: Vec<Vec<u8>>,
    began_nanos: u64,
    /// The shards that it holds.
    plan: Plan,
    has_written: AtomicBool,
    is_killed: AtomicBool,
}

impl Running {
    /// A run that began at a moment in ns of the clock, by a request of these words.
    #[must_use]
    pub fn new(
        kind: Kind,
        name: Vec<u8>,
        words: Vec<Vec<u8>>,
        began_nanos: u64,
        plan: Plan,
    ) -> Running {
        let (has_written, is_killed) = (AtomicBool::new(false), AtomicBool::new(false));
        Running { kind, name, words, began_nanos, plan, has_written, is_killed }
    }

    /// The name of the function, or the SHA-1 of the script.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The request that runs it.
    #[must_use]
    pub fn words(&self) -> &[Vec<u8>] {
        &self.words
    }

    /// How long it has been running, in ms.
    #[must_use]
    pub fn millis(&self, now_nanos: u64) -> u64 {
        now_nanos.saturating_sub(self.began_nanos) / 1_000_000
    }

    /// Notes that it may have changed something: from now on it is not killed.
    pub fn note_write(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    /// Whether somebody wants it to end.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::Relaxed) && !self.has_written.load(Ordering::Relaxed)
    }
}

/// See the module's page.
#[derive(Default)]
pub struct Scripts {
    running: Mutex<Vec<Arc<Running>>>,
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
            return Err(CommandError::text("NOTBUSY No scripts in execution right now."));
        }
        let busy = candidates.iter().filter(|one| one.millis(now_nanos) >= busy_millis).count();
        candidates.truncate(busy.max(1));
        candidates.retain(|one| !one.has_written.load(Ordering::Relaxed));
        if candidates.is_empty() {
            return Err(CommandError::text(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. \
                 You can either wait the script termination or kill the server in a hard way using \
                 the SHUTDOWN NOSAVE command.",
            ));
        }
        candidates.iter().for_each(|one| one.is_killed.store(true, Ordering::Relaxed));
        Ok(())
    }
}
