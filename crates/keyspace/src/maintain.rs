//! What has to be done to a shard without anybody asking: expired entries are removed, nearly
//! empty segments merged, sparse slabs emptied.
//!
//! All of it goes segment by segment, a step an entry of the gate, so that requests wait for one
//! segment's work at most. Each segment knows from when on a look pays: after a look that is not
//! before a rest has passed, unless a key with an earlier deadline comes in. So expiry
//! needs no sampling, finds every key, and costs nothing where nothing is due.

use std::cell::{Cell, RefCell};

use packed::Handle;

use crate::changes::Names;
use crate::database::{Database, expired_from};
use crate::keyspace::{Keyspace, Mode, Plan};
use crate::shard::{Shard, ShardId};
use crate::view::{Frame, Tally, View};
use crate::{DbIndex, Millis};

/// A table this much emptier than it could be has its segments merged.
const TIDY_FILL: usize = 4;

/// Slabs are emptied once they hold this many bytes more than their records need, and half more.
const SPARSE_BYTES_MIN: usize = 1 << 20;

/// Fields of hashes and members of sets after which a step ends, at the next segment of the
/// hash's own table.
const PARTS_ENOUGH: usize = 1000;

/// How far a round of maintenance over one shard has come.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    db: DbIndex,
    /// The segment looked after last.
    place: Option<dash::Cursor>,
    /// How long a segment is left alone after a look, in ms.
    rest: Millis,
}

impl Due {
    /// The beginning of a round; `rest`: how long a segment is left alone after a look, in ms.
    #[must_use]
    pub fn new(rest: Millis) -> Due {
        Due { db: 0, place: None, rest }
    }
}

/// The most entries and fields that are noted for [`Keyspace::clear`]; whatever else has expired is
/// found by maintenance.
const OVERDUE_MAX: usize = 1000;

/// What a transaction found expired and could not remove, since it only reads.
pub struct Overdue {
    frame: Frame,
    found: RefCell<Vec<Late>>,
    /// How many entries and fields that are.
    count: Cell<usize>,
}

/// An entry that has expired, or fields of one that have.
struct Late {
    db: DbIndex,
    key: Box<[u8]>,
    /// None: all of the entry.
    fields: Vec<Box<[u8]>>,
}

impl Overdue {
    pub(crate) fn new(frame: Frame) -> Overdue {
        Overdue { frame, found: RefCell::default(), count: Cell::new(0) }
    }

    /// Notes an entry.
    pub(crate) fn note(&self, db: DbIndex, key: &[u8]) {
        if self.has_room() {
            self.found.borrow_mut().push(Late { db, key: key.into(), fields: Vec::new() });
        }
    }

    /// Notes a field of an entry.
    pub(crate) fn note_field(&self, db: DbIndex, key: &[u8], field: &[u8]) {
        if !self.has_room() {
            return;
        }
        let mut found = self.found.borrow_mut();
        // A command asks for several fields of one hash.
        let same = found.last_mut();
        let same =
            same.filter(|late| late.db == db && *late.key == *key && !late.fields.is_empty());
        match same {
            Some(late) => late.fields.push(field.into()),
            None => found.push(Late { db, key: key.into(), fields: vec![field.into()] }),
        }
    }

    fn has_room(&self) -> bool {
        let count = self.count.replace(self.count.get() + 1);
        count < OVERDUE_MAX
    }
}

/// What a step of maintenance came to.
pub enum Maintained {
    /// The round is over: nothing is left to do now.
    Done,
    /// The shard is busy; the round goes on later.
    Busy,
    /// A segment was looked after; there may be more.
    Step(Tally),
}

