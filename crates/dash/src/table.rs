//! The directory over the segments: look-up, insertion with splits, removal with merges, walks.
//!
//! # Safety contract
//!
//! Every pointer in `directory` comes from `Page::leak` of a live segment, and the entries of
//! one segment lie side by side ([`Table::span_of`] computes which). Only [`Table::new`],
//! [`Table::split`], [`Table::merge`] and `drop` make, replace or free them, and each leaves this
//! true. A segment is borrowed only through `&self` or `&mut self`, by [`Table::segment`] and
//! [`Table::segment_mut`], so Rust's rules for the table are those for its segments.

use std::array;
use std::ptr::NonNull;

use memory::Page;

use crate::scan::{Cursor, DEPTH_MAX};
use crate::segment::{HOMES, Place, SEGMENT_BYTES, SEGMENT_SLOTS, Segment, home_of};

/// Two segments of up to this many handles together are merged by [`Table::tidy_after`].
const MERGE_MAX: usize = SEGMENT_SLOTS * 2 / 5;

/// Of a table of up to this many segments, [`Table::random`] asks each for its length.
const COUNTED_SEGMENTS_MAX: usize = 8;

/// How often [`Table::random`] draws slots before it draws numbers.
const SLOT_ROUNDS_MAX: u64 = 4;

/// How many slots are drawn at once, so that the waits for their memory are one.
const SLOTS_AT_ONCE: usize = 4;

/// How often [`Table::random`] draws numbers before it takes what is near.
const DRAWS_MAX: u64 = 64;

/// How often one insertion may split before it falls back to the overflow list.
const SPLITS_MAX: u32 = 3;

/// A hash table of 32-bit handles.
///
/// `hash` is always the full 64-bit hash of a key; the table leaves out its top `skip` bits,
/// which chose the shard. The same key must always bring the same hash.
pub struct Table {
    directory: Vec<NonNull<Segment>>,
    /// `directory.len() == 1 << depth`.
    depth: u32,
    skip: u32,
    len: usize,
    segments: usize,
    /// For each directory entry the moment from which on its handles are worth a look, see
    /// [`Table::note_deadline`]. Apart from the segments, so that looking for what is due reads
    /// few lines.
    dues: Vec<u64>,
    /// At most the least of `dues`.
    due: u64,
}

/// Where a handle was found. Good for the same hash until the table changes.
#[derive(Clone, Copy, Debug)]
pub struct At {
    place: Place,
    handle: u32,
}

impl At {
    /// The handle that was found.
    #[must_use]
    #[inline(always)]
    pub fn handle(self) -> u32 {
        self.handle
    }
}

// SAFETY: the table owns its segments, which hold integers only.
unsafe impl Send for Table {}
// SAFETY: `&Table` gives shared access to integers only; nothing in it has inner mutability.
unsafe impl Sync for Table {}

impl Table {
    /// An empty table whose keys' hashes agree in their top `skip` bits (at most 16).
    #[must_use]
    pub fn new(skip: u32) -> Table {
        assert!(skip <= 16, "16 bits choose a shard at most");
        Table {
            directory: vec![Segment::new(0).leak()],
            depth: 0,
            skip,
            len: 0,
            segments: 1,
            dues: vec![u64::MAX],
            due: u64::MAX,
        }
    }

