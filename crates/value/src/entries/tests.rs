//! What elements are, checked against vectors of texts and against bytes that are none.

use proptest::prelude::*;
use smallvec::SmallVec;

use super::*;

fn packed(texts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    texts.iter().for_each(|text| encode(&mut bytes, text));
    bytes
}

fn text(element: Element<'_>) -> Vec<u8> {
    element.to_text(&mut Digits::new()).to_vec()
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..8),
        2 => "[0-9-]{0,4}".prop_map(String::into_bytes),
        2 => any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
        1 => any::<i16>().prop_map(|integer| integer.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 60..200),
        1 => (4090usize..4100).prop_map(|len| vec![b'x'; len]),
    ]
}

#[test]
fn elements_are_laid_out_as_drawn() {
    let texts = ["a", "127", "-1", "300000"].map(|text| text.as_bytes().to_vec());
    let elements =
        [&[0x81, b'a', 2][..], &[0x7f, 1], &[0xdf, 0xff, 2], &[0xf2, 0xe0, 0x93, 0x04, 4]];
    assert_eq!(packed(&texts), elements.concat());
}

#[test]
fn every_width_of_integer_comes_back() {
    let edges = [0i64, 127, 128, 4095, 4096, 32_767, 32_768, 8_388_607, 8_388_608];
    let more = [i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::MAX];
    for edge in edges.into_iter().chain(more) {
        for integer in [edge, -edge, -edge - 1] {
            let mut bytes: SmallVec<[u8; 16]> = SmallVec::new();
            encode_int(&mut bytes, integer);
            let read = Entries::new(&bytes).next(0);
            assert_eq!(read, Some((Element::Int(integer), bytes.len())));
            assert_eq!(bytes.to_vec(), packed(&[integer.to_string().into_bytes()]));
        }
    }
}

#[test]
fn every_length_of_string_comes_back() {
    for len in [0, 1, 63, 64, 124, 125, 126, 4095, 4096, 16_377, 16_378, 16_379, 2_097_147] {
        let long = vec![b'x'; len];
        let bytes = packed(std::slice::from_ref(&long));
        assert_eq!(bytes.len(), encoded_len(&long));
        assert_eq!(Entries::new(&bytes).next(0), Some((Element::Bytes(&long), bytes.len())));
        assert_eq!(Entries::new(&bytes).before(bytes.len()), Some((Element::Bytes(&long), 0)));
    }
}

#[test]
fn an_integer_is_equal_to_its_digits_only() {
    assert_eq!(Element::Int(7), *b"7".as_slice());
    assert_ne!(Element::Int(7), *b"07".as_slice());
    assert_ne!(Element::Int(7), *b"8".as_slice());
    assert_eq!(Element::of(b"-12"), Element::Int(-12));
    assert_eq!(Element::of(b"-0"), Element::Bytes(b"-0"));
    assert_eq!(Element::Int(-120).text_len(), 4);
}

#[test]
fn a_value_is_not_found_as_a_field() {
    let bytes = packed(&["field", "value", "value", "field"].map(|text| text.as_bytes().to_vec()));
    let entries = Entries::new(&bytes);
    assert_eq!(entries.find(b"value", 2), Some(14..21));
    assert_eq!(entries.find(b"value", 1), Some(7..14));
    assert_eq!(entries.find(b"field", 2), Some(0..7));
    assert_eq!(entries.find(b"fielt", 2), None);
}

#[test]
fn a_back_length_that_lies_ends_the_walk() {
    let bytes = [0x81, b'a', 2, 0x81, b'b', 9];
    let entries = Entries::new(&bytes);
    assert_eq!(entries.before(6), None);
    assert_eq!(entries.before(3), Some((Element::Bytes(b"a"), 0)));
    // One that leads to the start of another element, which ends elsewhere.
    let bytes = [0x81, b'a', 2, 0x81, b'b', 5];
    assert_eq!(Entries::new(&bytes).before(6), None);
    assert_eq!(Entries::new(&[0]).before(1), None);
}

