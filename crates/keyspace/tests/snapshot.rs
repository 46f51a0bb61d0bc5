//! A snapshot is the state at its cut, whatever writers do while it is taken.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use std::sync::mpsc::{Receiver, Sender, channel};

use common::{Contents, DATABASES, Seen, contents, frame, keyspace, maintain, set, write_in};
use keyspace::{Copied, DbIndex, Expiry, Keyspace, Millis, Mode, Plan, SnapshotSink, event};
use proptest::prelude::*;

type Entry = ((DbIndex, Vec<u8>), Seen);

struct Copier(Sender<Entry>);

impl SnapshotSink for Copier {
    fn copy(&mut self, entry: Copied<'_>) {
        let Copied { db, key, value, deadline, sticky } = entry;
        let seen = Seen { value: value.str_bytes().unwrap().to_vec(), deadline, sticky };
        self.0.send(((db, key.to_vec()), seen)).expect("the test listens");
    }
}

/// One thing that happens between two steps of a walk.
#[derive(Clone, Debug)]
enum Happening {
    Set(DbIndex, u16, u16),
    SetWithDeadline(DbIndex, u16, Millis),
    Append(DbIndex, u16),
    Delete(DbIndex, u16),
    /// Many keys at once, so that segments split.
    Fill(DbIndex, u16, u16),
    /// Many keys at once, so that segments are merged by the next maintenance.
    Empty(DbIndex, u16, u16),
    Move((DbIndex, u16), (DbIndex, u16), bool),
    Persist(DbIndex, u16),
    Stick(DbIndex, u16),
    Flush(DbIndex),
    Swap(DbIndex, DbIndex),
    Maintain,
    Pass(Millis),
    Walk(usize),
}

/// Keys that happenings name one by one; fills reach beyond.
const KEYS: u16 = 1_000;

fn key(n: u16) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

fn happenings() -> impl Strategy<Value = Happening> {
    use Happening::{
        Append, Delete, Empty, Fill, Flush, Maintain, Move, Pass, Persist, Set, SetWithDeadline,
        Stick, Swap, Walk,
    };
    let (db, n) = (0..DATABASES, 0..KEYS);
    let place = || (0..DATABASES, 0..KEYS);
    prop_oneof![
        6 => (place(), 0..400_u16).prop_map(|((db, n), len)| Set(db, n, len)),
        3 => (place(), 1..2_000_u64).prop_map(|((db, n), at)| SetWithDeadline(db, n, at)),
        3 => place().prop_map(|(db, n)| Append(db, n)),
        5 => place().prop_map(|(db, n)| Delete(db, n)),
        1 => (db.clone(), n.clone(), 1..800_u16).prop_map(|(db, n, count)| Fill(db, n, count)),
        1 => (db.clone(), n, 1..1_500_u16).prop_map(|(db, n, count)| Empty(db, n, count)),
        4 => (place(), place(), any::<bool>()).prop_map(|(from, to, stays)| Move(from, to, stays)),
        2 => place().prop_map(|(db, n)| Persist(db, n)),
        1 => place().prop_map(|(db, n)| Stick(db, n)),
        1 => db.clone().prop_map(Flush),
        1 => (db.clone(), db).prop_map(|(one, other)| Swap(one, other)),
        2 => Just(Maintain),
        1 => (1..300_u64).prop_map(Pass),
        8 => (1..120_usize).prop_map(Walk),
    ]
}

struct World {
    keyspace: Keyspace,
    now: Millis,
    version: u64,
    /// What the snapshot under way must come to, and what it has copied.
    under_way: Option<(Contents, Receiver<Entry>)>,
}

impl World {
    fn new(shards: usize) -> World {
        World { keyspace: keyspace(shards), now: 0, version: 0, under_way: None }
    }