impl Keyspace {
    /// Removes what a reader found expired, each entry in a transaction of its own, which `settle`
    /// is told of. Does not wait: what is in a busy shard is left to maintenance. No gate may be
    /// held.
    pub fn clear(&self, overdue: Overdue, mut settle: impl FnMut(Tally)) {
        for Late { db, key, fields } in overdue.found.into_inner() {
            let (id, frame) = (self.shard_of(self.hash(&key)), Frame { db, ..overdue.frame });
            let expire = |view: &mut View<'_>| match fields.is_empty() {
                true => view.expire_found(id, &key),
                false => view.expire_fields(&key, &fields),
            };
            // Left to maintenance if it is busy.
            let _ = self.try_in_one(frame, id, Mode::Exclusive, expire, &mut settle);
        }
    }

    /// One step of maintenance of a shard. Does not wait: a busy shard is left for later.
    pub fn maintain(&self, id: ShardId, frame: Frame, due: &mut Due) -> Maintained {
        let Some(shard) = self.gate(id).try_read() else { return Maintained::Busy };
        let chore = next_chore(&shard, self.databases(), frame.now, due);
        drop(shard);
        let Some((db, place)) = chore else { return Maintained::Done };
        let frame = Frame { db, ..frame };
        let Some(mut view) = self.try_enter(frame, &Plan::One(id), Mode::Exclusive) else {
            return Maintained::Busy;
        };
        let mut is_done = view.expire_segment(id, place, due.rest);
        if is_done && view.tidy_segment(id, place) {
            // What was merged into the segment may not have had its look yet.
            is_done = view.expire_segment(id, place, due.rest);
        }
        if is_done {
            due.place = Some(place);
        }
        Maintained::Step(view.publish())
    }
}

/// Finds the next segment that needs a look.
fn next_chore(
    shard: &Shard,
    databases: DbIndex,
    now: Millis,
    due: &mut Due,
) -> Option<(DbIndex, dash::Cursor)> {
    while due.db < databases {
        let database = shard.database(due.db);
        if let Some(place) = database.and_then(|database| database.next_chore(now, due.place)) {
            return Some((due.db, place));
        }
        due.db += 1;
        due.place = None;
    }
    None
}

/// What a look at a segment found.
struct Found {
    /// Keys that have expired.
    expired: Vec<Box<[u8]>>,
    /// Keys of collections that have parts which have expired.
    dated: Vec<Box<[u8]>>,
    /// From when on the first of the others has expired, or a part of it.
    earliest: Millis,
}

impl Database {
    fn find_due(&self, place: dash::Cursor, now: Millis) -> Found {
        let mut found = Found { expired: Vec::new(), dated: Vec::new(), earliest: Millis::MAX };
        self.table.segment_handles(place, |handle| {
            let handle = Handle::from_bits(handle);
            let due = self.records.deadline(handle).map_or(Millis::MAX, expired_from);
            let value_due = self.value_due(handle);
            if due <= now {
                found.expired.push(self.records.key(handle).into());
                return;
            }
            found.earliest = found.earliest.min(due);
            if value_due <= now {
                found.dated.push(self.records.key(handle).into());
            } else {
                found.earliest = found.earliest.min(value_due);
            }
        });
        found
    }

    fn next_chore(&self, now: Millis, before: Option<dash::Cursor>) -> Option<dash::Cursor> {
        let untidy = self.is_untidy();
        if self.table.due() > now && !untidy {
            return None;
        }
        let from = match before {
            None => dash::Cursor::START,
            Some(before) => self.table.next_segment(before)?,
        };
        if untidy { Some(from) } else { self.table.next_due(from, now) }
    }
}

impl Database {
    fn is_untidy(&self) -> bool {
        self.is_sparse_table() || self.is_sparse_records()
    }

    fn is_sparse_table(&self) -> bool {
        let capacity = self.table.capacity();
        capacity > dash::SEGMENT_SLOTS && self.table.len() * TIDY_FILL < capacity
    }

    fn is_sparse_records(&self) -> bool {
        let (used, held) = (self.records.used_bytes(), self.records.resident_bytes());
        held > used + used / 2 + SPARSE_BYTES_MIN
    }
}

