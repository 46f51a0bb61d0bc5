//! RENAME, COPY and MOVE rest on [`keyspace::View::transfer`]: every case of where from and where
//! to, over one shard and over many.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use common::{Contents, DATABASES, Seen, contents, frame, keyspace, set, write, write_in};
use keyspace::{Event, Expiry, Keyspace, Millis, event};

const NOW: Millis = 1_000;

/// Keys enough that pairs in one shard and in two are among them.
const KEYS: [&[u8]; 5] = [
    b"a",
    b"b",
    b"c",
    b"",
    b"a key so long that it lies beside its record, \
    a key so long that it lies beside its record, a key so long that it lies beside its record, \
    a key so long that it lies beside its record, a key so long that it lies beside its record",
];

/// Values inside and outside of their records.
fn values() -> [Vec<u8>; 4] {
    [vec![], b"short".to_vec(), vec![b'm'; 300], vec![b'l'; 70_000]]
}

fn keyspaces() -> [Keyspace; 2] {
    [keyspace(1), keyspace(64)]
}

fn seen(value: &[u8], deadline: Option<Millis>, sticky: bool) -> Seen {
    Seen { value: value.to_vec(), deadline, sticky }
}

fn put(keyspace: &Keyspace, db: u16, key: &[u8], seen: &Seen) {
    let expiry = seen.deadline.map_or(Expiry::Clear, Expiry::At);
    write_in(keyspace, frame(db, 0), |view| {
        set(view, key, &seen.value, expiry);
        if seen.sticky {
            view.stick(key);
        }
    });
}

fn transfer(
    keyspace: &Keyspace,
    from: (u16, &[u8]),
    to: (u16, &[u8]),
    left: Option<Event>,
) -> bool {
    let run = |view: &mut keyspace::View<'_>| view.transfer(from, to, (left, event::COPY_TO));
    write_in(keyspace, frame(0, NOW), run).0.unwrap()
}

/// What should come out, from the definition of a copy and of a move.
fn expected(mut all: Contents, from: (u16, &[u8]), to: (u16, &[u8]), moves: bool) -> Contents {
    let (from, to) = ((from.0, from.1.to_vec()), (to.0, to.1.to_vec()));
    if let Some(source) = all.get(&from).cloned() {
        if moves {
            all.remove(&from);
        }
        all.insert(to, source);
    }
    all
}

#[test]
fn value_deadline_and_stickiness_arrive_wherever_they_go() {
    for keyspace in keyspaces() {
        for (nth, value) in values().iter().enumerate() {
            let source = seen(value, (nth % 2 == 0).then_some(NOW + 500), nth >= 2);
            for (from_db, to_db, moves) in
                [(0, 0, true), (0, 0, false), (1, 2, true), (2, 1, false)]
            {
                for (from, to) in
                    KEYS.iter().flat_map(|from| KEYS.iter().map(move |to| (*from, *to)))
                {
                    write(&keyspace, |view| {
                        for db in 0..DATABASES {
                            view.flush(db);
                        }
                    });
                    put(&keyspace, from_db, from, &source);
                    let before = contents(&keyspace, NOW);
                    let left = moves.then_some(event::RENAME_FROM);
                    assert!(transfer(&keyspace, (from_db, from), (to_db, to), left));
                    let after = expected(before, (from_db, from), (to_db, to), moves);
                    assert_eq!(contents(&keyspace, NOW), after);
                }
            }
        }
    }
}

#[test]
fn what_was_there_before_leaves_nothing_behind() {
    for keyspace in keyspaces() {
        for (old, new) in values().iter().flat_map(|old| values().map(|new| (old.clone(), new))) {
            let bigger = seen(&old, Some(NOW + 9), true);
            put(&keyspace, 0, b"from", &seen(&new, None, false));
            put(&keyspace, 0, b"to", &bigger);
            assert!(transfer(&keyspace, (0, b"from"), (0, b"to"), None));
            let all = contents(&keyspace, NOW);
            assert_eq!(all[&(0, b"to".to_vec())], seen(&new, None, false));
            assert_eq!(write(&keyspace, |view| view.volatile(0)), 0, "the old deadline is gone");
        }
    }
}

#[test]
fn an_expired_source_is_none() {
    for keyspace in keyspaces() {
        put(&keyspace, 0, b"from", &seen(b"x", Some(NOW - 1), false));
        put(&keyspace, 0, b"to", &seen(b"y", None, false));
        let run = |view: &mut keyspace::View<'_>| {
            view.transfer((0, b"from"), (0, b"to"), (Some(event::RENAME_FROM), event::RENAME_TO))
        };
        let (moved, tally) = write_in(&keyspace, frame(0, NOW), run);
        assert!(!moved.unwrap());
        assert_eq!(tally.expired, 1);
        let all = contents(&keyspace, 0);
        assert_eq!(all.into_values().collect::<Vec<_>>(), [seen(b"y", None, false)]);
    }
}

#[test]
fn an_expired_destination_is_overwritten() {
    for keyspace in keyspaces() {
        put(&keyspace, 0, b"from", &seen(b"x", Some(NOW + 1), false));
        put(&keyspace, 0, b"to", &seen(&[b'y'; 5_000], Some(NOW - 1), true));
        assert!(transfer(&keyspace, (0, b"from"), (0, b"to"), Some(event::RENAME_FROM)));
        let all = contents(&keyspace, 0);
        let only = ((0, b"to".to_vec()), seen(b"x", Some(NOW + 1), false));
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [only]);
    }
}

#[test]
fn a_move_to_the_same_place_changes_nothing() {
    // A move removed the entry that it had just written over itself.
    for keyspace in keyspaces() {
        put(&keyspace, 0, b"k", &seen(b"x", Some(NOW + 1), true));
        let before = contents(&keyspace, 0);
        let run = |view: &mut keyspace::View<'_>| {
            view.transfer((0, b"k"), (0, b"k"), (Some(event::RENAME_FROM), event::RENAME_TO))
        };
        let (moved, tally) = write_in(&keyspace, frame(0, NOW), run);
        assert!(moved.unwrap() && tally.changes == 0);
        assert_eq!(contents(&keyspace, 0), before);
        assert!(!transfer(&keyspace, (0, b"none"), (0, b"none"), None));
    }
}

#[test]
fn a_long_value_is_shared_until_one_side_changes() {
    for keyspace in keyspaces() {
        put(&keyspace, 0, b"from", &seen(&[b'x'; 10_000], None, false));
        assert!(transfer(&keyspace, (0, b"from"), (1, b"to"), None));
        write(&keyspace, |view| {
            let mut entry = view.str_entry(b"from").unwrap();
            entry.edit(0, event::SETRANGE, |text| text.fill(b'y')).unwrap();
        });
        let all = contents(&keyspace, NOW);
        assert_eq!(all[&(0, b"from".to_vec())].value, [b'y'; 10_000]);
        assert_eq!(all[&(1, b"to".to_vec())].value, [b'x'; 10_000]);
    }
}
