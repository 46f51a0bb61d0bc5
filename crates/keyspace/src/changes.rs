//! What a transaction changed, and who is told.
//!
//! Changing an entry notes a [`Change`]; when the transaction has run, and before it leaves its
//! gates, [`crate::View::publish`] hands the notes to the [`Sink`] of the keyspace. Journal,
//! WATCH, client tracking, keyspace events and replication all hang from there; no command knows
//! of them. While nobody listens a change costs an addition.
//!
//! A transaction of several commands may tell clients of each as soon as it has run
//! ([`crate::View::tell`]): whatever they do about it waits for its gates.
//!
//! An [`Effect`] says what was done to the entry, not what was asked for, so that it gives the
//! same again on a replica or after a restart: deadlines are absolute, chosen members concrete.
//!
//! Events of hashes can name the fields they are about. A guard that changes a field writes its
//! name down while somebody listens to names ([`Listener::Parts`]); the next note of an event of
//! hashes takes them up.
//!
//! # Invariants
//!
//! 1. Each name that is written down belongs to the key of the guard that is at work: a guard of a
//!    hash begins without names.
//! 2. Fields that have outlived their deadlines are named by `hexpired` alone, each once.

use crate::{DbIndex, Millis, ShardId};

/// The class of an event, as `notify-keyspace-events` groups them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `g`: commands for any type.
    Generic,
    /// `$`: strings.
    String,
    /// `l`: lists.
    List,
    /// `s`: sets.
    Set,
    /// `h`: hashes.
    Hash,
    /// `z`: sorted sets.
    ZSet,
    /// `t`: streams.
    Stream,
    /// `a`: arrays.
    Array,
    /// `x`: an entry met its deadline.
    Expired,
    /// `n`: a key came into being.
    New,
    /// `m`: a key was read that is not there.
    Miss,
    /// `o`: another value was put in the place of a key's.
    Overwritten,
    /// `c`: a value of another type was.
    TypeChanged,
    /// A whole database: no subscriber is told.
    Database,
    /// A value holds in other bytes what it held before: no subscriber is told.
    Rewrite,
}

/// What happened to a key, in the words that subscribers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its class.
    pub class: Class,
    /// Its name.
    pub name: &'static str,
}

impl Event {
    /// Whether a value came from elsewhere. That makes a new entry, also in the place of another
    /// one, and subscribers are told that there was another one only after it.
    #[inline]
    pub(crate) fn is_arrival(self) -> bool {
        let arrivals = [event::RENAME_TO, event::COPY_TO, event::RESTORE];
        self.class == Class::Generic && arrivals.contains(&self)
    }
}

/// The events of strings and keys.
#[expect(missing_docs, reason = "an event's name says it")]
pub mod event {
    use super::{Class, Event};

    const fn string(name: &'static str) -> Event {
        Event { class: Class::String, name }
    }

    const fn list(name: &'static str) -> Event {
        Event { class: Class::List, name }
    }

    const fn hash(name: &'static str) -> Event {
        Event { class: Class::Hash, name }
    }

    const fn set(name: &'static str) -> Event {
        Event { class: Class::Set, name }
    }

    const fn zset(name: &'static str) -> Event {
        Event { class: Class::ZSet, name }
    }

    const fn generic(name: &'static str) -> Event {
        Event { class: Class::Generic, name }
    }

    const fn stream(name: &'static str) -> Event {
        Event { class: Class::Stream, name }
    }

    const fn array(name: &'static str) -> Event {
        Event { class: Class::Array, name }
    }

