//! What the sink of a keyspace is told: which shards, which positions, which changes, in order.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use common::{frame, keyspace, maintain, set, write, write_in};
use keyspace::{
    DbIndex, Effect, Expiry, Frame, Keyspace, Listener, Millis, Mode, Plan, Publication, Sink,
    Step, event,
};
use value::map::Until;

/// A publication, taken down.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    transaction: u64,
    now: Millis,
    origin: u64,
    positions: Vec<(usize, u64)>,
    changes: Vec<(usize, DbIndex, Vec<u8>, &'static str, Effect)>,
}

struct Recorder(Sender<Told>);

impl Sink for Recorder {
    fn publish(&self, publication: &Publication<'_>) {
        let positions = publication.positions.iter().map(|(id, position)| (id.index(), *position));
        let changes = publication.changes().map(|change| {
            let (shard, key) = (change.shard.index(), change.key.to_vec());
            (shard, change.db, key, change.event.name, change.effect)
        });
        let told = Told {
            transaction: publication.transaction,
            now: publication.now,
            origin: publication.origin,
            positions: positions.collect(),
            changes: changes.collect(),
        };
        self.0.send(told).expect("the test listens");
    }
}

fn listened(shards: usize) -> (Keyspace, Receiver<Told>) {
    let keyspace = keyspace(shards);
    let (sender, told) = channel();
    assert!(keyspace.set_sink(Box::new(Recorder(sender))));
    (keyspace, told)
}

type Noted = (Vec<u8>, &'static str, Effect);

/// Key, event and effect of each change.
fn notes(told: &Told) -> Vec<Noted> {
    told.changes.iter().map(|(_, _, key, name, effect)| (key.clone(), *name, *effect)).collect()
}

fn note(key: &[u8], name: &'static str, effect: Effect) -> Noted {
    (key.to_vec(), name, effect)
}

#[test]
fn changes_come_in_the_order_they_were_made_with_their_shards() {
    let (keyspace, told) = listened(64);
    let run = |view: &mut keyspace::View<'_>| {
        set(view, b"b", b"1", Expiry::Clear);
        set(view, b"a", b"2", Expiry::At(900));
        set(view, b"b", b"3", Expiry::Keep);
        assert!(view.set_deadline(b"a", None, event::PERSIST).unwrap());
        assert!(view.remove(b"b", event::DEL));
    };
    write_in(&keyspace, frame(2, 50), run);
    let told = told.try_iter().collect::<Vec<_>>();
    let [told] = &told[..] else { panic!("one transaction is one publication") };
    assert_eq!((told.transaction, told.now), (1, 50));
    let expected = [
        note(b"b", "new", Effect::Nothing),
        note(b"b", "set", Effect::Set),
        note(b"a", "new", Effect::Nothing),
        note(b"a", "set", Effect::Set),
        note(b"b", "set", Effect::Set),
        note(b"a", "persist", Effect::Deadline(None)),
        note(b"b", "del", Effect::Delete),
    ];
    assert_eq!(notes(told), expected);
    for (shard, db, key, ..) in &told.changes {
        assert_eq!(*shard, keyspace.shard_of(keyspace.hash(key)).index());
        assert_eq!(*db, 2);
    }
    let mut shards: Vec<usize> = told.changes.iter().map(|change| change.0).collect();
    shards.sort_unstable();
    shards.dedup();
    assert_eq!(told.positions, shards.iter().map(|&id| (id, 1)).collect::<Vec<_>>());
}

#[test]
fn each_shard_counts_its_own_positions_without_gaps() {
    let (keyspace, told) = listened(8);
    for n in 0..200_u32 {
        let keys = [format!("k{}", n % 13), format!("k{}", n % 7)];
        write(&keyspace, |view| {
            keys.iter().for_each(|key| set(view, key.as_bytes(), b"v", Expiry::Clear));
        });
        write(&keyspace, |view| assert!(!view.contains(b"nothing is changed here")));
    }
    let mut last: BTreeMap<usize, u64> = BTreeMap::new();
    let mut transactions = 0;
    for told in told.try_iter() {
        transactions += 1;
        assert_eq!(told.transaction, transactions, "a reader publishes nothing");
        assert!(told.positions.is_sorted() && !told.positions.is_empty());
        for (shard, position) in told.positions {
            let before = last.insert(shard, position).unwrap_or(0);
            assert_eq!(position, before + 1);
        }
    }
    assert_eq!(transactions, 200);
}

