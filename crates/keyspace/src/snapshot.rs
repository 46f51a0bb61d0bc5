//! A picture of a shard at one moment, taken while writers go on.
//!
//! At the cut each shard gets a [`Snapshot`] with a new version. From then on two parties copy:
//! the walker, home bucket by home bucket, and every writer, which copies the home bucket it is
//! about to change if the walker has not been there. The table's stamps see to it that each home
//! is copied once, by whoever comes first, so the copies are the state at the cut. Nobody waits:
//! what is copied goes to a [`SnapshotSink`], which must take it and return.
//!
//! A database that is made after the cut has no stamps and would be copied by the walker. So the
//! hook makes the database itself, stamps the home while it is empty, and nothing of it is copied.

use dash::Cursor;
use packed::Handle;

use crate::database::{Database, Stored};
use crate::shard::{Shard, ShardId};
use crate::view::View;
use crate::{DbIndex, Millis};
use value::KeyHasher;

/// One entry as it was at the cut.
#[derive(Clone, Copy)]
pub struct Copied<'a> {
    /// The database it lies in.
    pub db: DbIndex,
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: Stored<'a>,
    /// When it expires.
    pub deadline: Option<Millis>,
    /// Whether eviction passes it by.
    pub sticky: bool,
}

/// Takes the entries of a snapshot. Called under the shard's gate.
pub trait SnapshotSink: Send + Sync {
    /// Takes one entry; returns at once.
    fn copy(&mut self, entry: Copied<'_>);
}

/// The snapshot of one shard, under way.
pub(crate) struct Snapshot {
    version: u64,
    walk: Option<(DbIndex, Cursor)>,
    sink: Box<dyn SnapshotSink>,
}

impl View<'_> {
    /// The cut of the entered shards, which must be entered exclusively: from here on each one's
    /// sink gets the shard as it is now. Versions count upwards from 1. A snapshot that is still
    /// under way is given up, and its sinks are returned.
    pub fn begin_snapshot(
        &mut self,
        version: u64,
        mut sink: impl FnMut(ShardId) -> Box<dyn SnapshotSink>,
    ) -> Vec<Box<dyn SnapshotSink>> {
        let ids = self.ids();
        ids.iter().filter_map(|&id| self.shard_mut(id).begin_snapshot(version, sink(id))).collect()
    }

    /// Copies up to `homes` home buckets of a shard, which must be entered exclusively; its sink
    /// comes back when all is copied.
    pub fn walk_snapshot(&mut self, id: ShardId, homes: usize) -> Option<Box<dyn SnapshotSink>> {
        let hasher = self.keyspace().hasher();
        self.shard_mut(id).walk_snapshot(hasher, homes)
    }
}

impl Shard {
    fn begin_snapshot(
        &mut self,
        version: u64,
        sink: Box<dyn SnapshotSink>,
    ) -> Option<Box<dyn SnapshotSink>> {
        let walk = Some((0, Cursor::START));
        let before = self.snapshot.replace(Snapshot { version, walk, sink });
        before.map(|snapshot| snapshot.sink)
    }

    fn walk_snapshot(&mut self, hasher: &KeyHasher, homes: usize) -> Option<Box<dyn SnapshotSink>> {
        for _ in 0..homes {
            let (db, cursor) = self.snapshot.as_ref()?.walk?;
            let mut snapshot = self.snapshot.take()?;
            let after = match self.database_mut(db) {
                Some(database) => snapshot.copy_at(database, db, cursor, hasher),
                None => None,
            };
            let last = db + 1 == self.databases_max;
            snapshot.walk = match after {
                Some(cursor) => Some((db, cursor)),
                None if last => return Some(snapshot.sink),
                None => Some((db + 1, Cursor::START)),
            };
            self.snapshot = Some(snapshot);
        }
        None
    }

    /// The one hook of writers: to be called before the entry of `hash` is changed, made or
    /// removed.
    #[inline(always)]
    pub(crate) fn before_change(&mut self, db: DbIndex, hash: u64, hasher: &KeyHasher) {
        if self.snapshot.is_some() {
            self.copy_before_change(db, hash, hasher);
        }
    }

    #[cold]
    fn copy_before_change(&mut self, db: DbIndex, hash: u64, hasher: &KeyHasher) {
        let Some(mut snapshot) = self.snapshot.take() else { return };
        snapshot.copy_home(self.database_or_new(db), db, hash, hasher);
        self.snapshot = Some(snapshot);
    }

    /// Copies what a snapshot has not got yet of a whole database, which is about to go.
    pub(crate) fn before_discard(&mut self, db: DbIndex, hasher: &KeyHasher) {
        let Some(mut snapshot) = self.snapshot.take() else { return };
        if let Some(database) = self.database_mut(db) {
            let mut cursor = Some(Cursor::START);
            while let Some(here) = cursor {
                cursor = snapshot.copy_at(database, db, here, hasher);
            }
        }
        self.snapshot = Some(snapshot);
    }
}

impl Snapshot {
    fn copy_at(
        &mut self,
        database: &mut Database,
        db: DbIndex,
        cursor: Cursor,
        hasher: &KeyHasher,
    ) -> Option<Cursor> {
        let Database { table, records, .. } = database;
        let hash_of = |handle| hasher.hash(records.key(Handle::from_bits(handle)));
        let mut homes = Vec::new();
        let after = table.stamp_at(cursor, self.version, hash_of, |handle| homes.push(handle));
        self.copy(database, db, &homes);
        after
    }

    fn copy_home(&mut self, database: &mut Database, db: DbIndex, hash: u64, hasher: &KeyHasher) {
        let Database { table, records, .. } = database;
        let hash_of = |handle| hasher.hash(records.key(Handle::from_bits(handle)));
        let mut home = Vec::new();
        table.stamp(hash, self.version, hash_of, |handle| home.push(handle));
        self.copy(database, db, &home);
    }

    fn copy(&mut self, database: &Database, db: DbIndex, handles: &[u32]) {
        for handle in handles.iter().copied().map(Handle::from_bits) {
            self.sink.copy(Copied {
                db,
                key: database.records.key(handle),
                value: database.stored(database.records.at(handle)),
                deadline: database.records.deadline(handle),
                sticky: database.records.is_sticky(handle),
            });
        }
    }
}