    fn in_db<R>(&self, db: DbIndex, run: impl FnOnce(&mut keyspace::View<'_>) -> R) -> R {
        write_in(&self.keyspace, frame(db, self.now), run).0
    }

    fn begin(&mut self) {
        self.version += 1;
        let (sender, copies) = channel();
        // At time 0 nothing has expired: what has is still there, and part of the cut.
        let cut = contents(&self.keyspace, 0);
        let version = self.version;
        self.in_db(0, |view| view.begin_snapshot(version, |_| Box::new(Copier(sender.clone()))));
        self.under_way = Some((cut, copies));
    }

    /// Walks every shard by some homes; does nothing in those that have come to their end.
    fn walk(&self, homes: usize) {
        for id in self.keyspace.shard_ids() {
            let frame = || frame(0, self.now);
            let mut view = self.keyspace.enter_blocking(&Plan::One(id), Mode::Exclusive, frame);
            view.walk_snapshot(id, homes);
        }
    }

    fn finish(&mut self) {
        self.walk(usize::MAX);
        let Some((cut, copies)) = self.under_way.take() else { return };
        let mut copied = Contents::new();
        for (place, seen) in copies.try_iter() {
            let before = copied.insert(place.clone(), seen);
            assert!(before.is_none(), "{place:?} was copied twice");
        }
        let mut missing = cut.iter().filter(|(place, _)| !copied.contains_key(*place));
        assert_eq!(missing.next(), None, "is missing");
        let mut more = copied.iter().filter(|(place, _)| !cut.contains_key(*place));
        assert_eq!(more.next(), None, "was not there");
        let mut other = cut.iter().filter(|(place, seen)| copied[*place] != **seen);
        assert_eq!(other.next(), None, "is another one");
    }

    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Set(db, n, len) => self.in_db(db, |view| {
                set(view, &key(n), &vec![n as u8; usize::from(len)], Expiry::Keep);
            }),
            Happening::SetWithDeadline(db, n, at) => {
                self.in_db(db, |view| set(view, &key(n), b"volatile", Expiry::At(at)));
            }
            Happening::Append(db, n) => self.in_db(db, |view| {
                view.str_entry(&key(n)).unwrap().append(b"more", event::APPEND).unwrap();
            }),
            Happening::Delete(db, n) => {
                self.in_db(db, |view| view.remove(&key(n), event::DEL));
            }
            Happening::Fill(db, first, count) => self.in_db(db, |view| {
                (first..first + count).for_each(|n| set(view, &key(n), b"filled", Expiry::Clear));
            }),
            Happening::Empty(db, first, count) => self.in_db(db, |view| {
                (first..first + count).for_each(|n| {
                    view.remove(&key(n), event::DEL);
                });
            }),
            Happening::Move((from_db, from), (to_db, to), stays) => self.in_db(0, |view| {
                let events = ((!stays).then_some(event::RENAME_FROM), event::RENAME_TO);
                view.transfer((from_db, &key(from)), (to_db, &key(to)), events).unwrap();
            }),
            Happening::Persist(db, n) => self.in_db(db, |view| {
                view.set_deadline(&key(n), None, event::PERSIST).unwrap();
            }),
            Happening::Stick(db, n) => {
                self.in_db(db, |view| view.stick(&key(n)));
            }
            Happening::Flush(db) => {
                self.in_db(0, |view| view.flush(db));
            }
            Happening::Swap(one, other) => self.in_db(0, |view| view.swap(one, other)),
            Happening::Maintain => {
                maintain(&self.keyspace, self.now, 0);
            }
            Happening::Pass(millis) => self.now += millis,
            Happening::Walk(homes) => self.walk(homes),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn it_equals_the_state_at_the_cut(
        shards in prop_oneof![Just(1_usize), Just(2), Just(8)],
        filled in prop::collection::vec((0..DATABASES, 0..KEYS, 1..1_200_u16), 0..3),
        before in prop::collection::vec(happenings(), 0..20),
        rounds in prop::collection::vec(
            (prop::collection::vec(happenings(), 0..60), prop::bool::weighted(0.8)),
            1..4,
        ),
    ) {
        let mut world = World::new(shards);
        for (db, first, count) in filled {
            world.happen(&Happening::Fill(db, first, count));
        }
        before.iter().for_each(|happening| world.happen(happening));
        for (happenings, to_its_end) in rounds {
            world.begin();
            happenings.iter().for_each(|happening| world.happen(happening));
            // A snapshot that is not finished is given up when the next one begins.
            if to_its_end {
                world.finish();
            }
        }
    }
}

#[test]
fn a_database_that_is_made_after_the_cut_is_no_part_of_it() {
    // Its table had no stamps yet, so the walker took it for one that nobody had changed.
    let mut world = World::new(1);
    world.happen(&Happening::Set(0, 1, 3));
    world.happen(&Happening::Set(1, 1, 3));
    world.begin();
    world.happen(&Happening::Flush(1));
    world.happen(&Happening::Set(1, 2, 3));
    world.happen(&Happening::Set(2, 1, 3));
    world.finish();
}

#[test]
fn a_snapshot_that_is_given_up_returns_its_sinks() {
    let world = World::new(4);
    let sink = || Box::new(Copier(channel().0)) as Box<dyn SnapshotSink>;
    assert!(world.in_db(0, |view| view.begin_snapshot(1, |_| sink())).is_empty());
    assert_eq!(world.in_db(0, |view| view.begin_snapshot(2, |_| sink())).len(), 4);
}
