//! The counting allocator as the allocator of a whole process.
//!
//! A program of its own, without the harness of tests: whatever allocates meanwhile on another
//! thread would be counted, and the harness has threads.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::thread;

use memory::heap::{self, CountingAlloc};

#[cfg_attr(not(miri), global_allocator)]
static ALLOC: CountingAlloc = CountingAlloc;

/// Bytes that a block of work leaves allocated.
fn left_by<T>(work: impl FnOnce() -> T) -> (i64, T) {
    let before = heap::used_bytes() as i64;
    let result = work();
    (heap::used_bytes() as i64 - before, result)
}

fn one_thread_counts_exactly() {
    let (left, block) = left_by(|| black_box(vec![1_u8; 1_000_003]));
    assert_eq!(left, 1_000_003);
    let (left, zeroed) = left_by(|| black_box(vec![0_u64; 1000]));
    assert_eq!(left, 8000);
    let (left, block) = left_by(|| {
        let mut block = block;
        block.reserve_exact(1_000_000);
        black_box(block)
    });
    assert_eq!(left, 1_000_000);
    let (left, block) = left_by(|| {
        let mut block = block;
        block.shrink_to_fit();
        black_box(block)
    });
    assert_eq!(left, -1_000_000);
    assert_eq!(left_by(|| drop((block, zeroed))).0, -1_008_003);
}

fn what_one_thread_allocates_another_may_free() {
    let (_, blocks) = left_by(|| {
        thread::scope(|scope| {
            let make = || (0..100).map(|_| vec![7_u8; 10_000]).collect::<Vec<_>>();
            scope.spawn(make).join().expect("it does not panic")
        })
    });
    let (left, ()) = left_by(|| drop(black_box(blocks)));
    assert_eq!(left, -100 * 10_000 - 100 * size_of::<Vec<u8>>() as i64);
}

fn more_threads_than_counters_are_counted_too() {
    let run = || {
        for _ in 0..100 {
            // Joined: a scope alone does not wait for what its threads free at their very ends.
            thread::scope(|scope| {
                let work = || drop(black_box(vec![1_u8; 5000]));
                let threads: Vec<_> = (0..6).map(|_| scope.spawn(work)).collect();
                threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
            });
        }
    };
    let (left, ()) = left_by(run);
    assert!(left.abs() < 50_000, "600 threads leave {left} bytes");

    let (left, block) = left_by(|| {
        thread::scope(|scope| {
            scope.spawn(|| black_box(vec![1_u8; 3_000_000])).join().expect("it does not panic")
        })
    });
    assert!((3_000_000..3_010_000).contains(&left), "{left}");
    assert_eq!(left_by(|| drop(block)).0, -3_000_000);
}

fn a_refused_allocation_is_not_counted() {
    let layout = Layout::from_size_align(isize::MAX as usize - 4096, 8).expect("it is valid");
    let (left, block) = left_by(|| {
        // SAFETY: the layout is not empty.
        unsafe { ALLOC.alloc(layout) }
    });
    assert!(block.is_null());
    assert_eq!(left, 0);
}

fn a_purge_frees_nothing_that_is_live() {
    let block = black_box(vec![3_u8; 100_000]);
    let (left, ()) = left_by(heap::purge);
    assert_eq!(left, 0);
    assert!(block.iter().all(|&byte| byte == 3));
}

fn main() {
    // The allocator is none of Rust.
    if cfg!(miri) {
        return;
    }
    one_thread_counts_exactly();
    what_one_thread_allocates_another_may_free();
    a_refused_allocation_is_not_counted();
    a_purge_frees_nothing_that_is_live();
    more_threads_than_counters_are_counted_too();
    one_thread_counts_exactly();
}
