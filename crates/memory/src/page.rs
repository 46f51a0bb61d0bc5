//! A page: a value in 4 KiB of its own, cut from a region.
//!
//! A `Box` of such a value would do, but for the TLB: the pages of many boxes lie on as many
//! pages of the machine, and a look-up that reads one of them at random waits for the page table
//! as well. Pages of one region lie on the same huge page.
//!
//! Pages that are given back wait, lowest address first, for whoever asks next; when all pages of
//! a region have come back, the region goes back whole.
//!
//! # Safety contract
//!
//! 1. A page owns `PAGE_BYTES` bytes, part of a region that the pool keeps alive while any page
//!    of it is owned. They begin with a valid `T`, from construction to drop.
//! 2. The pool holds the addresses of such bytes that nobody owns, and for each region it has cut
//!    the [`Region`] itself.
//! 3. [`Page::leak`] gives the page up without dropping it; [`Page::from_leaked`] is its inverse,
//!    and asks for an address that came from there and was not taken back since.

use std::alloc::{Layout, handle_alloc_error};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use crate::heap;
use crate::region::{REGION_BYTES, Region};

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4 << 10;

/// Pages of a region.
const PAGES: usize = REGION_BYTES / PAGE_BYTES;

/// The pages that nobody has.
static POOL: Mutex<Pool> = Mutex::new(Pool { free: BTreeSet::new(), regions: BTreeMap::new() });

struct Pool {
    free: BTreeSet<Address>,
    /// The regions that pages were cut from, by where they begin.
    regions: BTreeMap<Address, Region>,
}

/// Where a page begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Address(NonNull<u8>);

// SAFETY: the address of memory that any thread may take.
unsafe impl Send for Address {}

impl Pool {
    /// Takes the lowest page, of a new region if there is none.
    fn take(&mut self) -> Option<NonNull<u8>> {
        if self.free.is_empty() {
            let region = Region::take()?;
            let base = Address(region.base());
            self.free.extend(pages_of(base));
            self.regions.insert(base, region);
        }
        self.free.pop_first().map(|page| page.0)
    }

    /// Takes a page back. Returns its region if that is complete again, to be dropped outside of
    /// the lock.
    fn give_back(&mut self, page: NonNull<u8>) -> Option<Region> {
        let page = Address(page);
        self.free.insert(page);
        let (&base, _) = self.regions.range(..=page).next_back()?;
        if !pages_of(base).all(|page| self.free.contains(&page)) {
            return None;
        }
        pages_of(base).for_each(|page| {
            self.free.remove(&page);
        });
        self.regions.remove(&base)
    }
}

/// The pages of the region that begins there.
fn pages_of(base: Address) -> impl Iterator<Item = Address> {
    let starts = (0..PAGES).map(move |nth| base.0.as_ptr().wrapping_add(nth * PAGE_BYTES));
    starts.filter_map(NonNull::new).map(Address)
}

/// A value of type `T` in a page of its own; see the module.
pub struct Page<T> {
    value: NonNull<T>,
}

// SAFETY: a page owns its value, as a box does.
unsafe impl<T: Send> Send for Page<T> {}
// SAFETY: a shared page gives shared access to its value only.
unsafe impl<T: Sync> Sync for Page<T> {}

impl<T> Page<T> {
    const FITS: () = assert!(size_of::<T>() <= PAGE_BYTES && align_of::<T>() <= PAGE_BYTES);

    /// Puts a value into a page. Ends the process if the system has no memory left, as a box does.
    #[must_use]
    pub fn new(value: T) -> Page<T> {
        let () = Self::FITS;
        let taken = POOL.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(page) = taken else { handle_alloc_error(Layout::new::<T>()) };
        let page = page.cast::<T>();
        // SAFETY: a page that nobody else has, large enough and aligned (`FITS`, and pages begin
        // at multiples of their size).
        unsafe { page.write(value) };
        heap::count(PAGE_BYTES as i64);
        Page { value: page }
    }

    /// Gives the value's address, and the duty to end it by [`Page::from_leaked`].
    #[must_use = "the page is lost otherwise"]
    pub fn leak(self) -> NonNull<T> {
        let value = self.value;
        std::mem::forget(self);
        value
    }

    /// The page that was leaked.
    ///
    /// # Safety
    ///
    /// The address is one that [`Page::leak`] gave and that was not turned back into a page
    /// since; nobody uses it any more but through this page.
    #[must_use]
    pub unsafe fn from_leaked(value: NonNull<T>) -> Page<T> {
        Page { value }
    }
}

impl<T> Deref for Page<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the page begins with a valid `T`, which `self` owns.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Page<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `self` is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Page<T> {
    fn drop(&mut self) {
        // SAFETY: the value is valid and not used again.
        unsafe { self.value.drop_in_place() };
        heap::count(-(PAGE_BYTES as i64));
        let page = self.value.cast::<u8>();
        let region = POOL.lock().unwrap_or_else(PoisonError::into_inner).give_back(page);
        drop(region);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[repr(align(64))]
    struct Whole([u8; PAGE_BYTES]);

    #[test]
    fn pages_do_not_overlap_and_keep_their_values() {
        let pages: Vec<Page<Whole>> =
            (0..37).map(|nth| Page::new(Whole([nth; PAGE_BYTES]))).collect();
        for (nth, page) in (0..).zip(&pages) {
            assert!(page.0.iter().all(|&byte| byte == nth));
        }
    }

    #[test]
    fn a_dropped_page_drops_its_value() {
        let value = Arc::new(());
        let page = Page::new(Arc::clone(&value));
        assert_eq!(Arc::strong_count(&value), 2);
        drop(page);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn a_leaked_page_can_be_had_back() {
        let mut page = Page::new(7_u64);
        *page += 1;
        let leaked = page.leak();
        // SAFETY: the address of a page that was leaked just now.
        let page = unsafe { Page::from_leaked(leaked) };
        assert_eq!(*page, 8);
    }

    #[test]
    fn a_region_whose_pages_all_came_back_goes_back() {
        let mut pool = Pool { free: BTreeSet::new(), regions: BTreeMap::new() };
        let taken: Vec<NonNull<u8>> = (0..2 * PAGES).filter_map(|_| pool.take()).collect();
        assert_eq!((taken.len(), pool.regions.len()), (2 * PAGES, 2));
        let (first, rest) = taken.split_at(PAGES);
        assert_eq!(first.iter().filter_map(|&page| pool.give_back(page)).count(), 1);
        assert_eq!((pool.regions.len(), pool.free.len()), (1, 0));
        assert_eq!(rest.iter().filter_map(|&page| pool.give_back(page)).count(), 1);
        assert!(pool.regions.is_empty() && pool.free.is_empty());
    }
}
