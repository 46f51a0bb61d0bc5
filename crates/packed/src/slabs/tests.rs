//! Tests of the slabs: each rule by itself, then a model under random use.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;
use crate::class::RECORD_MAX;

/// Cases of a property: fewer under miri, which is a thousand times slower. No
/// file of failures, because miri has no file system.
pub(crate) fn cases(count: u32) -> Config {
    let cases = if cfg!(miri) { 2 } else { count };
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// Checks all invariants of the module.
fn check(slabs: &Slabs) {
    let mut used_bytes = 0;
    let mut in_use = 0;
    for (at, (&class, slab)) in slabs.classes.iter().zip(&slabs.slabs).enumerate() {
        let slots = spec(class).slots();
        assert_eq!(class == NO_CLASS, slab.used == 0, "invariant 1, slab {at}");
        assert!(slab.used <= slots);
        used_bytes += spec(class).size() * usize::from(slab.used);
        in_use += usize::from(class != NO_CLASS);
    }
    assert_eq!(slabs.used_bytes(), used_bytes, "invariant 3");
    assert_eq!(slabs.in_use, in_use);
    assert!(slabs.warm.len() <= WARM_MAX);
    (0..CLASSES).for_each(|class| check_rooms(slabs, class as u8));
    (0..slabs.regions.len()).for_each(|region| check_region(slabs, region));
}

fn check_rooms(slabs: &Slabs, class: u8) {
    let mut listed = Vec::new();
    let (mut previous, mut at) = (NO_SLAB, slabs.rooms[class as usize].first);
    while at != NO_SLAB {
        assert_eq!(slabs.slabs[at as usize].previous, previous);
        listed.push(at);
        (previous, at) = (at, slabs.slabs[at as usize].next);
    }
    assert_eq!(slabs.rooms[class as usize].last, previous);
    listed.sort_unstable();

    let has_room = |&at: &u32| {
        let slab = slabs.slabs[at as usize];
        slabs.classes[at as usize] == class && slab.used < spec(class).slots()
    };
    let expected: Vec<u32> = (0..slabs.slabs.len() as u32).filter(has_room).collect();
    assert_eq!(listed, expected, "invariant 2, class {class}");
}

fn check_region(slabs: &Slabs, at: usize) {
    assert_eq!(slabs.bases[at].is_null(), slabs.regions[at].is_none());
    let has_class = slabs.classes.get(at).is_some_and(|&class| class != NO_CLASS);
    let is_busy = has_class || slabs.warm.contains(&(at as u32));
    assert_eq!(slabs.regions[at].is_some(), is_busy, "invariant 4");
    assert_eq!(slabs.vacant.contains(&(at as u32)), !is_busy);
}

fn fill(slabs: &mut Slabs, handle: Handle, byte: u8) {
    slabs.word(handle).store(u32::from(byte), Relaxed);
    slabs.body_mut(handle).fill(byte);
}

#[test]
fn new_slabs_map_nothing() {
    let slabs = Slabs::new();
    assert_eq!((slabs.mapped_bytes(), slabs.resident_bytes(), slabs.used_bytes()), (0, 0, 0));
}

#[test]
fn a_slot_has_room_for_its_record_and_counts_with_its_class() {
    let mut slabs = Slabs::new();
    let mut sum = 0;
    for len in 0..=RECORD_MAX {
        let handle = slabs.alloc(len).unwrap();
        let size = slabs.body(handle).len() + WORD_BYTES;
        assert!(size >= len);
        sum += size;
        assert_eq!(slabs.used_bytes(), sum);
    }
    check(&slabs);
}

#[test]
fn slots_of_a_slab_rise_and_are_used_again_before_fresh_ones() {
    let mut slabs = Slabs::new();
    let handles: Vec<Handle> = (0..5).map(|_| slabs.alloc(40).unwrap()).collect();
    assert!(handles.windows(2).all(|pair| pair[1].bits() == pair[0].bits() + 10));

    slabs.free(handles[1]);
    slabs.free(handles[3]);
    assert_eq!(slabs.alloc(40), Ok(handles[3]));
    assert_eq!(slabs.alloc(40), Ok(handles[1]));
    assert_eq!(slabs.alloc(40).unwrap().bits(), handles[4].bits() + 10);
    check(&slabs);
}

#[test]
fn an_emptied_slab_serves_another_class() {
    let mut slabs = Slabs::new();
    let small = slabs.alloc(8).unwrap();
    slabs.free(small);
    let big = slabs.alloc(1000).unwrap();
    assert_eq!(big.slab(), small.slab());
    assert_eq!(slabs.resident_bytes(), SLAB_BYTES);
    check(&slabs);
}

#[test]
fn empty_slabs_beyond_the_warm_ones_give_their_pages_back() {
    let mut slabs = Slabs::new();
    let handles: Vec<Handle> = (0..16 * 20).map(|_| slabs.alloc(1024).unwrap()).collect();
    assert_eq!(slabs.resident_bytes(), 20 * SLAB_BYTES);
    handles.into_iter().for_each(|handle| slabs.free(handle));
    assert_eq!(slabs.resident_bytes(), WARM_MAX * SLAB_BYTES);
    check(&slabs);
    assert_eq!(slabs.mapped_bytes(), WARM_MAX * SLAB_BYTES);
}

#[test]
fn a_region_goes_back_when_its_slab_is_cold_and_its_index_is_used_again() {
    let mut slabs = Slabs::new();
    let each = REGION_BYTES / 1024;
    let count = 3 + WARM_MAX;
    let handles: Vec<Handle> = (0..count * each).map(|_| slabs.alloc(1024).unwrap()).collect();
    assert_eq!(slabs.mapped_bytes(), count * REGION_BYTES);

    // One in the middle empties; so many others follow that it is warm no longer.
    handles[each..2 * each].iter().for_each(|&handle| slabs.free(handle));
    handles[3 * each..].iter().for_each(|&handle| slabs.free(handle));
    check(&slabs);
    assert_eq!(slabs.mapped_bytes(), (count - 1) * REGION_BYTES);

    let again: Vec<Handle> =
        (0..(WARM_MAX + 1) * each).map(|_| slabs.alloc(1024).unwrap()).collect();
    assert!(again.iter().any(|handle| handle.region() == 1));
    check(&slabs);
    assert_eq!(slabs.mapped_bytes(), count * REGION_BYTES);
}

#[test]
fn when_all_regions_are_used_alloc_is_refused_and_works_again_after_a_free() {
    let mut slabs = Slabs::with_regions_max(1);
    let handles: Vec<Handle> =
        (0..REGION_BYTES / 1024).map(|_| slabs.alloc(1024).unwrap()).collect();
    assert_eq!(slabs.alloc(1024), Err(Full));
    assert_eq!(slabs.alloc(8), Err(Full));
    check(&slabs);

    slabs.free(handles[7]);
    assert_eq!(slabs.alloc(8), Err(Full), "the slot is another class'");
    assert_eq!(slabs.alloc(1000), Ok(handles[7]));
}

#[test]
fn sparse_slabs_are_emptied_into_the_first_with_room() {
    let mut slabs = Slabs::new();
    // 16 slots a slab; three of each are left.
    let handles: Vec<Handle> = (0..16 * 12).map(|_| slabs.alloc(1024).unwrap()).collect();
    let (left, gone): (Vec<_>, Vec<_>) = handles.iter().enumerate().partition(|(n, _)| n % 16 < 3);
    gone.into_iter().for_each(|(_, &handle)| slabs.free(handle));
    check(&slabs);
    assert_eq!(slabs.in_use, 12);

    let mut moved = 0;
    for (_, &handle) in left {
        if slabs.is_sparse(handle) {
            let to = slabs.alloc(1024).unwrap();
            assert_ne!(to.slab(), handle.slab());
            slabs.free(handle);
            moved += 1;
        }
    }
    check(&slabs);
    assert_eq!(slabs.in_use, 3, "36 records of 16 a slab");
    assert!(moved <= 36);
}

#[test]
fn the_only_slab_of_a_class_is_never_sparse() {
    let mut slabs = Slabs::new();
    let handle = slabs.alloc(100).unwrap();
    assert!(!slabs.is_sparse(handle));
}

#[test]
fn copies_within_a_slot_may_overlap() {
    let mut slabs = Slabs::new();
    let (a, b) = (slabs.alloc(20).unwrap(), slabs.alloc(20).unwrap());
    slabs.body_mut(a).copy_from_slice(b"0123456789abcdef");
    slabs.copy((a, 0), (a, 2), 10);
    assert_eq!(slabs.body(a), b"010123456789cdef");
    slabs.body_mut(b).fill(b'.');
    slabs.copy((a, 12), (b, 0), 4);
    assert_eq!(slabs.body(b), b"cdef............");
}

#[test]
fn a_copy_beyond_a_slot_panics() {
    let mut slabs = Slabs::new();
    let (a, b) = (slabs.alloc(20).unwrap(), slabs.alloc(40).unwrap());
    let mut copies =
        |from, to, len| catch_unwind(AssertUnwindSafe(|| slabs.copy(from, to, len))).is_err();
    assert!(copies((a, 0), (b, 0), 17));
    assert!(copies((b, 0), (a, 1), 16));
    assert!(copies((a, usize::MAX), (b, 0), 1));
}

#[test]
fn a_handle_where_no_slot_begins_panics_and_does_no_harm() {
    let mut slabs = Slabs::new();
    let good = slabs.alloc(40).unwrap();
    fill(&mut slabs, good, 9);
    let stale = [
        Handle(good.0 + 1),
        Handle(good.0 + 9),
        Handle(4095),
        Handle(1 << SLAB_SHIFT),
        Handle(1 << REGION_SHIFT),
        Handle(u32::MAX),
    ];
    for handle in stale {
        let panics = |f: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(f)).is_err();
        assert!(panics(&mut || _ = slabs.word(handle)), "{handle:?}");
        assert!(panics(&mut || _ = slabs.body(handle)), "{handle:?}");
        assert!(panics(&mut || _ = slabs.body_mut(handle)), "{handle:?}");
        assert!(panics(&mut || slabs.free(handle)), "{handle:?}");
        assert!(!slabs.is_sparse(handle));
        slabs.prefetch(handle);
    }
    assert_eq!(slabs.body(good), [9; 36]);
    check(&slabs);
}

