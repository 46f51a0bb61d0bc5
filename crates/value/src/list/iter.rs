//! Walks over a list.

use std::iter::FusedIterator;
use std::ops::Range;

use super::List;
use crate::entries::{Element, Entries};

/// The elements of a list or of a part of it, from either end.
///
/// Where an end lies is sought when the first element is taken there: seeking walks through a
/// chunk, and most walks go one way.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    list: &'a List,
    /// The indexes of the elements that are left.
    left: Range<usize>,
    front: Option<Cursor<'a>>,
    back: Option<Cursor<'a>>,
}

/// A border between two elements: a chunk and an offset in it.
#[derive(Clone, Copy, Debug)]
struct Cursor<'a> {
    chunk: usize,
    entries: Entries<'a>,
    at: usize,
}

impl<'a> Iter<'a> {
    pub(super) fn new(list: &'a List, range: Range<usize>) -> Self {
        Self { list, left: range.start..range.end.min(list.len()), front: None, back: None }
    }
}

/// The border of a chunk before or behind its elements; `None` if there is no such chunk.
fn border(list: &List, chunk: usize, is_behind: bool) -> Option<Cursor<'_>> {
    let entries = list.chunks.get(chunk)?.entries();
    let at = if is_behind { entries.as_bytes().len() } else { 0 };
    Some(Cursor { chunk, entries, at })
}

/// Where the element of an index begins; the list's end beyond it.
fn cursor(list: &List, index: usize) -> Option<Cursor<'_>> {
    let Some(place) = list.locate(index) else {
        return border(list, list.chunks.len().checked_sub(1)?, true);
    };
    let chunk = &list.chunks[place.chunk];
    Some(Cursor { chunk: place.chunk, entries: chunk.entries(), at: chunk.offset(place.index) })
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let index = self.left.next()?;
        if self.front.is_none() {
            self.front = cursor(self.list, index);
        }
        let front = self.front.as_mut()?;
        if front.at == front.entries.as_bytes().len() {
            *front = border(self.list, front.chunk + 1, false)?;
        }
        let (element, end) = front.entries.next(front.at)?;
        front.at = end;
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Element<'a>> {
        let index = self.left.next_back()?;
        if self.back.is_none() {
            self.back = cursor(self.list, index + 1);
        }
        let back = self.back.as_mut()?;
        if back.at == 0 {
            *back = border(self.list, back.chunk.checked_sub(1)?, true)?;
        }
        let (element, start) = back.entries.before(back.at)?;
        back.at = start;
        Some(element)
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}
