//! Slabs: slots of fixed sizes, cut from regions.
//!
//! A general allocator rounds small sizes to 16 bytes, frees across threads with
//! atomics and keeps what random deletes leave behind. Slots here come 4 bytes
//! apart, are taken and given back under the gate of their shard, and are named
//! by handles, so that a sparse slab can be emptied by moving what is left.
//!
//! # Layout
//!
//! ```text
//! handle  | region: 20 bits | offset in the region, in units of 4 bytes: 12 bits |
//!         | slab: 20 bits            | offset in the slab, in units: 12 bits     |
//! region  16 KiB: one slab
//! slab    16 KiB: slots of one class, side by side from the slab's start
//! slot    | word: 4 bytes, always atomic | body: the rest |
//! ```
//!
//! What is known of a slab lies beside the regions, in [`Slab`] and one byte for
//! its class: looking after memory touches no page of it, a pointer gone astray
//! cannot damage it, and this bookkeeping is safe code. Slots that were never
//! used are taken in rising order, so that the untouched pages of a slab never
//! become resident; slots that came back are a list through their bodies.
//!
//! # Invariants
//!
//! 1. A slab has a class if and only if it has a slot in use; otherwise it is
//!    warm, or without memory.
//! 2. A slab is in its class' list if and only if it has a free slot.
//! 3. `used_bytes` is the sum of the slot sizes of all slots in use.
//! 4. A slab has memory if and only if it is warm or has a class.
//!
//! # Safety contract
//!
//! Three facts make every access sound, whatever the handle:
//!
//! * [`Slabs::slot`] is the only source of pointers. It gives one only if the
//!   slab has a class and a slot of that class begins at the handle, so two
//!   pointers name the same slot or slots that do not overlap. A slab has a class
//!   only while its region is mapped (1, 4), and all its bytes are initialised.
//! * The word of a slot is reached by atomic operations only, its body never by
//!   them: a reader may write the word while others read the body.
//! * References borrow the `Slabs`: the body is shared under `&self` and changed
//!   under `&mut self`; classes and regions change under `&mut self` only.
//!
//! A stale handle thus shows the bytes of whichever record has the slot now, or
//! panics if no slot begins there.

use std::fmt;
use std::sync::atomic::AtomicU32;
use std::{error, slice};

use crate::class::{CLASSES, NO_CLASS, SLAB_BYTES, UNIT, class_of, spec};
use memory::{REGION_BYTES, Region, heap};

/// Regions a handle can name: 16 GiB.
const REGIONS_MAX: usize = 1 << 20;

/// Bits of a handle below the slab.
const SLAB_SHIFT: u32 = (SLAB_BYTES / UNIT).trailing_zeros();

/// Bits of a handle below the region.
const REGION_SHIFT: u32 = (REGION_BYTES / UNIT).trailing_zeros();

/// Empty slabs which keep their pages, for whichever class asks next.
const WARM_MAX: usize = 4;

/// A slab is sparse when less than one slot in so many is used.
const SPARSE: u32 = 4;

/// Bytes of a slot before its body.
pub(crate) const WORD_BYTES: usize = 4;

/// No slab, at the end of a list.
const NO_SLAB: u32 = u32::MAX;

/// No slot, at the end of a list.
const NO_SLOT: u16 = u16::MAX;

const _: () = assert!(REGIONS_MAX << REGION_SHIFT == 1 << 32, "a handle is 32 bits");
const _: () = assert!(SLAB_BYTES / UNIT < NO_SLOT as usize, "a unit of a slab fits a link");

/// The name of a record: 32 bits, valid from its insertion until it is removed
/// or moved.
///
/// Whatever is done with a handle that is no longer valid, or that came from
/// elsewhere, is defined: it reads or changes another record, or panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Handle(u32);

impl Handle {
    /// The handle of these bits, as [`Handle::bits`] gave them.
    #[inline]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The handle as a number; every number can occur.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.0
    }

    #[inline]
    const fn new(slab: u32, unit: u16) -> Self {
        Self(slab << SLAB_SHIFT | unit as u32)
    }

    #[inline]
    const fn region(self) -> usize {
        (self.0 >> REGION_SHIFT) as usize
    }

    #[inline]
    const fn slab(self) -> u32 {
        self.0 >> SLAB_SHIFT
    }

    /// Units from the start of the slab.
    #[inline]
    const fn unit(self) -> u32 {
        self.0 & ((1 << SLAB_SHIFT) - 1)
    }

    /// Bytes from the start of the region.
    #[inline]
    const fn offset(self) -> usize {
        (self.0 & ((1 << REGION_SHIFT) - 1)) as usize * UNIT
    }
}

/// There is no room for another record: the handles or the system's memory are
/// used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory for another record")
    }
}

