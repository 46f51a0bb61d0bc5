//! Leaves and inner nodes: how a child gets room, and what becomes of one that is nearly empty.

use std::ops::Range;

use smallvec::SmallVec;

use crate::items::{Item, Items};
use crate::way::{Place, ToIndex, Way};

/// How many nodes the tree is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) leaves: usize,
    pub(crate) inners: usize,
}

/// A subtree.
#[derive(Clone, Debug)]
pub(crate) enum Node<const L: usize, const I: usize> {
    Leaf(Box<Items<L>>),
    Inner(Box<Inner<L, I>>),
}

/// A node above others: about each child the first item below it and how many there are.
#[derive(Clone, Debug)]
pub(crate) struct Inner<const L: usize, const I: usize> {
    pub(crate) firsts: Items<I>,
    pub(crate) counts: SmallVec<[u32; I]>,
    pub(crate) children: SmallVec<[Node<L, I>; I]>,
}

/// Below this a node looks for a neighbour to join.
const fn least(capacity: usize) -> usize {
    capacity * 2 / 5
}

/// So full a node may be after two have become one: the next insertions must find room.
const fn joined_most(capacity: usize) -> usize {
    capacity * 7 / 8
}

/// A neighbour up to here is worth giving to: fuller ones would be full again at once. Both have
/// room for one more afterwards.
const fn roomy(capacity: usize) -> usize {
    capacity - 2 - capacity / 16
}

impl<const L: usize, const I: usize> Node<L, I> {
    pub(crate) fn leaf(item: Item) -> Self {
        Node::Leaf(Box::new(Items::of(item)))
    }

    /// A new level above a root.
    pub(crate) fn above(child: Node<L, I>) -> Self {
        let mut inner = Inner::new();
        inner.insert_child(0, child);
        Node::Inner(Box::new(inner))
    }

    /// Entries of this node itself: items of a leaf, children of an inner node.
    pub(crate) fn len(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len(),
            Node::Inner(inner) => inner.children.len(),
        }
    }

    const fn capacity(&self) -> usize {
        match self {
            Node::Leaf(_) => L,
            Node::Inner(_) => I,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    fn is_low(&self) -> bool {
        self.len() < least(self.capacity()).max(1)
    }

    /// Items below this node.
    pub(crate) fn count(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len(),
            Node::Inner(inner) => inner.count_before(inner.counts.len()),
        }
    }

    pub(crate) fn first(&self) -> Option<Item> {
        match self {
            Node::Leaf(leaf) => leaf.first(),
            Node::Inner(inner) => inner.firsts.first(),
        }
    }

    /// Takes out the item at the end of a way.
    pub(crate) fn remove(&mut self, way: &mut impl Way, census: &mut Census) -> Option<Item> {
        match self {
            Node::Leaf(leaf) => {
                let at = way.position(leaf)?;
                let item = leaf.item(at)?;
                leaf.remove(at..at + 1);
                Some(item)
            }
            Node::Inner(inner) => inner.remove(way, census),
        }
    }

    /// Gives the item at the end of a way another handle.
    pub(crate) fn replace(&mut self, way: &mut impl Way, handle: u32) -> Option<Item> {
        let old = match self {
            Node::Leaf(leaf) => {
                let at = way.position(leaf)?;
                let old = leaf.item(at)?;
                leaf.set(at, Item { handle, ..old });
                old
            }
            Node::Inner(inner) => {
                let child = way.child(inner);
                let old = inner.children.get_mut(child)?.replace(way, handle)?;
                inner.refresh_first(child);
                old
            }
        };
        Some(old)
    }

    /// Takes out a part, but not all, of the items. Leaves low nodes behind, but no empty ones.
    pub(crate) fn cut(
        &mut self,
        range: Range<usize>,
        census: &mut Census,
        emit: &mut impl FnMut(u32),
    ) {
        match self {
            Node::Leaf(leaf) => {
                leaf.handles(range.clone()).iter().for_each(|&handle| emit(handle));
                leaf.remove(range);
            }
            Node::Inner(inner) => inner.cut(range, census, emit),
        }
    }

    /// Takes leave of everything below, in order.
    pub(crate) fn dissolve(self, census: &mut Census, emit: &mut impl FnMut(u32)) {
        census.forget(&self);
        match self {
            Node::Leaf(leaf) => leaf.handles(0..leaf.len()).iter().for_each(|&handle| emit(handle)),
            Node::Inner(inner) => {
                inner.children.into_iter().for_each(|child| child.dissolve(census, emit));
            }
        }
    }

    fn split_off(&mut self, at: usize) -> Self {
        match self {
            Node::Leaf(leaf) => Node::Leaf(Box::new(leaf.split_off(at))),
            Node::Inner(inner) => {
                let mut right = Box::new(Inner::new());
                inner.give(inner.children.len() - at, &mut right);
                Node::Inner(right)
            }
        }
    }

    /// Moves entries between neighbours, until the left one has `len`.
    fn level(&mut self, right: &mut Self, len: usize) {
        let (own, right_first) = (self.len(), len.saturating_sub(self.len()));
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) if own < len => left.take(right_first, right),
            (Node::Leaf(left), Node::Leaf(right)) => left.give(own - len, right),
            (Node::Inner(left), Node::Inner(right)) if own < len => left.take(right_first, right),
            (Node::Inner(left), Node::Inner(right)) => left.give(own - len, right),
            _ => debug_assert!(false, "neighbours lie at the same depth"),
        }
    }
}