#[test]
fn a_transfer_tells_of_the_new_key_then_of_both_sides() {
    let (keyspace, told) = listened(64);
    write(&keyspace, |view| set(view, b"from", b"x", Expiry::Clear));
    write(&keyspace, |view| {
        let events = (Some(event::RENAME_FROM), event::RENAME_TO);
        view.transfer((0, b"from"), (0, b"to"), events).unwrap();
        view.transfer((0, b"to"), (1, b"to"), (None, event::COPY_TO)).unwrap();
    });
    let told: Vec<Told> = told.try_iter().collect();
    let expected = [
        note(b"to", "new", Effect::Nothing),
        note(b"from", "rename_from", Effect::Delete),
        note(b"to", "rename_to", Effect::Set),
        note(b"to", "new", Effect::Nothing),
        note(b"to", "copy_to", Effect::Set),
    ];
    assert_eq!(notes(&told[1]), expected);
    let dbs: Vec<DbIndex> = told[1].changes.iter().map(|change| change.1).collect();
    assert_eq!(dbs, [0, 0, 0, 1, 1]);
}

#[test]
fn whole_databases_are_told_of_once_for_each_shard() {
    let (keyspace, told) = listened(4);
    let keys: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    write(&keyspace, |view| {
        keys.iter().for_each(|key| set(view, key.as_bytes(), b"v", Expiry::Clear));
    });
    write(&keyspace, |view| view.swap(0, 2));
    assert_eq!(write(&keyspace, |view| view.flush(2)), 40);
    assert_eq!(write(&keyspace, |view| view.flush(2)), 0);
    let told: Vec<Told> = told.try_iter().collect();
    assert_eq!(told.len(), 4, "it is told of though there is nothing to flush");
    assert_eq!(notes(&told[3]), notes(&told[2]));
    let swapped = told[1].changes.iter();
    assert!(swapped.clone().all(|change| change.4 == Effect::Swap(2) && change.1 == 0));
    assert_eq!(swapped.count(), 4);
    assert!(told[2].changes.iter().all(|change| change.4 == Effect::Flush && change.1 == 2));
    assert_eq!(told[2].positions, [(0, 3), (1, 3), (2, 3), (3, 3)]);
}

#[test]
fn expiry_is_told_whoever_finds_it() {
    let (keyspace, told) = listened(4);
    write(&keyspace, |view| {
        for key in [&b"a"[..], b"b", b"c"] {
            set(view, key, b"v", Expiry::At(100));
        }
    });
    let run = |view: &mut keyspace::View<'_>| {
        assert!(!view.contains(b"a"), "a reader sees nothing and removes nothing");
        assert!(!view.remove(b"b", event::DEL));
        assert_eq!(view.len(0), 2);
    };
    let (_, tally) = write_in(&keyspace, frame(0, 101), run);
    let mut cleared = 0;
    keyspace.clear(*tally.overdue.unwrap(), |tally| cleared += tally.expired);
    assert_eq!(cleared, 1, "what the reader met goes when it has left");
    assert_eq!(maintain(&keyspace, 101, 0).0, 1);
    let told: Vec<Told> = told.try_iter().collect();
    let told: Vec<Noted> = told[1..].iter().flat_map(notes).collect();
    let expired = |key| note(key, "expired", Effect::Delete);
    assert_eq!(told, [expired(b"b"), expired(b"a"), expired(b"c")]);
}

#[test]
fn what_a_reader_met_stays_if_it_was_written_anew() {
    let keyspace = keyspace(1);
    write(&keyspace, |view| set(view, b"a", b"old", Expiry::At(100)));
    let (_, tally) = write_in(&keyspace, frame(0, 101), |view| view.contains(b"a"));
    write(&keyspace, |view| set(view, b"a", b"new", Expiry::Clear));
    keyspace.clear(*tally.overdue.unwrap(), |tally| assert_eq!(tally.expired, 0));
    assert!(write_in(&keyspace, frame(0, 101), |view| view.contains(b"a")).0);
}

