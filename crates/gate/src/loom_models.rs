//! Models of the gate: loom runs each under every order of events that three
//! preemptions can make, and fails on a deadlock, which is what a lost wake is.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p gate --release --lib loom
//! ```
//!
//! Only what differs between orders is modelled; `rules.rs` has the rest.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::park::block_on;
use crate::{Gate, Read, Write};

/// A number in a cell that fails the model if two threads meet in it, or if one
/// does not see what the one before it did.
struct Watched(UnsafeCell<u32>);

// SAFETY: what is tested is just this: that the gate lets nobody into the cell
// beside a writer. Loom notes every access and fails the model otherwise.
unsafe impl Sync for Watched {}

type Shared = Arc<Gate<Watched>>;

fn watched() -> Shared {
    Arc::new(Gate::new(Watched(UnsafeCell::new(0))))
}

fn increment(inside: &Write<'_, Watched>) {
    inside.0.with_mut(|number| {
        // SAFETY: loom fails the model before it lets two threads in here.
        unsafe { *number += 1 }
    });
}

fn look(inside: &Read<'_, Watched>) -> u32 {
    inside.0.with(|number| {
        // SAFETY: loom fails the model before it lets a writer in beside this.
        unsafe { *number }
    })
}

/// Runs a model with a bound on preemptions: without one it takes hours.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(run);
}

fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn spawn(gate: &Shared, run: impl FnOnce(&Gate<Watched>) + 'static) -> thread::JoinHandle<()> {
    let gate = Arc::clone(gate);
    thread::spawn(move || run(&gate))
}

fn join_all(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("the model thread ends"));
}

/// Nobody is inside, nobody waits, nothing is marked, and all writes are there.
fn assert_idle_after(gate: &Gate<Watched>, writes: u32) {
    assert!(gate.state().is_free());
    assert_eq!(look(&gate.try_read().expect("the gate is free")), writes);
}

#[test]
fn two_writers_exclude_each_other_and_both_get_in() {
    model(|| {
        let gate = watched();
        let other = spawn(&gate, |gate| increment(&block_on(gate.write())));
        increment(&block_on(gate.write()));
        join_all([other]);
        assert_idle_after(&gate, 2);
    });
}

#[test]
fn two_writers_that_come_back_lose_no_wake() {
    model(|| {
        let gate = watched();
        let twice = |gate: &Gate<Watched>| {
            increment(&block_on(gate.write()));
            increment(&block_on(gate.write()));
        };
        let other = spawn(&gate, twice);
        twice(&gate);
        join_all([other]);
        assert_idle_after(&gate, 4);
    });
}

#[test]
fn three_writers_all_get_in() {
    model(|| {
        let gate = watched();
        let write = |gate: &Gate<Watched>| increment(&block_on(gate.write()));
        let others = [spawn(&gate, write), spawn(&gate, write)];
        write(&gate);
        join_all(others);
        assert_idle_after(&gate, 3);
    });
}

#[test]
fn a_writer_and_two_readers_all_get_in() {
    model(|| {
        let gate = watched();
        let read = |gate: &Gate<Watched>| assert!(look(&block_on(gate.read())) <= 1);
        let others = [spawn(&gate, read), spawn(&gate, read)];
        increment(&block_on(gate.write()));
        join_all(others);
        assert_idle_after(&gate, 1);
    });
}

#[test]
fn spinning_and_parking_threads_all_get_in() {
    model(|| {
        let gate = watched();
        let other = spawn(&gate, |gate| increment(&gate.write_blocking()));
        assert!(look(&gate.read_blocking()) <= 1);
        join_all([other]);
        assert_idle_after(&gate, 1);
    });
}

#[test]
fn a_newcomer_that_only_tries_takes_nothing_from_those_who_wait() {
    model(|| {
        let gate = watched();
        let wrote = Arc::new(AtomicBool::new(false));
        let tells = Arc::clone(&wrote);
        let newcomer = spawn(&gate, move |gate| {
            if let Some(inside) = gate.try_write() {
                increment(&inside);
                tells.store(true, Ordering::Relaxed);
            }
        });
        let reader = spawn(&gate, |gate| assert!(look(&block_on(gate.read())) <= 2));
        increment(&block_on(gate.write()));
        join_all([newcomer, reader]);
        assert_idle_after(&gate, 1 + u32::from(wrote.load(Ordering::Relaxed)));
    });
}

/// One gives up after a single poll, at any moment: before it is woken, or after,
/// or as the one inside leaves. The one behind it must get in all the same.
#[test]
fn a_future_that_gives_up_passes_the_wake_on() {
    model(|| {
        let gate = watched();
        let inside = gate.try_write().expect("the gate is free");
        let gives_up = spawn(&gate, |gate| {
            let mut future = gate.write();
            drop(poll(&mut future));
        });
        let stays = spawn(&gate, |gate| increment(&block_on(gate.write())));
        drop(inside);
        join_all([gives_up, stays]);
        assert_idle_after(&gate, 1);
    });
}

/// A writer that gives up lets the reader behind it join the one inside.
#[test]
fn a_writer_that_gives_up_lets_readers_behind_it_in() {
    model(|| {
        let gate = watched();
        let inside = gate.try_read().expect("the gate is free");
        let mut writer = gate.write();
        assert!(poll(&mut writer).is_none());
        let reader = spawn(&gate, |gate| assert_eq!(look(&block_on(gate.read())), 0));
        drop(writer);
        join_all([reader]);
        drop(inside);
        assert_idle_after(&gate, 0);
    });
}

#[test]
fn a_reserved_gate_keeps_newcomers_out_until_the_waiter_was_in() {
    model(|| {
        let gate = watched();
        let inside = gate.try_write().expect("the gate is free");
        let mut waiter = gate.write();
        assert!(poll(&mut waiter).is_none());
        drop(inside);
        let faster = gate.try_write().expect("a woken waiter does not own the gate");
        assert!(poll(&mut waiter).is_none());
        assert!(gate.state().is_reserved());

        let newcomer = spawn(&gate, |gate| {
            if let Some(inside) = gate.try_read() {
                assert_eq!(look(&inside), 1, "the waiter was in before");
            }
        });
        drop(faster);
        increment(&block_on(&mut waiter));
        join_all([newcomer]);
        assert_idle_after(&gate, 1);
    });
}

/// The first waiter is beaten in some orders and gives up in all of them, as the
/// newcomer leaves and another one joins the queue.
#[test]
fn a_reservation_ends_with_the_waiter_that_gives_up() {
    model(|| {
        let gate = watched();
        let inside = gate.try_write().expect("the gate is free");
        let mut waiter = gate.write();
        assert!(poll(&mut waiter).is_none());

        let newcomer = spawn(&gate, |gate| drop(gate.try_write()));
        let stays = spawn(&gate, |gate| increment(&block_on(gate.write())));
        drop(inside);
        drop(poll(&mut waiter));
        drop(waiter);
        join_all([newcomer, stays]);
        assert_idle_after(&gate, 1);
    });
}