impl<const L: usize, const I: usize> Inner<L, I> {
    fn new() -> Self {
        Inner { firsts: Items::new(), counts: SmallVec::new(), children: SmallVec::new() }
    }

    /// Items below the children in front of one.
    #[inline]
    pub(crate) fn count_before(&self, child: usize) -> usize {
        self.counts[..child].iter().sum::<u32>() as usize
    }

    pub(crate) fn insert_child(&mut self, at: usize, child: Node<L, I>) {
        let Some(first) = child.first() else { return };
        self.firsts.insert(at, first);
        self.counts.insert(at, child.count() as u32);
        self.children.insert(at, child);
    }

    fn remove_child(&mut self, at: usize) -> Node<L, I> {
        self.firsts.remove(at..at + 1);
        self.counts.remove(at);
        self.children.remove(at)
    }

    fn refresh_first(&mut self, child: usize) {
        if let Some(first) = self.children[child].first() {
            self.firsts.set(child, first);
        }
    }

    fn refresh(&mut self, child: usize) {
        self.counts[child] = self.children[child].count() as u32;
        self.refresh_first(child);
    }

    fn give(&mut self, count: usize, right: &mut Self) {
        let from = self.children.len() - count;
        self.firsts.give(count, &mut right.firsts);
        right.counts.insert_many(0, self.counts.drain(from..));
        right.children.insert_many(0, self.children.drain(from..));
    }

    fn take(&mut self, count: usize, right: &mut Self) {
        self.firsts.take(count, &mut right.firsts);
        self.counts.extend(right.counts.drain(..count));
        self.children.extend(right.children.drain(..count));
    }

    /// Chooses the child that a new item goes to, sees to it that it has room, and counts the item.
    #[inline]
    pub(crate) fn enter(
        &mut self,
        item: Item,
        place: &mut impl Place,
        edges: Edges,
        census: &mut Census,
    ) -> usize {
        let mut point = place.point(&self.firsts);
        if self.children[point.saturating_sub(1)].is_full() {
            self.make_room(point.saturating_sub(1), place, edges, census);
            point = place.point(&self.firsts);
        }
        if point == 0 {
            self.firsts.set(0, item);
        }
        let child = point.saturating_sub(1);
        self.counts[child] += 1;
        child
    }

    /// Sees to it that a full child, or the one that takes its place, has room for one more.
    ///
    /// There is room for one more child. `edges` says whether this node's first and last child
    /// are the first and the last of their level.
    fn make_room(
        &mut self,
        child: usize,
        place: &mut impl Place,
        edges: Edges,
        census: &mut Census,
    ) {
        let edges = edges.below(child, self.children.len());
        let (point, len) = match &self.children[child] {
            Node::Leaf(leaf) => (place.point(leaf), L),
            Node::Inner(inner) => (place.point(&inner.firsts), I),
        };
        let at = match point {
            0 if edges.first => 1,
            point if point == len && edges.last => len - 1,
            _ if self.give_to_neighbour(child) => return,
            _ => len / 2,
        };
        self.split_child(child, at, census);
    }

    fn split_child(&mut self, child: usize, at: usize, census: &mut Census) {
        let right = self.children[child].split_off(at);
        census.note(&right);
        self.insert_child(child + 1, right);
        self.refresh(child);
    }

    /// Makes room in a full leaf by filling up the emptier one of its neighbours.
    fn give_to_neighbour(&mut self, child: usize) -> bool {
        if matches!(self.children[child], Node::Inner(_)) {
            return false;
        }
        let len_of = |at: usize| self.counts.get(at).map_or(L, |&count| count as usize);
        let (left, right) = (len_of(child.wrapping_sub(1)), len_of(child + 1));
        if left.min(right) > roomy(L) {
            return false;
        }
        self.level(if left < right { child - 1 } else { child });
        true
    }