    pub const SET: Event = string("set");
    pub const APPEND: Event = string("append");
    pub const PREPEND: Event = string("prepend");
    pub const SETRANGE: Event = string("setrange");
    pub const SETBIT: Event = string("setbit");
    pub const PFADD: Event = string("pfadd");
    pub const INCRBY: Event = string("incrby");
    pub const DECRBY: Event = string("decrby");
    pub const INCRBYFLOAT: Event = string("incrbyfloat");
    pub const SADD: Event = set("sadd");
    pub const SREM: Event = set("srem");
    pub const SPOP: Event = set("spop");
    pub const SEXPIRE: Event = set("sexpire");
    pub const SEXPIRED: Event = set("sexpired");
    pub const SINTERSTORE: Event = set("sinterstore");
    pub const SUNIONSTORE: Event = set("sunionstore");
    pub const SDIFFSTORE: Event = set("sdiffstore");
    pub const HSET: Event = hash("hset");
    pub const HDEL: Event = hash("hdel");
    pub const HEXPIRE: Event = hash("hexpire");
    pub const HPERSIST: Event = hash("hpersist");
    pub const HEXPIRED: Event = hash("hexpired");
    pub const HINCRBY: Event = hash("hincrby");
    pub const HINCRBYFLOAT: Event = hash("hincrbyfloat");
    pub const LPUSH: Event = list("lpush");
    pub const RPUSH: Event = list("rpush");
    pub const LPOP: Event = list("lpop");
    pub const RPOP: Event = list("rpop");
    pub const LSET: Event = list("lset");
    pub const LINSERT: Event = list("linsert");
    pub const LREM: Event = list("lrem");
    pub const LTRIM: Event = list("ltrim");
    pub const ZADD: Event = zset("zadd");
    pub const ZINCR: Event = zset("zincr");
    pub const ZREM: Event = zset("zrem");
    pub const ZREMRANGEBYRANK: Event = zset("zremrangebyrank");
    pub const ZREMRANGEBYSCORE: Event = zset("zremrangebyscore");
    pub const ZREMRANGEBYLEX: Event = zset("zremrangebylex");
    pub const ZPOPMIN: Event = zset("zpopmin");
    pub const ZPOPMAX: Event = zset("zpopmax");
    pub const ZUNIONSTORE: Event = zset("zunionstore");
    pub const ZINTERSTORE: Event = zset("zinterstore");
    pub const ZDIFFSTORE: Event = zset("zdiffstore");
    pub const ZRANGESTORE: Event = zset("zrangestore");
    pub const GEOSEARCHSTORE: Event = zset("geosearchstore");
    pub const GEORADIUSSTORE: Event = zset("georadiusstore");
    pub const SORTSTORE: Event = list("sortstore");
    pub const DEL: Event = generic("del");
    pub const EXPIRE: Event = generic("expire");
    pub const PERSIST: Event = generic("persist");
    pub const RENAME_FROM: Event = generic("rename_from");
    pub const RENAME_TO: Event = generic("rename_to");
    pub const RESTORE: Event = generic("restore");
    pub const COPY_TO: Event = generic("copy_to");
    pub const MOVE_FROM: Event = generic("move_from");
    pub const MOVE_TO: Event = generic("move_to");
    pub const STICK: Event = generic("stick");
    pub const XADD: Event = stream("xadd");
    pub const XDEL: Event = stream("xdel");
    pub const XTRIM: Event = stream("xtrim");
    pub const XSETID: Event = stream("xsetid");
    pub const XGROUP_CREATE: Event = stream("xgroup-create");
    pub const XGROUP_SETID: Event = stream("xgroup-setid");
    pub const XGROUP_DESTROY: Event = stream("xgroup-destroy");
    pub const XGROUP_CREATE_CONSUMER: Event = stream("xgroup-createconsumer");
    pub const XGROUP_DELETE_CONSUMER: Event = stream("xgroup-delconsumer");
    pub const ARSET: Event = array("arset");
    pub const ARMSET: Event = array("armset");
    pub const ARINSERT: Event = array("arinsert");
    pub const ARRING: Event = array("arring");
    pub const ARSEEK: Event = array("arseek");
    pub const ARDEL: Event = array("ardel");
    pub const ARDELRANGE: Event = array("ardelrange");
    pub const EXPIRED: Event = Event { class: Class::Expired, name: "expired" };
    pub const KEYMISS: Event = Event { class: Class::Miss, name: "keymiss" };
    pub const NEW: Event = Event { class: Class::New, name: "new" };
    pub const OVERWRITTEN: Event = Event { class: Class::Overwritten, name: "overwritten" };
    pub const TYPE_CHANGED: Event = Event { class: Class::TypeChanged, name: "type_changed" };
    pub const REWRITE: Event = Event { class: Class::Rewrite, name: "rewrite" };
    pub const FLUSH: Event = Event { class: Class::Database, name: "flush" };
    pub const SWAP: Event = Event { class: Class::Database, name: "swap" };
}

/// What was done to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Value, deadline and flags are now as found in the entry.
    Set,
    /// Only the deadline is another; `None`: it has none any more.
    Deadline(Option<Millis>),
    /// The entry is gone.
    Delete,
    /// All entries of the shard's part of the database are gone; the key is empty.
    Flush,
    /// The shard's part of the database was exchanged with that of this one; the key is empty.
    Swap(DbIndex),
    /// Nothing to repeat: the note is for subscribers only.
    Nothing,
}

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The shard of the key.
    pub shard: ShardId,
    /// The database of the key.
    pub db: DbIndex,
    /// The key.
    pub key: &'a [u8],
    /// In the words of subscribers.
    pub event: Event,
    /// In the words of journal and replicas.
    pub effect: Effect,
    /// What parts of the value it is about, if anybody listens to that.
    pub parts: Parts<'a>,
}

/// Names of parts of a value, in the order they were changed, as often as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    bytes: &'a [u8],
    /// Where each name ends; the first begins at `start`.
    ends: &'a [usize],
    start: usize,
}

impl<'a> Parts<'a> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Parts { bytes, ends, mut start } = *self;
        ends.iter().map(move |&end| {
            let name = &bytes[start..end];
            start = end;
            name
        })
    }
}

/// All that one transaction changed.
pub struct Publication<'a> {
    /// Counts up by one for each transaction that is published.
    pub transaction: u64,
    /// When it ran.
    pub now: Millis,
    /// Whose transaction it was, see [`crate::Frame::origin`].
    pub origin: u64,
    /// Each shard it changed, with the shard's new position (LSN). Their number tells a replica
    /// how many parts to wait for before it applies them as one.
    pub positions: &'a [(ShardId, u64)],
    pub(crate) notes: &'a Notes,
}

