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

/// The same walk, leaf by leaf: who walks far pays once a leaf, and sees early enough what comes
/// next to ask for its memory.
impl<'tree, const L: usize, const I: usize> Range<'tree, L, I> {
    /// The handles of the next items, in order: all that are left of a leaf's, and at least one.
    /// `None` if no item is left.
    #[inline]
    pub fn next_run(&mut self) -> Option<&'tree [u32]> {
        if self.left.is_empty() {
            return None;
        }
        let (leaf, at) = self.front_leaf()?;
        let end = leaf.len().min(at + self.left.len());
        self.front = Some((leaf, end));
        self.left.start += end - at;
        Some(leaf.handles(at..end))
    }

    /// The handles of the last items that are left, in order: all that are left of a leaf's.
    #[inline]
    pub fn next_back_run(&mut self) -> Option<&'tree [u32]> {
        if self.left.is_empty() {
            return None;
        }
        let (leaf, behind) = self.back_leaf()?;
        let start = behind - behind.min(self.left.len());
        self.back = Some((leaf, start));
        self.left.end -= behind - start;
        Some(leaf.handles(start..behind))
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
    fn runs_from_either_end_are_what_the_walk_meets() {
        let items = (0..300).map(|nth| Item { prefix: nth, handle: nth });
        let tree = CountedTree::<20, 4>::from_sorted(items);
        for (start, end) in [(0, 300), (7, 8), (3, 19), (100, 290), (5, 5), (290, 999)] {
            let expected: Vec<u32> = tree.range(start..end).map(|item| item.handle).collect();
            for backs in 0..4 {
                let (mut range, mut fronts, mut behind) = (tree.range(start..end), vec![], vec![]);
                for _ in 0..backs {
                    let run = range.next_back_run().unwrap_or_default();
                    behind.splice(0..0, run.iter().copied());
                }
                while let Some(run) = range.next_run() {
                    assert!(!run.is_empty() && run.len() <= 20);
                    fronts.extend_from_slice(run);
                }
                assert_eq!(range.next_back_run(), None);
                fronts.append(&mut behind);
                assert_eq!(fronts, expected, "{start}..{end}, {backs} from behind");
            }
        }
    }

    #[test]
    fn a_run_ends_where_single_steps_have_gone_on() {
        let items = (0..300).map(|nth| Item { prefix: nth, handle: nth });
        let tree = CountedTree::<20, 4>::from_sorted(items);
        let mut range = tree.range(5..295);
        assert_eq!(range.next().map(|item| item.handle), Some(5));
        assert_eq!(range.next_back().map(|item| item.handle), Some(294));
        assert_eq!(range.next_run().and_then(|run| run.first()), Some(&6));
        assert_eq!(range.next_back_run().and_then(|run| run.last()), Some(&293));
    }
}
