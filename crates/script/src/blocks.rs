//! The memory of one Lua: the process' own, with small blocks kept for the next who asks. Hot.
//!
//! Nearly all that scripts ask for is small and soon given back: strings, the tables of replies.
//! Blocks of up to 256 bytes come in steps of 16 and go into a list for each step, so that most
//! of them cost a few instructions. Larger ones go straight through.
//!
//! # Safety contract
//!
//! Whoever gives a block back, or has it changed, tells the length that it was asked for. A block
//! in a list belongs to the list alone, is as long as its step and holds the address of the next.
//!
//! # Invariants
//!
//! 1. No more than [`KEPT_BYTES_MAX`] wait in the lists.
//! 2. It knows no thread: whoever has the Lua may be on any.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// What every block is aligned to, and by what small ones differ, in bytes.
const STEP: usize = 16;

/// How many sizes small blocks have.
const SIZES: usize = 16;

/// How much waits for the next who asks at most, in bytes: what the garbage of brief scripts is
/// worth when it is collected.
const KEPT_BYTES_MAX: usize = 512 * 1024;

/// A block that waits, as it begins.
struct Free {
    next: Option<NonNull<Free>>,
}

/// See the module's page.
pub(crate) struct Blocks {
    free: [Cell<Option<NonNull<Free>>>; SIZES],
    kept_bytes: Cell<usize>,
}

impl Blocks {
    pub(crate) const fn new() -> Self {
        Self { free: [const { Cell::new(None) }; SIZES], kept_bytes: Cell::new(0) }
    }

    /// A new block; null if there is no memory for it. `len` is not zero.
    #[inline]
    pub(crate) fn get(&self, len: usize) -> *mut u8 {
        let Some(size) = size_of_small(len) else { return get_large(len) };
        let Some(block) = self.free[size].get() else { return get_large(bytes_of(size)) };
        // SAFETY: it waits in a list, so it begins with the next one's address.
        self.free[size].set(unsafe { block.as_ref() }.next);
        self.kept_bytes.set(self.kept_bytes.get() - bytes_of(size));
        block.as_ptr().cast()
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// It came from here, was asked for with this length, and nobody uses it any more.
    #[inline]
    pub(crate) unsafe fn give_back(&self, block: NonNull<u8>, len: usize) {
        let Some(size) = size_of_small(len) else {
            // SAFETY: a large block has the layout that it was asked for with.
            return unsafe { alloc::dealloc(block.as_ptr(), layout(len)) };
        };
        let kept_bytes = self.kept_bytes.get() + bytes_of(size);
        if kept_bytes > KEPT_BYTES_MAX {
            // SAFETY: a small block is as long as its step.
            return unsafe { alloc::dealloc(block.as_ptr(), layout(bytes_of(size))) };
        }
        let block: NonNull<Free> = block.cast();
        // SAFETY: it has room for an address, is aligned for it, and belongs to the list now.
        unsafe { block.write(Free { next: self.free[size].get() }) };
        self.free[size].set(Some(block));
        self.kept_bytes.set(kept_bytes);
    }

    /// Makes a block longer or shorter, wherever it lies then; null if there is no memory for it,
    /// and then it stays. Neither length is zero.
    ///
    /// # Safety
    ///
    /// As [`Blocks::give_back`]; if it is moved, the old one is given back.
    pub(crate) unsafe fn change(&self, block: NonNull<u8>, old: usize, new: usize) -> *mut u8 {
        match (size_of_small(old), size_of_small(new)) {
            (Some(before), Some(after)) if before == after => return block.as_ptr(),
            (None, None) if Layout::from_size_align(new, STEP).is_err() => return ptr::null_mut(),
            // SAFETY: both are large, so the layout is that of the old length.
            (None, None) => return unsafe { alloc::realloc(block.as_ptr(), layout(old), new) },
            _ => {}
        }
        let Some(moved) = NonNull::new(self.get(new)) else { return ptr::null_mut() };
        // SAFETY: both are blocks of their own, each as long as the shorter of the two at least.
        unsafe { moved.copy_from_nonoverlapping(block, old.min(new)) };
        // SAFETY: the caller's promise; what it held has been copied.
        unsafe { self.give_back(block, old) };
        moved.as_ptr()
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (size, free) in self.free.iter().enumerate() {
            let mut next = free.take();
            while let Some(block) = next {
                // SAFETY: as in `get`.
                next = unsafe { block.as_ref() }.next;
                // SAFETY: as in `give_back`, and no list knows it any more.
                unsafe { alloc::dealloc(block.as_ptr().cast(), layout(bytes_of(size))) };
            }
        }
    }
}

/// Which size a block of `len` bytes has, if it is a small one.
#[inline]
fn size_of_small(len: usize) -> Option<usize> {
    let size = (len - 1) / STEP;
    (size < SIZES).then_some(size)
}

const fn bytes_of(size: usize) -> usize {
    (size + 1) * STEP
}

/// The layout of a block that exists, so that it is a layout.
fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, STEP).expect("it was one when the block was made")
}