    /// How many handles the table holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the table holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many handles fit before the next segment must be made, if hashes fell evenly.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.segments * SEGMENT_SLOTS
    }

    /// Bytes that directory and segments take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entry = size_of::<usize>() + size_of::<u64>();
        self.segments * SEGMENT_BYTES + self.directory.capacity() * entry
    }

    /// Where in the directory a hash belongs.
    #[inline(always)]
    fn index(&self, hash: u64) -> usize {
        // Two shifts, since a shift by all 64 bits is none.
        ((hash << self.skip) >> 1 >> (63 - self.depth)) as usize
    }

    #[inline(always)]
    fn segment(&self, index: usize) -> &Segment {
        // SAFETY: directory entries point to live segments, and nobody writes while `&self`
        // lives.
        unsafe { self.directory[index].as_ref() }
    }

    #[inline(always)]
    fn segment_mut(&mut self, index: usize) -> &mut Segment {
        // SAFETY: directory entries point to live segments, and `&mut self` is the only access.
        unsafe { self.directory[index].as_mut() }
    }

    /// Asks for the line that a look-up of `hash` will read first.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        prefetch(self.segment(self.index(hash)).home(hash));
    }

    /// Tells the handles in the home bucket of `hash` that may be the one meant.
    #[inline(always)]
    pub fn hint(&self, hash: u64, mut hinted: impl FnMut(u32)) {
        let bucket = self.segment(self.index(hash)).home(hash);
        let tag = crate::segment::tag_of(hash);
        bucket.candidates(tag).for_each(|(_, handle)| hinted(handle));
    }

    /// Looks for a handle: the one for which `is_it` holds, among those with this hash's tag.
    #[inline(always)]
    pub fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<At> {
        let found = self.segment(self.index(hash)).find(hash, is_it);
        found.map(|(place, handle)| At { place, handle })
    }

    /// Inserts a handle that is not in the table. `hash_of` tells the hash of a handle, for the
    /// case that a segment must be split.
    #[inline]
    pub fn insert(&mut self, hash: u64, handle: u32, hash_of: impl FnMut(u32) -> u64) -> At {
        let index = self.index(hash);
        self.len += 1;
        let place = match self.segment_mut(index).put(hash, handle) {
            Some(place) => place,
            None => self.insert_by_splitting(hash, handle, hash_of),
        };
        At { place, handle }
    }

    #[cold]
    fn insert_by_splitting(
        &mut self,
        hash: u64,
        handle: u32,
        mut hash_of: impl FnMut(u32) -> u64,
    ) -> Place {
        for _ in 0..SPLITS_MAX {
            if !self.split(self.index(hash), &mut hash_of) {
                break;
            }
            let index = self.index(hash);
            if let Some(place) = self.segment_mut(index).put(hash, handle) {
                return place;
            }
        }
        let index = self.index(hash);
        self.segment_mut(index).put_overflow(hash, handle)
    }

    /// Writes another handle for the same key.
    #[inline]
    pub fn replace(&mut self, hash: u64, at: At, handle: u32) -> At {
        let index = self.index(hash);
        self.segment_mut(index).replace(at.place, at.handle, handle);
        At { place: at.place, handle }
    }

    /// Takes a handle out.
    pub fn remove(&mut self, hash: u64, at: At) -> u32 {
        let index = self.index(hash);
        self.segment_mut(index).remove(hash, at.place, at.handle);
        self.len -= 1;
        at.handle
    }

    /// The directory entries that share the segment of `index`.
    fn span_of(&self, index: usize) -> std::ops::Range<usize> {
        let width = 1_usize << (self.depth - u32::from(self.segment(index).depth));
        let start = index & !(width - 1);
        start..start + width
    }

    /// Cuts a segment in two by its next hash bit; `false` if the directory may not grow.
    fn split(&mut self, index: usize, hash_of: &mut impl FnMut(u32) -> u64) -> bool {
        let old_depth = u32::from(self.segment(index).depth);
        if old_depth == DEPTH_MAX {
            return false;
        }
        let mut index = index;
        if old_depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&entry| [entry, entry]).collect();
            self.dues = self.dues.iter().flat_map(|&due| [due, due]).collect();
            self.depth += 1;
            index *= 2;
        }
        let span = self.span_of(index);
        let middle = span.start + span.len() / 2;

        let mut right = Segment::new(old_depth as u8 + 1);
        let left = self.segment_mut(span.start);
        left.depth += 1;
        right.inherit(left);
        let handles = left.take_all();
        let right = right.leak();
        self.directory[middle..span.end].fill(right);
        self.segments += 1;
        for handle in handles {
            let hash = hash_of(handle);
            self.put_again(hash, handle);
        }
        true
    }

    /// Puts a handle of a segment that was just emptied.
    fn put_again(&mut self, hash: u64, handle: u32) {
        let index = self.index(hash);
        let segment = self.segment_mut(index);
        if segment.put(hash, handle).is_none() {
            segment.put_overflow(hash, handle);
        }
    }

    /// Merges the segment of `index` with its other half if both are nearly empty.
    fn merge(&mut self, index: usize, hash_of: &mut impl FnMut(u32) -> u64) -> bool {
        let depth = u32::from(self.segment(index).depth);
        if depth == 0 {
            return false;
        }
        let width = 1_usize << (self.depth - depth);
        let left = index & !(2 * width - 1);
        let (one, other) = (self.segment(left), self.segment(left + width));
        let alike = one.depth == other.depth && one.same_stamps(other);
        if !alike || one.len() + other.len() > MERGE_MAX {
            return false;
        }
        let right = self.directory[left + width];
        // SAFETY: the entries that pointed to this segment are overwritten on the next lines, so
        // the page is its only owner again.
        let mut right = unsafe { Page::from_leaked(right) };
        let entry = self.directory[left];
        self.directory[left + width..left + 2 * width].fill(entry);
        self.segments -= 1;
        let merged = self.segment_mut(left);
        merged.inherit(&right);
        merged.depth -= 1;
        for handle in right.take_all() {
            self.put_again(hash_of(handle), handle);
        }
        self.halve_directory();
        true
    }

    /// Gives back directory entries that no segment needs.
    fn halve_directory(&mut self) {
        while self.depth > 0 && self.directory.chunks(2).all(|pair| pair[0] == pair[1]) {
            self.directory = self.directory.chunks(2).map(|pair| pair[0]).collect();
            self.dues = self.dues.chunks(2).map(|pair| pair[0].min(pair[1])).collect();
            self.depth -= 1;
        }
    }

    /// Some handle, chosen by `chance` (any 64 random bits); `None` only if the table is empty.
    ///
    /// Each is as likely as any other: of few segments it is a number among all handles. Of many
    /// a segment and a slot of it are drawn, both again if the slot is empty; where most slots
    /// are, a segment and a number among as many handles as a segment can have. Only if that fails
    /// again and again, as with a few segments nearly empty below a deep directory, some are
    /// likelier than others.
    #[must_use]
    pub fn random(&self, chance: u64) -> Option<u32> {
        if self.segments <= COUNTED_SEGMENTS_MAX {
            return self.nth(below(mix(chance), self.len.max(1)));
        }
        let draws = |count: u64| (0..count).map(|draw| mix(chance.wrapping_add(draw)));
        let by_slot = draws(SLOT_ROUNDS_MAX).find_map(|draw| self.drawn_by_slot(draw));
        let drawn = by_slot.or_else(|| draws(DRAWS_MAX).find_map(|draw| self.drawn(mix(draw))));
        drawn.or_else(|| self.nth_from(below(chance, self.directory.len())))
    }

    /// A few draws of slots for [`Table::random`].
    fn drawn_by_slot(&self, chance: u64) -> Option<u32> {
        let draws: [(usize, u64); SLOTS_AT_ONCE] = array::from_fn(|draw| {
            let chance = mix(chance.wrapping_add(draw as u64));
            (below(chance, self.directory.len()), mix(chance))
        });
        for (index, chance) in draws {
            let segment = self.segment(index);
            prefetch(segment);
            prefetch(segment.slot_bucket(below(chance, SEGMENT_SLOTS)));
        }
        draws.into_iter().find_map(|(index, chance)| {
            // Segments that many entries point to are no likelier than others.
            let segment = (self.span_of(index).start == index).then(|| self.segment(index))?;
            segment.at(below(chance, segment.room()))
        })
    }

    /// The handle that has `nth` others before it, segment by segment.
    fn nth(&self, mut nth: usize) -> Option<u32> {
        let mut index = 0;
        while index < self.directory.len() {
            let segment = self.segment(index);
            if nth < segment.len() {
                return segment.nth(nth);
            }
            nth -= segment.len();
            index = self.span_of(index).end;
        }
        None
    }

    /// One draw of a number for [`Table::random`].
    fn drawn(&self, chance: u64) -> Option<u32> {
        let index = below(chance, self.directory.len());
        // Segments that many entries point to are no likelier than others.
        if self.span_of(index).start != index {
            return None;
        }
        let segment = self.segment(index);
        segment.nth(below(mix(chance), segment.room()))
    }

    /// The first handle of the first segment from `index` on, round and round, that has any.
    fn nth_from(&self, mut index: usize) -> Option<u32> {
        for _ in 0..self.segments {
            let found = self.segment(index).nth(0);
            if found.is_some() {
                return found;
            }
            index = self.span_of(index).end % self.directory.len();
        }
        None
    }

    /// Visits the handles of one home bucket; where the walk goes on, or `None` at its end.
    pub fn scan(
        &self,
        cursor: Cursor,
        mut hash_of: impl FnMut(u32) -> u64,
        mut emit: impl FnMut(u32),
    ) -> Option<Cursor> {
        let index = self.index_of(cursor);
        let segment = self.segment(index);
        // Merged since: its other half may not have been visited.
        let merged = segment.depth < cursor.depth;
        let home = if merged { 0 } else { usize::from(cursor.home) };
        if home < HOMES {
            segment.of_home(home, &mut hash_of, &mut emit);
        }
        if home + 1 < HOMES {
            let prefix = self.prefix_of(self.span_of(index).start);
            return Some(Cursor { prefix, depth: segment.depth, home: home as u8 + 1 });
        }
        self.after(index)
    }

    /// Where the segment after that of `index` begins.
    fn after(&self, index: usize) -> Option<Cursor> {
        let next = self.span_of(index).end;
        let depth = (next < self.directory.len()).then(|| self.segment(next).depth)?;
        Some(Cursor { prefix: self.prefix_of(next), depth, home: 0 })
    }

    fn index_of(&self, cursor: Cursor) -> usize {
        (cursor.prefix >> (DEPTH_MAX - self.depth)) as usize
    }

    fn prefix_of(&self, index: usize) -> u32 {
        (index as u32) << (DEPTH_MAX - self.depth)
    }

    /// Visits every handle of the segment at `cursor` (whatever its home bucket), then tells
    /// where the next segment begins.
    pub fn segment_handles(&self, cursor: Cursor, emit: impl FnMut(u32)) -> Option<Cursor> {
        let index = self.index_of(cursor);
        self.segment(index).handles().for_each(emit);
        self.after(index)
    }

    /// Merges the segment at `cursor` with its other half where both are nearly empty, as often
    /// as that goes. Returns how many segments were saved.
    pub fn tidy_after(&mut self, cursor: Cursor, mut hash_of: impl FnMut(u32) -> u64) -> usize {
        let mut saved = 0;
        while self.merge(self.index_of(cursor), &mut hash_of) {
            saved += 1;
        }
        saved
    }

    /// Notes that a look at the handle of `hash` pays from `deadline` on, a moment in ms.
    #[inline]
    pub fn note_deadline(&mut self, hash: u64, deadline: u64) {
        let index = self.index(hash);
        let due = &mut self.dues[index];
        *due = deadline.min(*due);
        self.due = self.due.min(deadline);
    }

    /// The moment before which a look at no handle pays; `u64::MAX`: at none ever.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.due
    }

    /// [`Table::due`] of the segment at `cursor` alone.
    #[must_use]
    pub fn segment_due(&self, cursor: Cursor) -> u64 {
        let span = self.span_of(self.index_of(cursor));
        self.dues[span].iter().copied().min().unwrap_or(u64::MAX)
    }

    /// After a look at the segment at `cursor`: the next one pays from `due` on.
    pub fn set_segment_due(&mut self, cursor: Cursor, due: u64) {
        let span = self.span_of(self.index_of(cursor));
        self.dues[span].fill(due);
        self.due = self.dues.iter().copied().min().unwrap_or(u64::MAX);
    }

    /// The first segment from `cursor` on at which a look pays now.
    #[must_use]
    pub fn next_due(&self, cursor: Cursor, now: u64) -> Option<Cursor> {
        let from = self.index_of(cursor);
        let ahead = self.dues[from..].iter().position(|&due| due <= now)?;
        let index = self.span_of(from + ahead).start;
        let depth = self.segment(index).depth;
        Some(Cursor { prefix: self.prefix_of(index), depth, home: 0 })
    }

    /// The segment of a hash.
    #[must_use]
    pub fn cursor_of(&self, hash: u64) -> Cursor {
        let index = self.span_of(self.index(hash)).start;
        Cursor { prefix: self.prefix_of(index), depth: self.segment(index).depth, home: 0 }
    }

    /// Where the segment after the one at `cursor` begins; `None` if it is the last.
    #[must_use]
    pub fn next_segment(&self, cursor: Cursor) -> Option<Cursor> {
        self.after(self.index_of(cursor))
    }

    /// Notes that snapshot `version` (they count upwards, one at a time) has the home bucket of
    /// `hash`. The first to say so, and nobody else, is given all handles of that home and must
    /// copy them before it changes any: that is what makes the snapshot a point in time.
    pub fn stamp(
        &mut self,
        hash: u64,
        version: u64,
        hash_of: impl FnMut(u32) -> u64,
        emit: impl FnMut(u32),
    ) {
        self.stamp_home(self.index(hash), home_of(hash), version, hash_of, emit);
    }

    /// [`Table::stamp`] for the home bucket at `cursor`: one step of the snapshot's own walk.
    pub fn stamp_at(
        &mut self,
        cursor: Cursor,
        version: u64,
        hash_of: impl FnMut(u32) -> u64,
        emit: impl FnMut(u32),
    ) -> Option<Cursor> {
        let index = self.index_of(cursor);
        let merged = self.segment(index).depth < cursor.depth;
        let home = if merged { 0 } else { usize::from(cursor.home) };
        if home < HOMES {
            self.stamp_home(index, home, version, hash_of, emit);
        }
        self.scan(cursor, |_| 0, |_| {})
    }

    fn stamp_home(
        &mut self,
        index: usize,
        home: usize,
        version: u64,
        mut hash_of: impl FnMut(u32) -> u64,
        mut emit: impl FnMut(u32),
    ) {
        let segment = self.segment_mut(index);
        if segment.stamp(home, version) {
            segment.of_home(home, &mut hash_of, &mut emit);
        }
    }
}

impl Clone for Table {
    /// A copy of the whole table, segment by segment; stamps of snapshots are copied too.
    fn clone(&self) -> Table {
        let mut directory = Vec::with_capacity(self.directory.len());
        while directory.len() < self.directory.len() {
            let span = self.span_of(directory.len());
            let copy = Page::new(self.segment(span.start).clone()).leak();
            directory.extend(span.map(|_| copy));
        }
        Table { directory, dues: self.dues.clone(), ..*self }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let mut index = 0;
        while index < self.directory.len() {
            let span = self.span_of(index);
            let segment = self.directory[index];
            // SAFETY: each segment is met once, at its first entry, and none is used after.
            drop(unsafe { Page::from_leaked(segment) });
            index = span.end;
        }
    }
}

/// Mixes a number into 64 bits that look random (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number below `end`, as evenly as 64 random bits allow.
fn below(chance: u64, end: usize) -> usize {
    ((u128::from(chance) * end as u128) >> 64) as usize
}

/// Asks the processor to fetch the cache line at the beginning of a value.
#[inline(always)]
pub fn prefetch<T>(line: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let line: *const T = line;
        // SAFETY: a prefetch reads nothing that the program can see, from any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = line;
}

#[cfg(test)]
mod tests;