#[test]
fn an_edit_that_changes_nothing_is_not_told() {
    let (keyspace, told) = listened(1);
    let edit = |len, change| {
        let run = |view: &mut keyspace::View<'_>| {
            let mut entry = view.str_entry(b"k").unwrap();
            entry.edit_if(len, event::SETBIT, |_| change).unwrap();
        };
        write_in(&keyspace, frame(0, 0), run).1.changes
    };
    assert_eq!(edit(3, false), 1, "it came into being");
    assert_eq!(edit(3, false), 0);
    assert_eq!(edit(2, true), 1);
    assert_eq!(edit(4, false), 1, "it grew");
    let told: Vec<_> = told.try_iter().map(|told| notes(&told)).collect();
    let setbit = note(b"k", "setbit", Effect::Set);
    let made = vec![note(b"k", "new", Effect::Nothing), setbit.clone()];
    assert_eq!(told, [made, vec![setbit.clone()], vec![setbit]]);
}

#[test]
fn there_is_one_sink() {
    let (keyspace, _told) = listened(1);
    assert!(!keyspace.set_sink(Box::new(Recorder(channel().0))));
}

#[test]
fn nothing_is_told_while_nobody_listens() {
    let (keyspace, told) = listened(4);
    keyspace.listen(Listener::Followers, false);
    write(&keyspace, |view| set(view, b"a", b"1", Expiry::Clear));
    keyspace.listen(Listener::Followers, true);
    write_in(&keyspace, Frame { origin: 7, ..frame(0, 0) }, |view| {
        set(view, b"b", b"2", Expiry::Clear);
    });
    let told: Vec<Told> = told.try_iter().collect();
    assert!(matches!(&told[..], [one] if one.transaction == 1 && one.origin == 7));
}

/// Reads hold their gates shared, so they can tell and move no position.
#[test]
fn reads_of_keys_that_are_not_there_are_told_while_somebody_asks_for_them() {
    let (keyspace, told) = listened(4);
    let read = |keys: &[&[u8]]| {
        let view = keyspace.enter_blocking(&Plan::All, Mode::Shared, || frame(1, 0));
        keys.iter().for_each(|key| assert!(view.str(key).unwrap().is_none()));
        assert!(view.inspect(b"no read").is_none());
        assert_eq!(view.publish().misses, keys.len() as u64 + 1);
    };
    read(&[b"a"]);
    assert_eq!(told.try_iter().count(), 0, "nobody has asked for it");
    keyspace.listen(Listener::Followers, false);
    keyspace.listen(Listener::Misses, true);
    read(&[b"a", b"b"]);
    read(&[]);
    write(&keyspace, |view| set(view, b"c", b"1", Expiry::Clear));
    let told: Vec<Told> = told.try_iter().collect();
    let [told] = &told[..] else { panic!("{told:?}") };
    let missed = |key: &[u8]| note(key, "keymiss", Effect::Nothing);
    assert_eq!((notes(told), told.positions.len()), (vec![missed(b"a"), missed(b"b")], 0));
    assert!(told.changes.iter().all(|(_, db, ..)| *db == 1));
}

