//! Tests of the records: each rule by itself, then a model under random use.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use crate::lengths::{DOUBLINGS, doubling};

use super::*;
use crate::slabs::tests::cases;
use memory::REGION_BYTES;

fn text(bytes: &[u8]) -> NewValue<'_> {
    NewValue::Str { bytes, raw: false }
}

/// `len` bytes that differ from their neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 256) as u8).collect()
}

fn add(records: &mut Records, key: &[u8], value: &[u8]) -> Handle {
    records.insert(key, text(value), None).unwrap()
}

fn value(records: &Records, handle: Handle) -> &[u8] {
    records.str(handle).as_bytes()
}

/// A length far beyond any slot.
const HUGE: usize = if cfg!(miri) { 10_000 } else { 1 << 20 };

/// Lengths of values where something changes.
const VALUE_LENS: [usize; 12] =
    [0, 1, 2, 255, 256, 512, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1, RECORD_MAX, 5000, 1 << 20];

/// Lengths of keys where something changes.
const KEY_LENS: [usize; 8] = [0, 1, 3, 4, 254, 255, 256, HUGE];

const DEADLINES: [Option<u64>; 5] =
    [None, Some(0), Some(1_700_000_000_000), Some(DEADLINE_MAX), Some(1 << 60)];

fn kept(deadline: Option<u64>) -> Option<u64> {
    deadline.map(|deadline| deadline.min(DEADLINE_MAX))
}

#[test]
fn a_record_gives_back_what_was_put_in() {
    let mut records = Records::new();
    for key_len in KEY_LENS {
        for value_len in VALUE_LENS {
            for deadline in DEADLINES {
                let (key, bytes) = (pattern(key_len), pattern(value_len));
                let handle = records.insert(&key, text(&bytes), deadline).unwrap();
                assert_eq!(records.key(handle), key);
                assert!(records.key_eq(handle, &key));
                assert_eq!(value(&records, handle), bytes);
                assert_eq!(records.len(handle), value_len);
                assert_eq!(records.deadline(handle), kept(deadline));
                assert_eq!(records.kind(handle), Kind::Str);
                assert!(!records.is_raw(handle) && !records.is_sticky(handle));
                assert_eq!(records.access(handle), 0);
                records.prefetch(handle);

                let is_shared = matches!(records.str(handle), StrRef::Shared(_));
                assert_eq!(is_shared, value_len > INLINE_MAX, "invariant 1");
                let garbage = records.remove(handle);
                assert_eq!(garbage.is_empty(), key_len < 255 && value_len <= INLINE_MAX);
                assert_eq!(garbage.bytes() > 0, !garbage.is_empty());
            }
        }
    }
    assert_eq!((records.used_bytes(), records.external_bytes(), records.externals()), (0, 0, 0));
}

#[test]
fn the_longest_inline_record_fills_the_largest_slot() {
    let mut records = Records::new();
    let handle = records.insert(&[1; 254], text(&[2; INLINE_MAX]), Some(3)).unwrap();
    assert_eq!(records.used_bytes(), RECORD_MAX);
    assert_eq!(records.size_of(handle), RECORD_MAX);
    assert_eq!(records.externals(), 0);
}

#[test]
fn a_small_record_has_six_bytes_of_overhead_and_a_deadline_six_more() {
    let mut records = Records::new();
    let handle = add(&mut records, &[b'k'; 16], &[b'v'; 14]);
    assert_eq!(records.used_bytes(), 16 + 14 + 6);
    let handle = records.set_deadline(handle, Some(1)).unwrap();
    assert_eq!(records.used_bytes(), 16 + 14 + 6 + 6 + 2, "to the next multiple of 4");
    assert_eq!(records.size_of(handle), 44);
}

#[test]
fn a_key_differs_from_its_prefixes_and_neighbours() {
    let mut records = Records::new();
    for len in [1, 4, 16, 254, 255, 300] {
        let key = pattern(len);
        let handle = add(&mut records, &key, b"value");
        let mut other = key.clone();
        other[len - 1] ^= 1;
        assert!(records.key_eq(handle, &key));
        assert!(!records.key_eq(handle, &other));
        assert!(!records.key_eq(handle, &key[..len - 1]));
        assert!(!records.key_eq(handle, &[&key[..], b"value"].concat()));
        assert!(!records.key_eq(handle, b""));
    }
}

#[test]
fn a_value_of_the_same_class_is_replaced_in_place() {
    let mut records = Records::new();
    let handle = add(&mut records, b"key", &[1; 11]);
    records.set_access(handle, 77);
    for len in [11, 9, 8, 11] {
        assert_eq!(records.set_str(handle, &vec![3; len], true), Ok(handle));
        assert_eq!(value(&records, handle), vec![3; len]);
        assert!(records.is_raw(handle));
    }
    assert_ne!(records.set_str(handle, &[4; 12], false), Ok(handle));
}

