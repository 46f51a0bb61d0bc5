//! The entered shards of one database, seen as one keyspace: what a running command works on.
//!
//! A [`View`] exists only while its gates are held. A reading command gets `&View`, a writing
//! one `&mut View`, so the signature says what it may do; what it changes is noted by the view's
//! own functions and by the guard of an entry ([`crate::StrEntry`]), never by the command.
//!
//! # Invariants
//!
//! 1. A view that is handed out as `&mut` holds all its gates exclusively.
//! 2. A key outside the entered shards cannot be reached: asking for one is a bug in the row's
//!    key positions, and stops the command, not the process.

use dash::At;
use packed::{Handle, Kind, Record};
use smallvec::SmallVec;
use value::Type;
use value::entries::Element;
use value::map::MapRef;

use crate::changes::{Effect, Event, Notes, Publication, Step, event};
use crate::collection::{CollectionEntry, Kept};
use crate::database::{Database, Info, Stored, Str, is_due};
use crate::entry::StrEntry;
use crate::keyspace::Keyspace;
use crate::maintain::Overdue;
use crate::shard::{Shard, ShardId};
use crate::waiters::{Ready, ReadyKeys};
use crate::{DbIndex, KeyHasher, Millis, Refused};

mod entered;
mod frame;
mod writing;

pub use frame::{Frame, Layout, Leftovers, Tally};

pub(crate) use entered::{Entered, Guard};
pub(crate) use writing::{Log, Writing};

/// See the module's page.
pub struct View<'g> {
    pub(crate) keyspace: &'g Keyspace,
    frame: Frame,
    pub(crate) entered: Entered<'g>,
    /// The key whose hash was computed to find the way here: its address, its length, the hash.
    known: (usize, usize, u64),
    log: Log,
}

