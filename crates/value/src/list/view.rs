//! A list of either form, to be read.

use std::iter::FusedIterator;
use std::ops::Range;

use super::{End, Iter, List, Small};
use crate::entries::{self, Element};

/// A list, to be read.
#[derive(Clone, Copy, Debug)]
pub enum ListRef<'a> {
    /// A small one.
    Small(Small<'a>),
    /// A large one.
    Big(&'a List),
}

impl<'a> ListRef<'a> {
    /// How many elements there are.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            ListRef::Small(list) => list.len(),
            ListRef::Big(list) => list.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element with `index` others before it.
    #[must_use]
    pub fn get(self, index: usize) -> Option<Element<'a>> {
        match self {
            ListRef::Small(list) => list.get(index),
            ListRef::Big(list) => list.get(index),
        }
    }

    /// The element at an end.
    #[must_use]
    pub fn peek(self, end: End) -> Option<Element<'a>> {
        match self {
            ListRef::Small(list) => list.peek(end),
            ListRef::Big(list) => list.peek(end),
        }
    }

    /// The elements in order, from either end.
    #[must_use]
    pub fn iter(self) -> Elements<'a> {
        self.range(0..self.len())
    }

    /// The elements of a range of indexes in order, from either end; none beyond the list's end.
    #[must_use]
    pub fn range(self, range: Range<usize>) -> Elements<'a> {
        match self {
            ListRef::Small(list) => Elements::Small(list.range(range)),
            ListRef::Big(list) => Elements::Big(list.range(range)),
        }
    }
}

/// Elements of a list of either form, from either end; made by [`ListRef::range`].
#[derive(Clone, Debug)]
pub enum Elements<'a> {
    /// Those of a small one.
    Small(entries::Iter<'a>),
    /// Those of a large one.
    Big(Iter<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Elements::Small(elements) => elements.next(),
            Elements::Big(elements) => elements.next(),
        }
    }
}

impl<'a> DoubleEndedIterator for Elements<'a> {
    fn next_back(&mut self) -> Option<Element<'a>> {
        match self {
            Elements::Small(elements) => elements.next_back(),
            Elements::Big(elements) => elements.next_back(),
        }
    }
}

impl FusedIterator for Elements<'_> {}
