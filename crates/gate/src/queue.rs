//! Those who wait at one gate, in the order they came.
//!
//! Plain data: it knows neither the state word nor threads. A waiter keeps its
//! place from the moment it joins until it is removed, because it entered or
//! gave up; being woken moves nobody.
//!
//! # Invariants
//!
//! 1. Tickets ascend from front to back.
//! 2. A waiter has a waker if and only if it has not been woken since it last
//!    began to wait.
//! 3. An empty queue keeps room for no more than [`KEPT`] waiters.
//!
//! # Complexity
//!
//! A waiter is found in O(log n). Removing it costs as many moves as there are
//! waiters before it, or behind it if that is less; those who enter are near
//! the front.

use std::collections::VecDeque;
use std::task::Waker;

use smallvec::SmallVec;

use crate::state::Access;

/// How many places an empty queue may keep allocated: enough for a busy gate,
/// and a few hundred bytes for an idle one.
const KEPT: usize = 8;

/// Wakers taken out of the queue, to be called once its lock is given up.
pub(crate) type Wakers = SmallVec<[Waker; 4]>;

/// A waiter's place in the queue. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// One who waits.
struct Waiter {
    ticket: Ticket,
    access: Access,
    /// It was woken once and found the gate taken.
    beaten: bool,
    /// Whom to wake; gone once it was woken.
    waker: Option<Waker>,
}

/// The queue of a gate.
pub(crate) struct Queue {
    waiters: VecDeque<Waiter>,
    /// How many have joined, ever; also the next ticket.
    joined: u64,
}

impl Queue {
    /// An empty queue; it allocates nothing.
    pub(crate) const fn new() -> Queue {
        Queue { waiters: VecDeque::new(), joined: 0 }
    }

