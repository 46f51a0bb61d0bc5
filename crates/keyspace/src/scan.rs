//! Walking all keys of a database in steps, while they change: what SCAN rests on.
//!
//! A cursor is a shard and a place in its table. A key that is there from the first step to the
//! last is met at least once, whatever is inserted, deleted, split or merged meanwhile, since a
//! key never changes its shard and the table's own walk loses none ([`dash::Cursor`]).

use packed::Handle;

use crate::DbIndex;
use crate::database::{Database, Info, Stored};
use crate::shard::ShardId;
use crate::view::View;

/// Home buckets that one step looks at, at most, when they are empty.
const HOMES_MAX: usize = 16_384;

/// Where a walk over all keys goes on. 0 is its beginning, and what it returns at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ScanCursor(pub u64);

/// A key that a walk has met.
pub struct Met<'v> {
    /// The key.
    pub key: &'v [u8],
    database: &'v Database,
    handle: Handle,
}

impl<'v> Met<'v> {
    /// What it holds.
    #[must_use]
    pub fn stored(&self) -> Stored<'v> {
        self.database.stored(self.database.records.at(self.handle))
    }

    /// What is known of its entry.
    #[must_use]
    pub fn info(&self) -> Info {
        self.database.info(self.handle)
    }
}

impl View<'_> {
    /// Meets about `count` keys of this view's database, every shard of which must be entered.
    /// Keys that have expired are passed over. Returns where the walk goes on.
    pub fn scan<'v>(
        &'v self,
        cursor: ScanCursor,
        count: usize,
        mut meet: impl FnMut(Met<'v>),
    ) -> ScanCursor {
        let first = cursor.0 >> dash::Cursor::BITS;
        let mut place = dash::Cursor::from_bits(cursor.0 & ((1 << dash::Cursor::BITS) - 1));
        let (mut met, mut homes) = (0, 0);
        for (id, shard) in self.shards().skip_while(|(id, _)| u64::from(id.0) < first) {
            let Some(database) = shard.database(self.db()) else { continue };
            if u64::from(id.0) > first {
                place = dash::Cursor::START;
            }
            let mut next = (!database.table.is_empty()).then_some(place);
            while let Some(here) = next {
                if met >= count || homes >= HOMES_MAX {
                    return continued(id, here);
                }
                next = self.scan_home(database, here, |found| {
                    met += 1;
                    meet(found);
                });
                homes += 1;
            }
        }
        ScanCursor(0)
    }

    /// Meets every key of a database that has not expired, as far as its shards are entered.
    pub fn each<'v>(&'v self, db: DbIndex, mut meet: impl FnMut(Met<'v>)) {
        for (_, shard) in self.shards() {
            let Some(database) = shard.database(db) else { continue };
            let mut place = Some(dash::Cursor::START);
            while let Some(here) = place {
                place = database.table.segment_handles(here, |handle| {
                    let handle = Handle::from_bits(handle);
                    if !database.is_due(handle, self.frame().due_before()) {
                        meet(Met { key: database.records.key(handle), database, handle });
                    }
                });
            }
        }
    }

    fn scan_home<'v>(
        &self,
        database: &'v Database,
        here: dash::Cursor,
        mut meet: impl FnMut(Met<'v>),
    ) -> Option<dash::Cursor> {
        let hasher = self.keyspace().hasher();
        let hash_of = |handle| hasher.hash(database.records.key(Handle::from_bits(handle)));
        database.table.scan(here, hash_of, |handle| {
            let handle = Handle::from_bits(handle);
            let key = database.records.key(handle);
            if database.is_due(handle, self.frame().due_before()) {
                self.meet_overdue(key);
            } else {
                meet(Met { key, database, handle });
            }
        })
    }
}

fn continued(id: ShardId, place: dash::Cursor) -> ScanCursor {
    ScanCursor(u64::from(id.0) << dash::Cursor::BITS | place.to_bits())
}
