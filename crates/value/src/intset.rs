//! Small sets of integers: sorted, all in one width, in a slice of bytes.
//!
//! The slice belongs to whoever keeps it, often as part of a record. So nothing here writes to
//! it: a change comes out as an [`Edit`], bytes to be put in the place of others.
//!
//! # Layout
//!
//! ```text
//! width u8: 2, 4 or 8 | integers, each in as many bytes, LE, ascending
//! ```
//!
//! # Invariants
//!
//! 1. Integers ascend, and none is there twice.
//! 2. The width is that of the widest integer since the set was new: it never shrinks.
//! 3. No bytes at all are an empty set. So is whatever begins with another width: nothing here
//!    panics, over any bytes.
//!
//! # Complexity
//!
//! [`IntSet::contains`] is `O(log n)`. What an insertion costs beyond that is the move of the
//! bytes behind it; one that widens writes the whole set anew.

use std::cmp::Ordering;
use std::iter::FusedIterator;
use std::ops::Range;

#[cfg(test)]
mod tests;

/// How many bytes of the slice are not integers.
const HEAD_BYTES: usize = 1;

/// A set of integers in a slice of bytes.
#[derive(Clone, Copy, Debug)]
pub struct IntSet<'a> {
    integers: &'a [u8],
    width: Width,
}

/// How many bytes each integer of a set takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Two = 2,
    Four = 4,
    Eight = 8,
}

/// What has to be written for a change of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The bytes of the range are replaced.
    Splice(Range<usize>, Patch),
    /// The whole set is replaced.
    Whole(Vec<u8>),
}

/// The few bytes of a splice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    bytes: [u8; 8],
    len: u8,
}

impl<'a> IntSet<'a> {
    /// The set that `bytes` hold.
    pub fn new(bytes: &'a [u8]) -> Self {
        match bytes.split_first() {
            Some((2, integers)) => Self { integers, width: Width::Two },
            Some((4, integers)) => Self { integers, width: Width::Four },
            Some((8, integers)) => Self { integers, width: Width::Eight },
            _ => Self { integers: &[], width: Width::Two },
        }
    }

    /// How many integers it holds.
    pub fn len(self) -> usize {
        self.integers.len() / self.width as usize
    }

    /// Whether it holds none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `integer` is in it.
    pub fn contains(self, integer: i64) -> bool {
        self.position(integer).is_ok()
    }

    /// The integer that has `index` smaller ones: with an index drawn at random, a random one.
    pub fn get(self, index: usize) -> Option<i64> {
        match self.width {
            Width::Two => get::<2>(self.integers, index),
            Width::Four => get::<4>(self.integers, index),
            Width::Eight => get::<8>(self.integers, index),
        }
    }

    /// The integers, ascending.
    pub fn iter(self) -> Iter<'a> {
        Iter { set: self, left: 0..self.len() }
    }

    /// What makes `integer` part of the set; nothing if it is.
    pub fn insert(self, integer: i64) -> Option<Edit> {
        let width = Width::of(integer);
        if self.is_empty() {
            return Some(Edit::Whole(image([integer], width)));
        }
        if width > self.width {
            return Some(Edit::Whole(self.widened(integer, width)));
        }
        let index = self.position(integer).err()?;
        let start = self.start_of(index);
        Some(Edit::Splice(start..start, Patch::new(integer, self.width)))
    }

    /// What takes `integer` out of the set; nothing if it is not in it.
    ///
    /// The last integer leaves a set that is empty, in bytes that are not.
    pub fn remove(self, integer: i64) -> Option<Edit> {
        let index = self.position(integer).ok()?;
        Some(Edit::Splice(self.start_of(index)..self.start_of(index + 1), Patch::EMPTY))
    }

    /// Where `integer` stands, or where it would.
    fn position(self, integer: i64) -> Result<usize, usize> {
        match self.width {
            Width::Two => position::<2>(self.integers, integer),
            Width::Four => position::<4>(self.integers, integer),
            Width::Eight => position::<8>(self.integers, integer),
        }
    }

    /// Where the integer of `index` starts in the whole slice.
    fn start_of(self, index: usize) -> usize {
        HEAD_BYTES + index * self.width as usize
    }

    /// The set with an integer that is too wide for it: smaller than all others or greater.
    fn widened(self, integer: i64, width: Width) -> Vec<u8> {
        let (first, last) = if integer < 0 { (Some(integer), None) } else { (None, Some(integer)) };
        image(first.into_iter().chain(self).chain(last), width)
    }
}

