//! The process' allocator: mimalloc, and a count of the bytes that are live.
//!
//! Limits are enforced on what is really used, so every allocation is counted.
//! One counter for all threads would be a line they fight over; here each thread
//! adds to a counter of its own, with a plain load and store, and only who asks
//! for the sum reads them all. What one thread frees of another's makes its own
//! counter negative, which the sum sets right.
//!
//! Counted is what was asked for, not what mimalloc rounds it to: what is freed
//! is told with the same size, so the count never drifts.
//!
//! # Invariants
//!
//! 1. A counter other than the shared one is written by one thread, ever: it stays
//!    when its thread ends, and no later thread takes it.
//! 2. Counting neither allocates nor registers a destructor, so it can be done
//!    at any time in a thread's life.
//!
//! # Safety contract
//!
//! [`CountingAlloc`] passes every call to mimalloc unchanged and gives back
//! what mimalloc gave, so it keeps the contract of [`GlobalAlloc`] as mimalloc
//! does; the counters are atomics and safe code.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicUsize};

use mimalloc::MiMalloc;

/// Threads that get a counter of their own; later ones share the first.
const COUNTERS: usize = 256;

/// The counter of threads that have none of their own.
const SHARED: usize = 0;

/// The mark of a thread which has not asked for its counter yet.
const UNKNOWN: usize = usize::MAX;

/// A counter on cache lines of its own: processors fetch lines in pairs.
#[repr(align(128))]
struct Counter(AtomicI64);

static LIVE_BYTES: [Counter; COUNTERS] = [const { Counter(AtomicI64::new(0)) }; COUNTERS];

/// The next counter to be given out, if there is one.
static NEXT: AtomicUsize = AtomicUsize::new(SHARED + 1);

thread_local! {
    /// The index of the thread's counter.
    static OWN: Cell<usize> = const { Cell::new(UNKNOWN) };
}

/// mimalloc with a count of live bytes, to be the `#[global_allocator]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAlloc;

// SAFETY: every method is mimalloc's, with the same arguments and result.
unsafe impl GlobalAlloc for CountingAlloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        let block = unsafe { MiMalloc.alloc(layout) };
        count_new(block, layout.size());
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc_zeroed`.
        let block = unsafe { MiMalloc.alloc_zeroed(layout) };
        count_new(block, layout.size());
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { MiMalloc.dealloc(block, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        let new = unsafe { MiMalloc.realloc(block, layout, new_size) };
        if !new.is_null() {
            count(new_size as i64 - layout.size() as i64);
        }
        new
    }
}

/// Bytes that are allocated and not yet freed, in the whole process, slots of slabs and pages
/// included.
///
/// Exact when no other thread allocates meanwhile; otherwise each thread counts
/// as it was at some moment during the call. Only slots and pages are counted
/// if [`CountingAlloc`] is not the global allocator.
pub fn used_bytes() -> usize {
    let given = NEXT.load(Relaxed).min(COUNTERS);
    let sum: i64 = LIVE_BYTES[..given].iter().map(|counter| counter.0.load(Relaxed)).sum();
    usize::try_from(sum).unwrap_or(0)
}

/// Asks mimalloc to give back to the system what it keeps in reserve: the
/// calling thread's pages and those of threads that ended. It may take
/// milliseconds.
pub fn purge() {
    // SAFETY: it has no precondition and frees no block that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[inline]
fn count_new(block: *mut u8, len: usize) {
    if !block.is_null() {
        count(len as i64);
    }
}

/// Adds to the bytes that are live, or takes from them: for what lies in regions and pages, which
/// the allocator does not know.
#[inline]
pub fn count(bytes: i64) {
    match OWN.try_with(Cell::get) {
        Ok(own) if own < COUNTERS && own != SHARED => {
            let live = &LIVE_BYTES[own].0;
            live.store(live.load(Relaxed) + bytes, Relaxed);
        }
        Ok(UNKNOWN) => count_first(bytes),
        _ => count_shared(bytes),
    }
}

/// Counts for a thread that has no counter yet, and finds it one.
#[cold]
fn count_first(bytes: i64) {
    let own = next_counter();
    // A thread that cannot remember its counter must not take it again.
    let own = OWN.try_with(|cell| cell.set(own)).map_or(SHARED, |()| own);
    LIVE_BYTES[own].0.fetch_add(bytes, Relaxed);
}

/// A counter that no thread has, or the shared one. Threads without end do not
/// make `NEXT` overflow: it stops at the end of the array.
fn next_counter() -> usize {
    NEXT.fetch_update(Relaxed, Relaxed, |next| (next < COUNTERS).then_some(next + 1))
        .unwrap_or(SHARED)
}

#[cold]
fn count_shared(bytes: i64) {
    LIVE_BYTES[SHARED].0.fetch_add(bytes, Relaxed);
}
