//! Who waits for keys: one queue a key, first come first served.
//!
//! A client that finds nothing is put into the queues of its keys while their gates are still held
//! ([`View::wait`]), so nothing is lost between its look and its wait. Whoever makes a key ready
//! offers it to the longest-waiting client before the gates are left ([`View::publish`]), again and
//! again while somebody takes; what that changes may make other keys ready, so it is a loop.
//!
//! # Invariants
//!
//! 1. A shard without waiters has no [`Waiters`]: a change there costs one look.
//! 2. A queue's order is that in which its clients came. Nobody behind a client that was called to
//!    run by itself is served before it ([`Offer::Called`]); a command that does not wait may still
//!    take what is there.
//! 3. What was done before an offer is published before it, and each taken offer by itself, as the
//!    transaction of the client that took it.
//!
//! What a client waits for, and that it is served once, is its own concern: see [`Waiter`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::shard::ShardId;
use crate::view::View;
use crate::{DbIndex, Frame};

/// What a client does with a key that may be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// There is nothing in it for this client, which waits on.
    Declined,
    /// The client took something and waits no more.
    Taken,
    /// The client does not wait any more.
    Over,
    /// The client needs shards that are not entered: it was told to run by itself, and keeps its
    /// place until it has.
    Called,
}

/// A client that waits.
pub trait Waiter: Send + Sync {
    /// The number of the client, see [`Frame::origin`].
    fn origin(&self) -> u64;

    /// Offers a key, in the view's database; it holds something.
    ///
    /// A client may stand in several queues of several shards: it must take once at most.
    fn offer(&self, key: &[u8], view: &mut View<'_>) -> Offer;
}

/// A key that may have become ready.
pub(crate) struct Ready {
    shard: ShardId,
    db: DbIndex,
    key: Box<[u8]>,
}

/// The queues of one shard, none of them empty.
#[derive(Default)]
pub(crate) struct Waiters {
    queues: BTreeMap<(DbIndex, Box<[u8]>), VecDeque<Arc<dyn Waiter>>>,
}

impl Waiters {
    fn add(&mut self, db: DbIndex, key: &[u8], waiter: Arc<dyn Waiter>) {
        let queue = self.queues.entry((db, key.into())).or_default();
        // A key that is named twice gives one place.
        if !queue.iter().any(|other| is_same(other, &waiter)) {
            queue.push_back(waiter);
        }
    }

    fn nth(&self, db: DbIndex, key: &[u8], nth: usize) -> Option<Arc<dyn Waiter>> {
        self.queues.get(&(db, Box::from(key)))?.get(nth).cloned()
    }

    /// Takes a client out of a queue; tells whether it stood there.
    fn remove(&mut self, db: DbIndex, key: &[u8], waiter: &Arc<dyn Waiter>) -> bool {
        let name = (db, Box::from(key));
        let Some(queue) = self.queues.get_mut(&name) else { return false };
        let Some(at) = queue.iter().position(|other| is_same(other, waiter)) else { return false };
        queue.remove(at);
        if queue.is_empty() {
            self.queues.remove(&name);
        }
        true
    }

    /// Whether somebody waits for a key.
    pub(crate) fn wait_for(&self, db: DbIndex, key: &[u8]) -> bool {
        self.queues.contains_key(&(db, Box::from(key)))
    }

    /// The keys of a database that somebody waits for.
    pub(crate) fn keys(&self, db: DbIndex) -> impl Iterator<Item = &[u8]> {
        self.queues.keys().filter(move |(of, _)| *of == db).map(|(_, key)| &**key)
    }
}

fn is_same(one: &Arc<dyn Waiter>, other: &Arc<dyn Waiter>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

impl Ready {
    pub(crate) fn new(shard: ShardId, db: DbIndex, key: &[u8]) -> Ready {
        Ready { shard, db, key: key.into() }
    }
}

impl View<'_> {
    /// Whether the shard of a key is entered, so that the key can be reached.
    #[must_use]
    #[inline]
    pub fn has_entered(&self, key: &[u8]) -> bool {
        self.is_entered(self.keyspace().shard_of(self.keyspace().hash(key)))
    }

    /// Puts a client into the queues of these keys, all of them entered, exclusively.
    pub fn wait<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>, waiter: Arc<dyn Waiter>) {
        let db = self.db();
        for key in keys {
            let id = self.keyspace().shard_of(self.keyspace().hash(key));
            let waiters = self.shard_mut(id).waiters.get_or_insert_default();
            waiters.add(db, key, Arc::clone(&waiter));
        }
    }

    /// Takes a client out of the queues of these keys, all of them entered, exclusively. Those
    /// behind it are offered what it may have kept from them.
    pub fn stop_waiting<'k>(
        &mut self,
        keys: impl IntoIterator<Item = &'k [u8]>,
        waiter: &Arc<dyn Waiter>,
    ) {
        let db = self.db();
        for key in keys {
            let id = self.keyspace().shard_of(self.keyspace().hash(key));
            if self.leave_queue(id, db, key, waiter) {
                self.note_ready(id, db, key);
            }
        }
    }

    fn leave_queue(
        &mut self,
        id: ShardId,
        db: DbIndex,
        key: &[u8],
        waiter: &Arc<dyn Waiter>,
    ) -> bool {
        let shard = self.shard_mut(id);
        let Some(waiters) = &mut shard.waiters else { return false };
        let left = waiters.remove(db, key, waiter);
        if waiters.queues.is_empty() {
            shard.waiters = None;
        }
        left
    }

    /// Offers the keys that became ready, until nobody takes any more.
    #[cold]
    #[inline(never)]
    pub(crate) fn serve_waiters(&mut self) {
        let frame = *self.frame();
        self.forget_known();
        while let Some(ready) = self.take_ready() {
            for Ready { shard, db, key } in *ready {
                self.serve_queue(&frame, shard, db, &key);
            }
        }
        self.set_frame(frame);
    }

    fn serve_queue(&mut self, frame: &Frame, id: ShardId, db: DbIndex, key: &[u8]) {
        let mut nth = 0;
        self.set_frame(Frame { db, ..*frame });
        while self.stored(key).is_some()
            && let Some(waiters) = &self.shard(id).waiters
            && let Some(waiter) = waiters.nth(db, key, nth)
        {
            self.announce();
            self.set_frame(Frame { db, origin: waiter.origin(), ..*frame });
            match waiter.offer(key, self) {
                Offer::Declined => nth += 1,
                Offer::Called => return,
                Offer::Taken | Offer::Over => _ = self.leave_queue(id, db, key, &waiter),
            }
            // What was taken is told as the taker's.
            self.announce();
            self.set_frame(Frame { db, ..*frame });
        }
    }
}
