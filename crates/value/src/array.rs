//! An array: values in slots that are named by indexes of 64 bits, most of which are not used.
//!
//! # Layout
//!
//! ```text
//! small   packed elements in the record of the key, see `small`
//! large   tree of slices by index / 4096 | number of used slots | cursor
//! slice   words, for each offset or for used ones only, see `slice`
//! word    a small value, or where in the slice's texts a longer one lies, see `word`
//! ```
//!
//! What an array costs depends on its used slots alone, wherever they are: a slot costs 8 to 10
//! bytes beside a text that does not fit them where its neighbours are used, and a slice of its own
//! where none is.
//!
//! # Invariants
//!
//! 1. No slice is without a used slot.
//! 2. The greatest index is [`INDEX_MAX`], so that their number, and one behind the last, have 64
//!    bits.
//! 3. An array never becomes small again.
//!
//! # Complexity
//!
//! A slot is found in `O(log n)` of the slices, and within a slice at once or by bisection. A range
//! costs what is used in it.

mod big;
mod slice;
pub mod small;
#[cfg(test)]
mod tests;
mod texts;
mod word;

pub use big::Array;
pub use small::Small;

use crate::entries::{Digits, Element};

/// The greatest index.
pub const INDEX_MAX: u64 = u64::MAX - 1;

/// How many slots a slice has.
pub const SLICE_SLOTS: u64 = slice::SLICE_SLOTS as u64;

/// A small array has no more used slots: it is walked over to find one.
pub const SMALL_COUNT_MAX: usize = 64;

/// Where values are inserted that are given no index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The index of the next one. One more than [`INDEX_MAX`]: there is none.
    pub next: u64,
    /// The size of the ring that the array was last used as; 0 if it never was.
    pub ring: u64,
}

/// How an array lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Slices with used slots.
    pub slices: u64,
    /// Entries of what finds them.
    pub directory: u64,
}

/// How the slices of an array lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Dense slices.
    pub dense: u64,
    /// The slots that they have room for.
    pub dense_room: u64,
    /// Their used slots.
    pub dense_used: u64,
    /// Sparse slices.
    pub sparse: u64,
    /// The slots that they have room for.
    pub sparse_room: u64,
}

/// An array, small or large, to be read.
#[derive(Clone, Copy)]
pub enum ArrayRef<'a> {
    /// A small one.
    Small(Small<'a>),
    /// A large one.
    Big(&'a Array),
}

/// Used slots of either.
enum Slots<S, B> {
    Small(S),
    Big(B),
}

impl<T, S: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for Slots<S, B> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match self {
            Slots::Small(slots) => slots.next(),
            Slots::Big(slots) => slots.next(),
        }
    }
}

impl<T, S, B> DoubleEndedIterator for Slots<S, B>
where
    S: DoubleEndedIterator<Item = T>,
    B: DoubleEndedIterator<Item = T>,
{
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        match self {
            Slots::Small(slots) => slots.next_back(),
            Slots::Big(slots) => slots.next_back(),
        }
    }
}

impl<'a> ArrayRef<'a> {
    /// Where the next value is inserted.
    #[must_use]
    pub fn cursor(self) -> Cursor {
        match self {
            ArrayRef::Small(small) => small.cursor(),
            ArrayRef::Big(array) => array.cursor,
        }
    }

    /// How many slots are used.
    #[must_use]
    pub fn count(self) -> u64 {
        match self {
            ArrayRef::Small(small) => small.iter().count() as u64,
            ArrayRef::Big(array) => array.count(),
        }
    }

    /// Whether none is, which is so of no array that a key holds.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// One more than the greatest used index.
    #[must_use]
    pub fn len(self) -> u64 {
        match self {
            ArrayRef::Small(small) => small.iter().next_back().map_or(0, |(index, _)| index + 1),
            ArrayRef::Big(array) => array.len(),
        }
    }