#[test]
fn words_are_written_while_bodies_are_read() {
    let mut slabs = Slabs::new();
    let handles: Vec<Handle> = (0..50).map(|_| slabs.alloc(24).unwrap()).collect();
    handles.iter().for_each(|&handle| fill(&mut slabs, handle, 5));
    let slabs = &slabs;
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let handles = &handles;
            scope.spawn(move || {
                for &handle in handles {
                    slabs.word(handle).store(thread, Relaxed);
                    assert_eq!(slabs.body(handle), [5; 20]);
                }
            });
        }
    });
    assert!(handles.iter().all(|&handle| slabs.word(handle).load(Relaxed) < 3));
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(usize),
    Free(usize),
    FreeMany(usize),
    Move(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![0..=RECORD_MAX, Just(16_usize), Just(700)].prop_map(Step::Alloc),
        3 => any::<usize>().prop_map(Step::Free),
        1 => (1_usize..50).prop_map(Step::FreeMany),
        1 => any::<usize>().prop_map(Step::Move),
    ]
}

/// Slots in use: handle -> (size of the slot, the byte it is filled with).
type Model = BTreeMap<u32, (usize, u8)>;

fn add(slabs: &mut Slabs, model: &mut Model, len: usize, byte: u8) {
    let handle = slabs.alloc(len).unwrap();
    let size = slabs.body(handle).len() + WORD_BYTES;
    let start = handle.bits() as usize * UNIT;
    if let Some((&before, &(size, _))) = model.range(..=handle.bits()).next_back() {
        assert!(before as usize * UNIT + size <= start, "overlaps the slot before");
    }
    if let Some((&after, _)) = model.range(handle.bits()..).next() {
        assert!(start + size <= after as usize * UNIT, "overlaps the slot behind");
    }
    fill(slabs, handle, byte);
    model.insert(handle.bits(), (size, byte));
}