#[test]
fn every_value_can_replace_every_other_and_the_rest_of_the_record_stays() {
    let mut records = Records::new();
    for key_len in [3, 254, 300] {
        for from in VALUE_LENS {
            for to in VALUE_LENS {
                let key = pattern(key_len);
                let handle = records.insert(&key, text(&pattern(from)), Some(5)).unwrap();
                records.set_access(handle, 123_456);
                records.set_sticky(handle, true);

                let handle = records.set_str(handle, &pattern(to), true).unwrap();
                assert_eq!(value(&records, handle), pattern(to));
                assert_eq!(records.key(handle), key);
                assert_eq!(records.deadline(handle), Some(5));
                assert_eq!(records.access(handle), 123_456);
                assert!(records.is_sticky(handle) && records.is_raw(handle));
                assert_eq!(
                    matches!(records.str(handle), StrRef::Shared(_)),
                    to > INLINE_MAX,
                    "invariant 1"
                );
                drop(records.remove(handle));
            }
        }
    }
    assert_eq!((records.used_bytes(), records.external_bytes()), (0, 0));
}

#[test]
fn replacing_a_long_value_gives_the_old_one_back() {
    let mut records = Records::new();
    let handle = add(&mut records, b"key", &pattern(10_000));
    let (handle, garbage) = records.replace(handle, text(&pattern(20_000)), None).unwrap();
    assert!(garbage.bytes() >= 10_000);
    let (handle, garbage) = records.replace(handle, text(b"short"), Some(1)).unwrap();
    assert!(garbage.bytes() >= 20_000);
    assert_eq!(records.deadline(handle), Some(1));
    let (_, garbage) = records.replace(handle, text(b"other"), None).unwrap();
    assert!(garbage.is_empty());
    assert_eq!(records.external_bytes(), 0);
}

#[test]
fn a_long_value_of_the_same_length_goes_where_the_old_one_was() {
    let mut records = Records::new();
    let handle = add(&mut records, b"key", &pattern(5000));
    let before = value(&records, handle).as_ptr();
    let (handle, garbage) = records.replace(handle, text(&[1; 5000]), None).unwrap();
    assert!(garbage.is_empty());
    assert_eq!(value(&records, handle).as_ptr(), before);

    let StrRef::Shared(held) = records.str(handle) else { panic!("5000 bytes are shared") };
    let held = Arc::clone(held);
    let handle = records.set_str(handle, &[2; 5000], false).unwrap();
    assert_eq!(**held, [1; 5000], "a reader keeps what it holds");
    assert_eq!(value(&records, handle), [2; 5000]);
}

#[test]
fn a_shared_value_is_taken_without_a_copy_unless_it_is_short() {
    let mut records = Records::new();
    let long = Arc::new(pattern(INLINE_MAX + 1));
    let new = NewValue::SharedStr { bytes: Arc::clone(&long), raw: true };
    let handle = records.insert(b"long", new, None).unwrap();
    assert_eq!(value(&records, handle).as_ptr(), long.as_ptr());
    assert!(records.is_raw(handle));

    let short = NewValue::SharedStr { bytes: Arc::new(pattern(INLINE_MAX)), raw: false };
    let handle = records.insert(b"short", short, None).unwrap();
    assert!(matches!(records.str(handle), StrRef::Inline(_)));
    assert_eq!(value(&records, handle), pattern(INLINE_MAX));
}

#[test]
fn a_deadline_comes_changes_and_goes_beside_any_value() {
    let mut records = Records::new();
    for key_len in KEY_LENS {
        for value_len in VALUE_LENS {
            let (key, bytes) = (pattern(key_len), pattern(value_len));
            let mut handle = records.insert(&key, text(&bytes), None).unwrap();
            for deadline in DEADLINES.into_iter().chain([None, Some(9)]) {
                handle = records.set_deadline(handle, deadline).unwrap();
                assert_eq!(records.deadline(handle), kept(deadline));
                assert_eq!(records.key(handle), key);
                assert_eq!(value(&records, handle), bytes);
            }
            drop(records.remove(handle));
        }
    }
}

#[test]
fn a_deadline_that_changes_does_not_move_the_record() {
    let mut records = Records::new();
    let handle = records.insert(b"key", text(b"value"), Some(1)).unwrap();
    assert_eq!(records.set_deadline(handle, Some(2)), Ok(handle));
}

