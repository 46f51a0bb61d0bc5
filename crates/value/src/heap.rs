//! The memory of one large collection: records of any length, side by side.
//!
//! Each collection has a heap of its own, so that it can be dropped, copied or given to another
//! key as a whole. A heap of a hundred records must therefore be small, which rules out slabs that
//! hold one size each: records lie in the order in which they came, and a slot that is given back
//! waits for the next record of the same size.
//!
//! # Layout
//!
//! ```text
//! handle        | 0 | chunk: 17 bits | offset in units of 4 bytes: 14 bits |
//!               | 1 | number of a long record: 31 bits                     |
//! chunk         slots side by side; 64 KiB, the last one as long as need be
//! slot, used    the record, which tells its own length, and up to 3 bytes more
//! slot, free    0xff | units: u8 | 2 unused | handle before | handle after: u32 LE each
//! ```
//!
//! # Invariants
//!
//! 1. No record begins with 0xff, and what the owner says of a record's length never changes
//!    while it lies in its slot, but for the bytes up to the slot's end.
//! 2. A free slot is in the list of its size, and in no other.
//! 3. `live` of a chunk is the sum of the sizes of its used slots.
//! 4. `chunk_bytes` is the sum of the capacities of all chunks, `long_bytes` of the lengths of all
//!    long records.
//!
//! A chunk that is mostly free is emptied ([`Heap::evacuate`]): its records move elsewhere, which
//! the owner is told, since it knows who names them.

use std::error;
use std::fmt;
use std::mem;

const UNIT: usize = 4;
const CHUNK_BYTES: usize = 64 << 10;
const UNIT_BITS: u32 = (CHUNK_BYTES / UNIT).trailing_zeros();
const LONG: u32 = 1 << 31;
const CHUNKS_MAX: usize = 1 << (31 - UNIT_BITS);

/// One less than there are numbers: the last handle is [`NONE`].
const LONGS_MAX: usize = LONG as usize - 1;

/// Room that the first chunk begins with.
const FIRST_BYTES: usize = 512;

/// A free slot has to hold its tag, its size and two links.
const SLOT_MIN: usize = 12;
const UNITS_MAX: usize = 255;
const SLOT_MAX: usize = UNITS_MAX * UNIT;

/// How a free slot begins, and no record.
pub(crate) const FREE: u8 = 0xff;
const NONE: u32 = u32::MAX;

/// A full chunk is sparse when less than one byte in so many is used.
const SPARSE: usize = 4;

/// There is no room for another record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the collection can hold no more")
    }
}

impl error::Error for Full {}

#[derive(Clone, Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Bytes of its used slots.
    live: usize,
}

/// Records named by handles; see the module's page.
pub struct Heap {
    chunks: Vec<Chunk>,
    /// The chunk that new slots are cut from.
    current: usize,
    /// A chunk that was sparse already when it ceased to be the current one.
    left: Option<usize>,
    /// Numbers of chunks that were emptied.
    vacant: Vec<u32>,
    /// The first free slot of each size, by units; empty until a slot comes back.
    free: Vec<u32>,
    longs: Vec<Box<[u8]>>,
    vacant_longs: Vec<u32>,
    long_bytes: usize,
    chunk_bytes: usize,
}

impl Clone for Heap {
    /// A copy under the same handles. Its chunks have no room to spare.
    fn clone(&self) -> Heap {
        let chunks = self.chunks.clone();
        Heap {
            chunk_bytes: chunks.iter().map(|chunk| chunk.bytes.capacity()).sum(),
            chunks,
            vacant: self.vacant.clone(),
            free: self.free.clone(),
            longs: self.longs.clone(),
            vacant_longs: self.vacant_longs.clone(),
            ..*self
        }
    }
}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new()
    }
}

impl Heap {
    /// A heap without records, and without memory for any.
    #[must_use]
    pub fn new() -> Heap {
        Heap {
            chunks: Vec::new(),
            current: 0,
            left: None,
            vacant: Vec::new(),
            free: Vec::new(),
            longs: Vec::new(),
            vacant_longs: Vec::new(),
            long_bytes: 0,
            chunk_bytes: 0,
        }
    }

    /// Makes room for a record; its bytes are to be written, and are whatever they were.
    ///
    /// # Errors
    /// [`Full`] if there are no more handles.
    #[inline]
    pub fn alloc(&mut self, len: usize) -> Result<u32, Full> {
        if len > SLOT_MAX {
            return self.alloc_long(len);
        }
        let size = slot_size(len);
        if let Some(handle) = self.take_free(size) {
            return Ok(handle);
        }
        let chunk = self.chunks.get(self.current);
        if chunk.is_none_or(|chunk| chunk.bytes.len() + size > CHUNK_BYTES) {
            self.open_chunk()?;
        }
        let chunk = &mut self.chunks[self.current];
        let offset = chunk.bytes.len();
        if chunk.bytes.capacity() < offset + size {
            let before = chunk.bytes.capacity();
            let room = (2 * before).clamp(FIRST_BYTES.max(offset + size), CHUNK_BYTES);
            chunk.bytes.reserve_exact(room - offset);
            self.chunk_bytes = self.chunk_bytes - before + chunk.bytes.capacity();
        }
        chunk.bytes.resize(offset + size, 0);
        chunk.live += size;
        Ok(handle(self.current, offset))
    }

