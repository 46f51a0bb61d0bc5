//! The state word of a gate: who is inside, and what newcomers must heed.
//!
//! This is the hot path. Entering a free gate and leaving it is one atomic
//! operation each; everything else is behind a call.
//!
//! # Layout
//!
//! ```text
//!  63                            3        2         1        0
//! +-------------------------------+----------+---------+--------+
//! |      number of readers        | reserved | waiters | writer |
//! +-------------------------------+----------+---------+--------+
//! ```
//!
//! # Invariants
//!
//! 1. With `writer` set there are no readers.
//! 2. `reserved` is set only while `waiters` is.
//! 3. The number of readers cannot overflow: to forget 2^61 guards takes centuries.
//!
//! # Ordering
//!
//! Entering acquires and leaving releases, so whoever is inside sees what those
//! before it did. All changes are read-modify-writes, which keeps the chain of
//! releases whole, so the marks themselves need no ordering. *Waiters* is set in
//! the operation that finds the gate closed, and tested in the operation that
//! opens it: one of the two sees the other, and no wake is lost.

use crate::sync::{AtomicU64, Ordering, spin_loop};

/// Nobody inside, nobody waiting.
const FREE: u64 = 0;
/// The writer is inside.
const WRITER: u64 = 1;
/// The queue is not empty.
const WAITERS: u64 = 1 << 1;
/// The front of the queue was beaten: newcomers keep out.
const RESERVED: u64 = 1 << 2;
/// One reader inside.
const READER: u64 = 1 << 3;
/// What is said of the queue.
const MARKS: u64 = WAITERS | RESERVED;

/// How often a newcomer looks again before it gives up, a spin hint between two
/// looks: 1.6 us where a hint takes 25 ns (AMD), 3 us where it takes 45 (Intel).
const SPINS_MAX: u32 = if cfg!(loom) { 1 } else { 64 };

/// What somebody wants to enter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To read, beside other readers.
    Shared,
    /// To write, alone.
    Exclusive,
}

impl Access {
    /// What the state word grows by when somebody enters.
    #[inline]
    const fn unit(self) -> u64 {
        match self {
            Access::Shared => READER,
            Access::Exclusive => WRITER,
        }
    }

    /// The state after a woken waiter entered, if it may.
    const fn admit_waiter(self, word: u64) -> Option<u64> {
        let closed = match self {
            Access::Shared => word & WRITER != 0,
            Access::Exclusive => word & !MARKS != 0,
        };
        if closed { None } else { Some(word + self.unit()) }
    }

    /// The state after a newcomer entered, if it may: not a reserved gate, and
    /// not beside readers while somebody waits.
    const fn admit_newcomer(self, word: u64) -> Option<u64> {
        let reserved = word & RESERVED != 0;
        let passes_waiters = word & WAITERS != 0 && word >= READER;
        if reserved || passes_waiters { None } else { self.admit_waiter(word) }
    }
}

/// The state word.
pub(crate) struct State(AtomicU64);

impl State {
    /// The state of a free gate.
    pub(crate) fn new() -> State {
        State(AtomicU64::new(FREE))
    }

    /// Enters as a newcomer. Refused only if the gate was seen closed: a change
    /// by others that leaves it open is no refusal.
    #[inline]
    pub(crate) fn try_enter(&self, access: Access) -> bool {
        self.try_enter_free(access) || self.try_enter_used(access)
    }

    /// Enters as a newcomer, looking again and again for about 2 us. A reserved
    /// gate is given up at once: it stays closed until a waiter has been served.
    #[inline]
    pub(crate) fn spin_enter(&self, access: Access) -> bool {
        self.try_enter_free(access) || self.spin_enter_used(access)
    }

    /// Enters if the gate is free. It guesses that and does not look first: a
    /// look would fetch the cache line twice, once to share it, once to own it.
    #[inline]
    fn try_enter_free(&self, access: Access) -> bool {
        let swapped =
            self.0.compare_exchange(FREE, access.unit(), Ordering::Acquire, Ordering::Relaxed);
        swapped.is_ok()
    }

    /// The second look of [`State::try_enter`].
    #[cold]
    #[inline(never)]
    fn try_enter_used(&self, access: Access) -> bool {
        self.enter_if(|word| access.admit_newcomer(word))
    }

    /// The spinning of [`State::spin_enter`].
    #[cold]
    #[inline(never)]
    fn spin_enter_used(&self, access: Access) -> bool {
        for _ in 0..SPINS_MAX {
            if self.try_enter_used(access) {
                return true;
            }
            if self.0.load(Ordering::Relaxed) & RESERVED != 0 {
                return false;
            }
            spin_loop();
        }
        self.try_enter_used(access)
    }

    /// Enters as a woken waiter. The caller holds the queue's lock.
    pub(crate) fn try_enter_woken(&self, access: Access) -> bool {
        self.enter_if(|word| access.admit_waiter(word))
    }

