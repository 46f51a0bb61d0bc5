//! Hashes of both layouts against a map of the standard library.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn text(element: Element<'_>) -> Vec<u8> {
    element.to_text(&mut Digits::new()).to_vec()
}

fn pairs(map: MapRef<'_>) -> Model {
    let listed: Vec<_> = map.iter().map(|(field, value)| (text(field), text(value))).collect();
    assert_eq!(listed.len(), map.len());
    let all: Model = listed.into_iter().collect();
    assert_eq!(all.len(), map.len(), "no field is listed twice");
    all
}

/// Takes a field out as the guard of an entry does.
fn take_out(map: &mut NewMap, field: &[u8], hasher: &KeyHasher) -> bool {
    match map {
        NewMap::Big(big) => big.remove(field, 0, hasher),
        NewMap::Packed(bytes) => match remove(bytes, field) {
            Step::Splice(range, patch) => {
                bytes.splice(range, patch);
                count(bytes, -1);
                true
            }
            _ => false,
        },
    }
}

fn name(number: u8) -> Vec<u8> {
    match number % 3 {
        0 => number.to_string().into_bytes(),
        1 => format!("field:{number}").into_bytes(),
        _ => vec![b'f'; usize::from(number)],
    }
}

proptest! {
    #[test]
    fn a_hash_is_what_a_map_is(
        entries_max in 1..30_usize,
        text_max in 1..300_usize,
        steps in prop::collection::vec((0..4_u8, any::<u8>(), 0..400_usize), 1..150),
    ) {
        let (limits, hasher) = (Limits { entries_max, text_max }, KeyHasher::new([1, 2]));
        let (mut map, mut big, mut model) = (NewMap::new(), Map::new(), Model::new());
        for (kind, number, len) in steps {
            let (field, value) = (name(number), vec![b'0' + number % 10; len]);
            let was_there = model.contains_key(&field);
            if kind == 0 {
                model.remove(&field);
                prop_assert_eq!(big.remove(&field, 0, &hasher), was_there);
                prop_assert_eq!(take_out(&mut map, &field, &hasher), was_there);
            } else {
                let is_new = map.set(&field, &value, &limits, &hasher).unwrap();
                prop_assert_eq!(is_new, !was_there);
                let is_new = big.set(&field, &value, Until::Never, 0, &hasher).unwrap();
                prop_assert_eq!(is_new, !was_there);
                model.insert(field.clone(), value);
            }
            let big = MapRef::Big(&big, &hasher, 0);
            prop_assert_eq!(big.get(&field).map(text), model.get(&field).cloned());
            let seen = map.as_ref(&hasher).get(&field).map(text);
            prop_assert_eq!(seen, model.get(&field).cloned());
        }
        prop_assert_eq!(pairs(MapRef::Big(&big, &hasher, 0)), model.clone());
        prop_assert_eq!(pairs(map.as_ref(&hasher)), model.clone());
        let grown = map.as_ref(&hasher).to_big(&hasher).unwrap();
        prop_assert_eq!(pairs(MapRef::Big(&grown, &hasher, 0)), model);
    }
}

#[test]
fn a_field_of_a_large_hash_takes_sixteen_bytes_beside_field_and_value() {
    let (mut map, hasher) = (Map::new(), KeyHasher::new([1, 2]));
    const COUNT: usize = 300_000;
    for n in 0..COUNT {
        map.set(format!("field:{n:013}").as_bytes(), &[7; 16], Until::Never, 0, &hasher).unwrap();
    }
    let beside = map.bytes() as f64 / COUNT as f64 - 35.0;
    assert!(beside < 16.0, "{beside}");
}

/// A model of a hash with deadlines: value and deadline of each field.
type Dated = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

fn live(model: &Dated, now: u64) -> Model {
    let there = model.iter().filter(|(_, (_, deadline))| deadline.is_none_or(|at| at >= now));
    there.map(|(field, (value, _))| (field.clone(), value.clone())).collect()
}

proptest! {
    #[test]
    fn a_field_is_there_up_to_its_deadline(
        steps in prop::collection::vec((0..6_u8, any::<u8>(), 0..300_usize, 0..40_u64), 1..400),
    ) {
        let hasher = KeyHasher::new([1, 2]);
        let (mut map, mut model, mut now) = (Map::new(), Dated::new(), 0);
        for (kind, number, len, moment) in steps {
            let (field, value) = (name(number), vec![b'v'; len]);
            let deadline = (!moment.is_multiple_of(4)).then_some(now + moment);
            let old = model.get(&field).filter(|old| old.1.is_none_or(|at| at >= now)).cloned();
            match kind {
                0 => {
                    let has_lapsed = map.has_lapsed(&field, now, &hasher);
                    prop_assert!(!(has_lapsed && old.is_some()));
                    prop_assert_eq!(map.remove(&field, now, &hasher), old.is_some());
                    prop_assert_eq!(map.has_lapsed(&field, now, &hasher), has_lapsed);
                    model.remove(&field);
                }
                1 => {
                    if let Some((value, _)) = old {
                        map.set_deadline(&field, deadline, &hasher).unwrap();
                        model.insert(field, (value, deadline));
                    }
                }
                2 => {
                    let is_new = map.set(&field, &value, Until::Same, now, &hasher).unwrap();
                    prop_assert_eq!(is_new, old.is_none());
                    model.insert(field, (value, old.and_then(|old| old.1)));
                }
                3 => now += moment / 8,
                4 => _ = map.remove_due(now, 100, &hasher, |_| {}),
                _ => {
                    let until = deadline.map_or(Until::Never, Until::At);
                    let is_new = map.set(&field, &value, until, now, &hasher).unwrap();
                    prop_assert_eq!(is_new, old.is_none());
                    model.insert(field, (value, deadline));
                }
            }
            let (seen, there) = (MapRef::Big(&map, &hasher, now), live(&model, now));
            prop_assert_eq!(seen.len(), there.len());
            prop_assert_eq!(seen.is_empty(), there.is_empty());
            prop_assert_eq!(seen.random(moment).is_some(), !there.is_empty());
        }
        prop_assert_eq!(pairs(MapRef::Big(&map, &hasher, now)), live(&model, now));
        while map.due() <= now {
            map.remove_due(now, usize::MAX, &hasher, |_| {});
        }
        let there = live(&model, now);
        prop_assert_eq!(map.held(), there.len());
        let deadlines = model.values().filter_map(|(_, deadline)| *deadline);
        prop_assert_eq!(map.earliest(now), deadlines.filter(|&at| at >= now).min());
        for field in there.keys() {
            let deadline = MapRef::Big(&map, &hasher, now).deadline(field);
            prop_assert_eq!(deadline, Some(model[field].1));
        }
    }
}

#[test]
fn fields_of_many_segments_go_in_steps() {
    let (mut map, hasher) = (Map::new(), KeyHasher::new([1, 2]));
    for number in 0..20_000_u64 {
        let until = if number.is_multiple_of(10) { Until::Never } else { Until::At(number % 7) };
        map.set(&number.to_le_bytes(), b"value", until, 0, &hasher).unwrap();
    }
    assert_eq!(MapRef::Big(&map, &hasher, 100).len(), 2_000);
    let mut steps = 0;
    while map.due() <= 100 {
        assert!(map.remove_due(100, 500, &hasher, |_| {}) <= 500 + dash::SEGMENT_SLOTS);
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
    assert_eq!((map.held(), map.due()), (2_000, u64::MAX));
}
