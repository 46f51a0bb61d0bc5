//! Walks over all keys while they change, and keys chosen at random.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use std::collections::BTreeSet;

use common::{frame, keyspace, maintain, set, write, write_in};
use keyspace::{Expiry, Frame, Keyspace, Millis, Mode, Plan, ScanCursor, event};
use proptest::prelude::*;

fn key(group: &str, n: u32) -> Vec<u8> {
    format!("{group}:{n}").into_bytes()
}

fn put(keyspace: &Keyspace, group: &str, numbers: impl Iterator<Item = u32>, expiry: Expiry) {
    write(keyspace, |view| numbers.for_each(|n| set(view, &key(group, n), b"v", expiry)));
}

fn remove(keyspace: &Keyspace, group: &str, numbers: impl Iterator<Item = u32>) {
    write(keyspace, |view| {
        numbers.for_each(|n| {
            view.remove(&key(group, n), event::DEL);
        });
    });
}

/// One step; what it met goes to `met`.
fn step(
    keyspace: &Keyspace,
    cursor: ScanCursor,
    count: usize,
    now: Millis,
    met: &mut Vec<Vec<u8>>,
) -> ScanCursor {
    let view = keyspace.enter_blocking(&Plan::All, Mode::Shared, || frame(0, now));
    view.scan(cursor, count, |entry| met.push(entry.key.to_vec()))
}

fn walk(keyspace: &Keyspace, count: usize, now: Millis) -> Vec<Vec<u8>> {
    let (mut met, mut cursor) = (Vec::new(), ScanCursor::default());
    loop {
        cursor = step(keyspace, cursor, count, now, &mut met);
        if cursor == ScanCursor::default() {
            return met;
        }
    }
}

#[test]
fn a_walk_in_peace_meets_each_key_once() {
    for (shards, count) in [(1, 1), (1, 10), (64, 7), (4_096, 100)] {
        let keyspace = keyspace(shards);
        put(&keyspace, "k", 0..3_000, Expiry::Clear);
        let met = walk(&keyspace, count, 0);
        let different: BTreeSet<_> = met.iter().collect();
        assert_eq!((met.len(), different.len()), (3_000, 3_000), "{shards} shards");
    }
}

#[test]
fn a_step_stops_near_its_count_and_passes_expired_keys_over() {
    let keyspace = keyspace(16);
    put(&keyspace, "dead", 0..2_000, Expiry::At(5));
    put(&keyspace, "live", 0..2_000, Expiry::At(6));
    let mut met = Vec::new();
    step(&keyspace, ScanCursor::default(), 10, 6, &mut met);
    assert!((10..40).contains(&met.len()), "{}", met.len());
    let met = walk(&keyspace, 10, 6);
    assert_eq!(met.len(), 2_000);
    assert!(met.iter().all(|key| key.starts_with(b"live")));
}

#[test]
fn a_step_over_a_large_table_with_few_keys_comes_to_an_end() {
    let keyspace = keyspace(1);
    put(&keyspace, "k", 0..400_000, Expiry::Clear);
    remove(&keyspace, "k", 1..400_000);
    let (mut met, mut cursor, mut steps) = (Vec::new(), ScanCursor::default(), 0);
    loop {
        cursor = step(&keyspace, cursor, 10, 0, &mut met);
        steps += 1;
        if cursor == ScanCursor::default() {
            break;
        }
    }
    assert_eq!(met, [key("k", 0)]);
    assert!((2..10).contains(&steps), "{steps} steps");
}

#[test]
fn any_cursor_leads_to_an_end() {
    let keyspace = keyspace(8);
    put(&keyspace, "k", 0..2_000, Expiry::Clear);
    for start in [1, 1 << 30, 1 << 31, 7 << 31 | 0x7FFF_FFFF, 1 << 43, u64::MAX] {
        let (mut cursor, mut met) = (ScanCursor(start), Vec::new());
        for _ in 0..3_000 {
            cursor = step(&keyspace, cursor, 10, 0, &mut met);
            if cursor == ScanCursor::default() {
                break;
            }
        }
        assert_eq!(cursor, ScanCursor::default(), "from {start}");
    }
}

/// What happens between two steps of a walk.
#[derive(Clone, Debug)]
enum Happening {
    /// Keys come in, so that segments split.
    Come(u32, u32),
    /// Keys go.
    Go(u32, u32),
    /// All of the passing keys go, and segments are merged.
    Shrink,
    /// Stable keys are written again, bigger, so that their records move.
    Rewrite(u32, u32),
}

fn happenings() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..20_000_u32, 1..4_000_u32).prop_map(|(from, count)| Happening::Come(from, count)),
        3 => (0..20_000_u32, 1..4_000_u32).prop_map(|(from, count)| Happening::Go(from, count)),
        2 => Just(Happening::Shrink),
        1 => (0..500_u32, 1..500_u32).prop_map(|(from, count)| Happening::Rewrite(from, count)),
    ]
}

