//! One database of one shard: a table of handles over the records they stand for.
//!
//! # Invariants
//!
//! 1. Table and records hold the same entries: each handle in the table is a live record, and
//!    each record is found in the table under the hash of its key.
//! 2. `volatile` counts the records that have a deadline, and the table's segments know a moment
//!    before which none of theirs is due.

use std::sync::Arc;

use dash::{At, Table};
use packed::{Garbage, Handle, NewValue, Record, Records, StrRef};

use crate::entry::Expiry;
use crate::hash::KeyHasher;
use crate::{Frame, Millis, Refused};

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

/// What is known of an entry beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
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
}

impl Database {
    pub(crate) fn new(shard_bits: u32) -> Database {
        Database { table: Table::new(shard_bits), records: Records::new(), volatile: 0 }
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
        Info {
            deadline: self.records.deadline(handle),
            sticky: self.records.is_sticky(handle),
            raw: self.records.is_raw(handle),
            access: self.records.access(handle),
            bytes: self.records.size_of(handle),
        }
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
        Ok(at)
    }

    /// Writes a string and a deadline over those of an entry, in one move.
    #[inline]
    pub(crate) fn replace_str(
        &mut self,
        hash: u64,
        at: At,
        value: NewValue<'_>,
        expiry: Expiry,
    ) -> Result<(At, Garbage), Refused> {
        let old = Handle::from_bits(at.handle());
        let had = self.records.deadline(old);
        let deadline = expiry.after(had);
        let (new, garbage) = self.records.replace(old, value, deadline)?;
        if deadline != had {
            self.count_change(hash, had, deadline);
        }
        Ok((self.moved(hash, at, new), garbage))
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
    pub(crate) fn remove(&mut self, hash: u64, at: At) -> Garbage {
        let handle = Handle::from_bits(self.table.remove(hash, at));
        self.volatile -= usize::from(self.records.deadline(handle).is_some());
        self.records.remove(handle)
    }

    /// A copy of an entry's value and what belongs to it.
    pub(crate) fn detach(&self, handle: Handle) -> Detached {
        let value = match self.records.str(handle) {
            StrRef::Inline(bytes) => Value::Short(bytes.into()),
            StrRef::Shared(bytes) => Value::Shared(Arc::clone(bytes)),
        };
        let Info { deadline, sticky, raw, access, .. } = self.info(handle);
        Detached { value, deadline, sticky, access, raw }
    }

    /// Makes an entry of a detached value for a key that has none.
    pub(crate) fn attach(
        &mut self,
        hasher: &KeyHasher,
        hash: u64,
        key: &[u8],
        detached: Detached,
    ) -> Result<(), Refused> {
        let deadline = detached.deadline;
        let handle = self.make_record(key, detached)?;
        let records = &self.records;
        let hash_of = |handle| hasher.hash(records.key(Handle::from_bits(handle)));
        self.table.insert(hash, handle.bits(), hash_of);
        self.count_deadline(hash, deadline);
        Ok(())
    }

    /// A record of a detached value that no table knows yet.
    pub(crate) fn make_record(
        &mut self,
        key: &[u8],
        detached: Detached,
    ) -> Result<Handle, Refused> {
        let raw = detached.raw;
        let value = match &detached.value {
            Value::Short(bytes) => NewValue::Str { bytes, raw },
            Value::Shared(bytes) => NewValue::SharedStr { bytes: Arc::clone(bytes), raw },
        };
        let handle = self.records.insert(key, value, detached.deadline)?;
        self.records.set_sticky(handle, detached.sticky);
        self.records.set_access(handle, detached.access);
        Ok(handle)
    }

    /// Puts a new record of the same key in the place of the old one.
    pub(crate) fn replace_record(&mut self, hash: u64, at: At, new: Handle) -> Garbage {
        let old = Handle::from_bits(at.handle());
        self.volatile -= usize::from(self.records.deadline(old).is_some());
        self.table.replace(hash, at, new.bits());
        self.count_deadline(hash, self.records.deadline(new));
        self.records.remove(old)
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