#[test]
fn resize_keeps_the_start_and_adds_zeros() {
    let mut records = Records::new();
    for from in VALUE_LENS {
        for to in VALUE_LENS {
            let handle = records.insert(b"key", text(&pattern(from)), Some(8)).unwrap();
            let handle = records.resize(handle, to).unwrap();
            let mut expected = pattern(from);
            expected.resize(to, 0);
            assert_eq!(value(&records, handle), expected, "{from} to {to}");
            assert_eq!(records.deadline(handle), Some(8));
            assert_eq!(records.key(handle), b"key");
            drop(records.remove(handle));
        }
    }
    assert_eq!(records.external_bytes(), 0);
}

#[test]
fn append_adds_at_the_end() {
    let mut records = Records::new();
    for from in VALUE_LENS {
        for more in [0, 1, 40, INLINE_MAX, 3000] {
            let handle = add(&mut records, b"key", &pattern(from));
            let handle = records.append(handle, &pattern(more)).unwrap();
            assert_eq!(value(&records, handle), [pattern(from), pattern(more)].concat());
            drop(records.remove(handle));
        }
    }
}

#[test]
fn a_long_string_that_grows_is_seldom_copied_and_one_that_is_cut_gives_room_back() {
    let mut records = Records::new();
    let mut handle = add(&mut records, b"key", &pattern(1000));
    let (mut at, mut copies) = (value(&records, handle).as_ptr(), 0);
    for _ in 0..1000 {
        handle = records.append(handle, b"x").unwrap();
        let now = value(&records, handle).as_ptr();
        copies += usize::from(now != at);
        at = now;
    }
    assert!(copies <= 2, "{copies}");

    handle = records.resize(handle, 100_000).unwrap();
    handle = records.resize(handle, 1000).unwrap();
    assert!(records.size_of(handle) < 1200);
}

#[test]
fn bytes_are_overwritten_in_place() {
    let mut records = Records::new();
    for len in VALUE_LENS {
        let handle = records.insert(b"key", text(&pattern(len)), Some(1)).unwrap();
        records.bytes_mut(handle).fill(b'.');
        assert_eq!(value(&records, handle), vec![b'.'; len]);
        assert_eq!(records.key(handle), b"key");
    }
}

#[test]
fn who_holds_a_long_string_keeps_it_through_every_change() {
    let original = pattern(4000);
    let changes: [fn(&mut Records, Handle) -> Handle; 6] = [
        |records, handle| {
            records.bytes_mut(handle)[0] ^= 1;
            handle
        },
        |records, handle| records.append(handle, b"more").unwrap(),
        |records, handle| records.resize(handle, 9000).unwrap(),
        |records, handle| records.resize(handle, 10).unwrap(),
        |records, handle| records.set_str(handle, &[0; 4000], false).unwrap(),
        |records, handle| {
            drop(records.remove(handle));
            add(records, b"key", b"")
        },
    ];
    for change in changes {
        let mut records = Records::new();
        let handle = add(&mut records, b"key", &original);
        let StrRef::Shared(held) = records.str(handle) else { panic!("4000 bytes are shared") };
        let held = Arc::clone(held);
        let handle = change(&mut records, handle);
        assert_ne!(value(&records, handle), original);
        assert_eq!(*held, original);
    }
}

#[test]
fn flags_and_clock_do_not_disturb_each_other_or_the_value() {
    let mut records = Records::new();
    for len in [0, 700, INLINE_MAX, 3000] {
        let handle = add(&mut records, b"key", &pattern(len));
        for access in [0, 1, ACCESS_MAX, 0x00AB_CDEF] {
            for (sticky, raw) in [(true, false), (false, true), (true, true), (false, false)] {
                records.set_access(handle, access);
                records.set_sticky(handle, sticky);
                records.set_raw(handle, raw);
                assert_eq!(records.access(handle), access);
                assert_eq!((records.is_sticky(handle), records.is_raw(handle)), (sticky, raw));
                assert_eq!(value(&records, handle), pattern(len));
            }
        }
        records.set_access(handle, u32::MAX);
        assert_eq!(records.access(handle), ACCESS_MAX);
    }
}

/// A copy beside the old record, which shares a long string.
fn clone_within(records: &mut Records, handle: Handle, key: &[u8]) -> Result<Handle, Full> {
    let raw = records.is_raw(handle);
    let bytes = match records.str(handle) {
        StrRef::Inline(bytes) => Arc::new(bytes.to_vec()),
        StrRef::Shared(bytes) => Arc::clone(bytes),
    };
    let deadline = records.deadline(handle);
    let copy = records.insert(key, NewValue::SharedStr { bytes, raw }, deadline)?;
    records.set_sticky(copy, records.is_sticky(handle));
    records.set_access(copy, records.access(handle));
    Ok(copy)
}