#[cold]
fn get_large(len: usize) -> *mut u8 {
    match Layout::from_size_align(len, STEP) {
        // SAFETY: the layout is not empty, as nobody asks for nothing.
        Ok(layout) if len > 0 => unsafe { alloc::alloc(layout) },
        _ => ptr::null_mut(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills it with a byte, and checks it later.
    fn fill(block: *mut u8, len: usize, byte: u8) -> NonNull<u8> {
        let block = NonNull::new(block).unwrap();
        // SAFETY: it is so long.
        unsafe { block.write_bytes(byte, len) };
        block
    }

    fn is_filled(block: NonNull<u8>, len: usize, byte: u8) -> bool {
        // SAFETY: it is so long and was filled.
        unsafe { std::slice::from_raw_parts(block.as_ptr(), len) }.iter().all(|&it| it == byte)
    }

    fn give_back(blocks: &Blocks, block: NonNull<u8>, len: usize) {
        // SAFETY: the tests give what they got, with its length.
        unsafe { blocks.give_back(block, len) };
    }

    fn change(blocks: &Blocks, block: NonNull<u8>, old: usize, new: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { blocks.change(block, old, new) }
    }

    #[test]
    fn blocks_hold_what_was_written_through_every_change() {
        let blocks = Blocks::new();
        let lens = [1, 15, 16, 17, 100, 255, 256, 257, 4096, 100_000];
        for old in lens {
            for new in lens {
                let block = fill(blocks.get(old), old, 7);
                let others: Vec<_> = lens.map(|len| (fill(blocks.get(len), len, 9), len)).into();
                let moved = NonNull::new(change(&blocks, block, old, new)).unwrap();
                assert!(moved.addr().get().is_multiple_of(STEP));
                assert!(is_filled(moved, old.min(new), 7), "{old} {new}");
                for (other, len) in others {
                    assert!(is_filled(other, len, 9), "{old} {new} {len}");
                    give_back(&blocks, other, len);
                }
                give_back(&blocks, moved, new);
            }
        }
    }

    #[test]
    fn what_is_kept_is_used_again_and_bounded() {
        let blocks = Blocks::new();
        let first = fill(blocks.get(40), 40, 1);
        give_back(&blocks, first, 40);
        assert_eq!(blocks.get(33), first.as_ptr());
        assert_eq!(blocks.kept_bytes.get(), 0);
        let many: Vec<_> = (0..5_000).map(|_| fill(blocks.get(250), 250, 1)).collect();
        for block in many {
            give_back(&blocks, block, 250);
        }
        assert_eq!(blocks.kept_bytes.get(), KEPT_BYTES_MAX);
        give_back(&blocks, first, 33);
    }

    #[test]
    fn what_no_memory_has_is_refused() {
        let blocks = Blocks::new();
        assert!(blocks.get(usize::MAX).is_null());
        let block = fill(blocks.get(300), 300, 3);
        assert!(change(&blocks, block, 300, usize::MAX).is_null());
        assert!(is_filled(block, 300, 3));
        give_back(&blocks, block, 300);
    }
}
