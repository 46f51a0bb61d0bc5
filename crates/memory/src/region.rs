//! A region: 16 KiB of memory, cut from extents that all shards share.
//!
//! Extents are 32 MiB of address space taken from the system in one go, for huge pages where the
//! system has them: a look-up in a large keyspace misses the TLB less, which is a tenth of what a
//! pipelined GET costs. They are shared because a huge page is resident as a whole once it is
//! touched: if each of the many shards had extents of its own, most of that would be for nothing.
//! For the same reason the first two megabytes of a process are on pages as small as they are, so
//! that a server of a few keys stays small.
//! A region that is given back loses its pages and waits, lowest address first, for whoever asks
//! next; extents stay mapped.
//!
//! The lock of the pool is taken once for 16 KiB of records, under the gate of a shard; nothing
//! is done under it but to look at a list, and now and then to map an extent.
//!
//! # Safety contract
//!
//! A `Region` owns `REGION_BYTES` bytes from `base`, mapped readable and
//! writable from construction to drop, and initialised throughout (anonymous
//! memory is zero until it is written). The pool holds the addresses of such
//! bytes that nobody owns. The file hands out the pointer and never reads or
//! writes through it; who does must not outlive the region.

use std::collections::BTreeSet;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

/// Bytes of a region.
pub const REGION_BYTES: usize = 16 << 10;

/// Bytes of an extent.
const EXTENT_BYTES: usize = if cfg!(miri) { REGION_BYTES } else { 32 << 20 };

/// What transparent huge pages cover; extents begin at a multiple of it.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// The regions that nobody has.
static POOL: Mutex<Pool> = Mutex::new(Pool { free: BTreeSet::new(), has_extent: false });

struct Pool {
    free: BTreeSet<Address>,
    /// Whether an extent was ever mapped.
    has_extent: bool,
}

/// Where a region begins that nobody has.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Address(NonNull<u8>);

// SAFETY: the address of memory that any thread may take.
unsafe impl Send for Address {}

impl Pool {
    /// Takes the lowest region, of a new extent if there is none.
    fn take(&mut self) -> Option<NonNull<u8>> {
        if self.free.is_empty() {
            let extent = map_extent()?;
            let on_small_pages = if self.has_extent { 0 } else { HUGE_PAGE_BYTES };
            advise_huge_pages(extent, on_small_pages);
            self.has_extent = true;
            let offsets = (0..EXTENT_BYTES).step_by(REGION_BYTES);
            let bases = offsets.filter_map(|at| NonNull::new(extent.as_ptr().wrapping_add(at)));
            self.free.extend(bases.map(Address));
        }
        self.free.pop_first().map(|address| address.0)
    }
}

/// Mapped memory that nobody else has; see the module.
pub struct Region {
    base: NonNull<u8>,
}

// SAFETY: a region is memory that any thread may unmap.
unsafe impl Send for Region {}
// SAFETY: nothing can be done with a shared region but to copy its address.
unsafe impl Sync for Region {}

impl Region {
    /// Takes a region; `None` if the system has no memory or addresses left.
    #[must_use]
    pub fn take() -> Option<Region> {
        let base = POOL.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Region { base })
    }

    /// The address of the first byte.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        discard(self.base.as_ptr(), REGION_BYTES);
        POOL.lock().unwrap_or_else(PoisonError::into_inner).free.insert(Address(self.base));
    }
}

/// Maps an extent at a multiple of the huge page's size.
#[cfg(not(miri))]
fn map_extent() -> Option<NonNull<u8>> {
    let wide = map(EXTENT_BYTES + HUGE_PAGE_BYTES)?.as_ptr();
    let head = wide.align_offset(HUGE_PAGE_BYTES);
    let base = wide.wrapping_add(head);
    unmap(wide, head);
    unmap(base.wrapping_add(EXTENT_BYTES), HUGE_PAGE_BYTES - head);
    NonNull::new(base)
}

/// Miri knows no partial unmapping, and nothing depends on the alignment.
#[cfg(miri)]
fn map_extent() -> Option<NonNull<u8>> {
    map(EXTENT_BYTES)
}

fn map(len: usize) -> Option<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // Miri knows no flag beyond these two; `NORESERVE` only matters to a system
    // which accounts for memory before it is used.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    #[cfg(not(miri))]
    let flags = flags | libc::MAP_NORESERVE;
    // SAFETY: without an address to respect, a new mapping touches no other.
    let base = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if base == libc::MAP_FAILED { None } else { NonNull::new(base.cast()) }
}

/// Gives an end of a mapping of this file back, which nobody uses.
#[cfg(not(miri))]
fn unmap(base: *mut u8, len: usize) {
    if len == 0 {
        return;
    }
    // SAFETY: the range was mapped by `map` and its owner gives it up, so no
    // pointer into it is used again.
    let refused = unsafe { libc::munmap(base.cast(), len) };
    debug_assert_eq!(refused, 0, "a mapping of ours can be unmapped");
}

/// Asks for huge pages in an extent, but for its first `skipped` bytes, which are less than all.
/// Only advice: a system without huge pages refuses it and goes on as before.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise_huge_pages(extent: NonNull<u8>, skipped: usize) {
    let from = extent.as_ptr().wrapping_add(skipped);
    // SAFETY: the extent is mapped, and the advice changes none of its bytes.
    unsafe { libc::madvise(from.cast(), EXTENT_BYTES - skipped, libc::MADV_HUGEPAGE) };
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn advise_huge_pages(_extent: NonNull<u8>, _skipped: usize) {}

#[cfg(all(target_os = "linux", not(miri)))]
fn discard(base: *mut u8, len: usize) {
    // SAFETY: the range is inside a mapped anonymous region, which `&mut` gives
    // to the caller alone; its bytes become zero and stay mapped.
    unsafe { libc::madvise(base.cast(), len, libc::MADV_DONTNEED) };
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn discard(_base: *mut u8, _len: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_readable_and_writable_to_its_end() {
        let region = Region::take().unwrap();
        let last = region.base().as_ptr().wrapping_add(REGION_BYTES - 1);
        // SAFETY: the last byte of a mapped region, which nobody else knows.
        unsafe { last.write(7) };
        // SAFETY: as above.
        assert_eq!(unsafe { last.read() }, 7);
    }

    #[test]
    fn no_two_regions_overlap() {
        let regions: Vec<Region> = (0..1000).map(|_| Region::take().unwrap()).collect();
        let mut starts: Vec<usize> = regions.iter().map(|one| one.base().addr().get()).collect();
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= REGION_BYTES));
    }
}
