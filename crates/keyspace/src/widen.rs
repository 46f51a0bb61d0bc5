//! Entering more shards in the midst of a transaction.
//!
//! Whoever enters says what he needs beforehand; a script may find out later. If it has changed
//! something by then, it cannot begin anew. It keeps what it holds and enters the others, waiting
//! if it must, so that to others it is as if it had entered all at once.
//!
//! Two rules keep that from locking up:
//!
//! * Only one transaction at a time widens. Another one that wants to is refused.
//! * Whoever enters in order, and so waits for a gate while he holds others, gives way: he leaves
//!   what he has, lets the one that widens end, and begins again.
//!
//! So the gates that a widening transaction waits for are held by transactions that run and need
//! no more, or are given back.
//!
//! # Invariants
//!
//! 1. Nobody but the one that widens waits for a gate while he holds one, as long as it is at it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use event_listener::Event;

use crate::keyspace::{Mode, Plan};
use crate::shard::ShardId;
use crate::view::{Entered, Guard, View};

/// Whether a transaction widens, and who is told when one begins or has ended.
#[derive(Debug, Default)]
pub(crate) struct Widening {
    is_on: AtomicBool,
    begun: Event,
    ended: Event,
}

/// The right to widen, until it is dropped.
#[must_use]
pub(crate) struct Right<'a>(&'a Widening);

impl Widening {
    /// Takes the right; `None`: somebody else has it.
    fn begin(&self) -> Option<Right<'_>> {
        if self.is_on.swap(true, Ordering::SeqCst) {
            return None;
        }
        self.begun.notify(usize::MAX);
        Some(Right(self))
    }

    fn is_on(&self) -> bool {
        self.is_on.load(Ordering::SeqCst)
    }

    /// Waits until nobody widens.
    pub(crate) async fn over(&self) {
        while self.is_on() {
            let told = self.ended.listen();
            if self.is_on() {
                told.await;
            }
        }
    }

    /// What `wait` waits for; `None` if somebody begins to widen before that.
    pub(crate) async fn or_give_way<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        let mut told = pin!(self.begun.listen());
        if self.is_on() {
            return None;
        }
        let mut wait = pin!(wait);
        poll_fn(|context| match wait.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => told.as_mut().poll(context).map(|()| None),
        })
        .await
    }
}

impl Drop for Right<'_> {
    fn drop(&mut self) {
        self.0.is_on.store(false, Ordering::SeqCst);
        self.0.ended.notify(usize::MAX);
    }
}

impl View<'_> {
    /// Whether every shard is entered.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.entered, Entered::All(_))
    }

    /// Whether the shard of a key with this hash is entered.
    #[must_use]
    #[inline]
    pub fn holds(&self, hash: u64) -> bool {
        self.is_whole() || self.is_entered(self.keyspace.shard_of(hash))
    }

    /// Enters these shards, too, alone, if all of them are free now.
    ///
    /// Returns whether they are entered.
    pub fn try_widen(&mut self, plan: &Plan) -> bool {
        let keyspace = self.keyspace;
        let missing = self.missing(plan).into_iter();
        let more = missing.map(|id| Some((id, keyspace.try_one(id, Mode::Exclusive)?)));
        let more: Option<Vec<_>> = more.collect();
        more.map(|more| self.add(more)).is_some()
    }

    /// Enters these shards, too, alone, however long that takes; the calling thread is parked.
    ///
    /// Returns `false` if another transaction is doing so: then nothing is entered.
    #[must_use]
    pub fn widen_blocking(&mut self, plan: &Plan) -> bool {
        let keyspace = self.keyspace;
        let Some(_right) = keyspace.widening.begin() else { return false };
        let ids = self.missing(plan);
        let wait = async {
            let mut more = Vec::with_capacity(ids.len());
            for id in ids {
                more.push((id, keyspace.wait_one(id, Mode::Exclusive).await));
            }
            more
        };
        self.add(gate::block_on(wait));
        true
    }

    /// The shards of a plan that are not entered, in ascending order.
    fn missing(&self, plan: &Plan) -> Vec<ShardId> {
        let wanted: Vec<ShardId> = match plan {
            Plan::One(id) => vec![*id],
            Plan::Some(ids) => ids.to_vec(),
            Plan::All => self.keyspace.shard_ids().collect(),
        };
        wanted.into_iter().filter(|&id| !self.is_entered(id)).collect()
    }
}

