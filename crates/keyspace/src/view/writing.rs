//! A shard in the hands of a writer: every change goes through here and is noted.

use std::cell::{Cell, OnceCell, RefCell};

use dash::At;
use packed::{Handle, NewValue, Record};
use value::Type;

use super::frame::{Frame, Leftovers};
use crate::changes::{Effect, Event, Names, Notes, event};
use crate::database::{Database, Detached, Remains, is_due};
use crate::keyspace::{Keyspace, Listening};
use crate::maintain::Overdue;
use crate::shard::{Shard, ShardId};
use crate::waiters::{Ready, ReadyKeys};
use crate::{DbIndex, KeyHasher, Millis, Refused};

/// What is noted while a transaction runs. Most have no notes and leave nothing behind, so these
/// are boxes that are made when they are needed.
#[derive(Default)]
pub(crate) struct Log {
    pub(super) notes: RefCell<Option<Box<Notes>>>,
    pub(super) garbage: Option<Box<Leftovers>>,
    /// Keys that somebody waits for and that changed.
    pub(super) ready: Option<Box<ReadyKeys>>,
    /// Expired entries that were met and not removed.
    pub(super) overdue: OnceCell<Box<Overdue>>,
    pub(super) hits: Cell<u64>,
    pub(super) misses: Cell<u64>,
    pub(crate) changes: u64,
    pub(super) expired: u64,
    pub(crate) lapsed: u64,
    pub(super) listening: Listening,
}

impl Log {
    /// Counts a look-up.
    #[inline(always)]
    pub(crate) fn count(&self, hit: bool) {
        let counter = if hit { &self.hits } else { &self.misses };
        counter.set(counter.get() + 1);
    }

    /// Notes that a key was read that is not there.
    #[cold]
    pub(super) fn note_miss(&self, shard: ShardId, db: DbIndex, key: &[u8]) {
        let mut notes = self.notes.borrow_mut();
        let notes = notes.get_or_insert_default();
        notes.add((shard, db), key, event::KEYMISS, Effect::Nothing);
    }

    pub(super) fn notes(&mut self) -> &mut Notes {
        self.notes.get_mut().get_or_insert_default()
    }

    pub(super) fn garbage(&mut self) -> &mut Leftovers {
        self.garbage.get_or_insert_default()
    }
}

/// A shard in the hands of a writer, with where to note what is done to it.
pub(crate) struct Writing<'v> {
    pub(super) shard: &'v mut Shard,
    pub(super) id: ShardId,
    pub(super) db: DbIndex,
    pub(super) frame: &'v Frame,
    pub(super) keyspace: &'v Keyspace,
    pub(crate) log: &'v mut Log,
}

impl<'v> Writing<'v> {
    pub(crate) fn in_db(mut self, db: DbIndex) -> Self {
        self.db = db;
        self
    }

