//! Clients that want to know whether keys were changed (WATCH).
//!
//! A client has one [`Watch`] for all its keys; the first change of any of them marks it. The
//! shard of a key knows who watches it by weak references, so that a client that watches no more
//! only drops its watch, and has no gate to enter for that.
//!
//! # Invariants
//!
//! 1. A shard that nobody watches has no [`Watchers`]: a change there costs one look.
//! 2. A watch is marked by every change of one of its keys after [`View::watch`], before the gates
//!    of that change are left. Expiry is one, unless the key had expired before.
//! 3. References to dropped watches are at most as many as those to live ones, and some.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::shard::ShardId;
use crate::view::View;
use crate::{DbIndex, Event, event};

/// How many references to dropped watches a shard keeps in any case.
const DEAD_MIN: usize = 64;

/// Whether any of a client's keys was changed.
#[derive(Debug, Default)]
pub struct Watch {
    touched: AtomicBool,
}

impl Watch {
    /// Whether a key was changed since it was watched.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }
}

/// The watched keys of one shard.
#[derive(Default)]
pub(crate) struct Watchers {
    keys: BTreeMap<DbIndex, BTreeMap<Box<[u8]>, Vec<Watcher>>>,
    /// How many watchers there are, dead ones included.
    count: usize,
    /// With how many the dead ones are looked for.
    enough: usize,
}

struct Watcher {
    watch: Weak<Watch>,
    /// Whether there was something under the key.
    existed: bool,
}

impl Watchers {
    fn add(&mut self, db: DbIndex, key: &[u8], watcher: Watcher) {
        if self.count >= self.enough {
            self.retain(|_, watcher| watcher.watch.strong_count() > 0);
            self.enough = self.count * 2 + DEAD_MIN;
        }
        self.keys.entry(db).or_default().entry(key.into()).or_default().push(watcher);
        self.count += 1;
    }

    fn retain(&mut self, mut keep: impl FnMut(&[u8], &Watcher) -> bool) {
        self.keys.retain(|_, keys| {
            keys.retain(|key, watchers| {
                watchers.retain(|watcher| keep(key, watcher));
                !watchers.is_empty()
            });
            !keys.is_empty()
        });
        self.count = self.keys.values().flat_map(BTreeMap::values).map(Vec::len).sum();
    }

    /// Marks those who watch a key.
    pub(crate) fn touch(&mut self, db: DbIndex, key: &[u8], event: Event) {
        let Some(watchers) = self.keys.get_mut(&db).and_then(|keys| keys.get_mut(key)) else {
            return;
        };
        // What had expired before is only cleared away now.
        let spares = |watcher: &Watcher| event == event::EXPIRED && !watcher.existed;
        let before = watchers.len();
        watchers.retain(|watcher| match watcher.watch.upgrade() {
            Some(watch) if !spares(watcher) => {
                watch.touched.store(true, Ordering::Release);
                false
            }
            live => live.is_some(),
        });
        self.count -= before - watchers.len();
    }

    fn keys(&self, db: DbIndex) -> impl Iterator<Item = &[u8]> {
        self.keys.get(&db).into_iter().flat_map(BTreeMap::keys).map(|key| &**key)
    }
}

impl View<'_> {
    /// Has a watch marked when this key changes, whose shard is entered, exclusively. Returns
    /// whether there is something under it.
    pub fn watch(&mut self, key: &[u8], watch: &Arc<Watch>) -> bool {
        let (db, existed) = (self.db(), self.stored(key).is_some());
        let id = self.keyspace().shard_of(self.keyspace().hash(key));
        let watcher = Watcher { watch: Arc::downgrade(watch), existed };
        self.shard_mut(id).watchers.get_or_insert_default().add(db, key, watcher);
        existed
    }

    /// Marks those who watch a key of one of these databases, where there is something under it in
    /// one of them: all of these are flushed or exchanged next.
    pub(crate) fn touch_databases(&mut self, id: ShardId, databases: &[DbIndex]) {
        let Some(watchers) = &self.shard(id).watchers else { return };
        let holds = |key: &[u8]| databases.iter().any(|&db| self.contains_in(db, key));
        let keys = databases.iter().flat_map(|&db| watchers.keys(db).map(move |key| (db, key)));
        let changed: Vec<(DbIndex, Box<[u8]>)> =
            keys.filter(|(_, key)| holds(key)).map(|(db, key)| (db, key.into())).collect();
        if let Some(watchers) = &mut self.shard_mut(id).watchers {
            changed.iter().for_each(|(db, key)| watchers.touch(*db, key, event::FLUSH));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_that_were_dropped_do_not_pile_up() {
        let mut watchers = Watchers::default();
        let kept = Arc::new(Watch::default());
        for n in 0..10_000_u32 {
            let dropped = Arc::new(Watch::default());
            let watch = Arc::downgrade(if n % 100 == 0 { &kept } else { &dropped });
            watchers.add(0, &n.to_le_bytes(), Watcher { watch, existed: true });
        }
        assert!(watchers.count <= 2 * 100 + DEAD_MIN + 1, "{}", watchers.count);
        watchers.retain(|_, watcher| watcher.watch.strong_count() > 0);
        assert_eq!(watchers.count, 100);
    }
}
