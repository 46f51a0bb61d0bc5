//! Every rule against its definition, bit by bit.

use proptest::prelude::*;

use super::*;

const OPERATIONS: [Operation; 8] = [
    Operation::And,
    Operation::Or,
    Operation::Xor,
    Operation::Not,
    Operation::Diff,
    Operation::Diff1,
    Operation::AndOr,
    Operation::One,
];

/// Texts where runs of equal bytes are likely, so that whole words are skipped.
fn texts(len_max: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(0x00_u8), 4 => Just(0xFF_u8), 1 => any::<u8>()];
    let runs = prop::collection::vec((byte, 1..30_usize), 0..8);
    runs.prop_map(move |runs| {
        let mut text: Vec<u8> =
            runs.into_iter().flat_map(|(byte, times)| vec![byte; times]).collect();
        text.truncate(len_max);
        text
    })
}

fn count_by_bit(text: &[u8], bits: Range<u64>) -> u64 {
    bits.filter(|&at| bit_at(text, at)).count() as u64
}

fn position_by_bit(text: &[u8], bit: bool, mut bits: Range<u64>) -> Option<u64> {
    bits.find(|&at| bit_at(text, at) == bit)
}

fn bit_by_definition(operation: Operation, sources: &[&[u8]], at: u64) -> bool {
    let first = bit_at(sources[0], at);
    let others = sources[1..].iter().filter(|source| bit_at(source, at)).count();
    let all = others + usize::from(first);
    match operation {
        Operation::And => all == sources.len(),
        Operation::Or => all > 0,
        Operation::Xor => all % 2 == 1,
        Operation::Not => !first,
        Operation::Diff => first && others == 0,
        Operation::Diff1 => !first && others > 0,
        Operation::AndOr => first && others > 0,
        Operation::One => all == 1,
    }
}

fn check_combination(operation: Operation, sources: &[&[u8]]) {
    let out = combine(operation, sources);
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    assert_eq!(out.len(), len);
    for at in 0..len as u64 * 8 {
        let expected = bit_by_definition(operation, sources, at);
        assert_eq!(bit_at(&out, at), expected, "{operation:?} {sources:?} at {at}");
    }
}

#[test]
fn the_first_bit_is_the_most_significant_one() {
    assert!(bit_at(&[0x80], 0) && !bit_at(&[0x80], 7) && bit_at(&[0x01], 7));
    assert!(!bit_at(&[0xFF], 8) && !bit_at(&[], u64::MAX), "behind the end");
}

#[test]
fn every_range_of_two_bytes_is_counted_and_searched() {
    for text in [[0x00, 0x00], [0xFF, 0xFF], [0x00, 0xFF], [0xA5, 0x3C], [0xFE, 0x7F]] {
        for start in 0..=16 {
            for end in start..=16 {
                assert_eq!(count_ones(&text, start..end), count_by_bit(&text, start..end));
                for bit in [false, true] {
                    let found = position(&text, bit, start..end);
                    assert_eq!(found, position_by_bit(&text, bit, start..end));
                }
            }
        }
    }
}

#[test]
fn every_field_of_ten_bytes_is_loaded_and_stored() {
    let text: Vec<u8> = (1..=10_u8).map(|n| n.wrapping_mul(0x9D)).collect();
    for at in 0..24 {
        for width in 1..=64_u32.min(80 - at as u32) {
            let bits = (at..at + u64::from(width)).map(|at| u64::from(bit_at(&text, at)));
            assert_eq!(load(&text, at, width), bits.fold(0, |sum, bit| sum << 1 | bit));
            for number in [0, u64::MAX, 0x5A5A_1234_8765_F00F] {
                let mut edited = text.clone();
                store(&mut edited, at, width, number);
                assert_eq!(load(&edited, at, width), number & (u64::MAX >> (64 - width)));
                let outside = (0..80).filter(|bit| !(at..at + u64::from(width)).contains(bit));
                outside.for_each(|bit| assert_eq!(bit_at(&edited, bit), bit_at(&text, bit)));
            }
        }
    }
}

#[test]
fn fields_behind_the_end_are_zero() {
    assert_eq!(load(&[0xFF], 4, 8), 0xF0);
    assert_eq!(load(&[0xFF], 8, 64), 0);
    assert_eq!(load(&[], u64::MAX - 64, 64), 0);
}

#[test]
fn all_small_sources_are_combined_as_defined() {
    let texts: [&[u8]; 4] = [&[], &[0b0011_0101], &[0b0101_1100], &[0b1111_0000, 0b1010_1010]];
    for operation in OPERATIONS {
        for one in texts {
            check_combination(operation, &[one]);
            if operation == Operation::Not {
                continue;
            }
            for two in texts {
                check_combination(operation, &[one, two]);
                texts.iter().for_each(|three| check_combination(operation, &[one, two, three]));
            }
        }
    }
}

proptest! {
    #[test]
    fn long_ranges_are_counted_and_searched_as_bit_by_bit(
        text in texts(160),
        bounds in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let len = text.len() * 8 + 1;
        let (one, other) = (bounds.0.index(len) as u64, bounds.1.index(len) as u64);
        let bits = one.min(other)..one.max(other);
        prop_assert_eq!(count_ones(&text, bits.clone()), count_by_bit(&text, bits.clone()));
        for bit in [false, true] {
            let expected = position_by_bit(&text, bit, bits.clone());
            prop_assert_eq!(position(&text, bit, bits.clone()), expected);
        }
    }

    #[test]
    fn long_sources_are_combined_as_bit_by_bit(
        sources in prop::collection::vec(texts(100), 1..5),
        nth in 0..OPERATIONS.len(),
    ) {
        let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
        let sources = if OPERATIONS[nth] == Operation::Not { &sources[..1] } else { &sources };
        check_combination(OPERATIONS[nth], sources);
    }

    #[test]
    fn a_bit_that_is_put_is_found(
        mut text in prop::collection::vec(any::<u8>(), 1..9),
        at: prop::sample::Index,
        bit: bool,
    ) {
        let at = at.index(text.len() * 8) as u64;
        let old = text.clone();
        let changed = put_bit(&mut text, at, bit);
        prop_assert_eq!(bit_at(&text, at), bit);
        prop_assert_eq!(changed, bit_at(&old, at) != bit);
        let others = (0..text.len() as u64 * 8).filter(|&other| other != at);
        others.for_each(|other| assert_eq!(bit_at(&text, other), bit_at(&old, other)));
    }
}
