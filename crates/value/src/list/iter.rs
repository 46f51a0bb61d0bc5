//! Walks over a list.

use std::iter::FusedIterator;
use std::ops::Range;

use super::List;
use crate::entries::{Element, Entries};

/// The elements of a list or of a part of it, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    list: &'a List,
    front: Cursor,
    /// Behind the last element.
    back: Cursor,
    left: usize,
}

/// A border between two elements: a chunk and an offset in it.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    chunk: usize,
    at: usize,
}

impl<'a> Iter<'a> {
    pub(super) fn new(list: &'a List, range: Range<usize>) -> Self {
        let range = range.start..range.end.min(list.len());
        let (front, back) = (cursor(list, range.start), cursor(list, range.end));
        Self { list, front, back, left: range.len() }
    }

    fn entries(&self, chunk: usize) -> Option<Entries<'a>> {
        self.list.chunks.get(chunk).map(|chunk| chunk.entries())
    }
}

/// Where the element of an index begins; the list's end beyond it.
fn cursor(list: &List, index: usize) -> Cursor {
    list.locate(index).map_or(Cursor { chunk: list.chunks.len(), at: 0 }, |place| Cursor {
        chunk: place.chunk,
        at: list.chunks[place.chunk].offset(place.index),
    })
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.left = self.left.checked_sub(1)?;
        let entries = self.entries(self.front.chunk)?;
        let (element, end) = entries.next(self.front.at)?;
        let is_last = end == entries.as_bytes().len();
        self.front = match is_last {
            true => Cursor { chunk: self.front.chunk + 1, at: 0 },
            false => Cursor { at: end, ..self.front },
        };
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<Element<'a>> {
        self.left = self.left.checked_sub(1)?;
        if self.back.at == 0 {
            let chunk = self.back.chunk.checked_sub(1)?;
            self.back = Cursor { chunk, at: self.entries(chunk)?.as_bytes().len() };
        }
        let (element, start) = self.entries(self.back.chunk)?.before(self.back.at)?;
        self.back.at = start;
        Some(element)
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}
