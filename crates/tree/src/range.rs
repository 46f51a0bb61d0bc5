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

/// How many items ahead handles are told.
const AHEAD: usize = 8;

/// The same walk, by which the caller may ask for the memory of what comes next: handles are told
/// some items before it is their turn, as far as the same leaf holds them.
impl<const L: usize, const I: usize> Range<'_, L, I> {
    /// The next item; `soon` is told handles of those that follow.
    #[inline]
    pub fn next_foretold(&mut self, soon: impl FnMut(u32)) -> Option<Item> {
        let enters = self.front.is_none_or(|(leaf, at)| at >= leaf.len());
        let item = self.next()?;
        let (leaf, next) = self.front?;
        let end = (next + AHEAD).min(leaf.len()).min(next + self.left.len());
        let told = if enters { next } else { next + AHEAD - 1 };
        leaf.handles(told.min(end)..end).iter().copied().for_each(soon);
        Some(item)
    }

    /// The last item that is left; `soon` is told handles of those before it.
    #[inline]
    pub fn next_back_foretold(&mut self, soon: impl FnMut(u32)) -> Option<Item> {
        let enters = self.back.is_none_or(|(_, at)| at == 0);
        let item = self.next_back()?;
        let (leaf, behind) = self.back?;
        let start = behind - AHEAD.min(behind).min(self.left.len());
        let told = if enters { behind } else { (behind + 1).saturating_sub(AHEAD) };
        leaf.handles(start..told.max(start)).iter().copied().for_each(soon);
        Some(item)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_foretold_comes_and_most_of_what_comes_was_foretold() {
        let items = (0..300).map(|nth| Item { prefix: nth, handle: nth });
        let tree = CountedTree::<20, 4>::from_sorted(items);
        for (start, end) in [(0, 300), (7, 8), (3, 19), (100, 290), (5, 5)] {
            let mut there = (tree.range(start..end), Vec::new(), Vec::new());
            while let Some(item) = there.0.next_foretold(|handle| there.1.push(handle)) {
                there.2.push(item.handle);
            }
            let mut back = (tree.range(start..end), Vec::new(), Vec::new());
            while let Some(item) = back.0.next_back_foretold(|handle| back.1.push(handle)) {
                back.2.push(item.handle);
            }
            let all: Vec<u32> = (start as u32..end as u32).collect();
            assert_eq!(there.2, all);
            assert!(back.2.iter().rev().eq(&all));
            for mut told in [there.1, back.1] {
                let count = told.len();
                told.sort_unstable();
                told.dedup();
                assert_eq!(told.len(), count, "nothing is foretold twice");
                assert!(told.iter().all(|handle| all.contains(handle)));
                // All but the first of each leaf.
                let leaves = all.len().div_ceil(10) + 1;
                assert!(count + leaves >= all.len(), "{count} of {}", all.len());
            }
        }
    }
}