    #[cold]
    fn alloc_long(&mut self, len: usize) -> Result<u32, Full> {
        let number = match self.vacant_longs.pop() {
            Some(number) => number,
            None if self.longs.len() >= LONGS_MAX => return Err(Full),
            None => {
                self.longs.push(Box::default());
                self.longs.len() as u32 - 1
            }
        };
        self.longs[number as usize] = vec![0; len].into_boxed_slice();
        self.long_bytes += len;
        Ok(LONG | number)
    }

    #[cold]
    fn open_chunk(&mut self) -> Result<(), Full> {
        let last = self.current;
        self.current = match self.vacant.pop() {
            Some(number) => number as usize,
            None if self.chunks.len() == CHUNKS_MAX => return Err(Full),
            None => {
                self.chunks.push(Chunk::default());
                self.chunks.len() - 1
            }
        };
        if self.is_sparse(last) {
            self.left = Some(last);
        }
        Ok(())
    }

    /// A record, and whatever lies behind it in its chunk: it tells its own length.
    #[inline]
    #[must_use]
    pub fn record(&self, handle: u32) -> &[u8] {
        if handle & LONG != 0 {
            return &self.longs[(handle & !LONG) as usize];
        }
        let (chunk, offset) = place(handle);
        &self.chunks[chunk].bytes[offset..]
    }

    /// A walk over all records, in the order in which they lie.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk { heap: self, chunk: 0, offset: 0, long: 0 }
    }

    /// Asks for the first bytes of a record.
    #[inline]
    pub fn prefetch(&self, handle: u32) {
        let (chunk, offset) = place(handle & !LONG);
        if let Some(byte) = self.chunks.get(chunk).and_then(|chunk| chunk.bytes.get(offset)) {
            dash::prefetch(byte);
        }
    }

    /// A record to be written, see [`Heap::record`].
    #[inline]
    pub fn record_mut(&mut self, handle: u32) -> &mut [u8] {
        if handle & LONG != 0 {
            return &mut self.longs[(handle & !LONG) as usize];
        }
        let (chunk, offset) = place(handle);
        &mut self.chunks[chunk].bytes[offset..]
    }

    /// Whether a record of `len` bytes fits the slot of one of `old_len` bytes, and no smaller one.
    #[must_use]
    pub fn fits(old_len: usize, len: usize) -> bool {
        if old_len > SLOT_MAX || len > SLOT_MAX {
            return old_len == len;
        }
        slot_size(old_len) == slot_size(len)
    }

    /// Gives the slot of a record of `len` bytes back. Returns a chunk that should be emptied now,
    /// mostly that of the slot.
    #[must_use = "a sparse chunk holds memory that nothing uses"]
    pub fn free(&mut self, handle: u32, len: usize) -> Option<usize> {
        if handle & LONG != 0 {
            let number = handle & !LONG;
            self.longs[number as usize] = Box::default();
            self.vacant_longs.push(number);
            self.long_bytes -= len;
            return None;
        }
        let size = slot_size(len);
        self.put_free(handle, size);
        let (at, _) = place(handle);
        self.chunks[at].live -= size;
        if self.is_sparse(at) {
            return Some(at);
        }
        self.left.take().filter(|&left| self.is_sparse(left))
    }

    /// Whether a chunk has slots, few of them used, and is not the one that grows.
    fn is_sparse(&self, at: usize) -> bool {
        let sparse = |chunk: &Chunk| !chunk.bytes.is_empty() && chunk.live * SPARSE < CHUNK_BYTES;
        at != self.current && self.chunks.get(at).is_some_and(sparse)
    }

    /// Empties a chunk: moves each record out of it, whose length `len_of` tells, and tells
    /// `moved` its old and its new handle, and the record. Does nothing if the chunk is not sparse
    /// or there might not be enough handles for it.
    pub fn evacuate(
        &mut self,
        chunk: usize,
        len_of: impl Fn(&[u8]) -> usize,
        mut moved: impl FnMut(u32, u32, &[u8]),
    ) {
        let no_room = self.vacant.is_empty() && self.chunks.len() == CHUNKS_MAX;
        if no_room || !self.is_sparse(chunk) {
            return;
        }
        self.unlink_all(chunk, &len_of);
        let Chunk { bytes, .. } = mem::take(&mut self.chunks[chunk]);
        self.chunk_bytes -= bytes.capacity();
        let mut offset = 0;
        while offset < bytes.len() {
            let rest = &bytes[offset..];
            let (size, is_free) = measure(rest, &len_of);
            if !is_free {
                let record = &rest[..len_of(rest)];
                // A sparse chunk fits into what is left of the current one and one more.
                let Ok(to) = self.alloc(record.len()) else { break };
                self.record_mut(to)[..record.len()].copy_from_slice(record);
                moved(handle(chunk, offset), to, record);
            }
            offset += size;
        }
        self.vacant.push(chunk as u32);
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunk_bytes
            + self.long_bytes
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.longs.capacity() * size_of::<Box<[u8]>>()
            + (self.free.capacity() + self.vacant.capacity() + self.vacant_longs.capacity()) * 4
    }

    // --- Free slots ---------------------------------------------------------

    #[inline]
    fn take_free(&mut self, size: usize) -> Option<u32> {
        let first = *self.free.get(size / UNIT)?;
        if first == NONE {
            return None;
        }
        self.unlink(first, size);
        self.chunks[place(first).0].live += size;
        Some(first)
    }

    fn put_free(&mut self, handle: u32, size: usize) {
        if self.free.is_empty() {
            self.free = vec![NONE; UNITS_MAX + 1];
        }
        let next = mem::replace(&mut self.free[size / UNIT], handle);
        if next != NONE {
            self.record_mut(next)[4..8].copy_from_slice(&handle.to_le_bytes());
        }
        let slot = self.record_mut(handle);
        slot[0] = FREE;
        slot[1] = (size / UNIT) as u8;
        slot[4..8].copy_from_slice(&NONE.to_le_bytes());
        slot[8..12].copy_from_slice(&next.to_le_bytes());
    }

    fn unlink(&mut self, handle: u32, size: usize) {
        let slot = self.record(handle);
        let (before, after) = (link(&slot[4..]), link(&slot[8..]));
        if before == NONE {
            self.free[size / UNIT] = after;
        } else {
            self.record_mut(before)[8..12].copy_from_slice(&after.to_le_bytes());
        }
        if after != NONE {
            self.record_mut(after)[4..8].copy_from_slice(&before.to_le_bytes());
        }
    }

    /// Takes all free slots of a chunk out of their lists.
    fn unlink_all(&mut self, chunk: usize, len_of: impl Fn(&[u8]) -> usize) {
        let mut offset = 0;
        while offset < self.chunks[chunk].bytes.len() {
            let (size, is_free) = measure(&self.chunks[chunk].bytes[offset..], &len_of);
            if is_free {
                self.unlink(handle(chunk, offset), size);
            }
            offset += size;
        }
    }
}

