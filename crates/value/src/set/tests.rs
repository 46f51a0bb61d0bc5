//! Sets of every layout against a set of the standard library.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::map::DEADLINE_MAX;

fn hasher() -> KeyHasher {
    KeyHasher::new([1, 9])
}

fn texts(set: SetRef<'_>) -> BTreeSet<Vec<u8>> {
    let listed: Vec<_> =
        set.iter().map(|element| element.to_text(&mut Digits::new()).to_vec()).collect();
    let all: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!((listed.len(), set.len()), (all.len(), all.len()), "no member is listed twice");
    all
}

/// Removes a member as the guard of an entry does.
fn take_out(set: &mut NewSet, text: &[u8]) -> bool {
    match set {
        NewSet::Big(big) => remove_from_big(big, text, &hasher()),
        NewSet::Packed(bytes) => match remove(bytes, text) {
            Step::Nothing => false,
            Step::Splice(range, patch) => {
                bytes.splice(range, patch);
                count(bytes, -1);
                true
            }
            Step::Whole(whole) => {
                *bytes = whole;
                true
            }
            Step::Grow => unreachable!("to take one out needs no room"),
        },
    }
}

proptest! {
    #[test]
    fn a_set_is_what_a_set_is(
        limits in (1..40_usize, 0..30_usize, 3..12_usize),
        steps in prop::collection::vec((any::<bool>(), 0..90_i64, 0..3_u8), 1..200),
    ) {
        let limits = Limits { ints_max: limits.0, entries_max: limits.1, text_max: limits.2 };
        let (mut set, mut model) = (NewSet::new(), BTreeSet::new());
        for (adds, number, kind) in steps {
            let text = match kind {
                0 => (number - 40).to_string(),
                1 => (number * 1_000_000_007).to_string(),
                _ => format!("text{}", "x".repeat(number as usize % 9)),
            };
            let text = text.as_bytes();
            if adds {
                let is_new = set.insert(text, &limits, &hasher()).unwrap();
                prop_assert_eq!(is_new, model.insert(text.to_vec()));
            } else {
                prop_assert_eq!(take_out(&mut set, text), model.remove(text));
            }
            let hasher = hasher();
            let seen = set.as_ref(&hasher);
            prop_assert_eq!(seen.contains(text), adds);
            prop_assert_eq!(seen.contains_element(Element::of(text)), adds);
            // As a large set tells it, integers included.
            prop_assert_eq!(seen.contains_element(Element::Bytes(text)), adds);
            let asked: Vec<_> =
                [text, b"-1", b"text"].into_iter().map(Element::of).collect();
            let found = seen.contains_each(&asked);
            for (nth, element) in asked.iter().enumerate() {
                prop_assert_eq!(found >> nth & 1 == 1, seen.contains_element(*element));
            }
            if !model.is_empty() {
                let some = seen.random(number as u64 * 7919).unwrap();
                prop_assert!(model.contains(some.to_text(&mut Digits::new())));
            }
        }
        let hasher = hasher();
        prop_assert_eq!(texts(set.as_ref(&hasher)), model.clone());
        let big = set.as_ref(&hasher).to_big(&hasher).unwrap();
        prop_assert_eq!(texts(SetRef::Big(&big, &hasher)), model);
    }
}

#[test]
fn layouts_change_where_those_of_redis_do() {
    let (limits, hasher) = (Limits::default(), hasher());
    let mut set = NewSet::new();
    let of = |set: &NewSet| match set {
        NewSet::Packed(bytes) => encoding(bytes),
        NewSet::Big(_) => "hashtable",
    };
    for n in 0..512 {
        set.insert(n.to_string().as_bytes(), &limits, &hasher).unwrap();
    }
    assert_eq!(of(&set), "intset");
    set.insert(b"512", &limits, &hasher).unwrap();
    assert_eq!(of(&set), "hashtable");

    let mut set = NewSet::new();
    for n in 0..127 {
        set.insert(n.to_string().as_bytes(), &limits, &hasher).unwrap();
    }
    set.insert(b"text", &limits, &hasher).unwrap();
    assert_eq!(of(&set), "listpack");
    set.insert(b"more", &limits, &hasher).unwrap();
    assert_eq!(of(&set), "hashtable");

    let mut set = NewSet::new();
    set.insert(&[b'x'; 64], &limits, &hasher).unwrap();
    assert_eq!(of(&set), "listpack");
    set.insert(&[b'x'; 65], &limits, &hasher).unwrap();
    assert_eq!(of(&set), "hashtable");
}

proptest! {
    /// What a field of a hash does at its deadline has its own test; here a set reads it.
    #[test]
    fn a_member_is_there_up_to_its_deadline(
        small in prop::collection::btree_set(0..60_i64, 0..40),
        steps in prop::collection::vec((0..3_u8, 0..60_i64, 0..30_u64), 1..150),
    ) {
        let (hasher, limits) = (hasher(), Limits::default());
        let mut from = NewSet::new();
        for number in &small {
            from.insert(number.to_string().as_bytes(), &limits, &hasher).unwrap();
        }
        let mut set = from.as_ref(&hasher).to_dated(&hasher).unwrap();
        let mut model: BTreeMap<Vec<u8>, u64> =
            small.iter().map(|number| (number.to_string().into_bytes(), DEADLINE_MAX)).collect();
        let mut now = 0;
        for (kind, number, moment) in steps {
            let text = number.to_string().into_bytes();
            model.retain(|_, deadline| *deadline >= now);
            match kind {
                0 => {
                    let was_there = model.remove(&text).is_some();
                    prop_assert_eq!(set.remove(&text, now, &hasher), was_there);
                }
                1 => {
                    let until = Until::At(now + moment);
                    let is_new = set.set(&text, &[], until, now, &hasher).unwrap();
                    let old = model.insert(text.clone(), now + moment);
                    prop_assert_eq!(is_new, old.is_none());
                }
                _ => now += moment / 6,
            }
            model.retain(|_, deadline| *deadline >= now);
            let seen = SetRef::Dated(&set, &hasher, now);
            prop_assert_eq!(seen.contains(&text), model.contains_key(&text));
            prop_assert_eq!(seen.contains_element(Element::Int(number)), seen.contains(&text));
            let deadline = seen.deadline(&text).map(|at| at.unwrap_or(DEADLINE_MAX));
            prop_assert_eq!(deadline, model.get(&text).copied());
            prop_assert_eq!(seen.is_empty(), model.is_empty());
            let drawn = seen.random(moment).map(|some| some.to_text(&mut Digits::new()).to_vec());
            prop_assert_eq!(drawn.is_some(), !model.is_empty());
            prop_assert!(drawn.is_none_or(|text| model.contains_key(&text)));
        }
        let seen = SetRef::Dated(&set, &hasher, now);
        prop_assert_eq!(texts(seen), model.into_keys().collect());
        let mut met = BTreeSet::new();
        let mut cursor = Some(Cursor::START);
        while let Some(at) = cursor {
            cursor = seen.scan(at, |member| {
                met.insert(member.to_text(&mut Digits::new()).to_vec());
            });
        }
        prop_assert_eq!(met, texts(seen));
    }
}
