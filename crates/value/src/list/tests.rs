//! Lists, checked against vectors.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::entries::Digits;

const ENDS: [End; 2] = [End::Front, End::Back];

fn text(element: Element<'_>) -> Vec<u8> {
    element.to_text(&mut Digits::new()).to_vec()
}

fn texts(list: &List) -> Vec<Vec<u8>> {
    list.iter().map(text).collect()
}

fn filled(texts: &[Vec<u8>], fill: Fill) -> List {
    let mut list = List::new();
    texts.iter().for_each(|text| list.push(End::Back, text, fill));
    list
}

/// Invariants 1 to 4.
fn check(list: &List, fill: Fill) {
    for chunk in &list.chunks {
        assert!(chunk.count() > 0);
        assert_eq!(chunk.entries().count(), chunk.count());
        assert!(chunk.count() == 1 || fill.allows(chunk.len(), chunk.count()));
        assert!(chunk.capacity() <= (chunk.len() * 4).max(256), "{chunk:?}");
    }
    let inner = 1..list.chunks.len().saturating_sub(2);
    for left in inner {
        assert!(!list.chunks[left].fits_with(&list.chunks[left + 1], fill));
    }
    for chunk in fill.packed(list.chunks.len()) {
        assert!(list.chunks[chunk].is_settled(), "{chunk} of {}", list.chunks.len());
    }
    assert_eq!(list.len, list.chunks.iter().map(Chunk::count).sum::<usize>());
    assert_eq!(list.held, list.chunks.iter().map(Chunk::capacity).sum::<usize>());
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "7", "-300", "bb", ""])
            .prop_map(|text| text.as_bytes().to_vec()),
        4 => prop::collection::vec(any::<u8>(), 0..40),
        2 => (0usize..1500).prop_map(|len| vec![b'm'; len]),
        1 => (3000usize..9000).prop_map(|len| vec![b'l'; len]),
    ]
}

fn any_fill() -> impl Strategy<Value = Fill> {
    let setting = prop::sample::select(vec![1, 2, 3, 7, 128, -1, -2]);
    let plain = prop::sample::select(vec![0, 0, 1, 2]);
    (setting, plain).prop_map(|(fill, plain)| Fill::from_setting(fill).with_plain_ends(plain))
}

fn any_end() -> impl Strategy<Value = End> {
    prop::sample::select(ENDS.to_vec())
}

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<u8>),
    Pop(End),
    PopMany(End, Index),
    Insert(Index, Vec<u8>),
    Set(Index, Vec<u8>),
    Remove(Index, Index),
    RemoveOne(Index),
    RemoveEqual(End, Index, usize),
    Trim(Index, Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        12 => (any_end(), any_text()).prop_map(|(end, text)| Step::Push(end, text)),
        3 => any_end().prop_map(Step::Pop),
        1 => (any_end(), index()).prop_map(|(end, count)| Step::PopMany(end, count)),
        10 => (index(), any_text()).prop_map(|(at, text)| Step::Insert(at, text)),
        3 => (index(), any_text()).prop_map(|(at, text)| Step::Set(at, text)),
        1 => (index(), index()).prop_map(|(start, end)| Step::Remove(start, end)),
        4 => index().prop_map(Step::RemoveOne),
        1 => (any_end(), index(), 1usize..4)
            .prop_map(|(end, at, most)| Step::RemoveEqual(end, at, most)),
        1 => (index(), index()).prop_map(|(start, end)| Step::Trim(start, end)),
    ]
}

type Model = VecDeque<Vec<u8>>;

/// A range of indexes, rather small than great.
fn range(start: Index, count: Index, model: &Model) -> Range<usize> {
    let start = start.index(model.len() + 1);
    start..start + count.index(model.len() / 3 + 2)
}

fn pop(list: &mut List, model: &mut Model, end: End) {
    let want = match end {
        End::Front => model.pop_front(),
        End::Back => model.pop_back(),
    };
    assert_eq!(list.peek(end).map(text), want);
    assert_eq!(list.pop(end, text), want);
}

/// The model's way to remove equal elements: their indexes first.
fn remove_equal(model: &mut Model, end: End, sought: &[u8], most: usize) -> usize {
    let mut places: Vec<_> = (0..model.len()).filter(|&index| model[index] == sought).collect();
    if end == End::Back {
        places.reverse();
    }
    places.truncate(most);
    places.sort_unstable();
    for &index in places.iter().rev() {
        model.remove(index);
    }
    places.len()
}