impl View<'_> {
    /// Removes what has expired in one segment and notes when the next look pays. Tells whether
    /// that was all: of the parts of collections only so many go in one step.
    fn expire_segment(&mut self, id: ShardId, place: dash::Cursor, rest: Millis) -> bool {
        let (now, db) = (self.now(), self.db());
        let Some(database) = self.shard(id).database(db) else { return true };
        if database.table.segment_due(place) > now {
            return true;
        }
        let Found { expired, dated, mut earliest } = database.find_due(place, now);
        for key in &expired {
            self.expire_found(id, key);
        }
        let mut left = PARTS_ENOUGH;
        for key in &dated {
            left = left.saturating_sub(self.expire_parts(key, left));
            earliest = earliest.min(self.value_due(id, key));
        }
        let is_done = earliest > now;
        let is_quiet = !is_done || earliest == Millis::MAX;
        let next_look = if is_quiet { earliest } else { earliest.max(now + rest) };
        self.database_mut(id).table.set_segment_due(place, next_look);
        is_done
    }

    /// Removes parts of a collection whose deadline has passed, as long as they are fewer than
    /// `enough`; the key goes with the last. Returns how many.
    fn expire_parts(&mut self, key: &[u8], enough: usize) -> usize {
        let Some(kind) = self.stored(key).map(|stored| stored.kind()) else { return 0 };
        let mut entry = self.collection_over(key, kind);
        entry.writing.forget_parts();
        let (now, tells_parts) = (entry.now(), entry.writing.tells_parts());
        let Some((big, hasher)) = entry.big_mut() else { return 0 };
        let Some(map) = big.dated_mut() else { return 0 };
        let mut names = Names::default();
        let removed = map.remove_due(now, enough, hasher, |name| {
            if tells_parts {
                names.push(name);
            }
        });
        let is_empty = map.held() == 0;
        if removed > 0 {
            entry.expired(removed, &names, is_empty);
        }
        removed
    }

    /// Removes those of these fields of a hash whose deadline has passed; the key goes with the
    /// last field.
    fn expire_fields(&mut self, key: &[u8], fields: &[Box<[u8]>]) {
        let Ok(mut entry) = self.hash_entry(key) else { return };
        fields.iter().for_each(|field| entry.drop_lapsed(field));
        entry.noted_lapsed();
    }

    /// When parts of a key's value outlive their deadlines.
    fn value_due(&self, id: ShardId, key: &[u8]) -> Millis {
        let hash = self.keyspace().hash(key);
        let database = self.shard(id).database(self.db());
        let found = database.and_then(|database| Some((database, database.find(hash, key)?.0)));
        found.map_or(Millis::MAX, |(database, at)| {
            database.value_due(Handle::from_bits(at.handle()))
        })
    }

    /// Merges one segment where that saves memory, and moves its records out of sparse slabs.
    /// Tells whether it is another segment now.
    fn tidy_segment(&mut self, id: ShardId, place: dash::Cursor) -> bool {
        let db = self.db();
        let keyspace = self.keyspace();
        let Some(database) = self.shard(id).database(db) else { return false };
        let (sparse_table, sparse_records) =
            (database.is_sparse_table(), database.is_sparse_records());
        let database = self.database_mut(id);
        if sparse_records {
            database.move_sparse(place, keyspace.hasher());
        }
        if !sparse_table {
            return false;
        }
        let Database { table, records, .. } = database;
        let hash_of = |handle| keyspace.hasher().hash(records.key(Handle::from_bits(handle)));
        table.tidy_after(place, hash_of) > 0
    }
}

impl Database {
    fn move_sparse(&mut self, place: dash::Cursor, hasher: &crate::KeyHasher) {
        let mut handles = Vec::new();
        self.table.segment_handles(place, |handle| handles.push(handle));
        for handle in handles {
            let Some(new) = self.records.move_if_sparse(Handle::from_bits(handle)) else {
                continue;
            };
            let hash = hasher.hash(self.records.key(new));
            if let Some(at) = self.table.find(hash, |other| other == handle) {
                self.table.replace(hash, at, new.bits());
            }
        }
    }
}