    /// Moves to the state that `admit` makes of the present one, if it makes one.
    fn enter_if(&self, admit: impl Fn(u64) -> Option<u64>) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while let Some(next) = admit(word) {
            match self.swap(word, next) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Enters as a newcomer (`true`) or sets the mark *waiters* on a gate that is
    /// closed (`false`), in one step. The caller holds the queue's lock.
    pub(crate) fn enter_or_mark(&self, access: Access) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let admitted = access.admit_newcomer(word);
            match self.swap(word, admitted.unwrap_or(word | WAITERS)) {
                Ok(_) => return admitted.is_some(),
                Err(now) => word = now,
            }
        }
    }

    /// One attempt at a change; the present state if it came to nothing.
    fn swap(&self, word: u64, next: u64) -> Result<u64, u64> {
        self.0.compare_exchange_weak(word, next, Ordering::Acquire, Ordering::Relaxed)
    }

    /// Whether a woken waiter could enter. What a caller who holds the queue's
    /// lock sees may be old, but then whoever changed it saw the mark *waiters*.
    pub(crate) fn is_open_to(&self, access: Access) -> bool {
        access.admit_waiter(self.0.load(Ordering::Relaxed)).is_some()
    }

    /// Says whether anybody waits and whether the front of the queue was beaten.
    /// The caller holds the queue's lock.
    pub(crate) fn mark(&self, waiters: bool, reserved: bool) {
        let marks = if waiters { WAITERS } else { 0 } | if reserved { RESERVED } else { 0 };
        let wrong = (self.0.load(Ordering::Relaxed) ^ marks) & MARKS;
        if wrong != 0 {
            self.0.fetch_xor(wrong, Ordering::Relaxed);
        }
    }

    /// Leaves, and tells whether the front of the queue must be woken: somebody
    /// waits, and nobody is left inside.
    #[inline]
    #[must_use]
    pub(crate) fn leave(&self, access: Access) -> bool {
        let before = self.0.fetch_sub(access.unit(), Ordering::Release);
        debug_assert!(before >= access.unit(), "left without having entered");
        before & !RESERVED == access.unit() | WAITERS
    }

    /// Whether nobody is inside and nobody waits.
    #[cfg(test)]
    pub(crate) fn is_free(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FREE
    }

    /// Whether newcomers are kept out for the front of the queue.
    #[cfg(test)]
    pub(crate) fn is_reserved(&self) -> bool {
        self.0.load(Ordering::Relaxed) & RESERVED != 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Every state of up to three readers that the invariants allow.
    fn words() -> impl Iterator<Item = u64> {
        let inside = [FREE, WRITER, READER, 2 * READER, 3 * READER];
        inside.into_iter().flat_map(|inside| [0, WAITERS, MARKS].map(|marks| inside | marks))
    }

    #[test]
    fn a_writer_enters_only_where_nobody_is_inside() {
        for word in words() {
            let empty = word & !MARKS == 0;
            assert_eq!(Access::Exclusive.admit_waiter(word), empty.then_some(word | WRITER));
        }
    }

    #[test]
    fn a_reader_enters_wherever_no_writer_is_inside() {
        for word in words() {
            let open = word & WRITER == 0;
            assert_eq!(Access::Shared.admit_waiter(word), open.then_some(word + READER));
        }
    }

    #[test]
    fn a_newcomer_enters_where_a_waiter_may_unless_it_would_pass_one() {
        for word in words() {
            let inside = word & !MARKS != 0;
            let passes = word & RESERVED != 0 || (word & WAITERS != 0 && inside);
            for access in [Access::Shared, Access::Exclusive] {
                let waiter = access.admit_waiter(word);
                assert_eq!(access.admit_newcomer(word), waiter.filter(|_| !passes), "{word:b}");
            }
        }
    }

    #[test]
    fn the_last_to_leave_wakes_and_only_if_somebody_waits() {
        for marks in [0, WAITERS, MARKS] {
            let waiters = marks != 0;
            let state = State(AtomicU64::new((2 * READER) | marks));
            assert!(!state.leave(Access::Shared));
            assert_eq!(state.leave(Access::Shared), waiters);

            let state = State(AtomicU64::new(WRITER | marks));
            assert_eq!(state.leave(Access::Exclusive), waiters);
            assert_eq!(state.0.load(Ordering::Relaxed), marks);
        }
    }

    #[test]
    fn marks_change_nothing_but_the_marks() {
        for word in words() {
            for (waiters, reserved) in [(false, false), (true, false), (true, true)] {
                let state = State(AtomicU64::new(word));
                state.mark(waiters, reserved);

                let after = state.0.load(Ordering::Relaxed);
                assert_eq!(after & !MARKS, word & !MARKS);
                assert_eq!(after & WAITERS != 0, waiters);
                assert_eq!(after & RESERVED != 0, reserved);
            }
        }
    }

    #[test]
    fn a_closed_gate_is_marked_and_an_open_one_entered() {
        for word in words() {
            for access in [Access::Shared, Access::Exclusive] {
                let state = State(AtomicU64::new(word));
                let admitted = access.admit_newcomer(word);

                assert_eq!(state.enter_or_mark(access), admitted.is_some());
                let after = admitted.unwrap_or(word | WAITERS);
                assert_eq!(state.0.load(Ordering::Relaxed), after);
            }
        }
    }
}
