//! Arrays against maps of the standard library.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<u64, Vec<u8>>;

/// So many bytes of a small array as a record takes, about.
const BYTES_MAX: usize = 700;

#[derive(Clone, Debug)]
enum Step {
    Set(u64, Vec<u8>),
    Remove(u64),
    RemoveRange(u64, u64),
    Copy,
}

/// Indexes that meet often, lie in a row, at the borders of slices and at the very end.
fn index() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..40_u64,
        4 => 4_000..4_200_u64,
        2 => (0..6_u64, 0..3_u64).prop_map(|(slice, offset)| slice * 4096 + offset),
        2 => (0..12_u64).prop_map(|step| step * 300),
        1 => (0..60_u64).prop_map(|from_end| INDEX_MAX - from_end),
        1 => any::<u64>().prop_map(|index| index.min(INDEX_MAX)),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..9),
        prop::collection::vec(any::<u8>(), 9..10),
        prop::collection::vec(any::<u8>(), 10..60),
        (500..530_usize).prop_map(|len| vec![b'x'; len]),
        "[0-9]{1,20}".prop_map(String::into_bytes),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (index(), text()).prop_map(|(index, text)| Step::Set(index, text)),
        3 => index().prop_map(Step::Remove),
        1 => (index(), index()).prop_map(|(low, high)| Step::RemoveRange(low, high)),
        1 => (index(), 0..50_u64).prop_map(|(low, len)| {
            Step::RemoveRange(low, low.saturating_add(len))
        }),
        1 => Just(Step::Copy),
    ]
}

fn told(element: Element<'_>) -> Vec<u8> {
    element.to_text(&mut Digits::new()).to_vec()
}

fn all_of(array: ArrayRef<'_>) -> Vec<(u64, Vec<u8>)> {
    array.range(0, INDEX_MAX).map(|(index, element)| (index, told(element))).collect()
}

fn check(array: ArrayRef<'_>, model: &Model) {
    let expected: Vec<_> = model.iter().map(|(&index, text)| (index, text.clone())).collect();
    assert_eq!(all_of(array), expected);
    assert_eq!(array.count(), model.len() as u64);
    assert_eq!(array.len(), model.last_key_value().map_or(0, |(index, _)| index + 1));
    for (&index, text) in model {
        assert_eq!(array.get(index).map(told).as_deref(), Some(text.as_slice()));
    }
    let mut back: Vec<_> = array.range(0, INDEX_MAX).rev().map(|(index, _)| index).collect();
    back.reverse();
    assert!(back.iter().eq(model.keys()));
}

fn check_ranges(array: ArrayRef<'_>, model: &Model, bounds: &[u64]) {
    for &low in bounds {
        for &high in bounds {
            let expected: Vec<u64> = match low <= high {
                true => model.range(low..=high).map(|(&index, _)| index).collect(),
                false => Vec::new(),
            };
            let found: Vec<u64> = array.range(low, high).map(|(index, _)| index).collect();
            assert_eq!(found, expected, "{low} to {high}");
            assert_eq!(array.count_within(low, high), expected.len() as u64, "{low} to {high}");
        }
    }
}

fn remove_from_model(model: &mut Model, low: u64, high: u64) -> u64 {
    let before = model.len();
    model.retain(|&index, _| index < low || high < index);
    (before - model.len()) as u64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_large_array_is_a_map(steps in prop::collection::vec(step(), 1..250)) {
        let (mut array, mut model) = (Array::new(), Model::new());
        for step in steps {
            match step {
                Step::Set(index, text) => {
                    let is_new = model.insert(index, text.clone()).is_none();
                    prop_assert_eq!(array.set(index, &text), is_new);
                }
                Step::Remove(index) => {
                    prop_assert_eq!(array.remove(index), model.remove(&index).is_some());
                }
                Step::RemoveRange(low, high) => {
                    let removed = remove_from_model(&mut model, low, high);
                    prop_assert_eq!(array.remove_range(low, high), removed);
                }
                Step::Copy => array = array.clone(),
            }
            prop_assert_eq!(array.count(), model.len() as u64);
            prop_assert!(array.is_counted());
        }
        check(ArrayRef::Big(&array), &model);
        let bounds = [0, 1, 39, 300, 4_050, 4_095, 4_096, 8_192, INDEX_MAX - 30, INDEX_MAX];
        check_ranges(ArrayRef::Big(&array), &model, &bounds);
    }

    #[test]
    fn a_draft_is_a_map_small_or_large(
        values in prop::collection::vec((index(), text()), 0..90),
        next in any::<u64>(),
        ring in any::<u64>(),
    ) {
        let mut model = Model::new();
        let mut draft = Draft::new(Cursor::default());
        for (index, text) in values {
            let is_new = model.insert(index, text.clone()).is_none();
            prop_assert_eq!(draft.set(index, &text, BYTES_MAX), is_new);
        }
        let cursor = Cursor { next, ring };
        draft.set_cursor(cursor);
        if let Draft::Small(bytes, count) = &draft {
            prop_assert!(bytes.len() <= BYTES_MAX && *count <= SMALL_COUNT_MAX);
            prop_assert_eq!(*count, model.len());
        }
        prop_assert_eq!(draft.read().cursor(), cursor);
        check(draft.read(), &model);
        check_ranges(draft.read(), &model, &[0, 20, 4_100, INDEX_MAX - 30, INDEX_MAX]);
    }

    #[test]
    fn the_slots_of_a_range_lie_in_a_row(
        values in prop::collection::btree_map(0..60_u64, "[a-z]{0,5}", 1..30),
        low in 0..60_u64,
        high in 0..60_u64,
    ) {
        let mut bytes = small::empty(Cursor { next: 300, ring: 0 });
        for (&index, text) in &values {
            small::set(&mut bytes, index, text.as_bytes());
        }
        let removed = small::remove_range(&mut bytes, low, high);
        let left: Vec<u64> = Small::new(&bytes).iter().map(|(index, _)| index).collect();
        let expected = values.keys().copied().filter(|&at| at < low || high < at);
        prop_assert_eq!(&left, &expected.collect::<Vec<_>>());
        prop_assert_eq!(removed as usize, values.len() - left.len());
        prop_assert_eq!(Small::new(&bytes).cursor().next, 300);
    }

    #[test]
    fn bytes_that_are_no_array_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let array = ArrayRef::Small(Small::new(&bytes));
        let (count, len) = (array.range(0, u64::MAX).count() as u64, array.get(3).is_some());
        prop_assert!(count <= 40 && (!len || count > 0));
        let part = Small::new(&bytes).slots_within(2, 9);
        prop_assert!(part.end <= bytes.len());
    }
}

