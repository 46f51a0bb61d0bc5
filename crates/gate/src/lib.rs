//! The gate of a shard: a reader-writer lock with an asynchronous wait.
//!
//! Every command enters at least one gate, nearly always a free one, so that
//! costs one atomic operation on the way in and one on the way out. Who meets a
//! busy gate spins for about 2 us ([`Gate::spin_read`], [`Gate::spin_write`])
//! and then waits as a task ([`Gate::read`], [`Gate::write`]) or as a thread
//! ([`Gate::read_blocking`], [`Gate::write_blocking`]).
//!
//! ```
//! let gate = gate::Gate::new(1);
//! if let Some(mut value) = gate.spin_write() {
//!     *value += 1;
//! }
//! assert_eq!(gate.try_read().map(|value| *value), Some(2));
//! ```
//!
//! # Why a lock of our own
//!
//! The known ones take from this job what it needs most: the standard library's
//! lock parks the thread and with it every other connection of the worker;
//! Tokio's takes an internal lock on each entry; and those that hand the lock
//! to a waiter keep a free gate closed until that waiter's worker finds time
//! for it, and everybody who comes in between has to wait too: a convoy.
//!
//! # Order of entry
//!
//! Many readers or one writer are inside. Others form one queue, first come
//! first served, whatever they came for.
//!
//! 1. When the last one leaves, the front of the queue is woken: one writer, or
//!    all readers up to the next writer. They keep their places until they are in.
//! 2. They are woken, not handed the gate: a newcomer may take a gate that is
//!    free. It may not join readers who are inside while anybody waits.
//! 3. A woken waiter who finds the gate taken is *beaten*. While a beaten waiter
//!    is at the front, the gate is *reserved*: newcomers are refused, free or
//!    not, and queue up. So a waiter at the front is beaten at most once.
//! 4. When the queue gets a new front and the gate is open to it, it is woken:
//!    readers let the readers behind them in, and a waiter who gives up (drops
//!    its future) passes on the wake and the reservation.
//!
//! # Invariants
//!
//! 1. While somebody is in the queue and the gate is open to its front, the
//!    front has been woken, or a thread that left or changed the queue is about
//!    to wake it.
//! 2. The marks *waiters* and *reserved* in the state word say what the queue
//!    holds. Only who holds the queue's lock writes them.
//! 3. No waker is cloned, called or dropped under the queue's lock: a waker is
//!    foreign code and might come back to this gate.
//!
//! # Safety contract
//!
//! All `unsafe` is in `entry.rs`; its header has the contract.
//!
//! The gate is not poisoned by a panic, it is only left; whether the value is
//! still sound is for the caller to decide. Nor is it reentrant: who is inside
//! and waits for the same gate may wait for itself, two readers included.

mod door;
mod entry;
#[cfg(all(test, loom))]
mod loom_models;
mod park;
mod queue;
#[cfg(all(test, not(loom)))]
mod rules;
mod state;
mod sync;
mod visit;

pub use entry::{Gate, Read, ReadFuture, Write, WriteFuture};
pub use park::block_on;