/// Who follows the events must be able to follow the fields: each goes once, and by a name.
#[test]
fn a_field_that_outlives_its_deadline_is_told_of_once() {
    let (keyspace, told) = listened(4);
    let set_fields = |view: &mut keyspace::View<'_>| {
        let mut entry = view.hash_entry(b"hash").unwrap();
        for (field, until) in [(b"a", Until::At(10)), (b"b", Until::At(10)), (b"c", Until::Never)] {
            entry.set_until(field, b"v", until).unwrap();
        }
        entry.noted(event::HSET);
    };
    write_in(&keyspace, frame(0, 0), set_fields);
    assert_eq!(told.try_iter().count(), 1);
    let told = || told.try_iter().flat_map(|told| notes(&told)).collect::<Vec<_>>();

    let overwrite = |view: &mut keyspace::View<'_>| {
        let mut entry = view.hash_entry(b"hash").unwrap();
        assert!(!entry.remove(b"b").unwrap());
        assert!(entry.set(b"a", b"v").unwrap());
        entry.noted(event::HSET);
    };
    let (_, tally) = write_in(&keyspace, frame(0, 20), overwrite);
    assert_eq!(tally.lapsed, 1);
    let expired = note(b"hash", "hexpired", Effect::Nothing);
    assert_eq!(told(), [expired.clone(), note(b"hash", "hset", Effect::Set)]);

    let remove = |view: &mut keyspace::View<'_>| {
        let mut entry = view.hash_entry(b"hash").unwrap();
        assert!(entry.remove(b"a").unwrap() && entry.remove(b"c").unwrap());
        entry.noted(event::HDEL);
    };
    let (_, tally) = write_in(&keyspace, frame(0, 20), remove);
    assert_eq!(tally.lapsed, 1, "the one that was left");
    let gone = note(b"hash", "del", Effect::Delete);
    assert_eq!(told(), [note(b"hash", "hdel", Effect::Nothing), expired, gone]);

    write_in(&keyspace, frame(0, 0), set_fields);
    told();
    maintain(&keyspace, 20, 0);
    assert_eq!(told(), [note(b"hash", "hexpired", Effect::Set)]);
}

#[test]
fn a_member_that_outlives_its_deadline_is_told_of_as_a_field_is() {
    let (keyspace, told) = listened(1);
    let add = |view: &mut keyspace::View<'_>| {
        let mut entry = view.set_entry(b"set").unwrap();
        for member in [b"a", b"b"] {
            entry.insert_until(member, 10).unwrap();
        }
        entry.noted(event::SEXPIRE);
    };
    write_in(&keyspace, frame(0, 0), add);
    told.try_iter().for_each(drop);
    let again = |view: &mut keyspace::View<'_>| {
        let mut entry = view.set_entry(b"set").unwrap();
        assert!(entry.is_empty() && entry.insert(b"a").unwrap());
        entry.noted(event::SADD);
        assert!(entry.remove(b"a").unwrap());
        entry.noted(event::SREM);
    };
    let (_, tally) = write_in(&keyspace, frame(0, 20), again);
    assert_eq!(tally.lapsed, 2);
    let expired = note(b"set", "sexpired", Effect::Nothing);
    let gone = note(b"set", "del", Effect::Delete);
    let added = note(b"set", "sadd", Effect::Set);
    let removed = note(b"set", "srem", Effect::Nothing);
    let told: Vec<_> = told.try_iter().flat_map(|told| notes(&told)).collect();
    assert_eq!(told, [expired.clone(), added, removed, expired, gone]);
}

