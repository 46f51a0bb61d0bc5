//! The tree as the caller sees it.

use std::ops;

use crate::items::{Item, Items};
use crate::node::{Census, Edges, Inner, Node};
use crate::range::Range;
use crate::way::{Asked, End, Near, Place, ToIndex, ToItem, Way};

/// The tree with nodes of the size that was measured to be best: leaves and inner nodes of a
/// kilobyte.
pub type Tree = CountedTree<127, 35>;

/// An ordered list of items, with leaves of up to `L` items and inner nodes of up to `I` children.
///
/// Where an operation takes `before`, that closure answers for a handle of the tree whether its
/// thing comes before the one that is meant (before the bound that is meant). It is asked only
/// about handles whose prefix equals the one given, and never about the handle given. Its answers
/// must agree with the order of the tree; what they would break otherwise is the order, and an
/// insertion may then panic.
#[derive(Clone, Debug, Default)]
pub struct CountedTree<const L: usize, const I: usize> {
    root: Option<Node<L, I>>,
    len: usize,
    census: Census,
}

impl<const L: usize, const I: usize> CountedTree<L, I> {
    /// A tree without items; it allocates nothing.
    pub const fn new() -> Self {
        const { assert!(L >= 4 && I >= 4, "a node that splits leaves two that have room") };
        CountedTree { root: None, len: 0, census: Census { leaves: 0, inners: 0 } }
    }

    /// A tree of items that come in order, in `O(n)`. Its leaves are full.
    pub fn from_sorted(items: impl IntoIterator<Item = Item>) -> Self {
        let mut tree = CountedTree::new();
        items.into_iter().for_each(|item| tree.append(item));
        tree
    }

    /// How many items there are, in `O(1)`.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item, in `O(1)`.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the nodes take, in `O(1)`.
    pub const fn memory_bytes(&self) -> usize {
        self.census.leaves * size_of::<Items<L>>() + self.census.inners * size_of::<Inner<L, I>>()
    }

    /// Puts in an item that is not there yet, behind all that come `before` it.
    pub fn insert(&mut self, item: Item, before: impl FnMut(u32) -> bool) {
        self.insert_at(item, &mut Near { prefix: item.prefix, before });
    }

    /// Puts an item behind all others, which it must not precede.
    pub fn append(&mut self, item: Item) {
        self.insert_at(item, &mut End);
    }

