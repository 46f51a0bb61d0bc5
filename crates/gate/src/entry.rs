//! The gate itself, the guards of those inside, the futures of those on their way.
//!
//! This is the hot path: no allocation, no lock, no call where the gate is free.
//!
//! # Layout
//!
//! ```text
//! |<- own cache lines, two at a time: processors fetch them in pairs ->|
//! | state word | value ..............................| queue (rare)    |
//! ```
//!
//! # Safety contract
//!
//! 1. A [`Read`] exists only for an entry of [`Access::Shared`] into its gate and
//!    a [`Write`] only for one of [`Access::Exclusive`], and only the guard's
//!    `drop` leaves. Guards are made in this file only, each in the line after an
//!    entry that succeeded, and cannot be copied.
//! 2. The state word admits a writer only where nobody is inside, and a reader
//!    only where no writer is (`state.rs`). Forgetting a guard keeps it inside.
//! 3. The value is reached through a guard or through `&mut Gate`, never else.
//!
//! So while a `Write` lives no other guard of the gate does, and while a `Read`
//! lives no `Write` does. [`Gate::prefetch`] reaches nothing: it is a hint.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::door::Door;
use crate::park::block_on;
use crate::queue::Queue;
use crate::state::{Access, State};
use crate::sync::Mutex;
use crate::visit::Visit;

/// A value that many may read or one may change: see the [crate's page](crate).
///
/// Three ways in, for readers and writers alike: `try_` looks once, `spin_` keeps
/// looking for about 2 us, and the futures and the blocking calls wait.
///
/// Threads share a gate only if its value may be shared and sent:
///
/// ```compile_fail,E0277
/// fn share<T: Sync>(_: T) {}
/// share(gate::Gate::new(std::cell::Cell::new(0)));
/// ```
#[repr(C, align(128))]
pub struct Gate<T> {
    state: State,
    value: UnsafeCell<T>,
    queue: Mutex<Queue>,
}

// SAFETY: the value is the only part that is not `Sync` by itself. By the contract
// threads share it (readers, hence `T: Sync`) or pass it on from one to the next
// (writers may move it out by `mem::replace`, hence `T: Send`). Entering acquires
// what leaving released, so each sees the changes of those before it.
unsafe impl<T: Send + Sync> Sync for Gate<T> {}

impl<T> Gate<T> {
    /// A free gate before `value`. Allocates nothing.
    pub fn new(value: T) -> Self {
        let queue = Mutex::new(Queue::new());
        Gate { state: State::new(), value: UnsafeCell::new(value), queue }
    }

    /// Asks the processor to bring the gate here, to be written. Who will enter several gates asks
    /// for all of them first: then the waits for those that another core has are one wait.
    #[inline(always)]
    pub fn prefetch(&self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch has no effect but on the caches, whatever the address; to a processor
        // that does not know this one it is nothing.
        unsafe {
            std::arch::asm!("prefetchw [{0}]", in(reg) self, options(nostack, preserves_flags));
        }
    }

