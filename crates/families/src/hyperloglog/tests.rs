//! The family's rules together: estimates against a set, and bytes that nobody has checked.

use std::collections::HashSet;

use proptest::prelude::*;

use super::estimate::estimate;
use super::hash::Mark;
use super::registers::Registers;
use super::sketch::Sketch;
use super::{dense, header};

/// What the server has where it is not told otherwise.
const SPARSE_BYTES_MAX: usize = 3000;

fn sketch_of<'a>(elements: impl IntoIterator<Item = &'a u64>, sparse_bytes_max: usize) -> Sketch {
    let mut sketch = Sketch::new();
    for element in elements {
        let mark = Mark::of(element.to_string().as_bytes());
        sketch.raise(mark, sparse_bytes_max).expect("it is whole");
    }
    sketch
}

fn count(sketch: &Sketch) -> u64 {
    estimate(&sketch.registers().expect("it is whole").histogram())
}

/// Six standard errors, and one element for two that meet in one register.
fn is_near(count: u64, truth: usize) -> bool {
    count.abs_diff(truth as u64) as f64 <= 1.0 + 6.0 * 0.0081 * truth as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_estimate_is_near_the_size_of_the_set(
        start in any::<u32>(),
        len in prop_oneof![0..100_u64, 0..40_000_u64],
        twice in 1..3_u64,
    ) {
        let elements: Vec<u64> = (0..len * twice).map(|n| u64::from(start) + n % len).collect();
        let truth = elements.iter().collect::<HashSet<_>>().len();
        let sketch = sketch_of(&elements, SPARSE_BYTES_MAX);
        prop_assert!(is_near(count(&sketch), truth), "{} of {truth}", count(&sketch));
        let dense = sketch_of(&elements, 0);
        prop_assert_eq!(count(&sketch), count(&dense));
    }

    #[test]
    fn a_merge_counts_the_union(
        one in prop::collection::vec(0..3_000_u64, 0..3_000),
        other in prop::collection::vec(0..3_000_u64, 0..500),
    ) {
        let [a, b] = [&one, &other].map(|list| sketch_of(list, SPARSE_BYTES_MAX));
        let mut merged: Registers = a.registers().expect("it is whole");
        merged.merge(&b.registers().expect("it is whole"));
        let all = sketch_of(one.iter().chain(&other), SPARSE_BYTES_MAX);
        prop_assert_eq!(estimate(&merged.histogram()), count(&all));
    }

    #[test]
    fn any_bytes_behind_a_header_are_refused_or_taken(
        registers in prop::collection::vec(any::<u8>(), 0..300),
        is_dense in any::<bool>(),
        element in any::<u64>(),
    ) {
        let encoding = if is_dense { header::Encoding::Dense } else { header::Encoding::Sparse };
        let mut text = header::new(encoding).to_vec();
        text.extend_from_slice(&registers);
        if is_dense {
            text.resize(header::BYTES + dense::BYTES, registers.first().copied().unwrap_or(255));
        }
        let mut sketch = Sketch::of(&text).expect("it has the form of one");
        let _ = sketch.registers().map(|registers| estimate(&registers.histogram()));
        for rank in [1, 32, 33, 51] {
            let index = Mark::of(&element.to_le_bytes()).index;
            let _ = sketch.raise(Mark { index, rank }, 200);
        }
        let _ = sketch.make_dense();
    }
}

#[test]
fn it_becomes_dense_where_the_sparse_encoding_ends() {
    let mut sketch = Sketch::new();
    let mut longest = 0;
    for number in 0_u64.. {
        let mark = Mark::of(number.to_string().as_bytes());
        sketch.raise(mark, SPARSE_BYTES_MAX).expect("it is whole");
        if sketch.bytes().len() == header::BYTES + dense::BYTES {
            break;
        }
        longest = sketch.bytes().len();
    }
    assert!((SPARSE_BYTES_MAX - 2..=SPARSE_BYTES_MAX).contains(&longest), "{longest}");
}

#[test]
fn a_rank_that_no_run_can_have_makes_it_dense() {
    let mut sketch = Sketch::new();
    assert_eq!(sketch.raise(Mark { index: 5, rank: 32 }, SPARSE_BYTES_MAX), Ok(true));
    assert!(sketch.bytes().len() < 30);
    assert_eq!(sketch.raise(Mark { index: 5, rank: 33 }, SPARSE_BYTES_MAX), Ok(true));
    assert_eq!(sketch.bytes().len(), header::BYTES + dense::BYTES);
    assert_eq!(sketch.raise(Mark { index: 5, rank: 33 }, SPARSE_BYTES_MAX), Ok(false));
}