impl<'g> View<'g> {
    #[inline(always)]
    pub(crate) fn new(keyspace: &'g Keyspace, frame: Frame, entered: Entered<'g>) -> View<'g> {
        let log = Log { listening: keyspace.listening(), ..Log::default() };
        let known = (0, 0, 0);
        View { keyspace, frame, entered, known, log }
    }

    /// Spares the view the hash of a key that the caller has computed.
    #[inline]
    pub fn know(&mut self, key: &[u8], hash: u64) {
        self.known = (key.as_ptr().addr(), key.len(), hash);
    }

    /// Asks for the memory that look-ups of the keys with these hashes will read: their buckets
    /// first, then the records, so that the waits for many keys are one.
    pub fn prefetch(&self, hashes: &[u64]) {
        self.prefetch_buckets(hashes);
        self.prefetch_records(hashes);
    }

    /// The first half of [`View::prefetch`], for who has something to do before the second.
    pub fn prefetch_buckets(&self, hashes: &[u64]) {
        self.homes(hashes).for_each(|(hash, database)| database.prefetch_bucket(hash));
    }

    /// The second half.
    pub fn prefetch_records(&self, hashes: &[u64]) {
        self.homes(hashes).for_each(|(hash, database)| database.prefetch_record(hash));
    }

    /// Where the keys with these hashes lie, with each.
    fn homes(&self, hashes: &[u64]) -> impl Iterator<Item = (u64, &Database)> {
        let of = |hash| self.shard(self.keyspace.shard_of(hash)).database(self.frame.db);
        hashes.iter().filter_map(move |&hash| Some((hash, of(hash)?)))
    }

    /// What the transaction takes as given.
    #[must_use]
    #[inline]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Has the next request of a transaction run: in this database, with this chance.
    pub fn turn_to(&mut self, db: DbIndex, chance: u64) {
        self.frame = Frame { db, chance, ..self.frame };
        self.forget_known();
    }

    /// Says whether it is a script that runs what follows.
    pub fn obey_script(&mut self, by_script: bool) {
        self.frame.by_script = by_script;
    }

    /// Has what follows, those who are served included, take place now.
    pub fn catch_up(&mut self, now: Millis) {
        self.frame.now = self.frame.now.max(now);
    }

    /// The database the view shows.
    #[must_use]
    pub fn db(&self) -> DbIndex {
        self.frame.db
    }

    /// What time it is.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Millis {
        self.frame.now
    }

    /// How many databases there are.
    #[must_use]
    pub fn databases(&self) -> DbIndex {
        self.keyspace.databases()
    }

    #[inline(always)]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let (start, len, hash) = self.known;
        if start == key.as_ptr().addr() && len == key.len() {
            return hash;
        }
        self.keyspace.hash(key)
    }

    #[inline(always)]
    pub(crate) fn shard(&self, id: ShardId) -> &Shard {
        match &self.entered {
            Entered::One(one, guard) => {
                assert!(*one == id, "the row's key positions name every key that is used");
                guard.shard()
            }
            Entered::Some(list) => {
                let at = list.binary_search_by_key(&id, |(id, _)| *id);
                list[at.expect("the row's key positions name every key that is used")].1.shard()
            }
            Entered::All(list) => list[id.index()].shard(),
        }
    }

    #[inline(always)]
    pub(crate) fn shard_mut(&mut self, id: ShardId) -> &mut Shard {
        self.entered.shard_mut(id)
    }

    /// The entered shards, in ascending order.
    pub(crate) fn shards(&self) -> impl Iterator<Item = (ShardId, &Shard)> {
        let (one, some, all) = match &self.entered {
            Entered::One(id, guard) => (Some((*id, guard.shard())), &[][..], &[][..]),
            Entered::Some(list) => (None, &list[..], &[][..]),
            Entered::All(list) => (None, &[][..], &list[..]),
        };
        let some = some.iter().map(|(id, guard)| (*id, guard.shard()));
        let all = (0..).zip(all).map(|(id, guard)| (ShardId(id), guard.shard()));
        one.into_iter().chain(some).chain(all)
    }

    #[inline(always)]
    pub(crate) fn find(&self, key: &[u8]) -> Option<(&Database, Handle, Record<'_>)> {
        let hash = self.hash(key);
        let database = self.shard(self.keyspace.shard_of(hash)).database(self.frame.db)?;
        let (at, record) = database.find(hash, key)?;
        if is_due(record, self.frame.due_before()) {
            self.meet_overdue(key);
            return None;
        }
        Some((database, Handle::from_bits(at.handle()), record))
    }

    /// Notes that an entry has expired and waits to be removed.
    #[cold]
    pub(crate) fn meet_overdue(&self, key: &[u8]) {
        self.log
            .overdue
            .get_or_init(|| Box::new(Overdue::new(self.frame)))
            .note(self.frame.db, key);
    }

    /// The value of a field of a hash that was read. One whose deadline has passed is as good as
    /// gone, and noted to be removed.
    #[inline]
    #[must_use]
    pub fn field<'v>(&self, key: &[u8], map: MapRef<'v>, field: &[u8]) -> Option<Element<'v>> {
        let found = map.get(field);
        if found.is_none() && map.has_lapsed(field) {
            self.meet_lapsed(key, field);
        }
        found
    }

    /// Notes that a field has outlived its deadline and waits to be removed.
    #[cold]
    fn meet_lapsed(&self, key: &[u8], field: &[u8]) {
        self.log.overdue.get_or_init(|| Box::new(Overdue::new(self.frame))).note_field(
            self.frame.db,
            key,
            field,
        );
    }

    /// Counts a look-up of a key as a hit or a miss.
    #[inline(always)]
    fn count(&self, key: &[u8], hit: bool) {
        self.log.count(hit);
        if !hit && self.log.listening.to_misses() {
            self.log.note_miss(self.keyspace.shard_of(self.hash(key)), self.frame.db, key);
        }
    }

    /// Reads a string. Counts as a use of the key.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline(always)]
    pub fn str(&self, key: &[u8]) -> Result<Option<Str<'_>>, Refused> {
        let found = self.find(key);
        self.count(key, found.is_some());
        let Some((database, handle, record)) = found else { return Ok(None) };
        database.touch(handle, record, &self.frame);
        if record.kind() != Kind::Str {
            return Err(Refused::WrongType);
        }
        Ok(Some(Str(record.str())))
    }

    /// Reads a collection. Counts as a use of the key.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn collection(&self, key: &[u8], kind: Type) -> Result<Option<Stored<'_>>, Refused> {
        let found = self.find(key);
        self.count(key, found.is_some());
        let Some((database, handle, record)) = found else { return Ok(None) };
        database.touch(handle, record, &self.frame);
        let stored = database.stored(record);
        if stored.kind() == kind { Ok(Some(stored)) } else { Err(Refused::WrongType) }
    }

    /// What a key holds, whatever it is; neither counted nor a use of the key.
    #[must_use]
    pub fn stored(&self, key: &[u8]) -> Option<Stored<'_>> {
        let (database, _, record) = self.find(key)?;
        Some(database.stored(record))
    }

    /// The hash under which collections find their members.
    #[must_use]
    pub fn hasher(&self) -> &'g KeyHasher {
        self.keyspace.hasher()
    }

    /// Whether the key exists. Is counted, but no use of the key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let found = self.find(key).is_some();
        self.count(key, found);
        found
    }

    /// Whether the key exists; counts as a use of it.
    #[must_use]
    pub fn touch(&self, key: &[u8]) -> bool {
        self.touch_in(key, &self.frame)
    }

    /// The same, also for those whose uses are not recorded: they ask for it.
    #[must_use]
    pub fn touch_anyway(&self, key: &[u8]) -> bool {
        self.touch_in(key, &Frame { touch: true, ..self.frame })
    }

    fn touch_in(&self, key: &[u8], frame: &Frame) -> bool {
        let found = self.find(key);
        self.count(key, found.is_some());
        let Some((database, handle, record)) = found else { return false };
        database.touch(handle, record, frame);
        true
    }

    /// What is known of an entry; neither counted nor a use.
    #[must_use]
    pub fn info(&self, key: &[u8]) -> Option<Info> {
        let (database, handle, _) = self.find(key)?;
        Some(database.info(handle))
    }

    /// What is known of an entry, and what it holds, also if it has expired and is still there;
    /// neither counted nor a use.
    #[must_use]
    pub fn kept(&self, key: &[u8]) -> Option<(Info, Stored<'_>)> {
        let hash = self.hash(key);
        let database = self.shard(self.keyspace.shard_of(hash)).database(self.frame.db)?;
        let (at, record) = database.find(hash, key)?;
        let handle = Handle::from_bits(at.handle());
        Some((database.info(handle), database.stored(record)))
    }

    /// What is known of an entry; counted as a hit or a miss, but no use.
    #[must_use]
    pub fn look(&self, key: &[u8]) -> Option<Info> {
        let found = self.info(key);
        self.count(key, found.is_some());
        found
    }

    /// The same for a command that looks at how an entry is kept: subscribers are not told of a
    /// miss.
    #[must_use]
    pub fn inspect(&self, key: &[u8]) -> Option<Info> {
        let found = self.info(key);
        self.log.count(found.is_some());
        found
    }

    /// A string, neither counted nor a use of its key; `None` if the key holds something else.
    #[must_use]
    pub fn peek(&self, key: &[u8]) -> Option<Str<'_>> {
        match self.stored(key)? {
            Stored::Str(text) => Some(text),
            Stored::Packed(..) | Stored::Big(_) => None,
        }
    }

    /// The deadline of an entry: `None` if there is no entry, `Some(None)` if it has none.
    #[must_use]
    pub fn deadline(&self, key: &[u8]) -> Option<Option<Millis>> {
        let found = self.find(key);
        self.count(key, found.is_some());
        found.map(|(_, _, record)| record.deadline())
    }

    /// How many keys the entered shards of a database hold, those expired but not yet removed
    /// included.
    #[must_use]
    pub fn len(&self, db: DbIndex) -> usize {
        let databases = self.shards().filter_map(|(_, shard)| shard.database(db));
        databases.map(|database| database.table.len()).sum()
    }

    /// Whether the entered shards of a database hold nothing.
    #[must_use]
    pub fn is_empty(&self, db: DbIndex) -> bool {
        self.len(db) == 0
    }

    /// A key that has not expired, chosen at random among the entered shards of this database. In
    /// a pause any key, if all have expired.
    #[must_use]
    pub fn random_key(&self) -> Option<&[u8]> {
        const TRIES: u64 = 100;
        let databases: SmallVec<[&Database; 64]> = self
            .shards()
            .filter_map(|(_, shard)| shard.database(self.frame.db))
            .filter(|database| !database.table.is_empty())
            .collect();
        let keys: u64 = databases.iter().map(|database| database.table.len() as u64).sum();
        let mut expired = None;
        for attempt in 0..TRIES {
            let chance = scatter(self.frame.chance.wrapping_add(attempt));
            let mut nth = chance % keys.max(1);
            let chosen = databases.iter().find(|database| {
                let own = database.table.len() as u64;
                let here = nth < own;
                nth = nth.saturating_sub(own);
                here
            })?;
            let handle = Handle::from_bits(chosen.table.random(scatter(chance))?);
            if !chosen.is_due(handle, self.frame.due_before()) {
                return Some(chosen.records.key(handle));
            }
            self.meet_overdue(chosen.records.key(handle));
            expired = Some((chosen, handle));
        }
        // Nearly everything has expired: look through what there is, from the last one met.
        let (chosen, handle) = expired?;
        let live = self.any_live_key(&databases);
        live.or_else(|| self.frame.is_paused.then(|| chosen.records.key(handle)))
    }

    fn any_live_key<'v>(&self, databases: &[&'v Database]) -> Option<&'v [u8]> {
        databases.iter().find_map(|database| {
            let mut live = None;
            let mut cursor = Some(dash::Cursor::START);
            while let (Some(here), None) = (cursor, live) {
                cursor = database.table.segment_handles(here, |handle| {
                    let handle = Handle::from_bits(handle);
                    if !database.is_due(handle, self.frame.due_before()) {
                        live = Some(handle);
                    }
                });
            }
            live.map(|handle| database.records.key(handle))
        })
    }

    pub(crate) fn writing(&mut self, id: ShardId) -> Writing<'_> {
        let View { keyspace, frame, entered, log, .. } = self;
        Writing { shard: entered.shard_mut(id), id, db: frame.db, frame, keyspace, log }
    }

    /// The guard of a key that holds a string or nothing. Counts as a use of the key, but is not
    /// counted as a hit or miss: see [`View::str_entry_read`]. An entry that has
    /// expired is removed.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline(always)]
    pub fn str_entry<'v>(&'v mut self, key: &'v [u8]) -> Result<StrEntry<'v>, Refused> {
        let hash = self.hash(key);
        let id = self.keyspace.shard_of(hash);
        let mut writing = self.writing(id);
        let at = match writing.find_used(hash, key, |_, record| record.kind() == Kind::Str) {
            Some((_, false)) => return Err(Refused::WrongType),
            found => found.map(|(at, _)| at),
        };
        Ok(StrEntry { writing, key, hash, at })
    }

    /// The same for a command that also returns what it found: the look-up is counted, whatever
    /// the key holds, and subscribers are told of a miss.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn str_entry_read<'v>(&'v mut self, key: &'v [u8]) -> Result<StrEntry<'v>, Refused> {
        let entry = self.str_over(key);
        entry.count_lookup();
        if entry.holds_other() { Err(Refused::WrongType) } else { Ok(entry) }
    }

    /// The guard of a key that is to hold a string, whatever it holds now.
    #[inline]
    pub fn str_over<'v>(&'v mut self, key: &'v [u8]) -> StrEntry<'v> {
        let hash = self.hash(key);
        let id = self.keyspace.shard_of(hash);
        let mut writing = self.writing(id);
        let at = writing.find_used(hash, key, |_, _| ()).map(|(at, ())| at);
        StrEntry { writing, key, hash, at }
    }

    /// The guard of a key that holds a collection of this type or nothing, as
    /// [`View::str_entry`] is of strings.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn collection_entry<'v>(
        &'v mut self,
        key: &'v [u8],
        kind: Type,
    ) -> Result<CollectionEntry<'v>, Refused> {
        let (writing, hash, found) = self.find_kept(key);
        CollectionEntry::new(writing, (key, hash), found, kind)
    }

    /// The same for a command that also returns what it found: the look-up is counted, whatever
    /// the key holds, and subscribers are told of a miss.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn collection_entry_read<'v>(
        &'v mut self,
        key: &'v [u8],
        kind: Type,
    ) -> Result<CollectionEntry<'v>, Refused> {
        let (writing, hash, found) = self.find_kept(key);
        writing.count(key, found.is_some());
        CollectionEntry::new(writing, (key, hash), found, kind)
    }

    /// What a key holds, by its hash, with where it is changed.
    #[inline(always)]
    fn find_kept<'v>(&'v mut self, key: &[u8]) -> (Writing<'v>, u64, Option<(At, Kept)>) {
        let hash = self.hash(key);
        let mut writing = self.writing(self.keyspace.shard_of(hash));
        let found = writing.find_used(hash, key, Kept::of);
        (writing, hash, found)
    }

    /// The guard of a key that is to hold a collection of this type, whatever it holds now: that
    /// goes when the collection is put ([`CollectionEntry::put`]).
    pub fn collection_over<'v>(&'v mut self, key: &'v [u8], kind: Type) -> CollectionEntry<'v> {
        let hash = self.hash(key);
        let id = self.keyspace.shard_of(hash);
        let mut writing = self.writing(id);
        let at = writing.find(hash, key);
        CollectionEntry::over(writing, (key, hash), at, kind)
    }

    /// Removes an entry; tells whether there was one.
    pub fn remove(&mut self, key: &[u8], event: Event) -> bool {
        let hash = self.hash(key);
        let id = self.keyspace.shard_of(hash);
        self.writing(id).remove(hash, key, event)
    }

    /// Gives an entry another deadline, or none; tells whether there is an entry.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for a deadline.
    pub fn set_deadline(
        &mut self,
        key: &[u8],
        deadline: Option<Millis>,
        event: Event,
    ) -> Result<bool, Refused> {
        let hash = self.hash(key);
        let id = self.keyspace.shard_of(hash);
        let mut writing = self.writing(id);
        let Some(at) = writing.find(hash, key) else { return Ok(false) };
        writing.before_change(hash);
        writing.database_mut().set_deadline(hash, at, deadline)?;
        writing.note(key, event, Effect::Deadline(deadline));
        Ok(true)
    }

    /// Marks an entry so that eviction passes it by; tells whether it was not marked before.
    pub fn stick(&mut self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        let id = self.keyspace.shard_of(hash);
        let mut writing = self.writing(id);
        let Some(at) = writing.find(hash, key) else { return false };
        writing.before_change(hash);
        let handle = Handle::from_bits(at.handle());
        let database = writing.database_mut();
        let newly = !database.records.is_sticky(handle);
        database.records.set_sticky(handle, true);
        if newly {
            writing.note(key, event::STICK, Effect::Set);
        }
        newly
    }

    /// Sets the access bits of an entry, see [`crate::access`]; nothing if there is no entry.
    pub fn set_access(&mut self, key: &[u8], bits: u32) {
        let hash = self.hash(key);
        let id = self.keyspace.shard_of(hash);
        let mut writing = self.writing(id);
        if let Some(at) = writing.find(hash, key) {
            writing.database_mut().records.set_access(Handle::from_bits(at.handle()), bits);
        }
    }

    /// Copies an entry to another key or database, over what is there; value, deadline, access
    /// bits and stickiness go along. Tells whether there was something to copy. The events are
    /// those of the source's removal (`None`: it stays) and of the copy. An entry that is to go
    /// where it is stays as it is, and nothing is noted.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for the copy; source and destination are unchanged.
    pub fn transfer(
        &mut self,
        (from_db, from): (DbIndex, &[u8]),
        (to_db, to): (DbIndex, &[u8]),
        (left, arrived): (Option<Event>, Event),
    ) -> Result<bool, Refused> {
        let (from_hash, to_hash) = (self.hash(from), self.hash(to));
        let (from_id, to_id) = (self.keyspace.shard_of(from_hash), self.keyspace.shard_of(to_hash));
        let mut source = self.writing(from_id).in_db(from_db);
        let Some(at) = source.find(from_hash, from) else { return Ok(false) };
        if (from_db, from) == (to_db, to) {
            return Ok(true);
        }
        let handle = Handle::from_bits(at.handle());
        source.before_change(from_hash);
        let mut detached = source.database_mut().detach(handle, left.is_some());
        let mut destination = self.writing(to_id).in_db(to_db);
        let before = match destination.overwrite(to_hash, to, &mut detached) {
            Ok(before) => before,
            Err(refused) => {
                let mut source = self.writing(from_id).in_db(from_db);
                source.database_mut().give_back(handle, detached);
                return Err(refused);
            }
        };
        if let Some(left) = left {
            let mut source = self.writing(from_id).in_db(from_db);
            source.remove(from_hash, from, left);
            // What moves counts once.
            self.log.changes -= 1;
        }
        self.writing(to_id).in_db(to_db).note_arrived(to_hash, to, arrived, before);
        Ok(true)
    }

    /// Whether a key exists in another database; neither counted nor a use.
    #[must_use]
    pub fn contains_in(&self, db: DbIndex, key: &[u8]) -> bool {
        let hash = self.hash(key);
        let database = self.shard(self.keyspace.shard_of(hash)).database(db);
        database.is_some_and(|db| db.find_live(hash, key, self.frame.due_before()).is_some())
    }

    /// Empties a database, as far as its shards are entered. Returns how many keys it held.
    pub fn flush(&mut self, db: DbIndex) -> usize {
        let mut flushed = 0;
        for id in self.ids() {
            let keyspace = self.keyspace;
            self.touch_databases(id, &[db]);
            let shard = self.shard_mut(id);
            shard.before_discard(db, keyspace.hasher());
            if let Some(discarded) = shard.discard(db) {
                flushed += discarded.entries();
                self.writing(id).in_db(db).note(b"", event::FLUSH, Effect::Flush);
                self.all_ready(id, &[db]);
                self.log.garbage().databases.push(discarded);
            }
        }
        flushed
    }

    /// How many changes were counted up to here.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.log.changes
    }

    /// Has what was changed since there were `before` changes count as so many, as in Redis, where
    /// what is moved counts once and not as a change of either key.
    pub fn count_since(&mut self, before: u64, changes: usize) {
        self.log.changes = before + changes as u64;
    }

    /// Leaves no more room to this database than so many regions a shard, so that tests get to see
    /// what happens when there is none.
    pub fn limit_room(&mut self, regions_max: usize) {
        for id in self.ids() {
            self.database_mut(id).records.limit_regions(regions_max);
        }
    }

    /// Says whether what this command leaves behind is to be dropped in the background (ASYNC), or
    /// before it is answered (SYNC), whatever the settings say.
    pub fn discard_lazily(&mut self, lazily: bool) {
        self.log.garbage().lazily = Some(lazily);
    }

    /// Exchanges two databases, as far as their shards are entered.
    pub fn swap(&mut self, one: DbIndex, other: DbIndex) {
        for id in self.ids() {
            let keyspace = self.keyspace;
            self.touch_databases(id, &[one, other]);
            let shard = self.shard_mut(id);
            shard.before_discard(one, keyspace.hasher());
            shard.before_discard(other, keyspace.hasher());
            if shard.swap(one, other) {
                self.writing(id).in_db(one).note(b"", event::SWAP, Effect::Swap(other));
                self.all_ready(id, &[one, other]);
            }
        }
    }

    /// Notes the keys that somebody waits for in databases whose entries are gone or others now.
    fn all_ready(&mut self, id: ShardId, databases: &[DbIndex]) {
        let Some(waiters) = &self.shard(id).waiters else { return };
        let of = |db| waiters.keys(db).map(move |key| Ready::new(id, db, key));
        let ready: Vec<Ready> = databases.iter().copied().flat_map(of).collect();
        if !ready.is_empty() {
            self.log.ready.get_or_insert_default().0.extend(ready);
        }
    }

    pub(crate) fn ids(&self) -> SmallVec<[ShardId; 64]> {
        self.shards().map(|(id, _)| id).collect()
    }

    /// Tells clients of what was changed up to here, where one command of several has run. It is
    /// published with the rest.
    #[inline]
    pub fn tell(&mut self) {
        if self.log.notes.get_mut().is_some() {
            self.tell_noted();
        }
    }

    /// Tells everybody concerned what was changed, leaves the gates, and says what was done.
    pub fn publish(mut self) -> Tally {
        self.conclude()
    }

    /// Tells everybody concerned what was changed, and says what was done. The gates are to be left
    /// next.
    #[inline(always)]
    pub(crate) fn conclude(&mut self) -> Tally {
        if self.log.ready.is_some() {
            self.serve_waiters();
        }
        if self.log.notes.get_mut().is_some() {
            self.announce();
        }
        let Log { hits, misses, changes, expired, lapsed, garbage, overdue, .. } = &mut self.log;
        Tally {
            hits: hits.get(),
            misses: misses.get(),
            changes: *changes,
            expired: *expired,
            lapsed: *lapsed,
            garbage: garbage.take(),
            overdue: overdue.take(),
        }
    }
}