    /// How many have joined, ever.
    pub(crate) const fn joined(&self) -> u64 {
        self.joined
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// What the first waiter wants, if there is one and it sleeps.
    pub(crate) fn sleeping_front(&self) -> Option<Access> {
        self.waiters.front().filter(|front| front.waker.is_some()).map(|front| front.access)
    }

    /// Whether the first waiter was beaten.
    pub(crate) fn is_front_beaten(&self) -> bool {
        self.waiters.front().is_some_and(|front| front.beaten)
    }

    /// Appends a waiter.
    pub(crate) fn join(&mut self, access: Access, waker: Waker) -> Ticket {
        let ticket = Ticket(self.joined);
        self.joined += 1;
        self.waiters.push_back(Waiter { ticket, access, beaten: false, waker: Some(waker) });
        ticket
    }

    /// Whether this waiter was woken since it last began to wait.
    pub(crate) fn is_woken(&self, ticket: Ticket) -> bool {
        self.waiters[self.place(ticket)].waker.is_none()
    }

    /// Lets a waiter sleep on, and gives back its old waker. One who had been
    /// woken is beaten from now on.
    #[must_use = "the old waker is to be dropped outside of the lock"]
    pub(crate) fn sleep(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        let place = self.place(ticket);
        let waiter = &mut self.waiters[place];
        let old = waiter.waker.replace(waker);
        waiter.beaten |= old.is_none();
        old
    }

    /// Takes a waiter out, and gives back its waker.
    #[must_use = "the old waker is to be dropped outside of the lock"]
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Waker> {
        let place = self.place(ticket);
        let waiter = self.waiters.remove(place);
        if self.waiters.is_empty() {
            self.waiters.shrink_to(KEPT);
        }
        waiter.and_then(|waiter| waiter.waker)
    }

    /// Marks the front as woken and gives the wakers to call: those of a writer,
    /// or of all readers up to the next writer or to one who was woken before,
    /// and who will see to those behind it. None if the front was woken before.
    #[must_use = "the wakers are to be called once the lock is given up"]
    pub(crate) fn wake_front(&mut self) -> Wakers {
        match self.sleeping_front() {
            None => Wakers::new(),
            Some(Access::Exclusive) => self.waiters[0].waker.take().into_iter().collect(),
            Some(Access::Shared) => {
                let waiters = self.waiters.iter_mut();
                let readers = waiters.take_while(|waiter| waiter.access == Access::Shared);
                readers.map_while(|reader| reader.waker.take()).collect()
            }
        }
    }

    /// Where in the queue a waiter is.
    fn place(&self, ticket: Ticket) -> usize {
        let found = self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        found.expect("a waiter keeps its place until its future removes it")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use Access::{Exclusive, Shared};

    use super::*;

    fn join(queue: &mut Queue, accesses: &[Access]) -> Vec<Ticket> {
        accesses.iter().map(|&access| queue.join(access, Waker::noop().clone())).collect()
    }

    fn woken(queue: &Queue, tickets: &[Ticket]) -> Vec<bool> {
        tickets.iter().map(|&ticket| queue.is_woken(ticket)).collect()
    }

    #[test]
    fn an_empty_queue_has_nobody_to_wake() {
        let mut queue = Queue::new();
        assert!(queue.wake_front().is_empty());
        assert!(!queue.is_front_beaten());
        assert_eq!(queue.sleeping_front(), None);
    }

    #[test]
    fn a_writer_at_the_front_is_woken_alone() {
        let mut queue = Queue::new();
        let tickets = join(&mut queue, &[Exclusive, Exclusive, Shared]);

        assert_eq!(queue.wake_front().len(), 1);
        assert_eq!(woken(&queue, &tickets), [true, false, false]);
        assert!(queue.wake_front().is_empty(), "the front was woken before");
    }

    #[test]
    fn readers_at_the_front_are_woken_together_up_to_a_writer() {
        let mut queue = Queue::new();
        let tickets = join(&mut queue, &[Shared, Shared, Exclusive, Shared]);

        assert_eq!(queue.wake_front().len(), 2);
        assert_eq!(woken(&queue, &tickets), [true, true, false, false]);
    }

    #[test]
    fn only_a_woken_waiter_that_sleeps_again_is_beaten() {
        let mut queue = Queue::new();
        let tickets = join(&mut queue, &[Exclusive]);

        assert!(queue.sleep(tickets[0], Waker::noop().clone()).is_some());
        assert!(!queue.is_front_beaten());

        assert_eq!(queue.wake_front().len(), 1);
        assert!(queue.sleep(tickets[0], Waker::noop().clone()).is_none());
        assert!(queue.is_front_beaten());
    }

    #[test]
    fn a_beaten_reader_does_not_hide_the_woken_ones_behind_it() {
        let mut queue = Queue::new();
        let tickets = join(&mut queue, &[Shared, Shared, Shared]);
        assert_eq!(queue.wake_front().len(), 3);
        assert!(queue.sleep(tickets[0], Waker::noop().clone()).is_none());

        assert_eq!(queue.wake_front().len(), 1);
        assert_eq!(woken(&queue, &tickets), [true, true, true]);
    }

    #[test]
    fn waiters_are_found_whatever_left_before_them() {
        let mut queue = Queue::new();
        let tickets = join(&mut queue, &[Shared; 5]);
        for ticket in [tickets[3], tickets[0], tickets[2]] {
            assert!(queue.remove(ticket).is_some());
        }
        assert_eq!(queue.wake_front().len(), 2);
        assert!(queue.remove(tickets[4]).is_none());
        assert!(queue.remove(tickets[1]).is_none());
        assert!(queue.is_empty());
        assert_eq!(queue.joined(), 5);
    }

    #[test]
    fn an_empty_queue_gives_its_memory_back() {
        let mut queue = Queue::new();
        for ticket in join(&mut queue, &[Shared; 1_000]) {
            assert!(queue.remove(ticket).is_some());
        }
        assert!(queue.waiters.capacity() <= KEPT);
    }
}
