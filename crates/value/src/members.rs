//! The members of a large set, hash or sorted set: a table of handles over a heap of records.
//!
//! # Layout
//!
//! ```text
//! record   member length: u8 below 0xf0, or 0xf0 and u32 LE | member | tail
//! ```
//!
//! The tail is the [`Layout`]'s: nothing for a set, value and deadline for a hash, the score for a
//! sorted set. It tells its own length, so that a record does.
//!
//! # Invariants
//!
//! 1. Table and heap hold the same records, each found under the hash of its member.
//! 2. After a removal its chunk of the heap is not sparse, unless it is the one that grows.
//!
//! Hashes are the caller's: `hash` is always `hasher.hash(member)`, one hasher for all calls.

use std::marker::PhantomData;

use dash::{At, Table};

pub use dash::Cursor;

use crate::KeyHasher;
use crate::heap::{Full, Heap, Walk};

/// Segments of a table are merged when fewer than one slot in so many is used.
const TIDY_FILL: usize = 4;

/// What lies behind the member in a record.
pub trait Layout {
    /// Bytes of the tail that `bytes` begin with; more bytes may follow.
    fn tail_len(bytes: &[u8]) -> usize;
}

/// The layout of a set: no tail.
#[derive(Clone, Copy, Debug)]
pub struct Bare;

impl Layout for Bare {
    fn tail_len(_: &[u8]) -> usize {
        0
    }
}

/// See the module's page.
pub struct Members<L> {
    table: Table,
    heap: Heap,
    layout: PhantomData<fn() -> L>,
}

impl<L> Clone for Members<L> {
    fn clone(&self) -> Members<L> {
        let (table, heap) = (self.table.clone(), self.heap.clone());
        Members { table, heap, layout: PhantomData }
    }
}

impl<L: Layout> Default for Members<L> {
    fn default() -> Members<L> {
        Members::new()
    }
}

/// A record in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The member.
    pub name: &'a [u8],
    /// Its tail.
    pub tail: &'a [u8],
}

impl<L: Layout> Members<L> {
    /// No members.
    #[must_use]
    pub fn new() -> Members<L> {
        Members { table: Table::new(0), heap: Heap::new(), layout: PhantomData }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table.bytes() + self.heap.bytes()
    }

    // --- Reading ------------------------------------------------------------

