//! One bucket: a cache line of twelve handles with a tag byte each.
//!
//! # Safety contract
//!
//! The only `unsafe` is the 16-byte vector compare in [`Bucket::slots_with`]: a `Bucket` is 64
//! bytes of plain integers, so its first 16 bytes are always readable and initialised.

/// Handles that a bucket holds.
pub(crate) const SLOTS: usize = 12;

/// One bit for each slot.
const ALL_SLOTS: u16 = (1 << SLOTS) - 1;

/// A cache line: tags first, so that one vector compare finds the slots worth a look.
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct Bucket {
    /// A byte of the hash for each slot; 0 says that the slot is empty.
    tags: [u8; SLOTS],
    /// How many handles of this home lie in the next bucket.
    pub(crate) spilled: u8,
    /// How many handles of this home lie in the stash or the overflow list; 255 stays 255.
    pub(crate) stashed: u8,
    /// Which slots hold handles of the bucket before.
    guests: u16,
    handles: [u32; SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64, "a bucket is one cache line");

impl Bucket {
    pub(crate) const EMPTY: Bucket =
        Bucket { tags: [0; SLOTS], spilled: 0, stashed: 0, guests: 0, handles: [0; SLOTS] };

    /// The slots whose tag is `tag`, a bit each.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[inline(always)]
    fn slots_with(&self, tag: u8) -> u16 {
        // SAFETY: SSE2 is part of every x86-64.
        unsafe { self.slots_with_sse2(tag) }
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[target_feature(enable = "sse2")]
    #[inline]
    fn slots_with_sse2(&self, tag: u8) -> u16 {
        use core::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
        let line: *const Bucket = self;
        // SAFETY: a bucket is 64 readable bytes of integers without padding at its start; the
        // load needs 16 of them and no alignment.
        let head = unsafe { _mm_loadu_si128(line.cast()) };
        let equal = _mm_cmpeq_epi8(head, _mm_set1_epi8(tag.cast_signed()));
        (_mm_movemask_epi8(equal) as u16) & ALL_SLOTS
    }

    /// The slots whose tag is `tag`, a bit each.
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    #[inline(always)]
    fn slots_with(&self, tag: u8) -> u16 {
        self.slots_with_scalar(tag)
    }

    /// The plain twin of [`Bucket::slots_with`], its oracle in tests.
    #[cfg(any(test, not(target_arch = "x86_64"), miri))]
    fn slots_with_scalar(&self, tag: u8) -> u16 {
        let hits = self.tags.iter().enumerate().filter(|&(_, &own)| own == tag);
        hits.fold(0, |mask, (slot, _)| mask | 1 << slot)
    }

    /// The slots that may hold a handle with this tag, lowest first.
    #[inline(always)]
    pub(crate) fn candidates(&self, tag: u8) -> impl Iterator<Item = (u8, u32)> + '_ {
        Bits(self.slots_with(tag)).map(|slot| (slot, self.handles[usize::from(slot) % SLOTS]))
    }

    /// The slots in use, lowest first.
    pub(crate) fn filled(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        let filled = !self.slots_with(0) & ALL_SLOTS;
        Bits(filled).map(|slot| (slot, self.handles[usize::from(slot) % SLOTS]))
    }

    /// How many slots are in use.
    pub(crate) fn len(&self) -> usize {
        (!self.slots_with(0) & ALL_SLOTS).count_ones() as usize
    }

    /// The slots in use whose handles have this bucket as home; meaningless for a stash bucket.
    pub(crate) fn natives(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        self.filled().filter(|&(slot, _)| self.guests >> slot & 1 == 0)
    }

    /// The slots in use whose handles have the bucket before as home.
    pub(crate) fn guests(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        self.filled().filter(|&(slot, _)| self.guests >> slot & 1 == 1)
    }

    /// Puts a handle into a free slot; `None` if there is none.
    #[inline]
    pub(crate) fn put(&mut self, tag: u8, handle: u32, guest: bool) -> Option<u8> {
        let free = self.slots_with(0);
        if free == 0 {
            return None;
        }
        let slot = free.trailing_zeros() as u8;
        self.tags[usize::from(slot)] = tag;
        self.handles[usize::from(slot)] = handle;
        self.guests |= u16::from(guest) << slot;
        Some(slot)
    }

    /// Empties a slot; tells whether its handle was a guest.
    #[inline]
    pub(crate) fn clear(&mut self, slot: u8) -> bool {
        let guest = self.guests >> slot & 1 == 1;
        self.tags[usize::from(slot) % SLOTS] = 0;
        self.guests &= !(1 << slot);
        guest
    }

    /// Writes another handle into a slot in use.
    #[inline]
    pub(crate) fn set_handle(&mut self, slot: u8, handle: u32) {
        self.handles[usize::from(slot) % SLOTS] = handle;
    }

    /// The handle in a slot, if it is in use.
    #[inline]
    pub(crate) fn get(&self, slot: u8) -> Option<u32> {
        let slot = usize::from(slot) % SLOTS;
        (self.tags[slot] != 0).then(|| self.handles[slot])
    }

    #[inline]
    pub(crate) fn handle(&self, slot: u8) -> u32 {
        self.handles[usize::from(slot) % SLOTS]
    }
}

/// The set bits of a mask, lowest first.
struct Bits(u16);

impl Iterator for Bits {
    type Item = u8;

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        if self.0 == 0 {
            return None;
        }
        let lowest = self.0.trailing_zeros() as u8;
        self.0 &= self.0 - 1;
        Some(lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_compare_agrees_with_its_scalar_twin() {
        let mut bucket = Bucket::EMPTY;
        for round in 0..200_u32 {
            for slot in 0..SLOTS {
                let step = round.wrapping_mul(2_654_435_761).rotate_left(slot as u32 * 5);
                bucket.tags[slot] = (step % 5) as u8 * 63;
            }
            bucket.spilled = round as u8;
            bucket.stashed = round as u8;
            for tag in [0, 63, 126, 189, 252, round as u8] {
                assert_eq!(bucket.slots_with(tag), bucket.slots_with_scalar(tag));
            }
        }
    }

    #[test]
    fn a_full_bucket_takes_no_more() {
        let mut bucket = Bucket::EMPTY;
        for n in 0..SLOTS as u32 {
            assert_eq!(bucket.put(7, n, n % 2 == 1), Some(n as u8));
        }
        assert_eq!(bucket.put(7, 99, false), None);
        assert_eq!(bucket.guests().count(), 6);
        assert!(bucket.clear(3), "slot 3 held a guest");
        assert_eq!(bucket.put(9, 99, false), Some(3));
        assert_eq!(bucket.natives().count(), 7);
    }
}
