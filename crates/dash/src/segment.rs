//! One segment: sixty home buckets, three stash buckets and a header, 4 KiB in all.
//!
//! A handle goes to its home bucket, else to the next one, else to the stash; when the stash is
//! full the segment is full, which happens at 91 % on average, and the table splits it. Nothing
//! is displaced to make room: it would read records, and brings less than a percent.

use memory::{PAGE_BYTES, Page};

use crate::bucket::{Bucket, SLOTS};

/// Home buckets in a segment.
pub const HOMES: usize = 60;

/// Buckets that take what found no room at home or next to it.
const STASHES: usize = 3;

const BUCKETS: usize = HOMES + STASHES;

/// Handles that a segment can hold.
pub const SEGMENT_SLOTS: usize = BUCKETS * SLOTS;

/// Bytes that a segment takes.
pub const SEGMENT_BYTES: usize = size_of::<Segment>();

const _: () = assert!(SEGMENT_BYTES == PAGE_BYTES, "a segment is one page");
const _: () = assert!(HOMES <= 64, "a stamp has one bit for each home");

/// Where a handle lies in its segment: a bucket and a slot, or a place in the overflow list.
pub(crate) const OVERFLOW: u8 = u8::MAX;

/// The position of a handle, valid until the segment changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// A bucket, or [`OVERFLOW`].
    pub(crate) bucket: u8,
    /// The slot in the bucket; without meaning in the overflow list, where the handle is sought.
    pub(crate) slot: u8,
}

#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct Segment {
    /// How many top bits of the hash all handles here share.
    pub(crate) depth: u8,
    len: u32,
    /// The version of the last snapshot that began to walk here.
    version: u64,
    /// The homes that this snapshot has already.
    stamped: u64,
    /// Handles whose hashes agree in more bits than splitting can part.
    overflow: Vec<u32>,
    buckets: [Bucket; BUCKETS],
}

/// The home bucket of a hash.
#[inline(always)]
pub(crate) fn home_of(hash: u64) -> usize {
    (((hash >> 8) & 0xFF_FFFF) as usize * HOMES) >> 24
}

/// The tag of a hash, never 0.
#[inline(always)]
pub(crate) fn tag_of(hash: u64) -> u8 {
    (hash as u8).max(1)
}

fn next_of(home: usize) -> usize {
    if home + 1 == HOMES { 0 } else { home + 1 }
}

