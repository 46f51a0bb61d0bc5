//! What the guard of a string keeps in order besides the string: deadlines, uses, hits.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use common::{frame, keyspace, write, write_in};
use keyspace::{Access, Expiry, Frame, Keyspace, Millis, Mode, Plan, event};

const KEY: &[u8] = b"key";

/// Values inside and outside of their records.
fn values() -> [Vec<u8>; 3] {
    [vec![], b"short".to_vec(), vec![b'l'; 70_000]]
}

/// The deadline of the key, and how many keys have one.
fn deadline(keyspace: &Keyspace) -> (Option<Millis>, usize) {
    let view = keyspace.try_enter(frame(0, 0), &Plan::All, Mode::Shared).unwrap();
    (view.info(KEY).unwrap().deadline, view.volatile(0))
}

#[test]
fn a_write_says_what_becomes_of_the_deadline() {
    let keyspace = keyspace(4);
    let cases = [
        (Expiry::Keep, None),
        (Expiry::At(50), Some(50)),
        (Expiry::Keep, Some(50)),
        (Expiry::At(70), Some(70)),
        (Expiry::Clear, None),
        (Expiry::Clear, None),
        (Expiry::At(90), Some(90)),
    ];
    for value in values().iter().flat_map(|one| values().map(|other| [one.clone(), other])) {
        for (expiry, expected) in cases {
            for value in &value {
                write(&keyspace, |view| {
                    view.str_entry(KEY).unwrap().set(value, expiry, event::SET).unwrap();
                });
                assert_eq!(deadline(&keyspace), (expected, usize::from(expected.is_some())));
            }
        }
        write(&keyspace, |view| view.remove(KEY, event::DEL));
    }
}

#[test]
fn a_deadline_that_a_write_sets_is_met() {
    let keyspace = keyspace(1);
    for expiry in [Expiry::Clear, Expiry::At(50)] {
        write(&keyspace, |view| {
            view.str_entry(KEY).unwrap().set(b"value", expiry, event::SET).unwrap();
        });
    }
    let (removed, _) = common::maintain(&keyspace, 100, 1);
    assert_eq!(removed, 1);
}

#[test]
fn a_look_up_is_counted_where_that_is_asked_for() {
    let keyspace = keyspace(1);
    let count = |key: &[u8]| {
        let (_, tally) = write_in(&keyspace, frame(0, 0), |view| {
            view.str_entry(key).unwrap().count_lookup();
            view.str_entry(key).unwrap().exists()
        });
        (tally.hits, tally.misses)
    };
    assert_eq!(count(KEY), (0, 1));
    write(&keyspace, |view| {
        view.str_entry(KEY).unwrap().set(b"", Expiry::Clear, event::SET).unwrap();
    });
    assert_eq!(count(KEY), (1, 0));
}

#[test]
fn every_look_up_of_a_writer_is_a_use() {
    let keyspace = keyspace(1);
    let at = |now| Frame { access: Access::Lru, ..frame(0, now) };
    write_in(&keyspace, at(1_000), |view| {
        view.str_entry(KEY).unwrap().set(b"", Expiry::Clear, event::SET).unwrap();
    });
    write_in(&keyspace, at(9_000), |view| view.str_entry(KEY).unwrap().exists());
    let view = keyspace.try_enter(at(9_000), &Plan::All, Mode::Shared).unwrap();
    assert_eq!(view.info(KEY).unwrap().access, 9);
}