impl<'g> View<'g> {
    /// Takes everything that is entered, and everything that was noted, out of this view, which
    /// is a view of no shard then.
    #[must_use]
    pub fn take(&mut self) -> View<'g> {
        let nothing = View::new(self.keyspace, *self.frame(), Entered::Some(Vec::new()));
        std::mem::replace(self, nothing)
    }

    fn add(&mut self, more: Vec<(ShardId, Guard<'g>)>) {
        let nothing = Entered::Some(Vec::new());
        let mut all = match std::mem::replace(&mut self.entered, nothing) {
            Entered::One(id, guard) => vec![(id, guard)],
            Entered::Some(list) => list,
            Entered::All(list) => (0..).map(ShardId).zip(list).collect(),
        };
        all.extend(more);
        all.sort_by_key(|(id, _)| *id);
        self.entered = if all.len() == self.keyspace.shards() {
            Entered::All(all.into_iter().map(|(_, guard)| guard).collect())
        } else {
            Entered::Some(all)
        };
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own threads")]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::{Access, Frame, Keyspace, Layout};

    fn frame() -> Frame {
        Frame {
            db: 0,
            now: 1,
            chance: 1,
            access: Access::Lru,
            touch: true,
            origin: 0,
            by_script: false,
            is_paused: false,
            layout: Layout::default(),
            intake: crate::Intake::default(),
        }
    }

    fn enter<'k>(keyspace: &'k Keyspace, ids: &[u16]) -> View<'k> {
        let plan = Plan::Some(ids.iter().copied().map(ShardId).collect());
        keyspace.try_enter(frame(), &plan, Mode::Exclusive).unwrap()
    }

    fn plan(ids: &[u16]) -> Plan {
        Plan::Some(ids.iter().copied().map(ShardId).collect())
    }

    #[test]
    fn a_view_is_widened_if_the_gates_are_free() {
        let keyspace = Keyspace::new(4, 1, [1, 2]);
        let mut view = enter(&keyspace, &[2]);
        let other = enter(&keyspace, &[0]);
        assert!(!view.try_widen(&plan(&[0, 3])));
        assert_eq!(view.ids()[..], [ShardId(2)], "all or none");
        drop(other);
        assert!(view.try_widen(&plan(&[0, 3])));
        assert_eq!(view.ids()[..], [ShardId(0), ShardId(2), ShardId(3)]);
        assert!(!view.is_whole());
        assert!(view.try_widen(&Plan::All));
        assert!(view.is_whole());
        assert!(view.try_widen(&Plan::All));
    }

    #[test]
    fn only_one_widens_at_a_time() {
        let keyspace = Keyspace::new(4, 1, [1, 2]);
        let mut view = enter(&keyspace, &[2]);
        let right = keyspace.widening.begin().unwrap();
        assert!(!view.widen_blocking(&plan(&[1])));
        drop(right);
        assert!(view.widen_blocking(&plan(&[1])));
    }

    /// One holds shard 2 and wants shard 0. Another enters all in order: it holds 0 and 1, and
    /// waits for 2. Neither would ever end, if the second did not give way.
    #[test]
    fn whoever_enters_in_order_gives_way() {
        let keyspace: &Keyspace = Box::leak(Box::new(Keyspace::new(4, 1, [1, 2])));
        let mut view = enter(keyspace, &[2]);
        let (entered, has_entered) = channel();
        let second = thread::spawn(move || {
            let all = keyspace.enter_blocking(&Plan::All, Mode::Exclusive, frame);
            entered.send(()).unwrap();
            drop(all);
        });
        // It is at it once the first gate is closed.
        while keyspace.try_usage(ShardId(1)).is_some() {
            thread::yield_now();
        }
        assert!(view.widen_blocking(&plan(&[0])));
        assert_eq!(view.ids()[..], [ShardId(0), ShardId(2)]);
        assert!(has_entered.try_recv().is_err());
        drop(view);
        has_entered.recv().unwrap();
        second.join().unwrap();
    }

    /// Many threads widen and enter everything, at random. All of them end.
    #[test]
    fn nobody_waits_for_ever() {
        let keyspace: &Keyspace = Box::leak(Box::new(Keyspace::new(8, 1, [1, 2])));
        let widen = move |seed: u64| {
            let mut state = seed;
            for _ in 0..300 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let id = |shift: u32| (state >> shift) as u16 % 8;
                let first = Plan::One(ShardId(id(40)));
                let mut view = keyspace.enter_blocking(&first, Mode::Exclusive, frame);
                if state >> 63 == 0 {
                    // Refused while another one is at it; then it leaves.
                    let _ = view.widen_blocking(&plan(&[id(20) % 7, 7]));
                }
            }
        };
        let enter_all = move || {
            for _ in 0..300 {
                drop(keyspace.enter_blocking(&Plan::All, Mode::Exclusive, frame));
            }
        };
        let mut threads: Vec<_> = (1..4).map(|seed| thread::spawn(move || widen(seed))).collect();
        threads.extend((0..2).map(|_| thread::spawn(enter_all)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(keyspace.try_enter(frame(), &Plan::All, Mode::Exclusive).is_some());
    }
}