    /// The value at an index.
    #[must_use]
    #[inline]
    pub fn get(self, index: u64) -> Option<Element<'a>> {
        match self {
            ArrayRef::Small(small) => small.get(index),
            ArrayRef::Big(array) => array.get(index),
        }
    }

    /// The used slots between two indexes, both included, in order, from either end.
    #[inline]
    pub fn range(
        self,
        low: u64,
        high: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, Element<'a>)> + use<'a> {
        match self {
            ArrayRef::Small(small) => {
                let within = move |&(index, _): &(u64, Element<'_>)| low <= index && index <= high;
                Slots::Small(small.iter().filter(within))
            }
            ArrayRef::Big(array) => Slots::Big(array.range(low, high)),
        }
    }

    /// How many slots between two indexes, both included, are used.
    #[must_use]
    pub fn count_within(self, low: u64, high: u64) -> u64 {
        match self {
            ArrayRef::Small(_) => self.range(low, high).count() as u64,
            ArrayRef::Big(array) => array.count_within(low, high),
        }
    }

    /// How it lies.
    #[must_use]
    pub fn facts(self) -> Facts {
        match self {
            ArrayRef::Small(_) => Facts { slices: self.shape().sparse, directory: 0 },
            ArrayRef::Big(array) => array.facts(),
        }
    }

    /// How its slices lie: a walk over them. Those of a small array are no more than numbers, and
    /// told as sparse.
    #[must_use]
    pub fn shape(self) -> Shape {
        let small = match self {
            ArrayRef::Small(small) => small,
            ArrayRef::Big(array) => return array.shape(),
        };
        let mut shape = Shape::default();
        let mut last = None;
        for (index, _) in small.iter() {
            let slice = Some(index / SLICE_SLOTS);
            shape.sparse += u64::from(slice != last);
            shape.sparse_room += 1;
            last = slice;
        }
        shape
    }

    /// The indexes of the `count` slots before the cursor, those that were inserted last behind
    /// the others: two runs, as the walk back goes on at the end when it has passed index 0. A
    /// cursor that is at 0 or beyond the end stands at the end.
    #[must_use]
    pub fn before_cursor(self, count: u64) -> [Run; 2] {
        let len = self.len();
        let next = self.cursor().next;
        let end = if next == 0 { len } else { next.min(len) };
        let near = count.min(end);
        let far = (count - near).min(len - end);
        [Run { start: len - far, len: far }, Run { start: end - near, len: near }]
    }

    /// The values that were inserted last, the oldest first, up to `most` and back to the first
    /// slot that is not used.
    #[must_use]
    pub fn recent(self, most: u64) -> Vec<Box<[u8]>> {
        let mut texts = Vec::new();
        let runs = self.before_cursor(most.min(self.count()));
        'walk: for run in runs.into_iter().rev() {
            let Some(last) = run.last() else { continue };
            let mut expected = last;
            for (index, element) in self.range(run.start, last).rev() {
                if index != expected {
                    break 'walk;
                }
                texts.push(element.to_text(&mut Digits::new()).into());
                expected = expected.wrapping_sub(1);
            }
            if expected != run.start.wrapping_sub(1) {
                break;
            }
        }
        texts.reverse();
        texts
    }
}

/// Indexes one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first one.
    pub start: u64,
    /// How many there are.
    pub len: u64,
}

impl Run {
    /// The last one; `None` if there are none.
    #[must_use]
    pub fn last(self) -> Option<u64> {
        Some(self.start + self.len.checked_sub(1)?)
    }
}

/// An array to be changed that no key holds yet, or that is to be put back under its key.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for as long as a command")]
pub enum Draft {
    /// A small one, and how many slots are used.
    Small(small::Bytes, usize),
    /// A large one.
    Big(Box<Array>),
}

impl Draft {
    /// An array without values.
    #[must_use]
    pub fn new(cursor: Cursor) -> Draft {
        Draft::Small(small::empty(cursor), 0)
    }

    /// A copy of a small array, which these bytes are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Draft {
        Draft::Small(bytes.into(), Small::new(bytes).iter().count())
    }

    /// It, to be read.
    #[must_use]
    pub fn read(&self) -> ArrayRef<'_> {
        match self {
            Draft::Small(bytes, _) => ArrayRef::Small(Small::new(bytes)),
            Draft::Big(array) => ArrayRef::Big(array),
        }
    }

    /// Puts a value into a slot; tells whether the slot was not used before. A small array whose
    /// bytes would be more than `bytes_max` becomes a large one.
    pub fn set(&mut self, index: u64, text: &[u8], bytes_max: usize) -> bool {
        if let Draft::Small(bytes, count) = self
            && (*count >= SMALL_COUNT_MAX || bytes.len() + text.len() + SLOT_BYTES_MAX > bytes_max)
        {
            *self = Draft::Big(Box::new(large(Small::new(bytes))));
        }
        match self {
            Draft::Small(bytes, count) => {
                let is_new = small::set(bytes, index, text);
                *count += usize::from(is_new);
                is_new
            }
            Draft::Big(array) => array.set(index, text),
        }
    }

    /// Says where the next value is inserted.
    pub fn set_cursor(&mut self, cursor: Cursor) {
        match self {
            Draft::Small(bytes, _) => small::set_cursor(bytes, cursor),
            Draft::Big(array) => array.cursor = cursor,
        }
    }
}

/// The most bytes that a slot of a small array, and a longer cursor, take beside the slot's text.
const SLOT_BYTES_MAX: usize = 10 + 10 + 18;

/// A large array of what is in a small one.
fn large(small: Small<'_>) -> Array {
    let mut array = Array::new();
    array.cursor = small.cursor();
    for (index, element) in small.iter() {
        array.set(index, element.to_text(&mut Digits::new()));
    }
    array
}
