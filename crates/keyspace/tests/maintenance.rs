//! What nobody asks for and still has to be done: expiry, merges, sparse slabs.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use std::collections::BTreeMap;

use common::{DATABASES, contents, frame, keyspace, maintain, set, write, write_in};
use keyspace::{DbIndex, Due, Expiry, Keyspace, Maintained, Millis, Mode, Plan, Usage, event};
use proptest::prelude::*;

fn usage(keyspace: &Keyspace) -> Usage {
    write(keyspace, |view| view.usage())
}

fn key(n: u64) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

/// Fills database 0 with keys that expire at what `deadline` says.
fn fill(keyspace: &Keyspace, count: u64, value: &[u8], deadline: impl Fn(u64) -> Option<Millis>) {
    write(keyspace, |view| {
        for n in 0..count {
            let expiry = deadline(n).map_or(Expiry::Clear, Expiry::At);
            set(view, &key(n), value, expiry);
        }
    });
}

#[test]
fn expiry_finds_every_key_and_no_other() {
    let keyspace = keyspace(4);
    fill(&keyspace, 20_000, b"v", |n| (!n.is_multiple_of(4)).then_some(1 + n % 1_000));
    assert_eq!(usage(&keyspace).volatile, 15_000);
    for now in [0, 1, 2, 499, 500, 1_000, 1_001, 5_000] {
        maintain(&keyspace, now, 0);
        let left = (0..20_000_u64).filter(|n| n.is_multiple_of(4) || 1 + n % 1_000 >= now).count();
        assert_eq!(usage(&keyspace).keys, left, "at {now}");
    }
    assert_eq!(usage(&keyspace).volatile, 0);
}

#[test]
fn where_nothing_is_due_nothing_is_done() {
    let keyspace = keyspace(4);
    assert_eq!(maintain(&keyspace, 100, 0), (0, 0), "nothing there");
    fill(&keyspace, 10_000, b"v", |n| Some(1_000 + n % 7));
    assert_eq!(maintain(&keyspace, 1_000, 0), (0, 0), "a deadline is the last moment");
    let (expired, steps) = maintain(&keyspace, 2_000, 0);
    assert_eq!(expired, 10_000);
    assert!(steps >= 4);
    maintain(&keyspace, 2_000, 0);
    assert_eq!(maintain(&keyspace, 3_000, 0), (0, 0), "all done");
}

#[test]
fn a_segment_rests_after_a_look_but_for_a_key_that_comes_in_earlier() {
    let keyspace = keyspace(1);
    fill(&keyspace, 1, b"v", |_| Some(10));
    write(&keyspace, |view| set(view, b"soon", b"v", Expiry::At(20)));
    assert_eq!(maintain(&keyspace, 11, 100).0, 1);
    assert_eq!(maintain(&keyspace, 110, 100), (0, 0), "it rests");
    write(&keyspace, |view| set(view, b"sooner", b"v", Expiry::At(50)));
    assert_eq!(maintain(&keyspace, 110, 100).0, 2, "and finds the others on the way");
    assert_eq!(usage(&keyspace).keys, 0);
}

#[test]
fn a_deadline_that_is_taken_away_or_put_off_is_respected() {
    let keyspace = keyspace(2);
    fill(&keyspace, 300, b"v", |_| Some(10));
    write(&keyspace, |view| {
        for n in 0..100 {
            assert!(view.set_deadline(&key(n), None, event::PERSIST).unwrap());
        }
        for n in 100..200 {
            assert!(view.set_deadline(&key(n), Some(1_000), event::EXPIRE).unwrap());
        }
    });
    assert_eq!(maintain(&keyspace, 500, 0).0, 100);
    assert_eq!(maintain(&keyspace, 1_001, 0).0, 100);
    assert_eq!(contents(&keyspace, 0).len(), 100);
}

#[test]
fn a_busy_shard_is_left_for_later() {
    let keyspace = keyspace(2);
    fill(&keyspace, 100, b"v", |_| Some(1));
    let id = keyspace.shard_of(keyspace.hash(&key(0)));
    for mode in [Mode::Shared, Mode::Exclusive] {
        let inside = keyspace.try_enter(frame(0, 0), &Plan::One(id), mode).unwrap();
        let step = keyspace.maintain(id, frame(0, 9), &mut Due::new(0));
        assert!(matches!(step, Maintained::Busy), "{mode:?}");
        drop(inside);
    }
    assert_eq!(maintain(&keyspace, 9, 0).0, 100);
}

#[test]
fn a_round_that_was_interrupted_goes_on_where_it_was() {
    let keyspace = keyspace(1);
    fill(&keyspace, 5_000, b"v", |_| Some(1));
    let id = keyspace.shard_ids().next().unwrap();
    let (mut due, mut expired, mut busy) = (Due::new(0), 0, false);
    loop {
        busy = !busy;
        let inside = busy.then(|| keyspace.try_enter(frame(0, 0), &Plan::All, Mode::Exclusive));
        match keyspace.maintain(id, frame(0, 9), &mut due) {
            Maintained::Busy => assert!(inside.is_some()),
            Maintained::Step(tally) => expired += tally.expired,
            Maintained::Done => break,
        }
    }
    assert_eq!(expired, 5_000);
}

#[test]
fn mass_deletes_give_tables_and_slabs_back_and_lose_nothing() {
    let keyspace = keyspace(2);
    let count = 60_000;
    fill(&keyspace, count, &[b'x'; 60], |n| (n % 50 != 0).then_some(10));
    let full = usage(&keyspace);
    let (expired, _) = maintain(&keyspace, 11, 0);
    assert_eq!(expired, count - count / 50);
    // One round a pass over the segments: merging may take several.
    let mut rounds = 0;
    while maintain(&keyspace, 20, 0).1 > 0 && rounds < 10 {
        rounds += 1;
    }
    let left = usage(&keyspace);
    assert_eq!(left.keys as u64, count / 50);
    assert!(left.table_bytes * 10 < full.table_bytes, "{left:?} of {full:?}");
    assert!(left.slab_bytes * 4 < full.slab_bytes, "{left:?} of {full:?}");
    let all = contents(&keyspace, 20);
    let expected = (0..count).filter(|n| n % 50 == 0).map(|n| (0, key(n)));
    assert!(expected.clone().all(|place| all[&place].value == [b'x'; 60]));
    assert_eq!(all.len(), expected.count());
}

/// Entries with a deadline, by database and key.
type Model = BTreeMap<(DbIndex, u64), Millis>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn after_a_round_nothing_expired_is_left(
        steps in prop::collection::vec(
            (0..DATABASES, 0..3_000_u64, 1..400_u64, 0..500_u64, 0..60_u64),
            1..25,
        ),
    ) {
        let keyspace = keyspace(2);
        let (mut model, mut now) = (Model::new(), 0);
        for (db, first, count, lifetime, passes) in steps {
            write_in(&keyspace, frame(db, now), |view| {
                for n in first..first + count {
                    let deadline = now + 1 + (lifetime + n) % 500;
                    set(view, &key(n), b"v", Expiry::At(deadline));
                    model.insert((db, n), deadline);
                }
            });
            now += passes;
            maintain(&keyspace, now, 0);
            model.retain(|_, deadline| *deadline >= now);
            // At time 0 what has expired would still be seen.
            let left = contents(&keyspace, 0);
            let places: Vec<_> = left.into_keys().collect();
            let mut expected: Vec<_> = model.keys().map(|&(db, n)| (db, key(n))).collect();
            expected.sort();
            prop_assert_eq!(places, expected);
        }
    }
}