/// What serving those who wait needs.
impl View<'_> {
    /// Publishes what was noted up to here as a transaction of its own.
    #[cold]
    pub(crate) fn announce(&mut self) {
        self.tell_noted();
        let notes = self.log.notes.get_mut().take();
        if let Some(notes) = notes.filter(|notes| !notes.is_empty()) {
            announce(self.keyspace, self.frame, &mut self.entered, &notes);
        }
    }

    #[cold]
    fn tell_noted(&mut self) {
        let notes = self.log.notes.get_mut().as_mut().filter(|notes| notes.has_untold());
        let (Some(notes), Some(sink)) = (notes, self.keyspace.sink()) else { return };
        sink.tell(&Step { origin: self.frame.origin, notes });
        notes.mark_told();
    }

    pub(crate) fn set_frame(&mut self, frame: Frame) {
        self.frame = frame;
    }

    /// Forgets what [`View::know`] said: other requests run from here on.
    pub(crate) fn forget_known(&mut self) {
        self.known = (0, 0, 0);
    }

    pub(crate) fn take_ready(&mut self) -> Option<Box<ReadyKeys>> {
        self.log.ready.take()
    }

    /// Notes that a key may be ready for somebody who waits for it.
    pub(crate) fn note_ready(&mut self, id: ShardId, db: DbIndex, key: &[u8]) {
        self.writing(id).in_db(db).ready(key);
    }

    pub(crate) fn is_entered(&self, id: ShardId) -> bool {
        match &self.entered {
            Entered::One(one, _) => *one == id,
            Entered::Some(list) => list.binary_search_by_key(&id, |(id, _)| *id).is_ok(),
            Entered::All(_) => true,
        }
    }
}

