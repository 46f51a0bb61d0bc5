//! Sorted sets of both layouts against a map of the standard library.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, f64>;

fn listed(set: ZSetRef<'_>) -> Vec<(Vec<u8>, f64)> {
    let text = |name: Element<'_>| name.to_text(&mut Digits::new()).to_vec();
    let forwards: Vec<_> = set.iter().map(|(name, score)| (text(name), score)).collect();
    let mut backwards: Vec<_> = set.iter().rev().map(|(name, score)| (text(name), score)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_eq!(forwards.len(), set.len());
    forwards
}

fn in_order(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut pairs: Vec<_> = model.iter().map(|(name, score)| (name.clone(), *score)).collect();
    pairs.sort_by(|a, b| order((a.1, &a.0), (b.1, &b.0)));
    pairs
}

fn set_big(set: &mut ZSet, name: &[u8], score: f64, hasher: &KeyHasher) -> Update {
    set.update(name, hasher, |_| Ok::<_, Infallible>(Some(score))).unwrap().unwrap()
}

/// Sets a score as the guard of an entry does; `false`: the set has to be large.
fn set_small(bytes: &mut Vec<u8>, name: &[u8], score: f64, limits: &Limits) -> bool {
    if let Some(found) = packed::find(bytes, name) {
        let (range, patch) = packed::rescore(bytes, &found, name, score);
        bytes.splice(range, patch);
        return true;
    }
    if bytes.is_empty() {
        let one = packed::of_one(name, score, limits);
        *bytes = one.as_deref().unwrap_or_default().to_vec();
        return one.is_some();
    }
    let takes = packed::takes(bytes, name, limits);
    if takes {
        let (range, patch) = packed::insert(bytes, name, score);
        bytes.splice(range, patch);
        count(bytes, 1);
    }
    takes
}

fn name(number: u8) -> Vec<u8> {
    match number % 3 {
        0 => number.to_string().into_bytes(),
        1 => format!("member:{number}").into_bytes(),
        _ => vec![b'm'; usize::from(number)],
    }
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-3..3_i32).prop_map(f64::from),
        -1e3..1e3,
        any::<f64>().prop_filter("scores are numbers", |score| !score.is_nan()),
        // Eight bytes that read as digits.
        Just(f64::from_le_bytes(*b"12345678")),
    ]
}

proptest! {
    #[test]
    fn a_sorted_set_is_what_a_map_in_order_is(
        entries_max in 1..30_usize,
        text_max in 1..300_usize,
        steps in prop::collection::vec((0..6_u8, any::<u8>(), score()), 1..150),
    ) {
        let (limits, hasher) = (Limits { entries_max, text_max }, KeyHasher::new([1, 2]));
        let (mut small, mut big, mut model) = (Vec::new(), ZSet::new(), Model::new());
        let mut is_small = true;
        for (kind, number, score) in steps {
            let name = name(number);
            let before = model.get(&name).copied();
            if kind == 0 {
                model.remove(&name);
                prop_assert_eq!(big.remove(&name, &hasher), before.is_some());
                if is_small && let Some(found) = packed::find(&small, &name) {
                    small.drain(found.range);
                    count(&mut small, -1);
                }
            } else if kind == 1 && model.len() > 3 {
                let range = usize::from(number) % model.len()..model.len() - 1;
                for (name, _) in in_order(&model).drain(range.start.min(range.end)..range.end) {
                    model.remove(&name);
                }
                big.remove_range(range.clone(), &hasher);
                if is_small {
                    small.drain(packed::range_of(&small, range.clone()));
                    count(&mut small, -(range.len() as i16));
                }
            } else {
                is_small = is_small && set_small(&mut small, &name, score, &limits);
                prop_assert_eq!(set_big(&mut big, &name, score, &hasher).old, before);
                model.insert(name.clone(), score);
            }
            let expected = in_order(&model);
            let mut layouts = vec![ZSetRef::Big(&big, &hasher)];
            layouts.extend(is_small.then(|| ZSetRef::packed(&small)));
            for set in layouts {
                prop_assert_eq!(&listed(set), &expected);
                prop_assert_eq!(set.score(&name), model.get(&name).copied());
                let rank = expected.iter().position(|pair| pair.0 == name);
                prop_assert_eq!(set.rank(&name).map(|found| found.0), rank);
                let below = expected.iter().filter(|pair| pair.1 < score).count();
                prop_assert_eq!(set.count_below(score, false), below);
                let within = expected.iter().filter(|pair| pair.1 <= score).count();
                prop_assert_eq!(set.count_below(score, true), within);
            }
            if is_small {
                prop_assert!(packed::is_ordered(&small));
            }
        }
    }
}

#[test]
fn what_moves_in_the_heap_stays_in_order() {
    let (hasher, mut set) = (KeyHasher::new([1, 2]), ZSet::new());
    let name = |nth: u32| format!("member:{nth:012}").into_bytes();
    let score = |nth: u32| f64::from(nth % 7) / 3.0;
    (0..20_000).for_each(|nth| _ = set_big(&mut set, &name(nth), score(nth), &hasher));
    let gone = |nth: u32| !nth.is_multiple_of(11);
    (0..20_000).filter(|&nth| gone(nth)).for_each(|nth| assert!(set.remove(&name(nth), &hasher)));
    let left: Model =
        (0..20_000).filter(|&nth| !gone(nth)).map(|nth| (name(nth), score(nth))).collect();
    assert_eq!(listed(ZSetRef::Big(&set, &hasher)), in_order(&left));
    assert!(set.bytes() < 300_000, "{}", set.bytes());
}

#[test]
fn a_range_is_taken_out_of_a_heap_whose_records_move_meanwhile() {
    let (hasher, mut set, mut model) = (KeyHasher::new([1, 2]), ZSet::new(), Model::new());
    for nth in 0..30_000_u32 {
        // In the order of neither scores nor records.
        let (name, score) = (format!("{nth}"), f64::from(nth.wrapping_mul(2_654_435_761) % 1000));
        set_big(&mut set, name.as_bytes(), score, &hasher);
        model.insert(name.into_bytes(), score);
    }
    let mut expected = in_order(&model);
    expected.drain(100..29_000);
    set.remove_range(100..29_000, &hasher);
    assert_eq!(listed(ZSetRef::Big(&set, &hasher)), expected);
    set.remove_range(0..usize::MAX, &hasher);
    assert!(set.is_empty());
}

#[test]
fn a_new_set_is_small_or_large_as_the_limits_say() {
    let (limits, hasher) = (Limits::default(), KeyHasher::new([1, 2]));
    let pairs = |count: u32| -> Vec<(Name, f64)> {
        (0..count).rev().map(|nth| (Name::from_slice(nth.to_string().as_bytes()), 1.0)).collect()
    };
    let NewZSet::Packed(bytes) = NewZSet::of(pairs(128), &limits, &hasher).unwrap() else {
        panic!("128 members are few");
    };
    assert!(packed::is_ordered(&bytes));
    let NewZSet::Big(set) = NewZSet::of(pairs(129), &limits, &hasher).unwrap() else {
        panic!("129 members are many");
    };
    assert_eq!(set.len(), 129);
}