    pub(crate) fn frame(&self) -> &'v Frame {
        self.frame
    }

    pub(crate) fn hasher(&self) -> &KeyHasher {
        self.keyspace.hasher()
    }

    pub(crate) fn database(&self) -> Option<&Database> {
        self.shard.database(self.db)
    }

    pub(crate) fn database_and_hasher(&mut self) -> (&mut Database, &KeyHasher) {
        (self.shard.database_or_new(self.db), self.keyspace.hasher())
    }

    #[inline(always)]
    pub(crate) fn database_mut(&mut self) -> &mut Database {
        self.shard.database_or_new(self.db)
    }

    #[inline(always)]
    pub(crate) fn before_change(&mut self, hash: u64) {
        self.shard.before_change(self.db, hash, self.keyspace.hasher());
    }

    /// Looks a key up; removes it if its deadline has passed.
    #[inline(always)]
    pub(crate) fn find(&mut self, hash: u64, key: &[u8]) -> Option<At> {
        let (at, record) = self.shard.database(self.db)?.find(hash, key)?;
        if is_due(record, self.frame.due_before()) {
            self.expire(hash, key, at);
            return None;
        }
        Some(at)
    }

    /// Looks a key up to be used, and tells what `look` sees in its record.
    #[inline(always)]
    pub(super) fn find_used<T>(
        &mut self,
        hash: u64,
        key: &[u8],
        look: impl FnOnce(&Database, Record<'_>) -> T,
    ) -> Option<(At, T)> {
        let database = self.shard.database(self.db)?;
        let (at, record) = database.find(hash, key)?;
        if is_due(record, self.frame.due_before()) {
            self.expire(hash, key, at);
            return None;
        }
        database.touch(Handle::from_bits(at.handle()), record, self.frame);
        Some((at, look(database, record)))
    }

    #[cold]
    pub(crate) fn expire(&mut self, hash: u64, key: &[u8], at: At) {
        self.before_change(hash);
        let garbage = self.database_mut().remove(hash, at);
        self.discard(garbage);
        self.note(key, event::EXPIRED, Effect::Delete);
        self.log.expired += 1;
    }

    pub(crate) fn remove(&mut self, hash: u64, key: &[u8], event: Event) -> bool {
        let Some(at) = self.find(hash, key) else { return false };
        self.before_change(hash);
        let garbage = self.database_mut().remove(hash, at);
        self.discard(garbage);
        self.note(key, event, Effect::Delete);
        true
    }

    /// Makes the entry of a key that has none.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        value: NewValue<'_>,
        deadline: Option<Millis>,
    ) -> Result<At, Refused> {
        let (frame, hasher) = (self.frame, self.keyspace.hasher());
        let database = self.database_mut();
        let at = database.insert(hasher, hash, key, value, deadline)?;
        let access = frame.access.initial(frame.now);
        database.records.set_access(Handle::from_bits(at.handle()), access);
        self.note_new(key);
        Ok(at)
    }

    #[inline]
    pub(crate) fn note_new(&mut self, key: &[u8]) {
        self.note(key, event::NEW, Effect::Nothing);
    }

    /// Puts a detached value where another entry may be. Returns the type of that, if subscribers
    /// are told of it.
    pub(crate) fn overwrite(
        &mut self,
        hash: u64,
        key: &[u8],
        detached: &mut Detached,
    ) -> Result<Option<Type>, Refused> {
        let hasher = self.keyspace.hasher();
        self.before_change(hash);
        let old = self.find(hash, key);
        let before = self.kind_to_tell(old);
        let database = self.database_mut();
        if let Some(old) = old {
            // The old entry goes only when the new one has found room.
            let new = database.make_record(key, detached)?;
            let garbage = database.replace_record(hash, old, new);
            self.discard(garbage);
        } else {
            database.attach(hasher, hash, key, detached)?;
        }
        self.note_new(key);
        Ok(before)
    }

    /// Notes that a value has come to a key, over one of the type `before`.
    pub(crate) fn note_arrived(
        &mut self,
        hash: u64,
        key: &[u8],
        event: Event,
        before: Option<Type>,
    ) {
        let found = before.and_then(|_| self.find(hash, key)).and_then(|at| self.kind_of(at));
        self.note_put(key, event, before, found.unwrap_or(Type::String));
    }

    #[inline]
    pub(crate) fn discard(&mut self, remains: Remains) {
        if !remains.is_empty() {
            self.log.garbage().values.push(remains);
        }
    }

    #[inline(always)]
    pub(crate) fn note(&mut self, key: &[u8], event: Event, effect: Effect) {
        self.log.changes += u64::from(effect != Effect::Nothing);
        if self.shard.waiters.is_some() || self.shard.watchers.is_some() {
            self.tell_clients(key, event, effect);
        }
        if self.log.listening.to_changes() {
            self.log.notes().add((self.id, self.db), key, event, effect);
        }
    }

    /// The type of an entry that is about to be written over; `None` if nobody is told of that.
    #[inline(always)]
    pub(crate) fn kind_to_tell(&self, at: Option<At>) -> Option<Type> {
        if self.log.listening.to_overwrites() { self.kind_of(at?) } else { None }
    }

    #[cold]
    fn kind_of(&self, at: At) -> Option<Type> {
        Some(self.database()?.info(Handle::from_bits(at.handle())).kind)
    }

    /// Notes that a value was put where `before` says that one was of which somebody is to be told.
    #[inline]
    pub(crate) fn note_put(&mut self, key: &[u8], event: Event, before: Option<Type>, kind: Type) {
        match before {
            None => self.note(key, event, Effect::Set),
            Some(before) => self.note_overwritten(key, event, before, kind),
        }
    }

    #[cold]
    fn note_overwritten(&mut self, key: &[u8], event: Event, before: Type, kind: Type) {
        let is_first = event.is_arrival();
        if is_first {
            self.note(key, event, Effect::Set);
        }
        self.note(key, event::OVERWRITTEN, Effect::Nothing);
        if before != kind {
            self.note(key, event::TYPE_CHANGED, Effect::Nothing);
        }
        if !is_first {
            self.note(key, event, Effect::Set);
        }
    }

    /// Whether somebody is told what parts of values events are about.
    #[inline(always)]
    pub(crate) fn tells_parts(&self) -> bool {
        self.log.listening.to_parts()
    }

    /// Writes down a field that was changed, for the event that is noted next.
    #[inline(always)]
    pub(crate) fn touch_part(&mut self, name: &[u8]) {
        if self.tells_parts() {
            self.log.notes().touch(name);
        }
    }

    /// Writes down several of them.
    #[inline(always)]
    pub(crate) fn touch_parts(&mut self, names: &Names) {
        if self.tells_parts() {
            self.log.notes().touch_all(names);
        }
    }

    /// Writes down fields that have outlived their deadlines.
    pub(crate) fn lapse_parts(&mut self, names: &Names) {
        if self.tells_parts() {
            self.log.notes().lapse(names);
        }
    }

    /// Forgets what guards of before have written down and not noted.
    #[inline(always)]
    pub(crate) fn forget_parts(&mut self) {
        if self.tells_parts() {
            self.log.notes().forget_touched();
        }
    }

    /// Counts a look-up as a hit or a miss.
    #[inline]
    pub(crate) fn count(&self, key: &[u8], hit: bool) {
        self.log.count(hit);
        if !hit && self.log.listening.to_misses() {
            self.log.note_miss(self.id, self.db, key);
        }
    }
}

impl Writing<'_> {
    /// Tells clients of a change that wait for the key or watch it.
    #[cold]
    fn tell_clients(&mut self, key: &[u8], event: Event, effect: Effect) {
        self.ready(key);
        if effect != Effect::Nothing
            && let Some(watchers) = &mut self.shard.watchers
        {
            watchers.touch(self.db, key, event);
        }
    }

    /// Notes that a key may be ready, if somebody waits for it.
    #[cold]
    pub(super) fn ready(&mut self, key: &[u8]) {
        let (id, db) = (self.id, self.db);
        if self.shard.waiters.as_ref().is_some_and(|waiters| waiters.wait_for(db, key)) {
            let ready = &mut self.log.ready.get_or_insert_default().0;
            // One command often tells of a key in several ways.
            if !ready.last().is_some_and(|last| last.is_of(id, db, key)) {
                ready.push(Ready::new(id, db, key));
            }
        }
    }
}