proptest! {
    #[test]
    fn elements_come_back_in_both_directions(
        texts in prop::collection::vec(any_text(), 0..40),
    ) {
        let bytes = packed(&texts);
        let entries = Entries::new(&bytes);
        prop_assert_eq!(entries.iter().map(text).collect::<Vec<_>>(), texts.clone());
        let backwards: Vec<_> = entries.iter().rev().map(text).collect();
        prop_assert_eq!(backwards, texts.iter().rev().cloned().collect::<Vec<_>>());
        prop_assert_eq!(entries.count(), texts.len());
        prop_assert_eq!(bytes.len(), texts.iter().map(|text| encoded_len(text)).sum::<usize>());
        for (element, text) in entries.iter().zip(&texts) {
            prop_assert!(element == *text.as_slice());
            prop_assert_eq!(element, Element::of(text));
            prop_assert_eq!(element.text_len(), text.len());
        }
    }

    #[test]
    fn a_walk_from_both_ends_meets_every_element_once(
        texts in prop::collection::vec(any_text(), 0..20),
        turns in prop::collection::vec(any::<bool>(), 30),
    ) {
        let bytes = packed(&texts);
        let mut walk = Entries::new(&bytes).iter();
        let mut left = texts.iter();
        for is_front in turns {
            let (got, want) = match is_front {
                true => (walk.next(), left.next()),
                false => (walk.next_back(), left.next_back()),
            };
            prop_assert_eq!(got.map(text), want.cloned());
        }
    }

    #[test]
    fn an_element_is_where_its_index_says(
        texts in prop::collection::vec(any_text(), 0..20),
        index in 0usize..25,
    ) {
        let bytes = packed(&texts);
        let entries = Entries::new(&bytes);
        let whole = |found: Option<(Element<'_>, Range<usize>)>| {
            found.map(|(element, range)| (text(element), bytes[range].to_vec()))
        };
        let want = |text: Option<&Vec<u8>>| {
            text.map(|text| (text.clone(), packed(std::slice::from_ref(text))))
        };
        prop_assert_eq!(whole(entries.nth(index)), want(texts.get(index)));
        prop_assert_eq!(whole(entries.nth_back(index)), want(texts.iter().rev().nth(index)));
        prop_assert_eq!(entries.start_of(index).is_some(), index <= texts.len());
    }

    #[test]
    fn what_is_sought_is_found_where_it_stands_first(
        texts in prop::collection::vec(any_text(), 0..20),
        other in any_text(),
        pick in any::<prop::sample::Index>(),
        step in 1usize..4,
    ) {
        let bytes = packed(&texts);
        let mut sought = texts.clone();
        sought.push(other);
        let sought = pick.get(&sought);
        let place = texts.iter().step_by(step).position(|text| text == sought);
        let range = place.map(|place| {
            let start = packed(&texts[..place * step]).len();
            start..start + encoded_len(sought)
        });
        prop_assert_eq!(Entries::new(&bytes).find(sought, step), range);
    }

    #[test]
    fn an_element_is_written_alike_everywhere(text in any_text()) {
        let encoded = Encoded::of(&text);
        let mut small: SmallVec<[u8; 8]> = SmallVec::new();
        encode(&mut small, &text);
        let mut place = vec![0xee; encoded.size() + 1];
        encoded.write_to(&mut place);
        prop_assert_eq!(place.pop(), Some(0xee));
        prop_assert_eq!(&place, &small.to_vec());
        prop_assert_eq!(place, encoded.parts().concat());
    }

    /// Invariant 2.
    #[test]
    fn bytes_that_are_no_elements_end_every_walk(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            prop::collection::vec(prop::sample::select(
                vec![0, 1, 2, 3, 0x7f, 0x80, 0x81, 0x82, 0xc0, 0xe0, 0xf0, 0xf1, 0xf4, 0xff]
            ), 0..60),
        ],
        index in 0usize..30,
        at in 0usize..70,
    ) {
        let entries = Entries::new(&bytes);
        let most = bytes.len() / 2;
        prop_assert!(entries.iter().count() <= most);
        prop_assert!(entries.iter().rev().count() <= most);
        prop_assert_eq!(entries.count(), entries.iter().count());
        prop_assert!(entries.next(at).is_none_or(|(_, end)| at < end && end <= bytes.len()));
        prop_assert!(entries.before(at).is_none_or(|(_, start)| start < at));
        let is_inside = |range: Range<usize>| range.start < range.end && range.end <= bytes.len();
        prop_assert!(entries.nth(index).is_none_or(|(_, range)| is_inside(range)));
        prop_assert!(entries.nth_back(index).is_none_or(|(_, range)| is_inside(range)));
        prop_assert!(entries.find(b"1", 1 + index % 3).is_none_or(is_inside));
        let mut walk = entries.iter();
        let both_ways = (0..bytes.len()).filter(|turn| {
            if turn % 2 == 0 { walk.next().is_some() } else { walk.next_back().is_some() }
        });
        prop_assert!(both_ways.count() <= most);
    }
}