fn remove(slabs: &mut Slabs, model: &mut Model, nth: usize) -> Option<(usize, u8)> {
    let nth = nth.checked_rem(model.len())?;
    let bits = *model.keys().nth(nth)?;
    let (size, byte) = model.remove(&bits)?;
    let handle = Handle::from_bits(bits);
    assert_eq!(slabs.word(handle).load(Relaxed), u32::from(byte));
    assert!(slabs.body(handle).iter().all(|&found| found == byte));
    slabs.free(handle);
    Some((size, byte))
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn slots_never_overlap_and_keep_their_bytes(steps in prop::collection::vec(step(), 1..600)) {
        let mut slabs = Slabs::new();
        let mut model = Model::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Alloc(len) => add(&mut slabs, &mut model, len, n as u8),
                Step::Free(nth) => _ = remove(&mut slabs, &mut model, nth),
                Step::FreeMany(count) => {
                    (0..count).for_each(|_| _ = remove(&mut slabs, &mut model, 0));
                }
                Step::Move(nth) => {
                    if let Some((size, byte)) = remove(&mut slabs, &mut model, nth) {
                        add(&mut slabs, &mut model, size, byte);
                    }
                }
            }
            let sum: usize = model.values().map(|&(size, _)| size).sum();
            prop_assert_eq!(slabs.used_bytes(), sum);
        }
        check(&slabs);
        while remove(&mut slabs, &mut model, 0).is_some() {}
        check(&slabs);
        prop_assert_eq!(slabs.used_bytes(), 0);
        prop_assert!(slabs.resident_bytes() <= WARM_MAX * SLAB_BYTES);
    }
}