impl Segment {
    pub(crate) fn new(depth: u8) -> Page<Segment> {
        Page::new(Segment {
            depth,
            len: 0,
            version: 0,
            stamped: 0,
            overflow: Vec::new(),
            buckets: [Bucket::EMPTY; BUCKETS],
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The line that a look-up of this hash reads first.
    #[inline(always)]
    pub(crate) fn home(&self, hash: u64) -> &Bucket {
        &self.buckets[home_of(hash)]
    }

    #[inline(always)]
    pub(crate) fn find(
        &self,
        hash: u64,
        mut is_it: impl FnMut(u32) -> bool,
    ) -> Option<(Place, u32)> {
        let (home, tag) = (home_of(hash), tag_of(hash));
        let bucket = &self.buckets[home];
        for (slot, handle) in bucket.candidates(tag) {
            if is_it(handle) {
                return Some((Place { bucket: home as u8, slot }, handle));
            }
        }
        if bucket.spilled | bucket.stashed == 0 {
            return None;
        }
        self.find_away(home, tag, is_it)
    }

    /// Looks where a handle lies that is not at home.
    #[inline(never)]
    fn find_away(
        &self,
        home: usize,
        tag: u8,
        mut is_it: impl FnMut(u32) -> bool,
    ) -> Option<(Place, u32)> {
        let next = (self.buckets[home].spilled > 0).then(|| next_of(home));
        let stash = if self.buckets[home].stashed > 0 { HOMES..BUCKETS } else { 0..0 };
        for bucket in next.into_iter().chain(stash.clone()) {
            for (slot, handle) in self.buckets[bucket].candidates(tag) {
                if is_it(handle) {
                    return Some((Place { bucket: bucket as u8, slot }, handle));
                }
            }
        }
        if stash.is_empty() {
            return None;
        }
        let found = self.overflow.iter().copied().find(|&handle| is_it(handle))?;
        Some((Place { bucket: OVERFLOW, slot: 0 }, found))
    }

    /// Puts a handle that is not here yet; `None` if the segment is full.
    #[inline]
    pub(crate) fn put(&mut self, hash: u64, handle: u32) -> Option<Place> {
        let (home, tag) = (home_of(hash), tag_of(hash));
        let place = match self.buckets[home].put(tag, handle, false) {
            Some(slot) => Place { bucket: home as u8, slot },
            None => self.put_away(home, tag, handle)?,
        };
        self.len += 1;
        Some(place)
    }

    fn put_away(&mut self, home: usize, tag: u8, handle: u32) -> Option<Place> {
        let next = next_of(home);
        if let Some(slot) = self.buckets[next].put(tag, handle, true) {
            self.buckets[home].spilled += 1;
            return Some(Place { bucket: next as u8, slot });
        }
        let stashed = (HOMES..BUCKETS).find_map(|stash| {
            let slot = self.buckets[stash].put(tag, handle, false)?;
            Some(Place { bucket: stash as u8, slot })
        })?;
        self.count_stashed(home);
        Some(stashed)
    }

    /// Takes a handle into the overflow list: the last resort, when splitting does not help.
    pub(crate) fn put_overflow(&mut self, hash: u64, handle: u32) -> Place {
        self.overflow.push(handle);
        self.count_stashed(home_of(hash));
        self.len += 1;
        Place { bucket: OVERFLOW, slot: 0 }
    }

    fn count_stashed(&mut self, home: usize) {
        let stashed = &mut self.buckets[home].stashed;
        *stashed = stashed.saturating_add(1);
    }

    /// Empties a place that [`Segment::find`] told for this hash and handle.
    pub(crate) fn remove(&mut self, hash: u64, place: Place, handle: u32) {
        let home = home_of(hash);
        let bucket = usize::from(place.bucket);
        if bucket < HOMES {
            if self.buckets[bucket].clear(place.slot) {
                self.buckets[home].spilled -= 1;
            }
        } else {
            if let Some(stash) = self.buckets.get_mut(bucket) {
                stash.clear(place.slot);
            } else {
                self.overflow.retain(|&other| other != handle);
            }
            // A count that once reached its end no longer says how many there are.
            let stashed = &mut self.buckets[home].stashed;
            if *stashed < u8::MAX {
                *stashed -= 1;
            }
        }
        self.len -= 1;
    }

    /// Writes another handle where `old` lies.
    pub(crate) fn replace(&mut self, place: Place, old: u32, new: u32) {
        if let Some(bucket) = self.buckets.get_mut(usize::from(place.bucket)) {
            debug_assert_eq!(bucket.handle(place.slot), old);
            bucket.set_handle(place.slot, new);
        } else {
            self.overflow.iter_mut().filter(|other| **other == old).for_each(|other| *other = new);
        }
    }

    /// Every handle, in no particular order.
    pub(crate) fn handles(&self) -> impl Iterator<Item = u32> + '_ {
        let inside = self.buckets.iter().flat_map(Bucket::filled).map(|(_, handle)| handle);
        inside.chain(self.overflow.iter().copied())
    }

    /// Every handle whose home is `home`. Those in the stash are asked for their hash.
    pub(crate) fn of_home(
        &self,
        home: usize,
        hash_of: &mut dyn FnMut(u32) -> u64,
        emit: &mut dyn FnMut(u32),
    ) {
        let bucket = &self.buckets[home];
        bucket.natives().for_each(|(_, handle)| emit(handle));
        if bucket.spilled > 0 {
            self.buckets[next_of(home)].guests().for_each(|(_, handle)| emit(handle));
        }
        if bucket.stashed > 0 {
            let stash = self.buckets[HOMES..].iter().flat_map(Bucket::filled);
            let away = stash.map(|(_, handle)| handle).chain(self.overflow.iter().copied());
            for handle in away {
                if home_of(hash_of(handle)) == home {
                    emit(handle);
                }
            }
        }
    }

    /// The handle that has `nth` others before it, in no order that means anything.
    pub(crate) fn nth(&self, mut nth: usize) -> Option<u32> {
        for bucket in &self.buckets {
            let filled = bucket.len();
            if nth < filled {
                return bucket.filled().nth(nth).map(|(_, handle)| handle);
            }
            nth -= filled;
        }
        self.overflow.get(nth).copied()
    }

    /// How many places there are for handles: as many in every segment, but for one whose hashes
    /// splitting can't part.
    pub(crate) fn room(&self) -> usize {
        SEGMENT_SLOTS + self.overflow.len()
    }

    /// The handle in one of the segment's places, if there is one.
    pub(crate) fn at(&self, place: usize) -> Option<u32> {
        match place.checked_sub(SEGMENT_SLOTS) {
            Some(behind) => self.overflow.get(behind).copied(),
            None => self.slot_bucket(place).get((place % SLOTS) as u8),
        }
    }

    /// The bucket of one of the segment's slots.
    pub(crate) fn slot_bucket(&self, slot: usize) -> &Bucket {
        &self.buckets[slot / SLOTS % BUCKETS]
    }

    /// Empties the segment and returns what it held, for a split or a merge.
    pub(crate) fn take_all(&mut self) -> Vec<u32> {
        let all = self.handles().collect();
        self.buckets = [Bucket::EMPTY; BUCKETS];
        self.overflow = Vec::new();
        self.len = 0;
        all
    }

    /// Takes over what is known of `other` about snapshots, not its handles.
    pub(crate) fn inherit(&mut self, other: &Segment) {
        self.version = other.version;
        self.stamped = other.stamped;
    }

    /// Whether two segments have been walked equally far by the same snapshot.
    pub(crate) fn same_stamps(&self, other: &Segment) -> bool {
        self.version == other.version && self.stamped == other.stamped
    }

    /// Notes that snapshot `version` has this home; tells whether it is the first to say so.
    pub(crate) fn stamp(&mut self, home: usize, version: u64) -> bool {
        if self.version < version {
            self.version = version;
            self.stamped = 0;
        }
        debug_assert!(self.version == version, "one snapshot walks a table at a time");
        let bit = 1_u64 << home;
        let first = self.stamped & bit == 0;
        self.stamped |= bit;
        first
    }
}
