//! One database of one shard: a table of handles over the records they stand for.
//!
//! # Invariants
//!
//! 1. Table and records hold the same entries: each handle in the table is a live record, and
//!    each record is found in the table under the hash of its key.
//! 2. `volatile` counts the records that have a deadline, and the table's segments know a moment
//!    before which none of theirs is due, nor a part of a value that has a deadline of its own.

use std::sync::Arc;

use dash::{At, Table};
use packed::{Garbage, Handle, Kind, NewValue, Record, Records, StrRef};
use value::{Big, Type};

use crate::boxes::Boxes;
use crate::entry::Expiry;
use crate::sizes::{Place, Sizes};
use crate::{Frame, Millis, Refused};
use value::KeyHasher;

/// A string as found in an entry.
#[derive(Clone, Copy)]
pub struct Str<'a>(pub(crate) StrRef<'a>);

impl<'a> Str<'a> {
    /// The bytes of the string.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0.as_bytes()
    }

    /// The string as something that can be kept after the gate is left, without copying it;
    /// `None` if it is so short that it lies inside its record.
    #[must_use]
    #[inline]
    pub fn shared(&self) -> Option<&'a Arc<Vec<u8>>> {
        match self.0 {
            StrRef::Inline(_) => None,
            StrRef::Shared(bytes) => Some(bytes),
        }
    }
}

/// A value as it lies in memory.
#[derive(Clone, Copy)]
pub enum Stored<'a> {
    /// A string.
    Str(Str<'a>),
    /// A small collection, packed into bytes.
    Packed(Type, &'a [u8]),
    /// A large collection.
    Big(&'a Big),
}

impl<'a> Stored<'a> {
    /// The bytes of a string; `None` if it is something else.
    #[must_use]
    pub fn str_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Stored::Str(text) => Some(text.as_bytes()),
            Stored::Packed(..) | Stored::Big(_) => None,
        }
    }

    /// What clients see it as.
    #[must_use]
    pub fn kind(&self) -> Type {
        match self {
            Stored::Str(_) => Type::String,
            Stored::Packed(kind, _) => *kind,
            Stored::Big(big) => big.kind(),
        }
    }

    /// Where it counts among the lengths of its type; `None` if its type is not counted.
    #[inline]
    pub(crate) fn place(self) -> Option<Place> {
        match self {
            Stored::Str(_) | Stored::Packed(Type::Array, _) => None,
            Stored::Packed(kind, bytes) => Place::of(kind, kind.packed_len(bytes)),
            Stored::Big(big) => Place::of(big.kind(), big.len()),
        }
    }
}

/// What is known of an entry beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// What it holds.
    pub kind: Type,
    /// When it expires.
    pub deadline: Option<Millis>,
    /// Whether eviction passes it by.
    pub sticky: bool,
    /// Whether its string was last edited in place (`raw` to OBJECT ENCODING).
    pub raw: bool,
    /// Its access bits, see [`crate::access`].
    pub access: u32,
    /// Bytes that the entry takes, its share of the table left out.
    pub bytes: usize,
}

pub(crate) struct Database {
    pub(crate) table: Table,
    pub(crate) records: Records,
    pub(crate) volatile: usize,
    pub(crate) sizes: Sizes,
    /// Large collections; a record has the number of its own.
    pub(crate) boxes: Boxes,
    /// Tells it from those that were in its place before.
    pub(crate) number: u64,
}

/// What is left of an entry that was removed; expensive to drop if it was big.
#[derive(Default)]
pub(crate) struct Remains {
    pub(crate) garbage: Garbage,
    pub(crate) big: Option<Box<Big>>,
}

impl Remains {
    pub(crate) fn is_empty(&self) -> bool {
        self.garbage.is_empty() && self.big.is_none()
    }

    /// Bytes on the heap that dropping it frees.
    pub(crate) fn bytes(&self) -> usize {
        self.garbage.bytes() + self.big.as_ref().map_or(0, |big| big.bytes())
    }

    /// How many small pieces of memory that is.
    pub(crate) fn pieces(&self) -> usize {
        self.big.as_ref().map_or(0, |big| big.pieces())
    }
}

/// A value taken out of its record, with what belongs to it, on its way to another place.
pub(crate) struct Detached {
    pub(crate) value: Value,
    pub(crate) deadline: Option<Millis>,
    pub(crate) sticky: bool,
    pub(crate) access: u32,
    raw: bool,
}

pub(crate) enum Value {
    Short(Box<[u8]>),
    Shared(Arc<Vec<u8>>),
    Packed(Kind, Box<[u8]>),
    /// `None` once it has found its place.
    Big(Option<Box<Big>>),
}