    fn insert_at(&mut self, item: Item, place: &mut impl Place) {
        self.len += 1;
        self.grow_full_root();
        let Some(mut node) = self.root.as_mut() else {
            self.root = Some(Node::leaf(item));
            self.census.leaves = 1;
            return;
        };
        let mut edges = Edges::ROOT;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.insert(place.point(leaf), item),
                Node::Inner(inner) => {
                    let child = inner.enter(item, place, edges, &mut self.census);
                    edges = edges.below(child, inner.children.len());
                    node = &mut inner.children[child];
                }
            }
        }
    }

    fn grow_full_root(&mut self) {
        if self.root.as_ref().is_some_and(Node::is_full) {
            self.root = self.root.take().map(Node::above);
            self.census.inners += 1;
        }
    }

    /// Takes an item out. Says whether it was there.
    pub fn remove(&mut self, item: Item, before: impl FnMut(u32) -> bool) -> bool {
        self.remove_by(&mut ToItem { item, before }).is_some()
    }

    /// Takes out the item at an index.
    pub fn remove_at(&mut self, index: usize) -> Option<Item> {
        self.remove_by(&mut ToIndex(index))
    }

    /// Takes out the first item.
    pub fn pop_first(&mut self) -> Option<Item> {
        self.remove_at(0)
    }

    /// Takes out the last item.
    pub fn pop_last(&mut self) -> Option<Item> {
        self.remove_at(self.len.checked_sub(1)?)
    }

    fn remove_by(&mut self, way: &mut impl Way) -> Option<Item> {
        let item = self.root.as_mut()?.remove(way, &mut self.census)?;
        self.len -= 1;
        self.shrink_root();
        Some(item)
    }

    /// A root with a single child gives way to it.
    fn shrink_root(&mut self) {
        if self.len == 0 {
            return self.clear();
        }
        while let Some(Node::Inner(inner)) = &mut self.root
            && inner.children.len() == 1
        {
            self.root = inner.children.pop();
            self.census.inners -= 1;
        }
    }

    /// Gives an item another handle in its place, for a thing that has moved. Says whether it
    /// was there.
    pub fn replace(&mut self, item: Item, handle: u32, before: impl FnMut(u32) -> bool) -> bool {
        let Some(root) = self.root.as_mut() else { return false };
        root.replace(&mut ToItem { item, before }, handle).is_some()
    }

    /// Takes out the items of a range of indices and emits their handles in order, in
    /// `O(log n)` and the time that emitting takes: what lies wholly in it is dropped node by
    /// node. Of a range that reaches beyond the end, the part that exists is taken out.
    pub fn remove_range(&mut self, range: ops::Range<usize>, mut emit: impl FnMut(u32)) {
        let range = range.start..range.end.min(self.len);
        if range.is_empty() {
            return;
        }
        self.len -= range.len();
        if self.len > 0 {
            return self.cut(range, &mut emit);
        }
        if let Some(root) = self.root.take() {
            root.dissolve(&mut self.census, &mut emit);
        }
    }

    fn cut(&mut self, range: ops::Range<usize>, emit: &mut impl FnMut(u32)) {
        let Some(root) = self.root.as_mut() else { return };
        let start = range.start;
        root.cut(range, &mut self.census, emit);
        self.shrink_root();
        while self.mend(start) || self.mend(start.saturating_sub(1)) {
            self.shrink_root();
        }
    }

    fn mend(&mut self, index: usize) -> bool {
        match &mut self.root {
            Some(Node::Inner(root)) => root.mend(&mut ToIndex(index), &mut self.census),
            _ => false,
        }
    }

    /// Takes out up to `budget` leading items, so that a large tree can be dropped in steps.
    /// Says whether the tree is empty now.
    pub fn drain_some(&mut self, budget: usize, emit: impl FnMut(u32)) -> bool {
        self.remove_range(0..budget, emit);
        self.is_empty()
    }

    /// Forgets all items, in time proportional to the number of nodes.
    pub fn clear(&mut self) {
        *self = CountedTree::new();
    }

    /// How many items come before a bound: those with a lower prefix, and those of the same
    /// prefix that come `before` it.
    pub fn rank(&self, prefix: u32, before: impl FnMut(u32) -> bool) -> usize {
        self.rank_at(&mut Near { prefix, before })
    }

    /// How many leading items the closure says yes to, if it says no to all that follow. It is
    /// asked about any handle, whatever its prefix.
    pub fn partition_point(&self, before: impl FnMut(u32) -> bool) -> usize {
        self.rank_at(&mut Asked(before))
    }

    fn rank_at(&self, place: &mut impl Place) -> usize {
        let Some(mut node) = self.root.as_ref() else { return 0 };
        let mut rank = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return rank + place.point(leaf),
                Node::Inner(inner) => {
                    let child = place.child(&inner.firsts);
                    rank += inner.count_before(child);
                    node = &inner.children[child];
                }
            }
        }
    }

    /// How many items come before one, if it is there.
    pub fn rank_of(&self, item: Item, before: impl FnMut(u32) -> bool) -> Option<usize> {
        let mut way = ToItem { item, before };
        let mut node = self.root.as_ref()?;
        let mut rank = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return way.position(leaf).map(|at| rank + at),
                Node::Inner(inner) => {
                    let child = way.child(inner);
                    rank += inner.count_before(child);
                    node = &inner.children[child];
                }
            }
        }
    }

    /// The leaf that holds an index, and where in it.
    pub(crate) fn leaf_of(&self, index: usize) -> Option<(&Items<L>, usize)> {
        let mut way = ToIndex(index);
        let mut node = self.root.as_ref()?;
        loop {
            match node {
                Node::Leaf(leaf) => return way.position(leaf).map(|at| (&**leaf, at)),
                Node::Inner(inner) => node = &inner.children[way.child(inner)],
            }
        }
    }

    /// The item at an index.
    pub fn item(&self, index: usize) -> Option<Item> {
        let (leaf, at) = self.leaf_of(index)?;
        leaf.item(at)
    }

    /// The first item.
    pub fn first(&self) -> Option<Item> {
        self.root.as_ref()?.first()
    }

    /// The last item.
    pub fn last(&self) -> Option<Item> {
        self.item(self.len.checked_sub(1)?)
    }

    /// The items of a range of indices, forwards or backwards: `O(log n)` to begin with and once
    /// a leaf. Of a range that reaches beyond the end, the part that exists.
    pub fn range(&self, range: ops::Range<usize>) -> Range<'_, L, I> {
        Range::new(self, range)
    }

    /// All items in order.
    pub fn iter(&self) -> Range<'_, L, I> {
        self.range(0..self.len)
    }
}

impl<'tree, const L: usize, const I: usize> IntoIterator for &'tree CountedTree<L, I> {
    type Item = Item;
    type IntoIter = Range<'tree, L, I>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