#[test]
fn a_packed_value_keeps_its_kind_whatever_is_done_to_its_bytes() {
    let mut records = Records::new();
    for kind in [Kind::List, Kind::Set, Kind::Hash, Kind::ZSet, Kind::Array] {
        for len in VALUE_LENS {
            let bytes = pattern(len);
            let handle =
                records.insert(b"k", NewValue::Packed { kind, bytes: &bytes }, None).unwrap();
            let handle = records.append(handle, &pattern(900)).unwrap();
            assert_eq!(records.kind(handle), kind);
            let handle = records.splice(handle, 0..len + 890, b"").unwrap();
            assert_eq!((records.kind(handle), value(&records, handle).len()), (kind, 10));
            let (handle, _) = records.replace(handle, NewValue::boxed(7), Some(9)).unwrap();
            assert_eq!((records.kind(handle), records.at(handle).boxed()), (Kind::Boxed, Some(7)));
            assert_eq!(records.lengths(), &Lengths::default(), "only strings are counted");
            let (handle, _) = records.replace(handle, text(&bytes), None).unwrap();
            assert_eq!((records.kind(handle), records.at(handle).boxed()), (Kind::Str, None));
            drop(records.remove(handle));
        }
    }
}

#[test]
fn a_short_string_is_replaced_as_any_other_is() {
    for (before, after) in [(0, 1), (7, 7), (7, 90), (90, 7), (INLINE_MAX, 3), (3, INLINE_MAX)] {
        for (key_len, raw, deadline) in [(3, false, None), (254, true, Some(5)), (400, true, None)]
        {
            let (mut one, mut other) = (Records::new(), Records::new());
            let key = pattern(key_len);
            let handles = [&mut one, &mut other].map(|records| {
                let handle = records.insert(&key, text(&pattern(before)), Some(9)).unwrap();
                records.set_access(handle, 77);
                handle
            });
            let bytes = pattern(after);
            let new = NewValue::Str { bytes: &bytes, raw };
            let short = one.replace_short(handles[0], &bytes, raw, deadline).unwrap().unwrap();
            let (any, garbage) = other.replace(handles[1], new, deadline).unwrap();
            assert!(garbage.is_empty());
            for (records, handle) in [(&one, short), (&other, any)] {
                assert_eq!((records.key(handle), value(records, handle)), (&key[..], &bytes[..]));
                assert_eq!((records.deadline(handle), records.is_raw(handle)), (deadline, raw));
                assert_eq!(records.access(handle), 77);
            }
            assert_eq!(one.lengths(), other.lengths());
            assert_eq!(one.used_bytes(), other.used_bytes());
        }
    }
}

#[test]
fn what_is_long_or_no_string_is_not_replaced_the_short_way() {
    let mut records = Records::new();
    let long = records.insert(b"long", text(&pattern(INLINE_MAX + 1)), None).unwrap();
    assert!(records.replace_short(long, b"short", false, None).is_none());
    let short = records.insert(b"short", text(b"short"), None).unwrap();
    assert!(records.replace_short(short, &pattern(INLINE_MAX + 1), false, None).is_none());
    let packed = NewValue::Packed { kind: Kind::Set, bytes: b"set" };
    let set = records.insert(b"set", packed, None).unwrap();
    assert!(records.replace_short(set, b"string", false, None).is_none());
    assert_eq!(value(&records, set), b"set");
}

#[test]
fn a_splice_does_what_the_same_does_to_a_vector() {
    let mut records = Records::new();
    for len in [0, 1, 40, INLINE_MAX, INLINE_MAX + 1, 3000] {
        for (part, new) in
            [(0..0, 5), (0..1, 1), (0..1, 9), (1..30, 2), (7..40, INLINE_MAX), (0..3000, 3)]
        {
            if part.end > len {
                continue;
            }
            let mut model = pattern(len);
            let mut handle = records.insert(b"key", text(&model), Some(3)).unwrap();
            handle = records.splice(handle, part.clone(), &pattern(new)).unwrap();
            model.splice(part, pattern(new));
            assert_eq!(value(&records, handle), model);
            assert_eq!((records.key(handle), records.deadline(handle)), (&b"key"[..], Some(3)));
            assert_eq!(records.externals(), usize::from(model.len() > INLINE_MAX));
            drop(records.remove(handle));
        }
    }
}

#[test]
fn clones_have_all_but_the_key_and_share_long_strings() {
    let (mut one, mut other) = (Records::new(), Records::new());
    for len in VALUE_LENS {
        let new = NewValue::Str { bytes: &pattern(len), raw: true };
        let handle = one.insert(b"old", new, Some(12)).unwrap();
        one.set_access(handle, 5);
        one.set_sticky(handle, true);
        let long_key = pattern(300);

        let within = clone_within(&mut one, handle, &long_key).unwrap();
        let into = one.clone_into(handle, &mut other, &long_key).unwrap();
        for (records, copy) in [(&one, within), (&other, into)] {
            assert_eq!(records.key(copy), long_key);
            assert_eq!(value(records, copy), pattern(len));
            assert_eq!(records.deadline(copy), Some(12));
            assert_eq!(records.access(copy), 5);
            assert!(records.is_sticky(copy) && records.is_raw(copy));
            let shares = value(records, copy).as_ptr() == value(&one, handle).as_ptr();
            assert_eq!(shares, len > INLINE_MAX);
        }
        assert_eq!(one.key(handle), b"old");
    }
}