fn announce(keyspace: &Keyspace, frame: Frame, entered: &mut Entered<'_>, notes: &Notes) {
    let Some(sink) = keyspace.sink() else { return };
    let changes = notes.iter().filter(|change| change.effect != Effect::Nothing);
    let mut changed: SmallVec<[ShardId; 8]> = changes.map(|change| change.shard).collect();
    changed.sort_unstable();
    changed.dedup();
    let mut positions: SmallVec<[(ShardId, u64); 8]> = SmallVec::new();
    for id in changed {
        let shard = entered.shard_mut(id);
        shard.position += 1;
        positions.push((id, shard.position));
    }
    let transaction = keyspace.next_transaction();
    let positions = &positions[..];
    let (now, origin) = (frame.now, frame.origin);
    sink.publish(&Publication { transaction, now, origin, positions, notes });
}

/// What maintenance and walks need.
impl<'g> View<'g> {
    pub(crate) fn keyspace(&self) -> &'g Keyspace {
        self.keyspace
    }

    /// Removes an entry that was found expired.
    pub(crate) fn expire_found(&mut self, id: ShardId, key: &[u8]) {
        let hash = self.keyspace.hash(key);
        // Finding an entry whose deadline has passed removes it.
        let _ = self.writing(id).find(hash, key);
    }

    pub(crate) fn database_mut(&mut self, id: ShardId) -> &mut Database {
        let db = self.frame.db;
        self.shard_mut(id).database_or_new(db)
    }
}

/// Mixes the bits of a random number, so that numbers side by side give others far apart.
fn scatter(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number ^ (number >> 29)
}
