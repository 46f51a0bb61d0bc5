//! Sets of integers, checked against ordered sets.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn any_integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => -8i64..8,
        2 => any::<i16>().prop_map(i64::from),
        1 => any::<i32>().prop_map(i64::from),
        1 => any::<i64>(),
        1 => prop::sample::select(vec![
            i64::MIN, i64::MAX, -0x8000, 0x7fff, 0x8000, -0x8001, -0x8000_0000, 0x7fff_ffff,
            0x8000_0000, -0x8000_0001,
        ]),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: Option<Edit>) -> bool {
    let Some(edit) = edit else { return false };
    let expected = bytes.len().cast_signed() + edit.growth(bytes.len());
    edit.apply(bytes);
    assert_eq!(bytes.len().cast_signed(), expected);
    true
}

#[test]
fn a_set_is_laid_out_as_drawn() {
    let mut bytes = build(&[-1, 258]);
    assert_eq!(bytes, [2, 0xff, 0xff, 2, 1]);
    let edit = IntSet::new(&bytes).insert(-0x8001);
    assert!(apply(&mut bytes, edit));
    assert_eq!(bytes, [4, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1, 0, 0]);
}

#[test]
fn a_width_is_kept_when_what_asked_for_it_is_gone() {
    let mut bytes = build(&[1, 1 << 40]);
    let edit = IntSet::new(&bytes).remove(1 << 40);
    assert!(apply(&mut bytes, edit));
    assert_eq!(bytes, [8, 1, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn nothing_is_an_empty_set() {
    assert!(IntSet::new(&[]).is_empty());
    assert!(IntSet::new(&build(&[])).is_empty());
    assert_eq!(IntSet::new(&[]).insert(5), Some(Edit::Whole(vec![2, 5, 0])));
    assert_eq!(IntSet::new(&[]).remove(5), None);
}

proptest! {
    #[test]
    fn a_set_does_what_an_ordered_set_does(
        steps in prop::collection::vec((any::<bool>(), any_integer()), 0..80),
        probes in prop::collection::vec(any_integer(), 10),
    ) {
        let (mut bytes, mut model) = (Vec::new(), BTreeSet::new());
        for (is_insertion, integer) in steps {
            let set = IntSet::new(&bytes);
            let (edit, has_changed) = match is_insertion {
                true => (set.insert(integer), model.insert(integer)),
                false => (set.remove(integer), model.remove(&integer)),
            };
            prop_assert_eq!(apply(&mut bytes, edit), has_changed);
            let set = IntSet::new(&bytes);
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert!(set.iter().rev().eq(model.iter().rev().copied()));
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.iter().len(), model.len());
        }
        let set = IntSet::new(&bytes);
        for integer in probes {
            prop_assert_eq!(set.contains(integer), model.contains(&integer));
        }
        for index in 0..=model.len() {
            prop_assert_eq!(set.get(index), model.iter().nth(index).copied());
        }
    }

    #[test]
    fn a_set_that_is_built_is_one_that_was_filled(
        model in prop::collection::btree_set(any_integer(), 0..40),
    ) {
        let mut filled = Vec::new();
        for &integer in &model {
            let edit = IntSet::new(&filled).insert(integer);
            prop_assert!(apply(&mut filled, edit));
        }
        let built = build(&model.iter().copied().collect::<Vec<_>>());
        prop_assert!(IntSet::new(&built).iter().eq(model.iter().copied()));
        if !model.is_empty() {
            prop_assert_eq!(built, filled);
        }
    }

    /// Invariant 3.
    #[test]
    fn bytes_that_are_no_set_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        width in prop::sample::select(vec![2u8, 4, 8]),
        integer in any_integer(),
    ) {
        for bytes in [bytes.clone(), [&[width], bytes.as_slice()].concat()] {
            let set = IntSet::new(&bytes);
            prop_assert_eq!(set.iter().count(), set.len());
            for edit in [set.insert(integer), set.remove(integer)] {
                let mut edited = bytes.clone();
                apply(&mut edited, edit);
                prop_assert!(IntSet::new(&edited).len().abs_diff(set.len()) <= 1);
            }
        }
    }
}