#[test]
fn sizes_are_the_sum_of_slots_and_externals() {
    let mut records = Records::new();
    let mut sum = 0;
    for key_len in KEY_LENS {
        for value_len in VALUE_LENS {
            let handle = add(&mut records, &pattern(key_len), &pattern(value_len));
            sum += records.size_of(handle);
            assert_eq!(records.used_bytes() + records.external_bytes(), sum);
            assert!(records.size_of(handle) > key_len + value_len);
        }
    }
    let is_long =
        |key: usize, value: usize| usize::from(key > 254) + usize::from(value > INLINE_MAX);
    let expected: usize =
        KEY_LENS.iter().flat_map(|&key| VALUE_LENS.map(|value| is_long(key, value))).sum();
    assert_eq!(records.externals(), expected);
}

/// Records whose slabs are one region, full of records of the largest class.
fn full() -> (Records, Vec<Handle>) {
    let mut records = Records { slabs: Slabs::with_regions_max(1), ..Records::new() };
    let handles = (0..REGION_BYTES / RECORD_MAX)
        .map(|_| records.insert(&[b'k'; 254], text(&pattern(INLINE_MAX)), Some(6)).unwrap())
        .collect();
    (records, handles)
}

#[test]
fn what_is_refused_for_lack_of_room_changes_nothing() {
    let (mut records, handles) = full();
    let handle = handles[10];
    let used = records.used_bytes();

    assert_eq!(records.insert(b"", text(b""), None), Err(Full));
    assert_eq!(records.insert(&pattern(300), text(&pattern(3000)), None), Err(Full));
    assert_eq!(records.set_str(handle, b"short", true), Err(Full));
    assert_eq!(records.set_str(handle, &pattern(3000), true), Err(Full));
    assert_eq!(records.append(handle, b"one byte more"), Err(Full));
    assert_eq!(records.resize(handle, 1), Err(Full));
    assert_eq!(records.resize(handle, 10_000), Err(Full));
    assert_eq!(records.splice(handle, 0..1, b"more"), Err(Full));
    assert!(records.replace(handle, text(b""), None).is_err());
    assert_eq!(records.move_if_sparse(handle), None);

    assert_eq!(value(&records, handle), pattern(INLINE_MAX));
    assert_eq!(records.key(handle), [b'k'; 254]);
    assert_eq!(records.deadline(handle), Some(6));
    assert!(!records.is_raw(handle));
    assert_eq!((records.used_bytes(), records.externals()), (used, 0));

    assert_eq!(records.set_str(handle, &[1; INLINE_MAX], true), Ok(handle), "in place");
}

#[test]
fn a_long_value_stays_when_its_record_cannot_move() {
    let (mut records, handles) = full();
    // One slab of another class, filled with records that have long values.
    handles[..16].iter().for_each(|&handle| drop(records.remove(handle)));
    let mut last = None;
    while let Ok(handle) = records.insert(b"k", text(&pattern(2000)), None) {
        last = Some(handle);
    }
    let handle = last.unwrap();
    let bytes = records.external_bytes();

    assert_eq!(records.set_deadline(handle, Some(1)), Err(Full));
    assert!(records.replace(handle, text(&[1; 2000]), Some(1)).is_err());
    assert_eq!(records.set_str(handle, &[1; 100], false), Err(Full));
    assert_eq!(records.resize(handle, 100), Err(Full));
    assert_eq!(value(&records, handle), pattern(2000));
    assert_eq!(records.deadline(handle), None);
    assert_eq!(records.external_bytes(), bytes);
}

#[test]
fn defragmentation_gives_memory_back_and_loses_nothing() {
    let count = if cfg!(miri) { 1500 } else { 20_000 };
    let mut records = Records::new();
    let mut live = BTreeMap::new();
    for n in 0..count {
        let key = format!("key:{n}");
        live.insert(n, add(&mut records, key.as_bytes(), &pattern(40)));
    }
    let full = records.resident_bytes();
    let (left, gone): (BTreeMap<_, _>, _) = live.into_iter().partition(|(n, _)| n % 10 == 0);
    gone.into_values().for_each(|handle| drop(records.remove(handle)));
    assert_eq!(records.resident_bytes(), full);

    let moved: Vec<(i32, Handle)> = left
        .into_iter()
        .map(|(n, handle)| (n, records.move_if_sparse(handle).unwrap_or(handle)))
        .collect();
    // A tenth is left. What a slab in progress and the warm ones hold comes on top.
    let allowed = full / 10 + 10 * crate::class::SLAB_BYTES;
    assert!(records.resident_bytes() <= allowed, "{} of {full}", records.resident_bytes());
    for (n, handle) in moved {
        assert_eq!(records.key(handle), format!("key:{n}").as_bytes());
        assert_eq!(value(&records, handle), pattern(40));
        assert_eq!(records.move_if_sparse(handle), None, "nothing is left to move");
    }
}

