//! A region: a piece of address space taken from the system in one go.
//!
//! Pages become resident when they are first touched and can be given back one
//! by one; the region itself goes back when it is dropped.
//!
//! # Safety contract
//!
//! A `Region` owns `REGION_BYTES` bytes from `base`, mapped readable and
//! writable from construction to drop, and initialised throughout (anonymous
//! memory is zero until it is written). The file hands out the pointer and never
//! reads or writes through it; who does must not outlive the region.

use std::ptr::{self, NonNull};

/// Bytes of a region.
pub(crate) const REGION_BYTES: usize = 4 << 20;

/// What transparent huge pages cover; regions begin at a multiple of it.
#[cfg(not(miri))]
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Which pages the system shall use for a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Only small ones: nothing is resident beyond what was touched.
    Small,
    /// Huge ones where the system has them: fewer misses of the TLB, but the
    /// first touch makes 2 MiB resident.
    Huge,
}

/// Mapped memory; see the module.
pub(crate) struct Region {
    base: NonNull<u8>,
}

// SAFETY: a region is memory that any thread may unmap.
unsafe impl Send for Region {}
// SAFETY: nothing can be done with a shared region but to copy its address.
unsafe impl Sync for Region {}

impl Region {
    /// Maps a new region; `None` if the system has no memory or addresses left.
    pub(crate) fn map(pages: Pages) -> Option<Region> {
        let base = map_aligned()?;
        advise_pages(base, pages);
        Some(Region { base })
    }

    /// The address of the first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Gives the pages of `len` bytes from offset `at` back to the system.
    ///
    /// What the bytes hold afterwards is not defined (zero, or what they held,
    /// if the system refuses), but they stay initialised.
    pub(crate) fn discard(&mut self, at: usize, len: usize) {
        assert!(at <= REGION_BYTES && len <= REGION_BYTES - at, "the range is the region's");
        discard(self.base.as_ptr().wrapping_add(at), len);
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        unmap(self.base.as_ptr(), REGION_BYTES);
    }
}

/// Maps a region at a multiple of the huge page's size, as near as it can to its
/// upper neighbour: regions side by side are one mapping for the system, which
/// limits the number of mappings.
#[cfg(not(miri))]
fn map_aligned() -> Option<NonNull<u8>> {
    let exact = map(REGION_BYTES)?;
    if exact.addr().get().is_multiple_of(HUGE_PAGE_BYTES) {
        return Some(exact);
    }
    unmap(exact.as_ptr(), REGION_BYTES);

    let wide = map(REGION_BYTES + HUGE_PAGE_BYTES)?.as_ptr();
    let tail = wide.addr() % HUGE_PAGE_BYTES;
    let head = HUGE_PAGE_BYTES - tail;
    let base = wide.wrapping_add(head);
    unmap(wide, head);
    unmap(base.wrapping_add(REGION_BYTES), tail);
    NonNull::new(base)
}

/// Miri knows no partial unmapping, and nothing depends on the alignment.
#[cfg(miri)]
fn map_aligned() -> Option<NonNull<u8>> {
    map(REGION_BYTES)
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

/// Takes back a whole mapping of this file, or an end of it that nobody uses.
fn unmap(base: *mut u8, len: usize) {
    if len == 0 {
        return;
    }
    // SAFETY: the range was mapped by `map` and its owner gives it up, so no
    // pointer into it is used again.
    let refused = unsafe { libc::munmap(base.cast(), len) };
    debug_assert_eq!(refused, 0, "a mapping of ours can be unmapped");
}

/// Only advice: a system without huge pages refuses it and goes on as before.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise_pages(base: NonNull<u8>, pages: Pages) {
    let advice = match pages {
        Pages::Small => libc::MADV_NOHUGEPAGE,
        Pages::Huge => libc::MADV_HUGEPAGE,
    };
    // SAFETY: the region is mapped, and the advice changes none of its bytes.
    unsafe { libc::madvise(base.as_ptr().cast(), REGION_BYTES, advice) };
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn advise_pages(_base: NonNull<u8>, _pages: Pages) {}

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
    fn a_region_is_zero_writable_and_zero_again_after_a_discard() {
        let mut region = Region::map(Pages::Small).unwrap();
        let last = region.base().as_ptr().wrapping_add(REGION_BYTES - 1);
        // SAFETY: the last byte of a mapped region, which nobody else knows.
        assert_eq!(unsafe { last.read() }, 0);
        // SAFETY: as above.
        unsafe { last.write(7) };
        // SAFETY: as above.
        assert_eq!(unsafe { last.read() }, 7);

        region.discard(REGION_BYTES - 16384, 16384);
        // SAFETY: as above; discarded bytes stay mapped.
        let byte = unsafe { last.read() };
        assert_eq!(byte, if cfg!(all(target_os = "linux", not(miri))) { 0 } else { 7 });
    }

    #[cfg(not(miri))]
    #[test]
    fn regions_begin_at_a_huge_page() {
        let regions: Vec<Region> = (0..5).map(|_| Region::map(Pages::Huge).unwrap()).collect();
        for region in &regions {
            assert_eq!(region.base().addr().get() % HUGE_PAGE_BYTES, 0);
        }
    }

    #[test]
    #[should_panic(expected = "the range is the region's")]
    fn a_discard_beyond_the_end_is_refused() {
        Region::map(Pages::Small).unwrap().discard(REGION_BYTES - 4096, 8192);
    }
}