    /// Asks for the memory that a look-up of this hash will read first.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.table.prefetch(hash);
    }

    /// Asks for the records that a look-up of this hash will read, once the bucket is here.
    #[inline]
    pub fn prefetch_record(&self, hash: u64) {
        self.table.hint(hash, |handle| self.heap.prefetch(handle));
    }

    /// Asks for all that look-ups of these hashes will read: the buckets first, then the records.
    #[inline]
    pub fn prefetch_all(&self, hashes: &[u64]) {
        hashes.iter().for_each(|&hash| self.prefetch(hash));
        hashes.iter().for_each(|&hash| self.prefetch_record(hash));
    }

    /// Asks for a record.
    #[inline]
    pub fn prefetch_handle(&self, handle: u32) {
        self.heap.prefetch(handle);
    }

    /// Looks the member of a handle up.
    #[inline]
    #[must_use]
    pub fn find_handle(&self, hash: u64, handle: u32) -> Option<At> {
        self.table.find(hash, |other| other == handle)
    }

    /// Looks a member up.
    #[inline]
    #[must_use]
    pub fn find(&self, hash: u64, name: &[u8]) -> Option<At> {
        self.table.find(hash, |handle| name_eq(self.heap.record(handle), name))
    }

    /// Whether the member is there.
    #[inline]
    #[must_use]
    pub fn contains(&self, hash: u64, name: &[u8]) -> bool {
        self.find(hash, name).is_some()
    }

    /// The tail of a member.
    #[inline]
    #[must_use]
    pub fn tail(&self, hash: u64, name: &[u8]) -> Option<&[u8]> {
        let at = self.find(hash, name)?;
        Some(self.member(at.handle()).tail)
    }

    /// The member of a handle.
    #[inline]
    #[must_use]
    pub fn member(&self, handle: u32) -> Member<'_> {
        split::<L>(self.heap.record(handle))
    }

    /// Some member, chosen by `chance` (any 64 random bits); `None` only if there is none.
    #[must_use]
    pub fn random(&self, chance: u64) -> Option<Member<'_>> {
        self.table.random(chance).map(|handle| self.member(handle))
    }

    /// All handles with their members, in the order in which they lie.
    pub fn handles(&self) -> impl Iterator<Item = (u32, Member<'_>)> {
        let mut walk = self.heap.walk();
        std::iter::from_fn(move || walk.next(record_len::<L>))
            .map(|(handle, record)| (handle, split::<L>(record)))
    }

    /// All members, in the order in which they lie.
    pub fn iter(&self) -> Iter<'_, L> {
        Iter { walk: self.heap.walk(), layout: PhantomData }
    }

    /// Meets the members of one place of the table, and tells where the walk goes on, `None` at its
    /// end. A member that is there from the first step ([`Cursor::START`]) to the last is met at
    /// least once, whatever comes and goes meanwhile.
    pub fn scan(
        &self,
        cursor: Cursor,
        hasher: &KeyHasher,
        mut meet: impl FnMut(Member<'_>),
    ) -> Option<Cursor> {
        let hash_of = |handle| hasher.hash(self.member(handle).name);
        self.table.scan(cursor, hash_of, |handle| meet(self.member(handle)))
    }

    // --- Changing -----------------------------------------------------------
    //
    // Records move when they change, and when a chunk of the heap is emptied. Who keeps handles is
    // told of the latter by `moved(old, new, member)`, once for each of the other members that
    // moved.

    /// Adds a member that is not there yet; its tail is the parts one after another.
    ///
    /// # Errors
    /// [`Full`] if there is no room for it.
    #[inline]
    pub fn insert(
        &mut self,
        hasher: &KeyHasher,
        hash: u64,
        name: &[u8],
        tail: &[&[u8]],
    ) -> Result<u32, Full> {
        let handle = self.write(name, tail)?;
        let heap = &self.heap;
        let hash_of = |handle| hasher.hash(split::<L>(heap.record(handle)).name);
        self.table.insert(hash, handle, hash_of);
        Ok(handle)
    }

    /// The tail of a member, to be overwritten by one of the same length.
    #[inline]
    pub fn tail_mut(&mut self, at: At) -> &mut [u8] {
        let record = self.heap.record_mut(at.handle());
        let from = name_range(record).end;
        let len = L::tail_len(&record[from..]);
        &mut record[from..from + len]
    }

    /// Gives a member another tail. Returns its handle from now on; `moved` is told of others.
    ///
    /// # Errors
    /// [`Full`] if there is no room for it; it has its old tail then.
    pub fn replace_tail(
        &mut self,
        hasher: &KeyHasher,
        hash: u64,
        at: At,
        tail: &[&[u8]],
        mut moved: impl FnMut(u32, u32, Member<'_>),
    ) -> Result<u32, Full> {
        let record = self.heap.record(at.handle());
        let (name, old_len) = (name_range(record), record_len::<L>(record));
        let len = name.end + parts_len(tail);
        if Heap::fits(old_len, len) {
            write_parts(&mut self.heap.record_mut(at.handle())[name.end..], tail);
            return Ok(at.handle());
        }
        let to = self.heap.alloc(len)?;
        let mut head: smallvec::SmallVec<[u8; 64]> = smallvec::SmallVec::new();
        head.extend_from_slice(&self.heap.record(at.handle())[..name.end]);
        let record = self.heap.record_mut(to);
        record[..name.end].copy_from_slice(&head);
        write_parts(&mut record[name.end..], tail);
        self.table.replace(hash, at, to);
        let sparse = self.heap.free(at.handle(), old_len);
        let mut own = to;
        self.tidy_heap(sparse, hasher, |old, new, member| match old == to {
            true => own = new,
            false => moved(old, new, member),
        });
        Ok(own)
    }

    /// Takes a member out.
    pub fn remove(
        &mut self,
        hasher: &KeyHasher,
        hash: u64,
        at: At,
        moved: impl FnMut(u32, u32, Member<'_>),
    ) {
        let handle = self.table.remove(hash, at);
        let len = record_len::<L>(self.heap.record(handle));
        let sparse = self.heap.free(handle, len);
        self.tidy_heap(sparse, hasher, moved);
        self.tidy_table(hasher, hash);
    }

    fn write(&mut self, name: &[u8], tail: &[&[u8]]) -> Result<u32, Full> {
        let wide_len = u32::try_from(name.len()).map_err(|_| Full)?;
        let head = if name.len() < usize::from(WIDE) { 1 } else { 5 };
        let handle = self.heap.alloc(head + name.len() + parts_len(tail))?;
        let record = self.heap.record_mut(handle);
        match u8::try_from(name.len()) {
            Ok(len) if len < WIDE => record[0] = len,
            _ => {
                record[0] = WIDE;
                record[1..5].copy_from_slice(&wide_len.to_le_bytes());
            }
        }
        record[head..head + name.len()].copy_from_slice(name);
        write_parts(&mut record[head + name.len()..], tail);
        Ok(handle)
    }

    fn tidy_heap(
        &mut self,
        sparse: Option<usize>,
        hasher: &KeyHasher,
        mut moved: impl FnMut(u32, u32, Member<'_>),
    ) {
        let Some(chunk) = sparse else { return };
        let table = &mut self.table;
        self.heap.evacuate(chunk, record_len::<L>, |old, new, record| {
            let member = split::<L>(record);
            let hash = hasher.hash(member.name);
            if let Some(at) = table.find(hash, |handle| handle == old) {
                table.replace(hash, at, new);
            }
            moved(old, new, member);
        });
    }

    /// Merges the segment of a hash with its neighbour where the table is nearly empty.
    fn tidy_table(&mut self, hasher: &KeyHasher, hash: u64) {
        if self.table.len() * TIDY_FILL >= self.table.capacity()
            || self.table.capacity() == dash::SEGMENT_SLOTS
        {
            return;
        }
        let heap = &self.heap;
        let hash_of = |handle| hasher.hash(split::<L>(heap.record(handle)).name);
        self.table.tidy_after(self.table.cursor_of(hash), hash_of);
    }

    // --- Deadlines ----------------------------------------------------------

    /// The table, to note deadlines and to find what is due.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The same, to be changed: deadlines only.
    pub fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }
}

/// All members in the order in which they lie; made by [`Members::iter`].
pub struct Iter<'a, L> {
    walk: Walk<'a>,
    layout: PhantomData<fn() -> L>,
}

impl<'a, L: Layout> Iterator for Iter<'a, L> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        self.walk.next(record_len::<L>).map(|(_, record)| split::<L>(record))
    }
}

/// The first byte of a member longer than a byte can say.
const WIDE: u8 = 0xf0;

/// Where the member lies in a record.
#[inline]
fn name_range(record: &[u8]) -> std::ops::Range<usize> {
    match record {
        [WIDE, a, b, c, d, ..] => 5..5 + u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        [len, ..] => 1..1 + usize::from(*len),
        [] => 0..0,
    }
}

#[inline]
fn name_eq(record: &[u8], name: &[u8]) -> bool {
    &record[name_range(record)] == name
}

#[inline]
fn split<L: Layout>(record: &[u8]) -> Member<'_> {
    let name = name_range(record);
    let rest = &record[name.end..];
    Member { name: &record[name], tail: &rest[..L::tail_len(rest)] }
}

#[inline]
fn record_len<L: Layout>(record: &[u8]) -> usize {
    let end = name_range(record).end;
    end + L::tail_len(&record[end..])
}

#[inline]
fn parts_len(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

#[inline]
fn write_parts(mut to: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let (here, rest) = to.split_at_mut(part.len());
        here.copy_from_slice(part);
        to = rest;
    }
}

#[cfg(test)]
mod tests;