fn run(step: Step, list: &mut List, model: &mut Model, fill: Fill) {
    match step {
        Step::Push(end, text) => {
            list.push(end, &text, fill);
            match end {
                End::Front => model.push_front(text),
                End::Back => model.push_back(text),
            }
        }
        Step::Pop(end) => {
            pop(list, model, end);
            list.settle(fill);
        }
        Step::PopMany(end, count) => {
            (0..count.index(model.len() / 2 + 1)).for_each(|_| pop(list, model, end));
            list.settle(fill);
        }
        Step::Insert(at, text) => {
            let at = at.index(model.len() + 1);
            assert!(list.insert(at, &text, fill));
            model.insert(at, text);
        }
        Step::Set(at, text) => {
            let at = at.index(model.len() + 1);
            assert_eq!(list.set(at, &text, fill), at < model.len());
            if let Some(place) = model.get_mut(at) {
                *place = text;
            }
        }
        Step::Remove(start, count) => {
            let range = range(start, count, model);
            let end = range.end.min(model.len());
            assert_eq!(list.remove(range.clone(), fill), end - range.start);
            model.drain(range.start..end);
        }
        Step::RemoveOne(at) => {
            let at = at.index(model.len() + 1);
            assert_eq!(list.remove(at..at + 1, fill), usize::from(model.remove(at).is_some()));
        }
        Step::RemoveEqual(end, at, most) => {
            let sought = match model.get(at.index(model.len() + 1)) {
                Some(text) => text.clone(),
                None => b"absent".to_vec(),
            };
            let removed = remove_equal(model, end, &sought, most);
            assert_eq!(list.remove_equal(end, &sought, most, fill), removed);
        }
        Step::Trim(start, count) => {
            let cut = range(start, count, model).len();
            let kept = cut / 2..model.len().saturating_sub(cut - cut / 2);
            list.trim(kept.clone(), fill);
            model.truncate(kept.end);
            model.drain(..kept.start.min(model.len()));
        }
    }
}

#[test]
fn a_sixteen_byte_element_costs_at_most_three_bytes_more() {
    let fill = Fill::default();
    for end in ENDS {
        let mut list = List::new();
        for number in 0..200_000u32 {
            list.push(end, format!("element {number:08}").as_bytes(), fill);
        }
        check(&list, fill);
        let overhead = list.memory_bytes() as f64 / list.len() as f64 - 16.0;
        assert!(overhead <= 3.0, "{overhead}");
    }
}

#[test]
fn chunks_inside_hold_no_room() {
    for (setting, end) in [(-2, End::Front), (-2, End::Back), (100, End::Front), (100, End::Back)] {
        let mut list = List::new();
        for number in 0..5000u32 {
            list.push(end, format!("element {number}").as_bytes(), Fill::from_setting(setting));
        }
        let mut chunks: Vec<_> = list.chunks.iter().collect();
        if end == End::Front {
            chunks.reverse();
        }
        assert!(chunks.len() > 3);
        chunks.pop();
        assert!(chunks.iter().all(|chunk| chunk.capacity() == chunk.len()));
    }
}

#[test]
fn chunks_between_the_ends_are_compressed_and_read_as_before() {
    let numbers: Vec<Vec<u8>> =
        (0..9000u32).map(|number| format!("element {number}").into()).collect();
    let plain = filled(&numbers, Fill::default());
    for ends in [1, 2] {
        let fill = Fill::default().with_plain_ends(ends);
        let mut list = filled(&numbers, fill);
        let is_packed = |list: &List| list.chunks.iter().map(Chunk::is_packed).collect::<Vec<_>>();
        let mut expected = vec![true; list.chunks.len()];
        expected[..ends].fill(false);
        expected[plain.chunks.len() - ends..].fill(false);
        assert_eq!(is_packed(&list), expected);
        assert!(list.memory_bytes() < plain.memory_bytes() * 2 / 3, "{}", list.memory_bytes());
        assert_eq!(texts(&list), numbers);
        assert_eq!(list.get(4500).map(text), Some(numbers[4500].clone()));

        // A change in the midst opens a chunk, which is closed again.
        assert!(list.set(4500, b"another", fill));
        assert_eq!(list.get(4500).map(text), Some(b"another".to_vec()));
        assert_eq!(is_packed(&list), expected);
        check(&list, fill);
        // What comes to lie at an end is opened when it is changed.
        list.trim(4000..5000, fill);
        assert_eq!(list.pop(End::Front, text), Some(numbers[4000].clone()));
        list.settle(fill);
        check(&list, fill);
    }
}

#[test]
fn what_compression_does_not_make_smaller_stays_plain() {
    let fill = Fill::from_setting(1).with_plain_ends(1);
    let list = filled(&vec![b"short".to_vec(); 9], fill);
    assert!(list.chunks.iter().all(|chunk| !chunk.is_packed()));
    check(&list, fill);
}

#[test]
fn an_element_beyond_the_fill_has_a_chunk_of_its_own() {
    let fill = Fill::default();
    let mut list = List::new();
    for len in [10, 9000, 10, 9000, 9000] {
        list.push(End::Back, &vec![b'x'; len], fill);
    }
    assert!(list.insert(1, b"y", fill));
    let counts: Vec<_> = list.chunks.iter().map(Chunk::count).collect();
    assert_eq!(counts, [2, 1, 1, 1, 1]);
    // The small ones come together once nothing is between them.
    assert_eq!(list.remove(2..3, fill), 1);
    let counts: Vec<_> = list.chunks.iter().map(Chunk::count).collect();
    assert_eq!(counts, [3, 1, 1]);
}

