//! The table against a map from hash to handle: a handle's hash is looked up in a plain vector.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A table whose handles are indices into the hashes they stand for.
struct Model {
    table: Table,
    hashes: Vec<u64>,
    present: BTreeMap<u32, u64>,
}

impl Model {
    fn new(skip: u32) -> Model {
        Model { table: Table::new(skip), hashes: Vec::new(), present: BTreeMap::new() }
    }

    fn insert(&mut self, hash: u64) -> u32 {
        let handle = self.hashes.len() as u32;
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.table.insert(hash, handle, |handle| hashes[handle as usize]);
        self.present.insert(handle, hash);
        handle
    }

    fn find(&self, handle: u32) -> Option<At> {
        self.table.find(self.hashes[handle as usize], |other| other == handle)
    }

    fn remove(&mut self, handle: u32) {
        let at = self.find(handle).expect("it is present");
        assert_eq!(self.table.remove(self.hashes[handle as usize], at), handle);
        self.present.remove(&handle);
    }

    fn tidy(&mut self) {
        let hashes = &self.hashes;
        let mut cursor = Some(Cursor::START);
        while let Some(here) = cursor {
            self.table.tidy_after(here, |handle| hashes[handle as usize]);
            cursor = self.table.next_segment(here);
        }
    }

    fn check(&self) {
        assert_eq!(self.table.len(), self.present.len());
        for &handle in self.present.keys() {
            assert_eq!(self.find(handle).map(At::handle), Some(handle));
        }
        let mut seen = BTreeSet::new();
        let mut cursor = Some(Cursor::START);
        while let Some(here) = cursor {
            cursor = self.table.segment_handles(here, |handle| {
                assert!(seen.insert(handle), "each handle lies in one place");
            });
        }
        assert!(seen.iter().eq(self.present.keys()));
    }

    fn scan_step(&self, cursor: Cursor, seen: &mut BTreeSet<u32>) -> Option<Cursor> {
        self.table.scan(
            cursor,
            |handle| self.hashes[handle as usize],
            |handle| {
                seen.insert(handle);
            },
        )
    }
}

#[test]
fn a_hundred_thousand_handles_are_found_and_removed() {
    let mut model = Model::new(7);
    for n in 0..100_000 {
        model.insert(mix(n) >> 7);
    }
    model.check();
    for handle in (0..100_000).filter(|n| n % 3 != 0) {
        model.remove(handle);
    }
    model.check();
    let before = model.table.bytes();
    model.tidy();
    model.check();
    assert!(model.table.bytes() < before * 2 / 3, "nearly empty segments were merged");
}

#[test]
fn a_copy_and_its_original_go_their_own_ways() {
    let mut model = Model::new(0);
    (0..20_000).for_each(|n| _ = model.insert(mix(n)));
    // Far more splits on one side, so that segments share directory entries unequally.
    (0..5000).for_each(|n| _ = model.insert(mix(n) >> 6));
    // Hashes that no split parts: the copy has overflow lists of its own.
    (0..900).for_each(|_| _ = model.insert(mix(1)));
    model.table.note_deadline(mix(3), 70);
    let table = model.table.clone();
    assert_eq!((table.due(), table.capacity()), (70, model.table.capacity()));
    let copy = Model { table, hashes: model.hashes.clone(), present: model.present.clone() };
    (0..25_900).for_each(|handle| model.remove(handle));
    model.tidy();
    model.check();
    copy.check();
    drop(model);
    copy.check();
}

#[test]
fn a_segment_is_split_at_high_fill_only() {
    let mut fills = Vec::new();
    for seed in 0..20_u64 {
        let mut table = Table::new(0);
        let mut hashes = Vec::new();
        while table.segments == 1 {
            hashes.push(mix(seed << 32 | hashes.len() as u64));
            let hash = hashes[hashes.len() - 1];
            table.insert(hash, hashes.len() as u32 - 1, |handle| hashes[handle as usize]);
        }
        fills.push(hashes.len() as f64 / SEGMENT_SLOTS as f64);
    }
    let mean = fills.iter().sum::<f64>() / fills.len() as f64;
    assert!(mean > 0.88, "mean fill at the split was {mean}");
}

#[test]
fn equal_hashes_without_end_are_kept_and_found() {
    let mut model = Model::new(0);
    for _ in 0..3_000 {
        model.insert(0x0123_4567_89ab_cdef);
    }
    model.check();
    for handle in 0..2_000 {
        model.remove(handle);
    }
    model.check();
    assert!(model.table.segments < 100, "splitting stops when it does not help");
}

#[test]
fn a_scan_sees_what_stays_while_segments_split_and_merge() {
    for seed in 0..30_u64 {
        let mut model = Model::new(3);
        let mut chance = seed;
        let mut next = || {
            chance += 1;
            mix(seed << 40 | chance)
        };
        let stay: BTreeSet<u32> = (0..3_000).map(|_| model.insert(next() >> 3)).collect();
        let mut others = Vec::new();
        let mut seen = BTreeSet::new();
        let (mut cursor, mut steps) = (Cursor::START, 0);
        while let Some(after) = model.scan_step(cursor, &mut seen) {
            cursor = Cursor::from_bits(after.to_bits());
            steps += 1;
            if steps / 40 % 2 == 0 {
                others.extend((0..200).map(|_| model.insert(next() >> 3)));
            } else {
                others.drain(..).for_each(|handle| model.remove(handle));
                model.tidy();
            }
            assert!(steps < 200_000, "the walk ends");
        }
        assert!(stay.is_subset(&seen), "seed {seed} lost a key that was there throughout");
    }
}

