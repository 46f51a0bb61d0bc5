//! How shards are entered: what is planned, what a busy gate does, and that nobody waits forever.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use common::{DATABASES, frame, keyspace, set, write};
use keyspace::{Expiry, Frame, Keyspace, Mode, Plan, ShardId, View};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread, which sleeps while the future waits.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn now() -> Frame {
    frame(0, 0)
}

fn ids(keyspace: &Keyspace, which: &[usize]) -> Vec<ShardId> {
    which.iter().map(|&nth| keyspace.shard_ids().nth(nth).unwrap()).collect()
}

fn plan_of(ids: &[ShardId]) -> Plan {
    Plan::Some(ids.iter().copied().collect())
}

/// Whether a shard can be entered alone just now.
fn is_free(keyspace: &Keyspace, id: ShardId) -> bool {
    keyspace.try_enter(now(), &Plan::One(id), Mode::Exclusive).is_some()
}

#[test]
fn a_plan_names_each_shard_once_in_ascending_order() {
    let keyspace = keyspace(64);
    let hashes: Vec<u64> = (0..200).map(|n| keyspace.hash(format!("k{n}").as_bytes())).collect();
    let Plan::Some(planned) = keyspace.plan(hashes.iter().copied()) else { panic!("many shards") };
    assert!(planned.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(hashes.iter().all(|&hash| planned.contains(&keyspace.shard_of(hash))));
    let one = keyspace.plan([hashes[0], hashes[0]]);
    assert_eq!(one, Plan::One(keyspace.shard_of(hashes[0])));
    assert_eq!(keyspace.plan([]), plan_of(&[]));
}

#[test]
fn the_number_of_shards_is_a_power_of_two_within_bounds() {
    for (asked, made) in [(0, 1), (1, 1), (3, 4), (64, 64), (5_000, 4_096), (usize::MAX, 4_096)] {
        let keyspace = keyspace(asked);
        assert_eq!((keyspace.shards(), keyspace.shard_ids().count()), (made, made));
        let last = keyspace.shard_of(u64::MAX);
        assert_eq!((keyspace.shard_of(0).index(), last.index()), (0, made - 1));
    }
}

#[test]
fn one_busy_gate_refuses_the_whole_entry_and_gives_the_others_back() {
    let keyspace = keyspace(8);
    let all = ids(&keyspace, &[1, 3, 5, 7]);
    let inside = keyspace.try_enter(now(), &Plan::One(all[2]), Mode::Shared).unwrap();
    for plan in [plan_of(&all), Plan::All] {
        assert!(keyspace.try_enter(now(), &plan, Mode::Exclusive).is_none());
        assert!([0, 1, 3].into_iter().all(|nth| is_free(&keyspace, all[nth])));
        assert!(keyspace.try_enter(now(), &plan, Mode::Shared).is_some(), "readers go together");
    }
    drop(inside);
    assert!(keyspace.try_enter(now(), &plan_of(&all), Mode::Exclusive).is_some());
}

#[test]
fn an_empty_plan_enters_nothing_and_can_ask_for_nothing() {
    let keyspace = keyspace(8);
    let view = keyspace.try_enter(now(), &keyspace.plan([]), Mode::Exclusive).unwrap();
    assert_eq!((view.len(0), view.databases()), (0, DATABASES));
    assert!(keyspace.shard_ids().all(|id| is_free(&keyspace, id)));
}

#[test]
fn leaving_lets_a_waiting_task_in_and_time_is_asked_then() {
    let keyspace = keyspace(8);
    let plans =
        [Plan::One(ids(&keyspace, &[3])[0]), plan_of(&ids(&keyspace, &[1, 3, 5])), Plan::All];
    for plan in plans {
        for mode in [Mode::Shared, Mode::Exclusive] {
            let inside =
                keyspace.try_enter(now(), &Plan::One(ids(&keyspace, &[3])[0]), Mode::Exclusive);
            let asked = AtomicU64::new(0);
            let ask = || frame(0, asked.fetch_add(1, Ordering::Relaxed) + 1);
            let mut waiting = pin!(keyspace.enter(&plan, mode, ask));
            let mut context = Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            assert_eq!(asked.load(Ordering::Relaxed), 0);
            drop(inside);
            let view = block_on(waiting);
            assert_eq!((view.now(), asked.load(Ordering::Relaxed)), (1, 1));
        }
    }
}

#[test]
fn an_entry_that_waits_holds_nothing_that_it_does_not_need_yet() {
    let keyspace = keyspace(8);
    let all = ids(&keyspace, &[1, 3, 5]);
    let inside = keyspace.try_enter(now(), &Plan::One(all[1]), Mode::Exclusive);
    let plan = plan_of(&all);
    let mut waiting = Box::pin(keyspace.enter(&plan, Mode::Exclusive, now));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert!(is_free(&keyspace, all[0]) && is_free(&keyspace, all[2]), "it gave them back");
    drop(waiting);
    drop(inside);
    assert!(all.iter().all(|&id| is_free(&keyspace, id)), "giving up leaves nothing locked");
}

const ACCOUNTS: u64 = 24;
const START: u64 = 1_000;

fn account(n: u64) -> Vec<u8> {
    format!("account:{n}").into_bytes()
}

fn balance(view: &View<'_>, n: u64) -> u64 {
    let text = view.peek(&account(n)).expect("accounts stay");
    std::str::from_utf8(text.as_bytes()).unwrap().parse().unwrap()
}

fn book(view: &mut View<'_>, n: u64, amount: u64) {
    set(view, &account(n), amount.to_string().as_bytes(), Expiry::Keep);
}

/// The next of a row of numbers that look random.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Moves money around three accounts, named in any order.
fn pay(keyspace: &Keyspace, seed: &mut u64) {
    let parties = [0; 3].map(|_| next(seed) % ACCOUNTS);
    let plan = keyspace.plan(parties.map(|n| keyspace.hash(&account(n))));
    let mut view = block_on(keyspace.enter(&plan, Mode::Exclusive, now));
    for pair in parties.windows(2).filter(|pair| pair[0] != pair[1]) {
        let (from, to) = (balance(&view, pair[0]), balance(&view, pair[1]));
        let amount = from / 3;
        book(&mut view, pair[0], from - amount);
        book(&mut view, pair[1], to + amount);
    }
    view.publish();
}

fn audit(view: &View<'_>) {
    assert_eq!((0..ACCOUNTS).map(|n| balance(view, n)).sum::<u64>(), ACCOUNTS * START);
}

#[test]
fn overlapping_entries_in_any_order_neither_block_nor_mix() {
    let keyspace = keyspace(8);
    write(&keyspace, |view| {
        (0..ACCOUNTS)
            .for_each(|n| set(view, &account(n), START.to_string().as_bytes(), Expiry::Clear));
    });
    thread::scope(|scope| {
        let keyspace = &keyspace;
        for worker in 0..4_u64 {
            scope.spawn(move || {
                let mut seed = worker;
                for round in 0..3_000 {
                    pay(keyspace, &mut seed);
                    if round % 50 == worker {
                        audit(&block_on(keyspace.enter(&Plan::All, Mode::Shared, now)));
                    }
                }
            });
        }
        scope.spawn(move || {
            for _ in 0..100 {
                audit(&keyspace.enter_blocking(&Plan::All, Mode::Exclusive, now));
            }
        });
    });
    audit(&keyspace.enter_blocking(&Plan::All, Mode::Shared, now));
}
