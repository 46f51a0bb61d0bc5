//! Real threads at one gate: nothing is lost, nothing is seen half done, nobody
//! starves. The work is bounded; a lost wake shows as a test that does not end.

#![cfg(not(loom))]

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use gate::{Gate, Read, Write};

const THREADS: u64 = 4;
const ROUNDS: u64 = 20_000;

/// Two halves that agree whenever nobody writes.
#[derive(Default)]
struct Halves {
    left: u64,
    right: u64,
}

impl Halves {
    /// Adds one, in two steps.
    fn step(&mut self) {
        self.left += 1;
        linger(self.left);
        self.right += 1;
    }

    /// The number both halves hold, which are looked at one after the other.
    fn agreed(&self) -> u64 {
        let right = self.right;
        linger(right);
        assert_eq!(self.left, right, "a change was seen half done");
        right
    }
}

/// Now and then gives the processor away while inside, so that others come to a
/// busy gate and queue, even where there are fewer processors than threads.
fn linger(count: u64) {
    if count.is_multiple_of(4) {
        thread::yield_now();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Writes by the way in that `round` falls on.
fn write<T>(gate: &Gate<T>, round: u64) -> Write<'_, T> {
    match round % 4 {
        0 => gate.write_blocking(),
        1 => block_on(gate.write()),
        2 => gate.try_write().unwrap_or_else(|| block_on(gate.write())),
        _ => gate.spin_write().unwrap_or_else(|| block_on(gate.write())),
    }
}

/// Reads by the way in that `round` falls on.
fn read<T>(gate: &Gate<T>, round: u64) -> Read<'_, T> {
    match round % 4 {
        0 => gate.read_blocking(),
        1 => block_on(gate.read()),
        2 => gate.try_read().unwrap_or_else(|| block_on(gate.read())),
        _ => gate.spin_read().unwrap_or_else(|| block_on(gate.read())),
    }
}

/// Polls a future once and drops it, entered, queued or woken as it may be.
fn poll_and_drop<F: Future + Unpin>(mut future: F) {
    drop(Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())));
}

#[test]
fn no_change_of_many_writers_is_lost() {
    let gate = Gate::new(Halves::default());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..ROUNDS).for_each(|round| write(&gate, round).step()));
        }
    });
    assert_eq!(read(&gate, 0).agreed(), THREADS * ROUNDS);
    assert!(gate.waits() > 0, "the threads never met");
}

#[test]
fn readers_among_writers_see_whole_changes_in_order() {
    let gate = Gate::new(Halves::default());
    let work = |thread: u64| {
        let mut seen = 0;
        for round in 0..ROUNDS {
            if round % THREADS == thread {
                write(&gate, round / THREADS).step();
            }
            let now = read(&gate, round).agreed();
            assert!(now >= seen, "time went backwards");
            seen = now;
        }
    };
    thread::scope(|scope| {
        (0..THREADS).for_each(|thread| drop(scope.spawn(move || work(thread))));
    });
    assert_eq!(read(&gate, 0).agreed(), ROUNDS);
}

#[test]
fn futures_that_give_up_take_no_wake_with_them() {
    let gate = Gate::new(Halves::default());
    let work = || {
        for round in 0..ROUNDS {
            poll_and_drop(gate.write());
            write(&gate, round).step();
            poll_and_drop(gate.read());
            read(&gate, round).agreed();
        }
    };
    thread::scope(|scope| {
        (0..THREADS).for_each(|_| drop(scope.spawn(work)));
    });
    assert_eq!(read(&gate, 0).agreed(), THREADS * ROUNDS);
    assert!(gate.try_write().is_some());
}

/// The readers go on until the writer had its turns, so one that starves would
/// keep them reading for ever.
#[test]
fn a_writer_gets_its_turns_among_readers_that_never_rest() {
    const TURNS: u64 = 500;
    let gate = Gate::new(Halves::default());
    let done = AtomicBool::new(false);
    let keep_reading = || {
        while !done.load(Ordering::Relaxed) {
            gate.spin_read().unwrap_or_else(|| block_on(gate.read())).agreed();
        }
    };
    thread::scope(|scope| {
        (0..3).for_each(|_| drop(scope.spawn(keep_reading)));
        (0..TURNS).for_each(|_| block_on(gate.write()).step());
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(read(&gate, 0).agreed(), TURNS);
}

#[test]
fn a_reader_gets_its_turns_among_writers_that_never_rest() {
    const TURNS: u64 = 500;
    let gate = Gate::new(Halves::default());
    let done = AtomicBool::new(false);
    let keep_writing = || {
        while !done.load(Ordering::Relaxed) {
            gate.spin_write().unwrap_or_else(|| block_on(gate.write())).step();
        }
    };
    thread::scope(|scope| {
        (0..3).for_each(|_| drop(scope.spawn(keep_writing)));
        let mut seen = 0;
        for _ in 0..TURNS {
            let now = block_on(gate.read()).agreed();
            assert!(now >= seen, "time went backwards");
            seen = now;
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(gate.try_write().is_some());
}
