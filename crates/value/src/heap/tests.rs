//! The heap against a map of vectors.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

/// A record of `len` bytes that tells its length in its first four bytes.
fn record(len: usize, fill: u8) -> Vec<u8> {
    let mut record = vec![fill; len.max(4)];
    let len = record.len() as u32;
    record[..4].copy_from_slice(&len.to_be_bytes());
    record
}

fn len_of(record: &[u8]) -> usize {
    u32::from_be_bytes([record[0], record[1], record[2], record[3]]) as usize
}

#[derive(Default)]
struct Model {
    heap: Heap,
    records: HashMap<u32, Vec<u8>>,
    order: Vec<u32>,
}

impl Model {
    fn add(&mut self, new: Vec<u8>) {
        let handle = self.heap.alloc(new.len()).unwrap();
        self.heap.record_mut(handle)[..new.len()].copy_from_slice(&new);
        assert!(self.records.insert(handle, new).is_none(), "the slot was free");
        self.order.push(handle);
    }

    fn remove(&mut self, nth: usize) {
        let handle = self.order.swap_remove(nth);
        let old = self.records.remove(&handle).unwrap();
        if let Some(chunk) = self.heap.free(handle, old.len()) {
            let (records, order) = (&mut self.records, &mut self.order);
            self.heap.evacuate(chunk, len_of, |old, new, bytes| {
                let record = records.remove(&old).unwrap();
                assert_eq!(record, bytes);
                records.insert(new, record);
                *order.iter_mut().find(|handle| **handle == old).unwrap() = new;
            });
        }
    }

    fn check(&self) {
        for (&handle, record) in &self.records {
            assert_eq!(&self.heap.record(handle)[..record.len()], record);
        }
        let mut walk = self.heap.walk();
        let walked: Vec<u32> =
            std::iter::from_fn(|| walk.next(len_of)).map(|(handle, _)| handle).collect();
        let met: HashSet<u32> = walked.iter().copied().collect();
        assert_eq!(met, self.records.keys().copied().collect(), "a walk meets every record");
        assert_eq!(met.len(), walked.len(), "and each once");
        check_slots(&self.heap);
    }
}

/// Counts anew what the heap knows of its slots (invariants 2 to 4).
fn check_slots(heap: &Heap) {
    let mut free = HashSet::new();
    for (at, chunk) in heap.chunks.iter().enumerate() {
        let (mut offset, mut live) = (0, 0);
        while offset < chunk.bytes.len() {
            let (size, is_free) = measure(&chunk.bytes[offset..], len_of);
            match is_free {
                true => assert!(free.insert((size, handle(at, offset)))),
                false => live += size,
            }
            offset += size;
        }
        assert_eq!((offset, live), (chunk.bytes.len(), chunk.live));
    }
    for (units, &first) in heap.free.iter().enumerate() {
        let (mut before, mut here) = (NONE, first);
        while here != NONE {
            assert!(free.remove(&(units * UNIT, here)), "a free slot is in one list");
            let slot = heap.record(here);
            assert_eq!(link(&slot[4..]), before);
            (before, here) = (here, link(&slot[8..]));
        }
    }
    assert!(free.is_empty(), "every free slot is in a list");
    let chunk_bytes: usize = heap.chunks.iter().map(|chunk| chunk.bytes.capacity()).sum();
    let long_bytes: usize = heap.longs.iter().map(|record| record.len()).sum();
    assert_eq!((heap.chunk_bytes, heap.long_bytes), (chunk_bytes, long_bytes));
}

proptest! {
    #[test]
    fn a_heap_holds_what_was_put_in_it(
        steps in prop::collection::vec((0..4_u8, 4..200_usize, any::<u16>()), 1..600),
    ) {
        let mut model = Model::default();
        for (kind, len, chance) in steps {
            match kind {
                0 | 1 => model.add(record(len, chance as u8)),
                2 => model.add(record(if chance % 50 == 0 { 5000 } else { len % 16 }, 1)),
                _ if model.order.is_empty() => {}
                _ => model.remove(usize::from(chance) % model.order.len()),
            }
        }
        model.check();
        let copy = model.heap.clone();
        for (&handle, record) in &model.records {
            prop_assert_eq!(&copy.record(handle)[..record.len()], &record[..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Hundreds at once, so that chunks fill, become sparse and are emptied.
    #[test]
    fn a_heap_of_many_chunks_keeps_its_books(
        steps in prop::collection::vec(
            (1..40_usize, 0..1200_usize, 0..1500_usize, 1..97_usize),
            1..12,
        ),
    ) {
        let mut model = Model::default();
        for (units, added, removed, stride) in steps {
            (0..added).for_each(|n| model.add(record(units * 6 + n % 9, n as u8)));
            for n in 0..removed.min(model.order.len()) {
                model.remove(n * stride % model.order.len());
            }
            model.check();
        }
        let Model { heap, records, order } = model;
        let mut copy = Model { heap: heap.clone(), records, order };
        copy.check();
        copy.add(record(100, 1));
        copy.check();
        (0..copy.order.len()).for_each(|_| copy.remove(0));
        copy.check();
    }
}

#[test]
fn a_chunk_that_is_empty_before_the_next_is_opened_is_given_back() {
    let mut model = Model::default();
    for len in (12..240).step_by(4) {
        (0..CHUNK_BYTES / len).for_each(|n| model.add(record(len, n as u8)));
        while !model.order.is_empty() {
            model.remove(model.order.len() / 2);
        }
    }
    model.check();
    assert!(model.heap.bytes() < 4 * CHUNK_BYTES, "{}", model.heap.bytes());
}

#[test]
fn a_chunk_that_is_not_sparse_stays() {
    let mut model = Model::default();
    (0..10_000).for_each(|n| model.add(record(20, n as u8)));
    for chunk in 0..9 {
        model.heap.evacuate(chunk, len_of, |_, _, _| panic!("nothing moves"));
    }
    model.check();
}

#[test]
fn memory_comes_back_as_records_go() {
    let mut model = Model::default();
    (0..60_000).for_each(|n| model.add(record(20 + n % 60, n as u8)));
    let full = model.heap.bytes();
    assert!(full < 60_000 * 54, "{full}");
    while model.order.len() > 600 {
        model.remove(model.order.len() * 7 / 11);
    }
    model.check();
    assert!(model.heap.bytes() < full / 8, "{} of {full}", model.heap.bytes());
}

#[test]
fn a_small_heap_is_small() {
    let mut model = Model::default();
    (0..20).for_each(|n| model.add(record(20, n)));
    assert!(model.heap.bytes() < 800, "{}", model.heap.bytes());
}
