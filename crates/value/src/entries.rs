//! Packed elements: strings and integers side by side in a slice of bytes.
//!
//! The encoding of an element is the one of listpacks, without their header and their end mark:
//! whoever keeps the bytes knows how many there are. So a packed value costs two bytes an
//! element beyond its text, an integer in digits costs less than its text, and a walk goes in
//! both directions.
//!
//! # Layout
//!
//! ```text
//! element:  encoding and data | back-length: bytes of encoding and data
//!
//! 0uuuuuuu                     7-bit unsigned
//! 10llllll data                string below 64 bytes
//! 110iiiii iiiiiiii            13-bit signed
//! 1110llll llllllll data       string below 4096 bytes
//! 11110000 (u32 LE) data       string
//! 11110001 to 11110100         i16, i24, i32, i64, LE
//! ```
//!
//! A back-length is big endian in groups of seven bits, in as many bytes as it needs, and every
//! byte but the first has its top bit set, so that it can be read backwards.
//!
//! # Invariants
//!
//! 1. What [`encode`] writes is canonical: the text of a 64-bit integer becomes an integer, in
//!    the shortest form that holds it. So two elements are equal if and only if their bytes are.
//! 2. Nothing here panics or goes in circles over bytes that are no elements: a walk ends where
//!    they stop making sense, and every step of it leaves at least two bytes behind.
//!
//! # Complexity
//!
//! A step is `O(1)`; to find an element, to count them or to go to the `n`th is a walk.

mod decode;
mod encode;
mod integer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

pub use encode::{Encoded, Sink, encode, encode_int, encoded_len};
pub use integer::parse_integer;

/// One element as it is stored.
///
/// Elements compare as they are stored; [`Element::of`] makes the one that stands for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// A text which is that of an integer.
    Int(i64),
    /// Any other text.
    Bytes(&'a [u8]),
}

impl<'a> Element<'a> {
    /// How `text` is stored.
    pub fn of(text: &'a [u8]) -> Self {
        parse_integer(text).map_or(Self::Bytes(text), Self::Int)
    }

    /// Its text, written to `digits` if it is an integer.
    pub fn to_text<'b>(self, digits: &'b mut Digits) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Int(integer) => digits.0.format(integer).as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// How many bytes its text has.
    pub fn text_len(self) -> usize {
        self.to_text(&mut Digits::new()).len()
    }
}

impl PartialEq<[u8]> for Element<'_> {
    fn eq(&self, text: &[u8]) -> bool {
        match *self {
            Self::Int(integer) => parse_integer(text) == Some(integer),
            Self::Bytes(bytes) => bytes == text,
        }
    }
}

/// Room on the stack for the digits of an integer.
#[derive(Clone)]
pub struct Digits(itoa::Buffer);

impl Digits {
    /// Room that nothing was written to yet.
    pub fn new() -> Self {
        Self(itoa::Buffer::new())
    }
}

impl Default for Digits {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits")
    }
}

/// Elements side by side.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    /// The elements that `bytes` hold.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes that hold the elements.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The element at `at`, and where the one after it lies; none at the end.
    #[inline]
    pub fn next(self, at: usize) -> Option<(Element<'a>, usize)> {
        let (element, size) = decode::first(self.0.get(at..)?)?;
        Some((element, at + size))
    }

    /// The element which ends at `at`, and where it lies; none at the start.
    pub fn before(self, at: usize) -> Option<(Element<'a>, usize)> {
        let start = self.start_before(at)?;
        let (element, end) = self.next(start)?;
        (end == at).then_some((element, start))
    }

    /// The elements in order, from either end.
    pub fn iter(self) -> Iter<'a> {
        Iter { bytes: self.0, at: 0 }
    }

    /// How many there are.
    pub fn count(self) -> usize {
        std::iter::successors(Some(0), |&at| self.end_after(at)).count() - 1
    }

    /// The element with `index` others before it, and the bytes it takes.
    pub fn nth(self, index: usize) -> Option<(Element<'a>, Range<usize>)> {
        let start = self.start_of(index)?;
        let (element, end) = self.next(start)?;
        Some((element, start..end))
    }

    /// The element with `index` others behind it, and the bytes it takes.
    pub fn nth_back(self, index: usize) -> Option<(Element<'a>, Range<usize>)> {
        let end = (0..index).try_fold(self.0.len(), |end, _| self.start_before(end))?;
        let (element, start) = self.before(end)?;
        Some((element, start..end))
    }

    /// Where the element with `index` others before it starts, or would start as the next one.
    pub fn start_of(self, index: usize) -> Option<usize> {
        (0..index).try_fold(0, |at, _| self.end_after(at))
    }

    /// The bytes of the first element that is `text`, among the first and every `step`th after
    /// it: of a packed hash, step 2 looks at the fields.
    pub fn find(self, text: &[u8], step: usize) -> Option<Range<usize>> {
        let sought = Encoded::of(text);
        let mut at = 0;
        while let Some(rest) = self.0.get(at..) {
            let size = decode::size(rest)?;
            if sought.is_start_of(rest) {
                return Some(at..at + size);
            }
            at += size;
            for _ in 1..step {
                at = self.end_after(at)?;
            }
        }
        None
    }

    /// Where the element at `at` ends.
    fn end_after(self, at: usize) -> Option<usize> {
        Some(at + decode::size(self.0.get(at..)?)?)
    }

    /// Where the element starts that ends at `at`, by its back-length alone.
    fn start_before(self, at: usize) -> Option<usize> {
        at.checked_sub(decode::size_of_last(self.0.get(..at)?)?)
    }
}

impl<'a> IntoIterator for Entries<'a> {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// A walk over elements, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// Without what was walked over from the end.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, end) = Entries(self.bytes).next(self.at)?;
        self.at = end;
        Some(element)
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<Element<'a>> {
        let (element, start) = Entries(self.bytes).before(self.bytes.len())?;
        if start < self.at {
            return None;
        }
        self.bytes = &self.bytes[..start];
        Some(element)
    }
}

impl std::iter::FusedIterator for Iter<'_> {}
