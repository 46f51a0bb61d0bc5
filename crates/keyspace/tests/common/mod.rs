//! What the tests of the keyspace share: entering from a test, and reading everything.

#![allow(dead_code, reason = "no test file uses all of it")]

use std::collections::BTreeMap;

use keyspace::{
    Access, DbIndex, Due, Expiry, Frame, Intake, Keyspace, Layout, Maintained, Millis, Mode, Plan,
    ScanCursor, Tally, View, event,
};

pub(crate) const DATABASES: DbIndex = 3;

/// An entry as tests compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) value: Vec<u8>,
    pub(crate) deadline: Option<Millis>,
    pub(crate) sticky: bool,
}

/// All entries, by database and key.
pub(crate) type Contents = BTreeMap<(DbIndex, Vec<u8>), Seen>;

pub(crate) fn keyspace(shards: usize) -> Keyspace {
    Keyspace::new(shards, DATABASES, [0x5EED, 0xF00D])
}

pub(crate) fn frame(db: DbIndex, now: Millis) -> Frame {
    let layout = Layout::default();
    Frame {
        db,
        now,
        chance: 7,
        access: Access::Lru,
        touch: true,
        origin: 0,
        by_script: false,
        is_paused: false,
        layout,
        intake: Intake::default(),
    }
}

/// Runs a transaction over all shards and publishes it.
pub(crate) fn write_in<R>(
    keyspace: &Keyspace,
    frame: Frame,
    run: impl FnOnce(&mut View<'_>) -> R,
) -> (R, Tally) {
    let mut view = keyspace.enter_blocking(&Plan::All, Mode::Exclusive, || frame);
    let result = run(&mut view);
    (result, view.publish())
}

/// [`write_in`] database 0 at a time when nothing has expired.
pub(crate) fn write<R>(keyspace: &Keyspace, run: impl FnOnce(&mut View<'_>) -> R) -> R {
    write_in(keyspace, frame(0, 0), run).0
}

pub(crate) fn set(view: &mut View<'_>, key: &[u8], value: &[u8], expiry: Expiry) {
    view.str_entry(key).unwrap().set(value, expiry, event::SET).unwrap();
}

/// Every entry that has not expired.
pub(crate) fn contents(keyspace: &Keyspace, now: Millis) -> Contents {
    (0..keyspace.databases()).flat_map(|db| contents_of(keyspace, db, now)).collect()
}

fn contents_of(keyspace: &Keyspace, db: DbIndex, now: Millis) -> Contents {
    let view = keyspace.enter_blocking(&Plan::All, Mode::Shared, || frame(db, now));
    let mut all = Contents::new();
    let mut cursor = ScanCursor::default();
    loop {
        cursor = view.scan(cursor, 1000, |met| {
            let value = view.peek(met.key).expect("it was just met").as_bytes().to_vec();
            let info = met.info();
            let seen = Seen { value, deadline: info.deadline, sticky: info.sticky };
            all.insert((db, met.key.to_vec()), seen);
        });
        if cursor == ScanCursor::default() {
            return all;
        }
    }
}

/// A round of maintenance over every shard; what it removed, and how many steps it took.
pub(crate) fn maintain(keyspace: &Keyspace, now: Millis, rest: Millis) -> (u64, usize) {
    let (mut expired, mut steps) = (0, 0);
    for id in keyspace.shard_ids() {
        let mut due = Due::new(rest);
        loop {
            match keyspace.maintain(id, frame(0, now), &mut due) {
                Maintained::Step(tally) => {
                    expired += tally.expired;
                    steps += 1;
                }
                Maintained::Done => break,
                Maintained::Busy => panic!("nobody else is here"),
            }
        }
    }
    (expired, steps)
}