    /// Enters to read if that is possible now. Neither waits nor spins.
    #[inline]
    pub fn try_read(&self) -> Option<Read<'_, T>> {
        self.state.try_enter(Access::Shared).then(|| Read { gate: self })
    }

    /// Enters to write if that is possible now. Neither waits nor spins.
    #[inline]
    pub fn try_write(&self) -> Option<Write<'_, T>> {
        self.state.try_enter(Access::Exclusive).then(|| Write { gate: self })
    }

    /// Enters to read, spinning for about 2 us if the gate is busy. `None` says
    /// that it is worth waiting by [`Gate::read`].
    #[inline]
    pub fn spin_read(&self) -> Option<Read<'_, T>> {
        self.state.spin_enter(Access::Shared).then(|| Read { gate: self })
    }

    /// Enters to write, spinning for about 2 us if the gate is busy. `None` says
    /// that it is worth waiting by [`Gate::write`].
    #[inline]
    pub fn spin_write(&self) -> Option<Write<'_, T>> {
        self.state.spin_enter(Access::Exclusive).then(|| Write { gate: self })
    }

    /// Enters to read; the task waits its turn, without spinning.
    #[inline]
    pub fn read(&self) -> ReadFuture<'_, T> {
        ReadFuture { gate: self, visit: Visit::new(self.door(), Access::Shared) }
    }

    /// Enters to write; the task waits its turn, without spinning.
    #[inline]
    pub fn write(&self) -> WriteFuture<'_, T> {
        WriteFuture { gate: self, visit: Visit::new(self.door(), Access::Exclusive) }
    }

    /// Enters to read; spins, then parks the thread. For threads that serve no
    /// connections.
    pub fn read_blocking(&self) -> Read<'_, T> {
        self.spin_read().unwrap_or_else(|| block_on(self.read()))
    }

    /// Enters to write; spins, then parks the thread. For threads that serve no
    /// connections.
    pub fn write_blocking(&self) -> Write<'_, T> {
        self.spin_write().unwrap_or_else(|| block_on(self.write()))
    }

    /// The value, without entering: `&mut self` shows that nobody is inside.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// How many entries had to queue since the gate was made. For metrics: it
    /// takes the lock of the queue for a moment.
    pub fn waits(&self) -> u64 {
        self.door().joined()
    }

    /// The state word, for tests to look at.
    #[cfg(test)]
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The gate without its value.
    #[inline]
    fn door(&self) -> Door<'_> {
        Door { state: &self.state, queue: &self.queue }
    }

    /// Leaves the gate, and wakes who waits if it is free by that.
    #[inline]
    fn leave(&self, access: Access) {
        if self.state.leave(access) {
            self.door().wake_front();
        }
    }
}

/// The entry of a reader. Dropping it leaves the gate.
#[must_use = "the gate is left at once if the guard is not kept"]
pub struct Read<'g, T> {
    gate: &'g Gate<T>,
}

impl<T> Deref for Read<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a reader is inside while this guard lives, so no writer is and
        // nobody has a `&mut` to the value.
        unsafe { &*self.gate.value.get() }
    }
}

impl<T> Drop for Read<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.gate.leave(Access::Shared);
    }
}

/// The entry of a writer. Dropping it leaves the gate.
#[must_use = "the gate is left at once if the guard is not kept"]
pub struct Write<'g, T> {
    gate: &'g Gate<T>,
}

impl<T> Deref for Write<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the writer inside is this guard, so the only `&mut` to the value
        // is made by `deref_mut`, which cannot overlap with a borrow of the guard.
        unsafe { &*self.gate.value.get() }
    }
}

impl<T> DerefMut for Write<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the writer inside is this guard, so nobody else reaches the
        // value, and this guard is borrowed for as long as the reference lives.
        unsafe { &mut *self.gate.value.get() }
    }
}

impl<T> Drop for Write<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.gate.leave(Access::Exclusive);
    }
}

/// A reader on its way into a gate; made by [`Gate::read`].
///
/// It does nothing until it is polled; then it has a place in the queue until it
/// gives its guard or is dropped. After it was woken it must be polled or dropped
/// soon: kept and not polled, it may keep the gate closed to newcomers.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ReadFuture<'g, T> {
    gate: &'g Gate<T>,
    visit: Visit<'g>,
}

impl<'g, T> Future for ReadFuture<'g, T> {
    type Output = Read<'g, T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Read<'g, T>> {
        self.visit.poll(context).map(|()| Read { gate: self.gate })
    }
}

/// A writer on its way into a gate; made by [`Gate::write`].
///
/// It does nothing until it is polled; then it has a place in the queue until it
/// gives its guard or is dropped. After it was woken it must be polled or dropped
/// soon: kept and not polled, it may keep the gate closed to newcomers.
#[must_use = "a future does nothing unless it is awaited"]
pub struct WriteFuture<'g, T> {
    gate: &'g Gate<T>,
    visit: Visit<'g>,
}

impl<'g, T> Future for WriteFuture<'g, T> {
    type Output = Write<'g, T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Write<'g, T>> {
        self.visit.poll(context).map(|()| Write { gate: self.gate })
    }
}