#[test]
fn removing_twice_panics() {
    let mut records = Records::new();
    let handle = add(&mut records, b"key", b"value");
    add(&mut records, b"neighbour", b"value");
    drop(records.remove(handle));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(records.remove(handle)))).is_err());
}

#[test]
fn readers_on_many_threads_set_clocks_while_others_read() {
    let mut records = Records::new();
    let handles: Vec<Handle> =
        (0..40_u8).map(|n| add(&mut records, &[n; 5], &pattern(usize::from(n) * 50))).collect();
    let (records, handles) = (&records, &handles);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                for (n, &handle) in handles.iter().enumerate() {
                    records.set_access(handle, thread + 1);
                    assert!(records.key_eq(handle, &[n as u8; 5]));
                    assert_eq!(value(records, handle), pattern(n * 50));
                    assert!((1..=3).contains(&records.access(handle)));
                }
            });
        }
    });
}

#[test]
fn records_can_be_shared_and_dropped_on_another_thread() {
    const fn is_shared<T: Send + Sync + 'static>() {}
    const { is_shared::<Records>() };
    const { is_shared::<Garbage>() };

    let mut records = Records::new();
    let handle = add(&mut records, &pattern(300), &pattern(3000));
    let StrRef::Shared(held) = records.str(handle) else { panic!("3000 bytes are shared") };
    let held = Arc::clone(held);
    std::thread::scope(|scope| _ = scope.spawn(move || drop(records)));
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(*held, pattern(3000));
}

// --- A model -----------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Insert { key_len: usize, value_len: usize, deadline: Option<u64> },
    Remove(usize),
    Replace { nth: usize, len: usize, raw: bool, deadline: Option<u64> },
    Set { nth: usize, len: usize },
    Resize { nth: usize, len: usize },
    Append { nth: usize, len: usize },
    Overwrite(usize),
    Deadline { nth: usize, deadline: Option<u64> },
    Flags { nth: usize, access: u32, sticky: bool, raw: bool },
    Clone(usize),
    Hold(usize),
    Defragment,
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0_usize..60,
        2 => INLINE_MAX - 3..INLINE_MAX + 4,
        2 => 0_usize..RECORD_MAX,
        1 => 0_usize..5000,
    ]
}

fn key_len() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0_usize..30, 1 => 250_usize..260, 1 => Just(2000_usize)]
}

fn deadline() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), any::<u64>().prop_map(Some), (0_u64..DEADLINE_MAX).prop_map(Some)]
}

fn step() -> impl Strategy<Value = Step> {
    let nth = any::<usize>;
    prop_oneof![
        6 => (key_len(), len(), deadline()).prop_map(|(key_len, value_len, deadline)| {
            Step::Insert { key_len, value_len, deadline }
        }),
        2 => nth().prop_map(Step::Remove),
        2 => (nth(), len(), any::<bool>(), deadline()).prop_map(|(nth, len, raw, deadline)| {
            Step::Replace { nth, len, raw, deadline }
        }),
        2 => (nth(), len()).prop_map(|(nth, len)| Step::Set { nth, len }),
        1 => (nth(), len()).prop_map(|(nth, len)| Step::Resize { nth, len }),
        1 => (nth(), len()).prop_map(|(nth, len)| Step::Append { nth, len }),
        1 => nth().prop_map(Step::Overwrite),
        2 => (nth(), deadline()).prop_map(|(nth, deadline)| Step::Deadline { nth, deadline }),
        1 => (nth(), 0..=ACCESS_MAX, any::<bool>(), any::<bool>()).prop_map(
            |(nth, access, sticky, raw)| Step::Flags { nth, access, sticky, raw }
        ),
        1 => nth().prop_map(Step::Clone),
        1 => nth().prop_map(Step::Hold),
        1 => Just(Step::Defragment),
    ]
}

/// What a record should be.
#[derive(Clone, Debug, Default, PartialEq)]
struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
    deadline: Option<u64>,
    access: u32,
    sticky: bool,
    raw: bool,
}