/// What events are called, and the fields each of them names.
type NamedEvents = Vec<(&'static str, Vec<Vec<u8>>)>;

/// The names of each event of a publication, beside what it is called.
fn named(publication: &Publication<'_>) -> NamedEvents {
    let names = |change: keyspace::Change<'_>| change.parts.iter().map(<[u8]>::to_vec).collect();
    publication.changes().map(|change| (change.event.name, names(change))).collect()
}

/// A sink that takes down events with their names.
struct Names(Sender<NamedEvents>);

impl Sink for Names {
    fn publish(&self, publication: &Publication<'_>) {
        self.0.send(named(publication)).expect("the test listens");
    }
}

/// What a transaction tells of fields, if it is told of them.
fn names_told(
    keyspace: &Keyspace,
    told: &Receiver<NamedEvents>,
    now: Millis,
    run: impl FnOnce(&mut keyspace::View<'_>),
) -> NamedEvents {
    write_in(keyspace, frame(0, now), run);
    told.try_iter().flatten().collect()
}

fn listened_for_names() -> (Keyspace, Receiver<NamedEvents>) {
    let keyspace = keyspace(4);
    let (sender, told) = channel();
    assert!(keyspace.set_sink(Box::new(Names(sender))));
    keyspace.listen(Listener::Parts, true);
    (keyspace, told)
}

fn texts(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Small hashes and large ones, made in one go and field by field, name the same.
#[test]
fn an_event_of_a_hash_names_the_fields_that_were_touched_in_their_order() {
    let (keyspace, told) = listened_for_names();
    let long = [b'x'; 100];
    for value in [&b"v"[..], &long] {
        let told = names_told(&keyspace, &told, 0, |view| {
            let mut entry = view.hash_entry(b"hash").unwrap();
            let pairs = ["b", "a", "b"].map(|field| (field.as_bytes(), value));
            entry.set_all(pairs.into_iter()).unwrap();
            entry.noted(event::HSET);
            let mut entry = view.hash_entry(b"hash").unwrap();
            entry.set_all([(&b"c"[..], value)].into_iter()).unwrap();
            entry.set_deadline(b"c", Some(100)).unwrap();
            entry.also(event::HSET);
            entry.noted(event::HEXPIRE);
            let mut entry = view.hash_entry(b"hash").unwrap();
            assert!(entry.remove(b"a").unwrap() && !entry.remove(b"a").unwrap());
            entry.noted(event::HDEL);
            assert!(view.remove(b"hash", event::DEL));
        });
        let expected = [
            ("new", texts(&[])),
            ("hset", texts(&["b", "a", "b"])),
            ("hset", texts(&["c", "c"])),
            ("hexpire", texts(&["c", "c"])),
            ("hdel", texts(&["a"])),
            ("del", texts(&[])),
        ];
        assert_eq!(told, expected);
    }
}

/// What a guard wrote down and did not note belongs to no event that comes later, and a
/// transaction that only wrote down has told nothing.
#[test]
fn names_that_no_event_took_up_are_forgotten() {
    let (keyspace, told) = listened_for_names();
    names_told(&keyspace, &told, 0, |view| {
        let mut entry = view.hash_entry(b"hash").unwrap();
        entry.set(b"a", b"1").unwrap();
        entry.noted(event::HSET);
    });
    let nothing = names_told(&keyspace, &told, 0, |view| {
        view.hash_entry(b"hash").unwrap().set(b"a", b"2").unwrap();
    });
    assert_eq!(nothing, []);
    let later = names_told(&keyspace, &told, 0, |view| {
        view.hash_entry(b"hash").unwrap().set(b"a", b"3").unwrap();
        let mut entry = view.hash_entry(b"other").unwrap();
        entry.set(b"b", b"1").unwrap();
        entry.noted(event::HSET);
    });
    assert_eq!(later, [("new", texts(&[])), ("hset", texts(&["b"]))]);
    keyspace.listen(Listener::Parts, false);
    let unasked = names_told(&keyspace, &told, 0, |view| {
        let mut entry = view.hash_entry(b"hash").unwrap();
        entry.set(b"a", b"4").unwrap();
        entry.noted(event::HSET);
    });
    assert_eq!(unasked, [("hset", texts(&[]))]);
}

/// Each field that outlives its deadline is named once: by who writes over it, by who takes the
/// others out, or by maintenance.
#[test]
fn fields_that_outlive_their_deadlines_are_named_by_hexpired_alone() {
    let (keyspace, told) = listened_for_names();
    let make = |view: &mut keyspace::View<'_>| {
        let mut entry = view.hash_entry(b"hash").unwrap();
        for (field, until) in [("a", Until::At(10)), ("b", Until::At(10)), ("c", Until::Never)] {
            entry.set_until(field.as_bytes(), b"v", until).unwrap();
        }
        entry.noted(event::HSET);
    };
    names_told(&keyspace, &told, 0, make);
    let over = names_told(&keyspace, &told, 20, |view| {
        let mut entry = view.hash_entry(b"hash").unwrap();
        assert!(entry.set(b"a", b"w").unwrap() && !entry.remove(b"b").unwrap());
        entry.noted(event::HSET);
    });
    assert_eq!(over, [("hexpired", texts(&["a"])), ("hset", texts(&["a"]))]);
    let last = names_told(&keyspace, &told, 20, |view| {
        let mut entry = view.hash_entry(b"hash").unwrap();
        assert!(entry.remove(b"a").unwrap() && entry.remove(b"c").unwrap());
        entry.noted(event::HDEL);
    });
    let gone = [("hdel", texts(&["a", "c"])), ("hexpired", texts(&["b"])), ("del", texts(&[]))];
    assert_eq!(last, gone);

    names_told(&keyspace, &told, 0, make);
    maintain(&keyspace, 20, 0);
    let mut told: Vec<_> = told.try_iter().flatten().collect();
    told.iter_mut().for_each(|(_, names)| names.sort());
    assert_eq!(told, [("hexpired", texts(&["a", "b"]))]);
}

/// Who listens to values that are put over others is told of their types; who does not is not.
#[test]
fn a_value_that_is_put_over_another_is_told_of_only_where_somebody_listens() {
    let (keyspace, told) = listened(4);
    let run = |view: &mut keyspace::View<'_>| {
        set(view, b"a", b"1", Expiry::Clear);
        view.str_over(b"a").replace(b"2", Expiry::Clear, event::SET).unwrap();
        let list = view.new_list([&b"x"[..]].into_iter());
        view.put_list(b"a", list, Expiry::Clear, event::SORTSTORE).unwrap();
        set(view, b"b", b"1", Expiry::Clear);
        let events = (Some(event::RENAME_FROM), event::RENAME_TO);
        assert!(view.transfer((0, b"a"), (0, b"b"), events).unwrap());
        view.str_over(b"b").replace(b"3", Expiry::Clear, event::RESTORE).unwrap();
        assert!(view.remove(b"b", event::DEL));
    };
    let names = |told: Told| told.changes.iter().map(|change| change.3).collect::<Vec<_>>();
    write_in(&keyspace, frame(0, 0), run);
    let quiet = names(told.try_recv().unwrap());
    assert!(!quiet.contains(&"overwritten") && !quiet.contains(&"type_changed"), "{quiet:?}");

    keyspace.listen(Listener::Overwrites, true);
    write_in(&keyspace, frame(0, 0), run);
    let expected = [
        &["new", "set"][..],
        &["overwritten", "set"],
        &["overwritten", "type_changed", "sortstore"],
        &["new", "set"],
        &["new", "rename_from", "rename_to", "overwritten", "type_changed"],
        &["new", "restore", "overwritten", "type_changed"],
        &["del"],
    ];
    assert_eq!(names(told.try_recv().unwrap()), expected.concat());
}

/// What a sink is told and what is published, in that order.
struct Steps(Sender<(&'static str, Vec<Noted>)>);

impl Sink for Steps {
    fn tell(&self, step: &Step<'_>) {
        let notes = step.changes().map(|change| note(change.key, change.event.name, change.effect));
        self.0.send(("step", notes.collect())).expect("the test listens");
    }

    fn publish(&self, publication: &Publication<'_>) {
        let notes = publication.changes();
        let notes = notes.map(|change| note(change.key, change.event.name, change.effect));
        self.0.send(("all", notes.collect())).expect("the test listens");
    }
}

/// Clients hear of each command of a transaction once, and the journal of all of them at once.
#[test]
fn each_change_is_told_once_and_published_with_the_rest() {
    let keyspace = keyspace(4);
    let (sender, told) = channel();
    assert!(keyspace.set_sink(Box::new(Steps(sender))));
    write(&keyspace, |view| {
        set(view, b"a", b"1", Expiry::Clear);
        view.tell();
        view.tell();
        assert!(view.remove(b"a", event::DEL));
        set(view, b"b", b"1", Expiry::Clear);
        view.tell();
        assert!(view.remove(b"b", event::DEL));
    });
    let (new, made) =
        (|key| note(key, "new", Effect::Nothing), |key| note(key, "set", Effect::Set));
    let gone = |key| note(key, "del", Effect::Delete);
    let steps =
        [vec![new(b"a"), made(b"a")], vec![gone(b"a"), new(b"b"), made(b"b")], vec![gone(b"b")]];
    let expected: Vec<_> = steps.iter().map(|step| ("step", step.clone())).collect();
    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told[..3], expected);
    assert_eq!(told[3..], [("all", steps.concat())]);
}
