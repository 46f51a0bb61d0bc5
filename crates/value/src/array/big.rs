//! A large array: its slices in a tree, by the upper bits of the index.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::slice::{SLICE_BITS, SLICE_SLOTS, Slice};
use super::{Cursor, Facts, Shape};
use crate::entries::Element;

/// What a slice costs in the tree beside what it owns: its number, itself, and a share of the
/// node's room that is not used.
const ENTRY_BYTES: usize = (size_of::<u64>() + size_of::<Slice>()) * 3 / 2;

/// See the module's page.
#[derive(Default)]
pub struct Array {
    slices: BTreeMap<u64, Slice>,
    count: u64,
    /// What slices have on the heap.
    held: usize,
    /// Where the next value is inserted.
    pub cursor: Cursor,
}

impl Clone for Array {
    /// An array with the same values, whose slices have no room to spare.
    fn clone(&self) -> Array {
        let slices = self.slices.clone();
        Array { held: held_by(&slices), slices, ..*self }
    }
}

fn held_by(slices: &BTreeMap<u64, Slice>) -> usize {
    slices.values().map(Slice::bytes).sum()
}

/// The number of the slice that holds an index, and the offset within.
#[inline]
fn split(index: u64) -> (u64, usize) {
    (index >> SLICE_BITS, index as usize & (SLICE_SLOTS - 1))
}

/// The part of a slice that lies between two indexes, both included.
fn part(number: u64, low: u64, high: u64) -> (usize, usize) {
    let (first, from) = split(low);
    let (last, to) = split(high);
    (if number == first { from } else { 0 }, if number == last { to } else { SLICE_SLOTS - 1 })
}

impl Array {
    /// An array without values.
    #[must_use]
    pub fn new() -> Array {
        Array::default()
    }

    /// How many slots are used.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One more than the greatest used index; 0 if none is used.
    #[must_use]
    pub fn len(&self) -> u64 {
        let last = self.slices.last_key_value();
        last.map_or(0, |(number, slice)| (number << SLICE_BITS) + slice.last() as u64 + 1)
    }

    /// The value at an index.
    #[must_use]
    #[inline]
    pub fn get(&self, index: u64) -> Option<Element<'_>> {
        let (number, offset) = split(index);
        self.slices.get(&number)?.get(offset)
    }

    /// Puts a value into a slot; tells whether the slot was not used before.
    #[inline]
    pub fn set(&mut self, index: u64, text: &[u8]) -> bool {
        let (number, offset) = split(index);
        let slice = self.slices.entry(number).or_default();
        let before = slice.bytes();
        let is_new = slice.set(offset, text);
        self.held = self.held - before + slice.bytes();
        self.count += u64::from(is_new);
        is_new
    }

    /// Empties a slot; tells whether it was used.
    #[inline]
    pub fn remove(&mut self, index: u64) -> bool {
        self.remove_range(index, index) > 0
    }

    /// Empties the slots between two indexes, both included; tells how many were used.
    pub fn remove_range(&mut self, low: u64, high: u64) -> u64 {
        if low > high {
            return 0;
        }
        let (mut number, (last, _)) = (split(low).0, split(high));
        let mut removed = 0;
        while let Some(here) = self.slices.range(number..=last).next().map(|(here, _)| *here) {
            removed += self.remove_part(here, part(here, low, high));
            let Some(next) = here.checked_add(1).filter(|&next| next <= last) else { break };
            number = next;
        }
        self.count -= removed;
        removed
    }

    /// Empties a part of a slice, which goes when nothing is left in it.
    fn remove_part(&mut self, number: u64, (low, high): (usize, usize)) -> u64 {
        let Entry::Occupied(mut entry) = self.slices.entry(number) else { return 0 };
        let slice = entry.get_mut();
        let (before, used) = (slice.bytes(), slice.used());
        if slice.used_within(low, high) == used {
            entry.remove();
            self.held -= before;
            return used as u64;
        }
        let removed = if low == high {
            usize::from(slice.remove(low))
        } else {
            slice.remove_range(low, high)
        };
        self.held = self.held - before + slice.bytes();
        removed as u64
    }

    /// The used slots between two indexes, both included, in order, from either end.
    pub fn range(
        &self,
        low: u64,
        high: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, Element<'_>)> {
        // A tree cannot be asked for a range that is none.
        let is_range = low <= high;
        let (low, high) = if is_range { (low, high) } else { (0, 0) };
        let slices = self.slices.range(split(low).0..=split(high).0);
        slices.filter(move |_| is_range).flat_map(move |(&number, slice)| {
            let (from, to) = part(number, low, high);
            let start = number << SLICE_BITS;
            slice.range(from, to).map(move |(offset, element)| (start + offset as u64, element))
        })
    }

    /// How many slots between two indexes, both included, are used.
    #[must_use]
    pub fn count_within(&self, low: u64, high: u64) -> u64 {
        if low > high {
            return 0;
        }
        if low == 0 && high >= self.len() {
            return self.count;
        }
        let slices = self.slices.range(split(low).0..=split(high).0);
        let counts = slices.map(|(&number, slice)| {
            let (from, to) = part(number, low, high);
            slice.used_within(from, to) as u64
        });
        counts.sum()
    }

    /// What there is to tell of how it lies, but for what takes a walk.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts { slices: self.slices.len() as u64, directory: self.slices.len() as u64 }
    }

    /// What there is to tell of its slices: a walk over them.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let mut shape = Shape::default();
        for slice in self.slices.values() {
            if slice.is_dense() {
                shape.dense += 1;
                shape.dense_room += slice.room() as u64;
                shape.dense_used += slice.used() as u64;
            } else {
                shape.sparse += 1;
                shape.sparse_room += slice.room() as u64;
            }
        }
        shape
    }

    /// Whether it knows what its slices hold and that each of them holds something.
    #[cfg(test)]
    pub(super) fn is_counted(&self) -> bool {
        self.held == held_by(&self.slices) && self.slices.values().all(|slice| slice.used() > 0)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.held + self.slices.len() * ENTRY_BYTES
    }
}