impl Entry {
    fn of(records: &Records, handle: Handle) -> Self {
        Self {
            key: records.key(handle).to_vec(),
            value: value(records, handle).to_vec(),
            deadline: records.deadline(handle),
            access: records.access(handle),
            sticky: records.is_sticky(handle),
            raw: records.is_raw(handle),
        }
    }
}

#[derive(Default)]
struct Model {
    records: Records,
    /// What should be there, and under which handle it is.
    entries: BTreeMap<u32, (Handle, Entry)>,
    /// Long strings that readers hold, and what they were.
    held: Vec<(Arc<Vec<u8>>, Vec<u8>)>,
    next: u32,
}

impl Model {
    fn add(&mut self, handle: Handle, entry: Entry) {
        self.entries.insert(self.next, (handle, entry));
        self.next += 1;
    }

    /// Runs `change` on the `nth` record, if there is any.
    fn change(
        &mut self,
        nth: usize,
        change: impl FnOnce(&mut Records, Handle, &mut Entry) -> Handle,
    ) {
        let Some(nth) = nth.checked_rem(self.entries.len()) else { return };
        let (handle, entry) = self.entries.values_mut().nth(nth).unwrap();
        *handle = change(&mut self.records, *handle, entry);
        assert_eq!(&Entry::of(&self.records, *handle), entry);
    }

    fn run(&mut self, step: &Step, seed: usize) {
        let bytes = |len: usize| -> Vec<u8> {
            pattern(len).into_iter().map(|byte| byte ^ seed as u8).collect()
        };
        match *step {
            Step::Insert { key_len, value_len, deadline } => {
                let (key, value) = (bytes(key_len), bytes(value_len));
                let handle = self.records.insert(&key, text(&value), deadline).unwrap();
                let deadline = kept(deadline);
                self.add(handle, Entry { key, value, deadline, ..Entry::default() });
            }
            Step::Remove(nth) => {
                let Some(nth) = nth.checked_rem(self.entries.len()) else { return };
                let id = *self.entries.keys().nth(nth).unwrap();
                let (handle, entry) = self.entries.remove(&id).unwrap();
                assert_eq!(Entry::of(&self.records, handle), entry);
                drop(self.records.remove(handle));
            }
            Step::Replace { nth, len, raw, deadline } => self.change(nth, |records, h, entry| {
                entry.value = bytes(len);
                (entry.raw, entry.deadline) = (raw, kept(deadline));
                let value = NewValue::Str { bytes: &entry.value, raw };
                records.replace(h, value, deadline).unwrap().0
            }),
            Step::Set { nth, len } => self.change(nth, |records, h, entry| {
                entry.value = bytes(len);
                entry.raw = false;
                records.set_str(h, &entry.value, false).unwrap()
            }),
            Step::Resize { nth, len } => self.change(nth, |records, h, entry| {
                entry.value.resize(len, 0);
                records.resize(h, len).unwrap()
            }),
            Step::Append { nth, len } => self.change(nth, |records, h, entry| {
                entry.value.extend(bytes(len));
                records.append(h, &bytes(len)).unwrap()
            }),
            Step::Overwrite(nth) => self.change(nth, |records, h, entry| {
                entry.value = bytes(entry.value.len());
                records.bytes_mut(h).copy_from_slice(&entry.value);
                h
            }),
            Step::Deadline { nth, deadline } => self.change(nth, |records, h, entry| {
                entry.deadline = kept(deadline);
                records.set_deadline(h, deadline).unwrap()
            }),
            Step::Flags { nth, access, sticky, raw } => self.change(nth, |records, h, entry| {
                (entry.access, entry.sticky, entry.raw) = (access, sticky, raw);
                records.set_access(h, access);
                records.set_sticky(h, sticky);
                records.set_raw(h, raw);
                h
            }),
            Step::Clone(nth) => {
                let Some(nth) = nth.checked_rem(self.entries.len()) else { return };
                let (handle, entry) = self.entries.values().nth(nth).unwrap();
                let key = bytes(entry.key.len());
                let copy = clone_within(&mut self.records, *handle, &key).unwrap();
                let entry = Entry { key, ..entry.clone() };
                self.add(copy, entry);
            }
            Step::Hold(nth) => {
                let Some(nth) = nth.checked_rem(self.entries.len()) else { return };
                let (handle, entry) = self.entries.values().nth(nth).unwrap();
                if let StrRef::Shared(text) = self.records.str(*handle) {
                    self.held.push((Arc::clone(text), entry.value.clone()));
                }
            }
            Step::Defragment => {
                for (handle, _) in self.entries.values_mut() {
                    *handle = self.records.move_if_sparse(*handle).unwrap_or(*handle);
                }
            }
        }
    }

