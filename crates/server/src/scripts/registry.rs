//! The scripts that were seen, and what is known of how they behave.
//!
//! Interpreters remember what they have found here, so the lock is seldom taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyspace::Millis;
use script::{Script, ScriptId};

use crate::stats::Histogram;

/// The most scripts that EVAL has brought and that are kept; those of SCRIPT LOAD are not counted.
const EVALUATED_MAX: usize = 500;

/// Whether a script, or a function, touches keys that it was not given.
#[derive(Debug, Default)]
pub struct Conduct(AtomicU8);

impl Conduct {
    const KEEPS: u8 = 1;
    const STRAYS: u8 = 2;

    /// Whether it has run, and kept to its keys each time.
    #[must_use]
    pub fn is_known_to_keep(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::KEEPS
    }

    /// Whether it has once not kept to its keys.
    #[must_use]
    pub fn is_known_to_stray(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::STRAYS
    }

    /// Notes that it has run and kept to its keys.
    pub fn note_kept(&self) {
        let order = Ordering::Relaxed;
        // Read first: all who run it read the same line of memory.
        if self.0.load(order) == 0 {
            let _ = self.0.compare_exchange(0, Self::KEEPS, order, order);
        }
    }

    /// Notes that it has not.
    pub fn note_strayed(&self) {
        self.0.store(Self::STRAYS, Ordering::Relaxed);
    }
}

/// A script that was seen.
pub struct Known {
    /// Its source.
    pub script: Script,
    /// Whether it keeps to its keys.
    pub conduct: Conduct,
    /// SCRIPT FLAGS said that others may come between its calls.
    pub is_not_atomic: AtomicBool,
    /// It stays until SCRIPT FLUSH.
    is_loaded: AtomicBool,
    is_gone: AtomicBool,
    /// When it was used last, in ms since 1970.
    used: AtomicU64,
    /// How long its runs took, of each interpreter that has run it.
    latency: Mutex<HashMap<usize, Arc<Histogram>>>,
}

impl Known {
    /// Whether it is forgotten: SCRIPT FLUSH, or too many came after it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Where an interpreter counts how long its runs of it take.
    #[must_use]
    pub fn latency_of(&self, interpreter: usize) -> Arc<Histogram> {
        let mut all = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(interpreter).or_default())
    }

    /// How long its runs took; `None`: it was not run.
    #[must_use]
    pub fn latency(&self) -> Option<Histogram> {
        let all = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = Histogram::default();
        all.values().for_each(|one| sum.add(one));
        Some(sum).filter(|sum| sum.buckets().any(|(_, count)| count > 0))
    }

    /// Notes that it is used now.
    #[inline]
    pub fn touch(&self, now: Millis) {
        // Written once a ms at most: others read the same line of memory.
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    /// Bytes of memory that it takes.
    fn bytes(&self) -> usize {
        size_of::<Known>() + self.script.source().len()
    }
}

/// See the module's page.
#[derive(Default)]
pub struct Registry {
    known: Mutex<HashMap<ScriptId, Arc<Known>>>,
    evicted: AtomicU64,
}

impl Registry {
    fn known(&self) -> MutexGuard<'_, HashMap<ScriptId, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The script of this name.
    #[must_use]
    pub fn find(&self, id: ScriptId) -> Option<Arc<Known>> {
        self.known().get(&id).cloned()
    }

    /// Keeps a script that compiles; of SCRIPT LOAD if `is_loaded`. That which was used least
    /// recently goes, if EVAL has brought too many.
    pub fn keep(&self, script: Script, is_loaded: bool, now: Millis) -> Arc<Known> {
        let mut all = self.known();
        let known = all.entry(script.id()).or_insert_with(|| {
            Arc::new(Known {
                is_not_atomic: AtomicBool::new(script.is_not_atomic()),
                script,
                conduct: Conduct::default(),
                is_loaded: AtomicBool::new(false),
                is_gone: AtomicBool::new(false),
                used: AtomicU64::new(0),
                latency: Mutex::default(),
            })
        });
        let known = Arc::clone(known);
        known.is_loaded.fetch_or(is_loaded, Ordering::Relaxed);
        known.touch(now);
        if !is_loaded {
            self.evict(&mut all);
        }
        known
    }

    fn evict(&self, all: &mut HashMap<ScriptId, Arc<Known>>) {
        let evaluated = |known: &&Arc<Known>| !known.is_loaded.load(Ordering::Relaxed);
        if all.values().filter(evaluated).count() <= EVALUATED_MAX {
            return;
        }
        let oldest = all.values().filter(evaluated);
        let oldest = oldest.min_by_key(|known| known.used.load(Ordering::Relaxed));
        if let Some(id) = oldest.map(|known| known.script.id())
            && let Some(known) = all.remove(&id)
        {
            known.is_gone.store(true, Ordering::Relaxed);
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// SCRIPT FLUSH: forgets all of them.
    pub fn flush(&self) {
        let all = std::mem::take(&mut *self.known());
        all.values().for_each(|known| known.is_gone.store(true, Ordering::Relaxed));
    }

    /// How many were forgotten because EVAL has brought too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// All of them, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Known>> {
        self.known().values().cloned().collect()
    }

    /// How many there are, and the bytes of memory that they take.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let all = self.known();
        (all.len(), all.values().map(|known| known.bytes()).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(nth: usize) -> Script {
        Script::new(format!("return {nth}").as_bytes()).unwrap()
    }

    #[test]
    fn what_eval_brought_and_was_used_least_recently_goes() {
        let registry = Registry::default();
        let loaded = registry.keep(script(0), true, 1);
        let first = registry.keep(script(1), false, 2);
        let second = registry.keep(script(2), false, 1);
        for nth in 3..=EVALUATED_MAX {
            registry.keep(script(nth), false, 3);
        }
        assert_eq!(registry.size().0, EVALUATED_MAX + 1);
        first.touch(4);
        registry.keep(script(EVALUATED_MAX + 1), false, 5);
        assert_eq!(registry.size().0, EVALUATED_MAX + 1);
        assert!(second.is_gone());
        assert!(!first.is_gone() && !loaded.is_gone());
        assert_eq!(registry.evicted(), 1);
        assert!(registry.find(second.script.id()).is_none());
    }

    #[test]
    fn what_was_loaded_stays_though_eval_brings_it_again() {
        let registry = Registry::default();
        registry.keep(script(0), true, 1);
        registry.keep(script(0), false, 2);
        for nth in 1..=EVALUATED_MAX + 10 {
            registry.keep(script(nth), false, 3);
        }
        assert!(registry.find(script(0).id()).is_some());
        registry.flush();
        assert_eq!(registry.size(), (0, 0));
    }

    #[test]
    fn who_strayed_once_is_never_trusted_again() {
        let conduct = Conduct::default();
        assert!(!conduct.is_known_to_keep() && !conduct.is_known_to_stray());
        conduct.note_kept();
        assert!(conduct.is_known_to_keep());
        conduct.note_strayed();
        conduct.note_kept();
        assert!(!conduct.is_known_to_keep() && conduct.is_known_to_stray());
    }
}