    /// Spreads entries evenly over a child and the one to its right.
    fn level(&mut self, left: usize) {
        let (head, tail) = self.children.split_at_mut(left + 1);
        let (a, b) = (&mut head[left], &mut tail[0]);
        a.level(b, (a.len() + b.len()) / 2);
        self.refresh(left);
        self.refresh(left + 1);
    }

    fn remove(&mut self, way: &mut impl Way, census: &mut Census) -> Option<Item> {
        let child = way.child(self);
        let item = self.children.get_mut(child)?.remove(way, census)?;
        self.counts[child] -= 1;
        if self.firsts.item(child) == Some(item) {
            self.refresh_first(child);
        }
        if self.children[child].is_low() {
            self.mend_child(child, census);
        }
        Some(item)
    }

    /// Joins a low child to a neighbour or fills it up from one. Says whether anything changed.
    fn mend_child(&mut self, child: usize, census: &mut Census) -> bool {
        if self.children.len() == 1 {
            return self.drop_empty(child, census);
        }
        let left = match child {
            0 => 0,
            _ if child + 1 == self.children.len() => child - 1,
            _ if self.children[child - 1].len() < self.children[child + 1].len() => child - 1,
            _ => child,
        };
        let capacity = self.children[left].capacity();
        if self.children[left].len() + self.children[left + 1].len() <= joined_most(capacity) {
            self.join(left, census);
        } else {
            self.level(left);
        }
        true
    }

    fn drop_empty(&mut self, child: usize, census: &mut Census) -> bool {
        let empty = self.children[child].len() == 0;
        if empty {
            census.forget(&self.remove_child(child));
        }
        empty
    }

    fn join(&mut self, left: usize, census: &mut Census) {
        let mut right = self.remove_child(left + 1);
        census.forget(&right);
        let len = self.children[left].len() + right.len();
        self.children[left].level(&mut right, len);
        self.refresh(left);
    }

    fn cut(&mut self, range: Range<usize>, census: &mut Census, emit: &mut impl FnMut(u32)) {
        let (mut offset, mut at) = (0, 0);
        while at < self.children.len() && offset < range.end {
            let count = self.counts[at] as usize;
            let start = range.start.max(offset) - offset;
            let part = start.min(count)..(range.end - offset).min(count);
            offset += count;
            if part.len() == count {
                let end = at + self.whole_children(at + 1, offset, range.end) + 1;
                offset += self.counts[at + 1..end].iter().sum::<u32>() as usize;
                self.dissolve_children(at..end, census, emit);
                continue;
            }
            if !part.is_empty() {
                self.children[at].cut(part, census, emit);
                self.refresh(at);
            }
            at += 1;
        }
    }

    /// How many children from one on lie wholly before an index, if the first begins at `offset`.
    fn whole_children(&self, from: usize, offset: usize, end: usize) -> usize {
        let mut reached = offset;
        let counts = self.counts[from..].iter();
        counts
            .take_while(|&&count| {
                reached += count as usize;
                reached <= end
            })
            .count()
    }

    fn dissolve_children(
        &mut self,
        range: Range<usize>,
        census: &mut Census,
        emit: &mut impl FnMut(u32),
    ) {
        self.firsts.remove(range.clone());
        self.counts.drain(range.clone());
        self.children.drain(range).for_each(|child| child.dissolve(census, emit));
    }

    /// Mends the nodes on the way to an index. Says whether anything changed.
    pub(crate) fn mend(&mut self, way: &mut ToIndex, census: &mut Census) -> bool {
        let child = way.child(self);
        let below = match self.children.get_mut(child) {
            Some(Node::Inner(inner)) => inner.mend(way, census),
            _ => false,
        };
        let is_low = self.children.get(child).is_some_and(Node::is_low);
        (is_low && self.mend_child(child, census)) || below
    }
}

/// Whether a node is the first and the last of its level.
#[derive(Clone, Copy)]
pub(crate) struct Edges {
    first: bool,
    last: bool,
}

impl Edges {
    /// The root is both.
    pub(crate) const ROOT: Edges = Edges { first: true, last: true };

    /// The same of one of `len` children.
    pub(crate) fn below(self, child: usize, len: usize) -> Edges {
        Edges { first: self.first && child == 0, last: self.last && child + 1 == len }
    }
}

impl Census {
    pub(crate) fn note<const L: usize, const I: usize>(&mut self, node: &Node<L, I>) {
        *self.kind(node) += 1;
    }

    pub(crate) fn forget<const L: usize, const I: usize>(&mut self, node: &Node<L, I>) {
        *self.kind(node) -= 1;
    }

    fn kind<const L: usize, const I: usize>(&mut self, node: &Node<L, I>) -> &mut usize {
        match node {
            Node::Leaf(_) => &mut self.leaves,
            Node::Inner(_) => &mut self.inners,
        }
    }
}