fn array_of(indexes: impl IntoIterator<Item = u64>) -> Array {
    let mut array = Array::new();
    for index in indexes {
        array.set(index, index.to_string().as_bytes());
    }
    array
}

#[test]
fn a_slot_costs_ten_bytes_where_its_neighbours_are_used() {
    let array = array_of(0..1_000_000);
    let each = array.bytes() as f64 / 1e6;
    assert!(each < 8.2, "{each} bytes");
    assert_eq!((array.shape().dense, array.shape().sparse), (245, 0));

    // From the end to the start.
    let array = array_of((0..100_000).rev());
    let each = array.bytes() as f64 / 1e5;
    assert!(each < 12.0, "{each} bytes");
}

#[test]
fn a_text_costs_its_length_and_twenty_bytes() {
    let mut array = Array::new();
    (0..100_000).for_each(|index| _ = array.set(index, b"sixteen bytes ok"));
    let each = array.bytes() as f64 / 1e5 - 16.0;
    assert!(each < 15.0, "{each} bytes");
}

#[test]
fn distance_costs_nothing() {
    let mut array = Array::new();
    (0..10_000).for_each(|step| _ = array.set(step * (INDEX_MAX / 10_000), b"x"));
    let each = array.bytes() as f64 / 1e4;
    assert!(each < 160.0, "{each} bytes");
    assert_eq!(array.len(), 9_999 * (INDEX_MAX / 10_000) + 1);
}

#[test]
fn a_slice_is_dense_or_sparse_as_its_slots_are_used() {
    let shape = |array: &Array| (array.shape().dense, array.shape().sparse);
    let mut array = array_of((0..40).map(|step| step * 100));
    assert_eq!(shape(&array), (0, 1));
    (0..4096).for_each(|index| _ = array.set(index, b"x"));
    assert_eq!(shape(&array), (1, 0));
    assert_eq!(array.remove_range(10, 4_085), 4_076);
    assert_eq!(shape(&array), (0, 1));
    assert_eq!(array.remove_range(0, 4_096), 20);
    assert_eq!((shape(&array), array.bytes()), ((0, 0), 0));
}

#[test]
fn texts_that_are_written_over_leave_no_gaps_behind() {
    let mut array = Array::new();
    for round in 0..200_u64 {
        for index in 0..50 {
            let text = vec![b'y'; 20 + ((round + index) % 30) as usize];
            array.set(index, &text);
        }
    }
    assert!(array.bytes() < 50 * (8 + 52) * 3, "{} bytes", array.bytes());
    for index in 0..50 {
        array.set(index, &[b'z'; 5_000]);
    }
    let long = array.bytes();
    (0..50).for_each(|index| _ = array.set(index, b"7"));
    assert!(long > 250_000 && array.bytes() < 2_000, "{long}, then {}", array.bytes());
}

#[test]
fn the_slots_before_the_cursor_are_the_end_of_it_and_what_comes_before_the_start() {
    let mut array = array_of(0..10);
    let runs = |array: &Array, count| {
        let runs = ArrayRef::Big(array).before_cursor(count);
        runs.map(|run| (run.start, run.len))
    };
    assert_eq!(runs(&array, 3), [(10, 0), (7, 3)]);
    array.cursor.next = 2;
    assert_eq!(runs(&array, 1), [(10, 0), (1, 1)]);
    assert_eq!(runs(&array, 5), [(7, 3), (0, 2)]);
    assert_eq!(runs(&array, u64::MAX), [(2, 8), (0, 2)]);
    array.cursor.next = u64::MAX;
    assert_eq!(runs(&array, 4), [(10, 0), (6, 4)]);
    assert_eq!(runs(&array, 0), [(10, 0), (10, 0)]);
}

#[test]
fn recent_values_end_at_the_first_unused_slot() {
    let recent = |array: &Array, most| -> Vec<String> {
        let texts = ArrayRef::Big(array).recent(most);
        texts.into_iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    };
    let mut array = array_of(0..6);
    array.cursor.next = 3;
    assert_eq!(recent(&array, 4), ["5", "0", "1", "2"]);
    assert_eq!(recent(&array, 100), ["3", "4", "5", "0", "1", "2"]);
    array.remove(4);
    assert_eq!(recent(&array, 100), ["5", "0", "1", "2"]);
    array.remove(0);
    assert_eq!(recent(&array, 100), ["1", "2"]);
    array.remove(2);
    assert!(recent(&array, 100).is_empty());
}