impl error::Error for Full {}

/// What is known of a slab, but for its class.
#[derive(Clone, Copy)]
struct Slab {
    /// Slots in use.
    used: u16,
    /// The unit where the slots begin that were never used.
    fresh: u16,
    /// The unit of the slot that came back last.
    free: u16,
    /// Neighbours in the list of the class.
    previous: u32,
    next: u32,
}

impl Slab {
    const EMPTY: Slab = Slab { used: 0, fresh: 0, free: NO_SLOT, previous: NO_SLAB, next: NO_SLAB };

    fn is_sparse(&self, slots: u16) -> bool {
        u32::from(self.used) * SPARSE < u32::from(slots)
    }
}

/// The slabs of a class which have a free slot: the first is allocated from, the
/// sparse ones are at the end.
#[derive(Clone, Copy)]
struct Rooms {
    first: u32,
    last: u32,
}

/// Slots of memory; see the module.
pub(crate) struct Slabs {
    /// The class of each slab, up to the highest ever used.
    classes: Vec<u8>,
    /// Where each region begins; null where none is mapped.
    bases: Vec<*mut u8>,
    slabs: Vec<Slab>,
    /// The memory of each slab; `None` where it went back.
    regions: Vec<Option<Region>>,
    rooms: [Rooms; CLASSES],
    /// Empty slabs with their pages, the one emptied last at the end.
    warm: Vec<u32>,
    /// Indices of slabs whose memory went back.
    vacant: Vec<u32>,
    /// Slabs which have a class.
    in_use: usize,
    used_bytes: usize,
    regions_max: usize,
}

// SAFETY: the pointers lead into regions which the `Slabs` owns and which any
// thread may use and unmap.
unsafe impl Send for Slabs {}
// SAFETY: `&self` gives shared bodies, which nobody changes meanwhile, and words
// that are atomic.
unsafe impl Sync for Slabs {}

impl Slabs {
    /// No slabs; nothing is mapped before the first slot is asked for.
    pub(crate) fn new() -> Self {
        Self::with_regions_max(REGIONS_MAX)
    }

    /// The same with a lower limit, to be reached in tests.
    pub(crate) fn with_regions_max(regions_max: usize) -> Self {
        Self {
            classes: Vec::new(),
            bases: Vec::new(),
            slabs: Vec::new(),
            regions: Vec::new(),
            rooms: [Rooms { first: NO_SLAB, last: NO_SLAB }; CLASSES],
            warm: Vec::new(),
            vacant: Vec::new(),
            in_use: 0,
            used_bytes: 0,
            regions_max,
        }
    }

    /// Lowers the limit, to be reached in tests.
    pub(crate) fn limit_regions(&mut self, regions_max: usize) {
        self.regions_max = regions_max;
    }

    // --- Access -----------------------------------------------------------

    /// Where the slot of `handle` begins, and its size.
    ///
    /// The check hangs on the class alone, so the load of the record does not
    /// wait for it.
    #[inline]
    fn slot(&self, handle: Handle) -> (*mut u8, usize) {
        let spec = spec(self.class(handle));
        if !spec.begins_at(handle.unit()) {
            no_such_slot(handle);
        }
        (self.bases[handle.region()].wrapping_add(handle.offset()), spec.size())
    }

    /// The class of the slot's slab, [`NO_CLASS`] if it has none.
    #[inline]
    pub(crate) fn class(&self, handle: Handle) -> u8 {
        self.classes.get(handle.slab() as usize).copied().unwrap_or(NO_CLASS)
    }

    /// The first four bytes of a slot.
    #[inline]
    pub(crate) fn word(&self, handle: Handle) -> &AtomicU32 {
        let (at, _) = self.slot(handle);
        // SAFETY: `slot` gave the start of a mapped slot, a multiple of 4; words
        // are only ever accessed atomically; the region outlives the borrow.
        unsafe { AtomicU32::from_ptr(at.cast()) }
    }

    /// The bytes of a slot behind its word.
    #[inline]
    pub(crate) fn body(&self, handle: Handle) -> &[u8] {
        self.parts(handle).1
    }

    /// The bytes of a slot behind its word, to be written.
    #[inline]
    pub(crate) fn body_mut(&mut self, handle: Handle) -> &mut [u8] {
        self.parts_mut(handle).1
    }

    /// Word and body of a slot.
    #[inline]
    pub(crate) fn parts(&self, handle: Handle) -> (&AtomicU32, &[u8]) {
        let (at, size) = self.slot(handle);
        // SAFETY: as in `word`.
        let word = unsafe { AtomicU32::from_ptr(at.cast()) };
        let body = at.wrapping_add(WORD_BYTES);
        // SAFETY: the range is the rest of a mapped and initialised slot, and no
        // word; nobody writes to it while `self` is borrowed.
        (word, unsafe { slice::from_raw_parts(body, size - WORD_BYTES) })
    }

