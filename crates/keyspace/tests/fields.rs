//! Fields of hashes and members of sets that expire: nobody has to ask for them to go.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use common::{frame, keyspace, maintain, write, write_in};
use keyspace::{Keyspace, Millis, Mode, Plan, event};
use value::map::Until;

/// Sets fields of a hash, one in so many without a deadline.
fn fill(keyspace: &Keyspace, key: &[u8], count: u64, deadline: impl Fn(u64) -> Option<Millis>) {
    write(keyspace, |view| {
        let mut entry = view.hash_entry(key).unwrap();
        for n in 0..count {
            let until = deadline(n).map_or(Until::Never, Until::At);
            entry.set_until(&n.to_le_bytes(), b"v", until).unwrap();
        }
        entry.noted(event::HSET);
    });
}

/// How many fields lie there, whether or not their deadline has passed.
fn held(keyspace: &Keyspace, key: &[u8]) -> usize {
    write(keyspace, |view| view.hash_map(key).unwrap().map_or(0, |map| map.len()))
}

fn len_at(keyspace: &Keyspace, key: &[u8], now: Millis) -> usize {
    let len = |view: &mut keyspace::View<'_>| view.hash_map(key).unwrap().map(|map| map.len());
    write_in(keyspace, frame(0, now), len).0.unwrap_or_default()
}

#[test]
fn fields_go_in_steps_and_the_key_with_the_last() {
    let keyspace = keyspace(1);
    fill(&keyspace, b"some", 10_000, |n| n.is_multiple_of(2).then_some(10));
    fill(&keyspace, b"all", 10_000, |_| Some(20));
    assert_eq!(maintain(&keyspace, 10, 0), (0, 0), "a deadline is the last moment");
    assert_eq!(len_at(&keyspace, b"some", 11), 5_000);
    assert_eq!(held(&keyspace, b"some"), 10_000);

    let (_, steps) = maintain(&keyspace, 11, 0);
    assert!(steps > 3, "{steps}");
    assert_eq!(held(&keyspace, b"some"), 5_000);
    assert_eq!(held(&keyspace, b"all"), 10_000);

    maintain(&keyspace, 21, 0);
    assert_eq!(write(&keyspace, |view| view.len(0)), 1);
    assert_eq!(maintain(&keyspace, 1_000, 0), (0, 0), "all done");
}

#[test]
fn a_hash_that_moves_takes_the_deadlines_of_its_fields_along() {
    let keyspace = keyspace(4);
    fill(&keyspace, b"old", 100, |n| n.is_multiple_of(2).then_some(10));
    write(&keyspace, |view| {
        let events = (Some(event::RENAME_FROM), event::RENAME_TO);
        assert!(view.transfer((0, b"old"), (0, b"new"), events).unwrap());
        assert!(view.transfer((0, b"new"), (1, b"copy"), (None, event::COPY_TO)).unwrap());
    });
    maintain(&keyspace, 11, 0);
    assert_eq!(held(&keyspace, b"new"), 50);
    let copied = |view: &mut keyspace::View<'_>| view.hash_map(b"copy").unwrap().unwrap().len();
    assert_eq!(write_in(&keyspace, frame(1, 0), copied).0, 50);
}

#[test]
fn a_deadline_that_is_taken_away_keeps_the_field() {
    let keyspace = keyspace(1);
    fill(&keyspace, b"key", 10, |_| Some(10));
    write(&keyspace, |view| {
        let mut entry = view.hash_entry(b"key").unwrap();
        entry.set_deadline(&3_u64.to_le_bytes(), None).unwrap();
        entry.set_deadline(&4_u64.to_le_bytes(), Some(50)).unwrap();
        entry.noted(event::HPERSIST);
    });
    maintain(&keyspace, 20, 0);
    assert_eq!(held(&keyspace, b"key"), 2);
    maintain(&keyspace, 60, 0);
    assert_eq!(held(&keyspace, b"key"), 1);
}

/// A field that was over was taken out of the table by HDEL, which told nobody as it was not there
/// any more. If it was the last one, an empty hash stayed for ever.
#[test]
fn a_hash_whose_fields_are_over_goes_though_they_were_asked_for() {
    let keyspace = keyspace(1);
    fill(&keyspace, b"key", 3, |_| Some(10));
    let ask = |view: &mut keyspace::View<'_>| {
        let mut entry = view.hash_entry(b"key").unwrap();
        for n in 0..3_u64 {
            assert!(!entry.remove(&n.to_le_bytes()).unwrap());
        }
    };
    write_in(&keyspace, frame(0, 20), ask);
    assert_eq!(write(&keyspace, |view| view.len(0)), 1);
    maintain(&keyspace, 20, 0);
    assert_eq!(write(&keyspace, |view| view.len(0)), 0);
}