fn happen(keyspace: &Keyspace, happening: &Happening, stable: u32) {
    match *happening {
        Happening::Come(from, count) => {
            put(keyspace, "passing", from..from + count, Expiry::Clear);
        }
        Happening::Go(from, count) => remove(keyspace, "passing", from..from + count),
        Happening::Shrink => {
            remove(keyspace, "passing", 0..24_000);
            maintain(keyspace, 0, 0);
        }
        Happening::Rewrite(from, count) => write(keyspace, |view| {
            for n in (from..from + count).filter(|&n| n < stable) {
                set(view, &key("stable", n), &[b'x'; 200], Expiry::Clear);
            }
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_key_that_is_there_throughout_is_met(
        shards in prop_oneof![Just(1_usize), Just(4), Just(64)],
        stable in 1..500_u32,
        before in prop::collection::vec(happenings(), 0..4),
        meanwhile in prop::collection::vec((1..300_usize, happenings()), 0..25),
    ) {
        let keyspace = keyspace(shards);
        put(&keyspace, "stable", 0..stable, Expiry::Clear);
        before.iter().for_each(|happening| happen(&keyspace, happening, stable));
        let (mut met, mut cursor) = (Vec::new(), ScanCursor::default());
        let mut meanwhile = meanwhile.iter();
        loop {
            let next = meanwhile.next();
            cursor = step(&keyspace, cursor, next.map_or(1_000, |(count, _)| *count), 0, &mut met);
            if cursor == ScanCursor::default() {
                break;
            }
            if let Some((_, happening)) = next {
                happen(&keyspace, happening, stable);
            }
        }
        let met: BTreeSet<Vec<u8>> = met.into_iter().collect();
        let mut missed = (0..stable).map(|n| key("stable", n)).filter(|key| !met.contains(key));
        prop_assert_eq!(missed.next(), None);
    }
}

fn random(keyspace: &Keyspace, now: Millis, chance: u64) -> Option<Vec<u8>> {
    let view =
        keyspace.enter_blocking(&Plan::All, Mode::Shared, || Frame { chance, ..frame(0, now) });
    view.random_key().map(<[u8]>::to_vec)
}

#[test]
fn the_only_live_key_among_expired_ones_is_found() {
    for shards in [1, 64] {
        let keyspace = keyspace(shards);
        put(&keyspace, "dead", 0..5_000, Expiry::At(5));
        for chance in 0..20 {
            assert_eq!(random(&keyspace, 6, chance), None, "none lives");
        }
        put(&keyspace, "live", 0..1, Expiry::Clear);
        for chance in 0..20 {
            assert_eq!(random(&keyspace, 6, chance), Some(key("live", 0)));
        }
    }
}

#[test]
fn random_keys_come_from_everywhere() {
    let keyspace = keyspace(16);
    assert_eq!(random(&keyspace, 0, 1), None);
    put(&keyspace, "k", 0..100, Expiry::Clear);
    let scattered = (0..5_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let chosen: BTreeSet<_> = scattered.filter_map(|n| random(&keyspace, 0, n)).collect();
    assert!(chosen.len() > 95, "{} of 100", chosen.len());
}

#[test]
fn another_database_has_other_keys() {
    let keyspace = keyspace(4);
    put(&keyspace, "k", 0..10, Expiry::Clear);
    write_in(&keyspace, frame(1, 0), |view| {
        assert_eq!(view.random_key(), None);
        assert_eq!(view.scan(ScanCursor::default(), 10, |_| panic!("a key")), ScanCursor(0));
    });
}

#[test]
fn each_meets_every_key_of_a_database_that_has_not_expired() {
    for shards in [1, 64] {
        let keyspace = keyspace(shards);
        put(&keyspace, "k", 0..1_000, Expiry::Clear);
        put(&keyspace, "gone", 0..100, Expiry::At(50));
        write_in(&keyspace, frame(2, 0), |view| set(view, b"other", b"w", Expiry::Clear));
        let view = keyspace.enter_blocking(&Plan::All, Mode::Shared, || frame(0, 60));
        let mut met = BTreeSet::new();
        view.each(0, |entry| {
            assert_eq!(entry.stored().str_bytes(), Some(&b"v"[..]));
            assert!(met.insert(entry.key.to_vec()), "met once");
        });
        assert_eq!(met, (0..1_000).map(|n| key("k", n)).collect());
        let mut others = 0;
        view.each(2, |entry| others += usize::from(entry.stored().str_bytes() == Some(b"w")));
        assert_eq!(others, 1);
        view.each(1, |_| panic!("it is empty"));
        assert!(view.capacity(0) >= 1_000 && view.capacity(1) == 0);
    }
}

#[test]
fn a_sample_of_deadlines_tells_what_is_left_to_live() {
    let keyspace = keyspace(4);
    put(&keyspace, "forever", 0..100, Expiry::Clear);
    for id in keyspace.shard_ids() {
        assert_eq!(keyspace.try_sample_ttls(id, 0, 1).unwrap()[0], (0, 0), "none has a deadline");
    }
    put(&keyspace, "mortal", 0..1_000, Expiry::At(5_000));
    let samples = keyspace.shard_ids().map(|id| keyspace.try_sample_ttls(id, 1_000, 99).unwrap());
    let (count, sum) = samples.fold((0, 0), |sum, of| (sum.0 + of[0].0, sum.1 + of[0].1));
    assert!(count > 0);
    assert_eq!(sum, count * 4_000);
    assert_eq!(
        keyspace.try_sample_ttls(keyspace.shard_ids().next().unwrap(), 9_000, 3).unwrap()[0].1,
        0
    );
}