    /// Word and body of a slot, to be written.
    #[inline]
    pub(crate) fn parts_mut(&mut self, handle: Handle) -> (&AtomicU32, &mut [u8]) {
        let (at, size) = self.slot(handle);
        // SAFETY: as in `word`.
        let word = unsafe { AtomicU32::from_ptr(at.cast()) };
        let body = at.wrapping_add(WORD_BYTES);
        // SAFETY: the range is the rest of a mapped and initialised slot, and no
        // word; `self` is borrowed exclusively, so there is no other reference.
        (word, unsafe { slice::from_raw_parts_mut(body, size - WORD_BYTES) })
    }

    /// Copies `len` bytes of the body of `from`, from offset `from_at`, into the
    /// body of `to` at offset `to_at`. It may be the same slot; ranges may overlap.
    #[inline]
    pub(crate) fn copy(
        &mut self,
        (from, from_at): (Handle, usize),
        (to, to_at): (Handle, usize),
        len: usize,
    ) {
        if from == to {
            self.body_mut(to).copy_within(from_at..from_at + len, to_at);
            return;
        }
        let source: *const u8 = self.body(from)[from_at..][..len].as_ptr();
        let target = self.body_mut(to)[to_at..][..len].as_mut_ptr();
        // SAFETY: both ranges were just checked to lie in their bodies; the slots
        // differ, so they do not overlap; `self` is borrowed exclusively.
        unsafe { source.copy_to_nonoverlapping(target, len) };
    }

    /// Asks the processor to fetch the first cache lines of a slot.
    ///
    /// The second may belong to the next slot: to find that out costs more than to fetch it.
    #[inline]
    pub(crate) fn prefetch(&self, handle: Handle) {
        if let Some(base) = self.bases.get(handle.region()) {
            let at = base.wrapping_add(handle.offset());
            prefetch_line(at);
            prefetch_line(at.wrapping_add(CACHE_LINE_BYTES));
        }
    }

    // --- Slots ------------------------------------------------------------

    /// Takes a slot of at least `len` bytes, at most `RECORD_MAX`. Its bytes are
    /// whatever they were.
    pub(crate) fn alloc(&mut self, len: usize) -> Result<Handle, Full> {
        let class = class_of(len);
        let spec = spec(class);
        let mut at = self.rooms[class as usize].first;
        if at == NO_SLAB {
            at = self.open_slab(class)?;
        }
        let unit = self.pop_free(at).unwrap_or_else(|| self.take_fresh(at, spec.size()));
        let slab = &mut self.slabs[at as usize];
        slab.used += 1;
        if slab.used == spec.slots() {
            self.unlink(class, at);
        }
        self.used_bytes += spec.size();
        heap::count(spec.size() as i64);
        Ok(Handle::new(at, unit))
    }

    /// Gives a slot back.
    ///
    /// # Panics
    ///
    /// If no slot begins there. A slot that is given back twice is not always
    /// noticed; two records may then be one.
    pub(crate) fn free(&mut self, handle: Handle) {
        let class = self.class(handle);
        let spec = spec(class);
        let at = handle.slab();
        let next = self.slabs[at as usize].free;
        self.body_mut(handle)[..2].copy_from_slice(&next.to_le_bytes());

        let slab = &mut self.slabs[at as usize];
        let was_sparse = slab.is_sparse(spec.slots());
        slab.free = handle.unit() as u16;
        slab.used -= 1;
        let (used, is_sparse) = (slab.used, slab.is_sparse(spec.slots()));
        self.used_bytes -= spec.size();
        heap::count(-(spec.size() as i64));

        if used + 1 == spec.slots() {
            self.link_first(class, at);
        }
        if used == 0 {
            self.unlink(class, at);
            self.close_slab(at);
        } else if is_sparse && !was_sparse {
            self.unlink(class, at);
            self.link_last(class, at);
        }
    }

    /// Whether the slot's slab is sparse and a new slot would come from another,
    /// so that moving the record helps to empty the slab.
    #[inline]
    pub(crate) fn is_sparse(&self, handle: Handle) -> bool {
        let class = self.class(handle);
        let slots = spec(class).slots();
        slots > 0
            && self.slabs[handle.slab() as usize].is_sparse(slots)
            && self.rooms[class as usize].first != handle.slab()
    }

    /// The slot that came back last, if there is one. It leaves the list.
    fn pop_free(&mut self, at: u32) -> Option<u16> {
        let unit = self.slabs[at as usize].free;
        if unit == NO_SLOT {
            return None;
        }
        let body = self.body(Handle::new(at, unit));
        self.slabs[at as usize].free = u16::from_le_bytes([body[0], body[1]]);
        Some(unit)
    }

