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
        NewMap::Big(big) => remove_from_big(big, field, hasher),
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
                prop_assert_eq!(remove_from_big(&mut big, &field, &hasher), was_there);
                prop_assert_eq!(take_out(&mut map, &field, &hasher), was_there);
            } else {
                let is_new = map.set(&field, &value, &limits, &hasher).unwrap();
                prop_assert_eq!(is_new, !was_there);
                let is_new = set_in_big(&mut big, &field, &value, &hasher).unwrap();
                prop_assert_eq!(is_new, !was_there);
                model.insert(field.clone(), value);
            }
            let big = MapRef::Big(&big, &hasher);
            prop_assert_eq!(big.get(&field).map(text), model.get(&field).cloned());
            let seen = map.as_ref(&hasher).get(&field).map(text);
            prop_assert_eq!(seen, model.get(&field).cloned());
        }
        prop_assert_eq!(pairs(MapRef::Big(&big, &hasher)), model.clone());
        prop_assert_eq!(pairs(map.as_ref(&hasher)), model.clone());
        let grown = map.as_ref(&hasher).to_big(&hasher).unwrap();
        prop_assert_eq!(pairs(MapRef::Big(&grown, &hasher)), model);
    }
}

#[test]
fn a_field_of_a_large_hash_takes_sixteen_bytes_beside_field_and_value() {
    let (mut map, hasher) = (Map::new(), KeyHasher::new([1, 2]));
    const COUNT: usize = 300_000;
    for n in 0..COUNT {
        set_in_big(&mut map, format!("field:{n:013}").as_bytes(), &[7; 16], &hasher).unwrap();
    }
    let beside = map.bytes() as f64 / COUNT as f64 - 35.0;
    assert!(beside < 16.0, "{beside}");
}
