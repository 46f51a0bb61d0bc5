//! A small array: packed elements, which lie in the record of its key.
//!
//! # Layout
//!
//! ```text
//! next index | ring size | index value | index value ...     elements, indexes ascending
//! ```
//!
//! Indexes and the two numbers before them are integers of 64 bits without a sign, written as if
//! they had one.

use std::ops::Range;

use smallvec::SmallVec;

use super::Cursor;
use crate::entries::{Element, Encoded, Entries, Iter, encode_int};

/// The bytes of a small array.
pub type Bytes = SmallVec<[u8; 256]>;

/// A small array as it lies.
#[derive(Clone, Copy)]
pub struct Small<'a> {
    entries: Entries<'a>,
    /// Where the first index lies.
    start: usize,
    cursor: Cursor,
}

/// Where the slot of an index is, or would be.
enum Place {
    /// The slot and, within, its value.
    Used { slot: Range<usize>, value: usize },
    /// Where it would be put.
    Unused(usize),
}

/// The number that an element is.
fn number(element: Element<'_>) -> u64 {
    match element {
        Element::Int(number) => number.cast_unsigned(),
        Element::Bytes(_) => 0,
    }
}

/// The bytes of a small array without values.
#[must_use]
pub fn empty(cursor: Cursor) -> Bytes {
    let mut bytes = Bytes::new();
    put_cursor(cursor, &mut bytes);
    bytes
}

fn put_cursor(cursor: Cursor, bytes: &mut Bytes) {
    encode_int(bytes, cursor.next.cast_signed());
    encode_int(bytes, cursor.ring.cast_signed());
}

impl<'a> Small<'a> {
    /// The array that these bytes are.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Small<'a> {
        let entries = Entries::new(bytes);
        let (next, ring_at) = entries.next(0).unwrap_or((Element::Int(0), bytes.len()));
        let (ring, start) = entries.next(ring_at).unwrap_or((Element::Int(0), bytes.len()));
        Small { entries, start, cursor: Cursor { next: number(next), ring: number(ring) } }
    }

    /// Where the next value is inserted.
    #[must_use]
    pub fn cursor(self) -> Cursor {
        self.cursor
    }

    /// The used slots in order, from either end.
    #[must_use]
    pub fn iter(self) -> Slots<'a> {
        Slots(Entries::new(&self.entries.as_bytes()[self.start..]).iter())
    }

    /// The value at an index.
    #[must_use]
    pub fn get(self, index: u64) -> Option<Element<'a>> {
        match self.place(index) {
            Place::Used { value, .. } => Some(self.entries.next(value)?.0),
            Place::Unused(_) => None,
        }
    }

    fn place(self, index: u64) -> Place {
        let mut at = self.start;
        while let Some((element, value)) = self.entries.next(at) {
            let here = number(element);
            if here > index {
                break;
            }
            let Some((_, end)) = self.entries.next(value) else { break };
            if here == index {
                return Place::Used { slot: at..end, value };
            }
            at = end;
        }
        Place::Unused(at)
    }

    /// Where the slots between two indexes, both included, lie.
    pub(super) fn slots_within(self, low: u64, high: u64) -> Range<usize> {
        let start = match self.place(low) {
            Place::Used { slot, .. } => slot.start,
            Place::Unused(at) => at,
        };
        let end = match self.place(high) {
            Place::Used { slot, .. } => slot.end,
            Place::Unused(at) => at,
        };
        start..end.max(start)
    }
}

/// Puts a value into a slot; tells whether the slot was not used before.
pub fn set(bytes: &mut Bytes, index: u64, text: &[u8]) -> bool {
    let place = Small::new(bytes).place(index);
    let value = Encoded::of(text);
    let mut patch: SmallVec<[u8; 64]> = SmallVec::new();
    let (part, is_new) = match place {
        Place::Used { slot, value } => (value..slot.end, false),
        Place::Unused(at) => {
            encode_int(&mut patch, index.cast_signed());
            (at..at, true)
        }
    };
    value.append_to(&mut patch);
    splice(bytes, part, &patch);
    is_new
}

/// Empties the slots between two indexes, both included; tells how many were used.
pub fn remove_range(bytes: &mut Bytes, low: u64, high: u64) -> u64 {
    let part = Small::new(bytes).slots_within(low, high);
    let removed = Slots(Entries::new(&bytes[part.clone()]).iter()).count();
    bytes.drain(part);
    removed as u64
}

/// Says where the next value is inserted.
pub fn set_cursor(bytes: &mut Bytes, cursor: Cursor) {
    let start = Small::new(bytes).start;
    splice(bytes, 0..start, &empty(cursor));
}

/// Puts bytes in the place of others.
fn splice(bytes: &mut Bytes, part: Range<usize>, patch: &[u8]) {
    if part.len() == patch.len() {
        return bytes[part].copy_from_slice(patch);
    }
    bytes.drain(part.clone());
    bytes.insert_from_slice(part.start, patch);
}

/// The used slots of a small array, from either end.
#[derive(Clone)]
pub struct Slots<'a>(Iter<'a>);

impl<'a> Iterator for Slots<'a> {
    type Item = (u64, Element<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((number(self.0.next()?), self.0.next()?))
    }
}

impl DoubleEndedIterator for Slots<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let value = self.0.next_back()?;
        Some((number(self.0.next_back()?), value))
    }
}