    /// The lowest slot that was never used. The slab has a free slot, and none
    /// that came back, so there is one.
    fn take_fresh(&mut self, at: u32, size: usize) -> u16 {
        let slab = &mut self.slabs[at as usize];
        let unit = slab.fresh;
        slab.fresh += (size / UNIT) as u16;
        unit
    }

    // --- Lists of slabs with room -----------------------------------------

    fn link_first(&mut self, class: u8, at: u32) {
        let rooms = &mut self.rooms[class as usize];
        let next = rooms.first;
        rooms.first = at;
        if next == NO_SLAB {
            rooms.last = at;
        } else {
            self.slabs[next as usize].previous = at;
        }
        let slab = &mut self.slabs[at as usize];
        (slab.previous, slab.next) = (NO_SLAB, next);
    }

    fn link_last(&mut self, class: u8, at: u32) {
        let rooms = &mut self.rooms[class as usize];
        let previous = rooms.last;
        rooms.last = at;
        if previous == NO_SLAB {
            rooms.first = at;
        } else {
            self.slabs[previous as usize].next = at;
        }
        let slab = &mut self.slabs[at as usize];
        (slab.previous, slab.next) = (previous, NO_SLAB);
    }

    fn unlink(&mut self, class: u8, at: u32) {
        let Slab { previous, next, .. } = self.slabs[at as usize];
        let rooms = &mut self.rooms[class as usize];
        if previous == NO_SLAB {
            rooms.first = next;
        } else {
            self.slabs[previous as usize].next = next;
        }
        if next == NO_SLAB {
            rooms.last = previous;
        } else {
            self.slabs[next as usize].previous = previous;
        }
    }

    // --- Whole slabs ------------------------------------------------------

    /// Gives an empty slab to a class.
    #[cold]
    fn open_slab(&mut self, class: u8) -> Result<u32, Full> {
        let at = match self.warm.pop() {
            Some(at) => at,
            None => self.take_region().ok_or(Full)?,
        };
        let index = at as usize;
        if index >= self.slabs.len() {
            self.slabs.resize(index + 1, Slab::EMPTY);
            self.classes.resize(index + 1, NO_CLASS);
        }
        self.slabs[index] = Slab::EMPTY;
        self.classes[index] = class;
        self.in_use += 1;
        self.link_first(class, at);
        Ok(at)
    }

    /// Takes an emptied slab from its class. It stays warm for a while.
    #[cold]
    fn close_slab(&mut self, at: u32) {
        self.classes[at as usize] = NO_CLASS;
        self.in_use -= 1;
        if self.warm.len() == WARM_MAX {
            let oldest = self.warm.remove(0);
            self.cool(oldest);
        }
        self.warm.push(at);
    }

    /// Gives the memory of a slab back.
    fn cool(&mut self, at: u32) {
        let index = at as usize;
        self.bases[index] = std::ptr::null_mut();
        self.regions[index] = None;
        self.vacant.push(at);
    }

    /// Takes the memory of one more slab, at an index that is free.
    fn take_region(&mut self) -> Option<u32> {
        let vacant = self.vacant.last().copied();
        let at = vacant.unwrap_or(self.regions.len() as u32);
        if at as usize >= self.regions_max {
            return None;
        }
        let region = Region::take()?;
        if vacant.is_some() {
            self.vacant.pop();
        } else {
            self.regions.push(None);
            self.bases.push(std::ptr::null_mut());
        }
        self.bases[at as usize] = region.base().as_ptr();
        self.regions[at as usize] = Some(region);
        Some(at)
    }

    // --- Figures ----------------------------------------------------------

    /// Bytes of all slots in use, exactly.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// An estimate from above of the bytes which are resident: whole slabs, in
    /// use and warm.
    pub(crate) fn resident_bytes(&self) -> usize {
        (self.in_use + self.warm.len()) * SLAB_BYTES
    }

    /// Bytes of address space taken from the system.
    pub(crate) fn mapped_bytes(&self) -> usize {
        self.regions.iter().flatten().count() * REGION_BYTES
    }
}

/// The line size that all processors in question share or whose multiple they use.
const CACHE_LINE_BYTES: usize = 64;

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn prefetch_line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch has no effect but on the caches, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn prefetch_line(_at: *const u8) {}

#[cold]
#[inline(never)]
fn no_such_slot(handle: Handle) -> ! {
    panic!("no slot begins at {handle:?}: the handle is stale");
}

#[cfg(test)]
pub(crate) mod tests;
impl Drop for Slabs {
    /// The regions go by themselves; what is left is the count of their slots.
    fn drop(&mut self) {
        heap::count(-(self.used_bytes as i64));
    }
}
