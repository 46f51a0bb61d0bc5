//! What happens at a gate that is not free: joining the queue, waking, entering
//! when woken, giving up.
//!
//! All of it runs under the queue's lock, which is held for a few instructions
//! and never while foreign code runs; hence the order in every function here:
//! clone the waker, lock, unlock, call and drop wakers.
//!
//! Why no wake is lost: a waiter sets the mark *waiters* under the lock, in the
//! operation that finds the gate closed. Whoever opens the gate later sees the
//! mark in the operation that opens it, then takes the lock, and so finds the
//! waiter. And whoever changes the front looks, under the lock, whether the gate
//! is open to the new one; if it is not, the mark is there for the one inside.

use std::task::Waker;

use crate::queue::{Queue, Ticket, Wakers};
use crate::state::{Access, State};
use crate::sync::{Mutex, MutexGuard};

/// The slow side of a gate: all but its value.
#[derive(Clone, Copy)]
pub(crate) struct Door<'g> {
    pub(crate) state: &'g State,
    pub(crate) queue: &'g Mutex<Queue>,
}

impl Door<'_> {
    /// Enters as a newcomer (`None`), or joins the queue (`Some`).
    #[cold]
    pub(crate) fn enter_or_join(self, access: Access, waker: &Waker) -> Option<Ticket> {
        let waker = waker.clone();
        let mut queue = self.lock();
        if self.state.enter_or_mark(access) {
            drop(queue);
            return None;
        }
        Some(queue.join(access, waker))
    }

    /// Enters if this waiter was woken and the gate is open to it; otherwise it
    /// sleeps on, to be woken by `waker`. Tells whether it entered, and with
    /// that has left the queue.
    #[cold]
    pub(crate) fn enter_or_sleep(self, ticket: Ticket, access: Access, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut queue = self.lock();
        if queue.is_woken(ticket) && self.state.try_enter_woken(access) {
            self.remove(queue, ticket);
            return true;
        }
        let old = queue.sleep(ticket, waker);
        self.mark(&queue);
        drop(queue);
        drop(old);
        false
    }

    /// Takes a waiter that gives up out of the queue.
    #[cold]
    pub(crate) fn give_up(self, ticket: Ticket) {
        self.remove(self.lock(), ticket);
    }

    /// Wakes the front of the queue after the gate became free. It is woken even
    /// if a newcomer was faster: whether it was beaten shows when it comes.
    #[cold]
    pub(crate) fn wake_front(self) {
        let wakers = self.lock().wake_front();
        wake(wakers);
    }

    /// How many have joined the queue, ever.
    pub(crate) fn joined(self) -> u64 {
        self.lock().joined()
    }

    /// Takes a waiter out and wakes whoever is at the front now, if it may enter.
    fn remove(self, mut queue: MutexGuard<'_, Queue>, ticket: Ticket) {
        let old = queue.remove(ticket);
        self.mark(&queue);
        let wakers = match queue.sleeping_front() {
            Some(access) if self.state.is_open_to(access) => queue.wake_front(),
            _ => Wakers::new(),
        };
        drop(queue);
        drop(old);
        wake(wakers);
    }

    /// Makes the marks say what the queue holds.
    fn mark(self, queue: &Queue) {
        self.state.mark(!queue.is_empty(), queue.is_front_beaten());
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics under the lock of the queue")
    }
}

/// Calls wakers; not under the lock.
fn wake(wakers: Wakers) {
    wakers.into_iter().for_each(Waker::wake);
}
