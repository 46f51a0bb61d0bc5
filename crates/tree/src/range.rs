//! A walk over a part of the tree, in both directions.

use std::iter::FusedIterator;
use std::ops;

use crate::items::{Item, Items};
use crate::tree::CountedTree;

/// The items of a range of indices, in order; from the end with `rev()`.
#[derive(Clone, Debug)]
pub struct Range<'tree, const L: usize, const I: usize> {
    tree: &'tree CountedTree<L, I>,
    /// The indices that are left.
    left: ops::Range<usize>,
    /// The leaf of the next item and its position there, once known.
    front: Option<(&'tree Items<L>, usize)>,
    /// The leaf of the item behind the last one that is left, and the position there.
    back: Option<(&'tree Items<L>, usize)>,
}

impl<'tree, const L: usize, const I: usize> Range<'tree, L, I> {
    pub(crate) fn new(tree: &'tree CountedTree<L, I>, range: ops::Range<usize>) -> Self {
        let end = range.end.min(tree.len());
        Range { tree, left: range.start.min(end)..end, front: None, back: None }
    }

    fn front_leaf(&mut self) -> Option<(&'tree Items<L>, usize)> {
        let known = self.front.filter(|&(leaf, at)| at < leaf.len());
        known.or_else(|| self.tree.leaf_of(self.left.start))
    }

    fn back_leaf(&mut self) -> Option<(&'tree Items<L>, usize)> {
        let known = self.back.filter(|&(_, at)| at > 0);
        known.or_else(|| {
            let (leaf, at) = self.tree.leaf_of(self.left.end.checked_sub(1)?)?;
            Some((leaf, at + 1))
        })
    }
}

impl<const L: usize, const I: usize> Iterator for Range<'_, L, I> {
    type Item = Item;

    #[inline]
    fn next(&mut self) -> Option<Item> {
        if self.left.is_empty() {
            return None;
        }
        let (leaf, at) = self.front_leaf()?;
        self.front = Some((leaf, at + 1));
        self.left.start += 1;
        leaf.item(at)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.len(), Some(self.left.len()))
    }

    fn nth(&mut self, skipped: usize) -> Option<Item> {
        self.left.start = self.left.start.saturating_add(skipped).min(self.left.end);
        self.front = None;
        self.next()
    }
}

impl<const L: usize, const I: usize> DoubleEndedIterator for Range<'_, L, I> {
    #[inline]
    fn next_back(&mut self) -> Option<Item> {
        if self.left.is_empty() {
            return None;
        }
        let (leaf, behind) = self.back_leaf()?;
        self.back = Some((leaf, behind - 1));
        self.left.end -= 1;
        leaf.item(behind - 1)
    }
}

impl<const L: usize, const I: usize> ExactSizeIterator for Range<'_, L, I> {}
impl<const L: usize, const I: usize> FusedIterator for Range<'_, L, I> {}