    fn check(&self) {
        let mut sizes = 0;
        let mut externals = 0;
        let mut lengths = [0; DOUBLINGS];
        for (handle, entry) in self.entries.values() {
            lengths[doubling(entry.value.len())] += 1;
            assert_eq!(&Entry::of(&self.records, *handle), entry);
            assert!(self.records.key_eq(*handle, &entry.key));
            let head = self.records.at(*handle).head;
            let class = class_of(head.record_len());
            assert_eq!(class, self.records.slabs.class(*handle), "invariant 2");
            assert_eq!(head.has_external_value(), entry.value.len() > INLINE_MAX, "invariant 1");
            sizes += self.records.size_of(*handle);
            externals += usize::from(head.has_external_key());
            externals += usize::from(head.has_external_value());
        }
        assert_eq!(self.records.used_bytes() + self.records.external_bytes(), sizes);
        assert_eq!(self.records.externals(), externals, "invariant 3");
        assert_eq!(self.records.lengths().counts(), &lengths, "every string is counted once");
        assert!(self.held.iter().all(|(text, expected)| **text == *expected));
    }
}

proptest! {
    #![proptest_config(cases(80))]

    #[test]
    fn records_are_what_a_map_says(steps in prop::collection::vec(step(), 1..300)) {
        let mut model = Model::default();
        for (seed, step) in steps.iter().enumerate() {
            model.run(step, seed);
        }
        model.check();
    }
}

proptest! {
    #![proptest_config(cases(10))]

    /// Any number is a handle: what it does is defined, and the others live on.
    #[test]
    fn no_handle_does_more_than_panic(
        lens in prop::collection::vec((key_len(), len()), 1..100),
        wild in prop::collection::vec(any::<u32>(), 20),
        near in prop::collection::vec(0_u32..20_000, 80),
    ) {
        let mut records = Records::new();
        let handles: Vec<Handle> = lens
            .iter()
            .map(|&(key, value)| add(&mut records, &pattern(key), &pattern(value)))
            .collect();
        handles.iter().step_by(2).for_each(|&handle| drop(records.remove(handle)));
        let wild = wild.into_iter().chain(near).map(Handle::from_bits);
        for handle in handles.into_iter().step_by(4).chain(wild) {
            poke(&mut records, handle);
        }
        drop(records);
    }
}

/// Calls everything with a handle that may well be stale.
fn poke(records: &mut Records, handle: Handle) {
    records.prefetch(handle);
    let calls: [fn(&mut Records, Handle); 15] = [
        |records, handle| _ = records.key(handle).to_vec(),
        |records, handle| _ = records.key_eq(handle, b"key"),
        |records, handle| _ = records.deadline(handle),
        |records, handle| _ = records.kind(handle),
        |records, handle| _ = value(records, handle).to_vec(),
        |records, handle| _ = records.size_of(handle),
        |records, handle| records.set_access(handle, 1),
        |records, handle| records.set_sticky(handle, true),
        |records, handle| records.set_raw(handle, true),
        |records, handle| _ = records.move_if_sparse(handle),
        |records, handle| records.bytes_mut(handle).fill(0xA5),
        |records, handle| _ = records.append(handle, b"abc"),
        |records, handle| _ = records.set_deadline(handle, Some(1)),
        |records, handle| _ = records.set_str(handle, b"abcdef", true),
        |records, handle| drop(records.remove(handle)),
    ];
    for call in calls {
        // A panic is one of the defined outcomes; that it is no worse is the test.
        _ = catch_unwind(AssertUnwindSafe(|| call(records, handle)));
    }
}

/// A long life: it grows and shrinks by turns, with a fixed seed.
#[test]
fn a_long_random_life_loses_nothing() {
    let rounds = if cfg!(miri) { 300 } else { 60_000 };
    let mut model = Model::default();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    for round in 0..rounds {
        let grows = round / 5_000 % 2 == 0;
        let nth = random(1 << 30);
        let len = if random(20) == 0 { random(3000) } else { random(120) };
        let step = match random(10) {
            0..4 if grows => Step::Insert { key_len: random(40), value_len: len, deadline: None },
            0..4 => Step::Remove(nth),
            4 => Step::Set { nth, len },
            5 => Step::Append { nth, len },
            6 => Step::Deadline { nth, deadline: (len % 2 == 0).then_some(len as u64) },
            7 => Step::Resize { nth, len },
            8 => Step::Clone(nth),
            _ => Step::Remove(nth),
        };
        model.run(&step, round);
        if round % 5_000 == 4_999 {
            model.run(&Step::Defragment, round);
            model.check();
        }
    }
    model.check();
    for (handle, _) in std::mem::take(&mut model.entries).into_values() {
        drop(model.records.remove(handle));
    }
    model.check();
    assert_eq!((model.records.used_bytes(), model.records.external_bytes()), (0, 0));
}