impl Publication<'_> {
    /// The changes, in the order they were made.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.notes.iter()
    }
}

/// For whom the sink is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Listener {
    /// Those who follow what becomes of keys.
    Followers = 1,
    /// Subscribers of events.
    Events = 2,
    /// Subscribers of reads of keys that are not there; these are told only for them.
    Misses = 4,
    /// Subscribers of what parts of values events are about: asked for beside [`Listener::Events`].
    Parts = 8,
    /// Subscribers of values that are put over others: asked for beside [`Listener::Events`].
    Overwrites = 16,
}

/// What one step of a transaction changed, a command of it or what was left.
pub struct Step<'a> {
    /// Whose transaction it is, see [`crate::Frame::origin`].
    pub origin: u64,
    pub(crate) notes: &'a Notes,
}

impl Step<'_> {
    /// The changes, in the order they were made.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.notes.iter_untold()
    }
}

/// Who is told of changes, while the gates of the changed shards are still held.
///
/// What it does must be short, must not wait, and must not enter the keyspace.
pub trait Sink: Send + Sync {
    /// What clients are to hear of one by one. Every change comes once, before its transaction is
    /// published.
    fn tell(&self, _step: &Step<'_>) {}

    /// One transaction's changes. Calls for one shard come in the order of its positions.
    fn publish(&self, publication: &Publication<'_>);
}

/// The notes of a running transaction. Keys lie one after another in one buffer, and so do names.
#[derive(Default)]
pub(crate) struct Notes {
    keys: Vec<u8>,
    list: Vec<Note>,
    parts: Names,
    touched: Touched,
    /// How many of them clients were told, and where their keys and names end.
    told: Place,
}

/// How far notes have been told.
#[derive(Clone, Copy, Default)]
struct Place {
    notes: usize,
    /// In bytes.
    keys: usize,
    parts: usize,
}

struct Note {
    shard: ShardId,
    db: DbIndex,
    key_end: usize,
    /// How many names belong to this note and those before it.
    parts_end: usize,
    event: Event,
    effect: Effect,
}

/// Names of fields that the guard at work has written down.
#[derive(Default)]
struct Touched {
    changed: Names,
    lapsed: Names,
}

/// Names, one after another in one buffer.
#[derive(Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    pub(crate) fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn append(&mut self, others: &Names) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&others.bytes);
        self.ends.extend(others.ends.iter().map(|end| start + end));
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn between(&self, from: usize, to: usize) -> Parts<'_> {
        let start = from.checked_sub(1).map_or(0, |before| self.ends[before]);
        Parts { bytes: &self.bytes, ends: &self.ends[from..to], start }
    }
}

impl Notes {
    pub(crate) fn add(
        &mut self,
        (shard, db): (ShardId, DbIndex),
        key: &[u8],
        event: Event,
        effect: Effect,
    ) {
        self.keys.extend_from_slice(key);
        if event.class == Class::Hash {
            self.take_up(event);
        }
        let (key_end, parts_end) = (self.keys.len(), self.parts.ends.len());
        self.list.push(Note { shard, db, key_end, parts_end, event, effect });
    }

    /// Gives the names that were written down to the note of an event that is about to be added.
    fn take_up(&mut self, event: Event) {
        let Touched { changed, lapsed } = &mut self.touched;
        if event == event::HEXPIRED {
            self.parts.append(lapsed);
            lapsed.clear();
        } else {
            self.parts.append(changed);
        }
    }

    /// Writes down a field that was changed.
    pub(crate) fn touch(&mut self, name: &[u8]) {
        self.touched.changed.push(name);
    }

    /// Writes down several of them.
    pub(crate) fn touch_all(&mut self, names: &Names) {
        self.touched.changed.append(names);
    }

    /// Writes down fields that have outlived their deadlines.
    pub(crate) fn lapse(&mut self, names: &Names) {
        self.touched.lapsed.append(names);
    }

    /// Forgets what was written down and not taken up.
    pub(crate) fn forget_touched(&mut self) {
        self.touched.changed.clear();
        self.touched.lapsed.clear();
    }

    /// Whether nothing is noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        self.iter_from(Place::default())
    }

    fn iter_untold(&self) -> impl Iterator<Item = Change<'_>> {
        self.iter_from(self.told)
    }

    /// Whether there are some that clients were not told yet.
    pub(crate) fn has_untold(&self) -> bool {
        self.told.notes < self.list.len()
    }

    /// Notes that clients were told of all there are.
    pub(crate) fn mark_told(&mut self) {
        let (notes, keys, parts) = (self.list.len(), self.keys.len(), self.parts.ends.len());
        self.told = Place { notes, keys, parts };
    }

    fn iter_from(&self, place: Place) -> impl Iterator<Item = Change<'_>> {
        let (mut start, mut from) = (place.keys, place.parts);
        self.list[place.notes..].iter().map(move |note| {
            let key = &self.keys[start..note.key_end];
            let parts = self.parts.between(from, note.parts_end);
            (start, from) = (note.key_end, note.parts_end);
            let &Note { shard, db, event, effect, .. } = note;
            Change { shard, db, key, event, effect, parts }
        })
    }
}