impl<'a> IntoIterator for IntSet<'a> {
    type Item = i64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The bytes of the set of `integers`, which ascend.
pub fn build(integers: &[i64]) -> Vec<u8> {
    debug_assert!(integers.is_sorted_by(|a, b| a < b), "integers of a set ascend");
    // The widest one is at an end.
    let ends = [integers.first(), integers.last()];
    let width = ends.into_iter().flatten().map(|&end| Width::of(end)).max();
    image(integers.iter().copied(), width.unwrap_or(Width::Two))
}

impl Width {
    /// The least that holds `integer`.
    fn of(integer: i64) -> Self {
        match integer {
            -0x8000..0x8000 => Self::Two,
            -0x8000_0000..0x8000_0000 => Self::Four,
            _ => Self::Eight,
        }
    }
}

fn image(integers: impl IntoIterator<Item = i64>, width: Width) -> Vec<u8> {
    let integers = integers.into_iter();
    let mut bytes = Vec::with_capacity(HEAD_BYTES + integers.size_hint().0 * width as usize);
    bytes.push(width as u8);
    for integer in integers {
        bytes.extend_from_slice(&integer.to_le_bytes()[..width as usize]);
    }
    bytes
}

#[inline]
fn get<const WIDTH: usize>(integers: &[u8], index: usize) -> Option<i64> {
    let (integers, _) = integers.as_chunks::<WIDTH>();
    integers.get(index).map(signed)
}

fn position<const WIDTH: usize>(integers: &[u8], sought: i64) -> Result<usize, usize> {
    let (integers, _) = integers.as_chunks::<WIDTH>();
    // Most often sets are filled upwards.
    match integers.last().map(|last| signed(last).cmp(&sought)) {
        None | Some(Ordering::Less) => Err(integers.len()),
        _ => integers.binary_search_by(|integer| signed(integer).cmp(&sought)),
    }
}

/// A signed little endian integer.
#[inline]
fn signed<const WIDTH: usize>(bytes: &[u8; WIDTH]) -> i64 {
    let mut wide = [0; 8];
    wide[..WIDTH].copy_from_slice(bytes);
    let spare = 64 - 8 * WIDTH as u32;
    i64::from_le_bytes(wide) << spare >> spare
}

impl Edit {
    /// By how many bytes the set grows, or shrinks if that is negative, when it is `old` bytes.
    pub fn growth(&self, old: usize) -> isize {
        match self {
            Self::Splice(range, patch) => {
                patch.as_slice().len().cast_signed() - range.len().cast_signed()
            }
            Self::Whole(bytes) => bytes.len().cast_signed() - old.cast_signed(),
        }
    }

    /// Makes the change in a vector.
    pub fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Splice(range, patch) => {
                bytes.splice(range, patch.as_slice().iter().copied());
            }
            Self::Whole(whole) => *bytes = whole,
        }
    }
}

impl Patch {
    const EMPTY: Self = Self { bytes: [0; 8], len: 0 };

    fn new(integer: i64, width: Width) -> Self {
        Self { bytes: integer.to_le_bytes(), len: width as u8 }
    }

    /// The bytes to be written.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The integers of a set, ascending, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    set: IntSet<'a>,
    left: Range<usize>,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        self.left.next().and_then(|index| self.set.get(index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<i64> {
        self.left.next_back().and_then(|index| self.set.get(index))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}