impl Database {
    pub(crate) fn new(shard_bits: u32, number: u64) -> Database {
        let (table, records, boxes) = (Table::new(shard_bits), Records::new(), Boxes::default());
        Database { table, records, volatile: 0, sizes: Sizes::default(), boxes, number }
    }

    /// Asks for the bucket that a look-up of this hash will read.
    #[inline(always)]
    pub(crate) fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch(hash);
    }

    /// Asks for the record that a look-up of this hash will read, once its bucket is here.
    #[inline(always)]
    pub(crate) fn prefetch_record(&self, hash: u64) {
        self.table.hint(hash, |handle| self.records.prefetch(Handle::from_bits(handle)));
    }

    /// Calls `ask` for each large collection that the key of this hash may hold; tells whether
    /// there is one.
    #[inline]
    pub(crate) fn prefetch_member(&self, hash: u64, ask: impl Fn(&Big)) -> bool {
        let mut asked = false;
        self.table.hint(hash, |handle| {
            if let Some(number) = self.records.at(Handle::from_bits(handle)).boxed() {
                ask(self.boxes.get(number));
                asked = true;
            }
        });
        asked
    }

    /// Looks a key up, whether or not its deadline has passed.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<(At, Record<'_>)> {
        let mut found = None;
        let at = self.table.find(hash, |handle| {
            let record = self.records.at(Handle::from_bits(handle));
            let same = record.key_eq(key);
            found = same.then_some(record);
            same
        })?;
        Some((at, found?))
    }

    /// Looks a key up that has not expired.
    #[inline(always)]
    pub(crate) fn find_live(
        &self,
        hash: u64,
        key: &[u8],
        now: Millis,
    ) -> Option<(Handle, Record<'_>)> {
        let (at, record) = self.find(hash, key)?;
        (!is_due(record, now)).then_some((Handle::from_bits(at.handle()), record))
    }

    #[inline(always)]
    pub(crate) fn is_due(&self, handle: Handle, now: Millis) -> bool {
        is_due(self.records.at(handle), now)
    }

    pub(crate) fn info(&self, handle: Handle) -> Info {
        let record = self.records.at(handle);
        let big = record.boxed().map_or(0, |number| self.boxes.get(number).bytes());
        Info {
            kind: self.stored(record).kind(),
            deadline: record.deadline(),
            sticky: record.is_sticky(),
            raw: record.is_raw(),
            access: record.access(),
            bytes: self.records.size_of(handle) + big,
        }
    }

    /// The value of a record.
    #[inline]
    pub(crate) fn stored<'a>(&'a self, record: Record<'a>) -> Stored<'a> {
        match record.kind() {
            Kind::Str => Stored::Str(Str(record.str())),
            Kind::Boxed => Stored::Big(self.boxes.get(record.boxed().unwrap_or(u32::MAX))),
            Kind::List => Stored::Packed(Type::List, record.str().as_bytes()),
            Kind::Set => Stored::Packed(Type::Set, record.str().as_bytes()),
            Kind::Hash => Stored::Packed(Type::Hash, record.str().as_bytes()),
            Kind::ZSet => Stored::Packed(Type::ZSet, record.str().as_bytes()),
            Kind::Array => Stored::Packed(Type::Array, record.str().as_bytes()),
        }
    }

    /// Where the value of a record counts; `None` if it is a string, or a large collection that is
    /// on its way to another place.
    #[inline]
    pub(crate) fn place_of(&self, handle: Handle) -> Option<Place> {
        let record = self.records.at(handle);
        match record.kind() {
            Kind::Boxed => Stored::Big(self.boxes.find(record.boxed()?)?).place(),
            _ => self.stored(record).place(),
        }
    }

    /// Keeps a large collection under a number, see [`Boxes::put`].
    pub(crate) fn put_box(&mut self, number: u32, big: Box<Big>) {
        self.sizes.change(None, Place::of(big.kind(), big.len()));
        self.boxes.put(number, big);
    }

    /// Notes in the record that it was used.
    #[inline(always)]
    pub(crate) fn touch(&self, handle: Handle, record: Record<'_>, frame: &Frame) {
        if !frame.touch {
            return;
        }
        let bits = record.access();
        let used = frame.access.used(bits, frame.now, frame.chance);
        if used != bits {
            self.records.set_access(handle, used);
        }
    }

    /// Makes an entry for a key that has none.
    pub(crate) fn insert(
        &mut self,
        hasher: &KeyHasher,
        hash: u64,
        key: &[u8],
        value: NewValue<'_>,
        deadline: Option<Millis>,
    ) -> Result<At, Refused> {
        let handle = self.records.insert(key, value, deadline)?;
        let records = &self.records;
        let hash_of = |handle| hasher.hash(records.key(Handle::from_bits(handle)));
        let at = self.table.insert(hash, handle.bits(), hash_of);
        self.count_deadline(hash, deadline);
        self.sizes.change(None, self.place_of(handle));
        Ok(at)
    }

    /// Writes a short string over one, as [`Database::replace`] does, which leaves nothing behind.
    /// `None`: nothing was done, as it is not that simple.
    #[inline]
    pub(crate) fn replace_short(
        &mut self,
        hash: u64,
        at: At,
        (bytes, raw): (&[u8], bool),
        expiry: Expiry,
    ) -> Option<Result<At, Refused>> {
        let old = Handle::from_bits(at.handle());
        let had = self.records.deadline(old);
        let deadline = expiry.after(had);
        let new = match self.records.replace_short(old, bytes, raw, deadline)? {
            Ok(new) => new,
            Err(full) => return Some(Err(full.into())),
        };
        if deadline != had {
            self.count_change(hash, had, deadline);
        }
        Some(Ok(self.moved(hash, at, new)))
    }

    /// Writes a value and a deadline over those of an entry, in one move.
    pub(crate) fn replace(
        &mut self,
        hash: u64,
        at: At,
        value: NewValue<'_>,
        expiry: Expiry,
    ) -> Result<(At, Remains), Refused> {
        let old = Handle::from_bits(at.handle());
        let record = self.records.at(old);
        let (had, boxed) = (record.deadline(), record.boxed());
        let deadline = expiry.after(had);
        let place = self.place_of(old);
        let (new, garbage) = self.records.replace(old, value, deadline)?;
        if deadline != had {
            self.count_change(hash, had, deadline);
        }
        let big = boxed.and_then(|number| self.boxes.remove(number));
        self.sizes.change(place, self.place_of(new));
        Ok((self.moved(hash, at, new), Remains { garbage, big }))
    }

    /// Has a long string lie in `room`, which is equal to it. What it lay in before is left.
    pub(crate) fn make_room(&mut self, handle: Handle, room: Arc<Vec<u8>>) -> Remains {
        Remains { garbage: self.records.relocate(handle, room), big: None }
    }

    /// Puts the new handle of an entry in the place of its old one.
    #[inline]
    pub(crate) fn moved(&mut self, hash: u64, at: At, new: Handle) -> At {
        if new.bits() == at.handle() { at } else { self.table.replace(hash, at, new.bits()) }
    }

    /// Gives an entry another deadline, or none.
    pub(crate) fn set_deadline(
        &mut self,
        hash: u64,
        at: At,
        deadline: Option<Millis>,
    ) -> Result<At, Refused> {
        let old = Handle::from_bits(at.handle());
        let had = self.records.deadline(old);
        if had.is_none() && deadline.is_none() {
            return Ok(at);
        }
        let new = self.records.set_deadline(old, deadline)?;
        self.count_change(hash, had, deadline);
        Ok(self.moved(hash, at, new))
    }

    /// Takes an entry out. What is left of it is expensive to drop if it was big.
    pub(crate) fn remove(&mut self, hash: u64, at: At) -> Remains {
        let handle = Handle::from_bits(self.table.remove(hash, at));
        self.volatile -= usize::from(self.records.deadline(handle).is_some());
        self.remove_record(handle)
    }

    fn remove_record(&mut self, handle: Handle) -> Remains {
        self.sizes.change(self.place_of(handle), None);
        let boxed = self.records.at(handle).boxed();
        let big = boxed.and_then(|number| self.boxes.remove(number));
        Remains { garbage: self.records.remove(handle), big }
    }

    /// An entry's value and what belongs to it: a copy, but for a large collection that is to
    /// `leave`, which is taken out and comes back by [`Database::give_back`] or not at all.
    pub(crate) fn detach(&mut self, handle: Handle, leave: bool) -> Detached {
        if !leave {
            return self.copied(handle);
        }
        let boxed = self.records.at(handle).boxed();
        let place = self.place_of(handle).filter(|_| boxed.is_some());
        self.sizes.change(place, None);
        match self.boxes.take(boxed) {
            // Not `copied`, which would copy what is in the box.
            Some(big) => self.with_value(handle, Value::Big(Some(big))),
            None => self.copied(handle),
        }
    }

    /// A copy of an entry's value and what belongs to it.
    pub(crate) fn copied(&self, handle: Handle) -> Detached {
        let record = self.records.at(handle);
        let value = match (record.kind(), record.str()) {
            (Kind::Boxed, _) => Value::Big(self.boxes.copy(record.boxed())),
            (Kind::Str, StrRef::Inline(bytes)) => Value::Short(bytes.into()),
            (Kind::Str, StrRef::Shared(bytes)) => Value::Shared(Arc::clone(bytes)),
            (kind, bytes) => Value::Packed(kind, bytes.as_bytes().into()),
        };
        self.with_value(handle, value)
    }

    /// A value with what belongs to an entry.
    fn with_value(&self, handle: Handle, value: Value) -> Detached {
        let record = self.records.at(handle);
        let (deadline, sticky, raw) = (record.deadline(), record.is_sticky(), record.is_raw());
        Detached { value, deadline, sticky, access: record.access(), raw }
    }

    /// Puts a large collection back that found no other place.
    pub(crate) fn give_back(&mut self, handle: Handle, detached: Detached) {
        if let (Value::Big(Some(big)), Some(number)) =
            (detached.value, self.records.at(handle).boxed())
        {
            self.put_box(number, big);
        }
    }

    /// Makes an entry of a detached value for a key that has none.
    pub(crate) fn attach(
        &mut self,
        hasher: &KeyHasher,
        hash: u64,
        key: &[u8],
        detached: &mut Detached,
    ) -> Result<(), Refused> {
        let deadline = detached.deadline;
        let handle = self.make_record(key, detached)?;
        let records = &self.records;
        let hash_of = |handle| hasher.hash(records.key(Handle::from_bits(handle)));
        self.table.insert(hash, handle.bits(), hash_of);
        self.count_deadline(hash, deadline);
        self.note_due(hash, handle);
        Ok(())
    }

    /// A record of a detached value that no table knows yet.
    pub(crate) fn make_record(
        &mut self,
        key: &[u8],
        detached: &mut Detached,
    ) -> Result<Handle, Refused> {
        let (raw, deadline) = (detached.raw, detached.deadline);
        let handle = match &mut detached.value {
            Value::Short(bytes) => {
                self.records.insert(key, NewValue::Str { bytes, raw }, deadline)?
            }
            Value::Shared(bytes) => {
                let bytes = Arc::clone(bytes);
                self.records.insert(key, NewValue::SharedStr { bytes, raw }, deadline)?
            }
            Value::Packed(kind, bytes) => {
                self.records.insert(key, NewValue::Packed { kind: *kind, bytes }, deadline)?
            }
            Value::Big(big) => {
                let number = self.boxes.next();
                let handle = self.records.insert(key, NewValue::boxed(number), deadline)?;
                if let Some(big) = big.take() {
                    self.put_box(number, big);
                }
                handle
            }
        };
        if !matches!(detached.value, Value::Big(_)) {
            self.sizes.change(None, self.place_of(handle));
        }
        self.records.set_sticky(handle, detached.sticky);
        self.records.set_access(handle, detached.access);
        Ok(handle)
    }

    /// Puts a new record of the same key in the place of the old one.
    pub(crate) fn replace_record(&mut self, hash: u64, at: At, new: Handle) -> Remains {
        let old = Handle::from_bits(at.handle());
        self.volatile -= usize::from(self.records.deadline(old).is_some());
        self.table.replace(hash, at, new.bits());
        self.count_deadline(hash, self.records.deadline(new));
        self.note_due(hash, new);
        self.remove_record(old)
    }

    /// The moment before which no part of a value has outlived a deadline of its own.
    pub(crate) fn value_due(&self, handle: Handle) -> Millis {
        let boxed = self.records.at(handle).boxed();
        boxed.map_or(Millis::MAX, |number| self.boxes.get(number).due())
    }

    /// Sees to it that maintenance looks at an entry when parts of its value are due.
    pub(crate) fn note_due(&mut self, hash: u64, handle: Handle) {
        let due = self.value_due(handle);
        if due != Millis::MAX {
            self.table.note_deadline(hash, due);
        }
    }

    fn count_deadline(&mut self, hash: u64, deadline: Option<Millis>) {
        self.count_change(hash, None, deadline);
    }

    /// Counts that an entry has another deadline than it had.
    fn count_change(&mut self, hash: u64, had: Option<Millis>, has: Option<Millis>) {
        self.volatile = self.volatile + usize::from(has.is_some()) - usize::from(had.is_some());
        if let Some(deadline) = has {
            self.table.note_deadline(hash, expired_from(deadline));
        }
    }
}

/// From when on an entry has expired: its deadline is the last moment that sees it.
pub(crate) fn expired_from(deadline: Millis) -> Millis {
    deadline.saturating_add(1)
}

/// Whether the deadline of a record has passed.
#[inline(always)]
pub(crate) fn is_due(record: Record<'_>, now: Millis) -> bool {
    record.deadline().is_some_and(|deadline| deadline < now)
}
