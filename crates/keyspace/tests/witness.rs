//! Witnesses: what a key holds is told apart from what it held, however it came to change.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use common::{frame, keyspace, set, write, write_in};
use keyspace::{Expiry, Keyspace, Mode, Plan, View, Witness, event};

const LARGE: usize = 1_000;

fn witness(keyspace: &Keyspace, now: u64) -> Witness {
    keyspace.enter_blocking(&Plan::All, Mode::Shared, || frame(0, now)).witness(b"key")
}

fn add(view: &mut View<'_>, members: std::ops::Range<usize>) {
    let members: Vec<String> = members.map(|nth| format!("member-{nth}")).collect();
    let mut entry = view.set_entry(b"key").unwrap();
    entry.insert_all(members.iter().map(String::as_bytes)).unwrap();
    entry.noted(event::SADD);
}

/// Each step leaves the key in a state of its own; none looks like an earlier one.
#[test]
fn no_two_states_of_a_key_look_the_same() {
    type Step = fn(&mut View<'_>);
    let steps: [Step; 11] = [
        |view| add(view, 0..3),
        |view| add(view, 3..4),
        |view| add(view, 4..LARGE),
        |view| add(view, LARGE..LARGE + 1),
        |view| assert!(view.set_entry(b"key").unwrap().remove(b"member-7").unwrap()),
        |view| {
            let gone = view.remove(b"key", event::DEL);
            assert!(gone);
            add(view, 0..LARGE);
        },
        // The same members in a database that is as new as the first one was.
        |view| {
            assert_eq!(view.flush(0), 1);
            add(view, 0..LARGE);
        },
        |view| {
            view.swap(0, 1);
            add(view, 0..LARGE);
        },
        |view| view.str_over(b"key").set(b"short", Expiry::Clear, event::SET).unwrap(),
        |view| set(view, b"key", &[b'l'; 100_000], Expiry::Clear),
        |view| set(view, b"key", &[b'l'; 100_000], Expiry::Clear),
    ];
    for shards in [1, 16] {
        let keyspace = keyspace(shards);
        let mut seen = vec![witness(&keyspace, 0)];
        for step in steps {
            write(&keyspace, step);
            let now = witness(&keyspace, 0);
            assert_eq!(now, witness(&keyspace, 0), "nothing happened");
            assert!(!seen.contains(&now), "state {} looks like an earlier one", seen.len());
            seen.push(now);
        }
    }
}

#[test]
fn a_key_that_has_expired_holds_nothing() {
    let keyspace = keyspace(1);
    let nothing = witness(&keyspace, 0);
    write(&keyspace, |view| {
        add(view, 0..LARGE);
        view.set_deadline(b"key", Some(10), event::EXPIRE).unwrap();
    });
    assert_ne!(witness(&keyspace, 10), nothing);
    assert_eq!(witness(&keyspace, 11), nothing);
}

#[test]
fn a_copy_is_put_with_what_belongs_to_it_and_stays_apart() {
    let keyspace = keyspace(16);
    write(&keyspace, |view| {
        add(view, 0..LARGE);
        view.set_deadline(b"key", Some(50), event::EXPIRE).unwrap();
        view.stick(b"key");
    });
    let view = keyspace.enter_blocking(&Plan::All, Mode::Shared, || frame(0, 0));
    assert!(view.copy(b"other").is_none());
    let copy = view.copy(b"key").unwrap();
    drop(view);
    write(&keyspace, |view| {
        set(view, b"other", b"written over", Expiry::Clear);
        view.put_copy((0, b"other"), copy, event::COPY_TO).unwrap();
        add(view, LARGE..2 * LARGE);
    });
    write_in(&keyspace, frame(0, 0), |view| {
        assert_eq!(view.elements(b"other"), LARGE as u64);
        assert_eq!(view.elements(b"key"), 2 * LARGE as u64);
        let (one, other) = (view.info(b"key").unwrap(), view.info(b"other").unwrap());
        assert_eq!((one.deadline, one.sticky), (other.deadline, other.sticky));
    });
}