fn members_at(keyspace: &Keyspace, db: keyspace::DbIndex, key: &[u8], now: Millis) -> usize {
    let len = |view: &mut keyspace::View<'_>| view.set(key).unwrap().map_or(0, |set| set.len());
    write_in(keyspace, frame(db, now), len).0
}

#[test]
fn members_go_as_fields_do_and_take_their_deadlines_along() {
    let keyspace = keyspace(4);
    write(&keyspace, |view| {
        let mut entry = view.set_entry(b"set").unwrap();
        for n in 0..5_000_u64 {
            let member = n.to_le_bytes();
            match n.is_multiple_of(5) {
                true => entry.insert(&member).unwrap(),
                false => entry.insert_until(&member, 10).unwrap(),
            };
        }
        entry.noted(event::SADD);
        let mut entry = view.set_entry(b"all").unwrap();
        assert!(entry.insert(b"a").unwrap());
        assert!(!entry.insert_until(b"a", 20).unwrap());
        entry.noted(event::SEXPIRE);
        assert!(view.transfer((0, b"all"), (1, b"copy"), (None, event::COPY_TO)).unwrap());
    });
    assert_eq!(members_at(&keyspace, 0, b"set", 10), 5_000, "a deadline is the last moment");
    assert_eq!(members_at(&keyspace, 0, b"set", 11), 1_000);
    let (_, steps) = maintain(&keyspace, 11, 0);
    assert!(steps > 2, "{steps}");
    assert_eq!(members_at(&keyspace, 0, b"set", 0), 1_000);
    assert_eq!(members_at(&keyspace, 1, b"copy", 0), 1);
    maintain(&keyspace, 21, 0);
    assert_eq!(write(&keyspace, |view| (view.len(0), view.len(1))), (1, 0));
    assert_eq!(maintain(&keyspace, 1_000, 0), (0, 0), "all done");
}

/// Who only reads cannot remove what it finds: it notes the fields, and they go when it has left.
#[test]
fn fields_that_a_reader_finds_over_go_right_after_and_no_others() {
    let keyspace = keyspace(4);
    fill(&keyspace, b"key", 10, |n| (n < 5).then_some(10));
    let read = |fields: &[u64], now| {
        let view = keyspace.enter_blocking(&Plan::All, Mode::Shared, || frame(0, now));
        let map = view.hash_map(b"key").unwrap().unwrap();
        let field = |n: &u64| view.field(b"key", map, &n.to_le_bytes()).is_some();
        let found = fields.iter().filter(|n| field(n)).count();
        (found, view.publish().overdue)
    };
    assert!(read(&[0, 7, 99], 10).1.is_none(), "a deadline is the last moment");
    let (found, overdue) = read(&[0, 1, 7, 99], 11);
    assert_eq!((found, held(&keyspace, b"key")), (1, 10));
    let mut lapsed = 0;
    keyspace.clear(*overdue.unwrap(), |tally| lapsed += tally.lapsed);
    assert_eq!((lapsed, held(&keyspace, b"key")), (2, 8));
}

/// One that is set anew before its reader has left for good is another field.
#[test]
fn a_field_that_is_set_meanwhile_stays() {
    let keyspace = keyspace(1);
    fill(&keyspace, b"key", 1, |_| Some(10));
    let view = keyspace.enter_blocking(&Plan::All, Mode::Shared, || frame(0, 11));
    let map = view.hash_map(b"key").unwrap().unwrap();
    assert!(view.field(b"key", map, &0_u64.to_le_bytes()).is_none());
    let overdue = view.publish().overdue.unwrap();
    fill(&keyspace, b"key", 1, |_| None);
    keyspace.clear(*overdue, |tally| assert_eq!(tally.lapsed, 0));
    assert_eq!(held(&keyspace, b"key"), 1);
}

#[test]
fn the_key_goes_with_the_last_field_that_is_dropped() {
    let keyspace = keyspace(1);
    fill(&keyspace, b"key", 2, |_| Some(10));
    let drop_one = |n: u64| {
        write_in(&keyspace, frame(0, 11), |view| {
            let mut entry = view.hash_entry(b"key").unwrap();
            entry.drop_lapsed(&n.to_le_bytes());
            entry.noted_lapsed();
            view.len(0)
        })
    };
    let (keys, tally) = drop_one(0);
    assert_eq!((keys, tally.lapsed), (1, 1));
    assert_eq!((drop_one(0).0, drop_one(0).1.lapsed), (1, 0), "it is gone already");
    assert_eq!((drop_one(1).0, drop_one(1).0), (0, 0));
}
