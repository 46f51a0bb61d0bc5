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
//! 2. A queue stands in every shard where its client waits, once, for as long as it waits.
//! 3. A queue's order is that in which its clients came. Nobody behind a client that was called to
//!    run by itself is served before it ([`Offer::Called`]); a command that does not wait may still
//!    take what is there.
//! 4. What was done before an offer is published before it, and each taken offer by itself, as the
//!    transaction of the client that took it.
//!
//! What a client waits for, and that it is served once, is its own concern: see [`Waiter`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::keyspace::Awaited;
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

    /// Whether it waits for keys to go, too.
    fn awaits_absence(&self) -> bool;

    /// Offers a key, in the view's database, that was changed.
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

/// The keys that may have become ready, in that order.
#[derive(Default)]
pub(crate) struct ReadyKeys(pub(crate) Vec<Ready>);

/// The queues of one shard, none of them empty.
#[derive(Default)]
pub(crate) struct Waiters {
    queues: BTreeMap<DbIndex, BTreeMap<Box<[u8]>, Queue>>,
}

/// The clients that wait for a key.
#[derive(Default)]
struct Queue {
    clients: VecDeque<Arc<dyn Waiter>>,
    /// How many of them wait for the key to go, too.
    absence: usize,
}

impl Queue {
    /// Puts a client last.
    fn add(&mut self, waiter: Arc<dyn Waiter>, awaited: &Awaited) {
        if self.clients.is_empty() {
            awaited.keys.fetch_add(1, Ordering::Relaxed);
        }
        if waiter.awaits_absence() {
            self.absence += 1;
            awaited.keys_to_go.fetch_add(usize::from(self.absence == 1), Ordering::Relaxed);
        }
        self.clients.push_back(waiter);
    }

    fn remove(&mut self, waiter: &Arc<dyn Waiter>, awaited: &Awaited) -> bool {
        let Some(at) = self.clients.iter().position(|other| is_same(other, waiter)) else {
            return false;
        };
        self.clients.remove(at);
        if waiter.awaits_absence() {
            self.absence -= 1;
            awaited.keys_to_go.fetch_sub(usize::from(self.absence == 0), Ordering::Relaxed);
        }
        if self.clients.is_empty() {
            awaited.keys.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }
}

impl Waiters {
    fn queue(&self, db: DbIndex, key: &[u8]) -> Option<&Queue> {
        self.queues.get(&db)?.get(key)
    }

    fn queue_mut(&mut self, db: DbIndex, key: &[u8]) -> &mut Queue {
        self.queues.entry(db).or_default().entry(key.into()).or_default()
    }

    fn nth(&self, db: DbIndex, key: &[u8], nth: usize) -> Option<Arc<dyn Waiter>> {
        self.queue(db, key)?.clients.get(nth).cloned()
    }

    /// Takes a client out of a queue; tells whether it stood there.
    fn remove(
        &mut self,
        db: DbIndex,
        key: &[u8],
        waiter: &Arc<dyn Waiter>,
        awaited: &Awaited,
    ) -> bool {
        let Some(queues) = self.queues.get_mut(&db) else { return false };
        let Some(queue) = queues.get_mut(key) else { return false };
        let stood = queue.remove(waiter, awaited);
        if queue.clients.is_empty() {
            queues.remove(key);
        }
        if queues.is_empty() {
            self.queues.remove(&db);
        }
        stood
    }

    /// Whether somebody waits for a key.
    pub(crate) fn wait_for(&self, db: DbIndex, key: &[u8]) -> bool {
        self.queue(db, key).is_some()
    }

    /// The keys of a database that somebody waits for.
    pub(crate) fn keys(&self, db: DbIndex) -> impl Iterator<Item = &[u8]> {
        self.queues.get(&db).into_iter().flat_map(BTreeMap::keys).map(|key| &**key)
    }
}

fn is_same(one: &Arc<dyn Waiter>, other: &Arc<dyn Waiter>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

impl Ready {
    pub(crate) fn new(shard: ShardId, db: DbIndex, key: &[u8]) -> Ready {
        Ready { shard, db, key: key.into() }
    }

    pub(crate) fn is_of(&self, shard: ShardId, db: DbIndex, key: &[u8]) -> bool {
        (self.shard, self.db, &*self.key) == (shard, db, key)
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
    pub fn wait<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>, waiter: &Arc<dyn Waiter>) {
        let awaited = self.keyspace().awaited();
        for key in keys {
            let queue = self.queue_mut(key);
            // A key that is named twice gives one place.
            if !queue.clients.back().is_some_and(|last| is_same(last, waiter)) {
                queue.add(Arc::clone(waiter), awaited);
            }
        }
    }

    /// Puts a client into those queues of these keys where it stands no more, all of them entered,
    /// exclusively.
    pub fn wait_again<'k>(
        &mut self,
        keys: impl IntoIterator<Item = &'k [u8]>,
        waiter: &Arc<dyn Waiter>,
    ) {
        let awaited = self.keyspace().awaited();
        for key in keys {
            let queue = self.queue_mut(key);
            if !queue.clients.iter().any(|other| is_same(other, waiter)) {
                queue.add(Arc::clone(waiter), awaited);
            }
        }
    }

    fn queue_mut(&mut self, key: &[u8]) -> &mut Queue {
        let db = self.db();
        let id = self.keyspace().shard_of(self.keyspace().hash(key));
        self.shard_mut(id).waiters.get_or_insert_default().queue_mut(db, key)
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
        let awaited = self.keyspace().awaited();
        let shard = self.shard_mut(id);
        let Some(waiters) = &mut shard.waiters else { return false };
        let left = waiters.remove(db, key, waiter, awaited);
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
            for Ready { shard, db, key } in ready.0 {
                self.serve_queue(&frame, shard, db, &key);
            }
        }
        self.set_frame(frame);
    }

    /// Who is offered a key, `nth` of its queue.
    fn next_waiter(
        &self,
        id: ShardId,
        db: DbIndex,
        key: &[u8],
        nth: usize,
    ) -> Option<Arc<dyn Waiter>> {
        let waiters = self.shard(id).waiters.as_ref()?;
        // Most wait for something to come.
        if waiters.queue(db, key)?.absence == 0 {
            self.stored(key)?;
        }
        waiters.nth(db, key, nth)
    }

    fn serve_queue(&mut self, frame: &Frame, id: ShardId, db: DbIndex, key: &[u8]) {
        let mut nth = 0;
        self.set_frame(Frame { db, ..*frame });
        while let Some(waiter) = self.next_waiter(id, db, key, nth) {
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