#[test]
fn a_snapshot_gets_every_home_once_whoever_comes_first() {
    let mut model = Model::new(0);
    for n in 0..5_000 {
        model.insert(mix(n));
    }
    let before: BTreeSet<u32> = model.present.keys().copied().collect();
    let mut copied = Vec::new();
    let mut cursor = Some(Cursor::START);
    let mut n = 5_000;
    while let Some(here) = cursor {
        // A writer comes in between: it stamps the home it is about to change, then inserts.
        let hash = mix(n);
        n += 1;
        let hashes = model.hashes.clone();
        let hash_of = |handle: u32| hashes[handle as usize];
        model.table.stamp(hash, 1, hash_of, |handle| copied.push(handle));
        model.insert(hash);
        let hashes = model.hashes.clone();
        let hash_of = |handle: u32| hashes[handle as usize];
        cursor = model.table.stamp_at(here, 1, hash_of, |handle| copied.push(handle));
    }
    let distinct: BTreeSet<u32> = copied.iter().copied().collect();
    assert_eq!(distinct, before, "the snapshot is the state at its beginning");
    assert_eq!(copied.len(), before.len(), "and nothing was copied twice");
}

/// Equal hashes split one segment until the directory is as deep as it gets. A choice at random
/// went through a million entries that pointed to the same few segments.
#[test]
fn random_finds_a_handle_below_a_deep_directory() {
    let mut model = Model::new(0);
    let handles: Vec<u32> = (0..800).map(|_| model.insert(0x0123_4567_89ab_cdef)).collect();
    assert_eq!(model.table.depth, DEPTH_MAX);
    for chance in 0..2_000 {
        assert!(model.table.random(mix(chance)).is_some_and(|handle| handle < 800));
    }
    handles.iter().for_each(|&handle| model.remove(handle));
    assert_eq!(model.table.random(mix(1)), None);
}

/// The sum over all handles of how far each is from being drawn as often as the others, squared.
fn unevenness(handles: u64) -> f64 {
    let mut model = Model::new(0);
    for n in 1..=handles {
        model.insert(mix(n));
    }
    let expected = 100.0;
    let mut counts = vec![0.0; handles as usize];
    (0..handles * 100).for_each(|n| {
        let drawn = model.table.random(mix(n ^ 0x5555)).expect("there are some");
        counts[drawn as usize] += 1.0;
    });
    counts.iter().map(|count: &f64| (count - expected).powi(2) / expected).sum()
}

/// SRANDMEMBER preferred members that were alone in their bucket, twenty times as likely as those
/// that shared one: the first bucket that had any was taken, from a random one on.
#[test]
fn random_draws_each_handle_equally_often() {
    // Chi-square of n - 1 degrees of freedom: mean n - 1, deviation sqrt(2n). Five of them.
    for handles in [2_u64, 10, 700, 5_000, 20_000] {
        let limit = handles as f64 + 5.0 * (2.0 * handles as f64).sqrt() + 10.0;
        let found = unevenness(handles);
        assert!(found < limit, "{handles} handles: {found}, more than {limit}");
    }
}

#[test]
fn random_finds_the_only_handle() {
    let mut model = Model::new(0);
    let all: Vec<u32> = (0..5_000).map(|n| model.insert(mix(n))).collect();
    for &handle in &all[1..] {
        model.remove(handle);
    }
    for chance in 0..200 {
        assert_eq!(model.table.random(mix(chance)), Some(all[0]));
    }
    model.remove(all[0]);
    assert_eq!(model.table.random(1), None);
}

#[test]
fn the_earliest_deadline_survives_splits() {
    let mut model = Model::new(0);
    let first = model.insert(mix(0));
    model.table.note_deadline(model.hashes[first as usize], 77);
    for n in 1..10_000 {
        model.insert(mix(n));
    }
    let mut cursor = Some(Cursor::START);
    let mut holding = 0;
    while let Some(here) = cursor {
        let mut here_too = false;
        model.table.segment_handles(here, |handle| here_too |= handle == first);
        if here_too {
            assert_eq!(model.table.segment_due(here), 77);
            holding += 1;
        }
        cursor = model.table.next_segment(here);
    }
    assert_eq!((holding, model.table.due()), (1, 77));
    // A doubled directory says it of the segments beside, too: they get a look for nothing, once.
    while let Some(due) = model.table.next_due(Cursor::START, 77) {
        model.table.set_segment_due(due, 99);
    }
    assert_eq!((model.table.due(), model.table.next_due(Cursor::START, 98)), (99, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_table_agrees_with_a_map(
        steps in prop::collection::vec((0_u8..10, any::<u64>()), 1..1_500),
        narrow in any::<bool>(),
    ) {
        let mut model = Model::new(4);
        for (what, number) in steps {
            let some = model.present.keys().nth(number as usize % model.present.len().max(1));
            match (what, some.copied()) {
                (0..=5, _) | (_, None) => {
                    // Few distinct hashes fill buckets, stash and overflow.
                    let hash = if narrow { mix(number % 7) } else { mix(number) };
                    model.insert(hash >> 4);
                }
                (6..=8, Some(handle)) => model.remove(handle),
                (_, Some(_)) => model.tidy(),
            }
        }
        model.check();
    }
}