/// A walk over the records of a heap; made by [`Heap::walk`]. It reads memory from one end to the
/// other, so that the processor fetches ahead what comes next.
#[derive(Clone)]
pub struct Walk<'a> {
    heap: &'a Heap,
    /// The present chunk, and where in it the next slot begins.
    chunk: usize,
    offset: usize,
    /// The next long record.
    long: usize,
}

impl<'a> Walk<'a> {
    /// The next record with its handle, as [`Heap::record`] gives it; `len_of` tells the length of
    /// a record.
    #[inline]
    pub fn next(&mut self, len_of: impl Fn(&[u8]) -> usize) -> Option<(u32, &'a [u8])> {
        while let Some(chunk) = self.heap.chunks.get(self.chunk) {
            while let Some(slot) = chunk.bytes.get(self.offset..)
                && !slot.is_empty()
            {
                let (size, is_free) = measure(slot, &len_of);
                let handle = handle(self.chunk, self.offset);
                self.offset += size;
                if !is_free {
                    return Some((handle, slot));
                }
            }
            self.chunk += 1;
            self.offset = 0;
        }
        self.next_long()
    }

    fn next_long(&mut self) -> Option<(u32, &'a [u8])> {
        while let Some(long) = self.heap.longs.get(self.long) {
            let handle = LONG | self.long as u32;
            self.long += 1;
            // Numbers that were given back hold nothing.
            if !long.is_empty() {
                return Some((handle, long));
            }
        }
        None
    }
}

/// Bytes of the slot of a record of `len` bytes.
#[inline]
const fn slot_size(len: usize) -> usize {
    let len = if len < SLOT_MIN { SLOT_MIN } else { len };
    len.next_multiple_of(UNIT)
}

/// The size of the slot that begins here, and whether it is free.
#[inline]
fn measure(rest: &[u8], len_of: impl Fn(&[u8]) -> usize) -> (usize, bool) {
    match rest {
        [FREE, units, ..] => (usize::from(*units).max(1) * UNIT, true),
        _ => (slot_size(len_of(rest)), false),
    }
}

#[inline]
const fn handle(chunk: usize, offset: usize) -> u32 {
    (chunk as u32) << UNIT_BITS | (offset / UNIT) as u32
}

#[inline]
const fn place(handle: u32) -> (usize, usize) {
    let units = handle & ((1 << UNIT_BITS) - 1);
    ((handle >> UNIT_BITS) as usize, units as usize * UNIT)
}

fn link(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(NONE, |&bytes| u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests;