#[test]
fn a_drained_chunk_is_merged_once_it_comes_to_lie_inside() {
    let fill = Fill::default();
    let mut list = List::new();
    for len in [3000, 100, 6000, 6000] {
        list.push(End::Back, &vec![b'x'; len], fill);
    }
    assert_eq!(list.pop(End::Front, text).map(|text| text.len()), Some(3000));
    let counts: Vec<_> = list.chunks.iter().map(Chunk::count).collect();
    assert_eq!(counts, [1, 1, 1]);
    list.push(End::Front, &[b'x'; 8100], fill);
    let counts: Vec<_> = list.chunks.iter().map(Chunk::count).collect();
    assert_eq!(counts, [1, 2, 1]);
    check(&list, fill);
}

#[test]
fn a_list_that_is_emptied_holds_no_chunk() {
    let fill = Fill::default();
    let numbers: Vec<_> = (0..20_000u32).map(|number| number.to_string().into_bytes()).collect();
    for end in ENDS {
        let mut list = filled(&numbers, fill);
        while list.pop(end, |_| ()).is_some() {}
        assert!(list.is_empty());
        assert_eq!(list.held, 0);
        assert!(list.memory_bytes() <= PLACES_KEPT * size_of::<Chunk>());
    }
    let mut list = filled(&numbers, fill);
    list.trim(5..5, fill);
    assert_eq!((list.len(), list.held), (0, 0));
}

#[test]
fn a_queue_does_not_grow_while_it_is_as_long() {
    let fill = Fill::default();
    let mut list = List::new();
    let mut most = 0;
    for number in 0..50_000u32 {
        list.push(End::Back, &number.to_be_bytes(), fill);
        if number >= 1000 {
            let first = (number - 1000).to_be_bytes().to_vec();
            assert_eq!(list.pop(End::Front, text), Some(first));
        }
        most = most.max(list.memory_bytes());
    }
    check(&list, fill);
    assert!(most < 20_000, "{most}");
}

#[test]
fn a_list_filled_in_its_middle_stays_dense() {
    let fill = Fill::default();
    let mut list = List::new();
    for number in 0..20_000u32 {
        assert!(list.insert(list.len() / 2, format!("{number:016x}").as_bytes(), fill));
    }
    check(&list, fill);
    let elements = 20_000 * 18;
    assert!(list.chunks.len() <= 2 * elements / fill.bytes() + 3, "{}", list.chunks.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_list_does_what_a_vector_does(
        fill in any_fill(),
        steps in prop::collection::vec(any_step(), 0..150),
    ) {
        let (mut list, mut model) = (List::new(), Model::new());
        for step in steps {
            run(step, &mut list, &mut model, fill);
            prop_assert_eq!(list.len(), model.len());
            check(&list, fill);
        }
        prop_assert_eq!(texts(&list), Vec::from(model.clone()));
        prop_assert_eq!(texts(&list.clone()), Vec::from(model.clone()));
        prop_assert!(list.clone().memory_bytes() <= list.memory_bytes());
        for index in 0..=model.len() {
            prop_assert_eq!(list.get(index).map(text), model.get(index).cloned());
        }
    }

    #[test]
    fn a_list_outlives_a_change_of_its_fill(
        steps in prop::collection::vec((any_fill(), any_step()), 0..100),
    ) {
        let (mut list, mut model) = (List::new(), Model::new());
        for (fill, step) in steps {
            run(step, &mut list, &mut model, fill);
        }
        prop_assert_eq!(texts(&list), Vec::from(model));
        prop_assert!(list.chunks.iter().all(|chunk| chunk.count() > 0));
        prop_assert_eq!(list.held, list.chunks.iter().map(Chunk::capacity).sum::<usize>());
    }

    #[test]
    fn a_walk_from_both_ends_meets_every_element_once(
        fill in any_fill(),
        model in prop::collection::vec(any_text(), 0..60),
        start in 0usize..70,
        count in 0usize..70,
        turns in prop::collection::vec(any::<bool>(), 70),
    ) {
        let list = filled(&model, fill);
        let end = (start + count).min(model.len());
        let mut want = model.get(start..end).unwrap_or_default().iter();
        let mut walk = list.range(start..start + count);
        for is_front in turns {
            prop_assert_eq!(walk.len(), want.len());
            let (got, want) = match is_front {
                true => (walk.next(), want.next()),
                false => (walk.next_back(), want.next_back()),
            };
            prop_assert_eq!(got.map(text), want.cloned());
        }
    }
}
